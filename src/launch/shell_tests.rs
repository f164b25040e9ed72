use proptest::prelude::*;

use super::*;

fn words(line: &str) -> Result<Vec<OsString>> {
    open("bash", &["-c".into(), line.into()], &mut Variables::new())
}

#[test]
fn what_a_shell_would_act_on_is_refused() {
    for (line, names) in [
        ("npx a; rm -rf x", "`;`"),
        ("npx a | tee x", "`|`"),
        ("npx a && npx b", "`&`"),
        ("npx a &", "`&`"),
        ("npx a $HOME", "`$`"),
        ("npx a \"$HOME\"", "`$`"),
        ("npx a \"`id`\"", "``` ".trim_end()),
        ("npx a `id`", "``` ".trim_end()),
        ("npx $(id)", "`$`"),
        ("npx a > x", "`>`"),
        ("npx a <x", "`<`"),
        ("npx a *", "`*`"),
        ("npx a ?", "`?`"),
        ("npx a [x]", "`[`"),
        ("npx a {b,c}", "`{`"),
        ("npx a ~/x", "`~`"),
        ("npx a --x=~/x", "`~`"),
        ("npx a # b", "`#`"),
        ("npx a !x", "`!`"),
        ("(npx a)", "`(`"),
        ("npx a\nnpx b", "\\n"),
        ("npx a\\\n b", "\\\\"),
        ("npx =ls", "`=`"),
        ("for p in x; do npx a; done", "`;`"),
        ("cd /x && npx a", "`&`"),
        ("A=b npx a", "env NAME=VALUE"),
        ("'A=b' npx a", "env NAME=VALUE"),
        ("npx 'a", "not closed"),
        ("npx \"a", "not closed"),
        ("npx a\\", "\\\\"),
        ("", "empty"),
        ("  ", "empty"),
    ] {
        let error = words(line).expect_err(line);
        let text = format!("{error} {}", error.hints.join(" "));
        assert!(text.contains(names) && !error.hints.is_empty(), "{line}: {text}");
    }
}

#[test]
fn options_of_the_shell() {
    let open = |words: &[&str]| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        super::open("sh", &words, &mut Variables::new())
    };
    for words in [&["-c", "npx a"][..], &["-lc", "npx a"], &["-l", "-c", "npx a"], &["-c", "-e", "npx a"]] {
        assert_eq!(open(words).unwrap(), ["npx", "a"], "{words:?}");
    }
    for (words, names) in [
        (&[][..], "`sh` without `-c`"),
        (&["-l"], "`sh` without `-c`"),
        (&["-c"], "`sh` without `-c`"),
        (&["npx a"], "`sh` without `-c`"),
        (&["-ic", "npx a"], "`sh -ic`"),
        (&["-x", "-c", "npx a"], "`sh -x`"),
        (&["-o", "pipefail", "-c", "npx a"], "`sh -o`"),
        (&["-"], "`sh -`"),
        (&["-c", "--", "npx a"], "`sh --`"),
        (&["-c", "npx \"$1\"", "x", "y"], "`x`"),
        (&["-c", "npx a", "b"], "`b`"),
    ] {
        let error = open(words).unwrap_err();
        assert!(error.to_string().contains(names) && !error.hints.is_empty(), "{words:?}: {error}");
    }
}

proptest! {
    /// A line of quoted words is those words.
    #[test]
    fn quoted_words_come_out_as_they_were(list in proptest::collection::vec("[^\\p{C}]{0,12}", 1..6)) {
        let line = format!("npx {}", shell_words::join(&list));
        let mut want = vec![OsString::from("npx")];
        want.extend(list.into_iter().map(OsString::from));
        match words(&line) {
            Ok(got) => prop_assert_eq!(got, want),
            // shell-words leaves some words bare that start with `=`.
            Err(e) => prop_assert!(e.to_string().contains("in the line"), "{e}"),
        }
    }
}

/// The shell that is here reads each line that is taken in the same way.
#[test]
fn a_real_shell_agrees() {
    for line in [
        "npx -y pkg@0.1.3",
        "npx a 'b c' \"d e\" f\\ g '' \"\"",
        "npx a \"x\\y\" \"\\\"\" 'a\"b' a\\'b \"a'b\"",
        "npx a --x=y @s/p@^1 a%b a+b a,b a:b 'a'\"b\"c",
        "npx a \"!\" '{\"a\": 1}' \"[x]\" '$x' \"a;b|c&d\"",
        "\tnpx  a\t b ",
    ] {
        let script = format!("npx() {{ printf '%s\\0' npx \"$@\"; }}; {line}");
        #[expect(clippy::disallowed_methods, reason = "a test's own process")]
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said: Vec<OsString> = said.split_terminator('\0').map(OsString::from).collect();
        assert_eq!(words(line).unwrap(), said, "{line}");
    }
}

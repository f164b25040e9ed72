use super::*;
use crate::launch::Launch;

fn read(words: &[&str]) -> Result<(Launcher, Request)> {
    super::read(&words.iter().map(OsString::from).collect::<Vec<_>>())
}

fn run(words: &[&str]) -> Launch {
    match read(words) {
        Ok((_, Request::Run(launch))) => launch,
        other => panic!("{words:?}: {other:?}"),
    }
}

/// Lines as clients' configurations have them, and the line that each is.
#[test]
fn lines_are_taken_out() {
    for (words, plain) in [
        (&["npx.cmd", "-y", "pkg"][..], &["npx", "-y", "pkg"][..]),
        (&["/usr/local/bin/npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["/opt/homebrew/bin/uvx", "pkg"], &["uvx", "pkg"]),
        (&["C:\\Program Files\\nodejs\\npx.CMD", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["C:\\nvm4w\\nodejs\\npx.ps1", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["C:/Users/x/uvx.exe", "--from", "a", "b"], &["uvx", "--from", "a", "b"]),
        (&["/home/x/.local/bin/uv", "tool", "run", "pkg"], &["uv", "tool", "run", "pkg"]),
        (&["cmd", "/c", "npx", "-y", "@s/pkg", "a b", "--x=y"], &["npx", "-y", "@s/pkg", "a b", "--x=y"]),
        (&["cmd.exe", "/d", "/s", "/C", "npx.cmd -y pkg"], &["npx", "-y", "pkg"]),
        (&["C:\\Windows\\System32\\cmd.exe", "/c", "uvx", "pkg"], &["uvx", "pkg"]),
        (&["bash", "-c", "npx -y pkg@0.1.3"], &["npx", "-y", "pkg@0.1.3"]),
        (&["sh", "-lc", "exec npx -y 'a b' \"c d\" e\\ f ''"], &["npx", "-y", "a b", "c d", "e f", ""]),
        (&["/bin/zsh", "-l", "-c", "  uvx pkg\t--x "], &["uvx", "pkg", "--x"]),
        (&["dash", "-ec", "npm exec -- pkg --x"], &["npm", "exec", "--", "pkg", "--x"]),
        (
            &["bash", "--login", "-c", "npx -y pkg '{\"a\": [1]}' '$x;*' \"#&~\""],
            &["npx", "-y", "pkg", "{\"a\": [1]}", "$x;*", "#&~"],
        ),
        (&["/usr/bin/env", "npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["env", "--", "npx", "-y", "pkg", "A=b"], &["npx", "-y", "pkg", "A=b"]),
        (&["mise", "exec", "--", "npx", "-y", "pkg", "--", "x"], &["npx", "-y", "pkg", "--", "x"]),
        (&["mise", "x", "-q", "--", "uvx", "pkg"], &["uvx", "pkg"]),
        (&["cmd", "/c", "bash", "-c", "npx -y pkg"], &["npx", "-y", "pkg"]),
        (&["~/.local/bin/uvx", "pkg"], &["uvx", "pkg"]),
        (&["$HOME/.nvm/versions/node/$NODE_VERSION/bin/npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["${HOME}/.local/bin/npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["npx -y pkg"], &["npx", "-y", "pkg"]),
        (&[" npx  -y pkg 'a b'"], &["npx", "-y", "pkg", "a b"]),
        (&["uvx pkg", "--url", "http://x/y"], &["uvx", "pkg", "--url", "http://x/y"]),
        (&["npm exec -- pkg --x"], &["npm", "exec", "--", "pkg", "--x"]),
        (&["/usr/bin/env npx -y pkg"], &["npx", "-y", "pkg"]),
        (&["wsl", "npx", "-y", "pkg", "--x"], &["npx", "-y", "pkg", "--x"]),
        (&["wsl.exe", "--", "npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["wsl", "--exec", "npx", "-y", "pkg", "$x"], &["npx", "-y", "pkg", "$x"]),
        (&["wsl", "-e", "bash", "-lc", "npx -y pkg"], &["npx", "-y", "pkg"]),
        (&["asdf", "exec", "npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["fnm", "exec", "npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["volta", "run", "npx", "-y", "pkg"], &["npx", "-y", "pkg"]),
        (&["corepack", "pnpm", "dlx", "pkg"], &["pnpm", "dlx", "pkg"]),
    ] {
        // The packages are what they are; a refusal would have to be the same, too.
        assert_eq!(read(words), read(plain), "{words:?}");
        assert!(matches!(read(words), Ok((_, Request::Run(_)))) || plain[2] == "a b", "{words:?}");
    }
}

#[test]
fn variables_of_the_line() {
    let launch = run(&["env", "A=b", "EMPTY=", "C=d=e f", "PATH=/x", "A=2", "npx", "-y", "pkg", "X=y"]);
    let set =
        |pairs: &[(&str, &str)]| -> Variables { pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect() };
    assert_eq!(launch.environment, set(&[("EMPTY", ""), ("C", "d=e f"), ("A", "2")]));
    assert_eq!(launch.args, ["X=y"]);
    let launch = run(&["bash", "-c", "env TOKEN='a b' mise exec -- env B=1 npx pkg"]);
    assert_eq!(launch.environment, set(&[("TOKEN", "a b"), ("B", "1")]));
    assert_eq!(run(&["npx", "pkg"]).environment, []);
}

#[test]
fn what_would_change_the_line_is_refused() {
    for (words, names) in [
        (&[][..], "no line"),
        (&["env", "A=b"], "no line"),
        (&["mise", "exec", "--"], "no line"),
        (&["cmd", "/c"], "no line"),
        (&["cmd"], "a shell"),
        (&["cmd", "/k", "npx", "pkg"], "/k"),
        (&["cmd", "C:/", "npx", "pkg"], "`/c`"),
        (&["cmd", "/c", "npx", "-y", "pkg", "&", "del"], "`&`"),
        (&["cmd", "/c", "npx", "-y", "pkg", "%TOKEN%"], "`%`"),
        (&["cmd", "/c", "npx", "-y", "pkg", "\"{\\\"a\\\":1}\""], "cmd"),
        (&["cmd", "/c", "start", "npx"], "`start`"),
        (&["env", "-i", "npx", "pkg"], "`env -i`"),
        (&["env", "-S", "npx pkg"], "`env -S`"),
        (&["env", "A-B=c", "npx", "pkg"], "A-B"),
        (&["env", "=c", "npx", "pkg"], "variable"),
        (&["env", "HOME=/x", "npx", "pkg"], "`HOME`"),
        (&["env", "JITBOX_ENGINE=/x", "npx", "pkg"], "`JITBOX_ENGINE`"),
        (&["env", "DOCKER_HOST=tcp://x", "npx", "pkg"], "`DOCKER_HOST`"),
        (&["env", "LD_PRELOAD=/x", "npx", "pkg"], "`LD_PRELOAD`"),
        (&["env", "XDG_CONFIG_HOME=/x", "npx", "pkg"], "`XDG_CONFIG_HOME`"),
        (&["env", "python", "x.py"], "`python`"),
        (&["mise", "npx", "pkg"], "mise exec"),
        (&["mise", "exec", "npx", "pkg"], "mise exec"),
        (&["mise", "exec", "node@22", "--", "npx", "pkg"], "npx -p node@22"),
        (&["mise", "exec", "-C", "/x", "--", "npx", "pkg"], "`-C`"),
        (&["bin/npx", "pkg"], "bin/npx"),
        (&["$BIN/uvx", "pkg"], "$BIN/uvx"),
        (&["${HOMER}/uvx", "pkg"], "${HOMER}/uvx"),
        (&["..\\npx.cmd", "pkg"], "npx.cmd"),
        (&["env", "env", "env", "env", "env", "npx", "pkg"], "more than"),
        (&["npx -y pkg https://x/?y"], "`?`"),
        (&["npx -y pkg; ls"], "`;`"),
        (&["env", "npx -y pkg"], "`npx -y pkg`"),
        (&["cmd", "/c", "npx -y pkg", "a"], "`npx -y pkg`"),
        (&["npx -y pkg 'a"], "quote"),
        (&["npx -y pkg", "${url}"], "would read the others"),
        (&["npx -y pkg", "a b"], "would read the others"),
        (&["npx -y pkg", ""], "would read the others"),
        (&["/opt/my tools/python x"], "no launcher"),
        (&["wsl", "npx", "-y", "pkg", "$x"], "`$x`"),
        (&["wsl", "-d", "Debian", "npx", "pkg"], "`wsl -d`"),
        (&["wsl"], "no line"),
        (&["asdf", "npx", "pkg"], "asdf exec"),
        (&["asdf", "exec"], "no line"),
        (&["fnm", "exec", "--using=20", "npx", "pkg"], "fnm exec"),
        (&["volta", "run", "--node", "20", "npx", "pkg"], "volta run"),
        (&["corepack", "yarn@4", "dlx", "pkg"], "without a version"),
        (&["corepack", "enable"], "corepack"),
    ] {
        let error = read(words).expect_err(&format!("{words:?}"));
        let text = format!("{error} {}", error.hints.join(" "));
        assert!(text.contains(names) && !error.hints.is_empty(), "{words:?}: {text}");
        assert!(error.to_string().len() < 200, "{text}");
    }
}

#[test]
fn values_are_never_shown() {
    for words in
        [["env", "A-B=secret", "npx", "pkg"], ["env", "HOME=secret", "npx", "pkg"], ["env", "A=secret", "npm", "i"]]
    {
        let error = read(&words).unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn programs_in_front_of_a_line() {
    for word in ["npx", "bash", "/usr/bin/env", "cmd.exe", "uv", "mise"] {
        assert!(is_program(word), "{word}");
    }
    for word in ["node", "./npx", "", "ls", ".cmd"] {
        assert!(!is_program(word), "{word}");
    }
}

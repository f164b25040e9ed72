//! Names and specs whose meaning was seen by running uv 0.13.

use proptest::prelude::*;

use super::*;

#[test]
fn names() {
    for (typed, want) in [
        ("mcp-server-fetch", "mcp-server-fetch"),
        ("MCP_Server.Fetch", "mcp-server-fetch"),
        ("a__b--c..d", "a-b-c-d"),
        ("3", "3"),
    ] {
        assert_eq!(PypiName::parse(typed).map(|n| n.as_str().to_owned()).as_deref(), Ok(want));
    }
    for typed in ["", "-a", "a-", ".", "..", "_", "a/b", "a b", "a\0", "é", "a@b", "a[b]", "\u{2013}y"] {
        assert!(!PypiName::parse(typed).unwrap_err().hints.is_empty(), "{typed:?}");
    }
}

#[test]
fn commands() {
    for (text, typed, want) in [
        ("pkg", "pkg", "pkg"),
        ("PyCowsay", "PyCowsay", "pycowsay"),
        ("pkg@1.2", "pkg", "pkg==1.2"),
        ("pkg@1.2rc1", "pkg", "pkg==1.2rc1"),
        ("pkg@latest", "pkg", "pkg@latest"),
        ("My.Pkg[B, a]@latest", "My.Pkg", "my-pkg[a,b]@latest"),
        ("pkg[x]@1", "pkg", "pkg[x]==1"),
        ("pkg==1", "pkg", "pkg==1"),
        ("pkg == 1.*", "pkg", "pkg==1.*"),
        ("pkg>=1,<2", "pkg", "pkg>=1,<2"),
        ("pkg [x,x] ~= 1.2", "pkg", "pkg[x]~=1.2"),
        ("pkg (>=1)", "pkg", "pkg>=1"),
        ("pkg[]", "pkg", "pkg"),
    ] {
        let spec = PypiSpec::parse_command(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((spec.typed.as_str(), spec.to_string().as_str()), (typed, want), "{text}");
    }
    for text in [
        "",
        "pkg@",
        "pkg@next",
        "pkg@^1",
        "pkg@1.*",
        "pkg@LATEST",
        "pkg=1",
        "pkg>",
        "pkg[",
        "pkg[x",
        "pkg[,]",
        "pkg[x.]",
        "pkg[x.",
        "pkg x",
        "a,b",
        "@1",
        "[x]",
        "==1",
        "pkg;python_version>'3'",
        "pkg>=1 ; extra == 'x'",
        "pkg-",
        "\u{2013}y",
    ] {
        assert!(!PypiSpec::parse_command(text).unwrap_err().hints.is_empty(), "{text}");
    }
}

#[test]
fn requirements_have_no_at() {
    assert_eq!(PypiSpec::parse_requirement("mcp<2").map(|s| s.to_string()).as_deref(), Ok("mcp<2"));
    for text in ["a@1.2", "a@latest", "a[x] @ 1.2"] {
        let error = PypiSpec::parse_requirement(text).unwrap_err();
        assert!(error.what.contains("does not name a version"), "{error}");
    }
}

/// What it names, in uv's own words; with name and extras.
fn place(text: &str) -> (String, String) {
    let spec = PypiSpec::parse_command(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let PypiRequest::Source(source) = &spec.request else { panic!("{text} is on an index") };
    (format!("{}[{}]", spec.typed, spec.extras.join(",")), source.pypi_text())
}

#[test]
fn repositories_and_archives() {
    let whole = "0123456789abcdef0123456789abcdef01234567";
    let committed = format!("git+https://h/o/r@{whole}");
    for (text, want) in [
        ("git+https://github.com/o/r", "git+https://github.com/o/r"),
        ("git+https://github.com/o/r.git", "git+https://github.com/o/r.git"),
        ("git+https://h/o/r@main", "git+https://h/o/r@main"),
        ("git+https://h/o/r.git@v1.2#subdirectory=servers/web", "git+https://h/o/r.git@v1.2#subdirectory=servers/web"),
        ("git+https://h/o/r#subdirectory=./a/", "git+https://h/o/r#subdirectory=a"),
        (committed.as_str(), committed.as_str()),
        ("git+http://127.0.0.1:8000/r", "git+http://127.0.0.1:8000/r"),
        ("https://h/x-1.0-py3-none-any.whl", "https://h/x-1.0-py3-none-any.whl"),
        ("https://h/x-1.0.tar.gz", "https://h/x-1.0.tar.gz"),
        ("http://h/x.zip?y=1", "http://h/x.zip?y=1"),
    ] {
        assert_eq!(place(text), ("[]".to_owned(), want.to_owned()), "{text}");
        assert_eq!(place(&format!("My.Pkg @ {text}")), ("My.Pkg[]".to_owned(), want.to_owned()), "{text}");
        assert_eq!(place(&format!("pkg[b,a]@{text}")), ("pkg[a,b]".to_owned(), want.to_owned()), "{text}");
        assert_eq!(PypiSpec::parse_requirement(text).unwrap(), PypiSpec::parse_command(text).unwrap(), "{text}");
    }
    assert!(matches!(reference(&committed), Reference::Commit(_)));
    assert!(matches!(reference("git+https://h/o/r@0123456"), Reference::Name(_)), "it may be a branch");
}

fn reference(text: &str) -> Reference {
    match PypiSpec::parse_command(text).unwrap().request {
        PypiRequest::Source(Source::Git(git)) => git.reference,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_is_on_this_machine() {
    for (text, typed, extras, path, sort) in [
        ("./x.whl", "", "", "./x.whl", Sort::Archive),
        ("x.tar.gz", "", "", "x.tar.gz", Sort::Archive),
        ("file:///d/x.whl", "", "", "/d/x.whl", Sort::Archive),
        ("pkg @ ./x.whl", "pkg", "", "./x.whl", Sort::Archive),
        ("pkg[a] @ file:///d/x.whl", "pkg", "a", "/d/x.whl", Sort::Archive),
        ("./dir", "", "", "./dir", Sort::Folder),
        ("dir/", "", "", "dir/", Sort::Folder),
        ("o/r", "", "", "o/r", Sort::Folder),
        (".", "", "", ".", Sort::Folder),
        (".[x]", "", "x", ".", Sort::Folder),
        ("/d e/f[y,x]", "", "x,y", "/d e/f", Sort::Folder),
        ("file:///d", "", "", "/d", Sort::Folder),
        ("pkg@./d", "pkg", "", "./d", Sort::Folder),
    ] {
        let spec = PypiSpec::parse_command(text).unwrap();
        assert_eq!((spec.typed.as_str(), spec.extras.join(",").as_str()), (typed, extras), "{text}");
        let PypiRequest::Source(Source::Typed(found)) = &spec.request else { panic!("{text}: {spec:?}") };
        assert_eq!((found.path.as_str(), found.sort), (path, sort), "{text}");
        assert_eq!(PypiSpec::parse_command(&spec.to_string()).unwrap(), spec, "{text}");
    }
}

#[test]
fn what_names_no_package_says_what_would() {
    use crate::error::Kind::{Refused, Usage};
    for (text, kind, word) in [
        ("~/d", Usage, "stand for something else"),
        ("git+file:///d", Refused, "a git repository on this machine"),
        ("GIT+HTTPS://h/o/r", Usage, "capital letters"),
        ("C:\\d", Refused, "a folder in a way"),
        ("./d[x]y", Usage, "stand for something else"),
        ("./d,e", Usage, "stand for something else"),
        ("git+ssh://git@github.com/o/r", Refused, "by ssh"),
        ("pkg @ git+ssh://git@h/o/r.git@main", Refused, "by ssh"),
        ("git+git@github.com:o/r", Refused, "by ssh"),
        ("git+https://user:pw@h/o/r", Refused, "a login"),
        ("https://user:pw@h/x.whl", Refused, "a login"),
        ("git+https://h/o/r ; python_version>'3'", Refused, "a condition"),
        ("pkg @ https://h/x.whl ; sys_platform == 'linux'", Refused, "a condition"),
        ("https://h/x.whl#sha256=00", Refused, "behind a `#`"),
        ("git+https://h/o/r#egg=pkg", Refused, "behind the `#`"),
        ("git+https://h/o/r#subdirectory=../x", Usage, "does not name a folder"),
        ("git+https://h/o/r#subdirectory=a&subdirectory=b", Usage, "two folders"),
        ("git+https://h/o/r@", Usage, "does not name a commit"),
        ("git+https://h/o/r@a..b", Usage, "does not name a commit"),
        ("git+...", Usage, "does not name a git repository"),
        ("git+https://h", Usage, "does not name a git repository"),
        ("git+https://h/r?x=1", Usage, "does not name a git repository"),
        ("https://github.com/o/r", Usage, "neither a wheel nor"),
        ("hg+https://h/o/r", Usage, "no way to"),
        ("git+https://h/o/r x", Usage, "a space"),
        ("pkg @ https://h/x.whl[a]", Usage, "wrong end"),
    ] {
        let error = PypiSpec::parse_command(text).map(|s| s.to_string()).unwrap_err();
        assert_eq!(error.kind, kind, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
        assert!(!error.hints.is_empty() && !error.to_string().contains("pw"), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = PypiSpec::parse_command(&text);
        let _ = PypiSpec::parse_requirement(&text);
    }

    #[test]
    fn never_panics_near_the_grammar(text in "[a-zA-Z0-9._-]{0,4}(\\[[a-z,]{0,4}\\]?)?[ @<>=!~;#$\\{\\}(]{0,3}[a-z0-9.*/:]{0,6}") {
        let _ = PypiSpec::parse_command(&text);
    }

    #[test]
    fn what_is_shown_parses_again(text in "[a-zA-Z][a-z0-9._-]{0,4}(\\[[a-z]\\])?(@|==|>=|~=)[0-9]\\.[0-9](rc1)?") {
        if let Ok(spec) = PypiSpec::parse_command(&text) {
            let again = PypiSpec::parse_command(&spec.to_string());
            prop_assert_eq!(again.map(|s| (s.name, s.extras, s.request)), Ok((spec.name, spec.extras, spec.request)));
        }
    }
}

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

#[test]
fn other_forms_are_told_apart() {
    use UnsupportedForm::{Directory, File, Git, Url};
    for (text, want) in [
        ("git+https://h/o/r", Git),
        ("git+https://h/o/r.git@v1#subdirectory=d", Git),
        ("git+ssh://git@h/o/r", Git),
        ("pkg @ git+https://h/o/r", Git),
        ("pkg@git+https://h/o/r", Git),
        ("pkg[x] @ https://h/x.whl", Url),
        ("https://h/x.whl", Url),
        ("https://user@h/x", Url),
        ("./x.whl", File),
        ("x.tar.gz", File),
        ("file:///d/x.whl", File),
        ("pkg @ ./x.whl", File),
        ("./dir", Directory),
        ("dir/", Directory),
        (".", Directory),
        (".[x]", Directory),
        ("~/d", Directory),
        ("file:///d", Directory),
        ("C:\\d", Directory),
        ("pkg@./d", Directory),
    ] {
        let error = PypiSpec::parse_command(text).unwrap_err();
        assert_eq!(error, want.refuse(text), "{text}");
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

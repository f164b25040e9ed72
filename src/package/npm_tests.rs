//! Names and specs whose meaning was seen by asking npm-package-arg 13.

use proptest::prelude::*;

use super::*;

#[test]
fn names() {
    for name in ["a", "mcp-remote", "@scope/name", "JSONStream", "x.y_z~1", "http", "@s/_x", "a!b'(c)*", "3", "@S/P"] {
        assert_eq!(NpmName::parse(name).map(|n| n.as_str().to_owned()).as_deref(), Ok(name));
    }
    let long = "x".repeat(MAX_NAME + 1);
    for name in [
        "",
        " a",
        "a ",
        "a b",
        ".a",
        "..",
        "-a",
        "_a",
        "@",
        "@/",
        "@s",
        "@s/",
        "@/p",
        "@../p",
        "@./p",
        "@-s/p",
        "@s/.p",
        "@s/-p",
        "@s/../p",
        "@s/p/q",
        "a/b",
        "a\\b",
        "a%2fb",
        "a\0b",
        "é",
        "a:b",
        "a@b",
        "node_modules",
        "Node_Modules",
        "@s/node_modules",
        "favicon.ico",
        "\u{2013}y",
        long.as_str(),
    ] {
        let error = NpmName::parse(name).unwrap_err();
        assert!(!error.hints.is_empty(), "{name:?}");
    }
    let name = NpmName::parse("@s/p").unwrap();
    assert_eq!((name.scope(), name.unscoped()), (Some("@s"), "p"));
    assert_eq!(NpmName::parse("p").unwrap().scope(), None);
}

fn kind(text: &str) -> (String, String) {
    let spec = NpmSpec::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let kind = match &spec.request {
        NpmRequest::Any => "any".to_owned(),
        NpmRequest::Version(v) => format!("version {v}"),
        NpmRequest::Range(r) => format!("range {r}"),
        NpmRequest::Tag(t) => format!("tag {t}"),
    };
    (spec.name.as_str().to_owned(), kind)
}

#[test]
fn requests() {
    for (text, name, want) in [
        ("pkg", "pkg", "any"),
        ("pkg@", "pkg", "any"),
        ("@s/p", "@s/p", "any"),
        ("@s/p@1.2.3", "@s/p", "version 1.2.3"),
        ("pkg@1.2.3-beta.1", "pkg", "version 1.2.3-beta.1"),
        ("pkg@v1.2.3", "pkg", "version 1.2.3"),
        ("pkg@=1.2.3", "pkg", "version 1.2.3"),
        ("pkg@^1", "pkg", "range ^1"),
        ("pkg@1", "pkg", "range 1"),
        ("pkg@1.x", "pkg", "range 1.x"),
        ("pkg@x", "pkg", "range x"),
        ("pkg@*", "pkg", "range *"),
        ("pkg@>=1 <2", "pkg", "range >=1 <2"),
        ("pkg@1.0.0 - 2.0.0", "pkg", "range 1.0.0 - 2.0.0"),
        ("pkg@latest", "pkg", "tag latest"),
        ("pkg@next ", "pkg", "tag next"),
        ("pkg@beta-1", "pkg", "tag beta-1"),
    ] {
        assert_eq!(kind(text), (name.to_owned(), want.to_owned()), "{text}");
    }
    for text in ["pkg@a b", "pkg@1.2.3beta", "pkg@01.2.3", "pkg@1.2.3@4", "pkg@@", "pkg@é", "a.tgz@", "a,b"] {
        assert!(!NpmSpec::parse(text).unwrap_err().hints.is_empty(), "{text}");
    }
}

#[test]
fn other_forms_are_told_apart() {
    use UnsupportedForm::{Alias, Directory, File, Git, Url};
    for (text, want) in [
        ("owner/repo", Git),
        ("owner/repo#main", Git),
        ("github:o/r", Git),
        ("gitlab:o/r#semver:^1", Git),
        ("https://github.com/o/r", Git),
        ("https://github.com/o/r.git", Git),
        ("https://www.github.com/o/r", Git),
        ("git+https://h/o/r", Git),
        ("git+ssh://git@h/o/r", Git),
        ("git://h/o/r", Git),
        ("git@host.com:o/r", Git),
        ("name@github:o/r", Git),
        ("@s/p@o/r", Git),
        ("https://h/x.tgz", Url),
        ("http://h/x", Url),
        ("name@https://h/x.tgz", Url),
        ("https://github.com.evil/o/r", Url),
        ("x.tgz", File),
        ("./x.tar.gz", File),
        ("file:x.tgz", File),
        ("name@file:x.tgz", File),
        ("./d", Directory),
        ("../d", Directory),
        ("/d", Directory),
        ("~/d", Directory),
        (".", Directory),
        ("d/", Directory),
        ("C:\\d", Directory),
        ("file:d", Directory),
        ("name@./d", Directory),
        ("npm:bar", Alias),
        ("foo@npm:bar@1", Alias),
    ] {
        assert_eq!(unsupported_form(text), Some(want), "{text}");
        let error = NpmSpec::parse(text).unwrap_err();
        assert_eq!((error.kind, error.hints.len()), (crate::error::Kind::Refused, 1), "{text}");
    }
    for text in ["pkg", "@s/p", "pkg@1.2.3", "@s/p@^1", "pkg@>=1 <2", "pkg@latest", "@s/x.tgz", "a~b"] {
        assert_eq!(unsupported_form(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = NpmSpec::parse(&text);
    }

    #[test]
    fn what_is_shown_parses_again(text in "(@[a-z]{1,3}/)?[a-zA-Z0-9._~-]{1,6}(@[a-z0-9.^~<>= |*v-]{0,8})?") {
        if let Ok(spec) = NpmSpec::parse(&text) {
            prop_assert_eq!(NpmSpec::parse(&spec.to_string()), Ok(spec));
        }
    }
}

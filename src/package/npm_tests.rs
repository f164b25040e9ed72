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
        NpmRequest::Source(_) => panic!("{text} is in no registry"),
    };
    (spec.name.unwrap().as_str().to_owned(), kind)
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
fn an_alias_is_the_package_that_it_stands_for() {
    for (text, want) in
        [("npm:bar", "bar"), ("foo@npm:bar@1", "bar@1"), ("foo@npm:@s/b@^1", "@s/b@^1"), ("@s/x@NPM:b@next", "b@next")]
    {
        assert_eq!(NpmSpec::parse(text).map(|s| s.to_string()).as_deref(), Ok(want), "{text}");
    }
    for text in [
        "npm:",
        "npm:npm:x",
        "foo@npm:bar@npm:x",
        "npm:o/r",
        "npm:x.tgz",
        "npm:./d",
        "foo@npm:github:o/r",
        "npm:https://h/x.tgz",
        ".x@npm:bar",
    ] {
        assert!(!NpmSpec::parse(text).unwrap_err().hints.is_empty(), "{text}");
    }
}

/// What it names, in npm's own words; with the name that stands before it.
fn place(text: &str) -> (Option<String>, String) {
    let spec = NpmSpec::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let NpmRequest::Source(source) = &spec.request else { panic!("{text} is in a registry") };
    (spec.name.map(|n| n.as_str().to_owned()), source.npm_text())
}

#[test]
fn repositories_and_archives() {
    for (text, want) in [
        ("owner/repo", "git+https://github.com/owner/repo.git"),
        ("owner/repo#", "git+https://github.com/owner/repo.git"),
        ("owner/repo#main", "git+https://github.com/owner/repo.git#main"),
        ("owner/repo#feature/x", "git+https://github.com/owner/repo.git#feature/x"),
        ("owner/repo#semver:%5E1", "git+https://github.com/owner/repo.git#semver:^1"),
        ("owner/repo#path:./a/b", "git+https://github.com/owner/repo.git#path:a/b"),
        ("owner/repo#path:sub::semver:^1", "git+https://github.com/owner/repo.git#semver:^1::path:sub"),
        ("github:o/r", "git+https://github.com/o/r.git"),
        ("github:o/r.git#v1", "git+https://github.com/o/r.git#v1"),
        ("gitlab:g/s/r#semver:^1", "git+https://gitlab.com/g/s/r.git#semver:^1"),
        ("gist:o/abc", "git+https://gist.github.com/abc.git"),
        ("gist:abc", "git+https://gist.github.com/abc.git"),
        ("bitbucket:o/r", "git+https://bitbucket.org/o/r.git"),
        ("sourcehut:~o/r", "git+https://git.sr.ht/~o/r"),
        ("https://github.com/o/r", "git+https://github.com/o/r.git"),
        ("https://github.com/o/r.git", "git+https://github.com/o/r.git"),
        ("https://www.github.com/o/r", "git+https://github.com/o/r.git"),
        ("https://github.com:443/o/r", "git+https://github.com/o/r.git"),
        ("https://GitHub.com/o/r?tab=readme", "git+https://github.com/o/r.git"),
        ("https://github.com/o/r/tree/dev", "git+https://github.com/o/r.git#dev"),
        ("http://github.com/o/r", "git+https://github.com/o/r.git"),
        ("https://gitlab.com/g/s/r", "git+https://gitlab.com/g/s/r.git"),
        ("https://gist.github.com/o/abc", "git+https://gist.github.com/abc.git"),
        ("git+https://h.example/o/r", "git+https://h.example/o/r"),
        ("git+https://h.example/o/r.git#v1.2", "git+https://h.example/o/r.git#v1.2"),
        ("git+http://127.0.0.1:8000/r", "git+http://127.0.0.1:8000/r"),
        // npm asks these hosts by https first, whatever the address says.
        ("git+ssh://git@github.com/o/r.git#main", "git+https://github.com/o/r.git#main"),
        ("git+ssh://git@github.com:o/r", "git+https://github.com/o/r.git"),
        ("git@github.com:o/r#x", "git+https://github.com/o/r.git#x"),
        ("git://github.com/o/r", "git+https://github.com/o/r.git"),
        ("https://github.com/o/r/archive/main.tar.gz", "https://github.com/o/r/archive/main.tar.gz"),
        ("https://h/x.tgz", "https://h/x.tgz"),
        ("https://h/x.tgz#sha", "https://h/x.tgz"),
        ("http://h/x", "http://h/x"),
        ("https://github.com.evil/o/r", "https://github.com.evil/o/r"),
        ("https://evil/github.com/o/r", "https://evil/github.com/o/r"),
        ("https://github.com:8443/o/r", "https://github.com:8443/o/r"),
    ] {
        assert_eq!(place(text), (None, want.to_owned()), "{text}");
        for named in ["name", "@s/p"] {
            // A name before `user@host:path` would be part of the user.
            if !text.starts_with("git@") {
                assert_eq!(place(&format!("{named}@{text}")), (Some(named.to_owned()), want.to_owned()), "{text}");
            }
        }
    }
    let whole = "0123456789ABCDEF0123456789abcdef01234567";
    let NpmRequest::Source(Source::Git(git)) = NpmSpec::parse(&format!("o/r#{whole}")).unwrap().request else {
        panic!()
    };
    assert!(matches!(git.reference, Reference::Commit(_)));
}

#[test]
fn what_is_on_this_machine() {
    for (text, path, sort) in [
        ("x.tgz", "x.tgz", Sort::Archive),
        ("./x.tar.gz", "./x.tar.gz", Sort::Archive),
        ("file:x.tgz", "x.tgz", Sort::Archive),
        ("name@file:x.tgz", "x.tgz", Sort::Archive),
        ("name@x.tgz", "x.tgz", Sort::Archive),
        ("./d", "./d", Sort::Folder),
        ("/d@1/e f", "/d@1/e f", Sort::Folder),
        ("~/d", "~/d", Sort::Folder),
        (".", ".", Sort::Folder),
        ("d/", "d/", Sort::Folder),
        ("owner/repo/", "owner/repo/", Sort::Folder),
        ("github.com/o/r", "github.com/o/r", Sort::Folder),
        ("file:d", "d", Sort::Folder),
        ("@s/name@./d", "./d", Sort::Folder),
    ] {
        let spec = NpmSpec::parse(text).unwrap();
        assert_eq!(spec.name.is_some(), text.contains("name"), "{text}");
        let NpmRequest::Source(Source::Typed(typed)) = &spec.request else { panic!("{text}: {spec:?}") };
        assert_eq!((typed.path.as_str(), typed.sort), (path, sort), "{text}");
        assert_eq!(spec.to_string(), text);
    }
}

#[test]
fn what_names_no_package_says_what_would() {
    use crate::error::Kind::{Refused, Usage};
    for (text, kind, word) in [
        ("C:\\d", Refused, "a folder in a way"),
        ("git+file:///d", Refused, "a git repository on this machine"),
        ("./a#b", Refused, "stand for something else"),
        ("git+ssh://git@h.example/o/r", Refused, "by ssh"),
        ("git+ssh://git@h.example:22/o/r", Refused, "by ssh"),
        ("git@host.com:o/r", Refused, "by ssh"),
        ("git://h/o/r", Refused, "git's own protocol"),
        ("https://user:pw@github.com/o/r", Refused, "a login"),
        ("https://user@h/x.tgz", Refused, "a login"),
        ("owner/repo#path:../sub", Usage, "not a folder of the repository"),
        ("owner/repo#path:a::path:b", Usage, "two folders"),
        ("owner/repo#a::semver:^1", Usage, "two"),
        ("owner/repo#what:ever", Usage, "no meaning"),
        ("owner/repo#semver:nope nope", Usage, "not a range"),
        ("owner/repo#HEAD~3", Usage, "does not name a commit"),
        ("github:o", Usage, "does not name a git repository"),
        ("github:u@o/r", Usage, "does not name a git repository"),
        ("https://github.com/o%2fx/r", Usage, "does not name a git repository"),
        ("git+https://h.example", Usage, "does not name a git repository"),
        ("git+https://h.example/r?x=1", Usage, "does not name a git repository"),
        ("ftp://h/x.tgz", Usage, "no way to"),
        ("https:", Usage, "not an address"),
    ] {
        let error = NpmSpec::parse(text).map(|s| s.to_string()).unwrap_err();
        assert_eq!(error.kind, kind, "{text}: {error}");
        assert!(error.to_string().contains(word), "{text}: {error}");
        assert!(!error.hints.is_empty() && !error.to_string().contains("pw"), "{text}: {error}");
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

    #[test]
    fn a_source_that_is_shown_parses_again(
        text in "(n@)?(o/r|github:o/r|gitlab:g/s/r|git[+]https://h[.]x/r|https://h/x)(#(semver:\\^1|main::path:a/b|[a-z./:]{0,6}))?"
    ) {
        if let Ok(spec) = NpmSpec::parse(&text) {
            prop_assert_eq!(NpmSpec::parse(&spec.to_string()), Ok(spec));
        }
    }
}

//! Git's protocol, against a server on the loopback that says what a real one said.

use super::*;
use crate::registry::testing::{Server, answer, client};

const A: &str = "1111111111111111111111111111111111111111";
const B: &str = "2222222222222222222222222222222222222222";
const C: &str = "3333333333333333333333333333333333333333";

/// What a server says of its references.
fn advertised(lines: &[(&str, &str)]) -> String {
    let mut text = pkt_line("# service=git-upload-pack\n") + "0000";
    for (i, (commit, name)) in lines.iter().enumerate() {
        let able = if i == 0 { "\0multi_ack side-band-64k ofs-delta shallow" } else { "" };
        text += &pkt_line(&format!("{commit} {name}{able}\n"));
    }
    text + "0000"
}

fn refs(lines: &[(&str, &str)]) -> Refs {
    Refs::parse(advertised(lines).as_bytes()).unwrap()
}

#[test]
fn references() {
    let refs = refs(&[
        (A, "HEAD"),
        (A, "refs/heads/main"),
        (B, "refs/heads/both"),
        (B, "refs/pull/7/head"),
        (A, "refs/tags/both"),
        (B, "refs/tags/v1"),
        (C, "refs/tags/v1^{}"),
        (C, "refs/heads/feature/x"),
    ]);
    let commit = |text: &str| Commit::parse(text);
    let named = |name: &str, ecosystem| refs.find(&Reference::Name(name.into()), ecosystem);
    for (name, npm, pypi) in [
        ("main", Some(A), Some(A)),
        ("HEAD", Some(A), Some(A)),
        ("feature/x", Some(C), Some(C)),
        // What a tag is on, not the tag.
        ("v1", Some(C), Some(C)),
        ("both", Some(A), Some(B)),
        ("refs/tags/both", Some(A), Some(A)),
        ("pull/7", Some(B), None),
        ("refs/pull/7/head", Some(B), Some(B)),
        ("nope", None, None),
        ("heads/main", Some(A), None),
        ("1111111", None, None),
    ] {
        assert_eq!(named(name, Ecosystem::Npm), npm.and_then(commit), "npm {name}");
        assert_eq!(named(name, Ecosystem::Pypi), pypi.and_then(commit), "pypi {name}");
    }
    assert_eq!(refs.find(&Reference::Head, Ecosystem::Npm), commit(A));
}

#[test]
fn ranges_of_tags() {
    let lines = [
        (A, "HEAD"),
        (A, "refs/tags/v1.2.0"),
        (B, "refs/tags/release-1.3.0"),
        (C, "refs/tags/2.0.0-rc.1"),
        (C, "refs/tags/junk"),
    ];
    let find = |refs: &Refs, range: &str| refs.find(&Reference::Range(range.into()), Ecosystem::Npm);
    let on_tag = refs(&lines);
    // The one that the default branch is at counts as the newest.
    assert_eq!(find(&on_tag, "^1"), Commit::parse(A));
    assert_eq!(find(&on_tag, "1.3"), Commit::parse(B));
    assert_eq!(find(&on_tag, "^3"), None);
    let mut elsewhere = lines;
    elsewhere[0].0 = C;
    assert_eq!(find(&refs(&elsewhere), "^1"), Commit::parse(B));
}

#[test]
fn answers_that_are_not_gits() {
    let whole = advertised(&[(A, "HEAD")]);
    for bad in ["", "<html>", "0000", &whole[..whole.len() - 2], "001e# service=git-upload-pack\n0000zzzz", "0003"] {
        assert!(Refs::parse(bad.as_bytes()).is_none(), "{bad}");
    }
    assert_eq!(pack_of(b"0008NAK\nPACK").unwrap(), b"PACK");
    assert_eq!(
        pack_of(b"0034shallow 1111111111111111111111111111111111111111").unwrap_err(),
        "its answer is not git's"
    );
    assert!(pack_of(pkt_line("ERR upload-pack: not our ref").as_bytes()).unwrap_err().contains("not our ref"));
}

fn source(url: &str, reference: Reference) -> GitSource {
    GitSource { repository: Url::parse(url).unwrap(), reference, subdirectory: None }
}

#[test]
fn asks_for_one_commit_with_the_login_of_its_host() {
    let server = Server::start(|line, _| match line {
        l if l.starts_with("GET /o/r.git/info/refs?service=git-upload-pack ") => {
            answer("200 OK", "", &advertised(&[(A, "HEAD")]))
        }
        _ => answer("401 Unauthorized", "", ""),
    });
    let mut credentials = Credentials::default();
    let url = Url::parse(&server.url).unwrap();
    let auth = crate::registry::auth::Auth::basic("me", "pw");
    credentials.add(crate::registry::auth::Realm::of(&url).unwrap(), auth);
    let (client, proxies) = (client(), Proxies::default());
    let access = Access { client: &client, credentials: &credentials, proxies: &proxies };
    let place = source(&format!("{}/o/r.git", server.url), Reference::Head);
    assert_eq!(resolve(&access, &place, Ecosystem::Npm).unwrap().as_str(), A);
    assert!(server.requests()[0].contains("authorization: basic"));
    let error =
        resolve(&access, &source(&format!("{}/other", server.url), Reference::Head), Ecosystem::Npm).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.hints[0].contains("~/.netrc"), "{error:?}");
    let error =
        resolve(&access, &source(place.repository.as_str(), Reference::Name("abcdef0".into())), Ecosystem::Pypi);
    let error = error.unwrap_err();
    assert!(error.hints.iter().any(|h| h.contains("40 digits")), "{error:?}");
    // A whole commit needs no question.
    let asked = server.requests().len();
    let commit = Commit::parse(C).unwrap();
    assert_eq!(
        resolve(&access, &source("http://127.0.0.1:1/r", Reference::Commit(commit.clone())), Ecosystem::Npm),
        Ok(commit)
    );
    assert_eq!(server.requests().len(), asked);
}

use super::*;
use crate::registry::auth::Realm;
use crate::registry::testing::{Server, answer, client, json};

struct With {
    credentials: Credentials,
    proxies: Proxies,
}

impl With {
    fn nothing() -> Self {
        Self { credentials: Credentials::default(), proxies: Proxies::default() }
    }

    fn token(url: &str) -> Self {
        let mut with = Self::nothing();
        let realm = Realm::of(&Url::parse(url).unwrap()).unwrap();
        with.credentials.add(realm, Auth::Bearer(Secret::new("T0")));
        with
    }

    fn get(&self, url: &str) -> Result<Answer> {
        client().get(&Get {
            url: &Url::parse(url).unwrap(),
            accept: "application/json",
            credentials: &self.credentials,
            proxies: &self.proxies,
        })
    }
}

fn has_token(request: &str) -> bool {
    request.contains("authorization: bearer t0")
}

#[test]
fn trouble_is_tried_again() {
    let server = Server::start(|_, count| match count {
        1 => answer("503 Service Unavailable", "", ""),
        2 => answer("429 Too Many Requests", "retry-after: 0\r\n", ""),
        _ => answer("200 OK", "content-type: Application/JSON; charset=utf-8\r\n", "{}"),
    });
    let got = With::nothing().get(&server.url).unwrap();
    assert_eq!(got.content_type, "application/json");
    assert_eq!(got.body, b"{}");
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn trouble_without_end_is_the_networks() {
    let server = Server::start(|_, _| answer("502 Bad Gateway", "", ""));
    let error = With::nothing().get(&server.url).unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert!(error.what.contains("127.0.0.1:") && error.causes[0].contains("502"));
    assert_eq!(server.requests().len(), Limits::default().tries as usize);
}

#[test]
fn a_long_retry_after_is_not_waited_for() {
    let server = Server::start(|_, _| answer("429 Slow Down", "retry-after: 3600\r\n", ""));
    let error = With::nothing().get(&server.url).unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn final_answers_are_not_tried_again() {
    for (status, kind) in [
        ("404 Not Found", Kind::NotFound),
        ("401 Unauthorized", Kind::Refused),
        ("403 Forbidden", Kind::Refused),
        ("418 Teapot", Kind::Failed),
    ] {
        let server = Server::start(move |_, _| answer(status, "", "no"));
        assert_eq!(With::nothing().get(&server.url).unwrap_err().kind, kind);
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn nobody_there_names_the_host() {
    let error = With::nothing().get("http://127.0.0.1:1/x").unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert_eq!(error.what, "can't reach 127.0.0.1:1");
    let error = With::nothing().get("http://no-such-host.invalid/").unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert!(error.what.contains("no-such-host.invalid"));
}

#[test]
fn silence_ends() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let start = std::time::Instant::now();
    let error = With::nothing().get(&url).unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert!(error.to_string().contains("in time"));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn too_much_is_refused_and_too_little_is_tried_again() {
    let server = Server::start(|_, _| json(&"x".repeat(10_001)));
    let error = With::nothing().get(&server.url).unwrap_err();
    assert!(error.what.contains("too much"));
    let server = Server::start(|_, count| match count {
        1 => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx".to_owned(),
        _ => json("{}"),
    });
    assert_eq!(With::nothing().get(&server.url).unwrap().body, b"{}");
}

#[test]
fn a_token_goes_to_its_own_path_only() {
    let server = Server::start(|_, _| json("{}"));
    let with = With::token(&format!("{}/team/", server.url));
    with.get(&format!("{}/team/p", server.url)).unwrap();
    with.get(&format!("{}/other/p", server.url)).unwrap();
    let seen = server.requests();
    assert!(has_token(&seen[0]) && !has_token(&seen[1]));
}

#[test]
fn a_redirect_to_another_host_gets_no_token() {
    let elsewhere = Server::start(|_, _| json("{}"));
    let name = elsewhere.url.replace("127.0.0.1", "localhost");
    for target in [elsewhere.url.clone(), name] {
        let to = format!("location: {target}/got\r\n");
        let server = Server::start(move |_, _| answer("302 Found", &to, ""));
        // Even a token that belongs to the target is not sent there.
        let mut with = With::token(&server.url);
        let realm = Realm::of(&Url::parse(&target).unwrap()).unwrap();
        with.credentials.add(realm, Auth::Bearer(Secret::new("T0")));
        with.get(&server.url).unwrap();
        assert!(has_token(&server.requests()[0]));
    }
    let seen = elsewhere.requests();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|r| !r.contains("authorization")));
}

#[test]
fn a_redirect_at_home_keeps_the_token_and_loops_end() {
    let server =
        Server::start(
            |line, _| {
                if line.contains("/b") { json("{}") } else { answer("301 Moved", "location: /b\r\n", "") }
            },
        );
    With::token(&server.url).get(&server.url).unwrap();
    assert!(server.requests().iter().all(|r| has_token(r)));
    let server = Server::start(|_, _| answer("302 Found", "location: /\r\n", ""));
    let error = With::nothing().get(&server.url).unwrap_err();
    assert!(error.what.contains("without end"));
    assert_eq!(server.requests().len(), MAX_REDIRECTS + 1);
}

#[test]
fn redirects_stay_encrypted_and_bring_no_user() {
    let from = Url::parse("https://h.example/a/b").unwrap();
    assert!(redirect_target(&from, "http://h.example/").is_err());
    assert!(redirect_target(&from, "file:///etc/passwd").is_err());
    let to = redirect_target(&from, "//u:p@other.example/c").unwrap();
    assert_eq!(to.as_str(), "https://other.example/c");
    assert_eq!(redirect_target(&from, "../c").unwrap().as_str(), "https://h.example/c");
}

#[test]
fn proxies_are_used_and_bypassed() {
    let proxy = Server::start(|line, _| {
        if line.starts_with("CONNECT") { "HTTP/1.1 200 OK\r\n\r\n".to_owned() } else { json("\"by proxy\"") }
    });
    let mut with = With::nothing();
    let address = proxy.url.replace("//", "//me:pw@");
    with.proxies.http = Some(Secret::new(address));
    let got = with.get("http://registry.invalid/p").unwrap();
    assert_eq!(got.body, b"\"by proxy\"");
    let seen = proxy.requests();
    assert!(seen[0].starts_with("connect registry.invalid:80"), "{}", seen[0]);
    assert!(seen[0].contains("proxy-authorization: basic"));
    assert!(!seen[1].contains("proxy-authorization"));

    let direct = Server::start(|_, _| json("\"direct\""));
    with.proxies.set_bypass("127.0.0.1");
    assert_eq!(with.get(&direct.url).unwrap().body, b"\"direct\"");
}

#[test]
fn a_proxy_that_fails_is_said_without_its_password() {
    let proxy = Server::start(|_, _| answer("407 Authenticate", "", ""));
    let mut with = With::nothing();
    with.proxies.http = Some(Secret::new(proxy.url.replace("//", "//me:hunter2@")));
    let error = with.get("http://registry.invalid/p").unwrap_err();
    assert_eq!(error.kind, Kind::Network);
    assert!(error.what.contains("proxy"), "{error}");
    with.proxies.http = Some(Secret::new("::hunter2::"));
    let bad = with.get("http://registry.invalid/p").unwrap_err();
    assert!(!format!("{error:?} {bad:?}").contains("hunter2"));
}

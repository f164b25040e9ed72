//! Fetching from registries: the user's certificate authorities and proxies, time-outs, tries,
//! and credentials that stay with the addresses they belong to.

use std::io::Read;
use std::time::Duration;

use ureq::Proxy;
use ureq::tls::TlsConfig;
use url::Url;

use super::auth::{Auth, Credentials, Secret};
use super::settings::Proxies;
use super::trust::Trust;
use crate::error::{Error, Kind, Result};

/// A registry that sends us round longer than this will not end.
const MAX_REDIRECTS: usize = 5;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until the whole answer is there.
    pub total: Duration,
    /// How often to try.
    pub tries: u32,
    /// Before the second try; doubled before each further one.
    pub pause: Duration,
    /// The longest `Retry-After` that is waited for.
    pub longest_pause: Duration,
    /// The largest answer, unpacked.
    pub body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(60),
            tries: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(10),
            // The largest real packuments have about 30 MB in npm's short form, and all of each manifest in the long one.
            body: 200 << 20,
        }
    }
}

/// What to fetch, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Get<'a> {
    /// From where.
    pub url: &'a Url,
    /// The `Accept` header.
    pub accept: &'a str,
    /// Of these, those that belong to the address are used.
    pub credentials: &'a Credentials,
    /// The proxies to use.
    pub proxies: &'a Proxies,
}

/// What a registry answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The `Content-Type`, without parameters, in lower case.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Fetches from registries.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    limits: Limits,
}

/// How one try went.
enum Outcome {
    Done(Answer),
    Moved(String),
    /// It may be better in a moment; the registry may have said when.
    Again(Error, Option<Duration>),
    Failed(Error),
}

impl Client {
    /// A client that trusts `trust`.
    pub fn new(trust: &Trust) -> Self {
        Self::with_limits(trust, Limits::default())
    }

    /// A client with other limits.
    pub fn with_limits(trust: &Trust, limits: Limits) -> Self {
        Self::named(concat!("jitbox/", env!("CARGO_PKG_VERSION")), trust, limits)
    }

    fn named(user_agent: &str, trust: &Trust, limits: Limits) -> Self {
        let config = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(trust.roots()).build())
            // Else ureq would ask the environment itself; each request names its own.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(limits.connect))
            .timeout_global(Some(limits.total))
            .user_agent(user_agent)
            .build();
        Self { agent: config.new_agent(), limits }
    }

    /// A client for repositories and archives, which are larger. Some hosts show a repository's
    /// web page to everybody who is not called git.
    pub fn for_archives(trust: &Trust) -> Self {
        let limits = Limits { total: Duration::from_secs(300), ..Limits::default() };
        Self::named(concat!("git/2 jitbox/", env!("CARGO_PKG_VERSION")), trust, limits)
    }

    /// Fetches. An answer other than 200 is an error: [`Kind::NotFound`] for 404 and 410,
    /// [`Kind::Refused`] for 401 and 403, [`Kind::Network`] if the registry can't be reached or
    /// has trouble of its own.
    pub fn get(&self, get: &Get<'_>) -> Result<Answer> {
        self.send(get, None)
    }

    /// The same with something to send: git's protocol asks its questions so.
    pub fn post(&self, get: &Get<'_>, content_type: &str, body: &[u8]) -> Result<Answer> {
        self.send(get, Some((content_type, body)))
    }

    fn send(&self, get: &Get<'_>, body: Option<(&str, &[u8])>) -> Result<Answer> {
        let mut url = get.url.clone();
        let mut auth = get.credentials.for_url(&url);
        let mut at_home = true;
        for _ in 0..=MAX_REDIRECTS {
            let to = match self.with_tries(get, body, &url, auth)? {
                Reached::Answer(answer) => return Ok(answer),
                Reached::Moved(to) => to,
            };
            let next = redirect_target(&url, &to)?;
            // Once elsewhere nothing of the user's is sent any more, not even back at home.
            at_home = at_home && next.host_str() == url.host_str() && next.port() == url.port();
            auth = if at_home { get.credentials.for_url(&next) } else { None };
            url = next;
        }
        Err(Error::failed(format!("{} redirects without end", host_of(get.url))))
    }

    fn with_tries(
        &self,
        get: &Get<'_>,
        body: Option<(&str, &[u8])>,
        url: &Url,
        auth: Option<&Auth>,
    ) -> Result<Reached> {
        let mut pause = self.limits.pause;
        let mut tries = 1;
        loop {
            match self.attempt(get, body, url, auth) {
                Outcome::Done(answer) => return Ok(Reached::Answer(answer)),
                Outcome::Moved(to) => return Ok(Reached::Moved(to)),
                Outcome::Failed(error) => return Err(error),
                Outcome::Again(error, asked) => {
                    let wait = asked.unwrap_or(pause);
                    if tries >= self.limits.tries || wait > self.limits.longest_pause {
                        return Err(error);
                    }
                    std::thread::sleep(wait);
                    tries += 1;
                    pause *= 2;
                }
            }
        }
    }

    fn attempt(&self, get: &Get<'_>, body: Option<(&str, &[u8])>, url: &Url, auth: Option<&Auth>) -> Outcome {
        let proxy = match get.proxies.for_url(url).map(parse_proxy).transpose() {
            Ok(proxy) => proxy,
            Err(error) => return Outcome::Failed(error),
        };
        let by_proxy = proxy.is_some();
        let auth = auth.map(Auth::header);
        let auth = auth.as_ref().map(|header| ("authorization", header.expose()));
        let headers = [("accept", get.accept)].into_iter().chain(auth);
        let answer = match body {
            None => {
                let request = headers.fold(self.agent.get(url.as_str()), |r, (name, value)| r.header(name, value));
                request.config().proxy(proxy).build().call()
            }
            Some((content_type, body)) => {
                let headers = headers.chain([("content-type", content_type)]);
                let request = headers.fold(self.agent.post(url.as_str()), |r, (name, value)| r.header(name, value));
                request.config().proxy(proxy).build().send(body)
            }
        };
        match answer {
            Ok(response) => read(response, url, self.limits.body),
            Err(error) => failure(&error, url, by_proxy),
        }
    }
}

enum Reached {
    Answer(Answer),
    Moved(String),
}

/// The address that `to` names from `from`; never from https to http, never anything else.
fn redirect_target(from: &Url, to: &str) -> Result<Url> {
    let refuse = |why: &str| Error::failed(format!("{} redirects {why}", host_of(from)));
    let mut next = from.join(to).map_err(|_| refuse("to nowhere"))?;
    let downgrade = from.scheme() == "https" && next.scheme() != "https";
    if downgrade || !matches!(next.scheme(), "http" | "https") {
        return Err(refuse("to an address that is not encrypted"));
    }
    // A user name in a redirect is the registry's idea, not the user's.
    let _ = next.set_username("");
    let _ = next.set_password(None);
    Ok(next)
}

fn parse_proxy(proxy: &Secret) -> Result<Proxy> {
    // The address may hold a password: it is not repeated.
    Proxy::new(proxy.expose()).map_err(|_| {
        Error::failed("the proxy that is configured is not an address")
            .hint("it must look like http://host:port; see HTTPS_PROXY and npm's `https-proxy`")
    })
}

fn read(mut response: ureq::http::Response<ureq::Body>, url: &Url, most: u64) -> Outcome {
    let status = response.status().as_u16();
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    if status != 200 {
        return other_status(status, url, header("location"), header("retry-after"));
    }
    let content_type = header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    let mut body = Vec::new();
    let reader = response.body_mut().with_config().limit(u64::MAX).reader();
    match reader.take(most + 1).read_to_end(&mut body) {
        Ok(_) if body.len() as u64 <= most => Outcome::Done(Answer { content_type, body }),
        Ok(_) => Outcome::Failed(Error::failed(format!("{} sends too much", host_of(url)))),
        Err(e) => {
            let error = Error::new(Kind::Network, format!("the answer of {} broke off", host_of(url)));
            Outcome::Again(error.because(e), None)
        }
    }
}

fn other_status(status: u16, url: &Url, to: Option<String>, after: Option<String>) -> Outcome {
    let host = host_of(url);
    match (status, to) {
        (301 | 302 | 303 | 307 | 308, Some(to)) => Outcome::Moved(to),
        (404 | 410, _) => Outcome::Failed(Error::not_found(format!("{host} does not have it"))),
        (401 | 403, _) => {
            Outcome::Failed(Error::refused(format!("{host} does not let us in")).because(format!("status {status}")))
        }
        (407, _) => Outcome::Failed(Error::new(Kind::Network, "the proxy does not let us in")),
        (429 | 500..=599, _) => {
            let what = if status == 429 { "has had too many requests" } else { "has trouble" };
            let error = Error::new(Kind::Network, format!("{host} {what}"));
            let after = after.and_then(|text| text.trim().parse().ok());
            Outcome::Again(error.because(format!("status {status}")), after.map(Duration::from_secs))
        }
        _ => Outcome::Failed(Error::failed(format!("{host} answered with status {status}"))),
    }
}

fn failure(error: &ureq::Error, url: &Url, by_proxy: bool) -> Outcome {
    let way = if by_proxy { " through the proxy" } else { "" };
    let reach = Error::new(Kind::Network, format!("can't reach {}{way}", host_of(url)));
    if is_certificate(error) {
        return Outcome::Failed(
            reach.because(error).hint(
                "if your network inspects TLS, name its authority's file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS",
            ),
        );
    }
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Outcome::Again(reach.because("it does not answer in time"), None)
        }
        ureq::Error::Timeout(_) => Outcome::Failed(reach.because("it does not answer in time")),
        ureq::Error::HostNotFound => Outcome::Again(reach.because("its name has no address"), None),
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => {
            Outcome::Again(reach.because(error), None)
        }
        other => Outcome::Failed(reach.because(other)),
    }
}

/// TLS does not hold: trying again will not help.
fn is_certificate(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Pem(_) => true,
        ureq::Error::Io(e) => e.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// The host with its port, for people.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the registry");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Of an answer that can't be read: where it is from. Often it is a page to log in at.
pub fn see(error: Error, url: &Url) -> Error {
    let mut bare = url.clone();
    // Neither can fail: an address that was asked has a host.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    error.hint(format!("look at what {} answers: curl {}", host_of(url), shell_words::quote(bare.as_str())))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;

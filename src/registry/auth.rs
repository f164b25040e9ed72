//! Credentials, and the addresses that each belongs to.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

/// Text that must not be shown: `Debug` prints `***` and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to identify oneself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// A token.
    Bearer(Secret),
    /// A user name and a password.
    Basic {
        /// The user name.
        user: Secret,
        /// The password.
        password: Secret,
    },
}

impl Auth {
    /// A user name and a password.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: Secret::new(user), password: Secret::new(password) }
    }

    /// A user name and a password out of base64 of `user:password`.
    pub fn from_base64(text: &str) -> Option<Self> {
        let (user, password) = decode_base64(text)?.split_once(':').map(|(u, p)| (u.to_owned(), p.to_owned()))?;
        Some(Self::basic(&user, &password))
    }

    /// The value of the `Authorization` header.
    pub fn header(&self) -> Secret {
        Secret::new(match self {
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
            Self::Basic { user, password } => format!("Basic {}", encode_base64(user, password)),
        })
    }
}

/// Base64 of `user:password`.
pub fn encode_base64(user: &Secret, password: &Secret) -> String {
    BASE64_STANDARD.encode(format!("{}:{}", user.expose(), password.expose()))
}

/// The text that base64 stands for.
pub fn decode_base64(text: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(text.trim()).ok()?).ok()
}

/// The addresses that a credential belongs to: a host, its port, and a path with all below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The host, in lower case.
    pub host: String,
    /// The port, if it is not the scheme's own.
    pub port: Option<u16>,
    /// The path, with a slash at its end.
    pub path: String,
}

impl Realm {
    /// `url`'s host and port with its path.
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self { host: url.host_str()?.to_owned(), port: url.port(), path: with_slash(url.path()) })
    }

    /// The same host and port with every path.
    #[must_use]
    pub fn whole_host(mut self) -> Self {
        "/".clone_into(&mut self.path);
        self
    }

    /// Whether it is on `url`'s host and port.
    pub fn is_at(&self, url: &Url) -> bool {
        url.host_str() == Some(self.host.as_str()) && url.port() == self.port
    }

    fn contains(&self, url: &Url) -> bool {
        self.is_at(url) && with_slash(url.path()).starts_with(&self.path)
    }

    /// npm's "nerf dart" form: `//host[:port]/path/`.
    pub fn nerf_dart(&self) -> String {
        match self.port {
            Some(port) => format!("//{}:{port}{}", self.host, self.path),
            None => format!("//{}{}", self.host, self.path),
        }
    }
}

fn with_slash(path: &str) -> String {
    let slash = if path.ends_with('/') { "" } else { "/" };
    format!("{path}{slash}")
}

/// Credentials by the addresses they belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials(Vec<(Realm, Auth)>);

impl Credentials {
    /// Adds one; for a realm that has one already, the older one stays.
    pub fn add(&mut self, realm: Realm, auth: Auth) {
        if !self.0.iter().any(|(known, _)| *known == realm) {
            self.0.push((realm, auth));
        }
    }

    /// The one that belongs to `url`: of several, the one with the longest path, as npm walks up
    /// from the address that it asks for (npm-registry-fetch, `lib/auth.js`).
    pub fn for_url(&self, url: &Url) -> Option<&Auth> {
        self.0
            .iter()
            .filter(|(realm, _)| realm.contains(url))
            .max_by_key(|(realm, _)| realm.path.len())
            .map(|(_, auth)| auth)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Realm, &Auth)> {
        self.0.iter().map(|(realm, auth)| (realm, auth))
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Parses an address of a registry, and takes the user name and password out of it. `None` if it
/// is not an HTTP address.
pub fn split_userinfo(text: &str) -> Option<(Url, Option<Auth>)> {
    let mut url = Url::parse(text.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    let decoded = |s: &str| percent_decode_str(s).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    let auth = (!user.is_empty() || password.is_some()).then(|| Auth::basic(&user, password.as_deref().unwrap_or("")));
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some((url, auth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let mut all = Credentials::default();
        let (url, auth) = split_userinfo("https://me:hunter2@pkgs.example/a/simple").unwrap();
        all.add(Realm::of(&url).unwrap(), auth.unwrap());
        all.add(Realm::of(&url).unwrap().whole_host(), Auth::Bearer(Secret::new("hunter3")));
        let text = format!("{all:?}");
        assert!(!text.contains("hunter") && !text.contains("me"), "{text}");
        assert_eq!(url.as_str(), "https://pkgs.example/a/simple");
    }

    #[test]
    fn a_credential_stays_with_its_host_port_and_path() {
        let mut all = Credentials::default();
        let realm = Realm::of(&Url::parse("https://h.example/team/").unwrap()).unwrap();
        all.add(realm, Auth::Bearer(Secret::new("t")));
        let has = |u: &str| all.for_url(&Url::parse(u).unwrap()).is_some();
        assert!(has("https://h.example/team/pkg"));
        assert!(has("https://h.example/team"));
        assert!(!has("https://h.example/teamster/pkg"));
        assert!(!has("https://h.example/"));
        assert!(!has("https://h.example:8443/team/pkg"));
        assert!(!has("https://h.example/team/%2e%2e/other"));
        assert!(!has("https://h.example.evil/team/pkg"));
    }

    #[test]
    fn userinfo_is_decoded_and_base64_goes_both_ways() {
        let (_, auth) = split_userinfo("http://u%40x:p%3Aw@h:81/").unwrap();
        assert_eq!(auth, Some(Auth::basic("u@x", "p:w")));
        let Some(Auth::Basic { user, password }) = auth else { panic!() };
        let text = encode_base64(&user, &password);
        assert_eq!(decode_base64(&text).unwrap(), "u@x:p:w");
        assert!(split_userinfo("file:///etc/passwd").is_none());
        assert!(split_userinfo("not a url").is_none());
    }
}

//! What the user configured for registries: npm's and Python's own settings, logins, proxies.
//! Only the user's and the system's files and the environment count, never the working directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use url::Url;

use super::auth::Secret;
use super::npmrc::NpmSettings;
use super::python::PythonSettings;
use crate::context::{Context, Env};
use crate::digest;
use crate::error::{Error, Result};
use crate::package::Ecosystem;

/// Settings are small; anything larger is not one.
const MAX_FILE: u64 = 1 << 20;

/// Everything the user configured for registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// npm's.
    pub npm: NpmSettings,
    /// uv's and pip's.
    pub python: PythonSettings,
    about_npm: Remarks,
    about_python: Remarks,
}

/// What reading one tool's settings brought up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// What was configured and is not honoured, for people to read.
    pub notes: Vec<String>,
    /// What was configured, decides what would be run, and can't be honoured: nothing is run.
    pub refusals: Vec<Error>,
}

impl Settings {
    /// Reads them all.
    pub fn load(ctx: &Context) -> Self {
        let (mut about_npm, mut about_python) = (Remarks::default(), Remarks::default());
        let proxies = Proxies::from_env(&ctx.env);
        Self {
            npm: NpmSettings::load(ctx, &proxies, &mut about_npm),
            python: PythonSettings::load(ctx, &proxies, &mut about_python),
            about_npm,
            about_python,
        }
    }

    /// Fails if a setting for `ecosystem` changes what a line means and can't be honoured.
    pub fn check(&self, ecosystem: Ecosystem) -> Result<()> {
        self.remarks(ecosystem).refusals.first().map_or(Ok(()), |refusal| Err(refusal.clone()))
    }

    /// What was configured for `ecosystem` and is not honoured, for people to read.
    pub fn notes(&self, ecosystem: Ecosystem) -> &[String] {
        &self.remarks(ecosystem).notes
    }

    fn remarks(&self, ecosystem: Ecosystem) -> &Remarks {
        match ecosystem {
            Ecosystem::Npm => &self.about_npm,
            Ecosystem::Pypi => &self.about_python,
        }
    }

    /// Fails if the user wants nothing to be fetched.
    pub fn may_fetch(&self, ecosystem: Ecosystem) -> Result<()> {
        let (offline, name) = match ecosystem {
            Ecosystem::Npm => (self.npm.offline, "npm's setting `offline`"),
            Ecosystem::Pypi => (self.python.offline, "uv's setting `offline`"),
        };
        if !offline {
            return Ok(());
        }
        Err(Error::refused(format!("{name} forbids fetching, and there is no box for this line yet"))
            .hint("start it once without that setting; what was built once starts without the network"))
    }

    /// The moment from which on the user's own settings take nothing.
    pub fn newest(&self, ecosystem: Ecosystem) -> Option<&str> {
        match ecosystem {
            Ecosystem::Npm => self.npm.before.as_deref(),
            Ecosystem::Pypi => self.python.newest.as_deref(),
        }
    }

    /// Where a package of that name comes from, without logins: what a grant for it is bound to.
    pub fn registry_of(&self, ecosystem: Ecosystem, name: &str, registry: Option<&str>) -> Result<String> {
        Ok(match ecosystem {
            Ecosystem::Npm => self.npm.with_registry(registry)?.registry_of(name).to_string(),
            // Any of them may turn out to have it.
            Ecosystem::Pypi => {
                let python = self.python.with_default(registry)?;
                python.indexes().map(|index| index.url.as_str()).collect::<Vec<_>>().join(" ")
            }
        })
    }

    /// Which sources a line's packages come from, as far as that is not the public registry's
    /// plain default: lines that differ in it can't share a box. Holds no secret.
    pub fn sources(&self, ecosystem: Ecosystem, registry: Option<&str>) -> Result<Option<String>> {
        let text = match ecosystem {
            Ecosystem::Npm => self.npm.with_registry(registry)?.identity(),
            Ecosystem::Pypi => self.python.with_default(registry)?.identity(),
        };
        Ok((!text.is_empty()).then(|| digest::short(text.as_bytes())))
    }
}

/// Which proxy to use for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `https` addresses; may hold a password.
    pub https: Option<Secret>,
    /// For `http` addresses; may hold a password.
    pub http: Option<Secret>,
    /// Hosts that are reached without one.
    bypass: Vec<String>,
}

impl Proxies {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; the lower-case ones go first, as
    /// with curl.
    pub fn from_env(env: &Env) -> Self {
        let get = |name: &str| env.text(&name.to_lowercase()).or_else(|| env.text(name));
        let all = get("ALL_PROXY");
        let mut proxies = Self {
            https: get("HTTPS_PROXY").or(all).map(Secret::new),
            http: get("HTTP_PROXY").or(all).map(Secret::new),
            bypass: Vec::new(),
        };
        proxies.set_bypass(get("NO_PROXY").unwrap_or_default());
        proxies
    }

    /// Sets the hosts that are reached without a proxy, from a list with commas or spaces.
    pub fn set_bypass(&mut self, list: &str) {
        self.bypass = list.split([',', ' ', '\n']).map(|s| s.trim().to_lowercase()).filter(|s| !s.is_empty()).collect();
    }

    /// The proxy for `url`, if one is to be used.
    pub fn for_url(&self, url: &Url) -> Option<&Secret> {
        let host = url.host_str()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default()?;
        if self.bypass.iter().any(|rule| bypasses(rule, host, port)) {
            return None;
        }
        if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() }
    }

    /// The variables that say the same to programs in a build. Values may hold passwords.
    pub fn variables(&self) -> Vec<(&'static str, Secret)> {
        let bypass = (!self.bypass.is_empty()).then(|| Secret::new(self.bypass.join(",")));
        [("HTTPS_PROXY", self.https.clone()), ("HTTP_PROXY", self.http.clone()), ("NO_PROXY", bypass)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Whether a `NO_PROXY` entry covers a host: itself or a domain above it, `*` for all, with a
/// port if it says one.
fn bypasses(rule: &str, host: &str, port: u16) -> bool {
    if rule == "*" || rule.trim_matches(['[', ']']) == host {
        return true;
    }
    let (name, wanted) = match rule.rsplit_once(':') {
        Some((name, text)) => (name, text.parse::<u16>().ok()),
        None => (rule, None),
    };
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    let covered = host.strip_suffix(name).is_some_and(|above| above.is_empty() || above.ends_with('.'));
    !name.is_empty() && covered && wanted.is_none_or(|p| p == port)
}

/// A path that may start with `~/`, which npm, pip and uv all expand.
pub fn expand_home(ctx: &Context, path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => ctx.home.join(rest),
        None => PathBuf::from(path),
    }
}

/// A settings file that a variable names. A relative path would give the working directory a say.
pub fn named_file(ctx: &Context, variable: &str, path: &str, remarks: &mut Remarks) -> Option<PathBuf> {
    let path = expand_home(ctx, path);
    if path.is_absolute() {
        return Some(path);
    }
    let refusal = Error::refused(format!("{variable} names a file of the working directory, which has no say"));
    remarks.refusals.push(refusal.hint(format!("give {variable} an absolute path, or unset it")));
    None
}

/// A file of certificates that a setting names; a relative path is noted and left aside.
pub fn named_authority(ctx: &Context, setting: &str, path: &str, remarks: &mut Remarks) -> Option<PathBuf> {
    let path = expand_home(ctx, path);
    if !path.is_absolute() {
        remarks.notes.push(format!("{setting} is not an absolute path; ignored"));
        return None;
    }
    Some(path)
}

/// The text of a settings file, `None` if there is none. One that can't be read is refused:
/// without it the packages might come from elsewhere.
pub fn read_settings_file(path: &Path, remarks: &mut Remarks) -> Option<String> {
    let too_large = std::fs::metadata(path).is_ok_and(|m| m.len() > MAX_FILE);
    let read = if too_large { Err(std::io::Error::other("it is too large")) } else { std::fs::read_to_string(path) };
    match read {
        Ok(text) => Some(text),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(e) => {
            let refusal = Error::refused(format!("can't read {}, which says where packages come from", path.display()));
            remarks.refusals.push(refusal.because(e).hint("make the file readable, or remove it"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_by_scheme_and_no_proxy() {
        let env: Env = [
            ("https_proxy", "http://low:1"),
            ("HTTPS_PROXY", "http://up:2"),
            ("ALL_PROXY", "socks5h://all:3"),
            ("NO_PROXY", "localhost, .corp.example,*.lab.example,10.0.0.1:8080,[::1]"),
        ]
        .into_iter()
        .collect();
        let proxies = Proxies::from_env(&env);
        let of = |u: &str| {
            let url = Url::parse(u).unwrap();
            proxies.for_url(&url).map(|p| p.expose().to_owned())
        };
        assert_eq!(of("https://a.example/").as_deref(), Some("http://low:1"));
        assert_eq!(of("http://a.example/").as_deref(), Some("socks5h://all:3"));
        for direct in [
            "http://localhost:99/",
            "https://corp.example/",
            "https://a.b.corp.example/",
            "https://x.lab.example/",
            "http://10.0.0.1:8080/",
            "http://[::1]:3/",
        ] {
            assert_eq!(of(direct), None, "{direct}");
        }
        assert!(of("https://notcorp.example/").is_some());
        assert!(of("http://10.0.0.1:81/").is_some());
        assert!(!format!("{proxies:?}").contains("low"));
    }

    #[test]
    fn nothing_set_is_no_proxy() {
        let proxies = Proxies::from_env(&Env::default());
        assert!(proxies.for_url(&Url::parse("https://x/").unwrap()).is_none());
        assert!(proxies.variables().is_empty());
    }
}

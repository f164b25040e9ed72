//! The user's settings for Python indexes: uv's (environment, `uv.toml`) and, where uv has none,
//! pip's (environment, `pip.conf`). Logins are in the addresses, in `UV_INDEX_<NAME>_*` and in
//! `~/.netrc`. Sources: <https://docs.astral.sh/uv/concepts/indexes/>,
//! <https://pip.pypa.io/en/stable/topics/configuration/>.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::auth::{Auth, Credentials, Realm, Secret, split_userinfo};
use super::settings::{Proxies, Remarks, named_authority, named_file, read_settings_file};
use super::uv;
use super::{cutoff, netrc};
use crate::context::{Context, Env};
use crate::error::{Error, Result};

/// The public index, uv's and pip's default.
pub const DEFAULT_INDEX: &str = "https://pypi.org/simple";

/// One package index (PEP 503).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The name that uv's settings give it.
    pub name: Option<String>,
    /// Its address, without user name and password.
    pub url: Url,
}

/// What the user configured for Python packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonSettings {
    /// The index that is asked last.
    pub default: Index,
    /// Those that are asked before it, in this order.
    pub extra: Vec<Index>,
    /// User names and passwords.
    pub credentials: Credentials,
    /// pip's `cert`: more certificate authorities.
    pub cert: Option<PathBuf>,
    /// The proxies to use for Python packages.
    pub proxies: Proxies,
    /// uv's `prerelease`.
    pub prerelease: Prerelease,
    /// The Python that `UV_PYTHON` or uv's global pin asks for, as `--python` would.
    pub python: Option<String>,
    /// uv's `offline`: nothing is to be fetched.
    pub offline: bool,
    /// uv's `exclude-newer` as a moment: nothing from then on is taken.
    pub newest: Option<String>,
    /// The same as it was written.
    age: String,
}

/// Which pre-releases may be chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prerelease {
    /// uv's default: those that are asked for, and where there is nothing else.
    #[default]
    IfNecessary,
    /// All.
    Allow,
    /// None.
    Disallow,
}

impl PythonSettings {
    /// Reads them. What can't be honoured is said in `remarks`.
    pub fn load(ctx: &Context, proxies: &Proxies, remarks: &mut Remarks) -> Self {
        let pip = pip_settings(ctx, remarks);
        let mut layer = uv::settings(ctx, remarks);
        // uv does not read pip's settings, but who configured a mirror for pip means it.
        if layer.default.is_none() {
            layer.default = pip.get("index-url").cloned();
        }
        if layer.extra.is_empty() {
            let words = pip.get("extra-index-url").map(String::as_str).unwrap_or_default();
            layer.extra = words.split_whitespace().map(str::to_owned).collect();
        }
        let mut credentials = Credentials::default();
        let mut index = |text: &String, remarks: &mut Remarks| {
            let parsed = parse_index(text, &mut credentials, &ctx.env);
            if parsed.is_none() {
                // The public index may have another package of the same name.
                let refusal = Error::refused("an index of uv's or pip's settings is not an http or https address");
                remarks.refusals.push(refusal.hint("correct it in uv.toml, pip.conf or the environment"));
            }
            parsed
        };
        let default = layer.default.as_ref().and_then(|text| index(text, remarks));
        let extra = layer.extra.iter().filter_map(|text| index(text, remarks)).collect();
        let mut proxies = proxies.clone();
        if let (Some(proxy), None) = (pip.get("proxy"), &proxies.https) {
            proxies.https = Some(Secret::new(proxy));
        }
        let mut new = Self {
            default: default.unwrap_or_else(default_index),
            extra,
            credentials,
            cert: pip.get("cert").and_then(|path| named_authority(ctx, "pip's `cert`", path, remarks)),
            proxies,
            prerelease: layer.prerelease.unwrap_or_default(),
            python: uv::python(ctx, remarks),
            offline: layer.offline,
            age: layer.newest.as_ref().map(|(text, _)| text.clone()).unwrap_or_default(),
            newest: layer.newest.map(|(_, moment)| moment),
        };
        new.add_netrc(ctx, remarks);
        new
    }

    /// The same with another default index, as `--default-index` or `--index-url` sets it.
    pub fn with_default(&self, index: Option<&str>) -> Result<Self> {
        let mut new = self.clone();
        if let Some(text) = index {
            new.default = parse_index(text, &mut new.credentials, &Env::default())
                .ok_or_else(|| Error::usage("the index is not an http or https address"))?;
        }
        Ok(new)
    }

    /// The same, and nothing that was published from `moment` on.
    #[must_use]
    pub fn until(self, moment: Option<&str>) -> Self {
        Self { newest: cutoff::older(self.newest, moment), ..self }
    }

    /// All indexes in the order in which uv asks them: the first that has a package is the only
    /// one that is used for it (uv's `first-index` strategy).
    pub fn indexes(&self) -> impl Iterator<Item = &Index> {
        self.extra.iter().chain([&self.default])
    }

    /// uv's variables for the same indexes, without user names and passwords. Empty if only the
    /// public index is used.
    pub fn uv_public_env(&self) -> Vec<(String, String)> {
        let mut env = Vec::new();
        if self.default.url.as_str() != DEFAULT_INDEX {
            env.push(("UV_DEFAULT_INDEX".to_owned(), self.default.url.to_string()));
        }
        if !self.extra.is_empty() {
            let all: Vec<String> = self
                .extra
                .iter()
                .map(|index| match &index.name {
                    Some(name) => format!("{name}={}", index.url),
                    None => index.url.to_string(),
                })
                .collect();
            env.push(("UV_INDEX".to_owned(), all.join(" ")));
        }
        let prerelease = match self.prerelease {
            Prerelease::IfNecessary => None,
            Prerelease::Allow => Some("allow".to_owned()),
            Prerelease::Disallow => Some("disallow".to_owned()),
        };
        env.extend(prerelease.map(|mode| ("UV_PRERELEASE".to_owned(), mode)));
        env.extend(self.newest.clone().map(|moment| ("UV_EXCLUDE_NEWER".to_owned(), moment)));
        env
    }

    /// What decides which packages a line gets; empty for uv's own defaults. No secret, and the
    /// same tomorrow, other than the moment that an age comes to.
    pub fn identity(&self) -> String {
        let age = self.newest.is_some().then(|| self.age.clone());
        Self { newest: age, ..self.clone() }
            .uv_public_env()
            .into_iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect()
    }

    /// A netrc with the logins for these indexes' hosts, and no others, if there are any.
    pub fn netrc_secret(&self) -> Option<String> {
        let mut hosts: Vec<(&str, &Auth)> = Vec::new();
        for index in self.indexes() {
            let host = index.url.host_str().unwrap_or_default();
            if hosts.iter().any(|(known, _)| *known == host) {
                continue;
            }
            if let Some(auth) = self.credentials.for_url(&index.url) {
                hosts.push((host, auth));
            }
        }
        netrc::write(hosts.into_iter())
    }

    /// Adds the logins of `~/.netrc` for hosts of indexes; those in addresses go first.
    fn add_netrc(&mut self, ctx: &Context, remarks: &mut Remarks) {
        let file = match ctx.env.text("NETRC") {
            Some(path) => named_file(ctx, "NETRC", path, remarks),
            None => Some(ctx.home.join(".netrc")),
        };
        let Some(text) = file.and_then(|file| read_settings_file(&file, remarks)) else {
            return;
        };
        let logins = netrc::parse(&text);
        let realms: Vec<Realm> = self.indexes().filter_map(|i| Realm::of(&i.url)).collect();
        for realm in realms {
            let named = logins.iter().find(|l| l.machine.as_ref() == Some(&realm.host));
            let login = named.or_else(|| logins.iter().find(|l| l.machine.is_none()));
            if let Some(login) = login {
                self.credentials.add(realm.whole_host(), login.auth.clone());
            }
        }
    }
}

fn default_index() -> Index {
    #[expect(clippy::unwrap_used, reason = "a constant that a test parses")]
    let url = Url::parse(DEFAULT_INDEX).unwrap();
    Index { name: None, url }
}

/// An index out of `URL` or `NAME=URL`; its login goes to `credentials`, for all that is next to
/// the index (`…/simple` and `…/pypi/NAME/json` are siblings).
fn parse_index(text: &str, credentials: &mut Credentials, env: &Env) -> Option<Index> {
    let (name, address) = match text.split_once('=') {
        Some((name, rest)) if is_index_name(name) => (Some(name.to_owned()), rest),
        _ => (None, text),
    };
    let (url, auth) = split_userinfo(address)?;
    let auth = name.as_deref().and_then(|name| login_from_env(name, env)).or(auth);
    if let Some(auth) = auth {
        let mut realm = Realm::of(&url)?;
        if let Some(parent) = realm.path.strip_suffix("simple/") {
            realm.path = parent.to_owned();
        }
        credentials.add(realm, auth);
    }
    Some(Index { name, url })
}

fn is_index_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// `UV_INDEX_<NAME>_USERNAME` and `_PASSWORD`.
fn login_from_env(name: &str, env: &Env) -> Option<Auth> {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let user = env.text(&format!("UV_INDEX_{name}_USERNAME"));
    let password = env.text(&format!("UV_INDEX_{name}_PASSWORD"));
    (user.is_some() || password.is_some()).then(|| Auth::basic(user.unwrap_or_default(), password.unwrap_or_default()))
}

/// pip's settings: `PIP_*`, then the user's files, then the system's.
fn pip_settings(ctx: &Context, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let mut files = vec![PathBuf::from("/etc/pip.conf")];
    files.push(ctx.home.join(".pip/pip.conf"));
    files.push(ctx.home.join("Library/Application Support/pip/pip.conf"));
    files.push(uv::config(ctx).join("pip/pip.conf"));
    match ctx.env.text("PIP_CONFIG_FILE") {
        // pip's own way of saying "no files at all".
        Some("/dev/null") => files.clear(),
        Some(file) => files.extend(named_file(ctx, "PIP_CONFIG_FILE", file, remarks)),
        None => {}
    }
    let mut all = BTreeMap::new();
    for file in files {
        if let Some(text) = read_settings_file(&file, remarks) {
            all.extend(parse_pip(&text));
        }
    }
    for key in ["index-url", "extra-index-url", "cert", "proxy"] {
        let variable = format!("PIP_{}", key.to_uppercase().replace('-', "_"));
        if let Some(value) = ctx.env.text(&variable) {
            all.insert(key.to_owned(), value.to_owned());
        }
    }
    all
}

/// The `[global]` section of a `pip.conf`, with `[install]` over it. The format is Python's
/// configparser's: `key = value` or `key: value`, indented lines continue a value.
fn parse_pip(text: &str) -> BTreeMap<String, String> {
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut section = String::new();
    let mut key: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        let entries = sections.entry(section.clone()).or_default();
        if let (true, Some(key)) = (line.starts_with([' ', '\t']), &key) {
            let value = entries.entry(key.clone()).or_default();
            value.push('\n');
            value.push_str(trimmed);
        } else if let Some(name) = trimmed.strip_prefix('[').and_then(|t| t.split(']').next()) {
            name.clone_into(&mut section);
            key = None;
        } else if let Some((name, value)) = trimmed.split_once(['=', ':']) {
            let name = name.trim().to_lowercase().replace('_', "-");
            entries.insert(name.clone(), value.trim().to_owned());
            key = Some(name);
        }
    }
    let mut all = sections.remove("global").unwrap_or_default();
    all.extend(sections.remove("install").unwrap_or_default());
    all
}

#[cfg(test)]
#[path = "python_tests.rs"]
mod tests;

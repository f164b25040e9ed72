//! The user's npm settings: `~/.npmrc` and `npm_config_*`, never a project's `.npmrc`.
//! Rules: research of npm's own reader, <https://docs.npmjs.com/cli/v11/configuring-npm/npmrc>.

use std::collections::BTreeMap;
use std::path::PathBuf;

use url::Url;

use super::auth::{Auth, Credentials, Realm, Secret, decode_base64, encode_base64, split_userinfo};
use super::settings::{Proxies, expand_home, read_settings_file};
use crate::context::{Context, Env};
use crate::error::{Error, Result};

/// The public registry, npm's default.
pub const DEFAULT_REGISTRY: &str = "https://registry.npmjs.org/";

/// What the user configured for npm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpmSettings {
    /// Where packages without a scope of their own are; ends with a slash.
    pub registry: Url,
    /// Registries by scope (`@scope`).
    pub scopes: BTreeMap<String, Url>,
    /// Tokens and passwords.
    pub credentials: Credentials,
    /// `cafile`: more certificate authorities.
    pub cafile: Option<PathBuf>,
    /// `ca`: the same as text.
    pub ca: Option<String>,
    /// The proxies to use for npm.
    pub proxies: Proxies,
}

impl NpmSettings {
    /// Reads them. What can't be honoured is said in `notes`.
    pub fn load(ctx: &Context, proxies: &Proxies, notes: &mut Vec<String>) -> Self {
        let file = ["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"]
            .iter()
            .find_map(|name| ctx.env.text(name))
            .map_or_else(|| ctx.home.join(".npmrc"), |path| expand_home(ctx, path));
        let mut entries = read_settings_file(&file, notes).map(|text| parse(&text, &ctx.env)).unwrap_or_default();
        entries.extend(from_env(&ctx.env));
        Self::from_entries(ctx, &entries, proxies, notes)
    }

    fn from_entries(
        ctx: &Context,
        entries: &BTreeMap<String, String>,
        proxies: &Proxies,
        notes: &mut Vec<String>,
    ) -> Self {
        let mut credentials = dart_credentials(entries, notes);
        let mut registry = |key: &str, value: &str, notes: &mut Vec<String>| {
            let parsed = registry_url(value);
            let Some((url, auth)) = parsed else {
                notes.push(format!("npm's `{key}` is not an http address; ignored"));
                return None;
            };
            if let (Some(realm), Some(auth)) = (Realm::of(&url), auth) {
                credentials.add(realm, auth);
            }
            Some(url)
        };
        let default = entries.get("registry").and_then(|v| registry("registry", v, notes));
        let mut scopes = BTreeMap::new();
        for (key, value) in entries {
            let scope = key.strip_suffix(":registry").filter(|s| s.starts_with('@'));
            if let Some(scope) = scope
                && let Some(url) = registry(key, value, notes)
            {
                scopes.insert(scope.to_owned(), url);
            }
        }
        note_unsupported(entries, notes);
        Self {
            registry: default.unwrap_or_else(default_registry),
            scopes,
            credentials,
            cafile: entries.get("cafile").map(|path| expand_home(ctx, path)),
            ca: entries.get("ca").map(|ca| ca.replace("\\n", "\n")),
            proxies: npm_proxies(entries, proxies),
        }
    }

    /// The same with another default registry, as `--registry` sets it.
    pub fn with_registry(&self, registry: Option<&str>) -> Result<Self> {
        let mut new = self.clone();
        if let Some(text) = registry {
            let (url, auth) =
                registry_url(text).ok_or_else(|| Error::usage("--registry is not an http or https address"))?;
            if let (Some(realm), Some(auth)) = (Realm::of(&url), auth) {
                new.credentials.add(realm, auth);
            }
            new.registry = url;
        }
        Ok(new)
    }

    /// Where `name` is. A scope's registry goes before the default one, even before
    /// `--registry` (npm-registry-fetch, `pickRegistry`).
    pub fn registry_of(&self, name: &str) -> &Url {
        name.split_once('/').and_then(|(scope, _)| self.scopes.get(scope)).unwrap_or(&self.registry)
    }

    /// An npmrc with the registries and no secret; empty if only the public registry is used.
    pub fn npmrc_public(&self) -> String {
        let mut text = String::new();
        if self.registry.as_str() != DEFAULT_REGISTRY {
            text.push_str(&line("registry", self.registry.as_str()));
        }
        for (scope, url) in &self.scopes {
            text.push_str(&line(&format!("{scope}:registry"), url.as_str()));
        }
        text
    }

    /// The npmrc with all tokens and passwords, if there are any.
    pub fn npmrc_secret(&self) -> Option<String> {
        if self.credentials.is_empty() {
            return None;
        }
        let mut text = self.npmrc_public();
        for (realm, auth) in self.credentials.iter() {
            let dart = realm.nerf_dart();
            text.push_str(&match auth {
                Auth::Bearer(token) => line(&format!("{dart}:_authToken"), token.expose()),
                Auth::Basic { user, password } => line(&format!("{dart}:_auth"), &encode_base64(user, password)),
            });
        }
        Some(text)
    }
}

fn default_registry() -> Url {
    #[expect(clippy::unwrap_used, reason = "a constant that a test parses")]
    Url::parse(DEFAULT_REGISTRY).unwrap()
}

/// A registry's address with a slash at its end.
fn registry_url(text: &str) -> Option<(Url, Option<Auth>)> {
    let (mut url, auth) = split_userinfo(text)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some((url, auth))
}

/// One line of an npmrc. Values that npm's reader would cut or decode are quoted; `${` is
/// escaped, because it was expanded already.
fn line(key: &str, value: &str) -> String {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    let value = value.replace("${", "\\${");
    let quote = value.contains([';', '#', '"', '\'']) || value.starts_with('[') || value.trim() != value;
    if quote { format!("{key}={}\n", serde_json::Value::from(value)) } else { format!("{key}={value}\n") }
}

/// The entries of an npmrc file, with `${VAR}` expanded (the `ini` package's rules, without
/// sections, which npm has no use for).
fn parse(text: &str, env: &Env) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '#', '[']) {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (unquote(key), unquote(value)),
            None => (unquote(line), "true".to_owned()),
        };
        let (key, value) = (expand(&key, env), expand(&value, env));
        match key.strip_suffix("[]") {
            Some(list) => {
                let all: &mut String = entries.entry(list.to_owned()).or_default();
                all.push_str(&value);
                all.push('\n');
            }
            None => {
                entries.insert(key, value);
            }
        }
    }
    entries
}

fn unquote(text: &str) -> String {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return inner.to_owned();
    }
    if text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return serde_json::from_str(text).unwrap_or_else(|_| text.trim_matches('"').to_owned());
    }
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ';' | '#' => break,
            '\\' => match chars.next_if(|n| matches!(n, ';' | '#' | '\\')) {
                Some(escaped) => out.push(escaped),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// Expands `${VAR}` (left as it is when unset) and `${VAR?}` (empty when unset); a backslash
/// before it keeps it (npm's `@npmcli/config`, `lib/env-replace.js`).
fn expand(text: &str, env: &Env) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(len) = rest[start..].find('}') else {
            break;
        };
        let (whole, name) = (&rest[start..=start + len], &rest[start + 2..start + len]);
        let before = &rest[..start];
        let slashes = before.len() - before.trim_end_matches('\\').len();
        if slashes % 2 == 1 {
            out.push_str(&before[..before.len() - 1]);
            out.push_str(whole);
        } else {
            out.push_str(before);
            let (name, optional) = match name.strip_suffix('?') {
                Some(name) => (name, true),
                None => (name, false),
            };
            match env.text(name) {
                Some(value) => out.push_str(value),
                None if optional => {}
                None => out.push_str(whole),
            }
        }
        rest = &rest[start + len + 1..];
    }
    out.push_str(rest);
    out
}

/// `npm_config_*` in any case (npm's `@npmcli/config`, `loadEnv`).
fn from_env(env: &Env) -> BTreeMap<String, String> {
    env.iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .filter_map(|(name, value)| {
            let key = name
                .get(..11)
                .filter(|p| p.eq_ignore_ascii_case("npm_config_"))
                .and(name.get(11..))
                .filter(|key| !key.is_empty() && !value.is_empty())?;
            Some((normal_key(key), expand(value, env)))
        })
        .collect()
}

fn normal_key(key: &str) -> String {
    if key.starts_with("//") {
        return key.to_owned();
    }
    let mut chars = key.chars();
    let first = chars.next().into_iter();
    first.chain(chars.map(|c| if c == '_' { '-' } else { c })).collect::<String>().to_lowercase()
}

/// The credentials of `//host/path/:key` entries. Of several for one address npm takes the
/// token, then the name and password, then `_auth` (npm-registry-fetch, `lib/auth.js`).
fn dart_credentials(entries: &BTreeMap<String, String>, notes: &mut Vec<String>) -> Credentials {
    let mut all = Credentials::default();
    let darts: std::collections::BTreeSet<&str> = entries
        .keys()
        .filter(|key| key.starts_with("//"))
        .filter_map(|key| key.rsplit_once(':').map(|(dart, _)| dart))
        .collect();
    for dart in darts {
        let get = |key: &str| {
            let value = entries.get(&format!("{dart}:{key}"))?;
            (!value.is_empty()).then_some(value.as_str())
        };
        let realm = Url::parse(&format!("https:{dart}")).ok().and_then(|u| Realm::of(&u));
        let token = get("_authToken").map(|t| Auth::Bearer(Secret::new(t)));
        let pair = || {
            let password = decode_base64(get("_password")?)?;
            Some(Auth::basic(get("username")?, &password))
        };
        let auth = token.or_else(pair).or_else(|| Auth::from_base64(get("_auth")?));
        match (realm, auth) {
            (Some(realm), Some(auth)) => all.add(realm, auth),
            (Some(realm), None) if get("certfile").is_some() => {
                notes.push(format!("npm's client certificate for {} is not supported; ignored", realm.host))
            }
            _ => {}
        }
    }
    all
}

/// npm's own proxy settings go before the environment's, for npm only.
fn npm_proxies(entries: &BTreeMap<String, String>, from_env: &Proxies) -> Proxies {
    let get = |key: &str| {
        let value = entries.get(key)?;
        (!matches!(value.as_str(), "" | "null" | "false" | "true")).then_some(value.as_str())
    };
    let mut proxies = from_env.clone();
    if let Some(proxy) = get("proxy").or_else(|| get("http-proxy")) {
        proxies.http = Some(Secret::new(proxy));
        proxies.https = Some(Secret::new(proxy));
    }
    if let Some(proxy) = get("https-proxy") {
        proxies.https = Some(Secret::new(proxy));
    }
    if let Some(list) = get("noproxy") {
        proxies.set_bypass(list);
    }
    proxies
}

fn note_unsupported(entries: &BTreeMap<String, String>, notes: &mut Vec<String>) {
    if entries.get("strict-ssl").is_some_and(|v| v == "false") {
        notes.push(
            "npm's `strict-ssl=false` is not honoured: certificates are always checked \
             (name the authority with `cafile` instead)"
                .to_owned(),
        );
    }
    for key in ["_auth", "_authToken", "_password"] {
        if entries.contains_key(key) {
            notes.push(format!("npm's `{key}` must be tied to a registry, as in `//host/:{key}=`; ignored"));
        }
    }
}

#[cfg(test)]
#[path = "npmrc_tests.rs"]
mod tests;

//! The user's npm settings: the machine's npmrc, `~/.npmrc` and `npm_config_*`, never a project's
//! `.npmrc`.
//! Rules: research of npm's own reader, <https://docs.npmjs.com/cli/v11/configuring-npm/npmrc>.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use url::Url;

use super::auth::{Auth, Credentials, Realm, Secret, decode_base64, encode_base64, split_userinfo};
use super::npmrc_text::{from_env, line, login_variables, parse};
use super::settings::{Proxies, Remarks, named_authority, named_file, read_settings_file};
use super::{cutoff, unhonoured};
use crate::context::Context;
use crate::error::{Error, Result};

/// The public registry, npm's default.
pub const DEFAULT_REGISTRY: &str = "https://registry.npmjs.org/";

/// Its host.
const PUBLIC_HOST: &str = "registry.npmjs.org";

/// Where npm's global file is for the places that Node is mostly installed in (its `prefix`, and
/// Debian's own place). Anything below a user's folder is only read if npm itself names it.
const GLOBAL_FILES: [&str; 4] = ["/usr/local/etc/npmrc", "/etc/npmrc", "/usr/etc/npmrc", "/opt/homebrew/etc/npmrc"];

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
    /// `tag`: what a package without a version means; `latest` if it is not set.
    pub tag: Option<String>,
    /// `before`, or what `min-release-age` makes of it: nothing newer is taken.
    pub before: Option<String>,
    /// `legacy-peer-deps`: the tree is resolved as npm 6 did.
    legacy_peers: bool,
    /// `before` and `min-release-age` as they were written.
    age: String,
    /// `offline`: nothing is to be fetched.
    pub offline: bool,
    /// The variables that the files' logins are made of.
    login_variables: Vec<(Realm, String)>,
}

impl NpmSettings {
    /// Reads them. What can't be honoured is said in `remarks`.
    pub fn load(ctx: &Context, proxies: &Proxies, remarks: &mut Remarks) -> Self {
        let env = from_env(&ctx.env);
        let mut named = |key: &str| {
            let path = env.get(key)?;
            Some(named_file(ctx, &format!("npm_config_{key}"), path, remarks))
        };
        let global = match named("globalconfig") {
            Some(file) => file,
            None => GLOBAL_FILES.iter().map(PathBuf::from).find(|file| file.exists()),
        };
        let user = named("userconfig").unwrap_or_else(|| Some(ctx.home.join(".npmrc")));
        let (mut entries, mut variables) = (BTreeMap::new(), Vec::new());
        for file in [global, user].into_iter().flatten() {
            if let Some(text) = read_settings_file(&file, remarks) {
                entries.extend(parse(&text, &ctx.env));
                let all = login_variables(&text, &ctx.env).into_iter();
                variables.extend(all.filter_map(|(dart, name)| Some((realm_of(&dart)?, name))));
            }
        }
        entries.extend(env);
        Self { login_variables: variables, ..Self::from_entries(ctx, &entries, proxies, remarks) }
    }

    fn from_entries(
        ctx: &Context,
        entries: &BTreeMap<String, String>,
        proxies: &Proxies,
        remarks: &mut Remarks,
    ) -> Self {
        let mut credentials = dart_credentials(entries, remarks);
        let mut registry = |key: &str, value: &str, remarks: &mut Remarks| {
            let parsed = registry_url(value);
            let Some((url, auth)) = parsed else {
                // The public registry may have another package of the same name.
                let refusal = Error::refused(format!("npm's setting `{key}` is not an http or https address"));
                let unset = "if it has a ${VARIABLE}, set that; else correct it in ~/.npmrc";
                remarks.refusals.push(refusal.hint(unset));
                return None;
            };
            if let (Some(realm), Some(auth)) = (Realm::of(&url), auth) {
                credentials.add(realm, auth);
            }
            Some(url)
        };
        let default = entries.get("registry").and_then(|v| registry("registry", v, remarks));
        let mut scopes = BTreeMap::new();
        for (key, value) in entries {
            let scope = key.strip_suffix(":registry").filter(|s| s.starts_with('@'));
            if let Some(scope) = scope
                && let Some(url) = registry(key, value, remarks)
            {
                scopes.insert(scope.to_owned(), url);
            }
        }
        remark_unhonoured(entries, remarks);
        let get = |key: &str| entries.get(key).map(String::as_str).filter(|v| !matches!(*v, "" | "null"));
        let on = |key: &str| get(key).is_some_and(|value| !matches!(value, "false" | "0"));
        let age = [get("before"), get("min-release-age").filter(|days| *days != "0")];
        Self {
            registry: default.unwrap_or_else(default_registry),
            scopes,
            credentials,
            cafile: get("cafile").and_then(|path| named_authority(ctx, "npm's `cafile`", path, remarks)),
            ca: entries.get("ca").map(|ca| ca.replace("\\n", "\n")),
            proxies: npm_proxies(entries, proxies),
            tag: get("tag").filter(|tag| *tag != "latest").map(str::to_owned),
            before: cutoff::npm(age[0], age[1], remarks),
            legacy_peers: on("legacy-peer-deps"),
            age: age.into_iter().flatten().collect::<Vec<_>>().join(" "),
            offline: on("offline"),
            login_variables: Vec::new(),
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

    /// The same, and nothing that was published after `moment`.
    #[must_use]
    pub fn until(self, moment: Option<&str>) -> Self {
        Self { before: cutoff::older(self.before, moment), ..self }
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
        for (key, value) in [("tag", &self.tag), ("before", &self.before)] {
            text.extend(value.as_ref().map(|value| line(key, value)));
        }
        if self.legacy_peers {
            text.push_str("legacy-peer-deps=true\n");
        }
        text
    }

    /// What decides which packages a line gets; empty for npm's own defaults. No secret, and the
    /// same tomorrow, other than the date that a minimum age comes to.
    pub fn identity(&self) -> String {
        let age = (!self.age.is_empty()).then(|| self.age.clone());
        Self { before: age, ..self.clone() }.npmrc_public()
    }

    /// The variables that the logins for these packages' registries are made of.
    pub fn login_variables<'a>(&self, names: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let registries: Vec<&Url> = names.map(|name| self.registry_of(name)).collect();
        let is_for = |(realm, _): &&(Realm, String)| registries.iter().any(|url| realm.is_at(url));
        self.login_variables.iter().filter(is_for).map(|(_, name)| name.clone()).collect()
    }

    /// The addresses that resolving a tree asks.
    pub fn registries(&self) -> Vec<Url> {
        std::iter::once(&self.registry).chain(self.scopes.values()).cloned().collect()
    }

    /// The addresses that fetching `files` asks: where npm's own registry is replaced by
    /// another, so it is in a file's address (npm's `replace-registry-host`).
    pub fn sources_of(&self, files: &[String]) -> Vec<Url> {
        let parsed = files.iter().filter_map(|file| Url::parse(file).ok());
        parsed.map(|url| if is_public(&url) { self.registry.clone() } else { url }).collect()
    }

    /// The npmrc with the tokens and passwords for these addresses' hosts, if there are any.
    pub fn npmrc_secret(&self, addresses: &[Url]) -> Option<String> {
        let mut logins = String::new();
        for (realm, auth) in self.credentials.iter().filter(|(realm, _)| addresses.iter().any(|url| realm.is_at(url))) {
            let dart = realm.nerf_dart();
            logins.push_str(&match auth {
                Auth::Bearer(token) => line(&format!("{dart}:_authToken"), token.expose()),
                Auth::Basic { user, password } => line(&format!("{dart}:_auth"), &encode_base64(user, password)),
            });
        }
        (!logins.is_empty()).then(|| self.npmrc_public() + &logins)
    }
}

/// Whether this is npm's own registry, where nearly everything needs no login.
pub fn is_public(url: &Url) -> bool {
    url.host_str() == Some(PUBLIC_HOST)
}

fn default_registry() -> Url {
    #[expect(clippy::unwrap_used, reason = "a constant that a test parses")]
    Url::parse(DEFAULT_REGISTRY).unwrap()
}

/// A registry's address with a slash at its end. What is left of a variable that is not set
/// would pass for a host's name.
fn registry_url(text: &str) -> Option<(Url, Option<Auth>)> {
    if text.contains("${") {
        return None;
    }
    let (mut url, auth) = split_userinfo(text)?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some((url, auth))
}

/// The credentials of `//host/path/:key` entries. Of several for one address npm takes the
/// token, then the name and password, then `_auth` (npm-registry-fetch, `lib/auth.js`).
fn dart_credentials(entries: &BTreeMap<String, String>, remarks: &mut Remarks) -> Credentials {
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
        let realm = realm_of(dart);
        let token = get("_authToken").map(|t| Auth::Bearer(Secret::new(t)));
        let pair = || {
            let password = decode_base64(get("_password")?)?;
            Some(Auth::basic(get("username")?, &password))
        };
        let auth = token.or_else(pair).or_else(|| Auth::from_base64(get("_auth")?));
        if let (Some(realm), Some(_)) = (&realm, get("certfile")) {
            remarks.notes.push(format!("npm's client certificate for {} is not supported; ignored", realm.host));
        }
        if let (Some(realm), Some(auth)) = (realm, auth) {
            all.add(realm, auth);
        }
    }
    all
}

/// Of `//host[:port]/path/`.
fn realm_of(dart: &str) -> Option<Realm> {
    Realm::of(&Url::parse(&format!("https:{dart}")).ok()?)
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

fn remark_unhonoured(entries: &BTreeMap<String, String>, remarks: &mut Remarks) {
    for (key, value) in entries {
        let undo = format!("remove it from ~/.npmrc, or unset npm_config_{}", key.replace('-', "_"));
        unhonoured::check(unhonoured::NPM, key, value, &format!("npm's setting `{key}`"), &undo, remarks);
    }
    for key in ["_auth", "_authToken", "_password"] {
        if entries.contains_key(key) {
            let what = format!("npm's `{key}` must be tied to a registry, as in `//host/:{key}=`; ignored");
            remarks.notes.push(what);
        }
    }
}

#[cfg(test)]
#[path = "npmrc_tests.rs"]
mod tests;

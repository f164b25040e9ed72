//! uv's own settings: the environment, then the user's `uv.toml`, then the system's; never the
//! working directory's (<https://docs.astral.sh/uv/concepts/configuration-files/>).

use std::path::PathBuf;

use serde::Deserialize;

use super::python::Prerelease;
use super::settings::{Remarks, named_file, read_settings_file};
use super::{cutoff, unhonoured};
use crate::context::{Context, Env};
use crate::error::Error;
use crate::launch::python;

/// What uv's settings say about indexes; the entries are not yet checked.
#[derive(Debug, Default)]
pub struct Layer {
    /// The index that is asked last.
    pub default: Option<String>,
    /// Those that are asked before it.
    pub extra: Vec<String>,
    /// Which pre-releases may be chosen, if it is said.
    pub prerelease: Option<Prerelease>,
    /// Nothing is to be fetched.
    pub offline: bool,
    /// `exclude-newer`: as it was written, and the moment that it comes to.
    pub newest: Option<(String, String)>,
}

/// Reads them. What can't be honoured is said in `remarks`.
pub fn settings(ctx: &Context, remarks: &mut Remarks) -> Layer {
    let env = &ctx.env;
    let words = |name: &str| -> Vec<String> {
        let text = env.text(name).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    let mut all = Layer {
        default: ["UV_DEFAULT_INDEX", "UV_INDEX_URL"].iter().find_map(|name| env.text(name)).map(str::to_owned),
        extra: words("UV_INDEX"),
        prerelease: env.text("UV_PRERELEASE").and_then(|mode| prerelease("`UV_PRERELEASE`", mode, remarks)),
        offline: on(env, "UV_OFFLINE"),
        newest: env.text("UV_EXCLUDE_NEWER").and_then(|text| newest(text, "`UV_EXCLUDE_NEWER`", remarks)),
    };
    for (variable, value) in env.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?))) {
        if let Some(setting) = unhonoured::of_uv_variable(variable) {
            let (shown, undo) = (format!("`{variable}`"), format!("unset {variable}"));
            unhonoured::check(unhonoured::UV, &setting, value, &shown, &undo, remarks);
        }
    }
    let late = words("UV_EXTRA_INDEX_URL");
    let mut said = std::collections::BTreeSet::new();
    for file in files(ctx, remarks) {
        let Some(text) = read_settings_file(&file, remarks) else {
            continue;
        };
        let parsed: Result<(UvToml, toml::Table), toml::de::Error> =
            toml::from_str(&text).and_then(|known| Ok((known, toml::from_str(&text)?)));
        let Ok((known, table)) = parsed else {
            let refusal = Error::refused(format!("can't understand {}", file.display()));
            remarks.refusals.push(refusal.hint("correct it: it says where packages come from"));
            continue;
        };
        let shown = |key: &str| format!("`{key}` in {}", file.display());
        for (key, value) in &table {
            let variable = format!("UV_{}", key.to_uppercase().replace('-', "_"));
            // What the environment or a file before this one says stands in its place.
            if said.insert(key.clone()) && env.text(&variable).is_none() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                unhonoured::check(unhonoured::UV, key, &value, &shown(key), "remove it there", remarks);
            }
        }
        if let (None, Some(mode)) = (all.prerelease, &known.prerelease) {
            all.prerelease = prerelease(&shown("prerelease"), mode, remarks);
        }
        if let (None, Some(text)) = (&all.newest, &known.exclude_newer) {
            all.newest = newest(text, &shown("exclude-newer"), remarks);
        }
        all.offline |= known.offline;
        known.add_to(&mut all);
    }
    all.extra.extend(late);
    all
}

/// The Python that `UV_PYTHON`, else uv's global pin, asks for.
pub fn python(ctx: &Context, remarks: &mut Remarks) -> Option<String> {
    let (shown, undo, text) = match ctx.env.text("UV_PYTHON") {
        Some(text) => ("`UV_PYTHON`".to_owned(), "unset UV_PYTHON".to_owned(), text.to_owned()),
        None => {
            let file = config(ctx).join("uv/.python-version");
            let text = read_settings_file(&file, remarks)?;
            let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
            (format!("{}", file.display()), "uv python pin --global 3.13".to_owned(), first.to_owned())
        }
    };
    python::parse(&text).unwrap_or_else(|error| {
        let refusal = Error::refused(format!("{shown} can't be honoured")).because(error);
        remarks.refusals.push(refusal.hint(undo));
        None
    })
}

fn newest(text: &str, shown: &str, remarks: &mut Remarks) -> Option<(String, String)> {
    Some((text.to_owned(), cutoff::uv(text, shown, remarks)?))
}

fn on(env: &Env, name: &str) -> bool {
    env.text(name).is_some_and(|v| !matches!(v.to_lowercase().as_str(), "0" | "false" | "no" | "off"))
}

/// uv's modes; the middle three differ only for packages that a project names.
fn prerelease(shown: &str, mode: &str, remarks: &mut Remarks) -> Option<Prerelease> {
    match mode {
        "allow" => Some(Prerelease::Allow),
        "disallow" => Some(Prerelease::Disallow),
        "if-necessary" | "explicit" | "if-necessary-or-explicit" => Some(Prerelease::IfNecessary),
        _ => {
            let refusal = Error::refused(format!("{shown} is none of uv's modes"));
            remarks.refusals.push(refusal.hint("one of: allow, disallow, if-necessary, explicit"));
            None
        }
    }
}

/// Where uv looks: `UV_CONFIG_FILE` alone if it is set, else the user's file and the system's.
fn files(ctx: &Context, remarks: &mut Remarks) -> Vec<PathBuf> {
    if on(&ctx.env, "UV_NO_CONFIG") {
        return Vec::new();
    }
    if let Some(file) = ctx.env.text("UV_CONFIG_FILE") {
        return named_file(ctx, "UV_CONFIG_FILE", file, remarks).into_iter().collect();
    }
    vec![config(ctx).join("uv/uv.toml"), PathBuf::from("/etc/xdg/uv/uv.toml"), PathBuf::from("/etc/uv/uv.toml")]
}

/// The user's folder of settings, for uv and pip alike.
pub fn config(ctx: &Context) -> PathBuf {
    let set = ctx.env.get("XDG_CONFIG_HOME").map(PathBuf::from);
    set.filter(|p| p.is_absolute()).unwrap_or_else(|| ctx.home.join(".config"))
}

/// The keys of `uv.toml` that are honoured.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UvToml {
    index_url: Option<String>,
    extra_index_url: Vec<String>,
    index: Vec<UvIndex>,
    prerelease: Option<String>,
    offline: bool,
    exclude_newer: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UvIndex {
    name: Option<String>,
    url: String,
    default: bool,
    /// Only used for packages that a project pins to it: none here.
    explicit: bool,
}

impl UvToml {
    /// Adds what a source of higher rank has not said.
    fn add_to(self, all: &mut Layer) {
        for index in self.index {
            let text = match &index.name {
                Some(name) => format!("{name}={}", index.url),
                None => index.url,
            };
            if index.default {
                all.default.get_or_insert(text);
            } else if !index.explicit {
                all.extra.push(text);
            }
        }
        if let Some(url) = self.index_url {
            all.default.get_or_insert(url);
        }
        all.extra.extend(self.extra_index_url);
    }
}

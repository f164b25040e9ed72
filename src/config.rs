//! The user's own settings: `~/.config/jitbox/config.toml`. Only this file, and the grants and recipes beside it, can
//! widen what a run may do, so they have to be in the user's hands alone.
//!
//! ```toml
//! engine = "podman"            # docker, podman, nerdctl, or the absolute path of one; default: the first that works
//! runtime = "runsc"            # another OCI runtime, by its name or absolute path; default: the engine's own
//! network = "none"             # none (default) or open
//! level = "standard"           # relaxed, standard (default) or strict: what is given without a grant
//! updates = "say"              # what is newer is looked for once a day, beside a running program, and said (default);
//!                              # "take": at the first start of a day, and taken; "off": not looked for
//!
//! [env]
//! pass = ["GITHUB_TOKEN"]      # variables that every program gets; default: none
//!
//! [images]                     # base images; {version} is filled in
//! node = "node:{version}-trixie-slim"
//! python = "python:{version}-slim-trixie"
//!
//! [launch]
//! call = true                  # `npx -c` may run a line of shell in its box; default: false
//!
//! [packages]
//! sources = ["https://github.com/owner/repository", "https://files.example/tools/"] # what level strict takes besides registries
//! age = "3 days"               # how old releases have to be, at all levels; "0 days": every age will do;
//!                              # default: 1 day at level relaxed, 3 at standard, 7 at strict
//! young = ["npm:@acme/*", "pypi:ours"] # packages whose releases may be of every age
//! osv = "https://api.osv.dev"  # who is asked for malware and vulnerabilities: this, a folder of OSV's entries, or "off"
//! accept = ["GHSA-…"]          # vulnerabilities, and names like another's (`npm:NAME`), that are taken all the same
//!
//! [state]
//! keep = ["npm:some-server"]   # whose files are kept between runs, also at level strict; default: MCP servers'
//!
//! [limits]                     # per running box
//! memory = "512m"              # k, m or g
//! cpus = 2.0
//! pids = 256
//! tmp = "64m"                  # each place that is in memory: /tmp, /dev/shm, /state where nothing is kept
//! idle = "30m"                 # s, m or h: end a program whose streams are silent for so long; default: never
//! ```

pub mod known;

use std::path::{Path, PathBuf};
use std::time::Duration;

use known::Osv;
use serde::{Deserialize, Deserializer, de};
use url::Url;

use crate::context::Context;
use crate::engine::Kind;
use crate::error::{Error, Result};
use crate::launch::tighten::is_variable;
use crate::policy::age;
use crate::policy::level::Level;
use crate::trust;

/// Docker's least memory for a container (docker-run(1), --memory).
const LEAST_MEMORY: u64 = 6 << 20;

/// The user's settings, with defaults where they said nothing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The engine to use; by default the first that works.
    pub engine: Option<EngineChoice>,
    /// The OCI runtime to use; by default the engine's own.
    #[serde(deserialize_with = "runtime")]
    pub runtime: Option<String>,
    /// What a box can reach.
    pub network: Network,
    /// What a package gets without a grant.
    pub level: Level,
    /// What is done about newer versions.
    pub updates: Updates,
    /// Variables of the environment.
    pub env: EnvConfig,
    /// Base images.
    pub images: Images,
    /// What a line may ask for.
    pub launch: LaunchConfig,
    /// Where packages may come from.
    pub packages: PackagesConfig,
    /// What is kept between runs.
    pub state: StateConfig,
    /// What one run can use.
    pub limits: Limits,
}

/// An engine that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum EngineChoice {
    /// By its kind: it is searched for.
    Kind(Kind),
    /// By the absolute path of its program.
    Program(PathBuf),
}

impl TryFrom<String> for EngineChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(kind) = Kind::named(&text) {
            return Ok(Self::Kind(kind));
        }
        if Path::new(&text).is_absolute() {
            return Ok(Self::Program(text.into()));
        }
        Err(format!("`{text}` is not an engine: docker, podman, nerdctl or the absolute path of one"))
    }
}

/// What a box can reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// Everything that the engine's own network reaches.
    Open,
}

/// What is done about newer versions, once a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Updates {
    /// They are looked for while a program runs, and said.
    #[default]
    Say,
    /// They are taken when a program is to be started.
    Take,
    /// Nothing.
    Off,
}

/// Variables of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvConfig {
    /// Names of variables that every program gets.
    #[serde(deserialize_with = "names")]
    pub pass: Vec<String>,
}

/// What a line may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LaunchConfig {
    /// `-c` of npx runs a line of shell in the box.
    pub call: bool,
}

/// Where packages may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PackagesConfig {
    /// Repositories and archives that may be used at level strict, by their address or what it
    /// is below.
    #[serde(deserialize_with = "addresses")]
    pub sources: Vec<Url>,
    /// How old releases have to be, whatever the level.
    pub age: Option<age::Least>,
    /// Packages whose releases may be of every age.
    pub young: Vec<age::Packages>,
    /// Who is asked what is known against packages.
    pub osv: Osv,
    /// Vulnerabilities and look-alike names that are taken all the same.
    #[serde(deserialize_with = "known::accepted")]
    pub accept: Vec<String>,
}

/// What is kept between runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// Packages whose files are kept, as `npm:NAME` or `pypi:NAME`; without a list, MCP servers'.
    #[serde(deserialize_with = "packages")]
    pub keep: Option<Vec<String>>,
}

/// Base images, `{version}` standing for the runtime's version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Images {
    /// For npm packages.
    #[serde(deserialize_with = "image")]
    pub node: String,
    /// For PyPI packages.
    #[serde(deserialize_with = "image")]
    pub python: String,
}

impl Default for Images {
    fn default() -> Self {
        Self { node: "node:{version}-trixie-slim".into(), python: "python:{version}-slim-trixie".into() }
    }
}

/// What one run can use.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory; there is no swap on top.
    #[serde(deserialize_with = "memory")]
    pub memory: u64,
    /// Processors.
    #[serde(deserialize_with = "cpus")]
    pub cpus: f64,
    /// Processes and threads.
    #[serde(deserialize_with = "pids")]
    pub pids: u32,
    /// Bytes in /tmp.
    #[serde(deserialize_with = "bytes")]
    pub tmp: u64,
    /// How long the standard streams may be silent.
    #[serde(deserialize_with = "span")]
    pub idle: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 512 << 20, cpus: 2.0, pids: 256, tmp: 64 << 20, idle: None }
    }
}

impl Config {
    /// Where the file is.
    pub fn path(context: &Context) -> PathBuf {
        context.config_dir().join("config.toml")
    }

    /// Reads the file; without one, everything is as by default.
    pub fn load(context: &Context) -> Result<Self> {
        let path = Self::path(context);
        // The user database is only asked where there is something to say.
        if let Some(_marks) = trust::project_around(&context.config_dir(), None)
            && let Some(project) = trust::project_around(&context.config_dir(), context.own_home().as_deref())
        {
            return Err(Error::refused(trust::unusable(&path))
                .because(format!("it is in the project `{}`, which does not say what may be run", project.display()))
                .hint("unset XDG_CONFIG_HOME, or link the folder to ~/.config/jitbox"));
        }
        let Some(text) = trust::read_rules(&path, context.uid)? else {
            return Ok(Self::default());
        };
        Self::parse(&text).map_err(|why| Error::refused(trust::unusable(&path)).because(why))
    }

    /// Reads settings from `text`; the reason says the line.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|e| malformed(text, &e))
    }
}

/// Why `text` can't be read, and in which line.
pub(crate) fn malformed(text: &str, error: &toml::de::Error) -> String {
    let why = error.message().trim().replace('\n', ", ");
    match error.span() {
        Some(span) => format!("line {}: {why}", text[..span.start.min(text.len())].matches('\n').count() + 1),
        None => why,
    }
}

/// Reads a size: a number with k, m or g behind it (1024 each), or bytes without.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (number, shift) = match text.as_bytes().last()? {
        b'k' => (&text[..text.len() - 1], 10),
        b'm' => (&text[..text.len() - 1], 20),
        b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|&n| n > 0)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    parse_bytes(&text).ok_or_else(|| {
        de::Error::custom(format!("`{text}` is not a size: a number with k, m or g behind it, like \"512m\""))
    })
}

/// Why no box can have this many bytes of memory.
pub fn check_memory(bytes: u64) -> Result<(), &'static str> {
    if bytes < LEAST_MEMORY { Err("no engine accepts less memory than 6m") } else { Ok(()) }
}

fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let memory = bytes(from)?;
    check_memory(memory).map(|()| memory).map_err(de::Error::custom)
}

/// Why no box can have this many processors.
pub fn check_cpus(cpus: f64) -> Result<(), &'static str> {
    if (0.01..=4096.0).contains(&cpus) { Ok(()) } else { Err("cpus has to be between 0.01 and 4096") }
}

fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    let seconds = |unit, seconds: u64| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds);
    let seconds = [('s', 1), ('m', 60), ('h', 3600)].into_iter().find_map(|(unit, each)| seconds(unit, each));
    // A year is never; and what is added to a time must not overflow it.
    match seconds.filter(|s| (1..=366 * 86400).contains(s)) {
        Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
        None => {
            Err(de::Error::custom(format!("`{text}` is not a time: a number with s, m or h behind it, like \"30m\"")))
        }
    }
}

fn cpus<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let cpus = f64::deserialize(from)?;
    check_cpus(cpus).map(|()| cpus).map_err(de::Error::custom)
}

/// Why no box can have this many processes: our own PID 1, a runtime with its threads, and the
/// program are some already.
pub fn check_pids(pids: u32) -> Result<(), &'static str> {
    if (16..=4_194_304).contains(&pids) { Ok(()) } else { Err("pids has to be between 16 and 4194304") }
}

fn pids<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let pids = u32::deserialize(from)?;
    check_pids(pids).map(|()| pids).map_err(de::Error::custom)
}

fn runtime<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let name = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !text.starts_with('-');
    if !name && !Path::new(&text).is_absolute() {
        return Err(de::Error::custom(format!("`{text}` is not a runtime: its name or its absolute path")));
    }
    Ok(Some(text))
}

fn image<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let plain = text.replace("{version}", "1");
    // What stands in an engine's command line must not be taken for an option.
    let first = plain.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !first || !plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b)) {
        return Err(de::Error::custom(format!("`{text}` is not an image: like \"node:{{version}}-trixie-slim\"")));
    }
    Ok(text)
}

fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    match names.iter().find(|name| !is_variable(name)) {
        Some(name) => Err(de::Error::custom(format!("`{name}` is not the name of a variable"))),
        None => Ok(names),
    }
}

fn packages<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    let listed = Vec::<String>::deserialize(from)?;
    let valid = |text: &&String| {
        let name = text.strip_prefix("npm:").or_else(|| text.strip_prefix("pypi:"));
        name.is_some_and(|name| !name.is_empty() && !name.trim_start_matches('@').contains(['@', '=', ' ']))
    };
    match listed.iter().find(|text| !valid(text)) {
        Some(text) => Err(de::Error::custom(format!("`{text}` is not a package: like \"npm:NAME\" or \"pypi:NAME\""))),
        None => Ok(Some(listed)),
    }
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Url>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let read = |text: &String| {
        let url = Url::parse(text.strip_prefix("git+").unwrap_or(text)).ok();
        let plain = |url: &Url| {
            let login = !url.username().is_empty() || url.password().is_some();
            matches!(url.scheme(), "http" | "https") && url.has_host() && !login && url.query().is_none()
        };
        url.filter(plain)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is not an address: like \"https://host/path\"")))
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

//! What a user can grant a package, one thing at a time.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Host;

use super::paths::Found;
use super::secret::Secret;
use crate::config;
use crate::launch::tighten::is_variable;
use crate::package::npm::NpmName;

/// The option that lets releases be of every age.
pub const YOUNG: &str = "--young";

/// The option that lets a package's install scripts run.
pub const SCRIPTS: &str = "--scripts";

/// How the code of a folder is named in the place of a package.
pub const LOCAL: &str = "local:";

/// The name of a folder's code.
pub fn local(folder: &str) -> String {
    format!("{LOCAL}{folder}")
}

/// One thing that a package may do, or an answer that was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Read a file or folder, which is there in every run.
    Read(PathBuf),
    /// Change it, too.
    Write(PathBuf),
    /// Change a folder whenever the program is started in it or below it.
    Work(PathBuf),
    /// Get a variable of the environment.
    Env(String),
    /// Get a variable whose value is kept elsewhere.
    Secret(Secret),
    /// Reach a host.
    Host(Address),
    /// Have this network, whatever the settings say.
    Net(Net),
    /// Use this many bytes of memory.
    Memory(u64),
    /// Use this many processors.
    Cpus(f64),
    /// Have this many processes and threads.
    Pids(u32),
    /// Be a release that is younger than others have to be.
    Young,
    /// Have the install scripts of this npm package run when its box is made: its own, or those of one that it needs.
    Scripts(String),
    /// The user was asked about the working directory and said no: they are not asked again.
    Refused,
}

/// Which network a package has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Net {
    /// Nothing but a loopback of its own
    None,
    /// Every public address; as `none` until jitbox can tell which ones are
    Public,
    /// Everything that the engine's own network reaches
    Open,
}

/// A host, perhaps with a port: `api.example.com`, `*.example.com:443`, `10.0.0.1:5432`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// Reads it, in lower case and with addresses in their usual form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a host: like \"api.example.com\" or \"api.example.com:443\"");
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address without a port.
            Some((_, rest)) if rest.ends_with(']') => (text, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(wrong)?)),
            None => (text, None),
        };
        // A star is for whole labels, and never for all of a top-level domain.
        let (star, host) = match host.strip_prefix("*.") {
            Some(rest) if rest.contains('.') => ("*.", rest),
            Some(_) => return Err(wrong()),
            None => ("", host),
        };
        let parsed = Host::parse(host).map_err(|_| wrong())?;
        let plain = match &parsed {
            Host::Domain(name) => {
                let label = |label: &str| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
                };
                name.trim_end_matches('.').split('.').all(label)
            }
            _ => star.is_empty(),
        };
        if !plain {
            return Err(wrong());
        }
        let host = parsed.to_string();
        let host = host.trim_end_matches('.');
        Ok(Self(port.map_or_else(|| format!("{star}{host}"), |port| format!("{star}{host}:{port}"))))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl What {
    /// Why it can't be granted, whatever the machine looks like.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Read(path) | Self::Write(path) | Self::Work(path) if !is_plain(path) => {
                Err(format!("`{}` is not an absolute path without `.` and `..`", path.display()))
            }
            Self::Env(name) | Self::Secret(Secret { name, .. }) if !is_variable(name) => {
                Err(format!("`{name}` is not the name of a variable"))
            }
            Self::Scripts(name) => match NpmName::parse(name) {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("`{name}` is not the name of an npm package")),
            },
            Self::Memory(bytes) => config::check_memory(*bytes).map_err(str::to_owned),
            Self::Cpus(cpus) => config::check_cpus(*cpus).map_err(str::to_owned),
            Self::Pids(pids) => config::check_pids(*pids).map_err(str::to_owned),
            _ => Ok(()),
        }
    }

    /// Whether granting this takes the place of having granted `other`.
    pub fn replaces(&self, other: &Self) -> bool {
        use std::mem::discriminant;
        match self {
            Self::Net(_) | Self::Memory(_) | Self::Cpus(_) | Self::Pids(_) | Self::Refused => {
                discriminant(self) == discriminant(other)
            }
            // A variable has one value.
            Self::Env(_) | Self::Secret(_) => self.variable() == other.variable(),
            // The question has its answer.
            Self::Work(_) => self == other || *other == Self::Refused,
            _ => self == other,
        }
    }

    /// Whether taking this back takes back `other`: of a variable, its name is enough.
    pub fn takes_back(&self, other: &Self) -> bool {
        self == other || matches!(self, Self::Env(name) if other.variable() == Some(name))
    }

    /// Whether by this all of a folder can be read in every run.
    pub fn reads(&self, folder: &Path) -> bool {
        matches!(self, Self::Read(path) | Self::Write(path) if folder.starts_with(path))
    }

    /// The name of the variable that it is about.
    pub fn variable(&self) -> Option<&String> {
        match self {
            Self::Env(name) | Self::Secret(Secret { name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Whether by this a program can do more than without, or less.
    pub fn counts_in_runs(&self) -> bool {
        !matches!(self, Self::Refused | Self::Young | Self::Scripts(_))
    }

    /// The options of `jitbox allow` that say it, and of `jitbox deny` that take it back.
    pub fn options(&self) -> Option<Vec<String>> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let (name, value) = match self {
            Self::Read(at) => ("--read", path(at)),
            Self::Write(at) => ("--write", path(at)),
            Self::Work(at) => ("--work", path(at)),
            Self::Env(name) => ("--env", name.clone()),
            Self::Secret(Secret { name, from }) => ("--env", format!("{name}={from}")),
            Self::Host(address) => ("--host", address.0.clone()),
            Self::Net(Net::None) => ("--net", "none".to_owned()),
            Self::Net(Net::Public) => ("--net", "public".to_owned()),
            Self::Net(Net::Open) => ("--net", "open".to_owned()),
            Self::Memory(bytes) => ("--memory", bytes.to_string()),
            Self::Cpus(cpus) => ("--cpus", cpus.to_string()),
            Self::Pids(pids) => ("--pids", pids.to_string()),
            Self::Young => return Some(vec![YOUNG.to_owned()]),
            Self::Scripts(name) => (SCRIPTS, name.clone()),
            Self::Refused => return None,
        };
        Some(vec![name.to_owned(), value])
    }
}

fn is_plain(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
}

/// As a person would say it.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path) => write!(f, "read {}", path.display()),
            Self::Write(path) => write!(f, "write {}", path.display()),
            Self::Work(path) => write!(f, "write {} when started there", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Secret(Secret { name, from }) => write!(f, "env {name} from {from}"),
            Self::Host(address) => write!(f, "host {}", address.0),
            Self::Net(Net::None) => f.write_str("net none"),
            Self::Net(Net::Public) => f.write_str("net public"),
            Self::Net(Net::Open) => f.write_str("net open"),
            Self::Memory(bytes) if bytes % (1 << 20) == 0 => write!(f, "memory {}m", bytes >> 20),
            Self::Memory(bytes) => write!(f, "memory {bytes}"),
            Self::Cpus(cpus) => write!(f, "cpus {cpus}"),
            Self::Pids(pids) => write!(f, "pids {pids}"),
            Self::Young => f.write_str("releases of every age"),
            Self::Scripts(name) => write!(f, "install scripts of {name}"),
            Self::Refused => f.write_str("not to be asked about the working directory"),
        }
    }
}

/// What was granted, when, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// The day, as `2026-01-31`.
    pub since: String,
    /// In the user's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A grant, and what its path leads to right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// What was granted.
    pub grant: Grant,
    /// What is there, if it is about a path and something is.
    pub found: Option<Found>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::secret::Reference;

    #[test]
    fn hosts() {
        for (text, want) in [
            ("API.Example.com", "api.example.com"),
            ("api.example.com.:443", "api.example.com:443"),
            ("*.example.com:5432", "*.example.com:5432"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("0x7f.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::FFFF:1]:8080", "[::ffff:1]:8080"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(Address::parse(text).map(String::from).as_deref(), Ok(want), "{text}");
        }
        for text in [
            "",
            "*",
            "*.com",
            "a b",
            "a/b",
            "http://a",
            "a:0",
            "a:x",
            "a:99999",
            "u@h",
            "*.1.2.3.4",
            "a..b",
            "a%00b",
            "::1",
            "a\nb",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_said_is_read_again() {
        let all = [
            What::Read("/a".into()),
            What::Work("/b c".into()),
            What::Env("A_B".into()),
            What::Secret(Secret { name: "A".into(), from: Reference::parse("cmd:a 'b c'").unwrap() }),
            What::Host(Address::parse("h:1").unwrap()),
            What::Net(Net::Open),
            What::Memory(1 << 30),
            What::Cpus(1.5),
            What::Pids(99),
            What::Young,
            What::Refused,
        ];
        for what in all {
            what.check().unwrap();
            let grant = Grant { what, since: "2026-01-31".into(), reason: Some("because".into()) };
            let text = serde_json::to_string(&grant).unwrap();
            assert_eq!(serde_json::from_str::<Grant>(&text).unwrap(), grant, "{text}");
        }
        for text in [r#"{"since":"x"}"#, r#"{"mount":"/","since":"x"}"#, r#"{"host":"*","since":"x"}"#] {
            assert!(serde_json::from_str::<Grant>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for what in [
            What::Read("a".into()),
            What::Write("/a/../b".into()),
            What::Env("A=B".into()),
            What::Memory(1),
            What::Cpus(f64::NAN),
            What::Pids(1),
        ] {
            assert!(what.check().is_err(), "{what}");
        }
    }
}

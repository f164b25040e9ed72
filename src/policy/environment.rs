//! Which variables the program gets. Values go over the link only: never into an argv, a label,
//! `inspect`, a log or a layer.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use super::Asked;
use super::grant::What;
use super::level::Level;
use super::reason::Reason;
use super::seccomp::Relaxation;
use super::secret::Secret;
use crate::plan::{Network, STATE_DIR};

/// What a client's own surroundings are made of: the MCP SDKs' list, what shells, sessions and
/// terminals add, and what names places of this host. Never meant for the program.
const SURROUNDINGS: [&str; 43] = [
    "HOME",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TERM",
    "USER",
    "USERNAME",
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "TMPDIR",
    "TEMP",
    "TMP",
    "HOSTNAME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "COLORTERM",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "MAIL",
    "LS_COLORS",
    "VIRTUAL_ENV",
    "INIT_CWD",
    "NODE",
    "KUBECONFIG",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_CONNECTION",
    "SSH_CLIENT",
    "SSH_TTY",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NETRC",
    "NODE_AUTH_TOKEN",
];

/// The same, by how the names begin.
const SURROUNDING_PREFIXES: [&str; 17] = [
    "LD_",
    "DYLD_",
    "XDG_",
    "DBUS_",
    "DOCKER_",
    "CONTAINER_",
    "CONTAINERS_",
    "PODMAN_",
    "NERDCTL_",
    "CONTAINERD_",
    "BUILDKIT_",
    "NPM_",
    "npm_",
    "UV_",
    "PIP_",
    "JITBOX_",
    "__CF",
];

/// Which make a program run code of the variable's own choice. The package's grants are not for
/// that: where there are any, these have to be granted, too.
const CODE: [&str; 17] = [
    "NODE_OPTIONS",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONPYCACHEPREFIX",
    "PYTHONBREAKPOINT",
    "BASH_ENV",
    "ENV",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "GIT_EXTERNAL_DIFF",
    "GIT_EXEC_PATH",
    "GIT_TEMPLATE_DIR",
    "GIT_PAGER",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_PROXY_COMMAND",
];

/// The same, by how the names begin.
const CODE_PREFIXES: [&str; 4] = ["GIT_CONFIG", "GIT_SSH", "GIT_ASKPASS", "JAVA_TOOL"];

/// Which say how to talk to a person; harmless, and wanted.
const ALWAYS: [&str; 5] = ["TZ", "LANG", "LANGUAGE", "NO_COLOR", "FORCE_COLOR"];

/// Clients that start servers with a small environment add what the server's entry in their
/// configuration says, and nothing else: with at most this many names outside the surroundings,
/// they are taken for that.
const SMALL: usize = 12;

/// A variable of the program's environment, and why it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: OsString,
    /// Its value, which is shown nowhere.
    pub value: OsString,
    /// Why.
    pub why: Reason,
}

/// What is passed on.
pub struct Passed {
    /// The program's environment, as far as the values are here.
    pub values: Vec<Variable>,
    /// The rest of it, whose values are kept elsewhere.
    pub secrets: Vec<(Secret, Reason)>,
    /// What was not.
    pub held_back: Vec<String>,
}

impl Passed {
    /// The names of all of it, and why.
    pub fn reasons(&self) -> BTreeMap<String, Reason> {
        let values = self.values.iter().map(|v| (v.name.to_string_lossy().into_owned(), v.why.clone()));
        values.chain(self.secrets.iter().map(|(secret, why)| (secret.name.clone(), why.clone()))).collect()
    }
}

/// Decides: what the user granted or their settings name, and, unless the level is strict, from a
/// client with a small environment, or as the line itself sets it, everything that is neither its
/// surroundings nor a login for a registry, which is for fetching the package and not for the
/// package. The line's own list (`--safe-env`) only takes away from that.
pub fn decide(asked: &Asked<'_>, network: Network, mounts: bool, relaxed: &BTreeSet<Relaxation>) -> Passed {
    let mut values = own(asked, network, mounts);
    let asked_for =
        |name: &OsStr| asked.tighten.env.as_ref().is_none_or(|names| names.iter().any(|n| name == n.as_str()));
    let secrets: Vec<_> = secrets(asked).into_iter().filter(|(secret, _)| asked_for(secret.name.as_ref())).collect();
    let is_there = |values: &[Variable], name: &OsStr| {
        values.iter().any(|own| own.name == name) || secrets.iter().any(|(secret, _)| name == secret.name.as_str())
    };
    let mut held_back = Vec::new();
    let wanted = |name: &OsStr| !is_surrounding(name) && !is_always(name);
    let small = asked.environment.iter().filter(|(name, _)| wanted(name)).count() <= SMALL
        && asked.environment.iter().all(|(name, _)| name != "SHLVL");
    for (name, value) in &asked.environment {
        let kept = is_always(name) || asked_for(name);
        // A host's PATH, HOME and the like mean nothing in the box, whoever asks.
        if !kept || host_shaped(name) || is_there(&values, name) {
            continue;
        }
        match reason(asked, name, small && wanted(name)) {
            Some(why) => values.push(Variable { name: name.clone(), value: value.clone(), why }),
            None if wanted(name) => held_back.push(name.to_string_lossy().into_owned()),
            None => {}
        }
    }
    // Whoever sets such a variable knows better than the recipe.
    let mut recipes: BTreeMap<&String, &String> = asked.recipes.iter().flat_map(|recipe| &recipe.env).collect();
    let relaxations = asked.recipes.iter().flat_map(|recipe| &recipe.relax);
    relaxations.filter(|(name, _)| relaxed.contains(name)).for_each(|(_, instead)| recipes.extend(instead));
    recipes.retain(|name, _| !is_there(&values, name.as_ref()));
    let of_recipe =
        |(name, value): (&String, &String)| Variable { name: name.into(), value: value.into(), why: Reason::Recipe };
    values.extend(recipes.into_iter().map(of_recipe));
    Passed { values, secrets, held_back }
}

/// What the user granted whose values are kept elsewhere. The file may have been edited by hand.
fn secrets(asked: &Asked<'_>) -> Vec<(Secret, Reason)> {
    let grants = asked.granted.iter().map(|granted| &granted.grant);
    grants
        .filter_map(|grant| match &grant.what {
            What::Secret(secret) if !host_shaped(secret.name.as_ref()) => Some((secret.clone(), Reason::from(grant))),
            _ => None,
        })
        .collect()
}

/// Why a variable is passed on, if it is.
fn reason(asked: &Asked<'_>, name: &OsStr, of_client: bool) -> Option<Reason> {
    if is_always(name) {
        return Some(Reason::Always);
    }
    let grants = asked.granted.iter().map(|granted| &granted.grant);
    if let Some(grant) = grants.into_iter().find(|grant| matches!(&grant.what, What::Env(n) if name == n.as_str())) {
        return Some(Reason::from(grant));
    }
    if asked.config.env.pass.iter().any(|listed| name == listed.as_str()) {
        return Some(Reason::Config);
    }
    let login = name.to_str().is_some_and(|n| asked.login_variables.contains(n));
    let has_grants = asked.granted.iter().any(|granted| granted.grant.what.counts_in_runs());
    if asked.level == Level::Strict || login || is_surrounding(name) || (has_grants && is_code(name)) {
        return None;
    }
    if asked.named.iter().any(|(known, _)| name == known.as_str()) {
        return Some(Reason::Line);
    }
    of_client.then_some(Reason::Client)
}

/// What every program gets from us.
fn own(asked: &Asked<'_>, network: Network, mounts: bool) -> Vec<Variable> {
    let path = "/app/node_modules/.bin:/app/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let terminal = asked.environment.iter().find(|(name, _)| name == "TERM").map(|(_, value)| value.clone());
    let term = terminal.filter(|_| asked.terminal).unwrap_or_else(|| "dumb".into());
    let mut own: Vec<(OsString, OsString)> = vec![
        ("PATH".into(), path.into()),
        ("HOME".into(), STATE_DIR.into()),
        ("TMPDIR".into(), "/tmp".into()),
        ("TERM".into(), term),
    ];
    if asked.keeps {
        // What can be made again need not be kept.
        own.push(("XDG_CACHE_HOME".into(), "/tmp/cache".into()));
    }
    if mounts {
        // A mounted repository's owner is rarely the box's user; git works on it all the same
        // (git-config(1), safe.directory and GIT_CONFIG_COUNT).
        let settings = [("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", "*")];
        own.extend(settings.map(|(name, value)| (format!("GIT_CONFIG_{name}").into(), value.into())));
    }
    // npm's option wins over the variable, too.
    if let Some(options) = asked.node_options {
        own.push(("NODE_OPTIONS".into(), options.into()));
    }
    if network != Network::None {
        for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"] {
            own.push((name.into(), "/jitbox/ca.pem".into()));
        }
    }
    own.into_iter().map(|(name, value)| Variable { name, value, why: Reason::Always }).collect()
}

fn is_code(name: &OsStr) -> bool {
    name.to_str().is_none_or(|n| CODE.contains(&n) || CODE_PREFIXES.iter().any(|p| n.starts_with(p)))
}

fn is_always(name: &OsStr) -> bool {
    name.to_str().is_some_and(|n| ALWAYS.contains(&n) || n.starts_with("LC_"))
}

fn is_surrounding(name: &OsStr) -> bool {
    name.to_str().is_none_or(|n| {
        SURROUNDINGS.contains(&n) || is_npm_setting(n) || SURROUNDING_PREFIXES.iter().any(|p| n.starts_with(p))
    })
}

/// npm reads its settings in any case.
fn is_npm_setting(name: &str) -> bool {
    name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("npm_config_"))
}

/// Names that mean something else in a box than outside: they are never passed on.
pub fn host_shaped(name: &OsStr) -> bool {
    const NAMES: [&str; 9] = ["PATH", "HOME", "SHELL", "TMPDIR", "PWD", "USER", "LOGNAME", "NODE_PATH", "PYTHONPATH"];
    name.to_str().is_none_or(|n| NAMES.contains(&n) || n.starts_with("LD_") || n.starts_with("DYLD_"))
}

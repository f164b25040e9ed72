//! Which variables the program gets. Values go over the link only: never into an argv, a label,
//! `inspect`, a log or a layer.

use std::ffi::{OsStr, OsString};

use super::Asked;
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

/// Which say how to talk to a person; harmless, and wanted.
const ALWAYS: [&str; 5] = ["TZ", "LANG", "LANGUAGE", "NO_COLOR", "FORCE_COLOR"];

/// Clients that start servers with a small environment add what the server's entry in their
/// configuration says, and nothing else: with at most this many names outside the surroundings,
/// they are taken for that.
const SMALL: usize = 12;

/// What is passed on.
pub struct Passed {
    /// The program's whole environment.
    pub values: Vec<(OsString, OsString)>,
    /// What was not.
    pub held_back: Vec<String>,
}

/// Decides. An explicit list (`--safe-env`) counts alone; else what the user's settings name,
/// and from a client with a small environment, or as the line itself sets it, everything that is
/// neither its surroundings nor a login for a registry, which is for fetching the package and not
/// for the package.
pub fn decide(asked: &Asked<'_>, network: Network) -> Passed {
    let mut values = own(asked, network);
    let mut held_back = Vec::new();
    let wanted = |name: &OsStr| !is_surrounding(name) && !is_always(name);
    let named = |name: &OsStr| asked.named.iter().any(|(known, _)| name == known.as_str());
    let small = asked.environment.iter().filter(|(name, _)| wanted(name)).count() <= SMALL
        && asked.environment.iter().all(|(name, _)| name != "SHLVL");
    for (name, value) in &asked.environment {
        let login = name.to_str().is_some_and(|n| asked.login_variables.contains(n));
        let listed = |names: &[String]| name.to_str().is_some_and(|n| names.iter().any(|l| l == n));
        let pass = match &asked.tighten.env {
            Some(names) => is_always(name) || listed(names),
            None => {
                let meant = wanted(name) && !login && (small || named(name)) && !asked.tighten.strict;
                is_always(name) || listed(&asked.config.env.pass) || meant
            }
        };
        // A host's PATH, HOME and the like mean nothing in the box, whoever asks.
        if pass && !values.iter().any(|(own, _)| own == name) && !host_shaped(name) {
            values.push((name.clone(), value.clone()));
        } else if wanted(name) && !pass {
            held_back.push(name.to_string_lossy().into_owned());
        }
    }
    // Whoever sets such a variable knows better than the recipe.
    let set = |name: &str| values.iter().any(|(own, _)| own == name);
    let recipe: Vec<_> = asked.recipe_environment.iter().filter(|(name, _)| !set(name)).cloned().collect();
    values.extend(recipe.into_iter().map(|(name, value)| (name.into(), value.into())));
    Passed { values, held_back }
}

/// What every program gets from us.
fn own(asked: &Asked<'_>, network: Network) -> Vec<(OsString, OsString)> {
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
    if !asked.paths.is_empty() {
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
    own
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

fn host_shaped(name: &OsStr) -> bool {
    const NAMES: [&str; 9] = ["PATH", "HOME", "SHELL", "TMPDIR", "PWD", "USER", "LOGNAME", "NODE_PATH", "PYTHONPATH"];
    name.to_str().is_none_or(|n| NAMES.contains(&n) || n.starts_with("LD_") || n.starts_with("DYLD_"))
}

//! The options of `uv run` where they are not those of uvx, and what may stand between `uv` and
//! its command (uv 0.13, `crates/uv-cli`).

use super::{Effect, OptionRow, Table, flag, refused, value};

const OUT: &str = "leave it out";

/// Looked at before uvx's table.
pub const RUN: Table = Table(ROWS);

/// Names of uvx that `uv run` does not know.
#[rustfmt::skip]
pub const NOT_RUNS: &[&str] = &[
    "--build-constraint", "--build-constraints", "-b", "--constraint", "--constraints", "-c", "--from",
    "--generate-shell-completion", "--lfs", "--override", "--overrides", "--torch-backend", "--version", "-V",
];

const ROWS: &[OptionRow] = &[
    value(&["--project", "--directory", "--package"], Effect::Local),
    flag(&["--script", "-s", "--gui-script", "--all-packages", "--no-project"], Effect::Local),
    flag(&["--module", "-m"], Effect::Module),
    flag(&["--isolated"], Effect::Harmless),
    flag(
        &[
            "--all-extras",
            "--dev",
            "--no-dev",
            "--only-dev",
            "--no-default-groups",
            "--all-groups",
            "--no-editable",
            "--exact",
            "--active",
            "--no-sync",
            "--locked",
            "--frozen",
        ],
        Effect::Local,
    ),
    value(&["--extra", "--no-extra", "--group", "--no-group", "--only-group", "--no-editable-package"], Effect::Local),
    flag(&["--yes", "-y"], refused("is npx's; uv never asks and has no such option", OUT)),
];

/// Before `run` and `tool run`.
pub const GLOBAL: Table = Table(GLOBAL_ROWS);

const GLOBAL_ROWS: &[OptionRow] = &[
    value(&["--project", "--directory"], Effect::Local),
    value(&["--config-file"], refused("names a file of this machine", OUT)),
    value(
        &["--allow-insecure-host", "--trusted-host"],
        refused(
            "switches off the check of the index's certificate",
            "add the index's CA to the system, or name its file in SSL_CERT_FILE",
        ),
    ),
    flag(
        &["--offline"],
        refused(
            "can't be promised: what is not built yet has to be fetched",
            "leave it out; what was built once starts without the network",
        ),
    ),
    flag(&["--help", "-h"], Effect::Help),
    flag(&["--version", "-V"], Effect::Version),
    flag(
        &[
            "--quiet",
            "-q",
            "--verbose",
            "-v",
            "--no-cache",
            "--no-cache-dir",
            "-n",
            "--no-progress",
            "--no-config",
            "--no-color",
            "--system-certs",
            "--native-tls",
            "--managed-python",
            "--no-managed-python",
            "--no-python-downloads",
        ],
        Effect::Harmless,
    ),
    value(&["--color", "--cache-dir"], Effect::Harmless),
];

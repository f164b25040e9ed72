//! The options of uvx: those of `uv tool run` (uv 0.13, `crates/uv-cli`).

use super::{Effect, OptionRow, Table, flag, only, refused, value};

const PIN: &str = "name the version with the package, as in `uvx-safe pkg@1.2.3`";
const ONE_INDEX: &str = "leave it out, or name one index that has everything: `--default-index URL`";
const NO_FILE: &str = "names a file or folder of this machine";
const WHEELS: &str = "leave it out; packages are installed from wheels";

/// Every option of uvx.
pub const TABLE: Table = Table(ROWS);

const ROWS: &[OptionRow] = &[
    // What matters to us.
    value(&["--from"], Effect::From),
    value(&["--with", "-w"], Effect::With),
    value(&["--with-requirements"], Effect::Requirements),
    value(&["--python", "-p"], Effect::Python),
    value(&["--default-index", "--index-url", "-i"], Effect::Registry),
    flag(&["--help", "-h"], Effect::Help),
    flag(&["--version", "-V"], Effect::Version),
    // Not uv's, but people type it.
    flag(&["--yes", "-y"], refused("is npx's; uvx never asks and has no such option", "leave it out: `uvx-safe pkg`")),
    // Files and folders of this machine.
    value(&["--with-editable"], refused(NO_FILE, "name the published package: `--with pkg`")),
    value(
        &[
            "--constraints",
            "--constraint",
            "-c",
            "--overrides",
            "--override",
            "--build-constraints",
            "--build-constraint",
            "-b",
        ],
        refused(NO_FILE, "name the versions themselves: `--with 'pkg<2'`"),
    ),
    value(&["--env-file"], refused(NO_FILE, "set the variables in the client's `env` for this server")),
    value(&["--config-file", "--project"], refused(NO_FILE, "leave it out")),
    value(
        &["--directory"],
        refused(
            "starts in another folder, which is not supported",
            "set the working directory in the client's entry for this server (often `cwd`)",
        ),
    ),
    // Would change which versions are chosen, or from where.
    value(
        &["--index", "--extra-index-url", "--find-links", "-f"],
        refused("adds a second source of packages, which is not supported", ONE_INDEX),
    ),
    flag(&["--no-index"], refused("forbids the package index", "leave it out")),
    value(
        &["--keyring-provider"],
        only(&["disabled"], "asks a program of this machine for credentials", "leave it out"),
    ),
    value(
        &["--allow-insecure-host", "--trusted-host"],
        refused(
            "switches off the check of the index's certificate",
            "add the index's CA to the system, or name its file in SSL_CERT_FILE",
        ),
    ),
    value(&["--prerelease"], Effect::Prerelease),
    flag(&["--pre"], Effect::Prerelease),
    value(&["--resolution"], only(&["highest"], "changes which versions are chosen, which is not supported", PIN)),
    value(
        &["--exclude-newer", "--exclude-newer-package", "--prerelease-package"],
        refused("changes which versions are chosen, which is not supported", PIN),
    ),
    value(
        &["--python-platform", "--torch-backend"],
        refused("chooses wheels for another platform than the container's", "leave it out"),
    ),
    flag(
        &["--offline"],
        refused(
            "can't be promised: what is not built yet has to be fetched",
            "leave it out; what was built once starts without the network",
        ),
    ),
    // Builds from source.
    value(
        &[
            "--config-setting",
            "--config-settings",
            "-C",
            "--config-settings-package",
            "--no-build-isolation-package",
            "--no-binary-package",
        ],
        refused("changes how packages are built from source", WHEELS),
    ),
    flag(&["--no-build-isolation", "--no-binary"], refused("changes how packages are built from source", WHEELS)),
    // Would print something and run nothing.
    flag(
        &["--show-settings"],
        refused("shows uv's settings, and uv is not run here", "type `--safe-plan` in its place"),
    ),
    value(&["--generate-shell-completion"], refused("is about uv's own shell completion", "leave it out")),
    // Everything else speaks of uv's output, cache, projects: no meaning, no harm. But uv fails on
    // values that it does not know.
    value(&["--color"], one_of(&["auto", "always", "never"])),
    value(&["--link-mode"], one_of(&["clone", "copy", "hardlink", "symlink"])),
    value(&["--fork-strategy"], one_of(&["fewest", "requires-python"])),
    value(&["--index-strategy"], one_of(&["first-index", "unsafe-first-match", "unsafe-best-match"])),
    value(&["--python-fetch"], one_of(&["automatic", "manual", "never"])),
    value(&["--python-preference"], one_of(&["only-managed", "managed", "system", "only-system"])),
    value(NAMES, Effect::Name),
    flag(HARMLESS_FLAGS, Effect::Harmless),
    value(&["--cache-dir", "--preview-feature", "--preview-features"], Effect::Harmless),
];

const fn one_of(values: &'static [&'static str]) -> Effect {
    only(values, "does not know this value", "leave it out: it changes nothing here")
}

/// Names that mean one option; uv takes most options only once.
const SAME: &[(&str, &str)] = &[
    ("--compile", "--compile-bytecode"),
    ("--no-cache-dir", "--no-cache"),
    ("-n", "--no-cache"),
    ("-q", "--quiet"),
    ("-U", "--upgrade"),
    ("-v", "--verbose"),
];

/// Options that may be given more than once.
const REPEATABLE: &[&str] =
    &["--preview-feature", "--preview-features", "--quiet", "--verbose", "--with", "--with-requirements", "-w"];

/// Options that uv does not take together.
const CONFLICTS: &[(&str, &str)] = &[
    ("--quiet", "--verbose"),
    ("--pre", "--prerelease"),
    ("--color", "--no-color"),
    ("--allow-python-downloads", "--no-python-downloads"),
    ("--managed-python", "--python-preference"),
    ("--no-managed-python", "--python-preference"),
];

/// The option's one name, by which [`repeatable`] and [`conflict`] know it.
pub fn canonical(name: &'static str) -> &'static str {
    SAME.iter().find(|(other, _)| *other == name).map_or(name, |(_, one)| one)
}

/// Whether the option may be given more than once.
pub fn repeatable(canonical: &str) -> bool {
    REPEATABLE.contains(&canonical) || NAMES.contains(&canonical)
}

/// Which of the options before it uv does not take together with this one.
pub fn conflict(canonical: &str, before: &[&'static str]) -> Option<&'static str> {
    before
        .iter()
        .copied()
        .find(|other| CONFLICTS.iter().any(|pair| *pair == (canonical, other) || *pair == (other, canonical)))
}

#[rustfmt::skip]
const HARMLESS_FLAGS: &[&str] = &[
    "--allow-python-downloads", "--binary", "--build", "--build-isolation", "--compile",
    "--compile-bytecode", "--isolated", "--lfs", "--managed-python", "--native-tls", "--no-build",
    "--no-cache", "--no-cache-dir", "-n", "--no-color", "--no-compile-bytecode", "--no-config",
    "--no-env-file", "--no-installer-metadata", "--no-managed-python", "--no-native-tls",
    "--no-offline", "--no-preview", "--no-progress", "--no-python-downloads", "--no-refresh",
    "--no-reinstall", "--no-require-build-hashes", "--no-sources", "--no-system-certs",
    "--no-upgrade", "--preview", "--quiet", "-q", "--refresh", "--reinstall",
    "--require-build-hashes", "--show-resolution", "--system-certs", "--upgrade", "-U", "--verbose",
    "-v",
];

/// Options that take a package's name and change nothing here.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "--no-build-package", "--no-sources-package", "--refresh-package", "--reinstall-package",
    "--upgrade-group", "--upgrade-package", "-P",
];

//! The options of npx: npm 11's configuration keys and shorthands, and what `npx-cli.js`
//! adds (`@npmcli/config/lib/definitions`, `bin/npx-cli.js`).

use super::{Effect, OptionRow, Table, flag, only, refused, refused_off, refused_on, switch, value};

const ONLY_NPMRC: &str = "put it into ~/.npmrc, which is read for registries and tokens";
const NEVER_ASKED: &str = "leave it out: a package is only ever installed into its own container";
const PIN: &str = "name the version with the package, as in `npx-safe pkg@1.2.3`";
const SCRIPTS: &str = "leave it out; install scripts are allowed per package with `jitbox allow`";
const AGAINST_INSTALL: &str = "forbids the install, and nothing of this machine's node_modules is ever used";

/// Every option of npx.
pub const TABLE: Table = Table(ROWS);

const ROWS: &[OptionRow] = &[
    // What matters to us.
    value(&["--package", "-p"], Effect::Package),
    value(&["--registry", "--reg"], Effect::Registry),
    switch(&["--version", "-v", "--versions"], Effect::Version),
    switch(&["--usage"], Effect::Help),
    flag(&["--help", "-h", "-H", "-?"], Effect::Help),
    switch(&["--yes", "-y"], refused_off(AGAINST_INSTALL, NEVER_ASKED)),
    flag(&["--no", "--no-install"], refused(AGAINST_INSTALL, NEVER_ASKED)),
    value(&["--call", "-c"], Effect::Call),
    // Would run something else than a package's command.
    value(
        &["--script-shell", "--shell"],
        refused("names a shell, and no shell is involved here", "leave it out: the command is started directly"),
    ),
    value(&["--node-options"], Effect::NodeOptions),
    value(&["--workspace", "-w"], refused("runs in a workspace of this folder, which has no say here", "leave it out")),
    switch(
        &["--workspaces", "-ws", "--include-workspace-root", "-iwr"],
        refused_on("runs in the workspaces of this folder, which has no say here", "leave it out"),
    ),
    value(
        &["--prefix", "-C"],
        refused(
            "runs what is installed in a folder of this machine",
            "leave it out and name the published package: `npx-safe pkg@1.2.3`",
        ),
    ),
    switch(&["--dry-run"], refused_on("does not show what would be run", "type `--safe-plan` in its place")),
    // Would change which versions are chosen, or from where; saying yes and not doing it would be a lie.
    switch(
        &["--offline"],
        refused_on(
            "can't be promised: what is not built yet has to be fetched",
            "leave it out; what was built once starts without the network",
        ),
    ),
    value(
        &["--before", "--enjoy-by", "--min-release-age", "--min-release-age-exclude"],
        refused("chooses versions by their date, which a line can't do here", PIN),
    ),
    value(
        &["--tag"],
        refused(
            "changes what a package without a version means",
            "name the tag with the package, as in `npx-safe pkg@next`",
        ),
    ),
    value(&["--cpu", "--os", "--libc"], refused("chooses another platform than the container's", "leave it out")),
    value(&["--allow-scripts"], refused("allows install scripts, which a line can't do", SCRIPTS)),
    switch(&["--dangerously-allow-all-scripts"], refused_on("allows install scripts, which a line can't do", SCRIPTS)),
    value(
        &["--allow-git", "--allow-remote", "--allow-file", "--allow-directory"],
        refused("limits where dependencies come from, which can't be done yet", "leave it out"),
    ),
    value(
        &["--userconfig", "--globalconfig"],
        refused("names another configuration file", "put its settings into ~/.npmrc"),
    ),
    value(
        &["--_auth", "--cert", "--key", "--ca", "--cafile", "--password"],
        refused("is about credentials, which don't belong on a command line", ONLY_NPMRC),
    ),
    value(
        &["--proxy", "--https-proxy", "--noproxy", "--local-address"],
        refused(
            "changes the way to the registry, which a line can't do here",
            "set HTTPS_PROXY or NO_PROXY in the environment",
        ),
    ),
    switch(
        &["--strict-ssl"],
        refused_off(
            "switches off the check of the registry's certificate",
            "add the registry's CA to the system, or name its file in NODE_EXTRA_CA_CERTS",
        ),
    ),
    // What only one of npm 11 and npm 12 has, and the other takes for something else.
    switch(&["--shrinkwrap"], refused("is unknown to npm 12", "leave it out")),
    switch(
        &[
            "--allow-unused-patches",
            "--ignore-extension",
            "--ignore-patch-failures",
            "--keep-edit-dir",
            "--strict-npmrc",
        ],
        refused("is unknown to npm 11", "leave it out"),
    ),
    value(
        &["--edit-dir", "--extension-file", "--global-ignore-file", "--patches-dir", "--to"],
        refused("is unknown to npm 11", "leave it out"),
    ),
    switch(&["--browser"], refused("takes the next word, even the package", "leave it out")),
    // npx itself has removed these; the last ones take the next word with them.
    flag(&["--always-spawn", "--ignore-existing"], Effect::Harmless),
    flag(&["--shell-auto-fallback"], refused("was removed from npx", "leave it out")),
    // It stands for `--no-global`, which npx does not know as a switch.
    flag(&["--local"], refused("makes npx take the package for a value", "leave it out")),
    value(
        &["--npm", "--node-arg", "-n"],
        refused("was removed from npx, which drops it and the next word", "leave it out"),
    ),
    value(
        &["--also", "--only", "--omit", "--include"],
        only(
            &["dev", "prod", "production", "development", "optional", "peer"],
            "names a sort of dependency that npm does not have",
            "leave it out",
        ),
    ),
    // Everything else speaks of npm's output, its cache, projects, publishing: no meaning, no harm.
    flag(
        &["-q", "--quiet", "-s", "--silent", "-d", "-dd", "-ddd", "--verbose", "--desc", "--porcelain", "--readonly"],
        Effect::Harmless,
    ),
    switch(HARMLESS_SWITCHES, Effect::Harmless),
    value(HARMLESS_VALUES, Effect::Harmless),
];

#[rustfmt::skip]
const HARMLESS_SWITCHES: &[&str] = &[
    "--all", "-a", "--allow-same-version", "--allow-scripts-pending", "--allow-scripts-pin", "--audit",
    "--bin-links", "--bypass-2fa", "--color", "--commit-hooks", "--description", "--dev",
    "--diff-ignore-all-space", "--diff-name-only", "--diff-no-prefix", "--diff-text", "--engine-strict",
    "--expect-results", "--force", "-f", "--foreground-scripts", "--format-package-lock", "--fund",
    "--git-tag-version", "--global", "-g", "--global-style", "--if-present", "--ignore-scripts",
    "--include-attestations", "--include-staged", "--init-private", "--install-links", "--json",
    "--legacy-bundling", "--legacy-peer-deps", "--link", "--long", "-l",
    "--omit-lockfile-registry-resolved", "--optional", "--package-lock", "--package-lock-only",
    "--packages-all", "--parseable", "--prefer-dedupe", "--prefer-offline", "--prefer-online",
    "--production", "--progress", "--provenance", "--read-only", "--rebuild-bundle", "--save", "-S",
    "--save-bundle", "-B", "--save-dev", "-D", "--save-exact", "-E", "--save-optional", "-O",
    "--save-peer", "--save-prod", "-P", "--sign-git-commit", "--sign-git-tag",
    "--strict-allow-scripts", "--strict-peer-deps", "--timing", "--unicode", "--update-notifier",
    "--workspaces-update",
];

#[rustfmt::skip]
const HARMLESS_VALUES: &[&str] = &[
    "--access", "--audit-level", "--auth-type", "--cache", "--cache-max", "--cache-min", "--cidr",
    "--depth", "--diff", "--diff-dst-prefix", "--diff-src-prefix", "--diff-unified", "--editor",
    "--expect-result-count", "--expires", "--fetch-retries", "--fetch-retry-factor",
    "--fetch-retry-maxtimeout", "--fetch-retry-mintimeout", "--fetch-timeout", "--git", "--heading",
    "--init-author-email", "--init-author-name", "--init-author-url", "--init-license",
    "--init-module", "--init-type", "--init-version", "--init.author.email", "--init.author.name",
    "--init.author.url", "--init.license", "--init.module", "--init.version", "--install-strategy",
    "--location", "-L", "--lockfile-version", "--loglevel", "--logs-dir", "--logs-max",
    "--maxsockets", "--message", "-m", "--name", "--node-gyp", "--orgs", "--orgs-permission",
    "--otp", "--pack-destination", "--packages", "--packages-and-scopes-permission", "--preid",
    "--provenance-file", "--replace-registry-host", "--save-prefix", "--sbom-format", "--sbom-type",
    "--scope", "--scopes", "--searchexclude", "--searchlimit", "--searchopts", "--searchstaleness",
    "--tag-version-prefix", "--token-description", "--umask", "--user-agent", "--viewer", "--which",
];

//! The options of `npm exec` where they are not those of npx: npm's parser alone reads the line
//! (`@npmcli/config/lib/definitions`, nopt), and what `npx-cli.js` adds does not exist.

use super::{Effect, OptionRow, Table, flag, refused, switch, value};

const AGAINST_INSTALL: &str = "forbids the install, and nothing of this machine's node_modules is ever used";

/// Looked at before npx's table.
pub const TABLE: Table = Table(ROWS);

/// Names of npx that npm does not know.
pub const NOT_NPMS: &[&str] =
    &["--always-spawn", "--ignore-existing", "--shell-auto-fallback", "--npm", "--node-arg", "--no-install"];

const ROWS: &[OptionRow] = &[
    value(&["--package"], Effect::Package),
    flag(&["-p"], refused("stands for `--parseable` after `npm exec`", "write `--package=pkg`")),
    flag(&["--no", "-n"], refused(AGAINST_INSTALL, "leave it out")),
    switch(&["--local"], Effect::Harmless),
];

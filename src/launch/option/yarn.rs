//! The options of `yarn dlx` (Yarn 4, `packages/plugin-dlx`).

use super::{Effect, OptionRow, Table, flag, refused, value};

/// Every option that is understood.
pub const TABLE: Table = Table(ROWS);

const ROWS: &[OptionRow] = &[
    value(&["--package", "-p"], Effect::Package),
    flag(&["--help", "-h"], Effect::Help),
    flag(&["--version", "-v"], Effect::Version),
    flag(&["--quiet", "-q"], Effect::Harmless),
    flag(&["--yes", "-y"], refused("is npx's; yarn never asks and has no such option", "leave it out")),
    value(&["--cwd"], refused("starts in another folder", "set the working directory in the client's entry")),
];

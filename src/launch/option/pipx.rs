//! The options of `pipx run` (pipx 1.18, `pipx run --help`).

use super::{Effect, OptionRow, Table, flag, refused, value};

const NO_FILE: &str = "runs a file or folder of this machine";
const NAME_IT: &str = "name the published package: `pipx run --spec pkg==1.2 app`";

/// Every option that is understood.
pub const TABLE: Table = Table(ROWS);

const ROWS: &[OptionRow] = &[
    value(&["--spec"], Effect::From),
    value(&["--with"], Effect::With),
    value(&["--python"], Effect::Python),
    value(&["--index-url", "-i"], Effect::Registry),
    flag(&["--help", "-h"], Effect::Help),
    flag(
        &[
            "--quiet",
            "-q",
            "--verbose",
            "-v",
            "--no-cache",
            "--refresh",
            "--no-path-check",
            "--skip-maintenance",
            "--fetch-missing-python",
        ],
        Effect::Harmless,
    ),
    value(&["--fetch-python", "--backend"], Effect::Harmless),
    flag(&["--path", "--pypackages", "--editable", "-e"], refused(NO_FILE, NAME_IT)),
    flag(&["--system-site-packages"], refused("uses packages of this machine", "name them: `--with pkg`")),
    flag(&["--global"], refused("is for all users of this machine", "leave it out")),
    flag(&["--yes", "-y"], refused("is npx's; pipx never asks and has no such option", "leave it out")),
    value(
        &["--pip-args"],
        refused("changes how packages are chosen and installed, which is not supported", "leave it out"),
    ),
    value(&["--python-args"], refused("changes how Python is started, which is not supported", "leave it out")),
    value(&["--cooldown"], refused("chooses versions by their date, which a line can't do here", "name a version")),
];

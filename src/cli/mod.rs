//! Management commands, one file each.

pub mod allow;
pub mod attempts;
pub mod base;
pub mod build;
pub mod completions;
pub mod deny;
pub mod doctor;
pub mod grants;
pub mod help;
mod known;
pub mod lock;
pub mod logs;
pub mod ls;
pub mod man;
pub mod plan;
pub mod prune;
pub mod recipe;
mod reference;
pub mod rm;
pub mod state;
mod timer;
pub mod update;
mod whom;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::launch::{self, Request, tool, wrapper};
use crate::package::shown;
use crate::session;
use crate::{shim, ui};

/// Runs npm and PyPI packages in hardened containers.
#[derive(Debug, Parser)]
#[command(name = "jitbox", version, about, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the package that a whole line names, as it stands in a client's configuration
    Run(Whole),
    /// Print every step of a line and run nothing
    Plan {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// Stop after what needs no network
        #[arg(long)]
        offline: bool,
        #[command(flatten)]
        whole: Whole,
    },
    /// Let packages read or write paths, get variables, or reach a network
    Allow(allow::Allow),
    /// Take back what packages were allowed
    Deny(deny::Deny),
    /// Show what packages are allowed, since when and why
    Grants(grants::Show),
    /// List the boxes
    Ls {
        /// With what each has besides its base image, as the engine says
        #[arg(long)]
        size: bool,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Print what is in a box: every package of its tree, with its version and hashes
    Lock(lock::Show),
    /// Remove boxes and their images
    Rm {
        /// Names as `jitbox ls` shows them
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Remove what no line needs any more: older images, ended attempts, files of boxes that are gone
    Prune(prune::Args),
    /// Take newer versions, and say what is different in them
    Update(update::Args),
    /// Make a box with something besides what its line says: Debian packages, another Node or Python, other versions
    Build(build::Args),
    /// What packages need besides themselves: recipes that come with jitbox, and your own
    #[command(subcommand)]
    Recipe(recipe::What),
    /// The images that boxes are made of
    #[command(subcommand)]
    Base(base::What),
    /// Go back to the box before the last update, without a network
    Rollback {
        /// A name as `jitbox ls` shows it, or a package's
        #[arg(value_name = "NAME")]
        name: String,
        /// The attempt to go back to, as `jitbox attempts` numbers them
        #[arg(long, value_name = "NUMBER")]
        to: Option<u32>,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// List the attempts to make boxes, and what came of them
    Attempts {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// A name as `jitbox ls` shows it, or a package's
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Print what npm, uv and the engine said while a box was made
    Log {
        /// Of which attempt; else the last one
        #[arg(long, value_name = "NUMBER")]
        attempt: Option<u32>,
        /// A name as `jitbox ls` shows it, or a package's
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Print all that is known of a box
    Inspect {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// Start its MCP server without a network, and ask what it offers
        #[arg(long)]
        ask: bool,
        /// A name as `jitbox ls` shows it, or a package's
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Say what is here, what was chosen and why, and what is missing
    Doctor {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Print the last entries of the log: starts, refusals, ends
    Logs {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
    },
    /// Print what the log has about a package
    History {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// Its name, or its box's
        #[arg(value_name = "PACKAGE")]
        package: String,
    },
    /// What packages keep between runs
    #[command(subcommand)]
    State(State),
    /// Print completions for a shell
    Completions {
        /// Which one
        shell: completions::Shell,
    },
    /// Print the manual page
    Man,
    /// A launcher and its line
    #[command(external_subcommand)]
    Launcher(Vec<OsString>),
}

#[derive(Debug, Subcommand)]
enum State {
    /// List what is kept
    Ls {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Remove what packages have kept
    Rm {
        /// Their names, or their boxes'
        #[arg(required = true, value_name = "PACKAGE")]
        names: Vec<String>,
    },
    /// Write what a package has kept as a tar archive
    Export {
        /// Its name, or its box's
        #[arg(value_name = "PACKAGE")]
        name: String,
        /// A new file; else standard output
        file: Option<PathBuf>,
    },
}

#[derive(Debug, clap::Args)]
struct Whole {
    /// The line, with its launcher: `-- npx -y pkg`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "LINE")]
    line: Vec<OsString>,
}

/// Our own commands, for help, completions and the manual page.
fn command() -> clap::Command {
    Line::command().after_help(help::launchers())
}

/// Each of them, with the words that it is typed as.
fn commands() -> Vec<(String, clap::Command)> {
    let below = |words: &str, command: &clap::Command| -> Vec<(String, clap::Command)> {
        let named = |sub: &clap::Command| (format!("{words} {}", sub.get_name()), sub.clone());
        command.get_subcommands().map(named).collect()
    };
    let all = below("jitbox", &command());
    all.into_iter()
        .flat_map(|(words, sub)| [vec![(words.clone(), sub.clone())], below(&words, &sub)].concat())
        .collect()
}

/// Runs a management command.
pub fn main() -> ExitCode {
    let context = Context::read();
    if let Some(done) = shim::called_as_another(&context) {
        return done;
    }
    shim::trace_if_asked(&context);
    let argv = std::iter::once(OsString::from("jitbox")).chain(context.args.iter().cloned());
    let line = match command().try_get_matches_from(argv).and_then(|matches| Line::from_arg_matches(&matches)) {
        Ok(line) => line,
        Err(e) => return usage(&e),
    };
    let done = match line.command {
        Command::Run(whole) => return shim::run_line(&whole.line, &context),
        Command::Launcher(line) => match known(&line) {
            Ok(()) => return shim::run_line(&tool::typed(line), &context),
            Err(e) => Err(e),
        },
        Command::Plan { json, offline, whole } => plan(&context, whole.line, json, offline),
        Command::Allow(allow) => allow::run(&context, &allow),
        Command::Deny(deny) => deny::run(&context, &deny),
        Command::Grants(show) => grants::run(&context, &show),
        Command::Ls { size, json } => ls::run(&context, size, json),
        Command::Update(args) => update::run(&context, &args),
        Command::Build(args) => build::run(&context, &args),
        Command::Recipe(what) => recipe::run(&context, &what),
        Command::Base(what) => base::run(&context, &what),
        Command::Rollback { name, to, json } => update::roll_back(&context, &name, to, json),
        Command::Attempts { name, json } => attempts::list(&context, name.as_deref(), json),
        Command::Log { name, attempt } => attempts::log(&context, &name, attempt),
        Command::Inspect { name, ask, json } => attempts::inspect(&context, &name, ask, json),
        Command::Lock(show) => lock::run(&context, &show),
        Command::Prune(args) => prune::run(&context, &args),
        Command::Rm { names } => rm::run(&context, &names),
        Command::Logs { json, last } => logs::run(&context, last, json),
        Command::History { json, package } => logs::history(&context, &package, json),
        Command::State(State::Ls { json }) => state::ls(&context, json),
        Command::State(State::Rm { names }) => state::rm_all(&context, &names),
        Command::State(State::Export { name, file }) => state::export(&context, &name, file.as_deref()),
        Command::Doctor { json } => doctor::run(&context, json).map(ExitCode::from),
        Command::Completions { shell } => {
            ui::answer(&completions::script(shell));
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            ui::answer(&man::page());
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|e| {
        ui::failure(&e);
        ExitCode::from(e.command_exit_code())
    })
}

fn usage(e: &clap::Error) -> ExitCode {
    if e.use_stderr() {
        let text = e.to_string();
        // Its first paragraph says what is wrong; the rest repeats the help.
        let what = match e.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "there is no command",
            _ => text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default(),
        };
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        ui::failure(&Error::new(Kind::Usage, what).hint("`jitbox --help` says what there is"));
        ExitCode::from(2)
    } else {
        ui::answer(&e.to_string());
        ExitCode::SUCCESS
    }
}

/// Whether the first word that is no command of ours is a launcher.
fn known(line: &[OsString]) -> Result<()> {
    let typed = line.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    if tool::is_program(&typed) {
        return Ok(());
    }
    let error = Error::usage(format!("`{}` is neither a command nor a launcher", shown(&typed)));
    if wrapper::is_program(&typed) {
        return Err(error.hint(format!("write `jitbox run -- {} …`", shown(&typed))));
    }
    let command = command();
    let ours = command.get_subcommands().map(clap::Command::get_name);
    let near =
        ours.chain(tool::TOOLS.iter().map(|tool| tool.program)).min_by_key(|name| strsim::levenshtein(name, &typed));
    let error = match near.filter(|name| strsim::levenshtein(name, &typed) <= 2) {
        Some(name) => error.hint(format!("did you mean `jitbox {name}`?")),
        None => error,
    };
    Err(error.hint("`jitbox --help` lists them"))
}

fn plan(context: &Context, line: Vec<OsString>, json: bool, offline: bool) -> Result<ExitCode> {
    match launch::parse_line(&tool::typed(line))?.1 {
        Request::Run(launch) => {
            let context = context.with(&launch.environment);
            plan::show(&context, &*session::complete(&context, &launch)?, json, offline)
        }
        Request::Local(project) => plan::show_project(context, &project, json, offline),
        Request::Help | Request::Version => {
            Err(Error::usage("the line runs no package").hint("jitbox plan npx -y pkg"))
        }
    }
}

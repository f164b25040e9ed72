//! Management commands, one file each.

pub mod doctor;
pub mod help;
pub mod ls;
pub mod plan;
pub mod rm;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::launch::{self, Launch, Launcher, Request};
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
    /// Run the package that this `npx` line names
    Npx(Rest),
    /// Run the package that this `uvx` line names
    Uvx(Rest),
    /// Print every step of a line and run nothing
    Plan {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// Stop after what needs no network
        #[arg(long)]
        offline: bool,
        /// `npx` or `uvx`
        launcher: String,
        #[command(flatten)]
        rest: Rest,
    },
    /// List the boxes
    Ls {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Remove boxes and their images
    Rm {
        /// Names as `jitbox ls` shows them
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Say what is here, what was chosen and why, and what is missing
    Doctor {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Rest {
    /// The line, after `--`
    #[arg(last = true, value_name = "LINE")]
    line: Vec<OsString>,
}

/// Runs a management command.
pub fn main() -> ExitCode {
    let mut context = Context::read();
    if shim::called_as_keeper(&context) {
        return shim::main(Launcher::Npx);
    }
    shim::trace_if_asked(&context);
    let argv = std::iter::once(OsString::from("jitbox")).chain(context.args.iter().cloned());
    let line = match Line::try_parse_from(argv) {
        Ok(line) => line,
        Err(e) => return usage(&e),
    };
    let done = match line.command {
        Command::Npx(rest) => {
            context.args = rest.line;
            return shim::run(Launcher::Npx, &context);
        }
        Command::Uvx(rest) => {
            context.args = rest.line;
            return shim::run(Launcher::Uvx, &context);
        }
        Command::Plan { json, offline, launcher, rest } => {
            launch_of(&launcher, &rest.line).and_then(|launch| plan::show(&context, &launch, json, offline))
        }
        Command::Ls { json } => ls::run(&context, json),
        Command::Rm { names } => rm::run(&context, &names),
        Command::Doctor { json } => doctor::run(&context, json).map(ExitCode::from),
    };
    done.unwrap_or_else(|e| {
        ui::failure(&e);
        ExitCode::from(e.command_exit_code())
    })
}

fn usage(e: &clap::Error) -> ExitCode {
    if e.use_stderr() {
        let text = e.to_string();
        let what = text.trim_start_matches("error: ").trim_end();
        ui::failure(&Error::new(Kind::Usage, what));
        ExitCode::from(2)
    } else {
        ui::answer(&e.to_string());
        ExitCode::SUCCESS
    }
}

fn launch_of(launcher: &str, line: &[OsString]) -> Result<Launch> {
    let launcher = match launcher {
        "npx" => Launcher::Npx,
        "uvx" => Launcher::Uvx,
        other => return Err(Error::usage(format!("`{other}` is no launcher")).hint("jitbox plan npx -- LINE")),
    };
    match launch::parse(launcher, line)? {
        Request::Run(launch) => Ok(launch),
        Request::Help | Request::Version => Err(Error::usage("the line runs no package")),
    }
}

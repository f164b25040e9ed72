//! The shims' whole life: `npx-safe` and `uvx-safe` take the line that `npx` and `uvx` would.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use jitbox_guest::protocol::End;
use nix::libc;

use crate::audit::Log;
use crate::config::Config;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::launch::{self, Launch, Launcher, Request};
use crate::policy::mounts::Mounted;
use crate::policy::reason::Reason;
use crate::policy::{Policy, lacks};
use crate::session::compile::Compiling;
use crate::session::{self, Session, newer, project};
use crate::state::boxes::{self, BoxRecord};
use crate::state::told;
use crate::supervise::{self, keeper};
use crate::{cli, ending, ui};

/// Runs the shim for `launcher`.
pub fn main(launcher: Launcher) -> ExitCode {
    let context = Context::read();
    if let Some(done) = called_as_another(&context) {
        return done;
    }
    ui::speak_as(launcher.shim());
    trace_if_asked(&context);
    run(launcher, &context)
}

/// `JITBOX_LOG`, set to anything, shows each step and command with the seconds since the start.
pub fn trace_if_asked(context: &Context) {
    if context.env.get("JITBOX_LOG").is_some() {
        ui::trace();
    }
}

/// What came of the work that our own program was started for under another name, if it was.
pub fn called_as_another(context: &Context) -> Option<ExitCode> {
    let done = match context.program.to_str()? {
        keeper::NAME => keeper::keep(),
        newer::NAME => newer::look(context),
        _ => return None,
    };
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the line that was given to the shim for `launcher`; the exit code is the program's own.
pub fn run(launcher: Launcher, context: &Context) -> ExitCode {
    ended(context, launch::parse(launcher, &context.args).map(|request| (launcher, request)))
}

/// Runs a whole line, from its launcher or a wrapper on.
pub fn run_line(line: &[OsString], context: &Context) -> ExitCode {
    ended(context, launch::parse_line(line))
}

fn ended(context: &Context, parsed: Result<(Launcher, Request)>) -> ExitCode {
    let mut log = Log::new(context);
    parsed.and_then(|(launcher, request)| answer(launcher, request, context, &mut log)).unwrap_or_else(|e| {
        ui::failure(&e);
        note_failure(log.failed(&e));
        ExitCode::from(e.shim_exit_code())
    })
}

/// A log that can't be written is no reason to run nothing, and none to keep quiet.
fn note_failure(written: Result<()>) {
    if let Err(e) = written {
        ui::note(&e.to_string());
    }
}

fn answer(launcher: Launcher, request: Request, context: &Context, log: &mut Log) -> Result<ExitCode> {
    match request {
        Request::Run(launch) if launch.environment.is_empty() => start(&launch, context, log),
        Request::Run(launch) => start(&launch, &context.with(&launch.environment), log),
        Request::Local(project) => {
            let (context, launch) = project::open(context, &project)?;
            start(&launch, &context, log)
        }
        Request::Help => {
            ui::answer(&cli::help::shim(launcher));
            Ok(ExitCode::SUCCESS)
        }
        Request::Version => {
            let program = launcher.program();
            let name = program.split(' ').next().unwrap_or_default();
            ui::answer(&format!("{name} {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start(launch: &Launch, context: &Context, log: &mut Log) -> Result<ExitCode> {
    let launch = &*session::complete(context, launch)?;
    if launch.tighten.plan {
        return cli::plan::show(context, launch, false, false);
    }
    log.about(boxes::name_for(launch));
    let mut session = Session::open(context)?;
    let record = session.find_or_make(launch)?;
    let answer = session.ask(launch, &record)?;
    let policy = session.decide(launch, Some(&record), answer)?;
    announce(&session, launch, &record, &policy)?;
    note_failure(log.start(launch, &record, &policy, &session.engine));
    let lookout = session.look_out(launch, &record);
    let compiling = session.compile_beside(launch, &record);
    let outcome = session.run(launch, &record, &policy)?;
    drop(lookout);
    look_back(&session, launch, &record, &policy, outcome.end)?;
    let line = ending::line(&outcome, &policy.limits, policy.idle, &Config::path(context));
    line.iter().for_each(|line| ui::note(line));
    if matches!(outcome.end, End::Exited(1..) | End::NotStarted(_)) {
        session.missed_scripts(launch, &record)?.iter().for_each(|line| ui::note(line));
    }
    note_failure(log.end(&outcome, line));
    compiling.into_iter().for_each(Compiling::finish);
    Ok(exit(outcome.end, &policy))
}

/// What a person should know before the program starts; nothing in the normal case.
fn announce(session: &Session<'_>, launch: &Launch, record: &BoxRecord, policy: &Policy) -> Result<()> {
    for (path, why) in &policy.not_mounted {
        ui::note(&format!("`{}` {why}", path.display()));
    }
    let held_back = told::news(&session.layout, &record.request.key(), &policy.held_back);
    if !held_back.is_empty() {
        let names = held_back.join(", ");
        let named = session.grantee(launch, Some(record))?.named;
        let command = named.command("--env", Path::new("NAME"));
        let command = command.unwrap_or_else(|| "list it under [env] pass in jitbox's config.toml".to_owned());
        ui::note(&format!("not passed on: {names} (to pass one: {command})"));
    }
    if policy.network != crate::plan::Network::None {
        ui::note(&format!("the network is open: {}", policy.network_why));
    }
    if !session.engine.enforces_all() {
        let which = if session.engine.stops_boxes() { "they" } else { "the first two" };
        ui::note(&format!(
            "this {} can't limit memory, processes and processors: {which} are watched from inside",
            session.engine.kind.name()
        ));
    }
    if record.mcp && !session.context.terminals.stdin {
        say_what_it_lacks(session, launch, record, policy)?;
    }
    Ok(())
}

/// What a server can't reach, once for each box: it is its tools that fail for it, later, and they don't know why.
fn say_what_it_lacks(session: &Session<'_>, launch: &Launch, record: &BoxRecord, policy: &Policy) -> Result<()> {
    let mut lacks = lacks::of(policy, &launch.tighten);
    let names: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    let news = told::news(&session.layout, &told::lacks(&record.request.key()), &names);
    lacks.retain(|lack| news.contains(&lack.to_string()));
    if !lacks.is_empty() {
        let named = session.grantee(launch, Some(record))?.named;
        ui::note(&lacks::line(&lacks, &named));
    }
    Ok(())
}

/// What a person should know when the program has ended: what it made in guarded places, and, if
/// it failed, that it could not write where it was told to work.
fn look_back(session: &Session<'_>, launch: &Launch, record: &BoxRecord, policy: &Policy, end: End) -> Result<()> {
    for made in policy.watched.iter().filter(|path| path.symlink_metadata().is_ok()) {
        ui::note(&format!("the program made `{}`: look at it before anything else does", made.display()));
    }
    let by_default = |mounted: &&Mounted| !mounted.mount.writable && matches!(mounted.why, Reason::Level(_));
    let read_only = policy.mounts.iter().find(by_default);
    if let (End::Exited(1..), Some(mounted), false) = (end, read_only, record.mcp) {
        let named = session.grantee(launch, Some(record))?.named;
        if let Some(command) = named.command("--write", &mounted.mount.source) {
            ui::note(&format!("`{}` was read-only (to let it write there: {command})", mounted.mount.target.display()));
        }
    }
    Ok(())
}

/// The program's end as our own.
fn exit(end: End, policy: &Policy) -> ExitCode {
    match end {
        End::Exited(code) => ExitCode::from(code),
        // As a shell reports it, which is what npx (through its `sh`) and uvx both pass on.
        End::Signaled(signal) => ExitCode::from(128u8.wrapping_add(signal as u8)),
        End::NotStarted(errno) => {
            let why = std::io::Error::from_raw_os_error(errno);
            let error = Error::failed("the program could not be started").because(why);
            ui::failure(&error);
            // sh(1): 127 not found, 126 found but not to be executed.
            ExitCode::from(if errno == libc::ENOENT { 127 } else { 126 })
        }
        End::Changed(which) => {
            let path = usize::try_from(which).ok().and_then(|at| policy.mounts.get(at));
            let error = supervise::exchanged(path.map_or(Path::new("/"), |mounted| &mounted.mount.source));
            ui::failure(&error);
            ExitCode::from(error.shim_exit_code())
        }
        End::OverMemory(_) | End::OverPids(_) => ExitCode::from(137),
    }
}

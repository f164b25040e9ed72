//! `jitbox state`: what packages keep between runs.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jitbox_guest::protocol::End;

use super::logs;
use crate::context::Context;
use crate::engine::argv;
use crate::error::{Doing, Error, Kind, Result};
use crate::exec::Cmd;
use crate::package::shown;
use crate::plan::User;
use crate::session::{Session, images};
use crate::state::volumes::{self, VolumeRecord};
use crate::state::{Layout, boxes};
use crate::ui;

/// How long an engine may take to look for a volume.
const LIMIT: Duration = Duration::from_secs(60);

/// Lists what is kept.
pub fn ls(context: &Context, json: bool) -> Result<ExitCode> {
    let all = volumes::all(&Layout::new(context))?;
    if json {
        ui::answer(&serde_json::to_string_pretty(&all).doing(|| "can't write the list".into())?);
    } else if all.is_empty() {
        ui::note("no package has kept anything yet");
    } else {
        let width = all.iter().map(|volume| volume.package.len()).max().unwrap_or(0);
        let line = |v: &VolumeRecord| format!("{:width$}  {:6}  {}  {}", v.package, whose(v.user), v.name, v.engine);
        ui::answer(&all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// As whom the package ran that kept it: a run with files of yours has a volume of its own.
fn whose(user: User) -> &'static str {
    match user {
        User::Nobody => "nobody",
        User::Mapped | User::Caller { .. } => "you",
    }
}

/// Removes what a package has kept.
pub fn rm_all(context: &Context, names: &[String]) -> Result<ExitCode> {
    let session = Session::open(context)?;
    for name in names {
        for volume in of(&session.layout, name)? {
            remove(&session, &volume)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes one volume.
pub fn remove(session: &Session<'_>, volume: &VolumeRecord) -> Result<()> {
    if !volume.is_on(&session.engine) {
        let error = Error::failed(format!("what `{}` keeps is on another engine", volume.package));
        return Err(error.because(&volume.engine).hint("set engine in config.toml to that one"));
    }
    let remove = Cmd::engine(&session.engine, argv::remove_volume(&session.engine, &volume.name));
    let removed = images::removed(&remove, images::STILL_ENDING)?;
    let there = Cmd::engine(&session.engine, argv::volume_exists(&session.engine, &volume.name));
    // Somebody may have removed it behind our back.
    if let Err(words) = removed
        && there.output(&[], LIMIT)?.status.success()
    {
        let error = Error::new(Kind::Engine, format!("what `{}` keeps can't be removed", volume.package));
        return Err(error.because(words).hint("end the programs that use it first"));
    }
    volumes::forget(&session.layout, volume)
}

/// The volumes of the package that a person means: by its box's name or by its own.
fn of(layout: &Layout, name: &str) -> Result<Vec<VolumeRecord>> {
    let own = |package: &str| package == name || logs::is_package(package, name);
    let mut found = volumes::all(layout)?;
    found.retain(|volume| own(&volume.package) || volume.name == name);
    if found.is_empty() {
        return Err(Error::not_found(format!("`{}` keeps nothing", shown(name))).hint("jitbox state ls"));
    }
    Ok(found)
}

/// Writes what a package has kept as a tar archive, to a file or to standard output. A box that
/// reaches nothing else reads it.
pub fn export(context: &Context, name: &str, file: Option<&Path>) -> Result<ExitCode> {
    let session = Session::open(context)?;
    let volume = match &of(&session.layout, name)?[..] {
        [one] => one.clone(),
        several => {
            let error = Error::usage(format!("`{}` keeps more than one volume", shown(name)));
            return Err(several.iter().fold(error, |e, v| e.hint(format!("jitbox state export {}", v.name))));
        }
    };
    let record = boxes::all(&session.layout)?.into_iter().find(|record| volumes::identity(record) == volume.identity);
    let record = record.ok_or_else(|| {
        Error::not_found(format!("`{}` has no box that could read it", volume.package)).hint("start it once")
    })?;
    let target: std::os::fd::OwnedFd = match file {
        Some(path) => File::create_new(path).doing(|| format!("can't make `{}`", path.display()))?.into(),
        None if context.terminals.stdout => {
            return Err(Error::usage("an archive is not for a terminal").hint("jitbox state export PACKAGE FILE"));
        }
        None => std::os::fd::AsFd::as_fd(&std::io::stdout())
            .try_clone_to_owned()
            .doing(|| "can't use standard output".into())?,
    };
    match session.archive(&record, &volume, target)? {
        End::Exited(0) => Ok(ExitCode::SUCCESS),
        end => Err(Error::failed(format!("what `{}` keeps can't be read", volume.package)).because(format!("{end:?}"))),
    }
}

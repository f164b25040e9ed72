//! `jitbox update`: newer versions, and what is different in them.

use std::process::ExitCode;

use super::timer::Often;
use super::{ls, timer};
use crate::context::Context;
use crate::error::{Doing, Result};
use crate::image::changes::Moved;
use crate::probe::{Changed, Kind};
use crate::session::Session;
use crate::session::update::{How, Update};
use crate::state::boxes;
use crate::ui;

/// How much of a text is shown.
const SHOWN: usize = 300;

/// Which boxes, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names as `jitbox ls` shows them, or packages'
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "install_timer", "remove_timer"])]
    #[arg(conflicts_with = "all")]
    names: Vec<String>,
    /// All boxes
    #[arg(long)]
    all: bool,
    /// Write a timer of systemd's or launchd's that updates all boxes, `daily` or `weekly`
    #[arg(long, value_name = "OFTEN", num_args = 0..=1, default_missing_value = "daily", require_equals = true)]
    #[arg(conflicts_with_all = ["names", "all", "check", "accept", "json", "remove_timer"])]
    install_timer: Option<Often>,
    /// Remove it
    #[arg(long, conflicts_with_all = ["names", "all", "check", "accept", "json"])]
    remove_timer: bool,
    /// Only say what is newer; exit with 3 if something is
    #[arg(long)]
    check: bool,
    /// At level strict, take a server that offers something else than before
    #[arg(long)]
    accept: bool,
    /// Machine-readable
    #[arg(long)]
    json: bool,
}

/// The exit code of a check that found something newer.
const NEWER: u8 = 3;

/// Updates the boxes. One that can't be is said, and the others are updated all the same.
pub fn run(context: &Context, args: &Args) -> Result<ExitCode> {
    match (args.install_timer, args.remove_timer) {
        (Some(often), _) => return timer::install(context, often),
        (None, true) => return timer::remove(context),
        (None, false) => {}
    }
    let session = Session::open(context)?;
    let records = match args.all {
        true => boxes::all(&session.layout)?,
        false => args.names.iter().map(|name| ls::named(&session.layout, name)).collect::<Result<Vec<_>>>()?.concat(),
    };
    let how = How { check: args.check, accept: args.accept };
    let (mut updates, mut failed) = (Vec::new(), false);
    for record in &records {
        match session.update(record, how) {
            Ok(Some(update)) => updates.push(update),
            Ok(None) if !args.json => ui::note(&format!("{}: nothing newer", record.name())),
            Ok(None) => {}
            Err(e) if records.len() == 1 => return Err(e),
            Err(e) => {
                failed = true;
                ui::failure(&e);
            }
        }
    }
    if args.json {
        ui::answer(&serde_json::to_string_pretty(&updates).doing(|| "can't write the list".into())?);
    } else {
        updates.iter().for_each(|update| ui::answer(&text(update)));
    }
    Ok(match (failed, args.check && !updates.is_empty()) {
        (true, _) => ExitCode::FAILURE,
        (_, true) => ExitCode::from(NEWER),
        _ => ExitCode::SUCCESS,
    })
}

/// What a person reads.
fn text(update: &Update) -> String {
    let mut lines = vec![update.name.clone()];
    lines.extend(update.packages.iter().map(|moved| format!("  {}", versions(moved))));
    lines.extend(update.dependencies.iter().map(|moved| format!("    {}", versions(moved))));
    lines.extend(update.scripts.iter().map(|name| format!("  {name} brings install scripts, which do not run")));
    lines.extend(update.offers.iter().flat_map(offered));
    let why = update.not_asked.iter();
    lines.extend(why.map(|why| format!("  what the server offers was not compared: {why}")));
    let name = shell_words::quote(&update.name);
    match update.attempt {
        Some(_) => lines.push(format!("  back: jitbox rollback {name}")),
        None => lines.push(format!("  to take it: jitbox update {name}")),
    }
    lines.join("\n")
}

/// What a server offers otherwise than before.
pub(super) fn offered(changed: &Changed) -> Vec<String> {
    let (what, name) = (changed.what, &changed.name);
    match &changed.kind {
        Kind::Added { text } => vec![format!("  new {what} {name}: {}", short(text))],
        Kind::Removed => vec![format!("  {what} {name} is gone")],
        Kind::Changed { parts } => {
            let both = |(part, old, new): &(String, String, String)| {
                [format!("    - {part}: {}", short(old)), format!("    + {part}: {}", short(new))]
            };
            std::iter::once(format!("  {what} {name} is another one")).chain(parts.iter().flat_map(both)).collect()
        }
    }
}

fn versions(moved: &Moved) -> String {
    let list = |versions: &[String]| versions.join(", ");
    match (&moved.from[..], &moved.to[..]) {
        ([], to) => format!("{} {} is new", moved.name, list(to)),
        (from, []) => format!("{} {} is gone", moved.name, list(from)),
        (from, to) => format!("{} {} → {}", moved.name, list(from), list(to)),
    }
}

/// One line of a text that somebody else wrote.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// Goes back.
pub fn roll_back(context: &Context, name: &str, to: Option<u32>, json: bool) -> Result<ExitCode> {
    let session = Session::open(context)?;
    let records = ls::named(&session.layout, name)?;
    let record = ls::only(&records, "jitbox rollback", name)?;
    let taken = session.roll_back(record, to)?;
    let packages: Vec<String> = taken.packages.iter().map(ToString::to_string).collect();
    if json {
        let taken = serde_json::json!({ "name": taken.name(), "attempt": taken.attempt, "packages": packages });
        ui::answer(&serde_json::to_string_pretty(&taken).doing(|| "can't write the answer".into())?);
    } else {
        ui::answer(&format!("{} is {} again", taken.name(), packages.join(" ")));
    }
    Ok(ExitCode::SUCCESS)
}

//! `jitbox grants`: what was granted to whom, when and why, and how to take it back.

use std::process::ExitCode;

use super::whom::Whom;
use crate::context::Context;
use crate::error::{Doing, Result};
use crate::state::Layout;
use crate::state::grants::{Entry, Grants};
use crate::ui;

/// What can be said.
#[derive(Debug, clap::Args)]
pub struct Show {
    #[command(flatten)]
    whom: Whom,
    /// Machine-readable
    #[arg(long)]
    json: bool,
}

/// Prints them: those of the packages that are named, else all.
pub fn run(context: &Context, said: &Show) -> Result<ExitCode> {
    let all = Grants::load(&Layout::new(context), context.uid)?;
    let entries: Vec<Entry> = if said.whom.is_nobody() {
        all.entries
    } else {
        let holders = said.whom.holders(context, "grants")?;
        all.entries.into_iter().filter(|entry| holders.contains(&entry.holder)).collect()
    };
    if said.json {
        ui::answer(&serde_json::to_string_pretty(&entries).doing(|| "can't write the list".into())?);
    } else if entries.is_empty() {
        ui::note("nothing is granted");
    } else {
        ui::answer(&entries.iter().map(text).collect::<String>());
    }
    Ok(ExitCode::SUCCESS)
}

fn text(entry: &Entry) -> String {
    let holder = &entry.holder;
    let mut text = match &holder.line {
        Some(line) if holder.from.is_empty() => format!("{line}\n  (only this line)\n"),
        Some(line) => format!("{line}\n  (only this line, with {} from {})\n", holder.package, holder.from),
        None => format!("{} from {}\n", holder.package, holder.from),
    };
    for grant in &entry.grants {
        let reason = grant.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        text.push_str(&format!("  {}  (since {}{reason})\n", grant.what, grant.since));
    }
    text
}

//! `jitbox prune`: removes what no line needs any more.

use std::process::ExitCode;
use std::time::Duration;

use crate::config;
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::package::shown;
use crate::registry::cutoff;
use crate::session::Session;
use crate::session::prune::{Pruned, Which};
use crate::ui;

/// What is to go.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Boxes that were not started for so long, too, as `30d`
    #[arg(long, value_name = "AGE")]
    unused: Option<String>,
    /// Boxes that are more than so much together, too, as `5g`: those that were used longest ago
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
    /// What npm and uv have fetched, too: it makes the next boxes quicker
    #[arg(long)]
    cache: bool,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Machine-readable
    #[arg(long)]
    json: bool,
}

/// Removes it, and says what it was.
pub fn run(context: &Context, args: &Args) -> Result<ExitCode> {
    let age = |text: &String| {
        let wrong = || Error::usage(format!("`{}` is not an age, like 30d", shown(text)));
        cutoff::age(text).map(Duration::from_secs).ok_or_else(wrong)
    };
    let size = |text: &String| {
        let wrong = || Error::usage(format!("`{}` is not a size, like 5g", shown(text)));
        config::parse_bytes(text).ok_or_else(wrong)
    };
    let which = Which {
        unused: args.unused.as_ref().map(age).transpose()?,
        most: args.max_size.as_ref().map(size).transpose()?,
        cache: args.cache,
        dry: args.dry_run,
    };
    let pruned = Session::open(context)?.prune(which)?;
    if args.json {
        ui::answer(&serde_json::to_string_pretty(&pruned).doing(|| "can't write the list".into())?);
    } else {
        let lines = lines(&pruned);
        if lines.is_empty() {
            ui::note("nothing to remove");
        } else {
            ui::answer(&lines.join("\n"));
        }
    }
    pruned.kept.iter().for_each(|image| ui::note(&format!("stays: {image}")));
    Ok(ExitCode::SUCCESS)
}

fn lines(pruned: &Pruned) -> Vec<String> {
    let line = |what: &str, name: &str| format!("{what:8}{name}");
    let mut all: Vec<String> = pruned.boxes.iter().map(|name| line("box", name)).collect();
    all.extend(pruned.attempts.iter().map(|name| line("attempt", name)));
    all.extend(pruned.images.iter().map(|name| line("image", name)));
    all.extend(pruned.caches.iter().map(|name| line("cache", name)));
    all.extend(pruned.folders.iter().map(|path| line("folder", &path.to_string_lossy())));
    all
}

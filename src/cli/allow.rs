//! `jitbox allow`: grants packages, or one exact line, what the level does not give.

use std::process::ExitCode;

use super::whom::{Kinds, Whom, note_about_boxes};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::policy::deny::Places;
use crate::policy::grant::{Net, What};
use crate::policy::paths::{Found, Sort};
use crate::state::{Layout, grants};
use crate::ui;

/// What can be said.
#[derive(Debug, clap::Args)]
pub struct Allow {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    kinds: Kinds,
    /// Why, for `jitbox grants` and `jitbox plan` to show
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Grants it.
pub fn run(context: &Context, said: &Allow) -> Result<ExitCode> {
    let layout = Layout::new(context);
    let holders = said.whom.holders(context, "allow")?;
    let all = said.kinds.all(context)?;
    if all.is_empty() {
        return Err(Error::usage("nothing is allowed by this").hint(
            "add `--read PATH`, `--write PATH`, `--env NAME`, `--net open` or another option: jitbox allow --help",
        ));
    }
    let of_boxes = all.iter().filter(|what| !what.counts_in_runs()).filter_map(What::options).next();
    if let Some(options) = of_boxes.filter(|_| holders.iter().any(|holder| holder.line.is_some())) {
        return Err(Error::usage("this is for packages, and not for one line of theirs")
            .hint(format!("name the package: jitbox allow npm:NAME {}", options.join(" "))));
    }
    let places = Places::look(&context.home, &layout.folders());
    all.iter().try_for_each(|what| can_be_given(&places, what))?;
    grants::change(&layout, context.uid, |grants| {
        for holder in &holders {
            all.iter().for_each(|what| grants.allow(holder, what.clone(), said.reason.as_deref()));
        }
        Ok(())
    })?;
    let lines: Vec<String> =
        holders.iter().flat_map(|holder| all.iter().map(move |what| format!("{}: {what}", holder.package))).collect();
    ui::answer(&lines.join("\n"));
    if all.iter().any(|what| matches!(what, What::Host(_) | What::Net(Net::Public))) {
        ui::note("no box can be limited to some hosts yet: this is kept, and until then the network is none");
    }
    note_about_boxes(&all);
    Ok(ExitCode::SUCCESS)
}

fn can_be_given(places: &Places, what: &What) -> Result<()> {
    let (What::Read(path) | What::Write(path) | What::Work(path)) = what else { return Ok(()) };
    let refused = || Error::refused(format!("`{}` can't be given to a package", path.display()));
    let found = Found::at(path).map_err(|e| refused().because(e))?;
    match places.refusal(&found) {
        Some(why) => Err(refused().because(why).hint("copy what the package needs to a folder of its own")),
        None if matches!(what, What::Work(_)) && found.sort != Sort::Folder => {
            Err(refused().because("it is not a folder").hint("use `--write` for a file"))
        }
        None => Ok(()),
    }
}

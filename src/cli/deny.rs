//! `jitbox deny`: takes grants back.

use std::process::ExitCode;

use super::whom::{Kinds, Whom, note_about_boxes};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::state::{Layout, grants};
use crate::ui;

/// What can be said.
#[derive(Debug, clap::Args)]
pub struct Deny {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    kinds: Kinds,
}

/// Takes back what is named; without any option, everything.
pub fn run(context: &Context, said: &Deny) -> Result<ExitCode> {
    let holders = said.whom.holders(context, "deny")?;
    let all = said.kinds.all(context)?;
    let taken = grants::change(&Layout::new(context), context.uid, |grants| {
        let mut taken = 0;
        for holder in &holders {
            match &all[..] {
                [] => taken += grants.deny(holder, None),
                some => taken += some.iter().map(|what| grants.deny(holder, Some(what))).sum::<usize>(),
            }
        }
        Ok(taken)
    })?;
    if taken == 0 {
        return Err(Error::not_found("nothing of this was allowed").hint("jitbox grants"));
    }
    ui::note(&format!(
        "{taken} {} taken back; a program that runs keeps them until it ends",
        if taken == 1 { "grant" } else { "grants" }
    ));
    note_about_boxes(&all);
    Ok(ExitCode::SUCCESS)
}

//! `jitbox rm`: removes boxes, with their images and what they keep.

use std::process::ExitCode;

use super::state;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::state::boxes::{self, BoxRecord};
use crate::state::volumes;
use crate::ui;

/// Removes the boxes of these names. An image that another box uses stays.
pub fn run(context: &Context, names: &[String]) -> Result<ExitCode> {
    let session = Session::open(context)?;
    let all = boxes::all(&session.layout)?;
    for name in names {
        let matching: Vec<_> = all.iter().filter(|record| record.name() == *name).collect();
        if matching.is_empty() {
            return Err(Error::not_found(format!("no box is called `{name}`")).hint("jitbox ls"));
        }
        for record in matching {
            session.discard(record)?;
            forget_state(&session, record)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes what the box's package has kept, unless another box of it is left.
fn forget_state(session: &Session<'_>, record: &BoxRecord) -> Result<()> {
    let identity = volumes::identity(record);
    if boxes::all(&session.layout)?.iter().any(|other| volumes::identity(other) == identity) {
        return Ok(());
    }
    for volume in volumes::all(&session.layout)?.into_iter().filter(|volume| volume.identity == identity) {
        // The box is gone all the same.
        if let Err(e) = state::remove(session, &volume) {
            ui::note(&format!("{e} (jitbox state rm {})", volume.name));
        }
    }
    Ok(())
}

//! `jitbox rm`: removes boxes, with their images and what they keep.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::state;
use crate::context::Context;
use crate::engine::argv;
use crate::error::{Error, Result};
use crate::exec::{Cmd, last_words};
use crate::image::build::image_exists;
use crate::session::Session;
use crate::state::boxes::{self, BoxRecord};
use crate::state::volumes;
use crate::ui;

/// How long an engine may take to remove an image.
const LIMIT: Duration = Duration::from_secs(60);

/// How long the container of a program that has ended may be in the way.
const STILL_ENDING: Duration = Duration::from_secs(5);

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
            boxes::forget(&session.layout, record)?;
            forget_state(&session, record)?;
            let shared = boxes::all(&session.layout)?.iter().any(|other| other.image == record.image);
            if shared || !image_exists(&session.engine, &record.image)? {
                continue;
            }
            let command =
                Cmd::engine(&session.engine, argv::remove_images(&session.engine, std::slice::from_ref(&record.image)));
            if let Err(words) = removed(&command)? {
                ui::note(&format!("the image `{}` stays: {words}", record.image));
            }
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

/// Runs the command; if it fails, says in the engine's words why. The engine may still be busy
/// with the container of a program that has just ended.
pub fn removed(command: &Cmd) -> Result<std::result::Result<(), String>> {
    let until = Instant::now() + STILL_ENDING;
    loop {
        let output = command.output(&[], LIMIT)?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let words = last_words(&output.stderr);
        // docker: "container X is using its referenced image"; podman: "image is in use by a
        // container"; nerdctl: "image is being used by running container X".
        let in_use = ["using", "in use", "used by"].iter().any(|said| words.contains(said));
        if !in_use || Instant::now() > until {
            return Ok(Err(words));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

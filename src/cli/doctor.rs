//! `jitbox doctor [--json]`: what is here, what is used, and what is missing.

use crate::context::Context;
use crate::doctor;
use crate::error::{Doing, Result};
use crate::ui;

/// Prints the report; 0 if packages can be run and nothing that should hold them in is missing,
/// else 1.
pub fn run(context: &Context, json: bool) -> Result<u8> {
    let report = doctor::examine(context);
    if json {
        ui::answer(&serde_json::to_string_pretty(&report).doing(|| "can't write the report".into())?);
    } else {
        ui::answer(&report.text());
    }
    Ok(u8::from(!report.usable || report.hardened == Some(false)))
}

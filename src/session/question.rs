//! The one question that a person on a terminal may be asked: whether a program may write in the
//! working directory, as formatters, generators and the like have to. On a pipe nobody is asked.

use super::Session;
use crate::error::Result;
use crate::launch::Launch;
use crate::policy::grant::What;
use crate::policy::level::Level;
use crate::policy::paths::Found;
use crate::state::boxes::BoxRecord;
use crate::state::grants;
use crate::ui;

/// The reason of a grant that came from an answer.
const ASKED: &str = "you were asked, and said always";

impl Session<'_> {
    /// Whether the program may write in the working directory in this run, if only the user can
    /// say so. `always` is a grant from then on; a no is remembered, so that it is asked once.
    pub fn ask(&mut self, launch: &Launch, record: &BoxRecord) -> Result<bool> {
        let terminals = self.context.terminals;
        let strict = Level::of(&self.config, &launch.tighten) == Level::Strict;
        if !terminals.stdin || !terminals.stderr || record.mcp || strict || launch.tighten.read_only {
            return Ok(false);
        }
        let grantee = self.grantee(launch, Some(record))?;
        let Ok(here) = Found::at(&self.context.cwd) else { return Ok(false) };
        let answered = grantee.grants(&self.grants).iter().any(|grant| match &grant.what {
            What::Refused => true,
            What::Write(path) | What::Work(path) | What::Read(path) => here.real.starts_with(path),
            _ => false,
        });
        let holders = grantee.asked();
        // What can't be given isn't asked for. (A path that the file can't hold is one such.)
        let can = !holders.is_empty() && self.can_write(launch, record)? && here.real.to_str().is_some();
        if answered || !can {
            return Ok(false);
        }
        let names: Vec<&str> = holders.iter().map(|holder| holder.package.as_str()).collect();
        let question =
            format!("may {} write in {}? [y = this time, N = no, always]", names.join(" + "), ui::plainly(&here.real));
        let (yes, remembered) = match ui::ask(&question).as_deref().map(str::trim) {
            Some("y" | "Y" | "yes") => return Ok(true),
            Some("always" | "a" | "A") => (true, What::Work(here.real.clone())),
            Some(_) => (false, What::Refused),
            // The terminal is gone: that is no answer.
            None => return Ok(false),
        };
        let reason = yes.then_some(ASKED);
        self.grants = grants::change(&self.layout, self.context.uid, |grants| {
            holders.iter().for_each(|holder| grants.allow(holder, remembered.clone(), reason));
            Ok(grants.clone())
        })?;
        if !yes {
            let later = grantee.named.command("--work", &here.real).unwrap_or_default();
            ui::note(&format!("not asked again; to allow it later: {later}"));
        }
        Ok(false)
    }

    /// Whether a yes would let the program write there.
    fn can_write(&self, launch: &Launch, record: &BoxRecord) -> Result<bool> {
        let policy = self.decide(launch, Some(record), true)?;
        Ok(policy.mounts.iter().any(|mounted| mounted.mount.writable && mounted.mount.target == self.context.cwd))
    }
}

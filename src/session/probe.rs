//! Asking a box's MCP server what it offers, in a container like that of any run, which reaches nothing and has nothing
//! of the user's.

use std::time::Duration;

use super::{Session, program};
use crate::error::{Error, Kind, Result};
use crate::launch::Launch;
use crate::policy;
use crate::probe::{self, Answers};
use crate::recipe;
use crate::state::boxes::BoxRecord;
use crate::supervise;

/// How long a server may take for all of its answers, the container included.
const PATIENCE: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Asks; the inner error says what the server did not do. One that needs a key, a network or more arguments than
    /// the box's record has may not answer at all.
    pub fn probe(&self, launch: &Launch, record: &BoxRecord) -> Result<Result<Answers, String>> {
        let path = match program::path(launch, record) {
            Ok(path) => path,
            Err(e) => return Ok(Err(e.to_string())),
        };
        let argv: Vec<&str> = std::iter::once(&*path).chain(record.verbs.iter().map(String::as_str)).collect();
        let mut environment = vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
        environment.extend(["HOME=/state", "TMPDIR=/tmp"].map(str::to_owned));
        for recipe in recipe::for_all(&record.packages)? {
            environment.extend(recipe.env.iter().map(|(name, value)| format!("{name}={value}")));
        }
        let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
        let plan = policy::looking(&self.layout, &self.engine, &record.image);
        let mut job = self.job(plan, &argv, &environment)?;
        job.mcp = true;
        let talked = supervise::converse(job, PATIENCE, |input, output| Some(probe::ask(input, output)));
        match talked {
            Ok((outcome, answers)) => {
                self.learn(&outcome);
                Ok(answers.unwrap_or_else(|| Err("asking it failed".to_owned())))
            }
            Err(e) if e.kind == Kind::Failed => Ok(Err(e.to_string())),
            Err(e) => Err(Error { what: format!("`{}` can't be asked: {}", record.name(), e.what), ..e }),
        }
    }
}

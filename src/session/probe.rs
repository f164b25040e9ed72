//! Asking a box's MCP server what it offers, in a container like that of any run, which reaches nothing and has nothing
//! of the user's.

use std::fmt;
use std::time::Duration;

use super::{Session, program};
use crate::error::{Error, Kind, Result};
use crate::image::words;
use crate::launch::Launch;
use crate::policy;
use crate::probe::{self, Answers};
use crate::state::boxes::BoxRecord;
use crate::supervise::{self, Talked};

/// How long a server may take for all of its answers, the container included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What it did not do.
    pub why: String,
    /// The last that it said on its standard error.
    pub said: Vec<u8>,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match words::complaint(&self.said) {
            words if words.is_empty() => f.write_str(&self.why),
            words => write!(f, "{} ({words})", self.why),
        }
    }
}

impl From<String> for Unanswered {
    fn from(why: String) -> Self {
        Self { why, said: Vec::new() }
    }
}

impl Session<'_> {
    /// Asks; the inner error says what the server did not do. One that needs a key, a network or more arguments than
    /// the box's record has may not answer at all.
    pub fn probe(&self, launch: &Launch, record: &BoxRecord) -> Result<Result<Answers, Unanswered>> {
        let path = match program::path(launch, record) {
            Ok(path) => path,
            Err(e) => return Ok(Err(e.to_string().into())),
        };
        let argv: Vec<&str> = std::iter::once(&*path).chain(record.verbs.iter().map(String::as_str)).collect();
        let mut environment = vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()];
        environment.extend(["HOME=/state", "TMPDIR=/tmp"].map(str::to_owned));
        for recipe in self.recipes.of_all(&record.packages)? {
            environment.extend(recipe.env.iter().map(|(name, value)| format!("{name}={value}")));
        }
        let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
        let plan = policy::looking(&self.layout, &self.engine, &record.image);
        let mut job = self.job(plan, &argv, &environment)?;
        job.mcp = true;
        let talked = supervise::converse(job, PATIENCE, |input, output| Some(probe::ask(input, output)));
        let Talked { outcome, talk, said } = match talked {
            Ok(talked) => talked,
            Err(e) if e.kind == Kind::Failed => return Ok(Err(e.to_string().into())),
            Err(e) => return Err(Error { what: format!("`{}` can't be asked: {}", record.name(), e.what), ..e }),
        };
        match &outcome {
            Some(outcome) => self.learn(outcome),
            None => return Ok(Err(Unanswered { why: format!("it took more than {} s", PATIENCE.as_secs()), said })),
        }
        let answers = talk.unwrap_or_else(|| Err("asking it failed".to_owned()));
        Ok(answers.map_err(|why| Unanswered { why, said }))
    }
}

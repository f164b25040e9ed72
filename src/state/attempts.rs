//! Attempts to make a box: what each was for, how long its phases took, what came of it, and what npm, uv and the
//! engine said meanwhile. The box that an attempt made is kept with it, so that there is a way back to it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::boxes::{BoxRecord, Request};
use super::overrides::Overrides;
use super::{Layout, store};
use crate::error::{Error, Result};

/// The version of the record's format.
const FORMAT: u32 = 1;

/// How many that came to nothing are kept of one box.
const FAILED_KEPT: usize = 3;

/// The most of a log that is kept: its end says what went wrong.
const LOG_KEPT: usize = 256 << 10;

/// Why a box is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A line had none.
    FirstStart,
    /// Newer versions were asked for.
    Update,
    /// Something else was to be in it.
    Build,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing yet, or a box that has not passed; for ever, if whoever made it was ended.
    UnderWay,
    /// No box.
    Failed {
        /// Why not.
        why: String,
    },
    /// A box that was not taken.
    Rejected {
        /// Why not.
        why: String,
    },
    /// A box that passed.
    Made,
}

/// How long one phase took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// In milliseconds.
    pub ms: u64,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    format: u32,
    /// Counts from 1, for each request.
    pub number: u32,
    /// The attempt whose box was active when it began.
    pub parent: Option<u32>,
    /// What for.
    pub why: Why,
    /// What was asked for.
    pub request: Request,
    /// And what besides.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
    /// When it began, in seconds since 1970.
    pub started: u64,
    /// In their order.
    pub phases: Vec<Phase>,
    /// What came of it.
    pub outcome: Outcome,
    /// The images that it was about to build: they may be there, whatever came of the rest.
    #[serde(default)]
    images: Vec<String>,
    /// Its box.
    pub made: Option<BoxRecord>,
}

impl Attempt {
    /// Begins one. Only whoever holds the request's lock may.
    pub fn begin(
        layout: &Layout,
        (request, overrides): (&Request, &Overrides),
        why: Why,
        active: Option<&BoxRecord>,
    ) -> Result<Self> {
        let mut before = of(layout, request)?;
        if let Some(active) = active.filter(|active| before.iter().all(|attempt| attempt.number != active.attempt)) {
            // A box from before attempts were kept: there has to be a way back to it.
            let adopted = Self::made(active);
            adopted.write(layout)?;
            before.push(adopted);
        }
        let failed: Vec<&Self> = before.iter().filter(|attempt| attempt.came_to_nothing()).collect();
        for attempt in failed.iter().rev().skip(FAILED_KEPT - 1) {
            attempt.remove(layout)?;
        }
        let last = before.iter().map(|attempt| attempt.number).max().unwrap_or(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let attempt = Self {
            format: FORMAT,
            number: last + 1,
            parent: active.map(|record| record.attempt),
            why,
            request: request.clone(),
            overrides: overrides.clone(),
            started: now.as_secs(),
            phases: Vec::new(),
            outcome: Outcome::UnderWay,
            images: Vec::new(),
            made: None,
        };
        attempt.write(layout)?;
        Ok(attempt)
    }

    /// The one that a box came of, or would have come of if it was made before attempts were kept.
    pub fn of_box(layout: &Layout, record: &BoxRecord) -> Result<Self> {
        let of_request = of(layout, &record.request)?.into_iter();
        Ok(of_request.rev().find(|attempt| attempt.number == record.attempt).unwrap_or_else(|| Self::made(record)))
    }

    fn made(record: &BoxRecord) -> Self {
        Self {
            format: FORMAT,
            number: record.attempt,
            parent: None,
            why: Why::FirstStart,
            request: record.request.clone(),
            overrides: record.overrides.clone(),
            started: record.created,
            phases: Vec::new(),
            outcome: Outcome::Made,
            images: vec![record.image.clone()],
            made: Some(record.clone()),
        }
    }

    /// Says which image it is about to build, too.
    pub fn builds(&mut self, layout: &Layout, image: String) -> Result<()> {
        if !self.images.contains(&image) {
            self.images.push(image);
        }
        self.write(layout)
    }

    /// All images that may be there because of it.
    pub fn images(&self) -> Vec<&str> {
        let made = self.made.iter().map(|record| &record.image);
        self.images.iter().chain(made).map(String::as_str).collect()
    }

    /// The box as it was made again.
    pub fn made_again(&mut self, layout: &Layout, record: &BoxRecord) -> Result<()> {
        self.made = Some(record.clone());
        self.write(layout)
    }

    /// Keeps what came of it, with the time that its phases took and what was said in them.
    pub fn end(&mut self, layout: &Layout, phases: Vec<Phase>, log: &[u8], made: &Result<BoxRecord>) -> Result<()> {
        self.phases = phases;
        match made {
            Ok(record) => self.made = Some(record.clone()),
            Err(error) => self.outcome = Outcome::Failed { why: error.to_string() },
        }
        self.keep_log(layout, log)?;
        self.write(layout)
    }

    /// Keeps what was said, in the place of what was kept before.
    pub fn keep_log(&self, layout: &Layout, log: &[u8]) -> Result<()> {
        let log = &log[log.len().saturating_sub(LOG_KEPT)..];
        if log.is_empty() {
            return Ok(());
        }
        store::write_bytes(&layout.attempt_log(&self.request.key(), self.number), log)
    }

    /// Says that its box passed, and is about to be the line's. Until then there is no way to it.
    pub fn pass(&mut self, layout: &Layout) -> Result<()> {
        self.outcome = Outcome::Made;
        self.write(layout)
    }

    /// Says that its box was not taken. There is no way to it.
    pub fn reject(mut self, layout: &Layout, why: &Error) -> Result<()> {
        if let Some(record) = self.made.take() {
            store::remove_folder(&layout.compiled(&record.place()))?;
        }
        self.outcome = Outcome::Rejected { why: why.to_string() };
        self.write(layout)
    }

    /// Whether it ended without a box that could be used: it is kept to be read about.
    pub fn came_to_nothing(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. } | Outcome::Rejected { .. })
    }

    /// What npm, uv and the engine said; empty if they said nothing.
    pub fn log(&self, layout: &Layout) -> Vec<u8> {
        std::fs::read(layout.attempt_log(&self.request.key(), self.number)).unwrap_or_default()
    }

    /// Forgets it. Its image is not its own: others may have the same.
    pub fn remove(&self, layout: &Layout) -> Result<()> {
        let key = self.request.key();
        store::remove(&layout.attempt_log(&key, self.number))?;
        if let Some(record) = &self.made {
            store::remove_folder(&layout.compiled(&record.place()))?;
        }
        store::remove(&layout.attempt(&key, self.number))
    }

    fn write(&self, layout: &Layout) -> Result<()> {
        store::write(&layout.attempt(&self.request.key(), self.number), self)
    }
}

/// All attempts for a request, the first one first.
pub fn of(layout: &Layout, request: &Request) -> Result<Vec<Attempt>> {
    let mut all: Vec<Attempt> = store::all(layout, &layout.attempts_for(&request.key()), "attempts")?;
    all.retain(|attempt| attempt.format == FORMAT && attempt.request == *request);
    all.sort_by_key(|attempt| attempt.number);
    Ok(all)
}

/// All attempts that there are, request by request.
pub fn all(layout: &Layout) -> Result<Vec<Attempt>> {
    let mut all = Vec::new();
    for dir in std::fs::read_dir(layout.attempts()).into_iter().flatten().flatten() {
        all.extend(store::all::<Attempt>(layout, &dir.path(), "attempts")?);
    }
    all.retain(|attempt| attempt.format == FORMAT);
    all.sort_by_key(|attempt| (attempt.request.name(), attempt.request.key(), attempt.number));
    Ok(all)
}

/// The box of this attempt, if it passed.
pub fn passed(attempts: &[Attempt], number: u32) -> Option<&BoxRecord> {
    let attempt = attempts.iter().find(|attempt| attempt.number == number && attempt.outcome == Outcome::Made)?;
    attempt.made.as_ref()
}

/// The box that `active` took the place of.
pub fn before<'a>(attempts: &'a [Attempt], active: &BoxRecord) -> Option<&'a BoxRecord> {
    let own = attempts.iter().find(|attempt| attempt.number == active.attempt)?;
    passed(attempts, own.parent?)
}

/// Forgets all attempts for a request.
pub fn forget(layout: &Layout, request: &Request) -> Result<()> {
    for attempt in of(layout, request)? {
        attempt.remove(layout)?;
    }
    store::remove_folder(&layout.attempts_for(&request.key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::package::Ecosystem;

    fn request(name: &str) -> Request {
        BoxRecord::sample(Ecosystem::Npm, vec![name.to_owned()]).request
    }

    fn record(request: &Request, attempt: u32) -> BoxRecord {
        let mut record = BoxRecord::sample(request.ecosystem, request.packages.clone());
        (record.attempt, record.image) = (attempt, format!("image:{attempt}"));
        record
    }

    fn layout(home: &std::path::Path) -> Layout {
        let mut context = Context::read();
        context.env = Default::default();
        context.home = home.to_owned();
        Layout::new(&context)
    }

    /// Makes an attempt while the box of `active` is in use.
    fn attempt(layout: &Layout, request: &Request, active: Option<&BoxRecord>) -> BoxRecord {
        let mut attempt = Attempt::begin(layout, (request, &Overrides::default()), Why::Update, active).unwrap();
        let made = record(request, attempt.number);
        let phase = Phase { name: "building".to_owned(), ms: 7 };
        attempt.end(layout, vec![phase], b"said", &Ok(made.clone())).unwrap();
        assert_eq!(passed(&of(layout, request).unwrap(), made.attempt), None, "it has not passed yet");
        attempt.pass(layout).unwrap();
        made
    }

    #[test]
    fn the_way_back_is_to_what_was_in_use() {
        let home = tempfile::tempdir().unwrap();
        let (layout, request) = (layout(home.path()), request("a"));
        // From before attempts were kept.
        let old = record(&request, 0);
        let first = attempt(&layout, &request, Some(&old));
        let second = attempt(&layout, &request, Some(&first));
        // Taken back, and then a third, which takes the place of the first one.
        let third = attempt(&layout, &request, Some(&first));
        attempt(&layout, &super::tests::request("b"), None);
        let all = of(&layout, &request).unwrap();
        assert_eq!(all.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        for (active, back) in [(&third, Some(&first)), (&second, Some(&first)), (&first, Some(&old)), (&old, None)] {
            assert_eq!(before(&all, active), back);
        }
        assert_eq!((all[1].phases[0].ms, all[1].log(&layout)), (7, b"said".to_vec()));
        assert_eq!(super::all(&layout).unwrap().len(), 5);
        forget(&layout, &request).unwrap();
        assert_eq!(super::all(&layout).unwrap().len(), 1);
    }

    #[test]
    fn failures_do_not_pile_up_and_long_logs_are_cut() {
        let home = tempfile::tempdir().unwrap();
        let (layout, request) = (layout(home.path()), request("a"));
        let active = attempt(&layout, &request, None);
        for _ in 0..3 * FAILED_KEPT {
            let mut failed =
                Attempt::begin(&layout, (&request, &Overrides::default()), Why::Update, Some(&active)).unwrap();
            let log = [b"x".repeat(2 * LOG_KEPT), b"the end".to_vec()].concat();
            failed.end(&layout, Vec::new(), &log, &Err(Error::failed("no").because("a reason"))).unwrap();
        }
        let all = of(&layout, &request).unwrap();
        assert_eq!(all.len(), 1 + FAILED_KEPT);
        let last = all.last().unwrap();
        assert_eq!((last.number as usize, last.parent), (1 + 3 * FAILED_KEPT, Some(1)));
        assert_eq!(last.outcome, Outcome::Failed { why: "no: a reason".to_owned() });
        assert!(last.log(&layout).len() == LOG_KEPT && last.log(&layout).ends_with(b"the end"));
        let files = std::fs::read_dir(layout.attempts_for(&request.key())).unwrap().count();
        assert_eq!(files, 2 + 2 * FAILED_KEPT);
    }
}

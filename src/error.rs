//! The one error type: what failed, why, and what to type next.
//!
//! Texts are lower case and without a full stop. They never contain values of
//! environment variables or credentials.

use std::fmt;

/// Short name for results with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it was; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The line (or a management command) was malformed.
    Usage,
    /// Policy does not allow it; a hint names the command that would.
    Refused,
    /// The package, version or executable does not exist.
    NotFound,
    /// A container engine is missing, dead or misconfigured.
    Engine,
    /// A registry can't be reached.
    Network,
    /// Anything else that we could not do.
    Failed,
}

/// A failure with its reason and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed.
    pub what: String,
    /// Why, if it is known; each cause on its own.
    pub causes: Vec<String>,
    /// What to type next.
    pub hints: Vec<String>,
}

impl Error {
    /// Makes an error of `kind` that says `what` failed.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// The line can't be understood.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Policy says no.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }

    /// There is no such package, version or executable.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, what)
    }

    /// Something that should have worked did not.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.causes.push(why.to_string());
        self
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The exit code of a shim: 125 we failed, 126 refused, 127 not found, the
    /// range that the container engines use themselves (docker-run(1), "Exit status").
    pub fn shim_exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage | Kind::Refused => 126,
            Kind::NotFound => 127,
            Kind::Engine | Kind::Network | Kind::Failed => 125,
        }
    }

    /// The exit code of a management command: 2 for a malformed line, else 1.
    pub fn command_exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Says what we were doing when a lower-level call failed.
pub trait Doing<T> {
    /// Turns the failure into [`Kind::Failed`] with `what` in front of it.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| Error::failed(what()).because(e))
    }
}

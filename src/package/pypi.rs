//! PyPI package specs: `name`, `name[extra]`, PEP 508 specifiers, `name@version`, `name@latest`.

use std::fmt;

/// A project name in its normalised form (PEP 503).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PypiName(String);

impl PypiName {
    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which versions are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PypiRequest {
    /// Nothing said: the newest release.
    Any,
    /// `@latest`: the newest release, asked for by name.
    Latest,
    /// PEP 440 specifiers; `name@1.2` is `==1.2`.
    Specifiers(pep440_rs::VersionSpecifiers),
}

/// A project, its extras and which of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PypiSpec {
    /// Which project.
    pub name: PypiName,
    /// The name as it was typed: uv looks for an executable of exactly this spelling.
    pub typed: String,
    /// Normalised, sorted extras.
    pub extras: Vec<String>,
    /// Which of its versions.
    pub request: PypiRequest,
}

impl fmt::Display for PypiSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())?;
        if !self.extras.is_empty() {
            write!(f, "[{}]", self.extras.join(","))?;
        }
        match &self.request {
            PypiRequest::Any => Ok(()),
            PypiRequest::Latest => f.write_str("@latest"),
            PypiRequest::Specifiers(s) => {
                let text = s.to_string();
                write!(f, "{}", text.replace(' ', ""))
            }
        }
    }
}

//! Which engines may be used, and who said so.

use std::path::{Path, PathBuf};

use super::endpoint;
use crate::config::{Config, EngineChoice};
use crate::context::Context;
use crate::engine::Kind;
use crate::error::{Error, Result};

/// Why an engine was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The user's settings name it.
    Settings,
    /// This variable asks for it.
    Variable(&'static str),
    /// It is the first that works.
    First,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settings => f.write_str("the settings name it"),
            Self::Variable(name) => write!(f, "{name} is set"),
            Self::First => f.write_str("the first that works"),
        }
    }
}

/// Which engines may be used, in order.
pub(super) struct Wanted {
    pub kinds: Vec<Kind>,
    pub program: Option<PathBuf>,
    pub why: Why,
}

/// Works out which engines may be used.
pub(super) fn wanted(context: &Context, config: &Config) -> Result<Wanted> {
    let one = |kind, why| Wanted { kinds: vec![kind], program: None, why };
    match &config.engine {
        Some(EngineChoice::Kind(kind)) => return Ok(one(*kind, Why::Settings)),
        Some(EngineChoice::Program(program)) => {
            let kind = kind_of(program)?;
            return Ok(Wanted { kinds: vec![kind], program: Some(program.clone()), why: Why::Settings });
        }
        None => {}
    }
    if let Some(value) = context.env.get("JITBOX_ENGINE") {
        let kind = value.to_str().and_then(Kind::named).ok_or_else(|| {
            let error = Error::refused("JITBOX_ENGINE has to be docker, podman or nerdctl");
            error.hint(format!(
                "a program's path can be named in `{}`: engine = \"/path\"",
                Config::path(context).display()
            ))
        })?;
        return Ok(one(kind, Why::Variable("JITBOX_ENGINE")));
    }
    if endpoint::docker_host(context).is_some() {
        return Ok(one(Kind::Docker, Why::Variable("DOCKER_HOST")));
    }
    for (name, kind) in
        [("DOCKER_CONTEXT", Kind::Docker), ("CONTAINER_HOST", Kind::Podman), ("CONTAINER_CONNECTION", Kind::Podman)]
    {
        if context.env.get(name).is_some() {
            return Ok(one(kind, Why::Variable(name)));
        }
    }
    Ok(Wanted { kinds: Kind::ALL.to_vec(), program: None, why: Why::First })
}

/// The kind of a program that was named by its path.
fn kind_of(program: &Path) -> Result<Kind> {
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Kind::ALL.into_iter().find(|kind| name.starts_with(kind.name())).ok_or_else(|| {
        Error::refused(format!("can't tell which engine `{}` is", program.display()))
            .hint("its name has to begin with docker, podman or nerdctl")
    })
}

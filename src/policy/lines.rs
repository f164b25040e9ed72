//! Which lines may be run at all.

use std::path::Path;

use super::grant::local;
use super::level::Level;
use super::named::Named;
use super::sources;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch::{Launch, Launcher};

/// Refuses a line that the user has to allow first.
pub fn check(config: &Config, launch: &Launch) -> Result<()> {
    if launch.call.is_some() && !config.launch.call {
        return Err(Error::refused("`-c` runs a line of shell, which nobody allowed yet")
            .hint("name the command and its arguments: `npx-safe -p pkg command arg…`")
            .hint("or allow such lines in jitbox's config.toml: [launch] call = true"));
    }
    if launch.local.is_some() && Level::of(config, &launch.tighten) == Level::Strict {
        return Err(refuse_local());
    }
    sources::check(config, &launch.tighten, &launch.packages)
}

/// The refusal of code of this machine where nothing allows it.
pub fn refuse_local() -> Error {
    Error::refused("at level strict no code of this machine is run")
        .hint("run the published package: `npx-safe pkg arg…`, `uvx-safe pkg arg…`")
}

/// The refusal of a line that runs code of `root`, a folder or an archive, which was not granted.
pub fn refuse_ungranted(launcher: Launcher, root: &Path) -> Error {
    let error = Error::refused(format!("`{}` runs code of `{}`", launcher.name(), root.display()))
        .because("code of this machine is run only if it is granted");
    let named = Named { packages: vec![local(&root.to_string_lossy())], line: None };
    let error = named.command("--read", root).into_iter().fold(error, Error::hint);
    error.hint(format!("or run the published package: `{} pkg arg…`", launcher.shim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Request, parse};

    #[test]
    fn a_line_of_shell_has_to_be_allowed() {
        let Ok(Request::Run(launch)) = parse(Launcher::Npx, &["-p", "pkg", "-c", "a | b"].map(Into::into)) else {
            panic!("it is a line")
        };
        let error = check(&Config::default(), &launch).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Refused);
        // What it says to write is what lets it through.
        let setting = error.hints[1].split_once(": ").unwrap().1.replacen(' ', "\n", 1);
        check(&toml::from_str(&setting).unwrap(), &launch).unwrap();
    }
}

//! Which lines may be run at all.

use super::sources;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch::Launch;
use crate::launch::project::Project;
use crate::package::shown;

/// Refuses a line that the user has to allow first.
pub fn check(config: &Config, launch: &Launch) -> Result<()> {
    if launch.call.is_some() && !config.launch.call {
        return Err(Error::refused("`-c` runs a line of shell, which nobody allowed yet")
            .hint("name the command and its arguments: `npx-safe -p pkg command arg…`")
            .hint("or allow such lines in jitbox's config.toml: [launch] call = true"));
    }
    sources::check(config, &launch.tighten, &launch.packages)
}

/// The refusal of a line about code of a folder: there is no grant for that yet.
pub fn refuse_project(project: &Project) -> Error {
    let folder = project.directory.as_ref().or(project.folder.as_ref());
    let folder = folder.map_or_else(|| "the working directory".to_owned(), |folder| format!("`{}`", shown(folder)));
    Error::refused(format!("`{}` runs code of {folder}, which no box is given", project.launcher.name()))
        .because("code of this machine is run only if it is granted, and there is no way to grant it yet")
        .hint("name the published package: `uv run --with pkg command arg…`, or `uvx-safe pkg arg…`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Launcher, Request, parse};

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

//! Settings of npm's and uv's that change what a line means and that are not honoured: each is
//! refused, or noted, by its name. What stands neither here nor with those that are honoured
//! speaks of caches, output, projects or publishing, and has no meaning here.

use super::settings::Remarks;
use crate::error::Error;

/// What is done about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Another package, version or program would be run: nothing is.
    Refused,
    /// It is left aside, and said.
    Noted,
}

/// Settings that are treated the same way.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As they are spelled in npm's and uv's files.
    names: &'static [&'static str],
    /// Values with which nothing changes.
    harmless: &'static [&'static str],
    verdict: Verdict,
    /// Continues a sentence that starts with the setting's name.
    why: &'static str,
}

const fn refused(names: &'static [&'static str], harmless: &'static [&'static str], why: &'static str) -> Row {
    Row { names, harmless, verdict: Verdict::Refused, why }
}

const fn noted(names: &'static [&'static str], harmless: &'static [&'static str], why: &'static str) -> Row {
    Row { names, harmless, verdict: Verdict::Noted, why }
}

const ON: &[&str] = &["true", "1"];
const OFF: &[&str] = &["false", "0", "no", "off"];
const CHECKED: &str = "is not honoured: certificates are always checked (name the authority's file in SSL_CERT_FILE)";

/// npm's. Environment and files say the same things by the same names.
pub const NPM: &[Row] = &[
    refused(&["package"], &[], "adds packages to every line"),
    refused(&["call"], &[], "runs a line of shell in place of the package"),
    refused(
        &["workspace", "workspaces", "include-workspace-root"],
        OFF,
        "runs in a workspace of this folder, which has no say here",
    ),
    refused(&["cpu", "os", "libc"], &[], "chooses another platform than the container's"),
    noted(&["node-options"], &[], "is not passed on to programs"),
    noted(&["yes"], ON, "would keep npx from installing; here it only ever installs into a container"),
    noted(&["strict-ssl"], ON, CHECKED),
    noted(&["cert", "key"], &[], "is not honoured: client certificates are not supported"),
    noted(&["min-release-age-exclude"], &[], "is not honoured: the minimum age holds for all packages"),
];

/// uv's. In the environment they are spelled `UV_…`.
pub const UV: &[Row] = &[
    refused(&["resolution"], &["highest"], "changes which versions are chosen, which is not supported"),
    refused(
        &["exclude-newer-package", "prerelease-package"],
        &[],
        "changes which versions are chosen, which is not supported",
    ),
    refused(
        &["constraint", "override", "constraint-dependencies", "override-dependencies", "exclude-dependencies"],
        &[],
        "changes which versions are chosen, which is not supported",
    ),
    refused(&["find-links"], &[], "adds a source of packages that is not an index"),
    refused(&["no-index"], OFF, "forbids the package index"),
    refused(&["no-binary", "no-binary-package"], OFF, "asks for source builds, and packages are installed from wheels"),
    refused(&["torch-backend", "python-platform"], &[], "chooses wheels for another platform than the container's"),
    refused(&["working-dir", "working-directory"], &[], "starts the program in another folder, which is not supported"),
    noted(
        &["keyring-provider"],
        &["disabled"],
        "is not honoured: no program of this machine is asked for credentials (add a login to ~/.netrc)",
    ),
    noted(&["insecure-host", "allow-insecure-host"], &[], CHECKED),
    noted(
        &["index-strategy"],
        &["first-index"],
        "is not honoured: the first index that has a package is the only one that is used for it",
    ),
    noted(&["env-file"], OFF, "is not read: variables for the program belong into the client's `env` for it"),
    noted(&["http-proxy", "https-proxy", "no-proxy"], &[], "is not honoured: set HTTPS_PROXY and NO_PROXY"),
];

/// Checks one setting. `shown` is how it is named to people, `undo` how it is undone.
pub fn check(table: &[Row], name: &str, value: &str, shown: &str, undo: &str, remarks: &mut Remarks) {
    let Some(row) = table.iter().find(|row| row.names.contains(&name)) else {
        return;
    };
    let value = value.trim().to_lowercase();
    if matches!(value.as_str(), "" | "null" | "undefined" | "[]") || row.harmless.contains(&value.as_str()) {
        return;
    }
    let what = format!("{shown} {}", row.why);
    match row.verdict {
        Verdict::Refused => remarks.refusals.push(Error::refused(what).hint(undo)),
        Verdict::Noted => remarks.notes.push(what),
    }
}

/// The setting that a variable `UV_…` stands for.
pub fn of_uv_variable(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("UV_")?;
    Some(name.to_lowercase().replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_once_and_reasons_are_clauses() {
        for table in [NPM, UV] {
            let mut names: Vec<&str> = table.iter().flat_map(|row| row.names.iter().copied()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
            assert!(table.iter().all(|row| !row.why.ends_with('.') && row.why.starts_with(char::is_lowercase)));
        }
    }

    #[test]
    fn refused_noted_and_harmless() {
        let said = |name: &str, value: &str| {
            let mut remarks = Remarks::default();
            check(UV, name, value, "`X`", "unset X", &mut remarks);
            (remarks.refusals.len(), remarks.notes.len())
        };
        assert_eq!(said("resolution", "lowest"), (1, 0));
        assert_eq!(said("resolution", "highest"), (0, 0));
        assert_eq!(said("no-index", "false"), (0, 0));
        assert_eq!(said("index-strategy", "unsafe-best-match"), (0, 1));
        assert_eq!(said("cache-dir", "/x"), (0, 0));
        assert_eq!(of_uv_variable("UV_NO_BINARY").as_deref(), Some("no-binary"));
    }
}

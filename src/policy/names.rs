//! Names of packages that look like another, well-known one, or that nobody had until lately. Whoever means them can say
//! so; where the level asks for it, they have to.

use super::age::{DAY, spoken};
use super::level::Level;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch::Tighten;
use crate::package::PackageSpec;
use crate::registry::lookalike;

/// How old a name is that nothing is said of, in days. Names that are made to be taken for another's, or for one that a
/// language model had made up, are new.
const KNOWN: u64 = 30;

/// What is to be said about the names of a line whose box is not made yet; at level strict, the refusal.
pub fn check(config: &Config, tighten: &Tighten, packages: &[PackageSpec]) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for spec in packages.iter().filter(|spec| spec.source().is_none()) {
        let (ecosystem, name) = (spec.ecosystem(), spec.name());
        let Some(known) = lookalike::of(ecosystem, name) else { continue };
        let looks = format!("{name} looks like {known}, which is another package");
        let hint = format!("if you mean {known}, write that");
        said.extend(judge(config, tighten, spec, looks, &[hint])?);
    }
    Ok(said)
}

/// The same of a name whose first release was published at `since`, in seconds since 1970.
pub fn check_age(
    config: &Config,
    tighten: &Tighten,
    spec: &PackageSpec,
    (since, now): (u64, u64),
) -> Result<Option<String>> {
    let age = now.saturating_sub(since);
    if age >= KNOWN * DAY {
        return Ok(None);
    }
    let new = format!("{} is a new name: its first release is {} old", spec.name(), spoken(age));
    judge(config, tighten, spec, new, &[])
}

/// `what` is said, unless the user accepted the name; at level strict it is refused, and `hints` come first.
fn judge(
    config: &Config,
    tighten: &Tighten,
    spec: &PackageSpec,
    what: String,
    hints: &[String],
) -> Result<Option<String>> {
    let (name, accept) = (spec.name(), &config.packages.accept);
    let full = format!("{}:{name}", spec.ecosystem());
    if accept.contains(&full) {
        return Ok(None);
    }
    if Level::of(config, tighten) < Level::Strict {
        return Ok(Some(what));
    }
    let accepted = accept.iter().chain([&full]).map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let error = Error::refused(what).because("level strict takes no chances with names");
    Err(hints
        .iter()
        .fold(error, Error::hint)
        .hint(format!("if you mean {name}: [packages] accept = [{accepted}] in jitbox's config.toml"))
        .hint("or choose another level"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::npm::NpmSpec;

    #[test]
    fn a_name_like_another_is_said_and_at_strict_refused() {
        let spec = |text: &str| vec![PackageSpec::Npm(NpmSpec::parse(text).unwrap())];
        let strict = Tighten { level: Some(Level::Strict), ..Tighten::default() };
        let config = Config::default();
        let line = ["mcp-remotee looks like mcp-remote, which is another package"];
        assert_eq!(check(&config, &Tighten::default(), &spec("mcp-remotee@1.0.0")).unwrap(), line);
        let error = check(&config, &strict, &spec("mcp-remotee")).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Refused);
        // What it says to write is what lets it through.
        let hint = error.hints[1].split_once(": ").unwrap().1;
        let setting = hint.split_once(" in ").unwrap().0.replacen(' ', "\n", 1);
        let config: Config = toml::from_str(&setting).unwrap();
        for tighten in [&strict, &Tighten::default()] {
            assert!(check(&config, tighten, &spec("mcp-remotee")).unwrap().is_empty());
        }
        // Elsewhere names are not the registry's.
        for text in ["mcp-remote", "someone/mcp-remotee", "https://h.example/mcp-remotee.tgz"] {
            assert!(check(&Config::default(), &strict, &spec(text)).unwrap().is_empty(), "{text}");
        }
    }

    #[test]
    fn a_new_name_is_said_and_at_strict_refused() {
        let spec = PackageSpec::Npm(NpmSpec::parse("mcp-new@1.0.0").unwrap());
        let strict = Tighten { level: Some(Level::Strict), ..Tighten::default() };
        let now = 100 * DAY;
        let check =
            |config: &Config, tighten: &Tighten, days: u64| check_age(config, tighten, &spec, (now - days * DAY, now));
        let config = Config::default();
        let said = check(&config, &Tighten::default(), 29).unwrap();
        assert_eq!(said.unwrap(), "mcp-new is a new name: its first release is 29 days old");
        for tighten in [&strict, &Tighten::default()] {
            assert_eq!(check(&config, tighten, 30).unwrap(), None);
        }
        let error = check(&config, &strict, 29).unwrap_err();
        assert!(error.hints[0].contains("accept = [\"npm:mcp-new\"]"), "{error:?}");
        let config: Config = toml::from_str("[packages]\naccept = [\"npm:mcp-new\"]").unwrap();
        assert_eq!(check(&config, &strict, 29).unwrap(), None);
    }
}

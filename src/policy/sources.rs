//! Where packages may come from. A registry keeps a version as it was published; a repository or
//! an address is whatever its owner puts there, so at level strict only those that the user
//! listed are let through.

use url::Url;

use super::level::Level;
use super::lines;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch::Tighten;
use crate::package::PackageSpec;
use crate::package::source::Source;

/// Refuses packages that are in no registry where the level asks for it.
pub fn check(config: &Config, tighten: &Tighten, packages: &[PackageSpec]) -> Result<()> {
    let listed = |at: &Url| config.packages.sources.iter().any(|allowed| covers(allowed, at));
    if Level::of(config, tighten) != Level::Strict {
        return Ok(());
    }
    let sources = || packages.iter().filter_map(PackageSpec::source);
    if sources().any(|source| source.address().is_none()) {
        return Err(lines::refuse_local());
    }
    match sources().filter_map(Source::address).find(|at| !listed(at)) {
        None => Ok(()),
        Some(at) => Err(Error::refused(format!("at level strict nothing is taken from {at}"))
            .because("it is in no registry, and not among the sources that are allowed")
            .hint(format!("allow it in jitbox's config.toml: [packages] sources = [\"{at}\"]"))
            .hint("or choose another level")),
    }
}

/// Whether `at` is `allowed` or below it. `.git` at the end of a repository says nothing.
fn covers(allowed: &Url, at: &Url) -> bool {
    let path = |url: &Url| {
        let path = url.path().trim_end_matches('/');
        path.strip_suffix(".git").unwrap_or(path).to_owned()
    };
    let below = |path: String, above: String| {
        path.strip_prefix(&above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    allowed.origin() == at.origin() && below(path(at), path(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::npm::NpmSpec;

    #[test]
    fn strict_takes_only_what_is_listed() {
        let spec = |text: &str| vec![PackageSpec::Npm(NpmSpec::parse(text).unwrap())];
        let strict = Tighten { level: Some(Level::Strict), ..Tighten::default() };
        let mut config = Config::default();
        for text in ["o/r", "https://h.example/a/x.tgz"] {
            check(&config, &Tighten::default(), &spec(text)).unwrap();
            let error = check(&config, &strict, &spec(text)).unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Refused);
            // What it says to write is what lets it through.
            let address = error.hints[0].split('"').nth(1).unwrap().to_owned();
            config.packages.sources.push(Url::parse(&address).unwrap());
            check(&config, &strict, &spec(text)).unwrap();
        }
        check(&Config::default(), &strict, &spec("@s/p@1.0.0")).unwrap();
    }

    #[test]
    fn addresses_below_an_allowed_one() {
        for (allowed, at, want) in [
            ("https://github.com/o/r", "https://github.com/o/r.git", true),
            ("https://github.com/o", "https://github.com/o/r.git", true),
            ("https://github.com/o/", "https://github.com/o/r", true),
            ("https://h.example", "https://h.example/x.tgz", true),
            ("https://github.com/o/r", "https://github.com/o/rr", false),
            ("https://github.com/o/r", "https://github.com/o", false),
            ("https://github.com/o/r", "http://github.com/o/r", false),
            ("https://github.com/o/r", "https://github.com:8443/o/r", false),
            ("https://github.com/o/r", "https://github.com.evil/o/r", false),
            ("https://github.com/o/r", "https://github.com/x/../o/r", true),
        ] {
            assert_eq!(covers(&Url::parse(allowed).unwrap(), &Url::parse(at).unwrap()), want, "{allowed} {at}");
        }
    }
}

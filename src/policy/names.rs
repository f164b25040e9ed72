//! Names of packages that look like another, well-known one. Whoever means them can say so; where the level asks for
//! it, they have to.

use super::level::Level;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::launch::Tighten;
use crate::package::PackageSpec;
use crate::registry::lookalike;

/// What is to be said about the names of a line whose box is not made yet; at level strict, the refusal.
pub fn check(config: &Config, tighten: &Tighten, packages: &[PackageSpec]) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for spec in packages.iter().filter(|spec| spec.source().is_none()) {
        let (ecosystem, name) = (spec.ecosystem(), spec.name());
        let full = format!("{ecosystem}:{name}");
        let Some(known) = lookalike::of(ecosystem, name).filter(|_| !config.packages.accept.contains(&full)) else {
            continue;
        };
        let looks = format!("{name} looks like {known}, which is another package");
        if Level::of(config, tighten) < Level::Strict {
            said.push(looks);
            continue;
        }
        let accepted = config.packages.accept.iter().chain([&full]).map(|name| format!("\"{name}\""));
        let accepted = accepted.collect::<Vec<_>>().join(", ");
        return Err(Error::refused(looks)
            .because("level strict takes no chances with names")
            .hint(format!("if you mean {known}, write that"))
            .hint(format!("if you mean {name}: [packages] accept = [{accepted}] in jitbox's config.toml"))
            .hint("or choose another level"));
    }
    Ok(said)
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
}

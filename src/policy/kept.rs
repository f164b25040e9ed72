//! Whose files are kept between runs.

use crate::config::Config;
use crate::launch::project::Local;
use crate::package::PinnedPackage;
use crate::policy::level::Level;
use crate::state::grants::LOCAL;

/// Whether what the package writes to its home is kept. The user's list (`[state] keep`) counts
/// alone, at level strict too. Without one: MCP servers, which may be useless without what they
/// wrote; of a plain command nothing is left.
pub fn kept(config: &Config, level: Level, packages: &[PinnedPackage], local: Option<&Local>, server: bool) -> bool {
    let Some(first) = packages.first() else {
        return false;
    };
    match &config.state.keep {
        Some(listed) if local.is_some() => {
            local.is_some_and(|local| listed.contains(&format!("{LOCAL}{}", local.root)))
        }
        // A name is only a registry's to give.
        Some(listed) => first.is_published() && listed.contains(&format!("{}:{}", first.ecosystem(), first.name())),
        None => server && level != Level::Strict,
    }
}

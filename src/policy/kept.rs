//! Whose files are kept between runs.

use crate::config::Config;
use crate::package::PinnedPackage;
use crate::policy::level::Level;

/// Whether what the package writes to its home is kept. The user's list (`[state] keep`) counts
/// alone, at level strict too. Without one: MCP servers, which may be useless without what they
/// wrote; of a plain command nothing is left. `local`: the program is of a folder of this machine.
pub fn kept(config: &Config, level: Level, packages: &[PinnedPackage], local: bool, server: bool) -> bool {
    let Some(first) = packages.first() else {
        return false;
    };
    match &config.state.keep {
        // A name is only a registry's to give, and a folder has none there.
        Some(listed) => {
            !local && first.is_published() && listed.contains(&format!("{}:{}", first.ecosystem(), first.name()))
        }
        None => server && level != Level::Strict,
    }
}

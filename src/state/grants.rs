//! What the user granted: one small file beside config.toml, in the user's hands alone.
//!
//! A grant is for a package *and* the registry that it comes from: a package of the same name
//! from elsewhere has none of them. It can also be for one exact line, which is the only sort
//! that counts where a line runs an interpreter, whose code stands in its arguments.

use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Layout, lock, store};
use crate::error::{Error, Result};
use crate::policy::grant::{Grant, LOCAL, What, local};
use crate::registry::cutoff;
use crate::{trust, ui};

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Whom a grant is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// `npm:NAME` or `pypi:NAME`, or `local:FOLDER`; for an exact line, what it installs.
    pub package: String,
    /// Where the package comes from: its registry, or its repository's or archive's address.
    pub from: String,
    /// The exact line, in our own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

impl Holder {
    /// The code of a folder of this machine, by the folder's real path; none if that is no text.
    pub fn local(root: &Path) -> Option<Self> {
        Some(Self { package: local(root.to_str()?), from: "this machine".to_owned(), line: None })
    }

    /// The folder whose code it is.
    pub fn folder(&self) -> Option<&str> {
        self.package.strip_prefix(LOCAL)
    }
}

/// A holder and all that it was granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whom it is for.
    pub holder: Holder,
    /// What.
    pub grants: Vec<Grant>,
}

/// Everything that was granted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    format: u32,
    /// In the order in which it was granted first.
    pub entries: Vec<Entry>,
}

impl Grants {
    /// Reads the file; without one, nothing was granted. One that can't be understood stops
    /// everything: it is never set aside, since nothing could be granted from what it held.
    pub fn load(layout: &Layout, uid: u32) -> Result<Self> {
        let path = layout.grants();
        let Some(text) = trust::read_rules(&path, uid)? else {
            return Ok(Self::default());
        };
        Self::parse(&text).map_err(|why| {
            let remove = format!("correct it, or take all grants back: rm '{}'", path.display());
            Error::refused(trust::unusable(&path)).because(why).hint(remove)
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let grants: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if grants.format != FORMAT {
            return Err("another version of jitbox wrote it".to_owned());
        }
        grants.entries.iter().flat_map(|entry| &entry.grants).try_for_each(|grant| grant.what.check())?;
        Ok(grants)
    }

    /// What `holder` was granted.
    pub fn of(&self, holder: &Holder) -> &[Grant] {
        self.entries.iter().find(|entry| entry.holder == *holder).map_or(&[], |entry| &entry.grants)
    }

    /// Whether the code of the folder `root` may be run: it may if it may be read.
    pub fn runs(&self, holder: &Holder, root: &Path) -> bool {
        self.of(holder).iter().any(|grant| grant.what.reads(root))
    }

    /// Grants `what`, from today on.
    pub fn allow(&mut self, holder: &Holder, what: What, reason: Option<&str>) {
        let at = self.entries.iter().position(|entry| entry.holder == *holder).unwrap_or_else(|| {
            self.entries.push(Entry { holder: holder.clone(), grants: Vec::new() });
            self.entries.len() - 1
        });
        let grants = &mut self.entries[at].grants;
        grants.retain(|known| !what.replaces(&known.what));
        grants.push(Grant { what, since: cutoff::day(SystemTime::now()), reason: reason.map(str::to_owned) });
    }

    /// Takes `what` back, or everything; says how many grants that were.
    pub fn deny(&mut self, holder: &Holder, what: Option<&What>) -> usize {
        let mut taken = 0;
        for entry in self.entries.iter_mut().filter(|entry| entry.holder == *holder) {
            let before = entry.grants.len();
            entry.grants.retain(|known| what.is_some_and(|what| !what.takes_back(&known.what)));
            taken += before - entry.grants.len();
        }
        self.entries.retain(|entry| !entry.grants.is_empty());
        taken
    }
}

/// Changes what is granted: nobody else does so meanwhile, and the file is written at once or
/// not at all.
pub fn change<T>(layout: &Layout, uid: u32, how: impl FnOnce(&mut Grants) -> Result<T>) -> Result<T> {
    let waiting = || ui::note("waiting for somebody else who changes the grants");
    let _lock = lock::take(&layout.lock("grants"), waiting)?;
    let mut grants = Grants::load(layout, uid)?;
    let before = grants.clone();
    let done = how(&mut grants)?;
    if grants != before {
        grants.format = FORMAT;
        store::write(&layout.grants(), &grants)?;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::context::Context;

    fn holder(package: &str, from: &str) -> Holder {
        Holder { package: package.into(), from: from.into(), line: None }
    }

    fn layout(home: &std::path::Path) -> (Layout, u32) {
        let mut context = Context::read();
        context.env = [("XDG_RUNTIME_DIR", home)].into_iter().collect();
        context.home = home.to_owned();
        (Layout::new(&context), context.uid)
    }

    #[test]
    fn a_grant_is_for_a_package_of_one_registry() {
        let home = tempfile::tempdir().unwrap();
        let (layout, uid) = layout(home.path());
        let ours = holder("npm:a", "https://r.example/");
        assert_eq!(Grants::load(&layout, uid).unwrap(), Grants::default());
        let write = What::Write("/srv/x".into());
        for _ in 0..2 {
            change(&layout, uid, |grants| {
                grants.allow(&ours, write.clone(), Some("to work"));
                Ok(())
            })
            .unwrap();
        }
        let grants = Grants::load(&layout, uid).unwrap();
        let [grant] = grants.of(&ours) else { panic!("{grants:?}") };
        assert_eq!((&grant.what, grant.reason.as_deref()), (&write, Some("to work")));
        assert!(grant.since.len() == 10 && grant.since.starts_with("20"), "{}", grant.since);
        for other in [
            holder("npm:a", "https://evil.example/"),
            holder("pypi:a", "https://r.example/"),
            holder("npm:b", "https://r.example/"),
            Holder { line: Some("npx-safe a".into()), ..ours.clone() },
        ] {
            assert!(grants.of(&other).is_empty(), "{other:?}");
        }
        let mode = std::fs::metadata(layout.grants()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = change(&layout, uid, |grants| Ok(grants.deny(&ours, Some(&write)))).unwrap();
        assert_eq!((taken, Grants::load(&layout, uid).unwrap().entries.len()), (1, 0));
    }

    #[test]
    fn one_value_takes_the_place_of_another() {
        let ours = holder("npm:a", "r");
        let mut grants = Grants::default();
        grants.allow(&ours, What::Memory(1 << 30), None);
        grants.allow(&ours, What::Memory(2 << 30), None);
        grants.allow(&ours, What::Refused, None);
        grants.allow(&ours, What::Work("/a".into()), None);
        grants.allow(&ours, What::Work("/b".into()), None);
        let all: Vec<String> = grants.of(&ours).iter().map(|grant| grant.what.to_string()).collect();
        assert_eq!(all, ["memory 2048m", "write /a when started there", "write /b when started there"]);
        assert_eq!(grants.deny(&ours, None), 3);
    }

    #[test]
    fn a_file_that_others_may_write_or_that_says_something_else_stops_everything() {
        let home = tempfile::tempdir().unwrap();
        let (layout, uid) = layout(home.path());
        change(&layout, uid, |grants| {
            grants.allow(&holder("npm:a", "r"), What::Net(crate::policy::grant::Net::Open), None);
            Ok(())
        })
        .unwrap();
        let path = layout.grants();
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(Grants::load(&layout, uid).unwrap_err().to_string().contains("everybody"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in [
            "",
            "{}",
            &good.replace("\"open\"", "\"all\""),
            &good.replace("\"net\": \"open\"", "\"write\": \"../x\""),
            &good.replace("\"format\": 1", "\"format\": 2"),
            &good[..good.len() / 2],
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = Grants::load(&layout, uid).unwrap_err();
            assert!(error.kind == crate::error::Kind::Refused && !error.hints.is_empty(), "{bad} {error}");
            assert!(change(&layout, uid, |_| Ok(())).is_err());
        }
    }
}

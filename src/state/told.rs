//! What was said once, about a box or about the machine, and is not said at every start.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::{Layout, store};
use crate::digest;

/// Those of `names` that were not told about the box of this key. From here on they are.
pub fn news(layout: &Layout, key: &str, names: &[String]) -> Vec<String> {
    let path = layout.told(key);
    let known = || store::read::<BTreeSet<String>>(layout, &path).ok().flatten().unwrap_or_default();
    let mut told = if names.is_empty() { BTreeSet::new() } else { known() };
    let news: Vec<String> = names.iter().filter(|name| told.insert((*name).clone())).cloned().collect();
    if !news.is_empty() {
        // Not being able to remember it only repeats it.
        let _ = store::write(&path, &told);
    }
    news
}

/// How long something that is true of the machine, and of no box, is not said again.
const HOUR: Duration = Duration::from_secs(3600);

/// Whether an hour has passed since `what` was said last. From `now` on it was said.
pub fn is_due(layout: &Layout, what: &str, now: SystemTime) -> bool {
    let is_due = !lately(layout, what, HOUR, now);
    if is_due {
        mark(layout, what, now);
    }
    is_due
}

/// Whether `what` was said, or done, within this time before `now`.
pub fn lately(layout: &Layout, what: &str, span: Duration, now: SystemTime) -> bool {
    let now = seconds(now);
    let last = store::read::<u64>(layout, &layout.told(what)).ok().flatten();
    // A clock that was set back would else silence it for long.
    last.is_some_and(|last| (last..last.saturating_add(span.as_secs())).contains(&now))
}

/// From `now` on it was. Not being able to remember that only repeats it.
pub fn mark(layout: &Layout, what: &str, now: SystemTime) {
    let _ = store::write(&layout.told(what), &seconds(now));
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What it is called that newer versions of the box of this key were looked for.
pub fn newer(key: &str) -> String {
    format!("{key}-newer")
}

/// What it is called that it was tried to make the box of this key of a newer base image.
pub fn base(key: &str) -> String {
    format!("{key}-base")
}

/// What it is called that a registry was asked for a newer base image of this name.
pub fn base_of_registry(image: &str) -> String {
    format!("{}-registry", digest::short(image.as_bytes()))
}

/// What it is called that the program in the box of this key wanted a network.
pub fn unreached(key: &str) -> String {
    format!("{key}-network")
}

/// What it is called that was said of what the program in the box of this key lacks.
pub fn lacks(key: &str) -> String {
    format!("{key}-lacks")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn a_name_is_told_once_a_box() {
        let home = tempfile::tempdir().unwrap();
        let mut context = Context::read();
        context.env = [("XDG_DATA_HOME", home.path())].into_iter().collect();
        let layout = Layout::new(&context);
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(news(&layout, "a", &names(&["A", "B"])), names(&["A", "B"]));
        assert_eq!(news(&layout, "a", &names(&["B", "C"])), names(&["C"]));
        assert_eq!(news(&layout, "a", &[]), names(&[]));
        assert_eq!(news(&layout, "b", &names(&["A"])), names(&["A"]));
    }

    #[test]
    fn what_the_machine_lacks_is_said_once_an_hour() {
        let home = tempfile::tempdir().unwrap();
        let mut context = Context::read();
        context.env = [("XDG_DATA_HOME", home.path())].into_iter().collect();
        let layout = Layout::new(&context);
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        let due = |seconds| is_due(&layout, "osv", at(seconds));
        assert_eq!([due(0), due(1), due(3599), due(3600), due(3601)], [true, false, false, true, false]);
        assert!(is_due(&layout, "osv", SystemTime::UNIX_EPOCH + Duration::from_secs(5)), "a clock that was set back");
        assert!(is_due(&layout, "other", at(1)));
    }
}

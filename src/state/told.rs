//! What was said about a box once, and is not said at every start.

use std::collections::BTreeSet;

use super::{Layout, store};

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
}

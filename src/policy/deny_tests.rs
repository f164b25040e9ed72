//! The places by path, by case, by link and by other names.

use proptest::prelude::*;

use super::*;

/// As if nothing were there: only paths count.
fn places() -> Places {
    let ours = vec!["/home/u/.local/share/jitbox".into()];
    Places { homes: vec!["/home/u".into()], ours, ..Places::default() }
}

fn found(asked: &str, real: &str) -> Found {
    let id = Id { device: 0, inode: 0 };
    let (above, inner) = (Vec::new(), Vec::new());
    Found { asked: asked.into(), real: real.into(), id, above, inner, owner: (1, 1), sort: Sort::Folder }
}

fn refused(path: &str) -> bool {
    places().refusal(&found(path, path)).is_some()
}

#[test]
fn keys_settings_and_the_system_stay_outside() {
    for path in ["/", "/home", "/home/u", "/home/u/.ssh", "/home/u/.ssh/id", "/home/u/.config/x", "/etc/passwd", "/var"]
    {
        assert!(refused(path), "{path}");
    }
    for path in
        ["/home/u/.local", "/home/u/.local/share/jitbox/boxes", "/run/user/1/bus", "/proc/1", "/proc/self/root/x"]
    {
        assert!(refused(path), "{path}");
    }
    for path in ["/home/u/.SSH", "/HOME/U/.ssh/id", "/Etc/passwd", "/home/U", "/home/u/.CONFIG/x"] {
        assert!(refused(path), "{path}");
    }
    for path in ["/home/u/work", "/srv/data", "/tmp/x", "/home/u/.sshx", "/work", "/home/v"] {
        assert!(!refused(path), "{path}");
    }
}

#[test]
fn a_home_in_the_systems_is_a_home() {
    let of = |home: &str, path: &str| {
        let places = Places { homes: vec![home.into()], ..Places::default() };
        places.refusal(&found(path, path)).is_some()
    };
    assert!(!of("/root", "/root/work") && of("/root", "/root/.ssh") && of("/root", "/etc"));
    assert!(!of("/var/lib/x", "/var/lib/x/data") && of("/var/lib/x", "/var/lib/y"));
    assert!(of("/", "/etc/passwd") && of("/", "/.ssh/id") && !of("/", "/srv"));
}

#[test]
fn a_link_to_a_refused_place_is_refused() {
    assert!(places().refusal(&found("/tmp/innocent", "/home/u/.ssh")).is_some());
    let socket = Found { sort: Sort::Other, ..found("/srv/s", "/srv/s") };
    assert!(places().refusal(&socket).is_some());
}

/// A home with keys, and beside it a project that the user may give away.
fn machine() -> (tempfile::TempDir, Places, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for folder in
        ["home/u/.ssh/old", "home/u/.config/jitbox", "home/u/.local/share/keyrings", "home/u/work/sub", "srv/data"]
    {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("home/u/.ssh/id"), "key").unwrap();
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(root.join(to), root.join(at)).unwrap();
    link("home/u/.ssh", "srv/data/keys");
    link("srv/data/keys/id", "srv/data/one");
    link("home", "srv/homes");
    link("srv/data", "home/u/work/data");
    std::os::unix::fs::symlink("..", root.join("home/u/work/up")).unwrap();
    let places = Places::look(&root.join("home/u"), &[root.join("home/u/.config/jitbox")]);
    (dir, places, root)
}

/// Whether what is at this path is, or holds, or is inside of what nobody gets: said without our
/// own code, by asking the system for the real path.
fn is_private(root: &Path, path: &Path) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let places = ["home/u/.ssh", "home/u/.config", "home/u/.local/share/keyrings"].map(|p| root.join(p));
    places.iter().any(|place| real.starts_with(place) || place.starts_with(&real))
}

#[test]
fn another_name_of_a_place_is_the_place() {
    let (_dir, places, root) = machine();
    // What a bind mount shows: another path, the same inodes.
    let alias = |of: &str| {
        let there = Found::at(&root.join(of)).unwrap();
        let above = there.above[..there.above.len().min(2)].to_vec();
        Found { asked: "/mnt/x".into(), real: "/mnt/x".into(), above, ..there }
    };
    for private in
        ["home/u/.ssh", "home/u/.ssh/id", "home/u/.ssh/old", "home/u", "home", "home/u/.local", "home/u/.local/share"]
    {
        assert!(places.refusal(&alias(private)).is_some(), "{private}");
    }
    for fine in ["home/u/work", "home/u/work/sub", "srv/data", "srv"] {
        assert_eq!(places.refusal(&alias(fine)), None, "{fine}");
    }
    let inside = Found { inner: vec![Found::at(&root.join("home/u/.ssh")).unwrap().id], ..alias("srv/data") };
    assert!(places.refusal(&inside).is_some(), "mounted below");
}

#[test]
fn ways_through_proc_are_closed() {
    let (_dir, places, root) = machine();
    for way in ["/proc/self/root", "/proc/1/root", &format!("/proc/{}/root", std::process::id())] {
        let path = PathBuf::from(format!("{way}{}", root.join("srv/data").display()));
        if let Ok(found) = Found::at(&path) {
            assert!(places.refusal(&found).is_some(), "{}", path.display());
        }
    }
    let cwd = Found::at(Path::new("/proc/self/cwd")).unwrap();
    assert!(places.refusal(&cwd).is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a path is put together from links, `..` and other spellings: what is private is
    /// never given out.
    #[test]
    fn no_spelling_gets_to_what_is_private(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "home", "u", "work", "up", "data", "keys", "one", "srv", "homes", ".ssh", "id", "old", "sub", "..", ".", "", ".SSH", ".local",
                "share", "keyrings", ".config", "jitbox",
            ]),
            0..7,
        ),
    ) {
        static MACHINE: std::sync::OnceLock<(tempfile::TempDir, Places, PathBuf)> = std::sync::OnceLock::new();
        let (_, places, root) = MACHINE.get_or_init(machine);
        let args = [root.join(words.join("/")).into_os_string()];
        for found in super::super::paths::look(&args, root) {
            if is_private(root, &found.asked) || is_private(root, &found.real) {
                prop_assert!(places.refusal(&found).is_some(), "{found:?}");
            }
        }
    }
}

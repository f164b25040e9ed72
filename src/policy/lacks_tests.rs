//! What is said to be missing, for whom, and in which words.

use proptest::prelude::*;

use super::*;
use crate::policy::grant::{Net, What};
use crate::policy::level::Level;
use crate::policy::properties::{World, found, some_world};

fn change(target: &str) -> Lack {
    Lack::Change { source: Path::new("/real").join(target.trim_start_matches('/')), target: target.into() }
}

#[test]
fn one_line_names_all_that_is_missing() {
    let named = Named { packages: vec!["npm:@a/b".to_owned()], line: None };
    let (all, some) = (Lack::Files { to_change: true }, Lack::Files { to_change: false });
    for (lacks, want) in [
        (
            &[Lack::Network, all.clone()][..],
            "it reaches no network and no files of yours (to give some: jitbox allow npm:@a/b --read DIR, --write DIR or --net open)",
        ),
        (&[all], "it reaches no files of yours (to give some: jitbox allow npm:@a/b --read DIR or --write DIR)"),
        (
            &[Lack::Network, some.clone()],
            "it reaches no network and no files of yours (to give some: jitbox allow npm:@a/b --read DIR or --net open)",
        ),
        (&[some], "it reaches no files of yours (to give some: jitbox allow npm:@a/b --read DIR)"),
        (&[Lack::Network], "it reaches no network (to let it: jitbox allow npm:@a/b --net open)"),
        (
            &[change("/c d")],
            "it can read /c d and not change it (to let it: jitbox allow npm:@a/b --write '/real/c d')",
        ),
        (
            &[Lack::Network, change("/c")],
            "it reaches no network, and can read /c and not change it (to let it: jitbox allow npm:@a/b --write /real/c or --net open)",
        ),
        (
            &[change("/c"), change("/d"), change("/e")],
            "it can read /c, /d and /e and not change them (to let it: jitbox allow npm:@a/b --write /real/c, --write /real/d or --write /real/e)",
        ),
        // What no command can say.
        (&[change("/c\n")], "it can read /c\u{fffd} and not change it"),
    ] {
        assert_eq!(line(lacks, &named), want);
    }
}

#[test]
fn the_line_itself_where_only_that_counts() {
    let named = Named { packages: Vec::new(), line: Some("npx-safe -y -p a node b.js".to_owned()) };
    let want = "it reaches no network and no files of yours (to give some: jitbox allow --read DIR, --write DIR or --net open \
                -- npx-safe -y -p a node b.js)";
    assert_eq!(line(&[Lack::Network, Lack::Files { to_change: true }], &named), want);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is said to be missing is, and the grant that is named gives it; where it can't, the next start says why.
    #[test]
    fn what_is_named_helps(world in some_world()) {
        let policy = world.decide();
        for lack in of(&policy, &world.tighten) {
            let with = |what: What| World { grants: [&world.grants[..], &[what]].concat(), ..world.clone() }.decide();
            match lack {
                Lack::Network => {
                    prop_assert_eq!(policy.network, Network::None);
                    prop_assert_eq!(with(What::Net(Net::Open)).network, Network::Engine);
                }
                Lack::Files { to_change } => {
                    prop_assert!(policy.mounts.is_empty());
                    let read = with(What::Read("/home/u/other".into()));
                    prop_assert!(read.mounts.iter().any(|m| m.mount.source == Path::new("/home/u/other")));
                    let more = with(What::Write("/home/u/other".into()));
                    let written = more.mounts.iter().any(|m| m.mount.writable) || !more.not_mounted.is_empty();
                    prop_assert_eq!(written, to_change);
                }
                Lack::Change { source, .. } => {
                    prop_assert!(policy.mounts.iter().all(|m| !m.mount.writable));
                    let more = with(What::Write(source.clone()));
                    let written = more.mounts.iter().any(|m| m.mount.source == source && m.mount.writable);
                    prop_assert!(written || more.not_mounted.iter().any(|(path, _)| *path == source), "{more:?}");
                }
            }
        }
    }
}

/// Of a server nothing is said to be missing that somebody decided on, the line included.
#[test]
fn what_is_missing_and_nobody_decided_on() {
    let plain = World {
        engine: 0,
        uid: 1000,
        level: Level::Standard,
        open: false,
        pass: Vec::new(),
        grants: Vec::new(),
        tighten: Tighten::default(),
        paths: Vec::new(),
        cwd: "/srv".to_owned(),
        environment: Vec::new(),
        named: Vec::new(),
    };
    let names = |world: World| {
        let lacks = of(&world.decide(), &world.tighten);
        lacks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let granted = |what: What| World { grants: vec![what], ..plain.clone() };
    let named = |level, paths: &[&str]| World {
        level,
        paths: paths.iter().map(|path| found(path, path)).collect(),
        ..plain.clone()
    };
    let tight = |tighten: Tighten, world: World| World { tighten, ..world };
    let read_only = Tighten { read_only: true, ..Tighten::default() };
    let no_network = Tighten { no_network: true, ..Tighten::default() };
    let (work, other) = ("/home/u/work", "/home/u/other");
    for (world, want) in [
        (plain.clone(), "network, files"),
        (World { open: true, ..plain.clone() }, "files"),
        (tight(no_network, plain.clone()), "files"),
        (tight(read_only.clone(), plain.clone()), "network, files"),
        (granted(What::Net(Net::Open)), "files"),
        (granted(What::Net(Net::None)), "files"),
        (granted(What::Read(work.into())), "network"),
        (granted(What::Write(work.into())), "network"),
        (named(Level::Standard, &[work]), "network, change /home/u/work"),
        (named(Level::Standard, &[work, other]), "network, change /home/u/other, change /home/u/work"),
        (World { grants: vec![What::Read(work.into())], ..named(Level::Standard, &[work]) }, "network"),
        (World { grants: vec![What::Write(work.into())], ..named(Level::Standard, &[work, other]) }, "network"),
        (tight(read_only, named(Level::Standard, &[work])), "network"),
        // These are said by themselves, at every start.
        (named(Level::Standard, &["/home/u/.ssh"]), "network"),
        (named(Level::Strict, &[work]), "network"),
        (named(Level::Relaxed, &[work]), "network"),
        (named(Level::Relaxed, &[]), "network, change /srv"),
        (World { open: true, ..named(Level::Strict, &[]) }, "network, files"),
    ] {
        assert_eq!(names(world.clone()), want, "{world:?}");
    }
}

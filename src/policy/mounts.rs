//! Which paths of the host a program gets, and who it is to them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Asked;
use super::grant::What;
use super::guard;
use super::level::Level;
use super::paths::{Found, Id, Sort};
use super::reason::Reason;
use crate::plan::{Mount, User};

/// A path that is mounted, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mounted {
    /// What is mounted where.
    #[serde(flatten)]
    pub mount: Mount,
    /// Why.
    pub why: Reason,
    /// What was looked at when this was decided.
    #[serde(skip)]
    pub id: Id,
}

/// What came of all the wishes.
#[derive(Debug, Default)]
pub struct Mounts {
    /// What is mounted, outer folders first.
    pub mounts: Vec<Mounted>,
    /// Paths that somebody named and that stay outside, or can't be changed, each with the reason.
    pub not_mounted: Vec<(PathBuf, String)>,
    /// Guarded places that are not there: nobody should have made them when the program ends.
    pub watched: Vec<PathBuf>,
}

/// Somebody's wish for a path.
struct Wish<'a> {
    found: &'a Found,
    /// Where in the box.
    target: PathBuf,
    write: bool,
    why: Reason,
    /// It was granted by this very path, so guarded places are meant, too.
    meant: bool,
}

impl<'a> Wish<'a> {
    fn new(found: &'a Found, write: bool, why: Reason) -> Self {
        Self { found, target: found.asked.clone(), write, why, meant: false }
    }
}

/// Decides.
pub fn decide(asked: &Asked<'_>) -> Mounts {
    let mut done = Mounts::default();
    let mut wishes = granted(asked, &mut done);
    let mut wanted = wanted(asked, &wishes, &mut done);
    wishes.append(&mut wanted);
    wishes.retain(|wish| match asked.places.refusal(wish.found) {
        None => true,
        Some(why) => {
            // Nobody asked for the working directory by name.
            if wish.found.asked != asked.cwd || asked.paths.iter().any(|found| found.asked == asked.cwd) {
                done.not_mounted.push((wish.found.asked.clone(), format!("stays outside: {why}")));
            }
            false
        }
    });
    let writer = writer(asked, &wishes);
    for wish in &mut wishes {
        if wish.write && !asked.tighten.read_only {
            if let Err(why) = may_write(wish, &writer) {
                done.not_mounted.push((wish.found.asked.clone(), format!("is read-only: {why}")));
                wish.write = false;
            }
        } else {
            wish.write = false;
        }
    }
    let mut kept = collapse(wishes);
    kept.retain_mut(|wish| match wish.write && wish.found.sort == Sort::Folder {
        false => true,
        true => {
            if let Err(why) = add_guards(asked, wish, &mut done) {
                done.not_mounted.push((wish.found.asked.clone(), format!("is read-only: {why}")));
                wish.write = false;
            }
            true
        }
    });
    let mounted = |wish: &Wish<'_>| Mounted {
        mount: Mount { source: wish.found.real.clone(), target: wish.target.clone(), writable: wish.write },
        why: wish.why.clone(),
        id: wish.found.id,
    };
    done.mounts.extend(kept.iter().map(mounted));
    // What was granted inside of a guarded place is not guarded.
    done.mounts
        .sort_by(|a, b| (&a.mount.target, a.why == Reason::Guarded).cmp(&(&b.mount.target, b.why == Reason::Guarded)));
    done.mounts.dedup_by(|later, first| later.mount.target == first.mount.target);
    done
}

/// What was granted by its path.
fn granted<'a>(asked: &'a Asked<'_>, done: &mut Mounts) -> Vec<Wish<'a>> {
    let mut wishes = Vec::new();
    for granted in &asked.granted {
        let (path, write) = match &granted.grant.what {
            What::Read(path) => (path, false),
            What::Write(path) => (path, true),
            What::Work(path) if asked.here.as_ref().is_some_and(|cwd| cwd.real.starts_with(path)) => (path, true),
            _ => continue,
        };
        match &granted.found {
            // It was granted under its real name: a link there now was put by somebody else.
            Some(found) if found.real == *path => {
                wishes.push(Wish { meant: true, ..Wish::new(found, write, Reason::from(&granted.grant)) });
            }
            Some(found) => done
                .not_mounted
                .push((path.clone(), format!("stays outside: it leads to {} now", found.real.display()))),
            None => done.not_mounted.push((path.clone(), "is granted and not there".into())),
        }
    }
    wishes
}

/// What the line names, and the working directory.
fn wanted<'a>(asked: &'a Asked<'_>, grants: &[Wish<'_>], done: &mut Mounts) -> Vec<Wish<'a>> {
    let mut wishes = Vec::new();
    for found in &asked.paths {
        let covering = |write: bool| grants.iter().find(|g| g.write == write && found.real.starts_with(&g.found.real));
        if let Some(grant) = covering(true).or_else(|| covering(false)) {
            let meant = guard::covers(&grant.found.real);
            wishes.push(Wish { meant, ..Wish::new(found, grant.write, grant.why.clone()) });
            continue;
        }
        let why = Reason::Level(asked.level);
        match asked.level {
            Level::Relaxed => wishes.push(Wish::new(found, true, why)),
            Level::Standard => wishes.push(Wish::new(found, false, why)),
            Level::Strict => {
                if asked.places.refusal(found).is_none() {
                    let allow = asked.holder.allow("--read", &found.real);
                    let why = format!("stays outside: at level strict only what is granted is mounted{allow}");
                    done.not_mounted.push((found.asked.clone(), why));
                }
            }
        }
    }
    if let Some(here) = &asked.here {
        if asked.answer && asked.level < Level::Strict {
            wishes.push(Wish::new(here, true, Reason::Answer));
        } else if asked.level == Level::Relaxed {
            wishes.push(Wish::new(here, false, Reason::Level(asked.level)));
        }
    }
    wishes
}

/// Who can change files in a box, so that they stay their owner's.
enum Writer {
    /// The user who called us.
    Caller,
    /// The owner of the folder, where the caller is root, whom no program is to be.
    Owner(u32),
    /// Nobody, for this reason.
    None(&'static str),
}

fn writer(asked: &Asked<'_>, wishes: &[Wish<'_>]) -> Writer {
    let (uid, _) = asked.ids;
    if asked.engine.maps_user() || (!asked.engine.facts.rootless && uid != 0) {
        return Writer::Caller;
    }
    if asked.engine.facts.rootless {
        return Writer::None("this engine maps you to root in a box, which no program is to be (podman can do it)");
    }
    // What the user said comes first: a level that gives less must not free the place for it.
    let rank = |wish: &&Wish<'_>| match wish.why {
        Reason::Grant { .. } => 0,
        Reason::Answer => 1,
        _ => 2,
    };
    match wishes.iter().filter(|wish| wish.write && wish.found.owner.0 != 0).min_by_key(rank) {
        Some(wish) => Writer::Owner(wish.found.owner.0),
        None => Writer::None("it belongs to root, who no program is to be (give it to another user, with chown)"),
    }
}

fn may_write(wish: &Wish<'_>, writer: &Writer) -> Result<(), String> {
    if !wish.meant && guard::covers(&wish.found.real) {
        return Err("what is there is run or believed outside of boxes".into());
    }
    match *writer {
        Writer::Caller => Ok(()),
        Writer::None(why) => Err(why.into()),
        Writer::Owner(uid) if uid == wish.found.owner.0 => Ok(()),
        Writer::Owner(uid) => {
            Err(format!("it belongs to user {} and not to {uid}, who the program is", wish.found.owner.0))
        }
    }
}

/// As whom the program runs. Files that the user may read are readable inside only if it is
/// them; without mounts it is nobody at all.
pub fn user(asked: &Asked<'_>, mounts: &Mounts) -> User {
    let (uid, gid) = asked.ids;
    if mounts.mounts.is_empty() {
        User::Nobody
    } else if asked.engine.maps_user() {
        User::Mapped
    } else if !asked.engine.facts.rootless && uid != 0 {
        User::Caller { uid, gid }
    } else {
        // Never root, not even where it would be the caller: whoever owns what it may change.
        let ids = asked.granted.iter().filter_map(|g| g.found.as_ref()).chain(&asked.paths).chain(&asked.here);
        let written = |found: &&Found| mounts.mounts.iter().any(|m| m.mount.writable && m.id == found.id);
        match ids.filter(written).find(|found| found.owner.0 != 0 && !asked.engine.facts.rootless) {
            Some(Found { owner: (uid, 0), .. }) => User::Caller { uid: *uid, gid: crate::plan::BOX_ID },
            Some(Found { owner: (uid, gid), .. }) => User::Caller { uid: *uid, gid: *gid },
            None => User::Nobody,
        }
    }
}

/// Leaves out what an outer mount has anyway. A path that leads out of an outer one through a
/// link is mounted where the link leads.
fn collapse(mut wishes: Vec<Wish<'_>>) -> Vec<Wish<'_>> {
    let inside = |path: &Path, outer: &Path| path != outer && path.starts_with(outer);
    let outer: Vec<(PathBuf, PathBuf, bool)> =
        wishes.iter().map(|w| (w.found.asked.clone(), w.found.real.clone(), w.write)).collect();
    wishes.retain_mut(|wish| {
        let Found { asked, real, .. } = wish.found;
        let around = || outer.iter().filter(|(outer, ..)| inside(asked, outer));
        let is_there = |(outer, of, _): &&(PathBuf, PathBuf, bool)| {
            asked.strip_prefix(outer).is_ok_and(|rest| of.join(rest) == *real)
        };
        if around().any(|one| !is_there(&one)) {
            real.clone_into(&mut wish.target);
        }
        let meant = wish.meant && guard::covers(real);
        meant || !around().any(|one| is_there(&one) && (one.2 || !wish.write))
    });
    wishes.sort_by(|a, b| (&a.target, b.write, b.meant).cmp(&(&b.target, a.write, a.meant)));
    wishes.dedup_by(|later, first| later.target == first.target);
    wishes
}

fn add_guards(asked: &Asked<'_>, wish: &Wish<'_>, done: &mut Mounts) -> Result<(), String> {
    let guards = (asked.guards)(&wish.found.real)?;
    let (real, target) = (&wish.found.real, &wish.target);
    for one in guards.present {
        let mount = Mount { source: real.join(&one.path), target: target.join(&one.path), writable: one.writable };
        done.mounts.push(Mounted { mount, why: Reason::Guarded, id: one.id });
    }
    done.watched.extend(guards.absent.into_iter().map(|path| real.join(path)));
    Ok(())
}

//! OSV's entries on this machine: a folder with what is in the `all.zip` of an ecosystem
//! (<https://google.github.io/osv.dev/data/>), or folders `npm` and `PyPI` of that kind.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::entry::{Entry, ecosystem};
use super::{Asked, Hit};
use crate::error::{Error, Result};
use crate::package::Ecosystem;

/// What decides whether an entry is read whole: there are hundreds of thousands.
#[derive(Deserialize)]
struct Brief<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    affected: Option<Vec<BriefAffected<'a>>>,
}

#[derive(Deserialize)]
struct BriefAffected<'a> {
    #[serde(borrow)]
    package: Option<BriefPackage<'a>>,
}

#[derive(Deserialize)]
struct BriefPackage<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// What the entries of `folder` say about these packages. A folder without any is refused: whoever names one wants
/// to be told.
pub fn look(folder: &Path, of: Ecosystem, asked: &[Asked]) -> Result<Vec<Hit>> {
    let refused = |why: &dyn std::fmt::Display| {
        Error::refused(format!("the malware database `{}` can't be used", folder.display()))
            .because(why)
            .hint("it has to be a folder with OSV's entries, or with such folders `npm` and `PyPI`")
            .hint("or take `osv` out of [packages] in jitbox's config.toml")
    };
    let own = folder.join(ecosystem(of));
    let dir = if own.is_dir() { own } else { folder.to_owned() };
    let files: Vec<PathBuf> = std::fs::read_dir(&dir)
        .map_err(|e| refused(&e))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let all = files.chunks(files.len().div_ceil(threads).max(1));
        let threads: Vec<_> = all.map(|files| scope.spawn(|| part(files, of, asked))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    if parts.iter().map(|part| part.read).sum::<usize>() == 0 {
        return Err(refused(&"there is no entry in it"));
    }
    let mut hits: Vec<Hit> = parts.into_iter().flat_map(|part| part.hits).collect();
    hits.sort_by(|a, b| (&a.asked, &a.id).cmp(&(&b.asked, &b.id)));
    Ok(hits)
}

/// What some of the files say, and how many of them are entries.
struct Part {
    hits: Vec<Hit>,
    read: usize,
}

fn part(files: &[PathBuf], of: Ecosystem, asked: &[Asked]) -> Part {
    let mut part = Part { hits: Vec::new(), read: 0 };
    for path in files {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let Ok(brief) = serde_json::from_slice::<Brief<'_>>(&bytes) else { continue };
        part.read += usize::from(!brief.id.is_empty());
        let is_named = |asked: &&Asked| {
            let packages = brief.affected.iter().flatten().filter_map(|affected| affected.package.as_ref());
            packages.into_iter().any(|package| package.name == asked.name)
        };
        let named: Vec<&Asked> = asked.iter().filter(is_named).collect();
        let Some(entry) = (!named.is_empty()).then(|| serde_json::from_slice::<Entry>(&bytes).ok()).flatten() else {
            continue;
        };
        if entry.is_withdrawn() {
            continue;
        }
        let hit = |asked: &Asked| Hit { asked: asked.clone(), id: entry.id.clone(), entry: Some(entry.clone()) };
        let affected = named.into_iter().filter(|asked| entry.affects(of, &asked.name, &asked.version));
        part.hits.extend(affected.map(hit));
    }
    part
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;

//! Packages that are in no registry: a commit or an archive is fetched here, or read on this machine, checked
//! against its own description, and made into one file that goes into the box. Nothing of it runs.

pub mod local;
pub mod npm;
pub mod pypi;

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use url::Url;

use super::auth::{Credentials, Realm};
use super::git::{self, Access};
use super::http::{Client, host_of};
use super::netrc;
use super::pack::{Entry, EntryKind};
use super::settings::{Proxies, Remarks, read_settings_file};
use super::trust::Trust;
use crate::context::Context;
use crate::digest;
use crate::error::{Doing, Error, Kind, Result};
use crate::package::Ecosystem;
use crate::package::source::{PinnedSource, Source};

/// What an archive may unpack to.
const MAX_UNPACKED: u64 = 512 << 20;
/// Files in an archive.
const MAX_ENTRIES: usize = 200_000;

/// A file made for a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its name, which is plain enough for every place that it is used in.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// What a source had.
struct Fetched {
    source: PinnedSource,
    content: Content,
}

enum Content {
    /// The files of a commit or a folder.
    Files(Vec<Entry>),
    /// An archive as it is.
    Archive(Vec<u8>),
}

/// Fetches sources.
pub struct Sourcing<'a> {
    context: &'a Context,
    client: Client,
    proxies: Proxies,
}

impl<'a> Sourcing<'a> {
    /// With the user's authorities, proxies and `~/.netrc`.
    pub fn new(context: &'a Context, trust: &Trust) -> Self {
        Self { context, client: Client::for_archives(trust), proxies: Proxies::from_env(&context.env) }
    }

    fn fetch(&self, source: &Source, ecosystem: Ecosystem) -> Result<Fetched> {
        match source {
            Source::Git(place) => {
                let credentials = self.login(&place.repository);
                let access = Access { client: &self.client, credentials: &credentials, proxies: &self.proxies };
                let commit = git::resolve(&access, place, ecosystem)?;
                let files = git::files(&access, &place.repository, &commit)?;
                let (repository, subdirectory) = (place.repository.clone(), place.subdirectory.clone());
                let source = PinnedSource::Git { repository, commit, subdirectory };
                Ok(Fetched { source, content: Content::Files(files) })
            }
            Source::Archive(url) => {
                let credentials = self.login(url);
                let access = Access { client: &self.client, credentials: &credentials, proxies: &self.proxies };
                let answer = self.client.get(&access.get(url, "*/*")).map_err(|e| explain(e, url))?;
                let hash = match ecosystem {
                    Ecosystem::Npm => digest::integrity(&answer.body),
                    Ecosystem::Pypi => format!("sha256:{}", digest::full(&answer.body)),
                };
                let source = PinnedSource::Archive { url: url.clone(), hash };
                Ok(Fetched { source, content: Content::Archive(answer.body) })
            }
            Source::Local(package) => {
                let content = local::fetch(package)?;
                let url = Url::from_file_path(&package.path)
                    .map_err(|()| Error::failed(format!("`{}` is no absolute path", package.path)))?;
                let hash = format!("sha256:{}", package.content);
                Ok(Fetched { source: PinnedSource::Archive { url, hash }, content })
            }
            Source::Typed(typed) => Err(Error::failed(format!("`{}` was not looked at", typed.text))),
        }
    }

    /// The login that `~/.netrc` has for this host by its name; none where it could be read on
    /// its way.
    fn login(&self, url: &Url) -> Credentials {
        let mut credentials = Credentials::default();
        if url.scheme() != "https" {
            return credentials;
        }
        let file = self.context.env.get("NETRC").map_or_else(|| self.context.home.join(".netrc"), Into::into);
        let text = read_settings_file(&file, &mut Remarks::default()).unwrap_or_default();
        let login = netrc::parse(&text).into_iter().find(|login| login.machine.as_deref() == url.host_str());
        if let (Some(login), Some(realm)) = (login, Realm::of(url)) {
            credentials.add(realm.whole_host(), login.auth);
        }
        credentials
    }
}

/// What is to be done about a folder of this machine, in the place of what one does about a repository.
fn advised(error: Error, source: &Source, kind: Kind, hint: &str) -> Error {
    match source {
        Source::Local(_) if error.kind == kind => Error { hints: vec![hint.to_owned()], ..error },
        _ => error,
    }
}

fn explain(error: Error, url: &Url) -> Error {
    match error.kind {
        Kind::NotFound => Error::not_found(format!("there is nothing at {url}")).hint("check the address"),
        Kind::Refused => error.hint(format!("put a login for {} into ~/.netrc", host_of(url))),
        _ => error,
    }
}

/// The files of a `.tar.gz`, without the folder that all of them are in.
fn unpack(bytes: &[u8], what: &str) -> Result<Vec<Entry>> {
    let broken = |why: &dyn std::fmt::Display| Error::failed(format!("{what} is not a .tar.gz archive")).because(why);
    let mut archive = tar::Archive::new(GzDecoder::new(bytes).take(MAX_UNPACKED));
    let mut entries = Vec::new();
    for entry in archive.entries().map_err(|e| broken(&e))? {
        let mut entry = entry.map_err(|e| broken(&e))?;
        let kind = entry.header().entry_type();
        if !kind.is_file() {
            continue;
        }
        let path = String::from_utf8(entry.path_bytes().into_owned()).map_err(|e| broken(&e))?;
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let Some((_, inner)) = parts.split_first().filter(|(_, inner)| !inner.is_empty()) else { continue };
        if inner.contains(&"..") || entries.len() >= MAX_ENTRIES {
            return Err(broken(&"its files are not below its folder, or are too many"));
        }
        let program = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(|e| broken(&e))?;
        let kind = if program { EntryKind::Program } else { EntryKind::File };
        entries.push(Entry { path: inner.join("/"), kind, data });
    }
    if entries.is_empty() {
        return Err(broken(&"there are no files in it"));
    }
    Ok(entries)
}

/// A `.tar.gz` of files in the folder `top`; the same files always make the same archive.
fn pack(entries: &[Entry], top: &str, links: bool) -> Result<Vec<u8>> {
    let doing = || "can't pack the files".to_owned();
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_mode(if entry.kind == EntryKind::File { 0o644 } else { 0o755 });
        let path = format!("{top}/{}", entry.path);
        if entry.kind == EntryKind::Link {
            let target = String::from_utf8_lossy(&entry.data).into_owned();
            if links && !target.is_empty() {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, path, target).doing(doing)?;
            }
            continue;
        }
        header.set_size(entry.data.len() as u64);
        tar.append_data(&mut header, path, entry.data.as_slice()).doing(doing)?;
    }
    let mut gzip = tar.into_inner().doing(doing)?;
    gzip.flush().doing(doing)?;
    gzip.finish().doing(doing)
}

fn find<'a>(entries: &'a [Entry], path: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.path == path && entry.kind != EntryKind::Link)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: EntryKind, data: &str) -> Entry {
        Entry { path: path.into(), kind, data: data.into() }
    }

    #[test]
    fn what_is_packed_is_unpacked_the_same() {
        let long = format!("{}/x.js", "deep/".repeat(40).trim_end_matches('/'));
        let entries = [entry("a.js", EntryKind::File, "1"), entry(&long, EntryKind::Program, "2")];
        let bytes = pack(&entries, "package", false).unwrap();
        assert_eq!(unpack(&bytes, "it").unwrap(), entries);
        assert_eq!(pack(&entries, "package", false).unwrap(), bytes, "nothing of the time or the user is in it");
    }

    #[test]
    fn links_and_what_leads_out_stay_behind() {
        let link = [entry("l", EntryKind::Link, "/etc/passwd"), entry("f", EntryKind::File, "")];
        let names: Vec<_> =
            unpack(&pack(&link, "p", true).unwrap(), "it").unwrap().into_iter().map(|e| e.path).collect();
        assert_eq!(names, ["f"]);
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..10].copy_from_slice(b"p/../../ev");
        header.set_size(0);
        header.set_cksum();
        tar.append(&header, &[][..]).unwrap();
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        assert!(unpack(&bytes, "it").is_err());
        assert!(unpack(b"<html>", "it").is_err());
    }
}

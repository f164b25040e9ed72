//! What npm, uv and the engine say while a box is made, for the attempt's log.

use std::cell::RefCell;

use super::making::Sources;

/// What was said, in its order.
#[derive(Debug, Default)]
pub struct Words(RefCell<String>);

impl Words {
    /// Adds what was said in one step. Whoever fetches knows the user's logins, and may repeat them.
    pub fn add(&self, step: &str, said: &[u8], sources: &Sources) {
        let said = String::from_utf8_lossy(said);
        if said.trim().is_empty() {
            return;
        }
        let said = secrets(sources).iter().fold(said.trim_end().to_owned(), |said, secret| said.replace(secret, "***"));
        let mut all = self.0.borrow_mut();
        all.push_str(&format!("== {step}\n{said}\n"));
    }

    /// All of it.
    pub fn all(&self) -> Vec<u8> {
        self.0.borrow().clone().into_bytes()
    }
}

/// The user's logins: what stands behind `_authToken=` and the like in an npmrc, and behind `password` in a netrc; a
/// proxy's user with the password.
fn secrets(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    for line in sources.secret.iter().flat_map(|text| text.lines()) {
        if let Some((_, value)) = line.split_once('=') {
            found.push(value.trim().trim_matches('"').to_owned());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        found.extend(words.windows(2).filter(|pair| pair[0] == "password").map(|pair| pair[1].to_owned()));
    }
    for (_, value) in &sources.proxy {
        let login = value.expose().split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
        found.extend(login.map(|(login, _)| login.to_owned()));
    }
    // An address is no secret, and neither is `true`; longer ones first, since one may begin like another.
    found.retain(|secret| secret.len() > 5 && !secret.starts_with("http"));
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    found
}

/// How many lines of a complaint are shown, and how much of each.
const SHOWN: usize = 4;
const WIDTH: usize = 200;

/// What went wrong, as one readable line: what npm and uv call an error, wherever the engine's own words are; without
/// any, the last words.
pub fn complaint(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<String> = said.lines().map(bare).filter(|line| !line.is_empty()).collect();
    let of_tools = |line: &String| {
        let error = line.strip_prefix("npm error").or_else(|| line.strip_prefix("error:"))?.trim();
        let says_something = !error.is_empty() && !error.starts_with("A complete log of this run");
        says_something.then(|| error.to_owned())
    };
    let mut shown: Vec<String> = lines.iter().filter_map(of_tools).take(SHOWN).collect();
    if shown.is_empty() {
        shown = lines[lines.len().saturating_sub(SHOWN)..].to_vec();
    }
    let cut = |line: String| {
        if line.chars().count() > WIDTH { line.chars().take(WIDTH).chain(['…']).collect() } else { line }
    };
    shown.into_iter().map(cut).collect::<Vec<_>>().join("; ")
}

/// Whether npm or uv says that a file has not the hash that the lock has.
pub fn is_about_hashes(said: &[u8]) -> bool {
    let said = String::from_utf8_lossy(said);
    ["EINTEGRITY", "integrity checksum failed", "Hash mismatch"].iter().any(|words| said.contains(words))
}

/// A line without colours (ECMA-48, control sequences).
fn bare(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let sequence = part.strip_prefix('[').map(|rest| rest.trim_start_matches(|c: char| !c.is_ascii_alphabetic()));
        text.push_str(sequence.map_or(part, |rest| rest.get(1..).unwrap_or_default()));
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_of_tools_come_before_engines() {
        let said = b"Unable to x\n\x1b[91mnpm error code EINTEGRITY\n\x1b[0m\x1b[91mnpm error sha512-x integrity checksum failed\n\x1b[0m\
            npm error A complete log of this run can be found in: /tmp/x\ntime=\"now\" level=warning\n";
        assert_eq!(complaint(said), "code EINTEGRITY; sha512-x integrity checksum failed");
        assert!(is_about_hashes(said));
        assert_eq!(complaint(b"a\nb\n\n\x1b[1mc\x1b[0m\n#1 d\ne"), "b; c; #1 d; e");
        assert_eq!(complaint(b"error: no such index\n  hint: x\n"), "no such index");
        assert!(complaint("\u{1b}".repeat(9).as_bytes()).is_empty());
        assert_eq!(complaint(&[b'x'; 999]).chars().count(), WIDTH + 1);
    }
    use crate::registry::auth::Secret;

    #[test]
    fn logins_are_left_out() {
        let npmrc = "registry=https://r.example/\n//r.example/:_authToken=npm_abcdef\n//r.example/:always=true\n";
        let netrc = "machine r.example login me password hunter22\n";
        for secret in [npmrc, netrc] {
            let sources = Sources {
                public: String::new(),
                secret: Some(secret.to_owned()),
                proxy: vec![("HTTPS_PROXY", Secret::new("http://me:secret@proxy.example:3128"))],
                ca: Vec::new(),
            };
            let words = Words::default();
            words.add("lock", b" \n", &sources);
            assert!(words.all().is_empty());
            words.add(
                "lock",
                b"GET https://r.example/ npm_abcdef hunter22 via http://me:secret@proxy.example\n",
                &sources,
            );
            let said = String::from_utf8(words.all()).unwrap();
            assert!(said.starts_with("== lock\nGET https://r.example/ "), "{said}");
            assert!(said.ends_with("via http://***@proxy.example\n"), "{said}");
            let (own, other) = if secret == npmrc { ("npm_abcdef", "hunter22") } else { ("hunter22", "npm_abcdef") };
            assert!(!said.contains(own) && said.contains(other), "{said}");
        }
    }
}

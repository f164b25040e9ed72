//! What npm, uv and the engine say while a box is made, for the attempt's log.

use std::cell::RefCell;

use super::build::Sources;

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

#[cfg(test)]
mod tests {
    use super::*;
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

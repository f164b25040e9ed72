//! What is asked about packages before a box is made of them, and what the user accepts of the answers.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};
use url::Url;

/// OSV's own service (<https://google.github.io/osv.dev/api/>).
const SERVICE: &str = "https://api.osv.dev";

/// Who is asked what is known against packages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Osv {
    /// A service that speaks OSV's protocol; ends with a slash.
    Service(Url),
    /// A folder with OSV's entries as JSON files.
    Folder(PathBuf),
    /// Nobody.
    Off,
}

impl Default for Osv {
    fn default() -> Self {
        service(SERVICE).map_or(Self::Off, Self::Service)
    }
}

impl TryFrom<String> for Osv {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        if Path::new(&text).is_absolute() {
            return Ok(Self::Folder(text.into()));
        }
        let why = || format!("`{text}` is not \"off\", the absolute path of a folder, or like \"{SERVICE}\"");
        service(&text).map(Self::Service).ok_or_else(why)
    }
}

fn service(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let login = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || login || url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Some(url)
}

/// Names of vulnerabilities (`GHSA-…`, `CVE-…`), and packages as `npm:NAME` or `pypi:NAME`.
pub fn accepted<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<String>::deserialize(from)?;
    match all.iter().find_map(|text| refusal(text)) {
        Some(why) => Err(de::Error::custom(why)),
        None => Ok(all),
    }
}

fn refusal(text: &str) -> Option<String> {
    if text.starts_with("MAL-") {
        return Some(format!("`{text}` is malware, which can't be accepted; osv = \"off\" asks nobody"));
    }
    let plain = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let name = text.strip_prefix("npm:").or_else(|| text.strip_prefix("pypi:"));
    let known = match name {
        Some(name) => plain(name) && !name.trim_start_matches('@').contains(['@', '=']),
        None => text.contains('-') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
    };
    (!known).then(|| format!("`{text}` is neither a vulnerability, like \"GHSA-…\", nor a package, like \"npm:NAME\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_to_ask() {
        let osv = |text: &str| Osv::try_from(text.to_owned());
        assert_eq!(osv("off"), Ok(Osv::Off));
        assert_eq!(osv("/srv/osv"), Ok(Osv::Folder("/srv/osv".into())));
        assert_eq!(osv("https://api.osv.dev"), Ok(Osv::default()));
        assert!(matches!(osv("http://127.0.0.1:8080/osv"), Ok(Osv::Service(url)) if url.path() == "/osv/"));
        for wrong in ["", "on", "osv", "./osv", "ftp://h/", "https://u:p@h/", "https://h/?k=1"] {
            assert!(osv(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mistakes_name_the_line() {
        let parse = crate::config::Config::parse;
        assert_eq!(parse("[packages]\nosv = \"off\"").unwrap().packages.osv, Osv::Off);
        for (text, word) in
            [("osv = \"on\"", "off"), ("accept = [\"MAL-2025-1\"]", "malware"), ("accept = [\"a\"]", "GHSA")]
        {
            let why = parse(&format!("[packages]\n{text}")).unwrap_err();
            assert!(why.contains("line 2") && why.contains(word), "{text}: {why}");
        }
    }

    #[test]
    fn what_can_be_accepted() {
        for good in ["GHSA-93q8-gq69-wqmw", "CVE-2021-3807", "PYSEC-2024-1", "npm:@a/b", "pypi:x"] {
            assert_eq!(refusal(good), None, "{good}");
        }
        for bad in ["", "MAL-2025-1", "left-pad@1", "npm:", "npm:a@1", "x", "a b-c", "npm:a b"] {
            assert!(refusal(bad).is_some(), "{bad}");
        }
    }
}

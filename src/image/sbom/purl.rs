//! Package URLs (<https://github.com/package-url/purl-spec>).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::image::tree::Package;
use crate::package::Ecosystem;
use crate::package::source::PinnedSource;
use crate::registry::public;

/// What stands as it is in every part of one.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Behind the question mark a slash divides nothing.
fn qualifier(name: &str, value: &str) -> String {
    format!("?{name}={}", encoded(value).replace("%2F", "/"))
}

/// A package's. One that is in no registry has its source in it, if anybody may know that, and else is `generic`:
/// the registry may have another package of its name.
pub fn purl(ecosystem: Ecosystem, package: &Package) -> String {
    let source = match &package.source {
        Some(PinnedSource::Git { repository, commit, .. }) if public::is_told(repository) => {
            Some(qualifier("vcs_url", &format!("git+{repository}@{commit}")))
        }
        Some(PinnedSource::Archive { url, .. }) if public::is_told(url) => {
            Some(qualifier("download_url", url.as_str()))
        }
        _ => None,
    };
    let kind = match (package.is_own, &source) {
        (true, None) => "generic".to_owned(),
        _ => ecosystem.to_string(),
    };
    let name: Vec<String> = package.name.split('/').map(encoded).collect();
    format!("pkg:{kind}/{}@{}{}", name.join("/"), encoded(&package.version), source.unwrap_or_default())
}

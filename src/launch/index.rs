//! The value of `--registry` and `--default-index`.

use ureq::http::Uri;

use crate::error::{Error, Result};
use crate::package::shown;

/// Takes an http or https URL with a host and nothing secret in it. It is parsed as the HTTP
/// client will parse it, so that both see the same host.
pub fn parse(option: &str, value: &str) -> Result<String> {
    let value = value.trim();
    let bad = |why: &str| {
        Error::usage(format!("`{option}` needs the URL of a registry"))
            .because(why)
            .hint(format!("write `{option} https://registry.example/path/`"))
    };
    let uri: Uri = value.parse().map_err(|_| bad(&format!("`{}` is not a URL", shown(value))))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(bad("it has to start with https:// or http://"));
    }
    let authority = uri.authority().map_or("", |a| a.as_str());
    if authority.contains('@') {
        return Err(Error::refused(format!(
            "the URL of `{option}` has credentials in it, which every process could read"
        ))
        .hint("put them into ~/.npmrc or ~/.netrc, and give the URL without them"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    if uri.query().is_some() || value.contains('#') {
        return Err(bad("it can't have a `?` or `#` part"));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn plain_urls_are_taken_as_typed() {
        for url in [
            "https://registry.example/",
            "http://127.0.0.1:4873",
            "https://[::1]:8443/npm/",
            "https://a.example/artifactory/api/npm/x",
        ] {
            assert_eq!(parse("--registry", url).as_deref(), Ok(url));
        }
    }

    #[test]
    fn others_are_refused_and_secrets_not_repeated() {
        for url in [
            "registry.example",
            "ftp://x/",
            "file:///etc",
            "https://",
            "https:///x",
            "",
            "https://h/?token=secret",
            "https://h\\@evil/",
            "https://h /",
            "https://${HOST}/",
            "https://h/#secret",
        ] {
            let error = parse("--registry", url).unwrap_err();
            assert!(!format!("{error}{:?}", error.hints).contains("secret"), "{error}");
        }
        let error = parse("--registry", "https://me:secret@h/").unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(!format!("{error}").contains("secret"));
    }
}

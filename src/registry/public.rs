//! Addresses that everybody knows: the public registries, and the places where open source is kept. What is in
//! a registry of the user's own, down to the names of its packages, is nobody else's to know.

use url::Url;

/// npm's and PyPI's own, and the second name that npm's goes by.
const REGISTRIES: [&str; 4] = ["registry.npmjs.org", "registry.yarnpkg.com", "pypi.org", "files.pythonhosted.org"];

/// Where open source is kept.
const FORGES: [&str; 6] =
    ["github.com", "codeload.github.com", "gitlab.com", "bitbucket.org", "codeberg.org", "git.sr.ht"];

/// Whether the address is the public registry's.
pub fn is_registry(url: &Url) -> bool {
    is_at(url, &REGISTRIES)
}

/// Whether the address may be told to others: a public place, with nothing in it that could be a login.
pub fn is_told(url: &Url) -> bool {
    is_at(url, &REGISTRIES) || is_at(url, &FORGES)
}

fn is_at(url: &Url, hosts: &[&str]) -> bool {
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let host = url.host_str().is_some_and(|host| hosts.contains(&host));
    plain && host && url.scheme() == "https" && url.port().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_places_without_logins_are_told() {
        let told = |text: &str| is_told(&Url::parse(text).unwrap());
        for public in [
            "https://registry.npmjs.org/a/-/a-1.0.0.tgz",
            "https://files.pythonhosted.org/packages/x.whl",
            "https://github.com/o/r.git",
        ] {
            assert!(told(public), "{public}");
        }
        for private in [
            "https://npm.acme.example/a.tgz",
            "https://registry.npmjs.org.acme.example/a.tgz",
            "https://me:secret@registry.npmjs.org/a.tgz",
            "https://me@github.com/o/r",
            "https://github.com/o/r/archive.tar.gz?token=secret",
            "https://registry.npmjs.org:8443/a.tgz",
            "http://registry.npmjs.org/a.tgz",
            "file:///home/me/a.tgz",
        ] {
            assert!(!told(private), "{private}");
        }
        assert!(!is_registry(&Url::parse("https://github.com/o/r").unwrap()));
        assert!(is_registry(&Url::parse("https://pypi.org/simple").unwrap()));
    }
}

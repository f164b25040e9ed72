//! Image registries: what is there under a name now, without fetching it (OCI distribution specification, "Pulling
//! manifests"). Only what everybody may read; what needs a login, the engine knows how to fetch.

use serde::Deserialize;
use url::Url;

use super::auth::{Auth, Credentials, Realm, Secret};
use super::http::{Client, Get, host_of};
use super::settings::Proxies;
use crate::digest;
use crate::error::{Doing, Error, Kind, Result};

/// A list of what there is for several platforms first: engines remember its digest.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

/// Docker Hub is known by this name, and reached by another.
const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Registries that want a token from everybody, and hand one out to everybody.
const TOKENS: [(&str, &str); 2] = [
    ("docker.io", "https://auth.docker.io/token?service=registry.docker.io"),
    ("ghcr.io", "https://ghcr.io/token?service=ghcr.io"),
];

/// An image's name in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    registry: &'a str,
    repository: String,
    tag: &'a str,
}

impl<'a> Name<'a> {
    /// Reads a name as docker does (<https://github.com/distribution/reference>).
    fn of(image: &'a str) -> Self {
        let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (registry, rest) = match image.split_once('/') {
            Some((host, rest)) if is_host(host) => (host, rest),
            _ => (HUB.0, image),
        };
        let (repository, tag) = rest.rsplit_once(':').unwrap_or((rest, "latest"));
        let official = registry == HUB.0 && !repository.contains('/');
        let repository = if official { format!("library/{repository}") } else { repository.to_owned() };
        Self { registry, repository, tag }
    }

    fn manifest(&self) -> Result<Url> {
        let host = if self.registry == HUB.0 { HUB.1 } else { self.registry };
        let name = host.split(':').next().unwrap_or_default();
        // As engines do it: nobody is in between.
        let scheme = if matches!(name, "localhost" | "127.0.0.1") { "http" } else { "https" };
        let address = format!("{scheme}://{host}/v2/{}/manifests/{}", self.repository, self.tag);
        Url::parse(&address).doing(|| format!("`{host}` is no registry's name"))
    }
}

/// The digest of what the registry has under an image's name.
pub fn digest(client: &Client, proxies: &Proxies, image: &str) -> Result<String> {
    if let Some((_, digest)) = image.split_once('@') {
        return Ok(digest.to_owned());
    }
    let name = Name::of(image);
    let url = name.manifest()?;
    let mut credentials = Credentials::default();
    if let (Some(token), Some(realm)) = (token(client, proxies, &name)?, Realm::of(&url)) {
        credentials.add(realm, token);
    }
    let answer = client.get(&Get { url: &url, accept: ACCEPT, credentials: &credentials, proxies });
    let answer = answer.map_err(|error| match error.kind {
        Kind::NotFound => Error::not_found(format!("{} has no `{image}`", host_of(&url))),
        _ => error,
    })?;
    Ok(format!("sha256:{}", digest::full(&answer.body)))
}

fn token(client: &Client, proxies: &Proxies, name: &Name<'_>) -> Result<Option<Auth>> {
    #[derive(Deserialize)]
    struct Token {
        token: String,
    }
    let Some((_, address)) = TOKENS.iter().find(|(registry, _)| *registry == name.registry) else { return Ok(None) };
    let address = format!("{address}&scope=repository:{}:pull", name.repository);
    let url = Url::parse(&address).doing(|| format!("`{}` is no registry's name", name.registry))?;
    let get = Get { url: &url, accept: "application/json", credentials: &Credentials::default(), proxies };
    let token: Token =
        serde_json::from_slice(&client.get(&get)?.body).doing(|| format!("{} gives no token", host_of(&url)))?;
    Ok(Some(Auth::Bearer(Secret::new(token.token))))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Server, answer, client};
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let read = |image| {
            let name = Name::of(image);
            (
                name.registry.to_owned(),
                name.repository.clone(),
                name.tag.to_owned(),
                name.manifest().unwrap().to_string(),
            )
        };
        for (image, registry, repository, tag, url) in [
            ("node:24", "docker.io", "library/node", "24", "https://registry-1.docker.io/v2/library/node/manifests/24"),
            (
                "docker.io/library/node",
                "docker.io",
                "library/node",
                "latest",
                "https://registry-1.docker.io/v2/library/node/manifests/latest",
            ),
            ("me/node:a", "docker.io", "me/node", "a", "https://registry-1.docker.io/v2/me/node/manifests/a"),
            ("ghcr.io/a/b/c:1", "ghcr.io", "a/b/c", "1", "https://ghcr.io/v2/a/b/c/manifests/1"),
            ("r.example:5000/n", "r.example:5000", "n", "latest", "https://r.example:5000/v2/n/manifests/latest"),
            ("localhost:5000/n:1", "localhost:5000", "n", "1", "http://localhost:5000/v2/n/manifests/1"),
        ] {
            assert_eq!(read(image), (registry.into(), repository.into(), tag.into(), url.into()), "{image}");
        }
    }

    #[test]
    fn the_digest_is_that_of_the_manifest() {
        let server = Server::start(|line, _| match line.contains("/v2/n/manifests/1 ") {
            true => answer("200 OK", "content-type: application/vnd.oci.image.index.v1+json\r\n", "{}"),
            false => answer("404 Not Found", "", ""),
        });
        let host = server.url.strip_prefix("http://").unwrap();
        let found = digest(&client(), &Proxies::default(), &format!("{host}/n:1")).unwrap();
        assert_eq!(found, format!("sha256:{}", digest::full(b"{}")));
        assert!(server.requests()[0].contains("application/vnd.oci.image.index.v1+json"));
        let error = digest(&client(), &Proxies::default(), &format!("{host}/n:2")).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
        let pinned = digest(&client(), &Proxies::default(), "127.0.0.1:1/n@sha256:1").unwrap();
        assert_eq!(pinned, "sha256:1");
    }
}

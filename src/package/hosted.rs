//! Git hosts that npm knows by name, and how it reads their addresses (hosted-git-info,
//! `lib/hosts.js` and `lib/from-url.js`).

use percent_encoding::percent_decode_str;

/// One host.
struct Host {
    /// `github` in `github:owner/repo`.
    shortcut: &'static str,
    domain: &'static str,
    /// Schemes under which an address of this domain is a repository; under others it is a file.
    schemes: &'static [&'static str],
    /// What the repository's address ends with.
    suffix: &'static str,
    layout: Layout,
}

/// What an address's path means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `owner/repo`, perhaps with `tree/branch`.
    Github,
    /// `owner/repo`; with this word as third it is an archive.
    Pair(&'static str),
    /// `group/…/repo`.
    Groups,
    /// `id` or `owner/id`, of which only `id` counts.
    Gist,
}

const HOSTS: &[Host] = &[
    Host {
        shortcut: "github",
        domain: "github.com",
        schemes: &["git", "http", "git+ssh", "git+https", "ssh", "https"],
        suffix: ".git",
        layout: Layout::Github,
    },
    Host {
        shortcut: "bitbucket",
        domain: "bitbucket.org",
        schemes: &["git+ssh", "git+https", "ssh", "https"],
        suffix: ".git",
        layout: Layout::Pair("get"),
    },
    Host {
        shortcut: "gitlab",
        domain: "gitlab.com",
        schemes: &["git+ssh", "git+https", "ssh", "https"],
        suffix: ".git",
        layout: Layout::Groups,
    },
    Host {
        shortcut: "gist",
        domain: "gist.github.com",
        schemes: &["git", "git+ssh", "git+https", "ssh", "https"],
        suffix: ".git",
        layout: Layout::Gist,
    },
    Host {
        shortcut: "sourcehut",
        domain: "git.sr.ht",
        schemes: &["git+ssh", "https"],
        suffix: "",
        layout: Layout::Pair("archive"),
    },
];

/// A repository of a known host.
#[derive(Debug, PartialEq, Eq)]
pub struct Hosted {
    /// Its https address, which npm tries first even for an address that says ssh. `None` if no
    /// repository can be called so.
    pub repository: Option<String>,
    /// What follows the `#`, or the branch of `…/tree/branch`.
    pub committish: String,
    /// The address has a password, or a name for something other than ssh.
    pub login: bool,
}

/// Reads `spec` if it names a repository of a known host.
pub fn read(spec: &str) -> Option<Hosted> {
    let (body, hash) = spec.split_once('#').unwrap_or((spec, ""));
    let hash = percent_decode_str(hash).decode_utf8().ok()?;
    if is_shorthand(body) {
        return Some(shortcut(&HOSTS[0], body, &hash));
    }
    let (scheme, rest) = body.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    if let Some(host) = HOSTS.iter().find(|h| h.shortcut == scheme) {
        return Some(shortcut(host, rest, &hash));
    }
    // `git@host:path` is ssh, too.
    let (scheme, rest) = match rest.strip_prefix("//") {
        Some(rest) => (scheme.as_str(), rest),
        None if scheme.contains('@') => ("ssh", body),
        None => return None,
    };
    let (authority, path) = split_authority(rest, scheme.ends_with("ssh"))?;
    let (user, domain) = authority.rsplit_once('@').unwrap_or(("", authority));
    let domain = domain.to_ascii_lowercase();
    let domain = domain.strip_prefix("www.").unwrap_or(&domain);
    let host = HOSTS.iter().find(|h| h.domain == domain && h.schemes.contains(&scheme))?;
    let login = user.contains(':') || !(user.is_empty() || scheme.ends_with("ssh"));
    let path = path.split('?').next().unwrap_or(path);
    let (project, branch) = extract(host.layout, path)?;
    let committish = branch.map_or_else(|| hash.into_owned(), str::to_owned);
    Some(Hosted { repository: address(host, &project), committish, login })
}

/// `owner/repo` without a scheme, on the host that is meant then.
fn is_shorthand(path: &str) -> bool {
    path.split_once('/').is_some_and(|(owner, repo)| {
        !owner.is_empty() && !repo.is_empty() && !repo.contains('/') && !path.starts_with('.')
    }) && !path.contains([':', '@', '\\'])
        && !path.contains(char::is_whitespace)
}

/// What follows `github:`. npm ignores a login in it, and so nothing is lost by refusing one.
fn shortcut(host: &Host, path: &str, hash: &str) -> Hosted {
    let path = path.strip_suffix(".git").unwrap_or(path);
    // A gist has its number for a name; whose it is does not count.
    let project = if host.layout == Layout::Gist { path.rsplit('/').next().unwrap_or(path) } else { path };
    Hosted { repository: address(host, project), committish: hash.to_owned(), login: false }
}

/// Splits `host/path`; with ssh also `host:path`, if what follows the colon is no port.
fn split_authority(rest: &str, ssh: bool) -> Option<(&str, &str)> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let at = authority.find('@').map_or(0, |i| i + 1);
    match authority[at..].find(':') {
        Some(colon) if ssh && !authority[at + colon + 1..].starts_with(|c: char| c.is_ascii_digit()) => {
            Some((&rest[..at + colon], &rest[at + colon + 1..]))
        }
        // Another port is another server.
        Some(colon) if ssh || &authority[at + colon..] != ":443" => None,
        Some(colon) => Some((&authority[..at + colon], path)),
        None => Some((authority, path)),
    }
}

/// Project and branch of an address's path; `None` if it is no repository's.
fn extract(layout: Layout, path: &str) -> Option<(String, Option<&str>)> {
    let bare = |text: &str| text.strip_suffix(".git").unwrap_or(text).to_owned();
    let mut parts = path.split('/');
    let (first, second, third) = (parts.next()?, parts.next(), parts.next().unwrap_or_default());
    let pair = || Some(format!("{first}/{}", bare(second?)));
    match layout {
        Layout::Github if third == "tree" => Some((pair()?, Some(parts.next().unwrap_or_default()))),
        Layout::Github => (third.is_empty()).then(pair)?.map(|p| (p, None)),
        Layout::Pair(archive) => (third != archive).then(pair)?.map(|p| (p, None)),
        Layout::Groups if path.contains("/-/") || path.contains("/archive.tar.gz") => None,
        Layout::Groups => Some((bare(path), None)),
        Layout::Gist if third == "raw" => None,
        Layout::Gist if second.unwrap_or_default().is_empty() => Some((bare(first), None)),
        Layout::Gist => Some((bare(second?), None)),
    }
}

/// The repository's address, if all of `project` is plain and has as many parts as the host wants.
fn address(host: &Host, project: &str) -> Option<String> {
    let plain = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
    };
    let parts = project.split('/').count();
    let fits = match host.layout {
        Layout::Github | Layout::Pair(_) => parts == 2,
        Layout::Groups => parts >= 2,
        Layout::Gist => parts == 1,
    };
    (fits && project.split('/').all(plain)).then(|| format!("https://{}/{project}{}", host.domain, host.suffix))
}

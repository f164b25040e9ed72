use super::*;
use crate::package::npm::{NpmName, parse_version};
use crate::package::pypi::PypiName;

/// What a line asks for that names these packages.
fn npm_direct(names: &[(&str, &str)]) -> Vec<PinnedPackage> {
    let of = |(name, version): &(&str, &str)| {
        PinnedPackage::npm(&NpmName::parse(name).unwrap(), &parse_version(version).unwrap())
    };
    names.iter().map(of).collect()
}

fn pypi_direct(name: &str, version: &str) -> Vec<PinnedPackage> {
    vec![PinnedPackage::pypi(&PypiName::parse(name).unwrap(), &version.parse().unwrap(), &[])]
}

/// `a 1.0.0 direct: b 2.0.0, c 3.0.0` for each package.
fn shown(tree: &Tree) -> Vec<String> {
    let name = |p: &Package| format!("{} {}", p.name, p.version);
    let of = |p: &Package| {
        let needs: Vec<String> = p.needs.iter().map(|i| name(&tree.packages[*i])).collect();
        format!("{}{}: {}", name(p), if p.is_direct { " direct" } else { "" }, needs.join(", "))
    };
    tree.packages.iter().map(of).collect()
}

const NPM: &str = r#"{"lockfileVersion":3,"packages":{
    "":{"dependencies":{"z":"1.0.0"}},
    "node_modules/z":{"version":"1.0.0","resolved":"https://registry.npmjs.org/z/-/z-1.0.0.tgz","integrity":"sha512-eg==",
        "dependencies":{"a":"^1","@s/b":"^2"},"optionalDependencies":{"not-there":"*"},"peerDependencies":{"p":"*"}},
    "node_modules/a":{"version":"1.1.0","resolved":"https://npm.acme.example/a.tgz","integrity":"sha512-YQ=="},
    "node_modules/p":{"version":"1.0.0","integrity":"sha512-cA==","dependencies":{"a":"^1"}},
    "node_modules/@s/b":{"version":"2.0.0","integrity":"sha512-Yg==","dependencies":{"a":"^2","c":"*"}},
    "node_modules/@s/b/node_modules/a":{"version":"2.0.0","integrity":"sha512-YTI=","dependencies":{"c":"*"}},
    "node_modules/@s/b/node_modules/c":{"version":"3.0.0","integrity":"sha512-Yw==","inBundle":true},
    "node_modules/p/node_modules/c":{"version":"3.0.0","integrity":"sha512-Yw=="}}}"#;

#[test]
fn npms_folders_are_followed_as_node_does() {
    let tree = Tree::read(Ecosystem::Npm, NPM, &npm_direct(&[("z", "1.0.0")])).unwrap();
    assert!(tree.says_needs);
    assert_eq!(
        shown(&tree),
        [
            "z 1.0.0 direct: @s/b 2.0.0, a 1.1.0, p 1.0.0",
            "@s/b 2.0.0: a 2.0.0, c 3.0.0",
            "a 1.1.0: ",
            // It lies inside of @s/b, and so does what it needs.
            "a 2.0.0: c 3.0.0",
            // Twice in the folders, once in the tree.
            "c 3.0.0: ",
            "p 1.0.0: a 1.1.0",
        ]
    );
    let public: Vec<&str> = tree.packages.iter().filter(|p| p.is_public()).map(|p| p.name.as_str()).collect();
    assert_eq!(public, ["z"], "only what is known to be the public registry's");
}

#[test]
fn what_the_line_names_is_direct_only_where_the_line_gets_it() {
    let lock = NPM.replace("\"z\":\"1.0.0\"", "\"a\":\"1.1.0\"");
    let tree = Tree::read(Ecosystem::Npm, &lock, &npm_direct(&[("a", "1.1.0")])).unwrap();
    let direct: Vec<String> = shown(&tree).into_iter().filter(|line| line.contains("direct")).collect();
    assert_eq!(direct, ["a 1.1.0 direct: "]);
}

#[test]
fn files_that_the_box_brings_along_are_no_registrys() {
    let lock = r#"{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"file:archives/0.tgz","integrity":"sha512-x"}}}"#;
    let tree = Tree::read(Ecosystem::Npm, lock, &[]).unwrap();
    assert!(tree.packages[0].is_own && !tree.packages[0].is_public());
    let lock = "a @ file:///work/archives/a-1.5-py3-none-any.whl \\\n    --hash=sha256:0\n    # via -r requirements.in\n\
                b==2 \\\n    --hash=sha256:1\n    # via a\n    # from https://pypi.org/simple\n";
    let tree = Tree::read(Ecosystem::Pypi, lock, &pypi_direct("a", "1.5")).unwrap();
    assert_eq!(shown(&tree), ["a 1.5 direct: b 2", "b 2: "]);
    assert!(tree.packages[0].is_own && !tree.packages[0].is_public());
    assert!(!tree.packages[1].is_own && tree.packages[1].is_public());
    // Built here from what the index has.
    let built: Vec<PinnedPackage> = pypi_direct("a", "1.5").into_iter().map(|p| p.from_sdist("00")).collect();
    assert!(!Tree::read(Ecosystem::Pypi, lock, &built).unwrap().packages[0].is_own);
}

const UV: &str = "\
anyio==4.9.0 ; python_version >= '3.9' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via
    #   -r requirements.in
    #   httpx
    #   via
    # from https://pypi.org/simple
httpx[http2]==0.28.1 \\
    --hash=sha256:cc
    # via -r requirements.in
    # from https://pypi.acme.example/simple
idna==3.10 \\
    --hash=sha256:dd
    # via
    #   anyio
    #   httpx[http2]
    # from https://pypi.org/simple
via==1 \\
    --hash=sha256:ee
    # via httpx
    # from https://pypi.org/simple
";

#[test]
fn uvs_comments_are_the_graph() {
    let tree = Tree::read(Ecosystem::Pypi, UV, &pypi_direct("httpx", "0.28.1")).unwrap();
    assert!(tree.says_needs);
    assert_eq!(
        shown(&tree),
        [
            "httpx 0.28.1 direct: anyio 4.9.0, idna 3.10, via 1",
            "anyio 4.9.0: idna 3.10",
            "idna 3.10: ",
            "via 1: anyio 4.9.0"
        ]
    );
    assert_eq!(tree.packages[1].integrity, ["sha256:aa", "sha256:bb"]);
    let public: Vec<bool> = tree.packages.iter().map(Package::is_public).collect();
    assert_eq!(public, [false, true, true, true]);
}

#[test]
fn a_lock_without_comments_says_less() {
    let bare: String = UV.lines().filter(|line| !line.contains('#')).map(|line| format!("{line}\n")).collect();
    let tree = Tree::read(Ecosystem::Pypi, &bare, &pypi_direct("httpx", "0.28.1")).unwrap();
    assert!(!tree.says_needs && tree.packages.len() == 4);
    assert!(tree.packages[0].is_direct && tree.packages.iter().all(|p| p.needs.is_empty() && !p.is_public()));
    assert!(Tree::read(Ecosystem::Pypi, "", &[]).unwrap().packages.is_empty());
}

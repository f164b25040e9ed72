use std::collections::BTreeSet;

use super::*;
use crate::package::npm::{NpmName, parse_version};
use crate::package::source::Commit;
use crate::package::{Ecosystem, PinnedPackage};

const NPM: &str = r#"{"lockfileVersion":3,"packages":{
    "node_modules/@s/b":{"version":"2.0.0+x","resolved":"https://npm.acme.example/b.tgz","integrity":"sha512-H0D8ktokFpR1CXnuYkYjnh4/u3IcXzgV3vUYSA4CbR4KZCXTpHBxxNPykMXcUDJaKk1HSFM8a5Dsbs0sGgHcVA=="},
    "node_modules/z":{"version":"1.0.0","resolved":"https://registry.npmjs.org/z/-/z-1.0.0.tgz",
        "integrity":"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==","dependencies":{"@s/b":"*","own":"*"}},
    "node_modules/own":{"version":"1.0.0","resolved":"file:archives/0.tgz","integrity":"sha512-x"}}}"#;

const UV: &str = "\
a==1!2.0+local \\
    --hash=sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae \\
    --hash=sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9
    # via -r requirements.in
    # from https://pypi.org/simple
b==1 \\
    --hash=sha256:baa5a0964d3320fbc0c6a922140453c8513ea24ab8fd0577034804a967248096
    # via a
    # from https://pypi.org/simple
";

fn record(ecosystem: Ecosystem, packages: Vec<PinnedPackage>, lock: &str) -> BoxRecord {
    let mut record = BoxRecord::sample(ecosystem, packages.iter().map(ToString::to_string).collect());
    (record.image, record.base) = ("localhost/jitbox/npm-z:0".to_owned(), "docker.io/library/node:24".to_owned());
    (record.packages, record.lock) = (packages, lock.to_owned());
    record.created = 1_769_860_800;
    record
}

fn npm() -> (BoxRecord, Tree) {
    let z = PinnedPackage::npm(&NpmName::parse("z").unwrap(), &parse_version("1.0.0").unwrap());
    let commit = Commit::parse(&"0123456789".repeat(4)).unwrap();
    let source =
        PinnedSource::Git { repository: "https://github.com/o/own.git".parse().unwrap(), commit, subdirectory: None };
    let own = PinnedPackage::sourced(Ecosystem::Npm, "own".into(), "1.0.0".into(), &[], source);
    let record = record(Ecosystem::Npm, vec![z, own], NPM);
    let tree = Tree::read(Ecosystem::Npm, &record.lock, &record.packages).unwrap();
    (record, tree)
}

fn pypi() -> (BoxRecord, Tree) {
    let a =
        PinnedPackage::pypi(&crate::package::pypi::PypiName::parse("a").unwrap(), &"1!2.0+local".parse().unwrap(), &[]);
    let record = record(Ecosystem::Pypi, vec![a], UV);
    let tree = Tree::read(Ecosystem::Pypi, &record.lock, &record.packages).unwrap();
    (record, tree)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// What the official schemas ask for, as far as this document has it.
fn is_cyclonedx(document: &Value) {
    assert_eq!((text(document, "bomFormat"), text(document, "specVersion")), ("CycloneDX", "1.6"));
    let uuid = text(document, "serialNumber").strip_prefix("urn:uuid:").unwrap();
    let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(uuid.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f')), "{uuid}");
    assert!(uuid[14..].starts_with('8') && uuid[19..].starts_with(['8', '9', 'a', 'b']), "{uuid}");
    let mut refs = BTreeSet::from([text(&document["metadata"]["component"], "bom-ref")]);
    for component in list(document, "components") {
        assert_eq!(text(component, "type"), "library");
        assert!(!text(component, "name").is_empty());
        assert!(refs.insert(text(component, "bom-ref")), "{component}");
        for hash in list(component, "hashes") {
            let digits = [("SHA-1", 40), ("SHA-256", 64), ("SHA-384", 96), ("SHA-512", 128)];
            assert!(digits.contains(&(text(hash, "alg"), text(hash, "content").len())), "{hash}");
        }
    }
    for entry in list(document, "dependencies") {
        let needs: Vec<&str> = list(entry, "dependsOn").iter().map(|name| name.as_str().unwrap()).collect();
        assert!(refs.contains(text(entry, "ref")) && needs.iter().all(|name| refs.contains(name)), "{entry}");
        assert_eq!(needs.iter().collect::<BTreeSet<_>>().len(), needs.len(), "each once: {entry}");
    }
}

fn is_spdx(document: &Value) {
    for (key, value) in [("spdxVersion", "SPDX-2.3"), ("dataLicense", "CC0-1.0"), ("SPDXID", "SPDXRef-DOCUMENT")] {
        assert_eq!(text(document, key), value);
    }
    assert!(text(document, "documentNamespace").starts_with("urn:uuid:") && !text(document, "name").is_empty());
    let created = text(&document["creationInfo"], "created");
    assert!(created.len() == 20 && created.ends_with('Z'), "{created}");
    assert!(list(&document["creationInfo"], "creators")[0].as_str().unwrap().starts_with("Tool: "));
    let mut ids = BTreeSet::from(["SPDXRef-DOCUMENT"]);
    for package in list(document, "packages") {
        let id = text(package, "SPDXID");
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        assert!(id.strip_prefix("SPDXRef-").unwrap().chars().all(plain) && ids.insert(id), "{package}");
        assert!(!text(package, "name").is_empty() && !text(package, "downloadLocation").is_empty());
        assert_eq!(package["filesAnalyzed"], false);
        for checksum in list(package, "checksums") {
            let digits = [("SHA1", 40), ("SHA256", 64), ("SHA384", 96), ("SHA512", 128)];
            assert!(
                digits.contains(&(text(checksum, "algorithm"), text(checksum, "checksumValue").len())),
                "{checksum}"
            );
        }
    }
    for relation in list(document, "relationships") {
        assert!(ids.contains(text(relation, "spdxElementId")) && ids.contains(text(relation, "relatedSpdxElement")));
    }
}

#[test]
fn both_documents_have_what_their_schemas_ask_for() {
    for (record, tree) in [npm(), pypi()] {
        is_cyclonedx(&document(Format::Cyclonedx, &record, &tree));
        is_spdx(&document(Format::Spdx, &record, &tree));
    }
}

#[test]
fn the_same_box_gives_the_same_document_and_another_gives_another() {
    let (record, tree) = npm();
    let serial = |record: &BoxRecord| text(&document(Format::Cyclonedx, record, &tree), "serialNumber").to_owned();
    for format in [Format::Cyclonedx, Format::Spdx] {
        assert_eq!(document(format, &record, &tree), document(format, &record, &tree));
    }
    let mut other = record.clone();
    other.lock.push(' ');
    assert_ne!(serial(&record), serial(&other));
    assert_eq!(created(&record), "2026-01-31T12:00:00Z");
}

#[test]
fn packages_have_purls_hashes_and_what_they_need() {
    let (record, tree) = npm();
    let cyclonedx = document(Format::Cyclonedx, &record, &tree);
    let purls: Vec<&str> = list(&cyclonedx, "components").iter().map(|c| text(c, "purl")).collect();
    let own = "pkg:npm/own@1.0.0?vcs_url=git%2Bhttps://github.com/o/own.git%400123456789012345678901234567890123456789";
    assert_eq!(purls, [own, "pkg:npm/z@1.0.0", "pkg:npm/%40s/b@2.0.0%2Bx"]);
    let z = &list(&cyclonedx, "components")[1];
    let algorithms: Vec<&str> = list(z, "hashes").iter().map(|hash| text(hash, "alg")).collect();
    assert_eq!(algorithms, ["SHA-1", "SHA-512"]);
    assert_eq!(text(&list(z, "hashes")[0], "content"), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    let scoped = &list(&cyclonedx, "components")[2];
    assert_eq!((text(scoped, "group"), text(scoped, "name")), ("@s", "b"));
    let needs =
        |name: &str| list(&cyclonedx, "dependencies").iter().find(|e| e["ref"] == name).unwrap()["dependsOn"].clone();
    assert_eq!(needs("box"), serde_json::json!([own, "pkg:npm/z@1.0.0"]));
    assert_eq!(needs("pkg:npm/z@1.0.0"), serde_json::json!([own, "pkg:npm/%40s/b@2.0.0%2Bx"]));

    let (record, tree) = pypi();
    let spdx = document(Format::Spdx, &record, &tree);
    let a = &list(&spdx, "packages")[1];
    assert_eq!(text(&a["externalRefs"][0], "referenceLocator"), "pkg:pypi/a@1%212.0%2Blocal");
    assert_eq!(list(a, "checksums").len(), 2, "a lock may have several files of one version");
    let relations: Vec<String> = list(&spdx, "relationships")
        .iter()
        .map(|r| ["spdxElementId", "relationshipType", "relatedSpdxElement"].map(|key| text(r, key)).join(" "))
        .collect();
    assert!(relations.contains(&"SPDXRef-Package-1 DEPENDS_ON SPDXRef-Package-2".to_owned()), "{relations:?}");
    assert!(!relations.contains(&"SPDXRef-Box DEPENDS_ON SPDXRef-Package-2".to_owned()), "{relations:?}");
}

#[test]
fn only_public_addresses_are_told() {
    let (mut record, tree) = npm();
    for format in [Format::Cyclonedx, Format::Spdx] {
        let text = document(format, &record, &tree).to_string();
        assert!(
            text.contains("https://registry.npmjs.org/z/-/z-1.0.0.tgz") && !text.contains("acme.example"),
            "{text}"
        );
    }
    let url = "file:///home/me/secret-project.tgz".parse().unwrap();
    let source = PinnedSource::Archive { url, hash: "sha512-x".into() };
    record.packages[1] = PinnedPackage::sourced(Ecosystem::Npm, "own".into(), "1.0.0".into(), &[], source);
    let tree = Tree::read(Ecosystem::Npm, &record.lock, &record.packages).unwrap();
    for format in [Format::Cyclonedx, Format::Spdx] {
        let text = document(format, &record, &tree)["packages"].to_string()
            + &document(format, &record, &tree)["components"].to_string();
        assert!(text.contains("pkg:generic/own@1.0.0") && !text.contains("/home/me"), "{text}");
    }
}

#[test]
fn a_lock_that_does_not_say_what_is_needed_claims_nothing() {
    let (record, _) = pypi();
    let bare: String = UV.lines().filter(|line| !line.contains('#')).map(|line| format!("{line}\n")).collect();
    let tree = Tree::read(Ecosystem::Pypi, &bare, &record.packages).unwrap();
    let document = document(Format::Cyclonedx, &record, &tree);
    is_cyclonedx(&document);
    assert_eq!(list(&document, "dependencies").len(), 1, "only the box's own");
}

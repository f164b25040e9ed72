//! SPDX 2.3 (<https://spdx.github.io/spdx-spec/v2.3/>).

use serde_json::{Value, json};

use super::{created, hashes, location, purl, uuid};
use crate::image::tree::{Package, Tree};
use crate::state::boxes::BoxRecord;

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const BOX: &str = "SPDXRef-Box";
const UNKNOWN: &str = "NOASSERTION";

pub fn document(record: &BoxRecord, tree: &Tree) -> Value {
    let own = json!({
        "SPDXID": BOX,
        "name": record.name(),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "primaryPackagePurpose": "APPLICATION",
        "comment": format!("image {}, made from {}", record.image, record.base),
    });
    let packages = tree.packages.iter().enumerate().map(|(place, package)| entry(tree, package, place));
    let packages: Vec<Value> = std::iter::once(own).chain(packages).collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": record.name(),
        "documentNamespace": format!("urn:uuid:{}", uuid(record)),
        "creationInfo": {
            "created": created(record),
            "creators": [concat!("Tool: jitbox-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships(tree),
    })
}

fn id(place: usize) -> String {
    format!("SPDXRef-Package-{}", place + 1)
}

fn entry(tree: &Tree, package: &Package, place: usize) -> Value {
    let mut new = json!({
        "SPDXID": id(place),
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": location(tree, package).unwrap_or_else(|| UNKNOWN.to_owned()),
        "filesAnalyzed": false,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl(tree.ecosystem, package),
        }],
    });
    let checksum =
        |hash: super::Hash| json!({ "algorithm": hash.algorithm.replace('-', ""), "checksumValue": hash.value });
    let checksums: Vec<Value> = hashes(package).into_iter().map(checksum).collect();
    if !checksums.is_empty() {
        new["checksums"] = checksums.into();
    }
    new
}

fn relationships(tree: &Tree) -> Vec<Value> {
    let relation = |from: &str, how: &str, to: &str| json!({ "spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to });
    let mut all = vec![relation(DOCUMENT, "DESCRIBES", BOX)];
    for (place, package) in tree.packages.iter().enumerate() {
        all.push(relation(BOX, "CONTAINS", &id(place)));
        if package.is_direct {
            all.push(relation(BOX, "DEPENDS_ON", &id(place)));
        }
    }
    for (place, package) in tree.packages.iter().enumerate() {
        all.extend(package.needs.iter().map(|needed| relation(&id(place), "DEPENDS_ON", &id(*needed))));
    }
    all
}

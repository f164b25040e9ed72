//! CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).

use serde_json::{Value, json};

use super::{created, hashes, location, purl, uuid};
use crate::image::tree::{Package, Tree};
use crate::state::boxes::BoxRecord;

/// What the document is about, in its own words.
const BOX: &str = "box";

pub fn document(record: &BoxRecord, tree: &Tree) -> Value {
    let refs = references(tree);
    let components: Vec<Value> = tree.packages.iter().zip(&refs).map(|(p, name)| component(tree, p, name)).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(record)),
        "version": 1,
        "metadata": {
            "timestamp": created(record),
            "tools": { "components": [
                { "type": "application", "name": "jitbox", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "component": {
                "type": "application",
                "bom-ref": BOX,
                "name": record.name(),
                "properties": [
                    { "name": "jitbox:image", "value": record.image },
                    { "name": "jitbox:base", "value": record.base },
                ],
            },
        },
        "components": components,
        "dependencies": dependencies(tree, &refs),
    })
}

/// A name for each package in the document: its purl, which two files of one version would share.
fn references(tree: &Tree) -> Vec<String> {
    let mut refs: Vec<String> = Vec::new();
    for package in &tree.packages {
        let name = purl(tree.ecosystem, package);
        let again = refs.iter().filter(|known| known.split('#').next() == Some(&name)).count();
        refs.push(if again == 0 { name } else { format!("{name}#{again}") });
    }
    refs
}

fn component(tree: &Tree, package: &Package, reference: &str) -> Value {
    let mut new = json!({ "type": "library", "bom-ref": reference });
    let (group, name) = match package.name.split_once('/') {
        Some((scope, name)) => (Some(scope), name),
        None => (None, package.name.as_str()),
    };
    if let Some(group) = group {
        new["group"] = group.into();
    }
    new["name"] = name.into();
    new["version"] = package.version.as_str().into();
    let hashes: Vec<Value> =
        hashes(package).into_iter().map(|hash| json!({ "alg": hash.algorithm, "content": hash.value })).collect();
    if !hashes.is_empty() {
        new["hashes"] = hashes.into();
    }
    new["purl"] = purl(tree.ecosystem, package).into();
    if let Some(url) = location(tree, package) {
        new["externalReferences"] = json!([{ "type": "distribution", "url": url }]);
    }
    new
}

/// What needs what. A package without an entry is one of which that is not known.
fn dependencies(tree: &Tree, refs: &[String]) -> Vec<Value> {
    let entry = |name: &str, needs: Vec<&String>| json!({ "ref": name, "dependsOn": needs });
    let direct = tree.packages.iter().zip(refs).filter(|(package, _)| package.is_direct).map(|(_, name)| name);
    let mut all = vec![entry(BOX, direct.collect())];
    if tree.says_needs {
        let of = |(package, name): (&Package, &String)| {
            entry(name, package.needs.iter().filter_map(|place| refs.get(*place)).collect())
        };
        all.extend(tree.packages.iter().zip(refs).map(of));
    }
    all
}

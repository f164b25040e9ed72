//! `jitbox lock`: what is in a box, for people and for other programs.

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{known, ls};
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::image::sbom::{self, Format};
use crate::image::tree::{Package, Tree};
use crate::state::Layout;
use crate::state::boxes::BoxRecord;
use crate::ui;

/// What can be said.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Machine-readable
    #[arg(long, conflicts_with = "sbom")]
    json: bool,
    /// As a bill of materials in this format
    #[arg(long, value_name = "FORMAT")]
    sbom: Option<Format>,
    /// Instead, what is known against its packages now: malware and vulnerabilities
    #[arg(long, conflicts_with = "sbom")]
    known: bool,
    /// A package, or a box's name or image as `jitbox ls` shows them
    #[arg(value_name = "NAME")]
    name: String,
}

/// Prints it.
pub fn run(context: &Context, said: &Show) -> Result<ExitCode> {
    let mut boxes = Vec::new();
    for record in ls::named(&Layout::new(context), &said.name)? {
        let tree = Tree::read(record.request.ecosystem, &record.lock, &record.packages)?;
        boxes.push((record, tree));
    }
    if said.known {
        return known::show(context, &boxes, said.json);
    }
    let text = match said.sbom {
        Some(format) => written(&sbom_of(format, &boxes)?)?,
        None if said.json => written(&boxes.iter().map(|(record, tree)| data(record, tree)).collect())?,
        None => text(&boxes),
    };
    ui::answer(&text);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn written(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).doing(|| "can't write the list".into())
}

/// A document is about one box.
fn sbom_of(format: Format, boxes: &[(BoxRecord, Tree)]) -> Result<Value> {
    let (record, tree) = &boxes[0];
    if boxes.iter().all(|(other, _)| other.image == record.image) {
        return Ok(sbom::document(format, record, tree));
    }
    let error = Error::usage("a bill of materials is about one box, and there are several of that name");
    let typed = format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    Err(boxes.iter().fold(error, |e, (record, _)| e.hint(format!("jitbox lock --sbom {typed} {}", record.image))))
}

fn data(record: &BoxRecord, tree: &Tree) -> Value {
    let purl = |package: &Package| sbom::purl(tree.ecosystem, package);
    let package = |package: &Package| {
        let needs: Vec<String> = package.needs.iter().map(|place| purl(&tree.packages[*place])).collect();
        json!({
            "name": package.name,
            "version": package.version,
            "purl": purl(package),
            "direct": package.is_direct,
            "integrity": package.integrity,
            "needs": if tree.says_needs { needs.into() } else { Value::Null },
        })
    };
    json!({
        "name": record.name(),
        "ecosystem": record.request.ecosystem,
        "image": record.image,
        "base": record.base,
        "created": record.created,
        "packages": tree.packages.iter().map(package).collect::<Vec<_>>(),
    })
}

/// One line for each package; above them the box, if there are several.
fn text(boxes: &[(BoxRecord, Tree)]) -> String {
    let parts = boxes.iter().map(|(record, tree)| match boxes {
        [_] => lines(&tree.packages),
        _ => format!("{} ({})\n{}", record.name(), record.image, lines(&tree.packages)),
    });
    parts.collect::<Vec<_>>().join("\n")
}

fn lines(packages: &[Package]) -> String {
    let width = |of: fn(&Package) -> &String| packages.iter().map(|package| of(package).len()).max().unwrap_or(0);
    let (name, version) = (width(|package| &package.name), width(|package| &package.version));
    let line = |package: &Package| {
        let integrity = match &package.integrity[..] {
            [] => "in its parent's file".to_owned(),
            [only] => only.clone(),
            [first, others @ ..] => format!("{first} and {} more", others.len()),
        };
        format!("{:name$}  {:version$}  {integrity}\n", package.name, package.version)
    };
    packages.iter().map(line).collect()
}

//! `jitbox lock --known`: what is known against the packages of a box, asked anew.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::lock;
use crate::config::Config;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::image::tree::Tree;
use crate::package::Ecosystem;
use crate::registry::osv::verdict::{self, Finding};
use crate::registry::osv::{self, Answer};
use crate::registry::settings::Settings;
use crate::state::boxes::BoxRecord;
use crate::ui;

/// Prints it, the worst first.
pub fn show(context: &Context, boxes: &[(BoxRecord, Tree)], json: bool) -> Result<ExitCode> {
    let (config, settings) = (Config::load(context)?, Settings::load(context));
    let (mut rows, mut lines): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for (record, tree) in boxes {
        let registry = record.request.registry.as_deref();
        let (hits, asked) = match osv::ask(&config.packages.osv, context, &settings, registry, tree)? {
            Answer::Known { hits, asked } => (hits, asked),
            Answer::Unreached(why) => return Err(why),
            Answer::Off => {
                return Err(Error::usage("nobody is asked: config.toml says `osv = \"off\"`")
                    .hint("take it out of [packages] in jitbox's config.toml"));
            }
        };
        if asked < tree.packages.len() {
            let others = tree.packages.len() - asked;
            ui::note(&format!(
                "{}: {others} packages are not the public registry's, and were not named",
                record.name()
            ));
        }
        let findings = verdict::findings(&hits);
        if findings.is_empty() {
            ui::note(&format!("{}: nothing is known against {asked} packages", record.name()));
        }
        if boxes.len() > 1 && !findings.is_empty() {
            lines.push(format!("{} ({})\n", record.name(), record.image));
        }
        for finding in &findings {
            let mended: Vec<String> = hits.iter().filter_map(|hit| mended(tree.ecosystem, finding, hit)).collect();
            let accepted = finding.is_accepted(&config.packages.accept);
            rows.push(row(record, finding, mended.first(), accepted));
            lines.push(line(finding, mended.first(), accepted));
        }
    }
    if json {
        ui::answer(&lock::written(&rows.into())?);
    } else if !lines.is_empty() {
        ui::answer(&lines.concat());
    }
    Ok(ExitCode::SUCCESS)
}

/// In which version it is mended, if this is a hit of it that says so.
fn mended(of: Ecosystem, finding: &Finding, hit: &osv::Hit) -> Option<String> {
    let is_its = hit.asked == finding.asked && finding.ids.contains(&hit.id);
    let entry = hit.entry.as_ref().filter(|_| is_its)?;
    entry.mended(of, &hit.asked.name, &hit.asked.version)
}

fn row(record: &BoxRecord, finding: &Finding, mended: Option<&String>, accepted: bool) -> Value {
    json!({
        "box": record.name(),
        "package": finding.asked.name,
        "version": finding.asked.version,
        "severity": finding.word(),
        "ids": finding.ids,
        "summary": finding.summary,
        "mended": mended,
        "accepted": accepted,
    })
}

/// Two lines: what, and where to read of it.
fn line(finding: &Finding, mended: Option<&String>, accepted: bool) -> String {
    let mended = mended.map_or_else(|| "not mended yet".to_owned(), |version| format!("mended in {version}"));
    let accepted = if accepted { ", accepted" } else { "" };
    let others = finding.ids[1..].join(" ");
    let others = if others.is_empty() { others } else { format!(" ({others})") };
    format!(
        "{:<8}  {} {}: {} ({mended}{accepted})\n          {}{others}\n",
        finding.word(),
        finding.asked.name,
        finding.asked.version,
        finding.summary,
        verdict::page(&finding.ids[0]),
    )
}

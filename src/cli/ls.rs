//! `jitbox ls`: the boxes.

use std::process::ExitCode;

use super::logs;
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::package::shown;
use crate::session::Session;
use crate::state::boxes::BoxRecord;
use crate::state::{Layout, boxes};
use crate::ui;

/// The boxes that a person means: those of just that name, else those of that package or with that image.
pub(super) fn named(layout: &Layout, name: &str) -> Result<Vec<BoxRecord>> {
    let all = boxes::all(layout)?;
    let (exactly, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|record| record.name() == name);
    let of_package = |record: &BoxRecord| logs::is_package(&record.name(), name) || record.image == name;
    let found = if exactly.is_empty() { others.into_iter().filter(of_package).collect() } else { exactly };
    match found.is_empty() {
        true => Err(Error::not_found(format!("no box is called `{}`", shown(name))).hint("jitbox ls")),
        false => Ok(found),
    }
}

/// The only one of these boxes; `command` is what was typed before `name`.
pub fn only<'a>(records: &'a [BoxRecord], command: &str, name: &str) -> Result<&'a BoxRecord> {
    let [record] = records else {
        let names = records.iter().map(|record| format!("{command} {}", shell_words::quote(&record.name())));
        return Err(names.fold(Error::usage(format!("several boxes are of `{}`", shown(name))), Error::hint));
    };
    Ok(record)
}

/// Lists the boxes, with their sizes if the engine is to be asked.
pub fn run(context: &Context, sized: bool, json: bool) -> Result<ExitCode> {
    let all = boxes::all(&Layout::new(context))?;
    let session = sized.then(|| Session::open(context)).transpose()?;
    let size = |record: &BoxRecord| session.as_ref().map(|session| session.size(record)).transpose();
    let sizes = all.iter().map(size).collect::<Result<Vec<_>>>()?;
    if json {
        let rows: Vec<_> = all
            .iter()
            .zip(&sizes)
            .map(|(record, size)| {
                let packages: Vec<String> = record.packages.iter().map(ToString::to_string).collect();
                let mut row = serde_json::json!({
                    "name": record.name(),
                    "ecosystem": record.request.ecosystem,
                    "packages": packages,
                    "image": record.image,
                    "base": record.base,
                    "mcp": record.mcp,
                    "created": record.created,
                });
                if let (Some(row), Some(size)) = (row.as_object_mut(), size) {
                    row.insert("size".to_owned(), (*size).into());
                }
                row
            })
            .collect();
        ui::answer(&serde_json::to_string_pretty(&rows).doing(|| "can't write the list".into())?);
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        ui::note("no boxes yet");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<[String; 3]> = all
        .iter()
        .zip(sizes)
        .map(|(record, size)| {
            let pinned: Vec<String> = record.packages.iter().map(ToString::to_string).collect();
            let size =
                size.map(|size| size.map_or("not there  ".to_owned(), |size| format!("{} MB  ", size / 1_000_000)));
            [record.name(), pinned.join(" "), size.unwrap_or_default() + &record.image]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let lines: Vec<String> = rows.iter().map(|[a, b, c]| format!("{a:first$}  {b:second$}  {c}")).collect();
    ui::answer(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

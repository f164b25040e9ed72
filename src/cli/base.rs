//! `jitbox base`: the images that boxes are made of.

use std::process::ExitCode;

use serde_json::json;

use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::package::shown;
use crate::registry::cutoff;
use crate::session::Session;
use crate::session::bases::{Base, There};
use crate::ui;

/// What is done with them.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// List those that boxes are made of, and those that the next ones would be
    Ls {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Have the engine fetch them anew; boxes of older ones are made again when they start next
    Pull {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// Which; else all that boxes are made of
        #[arg(value_name = "IMAGE")]
        images: Vec<String>,
    },
    /// Make them of distribution packages, where no registry for images can be reached
    Make {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Ask their registries whether there are newer ones, and fetch nothing; exits with 3 if there are
    Check {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// Which; else all that boxes are made of
        #[arg(value_name = "IMAGE")]
        images: Vec<String>,
    },
}

/// Does it.
pub fn run(context: &Context, what: &What) -> Result<ExitCode> {
    let session = Session::open(context)?;
    match what {
        What::Ls { json } => list(&session.bases()?, *json),
        What::Make { json } => list(&session.make_bases()?, *json),
        What::Pull { json, images } => pull(&session, &named(&session, images)?, *json),
        What::Check { json, images } => check(&session, &named(&session, images)?, *json),
    }
}

/// The images that are meant: of names that were typed those that are base images here.
fn named(session: &Session<'_>, images: &[String]) -> Result<Vec<String>> {
    let known = session.bases()?;
    if images.is_empty() {
        let (used, next): (Vec<_>, Vec<_>) = known.into_iter().partition(|base| !base.boxes.is_empty());
        let meant = if used.is_empty() { next } else { used };
        return Ok(meant.into_iter().map(|base| base.image).collect());
    }
    for image in images {
        if !known.iter().any(|base| base.image == *image) {
            return Err(
                Error::not_found(format!("`{}` is no base image of yours", shown(image))).hint("jitbox base ls")
            );
        }
    }
    Ok(images.to_vec())
}

fn list(bases: &[Base], json: bool) -> Result<ExitCode> {
    if json {
        return pretty(&json!(bases));
    }
    let lines: Vec<String> = bases.iter().map(line).collect();
    ui::answer(&lines.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// `node:24-trixie-slim  8b8ac028ae4e since 2026-11-03, 3 boxes, 1 of an older one (made again when it starts next)`
fn line(base: &Base) -> String {
    let content = match (&base.content, base.since) {
        (Some(content), since) => {
            let since = since.and_then(cutoff::at).map(|at| format!(" since {}", at.get(..10).unwrap_or(&at)));
            let short: String = content.trim_start_matches("sha256:").chars().take(12).collect();
            format!("{short}{}", since.unwrap_or_default())
        }
        (None, _) => "not here".to_owned(),
    };
    let boxes = match base.boxes.len() {
        1 => "1 box".to_owned(),
        many => format!("{many} boxes"),
    };
    format!("{}  {content}, {boxes}{}", base.image, outdated(base))
}

fn outdated(base: &Base) -> String {
    match base.outdated.len() {
        0 => String::new(),
        1 => format!(", {} of an older one (made again when it starts next)", base.outdated[0]),
        many => format!(", {many} of an older one (made again when they start next)"),
    }
}

fn pull(session: &Session<'_>, images: &[String], json: bool) -> Result<ExitCode> {
    let mut pulled = Vec::new();
    for image in images {
        let progress = ui::Progress::new(session.context.terminals.stderr, &format!("fetching {image}"));
        let (base, is_other) = session.pull_base(image)?;
        drop(progress);
        if !json {
            let what = if is_other { "is another one now" } else { "is the newest already" };
            ui::answer(&format!("{image} {what}{}", outdated(&base)));
        }
        pulled.push(json!({ "base": base, "changed": is_other }));
    }
    if json { pretty(&json!(pulled)) } else { Ok(ExitCode::SUCCESS) }
}

fn check(session: &Session<'_>, images: &[String], json: bool) -> Result<ExitCode> {
    let found: Vec<(&String, Result<There>)> = images.iter().map(|image| (image, session.check_base(image))).collect();
    // As of `jitbox update --check`.
    let newer = found.iter().any(|(_, there)| matches!(there, Ok(There::Other)));
    let code = if newer { ExitCode::from(3) } else { ExitCode::SUCCESS };
    if json {
        let one = |(image, there): &(&String, Result<There>)| match there {
            Ok(there) => json!({ "image": image, "there": there }),
            Err(why) => json!({ "image": image, "error": why.to_string() }),
        };
        return pretty(&json!(found.iter().map(one).collect::<Vec<_>>())).map(|_| code);
    }
    for (image, there) in found {
        let pull = format!("(to fetch it: jitbox base pull {})", shell_words::quote(image));
        ui::answer(&match there {
            Ok(There::Same) => format!("{image} is the newest"),
            Ok(There::Other) => format!("{image}: its registry has another one {pull}"),
            Ok(There::Missing) => format!("{image} is not here, and its registry has it {pull}"),
            Ok(There::Own) => format!("{image} comes of no registry here, and there is one {pull}"),
            Err(why) => format!("{image}: can't tell: {why}"),
        });
    }
    Ok(code)
}

fn pretty(value: &serde_json::Value) -> Result<ExitCode> {
    ui::answer(&serde_json::to_string_pretty(value).doing(|| "can't write the base images".into())?);
    Ok(ExitCode::SUCCESS)
}

//! `jitbox attempts`, `log` and `inspect`: how boxes came about, and what is in them.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{logs, ls};
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::registry::cutoff;
use crate::session::Session;
use crate::state::attempts::{self, Attempt, Outcome};
use crate::state::boxes;
use crate::state::{Layout, lock};
use crate::ui;

/// The attempts of boxes with that name, or of that package: of all without a name.
pub(super) fn called(layout: &Layout, name: Option<&str>) -> Result<Vec<Attempt>> {
    let mut all = attempts::all(layout)?;
    if let Some(name) = name {
        all.retain(|attempt| logs::is_package(&attempt.request.name(), name));
        if all.is_empty() {
            return Err(Error::not_found(format!("there was no attempt to make `{name}`")).hint("jitbox attempts"));
        }
    }
    Ok(all)
}

/// Lists attempts.
pub fn list(context: &Context, name: Option<&str>, json: bool) -> Result<ExitCode> {
    let layout = Layout::new(context);
    let all = called(&layout, name)?;
    let active = boxes::all(&layout)?;
    let is_active = |attempt: &Attempt| {
        active.iter().any(|record| record.request == attempt.request && record.attempt == attempt.number)
    };
    if json {
        let row = |attempt: &Attempt| {
            let packages = attempt.made.iter().flat_map(|record| &record.packages);
            json!({
                "name": attempt.request.name(),
                "number": attempt.number,
                "parent": attempt.parent,
                "why": attempt.why,
                "overrides": attempt.overrides,
                "started": attempt.started,
                "phases": attempt.phases,
                "outcome": attempt.outcome,
                "active": is_active(attempt),
                "packages": packages.map(ToString::to_string).collect::<Vec<_>>(),
                "image": attempt.made.as_ref().map(|record| &record.image),
            })
        };
        let rows: Vec<_> = all.iter().map(row).collect();
        ui::answer(&serde_json::to_string_pretty(&rows).doing(|| "can't write the list".into())?);
    } else if all.is_empty() {
        ui::note("no box has been made yet");
    } else {
        let line = |attempt: &Attempt| one_line(&layout, attempt, is_active(attempt));
        ui::answer(&all.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn one_line(layout: &Layout, attempt: &Attempt, active: bool) -> String {
    let day = cutoff::day(SystemTime::UNIX_EPOCH + Duration::from_secs(attempt.started));
    let seconds = attempt.phases.iter().map(|phase| phase.ms).sum::<u64>() as f64 / 1000.0;
    let packages = || {
        let packages = attempt.made.iter().flat_map(|record| &record.packages);
        packages.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let outcome = match &attempt.outcome {
        Outcome::Made if active => format!("{} (in use)", packages()),
        Outcome::Made => packages(),
        Outcome::Rejected { why } => why.clone(),
        Outcome::Failed { why } => format!("failed: {why}"),
        Outcome::UnderWay if lock::is_held(&layout.lock(&attempt.request.key())) => "under way".to_owned(),
        Outcome::UnderWay => "was ended".to_owned(),
    };
    let with: String =
        attempt.overrides.options().iter().map(|word| format!(" {}", shell_words::quote(word))).collect();
    format!("{} #{}{with}  {day}  {seconds:.1} s  {outcome}", attempt.request.name(), attempt.number)
}

/// Prints what was said during an attempt: the last one that said anything, unless its number is given.
pub fn log(context: &Context, name: &str, number: Option<u32>) -> Result<ExitCode> {
    let layout = Layout::new(context);
    let mut all = called(&layout, Some(name))?;
    all.retain(|attempt| number.is_none_or(|number| attempt.number == number));
    all.sort_by_key(|attempt| (attempt.started, attempt.number));
    let said = all.iter().rev().map(|attempt| attempt.log(&layout)).find(|log| !log.is_empty());
    match said {
        Some(log) => ui::answer(&String::from_utf8_lossy(&log)),
        None => ui::note("nothing was said"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints all that is known of a box. `ask`: its server, too.
pub fn inspect(context: &Context, name: &str, ask: bool, json: bool) -> Result<ExitCode> {
    let layout = Layout::new(context);
    let mut all = Vec::new();
    for record in ls::named(&layout, name)? {
        let attempts = attempts::of(&layout, &record.request)?;
        let attempt = attempts.iter().find(|attempt| attempt.number == record.attempt);
        let offers = match ask {
            true => Some(
                Session::open(context)?
                    .offered(&record)?
                    .map_err(|why| Error::failed(format!("`{}` does not answer", record.name())).because(why))?,
            ),
            false => None,
        };
        let mut value = json!({
            "name": record.name(),
            "packages": record.packages.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "registry": record.request.registry,
            "created": record.created,
            "image": record.image,
            "base": record.base,
            "apt": record.apt,
            "overrides": record.overrides.options(),
            "scripts": record.scripts,
            "not_run": record.not_run,
            "mcp": record.mcp,
            "program": record.default_program,
            "verbs": record.verbs,
            "programs": record.programs.keys().collect::<Vec<_>>(),
            "tree": record.tree.len(),
            "attempt": record.attempt,
            "phases": attempt.map(|attempt| &attempt.phases),
            "before": attempts::before(&attempts, &record).map(|before| before.attempt),
        });
        if let Some(answers) = offers {
            value["hash"] = answers.hash().into();
            value["offers"] = serde_json::to_value(&answers).doing(|| "can't write the answers".into())?;
        }
        all.push(value);
    }
    if json {
        ui::answer(&serde_json::to_string_pretty(&all).doing(|| "can't write the box".into())?);
    } else {
        ui::answer(&all.iter().map(lines).collect::<Vec<_>>().join("\n\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(value: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(all) if all.iter().all(serde_json::Value::is_string) => {
            all.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let members = value.as_object().into_iter().flatten();
    let is_nothing = |value: &serde_json::Value| match value {
        serde_json::Value::Array(all) => all.is_empty(),
        serde_json::Value::Object(all) => all.is_empty(),
        other => other.is_null(),
    };
    let said = members.filter(|(_, value)| !is_nothing(value));
    said.map(|(name, value)| match (&**name, value) {
        ("phases", serde_json::Value::Array(phases)) => {
            let phase = |phase: &serde_json::Value| format!("{} {} ms", text(&phase["name"]), phase["ms"]);
            format!("phases    {}", phases.iter().map(phase).collect::<Vec<_>>().join(", "))
        }
        ("not_run", serde_json::Value::Object(scripts)) => {
            let script = |(name, says): (&String, &serde_json::Value)| format!("not run   {name}: {}", text(says));
            scripts.iter().map(script).collect::<Vec<_>>().join("\n")
        }
        ("offers", offers) => {
            let list = |what: &str| offers[what].as_object().into_iter().flatten().map(|(name, _)| name.clone());
            let names = |what: &str| format!("{what:10}{}", list(what).collect::<Vec<_>>().join(" "));
            let head = format!("server    {} (protocol {})", text(&offers["server"]), text(&offers["protocol"]));
            [head, names("tools"), names("prompts"), names("resources")].join("\n")
        }
        (name, value) => format!("{name:10}{}", text(value)),
    })
    .collect::<Vec<_>>()
    .join("\n")
}

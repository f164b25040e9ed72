//! What `jitbox doctor` finds out: the engines of this machine, which one is used and why, what
//! it can do, and what to type for what is missing.

mod checks;
mod hardening;

use serde::Serialize;

use self::checks::{
    carrier, carrier_check, cgroups, failed, fine, kernel_check, limits, records, runtimes, settings_check, sockets,
    sub_ids,
};
use self::hardening::Property;
use crate::config::Config;
use crate::context::Context;
use crate::engine::detect::{self, Found, Survey};
use crate::engine::{Facts, Kind};
use crate::error::Error;
use crate::session::Session;
use crate::state::Layout;

/// Everything, as `--json` prints it. Fields are added, never renamed or removed, as long as
/// `format` stays the same.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The number of this form: 1.
    pub format: u32,
    /// Our own version.
    pub jitbox: &'static str,
    /// Packages can be run.
    pub usable: bool,
    /// The engine that is used.
    pub chosen: Option<Chosen>,
    /// Every engine that we know, in the order of preference.
    pub engines: Vec<Row>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// What holds a program in, as seen from a box; nothing before there is any.
    pub hardening: Vec<Property>,
    /// All of that holds, as far as it can be seen; none if there is no box yet.
    pub hardened: Option<bool>,
}

/// The engine that is used.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// Its kind: `docker`, `podman` or `nerdctl`.
    pub kind: Kind,
    /// Its program.
    pub program: String,
    /// The options that pin its endpoint; none: the local default.
    pub endpoint: Vec<String>,
    /// The OCI runtime that the settings name.
    pub runtime: Option<String>,
    /// What decided.
    pub why: String,
    /// What is known about it.
    pub facts: Facts,
    /// How a box's streams reach the caller: `descriptors`, `socket` or `stream`.
    pub carrier: &'static str,
    /// Why that.
    pub carrier_why: &'static str,
}

/// One engine of this machine.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its kind.
    pub kind: Kind,
    /// Its program, if there is one.
    pub program: Option<String>,
    /// Its version, if it answers.
    pub version: Option<String>,
    /// It can be used.
    pub usable: bool,
    /// It is the one that is used.
    pub chosen: bool,
    /// Why it can't be used, or what is special about it.
    pub detail: Option<String>,
    /// What to type, if it can't be used.
    pub fix: Vec<String>,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub struct Check {
    /// Its name, for programs: `settings`, `records`, `sockets`, `engine`, `limits`,
    /// `carrier`, `kernel`, `runtimes`, `cgroups`, `sub-ids`, `box`.
    pub id: &'static str,
    /// What was checked, in words.
    pub what: &'static str,
    /// All is well. What is not makes runs impossible only if `usable` is false.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to type, if all is not well.
    pub fix: Option<String>,
}

/// Looks at everything.
pub fn examine(context: &Context) -> Report {
    let layout = Layout::new(context);
    let settings = Config::load(context);
    let mut checks = vec![settings_check(context, &settings), records(&layout), sockets(&layout)];
    let broken = checks.iter().any(|check| !check.ok && check.id != "sockets");
    // Wrong settings stop every run; what the machine has is shown all the same.
    let survey = detect::survey(context, &settings.unwrap_or_default(), &layout);
    let (chosen, engines) = match survey {
        Ok(survey) => summary(survey, context, &mut checks),
        Err(error) => {
            checks.push(failed("engine", "a container engine", &error));
            (None, Vec::new())
        }
    };
    let usable = chosen.is_some() && !broken;
    let hardening = if usable { look_from_inside(context, &mut checks) } else { Vec::new() };
    Report {
        format: 1,
        jitbox: env!("CARGO_PKG_VERSION"),
        usable,
        chosen,
        engines,
        checks,
        hardened: (!hardening.is_empty()).then(|| hardening.iter().all(|property| property.ok != Some(false))),
        hardening,
    }
}

/// Has a short box look at itself.
fn look_from_inside(context: &Context, checks: &mut Vec<Check>) -> Vec<Property> {
    const WHAT: &str = "a short box shows what holds it in";
    match Session::open(context).and_then(|session| hardening::examine(&session)) {
        Ok(Some(properties)) => {
            let holds = properties.iter().filter(|property| property.ok == Some(true)).count();
            let fails = properties.iter().filter(|property| property.ok == Some(false)).count();
            let detail = format!("{holds} of {} properties hold, {fails} do not", properties.len());
            checks.push(Check { id: "box", what: WHAT, ok: fails == 0, detail, fix: None });
            properties
        }
        Ok(None) => {
            checks.push(fine("box", WHAT, "not yet: there is no box on this engine (npx-safe -y cowsay hi makes one)"));
            Vec::new()
        }
        Err(error) => {
            checks.push(failed("box", WHAT, &error));
            Vec::new()
        }
    }
}

fn summary(survey: Survey, context: &Context, checks: &mut Vec<Check>) -> (Option<Chosen>, Vec<Row>) {
    let Survey { found, chosen, why, wanted } = survey;
    let rows = found.iter().enumerate().map(|(i, found)| row(found, chosen == Some(i))).collect();
    let Some(engine) = chosen.and_then(|i| found[i].engine.as_ref().ok()) else {
        let asked = found.iter().filter(|found| wanted.contains(&found.kind));
        // The one that was asked for, or the one that is nearest to working.
        let nearest = asked.clone().find(|found| found.program.is_some()).or_else(|| asked.clone().next());
        let error = nearest.and_then(|found| found.engine.as_ref().err().cloned());
        let error = error.unwrap_or_else(|| Error::failed("no container engine found"));
        checks.push(failed("engine", "a container engine", &error));
        return (None, rows);
    };
    let kind = engine.kind.name();
    let detail = format!("{kind} {} at {} ({why})", engine.facts.version, engine.program.display());
    checks.push(fine("engine", "a container engine", detail));
    checks.extend([limits(engine), carrier_check(engine), kernel_check(engine), runtimes(engine)]);
    checks.extend(cgroups(context));
    checks.extend(sub_ids(context, engine));
    let (carrier, carrier_why) = carrier(engine);
    let chosen = Chosen {
        kind: engine.kind,
        program: engine.program.to_string_lossy().into_owned(),
        endpoint: engine.endpoint.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        runtime: engine.runtime.clone(),
        why: why.to_string(),
        facts: engine.facts.clone(),
        carrier,
        carrier_why,
    };
    (Some(chosen), rows)
}

fn row(found: &Found, chosen: bool) -> Row {
    let facts = found.engine.as_ref().ok().map(|engine| &engine.facts);
    let error = found.engine.as_ref().err();
    let disguised = found.instead_of.as_ref().map(|docker| format!("`{}` is podman", docker.display()));
    let product = facts.and_then(|facts| facts.product.clone());
    let missing = (found.missing).then(|| "not installed".to_owned());
    Row {
        kind: found.kind,
        program: found.program.as_ref().map(|path| path.to_string_lossy().into_owned()),
        version: facts.map(|facts| facts.version.clone()),
        usable: found.engine.is_ok(),
        chosen,
        detail: missing.or(error.map(ToString::to_string)).or(disguised).or(product),
        fix: error.map(|error| error.hints.clone()).unwrap_or_default(),
    }
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("jitbox {}", self.jitbox), String::new(), "engines".into()];
        for row in &self.engines {
            let mark = if row.chosen { "*" } else { " " };
            let version = row.version.as_deref().unwrap_or("-");
            let program = row.program.as_deref().unwrap_or("-");
            lines.push(format!("{mark} {:<8} {version:<16} {program}", row.kind.name()));
            lines.extend(row.detail.iter().map(|detail| format!("    {detail}")));
            // Nobody needs all three: how to install one is only said when there is none to use.
            let needed = row.program.is_some() || self.chosen.is_none();
            lines.extend(row.fix.iter().filter(|_| needed).map(|fix| format!("      type: {fix}")));
        }
        if let Some(chosen) = &self.chosen {
            lines.extend([String::new(), format!("used: {} ({})", chosen.kind.name(), chosen.why)]);
            lines.extend(chosen.lines().map(|(name, value)| format!("  {name:<13}{value}")));
        }
        lines.extend([String::new(), "checks".into()]);
        for check in &self.checks {
            let mark = if check.ok { "ok" } else { "NO" };
            lines.push(format!("  {mark} {:<9} {}: {}", check.id, check.what, check.detail));
            lines.extend(check.fix.iter().map(|fix| format!("       type: {fix}")));
        }
        if !self.hardening.is_empty() {
            lines.extend([String::new(), "a box, from inside".into()]);
        }
        for property in &self.hardening {
            let mark = match property.ok {
                Some(true) => "ok",
                Some(false) => "NO",
                None => "--",
            };
            lines.push(format!("  {mark} {:<17} {}: {}", property.id, property.what, property.detail));
        }
        let verdict = if self.usable { "packages can be run" } else { "packages can't be run" };
        lines.extend([String::new(), verdict.into()]);
        lines.join("\n")
    }
}

impl Chosen {
    fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let facts = &self.facts;
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let endpoint = if self.endpoint.is_empty() { "local".into() } else { self.endpoint.join(" ") };
        let all = [
            ("endpoint", endpoint),
            ("runtime", self.runtime.clone().unwrap_or_else(|| "the engine's own".into())),
            ("architecture", format!("{:?}", facts.architecture).to_ascii_lowercase()),
            ("rootless", yes(facts.rootless)),
            ("remote", yes(facts.remote)),
            ("selinux", yes(facts.selinux)),
            ("carrier", self.carrier.to_owned()),
        ];
        all.into_iter()
    }
}

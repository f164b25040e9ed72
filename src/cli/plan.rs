//! `jitbox plan` and `--safe-plan`: every step of a line, and nothing executed.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::context::Context;
use crate::engine::argv;
use crate::engine::caps::{Carrier, Reach};
use crate::error::{Doing, Result};
use crate::exec::Cmd;
use crate::image::lock::Lock;
use crate::launch::Launch;
use crate::plan::Start;
use crate::session::Session;
use crate::state::boxes;
use crate::{policy, ui};

/// One step.
#[derive(Debug, Serialize)]
struct Step {
    /// What it does.
    step: &'static str,
    /// What it can reach.
    reaches: &'static str,
    /// The command.
    argv: Vec<String>,
    #[serde(skip)]
    shown: String,
}

impl Step {
    fn new(step: &'static str, reaches: &'static str, command: &Cmd) -> Self {
        Self { step, reaches, argv: command.argv(), shown: command.show() }
    }
}

/// Prints the plan of a line.
pub fn show(context: &Context, launch: &Launch, json: bool, offline: bool) -> Result<ExitCode> {
    let mut plan = json!({ "launch": launch_json(launch) });
    let mut steps = Vec::new();
    if !offline {
        let session = Session::open(context)?;
        policy::sources::check(&session.config, &launch.tighten, &launch.packages)?;
        let request = session.request(launch)?;
        let record = boxes::find(&session.layout, &request)?;
        let policy = session.decide(launch, record.as_ref())?;
        let volume = record.as_ref().map(|record| session.volume(record, policy.user).name).unwrap_or_default();
        let (image, resolved) = match record {
            Some(record) => {
                let packages: Vec<String> = record.packages.iter().map(ToString::to_string).collect();
                let resolved =
                    json!({ "packages": packages, "base": record.base, "image": record.image, "locked": true });
                (record.image, resolved)
            }
            None => making_steps(&session, launch, &mut steps)?,
        };
        let start = match session.carrier() {
            Carrier::Stream => Start::Attached,
            Carrier::Local(Reach::Descriptor) => Start::Descriptor,
            Carrier::Local(Reach::Mount) => Start::Socket(session.layout.runs().join("RUN/link")),
        };
        let decided = policy.decide(&session.layout, &session.engine, &image, &volume).named("RUN").started(start);
        let run = Cmd::engine(&session.engine, argv::run(&session.engine, decided.plan()));
        steps.push(Step::new("run", "what the policy says", &run));
        plan["resolved"] = resolved;
        plan["policy"] = serde_json::to_value(&policy).doing(|| "can't write the plan".into())?;
        plan["steps"] = serde_json::to_value(&steps).doing(|| "can't write the plan".into())?;
    }
    if json {
        ui::answer(&serde_json::to_string_pretty(&plan).doing(|| "can't write the plan".into())?);
    } else {
        ui::answer(&text(&plan, &steps));
    }
    Ok(ExitCode::SUCCESS)
}

/// The steps that make a box. What only becomes known on the way stands in capitals.
fn making_steps(session: &Session<'_>, launch: &Launch, steps: &mut Vec<Step>) -> Result<(String, Value)> {
    let sources = session.sources(launch)?;
    let mut resolved = session.resolve(launch, &sources.0)?;
    let making = session.making(launch, &mut resolved, sources.1)?;
    if !resolved.builds.is_empty() {
        let tools = Cmd::engine(&session.engine, argv::run(&session.engine, making.tools_plan().named("RUN").plan()));
        steps.push(Step::new("tools", "the registry", &tools));
        let wheel = Cmd::engine(&session.engine, argv::run(&session.engine, making.wheel_plan().named("RUN").plan()));
        steps.push(Step::new("wheel", "nothing", &wheel));
    }
    let lock = Cmd::engine(&session.engine, argv::run(&session.engine, making.lock_plan().named("RUN").plan()));
    steps.push(Step::new("lock", "the registry", &lock));
    let unknown = Lock { text: String::new(), packages: Vec::new(), bins: Vec::new(), files: Vec::new() };
    let mut build = making.plan(&unknown, "RUN", making.base.clone(), Path::new("CONTEXT"), None);
    let name = build.image.split_once(':').map_or(build.image.as_str(), |(name, _)| name);
    let image = format!("{name}:LOCK");
    build.image.clone_from(&image);
    build.labels.clear();
    let build = Cmd::engine(&session.engine, argv::build(&session.engine, &build));
    steps.push(Step::new("fetch", "the registry", &build));
    let packages: Vec<String> = resolved.packages.iter().map(ToString::to_string).collect();
    let json = json!({ "packages": packages, "base": making.base, "image": image, "locked": false });
    Ok((image, json))
}

fn launch_json(launch: &Launch) -> Value {
    let packages: Vec<String> = launch.packages.iter().map(ToString::to_string).collect();
    let args: Vec<_> = launch.args.iter().map(|arg| arg.to_string_lossy()).collect();
    let set: Vec<&str> = launch.environment.iter().map(|(name, _)| name.as_str()).collect();
    json!({
        "launcher": launch.launcher.name(),
        "packages": packages,
        "command": launch.command,
        "args": args,
        "sets": set,
    })
}

fn text(plan: &Value, steps: &[Step]) -> String {
    let mut out = String::new();
    for part in ["launch", "resolved", "policy"] {
        if let Some(Value::Object(fields)) = plan.get(part) {
            out.push_str(part);
            out.push('\n');
            for (name, value) in fields {
                out.push_str(&format!("  {name}: {value}\n"));
            }
        }
    }
    for step in steps {
        out.push_str(&format!("step {} (reaches {})\n  {}\n", step.step, step.reaches, step.shown));
    }
    out
}

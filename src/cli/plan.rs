//! `jitbox plan` and `--safe-plan`: every step of a line, and nothing executed.

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
use crate::launch::project::{Project, Runs};
use crate::plan::{BOX_ID, Network, Start, User};
use crate::policy::age::Cutoff;
use crate::policy::mounts::Mounted;
use crate::policy::{Parts, Policy};
use crate::session::{self, Session, project};
use crate::state::boxes;
use crate::state::overrides::Overrides;
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
    let mut decided_on = None;
    if !offline {
        let session = Session::open(context)?;
        policy::lines::check(&session.config, launch)?;
        let request = session.request(launch)?;
        let carrier = session.carrier();
        let record = boxes::find(&session.layout, &request)?;
        let policy = session.decide(launch, record.as_ref(), false)?;
        let volume = record.as_ref().map(|record| session.volume(record, policy.user).name).unwrap_or_default();
        let (image, compiled, resolved) = match record {
            Some(record) => {
                let packages: Vec<String> = record.packages.iter().map(ToString::to_string).collect();
                let resolved =
                    json!({ "packages": packages, "base": record.base, "image": record.image, "locked": true });
                let resolved = with_cutoff(resolved, record.cutoff.as_ref());
                let compiled = session.compiled(launch, &record, carrier);
                (record.image, compiled, resolved)
            }
            None => {
                let (image, resolved) = making_steps(&session, launch, &mut steps)?;
                (image, None, resolved)
            }
        };
        let start = match carrier {
            Carrier::Stream => Start::Attached,
            Carrier::Local(Reach::Descriptor) => Start::Descriptor,
            Carrier::Local(Reach::Mount) => Start::Socket(session.layout.runs().join("RUN/link")),
        };
        let parts = Parts { image: &image, compiled, volume: &volume };
        let decided = policy.decide(&session.layout, &session.engine, parts).named("RUN").started(start);
        let run = Cmd::engine(&session.engine, argv::run(&session.engine, decided.plan()));
        steps.push(Step::new("run", "what the policy says", &run));
        plan["resolved"] = resolved;
        plan["policy"] = serde_json::to_value(&policy).doing(|| "can't write the plan".into())?;
        decided_on = Some(policy);
        plan["steps"] = serde_json::to_value(&steps).doing(|| "can't write the plan".into())?;
    }
    answer(&plan, decided_on.as_ref(), &steps, json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the plan of a line about a local project; of one that is not run, how it was understood, and then why.
pub fn show_project(context: &Context, project: &Project, json: bool, offline: bool) -> Result<ExitCode> {
    match project::open(context, project) {
        Ok((context, launch)) => show(&context, &*session::complete(&context, &launch)?, json, offline),
        Err(refused) => {
            answer(&json!({ "launch": project_json(project) }), None, &[], json)?;
            Err(refused)
        }
    }
}

fn answer(plan: &Value, policy: Option<&Policy>, steps: &[Step], json: bool) -> Result<()> {
    if json {
        ui::answer(&serde_json::to_string_pretty(plan).doing(|| "can't write the plan".into())?);
    } else {
        ui::answer(&text(plan, policy, steps));
    }
    Ok(())
}

/// The steps that make a box. What only becomes known on the way stands in capitals.
fn making_steps(session: &Session<'_>, launch: &Launch, steps: &mut Vec<Step>) -> Result<(String, Value)> {
    let sources = session.sources(launch)?;
    let mut resolved = session.resolve(launch, &Overrides::default(), &sources.0)?;
    let making = session.making(launch, &mut resolved, sources.1)?;
    if !resolved.builds.is_empty() {
        let tools = Cmd::engine(&session.engine, argv::run(&session.engine, making.tools_plan().named("RUN").plan()));
        steps.push(Step::new("tools", "the registry", &tools));
        let wheel = Cmd::engine(&session.engine, argv::run(&session.engine, making.wheel_plan().named("RUN").plan()));
        steps.push(Step::new("wheel", "nothing", &wheel));
    }
    let install = making.install_plan().named("RUN");
    let run = Cmd::engine(&session.engine, argv::run(&session.engine, install.plan()));
    steps.push(Step::new("install", "the registry", &run));
    let unknown = Lock { text: String::new(), packages: Vec::new(), bins: Vec::new(), files: Vec::new() };
    let name = making.image(&unknown);
    let image = format!("{}:LOCK", name.split_once(':').map_or(name.as_str(), |(name, _)| name));
    let commit = making.commit_plan("RUN", &image, Vec::new());
    steps.push(Step::new("commit", "nothing", &Cmd::engine(&session.engine, argv::commit(&session.engine, &commit))));
    let allowed = session.may_run(launch)?;
    if !allowed.is_empty() {
        let packages = allowed.into_iter().map(|name| (name.to_owned(), vec![format!("FOLDER/{name}")])).collect();
        let scripts = making.scripts_plan(&image, &packages);
        let scripts = Cmd::engine(&session.engine, argv::run(&session.engine, scripts.named("RUN").plan()));
        steps.push(Step::new("scripts", "nothing", &scripts));
    }
    let open = resolved.open.iter().map(ToString::to_string);
    let packages: Vec<String> = resolved.packages.iter().map(ToString::to_string).chain(open).collect();
    let json = json!({ "packages": packages, "base": making.base, "image": image, "locked": false });
    Ok((image, with_cutoff(json, resolved.cutoff.as_ref())))
}

fn with_cutoff(mut resolved: Value, cutoff: Option<&Cutoff>) -> Value {
    if let Some(Cutoff { moment, why }) = cutoff {
        resolved["cutoff"] = moment.clone().into();
        resolved["cutoff_why"] = why.clone().into();
    }
    resolved
}

fn launch_json(launch: &Launch) -> Value {
    let packages: Vec<String> = launch.packages.iter().map(ToString::to_string).collect();
    let args: Vec<_> = launch.args.iter().map(|arg| arg.to_string_lossy()).collect();
    let set: Vec<&str> = launch.environment.iter().map(|(name, _)| name.as_str()).collect();
    let mut json = json!({
        "launcher": launch.launcher.name(),
        "packages": packages,
        "command": launch.command,
        "call": launch.call,
        "args": args,
        "sets": set,
    });
    if let Some(local) = &launch.local {
        json["project"] = local.root.clone().into();
        json["python"] = launch.python.clone().into();
        json["constraints"] = local.constraints.lines().collect();
    }
    json
}

fn project_json(project: &Project) -> Value {
    let packages: Vec<String> = project.with.iter().map(ToString::to_string).collect();
    let args: Vec<_> = project.args.iter().map(|arg| arg.to_string_lossy()).collect();
    let options: Vec<String> = project
        .options
        .iter()
        .map(|(name, value)| value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}")))
        .collect();
    let (kind, command) = match &project.runs {
        Runs::Command(name) => ("command", name),
        Runs::Script(name) => ("script", name),
        Runs::Module(name) => ("module", name),
    };
    json!({
        "launcher": project.launcher.name(),
        "project": project.folder,
        "directory": project.directory,
        "options": options,
        "packages": packages,
        "requirements": project.files,
        kind: command,
        "args": args,
    })
}

fn text(plan: &Value, policy: Option<&Policy>, steps: &[Step]) -> String {
    let mut out = String::new();
    for part in ["launch", "resolved"] {
        if let Some(Value::Object(fields)) = plan.get(part) {
            out.push_str(part);
            out.push('\n');
            for (name, value) in fields {
                out.push_str(&format!("  {name}: {value}\n"));
            }
        }
    }
    if let Some(policy) = policy {
        out.push_str(&format!("policy, at level {}\n", policy.level));
        reasons(policy).iter().for_each(|(what, why)| out.push_str(&format!("  {what}  ({why})\n")));
        for (path, why) in &policy.not_mounted {
            out.push_str(&format!("  `{}` {why}\n", ui::plainly(path)));
        }
        if !policy.held_back.is_empty() {
            out.push_str(&format!("  not passed on: {}\n", policy.held_back.join(", ")));
        }
    }
    for step in steps {
        out.push_str(&format!("step {} (reaches {})\n  {}\n", step.step, step.reaches, step.shown));
    }
    out
}

/// Everything that the program has, each with the reason.
fn reasons(policy: &Policy) -> Vec<(String, String)> {
    let network = if policy.network == Network::None { "no network" } else { "the engine's network" };
    let mut all = vec![(network.to_owned(), policy.network_why.to_string())];
    for Mounted { mount, why, .. } in &policy.mounts {
        let access = if mount.writable { "change" } else { "read" };
        all.push((format!("{access} {}", mount.target.display()), why.to_string()));
    }
    all.extend(policy.environment.iter().map(|(name, why)| (format!("variable {name}"), why.to_string())));
    for relaxation in &policy.relaxed {
        all.push((format!("system calls of {relaxation}"), policy::reason::Reason::Recipe.to_string()));
    }
    let limits = policy.limits;
    let values = [
        ("memory", format!("{} MiB", limits.memory >> 20)),
        ("cpus", limits.cpus.to_string()),
        ("pids", limits.pids.to_string()),
    ];
    for (name, value) in values {
        let why = policy.limits_why.get(name).map(ToString::to_string).unwrap_or_default();
        all.push((format!("{name} {value}"), why));
    }
    all.push((format!("starts in {}", policy.cwd.display()), format!("as {}", user(policy.user))));
    all
}

fn user(user: User) -> String {
    match user {
        User::Nobody => format!("user {BOX_ID}, who owns nothing"),
        User::Mapped => "you, who are mapped to another user in the box".to_owned(),
        User::Caller { uid, gid } => format!("user {uid}, group {gid}"),
    }
}

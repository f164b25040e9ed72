//! `jitbox build`: a box with something besides what its line says.

use std::ffi::OsString;
use std::process::ExitCode;

use super::{attempts, ls, update};
use crate::context::Context;
use crate::error::{Doing, Error, Kind, Result};
use crate::launch::{self, Launch, Request, tool};
use crate::package::Ecosystem;
use crate::policy::grant::What;
use crate::registry::settings::Settings;
use crate::session::Session;
use crate::session::build::{Build, How};
use crate::session::grantee;
use crate::session::update::{launch_for, launch_of};
use crate::state::overrides::Overrides;
use crate::state::{Layout, grants};
use crate::ui;

/// Which box, and with what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A name as `jitbox ls` or `jitbox attempts` shows it, or a new package as `npm:NAME` or `pypi:NAME`
    #[arg(value_name = "NAME", required_unless_present = "line")]
    name: Option<String>,
    /// A Debian package to have in it
    #[arg(long, value_name = "PACKAGE")]
    apt: Vec<String>,
    /// The base image
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// npm: a version or range of Node
    #[arg(long, value_name = "VERSION")]
    node: Option<String>,
    /// PyPI: a version or range of Python
    #[arg(long, value_name = "VERSION")]
    python: Option<String>,
    /// Another package, or another version of one that is there anyway: `mcp<2`
    #[arg(long, value_name = "SPEC")]
    with: Vec<String>,
    /// PyPI: a package without a wheel, to be built from source in a container that reaches nothing
    #[arg(long, value_name = "SPEC")]
    sdist: Vec<String>,
    /// Allow the install scripts of this npm package, as `jitbox allow --scripts` does
    #[arg(long, value_name = "NAME")]
    script_ok: Vec<String>,
    /// Begin with the line alone, and not with what the last attempt was made with
    #[arg(long)]
    afresh: bool,
    /// Where it is known why an attempt fails, make another one with what that takes, up to three times
    #[arg(long)]
    fix: bool,
    /// Take a server that does not answer, or at level strict offers something else than before
    #[arg(long)]
    accept: bool,
    /// Machine-readable
    #[arg(long)]
    json: bool,
    /// In place of a name, a whole line: `-- npx -y pkg`
    #[arg(last = true, value_name = "LINE", conflicts_with = "name")]
    line: Vec<OsString>,
}

/// Builds it.
pub fn run(context: &Context, args: &Args) -> Result<ExitCode> {
    let layout = Layout::new(context);
    let launch = match &args.name {
        Some(name) => named(&layout, name)?,
        None => typed(&args.line)?,
    };
    let launch = &*crate::session::complete(context, &launch)?;
    allow_scripts(context, &layout, launch, &args.script_ok)?;
    let overrides = Overrides {
        apt: args.apt.clone(),
        base: args.base.clone(),
        node: args.node.clone(),
        python: args.python.clone(),
        with: args.with.clone(),
        sdist: args.sdist.clone(),
    };
    let how = How { overrides, afresh: args.afresh, fix: args.fix, accept: args.accept };
    let built = Session::open(context)?.build_anew(launch, &how)?;
    match (built, args.json) {
        (built, true) => ui::answer(&serde_json::to_string_pretty(&built).doing(|| "can't write the box".into())?),
        (Some(built), false) => ui::answer(&text(&built)),
        (None, false) => ui::note("the box that there is has all of that"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The line of a box, of the last attempt of that name, or of a package that has neither.
fn named(layout: &Layout, name: &str) -> Result<Launch> {
    let kinds = [("npm:", Ecosystem::Npm, &["npx", "-y"][..]), ("pypi:", Ecosystem::Pypi, &["uvx"])];
    let typed_kind =
        kinds.into_iter().find_map(|(prefix, kind, words)| Some((kind, words, name.strip_prefix(prefix)?)));
    let plain = typed_kind.map_or(name, |(_, _, plain)| plain);
    let is_meant = |ecosystem| typed_kind.is_none_or(|(kind, ..)| kind == ecosystem);
    let mut records = match ls::named(layout, plain) {
        Err(e) if e.kind == Kind::NotFound => Vec::new(),
        records => records?,
    };
    records.retain(|record| is_meant(record.request.ecosystem));
    if !records.is_empty() {
        return launch_of(ls::only(&records, "jitbox build", name)?);
    }
    let tried = attempts::called(layout, Some(plain)).unwrap_or_default();
    let tried = tried.iter().filter(|attempt| is_meant(attempt.request.ecosystem));
    if let Some(last) = tried.max_by_key(|attempt| attempt.started) {
        return launch_for(&last.request);
    }
    let Some((_, words, plain)) = typed_kind else {
        let quoted = |kind| shell_words::quote(&format!("{kind}:{name}")).into_owned();
        return Err(Error::not_found(format!("no box is called `{name}`, and there was no attempt to make one"))
            .hint(format!("jitbox build {}", quoted("npm")))
            .hint(format!("jitbox build {}", quoted("pypi"))));
    };
    typed(&words.iter().chain([&plain]).map(OsString::from).collect::<Vec<_>>())
}

fn typed(line: &[OsString]) -> Result<Launch> {
    match launch::parse_line(&tool::typed(line.to_vec()))?.1 {
        Request::Run(launch) => Ok(launch),
        _ => Err(Error::usage("the line names no package").hint("jitbox build … -- npx -y pkg")),
    }
}

fn allow_scripts(context: &Context, layout: &Layout, launch: &Launch, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    if launch.launcher.ecosystem() != Ecosystem::Npm {
        return Err(
            Error::usage("`--script-ok` is for packages of npm").hint("what PyPI has only as source: --sdist NAME")
        );
    }
    let (settings, registry) = (Settings::load(context), launch.registry.as_deref());
    let holders = launch.packages.iter().map(|spec| grantee::holder(&settings, spec, registry));
    let holders = holders.collect::<Result<Vec<_>>>()?;
    let scripts: Vec<What> = names.iter().cloned().map(What::Scripts).collect();
    scripts.iter().try_for_each(|what| what.check().map_err(Error::usage))?;
    grants::change(layout, context.uid, |grants| {
        for holder in &holders {
            scripts.iter().for_each(|what| grants.allow(holder, what.clone(), None));
        }
        Ok(())
    })
}

/// What a person reads.
fn text(built: &Build) -> String {
    let mut lines = vec![format!("{} is {}", built.name, built.packages.join(" "))];
    let mut line = |what: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("  {what} {text}"));
        }
    };
    line("base", built.base.clone());
    line("with", shell_words::join(built.overrides.options()));
    line("tools", built.tools.map(|count| count.to_string()).unwrap_or_default());
    line("not asked:", built.not_asked.clone().unwrap_or_default());
    lines.extend(built.offers.iter().flat_map(update::offered));
    lines.extend(built.tried.iter().map(|tried| format!("  attempt {} failed: {}", tried.attempt, tried.why)));
    lines.join("\n")
}

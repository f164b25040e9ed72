//! What `jitbox allow`, `deny` and `grants` have in common: whom a grant is for, and what it says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::launch::{self, Request, tool};
use crate::package::npm::{NpmRequest, NpmSpec};
use crate::package::pypi::{PypiRequest, PypiSpec};
use crate::package::source::Source;
use crate::package::{Ecosystem, PackageSpec, shown};
use crate::policy::environment::host_shaped;
use crate::policy::grant::{Address, LOCAL, Net, What, local};
use crate::policy::paths;
use crate::policy::secret::{Reference, Secret};
use crate::registry::settings::{Settings, expand_home};
use crate::session::grantee::{self, Grantee};
use crate::session::{self, project};
use crate::state::grants::{Grants, Holder};
use crate::state::{Layout, boxes};
use crate::ui;

/// Whom a grant is for.
#[derive(Debug, clap::Args)]
pub struct Whom {
    /// Packages, as `npm:NAME` or `pypi:NAME`, or code of a folder, as `local:FOLDER`
    #[arg(value_name = "PACKAGE")]
    packages: Vec<String>,
    /// The packages are npm's
    #[arg(long, conflicts_with = "pypi")]
    npm: bool,
    /// The packages are PyPI's
    #[arg(long)]
    pypi: bool,
    /// Where they come from, if not from where your settings say
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// In place of packages, one exact line: `-- npx -y -p pkg node script.js`
    #[arg(last = true, value_name = "LINE")]
    line: Vec<OsString>,
}

/// What is granted.
#[derive(Debug, clap::Args)]
pub struct Kinds {
    /// A file or folder to read
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// A file or folder to change
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// A folder to change when the program is started in it or below it
    #[arg(long, value_name = "FOLDER")]
    work: Vec<PathBuf>,
    /// A variable of the environment, or one whose value is kept in the keyring (`NAME=keyring:SERVICE/ACCOUNT`),
    /// in a file (`NAME=file:PATH`), or is what a command prints (`NAME=cmd:COMMAND`)
    #[arg(long, value_name = "NAME[=REFERENCE]")]
    env: Vec<String>,
    /// A host to reach, as `api.example.com` or `*.example.com:443`
    #[arg(long, value_name = "HOST[:PORT]")]
    host: Vec<String>,
    /// Which network
    #[arg(long)]
    net: Option<Net>,
    /// How much memory, as `1g`
    #[arg(long)]
    memory: Option<String>,
    /// How many processors
    #[arg(long)]
    cpus: Option<f64>,
    /// How many processes and threads
    #[arg(long)]
    pids: Option<u32>,
    /// Releases that are younger than the level, or config.toml, lets them be
    #[arg(long)]
    young: bool,
    /// The install scripts of an npm package, this one or one that it needs, in a container without a network
    #[arg(long, value_name = "NAME")]
    scripts: Vec<String>,
}

impl Whom {
    /// Whether nobody is named.
    pub fn is_nobody(&self) -> bool {
        self.packages.is_empty() && self.line.is_empty()
    }

    /// The holders that are meant.
    pub fn holders(&self, context: &Context, verb: &str) -> Result<Vec<Holder>> {
        let settings = Settings::load(context);
        if !self.line.is_empty() {
            if !self.packages.is_empty() {
                return Err(Error::usage("either packages or a line").hint(format!("jitbox {verb} … -- npx -y pkg")));
            }
            return line_holder(context, &settings, &self.line).map(|holder| vec![holder]);
        }
        if self.packages.is_empty() {
            return Err(Error::usage("no package is named").hint(format!("jitbox {verb} npm:NAME …")));
        }
        let holder = |text: &String| {
            if let Some(folder) = text.strip_prefix(LOCAL) {
                // No shell completes a `~` behind a `:`.
                return session::local::holder(&real(context, &expand_home(context, folder)));
            }
            let (ecosystem, name) = self.ecosystem(context, text)?;
            settings.check(ecosystem)?;
            grantee::holder(&settings, &parse(ecosystem, name)?, self.registry.as_deref())
        };
        self.packages.iter().map(holder).collect()
    }

    /// Which ecosystem a package is of: what is said, else what there is only one of.
    fn ecosystem<'a>(&self, context: &Context, text: &'a str) -> Result<(Ecosystem, &'a str)> {
        if let Some(name) = text.strip_prefix("npm:") {
            return Ok((Ecosystem::Npm, name));
        }
        if let Some(name) = text.strip_prefix("pypi:") {
            return Ok((Ecosystem::Pypi, name));
        }
        if self.npm || text.starts_with('@') {
            return Ok((Ecosystem::Npm, text));
        }
        if self.pypi {
            return Ok((Ecosystem::Pypi, text));
        }
        let layout = Layout::new(context);
        let mut known: Vec<Ecosystem> = boxes::all(&layout)?
            .iter()
            .flat_map(|record| &record.packages)
            .filter(|package| package.name() == text)
            .map(crate::package::PinnedPackage::ecosystem)
            .collect();
        let grants = Grants::load(&layout, context.uid)?;
        for ecosystem in [Ecosystem::Npm, Ecosystem::Pypi] {
            let package = format!("{ecosystem}:{text}");
            known.extend(grants.entries.iter().filter(|e| e.holder.package == package).map(|_| ecosystem));
        }
        known.sort_unstable();
        known.dedup();
        match known[..] {
            [only] => Ok((only, text)),
            _ => Err(Error::usage(format!("`{}` could be of npm or of PyPI", shown(text)))
                .hint(typed_with(context, text, Ecosystem::Npm))
                .hint(typed_with(context, text, Ecosystem::Pypi))),
        }
    }
}

/// What was typed, with the package's ecosystem.
fn typed_with(context: &Context, name: &str, ecosystem: Ecosystem) -> String {
    let full = format!("{ecosystem}:{name}");
    let words = context.args.iter().map(|word| if word == name { full.clone().into() } else { word.to_string_lossy() });
    shell_words::join(std::iter::once("jitbox".into()).chain(words))
}

fn parse(ecosystem: Ecosystem, name: &str) -> Result<PackageSpec> {
    let (spec, plain) = match ecosystem {
        Ecosystem::Npm => {
            let spec = NpmSpec::parse(name)?;
            let plain = matches!(spec.request, NpmRequest::Any | NpmRequest::Source(_));
            (PackageSpec::Npm(spec), plain)
        }
        Ecosystem::Pypi => {
            let spec = PypiSpec::parse_command(name)?;
            let plain = matches!(spec.request, PypiRequest::Any | PypiRequest::Source(_));
            (PackageSpec::Pypi(spec), plain)
        }
    };
    if let Some(Source::Typed(typed)) = spec.source() {
        return Err(Error::usage(format!("`{}` is on this machine", shown(name)))
            .hint(format!("write {}", shell_words::quote(&local(&typed.path)))));
    }
    if plain {
        return Ok(spec);
    }
    Err(Error::usage(format!("`{}` names a version, and grants are for all of them", shown(name)))
        .hint(format!("write {ecosystem}:{}", spec.name())))
}

fn line_holder(context: &Context, settings: &Settings, line: &[OsString]) -> Result<Holder> {
    let launch = match launch::parse_line(&tool::typed(line.to_vec()))?.1 {
        Request::Run(launch) => launch,
        Request::Local(project) => return project::line_holder(context, &project),
        Request::Help | Request::Version => {
            return Err(Error::usage("the line runs no package").hint("jitbox allow … -- npx -y pkg"));
        }
    };
    settings.check(launch.launcher.ecosystem())?;
    Grantee::of(settings, &*session::local::locate(context, &launch)?, None)?
        .line
        .ok_or_else(|| Error::refused("a line with bytes that are no text can't be kept"))
}

impl Kinds {
    /// What is meant, in the order of the options. Paths become absolute and real.
    pub fn all(&self, context: &Context) -> Result<Vec<What>> {
        let real = |path: &PathBuf| real(context, path);
        let mut all: Vec<What> = Vec::new();
        for (paths, what) in
            [(&self.read, What::Read as fn(PathBuf) -> What), (&self.write, What::Write), (&self.work, What::Work)]
        {
            all.extend(paths.iter().map(|path| what(real(path))));
        }
        for text in &self.env {
            all.push(variable(context, text)?);
        }
        for host in &self.host {
            all.push(What::Host(Address::parse(host).map_err(Error::usage)?));
        }
        all.extend(self.net.map(What::Net));
        if let Some(text) = &self.memory {
            let bytes = config::parse_bytes(text);
            let bytes = bytes.ok_or_else(|| Error::usage(format!("`{}` is not a size, like 512m", shown(text))))?;
            all.push(What::Memory(bytes));
        }
        all.extend(self.cpus.map(What::Cpus));
        all.extend(self.pids.map(What::Pids));
        all.extend(self.young.then_some(What::Young));
        all.extend(self.scripts.iter().cloned().map(What::Scripts));
        for what in &all {
            what.check().map_err(Error::usage)?;
            if let Some(name) = what.variable()
                && host_shaped(name.as_ref())
            {
                return Err(Error::refused(format!("`{name}` of this machine means nothing in a box")));
            }
            if let What::Read(path) | What::Write(path) | What::Work(path) = what
                && path.to_str().is_none()
            {
                return Err(Error::refused(format!("`{}` is not UTF-8, and can't be kept", path.display())));
            }
        }
        Ok(all)
    }
}

/// Says of what counts when a box is made that it does.
pub fn note_about_boxes(all: &[What]) {
    if all.contains(&What::Young) {
        ui::note("a box that is there stays as it is; `jitbox rm` has it made anew");
    }
}

/// A variable, or one whose value is kept elsewhere.
fn variable(context: &Context, text: &str) -> Result<What> {
    let Some((name, from)) = text.split_once('=') else { return Ok(What::Env(text.to_owned())) };
    // A link is kept as one: what renews secrets often moves links.
    let whole = |path| format!("file:{}", paths::plain(&context.cwd.join(expand_home(context, path))).display());
    let from = from.strip_prefix("file:").map_or_else(|| from.to_owned(), whole);
    let from = Reference::parse(&from).map_err(|why| Error::usage(format!("`--env {}=…`: {why}", shown(name))))?;
    Ok(What::Secret(Secret { name: name.to_owned(), from }))
}

/// The real path, as far as there is one: what is gone can still be taken back.
fn real(context: &Context, path: &Path) -> PathBuf {
    let path = paths::plain(&context.cwd.join(path));
    path.canonicalize().unwrap_or(path)
}

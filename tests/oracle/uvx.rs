//! The real uvx, pointed at an index of ours.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use jitbox::launch::option::uvx::TABLE;
use jitbox::launch::option::{Arity, Effect};
use jitbox::launch::{Launch, Launcher, Request, requirements};
use jitbox::package::PackageSpec;
use jitbox::package::pypi::{PypiName, PypiRequest, PypiSpec};
use pep440_rs::Version;

use super::index::{Asked, Index, VERSIONS};
use super::lines::{self, Line, ours};
use super::{clean, not_checked, output};

/// So many of the generated lines are taken that uvx is asked about 2000.
const GENERATED: usize = 2900;

/// What is in the one file of requirements that a line can name, `r.txt`.
const REQUIREMENTS: &str = "# some\nreq.a==1.2 # one\n\nreq_b[x]>=1 ; os_name=='posix'\nreq-c; os_name=='nt'\n";

/// A uv from PyPI, and a home for it.
pub struct Uv {
    folder: tempfile::TempDir,
    program: PathBuf,
    /// Where there is one interpreter, and none of a version manager's stand-ins.
    path: String,
}

/// What uvx did with a line.
pub struct Did {
    asked: Asked,
    /// Of the index that the line itself names.
    asked_own: Asked,
    status: Option<i32>,
    stdout: Vec<u8>,
    pub stderr: String,
    /// The line forbids all Pythons but uv's own, of which there is none here.
    managed: bool,
}

/// Fetched once for all of these tests, and removed by the last of them.
pub fn uv() -> Option<std::sync::Arc<Uv>> {
    static UV: OnceLock<Mutex<std::sync::Weak<Uv>>> = OnceLock::new();
    let mut kept = UV.get_or_init(Mutex::default).lock().unwrap();
    if let Some(uv) = kept.upgrade() {
        return Some(uv);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "uv>=0.9,<0.14"]);
    if let Err(why) = output(install.arg("--target").arg(folder.path().join("uv"))) {
        not_checked(&why);
        return None;
    }
    let program = folder.path().join("uv/bin/uvx");
    let python =
        output(Command::new("python3").args(["-c", "import os, sys; print(os.path.realpath(sys.executable))"]));
    let path = format!("{}:/usr/bin:/bin", Path::new(&python.unwrap()).parent().unwrap().display());
    let uv = std::sync::Arc::new(Uv { folder, program, path });
    *kept = std::sync::Arc::downgrade(&uv);
    Some(uv)
}

impl Uv {
    /// A command in a folder of its own, which the line can't get out of.
    fn command(&self, name: &str) -> Command {
        let home = self.folder.path().join(name);
        std::fs::create_dir_all(&home).unwrap();
        if !home.join("r.txt").exists() {
            // Whole or not at all: others read it at the same time.
            let mut file = tempfile::NamedTempFile::new_in(&home).unwrap();
            file.write_all(REQUIREMENTS.as_bytes()).unwrap();
            file.persist(home.join("r.txt")).unwrap();
        }
        let mut command = clean(&self.program, &home);
        command.env("UV_CACHE_DIR", self.folder.path().join("cache"));
        command.env("UV_PYTHON_DOWNLOADS", "never").env("UV_HTTP_RETRIES", "0");
        command.env("PATH", &self.path).stdin(Stdio::null());
        command
    }

    /// uv, with this machine's way to the index.
    pub fn itself(&self) -> Command {
        let mut command = Command::new(self.program.with_file_name("uv"));
        command.env("UV_PYTHON_DOWNLOADS", "never").env("PATH", &self.path).stdin(Stdio::null());
        command
    }

    pub fn run(&self, index: &Index, name: &str, line: &[String]) -> Did {
        // `--default-index` is stronger than this, and `--index-url` is it.
        let output = self.command("home").env("UV_INDEX_URL", index.url(name)).args(line).output().unwrap();
        Did {
            asked: index.asked(name),
            asked_own: index.asked(&own(name)),
            status: output.status.code(),
            stdout: output.stdout,
            managed: line.iter().any(|word| word.contains("managed")),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The name of the index that `{own}` stands for in the line of this name.
fn own(name: &str) -> String {
    format!("{name}-own")
}

/// Every option of `uvx --help` stands in the table as what it is.
pub fn options() {
    let Some(uv) = uv() else { return };
    let help = output(uv.command("help").arg("--help")).unwrap();
    let mut seen = 0;
    // An option's names stand before two spaces, if anything follows them; a hyphen and a space start an item of a list.
    let rows = help.lines().map(str::trim).filter(|line| line.starts_with('-') && !line.starts_with("- "));
    for line in rows.map(|line| line.split("  ").next().unwrap_or(line)) {
        let takes_value = line.contains('<');
        let names =
            line.split([',', ' ']).filter(|word| word.starts_with('-')).map(|word| word.trim_end_matches("..."));
        for name in names {
            seen += 1;
            let row = TABLE.find(name).unwrap_or_else(|| panic!("`{name}` is not in the table: {line}"));
            assert_eq!(row.arity == Arity::Value, takes_value, "{line}");
        }
    }
    assert!(seen > 60, "{help}");
    // And what is in the table is an option of uvx, or is refused.
    for name in TABLE.names() {
        let row = TABLE.find(name).unwrap();
        let mut command = uv.command("help");
        let output = if row.arity == Arity::Value { command.args([name, "x"]) } else { command.arg(name) }
            .arg("--help")
            .output();
        let refused = matches!(row.effect, Effect::Refused(_));
        let text = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
        assert!(refused || !text.contains("unexpected argument"), "{name}: {text}");
    }
}

/// For every line that is taken, uvx asks the index for the same packages, and chooses a version that is asked for.
pub fn asks_for() {
    let Some(uv) = uv() else { return };
    let taken = each(&uv, lines::all(Launcher::Uvx, GENERATED), |index, name, line, request| {
        let did = uv.run(index, name, line);
        match request {
            Request::Run(launch) => same_packages(launch, &did),
            _ => printed(&did),
        }
    });
    eprintln!("{taken} lines");
    assert!(taken > 2000, "{taken}");
}

/// The published lines and the edge cases are run: the command is there by our name, and gets the same arguments.
pub fn runs() {
    let Some(uv) = uv() else { return };
    let started = AtomicUsize::new(0);
    each(&uv, lines::all(Launcher::Uvx, 0), |index, name, line, request| {
        let Request::Run(launch) = request else { return Ok(()) };
        let Some(command) = command(launch) else { return Ok(()) };
        // What Windows calls `x.exe` is `x` for us, and uvx does not know it here.
        if line.iter().any(|word| word.strip_suffix(".exe") == Some(&command)) {
            return Ok(());
        }
        index.offer(name, &command);
        index.offer(&own(name), &command);
        let did = uv.run(index, name, line);
        if lacks_python(launch, &did) {
            return Ok(());
        }
        started.fetch_add(1, Ordering::Relaxed);
        let args: String = launch.args.iter().map(|arg| format!("{}\0", arg.to_str().unwrap())).collect();
        let same = did.status == Some(0) && did.stdout == format!("run\0{args}").into_bytes();
        if same { same_packages(launch, &did) } else { Err(said(&did)) }
    });
    let started = started.into_inner();
    eprintln!("{started} lines");
    assert!(started > 80, "{started}");
}

/// The executable that we start, if it is a package's.
fn command(launch: &Launch) -> Option<String> {
    let command = match (&launch.command, launch.packages.first()?) {
        (Some(command), _) => command.clone(),
        (None, PackageSpec::Pypi(spec)) => spec.typed.clone(),
        (None, _) => return None,
    };
    (!command.starts_with("python")).then_some(command)
}

/// Hands every line that we take to `judge`, with an index's name for it, and says how many there were.
fn each(
    uv: &Uv,
    lines: Vec<Line>,
    judge: impl Fn(&Index, &str, &Line, &Request) -> Result<(), String> + Sync,
) -> usize {
    let index = Index::start();
    // Finds the interpreters, which all others then know.
    uv.run(&index, "first", &["pkg".to_owned()]);
    let (next, taken, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(line) = lines.get(number) else { return };
                    let name = number.to_string();
                    let url = index.url(&own(&name));
                    let line: Line = line.iter().map(|word| word.replace("{own}", &url)).collect();
                    let Ok(request) = ours(Launcher::Uvx, &line) else { continue };
                    // uvx would ask that host, and not our index.
                    let Some(request) = with_files(request).filter(|request| !is_elsewhere(request)) else { continue };
                    taken.fetch_add(1, Ordering::Relaxed);
                    if let Err(why) = judge(&index, &name, &line, &request) {
                        wrong.lock().unwrap().push(format!("{line:?}: {request:?}\n    uvx: {why}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    taken.into_inner()
}

/// The line with the packages of its files; `None` if it names others than the one that is there.
fn with_files(mut request: Request) -> Option<Request> {
    if let Request::Run(launch) = &mut request {
        for file in std::mem::take(&mut launch.files) {
            let all = (file == "r.txt").then(|| requirements::parse(REQUIREMENTS).unwrap())?;
            let needed = all
                .into_iter()
                .filter(|one| one.marker.as_ref().is_none_or(|marker| marker.holds(&["3.12".to_owned()]).unwrap()));
            launch.packages.extend(needed.map(|one| PackageSpec::Pypi(one.spec)));
        }
    }
    Some(request)
}

/// Whether a package of the line is in no index.
fn is_elsewhere(request: &Request) -> bool {
    let Request::Run(launch) = request else { return false };
    let sourced =
        |spec: &PackageSpec| matches!(spec, PackageSpec::Pypi(spec) if matches!(spec.request, PypiRequest::Source(_)));
    launch.packages.iter().any(sourced)
}

fn said(did: &Did) -> String {
    let stdout = String::from_utf8_lossy(&did.stdout);
    format!("{:?}, asked for {:?} and {:?}: {stdout}{}", did.status, did.asked, did.asked_own, did.stderr)
}

/// `--help` or `--version`: nothing was asked for.
fn printed(did: &Did) -> Result<(), String> {
    let nothing = did.asked.is_empty() && did.asked_own.is_empty();
    if nothing && did.status == Some(0) && !did.stdout.is_empty() { Ok(()) } else { Err(said(did)) }
}

fn same_packages(launch: &Launch, did: &Did) -> Result<(), String> {
    let (asked, other) =
        if launch.registry.is_some() { (&did.asked_own, &did.asked) } else { (&did.asked, &did.asked_own) };
    // clap's last words: the line could not be read.
    let unread = did.stderr.contains("For more information, try '--help'");
    if lacks_python(launch, did) {
        return if asked.is_empty() && !unread { Ok(()) } else { Err(said(did)) };
    }
    let specs: Vec<&PypiSpec> =
        launch.packages.iter().filter_map(|p| if let PackageSpec::Pypi(p) = p { Some(p) } else { None }).collect();
    let mut names: Vec<&str> = specs.iter().filter_map(|spec| spec.name.as_ref()).map(PypiName::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let same = asked.keys().map(String::as_str).eq(names) && other.is_empty() && !unread;
    let chosen = asked.iter().all(|(name, version)| {
        let of_it = |spec: &&&PypiSpec| spec.name.as_ref().is_some_and(|known| known.as_str() == name);
        let wanted = specs.iter().filter(of_it).map(|spec| &spec.request);
        is_best(version.as_deref(), &wanted.collect::<Vec<_>>(), launch.prerelease)
    });
    // Where nothing fits for one package, uv may give up before it chooses for the others.
    let hopeless = did.stderr.contains("No solution found");
    if same && (chosen || hopeless) { Ok(()) } else { Err(said(did)) }
}

/// Whether there is no such Python here, which uv looks for first.
fn lacks_python(launch: &Launch, did: &Did) -> bool {
    let missing = did.stderr.contains("No interpreter found") || did.stderr.contains("No download found");
    // `-qq` says nothing at all.
    let silent = did.managed && did.stderr.is_empty() && did.status == Some(2);
    silent
        || missing
            && match launch.python.as_deref() {
                Some(version) => did.stderr.contains(version.trim_start_matches(['<', '>', '=', '~', '!'])),
                // `--managed-python`: none of uv's own.
                None => !did.stderr.contains("for Python"),
            }
}

/// Whether it is the newest of the index's versions that fits all of the requests.
fn is_best(version: Option<&str>, wanted: &[&PypiRequest], prerelease: bool) -> bool {
    let fits = |version: &Version| {
        wanted.iter().all(|request| match request {
            PypiRequest::Any | PypiRequest::Latest => prerelease || !version.any_prerelease(),
            PypiRequest::Specifiers(specifiers) => {
                let named = specifiers.iter().any(|s| s.version().any_prerelease());
                specifiers.contains(version) && (prerelease || named || !version.any_prerelease())
            }
            PypiRequest::Source(_) => false,
        })
    };
    let versions = VERSIONS.iter().map(|text| Version::from_str(text).unwrap());
    let best = versions.filter(fits).max();
    best == version.map(|text| Version::from_str(text).unwrap())
}

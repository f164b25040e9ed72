//! The two packages, the host that they attack, and running them with and without a box.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::Ecosystem;
use super::table::{Outcome, Probe};
use crate::support::home::Line;
use crate::support::run::{collect, finish};
use crate::support::web::{Web, wheels_in};
use crate::support::{Done, Home, run};

/// Who in a list of processes is the host's.
const MARK: &str = "jitbox-abuse-host";

/// The packages as files, where they can be had, and the lines that make their boxes.
pub struct Fixture {
    _web: Web,
    dir: tempfile::TempDir,
    lines: [Line; 2],
    pub host: Host,
}

static FIXTURE: Mutex<Option<std::sync::Arc<Fixture>>> = Mutex::new(None);

/// Removes everything.
pub fn end() {
    FIXTURE.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Made at first use.
pub fn get() -> std::sync::Arc<Fixture> {
    FIXTURE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| Fixture::new().into()).clone()
}

fn compile(source: &str, to: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let mut cc = Command::new("cc");
    cc.args(["-static", "-Os", "-o"]).arg(to).arg(source);
    run(cc, b"").ok();
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("jitbox-test-").tempdir_in("/tmp").unwrap();
        let web = Web::start();
        let lines = [Self::npm(dir.path(), &web), Self::pypi(dir.path(), &web)];
        let host = Host::new(dir.path());
        Self { _web: web, dir, lines, host }
    }

    fn npm(dir: &Path, web: &Web) -> Line {
        let package = dir.join("npm");
        std::fs::create_dir(&package).unwrap();
        for (name, text) in [
            ("cli.js", include_str!("fixtures/npm/cli.js")),
            ("package.json", include_str!("fixtures/npm/package.json")),
        ] {
            std::fs::write(package.join(name), text).unwrap();
        }
        compile("abuse/fixtures/helper.c", &package.join("helper"));
        compile("probe/seccomp.c", &package.join("system-calls"));
        let mut npm = Command::new("npm");
        npm.args(["pack", "--silent", "--ignore-scripts", "--cache"]).arg(dir.join("cache")).current_dir(&package);
        run(npm, b"").ok();
        let url = web.put("jitbox-abuse-1.0.0.tgz", std::fs::read(package.join("jitbox-abuse-1.0.0.tgz")).unwrap());
        line("npx-safe", &["-y", &url])
    }

    fn pypi(dir: &Path, web: &Web) -> Line {
        let package = dir.join("pypi");
        std::fs::create_dir(&package).unwrap();
        let module = include_str!("fixtures/pypi/jitbox_abuse.py");
        let pth = include_str!("fixtures/pypi/jitbox_abuse.pth");
        for (name, text) in [("jitbox_abuse.py", module), ("jitbox_abuse.pth", pth)] {
            std::fs::write(package.join(name), text).unwrap();
        }
        let files = json!({ "jitbox_abuse.py": module, "jitbox_abuse.pth": pth });
        let wheel = json!({ "name": "jitbox-abuse", "version": "1.0.0", "files": files, "main": "jitbox_abuse:main" });
        wheels_in(&package, &json!([wheel]));
        let name = "jitbox_abuse-1.0.0-py3-none-any.whl";
        let url = web.put(name, std::fs::read(package.join(name)).unwrap());
        line("uvx-safe", &["--from", &url, "jitbox-abuse"])
    }

    /// The line that runs the package, and that makes its box.
    pub fn line(&self, ecosystem: Ecosystem) -> &Line {
        &self.lines[ecosystem as usize]
    }

    /// What the attempts are told.
    fn order(&self, probes: &[(&Probe, &[String])], work: &Path) -> Vec<u8> {
        let told = |(probe, words): &(&Probe, &[String])| {
            let words: Vec<String> = words.iter().map(|word| self.fill_in(word, work)).collect();
            json!({ "id": probe.id, "try": words })
        };
        json!({ "probes": probes.iter().map(told).collect::<Vec<_>>() }).to_string().into_bytes()
    }

    fn fill_in(&self, word: &str, work: &Path) -> String {
        self.host.fill_in(word).replace("${work}", work.to_str().unwrap())
    }

    /// A project of somebody's.
    fn work(&self, name: &str, owner: (u32, u32)) -> PathBuf {
        let dir = self.host.dir.join(format!("work-{name}"));
        if dir.exists() {
            return dir;
        }
        for folder in [".git/hooks", ".vscode", "sub/.git/hooks"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
        }
        for file in [".git/hooks/pre-commit", ".git/config", ".gitmodules", ".envrc", "plain"] {
            std::fs::write(dir.join(file), "old\n").unwrap();
        }
        std::os::unix::fs::symlink(".git/hooks/pre-commit", dir.join("link")).unwrap();
        let mut chown = Command::new("chown");
        chown.args(["-Rh", &format!("{}:{}", owner.0, owner.1)]).arg(&dir);
        run(chown, b"").ok();
        dir
    }

    /// Makes the attempts in a box: in one start, but for those that need their own.
    pub fn in_box(&self, home: &Home, ecosystem: Ecosystem, probes: &[&Probe]) -> BTreeMap<String, Outcome> {
        let (alone, rest): (Vec<&Probe>, Vec<&Probe>) = probes.iter().partition(|probe| probe.alone);
        let mut together: BTreeMap<Option<&str>, Vec<&Probe>> = BTreeMap::new();
        for probe in rest {
            together.entry(probe.mounted.as_deref()).or_default().push(probe);
        }
        let starts = together.into_values().chain(alone.into_iter().map(|probe| vec![probe]));
        let mut all = BTreeMap::new();
        for start in starts {
            let done = self.start(home, ecosystem, &start);
            let mut outcomes = outcomes(&done);
            if start[0].alone && outcomes.is_empty() && done.code() == 137 {
                outcomes.insert(start[0].id.clone(), Outcome::Denied("the box was ended".into()));
            }
            for probe in start {
                let outcome = outcomes.remove(&probe.id).unwrap_or(Outcome::NoAnswer);
                if outcome == Outcome::NoAnswer {
                    eprintln!("{} {ecosystem:?} {}: {}", home.lane.name, probe.id, done.words());
                }
                let unknown = outcome == Outcome::Denied("unknown here".into()) && home.lane.is_gvisor();
                all.insert(probe.id.clone(), if unknown { Outcome::Absent } else { outcome });
            }
        }
        all
    }

    /// One start with these attempts.
    pub fn start(&self, home: &Home, ecosystem: Ecosystem, probes: &[&Probe]) -> Done {
        let line = self.line(ecosystem);
        let mut args: Vec<String> = line.args.iter().map(|arg| (*arg).to_owned()).collect();
        // Where the lane's user is root, the program is to be the owner, who is somebody else.
        let owner = if home.lane.uid == 0 { (12345, 12345) } else { (home.lane.uid, home.lane.gid) };
        let work = self.work(&format!("{}-{ecosystem:?}", home.lane.name), owner);
        if let Some(folder) = &probes[0].mounted {
            args.push(self.fill_in(folder, &work));
        }
        if probes[0].mounted.as_deref() == Some("${work}") {
            let package = format!("{}:{}", if ecosystem == Ecosystem::Npm { "npm" } else { "pypi" }, line.args[1]);
            run(home.shim("jitbox", ["allow", &package, "--write", work.to_str().unwrap()]), b"").ok();
        }
        let shim = home.shim_with(&USERS, line.shim, args);
        let mut command = with_descriptors(&shim, &self.host);
        command.current_dir(&home.dir);
        let order: Vec<(&Probe, &[String])> = probes.iter().map(|probe| (*probe, &*probe.r#try)).collect();
        let ids: Vec<&str> = probes.iter().map(|probe| &*probe.id).collect();
        let _said = SaidOnFailure(format!("{} {ecosystem:?}: a start with {ids:?}", home.lane.name));
        feed(command, &self.order(&order, &work))
    }

    /// Makes the controls' attempts as root of this machine, with mounts of their own.
    pub fn without_box(&self, ecosystem: Ecosystem, probes: &[&Probe]) -> BTreeMap<String, Outcome> {
        // Both use the same names below /tmp.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut program = Command::new("unshare");
        program.args(["--mount", "--propagation", "private", "sh", "-c"]);
        program.arg("ulimit -n 8192; mount --bind /tmp /tmp; \"$@\"; :").arg("sh");
        match ecosystem {
            Ecosystem::Npm => {
                self.install_script();
                program.arg("node").arg(self.dir.path().join("npm/cli.js"));
            }
            Ecosystem::Pypi => {
                let script = "import site, sys; site.addsitedir(sys.argv[1]); import jitbox_abuse; jitbox_abuse.main()";
                program.args(["python3", "-c", script]).arg(self.dir.path().join("pypi"));
                program.env("JITBOX_ABUSE_RAN", self.host.dir.join("ran-by-pth"));
            }
        }
        program.envs(USERS.iter().filter_map(|pair| pair.split_once('=')));
        let order: Vec<(&Probe, &[String])> =
            probes.iter().map(|probe| (*probe, probe.native.as_deref().unwrap_or(&probe.r#try))).collect();
        let work = self.work(&format!("{ecosystem:?}"), (0, 0));
        let done = feed(with_descriptors(&program, &self.host), &self.order(&order, &work));
        let found = outcomes(&done);
        assert!(!found.is_empty(), "{}", done.words());
        found
    }

    /// What npm does with an install script.
    fn install_script(&self) {
        let manifest: Value = serde_json::from_str(include_str!("fixtures/npm/package.json")).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", manifest["scripts"]["postinstall"].as_str().unwrap()]).current_dir(&self.host.dir);
        run(shell, b"").ok();
    }
}

/// What a test was at.
struct SaidOnFailure(String);

impl Drop for SaidOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Variables of the user's that a package must not see.
const USERS: [&str; 3] = ["SSH_AUTH_SOCK=/nowhere", "NPM_TOKEN=canary", "LD_LIBRARY_PATH=/nowhere"];

/// Lines of tests are there for good.
fn line(shim: &'static str, args: &[&str]) -> Line {
    let args: Vec<&'static str> = args.iter().map(|arg| &*String::from(*arg).leak()).collect();
    Line { shim, args: args.leak() }
}

/// The same command with a key and a socket among its descriptors: editors leave such things open.
fn with_descriptors(command: &Command, host: &Host) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "key=$1; shift; exec 8>&2 9<\"$key\" \"$@\"", "sh"]);
    shell.arg(host.dir.join("home/.ssh/id_ed25519")).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// Runs it with `input` in a pipe and a socket for its complaints.
fn feed(mut command: Command, input: &[u8]) -> Done {
    let (ours, theirs) = UnixStream::pair().unwrap();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(OwnedFd::from(theirs));
    let mut child = command.spawn().unwrap();
    // It holds the socket's other end.
    drop(command);
    let stderr = collect(ours);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    std::thread::spawn(move || drop(stdin.write_all(&input)));
    let mut done = finish(child);
    done.stderr = String::from_utf8_lossy(&stderr.take(Duration::from_secs(1))).into_owned();
    done
}

pub fn outcomes(done: &Done) -> BTreeMap<String, Outcome> {
    let text = done.text();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    lines
        .map(|line| {
            let how = line["how"].as_str().unwrap().to_owned();
            let outcome = if line["outcome"] == "succeeded" { Outcome::Succeeded(how) } else { Outcome::Denied(how) };
            (line["probe"].as_str().unwrap().to_owned(), outcome)
        })
        .collect()
}

/// What a box must not reach: `host.py`.
pub struct Host {
    pub dir: PathBuf,
    process: Child,
    facts: BTreeMap<&'static str, String>,
}

impl Host {
    fn new(dir: &Path) -> Self {
        let dir = dir.join("host");
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(dir.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
        let mark = format!("{MARK}-{}", std::process::id());
        let address = crate::support::web::address();
        let mut python = Command::new("python3");
        python.args(["-c", include_str!("host.py")]).arg(&dir).arg(&mark).arg(address.to_string());
        let mut process = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let mut facts = BTreeMap::from([("host", dir.display().to_string()), ("mark", mark)]);
        for name in ["address", "port", "loopback", "pid", "key"] {
            facts.insert(name, told[name].as_str().map_or_else(|| told[name].to_string(), str::to_owned));
        }
        let read = |path| std::fs::read_to_string(path).unwrap();
        facts.insert("boot", read("/proc/sys/kernel/random/boot_id").trim().to_owned());
        facts.insert("name", read("/etc/hosts").split_whitespace().last().unwrap_or_default().to_owned());
        Self { dir, process, facts }
    }

    /// Everything is as it was made.
    pub fn is_unharmed(&self) {
        let shared: Vec<_> = std::fs::read_dir(self.dir.join("shared")).unwrap().flatten().collect();
        assert_eq!(shared.len(), 1, "{shared:?}");
        for file in ["home/.ssh/id_ed25519", "shared/old"] {
            assert_eq!(std::fs::read_to_string(self.dir.join(file)).unwrap(), "canary\n", "{file}");
        }
    }

    /// A word of a probe with what only we know.
    pub fn fill_in(&self, word: &str) -> String {
        self.facts.iter().fold(word.to_owned(), |word, (name, value)| word.replace(&format!("${{{name}}}"), value))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

//! The registries: verdaccio and pypiserver, started once and ended with the tests.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::support::web::{address, wheels_in};
use crate::support::{run, wait_for};

/// A registry that runs.
pub struct Registry {
    /// `ADDRESS:PORT`.
    pub host: String,
    /// Who may come in.
    pub user: &'static str,
    pub password: &'static str,
    /// npm: what stands for them.
    pub token: String,
}

/// What has to be ended: a server with its folder. It ends when its input does, and so with us
/// whatever happens.
struct Running {
    shell: Child,
    input: Option<ChildStdin>,
    dir: PathBuf,
}

static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// Ends the registries.
pub fn end() {
    for mut running in std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner)) {
        drop(running.input.take());
        let _ = running.shell.wait();
        let _ = std::fs::remove_dir_all(&running.dir);
    }
}

/// A program that is installed into a folder of cargo's for tests, once for all runs.
fn installed(name: &str, install: impl Fn(&Path)) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !dir.exists() {
        // Whole or not at all, and whoever else installs it now may be first.
        let new = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
        install(&new);
        if std::fs::rename(&new, &dir).is_err() {
            std::fs::remove_dir_all(&new).unwrap();
        }
    }
    dir
}

fn verdaccio() -> PathBuf {
    installed("verdaccio-6.3.2", |dir| {
        // It asks for a tag of node-fetch that not every mirror of the public registry has.
        let manifest =
            "{\"private\":true,\"dependencies\":{\"verdaccio\":\"6.3.2\"},\"overrides\":{\"node-fetch\":\"2.7.0\"}}";
        std::fs::write(dir.join("package.json"), manifest).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]);
        npm.current_dir(dir);
        run(npm, b"").ok();
    })
}

fn pypiserver() -> PathBuf {
    installed("pypiserver-2.4.2", |dir| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
        pip.args(["--only-binary", ":all:", "--target"]).arg(dir).arg("pypiserver[passlib]==2.4.2");
        run(pip, b"").ok();
    })
}

/// A private npm registry with `@acme/hello`, which depends on `@acme/words`.
pub fn npm() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| start_npm(&verdaccio()))
}

fn start_npm(tool: &Path) -> Registry {
    let dir = folder();
    let config = dir.join("config.yaml");
    let text = format!(
        "storage: {0}/storage\n\
         auth: {{ htpasswd: {{ file: {0}/htpasswd, max_users: 1 }} }}\n\
         packages: {{ '**': {{ access: $authenticated, publish: $authenticated }} }}\n\
         web: {{ enable: false }}\n\
         log: {{ type: stdout, format: json, level: fatal }}\n",
        dir.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut server = Command::new("node");
    server.arg(tool.join("node_modules/verdaccio/bin/verdaccio")).arg("--config").arg(config);
    let host = start(server, &dir, |command, address, port| {
        command.args(["--listen", &format!("http://{address}:{port}")]);
    });
    let (user, password) = ("acme-user", "acme-pass-5d1f0c77");
    let body = serde_json::json!({ "name": user, "password": password }).to_string();
    let mut answer = ureq::put(format!("http://{host}/-/user/org.couchdb.user:{user}"))
        .header("content-type", "application/json")
        .send(body)
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let registry = Registry { host, user, password, token: answer["token"].as_str().unwrap().to_owned() };
    // It also says which variables it has that could hold a login.
    let hello = "#!/usr/bin/env node\nconst given = Object.keys(process.env).filter(n => /acme|auth/i.test(n));\n\
                 console.log(require('@acme/words'), ...process.argv.slice(2), ...given);\n";
    registry.publish(&dir, "words", "{\"main\":\"index.js\"}", ("index.js", "module.exports = 'hello from acme';\n"));
    let manifest = "{\"bin\":{\"hello\":\"cli.js\"},\"dependencies\":{\"@acme/words\":\"^1.0.0\"}}";
    registry.publish(&dir, "hello", manifest, ("cli.js", hello));
    registry
}

impl Registry {
    /// `npm publish` of `@acme/NAME`, version 1.0.0, with one file.
    fn publish(&self, dir: &Path, name: &str, manifest: &str, (file, text): (&str, &str)) {
        let package = dir.join(name);
        std::fs::create_dir(&package).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
        manifest["name"] = format!("@acme/{name}").into();
        manifest["version"] = "1.0.0".into();
        std::fs::write(package.join("package.json"), manifest.to_string()).unwrap();
        std::fs::write(package.join(file), text).unwrap();
        let npmrc = dir.join("npmrc");
        std::fs::write(&npmrc, format!("//{}/:_authToken={}\n", self.host, self.token)).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["publish", "--silent", "--registry", &format!("http://{}/", self.host), "--userconfig"]);
        npm.arg(npmrc).arg("--cache").arg(dir.join("cache")).current_dir(package);
        run(npm, b"").ok();
    }
}

/// A private Python index with `acme-hello`.
pub fn pypi() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| start_pypi(&pypiserver()))
}

fn start_pypi(tool: &Path) -> Registry {
    let (user, password) = ("acme-reader", "acme-pass-90b2e4aa");
    let dir = folder();
    std::fs::create_dir(dir.join("packages")).unwrap();
    std::fs::write(dir.join("htpasswd"), format!("{user}:{password}\n")).unwrap();
    // It also says which variables it has that could hold a login.
    let module = "import os, sys\n\n\ndef main():\n    \
                  print('hello from acme', *sys.argv[1:], *(n for n in os.environ if 'ACME' in n))\n";
    let wheels = ["0.9", "1.0"].map(|version| {
        serde_json::json!({ "name": "acme-hello", "version": version, "files": { "acme_hello.py": module },
            "main": "acme_hello:main" })
    });
    wheels_in(&dir.join("packages"), &serde_json::json!(wheels));
    let mut server = Command::new("python3");
    server.args(["-m", "pypiserver", "run", "--disable-fallback", "--authenticate", "download,list,update"]);
    server.arg("--passwords").arg(dir.join("htpasswd")).env("PYTHONPATH", tool);
    let host = start(server, &dir, |command, address, port| {
        command.args(["--interface", address, "--port", port]).arg(dir.join("packages"));
    });
    Registry { host, user, password, token: String::new() }
}

fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("jitbox-registry-").tempdir_in("/tmp").unwrap().keep()
}

/// Starts a server on a free port; `ADDRESS:PORT` once it answers.
fn start(mut server: Command, dir: &Path, listen: impl Fn(&mut Command, &str, &str)) -> String {
    let address = address().to_string();
    let port = TcpListener::bind((address.as_str(), 0)).unwrap().local_addr().unwrap().port().to_string();
    listen(&mut server, &address, &port);
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$@\" </dev/null & server=$!; cat >/dev/null; kill $server; wait", "sh"]);
    shell.arg(server.get_program()).args(server.get_args()).current_dir(dir);
    shell.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut shell = shell.spawn().unwrap();
    let input = shell.stdin.take();
    let running = Running { shell, input, dir: dir.to_owned() };
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).push(running);
    let host = format!("{address}:{port}");
    wait_for(&format!("a server at {host}"), || TcpStream::connect(&host).ok());
    host
}

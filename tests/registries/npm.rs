//! `@acme/hello` out of a private npm registry.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::server::{self, Registry};
use super::traces::{self, Watch};
use crate::support::lane::nothing_left;
use crate::support::web::address;
use crate::support::{Done, Home, Lane, run, wait_for};

/// In the environment of whoever was given the secret by the user.
const OWNER: &str = "ACME_OWNER=1";

/// A home for npm's own settings, apart from jitbox's folders.
struct User {
    home: Home,
    dir: PathBuf,
}

impl User {
    fn new(lane: &'static Lane, npmrc: &str) -> Self {
        let home = Home::empty(lane);
        home.write("user/.npmrc", npmrc);
        // The working directory's files send everybody elsewhere, and have no say.
        home.write("work/.npmrc", "@acme:registry=http://127.0.0.1:1/\nregistry=http://127.0.0.1:1/\n");
        home.write("work/package.json", "{\"bin\":{\"hello\":\"evil.js\"}}");
        let dir = home.dir.join("user");
        Self { home, dir }
    }

    fn line(&self, environment: &[&str], program: &str, args: &[&str]) -> Command {
        let own = format!("HOME={}", self.dir.display());
        let no_proxy = format!("NO_PROXY={}", address());
        let all = [&[own.as_str(), &no_proxy, OWNER], environment].concat();
        let mut command = self.home.shim_with(&all, program, args);
        command.current_dir(self.home.dir.join("work"));
        command
    }

    fn planned(&self, environment: &[&str]) -> Done {
        run(self.line(environment, "jitbox", &["plan", "--json", "npx", "--", "-y", "@acme/hello"]), b"")
    }
}

fn scope(registry: &Registry) -> String {
    format!("@acme:registry=http://{}/\n", registry.host)
}

fn with_token(registry: &Registry) -> String {
    format!("{}//{}/:_authToken=${{ACME_TOKEN}}\n", scope(registry), registry.host)
}

pub fn token(lane: &'static Lane) {
    let registry = server::npm();
    let user = User::new(lane, &with_token(registry));
    let variable = format!("ACME_TOKEN={}", registry.token);
    let given = [variable.as_str(), "JITBOX_LOG=1"];

    let plan = user.planned(&given).ok();
    assert!(plan.text().contains("@acme/hello@1.0.0"), "{}", plan.words());
    assert!(!plan.words().contains(&registry.token), "{}", plan.words());

    let watch = Watch::start(&[&registry.token], OWNER);
    let done = run(user.line(&given, "npx-safe", &["-y", "@acme/hello", "a b"]), b"").ok();
    assert_eq!(done.text(), "hello from acme a b ACME_OWNER\n");
    assert!(done.stderr.contains(" commit "), "what was done was not shown\n{}", done.words());
    assert!(!done.words().contains(&registry.token), "{}", done.words());
    let started = watch.nothing_seen();
    nothing_left(lane, done.pid);
    traces::none_left(&user.home, &[&registry.token], "hello from acme", started);

    // The token is only asked for to fetch, not to start.
    let again = run(user.line(&[], "npx-safe", &["-y", "@acme/hello"]), b"").ok();
    assert_eq!(again.text(), "hello from acme ACME_OWNER\n");
    user.home.remove_boxes();
}

pub fn other_logins(lane: &'static Lane) {
    let registry = server::npm();
    let (host, scope) = (&registry.host, scope(registry));
    let both = BASE64_STANDARD.encode(format!("{}:{}", registry.user, registry.password));
    let password = BASE64_STANDARD.encode(registry.password);

    let user = User::new(lane, &format!("{scope}//{host}/:_auth={both}\n"));
    let watch = Watch::start(&[registry.password, &both], OWNER);
    // Another tree than the other tests', and so an image of its own.
    let words = ["-y", "-p", "@acme/hello", "-p", "@acme/words", "hello"];
    let done = run(user.line(&["JITBOX_LOG=1"], "npx-safe", &words), b"").ok();
    assert_eq!(done.text(), "hello from acme ACME_OWNER\n");
    assert!(!done.words().contains(&both) && !done.words().contains(registry.password), "{}", done.words());
    let started = watch.nothing_seen();
    traces::none_left(&user.home, &[registry.password, &both], "hello from acme", started);
    user.home.remove_boxes();

    let user =
        User::new(lane, &format!("{scope}//{host}/:username={}\n//{host}/:_password={password}\n", registry.user));
    user.planned(&[]).ok();
    let user = User::new(lane, "");
    let (scoped, login) = (
        format!("npm_config_@acme:registry=http://{host}/"),
        format!("npm_config_//{host}/:_authToken={}", registry.token),
    );
    let plan = user.planned(&[&scoped, &login]).ok();
    assert!(!plan.words().contains(&registry.token), "{}", plan.words());
}

/// Killed while a container has the token, which is in no file of this machine's even then.
pub fn killed(lane: &'static Lane) {
    let registry = server::npm();
    let user = User::new(lane, &with_token(registry));
    let variable = format!("ACME_TOKEN={}", registry.token);
    // Another tree than the other tests', and so an image of its own.
    let mut command = user.line(&[&variable], "npx-safe", &["-y", "-p", "@acme/words", "node", "-e", ""]);
    let mut shim = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let runs = Path::new(&lane.env["XDG_RUNTIME_DIR"]).join("jitbox/runs");
    let prefix = format!("{}-", shim.id());
    let folders = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&runs).into_iter().flatten().flatten();
        entries.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect()
    };
    wait_for("the container", || (!lane.containers(shim.id()).is_empty()).then_some(()));
    let mut grep = Command::new("grep");
    grep.args(["-rlF", &registry.token]).args(folders()).arg(user.home.data());
    assert!(!folders().is_empty());
    assert_eq!(run(grep, b"").text(), "");
    shim.kill().unwrap();
    shim.wait().unwrap();
    nothing_left(lane, shim.id());
    assert!(folders().is_empty(), "{:?}", folders());
    assert!(user.home.records().is_empty());
}

pub fn without_token(lane: &'static Lane) {
    let registry = server::npm();
    for (npmrc, given) in [(scope(registry), &[][..]), (with_token(registry), &["ACME_TOKEN=not-the-token"])] {
        let user = User::new(lane, &npmrc);
        let done = run(user.line(given, "npx-safe", &["-y", "@acme/hello"]), b"").ended(126);
        let hint = format!("npm login --registry=http://{}/", registry.host);
        assert!(done.stderr.contains("does not let us in") && done.stderr.contains(&hint), "{}", done.words());
        assert!(!done.stderr.contains("not-the-token"), "{}", done.words());
        assert_eq!(done.text(), "");
        assert!(user.home.records().is_empty());
        nothing_left(lane, done.pid);
    }
}

//! `acme-hello` out of a private Python index.

use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::server::{self, Registry};
use super::traces::{self, Watch};
use crate::support::lane::nothing_left;
use crate::support::web::address;
use crate::support::{Done, Home, Lane, run};

const OWNER: &str = "ACME_OWNER=1";

/// A home with settings for uv and pip.
fn user(lane: &'static Lane, files: &[(&str, String)]) -> Home {
    let home = Home::empty(lane);
    for (name, text) in files {
        home.write(name, text);
    }
    home.folder("user");
    // The working directory's files send everybody elsewhere, and have no say.
    home.write("work/uv.toml", "index-url = \"http://127.0.0.1:1/\"\nresolution = \"lowest\"\n");
    home.write("work/pip.conf", "[global]\nindex-url = http://127.0.0.1:1/\n");
    home.write("work/.python-version", "2.7\n");
    home
}

fn line(home: &Home, environment: &[&str], program: &str, args: &[&str]) -> Command {
    let own = format!("HOME={}", home.dir.join("user").display());
    let no_proxy = format!("NO_PROXY={}", address());
    let all = [&[own.as_str(), &no_proxy, OWNER], environment].concat();
    let mut command = home.shim_with(&all, program, args);
    command.current_dir(home.dir.join("work"));
    command
}

fn planned(home: &Home, environment: &[&str]) -> Done {
    run(line(home, environment, "jitbox", &["plan", "--json", "uvx", "--", "acme-hello"]), b"")
}

fn uv_toml(registry: &Registry) -> (&'static str, String) {
    let text = format!("[[index]]\nname = \"acme\"\nurl = \"http://{}/simple/\"\n", registry.host);
    ("config/uv/uv.toml", text)
}

fn netrc(registry: &Registry, password: &str) -> (&'static str, String) {
    let (host, _) = registry.host.rsplit_once(':').unwrap();
    ("user/.netrc", format!("machine {host} login {} password {password}\n", registry.user))
}

pub fn login(lane: &'static Lane) {
    let registry = server::pypi();
    let home = user(lane, &[uv_toml(registry), netrc(registry, registry.password)]);
    let plan = planned(&home, &["JITBOX_LOG=1"]).ok();
    assert!(plan.text().contains("acme-hello==1.0"), "{}", plan.words());

    let both = BASE64_STANDARD.encode(format!("{}:{}", registry.user, registry.password));
    let secrets = [registry.password, &both];
    let watch = Watch::start(&secrets, OWNER);
    let done = run(line(&home, &["JITBOX_LOG=1"], "uvx-safe", &["acme-hello", "a b"]), b"").ok();
    assert_eq!(done.text(), "hello from acme a b ACME_OWNER\n");
    assert!(done.stderr.contains(" commit "), "what was done was not shown\n{}", done.words());
    for said in [plan.words(), done.words()] {
        assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
    }
    let started = watch.nothing_seen();
    nothing_left(lane, done.pid);
    traces::none_left(&home, &secrets, "hello from acme", started);
    home.remove_boxes();
}

pub fn other_logins(lane: &'static Lane) {
    let registry = server::pypi();
    let (host, password) = (&registry.host, registry.password);
    // In uv's variables, with a box to show for it.
    let home = user(lane, &[]);
    let index = format!("UV_INDEX=acme=http://{host}/simple/");
    let (name, secret) =
        (format!("UV_INDEX_ACME_USERNAME={}", registry.user), format!("UV_INDEX_ACME_PASSWORD={password}"));
    // Another version than the other tests', and so an image of its own.
    let done = run(line(&home, &[&index, &name, &secret], "uvx-safe", &["acme-hello@0.9"]), b"").ok();
    assert_eq!(done.text(), "hello from acme ACME_OWNER\n");
    home.remove_boxes();
    // In an address of pip's.
    let address = format!("http://{}:{password}@{host}/simple/", registry.user);
    let home = user(lane, &[("config/pip/pip.conf", format!("[global]\nextra-index-url = {address}\n"))]);
    let plan = planned(&home, &[]).ok();
    assert!(plan.text().contains("acme-hello==1.0"), "{}", plan.words());
    assert!(!plan.words().contains(password), "{}", plan.words());
}

pub fn without_login(lane: &'static Lane) {
    let registry = server::pypi();
    for files in [vec![uv_toml(registry)], vec![uv_toml(registry), netrc(registry, "not-the-password")]] {
        let home = user(lane, &files);
        let done = run(line(&home, &[], "uvx-safe", &["acme-hello"]), b"").ended(126);
        assert!(done.stderr.contains("does not let us in") && done.stderr.contains("~/.netrc"), "{}", done.words());
        assert!(!done.stderr.contains("not-the-password"), "{}", done.words());
        assert!(home.records().is_empty());
        nothing_left(lane, done.pid);
    }
}

//! Base images that become others while there are boxes of them.

use serde_json::{Value, json};

use jitbox::digest;

use super::Case;
use super::support::lane::Lane;
use super::support::web::Web;
use super::support::{Done, Home, run};

pub const CASES: &[Case] = &[
    Case::new("rebuilt", rebuilt).on(Lane::fetches),
    // podman asks registries without TLS only where the machine's own settings say so.
    Case::new("fetched", fetched).on(|lane| lane.engine() != "podman"),
];

/// A name of a base image that is this test's alone.
struct Base {
    lane: &'static Lane,
    name: String,
}

impl Base {
    fn of(home: &Home, image: &str) -> Self {
        let word = home.dir.file_name().unwrap().to_str().unwrap().to_lowercase();
        let base = Self { lane: home.lane, name: format!("localhost/{word}") };
        base.engine(&["tag", image, &format!("{}:24", base.name)]);
        home.configure(&format!("[images]\nnode = \"{}:{{version}}\"", base.name));
        base
    }

    fn engine(&self, words: &[&str]) {
        let done = self.lane.engine_command(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The same image with one more file.
    fn add(&self, path: &str) {
        let (image, container) = (format!("{}:24", self.name), self.name.replace('/', "-"));
        self.engine(&["run", "--name", &container, "--network=none", "--entrypoint=touch", &image, path]);
        self.engine(&["commit", &container, &image]);
        self.engine(&["rm", &container]);
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        let _ = self.lane.engine_command(&["rmi", &format!("{}:24", self.name)]).output();
    }
}

/// What `jitbox base WHAT --json` says.
fn asked(home: &Home, environment: &[&str], what: &[&str]) -> Value {
    asked_with(home, environment, what, 0)
}

/// The same with an exit code of its own.
fn asked_with(home: &Home, environment: &[&str], what: &[&str], code: i32) -> Value {
    let done = run(home.shim_with(environment, "jitbox", [&["base"], what, &["--json"]].concat()), b"").ended(code);
    serde_json::from_slice(&done.stdout).unwrap()
}

/// What is said of one image.
fn of<'a>(all: &'a Value, image: &str) -> &'a Value {
    all.as_array()
        .unwrap()
        .iter()
        .find(|one| one["image"] == image)
        .unwrap_or_else(|| panic!("{image} is not in {all}"))
}

fn rebuilt(lane: &'static Lane) {
    let home = Home::empty(lane);
    let base = Base::of(&home, "node:24-trixie-slim");
    let image = format!("{}:24", base.name);
    let is_there = |environment: &[&str]| -> Done {
        let script = "console.log(require('fs').existsSync('/newer'))";
        run(home.shim_with(environment, "npx-safe", ["-y", "-p", "cowsay", "node", "-e", script]), b"").ok()
    };
    let record = || serde_json::from_slice::<Value>(&std::fs::read(&home.records()[0]).unwrap()).unwrap();
    assert_eq!(is_there(&[]).text(), "false\n");
    let first = record();
    assert_eq!(first["base"], image.as_str());
    assert!(first["base_content"].as_str().unwrap().starts_with("sha256:"), "{first}");
    let known = asked(&home, &[], &["ls"]);
    assert_eq!(of(&known, &image)["boxes"], json!(["cowsay"]));
    assert_eq!(of(&known, &image)["outdated"], json!([]));
    assert_eq!(of(&known, &image)["content"], first["base_content"]);

    base.add("/newer");
    // Nobody has looked.
    assert_eq!(is_there(&[]).text(), "false\n");
    assert_eq!(record(), first);
    let known = asked(&home, &[], &["ls"]);
    assert_eq!(of(&known, &image)["outdated"], json!(["cowsay"]));

    // Where it can't be made again, what is there does, and that is said once.
    let offline = ["npm_config_offline=true"];
    let done = is_there(&offline);
    assert_eq!(done.text(), "false\n");
    assert!(done.stderr.contains("is a newer one; what is there is started"), "{}", done.words());
    let done = is_there(&offline);
    assert_eq!((done.text().as_str(), done.stderr.contains("newer")), ("false\n", false), "{}", done.words());
    home.forget_told();

    assert_eq!(is_there(&[]).text(), "true\n");
    let second = record();
    assert_eq!(second["lock"], first["lock"]);
    assert_ne!(second["image"], first["image"]);
    assert_eq!(of(&asked(&home, &[], &["ls"]), &image)["outdated"], json!([]));
    let done = is_there(&[]);
    assert_eq!((done.text().as_str(), done.stderr.contains("preparing")), ("true\n", false), "{}", done.words());
    home.remove_boxes();
    assert!(!lane.images().contains(&first["image"].as_str().unwrap().to_owned()), "the older image stays");
}

/// An image registry with one image, whose only layer has this file. Returns its manifest's digest.
fn publish(web: &Web, name: &str, tag: &str, content: &str) -> String {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    layer.append_data(&mut header, "content", content.as_bytes()).unwrap();
    let layer = layer.into_inner().unwrap();
    let put = |bytes: Vec<u8>, kind: &str| {
        let (digest, size) = (format!("sha256:{}", digest::full(&bytes)), bytes.len());
        web.put(&format!("v2/{name}/blobs/{digest}"), bytes);
        json!({ "mediaType": kind, "digest": digest, "size": size })
    };
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let diff = format!("sha256:{}", digest::full(&layer));
    let config = json!({
        "architecture": architecture, "os": "linux", "config": { "Cmd": ["true"] },
        "rootfs": { "type": "layers", "diff_ids": [diff] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "test" }],
    });
    let layer = put(layer, "application/vnd.oci.image.layer.v1.tar");
    let config = put(config.to_string().into_bytes(), "application/vnd.oci.image.config.v1+json");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
    let manifest = manifest.to_string().into_bytes();
    let digest = format!("sha256:{}", digest::full(&manifest));
    web.put("v2/", b"{}".to_vec());
    web.put(&format!("v2/{name}/manifests/{digest}"), manifest.clone());
    web.put(&format!("v2/{name}/manifests/{tag}"), manifest);
    digest
}

fn fetched(lane: &'static Lane) {
    let home = Home::empty(lane);
    let web = Web::start();
    let host = web.url.strip_prefix("http://").unwrap().to_owned();
    home.configure(&format!("[images]\nnode = \"{host}/node:{{version}}\""));
    let image = format!("{host}/node:24");
    let direct = ["NO_PROXY=127.0.0.1"];
    let check = || asked(&home, &direct, &["check", &image])[0].clone();
    assert!(check()["error"].as_str().unwrap().contains("has no"), "{}", check());
    let older = publish(&web, "node", "24", "one");
    assert_eq!(check(), json!({ "image": image, "there": "missing" }));
    assert_eq!(of(&asked(&home, &direct, &["ls"]), &image)["content"], Value::Null);
    let pull = || {
        let pulled = asked(&home, &direct, &["pull", &image])[0].clone();
        (pulled["changed"].as_bool().unwrap(), pulled["base"]["content"].as_str().unwrap().to_owned())
    };
    let (changed, first) = pull();
    assert!(changed && first.starts_with("sha256:"), "{first}");
    assert_eq!(check()["there"], "same");
    assert_eq!(pull(), (false, first.clone()));
    publish(&web, "node", "24", "two");
    assert_eq!(asked_with(&home, &direct, &["check", &image], 3)[0]["there"], "other");
    assert_eq!(of(&asked(&home, &direct, &["ls"]), &image)["content"], first.as_str());
    let (changed, second) = pull();
    assert!(changed && second != first, "{second}");
    assert_eq!(check()["there"], "same");

    let refused = run(home.shim("jitbox", ["base", "pull", "alpine"]), b"").ended(1);
    assert!(refused.stderr.contains("`alpine` is no base image of yours"), "{}", refused.words());
    let said = run(home.shim_with(&direct, "jitbox", ["base", "check", &image]), b"").ok();
    assert_eq!(said.text(), format!("{image} is the newest\n"));
    let remove = |image: &str| lane.engine_command(&["rmi", image]).output().unwrap();
    let removed = remove(&image);
    assert!(removed.status.success(), "{removed:?}");
    // containerd has not kept it.
    remove(&format!("{host}/node@{older}"));
}

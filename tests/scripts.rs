//! Install scripts: off, and run in a container of their own where the user allowed them.

use serde_json::{Value, json};

use crate::Case;
use crate::support::npm::Registry;
use crate::support::{Carrier, Done, Home, Lane, run};

pub const CASES: &[Case] =
    &[Case::new("caged", caged), Case::new("failing", failing).on(|lane| lane.name == "podman-rootless")];

const SERVER: &str = "mcp-smithy";
const ANVIL: &str = "anvil";

/// What a package's script tries; what came of it is in the file that its program needs.
const TRIES: &str = r##"
const fs = require("node:fs"), net = require("node:net"), os = require("node:os");
const attempt = (what) => { try { return String(what() ?? "done"); } catch (e) { return e.code ?? String(e); } };
const [host, port] = new URL("WEB").host.split(":");
const tries = {
  uid: process.getuid(),
  secrets: Object.keys(process.env).filter((name) => /token|secret|auth|password/i.test(name)),
  passwd: attempt(() => fs.appendFileSync("/etc/passwd", "x:x:0:0::/:/bin/sh\n")),
  app: attempt(() => fs.writeFileSync("/app/node_modules/mcp-smithy/cli.js", "console.log('taken')")),
  neighbour: attempt(() => fs.writeFileSync("../mcp-smithy/cli.js", "console.log('taken')")),
  cache: attempt(() => fs.mkdirSync("/root/.npm/_cacache", { recursive: true })),
  docker: attempt(() => fs.statSync("/var/run/docker.sock")),
  name: attempt(() => { fs.symlinkSync("/etc/passwd", "link"); fs.symlinkSync("built.json", "inner"); }),
  mode: attempt(() => { fs.writeFileSync("tool", "#!/bin/sh\necho tool\n"); fs.chmodSync("tool", 0o4755); }),
};
const end = (network) => fs.writeFileSync("built.json", JSON.stringify({ ...tries, network }));
const socket = net.connect({ host, port: Number(port), timeout: 3000 });
socket.on("connect", () => { end("connected"); process.exit(); });
socket.on("timeout", () => { end("timeout"); process.exit(); });
socket.on("error", (e) => end(e.code));
"##;

/// Says what the script of its dependency made.
const PROGRAM: &str = r#"
const fs = require("node:fs");
const dir = require("node:path").dirname(require.resolve("anvil/package.json"));
const stat = (name) => { try { return fs.lstatSync(`${dir}/${name}`); } catch { return null; } };
console.log(JSON.stringify({
  ...JSON.parse(fs.readFileSync(`${dir}/built.json`, "utf8")),
  files: fs.readdirSync(dir).sort(),
  link: Boolean(stat("link")),
  inner: fs.readlinkSync(`${dir}/inner`),
  bits: (stat("tool").mode & 0o7777).toString(8),
  owner: stat("tool").uid,
}));
"#;

/// A registry, and who uses it.
struct User {
    registry: Registry,
    home: Home,
    name: &'static str,
}

impl User {
    fn new(lane: &'static Lane, name: &'static str) -> Self {
        Self { registry: Registry::new(), home: Home::warmed(lane, Carrier::Chosen, &[]), name }
    }

    fn publish(&mut self, manifest: Value, program: &str) {
        self.registry.publish(&self.home, manifest, program);
    }

    fn start(&self) -> Done {
        self.registry.start(&self.home, &[self.name])
    }

    fn jitbox(&self, args: &[&str]) -> Done {
        self.registry.jitbox(&self.home, args)
    }

    fn inspect(&self) -> Value {
        serde_json::from_str::<Value>(&self.jitbox(&["inspect", "--json", self.name]).ok().text()).unwrap()[0].clone()
    }
}

fn caged(lane: &'static Lane) {
    let mut user = User::new(lane, SERVER);
    let manifest = json!({
        "name": ANVIL,
        "version": "1.0.0",
        "scripts": { "postinstall": "node cli.js" },
    });
    user.publish(manifest, &TRIES.replace("WEB", &user.registry.web.url));
    user.publish(json!({ "name": SERVER, "version": "1.0.0", "dependencies": { ANVIL: "1" } }), PROGRAM);

    // Nothing ran, and the program's failing is explained, once.
    let done = user.start().ended(1);
    let said = format!("{ANVIL} did not run its install script `postinstall: node cli.js` (to let it: ");
    let command = done.stderr.split_once(&said).and_then(|(_, rest)| rest.split_once(")\n"));
    let (command, _) = command.unwrap_or_else(|| panic!("{}", done.words()));
    assert!(!user.start().ended(1).stderr.contains("install script"));
    let before = user.inspect();
    assert_eq!(before["not_run"][ANVIL], "postinstall: node cli.js");

    // Allowed, it runs once, and what it made for itself is there; nothing else is.
    let words = shell_words::split(command).unwrap();
    user.jitbox(&words[1..].iter().map(String::as_str).collect::<Vec<_>>()).ok();
    let asked = user.registry.web.requests().len();
    let done = user.start();
    assert!(done.status.success(), "{} {}", done.words(), user.jitbox(&["log", SERVER]).text());
    let made: Value = serde_json::from_str(&done.text()).unwrap_or_else(|_| panic!("{}", done.words()));
    assert_eq!(user.registry.web.requests().len(), asked, "it was made from what had been fetched");
    assert_eq!(made["secrets"], json!([]), "{made}");
    assert_ne!(made["uid"], 0, "{made}");
    assert!(
        ["ENETUNREACH", "EHOSTUNREACH", "ECONNREFUSED", "EPERM", "EACCES"].contains(&made["network"].as_str().unwrap()),
        "{made}"
    );
    for place in ["passwd", "app", "cache"] {
        assert!(["EROFS", "EACCES", "EPERM"].contains(&made[place].as_str().unwrap()), "{place}: {made}");
    }
    assert_eq!(made["docker"], "ENOENT", "{made}");
    // It could write beside itself, in what was a copy: nothing of that is here, or this program had not run.
    assert_eq!((&made["neighbour"], &made["link"]), (&json!("done"), &json!(false)), "{made}");
    assert_eq!(
        (&made["inner"], &made["bits"], &made["owner"]),
        (&json!("built.json"), &json!("755"), &json!(0)),
        "{made}"
    );
    let now = user.inspect();
    assert_eq!((&now["scripts"], &now["not_run"]), (&json!([ANVIL]), &json!({})));
    let gone = before["image"].as_str().unwrap();
    assert!(!run(lane.engine_command(&["image", "inspect", gone]), b"").status.success(), "{gone} is left");
    assert_eq!(user.start().ok().text(), done.text());

    // Allowed before the first start, the image on the way to it goes just so.
    user.jitbox(&["rm", SERVER]).ok();
    assert_eq!(user.start().ok().text(), done.text());
    let attempts = user.home.data().join("attempts");
    let key = user.home.records()[0].file_stem().unwrap().to_owned();
    let attempt: Value = serde_json::from_slice(&std::fs::read(attempts.join(key).join("1.json")).unwrap()).unwrap();
    let is_there =
        |image: &Value| run(lane.engine_command(&["image", "inspect", image.as_str().unwrap()]), b"").status.success();
    let there: Vec<bool> = attempt["images"].as_array().unwrap().iter().map(is_there).collect();
    assert_eq!(there, [false, true], "{attempt}");

    // Taken back, it has not run.
    user.jitbox(&["deny", &words[2], &words[3], "--scripts", ANVIL]).ok();
    user.start().ended(1);
    assert_eq!(user.inspect()["scripts"], json!([]));
    user.home.remove_boxes();
}

/// One that fails is no reason for another box than the user wanted.
fn failing(lane: &'static Lane) {
    const SERVER: &str = "mcp-forge";
    let mut user = User::new(lane, SERVER);
    let scripts = json!({ "install": "echo no smith here; exit 4" });
    user.publish(json!({ "name": SERVER, "version": "1.0.0", "scripts": scripts }), "0");
    user.start().ok();
    let package = format!("npm:{SERVER}");
    let from = format!("--registry={}", user.registry.web.url);
    user.jitbox(&["allow", &package, &from, "--scripts", SERVER]).ok();
    let done = user.start().ended(125);
    assert!(done.stderr.contains("no smith here"), "{}", done.words());
    assert!(done.stderr.contains(&format!("jitbox deny {package} '{from}' --scripts {SERVER}")), "{}", done.words());
    assert!(user.jitbox(&["log", SERVER]).ok().text().contains("no smith here"));
    let line = user.jitbox(&["allow", "--scripts", SERVER, "--", "npx", "-y", SERVER]).ended(2);
    assert!(line.stderr.contains("name the package"), "{}", line.words());
    user.jitbox(&["deny", &package, &from, "--scripts", SERVER]).ok();
    user.start().ok();
    user.home.remove_boxes();
}

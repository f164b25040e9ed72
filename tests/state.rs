//! What packages keep between runs.

use serde_json::{Value, json};

use crate::Case;
use crate::support::home::{COWSAY, Line};
use crate::support::mcp::Client;
use crate::support::{Carrier, Home, Lane, run};

pub const CASES: &[Case] = &[
    Case::new("server_memory", server_memory),
    Case::new("kept_if_listed", kept_if_listed),
    Case::new("not_kept", not_kept),
    Case::new("with_files_of_mine", with_files_of_mine),
    Case::new("export_and_remove", export_and_remove),
];

const MEMORY: Line = Line { shim: "npx-safe", args: &["-y", "@modelcontextprotocol/server-memory@2026.8.31"] };

/// Packages whose files are kept, as the settings name them.
const LISTED: &str = "[state]\nkeep = [\"npm:cowsay\"]\n";

/// Appends a word to a file in the home, and prints all that are there.
const REMEMBER: &str = "const fs = require('fs'), file = process.env.HOME + '/words';
    fs.appendFileSync(file, process.argv[process.argv.length - 1] + ' '); console.log(fs.readFileSync(file, 'utf8'))";

fn remember(home: &Home, word: &str) -> String {
    run(home.node(REMEMBER, &[word]), b"").ok().text().trim().to_owned()
}

/// A real server remembers what it was told; at level strict it starts with nothing.
fn server_memory(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&MEMORY]);
    let entity = json!({ "name": "jitbox", "entityType": "tool", "observations": ["keeps its state"] });
    let graph = |options: &[&str], told: &[&Value]| {
        let mut client = Client::start(home.shim(MEMORY.shim, options.iter().chain(MEMORY.args)));
        client.initialize();
        let graph = client.call("read_graph", json!({}));
        for entity in told {
            client.call("create_entities", json!({ "entities": [entity] }));
        }
        client.finish();
        graph.contains("keeps its state")
    };
    assert!(!graph(&[], &[&entity]));
    assert!(graph(&[], &[]));
    assert!(!graph(&["--safe-level=strict"], &[]));
    assert_eq!(home.volumes().len(), 1);
}

fn kept_if_listed(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    home.configure(LISTED);
    assert_eq!(remember(&home, "one"), "one");
    assert_eq!(remember(&home, "two"), "one two");
    // What the user lists holds at level strict, too.
    let args = ["--safe-level=strict", "-y", "-p", "cowsay", "node", "-e", REMEMBER, "three"];
    assert_eq!(run(home.shim("npx-safe", args), b"").ok().text().trim(), "one two three");
    let mounts =
        run(home.node("console.log(require('fs').readFileSync('/proc/mounts', 'utf8'))", &[]), b"").ok().text();
    let mount = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/state")).unwrap();
    if lane.engine() == "podman" && !lane.is_gvisor() {
        assert!(["nosuid", "nodev", "noexec"].iter().all(|flag| mount.contains(flag)), "{mount}");
    }
}

fn not_kept(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    assert_eq!(remember(&home, "one"), "one");
    assert_eq!(remember(&home, "two"), "two");
    assert_eq!(home.volumes(), [""; 0]);
    let done = run(home.shim("jitbox", ["state", "ls"]), b"").ok();
    assert!(done.stdout.is_empty() && done.stderr.contains("kept anything"), "{}", done.words());
}

/// A run with files of the caller's mounted is another user and keeps files of its own.
fn with_files_of_mine(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    home.configure(LISTED);
    assert_eq!(remember(&home, "one"), "one");
    let folder = home.folder("mine");
    let mine =
        |word: &str| run(home.node(REMEMBER, &[folder.to_str().unwrap(), word]), b"").ok().text().trim().to_owned();
    let first = mine("two");
    // Root itself is never anybody but nobody.
    assert_eq!(first, if home.volumes().len() == 1 { "one two" } else { "two" });
    assert_eq!(mine("three"), format!("{first} three"));
    assert!(remember(&home, "four").starts_with("one "));
}

fn export_and_remove(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    home.configure(LISTED);
    remember(&home, "one");
    let listed = run(home.shim("jitbox", ["state", "ls", "--json"]), b"").ok();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["package"], "cowsay", "{listed}");
    let name = listed[0]["name"].as_str().unwrap().to_owned();
    let label = lane.engine_says(&["volume", "inspect", "--format", "{{json .Labels}}", &name]);
    assert!(label.contains("io.jitbox.state"), "{label}");
    // To standard output, and to a file, which must be a new one.
    let tar = run(home.shim("jitbox", ["state", "export", "cowsay"]), b"").ok();
    assert_eq!(words_in(&tar.stdout), "one ");
    let file = home.folder("out").join("state.tar");
    let export = || home.shim("jitbox", ["state", "export", "cowsay", file.to_str().unwrap()]);
    run(export(), b"").ok();
    assert_eq!(words_in(&std::fs::read(&file).unwrap()), "one ");
    run(export(), b"").ended(1);
    let removed = run(home.shim("jitbox", ["state", "rm", "cowsay"]), b"").ok();
    assert!(removed.stderr.is_empty(), "{}", removed.stderr);
    let there = || lane.engine_command(&["volume", "inspect", &name]).output().unwrap().status.success();
    assert!(!there() && home.volumes().is_empty());
    run(home.shim("jitbox", ["state", "rm", "cowsay"]), b"").ended(1);
    assert_eq!(remember(&home, "two"), "two");
    assert!(there());
}

/// The file that [`REMEMBER`] writes, in an archive.
fn words_in(tar: &[u8]) -> String {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().ends_with("words") {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            return text;
        }
    }
    panic!("no words in the archive");
}

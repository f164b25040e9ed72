//! The commands, what they say, and how they end.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Case;
use crate::support::home::{COWSAY, Line, binary};
use crate::support::{Carrier, Done, Home, Lane, run, wait_for};

pub const PLAIN: &[(&str, fn())] = &[
    ("cli::plan_offline", plan_offline),
    ("cli::refusals", refusals),
    ("cli::help_and_version", help_and_version),
    ("cli::settings", settings),
    ("cli::timer", timer),
    ("cli::engine_missing", engine_missing),
];

pub const CASES: &[Case] = &[
    Case::new("plan", plan),
    Case::new("ls", ls),
    Case::new("rm", rm),
    Case::new("log", log),
    Case::new("hardening", hardening),
    Case::new("missing_runtime", missing_runtime),
    Case::new("doctor", doctor),
    Case::new("not_found", not_found),
    Case::new("one_box_for_each_form", one_box_for_each_form),
    Case::new("broken_record", broken_record),
    Case::new("broken_engine_facts", broken_engine_facts),
    Case::new("image_removed", image_removed),
    Case::new("small_environment", small_environment),
];

/// One of our programs with nothing in its environment but a home.
fn alone(home: &Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary(program));
    command.args(args).env_clear().env("HOME", home).env("PATH", "/usr/bin:/bin").current_dir(home);
    command
}

/// The user's timer: written, written again, removed; other timers and the folder stay as they are.
fn timer() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".config/systemd/user");
    std::fs::create_dir_all(&dir).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(dir.join("other.timer"), "").unwrap();
    let jitbox = |args: &[&str]| run(alone(home.path(), "jitbox", &[&["update"], args].concat()), b"");
    let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    for (word, often) in [("--install-timer=weekly", "weekly"), ("--install-timer", "daily")] {
        let done = jitbox(&[word]).ok();
        assert!(done.stderr.contains("systemctl --user enable --now jitbox-update.timer"), "{}", done.words());
        assert!(text("jitbox-update.timer").contains(&format!("OnCalendar={often}\n")));
    }
    let command =
        format!("ExecStart=:\"{}\" update --all\n", Path::new(binary("jitbox")).canonicalize().unwrap().display());
    assert!(text("jitbox-update.service").contains(&command), "{}", text("jitbox-update.service"));
    assert_eq!(mode(&dir), 0o755);
    jitbox(&["--remove-timer"]).ok();
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other.timer"]);
    assert!(jitbox(&["--remove-timer"]).ended(1).stderr.contains("--install-timer"));
    jitbox(&["--install-timer", "--all"]).ended(2);
}

fn plan_offline() {
    let home = tempfile::tempdir().unwrap();
    let planned = |args: &[&str]| -> Value {
        let line = [&["plan", "--json", "--offline"], args].concat();
        serde_json::from_slice(&run(alone(home.path(), "jitbox", &line), b"").ok().stdout).unwrap()
    };
    let plan = planned(&["npx", "--", "-y", "-p", "cowsay@1.6.0", "-p", "left-pad", "node", "-e", "1", "--x", ""]);
    assert_eq!(plan["launch"]["packages"], serde_json::json!(["cowsay@1.6.0", "left-pad"]));
    assert_eq!(plan["launch"]["command"], "node");
    assert_eq!(plan["launch"]["args"], serde_json::json!(["-e", "1", "--x", ""]));
    let plan = planned(&["uvx", "--", "--from", "mcp-server-git==2026.10.19", "mcp-server-git", "-v"]);
    assert_eq!(plan["launch"]["packages"], serde_json::json!(["mcp-server-git==2026.10.19"]));
    assert_eq!(plan["launch"]["args"], serde_json::json!(["-v"]));
    // Nothing was made.
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none());
}

fn refusals() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("local")).unwrap();
    let cases: &[(&str, &[&str], i32)] = &[
        ("npx-safe", &[], 126),
        ("npx-safe", &["-y"], 126),
        ("npx-safe", &["-y cowsay"], 126),
        ("npx-safe", &["-y", "./local"], 126),
        ("npx-safe", &["-y", "-c", "echo hi"], 126),
        ("npx-safe", &["--no-such-option", "cowsay"], 126),
        ("npx-safe", &["--safe-net=all", "cowsay"], 126),
        ("npx-safe", &["--safe-env=NAME=value", "cowsay"], 126),
        ("npx-safe", &["-y", "--node-options=--require=/x.js", "cowsay"], 126),
        ("uvx-safe", &[], 126),
        ("uvx-safe", &["./local"], 126),
        ("uvx-safe", &["--no-such-option", "black"], 126),
        ("jitbox", &["bogus"], 2),
        ("jitbox", &["plan", "bunny", "--", "x"], 2),
        ("jitbox", &["rm"], 2),
    ];
    for (program, args, code) in cases {
        let done = run(alone(home.path(), program, args), b"").ended(*code);
        assert!(done.stdout.is_empty(), "{program} {args:?} {}", done.words());
        assert!(done.stderr.starts_with(&format!("{program}: ")), "{program} {args:?} {}", done.words());
    }
}

fn help_and_version() {
    let home = tempfile::tempdir().unwrap();
    for program in ["npx-safe", "uvx-safe", "jitbox"] {
        for word in ["--help", "--version"] {
            let done = run(alone(home.path(), program, &[word]), b"").ok();
            assert!(!done.stdout.is_empty() && done.stderr.is_empty(), "{program} {word} {}", done.words());
        }
        let version = run(alone(home.path(), program, &["--version"]), b"").ok().text();
        assert_eq!(version.trim(), format!("{program} {}", env!("CARGO_PKG_VERSION")));
    }
}

/// Settings that can't be used stop every start, whatever they would have said.
fn settings() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/jitbox/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (text, mode, names) in
        [("netwrok = 'open'", 0o600, "netwrok"), ("network = 'open", 0o600, "line 1"), ("network = 'none'", 0o666, "")]
    {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let done = run(alone(home.path(), "npx-safe", &["-y", "cowsay"]), b"").ended(126);
        assert!(done.stderr.contains("config.toml") && done.stderr.contains(names), "{}", done.stderr);
    }
}

fn engine_missing() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".config/jitbox/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "engine = '/no/such/podman'\n").unwrap();
    let done = run(alone(home.path(), "npx-safe", &["-y", "cowsay"]), b"");
    assert!([125, 126].contains(&done.code()) && done.stderr.contains("/no/such/podman"), "{}", done.words());
    let done = run(alone(home.path(), "jitbox", &["doctor", "--json"]), b"").ended(1);
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["usable"], false);
}

fn json(done: &Done) -> Value {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.words()))
}

fn plan(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let words = ["plan", "--json", "npx", "--", "-y", "cowsay", "hi"];
    let plan = json(&run(home.shim("jitbox", words), b"").ok());
    assert_eq!(plan["resolved"]["locked"], true, "{plan}");
    assert_eq!(plan["policy"]["network"], "none");
    let run_step: Vec<&str> = plan["steps"][0]["argv"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for flag in ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--pull=never"]
    {
        assert!(run_step.contains(&flag), "{flag}: {run_step:?}");
    }
    assert!(run_step.contains(&Carrier::Chosen.word(lane)), "{run_step:?}");
    // The same, for people, by the shim's own option.
    let done = run(home.shim("npx-safe", ["--safe-plan", "-y", "cowsay", "hi"]), b"").ok();
    assert!(done.text().contains("--cap-drop=ALL"), "{}", done.words());
    // Without a box: every step that would make it, and nothing made.
    let words = ["plan", "--json", "uvx", "--", "mcp-server-time@2026.10.19"];
    let plan = json(&run(home.shim("jitbox", words), b"").ok());
    let steps: Vec<&str> = plan["steps"].as_array().unwrap().iter().filter_map(|s| s["step"].as_str()).collect();
    assert_eq!(steps, ["install", "commit", "run"]);
    assert_eq!(home.records().len(), 1);
}

fn ls(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let rows = json(&run(home.shim("jitbox", ["ls", "--json"]), b"").ok());
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["name"], "cowsay");
    let text = run(home.shim("jitbox", ["ls"]), b"").ok().text();
    assert!(text.starts_with("cowsay ") && text.lines().count() == 1, "{text}");
    let empty = Home::empty(lane);
    let done = run(empty.shim("jitbox", ["ls"]), b"").ok();
    assert!(done.stdout.is_empty() && done.stderr.contains("no boxes"), "{}", done.words());
}

/// A box that no other test uses: its image is going to be removed.
const TO_REMOVE: Line = Line { shim: "npx-safe", args: &["-y", "semver@7.6.3", "1.2.3"] };
/// The same.
const TO_LOSE: Line = Line { shim: "npx-safe", args: &["-y", "-p", "left-pad@1.3.0", "node", "-e", ""] };

fn image_of(record: &Path) -> String {
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    record["image"].as_str().unwrap().to_owned()
}

fn rm(lane: &'static Lane) {
    if lane.is_gvisor() {
        // It shares podman5's images.
        return;
    }
    let home = Home::warmed(lane, Carrier::Chosen, &[&TO_REMOVE]);
    let image = image_of(&home.records()[0]);
    let there = || !lane.engine_says(&["image", "inspect", "--format", "{{.Id}}", &image]).is_empty();
    assert!(there() && home.compiled().len() == 1);
    let done = run(home.shim("jitbox", ["rm", "no-such-box"]), b"").ended(1);
    assert!(done.stderr.contains("no-such-box") && done.stderr.contains("jitbox ls"), "{}", done.stderr);
    let done = run(home.shim("jitbox", ["rm", "semver@7.6.3"]), b"").ok();
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    assert!(!there() && home.records().is_empty() && home.compiled().is_empty());
}

fn log(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let folder = home.folder("work");
    let secret = "s3cr3t-of-the-log";
    let script = "const end = Date.now() + 300; while (Date.now() < end); process.exit(3)";
    let args = ["-y", "-p", "cowsay", "node", "-e", script, folder.to_str().unwrap(), secret];
    run(home.shim_with(&[&format!("MY_TOKEN={secret}")], "npx-safe", args), b"").ended(3);
    run(home.shim("npx-safe", ["-c", "cowsay hi"]), b"").ended(126);
    let entries = json(&run(home.shim("jitbox", ["logs", "--json", "--last", "3"]), b"").ok());
    let (start, end, refused) = (&entries[0], &entries[1], &entries[2]);
    assert_eq!((&start["event"], &start["package"]), (&Value::from("start"), &Value::from("cowsay")), "{entries}");
    assert_eq!(start["run"], end["run"]);
    assert_eq!((&start["engine"], &start["network"]), (&Value::from(lane.engine()), &Value::from("none")));
    let mounted = [&start["read"], &start["write"]].map(|list| list.as_array().unwrap().len());
    assert_eq!(mounted[0] + mounted[1], 1, "{start}");
    assert!(start["environment"].as_array().unwrap().contains(&"MY_TOKEN".into()), "{start}");
    assert_eq!((&end["event"], &end["exit"]), (&Value::from("end"), &Value::from(3)), "{end}");
    assert!(end["memory"].as_u64().unwrap() > 1 << 20, "{end}");
    assert!(end["cpu_ms"].as_u64().unwrap() > 0, "{end}");
    assert_eq!(refused["event"], "refused", "{refused}");
    let file = home.dir.join("log/jitbox/audit.jsonl");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(secret));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = run(home.shim("jitbox", ["history", "cowsay"]), b"").ok().text();
    assert_eq!(text.lines().count(), entries.as_array().unwrap().len() - 1, "{text}");
    assert!(text.contains("exit 3 after"), "{text}");
    run(home.shim("jitbox", ["history", "no-such-package"]), b"").ended(1);
}

fn doctor(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let report = json(&run(home.shim("jitbox", ["doctor", "--json"]), b"").ok());
    assert_eq!(report["usable"], true, "{report}");
    assert_eq!(report["chosen"]["kind"], lane.engine());
    assert_eq!(report["chosen"]["facts"]["rootless"], lane.is_rootless());
    let carrier = match Carrier::Chosen.word(lane) {
        "fd" => "descriptors",
        "stdio" => "stream",
        other => other,
    };
    assert_eq!(report["chosen"]["carrier"], carrier);
    assert!(report["hardened"].is_null() && report["hardening"].as_array().unwrap().is_empty(), "{report}");
    let text = run(home.shim("jitbox", ["doctor"]), b"").ok().text();
    assert!(text.contains("packages can be run"), "{text}");
}

/// A runtime that the engine does not have is refused by name, and nothing runs without it.
fn missing_runtime(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    for name in ["kata", "/no/such/runtime"] {
        home.write("config/jitbox/config.toml", &format!("runtime = \"{name}\"\n"));
        let done = run(home.node("console.log('RAN')", &[]), b"").ended(126);
        assert!(!done.text().contains("RAN"));
        assert!(done.stderr.contains(name) && done.stderr.contains("no such runtime"), "{}", done.stderr);
    }
}

/// With a box there, every property is tested by one.
fn hardening(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let report = json(&run(home.shim("jitbox", ["doctor", "--json"]), b""));
    let rows = report["hardening"].as_array().unwrap();
    assert_eq!(report["hardened"], true, "{:#?}", rows.iter().filter(|row| row["ok"] == false).collect::<Vec<_>>());
    let holds = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no {id}"))["ok"].clone();
    let mut sure = vec!["user", "capabilities", "read-only", "noexec", "sockets", "network", "processes", "core"];
    // What a kernel of the box's own says is not about ours.
    if !lane.is_gvisor() {
        sure.extend(["no-new-privileges", "seccomp", "namespaces", "kernel", "devices", "proc"]);
    }
    for id in sure {
        assert_eq!(holds(id), true, "{id}: {rows:#?}");
    }
    for limit in ["memory", "pids", "cpus"] {
        let enforced = report["chosen"]["facts"]["enforces"][limit] == true && !lane.is_gvisor();
        assert_eq!(holds(limit), if enforced { Value::from(true) } else { Value::Null }, "{limit}: {rows:#?}");
    }
    let text = run(home.shim("jitbox", ["doctor"]), b"").ok().text();
    assert!(text.contains("a box, from inside") && text.contains("ok capabilities"), "{text}");
}

fn not_found(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let done = run(home.shim("npx-safe", ["-y", "-p", "cowsay", "no-such-program"]), b"").ended(127);
    assert!(done.stderr.contains("no-such-program") && done.stderr.contains("cowsay"), "{}", done.stderr);
    let done = run(home.shim("npx-safe", ["-y", "jitbox-test-no-such-package-4711"]), b"").ended(127);
    assert!(done.stderr.contains("jitbox-test-no-such-package-4711"), "{}", done.stderr);
    let done = run(home.shim("uvx-safe", ["jitbox-test-no-such-package-4711"]), b"").ended(127);
    assert!(done.stderr.contains("jitbox-test-no-such-package-4711"), "{}", done.stderr);
    run(home.shim("npx-safe", ["-y", "cowsay@999.0.0"]), b"").ended(127);
}

/// Records that can't be read are reported, set aside, and made again.
/// A line that names its command and one that does not share a box, whoever made it.
fn one_box_for_each_form(lane: &'static Lane) {
    let home = Home::empty(lane);
    let named = run(home.shim("npx-safe", ["-y", "-p", "cowsay", "cowthink", "hi"]), b"").ok();
    assert!(named.text().contains("( hi )"), "{}", named.words());
    let plain = run(home.shim("npx-safe", ["-y", "cowsay", "hi"]), b"").ok();
    assert!(plain.text().contains("< hi >"), "{}", plain.words());
    assert_eq!(home.records().len(), 1);
}

fn broken_record(lane: &'static Lane) {
    if lane.is_gvisor() {
        // It can't make boxes by itself.
        return;
    }
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let record = home.records().remove(0);
    let whole = std::fs::read(&record).unwrap();
    let half = whole[..whole.len() / 2].to_vec();
    for broken in [half, b"\0\0garbage".to_vec(), Vec::new()] {
        std::fs::write(&record, &broken).unwrap();
        let done = run(home.shim("npx-safe", ["-y", "cowsay", "hi"]), b"").ok();
        assert!(done.text().contains("< hi >"), "{}", done.words());
        let name = record.file_name().unwrap();
        assert!(done.stderr.contains(name.to_str().unwrap()) && done.stderr.contains("set aside"), "{}", done.stderr);
        assert_eq!(std::fs::read(home.data().join("set-aside").join(name)).unwrap(), broken);
        assert_eq!(image_of(&record), image_of_bytes(&whole));
    }
}

fn image_of_bytes(record: &[u8]) -> String {
    let record: Value = serde_json::from_slice(record).unwrap();
    record["image"].as_str().unwrap().to_owned()
}

fn broken_engine_facts(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    for entry in std::fs::read_dir(home.data().join("engines")).unwrap().flatten() {
        std::fs::write(entry.path(), b"{").unwrap();
    }
    // The first start learns it all again, the second one uses it.
    for start in ["first", "second"] {
        let done = run(home.shim("npx-safe", ["-y", "cowsay", start]), b"").ok();
        assert!(done.text().contains(start), "{}", done.words());
        assert_eq!(done.stderr.contains("set aside"), start == "first", "{}", done.stderr);
    }
}

/// An image that somebody removed is made again from the record, and the start goes on; one of
/// another jitbox, or that lacks what the package's recipe asks for by now, before the start.
fn image_removed(lane: &'static Lane) {
    if lane.is_gvisor() {
        return;
    }
    let home = Home::warmed(lane, Carrier::Chosen, &[&TO_LOSE]);
    let image = image_of(&home.records()[0]);
    // The container of the start before may be on its way out.
    let removed = || lane.engine_command(&["image", "rm", &image]).output().unwrap().status.success();
    wait_for("the image's removal", || removed().then_some(()));
    let script = "console.log(require('/app/node_modules/left-pad')('x', 3))";
    let done = run(home.shim("npx-safe", ["-y", "-p", "left-pad@1.3.0", "node", "-e", script]), b"").ok();
    assert_eq!(done.text(), "  x\n", "{}", done.words());
    assert_eq!(image_of(&home.records()[0]), image);
    assert!(!lane.engine_says(&["image", "inspect", "--format", "{{.Id}}", &image]).is_empty());
    let [record] = &home.records()[..] else { panic!("not one box") };
    let right: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    for (field, other) in [("guest", "\"of-another-jitbox\""), ("apt", "[\"git\"]")] {
        let mut changed = right.clone();
        changed[field] = serde_json::from_str(other).unwrap();
        std::fs::write(record, changed.to_string()).unwrap();
        let done = run(home.shim("npx-safe", TO_LOSE.args), b"").ok();
        assert!(done.stderr.contains("preparing left-pad@1.3.0 again"), "{}", done.words());
        let made: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
        assert_eq!(made[field], right[field]);
        let done = run(home.shim("npx-safe", TO_LOSE.args), b"").ok();
        assert!(!done.stderr.contains("preparing"), "{}", done.words());
    }
}

/// A client that passes nothing on but `HOME`, `PATH` and `USER`, and what finds this lane's
/// engine.
fn small_environment(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let own = home.folder("h");
    let copy = |from: &Path, to: &str| {
        let to = own.join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        if from.exists() {
            std::fs::copy(from, to).unwrap();
        }
    };
    copy(&home.dir.join("config/containers/storage.conf"), ".config/containers/storage.conf");
    copy(&home.dir.join("config/jitbox/config.toml"), ".config/jitbox/config.toml");
    for record in home.records() {
        let name = record.file_name().unwrap().to_str().unwrap().to_owned();
        copy(&record, &format!(".local/share/jitbox/boxes/{name}"));
    }
    home.own(&own);
    let mut command = lane.command("env");
    command.arg("-i").arg(format!("HOME={}", own.display()));
    for name in ["PATH", "USER", "DOCKER_HOST", "NERDCTL_TOML", "BUILDKIT_HOST", "JITBOX_ENGINE"] {
        if let Some(value) = lane.env.get(name) {
            command.arg(format!("{name}={value}"));
        }
    }
    command.args([binary("npx-safe"), "-y", "cowsay", "small"]);
    let done = run(command, b"").ok();
    assert!(done.text().contains("small"), "{}", done.words());
}

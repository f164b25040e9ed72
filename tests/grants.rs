//! What a program gets by its level and by grants, and what it does not get by anything else.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Case;
use crate::support::home::{CARRIERS, COWSAY, Line, binary};
use crate::support::{Carrier, Done, Home, Lane, run};
use crate::terminal::Screen;

pub const CASES: &[Case] = &[
    Case::new("the_hint_is_the_way", the_hint_is_the_way),
    Case::new("files_stay_their_owners", files_stay_their_owners),
    Case::new("roots_files", roots_files).on(|lane| lane.uid == 0),
    Case::new("guarded", guarded),
    Case::new("strict", strict),
    Case::new("relaxed", relaxed),
    // A nerdctl that is a script is taken for a way into a virtual machine.
    Case::new("exchanged", exchanged).on(|lane| lane.engine() != "nerdctl"),
    Case::new("not_by_the_line", not_by_the_line),
    Case::new("variables", variables),
    Case::new("question", question).on(|lane| !lane.is_gvisor()),
];

pub const PLAIN: &[(&str, fn())] = &[("grants::commands", commands), ("grants::not_by_a_project", not_by_a_project)];

/// Allowing, showing and taking back, without any engine.
fn commands() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().canonicalize().unwrap();
    std::fs::create_dir_all(dir.join("work/sub")).unwrap();
    std::fs::create_dir_all(dir.join(".ssh")).unwrap();
    std::os::unix::fs::symlink(dir.join(".ssh"), dir.join("work/keys")).unwrap();
    let jitbox = |words: &[&str]| {
        let mut command = std::process::Command::new(binary("jitbox"));
        command.args(words).env_clear().env("HOME", &dir).current_dir(dir.join("work"));
        run(command, b"")
    };
    jitbox(&["allow", "npm:a", "npm:b", "--write", "sub", "--host", "API.example.com:443", "--reason", "to test"]).ok();
    let shown = jitbox(&["grants", "--json"]).ok();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 2);
    assert_eq!(shown[0]["holder"]["from"], "https://registry.npmjs.org/");
    assert_eq!(shown[0]["grants"][0]["write"], dir.join("work/sub").to_str().unwrap());
    assert_eq!(shown[1]["grants"][1]["host"], "api.example.com:443");
    // A name that is known of one ecosystem only needs no more.
    let text = jitbox(&["grants", "a"]).ok().text();
    assert!(text.contains("work/sub") && text.contains("to test") && !text.contains("npm:b"), "{text}");
    jitbox(&["deny", "a", "--write", "sub"]).ok();
    assert!(!jitbox(&["grants", "npm:a"]).ok().text().contains("work/sub"));
    jitbox(&["allow", "npm:b", "--young"]).ok();
    assert!(jitbox(&["grants", "npm:b"]).ok().text().contains("releases of every age"));
    assert!(jitbox(&["deny", "npm:b", "--young"]).ok().stderr.contains("1 grant taken back"));
    for (words, code, said) in [
        (&["allow", "--young", "--", "npx", "-y", "a"][..], 2, "npm:NAME --young"),
        (&["allow", "npm:a", "--read", "keys"], 1, "keys and settings"),
        (&["allow", "npm:a", "--read", ".."], 1, "home"),
        (&["allow", "npm:a", "--read", "/etc/passwd"], 1, "system's"),
        (&["allow", "npm:a", "--read", "/proc/self/root/etc"], 1, "system's"),
        (&["allow", "npm:a", "--write", "/dev/null"], 1, "can't be given"),
        (&["allow", "npm:a", "--read", "nothing"], 1, "can't be given"),
        (&["allow", "npm:a", "--env", "LD_PRELOAD"], 1, "LD_PRELOAD"),
        (&["allow", "npm:a", "--env", "A=b"], 2, "keyring:SERVICE/ACCOUNT"),
        (&["allow", "npm:a", "--env", "LD_X=file:/a"], 1, "LD_X"),
        (&["allow", "npm:a", "--host", "*.com"], 2, "host"),
        (&["allow", "npm:a@1.0.0", "--env", "A"], 2, "npm:a"),
        (&["allow", "unknown", "--env", "A"], 2, "jitbox allow pypi:unknown --env A"),
        (&["allow", "npm:a"], 2, "--read"),
        (&["allow", "--env", "A"], 2, "npm:NAME"),
        (&["deny", "npm:a", "--env", "A"], 1, "jitbox grants"),
    ] {
        let done = jitbox(words).ended(code);
        assert!(done.stderr.contains(said) && done.stderr.contains("jitbox: "), "{words:?} {}", done.words());
    }
}

/// What a project brings along says nothing, even where the environment leads to it.
fn not_by_a_project() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(project.join(".config/jitbox")).unwrap();
    std::fs::write(project.join(".config/jitbox/config.toml"), "network = \"open\"\n").unwrap();
    for (variable, value) in [("XDG_CONFIG_HOME", project.join(".config")), ("HOME", project.clone())] {
        let start = || {
            let mut command = std::process::Command::new(binary("npx-safe"));
            command.args(["--safe-plan", "cowsay"]).env_clear().env("HOME", "/proc/nowhere").env("PATH", "/nowhere");
            command.env(variable, &value).current_dir("/");
            run(command, b"")
        };
        assert!(!start().stderr.contains("in the project"));
        std::fs::write(project.join(".mcp.json"), "{}").unwrap();
        let done = start().ended(126);
        assert!(done.stderr.contains("in the project"), "{variable} {}", done.words());
        std::fs::remove_file(project.join(".mcp.json")).unwrap();
    }
}

/// A package whose own program does what its arguments say.
const SHX: Line = Line { shim: "npx-safe", args: &["-y", "shx", "true"] };

fn warmed(lane: &'static Lane) -> Home {
    Home::warmed(lane, Carrier::Chosen, &[&COWSAY])
}

/// A project of the lane's user, or of some other user where that is root.
struct Project {
    dir: PathBuf,
    uid: u32,
}

impl Project {
    fn new(home: &Home) -> Self {
        let dir = home.folder("project");
        for folder in [".git/hooks", ".git/objects", ".vscode"] {
            std::fs::create_dir_all(dir.join(folder)).unwrap();
        }
        for file in ["there", ".git/config", ".vscode/tasks.json"] {
            std::fs::write(dir.join(file), "old").unwrap();
        }
        let uid = if home.lane.uid == 0 { 12345 } else { home.lane.uid };
        let project = Self { dir, uid };
        project.give(uid, if home.lane.uid == 0 { 12345 } else { home.lane.gid });
        project
    }

    fn give(&self, uid: u32, gid: u32) {
        let done = std::process::Command::new("chown").args(["-R", &format!("{uid}:{gid}")]).arg(&self.dir).status();
        assert!(done.unwrap().success());
    }

    fn path(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.dir.join(file)).unwrap_or_default()
    }
}

fn jitbox(home: &Home, words: &[&str]) -> Done {
    run(home.shim("jitbox", words), b"")
}

/// The command behind `jitbox allow` in what was said, as its words.
fn hinted(done: &Done) -> Vec<String> {
    let at = done.stderr.find("jitbox allow ").unwrap_or_else(|| panic!("no command in {}", done.stderr));
    let text = done.stderr[at..].lines().next().unwrap().trim_end_matches(')');
    shell_words::split(text).unwrap().split_off(1)
}

fn follow(home: &Home, done: &Done) {
    run(home.shim("jitbox", hinted(done)), b"").ok();
}

/// Allows one exact line of [`Home::node`] some things.
fn allow_node(home: &Home, options: &[&str], script: &str, args: &[&str]) {
    let line = ["--", "npx", "-y", "-p", "cowsay", "node", "-e", script];
    jitbox(home, &[&["allow"], options, &line, args].concat()).ok();
}

/// By default a path can be read; what is said then allows the rest, and can be taken back.
fn the_hint_is_the_way(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SHX]);
    let project = Project::new(&home);
    let read = run(home.shim("npx-safe", ["-y", "shx", "cat", &format!("{}/there", project.path())]), b"").ok();
    assert_eq!(read.text(), "old", "{}", read.words());
    let touch = || run(home.shim("npx-safe", ["-y", "shx", "cp", "/app/package.json", project.path()]), b"");
    let done = touch();
    assert!(!done.status.success() && !project.dir.join("package.json").exists(), "{}", done.words());
    follow(&home, &done);
    let done = touch().ok();
    assert!(done.stderr.lines().all(|line| line.contains("can't limit")), "{}", done.stderr);
    assert!(project.read("package.json").contains("shx"), "{}", project.path());
    // The plan says why.
    let line = ["plan", "--json", "npx", "-y", "shx", "cp", "x", project.path()];
    let plan: Value = serde_json::from_slice(&jitbox(&home, &line).ok().stdout).unwrap();
    let mounts = plan["policy"]["mounts"].as_array().unwrap();
    let mount = mounts.iter().find(|mount| mount["target"] == project.path()).unwrap_or_else(|| panic!("{plan}"));
    assert!(mount["writable"] == true && mount["why"].as_str().unwrap().starts_with("your grant of 20"), "{mount}");
    // For the same package from elsewhere it is no grant.
    let line = ["plan", "--json", "npx", "--registry=https://other.example", "-y", "shx", "cp", "x", project.path()];
    let done = jitbox(&home, &line);
    assert!(!done.text().contains("your grant"), "{}", done.words());
    let listed = jitbox(&home, &["grants", "shx"]).ok();
    assert!(listed.text().contains(&format!("write {}", project.path())), "{}", listed.words());
    jitbox(&home, &["deny", "shx"]).ok();
    std::fs::remove_file(project.dir.join("package.json")).unwrap();
    assert!(!touch().status.success() && !project.dir.join("package.json").exists());
    jitbox(&home, &["deny", "shx"]).ended(1);
}

const WRITE: &str = "const fs = require('fs'); const at = process.argv[1];
    fs.appendFileSync(at + '/there', '+new'); fs.writeFileSync(at + '/made', 'x'); fs.mkdirSync(at + '/folder');
    fs.writeFileSync(at + '/folder/made', 'x'); console.log(process.getuid(), fs.readFileSync(at + '/there', 'utf8'))";

fn files_stay_their_owners(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&COWSAY]);
        let project = Project::new(&home);
        allow_node(&home, &["--write", project.path()], WRITE, &[project.path()]);
        let done = run(home.node(WRITE, &[project.path()]), b"").ok();
        assert!(done.text().ends_with(" old+new\n") && !done.text().starts_with("0 "), "{}", done.words());
        for made in ["there", "made", "folder", "folder/made"] {
            assert_eq!(std::fs::metadata(project.dir.join(made)).unwrap().uid(), project.uid, "{made}");
        }
        // The line may only take away.
        std::fs::remove_dir_all(project.dir.join("folder")).unwrap();
        let line = ["--safe-ro", "-y", "-p", "cowsay", "node", "-e", WRITE, project.path()];
        let done = run(home.shim("npx-safe", line), b"");
        assert!(!done.status.success() && !project.dir.join("folder").exists(), "{}", done.words());
    }
}

/// No program is root, so nobody can change root's files: that is said, and they can be read.
fn roots_files(lane: &'static Lane) {
    let home = warmed(lane);
    let project = Project::new(&home);
    project.give(0, 0);
    allow_node(&home, &["--write", project.path()], WRITE, &[project.path()]);
    let done = run(home.node(WRITE, &[project.path()]), b"");
    assert!(!done.status.success() && done.stderr.contains("belongs to root"), "{}", done.words());
    assert_eq!(project.read("there"), "old");
}

const ATTACK: &str = r#"
const fs = require('fs'), at = process.argv[1] + '/', said = {};
const attempt = (name, what) => { try { what(); said[name] = 'ok' } catch (e) { said[name] = e.code || String(e) } };
attempt('object', () => fs.writeFileSync(at + '.git/objects/x', 'x'));
attempt('source', () => fs.writeFileSync(at + 'src.txt', 'x'));
for (const file of ['.git/hooks/pre-commit', '.git/config', '.vscode/tasks.json', '.vscode/new'])
    attempt('write ' + file, () => fs.writeFileSync(at + file, 'evil'));
for (const file of ['.git', '.git/hooks', '.git/config', '.vscode']) {
    attempt('move ' + file, () => fs.renameSync(at + file, at + 'moved'));
    attempt('remove ' + file, () => fs.rmSync(at + file, { recursive: true }));
}
attempt('make', () => fs.writeFileSync(at + '.mcp.json', 'evil'));
console.log(JSON.stringify(said));
"#;

fn guarded(lane: &'static Lane) {
    let home = warmed(lane);
    let project = Project::new(&home);
    allow_node(&home, &["--write", project.path()], ATTACK, &[project.path()]);
    let done = run(home.node(ATTACK, &[project.path()]), b"").ok();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    for (what, came) in said.as_object().unwrap() {
        let fine = ["object", "source", "make"].contains(&what.as_str());
        assert_eq!(came == "ok", fine, "{what}: {said}");
    }
    for file in [".git/config", ".vscode/tasks.json", "there"] {
        // gVisor empties a file of a read-only mount that is opened with O_TRUNC before it refuses
        // to open it (SECURITY.md); nothing else comes into it.
        let emptied = lane.is_gvisor() && project.read(file).is_empty() && project.dir.join(file).exists();
        assert!(emptied || project.read(file) == "old", "{file}: {}", project.read(file));
    }
    assert!(!project.dir.join(".git/hooks/pre-commit").exists());
    // What was not there could not be guarded: it is named.
    assert!(done.stderr.contains(".mcp.json") && done.stderr.contains("look at it"), "{}", done.stderr);
    // A grant for the very place lifts its guard, and only its own.
    let vscode = format!("{}/.vscode", project.path());
    allow_node(&home, &["--write", &vscode], ATTACK, &[project.path()]);
    let done = run(home.node(ATTACK, &[project.path()]), b"").ok();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["write .vscode/new"], "ok", "{said}");
    assert_ne!(said["write .git/config"], "ok", "{said}");
}

fn strict(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SHX]);
    let project = Project::new(&home);
    let file = format!("{}/there", project.path());
    let line = ["-y", "shx", "cat", &file];
    run(home.shim("npx-safe", line), b"").ok();
    let narrowed = run(home.shim("npx-safe", ["--safe-level=strict"].iter().chain(&line)), b"");
    assert!(!narrowed.status.success() && narrowed.text().is_empty(), "{}", narrowed.words());
    home.configure("level = \"strict\"\n");
    // Less than the settings say is no level that a line can choose.
    let done = run(home.shim("npx-safe", ["--safe-level=standard"].iter().chain(&line)), b"");
    assert!(!done.status.success() && done.text().is_empty(), "{}", done.words());
    follow(&home, &done);
    assert_eq!(run(home.shim("npx-safe", line), b"").ok().text(), "old");
}

fn relaxed(lane: &'static Lane) {
    let home = warmed(lane);
    home.configure("level = \"relaxed\"\n");
    let project = Project::new(&home);
    let script =
        "const fs = require('fs'); fs.writeFileSync(process.argv[1] + '/made', 'x'); console.log(process.cwd())";
    run(home.node(script, &[project.path()]), b"").ok();
    assert_eq!(project.read("made"), "x");
    // The working directory can be read and not changed, and a stricter line gets neither.
    let look =
        "const fs = require('fs'); console.log(fs.readFileSync('there', 'utf8')); fs.writeFileSync('made2', 'x')";
    let mut command = home.node(look, &[]);
    command.current_dir(&project.dir);
    let done = run(command, b"");
    let refused = ["EROFS", "EACCES"].iter().any(|error| done.stderr.contains(error));
    assert!(done.text() == "old\n" && refused, "{}", done.words());
    let mut command = home.shim("npx-safe", ["--safe-level=standard", "-y", "-p", "cowsay", "node", "-e", look]);
    command.current_dir(&project.dir);
    let done = run(command, b"");
    assert!(done.text().is_empty() && done.stderr.contains("ENOENT"), "{}", done.words());
}

/// Somebody puts a link in the place of a folder after it was looked at and before the engine
/// mounts it: nothing runs.
fn exchanged(lane: &'static Lane) {
    let home = warmed(lane);
    let project = Project::new(&home);
    let secret = home.folder("secret");
    home.write("secret/there", "secret");
    let program = home.lane.shell_path(lane.engine());
    // An engine that is slow enough for somebody else to be quick.
    let script = format!(
        "#!/bin/sh\nfor word in \"$@\"; do if [ \"$word\" = --read-only ]; then\n\
         if [ -e '{0}/exchange' ]; then rm '{0}/exchange'; mv '{1}' '{1}.old'; ln -s '{2}' '{1}'; fi; fi; done\n\
         exec '{program}' \"$@\"\n",
        home.dir.display(),
        project.path(),
        secret.display(),
    );
    let wrapper = home.write(&format!("bin/{}", lane.engine()), &script);
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    home.configure(&format!("engine = \"{}\"\n", wrapper.display()));
    let read = "console.log(require('fs').readFileSync(process.argv[1] + '/there', 'utf8'))";
    let line = ["-y", "-p", "cowsay", "node", "-e", read, project.path()];
    let start = || run(home.shim_with(&["JITBOX_ENGINE="], "npx-safe", line), b"");
    // It works as it is, on both ways of the link.
    for _ in 0..2 {
        assert_eq!(start().ok().text(), "old\n");
    }
    home.write("exchange", "");
    let done = start().ended(126);
    assert!(done.text().is_empty() && done.stderr.contains("became something else"), "{}", done.words());
    assert!(project.dir.is_symlink(), "nobody exchanged it");
    // A link that was there before is looked through, and refused or not by where it leads.
    assert_eq!(start().ok().text(), "secret\n");
    std::fs::remove_file(&project.dir).unwrap();
}

/// What a line says can't make use of what a package was granted.
fn not_by_the_line(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SHX]);
    let project = Project::new(&home);
    jitbox(&home, &["allow", "npm:shx", "--write", project.path(), "--env", "TOKEN"]).ok();
    let write = "require('fs').writeFileSync(process.argv[1] + '/made', 'x')";
    for line in [
        // Code of the line, and not of the package.
        &["-y", "-p", "shx", "node", "-e", write, project.path()][..],
        // Another package in the same box.
        &["-y", "-p", "shx", "-p", "cowsay", "shx", "cp", "/app/package.json", project.path()],
    ] {
        let done = run(home.shim("npx-safe", line), b"");
        assert!(!done.status.success(), "{line:?} {}", done.words());
        let made = std::fs::read_dir(&project.dir)
            .unwrap()
            .flatten()
            .any(|e| e.file_name() == "made" || e.file_name() == "package.json");
        assert!(!made, "{line:?}");
    }
    jitbox(&home, &["rm", "shx + cowsay"]).ok();
    // It counts for the package itself.
    run(home.shim("npx-safe", ["-y", "-p", "shx", "shx", "cp", "/app/package.json", project.path()]), b"").ok();
}

fn variables(lane: &'static Lane) {
    let home = warmed(lane);
    let script = "console.log(process.env.TOKEN, process.env.OTHER)";
    let line = ["-y", "-p", "cowsay", "node", "-e", script];
    let start = |more: &[&str]| {
        // A terminal's or an editor's environment: nobody knows what of it is meant.
        let environment = ["SHLVL=1", "TOKEN=secret", "OTHER=x"];
        run(home.shim_with(&environment, "npx-safe", more.iter().chain(&line)), b"").ok()
    };
    let done = start(&[]);
    assert!(done.stderr.contains("not passed on: OTHER, TOKEN"), "{}", done.words());
    for more in [&[][..], &["--safe-env=TOKEN"]] {
        let again = start(more);
        assert_eq!(again.text(), "undefined undefined\n", "{}", again.words());
        // It was said.
        assert!(!again.stderr.contains("not passed on"), "{}", again.words());
    }
    let command: Vec<String> =
        hinted(&done).into_iter().map(|word| if word == "NAME" { "TOKEN".to_owned() } else { word }).collect();
    run(home.shim("jitbox", command), b"").ok();
    assert_eq!(start(&[]).text(), "secret undefined\n");
    assert_eq!(start(&["--safe-level=strict"]).text(), "secret undefined\n");
    assert_eq!(start(&["--safe-env=OTHER"]).text(), "undefined undefined\n");
}

/// On a terminal a plain program may ask for its working directory, once; on a pipe never.
fn question(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SHX]);
    let project = Project::new(&home);
    let start = |at: &Path, file: &str| {
        let mut command = home.shim("npx-safe", ["-y", "shx", "cp", "/app/package.json", file]);
        command.current_dir(at);
        command
    };
    let done = run(start(&project.dir, "piped"), b"always\n");
    assert!(!done.stderr.contains('?') && !project.dir.join("piped").exists(), "{}", done.words());
    let answered = |at: &Path, file: &str, answer: Option<&[u8]>| {
        let mut screen = Screen::start(&start(at, file));
        if let Some(answer) = answer {
            screen.wait_for("always]");
            screen.keys.write_all(answer).unwrap();
        }
        let asked = answer.is_some();
        screen.end();
        assert_eq!(screen.text().contains("always]"), asked, "{}", screen.text());
        at.join(file).exists()
    };
    assert!(answered(&project.dir, "now", Some(b"y\n")));
    assert!(answered(&project.dir, "always", Some(b"always\n")));
    assert!(answered(&project.dir, "again", None));
    // It is for that folder. A no is remembered for the package.
    let other = home.folder("other");
    std::os::unix::fs::chown(&other, Some(project.uid), None).unwrap();
    assert!(!answered(&other, "no", Some(b"\n")));
    assert!(!answered(&other, "no", None));
    assert!(answered(&project.dir, "still", None));
}

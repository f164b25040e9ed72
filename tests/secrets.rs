//! Variables whose values are kept elsewhere: the program gets them, and nothing else does.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::Case;
use crate::support::home::COWSAY;
use crate::support::{Carrier, Done, Home, Lane, run};

pub const CASES: &[Case] = &[
    Case::new("kept_elsewhere", kept_elsewhere),
    // The desktop's service is one of a machine's, not of an engine's.
    Case::new("keyring", keyring).on(|lane| lane.name == "podman"),
];

const PRINT: &str = "console.log(process.env.KEY, process.env.OTHER)";

/// The line that has the grants: a package's own command would not print them.
const LINE: [&str; 7] = ["npx", "-y", "-p", "cowsay", "node", "-e", PRINT];

fn allow(home: &Home, variables: &[&str]) -> Done {
    let options = variables.iter().flat_map(|variable| ["--env", variable]);
    run(home.shim("jitbox", ["allow"].into_iter().chain(options).chain(["--"]).chain(LINE)), b"").ok()
}

fn kept_elsewhere(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let file = home.write("keys/acme", "of-a-file\n");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let said = allow(&home, &[&format!("KEY=file:{}", file.display()), "OTHER=cmd:printf 'of a %s' command"]).text();
    assert!(said.contains("env OTHER from cmd:printf"), "{said}");
    // What is kept counts, whatever the client's entry says.
    let start =
        |options: &[&str]| run(home.shim_with(&["KEY=theirs"], "npx-safe", options.iter().chain(&LINE[1..])), b"");
    for options in [&[][..], &["--safe-level=strict"]] {
        assert_eq!(start(options).ok().text(), "of-a-file of a command\n");
    }
    home.write("keys/acme", "renewed");
    assert_eq!(start(&[]).ok().text(), "renewed of a command\n");
    // It stands in no file of jitbox's.
    for folder in ["data", "config", "log"] {
        let found =
            Command::new("grep").args(["-rlE", "of-a-file|of a command|renewed"]).arg(home.dir.join(folder)).output();
        let found = String::from_utf8(found.unwrap().stdout).unwrap();
        assert!(found.is_empty(), "{found}");
    }
    mode(0o644);
    let done = start(&[]).ended(126);
    assert!(done.stderr.contains("`KEY`") && done.stderr.contains("chmod 600"), "{}", done.words());
    // What the line does without is not even read.
    assert_eq!(start(&["--safe-env=OTHER"]).ok().text(), "undefined of a command\n");
    run(home.shim("jitbox", ["deny", "--env", "KEY", "--"].iter().chain(&LINE)), b"").ok();
    assert_eq!(start(&["--safe-env=KEY"]).ok().text(), "theirs undefined\n");
}

/// The real service on a bus of its own.
fn keyring(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    allow(&home, &["KEY=keyring:acme/api/key"]);
    let start = home.shim("npx-safe", &LINE[1..]);
    let without = run(home.shim("npx-safe", &LINE[1..]), b"").ended(125);
    assert!(without.stderr.contains("secret-tool store"), "{}", without.words());
    // Whoever asks for the service before it is there makes the bus start another one, which is locked.
    let script = "
        there() { dbus-send --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true; }
        printf pass | gnome-keyring-daemon --unlock --components=secrets --foreground >/dev/null 2>&1 &
        for _ in $(seq 100); do there && break; sleep 0.1; done
        for _ in $(seq 100); do printf of-a-ring | secret-tool store --label=x service acme username api/key 2>/dev/null && break; sleep 0.1; done
        \"$@\"; code=$?; kill $!; wait; exit $code";
    let mut command = lane.command("env");
    command.arg(format!("XDG_DATA_HOME={}", home.folder("ring").display()));
    command.args(["dbus-run-session", "--", "sh", "-c", script, "sh"]);
    // Within the lane already, and on the bus's own environment.
    command.args(start.get_args().skip_while(|word| *word != "env"));
    let done = run(command, b"").ok();
    assert_eq!(done.text(), "of-a-ring undefined\n", "{}", done.words());
}

//! Every launcher and every wrapper around one, with packages of the real registries.

use std::process::{Command, Stdio};

use crate::Case;
use crate::support::home::{COWSAY, Line, binary};
use crate::support::{Carrier, Done, Home, Lane, run};

pub const PLAIN: &[(&str, fn())] = &[
    ("launchers::bash_reads_the_completions", bash_reads_the_completions),
    ("launchers::bash_completes", bash_completes),
];

/// On one lane: which engine runs the box makes no difference to how a line is read.
pub const CASES: &[Case] = &[
    Case::new("of_npm_packages", of_npm_packages).on(is_podman),
    Case::new("of_pypi_packages", of_pypi_packages).on(is_podman),
    Case::new("files_of_requirements", files_of_requirements).on(is_podman),
    Case::new("wrappers", wrappers).on(is_podman),
    Case::new("lines_of_shell", lines_of_shell).on(is_podman),
    Case::new("variables", variables).on(is_podman),
    Case::new("refusals_make_nothing", refusals_make_nothing).on(is_podman),
    Case::new("plan", plan).on(is_podman),
];

fn is_podman(lane: &Lane) -> bool {
    lane.name == "podman"
}

const PYCOWSAY: Line = Line { shim: "uvx-safe", args: &["pycowsay", "moo"] };

fn jitbox(home: &Home, words: &[&str]) -> Done {
    run(home.shim("jitbox", words), b"")
}

/// The lines all mean the same package, so the one box serves them all and none is made.
fn all_say_hi(home: &Home, lines: &[&[&str]], bubble: &str) {
    for line in lines {
        let done = jitbox(home, line).ok();
        assert!(done.text().contains(bubble) && !done.stderr.contains("first start"), "{line:?} {}", done.words());
    }
    assert_eq!(home.records().len(), 1);
}

fn of_npm_packages(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let plain: &[&[&str]] = &[
        &["npx", "-y", "cowsay", "hi"],
        &["npx", "--", "-y", "cowsay", "hi"],
        &["npm", "exec", "-y", "--", "cowsay", "hi"],
        &["npm", "x", "cowsay", "hi"],
        &["pnpm", "dlx", "cowsay", "hi"],
        &["pnpx", "cowsay", "hi"],
        &["yarn", "dlx", "-q", "cowsay", "hi"],
        &["bunx", "-y", "cowsay", "hi"],
        &["bun", "x", "cowsay", "hi"],
        &["run", "--", "npm", "exec", "--", "cowsay", "hi"],
    ];
    all_say_hi(&home, plain, "< hi >");
    let named: &[&[&str]] = &[
        &["npm", "exec", "--package=cowsay", "--", "cowthink", "hi"],
        &["pnpm", "--package=cowsay", "dlx", "cowthink", "hi"],
        &["yarn", "dlx", "-p", "cowsay", "cowthink", "hi"],
        &["bunx", "-p", "cowsay", "cowthink", "hi"],
    ];
    all_say_hi(&home, named, "( hi )");
    // Every byte after the package is the program's.
    let script = "console.log(JSON.stringify(process.argv.slice(1)))";
    for start in [
        &["npm", "exec", "--package=cowsay", "--"][..],
        &["pnpm", "dlx", "--package=cowsay"],
        &["bunx", "-p", "cowsay"],
        &["run", "--", "npx", "-y", "-p", "cowsay"],
    ] {
        let line = [start, &["node", "-e", script, "--", "--x", "", "a b", "--", "-y"]].concat();
        let done = jitbox(&home, &line).ok();
        assert_eq!(done.text(), "[\"--x\",\"\",\"a b\",\"--\",\"-y\"]\n", "{line:?} {}", done.words());
    }
}

fn of_pypi_packages(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&PYCOWSAY]);
    let lines: &[&[&str]] = &[
        &["uvx", "pycowsay", "hi"],
        &["uv", "tool", "run", "pycowsay", "hi"],
        &["uv", "-q", "tool", "run", "--from", "pycowsay", "pycowsay.exe", "hi"],
        &["uv", "run", "--with", "pycowsay", "pycowsay", "hi"],
        &["uv", "run", "--", "--no-project", "--with", "pycowsay", "pycowsay", "hi"],
        &["pipx", "run", "pycowsay", "hi"],
        &["pipx", "run", "--no-cache", "--spec", "pycowsay", "pycowsay", "hi"],
        &["run", "--", "/opt/homebrew/bin/uvx", "pycowsay", "hi"],
        &["run", "--", "sh", "-lc", "exec uvx pycowsay hi"],
    ];
    all_say_hi(&home, lines, "< hi >");
    let script = "import sys; print(sys.argv)";
    for start in [&["uv", "run", "--with", "pycowsay"][..], &["uv", "tool", "run", "--from", "pycowsay"]] {
        let line = [start, &["python", "-c", script, "--", "-x", ""]].concat();
        assert_eq!(jitbox(&home, &line).ok().text(), "['-c', '--', '-x', '']\n", "{line:?}");
    }
}

/// What a file names is in the box; the file itself is not, and nothing is read that does not look like requirements.
fn files_of_requirements(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    home.write("more.txt", "# more\nidna==3.10  # one\nno-such-package-anywhere; sys_platform == 'win32'\n");
    let script = "import idna, os; print(idna.__version__, os.path.exists('more.txt'))";
    let line = ["uvx", "--with-requirements", "more.txt", "--from", "pycowsay", "python", "-c", script];
    assert_eq!(jitbox(&home, &line).ok().text(), "3.10 False\n");
    // It is the box of the line that names the packages itself.
    let line = ["uvx", "--from", "pycowsay", "--with", "idna==3.10", "pycowsay", "hi"];
    let done = jitbox(&home, &line).ok();
    assert!(done.text().contains("< hi >") && !done.stderr.contains("first start"), "{}", done.words());
    home.write("bad.txt", "idna\n--index-url https://h.example/simple\n");
    std::fs::create_dir_all(home.dir.join("folder.txt")).unwrap();
    nix::unistd::mkfifo(&home.dir.join("pipe.txt"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", home.dir.join("link.txt")).unwrap();
    home.write("large.txt", &"# nothing\n".repeat(200_000));
    for (file, says) in [
        ("bad.txt", "`--index-url`"),
        ("folder.txt", "not a file"),
        ("pipe.txt", "neither a file"),
        ("link.txt", "the system's"),
        ("large.txt", "larger than"),
        ("/etc/passwd", "the system's"),
    ] {
        let done = jitbox(&home, &["uvx", "--with-requirements", file, "pycowsay"]).ended(126);
        assert!(done.stderr.contains(says) && done.stdout.is_empty(), "{file}: {}", done.words());
    }
    assert_eq!(home.records().len(), 1);
}

fn wrappers(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let lines: &[&[&str]] = &[
        &["run", "--", "npx", "-y", "cowsay", "a b"],
        &["run", "--", "/usr/local/bin/npx", "-y", "cowsay", "a b"],
        &["run", "--", "C:\\Program Files\\nodejs\\npx.cmd", "-y", "cowsay", "a b"],
        &["run", "--", "cmd", "/c", "npx", "-y", "cowsay", "a b"],
        &["run", "--", "bash", "-c", "npx -y cowsay 'a b'"],
        &["run", "--", "/bin/sh", "-lc", "exec npx -y cowsay a\\ b"],
        &["run", "--", "env", "X=y", "npx", "-y", "cowsay", "a b"],
        &["run", "--", "mise", "exec", "--", "npx", "-y", "cowsay", "a b"],
        &["run", "--", "npx -y cowsay 'a b'"],
        &["run", "--", "wsl", "--exec", "npx", "-y", "cowsay", "a b"],
        &["run", "--", "volta", "run", "npx", "-y", "cowsay", "a b"],
        &["run", "--", "corepack", "pnpm", "dlx", "cowsay", "a b"],
        &["run", "--", "env", "bash", "-c", "mise exec -- npm exec -- cowsay \"a b\""],
    ];
    all_say_hi(&home, lines, "< a b >");
}

/// `-c`: only if the user allows it, and then in the box that the packages have anyway, with nothing of this machine.
fn lines_of_shell(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    home.write("outside", "");
    let line = ["npx", "-y", "-p", "cowsay", "-c", "cowsay hi | tr h j; test -e outside || exit 7"];
    let refused = jitbox(&home, &line).ended(126);
    assert!(refused.stderr.contains("[launch] call = true") && refused.stdout.is_empty(), "{}", refused.words());
    home.configure("[launch]\ncall = true\n");
    let done = jitbox(&home, &line).ended(7);
    assert!(done.text().contains("< ji >") && !done.stderr.contains("first start"), "{}", done.words());
    let line = ["npm", "exec", "--package=cowsay", "-c", "cowthink -f \"$0\" hi || exec node -e 'process.exit(9)'"];
    jitbox(&home, &line).ended(9);
    assert_eq!(home.records().len(), 1);
}

/// What a line sets reaches the program, even from a terminal's large environment; what steers
/// jitbox does not get that far.
fn variables(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let script = "console.log(process.env.TOKEN, process.env.PATH.includes('/nowhere'), process.env.OTHER)";
    let mine = ["SHLVL=1", "OTHER=mine"];
    let line = ["env", "TOKEN=a=b c", "PATH=/nowhere", "npx", "-y", "-p", "cowsay", "node", "-e", script];
    let done = run(home.shim_with(&mine, "jitbox", ["run", "--"].iter().chain(&line)), b"").ok();
    assert_eq!(done.text(), "a=b c false undefined\n", "{}", done.words());
    let shell = format!("env TOKEN='a=b c' npx -y -p cowsay node -e '{}'", script.replace('\'', "\""));
    let done = run(home.shim_with(&mine, "jitbox", ["run", "--", "sh", "-c", &shell]), b"").ok();
    assert_eq!(done.text(), "a=b c false undefined\n", "{}", done.words());
    // The line can still be narrowed.
    let line = ["env", "TOKEN=secret", "npx", "--safe-env=OTHER", "-y", "-p", "cowsay", "node", "-e", script];
    let done = run(home.shim_with(&mine, "jitbox", ["run", "--"].iter().chain(&line)), b"").ok();
    assert_eq!(done.text(), "undefined false undefined\n", "{}", done.words());
    assert!(!done.stderr.contains("secret"), "{}", done.stderr);
    let words = ["plan", "--json", "--", "env", "TOKEN=secret", "npx", "-y", "cowsay"];
    let plan = run(home.shim("jitbox", words), b"").ok();
    assert!(plan.text().contains("TOKEN") && !plan.text().contains("secret"), "{}", plan.words());
}

fn refusals_make_nothing(lane: &'static Lane) {
    let home = Home::empty(lane);
    home.write("run-me.py", "open('ran', 'w')");
    for line in [
        &["npm", "install", "cowsay"][..],
        &["npm", "exec", "cowsay", "--port", "3"],
        &["pnpm", "dlx", "-c", "cowsay hi"],
        &["yarn", "dlx"],
        &["bunx", "--bun", "cowsay"],
        &["uv", "run", "run-me.py"],
        &["uv", "run", "--with", "pycowsay", "run-me.py"],
        &["uv", "--directory", "/tmp", "run", "x"],
        &["pipx", "run", "run-me.py"],
        &["run", "--"],
        &["run", "--", "python3", "run-me.py"],
        &["run", "--", "bash", "-c", "npx -y cowsay; touch ran"],
        &["run", "--", "bash", "-c", "npx -y cowsay $(touch ran)"],
        &["run", "--", "cmd", "/c", "npx -y cowsay & touch ran"],
        &["run", "--", "env", "-S", "touch ran"],
        &["run", "--", "env", "JITBOX_ENGINE=/bin/touch", "npx", "cowsay"],
        &["run", "--", "mise", "exec", "node@22", "--", "npx", "cowsay"],
        &["run", "--", "./npx", "cowsay"],
    ] {
        let done = jitbox(&home, line).ended(126);
        assert!(done.stdout.is_empty(), "{line:?} {}", done.words());
        let said: Vec<&str> = done.stderr.lines().collect();
        assert!(said[0].starts_with("jitbox: ") && said.len() <= 4, "{line:?} {}", done.words());
        assert!(
            said[1..].iter().all(|line| line.starts_with("  hint: ")) && said.len() > 1,
            "{line:?} {}",
            done.words()
        );
    }
    assert!(home.records().is_empty() && !home.dir.join("ran").exists());
}

fn plan(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    for line in [
        &["npm", "exec", "--", "cowsay", "--x"][..],
        &["pnpm", "dlx", "cowsay", "--x"],
        &["--", "bash", "-c", "npx -y cowsay --x"],
        &["npx", "--", "-y", "cowsay", "--x"],
    ] {
        let line = [&["plan", "--json"], line].concat();
        let plan: serde_json::Value = serde_json::from_slice(&jitbox(&home, &line).ok().stdout).unwrap();
        assert_eq!(plan["launch"]["packages"], serde_json::json!(["cowsay"]), "{line:?}");
        assert_eq!(plan["launch"]["args"], serde_json::json!(["--x"]), "{line:?}");
        assert_eq!(plan["resolved"]["locked"], true, "{line:?}");
    }
    // A local project that was not granted is shown, and refused.
    home.write("d/main.py", "");
    let done = jitbox(&home, &["plan", "--json", "uv", "--directory", "d", "run", "main.py", "-x"]).ended(1);
    let plan: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let shown = ["directory", "script", "args"].map(|field| plan["launch"][field].clone());
    assert_eq!(shown, ["d".into(), "main.py".into(), serde_json::json!(["-x"])]);
    let hint = format!("jitbox allow local:{0} --read {0}\n", home.dir.join("d").display());
    assert!(done.stderr.contains("runs code of") && done.stderr.contains(&hint), "{}", done.stderr);
}

fn completions(shell: &str) -> String {
    let output = Command::new(binary("jitbox")).args(["completions", shell]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn bash_reads_the_completions() {
    let mut command = Command::new("bash");
    command.args(["-n", "/dev/stdin"]).stdin(Stdio::piped());
    let done = run(command, completions("bash").as_bytes()).ok();
    assert!(done.stderr.is_empty(), "{}", done.stderr);
    for shell in ["zsh", "fish"] {
        assert!(completions(shell).contains("npx-safe"), "{shell}");
    }
    let page = Command::new(binary("jitbox")).arg("man").output().unwrap();
    assert!(page.stdout.starts_with(b".TH JITBOX 1"), "{page:?}");
}

/// What bash offers after some words.
fn bash_completes() {
    let script = completions("bash");
    let offered = |words: &[&str]| -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let ask = format!(
            "COMP_WORDS=({})\nCOMP_CWORD={}\n_jitbox\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
            words.join(" "),
            words.len() - 1
        );
        let mut command = Command::new("bash");
        command.args(["--norc", "-s"]);
        let done = run(command, format!("{script}\n{ask}").as_bytes()).ok();
        assert!(done.stderr.is_empty(), "{words:?} {}", done.stderr);
        done.text().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(offered(&["jitbox", "doc"]), ["doctor"]);
    assert_eq!(offered(&["jitbox", "doctor", "-"]), ["--json"]);
    assert_eq!(offered(&["jitbox", "npm", ""]), ["exec", "x"]);
    assert_eq!(offered(&["jitbox", "uv", "to"]), ["tool"]);
    assert_eq!(offered(&["jitbox", "uv", "tool", ""]), ["run"]);
    assert_eq!(offered(&["jitbox", "uv", "tool", "run", "--fro"]), ["--from"]);
    assert_eq!(offered(&["/usr/bin/npx-safe", "-y", "--package-l"]), ["--package-lock", "--package-lock-only"]);
    assert_eq!(offered(&["uvx-safe", "--from", "pkg", "--safe-p"]), ["--safe-plan"]);
    assert_eq!(offered(&["jitbox", "run", "--", "uv"]), ["uvx", "uv"]);
    assert_eq!(offered(&["jitbox", "completions", ""]), ["bash", "zsh", "fish"]);
    // Behind the package only the program knows.
    assert!(offered(&["npx-safe", "-y", "-q", "a", "b", "--pack"]).is_empty());
    assert!(offered(&["npx-safe", "pkg", "--pack"]).is_empty());
}

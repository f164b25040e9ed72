//! Lines that run a local project, whose folder was granted.

use std::path::Path;

use crate::Case;
use crate::support::{Carrier, Done, Home, Lane, run};

pub const CASES: &[Case] = &[
    Case::new("packaged", packaged),
    Case::new("scripts_and_modules", scripts_and_modules).on(is_podman),
    Case::new("locks", locks).on(is_podman),
    Case::new("grants", grants).on(is_podman),
    Case::new("refusals", refusals).on(is_podman),
];

pub fn is_podman(lane: &Lane) -> bool {
    lane.name == "podman"
}

const PACKAGED: &str = r#"
[project]
name = "hello-server"
version = "1.2.3"
requires-python = ">=3.10"
dependencies = ["idna", "no-such-package-anywhere; python_version < '3.11'"]
[project.scripts]
hello-server = "hello_server.app:main"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"#;

const APP: &str = r#"
import os, subprocess, sys
from importlib.metadata import version
import idna
def main():
    print("first", version("hello-server"), sys.argv[1:], os.getcwd(), os.path.basename(sys.argv[0]))
    print(subprocess.check_output([sys.executable, "-c", "import hello_server.app as a; print(a.__name__)"], text=True), end="")
    try:
        open("made", "w")
    except OSError:
        print("kept")
    return 3
"#;

const FLAT: &str = "[project]\nname = \"flat\"\nversion = \"0\"\ndependencies = [\"idna==3.10\"]\n";

pub fn jitbox(home: &Home, words: &[&str]) -> Done {
    run(home.shim("jitbox", words), b"")
}

/// Types the command that a refusal says.
pub fn paste(home: &Home, refused: &Done) {
    let hint = refused.stderr.lines().find_map(|line| line.strip_prefix("  hint: jitbox "));
    let words = shell_words::split(hint.unwrap_or_else(|| panic!("{}", refused.words()))).unwrap();
    jitbox(home, &words.iter().map(String::as_str).collect::<Vec<_>>()).ok();
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A `uv.lock` with one package.
fn lock(version: &str) -> String {
    format!(
        "version = 1\n[[package]]\nname = \"idna\"\nversion = \"{version}\"\n\
         source = {{ registry = \"https://pypi.org/simple\" }}\n"
    )
}

fn packaged(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    home.write("hello/pyproject.toml", PACKAGED);
    home.write("hello/src/hello_server/__init__.py", "");
    let app = home.write("hello/src/hello_server/app.py", APP);
    let dir = home.dir.join("hello").canonicalize().unwrap();
    let line = ["uv", "--directory", "hello", "run", "hello-server", "a b"];
    let refused = jitbox(&home, &line).ended(126);
    assert!(refused.stdout.is_empty() && home.records().is_empty(), "{}", refused.words());
    paste(&home, &refused);
    let says = |first: &str| {
        let dir = text(&dir);
        format!("{first} 1.2.3 ['a b'] {dir} hello-server\nhello_server.app\nkept\n")
    };
    let done = jitbox(&home, &line).ended(3);
    assert_eq!(done.text(), says("first"), "{}", done.words());
    // What is edited is run, and nothing is made again; nothing asks a registry, either.
    std::fs::write(&app, APP.replace("first", "second")).unwrap();
    let offline = ["UV_OFFLINE=1", "HTTPS_PROXY=http://127.0.0.1:9"];
    let words = ["uv", "run", "--directory", text(&dir), "hello-server", "a b"];
    let done = run(home.shim_with(&offline, "jitbox", words), b"").ended(3);
    assert_eq!((done.text(), done.stderr.contains("first start")), (says("second"), false), "{}", done.words());
    assert_eq!(home.records().len(), 1);
    assert!(!dir.join("made").exists());
    let listed = jitbox(&home, &["ls"]).ok();
    assert!(listed.text().contains(&format!("local:{}", text(&dir))), "{}", listed.text());
    home.remove_boxes();
}

fn scripts_and_modules(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let print = "import idna, os, sys; print(idna.__version__, sys.argv[1:], os.path.basename(os.getcwd()))";
    home.write("flat/pyproject.toml", FLAT);
    home.write("flat/server.py", print);
    home.write("flat/pkg/__init__.py", "");
    home.write("flat/pkg/__main__.py", print);
    home.write("flat/sub/server.py", print);
    home.write("flat/inline.py", &format!("# /// script\n# dependencies = [\"idna==3.9\"]\n# ///\n{print}"));
    jitbox(&home, &["allow", "local:flat", "--read", "flat"]).ok();
    for (line, says) in [
        (&["--directory", "flat", "run", "server.py", "-x"][..], "3.10 ['-x'] flat\n"),
        (&["run", "--directory=flat", "-m", "pkg", "-x"], "3.10 ['-x'] flat\n"),
        (&["run", "--directory=flat", "python", "-m", "pkg"], "3.10 [] flat\n"),
        (&["run", "--isolated", "--directory=flat", "--project", ".", "pkg", "-x"], "3.10 ['-x'] flat\n"),
        (&["--directory", "flat/sub", "run", "server.py"], "3.10 [] sub\n"),
        (&["run", "--project", "flat", "flat/server.py"], "3.10 [] jitbox-test-"),
        (&["--directory", "flat", "run", "inline.py"], "3.9 [] flat\n"),
        (&["--directory", "flat", "run", "--with", "pycowsay", "pycowsay", "hi"], "< hi >"),
    ] {
        let done = jitbox(&home, &[&["uv"], line].concat()).ok();
        assert!(done.text().contains(says), "{line:?} {}", done.words());
    }
    assert_eq!(home.records().len(), 3);
    // Without a project: Python alone, or with what the line names.
    home.write("bare/main.py", "import sys; print('idna' in sys.modules, __file__)");
    jitbox(&home, &["allow", "local:bare", "--read", "bare"]).ok();
    for line in [&["--directory", "bare", "run", "main.py"][..], &["run", "bare/main.py"]] {
        let done = jitbox(&home, &[&["uv"], line].concat()).ok();
        assert!(done.text().starts_with("False "), "{line:?} {}", done.words());
    }
    let done = jitbox(&home, &["uv", "run", "--no-project", "--directory", "flat", "pkg/../server.py"]).ended(1);
    assert!(done.stderr.contains("ModuleNotFoundError"), "{}", done.words());
    home.remove_boxes();
}

fn locks(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let any = FLAT.replace("==3.10", ">=3");
    home.write("locked/pyproject.toml", &any);
    home.write("locked/main.py", "import idna; print(idna.__version__)");
    jitbox(&home, &["allow", "local:locked", "--read", "locked"]).ok();
    let line = ["uv", "--directory", "locked", "run", "--frozen", "main.py"];
    let refused = jitbox(&home, &line).ended(127);
    assert!(refused.stderr.contains("uv lock"), "{}", refused.words());
    for version in ["3.7", "3.8"] {
        home.write("locked/uv.lock", &lock(version));
        assert_eq!(jitbox(&home, &line).ok().text(), format!("{version}\n"));
    }
    let plain = ["uv", "--directory", "locked", "run", "main.py"];
    let done = jitbox(&home, &plain).ok();
    assert_eq!((done.text().as_str(), done.stderr.as_str()), ("3.8\n", ""), "{}", done.words());
    home.write("locked/pyproject.toml", &any.replace(">=3", ">=3.9"));
    let refused = jitbox(&home, &plain).ended(126);
    assert!(refused.stderr.contains("idna 3.8") && refused.stderr.contains("uv lock"), "{}", refused.words());
    home.remove_boxes();
}

fn grants(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    home.write("p/main.py", "import os; print(os.environ.get('GIT_SSH_COMMAND'))");
    let dir = home.dir.join("p").canonicalize().unwrap();
    let local = format!("local:{}", text(&dir));
    let script = "import os; print(os.environ.get('GIT_SSH_COMMAND'), os.path.exists('main.py'))";
    let start = |words: &[&str]| {
        let line = [&["uv", "--directory", "p", "run"], words].concat();
        run(home.shim_with(&["GIT_SSH_COMMAND=x"], "jitbox", line), b"")
    };
    // Another's grant is not this folder's.
    jitbox(&home, &["allow", "pypi:p", "--read", "p"]).ok();
    jitbox(&home, &["allow", &local, "--env", "GIT_SSH_COMMAND"]).ok();
    let refused = start(&["main.py"]).ended(126);
    paste(&home, &refused);
    assert_eq!(start(&["main.py"]).ok().text(), "x\n");
    // An interpreter runs what the line says: the folder can be read, and that is all.
    assert_eq!(start(&["python", "-c", script]).ok().text(), "None True\n");
    let line = ["uv", "run", "--directory", text(&dir), "python", "-c", script];
    jitbox(&home, &[&["allow", "--env", "GIT_SSH_COMMAND", "--"], &line[..]].concat()).ok();
    assert_eq!(start(&["python", "-c", script]).ok().text(), "x True\n");
    assert_eq!(start(&["python", "-c", &format!("{script}#")]).ok().text(), "None True\n");
    // The line alone is not enough.
    let shown = jitbox(&home, &["grants", &local]).ok();
    assert!(shown.text().contains(&format!("{local} from this machine\n")), "{}", shown.text());
    let plan = jitbox(&home, &["plan", "--json", "uv", "--directory", "p", "run", "main.py"]).ok();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(plan["launch"]["project"], text(&dir));
    assert_eq!(plan["policy"]["mounts"][0]["source"], text(&dir));
    jitbox(&home, &["deny", &local]).ok();
    start(&["main.py"]).ended(126);
    start(&["python", "-c", script]).ended(126);
    // Through a link it is the folder that it leads to.
    std::os::unix::fs::symlink(&dir, home.dir.join("link")).unwrap();
    let refused = jitbox(&home, &["uv", "--directory", "link", "run", "main.py"]).ended(126);
    assert!(refused.stderr.contains(&format!("allow {local} --read {}\n", text(&dir))), "{}", refused.words());
    home.remove_boxes();
}

fn refusals(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    home.write("p/pyproject.toml", FLAT);
    home.write("p/main.py", "open('ran', 'w')");
    home.write("other/main.py", "");
    jitbox(&home, &["allow", "local:p", "--read", "p"]).ok();
    let refused = |words: &[&str], code: i32, says: &str| {
        let done = jitbox(&home, &[&["uv"], words].concat()).ended(code);
        assert!(done.stdout.is_empty() && done.stderr.contains(says), "{words:?} {}", done.words());
        assert!(done.stderr.contains("  hint: "), "{words:?} {}", done.words());
    };
    refused(&["--directory", "gone", "run", "main.py"], 127, "not a folder");
    refused(&["--directory", "p", "run", "../other/main.py"], 126, "not in the project's folder");
    refused(&["--directory", "p", "run", "./program"], 126, "only Python's");
    refused(&["--directory", "p", "run", "--package", "a", "main.py"], 126, "workspace");
    refused(&["--directory", "p", "run", "--safe-level=strict", "main.py"], 126, "strict");
    for (settings, says) in [
        ("[[tool.uv.index]]\nurl = \"https://h.example/simple\"\n", "where packages come from"),
        ("[tool.uv.sources]\nidna = { path = \"../other\" }\n", "another folder"),
        ("[x", "pyproject.toml"),
    ] {
        home.write("p/pyproject.toml", &format!("{FLAT}{settings}"));
        refused(&["--directory", "p", "run", "main.py"], 126, says);
    }
    // What leads out of the folder is not read.
    let file = home.dir.join("p/pyproject.toml");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &file).unwrap();
    refused(&["--directory", "p", "run", "main.py"], 126, "leads out");
    std::fs::remove_file(&file).unwrap();
    home.write("p/pyproject.toml", FLAT);
    home.write("pyproject.toml", "[tool.uv.workspace]\nmembers = [\"*\"]\n");
    refused(&["--directory", "p", "run", "main.py"], 126, "workspace");
    std::fs::remove_file(home.dir.join("pyproject.toml")).unwrap();
    home.write("pyproject.toml", "[tool.uv]\nindex-url = \"https://h.example/simple\"\n");
    refused(&["--directory", "p", "run", "main.py"], 126, "`index-url`");
    std::fs::remove_file(home.dir.join("pyproject.toml")).unwrap();
    home.write("p/uv.toml", "");
    refused(&["--directory", "p", "run", "main.py"], 126, "uv.toml");
    // Nobody can be given what nobody is to have.
    let done = jitbox(&home, &["allow", "local:/etc", "--read", "/etc"]).ended(1);
    assert!(done.stderr.contains("can't be given"), "{}", done.words());
    let done = jitbox(&home, &["uv", "--directory", "/etc", "run", "main.py"]).ended(126);
    assert!(done.stderr.contains("can't be run") && !done.stderr.contains("jitbox allow"), "{}", done.words());
    assert!(home.records().is_empty() && !home.dir.join("p/ran").exists());
}

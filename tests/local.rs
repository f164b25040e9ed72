//! Packages that a line names by a path of this machine, which was granted.

use std::process::Command;

use serde_json::json;

use crate::Case;
use crate::projects::{is_podman, jitbox, paste, text};
use crate::support::web::wheels_in;
use crate::support::{Carrier, Done, Home, Lane, run};

/// What is special about most of them happens on the host.
pub const CASES: &[Case] = &[
    Case::new("npm", npm).on(|lane| ["docker", "podman-rootless", "nerdctl"].contains(&&*lane.name)),
    Case::new("npm_archive", npm_archive).on(is_podman),
    Case::new("pypi", pypi).on(is_podman),
    Case::new("wheel", wheel).on(is_podman),
    Case::new("refusals", refusals).on(is_podman),
];

const PACKAGE: &str = r#"{"name": "tool", "version": "1.2.3", "bin": "tool.js", "dependencies": {"is-odd": "3.0.1"},
    "scripts": {"prepare": "echo >> tool.js 'ran'", "postinstall": "echo >> tool.js 'ran'"}}"#;

fn program(says: &str) -> String {
    format!(
        "#!/usr/bin/env node\nconst fs = require('fs');\n\
         console.log('{says}', require('is-odd')(3), process.argv.slice(2).join(' '), fs.readdirSync(__dirname).join(' '))\n"
    )
}

fn shim(home: &Home, name: &str, args: &[&str]) -> Done {
    run(home.shim(name, args), b"")
}

fn npm_package(home: &Home, says: &str) {
    home.write("tool/package.json", PACKAGE);
    home.write("tool/tool.js", &program(says));
    home.write("tool/.env", "KEY=secret");
    home.write("tool/node_modules/is-odd/index.js", "module.exports = () => 'of the host'");
}

/// What every box's record says.
fn records(home: &Home) -> Vec<Vec<u8>> {
    home.records().iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn npm(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    npm_package(&home, "first");
    let line = ["-y", "./tool", "a b"];
    let refused = shim(&home, "npx-safe", &line).ended(126);
    assert!(refused.stdout.is_empty() && home.records().is_empty(), "{}", refused.words());
    paste(&home, &refused);
    // Only what is the package's own is there; its scripts did not run.
    let first = "first true a b package.json tool.js\n";
    assert_eq!(shim(&home, "npx-safe", &line).ok().text(), first);
    let made = records(&home);
    assert_eq!(shim(&home, "npx-safe", &line).ok().text(), first);
    assert_eq!((made.len(), &made), (1, &records(&home)));
    // Edited: what runs is what is there now. Back again: the box from before.
    npm_package(&home, "second");
    assert_eq!(shim(&home, "npx-safe", &line).ok().text(), first.replace("first", "second"));
    npm_package(&home, "first");
    let made = records(&home);
    let back = shim(&home, "npx-safe", &["-y", "-p", &format!("file:{}/tool", text(&home.dir)), "tool", "a b"]).ok();
    assert_eq!((back.text().as_str(), &made), (first, &records(&home)));
    // Of older contents nothing is left but one.
    npm_package(&home, "third");
    assert_eq!(shim(&home, "npx-safe", &line).ok().text(), first.replace("first", "third"));
    assert_eq!(home.records().len(), 2);
    // Beside a package of the registry; through a link; from elsewhere.
    std::os::unix::fs::symlink(home.dir.join("tool"), home.dir.join("link")).unwrap();
    let linked = shim(&home, "npx-safe", &["-y", "-p", "./link", "-p", "is-even@1.0.0", "tool"]).ok();
    assert!(linked.text().starts_with("third true "), "{}", linked.words());
    let local = format!("local:{}", text(&home.dir.join("tool").canonicalize().unwrap()));
    jitbox(&home, &["deny", &local]).ok();
    let refused = shim(&home, "npx-safe", &["-y", "./link"]).ended(126);
    assert!(refused.stderr.contains(&format!("jitbox allow {local} --read ")), "{}", refused.words());
    home.remove_boxes();
}

/// A `.tar.gz` of the folder `from`, in the folder `top`.
fn packed(home: &Home, from: &str, top: &str, file: &str) {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--gzip", "--exclude=.*", "--exclude=node_modules"]);
    tar.arg(format!("--transform=s,^{from},{top},")).arg("--file").arg(home.dir.join(file));
    assert!(tar.arg("--directory").arg(&home.dir).arg(from).status().unwrap().success());
    home.own(&home.dir.join(file));
}

fn npm_archive(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    npm_package(&home, "packed");
    packed(&home, "tool", "package", "tool-1.2.3.tgz");
    let line = ["-y", "tool-1.2.3.tgz", "x"];
    paste(&home, &shim(&home, "npx-safe", &line).ended(126));
    assert_eq!(shim(&home, "npx-safe", &line).ok().text(), "packed true x package.json tool.js\n");
    // A grant is for the file, whose content may be another one later; of the folder nothing was granted.
    npm_package(&home, "newer");
    packed(&home, "tool", "package", "tool-1.2.3.tgz");
    assert_eq!(shim(&home, "npx-safe", &line).ok().text(), "newer true x package.json tool.js\n");
    shim(&home, "npx-safe", &["-y", "./tool"]).ended(126);
    home.remove_boxes();
}

const PROJECT: &str = r#"
[project]
name = "hello-tool"
version = "1.2.3"
dependencies = ["idna"]
[project.optional-dependencies]
more = ["pycowsay"]
[project.scripts]
hello-tool = "hello_tool:main"
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"#;

fn python_package(home: &Home, says: &str) {
    home.write("hello/pyproject.toml", PROJECT);
    home.write(
        "hello/src/hello_tool/__init__.py",
        &format!(
            "import sys, importlib.metadata as m\nimport idna\n\
             def main():\n    print('{says}', m.version('hello-tool'), sys.argv[1:], m.packages_distributions().get('pycowsay'))\n"
        ),
    );
}

fn pypi(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    python_package(&home, "first");
    let line = ["--from", "./hello", "hello-tool", "a b"];
    let refused = shim(&home, "uvx-safe", &line).ended(126);
    assert!(refused.stdout.is_empty() && home.records().is_empty(), "{}", refused.words());
    paste(&home, &refused);
    assert_eq!(shim(&home, "uvx-safe", &line).ok().text(), "first 1.2.3 ['a b'] None\n");
    // Its own command without a name; started in it; with extras.
    assert_eq!(shim(&home, "uvx-safe", &["./hello"]).ok().text(), "first 1.2.3 [] None\n");
    let more = shim(&home, "uvx-safe", &["--from", "hello-tool[more] @ ./hello", "hello-tool"]).ok();
    assert_eq!(more.text(), "first 1.2.3 [] ['pycowsay']\n");
    python_package(&home, "second");
    assert_eq!(shim(&home, "uvx-safe", &line).ok().text(), "second 1.2.3 ['a b'] None\n");
    home.remove_boxes();
}

fn wheel(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let files = json!({ "hello_tool.py": "def main(): print('from a wheel')" });
    let wheel = json!({ "name": "hello-tool", "version": "2.0", "files": files, "main": "hello_tool:main" });
    wheels_in(&home.dir, &json!([wheel]));
    let file = home.dir.join("hello_tool-2.0-py3-none-any.whl");
    home.own(&file);
    let line = ["./hello_tool-2.0-py3-none-any.whl"];
    paste(&home, &shim(&home, "uvx-safe", &line).ended(126));
    assert_eq!(shim(&home, "uvx-safe", &line).ok().text(), "from a wheel\n");
    home.remove_boxes();
}

fn refusals(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    npm_package(&home, "never");
    let refused = |program: &str, words: &[&str], code: i32, says: &str| {
        let done = shim(&home, program, words).ended(code);
        assert!(done.stdout.is_empty() && done.stderr.contains(says), "{words:?} {}", done.words());
        assert!(done.stderr.contains("  hint: "), "{words:?} {}", done.words());
    };
    refused("npx-safe", &["./gone"], 127, "is not a folder on this machine");
    refused("npx-safe", &["./tool/tool.tgz"], 127, "is not an archive on this machine");
    refused("uvx-safe", &["o/r"], 127, "git+https://host/owner/repository");
    refused("npx-safe", &["/etc"], 126, "can't be run");
    let said = jitbox(&home, &["allow", "npm:./tool", "--read", "tool"]);
    assert!(said.stderr.contains("write local:./tool"), "{}", said.words());
    jitbox(&home, &["allow", "local:tool", "--read", "tool"]).ok();
    refused("npx-safe", &["--safe-level=strict", "./tool"], 126, "at level strict");
    refused("uvx-safe", &["--from", "./tool", "x"], 127, "no Python project");
    refused("uvx-safe", &["--with-editable", "./tool", "x"], 126, "--with-editable");
    home.write("tool/package.json", &PACKAGE.replace("tool.js\"", "dist/tool.js\""));
    refused("npx-safe", &["./tool"], 126, "npm run build");
    // A link in the place of a file is not followed, wherever it leads.
    home.write("tool/package.json", PACKAGE);
    std::fs::remove_file(home.dir.join("tool/tool.js")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", home.dir.join("tool/tool.js")).unwrap();
    refused("npx-safe", &["./tool"], 126, "is not there");
    assert!(home.records().is_empty());
}

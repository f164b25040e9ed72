//! Releases that are younger than they may be, in registries that say when each was published.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::SystemTime;

use jitbox::registry::cutoff;
use serde_json::{Value, json};

use super::own::{Server, response};
use crate::support::npm::packed;
use crate::support::web::address;
use crate::support::web::wheels_in;
use crate::support::{Done, Home, Lane, run};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Each release of the package, and of what it needs, with its age. What it needs had one release within the hour after
/// the package's newest, and one after that.
const AGED: [(&str, u64); 3] = [("1.0.0", 10 * DAY), ("1.1.0", 2 * DAY), ("2.0.0", 2 * HOUR)];
const DEEP: [(&str, u64); 3] = [("1.0.0", 10 * DAY), ("1.0.1", 90 * MINUTE), ("1.0.2", 10 * MINUTE)];

fn now() -> u64 {
    cutoff::since_1970(SystemTime::now())
}

/// A mirror's way of writing it is not npm's.
fn moment(age: u64) -> String {
    cutoff::at(now() - age).unwrap().replace(".000Z", "+00:00")
}

/// A home with ages as they are by default, or as `config` says, whose user has all packages from one server.
struct User {
    home: Home,
    variables: Vec<String>,
}

impl User {
    fn new(lane: &'static Lane, home: Home, port: u16) -> Self {
        let host = format!("{}:{port}", address());
        let scope = format!("npm_config_@acme:registry=http://{host}/");
        let index = format!("UV_DEFAULT_INDEX=http://{host}/simple");
        let own = format!("HOME={}", home.folder("user").display());
        home.configure_ages("");
        assert_eq!(home.lane.name, lane.name);
        Self { home, variables: vec![own, scope, index, "NO_PROXY=*".to_owned(), "no_proxy=*".to_owned()] }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let variables: Vec<&str> = self.variables.iter().map(String::as_str).collect();
        self.home.shim_with(&variables, program, words)
    }

    fn start(&self, shim: &str, words: &[&str]) -> Done {
        run(self.command(shim, words), b"")
    }

    fn jitbox(&self, words: &[&str]) -> Done {
        run(self.command("jitbox", words), b"")
    }

    /// What `jitbox plan` says was resolved.
    fn plan(&self, line: &[&str]) -> Value {
        let done = self.jitbox(&[&["plan", "--json"], line].concat()).ok();
        serde_json::from_slice::<Value>(&done.stdout).unwrap()["resolved"].take()
    }

    /// The line is refused, in these words, with a command that allows it.
    fn refused(&self, shim: &str, words: &[&str], said: &[&str]) -> String {
        let done = self.start(shim, words).ended(126);
        for word in said {
            assert!(done.stderr.contains(word), "{word}: {}", done.words());
        }
        assert!(self.home.records().is_empty() && done.text().is_empty(), "{}", done.words());
        let hint = done.stderr.lines().find_map(|line| line.trim().strip_prefix("hint: jitbox "));
        hint.unwrap_or_else(|| panic!("{}", done.words())).to_owned()
    }
}

/// Within a minute of that age.
fn is_of_age(moment: &Value, age: u64) -> bool {
    let at = moment.as_str().and_then(cutoff::seconds).unwrap_or_else(|| panic!("{moment}"));
    now().saturating_sub(age).abs_diff(at) < 5 * MINUTE
}

/// A registry with `@acme/aged`, which needs `@acme/deep`.
fn npm_registry(home: &Home, with_times: bool) -> Server {
    let mut files = BTreeMap::new();
    let mut packuments = BTreeMap::new();
    for (name, releases) in [("aged", AGED), ("deep", DEEP)] {
        let mut all = json!({ "name": format!("@acme/{name}"), "dist-tags": { "latest": releases[2].0 } });
        for (version, age) in releases {
            let needs = if name == "aged" { json!({ "@acme/deep": "^1.0.0" }) } else { json!({}) };
            let mut manifest = json!({ "name": format!("@acme/{name}"), "version": version, "bin": "cli.js",
                "main": "package.json", "dependencies": needs });
            let script = format!("console.log('aged', '{version}', 'deep', require('@acme/deep').version)");
            let (file, integrity) = packed(home, &manifest, &script);
            files.insert(format!("/{name}-{version}.tgz"), file);
            manifest["dist"] = json!({ "tarball": format!("/{name}-{version}.tgz"), "integrity": integrity });
            all["versions"][version] = manifest;
            if with_times {
                all["time"][version] = moment(age).into();
            }
        }
        packuments.insert(format!("/@acme%2f{name}"), all.to_string());
    }
    Server::start(move |port| {
        let here = format!("\"tarball\":\"http://{}:{port}/", address());
        Box::new(move |path| match (files.get(path), packuments.get(path)) {
            (Some(file), _) => response("200 OK\r\n", file),
            (_, Some(text)) => {
                let text = text.replace("\"tarball\":\"/", &here);
                response("200 OK\r\ncontent-type: application/json\r\n", text.as_bytes())
            }
            _ => response("404 Not Found\r\n", b""),
        })
    })
}

pub fn npm(lane: &'static Lane) {
    let home = Home::empty(lane);
    let registry = npm_registry(&home, true);
    let user = User::new(lane, home, registry.port);
    let line = |spec: &'static str| ["npx", "-y", spec];

    // Too young, at each level and as config.toml says; nothing but a grant changes that.
    let hint = user.refused(
        "npx-safe",
        &["-y", "@acme/aged@2.0.0"],
        &["@acme/aged@2.0.0 is too young", "2 hours ago", "3 days old: the default at level standard"],
    );
    assert_eq!(hint, "allow npm:@acme/aged --young");
    user.refused("npx-safe", &["-y", "@acme/aged@^2"], &["too young"]);
    user.refused(
        "npx-safe",
        &["--safe-level=strict", "-y", "@acme/aged@1.1.0"],
        &["2 days ago", "7 days", "level strict"],
    );
    user.home.configure_ages("[packages]\nage = \"30 days\"\n");
    user.refused("npx-safe", &["-y", "@acme/aged"], &["@acme/aged@2.0.0", "30 days old: config.toml"]);
    user.home.configure_ages("");
    user.home.write(".npmrc", "before=2999-01-01\n");
    let widened =
        [&["npm_config_before=2999-01-01", "npm_config_min_release_age=0"], &*texts(&user.variables)].concat();
    let done = run(user.home.shim_with(&widened, "npx-safe", ["-y", "@acme/aged@2.0.0"]), b"").ended(126);
    assert!(done.stderr.contains("too young"), "{}", done.words());

    // The user's own setting counts where it is older.
    let older = [&["npm_config_before=2000-01-01"], &*texts(&user.variables)].concat();
    let done = run(user.home.shim_with(&older, "npx-safe", ["-y", "@acme/aged"]), b"").ended(127);
    assert!(done.stderr.contains("npm's settings allow nothing newer"), "{}", done.words());

    // Other levels and settings take others.
    user.home.configure_ages("level = \"relaxed\"\n");
    let plan = user.plan(&line("@acme/aged"));
    assert!(plan["packages"] == json!(["@acme/aged@1.1.0"]) && is_of_age(&plan["cutoff"], DAY), "{plan}");
    user.home.configure_ages("[packages]\nage = \"1 hours\"\n");
    let plan = user.plan(&line("@acme/aged"));
    assert!(plan["packages"] == json!(["@acme/aged@2.0.0"]) && is_of_age(&plan["cutoff"], HOUR), "{plan}");
    assert!(plan["cutoff_why"].as_str().unwrap().contains("config.toml"), "{plan}");
    user.home.configure_ages("[packages]\nyoung = [\"npm:@acme/*\"]\n");
    let plan = user.plan(&line("@acme/aged"));
    assert!(plan["packages"] == json!(["@acme/aged@2.0.0"]) && is_of_age(&plan["cutoff"], HOUR), "{plan}");
    user.home.configure_ages("");

    // A name that nobody had a month ago is no strict one, whatever its release's age.
    let new = "@acme/aged is a new name: its first release is 10 days old";
    let strict = ["--safe-level=strict", "-y", "@acme/aged@1.0.0"];
    let done = user.start("npx-safe", &strict).ended(126);
    let accept = "[packages] accept = [\"npm:@acme/aged\"]";
    assert!(done.stderr.contains(new) && done.stderr.contains(accept), "{}", done.words());
    user.home.configure_ages(&format!("level = \"strict\"\n{}\n", accept.replacen(' ', "\n", 1)));
    assert_eq!(user.plan(&line("@acme/aged@1.0.0"))["packages"], json!(["@acme/aged@1.0.0"]));
    user.home.configure_ages("");

    // By default the newest that is old enough, and so of what it needs.
    let done = user.start("npx-safe", &["-y", "@acme/aged"]).ok();
    assert_eq!(done.text(), "aged 1.0.0 deep 1.0.0\n", "{}", done.words());
    let note = done.stderr.lines().find(|line| line.contains("2.0.0")).unwrap_or_else(|| panic!("{}", done.words()));
    assert!(note.contains("2 hours old") && note.contains(&hint) && note.contains("jitbox rm"), "{note}");
    assert!(done.stderr.contains(new), "{}", done.words());
    let plan = user.plan(&line("@acme/aged"));
    assert!(plan["locked"] == true && is_of_age(&plan["cutoff"], 3 * DAY), "{plan}");
    assert!(plan["cutoff_why"].as_str().unwrap().contains("level standard"), "{plan}");

    // What the refusal says allows it: with what was published within the hour after it.
    user.jitbox(&hint.split(' ').collect::<Vec<_>>()).ok();
    assert!(user.jitbox(&["grants"]).ok().text().contains("releases of every age"));
    let done = user.start("npx-safe", &["-y", "@acme/aged@2.0.0"]).ok();
    assert_eq!(done.text(), "aged 2.0.0 deep 1.0.1\n", "{}", done.words());
    let plan = user.plan(&line("@acme/aged@2.0.0"));
    assert!(is_of_age(&plan["cutoff"], HOUR) && plan["cutoff_why"].as_str().unwrap().contains("your grant"), "{plan}");
    // Taken back, it is no more; it was never one for the package from elsewhere.
    user.jitbox(&["deny", "npm:@acme/aged", "--young"]).ok();
    let done = user.start("npx-safe", &["-y", "@acme/aged@>=2"]).ended(126);
    assert!(done.stderr.contains("too young"), "{}", done.words());
    user.home.remove_boxes();
}

fn texts(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

pub fn npm_unknown(lane: &'static Lane) {
    let home = Home::empty(lane);
    let registry = npm_registry(&home, false);
    let user = User::new(lane, home, registry.port);
    let said = ["can't be known", "does not say", "level strict"];
    let hint = user.refused("npx-safe", &["--safe-level=strict", "-y", "@acme/aged"], &said);
    let done = user.start("npx-safe", &["-y", "@acme/aged"]).ok();
    assert_eq!(done.text(), "aged 2.0.0 deep 1.0.2\n", "{}", done.words());
    assert!(done.stderr.contains("does not say when @acme/aged@2.0.0 was published"), "{}", done.words());
    user.jitbox(&hint.split(' ').collect::<Vec<_>>()).ok();
    let plan = user.plan(&["npx", "--safe-level=strict", "-y", "@acme/aged@2"]);
    assert_eq!(plan["packages"], json!(["@acme/aged@2.0.0"]));
    user.home.remove_boxes();
}

/// An index with `acme-aged`, which needs `acme-deep`.
fn pypi_index(home: &Home, with_times: bool) -> Server {
    let dir = home.folder("wheels");
    let mut pages = BTreeMap::new();
    for (name, releases) in [("aged", AGED), ("deep", DEEP)] {
        let (name, module) = (format!("acme-{name}"), format!("acme_{name}"));
        let mut files = Vec::new();
        for (version, age) in releases {
            let text = "from importlib.metadata import version\n\n\ndef main():\n    \
                        print('aged', version('acme-aged'), 'deep', version('acme-deep'))\n";
            let mut wheel = json!({ "name": name, "version": version, "main": format!("{module}:main"),
                "files": { format!("{module}.py"): text } });
            if name == "acme-aged" {
                wheel["requires"] = "acme-deep".into();
            }
            wheels_in(&dir, &json!([wheel]));
            let file = format!("{module}-{version}-py3-none-any.whl");
            let hash = jitbox::digest::full(&std::fs::read(dir.join(&file)).unwrap());
            let mut entry = json!({ "filename": file, "url": format!("/{file}"), "hashes": { "sha256": hash } });
            if with_times {
                entry["upload-time"] = moment(age).into();
            }
            files.push(entry);
        }
        let page = json!({ "meta": { "api-version": "1.1" }, "name": name, "files": files, "versions": [] });
        pages.insert(format!("/simple/{name}/"), page.to_string());
    }
    Server::start(move |_| {
        Box::new(move |path| match (pages.get(path), std::fs::read(dir.join(path.trim_start_matches('/')))) {
            (Some(page), _) => {
                let head = "200 OK\r\ncontent-type: application/vnd.pypi.simple.v1+json\r\n";
                response(head, page.as_bytes())
            }
            (_, Ok(file)) => response("200 OK\r\n", &file),
            _ => response("404 Not Found\r\n", b""),
        })
    })
}

pub fn pypi(lane: &'static Lane) {
    let home = Home::empty(lane);
    let index = pypi_index(&home, true);
    let user = User::new(lane, home, index.port);
    let hint =
        user.refused("uvx-safe", &["acme-aged@2.0.0"], &["acme-aged==2.0.0 is too young", "2 hours ago", "3 days"]);
    assert_eq!(hint, "allow pypi:acme-aged --young");
    user.refused("uvx-safe", &["--safe-level=strict", "acme-aged@1.1.0"], &["7 days", "level strict"]);
    user.home.configure_ages("[packages]\nyoung = [\"pypi:acme_aged\"]\n");
    let plan = user.plan(&["uvx", "acme-aged"]);
    assert!(plan["packages"] == json!(["acme-aged==2.0.0"]) && is_of_age(&plan["cutoff"], HOUR), "{plan}");
    // What the settings name is the user's own index's, not what a line names in its place.
    let from = format!("http://{}:{}/simple/", address(), index.port);
    user.refused("uvx-safe", &["--default-index", &from, "acme-aged@2.0.0"], &["too young", "--registry="]);
    user.home.configure_ages("");
    let done = user.start("uvx-safe", &["acme-aged"]).ok();
    assert_eq!(done.text(), "aged 1.0.0 deep 1.0.0\n", "{}", done.words());
    assert!(done.stderr.contains(&hint), "{}", done.words());
    let early = user.jitbox(&["update", "acme-aged"]).ok();
    assert!(early.text().is_empty() && early.stderr.contains("nothing newer"), "{}", early.words());
    user.jitbox(&hint.split(' ').collect::<Vec<_>>()).ok();
    let done = user.start("uvx-safe", &["acme-aged@2.0.0"]).ok();
    assert_eq!(done.text(), "aged 2.0.0 deep 1.0.1\n", "{}", done.words());
    // The line without a version keeps its box until it is updated.
    assert_eq!(user.start("uvx-safe", &["acme-aged"]).ok().text(), "aged 1.0.0 deep 1.0.0\n");
    let done = user.jitbox(&["update", "acme-aged"]).ok();
    assert!(done.text().contains("  acme-aged 1.0.0 → 2.0.0\n    acme-deep 1.0.0 → 1.0.1\n"), "{}", done.words());
    assert_eq!(user.start("uvx-safe", &["acme-aged"]).ok().text(), "aged 2.0.0 deep 1.0.1\n");
    user.jitbox(&["rollback", "acme-aged"]).ok();
    assert_eq!(user.start("uvx-safe", &["acme-aged"]).ok().text(), "aged 1.0.0 deep 1.0.0\n");
    user.home.remove_boxes();
}

/// What a local project needs is as old as all else, unless its folder was granted younger releases.
pub fn pypi_project(lane: &'static Lane) {
    let home = Home::empty(lane);
    let index = pypi_index(&home, true);
    let user = User::new(lane, home, index.port);
    let project = |needs: &str| {
        let text = format!("[project]\nname = \"flat\"\nversion = \"0\"\ndependencies = [\"{needs}\"]\n");
        user.home.write("flat/pyproject.toml", &text).parent().unwrap().canonicalize().unwrap()
    };
    let dir = project("acme-aged");
    let (dir, folder) = (dir.to_str().unwrap(), format!("local:{}", dir.display()));
    user.jitbox(&["allow", &folder, "--read", dir]).ok();
    let line = ["uv", "--directory", dir, "run", "acme-aged"];
    let done = user.jitbox(&line).ok();
    assert_eq!(done.text(), "aged 1.0.0 deep 1.0.0\n", "{}", done.words());
    assert!(is_of_age(&user.plan(&line)["cutoff"], 3 * DAY));
    // One that needs a young one has no tree, and is told how to have it.
    project("acme-aged>=2");
    let done = user.jitbox(&line).ended(125);
    let hint = format!("jitbox allow {folder} --young");
    assert!(done.stderr.contains(&hint) && done.stderr.contains("3 days old"), "{}", done.words());
    user.jitbox(&["allow", &folder, "--young"]).ok();
    let done = user.jitbox(&line).ok();
    assert_eq!(done.text(), "aged 2.0.0 deep 1.0.2\n", "{}", done.words());
    user.home.remove_boxes();
}

pub fn pypi_unknown(lane: &'static Lane) {
    let home = Home::empty(lane);
    let index = pypi_index(&home, false);
    let user = User::new(lane, home, index.port);
    user.refused("uvx-safe", &["--safe-level=strict", "acme-aged"], &["can't be known", "level strict"]);
    let done = user.start("uvx-safe", &["acme-aged"]).ok();
    assert_eq!(done.text(), "aged 2.0.0 deep 1.0.2\n", "{}", done.words());
    assert!(done.stderr.contains("does not say when acme-aged==2.0.0 was published"), "{}", done.words());
    assert_eq!(user.plan(&["uvx", "acme-aged"])["cutoff"], Value::Null);
    user.home.remove_boxes();
}

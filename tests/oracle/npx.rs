//! npm's own code, asked about every line in one process of Node (`npx.cjs`).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use jitbox::launch::option::npx::TABLE;
use jitbox::launch::option::{Arity, Effect};
use jitbox::launch::{Launch, Launcher, Request};
use jitbox::package::PackageSpec;
use jitbox::package::local::Sort;
use jitbox::package::source::Source;
use serde::Deserialize;

use super::lines::{self, Line, ours};
use super::{clean, not_checked, output};

const GENERATED: usize = 2000;

/// What the first line of `npx.cjs` says: the options of this npm.
#[derive(Deserialize)]
struct Known {
    /// Each with whether it takes a value.
    options: BTreeMap<String, bool>,
    /// Other names, and what `npx-cli.js` has removed.
    names: Vec<String>,
}

/// What npm makes of a line.
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
struct Answer {
    is: String,
    why: String,
    packages: Vec<Named>,
    command: Option<String>,
    call: Option<String>,
    args: Vec<String>,
    registry: String,
    node_options: Option<String>,
}

#[derive(Deserialize, Debug)]
struct Named {
    r#type: String,
    name: Option<String>,
    wanted: String,
}

/// Compares with npm of this major version.
pub fn check(major: u32) {
    let folder = tempfile::tempdir().unwrap();
    let npm = match find(major, folder.path()) {
        Ok(npm) => npm,
        Err(why) => return not_checked(&why),
    };
    let lines = lines::all(Launcher::Npx, GENERATED);
    let (known, answers) = ask(&npm, folder.path(), &lines);
    let mut wrong = options(&known);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (line, answer) in lines.iter().zip(&answers) {
        match compare(line, answer, major) {
            Ok(what) => *counts.entry(what).or_default() += 1,
            Err(why) => wrong.push(format!("{line:?}: {why}\n    npm: {answer:?}")),
        }
    }
    eprintln!("npm {major}: {} lines, {counts:?}", lines.len());
    assert_eq!(answers.len(), lines.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts.get("the same").is_some_and(|same| *same > 500), "{counts:?}");
}

/// The folder of an npm of this major version: this machine's, or one from the registry.
fn find(major: u32, folder: &Path) -> Result<PathBuf, String> {
    let own = PathBuf::from(output(clean("npm", folder).args(["root", "--global"]))?).join("npm");
    if version(&own) == Some(major) {
        return Ok(own);
    }
    // With all of our environment, as that may say where the registry is.
    let mut install = Command::new("npm");
    install.args([
        "install",
        &format!("npm@{major}"),
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
    ]);
    output(install.arg("--prefix").arg(folder.join("npm")))?;
    let npm = folder.join("npm/node_modules/npm");
    if version(&npm) == Some(major) { Ok(npm) } else { Err(format!("npm {major} is not in the registry")) }
}

fn version(npm: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(npm.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&text).ok()?;
    package["version"].as_str()?.split('.').next()?.parse().ok()
}

fn ask(npm: &Path, folder: &Path, lines: &[Line]) -> (Known, Vec<Answer>) {
    let (questions, answers) = (folder.join("questions"), folder.join("answers"));
    // A folder without anything that npm could find.
    let home = folder.join("home");
    std::fs::create_dir(&home).unwrap();
    let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    std::fs::write(&questions, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/npx.cjs");
    let mut node = clean("node", &home);
    node.env("npm_config_logs_max", "0").env("npm_config_update_notifier", "false").arg(script).arg(npm);
    let status = node.stdin(File::open(questions).unwrap()).stdout(File::create(&answers).unwrap()).status().unwrap();
    let text = std::fs::read_to_string(answers).unwrap();
    assert!(status.success(), "{status}: {text}");
    let mut rows = text.lines();
    let known = serde_json::from_str(rows.next().unwrap()).unwrap();
    (known, rows.map(|row| serde_json::from_str(row).unwrap()).collect())
}

/// Every option of npm stands in the table as what it is, and what npm does not know is refused.
fn options(npm: &Known) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, takes_value) in &npm.options {
        match TABLE.find(&format!("--{name}")) {
            None => wrong.push(format!("`--{name}` is not in the table")),
            Some(row) if (row.arity == Arity::Value) == *takes_value => {}
            Some(_) => wrong.push(format!("`--{name}` takes a value, or does not: {takes_value}")),
        }
    }
    for name in TABLE.names() {
        let bare = name.trim_start_matches('-');
        let refused = TABLE.find(name).is_some_and(|row| matches!(row.effect, Effect::Refused(_)));
        if !refused && !npm.options.contains_key(bare) && !npm.names.iter().any(|known| known == bare) {
            wrong.push(format!("`{name}` is in the table and npm does not know it"));
        }
    }
    for name in npm.names.iter().filter(|name| TABLE.names().all(|known| known.trim_start_matches('-') != **name)) {
        wrong.push(format!("`{name}` is not in the table"));
    }
    wrong
}

fn compare(line: &Line, npm: &Answer, major: u32) -> Result<&'static str, String> {
    match (ours(Launcher::Npx, line), npm.is.as_str()) {
        (Err(_), "run") => Ok("refused, npm runs it"),
        (Err(_), _) => Ok("refused, npm does something else or fails"),
        (Ok(Request::Help), "help") | (Ok(Request::Version), "version") => Ok("the same"),
        (Ok(Request::Run(launch)), "run") => same(&launch, npm).map(|()| "the same"),
        // npm 12 does not allow the program to have its shorthands with one dash, either: a slip of its own.
        (Ok(_), "fails") if major > 11 && npm.why == "EUNKNOWNCONFIG" => {
            let short = |word: &&String| word.len() > 2 && !word.starts_with("--");
            let known = |word: &String| TABLE.find(word).or_else(|| TABLE.find(&format!("-{word}"))).is_some();
            let slip = line.iter().filter(short).any(known);
            if slip { Ok("npm fails for the program's arguments") } else { Err("npm fails".to_owned()) }
        }
        (Ok(ours), _) => Err(format!("we have {ours:?}")),
    }
}

fn same(launch: &Launch, npm: &Answer) -> Result<(), String> {
    let args: Vec<_> = launch.args.iter().filter_map(|arg| arg.to_str()).collect();
    if args != npm.args
        || launch.call != npm.call
        || launch.command != npm.command
        || launch.packages.len() != npm.packages.len()
    {
        return Err(format!("we have {launch:?}"));
    }
    for (spec, theirs) in launch.packages.iter().zip(&npm.packages) {
        if !is_same_package(spec, theirs) {
            return Err(format!("we have {spec}"));
        }
    }
    let registry = launch.registry.as_deref().unwrap_or("https://registry.npmjs.org");
    if registry.trim_end_matches('/') != npm.registry.trim_end_matches('/') {
        return Err(format!("our registry is {registry}"));
    }
    let words =
        |options: &Option<String>| options.iter().flat_map(|o| o.split_whitespace()).map(str::to_owned).collect();
    let (mine, theirs): (Vec<_>, Vec<_>) = (words(&launch.node_options), words(&npm.node_options));
    if mine == theirs { Ok(()) } else { Err(format!("our Node options are {mine:?}")) }
}

fn is_same_package(spec: &PackageSpec, theirs: &Named) -> bool {
    let text = spec.to_string();
    let here = match spec.source() {
        Some(Source::Typed(typed)) => Some(typed.sort),
        _ => None,
    };
    let sourced = spec.source().is_some();
    let at = text.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(text.len(), |(at, _)| at);
    let (name, wanted) = (&text[..at], text[at..].trim_start_matches('@'));
    if !["version", "range", "tag"].contains(&theirs.r#type.as_str()) {
        // Not of a registry: then it is that for us, too, and on this machine for both or neither.
        return match theirs.r#type.as_str() {
            "directory" => here == Some(Sort::Folder),
            "file" => here == Some(Sort::Archive),
            _ => sourced && here.is_none(),
        };
    }
    let wanted_there = match theirs.r#type.as_str() {
        "version" => theirs.wanted.trim_start_matches(['=', 'v', ' ']),
        "range" if theirs.wanted == "*" => "",
        _ => theirs.wanted.as_str(),
    };
    let wanted = if wanted == "*" { "" } else { wanted };
    !sourced && theirs.name.as_deref() == Some(name) && wanted == wanted_there
}

//! Lines: the edge cases, those that people have published, and generated ones.

use std::collections::BTreeSet;
use std::ffi::OsString;

use jitbox::error::Error;
use jitbox::launch::option::{self, Arity, Table};
use jitbox::launch::{Launcher, Request, parse};
use jitbox::package::Ecosystem;

use crate::support::dice::Dice;

pub type Line = Vec<String>;

/// How we read the line.
pub fn ours(launcher: Launcher, line: &[String]) -> Result<Request, Error> {
    parse(launcher, &line.iter().map(OsString::from).collect::<Vec<_>>())
}

/// The published shapes of a launcher's lines, each with how often it was seen.
pub fn shapes(launcher: Launcher) -> Vec<(u32, Line)> {
    let table = include_str!("../data/line-shapes.tsv").lines().filter(|line| !line.starts_with('#'));
    let rows = table.map(|row| {
        let (count, words) = row.split_once('\t').unwrap();
        (count.parse().unwrap(), serde_json::from_str::<Line>(words).unwrap())
    });
    rows.filter(|(_, words)| words[0] == launcher.name()).map(|(count, words)| (count, words[1..].to_vec())).collect()
}

/// Every line that is checked.
pub fn all(launcher: Launcher, generated: usize) -> Vec<Line> {
    let edges = match launcher.ecosystem() {
        Ecosystem::Npm => NPX,
        Ecosystem::Pypi => UVX,
    };
    let mut lines: Vec<Line> = edges.iter().map(|words| words.iter().map(|w| (*w).to_owned()).collect()).collect();
    lines.extend(shapes(launcher).into_iter().map(|(_, words)| words));
    lines.extend(generate(launcher, 20_261_121, generated));
    lines
}

/// Of the published lines nearly all are taken. `JITBOX_LINES` names a file with more: one JSON object a line, with
/// `command`, `args` and `placeholder`.
pub fn public() {
    for launcher in [Launcher::Npx, Launcher::Uvx] {
        count(launcher, shapes(launcher));
    }
    let Some(path) = std::env::var_os("JITBOX_LINES") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = [Vec::new(), Vec::new()];
    for object in text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        let program = object["command"].as_str().unwrap().rsplit(['/', '\\']).next().unwrap();
        let program = [".exe", ".cmd", ".ps1"].iter().find_map(|end| program.strip_suffix(end)).unwrap_or(program);
        let words = || object["args"].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
        match program {
            "npx" if object["placeholder"] == false => lines[0].push((1, words())),
            "uvx" if object["placeholder"] == false => lines[1].push((1, words())),
            _ => {}
        }
    }
    let [npx, uvx] = lines;
    count(Launcher::Npx, npx);
    count(Launcher::Uvx, uvx);
}

fn count(launcher: Launcher, lines: Vec<(u32, Line)>) {
    let (mut taken, mut elsewhere, mut refused) = (0, 0, Vec::new());
    for (count, line) in lines {
        match ours(launcher, &line) {
            Ok(_) => taken += count,
            Err(error) if is_elsewhere(&error) => elsewhere += count,
            Err(error) => refused.push((count, format!("{line:?}: {error}"))),
        }
    }
    let others: u32 = refused.iter().map(|(count, _)| count).sum();
    let name = launcher.name();
    eprintln!("{name}: {taken} taken, {elsewhere} of git, URLs and folders not taken, {others} refused");
    refused.iter().for_each(|(count, line)| eprintln!("  {count} × {line}"));
    assert!(taken * 100 >= (taken + others) * 97, "{name}: {taken} taken, {others} refused");
}

/// Packages that are in no registry.
fn is_elsewhere(error: &Error) -> bool {
    let text = error.to_string();
    ["names a git repository", "names an archive", "names a folder"].iter().any(|form| text.contains(form))
}

/// Lines that npx's two parsers read differently, or that are easily misread.
#[rustfmt::skip]
const NPX: &[&[&str]] = &[
    &[], &["-y"], &["--"], &[""], &["-"], &["-", "pkg"], &["---", "pkg"], &["-y pkg"], &["-y pkg", "a"], &["pkg arg"],
    &["-y", "pkg", "-y", "--x", "--", "a"], &["-y", "--", "pkg", "a"], &["pkg", "--", "a"], &["pkg", "-dd"], &["pkg", "-reg"],
    &["--no", "pkg", "--port", "3"], &["--no-audit", "pkg", "--port", "3"], &["--no-audit", "pkg", "a", "--port"],
    &["--no-audit", "pkg"], &["--no-audit", "--", "pkg", "--port", "3"], &["--no-audit", "-y", "pkg", "--port", "3"],
    &["--no-audit", "pkg", "--", "a"], &["--no-audit", "true"], &["--no-audit", "false", "pkg"], &["--no-audit", "null", "a"],
    &["--no-color", "always"], &["--no-expect-results", "null"], &["--no-no-audit", "pkg"], &["--no---audit", "pkg", "a"],
    &["-yq", "pkg", "--port", "3"], &["-yq", "pkg"], &["-yq", "pkg", "a", "--port"], &["-yq", "--", "pkg", "--port", "3"],
    &["-yq", "-d", "pkg", "--x"], &["--yq", "pkg", "a"], &["-fsd", "pkg", "a", "-f"], &["-qq", "pkg"], &["-dddd", "pkg"],
    &["-la", "pkg"], &["-yh", "pkg"], &["-yp", "a", "cmd"], &["-yp", "--", "a", "cmd"], &["-pa", "b"], &["-yc", "x"],
    &["-os", "pkg"], &["-ca", "pkg"], &["-to", "pkg", "a"], &["-all", "pkg", "-x"], &["-yes", "pkg", "-x"], &["--y", "pkg", "-x"],
    &["---yes", "pkg", "-x"], &["-package=a", "cmd", "-x"], &["-package", "a", "cmd", "-x"], &["--p", "a", "cmd"],
    &["-quiet", "pkg", "-x"], &["-help"], &["-no", "pkg"], &["-ws", "pkg"], &["-reg", "https://r.example/", "pkg"],
    &["--no", "--", "pkg", "--port", "3"], &["--no-install", "pkg", "--port", "3"], &["-y", "-q", "pkg", "--port", "3"],
    &["--yes", "false", "pkg"], &["-y", "true", "pkg"], &["--yes=false", "pkg"], &["--yes=true", "pkg"], &["-y=true", "pkg"],
    &["--quiet=false", "pkg"], &["--loglevel", "silent", "pkg"], &["--registry", "https://r.example/x", "pkg"],
    &["--registry=https://r.example", "--reg", "https://s.example/", "pkg"], &["--prefix", "/d", "pkg"], &["-C", "/d", "pkg"],
    &["--timeout", "5", "pkg"], &["--unknown", "pkg", "a"], &["--unknown=1", "pkg", "a"], &["--unknown", "pkg", "--o", "x"],
    &["--node-options", "--inspect", "pkg", "--x"], &["--node-options=--no-warnings", "pkg", "--x"],
    &["--node-options=--no-warnings --max-old-space-size=512", "-y", "pkg"], &["--node-options=", "pkg"],
    &["--node-options=--no-warnings", "--node-options=--trace-warnings", "pkg"],
    &["-p", "a", "-p", "b", "cmd"], &["--package=a", "cmd"], &["--package", "a", "-y", "--", "cmd", "--x"], &["-p=a", "cmd", "-p"],
    &["-p", "a"], &["-p"], &["-p", "--", "a"], &["-p", "", "a"], &["-p", "a,b", "c"], &["-p", "a", ""], &["-p", "nobin", "echo", "hi"],
    &["-c", "a 1 && b 2", "-p", "pkg"], &["-c", "x", "pkg"], &["--call="],
    &["-c", "x"], &["-p", "a", "-c", "x y", "--"], &["--call=x | y", "-yp=a"], &["-y", "--package=a@1", "--call", "x"], &["-p", "a", "-c", "-x"],
    &["-p", "a", "-c", "x", "-c", "y"], &["-p", "a", "-c", "null"], &["-p", "a", "-c", "true", "-y"], &["-p", "a", "-c", " "], &["-p", "a", "-c", " x  y "], &["-c", "x", "-p", "a", "b"],
    &["-p", "a", "-yq", "-c", "x"], &["-p", "a", "--no-audit", "-c", "x"], &["-p", "a", "-c", "x", "-yq"], &["-p", "a", "-c", "x", "--no-audit"], &["foo@npm:bar@1"], &["npm:bar"], &["x.tgz"], &["file:dir"],
    &["."], &["http://127.0.0.1:9/x.tgz"], &["o/r"], &["github:o/r#main"], &["git@h.example:o/r"], &["@s/p/x"], &["@s"], &["pkg@"],
    &["pkg@ 1.2.3 "], &["pkg@v1.2.3"], &["pkg@=1.2.3"], &["pkg@ =v1.2.3"], &["pkg@1.2"], &["pkg@x"], &["pkg@*"], &["pkg@1 || 2"],
    &["pkg@>=1 <2"], &["pkg@1.0.0 - 2.0.0"], &["pkg@1.2.3-beta.1"], &["pkg@1.2.3beta"], &["pkg@01.2.3"], &["pkg@1.2.3+b.7"],
    &["pkg@~1"], &["pkg@next"], &["pkg@NEXT-1"], &["pkg@a b"], &["Pkg"], &["_pkg"], &["pkg "], &["pkg@\t"], &["@S/p@latest"],
    &["--help", "pkg"], &["--version", "pkg"], &["--versions"], &["-h", "-v"], &["--version", "--no-version", "-y", "pkg"],
    &["--usage=false", "pkg"], &["\u{2013}y", "pkg"], &["--browser", "pkg", "a"], &["--browser", "--", "pkg"],
    &["--color", "always", "pkg"], &["--color=always", "pkg"], &["--shell-auto-fallback", "bash", "pkg"], &["-n", "pkg"],
    &["--always-spawn", "--ignore-existing", "pkg", "-x"], &["--npm", "x", "pkg"], &["--local", "pkg", "--x"], &["--ye", "pkg"],
    &["--cache", "--yes", "pkg"], &["--cache=--yes", "pkg"], &["--cache=", "pkg"], &["--loglevel", "--yes", "pkg"],
    &["--loglevel", "pkg"], &["--depth", "x", "pkg"], &["--omit", "dev", "pkg"], &["--omit=all", "pkg"], &["--umask", "x", "pkg"],
    &["--save-prefix", "~", "pkg"], &["--cache-min", "false", "pkg"], &["--tag", "null", "pkg"], &["--otp", "true", "pkg", "-x"],
    &["--shrinkwrap", "pkg"], &["--strict-npmrc", "pkg"], &["--patches-dir", "d", "pkg"], &["-w", "x", "pkg"], &["-p", "true", "x"],
    &["pkg", "$HOME", "{a,b}", "!", "[x]", "=x", "%X%", "'", "\"", "a b", "\n", ""],
];

/// The same for uvx.
#[rustfmt::skip]
const UVX: &[&[&str]] = &[
    &["pkg", "--", "hi"], &["--", "pkg", "--x"], &["pkg", "--python", "3.9"], &["pkg@1.2"], &["pkg@v1.2"], &["pkg@latest", "a"],
    &["pkg[b,A]@latest"], &["pkg>=1,<2", "x"], &["run", "pkg"], &["Pkg.x@latest", "--", "-x"], &["pkg==1.2"], &["pkg ==1.2"],
    &["pkg[a]", "x"], &["pkg~=1.2"], &["pkg!=2.0"], &["pkg (>=1)"], &["pkg==1.*"], &["pkg@1.2.0"], &["pkg@01.2"], &["pkg>=2.1rc1"],
    &["--from", "Build.X", "pyproject-build", "a b", ""], &["--from=build@latest", "x", "-c", "y"], &["--from", "a[x]>=1", "b"],
    &["--with", "pycowsay", "--from", "build", "pycowsay"], &["--with", "mcp<2,>=1,socksio", "-w", "y[a,b]", "pkg"],
    &["--with-requirements", "r.txt", "pkg", "x"], &["--with-requirements=./r.txt", "pkg"], &["--with-requirements=r.txt,r.txt", "-wa", "pkg"],
    &["pkg; sys_platform=='linux'", "x"], &["--from", "a[x]>=1 ;os_name=='posix'", "b"], &["--with", "a; os_name=='nt',b", "pkg"],
    &["-w", "a==1.0; python_version>'2'", "pkg"], &["--with", "a;extra=='x'", "--with", "b; 'linux' in sys_platform", "pkg"],
    &["pkg; python_version<'3'"], &["pkg; foo=='x'"], &["pkg;"], &["--with", "a; (os_name=='posix' and python_version>='3.0')", "pkg"],
    &["pkg@1.2 ; os_name=='posix'"], &["--with", "a; implementation_name=='cpython' or platform_system=='Windows'", "pkg"],
    &["--with", "a,b", "--with=c", "-wd", "-w=e", "-w", "f", "pkg"], &["--with", ",a,,b ,", "pkg"], &["--with", "a[x,y],b", "pkg"],
    &["-qn", "-U", "--refresh", "--isolated", "pkg", "-q"], &["-qqq", "pkg"], &["-vv", "pkg"], &["--color", "never", "pkg"],
    &["--prerelease=if-necessary-or-explicit", "pkg"], &["--prerelease=allow", "pkg"], &["--pre", "pkg"], &["--prerelease", "allow", "a"],
    &["--python", "3", "pkg"], &["-p3", "pkg"], &["-p=3", "pkg"], &["-p 3", "pkg"], &["-qp3", "pkg"], &["-qp", "3", "pkg"],
    &["-p", "python", "pkg"], &["-p", ">=3.8", "pkg"], &["-p", "cpython", "pkg"], &["-p", "python3", "pkg"], &["-p", "cp3", "pkg"],
    &["-p", "3.99", "pkg"], &["-p", "399", "pkg"], &["-p", "3.8-dev", "pkg"], &["python3", "-c", "pass"], &["python@3", "-c", "pass"],
    &["python", "--version"], &["cpython@3", "--version"], &["python>=3.8", "--version"], &["python3.99"], &["Python", "--version"],
    &["-p", "3", "python", "--version"], &["-p", "3", "python@3", "--version"], &["--with", "mcp", "python", "--version"],
    &["--from", "python", "python", "--version"], &["python-dotenv"], &["cp311"], &["pythonw"], &["python_x"], &["pypy-tools"],
    &["--index-url", "{own}", "pkg"], &["--default-index={own}", "pkg"], &["-i", "{own}", "pkg"], &["-i{own}", "pkg"],
    &["--cache-dir=c", "pkg"], &["--project", "p", "pkg"], &["--preview-features", "x", "pkg"],
    &["--link-mode=copy", "--compile", "pkg"], &["--keyring-provider", "disabled", "pkg"], &["--resolution", "highest", "pkg"],
    &["--fork-strategy", "fewest", "pkg"], &["--index-strategy", "first-index", "pkg"], &["--python-preference", "system", "pkg"],
    &["--refresh-package", "A.b", "-P", "c", "--reinstall-package", "d", "--no-build-package", "e", "pkg"], &["--lfs", "pkg"],
    &["--upgrade-group", "a", "pkg"], &["--no-sources-package", "a", "pkg"], &["--native-tls", "pkg"], &["--no-config", "pkg"],
    &["--help"], &["-h", "--unknown"], &["-qh", "pkg"], &["-V", "pkg"], &["--version"], &["--from", "a", "--help"],
    &["pkg", "$HOME", "{a,b}", "!", "[x]", "=x", "%X%", "'", "\"", "a b", "\n", ""],
];

#[rustfmt::skip]
const SPECS: [&[&str]; 2] = [
    &["pkg", "pkg@1.2.3", "@s/pkg", "@s/pkg@^1.2", "pkg@latest", "pkg@~2 || 3", "a", "true", "pkg@v1.0.0", "always", "b.c", "1", "o/r"],
    &["pkg", "pkg@1.2", "pkg@latest", "pkg[x]>=1", "a==1.2", "Typed.Name", "b_c", "pkg>=1,<2", "true", "d~=1.0", "x.py", "pkg@next"],
];
const ARGS: &[&str] =
    &["a", "-x", "--opt", "--opt=v", "--", "-y", "--from", "b c", "", "-p", "1", "--help", "/d", "true", "-dd"];
const VALUES: &[&str] =
    &["x", "1", "true", "false", "null", "d/e", "copy", "never", "allow", "3", ">=3.8", "-x", "--", "", "warn"];

/// Lines that are made of options, packages and arguments.
fn generate(launcher: Launcher, seed: u64, number: usize) -> Vec<Line> {
    let (table, specs) = match launcher.ecosystem() {
        Ecosystem::Npm => (option::npx::TABLE, SPECS[0]),
        Ecosystem::Pypi => (option::uvx::TABLE, SPECS[1]),
    };
    let mut dice = Dice(seed);
    let mut lines = BTreeSet::new();
    while lines.len() < number {
        // Most lines have only options that are taken, or they would never get to their end.
        let wild = dice.roll(4) == 0;
        let mut line = Vec::new();
        for _ in 0..dice.roll(4) {
            let words = option(&mut dice, launcher, table, specs, wild);
            if wild || is_taken(launcher, &words) {
                line.extend(words);
            }
        }
        if dice.roll(4) == 0 {
            line.push("--".to_owned());
        }
        line.push(dice.one(specs).to_owned());
        for _ in 0..dice.roll(4) {
            line.push(dice.one(ARGS).to_owned());
        }
        lines.insert(line);
    }
    lines.into_iter().collect()
}

/// Whether these options alone, apart from the package, are no reason to refuse a line.
fn is_taken(launcher: Launcher, words: &[String]) -> bool {
    ["pkg", "cmd"].iter().any(|end| ours(launcher, &[words, &[(*end).to_owned()]].concat()).is_ok())
}

fn option(dice: &mut Dice, launcher: Launcher, table: Table, specs: &[&str], wild: bool) -> Line {
    let names: Vec<&str> = table.names().collect();
    let package = if launcher == Launcher::Npx { ["-p", "--package", "-p="] } else { ["--from", "--with", "-w"] };
    let name = dice.one(&names).to_owned();
    let value = |dice: &mut Dice| {
        let of = if dice.roll(3) == 0 { specs } else { VALUES };
        dice.one(of).to_owned()
    };
    let kinds = if wild { 12 } else { 8 };
    match dice.roll(kinds) {
        0 => match dice.one(&package) {
            "-p=" => vec![format!("-p={}", dice.one(specs))],
            name => vec![name.to_owned(), dice.one(specs).to_owned()],
        },
        1 if launcher == Launcher::Npx => vec![dice.one(&["-y", "--yes", "-q", "-yq", "--no-audit", "-fd"]).to_owned()],
        1 => vec![dice.one(&["-q", "-qq", "-v", "--refresh", "-qU", "-p3"]).to_owned()],
        2 => vec![format!("{name}={}", value(dice))],
        3 if launcher == Launcher::Npx => vec![format!("--no-{}", name.trim_start_matches('-'))],
        8 => vec![format!("-{name}")],
        9 => vec![name[..name.len().min(2 + dice.roll(6))].to_owned()],
        10 => vec![name.replacen("--", "-", 1), value(dice)],
        11 => vec![
            dice.one(&["--port", "--unknown=1", "-", "---", "-Z", "--no-", "-yqc", "--safe"]).to_owned(),
            value(dice),
        ],
        _ if table.find(&name).is_some_and(|row| row.arity == Arity::Value) => vec![name, value(dice)],
        _ => vec![name],
    }
}

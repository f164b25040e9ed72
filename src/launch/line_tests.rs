//! What holds for every line: it parses in time, and to something that can be written again.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::launch::{Launch, Launcher, Request, parse};

#[path = "fuzz_tests.rs"]
mod fuzz;

const BOTH: [Launcher; 2] = [Launcher::Npx, Launcher::Uvx];

/// The names of all its options, each with its dashes.
fn names(launcher: Launcher) -> impl Iterator<Item = &'static str> {
    launcher.options().into_iter().flat_map(|(names, _)| names)
}

fn line(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn launch(launcher: Launcher, words: &[&str]) -> Launch {
    match parse(launcher, &line(words)) {
        Ok(Request::Run(launch)) => launch,
        other => panic!("{words:?}: {other:?}"),
    }
}

/// Writes the launch and reads it again, as the shim of its packages does.
fn again(launch: &Launch) -> Launch {
    let line = launch.line();
    let shim = BOTH.into_iter().find(|shim| shim.ecosystem() == launch.launcher.ecosystem()).unwrap();
    match parse(shim, &line) {
        Ok(Request::Run(again)) => {
            Launch { launcher: launch.launcher, environment: launch.environment.clone(), ..again }
        }
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn lines_in_one_spelling() {
    for (launcher, words, want) in [
        (Launcher::Npx, &["pkg@v1.2.3", "-y"][..], "--yes -- pkg@1.2.3 -y"),
        (Launcher::Npx, &["-p", "a", "-p=@s/b", "cmd", "--"], "--yes --package=a --package=@s/b -- cmd --"),
        (Launcher::Npx, &["-c", "a | b", "-p", "x@1", "-p=y", "--"], "--yes --package=x@1 --package=y --call=a | b"),
        (
            Launcher::Npx,
            &["--safe-ro", "--reg=https://a.example", "--node-options= --no-warnings", "a"],
            "--safe-ro --yes --registry=https://a.example --node-options=--no-warnings -- a",
        ),
        (Launcher::Uvx, &["Pkg@1.2", "x"], "-- Pkg==1.2 x"),
        (
            Launcher::Uvx,
            &["-qp3.12", "--from", "Build.X", "--with=a,b>1", "c"],
            "--python=3.12 --from=Build.X --with=a --with=b>1 -- c",
        ),
        (Launcher::Uvx, &["--pre", "-w", "mcp", "python", "f.py"], "--prerelease=allow --from=mcp -- python f.py"),
        (Launcher::Uvx, &["python@3.12"], "--python=3.12 --from=python -- python"),
        (Launcher::Uvx, &["--with", "discord.py", "python"], "--from=python --with=discord.py -- python"),
        (
            Launcher::Uvx,
            &["--with-requirements", "r.txt,d/s.txt", "--with-requirements=t", "-wa", "b"],
            "--with=a --with-requirements=r.txt --with-requirements=d/s.txt --with-requirements=t -- b",
        ),
        (Launcher::Uvx, &[" python"], "--  python"),
        (Launcher::Uvx, &["--with", "python", "python"], "--from=python --with=python -- python"),
    ] {
        let launch = launch(launcher, words);
        let written: Vec<_> = launch.line().into_iter().map(|w| w.into_string().unwrap()).collect();
        assert_eq!(written.join(" "), want, "{words:?}");
        assert_eq!(again(&launch), launch, "{words:?}");
    }
}

/// Words that lines are made of, most often.
fn words() -> impl Strategy<Value = Vec<String>> {
    let names = BOTH.into_iter().flat_map(names).collect::<Vec<_>>();
    let word = prop_oneof![
        4 => prop::sample::select(names.clone()).prop_map(str::to_owned),
        2 => (prop::sample::select(names), value()).prop_map(|(name, value)| format!("{name}={value}")),
        4 => value(),
        1 => Just("--".to_owned()),
        1 => "-[a-zA-Z?]{1,3}",
        1 => "--safe-(ro|plan|net=none|env=[A-Z]{1,3}|level=(strict|standard)|x)",
        1 => "-{0,3}[a-z@/:=.,<>é -]{0,8}",
    ];
    prop::collection::vec(word, 0..8)
}

#[rustfmt::skip]
const VALUES: &[&str] = &[
    "pkg", "pkg@1.2.3", "pkg@^1.2", "pkg@latest", "@s/pkg", "@s/pkg@next", "a==1.0", "a>=1,<2", "a[x,y]>1",
    "Typed.Name", "discord.py", "python", "python3.12", "3.12", ">=3.11", "https://a.example/x", "allow",
    "never", "copy", "true", "false", "null", "always", "--no-warnings", "x.exe", "1", "", ".", "o/r",
    "github:o/r#semver:^1", "git+https://h.example/o/r.git", "a@npm:b@^1", "a @ git+https://h.example/o/r@v1",
    "https://h.example/a.tgz", "https://h.example/a-1.0-py3-none-any.whl", "git@github.com:o/r", "a[x] @ https://h.example/a.zip",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(VALUES).prop_map(str::to_owned),
        "[a-z]{1,4}(@[0-9v^~<>=.x*-]{1,6})?",
        "[A-Za-z][A-Za-z0-9._-]{0,5}(\\[[a-z,]{0,4}\\])?([<>=!~]=?[0-9.]{1,5}(rc1|\\.\\*)?)?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_parsed_can_be_written(words in words()) {
        let line: Vec<_> = words.into_iter().map(OsString::from).collect();
        for launcher in BOTH {
            if let Ok(Request::Run(launch)) = parse(launcher, &line) {
                prop_assert_eq!(again(&launch), launch);
            }
        }
    }

    #[test]
    fn an_unknown_option_is_never_the_package(name in "-{1,2}[a-z][a-z0-9-]{2,9}(=[a-z]{0,3})?", rest in words()) {
        let short = !name.starts_with("--");
        let bare = name.trim_start_matches('-').split('=').next().unwrap_or_default();
        for launcher in BOTH {
            let known = |bare: &str| names(launcher).any(|name| name.trim_start_matches('-') == bare);
            let letters = bare.chars().all(|letter| known(&letter.to_string()));
            let negated = bare.strip_prefix("no-").is_some_and(known);
            if known(bare) || negated || letters || (short && launcher == Launcher::Uvx) {
                continue;
            }
            let line: Vec<_> = std::iter::once(name.clone()).chain(rest.clone()).map(OsString::from).collect();
            prop_assert!(parse(launcher, &line).is_err(), "{:?}", line);
        }
    }
}

#[test]
fn long_lines_take_no_time() {
    // As long as Linux lets one word be, and as many as it lets be. Ten seconds are much for reading this once, and
    // little for reading it once for each of its letters.
    let many = |word: &str| vec![OsString::from(word); 100_000];
    let after = |start: &[&str], rest: Vec<OsString>| [line(start), rest].concat();
    let huge =
        |start: &str, fill: &str| vec![OsString::from(format!("{start}{}", fill.repeat((1 << 17) / fill.len())))];
    let lines = [
        after(&["pkg"], many("--x")),
        after(&["-y", "--", "pkg"], many("")),
        many("-y"),
        many("-q"),
        many("--"),
        many("--quiet"),
        many("--no-audit"),
        many("--package=a"),
        many("--with=a"),
        many("--safe-ro"),
        (0..100_000).map(|i| OsString::from(format!("--safe-env=N{i}"))).collect(),
        huge("", "a"),
        huge("pkg@", "1."),
        huge("pkg@", "1.2.3 || "),
        huge("a>=", "1,<2"),
        huge("a[", "x,"),
        huge("a", "@"),
        huge("-", "q"),
        huge("-", "-"),
        huge("--", "a"),
        huge("--no-", "no-"),
        huge("-p", "3."),
        huge("--with=", "a,"),
        huge("--with=a", ",<1"),
        huge("--node-options=", "--no-warnings "),
        huge("--registry=https://", "a/"),
        huge("https://", "a@"),
        after(&["--from", "a", "b"], huge("", "x")),
    ];
    for line in &lines {
        for launcher in BOTH {
            let start = Instant::now();
            let result = parse(launcher, line);
            if let Ok(Request::Run(launch)) = &result {
                assert_eq!(again(launch), *launch);
            }
            let first: String = line[0].to_string_lossy().chars().take(20).collect();
            assert!(start.elapsed() < Duration::from_secs(10), "{launcher:?} {first}… × {}", line.len());
        }
    }
}

//! What holds for every line: it parses in time, and to something that can be written again.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::launch::{Launch, Launcher, Request, parse};

// Quicker than proptest.
#[path = "../../tests/support/dice.rs"]
mod dice;
use dice::Dice;

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

/// Writes the launch and reads it again.
fn again(launch: &Launch) -> Launch {
    let line = launch.line();
    match parse(launch.launcher, &line) {
        Ok(Request::Run(launch)) => launch,
        other => panic!("{line:?}: {other:?}"),
    }
}

#[test]
fn lines_in_one_spelling() {
    for (launcher, words, want) in [
        (Launcher::Npx, &["pkg@v1.2.3", "-y"][..], "--yes -- pkg@1.2.3 -y"),
        (Launcher::Npx, &["-p", "a", "-p=@s/b", "cmd", "--"], "--yes --package=a --package=@s/b -- cmd --"),
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

impl Dice {
    fn letters(&mut self, of: &str, most: usize) -> String {
        (0..self.roll(most + 1)).map(|_| char::from(of.as_bytes()[self.roll(of.len())])).collect()
    }

    fn value(&mut self) -> String {
        match self.roll(3) {
            0 => self.letters("abcABC019@/:=.,<>^~*!|[]();- \t\u{1}", 12),
            _ => self.one(VALUES).to_owned(),
        }
    }

    fn word(&mut self, names: &[&str]) -> String {
        match self.roll(12) {
            0..4 => self.one(names).to_owned(),
            4 | 5 => format!("{}={}", self.one(names), self.value()),
            6..9 => self.value(),
            9 => "--".to_owned(),
            10 => format!("-{}", self.letters("abcdfghilmnpqsvwyCLPU-", 4)),
            _ => format!("--{}{}", self.one(&["no-", "safe-", "x", ""]), self.letters("adeimnorstuy-=", 8)),
        }
    }
}

/// `just fuzz`: many lines, each parsed by both scanners, written and parsed again.
/// `JITBOX_FUZZ` says how many (10 million), `JITBOX_SEED` which.
#[test]
#[ignore = "takes minutes: just fuzz"]
#[allow(clippy::disallowed_methods, reason = "it is told how long to run")]
fn many_lines() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (lines, seed): (u64, u64) = (number("JITBOX_FUZZ").unwrap_or(10_000_000), number("JITBOX_SEED").unwrap_or(1));
    for launcher in BOTH {
        let names: Vec<_> = names(launcher).collect();
        let (mut dice, mut taken, start) = (Dice(seed), 0_u64, Instant::now());
        for _ in 0..lines {
            let line: Vec<_> = (0..dice.roll(8)).map(|_| OsString::from(dice.word(&names))).collect();
            if let Ok(Request::Run(launch)) = parse(launcher, &line) {
                taken += 1;
                assert_eq!(again(&launch), launch, "{line:?}");
            }
        }
        println!("{launcher:?}: {lines} lines, {taken} taken, {:?}", start.elapsed());
    }
}

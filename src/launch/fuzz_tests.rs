//! Many random lines of every launcher, plain and inside of wrappers.

use super::*;
use crate::launch::parse_line;
use crate::launch::project::Project;
use crate::launch::tool::TOOLS;

// Quicker than proptest.
#[path = "../../tests/support/dice.rs"]
mod dice;
use dice::Dice;

const HEX: &str = "0123456789abcdef0123456789ABCDEF01234567";

#[rustfmt::skip]
const BEFORE: &[&str] = &[
    "", "", "", "a@", "a @ ", "A.b[x]@", "a[x,y] @", "npm:", "a@npm:", "@s/a@", "@s/a@npm:@t/", "git+", "a@git+", " ", "A=b ",
];

/// What a spec names that is in no registry, and some that are in one.
#[rustfmt::skip]
const PLACES: &[&str] = &[
    "o/r", "github:o/r", "gitlab:g/s/r", "bitbucket:o/r", "gist:0123", "gist:o/0123", "sourcehut:~o/r",
    "https://github.com/o/r", "https://www.github.com/o/r/tree/main", "https://gitlab.com/g/s/r", "https://gist.github.com/o/1",
    "https://bitbucket.org/o/r", "https://git.sr.ht/~o/r", "git://github.com/o/r", "git@github.com:o/r", "ssh://git@github.com/o/r",
    "ssh://git@h.example:22/o/r", "git@h.example:o/r", "http://h.example/o/r", "https://h.example:8443/o/r", "https://u:p@h.example/o/r",
    "file:///d/r", "https://h.example/a.tgz", "https://h.example/x?y=z", "http://h.example/a-1.0.tar.gz",
    "https://h.example/a-1.0-py3-none-any.whl", "https://h.example/a%20b.zip", "./a.tgz", "../d", "~/d", "C:\\d", "a", "@s/a", "b@^1",
    "b==1.0", "python",
];

#[rustfmt::skip]
const AFTER: &[&str] = &[
    "", "", "", ".git", "@main", "@v1.2", "#main", "#semver:^1", "#semver:1.x||2", "#path:d", "#path:/d/e", "::path:d",
    "#main::path:d", "#semver:%5E1", "#subdirectory=d", "#subdirectory=d/e", "@main#subdirectory=d", "#egg=a", "[x]", "[x,y]",
    " ; python_version>'3'", ";sys_platform=='linux'", "/", "?x=1", "#sha256=0", "/tree/x", "\u{e9}", "%2f..",
];

/// Programs that a line is put behind: what comes of it has to be the same line.
#[rustfmt::skip]
const WRAPPERS: &[&[&str]] = &[
    &["cmd", "/c"], &["cmd.exe", "/d", "/s", "/c"], &["env"], &["/usr/bin/env", "A=b", "C="], &["env", "--", "PATH=x"],
    &["wsl"], &["wsl", "-e"], &["asdf", "exec"], &["volta", "run"], &["corepack"], &["mise", "exec", "--"], &["mise", "x", "-q", "--"],
];
const SHELLS: &[&[&str]] = &[&["bash", "-c"], &["sh", "-lc"], &["/bin/zsh", "-l", "-c"], &["dash", "-ec"]];

impl Dice {
    fn letters(&mut self, of: &str, most: usize) -> String {
        (0..self.roll(most + 1)).map(|_| char::from(of.as_bytes()[self.roll(of.len())])).collect()
    }

    /// A package, or nearly one.
    fn spec(&mut self) -> String {
        let mut spec = format!("{}{}{}", self.one(BEFORE), self.one(PLACES), self.one(AFTER));
        match self.roll(12) {
            0 => spec.push_str(&format!("#{HEX}")),
            1 => spec.push_str(&format!("@{HEX}")),
            2 => spec.push_str(self.one(AFTER)),
            // One letter somewhere.
            3 => {
                let at = self.roll(spec.len() + 1);
                if spec.is_char_boundary(at) {
                    spec.insert_str(at, &self.letters("ab01@/:=.,<>^~*!|[]();- #%?\\'\"$\t", 1));
                }
            }
            _ => {}
        }
        spec
    }

    fn value(&mut self) -> String {
        match self.roll(4) {
            0 => self.letters("abcABC019@/:=.,<>^~*!|[]();- \t\u{1}", 12),
            1 => self.spec(),
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

    fn words(&mut self, launcher: Launcher, names: &[&str]) -> Vec<OsString> {
        // Without it, `uv run` is about a folder.
        let with = (launcher == Launcher::UvRun && self.roll(4) > 0).then(|| format!("--with={}", self.value()));
        let rest = (0..self.roll(8)).map(|_| self.word(names)).collect::<Vec<_>>();
        with.into_iter().chain(rest).map(OsString::from).collect()
    }

    /// The line behind a program that starts it.
    fn wrapped(&mut self, line: &[OsString]) -> Vec<OsString> {
        let mut words = line.iter().map(|word| word.to_str().unwrap());
        if self.roll(8) == 0 {
            // The launcher and some words in one string.
            let (joined, rest) = line.split_at(1 + self.roll(line.len()));
            let joined = shell_words::join(words.by_ref().take(joined.len()));
            return [vec![joined.into()], rest.to_vec()].concat();
        }
        if self.roll(2) == 0 {
            return [super::line(WRAPPERS[self.roll(WRAPPERS.len())]), line.to_vec()].concat();
        }
        let text = shell_words::join(words);
        [super::line(SHELLS[self.roll(SHELLS.len())]), vec![text.into()]].concat()
    }
}

/// How many lines, and which.
#[allow(clippy::disallowed_methods, reason = "it is told how long to run")]
fn asked() -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    (number("JITBOX_FUZZ").unwrap_or(10_000_000), number("JITBOX_SEED").unwrap_or(1))
}

/// Many lines of this launcher, each parsed, written and parsed again.
fn many(launcher: Launcher) {
    let (lines, seed) = asked();
    let names: Vec<_> = names(launcher).collect();
    let (mut dice, mut taken, mut sourced, start) = (Dice(seed), 0_u64, 0_u64, Instant::now());
    for _ in 0..lines {
        let line = dice.words(launcher, &names);
        if let Ok(Request::Run(launch)) = parse(launcher, &line) {
            taken += 1;
            sourced += u64::from(launch.packages.iter().any(|package| package.source().is_some()));
            assert_eq!(again(&launch), launch, "{line:?}");
        }
    }
    println!("{launcher:?}: {lines} lines, {taken} taken ({sourced} with sources), {:?}", start.elapsed());
    assert!(taken * 50 > lines, "{launcher:?}: hardly any line says anything");
}

/// `just fuzz`: each launcher. `JITBOX_FUZZ` says how many lines (10 million), `JITBOX_SEED` which.
macro_rules! many_lines {
    ($($name:ident: $launcher:ident),*) => {
        mod many_lines {
            use super::*;
            $(
                #[test]
                #[ignore = "takes minutes: just fuzz"]
                fn $name() {
                    many(Launcher::$launcher);
                }
            )*
        }
    };
}
many_lines!(
    npx: Npx,
    uvx: Uvx,
    npm_exec: NpmExec,
    pnpm_dlx: PnpmDlx,
    yarn_dlx: YarnDlx,
    bunx: Bunx,
    uv_tool_run: UvToolRun,
    uv_run: UvRun,
    pipx_run: PipxRun
);

/// The same with whole lines: a wrapper makes no other line of one, and no line of none.
#[test]
#[ignore = "takes minutes: just fuzz"]
fn many_lines_in_wrappers() {
    let (lines, seed) = asked();
    let tools: Vec<(Vec<OsString>, Launcher, Vec<_>)> = TOOLS
        .iter()
        .map(|tool| (line(&tool.words().split(' ').collect::<Vec<_>>()), tool.launcher, names(tool.launcher).collect()))
        .collect();
    let (mut dice, mut taken, mut opened, start) = (Dice(seed), 0_u64, 0_u64, Instant::now());
    for _ in 0..lines {
        let (words, launcher, names) = &tools[dice.roll(tools.len())];
        let line = [words.clone(), dice.words(*launcher, names)].concat();
        let plain = parse_line(&line);
        taken += u64::from(plain.is_ok());
        let wrapped = dice.wrapped(&line);
        match (parse_line(&wrapped), plain) {
            (Ok((launcher, Request::Run(launch))), Ok((same, Request::Run(plain)))) => {
                opened += 1;
                assert_eq!((launcher, Launch { environment: Vec::new(), ..launch }), (same, plain), "{wrapped:?}");
            }
            (Ok((launcher, Request::Local(project))), Ok((same, Request::Local(plain)))) => {
                assert_eq!((launcher, Project { environment: Vec::new(), ..project }), (same, plain), "{wrapped:?}");
            }
            (Ok(wrapped_says), plain) => assert_eq!(Ok(wrapped_says), plain, "{wrapped:?}"),
            (Err(_), _) => {}
        }
    }
    println!("whole lines: {lines}, {taken} taken, {opened} in wrappers, too, {:?}", start.elapsed());
    assert!(opened * 50 > lines, "hardly any line says anything");
}

//! Lines as the tools were seen to read them: npm 11, pnpm 10 and 12, Yarn 4, Bun 1.4, uv 0.13 and
//! pipx 1.18.

use super::*;
use crate::launch::project::{Project, Runs};
use crate::launch::{Launch, parse_line};

fn line(words: &str) -> Vec<OsString> {
    words.split(' ').map(|word| if word == "''" { OsString::new() } else { word.into() }).collect()
}

fn run(words: &str) -> Launch {
    match parse_line(&line(words)) {
        Ok((launcher, Request::Run(launch))) => {
            assert_eq!(launcher, launch.launcher);
            launch
        }
        other => panic!("{words}: {other:?}"),
    }
}

fn refused(words: &str) -> Error {
    let error = parse_line(&line(words)).expect_err(words);
    let text = error.to_string();
    assert!(!error.hints.is_empty() && error.hints.len() <= 3, "{words}: {error:?}");
    assert!(!text.ends_with('.') && text.len() < 200, "{words}: {text}");
    error
}

/// Each line, its packages, the command that it names, and what is left for the program.
const RUN: &[(&str, Launcher, &str, Option<&str>, &str)] = &[
    ("npx -y pkg -x", Launcher::Npx, "pkg", None, "-x"),
    ("npx-safe pkg", Launcher::Npx, "pkg", None, ""),
    ("uvx pkg -x", Launcher::Uvx, "pkg", None, "-x"),
    // npm takes options everywhere before the first `--`.
    ("npm exec pkg", Launcher::NpmExec, "pkg", None, ""),
    ("npm x pkg a b", Launcher::NpmExec, "pkg", None, "a b"),
    ("npm exec -y -- @s/pkg@^1 --x -- a", Launcher::NpmExec, "@s/pkg@^1", None, "--x -- a"),
    ("npm exec pkg a -- --x -- b ''", Launcher::NpmExec, "pkg", None, "a --x -- b ''"),
    ("npm exec pkg -- --x", Launcher::NpmExec, "pkg", None, "--x"),
    ("npm -y exec --package=a --package b -- cmd -p", Launcher::NpmExec, "a b", Some("cmd"), "-p"),
    ("npm exec --no-audit --yes=true -- pkg", Launcher::NpmExec, "pkg", None, ""),
    ("npm exec --no-global --local --loglevel=silent pkg", Launcher::NpmExec, "pkg", None, ""),
    ("pnpm dlx pkg --x -- -y", Launcher::PnpmDlx, "pkg", None, "--x -- -y"),
    ("pnpx pkg@~1.2", Launcher::PnpmDlx, "pkg@~1.2", None, ""),
    ("pnpx pkg@1.2.3 a", Launcher::PnpmDlx, "pkg@1.2.3", None, "a"),
    ("pnpm --package=a dlx cmd --package=x", Launcher::PnpmDlx, "a", Some("cmd"), "--package=x"),
    ("pnpm dlx --package a --package=@s/b cmd", Launcher::PnpmDlx, "a @s/b", Some("cmd"), ""),
    ("pnpm -s dlx --reporter silent -- pkg -- a", Launcher::PnpmDlx, "pkg", None, "-- a"),
    ("pnpm dlx -y pkg", Launcher::PnpmDlx, "pkg", None, ""),
    ("yarn dlx -q pkg -q", Launcher::YarnDlx, "pkg", Some("pkg"), "-q"),
    ("yarn dlx @s/pkg@2 a", Launcher::YarnDlx, "@s/pkg@2", Some("pkg"), "a"),
    ("yarn dlx -p a -p b@next cmd -- x", Launcher::YarnDlx, "a b@next", Some("cmd"), "-- x"),
    ("yarn dlx --package=a cmd", Launcher::YarnDlx, "a", Some("cmd"), ""),
    ("bunx -y @s/pkg@latest --x", Launcher::Bunx, "@s/pkg@latest", None, "--x"),
    ("bun x pkg -- a", Launcher::Bunx, "pkg", None, "-- a"),
    ("bunx -p a cmd", Launcher::Bunx, "a", Some("cmd"), ""),
    ("bunx --package=typescript tsc --version", Launcher::Bunx, "typescript", Some("tsc"), "--version"),
    ("uv tool run pkg@1.2 -x", Launcher::UvToolRun, "pkg==1.2", None, "-x"),
    (
        "uv tool run --from awslabs.x@latest awslabs.x.exe",
        Launcher::UvToolRun,
        "awslabs-x@latest",
        Some("awslabs.x"),
        "",
    ),
    ("uv -q tool run --with b a", Launcher::UvToolRun, "a b", None, ""),
    ("uv run --with pkg cmd --x", Launcher::UvRun, "pkg", Some("cmd"), "--x"),
    ("uv run --with a,cmd>=1,<2 --with b -- cmd -- x", Launcher::UvRun, "cmd>=1,<2 a b", Some("cmd"), "-- x"),
    ("uv run --no-project --with pkg python -m mod", Launcher::UvRun, "pkg", Some("python"), "-m mod"),
    ("uv run --isolated -w pkg --python 3.13 cmd", Launcher::UvRun, "pkg", Some("cmd"), ""),
    ("uv --no-cache run --with=pkg cmd", Launcher::UvRun, "pkg", Some("cmd"), ""),
    ("pipx run pkg -x -- a", Launcher::PipxRun, "pkg", None, "-x -- a"),
    ("pipx run -- pkg==1.2 a", Launcher::PipxRun, "pkg==1.2", None, "a"),
    ("pipx run --no-cache --spec pkg[x]==1.2 app a", Launcher::PipxRun, "pkg[x]==1.2", Some("app"), "a"),
    ("pipx run --with b --python 3.12 a", Launcher::PipxRun, "a b", None, ""),
];

#[test]
fn lines_that_are_run() {
    for (words, launcher, packages, command, args) in RUN {
        let launch = run(words);
        let names: Vec<_> = launch.packages.iter().map(ToString::to_string).collect();
        assert_eq!((launch.launcher, names.join(" ").as_str()), (*launcher, *packages), "{words}");
        assert_eq!(launch.command.as_deref(), *command, "{words}");
        assert_eq!(launch.args, if args.is_empty() { Vec::new() } else { line(args) }, "{words}");
    }
}

#[test]
fn what_else_a_line_says() {
    for words in ["uv run --with a --python 3.12 cmd", "pipx run --python 3.12 a", "uv tool run -p 3.12 a"] {
        assert_eq!(run(words).python.as_deref(), Some("3.12"), "{words}");
    }
    let url = "https://registry.example/npm/";
    for tool in
        ["npm exec --registry", "bunx --registry", "pnpm dlx --registry", "pipx run --index-url", "uv run --with a -i"]
    {
        assert_eq!(run(&format!("{tool} {url} pkg")).registry.as_deref(), Some(url), "{tool}");
    }
    for tool in ["npm exec", "pnpm dlx", "yarn dlx", "bunx", "uv tool run", "uv run --with a", "pipx run"] {
        let launch = run(&format!("{tool} --safe-net=none --safe-plan -- pkg --safe-ro"));
        assert!(launch.tighten.plan && launch.tighten.no_network && !launch.tighten.read_only, "{tool}");
        for (option, request) in [("--help", Request::Help), ("-h", Request::Help)] {
            assert_eq!(parse_line(&line(&format!("{tool} {option}"))).unwrap().1, request, "{tool} {option}");
        }
    }
    for words in ["npm exec --version", "pnpm dlx -v", "yarn dlx -v", "bunx --version", "uv --version", "uvx -V"] {
        assert_eq!(parse_line(&line(words)).unwrap().1, Request::Version, "{words}");
    }
}

/// Each line, and what the refusal names.
const REFUSED: &[(&str, &str)] = &[
    ("npm install pkg", "`npm install`"),
    ("npm run start", "`npm run`"),
    ("npm", "`npm`"),
    ("npm exec", "there is no package"),
    ("npm exec --", "there is no package"),
    ("npm exec pkg --port 3", "take `--port`"),
    ("npm exec pkg a --x -- b", "take `--x`"),
    ("npm exec -p pkg cmd", "`-p`"),
    ("npm exec --package=a", "no command"),
    ("npm exec -c x", "without packages"),
    ("npm exec -c x --package=a b", "beside `-c`"),
    ("npm exec -c x --package=a -- b", "beside `-c`"),
    ("npm exec --no pkg", "`--no`"),
    ("npm exec --no-yes pkg", "`--no-yes`"),
    ("npm exec --yes true", "value"),
    ("npm exec --no-install pkg", "`--no-install`"),
    ("npm exec -yq pkg", "several options"),
    ("npm exec --workspace=a pkg", "`--workspace`"),
    ("npm -- exec pkg", "`npm exec`"),
    ("pnpm add pkg", "`pnpm add`"),
    ("pnpm pkg", "`pnpm pkg`"),
    ("pnpm exec pkg", "`pnpm exec`"),
    ("pnpm dlx", "there is no package"),
    ("pnpm dlx -p pkg cmd", "`-p`"),
    ("pnpm dlx -c x", "`-c`"),
    ("pnpm dlx --allow-build=x pkg", "`--allow-build`"),
    ("pnpm dlx --bogus pkg", "`--bogus`"),
    ("pnpm dlx github:o/r", "github:o/r"),
    ("pnpm dlx o/r", "o/r"),
    ("pnpm dlx a@npm:b@~1", "a@npm:b@~1"),
    ("pnpx ./dir", "./dir"),
    ("yarn dlx .", "its own rules"),
    ("yarn dlx a@.", "its own rules"),
    ("yarn global add pkg", "`yarn global`"),
    ("yarn -p pkg dlx cmd", "`-p`"),
    ("yarn dlx", "there is no package"),
    ("yarn dlx -y pkg", "`-y`"),
    ("yarn dlx --cwd /x pkg", "`--cwd`"),
    ("yarn dlx pkg@npm:other@1", "pkg@npm:other@1"),
    ("bun run x", "`bun run`"),
    ("bun -p x", "`-p`"),
    ("bunx", "there is no package"),
    ("bunx --bun pkg", "`--bun`"),
    ("bunx --trust pkg", "`--trust`"),
    ("bunx --no-install pkg", "`--no-install`"),
    ("bunx -by pkg", "several options"),
    ("bunx -y=true pkg", "takes no value"),
    ("bunx tsc", "typescript"),
    ("bunx tsc@5", "typescript"),
    ("bunx -p a -p b cmd", "twice"),
    ("bunx x.tgz", "x.tgz"),
    ("uv pip install x", "`uv pip`"),
    ("uv tool install x", "`uv tool`"),
    ("uv --from x y", "`--from`"),
    ("uv run", "no command"),
    ("uv run --with a -", "`-`"),
    ("uv run -", "`-`"),
    ("uv run https://x.example/a.py", "https://x.example/a.py"),
    ("uv run --directory a --directory b x", "twice"),
    ("uv run --directory", "needs a value"),
    ("uv run -s -m x", "together"),
    ("uv --directory /x tool run y", "`--directory`"),
    ("uv --project /x tool run y", "`--project`"),
    ("uv run --with a https://x.example/a.py", "https://x.example/a.py"),
    ("uv run --with-requirements x.py cmd", "`--with-requirements`"),
    ("pipx run --with-requirements r.txt app", "`--with-requirements`"),
    ("uv run --with-editable . cmd", "`--with-editable`"),
    ("uv run --env-file .env --with a cmd", "`--env-file`"),
    ("uv run --from a cmd", "`--from`"),
    ("uv tool run -y pkg", "`-y`"),
    ("uv tool run", "no command"),
    ("pipx install x", "`pipx install`"),
    ("pipx -q run x", "`-q`"),
    ("pipx run", "no command"),
    ("pipx run -y pkg", "`-y`"),
    ("pipx run --path x.py", "`--path`"),
    ("pipx run x.py", "x.py"),
    ("pipx run https://x.example/a.py", "https://x.example/a.py"),
    ("pipx run --pip-args=x app", "`--pip-args`"),
    ("pipx run --python >=3.11 app", ">=3.11"),
    ("pipx run pkg@1.2", "pkg@1.2"),
    ("pipx run --no-c pkg", "`--no-c`"),
    ("./npx x", "./npx"),
    ("node_modules/.bin/npx x", "node_modules"),
    ("docker run x", "`docker`"),
];

#[test]
fn lines_that_are_refused() {
    for (words, names) in REFUSED {
        let error = refused(words);
        let text = format!("{error} {}", error.hints.join(" "));
        assert!(text.contains(names), "{words}: {text}");
    }
}

type Local = (&'static str, Option<&'static str>, Option<&'static str>, &'static str, Runs, &'static str);

/// Each line about a local project: its folder, where it starts, other options, what is run, and the arguments.
#[rustfmt::skip]
const LOCAL: &[Local] = &[
    ("uv --directory /d run cmd --x", None, Some("/d"), "", Runs::Command(String::new()), "--x"),
    ("uv run --directory d cmd", None, Some("d"), "", Runs::Command(String::new()), ""),
    ("uv run --project=p --directory d cmd -- a", Some("p"), Some("d"), "", Runs::Command(String::new()), "-- a"),
    ("uv run cmd", None, None, "", Runs::Command(String::new()), ""),
    ("uv run ./cmd", None, None, "", Runs::Command(String::new()), ""),
    ("uv run cmd run x.py", None, None, "", Runs::Command(String::new()), "run x.py"),
    ("uv run cmd.py a", None, None, "", Runs::Script(String::new()), "a"),
    ("uv --directory /d run -q -- cmd.PYZ", None, Some("/d"), "", Runs::Script(String::new()), ""),
    ("uv run -s cmd", None, None, "-s", Runs::Script(String::new()), ""),
    ("uv run -m cmd --x", None, None, "", Runs::Module(String::new()), "--x"),
    ("uv run --with a ./cmd", None, None, "", Runs::Command(String::new()), ""),
    ("uv run --frozen --extra=x --with a cmd", None, None, "--frozen --extra=x", Runs::Command(String::new()), ""),
    ("uv run --group p --no-dev -m cmd", None, None, "--group=p --no-dev", Runs::Module(String::new()), ""),
    ("uv run --no-project cmd.py", None, None, "--no-project", Runs::Script(String::new()), ""),
];

#[test]
fn lines_about_local_projects() {
    for (words, folder, directory, options, runs, args) in LOCAL {
        let Ok((Launcher::UvRun, Request::Local(project))) = parse_line(&line(words)) else { panic!("{words}") };
        assert_eq!((project.folder.as_deref(), project.directory.as_deref()), (*folder, *directory), "{words}");
        let said = |(name, value): &(String, Option<String>)| {
            value.as_ref().map_or(name.clone(), |value| format!("{name}={value}"))
        };
        assert_eq!(project.options.iter().map(said).collect::<Vec<_>>().join(" "), *options, "{words}");
        let (Runs::Command(name) | Runs::Script(name) | Runs::Module(name)) = &project.runs;
        assert!(words.contains(name) && name.contains("cmd"), "{words}: {name}");
        assert_eq!(std::mem::discriminant(&project.runs), std::mem::discriminant(runs), "{words}");
        assert_eq!(project.args, if args.is_empty() { Vec::new() } else { line(args) }, "{words}");
        assert_eq!(project.with.len(), usize::from(words.contains("--with")), "{words}");
    }
    assert!(matches!(parse_line(&line("uv run --no-project --with a cmd")), Ok((_, Request::Run(_)))));
    // Without anything of a project a module is one of the packages'.
    let launch = run("uv run --with pkg -m mod --x");
    assert_eq!((launch.command.as_deref(), launch.args), (Some("python"), line("-m mod --x")));
}

/// A line in our own spelling is one of the same project, and has no other spelling.
#[test]
fn lines_about_local_projects_in_our_own_spelling() {
    use std::path::Path;
    let more = "uv run --safe-ro --with a[x]>=1,<2 --with-requirements r.txt --python 3.12 --prerelease=allow --default-index https://h.example/simple --no-project --no-dev -s cmd a";
    for words in LOCAL.iter().map(|local| local.0).chain([more]) {
        let read = |words: &[OsString]| match parse_line(words) {
            Ok((Launcher::UvRun, Request::Local(project))) => project,
            other => panic!("{words:?}: {other:?}"),
        };
        let project = read(&line(words));
        let own = |project: &Project| {
            let words = project.line(Path::new("/d"), project.folder.as_ref().map(|_| Path::new("/p")), None);
            ["uv", "run"].into_iter().map(str::to_owned).chain(words.unwrap()).map(OsString::from).collect::<Vec<_>>()
        };
        let again = read(&own(&project));
        assert_eq!(own(&again), own(&project), "{words}");
        let same = |project: &Project| (project.options().unwrap(), project.with.len(), project.python.clone());
        assert_eq!(same(&again), same(&project), "{words}");
        assert_eq!((again.runs, again.args, again.files), (project.runs, project.args, project.files), "{words}");
    }
}

/// As `uv export` of uv 0.13 has them.
#[test]
fn groups_and_extras_of_a_line() {
    let options = |words: &str| match parse_line(&line(&format!("uv run {words} x.py"))) {
        Ok((_, Request::Local(project))) => project.options(),
        other => panic!("{words}: {other:?}"),
    };
    let groups = |words: &str| {
        let wanted = options(words).unwrap().wanted;
        (wanted.groups.join(" "), wanted.no_groups.join(" "))
    };
    assert_eq!(groups("--dev --no-dev"), (String::new(), "dev".into()));
    assert_eq!(groups("--no-dev --dev"), ("dev".into(), String::new()));
    assert_eq!(groups("--no-group dev --group D.ocs"), ("d-ocs".into(), "dev".into()));
    for words in ["--only-dev --group docs", "--only-group a --extra b", "--only-group a --all-groups", "--package a"] {
        let error = options(words).unwrap_err();
        assert!(!error.hints.is_empty(), "{words}: {error}");
    }
}

#[test]
fn refused_options_name_what_to_type() {
    for tool in TOOLS {
        for (names, row) in tool.launcher.options() {
            if !matches!(row.effect, crate::launch::option::Effect::Refused(_)) {
                continue;
            }
            for name in names {
                let error = refused(&format!("{} {name} x y", tool.words()));
                assert!(error.to_string().contains(name), "{name}: {error}");
            }
        }
    }
}

#[test]
fn dashes_after_our_own_words_are_ours() {
    for (words, want) in [
        ("npx -- -y pkg", "npx -y pkg"),
        ("npx --", "npx"),
        ("npx -- pkg --x", "npx -- pkg --x"),
        ("npx -y -- pkg", "npx -y -- pkg"),
        ("npm exec -- -y -- pkg --x", "npm exec -y -- pkg --x"),
        ("npm exec -- pkg --x", "npm exec -- pkg --x"),
        ("npm x -- --package=a b", "npm x --package=a b"),
        ("uv tool run -- --from a b", "uv tool run --from a b"),
        ("uv run -- --with a b", "uv run --with a b"),
        ("uv -- tool run a", "uv -- tool run a"),
        ("bogus -- -y pkg", "bogus -- -y pkg"),
    ] {
        assert_eq!(typed(line(words)), line(want), "{words}");
    }
    assert!(typed(Vec::new()).is_empty());
}

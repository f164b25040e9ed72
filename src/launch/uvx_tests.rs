//! Lines whose meaning was seen by running uv 0.13.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::*;
use crate::error::Kind;
use crate::policy::level::Level;

fn line(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn run(words: &[&str]) -> Launch {
    match parse(&line(words)) {
        Ok(Request::Run(launch)) => launch,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn refused(words: &[&str]) -> Error {
    let error = parse(&line(words)).expect_err(&format!("{words:?}"));
    assert!(!error.hints.is_empty(), "{words:?}: {error}");
    assert!(!format!("{error}").ends_with('.'));
    error
}

#[test]
fn lines_that_uvx_runs() {
    for (words, packages, command, args) in [
        (&["pkg"][..], "pkg", None, &[][..]),
        (&["pkg", "--", "hi"], "pkg", None, &["--", "hi"]),
        (&["--", "pkg", "--x"], "pkg", None, &["--x"]),
        (&["pkg", "--python", "3.9"], "pkg", None, &["--python", "3.9"]),
        (&["pkg@1.2"], "pkg==1.2", None, &[]),
        (&["pkg@v1.2"], "pkg==1.2", None, &[]),
        (&["pkg@latest"], "pkg@latest", None, &[]),
        (&["pkg[b,A]@latest"], "pkg[a,b]@latest", None, &[]),
        (&["pkg>=1,<2", "x"], "pkg>=1,<2", None, &["x"]),
        (&["run", "pkg"], "run", None, &["pkg"]),
        (&["git+https://h/o/r@v1#subdirectory=d", "x"], "git+https://h/o/r@v1#subdirectory=d", None, &["x"]),
        (&["--from", "git+https://h/o/r", "tool", "x"], "git+https://h/o/r", Some("tool"), &["x"]),
        (&["--with", "a @ https://h/a-1-py3-none-any.whl", "b"], "b a @ https://h/a-1-py3-none-any.whl", None, &[]),
        (&["--from", "Build.X", "pyproject-build"], "build-x", Some("pyproject-build"), &[]),
        (&["--from=build@latest", "bash", "-c", "x"], "build@latest", Some("bash"), &["-c", "x"]),
        (&["--from", "awslabs.x@latest", "awslabs.x.exe"], "awslabs-x@latest", Some("awslabs.x"), &[]),
        (&["--with", "pycowsay", "--from", "build", "pycowsay"], "build pycowsay", Some("pycowsay"), &[]),
        (&["--with", "mcp<2,>=1,socksio", "-w", "x[a,b]", "pkg"], "pkg mcp>=1,<2 socksio x[a,b]", None, &[]),
        (&["-qn", "-U", "--refresh", "--isolated", "pkg"], "pkg", None, &[]),
        (&["--color", "never", "--cache-dir=/tmp/c", "pkg"], "pkg", None, &[]),
        (&["--prerelease=if-necessary-or-explicit", "pkg"], "pkg", None, &[]),
        (&["Pkg ; python_version > '2'", "x"], "pkg", None, &["x"]),
        (&["--from", "a[x]>=1;sys_platform=='linux'", "b"], "a[x]>=1", Some("b"), &[]),
        (&["git+https://h/o/r ; os_name=='posix'"], "git+https://h/o/r", None, &[]),
        (&["-p3.12", "--with", "a; python_version<'3.12', b; python_version>='3.12'", "c"], "c b", None, &[]),
        (&["--with", "a @ https://h/a.zip ; sys_platform=='win32'", "c"], "c", None, &[]),
        (&["python", "main.py"], "", Some("python"), &["main.py"]),
        (&["--with", "mcp", "python", "file.py"], "mcp", Some("python"), &["file.py"]),
        (&["--from", "python@3.11", "idle"], "", Some("idle"), &[]),
        (&["python-dotenv"], "python-dotenv", None, &[]),
    ] {
        let launch = run(words);
        let names: Vec<_> = launch.packages.iter().map(ToString::to_string).collect();
        assert_eq!(names.join(" "), packages, "{words:?}");
        assert_eq!(launch.command.as_deref(), command, "{words:?}");
        assert_eq!(launch.args, line(args), "{words:?}");
        assert_eq!(launch.launcher, Launcher::Uvx);
    }
    for (words, want) in [
        (&["--prerelease=allow", "pkg"][..], true),
        (&["--prerelease", "allow", "--from", "a", "b"], true),
        (&["--pre", "pkg"], true),
        (&["--prerelease", "if-necessary-or-explicit", "pkg"], false),
        (&["pkg", "--pre"], false),
    ] {
        assert_eq!(run(words).prerelease, want, "{words:?}");
    }
}

#[test]
fn the_version_of_python() {
    for (words, want) in [
        (&["--python", "3.12", "pkg"][..], Some("3.12")),
        (&["-p3.12", "pkg"], Some("3.12")),
        (&["-p=3.12", "pkg"], Some("3.12")),
        (&["-p 3.12", "pkg"], Some("3.12")),
        (&["-qp3.12", "pkg"], Some("3.12")),
        (&["-qp", "3.12", "pkg"], Some("3.12")),
        (&["-p", "python", "pkg"], None),
        (&["python3.11"], Some("3.11")),
        (&["python@3.12", "-c", "pass"], Some("3.12")),
        (&["-p", "3.12", "python"], Some("3.12")),
        (&["-p", "3.12", "python@3.12"], Some("3.12")),
        (&["pkg"], None),
    ] {
        assert_eq!(run(words).python.as_deref(), want, "{words:?}");
    }
    assert!(refused(&["-p", "3.11", "python@3.12"]).what.contains("two versions"));
}

#[test]
fn lines_that_are_refused() {
    for (words, says) in [
        (&[][..], "no command"),
        (&["-q"], "no command"),
        (&["--from", "pkg"], "after `--from`"),
        (&["-y", "pkg"], "npx's"),
        (&["--yes", "pkg"], "npx's"),
        (&["-yq", "pkg"], "npx's"),
        (&["-y pkg"], "npx's"),
        (&["--fro", "x", "y"], "no option `--fro`"),
        (&["--from x", "y"], "one string"),
        (&["-m", "pkg"], "no option `-m`"),
        (&["-e", "pkg"], "no option `-e`"),
        (&["-from", "x", "y"], "second `-`"),
        (&["-", "pkg"], "no option `-`"),
        (&["--from", "a", "--from", "b", "c"], "twice"),
        (&["-p", "3.11", "--python=3.12", "c"], "twice"),
        (&["-i", "https://a.example/", "--default-index", "https://b.example/", "c"], "twice"),
        (&["--isolated=true", "pkg"], "takes no value"),
        (&["--from"], "needs a value"),
        (&["--from", "--with", "a"], "needs a value"),
        (&["--from=", "a"], "needs a value"),
        (&["-p"], "needs a value"),
        (&["--with-editable", ".", "pkg"], "--with-editable"),
        (&["--with-requirements=r.txt,pyproject.toml", "pkg"], "a project's own file"),
        (&["--with-requirements=r.txt,", "pkg"], "no file"),
        (&["--with-requirements", "https://h/r.txt", "pkg"], "an address"),
        (&["-c", "c.txt", "pkg"], "`-c`"),
        (&["--env-file", ".env", "pkg"], "--env-file"),
        (&["--directory", "/d", "pkg"], "--directory"),
        (&["--extra-index-url", "https://h/", "pkg"], "--extra-index-url"),
        (&["--index=https://h/", "pkg"], "--index"),
        (&["--no-index", "pkg"], "--no-index"),
        (&["--prerelease=disallow", "pkg"], "--prerelease"),
        (&["--pre", "--prerelease", "allow", "pkg"], "together"),
        (&["-q", "--verbose", "pkg"], "together"),
        (&["--isolated", "--isolated", "pkg"], "twice"),
        (&["-n", "--no-cache-dir", "pkg"], "twice"),
        (&["--link-mode", "move", "pkg"], "--link-mode"),
        (&["--refresh-package", "a b", "pkg"], "not a package name"),
        (&["--exclude-newer", "7 days", "pkg"], "--exclude-newer"),
        (&["--trusted-host", "h", "pkg"], "--trusted-host"),
        (&["--offline", "pkg"], "--offline"),
        (&["--no-binary", "pkg"], "--no-binary"),
        (&["-p", "pypy@3.10", "pkg"], "not CPython"),
        (&["-p", "/usr/bin/python3", "pkg"], "Python version"),
        (&["pypy@3.10"], "not CPython"),
        (&["python@foo"], "Python version"),
        (&["x.py"], "script"),
        (&["discord.py"], "script"),
        (&["--from", "discord.py", "x"], "script"),
        (&["pkg x"], "not a requirement"),
        (&["a,b"], "not a requirement"),
        (&["pkg@"], "does not name a version"),
        (&["pkg@next"], "does not name a version"),
        (&["pkg@^1"], "does not name a version"),
        (&["--with", "a@1.2", "b"], "does not name a version"),
        (&["pkg ; python_version > '3.10'"], "depends on which Python"),
        (&["pkg ; python_version < '3'"], "not for a box"),
        (&["--python", "3.12", "--from", "pkg;python_version<'3.12'", "x"], "not for a box"),
        (&["--with", "a; python_version<'3.12'", "pkg"], "depends on which Python"),
        (&["--python", ">=3.11", "--with", "a; python_version<'3.12'", "pkg"], "depends on which Python"),
        (&["--with", "a; nonsense", "pkg"], "not a condition"),
        (&["pkg@1.2 ; python_version > '2'"], "does not name a version"),
        (&["git+https://me:secret@h/o/r"], "a login"),
        (&["--from", "git+https://h/o/r", "src/main.py"], "is a path"),
        (&["C:\\dir"], "folder"),
        (&["./x%20y.whl"], "archive"),
        (&["--from", "a", "./b"], "is a path"),
        (&["--from", "a", ""], "is empty"),
        (&["--from", "a", "--", "-b"], "starts with"),
        (&[""], "not a package name"),
        (&["--", "-x"], "not a package name"),
    ] {
        let error = refused(words);
        assert!(format!("{error}").contains(says), "{words:?}: {error}");
        assert!(!format!("{error}{:?}", error.hints).contains("secret"), "{words:?}: {error}");
    }
}

#[test]
fn hints_can_be_typed() {
    let hint = &refused(&["discord.py"]).hints[0];
    assert!(hint.ends_with("`uvx-safe --from discord-py discord.py`"), "{hint}");
    assert_eq!(refused(&["--form", "a", "b"]).hints[0], "did you mean `--from`?");
    assert_eq!(refused(&["-from", "a", "b"]).hints, ["write `--from`"]);
    assert_eq!(refused(&["-with=a", "b"]).hints, ["write `--with`"]);
    assert_eq!(refused(&["-y", "pkg"]).kind, Kind::Refused);
}

#[test]
fn help_and_version_act_at_once() {
    for words in [&["--help"][..], &["-qh", "pkg"], &["-h", "--unknown"]] {
        assert_eq!(parse(&line(words)), Ok(Request::Help), "{words:?}");
    }
    assert_eq!(parse(&line(&["-V", "pkg"])), Ok(Request::Version));
    assert_eq!(run(&["pkg", "--version"]).args, ["--version"]);
}

#[test]
fn the_index_and_our_options() {
    let launch =
        run(&["--safe-plan", "--index-url", "https://a.example/simple", "--safe-level=strict", "pkg", "--safe-ro"]);
    assert_eq!(launch.registry.as_deref(), Some("https://a.example/simple"));
    assert!(launch.tighten.plan && launch.tighten.level == Some(Level::Strict) && !launch.tighten.read_only);
    assert_eq!(launch.args, ["--safe-ro"]);
    assert_eq!(refused(&["--safe-level=relaxed", "pkg"]).kind, Kind::Refused);
}

proptest! {
    #[test]
    fn never_panics(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8)) {
        let words: Vec<_> = words.into_iter().map(OsString::from_vec).collect();
        let _ = parse(&words);
    }

    #[test]
    fn never_panics_on_dashes(words in prop::collection::vec("-{0,3}[a-z@/:=.,\\[\\]é -]{0,8}", 0..6)) {
        let _ = parse(&words.into_iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn arguments_come_out_as_they_went_in(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8)) {
        let args: Vec<_> = words.into_iter().map(OsString::from_vec).collect();
        for start in [&["-q", "pkg"][..], &["--from", "pkg", "cmd"], &["--", "pkg"]] {
            let mut all = line(start);
            all.extend(args.iter().cloned());
            let Ok(Request::Run(launch)) = parse(&all) else { panic!("{all:?}") };
            prop_assert_eq!(&launch.args, &args);
        }
    }
}

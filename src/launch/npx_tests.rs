//! Lines whose meaning was seen by running npm 11, or by feeding them to its two parsers.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::*;
use crate::error::Kind;

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
fn lines_that_npx_runs() {
    for (words, packages, command, args) in [
        (&["pkg"][..], "pkg", None, &[][..]),
        (&["-y", "pkg", "-y", "--x", "--", "a"], "pkg", None, &["-y", "--x", "--", "a"]),
        (&["-y", "--", "pkg", "a"], "pkg", None, &["a"]),
        (&["pkg", "--", "a"], "pkg", None, &["--", "a"]),
        (&["-y", "github:o/r#main", "a"], "git+https://github.com/o/r.git#main", None, &["a"]),
        (&["--package=https://h/x.tgz", "bin", "a"], "https://h/x.tgz", Some("bin"), &["a"]),
        (&["x@npm:bar@1", "a"], "bar@1", None, &["a"]),
        (&["--", "pkg", "--", "a"], "pkg", None, &["--", "a"]),
        (&["-y", "-q", "pkg", "--port", "3"], "pkg", None, &["--port", "3"]),
        (&["--no-audit", "--", "pkg", "--port", "3"], "pkg", None, &["--port", "3"]),
        (&["--no-audit", "-y", "pkg", "--port", "3"], "pkg", None, &["--port", "3"]),
        (&["--no-audit", "pkg", "a", "--port"], "pkg", None, &["a", "--port"]),
        (&["--no-audit", "pkg"], "pkg", None, &[]),
        (&["--yes=true", "pkg"], "pkg", None, &[]),
        (&["-yes=true", "--y", "---quiet", "-loglevel", "warn", "pkg"], "pkg", None, &[]),
        (&["-yq", "pkg"], "pkg", None, &[]),
        (&["-yq", "--", "pkg", "--port", "3"], "pkg", None, &["--port", "3"]),
        (&["-fsd", "pkg", "a", "--port"], "pkg", None, &["a", "--port"]),
        (&["-y", "true", "pkg"], "true", None, &["pkg"]),
        (&["--yes", "false", "pkg"], "false", None, &["pkg"]),
        (&["--loglevel", "silent", "pkg"], "pkg", None, &[]),
        (&["--color", "always", "pkg"], "always", None, &["pkg"]),
        (&["--cache=/tmp/c", "--prefer-offline", "--ignore-existing", "pkg"], "pkg", None, &[]),
        (&["--yes", "--quiet", "@scope/pkg@^1.2", ""], "@scope/pkg@^1.2", None, &[""]),
        (&["-p", "a", "-p", "@s/b@2.0.0", "cmd", "-p"], "a @s/b@2.0.0", Some("cmd"), &["-p"]),
        (&["--package=a", "cmd"], "a", Some("cmd"), &[]),
        (&["-p=a", "cmd"], "a", Some("cmd"), &[]),
        (&["--package", "a", "-y", "--", "cmd", "--x"], "a", Some("cmd"), &["--x"]),
        (&["-y", "-p", "node@20", "-p", "@ton/mcp@alpha", "mcp"], "node@20 @ton/mcp@alpha", Some("mcp"), &[]),
        (&["-p", "nobin", "echo", "hi"], "nobin", Some("echo"), &["hi"]),
        (&["--prefer-online", "-y", "pkg@latest"], "pkg@latest", None, &[]),
    ] {
        let launch = run(words);
        let names: Vec<_> = launch.packages.iter().map(ToString::to_string).collect();
        assert_eq!(names.join(" "), packages, "{words:?}");
        assert_eq!(launch.command.as_deref(), command, "{words:?}");
        assert_eq!(launch.args, line(args), "{words:?}");
        assert_eq!((launch.launcher, launch.python), (Launcher::Npx, None));
    }
}

/// Lines, each with what the refusal says.
fn are_refused(lines: &[(&[&str], &str)]) {
    for (words, says) in lines {
        let error = refused(words);
        assert!(format!("{error}").contains(says), "{words:?}: {error}");
        assert!(!format!("{error}{:?}", error.hints).contains("secret"), "{words:?}: {error}");
    }
}

#[test]
fn lines_that_are_refused() {
    are_refused(&[
        // npx would start a shell on its standard input.
        (&[][..], "there is no package"),
        (&["-y"], "there is no package"),
        (&["--"], "there is no package"),
        (&["-y pkg"], "one string"),
        (&["-y pkg", "a"], "one string"),
        (&["-p", "a"], "no command"),
        (&["-p", "a", "--"], "no command"),
        // npx would take options of the program, or the package, for its own.
        (&["--no-audit", "pkg", "--port", "3"], "after `--no-audit`"),
        (&["--no-audit", "true", "pkg"], "after `--no-audit`"),
        (&["--no-expect-results", "null"], "after `--no-expect-results`"),
        (&["--no-color", "always"], "after `--no-color`"),
        (&["--no-browser", "-y", "pkg"], "--no-browser"),
        (&["--no-audit", "pkg", "--", "a"], "after `--no-audit`"),
        (&["--local", "pkg", "--port"], "--local"),
        (&["-yq", "pkg", "--port", "3"], "-yq"),
        (&["-yp", "a", "cmd"], "-yp"),
        (&["-y=true", "pkg"], "takes no value"),
        (&["--quiet=false", "pkg"], "takes no value"),
        (&["--audit=maybe", "pkg"], "takes no value"),
        (&["--browser", "pkg", "--x"], "--browser"),
        (&["--shell-auto-fallback", "bash", "pkg"], "--shell-auto-fallback"),
        (&["-n", "pkg"], "`-n`"),
        (&["--registry", "--yes", "pkg"], "needs a value"),
        (&["--cache=--yes", "pkg"], "needs a value"),
        (&["--cache", "", "pkg"], "needs a value"),
        (&["-p"], "needs a value"),
        (&["-p", "--", "a"], "needs a value"),
    ]);
}

#[test]
fn lines_that_mean_nothing_here() {
    are_refused(&[
        // npm does not know these.
        (&["--timeout", "5", "pkg"], "no option `--timeout`"),
        (&["--unknown=1", "pkg"], "no option `--unknown`"),
        (&["--ye", "pkg"], "not the whole name"),
        (&["--regis=https://h/", "pkg"], "not the whole name"),
        (&["--no---audit", "pkg"], "no option"),
        (&["--no-audit=true", "pkg"], "no option"),
        (&["--no-y", "pkg"], "no option"),
        (&["-qc", "x"], "-qc"),
        (&["-yq=x", "pkg"], "-yq"),
        (&["-yq", "true", "a"], "after `-yq`"),
        (&["--strict-npmrc", "pkg"], "npm 11"),
        (&["-to", "pkg", "x"], "npm 11"),
        (&["-Y", "pkg"], "no option `-Y`"),
        (&["--no-registry", "pkg"], "no option"),
        (&["--no-no-audit", "pkg"], "no option"),
        (&["---", "pkg"], "neither"),
        (&["-", "pkg"], "neither"),
        // No meaning here.
        (&["--no", "pkg"], "--no"),
        (&["--no-install", "pkg"], "--no-install"),
        (&["--no-yes", "pkg"], "--no-yes"),
        (&["--yes=false", "pkg"], "forbids the install"),
        (&["-c", "a 1 && b 2"], "without packages"),
        (&["-c", "a", "-p", "pkg", "b"], "beside `-c`"),
        (&["-c", "a", "-p", "pkg", "--", "b"], "beside `-c`"),
        (&["-p", "pkg", "--call="], "needs a value"),
        (&["-p", "pkg", "-c"], "needs a value"),
        (&["-p", "pkg", "-c", " "], "is empty"),
        (&["-p", "pkg", "-c", "pkg ${TOKEN}"], "`${…}`"),
        (&["--node-options", "--inspect", "pkg"], "--node-options"),
        (&["--node-options=--inspect", "pkg"], "--node-options"),
        (&["--script-shell", "bash", "pkg"], "--script-shell"),
        (&["-w", "a", "pkg"], "`-w`"),
        (&["--workspaces", "pkg"], "--workspaces"),
        (&["--prefix", "/d", "tool"], "--prefix"),
        (&["-C", "/d", "tool"], "`-C`"),
        (&["--offline", "pkg"], "--offline"),
        (&["--before=2024-01-01", "pkg"], "--before"),
        (&["--allow-scripts", "pkg", "pkg"], "--allow-scripts"),
        (&["--no-strict-ssl", "pkg"], "--no-strict-ssl"),
        (&["--strict-ssl=false", "pkg"], "--strict-ssl"),
        (&["--@s:registry=https://h/", "pkg"], "scopes"),
        (&["--//h/:_authToken=secret", "pkg"], "tokens"),
        (&["--_auth=secret", "pkg"], "--_auth"),
        (&["--omit=everything", "pkg"], "--omit"),
        // Words that name no package.
        (&[""], "not a package name"),
        (&["--", "-p"], "not a package name"),
        (&["\u{2013}y", "pkg"], "not a package name"),
        (&["pkg arg"], "not a package name"),
        (&["-p", "a,b", "cmd"], "not a package name"),
        (&["-p", "a", "./x"], "is a path"),
        (&["-p", "a", "cmd x"], "has spaces"),
        (&["-p", "a", ""], "is empty"),
        (&["C:\\d"], "folder"),
        (&["git+https://me:secret@h/o/r"], "a login"),
        (&["npm:o/r"], "not an alias"),
    ]);
}

#[test]
fn hints_can_be_typed() {
    assert_eq!(refused(&["-yp", "pkg"]).hints, ["write the options apart: `-y -p`"]);
    assert_eq!(refused(&["-yq", "pkg", "-x"]).hints, ["put `--` before the package: `npx-safe -yq -- pkg --option`"]);
    assert_eq!(refused(&["-y pkg"]).hints, ["write several: \"-y\", \"pkg\""]);
    assert_eq!(refused(&["--ye", "pkg"]).hints, ["write `--yes`"]);
    assert_eq!(refused(&["--pacakge=a", "b"]).hints[0], "did you mean `--package`?");
    assert_eq!(refused(&["--call", "x"]).kind, Kind::Refused);
}

#[test]
fn switches_that_are_off_anyway_may_be_switched_off() {
    for words in [
        &["--no-offline", "-y", "pkg"],
        &["--offline=false", "-y", "pkg"],
        &["--no-workspaces", "-y", "pkg"],
        &["--strict-ssl", "-y", "pkg"],
        &["--no-dangerously-allow-all-scripts", "-y", "pkg"],
    ] {
        run(words);
    }
}

#[test]
fn help_and_version_win_over_a_package() {
    for words in [&["--help"][..], &["-h", "pkg"], &["-?"], &["-y", "--usage", "pkg"]] {
        assert_eq!(parse(&line(words)), Ok(Request::Help), "{words:?}");
    }
    for words in [&["--version"][..], &["-v", "pkg"], &["--versions"], &["-h", "-v"]] {
        assert_eq!(parse(&line(words)), Ok(Request::Version), "{words:?}");
    }
    assert_eq!(run(&["pkg", "--version"]).args, ["--version"]);
    run(&["--version", "--no-version", "-y", "pkg"]);
}

#[test]
fn options_of_node() {
    let options = |words: &[&str]| run(words).node_options;
    assert_eq!(options(&["pkg", "--node-options=--no-warnings"]), None);
    assert_eq!(options(&["-y", "--node-options=--no-warnings", "pkg"]).as_deref(), Some("--no-warnings"));
    let words = ["--node-options=--no-warnings", "--node-options= --trace-warnings --no-deprecation", "pkg"];
    assert_eq!(options(&words).as_deref(), Some("--trace-warnings --no-deprecation"));
}

#[test]
fn the_last_registry_counts() {
    let words = ["--registry", "https://a.example/", "--reg=https://b.example/", "pkg"];
    assert_eq!(run(&words).registry.as_deref(), Some("https://b.example/"));
}

#[test]
fn our_options_stand_before_the_package() {
    let launch = run(&["--safe-net=none", "-y", "--safe-env=TOKEN", "pkg", "--safe-ro"]);
    assert!(launch.tighten.no_network && !launch.tighten.read_only);
    assert_eq!(launch.tighten.env, Some(vec!["TOKEN".to_owned()]));
    assert_eq!(launch.args, ["--safe-ro"]);
    refused(&["--safe-net=open", "pkg"]);
}

#[test]
fn only_the_programs_arguments_may_be_anything() {
    let bytes = OsString::from_vec(vec![b'-', 0xff, 0x80]);
    let launch = parse(&["pkg".into(), bytes.clone()]);
    assert!(matches!(launch, Ok(Request::Run(l)) if l.args == [bytes.clone()]));
    assert!(parse(&[bytes.clone(), "pkg".into()]).is_err());
    assert!(parse(&[OsString::from_vec(vec![0xff])]).is_err());
    assert!(parse(&["-p".into(), OsString::from_vec(vec![0xff]), "x".into()]).is_err());
}

proptest! {
    #[test]
    fn never_panics(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8)) {
        let words: Vec<_> = words.into_iter().map(OsString::from_vec).collect();
        let _ = parse(&words);
    }

    #[test]
    fn never_panics_on_dashes(words in prop::collection::vec("-{0,3}[a-z@/:=.é -]{0,8}", 0..6)) {
        let _ = parse(&words.into_iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn arguments_come_out_as_they_went_in(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..8)) {
        let args: Vec<_> = words.into_iter().map(OsString::from_vec).collect();
        for start in [&["-y", "pkg"][..], &["-p", "pkg", "cmd"], &["--", "pkg"]] {
            let mut all = line(start);
            all.extend(args.iter().cloned());
            let Ok(Request::Run(launch)) = parse(&all) else { panic!("{all:?}") };
            prop_assert_eq!(&launch.args, &args);
        }
    }
}

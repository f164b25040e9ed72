//! `jitbox logs` and `jitbox history PKG`: what was run, and what came of it.

use std::process::ExitCode;

use crate::audit::{self, Entry, Event, Start};
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::ui;

/// Prints the last entries of the log.
pub fn run(context: &Context, last: usize, json: bool) -> Result<ExitCode> {
    let all = audit::entries(context)?;
    show(context, &all[all.len().saturating_sub(last)..], json)
}

/// Prints everything that the log has about a package: by its box's name, or by its own.
pub fn history(context: &Context, package: &str, json: bool) -> Result<ExitCode> {
    let mut all = audit::entries(context)?;
    all.retain(|entry| is_about(entry, package));
    if all.is_empty() {
        return Err(Error::not_found(format!("the log has nothing about `{package}`")).hint("jitbox logs"));
    }
    show(context, &all, json)
}

/// A box's name is one or more specs: `cowsay@1.6.0 + left-pad`.
fn is_about(entry: &Entry, package: &str) -> bool {
    is_package(&entry.package, package)
}

/// Whether the box of that name is one of `package`, whatever the version.
pub fn is_package(name: &str, package: &str) -> bool {
    let of = |spec: &str| {
        spec == package || spec.strip_prefix(package).is_some_and(|rest| rest.starts_with(['@', '=', '[']))
    };
    name == package || name.split(" + ").any(of)
}

fn show(context: &Context, entries: &[Entry], json: bool) -> Result<ExitCode> {
    if json {
        ui::answer(&serde_json::to_string_pretty(entries).doing(|| "can't write the list".into())?);
    } else if entries.is_empty() {
        ui::note(&format!("nothing yet in {}", audit::path(context).display()));
    } else {
        let lines: Vec<String> = entries.iter().map(line).collect();
        ui::answer(&lines.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &Entry) -> String {
    let (word, text) = match &entry.event {
        Event::Start(start) => ("start", given(start)),
        Event::End { exit, signal, limits, seconds, memory, cpu_ms } => {
            let how = match (exit, signal) {
                (Some(code), _) => format!("exit {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "not started".to_owned(),
            };
            let used = format!("{} MiB, {:.1} s of processor time", memory >> 20, *cpu_ms as f64 / 1000.0);
            let limits = limits.iter().map(|limits| format!("; {limits}")).collect::<String>();
            ("end", format!("{how} after {seconds:.1} s, {used}{limits}"))
        }
        Event::Refused { what } => ("refused", what.clone()),
        Event::Failed { what } => ("failed", what.clone()),
    };
    let time = entry.time.get(..19).unwrap_or_default().replace('T', " ");
    let package = if entry.package.is_empty() { "-" } else { &entry.package };
    // What a line of somebody else's said must not steer the terminal.
    format!("{time}  {word:<7}  {package}  {text}").replace(char::is_control, " ")
}

/// What a program was given, in a few words.
fn given(start: &Start) -> String {
    let mut words = vec![start.packages.join(" "), format!("on {}, network {}", start.engine, start.network)];
    let paths =
        |paths: &[std::path::PathBuf]| paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ");
    if !start.read.is_empty() {
        words.push(format!("reads {}", paths(&start.read)));
    }
    if !start.write.is_empty() {
        words.push(format!("writes {}", paths(&start.write)));
    }
    if !start.environment.is_empty() {
        words.push(format!("variables {}", start.environment.join(" ")));
    }
    if !start.held_back.is_empty() {
        words.push(format!("held back {}", start.held_back.join(" ")));
    }
    words.retain(|word| !word.is_empty());
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(package: &str, event: Event) -> Entry {
        Entry { time: "2026-01-31T12:00:00.000Z".into(), run: "1-2".into(), package: package.into(), event }
    }

    #[test]
    fn a_package_is_found_by_its_name_in_any_box() {
        let of = |package| entry(package, Event::Failed { what: String::new() });
        for (package, asked) in [
            ("cowsay", "cowsay"),
            ("cowsay@1.6.0", "cowsay"),
            ("left-pad + cowsay@1", "cowsay"),
            ("mcp[cli]==1.0", "mcp"),
            ("@a/b@2", "@a/b"),
            ("@a/b@2", "@a/b@2"),
        ] {
            assert!(is_about(&of(package), asked), "{package} {asked}");
        }
        for (package, asked) in [("cowsay-2", "cowsay"), ("@a/b", "@a"), ("", "cowsay")] {
            assert!(!is_about(&of(package), asked), "{package} {asked}");
        }
    }

    #[test]
    fn lines_for_people() {
        let end = Event::End {
            exit: None,
            signal: Some(9),
            limits: Some("memory ran out".into()),
            seconds: 3.21,
            memory: 300 << 20,
            cpu_ms: 1500,
        };
        assert_eq!(
            line(&entry("cowsay", end)),
            "2026-01-31 12:00:00  end      cowsay  signal 9 after 3.2 s, 300 MiB, 1.5 s of processor time; memory ran out"
        );
        let start = Start {
            packages: vec!["cowsay@1.6.0".into()],
            engine: "podman".into(),
            network: "none".into(),
            write: vec!["/w".into()],
            environment: vec!["HOME".into()],
            ..Start::default()
        };
        let text = line(&entry("cowsay", Event::Start(Box::new(start))));
        assert!(text.ends_with("cowsay@1.6.0, on podman, network none, writes /w, variables HOME"), "{text}");
        let refused = line(&entry("", Event::Refused { what: "a\u{1b}[2Jb\nc".into() }));
        assert!(refused.ends_with("refused  -  a [2Jb c"), "{refused}");
    }
}

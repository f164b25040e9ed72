//! A timer of the user's own that takes newer versions: systemd's where there is one, launchd's on macOS. It is written,
//! and the person is told how to switch it on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::context::{Context, own_path};
use crate::error::{Doing, Error, Result};
use crate::state::store;
use crate::ui;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Often {
    /// Every day
    Daily,
    /// Every week
    Weekly,
}

/// What a timer is made of, and how it is switched.
struct Timer {
    files: Vec<(PathBuf, String)>,
    on: &'static str,
    off: &'static str,
}

/// Writes the timer.
pub fn install(context: &Context, often: Often) -> Result<ExitCode> {
    let timer = timer(context, &program(context)?, often);
    for (path, text) in &timer.files {
        // Others have files in the same folder.
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let doing = || format!("can't write `{}`", path.display());
        folder.and_then(|()| std::fs::write(path, text)).doing(doing)?;
        ui::note(&format!("wrote `{}`", path.display()));
    }
    ui::note(&format!("to switch it on: {}", timer.on));
    Ok(ExitCode::SUCCESS)
}

/// Removes it.
pub fn remove(context: &Context) -> Result<ExitCode> {
    let timer = timer(context, Path::new("jitbox"), Often::Daily);
    let there: Vec<&PathBuf> = timer.files.iter().map(|(path, _)| path).filter(|path| path.exists()).collect();
    if there.is_empty() {
        return Err(Error::not_found("there is no timer").hint("jitbox update --install-timer"));
    }
    for path in there {
        store::remove(path)?;
        ui::note(&format!("removed `{}`", path.display()));
    }
    ui::note(&format!("if it was on: {}", timer.off));
    Ok(ExitCode::SUCCESS)
}

/// Our program under the name that stays the same when it is upgraded, if that leads to it.
fn program(context: &Context) -> Result<PathBuf> {
    let own = own_path()?;
    let named = context.env.get("PATH").and_then(|path| which::which_in("jitbox", Some(path), &context.cwd).ok());
    let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|real| Some(real) == own.canonicalize().ok());
    Ok(named.filter(is_own).unwrap_or(own))
}

fn timer(context: &Context, program: &Path, often: Often) -> Timer {
    match cfg!(target_os = "macos") {
        true => launchd(&context.home, program, often),
        false => systemd(&context.config_home(), program, often),
    }
}

/// systemd.timer(5), systemd.service(5).
fn systemd(config: &Path, program: &Path, often: Often) -> Timer {
    let dir = config.join("systemd/user");
    let often = match often {
        Often::Daily => "daily",
        Often::Weekly => "weekly",
    };
    // In a command line of a unit: quotes, and nothing that stands for something else (systemd.syntax(7)).
    let program = program.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let service = format!(
        "[Unit]\nDescription=Newer versions of the packages in jitbox's boxes\n\n\
         [Service]\nType=oneshot\nExecStart=:\"{program}\" update --all\nNice=10\n"
    );
    let timer = format!(
        "[Unit]\nDescription=Newer versions of the packages in jitbox's boxes, {often}\n\n\
         [Timer]\nOnCalendar={often}\nRandomizedDelaySec=1h\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    );
    Timer {
        files: vec![(dir.join("jitbox-update.service"), service), (dir.join("jitbox-update.timer"), timer)],
        on: "systemctl --user daemon-reload && systemctl --user enable --now jitbox-update.timer",
        off: "systemctl --user disable --now jitbox-update.timer; systemctl --user daemon-reload",
    }
}

/// launchd.plist(5).
fn launchd(home: &Path, program: &Path, often: Often) -> Timer {
    let program = program.to_string_lossy().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let day = match often {
        Often::Daily => "",
        Often::Weekly => "<key>Weekday</key><integer>1</integer>",
    };
    let text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>jitbox.update</string>
  <key>ProgramArguments</key>
  <array><string>{program}</string><string>update</string><string>--all</string></array>
  <key>StartCalendarInterval</key>
  <dict>{day}<key>Hour</key><integer>12</integer><key>Minute</key><integer>0</integer></dict>
  <key>ProcessType</key><string>Background</string>
</dict>
</plist>
"#
    );
    Timer {
        files: vec![(home.join("Library/LaunchAgents/jitbox.update.plist"), text)],
        on: "launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/jitbox.update.plist",
        off: "launchctl bootout gui/$(id -u)/jitbox.update",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_path_means_anything() {
        let timer = systemd(Path::new("/c"), Path::new("/opt/50% \"x\"/jitbox"), Often::Weekly);
        assert!(timer.files[0].1.contains("\nExecStart=:\"/opt/50%% \\\"x\\\"/jitbox\" update --all\n"));
        assert!(timer.files[1].1.contains("\nOnCalendar=weekly\n"));
        assert!(timer.files.iter().all(|(path, _)| path.starts_with("/c/systemd/user")));
        let [(path, text)] = &launchd(Path::new("/h"), Path::new("/a&b/jitbox"), Often::Weekly).files[..] else {
            panic!("one file")
        };
        assert!(path.starts_with("/h/Library/LaunchAgents") && text.contains("<string>/a&amp;b/jitbox</string>"));
        assert!(text.contains("Weekday") && !launchd(path, path, Often::Daily).files[0].1.contains("Weekday"));
    }
}

//! The only place that prints. Standard output belongs to the program in the box, except for
//! management commands, whose answers are data. Everything that we say by ourselves goes to
//! standard error: short, lower case, and without the word "error" when nothing failed, because
//! some clients take any such line for a failure.

use std::cell::RefCell;
use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::error::Error;

static NAME: OnceLock<&'static str> = OnceLock::new();

/// Sets the name in front of what we say. The first call counts.
pub fn speak_as(name: &'static str) {
    let _ = NAME.set(name);
}

fn name() -> &'static str {
    NAME.get().copied().unwrap_or("jitbox")
}

fn say(text: &str) {
    // Nobody to hear it: nothing that we could do about that.
    let _ = writeln!(std::io::stderr().lock(), "{}", plain(text));
}

/// The text without anything that a terminal obeys: what a line, a registry or an engine says
/// is repeated in our words, and could set the window's title or fill the clipboard.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{FFFD}' } else { c }).collect()
}

/// One line about what is going on.
pub fn note(text: &str) {
    say(&format!("{}: {text}", name()));
}

/// A path without what a terminal would obey: its name may be somebody else's choice.
pub fn plainly(path: &std::path::Path) -> String {
    path.to_string_lossy().replace(char::is_control, "\u{fffd}")
}

/// A failure: what, why, and what to type next.
pub fn failure(error: &Error) {
    say(&format!("{}: {error}", name()));
    for hint in &error.hints {
        say(&format!("  hint: {hint}"));
    }
}

/// Asks the person at the terminal; `None` if the terminal is gone. Only what belongs to the
/// answer is read: in its usual mode a terminal gives one line at a time (termios(3)).
pub fn ask(question: &str) -> Option<String> {
    use std::os::fd::AsFd;
    let _ = write!(std::io::stderr().lock(), "{}: {question} ", name());
    let mut line = [0; 256];
    let n = nix::unistd::read(std::io::stdin().as_fd(), &mut line).ok().filter(|n| *n > 0)?;
    Some(String::from_utf8_lossy(&line[..n]).into_owned())
}

/// A management command's answer, or help that was asked for. A closed pipe is no failure.
pub fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{}{newline}", plain(text));
    let _ = out.flush();
}

/// Shows what a long piece of work is at: a spinner on a terminal, one line in a log.
pub struct Progress {
    spinner: Option<indicatif::ProgressBar>,
    what: String,
    begun: RefCell<Vec<(String, Instant)>>,
}

impl Progress {
    /// Starts showing `what`.
    pub fn new(terminal: bool, what: &str) -> Self {
        let spinner = terminal.then(|| {
            let target = indicatif::ProgressDrawTarget::stderr();
            // The default style is a bar's, which shows no message.
            let style = indicatif::ProgressStyle::default_spinner();
            let spinner = indicatif::ProgressBar::with_draw_target(None, target).with_style(style);
            spinner.enable_steady_tick(Duration::from_millis(120));
            spinner
        });
        if spinner.is_none() {
            note(what);
        }
        let progress = Self { spinner, what: what.to_owned(), begun: RefCell::default() };
        progress.phase("resolving");
        progress
    }

    /// Says which part it is at.
    pub fn phase(&self, phase: &str) {
        tracing::debug!(what = self.what, "{phase}");
        self.begun.borrow_mut().push((phase.to_owned(), Instant::now()));
        if let Some(spinner) = &self.spinner {
            spinner.set_message(plain(&format!("{}: {phase}", self.what)));
        }
    }

    /// How long each part took, up to now.
    pub fn took(&self) -> Vec<(String, Duration)> {
        let begun = self.begun.borrow();
        let ends = begun.iter().skip(1).map(|(_, next)| *next).chain([Instant::now()]);
        begun.iter().zip(ends).map(|((phase, begun), end)| (phase.clone(), end - *begun)).collect()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Writes what is done, and how long it took, to standard error. Off unless it is asked for.
pub fn trace() {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_max_level(tracing::Level::DEBUG)
        .finish();
    // A second call changes nothing.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_that_a_terminal_obeys_is_repeated() {
        assert_eq!(plain("a\tb\nc \u{e9} \u{4e2d}"), "a\tb\nc \u{e9} \u{4e2d}");
        // The window's title, the clipboard, the cursor; C1 controls are the same in one character.
        for text in ["\u{1b}]0;x\u{7}", "\u{1b}]52;c;eA==\u{1b}\\", "\u{9b}2J", "\r", "\u{7f}", "\0"] {
            assert!(!plain(text).chars().any(char::is_control), "{text:?}");
        }
    }
}

//! What can be typed, from the tables that parse it: for completions and the manual page.

use crate::launch::Launcher;
use crate::launch::option::{Arity, Effect, OptionRow};
use crate::launch::tighten;
use crate::launch::tool::TOOLS;
use crate::launch::wrapper::WRAPPERS;

/// What can follow some words.
pub struct Place {
    /// The words, such as `jitbox npm exec`.
    pub words: String,
    /// What follows, in an order of our choice.
    pub choices: Vec<Choice>,
}

/// One word that can follow, and what it means.
pub struct Choice {
    /// The word.
    pub word: String,
    /// For people; may be empty.
    pub about: String,
    /// It takes a value.
    pub takes: bool,
}

impl Choice {
    fn new(word: impl Into<String>, about: impl Into<String>) -> Self {
        Self { word: word.into(), about: about.into(), takes: false }
    }
}

/// What an option means, in a few words.
pub fn meaning(row: &OptionRow) -> String {
    match row.effect {
        Effect::Harmless => "accepted, and changes nothing".to_owned(),
        Effect::Package => "a package to install".to_owned(),
        Effect::From => "the package that has the command".to_owned(),
        Effect::With => "another package to install".to_owned(),
        Effect::Requirements => "a file of plain requirements".to_owned(),
        Effect::Python => "which version of Python".to_owned(),
        Effect::Registry => "the registry to use".to_owned(),
        Effect::Prerelease => "whether pre-releases count".to_owned(),
        Effect::Local => "about a local project, whose folder has to be granted".to_owned(),
        Effect::Module => "the command is a module".to_owned(),
        Effect::Call => "a line of shell to run, if config.toml allows it".to_owned(),
        Effect::NodeOptions => "options of Node itself that load and open nothing".to_owned(),
        Effect::Name => "accepted, and changes nothing".to_owned(),
        Effect::Help => "show help".to_owned(),
        Effect::Version => "show the version".to_owned(),
        Effect::Refused(refusal) => format!("refused: {}", refusal.why),
        Effect::RefusedOn(refusal) => format!("refused unless it is off: {}", refusal.why),
        Effect::RefusedOff(refusal) => format!("refused if it is off: {}", refusal.why),
        Effect::Only(values, refusal) => format!("{} only: else it {}", values.join(", "), refusal.why),
    }
}

/// The options that a line of this launcher can start with.
fn options(launcher: Launcher) -> Vec<Choice> {
    let ours = tighten::OPTIONS.iter().map(|(word, about)| {
        let word = word.strip_suffix("NAME").unwrap_or(word);
        Choice::new(word, *about)
    });
    let theirs = launcher.options().into_iter().flat_map(|(names, row)| {
        names.into_iter().map(move |name| Choice {
            word: name.to_owned(),
            about: meaning(row),
            takes: row.arity == Arity::Value,
        })
    });
    ours.chain(theirs).collect()
}

/// All of it.
pub fn places() -> Vec<Place> {
    let mut places = vec![Place { words: "jitbox".to_owned(), choices: own_commands() }];
    for (words, command) in super::commands() {
        let mut choices: Vec<Choice> = command.get_arguments().flat_map(own_words).collect();
        choices.extend(command.get_subcommands().map(|sub| Choice::new(sub.get_name(), about(sub.get_about()))));
        if command.get_arguments().any(clap::Arg::is_trailing_var_arg_set) {
            choices.extend(programs().map(|name| Choice::new(name, "")));
        }
        places.push(Place { words, choices });
    }
    for tool in TOOLS.iter().filter(|tool| !tool.program.ends_with("-safe")) {
        let mut words = format!("jitbox {}", tool.program);
        for verb in tool.verbs {
            let at = place(&mut places, &words);
            if !at.choices.iter().any(|choice| choice.word == *verb) {
                at.choices.push(Choice::new(*verb, ""));
            }
            words = format!("{words} {verb}");
        }
        place(&mut places, &words).choices = options(tool.launcher);
    }
    for launcher in [Launcher::Npx, Launcher::Uvx] {
        places.push(Place { words: launcher.shim().to_owned(), choices: options(launcher) });
    }
    places
}

/// What a whole line can start with.
fn programs() -> impl Iterator<Item = &'static str> {
    let tools = TOOLS.iter().map(|tool| tool.program);
    let mut seen = Vec::new();
    tools.chain(WRAPPERS.iter().flat_map(|wrapper| wrapper.programs.iter().copied())).filter(move |name| {
        let new = !name.ends_with("-safe") && !seen.contains(name);
        seen.push(*name);
        new
    })
}

fn place<'a>(places: &'a mut Vec<Place>, words: &str) -> &'a mut Place {
    let at = places.iter().position(|place| place.words == words).unwrap_or_else(|| {
        places.push(Place { words: words.to_owned(), choices: Vec::new() });
        places.len() - 1
    });
    &mut places[at]
}

fn own_commands() -> Vec<Choice> {
    let command = super::command();
    let ours = command.get_subcommands().map(|sub| Choice::new(sub.get_name(), about(sub.get_about())));
    let mut choices: Vec<Choice> = ours.collect();
    for tool in TOOLS.iter().filter(|tool| !tool.program.ends_with("-safe")) {
        if !choices.iter().any(|choice| choice.word == tool.program) {
            choices.push(Choice::new(tool.program, "run the package that a line of it names"));
        }
    }
    choices.extend([Choice::new("--help", "show help"), Choice::new("--version", "show the version")]);
    choices
}

/// The words that an argument of our own can be typed as.
fn own_words(argument: &clap::Arg) -> Vec<Choice> {
    let text = about(argument.get_help());
    match argument.get_long() {
        Some(long) => {
            let takes = argument.get_action().takes_values();
            vec![Choice { takes, ..Choice::new(format!("--{long}"), text) }]
        }
        None => argument.get_possible_values().iter().map(|value| Choice::new(value.get_name(), "")).collect(),
    }
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

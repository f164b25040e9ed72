//! `jitbox recipe`: what packages need besides themselves, and how to write it down for one.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::ls;
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::recipe::{Recipe, Recipes};
use crate::state::boxes::BoxRecord;
use crate::state::{Layout, private_dir};
use crate::ui;

/// What is done with recipes.
#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// List the recipes that there are
    Ls {
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Print a package's recipe
    Show {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// `npm:NAME` or `pypi:NAME`
        #[arg(value_name = "PACKAGE")]
        package: String,
    },
    /// Write a recipe of your own, with what the package's box was built with
    New {
        /// Machine-readable
        #[arg(long)]
        json: bool,
        /// A name as `jitbox ls` shows it, or a package's
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Does it.
pub fn run(context: &Context, what: &What) -> Result<ExitCode> {
    match what {
        What::Ls { json } => list(context, *json),
        What::Show { package, json } => show(context, package, *json),
        What::New { name, json } => new(context, name, *json),
    }
    .map(|text| {
        ui::answer(&text);
        ExitCode::SUCCESS
    })
}

fn list(context: &Context, json: bool) -> Result<String> {
    let recipes = Recipes::load(context)?;
    let all = recipes.all();
    if json {
        let all: Vec<_> = all
            .iter()
            .map(|(file, recipe)| match recipe {
                Ok(recipe) => json!({ "file": file, "recipe": recipe }),
                Err(why) => json!({ "file": file, "error": why }),
            })
            .collect();
        return pretty(&json!(all));
    }
    let line = |(file, recipe): &(Option<&Path>, Result<Recipe, String>)| {
        let place = file.map_or("comes with jitbox".into(), |file| file.display().to_string());
        match recipe {
            Ok(recipe) => format!("{}  {place}", recipe.package),
            Err(why) => format!("(can't be used)  {place}: {why}"),
        }
    };
    Ok(all.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn show(context: &Context, package: &str, json: bool) -> Result<String> {
    let recipes = Recipes::load(context)?;
    let recipe = recipes.all().into_iter().filter_map(|(_, recipe)| recipe.ok()).find(|one| one.package == package);
    let Some(recipe) = recipe else {
        return Err(Error::not_found(format!("there is no recipe for `{package}`")).hint("jitbox recipe ls"));
    };
    if json { pretty(&json!(recipe)) } else { text(&recipe) }
}

/// Writes what is known of a box.
fn new(context: &Context, name: &str, json: bool) -> Result<String> {
    let records = ls::named(&Layout::new(context), name)?;
    let record = ls::only(&records, "jitbox recipe new", name)?;
    let recipe = of_box(record, &Recipes::load(context)?)?;
    let folder = Recipes::folder(context);
    let file = folder.join(file_name(&recipe.package));
    let more = if recipe.env.is_empty() { MORE } else { "" };
    let written = format!("# Of {} on {}.\n{}{more}", record.packages[0], record.base, text(&recipe)?);
    let doing = || format!("can't write `{}`", file.display());
    private_dir(&folder)?;
    // Whatever the umask: what others could change is not read.
    let mut new = match File::options().write(true).create_new(true).mode(0o600).open(&file) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::refused(format!("`{}` is there already", file.display())).hint("change that one"));
        }
        new => new.doing(doing)?,
    };
    new.write_all(written.as_bytes()).doing(doing)?;
    if json {
        return pretty(&json!({ "file": file, "recipe": recipe }));
    }
    let update = format!("jitbox update {}", shell_words::quote(&record.name()));
    ui::note(&format!("boxes that are made from now on get what it says; the one that is there with `{update}`"));
    Ok(format!("{}\n\n{written}", file.display()))
}

/// How variables are written.
const MORE: &str = "\n# [env]\n# NAME = \"value\"\n";

/// What a box was built with, for the first of its packages: by its recipe so far, and besides.
fn of_box(record: &BoxRecord, recipes: &Recipes) -> Result<Recipe> {
    let package = record.packages.first().filter(|package| package.is_published() && record.request.local.is_none());
    let Some(package) = package else {
        return Err(Error::refused(format!("`{}` is of no registry", record.name()))
            .because("elsewhere anybody may call a package so"));
    };
    let recipe = recipes.of(package.ecosystem(), package.name())?;
    let build = recipe.build.and(&record.overrides);
    Ok(Recipe { package: format!("{}:{}", package.ecosystem(), package.name()), build, ..recipe })
}

/// `npm:@scope/name` as `npm-scope-name.toml`.
fn file_name(package: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    package.replace(":@", ":").chars().map(plain).chain(".toml".chars()).collect()
}

fn text(recipe: &Recipe) -> Result<String> {
    toml::to_string(recipe).doing(|| "can't write the recipe".into())
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    serde_json::to_string_pretty(value).doing(|| "can't write the recipes".into())
}

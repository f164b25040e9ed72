//! Code of this machine: whom its grants are for, and packages that a line names by a path. Such a package is run only if
//! it was granted; its content is looked at in each start, and another content gets another box.

use std::borrow::Cow;
use std::path::Path;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::launch::{Launch, Launcher};
use crate::package::local::{LocalPackage, Sort, TypedPath};
use crate::package::source::Source;
use crate::policy::deny::Places;
use crate::policy::lines;
use crate::policy::paths::{self, Found};
use crate::registry::settings::expand_home;
use crate::registry::sourced;
use crate::state::Layout;
use crate::state::grants::{Grants, Holder};

/// Whom the grants of a folder or an archive are for, by its real path.
pub fn holder(root: &Path) -> Result<Holder> {
    Holder::local(root).ok_or_else(|| {
        Error::refused(format!("`{}` is not UTF-8, so nothing can be granted to it", root.display()))
            .hint("give it another name")
    })
}

/// Refuses what no box may have, and what was not granted.
pub fn check(context: &Context, launcher: Launcher, found: &Found) -> Result<()> {
    let layout = Layout::new(context);
    if let Some(why) = Places::look(&context.home, &layout.folders()).refusal(found) {
        return Err(Error::refused(format!("code of `{}` can't be run", found.real.display()))
            .because(why)
            .hint("move it to a folder of its own"));
    }
    if !Grants::load(&layout, context.uid)?.runs(&holder(&found.real)?, &found.real) {
        return Err(lines::refuse_ungranted(launcher, &found.real));
    }
    Ok(())
}

/// The line with what its paths lead to, which has to be granted.
pub fn complete<'a>(context: &Context, launch: Cow<'a, Launch>) -> Result<Cow<'a, Launch>> {
    let launcher = launch.launcher;
    look(context, launch, |found| check(context, launcher, found))
}

/// The same for a line that is not run: grants can be taken back in any order.
pub fn locate<'a>(context: &Context, launch: &'a Launch) -> Result<Cow<'a, Launch>> {
    look(context, Cow::Borrowed(launch), |_| Ok(()))
}

fn look<'a>(
    context: &Context,
    mut launch: Cow<'a, Launch>,
    check: impl Fn(&Found) -> Result<()>,
) -> Result<Cow<'a, Launch>> {
    let typed = |source: Option<&Source>| matches!(source, Some(Source::Typed(_)));
    if !launch.packages.iter().any(|spec| typed(spec.source())) {
        return Ok(launch);
    }
    for spec in &mut launch.to_mut().packages {
        if let Some(source) = spec.source_mut()
            && let Source::Typed(path) = source
        {
            let found = find(context, path)?;
            check(&found)?;
            let content = sourced::local::content(&found, path.sort)?;
            let real = holder(&found.real)?.folder().unwrap_or_default().to_owned();
            *source = Source::Local(LocalPackage { path: real, sort: path.sort, content });
        }
    }
    Ok(launch)
}

/// What is at a path, if it is what the path says.
fn find(context: &Context, typed: &TypedPath) -> Result<Found> {
    let path = paths::plain(&context.cwd.join(expand_home(context, &typed.path)));
    let no = || {
        Error::not_found(format!("`{}` is not {} on this machine", path.display(), typed.sort.name()))
            .hint("a git repository is written as `git+https://host/owner/repository`")
    };
    let found = Found::at(&path).map_err(|e| no().because(e))?;
    let wanted = match typed.sort {
        Sort::Archive => paths::Sort::File,
        Sort::Folder => paths::Sort::Folder,
    };
    if found.sort == wanted { Ok(found) } else { Err(no()) }
}

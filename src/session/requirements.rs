//! The files of requirements that a line names: their packages go into the same box, as if the line named them. That
//! gives the line nothing that `--with` would not, but it makes us read a file: none where keys are kept.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;

use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::launch::{Launch, python, requirements};
use crate::package::{PackageSpec, shown};
use crate::policy::deny::Places;
use crate::policy::paths::{self, Found};
use crate::state::Layout;

/// The most that is read of one.
const MAX_BYTES: u64 = 1 << 20;

/// The line with the packages of its files.
pub fn complete<'a>(context: &Context, launch: &'a Launch) -> Result<Cow<'a, Launch>> {
    if launch.files.is_empty() {
        return Ok(Cow::Borrowed(launch));
    }
    let mut whole = launch.clone();
    for file in std::mem::take(&mut whole.files) {
        let found =
            requirements::parse(&read(context, &file)?).map_err(|e| e.because(format!("`{}`", shown(&file))))?;
        let found = python::that_apply(found, launch.python.as_deref())?;
        whole.packages.extend(found.into_iter().map(PackageSpec::Pypi));
    }
    Ok(Cow::Owned(whole))
}

fn read(context: &Context, file: &str) -> Result<String> {
    let unusable = || format!("can't use the requirements in `{}`", shown(file));
    let refused =
        |why: &str| Err(Error::refused(unusable()).because(why).hint("name the packages themselves: `--with pkg`"));
    let found = Found::at(&paths::plain(&context.cwd.join(file))).doing(unusable)?;
    if let Some(why) = Places::look(&context.home, &Layout::new(context).folders()).refusal(&found) {
        return refused(&why);
    }
    // The path has no links any more, and a pipe must not keep us waiting.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(&found.real).doing(unusable)?;
    if !opened.metadata().doing(unusable)?.is_file() {
        return refused("it is not a file");
    }
    let mut bytes = Vec::new();
    opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).doing(unusable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return refused("it is larger than 1 MiB");
    }
    String::from_utf8(bytes).or_else(|_| refused("it is not UTF-8"))
}

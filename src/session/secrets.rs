//! Reading secrets from where they are kept, when a program is about to get them.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::Session;
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::exec::{Cmd, last_words};
use crate::policy::Policy;
use crate::policy::secret::{Reference, Secret};
use crate::trust;

/// How long a command may take. It may have to ask a person for a passphrase, in a window of its own.
const LIMIT: Duration = Duration::from_secs(120);

/// More than this is no secret, and more than a program's environment should hold.
const MAX_BYTES: usize = 64 << 10;

/// Who else than the owner may read a file.
const OTHERS: u32 = 0o077;

impl Session<'_> {
    /// The policy with the values of its secrets.
    pub(super) fn with_secrets(&self, policy: &Policy) -> Result<Policy> {
        policy.clone().with_secrets(|secret| {
            read(self.context, &secret.from).map_err(|e| Error {
                what: format!("can't get the value of `{}` from {}", secret.name, kind(secret)),
                causes: std::iter::once(e.what).chain(e.causes).collect(),
                ..e
            })
        })
    }
}

fn kind(secret: &Secret) -> &'static str {
    match secret.from {
        Reference::Keyring { .. } => "the keyring",
        Reference::File(_) => "its file",
        Reference::Command(_) => "its command",
    }
}

fn read(context: &Context, from: &Reference) -> Result<OsString> {
    let bytes = match from {
        Reference::File(path) => file(context, path)?,
        Reference::Command(text) => command(context, &shell_words::split(text).unwrap_or_default())?,
        Reference::Keyring { service, account } => keyring(context, service, account)?,
    };
    value(bytes)
}

/// One line is meant: what ends it is not part of the value.
fn value(mut bytes: Vec<u8>) -> Result<OsString> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(Error::failed("there is nothing"));
    }
    if bytes.len() > MAX_BYTES || bytes.contains(&0) {
        return Err(Error::failed("what is there can't be the value of a variable"));
    }
    Ok(OsString::from_vec(bytes))
}

fn file(context: &Context, path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    // To open a fifo would wait for somebody who writes to it.
    let mut options = std::fs::File::options();
    options.read(true).custom_flags(nix::libc::O_NONBLOCK);
    let mut file = options.open(path).doing(|| format!("can't open `{shown}`"))?;
    // The open file is asked, not its name, so that it can't be another one by now.
    let meta = file.metadata().doing(|| format!("can't look at `{shown}`"))?;
    if !meta.is_file() {
        return Err(Error::refused(format!("`{shown}` is not a file")));
    }
    if meta.mode() & OTHERS != 0 || ![0, context.uid].contains(&meta.uid()) {
        let hint = format!("chown $(id -u) '{shown}' && chmod 600 '{shown}'");
        return Err(Error::refused(format!("others than you can read or change `{shown}`")).hint(hint));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(MAX_BYTES as u64 + 2).read_to_end(&mut bytes).doing(|| format!("can't read `{shown}`"))?;
    Ok(bytes)
}

fn command(context: &Context, words: &[String]) -> Result<Vec<u8>> {
    let [program, args @ ..] = words else { return Err(Error::failed("there is no command")) };
    let found = trust::search(program, context.env.get("PATH"), &[], context.uid)
        .map_err(|(at, why)| Error::refused(format!("`{}` is not started", at.display())).because(why))?
        .ok_or_else(|| Error::failed(format!("there is no program `{program}`")))?;
    let environment = context.env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let output = Cmd::new(&found, args.iter().map(OsString::from).collect(), environment).output(&[], LIMIT)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Error::failed(format!("`{program}` failed ({})", output.status)).because(last_words(&output.stderr)))
}

#[cfg(not(target_os = "macos"))]
fn keyring(context: &Context, service: &str, account: &str) -> Result<Vec<u8>> {
    let words = ["secret-tool", "lookup", "service", service, "username", account].map(str::to_owned);
    command(context, &words).map_err(|e| {
        let store = ["secret-tool", "store", "--label", service, "service", service, "username", account];
        e.hint(format!("store it: {} (apt install libsecret-tools)", shell_words::join(store)))
    })
}

#[cfg(target_os = "macos")]
fn keyring(context: &Context, service: &str, account: &str) -> Result<Vec<u8>> {
    let words = ["/usr/bin/security", "find-generic-password", "-s", service, "-a", account, "-w"].map(str::to_owned);
    command(context, &words).map_err(|e| {
        let store = ["security", "add-generic-password", "-s", service, "-a", account, "-w"];
        e.hint(format!("store it: {}", shell_words::join(store)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn context() -> Context {
        let mut context = Context::read();
        context.env = [("PATH", "/usr/bin:/bin"), ("WHO", "me")].into_iter().collect();
        context
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&context(), &Reference::File(path.clone())).unwrap(), "s3cret");
        for mode in [0o604, 0o640, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&context(), &Reference::File(path.clone())).unwrap_err();
            assert!(error.hints[0].contains("chmod 600"), "{mode:o} {error}");
        }
        assert!(read(&context(), &Reference::File(dir.path().to_owned())).is_err());
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&context(), &Reference::File(fifo)).unwrap_err().to_string().contains("not a file"));
    }

    #[test]
    fn a_command_is_no_shell() {
        let run = |text: &str| read(&context(), &Reference::Command(text.to_owned()));
        assert_eq!(run("printf '%s\\n' '$WHO; a b'").unwrap(), "$WHO; a b");
        assert_eq!(run("sh -c 'printf \"$WHO\"'").unwrap(), "me");
        for (text, why) in [
            ("true", "nothing"),
            ("printf 'a\\000b'", "variable"),
            ("sh -c 'echo no key >&2; exit 3'", "no key"),
            ("no-such-program-here", "no-such-program-here"),
        ] {
            let error = run(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}

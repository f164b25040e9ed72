//! The value of `--node-options`: which of Node's options a line may set.
//!
//! Many of them load files, open ports or write files, so only these are taken.

use crate::error::{Error, Result};
use crate::package::shown;

/// Options without a value; most may also be switched off with `--no-…`.
const SWITCHES: &[&str] = &[
    "addons",
    "deprecation",
    "enable-source-maps",
    "experimental-fetch",
    "experimental-global-customevent",
    "experimental-global-navigator",
    "experimental-global-webcrypto",
    "experimental-import-meta-resolve",
    "experimental-json-modules",
    "experimental-modules",
    "experimental-require-module",
    "experimental-sqlite",
    "experimental-strip-types",
    "experimental-transform-types",
    "experimental-vm-modules",
    "experimental-wasm-modules",
    "experimental-websocket",
    "experimental-webstorage",
    "force-context-aware",
    "frozen-intrinsics",
    "global-search-paths",
    "network-family-autoselection",
    "pending-deprecation",
    "preserve-symlinks",
    "preserve-symlinks-main",
    "throw-deprecation",
    "trace-deprecation",
    "trace-exit",
    "trace-sigint",
    "trace-sync-io",
    "trace-uncaught",
    "trace-warnings",
    "use-bundled-ca",
    "use-openssl-ca",
    "use-system-ca",
    "verify-base-objects",
    "warnings",
];

/// Options with a number.
const NUMBERS: &[&str] =
    &["max-http-header-size", "max-old-space-size", "max-semi-space-size", "stack-trace-limit", "v8-pool-size"];

/// Options with one of some words.
const WORDS: &[(&str, &[&str])] = &[
    ("disable-proto", &["delete", "throw"]),
    ("dns-result-order", &["ipv4first", "ipv6first", "verbatim"]),
    ("unhandled-rejections", &["none", "strict", "throw", "warn", "warn-with-error-codes"]),
];

/// Takes a value whose every option is known to do no harm, and gives it back in one spelling.
pub fn parse(option: &str, value: &str) -> Result<String> {
    let words: Vec<&str> = value.split_whitespace().collect();
    if words.is_empty() {
        return Err(Error::usage(format!("`{option}` needs a value"))
            .hint(format!("write `{option}=--max-old-space-size=4096`, or leave it out")));
    }
    match words.iter().find(|word| !is_harmless(word)) {
        None => Ok(words.join(" ")),
        Some(word) => Err(Error::refused(format!(
            "`{option}` sets `{}`, which is not known to load no file and open no port",
            shown(word)
        ))
        .hint("leave it out, or set NODE_OPTIONS in the client's `env` for this server")),
    }
}

/// Node takes `_` for `-` in its options' names.
fn is_harmless(word: &str) -> bool {
    let Some(bare) = word.strip_prefix("--") else {
        return false;
    };
    let (name, value) = match bare.split_once('=') {
        Some((name, value)) => (name.replace('_', "-"), Some(value)),
        None => (bare.replace('_', "-"), None),
    };
    match value {
        None => SWITCHES.contains(&name.strip_prefix("no-").unwrap_or(&name)),
        Some(value) if NUMBERS.contains(&name.as_str()) => {
            !value.is_empty() && value.len() <= 9 && value.bytes().all(|b| b.is_ascii_digit())
        }
        Some(value) => WORDS.iter().any(|(known, values)| *known == name && values.contains(&value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_ones_are_taken() {
        for (value, want) in [
            ("--experimental-vm-modules", "--experimental-vm-modules"),
            ("--no-warnings", "--no-warnings"),
            (" --no-warnings   --max-old-space-size=4096", "--no-warnings --max-old-space-size=4096"),
            ("--max_old_space_size=512", "--max_old_space_size=512"),
            ("--dns-result-order=ipv4first", "--dns-result-order=ipv4first"),
            ("--trace-warnings", "--trace-warnings"),
        ] {
            assert_eq!(parse("--node-options", value).as_deref(), Ok(want));
        }
    }

    #[test]
    fn others_are_refused() {
        for value in [
            "",
            " ",
            "--inspect",
            "--inspect-brk=0.0.0.0:1",
            "--require=/x.js",
            "-r /x.js",
            "--import=data:text/javascript,1",
            "--loader /x.mjs",
            "--env-file=.env",
            "--heapsnapshot-signal=SIGUSR2",
            "--openssl-config=/x",
            "--report-on-signal",
            "--no-warnings --inspect",
            "--max-old-space-size",
            "--max-old-space-size=1 2",
            "--max-old-space-size=x",
            "--no-warnings=1",
            "--no-no-warnings",
            "--unhandled-rejections=exit",
            "no-warnings",
            "\"--no-warnings\"",
            "x",
        ] {
            let error = parse("--node-options", value).expect_err(value);
            assert!(!error.hints.is_empty());
        }
    }
}

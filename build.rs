//! Builds the guest for both Linux architectures and hands the two programs to the crate.
//!
//! They are static and linked with the linker that comes with Rust, so that neither a C
//! toolchain nor a cross compiler is needed.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

fn main() {
    for source in ["build.rs", "guest", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    for architecture in ARCHITECTURES {
        let built = build(architecture, &out.join("guest"));
        let to = out.join(format!("jitbox-guest-{architecture}"));
        if let Err(e) = fs::copy(&built, &to) {
            panic!("can't copy {} to {}: {e}", built.display(), to.display());
        }
        let bytes = fs::read(&to).unwrap_or_else(|e| panic!("can't read {}: {e}", to.display()));
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        println!("cargo::rustc-env=JITBOX_GUEST_{}={:016x}", architecture.to_uppercase(), hasher.finish());
    }
}

#[expect(clippy::disallowed_methods, reason = "a build script talks to cargo through its environment")]
fn build(architecture: &str, target_dir: &Path) -> PathBuf {
    let target = format!("{architecture}-unknown-linux-musl");
    let status = Command::new(variable("CARGO"))
        .args(["build", "--quiet", "--package", "jitbox-guest", "--bin", "jitbox-guest"])
        .args(["--profile", "guest", "--target", &target, "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Clinker=rust-lld\u{1f}-Clink-self-contained=yes")
        // The outer build's own choices are for the host: not for these programs.
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status();
    match status {
        Ok(status) if status.success() => {}
        other => panic!(
            "the guest for {target} does not build ({other:?}); is the target installed? rustup target add {target}"
        ),
    }
    target_dir.join(target).join("guest").join("jitbox-guest")
}

#[expect(clippy::disallowed_methods, reason = "a build script talks to cargo through its environment")]
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|e| panic!("cargo did not set {name}: {e}"))
}

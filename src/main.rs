//! `jitbox`: management commands, and the explicit form of the shims.

fn main() -> std::process::ExitCode {
    jitbox::cli::main()
}

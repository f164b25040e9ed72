//! The seccomp profile: which system calls a container may make.
//!
//! One flat profile, in the form of the OCI runtime specification, that docker, podman and
//! nerdctl all read alike: no `includes`, `excludes` or `archMap`, which nerdctl would pass over
//! in silence. The names stand in `templates/seccomp/table.txt`; the rules that look at arguments
//! stand here.
//!
//! What to know about filters (seccomp(2), seccomp_rule_add(3), config-linux.md of the OCI
//! runtime specification):
//!
//! - Only the native instruction set is listed. A 32-bit call (`int 0x80`, x32) then ends the
//!   process, which also shuts `socketcall`, the way around every rule about sockets.
//! - The rules of one call are alternatives. The conditions of one rule must all hold, and must
//!   be about different arguments: runc takes two about the same one as alternatives.
//! - An alternative can't take back what another allows, and runtimes drop rules that repeat the
//!   default action. So everything here allows parts; nothing denies parts.
//! - Registers have 64 bits and the kernel often reads 32. Equality fails closed there; whatever
//!   means "all but" has to mask the upper half (the hole of CVE-2019-10063).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::Architecture;

/// The names, by section; see the file itself.
const TABLE: &str = include_str!("../../templates/seccomp/table.txt");

/// Error numbers as Linux has them, on both instruction sets; macOS hosts number differently.
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
const EOPNOTSUPP: u32 = 95;

/// Every `CLONE_NEW…` flag that clone(2) knows, of `linux/sched.h`.
const NEW_NAMESPACES: u64 = 0x7E02_0000;
/// `AF_UNIX`, `AF_INET` and `AF_INET6` of `bits/socket.h`.
const SOCKET_FAMILIES: [u64; 3] = [AF_UNIX, 2, 10];
const AF_UNIX: u64 = 1;
const AF_NETLINK: u64 = 16;
/// Types into the terminal what a shell outside will read; `TIOCLINUX` pastes on the console.
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;
/// The two harmless personalities: the usual one, and the question which one it is.
const PERSONALITIES: [u64; 2] = [0, 0xFFFF_FFFF];
/// The bits of a file's mode that say its type, and a fifo's.
const S_IFMT: u64 = 0o170_000;
const S_IFIFO: u64 = 0o010_000;
/// A memory file that can never be executed, from Linux 6.3 on: memfd_create(2).
const MFD_NOEXEC_SEAL: u64 = 8;

/// What a recipe may ask for besides what every program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relaxation {
    /// What Chromium's own sandbox is made of (Chromium's `docs/linux/sandboxing.md`): new namespaces, and a new root
    /// in them. The kernel's code behind user namespaces can then be reached.
    Browser,
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Browser => f.write_str("a browser's sandbox"),
        }
    }
}

impl Relaxation {
    /// The calls that it allows, with whatever arguments.
    fn calls(self) -> &'static [&'static str] {
        match self {
            Self::Browser => &["clone", "unshare", "setns", "chroot"],
        }
    }
}

/// `LinuxSeccomp` of the OCI runtime specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: Action,
    default_errno_ret: u32,
    architectures: [&'static str; 1],
    syscalls: Vec<Rule>,
}

/// `LinuxSyscall`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<&'static str>,
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Condition>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
}

/// `LinuxSeccompArg`. For a masked comparison `value` is the mask and `value_two` what is left.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    index: u32,
    value: u64,
    value_two: u64,
    op: Operator,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
enum Operator {
    #[serde(rename = "SCMP_CMP_EQ")]
    Equal,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEqual,
}

impl Condition {
    fn equal(index: u32, value: u64) -> Self {
        Self { index, value, value_two: 0, op: Operator::Equal }
    }

    fn masked(index: u32, mask: u64, value: u64) -> Self {
        Self { index, value: mask, value_two: value, op: Operator::MaskedEqual }
    }
}

impl Rule {
    fn allow(names: Vec<&'static str>) -> Self {
        Self { names, action: Action::Allow, errno_ret: None, args: Vec::new() }
    }

    fn allow_if(name: &'static str, args: Vec<Condition>) -> Self {
        Self { args, ..Self::allow(vec![name]) }
    }

    fn fail(names: Vec<&'static str>, errno: u32) -> Self {
        Self { names, action: Action::Errno, errno_ret: Some(errno), args: Vec::new() }
    }
}

/// The profile's text for containers of that instruction set. The same for all engines, and the
/// same bytes every time.
pub fn profile(architecture: Architecture, relaxed: &BTreeSet<Relaxation>) -> String {
    let profile = build(architecture, relaxed);
    // Strings, numbers and lists of them: there is nothing that could fail to serialize.
    let mut text = serde_json::to_string_pretty(&profile).unwrap_or_default();
    text.push('\n');
    text
}

/// A short name for a profile's content: the first 16 hexadecimal digits of its SHA-256.
pub fn hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn build(architecture: Architecture, relaxed: &BTreeSet<Relaxation>) -> Profile {
    let named = |section| names(section, architecture);
    let more: BTreeSet<&str> = relaxed.iter().flat_map(|relaxation| relaxation.calls()).copied().collect();
    let mut syscalls = vec![Rule::allow(named("allow").into_iter().chain(more.iter().copied()).collect())];
    let is_same = |rule: &Rule| !rule.names.iter().any(|name| more.contains(name));
    syscalls.extend(conditional(architecture).into_iter().filter(is_same));
    syscalls.push(Rule::fail(named("refuse").into_iter().filter(|name| !more.contains(name)).collect(), EPERM));
    syscalls.push(Rule::fail(named("unsupported"), EOPNOTSUPP));
    syscalls.push(Rule::fail(named("absent"), ENOSYS));
    Profile {
        default_action: Action::Errno,
        default_errno_ret: ENOSYS,
        architectures: [match architecture {
            Architecture::X86_64 => "SCMP_ARCH_X86_64",
            Architecture::Aarch64 => "SCMP_ARCH_AARCH64",
        }],
        syscalls,
    }
}

/// The rules that look at arguments.
fn conditional(architecture: Architecture) -> Vec<Rule> {
    // No new namespaces: they open most of what the kernel keeps for root.
    let mut rules = vec![Rule::allow_if("clone", vec![Condition::masked(0, NEW_NAMESPACES, 0)])];

    for family in SOCKET_FAMILIES {
        rules.push(Rule::allow_if("socket", vec![Condition::equal(0, family)]));
    }
    // Protocol 0 is routing: getifaddrs(3), so Node's os.networkInterfaces() and the resolver.
    rules.push(Rule::allow_if("socket", vec![Condition::equal(0, AF_NETLINK), Condition::equal(2, 0)]));
    rules.push(Rule::allow_if("socketpair", vec![Condition::equal(0, AF_UNIX)]));

    for (mask, value) in all_but(TIOCSTI, TIOCLINUX) {
        rules.push(Rule::allow_if("ioctl", vec![Condition::masked(1, mask, value)]));
    }
    for persona in PERSONALITIES {
        rules.push(Rule::allow_if("personality", vec![Condition::equal(0, persona)]));
    }

    // mkfifo(3). Everything else that mknod makes is a device, or has a call of its own.
    let fifo = |index| vec![Condition::masked(index, S_IFMT, S_IFIFO)];
    if architecture == Architecture::X86_64 {
        rules.push(Rule::allow_if("mknod", fifo(1)));
    }
    rules.push(Rule::allow_if("mknodat", fifo(2)));

    // Otherwise `noexec` on every writable place could be walked around.
    rules.push(Rule::allow_if("memfd_create", vec![Condition::masked(1, MFD_NOEXEC_SEAL, MFD_NOEXEC_SEAL)]));
    rules
}

/// Every 32-bit number but these two, whatever is in the upper half of the register, as masks
/// and the values that they leave. A number is none of the two if it differs from both in a bit
/// that they share, or in one of two where they don't: with `a` in the one, with `b` in the other.
fn all_but(a: u64, b: u64) -> Vec<(u64, u64)> {
    let bits = (0..32).map(|bit| 1u64 << bit);
    let (shared, apart): (Vec<u64>, Vec<u64>) = bits.partition(|bit| a & bit == b & bit);
    let mut alternatives: Vec<(u64, u64)> = shared.iter().map(|bit| (*bit, !a & bit)).collect();
    // Where they differ everywhere, being unlike both means agreeing with each of them somewhere:
    // going around the bits, at some place the side changes.
    for (place, bit) in apart.iter().enumerate() {
        let next = apart[(place + 1) % apart.len()];
        if next != *bit {
            alternatives.push((bit | next, (a & bit) | (b & next)));
        }
    }
    alternatives
}

/// The names of a section of the table, less those that the instruction set doesn't have.
fn names(section: &str, architecture: Architecture) -> Vec<&'static str> {
    let foreign = raw_names(match architecture {
        Architecture::X86_64 => "aarch64 only",
        Architecture::Aarch64 => "x86_64 only",
    });
    let mut names = raw_names(section);
    names.retain(|name| !foreign.contains(name));
    names
}

/// The names of a section of the table, as they stand there.
fn raw_names(section: &str) -> Vec<&'static str> {
    let mut current = "";
    let mut names = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(title) => current = title,
            None if current == section => names.extend(line.split_whitespace()),
            None => {}
        }
    }
    names
}

#[cfg(test)]
mod tests;

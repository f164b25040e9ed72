use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const NONE: BTreeSet<Relaxation> = BTreeSet::new();
const BOTH: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];

/// What Node 24, CPython 3.13, git, tini and the OCI runtimes below the filter were seen to call.
const FLOOR: &str = "
    accept4 bind brk capget capset chdir chmod clock_getres clock_gettime clock_nanosleep clone
    close close_range connect copy_file_range dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait
    epoll_wait eventfd2 execve exit exit_group faccessat2 fadvise64 fallocate fchdir fchmod
    fchown fcntl fdatasync flock fork fstat fstatfs fsync ftruncate futex getcwd getdents64
    getegid geteuid getgid getgroups getpeername getpgrp getpid getppid getpriority getrandom
    getresgid getresuid getrlimit getrusage getsockname getsockopt gettid getuid
    inotify_add_watch inotify_init1 inotify_rm_watch ioctl kill linkat listen lseek madvise
    membarrier memfd_create mkdir mkdirat mmap mprotect mremap msync munmap newfstatat openat
    personality pidfd_open pipe2 poll ppoll prctl pread64 preadv prlimit64 pwrite64 read readlink
    readlinkat recvfrom recvmmsg recvmsg rename renameat2 restart_syscall rmdir rseq
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity
    sched_yield seccomp select sendfile sendmmsg sendmsg sendto set_robust_list set_tid_address
    setgid setgroups setitimer setpgid setpriority setresgid setresuid setsid setsockopt setuid
    shutdown sigaltstack socket socketpair splice statfs statx symlink sysinfo tgkill
    timerfd_create timerfd_settime umask uname unlink unlinkat utimensat vfork wait4 waitid write
    writev";

/// The ones that make a hole in a container by themselves.
const NEVER: &str = "
    unshare setns mount umount2 pivot_root chroot fsopen fsmount fsconfig move_mount open_tree
    mount_setattr ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp bpf perf_event_open
    userfaultfd keyctl add_key request_key open_by_handle_at name_to_handle_at io_uring_setup
    io_uring_enter io_uring_register clone3 execveat init_module finit_module kexec_load
    modify_ldt memfd_secret vmsplice ipc socketcall";

/// What the filter does with a call: as libseccomp, which takes a rule without conditions first.
fn verdict(profile: &Profile, name: &str, args: &[u64]) -> (Action, Option<u32>) {
    let holds = |c: &Condition| {
        let arg = args.get(c.index as usize).copied().unwrap_or(0);
        match c.op {
            Operator::Equal => arg == c.value,
            Operator::MaskedEqual => arg & c.value == c.value_two,
        }
    };
    let rules = profile.syscalls.iter();
    rules
        .filter(|rule| rule.names.contains(&name) && rule.args.iter().all(holds))
        .map(|rule| (rule.action, rule.errno_ret))
        .next()
        .unwrap_or((profile.default_action, Some(profile.default_errno_ret)))
}

fn allows(profile: &Profile, name: &str, args: &[u64]) -> bool {
    verdict(profile, name, args).0 == Action::Allow
}

#[test]
fn is_flat_oci_json() {
    for (architecture, scmp) in BOTH.into_iter().zip(["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]) {
        let text = profile(architecture, &NONE);
        let json: Value = serde_json::from_str(&text).unwrap();
        let fields = |v: &Value| -> Vec<String> { v.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(fields(&json), ["defaultAction", "defaultErrnoRet", "architectures", "syscalls"]);
        assert_eq!(json["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(json["defaultErrnoRet"], 38);
        assert_eq!(json["architectures"], serde_json::json!([scmp]));
        for rule in json["syscalls"].as_array().unwrap() {
            for field in fields(rule) {
                assert!(["names", "action", "errnoRet", "args"].contains(&field.as_str()));
            }
            assert!(!rule["names"].as_array().unwrap().is_empty());
            assert_eq!(rule["action"] == "SCMP_ACT_ERRNO", rule["errnoRet"].is_u64());
        }
        assert_eq!(text, profile(architecture, &NONE));
    }
}

#[test]
fn knows_every_section_of_the_table() {
    let known = ["allow", "x86_64 only", "aarch64 only", "refuse", "unsupported", "absent"];
    let titles = TABLE.lines().filter_map(|l| l.strip_prefix('[')?.strip_suffix(']'));
    assert_eq!(titles.collect::<Vec<_>>(), known);
    // A typing mistake in "x86_64 only" would pass a name to both.
    let used: Vec<_> = ["allow", "refuse", "unsupported", "absent"].map(raw_names).concat();
    for name in [raw_names("x86_64 only"), raw_names("aarch64 only")].concat() {
        assert!(used.contains(&name), "{name} is not in the table");
    }
}

#[test]
fn no_name_has_two_rules_unless_both_look_at_arguments() {
    for architecture in BOTH {
        let profile = build(architecture, &NONE);
        let (plain, conditional): (Vec<&Rule>, Vec<&Rule>) =
            profile.syscalls.iter().partition(|rule| rule.args.is_empty());
        let mut seen = BTreeSet::new();
        for name in plain.iter().flat_map(|rule| &rule.names) {
            assert!(seen.insert(*name), "{name} stands there twice");
        }
        for rule in conditional {
            let [name] = rule.names[..] else { panic!("one name for {:?}", rule.names) };
            assert!(!seen.contains(name), "{name} has a rule without conditions");
        }
    }
}

#[test]
fn no_rule_is_lost_by_repeating_the_default() {
    // Runtimes drop such rules. Only "absent" may be: it is for those without a default errno.
    for architecture in BOTH {
        let profile = build(architecture, &NONE);
        for rule in &profile.syscalls {
            let repeats = rule.action == profile.default_action && rule.errno_ret == Some(profile.default_errno_ret);
            assert_eq!(repeats, rule.names == names("absent", architecture));
        }
    }
}

#[test]
fn conditions_of_a_rule_are_about_different_arguments() {
    for rule in build(Architecture::X86_64, &NONE).syscalls {
        let indexes: BTreeSet<u32> = rule.args.iter().map(|c| c.index).collect();
        assert_eq!(indexes.len(), rule.args.len(), "{:?}", rule.names);
        for c in rule.args.iter().filter(|c| c.op == Operator::MaskedEqual) {
            assert_eq!(c.value_two & !c.value, 0, "{:?} can never hold", rule.names);
        }
    }
}

#[test]
fn what_programs_need_is_there() {
    for architecture in BOTH {
        let named: BTreeSet<&str> = build(architecture, &NONE)
            .syscalls
            .iter()
            .filter(|rule| rule.action == Action::Allow)
            .flat_map(|rule| rule.names.clone())
            .collect();
        let foreign = match architecture {
            Architecture::X86_64 => raw_names("aarch64 only"),
            Architecture::Aarch64 => raw_names("x86_64 only"),
        };
        for name in FLOOR.split_whitespace() {
            assert_eq!(named.contains(name), !foreign.contains(&name), "{name}");
        }
    }
}

#[test]
fn what_opens_a_container_is_not() {
    for architecture in BOTH {
        let profile = build(architecture, &NONE);
        for name in NEVER.split_whitespace() {
            assert!(
                !profile.syscalls.iter().any(|rule| { rule.action == Action::Allow && rule.names.contains(&name) })
            );
            assert!(!allows(&profile, name, &[]), "{name}");
        }
    }
}

#[test]
fn errors_are_the_ones_that_programs_fall_back_on() {
    let profile = build(Architecture::X86_64, &NONE);
    let errno = |name, args: &[u64]| verdict(&profile, name, args).1;
    // glibc tries clone only after ENOSYS: moby/moby#42680.
    assert_eq!(errno("clone3", &[]), Some(ENOSYS));
    assert_eq!(errno("a_call_of_the_future", &[]), Some(ENOSYS));
    assert_eq!(errno("unshare", &[0x1000_0000]), Some(EPERM));
    assert_eq!(errno("setxattr", &[]), Some(EOPNOTSUPP));
    assert_eq!(errno("read", &[]), None);
}

#[test]
fn clone_makes_threads_and_processes_but_no_namespaces() {
    let profile = build(Architecture::Aarch64, &NONE);
    // fork, vfork and pthread_create of glibc.
    for flags in [0x0120_0011, 0x4111, 0x003D_0F00] {
        assert!(allows(&profile, "clone", &[flags]), "{flags:#x}");
    }
    for bit in [17, 25, 26, 27, 28, 29, 30] {
        assert!(!allows(&profile, "clone", &[0x11 | 1 << bit]), "bit {bit}");
        assert!(!allows(&profile, "clone", &[0x11 | 1 << bit | 1 << 40]));
    }
}

#[test]
fn a_browser_gets_namespaces_and_nothing_else() {
    for architecture in BOTH {
        let (usual, relaxed) = (build(architecture, &NONE), build(architecture, &[Relaxation::Browser].into()));
        let more = ["clone", "unshare", "setns", "chroot"];
        assert!(more.iter().all(|name| allows(&relaxed, name, &[0x7E02_0000])));
        for name in FLOOR.split_whitespace().chain(NEVER.split_whitespace()).filter(|name| !more.contains(name)) {
            for args in [[0, 0, 0], [1, 0, 0], [TIOCSTI; 3]] {
                assert_eq!(verdict(&usual, name, &args), verdict(&relaxed, name, &args), "{name}");
            }
        }
        let rules =
            |profile: &Profile, name: &str| profile.syscalls.iter().filter(|rule| rule.names.contains(&name)).count();
        assert!(more.iter().all(|name| rules(&relaxed, name) == 1));
    }
}

#[test]
fn sockets_are_unix_internet_and_routing() {
    let profile = build(Architecture::X86_64, &NONE);
    for family in 0..64 {
        let expected = [1, 2, 10, 16].contains(&family);
        assert_eq!(allows(&profile, "socket", &[family, 3, 0]), expected, "{family}");
        assert!(!allows(&profile, "socket", &[family | 1 << 32, 3, 0]), "{family}");
        assert_eq!(allows(&profile, "socketpair", &[family, 1, 0]), family == 1);
    }
    assert!((1..64).all(|protocol| !allows(&profile, "socket", &[16, 3, protocol])));
}

#[test]
fn nothing_can_be_typed_into_the_terminal() {
    let profile = build(Architecture::X86_64, &NONE);
    let upper_halves = [0, 1 << 32, 0xFFFF_FFFF_0000_0000];
    for upper in upper_halves {
        assert!(!allows(&profile, "ioctl", &[0, TIOCSTI | upper]));
        assert!(!allows(&profile, "ioctl", &[0, TIOCLINUX | upper]));
        for request in (0..0x1_0000).chain([0x8004_5430, 0x4004_5431, 0xFFFF_FFFF, 0x5412_5412]) {
            if request != TIOCSTI && request != TIOCLINUX {
                assert!(allows(&profile, "ioctl", &[0, request | upper]), "{request:#x}");
            }
        }
    }
}

#[test]
fn all_but_two_is_exact_for_neighbours_too() {
    for (a, b) in [(0, 1), (5, 5), (0, 0xFFFF_FFFF), (0x12, 0x1C)] {
        let among = |n: u64| all_but(a, b).iter().any(|(mask, value)| n & mask == *value);
        for n in (0..64).chain([0xFFFF_FFFE, 0xFFFF_FFFF]) {
            assert_eq!(among(n), n != a && n != b, "{n} of {a} and {b}");
        }
    }
}

#[test]
fn files_of_a_harmless_kind_can_be_made() {
    let x86 = build(Architecture::X86_64, &NONE);
    let arm = build(Architecture::Aarch64, &NONE);
    assert!(allows(&x86, "mknod", &[0, 0o010_644]));
    assert!(allows(&arm, "mknodat", &[0, 0, 0o010_644]));
    assert!(!arm.syscalls.iter().any(|rule| rule.names.contains(&"mknod")));
    for kind in [0o020_000, 0o060_000, 0o140_000, 0o110_000, 0] {
        assert!(!allows(&x86, "mknod", &[0, kind | 0o644]), "{kind:o}");
        assert!(!allows(&x86, "mknodat", &[0, 0, kind | 0o644]), "{kind:o}");
    }
    assert!(!allows(&x86, "memfd_create", &[0, 3]));
    assert!(allows(&x86, "memfd_create", &[0, 3 | MFD_NOEXEC_SEAL]));
}

#[test]
fn hash_is_the_head_of_sha256() {
    assert_eq!(hash("abc"), "ba7816bf8f01cfea");
}

// Tries what the seccomp profile is there to stop, and a few things that must still work, and
// prints one line each: the call and its result. `seccomp.expected` has the right answers; the test
// `LANE::abuse::system_calls` compares them in a box. By hand:
//
//   gcc -static -Os -o probe seccomp.c
//   podman run --rm --network none --cap-drop=ALL --security-opt no-new-privileges
//     --security-opt seccomp=profile.json -v ./probe:/probe:ro IMAGE /probe | diff - seccomp.expected
//
// Docker before 23 doesn't know `defaultErrnoRet`: most of what says ENOSYS there is EPERM.
//
// Arguments are chosen so that the kernel alone would answer otherwise than the filter does.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *word(long result) {
  if (result >= 0) return "ok";
  switch (errno) {
    case EPERM: return "EPERM";
    case ENOSYS: return "ENOSYS";
    case EOPNOTSUPP: return "EOPNOTSUPP";
    default: return strerror(errno); // the kernel itself answered
  }
}

static void say(const char *name, long result) {
  printf("%-28s %s\n", name, word(result));
  fflush(stdout);
}

#define TRY(name, ...) (errno = 0, say(name, syscall(__VA_ARGS__)))

// What a child dies of when it does that.
static void dies(const char *name, void (*what)(void)) {
  pid_t child = fork();
  if (child == 0) {
    what();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("%-28s %s\n", name, WIFSIGNALED(status) ? (WTERMSIG(status) == SIGSYS ? "SIGSYS" : "other signal") : "lives");
  fflush(stdout);
}

#ifdef __x86_64__
static void int80(void) {
  long result = 20; // getpid of 32-bit x86
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
}
static void x32(void) { syscall(0x40000000 + SYS_getpid); }
#endif

static void clones(void) {
  const struct { const char *name; unsigned long flag; } flags[] = {
      {"clone plain", 0},          {"clone NEWNS", CLONE_NEWNS},     {"clone NEWCGROUP", CLONE_NEWCGROUP},
      {"clone NEWUTS", CLONE_NEWUTS}, {"clone NEWIPC", CLONE_NEWIPC}, {"clone NEWUSER", CLONE_NEWUSER},
      {"clone NEWPID", CLONE_NEWPID}, {"clone NEWNET", CLONE_NEWNET},
      {"clone NEWUSER, high bit", CLONE_NEWUSER | 1ul << 40},
  };
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    errno = 0;
    long child = syscall(SYS_clone, flags[i].flag | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    int failure = errno;
    if (child > 0) waitpid(child, 0, 0);
    errno = failure;
    say(flags[i].name, child);
  }
}

static void sockets(void) {
  char name[32];
  for (int family = 0; family < 48; family++) {
    snprintf(name, sizeof name, "socket family %d", family);
    int type = family == 16 ? SOCK_RAW : family == 1 || family == 2 || family == 10 ? SOCK_STREAM : SOCK_DGRAM;
    TRY(name, SYS_socket, family, type, 0);
  }
  for (int protocol = 1; protocol < 23; protocol++) {
    snprintf(name, sizeof name, "socket netlink %d", protocol);
    TRY(name, SYS_socket, AF_NETLINK, SOCK_RAW, protocol);
  }
  int pair[2];
  TRY("socketpair unix", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair);
  TRY("socketpair tipc", SYS_socketpair, 30, SOCK_STREAM, 0, pair);
  TRY("socket vsock, high bit", SYS_socket, 40 | 1l << 32, SOCK_STREAM, 0);
}

static void terminals(void) {
  int pty = posix_openpt(O_RDWR | O_NOCTTY);
  int number = 0, unlock = 0, waiting = 0;
  struct winsize size = {.ws_row = 24, .ws_col = 80};
  TRY("ioctl TIOCSPTLCK", SYS_ioctl, pty, TIOCSPTLCK, &unlock);
  TRY("ioctl TIOCGPTN", SYS_ioctl, pty, TIOCGPTN, &number);
  char path[32];
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  int tty = open(path, O_RDWR | O_NOCTTY);
  TRY("ioctl TIOCSTI", SYS_ioctl, tty, TIOCSTI, "x");
  TRY("ioctl TIOCSTI, high bit", SYS_ioctl, tty, TIOCSTI | 1l << 32, "x");
  TRY("ioctl TIOCSTI, sign", SYS_ioctl, tty, TIOCSTI | ~0xFFFFFFFFl, "x");
  TRY("ioctl TIOCLINUX", SYS_ioctl, tty, TIOCLINUX, "\0");
  TRY("ioctl TIOCGWINSZ", SYS_ioctl, tty, TIOCGWINSZ, &size);
  TRY("ioctl TIOCSWINSZ", SYS_ioctl, tty, TIOCSWINSZ, &size);
  TRY("ioctl FIONREAD", SYS_ioctl, tty, FIONREAD, &waiting);
  TRY("ioctl TCGETS", SYS_ioctl, tty, TCGETS, (char[256]){0});
}

static void calls(void) {
  char buffer[512] = {0};
  TRY("unshare NEWUSER", SYS_unshare, CLONE_NEWUSER);
  TRY("unshare nothing", SYS_unshare, 0);
  TRY("setns", SYS_setns, -1, 0);
  TRY("mount", SYS_mount, "none", "/nowhere", "tmpfs", 0, 0);
  TRY("umount2", SYS_umount2, "/nowhere", 0);
  TRY("pivot_root", SYS_pivot_root, "/nowhere", "/nowhere");
  TRY("chroot", SYS_chroot, "/nowhere");
  TRY("fsopen", SYS_fsopen, "nofs", 0);
  TRY("open_tree", SYS_open_tree, -1, "/nowhere", 0);
  TRY("move_mount", SYS_move_mount, -1, "", -1, "", 0);
  TRY("ptrace TRACEME", SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
  TRY("process_vm_readv", SYS_process_vm_readv, getpid(), 0, 0, 0, 0, 0);
  TRY("process_vm_writev", SYS_process_vm_writev, getpid(), 0, 0, 0, 0, 0);
  TRY("pidfd_open", SYS_pidfd_open, getpid(), 0);
  TRY("pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0);
  TRY("kcmp", SYS_kcmp, getpid(), getpid(), 1, 0, 0);
  TRY("keyctl", SYS_keyctl, 0, -3, 0);
  TRY("add_key", SYS_add_key, "user", "probe", "x", 1, -3);
  TRY("request_key", SYS_request_key, "user", "probe", 0, 0);
  TRY("bpf", SYS_bpf, 0, 0, 0);
  TRY("perf_event_open", SYS_perf_event_open, 0, 0, -1, -1, 0);
  TRY("userfaultfd", SYS_userfaultfd, 0);
  TRY("io_uring_setup", SYS_io_uring_setup, 1, buffer);
  TRY("io_setup", SYS_io_setup, 1, buffer);
  TRY("clone3", SYS_clone3, 0, 0);
  TRY("execveat", SYS_execveat, -1, "/nowhere", 0, 0, 0);
  TRY("personality query", SYS_personality, 0xFFFFFFFFu);
  TRY("personality 0", SYS_personality, 0);
  TRY("personality no ASLR", SYS_personality, ADDR_NO_RANDOMIZE);
  TRY("personality query, 64 bits", SYS_personality, ~0ul);
  TRY("memfd_create", SYS_memfd_create, "probe", 0);
  TRY("memfd_create exec", SYS_memfd_create, "probe", 0x10);
  TRY("open_by_handle_at", SYS_open_by_handle_at, -1, buffer, 0);
  TRY("name_to_handle_at", SYS_name_to_handle_at, AT_FDCWD, "/", buffer, buffer, 0);
  TRY("setxattr", SYS_setxattr, "/nowhere", "user.a", "b", 1, 0);
  TRY("getxattr", SYS_getxattr, "/proc", "user.a", buffer, 1);
  TRY("mbind", SYS_mbind, 0, 0, 0, 0, 0, 0);
  TRY("vmsplice", SYS_vmsplice, -1, 0, 0, 0);
  TRY("mq_open", SYS_mq_open, "probe", O_RDWR, 0, 0);
  TRY("msgget", SYS_msgget, 0, 0);
  TRY("semget", SYS_semget, 0, 1, 0);
  TRY("shmget", SYS_shmget, 0, 4096, 0600);
  TRY("syslog", SYS_syslog, 3, buffer, 16);
  TRY("mknodat device", SYS_mknodat, AT_FDCWD, "/tmp/probe.dev", S_IFCHR | 0600, 0);
  TRY("mknodat fifo", SYS_mknodat, AT_FDCWD, "/tmp/probe.fifo", S_IFIFO | 0600, 0);
  TRY("unlink fifo", SYS_unlinkat, AT_FDCWD, "/tmp/probe.fifo", 0);
  TRY("landlock version", SYS_landlock_create_ruleset, 0, 0, 2);
  TRY("call 9999", 9999);
}

int main(void) {
  calls();
  clones();
  sockets();
  terminals();
#ifdef __x86_64__
  TRY("modify_ldt", SYS_modify_ldt, 0, 0, 0);
  dies("int 0x80", int80);
  dies("x32", x32);
#endif
  return 0;
}

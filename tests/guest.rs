//! The guest as a plain process, without any engine.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use jitbox_guest::protocol::{
    End, FromGuest, Inbox, Launch, MAX_TO_GUEST, Message, Stdio as Streams, Stream, ToGuest, VERSION, Watch,
};

use crate::support::lane::alive;
use crate::support::run::wait;
use crate::support::{PATIENCE, wait_for};

pub const PLAIN: &[(&str, fn())] = &[
    ("guest::socket", || hello_and_exit(&Native, Way::Socket)),
    ("guest::descriptor", || hello_and_exit(&Native, Way::Descriptor)),
    ("guest::stdio", || hello_and_exit(&Native, Way::Stdio)),
    ("guest::aarch64", aarch64),
    ("guest::launch_and_input_in_one_piece", one_piece),
    ("guest::signals", signals),
    ("guest::no_signal_is_blocked", no_signal_is_blocked),
    ("guest::passed_descriptors", passed_descriptors),
    ("guest::back_pressure", back_pressure),
    ("guest::orphans", orphans),
    ("guest::link_drop", link_drop),
    ("guest::malformed", malformed),
    ("guest::watch", watch),
    ("guest::not_started", not_started),
];

/// How the guest is executed.
trait Machine {
    fn command(&self) -> Command;
}

struct Native;
struct Emulated;

/// The build script's output.
fn program(architecture: &str) -> String {
    format!("{}/jitbox-guest-{architecture}", env!("OUT_DIR"))
}

impl Machine for Native {
    fn command(&self) -> Command {
        Command::new(program(std::env::consts::ARCH))
    }
}

impl Machine for Emulated {
    fn command(&self) -> Command {
        let mut command = Command::new("qemu-aarch64-static");
        command.arg(program("aarch64"));
        command
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Socket,
    Descriptor,
    Stdio,
}

/// A guest and our end of its link.
struct Guest {
    child: Child,
    link: Option<UnixStream>,
    inbox: Inbox,
    _dir: tempfile::TempDir,
}

impl Guest {
    fn start(machine: &dyn Machine, way: Way) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = machine.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (child, link) = match way {
            Way::Socket => {
                let path = dir.path().join("link");
                let listener = UnixListener::bind(&path).unwrap();
                let child = command.arg("socket").arg(path).spawn().unwrap();
                (child, listener.accept().unwrap().0)
            }
            Way::Descriptor => {
                // Inherited under its own number.
                let fd = OwnedFd::from(theirs);
                use nix::fcntl::{FcntlArg, FdFlag, fcntl};
                fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
                let child = command.args(["fd", &fd.as_raw_fd().to_string()]).spawn().unwrap();
                (child, ours)
            }
            Way::Stdio => {
                let fd = OwnedFd::from(theirs);
                command.arg("stdio").stdin(fd.try_clone().unwrap()).stdout(fd);
                (command.spawn().unwrap(), ours)
            }
        };
        link.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut guest = Self { child, link: Some(link), inbox: Inbox::default(), _dir: dir };
        match guest.hear() {
            Some(FromGuest::Hello { version, boot_id }) => {
                assert_eq!(version, VERSION);
                assert_eq!(boot_id, std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
            }
            other => panic!("{other:?}"),
        }
        guest
    }

    fn send(&self, bytes: &[u8]) {
        self.link.as_ref().unwrap().write_all_to(bytes);
    }

    fn tell(&self, message: &ToGuest) {
        self.send(&message.encode());
    }

    /// The next message; none when the guest is gone.
    fn hear(&mut self) -> Option<FromGuest> {
        loop {
            if let Some(message) = self.inbox.take().unwrap() {
                return Some(message);
            }
            let mut buffer = [0; 4096];
            let n = self.link.as_mut().unwrap().read(&mut buffer).ok()?;
            if n == 0 {
                return None;
            }
            self.inbox.push(&buffer[..n]);
        }
    }

    /// Everything up to the end: both outputs, and how it ended.
    fn rest(&mut self) -> (String, String, Option<End>) {
        let (mut out, mut err) = (String::new(), String::new());
        loop {
            match self.hear() {
                Some(FromGuest::Data(stream, bytes)) => {
                    let into = if stream == Stream::Stdout { &mut out } else { &mut err };
                    into.push_str(&String::from_utf8_lossy(&bytes));
                    self.tell(&ToGuest::Credit(stream, bytes.len() as u32));
                }
                Some(FromGuest::End(end, _)) => return (out, err, Some(end)),
                Some(_) => {}
                None => return (out, err, None),
            }
        }
    }

    /// Waits for the program's first output.
    fn first_output(&mut self) -> String {
        loop {
            match self.hear() {
                Some(FromGuest::Data(_, bytes)) => return String::from_utf8_lossy(&bytes).into_owned(),
                Some(_) => {}
                None => panic!("no output"),
            }
        }
    }

    fn code(&mut self) -> Option<i32> {
        wait(&mut self.child, PATIENCE).unwrap().code()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The link's end is the guest's.
        self.link = None;
        if wait(&mut self.child, PATIENCE).is_none() && !std::thread::panicking() {
            panic!("the guest outlived its link");
        }
    }
}

trait WriteAllTo {
    fn write_all_to(&self, bytes: &[u8]);
}

impl WriteAllTo for UnixStream {
    fn write_all_to(&self, bytes: &[u8]) {
        let mut stream = self;
        // A guest that ended because of the first bytes does not take the rest.
        let _ = stream.write_all(bytes);
    }
}

fn shell(script: &str) -> Launch {
    Launch {
        argv: vec![b"/bin/sh".to_vec(), b"-c".to_vec(), script.as_bytes().to_vec()],
        env: vec![b"PATH=/usr/bin:/bin".to_vec(), b"A=b c=d".to_vec(), b"EMPTY=".to_vec()],
        cwd: b"/".to_vec(),
        stdio: Streams::Framed,
        grace_ms: 300,
        watch: Watch::default(),
        mounts: Vec::new(),
    }
}

/// A guest whose program has been started.
fn started(script: &str) -> Guest {
    let guest = Guest::start(&Native, Way::Socket);
    guest.tell(&ToGuest::Launch(shell(script)));
    guest
}

fn hello_and_exit(machine: &dyn Machine, way: Way) {
    for code in [0u8, 1, 7, 126, 127, 255] {
        let mut guest = Guest::start(machine, way);
        guest.tell(&ToGuest::Launch(shell(&format!("cat; echo \"$A|$EMPTY|$#\" >&2; exit {code}"))));
        guest.tell(&ToGuest::Data(b"moo\n".to_vec()));
        guest.tell(&ToGuest::Eof);
        let (out, err, end) = guest.rest();
        assert_eq!((out.as_str(), err.as_str()), ("moo\n", "b c=d||0\n"));
        assert_eq!(end, Some(End::Exited(code)));
        assert_eq!(guest.code(), Some(code.into()));
    }
}

fn aarch64() {
    if Command::new("qemu-aarch64-static").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "no qemu-aarch64-static on this machine (apt: qemu-user-static)");
        return;
    }
    for way in [Way::Socket, Way::Descriptor, Way::Stdio] {
        hello_and_exit(&Emulated, way);
    }
}

/// What comes in one piece with the launch must not wait for the next piece.
fn one_piece() {
    let mut guest = Guest::start(&Native, Way::Socket);
    let all = [ToGuest::Launch(shell("cat")), ToGuest::Data(b"at once".to_vec()), ToGuest::Eof];
    guest.send(&all.iter().flat_map(Message::encode).collect::<Vec<u8>>());
    let (out, _, end) = guest.rest();
    assert_eq!((out.as_str(), end), ("at once", Some(End::Exited(0))));
}

fn signals() {
    for number in [1, 2, 3, 9, 10, 12, 15] {
        let mut guest = started("echo up; while :; do sleep 1; done");
        guest.first_output();
        guest.tell(&ToGuest::Signal(number));
        assert_eq!(guest.rest().2, Some(End::Signaled(number)));
        assert_eq!(guest.code(), Some(128 + number));
    }
    let mut guest = started("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done");
    guest.first_output();
    // From outside, as an engine does.
    crate::transparency::signal(guest.child.id(), 15);
    assert_eq!(guest.rest().2, Some(End::Exited(5)));
}

fn no_signal_is_blocked() {
    let (out, ..) = started("grep -E '^Sig(Blk|Ign)' /proc/self/status").rest();
    assert!(out.contains("SigBlk:\t0000000000000000"), "{out}");
    // What is ignored is inherited, from whoever started these tests; 32 and up are the C library's.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let pipe = 1 << (nix::libc::SIGPIPE - 1);
    let ignored = |status: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & !pipe & 0x7fff_ffff
    };
    assert_eq!(ignored(&out), ignored(&own));
}

fn passed_descriptors() {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;
    let mut guest = Guest::start(&Native, Way::Socket);
    let (stdin, mut to_it) = std::io::pipe().unwrap();
    let (mut from_it, stdout) = std::io::pipe().unwrap();
    let stderr = stdout.try_clone().unwrap();
    let launch = Launch {
        stdio: Streams::Passed,
        ..shell("read a; echo \"got $a\"; ls -l /proc/self/fd | grep -c socket: >&2; exit 3")
    };
    let fds = [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()];
    let bytes = ToGuest::Launch(launch).encode();
    let link = guest.link.as_ref().unwrap().as_raw_fd();
    let sent =
        sendmsg::<()>(link, &[IoSlice::new(&bytes)], &[ControlMessage::ScmRights(&fds)], MsgFlags::empty(), None);
    assert_eq!(sent, Ok(bytes.len()));
    drop((stdin, stdout, stderr));
    to_it.write_all(b"moo\n").unwrap();
    let mut said = String::new();
    from_it.read_to_string(&mut said).unwrap();
    // The link stays the guest's.
    assert_eq!(said, "got moo\n0\n");
    assert_eq!(guest.rest().2, Some(End::Exited(3)));
}

/// Without credit nothing more comes; with it, everything does.
fn back_pressure() {
    let mut guest = started("head -c 1000000 /dev/zero");
    let mut got = 0;
    while got < jitbox_guest::protocol::WINDOW as usize {
        if let Some(FromGuest::Data(_, bytes)) = guest.hear() {
            got += bytes.len();
        }
    }
    assert_eq!(got, jitbox_guest::protocol::WINDOW as usize);
    guest.tell(&ToGuest::Credit(Stream::Stdout, 1_000_000));
    let (out, _, end) = guest.rest();
    assert_eq!(got + out.len(), 1_000_000);
    assert_eq!(end, Some(End::Exited(0)));
}

fn orphans() {
    // The subshell ends at once; its child becomes the guest's.
    let mut guest = started("(sh -c 'sleep 0.2' & echo $!) ; read forever");
    let orphan: u32 = guest.first_output().trim().parse().unwrap();
    // A zombie has a /proc entry; a reaped process has none.
    wait_for("the orphan to be reaped", || (!std::path::Path::new(&format!("/proc/{orphan}")).exists()).then_some(()));
    guest.tell(&ToGuest::Eof);
    guest.rest();
}

fn link_drop() {
    let mut guest = started("trap '' TERM; echo $$; while :; do sleep 0.05; done");
    let program: u32 = guest.first_output().trim().parse().unwrap();
    assert!(alive(program));
    guest.link = None;
    assert_eq!(guest.code(), Some(137));
    wait_for("the program's end", || (!alive(program)).then_some(()));
    // One that obeys SIGTERM ends by itself.
    let mut guest = started("trap 'exit 9' TERM; echo $$; while :; do sleep 0.05; done");
    guest.first_output();
    guest.link = None;
    assert_eq!(guest.code(), Some(9));
    // Before the launch.
    let mut guest = Guest::start(&Native, Way::Socket);
    guest.link = None;
    assert_eq!(guest.code(), Some(0));
}

fn malformed() {
    let too_long = ((MAX_TO_GUEST + 1) as u32).to_le_bytes().to_vec();
    let cases: [&[u8]; 6] = [
        &[0, 0, 0, 0],
        &too_long,
        &[0xff; 64],
        &[1, 0, 0, 0, 99],
        // A launch without a program.
        &[5, 0, 0, 0, 1, 0, 0, 0, 0],
        // A signal before the launch.
        &[5, 0, 0, 0, 2, 15, 0, 0, 0],
    ];
    for bytes in cases {
        let mut guest = Guest::start(&Native, Way::Socket);
        guest.send(bytes);
        assert_eq!(guest.code(), Some(125), "{bytes:?}");
    }
    let mut guest = started("echo $$; while :; do sleep 0.05; done");
    let program: u32 = guest.first_output().trim().parse().unwrap();
    guest.send(&[0xff; 64]);
    assert_eq!(guest.code(), Some(125));
    // Without a PID namespace around it, ending its children is not the kernel's work.
    let _ =
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(program.cast_signed()), nix::sys::signal::Signal::SIGKILL);
}

fn watch() {
    // It looks at the whole of /proc, so here every limit is broken already.
    let mut guest = Guest::start(&Native, Way::Socket);
    guest.tell(&ToGuest::Launch(Launch {
        watch: Watch { memory: 1, pids: 0, ..Watch::default() },
        ..shell("sleep 60")
    }));
    assert!(matches!(guest.rest().2, Some(End::OverMemory(_))));
    assert_eq!(guest.code(), Some(137));
    let mut guest = Guest::start(&Native, Way::Socket);
    guest.tell(&ToGuest::Launch(Launch {
        watch: Watch { memory: 0, pids: 1, ..Watch::default() },
        ..shell("sleep 60")
    }));
    assert!(matches!(guest.rest().2, Some(End::OverPids(_))));
}

fn not_started() {
    for (word, errno) in [("/no/such/program", 2), ("/etc/passwd", 13)] {
        let mut guest = Guest::start(&Native, Way::Socket);
        guest.tell(&ToGuest::Launch(Launch { argv: vec![word.into()], ..shell("") }));
        assert_eq!(guest.rest().2, Some(End::NotStarted(errno)));
        assert_eq!(guest.code(), Some(127));
    }
}

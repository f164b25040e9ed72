//! Every death of a running server, on both carriers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::SERVER;
use super::traces::{Traces, read};
use crate::support::home::CARRIERS;
use crate::support::lane::{alive, children};
use crate::support::{Carrier, Home, Lane, quick, wait_for};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// The client closes the server's input.
    Eof,
    Term,
    Int,
    Hup,
    /// Of the shim.
    Kill,
    EnginesClient,
    /// The engine's client and the shim.
    Both,
    /// Whoever started the shim and holds its pipes.
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// Ends when its input ends.
    Good,
    /// Reads nothing and ignores every signal that it can.
    Deaf,
    /// Stays after the end of its input, because its client has declared `roots`.
    Roots,
}

const DEAF: &str = "for (const s of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(s, () => {}); \
    setInterval(() => {}, 1e9); console.log('up')";

impl Server {
    fn command(self, home: &Home) -> Command {
        let packages = SERVER.args.iter().take_while(|word| **word != "node");
        let program: &[&str] = match self {
            Self::Deaf => &["node", "-e", DEAF],
            Self::Good | Self::Roots => &["mcp-server-everything", "stdio"],
        };
        home.shim(SERVER.shim, packages.chain(program))
    }

    fn hello(self) -> String {
        let capabilities = match self {
            Self::Deaf => return String::new(),
            Self::Good => "{}",
            Self::Roots => r#"{"roots":{"listChanged":true}}"#,
        };
        format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{capabilities},"clientInfo":{{"name":"jitbox-tests","version":"0"}}}}}}
{{"jsonrpc":"2.0","method":"notifications/initialized"}}
"#
        )
    }
}

/// A server that has answered.
struct Running {
    /// What we started: the shim, or its client.
    child: Child,
    stdin: Option<ChildStdin>,
    shim: u32,
    traces: Traces,
}

/// Starts the shim on pipes that nobody else holds, and becomes a process that just lives.
const CLIENT: &str = r#"
    dir=$1 hello=$2
    shift 2
    mkfifo "$dir/in" "$dir/out"
    "$@" <"$dir/in" >"$dir/out" 2>/dev/null &
    echo $!
    exec 3>"$dir/in" 4<"$dir/out"
    printf %s "$hello" >&3
    read -r line <&4
    echo "$line"
    exec sleep 600 >/dev/null
"#;

impl Running {
    fn start(lane: &Lane, home: &Home, server: Server, death: Death) -> Self {
        let mut command = server.command(home);
        if death == Death::Client {
            let mut client = Command::new("sh");
            client.args(["-c", CLIENT, "sh"]).arg(home.folder("pipes")).arg(server.hello());
            client.arg(command.get_program()).args(command.get_args());
            command = client;
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut shim = child.id();
        if death == Death::Client {
            stdin = None;
            stdout.read_line(&mut line).unwrap();
            shim = line.trim().parse().unwrap();
            line.clear();
        } else if let Some(stdin) = &mut stdin {
            stdin.write_all(server.hello().as_bytes()).unwrap();
        }
        stdout.read_line(&mut line).unwrap();
        assert!(!line.trim().is_empty(), "no answer from the server");
        // The program's output stays open, as a client's end would.
        std::mem::forget(stdout);
        let container = lane.container(shim);
        // The engine's client ends a moment after the box is there.
        if !home_is_stream(&container.link(lane)) {
            wait_for("the end of the engine's client", || engines_clients(shim).is_empty().then_some(()));
        }
        Self { traces: Traces::of(shim, &container), child, stdin, shim }
    }

    fn die(&mut self, death: Death, stream: bool) {
        let signal = |pid: u32, signal| kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
        match death {
            Death::Eof => self.stdin = None,
            Death::Term => signal(self.shim, Signal::SIGTERM),
            Death::Int => signal(self.shim, Signal::SIGINT),
            Death::Hup => signal(self.shim, Signal::SIGHUP),
            Death::Kill => signal(self.shim, Signal::SIGKILL),
            Death::Client => signal(self.child.id(), Signal::SIGKILL),
            Death::EnginesClient | Death::Both => {
                let clients = engines_clients(self.shim);
                assert_eq!(!clients.is_empty(), stream, "the engine's client is there exactly if it carries the link");
                for pid in clients {
                    let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                }
                if death == Death::Both {
                    signal(self.shim, Signal::SIGKILL);
                } else if !stream {
                    // There is none to be killed: it has just been shown.
                    self.stdin = None;
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a failed test comes here with something alive.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn home_is_stream(link: &str) -> bool {
    link == "stdio"
}

/// What the shim started, other than its keeper.
fn engines_clients(shim: u32) -> Vec<u32> {
    let of_engine = |pid: &u32| alive(*pid) && !read(*pid, "cmdline").starts_with("jitbox-keeper");
    children(shim).into_iter().filter(of_engine).collect()
}

/// How long an MCP server's box may live on, where the shim itself is there to end it.
fn limit(death: Death) -> Option<Duration> {
    match death {
        Death::Eof | Death::Client => Some(Duration::from_secs(2)),
        Death::Term | Death::Int | Death::Hup => Some(Duration::from_secs(1)),
        Death::Kill | Death::EnginesClient | Death::Both => None,
    }
}

/// What two busy cores may add to a limit; gVisor ends a whole kernel of its own with the box.
fn busy(lane: &Lane) -> Duration {
    Duration::from_millis(if lane.is_gvisor() { 2000 } else { 500 })
}

pub fn of(lane: &'static Lane, death: Death) {
    for carrier in CARRIERS {
        if lane.is_gvisor() && carrier == Carrier::Chosen {
            // It is the stream there.
            continue;
        }
        let stream = carrier == Carrier::Stream;
        for server in [Server::Good, Server::Deaf, Server::Roots] {
            let home = Home::warmed(lane, carrier, &[&SERVER]);
            let _quick = quick();
            let mut running = Running::start(lane, &home, server, death);
            running.die(death, stream);
            let traces = &running.traces;
            let child = &mut running.child;
            let gone = std::thread::scope(|scope| {
                scope.spawn(move || child.wait());
                traces.gone(lane)
            });
            eprintln!(
                "{}: {death:?} of {server:?}, {carrier:?}: box gone after {:.2} s, processes {:.2} s, all {:.2} s",
                lane.name,
                gone.inside.as_secs_f32(),
                gone.processes.as_secs_f32(),
                gone.all.as_secs_f32()
            );
            if let Some(limit) = limit(death) {
                assert!(gone.inside < limit + busy(lane), "{death:?} of {server:?} took {:?}", gone.inside);
            }
        }
    }
}

/// A client that goes away while the server has not read what it said.
pub fn unread_input(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&SERVER]);
        let begun = Instant::now();
        let mut running = Running::start(lane, &home, Server::Deaf, Death::Eof);
        if let Some(stdin) = &mut running.stdin {
            stdin.write_all(&[b'x'; 60_000]).unwrap();
        }
        running.die(Death::Eof, carrier == Carrier::Stream);
        let traces = &running.traces;
        let child = &mut running.child;
        std::thread::scope(|scope| {
            scope.spawn(move || child.wait());
            traces.gone(lane)
        });
        eprintln!(
            "{}: unread input, {carrier:?}: gone {:.2} s after the start",
            lane.name,
            begun.elapsed().as_secs_f32()
        );
    }
}

//! Real MCP servers: the same tools as on a bare machine.

use serde_json::{Value, json};

use crate::Case;
use crate::death::command;
use crate::support::home::{CARRIERS, COWSAY, Line};
use crate::support::lane::{nothing_left, processes};
use crate::support::mcp::Client;
use crate::support::npm::Registry;
use crate::support::run::run;
use crate::support::{Carrier, Home, Lane};
use crate::terminal::Screen;

pub const CASES: &[Case] = &[
    Case::new("everything", everything),
    Case::new("filesystem", filesystem),
    Case::new("memory", memory),
    Case::new("time", time),
    Case::new("git", git),
    Case::new("byte_code", byte_code),
    Case::new("lacks", lacks),
    Case::new("browser", browser).on(|lane| lane.name == "podman"),
];

const EVERYTHING: Line = Line { shim: "npx-safe", args: &["-y", "@modelcontextprotocol/server-everything@2026.8.31"] };
const FILESYSTEM: Line =
    Line { shim: "npx-safe", args: &["-y", "@modelcontextprotocol/server-filesystem@2026.8.31", "/tmp"] };
const MEMORY: Line = Line { shim: "npx-safe", args: &["-y", "@modelcontextprotocol/server-memory@2026.8.31"] };
pub const TIME: Line = Line { shim: "uvx-safe", args: &["mcp-server-time@2026.10.19"] };
const GIT: Line = Line { shim: "uvx-safe", args: &["mcp-server-git@2026.10.19"] };

const PLAYWRIGHT: Line = Line { shim: "npx-safe", args: &["-y", "@playwright/mcp@0.0.83"] };

/// The tools that a package has, and the version that had them.
fn expected(package: &str) -> Vec<String> {
    let all: Value = serde_json::from_str(include_str!("data/servers.json")).unwrap();
    let tools = all["servers"][package]["tools"].as_array().unwrap();
    tools.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Starts the line's server with `args` on both carriers, compares its tools, and lets `use_it`
/// work with it.
fn serve(
    lane: &'static Lane,
    line: &Line,
    package: &str,
    args: &dyn Fn(&Home) -> Vec<String>,
    use_it: fn(&mut Client, &Home),
) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[line]);
        let mut words: Vec<String> = line.args.iter().take_while(|w| **w != "/tmp").map(|w| (*w).to_owned()).collect();
        words.extend(args(&home));
        let mut client = Client::start(home.shim(line.shim, words));
        let pid = client.pid();
        let answer = client.initialize();
        assert!(answer["serverInfo"]["name"].is_string(), "{answer}");
        assert_eq!(lane.container(pid).link(lane), carrier.word(lane));
        assert_eq!(client.tools(), expected(package), "{package}");
        use_it(&mut client, &home);
        client.finish();
        nothing_left(lane, pid);
    }
}

fn everything(lane: &'static Lane) {
    serve(lane, &EVERYTHING, "@modelcontextprotocol/server-everything", &|_| vec![], |client, _| {
        assert_eq!(client.call("echo", json!({ "message": "moo" })), "Echo: moo");
    });
}

fn filesystem(lane: &'static Lane) {
    let folder = |home: &Home| {
        let dir = home.folder("files");
        std::fs::write(dir.join("hello.txt"), "hello from outside\n").unwrap();
        home.own(&dir);
        vec![dir.display().to_string()]
    };
    serve(lane, &FILESYSTEM, "@modelcontextprotocol/server-filesystem", &folder, |client, home| {
        let path = home.dir.join("files/hello.txt");
        assert!(client.call("read_text_file", json!({ "path": path })).contains("hello from outside"));
    });
}

fn memory(lane: &'static Lane) {
    serve(lane, &MEMORY, "@modelcontextprotocol/server-memory", &|_| vec![], |client, _| {
        client.call("read_graph", json!({}));
    });
}

fn time(lane: &'static Lane) {
    serve(lane, &TIME, "mcp-server-time", &|_| vec![], |client, _| {
        let now = client.call("get_current_time", json!({ "timezone": "Europe/Berlin" }));
        assert!(now.contains("Europe/Berlin"), "{now}");
    });
}

fn git(lane: &'static Lane) {
    let repository = |home: &Home| {
        let dir = home.folder("repository");
        let script = "git init -q -b main && git -c safe.directory=* -c user.name=t -c user.email=t@example.com commit -q --allow-empty -m first";
        let made = std::process::Command::new("sh").args(["-c", script]).current_dir(&dir).status().unwrap();
        assert!(made.success());
        home.own(&dir);
        vec!["--repository".into(), dir.display().to_string()]
    };
    serve(lane, &GIT, "mcp-server-git", &repository, |client, home| {
        let log = client.call("git_log", json!({ "repo_path": home.dir.join("repository") }));
        assert!(log.contains("first"), "{log}");
    });
}

/// Opens a page in a browser, whose own sandbox there is at level relaxed only. The box is large, so one lane
/// makes it; which system calls it may make is the profile's, which is the same for all engines.
fn browser(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&PLAYWRIGHT]);
    for (level, sandboxed) in [("standard", false), ("relaxed", true)] {
        home.configure(&format!("level = \"{level}\"\n"));
        let mut client = Client::start(home.shim(PLAYWRIGHT.shim, PLAYWRIGHT.args));
        let pid = client.pid();
        client.initialize();
        let opened = client.call("browser_navigate", json!({ "url": "data:text/html,<title>moo</title><h1>cow</h1>" }));
        assert!(opened.contains("Page Title: moo"), "{opened}");
        let of_page = |pid: &u32| command(*pid).contains("--type=renderer");
        let renderer = processes().into_iter().find(of_page).expect("a process for the page");
        let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
        assert_eq!(namespace(renderer) != namespace(lane.container(pid).program()), sandboxed, "{level}");
        client.finish();
        nothing_left(lane, pid);
    }
}

/// What node compiled when the box was made is used, by the package's program only; and where it
/// is damaged it is not in the way.
fn byte_code(lane: &'static Lane) {
    const SAY: &str = "NODE_DEBUG_NATIVE=COMPILE_CACHE";
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&COWSAY]);
        let read = || {
            let done = run(home.shim_with(&[SAY], COWSAY.shim, COWSAY.args), b"").ok();
            assert!(done.text().contains("moo"));
            (done.stderr.matches("was accepted").count(), done.stderr)
        };
        let (accepted, words) = read();
        // Boxes on another kernel have it neither.
        assert_eq!(accepted > 0, carrier.word(lane) != "stdio", "{words}");
        let other = ["-y", "-p", "cowsay", "node", "-p", "process.env.NODE_COMPILE_CACHE"];
        assert_eq!(run(home.shim(COWSAY.shim, other), b"").ok().text().trim(), "undefined");
        let [dir] = &home.compiled()[..] else { panic!("not one box") };
        for folder in std::fs::read_dir(dir).unwrap().flatten() {
            for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
                let length = file.metadata().unwrap().len() as usize;
                std::fs::write(file.path(), vec![b'x'; length]).unwrap();
            }
        }
        let (accepted, words) = read();
        assert_eq!(accepted, 0, "{words}");
        std::fs::remove_dir_all(dir).unwrap();
        assert_eq!(read().0, 0);
    }
}

/// A server that is told in a call where to write.
const SCRIBE: &str = r#"if (process.stdin.isTTY) { console.log("nobody is here"); process.exit() }
const write = ({ path, text }) => {
  try { require("node:fs").writeFileSync(path, text); return "written"; } catch (e) { return e.code; }
};
const results = {
  initialize: () => ({ protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } }),
  "tools/call": (params) => ({ content: [{ type: "text", text: write(params.arguments) }] }),
};
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: results[method](params) }));
});
"#;

/// What a server does not have is said at its first start, in one line, with what gives it; and that does.
fn lacks(lane: &'static Lane) {
    const NAME: &str = "mcp-scribe";
    let (home, mut registry) = (Home::warmed(lane, Carrier::Chosen, &[]), Registry::new());
    registry.publish(&home, json!({ "name": NAME, "version": "1.0.0" }), SCRIBE);
    let dir = home.folder("notes");
    if lane.uid == 0 {
        // Root's own no program can change.
        std::os::unix::fs::chown(&dir, Some(12345), Some(12345)).unwrap();
    }
    let (file, dir) = (dir.join("made.txt"), dir.to_str().unwrap());
    let line = |args: &[&str]| {
        let words = [&["-y", "--registry", &registry.web.url, NAME], args].concat();
        home.shim_with(&[&registry.no_proxy()], "npx-safe", words)
    };
    // What the tool answers, and what jitbox said.
    let write = |args: &[&str]| {
        let mut client = Client::start(line(args));
        client.initialize();
        let answer = client.call("write", json!({ "path": file, "text": "made" }));
        let said = client.finish().stderr;
        let said: Vec<String> =
            said.lines().filter(|line| line.starts_with("npx-safe: it ")).map(str::to_owned).collect();
        (answer, said)
    };
    let whom = shell_words::join([&format!("npm:{NAME}"), &format!("--registry={}", registry.web.url)]);
    let jitbox = |words: String| {
        run(home.shim("jitbox", shell_words::split(&words).unwrap().iter().skip(1)), b"").ok();
    };
    let nothing = Vec::<String>::new();

    let of_both = format!(
        "npx-safe: it reaches no network and no files of yours (to give some: jitbox allow {whom} --read DIR, --write DIR or \
         --net open)"
    );
    assert_eq!(write(&[]), ("ENOENT".to_owned(), vec![of_both]));
    assert_eq!(write(&[]), ("ENOENT".to_owned(), nothing.clone()), "it was said");
    jitbox(format!("jitbox allow {whom} --write {dir}"));
    assert_eq!(write(&[]), ("written".to_owned(), nothing.clone()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "made");

    // A path on its line can be read.
    jitbox(format!("jitbox deny {whom} --write {dir}"));
    std::fs::remove_file(&file).unwrap();
    let (answer, said) = write(&[dir]);
    assert!(["EROFS", "EACCES"].contains(&&*answer) && !file.exists(), "{answer}");
    let command = format!("jitbox allow {whom} --write {dir}");
    assert_eq!(said, [format!("npx-safe: it can read {dir} and not change it (to let it: {command})")]);
    assert_eq!(write(&[dir]).1, nothing, "it was said");
    jitbox(command);
    assert_eq!(write(&[dir]), ("written".to_owned(), nothing));

    // A person who tries it out is not its client.
    home.forget_told();
    let mut screen = Screen::start(&line(&[]));
    assert!(screen.end().success());
    screen.wait_for("nobody is here");
    assert!(!screen.text().contains("reaches no network"), "{}", screen.text());
    home.remove_boxes();
}

//! Servers that people develop with, on their own defaults: each gets at most one grant. Run by hand (`just servers`);
//! what it prints is `docs/servers.md`.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Case;
use crate::support::mcp::Client;
use crate::support::web::Web;
use crate::support::{Home, Lane, run};

pub const CASES: &[Case] = &[Case::new("each", each).by_hand().on(|lane| lane.name == "podman-rootless")];

/// One server; `${dir}` is a project, `${web}` a service that stands for its own.
#[derive(Deserialize)]
struct Server {
    line: Vec<String>,
    tools: usize,
    #[serde(default)]
    noisy: bool,
    #[serde(default)]
    env: Vec<String>,
    /// What `jitbox allow` is given.
    #[serde(default)]
    grant: Vec<String>,
    /// A tool, its arguments, and what its answer has in it.
    calls: Vec<(String, Value, String)>,
    /// The same in another start.
    #[serde(default)]
    again: Vec<(String, Value, String)>,
}

fn each(lane: &'static Lane) {
    let servers: Vec<Server> = serde_json::from_str(include_str!("data/development.json")).unwrap();
    let (web, mut text, mut failed) = (service(), String::new(), Vec::new());
    for server in &servers {
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| serve(lane, server, &web)));
        match tried {
            Ok(said) => text.push_str(&said),
            Err(_) => failed.push(server.line.join(" ")),
        }
    }
    eprintln!("{text}");
    assert!(failed.is_empty(), "{failed:#?}");
    for token in ["Bearer ctx7sk-none", "Bearer ntn_none"] {
        assert!(web.tokens().iter().any(|seen| seen == token), "{token} has not arrived: {:?}", web.tokens());
    }
}

/// What the servers ask for that talk to a service, as far as the calls below need it.
fn service() -> Web {
    let web = Web::start_outside();
    web.put("page.html", b"<html><body><h1>Hello</h1><p>from outside</p></body></html>".to_vec());
    web.put("llms.txt", b"# Button\n\nHow to press it.\n".to_vec());
    let library = json!({ "id": "/jitbox/jitbox", "title": "jitbox", "description": "Boxes", "totalSnippets": 1, "trustScore": 9 });
    web.put("api/v2/libs/search", json!({ "results": [library] }).to_string().into_bytes());
    web.put(
        "v1/users/me",
        json!({ "object": "user", "id": "1", "type": "bot", "name": "cow" }).to_string().into_bytes(),
    );
    web
}

/// What is in a folder, and when it was changed.
fn contents(dir: &Path) -> String {
    let listed = Command::new("find").arg(dir).args(["-printf", "%p %s %T@\\n"]).output().unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

/// Each of the commands that jitbox names at a server's first start, of which one is to be typed.
fn offered(words: &str, dir: &str) -> Vec<String> {
    let line = words.lines().find(|line| line.contains("-safe: it ")).unwrap_or_else(|| panic!("{words}"));
    let (_, command) = line.trim_end_matches(')').split_once(": jitbox allow ").unwrap();
    let (whom, options) = command.split_once(" --").unwrap();
    let options = options.split(", --").flat_map(|option| option.split(" or --"));
    options.map(|option| format!("jitbox allow {whom} --{}", option.replace("DIR", dir))).collect()
}

/// Lets a server do without its grant: a tool fails, and jitbox names the command that gives it, which is returned.
fn missed(server: &Server, mut client: Client, fill: &dyn Fn(&String) -> String, dir: &Path) -> String {
    let (tool, arguments, want) = &server.calls[0];
    let before = contents(dir);
    client.initialize();
    let arguments: Value = serde_json::from_str(&fill(&arguments.to_string())).unwrap();
    let said = client.ask_anyway("tools/call", json!({ "name": tool, "arguments": arguments })).to_string();
    let is_for = |option: &str| server.grant.iter().any(|word| word == option);
    // A complaint repeats the name of what was to be written.
    assert!(is_for("--write") || !said.contains(&fill(want)), "{tool}: {said}");
    assert_eq!(contents(dir), before, "{tool}: {said}");
    let words = client.finish().stderr;
    let command = format!("jitbox allow {}", shell_words::join(server.grant.iter().map(fill)));
    assert!(offered(&words, dir.to_str().unwrap()).contains(&command), "{command}: {words}");
    // And a network at the very moment, too.
    let at_once = format!("(to let it reach everything: {command})");
    assert!(!is_for("--net") || words.contains(&at_once), "{at_once}: {words}");
    command
}

fn serve(lane: &'static Lane, server: &Server, web: &Web) -> String {
    let home = Home::empty(lane);
    let dir = home.folder("project");
    let made = Command::new("sh").args(["-c", "git init -q -b main"]).current_dir(&dir).status().unwrap();
    assert!(made.success());
    for (file, content) in [
        ("page.html", "<h1>Hello</h1>"),
        ("wrong.js", "console.log(nowhere);\n"),
        ("eslint.config.mjs", "export default [{ rules: { 'no-undef': 'error' } }];\n"),
    ] {
        std::fs::write(dir.join(file), content).unwrap();
    }
    home.own(&dir);
    let fill = |word: &String| word.replace("${dir}", dir.to_str().unwrap()).replace("${web}", &web.url);
    let mut text = String::new();
    let shown = |words: &[String]| {
        shell_words::join(words).replace("'${dir}", "~/project'").replace("~/project''", "~/project")
    };
    let environment: Vec<String> = server.env.iter().map(fill).collect();
    let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
    let start = || {
        let line = server.line[1..].iter().map(fill);
        let mut client = Client::start(home.shim_with(&environment, &server.line[0], line));
        client.noisy = server.noisy;
        client
    };
    if !server.grant.is_empty() {
        let command = missed(server, start(), &fill, &dir);
        run(home.shim("jitbox", shell_words::split(&command).unwrap().iter().skip(1)), b"").ok();
        let _ = writeln!(text, "$ jitbox allow {}", shown(&server.grant));
    }
    let set: String = server.env.iter().map(|variable| format!("{}=… ", variable.split('=').next().unwrap())).collect();
    let _ = writeln!(text, "$ {set}{}", shown(&server.line));
    for (at, calls) in [&server.calls, &server.again].into_iter().enumerate() {
        if at == 1 && calls.is_empty() {
            break;
        }
        let mut client = start();
        let answer = client.initialize();
        let tools = client.tools().len();
        if at == 0 {
            let _ = writeln!(text, "  {}: {tools} tools", answer["serverInfo"]["name"].as_str().unwrap());
        } else {
            let _ = writeln!(text, "  (started again)");
        }
        assert_eq!(tools, server.tools);
        for (tool, arguments, want) in calls {
            let arguments: Value = serde_json::from_str(&fill(&arguments.to_string())).unwrap();
            let said = client.call(tool, arguments.clone());
            assert!(said.contains(&fill(want)), "{tool}: {said}");
            let short: String = said.replace(dir.to_str().unwrap(), "~/project").replace(&web.url, "http://service");
            let short: String = short.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "  {tool} → {}", short.chars().take(90).collect::<String>());
        }
        let done = client.finish();
        for line in done.stderr.lines().filter(|line| line.starts_with(&format!("{}:", server.line[0]))) {
            eprintln!("{line}");
        }
    }
    home.remove_boxes();
    text.push('\n');
    text
}

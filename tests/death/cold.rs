//! Deaths while a box is being made.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::SERVER;
use super::traces::read;
use crate::support::lane::{children, nothing_left, processes};
use crate::support::run::finish;
use crate::support::{Carrier, Done, Home, Lane, run, wait_for};

/// A box of each test's own: it is removed again and again.
type Line = [&'static str; 7];
const KILLED: Line = ["-y", "-p", "cowsay@1.4.0", "-p", "is-even@1.0.0", "cowsay", "moo"];
const FAILED: Line = ["-y", "-p", "cowsay@1.4.0", "-p", "is-odd@3.0.1", "cowsay", "moo"];
const ORPHANED: Line = ["-y", "-p", "cowsay@1.4.0", "-p", "is-number@7.0.0", "cowsay", "moo"];

/// How often a shim is killed while it makes its box: they take minutes, and so most lanes have fewer of them.
fn kills_on(lane: &Lane) -> u32 {
    if lane.name == "podman-rootless" { 20 } else { 8 }
}

/// A keeper gives a build's client 1.5 s to stop and the container in which a tree is resolved
/// time to start, clears up twice, and waits for an engine that other tests keep busy.
const PATIENCE: Duration = Duration::from_secs(150);

fn spawn(home: &Home, line: Line) -> Child {
    let mut command = home.shim("npx-safe", line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn right(done: Done) -> u32 {
    let done = done.ok();
    assert!(done.text().contains("< moo >"), "{}", done.words());
    done.pid
}

/// The name of the box's image.
fn image(home: &Home) -> String {
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&home.records()[0]).unwrap()).unwrap();
    record["image"].as_str().unwrap().to_owned()
}

/// Nothing is made.
fn forget(lane: &Lane, home: &Home, image: &str) {
    for record in home.records() {
        std::fs::remove_file(record).unwrap();
    }
    lane.engine_says(&["image", "rm", image]);
}

pub fn kills(lane: &'static Lane) {
    let home = Home::empty(lane);
    let begun = Instant::now();
    let mut shims = vec![right(run(home.shim("npx-safe", KILLED), b""))];
    let whole = begun.elapsed();
    let image = image(&home);
    let kills = kills_on(lane);
    for i in 0..kills {
        forget(lane, &home, &image);
        let mut child = spawn(&home, KILLED);
        std::thread::sleep(whole * i / kills + Duration::from_millis(7));
        child.kill().unwrap();
        child.wait().unwrap();
        // An image that is in use would only lose its name.
        wait_for("the end of the box", || lane.containers(child.id()).is_empty().then_some(()));
        shims.push(child.id());
    }
    forget(lane, &home, &image);
    shims.push(right(run(home.shim("npx-safe", KILLED), b"")));
    clean(lane, &home, &shims);
    home.remove_boxes();
}

/// The engine's client dies while the container works, or while the image is made: the shim says so, and makes it next time.
pub fn kill_of_the_makers_client(lane: &'static Lane) {
    let home = Home::empty(lane);
    let mut shims = Vec::new();
    for (client, patience) in [(" run --interactive --name=", 700), (" commit --change=", 0)] {
        let mut child = spawn(&home, FAILED);
        shims.push(child.id());
        let client = client_of(&mut child, client);
        std::thread::sleep(Duration::from_millis(patience));
        kill(Pid::from_raw(client.cast_signed()), Signal::SIGKILL).unwrap();
        let done = finish(child);
        assert!(!done.status.success());
        assert!(done.stderr.contains("ended by signal 9"), "{}", done.words());
    }
    shims.push(right(run(home.shim("npx-safe", FAILED), b"")));
    clean(lane, &home, &shims);
    home.remove_boxes();
}

/// The shim and its keeper die while a box is made: a later start clears up after them, even
/// one of somebody who keeps the boxes in another place.
pub fn kill_of_the_keeper(lane: &'static Lane) {
    let home = Home::empty(lane);
    let mut child = spawn(&home, ORPHANED);
    wait_for("the container", || (!lane.containers(child.id()).is_empty()).then_some(()));
    let keeper = child_with(child.id(), "jitbox-keeper");
    kill(Pid::from_raw(keeper.cast_signed()), Signal::SIGKILL).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!lane.containers(child.id()).is_empty(), "nothing to clear up");
    let other = Home::warmed(lane, Carrier::Chosen, &[&SERVER]);
    let done = run(other.shim(SERVER.shim, SERVER.args), b"").ok();
    clean(lane, &home, &[child.id(), done.pid]);
    home.remove_boxes();
}

/// The engine's client with this in its command line that works for a shim, once it is there.
fn client_of(shim: &mut Child, words: &str) -> u32 {
    wait_for(&format!("the client with `{words}`"), || {
        let client = children(shim.id()).into_iter().find(|pid| read(*pid, "cmdline").contains(words));
        if client.is_none() && shim.try_wait().unwrap().is_some() {
            let mut words = String::new();
            shim.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            panic!("nothing was made: {words}");
        }
        client
    })
}

/// The child of `shim` with this in its command line, once it is there.
pub fn child_with(shim: u32, words: &str) -> u32 {
    let has = |pid: &u32| read(*pid, "cmdline").contains(words);
    wait_for(&format!("the child with `{words}`"), || children(shim).into_iter().find(has))
}

/// Waits until there is nothing of these starts and builds.
pub fn clean(lane: &Lane, home: &Home, shims: &[u32]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = dangling(lane, home, shims);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "left behind: {left:#?}");
        std::thread::sleep(Duration::from_millis(300));
    }
    for shim in shims {
        nothing_left(lane, *shim);
    }
}

fn dangling(lane: &Lane, home: &Home, shims: &[u32]) -> Vec<String> {
    let ours = |text: &str| shims.iter().any(|shim| text.contains(&format!("jitbox-{shim}-")));
    let mut left = Vec::new();
    if lane.engine() == "podman" {
        let all = lane.engine_says(&["ps", "--all", "--format", "{{.Names}}"]);
        left.extend(all.lines().filter(|name| ours(name)).map(|name| format!("container {name}")));
    }
    let listed = lane.engine_command(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).output().unwrap();
    if !listed.status.success() {
        // podman lists none at all when one of them was half stored.
        left.push(format!("images that can't be listed: {}", String::from_utf8_lossy(&listed.stderr)));
    }
    let tags = String::from_utf8_lossy(&listed.stdout);
    left.extend(tags.lines().filter(|tag| ours(tag)).map(|tag| format!("tag {tag}")));
    for id in lane.engine_says(&["images", "--quiet", "--no-trunc", "--filter", "dangling=true"]).lines() {
        let label = r#"{{index .Config.Labels "io.jitbox.run"}}"#;
        let run = lane.engine_says(&["image", "inspect", "--format", label, id]);
        if ours(&run) {
            left.push(format!("image {id} of {run}"));
        }
    }
    for pid in processes() {
        let command = read(pid, "cmdline");
        let keeper = command.starts_with("jitbox-keeper")
            && std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&home.dir));
        // What the engine's client started has the run's name there.
        let environment = read(pid, "environ");
        let marked = |word: &str| word.starts_with("JITBOX_RUN=") && ours(word);
        if keeper || environment.split(' ').any(marked) {
            left.push(format!("process {pid}: {command}"));
        }
    }
    left
}

//! Registries that are down or lie, and disks that take nothing: what failed is said, and nothing is lost.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::Case;
use crate::registries::own::{Server, response};
use crate::support::npm::{Registry, packed};
use crate::support::{Carrier, Done, Home, Lane, run, wait_for};

pub const CASES: &[Case] = &[
    Case::new("swapped_tarball", swapped_tarball).on(Lane::fetches),
    Case::new("lying_registry", lying_registry).on(|lane| lane.name == "podman"),
    Case::new("full_disk", full_disk).on(|lane| lane.name == "podman"),
    Case::new("read_only_home", read_only_home).on(|lane| lane.name == "podman"),
];

/// It says what failed and why, in a few lines, and nobody panicked.
fn said_clearly(done: &Done, words: &[&str]) {
    assert!(words.iter().all(|word| done.stderr.contains(word)), "not {words:?}: {}", done.words());
    let long = done.stderr.lines().count() > 12 || done.stderr.len() > 2000;
    assert!(!long && !done.stderr.contains("panicked") && done.stdout.is_empty(), "{}", done.words());
}

/// Another file in the place of the one that was locked is refused, in the first build and when the image is made again,
/// whatever the registry says of it by now.
fn swapped_tarball(lane: &'static Lane) {
    const NAME: &str = "mcp-swap";
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let mut registry = Registry::new();
    let manifest = |version: &str| json!({ "name": NAME, "version": version });
    let file = |version: &str| format!("{NAME}-{version}.tgz");
    registry.publish(&home, manifest("1.0.0"), "console.log('good')");
    assert_eq!(registry.start(&home, &[NAME]).ok().text(), "good\n");

    // The image is gone, and the registry has another file of that version, with its right hash.
    let record: Value = serde_json::from_slice(&std::fs::read(&home.records()[0]).unwrap()).unwrap();
    let image = record["image"].as_str().unwrap();
    // The container of the start may still be on its way out.
    wait_for("the image's end", || run(lane.engine_command(&["rmi", image]), b"").status.success().then_some(()));
    registry.publish(&home, manifest("1.0.0"), "console.log('evil')");
    // What was locked is still kept.
    assert_eq!(registry.start(&home, &[NAME]).ok().text(), "good\n");
    wait_for("the image's end", || run(lane.engine_command(&["rmi", image]), b"").status.success().then_some(()));
    registry.jitbox(&home, &["prune", "--cache"]).ok();
    let done = registry.start(&home, &[NAME]).ended(125);
    said_clearly(&done, &["EINTEGRITY", "another file than the one that was locked"]);

    // A registry that says one hash and sends another file.
    registry.publish(&home, manifest("2.0.0"), "console.log('two')");
    let (evil, _) = packed(&home, &manifest("2.0.1"), "console.log('evil')");
    registry.web.put(&file("2.0.0"), evil);
    let line = format!("{NAME}@2.0.0");
    let done = registry.start(&home, &[&line]).ended(125);
    said_clearly(&done, &["EINTEGRITY", "another file than the one that was locked"]);

    // Both are well again when the files are.
    registry.publish(&home, manifest("1.0.0"), "console.log('good')");
    registry.publish(&home, manifest("2.0.0"), "console.log('two')");
    assert_eq!(registry.start(&home, &[NAME]).ok().text(), "good\n");
    assert_eq!(registry.start(&home, &[&line]).ok().text(), "two\n");
    home.remove_boxes();
}

/// Nothing, HTML, too much, a circle, half of an answer: each is named, with the host, within a minute.
fn lying_registry(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let server = Server::start(|port| {
        Box::new(move |path| match path {
            "/html" => response("200 OK\r\ncontent-type: text/html\r\n", b"<html>please log in</html>"),
            "/huge" => response("200 OK\r\ncontent-type: application/json\r\n", &vec![b' '; 300 << 20]),
            "/half" => b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"name\":".to_vec(),
            "/none" => response("200 OK\r\ncontent-type: application/json\r\n", b"{\"name\":\"none\",\"versions\":{}}"),
            "/broken" => response("503 Service Unavailable\r\n", b""),
            path => response(&format!("302 Found\r\nlocation: http://127.0.0.1:{port}{path}x\r\n"), b""),
        })
    });
    let at = |port: u16, name: &str, code: i32| {
        let url = format!("http://127.0.0.1:{port}");
        let begun = Instant::now();
        let done = run(home.shim_with(&["NO_PROXY=127.0.0.1"], "npx-safe", ["-y", "--registry", &url, name]), b"");
        assert!(begun.elapsed().as_secs() < 60, "{name}: {:?}", begun.elapsed());
        done.ended(code)
    };
    let host = "127.0.0.1";
    said_clearly(&at(server.port, "html", 125), &[host]);
    said_clearly(&at(server.port, "huge", 125), &[host]);
    said_clearly(&at(server.port, "half", 125), &[host]);
    said_clearly(&at(server.port, "none", 127), &["none"]);
    said_clearly(&at(server.port, "broken", 125), &[host, "503"]);
    said_clearly(&at(server.port, "round", 125), &[host, "redirects"]);
    // Nobody listens there any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    said_clearly(&at(free, "down", 125), &[host]);
    assert!(home.records().is_empty());
}

fn cowsay(home: &Home) -> Command {
    home.shim_with(&[], "npx-safe", ["-y", "cowsay", "moo"])
}

/// Without room for our files a box that is there still starts; a new one is refused, and all is well when there is room.
fn full_disk(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&crate::support::home::COWSAY]);
    assert!(run(cowsay(&home), b"").ok().text().contains("moo"));
    // What is there stays, and takes up all of it.
    let dir = home.dir.display();
    let full = format!(
        "cp -a {dir}/data /tmp/.jitbox-full-$$; size=$(du -sk {dir}/data | cut -f1)
        mount -t tmpfs -o size=$((size + 64))k tmpfs {dir}/data; cp -a /tmp/.jitbox-full-$$/. {dir}/data/
        rm -rf /tmp/.jitbox-full-$$; mkdir -p {dir}/log; mount -t tmpfs -o size=4k tmpfs {dir}/log
        dd if=/dev/zero of={dir}/data/fill bs=1k 2>/dev/null || true; dd if=/dev/zero of={dir}/log/fill bs=1k 2>/dev/null || true"
    );
    let done = run(home.shim_in(&full, &cowsay(&home)), b"").ok();
    assert!(done.text().contains("moo"), "{}", done.words());
    let new = home.shim_with(&[], "npx-safe", ["-y", "cowsay@1.5.0", "moo"]);
    let done = run(home.shim_in(&full, &new), b"").ended(125);
    said_clearly(&done, &["No space left"]);
    assert!(run(cowsay(&home), b"").ok().text().contains("moo"));
    assert_eq!(home.records().len(), 1);
}

/// The same where nothing of ours can be written.
fn read_only_home(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&crate::support::home::COWSAY]);
    assert!(run(cowsay(&home), b"").ok().text().contains("moo"));
    let dir = home.dir.display();
    let fixed = format!("mount --bind {dir} {dir}; mount -o remount,bind,ro {dir}");
    let done = run(home.shim_in(&fixed, &cowsay(&home)), b"").ok();
    assert!(done.text().contains("moo"), "{}", done.words());
    let new = home.shim_with(&[], "npx-safe", ["-y", "cowsay@1.5.0", "moo"]);
    let done = run(home.shim_in(&fixed, &new), b"").ended(125);
    said_clearly(&done, &["Read-only file system"]);
    for command in [&["ls"][..], &["allow", "npm:cowsay", "--net", "none"], &["rm", "cowsay"]] {
        let done = run(home.shim_in(&fixed, &home.shim("jitbox", command)), b"");
        assert!(!done.stderr.contains("panicked"), "{}", done.words());
        if command != ["ls"] {
            said_clearly(&done.ended(1), &["Read-only file system"]);
        }
    }
    assert!(run(cowsay(&home), b"").ok().text().contains("moo"));
}

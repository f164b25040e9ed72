//! Where a secret may have gone: looked for while a box is made, and afterwards in everything
//! that is left.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::support::lane::processes;
use crate::support::{Home, run, wait_for};

/// Looks at all processes' arguments and environments until it is asked.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, BTreeSet<String>)>,
    started: SystemTime,
}

impl Watch {
    /// Starts looking for `secrets`. Whoever has `owner` in its environment, or with its
    /// arguments makes such an environment, was given them by the user.
    pub fn start(secrets: &[&str], owner: &'static str) -> Self {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|s| s.as_bytes().to_vec()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut rounds, mut found) = (0, BTreeSet::new());
            while !asked.load(Ordering::Relaxed) {
                for pid in processes() {
                    look(pid, &secrets, owner, &mut found);
                }
                rounds += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            (rounds, found)
        });
        Self { stop, thread, started: SystemTime::now() }
    }

    /// What was found; and when it began.
    #[track_caller]
    pub fn nothing_seen(self) -> SystemTime {
        self.stop.store(true, Ordering::Relaxed);
        let (rounds, found) = self.thread.join().unwrap();
        assert!(rounds > 10, "looked only {rounds} times");
        assert!(found.is_empty(), "{found:#?}");
        self.started
    }
}

fn look(pid: u32, secrets: &[Vec<u8>], owner: &str, found: &mut BTreeSet<String>) {
    let read = |file| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let (arguments, environment) = (read("cmdline"), read("environ"));
    let shown = || String::from_utf8_lossy(&arguments).replace('\0', " ");
    for secret in secrets {
        if holds(&arguments, secret) && !holds(&arguments, owner.as_bytes()) {
            found.insert(format!("arguments of {pid}: {}", shown()));
        }
        if holds(&environment, secret) && !holds(&environment, owner.as_bytes()) {
            found.insert(format!("environment of {pid}: {}", shown()));
        }
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|bytes| bytes == part)
}

/// Fails if one of `secrets` is in the only box's image, in what the engine says about it, in
/// our files, or in what the engine has written since `started`. `sign` is in the image: a
/// search that does not find it proves nothing.
#[track_caller]
pub fn none_left(home: &Home, secrets: &[&str], sign: &str, started: SystemTime) {
    let records = home.records();
    assert_eq!(records.len(), 1);
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&records[0]).unwrap()).unwrap();
    let image = record["image"].as_str().unwrap();
    let lane = home.lane;
    for (question, known) in
        [(&["image", "inspect", image][..], "io.jitbox.lock.0"), (&["history", "--no-trunc", image], "sh")]
    {
        let said = lane.engine_says(question);
        assert!(said.contains(known), "{question:?} does not say `{known}`\n{said}");
        assert!(secrets.iter().all(|secret| !said.contains(secret)), "{said}");
    }
    search_files(home, image, secrets, sign);
    search_engine(home, secrets, sign, started);
}

/// The image with all its layers and its configuration, and our records.
fn search_files(home: &Home, image: &str, secrets: &[&str], sign: &str) {
    let searched = home.folder("searched");
    let saved = searched.join("image.tar");
    home.lane.engine_says(&["save", "--output", saved.to_str().unwrap(), image]);
    assert!(saved.metadata().is_ok_and(|m| m.len() > 1 << 20), "no image was saved");
    // A secret as an npmrc would have it, in a layer: found, or the search is worth nothing.
    let planted = home.write("searched/planted/npmrc", &format!("//h/:_auth={}\n", BASE64_STANDARD.encode(secrets[0])));
    let layer = searched.join("planted.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("czf").arg(&layer).arg("-C").arg(planted.parent().unwrap()).arg("npmrc");
    run(tar, b"").ok();

    let mut texts = vec![sign];
    texts.extend(secrets);
    let found = search(&searched.join("texts"), &texts, &[&saved, &home.data(), &layer]);
    assert!(found.contains(&format!("found 0 in {}", saved.display())), "the image was not searched\n{found}");
    let secret = |line: &&str| line.starts_with("found") && !line.starts_with("found 0 ");
    assert_eq!(found.lines().filter(secret).collect::<Vec<_>>(), [format!("found 1 in {}!!npmrc", layer.display())]);
    std::fs::remove_dir_all(&searched).unwrap();
}

/// The engine's own files, its cache of builds among them, what we keep at run time, and the
/// test bed's logs.
fn search_engine(home: &Home, secrets: &[&str], sign: &str, started: SystemTime) {
    let lane = home.lane;
    let format = if lane.engine() == "podman" { "{{.Store.GraphRoot}}" } else { "{{.DockerRootDir}}" };
    let root = lane.engine_says(&["info", "--format", format]);
    assert!(root.starts_with('/'), "{root}");
    let runtime = format!("{}/jitbox", lane.env["XDG_RUNTIME_DIR"]);
    let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let list = home.write("list", &[&[sign], secrets].concat().iter().map(|t| format!("{t}\n")).collect::<String>());
    // Files with a secret; none if the search did not come as far as the image: find gives up when a folder goes.
    let look = || {
        // As root, who may read the files of all of a lane's users.
        let mut command = if lane.is_rootless() { Command::new("sh") } else { lane.command("sh") };
        command.args(["-c", GREP, "sh"]).arg(&list).arg(since.to_string()).args([&root, &runtime]);
        let text = run(command, b"").text();
        let with = |part: &str| -> Vec<String> {
            text.lines().filter_map(|line| line.strip_suffix(part)).map(str::to_owned).collect()
        };
        let found: Vec<Vec<String>> = secrets.iter().map(|secret| with(secret)).collect();
        (!with(sign).is_empty()).then(|| found.concat())
    };
    // Another test may be fetching with the same login right now: what is left stays.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut found = wait_for(&format!("the image's own text in {root}"), look);
    while !found.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(1));
        let again = wait_for(&format!("the image's own text in {root}"), look);
        found.retain(|file| again.contains(file));
    }
    assert_eq!(found, Vec::<String>::new());
    let logs = Path::new(&lane.env["HOME"]).join("../../log");
    let in_logs = |text: &str| {
        let files = std::fs::read_dir(&logs).unwrap().flatten();
        files.filter(|file| std::fs::read(file.path()).is_ok_and(|bytes| holds(&bytes, text.as_bytes()))).count()
    };
    assert!(in_logs("\n") > 0, "there are no logs in {}", logs.display());
    assert!(secrets.iter().all(|secret| in_logs(secret) == 0), "in the logs of {}", logs.display());
}

/// What was written or renamed since then, and has one of the texts. Something may go meanwhile.
const GREP: &str = r#"find "$3" "$4" -newerct "@$2" -type f -exec grep -oaF -f "$1" /dev/null {} + 2>/dev/null"#;

fn search(list: &Path, texts: &[&str], places: &[&Path]) -> String {
    std::fs::write(list, texts.iter().map(|text| format!("{text}\n")).collect::<String>()).unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", include_str!("search.py")]).arg(list).args(places);
    run(python, b"").ok().text()
}

//! What an engine is told on every call.

use std::fs;

use super::*;
use crate::error::Kind as Failure;

#[test]
fn the_environment_is_scrubbed() {
    let bed = Bed::new(&["podman"]).all_alive().env(&[
        ("LISTEN_FDS", "1"),
        ("NOTIFY_SOCKET", "/n"),
        ("INVOCATION_ID", "1"),
        ("PODMAN_USERNS", "host"),
        ("CONTAINERS_CONF", "/evil"),
        ("DOCKER_CONFIG", "/d"),
        ("HTTPS_PROXY", "http://u:p@h"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("SSH_AUTH_SOCK", "/agent"),
        ("LD_PRELOAD", "/evil.so"),
        ("TMPDIR", "relative"),
        ("LANG", "C.UTF-8"),
    ]);
    fs::write(bed.dir.path().join("run/bus"), "").unwrap();
    let engine = bed.find().unwrap();
    let mut names: Vec<&str> = engine.environment.iter().filter_map(|(name, _)| name.to_str()).collect();
    names.retain(|name| *name != "DBUS_SESSION_BUS_ADDRESS");
    assert_eq!(
        names,
        ["PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "LANG", "PODMAN_IGNORE_CGROUPSV1_WARNING"]
    );
    let bus = engine.environment.iter().any(|(name, _)| name == "DBUS_SESSION_BUS_ADDRESS");
    assert_eq!(bus, bed.context.uid != 0);
    let path = engine.environment[0].1.to_str().unwrap();
    assert!(
        path.starts_with(bed.dir.path().join("bin").to_str().unwrap())
            && path.ends_with("/usr/bin:/bin:/usr/sbin:/sbin"),
        "{path}"
    );
}

#[test]
fn dockers_endpoint_is_pinned() {
    let bed = Bed::new(&["docker"]).all_alive();
    let default = format!("unix://{}", bed.dir.path().join("docker.sock").display());
    assert_eq!(bed.find().unwrap().endpoint, ["--host", default.as_str()]);

    // Rootless, if the system's is not there.
    let rootless = bed.dir.path().join("run/docker.sock");
    fs::write(&rootless, "").unwrap();
    assert_eq!(bed.find().unwrap().endpoint[1], OsString::from(format!("unix://{}", rootless.display())));

    // The current context, by what it points to; not by its name, which can be pointed elsewhere.
    let config = bed.context.home.join(".docker");
    let id = hex(b"desktop-linux");
    fs::create_dir_all(config.join("contexts/meta").join(&id)).unwrap();
    fs::write(config.join("config.json"), r#"{"auths":{},"currentContext":"desktop-linux"}"#).unwrap();
    assert!(bed.find().unwrap_err().to_string().contains("does not exist"));
    let meta = config.join("contexts/meta").join(&id).join("meta.json");
    let context = |host: &str| {
        format!(
            r#"{{"Name":"desktop-linux","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        )
    };
    fs::write(&meta, context("unix:///desk.sock")).unwrap();
    assert_eq!(bed.find().unwrap().endpoint, ["--host", "unix:///desk.sock"]);
    fs::write(&meta, context("ssh://me@far")).unwrap();
    let engine = bed.find().unwrap();
    assert_eq!(engine.endpoint, ["--context", "desktop-linux"]);
    assert!(engine.facts.remote);
    fs::write(&meta, context("tcp://far:2376")).unwrap();
    assert_eq!(bed.find().unwrap_err().kind, Failure::Refused);

    for (host, tls, fine) in [
        ("tcp://127.0.0.1:2375", "", false),
        ("127.0.0.1:2375", "", false),
        ("http://h", "1", false),
        ("tcp://h:2376", "1", true),
        ("ssh://u@h", "", true),
        ("ssh://-oProxyCommand=x", "", false),
        ("unix://relative", "", false),
        ("lxc://x", "1", false),
    ] {
        let bed = Bed::new(&["docker"]).all_alive().env(&[("DOCKER_HOST", host), ("DOCKER_TLS_VERIFY", tls)]);
        assert_eq!(bed.find().is_ok(), fine, "{host}");
    }
}

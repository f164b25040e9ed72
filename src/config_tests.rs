use super::*;

#[test]
fn everything_that_can_be_said() {
    let config = Config::parse(
        "engine = \"nerdctl\"\nruntime = \"runsc\"\nnetwork = \"open\"\n[env]\npass = [\"A_B\"]\n[images]\nnode = \"r.example:5000/node:{version}\"\n\
         [limits]\nmemory = \"1g\"\ncpus = 1\npids = 64\ntmp = \"128M\"\nidle = \"90s\"\n",
    )
    .unwrap();
    assert_eq!(config.engine, Some(EngineChoice::Kind(Kind::Nerdctl)));
    assert_eq!(config.runtime.as_deref(), Some("runsc"));
    assert_eq!(config.network, Network::Open);
    assert_eq!(config.env.pass, ["A_B"]);
    assert_eq!(config.images.python, Images::default().python);
    assert_eq!(
        config.limits,
        Limits { memory: 1 << 30, cpus: 1.0, pids: 64, tmp: 128 << 20, idle: Some(Duration::from_secs(90)) }
    );
    assert_eq!(Config::parse("").unwrap(), Config::default());
    let path = Config::parse("engine = \"/opt/podman/bin/podman\"").unwrap();
    assert_eq!(path.engine, Some(EngineChoice::Program("/opt/podman/bin/podman".into())));
}

#[test]
fn mistakes_name_the_line_and_what_is_allowed() {
    for (text, line, word) in [
        ("engine = \"lxc\"", "line 1", "docker, podman, nerdctl"),
        ("\n\nnetwork = \"host\"", "line 3", "`none`"),
        ("level = \"lax\"", "line 1", "`relaxed`"),
        ("[limits]\nmemory = \"lots\"", "line 2", "512m"),
        ("[limits]\nmemory = \"1m\"", "line 2", "6m"),
        ("[limits]\ncpus = 0", "line 2", "between"),
        ("[limits]\ncpus = nan", "line 2", "between"),
        ("[limits]\npids = -1", "line 2", "u32"),
        ("[limits]\nidle = \"5\"", "line 2", "30m"),
        ("[limits]\nidle = \"0m\"", "line 2", "30m"),
        ("[limits]\nidle = \"99999h\"", "line 2", "30m"),
        ("[env]\npass = [\"A=B\"]", "line 2", "variable"),
        ("[images]\nnode = \"-v/:/h\"", "line 2", "image"),
        ("runtime = \"-x\"", "line 1", "runtime"),
        ("[packages]\nsources = [\"github:o/r\"]", "line 2", "address"),
        ("[packages]\nsources = [\"https://u:p@h/\"]", "line 2", "address"),
        ("[packages]\nage = \"3 months\"", "line 2", "3 days"),
        ("[packages]\nage = \"3\"", "line 2", "3 days"),
        ("[packages]\nage = 3", "line 2", "string"),
        ("[packages]\nyoung = [\"acme\"]", "line 2", "npm:NAME"),
        ("[packages]\nyoung = [\"npm:*\"]", "line 2", "npm:NAME"),
        ("[packages]\nyoung = [\"npm:acme/*\"]", "line 2", "npm:NAME"),
        ("[packages]\nyoung = [\"npm:@acme/a*\"]", "line 2", "npm:NAME"),
        ("[packages]\nyoung = [\"pypi:*\"]", "line 2", "npm:NAME"),
        ("[packages]\nyoung = [\"npm:a@1\"]", "line 2", "npm:NAME"),
        ("[state]\nkeep = [\"npm:a@1\"]", "line 2", "npm:NAME"),
        ("[state]\nkeep = [\"a\"]", "line 2", "npm:NAME"),
        ("colour = 1", "line 1", "`engine`"),
        ("engine = ", "line 1", ""),
    ] {
        let why = Config::parse(text).unwrap_err();
        assert!(why.contains(line) && why.contains(word), "{text}: {why}");
    }
}

#[test]
fn sizes() {
    assert_eq!(parse_bytes("64k"), Some(65536));
    assert_eq!(parse_bytes("2GB"), Some(2 << 30));
    assert_eq!(parse_bytes("100"), Some(100));
    for wrong in ["", "m", "-1m", "1.5g", "0", "99999999999999g", "1t", "+5"] {
        assert_eq!(parse_bytes(wrong), None, "{wrong}");
    }
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let mut context = Context::read();
    context.env = Default::default();
    context.home = home.path().to_owned();
    assert_eq!(Config::load(&context).unwrap(), Config::default());
    let path = Config::path(&context);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "network = \"open\"\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Config::load(&context).unwrap().network, Network::Open);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
    let error = Config::load(&context).unwrap_err();
    assert!(error.to_string().contains("everybody"), "{error}");
    assert!(error.hints[0].contains("chmod"));
}

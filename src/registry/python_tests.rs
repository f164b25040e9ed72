use super::*;
use crate::registry::testing::context;

fn load(files: &[(&str, &str)], env: &[(&str, &str)]) -> (PythonSettings, Remarks) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    // The machine's own /etc/pip.conf must not matter; a file under the home directory may.
    let mut env = env.to_vec();
    if !env.iter().any(|(name, _)| *name == "PIP_CONFIG_FILE") {
        env.push(("PIP_INDEX_URL", DEFAULT_INDEX));
        env.push(("PIP_EXTRA_INDEX_URL", " "));
    }
    let mut remarks = Remarks::default();
    let ctx = context(home.path(), &env);
    let settings = PythonSettings::load(&ctx, &Proxies::from_env(&ctx.env), &mut remarks);
    (settings, remarks)
}

fn refused(files: &[(&str, &str)], env: &[(&str, &str)]) -> String {
    let (_, remarks) = load(files, env);
    remarks.refusals.first().map(|e| format!("{e} {:?}", e.hints)).unwrap_or_default()
}

fn urls(settings: &PythonSettings) -> Vec<&str> {
    settings.indexes().map(|i| i.url.as_str()).collect()
}

#[test]
fn nothing_configured_is_the_public_index() {
    let (settings, notes) = load(&[], &[("PIP_CONFIG_FILE", "/dev/null")]);
    assert_eq!(urls(&settings), [DEFAULT_INDEX]);
    assert!(settings.uv_public_env().is_empty());
    assert_eq!(settings.netrc_secret(), None);
    assert_eq!(settings.identity(), "");
    assert_eq!(notes, Remarks::default());
}

#[test]
fn uv_toml_and_environment_in_uvs_order() {
    let (settings, _) = load(
        &[(
            ".config/uv/uv.toml",
            "extra-index-url = [\"https://old.example/simple\"]\n\
             [[index]]\nname = \"corp\"\nurl = \"https://corp.example/simple\"\n\
             [[index]]\nurl = \"https://main.example/simple\"\ndefault = true\n\
             [[index]]\nname = \"pinned\"\nurl = \"https://pinned.example\"\nexplicit = true\n",
        )],
        &[
            ("UV_INDEX", "first=https://first.example/simple https://second.example/"),
            ("UV_INDEX_FIRST_USERNAME", "u"),
            ("UV_INDEX_FIRST_PASSWORD", "p"),
        ],
    );
    assert_eq!(
        urls(&settings),
        [
            "https://first.example/simple",
            "https://second.example/",
            "https://corp.example/simple",
            "https://old.example/simple",
            "https://main.example/simple"
        ]
    );
    let env = settings.uv_public_env();
    assert_eq!(env[0].1, "https://main.example/simple");
    assert!(env[1].1.starts_with("first=https://first.example/simple https://second"));
    let secret = settings.netrc_secret().unwrap();
    assert_eq!(secret, "machine first.example\nlogin u\npassword p\n");
}

#[test]
fn uvs_settings_win_over_pips() {
    let pip = "[global]\nindex_url = https://pip.example/simple\nextra-index-url =\n    https://e1.example\n    https://e2.example\n[install]\ncert: ~/ca.pem\n";
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("pip.conf");
    std::fs::write(&file, pip).unwrap();
    let named = ("PIP_CONFIG_FILE", file.to_str().unwrap());
    let (settings, _) = load(&[], &[named]);
    assert_eq!(urls(&settings), ["https://e1.example/", "https://e2.example/", "https://pip.example/simple"]);
    assert!(settings.cert.as_ref().unwrap().ends_with("ca.pem"));
    let (settings, _) = load(&[], &[named, ("UV_INDEX_URL", "https://uv.example/simple")]);
    assert_eq!(settings.default.url.as_str(), "https://uv.example/simple");
}

#[test]
fn logins_out_of_addresses_and_netrc() {
    let (settings, _) = load(
        &[(".netrc", "machine b.example login nb password np\nmachine unrelated.example login x password y\n")],
        &[("UV_DEFAULT_INDEX", "https://me:pw@a.example/team/simple"), ("UV_INDEX", "https://b.example/simple")],
    );
    let has = |u: &str| settings.credentials.for_url(&Url::parse(u).unwrap()).is_some();
    assert!(has("https://a.example/team/simple/x/"));
    assert!(has("https://a.example/team/pypi/x/json"));
    assert!(!has("https://a.example/other/"));
    assert!(has("https://b.example/simple/x/"));
    let secret = settings.netrc_secret().unwrap();
    assert!(secret.contains("machine a.example\nlogin me\npassword pw\n"));
    assert!(secret.contains("machine b.example\nlogin nb\npassword np\n"));
    assert!(!secret.contains("unrelated"));
    let public = format!("{:?} {settings:?}", settings.uv_public_env());
    assert!(!public.contains("pw") && !public.contains("np"), "{public}");
}

#[test]
fn a_line_can_name_another_default() {
    let (settings, _) = load(&[], &[]);
    let new = settings.with_default(Some("https://u:p@line.example/simple")).unwrap();
    assert_eq!(new.default.url.as_str(), "https://line.example/simple");
    assert!(new.netrc_secret().is_some());
    assert!(settings.with_default(Some("/tmp/dir")).is_err());
    assert_eq!(settings.with_default(None).unwrap(), settings);
}

#[test]
fn what_is_not_understood_is_said() {
    let (_, remarks) = load(&[(".config/uv/uv.toml", "index-url = [1")], &[("UV_DEFAULT_INDEX", "./local")]);
    assert_eq!(remarks.refusals.len(), 2, "{remarks:?}");
}

#[test]
fn the_variables_login_goes_before_the_addresss() {
    let (settings, _) = load(
        &[],
        &[
            ("UV_INDEX", "a=https://old:old@a.example/simple"),
            ("UV_INDEX_A_USERNAME", "u"),
            ("UV_INDEX_A_PASSWORD", "p"),
        ],
    );
    assert_eq!(settings.netrc_secret().unwrap(), "machine a.example\nlogin u\npassword p\n");
}

#[test]
fn the_working_directory_has_no_say() {
    let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["uv.toml", "pip.conf", ".netrc"] {
        std::fs::write(work.path().join(name), "index-url = \"https://evil.example/\"").unwrap();
    }
    std::fs::write(work.path().join(".python-version"), "3.9").unwrap();
    let mut ctx = context(home.path(), &[("PIP_CONFIG_FILE", "/dev/null")]);
    work.path().clone_into(&mut ctx.cwd);
    let mut remarks = Remarks::default();
    let settings = PythonSettings::load(&ctx, &Proxies::default(), &mut remarks);
    assert_eq!((settings.identity().as_str(), &settings.python), ("", &None));
    assert_eq!(remarks, Remarks::default());
    // Not even where a variable would let it in.
    for variable in ["UV_CONFIG_FILE", "PIP_CONFIG_FILE", "NETRC"] {
        let why = refused(&[], &[(variable, "uv.toml")]);
        assert!(why.contains("working directory") && why.contains(variable), "{why}");
    }
}

#[test]
fn settings_that_change_what_is_run_are_honoured_or_refused() {
    let (settings, remarks) =
        load(&[], &[("UV_PYTHON", "python3.12"), ("UV_PRERELEASE", "allow"), ("UV_OFFLINE", "1")]);
    assert_eq!(settings.python.as_deref(), Some("3.12"));
    assert_eq!(settings.identity(), "UV_PRERELEASE=allow\n");
    assert!(settings.offline);
    assert_eq!(remarks, Remarks::default());
    let (settings, _) =
        load(&[(".config/uv/.python-version", "3.11\n"), (".config/uv/uv.toml", "prerelease = \"disallow\"")], &[]);
    assert_eq!((settings.python.as_deref(), settings.prerelease), (Some("3.11"), Prerelease::Disallow));
    let newest = [(".config/uv/uv.toml", "exclude-newer = \"7 days\"")];
    let (settings, remarks) = load(&newest, &[]);
    assert!(settings.newest.as_ref().unwrap().starts_with("20"));
    assert_eq!((settings.identity().as_str(), remarks), ("UV_EXCLUDE_NEWER=7 days\n", Remarks::default()));
    let (settings, _) = load(&newest, &[("UV_EXCLUDE_NEWER", "2026-01-31")]);
    assert_eq!(settings.newest.as_deref(), Some("2026-02-01T00:00:00.000Z"));
    for (variable, value) in [
        ("UV_PYTHON", "/usr/bin/python3"),
        ("UV_PRERELEASE", "perhaps"),
        ("UV_RESOLUTION", "lowest"),
        ("UV_EXCLUDE_NEWER", "yesterday"),
        ("UV_EXCLUDE_NEWER_PACKAGE", "p=2026-01-01"),
        ("UV_CONSTRAINT", "c.txt"),
        ("UV_OVERRIDE", "c.txt"),
        ("UV_FIND_LINKS", "/wheels"),
        ("UV_NO_INDEX", "1"),
        ("UV_NO_BINARY", "1"),
        ("UV_TORCH_BACKEND", "cpu"),
        ("UV_WORKING_DIR", "/"),
    ] {
        let why = refused(&[], &[(variable, value)]);
        assert!(why.contains(&format!("`{variable}`")), "{variable}: {why}");
    }
    let toml = |text| refused(&[(".config/uv/uv.toml", text)], &[]);
    assert!(toml("exclude-newer = \"yesterday\"").contains("`exclude-newer` in "));
    assert!(toml("no-binary = true").contains("`no-binary` in "));
    assert_eq!(toml("no-binary = false\nresolution = \"highest\"\ncache-dir = \"/x\"\n[pip]\nno-index = true"), "");
    let (_, remarks) =
        load(&[(".config/uv/uv.toml", "keyring-provider = \"subprocess\"")], &[("UV_INSECURE_HOST", "h")]);
    assert_eq!((remarks.notes.len(), remarks.refusals.len()), (2, 0), "{remarks:?}");
}

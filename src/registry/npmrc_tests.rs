use super::*;
use crate::registry::testing::context;

fn load(file: &str, env: &[(&str, &str)]) -> (NpmSettings, Remarks) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".npmrc"), file).unwrap();
    let mut remarks = Remarks::default();
    // The machine's own npmrc must not matter.
    let env = [&[("npm_config_globalconfig", "/nonexistent/npmrc")], env].concat();
    let ctx = context(home.path(), &env);
    let settings = NpmSettings::load(&ctx, &Proxies::from_env(&ctx.env), &mut remarks);
    (settings, remarks)
}

fn refused(file: &str, env: &[(&str, &str)]) -> String {
    let (_, remarks) = load(file, env);
    remarks.refusals.first().map(|e| format!("{e} {:?}", e.hints)).unwrap_or_default()
}

fn header(settings: &NpmSettings, url: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    let auth = settings.credentials.for_url(&url)?;
    Some(auth.header().expose().to_owned())
}

#[test]
fn nothing_configured_is_the_public_registry() {
    let (settings, notes) = load("", &[]);
    assert_eq!(settings.registry.as_str(), DEFAULT_REGISTRY);
    assert_eq!(settings.npmrc_public(), "");
    assert_eq!(settings.npmrc_secret(&settings.registries()), None);
    assert_eq!(settings.identity(), "");
    assert_eq!(notes, Remarks::default());
}

#[test]
fn registries_scopes_and_tokens() {
    let (settings, notes) = load(
        "; a comment\nregistry = https://npm.example/all ; mirror\n\
         @Team:registry=https://git.example:8443/npm/\n\
         //npm.example/all/:_authToken=${TOKEN}\n\
         //git.example:8443/npm/:username=me\n//git.example:8443/npm/:_password=c2VjcmV0\n\
         //old.example/:_auth=YTpi\n",
        &[("TOKEN", "t-1")],
    );
    assert_eq!(settings.registry_of("left").as_str(), "https://npm.example/all/");
    assert_eq!(settings.registry_of("@Team/x").as_str(), "https://git.example:8443/npm/");
    assert_eq!(header(&settings, "https://npm.example/all/left").as_deref(), Some("Bearer t-1"));
    assert_eq!(header(&settings, "https://git.example:8443/npm/@Team%2fx").as_deref(), Some("Basic bWU6c2VjcmV0"));
    assert_eq!(header(&settings, "https://old.example/x").as_deref(), Some("Basic YTpi"));
    assert_eq!(header(&settings, "https://npm.example/other"), None);
    assert_eq!(notes, Remarks::default());

    let public = settings.npmrc_public();
    assert_eq!(public, "registry=https://npm.example/all/\n@Team:registry=https://git.example:8443/npm/\n");
    let secret = settings.npmrc_secret(&settings.registries()).unwrap();
    assert!(secret.starts_with(&public));
    assert!(secret.contains("//npm.example/all/:_authToken=t-1\n"));
    assert!(secret.contains("//git.example:8443/npm/:_auth=bWU6c2VjcmV0\n"));
    assert!(!secret.contains("old.example"), "{secret}");
    assert!(!format!("{settings:?}").contains("t-1"));
    let variables = |name: &str| settings.login_variables([name].into_iter()).into_iter().collect::<Vec<_>>();
    assert_eq!((variables("left"), variables("@Team/x")), (vec!["TOKEN".to_owned()], vec![]));
}

#[test]
fn only_the_logins_that_are_needed_to_fetch() {
    let (settings, _) = load(
        "@team:registry=https://git.example/npm/\n//git.example/npm/:_authToken=T1\n\
         //files.example/:_authToken=T2\n//registry.npmjs.org/:_authToken=T3\n",
        &[],
    );
    let secret = |settings: &NpmSettings, file: &str| {
        settings.npmrc_secret(&settings.sources_of(&[file.to_owned()])).unwrap_or_default()
    };
    let team = secret(&settings, "https://git.example/npm/@team/x/-/x-1.0.0.tgz");
    assert!(team.contains("T1") && !team.contains("T2") && !team.contains("T3"), "{team}");
    assert!(secret(&settings, "https://files.example/x-1.0.0.tgz").contains("T2"));
    assert_eq!(secret(&settings, "https://files.example:8443/x-1.0.0.tgz"), "");
    assert!(secret(&settings, "https://registry.npmjs.org/x/-/x-1.0.0.tgz").contains("T3"));
    // What a mirror says is at the public registry is fetched from the mirror.
    let mirrored = settings.with_registry(Some("https://git.example/npm/")).unwrap();
    let secret = secret(&mirrored, "https://registry.npmjs.org/x/-/x-1.0.0.tgz");
    assert!(secret.contains("T1") && !secret.contains("T3"), "{secret}");
}

#[test]
fn a_password_in_the_address_is_a_secret() {
    let (settings, _) = load("registry=https://me:pw@npm.example/\n", &[]);
    assert_eq!(settings.npmrc_public(), "registry=https://npm.example/\n");
    assert!(header(&settings, "https://npm.example/x").is_some());
    let line = settings.with_registry(Some("https://a:b@other.example")).unwrap();
    assert_eq!(line.registry.as_str(), "https://other.example/");
    assert!(header(&line, "https://other.example/x").is_some());
    assert!(settings.with_registry(Some("ftp://x")).is_err());
}

#[test]
fn the_environment_goes_before_the_file() {
    let (settings, _) = load(
        "registry=https://file.example/\n",
        &[
            ("NPM_CONFIG_REGISTRY", "https://env.example/npm"),
            ("npm_config_@s:registry", "https://s.example/"),
            ("npm_config_//env.example/npm/:_authToken", "T"),
        ],
    );
    assert_eq!(settings.registry.as_str(), "https://env.example/npm/");
    assert_eq!(settings.registry_of("@s/x").as_str(), "https://s.example/");
    assert_eq!(header(&settings, "https://env.example/npm/x").as_deref(), Some("Bearer T"));
}

#[test]
fn another_user_file_can_be_named() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("rc"), "registry=https://rc.example").unwrap();
    let ctx = context(home.path(), &[("NPM_CONFIG_USERCONFIG", "~/rc")]);
    let settings = NpmSettings::load(&ctx, &Proxies::default(), &mut Remarks::default());
    assert_eq!(settings.registry.as_str(), "https://rc.example/");
}

#[test]
fn the_machines_file_counts_less_than_the_users() {
    let home = tempfile::tempdir().unwrap();
    let global = home.path().join("global");
    std::fs::write(&global, "registry=https://all.example/\n@a:registry=https://a.example/\n").unwrap();
    std::fs::write(home.path().join(".npmrc"), "registry=https://mine.example/").unwrap();
    let ctx = context(home.path(), &[("npm_config_globalconfig", global.to_str().unwrap())]);
    let settings = NpmSettings::load(&ctx, &Proxies::default(), &mut Remarks::default());
    assert_eq!(settings.registry_of("p").as_str(), "https://mine.example/");
    assert_eq!(settings.registry_of("@a/p").as_str(), "https://a.example/");
}

#[test]
fn the_working_directory_has_no_say() {
    let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(work.path().join(".npmrc"), "registry=https://evil.example/").unwrap();
    std::fs::write(work.path().join("package.json"), "{}").unwrap();
    let global = ("npm_config_globalconfig", "/nonexistent/npmrc");
    let mut ctx = context(home.path(), &[global]);
    work.path().clone_into(&mut ctx.cwd);
    let mut remarks = Remarks::default();
    let settings = NpmSettings::load(&ctx, &Proxies::default(), &mut remarks);
    assert_eq!(settings.npmrc_public(), "");
    assert_eq!(remarks, Remarks::default());
    // Not even where a variable would let it in.
    for variable in ["NPM_CONFIG_USERCONFIG", "npm_config_globalconfig"] {
        let why = refused("", &[(variable, ".npmrc")]);
        assert!(why.contains("working directory") && why.contains("absolute path"), "{why}");
    }
    let (settings, remarks) = load("cafile=ca.pem\n", &[]);
    assert_eq!((settings.cafile, remarks.notes.len()), (None, 1));
}

#[test]
fn settings_that_change_what_is_run_are_honoured_or_refused() {
    let (settings, remarks) =
        load("tag=next\n", &[("npm_config_legacy_peer_deps", "true"), ("npm_config_before", "2026-01-31")]);
    assert_eq!(settings.npmrc_public(), "tag=next\nbefore=2026-01-31T00:00:00.000Z\nlegacy-peer-deps=true\n");
    assert_eq!(remarks, Remarks::default());
    let (settings, _) = load("min-release-age=7\n", &[]);
    assert!(settings.npmrc_public().starts_with("before=20"));
    assert_eq!(settings.identity(), "before=7\n");
    for variable in ["npm_config_package", "npm_config_call", "npm_config_workspace", "NPM_CONFIG_OS"] {
        let why = refused("", &[(variable, "x")]);
        let setting = variable.to_lowercase().replace("npm_config_", "");
        assert!(why.contains(&format!("`{setting}`")) && why.contains(&format!("npm_config_{setting}")), "{why}");
    }
    assert_eq!(refused("tag=latest\nyes=true\nworkspaces=false\ncache=/x\nprefix=/y\n", &[]), "");
    assert!(load("offline=true\n", &[]).0.offline);
}

#[test]
fn a_registry_that_is_none_is_not_replaced_by_the_public_one() {
    for file in ["registry=nonsense\n", "@acme:registry=https://${ACME_HOST}/\n", "@acme:registry=\n"] {
        assert!(refused(file, &[]).contains("not an http or https address"), "{file}");
    }
}

#[test]
fn what_is_not_honoured_is_said() {
    let (_, remarks) = load("strict-ssl=false\n_authToken=x\n//h.example/:certfile=/c\n", &[]);
    assert_eq!(remarks.notes.len(), 3, "{remarks:?}");
    assert!(remarks.notes.iter().all(|n| !n.contains("=x")));
    assert!(remarks.refusals.is_empty());
}

#[test]
fn proxies_of_npm_go_before_the_environments() {
    let (settings, _) = load(
        "https-proxy=http://npm-proxy.example:1\nnoproxy=in.example\ncafile=~/ca.pem\n",
        &[("HTTPS_PROXY", "http://env.example:2"), ("HTTP_PROXY", "http://env.example:2")],
    );
    let of = |u: &str| {
        let url = Url::parse(u).unwrap();
        settings.proxies.for_url(&url).map(|p| p.expose().to_owned())
    };
    assert_eq!(of("https://x.example/").unwrap(), "http://npm-proxy.example:1");
    assert_eq!(of("http://x.example/").unwrap(), "http://env.example:2");
    assert_eq!(of("https://a.in.example/"), None);
    assert!(settings.cafile.unwrap().ends_with("ca.pem"));
}

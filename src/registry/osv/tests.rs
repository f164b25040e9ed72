use super::*;
use crate::registry::testing::{Server, context, json};

const LOCK: &str = r#"{"packages":{
    "node_modules/public":{"version":"1.0.0","resolved":"https://registry.npmjs.org/p.tgz","integrity":"sha512-x"},
    "node_modules/secret":{"version":"1.0.0","resolved":"https://npm.acme.example/s.tgz","integrity":"sha512-x"},
    "node_modules/bundled":{"version":"1.0.0","inBundle":true},
    "node_modules/@acme/bundled":{"version":"1.0.0","inBundle":true},
    "node_modules/mine":{"version":"1.0.0","resolved":"file:archives/0.tgz","integrity":"sha512-x"}}}"#;

fn settings(home: &std::path::Path) -> (Context, Settings) {
    std::fs::write(home.join(".npmrc"), "@acme:registry=https://npm.acme.example/\n").unwrap();
    let ctx = context(home, &[]);
    let settings = Settings::load(&ctx);
    (ctx, settings)
}

#[test]
fn only_public_names_are_told_to_a_service() {
    let home = tempfile::tempdir().unwrap();
    let (ctx, settings) = settings(home.path());
    let tree = Tree::read(Ecosystem::Npm, LOCK, &[]).unwrap();
    let named = |registry: Option<&str>| -> Vec<String> {
        let is_told = |p: &&Package| !p.is_own && may_be_named(p, &settings, Ecosystem::Npm, registry);
        tree.packages.iter().filter(is_told).map(|p| p.name.clone()).collect()
    };
    assert_eq!(named(None), ["bundled", "public"]);
    assert_eq!(named(Some("https://npm.acme.example/")), ["public"]);
    let server = Server::start(|_, _| json(r#"{"results":[{},{}]}"#));
    let osv = Osv::try_from(server.url.clone()).unwrap();
    match ask(&osv, &ctx, &settings, None, &tree).unwrap() {
        Answer::Known { hits, asked } => assert_eq!((hits.len(), asked), (0, 2)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn uvs_lock_says_which_index_each_package_is_from() {
    let home = tempfile::tempdir().unwrap();
    let lock = "a==1 \\\n    --hash=sha256:0\n    # via b\n    # from https://pypi.org/simple\n\
                b==1 \\\n    --hash=sha256:0\n    # via c\n    # from https://pypi.acme.example/simple\n";
    let bare = "a==1 \\\n    --hash=sha256:0\n";
    let named = |lock: &str, env: &[(&str, &str)]| -> usize {
        let settings = Settings::load(&context(home.path(), env));
        let tree = Tree::read(Ecosystem::Pypi, lock, &[]).unwrap();
        tree.packages.iter().filter(|p| may_be_named(p, &settings, Ecosystem::Pypi, None)).count()
    };
    let private = [("UV_INDEX", "https://pypi.acme.example/simple")];
    assert_eq!((named(lock, &[]), named(lock, &private)), (1, 1));
    assert_eq!((named(bare, &[]), named(bare, &private)), (1, 0));
}

#[test]
fn nobody_there_stops_nothing_and_off_asks_nobody() {
    let home = tempfile::tempdir().unwrap();
    let (ctx, settings) = settings(home.path());
    let tree = Tree::read(Ecosystem::Npm, LOCK, &[]).unwrap();
    let osv = Osv::try_from("http://127.0.0.1:1".to_owned()).unwrap();
    assert!(matches!(ask(&osv, &ctx, &settings, None, &tree), Ok(Answer::Unreached(_))));
    assert!(matches!(ask(&Osv::Off, &ctx, &settings, None, &tree), Ok(Answer::Off)));
    // A folder that the user names and that is not there is another matter.
    let folder = Osv::Folder(home.path().join("not-there"));
    assert!(ask(&folder, &ctx, &settings, None, &tree).is_err());
}

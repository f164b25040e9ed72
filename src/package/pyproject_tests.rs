use proptest::prelude::*;

use super::*;

const PROJECT: &str = r#"
[project]
name = "My.Server"
version = "1.0"
requires-python = ">=3.10"
dependencies = ["idna>=3", "tomli>=2; python_version < '3.11'"]
[project.optional-dependencies]
cli = ["rich"]
All = ["my-server[cli,web]", "uvloop"]
web = ["httpx[http2]"]
[project.scripts]
my-server = "my_server.app:main"
[project.entry-points."my.plugins"]
one = "my_server.plugin"
[dependency-groups]
dev = ["pytest", {include-group = "lint"}]
lint = ["ruff"]
docs = ["mkdocs"]
own = ["My_Server[cli]", "my-server"]
"#;

fn names(project: &str, wanted: &Wanted) -> Result<String> {
    let all = Pyproject::parse(project)?.requirements(wanted)?;
    Ok(all.iter().map(|one| one.spec.to_string()).collect::<Vec<_>>().join(" "))
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_is_installed_is_what_uv_would_install() {
    let with = |change: fn(&mut Wanted)| {
        let mut wanted = Wanted::default();
        change(&mut wanted);
        names(PROJECT, &wanted).unwrap()
    };
    assert_eq!(with(|_| ()), "idna>=3 tomli>=2 pytest ruff");
    assert_eq!(with(|w| w.no_groups = list(&["dev"])), "idna>=3 tomli>=2");
    assert_eq!(with(|w| w.no_default_groups = true), "idna>=3 tomli>=2");
    assert_eq!(
        with(|w| {
            w.no_default_groups = true;
            w.groups = list(&["docs"]);
        }),
        "idna>=3 tomli>=2 mkdocs"
    );
    assert_eq!(with(|w| w.only_groups = list(&["lint"])), "ruff");
    assert_eq!(with(|w| w.only_groups = list(&["own"])), "idna>=3 tomli>=2 rich");
    assert_eq!(with(|w| w.all_groups = true), "idna>=3 tomli>=2 pytest ruff mkdocs rich");
    assert_eq!(
        with(|w| {
            w.extras = list(&["all"]);
            w.no_groups = list(&["dev"]);
        }),
        "idna>=3 tomli>=2 uvloop rich httpx[http2]"
    );
    assert_eq!(
        with(|w| {
            w.all_extras = true;
            w.no_extras = list(&["all", "web"]);
            w.no_groups = list(&["dev"]);
        }),
        "idna>=3 tomli>=2 rich"
    );
    for wanted in [
        Wanted { extras: list(&["none"]), ..Wanted::default() },
        Wanted { groups: list(&["none"]), ..Wanted::default() },
    ] {
        assert!(names(PROJECT, &wanted).is_err(), "{wanted:?}");
    }
    let defaults = format!("{PROJECT}[tool.uv]\ndefault-groups = [\"docs\"]\n");
    assert_eq!(names(&defaults, &Wanted::default()).unwrap(), "idna>=3 tomli>=2 mkdocs");
    let defaults = format!("{PROJECT}[tool.uv]\ndefault-groups = \"all\"\n");
    assert_eq!(names(&defaults, &Wanted::default()).unwrap(), "idna>=3 tomli>=2 pytest ruff mkdocs rich");
    let old = "[project]\nname = \"a\"\n[tool.uv]\ndev-dependencies = [\"pytest\"]\n";
    assert_eq!(names(old, &Wanted::default()).unwrap(), "pytest");
    // A file of other tools' settings is a project without packages.
    assert_eq!(names("[tool.ruff]\nline-length = 100\n", &Wanted::default()).unwrap(), "");
    assert!(names("[dependency-groups]\ndev = [{include-group = \"dev\"}]\n", &Wanted::default()).is_err());
}

#[test]
fn where_sources_lead() {
    let project = |source: &str| {
        format!("[project]\nname = \"a\"\ndependencies = [\"b[x]>=1\"]\n[tool.uv.sources]\nB = {source}\n")
    };
    for (source, want) in [
        ("{ git = \"https://h.example/o/r\" }", "b[x] @ git+https://h.example/o/r"),
        (
            "{ git = \"https://h.example/o/r\", tag = \"v1\", subdirectory = \"d\" }",
            "b[x] @ git+https://h.example/o/r@v1#subdirectory=d",
        ),
        ("{ url = \"https://h.example/b-1.tar.gz\" }", "b[x] @ https://h.example/b-1.tar.gz"),
    ] {
        assert_eq!(names(&project(source), &Wanted::default()).unwrap(), want);
    }
    for (source, why) in [
        ("{ path = \"../b\" }", "another folder"),
        ("{ workspace = true }", "another folder"),
        ("{ index = \"mine\" }", "an index"),
        ("{ git = \"ssh://git@h.example/o/r\" }", "ssh"),
        ("{ git = \"https://h.example/o/r\", marker = \"x\" }", "not understood"),
        ("[{ url = \"https://h.example/b-1.tar.gz\" }]", "not understood"),
    ] {
        let error = names(&project(source), &Wanted::default()).unwrap_err();
        assert!(error.to_string().contains(why) && !error.hints.is_empty(), "{source}: {error}");
    }
    let own = names("[project]\nname = \"a\"\ndependencies = [\"b @ file:///b\"]\n", &Wanted::default());
    assert!(own.is_err());
}

#[test]
fn settings_that_would_change_the_box_are_refused() {
    for (settings, locked, says) in [
        ("[[tool.uv.index]]\nurl = \"https://h.example/simple\"", true, "where packages come from"),
        ("[tool.uv]\nindex-url = \"https://h.example/simple\"", true, "`index-url`"),
        ("[tool.uv]\nfind-links = [\"/x\"]", true, "`find-links`"),
        ("[tool.uv]\nmanaged = false", true, "`managed`"),
        ("[tool.uv]\noverride-dependencies = [\"a\"]", false, "`override-dependencies`"),
        ("[tool.uv]\nexclude-newer = \"2020-01-01\"", false, "`exclude-newer`"),
        ("[tool.uv]\nprerelease = \"disallow\"", false, "`prerelease`"),
        ("[project]\nname = \"a\"\ndynamic = [\"dependencies\"]", true, "dependencies"),
    ] {
        let error = Pyproject::parse(settings).unwrap().check(locked).unwrap_err();
        assert!(error.to_string().contains(says) && !error.hints.is_empty(), "{settings}: {error}");
    }
    for (settings, locked) in [
        ("[[tool.uv.index]]\nname = \"x\"\nurl = \"https://h.example/simple\"\nexplicit = true", false),
        ("[tool.uv]\noverride-dependencies = [\"a\"]", true),
        ("[tool.uv]\npackage = true\nlink-mode = \"copy\"", false),
        ("[project]\nname = \"a\"\ndynamic = [\"version\"]", false),
        ("[tool.hatch.version]\npath = \"a.py\"", false),
    ] {
        Pyproject::parse(settings).unwrap().check(locked).unwrap();
    }
}

#[test]
fn what_is_installed_of_the_project_itself() {
    let built = "[build-system]\nrequires = [\"x\"]\nbuild-backend = \"hatchling.build\"\n";
    let editable = |text: &str| Pyproject::parse(text).unwrap().editable("/d", true);
    assert_eq!(editable(PROJECT).unwrap(), None, "uv builds only what says how");
    assert_eq!(editable(&format!("{PROJECT}{built}[tool.uv]\npackage = false\n")).unwrap(), None);
    assert!(editable(&format!("{PROJECT}[tool.uv]\npackage = true\n")).unwrap().is_some());
    let made = editable(&format!("{PROJECT}{built}")).unwrap().unwrap();
    assert_eq!((made.name.as_str(), made.version.as_str()), ("my-server", "1.0"));
    assert_eq!((made.commands, made.roots), (list(&["my-server"]), list(&["/d/src", "/d"])));
    assert!(editable(&format!("{PROJECT}{}", built.replace("hatchling.build", "maturin"))).is_err());
    let unknown = PROJECT.replace("version = \"1.0\"", "dynamic = [\"version\"]");
    assert_eq!(editable(&format!("{unknown}{built}")).unwrap().unwrap().version, "0+local");
    for (settings, first) in [
        ("[tool.hatch.build.targets.wheel]\npackages = [\"servers/py/my_server\"]", "/d/servers/py"),
        ("[tool.setuptools.packages.find]\nwhere = [\"lib\"]", "/d/lib"),
        ("[tool.setuptools]\npackage-dir = {\"\" = \"lib\"}", "/d/lib"),
        ("[tool.poetry]\npackages = [{include = \"x\", from = \"./lib/\"}]", "/d/lib"),
        ("[tool.uv.build-backend]\nmodule-root = \"\"", "/d"),
        ("[tool.setuptools.packages.find]\nwhere = [\"../x\"]", "/d/src"),
    ] {
        let made = editable(&format!("{PROJECT}{built}{settings}\n")).unwrap().unwrap();
        assert_eq!(made.roots.first().map(String::as_str), Some(first), "{settings}");
    }
    let same = |text: &str| editable(text).unwrap().unwrap().bytes;
    let more = format!("{PROJECT}{built}");
    assert_eq!(same(&more), same(&more.replace("idna>=3", "idna>=3,<4")), "packages are not in it");
}

#[test]
fn heads_of_scripts() {
    let script = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n# dependencies = [\n#   \"idna\",\n#\n# ]\n# ///\nimport idna\n";
    let head = Pyproject::of_script(script).unwrap().unwrap();
    assert_eq!(head.requires_python(), Some(">=3.11"));
    let all = head.requirements(&Wanted::default()).unwrap();
    assert_eq!(all.iter().map(|one| one.spec.to_string()).collect::<Vec<_>>(), ["idna"]);
    for none in ["", "import x\n", "# /// script\n# dependencies = []\n", "# /// other\n# ///\n"] {
        assert!(Pyproject::of_script(none).unwrap().is_none(), "{none}");
    }
    assert!(Pyproject::of_script("# /// script\n# x = \n# ///\n").is_err());
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        let _ = Pyproject::of_script(&text);
        let _ = Pyproject::parse(&text).map(|project| project.requirements(&Wanted::default()));
    }

    #[test]
    fn never_panics_near_a_project(name in "[a-zA-Z0-9._ -]{0,6}", one in ".{0,12}", two in "[a-z:\\[\\]. =\\n]{0,12}") {
        let text = format!("[project]\nname = '{name}'\ndependencies = [{one:?}]\nscripts = {{ {name:?} = {two:?} }}\n[tool.uv]\npackage = true\nsources = {{ a = {{ git = {one:?} }} }}\n");
        if let Ok(project) = Pyproject::parse(&text) {
            let _ = project.requirements(&Wanted::default());
            let _ = project.editable("/d", false);
        }
    }
}

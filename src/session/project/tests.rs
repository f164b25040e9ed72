use super::*;
use crate::launch::{Request, parse_line};
use crate::policy::grant::What;
use crate::state::{Layout, grants};

/// A home with a project of two packages, whose folder is granted.
struct Place {
    dir: tempfile::TempDir,
    context: Context,
}

const PROJECT: &str = "[project]\nname = \"my-server\"\nversion = \"1\"\nrequires-python = \">=3.10,<3.13\"\n\
                       dependencies = [\"idna\"]\nscripts = { cmd = \"my_server:main\" }\n[build-system]\nrequires = []\n";

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut context = Context::read();
        context.env = [("XDG_RUNTIME_DIR", dir.path())].into_iter().collect();
        context.home = dir.path().join("home");
        context.cwd = dir.path().canonicalize().unwrap();
        let place = Self { dir, context };
        place.write("p/pyproject.toml", PROJECT);
        place.write("p/src/my_server/__main__.py", "");
        // No module: Python's own comes before a folder without one.
        place.write("p/code/x.txt", "");
        place.write("p/src/my_server/app.py", "");
        place.write("p/main.py", "");
        place.write("p/tool/__main__.py", "");
        place.allow("p");
        place
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn allow(&self, folder: &str) {
        let root = self.context.cwd.join(folder);
        let what = What::Read(root.clone());
        grants::change(&Layout::new(&self.context), self.context.uid, |grants| {
            grants.allow(&Holder::local(&root).unwrap(), what, None);
            Ok(())
        })
        .unwrap();
    }

    fn open(&self, words: &str) -> Result<(Context, Launch)> {
        let words: Vec<_> = words.split(' ').map(Into::into).collect();
        let Ok((_, Request::Local(project))) = parse_line(&words) else { panic!("{words:?}") };
        open(&self.context, &project)
    }
}

#[test]
fn what_is_run_and_whose_code_it_is() {
    let place = Place::new();
    let at = |path: &str| place.context.cwd.join(path).to_string_lossy().into_owned();
    let main = at("p/main.py");
    for (words, command, args, own) in [
        ("uv --directory p run cmd a", "cmd", "a", true),
        ("uv --directory p run cmd.exe a", "cmd", "a", true),
        ("uv --directory p run main.py a", "python", "main.py a", true),
        ("uv --directory p run -s main.py", "python", "main.py", true),
        ("uv run --project p p/main.py", "python", main.as_str(), true),
        ("uv --directory p run -m my_server.app a", "python", "-m my_server.app a", true),
        ("uv --directory p run -m http.server", "python", "-m http.server", false),
        ("uv --directory p run -m code", "python", "-m code", false),
        ("uv --directory p run tool a", "python", "tool a", true),
        ("uv --directory p run python main.py", "python", "main.py", true),
        ("uv --directory p run python3 -m my_server", "python3", "-m my_server", true),
        ("uv --directory p run python -c x", "python", "-c x", false),
        ("uv --directory p run python", "python", "", false),
        ("uv --directory p run --with six cmd", "cmd", "", false),
        ("uv --directory p run --with-requirements r.txt main.py", "python", "main.py", false),
        ("uv --directory p run --default-index https://h.example/simple cmd", "cmd", "", false),
        ("uv --directory p run fastmcp run main.py", "fastmcp", "run main.py", false),
    ] {
        let launch = place.open(words).unwrap_or_else(|e| panic!("{words}: {e}")).1;
        let said: Vec<_> = launch.args.iter().map(|arg| arg.to_string_lossy()).collect();
        assert_eq!((launch.command.as_deref(), said.join(" ").as_str()), (Some(command), args), "{words}");
        let local = launch.local.unwrap();
        assert_eq!((local.own, local.root), (own, at("p")), "{words}");
    }
    let (moved, launch) = place.open("uv --directory p/src run --no-dev -m my_server").unwrap();
    assert_eq!(moved.cwd, place.context.cwd.join("p/src"));
    assert_eq!(launch.local.unwrap().editable.unwrap().roots, [at("p/src"), at("p")]);
}

/// The line that a refusal names is the one that was run, wherever it is typed.
#[test]
fn a_line_in_our_own_spelling_has_the_same_grants() {
    let mut place = Place::new();
    place.write("bare/main.py", "");
    place.allow("bare");
    for words in ["uv --directory p run python -c x", "uv run --project p -m code", "uv run --with six bare/main.py"] {
        let local = place.open(words).unwrap().1.local.unwrap();
        let line = shell_words::split(&local.line).unwrap().into_iter().map(Into::into).collect::<Vec<_>>();
        let Ok((_, Request::Local(again))) = parse_line(&line) else { panic!("{line:?}") };
        let cwd = std::mem::replace(&mut place.context.cwd, "/".into());
        let holder = line_holder(&place.context, &again).unwrap();
        place.context.cwd = cwd;
        assert_eq!((holder.folder(), holder.line.as_ref()), (Some(local.root.as_str()), Some(&local.line)), "{words}");
    }
}

#[test]
fn which_python_and_which_versions() {
    let place = Place::new();
    let python = |words: &str| place.open(words).map(|(_, launch)| launch.python.unwrap());
    assert_eq!(python("uv --directory p run cmd").unwrap(), "3.12");
    assert_eq!(python("uv --directory p run --python 3.11 cmd").unwrap(), "3.11");
    assert!(python("uv --directory p run --python 3.13 cmd").unwrap_err().to_string().contains("3.13"));
    place.write("p/.python-version", "# mine\n3.10\n");
    assert_eq!(python("uv --directory p/src run cmd").unwrap(), "3.10");
    place.write("p/uv.lock", "[[package]]\nname = \"idna\"\nversion = \"3.7\"\nsource = { registry = \"x\" }\n");
    let (_, launch) = place.open("uv --directory p run --locked cmd").unwrap();
    assert_eq!(launch.local.unwrap().constraints, "idna==3.7\n");
    let plain = launch.packages.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(plain, ["idna"]);
    place.write("p/uv.lock", "");
    place.open("uv --directory p run cmd").unwrap();
    assert!(place.open("uv --directory p run --frozen cmd").unwrap_err().to_string().contains("lacks idna"));
    // Without the project there is nothing of it.
    let launch = place.open("uv --directory p run --no-project main.py").unwrap().1;
    let local = launch.local.unwrap();
    assert_eq!((launch.packages.len(), local.editable, local.constraints.as_str()), (0, None, ""));
}

#[test]
fn only_what_was_granted_is_read() {
    let place = Place::new();
    place.write("q/pyproject.toml", "[x");
    let refused = place.open("uv --directory q run cmd").unwrap_err();
    assert!(refused.hints[0].starts_with("jitbox allow local:"), "{refused:?}");
    // What is inside of a granted folder is a project of its own.
    place.write("p/inner/pyproject.toml", PROJECT);
    assert!(place.open("uv --directory p/inner run cmd").is_err());
    place.allow("p/inner");
    place.open("uv --directory p/inner run cmd").unwrap();
    let home = place.context.home.clone();
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    for denied in [home.clone(), home.join(".ssh"), "/".into()] {
        let error = place.open(&format!("uv --directory {} run cmd", denied.display())).unwrap_err();
        assert!(!error.hints.iter().any(|hint| hint.contains("allow")), "{error:?}");
    }
}

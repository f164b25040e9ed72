//! What Python projects say of themselves.

use super::*;
use crate::error::Kind;
use crate::registry::pack::EntryKind;

fn project(files: &[(&str, &str)]) -> Vec<Entry> {
    let entry = |&(path, data): &(&str, &str)| Entry { path: path.into(), kind: EntryKind::File, data: data.into() };
    files.iter().map(entry).collect()
}

#[test]
fn reads_a_project() {
    let text = "[project]\nname = 'My.Tool'\nversion = '1.2'\nrequires-python = '>=3.11'\n\
                [build-system]\nrequires = ['hatchling>=1', \"tomli; python_version<'3.11'\"]\nbuild-backend = 'hatchling.build'\n";
    let found = describe(&project(&[("pyproject.toml", text)]), None, None, "a").unwrap();
    assert_eq!((found.name.as_str(), found.version.as_deref()), ("my-tool", Some("1.2")));
    assert_eq!(found.requires_python.as_deref(), Some(">=3.11"));
    assert_eq!(found.requires, "hatchling>=1\ntomli; python_version<'3.11'\n");
    let inner = project(&[("README", ""), ("servers/web/pyproject.toml", text)]);
    assert_eq!(describe(&inner, Some("servers/web"), None, "a").unwrap().name, "my-tool");
    let error = describe(&inner, None, None, "a").err().unwrap();
    assert!(error.kind == Kind::NotFound && error.hints[0].contains("#subdirectory="), "{error:?}");
}

#[test]
fn older_projects_are_built_with_setuptools() {
    let poetry = "[tool.poetry]\nname = 'p'\n[build-system]\nrequires = ['poetry-core']\n";
    assert_eq!(describe(&project(&[("pyproject.toml", poetry)]), None, None, "a").unwrap().name, "p");
    let found = describe(&project(&[("setup.cfg", "[metadata]\nname = x_y\n[options]\nname = z\n")]), None, None, "a");
    let found = found.unwrap();
    assert_eq!((found.name.as_str(), found.requires.as_str()), ("x-y", "setuptools>=40.8.0\nwheel\n"));
    let only = project(&[("setup.py", "")]);
    let error = describe(&only, None, None, "git+https://h/r").err().unwrap();
    assert_eq!((error.kind, error.hints.len()), (Kind::Refused, 1), "{error}");
    let typed = PypiName::parse("given").unwrap();
    assert_eq!(describe(&only, None, Some(&typed), "a").unwrap().name, "given");
}

#[test]
fn what_a_project_is_built_with_is_on_an_index() {
    for line in [
        "x @ https://h/x.whl",
        "git+https://h/x",
        "./local",
        "-r other.txt",
        "--index-url https://evil",
        "x --hash=sha256:0",
        "x; python_version<'3' --index-url=y",
        "x\\n--find-links y",
    ] {
        let text = format!("[project]\nname='a'\n[build-system]\nrequires = [\"{line}\"]\n");
        let error =
            describe(&project(&[("pyproject.toml", &text)]), None, None, "a").err().unwrap_or_else(|| panic!("{line}"));
        assert_eq!(error.kind, Kind::Refused, "{line}: {error}");
    }
}

#[test]
fn another_name_than_the_lines_is_refused() {
    let files = project(&[("pyproject.toml", "[project]\nname = 'evil'\n")]);
    let typed = PypiName::parse("good").unwrap();
    let error = describe(&files, None, Some(&typed), "a").err().unwrap();
    assert!(error.to_string().contains("calls itself evil"), "{error}");
    assert!(describe(&project(&[("pyproject.toml", "[project")]), None, None, "a").is_err());
    assert!(describe(&project(&[("pyproject.toml", "[project]\nname='../x'")]), None, None, "a").is_err());
}

#[test]
fn names_of_wheels() {
    let pythons = python_candidates(None).unwrap();
    let read = |name: &str, spec: &str| read_wheel(name, &PypiSpec::parse_command(spec).unwrap(), &pythons);
    let (file, (name, version), _) = read("My_Tool-1.2.0-py3-none-any.whl", "my-tool").unwrap();
    assert_eq!(
        (file.as_str(), name.as_str(), version.as_str()),
        ("My_Tool-1.2.0-py3-none-any.whl", "my-tool", "1.2.0")
    );
    assert!(read("other-1-py3-none-any.whl", "my-tool").is_err());
    for bad in [
        "x.whl",
        "x-1.whl",
        "x-1-py3-none.whl",
        "../x-1-py3-none-any.whl",
        "x-1-py3-none-any.whl\n",
        "-x-1-py3-none-any.whl",
    ] {
        assert!(wheel_parts(bad).is_none(), "{bad}");
    }
    let error = read("my_tool-1-cp39-cp39-win_amd64.whl", "my-tool").unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
}

#[test]
fn only_a_wheel_of_the_project_comes_out_of_a_build() {
    let source = PinnedSource::Archive { url: "https://h/x.tar.gz".parse().unwrap(), hash: "sha256:0".into() };
    let pinned = PinnedPackage::sourced(Ecosystem::Pypi, "x".into(), "0".into(), &[], source);
    let (found, archive) = built("x-1.5-py3-none-any.whl", vec![1], &pinned).unwrap();
    assert_eq!((found.version(), found.archive()), ("1.5", Some("x-1.5-py3-none-any.whl")));
    assert_eq!(archive.bytes, [1]);
    for (name, bytes) in [("y-1-py3-none-any.whl", vec![1]), ("x-1-py3-none-any.whl", vec![]), ("../x", vec![1])] {
        assert!(built(name, bytes, &pinned).is_err(), "{name}");
    }
}

//! Known failures, by what npm, uv or the program itself said: what they come of, and what another attempt would need.

use crate::image::base;
use crate::image::lock::Locked;
use crate::package::Ecosystem;
use crate::package::pypi::PypiName;
use crate::state::overrides::Overrides;

/// What was wrong, and what might help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was wrong.
    pub why: String,
    /// What to make the box with.
    pub remedy: Overrides,
}

impl Diagnosis {
    /// Whether that runs no code that is not run anyway: what is built from source is for a person to say.
    pub fn is_harmless(&self) -> bool {
        self.remedy.sdist.is_empty()
    }

    /// What to type, for the box of that name.
    pub fn command(&self, name: &str) -> String {
        let words = ["jitbox", "build", name].map(str::to_owned);
        shell_words::join(words.into_iter().chain(self.remedy.options()))
    }
}

/// Programs that packages start and Debian has under another name than their own, or under the same.
const PROGRAMS: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("convert", "imagemagick"),
    ("curl", "curl"),
    ("dot", "graphviz"),
    ("exiftool", "libimage-exiftool-perl"),
    ("ffmpeg", "ffmpeg"),
    ("ffprobe", "ffmpeg"),
    ("git", "git"),
    ("gs", "ghostscript"),
    ("java", "default-jre-headless"),
    ("jq", "jq"),
    ("magick", "imagemagick"),
    ("pandoc", "pandoc"),
    ("pdftoppm", "poppler-utils"),
    ("pdftotext", "poppler-utils"),
    ("ps", "procps"),
    ("psql", "postgresql-client"),
    ("rg", "ripgrep"),
    ("rsync", "rsync"),
    ("soffice", "libreoffice-nogui"),
    ("sqlite3", "sqlite3"),
    ("ssh", "openssh-client"),
    ("tesseract", "tesseract-ocr"),
    ("unzip", "unzip"),
    ("wget", "wget"),
];

/// Libraries whose packages are not named by Debian's rule.
const LIBRARIES: &[(&str, &str)] = &[
    ("libatk-1.0.so.0", "libatk1.0-0"),
    ("libatk-bridge-2.0.so.0", "libatk-bridge2.0-0"),
    ("libatspi.so.0", "libatspi2.0-0"),
    ("libgdk-3.so.0", "libgtk-3-0"),
    ("libgio-2.0.so.0", "libglib2.0-0"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
    ("libgobject-2.0.so.0", "libglib2.0-0"),
    ("libgthread-2.0.so.0", "libglib2.0-0"),
    ("libharfbuzz.so.0", "libharfbuzz0b"),
    ("libjpeg.so.62", "libjpeg62-turbo"),
    ("libnssutil3.so", "libnss3"),
    ("libsmime3.so", "libnss3"),
];

/// Python is first tried at the version that most packages have wheels for.
const OLDER_PYTHON: &str = "3.12";

/// What `said` tells, of a box with that tree; nothing if none of it is known.
pub fn diagnose(ecosystem: Ecosystem, said: &str, tree: &[Locked]) -> Option<Diagnosis> {
    let general = || library(said).or_else(|| program(said)).or_else(|| browser(said));
    match ecosystem {
        Ecosystem::Npm => general().or_else(|| node(said)),
        Ecosystem::Pypi => general().or_else(|| wheels(said)).or_else(|| sdist(said)).or_else(|| mcp(said, tree)),
    }
}

fn apt(why: String, package: &str) -> Diagnosis {
    Diagnosis { why, remedy: Overrides { apt: vec![package.to_owned()], ..Overrides::default() } }
}

/// What glibc's loader says (ld.so(8)), in whosever words.
fn library(said: &str) -> Option<Diagnosis> {
    let (before, _) = said.split_once(": cannot open shared object file")?;
    let file = before.rsplit(|c: char| c.is_whitespace() || "/'\"(".contains(c)).next()?;
    // It is shown, and may be anybody's words.
    if !file.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b)) {
        return None;
    }
    let known = LIBRARIES.iter().find(|(name, _)| *name == file).map(|(_, package)| (*package).to_owned());
    let package = known.or_else(|| package_of(file))?;
    Some(apt(format!("the library {file} is missing"), &package))
}

/// The package of a shared library (Debian Policy §8.1): its name and its version, with a dash between two digits.
fn package_of(file: &str) -> Option<String> {
    let (name, version) = match file.split_once(".so.") {
        Some((name, version)) => (name, version.split('.').next()?),
        None => (file.strip_suffix(".so")?, ""),
    };
    let name = name.to_lowercase().replace('_', "-");
    if !name.starts_with("lib") {
        return None;
    }
    let dash = if name.ends_with(|c: char| c.is_ascii_digit()) && !version.is_empty() { "-" } else { "" };
    Some(format!("{name}{dash}{version}"))
}

/// What Node, Python and a shell say of a program that is not there.
fn program(said: &str) -> Option<Diagnosis> {
    let of_line = |line: &str| {
        let node = line.split_once(" ENOENT").filter(|(before, _)| before.contains("spawn"));
        let python = || line.split_once("No such file or directory: '").and_then(|(_, rest)| rest.split_once('\''));
        let git = || line.contains("Bad git executable").then_some(("git", ""));
        let shell = || line.split_once(": not found").or_else(|| line.split_once(": command not found"));
        let (name, _) = node.or_else(python).or_else(git).or_else(shell)?;
        let name = name.rsplit([' ', ':', '/']).next()?;
        PROGRAMS.iter().find(|(program, _)| *program == name)
    };
    let (program, package) = said.lines().find_map(of_line)?;
    Some(apt(format!("the program {program} is missing"), package))
}

/// What playwright and puppeteer say of one that they have not downloaded.
fn browser(said: &str) -> Option<Diagnosis> {
    let missing = ["Executable doesn't exist at", "Could not find Chrome", "Could not find browser"];
    let is_missing = missing.iter().any(|words| said.contains(words));
    is_missing.then(|| apt("a browser is missing".to_owned(), "chromium"))
}

/// What npm says of a dependency's `engines`.
fn node(said: &str) -> Option<Diagnosis> {
    let engines = said.split("EBADENGINE").filter_map(|part| part.split_once("node: '")?.1.split_once('\''));
    let range = engines.map(|(range, _)| range.to_owned()).find(|range| {
        // The one that was chosen in the first place is not to blame.
        !base::node_satisfies(base::NODE[0], range)
            && base::NODE.iter().any(|major| base::node_satisfies(*major, range))
    })?;
    let why = format!("it needs node {range}");
    Some(Diagnosis { why, remedy: Overrides { node: Some(range), ..Overrides::default() } })
}

/// What uv says of a package that has wheels, and none for this Python.
fn wheels(said: &str) -> Option<Diagnosis> {
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if !flat.contains("no wheels with a matching Python") {
        return None;
    }
    let why = "a package has no wheel for this Python".to_owned();
    Some(Diagnosis { why, remedy: Overrides { python: Some(OLDER_PYTHON.into()), ..Overrides::default() } })
}

/// What uv says of a package without any wheel.
fn sdist(said: &str) -> Option<Diagnosis> {
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, rest) = flat.split_once("Wheels are required for `")?;
    let name = PypiName::parse(rest.split_once('`')?.0).ok()?;
    let why = format!("{} has no wheel, and would have to be built from source", name.as_str());
    Some(Diagnosis { why, remedy: Overrides { sdist: vec![name.as_str().to_owned()], ..Overrides::default() } })
}

/// Servers that were written for the first version of the SDK and ask for any.
fn mcp(said: &str, tree: &[Locked]) -> Option<Diagnosis> {
    let is_newer = |package: &Locked| {
        let major = package.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        package.name == "mcp" && major >= Some(2)
    };
    let missed = said.contains("No module named 'mcp.") || said.contains("cannot import name") && said.contains("'mcp");
    (missed && tree.iter().any(is_newer)).then(|| Diagnosis {
        why: "it was written for version 1 of the MCP SDK".to_owned(),
        remedy: Overrides { with: vec!["mcp<2".to_owned()], ..Overrides::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(ecosystem: Ecosystem, said: &str) -> String {
        diagnose(ecosystem, said, &[]).map(|found| found.remedy.options().join(" ")).unwrap_or_default()
    }

    #[test]
    fn libraries_by_debians_rule() {
        for (said, package) in [
            ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "libgl1"),
            ("x: error while loading shared libraries: libgomp.so.1: cannot open shared object file", "libgomp1"),
            ("Error: libX11.so.6: cannot open shared object file", "libx11-6"),
            ("Error: libpango-1.0.so.0: cannot open shared object file", "libpango-1.0-0"),
            ("Error: libglib-2.0.so.0: cannot open shared object file", "libglib2.0-0"),
            ("Error: libnspr4.so: cannot open shared object file", "libnspr4"),
            ("Error: /a/b/libmagic.so.1.2: cannot open shared object file", "libmagic1"),
        ] {
            assert_eq!(options(Ecosystem::Npm, said), format!("--apt {package}"), "{said}");
        }
        for said in [
            "Error: x;id.so.1: cannot open shared object file",
            "fine",
            "own.so: cannot open shared object file",
            "libx.so.1.\u{1b}]0;mine: cannot open shared object file",
        ] {
            assert_eq!(options(Ecosystem::Npm, said), "", "{said}");
        }
    }

    #[test]
    fn programs_in_whosever_words() {
        for (said, package) in [
            ("Error: spawn git ENOENT\n    at ChildProcess", "git"),
            ("Error: spawnSync jq ENOENT", "jq"),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", "ffmpeg"),
            ("ImportError: Bad git executable.\n", "git"),
            ("sh: 1: rg: not found", "ripgrep"),
            ("bash: line 1: pdftotext: command not found", "poppler-utils"),
            ("browserType.launch: Executable doesn't exist at /state/x", "chromium"),
        ] {
            assert_eq!(options(Ecosystem::Pypi, said), format!("--apt {package}"), "{said}");
        }
        assert_eq!(options(Ecosystem::Npm, "No such file or directory: '/home/me/x.json'"), "");
        assert_eq!(options(Ecosystem::Npm, "Error: spawn rm -rf ENOENT"), "");
    }

    #[test]
    fn interpreters() {
        let npm = "npm warn EBADENGINE Unsupported engine {\nnpm warn EBADENGINE   package: 'a@1',\n\
                   npm warn EBADENGINE   required: { node: '^20.0.0' },";
        assert_eq!(options(Ecosystem::Npm, npm), "--node ^20.0.0");
        assert_eq!(options(Ecosystem::Npm, &npm.replace("^20.0.0", ">=18")), "");
        assert_eq!(options(Ecosystem::Npm, &npm.replace("^20.0.0", "^4")), "");
        let uv = "  hint: `a` was found, but has no\n  wheels with a matching Python ABI tag (e.g., `cp314`)";
        assert_eq!(options(Ecosystem::Pypi, uv), "--python 3.12");
    }

    #[test]
    fn what_would_run_code_is_only_named() {
        let uv = "hint: Wheels are required for `SgmlLib3k` because building from source is disabled for all packages";
        let found = diagnose(Ecosystem::Pypi, uv, &[]).unwrap();
        assert_eq!(found.command("a==1"), "jitbox build 'a==1' --sdist sgmllib3k");
        assert!(!found.is_harmless());
        assert!(diagnose(Ecosystem::Pypi, "No module named 'x'; sh: 1: git: not found", &[]).unwrap().is_harmless());
        assert_eq!(options(Ecosystem::Pypi, &uv.replace("SgmlLib3k", "--x")), "");
    }

    #[test]
    fn the_sdk() {
        let mut locked = Locked { name: "mcp".to_owned(), version: "2.1.0".to_owned(), integrity: Vec::new() };
        let said = "ModuleNotFoundError: No module named 'mcp.server.fastmcp'";
        let found = diagnose(Ecosystem::Pypi, said, &[locked.clone()]).unwrap();
        assert_eq!(found.remedy.options(), ["--with", "mcp<2"]);
        locked.version = "1.9.0".to_owned();
        assert_eq!(diagnose(Ecosystem::Pypi, said, &[locked]), None);
    }
}

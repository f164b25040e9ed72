//! Packages of no index: which addresses the real uvx asks for a line's repositories and archives. Nothing is there, which
//! it only knows once it has asked.

use jitbox::launch::{Launcher, Request};
use jitbox::package::PackageSpec;
use jitbox::package::source::Source;

use super::index::Index;
use super::lines::ours;
use super::uvx::uv;
use crate::support::web::Web;

/// `{web}` is a server of ours.
#[rustfmt::skip]
const LINES: &[&[&str]] = &[
    &["git+{web}/o/r"], &["git+{web}/o/r.git@main", "x"], &["--from", "git+{web}/o/r@v1#subdirectory=d", "x", "--y"],
    &["git+{web}/o/r@0123456789012345678901234567890123456789"], &["--with", "git+{web}/o/r.git", "python"],
    &["a @ git+{web}/x"], &["a@git+{web}/x"], &["--from=a[x,y] @ git+{web}/deep/er/x.git@b", "c"],
    &["{web}/a-1.0-py3-none-any.whl"], &["--from", "{web}/a-1.0.tar.gz", "a"], &["a @ {web}/d/a-1.0.zip", "x"],
    &["-w", "b[x] @ {web}/b-1.0-py3-none-any.whl?y=z", "python"], &["a[x]@{web}/a-1.0-py3-none-any.whl"],
    &["a @ {web}/a-1.0-py3-none-any.whl ; sys_platform=='linux'"], &["git+{web}/o/r ; os_name=='posix'"],
    &["--with", "a @ {web}/a-1.0-py3-none-any.whl ; os_name=='nt'", "python", "-V"],
    &["--with", "a @ git+{web}/o/r ; sys_platform=='win32'", "python", "-V"], &["{web}/a-1.0-py3-none-any.whl[x]"],
];

pub fn check() {
    let Some(uv) = uv() else { return };
    let (web, index) = (Web::start(), Index::start());
    let mut asked_for = 0;
    for (number, line) in LINES.iter().enumerate() {
        let line: Vec<String> = line.iter().map(|word| word.replace("{web}", &web.url)).collect();
        let Ok(Request::Run(launch)) = ours(Launcher::Uvx, &line) else { panic!("{line:?} is not taken") };
        let mut wanted: Vec<String> = launch.packages.iter().filter_map(PackageSpec::source).map(path).collect();
        let before = web.requests().len();
        let did = uv.run(&index, &format!("sources-{number}"), &line);
        let mut asked: Vec<String> = web.requests()[before..].iter().map(|request| asked_path(request)).collect();
        for list in [&mut wanted, &mut asked] {
            list.sort();
            list.dedup();
        }
        assert_eq!(asked, wanted, "{line:?}: {}", did.stderr);
        assert!(!did.stderr.contains("For more information, try '--help'"), "{line:?}: {}", did.stderr);
        asked_for += wanted.len();
    }
    assert!(asked_for >= 15, "{asked_for}");
}

/// Where we would look.
fn path(source: &Source) -> String {
    match source {
        Source::Git(git) => format!("{}/info/refs", git.repository.path()),
        Source::Archive(url) => url.path().to_owned(),
        here => panic!("{here:?} is on no server"),
    }
}

/// The path of a request, without its query.
fn asked_path(request: &str) -> String {
    let target = request.split(' ').nth(1).unwrap_or_default();
    target.split('?').next().unwrap_or_default().to_owned()
}

use super::*;

fn version(text: &str) -> Version {
    Version::from_str(text).unwrap()
}

#[test]
fn json_pages() {
    let page = r#"{"meta":{"api-version":"1.1"},"name":"my-tool","files":[
      {"filename":"my_tool-1.0-py3-none-any.whl","url":"u","hashes":{},"requires-python":">=3.9"},
      {"filename":"my-tool-1.0.tar.gz","url":"../u","hashes":{"sha256":"00ff"},"yanked":false,"upload-time":"2026-01-31T12:00:00.5Z"},
      {"filename":"my_tool-1.1.tar.gz","url":"u","hashes":{},"yanked":"broken","requires-python":null},
      {"filename":"my_tool-1.1-py3.9.egg","url":"u"},
      {"filename":"other-1.0.tar.gz","url":"u"},
      {"filename":"my_tool-junk.tar.gz","url":"u"}]}"#;
    let files = parse("my-tool", "application/vnd.pypi.simple.v1+json", page.as_bytes()).unwrap();
    assert_eq!(files.len(), 3);
    assert_eq!(files[0].requires_python.as_deref(), Some(">=3.9"));
    assert!(files[0].wheel.is_some() && files[1].wheel.is_none());
    assert!(!files[1].yanked && files[2].yanked);
    assert_eq!((&files[0].published, files[1].published.as_deref()), (&None, Some("2026-01-31T12:00:00.5Z")));
    assert_eq!((&*files[1].url, files[1].sha256.as_deref(), &files[0].sha256), ("../u", Some("00ff"), &None));
    assert_eq!(files[2].version, version("1.1"));
    assert!(parse("my-tool", "application/json", b"[]").is_err());
}

#[test]
fn html_pages() {
    let page = "<!DOCTYPE html><html><body><h1>Links</h1>\n\
        <a href=\"../../x/my_tool-1.0-py3-none-any.whl#sha256=00\" data-requires-python=\"&gt;=3.9,&lt;4\">my_tool-1.0-py3-none-any.whl</a><br/>\n\
        <a href='my-tool-2.0.tar.gz' data-upload-time=\"2026-01-31T12:00:00Z\" data-yanked=\"\" data-requires-python='>=3.10' >my-tool-2.0.tar.gz</a>\n\
        <a href=\"my-tool-3.0.zip\">\n  my-tool-3.0.zip\n</a><a broken";
    let files = parse("my-tool", "text/html", page.as_bytes()).unwrap();
    let published: Vec<_> = files.iter().map(|f| f.published.as_deref()).collect();
    assert_eq!(published, [None, Some("2026-01-31T12:00:00Z"), None]);
    assert_eq!(files[0].sha256.as_deref(), Some("00"));
    assert_eq!((&*files[2].url, &files[2].sha256), ("my-tool-3.0.zip", &None));
    let seen: Vec<_> = files.iter().map(|f| (f.version.to_string(), f.yanked, f.requires_python.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("1.0".to_owned(), false, Some(">=3.9,<4")),
            ("2.0".to_owned(), true, Some(">=3.10")),
            ("3.0".to_owned(), false, None)
        ]
    );
}

#[test]
fn the_older_json() {
    let page = r#"{"info":{},"releases":{"1.0":[{"filename":"p-1.0.tar.gz","requires_python":">=3","yanked":true,
        "upload_time":"2026-01-31T12:00:00","upload_time_iso_8601":"2026-01-31T12:00:00.5Z"}],"0.9":[]}}"#;
    let files = legacy("p", page.as_bytes()).unwrap();
    assert_eq!(files.len(), 1);
    assert!(files[0].yanked);
    assert_eq!(files[0].published.as_deref(), Some("2026-01-31T12:00:00.5Z"));
}

#[test]
fn names_with_dashes_and_dots() {
    assert_eq!(sdist_version("a-b-c", "A.b_C-1.0-2.tar.gz"), Some(version("1.0-2")));
    assert_eq!(sdist_version("a", "a-b-1.0.tar.gz"), None);
    assert_eq!(sdist_version("a", "a-1.0.exe"), None);
    assert!(wheel_name("a-1.0-1-py3-none-any").is_some());
    assert!(wheel_name("a-py3-none-any").is_none());
}

fn fits(tags: &str, minor: &str) -> bool {
    let (_, wheel) = wheel_name(&format!("p-1.0-{tags}")).unwrap();
    wheel.unwrap().fits(minor, "x86_64")
}

#[test]
fn wheels_fit_as_their_tags_say() {
    for (tags, minor, expected) in [
        ("py3-none-any", "3.13", true),
        ("py2.py3-none-any", "3.13", true),
        ("py2-none-any", "3.13", false),
        ("py311-none-any", "3.13", true),
        ("py314-none-any", "3.13", false),
        ("cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64", "3.13", true),
        ("cp312-cp312-manylinux_2_17_x86_64", "3.13", false),
        ("cp38-abi3-manylinux_2_28_x86_64", "3.13", true),
        ("cp314-abi3-manylinux_2_28_x86_64", "3.13", false),
        ("cp313-cp313t-manylinux_2_28_x86_64", "3.13", false),
        ("cp313-cp313-manylinux_2_17_aarch64", "3.13", false),
        ("cp313-cp313-musllinux_1_2_x86_64", "3.13", false),
        ("cp313-cp313-macosx_11_0_arm64", "3.13", false),
        ("cp313-cp313-win_amd64", "3.13", false),
        ("py3-none-manylinux_2_17_x86_64", "3.10", true),
        ("pp310-pypy310_pp73-manylinux_2_17_x86_64", "3.10", false),
    ] {
        assert_eq!(fits(tags, minor), expected, "{tags} on {minor}");
    }
}

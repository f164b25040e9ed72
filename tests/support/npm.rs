//! A registry of npm's kind, whose packages come version by version.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::web::{Web, address};
use super::{Done, Home, run};

pub struct Registry {
    pub web: Web,
    versions: BTreeMap<String, Map<String, Value>>,
}

impl Registry {
    /// One that boxes with a network reach, too.
    pub fn new() -> Self {
        Self { web: Web::start_outside(), versions: BTreeMap::new() }
    }

    /// Adds a version, which is `latest` from now on; `manifest` has its name and version. Without a word of its own its
    /// command is `program`.
    pub fn publish(&mut self, home: &Home, mut manifest: Value, program: &str) {
        let member = |name: &str| manifest[name].as_str().unwrap().to_owned();
        let (name, version) = (member("name"), member("version"));
        if manifest["bin"].is_null() {
            manifest["bin"] = "cli.js".into();
        }
        let (bytes, integrity) = packed(home, &manifest, program);
        let tarball = self.web.put(&format!("{name}-{version}.tgz"), bytes);
        manifest["dist"] = json!({ "tarball": tarball, "integrity": integrity });
        let scripts = manifest["scripts"].as_object();
        if scripts.is_some_and(|all| ["preinstall", "install", "postinstall"].iter().any(|one| all.contains_key(*one)))
        {
            manifest["hasInstallScript"] = true.into();
        }
        let versions = self.versions.entry(name.clone()).or_default();
        versions.insert(version.clone(), manifest);
        let packument = json!({ "name": name, "dist-tags": { "latest": version }, "versions": versions });
        self.web.put(&name, packument.to_string().into_bytes());
    }

    /// What a home's programs need so that no proxy is asked for it.
    pub fn no_proxy(&self) -> String {
        format!("NO_PROXY={}", address())
    }

    /// `npx-safe -y --registry … ARGS`
    pub fn start(&self, home: &Home, args: &[&str]) -> Done {
        let line = [&["-y", "--registry", &self.web.url], args].concat();
        run(home.shim_with(&[&self.no_proxy()], "npx-safe", line), b"")
    }

    /// `jitbox ARGS`
    pub fn jitbox(&self, home: &Home, args: &[&str]) -> Done {
        run(home.shim_with(&[&self.no_proxy()], "jitbox", args), b"")
    }
}

/// The file of an npm package with one command, and what `npm pack` says about it.
pub fn packed(home: &Home, manifest: &Value, script: &str) -> (Vec<u8>, String) {
    let name =
        format!("{}-{}", manifest["name"].as_str().unwrap().replace('/', "-"), manifest["version"].as_str().unwrap());
    let file = home.write(&format!("packed/{name}/package.json"), &manifest.to_string());
    let dir: PathBuf = file.parent().unwrap().to_owned();
    home.write(&format!("packed/{name}/cli.js"), &format!("#!/usr/bin/env node\n{script}\n"));
    let mut npm = Command::new("npm");
    npm.args(["pack", "--json", "--cache"]).arg(home.dir.join("cache")).current_dir(&dir);
    let said: Value = serde_json::from_slice(&run(npm, b"").ok().stdout).unwrap();
    let entry = said.get(0).or_else(|| said.get(manifest["name"].as_str().unwrap())).unwrap();
    let file = dir.join(entry["filename"].as_str().unwrap());
    let bytes = std::fs::read(&file).unwrap();
    // Or it would be in the next one.
    std::fs::remove_file(file).unwrap();
    (bytes, entry["integrity"].as_str().unwrap().to_owned())
}

//! An MCP server in a registry of its own, version by version.

use serde_json::{Value, json};

use super::mcp::Client;
use super::npm::Registry;
use super::{Carrier, Done, Home, Lane};

/// An MCP server without dependencies, which tells its version and offers `tools`.
pub fn server(version: &str, tools: &Value) -> String {
    let program = r#"const tools = TOOLS;
const results = {
  initialize: { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "s", version: "VERSION" } },
  "tools/list": { tools },
  "tools/call": { content: [{ type: "text", text: "VERSION" }] },
};
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method } = JSON.parse(line);
  if (id !== undefined) console.log(JSON.stringify({ jsonrpc: "2.0", id, result: results[method] }));
});
"#;
    program.replace("TOOLS", &tools.to_string()).replace("VERSION", version)
}

pub fn tool(name: &str, description: &str) -> Value {
    json!({ "name": name, "description": description, "inputSchema": { "type": "object" } })
}

/// A package in a registry of its own.
pub struct Package {
    pub registry: Registry,
    pub home: Home,
    name: &'static str,
    /// The words of lines that run it.
    pub words: Vec<&'static str>,
}

impl Package {
    pub fn new(lane: &'static Lane, name: &'static str) -> Self {
        let home = Home::warmed(lane, Carrier::Chosen, &[]);
        Self { registry: Registry::new(), home, name, words: vec![name] }
    }

    /// Adds a version; `more` of its manifest.
    pub fn publish(&mut self, version: &str, program: &str, more: &Value) {
        let mut manifest = json!({ "name": self.name, "version": version });
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.registry.publish(&self.home, manifest, program);
    }

    /// Which version the unchanged line gets.
    pub fn version(&self) -> String {
        let line = [&["-y", "--registry", &self.registry.web.url], &self.words[..]].concat();
        let mut client = Client::start(self.home.shim_with(&[&self.registry.no_proxy()], "npx-safe", line));
        client.initialize();
        let version = client.call("version", json!({}));
        client.finish();
        version
    }

    pub fn jitbox(&self, args: &[&str]) -> Done {
        self.registry.jitbox(&self.home, args)
    }

    pub fn attempts(&self) -> Vec<Value> {
        serde_json::from_str(&self.jitbox(&["attempts", "--json", self.name]).ok().text()).unwrap()
    }

    pub fn images(&self) -> Vec<String> {
        self.attempts().iter().filter_map(|attempt| attempt["image"].as_str().map(str::to_owned)).collect()
    }
}

//! What an MCP server says about itself when it is asked, and how two versions of it differ. Nothing here starts one.

mod changes;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest;

pub use changes::{Changed, Kind, changes};

/// The newest revision whose opening is `initialize` (modelcontextprotocol.io, "Lifecycle").
const PROTOCOL: &str = "2025-11-25";

/// The longest message that is read, as the TypeScript SDK has it.
const LONGEST: u64 = 10 << 20;

/// How many pages of one list are asked for, and how many lines are read in all.
const PAGES: usize = 64;
const LINES: usize = 4096;

/// What a server offers: each thing whole, by its name.
pub type Offers = BTreeMap<String, Value>;

/// A server's answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// The protocol's revision that it chose.
    pub protocol: String,
    /// Its name and version, as it gives them.
    pub server: String,
    /// Its tools.
    pub tools: Offers,
    /// Its prompts.
    pub prompts: Offers,
    /// Its resources, by their addresses.
    pub resources: Offers,
    /// How many lines on its standard output were no messages.
    pub noise: usize,
}

impl Answers {
    /// The SHA-256 of all that is offered: whole objects as JSON, their keys sorted.
    pub fn hash(&self) -> String {
        let mut all = json!([self.tools, self.prompts, self.resources]);
        all.sort_all_objects();
        digest::full(all.to_string().as_bytes())
    }
}

/// Asks a server over its standard streams. The error says what did not come.
pub fn ask(input: impl Write, output: impl Read) -> Result<Answers, String> {
    let mut talk = Talk { input, output: BufReader::new(output), id: 0, noise: 0, lines: 0 };
    let client = json!({ "name": "jitbox", "version": env!("CARGO_PKG_VERSION") });
    let opening = json!({ "protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client });
    let answer = talk.request("initialize", opening)?;
    talk.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut list = |what: &str, key: &str| match answer.pointer(&format!("/capabilities/{what}")) {
        Some(_) => talk.list(what, key),
        None => Ok(Offers::new()),
    };
    let (tools, prompts) = (list("tools", "name")?, list("prompts", "name")?);
    let resources = list("resources", "uri")?;
    let server = format!("{} {}", text("/serverInfo/name"), text("/serverInfo/version"));
    Ok(Answers { protocol: text("/protocolVersion"), server, tools, prompts, resources, noise: talk.noise })
}

struct Talk<W, R> {
    input: W,
    output: BufReader<R>,
    id: u64,
    noise: usize,
    lines: usize,
}

impl<W: Write, R: Read> Talk<W, R> {
    fn send(&mut self, message: &Value) -> Result<(), String> {
        writeln!(self.input, "{message}").and_then(|()| self.input.flush()).map_err(|_| "it does not read".to_owned())
    }

    /// Asks, and waits for the answer. What the server asks of a client is refused.
    fn request(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.id += 1;
        let id = self.id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        loop {
            let mut message = self.message(method)?;
            if message.get("method").is_some() {
                if let Some(theirs) = message.get("id") {
                    let error = json!({ "code": -32601, "message": "not offered" });
                    let refusal = json!({ "jsonrpc": "2.0", "id": theirs, "error": error });
                    self.send(&refusal)?;
                }
                continue;
            }
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            return match message.get_mut("result") {
                Some(result) => Ok(result.take()),
                None => Err(format!("it answers `{method}` with an error: {}", message["error"]["message"])),
            };
        }
    }

    fn message(&mut self, awaited: &str) -> Result<Value, String> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.output).take(LONGEST).read_until(b'\n', &mut line);
            self.lines += 1;
            if !matches!(read, Ok(1..)) || self.lines > LINES {
                return Err(format!("it does not answer `{awaited}`"));
            }
            match serde_json::from_slice(&line) {
                Ok(message @ Value::Object(_)) => return Ok(message),
                _ => self.noise += 1,
            }
        }
    }

    fn list(&mut self, what: &str, key: &str) -> Result<Offers, String> {
        let (mut all, mut cursor) = (Offers::new(), None);
        for _ in 0..PAGES {
            let params = cursor.map_or_else(|| json!({}), |cursor: Value| json!({ "cursor": cursor }));
            let mut page = self.request(&format!("{what}/list"), params)?;
            for one in page.get_mut(what).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default() {
                let name = one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                all.insert(name, one);
            }
            cursor = page.get_mut("nextCursor").map(Value::take).filter(|cursor| !cursor.is_null());
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Err(format!("its `{what}/list` has no end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(said: &str) -> (Result<Answers, String>, String) {
        let mut input = Vec::new();
        let answers = ask(&mut input, said.as_bytes());
        (answers, String::from_utf8(input).unwrap())
    }

    const OPENING: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"},"capabilities":{"tools":{}}}}"#;

    #[test]
    fn a_server_with_two_pages_a_question_and_noise() {
        let said = [
            "starting…",
            OPENING,
            r#"{"jsonrpc":"2.0","id":"x","method":"roots/list"}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"b","description":"B"}],"nextCursor":"n"}}"#,
            r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"description":"A","name":"a"}]}}"#,
        ];
        let (answers, asked) = asked(&(said.join("\n") + "\n"));
        let answers = answers.unwrap();
        assert_eq!(answers.tools.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((&*answers.server, answers.noise, answers.prompts.len()), ("s 1", 1, 0));
        assert!(asked.contains(r#""id":"x","error":{"code":-32601"#) && asked.contains(r#"{"cursor":"n"}"#), "{asked}");
        // The order of keys and of pages is nobody's business.
        let mut other = answers.clone();
        other.tools.insert("a".into(), json!({ "name": "a", "description": "A" }));
        assert_eq!(other.hash(), answers.hash());
        other.tools.insert("a".into(), json!({ "name": "a", "description": "A." }));
        assert_ne!(other.hash(), answers.hash());
    }

    #[test]
    fn what_does_not_answer_is_no_server() {
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no key"}}"#;
        let page = r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[],"nextCursor":"n"}}"#;
        let pages: String = (2..100).map(|id| page.replace(":2,", &format!(":{id},")) + "\n").collect();
        for (said, why) in [
            (String::new(), "it does not answer `initialize`"),
            ("usage: s KEY\n".to_owned(), "it does not answer `initialize`"),
            ("x\n".repeat(LINES + 1), "it does not answer `initialize`"),
            (format!("{error}\n"), "an error: \"no key\""),
            (format!("{OPENING}\n"), "it does not answer `tools/list`"),
            (format!("{OPENING}\n{pages}"), "has no end"),
        ] {
            let error = asked(&said).0.unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}

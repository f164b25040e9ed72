//! `~/.netrc`: logins by host, as pip and uv read them.

use super::auth::Auth;

/// A login for one host, or for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The host; `None` is the `default` entry.
    pub machine: Option<String>,
    /// User name and password.
    pub auth: Auth,
}

/// The logins in a netrc file; what is not understood is passed over.
/// Format: <https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html>.
pub fn parse(text: &str) -> Vec<Login> {
    let mut logins = Vec::new();
    let mut entry: Option<Entry> = None;
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "machine" => {
                let host = words.next().map(str::to_lowercase);
                finish(entry.replace(Entry::new(host)), &mut logins);
            }
            "default" => finish(entry.replace(Entry::new(None)), &mut logins),
            "login" | "password" | "account" => {
                let value = words.next().map(str::to_owned);
                match (&mut entry, word) {
                    (Some(entry), "login") => entry.login = value,
                    (Some(entry), "password") => entry.password = value,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    finish(entry, &mut logins);
    logins
}

struct Entry {
    machine: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

impl Entry {
    fn new(machine: Option<String>) -> Self {
        Self { machine, login: None, password: None }
    }
}

fn finish(entry: Option<Entry>, logins: &mut Vec<Login>) {
    if let Some(Entry { machine, login: Some(login), password: Some(password) }) = entry {
        let auth = Auth::basic(&login, &password);
        logins.push(Login { machine, auth });
    }
}

/// The words of the file, without comments and macros. Python's reader, and so pip's, allows
/// values in double quotes.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            // A macro ends at the first empty line.
            in_macro = false;
        }
        if in_macro || line.starts_with('#') {
            continue;
        }
        in_macro = line.starts_with("macdef");
        if !in_macro {
            all.extend(line_words(line));
        }
    }
    all
}

fn line_words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(&first) = chars.peek() {
        if first.is_whitespace() {
            chars.next();
            continue;
        }
        let quoted = first == '"';
        if quoted {
            chars.next();
        }
        let mut word = String::new();
        while let Some(c) = chars.next_if(|c| if quoted { *c != '"' } else { !c.is_whitespace() }) {
            let escaped = (c == '\\').then(|| chars.next()).flatten();
            word.push(escaped.unwrap_or(c));
        }
        if quoted {
            chars.next();
        }
        all.push(word);
    }
    all
}

/// A netrc file with one entry for each host. What a line of the file can't hold is left out.
pub fn write<'a>(logins: impl Iterator<Item = (&'a str, &'a Auth)>) -> Option<String> {
    let text: String = logins
        .filter_map(|(host, auth)| match auth {
            Auth::Basic { user, password } => {
                let (user, password) = (word(user.expose())?, word(password.expose())?);
                Some(format!("machine {host}\nlogin {user}\npassword {password}\n"))
            }
            Auth::Bearer(_) => None,
        })
        .collect();
    (!text.is_empty()).then_some(text)
}

fn word(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    let plain = !text.is_empty() && !text.contains([' ', '"', '\\', '#', '\'']);
    Some(if plain { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_comments_macros_and_quotes() {
        let logins = parse(
            "# mine\nmachine A.example login me password \"two words\"\n\
             macdef init\nmachine no.example login x password y\n\n\
             machine b.example\n  login you\n  account z\n  password p\\ q\n\
             machine c.example login only\ndefault login anon password mail\n",
        );
        let found: Vec<_> = logins.iter().map(|l| l.machine.as_deref()).collect();
        assert_eq!(found, [Some("a.example"), Some("b.example"), None]);
        assert_eq!(logins[0].auth, Auth::basic("me", "two words"));
        assert_eq!(logins[1].auth, Auth::basic("you", "p q"));
    }

    #[test]
    fn what_is_written_reads_back() {
        let auth = Auth::basic("a b", "q\"\\#");
        let text = write([("h.example", &auth)].into_iter()).unwrap();
        assert_eq!(parse(&text)[0].auth, auth);
        let evil = Auth::basic("a", "x\nmachine evil.example");
        assert_eq!(write([("h.example", &evil)].into_iter()), None);
        assert_eq!(write(std::iter::empty()), None);
    }
}

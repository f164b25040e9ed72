//! npm's settings as text: the lines of an npmrc and the variables that say the same.

use std::collections::BTreeMap;

use crate::context::Env;

/// One line of an npmrc. Values that npm's reader would cut or decode are quoted; `${` is
/// escaped, because it was expanded already.
pub fn line(key: &str, value: &str) -> String {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    let value = value.replace("${", "\\${");
    let quote = value.contains([';', '#', '"', '\'']) || value.starts_with('[') || value.trim() != value;
    if quote { format!("{key}={}\n", serde_json::Value::from(value)) } else { format!("{key}={value}\n") }
}

/// The entries of an npmrc file, with `${VAR}` expanded (the `ini` package's rules, without
/// sections, which npm has no use for).
pub fn parse(text: &str, env: &Env) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with([';', '#', '[']) {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (unquote(key), unquote(value)),
            None => (unquote(line), "true".to_owned()),
        };
        let (key, value) = (expand(&key, env), expand(&value, env));
        match key.strip_suffix("[]") {
            Some(list) => {
                let all: &mut String = entries.entry(list.to_owned()).or_default();
                all.push_str(&value);
                all.push('\n');
            }
            None => {
                entries.insert(key, value);
            }
        }
    }
    entries
}

/// The variables that an npmrc's logins are made of, each with the address of its login
/// (`//host/path/`).
pub fn login_variables(text: &str, env: &Env) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let key = expand(&unquote(key), env);
        if let Some((dart, _)) = key.rsplit_once(':').filter(|_| key.starts_with("//")) {
            let names = value.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
            all.extend(names.map(|name| (dart.to_owned(), name.trim_end_matches('?').to_owned())));
        }
    }
    all
}

fn unquote(text: &str) -> String {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return inner.to_owned();
    }
    if text.len() > 1 && text.starts_with('"') && text.ends_with('"') {
        return serde_json::from_str(text).unwrap_or_else(|_| text.trim_matches('"').to_owned());
    }
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ';' | '#' => break,
            '\\' => match chars.next_if(|n| matches!(n, ';' | '#' | '\\')) {
                Some(escaped) => out.push(escaped),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

/// Expands `${VAR}` (left as it is when unset) and `${VAR?}` (empty when unset); a backslash
/// before it keeps it (npm's `@npmcli/config`, `lib/env-replace.js`).
fn expand(text: &str, env: &Env) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(len) = rest[start..].find('}') else {
            break;
        };
        let (whole, name) = (&rest[start..=start + len], &rest[start + 2..start + len]);
        let before = &rest[..start];
        let slashes = before.len() - before.trim_end_matches('\\').len();
        if slashes % 2 == 1 {
            out.push_str(&before[..before.len() - 1]);
            out.push_str(whole);
        } else {
            out.push_str(before);
            let (name, optional) = match name.strip_suffix('?') {
                Some(name) => (name, true),
                None => (name, false),
            };
            match env.text(name) {
                Some(value) => out.push_str(value),
                None if optional => {}
                None => out.push_str(whole),
            }
        }
        rest = &rest[start + len + 1..];
    }
    out.push_str(rest);
    out
}

/// `npm_config_*` in any case (npm's `@npmcli/config`, `loadEnv`).
pub fn from_env(env: &Env) -> BTreeMap<String, String> {
    env.iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
        .filter_map(|(name, value)| {
            let key = name
                .get(..11)
                .filter(|p| p.eq_ignore_ascii_case("npm_config_"))
                .and(name.get(11..))
                .filter(|key| !key.is_empty() && !value.is_empty())?;
            Some((normal_key(key), expand(value, env)))
        })
        .collect()
}

fn normal_key(key: &str) -> String {
    if key.starts_with("//") {
        return key.to_owned();
    }
    let mut chars = key.chars();
    let first = chars.next().into_iter();
    first.chain(chars.map(|c| if c == '_' { '-' } else { c })).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_expand_as_npm_does() {
        let env: Env = [("A", "1"), ("B", "2")].into_iter().collect();
        assert_eq!(expand("${A}-${B}", &env), "1-2");
        assert_eq!(expand("${NONE}|${NONE?}|", &env), "${NONE}||");
        assert_eq!(expand("\\${A} ${A", &env), "${A} ${A");
    }

    #[test]
    fn values_that_npm_would_cut_are_quoted() {
        assert_eq!(line("k", "a;b"), "k=\"a;b\"\n");
        assert_eq!(line("k", "a=="), "k=a==\n");
        assert_eq!(line("k", "a\nregistry=evil"), "k=aregistry=evil\n");
        let env = Env::default();
        let back = parse(&line("k", "${HOME};\"#"), &env);
        assert_eq!(back["k"], "${HOME};\"#");
    }

    #[test]
    fn the_variables_of_logins() {
        let env: Env = [("HOST", "a.example")].into_iter().collect();
        let text =
            "registry=https://${HOST}/\n//${HOST}:1/:_authToken=${A}\n \"//b.example/x/:_password\" = ${B?}${C}\n";
        let found = login_variables(text, &env);
        let found: Vec<_> = found.iter().map(|(dart, name)| format!("{dart} {name}")).collect();
        assert_eq!(found, ["//a.example:1/ A", "//b.example/x/ B", "//b.example/x/ C"]);
    }
}

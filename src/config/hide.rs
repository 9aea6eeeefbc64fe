//! Keeps secrets out of fault messages: which words, lines and sentences must not be shown.

use std::sync::LazyLock;

use regex::Regex;

/// What stands in the place of something hidden.
const HIDDEN: &str = "[not shown]";

static SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?:xox[a-z](?:\.xox[a-z])?-|xapp-|xwfp-)[A-Za-z0-9-]{6,}", // Slack
        r"|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,}", // GitHub
        r"|\bA(?:KIA|SIA)[A-Z0-9]{16}\b",                            // AWS
        r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", // JSON Web Token
        r"|-----BEGIN [A-Z ]*PRIVATE KEY-----",
        r"|(?i:bearer|basic)\s+[A-Za-z0-9+/._~-]{16,}=*",
        r"|hooks\.slack\.com/services/[A-Za-z0-9/]+",
        r"|(?P<user>[a-z][a-z0-9+.-]*://[^\s/@:]*:)[^\s/@{}]+(?P<at>@)", // user:password@host
    ))
    .expect("the shapes of secrets are a valid regular expression")
});

static SECRET_KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?:^|[_-])(?:passw(?:or)?d|passphrase|pwd|secret|token|",
        r"(?:api|private|routing|access|signing)[_-]?key|authorization|credential)s?$",
    ))
    .expect("the names of secret keys are a valid regular expression")
});

/// The text has the shape of a credential: a Slack token, a private key, a URL with a password.
pub(super) fn is_secret_shaped(text: &str) -> bool {
    SHAPES.is_match(text)
}

/// The key's value is a credential, going by how its name ends; `token_file` holds only a path and `secretary` is a
/// person.
pub(super) fn is_secret_key(key: &str) -> bool {
    SECRET_KEY.is_match(key)
}

/// The sentence without anything that has the shape of a credential.
pub(super) fn in_sentence(sentence: &str) -> String {
    SHAPES
        .replace_all(sentence, |found: &regex::Captures<'_>| match (found.name("user"), found.name("at")) {
            (Some(user), Some(at)) => format!("{}{HIDDEN}{}", user.as_str(), at.as_str()),
            _ => HIDDEN.to_owned(),
        })
        .into_owned()
}

/// The line of this number (from 1), fit to be shown; `None` when there is no such line. The value of a secret key is
/// hidden unless it only names environment variables, and so is everything that stands below such a key.
pub(super) fn line(text: &str, number: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(number).collect();
    let line = *lines.get(number.checked_sub(1)?)?;
    let mut depth = indent(line);
    for above in lines.iter().rev().skip(1).filter(|above| !above.trim().is_empty()) {
        if indent(above) >= depth {
            continue;
        }
        depth = indent(above);
        if key_of(above).is_some_and(|(key, _)| is_secret_key(key)) {
            return Some(format!("{}{HIDDEN}", line.get(..indent(line)).unwrap_or_default()));
        }
    }
    let shown = match key_of(line) {
        Some((key, value)) if is_secret_key(key) && !value.is_empty() && !only_names_variables(value) => {
            let kept = line.len().saturating_sub(value.len());
            format!("{}{HIDDEN}", line.get(..kept).unwrap_or_default())
        }
        _ if inline_secret(line) => {
            format!("{}{HIDDEN}", line.get(..indent(line)).unwrap_or_default())
        }
        _ => line.to_owned(),
    };
    Some(in_sentence(&shown))
}

/// `key: value` of a block-style line, without list dashes and quotes.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    Some((key.trim_start_matches([' ', '-', '\t']).trim_matches(['"', '\'']), value.trim()))
}

static INLINE_PAIR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"[{,]\s*["']?([\w-]+)["']?\s*:\s*("[^"]*"?|'[^']*'?|[^,}\s][^,}]*)"#)
        .expect("a valid regular expression")
});

/// A flow-style line (`{token: abc}`) that gives a secret key a literal value.
fn inline_secret(line: &str) -> bool {
    INLINE_PAIR.captures_iter(line).any(|pair| {
        let (_, [key, value]) = pair.extract();
        is_secret_key(key) && !only_names_variables(value)
    })
}

static ONLY_VARIABLES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^["']?(?:[A-Za-z]+ )?\$\{[A-Za-z0-9_]+\}["']?(?:\s+#.*)?$"#).expect("a valid regular expression")
});

/// `${NAME}`, or a word as in `Bearer ${NAME}`.
fn only_names_variables(value: &str) -> bool {
    ONLY_VARIABLES.is_match(value)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_by_its_shape_and_by_its_key() {
        let text = "smtp:\n  password: hunter2\n  host: mail.example.com\n  note: xoxb-123456789-abcdef\n  key: {token: hunter3}\n";
        assert_eq!(line(text, 2).as_deref(), Some("  password: [not shown]"));
        assert_eq!(line(text, 3).as_deref(), Some("  host: mail.example.com"));
        assert_eq!(line(text, 4).as_deref(), Some("  note: [not shown]"));
        assert_eq!(line(text, 5).as_deref(), Some("  [not shown]"));
        assert_eq!(line(text, 6), None);
    }

    #[test]
    fn what_stands_below_a_secret_key_is_hidden_and_a_variables_name_is_not() {
        let text = "a:\n  token: |\n    hunter2\n    hunter3\n  other: 1\n  token: ${TOKEN}\n  token: ${TOKEN:-hunter2}\n  token_file: /run/token\n";
        assert_eq!(line(text, 3).as_deref(), Some("    [not shown]"));
        assert_eq!(line(text, 4).as_deref(), Some("    [not shown]"));
        assert_eq!(line(text, 5).as_deref(), Some("  other: 1"));
        assert_eq!(line(text, 6).as_deref(), Some("  token: ${TOKEN}"));
        assert_eq!(line(text, 7).as_deref(), Some("  token: [not shown]"));
        assert_eq!(line(text, 8).as_deref(), Some("  token_file: /run/token"));
        let shown = "  headers: { Authorization: \"Bearer ${TOKEN}\" } # optional";
        assert_eq!(line(shown, 1).as_deref(), Some(shown));
        assert_eq!(line("  headers: { Authorization: \"Bearer hunter2\" }", 1).as_deref(), Some("  [not shown]"));
        assert_eq!(line("  headers: { Authorization: \"hunter2${TOKEN}\" }", 1).as_deref(), Some("  [not shown]"));
    }

    #[test]
    fn a_key_is_secret_by_how_its_name_ends() {
        for key in ["password", "auth_token", "routing_keys", "X-Api-Key", "Authorization", "client_secret"] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["secretary", "token_file", "token-team", "passwordless", "key", "monkey"] {
            assert!(!is_secret_key(key), "{key}");
        }
    }

    #[test]
    fn the_password_of_an_address_is_hidden_and_the_rest_stays() {
        assert_eq!(
            in_sentence("postgres://vigie:hunter2@db.example.com/x is down"),
            "postgres://vigie:[not shown]@db.example.com/x is down"
        );
        assert!(is_secret_shaped("postgres://vigie:hunter2@db.example.com"));
        assert!(!is_secret_shaped("https://status.example.com/a:b"));
    }
}

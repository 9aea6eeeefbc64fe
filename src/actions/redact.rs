//! Takes secrets out of text before anybody sees it or it is stored.
//!
//! Two nets: the exact values of all configured secrets (also base64- and URL-encoded and JSON-escaped), and the
//! shapes that credentials have everywhere. Redact complete lines, and before cutting anything short: half a secret
//! has no shape.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::{Regex, RegexBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::template::escaped;
use crate::incident::words::Words;

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// Secrets shorter than this are not searched for: they would tear holes into ordinary words.
pub const SHORTEST: usize = 8;

/// Knows the configured secrets and the shapes of all others. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    exact: Option<Arc<Regex>>,
}

impl std::fmt::Debug for Redactor {
    // The pattern consists of secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("knows_secrets", &self.exact.is_some()).finish()
    }
}

struct Shape {
    pattern: Regex,
    instead: &'static str,
}

impl Shape {
    /// A name, which is kept, makes it a credential; by itself it could be anything.
    fn stands_behind_a_name(&self) -> bool {
        self.instead.starts_with("${k}")
    }
}

/// Patterns of credentials; what is kept of a match (`$k`) says what was there. A letter is one of ASCII or anything
/// beyond it: Unicode's own table of letters would take half a megabyte here. Nor is that class folded by case (`-i`), which
/// would bring nothing and take as long as all else here: it has both cases.
const SHAPES: &[(&str, &str)] = &[
    (r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[^\s\x22']+", "https://hooks.slack.com/[redacted]"),
    (r"(?-u:\b)(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{8,}", MARK),
    (r"(?-u:\b)gh[opusr]_[A-Za-z0-9]{16,}", MARK),
    (r"(?-u:\b)github_pat_[A-Za-z0-9_]{20,}", MARK),
    (r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)", MARK),
    (r"(?-u:\b)eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", MARK),
    (r"(?i)(?<k>(?-u:\b)(?:proxy-)?authorization(?-u:\b)[\x22']?\s*[:=]\s*[\x22']?)[^\x22'\r\n]+", "${k}[redacted]"),
    (r"(?i)(?<k>(?-u:\b)(?:set-)?cookie(?-u:\b)[\x22']?\s*:\s*[\x22']?)[^\x22'\r\n]+", "${k}[redacted]"),
    (r"(?i)(?<k>(?-u:\b)bearer\s+)[A-Za-z0-9._~+/=-]{8,}", "${k}[redacted]"),
    (r"(?i)(?<k>(?-u:\b)[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s]+@", "${k}[redacted]@"),
    (r"(?i)(?<k>(?-u:\b)[a-z][a-z0-9+.-]*://)[^/\s:@]{8,}@", "${k}[redacted]@"),
    (
        r"(?i)(?<k>(?-u:\b)(?-i:[0-9A-Za-z_.\u{80}-\u{10FFFF}-]*)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)(?-i:[0-9A-Za-z_.\u{80}-\u{10FFFF}-]*)=)(?:\x22[^\x22]*\x22|'[^']*'|[^\s\x22',;&]+)",
        "${k}[redacted]",
    ),
    (
        r"(?i)(?<k>[\x22'](?-i:[0-9A-Za-z_.\u{80}-\u{10FFFF}-]*)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)(?-i:[0-9A-Za-z_.\u{80}-\u{10FFFF}-]*)[\x22']\s*:\s*)(?:\x22(?:[^\x22\\]|\\.)*\x22|'[^']*')",
        "${k}\"[redacted]\"",
    ),
    (r"(?i)(?<k>(?-u:\b)(?:password|passwd|passphrase)\s*:\s*)[^\s\x22',;\[]+", "${k}[redacted]"),
];

static COMPILED: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let compile = |&(pattern, instead): &(&str, &'static str)| Shape {
        pattern: Regex::new(pattern).expect("a constant pattern compiles"),
        instead,
    };
    SHAPES.iter().map(compile).collect()
});

impl Redactor {
    /// Knows these secrets, each also in the forms it takes inside addresses, JSON and base64. A secret of several
    /// lines is known line by line; a value such as `Bearer x` also by its last word.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(|secret| forms(secret.expose_secret())).collect();
        // The longest first: alternatives are tried in order, and a secret may begin with another one.
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        if forms.is_empty() {
            return Self::default();
        }
        let pattern = forms.iter().map(|form| regex::escape(form)).collect::<Vec<_>>().join("|");
        let exact = RegexBuilder::new(&pattern).size_limit(1 << 28).build();
        Self { exact: Some(Arc::new(exact.expect("escaped literals compile"))) }
    }

    /// The text without secrets, whole lines in, whole lines out.
    pub fn text(&self, text: &str) -> String {
        self.lines(text, false)
    }

    /// The text without secrets, cut to so many characters on one line; for values and reasons inside a sentence.
    pub fn short(&self, text: &str, most: usize) -> String {
        let clean = self.text(text);
        let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(most) {
            None => line,
            Some((cut, _)) => format!("{}…", &line[..cut]),
        }
    }

    /// The sentence with each of its texts as [`Redactor::short`] gives it.
    pub fn words(&self, words: Words, most: usize) -> Words {
        let vars = words.vars.into_iter().map(|(name, value)| (name, self.value(value, most)));
        Words { key: words.key, vars: vars.collect() }
    }

    /// Whether a configured secret stands in it, or what can only be a credential. What merely stands behind a name like
    /// one does not count: `"token-service": "web:2"` is an image.
    pub(super) fn knows_one_in(&self, text: &str) -> bool {
        self.exact.as_ref().is_some_and(|exact| exact.is_match(text))
            || COMPILED.iter().any(|shape| !shape.stands_behind_a_name() && shape.pattern.is_match(text))
    }

    fn value(&self, value: Value, most: usize) -> Value {
        match value {
            Value::String(text) => Value::String(self.short(&text, most)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item, most)).collect(),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, value)| (name, self.value(value, most))).collect())
            }
            other => other,
        }
    }

    /// Like [`Redactor::text`], for a text that may begin inside a PEM block.
    pub(super) fn lines(&self, text: &str, mut in_block: bool) -> String {
        let mut clean = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let begins = line.contains(BEGIN);
            if !in_block && !begins {
                clean.push_str(&self.line(line));
                continue;
            }
            if begins && !in_block || clean.is_empty() {
                clean.push_str(MARK);
                clean.push('\n');
            }
            in_block = leaves_open(line, in_block);
        }
        clean
    }

    fn line<'t>(&self, line: &'t str) -> Cow<'t, str> {
        let mut clean = match &self.exact {
            Some(exact) => exact.replace_all(line, MARK),
            None => Cow::Borrowed(line),
        };
        for shape in COMPILED.iter() {
            if let Cow::Owned(replaced) = shape.pattern.replace_all(&clean, shape.instead) {
                clean = Cow::Owned(replaced);
            }
        }
        clean
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Whether a PEM block is open after this text, when one was or was not before it.
pub(super) fn leaves_open(text: &str, open_before: bool) -> bool {
    match (text.rfind(BEGIN), text.rfind(END)) {
        (None, None) => open_before,
        (begin, end) => begin > end,
    }
}

/// Whether a secret, or the credential within it, is so short that it cannot be taken out of texts.
pub fn is_too_short(secret: &str) -> bool {
    let whole = secret.trim();
    let scheme = |word: &str| ["basic", "bearer", "token"].contains(&word.to_ascii_lowercase().as_str());
    let alone = match whole.split_once(' ') {
        Some((first, rest)) if scheme(first) => rest.trim(),
        _ => whole,
    };
    let is_short = |value: &str| !value.is_empty() && value.len() < SHORTEST;
    is_short(alone) || within_address(whole).iter().any(|value| is_short(value))
}

/// The credential within an address such as `postgres://shop:hunter2@db/shop`, as it is written and as it is meant. On the
/// web a key alone stands before the `@`; elsewhere that is a name that everybody may know.
fn within_address(secret: &str) -> Vec<String> {
    let Some((scheme, rest)) = secret.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let credential = match authority.rsplit_once('@').map(|(own, _)| (own, own.split_once(':'))) {
        Some((_, Some((_, password)))) => password,
        Some((key, None)) if scheme.starts_with("http") => key,
        _ => return Vec::new(),
    };
    // A plus is a plus there, and no blank.
    let pair = format!("p={}", credential.replace('+', "%2B"));
    let meant = url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, meant)| meant.into_owned());
    [Some(credential.to_owned()), meant].into_iter().flatten().collect()
}

/// Every form in which a secret may turn up.
fn forms(secret: &str) -> Vec<String> {
    let mut values: Vec<String> = secret.lines().map(|line| line.trim().to_owned()).collect();
    values.extend(secret.split_whitespace().next_back().map(str::to_owned));
    values.push(secret.trim().to_owned());
    values.extend(within_address(secret));
    let long = values.iter().filter(|value| value.len() >= SHORTEST && !value.contains('\n'));
    let mut forms = Vec::new();
    for value in long {
        forms.push(value.clone());
        forms.push(escaped(value));
        forms.push(value.bytes().map(|byte| format!("%{byte:02X}")).collect());
        forms.push(serde_json::Value::from(value.as_str()).to_string().trim_matches('"').to_owned());
        forms.push(STANDARD.encode(value));
        for ahead in 0..3 {
            forms.extend(inside_base64(value, ahead));
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// How the secret looks inside the base64 of a longer text in which `ahead` (modulo 3) bytes stand before it:
/// only the characters that no neighbour touches. Finds `Basic` credentials, for one.
fn inside_base64(value: &str, ahead: usize) -> Vec<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, ahead).chain(value.bytes()).collect();
    let touched = [0, 2, 3];
    let first = touched.get(ahead).copied().unwrap_or(0);
    let whole = padded.len() * 8 / 6;
    [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
        .iter()
        .filter_map(|text| text.get(first..whole).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(&[SecretString::from("s3cr3t/with+signs"), SecretString::from("Bearer tok-12345678")])
    }

    #[test]
    fn a_configured_secret_is_found_in_every_form() {
        let basic = STANDARD.encode("user:s3cr3t/with+signs");
        let texts = [
            "plain s3cr3t/with+signs here".to_owned(),
            format!("url {}", escaped("s3cr3t/with+signs")),
            format!("b64 {}", STANDARD.encode("s3cr3t/with+signs")),
            format!("inside {basic}"),
            format!("inside {}", STANDARD.encode("us:s3cr3t/with+signs:x")),
            format!("inside {}", STANDARD.encode("u:s3cr3t/with+signs:xy")),
            "alone tok-12345678".to_owned(),
        ];
        for text in texts {
            let clean = redactor().text(&text);
            assert!(clean.contains(MARK), "{text} became {clean}");
            assert!(!clean.contains("s3cr3t") && !clean.contains("12345678"), "{clean}");
        }
        assert!(!redactor().text(&basic).contains(&basic[12..20]));
    }

    #[test]
    fn well_known_shapes_are_found_without_being_configured() {
        let aws = format!("AKIA{}", "ABCDEFGHIJKLMNOP");
        let cases = [
            (format!("xoxb-{}", "123456789012-abcdef"), "[redacted]"),
            (format!("remote: ghp_{}", "a".repeat(36)), "remote: [redacted]"),
            (format!("key {aws} end"), "key [redacted] end"),
            ("Authorization: Basic dXNlcjpwYXNz".into(), "Authorization: [redacted]"),
            ("{\"authorization\":\"Bearer abc\"}".into(), "{\"authorization\":\"[redacted]\"}"),
            ("postgres://shop:hunter2@db/shop".into(), "postgres://shop:[redacted]@db/shop"),
            ("PGPASSWORD=hunter2 psql".into(), "PGPASSWORD=[redacted] psql"),
            ("{\"api_key\": \"a\\\"b\", \"n\": 1}".into(), "{\"api_key\": \"[redacted]\", \"n\": 1}"),
            ("password: hunter2".into(), "password: [redacted]"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl".into(), "[redacted]"),
        ];
        for (text, wanted) in cases {
            assert_eq!(redactor().text(&text), wanted);
        }
    }

    #[test]
    fn the_password_within_an_address_is_a_secret_of_its_own() {
        let secret = SecretString::from("postgresql://shop:pa+ss%2Fw0rd-9@db.example.com:5432/shop?sslmode=require");
        let redactor = Redactor::new(&[secret, SecretString::from("https://key-of-ours@errors.example.com/7")]);
        for text in ["for user shop: pa+ss/w0rd-9 is wrong", "pa+ss%2Fw0rd-9", "the key key-of-ours is unknown"] {
            let clean = redactor.text(text);
            assert!(clean.contains(MARK) && !clean.contains("w0rd-9") && !clean.contains("key-of-ours"), "{clean}");
        }
        assert_eq!(redactor.text("db.example.com:5432/shop"), "db.example.com:5432/shop");
        let name = Redactor::new(&[SecretString::from("postgres://postgres@db.example.com/shop")]);
        assert_eq!(name.text("role postgres"), "role postgres", "everybody may know a name");
    }

    #[test]
    fn what_cannot_be_hidden_is_known_to_be_too_short() {
        for short in ["hunter2", " Bearer abc ", "postgres://shop:hunter2@db/shop"] {
            assert!(is_too_short(short), "{short}");
        }
        for long in ["", "hunter23", "Bearer abcdefgh", "postgres://shop@db/shop", "postgres://shop:hunter23@db/s"] {
            assert!(!is_too_short(long), "{long}");
        }
    }

    #[test]
    fn a_private_key_disappears_whole() {
        let text = "before\n-----BEGIN PRIVATE KEY-----\nMIIEvQ\nabc\n-----END PRIVATE KEY-----\nafter\n";
        assert_eq!(redactor().text(text), "before\n[redacted]\nafter\n");
        assert_eq!(redactor().lines("abc\n-----END PRIVATE KEY-----\nafter", true), "[redacted]\nafter");
    }

    #[test]
    fn ordinary_text_is_left_as_it_is() {
        let text = "GET https://shop.example.com:8443/health@v1 answered 200 in 41 ms; 3 tokens left; secretary: Ana\n";
        assert_eq!(redactor().text(text), text);
    }

    #[test]
    fn secrets_are_taken_out_before_a_text_is_cut_short() {
        let text = format!("{}s3cr3t/with+signs", "x".repeat(10));
        assert_eq!(redactor().short(&text, 14), "xxxxxxxxxx[red…");
    }

    #[test]
    fn a_name_like_a_credential_is_none_in_a_plan_and_a_token_is() {
        let secret = SecretString::from("hunter2-hunter2");
        let redactor = Redactor::new([&secret]);
        assert!(!redactor.knows_one_in(r#"{"token-service":"img:1","password-reset":"web:2"}"#));
        assert!(redactor.knows_one_in(r#"{"image":"hunter2-hunter2"}"#));
        assert!(redactor.knows_one_in(r#"{"url":"ghp_abcdefghijklmnopqrstuvwxyz0123456789"}"#));
    }
}

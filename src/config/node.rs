//! The file as a tree in which every value knows where it stands.
//!
//! The YAML is read by serde-saphyr; what a value means is decided later by the type that wants it, so a phone number
//! stays a text and `${PORT}` may become a number. Keeping the tree makes it possible to go on after a fault.

mod merge;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::fault::{Findings, Place, Source, lines};
use super::hide;
use super::interpolate::{Variables, expanded};

/// A value of the file and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Unique within the tree.
    pub id: usize,
    /// `contacts.lead.page_with[0]`.
    pub path: String,
    /// Where the value begins.
    pub place: Place,
    /// Where the key begins that it belongs to, when it is the value of one.
    pub key_place: Option<Place>,
    /// What it is.
    pub value: Value,
}

impl Node {
    /// Shows every text of the tree.
    pub fn each_text(&self, look: &mut dyn FnMut(&Node, &Text)) {
        match &self.value {
            Value::Text(text) => look(self, text),
            Value::List(nodes) => nodes.iter().for_each(|node| node.each_text(look)),
            Value::Map(entries) => entries.iter().for_each(|(_, node)| node.each_text(look)),
            Value::Empty | Value::Broken => {}
        }
    }
}

/// What can stand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing after the colon, `~` or `null`.
    Empty,
    /// One word, number or text.
    Text(Text),
    /// A list.
    List(Vec<Node>),
    /// Keys with values, in the order of the file.
    Map(Vec<(String, Node)>),
    /// Something whose fault is noted already.
    Broken,
}

/// A word, number or text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// With the environment's values filled in.
    pub text: String,
    /// As written, with `${NAME}`.
    pub written: String,
    /// YAML alone would take it for a number or a truth value.
    pub inferred: bool,
}

/// Where the values come from that the file only names.
pub(super) struct Sources<'v> {
    /// `${NAME}`.
    pub variables: Variables<'v>,
    /// `token_file: path`: reads the file.
    pub files: &'v dyn Fn(&str) -> std::io::Result<String>,
}

/// Reads the files into one tree with the variables and secret files filled in. Faults are noted; `None` when a file
/// could not be read at all: what stands in it would be called missing.
pub(super) fn read(files: &[Source], sources: &Sources<'_>, findings: &mut Findings<'_>) -> Option<Node> {
    let (mut before, mut next) = (0, 0);
    let mut trees = Vec::new();
    for file in files {
        trees.push(read_one(&file.text, before, &mut next, sources, findings));
        before += lines(&file.text);
    }
    let trees: Option<Vec<Node>> = trees.into_iter().collect();
    merge::merged(trees?, findings)
}

/// `before` lines stand in other files.
fn read_one(
    text: &str,
    before: u32,
    next: &mut usize,
    sources: &Sources<'_>,
    findings: &mut Findings<'_>,
) -> Option<Node> {
    let rough = match parse(text, DuplicateKeyPolicy::Error) {
        Ok(rough) => rough,
        Err(error) => {
            let twice = matches!(error.without_snippet(), serde_saphyr::Error::DuplicateMappingKey { .. });
            note(text, before, &error, findings);
            if !twice {
                return None;
            }
            // The first of the two stands, so that everything else is looked at as well.
            parse(text, DuplicateKeyPolicy::FirstWins).map_err(|error| note(text, before, &error, findings)).ok()?
        }
    };
    let mut building = Building { text, before, sources, findings, next: *next };
    let root = building.node(rough, String::new(), None);
    *next = building.next;
    Some(root)
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Rough, serde_saphyr::Error> {
    let options = serde_saphyr::options! { duplicate_keys: duplicate_keys, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
}

fn note(text: &str, before: u32, error: &serde_saphyr::Error, findings: &mut Findings<'_>) {
    use serde_saphyr::{Error, MessageFormatter as _, UserMessageFormatter};
    let bare = error.without_snippet();
    let place = error.location().and_then(|location| placed(location, 0));
    let (what, cure) = match bare {
        Error::DuplicateMappingKey { key, .. } => (
            format!("“{}” stands here a second time", key.as_deref().unwrap_or("a key")),
            "keep one of the two".to_owned(),
        ),
        Error::UnknownAnchor { .. } => ("this alias names nothing".to_owned(), "define it above with &name".to_owned()),
        other => {
            let message = UserMessageFormatter.format_message(other);
            let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let line = place.and_then(|place| text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?));
            let braces = line.is_some_and(|line| line.contains("${") && line.contains(['[', ',']));
            let cure = if braces {
                "inside { } and [ ] put quotes round a variable: \"${NAME}\""
            } else {
                "look at the indentation, colons and quotes here and on the line above"
            };
            (format!("this is not YAML: {message}"), cure.to_owned())
        }
    };
    findings.fault(place.map(|place| Place { line: place.line + before, ..place }), what, cure);
}

fn placed(location: Location, before: u32) -> Option<Place> {
    let line = u32::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some(Place { line: line + before, column: u32::try_from(location.column()).unwrap_or(1).max(1) })
}

struct Building<'a, 't, 'v> {
    text: &'a str,
    before: u32,
    sources: &'a Sources<'v>,
    findings: &'a mut Findings<'t>,
    next: usize,
}

impl Building<'_, '_, '_> {
    fn node(&mut self, rough: Rough, path: String, key_place: Option<Place>) -> Node {
        let id = self.next;
        self.next += 1;
        let place =
            placed(rough.0.referenced, self.before).or(key_place).unwrap_or(Place { line: self.before + 1, column: 1 });
        let value = match rough.0.value {
            RoughValue::Empty => Value::Empty,
            RoughValue::Text(text) => self.filled(text, false, place, &path),
            RoughValue::Inferred(said) => {
                let written = self.slice(rough.0.defined).unwrap_or(said);
                self.filled(written, true, place, &path)
            }
            RoughValue::List(items) => Value::List(
                items.into_iter().enumerate().map(|(n, item)| self.node(item, format!("{path}[{n}]"), None)).collect(),
            ),
            RoughValue::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let path = if path.is_empty() { key.value.clone() } else { format!("{path}.{}", key.value) };
                        let node = self.node(value, path, placed(key.referenced, self.before));
                        self.secret_file(key.value, node)
                    })
                    .collect(),
            ),
        };
        Node { id, path, place, key_place, value }
    }

    /// `token_file: path` stands for `token` with the file's content.
    fn secret_file(&mut self, key: String, mut node: Node) -> (String, Node) {
        let Some(stem) = key.strip_suffix("_file").filter(|stem| hide::is_secret_key(stem)) else { return (key, node) };
        if let Value::Text(path) = &node.value {
            node.value = match (self.sources.files)(&path.text) {
                Ok(content) => Value::Text(Text {
                    text: content.trim_end().to_owned(),
                    written: format!("the content of {}", path.written),
                    inferred: false,
                }),
                Err(error) => {
                    let what = format!("“{}” cannot be read: {error}", path.written);
                    let cure =
                        "give the path of a file that holds nothing but the secret; it counts from this file's folder";
                    self.findings.fault(Some(node.place), what, cure);
                    Value::Broken
                }
            };
        }
        (stem.to_owned(), node)
    }

    /// Fills the variables in; a credential that is written out is a fault wherever it stands.
    fn filled(&mut self, written: String, inferred: bool, place: Place, path: &str) -> Value {
        let mut keys = path.rsplit('.').map(|key| key.split('[').next().unwrap_or(key));
        let key = keys.next().unwrap_or(path);
        let secret = hide::is_secret_key(key) || keys.next().is_some_and(hide::is_secret_key);
        let literal = secret && !key.ends_with("_file") && !names_a_variable(&written);
        if literal || hide::is_secret_shaped(&written) {
            self.findings.fault(
                Some(place),
                format!("“{key}” holds a credential that is written out"),
                "put it into an environment variable and write ${ITS_NAME} here; change it if others can read this file",
            );
        }
        let text = match expanded(&written, &self.sources.variables) {
            Ok(text) => text,
            Err(trouble) => {
                // A default would be a credential in the file.
                let cure = if secret { trouble.cure.split(", or").next().unwrap_or_default() } else { &trouble.cure };
                self.findings.fault(Some(place), trouble.what, cure);
                return Value::Broken;
            }
        };
        Value::Text(Text { text, written, inferred })
    }

    fn slice(&self, location: Location) -> Option<String> {
        let span = location.span();
        let from = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        self.text.get(from..from.checked_add(length)?).map(|slice| slice.trim().to_owned())
    }
}

/// A variable without a default: a default would be a credential in the file.
fn names_a_variable(written: &str) -> bool {
    written.contains("${") && !written.contains(":-")
}

/// The tree as the YAML reader gives it.
struct Rough(Spanned<RoughValue>);

enum RoughValue {
    Empty,
    Text(String),
    /// Taken for a number or truth value; what was written is in the file itself.
    Inferred(String),
    List(Vec<Rough>),
    Map(Vec<(Spanned<String>, Rough)>),
}

impl<'de> Deserialize<'de> for Rough {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Rough)
    }
}

impl<'de> Deserialize<'de> for RoughValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RoughVisitor)
    }
}

struct RoughVisitor;

impl<'de> Visitor<'de> for RoughVisitor {
    type Value = RoughValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<RoughValue, E> {
        Ok(RoughValue::Empty)
    }
    fn visit_none<E>(self) -> Result<RoughValue, E> {
        Ok(RoughValue::Empty)
    }
    fn visit_str<E>(self, text: &str) -> Result<RoughValue, E> {
        Ok(RoughValue::Text(text.to_owned()))
    }
    fn visit_bool<E>(self, value: bool) -> Result<RoughValue, E> {
        Ok(RoughValue::Inferred(value.to_string()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<RoughValue, E> {
        Ok(RoughValue::Inferred(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<RoughValue, E> {
        Ok(RoughValue::Inferred(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<RoughValue, E> {
        Ok(RoughValue::Inferred(value.to_string()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RoughValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RoughValue::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RoughValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RoughValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (Option<Node>, String) {
        let files = [Source { name: "f.yml".to_owned(), text: text.to_owned() }];
        tree_of(&files)
    }

    fn tree_of(texts: &[Source]) -> (Option<Node>, String) {
        let mut findings = Findings::new("config", texts);
        let lookup = |name: &str| (name == "PORT").then(|| "8025".to_owned());
        let files = |path: &str| match path {
            "/run/secrets/token" => Ok("hunter2\n".to_owned()),
            _ => Err(std::io::Error::other("no such file")),
        };
        let sources = Sources { variables: Variables::new(&lookup), files: &files };
        let node = read(texts, &sources, &mut findings);
        (node, findings.end().err().map(|faults| faults.to_string()).unwrap_or_default())
    }

    fn find<'n>(node: &'n Node, key: &str) -> &'n Node {
        match &node.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_value_keeps_what_was_written_and_where() {
        let (node, faults) = tree("phone: +15550100\nlong: 1.20\nyes: on\nport: ${PORT}\nlist:\n  - a\n  - 'b: c'\n");
        assert_eq!(faults, "");
        let node = node.unwrap();
        let text = |key: &str| match &find(&node, key).value {
            Value::Text(text) => text.text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!([text("phone"), text("long"), text("yes"), text("port")], ["+15550100", "1.20", "on", "8025"]);
        assert_eq!(find(&node, "port").place, Place { line: 4, column: 7 });
        assert_eq!(find(&node, "port").key_place, Some(Place { line: 4, column: 1 }));
        let Value::List(items) = &find(&node, "list").value else { panic!() };
        assert_eq!(items[1].place, Place { line: 7, column: 5 });
        assert_eq!(items[1].path, "list[1]");
    }

    #[test]
    fn a_key_that_stands_twice_is_named_and_the_rest_is_still_read() {
        let (node, faults) = tree("a: 1\na: 2\nb: ${NONE}\n");
        assert!(node.is_some());
        assert!(faults.contains("f.yml:2:1: “a” stands here a second time"), "{faults}");
        assert!(faults.contains("f.yml:3:4: the variable NONE is not set"), "{faults}");
    }

    fn sources(texts: &[(&str, &str)]) -> Vec<Source> {
        texts.iter().map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() }).collect()
    }

    #[test]
    fn several_files_are_one_tree_section_by_section() {
        let (node, faults) = tree_of(&sources(&[
            ("a.yml", "contacts:\n  a: {name: A}\nlist:\n  - {key: 1}\n"),
            ("b.yml", "# only a remark\n"),
            ("c.yml", "contacts:\n  c: {name: C}\nlist:\n  - {key: 2}\nother: 1\n"),
        ]));
        assert_eq!(faults, "");
        let node = node.unwrap();
        let Value::Map(contacts) = &find(&node, "contacts").value else { panic!() };
        assert_eq!(contacts.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        let Value::List(items) = &find(&node, "list").value else { panic!() };
        assert_eq!(find(&items[1], "key").path, "list[1].key");
        let mut ids: Vec<usize> = items.iter().map(|item| item.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 2, "each value is told from the others");
    }

    #[test]
    fn a_name_in_two_files_is_told_with_both_places() {
        let (_, faults) = tree_of(&sources(&[
            ("a.yml", "contacts:\n  lead: {name: A}\nworkspace:\n  zone: UTC\n"),
            ("b.yml", "workspace:\n  zone: Europe/Paris\ncontacts:\n  lead: {name: B}\n"),
            ("c.yml", "- 1\n"),
        ]));
        for told in [
            "b.yml:2:3: “zone” stands here a second time; the first is at a.yml:4:3 · keep one of the two",
            "b.yml:4:3: “lead” stands here a second time; the first is at a.yml:2:3 · keep one of the two",
            "c.yml:1:1: the file holds no sections · write “contacts:”, “services:” … at its left edge",
        ] {
            assert!(faults.contains(told), "{told} is not in\n{faults}");
        }
    }

    #[test]
    fn every_file_that_is_no_yaml_is_told() {
        let (node, faults) = tree_of(&sources(&[("a.yml", "a: [\n"), ("b.yml", "b:\n\t- c\n")]));
        assert_eq!(node, None);
        assert!(faults.contains("a.yml:") && faults.contains("b.yml:2:"), "{faults}");
    }

    #[test]
    fn broken_yaml_is_shown_with_its_place() {
        let (node, faults) = tree("a:\n\t- b\n");
        assert_eq!(node, None);
        assert!(faults.starts_with("f.yml:2:"), "{faults}");
        let (_, faults) = tree("a: {port: ${PORT}, host: x}\n");
        assert!(faults.contains("put quotes round a variable"), "{faults}");
    }

    #[test]
    fn a_credential_comes_from_the_environment_or_a_file_and_is_never_written_out() {
        let (node, faults) =
            tree("a:\n  auth_token: ${PORT}\n  token_file: /run/secrets/token\n  note: the token is secret\n");
        assert_eq!(faults, "");
        let node = node.unwrap();
        let Value::Text(token) = &find(find(&node, "a"), "token").value else { panic!() };
        assert_eq!(token.text, "hunter2");

        let (_, faults) =
            tree("password: hunter3\nsecret: ${SECRET:-hunter4}\nnote: xoxb-12345678-abc\npassword_file: /gone\n");
        assert_eq!(faults.matches("holds a credential that is written out").count(), 3, "{faults}");
        assert!(faults.contains("f.yml:4:16: “/gone” cannot be read"), "{faults}");
        assert!(!faults.contains("hunter") && !faults.contains("12345678"), "{faults}");
    }
}

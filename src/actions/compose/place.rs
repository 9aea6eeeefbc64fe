//! Where the image's tag is written: a variable of an environment file, or an override file that only Vigie writes. What
//! is around it stays as it is, and is never shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Back;
use crate::actions::env_file::files;
use crate::incident::words::Words;

/// The first line of an override.
const MARK: &str = "# Vigie writes this file; what is changed by hand is lost.";

/// A file as it is and as it would be.
pub(super) struct Edit {
    pub path: PathBuf,
    /// The digest of what is there; nothing where there is no file.
    pub before: Option<String>,
    pub after: String,
    content: Vec<u8>,
}

/// What an override of ours says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    services: BTreeMap<String, OverrideService>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideService {
    image: String,
}

impl Back {
    pub(super) fn path(&self) -> PathBuf {
        self.env_file.as_ref().or(self.r#override.as_ref()).cloned().unwrap_or_default()
    }

    /// The file with another tag.
    pub(super) fn edited(&self, service: &str, repository: &str, tag: &str) -> Result<Edit, Words> {
        let path = files::real(&self.path())?;
        let state = files::state(&path)?;
        let content = match (&self.variable, &state) {
            (Some(variable), Some(state)) => {
                with_value(&state.bytes, variable, repository, tag).map_err(|key| about(key, &path, variable))?
            }
            (Some(_), None) => return Err(Words::new("file.none").with("path", path.display().to_string())),
            (None, state) => {
                let old = state.as_ref().map(|state| state.bytes.as_slice());
                let content = overridden(old, service, &format!("{repository}:{tag}"))
                    .ok_or_else(|| Words::new("compose.foreign_override").with("path", path.display().to_string()))?;
                content.into_bytes()
            }
        };
        let after = hex::encode(Sha256::digest(&content));
        Ok(Edit { path, before: state.map(|state| state.digest), after, content })
    }
}

impl Edit {
    pub(super) fn write(&self, key: &str) -> Result<(), Words> {
        files::put(&self.path, &self.content, key)
    }
}

fn about(key: &'static str, path: &Path, variable: &str) -> Words {
    Words::new(key).with("path", path.display().to_string()).with("variable", variable)
}

/// Each byte as the character of its number, and back: so every byte can be looked at, and none is lost that is no UTF-8.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn bytes(characters: &str) -> Vec<u8> {
    characters.chars().filter_map(|character| u8::try_from(character).ok()).collect()
}

/// The content with another value for the one line that sets the variable. A value that is a whole image stays one.
fn with_value(content: &[u8], variable: &str, repository: &str, tag: &str) -> Result<Vec<u8>, &'static str> {
    let [variable, repository, tag] = [variable, repository, tag].map(|text| characters(text.as_bytes()));
    edited(&characters(content), &variable, &repository, &tag).map(|text| bytes(&text))
}

fn edited(text: &str, variable: &str, repository: &str, tag: &str) -> Result<String, &'static str> {
    let mut found = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_ascii_start();
        let bare = bare.strip_prefix("export ").map_or(bare, str::trim_ascii_start);
        let is_it = bare.strip_prefix(variable).is_some_and(|rest| rest.trim_ascii_start().starts_with('='));
        if is_it && found.replace(number).is_some() {
            return Err("compose.variable_twice");
        }
    }
    let found = found.ok_or("compose.no_variable")?;
    let lines = text.split_inclusive('\n').enumerate();
    Ok(lines.map(|(number, line)| if number == found { set(line, repository, tag) } else { line.to_owned() }).collect())
}

/// A line with its value replaced: quotes, a remark behind it and the line's end stay.
fn set(line: &str, repository: &str, tag: &str) -> String {
    let (name, rest) = line.split_once('=').unwrap_or((line, ""));
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let (blank, rest) = rest.split_at(blank);
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let (open, rest) = rest.split_at(quote.map_or(0, char::len_utf8));
    let end = match quote {
        Some(quote) => rest.find(quote),
        None => rest.find([' ', '\t', '\r', '\n']),
    };
    let (old, behind) = rest.split_at(end.unwrap_or(rest.len()));
    let whole = old.rsplit_once(':').is_some_and(|(own, _)| own == repository);
    let image = if whole { format!("{repository}:") } else { String::new() };
    format!("{name}={blank}{open}{image}{tag}{behind}")
}

/// An override with another image for a service; nothing where the file is somebody else's.
fn overridden(old: Option<&[u8]>, service: &str, image: &str) -> Option<String> {
    let mut known = match old.map(str::from_utf8).transpose().ok()? {
        None => Override::default(),
        Some(text) if text.starts_with(MARK) => serde_saphyr::from_str(text).ok()?,
        Some(_) => return None,
    };
    known.services.insert(service.to_owned(), OverrideService { image: image.to_owned() });
    let services =
        known.services.iter().map(|(name, service)| format!("  {name}:\n    image: \"{}\"\n", service.image));
    Some(format!("{MARK}\nservices:\n{}", services.collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_is_replaced() {
        for (old, new) in [
            ("A=1\nWEB_TAG=2\nB=3\n", "A=1\nWEB_TAG=1.2.3\nB=3\n"),
            ("WEB_TAG=\"2\" # live\r\n", "WEB_TAG=\"1.2.3\" # live\r\n"),
            ("export WEB_TAG='2'", "export WEB_TAG='1.2.3'"),
            ("WEB_TAG= 2 # live\n", "WEB_TAG= 1.2.3 # live\n"),
            ("WEB_TAG=\n", "WEB_TAG=1.2.3\n"),
            ("WEB_TAG=example/web:2\n", "WEB_TAG=example/web:1.2.3\n"),
            ("# WEB_TAG=0\nWEB_TAG=2\nWEB_TAGS=4\n", "# WEB_TAG=0\nWEB_TAG=1.2.3\nWEB_TAGS=4\n"),
        ] {
            let found = with_value(old.as_bytes(), "WEB_TAG", "example/web", "1.2.3");
            assert_eq!(found.as_deref(), Ok(new.as_bytes()), "{old:?}");
        }
        assert_eq!(with_value(b"A=1\n", "WEB_TAG", "w", "1"), Err("compose.no_variable"));
        assert_eq!(with_value(b"WEB_TAG=1\nWEB_TAG=2\n", "WEB_TAG", "w", "1"), Err("compose.variable_twice"));
    }

    /// Old editors write `é` as one byte, and a password may be anything.
    #[test]
    fn a_file_that_is_no_utf_8_keeps_every_other_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let around = |tag: &[u8]| {
            [b"# pr\xe9production \xff\x00\xc3\xa9\nP=\xa0\x85x\r\nWEB_TAG=", tag, b" # d\xe9j\xe0\n"].concat()
        };
        std::fs::write(&path, around(b"2")).unwrap();
        let back = Back { env_file: Some(path.clone()), variable: Some("WEB_TAG".into()), ..Back::default() };
        let edit = back.edited("web", "example/web", "1.2.3").unwrap();
        edit.write("run_7_1-step-1").unwrap();
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written, around(b"1.2.3"));
        assert_eq!(edit.after, hex::encode(Sha256::digest(&written)));
        assert_eq!(overridden(Some(&around(b"2")), "web", "w:1"), None, "an override of ours is UTF-8");
    }

    #[test]
    fn an_override_keeps_its_other_services_and_is_nobody_elses() {
        let first = overridden(None, "web", "example/web:2").unwrap();
        let second = overridden(Some(first.as_bytes()), "worker", "example/worker:7").unwrap();
        let third = overridden(Some(second.as_bytes()), "web", "example/web:1").unwrap();
        let wanted = "services:\n  web:\n    image: \"example/web:1\"\n  worker:\n    image: \"example/worker:7\"\n";
        assert_eq!(third, format!("{MARK}\n{wanted}"));
        assert_eq!(overridden(Some(b"services: {}\n"), "web", "example/web:1"), None);
        assert_eq!(
            overridden(Some(format!("{MARK}\nservices: {{web: {{ports: [1]}}}}\n").as_bytes()), "web", "w:1"),
            None
        );
    }
}

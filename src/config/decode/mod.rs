//! From the tree to the typed file, with every fault at once.
//!
//! Serde stops at the first error. Here the value with the fault is noted and left out, and the tree is read again,
//! until nothing new is found: an entry with a fault does not hide the faults of the others. A required value that is
//! missing is stood in for while the rest of its entry is read; such an entry is then left out as a whole, so that no
//! stand-in ever reaches the configuration.

mod access;
mod reader;
mod stop;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use self::reader::Reader;
use self::stop::{Kind, Stop};
use super::fault::{Findings, Place};
use super::node::Node;

/// The name by which a type asks for its value together with its place.
pub(super) const WITH_PLACE: &str = "vigie: value with its place";
/// The name by which a type asks for the text of a single word.
pub(super) const WORD: &str = "vigie: word";

/// What could be read, and which entries had to be left out.
pub(super) struct Decoded<T> {
    /// The typed file; `None` when a part without which nothing makes sense is missing or wrong.
    pub file: Option<T>,
    /// Paths of what was left out (`contacts.lead`), so that what refers to it is not called unknown.
    pub broken: BTreeSet<String>,
}

/// Reads the tree into `T`, noting every fault.
pub(super) fn decode<T: DeserializeOwned>(root: &Node, findings: &mut Findings<'_>) -> Decoded<T> {
    let state = State::default();
    let file = loop {
        let known = state.size();
        match T::deserialize(Reader::new(root, &state)) {
            Ok(file) => break Some(file),
            Err(stop) => state.take(stop, root),
        }
        if state.is_out(root) || state.size() == known {
            break None;
        }
    };
    let State { noted, broken, .. } = state;
    for (place, what, cure) in noted.into_inner() {
        findings.fault(Some(place), what, cure);
    }
    Decoded { file, broken: broken.into_inner() }
}

/// What is known after the rounds so far.
#[derive(Default)]
struct State {
    noted: RefCell<Vec<(Place, String, String)>>,
    out: RefCell<BTreeSet<usize>>,
    broken: RefCell<BTreeSet<String>>,
    missing: RefCell<BTreeMap<usize, BTreeSet<&'static str>>>,
}

impl State {
    fn size(&self) -> usize {
        self.out.borrow().len() + self.missing.borrow().values().map(BTreeSet::len).sum::<usize>()
    }

    fn is_out(&self, node: &Node) -> bool {
        self.out.borrow().contains(&node.id)
    }

    fn note(&self, place: Place, what: String, cure: String) {
        let fault = (place, what, cure);
        let mut noted = self.noted.borrow_mut();
        if !noted.contains(&fault) {
            noted.push(fault);
        }
    }

    fn missing_in(&self, node: &Node) -> BTreeSet<&'static str> {
        self.missing.borrow().get(&node.id).cloned().unwrap_or_default()
    }

    fn add_missing(&self, node: &Node, field: &'static str) {
        self.missing.borrow_mut().entry(node.id).or_default().insert(field);
    }

    fn take(&self, stop: Stop, root: &Node) {
        let at = stop.at.unwrap_or_else(|| stop::Spot::of(root));
        match stop.kind {
            Kind::Again => return,
            Kind::LeaveOut => {}
            Kind::Fault { what, cure } => self.note(at.place, what, cure),
            Kind::Missing(field) => {
                self.note(at.place, format!("“{field}” is missing"), format!("add “{field}: …”"));
            }
        }
        self.out.borrow_mut().insert(at.id);
        self.broken.borrow_mut().insert(at.path);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::config::fault::Source;
    use crate::config::interpolate::Variables;
    use crate::config::node::{self, Sources};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Garden {
        name: String,
        #[serde(default)]
        beds: BTreeMap<String, Bed>,
        #[serde(default)]
        tools: Vec<Tool>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Bed {
        long: u32,
        wide: u32,
        earth: Earth,
        #[serde(default)]
        watered: bool,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Earth {
        Sand,
        Clay,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Tool {
        Rake,
        Hose { metres: u32 },
    }

    fn read(text: &str) -> (Option<Garden>, Vec<String>, BTreeSet<String>) {
        let files = [Source { name: "g.yml".to_owned(), text: text.to_owned() }];
        let mut findings = Findings::new("g.yml", &files);
        let lookup = |name: &str| (name == "WIDE").then(|| "hunter2".to_owned());
        let none = |_: &str| Err(std::io::Error::other("no files here"));
        let sources = Sources { variables: Variables::new(&lookup), files: &none };
        let tree = node::read(&files, &sources, &mut findings).unwrap();
        let decoded = decode(&tree, &mut findings);
        let faults = findings.end().err().map(|faults| faults.0).unwrap_or_default();
        (decoded.file, faults.iter().map(super::super::fault::Fault::headline).collect(), decoded.broken)
    }

    #[test]
    fn a_good_file_is_read_whole() {
        let (garden, faults, _) = read(
            "name: 12\nbeds:\n  a: {long: 2, wide: 1, earth: sand, watered: yes}\ntools: [rake, hose: {metres: 20}]\n",
        );
        assert_eq!(faults, Vec::<String>::new());
        let garden = garden.unwrap();
        assert_eq!(garden.name, "12");
        assert_eq!(garden.beds["a"], Bed { long: 2, wide: 1, earth: Earth::Sand, watered: true });
        assert_eq!(garden.tools, [Tool::Rake, Tool::Hose { metres: 20 }]);
    }

    #[test]
    fn every_fault_is_found_at_once_and_the_good_entries_stay() {
        let (garden, faults, broken) = read(concat!(
            "name: g\n",
            "beds:\n",
            "  a: {long: far, wide: \"${WIDE}\", earth: clai, watred: yes}\n",
            "  b: {earth: sand}\n",
            "  c: {long: 1, wide: 1, earth: clay}\n",
            "tools: [rakes, hose]\n",
            "extra: 1\n",
        ));
        assert_eq!(
            faults,
            [
                "g.yml:3:13: “far” is not a whole number · write one such as 3",
                "g.yml:3:24: “${WIDE}” is not a whole number · write one such as 3",
                "g.yml:3:42: “clai” is not known here · did you mean “clay”?",
                "g.yml:3:48: there is no key “watred” here · did you mean “watered”?",
                "g.yml:4:3: “long” is missing in “b” · add “long: …”",
                "g.yml:4:3: “wide” is missing in “b” · add “wide: …”",
                "g.yml:6:9: “rakes” is not known here · did you mean “rake”?",
                "g.yml:6:16: “hose” needs more than its name · write “hose:” with its keys below",
                "g.yml:7:1: there is no key “extra” here · it can be beds, name, tools",
            ]
        );
        let garden = garden.unwrap();
        assert_eq!(garden.beds.keys().collect::<Vec<_>>(), ["c"]);
        assert!(broken.contains("beds.a") && broken.contains("beds.b"), "{broken:?}");
    }

    #[test]
    fn without_a_required_part_there_is_no_file() {
        let (garden, faults, _) = read("beds: [1]\n");
        assert_eq!(garden, None);
        assert_eq!(
            faults,
            [
                "g.yml:1:1: “name” is missing · add “name: …”",
                "g.yml:1:7: a list stands where a block of keys belongs · write “key: value” lines below it",
            ]
        );
    }
}

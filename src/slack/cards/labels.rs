//! Every key that the program uses has its words, in every language.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::incident::command::all_help;
use crate::render::Renderer;

/// The families of sentences that are said anywhere in the program.
const SENTENCES: [&str; 16] = [
    "fault.",
    "field.",
    "file.",
    "look.",
    "paging_fault.",
    "plan_fault.",
    "provider.",
    "reason.",
    "receipt.",
    "refusal.",
    "reply.",
    "slack_fault.",
    "step.",
    "trouble.",
    "undone.",
    "usage.",
];

fn renderer() -> Renderer {
    Renderer::load(None).unwrap_or_else(|fault| panic!("{fault}"))
}

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(under);
    let mut found = Vec::new();
    let mut waiting = vec![root];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            found.push((path, text));
        }
    }
    found
}

/// Quoted words with dots, such as label keys.
fn keys(text: &str) -> BTreeSet<String> {
    let key = Regex::new(r#""((?:[a-z][a-z_]*)(?:\.[a-z][a-z_]*)+)""#).unwrap();
    // File names look the same.
    key.captures_iter(text).map(|found| found[1].to_owned()).filter(|key| !key.ends_with(".rs")).collect()
}

/// Keys that are put together: `"run.state.{}"`.
fn families(text: &str) -> BTreeSet<String> {
    let key = Regex::new(r#"format!\("((?:[a-z][a-z_]*\.)+)\{"#).unwrap();
    key.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_sentence_that_the_program_says_has_its_words() {
    let renderer = renderer();
    let mut counted = 0;
    for (path, text) in sources("") {
        for key in keys(&text) {
            let is_label = SENTENCES.iter().any(|prefix| key.starts_with(prefix));
            assert!(!is_label || renderer.has_label(&key), "{}: no label {key}", path.display());
            counted += usize::from(is_label);
        }
    }
    assert!(counted > 250, "only {counted} keys were found: the search is broken");
}

#[test]
fn every_key_in_the_cards_and_dialogs_has_its_words() {
    let renderer = renderer();
    let mut counted = 0;
    for (path, text) in sources("slack/cards").into_iter().chain(sources("slack/views")) {
        let is_test = ["example.rs", "hostile.rs", "labels.rs", "limits.rs", "looks.rs", "promises.rs"];
        if path.file_name().is_some_and(|name| is_test.iter().any(|test| name == *test)) {
            continue;
        }
        for key in keys(&text) {
            assert!(renderer.has_label(&key), "{}: no label {key}", path.display());
            counted += 1;
        }
    }
    assert!(counted > 100, "only {counted} keys were found: the search is broken");
}

#[test]
fn every_family_of_keys_is_known_here() {
    let known = [
        "class_limit.",
        "fact.",
        "help.",
        "incident.state.",
        "paging.",
        "risk.",
        "role.",
        "run.header.",
        "run.result.",
        "run.state.",
        "run.step.",
        "status.",
        "verdict.",
        "view.",
        "view.update.kind.",
    ];
    let mut found = BTreeSet::new();
    for (_, text) in sources("slack/cards").into_iter().chain(sources("slack/views")) {
        found.extend(families(&text));
    }
    let known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
    assert_eq!(found, known, "a family of label keys needs a promise that each of its members exists");
}

/// Families whose members are put together, in code or in templates.
const PUT_TOGETHER: [&str; 30] = [
    "audience.",
    "check_when.",
    "class.",
    "class_limit.",
    "customer_phase.",
    "fact.",
    "format.",
    "help.",
    "incident.state.",
    "measure.",
    "milestone.",
    "month.",
    "paging.",
    "postmortem_check.",
    "risk.",
    "role.",
    "run.done",
    "run.failed",
    "run.stopped",
    "run.unknown",
    "run.header.",
    "run.result.",
    "run.state.",
    "run.step.",
    "status.",
    "term.",
    "unit.",
    "verdict.",
    "view.",
    "zone.",
];

#[test]
fn every_label_is_said_somewhere() {
    let mut said: BTreeSet<String> = BTreeSet::new();
    for (_, text) in sources("") {
        said.extend(keys(&text));
    }
    let put_together = |key: &str| PUT_TOGETHER.iter().any(|family| key.starts_with(family));
    let labels = include_str!("../../../templates/en/labels.yaml");
    let label = Regex::new(r"(?m)^([a-z_]+\.\S+):").unwrap();
    let dead: Vec<&str> = label
        .captures_iter(labels)
        .filter_map(|found| found.get(1).map(|key| key.as_str()))
        .filter(|key| !said.contains(*key) && !put_together(key))
        .collect();
    assert!(dead.is_empty(), "nobody says {dead:#?}");
}

#[test]
fn every_member_of_a_family_has_its_words() {
    let renderer = renderer();
    let runs = [
        "planning",
        "plan_failed",
        "pending",
        "announcing",
        "running",
        "verifying",
        "done",
        "stale",
        "failed",
        "unknown",
        "stopped",
        "rejected",
        "happened",
        "partly",
        "not_happened",
        "expired",
        "rehearsed",
    ];
    let families: [(&str, &[&str]); 13] = [
        ("class_limit", &["urgent", "planned", "preventive"]),
        ("incident.state", &["triggered", "acknowledged", "mitigated", "resolved", "cancelled"]),
        ("status", &["triggered", "acknowledged", "mitigated", "resolved", "cancelled"]),
        ("paging", &["slack", "email", "sms", "voice", "whatsapp", "pagerduty", "webhook"]),
        ("risk", &["read_only", "reversible", "destructive"]),
        ("role", &["commander", "operations", "communications", "scribe"]),
        ("run.header", &runs),
        ("run.state", &runs),
        ("run.result", &["done", "stale", "failed", "unknown", "stopped"]),
        ("run.step", &["done", "running", "to_come", "failed", "unknown", "stale", "not_done", "skipped"]),
        ("verdict", &["pass", "warn", "fail", "hung"]),
        ("view.update", &["title", "submit"]),
        ("view.start", &["title", "submit"]),
    ];
    for (family, members) in families {
        for member in members {
            assert!(renderer.has_label(&format!("{family}.{member}")), "no label {family}.{member}");
        }
    }
    for command in all_help() {
        assert!(renderer.has_label(&format!("help.{}", command.name)), "no help for {}", command.name);
    }
}

#[test]
fn every_kind_of_fact_has_its_line() {
    let renderer = renderer();
    let (_, timeline) =
        sources("incident").into_iter().find(|(path, _)| path.ends_with("incident/timeline.rs")).unwrap();
    let facts = timeline.split("pub enum Fact {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let variant = Regex::new(r"(?m)^    ([A-Z][A-Za-z]+)(?: \{|,)").unwrap();
    let kinds: Vec<String> = variant.captures_iter(facts).map(|found| snake(&found[1])).collect();
    assert!(kinds.len() > 40, "only {} facts were found: the search is broken", kinds.len());
    for kind in kinds {
        assert!(renderer.has_label(&format!("fact.{kind}")), "no label fact.{kind}");
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

//! Promises that hold for every template and every label, in every language.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::files::{self, Files, LocaleFiles};
use super::samples::{self, Sample, Samples};
use super::{
    DOCUMENT, Dialect, Locale, RenderFault, Renderer, SLACK_BUTTON_MAX, SLACK_SECTION_MAX, helpers, proof, variables,
};

fn shipped() -> Files {
    let mut faults = Vec::new();
    let files = files::load(None, &mut faults);
    assert!(faults.is_empty(), "{faults:?}");
    files
}

fn documented() -> Samples {
    samples::load().unwrap()
}

fn renderer() -> Renderer {
    match Renderer::load(None) {
        Ok(renderer) => renderer,
        Err(fault) => panic!("{fault}"),
    }
}

fn reads(text: &str) -> BTreeSet<String> {
    variables::of_template(&handlebars::Template::compile(text).unwrap()).variables
}

type Pick = fn(&LocaleFiles) -> &BTreeMap<String, files::Source>;

#[test]
fn every_language_has_the_same_messages_and_labels_with_the_same_variables() {
    let files = shipped();
    let picks: [(&str, Pick); 2] = [("message", |files| &files.messages), ("label", |files| &files.labels)];
    for (what, pick) in picks {
        let english = pick(&files[&Locale::En]);
        for locale in Locale::ALL {
            let other = pick(&files[&locale]);
            assert_eq!(
                english.keys().collect::<Vec<_>>(),
                other.keys().collect::<Vec<_>>(),
                "the {what}s of en and {locale} differ"
            );
            for (name, source) in english.iter().filter(|(name, _)| !is_form(name)) {
                assert_eq!(
                    reads(&source.text),
                    reads(&other[name].text),
                    "{what} {name} uses other variables in {locale}"
                );
            }
        }
    }
}

/// Forms of dates and durations choose among the same parts as their language wants.
fn is_form(name: &str) -> bool {
    name.starts_with("format.") || name.starts_with("unit.")
}

#[test]
fn every_text_that_ships_is_sound_and_reads_only_what_it_has() {
    assert_eq!(proof::faults(&shipped(), |_| true), []);
}

#[test]
fn every_message_is_documented_and_every_documented_message_exists() {
    let files = shipped();
    let documented = documented();
    assert_eq!(files[&Locale::En].messages.keys().collect::<Vec<_>>(), documented.messages.keys().collect::<Vec<_>>());
    for key in documented.labels.keys() {
        assert!(files[&Locale::En].labels.contains_key(key), "no label {key}");
    }
    for (name, sample) in &documented.messages {
        assert!(!sample.purpose.is_empty(), "{name} does not say what it is for");
        for optional in &sample.optional {
            assert!(sample.variables.contains_key(optional), "{name}: optional {optional} has no example");
        }
    }
}

#[test]
fn every_documented_variable_is_used() {
    let files = shipped();
    let mut anywhere = BTreeSet::new();
    let samples = documented().messages;
    for (name, sample) in samples.iter().filter(|(name, _)| !is_shorter_layout(name)) {
        let used = tops(&reads(&files[&Locale::En].messages[name].text));
        for variable in &sample.own {
            assert!(variable == "tz" || used.contains(variable), "{name} documents {variable} and does not use it");
        }
        anywhere.extend(used);
    }
    for variable in samples.values().flat_map(|sample| sample.variables.keys()) {
        let for_own_templates = ["now", "severity", "tz"].contains(&variable.as_str());
        assert!(for_own_templates || anywhere.contains(variable), "no message uses {variable}");
    }
}

/// The shorter post-mortems have the long one's variables and leave some out.
fn is_shorter_layout(name: &str) -> bool {
    name == "postmortem_short.md" || name == "postmortem_minimal.md"
}

/// The variables themselves, without what lies inside them.
fn tops(paths: &BTreeSet<String>) -> BTreeSet<String> {
    paths.iter().filter_map(|path| path.split(['.', '[']).next()).map(ToOwned::to_owned).collect()
}

#[test]
fn what_the_team_says_among_itself_never_reaches_a_customer() {
    const INTERNAL: [&str; 9] =
        ["title", "impact", "action", "commander", "link", "call_link", "severity", "severity_label", "status"];
    for (locale, files) in shipped() {
        for (name, source) in &files.messages {
            let used = tops(&reads(&source.text));
            let leaks = INTERNAL.iter().find(|internal| used.contains(**internal));
            assert!(leaks.is_none() || !name.starts_with("customer_"), "{name} ({locale}) shows {leaks:?}");
        }
    }
}

#[test]
fn no_variable_is_called_like_a_helper() {
    let helpers: BTreeSet<&str> = helpers::names().collect();
    let documented = documented();
    let messages = documented.messages.values().map(|sample| &sample.variables);
    for variables in messages.chain(documented.labels.values()) {
        for path in variables::of_sample(&Value::Object(variables.clone())) {
            let name = path.rsplit(['.', '[', ']']).next().unwrap_or(&path);
            assert!(!helpers.contains(name), "{path} is called like a helper");
        }
    }
}

/// The longest text each message may have, where it goes.
fn limit(name: &str) -> usize {
    match name {
        "page_sms" => 320,
        "page_voice" => 600,
        "page_email_subject" | "customer_email_subject" => 200,
        name if name.starts_with("postmortem_") => 40_000,
        _ => SLACK_SECTION_MAX,
    }
}

#[test]
fn every_message_can_be_filled_in_and_fits_where_it_goes() {
    let renderer = renderer();
    for (name, sample) in documented().messages {
        for variables in fillings(&sample) {
            for locale in Locale::ALL {
                for dialect in [Dialect::Slack, Dialect::Markdown, Dialect::Plain] {
                    let text =
                        renderer.message(locale, dialect, &name, &variables).unwrap_or_else(|fault| panic!("{fault}"));
                    let length = text.chars().count();
                    assert!(length > 0, "{name} ({locale}) is empty");
                    assert!(length <= limit(&name), "{name} ({locale}): {length} characters");
                    assert!(!text.contains("\n\n\n"), "{name} ({locale}) has a hole:\n{text}");
                    assert!(!text.contains("[object]"), "{name} ({locale}):\n{text}");
                }
            }
        }
    }
}

/// The sample as it stands, with every optional variable null, and with every one absent.
fn fillings(sample: &Sample) -> [Map<String, Value>; 3] {
    let whole = sample.variables.clone();
    let mut null = whole.clone();
    let mut absent = whole.clone();
    for name in &sample.optional {
        null.insert(name.clone(), Value::Null);
        absent.remove(name);
    }
    [whole, null, absent]
}

#[test]
fn every_label_can_be_filled_in_and_buttons_fit() {
    let renderer = renderer();
    let documented = documented();
    for (key, source) in &shipped()[&Locale::En].labels {
        let variables = documented.labels.get(key).cloned().unwrap_or_default();
        for locale in Locale::ALL {
            let text = renderer
                .label_plain(locale, key, &variables)
                .unwrap_or_else(|fault| panic!("{}: {fault}", source.path));
            assert!(!text.is_empty(), "{key} ({locale}) is empty");
            if key.starts_with("button.") {
                assert!(text.chars().count() <= SLACK_BUTTON_MAX, "{key} ({locale})");
            }
        }
    }
}

#[test]
fn the_words_stay_calm() {
    for (locale, files) in shipped() {
        for source in files.messages.values().chain(files.labels.values()) {
            let text = source.text.replace("{{!", "").replace("<!date", "");
            assert!(!text.contains('!'), "{} ({locale}) exclaims", source.path);
            for word in ["oops", "Oups", "fault of", "à cause de l’erreur de"] {
                assert!(!text.contains(word), "{} says {word}", source.path);
            }
        }
    }
}

#[test]
fn the_texts_read_as_written_here() {
    let renderer = renderer();
    for locale in Locale::ALL {
        let mut slack = String::new();
        let mut plain = String::new();
        for (name, sample) in documented().messages {
            let is_document = name.ends_with(DOCUMENT);
            let elsewhere = if is_document { Dialect::Markdown } else { Dialect::Plain };
            for (dialect, all) in [(Dialect::Slack, &mut slack), (elsewhere, &mut plain)] {
                let text = renderer
                    .message(locale, dialect, &name, &sample.variables)
                    .unwrap_or_else(|fault| panic!("{fault}"));
                if !(is_document && dialect == Dialect::Slack) {
                    all.push_str(&format!("────── {name}\n{text}\n\n"));
                }
            }
        }
        insta::assert_snapshot!(format!("slack_{locale}"), slack);
        insta::assert_snapshot!(format!("plain_{locale}"), plain);
    }
}

fn hostile(value: &Value) -> Value {
    match value {
        Value::String(text) if is_free_text(text) => {
            json!(format!("<!channel>{text}<@U0> &amp; <"))
        }
        Value::Array(items) => items.iter().map(hostile).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), hostile(field))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// Keys of labels, zones and addresses are ours; everything with a blank in it may come from anybody.
fn is_free_text(text: &str) -> bool {
    text.contains(' ')
}

#[test]
fn no_message_lets_a_mention_through_to_slack() {
    let renderer = renderer();
    for (name, sample) in documented().messages {
        let variables = hostile(&Value::Object(sample.variables));
        for locale in Locale::ALL {
            let text = renderer.slack(locale, &name, &variables).unwrap_or_else(|fault| panic!("{fault}"));
            assert!(!text.contains("<!channel"), "{name} ({locale}):\n{text}");
            assert!(!text.contains("<@U0>"), "{name} ({locale}):\n{text}");
        }
    }
}

fn team_directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn refusal(directory: &Path) -> Vec<String> {
    let fault = Renderer::load(Some(directory)).unwrap_err();
    fault.faults().iter().map(|fault| fault.text.clone()).collect()
}

#[test]
fn a_team_s_own_label_wins_and_the_others_stay() {
    let team = team_directory(&[("fr/labels.yaml", "button.approve: Valider\n"), ("fr/.draft.hbs", "{{")]);
    let renderer = Renderer::load(Some(team.path())).unwrap();
    let say = |locale, key| renderer.label(locale, key, &()).unwrap();
    assert_eq!(say(Locale::Fr, "button.approve"), "Valider");
    assert_eq!(say(Locale::Fr, "button.reject"), "Refuser");
    assert_eq!(say(Locale::En, "button.approve"), "Approve");
}

#[test]
fn a_label_nobody_knows_is_refused_with_the_one_that_was_meant() {
    let team = team_directory(&[("en/labels.yaml", "button.aprove: OK\n")]);
    assert_eq!(refusal(team.path()), ["Vigie has no label of this name; did you mean “button.approve”?"]);
}

#[test]
fn a_label_with_broken_syntax_is_refused() {
    let team = team_directory(&[("en/labels.yaml", "button.approve: \"{{#if a}}x\"\n")]);
    let faults = refusal(team.path());
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("the template cannot be read: "), "{faults:?}");
}

#[test]
fn a_label_file_that_is_not_yaml_is_refused_with_its_line() {
    let team = team_directory(&[("en/labels.yaml", "button.approve: x\nbutton.approve: y\n")]);
    let fault = Renderer::load(Some(team.path())).unwrap_err();
    assert_eq!(fault.faults()[0].position.map(|(line, _)| line), Some(2), "{fault}");
}

#[test]
fn an_unknown_language_folder_is_refused() {
    let team = team_directory(&[("de/labels.yaml", "")]);
    assert_eq!(
        refusal(team.path()),
        ["templates are kept in folders by language: “de” is not a language Vigie speaks; use en or fr"]
    );
}

#[test]
fn asking_for_a_label_that_does_not_exist_names_the_closest() {
    let fault = renderer().label(Locale::En, "button.aprove", &()).unwrap_err();
    assert!(matches!(fault, RenderFault::NoSuchLabel { .. }));
    assert_eq!(fault.to_string(), "there is no label “button.aprove” in en; did you mean “button.approve”?");
}

#[test]
fn a_variable_that_was_not_given_is_a_fault_and_not_a_blank() {
    let fault = renderer().label(Locale::En, "refusal.unknown_incident", &json!({})).unwrap_err();
    assert!(fault.to_string().contains("incident"), "{fault}");
}

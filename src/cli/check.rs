//! `vigie check`: is the configuration right?

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use super::paint::Paint;
use super::{Check, print};
use crate::config::{self, Config, Fault, Faults, Place, environment, load};
use crate::render::{RenderFault, Renderer, TemplateFault};

/// What was found.
struct Found {
    counts: Option<Counts>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// How much the configuration holds.
struct Counts {
    services: usize,
    actions: usize,
    contacts: usize,
}

/// Checks the file, the texts laid over the built-in ones included, and prints what was found.
pub(super) fn check(args: &Check, paint: Paint) -> anyhow::Result<ExitCode> {
    let name = args.config.display().to_string();
    let found = look(load(&args.config, &environment));
    let failed = !found.faults.is_empty();
    print(&if args.json { for_scripts(&name, &found) } else { for_people(&name, &found, paint) })?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints what an editor completes the configuration with.
pub(super) fn schema() -> anyhow::Result<()> {
    print(&format!("{:#}\n", config::schema()))
}

fn look(loaded: Result<Config, Faults>) -> Found {
    let config = match loaded {
        Ok(config) => config,
        Err(Faults(faults)) => return Found { counts: None, faults, warnings: Vec::new() },
    };
    let rules = &config.rules;
    let counts =
        Counts { services: rules.services.len(), actions: rules.actions.len(), contacts: rules.contacts.len() };
    let texts = Renderer::load(config.templates.as_deref()).err();
    let faults = texts.iter().flat_map(RenderFault::faults).map(of_a_text).collect();
    Found { counts: Some(counts), faults, warnings: config.warnings }
}

fn of_a_text(fault: &TemplateFault) -> Fault {
    let counted = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = fault.position.map(|(line, column)| Place { line: counted(line), column: counted(column) });
    let (what, cure) = fault.text.rsplit_once("; ").unwrap_or((&fault.text, ""));
    Fault { file: fault.path.clone(), place, what: what.to_owned(), cure: cure.to_owned(), snippet: None }
}

fn for_scripts(name: &str, found: &Found) -> String {
    let counts = found.counts.as_ref();
    let answer = json!({
        "file": name,
        "services": counts.map(|counts| counts.services),
        "actions": counts.map(|counts| counts.actions),
        "contacts": counts.map(|counts| counts.contacts),
        "faults": found.faults,
        "warnings": found.warnings,
    });
    format!("{answer:#}\n")
}

fn for_people(name: &str, found: &Found, paint: Paint) -> String {
    let mut text = String::new();
    for warning in &found.warnings {
        show(&mut text, warning, &paint.yellow("warning: "), paint);
    }
    for fault in &found.faults {
        show(&mut text, fault, "", paint);
    }
    let faults = match found.faults.len() {
        0 => paint.green("no faults"),
        n => paint.red(&counted(n, "fault")),
    };
    let counts = found.counts.as_ref().map(|counts| {
        let (services, actions) = (counted(counts.services, "service"), counted(counts.actions, "action"));
        format!("{services}, {actions}, {}, ", counted(counts.contacts, "contact"))
    });
    let warnings = match found.warnings.len() {
        0 => String::new(),
        n => format!(", {}", counted(n, "warning")),
    };
    writeln!(text, "{name}: {}{faults}{warnings}", counts.unwrap_or_default()).expect("a String takes text");
    text
}

fn show(text: &mut String, fault: &Fault, kind: &str, paint: Paint) {
    writeln!(text, "{} {kind}{}", paint.bold(&format!("{}:", fault.spot())), fault.sentence())
        .expect("a String takes text");
    if let Some(snippet) = &fault.snippet {
        let (line, caret) = snippet.rsplit_once('^').map_or((snippet.as_str(), ""), |(line, _)| (line, "^"));
        writeln!(text, "{line}{}", paint.red(caret)).expect("a String takes text");
    }
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const MINIMAL: &str = include_str!("../../examples/minimal.yml");

    fn found(text: &str) -> Found {
        rustls::crypto::ring::default_provider().install_default().ok();
        look(parse("vigie.yml", text, &|_| None))
    }

    #[test]
    fn a_good_configuration_is_one_line() {
        let text = for_people("vigie.yml", &found(MINIMAL), Paint::off());
        assert_eq!(text, "vigie.yml: 0 services, 0 actions, 2 contacts, no faults\n");
    }

    #[test]
    fn each_fault_has_its_line_a_caret_and_the_cure() {
        let broken = "workspace: {}\nseverities: []\ncontacts: {}\npolicies: {}\nservises: {}\n";
        let text = for_people("vigie.yml", &found(broken), Paint::off());
        let expected = concat!(
            "vigie.yml:2:1: there is no severity · write at least one; examples/minimal.yml has one\n",
            "  2 | severities: []\n",
            "    | ^\n",
            "vigie.yml:5:1: there is no key “servises” here · did you mean “services”?\n",
            "  5 | servises: {}\n",
            "    | ^\n",
            "vigie.yml: 2 faults\n",
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_warning_does_not_fail_and_says_that_it_is_one() {
        let odd =
            MINIMAL.replacen("  on-call:\n", "  other:\n    levels: [{contacts: [lead], wait: 5m}]\n  on-call:\n", 1);
        let found = found(&odd);
        assert!(found.faults.is_empty());
        let text = for_people("vigie.yml", &found, Paint::off());
        assert!(text.contains(": warning: no severity uses the policy “other”"), "{text}");
        assert!(text.ends_with("2 contacts, no faults, 1 warning\n"), "{text}");
    }

    #[test]
    fn scripts_get_the_same_as_json() {
        let broken = MINIMAL.replacen("wait: 15m", "wait: soon", 1);
        let answer: serde_json::Value = serde_json::from_str(&for_scripts("vigie.yml", &found(&broken))).unwrap();
        assert_eq!(answer["faults"][0]["place"]["line"], 24);
        assert!(answer["faults"][0]["cure"].as_str().unwrap().starts_with("write for example"));
        assert_eq!(answer["warnings"], serde_json::json!([]));
    }

    #[test]
    fn a_text_of_the_teams_own_is_checked_too() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("templates/en")).unwrap();
        std::fs::write(folder.path().join("templates/en/page_sms.hbs"), "{{nobody_knows}}").unwrap();
        let config = folder.path().join("vigie.yml");
        std::fs::write(&config, MINIMAL.replacen("workspace:\n", "workspace:\n  templates: templates\n", 1)).unwrap();
        rustls::crypto::ring::default_provider().install_default().ok();
        let found = look(load(&config, &|_| None));
        assert!(found.faults.iter().any(|fault| fault.file.ends_with("page_sms.hbs")), "{:?}", found.faults);
    }
}

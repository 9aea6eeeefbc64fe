//! `vigie doctor`: one line for each thing that was looked at, with its cure where there is one.

use std::process::ExitCode;

use super::paint::Paint;
use super::{Doctor, files, print};
use crate::app::doctor::{Finding, Patient, State, examine};
use crate::clock::Clock;
use crate::config::{Env, environment, load};

/// Looks at everything and prints it; fails when something must be put right.
pub(super) async fn doctor(args: &Doctor, paint: Paint) -> anyhow::Result<ExitCode> {
    let patient = Patient {
        name: args.config.display().to_string(),
        config: load(&args.config, &environment),
        env: Env::read(&environment, &files),
        database: Env::database(&environment, &files),
    };
    let findings = examine(&patient, Clock::system()).await;
    let text =
        if args.json { format!("{:#}\n", serde_json::to_value(&findings)?) } else { for_people(&findings, paint) };
    print(&text)?;
    let bad = findings.iter().any(|finding| finding.state == State::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn for_people(findings: &[Finding], paint: Paint) -> String {
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { subject, state, said, cure } in findings {
        let mark = match state {
            State::Good => paint.green("✓"),
            State::Odd => paint.yellow("!"),
            State::Bad => paint.red("✗"),
        };
        let cure = if cure.is_empty() { String::new() } else { format!(" · {cure}") };
        text.push_str(&format!("{mark} {} {said}{cure}\n", paint.bold(&format!("{subject:width$}"))));
    }
    let count = |state: State| findings.iter().filter(|finding| finding.state == state).count();
    let end = match (count(State::Bad), count(State::Odd)) {
        (0, 0) => paint.green("everything is in place"),
        (0, odd) => paint.yellow(&format!("it works; look at {odd} of these lines (!)")),
        (bad, _) => paint.red(&format!("{bad} of these lines must be put right (✗)")),
    };
    text.push_str(&format!("{end}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_what_how_and_the_cure() {
        let finding =
            |subject, state, said: &str, cure: &str| Finding { subject, state, said: said.into(), cure: cure.into() };
        let mut findings = vec![finding("configuration", State::Good, "vigie.yml has no faults", "")];
        assert_eq!(
            for_people(&findings, Paint::off()),
            "✓ configuration vigie.yml has no faults\neverything is in place\n"
        );
        findings.push(finding("scopes", State::Bad, "the token lacks pins:write", "install the app again"));
        assert_eq!(
            for_people(&findings, Paint::off()).lines().skip(1).collect::<Vec<_>>(),
            [
                "✗ scopes        the token lacks pins:write · install the app again",
                "1 of these lines must be put right (✗)"
            ]
        );
    }
}

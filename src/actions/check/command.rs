//! A program's exit code and last line: smoke tests and the team's own scripts (row H5).

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{Check, Seen};
use crate::actions::World;
use crate::actions::command::{Place, shown, validate_argv};
use crate::actions::config::ConfigFault;
use crate::actions::process::{Deadline, Ended};
use crate::incident::approval::Verdict;
use crate::incident::words::Words;

/// A program that only looks.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCheck {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Where and with what it runs.
    #[serde(default)]
    pub place: Place,
    /// Exit codes that are worth a look; 0 is good and all others are bad.
    #[serde(default)]
    pub warn_exit: Vec<i32>,
}

#[async_trait]
impl Check for CommandCheck {
    fn default_title(&self) -> String {
        shown(&self.argv)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.place.secrets.values().collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_argv(&self.argv, &[], &format!("{path}.argv"), faults);
        self.place.validate(&format!("{path}.place"), faults);
    }

    async fn look(&self, world: &World, within: std::time::Duration) -> Seen {
        let finished = match self.place.run(&self.argv, &[], world, Deadline::of_looking(within), &|_| {}).await {
            Ok(finished) => finished,
            Err(fault) => return Seen::fail(fault.words()),
        };
        let said = |words: Words| words.with("last", finished.last_line());
        let exit = |code: i32| said(Words::new("look.exit").with("code", code));
        match finished.ended {
            Ended::Exit(0) => Seen::new(Verdict::Pass, exit(0)),
            Ended::Exit(code) if self.warn_exit.contains(&code) => Seen::new(Verdict::Warn, exit(code)),
            Ended::Exit(code) => {
                let limit = Words::new("look.exit").with("code", 0).with("last", Value::Null);
                Seen::fail(exit(code)).with_limit(Some(limit))
            }
            Ended::Signal(signal) => Seen::fail(said(Words::new("look.signal").with("signal", signal))),
            Ended::Deadline => Seen::hung(said(Words::new("look.no_end"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::toy::world;
    use crate::english::english;
    use std::time::Duration;

    async fn seen(script: &str, within: Duration) -> Seen {
        let check = CommandCheck {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            place: Place::default(),
            warn_exit: vec![2],
        };
        check.look(&world(), within).await
    }

    #[tokio::test]
    async fn the_exit_code_is_the_verdict_and_the_last_line_says_why() {
        let long = Duration::from_secs(10);
        let good = seen("echo 12 tests; echo all good", long).await;
        assert_eq!((good.verdict, english(&good.value).as_str()), (Verdict::Pass, "exit 0: all good"));
        let slow = seen("echo slow >&2; exit 2", long).await;
        assert_eq!((slow.verdict, english(&slow.value).as_str()), (Verdict::Warn, "exit 2: slow"));
        let failed = seen("echo out; echo payment failed >&2; exit 1", long).await;
        assert_eq!((failed.verdict, english(&failed.value).as_str()), (Verdict::Fail, "exit 1: payment failed"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_said_to_have_hung() {
        let hung = seen("echo waiting; exec sleep 60", Duration::from_secs(2)).await;
        assert_eq!((hung.verdict, english(&hung.value).as_str()), (Verdict::Hung, "did not end: waiting"));
    }
}

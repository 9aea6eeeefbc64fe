//! What the card of a run says on the way and afterwards, as a person sees it.

use super::draw;
use super::example::*;
use crate::incident::state::Progress;
use crate::incident::time::Instant;
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::Words;

fn card(stage: &Stage) -> String {
    sketch(&draw(&stage.scene(), &Card::Run(RUN)).unwrap().unwrap())
}

#[test]
fn the_running_step_says_how_it_goes_and_only_what_is_still_true() {
    let mut stage = Stage::declared();
    stage.acknowledged().running();
    let rolling = Words::new("kubernetes.rolling").with("name", "web").with("updated", 1).with("wanted", 3);
    let words = rolling.with("available", 2);
    stage.progress = Some(Progress { step: 0, words: words.clone(), at: stage.now });
    let line = "(Paris time)>\n      ↳ web: 1 of 3 updated, 2 available\n○ Clear the page cache: to come";
    assert!(card(&stage).contains(line), "{}", card(&stage));
    // Of an execution before this one.
    stage.progress = Some(Progress { step: 0, words, at: Instant(stage.now.0 - 1) });
    assert!(!card(&stage).contains('↳'), "{}", card(&stage));
    stage.progress.as_mut().unwrap().at = stage.now;
    stage.step_done(0);
    assert!(!card(&stage).contains('↳'), "{}", card(&stage));
    stage.vigie(Fact::StepStarted { run: RUN, step: 1 });
    assert!(!card(&stage).contains('↳'), "{}", card(&stage));
}

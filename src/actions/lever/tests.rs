//! The table of what is seen and what it means, on a lever that plays a list of looks.

use std::sync::Mutex;

use super::*;
use crate::actions::toy::{plain, plainly, world};
use crate::incident::time::Instant;

struct Played {
    looks: Mutex<Vec<Result<Stand, Trouble>>>,
    answers: Mutex<Vec<Result<(), Trouble>>>,
    sent: Mutex<usize>,
    /// It takes several requests, of which the first was sent.
    is_begun: bool,
}

impl Played {
    /// The last look is seen for ever.
    fn new(looks: &[Result<Stand, Trouble>], answers: &[Result<(), Trouble>]) -> Self {
        let (looks, answers) = (Mutex::new(looks.to_vec()), Mutex::new(answers.to_vec()));
        Self { looks, answers, sent: Mutex::new(0), is_begun: false }
    }

    fn sent(&self) -> usize {
        *self.sent.lock().unwrap()
    }
}

#[async_trait]
impl Lever for Played {
    fn target(&self) -> &str {
        "shop"
    }

    fn vendor(&self) -> &'static str {
        "Vendor"
    }

    fn settle(&self) -> Duration {
        Duration::from_millis(400)
    }

    async fn stand(&self) -> Result<Stand, Trouble> {
        let mut looks = self.looks.lock().unwrap();
        if looks.len() > 1 { looks.remove(0) } else { looks[0].clone() }
    }

    async fn throw(&self) -> Result<(), Halt> {
        *self.sent.lock().unwrap() += 1;
        let is_begun = self.is_begun;
        self.answers.lock().unwrap().remove(0).map_err(|trouble| Halt { trouble, is_begun })
    }
}

fn start() -> Result<Stand, Trouble> {
    Ok(Stand::AtStart("v2".into()))
}
fn there() -> Result<Stand, Trouble> {
    Ok(Stand::There("v1".into()))
}
fn moving() -> Result<Stand, Trouble> {
    Ok(Stand::Moving("v2".into()))
}
fn half() -> Result<Stand, Trouble> {
    Ok(Stand::Half("v1, v2".into()))
}
fn elsewhere() -> Result<Stand, Trouble> {
    Ok(Stand::Elsewhere("v3".into()))
}
fn lost() -> Trouble {
    Trouble::NoAnswer { sent: true, why: Words::new("reason.broken_off") }
}
fn no(status: u16) -> Trouble {
    Trouble::Said { status, message: None, wait: None }
}

async fn with_context<T>(begun: bool, act: impl AsyncFnOnce(&StepContext<'_>) -> T) -> T {
    let world = world();
    let cx = StepContext {
        world: &world,
        run: "run_7_1".parse().unwrap(),
        asked_at: Instant(0),
        step: 0,
        fence: 1,
        attempt: 1,
        begun,
        within: Duration::from_secs(2),
        progress: &|_| {},
        in_use: &crate::actions::toy::NothingElse,
    };
    act(&cx).await
}

/// What became of it, in one line, and how many requests were sent.
async fn thrown(looks: &[Result<Stand, Trouble>], answers: &[Result<(), Trouble>]) -> (String, usize) {
    followed(false, &Played::new(looks, answers)).await
}

/// The same of one that takes several requests, of which only a later one is answered so.
async fn half_thrown(looks: &[Result<Stand, Trouble>], answers: &[Result<(), Trouble>]) -> (String, usize) {
    followed(false, &Played { is_begun: true, ..Played::new(looks, answers) }).await
}

/// The same of one that this run had begun before.
async fn taken_up(looks: &[Result<Stand, Trouble>], answers: &[Result<(), Trouble>]) -> (String, usize) {
    followed(true, &Played::new(looks, answers)).await
}

async fn followed(begun: bool, lever: &Played) -> (String, usize) {
    let result = with_context(begun, async |cx| plain(throw(lever, cx).await)).await;
    let line = match result {
        StepResult::Done { note, live, .. } => {
            assert_eq!(live.as_deref(), Some("v1"));
            format!("done: {note}")
        }
        StepResult::Stale { found } => format!("stale: {found}"),
        StepResult::Failed { why, .. } => format!("failed: {why}"),
        StepResult::Unknown { why, .. } => format!("unknown: {why}"),
    };
    (line, lever.sent())
}

#[tokio::test]
async fn a_lever_is_thrown_once_and_followed() {
    let slow = thrown(&[start(), start(), moving(), moving(), there()], &[Ok(())]).await;
    assert_eq!(slow, ("done: shop is at v1".into(), 1));
    assert_eq!(thrown(&[there()], &[]).await, ("done: shop already was at v1".into(), 0));
    assert_eq!(thrown(&[elsewhere()], &[]).await, ("stale: shop is at v3".into(), 0));
    // Somebody else's move ends first; where it ends decides.
    assert_eq!(thrown(&[moving(), there()], &[]).await.1, 0);
    assert_eq!(thrown(&[moving(), start(), there()], &[Ok(())]).await.1, 1);
    assert_eq!(thrown(&[half(), there()], &[Ok(())]).await.1, 1);
}

#[tokio::test]
async fn a_no_means_that_nothing_was_changed_unless_a_part_was() {
    let (line, _) = thrown(&[start()], &[Err(no(409))]).await;
    assert_eq!(line, "failed: Vendor is busy with another change (409); nothing was changed");
    let (line, _) = thrown(&[start(), elsewhere()], &[Err(no(409))]).await;
    assert_eq!(line, "stale: shop is at v3");
    let (line, _) = thrown(&[start(), half()], &[Err(no(403))]).await;
    assert_eq!(line, "failed: shop is at v1, v2, only in part: the token may not do that at Vendor (403)");
    let (line, sent) = thrown(&[Err(no(401))], &[]).await;
    assert!(line.starts_with("failed: shop could not be read before the change") && sent == 0, "{line}");
}

#[tokio::test]
async fn a_no_to_a_later_request_never_means_that_nothing_was_changed() {
    let unknown = "unknown: shop may have been moved in part before this: the token may not do that at Vendor (403)";
    for look in [Err(no(500)), start(), elsewhere()] {
        assert_eq!(half_thrown(&[start(), look.clone()], &[Err(no(403))]).await.0, unknown, "{look:?}");
    }
    let (line, _) = half_thrown(&[start(), half()], &[Err(no(403))]).await;
    assert_eq!(line, "failed: shop is at v1, v2, only in part: the token may not do that at Vendor (403)");
    assert_eq!(half_thrown(&[start(), there()], &[Err(no(403))]).await.0, "done: shop is at v1");
    // What this run did before it was taken up counts as well.
    assert_eq!(taken_up(&[half(), Err(no(500))], &[Err(no(403))]).await.0, unknown);
    let (line, _) = thrown(&[start(), Err(no(500))], &[Err(no(403))]).await;
    assert_eq!(line, "failed: the token may not do that at Vendor (403); nothing was changed", "it takes one request");
}

#[tokio::test]
async fn what_nobody_saw_end_is_unknown() {
    let (line, sent) = thrown(&[start()], &[Err(lost())]).await;
    assert!(line.starts_with("unknown: the answer of shop was lost") && sent == 1, "{line}");
    let (line, _) = thrown(&[start()], &[Ok(())]).await;
    assert_eq!(line, "unknown: shop said yes, but it still is at v2 after 400 ms");
    let (line, sent) = thrown(&[start(), moving()], &[Ok(())]).await;
    assert!(line.starts_with("unknown: shop is being moved, but still is at v2 after") && sent == 1, "{line}");
    let (line, _) = thrown(&[start(), Err(no(500))], &[Ok(())]).await;
    assert!(line.starts_with("unknown: shop said yes, but could not be read afterwards"), "{line}");
    let (line, sent) = thrown(&[moving()], &[]).await;
    assert!(line.starts_with("failed: somebody else") && sent == 0, "{line}");
}

#[tokio::test]
async fn what_had_begun_before_is_never_told_as_somebody_elses_or_as_nothing() {
    let (line, sent) = taken_up(&[moving()], &[]).await;
    assert!(line.starts_with("unknown: shop is being moved, but still is at v2 after") && sent == 0, "{line}");
    let (line, sent) = taken_up(&[Err(no(500)), moving(), there()], &[]).await;
    assert_eq!((line.as_str(), sent), ("done: shop is at v1", 0), "a reading that fails once is repeated");
    let (line, sent) = taken_up(&[Err(no(401))], &[]).await;
    assert!(line.starts_with("unknown: shop could not be read: ") && sent == 0, "{line}");
    let (line, _) = taken_up(&[moving(), elsewhere()], &[]).await;
    assert_eq!(line, "unknown: shop is at v3, neither where it was nor where it should be");
    let (line, sent) = taken_up(&[half(), there()], &[Ok(())]).await;
    assert_eq!((line.as_str(), sent), ("done: shop is at v1", 1), "what is left is done");
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_looking() {
    let cases = [
        (vec![there()], "yes"),
        (vec![start(), start(), there()], "yes"),
        (vec![moving()], "begun"),
        (vec![half()], "begun"),
        (vec![start()], "no"),
        (vec![elsewhere()], "cannot tell"),
        (vec![Err(no(500))], "cannot tell"),
    ];
    for (looks, wanted) in cases {
        let lever = Played::new(&looks, &[]);
        let happened = with_context(false, async |cx| plainly(settled(&lever, cx).await)).await;
        let word = match happened {
            Happened::Yes { .. } => "yes",
            Happened::No { .. } => "no",
            Happened::Begun { .. } => "begun",
            Happened::CannotTell { .. } => "cannot tell",
        };
        assert_eq!(word, wanted, "{looks:?}");
        assert_eq!(lever.sent(), 0);
    }
}

#[tokio::test]
async fn what_came_to_nothing_is_a_failure_whoever_sees_it() {
    let broken = || Ok(Stand::Broken("taken back by itself".into()));
    let (line, sent) = thrown(&[start(), moving(), broken()], &[Ok(())]).await;
    assert!(line.contains("taken back by itself") && sent == 1, "{line}");
    let lever = Played::new(&[broken()], &[]);
    let begun = with_context(false, async |cx| plainly(settled(&lever, cx).await)).await;
    assert_eq!(begun, Happened::Begun { note: "taken back by itself".into() });
    let taken_up = with_context(false, async |cx| plain(throw(&lever, cx).await)).await;
    assert_eq!((taken_up, lever.sent()), (StepResult::failed("taken back by itself".into()), 0));
}

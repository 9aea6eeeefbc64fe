//! How often Slack may be called: our own buckets, from Slack's page “Rate limits”, so that we wait before Slack says so.
//!
//! Each method has a bucket, and `chat.postMessage` one more for each channel. What concerns one waiting person (a page,
//! an answer) never queues behind cards. A bucket holds only what may be lost: after a restart Slack's own 429 is the
//! limit, and [`Budget::block`] remembers it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::incident::time::{Instant, Millis};

const MINUTE_MS: i64 = 60_000;
/// Slack's minute, and a second: calls may take a little longer or shorter to reach it.
const WINDOW_MS: i64 = MINUTE_MS + 1_000;
/// A page is worth trying this long: then the person's next way is taken (E4).
pub const WORTH_OF_A_PAGE: Millis = Millis::seconds(30);
/// Buckets are forgotten, once full, when there are more than this.
const KEPT: usize = 2_000;

/// Who waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// A channel: it can wait a little, and what waits folds into one.
    Card,
    /// One person: a page, an answer, a dialog.
    Person,
}

/// How often one method may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowance {
    /// So many calls in any minute.
    Minute(usize),
    /// So many at once, then one a second.
    Second(i64),
}

const SECOND_MS: i64 = 1_000;

impl Allowance {
    /// The pause between two calls that uses it evenly.
    fn pace(self) -> i64 {
        match self {
            Allowance::Minute(most) => i64::try_from(most).map_or(0, |most| WINDOW_MS / most),
            Allowance::Second(_) => SECOND_MS,
        }
    }
}

/// Counted for each channel as well; all else for the whole workspace alone.
const BY_CHANNEL: &str = "chat.postMessage";
const IN_ONE_CHANNEL: Allowance = Allowance::Second(BURST);
/// So many messages a channel takes at once.
const BURST: i64 = 4;

/// Slack's page “Rate limits” and each method's page; a method that is not named here is counted as tier 3.
fn allowance(method: &str) -> Allowance {
    match method {
        // “Several hundred” in a minute: a part is left to what does not wait for our own estimate.
        BY_CHANNEL => Allowance::Minute(240),
        "conversations.create"
        | "conversations.archive"
        | "conversations.unarchive"
        | "conversations.setTopic"
        | "conversations.setPurpose"
        | "conversations.list"
        | "conversations.canvases.create"
        | "pins.add"
        | "bookmarks.add"
        | "bookmarks.edit"
        | "bookmarks.remove"
        | "usergroups.users.list" => Allowance::Minute(20),
        "chat.postEphemeral"
        | "views.open"
        | "views.push"
        | "views.update"
        | "views.publish"
        | "files.getUploadURLExternal"
        | "files.completeUploadExternal"
        | "files.info"
        | "users.info"
        | "auth.test" => Allowance::Minute(100),
        _ => Allowance::Minute(50),
    }
}

/// The calls of one method (and channel).
#[derive(Debug, Default)]
struct Bucket {
    /// The calls of the last minute, oldest first.
    calls: VecDeque<i64>,
    /// The turns to come that were told to those who wait: each has one of their own, so that a storm does not come back
    /// all at once to be sent away again.
    turns: VecDeque<i64>,
    /// The same for those of one person each, who wait for nobody else's.
    turns_of_people: VecDeque<i64>,
    /// When the channel would be at rest again, if each message took its second.
    at_rest: i64,
    /// Slack said: not before.
    blocked_until: i64,
}

impl Bucket {
    fn forget(&mut self, now: i64) {
        while self.calls.front().is_some_and(|at| now - at >= WINDOW_MS) {
            self.calls.pop_front();
        }
        for turns in [&mut self.turns, &mut self.turns_of_people] {
            while turns.front().is_some_and(|at| *at <= now) {
                turns.pop_front();
            }
        }
    }

    fn is_idle(&self, now: i64) -> bool {
        self.calls.back().is_none_or(|at| now - at >= WINDOW_MS) && self.at_rest <= now && self.blocked_until <= now
    }

    /// When the next call may be made.
    fn open_at(&self, allowance: Allowance, now: i64) -> i64 {
        let open = match allowance {
            Allowance::Minute(most) => {
                let oldest = self.calls.len().checked_sub(most).and_then(|at| self.calls.get(at));
                oldest.map_or(now, |oldest| oldest + WINDOW_MS)
            }
            Allowance::Second(burst) => self.at_rest.max(now) - (burst - 1) * SECOND_MS,
        };
        open.max(self.blocked_until).max(now)
    }

    /// The turn of one more who waits: after everybody. Of a message its channel's turn is known: what the workspace told
    /// others for later than that is no reason to wait, for one channel's queue reaches far ahead and leaves room in
    /// each minute.
    fn next_turn(&self, allowance: Allowance, of_channel: Option<i64>, now: i64) -> i64 {
        let mut turn = self.open_at(allowance, now).max(of_channel.unwrap_or(now));
        match allowance {
            Allowance::Minute(most) if of_channel.is_none() => {
                self.room_after(most, self.turns.len()).map_or(turn, |room| room.max(turn))
            }
            Allowance::Minute(most) => loop {
                let told = self.turns.partition_point(|other| *other <= turn);
                match self.room_after(most, told).filter(|room| *room > turn) {
                    Some(room) => turn = room,
                    None => break turn,
                }
            },
            Allowance::Second(_) => self.turns.back().map_or(turn, |last| turn.max(last + SECOND_MS)),
        }
    }

    /// When a minute has room for one more after the calls and the first `told` turns, if together they fill one.
    fn room_after(&self, most: usize, told: usize) -> Option<i64> {
        let taken = self.calls.len();
        let first = (taken + told).checked_sub(most)?;
        let first = self.calls.get(first).or_else(|| self.turns.get(first - taken))?;
        Some(first + WINDOW_MS)
    }

    /// A turn for a page or an answer that Slack refused: when Slack said, and after the others of its kind. One that a
    /// page does not wait for is told, so that the person's next way is taken, and not kept: nobody would come.
    fn promise_person(&mut self, allowance: Allowance) -> i64 {
        let after_others = self.turns_of_people.back().map_or(0, |at| at + allowance.pace());
        let turn = self.blocked_until.max(after_others);
        if turn <= self.blocked_until + WORTH_OF_A_PAGE.0 {
            self.turns_of_people.push_back(turn);
        }
        turn
    }

    /// Slack refused the last call: it was none, and there is none before `until`.
    fn refused(&mut self, allowance: Allowance, until: i64) {
        self.blocked_until = self.blocked_until.max(until);
        match allowance {
            Allowance::Minute(_) => drop(self.calls.pop_back()),
            Allowance::Second(_) => self.at_rest -= SECOND_MS,
        }
    }

    /// Keeps a turn for somebody.
    fn promise(&mut self, turn: i64) {
        let place = self.turns.partition_point(|other| *other <= turn);
        self.turns.insert(place, turn);
    }

    fn take(&mut self, allowance: Allowance, now: i64) {
        match allowance {
            Allowance::Minute(_) => self.calls.push_back(now),
            Allowance::Second(_) => self.at_rest = self.at_rest.max(now) + SECOND_MS,
        }
    }
}

/// A method, or one channel's share of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    method: String,
    channel: Option<String>,
}

impl Key {
    fn allowance(&self) -> Allowance {
        if self.channel.is_some() { IN_ONE_CHANNEL } else { allowance(&self.method) }
    }
}

/// Every bucket.
#[derive(Debug, Default)]
pub struct Budget {
    buckets: Mutex<HashMap<Key, Bucket>>,
}

impl Budget {
    /// Counts one call.
    ///
    /// # Errors
    /// The time to wait, when it would be one too many; it is not counted then. A person never waits for our own
    /// estimate, only for Slack's own word.
    pub fn take(&self, method: &str, channel: &str, urgency: Urgency, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.lock();
        forget_idle(&mut buckets, now.0);
        for key in keys(method, channel) {
            buckets.entry(key).or_default().forget(now.0);
        }
        if let Some(turn) = wait(&mut buckets, method, channel, urgency, now.0) {
            return Err(millis(turn - now.0));
        }
        for key in keys(method, channel) {
            let allowance = key.allowance();
            buckets.entry(key).or_default().take(allowance, now.0);
        }
        Ok(())
    }

    /// Slack answered 429 to a call that was counted: such calls wait as long as it says. Tells how long this one waits: a
    /// person's has its turn after the others that were refused, for those that were under way together would come back
    /// together, and be sent away again.
    pub fn block(&self, method: &str, channel: &str, urgency: Urgency, for_: Duration, now: Instant) -> Duration {
        let until = now.0 + i64::try_from(for_.as_millis()).unwrap_or(MINUTE_MS);
        let mut buckets = self.lock();
        // A channel that was given no more than it takes is not what Slack complains of: then cards wait in all of them.
        let own = own_key(method, channel);
        let is_full = buckets.get(&own).is_some_and(|bucket| bucket.at_rest - now.0 > BURST * SECOND_MS);
        for key in keys(method, channel) {
            let (allowance, concerned) = (key.allowance(), key == own || !is_full);
            let until = if concerned { until } else { now.0 };
            buckets.entry(key).or_default().refused(allowance, until);
        }
        match urgency {
            // It asks for its turn when it comes back.
            Urgency::Card => for_,
            Urgency::Person => {
                let allowance = own.allowance();
                millis(buckets.entry(own).or_default().promise_person(allowance) - now.0)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when a call has to wait, if it has to; that turn is its own then.
fn wait(buckets: &mut HashMap<Key, Bucket>, method: &str, channel: &str, urgency: Urgency, now: i64) -> Option<i64> {
    if urgency == Urgency::Person {
        let key = own_key(method, channel);
        let allowance = key.allowance();
        let bucket = buckets.get_mut(&key)?;
        return (bucket.blocked_until > now).then(|| bucket.promise_person(allowance));
    }
    let bucket = |key: &Key| buckets.get(key).map(|bucket| (bucket, key.allowance()));
    let is_open = |key: Key| bucket(&key).is_none_or(|(bucket, allowance)| bucket.open_at(allowance, now) <= now);
    if keys(method, channel).all(is_open) {
        return None;
    }
    // The channel's own turn comes first; the workspace is asked for room from then on.
    let turn = keys(method, channel).rev().fold(None, |of_channel, key| {
        bucket(&key).map(|(bucket, allowance)| bucket.next_turn(allowance, of_channel, now)).or(of_channel)
    })?;
    for key in keys(method, channel) {
        buckets.entry(key).or_default().promise(turn);
    }
    Some(turn)
}

fn forget_idle(buckets: &mut HashMap<Key, Bucket>, now: i64) {
    if buckets.len() > KEPT {
        buckets.retain(|_, bucket| !bucket.is_idle(now));
    }
}

/// What a call is counted by.
fn keys(method: &str, channel: &str) -> impl DoubleEndedIterator<Item = Key> {
    let in_channel = || Key { method: method.to_owned(), channel: Some(channel.to_owned()) };
    std::iter::once(of_workspace(method)).chain((method == BY_CHANNEL).then(in_channel))
}

fn of_workspace(method: &str) -> Key {
    Key { method: method.to_owned(), channel: None }
}

/// What only calls of the same kind are counted by: the channel for a message, else the method.
fn own_key(method: &str, channel: &str) -> Key {
    keys(method, channel).last().unwrap_or_else(|| of_workspace(method))
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn later(ms: i64) -> Instant {
        Instant(NOW.0 + ms)
    }

    #[test]
    fn a_channel_takes_four_messages_at_once_and_then_one_a_second() {
        let budget = Budget::default();
        for _ in 0..4 {
            assert_eq!(budget.take("chat.postMessage", "C1", Urgency::Card, NOW), Ok(()));
        }
        let wait = budget.take("chat.postMessage", "C1", Urgency::Card, NOW);
        assert_eq!(wait, Err(Duration::from_secs(1)));
        assert_eq!(budget.take("chat.postMessage", "C2", Urgency::Card, NOW), Ok(()));
        assert_eq!(budget.take("chat.postMessage", "C1", Urgency::Card, later(1_000)), Ok(()));
        assert!(budget.take("chat.postMessage", "C1", Urgency::Card, later(1_000)).is_err());
    }

    #[test]
    fn no_minute_sees_more_calls_than_the_tier_allows() {
        for start in [0, 7_300] {
            let fresh = Budget::default();
            let taken = (0..6_000)
                .filter(|tick| fresh.take("conversations.create", "", Urgency::Card, later(start + tick * 10)).is_ok())
                .count();
            assert!(taken <= 20, "{taken}");
            assert!(taken >= 19, "{taken}");
        }
    }

    #[test]
    fn whoever_has_to_wait_is_told_a_turn_of_their_own_and_gets_it() {
        for (method, most) in [("conversations.create", 20), ("chat.postMessage", 1)] {
            let budget = Budget::default();
            while budget.take(method, "C1", Urgency::Card, NOW).is_ok() {}
            let turns: Vec<i64> = (0..50)
                .map(|_| budget.take(method, "C1", Urgency::Card, NOW).unwrap_err().as_millis() as i64)
                .collect();
            let at_once = |turn: &i64| turns.iter().filter(|other| *other == turn).count();
            assert!(turns.iter().all(|turn| at_once(turn) <= most), "{turns:?}");
            for turn in turns {
                assert_eq!(budget.take(method, "C1", Urgency::Card, later(turn)), Ok(()), "{method} after {turn} ms");
            }
        }
    }

    #[test]
    fn a_storm_uses_what_slack_allows() {
        let budget = Budget::default();
        let mut waiting: Vec<i64> = vec![0; 200];
        let mut done = 0;
        while let Some(at) = waiting.pop() {
            match budget.take("conversations.create", "", Urgency::Card, later(at)) {
                Ok(()) => done = at,
                Err(wait) => waiting.push(at + wait.as_millis() as i64),
            }
            waiting.sort_unstable_by(|one, other| other.cmp(one));
        }
        assert!(done <= 10 * WINDOW_MS, "two hundred channels at twenty a minute took {done} ms");
    }

    #[test]
    fn a_channel_waits_for_no_queue_of_another_channel_while_the_workspace_has_room() {
        let budget = Budget::default();
        let post = |channel: &str| budget.take("chat.postMessage", channel, Urgency::Card, NOW);
        for _ in 0..1_000 {
            // Four go at once, one second each for the others.
            let _ = post("CA");
        }
        for _ in 0..4 {
            assert_eq!(post("C7"), Ok(()));
        }
        assert_eq!(post("C7"), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_storm_in_one_channel_and_messages_in_many_others_come_to_an_end_side_by_side() {
        let budget = Budget::default();
        let others = (0..60).flat_map(|channel| (0..5).map(move |_| format!("C{channel}")));
        let mut waiting: Vec<(i64, String)> =
            (0..400).map(|_| "CA".to_owned()).chain(others).map(|to| (0, to)).collect();
        let (mut storm, mut rest) = (0, 0);
        waiting.reverse();
        while let Some((at, channel)) = waiting.pop() {
            match budget.take("chat.postMessage", &channel, Urgency::Card, later(at)) {
                Ok(()) if channel == "CA" => storm = at,
                Ok(()) => rest = at,
                Err(wait) => {
                    let turn = at + wait.as_millis() as i64;
                    let place = waiting.partition_point(|(other, _)| *other > turn);
                    waiting.insert(place, (turn, channel));
                }
            }
        }
        assert!(rest <= 2 * WINDOW_MS, "the last message of another channel came after {rest} ms");
        assert!(storm <= 500 * SECOND_MS, "four hundred messages at one a second took {storm} ms");
    }

    #[test]
    fn a_page_never_waits_behind_cards() {
        let budget = Budget::default();
        while budget.take("conversations.open", "", Urgency::Card, NOW).is_ok() {}
        for _ in 0..100 {
            assert_eq!(budget.take("conversations.open", "", Urgency::Person, NOW), Ok(()));
        }
    }

    #[test]
    fn cards_in_many_channels_leave_room_for_pages_under_what_the_workspace_takes() {
        let budget = Budget::default();
        let post = |channel: usize, at| budget.take("chat.postMessage", &format!("C{channel}"), Urgency::Card, at);
        let taken = (0..1_000).filter(|channel| post(*channel, NOW).is_ok()).count();
        assert_eq!(taken, 240);
        assert_eq!(budget.take("chat.postMessage", "D1", Urgency::Person, NOW), Ok(()));
        assert!(post(1_000, later(WINDOW_MS - 1)).is_err());
    }

    #[test]
    fn what_slack_says_of_one_channel_or_of_all_holds_back_no_others() {
        let post = |budget: &Budget, channel, at| budget.take("chat.postMessage", channel, Urgency::Card, at);
        let pressed = Budget::default();
        for _ in 0..5 {
            assert_eq!(pressed.take("chat.postMessage", "C1", Urgency::Person, NOW), Ok(()));
        }
        pressed.block("chat.postMessage", "C1", Urgency::Card, Duration::from_secs(30), NOW);
        assert!(post(&pressed, "C1", later(29_000)).is_err());
        assert_eq!(post(&pressed, "C2", later(1_000)), Ok(()));

        let all = Budget::default();
        assert_eq!(post(&all, "C1", NOW), Ok(()));
        all.block("chat.postMessage", "C1", Urgency::Card, Duration::from_secs(30), NOW);
        assert!(post(&all, "C2", later(29_000)).is_err());
        let page = all.take("chat.postMessage", "D1", Urgency::Person, later(1_000));
        assert_eq!(page, Ok(()), "a page goes out at once");
        assert_eq!(post(&all, "C2", later(30_000)), Ok(()));
    }

    #[test]
    fn pages_that_slack_refused_come_back_one_by_one_and_before_cards() {
        let budget = Budget::default();
        let page = |at| budget.take("chat.postMessage", "D1", Urgency::Person, at);
        for _ in 0..50 {
            assert_eq!(page(NOW), Ok(()));
        }
        // Ten were under way when Slack said no to each of them, and ten more ask after that.
        let refused = |_| budget.block("chat.postMessage", "D1", Urgency::Person, Duration::from_secs(1), NOW);
        let mut turns: Vec<i64> = (0..10).map(refused).map(|wait| wait.as_millis() as i64).collect();
        turns.extend((0..10).map(|_| page(NOW).unwrap_err().as_millis() as i64));
        assert_eq!(turns, (1..=20).map(|turn| turn * 1_000).collect::<Vec<_>>());
        for turn in turns {
            assert_eq!(page(later(turn)), Ok(()));
        }
        assert_eq!(budget.take("chat.postMessage", "D2", Urgency::Person, NOW), Ok(()), "another person's");
        assert_eq!(budget.take("chat.postMessage", "C1", Urgency::Card, NOW), Ok(()), "another channel's");
    }

    #[test]
    fn pages_that_were_given_up_hold_no_later_page_back() {
        let budget = Budget::default();
        let refuse = |at| budget.block("chat.postMessage", "D1", Urgency::Person, SECOND, at);
        let turns: Vec<Duration> = (0..200).map(|_| refuse(NOW)).collect();
        let kept = turns.iter().filter(|turn| turn.as_secs() <= 31).count();
        assert!(kept == 31 && turns.iter().all(|turn| turn.as_secs() <= 32), "{turns:?}");
        assert_eq!(refuse(later(40_000)), SECOND);
    }

    #[test]
    fn members_of_groups_are_asked_for_at_the_pace_of_tier_two() {
        let budget = Budget::default();
        let refuse = || budget.block("usergroups.users.list", "", Urgency::Person, SECOND, NOW);
        assert_eq!(refuse(), SECOND);
        assert_eq!(refuse(), SECOND + Duration::from_secs(61) / 20);
    }

    #[test]
    fn slacks_own_word_holds_everything_of_the_kind_back() {
        let budget = Budget::default();
        budget.block("chat.update", "", Urgency::Card, Duration::from_secs(30), NOW);
        let wait = budget.take("chat.update", "C9", Urgency::Card, later(10_000));
        assert_eq!(wait, Err(Duration::from_secs(20)));
        assert!(budget.take("chat.update", "C1", Urgency::Card, later(29_000)).is_err());
        assert!(budget.take("chat.update", "C1", Urgency::Person, later(29_000)).is_err());
        assert_eq!(budget.take("chat.update", "C1", Urgency::Card, later(30_000)), Ok(()));
    }
}

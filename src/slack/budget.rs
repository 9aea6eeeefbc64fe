//! How often Slack may be called: our own buckets, from Slack's page “Rate limits”, so that we wait before Slack says so.
//!
//! Each method has a bucket (`chat.postMessage` one for each channel). What concerns one waiting person (a page, an
//! answer) has a reserve of its own and never queues behind cards. A bucket holds only what may be lost: after a
//! restart Slack's own 429 is the limit, and [`Budget::block`] remembers it.

use std::time::Duration;

use dashmap::DashMap;

use crate::incident::time::Instant;

const MINUTE_MS: i64 = 60_000;
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
struct Allowance {
    /// Calls that may come at once.
    burst: i64,
    /// Then one call each so many milliseconds.
    every_ms: i64,
}

/// A tier of so many calls a minute: half of them at once, the other half spread over the minute, so that no minute
/// sees more than the tier.
const fn tier(per_minute: i64) -> Allowance {
    Allowance { burst: per_minute / 2, every_ms: MINUTE_MS * 2 / per_minute }
}

/// Slack's page “Rate limits” and each method's page; a method that is not named here is counted as tier 3.
fn allowance(method: &str) -> Allowance {
    match method {
        "chat.postMessage" => Allowance { burst: 4, every_ms: 1_000 },
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
        | "bookmarks.remove" => tier(20),
        "chat.postEphemeral"
        | "views.open"
        | "views.push"
        | "views.update"
        | "views.publish"
        | "files.getUploadURLExternal"
        | "files.completeUploadExternal"
        | "files.info"
        | "users.info"
        | "auth.test" => tier(100),
        _ => tier(50),
    }
}

/// The bucket of one method (and channel).
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When the bucket would be full again, if each call took its `every_ms`.
    full_at: i64,
    /// Slack said: not before.
    blocked_until: i64,
    /// The last moment that was promised to somebody who waits: each has a turn of their own, so that a storm does not
    /// come back all at once to be sent away again.
    promised: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    method: String,
    channel: String,
    urgency: Urgency,
}

/// Every bucket.
#[derive(Debug, Default)]
pub struct Budget {
    buckets: DashMap<Key, Bucket>,
}

impl Budget {
    /// How long until `method` may be called for `channel` on a card's behalf; zero when it may be called now.
    pub fn ready_in(&self, method: &str, channel: &str, now: Instant) -> Duration {
        let key = key(method, channel, Urgency::Card);
        let wait = self.buckets.get(&key).map_or(0, |bucket| wait_ms(*bucket, allowance(method), now.0));
        millis(wait)
    }

    /// Takes one call out of the bucket.
    ///
    /// # Errors
    /// The time to wait, when the bucket is empty; nothing is taken then. A person never waits for our own estimate,
    /// only for Slack's own word.
    pub fn take(&self, method: &str, channel: &str, urgency: Urgency, now: Instant) -> Result<(), Duration> {
        self.forget_full(now);
        let allowance = allowance(method);
        let mut bucket = self.buckets.entry(key(method, channel, urgency)).or_insert(Bucket {
            full_at: now.0,
            blocked_until: now.0,
            promised: now.0,
        });
        let wait = wait_ms(*bucket, allowance, now.0);
        if wait > 0 && urgency == Urgency::Card {
            bucket.promised = (now.0 + wait).max(bucket.promised + allowance.every_ms);
            return Err(millis(bucket.promised - now.0));
        }
        bucket.full_at = bucket.full_at.max(now.0) + allowance.every_ms;
        Ok(())
    }

    /// Slack answered 429: cards wait as long as it says. Pages and answers still try, since Slack counts them apart
    /// where the channel differs.
    pub fn block(&self, method: &str, channel: &str, for_: Duration, now: Instant) {
        let until = now.0 + i64::try_from(for_.as_millis()).unwrap_or(MINUTE_MS);
        let mut bucket = self.buckets.entry(key(method, channel, Urgency::Card)).or_insert(Bucket {
            full_at: now.0,
            blocked_until: until,
            promised: now.0,
        });
        bucket.blocked_until = bucket.blocked_until.max(until);
    }

    fn forget_full(&self, now: Instant) {
        if self.buckets.len() > KEPT {
            self.buckets.retain(|_, bucket| bucket.full_at > now.0 || bucket.blocked_until > now.0);
        }
    }
}

/// Only messages are counted by channel; all else by method.
fn key(method: &str, channel: &str, urgency: Urgency) -> Key {
    let by_channel = method == "chat.postMessage";
    Key { method: method.to_owned(), channel: if by_channel { channel } else { "" }.to_owned(), urgency }
}

fn wait_ms(bucket: Bucket, allowance: Allowance, now: i64) -> i64 {
    let full_at = bucket.full_at.max(now);
    let empty = full_at + allowance.every_ms - now - allowance.burst * allowance.every_ms;
    empty.max(bucket.blocked_until - now).max(0)
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000_000);

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
        assert_eq!(budget.ready_in("chat.postMessage", "C1", later(400)), Duration::from_millis(600));
        assert_eq!(budget.take("chat.postMessage", "C2", Urgency::Card, NOW), Ok(()));
        assert_eq!(budget.take("chat.postMessage", "C1", Urgency::Card, later(1_000)), Ok(()));
        assert!(budget.take("chat.postMessage", "C1", Urgency::Card, later(1_000)).is_err());
    }

    #[test]
    fn no_minute_sees_more_calls_than_the_tier_allows() {
        let budget = Budget::default();
        for start in [0, 7_300] {
            let fresh = Budget::default();
            let taken = (0..6_000)
                .filter(|tick| fresh.take("conversations.create", "", Urgency::Card, later(start + tick * 10)).is_ok())
                .count();
            assert!(taken <= 20, "{taken}");
            assert!(taken >= 19, "{taken}");
        }
        assert_eq!(budget.ready_in("conversations.create", "", NOW), Duration::ZERO);
    }

    #[test]
    fn whoever_has_to_wait_is_told_a_turn_of_their_own_and_gets_it() {
        let budget = Budget::default();
        while budget.take("conversations.create", "", Urgency::Card, NOW).is_ok() {}
        let turns: Vec<i64> = (0..50)
            .map(|_| budget.take("conversations.create", "", Urgency::Card, NOW).unwrap_err().as_millis() as i64)
            .collect();
        assert!(turns.windows(2).all(|pair| pair[1] - pair[0] == 6_000), "{turns:?}");
        for turn in turns {
            assert_eq!(budget.take("conversations.create", "", Urgency::Card, later(turn)), Ok(()), "after {turn} ms");
        }
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
    fn slacks_own_word_holds_cards_back_and_pages_not() {
        let budget = Budget::default();
        budget.block("chat.update", "", Duration::from_secs(30), NOW);
        assert_eq!(budget.ready_in("chat.update", "C9", later(10_000)), Duration::from_secs(20));
        assert!(budget.take("chat.update", "C1", Urgency::Card, later(29_000)).is_err());
        assert_eq!(budget.take("chat.update", "C1", Urgency::Person, NOW), Ok(()));
        assert_eq!(budget.take("chat.update", "C1", Urgency::Card, later(30_000)), Ok(()));
    }
}

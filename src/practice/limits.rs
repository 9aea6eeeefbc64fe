//! Slack's rate tiers (docs: "Rate limits"): so many calls a minute for each method, one message a second for a channel.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::methods::Tier;

const MINUTE_MS: i64 = 60_000;
/// Messages to one channel that may come at once before the one-a-second rule bites.
const CHANNEL_BURST: i64 = 4;
/// One message a second for each channel.
const MESSAGE_MS: i64 = 1000;
/// `chat.postMessage` in the whole workspace, "several hundred per minute".
const POSTS_A_MINUTE: usize = 300;

/// Counts calls by the workspace's clock.
pub(crate) struct Limits {
    on: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// When each method was called in the last minute.
    windows: HashMap<String, VecDeque<i64>>,
    /// When each channel's bucket is full again, as if every message took a second.
    full_at: HashMap<String, i64>,
}

impl Limits {
    pub fn new(on: bool) -> Self {
        Self { on: AtomicBool::new(on), counts: Mutex::default() }
    }

    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Counts a call. Gives the seconds to wait when it is one too many.
    pub fn count(&self, method: &str, tier: Tier, channel: Option<&str>, now: i64) -> Option<u64> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = match tier {
            Tier::PerMinute(calls) => calls,
            Tier::Special if method == "chat.postMessage" => {
                if let Some(wait) = counts.channel_wait(channel.unwrap_or_default(), now) {
                    return Some(wait);
                }
                POSTS_A_MINUTE
            }
            Tier::Special => return None,
        };
        let wait = full(&counts.windows, method, calls, now);
        if wait.is_none() {
            take(&mut counts.windows, method, now);
            if matches!(tier, Tier::Special) {
                let at = counts.full_at.entry(channel.unwrap_or_default().to_owned()).or_insert(now);
                *at = (*at).max(now) + MESSAGE_MS;
            }
        }
        wait
    }
}

impl Counts {
    fn channel_wait(&self, channel: &str, now: i64) -> Option<u64> {
        let full_at = self.full_at.get(channel).copied().unwrap_or(now).max(now);
        let wait_ms = full_at + MESSAGE_MS - now - CHANNEL_BURST * MESSAGE_MS;
        u64::try_from(wait_ms).ok().filter(|ms| *ms > 0).map(|ms| ms.div_ceil(1000))
    }
}

/// The seconds until the window has room again; none when it has.
fn full(windows: &HashMap<String, VecDeque<i64>>, key: &str, calls: usize, now: i64) -> Option<u64> {
    let window = windows.get(key)?;
    let recent: Vec<i64> = window.iter().copied().filter(|at| now - at < MINUTE_MS).collect();
    let oldest = recent.len().checked_sub(calls).and_then(|at| recent.get(at))?;
    let wait_ms = (oldest + MINUTE_MS - now).max(1);
    u64::try_from(wait_ms).ok().map(|ms| ms.div_ceil(1000))
}

fn take(windows: &mut HashMap<String, VecDeque<i64>>, key: &str, now: i64) {
    let window = windows.entry(key.to_owned()).or_default();
    while window.front().is_some_and(|at| now - at >= MINUTE_MS) {
        window.pop_front();
    }
    window.push_back(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twenty_first_tier_two_call_of_a_minute_is_refused() {
        let limits = Limits::new(true);
        for at in 0..20 {
            assert_eq!(limits.count("conversations.create", Tier::PerMinute(20), None, at * 100), None);
        }
        assert_eq!(limits.count("conversations.create", Tier::PerMinute(20), None, 2000), Some(58));
        assert_eq!(limits.count("conversations.archive", Tier::PerMinute(20), None, 2000), None);
        assert_eq!(limits.count("conversations.create", Tier::PerMinute(20), None, 60_000), None);
    }

    #[test]
    fn one_channel_takes_a_small_burst_and_then_one_message_a_second() {
        let limits = Limits::new(true);
        let post = |channel, now| limits.count("chat.postMessage", Tier::Special, Some(channel), now);
        for _ in 0..4 {
            assert_eq!(post("C1", 0), None);
        }
        assert_eq!(post("C1", 0), Some(1));
        assert_eq!(post("C2", 0), None);
        assert_eq!(post("C1", 999), Some(1));
        assert_eq!(post("C1", 1000), None);
        assert_eq!(post("C1", 1000), Some(1));
    }

    #[test]
    fn nothing_is_refused_while_switched_off() {
        let limits = Limits::new(false);
        for _ in 0..100 {
            assert_eq!(limits.count("users.list", Tier::PerMinute(20), None, 0), None);
        }
    }
}

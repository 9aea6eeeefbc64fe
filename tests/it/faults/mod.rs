//! Real faults on real processes, counted: `vigie serve` is killed, frozen and cut off, its database and its disk fail it,
//! and Slack goes away, while people run their incidents. Afterwards everything must be as if nothing had happened.
//!
//! Each test prints one line of figures. `VIGIE_SOAK=<rounds>` asks for more rounds than the everyday few, and
//! `VIGIE_SEED=<number>` for other moments.

mod check;
pub mod disk;
mod freeze;
mod kill;
mod network;
mod people;
pub mod server;
mod slack;
pub mod town;

use std::io::Write as _;
use std::time::Duration;

use vigie::clock::Clock;
use vigie::incident::time::Millis;

/// The longest that what a process was doing when it was lost waits for another one: its lease.
const LEASE: Duration = Duration::from_secs(15);
/// How often the world is looked at while something is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// How many rounds: the everyday number, or the one that a soak asks for.
fn rounds(everyday: u32) -> u32 {
    number("VIGIE_SOAK").map_or(everyday, |rounds| u32::try_from(rounds).expect("a number of rounds"))
}

/// Chance, the same in every run with the same seed.
fn chance() -> fastrand::Rng {
    fastrand::Rng::with_seed(number("VIGIE_SEED").unwrap_or(1))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().unwrap_or_else(|text| panic!("{name} is {text:?}, no number"));
    Some(text.parse().unwrap_or_else(|error| panic!("{name} is “{text}”: {error}")))
}

/// This machine does not let the test do what it is about: `tests/run` is told, and counts it as skipped.
pub fn skip(why: &str) {
    let line = format!("skipped: {why}\n");
    print!("{line}");
    let Some(list) = std::env::var_os("VIGIE_TEST_SKIPS") else { return };
    let list = std::fs::OpenOptions::new().create(true).append(true).open(list);
    list.and_then(|mut list| list.write_all(line.as_bytes())).expect("the list of what was skipped can be written");
}

/// Lets real time pass: the processes have no clock that could be moved by hand.
pub async fn pass(length: Duration) {
    Clock::system().wait_until(None, length).await;
}

/// Waits until `probe` sees what it looks for.
pub async fn until<T>(what: &str, patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let last = clock.now() + Millis(i64::try_from(patience.as_millis()).expect("a bearable length"));
    loop {
        if let Some(seen) = probe().await {
            return seen;
        }
        assert!(clock.now() < last, "waited {patience:?} in vain: {what}");
        pass(LOOK).await;
    }
}

//! A deterministic test world (one seed, one run): the real core, engine and store, with a simulated Slack, people,
//! telephones and clock, and faults drawn from the seed.
//!
//! One thing happens at a time. Calls to the outside are parked until their moment comes; commits fail, or end the
//! process before or after; processes freeze and come back late; envelopes come twice and in any order. Then the weather
//! clears, and what was promised must hold (`promises.rs`). A seed that fails prints its story, and
//! `VIGIE_SEEDS=4711` plays it again; `VIGIE_SEEDS=0..10000` plays many.
//!
//! No moment is the machine's: the runtime's time stands still, pauses between two looks are leapt over
//! (`actions::leaps`), and what would go on beside a run is left out. So a slow machine tells the same story.
//!
//! Only tests use it, and it uses every room as `app` does.

mod lanes;
mod outside;
mod people;
mod promises;
mod replica;
mod world;

use std::ops::Range;

use world::{Ended, World};

/// What the everyday suite plays.
const EVERYDAY: Range<u64> = 0..200;
/// Nights that are played side by side: half of each is its database's, on a thread of its own.
const SIDE_BY_SIDE: u64 = 4;

#[test]
fn whatever_fails_and_whenever_nothing_is_lost_and_nothing_is_done_twice() {
    let seeds = seeds();
    let threads: Vec<_> = (0..SIDE_BY_SIDE)
        .map(|thread| {
            let mine: Vec<u64> = seeds.clone().filter(|seed| seed % SIDE_BY_SIDE == thread).collect();
            std::thread::spawn(move || play(&mine))
        })
        .collect();
    let mut all = Figures::default();
    let mut broken = Vec::new();
    for thread in threads {
        let (figures, mut faults) = thread.join().expect("a simulation does not panic");
        all.add(&figures);
        broken.append(&mut faults);
    }
    println!("simulation: {all}");
    broken.sort_by_key(|night: &Broken| night.seed);
    let first = broken.first().map(|night| night.story.as_str()).unwrap_or_default();
    let faults: String = broken.iter().map(|night| format!("\nseed {}: {}", night.seed, night.faults)).collect();
    assert!(broken.is_empty(), "{first}{faults}");
    if all.seeds == EVERYDAY.end {
        let Ended { resumed, skipped, undone, .. } = all.ended;
        assert!(resumed > 0 && skipped > 0 && undone > 0, "some of it was never tried: {all}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let runtime = runtime();
        runtime.block_on(async { World::open(seed).await.play().await }).story
    };
    // In each of these something runs, and some of it by crashes and failures.
    for seed in [3, 30, 56, 95, 105, 151, 159, 166] {
        let (first, second) = (story(seed), story(seed));
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        let around = differs.map(|at| (&first[at.saturating_sub(5)..=at], &second[at]));
        assert!(around.is_none() && first.len() == second.len(), "seed {seed}: {around:#?}");
    }
}

#[test]
fn what_was_acknowledged_and_kept_nowhere_is_missed() {
    const NIGHTS: u64 = 60;
    let runtime = runtime();
    let is_missed = |verb: &'static str, seed| {
        let mut world = runtime.block_on(World::open(seed));
        world.forgets = Some(verb);
        !runtime.block_on(world.play()).faults.is_empty()
    };
    for verb in [
        "start", "note", "ack", "severity", "resolve", "rollback", "approve", "reject", "retry", "skip", "undo",
        "update", "page",
    ] {
        assert!((0..NIGHTS).any(|seed| is_missed(verb, seed)), "nobody misses “{verb}”");
    }
}

/// Counted over many seeds.
#[derive(Debug, Default)]
struct Figures {
    seeds: u64,
    ended: Ended,
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        self.seeds += other.seeds;
        self.ended.add(&other.ended);
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seeds={} {}", self.seeds, self.ended)
    }
}

/// A night that broke a promise.
struct Broken {
    seed: u64,
    story: String,
    faults: String,
}

/// Plays these seeds one after the other; gives those that broke a promise.
fn play(seeds: &[u64]) -> (Figures, Vec<Broken>) {
    let runtime = runtime();
    let mut figures = Figures::default();
    let mut broken = Vec::new();
    for seed in seeds {
        let played = runtime.block_on(async { World::open(*seed).await.play().await });
        figures.seeds += 1;
        figures.ended.add(&played.ended);
        if !played.faults.is_empty() {
            let (story, faults) = (played.story.join("\n"), played.faults.join("\nand: "));
            broken.push(Broken { seed: *seed, story, faults });
        }
    }
    (figures, broken)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime can be made")
}

/// `VIGIE_SEEDS`: one seed, or `from..to`; else the everyday ones.
fn seeds() -> Range<u64> {
    let Some(wanted) = std::env::var_os("VIGIE_SEEDS") else { return EVERYDAY };
    let wanted = wanted.to_string_lossy();
    let number = |text: &str| text.trim().parse().unwrap_or_else(|_| panic!("VIGIE_SEEDS is “{wanted}”: 7, or 0..99"));
    match wanted.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&wanted)..number(&wanted) + 1,
    }
}

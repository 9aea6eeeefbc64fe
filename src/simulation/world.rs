//! The driver: one thing at a time, in an order that the seed alone decides.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use tokio::sync::Notify;

use super::outside::{Outside, Parked};
use super::people::{Said, script};
use super::promises;
use super::replica::{Condition, Mould, Replica};
use crate::actions::leaps::StandsStill;
use crate::actions::toy::{Manner, Shop};
use crate::clock::Clock;
use crate::engine::{LEASE, Step};
use crate::incident::decision::Lane;
use crate::incident::time::{Instant, Millis};
use crate::store::weather::{self, Weather};
use crate::store::{Claimed, Store, StoreFault};

const BEGIN: Instant = Instant(1_795_000_000_000);
/// Faults happen until then.
const STORM: Millis = Millis::minutes(80);
/// After that all is well, and everything must come to rest.
const CALM: Millis = Millis::minutes(45);
/// By how much a clock goes wrong, in milliseconds: machines that keep their time agree far better.
pub(super) const MOST_AHEAD: Range<i64> = 0..4_000;
/// More than this happens in no seed that comes to rest.
const MOST_STEPS: usize = 20_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What happens at a moment.
enum Event {
    Says(Said, u32),
    Answers(u64),
    Dies(usize),
    Starts(usize),
    Freezes(usize, Millis),
    Thaws(usize),
    /// A process's clock is set: it goes ahead of the true time by so much from now on.
    ClockJumps(usize, Millis),
    /// Slack cannot be reached for so long.
    Outage(Millis),
    ShopLosesAnswers(bool),
    ShopBreaks(bool),
    /// Somebody looks again, as each process does once a second.
    Looks,
    Clears,
}

/// An effect that a replica is carrying out.
struct Flight {
    replica: usize,
    task: Task,
    waits: Option<Parked>,
}

/// How far something got that was driven on.
enum Driven<T> {
    Done(T),
    /// It waits for the outside.
    Parked,
    /// Its process is gone.
    Crashed,
}

/// What happened, counted.
#[derive(Debug, Default, Clone)]
pub(super) struct Ended {
    pub crashes: u64,
    pub freezes: u64,
    pub outages: u64,
    pub failed_commits: u64,
    pub incidents: u64,
    pub pages: u64,
    pub rings: u64,
    pub runs: u64,
    pub unknown: u64,
    /// Runs that went on after they had failed, steps that were left out, runs that were taken back.
    pub resumed: u64,
    pub skipped: u64,
    pub undone: u64,
}

impl Ended {
    pub fn add(&mut self, other: &Ended) {
        self.crashes += other.crashes;
        self.freezes += other.freezes;
        self.outages += other.outages;
        self.failed_commits += other.failed_commits;
        self.incidents += other.incidents;
        self.pages += other.pages;
        self.rings += other.rings;
        self.runs += other.runs;
        self.unknown += other.unknown;
        self.resumed += other.resumed;
        self.skipped += other.skipped;
        self.undone += other.undone;
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crashes, freezes, outages, failed_commits, incidents, pages, rings, runs, unknown, .. } = self;
        let Self { resumed, skipped, undone, .. } = self;
        write!(
            f,
            "crashes={crashes} freezes={freezes} outages={outages} failed_commits={failed_commits} \
             incidents={incidents} pages={pages} rings={rings} runs={runs} unknown={unknown} \
             resumed={resumed} skipped={skipped} undone={undone}"
        )
    }
}

/// A run that is over.
pub(super) struct Played {
    pub story: Vec<String>,
    pub faults: Vec<String>,
    pub ended: Ended,
}

pub(super) struct World {
    rng: fastrand::Rng,
    pub clock: Clock,
    pub store: Store,
    pub outside: Outside,
    pub shop: Shop,
    mould: Mould,
    replicas: Vec<Replica>,
    flights: BTreeMap<u64, Flight>,
    next_flight: u64,
    /// When each lane has something to do, as far as it was looked up since something was last written.
    due: BTreeMap<Lane, Option<Instant>>,
    agenda: BTreeMap<(Instant, u64), Event>,
    next_event: u64,
    crashed: Arc<Notify>,
    /// Whoever typed this was told that it was received; with whether its incident existed when it was first brought.
    pub acknowledged: Vec<(Said, bool)>,
    /// Whether the incident existed, by the envelope, when it was first brought.
    existed: BTreeMap<String, bool>,
    /// When nobody could do anything, from and until.
    pub unattended: Vec<(Instant, Instant)>,
    unattended_since: Option<Instant>,
    /// When a process ended or froze.
    pub losses: Vec<Instant>,
    pub failures: Vec<Instant>,
    pub ended: Ended,
    faults: Vec<String>,
    /// What begins so is acknowledged and kept nowhere: to see that it is missed.
    pub forgets: Option<&'static str>,
    _still: StandsStill,
    _folder: TempDir,
}

impl World {
    pub async fn open(seed: u64) -> Self {
        let still = StandsStill::begin();
        weather::set(None);
        let mut rng = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir().expect("a folder can be made");
        let store = Store::open(&format!("sqlite://{}", folder.path().join("vigie.db").display())).await;
        let store = store.unwrap_or_else(|fault| panic!("{fault}"));
        let clock = Clock::manual(BEGIN);
        let outside = Outside::new(rng.u64(..), clock.clone(), store.beside());
        let shop = Shop::open().await;
        let mould = Mould::new(&shop.url);
        let replicas: Vec<Replica> = (0..2).map(|_| Replica::start(&mould, &store, &clock, &outside)).collect();
        let mut world = Self {
            clock,
            store,
            outside,
            shop,
            mould,
            replicas,
            flights: BTreeMap::new(),
            next_flight: 0,
            due: BTreeMap::new(),
            agenda: BTreeMap::new(),
            next_event: 0,
            crashed: Arc::default(),
            acknowledged: Vec::new(),
            existed: BTreeMap::new(),
            unattended: Vec::new(),
            unattended_since: None,
            losses: Vec::new(),
            failures: Vec::new(),
            ended: Ended::default(),
            faults: Vec::new(),
            forgets: None,
            rng,
            _still: still,
            _folder: folder,
        };
        world.plan();
        world
    }

    /// Writes down what will happen.
    fn plan(&mut self) {
        for (at, said) in script(&mut self.rng, BEGIN + Millis::seconds(1)) {
            // Some envelopes come twice, and late: in any order with the others.
            if self.rng.u32(..12) == 0 {
                let again = at + Millis(self.rng.i64(0..90_000));
                self.at(again, Event::Says(said.clone(), 0));
            }
            let late = if self.rng.u32(..8) == 0 { self.rng.i64(0..20_000) } else { 0 };
            self.at(at + Millis(late), Event::Says(said, 0));
        }
        for _ in 0..self.rng.u32(..5) {
            let (at, replica) = (self.moment(), self.rng.usize(..2));
            self.at(at, Event::Dies(replica));
        }
        for _ in 0..self.rng.u32(..3) {
            let (at, replica, length) = (self.moment(), self.rng.usize(..2), Millis(self.rng.i64(1_000..200_000)));
            self.at(at, Event::Freezes(replica, length));
        }
        for _ in 0..self.rng.u32(..6) {
            let (at, replica, ahead) = (self.moment(), self.rng.usize(..2), Millis(self.rng.i64(MOST_AHEAD)));
            self.at(at, Event::ClockJumps(replica, ahead));
        }
        if self.rng.u32(..3) == 0 {
            let (at, length) = (self.moment(), Millis(self.rng.i64(5_000..600_000)));
            self.at(at, Event::Outage(length));
        }
        if self.rng.bool() {
            let at = self.moment();
            self.at(at, Event::ShopLosesAnswers(true));
            self.at(at + Millis::minutes(5), Event::ShopLosesAnswers(false));
        }
        if self.rng.bool() {
            let at = self.moment();
            self.at(at, Event::ShopBreaks(true));
            self.at(at + Millis::minutes(25), Event::ShopBreaks(false));
        }
        self.at(BEGIN + STORM, Event::Clears);
        let seed = self.rng.u64(..);
        let weather = Weather {
            rng: fastrand::Rng::with_seed(seed),
            crashes: self.rng.u32(..40),
            failures: self.rng.u32(..80),
            crashed: Arc::clone(&self.crashed),
        };
        weather::set(Some(weather));
    }

    fn moment(&mut self) -> Instant {
        BEGIN + Millis(self.rng.i64(0..STORM.0))
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.next_event += 1;
        self.agenda.insert((at, self.next_event), event);
    }

    fn soon(&mut self, after: Millis, event: Event) {
        self.at(self.clock.now() + after, event);
    }

    fn tell(&self, what: &str) {
        let passed = self.clock.now().since(BEGIN).0;
        self.outside.state().story.push(format!("{:>5}.{:03} s  {what}", passed / 1_000, passed % 1_000));
    }

    /// Plays it to the end and looks at what was promised.
    pub async fn play(mut self) -> Played {
        let end = BEGIN + STORM + CALM;
        for step in 0.. {
            self.happen().await;
            self.work().await;
            let next = self.next().await;
            match next {
                // What is under way in the last moment comes to its end.
                Some(at) if at <= end || !self.flights.is_empty() => self.clock.advance(at.since(self.clock.now())),
                _ => break,
            }
            if step > MOST_STEPS {
                self.faults.push(format!("it does not come to rest: {:?}", self.store.waiting().await));
                break;
            }
        }
        weather::set(None);
        self.faults.extend(promises::broken(&self).await);
        let ended = promises::figures(&self).await;
        let story = {
            let mut state = self.outside.state();
            self.faults.append(&mut state.faults);
            std::mem::take(&mut state.story)
        };
        self.store.close().await;
        Played { story, faults: self.faults, ended }
    }

    /// Everything whose moment has come.
    async fn happen(&mut self) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.clock.now() {
                return;
            }
            let event = entry.remove();
            match event {
                Event::Says(said, tries) => self.deliver(said, tries).await,
                Event::Answers(flight) => self.answer(flight).await,
                Event::Dies(replica) => self.die(replica, "is killed"),
                Event::Starts(replica) => self.start(replica),
                Event::Freezes(replica, length) => self.freeze(replica, length),
                Event::Thaws(replica) => self.thaw(replica),
                Event::ClockJumps(replica, ahead) => {
                    self.tell(&format!("process {replica} has a clock that is {} ms ahead", ahead.0));
                    self.replicas[replica].ahead.store(ahead.0, Ordering::SeqCst);
                }
                Event::Outage(length) => self.outage(length),
                Event::ShopLosesAnswers(on) => {
                    self.tell(if on { "the shop loses its answers" } else { "the shop answers again" });
                    self.shop.behaves(if on { Manner::LosesAnswer } else { Manner::Good });
                }
                Event::ShopBreaks(on) => {
                    self.tell(if on { "the shop refuses to switch" } else { "the shop switches again" });
                    self.shop.behaves(if on { Manner::Breaks } else { Manner::Good });
                }
                Event::Looks => {}
                Event::Clears => self.clear(),
            }
            self.attend();
        }
    }

    /// Slack brings an envelope to one of the processes that hear it.
    async fn deliver(&mut self, said: Said, tries: u32) {
        let up: Vec<usize> = (0..2).filter(|at| self.replicas[*at].condition == Condition::Up).collect();
        let Some(replica) = self.rng.choice(&up).copied() else { return self.deliver_again(said, tries) };
        let existed = self.existed(&said).await;
        if self.forgets.is_some_and(|verb| said.line.starts_with(verb)) {
            return self.acknowledged.push((said, existed));
        }
        let (target, input) = said.input();
        let (store, now, source) = (self.replicas[replica].store.clone(), self.clock.now(), said.source.clone());
        let task = Box::pin(async move { store.receive(&source, target, &input, now).await });
        self.due.clear();
        match self.drive(task).await {
            (Driven::Done(Ok(fresh)), _) => {
                self.tell(&format!("{} types “{}” to {replica} (new: {fresh})", said.who, said.line));
                if self.rng.u32(..25) == 0 {
                    self.tell("and the acknowledgement is lost");
                    self.deliver_again(said, tries);
                } else {
                    self.acknowledged.push((said, existed));
                }
            }
            (Driven::Done(Err(fault)), _) => {
                self.note_failure(&fault);
                // It was not kept, so what counts is when it is brought again.
                self.existed.remove(&said.source);
                self.deliver_again(said, tries);
            }
            (Driven::Parked, _) => self.faults.push("an envelope waits for the outside".to_owned()),
            (Driven::Crashed, _) => {
                self.die(replica, "ends while it takes an envelope");
                self.deliver_again(said, tries);
            }
        }
    }

    /// By the first time: what was decided upon then is not decided upon anew when it comes once more.
    async fn existed(&mut self, said: &Said) -> bool {
        let Some(id) = said.input().0.incident else { return false };
        if let Some(existed) = self.existed.get(&said.source) {
            return *existed;
        }
        let exists = self.store.incident(id).await.unwrap_or_else(|fault| panic!("{fault}")).is_some();
        self.existed.insert(said.source.clone(), exists);
        exists
    }

    /// What nobody acknowledged is sent again, if Slack does that; else whoever typed it saw that it failed.
    fn deliver_again(&mut self, said: Said, tries: u32) {
        if said.insists || tries < 3 && self.rng.bool() {
            let after = Millis::seconds(if tries == 0 { 3 } else { 60 });
            self.soon(after, Event::Says(said, tries + 1));
        }
    }

    /// The outside has answered somebody.
    async fn answer(&mut self, number: u64) {
        let Some(mut flight) = self.flights.remove(&number) else { return };
        if let Some(waits) = &flight.waits {
            self.outside.state().arrive(waits.call);
        }
        if self.replicas[flight.replica].condition == Condition::Frozen {
            // It hears the answer when it thaws.
            self.flights.insert(number, flight);
            return self.soon(Millis::seconds(1), Event::Answers(number));
        }
        if let Some(waits) = flight.waits.take() {
            // Its process may be gone.
            let _ = waits.resume.send(());
        }
        self.fly(number, flight).await;
    }

    /// Drives an effect on until it ends or waits for the outside again.
    async fn fly(&mut self, number: u64, flight: Flight) {
        let Flight { replica, task, .. } = flight;
        self.due.clear();
        match self.drive(task).await {
            (Driven::Done(()), _) => {}
            (Driven::Crashed, _) => self.die(replica, "ends in the middle of its work"),
            (Driven::Parked, task) => {
                let parked = self.outside.state().parked.take();
                let Some(parked) = parked else { return self.faults.push("nobody knows what it waits for".to_owned()) };
                self.at(parked.at, Event::Answers(number));
                self.flights.insert(number, Flight { replica, task, waits: Some(parked) });
            }
        }
    }

    /// Nothing else is polled meanwhile: this alone decides what is written next.
    async fn drive<T>(
        &self,
        mut task: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> (Driven<T>, Pin<Box<dyn Future<Output = T> + Send>>) {
        let driven = tokio::select! {
            biased;
            done = &mut task => Driven::Done(done),
            () = self.outside.parks.notified() => Driven::Parked,
            () = self.crashed.notified() => Driven::Crashed,
        };
        (driven, task)
    }

    /// Every process that is up decides and begins whatever is due, in any order.
    async fn work(&mut self) {
        loop {
            let mut order = [0, 1];
            self.rng.shuffle(&mut order);
            let mut moved = false;
            for replica in order {
                moved |= self.decide(replica).await;
                let mut lanes = Lane::ALL;
                self.rng.shuffle(&mut lanes);
                for lane in lanes {
                    moved |= self.begin(replica, lane).await;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn is_up(&self, replica: usize) -> bool {
        self.replicas[replica].condition == Condition::Up
    }

    async fn decide(&mut self, replica: usize) -> bool {
        let mut moved = false;
        while self.is_up(replica) {
            let engine = self.replicas[replica].engine.clone();
            let decided = self.drive(Box::pin(async move { engine.decide_one().await })).await.0;
            if !matches!(decided, Driven::Done(Ok(Step::Nothing { .. }))) {
                self.due.clear();
            }
            match decided {
                Driven::Done(Ok(Step::Decided)) => moved = true,
                Driven::Done(Ok(Step::Busy | Step::Nothing { .. })) => break,
                Driven::Done(Err(fault)) => {
                    self.note_failure(&fault);
                    break;
                }
                Driven::Parked => self.faults.push("a decision waits for the outside".to_owned()),
                Driven::Crashed => self.die(replica, "ends while it decides"),
            }
        }
        moved
    }

    async fn begin(&mut self, replica: usize, lane: Lane) -> bool {
        if !self.is_up(replica) {
            return false;
        }
        let (store, now) = (self.replicas[replica].store.clone(), self.replicas[replica].clock.now());
        if self.due(lane).await.is_none_or(|at| at > now) {
            return false;
        }
        self.due.clear();
        let claimed = match self.drive(Box::pin(async move { store.claim(lane, now, LEASE, 16).await })).await.0 {
            Driven::Done(Ok(claimed)) => claimed,
            Driven::Done(Err(fault)) => {
                self.note_failure(&fault);
                return false;
            }
            Driven::Parked => return false,
            Driven::Crashed => {
                self.die(replica, "ends while it takes its next work");
                return false;
            }
        };
        let moved = !claimed.is_empty();
        for one in claimed {
            // What a process took and could not begin waits until the lease ends.
            if self.is_up(replica) {
                self.take_off(replica, one).await;
            }
        }
        moved
    }

    async fn due(&mut self, lane: Lane) -> Option<Instant> {
        if let Some(known) = self.due.get(&lane) {
            return *known;
        }
        let due = self.store.next_due(lane).await.unwrap_or_else(|fault| panic!("{fault}"));
        self.due.insert(lane, due);
        due
    }

    async fn take_off(&mut self, replica: usize, claimed: Claimed) {
        let engine = self.replicas[replica].engine.clone();
        self.next_flight += 1;
        let goes_on = self.rng.bool();
        let task: Task = Box::pin(async move { engine.deliver(claimed, goes_on).await });
        self.fly(self.next_flight, Flight { replica, task, waits: None }).await;
    }

    fn note_failure(&mut self, fault: &StoreFault) {
        self.tell(&format!("the database fails: {fault}"));
        self.ended.failed_commits += 1;
        self.failures.push(self.clock.now());
        self.soon(Millis::seconds(1), Event::Looks);
    }

    /// A process ends; whatever it was doing ends with it.
    fn die(&mut self, replica: usize, how: &str) {
        if self.replicas[replica].condition == Condition::Down {
            return;
        }
        self.tell(&format!("process {replica} {how}"));
        self.ended.crashes += 1;
        self.losses.push(self.clock.now());
        self.replicas[replica].condition = Condition::Down;
        self.flights.retain(|_, flight| flight.replica != replica);
        let after = Millis(self.rng.i64(200..120_000));
        self.soon(after, Event::Starts(replica));
        self.attend();
    }

    fn start(&mut self, replica: usize) {
        if self.replicas[replica].condition != Condition::Down {
            return;
        }
        self.tell(&format!("process {replica} starts again"));
        self.replicas[replica] = Replica::start(&self.mould, &self.store, &self.clock, &self.outside);
    }

    fn freeze(&mut self, replica: usize, length: Millis) {
        if !self.is_up(replica) {
            return;
        }
        self.tell(&format!("process {replica} freezes for {} ms", length.0));
        self.ended.freezes += 1;
        self.losses.push(self.clock.now());
        self.replicas[replica].condition = Condition::Frozen;
        self.soon(length, Event::Thaws(replica));
    }

    fn thaw(&mut self, replica: usize) {
        if self.replicas[replica].condition == Condition::Frozen {
            self.tell(&format!("process {replica} thaws"));
            self.replicas[replica].condition = Condition::Up;
        }
    }

    fn outage(&mut self, length: Millis) {
        self.tell(&format!("nothing outside can be reached for {} ms", length.0));
        self.ended.outages += 1;
        self.outside.state().down_until = self.clock.now() + length;
    }

    /// From now on all is well.
    fn clear(&mut self) {
        self.tell("the weather clears");
        weather::change(0, 0);
        self.shop.behaves(Manner::Good);
        {
            let mut state = self.outside.state();
            (state.trouble, state.down_until) = (0, Instant(0));
        }
        for replica in 0..2 {
            self.thaw(replica);
            self.start(replica);
        }
    }

    /// Keeps book of when nobody could do anything.
    fn attend(&mut self) {
        let now = self.clock.now();
        let attended = (0..2).any(|replica| self.is_up(replica));
        match (attended, self.unattended_since) {
            (false, None) => self.unattended_since = Some(now),
            (true, Some(since)) => {
                self.unattended.push((since, now));
                self.unattended_since = None;
            }
            _ => {}
        }
    }

    /// The next moment at which something happens. Nothing that is due may be left undone by processes that are up.
    async fn next(&mut self) -> Option<Instant> {
        let now = self.clock.now();
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        if !(0..2).any(|replica| self.is_up(replica)) {
            return planned;
        }
        let failed = self.failures.last() == Some(&now);
        let wake = self.store.next_wake().await.unwrap_or_else(|fault| panic!("{fault}"));
        let mut due = None;
        for lane in Lane::ALL {
            due = [due, self.due(lane).await].into_iter().flatten().min();
        }
        for (what, at) in [("a wake", wake), ("an effect", due)] {
            if at.is_some_and(|at| at <= now) && !failed {
                let waiting = self.store.waiting().await;
                self.faults.push(format!("{what} is due and left alone at {now:?}; waiting: {waiting:?}"));
                return None;
            }
        }
        [planned, wake, due].into_iter().flatten().filter(|at| *at > now).min()
    }
}

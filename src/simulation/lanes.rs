//! What a lane does with the leases of its process, looked at a second at a time.

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::outside::Outside;
use super::people::Said;
use super::replica::{Mould, Replica};
use crate::clock::Clock;
use crate::engine::{Again, LEASE, Step};
use crate::incident::decision::Lane;
use crate::incident::time::{Instant, Millis};
use crate::store::Store;

const NOW: Instant = Instant(1_795_000_000_000);

/// A process whose chat is full of calls that hang, and to which the database's answer to a claim of pages was lost.
struct Full {
    replica: Replica,
    base: Store,
    clock: Clock,
    lost: Vec<i64>,
    token: String,
    _folder: TempDir,
}

impl Full {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let base = Store::open(&format!("sqlite://{}", folder.path().join("vigie.db").display())).await;
        let base = base.unwrap_or_else(|fault| panic!("{fault}"));
        let clock = Clock::manual(NOW);
        let outside = Outside::new(1, clock.clone(), base.beside());
        let replica = Replica::start(&Mould::new("http://127.0.0.1:9"), &base, &clock, &outside);
        let line = "start sev2 checkout returns 500 --service shop".to_owned();
        let (target, input) = Said { source: "start".to_owned(), who: "U0SUPPORT", line, insists: true }.input();
        base.receive("start", target, &input, NOW).await.expect("it is kept");
        assert_eq!(replica.engine.decide_one().await.expect("it is decided upon"), Step::Decided);
        let pages = replica.store.claim(Lane::Page, NOW, LEASE, 50).await.expect("the database answers");
        let token = pages.first().expect("somebody is paged").token.clone();
        let lost = pages.iter().map(|page| page.id).collect();
        Self { replica, base, clock, lost, token, _folder: folder }
    }

    /// Time passes in leaps, and the lane of chat looks after each.
    async fn passes(&self, leaps: impl IntoIterator<Item = Millis>) {
        let (mut hands, stop) = (self.replica.engine.hands(Lane::Chat), CancellationToken::new());
        hands.are_full();
        for leap in leaps {
            self.clock.advance(leap);
            let again = self.replica.engine.begin_due(&mut hands, &stop).await.expect("the database answers");
            assert_eq!(again, Again::at(None), "there is no room for anything");
        }
    }
}

/// The rows of the pages that somebody may carry out.
async fn pages_taken_by(store: &Store, now: Instant) -> Vec<i64> {
    let pages = store.claim(Lane::Page, now, LEASE, 50).await.expect("the database answers");
    pages.iter().map(|page| page.id).collect()
}

#[tokio::test]
async fn a_lane_that_is_told_of_something_and_finds_it_gone_knows_when_the_next_is_due() {
    let full = Full::open().await;
    let mut hands = full.replica.engine.hands(Lane::Page);
    hands.are_told();
    let again = full.replica.engine.begin_due(&mut hands, &CancellationToken::new()).await;
    assert_eq!(again.expect("the database answers"), Again::at(Some(NOW + LEASE)), "when the leases of the pages end");
}

#[tokio::test]
async fn a_page_that_nobody_has_in_hand_is_taken_over_in_fifteen_seconds_though_chat_is_full_and_hangs() {
    let full = Full::open().await;
    full.passes([Millis::seconds(1); 16]).await;
    assert_eq!(pages_taken_by(&full.base.beside(), full.clock.now()).await, full.lost);
}

#[tokio::test]
async fn a_page_whose_claim_failed_in_doubt_is_given_back_at_once_and_not_kept_with_what_is_renewed() {
    let full = Full::open().await;
    full.replica.store.doubts(&full.token);
    full.passes([Millis::seconds(14)]).await;
    assert_eq!(pages_taken_by(&full.base.beside(), full.clock.now()).await, full.lost);
}

#[tokio::test]
async fn a_process_that_stood_still_renews_its_leases_also_where_chat_is_full() {
    let full = Full::open().await;
    full.passes([Millis::seconds(14), Millis::seconds(2)]).await;
    assert!(pages_taken_by(&full.base.beside(), full.clock.now()).await.is_empty(), "its own work goes on");
}

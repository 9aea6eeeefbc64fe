//! What is slow holds up nothing but itself (durability rule 4).

use std::time::Duration;

use tokio::net::TcpListener;
use vigie::incident::decision::{Effect, Lane};
use vigie::incident::id::IncidentId;
use vigie::incident::time::Millis;
use vigie::incident::timeline::Card;
use vigie::store::{Place, Store, Target};

use crate::database::Database;
use crate::faults::until;
use crate::script::START;
use crate::store::{take_all, typed};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(20);
const LEASE: Millis = Millis::seconds(15);

#[tokio::test]
async fn e_mails_that_hang_hold_up_no_page_in_slack() {
    // Two more than the e-mails that are under way at once. The page in Slack is the last of one level.
    const E_MAILS: usize = 66;
    let contacts = |number| {
        format!(
            "  mail_{number}:\n    name: E-mail {number}\n    email: {number}@example.com\n    page_with: [email]\n"
        )
    };
    let contacts: String = (1..=E_MAILS).map(contacts).collect();
    let level: String = (1..=E_MAILS).map(|number| format!("mail_{number}, ")).collect();
    // Connections are made, and nobody ever says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = format!("port: {}\n", silent.local_addr().expect("it has one").port());
    let world = World::open_changed(&[
        ("port: ${SMTP_PORT}\n", &port),
        ("\ncontacts:\n", &format!("\ncontacts:\n{contacts}")),
        (
            "  standard:\n    levels:\n      - contacts: [oncall]\n",
            &format!("  standard:\n    levels:\n      - contacts: [{level}oncall]\n"),
        ),
    ])
    .await;
    let ack = world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", "start sev2 the shop is slow").await;
    assert_eq!(ack.failure, None);
    let is_paged = async || (!world.dms("U0ONCALL").is_empty()).then_some(());
    until("there is a page in Slack", PATIENCE, is_paged).await;
    let waiting = world.setup.vigie.store.waiting().await.expect("the store answers");
    let e_mails: Vec<_> = waiting.iter().filter(|(queue, ..)| queue.starts_with("page:email")).collect();
    assert!(e_mails.len() > 64, "all of them hang: {}", e_mails.len());
    let given_up = e_mails.iter().filter(|(_, _, _, fault)| fault.is_some()).count();
    assert_eq!(given_up, 0, "no e-mail had to fail before");
    drop(silent);
    world.close().await;
}

async fn open() -> (Store, Database) {
    let database = Database::fresh().await;
    (Store::open(&database.url).await.unwrap(), database)
}

async fn declares(store: &Store, name: &str) {
    store.receive(name, Target::default(), &typed(&format!("start sev2 {name}")), START).await.unwrap();
    take_all(store, START).await;
}

#[tokio::test]
async fn a_page_that_nobody_has_tried_goes_before_one_that_failed() {
    let (store, _folder) = open().await;
    declares(&store, "one").await;
    for page in store.claim(Lane::Page, START, LEASE, 50).await.unwrap() {
        store.postpone(&page, START, Place::Kept, "it hangs").await.unwrap();
    }
    declares(&store, "two").await;
    let next = store.claim(Lane::Page, START, LEASE, 1).await.unwrap().pop().expect("pages wait");
    assert_eq!((next.incident, next.attempts), (Some(IncidentId(2)), 1));
}

#[tokio::test]
async fn what_belongs_behind_a_full_bulkhead_is_left_and_everything_else_is_taken() {
    let (store, database) = open().await;
    declares(&store, "one").await;
    let full = [Lane::Page.bulkhead("page:email:page_1_1")];
    let rest = store.claim_beside(Lane::Page, START, LEASE, 50, &full).await.unwrap();
    let rest: Vec<&str> = rest.iter().map(|page| page.queue.as_str()).collect();
    assert!(!rest.is_empty() && rest.iter().all(|queue| queue.starts_with("page:slack:")), "{rest:?}");
    let mails = store.claim(Lane::Page, START, LEASE, 50).await.unwrap();
    assert!(!mails.is_empty() && mails.iter().all(|page| page.queue.starts_with("page:email:")), "{mails:?}");

    // Executions that go on and on leave plans their room.
    let run = "run_1_1".parse().unwrap();
    for effect in [Effect::Run { run }, Effect::Plan { run }] {
        let (queue, json) = (effect.queue(Some(IncidentId(1))), serde_json::to_string(&effect).unwrap());
        let row = format!(
            "INSERT INTO outbox (incident, lane, queue, effect, state, created_at, due_at, attempts) \
             VALUES (1, 'action', '{queue}', '{json}', 'waiting', 0, 0, 0)"
        );
        database.does(row.leak()).await;
    }
    let of_runs = Effect::Run { run }.queue(None);
    let full = [Lane::Action.bulkhead(&of_runs)];
    let taken = store.claim_beside(Lane::Action, START, LEASE, 50, &full).await.unwrap();
    let taken: Vec<&Effect> = taken.iter().map(|one| &one.effect).collect();
    assert_eq!(taken, [&Effect::Plan { run }]);
}

#[tokio::test]
async fn a_destination_that_hangs_leaves_the_others_their_room() {
    let (store, database) = open().await;
    let deliver = |destination: &str| Effect::Deliver {
        update: "upd_1_1".parse().unwrap(),
        destination: destination.to_owned(),
        customer: true,
        only: Default::default(),
    };
    let (webhook, page) = (deliver("customers/webhook"), deliver("customers/status-page"));
    for effect in [&webhook, &page] {
        let (queue, json) = (effect.queue(None), serde_json::to_string(effect).unwrap());
        let row = format!(
            "INSERT INTO outbox (lane, queue, effect, state, created_at, due_at, attempts) \
             VALUES ('comms', '{queue}', '{json}', 'waiting', 0, 0, 0)"
        );
        database.does(row.leak()).await;
    }
    let queue = webhook.queue(None);
    let taken = store.claim_beside(Lane::Comms, START, LEASE, 50, &[Lane::Comms.bulkhead(&queue)]).await.unwrap();
    let taken: Vec<&Effect> = taken.iter().map(|one| &one.effect).collect();
    assert_eq!(taken, [&page]);
}

#[tokio::test]
async fn what_keeps_its_place_keeps_it_also_when_a_newer_copy_of_it_came_meanwhile() {
    let (store, _folder) = open().await;
    declares(&store, "one").await;
    let later = START + Millis::seconds(50);
    let all = store.claim(Lane::Chat, START, LEASE, 50).await.unwrap();
    let channel = all.into_iter().find(|one| one.effect == Effect::OpenChannel).expect("the channel is due");
    let card = store.done_and_next(&channel, vec![], START, LEASE).await.unwrap().expect("the card is next");
    assert_eq!(card.effect, Effect::ShowCard { card: Card::Incident });
    assert!(card.has_others_behind);
    store.receive("ack", Target::incident(IncidentId(1)), &typed("ack"), START).await.unwrap();
    take_all(&store, START).await;
    store.postpone(&card, later, Place::Kept, "Slack's limit").await.unwrap();
    let of_queue = async |now| {
        let claimed = store.claim(Lane::Chat, now, LEASE, 50).await.unwrap();
        claimed.into_iter().find(|one| one.queue == card.queue)
    };
    assert!(of_queue(START).await.is_none(), "people are not to read what comes after the card before it");
    let first = of_queue(later).await.expect("its time has come");
    assert_eq!((&first.effect, first.attempts), (&card.effect, 2));
    let mut next = Some(first);
    let mut cards = 0;
    while let Some(one) = next {
        cards += u32::from(one.effect == card.effect);
        store.done(&one, vec![], later).await.unwrap();
        next = of_queue(later).await;
    }
    assert_eq!(cards, 1, "the copy says the same");
}

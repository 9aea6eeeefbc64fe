//! D3: whoever writes is stopped before a restore and runs again afterwards, also when the restore fails (K7).

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::restore::{ORDERS, backed_up, counting, goes_on};
use super::shop::Shop;
use crate::faults::{pass, until};
use crate::french::is_french;
use crate::runbook::{Runbook, Sheet, TOKEN};
use crate::world::shown;

const PATIENCE: Duration = Duration::from_secs(30);
const LATE: &str = "SELECT count(*) FROM orders WHERE id > 1000";

/// A worker that writes orders for as long as its switch says so, and lets go of the database when it is switched off.
struct Worker {
    switch: PathBuf,
    running: tokio::task::JoinHandle<()>,
}

impl Worker {
    fn begins(shop: &Shop) -> Self {
        let switch = shop.folder().join("worker");
        std::fs::write(&switch, "on").expect("it can be written");
        let (at, address) = (switch.clone(), shop.address_of(&shop.name));
        let running = tokio::spawn(async move {
            let mut conn: Option<PgConnection> = None;
            loop {
                let is_on = std::fs::read_to_string(&at).is_ok_and(|state| state.trim() == "on");
                match (&mut conn, is_on) {
                    (Some(open), true) => {
                        const WRITE: &str = "INSERT INTO orders SELECT greatest(max(id), 1000) + 1, 1 FROM orders";
                        if sqlx::query(WRITE).persistent(false).execute(open).await.is_err() {
                            conn = None;
                        }
                    }
                    (None, true) => conn = PgConnection::connect(address.as_str()).await.ok(),
                    (Some(_), false) => {
                        let open = conn.take().expect("it is open");
                        open.close().await.ok();
                    }
                    (None, false) => {}
                }
                pass(Duration::from_millis(20)).await;
            }
        });
        Self { switch, running }
    }

    fn is_on(&self) -> bool {
        std::fs::read_to_string(&self.switch).is_ok_and(|state| state.trim() == "on")
    }

    async fn has_written(&self, shop: &Shop) {
        until("the worker has written", PATIENCE, async || (shop.count(LATE).await > 0).then_some(())).await;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The runbook of a restore around which the worker stands still.
async fn runbook(locale: &str, shop: &Shop, worker: &Worker) -> Runbook {
    let script = shop.folder().join("switch");
    std::fs::write(&script, format!("#!/bin/sh\necho $1 >{}\n", worker.switch.display())).expect("it can be written");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
    let script = script.display();
    let steps = format!(
        "- command: {{ target: worker, risk: reversible, to: stopped, argv: [\"{script}\", off] }}
- within: 20s
  postgres: {{ database: shop, restore: {{ into: in_place, strangers: allow }} }}
- always: true
  command: {{ target: worker, risk: reversible, again: true, to: running, argv: [\"{script}\", on] }}
"
    );
    let sections = format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &counting(shop)));
    let runbook = Runbook::open_with(
        locale,
        &Sheet { sections: &sections, risk: "destructive", steps: &steps, ..Sheet::default() },
    )
    .await;
    shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
    runbook
}

async fn restored_from_slack(locale: &str, is_damaged: bool) {
    let shop = Shop::open().await;
    let backup = backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let worker = Worker::begins(&shop);
    worker.has_written(&shop).await;
    if is_damaged {
        // Somebody else's archive without an end: that shows when it is unpacked.
        std::fs::remove_file(backup.with_extension("dump.json")).expect("there is a page");
        let bytes = std::fs::read(&backup).expect("it can be read");
        std::fs::write(&backup, &bytes[..bytes.len() - 100]).expect("it can be written");
    }
    let runbook = runbook(locale, &shop, &worker).await;
    let (channel, card) = runbook.planned().await;
    let text = shown(&card);
    assert!(text.contains("switch on"), "{text}");
    let done = runbook.approved_by_two(&channel, &card).await;
    let outcome = runbook.outcome().await;
    assert!(worker.is_on(), "the worker was started again: {done}");
    if is_damaged {
        assert!(matches!(outcome, Outcome::Failed { step: Some(1), .. }), "{outcome:?}");
        assert!(
            shop.count("SELECT count(*) FROM orders WHERE id BETWEEN 101 AND 155").await == 55,
            "nothing was changed"
        );
    } else {
        assert_eq!(outcome, Outcome::Done, "{done}");
        assert_eq!(shop.count("SELECT count(*) FROM orders WHERE id <= 1000").await, 100);
    }
    let before = shop.count(ORDERS).await;
    until("it writes again", PATIENCE, async || (shop.count(ORDERS).await > before).then_some(())).await;
    if locale == "fr" {
        is_french(&runbook.world);
    }
    runbook.close_without(&["Ana", "Cléo"]).await;
}

#[tokio::test]
async fn writers_are_stopped_before_a_restore_and_started_after_it() {
    restored_from_slack("fr", false).await;
}

#[tokio::test]
async fn writers_are_started_again_when_the_restore_fails() {
    restored_from_slack("en", true).await;
}

/// P7, D3 · the way back replaces data, too.
#[tokio::test]
async fn writers_are_stopped_for_the_way_back_of_a_restore_as_well() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let worker = Worker::begins(&shop);
    worker.has_written(&shop).await;
    let runbook = runbook("en", &shop, &worker).await;
    let (channel, card) = runbook.planned().await;
    let done = runbook.approved_by_two(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
    let came_since = "SELECT count(*) FROM orders WHERE id BETWEEN 101 AND 155";
    assert_eq!(shop.count(came_since).await, 0);

    runbook.world.types("U0ONCALL", &channel, "undo run_1_1").await;
    let card = runbook.world.message(&channel, "approve run_1_2");
    let text = shown(&card);
    assert!(text.contains("switch off") && text.contains("switch on"), "{text}");
    assert!(!text.contains("no step before this one stops"), "{text}");
    let done = runbook.approved_by_two(&channel, &card).await;
    let back = runbook.world.incident(1).await.runs.into_values().nth(1).expect("there is a second run");
    assert_eq!(back.phase, Phase::Finished { outcome: Outcome::Done }, "{done}");
    assert_eq!(shop.count(came_since).await, 55);
    assert!(worker.is_on(), "the worker was started again: {done}");
    runbook.close_without(&["Ana", "Cléo"]).await;
}

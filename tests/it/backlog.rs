//! What waits in a storm is looked through in its order, however little the database expected.

use vigie::incident::decision::{Effect, Lane};
use vigie::incident::id::IncidentId;
use vigie::incident::time::Millis;
use vigie::incident::timeline::Card;
use vigie::store::Store;

use crate::database::Database;
use crate::script::START;

const INCIDENTS: u32 = 20_000;

/// PostgreSQL counts a table about once a minute at most, and until then takes one for empty that was empty when it was
/// counted. It breaks off what takes longer than ten seconds, and takes a minute and more to look for each row through all.
#[tokio::test]
async fn a_storm_after_a_quiet_time_is_carried_out_at_once_though_the_server_expects_nothing() {
    let database = Database::fresh().await;
    let store = Store::open(&database.url).await.unwrap();
    let effect = serde_json::to_string(&Effect::ShowCard { card: Card::Incident }).unwrap();
    let fill = |rows: u32| {
        format!(
            "INSERT INTO outbox (incident, lane, queue, effect, state, created_at, due_at, attempts) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             SELECT i, 'chat', 'inc:' || i, '{effect}', 'waiting', {START}, {START}, 0 FROM n",
            START = START.0
        )
    };
    for statement in [fill(500), "DELETE FROM outbox".to_owned(), "ANALYZE".to_owned()] {
        database.does(statement.leak()).await;
    }
    // What it plans now, it keeps.
    for _ in 0..10 {
        assert_eq!(store.next_due(Lane::Chat).await.unwrap(), None);
        assert!(store.claim(Lane::Chat, START, Millis::minutes(1), 32).await.unwrap().is_empty());
    }
    database.does(fill(INCIDENTS).leak()).await;
    assert_eq!(store.next_due(Lane::Chat).await.unwrap(), Some(START));
    let claimed = store.claim(Lane::Chat, START, Millis::minutes(1), 32).await.unwrap();
    let incidents: Vec<Option<IncidentId>> = claimed.iter().map(|one| one.incident).collect();
    assert_eq!(incidents, (1..=32).map(|number| Some(IncidentId(number))).collect::<Vec<_>>());
    assert!(!store.is_at_rest(START).await.unwrap());
}

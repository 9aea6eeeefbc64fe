//! H3: the first row of a query against what it should be, looked at by a role that could do more.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _};
use vigie::incident::approval::{CheckResult, Verdict};

use super::shop::{PASSWORD, Shop};
use crate::faults::until;
use crate::french::is_french;
use crate::room::Room;
use crate::runbook::{Runbook, Sheet, TOKEN};
use crate::world::shown;

const STEP: &str = "command: { target: t, to: done, argv: [\"true\"] }";

fn check(settings: &str) -> String {
    format!("within: 3s\n      sql: {{ database: shop, {settings} }}")
}

async fn looks(shop: &Shop, settings: &str) -> CheckResult {
    shop.room(STEP, &check(settings), "").looks().await
}

fn said(result: &CheckResult) -> (Verdict, String) {
    (result.verdict, result.value.to_string())
}

#[tokio::test]
async fn the_columns_of_a_row_are_held_to_what_they_should_be() {
    let shop = Shop::open().await;
    let query = "query: \"SELECT count(*) AS orders, min(total) AS cheapest, max(id) > 5 AS many FROM orders\"";
    let fields = "fields: [{ field: /cheapest, at_least: 1 }, { field: /many, equals: true }]";
    let seen = looks(&shop, &format!("{query}, limits: {{ fail_below: 1 }}, {fields}")).await;
    assert_eq!(seen.verdict, Verdict::Pass, "{seen:?}");
    assert_eq!(seen.figure.as_ref().map(|figure| figure.number), Some(100.0));
    for part in ["orders", "100", "cheapest", "10", "many", "true"] {
        assert!(seen.value.to_string().contains(part), "{part} is not in {}", seen.value);
    }

    shop.sql("DELETE FROM orders WHERE id < 99; UPDATE orders SET total = 0").await;
    let seen = looks(&shop, &format!("{query}, limits: {{ fail_below: 1 }}, {fields}")).await;
    assert_eq!(seen.verdict, Verdict::Fail);
    assert!(seen.value.to_string().contains("/cheapest"), "{}", seen.value);
    let seen = looks(&shop, &format!("{query}, limits: {{ fail_below: 3 }}")).await;
    assert_eq!((seen.verdict, seen.limit.is_some()), (Verdict::Fail, true));
}

#[tokio::test]
async fn an_expected_value_is_found_whether_it_is_a_number_or_its_text() {
    let shop = Shop::open().await;
    let migration = "query: \"SELECT max(version) FROM migrations -- the newest\", equals";
    assert_eq!(said(&looks(&shop, &format!("{migration}: 42")).await), (Verdict::Pass, "42".to_owned()));
    assert_eq!(looks(&shop, &format!("{migration}: \"42\"")).await.verdict, Verdict::Pass);
    let other = looks(&shop, &format!("{migration}: 43")).await;
    assert_eq!(said(&other), (Verdict::Fail, "42".to_owned()));
    assert_eq!(other.limit.map(|limit| limit.to_string()).as_deref(), Some("43"));
    let none = "query: SELECT id FROM orders WHERE id = 0";
    for (must_be, verdict) in [
        ("equals: 1", Verdict::Fail),
        ("fields: [{ field: /id, at_least: 1 }]", Verdict::Fail),
        ("limits: { fail_above: 1 }", Verdict::Warn),
    ] {
        let seen = looks(&shop, &format!("{none}, {must_be}")).await;
        assert_eq!(said(&seen), (verdict, "look.no_row".to_owned()), "{must_be}");
    }
    let text = looks(&shop, "query: SELECT name FROM users WHERE id = 3, equals: Cléo").await;
    assert_eq!(said(&text), (Verdict::Pass, "Cléo".to_owned()));
}

/// The role owns everything here; it is the server that refuses.
#[tokio::test]
async fn a_query_that_would_change_something_is_refused_by_the_server() {
    let shop = Shop::open().await;
    shop.sql(
        "CREATE SEQUENCE numbers;
         CREATE FUNCTION emptied() RETURNS integer LANGUAGE plpgsql AS
         $$ BEGIN DELETE FROM orders; RETURN 1; END $$;
         CREATE FUNCTION freed() RETURNS text LANGUAGE sql AS
         $$ SELECT set_config('transaction_read_only', 'off', false) $$",
    )
    .await;
    for (query, words) in [
        ("SELECT nextval('numbers')", "postgres.would_change"),
        ("SELECT emptied()", "postgres.would_change"),
        ("SELECT freed(), emptied()", "read-write"),
        ("WITH gone AS (DELETE FROM orders RETURNING 1) SELECT count(*) FROM gone", "data-modifying"),
        ("SELECT 1) AS t LIMIT 1) AS r; DELETE FROM orders; SELECT (SELECT 1", "postgres.said"),
        ("DELETE FROM orders", "syntax"),
    ] {
        let (verdict, value) = said(&looks(&shop, &format!("query: \"{query}\", equals: 1")).await);
        assert_eq!(verdict, Verdict::Fail, "{query}: {value}");
        assert!(value.contains(words), "{query}: {value}");
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders").await, 100);
}

#[tokio::test]
async fn a_slow_query_is_ended_by_the_server_and_said_to_hang() {
    let shop = Shop::open().await;
    let began = std::time::Instant::now();
    let query = "query: SELECT pg_sleep(60), equals: 1";
    let room = shop.room(STEP, &format!("within: 500ms\n      sql: {{ database: shop, {query} }}"), "");
    assert_eq!(room.looks().await.verdict, Verdict::Hung);
    assert!(began.elapsed() < Duration::from_secs(5));
    // A lock of somebody else's is not waited for either.
    let mut other = shop.connection().await;
    let lock = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut other).await.expect("the lock is free");
    let query = "query: SELECT count(*) FROM orders, equals: 1";
    let room = shop.room(STEP, &format!("within: 500ms\n      sql: {{ database: shop, {query} }}"), "");
    assert_eq!(room.looks().await.verdict, Verdict::Hung);
    other.close().await.expect("the connection closes");
    let left =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vigie' AND datname = current_database()";
    let gone = async || (shop.count(left).await == 0).then_some(());
    until("no look goes on at the server", Duration::from_secs(60), gone).await;
}

#[tokio::test]
async fn why_a_database_cannot_be_looked_into_is_said_and_its_password_never() {
    let shop = Shop::open().await;
    shop.admin(&format!("REVOKE ALL ON SCHEMA public FROM {}", shop.name)).await;
    let good = shop.described(PASSWORD, "");
    let query = "sql: { database: shop, query: SELECT 1 AS one, equals: 1 }";
    let elsewhere = "sql: { database: shop, query: SELECT count(*) FROM pg_authid, equals: 1 }";
    let cases = [
        (good.replace(PASSWORD, "wrong-4b1d-77aa"), query, "postgres.wrong_password"),
        (good.replace(&format!("name: {}", shop.name), "name: nowhere"), query, "postgres.no_database"),
        (good.replace(&format!("user: {}", shop.name), "user: keyed"), query, "postgres.wrong_password"),
        (good.replace("127.0.0.1", "no-such-host.invalid"), query, "reason.no_such_host"),
        (good.replace(&Shop::port().to_string(), "1"), query, "reason.refused"),
        (good.replace(" }", ", tls: require }"), query, "TLS"),
        (good.clone(), elsewhere, "permission denied"),
        (good.clone(), "sql: { database: shop, query: SELECT 1 FROM gone, equals: 1 }", "does not exist"),
    ];
    for (database, check, words) in cases {
        let room = Room::with_sections(&format!("databases: {{ shop: {database} }}\n"), STEP, check);
        let seen = room.looks().await;
        let (verdict, value) = said(&seen);
        assert_eq!(verdict, Verdict::Fail, "{words}: {value}");
        assert!(value.contains(words), "{words}: {value}");
        for secret in [PASSWORD, "wrong-4b1d-77aa"] {
            assert!(!format!("{seen:?}").contains(secret), "{seen:?}");
        }
    }
}

#[test]
fn what_cannot_work_is_found_when_the_configuration_is_loaded() {
    let yaml = "services: { shop: [{ key: a, sql: { database: shpo, query: \"SELECT 1;\" } }] }
databases: { shop: { host: db.example.com, socket: run, name: shop, user: \"\" } }";
    let config: vigie::actions::ActionsConfig = serde_saphyr::from_str(yaml).expect("it can be read");
    let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
    for wanted in [
        "services.shop[0].sql.database: there is no database “shpo” under databases; there are shop",
        "services.shop[0].sql.query: this is one statement",
        "services.shop[0].sql: say what the row must be",
        "databases.shop: say how it is reached in exactly one way",
        "databases.shop.user: this is no name",
        "databases.shop.socket: write the whole path",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(wanted)), "{wanted} is not in {faults:#?}");
    }
    assert_eq!(faults.len(), 6, "{faults:#?}");
}

/// H3, H7 · side by side with the others, in both languages; one that hangs holds nobody up.
#[tokio::test]
async fn a_diagnostic_shows_what_databases_say_beside_the_rest() {
    for (locale, orders) in [("en", "orders 100, newest 100 and first 1"), ("fr", "orders 100, newest 100 et first 1")]
    {
        let shop = Shop::open().await;
        let query = "SELECT count(*) AS orders, max(id) AS newest, min(id) AS first FROM orders";
        let runbook = Runbook::open_with(
            locale,
            &Sheet {
                sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, "")),
                checks: &format!(
                    "- {{ key: orders, title: Orders, sql: {{ database: shop, query: \"{query}\", limits: {{ warn_below: 1 }} }} }}
- {{ key: newest, title: Newest, sql: {{ database: shop, query: SELECT max(version) FROM migrations, equals: 43 }} }}
- {{ key: slow, title: Slow, within: 1s, sql: {{ database: shop, query: SELECT pg_sleep(60), equals: 1 }} }}"
                ),
                steps: &format!("- {STEP}\n"),
                risk: "destructive",
                ..Sheet::default()
            },
        )
        .await;
        shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
        let world = &runbook.world;
        world.types("U0ONCALL", "C0GENERAL", "start sev2 app 500").await;
        let channel = world.channel(1).await;
        let began = std::time::Instant::now();
        world.types("U0ONCALL", &channel, "diag app").await;
        assert!(began.elapsed() < Duration::from_secs(10));
        let card = shown(&world.message(&channel, "Newest")).replace('\u{a0}', " ");
        assert!(card.contains(orders), "{card}");
        let place = |word: &str| card.find(word).unwrap_or_else(|| panic!("no {word} in {card}"));
        assert!(place("*Slow") < place("*Orders") && place("*Newest") < place("*Orders"), "the worst first: {card}");
        assert!(card.contains("43"), "{card}");
        if locale == "fr" {
            is_french(world);
        }
        runbook.close_without(&[]).await;
    }
}

//! D2 · what a restore in place does not replace: what was made since, what is of another schema or of nobody knows which
//! database, and who may not be cut off.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use vigie::incident::approval::ActionPlan;

use super::restore::{ORDERS, backed_up, counting, goes_on, lines, room, room_with};
use super::shop::Shop;
use crate::runbook::{Runbook, Sheet, TOKEN};
use crate::world::shown;

const IN_PLACE: &str = "restore: { into: in_place }";
const CHECK: &str = "command: { argv: [\"true\"] }";

/// The names of a line of a plan, if it has the line.
fn named(plan: &ActionPlan, key: &str) -> Option<serde_json::Value> {
    plan.steps[0].diff.iter().find(|line| line.key == key).map(|line| line.vars["names"].clone())
}

/// A connection of the server's master, whom the shop's role may not cut off.
async fn master(shop: &Shop, statements: &str) -> PgConnection {
    let mut conn = PgConnection::connect(shop.address_of(&shop.name).as_str()).await.expect("the database answers");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut conn).await.expect("it is done");
    conn
}

#[tokio::test]
async fn what_was_made_since_the_backup_is_named_and_stays() {
    for format in ["custom", "plain"] {
        let shop = Shop::open().await;
        shop.sql(
            "CREATE TABLE visits (day date) PARTITION BY RANGE (day);
             CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        )
        .await;
        backed_up(&shop, format).await;
        goes_on(&shop).await;
        shop.sql(
            "CREATE TABLE visits_2 PARTITION OF visits FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
             CREATE TABLE api_tokens (id integer); CREATE VIEW gifts AS SELECT * FROM coupons",
        )
        .await;
        let room = room(&shop, IN_PLACE);
        let plan = room.planned().await;
        assert_eq!(named(&plan, "postgres.stay"), Some(json!(["api_tokens", "coupons", "gifts"])), "{}", lines(&plan));
        assert_eq!(named(&plan, "postgres.gone_with"), Some(json!(["visits_2"])));
        let ran = room.run(&plan).await;
        assert_eq!(ran.line(), "done", "{}", ran.everything());
        let said = ran.everything();
        assert!(
            said.contains("postgres.restored") && said.contains("\"stay\": Array [String(\"api_tokens\")"),
            "{said}"
        );
        assert_eq!(shop.count("SELECT count(*) FROM gifts").await, 1);
        assert_eq!(shop.count("SELECT count(*) FROM pg_class WHERE relname LIKE 'visits__'").await, 1, "it went along");
    }
}

#[tokio::test]
async fn what_holds_on_to_an_old_table_is_said_while_planning_with_the_cure() {
    let shop = Shop::open().await;
    shop.sql(
        "CREATE TYPE state AS ENUM ('open', 'paid'); CREATE VIEW sums AS SELECT sum(total) FROM orders;
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    )
    .await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let room = room(&shop, IN_PLACE);
    let cases = [
        (
            "ALTER TABLE coupons ADD COLUMN buyer integer CONSTRAINT of_buyer REFERENCES users",
            &["coupons", "users", "of_buyer"][..],
            "ALTER TABLE coupons DROP CONSTRAINT of_buyer",
        ),
        ("CREATE VIEW latest AS SELECT max(id) FROM orders", &["latest", "orders"], "DROP VIEW latest"),
        ("CREATE TABLE marks (state state[])", &["marks", "state"], "DROP TABLE marks"),
        (
            "CREATE TRIGGER touching BEFORE INSERT ON coupons FOR EACH ROW EXECUTE FUNCTION touch()",
            &["coupons", "touch"],
            "DROP TRIGGER touching ON coupons",
        ),
        (
            "ALTER TABLE users ADD COLUMN liked integer CONSTRAINT of_order REFERENCES orders",
            &["users", "orders", "of_order"],
            "ALTER TABLE users DROP CONSTRAINT of_order",
        ),
    ];
    for (tied, names, cure) in cases {
        shop.sql(tied).await;
        let refusal = room.refusal().await;
        assert!(refusal.contains("postgres.held"), "{tied}: {refusal}");
        for name in names {
            assert!(refusal.contains(name), "{name} is not in {refusal}");
        }
        shop.sql(cure).await;
    }
    let ran = room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!((shop.count(ORDERS).await, shop.count("SELECT count(*) FROM coupons").await), (100, 1));
}

/// D2 · in Slack, in both languages: the tables by name, and what to do.
#[tokio::test]
async fn a_restore_that_the_server_would_refuse_is_not_offered_in_slack() {
    for (locale, says) in [("en", "take these away first"), ("fr", "défaites d’abord ces liens")] {
        let shop = Shop::open().await;
        backed_up(&shop, "custom").await;
        goes_on(&shop).await;
        shop.sql("ALTER TABLE coupons ADD COLUMN buyer integer CONSTRAINT of_buyer REFERENCES users").await;
        let sheet = Sheet {
            sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &counting(&shop))),
            steps: "- postgres: { database: shop, restore: { into: in_place } }\n",
            risk: "destructive",
            ..Sheet::default()
        };
        let runbook = Runbook::open_with(locale, &sheet).await;
        shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
        runbook.world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout 500").await;
        let channel = runbook.world.channel(1).await;
        runbook.world.types("U0ONCALL", &channel, "run go").await;
        let text = shown(&runbook.world.message(&channel, "of_buyer"));
        assert!(text.contains(says) && text.contains("ALTER TABLE coupons DROP CONSTRAINT of_buyer"), "{text}");
        assert_eq!(shop.count(ORDERS).await, 155);
        runbook.close_without(&["Ana", "Cléo"]).await;
    }
}

/// Some hosts keep tables of their own in the same database, which nobody else may read or replace.
#[tokio::test]
async fn only_the_configured_schemas_are_backed_up_and_replaced() {
    let shop = Shop::open().await;
    shop.admin_in(
        &shop.name,
        &format!(
            "CREATE SCHEMA auth; CREATE TABLE auth.accounts (id integer PRIMARY KEY); INSERT INTO auth.accounts VALUES (1);
             GRANT USAGE ON SCHEMA auth TO {0}; GRANT REFERENCES (id) ON auth.accounts TO {0}",
            shop.name
        ),
    )
    .await;
    shop.sql(
        "CREATE SCHEMA sales; CREATE TABLE sales.refunds (id integer); INSERT INTO sales.refunds VALUES (1), (2);
         ALTER TABLE users ADD COLUMN account integer REFERENCES auth.accounts DEFAULT 1",
    )
    .await;
    let line = room(&shop, "backup: {}").goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("permission denied"), "{line}");

    let chosen = ", schemas: [public, sales]";
    let room_of = |what: &str| room_with(&shop, what, chosen);
    let plan = room_of("backup: {}").planned().await;
    assert!(lines(&plan).contains("postgres.only_schemas"), "{}", lines(&plan));
    assert_eq!(room_of("backup: {}").run(&plan).await.line(), "done");
    goes_on(&shop).await;
    shop.sql("DELETE FROM sales.refunds; CREATE TABLE sales.gifts (id integer)").await;
    let room = room_of(IN_PLACE);
    let plan = room.planned().await;
    assert_eq!(named(&plan, "postgres.stay"), Some(json!(["coupons", "sales.gifts"])), "{}", lines(&plan));
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!((shop.count(ORDERS).await, shop.count("SELECT count(*) FROM sales.refunds").await), (100, 2));
    assert_eq!(shop.count("SELECT count(*) FROM coupons").await, 1);

    // A schema that somebody dropped comes back with what was in it.
    shop.sql("DROP SCHEMA sales CASCADE").await;
    let ran = room_of("restore: { into: in_place, from: newest }").goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());

    let step = "postgres: { database: shop, backup: { format: plain } }";
    let config = format!(
        "databases: {{ shop: {} }}\nactions:\n  go:\n    title: Go\n    class: planned\n    risk: read_only\n    \
         expected: 1m\n    steps: [{{ {step} }}]\n",
        shop.described("keyed", &format!("{}{chosen}", counting(&shop)))
    );
    let config: vigie::actions::ActionsConfig = serde_saphyr::from_str(&config).expect("it can be read");
    let faults = config.validate();
    assert!(faults.iter().any(|fault| fault.path.ends_with("backup.format")), "{faults:?}");
}

/// A platform's own role has put them there, and nobody else may touch them.
#[tokio::test]
async fn extensions_and_default_rights_of_others_are_named_and_left_as_they_are() {
    let shop = Shop::open().await;
    let others = "CREATE EXTENSION pg_trgm;
        ALTER DEFAULT PRIVILEGES FOR ROLE vigie IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC";
    shop.admin_in(&shop.name, others).await;
    shop.sql("CREATE INDEX alike ON users USING gin (name gin_trgm_ops)").await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let room_here = room(&shop, IN_PLACE);
    let plan = room_here.planned().await;
    let left = named(&plan, "postgres.left_out").map(|names| names.to_string()).unwrap_or_default();
    for name in ["EXTENSION pg_trgm", "DEFAULT PRIVILEGES FOR TABLES vigie"] {
        assert!(left.contains(name), "{name} is not in {left}");
    }
    let ran = room_here.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count(ORDERS).await, 100);
    let there = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'";
    let rights = "SELECT count(*) FROM pg_default_acl";
    let index = "SELECT count(*) FROM pg_class WHERE relname = 'alike'";
    for still in [there, rights, index] {
        assert_eq!(shop.count(still).await, 1, "{still}");
    }
    // A fresh database has nothing of others yet.
    shop.admin(&format!("ALTER ROLE {} CREATEDB", shop.name)).await;
    let ran = room(&shop, "restore: { into: fresh }").goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    let fresh = shop.databases().await.pop().expect("there is one beside it");
    assert_eq!(shop.count_in(&fresh, there).await, 1);
}

#[tokio::test]
async fn who_may_not_be_cut_off_is_named_and_hinders_only_by_holding_a_table() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let idle = master(&shop, "SET application_name = 'platform'").await;
    let end = "restore: { into: in_place, others: end }";
    let holding =
        master(&shop, "SET application_name = 'platform-report'; BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE").await;
    let step = format!("within: 8s\npostgres: {{ database: shop, {end} }}");
    let room_here = shop.room(&step, CHECK, &counting(&shop));
    let plan = room_here.planned().await;
    let shown = lines(&plan);
    assert!(shown.contains("postgres.others_stay") && shown.contains("platform-report"), "{shown}");
    assert!(!shown.contains("postgres.others_are_ended"), "{shown}");
    let line = room_here.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.tables_held"), "{line}");
    assert!(line.contains("platform-report"), "{line}");
    assert_eq!((shop.count(ORDERS).await, shop.count("SELECT count(*) FROM coupons").await), (155, 1));

    holding.close().await.expect("it closes");
    let ran = room(&shop, end).goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count(ORDERS).await, 100);
    let mut idle = idle;
    sqlx::raw_sql("SELECT 1").execute(&mut idle).await.expect("it was left alone");
    idle.close().await.expect("it closes");
}

#[tokio::test]
async fn a_backup_of_nobody_knows_what_is_taken_only_where_that_is_allowed() {
    let shop = Shop::open().await;
    let backup = backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    std::fs::remove_file(backup.with_extension("dump.json")).expect("there is a page");
    let name = backup.file_name().and_then(|name| name.to_str()).expect("a name");
    let room_here = room(&shop, IN_PLACE);
    assert_eq!(room_here.choices().await, Vec::<String>::new());
    let refusal = room_here.refusal().await;
    assert!(refusal.contains("postgres.stranger") && refusal.contains(name), "{refusal}");
    let refusal = room(&shop, &format!("restore: {{ into: in_place, from: {name} }}")).refusal().await;
    assert!(refusal.contains("postgres.stranger"), "{refusal}");
    assert_eq!(shop.count(ORDERS).await, 155);

    let allowed = room(&shop, "restore: { into: in_place, strangers: allow }");
    assert_eq!(allowed.choices().await, [name]);
    let plan = allowed.planned().await;
    let [server, first, ..] = plan.steps[0].diff.as_slice() else { panic!("{plan:#?}") };
    assert_eq!(server.key, "postgres.on_server");
    assert_eq!((first.key.as_str(), &first.vars["origin"]), ("postgres.of_nobody", &json!(shop.name)));
    assert_eq!(named(&plan, "postgres.stay"), Some(json!(["coupons"])), "the archive says what it holds");
    // Whoever takes the permission back takes it back for what was approved, too.
    assert!(room_here.run(&plan).await.line().starts_with("stale: step.reconfigured"));
    assert_eq!(allowed.run(&plan).await.line(), "done");
    assert_eq!(shop.count(ORDERS).await, 100);
}

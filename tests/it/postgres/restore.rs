//! D2, D5: a backup in the place of a database or beside it, and what was there held against what is there.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use vigie::actions::ActionsConfig;
use vigie::incident::approval::{ActionPlan, Outcome, Risk};

use super::backup::{tool, tools};
use super::shop::{PASSWORD, Shop};
use crate::faults::until;
use crate::french::is_french;
use crate::room::{Ran, Room};
use crate::runbook::{Runbook, Sheet, TOKEN};
use crate::world::shown;

const CHECK: &str = "command: { argv: [\"true\"] }";
pub const ORDERS: &str = "SELECT count(*) FROM orders";

pub fn counting(shop: &Shop) -> String {
    format!(
        ", backups: \"{}\", counts: [orders, users], last_migration: SELECT max(version) FROM migrations",
        shop.backups().display()
    )
}

pub fn room(shop: &Shop, what: &str) -> Room {
    room_with(shop, what, "")
}

pub fn room_with(shop: &Shop, what: &str, more: &str) -> Room {
    let step = format!("within: 20s\npostgres: {{ database: shop, {what} }}");
    shop.room(&step, CHECK, &format!("{}{more}", counting(shop)))
}

/// The names of what is in the folder of backups, without the pages beside.
pub fn kept(shop: &Shop) -> Vec<String> {
    let entries = std::fs::read_dir(shop.backups()).expect("the folder can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".json")).collect();
    names.sort();
    names
}

/// A backup of the 100 orders, whose step is not one of a later restore.
pub async fn backed_up(shop: &Shop, format: &str) -> PathBuf {
    let ran = room(shop, &format!("backup: {{ format: {format} }}")).goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    let [name] = kept(shop).try_into().expect("there is one backup");
    shop.backups().join(name)
}

/// After the backup came orders, a table, and a migration.
pub async fn goes_on(shop: &Shop) {
    shop.sql(
        "INSERT INTO orders SELECT n, 1 FROM generate_series(101, 155) AS n; UPDATE orders SET total = 0 WHERE id = 7;
         CREATE TABLE coupons (id integer); INSERT INTO coupons VALUES (1); INSERT INTO migrations VALUES (43);
         DELETE FROM users WHERE id = 2",
    )
    .await;
}

pub fn lines(plan: &ActionPlan) -> String {
    plan.steps[0].diff.iter().map(|line| format!("{line}\n")).collect()
}

fn says(ran: &Ran, parts: &[&str]) {
    let everything = ran.everything();
    for part in parts {
        assert!(everything.contains(part), "{part} is not in {everything}");
    }
}

#[tokio::test]
async fn a_restore_in_place_says_what_will_be_lost_and_keeps_a_copy_first() {
    for format in ["custom", "plain"] {
        let shop = Shop::open().await;
        shop.sql(&format!("COMMENT ON DATABASE {} IS 'of the shop'", shop.name)).await;
        let backup = backed_up(&shop, format).await;
        goes_on(&shop).await;
        let room = room(&shop, "restore: { into: in_place }");
        let plan = room.planned().await;
        let step = &plan.steps[0];
        assert_eq!((step.risk, step.title.key.as_str()), (Risk::Destructive, "postgres.title_restore"));
        assert_eq!(step.from.as_deref(), Some("orders 155, users 2"));
        assert_eq!(Some(step.to.as_str()), backup.file_name().and_then(|name| name.to_str()));
        let shown = lines(&plan);
        for part in
            ["postgres.lost", "age_ms", "\"fewer\":55", "\"then\":100", "postgres.copy_first", "\"there\":\"43\""]
        {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let compared = step.diff.iter().find(|line| line.key == "postgres.compared").expect("its limit is said");
        assert_eq!(compared.vars["tables"], serde_json::json!(["orders", "users"]));
        assert_eq!(step.needs.len(), 1);
        assert_eq!(shop.count(ORDERS).await, 155, "planning changes nothing");

        let ran = room.run(&plan).await;
        assert_eq!(ran.line(), "done", "{}", ran.everything());
        assert_eq!(shop.count(ORDERS).await, 100);
        assert_eq!(shop.count("SELECT total::bigint FROM orders WHERE id = 7").await, 70);
        assert_eq!(shop.count("SELECT count(*) FROM users").await, 3);
        assert_eq!(shop.count("SELECT count(*) FROM coupons").await, 1, "what the backup does not know stays");
        let analysed = "SELECT count(*) FROM pg_stats WHERE tablename = 'orders'";
        assert!(shop.count(analysed).await > 0, "the statistics are made anew");
        let comment = "SELECT count(*) FROM pg_database WHERE datname = current_database() AND \
            shobj_description(oid, 'pg_database') = 'of the shop [vigie run_7_1-step-1-0]'";
        assert_eq!(shop.count(comment).await, 1);
        let files = kept(&shop);
        let copy = files.iter().find(|name| name.contains("before-run_7_1-step-1")).expect("there is a copy");
        assert_eq!(files.len(), 2, "{files:?}");
        says(
            &ran,
            &[
                "\"before\": Number(155)",
                "\"after\": Number(100)",
                "\"then\": Number(100)",
                copy,
                "\"migration\": String(\"42\")",
            ],
        );

        // Taken up again it is found done, and nothing is done twice.
        shop.sql("INSERT INTO orders VALUES (900, 1)").await;
        shop.sql("DELETE FROM orders WHERE id = 900").await;
        let again = room.taken_up(&plan).await;
        assert_eq!(again.line(), "done");
        says(&again, &["\"before\": Number(155)", "\"after\": Number(100)", copy]);
        assert_eq!(kept(&shop).len(), 2);

        // The way back is the copy.
        let back = room.planned_back(&plan).await;
        assert_eq!(&back.steps[0].to, copy);

        // Whoever takes it up compares what is there, too.
        shop.sql("DELETE FROM orders WHERE id = 1").await;
        let line = room.taken_up(&plan).await.line();
        assert!(line.starts_with("failed: postgres.rows_differ") && line.contains(copy), "{line}");
        assert_eq!(kept(&shop).len(), 2);
    }
}

/// The copy of another restore would take away what came after that one.
#[tokio::test]
async fn only_the_latest_restore_is_taken_back_and_only_by_its_own_copy() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let room = room(&shop, "restore: { into: in_place }");
    let plan = room.planned().await;
    // It was not done; the one before it is of another run.
    let comment = |run: &str| format!("COMMENT ON DATABASE {} IS '[vigie {run}-step-1-0]'", shop.name);
    shop.sql(&comment("run_3_1")).await;
    let copy = backup_named(&shop, "before-run_3_1-step-1-0");
    let refusal = room.refusal_back(&plan).await;
    assert!(refusal.contains("postgres.not_latest"), "{refusal}");

    assert_eq!(room.run(&plan).await.line(), "done");
    let back = room.planned_back(&plan).await;
    assert!(back.steps[0].to.contains("before-run_7_1-step-1-0"), "{back:#?}");
    // Another run has put back another backup since.
    shop.sql(&comment("run_9_1")).await;
    let refusal = room.refusal_back(&plan).await;
    assert!(refusal.contains("postgres.not_latest"), "{refusal}");
    assert!(kept(&shop).contains(&copy), "it was there to be taken");
}

/// A copy as another run makes one.
fn backup_named(shop: &Shop, kind: &str) -> String {
    let [name] = kept(shop).try_into().expect("there is one backup");
    let (stem, _) = name.rsplit_once(".run_7_1").expect("it is of this run");
    let copy = format!("{stem}.{kind}.dump");
    std::fs::copy(shop.backups().join(&name), shop.backups().join(&copy)).expect("it can be copied");
    let page = std::fs::read_to_string(shop.backups().join(format!("{name}.json"))).expect("there is a page");
    let page = page.replace("run_7_1", "run_3_1").replace("\"is_safety_copy\": false", "\"is_safety_copy\": true");
    std::fs::write(shop.backups().join(format!("{copy}.json")), page).expect("it can be written");
    copy
}

/// Whoever did it was lost after the last row and before the name.
#[tokio::test]
async fn a_fresh_database_that_lacks_only_its_name_gets_it_and_half_of_one_is_named() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    shop.admin(&format!("ALTER ROLE {} CREATEDB", shop.name)).await;
    let draft: String = format!("vigie_run_7_1-step-1-0_{}", shop.name).chars().take(63).collect();
    shop.admin(&format!("CREATE DATABASE \"{draft}\" TEMPLATE {0} OWNER {0}", shop.name)).await;
    goes_on(&shop).await;
    let room_here = room(&shop, "restore: { into: fresh }");
    let plan = room_here.planned().await;
    let oid = format!("SELECT oid::bigint FROM pg_database WHERE datname = '{draft}'");
    let was = shop.count(&oid).await;
    shop.admin(&format!("COMMENT ON DATABASE \"{draft}\" IS '[vigie run_7_1-step-1-0]'")).await;
    assert_eq!(room_here.taken_up(&plan).await.line(), "done");
    let [_, fresh] = shop.databases().await.try_into().expect("the shop and the one beside it");
    assert_eq!(shop.count(&oid.replace(&draft, &fresh)).await, was, "it was not filled a second time");

    // Nobody knows what became of it: psql says that all is well.
    shop.admin(&format!("DROP DATABASE \"{fresh}\"")).await;
    let folder = tools(&shop, "exec /usr/bin/pg_dump \"$@\"");
    tool(&folder, "psql", "exit 0");
    let lying = room_with(&shop, "restore: { into: fresh }", &format!(", tools: \"{}\"", folder.display()));
    let line = lying.goes().await.line();
    assert!(line.starts_with("failed: ") && line.contains("postgres.no_fresh") && line.contains(&draft), "{line}");
    // What is left of it is in nobody's way.
    assert_eq!(room_here.taken_up(&plan).await.line(), "done");
    assert_eq!(shop.databases().await, [shop.name.clone(), fresh]);
}

/// What sorts by another locale finds nothing in an index, and lists names in another order.
#[tokio::test]
async fn a_fresh_database_sorts_like_the_old_one_whoever_provides_its_locale() {
    let shop = Shop::open().await;
    let name = &shop.name;
    shop.admin(&format!("DROP DATABASE {name}")).await;
    let french =
        "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'fr-u-kn' LC_COLLATE 'C' LC_CTYPE 'C'";
    shop.admin(&format!("CREATE DATABASE {name} OWNER {name} {french}")).await;
    shop.sql("CREATE TABLE orders AS SELECT 1 AS id; CREATE TABLE migrations (version integer)").await;
    shop.admin(&format!("ALTER ROLE {name} CREATEDB")).await;
    backed_up(&shop, "custom").await;
    assert_eq!(room(&shop, "restore: { into: fresh }").goes().await.line(), "done");
    let fresh = shop.databases().await.pop().expect("there is one beside it");
    assert_eq!(shop.count_in(&fresh, "SELECT count(*) FROM orders WHERE 'item9' < 'item10'").await, 1, "by numbers");
}

#[tokio::test]
async fn a_restore_into_a_fresh_database_leaves_the_old_one() {
    for (format, owners) in [("custom", "keep"), ("plain", "keep"), ("custom", "leave")] {
        let shop = Shop::open().await;
        backed_up(&shop, format).await;
        goes_on(&shop).await;
        let room = room(&shop, &format!("restore: {{ into: fresh, owners: {owners} }}"));
        let refusal = room.refusal().await;
        assert!(refusal.contains("postgres.may_not_create"), "{refusal}");
        shop.admin(&format!("ALTER ROLE {} CREATEDB", shop.name)).await;
        let plan = room.planned().await;
        assert_eq!((plan.steps[0].risk, plan.steps[0].title.key.as_str()), (Risk::Reversible, "postgres.title_fresh"));
        let ran = room.run(&plan).await;
        assert_eq!(ran.line(), "done", "{}", ran.everything());
        let fresh = shop.databases().await.pop().expect("there is one beside it");
        assert!(fresh.starts_with(&format!("{}_20", shop.name)), "{fresh}");
        assert_eq!((shop.count_in(&fresh, ORDERS).await, shop.count(ORDERS).await), (100, 155));
        says(&ran, &[&fresh, "\"after\": Number(100)", "\"then\": Number(100)"]);
        assert_eq!(shop.databases().await.len(), 2, "nothing half made is left");
        assert_eq!(room.taken_up(&plan).await.line(), "done");
        let refusal = room.refusal().await;
        assert!(refusal.contains("postgres.is_there"), "{refusal}");
    }
}

#[tokio::test]
async fn a_chosen_backup_is_put_back_and_a_strange_script_never_runs() {
    let shop = Shop::open().await;
    let first = backed_up(&shop, "custom").await;
    let first = first.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let trap = shop.folder().join("sprung");
    std::fs::write(shop.backups().join("by-hand.sql"), format!("\\! touch {}\n", trap.display()))
        .expect("it can be written");
    let room = room(&shop, "restore: { from: newest, into: in_place }");
    assert_eq!(room.choices().await, std::slice::from_ref(&first));
    let by_hand = room_with(&shop, "restore: { from: by-hand.sql, into: in_place, strangers: allow }", "");
    let refusal = by_hand.refusal().await;
    assert!(refusal.contains("postgres.foreign_script"), "{refusal}");
    goes_on(&shop).await;
    let plan = room.planned_to(&first).await;
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!((shop.count(ORDERS).await, trap.exists()), (100, false));
    let gone = room_with(&shop, "restore: { from: gone.dump, into: in_place }", "");
    assert!(gone.refusal().await.contains("step.no_such_choice"));
    let other = Shop::open().await;
    let none = room_with(&other, "restore: { into: in_place }", "");
    assert!(none.refusal().await.contains("postgres.no_backup"));
}

/// Two servers have a database of the same name, and their backups go to the same folder.
#[tokio::test]
async fn a_backup_of_another_server_is_neither_put_here_nor_let_go_unless_somebody_names_it() {
    let shop = Shop::open().await;
    let own = backed_up(&shop, "custom").await;
    let own = own.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let away = |what: &str| {
        let more = format!("{}, keep: {{ newest: 1 }}", counting(&shop));
        let described = shop.described(PASSWORD, &more).replace("127.0.0.1", "localhost");
        let step = format!("within: 20s\npostgres: {{ database: shop, {what} }}");
        Room::with_sections(&format!("databases: {{ shop: {described} }}\n"), &step, CHECK)
    };
    for what in ["restore: { into: in_place }".to_owned(), format!("restore: {{ from: {own}, into: in_place }}")] {
        let refusal = away(&what).refusal().await;
        assert!(refusal.contains("postgres.of_other_server") && refusal.contains("127.0.0.1"), "{refusal}");
    }
    assert_eq!(away("restore: { into: in_place }").choices().await, Vec::<String>::new());
    let plan = away("backup: {}").planned().await;
    assert_eq!((plan.steps[0].risk, plan.steps[0].from.as_deref()), (Risk::ReadOnly, None), "none of its own goes");
    goes_on(&shop).await;
    let named = away(&format!("restore: {{ from: {own}, into: in_place, strangers: allow }}"));
    let plan = named.planned().await;
    assert!(lines(&plan).contains("postgres.from_other_server"), "{}", lines(&plan));
    assert_eq!(named.run(&plan).await.line(), "done");
    assert_eq!(shop.count(ORDERS).await, 100);

    let twice = format!(
        "databases:\n  a: {0}\n  b: {0}\n{1}",
        shop.described(PASSWORD, &counting(&shop)),
        Room::text("command: { target: x, risk: read_only, to: x, argv: [\"true\"] }", CHECK)
    );
    let config: ActionsConfig = serde_saphyr::from_str(&twice).expect("it can be read");
    let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
    assert!(faults.iter().any(|fault| fault.starts_with("databases.b.backups: “a” keeps backups")), "{faults:?}");
}

/// A physical copy has the very same oids, and the first database of two servers usually has the same one.
#[tokio::test]
async fn what_was_approved_for_one_server_is_done_on_no_other() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let export = format!("export: {{ tables: [orders], folder: \"{}\" }}", shop.folder().display());
    for what in ["restore: { into: in_place }", "backup: {}", &export] {
        let plan = room(&shop, what).planned().await;
        let here = format!("127.0.0.1:{}", Shop::port());
        assert!(lines(&plan).contains("postgres.on_server") && lines(&plan).contains(&here), "{}", lines(&plan));
        let described = shop.described(PASSWORD, &counting(&shop)).replace("127.0.0.1", "localhost");
        let step = format!("within: 20s\npostgres: {{ database: shop, {what} }}");
        let away = Room::with_sections(&format!("databases: {{ shop: {described} }}\n"), &step, CHECK);
        let line = away.run(&plan).await.line();
        assert!(line.starts_with("stale: "), "{what}: {line}");
        let line = away.taken_up(&plan).await.line();
        assert!(line.starts_with("unknown: "), "{what}: {line}");
    }
    assert_eq!((shop.count(ORDERS).await, kept(&shop).len()), (155, 1));
}

/// A script says itself whom everything belongs to.
#[tokio::test]
async fn owners_are_left_only_where_the_backup_can_be_put_back_so() {
    let shop = Shop::open().await;
    backed_up(&shop, "plain").await;
    for into in ["in_place", "fresh"] {
        let refusal = room(&shop, &format!("restore: {{ into: {into}, owners: leave }}")).refusal().await;
        assert!(refusal.contains("postgres.script_owners") && refusal.contains(".sql"), "{refusal}");
    }
    let shop = Shop::open().await;
    shop.admin_in(&shop.name, "ALTER TABLE orders OWNER TO vigie; GRANT SELECT ON orders TO PUBLIC").await;
    backed_up(&shop, "custom").await;
    shop.admin(&format!("ALTER ROLE {} CREATEDB", shop.name)).await;
    assert_eq!(room(&shop, "restore: { into: fresh, owners: leave }").goes().await.line(), "done");
    let fresh = shop.databases().await.pop().expect("there is one beside it");
    let owned = "SELECT count(*) FROM pg_tables WHERE tablename = 'orders' AND tableowner = current_user";
    assert_eq!(shop.count_in(&fresh, owned).await, 1);
}

#[tokio::test]
async fn others_who_hold_the_database_are_named_or_cut_off() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let mut other = shop.logged_in().await;
    let name = "SET application_name = 'web'; BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE";
    sqlx::raw_sql(AssertSqlSafe(name)).execute(&mut other).await.expect("it is connected");
    let plan = room_with(&shop, "restore: { into: in_place }", "").planned().await;
    assert!(lines(&plan).contains("postgres.others_must_go") && lines(&plan).contains("\"web\""), "{}", lines(&plan));
    let step = "within: 4s\npostgres: { database: shop, restore: { into: in_place } }";
    let line = shop.room(step, CHECK, &counting(&shop)).goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.others_are_there"), "{line}");
    assert_eq!(shop.count(ORDERS).await, 155);

    let room = room(&shop, "restore: { into: in_place, others: end }");
    let plan = room.planned().await;
    assert!(lines(&plan).contains("postgres.others_are_ended"), "{}", lines(&plan));
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut other).await.is_err(), "it was cut off");
    assert_eq!(shop.count(ORDERS).await, 100);
}

#[tokio::test]
async fn what_moved_since_the_plan_is_stale_and_nothing_is_done() {
    let shop = Shop::open().await;
    let backup = backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let room = room(&shop, "restore: { into: in_place }");
    let plan = room.planned().await;
    std::fs::write(&backup, "rubbish").expect("it can be written");
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.other_content"), "{line}");
    assert_eq!(kept(&shop).len(), 1, "no copy is made of what is not touched");

    let other = Shop::open().await;
    backed_up(&other, "custom").await;
    let room = room_with(&other, "restore: { into: in_place }", "");
    let plan = room.planned().await;
    let name = &other.name;
    other.admin(&format!("DROP DATABASE {name}")).await;
    other.admin(&format!("CREATE DATABASE {name} OWNER {name}")).await;
    other.sql("CREATE TABLE orders (); CREATE TABLE users (); CREATE TABLE migrations (version integer)").await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: postgres.other_database"), "{line}");
}

/// A copy that an earlier attempt has made is of an earlier state: people went on writing after it.
#[tokio::test]
async fn whoever_tries_again_gets_a_copy_of_what_is_there_by_then() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let folder = tools(&shop, "exec /usr/bin/pg_dump \"$@\"");
    tool(&folder, "psql", "echo the table is held >&2; exit 3");
    let room = room_with(&shop, "restore: { into: in_place }", &format!(", tools: \"{}\"", folder.display()));
    let plan = room.planned().await;
    assert!(lines(&plan).contains("step.writers_go_on"), "{}", lines(&plan));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("the table is held"), "{line}");
    let is_copy = |name: &String| name.contains(".before-");
    let first: Vec<String> = kept(&shop).into_iter().filter(is_copy).collect();
    assert_eq!(first.len(), 1, "{first:?}");

    shop.sql("INSERT INTO orders VALUES (900, 77)").await;
    until("a copy of another second", Duration::from_secs(10), async || {
        let now = std::process::Command::new("date").args(["-u", "+%Y%m%dT%H%M%SZ"]).output().expect("date starts");
        (!first[0].contains(String::from_utf8_lossy(&now.stdout).trim())).then_some(())
    })
    .await;
    tool(&folder, "psql", "exec /usr/bin/psql \"$@\"");
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count(ORDERS).await, 100);
    let newest = kept(&shop).into_iter().filter(is_copy).max().expect("there are copies");
    says(&ran, &[&newest]);
    let listed = std::process::Command::new("pg_restore")
        .args(["--data-only", "--table=orders", "--file=-"])
        .arg(shop.backups().join(&newest))
        .output()
        .expect("pg_restore starts");
    let rows = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(rows.contains("900\t77"), "{newest} holds what was written in between: {rows}");
}

/// Between the copy and the locks somebody writes: that would be in no copy, so nothing is put back.
#[tokio::test]
async fn what_is_written_after_the_copy_is_not_thrown_away() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let folder = tools(&shop, "exec /usr/bin/pg_dump \"$@\"");
    let writes = "PGAPPNAME=web /usr/bin/psql -X -q -c 'INSERT INTO orders VALUES (900, 77)' || exit 9";
    tool(&folder, "psql", &format!("{writes}; exec /usr/bin/psql \"$@\""));
    let room = room_with(&shop, "restore: { into: in_place }", &format!(", tools: \"{}\"", folder.display()));
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.written_since"), "{line}");
    assert!(line.contains("orders"), "{line}");
    assert_eq!(shop.count(ORDERS).await, 156);
}

/// Why one would want a backup in the first place.
#[tokio::test]
async fn a_table_that_somebody_dropped_comes_back() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    shop.sql("DROP TABLE orders, migrations").await;
    let room = room(&shop, "restore: { into: in_place }");
    let plan = room.planned().await;
    assert_eq!(plan.steps[0].from.as_deref(), Some("orders –, users 3"));
    assert!(lines(&plan).contains("\"is_there\":false"), "{}", lines(&plan));
    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count(ORDERS).await, 100);
    says(&ran, &["\"migration\": String(\"42\")"]);
}

/// The night that backups are for.
#[tokio::test]
async fn a_database_that_is_gone_is_put_back_into_an_empty_one() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    let room = room(&shop, "restore: { into: in_place }");
    shop.admin(&format!("DROP DATABASE {}", shop.name)).await;
    let refusal = room.refusal().await;
    assert!(refusal.contains("postgres.make_database") && refusal.contains(&shop.name), "{refusal}");
    shop.admin(&format!("CREATE DATABASE {0} OWNER {0}", shop.name)).await;
    let ran = room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count(ORDERS).await, 100);
}

/// On the worst night the server is slow, too.
#[tokio::test]
async fn a_table_that_takes_long_to_count_holds_up_no_plan() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    shop.sql("CREATE VIEW waits AS SELECT pg_sleep(600)::text AS slept").await;
    let counts = format!(", backups: \"{}\", counts: [orders, users, waits]", shop.backups().display());
    let planned = async |what: &str| {
        let step = format!("postgres: {{ database: shop, {what} }}");
        let plan = shop.room(&step, CHECK, &counts).planned().await;
        (plan.steps[0].from.clone(), lines(&plan))
    };
    let (from, told) = planned("restore: { into: in_place }").await;
    assert_eq!(from.as_deref(), Some("orders 100, users 3, waits ?"));
    assert!(told.contains("\"is_late\":true") && told.contains("\"there\":100"), "{told}");
    let (_, told) = planned("backup: {}").await;
    assert!(told.contains("postgres.late") && told.contains("\"waits\""), "{told}");
}

/// One role reads it, another owns it; it is one database all the same.
#[tokio::test]
async fn one_database_of_two_names_in_the_configuration_is_changed_by_one_run_at_a_time() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    let locked = async |key: &str| {
        let sections = format!("databases: {{ {key}: {} }}\n", shop.described(PASSWORD, &counting(&shop)));
        let step = format!("postgres: {{ database: {key}, restore: {{ into: in_place }} }}");
        Room::with_sections(&sections, &step, CHECK).planned().await.steps[0].locks().to_vec()
    };
    assert_eq!(locked("shop").await, locked("shop-owner").await);
}

#[tokio::test]
async fn rows_that_differ_from_the_backup_fail_the_step_with_the_copys_name() {
    let shop = Shop::open().await;
    let backup = backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    // The page says what was counted; here it counted more than the archive holds.
    let page = backup.with_extension("dump.json");
    let text = std::fs::read_to_string(&page).expect("it can be read").replace("\"rows\": 100", "\"rows\": 101");
    std::fs::write(&page, text).expect("it can be written");
    let ran = room(&shop, "restore: { into: in_place }").goes().await;
    let line = ran.line();
    assert!(line.starts_with("failed: postgres.rows_differ") && line.contains("\"tables\":[\"orders\"]"), "{line}");
    assert!(line.contains("before-run_7_1-step-1"), "{line}");
}

/// D2, D5, P3, P6 · two people approve, as nothing else is configured; from the slash command to the timeline.
#[tokio::test]
async fn a_backup_is_put_back_from_slack_by_two_people() {
    for (locale, lost, fewer) in [("en", "is lost", "55 fewer"), ("fr", "est perdu", "55 de moins")] {
        let shop = Shop::open().await;
        backed_up(&shop, "custom").await;
        goes_on(&shop).await;
        let runbook = Runbook::open_with(
            locale,
            &Sheet {
                sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &counting(&shop))),
                check: "sql: { database: shop, query: SELECT count(*) AS n FROM orders, limits: { than_before: { fail_above: 1 } } }",
                steps: "- postgres: { database: shop, restore: { into: in_place } }\n",
                risk: "destructive",
                ..Sheet::default()
            },
        )
        .await;
        shop.admin(&format!("ALTER ROLE {} PASSWORD '{}'", shop.name, runbook.token())).await;
        let (channel, card) = runbook.planned().await;
        let text = shown(&card).replace('\u{a0}', " ");
        for part in [lost, fewer, "sha256", "(155 "] {
            assert!(part == "(155 " || text.contains(part), "{part} is not in {text}");
        }
        let done = runbook.approved_by_two(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!(shop.count(ORDERS).await, 100);
        assert!(done.contains("155 → 100"), "{done}");
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("orders 155, users 2 → "), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&["Ana", "Cléo"]).await;
    }
}

//! What goes wrong with databases: damaged backups, full disks, lost connections, missing rights, old or hanging programs. Each
//! time a sentence and a recorded outcome, the database as it was, and nothing left running or lying about.

use std::path::Path;
use std::time::Duration;

use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use super::backup::{tool, tools};
use super::restore::{ORDERS, backed_up, counting, goes_on, kept, room, room_with};
use super::shop::{PASSWORD, Shop};
use crate::database::Database;
use crate::faults::disk::Disk;
use crate::faults::town::Town;
use crate::faults::until;
use crate::kubernetes::relay::Relay;
use crate::room::Room;
use crate::runbook::{Sheet, TOKEN};

const CHECK: &str = "command: { argv: [\"true\"] }";
const IN_PLACE: &str = "restore: { into: in_place }";
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing happened to the orders that came after the backup.
async fn is_untouched(shop: &Shop) {
    assert_eq!(shop.count(ORDERS).await, 155);
    assert_eq!(shop.count("SELECT count(*) FROM coupons").await, 1);
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'vigie run%' AND datname = current_database()";
    assert_eq!(shop.count(left).await, 0, "nothing goes on at the server");
    let unfinished: Vec<String> = kept(shop).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(unfinished, Vec::<String>::new(), "nothing unfinished is left");
}

/// Rewrites a file of the test's own.
fn spoil(file: &Path, with: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = std::fs::read(file).expect("it can be read");
    std::fs::write(file, with(bytes)).expect("it can be written");
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    // In the middle of the compressed rows, which are at the end of an archive.
    let place = bytes.len() - 60;
    bytes[place] ^= 0xff;
    bytes
}

#[tokio::test]
async fn a_damaged_backup_is_found_before_anything_is_touched() {
    let shop = Shop::open().await;
    let backup = backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let whole = std::fs::read(&backup).expect("it can be read");
    let room = room(&shop, IN_PLACE);

    // Vigie wrote down what it must be: a flipped bit or a missing end is seen while planning.
    for spoilt in [flipped(whole.clone()), whole[..whole.len() - 100].to_vec(), Vec::new()] {
        spoil(&backup, |_| spoilt);
        let refusal = room.refusal().await;
        assert!(refusal.contains("postgres.damaged") && refusal.contains("other_content"), "{refusal}");
    }
    // Of somebody else's nothing is written down: some is seen while planning, the rest when it is unpacked.
    std::fs::remove_file(backup.with_extension("dump.json")).expect("there is a page");
    spoil(&backup, |_| b"rubbish".to_vec());
    let room = room_with(&shop, "restore: { into: in_place, strangers: allow }", "");
    let refusal = room.refusal().await;
    assert!(refusal.contains("postgres.damaged") && refusal.contains("valid archive"), "{refusal}");
    for spoilt in [flipped(whole.clone()), whole[..whole.len() - 100].to_vec()] {
        spoil(&backup, |_| spoilt);
        let line = room.goes().await.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.unreadable"), "{line}");
        is_untouched(&shop).await;
    }
    // Whole again it is good, whoever made it.
    spoil(&backup, |_| whole);
    assert_eq!(room.goes().await.line(), "done");
    assert_eq!(shop.count(ORDERS).await, 100);
}

#[tokio::test]
async fn a_full_disk_fails_the_step_and_leaves_no_half_file() {
    let shop = Shop::open().await;
    shop.sql(
        "CREATE TABLE notes AS SELECT md5(n::text) || md5((n + 1)::text) AS note FROM generate_series(1, 20000) AS n",
    )
    .await;
    let Some(disk) = Disk::mount("400k") else { return };
    let step = |what: &str| format!("within: 20s\npostgres: {{ database: shop, {what} }}");
    let more = format!(", backups: \"{}\", counts: [orders]", disk.path().display());
    for format in ["custom", "plain"] {
        let room = shop.room(&step(&format!("backup: {{ format: {format} }}")), CHECK, &more);
        let line = room.goes().await.line();
        assert!(line.starts_with("failed: step.unchanged") && line.contains("reason.disk_full"), "{line}");
        assert_eq!(std::fs::read_dir(disk.path()).expect("it is there").count(), 0, "no half file");
    }
    let export = format!("export: {{ tables: [notes], folder: \"{}\" }}", disk.path().display());
    let line = shop.room(&step(&export), CHECK, &more).goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("disk_full"), "{line}");
    assert_eq!(std::fs::read_dir(disk.path()).expect("it is there").count(), 0, "no half file");

    // There is room for the backup, but then not for the copy that comes first.
    shop.sql("ALTER TABLE notes RENAME TO old_notes; TRUNCATE old_notes").await;
    assert_eq!(shop.room(&step("backup: {}"), CHECK, &more).goes().await.line(), "done");
    shop.sql("INSERT INTO old_notes SELECT md5(n::text) || md5((n + 1)::text) FROM generate_series(1, 20000) AS n")
        .await;
    let ran = shop.room(&step(IN_PLACE), CHECK, &more).goes().await;
    let line = ran.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("no_copy_made"), "{line}");
    assert!(line.contains("reason.disk_full"), "{line}");
    assert_eq!(shop.count("SELECT count(*) FROM old_notes").await, 20_000);
    assert_eq!(std::fs::read_dir(disk.path()).expect("it is there").count(), 2, "the backup and its page");
}

/// Each row of the orders takes its time to be put back.
async fn slow(shop: &Shop, seconds: f64) {
    let function = |seconds: f64| {
        format!(
            "CREATE OR REPLACE FUNCTION slow(n integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN PERFORM pg_catalog.pg_sleep({seconds}); RETURN true; END $$;"
        )
    };
    shop.sql(&format!(
        "{} ALTER TABLE orders ADD CONSTRAINT slow CHECK (slow(id)); {}",
        function(0.0),
        function(seconds)
    ))
    .await;
}

/// The backup's rows are just being put back.
async fn in_the_middle(shop: &Shop) {
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'vigie run%' AND query LIKE 'COPY%' \
        AND state = 'active' AND datname = current_database()";
    let is_copying = async || (shop.count(copying).await > 0).then_some(());
    until("the rows are put back", PATIENCE, is_copying).await;
}

async fn cuts(shop: &Shop) {
    let cut =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'vigie run%' AND datname";
    shop.admin(&format!("{cut} = '{}'", shop.name)).await;
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_leaves_the_database_as_it_was() {
    let shop = Shop::open().await;
    slow(&shop, 0.05).await;
    let backup = backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let room_here = room(&shop, IN_PLACE);
    let plan = room_here.planned().await;
    let cutting = async {
        in_the_middle(&shop).await;
        cuts(&shop).await;
    };
    let (ran, ()) = tokio::join!(room_here.run(&plan), cutting);
    let line = ran.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("administrator command"), "{line}");
    is_untouched(&shop).await;

    // The network loses an answer, and the connection with it. By this way the server has another address.
    let relay = Relay::open(([127, 0, 0, 1], Shop::port()).into()).await;
    let far = format!("port: {}", relay.address().port());
    let described = shop.described(PASSWORD, &counting(&shop)).replace(&format!("port: {}", Shop::port()), &far);
    let from = backup.file_name().and_then(|name| name.to_str()).expect("a name");
    let restore = format!("restore: {{ from: {from}, into: in_place, strangers: allow }}");
    let step = format!("within: 20s\npostgres: {{ database: shop, {restore} }}");
    let room = Room::with_sections(&format!("databases: {{ shop: {described} }}\n"), &step, CHECK);
    let plan = room.planned().await;
    let cutting = async {
        in_the_middle(&shop).await;
        relay.lose_the_answer_after(0);
    };
    let (ran, ()) = tokio::join!(room.run(&plan), cutting);
    let line = ran.line();
    assert_eq!(relay.lost(), 1);
    assert!(line.starts_with("failed: step.unchanged"), "{line}");
    is_untouched(&shop).await;
}

/// psql says that it failed, and yet it was done.
#[tokio::test]
async fn an_end_that_was_lost_is_settled_by_the_mark_in_the_database() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let folder = tools(&shop, "exec /usr/bin/pg_dump \"$@\"");
    tool(&folder, "psql", "/usr/bin/psql \"$@\"; echo connection to server was lost >&2; exit 2");
    let ran = room_with(&shop, IN_PLACE, &format!(", tools: \"{}\"", folder.display())).goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!(shop.count(ORDERS).await, 100);
}

/// What the database does not take while Vigie fills it, and takes otherwise. Indexes come after all rows.
const TRAP: &str = "CREATE FUNCTION trap(id integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN IF current_setting('application_name') LIKE 'vigie run%' THEN RAISE EXCEPTION 'no index today'; END IF;
    RETURN id; END $$; CREATE INDEX trapped ON orders (trap(id))";

/// Programs of PostgreSQL write large objects in transactions of their own, where nobody tells them not to.
#[tokio::test]
async fn a_backup_with_large_objects_is_put_back_whole_or_not_at_all() {
    const LARGE: &str = "SELECT length(lo_get(4711))::bigint";
    for is_trapped in [false, true] {
        let shop = Shop::open().await;
        shop.sql("SELECT lo_from_bytea(4711, 'a picture')").await;
        if is_trapped {
            shop.sql(TRAP).await;
        }
        backed_up(&shop, "custom").await;
        goes_on(&shop).await;
        shop.sql("SELECT lo_put(4711, 9, ' and more')").await;
        let ran = room(&shop, IN_PLACE).goes().await;
        let line = ran.line();
        if is_trapped {
            assert!(line.starts_with("failed: step.unchanged") && line.contains("no index today"), "{line}");
            is_untouched(&shop).await;
            assert_eq!(shop.count(LARGE).await, 18);
        } else {
            assert_eq!(line, "done", "{}", ran.everything());
            assert_eq!((shop.count(ORDERS).await, shop.count(LARGE).await), (100, 9));
        }
    }
}

/// A script has nobody who tells it not to.
#[tokio::test]
async fn a_script_with_large_objects_is_neither_made_nor_put_back() {
    let shop = Shop::open().await;
    let script = backed_up(&shop, "plain").await;
    goes_on(&shop).await;
    // As former versions made them.
    spoil(&script, |mut text| {
        text.extend(b"\nBEGIN;\n\nSELECT pg_catalog.lo_open('4711', 131072);\n\nCOMMIT;\n");
        text
    });
    let sum = std::process::Command::new("sha256sum").arg(&script).output().expect("sha256sum starts");
    let bytes = std::fs::metadata(&script).expect("it is there").len();
    spoil(&script.with_extension("sql.json"), |page| {
        let mut page: serde_json::Value = serde_json::from_slice(&page).expect("it is JSON");
        page["sha256"] = String::from_utf8_lossy(&sum.stdout[..64]).into();
        page["bytes"] = bytes.into();
        page.to_string().into_bytes()
    });
    let line = room(&shop, IN_PLACE).goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.large_in_script"), "{line}");
    is_untouched(&shop).await;

    let shop = Shop::open().await;
    let room_of_scripts = room(&shop, "backup: { format: plain }");
    let plan = room_of_scripts.planned().await;
    shop.sql("SELECT lo_from_bytea(4711, 'a picture')").await;
    let line = room_of_scripts.run(&plan).await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("postgres.large_objects"), "{line}");
    let refusal = room_of_scripts.refusal().await;
    assert!(refusal.contains("postgres.large_objects"), "{refusal}");
    assert_eq!(kept(&shop), Vec::<String>::new());
}

/// Programs of version 17 write a setting into each script that no server before 17 knows.
#[tokio::test]
async fn newer_programs_put_back_what_an_older_server_gave_them() {
    let newer = |name: &str| {
        let written = "for file in \"$@\"; do case \"$file\" in --file=*) ;; *) continue;; esac
            sed '0,/^SET lock_timeout = 0;$/s//&\\nSET transaction_timeout = 0;/' \"${file#--file=}\" >\"$0.script\"
            cat \"$0.script\" >\"${file#--file=}\"; done";
        format!("/usr/bin/{name} \"$@\" || exit 1\n{written}")
    };
    for (format, program) in [("custom", "pg_restore"), ("plain", "pg_dump")] {
        let shop = Shop::open().await;
        let folder = tools(&shop, "exec /usr/bin/pg_dump \"$@\"");
        tool(&folder, program, &newer(program));
        let more = format!(", tools: \"{}\"", folder.display());
        let ran = room_with(&shop, &format!("backup: {{ format: {format} }}"), &more).goes().await;
        assert_eq!(ran.line(), "done", "{}", ran.everything());
        goes_on(&shop).await;
        if program == "pg_dump" {
            // The copy is an archive, which such a program does not spoil.
            tool(&folder, program, "exec /usr/bin/pg_dump \"$@\"");
        }
        let ran = room_with(&shop, IN_PLACE, &more).goes().await;
        assert_eq!(ran.line(), "done", "{}", ran.everything());
        assert_eq!(shop.count(ORDERS).await, 100);
        let written = std::fs::read_to_string(folder.join(format!("{program}.script"))).expect("it wrote one");
        assert!(written.contains("\nSET transaction_timeout = 0;\n"), "{written}");
    }
}

#[tokio::test]
async fn what_a_password_a_name_or_a_right_lacks_is_said_and_no_secret_shown() {
    let shop = Shop::open().await;
    // Somebody else's table can be neither read nor replaced.
    shop.admin_in(&shop.name, "CREATE TABLE ledger (id integer); INSERT INTO ledger VALUES (1)").await;
    let line = room(&shop, "backup: {}").goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("permission denied"), "{line}");
    shop.admin_in(&shop.name, "DROP TABLE ledger").await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let good = shop.described(PASSWORD, &counting(&shop));
    let steps = ["backup: {}", IN_PLACE, "restore: { into: fresh }"];
    let cases = [
        (good.replace(PASSWORD, "wrong-4b1d-77aa"), "postgres.wrong_password"),
        (good.replace(&format!("name: {}", shop.name), "name: nowhere"), "postgres.no_database"),
        (good.replace(&Shop::port().to_string(), "1"), "reason.refused"),
        (good.replace(&shop.backups().display().to_string(), "/no/such/folder"), "reason.not_found"),
    ];
    for (database, words) in cases {
        // Whoever wants a backup back is told what it takes.
        let restoring = if words == "postgres.no_database" { "postgres.make_database" } else { words };
        for (what, words) in steps.map(|what| (what, if what == "backup: {}" { words } else { restoring })) {
            let step = format!("postgres: {{ database: shop, {what} }}");
            let room = Room::with_sections(&format!("databases: {{ shop: {database} }}\n"), &step, CHECK);
            let refusal = room.refusal().await;
            assert!(refusal.contains(words), "{words}: {refusal}");
            assert!(!refusal.contains(PASSWORD) && !refusal.contains("wrong-4b1d-77aa"), "{refusal}");
        }
    }

    shop.admin_in(&shop.name, "ALTER TABLE orders OWNER TO vigie; GRANT SELECT ON orders TO PUBLIC").await;
    let refusal = room(&shop, IN_PLACE).refusal().await;
    assert!(refusal.contains("postgres.not_own_tables") && refusal.contains("orders"), "{refusal}");
    is_untouched(&shop).await;
    shop.admin(&format!("ALTER DATABASE {} OWNER TO vigie", shop.name)).await;
    let refusal = room(&shop, IN_PLACE).refusal().await;
    assert!(refusal.contains("postgres.not_owner"), "{refusal}");
}

#[tokio::test]
async fn an_older_client_is_refused_before_anything_is_done() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    let folder = tools(&shop, "exit 1");
    let old = |name: &str| {
        let script = format!("#!/bin/sh\necho '{name} (PostgreSQL) 9.6.24'\n");
        std::fs::write(folder.join(name), script).expect("it can be written");
    };
    let more = format!(", tools: \"{}\"", folder.display());
    old("pg_restore");
    let refusal = room_with(&shop, IN_PLACE, &more).refusal().await;
    assert!(refusal.contains("postgres.old_tools") && refusal.contains("9.6.24"), "{refusal}");
    old("pg_dump");
    for what in ["backup: {}", IN_PLACE] {
        let refusal = room_with(&shop, what, &more).refusal().await;
        assert!(refusal.contains("postgres.old_tools") && refusal.contains("pg_dump"), "{refusal}");
    }
    let nowhere = room_with(&shop, "backup: {}", ", tools: /no/such/folder").refusal().await;
    assert!(nowhere.contains("step.not_started"), "{nowhere}");
}

#[tokio::test]
async fn a_program_that_floods_or_hangs_is_ended_and_nothing_is_left_of_it() {
    let shop = Shop::open().await;
    backed_up(&shop, "custom").await;
    goes_on(&shop).await;
    let folder = tools(&shop, "exec /usr/bin/pg_dump \"$@\"");
    let more = format!(", tools: \"{}\"", folder.display());
    tool(&folder, "psql", "yes \"ERROR:  $PGPASSWORD is in my way\" | head -c 100000000 >&2; exit 3");
    let ran = room_with(&shop, IN_PLACE, &more).goes().await;
    let line = ran.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("is in my way"), "{line}");
    let everything = ran.everything();
    assert!(!everything.contains(PASSWORD), "no secret is shown");
    assert!(everything.len() < 40_000, "{} bytes are kept of it", everything.len());
    is_untouched(&shop).await;

    let pid = shop.folder().join("pid");
    let hang = format!("trap '' TERM; echo $$ >{}; while :; do sleep 1; done", pid.display());
    tool(&folder, "psql", &hang);
    let step = format!("within: 4s\npostgres: {{ database: shop, {IN_PLACE} }}");
    let ran = shop.room(&step, CHECK, &format!("{}{more}", counting(&shop))).goes().await;
    let line = ran.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("step.program_late"), "{line}");
    let pid = std::fs::read_to_string(&pid).expect("it began");
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it is gone");
    is_untouched(&shop).await;
}

/// The bot's process gets no chance to end anything: its psql goes on without it, or is cut off, too.
#[tokio::test]
async fn a_bot_killed_in_mid_restore_finds_out_how_it_ended() {
    for goes_on_alone in [true, false] {
        let shop = Shop::open().await;
        slow(&shop, 0.05).await;
        backed_up(&shop, "custom").await;
        goes_on(&shop).await;
        let sheet = Sheet {
            sections: &format!("databases:\n  shop: {}\n\n", shop.described(TOKEN, &counting(&shop))),
            risk: "destructive",
            steps: "- postgres: { database: shop, restore: { into: in_place } }\n",
            ..Sheet::default()
        };
        let database = Database::fresh().await;
        let town = Town::open_as(&database.url, &sheet.configuration()).await;
        let token = secrecy::ExposeSecret::expose_secret(&town.setup.phones.account().token).to_owned();
        shop.admin(&format!("ALTER ROLE {} PASSWORD '{token}'", shop.name)).await;
        let bot = town.start().await;
        let says = async |who: &str, line: &str| {
            let ack = town.ws().person(who).command("C0GENERAL", "/incident", line).await;
            assert_eq!(ack.failure, None, "/incident {line}");
        };
        let run = async || {
            let incident = town.store.incident("inc_1".parse().expect("an id")).await.ok().flatten()?;
            incident.runs.into_values().next()
        };
        until("the bot hears", PATIENCE, async || (town.ws().open_sockets() > 0).then_some(())).await;
        says("U0ONCALL", "start sev2 wrong orders").await;
        until("the incident", PATIENCE, async || {
            town.store.incident("inc_1".parse().expect("an id")).await.ok().flatten()
        })
        .await;
        says("U0ONCALL", "run --in inc_1 go").await;
        until("the plan", PATIENCE, async || run().await.filter(|run| run.phase == Phase::Pending)).await;
        says("U0DBA", "approve run_1_1").await;
        says("U0LEAD", "approve run_1_1").await;
        in_the_middle(&shop).await;
        bot.kill().await;
        if !goes_on_alone {
            cuts(&shop).await;
        }
        let bot = town.start().await;
        let ended = async || run().await.filter(|run| matches!(run.phase, Phase::Finished { .. }));
        let run = until("the end of the run", PATIENCE, ended).await;
        assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{run:#?}");
        assert_eq!(shop.count(ORDERS).await, 100);
        let note = format!("{:?}", run.steps[0]);
        for told in ["\"before\": Number(155)", "\"after\": Number(100)", "before-run_1_1-step-1"] {
            assert!(note.contains(told), "{told} is not in {note}");
        }
        let copies = kept(&shop).iter().filter(|name| name.contains("before-run_1_1-step-1")).count();
        // Whoever does it anew keeps what is there by then.
        assert_eq!(copies, if goes_on_alone { 1 } else { 2 }, "{:?}", kept(&shop));
        bot.stop().await;
    }
}

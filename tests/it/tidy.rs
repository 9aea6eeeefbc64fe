//! The walls of the house, as tables: which room may use which, which words are said in one place only, and what no file
//! may hold. A broken wall is a red test that names the file and the line. A wall that is in the way is moved here, in the
//! same change, with its reason.

mod source;

use std::fmt::Write as _;

use regex::Regex;
use source::{Source, rust, tracked};

/// Which rooms a room may use. A room is a folder or a file at the top of `src/`; `a::b` opens only that part of `a`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("lib", &[]),
    ("cli", &["app", "clock", "config", "incident", "render", "slack::documents", "slack::scene", "store"]),
    (
        "app",
        &[
            "actions", "clock", "comms", "config", "engine", "incident", "paging", "practice", "render", "slack",
            "store", "web", "alerts",
        ],
    ),
    ("config", &["actions", "comms", "incident", "paging", "render", "slack", "store"]),
    ("engine", &["actions", "clock", "comms", "incident", "paging", "render", "slack", "store"]),
    // Tests of rooms that know no language read their sentences in English.
    ("english", &["incident::words", "render"]),
    // Only tests: the engine in a simulated world, put together as `app` puts it together.
    (
        "simulation",
        &["actions", "app", "clock", "comms", "config", "engine", "incident", "paging", "render", "slack", "store"],
    ),
    ("slack", &["clock", "incident", "render", "store", "tls"]),
    ("store", &["incident"]),
    ("actions", &["english", "incident", "reason", "tls"]),
    ("alerts", &["incident", "store"]),
    ("web", &["clock", "incident::time", "slack", "store"]),
    // A sentence is a key and its variables: whoever has something to say to people says it so.
    ("comms", &["english", "incident::words", "paging"]),
    ("clock", &["incident::time"]),
    ("paging", &["english", "incident::words", "reason", "tls"]),
    ("reason", &["incident::words"]),
    ("tls", &[]),
    ("render", &[]),
    ("incident", &[]),
    ("practice", &[]),
];

/// Words that are code only in these places: (tokens, where, why).
const SAID_ONLY_IN: &[(&str, &[&str], &str)] = &[
    (
        "sqlx",
        &["src/store/", "src/actions/postgres/"],
        "only the store speaks SQL, and one provider that of the team's databases",
    ),
    ("slack_morphism", &["src/slack/"], "only the Slack room knows the client library"),
    ("kube", &["src/actions/kubernetes"], "only the Kubernetes provider knows its client library"),
    ("k8s_openapi", &["src/actions/kubernetes"], "only the Kubernetes provider knows its client library"),
    ("aws_config", &["src/actions/ecs/"], "only the ECS provider knows AWS's libraries"),
    ("aws_sigv4", &["src/actions/ecs/"], "only the ECS provider knows AWS's libraries"),
    ("Utc :: now", &["src/clock.rs"], "time is an argument, or comes from the clock"),
    ("Local :: now", &[], "time is an argument, or comes from the clock"),
    ("Timestamp :: now", &[], "time is an argument, or comes from the clock"),
    ("Zoned :: now", &[], "time is an argument, or comes from the clock"),
    ("SystemTime :: now", &[], "time is an argument, or comes from the clock"),
    (
        "Instant :: now",
        &[
            "src/clock.rs",             // goes on when the machine's clock is set back
            "src/actions/stopwatch.rs", // measures how long a step took; decides nothing
            "src/practice/",            // its ticker and its round-trip times are the wire's, not the workspace's
            "src/store/connections.rs", // how long a connection rested; no moment that is kept
        ],
        "time is an argument, or comes from the clock",
    ),
    (
        "time :: sleep",
        &[
            "src/clock.rs",
            "src/actions/stopwatch.rs", // waits between two looks at a system that changes by itself
            "src/practice/",            // plays a slow network on order
        ],
        "waiting is the clock's business, so that tests move time by hand",
    ),
    ("thread :: sleep", &[], "nothing blocks a thread, and no test waits for time to pass"),
    ("env :: var", &["src/config/"], "only the configuration reads the environment"),
    ("env :: vars", &["src/config/"], "only the configuration reads the environment"),
    ("env :: var_os", &["src/config/"], "only the configuration reads the environment"),
    ("env :: vars_os", &["src/config/"], "only the configuration reads the environment"),
    ("env :: set_var", &[], "the environment is read, never written"),
];

/// What the core never says, so that it stays a function from facts to facts.
const NEVER_IN_THE_CORE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "rand",
    "uuid",
    "reqwest",
    "axum",
    "std :: fs",
    "std :: net",
    "std :: process",
    "std :: env",
    "std :: thread",
    "std :: time",
    "SystemTime",
];

/// What outside input could turn into a crash. `expect` with a reason is for true invariants, in the files below.
const CRASHES: &[&str] = &[
    ". unwrap (",
    ". expect (",
    ". unwrap_err (",
    ". expect_err (",
    "panic !",
    "unreachable !",
    "assert !",
    "assert_eq !",
    "assert_ne !",
];

/// Files that may state an invariant with `.expect("reason")`: (file, how many, why it cannot fail).
const INVARIANTS: &[(&str, usize, &str)] = &[
    ("src/actions/redact.rs", 2, "constant patterns and escaped words are regular expressions"),
    ("src/actions/template.rs", 1, "a constant pattern is a regular expression"),
    ("src/cli/check.rs", 3, "a String takes text"),
    ("src/cli/incidents.rs", 1, "a String takes text"),
    ("src/config/hide.rs", 4, "constant patterns are regular expressions; the whole of a match is a match"),
    ("src/config/schema.rs", 1, "a constant pattern is a regular expression"),
    ("src/practice/doors.rs", 2, "a key of any length is good for HMAC; a client with constant settings builds"),
    ("src/practice/methods.rs", 1, "the method table is part of the program, and a test reads it"),
    ("src/practice/shop/figures.rs", 6, "constant names of figures are valid ones"),
    ("src/practice/workspace/composer.rs", 1, "a constant pattern is a regular expression"),
];

/// How the code names a sentence of templates/<locale>/labels.yaml.
const SAYS: &[&str] = &["Words :: new (", "Refusal :: new (", ". word (", ". say (", ". plain ("];

/// Everything a newcomer finds at the top.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "build.rs",
    "clippy.toml",
    "deny.toml",
    "examples",
    "manifest.yml",
    "migrations",
    "rustfmt.toml",
    "src",
    "templates",
    "tests",
];

/// The longest file that can be read at a sitting.
const LONGEST: usize = 700;

/// Collects what is wrong, so that one run names it all.
#[derive(Default)]
struct Faults(String);

impl Faults {
    fn add(&mut self, path: &str, line: usize, what: &str) {
        writeln!(self.0, "{path}:{line}: {what}").expect("a string takes any text");
    }

    #[track_caller]
    fn demand_none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

fn room(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    Some(inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs"))
}

fn in_one_of(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

#[test]
fn a_room_uses_only_the_rooms_below_it() {
    let sources = rust();
    let mut faults = Faults::default();
    for source in &sources {
        let Some(room) = room(&source.path) else { continue };
        let Some((_, open)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            faults.add(&source.path, 1, &format!("the room “{room}” has no row in MAY_USE"));
            continue;
        };
        let root = if room == "main" { env!("CARGO_PKG_NAME") } else { "crate" };
        for (line, path) in source.paths_from(root) {
            let known = MAY_USE.iter().any(|(name, _)| Some(*name) == path.first().map(String::as_str));
            let told = path.join("::");
            let allowed = path.first().is_some_and(|first| first == room)
                || open.iter().any(|part| told == *part || told.starts_with(&format!("{part}::")));
            if known && !allowed {
                faults.add(&source.path, line, &format!("the room “{room}” may not use “{told}”"));
            }
        }
    }
    faults.demand_none();
}

#[test]
fn some_words_are_said_in_one_place_only() {
    let mut faults = Faults::default();
    for source in rust().iter().filter(|source| source.path.starts_with("src/")) {
        for (words, places, why) in SAID_ONLY_IN {
            if !in_one_of(&source.path, places) {
                for line in source.lines_saying(words, false) {
                    faults.add(&source.path, line, &format!("`{}`: {why}", words.replace(' ', "")));
                }
            }
        }
    }
    faults.demand_none();
}

#[test]
fn the_core_neither_waits_nor_looks_around() {
    let mut faults = Faults::default();
    for source in rust().iter().filter(|source| source.path.starts_with("src/incident/")) {
        for words in NEVER_IN_THE_CORE {
            for line in source.lines_saying(words, false) {
                faults.add(&source.path, line, &format!("the core says `{}`", words.replace(' ', "")));
            }
        }
    }
    faults.demand_none();
}

/// Neither the store's statements nor these migrations.
fn no_sql_says(unwanted: &Regex, migrations: &str, fault: &str) {
    let mut faults = Faults::default();
    for file in tracked().iter().filter(|file| in_one_of(&file.path, &[migrations, "src/store/"])) {
        for (line, text) in (1..).zip(file.text.lines()) {
            let is_comment = ["//", "--"].iter().any(|mark| text.trim_start().starts_with(mark));
            if unwanted.is_match(text) && !is_comment {
                faults.add(&file.path, line, fault);
            }
        }
    }
    faults.demand_none();
}

#[test]
fn no_instant_is_taken_from_the_database() {
    // `Instant::now()` measures how long something of this process lasts, and says no time of day.
    let now = Regex::new(
        r"(?i)(^|[^:\w])(current_timestamp|current_time|current_date|now\s*\(\s*\)|strftime\s*\(\s*'[^']*'\s*,\s*'now')",
    )
    .expect("the pattern is a regular expression");
    no_sql_says(&now, "migrations/", "SQL that reads a clock; bind the instant as a parameter");
}

/// A team that outgrows one server moves to CockroachDB or YugabyteDB, which lack these or have them only in part.
#[test]
fn nothing_is_asked_of_a_database_that_its_successors_lack() {
    let lacking = Regex::new(
        r"(?i)pg_(try_)?advisory|\b(un)?listen\s+\w|\bnotify\s+\w|create\s+(or\s+replace\s+)?(trigger|function|rule)|\binherits\b|lock\s+table",
    )
    .expect("the pattern is a regular expression");
    no_sql_says(&lacking, "migrations/postgres/", "CockroachDB or YugabyteDB does not have this");
}

#[test]
fn outside_input_cannot_crash_the_program() {
    let mut faults = Faults::default();
    for source in rust().iter().filter(|source| source.path.starts_with("src/")) {
        let permitted = INVARIANTS.iter().find(|(file, ..)| *file == source.path).map_or(0, |(_, count, _)| *count);
        let expects = source.lines_saying(". expect (", false);
        for words in CRASHES {
            for line in source.lines_saying(words, false) {
                if *words != ". expect (" || expects.len() > permitted {
                    faults.add(&source.path, line, &format!("`{}` outside tests", words.replace(' ', "")));
                }
            }
        }
        if expects.len() < permitted {
            faults.add(&source.path, 1, "INVARIANTS permits more than are there");
        }
    }
    faults.demand_none();
}

#[test]
fn no_lint_and_no_test_is_silenced() {
    let mut faults = Faults::default();
    for source in &rust() {
        for words in ["# [ allow", "# ! [ allow", "# [ ignore"] {
            for line in source.lines_saying(words, true) {
                faults.add(&source.path, line, "mend it, or use #[expect(lint, reason = \"…\")]");
            }
        }
    }
    faults.demand_none();
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not hold what it looks for.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let mark = Regex::new(&format!(r"\b({})\b", marks.join("|"))).expect("the pattern is a regular expression");
    let mut faults = Faults::default();
    for file in tracked().iter().filter(|file| file.path != "Cargo.lock") {
        for (line, text) in (1..).zip(file.text.lines()) {
            if mark.is_match(text) {
                faults.add(&file.path, line, "an unfinished mark");
            }
        }
    }
    for source in &rust() {
        for words in ["todo !", "unimplemented !", "dbg !"] {
            for line in source.lines_saying(words, true) {
                faults.add(&source.path, line, &format!("`{}`", words.replace(' ', "")));
            }
        }
    }
    faults.demand_none();
}

#[test]
fn every_file_can_be_read_at_a_sitting() {
    let mut faults = Faults::default();
    for source in &rust() {
        let lines = source.text.lines().count();
        if lines > LONGEST {
            faults.add(&source.path, lines, &format!("{lines} lines; the most is {LONGEST}"));
        }
    }
    faults.demand_none();
}

#[test]
fn every_file_says_what_it_is_for() {
    let limit =
        Regex::new(r"(?i)\b(never|not|nothing|no|neither|nor|only)\b").expect("the pattern is a regular expression");
    let mut faults = Faults::default();
    for source in &rust() {
        let header: String =
            source.text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
        if header.is_empty() {
            faults.add(&source.path, 1, "starts without `//!`");
        } else if is_front_door(source) && !limit.is_match(&header) {
            faults.add(&source.path, 1, "a room's `//!` says what the room may not do");
        }
    }
    faults.demand_none();
}

fn is_front_door(source: &Source) -> bool {
    source.path.starts_with("src/") && source.path.ends_with("/mod.rs") && source.path.matches('/').count() == 2
}

#[test]
fn names_of_files_say_what_is_inside() {
    let vague = ["util", "utils", "misc", "common", "manager", "handler", "handlers"];
    let mut faults = Faults::default();
    for file in tracked() {
        if file.path.split(['/', '.', '_']).any(|word| vague.contains(&word)) {
            faults.add(&file.path, 1, "a name that could hold anything");
        }
    }
    faults.demand_none();
}

#[test]
fn every_migration_is_embedded_for_both_databases() {
    let mut faults = Faults::default();
    let files = tracked();
    let embedded =
        files.iter().find(|file| file.path == "src/store/migrate.rs").expect("migrations are embedded there");
    let migrations: Vec<&str> = files.iter().filter_map(|file| file.path.strip_prefix("migrations/")).collect();
    assert!(!migrations.is_empty(), "there are migrations");
    for migration in migrations {
        let (_, name) = migration.split_once('/').expect("each database has a folder");
        for database in ["sqlite", "postgres"] {
            let path = format!("migrations/{database}/{name}");
            if !files.iter().any(|file| file.path == path) || !embedded.text.contains(&format!("\"../../{path}\"")) {
                faults.add(&path, 1, "it is not there, or embedded nowhere");
            }
        }
    }
    faults.demand_none();
}

#[test]
fn the_top_holds_nothing_to_wonder_about() {
    let mut faults = Faults::default();
    for file in tracked() {
        let entry = file.path.split('/').next().unwrap_or(&file.path);
        if !TOP_LEVEL.contains(&entry) {
            faults.add(&file.path, 1, &format!("“{entry}” is not in TOP_LEVEL"));
        }
    }
    faults.demand_none();
}

#[test]
fn every_sentence_that_the_code_names_has_a_text() {
    let labels = tracked().into_iter().find(|file| file.path == "templates/en/labels.yaml").expect("there are labels");
    let known: Vec<&str> = labels.text.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let shape = Regex::new(r"^[a-z_]+(\.[a-z0-9_]+)+$").expect("the pattern is a regular expression");
    let mut faults = Faults::default();
    let mut seen = 0;
    let speakers = ["src/actions/", "src/incident/", "src/engine/", "src/slack/", "src/comms/", "src/app/"];
    for source in rust().iter().filter(|source| in_one_of(&source.path, &speakers)) {
        for says in SAYS {
            for (line, key) in source.texts_after(says).into_iter().filter(|(_, text)| shape.is_match(text)) {
                seen += 1;
                if !known.contains(&key) {
                    faults.add(&source.path, line, &format!("labels.yaml has no “{key}”"));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} keys were found: the search is broken");
    faults.demand_none();
}

#[test]
fn no_file_names_a_machine_or_a_private_host() {
    let folders = concat!("/(wo", "rk|fa", "rm|ro", "ot|ho", r"me/[a-z]+|Users/[A-Za-z]+|tmp/[a-z]+)/");
    let private = concat!(
        r"\b(10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(1[6-9]|2\d|3[01])\.\d+\.\d+)\b",
        r"|://[^/\s]*\.(internal|intranet|corp|lan|local)\b"
    );
    let machine =
        Regex::new(&format!(r"(^|[\s\x22'=(`]){folders}|{private}")).expect("the pattern is a regular expression");
    let mut faults = Faults::default();
    for file in tracked() {
        for (line, text) in (1..).zip(file.text.lines()) {
            if let Some(found) = machine.find(text) {
                faults.add(&file.path, line, &format!("“{}” exists on one machine only", found.as_str().trim()));
            }
        }
    }
    faults.demand_none();
}

#[test]
fn every_dependency_comes_from_the_public_registry() {
    let mut faults = Faults::default();
    let lock = tracked().into_iter().find(|file| file.path == "Cargo.lock").expect("Cargo.lock is tracked");
    for (line, text) in (1..).zip(lock.text.lines()) {
        let foreign = text.starts_with("source = ")
            && text != "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        if foreign {
            faults.add(&lock.path, line, text);
        }
    }
    faults.demand_none();
}

#[test]
fn names_of_tests_are_sentences() {
    let mut faults = Faults::default();
    let mut seen = 0;
    for source in &rust() {
        for (line, name) in source.tests() {
            seen += 1;
            if name.split('_').filter(|word| !word.is_empty()).count() < 3 || name.starts_with("test_") {
                faults.add(&source.path, line, &format!("“{name}” is not a sentence"));
            }
        }
    }
    assert!(seen > 100, "only {seen} tests were found: the search is broken");
    faults.demand_none();
}

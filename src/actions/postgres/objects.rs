//! What a database and a backup hold, object by object: what came after a backup stays beside it, goes away with a part of it,
//! or holds on to something that the backup would replace.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Row as _;

use super::databases::{DatabaseConfig, literal};
use super::server::{Reading, Trouble};
use crate::incident::words::Words;

/// Each with its kind: `relation public.orders`, `key public.refunds refunds_order`, `type public.state`,
/// `function public.touch`.
pub(super) type Objects = BTreeSet<String>;

/// One thing that cannot be without another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tie {
    /// The table or the view.
    holder: String,
    how: How,
    /// What it cannot be without, with its kind.
    held: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    /// By a foreign key of this name.
    Key(String),
    /// It is a part of it, and goes with it.
    Part,
    Other,
}

/// A database as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    objects: Objects,
    ties: Vec<Tie>,
    /// Tables of somebody else, whose keys only they can take away.
    foreign: BTreeSet<String>,
}

/// What a backup in the place of a database means for what it does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// Tables and views that stay as they are.
    pub stay: Vec<String>,
    /// Parts of tables that go with these.
    pub gone: Vec<String>,
    /// What makes it impossible.
    pub held: Vec<Tie>,
    /// Tables that it would replace and that are somebody else's.
    pub foreign: Vec<String>,
}

impl Tie {
    pub(super) fn words(&self) -> Words {
        let (_, held) = self.held.split_once(' ').unwrap_or(("", &self.held));
        let (words, key) = match &self.how {
            How::Key(key) => (Words::new("postgres.held_by_key"), Some(key.as_str())),
            How::Part | How::Other => (Words::new("postgres.held_by"), None),
        };
        words.with("holder", short(&self.holder)).with("held", short(held)).with("constraint", key)
    }
}

/// As people say it, who seldom have more than one schema.
pub(super) fn short(name: &str) -> &str {
    name.strip_prefix("public.").unwrap_or(name)
}

/// What is not of the system; of the configured schemas, where there are some.
pub(super) fn own_schemas(config: &DatabaseConfig) -> String {
    let chosen: Vec<String> = config.schemas.iter().map(|schema| literal(schema)).collect();
    let chosen = if chosen.is_empty() { String::new() } else { format!(" AND n.nspname IN ({})", chosen.join(", ")) };
    format!("n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'{chosen}")
}

const NOT_OF_EXTENSIONS: &str = "NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.deptype = 'e'";

impl Standing {
    /// Looks at the configured database.
    pub(super) async fn of(config: &DatabaseConfig, within: Duration) -> Result<Self, Trouble> {
        let mut reading = Reading::open(config, within).await?;
        let objects = objects(&mut reading, config).await?;
        let ties = ties(&mut reading).await?;
        let foreign = foreign(&mut reading, config).await?;
        reading.close().await;
        Ok(Self { objects, ties, foreign })
    }

    /// Held against what a backup holds.
    pub(super) fn beside(&self, backup: &Objects) -> Beside {
        let holds = |name: &str| backup.contains(&format!("relation {name}"));
        let mut gone: BTreeSet<&str> = BTreeSet::new();
        // A part can have parts.
        loop {
            let known = gone.len();
            for tie in self.ties.iter().filter(|tie| tie.how == How::Part && !holds(&tie.holder)) {
                let goes = |held: &str| holds(held) || gone.contains(held);
                if tie.held.strip_prefix("relation ").is_some_and(goes) {
                    gone.insert(&tie.holder);
                }
            }
            if gone.len() == known {
                break;
            }
        }
        let relations = self.objects.iter().filter_map(|object| object.strip_prefix("relation "));
        let stay = relations.filter(|name| !holds(name) && !gone.contains(name)).map(str::to_owned).collect();
        let holds_on = |tie: &&Tie| {
            let is_new = match &tie.how {
                How::Part => false,
                How::Key(key) if holds(&tie.holder) => {
                    let is_own = tie.held.strip_prefix("relation ") == Some(&tie.holder);
                    !is_own && !backup.contains(&format!("key {} {key}", tie.holder))
                }
                How::Key(_) | How::Other => !holds(&tie.holder) && !gone.contains(tie.holder.as_str()),
            };
            is_new && backup.contains(&tie.held)
        };
        let held = self.ties.iter().filter(holds_on).cloned().collect();
        let foreign = self.foreign.iter().filter(|name| holds(name)).cloned().collect();
        Beside { stay, gone: gone.into_iter().map(str::to_owned).collect(), held, foreign }
    }
}

/// What is in the configured schemas, without what extensions brought.
pub(super) async fn objects(reading: &mut Reading<'_>, config: &DatabaseConfig) -> Result<Objects, Trouble> {
    let own = own_schemas(config);
    let query = format!(
        "SELECT 'relation ' || n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {own} \
         AND {NOT_OF_EXTENSIONS} AND e.classid = 'pg_class'::regclass AND e.objid = c.oid) \
         UNION ALL SELECT 'key ' || n.nspname || '.' || c.relname || ' ' || k.conname FROM pg_constraint k \
         JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE k.contype = 'f' AND {own} \
         UNION ALL SELECT 'type ' || n.nspname || '.' || t.typname FROM pg_type t \
         JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd') AND {own} \
         AND {NOT_OF_EXTENSIONS} AND e.classid = 'pg_type'::regclass AND e.objid = t.oid) \
         UNION ALL SELECT 'function ' || n.nspname || '.' || p.proname FROM pg_proc p \
         JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {own} \
         AND {NOT_OF_EXTENSIONS} AND e.classid = 'pg_proc'::regclass AND e.objid = p.oid)"
    );
    let rows = reading.rows(query, &[]).await?;
    Ok(rows.iter().filter_map(|row| row.try_get::<String, _>(0).ok()).collect())
}

/// Who cannot be without what: tables and views, by keys, queries, inheritance, types of columns, triggers and defaults. Keys
/// that parts of tables have from their whole are not told again.
const TIES: &str = "WITH named AS (SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relispartition FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema') \
    SELECT h.name, 'key', k.conname::text, 'relation ' || r.name FROM pg_constraint k JOIN named h ON h.oid = k.conrelid \
    JOIN named r ON r.oid = k.confrelid WHERE k.contype = 'f' AND k.coninhcount = 0 \
    UNION SELECT h.name, 'other', '', 'relation ' || r.name FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid \
    JOIN named h ON h.oid = w.ev_class JOIN named r ON r.oid = d.refobjid WHERE d.classid = 'pg_rewrite'::regclass \
    AND d.refclassid = 'pg_class'::regclass AND h.oid <> r.oid \
    UNION SELECT h.name, 'other', '', 'function ' || n.nspname || '.' || p.proname FROM pg_depend d \
    JOIN pg_rewrite w ON w.oid = d.objid JOIN named h ON h.oid = w.ev_class JOIN pg_proc p ON p.oid = d.refobjid \
    JOIN pg_namespace n ON n.oid = p.pronamespace WHERE d.classid = 'pg_rewrite'::regclass \
    AND d.refclassid = 'pg_proc'::regclass \
    UNION SELECT h.name, CASE WHEN h.relispartition THEN 'part' ELSE 'other' END, '', 'relation ' || r.name \
    FROM pg_inherits i JOIN named h ON h.oid = i.inhrelid JOIN named r ON r.oid = i.inhparent \
    UNION SELECT h.name, 'other', '', 'type ' || n.nspname || '.' || t.typname FROM pg_attribute a \
    JOIN named h ON h.oid = a.attrelid JOIN pg_type used ON used.oid = a.atttypid \
    JOIN pg_type t ON t.oid = CASE WHEN used.typcategory = 'A' AND used.typelem <> 0 THEN used.typelem ELSE used.oid END \
    JOIN pg_namespace n ON n.oid = t.typnamespace WHERE a.attnum > 0 AND NOT a.attisdropped AND t.typtype IN ('e', 'd') \
    UNION SELECT h.name, 'other', '', 'function ' || n.nspname || '.' || p.proname FROM pg_trigger t \
    JOIN named h ON h.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace \
    WHERE NOT t.tgisinternal \
    UNION SELECT h.name, 'other', '', 'function ' || n.nspname || '.' || p.proname FROM pg_attrdef f \
    JOIN named h ON h.oid = f.adrelid JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid \
    AND d.refclassid = 'pg_proc'::regclass JOIN pg_proc p ON p.oid = d.refobjid \
    JOIN pg_namespace n ON n.oid = p.pronamespace ORDER BY 1, 4";

async fn ties(reading: &mut Reading<'_>) -> Result<Vec<Tie>, Trouble> {
    let rows = reading.rows(TIES.to_owned(), &[]).await?;
    let tie = |row: &sqlx::postgres::PgRow| {
        let text = |at: usize| row.try_get::<String, _>(at).ok();
        let how = match text(1)?.as_str() {
            "key" => How::Key(text(2)?),
            "part" => How::Part,
            _ => How::Other,
        };
        Some(Tie { holder: text(0)?, how, held: text(3)? })
    };
    Ok(rows.iter().filter_map(tie).collect())
}

/// The tables with keys that belong to nobody whose role we have. A backup takes the keys away first, which only the owner
/// may.
async fn foreign(reading: &mut Reading<'_>, config: &DatabaseConfig) -> Result<BTreeSet<String>, Trouble> {
    let query = format!(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p') AND {} AND NOT pg_has_role(c.relowner, 'USAGE') \
         AND EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'x')) \
         AND {NOT_OF_EXTENSIONS} AND e.classid = 'pg_class'::regclass AND e.objid = c.oid)",
        own_schemas(config)
    );
    let rows = reading.rows(query, &[]).await?;
    Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
}

/// Whom and what the configured role may not change.
#[derive(Debug, Clone, Default)]
pub(super) struct Limits {
    /// Extensions that somebody else has put there.
    extensions: BTreeSet<String>,
    /// The roles that it has.
    roles: BTreeSet<String>,
}

impl Limits {
    /// Looks at the configured database.
    pub(super) async fn of(config: &DatabaseConfig, within: Duration) -> Result<Self, Trouble> {
        const LIMITS: &str = "SELECT 'extension', extname::text FROM pg_extension WHERE NOT pg_has_role(extowner, 'USAGE') \
            UNION ALL SELECT 'role', rolname::text FROM pg_roles WHERE pg_has_role(oid, 'USAGE')";
        let mut reading = Reading::open(config, within).await?;
        let rows = reading.rows(LIMITS.to_owned(), &[]).await?;
        reading.close().await;
        let mut limits = Self::default();
        for row in &rows {
            let (Ok(kind), Ok(name)) = (row.try_get::<&str, _>(0), row.try_get::<String, _>(1)) else { continue };
            let names = if kind == "role" { &mut limits.roles } else { &mut limits.extensions };
            names.insert(name);
        }
        Ok(limits)
    }

    /// The lines of an archive's list that the server would refuse: `2; 3079 16385 EXTENSION - pg_trgm ` and
    /// `3355; 826 16484 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES admin`.
    pub(super) fn refused<'l>(&self, list: &'l str, in_place: bool) -> Vec<&'l str> {
        let is_refused = |line: &&str| {
            let Some(entry) = entry(line) else { return false };
            let extension = entry.strip_prefix("EXTENSION - ").or_else(|| entry.strip_prefix("COMMENT - EXTENSION "));
            if let Some(name) = extension {
                return in_place && self.extensions.contains(name.trim_end());
            }
            let is_own = |role: &String| entry.strip_suffix(role.as_str()).is_some_and(|rest| rest.ends_with(' '));
            entry.starts_with("DEFAULT ACL ") && !self.roles.iter().any(is_own)
        };
        list.lines().filter(is_refused).collect()
    }
}

/// Such a line as people read it: `EXTENSION pg_trgm`.
pub(super) fn shown(line: &str) -> String {
    entry(line).unwrap_or(line).replace(" - ", " ").trim_end().to_owned()
}

/// Only what is in the configured schemas; all of it where none is.
pub(super) fn within(config: &DatabaseConfig, objects: Objects) -> Objects {
    let is_within = |object: &String| {
        let schema = object.split_once(' ').and_then(|(_, name)| name.split_once('.')).map(|(schema, _)| schema);
        config.schemas.is_empty() || schema.is_some_and(|schema| config.schemas.iter().any(|one| one == schema))
    };
    objects.into_iter().filter(is_within).collect()
}

/// What an archive holds, as `pg_restore --list` tells it.
pub(super) fn listed(list: &str) -> Objects {
    list.lines().filter_map(object).collect()
}

/// `TABLE public orders shop` of `215; 1259 16385 TABLE public orders shop`
fn entry(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("; ")?;
    rest.splitn(3, ' ').nth(2)
}

fn object(line: &str) -> Option<String> {
    let entry = entry(line)?;
    let kinds = [
        ("TABLE ", "relation"),
        ("VIEW ", "relation"),
        ("MATERIALIZED VIEW ", "relation"),
        ("FOREIGN TABLE ", "relation"),
        ("FK CONSTRAINT ", "key"),
        ("TYPE ", "type"),
        ("DOMAIN ", "type"),
        ("FUNCTION ", "function"),
    ];
    let (kind, place) = kinds.iter().find_map(|(sign, kind)| Some((*kind, entry.strip_prefix(sign)?)))?;
    let mut parts = place.split(' ');
    let (schema, name) = (parts.next()?, parts.next()?);
    // `TABLE DATA` and `TABLE ATTACH` speak of tables that have a line of their own.
    if matches!(schema, "DATA" | "ATTACH") {
        return None;
    }
    let name = name.split('(').next().unwrap_or(name);
    let key = if kind == "key" { format!(" {}", parts.next()?) } else { String::new() };
    Some(format!("{kind} {schema}.{name}{key}"))
}

/// The database that an archive says that it is of.
pub(super) fn origin(list: &str) -> Option<&str> {
    list.lines().find_map(|line| line.strip_prefix(';')?.trim().strip_prefix("dbname: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = ";\n; Archive created at 2026-11-26 08:00:00 UTC\n;     dbname: shop\n;     TOC Entries: 14\n\
        216; 1247 16390 TYPE public state shop\n217; 1255 16391 FUNCTION public touch(integer, text) shop\n\
        215; 1259 16385 TABLE public orders shop\n218; 1259 16386 TABLE public refunds shop\n\
        3344; 0 16385 TABLE DATA public orders shop\n3200; 2606 16400 CONSTRAINT public orders orders_pkey shop\n\
        3201; 2606 16401 FK CONSTRAINT public refunds refunds_order_fkey shop\n219; 1259 16387 VIEW public sums shop\n";

    fn tie(holder: &str, how: How, held: &str) -> Tie {
        Tie { holder: holder.to_owned(), how, held: held.to_owned() }
    }

    #[test]
    fn an_archive_says_what_it_holds_and_of_which_database_it_is() {
        let wanted = [
            "function public.touch",
            "key public.refunds refunds_order_fkey",
            "relation public.orders",
            "relation public.refunds",
            "relation public.sums",
            "type public.state",
        ];
        assert_eq!(listed(LIST).into_iter().collect::<Vec<_>>(), wanted);
        assert_eq!((origin(LIST), origin("")), (Some("shop"), None));
    }

    #[test]
    fn what_came_later_stays_goes_or_holds_it_up() {
        let mut objects = listed(LIST);
        for later in ["coupons", "notes", "orders_2027", "orders_2027_01", "latest"] {
            objects.insert(format!("relation public.{later}"));
        }
        let orders = "relation public.orders";
        let ties = vec![
            tie("public.refunds", How::Key("refunds_order_fkey".into()), orders),
            tie("public.refunds", How::Key("refunds_later_fkey".into()), orders),
            tie("public.orders", How::Key("orders_own_fkey".into()), orders),
            tie("public.coupons", How::Key("coupons_order_fkey".into()), orders),
            tie("public.coupons", How::Key("coupons_note_fkey".into()), "relation public.notes"),
            tie("public.latest", How::Other, orders),
            tie("public.sums", How::Other, orders),
            tie("public.notes", How::Other, "type public.state"),
            tie("public.orders_2027", How::Part, orders),
            tie("public.orders_2027_01", How::Part, "relation public.orders_2027"),
            tie("public.orders_2027", How::Other, "type public.state"),
        ];
        let foreign = ["public.orders", "public.notes"].map(str::to_owned).into();
        let found = Standing { objects, ties: ties.clone(), foreign }.beside(&listed(LIST));
        assert_eq!(found.stay, ["public.coupons", "public.latest", "public.notes"]);
        assert_eq!(found.gone, ["public.orders_2027", "public.orders_2027_01"]);
        assert_eq!(found.held, [1, 3, 5, 7].map(|at: usize| ties[at].clone()));
        assert_eq!(found.foreign, ["public.orders"]);
        assert_eq!(Standing::default().beside(&listed(LIST)), Beside::default());
    }

    #[test]
    fn what_belongs_to_others_is_found_in_an_archives_list() {
        const OTHERS: [&str; 3] = [
            "2; 3079 16385 EXTENSION - pg_trgm ",
            "3350; 0 0 COMMENT - EXTENSION pg_trgm ",
            "3355; 826 16484 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES the admin",
        ];
        const OWN: &str = "3356; 826 16485 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES shop\n\
            3; 3079 16400 EXTENSION - citext \n";
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let limits = Limits { extensions: names(&["pg_trgm"]), roles: names(&["shop", "min"]) };
        let list = format!("{LIST}{}\n{OWN}", OTHERS.join("\n"));
        assert_eq!(limits.refused(&list, true), OTHERS);
        assert_eq!(limits.refused(&list, false), OTHERS[2..], "a fresh database has no extensions of others");
        assert_eq!(shown(OTHERS[0]), "EXTENSION pg_trgm");
    }
}

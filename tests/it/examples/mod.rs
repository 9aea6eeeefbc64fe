//! The five complete configurations of `examples/` through the whole bot: every action of each, against real peers or the
//! simulators of platforms, and each emergency plan from the declaration to the post-mortem. Nothing here changes a
//! configuration: what is tried is what is shipped, with its variables filled in.
//!
//! `tests/run --coverage-of-procedures` reads which actions are run here, as `runs("<key>")` and the like.

mod blue_green;
mod feature_flags;
mod go_live;
mod rollback_agent;
mod site;
mod vercel_supabase;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};
use vigie::app::action::rbac;
use vigie::incident::approval::{Approver, CheckItem, Outcome, Verdict};
use vigie::incident::state::{Phase, Run};
use vigie::incident::timeline::{Card, Entry, Fact};
use vigie::practice::SubmitOutcome;

use crate::kubernetes::plane::Namespace;
use crate::nowhere;
use crate::postgres::shop::{PASSWORD, Shop};
use crate::world::{World, shown, ts};

/// Who declares incidents and asks for plans, and so approves none of them.
const ASKS: &str = "U0ONCALL";
/// Who ticks check lists.
const LEAD: &str = "U0LEAD";

/// What an example leaves open.
pub type Variables = BTreeMap<String, String>;

/// An example with an incident that somebody has answered.
pub struct Example {
    pub world: World,
    pub channel: String,
    /// The values of what stands in the example without a default: credentials.
    secrets: Vec<String>,
}

/// An action that was run to its end.
pub struct Ended {
    /// How the plan read before anybody decided.
    pub plan: String,
    /// How its card reads now.
    pub card: String,
    pub run: Run,
}

/// The text of an example.
fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).join("vigie.yml");
    std::fs::read_to_string(path).expect("the example is there")
}

/// `NAME=value` for all of these.
pub fn variables<const N: usize>(all: [(&str, &str); N]) -> Variables {
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A program of the team's own.
pub fn program(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    std::fs::write(path, format!("#!/bin/sh\n{script}")).expect("it can be written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it can be made to run");
}

/// The critical tests of the team: how many orders wait is asked of the site itself, however ill it is otherwise.
fn critical_tests(folder: &Path, site: &str) {
    let tests = format!(
        "waiting=$(curl --silent --fail --max-time 5 {site}/metrics | sed -n 's/^commandes_en_attente //p')\n\
         [ -n \"$waiting\" ] && echo \"3 essais: $waiting commandes en attente\"\n"
    );
    program(&folder.join("bin/critical"), &tests);
}

/// A folder with the team's npm scripts; npm neither asks anybody nor writes elsewhere.
pub fn npm_scripts(folder: &Path, site: &str) {
    critical_tests(folder, site);
    let scripts = json!({
        "test:critical": "bin/critical",
        "migrate:status": "bin/migrate status",
        "migrate:down": "bin/migrate down",
    });
    let package = json!({"name": "shop", "private": true, "scripts": scripts});
    std::fs::write(folder.join("package.json"), package.to_string()).expect("it can be written");
    let quiet = format!("update-notifier=false\nlogs-max=0\ncache={}\n", folder.join("npm").display());
    std::fs::write(folder.join(".npmrc"), quiet).expect("it can be written");
    let migrate = "run() { psql -X -q -A -t -v ON_ERROR_STOP=1 -c \"$1\" \"$DATABASE_URL\"; }
case $1 in
status) run \"SELECT 'up ' || version FROM migrations ORDER BY version\" ;;
down) run \"DELETE FROM migrations WHERE version = $2\" && echo \"undone: $2\" ;;
esac
";
    program(&folder.join("bin/migrate"), migrate);
}

/// How a shop's database is reached, and where its backups go.
pub fn reaching(shop: &Shop) -> Variables {
    let (port, name) = (Shop::port().to_string(), shop.name.as_str());
    variables([
        ("SHOP_DB_HOST", "127.0.0.1"),
        ("SHOP_DB_PORT", &port),
        ("SHOP_DB_NAME", name),
        ("SHOP_DB_USER", name),
        ("SHOP_DB_PASSWORD", PASSWORD),
        ("SHOP_DB_TLS", "prefer"),
        ("SHOP_DATABASE_URL", &format!("postgres://{name}:{PASSWORD}@127.0.0.1:{port}/{name}")),
        ("BACKUPS_FOLDER", &shop.backups().display().to_string()),
    ])
}

/// Lets the bot do in a namespace what the example needs there, and no more; what reaches it.
pub async fn allowed(space: &Namespace, name: &str, variables: &Variables) -> Variables {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut variables = variables.clone();
    variables.insert("KUBECONFIG_FILE".to_owned(), space.of_the_bot().display().to_string());
    variables.insert("SHOP_NAMESPACE".to_owned(), space.name.clone());
    let config = vigie::config::parse("vigie.yml", &text(name), &|asked| {
        let is_known_later = ["TWILIO_ACCOUNT", "TWILIO_TOKEN"].contains(&asked);
        let stand_in = || is_known_later.then(|| "AC00000000000000000000000000000001".to_owned());
        variables.get(asked).cloned().or_else(stand_in)
    });
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    space.grant(&rbac(&config, None, "user:vigie").expect("there is something to be allowed")).await;
    variables
}

impl Example {
    /// Opens the example with what it leaves open; an incident is declared in these words, and answered.
    pub async fn open(name: &str, variables: Variables, declared: &str) -> Self {
        Self::open_after(0, name, variables, declared).await
    }

    /// The same, so many minutes later.
    pub async fn open_after(minutes: i64, name: &str, variables: Variables, declared: &str) -> Self {
        let text = text(name);
        let open = Regex::new(r"\$\{(\w+)\}").expect("the pattern is a regular expression");
        let secrets = open.captures_iter(&text).filter_map(|found| variables.get(&found[1]).cloned()).collect();
        let locale = if text.contains("  locale: fr\n") { "fr" } else { "en" };
        let mut world = World::open_configured(locale, &text, variables).await;
        if minutes > 0 {
            world.sleeps(minutes).await;
        }
        world.types(ASKS, "C0GENERAL", &format!("start {declared}")).await;
        let channel = world.channel(1).await;
        world.types(ASKS, &channel, "ack").await;
        Self { world, channel, secrets }
    }

    async fn newest_run(&self) -> Run {
        let runs = self.world.incident(1).await.runs;
        runs.into_values().max_by_key(|run| run.id.number).expect("something was asked for")
    }

    fn card(&self, run: &Run) -> Value {
        let mut cards = self.world.cards(&self.channel, 1, &run.id.to_string());
        cards.pop().expect("the run has its card")
    }

    /// Asks for a plan; the run and its card, before anybody decides.
    pub async fn planned(&self, line: &str) -> (Run, Value) {
        self.world.types(ASKS, &self.channel, line).await;
        let run = self.newest_run().await;
        let card = self.card(&run);
        assert!(run.plan.is_some(), "there is a plan: {}", shown(&card));
        (run, card)
    }

    /// Ticks what has to be ticked, and approves with as many as are needed.
    pub async fn approves(&self, run: &Run, card: &Value) {
        for item in run.action.checklist.iter().filter(|item| item.required && item.when.is_before()) {
            self.world.clicks(LEAD, &self.channel, &ts(card), &format!("tick {} {}", run.id, item.key)).await;
        }
        let people = run.action.approval.by.iter().filter_map(|approver| match approver {
            Approver::Contact { user, .. } if user.0 != ASKS => Some(user.0.as_str()),
            _ => None,
        });
        for who in people.take(run.action.approval.needed.into()) {
            let approve = format!("approve {}", run.id);
            let closed = run.action.window.as_ref().and_then(|window| window.closed(self.world.clock.now()));
            if closed.is_some() {
                self.world.types(who, &self.channel, &format!("{approve} --override “nobody can buy”")).await;
            } else {
                self.world.clicks(who, &self.channel, &ts(card), &approve).await;
            }
        }
    }

    async fn ends(&self, line: &str) -> Ended {
        let (run, card) = self.planned(line).await;
        self.approves(&run, &card).await;
        let (run, last) = (self.newest_run().await, shown(&self.world.again(&self.channel, &card)));
        assert_eq!(run.phase, Phase::Finished { outcome: Outcome::Done }, "{line}: {last}");
        Ended { plan: shown(&card), card: last, run }
    }

    /// An action from the slash command to its good end: plan, check list, approvals, run, verification.
    pub async fn runs(&self, action: &str) -> Ended {
        self.ends(&format!("run {action}")).await
    }

    /// The same, to what somebody chose.
    pub async fn runs_to(&self, action: &str, to: &str) -> Ended {
        self.ends(&format!("run {action} --to {to}")).await
    }

    /// Demands of the end that this is nowhere, too.
    pub fn keeps_secret(&mut self, value: &str) {
        self.secrets.push(value.to_owned());
    }

    /// One round of the quick diagnostic: what each check saw.
    pub async fn diagnoses(&self, service: &str) -> BTreeMap<String, Verdict> {
        self.world.types(ASKS, &self.channel, &format!("diagnose {service}")).await;
        let incident = self.world.incident(1).await;
        let (_, round) = incident.last_diagnostic().expect("the round ended");
        let results = round.results.as_ref().expect("it has results").iter();
        results.map(|result| (result.check.clone(), result.verdict)).collect()
    }

    async fn timeline(&self) -> Vec<Entry> {
        let store = &self.world.setup.vigie.store;
        store.timeline("inc_1".parse().expect("an id")).await.expect("the store answers")
    }

    /// The emergency plan: a diagnostic that shows what is ill, the action, a diagnostic that shows it well, a message to
    /// customers, the end, the post-mortem. Gives the post-mortem.
    pub async fn lives_through(&self, action: &str, service: &str, ill: &[&str]) -> String {
        let before = self.diagnoses(service).await;
        for check in ill {
            assert!(before[*check] >= Verdict::Fail, "{check} shows what is wrong: {before:?}");
        }
        let ended = self.runs(action).await;
        self.was_told_around(&ended.run).await;
        for item in ended.run.action.checklist.iter().filter(|item| !item.when.is_before()) {
            self.world.types(LEAD, &self.channel, &format!("tick {} {}", ended.run.id, item.key)).await;
        }
        assert_eq!(self.newest_run().await.items_left(), Vec::<&CheckItem>::new(), "every line is ticked");
        let after = self.diagnoses(service).await;
        for check in ill {
            assert!(after[*check] < Verdict::Fail, "{check} shows that it is well: {after:?}");
        }
        self.tells_customers().await;
        self.world.pass(5).await;
        self.world.types(ASKS, &self.channel, "mitigate").await;
        self.world.pass(10).await;
        self.world.types(ASKS, &self.channel, "resolve").await;
        let resolution = json!({"summary": "Retour arrière.", "impact": "Vingt minutes.", "cause": "La version."});
        assert_eq!(self.world.submits(ASKS, resolution).await, SubmitOutcome::Cleared);
        self.world.types(ASKS, &self.channel, "postmortem").await;
        let file = self.world.ws().files().pop().expect("the post-mortem was shared");
        let document = String::from_utf8(file.bytes).expect("a document is UTF-8");
        for said in [ended.run.action.title.as_str(), &ended.run.id.to_string()] {
            assert!(document.contains(said), "{said} is not in {document}");
        }
        for approval in &ended.run.approvals {
            let user = approval.by.person().expect("a person approved");
            let contacts = self.world.setup.vigie.rules.contacts.clone();
            let name = contacts.values().find(|contact| contact.slack.as_ref() == Some(user)).map(|found| &found.name);
            assert!(document.contains(name.expect("a contact")), "{name:?} is not in {document}");
        }
        document
    }

    /// Everybody was told before the first step and after the last (P3).
    async fn was_told_around(&self, run: &Run) {
        let timeline = self.timeline().await;
        let entry = |wanted: &dyn Fn(&Fact) -> bool| {
            timeline.iter().find(|entry| wanted(&entry.fact)).expect("it is in the timeline")
        };
        let told_of =
            |seq: u64| entry(&|fact| matches!(fact, Fact::CardPosted { card, .. } if *card == Card::Notice(seq))).seq;
        let of = run.id;
        let approved = entry(&|fact| matches!(fact, Fact::Approved { run, .. } if *run == of)).seq;
        let began = entry(&|fact| matches!(fact, Fact::RunStarted { run, .. } if *run == of)).seq;
        let finished = entry(&|fact| matches!(fact, Fact::RunFinished { run, .. } if *run == of)).seq;
        assert!(told_of(approved) < began, "told at {}, begun at {began}", told_of(approved));
        assert!(told_of(finished) > finished, "the end is told");
        // Those who are not in the channel read both where the internal audience reads, in this order.
        let read: Vec<String> = self.world.ws().messages("C0GENERAL").iter().map(shown).collect();
        let of_run = |texts: [&str; 2]| {
            read.iter().position(|text| text.contains(&of.to_string()) && texts.iter().any(|part| text.contains(part)))
        };
        let (begins, ends) = (
            of_run(["Rollback in progress", "Retour à la version précédente en cours"]),
            of_run(["Rolled back", "Retour à la version précédente terminé"]),
        );
        assert!(begins.is_some() && begins < ends, "begun at {begins:?}, ended at {ends:?}: {read:#?}");
    }

    /// A text for customers is written, approved by somebody else, and arrives.
    async fn tells_customers(&self) {
        let before = self.world.setup.phones.deliveries().len();
        self.world.types(ASKS, &self.channel, "update --customer “Le site répond de nouveau.” version d’avant").await;
        self.world.types("U0COMMS", &self.channel, "send upd_1_1").await;
        let arrived = self.world.setup.phones.deliveries().split_off(before);
        assert!(arrived.iter().any(|delivery| delivery.body.contains("Le site répond")), "{arrived:#?}");
    }

    /// Closes the world, and demands that no credential was shown to anybody, is kept, or stands in the log.
    pub async fn close(self) {
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        nowhere::demand(&self.world, &secrets).await;
        self.world.close().await;
    }
}

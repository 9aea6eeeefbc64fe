//! Every provider that speaks HTTP, in front of a server that refuses, loses, hangs, talks nonsense or does not stop talking:
//! at most one change is asked for, what is said to have happened is what happened, and no token is told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::traffic;
use crate::platforms::cloudflare::Cloudflare;
use crate::platforms::ecs::{Ecs, KEY};
use crate::platforms::github::{Github, REPOSITORY};
use crate::platforms::netlify::{Netlify, SITE};
use crate::platforms::vercel::{DOMAIN, Vercel};
use crate::platforms::{Call, Desk, Platform, Said, Trouble, Which};
use crate::room::Room;

const TOKEN: &str = "token-that-nobody-is-told";
/// Nothing takes longer than a step may, with the look that settles it and the time that a slow machine needs.
const LONGEST: Duration = Duration::from_secs(15);
const FLOOD: usize = 100 * 1024 * 1024;

/// A system of the team's own, with a version that can be read and set.
struct Switch {
    current: String,
}

impl Platform for Switch {
    const VENDOR: &'static str = "switch";
    const IS_DESCRIBED: bool = false;

    fn answer(&mut self, call: &Call) -> Said {
        if call.bearer.as_deref() != Some(TOKEN) {
            return Said::new(401, json!({"error": "who are you?"}));
        }
        if call.is_write() {
            call.body["version"].as_str().unwrap_or_default().clone_into(&mut self.current);
        }
        Said::new(200, json!({"current": self.current, "previous": "1"}))
    }
}

/// A provider with the server that it speaks to.
struct Pair<P> {
    name: &'static str,
    desk: Desk<P>,
    room: Room,
    has_changed: fn(&mut P) -> bool,
    /// Turned away for a moment, it asks again.
    asks_again: bool,
}

async fn vercel() -> Pair<Vercel> {
    let desk = Desk::open(Vercel::new()).await;
    let step = format!(
        "vercel: {{ project: prj_shop1, team: team_shop1, token: \"{TOKEN}\", domain: {DOMAIN}, base_url: \"{}\", settle: 200ms, \
         rollback: {{}} }}",
        desk.url
    );
    desk.with(|vercel| vercel.token = TOKEN.to_owned());
    pair("vercel", desk, &step, |vercel| vercel.live() != "dpl_3", true)
}

async fn netlify() -> Pair<Netlify> {
    let desk = Desk::open(Netlify::new()).await;
    let step = format!(
        "netlify: {{ site: {SITE}, token: \"{TOKEN}\", base_url: \"{}\", settle: 200ms, restore: {{}} }}",
        desk.url
    );
    desk.with(|netlify| netlify.token = TOKEN.to_owned());
    pair("netlify", desk, &step, |netlify| netlify.published() != "66f0a3", true)
}

async fn github() -> Pair<Github> {
    let desk = Desk::open(Github::new()).await;
    let step = format!(
        "github_workflow: {{ repository: {REPOSITORY}, workflow: rollback.yml, ref: main, token: \"{TOKEN}\", base_url: \"{}\", \
         settle: 200ms, inputs: {{ environment: production }}, mark_input: vigie_run }}",
        desk.url
    );
    desk.with(|github| github.token = TOKEN.to_owned());
    pair("github", desk, &step, |github| github.runs.len() > 1, true)
}

async fn switch() -> Pair<Switch> {
    let desk = Desk::open(Switch { current: "2".to_owned() }).await;
    let headers = format!("headers: {{ Authorization: \"Bearer {TOKEN}\" }}");
    let step = format!(
        "http_switch: {{ target: shop, read: {{ url: \"{url}/version\", {headers}, current: /current, previous: /previous }}, \
         set: {{ url: \"{url}/version\", {headers}, body: {{ version: \"{{{{to}}}}\" }} }} }}",
        url = desk.url
    );
    pair("http_switch", desk, &step, |switch| switch.current != "2", false)
}

async fn cloudflare() -> Pair<Cloudflare> {
    let desk = Desk::open(Cloudflare::new()).await;
    let step = traffic::step(&desk.url, traffic::WAY, TOKEN);
    desk.with(|cloudflare| cloudflare.token = TOKEN.to_owned());
    pair("cloudflare", desk, &step, |cloudflare| cloudflare.leads_to() != "blue.example.net", false)
}

async fn ecs() -> Pair<Ecs> {
    let desk = Desk::open(Ecs::new("eu-west-3")).await;
    let step = format!(
        "ecs: {{ region: eu-west-3, cluster: shop, service: web, keys: {{ id: {KEY}, secret: \"{TOKEN}\" }}, endpoint: \"{}\", \
         settle: 200ms, back: {{}} }}",
        desk.url
    );
    pair("ecs", desk, &step, |ecs| ecs.runs() != "web:10", true)
}

fn pair<P: Platform>(
    name: &'static str,
    desk: Desk<P>,
    step: &str,
    has_changed: fn(&mut P) -> bool,
    asks_again: bool,
) -> Pair<P> {
    let room = Room::with_step(&format!("within: 2s\n{step}"));
    Pair { name, desk, room, has_changed, asks_again }
}

/// What a vendor may answer instead of doing what was asked for.
fn no(status: u16) -> Trouble {
    let message: Value = json!({"message": format!("no, {TOKEN}"), "error": {"code": "x", "message": "no"}});
    Trouble::Says(status, message)
}

/// One way to misbehave when the change is asked for, and what must come of it.
async fn at_the_change<P: Platform>(pair: Pair<P>, trouble: Trouble, is_done: bool) {
    let Pair { name, desk, room, has_changed, asks_again } = pair;
    let about = format!("{name}, {trouble:?}");
    let is_done = is_done || (asks_again && matches!(trouble, Trouble::TooMany { .. }));
    let most = if matches!(trouble, Trouble::TooMany { .. }) { 2 } else { 1 };
    let plan = room.planned().await;
    desk.next(Which::Write, trouble);
    let began = Instant::now();
    let ran = room.run(&plan).await;
    assert!(began.elapsed() < LONGEST, "{about}: it took {:?}", began.elapsed());
    let wanted: &[&str] = if is_done { &["done"] } else { &["failed: ", "stale: "] };
    assert!(wanted.iter().any(|start| ran.line().starts_with(start)), "{about}: {}", ran.line());
    assert_eq!(desk.with(has_changed), is_done, "{about}: what is said is what happened");
    assert!(desk.writes().len() <= most, "{about}: {:?}", desk.writes());
    let everything = ran.everything();
    assert!(!everything.contains(TOKEN), "{about}: the token is told in {everything}");
    assert!(everything.len() < 20_000, "{about}: {} bytes are kept", everything.len());
}

/// The same for whatever is asked first once it is approved. It may be asked for again, but never changed blindly.
async fn at_the_look<P: Platform>(pair: Pair<P>, trouble: Trouble) {
    let Pair { name, desk, room, has_changed, .. } = pair;
    let about = format!("{name}, {trouble:?}");
    let plan = room.planned().await;
    desk.next(Which::Any, trouble);
    let began = Instant::now();
    let ran = room.run(&plan).await;
    assert!(began.elapsed() < LONGEST, "{about}: it took {:?}", began.elapsed());
    let is_done = ran.line() == "done";
    assert!(is_done || ran.line().starts_with("failed: "), "{about}: {}", ran.line());
    assert_eq!(desk.with(has_changed), is_done, "{about}: what is said is what happened");
    assert!(desk.writes().len() <= 1, "{about}: {:?}", desk.writes());
    assert!(!ran.everything().contains(TOKEN), "{about}");
}

/// The same for a plan: there is none, and a sentence says why.
async fn at_the_plan<P: Platform>(pair: Pair<P>, trouble: Trouble) {
    let Pair { name, desk, room, .. } = pair;
    for _ in 0..100 {
        desk.next(Which::Any, trouble.clone());
    }
    let refusal = room.refusal().await;
    assert!(refusal.starts_with("plan_fault."), "{name}, {trouble:?}: {refusal}");
    assert!(!refusal.contains(TOKEN) && refusal.len() < 2_000, "{name}, {trouble:?}: {refusal}");
    assert!(desk.writes().is_empty(), "{name}, {trouble:?}");
}

macro_rules! every_provider {
    ($($test:ident: $make:ident),* $(,)?) => {$(
        mod $test {
            use super::*;

            #[tokio::test]
            async fn whatever_the_answer_to_a_change_is_it_is_asked_for_once() {
                for status in [400, 401, 402, 403, 404, 409, 410, 422, 500, 502] {
                    at_the_change($make().await, no(status), false).await;
                }
                at_the_change($make().await, Trouble::TooMany { retry_after_s: 0 }, false).await;
                at_the_change($make().await, Trouble::LosesRequest, false).await;
                at_the_change($make().await, Trouble::Silent, false).await;
                for trouble in [Trouble::LosesAnswer, Trouble::Garbled, Trouble::Flood(FLOOD)] {
                    at_the_change($make().await, trouble, true).await;
                }
            }

            #[tokio::test]
            async fn nothing_is_changed_by_whoever_cannot_see() {
                for trouble in [no(401), no(500), Trouble::LosesRequest, Trouble::Silent, Trouble::Garbled, Trouble::Flood(FLOOD)] {
                    at_the_look($make().await, trouble).await;
                }
                for trouble in [no(401), no(403), no(404), Trouble::Garbled, Trouble::Flood(2 * 1024 * 1024)] {
                    at_the_plan($make().await, trouble).await;
                }
            }
        }
    )*};
}

every_provider! {
    at_vercel: vercel,
    at_netlify: netlify,
    at_github: github,
    at_a_switch: switch,
    at_cloudflare: cloudflare,
    at_ecs: ecs,
}

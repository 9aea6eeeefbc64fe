//! What the cards look like: the main ones as Slack's JSON, the others as a person sees them.

use serde_json::Value;

use super::example::*;
use super::{draw, sheets, topic};
use crate::incident::approval::Outcome;
use crate::incident::decision::Sheet;
use crate::incident::people::Role;
use crate::incident::time::Millis;
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::Words;
use crate::render::Locale;

fn look(stage: &Stage, card: Card) -> String {
    sketch(&draw(&stage.scene(), &card).unwrap().unwrap())
}

fn blocks(stage: &Stage, card: Card) -> Value {
    serde_json::to_value(draw(&stage.scene(), &card).unwrap().unwrap().blocks).unwrap()
}

/// The rollback ran to this end.
fn ended(outcome: Outcome) -> Stage {
    let mut stage = Stage::declared();
    stage.acknowledged().running().step_done(0);
    stage.vigie(Fact::StepStarted { run: RUN, step: 1 });
    if outcome == Outcome::Done {
        stage.step_done(1).vigie(Fact::VerificationStarted { run: RUN });
        let results = results().into_iter().rev().take(1).collect();
        stage.after(37).vigie(Fact::VerificationFinished { run: RUN, results });
    }
    let output = (outcome != Outcome::Done).then(|| "pod web-1: ImagePullBackOff\n".to_owned());
    stage.vigie(Fact::RunFinished { run: RUN, outcome, output });
    stage
}

#[test]
fn a_fresh_incident_asks_for_one_thumb() {
    insta::assert_json_snapshot!(blocks(&Stage::declared(), Card::Incident), @r#"
    [
      {
        "text": {
          "text": "🟠 SEV2 · checkout returns 500",
          "type": "plain_text"
        },
        "type": "header"
      },
      {
        "accessory": {
          "action_id": "take",
          "text": {
            "text": "Take it",
            "type": "plain_text"
          },
          "type": "button",
          "value": "role commander --in inc_7"
        },
        "text": {
          "text": "*Triggered* at <!date^1795184160^{time}|15:16 (Paris time)> by <@U0ENGINEER> · nobody has answered yet · inc_7\n*Service:* Web shop\n*Commander:* nobody yet\n*Paging:* level 1 of 3, next level at <!date^1795185060^{time}|15:31 (Paris time)> · 📨 <@U0ENGINEER> reached by Slack message\n*Next update:* <!date^1795185960^{time}|15:46 (Paris time)>\n<https://meet.example.com/inc|Join the crisis call> · <https://status.example.com|Status page>",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "elements": [
          {
            "action_id": "ack",
            "style": "primary",
            "text": {
              "text": "Acknowledge",
              "type": "plain_text"
            },
            "type": "button",
            "value": "ack --in inc_7"
          },
          {
            "action_id": "diagnose",
            "text": {
              "text": "Diagnose",
              "type": "plain_text"
            },
            "type": "button",
            "value": "diag --in inc_7"
          },
          {
            "action_id": "rollback",
            "text": {
              "text": "Roll back …",
              "type": "plain_text"
            },
            "type": "button",
            "value": "rollback --in inc_7"
          },
          {
            "action_id": "update",
            "text": {
              "text": "Write update",
              "type": "plain_text"
            },
            "type": "button",
            "value": "update --in inc_7"
          },
          {
            "action_id": "more",
            "options": [
              {
                "text": {
                  "text": "Page level 2 now",
                  "type": "plain_text"
                },
                "value": "page --in inc_7 2"
              },
              {
                "text": {
                  "text": "Run another action …",
                  "type": "plain_text"
                },
                "value": "run --in inc_7"
              },
              {
                "text": {
                  "text": "Resolve",
                  "type": "plain_text"
                },
                "value": "resolve --in inc_7"
              },
              {
                "text": {
                  "text": "Cancel: it was no incident",
                  "type": "plain_text"
                },
                "value": "cancel --in inc_7"
              },
              {
                "text": {
                  "text": "Show the timeline",
                  "type": "plain_text"
                },
                "value": "timeline --in inc_7"
              }
            ],
            "type": "overflow"
          }
        ],
        "type": "actions"
      }
    ]
    "#);
}

#[test]
fn a_page_says_it_all_in_its_first_line() {
    let mut stage = Stage::declared();
    stage.after(14 * 60);
    insta::assert_snapshot!(draw(&stage.scene(), &Card::Page(page(1))).unwrap().unwrap().text, @r#"🟠 SEV2 · checkout returns 500 · 14 min · you are paged (level 1 of 3)"#);
    insta::assert_json_snapshot!(blocks(&stage, Card::Page(page(1))), @r#"
    [
      {
        "text": {
          "text": "🟠 SEV2 · checkout returns 500",
          "type": "plain_text"
        },
        "type": "header"
      },
      {
        "text": {
          "text": "You are paged (level 1 of 3)\n*Triggered* at <!date^1795184160^{time}|15:16 (Paris time)> by <@U0ENGINEER> · nobody has answered yet · inc_7\n*Channel:* <#C0INC7>",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "elements": [
          {
            "action_id": "ack",
            "style": "primary",
            "text": {
              "text": "Acknowledge",
              "type": "plain_text"
            },
            "type": "button",
            "value": "ack --in inc_7"
          },
          {
            "action_id": "status",
            "text": {
              "text": "Details",
              "type": "plain_text"
            },
            "type": "button",
            "value": "status --in inc_7"
          },
          {
            "action_id": "call",
            "text": {
              "text": "Join the call",
              "type": "plain_text"
            },
            "type": "button",
            "url": "https://meet.example.com/inc"
          }
        ],
        "type": "actions"
      }
    ]
    "#);
}

#[test]
fn a_plan_shows_everything_before_its_button() {
    let mut stage = Stage::declared();
    stage.acknowledged().plan_shown();
    insta::assert_json_snapshot!(blocks(&stage, Card::Run(RUN)), @r#"
    [
      {
        "text": {
          "text": "🔎 To approve: Roll back the shop",
          "type": "plain_text"
        },
        "type": "header"
      },
      {
        "text": {
          "text": "*v1.3.0 → v1.2.3* · shop (production)\n1. Switch the shop from v1.3.0 to v1.2.3\n      ◦ image: shop:1.3.0 → shop:1.2.3\n2. Clear the page cache · → empty · cache (production)\n*Why:*\n• error rate 7.2 % for 5 min (limit 5 %)\n• v1.3.0 went live 6 min before\n*Risk:* can be changed back · urgent (under 15 min) · usually takes 40 s\n*When not to:* bad data rather than bad code\n*Leaves alone:* the database\n*Checked afterwards:*\n• health page\n• error rate\n*Rights needed, checked:* patch deployments/shop in production\n*If a step fails:* it stops there, says what is done and what is not, and nothing more is changed.",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "text": {
          "text": "*Check list:* 1 required line to tick before approval",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "accessory": {
          "action_id": "tick",
          "text": {
            "text": "Tick",
            "type": "plain_text"
          },
          "type": "button",
          "value": "tick run_7_1 queue"
        },
        "text": {
          "text": "☐ The order queue is drained",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "accessory": {
          "action_id": "tick",
          "text": {
            "text": "Tick",
            "type": "plain_text"
          },
          "type": "button",
          "value": "tick run_7_1 told"
        },
        "text": {
          "text": "☐ Support is told (optional)",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "text": {
          "text": "*Approvals:* 0 of 1, 1 more needed (may approve: <@U0LEAD> and Commander; not whoever asked) · expires at <!date^1795185300^{time}|15:35 (Paris time)>",
          "type": "mrkdwn",
          "verbatim": true
        },
        "type": "section"
      },
      {
        "elements": [
          {
            "text": "Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317",
            "type": "mrkdwn",
            "verbatim": true
          }
        ],
        "type": "context"
      },
      {
        "elements": [
          {
            "action_id": "approve",
            "confirm": {
              "confirm": {
                "text": "Approve",
                "type": "plain_text"
              },
              "deny": {
                "text": "Back",
                "type": "plain_text"
              },
              "style": "danger",
              "text": {
                "text": "Roll back the shop: v1.3.0 → v1.2.3 on shop (production). It starts at once.",
                "type": "plain_text"
              },
              "title": {
                "text": "Approve and run this?",
                "type": "plain_text"
              }
            },
            "text": {
              "text": "Approve",
              "type": "plain_text"
            },
            "type": "button",
            "value": "approve run_7_1"
          },
          {
            "action_id": "reject",
            "text": {
              "text": "Reject",
              "type": "plain_text"
            },
            "type": "button",
            "value": "reject run_7_1"
          }
        ],
        "type": "actions"
      }
    ]
    "#);
}

#[test]
fn an_incident_in_the_middle_of_the_work() {
    let mut stage = Stage::declared();
    stage.acknowledged().by("U0LEAD", Fact::RoleAssigned { role: Role::Commander, user: user("U0LEAD") });
    stage.by("U0LEAD", Fact::DiagnosticStarted { diagnostic: DIAGNOSTIC, service: "shop".into() });
    stage.after(15).vigie(Fact::DiagnosticFinished { diagnostic: DIAGNOSTIC, results: results() });
    let next_at = Some(stage.now + Millis::minutes(30));
    let internal = Some("we are rolling back".to_owned());
    stage.by("U0LEAD", Fact::UpdatePosted { update: UPDATE, internal, customer: None, next_at });
    stage.plan_shown();
    insta::assert_snapshot!(look(&stage, Card::Incident), @r#"
    🟠 SEV2 · checkout returns 500 · 4 min · acknowledged
    ---
    # 🟠 SEV2 · checkout returns 500
    *Acknowledged* by <@U0ENGINEER> after 3 min · declared at <!date^1795184160^{time}|15:16 (Paris time)> by <@U0ENGINEER> · inc_7
    *Service:* Web shop
    *Commander:* <@U0LEAD>
    *Paging:* level 1 of 3 · ✅ <@U0ENGINEER> answered
    *Next update:* <!date^1795186155^{time}|15:49 (Paris time)>
    *Last update* (<!date^1795184355^{time}|15:19 (Paris time)>, <@U0LEAD>): “we are rolling back”
    *Diagnostic* at <!date^1795184340^{time}|15:19 (Paris time)>: 2 of 4 checks outside limits · ⌛ *payment provider:* no answer after 15 s
    *Roll back the shop* (v1.3.0 → v1.2.3): waiting for approval, 1 more approval needed · run_7_1
    <https://meet.example.com/inc|Join the crisis call> · <https://status.example.com|Status page>
    [*Write update → update --in inc_7] [Diagnose → diag --in inc_7] [Roll back … → rollback --in inc_7] [Mitigated → mitigate --in inc_7] (menu: Resolve → resolve --in inc_7; Run another action … → run --in inc_7; Page level 2 now → page --in inc_7 2; Cancel: it was no incident → cancel --in inc_7; Show the timeline → timeline --in inc_7)
    "#);
    insta::assert_snapshot!(look(&stage, Card::Announcement), @r#"
    🟠 SEV2 · checkout returns 500 · 4 min · acknowledged
    ---
    *🟠 SEV2 · checkout returns 500*
    *Acknowledged* by <@U0ENGINEER> after 3 min · declared at <!date^1795184160^{time}|15:16 (Paris time)> by <@U0ENGINEER> · inc_7
    *Commander:* <@U0LEAD>
    *Channel:* <#C0INC7>
    [Details → status --in inc_7]
    "#);
    insta::assert_snapshot!(look(&stage, Card::Diagnostic(DIAGNOSTIC)), @r#"
    🟠 SEV2 · checkout returns 500 · ❌ Diagnostic of Web shop: 2 of 4 checks outside limits or silent
    ---
    ❌ *Diagnostic of Web shop*: 2 of 4 checks outside limits or silent
    ⌛ *payment provider:* no answer after 15 s
    ❌ *error rate:* 7.2 % (limit 5 %) · outside limits · 41 ms
    ⚠️ *slowest requests:* 1.9 s (limit 2 s) · worth a look · 60 ms
    ✅ *health page:* 200 in 41 ms · within limits · 41 ms
    ~ Asked by <@U0LEAD> at <!date^1795184340^{time}|15:19 (Paris time)> · diag_7_1
    [*Roll back … → rollback --in inc_7] [Write update → update --in inc_7] [Diagnose → diag --in inc_7]
    "#);
    insta::assert_snapshot!(topic::topic(&stage.scene(), stage.incident()).unwrap(), @r#"🟠 SEV2 · acknowledged · IC Operations lead · checkout returns 500"#);
    stage.after(3_600);
    assert!(look(&stage, Card::Incident).contains("⚠️ late"));
}

#[test]
fn the_same_in_french() {
    let mut stage = Stage::declared();
    stage.speak("fr");
    stage.acknowledged().plan_shown();
    insta::assert_snapshot!(look(&stage, Card::Incident), @r#"
    🟠 SEV2 · checkout returns 500 · 4 min · pris en compte
    ---
    # 🟠 SEV2 · checkout returns 500
    *Pris en compte* par <@U0ENGINEER> au bout de 3 min · déclaré à <!date^1795184160^{time}|15 h 16 (heure de Paris)> par <@U0ENGINEER> · inc_7
    *Service :* Web shop
    *Responsable de l’incident :* personne pour l’instant
    *Alertes :* niveau 1 sur 3 · ✅ <@U0ENGINEER> a répondu
    *Prochain point :* à <!date^1795185960^{time}|15 h 46 (heure de Paris)>
    *Roll back the shop* (v1.3.0 → v1.2.3) : en attente d’approbation, encore 1 approbation nécessaire · run_7_1
    <https://meet.example.com/inc|Rejoindre la réunion de crise> · <https://status.example.com|Page d’état> [Je m’en charge → role commander --in inc_7]
    [*Rédiger un point → update --in inc_7] [Diagnostiquer → diag --in inc_7] [Revenir en arrière… → rollback --in inc_7] [Service rétabli → mitigate --in inc_7] (menu: Résoudre → resolve --in inc_7; Autre action… → run --in inc_7; Alerter le niveau 2 maintenant → page --in inc_7 2; Annuler : ce n’était pas un incident → cancel --in inc_7; Afficher la chronologie → timeline --in inc_7)
    "#);
    insta::assert_snapshot!(look(&stage, Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · 🔎 À approuver : Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # 🔎 À approuver : Roll back the shop
    *v1.3.0 → v1.2.3* · shop (production)
    1. Switch the shop from v1.3.0 to v1.2.3
          ◦ image: shop:1.3.0 → shop:1.2.3
    2. Clear the page cache · → empty · cache (production)
    *Pourquoi :*
    • error rate 7.2 % for 5 min (limit 5 %)
    • v1.3.0 went live 6 min before
    *Risque :* réversible · urgent (moins de 15 min) · durée habituelle : 40 s
    *Quand s’abstenir :* bad data rather than bad code
    *Ne touche pas à :* the database
    *Vérifié ensuite :*
    • health page
    • error rate
    *Droits nécessaires, vérifiés :* patch deployments/shop in production
    *En cas d’échec d’une étape :* l’exécution s’arrête là, dit ce qui est fait et ce qui ne l’est pas, et ne modifie rien de plus.
    *Liste de contrôle :* 1 ligne obligatoire à cocher avant l’approbation
    ☐ The order queue is drained [Cocher → tick run_7_1 queue]
    ☐ Support is told (facultatif) [Cocher → tick run_7_1 told]
    *Approbations :* 0 sur 1, encore 1 (peuvent approuver : <@U0LEAD> et Responsable de l’incident ; pas l’auteur de la demande) · expire à <!date^1795185300^{time}|15 h 35 (heure de Paris)>
    ~ Demandé par <@U0ENGINEER> à <!date^1795184400^{time}|15 h 20 (heure de Paris)> · run_7_1 · plan cd3682f00317
    [Approuver → approve run_7_1 ? Roll back the shop : v1.3.0 → v1.2.3 sur shop (production). L’exécution démarre aussitôt.] [Refuser → reject run_7_1]
    "#);
}

#[test]
fn a_run_ticks_off_its_steps() {
    let mut stage = Stage::declared();
    stage.acknowledged().running().step_done(0).vigie(Fact::StepStarted { run: RUN, step: 1 });
    insta::assert_snapshot!(look(&stage, Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · ▶️ Running: Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # ▶️ Running: Roll back the shop
    *v1.3.0 → v1.2.3* · shop (production)
    Approved by <@U0LEAD>
    ✅ Switch the shop from v1.3.0 to v1.2.3: done in 2 s · 3 of 3 pods ready
    ▶️ Clear the page cache: running since <!date^1795184420^{time_secs}|20 November 2026, 15:20 (Paris time)>
    ~ Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317
    [Stop → stop run_7_1 ? Roll back the shop stops before its next step. What is done stays done.]
    "#);
    stage.by("U0LEAD", Fact::StopAsked { run: RUN });
    assert!(!look(&stage, Card::Run(RUN)).contains("→ stop"), "stopping twice");
}

#[test]
fn the_channel_is_told_before_a_rollback_begins_and_when_it_ends() {
    let stage = ended(Outcome::Done);
    let seq_of = |wanted: fn(&Fact) -> bool| stage.timeline.iter().find(|entry| wanted(&entry.fact)).unwrap().seq;
    let begins = Card::Notice(seq_of(|fact| matches!(fact, Fact::Approved { .. })));
    let ends = Card::Notice(seq_of(|fact| matches!(fact, Fact::RunFinished { .. })));
    insta::assert_snapshot!(look(&stage, begins), @r#"
    🟠 SEV2 · checkout returns 500 · ⏪ Rollback in progress · Web shop · inc_7 (SEV2)
    ---
    ⏪ *Rollback in progress* · *Web shop* · inc_7 (SEV2)
    Roll back the shop: v1.3.0 → v1.2.3
    Reason: error rate 7.2 % for 5 min (limit 5 %) · v1.3.0 went live 6 min before
    Impact: being assessed
    Class: urgent, expected to take 40 s
    Asked by <@U0ENGINEER>, approved by <@U0LEAD>
    run_7_1
    "#);
    insta::assert_snapshot!(look(&stage, ends), @r#"
    🟠 SEV2 · checkout returns 500 · ✅ Rolled back in 41 s: Web shop serves v1.2.3 again
    ---
    ✅ *Rolled back* in 41 s: *Web shop* serves v1.2.3 again
    • ✅ health page: 200 in 41 ms
    Services affected: Web shop
    run_7_1 · inc_7
    [*Post customer update → update --in inc_7]
    "#);
}

#[test]
fn a_result_says_what_is_and_what_comes_next() {
    insta::assert_snapshot!(look(&ended(Outcome::Done), Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · ✅ Done: Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # ✅ Done: Roll back the shop
    *Roll back the shop: done in 41 s* · now v1.2.3
    Approved by <@U0LEAD>
    ✅ Switch the shop from v1.3.0 to v1.2.3: done in 2 s · 3 of 3 pods ready
    ✅ Clear the page cache: done in 2 s · 3 of 3 pods ready
    *Verification*
    ✅ *health page:* 200 in 41 ms · within limits · 41 ms
    ○ error rate: not checked
    ~ Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317
    [*Post customer update → update --in inc_7] [Mitigated → mitigate --in inc_7] [Undo → undo run_7_1] [Diagnose → diag --in inc_7]
    "#);
    let why = || Words::verbatim("2 of 3 pods are not ready");
    insta::assert_snapshot!(look(&ended(Outcome::Failed { step: Some(1), why: why() }), Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · ❌ Failed: Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # ❌ Failed: Roll back the shop
    *Roll back the shop: stopped at step 2 of 2 after 2 s:* 2 of 3 pods are not ready
    Approved by <@U0LEAD>
    ✅ Switch the shop from v1.3.0 to v1.2.3: done in 2 s · 3 of 3 pods ready
    ❌ Clear the page cache: failed
    ```pod web-1: ImagePullBackOff```
    ~ Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317
    [*Try again → retry run_7_1 ? Roll back the shop goes on where it stopped, as it was approved. It begins at once.] [Skip … → skip run_7_1] [Undo → undo run_7_1] [Hand over … → handover run_7_1] (menu: Plan again → run --in inc_7 rollback-shop; Write update → update --in inc_7; Diagnose → diag --in inc_7)
    "#);
    insta::assert_snapshot!(look(&ended(Outcome::Stale { step: 1, found: Words::verbatim("v1.2.9") }), Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · ⚠️ Not carried out: Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # ⚠️ Not carried out: Roll back the shop
    *Roll back the shop: not carried out from step 2 on.* Found instead: v1.2.9. Ask for a new plan.
    Approved by <@U0LEAD>
    ✅ Switch the shop from v1.3.0 to v1.2.3: done in 2 s · 3 of 3 pods ready
    ⚠️ Clear the page cache: not done, the target had changed
    ```pod web-1: ImagePullBackOff```
    ~ Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317
    [*Plan again → run --in inc_7 rollback-shop] [Write update → update --in inc_7] [Diagnose → diag --in inc_7]
    "#);
    let mut unknown = ended(Outcome::Unknown { step: 1, why: Words::verbatim("The answer was lost.") });
    insta::assert_snapshot!(look(&unknown, Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · ❔ Outcome unknown: Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # ❔ Outcome unknown: Roll back the shop
    *Roll back the shop: nobody knows whether step 2 happened.* The answer was lost. Look at cache (production) and say below what you see; until then nothing else may change it.
    Approved by <@U0LEAD>
    ✅ Switch the shop from v1.3.0 to v1.2.3: done in 2 s · 3 of 3 pods ready
    ❔ Clear the page cache: outcome unknown
    ```pod web-1: ImagePullBackOff```
    ~ Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317
    [It happened → settle run_7_1 happened ? Roll back the shop: It happened. Others may change the target after this, so look first.] [It did not happen → settle run_7_1 not-happened ? Roll back the shop: It did not happen. Others may change the target after this, so look first.]
    "#);
    unknown.by("U0LEAD", Fact::RunSettled { run: RUN, happened: false });
    insta::assert_snapshot!(look(&unknown, Card::Run(RUN)), @r#"
    🟠 SEV2 · checkout returns 500 · ↩️ Settled, it did not happen: Roll back the shop · v1.3.0 → v1.2.3 · shop (production)
    ---
    # ↩️ Settled, it did not happen: Roll back the shop
    <@U0LEAD> looked: it did not happen. Known before: The answer was lost.
    Approved by <@U0LEAD>
    ✅ Switch the shop from v1.3.0 to v1.2.3: done in 2 s · 3 of 3 pods ready
    ○ Clear the page cache: not done
    ```pod web-1: ImagePullBackOff```
    ~ Asked by <@U0ENGINEER> at <!date^1795184400^{time}|15:20 (Paris time)> · run_7_1 · plan cd3682f00317
    [*Try again → retry run_7_1 ? Roll back the shop goes on where it stopped, as it was approved. It begins at once.] [Skip … → skip run_7_1] [Undo → undo run_7_1] [Hand over … → handover run_7_1] (menu: Plan again → run --in inc_7 rollback-shop; Write update → update --in inc_7; Diagnose → diag --in inc_7)
    "#);
}

#[test]
fn a_customer_text_waits_for_a_second_pair_of_eyes() {
    let mut stage = Stage::declared();
    let customer = Some("We are having difficulties.\nSome orders cannot be completed.".to_owned());
    let internal = Some("we are rolling back".to_owned());
    stage.by("U0ENGINEER", Fact::UpdatePosted { update: UPDATE, internal, customer, next_at: None });
    insta::assert_snapshot!(look(&stage, Card::Update(UPDATE)), @r#"
    🟠 SEV2 · checkout returns 500 · 📝 Status update by <@U0ENGINEER> at <!date^1795184160^{time}|15:16 (Paris time)> · we are rolling back
    ---
    📝 *Status update* by <@U0ENGINEER> at <!date^1795184160^{time}|15:16 (Paris time)>
    we are rolling back
    *For customers*, waiting for a second pair of eyes (anybody but the author) · goes to status page
    > We are having difficulties.
    > Some orders cannot be completed.
    [*Send to customers → send upd_7_1 ? To status page: “We are having difficulties. Some orders cannot be completed.”] [Hold back → hold upd_7_1]
    "#);
    stage.by("U0COMMS", Fact::CustomerTextApproved { update: UPDATE });
    stage.vigie(Fact::TextDelivered {
        update: UPDATE,
        customer: true,
        destination: "status page".into(),
        note: None,
        remote_id: None,
    });
    insta::assert_snapshot!(look(&stage, Card::Update(UPDATE)), @r#"
    🟠 SEV2 · checkout returns 500 · 📝 Status update by <@U0ENGINEER> at <!date^1795184160^{time}|15:16 (Paris time)> · we are rolling back
    ---
    📝 *Status update* by <@U0ENGINEER> at <!date^1795184160^{time}|15:16 (Paris time)>
    we are rolling back
    *For customers*, approved by <@U0COMMS> at <!date^1795184160^{time}|15:16 (Paris time)> · goes to status page
    > We are having difficulties.
    > Some orders cannot be completed.
    ✅ status page: sent
    "#);
}

#[test]
fn an_incident_that_is_over_asks_for_its_post_mortem() {
    let mut stage = ended(Outcome::Done);
    let cause = Some("v1.3.0 read a setting that production does not have".to_owned());
    let impact = Some("one order in three failed".to_owned());
    stage.after(600).by("U0LEAD", Fact::Resolved { summary: "rolled back to v1.2.3".into(), impact, cause });
    insta::assert_snapshot!(look(&stage, Card::Incident), @r#"
    🟠 SEV2 · checkout returns 500 · 14 min · resolved
    ---
    # 🟠 SEV2 · checkout returns 500
    *Resolved* by <@U0LEAD> at <!date^1795185059^{time}|15:30 (Paris time)> · it lasted 14 min · inc_7
    *Service:* Web shop
    *Commander:* nobody yet
    *Roll back the shop* (v1.3.0 → v1.2.3): done · run_7_1
    *What was done:* rolled back to v1.2.3
    *Impact:* one order in three failed
    *Cause:* v1.3.0 read a setting that production does not have
    <https://status.example.com|Status page>
    [*Post-mortem → postmortem --in inc_7] [Write update → update --in inc_7] [Reopen → reopen --in inc_7] (menu: Show the timeline → timeline --in inc_7)
    "#);
    insta::assert_snapshot!(look(&stage, Card::Notice(stage.incident().seq)), @r#"
    🟠 SEV2 · checkout returns 500 · ✅ <@U0LEAD> resolved it: rolled back to v1.2.3 · Impact: one order in three failed · Cause: v1.3.0 read a setting that production does not have
    ---
    ✅ <@U0LEAD> resolved it: rolled back to v1.2.3 · Impact: one order in three failed · Cause: v1.3.0 read a setting that production does not have
    A post-mortem is obligatory for this severity.
    [*Post-mortem → postmortem --in inc_7]
    "#);
}

#[test]
fn sheets_answer_in_the_readers_language() {
    let mut stage = Stage::declared();
    stage.acknowledged();
    stage.opens(vec![stage.incident().clone()]);
    let sheet = |sheet: Sheet, locale| sketch(&sheets::draw(&stage.scene(), &sheet, locale).unwrap());
    insta::assert_snapshot!(sheet(Sheet::List, Locale::Fr), @r#"
    1 incident ouvert
    ---
    *1 incident ouvert*
    🟠 SEV2 · checkout returns 500 · 3 min · pris en compte · inc_7 · <#C0INC7>
    "#);
    insta::assert_snapshot!(sheet(Sheet::Timeline, Locale::En), @r#"
    🟠 SEV2 · checkout returns 500 · Timeline of inc_7 · 6 entries
    ---
    *Timeline of inc_7* · 6 entries
    <!date^1795184160^{time_secs}|20 November 2026, 15:16 (Paris time)> · <@U0ENGINEER> declared inc_7: SEV2, checkout returns 500
    <!date^1795184160^{time_secs}|20 November 2026, 15:16 (Paris time)> · Level 1 of 3 is paged
    <!date^1795184160^{time_secs}|20 November 2026, 15:16 (Paris time)> · <@U0ENGINEER> is paged: Slack message
    <!date^1795184160^{time_secs}|20 November 2026, 15:16 (Paris time)> · <@U0ENGINEER> is paged: text message
    <!date^1795184160^{time_secs}|20 November 2026, 15:16 (Paris time)> · The channel #inc-7-checkout-returns-500 is open
    <!date^1795184340^{time_secs}|20 November 2026, 15:19 (Paris time)> · <@U0ENGINEER> answered and is on it
    "#);
    insta::assert_snapshot!(sheet(Sheet::Actions { rollbacks: true }, Locale::En), @r#"
    Which rollback? Nothing is changed before its plan is approved.
    ---
    *Which rollback?* Nothing is changed before its plan is approved.
    *Roll back the shop* · Web shop
    urgent (under 15 min) · can be changed back [Plan → run --in inc_7 rollback-shop]
    "#);
    insta::assert_snapshot!(sheet(Sheet::Help { topic: Some("sev".into()) }, Locale::Fr), @r#"
    Ce que vous pouvez dire
    ---
    *Ce que vous pouvez dire*
    `/incident severity &lt;severity&gt; [text …]`
    Changer la gravité, avec un motif si vous le souhaitez.
    Aussi : sev
    "#);
}

#[test]
fn bookmarks_are_the_links_that_are_configured() {
    let stage = Stage::declared();
    let bookmarks = topic::bookmarks(&stage.scene(), stage.incident()).unwrap();
    let links: Vec<(&str, &str)> = bookmarks.iter().map(|(title, link)| (title.as_str(), link.as_str())).collect();
    let call = ("Crisis call", "https://meet.example.com/inc");
    assert_eq!(links, [call, ("Status page", "https://status.example.com/")]);
}

//! What a team can rely on when it writes its configuration.

use std::collections::BTreeMap;

use super::{Config, Faults, parse};
use crate::incident::approval::{Approver, Risk};
use crate::incident::people::{Role, Way};
use crate::incident::time::Millis;

const PRACTICE: &str = include_str!("../../examples/practice.yml");
const PRACTICE_FR: &str = include_str!("../../examples/practice.fr.yml");
const MINIMAL: &str = include_str!("../../examples/minimal.yml");
const REFERENCE: &str = include_str!("../../examples/reference.yml");
/// The complete ones, each with its page.
const COMPLETE: [(&str, &str, &str); 5] = [
    ("go-live", include_str!("../../examples/go-live/vigie.yml"), include_str!("../../examples/go-live/README.md")),
    (
        "kubernetes-blue-green",
        include_str!("../../examples/kubernetes-blue-green/vigie.yml"),
        include_str!("../../examples/kubernetes-blue-green/README.md"),
    ),
    (
        "kubernetes-feature-flags",
        include_str!("../../examples/kubernetes-feature-flags/vigie.yml"),
        include_str!("../../examples/kubernetes-feature-flags/README.md"),
    ),
    (
        "rollback-agent",
        include_str!("../../examples/rollback-agent/vigie.yml"),
        include_str!("../../examples/rollback-agent/README.md"),
    ),
    (
        "vercel-supabase",
        include_str!("../../examples/vercel-supabase/vigie.yml"),
        include_str!("../../examples/vercel-supabase/README.md"),
    ),
];

fn environment() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from([
        ("SHOP_URL", "http://127.0.0.1:4001"),
        ("PHONES_URL", "http://127.0.0.1:4002"),
        ("PHONES_ACCOUNT", "AC00000000000000000000000000000001"),
        ("PHONES_TOKEN", "practice"),
        ("PHONES_SECRET", "practice-practice"),
        ("SMTP_PORT", "4003"),
        ("SHOP_TOKEN", "t1-of-nobody"),
        ("CDN_TOKEN", "t2-of-nobody"),
        ("CLOUDFLARE_TOKEN", "t12-of-nobody"),
        ("AWS_KEY_ID", "AKIA-EXAMPLE"),
        ("AWS_KEY", "t13-of-nobody"),
        ("MONITORING_TOKEN", "t8-of-nobody"),
        ("QUEUE_PASSWORD", "t3-of-nobody"),
        ("STATUS_PAGE_TOKEN", "t4-of-nobody"),
        ("SMTP_PASSWORD", "t5-of-nobody"),
        ("TWILIO_TOKEN", "t6-of-nobody"),
        ("WHATSAPP_TOKEN", "t7-of-nobody"),
        ("PAGERDUTY_KEY", "0123456789abcdef0123456789abcdef"),
        ("PAGER_SECRET", "0123456789abcdef"),
        ("VERCEL_TOKEN", "t8-of-nobody"),
        ("NETLIFY_TOKEN", "t9-of-nobody"),
        ("GITHUB_TOKEN", "t10-of-nobody"),
        ("GIT_TOKEN", "t11-of-nobody"),
        ("TWILIO_ACCOUNT", "AC00000000000000000000000000000001"),
        ("WAVE_TOKEN", "t12-of-nobody"),
        ("SENTRY_TOKEN", "t13-of-nobody"),
        ("PAYMENTS_TOKEN", "t14-of-nobody"),
        ("CLOUDFLARE_TOKEN", "t15-of-nobody"),
        ("SHOP_DB_PASSWORD", "t13-of-nobody"),
        ("SHOP_DATABASE_URL", "postgres://shop@db.example.com/shop"),
        ("HEARTBEAT_URL", "https://alive.example.com/vigie"),
    ])
}

fn read(text: &str) -> Result<Config, Faults> {
    read_with(text, &environment())
}

fn read_with(text: &str, environment: &BTreeMap<&'static str, &'static str>) -> Result<Config, Faults> {
    rustls::crypto::ring::default_provider().install_default().ok();
    parse("vigie.yml", text, &|name| environment.get(name).map(|value| (*value).to_owned()))
}

/// The headlines of all faults after replacing one piece of the practice configuration.
fn faults_after(from: &str, to: &str) -> Vec<String> {
    assert!(PRACTICE.contains(from), "the practice configuration has no “{from}”");
    match read(&PRACTICE.replacen(from, to, 1)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(super::Fault::headline).collect(),
    }
}

fn one_fault_after(from: &str, to: &str) -> String {
    let faults = faults_after(from, to);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    faults.into_iter().next().unwrap_or_default()
}

fn warnings_after(from: &str, to: &str) -> Vec<String> {
    assert!(PRACTICE.contains(from), "the practice configuration has no “{from}”");
    let config = read(&PRACTICE.replacen(from, to, 1)).unwrap_or_else(|faults| panic!("{faults}"));
    config.warnings.iter().map(super::Fault::headline).collect()
}

#[test]
fn every_example_loads_without_a_warning() {
    let examples =
        [("practice", PRACTICE), ("practice.fr", PRACTICE_FR), ("minimal", MINIMAL), ("reference", REFERENCE)];
    for (name, text) in examples.into_iter().chain(COMPLETE.map(|(name, text, _)| (name, text))) {
        let config = read(text).unwrap_or_else(|faults| panic!("{name}.yml:\n{faults}"));
        let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.is_empty(), "{name}.yml:\n{warnings:#?}");
    }
}

#[test]
fn every_page_of_an_example_names_its_actions_and_its_variables() {
    let variable = regex::Regex::new(r"\$\{(\w+)").unwrap();
    for (name, text, page) in COMPLETE {
        let actions: Vec<String> = read(text).unwrap().rules.actions.into_keys().collect();
        let variables = variable.captures_iter(text).map(|found| found[1].to_owned());
        let missing: Vec<String> =
            actions.into_iter().chain(variables).filter(|word| !page.contains(&format!("`{word}`"))).collect();
        assert!(missing.is_empty(), "examples/{name}/README.md does not name {missing:?}");
    }
}

#[test]
fn the_reference_shows_every_key() {
    let fields = regex::Regex::new(r"(?m)^    pub (\w+):").unwrap();
    let rooms = [
        include_str!("file.rs"),
        include_str!("../paging/email.rs").split("impl EmailConfig").next().unwrap_or_default(),
        include_str!("../comms/settings.rs").split("impl CommsConfig").next().unwrap_or_default(),
    ];
    let missing: Vec<String> = rooms
        .iter()
        .flat_map(|source| fields.captures_iter(source).map(|found| found[1].to_owned()))
        .filter(|key| !REFERENCE.contains(&format!("{key}:")))
        .collect();
    assert!(missing.is_empty(), "not in examples/reference.yml: {missing:?}");
}

#[test]
fn the_practice_configuration_says_what_the_core_must_know() {
    let rules = read(PRACTICE).unwrap().rules;
    let ranks: Vec<_> = rules.severities.iter().map(|severity| (severity.key.as_str(), severity.rank)).collect();
    assert_eq!(ranks, [("sev1", 1), ("sev2", 2), ("sev3", 3)]);
    let sev2 = rules.severity("major").unwrap();
    let ladder: Vec<Vec<&str>> =
        sev2.policy.levels.iter().map(|level| level.contacts.iter().map(|c| c.key.as_str()).collect()).collect();
    assert_eq!(ladder, [vec!["oncall"], vec!["lead", "dba"], vec!["cto"]]);
    assert_eq!((sev2.policy.levels[0].wait, sev2.policy.repeat), (Millis::minutes(15), 1));
    assert_eq!(rules.default_severity, "sev2");

    let oncall = &rules.contacts["oncall"];
    assert_eq!(oncall.phone.as_deref(), Some("+15550101"));
    assert_eq!(
        (oncall.page_with.as_slice(), oncall.fall_over.as_slice()),
        (&[Way::Slack, Way::Email][..], &[Way::Sms, Way::Voice][..])
    );
    assert_eq!(rules.contacts["comms"].page_with, [Way::Slack]);
    assert_eq!(rules.contacts["security"].address(Way::Webhook).as_deref(), Some("security"));

    let rollback = &rules.actions["rollback-shop"];
    assert!(rollback.is_rollback);
    assert_eq!(
        (rollback.risk, rollback.approval.needed, rollback.approval.requester_may),
        (Risk::Reversible, 1, false)
    );
    assert!(rollback.approval.by.contains(&Approver::Role(Role::Commander)));
    assert_eq!(rollback.approval.expires_after, Millis::minutes(15));
    assert!(rollback.checklist[0].required && !rollback.checklist[1].required);
    assert_eq!(rules.services["shop"].checks[1].title, "Buying a book");
    assert_eq!(
        (rules.audiences.internal, rules.audiences.customer),
        (vec!["company".to_owned()], vec!["customers".to_owned()])
    );
}

#[test]
fn the_practice_is_the_same_in_both_languages_but_for_its_words() {
    let outline = |text: &str| {
        let Config { rules, actions, comms, .. } = read(text).unwrap();
        let ladders: Vec<_> = rules
            .severities
            .iter()
            .flat_map(|severity| {
                severity.policy.levels.iter().map(|level| (severity.key.clone(), level.wait, level.contacts.len()))
            })
            .collect();
        let contacts: Vec<_> = rules
            .contacts
            .into_values()
            .map(|person| (person.key, person.slack, person.page_with, person.fall_over))
            .collect();
        let services: Vec<_> =
            rules.services.into_values().flat_map(|service| service.checks).map(|check| check.check).collect();
        let approvals: Vec<_> = rules
            .actions
            .into_values()
            .map(|action| {
                (action.key, action.risk, action.approval.by.len(), action.approval.needed, action.checklist.len())
            })
            .collect();
        let verified: Vec<_> =
            actions.actions.into_values().map(|action| (action.steps.len(), action.verify)).collect();
        let audiences: Vec<_> =
            comms.audiences.into_iter().map(|(name, audience)| (name, audience.destinations.len())).collect();
        format!("{ladders:#?}{contacts:#?}{services:#?}{approvals:#?}{verified:#?}{audiences:#?}")
    };
    assert_eq!(outline(PRACTICE), outline(PRACTICE_FR));
    assert_eq!(read(PRACTICE_FR).unwrap().rules.locale, "fr");
}

#[test]
fn an_audience_reads_the_teams_language_unless_it_has_one_of_its_own() {
    let french = PRACTICE.replace("${PRACTICE_LOCALE:-en}", "fr");
    let own = french.replace("    kind: internal\n", "    kind: internal\n    locale: en\n");
    for (text, locale) in [(&french, "fr"), (&own, "en")] {
        assert_eq!(read(text).unwrap().comms.audiences["company"].locale.as_deref(), Some(locale));
    }
}

#[test]
fn the_rooms_get_their_parts() {
    let config = read(PRACTICE).unwrap();
    assert_eq!(config.paging.email.unwrap().port, Some(4003));
    assert!(config.paging.sms.is_some() && config.paging.whatsapp.is_none());
    assert_eq!(config.actions.actions["rollback-shop"].verify, ["health", "checkout"]);
    assert_eq!(config.actions.services["shop"].len(), 3);
    assert_eq!(config.comms.audiences["customers"].destinations.len(), 2);
}

#[test]
fn many_faults_of_many_kinds_are_told_at_once() {
    let text = PRACTICE
        .replacen("locale: ${PRACTICE_LOCALE:-en}", "locale: de", 1)
        .replacen("snooze: 10m", "snooze: soon", 1)
        .replacen("channel_prefix: inc", "chanel_prefix: inc", 1)
        .replacen("policy: standard", "policy: standart", 1)
        .replacen("contacts: [lead, dba]", "contacts: [lead, dbb]", 1)
        .replacen("slack: U0CTO", "slack: \"@cto\"", 1)
        .replacen("pick: first_other", "pick: other", 1)
        .replacen("auth_token: ${PHONES_TOKEN}", "auth_token: ${PHONE_TOKEN}", 1);
    let faults = read(&text).unwrap_err();
    let told = faults.to_string();
    for sentence in [
        "Vigie does not speak “de” · write en or fr",
        "“soon” is not a length of time · write for example 30s, 15m, 2h or 1h 30m",
        "there is no key “chanel_prefix” here · did you mean “channel_prefix”?",
        "“@cto” is not a Slack member ID · in Slack open the profile",
        "“other” is not known here · it can be after_current, ask, before_current, first_other",
        "the variable PHONE_TOKEN is not set",
    ] {
        assert!(told.contains(sentence), "“{sentence}” is not in\n{told}");
    }
    let places: Vec<_> = faults.0.iter().map(|fault| fault.place).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_fault_in_one_entry_is_no_reason_to_call_it_unknown_elsewhere() {
    let fault = one_fault_after("slack: U0CTO", "slack: \"@cto\"");
    assert!(fault.contains("“@cto” is not a Slack member ID"), "{fault}");
}

#[test]
fn what_is_referred_to_must_be_there() {
    let cases = [
        (
            "policy: standard",
            "policy: standart",
            "there is no policy “standart” under policies · did you mean “standard”?",
        ),
        ("invite: [comms]", "invite: [coms]", "there is no contact “coms” under contacts · did you mean “comms”?"),
        ("fallback: [product]", "fallback: [produkt]", "there is no contact “produkt”"),
        (
            "by: [lead, dba, cto, \"role:commander\"]",
            "by: [laed, dba, cto]",
            "there is no contact “laed” under contacts · did you mean “lead”?",
        ),
        ("\"role:communications\"", "\"role:comander\"", "there is no role “comander” · did you mean “commander”?"),
        ("default_severity: sev2", "default_severity: sev4", "there is no severity “sev4”"),
        ("verify: [health, checkout]", "verify: [health, chekout]", "there is no check “chekout”"),
    ];
    for (from, to, sentence) in cases {
        let faults = faults_after(from, to);
        assert!(faults.iter().any(|fault| fault.contains(sentence)), "“{sentence}” is not in {faults:#?}");
    }
}

#[test]
fn a_way_to_page_needs_an_address_and_a_sender() {
    let fault = one_fault_after(
        "    phone: \"+1 555 0102\"\n    page_with: [slack, sms]\n    fall_over: [voice]",
        "    page_with: [slack, sms]",
    );
    assert!(
        fault.contains("“dba” is to be reached by sms, but has no phone number · add “phone: +15550100123”"),
        "{fault}"
    );
    let fault = one_fault_after("page_with: [slack, webhook]", "page_with: [slack, whatsapp]");
    assert!(fault.contains("whatsapp is not set up in this file · add “whatsapp:” under “paging:”"), "{fault}");
    let fault = one_fault_after("contacts: [dba, security]", "contacts: [dba, stranger]").replace("stranger", "…");
    assert!(fault.contains("there is no contact “…”"), "{fault}");
}

#[test]
fn somebody_who_cannot_be_paged_is_not_on_a_ladder() {
    let fault = one_fault_after("fallback: [product]", "fallback: [visitor]\n  # …");
    assert!(fault.contains("there is no contact “visitor”"), "{fault}");
    let start = PRACTICE.find("  product:\n").unwrap();
    let end = PRACTICE.find("\nservices:").unwrap();
    let faults = faults_after(&PRACTICE[start..end], "  product:\n    name: Product owner\n");
    let told = "nothing says how “product” is paged · add “page_with: [slack]” to “product” under contacts";
    assert_eq!(faults.iter().filter(|fault| fault.contains(told)).count(), 2, "once on each ladder: {faults:#?}");
}

#[test]
fn a_ladder_has_rungs_with_people_on_them() {
    let fault = one_fault_after("contacts: [dba, security]", "contacts: []");
    assert!(fault.contains("this level pages nobody · name at least one contact"), "{fault}");
    let start = PRACTICE.find("  calm:\n").unwrap();
    let end = PRACTICE.find("# Everybody of the emergency plan").unwrap();
    let fault = one_fault_after(&PRACTICE[start..end], "  calm:\n    levels: []\n\n");
    assert!(fault.contains("the policy “calm” has no level"), "{fault}");
}

/// What programs say is searched for the secrets; a short one would be found in every other word.
#[test]
fn a_secret_that_is_too_short_to_be_hidden_is_named_and_not_shown() {
    let mut environment = environment();
    environment.insert("SHOP_DB_PASSWORD", "hunter2");
    environment.insert("SHOP_DATABASE_URL", "postgres://shop:sesame@db.example.com/shop");
    let config = read_with(REFERENCE, &environment).unwrap_or_else(|faults| panic!("{faults}"));
    let warnings: Vec<String> = config.warnings.iter().map(super::Fault::headline).collect();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    for (warning, name) in warnings.iter().zip(["databases.shop.password", "secrets.DATABASE_URL"]) {
        assert!(warning.contains(name) && warning.contains("too short"), "{warning}");
        assert!(!warning.contains("hunter2") && !warning.contains("sesame"), "{warning}");
    }
}

/// P6 · whoever gets the customers' data or the secrets into a file needs somebody's yes, though nothing is changed.
#[test]
fn a_copy_of_data_or_secrets_is_approved_by_somebody() {
    let config = read(REFERENCE).unwrap_or_else(|faults| panic!("{faults}"));
    for action in ["export-orders", "keep-variables"] {
        let rule =
            &config.rules.actions.iter().find(|(key, _)| key.as_str() == action).expect("it is there").1.approval;
        assert_eq!(rule.needed, 1, "{action}");
    }
    let unasked = REFERENCE.replace("    risk: read_only\n", "    risk: read_only\n    approval: { needed: 0 }\n");
    let faults = read_with(&unasked, &environment()).unwrap_err();
    let faults: Vec<String> = faults.0.iter().map(super::Fault::headline).collect();
    assert_eq!(
        faults.iter().filter(|fault| fault.contains("writes a copy of data or secrets")).count(),
        2,
        "{faults:#?}"
    );
}

#[test]
fn a_rollback_without_a_verification_plan_is_refused() {
    let fault = one_fault_after("    verify: [health, checkout]\n", "");
    assert!(fault.contains("needs checks that must pass afterwards (P2)"), "{fault}");
    assert!(fault.starts_with("vigie.yml:") && !fault.starts_with("vigie.yml: "), "it has a place: {fault}");
    let faults = faults_after("    service: shop\n    rollback: true", "    rollback: true");
    assert!(faults[0].contains("the rollback “rollback-shop” belongs to no service"), "{faults:?}");
}

#[test]
fn as_many_can_approve_as_must() {
    let fault = one_fault_after("needed: 1", "needed: 5");
    assert!(fault.contains("“rollback-shop” needs 5 approvals, but only 4 may approve"), "{fault}");
    let fault = one_fault_after("needed: 1", "needed: 0");
    assert!(
        fault.contains("“rollback-shop” changes something, so somebody must approve it · write “needed: 1”"),
        "{fault}"
    );
    let warnings = warnings_after("by: [lead, dba, cto, \"role:commander\"]", "by: [lead]");
    assert!(
        warnings[0].contains("“rollback-shop” can never be approved when one of its approvers asks for it"),
        "{warnings:?}"
    );
}

#[test]
fn an_approver_needs_a_slack_id() {
    let faults = faults_after("    slack: U0COMMS\n", "");
    let told = faults.join("\n");
    assert!(
        told.contains("“comms” cannot approve anything without a Slack ID · add “slack: U…” to “comms” under contacts"),
        "{told}"
    );
    assert!(told.contains("“comms” cannot be invited without a Slack ID"), "{told}");
}

#[test]
fn a_word_means_one_severity_and_one_service_and_an_id_one_person() {
    let fault = one_fault_after("aliases: [major, p2]", "aliases: [major, P1]");
    assert!(fault.contains("“p1” means two severities: “sev1” and “sev2”"), "{fault}");
    let fault = one_fault_after("slack: U0DBA", "slack: U0ONCALL");
    assert!(fault.contains("“oncall” and “dba” are the same person in Slack"), "{fault}");
    let fault = one_fault_after("key: sev3", "key: sev2").replace("sev2", "…");
    assert!(fault.contains("there are two severities “…”"), "{fault}");
}

#[test]
fn what_works_but_is_odd_is_a_warning() {
    let warnings = warnings_after("policy: calm", "policy: standard");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("no severity uses the policy “calm”"), "{warnings:?}");
    let warnings = warnings_after("respond_within: 30m", "respond_within: 10m");
    assert!(
        warnings[0].contains("somebody must answer sooner than the second level of “standard” is paged"),
        "{warnings:?}"
    );
}

#[test]
fn a_lone_approver_of_customer_texts_is_a_warning_because_the_author_may_not_approve() {
    for only in ["comms", "\"role:communications\""] {
        let warnings =
            warnings_after("approved_by: [comms, support, \"role:communications\"]", &format!("approved_by: [{only}]"));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains(
                "a text for customers can be approved by nobody when this one approver writes it · name one more"
            ),
            "{warnings:?}"
        );
    }
}

#[test]
fn a_severity_proposes_actions_that_exist() {
    let proposing = |keys: &str| format!("policy: everybody\n    propose: [{keys}]");
    let changed = PRACTICE.replacen("policy: everybody", &proposing("rollback-shop, deploy-shop"), 1);
    assert_eq!(read(&changed).unwrap().rules.severity("sev1").unwrap().propose, ["rollback-shop", "deploy-shop"]);
    let fault = one_fault_after("policy: everybody", &proposing("rollback-shpo"));
    assert!(
        fault.contains("there is no action “rollback-shpo” under actions · did you mean “rollback-shop”?"),
        "{fault}"
    );
    let warnings = warnings_after("policy: everybody", &proposing("rollback-shop, rollback-shop"));
    assert!(warnings[0].contains("“rollback-shop” stands in this list twice"), "{warnings:?}");
}

#[test]
fn a_folder_of_files_is_one_configuration() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let at = MINIMAL.find("contacts:\n  oncall").unwrap();
    write("1-plan.yml", &MINIMAL[..at]);
    write("2-people.yaml", &MINIMAL[at..]);
    write(".3-editor.yml", "no: configuration");
    write("notes.txt", "no: configuration");
    let config = super::load(folder.path(), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.rules.contacts.len(), 2);

    write(
        "3-more.yml",
        "contacts:\n  lead: {name: Another}\nseverities:\n  - {key: sev1, criteria: x, respond_within: 1h, policy: on-call}\nservices: {shop: {titel: Shop}}\n",
    );
    let told = super::load(folder.path(), &|_| None).unwrap_err().to_string();
    let spot = |name: &str| folder.path().join(name).display().to_string();
    for sentence in [
        format!(
            "{}:2:3: “lead” stands here a second time; the first is at {}:5:3 ·",
            spot("3-more.yml"),
            spot("2-people.yaml")
        ),
        format!(
            "{}:4:11: there are two severities “sev1”; the first is at {}:",
            spot("3-more.yml"),
            spot("1-plan.yml")
        ),
        format!("{}:5:19: there is no key “titel” here · did you mean “title”?", spot("3-more.yml")),
    ] {
        assert!(told.contains(&sentence), "{sentence} is not in\n{told}");
    }
}

#[test]
fn a_folder_without_a_file_says_how_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let told = super::load(folder.path(), &|_| None).unwrap_err().to_string();
    assert!(told.contains("there is no .yml file in this folder · write a first one with vigie init"), "{told}");
}

#[test]
fn what_a_room_finds_wrong_is_shown_where_it_stands() {
    let line = |of: &str| PRACTICE.lines().position(|line| line.contains(of)).unwrap() + 1;
    let fault = one_fault_after("from: \"+15550100123\"", "from: \"0155501\"");
    assert!(fault.starts_with(&format!("vigie.yml:{}:11: from: ", line("from: \"+15550100123\""))), "{fault}");
    let fault = one_fault_after("slack: C0GENERAL", "slack: general");
    assert!(fault.starts_with(&format!("vigie.yml:{}:16: slack: ", line("slack: C0GENERAL"))), "{fault}");
    let fault = one_fault_after("current: /active\n            choices", "current: active\n            choices");
    assert!(fault.starts_with(&format!("vigie.yml:{}:22: current: ", line("current: /active"))), "{fault}");
    let fault = one_fault_after("url: ${SHOP_URL}/metrics", "url: shop.example.com/metrics");
    assert!(fault.starts_with(&format!("vigie.yml:{}:16: url: ", line("url: ${SHOP_URL}/metrics"))), "{fault}");
}

#[test]
fn no_fault_shows_a_secret() {
    let text = PRACTICE
        .replacen("auth_token: ${PHONES_TOKEN}", "auth_token: [hunter2hunter2]", 1)
        .replacen("secret: ${PHONES_SECRET}", "secret: hunter2hunter2", 1)
        .replacen("phone: \"+1 555 0101\"", "phone: xoxb-123456789012-hunter2", 1)
        .replacen("port: ${SMTP_PORT}", "port: ${PHONES_TOKEN}", 1);
    let told = read(&text).unwrap_err().to_string();
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("“${PHONES_TOKEN}” is not a whole number"), "{told}");
    assert!(!told.contains("practice\""), "{told}");
    assert!(told.contains("“secret” holds a credential that is written out"), "{told}");
    let broken = format!("{PRACTICE}\n  password: \"hunter2\n bad\tyaml: [");
    let told = read(&broken).unwrap_err().to_string();
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn an_empty_file_says_what_to_begin_with() {
    for text in ["", "# nothing yet\n", "[]", "just words"] {
        let told = read(text).unwrap_err().to_string();
        assert!(told.contains(" · "), "{told}");
    }
}

//! What each helper promises to whoever writes a template, in both languages and both dialects.

use serde_json::{Value, json};

use super::{Locale, Renderer};

/// 20 November 2026, 13:30 UTC.
const AT: i64 = 1_795_181_400_000;

struct Pen {
    renderer: Renderer,
}

impl Pen {
    fn new() -> Self {
        match Renderer::load(None) {
            Ok(renderer) => Self { renderer },
            Err(fault) => panic!("{fault}"),
        }
    }

    fn slack(&self, template: &str, variables: Value) -> String {
        let book = &self.renderer.books[&Locale::En];
        book.slack.render_template(template, &variables).unwrap()
    }

    fn plain(&self, locale: Locale, template: &str, variables: Value) -> String {
        let book = &self.renderer.books[&locale];
        book.plain.render_template(template, &variables).unwrap()
    }

    fn en(&self, template: &str, variables: Value) -> String {
        self.plain(Locale::En, template, variables)
    }

    /// French, with its unbreakable spaces made visible.
    fn fr(&self, template: &str, variables: Value) -> String {
        self.plain(Locale::Fr, template, variables).replace('\u{a0}', "~")
    }

    fn fault(&self, template: &str, variables: Value) -> String {
        let book = &self.renderer.books[&Locale::En];
        let fault = book.plain.render_template(template, &variables);
        fault.unwrap_err().to_string()
    }
}

#[test]
fn an_instant_in_slack_shows_in_each_reader_s_zone() {
    let pen = Pen::new();
    assert_eq!(
        pen.slack("{{time at}}", json!({"at": AT, "tz": "Europe/Paris"})),
        "<!date^1795181400^{time}|14:30 (Paris time)>"
    );
    assert_eq!(
        pen.slack("{{slackdate at \"{date_num} {time_secs}\"}}", json!({"at": AT})),
        "<!date^1795181400^{date_num} {time_secs}|20 November 2026, 13:30 (UTC)>"
    );
    assert_eq!(
        pen.slack("{{slackdate at \"{time}\" other}}", json!({"at": AT, "other": "<now>"})),
        "<!date^1795181400^{time}|&lt;now&gt;>"
    );
}

#[test]
fn an_instant_outside_slack_is_written_in_the_message_s_zone() {
    let pen = Pen::new();
    let paris = json!({"at": AT, "tz": "Europe/Paris"});
    assert_eq!(pen.en("{{time at}}", paris.clone()), "14:30 (Paris time)");
    assert_eq!(pen.en("{{time at zone=false}}", paris.clone()), "14:30");
    assert_eq!(pen.fr("{{time at zone=false}}", paris.clone()), "14~h~30");
    assert_eq!(pen.fr("{{datetime at}}", paris.clone()), "20 novembre 2026 à 14~h~30 (heure de Paris)");
    assert_eq!(pen.en("{{date at}}", paris.clone()), "20 November 2026");
    assert_eq!(pen.en("{{time at \"America/New_York\"}}", paris), "08:30 (New York time)");
    assert_eq!(pen.en("{{time at}}", json!({"at": AT})), "13:30 (UTC)");
    assert_eq!(pen.fr("{{time at \"Europe/London\"}}", json!({"at": AT})), "13~h~30 (heure de Londres)");
    let first = json!({"at": AT - 19 * 86_400_000});
    assert_eq!(pen.fr("{{date at}}", first), "1er novembre 2026");
}

#[test]
fn a_zone_that_does_not_exist_is_a_fault() {
    let fault = Pen::new().fault("{{time at}}", json!({"at": AT, "tz": "Europe/Pariis"}));
    assert!(fault.contains("time does not know the time zone “Europe/Pariis”"), "{fault}");
}

#[test]
fn an_instant_must_be_a_whole_number() {
    let pen = Pen::new();
    let fault = pen.fault("{{time at}}", json!({"at": "14:30"}));
    assert!(fault.contains("time needs a whole number"), "{fault}");
    let fault = pen.fault("{{time att}}", json!({"at": AT}));
    assert!(fault.contains("att"), "{fault}");
}

#[test]
fn a_duration_is_written_as_each_language_writes_it() {
    let pen = Pen::new();
    let en = |ms: i64| pen.en("{{duration ms}}", json!({"ms": ms}));
    let fr = |ms: i64| pen.fr("{{duration ms}}", json!({"ms": ms}));
    assert_eq!(en(14 * 60_000), "14 min");
    assert_eq!(en(65 * 60_000), "1 h 05 min");
    assert_eq!(en(41_000), "41 s");
    assert_eq!(en(-120_000), "−2 min");
    assert_eq!(fr(65 * 60_000), "1~h~05~min");
    assert_eq!(fr(51 * 3_600_000), "2~j~3~h");
}

#[test]
fn words_follow_the_language_s_plural() {
    let pen = Pen::new();
    let template = "{{n}} {{plural n \"service\" \"services\"}}";
    let en = |n: i64| pen.en(template, json!({"n": n}));
    let fr = |n: i64| pen.fr(template, json!({"n": n}));
    assert_eq!([en(0), en(1), en(2)], ["0 services", "1 service", "2 services"]);
    assert_eq!([fr(0), fr(1), fr(2)], ["0 service", "1 service", "2 services"]);
}

#[test]
fn a_list_reads_like_a_sentence() {
    let pen = Pen::new();
    let en = |names: Value| pen.en("{{list names}}", json!({ "names": names }));
    assert_eq!(en(json!([])), "");
    assert_eq!(en(json!(["a"])), "a");
    assert_eq!(en(json!(["a", "b"])), "a and b");
    assert_eq!(en(json!(["a", "b", "c"])), "a, b and c");
    assert_eq!(pen.fr("{{list n}}", json!({"n": ["a", "b", "c"]})), "a, b et c");
    assert_eq!(pen.slack("{{list n}}", json!({"n": ["<a>", "b"]})), "&lt;a&gt; and b");
}

#[test]
fn numbers_are_grouped_as_each_language_groups_them() {
    let pen = Pen::new();
    let n = |n: Value| json!({ "n": n });
    assert_eq!(pen.en("{{number n}}", n(json!(12_345))), "12,345");
    assert_eq!(pen.en("{{number n}}", n(json!(999))), "999");
    assert_eq!(pen.en("{{number n}}", n(json!(-1_234_567.5))), "−1,234,567.5");
    assert_eq!(pen.fr("{{number n}}", n(json!(12_345.25))), "12~345,25");
}

#[test]
fn text_is_cut_between_characters() {
    let pen = Pen::new();
    let cut = |text: &str, n: i64| pen.en("{{truncate t n}}", json!({"t": text, "n": n}));
    assert_eq!(cut("héhé", 4), "héhé");
    assert_eq!(cut("héhéhé", 4), "héh…");
    assert_eq!(cut("ab cd", 4), "ab…");
    assert_eq!(cut("ab", 0), "");
}

#[test]
fn text_helpers_are_escaped_in_slack() {
    let pen = Pen::new();
    let hostile = json!({"t": "<!here>\nnow"});
    assert_eq!(pen.slack("{{oneline t}}", hostile.clone()), "&lt;!here&gt; now");
    assert_eq!(pen.slack("{{upper (oneline t)}}", hostile.clone()), "&lt;!HERE&gt; NOW");
    assert_eq!(pen.slack("{{bold t}}", hostile.clone()), "*&lt;!here&gt; now*");
    assert_eq!(pen.en("{{bold t}}", hostile), "<!here> now");
}

#[test]
fn a_cell_cannot_break_its_table() {
    let pen = Pen::new();
    assert_eq!(pen.en("{{cell t}}", json!({"t": "a|b\nc"})), "a\\|b c");
}

#[test]
fn a_default_stands_in_for_what_is_absent_null_or_blank() {
    let pen = Pen::new();
    let say = |variables: Value| pen.en("{{default who \"nobody yet\"}}", variables);
    assert_eq!(say(json!({})), "nobody yet");
    assert_eq!(say(json!({"who": null})), "nobody yet");
    assert_eq!(say(json!({"who": " "})), "nobody yet");
    assert_eq!(say(json!({"who": 0})), "0");
}

#[test]
fn a_person_is_mentioned_in_slack_and_named_elsewhere() {
    let pen = Pen::new();
    let both = json!({"p": {"id": "U0123ABC", "name": "On-call lead"}});
    assert_eq!(pen.slack("{{person p}}", both.clone()), "<@U0123ABC>");
    assert_eq!(pen.en("{{person p}}", both), "On-call lead");
    let forged = json!({"p": {"id": "!channel", "name": "<!channel>"}});
    assert_eq!(pen.slack("{{person p}}", forged), "&lt;!channel&gt;");
    assert_eq!(pen.slack("{{person p}}", json!({"p": "A & B"})), "A &amp; B");
}

#[test]
fn several_people_read_like_a_sentence() {
    let pen = Pen::new();
    let several = json!({"p": [{"id": "U1", "name": "On-call lead"}, "DBA", {"id": null, "name": "CTO"}]});
    assert_eq!(pen.slack("{{people p}}", several.clone()), "<@U1>, DBA and CTO");
    assert_eq!(pen.fr("{{people p}}", several), "On-call lead, DBA et CTO");
}

#[test]
fn a_link_has_a_name_in_slack_and_an_address_elsewhere() {
    let pen = Pen::new();
    let link = json!({"l": "https://status.example.com/?a=1&b=2"});
    assert_eq!(
        pen.slack("{{anchor l \"Status page\"}}", link.clone()),
        "<https://status.example.com/?a=1&amp;b=2|Status page>"
    );
    assert_eq!(pen.en("{{anchor l \"Status page\"}}", link), "Status page: https://status.example.com/?a=1&b=2");
    let odd = json!({"l": "javascript:<x>"});
    assert_eq!(pen.slack("{{anchor l \"Page\"}}", odd), "Page: javascript:&lt;x&gt;");
}

#[test]
fn a_message_may_use_labels() {
    let pen = Pen::new();
    assert_eq!(pen.en("{{label \"status\" s}}", json!({"s": "mitigated"})), "mitigated");
    assert_eq!(
        pen.slack("{{label \"refusal\" \"unknown_incident\" incident=x}}", json!({"x": "<7>"})),
        "There is no incident &lt;7&gt;. /incident list shows the open ones."
    );
    let fault = pen.fault("{{label \"status\" s}}", json!({"s": "odd"}));
    assert!(fault.contains("knows no label “status.odd”"), "{fault}");
}

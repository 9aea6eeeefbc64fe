//! Helpers for instants and durations, both in milliseconds.
//!
//! In Slack an instant becomes a Slack date, so that each reader sees the own zone; elsewhere it is
//! written in the zone named by the message's `tz`, or by the argument. The forms are labels
//! (`format.*`, `unit.*`, `month.*`, `zone.*`).

use handlebars::RenderErrorReason;
use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};

use super::{Call, Dialect};

type Text = Result<String, RenderErrorReason>;

/// `{{time instant}}`, `{{time instant "Europe/Paris"}}`, `{{time instant zone=false}}`: the hour.
pub(super) fn time(call: &Call<'_, '_>) -> Text {
    instant(call, "format.time", "format.slack_time")
}

/// `{{datetime instant}}`: the day and the hour.
pub(super) fn datetime(call: &Call<'_, '_>) -> Text {
    instant(call, "format.datetime", "format.slack_datetime")
}

/// `{{date instant}}`: the day.
pub(super) fn date(call: &Call<'_, '_>) -> Text {
    instant(call, "format.date", "format.slack_date")
}

/// `{{slackdate instant "{time_secs}" fallback}}`: a Slack date in any of Slack's forms. The fall-back,
/// and the text outside Slack, is the third argument or else the `datetime` form.
/// (Slack's page “Formatting message text”, “Date formatting”.)
pub(super) fn slackdate(call: &Call<'_, '_>) -> Text {
    let at = call.whole(0)?;
    let form = call.words(1)?;
    let fallback = if call.helper.param(2).is_some() {
        call.words(2)?
    } else {
        let zoned = zoned(call, at, zone_name(call, None)?)?;
        written(call, &zoned, "format.datetime", true)?
    };
    Ok(match call.style.dialect {
        Dialect::Plain | Dialect::Markdown => fallback,
        Dialect::Slack => token(call, at, &form, &fallback),
    })
}

/// `{{duration ms}}`: “2.4 s”, “41 s”, “14 min”, “1 h 05 min”, “2 d 3 h”.
pub(super) fn duration(call: &Call<'_, '_>) -> Result<Value, RenderErrorReason> {
    let milliseconds = call.whole(0)?;
    let sign = if milliseconds < 0 { "−" } else { "" };
    let length = milliseconds.unsigned_abs();
    let (key, large, small) = parts(length);
    let tenth = length / 100 % 10;
    let n = match (1_000..10_000).contains(&length) && tenth > 0 {
        true => json!(format!("{large}{}{tenth}", call.label("format.decimals", Map::new())?)),
        false => json!(large),
    };
    let variables = Map::from_iter([
        ("n".to_owned(), n),
        ("rest".to_owned(), json!(small)),
        ("rest2".to_owned(), json!(format!("{small:02}"))),
    ]);
    let text = call.label(&format!("unit.{key}"), variables)?;
    Ok(format!("{sign}{text}").into())
}

/// The unit to speak in, its count, and the count of the next smaller unit. Seconds matter up to five
/// minutes (a rollback's length); after that minutes do, and after two days hours do.
fn parts(milliseconds: u64) -> (&'static str, u64, u64) {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = milliseconds / 1000;
    match seconds {
        0 => ("ms", milliseconds, 0),
        1..MINUTE => ("s", seconds, 0),
        MINUTE..300 if !seconds.is_multiple_of(MINUTE) => ("min_s", seconds / MINUTE, seconds % MINUTE),
        MINUTE..HOUR => ("min", seconds / MINUTE, 0),
        HOUR..172_800 => ("h_min", seconds / HOUR, seconds % HOUR / MINUTE),
        _ => ("d_h", seconds / DAY, seconds % DAY / HOUR),
    }
}

fn instant(call: &Call<'_, '_>, plain: &str, slack: &str) -> Text {
    let at = call.whole(0)?;
    let asked = match call.helper.param(1) {
        Some(_) => Some(call.words(1)?),
        None => None,
    };
    let named = asked.is_some();
    let with_zone = call.option("zone") != Some(&Value::Bool(false));
    let zoned = zoned(call, at, zone_name(call, asked)?)?;
    let text = written(call, &zoned, plain, with_zone)?;
    Ok(match call.style.dialect {
        Dialect::Slack if !named => token(call, at, &call.label(slack, Map::new())?, &text),
        _ => call.safe(&text),
    })
}

/// `<!date^seconds^form|fallback>`.
fn token(call: &Call<'_, '_>, at: i64, form: &str, fallback: &str) -> String {
    let form = form.replace(['^', '|', '<', '>'], " ");
    format!("<!date^{}^{form}|{}>", at.div_euclid(1000), call.safe(fallback))
}

/// The zone asked for, else the message's `tz`, else UTC (which is then written out).
fn zone_name(call: &Call<'_, '_>, asked: Option<String>) -> Text {
    if let Some(name) = asked.filter(|name| !name.is_empty()) {
        return Ok(name);
    }
    match call.root("tz") {
        None | Some(Value::Null) => Ok("UTC".to_owned()),
        Some(Value::String(name)) => Ok(name.clone()),
        Some(other) => Err(call.fault(&format!("needs a time zone such as Europe/Paris in tz, and found {other}"))),
    }
}

fn zoned(call: &Call<'_, '_>, at: i64, zone: String) -> Result<Zoned, RenderErrorReason> {
    Timestamp::from_millisecond(at)
        .map_err(|_| call.fault(&format!("cannot write {at} ms: it is no instant")))?
        .in_tz(&zone)
        .map_err(|_| call.fault(&format!("does not know the time zone “{zone}”")))
}

/// The instant in the form that the label `key` gives.
fn written(call: &Call<'_, '_>, zoned: &Zoned, key: &str, with_zone: bool) -> Text {
    let month = call.label(&format!("month.{}", zoned.month()), Map::new())?;
    let zone = if with_zone { Value::from(zone_words(call, zoned)?) } else { Value::Null };
    call.label(
        key,
        Map::from_iter([
            ("day".to_owned(), json!(zoned.day())),
            ("hour".to_owned(), json!(zoned.hour())),
            ("hour2".to_owned(), json!(format!("{:02}", zoned.hour()))),
            ("minute".to_owned(), json!(format!("{:02}", zoned.minute()))),
            ("month".to_owned(), json!(month)),
            ("year".to_owned(), json!(zoned.year())),
            ("zone".to_owned(), zone),
        ]),
    )
}

/// “Paris time”: from the label `zone.<IANA name>` where there is one, else from the city's name.
fn zone_words(call: &Call<'_, '_>, zoned: &Zoned) -> Text {
    let name = zoned.time_zone().iana_name().unwrap_or("UTC");
    let own = format!("zone.{name}");
    if call.has_label(&own) {
        return call.label(&own, Map::new());
    }
    let city = name.rsplit('/').next().unwrap_or(name).replace('_', " ");
    call.label("zone.other", Map::from_iter([("city".to_owned(), json!(city))]))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_duration_is_told_in_the_units_that_matter() {
        assert_eq!(parts(400), ("ms", 400, 0));
        assert_eq!(parts(41_900), ("s", 41, 0));
        assert_eq!(parts(95_000), ("min_s", 1, 35));
        assert_eq!(parts(120_000), ("min", 2, 0));
        assert_eq!(parts(14 * 60_000 + 30_000), ("min", 14, 0));
        assert_eq!(parts(65 * 60_000), ("h_min", 1, 5));
        assert_eq!(parts(47 * 3_600_000), ("h_min", 47, 0));
        assert_eq!(parts(51 * 3_600_000), ("d_h", 2, 3));
    }
}

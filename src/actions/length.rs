//! Lengths of time as people write them in the configuration: `500ms`, `30s`, `5m`, `1h 30m`, `7d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize as _, Deserializer, de};

use crate::incident::time::Millis;

/// Reads a length of time; for `#[serde(deserialize_with = "length::read")]`.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

/// Reads a length of time that may be left out.
pub fn read_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
    read(deserializer).map(Some)
}

/// A length of time from text.
///
/// # Errors
/// A sentence with examples when the text is none, or is negative.
pub fn parse(text: &str) -> Result<Millis, String> {
    let wrong = || format!("“{text}” is not a length of time; write for example 500ms, 30s, 5m or 1h 30m");
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let millis = i64::try_from(length.as_millis()).map_err(|_| wrong())?;
    if millis < 0 { Err(wrong()) } else { Ok(Millis(millis)) }
}

/// For the runtime's timers.
pub fn duration(length: Millis) -> Duration {
    Duration::from_millis(u64::try_from(length.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_write_them() {
        let read = ["500ms", "30s", "5m", "1h 30m", "2 min", "7d"].map(|text| parse(text).unwrap().0);
        assert_eq!(read, [500, 30_000, 300_000, 5_400_000, 120_000, 604_800_000]);
    }

    #[test]
    fn a_length_without_a_unit_is_refused_with_examples() {
        for text in ["30", "-5s", "soon", "", "1 month"] {
            assert!(parse(text).unwrap_err().contains("30s"), "{text}");
        }
    }
}

//! When an action may be approved: windows and freezes (P8).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::time::Instant;

/// How far ahead the next opening is looked for, in days.
const AHEAD: i64 = 400;

/// A window, in the clock of its zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its name in the configuration.
    pub name: String,
    /// The IANA time zone.
    pub zone: String,
    /// The days of the week, Monday is 1.
    pub days: BTreeSet<i8>,
    /// When it opens on such a day.
    pub from: Time,
    /// When it closes.
    pub to: Time,
    /// Days on which it stays closed.
    pub freezes: Vec<Freeze>,
}

/// Days on which nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// Why.
    pub why: String,
}

/// A window is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// When it opens next, where it does.
    pub opens_at: Option<Instant>,
    /// The reason of the freeze, in a freeze.
    pub why: Option<String>,
}

impl Window {
    /// Nothing while it is open.
    pub fn closed(&self, now: Instant) -> Option<Closed> {
        let zone = TimeZone::get(&self.zone).unwrap_or(TimeZone::UTC);
        let here = zone.to_datetime(Timestamp::from_millisecond(now.0).ok()?);
        let frozen = self.freeze(here.date());
        let is_open = self.opens_on(here.date()) && self.from <= here.time() && here.time() < self.to;
        if is_open {
            return None;
        }
        let days = (0..=AHEAD).filter_map(|ahead| here.date().checked_add(jiff::Span::new().days(ahead)).ok());
        let openings = days.filter(|day| self.opens_on(*day)).filter_map(|day| {
            let at = zone.to_timestamp(day.to_datetime(self.from)).ok()?;
            Some(Instant(at.as_millisecond())).filter(|at| *at > now)
        });
        Some(Closed { opens_at: openings.take(1).next(), why: frozen.map(|freeze| freeze.why.clone()) })
    }

    fn opens_on(&self, day: Date) -> bool {
        self.days.contains(&day.weekday().to_monday_one_offset()) && self.freeze(day).is_none()
    }

    fn freeze(&self, day: Date) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.from <= day && day <= freeze.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tuesday to Thursday, 09:00 to 12:00 in Paris, not over the end of the year.
    fn window() -> Window {
        Window {
            name: "deploys".into(),
            zone: "Europe/Paris".into(),
            days: [2, 3, 4].into(),
            from: Time::constant(9, 0, 0, 0),
            to: Time::constant(12, 0, 0, 0),
            freezes: vec![Freeze {
                from: Date::constant(2026, 12, 20),
                to: Date::constant(2027, 1, 3),
                why: "end of the year".into(),
            }],
        }
    }

    fn at(text: &str) -> Instant {
        Instant(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn it_opens_and_closes_by_the_clock_of_its_zone_in_summer_and_in_winter() {
        // 8 December and 7 July 2026 are Tuesdays; Paris is one hour before UTC in winter, two in summer.
        for open in ["2026-12-08T08:00:00Z", "2026-12-08T10:59:59Z", "2026-07-07T07:00:00Z", "2026-07-07T09:59:59Z"] {
            assert_eq!(window().closed(at(open)), None, "{open}");
        }
        for (closed, opens) in [
            ("2026-12-08T07:59:59Z", "2026-12-08T08:00:00Z"),
            ("2026-12-08T11:00:00Z", "2026-12-09T08:00:00Z"),
            ("2026-07-07T06:59:59Z", "2026-07-07T07:00:00Z"),
            // A Thursday at noon, before the weekend on which the clocks go back.
            ("2026-10-22T10:00:00Z", "2026-10-27T08:00:00Z"),
        ] {
            let found = window().closed(at(closed)).unwrap();
            assert_eq!(found, Closed { opens_at: Some(at(opens)), why: None }, "{closed}");
        }
    }

    #[test]
    fn a_freeze_keeps_it_closed_and_says_why() {
        let found = window().closed(at("2026-12-22T09:00:00Z")).unwrap();
        assert_eq!(found, Closed { opens_at: Some(at("2027-01-05T08:00:00Z")), why: Some("end of the year".into()) });
        let mut never = window();
        never.days.clear();
        assert_eq!(never.closed(at("2026-12-08T08:00:00Z")), Some(Closed { opens_at: None, why: None }));
    }
}

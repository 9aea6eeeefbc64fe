//! Limits of a figure: from where on it is worth a look, from where on it is bad.

use serde::Deserialize;

use super::Seen;
use crate::actions::config::{ConfigFault, fault};
use crate::incident::approval::{CheckResult, Figure, Verdict};
use crate::incident::words::Words;

/// The limits of a figure. A figure that is no number (no data) is worth a look.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Worth a look above this.
    pub warn_above: Option<f64>,
    /// Bad above this.
    pub fail_above: Option<f64>,
    /// Worth a look below this.
    pub warn_below: Option<f64>,
    /// Bad below this.
    pub fail_below: Option<f64>,
    /// Shown behind the figure: `ms`, `requests/s`.
    pub unit: Option<String>,
    /// The figure is a share; 0.05 is shown as 5 %.
    #[serde(default)]
    pub percent: bool,
    /// What it may be after an action, as a multiple of what it was when the plan was made.
    pub than_before: Option<Change>,
}

/// The limits of a figure as multiples of what it was before: `fail_above: 1` for “no more than before”, both 1 for “the
/// same as before”. Looked at only when an action is verified.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Worth a look above this multiple.
    pub warn_above: Option<f64>,
    /// Bad above this multiple.
    pub fail_above: Option<f64>,
    /// Bad below this multiple.
    pub fail_below: Option<f64>,
}

impl Change {
    /// What a check saw, held against its figure from before as well. Without one of the two nobody can say that it is
    /// better: that is worth a look, never a pass.
    pub fn judge(&self, before: Option<&Figure>, mut result: CheckResult) -> CheckResult {
        let (Some(before), Some(now)) = (before, &result.figure) else {
            let nothing = (Verdict::Warn, Words::new("look.nothing_to_compare").with("value", result.value.clone()));
            if result.verdict < nothing.0 {
                (result.verdict, result.value) = nothing;
            }
            return result;
        };
        let verdict = self.verdict(before.number, now.number);
        let value = Words::new("look.against_before").with("before", before.shown.clone());
        result.value = value.with("value", result.value);
        if verdict >= result.verdict {
            (result.verdict, result.limit) = (verdict, self.limit().or(result.limit));
        }
        result
    }

    fn verdict(&self, before: f64, now: f64) -> Verdict {
        let above = |factor: Option<f64>| factor.is_some_and(|factor| now > factor * before);
        let below = |factor: Option<f64>| factor.is_some_and(|factor| now < factor * before);
        if before.is_nan() || now.is_nan() {
            Verdict::Warn
        } else if above(self.fail_above) || below(self.fail_below) {
            Verdict::Fail
        } else if above(self.warn_above) {
            Verdict::Warn
        } else {
            Verdict::Pass
        }
    }

    fn limit(&self) -> Option<Words> {
        let times = |factor: f64| Words::new("look.times_before").with("factor", factor);
        range(self.fail_below.map(times), self.fail_above.or(self.warn_above).map(times))
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let factors = [self.warn_above, self.fail_above, self.fail_below];
        if factors.iter().all(Option::is_none) {
            faults.push(fault(path, "say how it may differ, for example fail_above: 1 for “no more than before”"));
        }
        if factors.iter().flatten().any(|factor| !factor.is_finite() || *factor < 0.0) {
            faults.push(fault(path, "a multiple is an ordinary number, 0 or more"));
        }
    }
}

/// Limits for people.
fn range(least: Option<Words>, most: Option<Words>) -> Option<Words> {
    match (least, most) {
        (Some(least), Some(most)) => Some(Words::new("look.between").with("least", least).with("most", most)),
        (Some(least), None) => Some(Words::new("look.at_least").with("least", least)),
        (None, Some(most)) => Some(Words::new("look.at_most").with("most", most)),
        (None, None) => None,
    }
}

impl Bounds {
    /// The verdict on a figure.
    pub fn verdict(&self, figure: f64) -> Verdict {
        let above = |limit: Option<f64>| limit.is_some_and(|limit| figure > limit);
        let below = |limit: Option<f64>| limit.is_some_and(|limit| figure < limit);
        if figure.is_nan() {
            Verdict::Warn
        } else if above(self.fail_above) || below(self.fail_below) {
            Verdict::Fail
        } else if above(self.warn_above) || below(self.warn_below) {
            Verdict::Warn
        } else {
            Verdict::Pass
        }
    }

    /// The figure judged and shown with its limit.
    pub fn judge(&self, figure: f64) -> Seen {
        let shown = self.shown(figure);
        let seen = Seen::new(self.verdict(figure), shown.clone()).with_limit(self.limit());
        Seen { figure: Some(Figure { number: figure, shown }).filter(|figure| figure.number.is_finite()), ..seen }
    }

    /// Of several figures the one that is worst.
    pub fn worst(&self, figures: impl IntoIterator<Item = f64>) -> Option<f64> {
        let past = |figure: f64| {
            let over = self.fail_above.or(self.warn_above).map_or(f64::NEG_INFINITY, |limit| figure - limit);
            let under = self.fail_below.or(self.warn_below).map_or(f64::NEG_INFINITY, |limit| limit - figure);
            over.max(under)
        };
        figures
            .into_iter()
            .max_by(|a, b| self.verdict(*a).cmp(&self.verdict(*b)).then_with(|| past(*a).total_cmp(&past(*b))))
    }

    /// The figure for people.
    pub fn shown(&self, figure: f64) -> Words {
        if figure.is_nan() {
            return Words::new("look.no_figure");
        }
        if figure.is_infinite() {
            return Words::verbatim(if figure > 0.0 { "∞" } else { "−∞" });
        }
        if self.percent {
            return Words::new("look.percent").with("figure", figure * 100.0);
        }
        Words::new("look.figure").with("figure", figure).with("unit", self.unit.as_deref())
    }

    /// The limits for people: the one for bad where there is one.
    pub fn limit(&self) -> Option<Words> {
        let most = self.fail_above.or(self.warn_above).map(|limit| self.shown(limit));
        let least = self.fail_below.or(self.warn_below).map(|limit| self.shown(limit));
        range(least, most)
    }

    pub(in crate::actions) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let limits = [self.warn_above, self.fail_above, self.warn_below, self.fail_below];
        if limits.iter().all(Option::is_none) && self.than_before.is_none() {
            faults.push(fault(path, "a figure needs a limit, for example fail_above: 0.05"));
        }
        if let Some(change) = &self.than_before {
            change.validate(&format!("{path}.than_before"), faults);
        }
        if limits.iter().flatten().any(|limit| !limit.is_finite()) {
            faults.push(fault(path, "a limit is an ordinary number"));
        }
        if let (Some(warn), Some(fail)) = (self.warn_above, self.fail_above)
            && warn > fail
        {
            faults.push(fault(path, "warn_above must not be larger than fail_above"));
        }
        if let (Some(warn), Some(fail)) = (self.warn_below, self.fail_below)
            && warn < fail
        {
            faults.push(fault(path, "warn_below must not be smaller than fail_below"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::english;
    use crate::incident::time::Millis;

    #[test]
    fn a_share_is_judged_and_shown_in_per_cent_with_its_limit() {
        let bounds = Bounds { warn_above: Some(0.02), fail_above: Some(0.05), percent: true, ..Bounds::default() };
        let seen = [0.0, 0.031, 0.12].map(|figure| bounds.judge(figure));
        assert_eq!(seen.each_ref().map(|seen| seen.verdict), [Verdict::Pass, Verdict::Warn, Verdict::Fail]);
        assert_eq!(english(&seen[1].value), "3.1 %");
        assert_eq!(seen[2].limit.as_ref().map(english).as_deref(), Some("≤ 5 %"));
    }

    #[test]
    fn no_figure_is_worth_a_look_but_never_a_pass() {
        let bounds = Bounds { fail_above: Some(1.0), ..Bounds::default() };
        let seen = bounds.judge(f64::NAN);
        assert_eq!((seen.verdict, english(&seen.value).as_str()), (Verdict::Warn, "no figure"));
        assert_eq!(english(&bounds.judge(f64::INFINITY).value), "∞", "what is no number is still shown");
    }

    #[test]
    fn the_worst_of_several_figures_is_the_one_furthest_past_its_limit() {
        let most = Bounds { fail_above: Some(1.0), ..Bounds::default() };
        assert_eq!(most.worst([0.1, 3.0, 2.0]), Some(3.0));
        let least = Bounds { fail_below: Some(1.0), unit: Some("connections".into()), ..Bounds::default() };
        assert_eq!(least.worst([5.0, 0.5, 0.0]), Some(0.0));
        assert_eq!(least.judge(0.0).limit.as_ref().map(english).as_deref(), Some("≥ 1 connections"));
    }

    fn compared(change: &Change, before: Option<f64>, now: Option<f64>) -> (Verdict, String, Option<String>) {
        let figure = |number: f64| Figure { number, shown: Words::new("look.figure").with("figure", number) };
        let seen = CheckResult {
            check: "errors".into(),
            title: "errors".into(),
            verdict: Verdict::Pass,
            value: now.map_or_else(|| Words::verbatim("nothing"), |now| figure(now).shown),
            limit: None,
            took: Millis(1),
            figure: now.map(figure),
            details: None,
        };
        let judged = change.judge(before.map(figure).as_ref(), seen);
        (judged.verdict, english(&judged.value), judged.limit.as_ref().map(english))
    }

    #[test]
    fn fewer_errors_than_before_is_what_a_roll_back_is_for() {
        let change = Change { warn_above: Some(0.5), fail_above: Some(1.0), fail_below: None };
        let said = |now| compared(&change, Some(412.0), Some(now));
        assert_eq!(said(41.0), (Verdict::Pass, "41 (412 before)".into(), Some("≤ 1 × before".into())));
        assert_eq!([said(300.0).0, said(413.0).0], [Verdict::Warn, Verdict::Fail]);
        assert_eq!(compared(&change, Some(0.0), Some(1.0)).0, Verdict::Fail, "from none, any is more");
        assert_eq!(compared(&change, Some(0.0), Some(0.0)).0, Verdict::Pass);
    }

    #[test]
    fn as_many_orders_as_before_are_neither_more_nor_fewer() {
        let same = Change { warn_above: None, fail_above: Some(1.0), fail_below: Some(1.0) };
        let verdicts = [12_399.0, 12_400.0, 12_401.0].map(|now| compared(&same, Some(12_400.0), Some(now)).0);
        assert_eq!(verdicts, [Verdict::Fail, Verdict::Pass, Verdict::Fail]);
    }

    #[test]
    fn without_a_figure_from_before_nobody_says_that_it_is_better() {
        let change = Change { fail_above: Some(1.0), ..Change::default() };
        let (verdict, value, _) = compared(&change, None, Some(3.0));
        assert_eq!((verdict, value.as_str()), (Verdict::Warn, "3; there is no figure from before to compare it with"));
        assert_eq!(compared(&change, Some(3.0), None).0, Verdict::Warn);
    }
}

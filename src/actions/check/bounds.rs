//! Limits of a figure: from where on it is worth a look, from where on it is bad.

use serde::Deserialize;

use super::Seen;
use crate::actions::config::{ConfigFault, fault};
use crate::incident::approval::Verdict;
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
        Seen::new(self.verdict(figure), self.shown(figure)).with_limit(self.limit())
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
        match (least, most) {
            (Some(least), Some(most)) => Some(Words::new("look.between").with("least", least).with("most", most)),
            (Some(least), None) => Some(Words::new("look.at_least").with("least", least)),
            (None, Some(most)) => Some(Words::new("look.at_most").with("most", most)),
            (None, None) => None,
        }
    }

    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let limits = [self.warn_above, self.fail_above, self.warn_below, self.fail_below];
        if limits.iter().all(Option::is_none) {
            faults.push(fault(path, "a figure needs a limit, for example fail_above: 0.05"));
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
}

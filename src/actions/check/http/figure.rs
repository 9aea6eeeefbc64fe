//! A figure within an answer: one field, or many of a list taken together (row H4).

use serde::Deserialize;
use serde_json::Value;

use crate::actions::check::{Bounds, Seen};
use crate::actions::config::{ConfigFault, fault};
use crate::actions::http::Answer;
use crate::actions::json::{number, pointer, shown};
use crate::incident::words::Words;

/// Where the figure stands.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FigureRule {
    /// JSON pointer (RFC 6901) to the figure; or to a list, when `take` is said. Nothing for the whole answer.
    #[serde(default)]
    pub at: String,
    /// What is made of the list.
    pub take: Option<Take>,
    /// Where the figure stands in each entry of the list: a JSON pointer. The entry itself when it is not said.
    #[serde(default)]
    pub each: String,
}

/// What is made of a list of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// All of them added up.
    Sum,
    /// The one that stands last.
    Last,
    /// The largest.
    Max,
    /// How many there are.
    Count,
}

impl FigureRule {
    /// The figure of an answer, judged. An answer without it is worth a look, never a pass.
    pub(super) fn judge(&self, answer: &Answer, limits: &Bounds) -> Seen {
        let found = answer.json().and_then(|body| self.find(&body));
        match found {
            Ok(figure) => limits.judge(figure),
            Err(why) => Seen::fail(why),
        }
    }

    fn find(&self, body: &Value) -> Result<f64, Words> {
        let missing = |field: String| Words::new("field.missing").with("field", field);
        let found = body.pointer(&self.at).ok_or_else(|| missing(self.at.clone()))?;
        let figure_in = |value: &Value, field: &str| {
            number(value).ok_or_else(|| Words::new("field.no_number").with("field", field).with("found", shown(value)))
        };
        let Some(take) = self.take else { return figure_in(found, &self.at) };
        let list = found.as_array().ok_or_else(|| Words::new("look.no_list").with("field", self.at.as_str()))?;
        if take == Take::Count {
            return Ok(list.len() as f64);
        }
        let figures = list.iter().enumerate().map(|(index, entry)| {
            let field = format!("{}/{index}{}", self.at, self.each);
            entry.pointer(&self.each).ok_or_else(|| missing(field.clone())).and_then(|value| figure_in(value, &field))
        });
        let figures = figures.collect::<Result<Vec<f64>, Words>>()?;
        match take {
            Take::Sum | Take::Count => Ok(figures.iter().sum()),
            Take::Last => figures.last().copied().ok_or_else(|| missing(format!("{}/0", self.at))),
            Take::Max => figures.into_iter().reduce(larger).ok_or_else(|| missing(format!("{}/0", self.at))),
        }
    }

    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        pointer(&self.at, &format!("{path}.at"), faults);
        pointer(&self.each, &format!("{path}.each"), faults);
        let counts = self.take == Some(Take::Count);
        if !self.each.is_empty() && (counts || self.take.is_none()) {
            faults.push(fault(format!("{path}.each"), "each goes with take: sum, last or max"));
        }
    }
}

/// The larger of two; what is no number is not passed over.
fn larger(one: f64, other: f64) -> f64 {
    if one.is_nan() || one >= other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::english;
    use serde_json::json;

    fn found(rule: Value, body: &Value) -> Result<f64, String> {
        serde_json::from_value::<FigureRule>(rule).unwrap().find(body).map_err(|why| english(&why))
    }

    #[test]
    fn events_of_an_hour_are_added_up() {
        let hour = json!({"groups": [{"series": {"sum(quantity)": [3, 0, 12]}, "totals": {"sum(quantity)": 15}}]});
        assert_eq!(found(json!({"at": "/groups/0/totals/sum(quantity)"}), &hour), Ok(15.0));
        assert_eq!(found(json!({"at": "/groups/0/series/sum(quantity)", "take": "sum"}), &hour), Ok(15.0));
        let pairs = json!([[1_700_000_000, 4], [1_700_000_060, "9"], [1_700_000_120, 2]]);
        let of_pairs = |take: &str| found(json!({"take": take, "each": "/1"}), &pairs);
        assert_eq!((of_pairs("sum"), of_pairs("max"), of_pairs("last")), (Ok(15.0), Ok(9.0), Ok(2.0)));
        assert_eq!(found(json!({"take": "count"}), &pairs), Ok(3.0));
        assert_eq!(found(json!({"take": "sum"}), &json!([])), Ok(0.0), "nothing happened");
        for list in [json!(["NaN", 4]), json!([4, "NaN"]), json!([4, "NaN", 5])] {
            assert!(found(json!({"take": "max"}), &list).unwrap().is_nan(), "{list}");
        }
    }

    #[test]
    fn a_figure_that_is_not_there_or_is_none_is_named_by_its_place() {
        let body = json!({"count": "many", "list": [{"n": 1}, {"m": 2}]});
        assert_eq!(found(json!({"at": "/total"}), &body).unwrap_err(), "/total is missing");
        assert!(found(json!({"at": "/count"}), &body).unwrap_err().starts_with("/count"));
        assert_eq!(found(json!({"at": "/count", "take": "sum"}), &body).unwrap_err(), "/count is not a list");
        let second = found(json!({"at": "/list", "take": "sum", "each": "/n"}), &body).unwrap_err();
        assert_eq!(second, "/list/1/n is missing");
        assert_eq!(
            found(json!({"at": "/none", "take": "max"}), &json!({"none": []})).unwrap_err(),
            "/none/0 is missing"
        );
    }
}

//! What the front door counts, and the same as Prometheus text.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How many of the latest requests are kept.
const RECENT: usize = 50;

/// One request of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// When it was answered, milliseconds UTC.
    pub at_ms: i64,
    /// `GET` or `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The HTTP status that was answered.
    pub status: u16,
    /// The label of the version that answered, e.g. `1.3.0`.
    pub version: String,
}

#[derive(Default)]
pub(super) struct Figures {
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    by_answer: BTreeMap<(String, String, u16), u64>,
    took_ms: BTreeMap<String, (i64, u64)>,
    recent: VecDeque<Request>,
}

impl Figures {
    // Counters stay meaningful whatever happened while they were held.
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add(&self, request: Request, took_ms: i64) {
        let mut counted = self.counted();
        let key = (request.version.clone(), request.path.clone(), request.status);
        *counted.by_answer.entry(key).or_default() += 1;
        let took = counted.took_ms.entry(request.version.clone()).or_default();
        took.0 += took_ms.max(0);
        took.1 += 1;
        if request.path != "/health" {
            counted.recent.push_back(request);
            if counted.recent.len() > RECENT {
                counted.recent.pop_front();
            }
        }
    }

    /// Requests and errors since the shop opened.
    pub fn totals(&self) -> (u64, u64) {
        let counted = self.counted();
        let sum = |wanted: fn(u16) -> bool| {
            counted.by_answer.iter().filter(|((_, _, status), _)| wanted(*status)).map(|(_, n)| n).sum()
        };
        (sum(|_| true), sum(|status| status >= 500))
    }

    pub fn recent(&self) -> Vec<Request> {
        self.counted().recent.iter().cloned().collect()
    }

    /// After a switch the recent share of errors speaks of the new active version only.
    pub fn forget_recent(&self) {
        self.counted().recent.clear();
    }

    /// Prometheus' text format. The error ratio is of the latest customers since the last switch; 0 without any.
    pub fn prometheus(&self, active: &str) -> String {
        let counted = self.counted();
        let mut text = String::from(
            "# HELP shop_requests_total Requests through the front door.\n# TYPE shop_requests_total counter\n",
        );
        for ((version, path, status), n) in &counted.by_answer {
            writeln!(text, "shop_requests_total{{version=\"{version}\",path=\"{path}\",code=\"{status}\"}} {n}")
                .expect("a String takes text");
        }
        text.push_str(
            "# HELP shop_errors_total Requests answered with 500 or more.\n# TYPE shop_errors_total counter\n",
        );
        for version in counted.took_ms.keys() {
            let errors: u64 = counted
                .by_answer
                .iter()
                .filter(|((v, _, status), _)| v == version && *status >= 500)
                .map(|(_, n)| n)
                .sum();
            writeln!(text, "shop_errors_total{{version=\"{version}\"}} {errors}").expect("a String takes text");
        }
        text.push_str(
            "# HELP shop_request_duration_seconds Time to answer.\n# TYPE shop_request_duration_seconds summary\n",
        );
        for (version, (sum_ms, count)) in &counted.took_ms {
            let seconds = format!("{}.{:03}", sum_ms / 1000, sum_ms % 1000);
            writeln!(text, "shop_request_duration_seconds_sum{{version=\"{version}\"}} {seconds}")
                .expect("a String takes text");
            writeln!(text, "shop_request_duration_seconds_count{{version=\"{version}\"}} {count}")
                .expect("a String takes text");
        }
        let errors = counted.recent.iter().filter(|r| r.status >= 500).count();
        let per_mille = errors * 1000 / counted.recent.len().max(1);
        text.push_str("# HELP shop_recent_error_ratio Share of the latest customers who got an error.\n# TYPE shop_recent_error_ratio gauge\n");
        writeln!(text, "shop_recent_error_ratio {}.{:03}", per_mille / 1000, per_mille % 1000)
            .expect("a String takes text");
        text.push_str("# HELP shop_version_info The version that serves.\n# TYPE shop_version_info gauge\n");
        writeln!(text, "shop_version_info{{version=\"{active}\"}} 1").expect("a String takes text");
        text
    }
}

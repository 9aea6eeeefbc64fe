//! Trouble on order: a test queues faults, and calls, sockets and envelopes meet them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What goes wrong with a Web API call (or a post to a `response_url`, or an upload).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// 429 with this `Retry-After`, in seconds.
    RateLimited { retry_after_s: u64 },
    /// HTTP 500 with an HTML body; nothing was done.
    ServerError,
    /// This HTTP status with an HTML body, from something that stands between; nothing was done.
    Between(u16),
    /// HTTP 500, but the work was done.
    ServerErrorAfterWork,
    /// No answer, ever; nothing was done.
    Hang,
    /// No answer, ever, but the work was done.
    HangAfterWork,
    /// The connection is cut; nothing was done.
    CutBefore,
    /// The connection is cut after the work was done: a lost answer.
    CutAfter,
    /// 200 with a body that is not JSON; nothing was done.
    Garbage,
    /// `ok: false` with this error code; nothing was done.
    Error(String),
    /// The answer comes this much later, in real time.
    Slow(Duration),
}

#[derive(Debug)]
struct Planned {
    method: String,
    /// None: until cleared.
    left: Option<u32>,
    trouble: Trouble,
}

/// The faults to come.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
}

impl Faults {
    /// The next `times` calls of `method` meet this trouble. `method` may end in `*` (`chat.*`, `*`); the two addresses
    /// without a method are `response_url` and `upload`.
    pub fn next(&self, method: &str, times: u32, trouble: Trouble) {
        self.plan(method, Some(times), trouble);
    }

    /// Every call of `method` meets this trouble until [`Faults::clear`].
    pub fn until_cleared(&self, method: &str, trouble: Trouble) {
        self.plan(method, None, trouble);
    }

    /// No trouble any more.
    pub fn clear(&self) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many planned faults have not been met yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn plan(&self, method: &str, left: Option<u32>, trouble: Trouble) {
        let planned = Planned { method: method.to_owned(), left, trouble };
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).push(planned);
    }

    /// The trouble this call meets, if any; the first one planned for it.
    pub(crate) fn meet(&self, method: &str) -> Option<Trouble> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let at = planned.iter().position(|fault| matches(&fault.method, method))?;
        let fault = planned.get_mut(at)?;
        let trouble = fault.trouble.clone();
        match &mut fault.left {
            Some(left) if *left <= 1 => {
                planned.remove(at);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Some(trouble)
    }
}

fn matches(pattern: &str, method: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => method.starts_with(start),
        None => pattern == method,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_met_as_often_as_it_was_planned() {
        let faults = Faults::default();
        faults.next("chat.*", 2, Trouble::ServerError);
        assert_eq!(faults.meet("views.open"), None);
        assert_eq!(faults.meet("chat.update"), Some(Trouble::ServerError));
        assert_eq!(faults.meet("chat.postMessage"), Some(Trouble::ServerError));
        assert_eq!(faults.meet("chat.postMessage"), None);
    }

    #[test]
    fn a_lasting_fault_lasts_until_it_is_cleared() {
        let faults = Faults::default();
        faults.until_cleared("*", Trouble::Hang);
        assert_eq!(faults.meet("a"), Some(Trouble::Hang));
        assert_eq!(faults.meet("b"), Some(Trouble::Hang));
        faults.clear();
        assert_eq!(faults.meet("a"), None);
    }
}

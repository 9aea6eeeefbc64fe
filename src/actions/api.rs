//! A vendor's HTTP API with a bearer token: readings are repeated while there is time, a change is sent once.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::World;
use super::config::{ConfigFault, fault};
use super::http::{Answer, Headers, Method, NoAnswer, Request, may_have_happened};
use super::provider::PlanFault;
use super::stopwatch::{Stopwatch, pause};
use super::template::escaped;
use crate::incident::words::Words;

/// The first pause before a request is repeated; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long one reading and one change may take.
pub(super) const ONE_READING: Duration = Duration::from_secs(10);
pub(super) const ONE_CHANGE: Duration = Duration::from_secs(30);
/// The last look may begin just before the end; it gets a moment of its own.
pub(super) const LAST_LOOK: Duration = Duration::from_secs(1);
/// How much of a vendor's own sentence is shown.
const MOST_SAID: usize = 200;
/// Where vendors put the sentence that says why not.
const SENTENCES: [&str; 4] = ["/error/message", "/message", "/errors/0/message", "/error"];

/// A vendor's API, for one piece of work with its deadline.
pub(super) struct Api<'a> {
    base: &'a str,
    headers: Headers,
    world: &'a World,
    watch: Stopwatch,
    within: Duration,
}

/// Why a request brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer, or half of one; what was asked for may have happened when it was sent.
    NoAnswer { sent: bool, why: Words },
    /// The vendor says no.
    Said {
        status: u16,
        /// Its own sentence.
        message: Option<String>,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
    /// A yes that cannot be read.
    Garbled,
    /// There was no request, or a reading that nothing can be done with, for this reason.
    NotMade(Words),
}

/// What a query asks for, pair by pair.
pub(super) type Query<'q> = &'q [(&'q str, &'q str)];

impl<'a> Api<'a> {
    /// Begins a piece of work that may take so long.
    pub(super) fn bearer(base: &'a str, token: &SecretString, world: &'a World, within: Duration) -> Self {
        let value = SecretString::from(format!("Bearer {}", token.expose_secret()));
        let headers = Headers::from([("Authorization".to_owned(), value)]);
        Self { base: base.trim_end_matches('/'), headers, world, watch: Stopwatch::start(), within }
    }

    /// With one more header field, for vendors that version their API so.
    pub(super) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), SecretString::from(value));
        self
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.watch.left_of(self.within)
    }

    /// Each part of the path is escaped, so that none can leave its place.
    fn url(&self, path: &[&str], query: Query<'_>) -> String {
        let path: String = path.iter().map(|part| format!("/{}", escaped(part))).collect();
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{}", self.base, pairs.join("&"))
    }

    /// What is there. Asked again while it may pass and there is time.
    pub(super) async fn get(&self, path: &[&str], query: Query<'_>) -> Result<Value, Trouble> {
        let request = Request::get(self.url(path, query));
        again_while(|| self.left(), Trouble::passes, || self.once(&request, self.left().clamp(LAST_LOOK, ONE_READING)))
            .await
    }

    /// The JSON values that come in so long a time, of an answer that may have no end: the whole ones. None where not even
    /// its beginning comes.
    pub(super) async fn listen(&self, path: &[&str], query: Query<'_>, most: Duration) -> Result<Vec<Value>, Trouble> {
        let request = Request::get(self.url(path, query));
        let heard = request.listen(&self.world.http, &self.headers, most).await.map_err(lost)?;
        let Some(answer) = heard else { return Ok(Vec::new()) };
        if !is_yes(answer.status) {
            return self.read(&answer).map(|_| Vec::new());
        }
        let mut values = Vec::new();
        for value in serde_json::Deserializer::from_str(&answer.body).into_iter() {
            match value {
                Ok(value) => values.push(value),
                // The last one is still on its way.
                Err(error) if error.is_eof() => break,
                Err(_) => return Err(Trouble::Garbled),
            }
        }
        Ok(values)
    }

    /// Changes something. Sent again only when it was certainly not carried out: never received, or turned away for now.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: Query<'_>,
        body: Option<Value>,
    ) -> Result<Value, Trouble> {
        let request = Request { method, url: self.url(path, query), body };
        again_while(|| self.left(), Trouble::was_turned_away, || self.once(&request, self.left().min(ONE_CHANGE))).await
    }

    async fn once(&self, request: &Request, within: Duration) -> Result<Value, Trouble> {
        let answer = request.send(&self.world.http, &self.headers, &[], within).await.map_err(lost)?;
        self.read(&answer)
    }

    fn read(&self, answer: &Answer) -> Result<Value, Trouble> {
        let body = answer.json();
        if is_yes(answer.status) {
            return if answer.body.trim().is_empty() { Ok(Value::Null) } else { body.map_err(|_| Trouble::Garbled) };
        }
        let said = body.ok().and_then(|body| {
            SENTENCES.iter().find_map(|place| body.pointer(place)?.as_str().map(|text| self.short(text)))
        });
        let wait = answer.header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        Err(Trouble::Said { status: answer.status, message: said, wait })
    }

    fn short(&self, text: &str) -> String {
        self.world.redactor.short(text, MOST_SAID)
    }
}

fn is_yes(status: u16) -> bool {
    (200..300).contains(&status)
}

fn lost(why: NoAnswer) -> Trouble {
    match why {
        NoAnswer::NotSent(why) => Trouble::NoAnswer { sent: false, why },
        NoAnswer::Lost(why) => Trouble::NoAnswer { sent: true, why },
    }
}

/// Asks until the answer is final, or until there is no time for another try.
pub(super) async fn again_while<F>(
    left: impl Fn() -> Duration,
    again: fn(&Trouble) -> bool,
    ask: impl Fn() -> F,
) -> Result<Value, Trouble>
where
    F: Future<Output = Result<Value, Trouble>>,
{
    let mut next = FIRST_PAUSE;
    loop {
        let trouble = match ask().await {
            Err(trouble) if again(&trouble) => trouble,
            end => return end,
        };
        let wait = trouble.wait().unwrap_or(next);
        if wait >= left() {
            return Err(trouble);
        }
        pause(wait).await;
        next = (next * 2).min(LONGEST_PAUSE);
    }
}

impl Trouble {
    /// Asking again may bring something else.
    pub(super) fn passes(&self) -> bool {
        match self {
            Trouble::NoAnswer { .. } => true,
            Trouble::Said { status, .. } => matches!(status, 408 | 429) || *status >= 500,
            Trouble::Garbled | Trouble::NotMade(_) => false,
        }
    }

    /// A change was certainly not carried out, and may be another time.
    pub(super) fn was_turned_away(&self) -> bool {
        match self {
            Trouble::NoAnswer { sent, .. } => !sent,
            Trouble::Said { status, wait, .. } => *status == 429 || (*status == 503 && wait.is_some()),
            Trouble::Garbled | Trouble::NotMade(_) => false,
        }
    }

    /// A change may have been carried out all the same.
    pub(super) fn may_have_happened(&self) -> bool {
        match self {
            Trouble::NoAnswer { sent, .. } => *sent,
            Trouble::Said { status, .. } => may_have_happened(*status),
            // The status was a yes.
            Trouble::Garbled => true,
            Trouble::NotMade(_) => false,
        }
    }

    pub(super) fn is(&self, wanted: u16) -> bool {
        matches!(self, Trouble::Said { status, .. } if *status == wanted)
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Trouble::Said { wait, .. } => *wait,
            _ => None,
        }
    }

    /// What the vendor would say; `what` is what was asked for, by its name there.
    pub(super) fn words(&self, vendor: &str, what: &str) -> Words {
        let (status, message, wait) = match self {
            Trouble::NoAnswer { why, .. } => {
                return Words::new("api.no_answer").with("vendor", vendor).with("why", why.clone());
            }
            Trouble::Garbled => return Words::new("api.garbled").with("vendor", vendor),
            Trouble::NotMade(why) => return why.clone(),
            Trouble::Said { status, message, wait } => (*status, message.as_deref(), *wait),
        };
        let says = |words: Words| words.with("vendor", vendor).with("said", message);
        match status {
            401 => says(Words::new("api.unknown_us")),
            402 => says(Words::new("api.payment")),
            403 => says(Words::new("api.denied")),
            404 => says(Words::new("api.absent").with("what", what)),
            409 => says(Words::new("api.conflict")),
            410 => says(Words::new("api.gone").with("what", what)),
            429 => {
                let wait = wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
                says(Words::new("api.too_many").with("wait_ms", wait))
            }
            500.. => says(Words::new("api.broken").with("status", status)),
            _ => says(Words::new("api.refused").with("status", status)),
        }
    }

    /// A refusal is the vendor's last word; anything else only means that it could not be read.
    pub(super) fn as_plan_fault(&self, target: &str, vendor: &str, what: &str) -> PlanFault {
        let (target, why) = (target.to_owned(), self.words(vendor, what));
        if self.passes() || *self == Trouble::Garbled {
            PlanFault::Unreadable { target, why }
        } else {
            PlanFault::Refused { target, why }
        }
    }
}

/// Adds the fault of a base address that is none.
pub(super) fn validate_base(url: Option<&str>, path: &str, faults: &mut Vec<ConfigFault>) {
    validate_address(url, &format!("{path}.base_url"), faults);
}

/// The same with the setting's own place.
pub(super) fn validate_address(url: Option<&str>, place: &str, faults: &mut Vec<ConfigFault>) {
    let Some(url) = url else { return };
    let is_fit = url::Url::parse(url).is_ok_and(|url| {
        let open = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.host().is_some() && open
    });
    if !is_fit {
        let sentence = "write an address without credentials or a question mark, for example https://api.example.com";
        faults.push(fault(place, sentence));
    }
}

/// Adds the fault of a credential that is empty.
pub(super) fn validate_credential(token: &SecretString, path: &str, faults: &mut Vec<ConfigFault>) {
    if token.expose_secret().trim().is_empty() {
        faults.push(fault(format!("{path}.token"), "the token is empty; write for example ${API_TOKEN}"));
    }
}

/// Letters, digits, dots, hyphens and underscores, as ids, names and domains have it.
pub(super) fn is_plain(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=253).contains(&text.len()) && text.chars().all(is_fit) && !text.starts_with('.') && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(status: u16) -> Trouble {
        Trouble::Said { status, message: None, wait: None }
    }

    #[test]
    fn only_what_was_certainly_not_done_is_sent_again() {
        let unsent = Trouble::NoAnswer { sent: false, why: Words::new("reason.refused") };
        let lost = Trouble::NoAnswer { sent: true, why: Words::new("reason.no_answer") };
        assert!(unsent.was_turned_away() && !unsent.may_have_happened());
        assert!(!lost.was_turned_away() && lost.may_have_happened());
        for (status, again, doubtful) in [
            (400, false, false),
            (408, false, true),
            (409, false, false),
            (429, true, false),
            (500, false, true),
            (502, false, true),
            (503, false, false),
        ] {
            let found = (said(status).was_turned_away(), said(status).may_have_happened());
            assert_eq!(found, (again, doubtful), "{status}");
        }
        let later = Trouble::Said { status: 503, message: None, wait: Some(Duration::from_secs(1)) };
        assert!(later.was_turned_away());
        assert!(Trouble::Garbled.may_have_happened());
    }

    #[test]
    fn a_part_of_a_path_cannot_leave_its_place() {
        let (world, token) = (crate::actions::toy::world(), SecretString::from("not-a-real-token"));
        let api = Api::bearer("https://api.example.com/", &token, &world, Duration::from_secs(1));
        let url = api.url(&["v1", "a/../b?c"], &[("team", "x&y"), ("limit", "20")]);
        assert_eq!(url, "https://api.example.com/v1/a%2F..%2Fb%3Fc?team=x%26y&limit=20");
    }

    #[test]
    fn the_vendors_own_sentence_is_found_and_holds_no_secret() {
        let (world, token) = (crate::actions::toy::world_with(&["not-a-real-token"]), SecretString::from("t"));
        let api = Api::bearer("https://api.example.com", &token, &world, Duration::from_secs(1));
        for body in [
            json!({"error": {"code": "x", "message": "no not-a-real-token"}}),
            json!({"code": 404, "message": "no not-a-real-token"}),
            json!({"errors": [{"code": 1, "message": "no not-a-real-token"}]}),
        ] {
            let answer = Answer {
                status: 403,
                body: body.to_string(),
                cut: false,
                headers: Default::default(),
                certificate: None,
            };
            let trouble = api.read(&answer).unwrap_err();
            let words = trouble.words("Vendor", "x");
            assert_eq!((words.key.as_str(), &words.vars["said"]), ("api.denied", &json!("no [redacted]")));
        }
    }
}

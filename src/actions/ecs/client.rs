//! ECS's own protocol: one address, the operation in a header field, JSON there and back. Readings are repeated while there is
//! time, a change is sent once.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;

use super::Ecs;
use crate::actions::World;
use crate::actions::api::{LAST_LOOK, ONE_CHANGE, ONE_READING, Trouble, again_while};
use crate::actions::http::{Answer, Headers, Method, NoAnswer, Request};
use crate::actions::provider::PlanFault;
use crate::actions::stopwatch::Stopwatch;
use crate::incident::words::Words;

pub(super) const VENDOR: &str = "AWS";
const PROTOCOL: &str = "AmazonEC2ContainerServiceV20141113";
const MOST_SAID: usize = 200;

/// What AWS's errors come to; the names are those of its own descriptions.
const ERRORS: [(u16, &[&str]); 4] = [
    (
        401,
        &[
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "MissingAuthenticationToken",
            "ExpiredToken",
            "ExpiredTokenException",
        ],
    ),
    (403, &["AccessDenied", "AccessDeniedException"]),
    (404, &["ClusterNotFoundException", "ServiceNotFoundException"]),
    (
        429,
        &["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled"],
    ),
];

/// ECS in one region, for one piece of work with its deadline.
pub(super) struct Client<'a> {
    pub config: &'a Ecs,
    world: &'a World,
    watch: Stopwatch,
    within: Duration,
}

impl<'a> Client<'a> {
    pub(super) fn new(config: &'a Ecs, world: &'a World, within: Duration) -> Self {
        Self { config, world, watch: Stopwatch::start(), within }
    }

    fn left(&self) -> Duration {
        self.watch.left_of(self.within)
    }

    /// What is there. Asked again while it may pass and there is time.
    pub(super) async fn read(&self, operation: &str, body: Value) -> Result<Value, Trouble> {
        let once = || self.once(operation, &body, self.left().clamp(LAST_LOOK, ONE_READING));
        again_while(|| self.left(), Trouble::passes, once).await
    }

    /// Changes something. Sent again only when it was certainly not carried out.
    pub(super) async fn change(&self, operation: &str, body: Value) -> Result<Value, Trouble> {
        let once = || self.once(operation, &body, self.left().min(ONE_CHANGE));
        again_while(|| self.left(), Trouble::was_turned_away, once).await
    }

    async fn once(&self, operation: &str, body: &Value, within: Duration) -> Result<Value, Trouble> {
        let url = self.url();
        let target = format!("{PROTOCOL}.{operation}");
        let own = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let text = body.to_string();
        let signed = self.world.aws.signed(self.config, &self.world.http, &url, &own, text.as_bytes(), within).await;
        let signed = signed.map_err(Trouble::NotMade)?;
        let own = own.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
        let headers: Headers = signed.into_iter().chain(own).collect();
        let request = Request { method: Method::Post, url, body: Some(body.clone()) };
        match request.send(&self.world.http, &headers, &[], within).await {
            Ok(answer) => self.heard(&answer),
            Err(NoAnswer::NotSent(why)) => Err(Trouble::NoAnswer { sent: false, why }),
            Err(NoAnswer::Lost(why)) => Err(Trouble::NoAnswer { sent: true, why }),
        }
    }

    fn url(&self) -> String {
        let region = &self.config.region;
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = || format!("https://ecs.{region}.{domain}");
        format!("{}/", self.config.endpoint.clone().unwrap_or_else(own).trim_end_matches('/'))
    }

    fn heard(&self, answer: &Answer) -> Result<Value, Trouble> {
        if (200..300).contains(&answer.status) {
            return answer.json().map_err(|_| Trouble::Garbled);
        }
        let (name, said) = refusal(answer);
        let known = ERRORS.iter().find(|(_, names)| name.as_deref().is_some_and(|name| names.contains(&name)));
        let said = match (name, said) {
            (Some(name), Some(said)) => Some(format!("{name}: {said}")),
            (name, said) => said.or(name),
        };
        let message = said.map(|said| self.world.redactor.short(&said, MOST_SAID));
        Err(Trouble::Said { status: known.map_or(answer.status, |(status, _)| *status), message, wait: None })
    }
}

/// The error's name and its sentence. ECS says it in JSON; what stands before it, which looks at signatures, in XML.
fn refusal(answer: &Answer) -> (Option<String>, Option<String>) {
    let Ok(body) = answer.json() else {
        return (between(&answer.body, "<Code>", "</Code>"), between(&answer.body, "<Message>", "</Message>"));
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    // Some write the name with what it belongs to before it.
    let name = text("__type").map(|name| name.rsplit('#').next().unwrap_or_default().to_owned());
    (name, text("message").or_else(|| text("Message")))
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    Some(text.split_once(start)?.1.split_once(end)?.0.to_owned())
}

/// What a trouble means; AWS's statuses say less than the names of its errors.
pub(super) fn words(trouble: &Trouble, what: &str) -> Words {
    let says = |key: &'static str, message: &Option<String>| {
        Words::new(key).with("said", message.as_deref()).with("what", what)
    };
    match trouble {
        Trouble::Said { status: 401, message, .. } => says("ecs.unknown_us", message),
        Trouble::Said { status: 403, message, .. } => says("ecs.denied", message),
        Trouble::Said { status: 404, message, .. } => says("ecs.absent", message),
        Trouble::Said { status: 429, message, .. } => says("ecs.too_many", message),
        Trouble::Said { status, message, .. } if *status < 500 => says("ecs.refused", message),
        _ => trouble.words(VENDOR, what),
    }
}

/// A refusal is AWS's last word; anything else only means that it could not be read.
pub(super) fn as_plan_fault(trouble: &Trouble, target: &str, what: &str) -> PlanFault {
    let (target, why) = (target.to_owned(), words(trouble, what));
    match trouble.as_plan_fault(&target, VENDOR, what) {
        PlanFault::Unreadable { .. } => PlanFault::Unreadable { target, why },
        _ => PlanFault::Refused { target, why },
    }
}

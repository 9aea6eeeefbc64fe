//! Credentials and signatures by AWS's own libraries, which look for credentials where AWS's programs do: in the
//! environment, in files, at the machine or the container. They speak through our own client.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::time::{SystemTimeSource, TimeSource as _};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use dashmap::DashMap;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::Ecs;
use crate::actions::stopwatch::within;
use crate::incident::words::Words;

/// New credentials are asked for so long before the old ones end.
const EARLY: Duration = Duration::from_secs(300);
/// No answer of those who give credentials is longer.
const MOST_ANSWER: usize = 256 * 1024;

/// Who we are, in each account and region; found out when it is first needed.
#[derive(Debug, Default)]
pub struct Sessions {
    known: DashMap<String, Arc<Session>>,
}

#[derive(Debug)]
struct Session {
    last: Mutex<Option<(SharedCredentialsProvider, Credentials)>>,
}

impl Sessions {
    /// The header fields that sign a request.
    pub(super) async fn signed(
        &self,
        config: &Ecs,
        http: &reqwest::Client,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        limit: Duration,
    ) -> Result<Vec<(String, SecretString)>, Words> {
        let found = within(limit, self.credentials(config, http)).await;
        let credentials = found.unwrap_or_else(|_| Err(Words::new("ecs.credentials_late")))?;
        let broke = |said: String| Words::new("ecs.not_signed").with("said", said);
        let identity = Identity::from(credentials);
        let params: SigningParams<'_> = v4::SigningParams::builder()
            .identity(&identity)
            .region(&config.region)
            .name("ecs")
            .time(now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| broke(error.to_string()))?
            .into();
        let request = SignableRequest::new("POST", url, headers.iter().copied(), SignableBody::Bytes(body))
            .map_err(|error| broke(error.to_string()))?;
        let (signed, _) = sign(request, &params).map_err(|error| broke(error.to_string()))?.into_parts();
        Ok(signed.headers().map(|(name, value)| (name.to_owned(), SecretString::from(value))).collect())
    }

    async fn credentials(&self, config: &Ecs, http: &reqwest::Client) -> Result<Credentials, Words> {
        let session =
            Arc::clone(&self.known.entry(name(config)).or_insert_with(|| Arc::new(Session { last: Mutex::new(None) })));
        let mut last = session.last.lock().await;
        let provider = match last.take() {
            Some((provider, credentials)) if credentials.expiry().is_none_or(|end| end > now() + EARLY) => {
                *last = Some((provider, credentials.clone()));
                return Ok(credentials);
            }
            Some((provider, _)) => provider,
            None => provider(config, http).await?,
        };
        let credentials = provider.provide_credentials().await.map_err(|error| no_credentials(&error, config))?;
        *last = Some((provider, credentials.clone()));
        Ok(credentials)
    }
}

/// The library's clock: a signature holds for some minutes only.
fn now() -> SystemTime {
    SystemTimeSource::new().now()
}

/// Whoever says the same is the same.
fn name(config: &Ecs) -> String {
    let keys = config.keys.as_ref().map(|keys| keys.id.as_str());
    format!("{:?}", (&config.region, keys, &config.profile, &config.role, &config.sts_endpoint))
}

async fn provider(config: &Ecs, http: &reqwest::Client) -> Result<SharedCredentialsProvider, Words> {
    let base = loaded(config, http).await;
    let Some(role) = &config.role else {
        return base.credentials_provider().ok_or_else(|| Words::new("ecs.no_credentials"));
    };
    let mut taken = AssumeRoleProvider::builder(&role.arn).session_name("vigie").configure(&base);
    if let Some(id) = &role.external_id {
        taken = taken.external_id(id);
    }
    Ok(SharedCredentialsProvider::new(taken.build().await))
}

async fn loaded(config: &Ecs, http: &reqwest::Client) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .retry_config(RetryConfig::disabled())
        .http_client(OurClient(http.clone()));
    if let Some(endpoint) = &config.sts_endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &config.keys {
        loader = loader.credentials_provider(Credentials::new(
            &keys.id,
            keys.secret.expose_secret(),
            None,
            None,
            "configuration",
        ));
    }
    loader.load().await
}

/// Why there are no credentials: what AWS said, where it said something, else the kind of the fault.
fn no_credentials(error: &CredentialsError, config: &Ecs) -> Words {
    let said = said(error);
    match (error, &config.role) {
        (CredentialsError::CredentialsNotLoaded(_), _) => Words::new("ecs.no_credentials"),
        (CredentialsError::ProviderTimedOut(_), _) => Words::new("ecs.credentials_late"),
        (_, Some(role)) => Words::new("ecs.no_role").with("role", role.arn.as_str()).with("said", said),
        (_, None) => Words::new("ecs.bad_credentials").with("said", said),
    }
}

/// AWS's own sentence, else the inmost reason.
fn said(error: &CredentialsError) -> String {
    let mut inmost: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(said) = inmost.downcast_ref::<ErrorMetadata>() {
            return [said.code(), said.message()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        }
        match inmost.source() {
            Some(inner) => inmost = inner,
            None => return inmost.to_string(),
        }
    }
}

/// Our own client, as AWS's libraries want to see one.
#[derive(Debug, Clone)]
struct OurClient(reqwest::Client);

impl HttpClient for OurClient {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for OurClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move { sent(&client, &request).await })
    }
}

async fn sent(client: &reqwest::Client, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let method = reqwest::Method::from_bytes(request.method().as_bytes()).map_err(|fault| user(fault.into()))?;
    let mut ours = client.request(method, request.uri());
    for (name, value) in request.headers().iter() {
        ours = ours.header(name, value);
    }
    let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
    let io = |fault: reqwest::Error| ConnectorError::io(fault.without_url().into());
    let mut answer = ours.body(body).send().await.map_err(io)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(io)? {
        if body.len() + chunk.len() > MOST_ANSWER {
            return Err(user("the answer is too long".into()));
        }
        body.extend_from_slice(&chunk);
    }
    let status = answer.status().as_u16().try_into().map_err(|_| user("an impossible status".into()))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in answer.headers() {
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.to_string(), value.to_owned());
        }
    }
    Ok(response)
}

fn user(fault: Box<dyn std::error::Error + Send + Sync>) -> ConnectorError {
    ConnectorError::user(fault)
}

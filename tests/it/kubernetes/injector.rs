//! A webhook of the tests' own that changes every pod of a namespace: it puts a container before its own ones, as a service mesh
//! does, or gives its first container another image.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::plane::Namespace;
use crate::certificate::identity;
use crate::faults::until;

const PATIENCE: Duration = Duration::from_secs(30);

/// It answers until it is dropped.
pub struct Injector {
    image: Arc<Mutex<String>>,
    accepting: JoinHandle<()>,
}

impl Injector {
    /// Puts a container called proxy with this image into the pods of the namespace from now on.
    pub async fn open(space: &Namespace, image: &str) -> Self {
        Self::doing("add", space, image).await
    }

    /// Gives the first container of each pod this image from now on.
    pub async fn replacing(space: &Namespace, image: &str) -> Self {
        Self::doing("replace", space, image).await
    }

    async fn doing(does: &'static str, space: &Namespace, image: &str) -> Self {
        let (acceptor, issuer) = identity("127.0.0.1");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let first = image.to_owned();
        let image = Arc::new(Mutex::new(first.clone()));
        let puts = Arc::clone(&image);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let image = puts.lock().expect("nobody panics with it").clone();
                answer(&acceptor, stream, &patch(does, &image)).await;
            }
        });
        let name = &space.name;
        space.kubectl(&["label", "namespace", name, &format!("inject={name}")]).await;
        space
            .apply(&format!(
                "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {{ name: {name} }}\n\
                 webhooks:\n- name: proxy.example.com\n  clientConfig: {{ url: \"https://{address}/\", caBundle: {} }}\n  rules: \
                 [{{ apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE], resources: [pods] }}]\n  namespaceSelector: \
                 {{ matchLabels: {{ inject: {name} }} }}\n  sideEffects: None\n  failurePolicy: Ignore\n  \
                 admissionReviewVersions: [v1]\n",
                STANDARD.encode(issuer)
            ))
            .await;
        let probe = ["run", "probe", "--image=example/web:1", "--dry-run=server", "--output", "json"];
        let counts = async || space.kubectl(&probe).await.contains(&first).then_some(());
        until("the webhook is asked", PATIENCE, counts).await;
        Self { image, accepting }
    }

    /// Puts this image into the pods from now on.
    pub fn puts(&self, image: &str) {
        image.clone_into(&mut self.image.lock().expect("nobody panics with it"));
    }

    /// Takes the webhook away again.
    pub async fn close(self, space: &Namespace) {
        space.kubectl(&["delete", "mutatingwebhookconfiguration", &space.name]).await;
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn patch(does: &str, image: &str) -> Value {
    match does {
        "add" => json!([{"op": "add", "path": "/spec/containers/0", "value": {"name": "proxy", "image": image}}]),
        does => json!([{"op": does, "path": "/spec/containers/0/image", "value": image}]),
    }
}

async fn answer(acceptor: &TlsAcceptor, stream: TcpStream, patch: &Value) {
    // Whoever does not trust the certificate breaks off.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let (mut asked, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    let review = loop {
        match stream.read(&mut piece).await {
            Ok(read @ 1..) => asked.extend_from_slice(&piece[..read]),
            _ => return,
        }
        if let Some(review) = body(&asked) {
            break review;
        }
    };
    let response = json!({
        "uid": review["request"]["uid"],
        "allowed": true,
        "patchType": "JSONPatch",
        "patch": STANDARD.encode(patch.to_string()),
    });
    let said =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let told = format!("{head}content-length: {}\r\n\r\n{said}", said.len());
    stream.write_all(told.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

/// The body of a request, once all of it is there.
fn body(asked: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(asked).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

//! The ways to a git repository (G1): git's own daemon, a token over HTTP, a key over ssh. A credential that is wrong is said
//! and shown nowhere.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use vigie::actions::ActionsConfig;

use super::git::Remote;
use crate::faults::until;
use crate::room::Room;

const TOKEN: &str = "git-token-for-tests";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("it has an address").port()
}

/// Git's own daemon in front of a repository.
async fn daemon(remote: &Remote, port: u16, more: &[&str]) -> Child {
    let child = Command::new("git")
        .args(["daemon", "--listen=127.0.0.1", &format!("--port={port}"), "--export-all", "--reuseaddr"])
        .args(more)
        .arg(format!("--base-path={}", remote.folder.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("git starts");
    until("the daemon listens", Duration::from_secs(60), async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    child
}

/// Ends the daemon, which is a child of `git daemon`, with its whole group.
async fn end(mut child: Child) {
    let group = child.id().expect("it runs");
    let ended = Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().await.expect("kill starts");
    assert!(ended.success());
    child.wait().await.expect("it can be waited for");
}

#[tokio::test]
async fn a_commit_is_taken_back_through_gits_own_daemon() {
    let remote = Remote::open();
    let port = free_port();
    let url = format!("git://127.0.0.1:{port}/shop.git");
    let room = Room::with_step(&format!("within: 20s\n{}", remote.step_at(&url, "revert: {}")));
    let down = room.refusal().await;
    assert!(down.contains("git.unread") && down.contains("Connection refused"), "{down}");

    let reads = daemon(&remote, port, &[]).await;
    let plan = room.planned().await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: step.both") && line.contains("access denied"), "{line}");
    assert!(line.contains("git.not_pushed"), "{line}");
    assert_eq!(remote.file("price"), "20", "it takes no pushes");
    end(reads).await;

    let takes = daemon(&remote, port, &["--enable=receive-pack"]).await;
    let ran = room.run(&plan).await;
    assert_eq!((ran.line().as_str(), remote.file("price").as_str()), ("done", "10"), "{}", ran.everything());
    end(takes).await;
}

/// A web server in front of a repository that lets nobody in without the token.
async fn web(remote: &Remote) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let url = format!("http://{}/shop.git", listener.local_addr().expect("it has an address"));
    let root = remote.folder.path().display().to_string();
    let routes = Router::new().fallback(served).with_state(root);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn served(State(root): State<String>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = format!("Basic {}", STANDARD.encode(format!("x-access-token:{TOKEN}")));
    if text("authorization") != wanted {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response();
    }
    let environment: BTreeMap<&str, &str> = BTreeMap::from([
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("GIT_PROJECT_ROOT", root.as_str()),
        ("GIT_HTTP_EXPORT_ALL", "1"),
        ("REMOTE_USER", "vigie"),
        ("PATH_INFO", head.uri.path()),
        ("QUERY_STRING", head.uri.query().unwrap_or_default()),
        ("REQUEST_METHOD", head.method.as_str()),
        ("CONTENT_TYPE", text("content-type")),
        ("HTTP_CONTENT_ENCODING", text("content-encoding")),
        ("GIT_PROTOCOL", text("git-protocol")),
    ]);
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("git starts");
    let body = to_bytes(body, usize::MAX).await.expect("the body comes whole");
    let mut stdin = child.stdin.take().expect("it is piped");
    let feeding = tokio::spawn(async move { stdin.write_all(&body).await });
    let printed = child.wait_with_output().await.expect("it ends").stdout;
    // It may end before it has read everything.
    let _fed = feeding.await.expect("nobody panicked");
    let end = printed.windows(4).position(|four| four == b"\r\n\r\n").expect("it prints a head");
    let mut response = Response::new(Body::from(printed[end + 4..].to_vec()));
    for line in String::from_utf8_lossy(&printed[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header field");
        if name == "Status" {
            *response.status_mut() = value[..3].parse().expect("a status");
        } else {
            let name: header::HeaderName = name.parse().expect("a name");
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
    }
    response
}

#[tokio::test]
async fn a_token_opens_a_repository_and_a_wrong_one_is_said_and_shown_nowhere() {
    let remote = Remote::open();
    let url = web(&remote).await;
    let room = |token: &str| {
        let step = remote.step_at(&url, &format!("access: {{ token: {token} }}, revert: {{}}"));
        Room::with_step(&format!("within: 20s\n{step}"))
    };
    let refusal = room("another-token-of-tests").refusal().await;
    assert!(refusal.contains("git.no_access") && !refusal.contains("another-token"), "{refusal}");
    let right = room(TOKEN);
    let plan = right.planned().await;
    let ran = right.run(&plan).await;
    assert_eq!((ran.line().as_str(), remote.file("price").as_str()), ("done", "10"), "{}", ran.everything());
    let basic = STANDARD.encode(format!("x-access-token:{TOKEN}"));
    let all = format!("{plan:?} {}", ran.everything());
    assert!(!all.contains(TOKEN) && !all.contains(&basic));
    let kept = Command::new("grep").args(["-rlF", TOKEN]).arg(remote.folder.path().join("mirror")).output().await;
    assert_eq!(kept.expect("grep starts").stdout, b"", "no file of the mirror holds it");
}

#[test]
fn a_token_is_not_sent_where_everybody_on_the_way_can_read_it() {
    let remote = Remote::open();
    for (url, is_refused) in [
        ("http://git.example.com/shop.git", true),
        ("git://git.example.com/shop.git", true),
        ("https://git.example.com/shop.git", false),
        ("http://127.0.0.1:8080/shop.git", false),
    ] {
        let step = remote.step_at(url, &format!("access: {{ token: {TOKEN} }}, revert: {{}}"));
        let yaml = format!(
            "actions: {{ go: {{ title: Go, class: urgent, risk: reversible, expected: 1m, verify: [], steps: [{{ {step} }}] }} }}"
        );
        let config: ActionsConfig = serde_saphyr::from_str(&yaml).unwrap_or_else(|fault| panic!("{fault}\n{yaml}"));
        let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
        let is_told = faults.iter().any(|fault| fault.contains("could read the token"));
        assert!(is_told == is_refused && !faults.join(" ").contains(TOKEN), "{url}: {faults:?}");
    }
}

#[tokio::test]
async fn a_key_is_used_alone_and_without_questions() {
    let remote = Remote::open();
    let folder = remote.folder.path();
    // Stands for ssh: keeps what it was called with, lets one key in, and runs what was asked for here.
    let program = folder.join("bin/ssh");
    std::fs::create_dir(folder.join("bin")).expect("it can be made");
    let (calls, key) = (folder.join("calls"), folder.join("the key"));
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>'{}'\ncase \"$*\" in *'-i {}'*) ;; *) echo 'Permission denied (publickey).' >&2; exit 255;; \
         esac\nwhile [ $# -gt 1 ]; do shift; done\nexec sh -c \"$1\"\n",
        calls.display(),
        key.display(),
    );
    std::fs::write(&program, script).expect("it can be written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it can be made to run");
    let url = format!("ssh://git@git.example.com{}", remote.bare().display());
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", folder.join("bin").display());
    let room = |key: &str| {
        let access = format!("access: {{ ssh_key: \"{key}\", known_hosts: /etc/vigie/known_hosts }}, revert: {{}}");
        let step = format!("within: 20s\n{}", remote.step_at(&url, &access));
        Room::open_with_path(&Room::text(&step, "command: { argv: [\"true\"] }"), &path)
    };
    let refusal = room("/etc/vigie/another_key").refusal().await;
    assert!(refusal.contains("git.no_access") && refusal.contains("Permission denied (publickey)"), "{refusal}");
    let ran = room(&key.display().to_string()).goes().await;
    assert_eq!((ran.line().as_str(), remote.file("price").as_str()), ("done", "10"), "{}", ran.everything());
    let calls = std::fs::read_to_string(calls).expect("it was called");
    for wanted in [
        "-F /dev/null",
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/etc/vigie",
    ] {
        assert!(calls.lines().all(|line| line.contains(wanted)), "{wanted} is not in {calls}");
    }
}

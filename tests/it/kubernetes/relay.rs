//! A relay between the bot and an API server that is slow, or loses an answer on its way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Not armed: no answer is lost.
const NEVER: i64 = i64::MAX;

#[derive(Debug)]
struct Rules {
    delay_ms: AtomicU64,
    /// How many more requests get an answer.
    answered: AtomicI64,
    lost: AtomicUsize,
    /// Whoever waits for an answer that is lost is not told that nothing comes any more.
    holds: AtomicBool,
    /// All is never well again.
    is_the_end: AtomicBool,
    /// Nothing passes once an answer is lost.
    stands_still: AtomicBool,
    still: watch::Sender<bool>,
}

pub struct Relay {
    address: SocketAddr,
    rules: Arc<Rules>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Begins to pass everything on to this server.
    pub async fn open(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let rules = Rules {
            delay_ms: 0.into(),
            answered: NEVER.into(),
            lost: 0.into(),
            holds: false.into(),
            is_the_end: false.into(),
            stands_still: false.into(),
            still: watch::Sender::new(false),
        };
        let (rules, ours) = (Arc::new(rules), JoinSet::new());
        let accepting = tokio::spawn(accept(listener, server, Arc::clone(&rules), ours));
        Self { address, rules, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything takes so much longer, each way.
    pub fn delay(&self, length: Duration) {
        let length = u64::try_from(length.as_millis()).expect("it is short");
        self.rules.delay_ms.store(length, Ordering::SeqCst);
    }

    /// So many more requests are answered. The answer to the next is lost with its connection, and then all is well.
    pub fn lose_the_answer_after(&self, requests: i64) {
        self.rules.answered.store(requests, Ordering::SeqCst);
    }

    /// The same, and whoever asked goes on waiting.
    pub fn hold_the_answer_after(&self, requests: i64) {
        self.rules.holds.store(true, Ordering::SeqCst);
        self.lose_the_answer_after(requests);
    }

    /// So many more requests are answered, and then none, whoever asks.
    pub fn fall_silent_after(&self, requests: i64) {
        self.rules.is_the_end.store(true, Ordering::SeqCst);
        self.hold_the_answer_after(requests);
    }

    /// So many more requests are answered. The answer to the next is lost with its connection, and nothing passes until it goes
    /// on.
    pub fn stand_still_after(&self, requests: i64) {
        self.rules.stands_still.store(true, Ordering::SeqCst);
        self.lose_the_answer_after(requests);
    }

    /// All is well again.
    pub fn go_on(&self) {
        self.rules.still.send_replace(false);
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.rules.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, rules: Arc<Rules>, mut passing: JoinSet<()>) {
    while let Ok((client, _)) = listener.accept().await {
        let rules = Arc::clone(&rules);
        passing.spawn(async move {
            if let Ok(server) = TcpStream::connect(server).await {
                pass(client, server, &rules).await;
            }
        });
    }
}

/// One connection, both ways, until one side ends it or an answer is to be lost.
async fn pass(client: TcpStream, server: TcpStream, rules: &Rules) {
    client.set_nodelay(true).expect("a socket takes options");
    server.set_nodelay(true).expect("a socket takes options");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            slowly(rules).await;
            if rules.answered.load(Ordering::SeqCst) != NEVER {
                rules.answered.fetch_sub(1, Ordering::SeqCst);
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let answering = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if rules.answered.load(Ordering::SeqCst) < 0 {
                if !rules.is_the_end.load(Ordering::SeqCst) {
                    rules.answered.store(NEVER, Ordering::SeqCst);
                }
                rules.still.send_replace(rules.stands_still.load(Ordering::SeqCst));
                rules.lost.fetch_add(1, Ordering::SeqCst);
                if rules.holds.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                return;
            }
            slowly(rules).await;
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

async fn slowly(rules: &Rules) {
    let length = Duration::from_millis(rules.delay_ms.load(Ordering::SeqCst));
    // Nothing comes of it but the time.
    let _ = tokio::time::timeout(length, std::future::pending::<()>()).await;
    rules.still.subscribe().wait_for(|still| !*still).await.map(drop).expect("the rules hold the other end");
}

//! A database server that is gone without a word, with its whole host: nobody says that the connections to it are over.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vigie::store::{Store, Target};

use crate::database::{Database, Kind};
use crate::script::START;
use crate::store::typed;

/// Whoever asks a server that is gone is told so in less than this.
const PATIENCE: Duration = Duration::from_secs(40);

/// The way to the server. What goes over a connection that is older than the last `swallow` arrives nowhere.
struct Way {
    address: SocketAddr,
    swallowed: watch::Sender<u64>,
}

impl Way {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let swallowed = watch::Sender::new(0);
        let swallows = swallowed.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut swallows = swallows.clone();
                swallows.mark_unchanged();
                tokio::spawn(pass(client, server, swallows));
            }
        });
        Self { address, swallowed }
    }

    fn swallow(&self) {
        self.swallowed.send_modify(|times| *times += 1);
    }
}

/// Both ways, until what is said is swallowed: the connection stays open then, and nothing comes.
async fn pass(mut client: TcpStream, server: SocketAddr, mut swallows: watch::Receiver<u64>) {
    let mut server = TcpStream::connect(server).await.expect("the server is there");
    let is_over = tokio::select! {
        // An error is an end, too.
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => true,
        swallowed = swallows.changed() => swallowed.is_err(),
    };
    if !is_over {
        // The server itself sees an end; whoever asks sees none until it hangs up.
        server.shutdown().await.expect("the server hears that it is over");
        let mut nowhere = [0; 1024];
        while client.read(&mut nowhere).await.is_ok_and(|read| read > 0) {}
    }
}

#[tokio::test]
async fn whoever_waits_for_a_server_that_is_gone_goes_on_with_its_successor() {
    let database = Database::of(Kind::Postgres).await;
    let mut url = url::Url::parse(&database.url).expect("an address");
    let server = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let way = Way::to(server.parse().expect("a server on this machine")).await;
    url.set_port(Some(way.address.port())).expect("it takes a port");
    let store = Store::open(url.as_str()).await.unwrap();
    // Connections that were used a moment ago are used again untried.
    for number in 0..16 {
        store.receive(&format!("before {number}"), Target::default(), &typed("note x"), START).await.unwrap();
        store.next_wake().await.unwrap();
    }
    way.swallow();
    let note = typed("note x");
    let receive = || store.receive("gone", Target::default(), &note, START);
    let received = async { while receive().await.is_err() {} };
    let both = async { tokio::join!(received, store.next_wake()) };
    // What was asked of the one that is gone may fail, and soon.
    let _ = tokio::time::timeout(PATIENCE, both).await.expect("nobody waits for the one that is gone");
    assert!(!receive().await.unwrap(), "it is kept once");
}

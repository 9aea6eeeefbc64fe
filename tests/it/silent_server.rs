//! A database server that is gone without a word, with its whole host: nobody says that the connections to it are over.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vigie::incident::decision::Lane;
use vigie::incident::time::Millis;
use vigie::store::{Store, Target};

use crate::database::{Database, Kind};
use crate::script::START;
use crate::store::{take_all, typed};

/// Whoever asks a server that is gone is told so in less than this.
const PATIENCE: Duration = Duration::from_secs(40);

/// The way to the server. What goes over a connection that is older than the last `swallow` arrives nowhere.
struct Way {
    address: SocketAddr,
    swallowed: watch::Sender<u64>,
    loses: watch::Sender<u64>,
}

impl Way {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let swallowed = watch::Sender::new(0);
        let swallows = swallowed.subscribe();
        let loses = watch::Sender::new(0);
        let loses_one = loses.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut swallows = swallows.clone();
                let mut loses_one = loses_one.clone();
                swallows.mark_unchanged();
                loses_one.mark_unchanged();
                tokio::spawn(pass(client, server, swallows, loses_one));
            }
        });
        Self { address, swallowed, loses }
    }

    fn swallow(&self) {
        self.swallowed.send_modify(|times| *times += 1);
    }

    /// Each connection that is open now brings one more question to the server, and ends instead of the answer.
    fn lose_an_answer(&self) {
        self.loses.send_modify(|times| *times += 1);
    }
}

/// Both ways, until what is said is swallowed: the connection stays open then, and nothing comes.
async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    mut swallows: watch::Receiver<u64>,
    mut loses_one: watch::Receiver<u64>,
) {
    let mut server = TcpStream::connect(server).await.expect("the server is there");
    let is_over = tokio::select! {
        // An error is an end, too.
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => true,
        swallowed = swallows.changed() => swallowed.is_err(),
        Ok(()) = loses_one.changed() => {
            let (mut asks, _) = client.split();
            let (answers, mut asked) = server.split();
            tokio::select! {
                _ = tokio::io::copy(&mut asks, &mut asked) => {}
                _ = answers.readable() => {}
            }
            true
        }
    };
    if !is_over {
        // The server itself sees an end; whoever asks sees none until it hangs up.
        server.shutdown().await.expect("the server hears that it is over");
        let mut nowhere = [0; 1024];
        while client.read(&mut nowhere).await.is_ok_and(|read| read > 0) {}
    }
}

/// A store that reaches its server this way.
async fn store_by_a_way() -> (Store, Way, Database) {
    let database = Database::of(Kind::Postgres).await;
    let mut url = url::Url::parse(&database.url).expect("an address");
    let server = format!("{}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let way = Way::to(server.parse().expect("a server on this machine")).await;
    url.set_port(Some(way.address.port())).expect("it takes a port");
    (Store::open(url.as_str()).await.unwrap(), way, database)
}

#[tokio::test]
async fn whoever_waits_for_a_server_that_is_gone_goes_on_with_its_successor() {
    let (store, way, _database) = store_by_a_way().await;
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

/// As the doors do: Slack hangs up after three seconds.
#[tokio::test]
async fn whoever_goes_away_from_a_server_that_is_gone_keeps_no_place_from_others() {
    const MANY: usize = 16;
    let (store, way, _database) = store_by_a_way().await;
    let look = |_| store.next_wake();
    join_all((0..MANY).map(look)).await;
    way.swallow();
    let impatient = |_| tokio::time::timeout(Duration::from_millis(100), store.next_wake());
    join_all((0..MANY).map(impatient)).await;
    let note = typed("note x");
    let received = async { while store.receive("later", Target::default(), &note, START).await.is_err() {} };
    tokio::time::timeout(PATIENCE, received).await.expect("there is a place");
}

#[tokio::test]
async fn a_page_that_the_database_gave_us_and_whose_answer_was_lost_is_taken_again_at_once() {
    let (store, way, _database) = store_by_a_way().await;
    store.receive("1", Target::default(), &typed("start sev2 the shop is down"), START).await.unwrap();
    take_all(&store, START).await;
    let claim = || store.claim(Lane::Page, START, Millis::seconds(15), 10);
    // Whichever connection is used next knows the statement.
    for _ in 0..20 {
        join_all((0..6).map(|_| store.claim(Lane::Comms, START, Millis::seconds(15), 10))).await;
    }
    way.lose_an_answer();
    let lost = claim().await;
    assert!(lost.is_err(), "{lost:?}");
    // Each of the others that rest is tried in turn.
    let claimed = loop {
        if let Ok(claimed) = claim().await {
            break claimed;
        }
    };
    assert!(claimed.is_empty(), "they are leased, to us as far as the database knows: {claimed:?}");
    while store.give_back_what_was_lost(START).await.is_err() {}
    assert!(!claim().await.unwrap().is_empty());
}

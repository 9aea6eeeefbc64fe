//! Two replicas on one PostgreSQL, each able to reach everything, until the network of one is cut: no packet comes or goes,
//! and nothing tells it so. The other takes over; when the network is back, nothing is done a second time.

use std::cell::Cell;
use std::process::Command;
use std::time::Duration;

use super::check::{Allowed, check};
use super::people::People;
use super::server::Server;
use super::town::Town;
use super::{LEASE, chance, pass, rounds, skip};
use crate::bot::Bot;

/// A network namespace with one cable to this machine. Nothing leaves the machine. It goes away with this.
struct Island {
    name: String,
    /// This machine's end of the cable.
    cable: String,
    /// The island's own address.
    address: String,
}

impl Island {
    /// `None`, with the reason, where this user may not make one.
    fn rise() -> Option<Self> {
        let number = std::process::id();
        let net = format!("10.{}.{}", 100 + number / 64 % 100, number % 64 * 4);
        let (name, cable) = (format!("vigie-{number}"), format!("vg{number}"));
        let island = Self { address: format!("{net}.2"), name, cable };
        match island.build(&format!("{net}.1")) {
            Ok(()) => Some(island),
            Err(why) => {
                skip(&format!("a network namespace cannot be made: {why}"));
                None
            }
        }
    }

    /// Its loopback interface stays down, so that 127.0.0.1 is this machine's, over the cable.
    fn build(&self, here: &str) -> Result<(), String> {
        let Self { name, cable, address } = self;
        run(&format!("ip netns add {name}"))?;
        run(&format!("ip link add {cable} type veth peer name eth0 netns {name}"))?;
        run(&format!("ip address add {here}/30 dev {cable}"))?;
        run(&format!("ip link set {cable} up"))?;
        run(&format!("ip -n {name} address add {address}/30 dev eth0"))?;
        run(&format!("ip -n {name} link set eth0 up"))?;
        run(&format!("sysctl -q -w net.ipv4.conf.{cable}.route_localnet=1"))?;
        run(&format!("ip netns exec {name} sysctl -q -w net.ipv4.conf.eth0.route_localnet=1"))?;
        run(&format!("ip -n {name} route add 127.0.0.1/32 dev eth0 src {address}"))
    }

    /// `vigie serve`, on the island.
    async fn start(&self, town: &Town) -> Bot {
        let words = ["ip", "netns", "exec", &self.name];
        let mut bot = Bot::begin(town.command_by(&words, &format!("{}:0", self.address)));
        bot.listens().await;
        bot
    }

    fn cut(&self) {
        run(&format!("ip link set {} down", self.cable)).unwrap_or_else(|why| panic!("{why}"));
    }

    fn mend(&self) {
        run(&format!("ip link set {} up", self.cable)).unwrap_or_else(|why| panic!("{why}"));
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // The cable goes with it.
        if let Err(why) = run(&format!("ip netns delete {}", self.name)) {
            println!("the network namespace stays: {why}");
        }
    }
}

fn run(line: &str) -> Result<(), String> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).output().map_err(|why| format!("{line}: {why}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{line}: {said}")) }
}

#[tokio::test]
async fn what_a_replica_that_is_cut_off_had_in_hand_is_taken_over_and_done_once() {
    const WORKS: std::ops::Range<u64> = 0..1_500;
    /// Longer than a lease.
    const CUT: Duration = LEASE.saturating_add(Duration::from_secs(2));
    let Some(island) = Island::rise() else { return };
    let server = Server::up();
    server.let_in(&format!("{}/32", island.address));
    let town = Town::open(&server.url).await;
    let (people, is_over, rounds) = (People::of(&town), Cell::new(false), rounds(1));
    let (here, there) = (town.start().await, island.start(&town).await);
    let cutting = async {
        let mut chance = chance();
        for _ in 0..rounds {
            people.are_busy().await;
            pass(Duration::from_millis(chance.u64(WORKS))).await;
            island.cut();
            pass(CUT).await;
            island.mend();
        }
        is_over.set(true);
    };
    tokio::join!(cutting, people.work(&is_over));
    let late = CUT + Duration::from_secs(15);
    let allowed = Allowed { late, after_answer: CUT + Duration::from_secs(10), asked_again: false };
    check(&town, &people, "network", "postgres", rounds, &allowed).await;
    there.stop().await;
    here.stop().await;
}

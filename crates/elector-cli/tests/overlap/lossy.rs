//! A link that loses packets: the leader reaches the servers by an address of its own, in a network namespace that
//! the test made, and the kernel's filter drops what comes in and goes out by that address at random.

use crate::common::{Elector, TICK};
use crate::witness::{PYTHON, Witness};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, bound_command, monotonic_time, require_namespaces, require_programs, rounds};

const NFT: &str = "/usr/sbin/nft";
const IP: &str = "/usr/sbin/ip";
/// Says to this test that it runs in the namespace.
const INSIDE: &str = "ELECTOR_TEST_IN_NAMESPACE";
const OPTIONS: &str = "--session-timeout 6s --ensemble-tick 500ms";
const TIMEOUT: Duration = Duration::from_secs(6);
/// Beyond the session timeout: until somebody leads after the loss is over.
const RECOVERY: Duration = Duration::from_secs(5);
/// Each packet is dropped with this probability in each direction. The leader's end of a connection and the server's
/// may both be 127.0.0.2, so they are told apart by the server's port.
const LOSE: &str = "add table ip lossy
add chain ip lossy in { type filter hook input priority 0; }
add rule ip lossy in ip daddr 127.0.0.2 tcp dport @PORTS numgen random mod 100 < 30 counter drop
add rule ip lossy in ip saddr 127.0.0.2 tcp sport @PORTS numgen random mod 100 < 30 counter drop";

/// E10: three packets in ten are lost both ways.
#[test]
fn e10_behind_a_lossy_link_no_two_programs_at_a_time() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON, NFT, IP]) {
        return;
    }
    if std::env::var_os(INSIDE).is_some() {
        return lose_packets();
    }
    let Some(through) = require_namespaces(&["--net"]) else { return };
    let mut command = bound_command(through[0]);
    command.args(&through[1..]).arg(std::env::current_exe().expect("this test's program"));
    command.args(["--exact", "--nocapture", "lossy::e10_behind_a_lossy_link_no_two_programs_at_a_time"]);
    for name in [zk_ensemble::RELEASE, zk_ensemble::REQUIRE_ALL, crate::witness::RECORDS] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.env(INSIDE, "1").stdin(Stdio::null());
    assert!(command.status().expect("it starts").success(), "see above");
}

fn lose_packets() {
    run(&[IP, "link", "set", "lo", "up"]);
    let ensemble = Ensemble::builder(3).tick_time(TICK).config_line("clientPortAddress=0.0.0.0").start();
    let ports: Vec<u16> = ensemble.servers().iter().map(|server| server.address().port()).collect();
    let list = |host: &str| ports.iter().map(|port| format!("{host}:{port}")).collect::<Vec<_>>().join(",");
    let witness = Witness::new();
    let contend =
        |servers: &str, id| witness.program(Elector::run(servers, id, OPTIONS).word("/e10")).start();
    let mut leader = contend(&list("127.0.0.2"), "first");
    leader.wait_for("leading with token");
    witness.until_terms(1);
    let mut next = contend(&list("127.0.0.1"), "next");
    next.wait_for("waiting, 2nd of 2");

    witness.note_fault("its link loses packets");
    let numbers = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    run(&[NFT, &LOSE.replace("@PORTS", &format!("{{ {numbers} }}"))]);
    std::thread::sleep(Duration::from_secs(rounds(15, 180) as u64));
    let [up, down] = dropped();
    assert!(up > 0 && down > 0, "nothing was lost: {up} and {down}");
    run(&[NFT, "delete table ip lossy"]);

    let healed = (Instant::now(), monotonic_time());
    while witness.last_act() < healed.1 + Duration::from_secs(1) {
        let took = healed.0.elapsed();
        assert!(took < TIMEOUT + RECOVERY, "nobody leads: {}{}", leader.said(), next.said());
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("e10: {up} and {down} packets lost; so far {:?}", witness.judge());
    // The checker wants a hand-over, if there was none.
    leader.kill();
    witness.until_terms(2);
    std::thread::sleep(Duration::from_millis(300)); // for a line of whoever were still there
    let terms = witness.judge();
    println!("e10: {terms:?}");
    assert!(terms.is_ok(), "{terms:?}: {}{}", leader.said(), next.said());
}

/// How many packets each rule dropped.
fn dropped() -> [u64; 2] {
    let said = run(&[NFT, "list table ip lossy"]);
    let counts = said.split("counter packets ").skip(1);
    let counts = counts.map(|rest| rest.split(' ').next().and_then(|count| count.parse().ok()));
    let counts: Vec<u64> = counts.map(|count| count.expect("a count")).collect();
    counts.try_into().expect("two rules")
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().expect("it is there");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints words")
}

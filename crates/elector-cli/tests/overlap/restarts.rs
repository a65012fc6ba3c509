//! Servers that all go at once and come back: with what they had, or with older data out of a backup.

use crate::common::{Elector, LONG, Running, SHORT, SHORT_TIMEOUT, TICK, number_after};
use crate::witness::{Fault, PYTHON, Witness};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, Kind, Onlooker, require_programs, rounds};

/// A session that outlives the restart even where a busy machine takes long for it.
const LONG_SESSION: &str = "--session-timeout 40s --ensemble-tick 500ms";
/// What the servers must grant for that.
const MOST_GRANTED: Duration = Duration::from_secs(60);
/// Transactions that a backup misses.
const AHEAD: usize = 300;
/// Beyond the session timeout: until somebody leads after the servers serve again.
const RECOVERY: Duration = Duration::from_secs(5);

/// A leader and the next one in line, who both reach all servers.
struct Pair {
    witness: Witness,
    leader: Running,
    next: Running,
}

impl Pair {
    fn start(servers: &str, election: &str, options: &str) -> Pair {
        let witness = Witness::new();
        let contend = |id| witness.program(Elector::run(servers, id, options).word(election)).start();
        let mut leader = contend("first");
        leader.wait_for("leading with token");
        witness.until_terms(1);
        let mut next = contend("next");
        next.wait_for("waiting, 2nd of 2");
        Pair { witness, leader, next }
    }

    fn said(&self) -> String {
        format!("first: {}next: {}", self.leader.said(), self.next.said())
    }
}

/// E18: a session that is longer than the outage goes on, and so does the program; a shorter one ends in time.
#[test]
fn e18_all_servers_restarted_at_once_no_two_programs_at_a_time() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let mut ensemble = Ensemble::builder(3).tick_time(TICK).max_session_timeout(MOST_GRANTED).start();
    let servers = ensemble.connect_string();
    for round in 0..rounds(1, 10) {
        let mut kept = Pair::start(&servers, &format!("/e18-kept-{round}"), LONG_SESSION);
        let lost = Pair::start(&servers, &format!("/e18-lost-{round}"), SHORT);
        (0..3).for_each(|index| ensemble.server(index).kill());
        // Longer than the short session's lease, and a small part of the long one's.
        std::thread::sleep(SHORT_TIMEOUT);
        (0..3).for_each(|index| ensemble.server(index).restart());
        ensemble.wait_until_serving();
        let serving = Instant::now();
        lost.witness.until_terms(2);
        let took = serving.elapsed();
        assert!(took <= SHORT_TIMEOUT + RECOVERY, "{took:?}: {}", lost.said());
        kept.leader.wait_for("same session; leading on");
        assert_eq!(kept.witness.judge(), Err(Fault::NoHandOver), "{}", kept.said());
        // The checker wants a hand-over: the second TERM kills the program.
        kept.leader.signal(Signal::TERM);
        kept.leader.wait_for("TERM received");
        kept.leader.signal(Signal::TERM);
        kept.witness.until_terms(2);
        std::thread::sleep(Duration::from_millis(300)); // for a line of whoever were still there
        for (what, pair) in [("kept", &kept), ("lost", &lost)] {
            let terms = pair.witness.judge();
            println!("e18, {what}: {terms:?}; the lost one led again {took:?} after the servers served");
            assert!(terms.is_ok(), "{what}: {terms:?}: {}", pair.said());
        }
    }
}

/// E19: a server comes back with older data. Who has seen newer ones names what it has seen and does not lead there,
/// until the server has gone past that.
#[test]
fn e19_on_a_server_restored_from_a_backup_nobody_leads_with_a_lower_token() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let mut ensemble = Ensemble::builder(1).tick_time(TICK).start();
    let backup = tempfile::tempdir().expect("a folder");
    let data = ensemble.server(0).data_directory();
    ensemble.server(0).kill();
    copy_folder(&data, &backup.path().join("data"));
    ensemble.server(0).restart();
    ensemble.wait_until_serving();
    // So far ahead of the backup that sessions which come and go there do not soon make it up.
    let mut writer = Onlooker::connect(ensemble.servers()[0].address()).expect("a session");
    writer.create("/written", b"", Kind::Persistent).expect("created");
    for _ in 0..AHEAD {
        writer.set_data("/written", b"").expect("written");
    }
    drop(writer);

    let witness = Witness::new();
    let servers = ensemble.connect_string();
    let mut leader = witness.program(Elector::run(&servers, "one", SHORT).word("/restored")).start();
    let token = number_after(&leader.wait_for("leading with token"), "token");
    witness.until_terms(1);

    ensemble.server(0).kill();
    fs::remove_dir_all(&data).expect("the server is down");
    copy_folder(&backup.path().join("data"), &data);
    ensemble.server(0).restart();
    ensemble.wait_until_serving();
    assert!(ensemble.zxid(0).expect("it serves") < token, "the backup is not older");

    leader.wait_for("lost after");
    let refused = leader.wait_for("behind zxid 0x");
    let seen = refused.split("behind zxid 0x").nth(1).and_then(|rest| rest.split(',').next());
    let seen = u64::from_str_radix(seen.expect("a zxid"), 16).expect("in hexadecimal digits");
    assert!(seen >= token, "{refused}");
    // Long enough for a session of its own there, and a term, were it to take one.
    std::thread::sleep(SHORT_TIMEOUT / 2);
    assert_eq!(witness.judge(), Err(Fault::NoHandOver), "{}", leader.said());

    let mut writer = Onlooker::connect(ensemble.servers()[0].address()).expect("who has seen nothing may");
    writer.create("/written", b"", Kind::Persistent).expect("created");
    while ensemble.zxid(0).expect("it serves") <= seen {
        writer.set_data("/written", b"").expect("written");
    }
    let again = number_after(&leader.wait_for("leading with token"), "token");
    assert!(again > seen, "{again} after {seen}");
    witness.until_terms(2);
    println!("e19: token {token}, seen {seen}, then {again}: {:?}", witness.judge());
    assert!(witness.judge().is_ok(), "{}", leader.said());
    leader.signal(Signal::TERM);
    leader.wait_for("TERM received");
    leader.signal(Signal::TERM);
    leader.end(LONG);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it is read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it has one").is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

//! C14: the loss comes while a term is about to begin, between the promotion and the program's exec or close to it.
//!
//! Nobody can hit that moment at will, so each round strikes a little later after the contender's znode is there.

use crate::common::{Elector, LONG, SHORT, SHORT_TIMEOUT, shared_server, survivors, wait_until_all_gone};
use crate::witness::{PYTHON, Witness};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use zk_ensemble::{Onlooker, Proxy, require_programs, rounds};

/// The strikes of one pass over the moments of a start.
const STRIKES: u32 = 40;
/// The last of them: the program has long been started.
const LATEST: Duration = Duration::from_millis(60);

/// When the strike `number` comes after the contender's znode was seen: the earlier, the closer to the one before.
fn moment(number: u32) -> Duration {
    let part = f64::from(number % STRIKES) / f64::from(STRIKES);
    LATEST.mul_f64(part.powi(3))
}

/// An operator's `delete` races with the promotion: whatever was started is killed before the next term's program.
#[test]
fn c14_deleted_while_it_starts_no_two_programs_at_a_time() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let server = shared_server();
    let address = server.servers()[0].address();
    let id = format!("races-{}", std::process::id());
    let witness = Witness::new();
    let servers = server.connect_string();
    let mut elector = witness.program(Elector::run(&servers, &id, SHORT).word("/races")).start();
    // On a busy machine none but the first and the last term may come to write.
    witness.until_terms(1);
    let mut operator = Onlooker::connect(address).expect("a session");
    let mut last = String::new();
    let deletes = rounds(STRIKES as usize, 400);
    for round in 0..deletes {
        last = next_contender(&mut operator, "/races", &last);
        std::thread::sleep(moment(round as u32));
        operator.delete(&format!("/races/{last}")).expect("it is there");
    }
    next_contender(&mut operator, "/races", &last);
    witness.until_terms(2);
    // The last term goes on, so whoever were left of the others would write beside it.
    std::thread::sleep(Duration::from_millis(500));
    let terms = witness.judge();
    let started = elector.said().matches("leading with token").count();
    println!("c14: {deletes} deletes, {started} programs started: {terms:?}");
    assert!(terms.is_ok(), "{terms:?}: {}", elector.said());
    elector.kill();
    wait_until_all_gone(&id, LONG);
}

/// All is silent from some moment of the promotion or the start: nothing of the program is there as the lease ends.
#[test]
fn c14_cut_off_while_it_starts_the_program_is_dead_by_the_end_of_the_lease() {
    if !zk_ensemble::require() || !require_programs(&[PYTHON]) {
        return;
    }
    let server = shared_server();
    let address = server.servers()[0].address();
    // Several at a time: most of each round is waiting for a lease to end.
    let at_once = 8;
    for round in 0..rounds(1, 20) {
        std::thread::scope(|scope| {
            for one in 0..at_once {
                let after = moment(round as u32 + one * STRIKES / at_once);
                scope.spawn(move || {
                    cut_one(address, &format!("cut-{}-{round}-{one}", std::process::id()), after)
                });
            }
        });
    }
}

fn cut_one(address: SocketAddr, id: &str, after: Duration) {
    let election = format!("/{id}");
    let mut operator = Onlooker::connect(address).expect("a session");
    let proxy = Proxy::new(address);
    let witness = Witness::new();
    let servers = proxy.address().to_string();
    let mut elector = witness.program(Elector::run(&servers, id, SHORT).word(&election)).start();
    next_contender(&mut operator, &election, "");
    std::thread::sleep(after);
    proxy.blackhole();
    let cut = Instant::now();
    // Whatever was heard was asked for before the cut.
    std::thread::sleep(SHORT_TIMEOUT.mul_f64(0.99));
    let left = survivors(id);
    let started = elector.said().contains("leading with token");
    println!("c14, cut after {after:?}: started: {started}");
    assert!(left.is_empty(), "{left:?} {:?} after the cut: {}", cut.elapsed(), elector.said());
    let again = elector.said().matches("leading with token").count() + 1;
    proxy.heal();
    while elector.said().matches("leading with token").count() < again {
        assert!(cut.elapsed() < LONG, "{}", elector.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    elector.kill();
    wait_until_all_gone(id, LONG);
}

/// Waits for a contender other than `last`.
fn next_contender(operator: &mut Onlooker, election: &str, last: &str) -> String {
    let until = Instant::now() + LONG;
    loop {
        // Before the first one there is no election.
        let names = operator.children(election).unwrap_or_default();
        if let Some(name) = names.into_iter().find(|name| name != last) {
            return name;
        }
        assert!(Instant::now() < until, "nobody contends in {election}");
        std::thread::sleep(Duration::from_micros(100));
    }
}

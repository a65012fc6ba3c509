//! What the fence in Postgres does with transactions that overlap, and what goes wrong beside it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use zk_ensemble::LineProcess;

use crate::common::LONG;
use crate::postgres::{Postgres, needs};
use crate::source::DIRECTORY;

const FENCE_1: &str = "SELECT fence('/billing', 1);";
const FENCE_2: &str = "SELECT fence('/billing', 2);";
/// The server's codes: well; a term that is over; a transaction that has to be tried again.
const WELL: &str = "00000";
const STALE: &str = "STALE";
const TRY_AGAIN: &str = "40001";

/// A connection that is told one statement after the other.
struct Session(LineProcess);

impl Session {
    fn open(postgres: &Postgres) -> Session {
        let mut client: Command = postgres.client();
        client.args(["-v", "ON_ERROR_STOP=0"]);
        Session(LineProcess::start(client).expect("psql starts"))
    }

    /// Sends statements without waiting for them.
    fn send(&mut self, sql: &str) {
        self.0.send(&format!("{sql}\n\\echo state :SQLSTATE")).expect("psql runs");
    }

    /// The code that the last of the statements sent together ended with.
    fn state(&mut self) -> String {
        let line = self.0.wait_for("state ", LONG);
        line.text.split(' ').nth(1).expect("a code").to_owned()
    }

    fn ask(&mut self, sql: &str) -> String {
        self.send(sql);
        self.state()
    }

    fn has_printed(&self, text: &str) -> bool {
        self.0.lines().iter().any(|line| line.text == text)
    }
}

/// Waits until so many connections wait for a lock.
fn wait_for_waiting(postgres: &Postgres, many: &str) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let end = Instant::now() + LONG;
    while postgres.run(waiting) != many {
        assert!(Instant::now() < end, "nobody waits");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn terms_take_turns_at_every_isolation_level() {
    if !needs() {
        return;
    }
    let postgres = Postgres::start();
    for (level, turn) in
        [("READ COMMITTED", WELL), ("REPEATABLE READ", TRY_AGAIN), ("SERIALIZABLE", TRY_AGAIN)]
    {
        // Nobody has led yet, so that two terms meet where there is no row to lock.
        postgres.run("TRUNCATE fences; UPDATE progress SET last_invoice = 0");
        let begin = format!("BEGIN ISOLATION LEVEL {level};");
        let (mut old, mut new) = (Session::open(&postgres), Session::open(&postgres));
        assert_eq!(old.ask(&format!("{begin} {FENCE_1} UPDATE progress SET last_invoice = 100;")), WELL);

        new.send(&format!("{begin} {FENCE_2}"));
        wait_for_waiting(&postgres, "1");
        assert_eq!(old.ask("COMMIT;"), WELL);
        assert_eq!(new.state(), turn, "{level}");
        if turn == TRY_AGAIN {
            assert_eq!(new.ask(&format!("ROLLBACK; {begin} {FENCE_2}")), WELL, "{level}");
        }
        assert_eq!(new.ask("SELECT 'read ' || last_invoice FROM progress;"), WELL);
        assert!(new.has_printed("read 100"), "{level}: what the old leader wrote before was not seen");

        // The old leader again, while the new one is in its transaction.
        old.send(&format!("{begin} {FENCE_1}"));
        wait_for_waiting(&postgres, "1");
        assert_eq!(new.ask("UPDATE progress SET last_invoice = 200; COMMIT;"), WELL, "{level}");
        let refused = old.state();
        assert!(refused == STALE || refused == turn, "{level}: {refused}");
        assert_eq!(old.ask(&format!("ROLLBACK; {begin} {FENCE_1}")), STALE, "{level}");
        let again = format!("{begin} {FENCE_2} UPDATE progress SET last_invoice = 201; COMMIT;");
        assert_eq!(new.ask(&again), WELL, "{level}: the same term goes on writing");
        assert_eq!(postgres.last_invoice(), "201");
    }
}

#[test]
fn a_leader_frozen_within_its_transaction_holds_the_next_one_up_only_so_long() {
    if !needs() {
        return;
    }
    let postgres = Postgres::start();
    let mut old = Session::open(&postgres);
    assert_eq!(old.ask(&format!("BEGIN; {FENCE_1} UPDATE progress SET last_invoice = 100;")), WELL);
    old.0.process().stop();
    // Waits for the old one's end, which the server brings about.
    let read = postgres.run(&format!("BEGIN; {FENCE_2} SELECT last_invoice FROM progress; COMMIT"));
    assert_eq!(read.trim(), "0");
    old.0.process().cont();
    // psql ends as soon as it hears of it, which may be before this.
    let _ = old.0.send("COMMIT;");
    old.0.wait_for("terminating connection due to idle-in-transaction timeout", LONG);
    assert_eq!(postgres.last_invoice(), "0");
}

#[test]
fn a_leader_that_reads_before_it_raises_the_fence_builds_on_what_an_older_one_then_changes() {
    if !needs() {
        return;
    }
    let postgres = Postgres::start();
    let late = format!("BEGIN; {FENCE_1} UPDATE progress SET last_invoice = 100; COMMIT");
    // The mistake.
    let read = postgres.last_invoice();
    postgres.run(&late);
    postgres.run(&format!("BEGIN; {FENCE_2} UPDATE progress SET last_invoice = {read} + 1; COMMIT"));
    assert_eq!(postgres.last_invoice(), "1", "invoices 2 to 100 will be sent twice");

    postgres.run("TRUNCATE fences; UPDATE progress SET last_invoice = 0");
    let read = postgres.run(&format!("BEGIN; {FENCE_2} SELECT last_invoice FROM progress; COMMIT"));
    assert_eq!(read.trim(), "0");
    let (went_well, said) = postgres.psql(&late);
    assert!(!went_well && said.contains("STALE"), "{said}");
}

#[test]
fn a_token_in_each_row_guards_only_the_rows_that_the_newer_leader_has_written() {
    if !needs() {
        return;
    }
    let postgres = Postgres::start();
    postgres.run(
        "CREATE TABLE invoices (id int PRIMARY KEY, state text, fence bigint NOT NULL DEFAULT 0);
         INSERT INTO invoices VALUES (1, 'due'), (2, 'due')",
    );
    let send = |token: &str, id: &str| {
        let mut client = postgres.client();
        client.args(["-v", &format!("token={token}"), "-v", &format!("id={id}"), "-f"]);
        let output = client.arg(Path::new(DIRECTORY).join("row.sql")).output().expect("psql starts");
        assert!(output.status.success(), "a refusal is no error");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(send("2", "1"), "1");
    assert_eq!(send("2", "1"), "1", "the same term writes again");
    assert_eq!(send("1", "1"), "", "refused");
    assert_eq!(send("1", "2"), "2", "accepted: the newer leader has not been there");
}

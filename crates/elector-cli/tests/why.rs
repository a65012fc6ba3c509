//! `elector why`: how terms ended, told by those who were there; and that a history does no harm.

mod common;

use std::time::{Duration, Instant};

use common::{
    Elector, LONG, Output, Running, SHORT, SHORT_TIMEOUT, TICK, kill_both, number_after, parent_of,
    shared_server, signal_process,
};
use rustix::process::Signal;
use serde_json::Value;
use zk_ensemble::{Ensemble, Kind, Onlooker};

const IDLE: &str = "echo started; exec sleep 1000";

fn contend(servers: &str, id: &str, election: &str) -> Running {
    Elector::run(servers, id, SHORT).word(election).script(IDLE).start()
}

/// Waits until it leads with its program running; the token and the program.
fn until_leading(run: &mut Running) -> (u64, u64) {
    let line = run.wait_for("leading with token");
    run.wait_for_output("started");
    (number_after(&line, "token"), number_after(&line, "pid"))
}

fn why(servers: &str, options: &str, election: &str) -> Output {
    Elector::new("why").words("-z").word(servers).words(options).word(election).output()
}

fn terms(servers: &str, election: &str) -> Vec<Value> {
    let output = why(servers, "--json", election);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    let value: Value = serde_json::from_str(&output.stdout).expect("JSON");
    value["terms"].as_array().expect("terms").clone()
}

/// The term with this token, as soon as what is wanted of it is written: that is off the way of everything else.
fn term(servers: &str, election: &str, token: u64, wanted: impl Fn(&Value) -> bool) -> Value {
    let (token, until) = (token.to_string(), Instant::now() + LONG);
    loop {
        let terms = terms(servers, election);
        let term = terms.iter().find(|term| term["token"] == token);
        if let Some(term) = term.filter(|term| wanted(term)) {
            return term.clone();
        }
        assert!(Instant::now() < until, "{terms:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Whether its leader has written it down.
fn is_written(term: &Value) -> bool {
    term["from"].is_string()
}

fn ended(servers: &str, election: &str, token: u64) -> Value {
    term(servers, election, token, |term| !term["ended"].is_null())["ended"].clone()
}

fn onlooker(server: &Ensemble) -> Onlooker {
    Onlooker::connect(server.servers()[0].address()).expect("a session")
}

fn stop(mut run: Running) {
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
}

#[test]
fn a_planned_stop_and_a_programs_end_are_told_when_the_run_has_ended() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut first = contend(&servers, "web1:1", "/planned");
    let (token, _) = until_leading(&mut first);
    term(&servers, "/planned", token, is_written);
    // What the leader wrote down shows in `status` as well.
    let status = |options: &str| Elector::new("status").words(options).words("-z").word(&servers);
    let answer: Value =
        serde_json::from_str(&status("--json").word("/planned").output().stdout).expect("JSON");
    assert!(answer["leader"]["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{answer}");
    let level = answer["leader"]["containment"].as_str();
    assert!(level.is_some_and(|level| ["cgroup", "process-group"].contains(&level)), "{answer}");
    let text = status("").word("/planned").output().stdout;
    assert!(text.starts_with(&format!("/planned: led by web1:1, token {token}, for ")), "{text}");

    let mut second = Elector::run(&servers, "web2:2", SHORT).word("/planned").script("exit 3").start();
    second.wait_for("waiting, 2nd of 2");
    stop(first);
    let next = number_after(&second.wait_for("leading with token"), "token");
    assert_eq!(second.end(LONG), Some(3), "{}", second.said());

    // Both runs have ended, so that both have written their last word.
    let terms = terms(&servers, "/planned");
    assert_eq!(terms.len(), 2, "{terms:?}");
    assert_eq!((&terms[0]["id"], &terms[0]["token"]), (&"web2:2".into(), &next.to_string().into()));
    assert_eq!(terms[0]["ended"]["how"], "program-ended");
    let resigned = serde_json::json!({"how":"resigned","detail":"TERM received","inferred":false});
    assert_eq!(terms[1]["ended"], resigned);
    assert!(terms[1]["led_ms"].is_u64() && terms[1]["nobody_led_ms"].is_u64(), "{terms:?}");
    let text = why(&servers, "", "/planned").stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TOKEN ") && lines[0].ends_with("NOBODY LED"), "{text}");
    assert!(lines[1].contains("web2:2") && lines[1].ends_with("program ended with 3"), "{text}");
    assert!(lines[2].contains("web1:1") && lines[2].contains("resigned (TERM received)"), "{text}");
}

#[test]
fn a_kill_is_told_by_the_process_beside_it_and_the_death_of_both_is_inferred() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut killed = contend(&servers, "why-killed", "/killed");
    let (first, _) = until_leading(&mut killed);
    term(&servers, "/killed", first, is_written);
    let mut both = contend(&servers, "why-both", "/killed");
    both.wait_for("waiting, 2nd of 2");
    killed.kill();
    let (second, program) = until_leading(&mut both);
    let told = term(&servers, "/killed", first, |term| term["ended"]["inferred"] == false);
    assert_eq!((&told["ended"]["how"], &told["id"]), (&"killed".into(), &"why-killed".into()));

    term(&servers, "/killed", second, is_written);
    let mut last = contend(&servers, "why-last", "/killed");
    last.wait_for("waiting, 2nd of 2");
    kill_both(&mut both, program);
    let (third, _) = until_leading(&mut last);
    term(&servers, "/killed", third, is_written);
    let told = term(&servers, "/killed", second, |term| !term["ended"].is_null());
    let inferred = serde_json::json!(
        {"how":"session-expired","detail":"killed, machine or network","inferred":true});
    assert_eq!(told["ended"], inferred);
    // The session's timeout, which is all that is known; less where it led for less.
    assert!(told["nobody_led_ms"].as_u64().is_some_and(|ms| ms <= 4000), "{told}");
    let text = why(&servers, "", "/killed").stdout;
    assert!(text.contains("session expired (killed, machine or network)  ~"), "{text}");
    assert!(text.contains("elector killed or stopped"), "{text}");
    stop(last);
    for runaway in common::survivors("why-both") {
        signal_process(runaway, Signal::KILL);
    }
}

#[test]
fn a_deletion_and_a_silent_server_are_told_by_whoever_lost() {
    if !zk_ensemble::require() {
        return;
    }
    let mut server = Ensemble::builder(1).tick_time(TICK).start();
    let servers = server.connect_string();
    let mut run = contend(&servers, "one", "/lost");
    let (deposed, _) = until_leading(&mut run);
    let mut operator = onlooker(&server);
    let names = operator.children("/lost").expect("a list");
    operator.delete(&format!("/lost/{}", names[0])).expect("it is there");
    operator.close().expect("closed");
    let (silent, _) = until_leading(&mut run);
    assert_eq!(ended(&servers, "/lost", deposed)["how"], "deposed");
    server.server(0).stop();
    run.wait_for("lost after");
    server.server(0).cont();
    until_leading(&mut run);
    // Its ending waits for a server; until then it can only be inferred.
    let told = term(&servers, "/lost", silent, |term| term["ended"]["inferred"] == false);
    assert_eq!(told["ended"]["how"], "stopped-in-time");
    assert_eq!(told["ended"]["detail"], "no quorum answered");
    stop(run);
}

/// E21, and its lesser form: who was stopped does not know that by itself.
#[test]
fn a_stopped_elector_and_a_paused_machine_are_told_apart() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut stopped = contend(&servers, "why-stopped", "/paused");
    let (first, _) = until_leading(&mut stopped);
    term(&servers, "/paused", first, is_written);
    let mut next = contend(&servers, "why-next", "/paused");
    next.wait_for("waiting, 2nd of 2");
    stopped.signal(Signal::STOP);
    let (second, program) = until_leading(&mut next);
    term(&servers, "/paused", first, |term| term["ended"]["how"] == "killed");
    stopped.signal(Signal::CONT);
    stopped.wait_for("lost after");
    stop(stopped);
    // It takes the pause for silent servers, and does not put that in place of what was seen. Where the machine gave
    // the keeping process no time for half a second, it may add that its program was late.
    let how = ended(&servers, "/paused", first)["how"].clone();
    assert!(how == "killed" || how == "killed-late", "{how}");

    term(&servers, "/paused", second, is_written);
    let keeping = parent_of(program);
    next.signal(Signal::STOP);
    for pid in [keeping, program] {
        signal_process(pid, Signal::STOP);
    }
    std::thread::sleep(SHORT_TIMEOUT + 2 * TICK);
    for pid in [program, keeping] {
        signal_process(pid, Signal::CONT);
    }
    next.signal(Signal::CONT);
    next.wait_for("lost after");
    let told = term(&servers, "/paused", second, |term| term["ended"]["how"] == "killed-late");
    // It did not lead longer than its lease, however late its program died.
    assert!(told["led_ms"].is_u64(), "{told}");
    stop(next);
}

/// Rows E16 and W19: what is written there by others is told of, and harms nobody.
#[test]
fn garbage_in_the_history_is_a_row_and_the_election_goes_on() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut other = onlooker(&server);
    for path in ["/garbage.ctl", "/garbage.ctl/history"] {
        other.create(path, &vec![0xff; 500_000], Kind::Persistent).expect("made");
    }
    let record = |number: u64| format!("/garbage.ctl/history/{number:019}");
    other.create(&record(7), &vec![b'x'; 900_000], Kind::Persistent).expect("made");
    other.create(&record(8), b"\x1b[2J{", Kind::Persistent).expect("made");
    let hostile = b"{\"schema\":1,\"id\":\"\\u001b[31m\",\"timeout_ms\":1,\"began_ago_ms\":0,\
                    \"ended\":{\"how\":\"\\u009b2J\",\"detail\":\"a\\nb\",\"ago_ms\":0}}";
    other.create(&record(9), hostile, Kind::Persistent).expect("made");
    other.create("/garbage.ctl/history/note", b"", Kind::Persistent).expect("made");
    let mut run = contend(&servers, "one", "/garbage");
    let (token, _) = until_leading(&mut run);
    term(&servers, "/garbage", token, is_written);
    // Even its own record may be overwritten.
    other.set_data(&record(token), b"garbage").expect("written");
    let text = why(&servers, "", "/garbage").stdout;
    assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'), "{text}");
    assert_eq!((text.lines().count(), text.matches("no record that can be read").count()), (5, 2), "{text}");
    let status = Elector::new("status").words("-z").word(&servers).word("/garbage").output();
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    stop(run);
    assert_eq!(ended(&servers, "/garbage", token)["how"], "resigned");
    other.close().expect("closed");
}

#[test]
fn a_history_that_cannot_be_written_is_said_once_and_harms_nothing() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    // Below an ephemeral znode nothing can be made, whatever the rights.
    let mut other = onlooker(&server);
    other.create("/unwritable.ctl", b"", Kind::Ephemeral).expect("made");
    let mut run = contend(&servers, "one", "/unwritable");
    // Said before or after the line that tells of the first term.
    let said = run.wait_for("the history cannot be written");
    assert!(said.contains("/unwritable.ctl/history"), "{said}");
    run.wait_for_output("started");
    let names = other.children("/unwritable").expect("a list");
    other.delete(&format!("/unwritable/{}", names[0])).expect("it is there");
    run.wait_for_output("started");
    let output = why(&servers, "", "/unwritable");
    assert_eq!((output.code, output.stdout.lines().count()), (Some(0), 2), "{}", output.stdout);
    assert!(output.stdout.contains("leads"), "the present leader is known all the same: {}", output.stdout);
    run.signal(Signal::TERM);
    assert_eq!(run.end(LONG), Some(0), "{}", run.said());
    assert_eq!(run.said().matches("the history cannot be written").count(), 1, "{}", run.said());
    other.close().expect("closed");
}

#[test]
fn leaders_of_other_libraries_are_known_from_behind() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut other = onlooker(&server);
    other.create("/mixed", b"", Kind::Persistent).expect("made");
    let name = "/mixed/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    let theirs = other.create(name, b"curator", Kind::EphemeralSequential).expect("made");
    let mut run = contend(&servers, "one", "/mixed");
    run.wait_for("behind curator (leads with token");
    let before = terms(&servers, "/mixed");
    assert_eq!((before.len(), &before[0]["id"], &before[0]["ended"]), (1, &"curator".into(), &Value::Null));
    other.delete(&theirs).expect("it is there");
    let (token, _) = until_leading(&mut run);
    term(&servers, "/mixed", token, is_written);
    let after = terms(&servers, "/mixed");
    assert_eq!((&after[1]["id"], &after[1]["ended"]["how"]), (&"curator".into(), &"unknown".into()));
    // Nothing but contenders is ever below the path.
    assert_eq!(other.children("/mixed").expect("a list").len(), 1);
    stop(run);
    other.close().expect("closed");
}

#[test]
fn what_was_never_there_and_who_does_not_answer_are_told_apart() {
    let output = why("127.0.0.1:1", "--connect-timeout 300ms", "/nowhere");
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(output.stdout.starts_with("/nowhere: unknown: "), "{}", output.stdout);
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let output = why(&server.connect_string(), "", "/no/such/path");
    assert_eq!(output.code, Some(0));
    assert!(output.stdout.contains("no term is written down"), "{}", output.stdout);
    assert!(output.stderr.contains("no such path /no/such/path"), "{}", output.stderr);
}

#[test]
fn the_layout_of_one_znode_and_a_local_election_have_a_history_too() {
    let directory = tempfile::tempdir().expect("a folder");
    let local = format!("--local={}", directory.path().join("local").display());
    let run = |id: &str| {
        let run = Elector::new("run").word(&local).words("--id").word(id).words("--layout single");
        run.words("--session-timeout 2s").word("/job").script(IDLE).start()
    };
    let why = || Elector::new("why").word(&local).words("--json /job").output();
    let mut first = run("one");
    until_leading(&mut first);
    let mut second = run("two");
    second.wait_for("waiting");
    stop(first);
    until_leading(&mut second);
    let answer: Value = serde_json::from_str(&why().stdout).expect("JSON");
    assert_eq!((&answer["scope"], &answer["terms"][1]["id"]), (&"local".into(), &"one".into()), "{answer}");
    assert_eq!(answer["terms"][1]["ended"]["how"], "resigned");
    stop(second);
    // The history is kept, but nobody is there to tell of it.
    let output = why();
    assert_eq!(output.code, Some(4), "{}", output.stdout);
    let mut third = run("three");
    until_leading(&mut third);
    let answer: Value = serde_json::from_str(&why().stdout).expect("JSON");
    assert!(answer["terms"].as_array().is_some_and(|terms| terms.len() >= 3), "{answer}");
    stop(third);
}

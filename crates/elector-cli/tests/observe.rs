//! `elector observe`: every line true, every gap told; judged by what others saw on the same servers.

mod common;

use common::{Elector, LONG, Running, SHORT, TICK, number_after, shared_server};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zk_ensemble::{Ensemble, Kind, Onlooker, Proxy, rounds};

fn observe(servers: &str, options: &str) -> Running {
    Elector::new("observe").words("-z").word(servers).words(options).start()
}

/// Contenders that lead for a moment, hand over and line up again, until this is dropped.
struct Rotating {
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Rotating {
    fn start(servers: &str, ids: &[&str], election: &str) -> Rotating {
        let over = Arc::new(AtomicBool::new(false));
        let threads = ids.iter().map(|id| {
            let run = Elector::run(servers, id, SHORT).word(election).script("exec sleep 0.05");
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let mut running = run.clone().start();
                    while running.is_running() && !over.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            })
        });
        let threads = threads.collect();
        Rotating { over, threads }
    }
}

impl Drop for Rotating {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _a_panic_was_shown = thread.join();
        }
    }
}

#[test]
fn each_change_is_a_line_for_people_and_for_scripts() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut text = observe(&servers, "/observed");
    let mut json = observe(&servers, "--json /observed");
    let first = text.wait_for_output("vacant");
    assert!(first.ends_with("  vacant   no such path"), "{first}");
    text.wait_for("no such path /observed: nobody contends there, or it is misspelt");
    json.wait_for_output("\"vacant\"");

    let contender =
        |id: &str| Elector::run(&servers, id, SHORT).word("/observed").script("exec sleep 1000").start();
    let mut leader = contender("web2:4711");
    let token = number_after(&leader.wait_for("leading with token"), "token");
    let line = text.wait_for_output("leader");
    assert!(line.contains(&format!("Z  leader   web2:4711  token {token}  (nobody for ")), "{line}");
    let mut second = contender("web3:399");
    second.wait_for("waiting, 2nd of 2");
    leader.signal(Signal::TERM);
    let token = number_after(&second.wait_for("leading with token"), "token");
    assert!(text.wait_for_output("vacant").ends_with("  vacant   web2:4711 gone"));
    let line = text.wait_for_output("leader");
    assert!(line.contains(&format!("  leader   web3:399   token {token}  (nobody for ")), "{line}");
    // A killed contender is seen when its session has ended.
    second.kill();
    assert!(text.wait_for_output("vacant").ends_with("  vacant   web3:399 gone"));

    json.wait_for_output("web2:4711");
    let line = json.wait_for_output("web3:399");
    let value: serde_json::Value = serde_json::from_str(&line).expect("an object a line");
    assert_eq!((&value["schema"], &value["event"]), (&1.into(), &"leader".into()));
    assert_eq!((&value["election"], &value["gap"]), (&"/observed".into(), &false.into()));
    assert_eq!(value["leader"], serde_json::json!({"id": "web3:399", "token": token.to_string()}));

    text.signal(Signal::TERM);
    json.signal(Signal::INT);
    assert_eq!((text.end(LONG), json.end(LONG)), (Some(0), Some(130)));
    assert!(!text.printed().contains('\u{1b}'), "colours belong on terminals");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_and_without_another_line() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let script = format!(
        "(\"$0\" observe -z {servers} /nobody-reads 2>/dev/null; echo ended with $? >&2) | head -n 1"
    );
    let mut shell = Elector::bare().through(&["sh", "-c", &script]).start();
    shell.wait_for("ended with 0");
    assert_eq!(shell.end(LONG), Some(0));
    assert_eq!(shell.said(), "ended with 0\n");
}

#[test]
fn without_a_server_it_goes_on_trying_unless_told_otherwise() {
    let silent = zk_ensemble::Port::reserve();
    let nowhere = format!("127.0.0.1:{}", silent.number());
    let mut tries = observe(&nowhere, "/billing");
    tries.wait_for(&format!("connecting to {nowhere}"));
    tries.wait_for_output("unknown  no server reached");
    let line = tries.wait_for("no server answers, trying on");
    assert!(line.contains(&nowhere) && line.contains("refused"), "{line}");
    assert!(tries.is_running());
    tries.signal(Signal::TERM);
    assert_eq!(tries.end(LONG), Some(0));

    let output =
        Elector::new("observe").words("-z").word(&nowhere).words("--connect-timeout 300ms /billing").output();
    assert_eq!(output.code, Some(125), "{}", output.stderr);
    assert!(output.stderr.contains("no server reached within 300ms: "), "{}", output.stderr);
    let json = Elector::new("observe").words("-z").word(&nowhere).words("--log-format json /b");
    for line in json.words("--connect-timeout 300ms").output().stderr.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

/// Who led, by what an independent client reads from each server in turn, again and again.
struct Truth {
    led: Arc<Mutex<BTreeSet<u64>>>,
    over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Truth {
    fn watch(servers: &[SocketAddr], election: &'static str) -> Truth {
        let led = Arc::new(Mutex::new(BTreeSet::new()));
        let over = Arc::new(AtomicBool::new(false));
        let threads = servers.iter().map(|server| {
            let (server, led, over) = (*server, Arc::clone(&led), Arc::clone(&over));
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    // A server that is down, or without its quorum, is asked again.
                    let _ends_with_the_connection = look(server, election, &led, &over);
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        });
        let threads = threads.collect();
        Truth { led, over, threads }
    }

    fn end(self) -> BTreeSet<u64> {
        self.over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        self.led.lock().expect("no panic").clone()
    }
}

fn look(
    server: SocketAddr,
    election: &str,
    led: &Mutex<BTreeSet<u64>>,
    over: &AtomicBool,
) -> Result<(), zk_ensemble::Trouble> {
    let mut onlooker = Onlooker::connect(server)?;
    while !over.load(Ordering::SeqCst) {
        let mut children = onlooker.children(election)?;
        children.sort_by_key(|name| name.get(name.len().saturating_sub(10)..).map(str::to_owned));
        if let Some(first) = children.first()
            && let Some(stat) = onlooker.exists(&format!("{election}/{first}"))?
        {
            led.lock().expect("no panic").insert(stat.czxid.unsigned_abs());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Holds the lines against the truth: nobody is said to lead who did not, and between two leaders of whom the second
/// says nothing of a gap nobody else led.
fn judge(printed: &str, led: &BTreeSet<u64>) -> (usize, usize) {
    let (mut before, mut gap, mut leaders, mut gaps) = (None, false, 0, 0);
    for line in printed.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        gap |= value["gap"] == true;
        let Some(token) = value["leader"]["token"].as_str() else { continue };
        let token: u64 = token.parse().expect("a token");
        if let Some(before) = before {
            assert!(token >= before, "{before} came back after {token}\n{printed}");
            // The same one is told again after a while in which nobody was seen to lead.
            let missed = led.range(before + 1..token.max(before + 1)).count();
            assert!(gap || missed == 0, "{missed} led between {before} and {token}: {led:?}\n{printed}");
        }
        gaps += usize::from(gap);
        leaders += 1;
        (before, gap) = (Some(token), false);
    }
    (leaders, gaps)
}

/// Lets a few more changes be told, and judges all that was. What was printed.
fn end_and_judge(observer: &Running, truth: Truth, rotating: Rotating) -> String {
    let told = observer.printed().lines().count();
    let until = Instant::now() + LONG;
    while observer.printed().lines().count() < told + 4 {
        assert!(Instant::now() < until, "nothing more is told: {}", observer.printed());
        std::thread::sleep(Duration::from_millis(50));
    }
    let led = truth.end();
    let printed = observer.printed();
    drop(rotating);
    let (leaders, gaps) = judge(&printed, &led);
    println!("{leaders} leaders told of {}, {gaps} gaps", led.len());
    printed
}

#[test]
fn fifty_hand_overs_in_a_row_are_complete_or_a_gap_is_told() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let mut observer = observe(&servers, "--json /fast");
    observer.wait_for_output("vacant");
    let truth = Truth::watch(&[server.servers()[0].address()], "/fast");
    let contenders: Vec<Running> = (0..50)
        .map(|n| {
            let id = format!("c{n}");
            Elector::run(&servers, &id, SHORT).word("/fast").script("echo $ELECTOR_TOKEN").start()
        })
        .collect();
    for mut contender in contenders {
        assert_eq!(contender.end(LONG), Some(0));
        let token = contender.printed().trim().parse().expect("the token that its program was given");
        truth.led.lock().expect("no panic").insert(token);
    }
    observer.wait_for_output("\"vacant\"");
    std::thread::sleep(Duration::from_millis(500));
    let led = truth.end();
    let (leaders, gaps) = judge(&observer.printed(), &led);
    println!("{leaders} leaders told of {}, {gaps} gaps", led.len());
    assert!(led.len() >= 50 && leaders > 0);
}

#[test]
fn through_a_rolling_restart_no_line_lies_and_no_gap_is_unsaid() {
    if !zk_ensemble::require() {
        return;
    }
    let mut ensemble = Ensemble::builder(3).tick_time(TICK).start();
    let addresses: Vec<SocketAddr> = ensemble.servers().iter().map(zk_ensemble::Server::address).collect();
    let servers = ensemble.connect_string();
    let mut observer = observe(&servers, "--json /rolling");
    observer.wait_for_output("vacant");
    let truth = Truth::watch(&addresses, "/rolling");
    let rotating = Rotating::start(&servers, &["one", "two", "three"], "/rolling");
    observer.wait_for_output("leader");
    for _ in 0..rounds(1, 5) {
        for index in 0..3 {
            ensemble.server(index).restart();
            ensemble.wait_until_serving();
            std::thread::sleep(Duration::from_millis(300));
        }
    }
    let printed = end_and_judge(&observer, truth, rotating);
    assert!(printed.contains("\"unknown\""), "its own server was restarted as well:\n{printed}");
}

/// Its server is cut off from the others and answers on as if nothing had happened.
#[test]
fn behind_a_cut_no_line_lies_and_no_gap_is_unsaid() {
    if !zk_ensemble::require() {
        return;
    }
    let ensemble = Ensemble::builder(3).tick_time(TICK).peer_links_through_proxies().start();
    let follower = ensemble.follower_indexes()[0];
    let others: Vec<usize> = (0..3).filter(|index| *index != follower).collect();
    let address = |index: usize| ensemble.servers()[index].address();
    let elsewhere = format!("{},{}", address(others[0]), address(others[1]));
    let mut observer = observe(&address(follower).to_string(), "--json /cut");
    observer.wait_for_output("vacant");
    let truth = Truth::watch(&[address(others[0]), address(others[1])], "/cut");
    let rotating = Rotating::start(&elsewhere, &["one", "two"], "/cut");
    observer.wait_for_output("leader");
    ensemble.isolate_peers(follower);
    observer.wait_for_output("\"unknown\"");
    ensemble.heal_peers(follower);
    let back = observer.wait_for_output("\"leader\"");
    assert!(back.contains("\"gap\":true"), "many led meanwhile: {back}");
    end_and_judge(&observer, truth, rotating);
}

/// Longer unseen than its session lives: another session, and whoever led meanwhile is a gap.
#[test]
fn after_its_session_expired_it_sees_again_and_tells_the_gap() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let address = server.servers()[0].address();
    let mut onlooker = Onlooker::connect(address).expect("the server is up");
    onlooker.create("/expired", b"", Kind::Persistent).expect("made");
    let stem = "/expired/_c_0f8fad5b-d9cb-469f-a165-70867728950e-latch-";
    let mut enrol = |id: &[u8]| onlooker.create(stem, id, Kind::PersistentSequential).expect("made");
    let (first, second) = (enrol(b"first"), enrol(b"second"));
    let proxy = Proxy::new(address);
    let mut observer = observe(&proxy.address().to_string(), "/expired");
    observer.wait_for_output("leader   first");
    proxy.blackhole();
    enrol(b"third");
    onlooker.delete(&first).expect("deleted");
    onlooker.delete(&second).expect("deleted");
    observer.wait_for_output("unknown  ");
    // Its session timeout, once more and a tick, from the last ping on.
    std::thread::sleep(Duration::from_secs(7));
    proxy.heal();
    let back = observer.wait_for_output("leader   third");
    assert!(back.contains("(not seen for ") && back.ends_with(": changes may be missing)"), "{back}");
}

/// What no retry can mend ends it.
#[test]
fn what_may_not_be_read_ends_it_with_2() {
    if !zk_ensemble::require() {
        return;
    }
    let server = shared_server();
    let servers = server.connect_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("auth");
    std::fs::write(&file, "digest:user:right\n").expect("written");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let secret = format!("{SHORT} --acl auth::cdrwa --auth-file {}", file.display());
    let mut leader =
        Elector::run(&servers, "owner", &secret).word("/closed").script("exec sleep 1000").start();
    leader.wait_for("leading with token");
    let output = Elector::new("observe").words("-z").word(&servers).word("/closed").output();
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("no permission to read /closed"), "{}", output.stderr);
    let mut owner = observe(&servers, &format!("--auth-file {} /closed", file.display()));
    owner.wait_for_output("leader   owner");
}

//! The command line as a table: what is accepted becomes these options, what is not gets this line.

use super::*;
use std::time::Duration;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::new(pairs.iter().map(|(name, value)| (name.into(), value.into())))
}

fn words(line: &str) -> Vec<OsString> {
    std::iter::once("elector").chain(line.split_ascii_whitespace()).map(OsString::from).collect()
}

fn run_with(line: &str, pairs: &[(&str, &str)]) -> Result<RunOptions, String> {
    match parse(&words(line), &environment(pairs))? {
        Request::Run(options) => Ok(*options),
        other => panic!("{other:?}"),
    }
}

fn run(line: &str) -> Result<RunOptions, String> {
    run_with(line, &[])
}

#[test]
fn the_defaults_are_those_of_the_help() {
    let options = run("run -z zk1,zk2 /billing -- ./worker --help -x").expect("a plain command");
    assert_eq!(options.common.place, Where::Ensemble("zk1,zk2".into()));
    assert_eq!(options.common.election, "/billing");
    assert_eq!(options.program, ["./worker", "--help", "-x"]);
    assert!(options.id.ends_with(&format!(":{}", std::process::id())));
    assert_eq!((options.wait, options.give_up_code), (None, 124));
    assert_eq!((options.at_least, options.once), (Duration::ZERO, false));
    assert_eq!(options.on_exit, OnExit::Resign);
    assert_eq!(options.stop_signal, rustix::process::Signal::TERM);
    assert_eq!(options.stop_grace, Duration::from_secs(10));
    assert_eq!(options.session_timeout, Duration::from_secs(10));
    assert_eq!(options.loss_grace, Duration::from_secs(2));
    assert_eq!(options.takeover_delay, Duration::ZERO);
    assert_eq!((options.ensemble_tick, options.common.connect_timeout), (None, None));
    assert!(!options.stop_on_disconnect);
    assert_eq!(options.layout, elector::Layout::Latch);
    assert!(options.common.warnings.is_empty() && options.common.details.is_empty());
}

#[test]
fn every_layout_has_its_name() {
    use elector::Layout;
    let named = [
        ("latch", Layout::Latch),
        ("lock", Layout::Lock),
        ("kazoo", Layout::Kazoo),
        ("single", Layout::Single),
    ];
    for (name, layout) in named {
        let options = run(&format!("run -z zk1 --layout {name} /b -- x")).expect(name);
        assert_eq!(options.layout, layout);
    }
}

#[test]
fn the_loss_grace_follows_a_short_session_timeout() {
    let options = run("run -z zk1 --session-timeout 5s /b -- x").expect("short");
    assert_eq!(options.loss_grace, Duration::from_secs(1));
}

#[test]
fn every_option_can_come_from_the_environment_and_a_flag_wins() {
    let all = [
        ("ELECTOR_ZOOKEEPER", "zk1"),
        ("ELECTOR_ID", "me"),
        ("ELECTOR_WAIT", "3s"),
        ("ELECTOR_CONFLICT_EXIT_CODE", "9"),
        ("ELECTOR_AT_LEAST", "1m"),
        ("ELECTOR_ONCE", "1"),
        ("ELECTOR_STOP_SIGNAL", "SIGINT"),
        ("ELECTOR_STOP_GRACE", "7s"),
        ("ELECTOR_ON_DISCONNECT", "stop"),
        ("ELECTOR_SESSION_TIMEOUT", "8s"),
        ("ELECTOR_CONNECT_TIMEOUT", "9s"),
        ("ELECTOR_LAYOUT", "single"),
        ("ELECTOR_ACL", "open"),
        ("ELECTOR_ENSEMBLE_TICK", "2s"),
        ("ELECTOR_LOSS_GRACE", "1500ms"),
        ("ELECTOR_TAKEOVER_DELAY", "1s"),
        ("ELECTOR_CONTAINMENT", "auto"),
        ("ELECTOR_LOG_FORMAT", "json"),
        ("ELECTOR_COLOR", "never"),
        ("ELECTOR_QUIET", "yes"),
        ("ELECTOR_VERBOSE", "0"),
    ];
    let options = run_with("run --stop-grace 5s /b -- x", &all).expect("all of them");
    assert_eq!(options.id, "me");
    assert_eq!((options.wait, options.give_up_code), (Some(Duration::from_secs(3)), 9));
    assert_eq!((options.at_least, options.once), (Duration::from_secs(60), true));
    let restart = run_with("run -z zk1 /b -- x", &[("ELECTOR_ON_EXIT", "restart")]).expect("alone");
    assert_eq!((options.on_exit, restart.on_exit), (OnExit::Resign, OnExit::Restart));
    assert_eq!(options.stop_signal, rustix::process::Signal::INT);
    assert_eq!(options.stop_grace, Duration::from_secs(5));
    assert!(options.stop_on_disconnect);
    assert_eq!(options.session_timeout, Duration::from_secs(8));
    assert_eq!(options.common.connect_timeout, Some(Duration::from_secs(9)));
    assert_eq!(options.layout, elector::Layout::Single);
    assert_eq!(options.acl.as_deref(), Some("open"));
    assert_eq!(options.ensemble_tick, Some(Duration::from_secs(2)));
    assert_eq!(options.loss_grace, Duration::from_millis(1500));
    assert_eq!(options.takeover_delay, Duration::from_secs(1));
    assert!(options.log.quiet && !options.log.verbose);
    assert_eq!(options.common.details, ["--stop-grace is a flag and wins over ELECTOR_STOP_GRACE"]);
    assert!(options.common.warnings.is_empty(), "{:?}", options.common.warnings);
}

#[test]
fn nonblock_is_a_wait_of_nothing_and_beats_the_variable() {
    assert_eq!(run("run -z a -n /b -- x").expect("-n").wait, Some(Duration::ZERO));
    let options = run_with("run -z a -n /b -- x", &[("ELECTOR_WAIT", "3s")]).expect("flag over variable");
    assert_eq!(options.wait, Some(Duration::ZERO));
    let options = run_with("run -z a --wait 3s /b -- x", &[("ELECTOR_NONBLOCK", "1")]).expect("the same");
    assert_eq!(options.wait, Some(Duration::from_secs(3)));
}

#[test]
fn the_place_is_never_guessed() {
    let error = run("run /b -- x").expect_err("no place");
    assert!(error.starts_with("where is this election held? Neither"), "{error}");
    assert_eq!(error.lines().count(), 3);
    assert!(run("run -z a --local /b -- x").expect_err("both").contains("one place"));
    let both = [("ELECTOR_ZOOKEEPER", "a"), ("ELECTOR_LOCAL", "1")];
    assert!(run_with("run /b -- x", &both).expect_err("both set").contains("one place"));
    assert!(run_with("run -z c /b -- x", &both).is_ok(), "a flag overrides the other's variable");
    let options = run_with("run --local /b -- x", &both).expect("the same the other way round");
    assert_eq!(options.common.place, Where::Local(None));
}

#[test]
fn a_local_election_is_the_users_own_or_in_a_directory() {
    let place = |line: &str, pairs: &[(&str, &str)]| run_with(line, pairs).expect(line).common.place;
    let directory = Where::Local(Some("/tmp/x".into()));
    assert_eq!(place("run --local=/tmp/x /b -- x", &[]), directory);
    assert_eq!(place("run /b -- x", &[("ELECTOR_LOCAL", "/tmp/x")]), directory);
    assert_eq!(place("run /b -- x", &[("ELECTOR_LOCAL", "1")]), Where::Local(None));
    assert_eq!(place("run --local=./1 /b -- x", &[]), Where::Local(Some("./1".into())));
    let options = run("run --local /b -- x").expect("local");
    assert_eq!(
        (options.session_timeout, options.loss_grace),
        (Duration::from_secs(5), Duration::from_secs(1))
    );
    for (line, variable, part) in [
        ("run --local= /b -- x", None, "--local=: no directory"),
        ("run --local=1 /b -- x", None, "--local 1:"),
        ("run /b -- x", Some(("ELECTOR_LOCAL", "0")), "ELECTOR_LOCAL 0:"),
        ("run /b -- x", Some(("ELECTOR_LOCAL", "true")), "the user's own is 1"),
        ("run /b -- x", Some(("ELECTOR_LOCAL", "")), "ELECTOR_LOCAL: empty"),
        ("run --local=~/x /b -- x", None, "--local ~/x: the shell did not expand"),
        ("run /b -- x", Some(("ELECTOR_LOCAL", "~/x")), "ELECTOR_LOCAL ~/x: the shell"),
        ("run /b -- x", Some(("ELECTOR_LOCAL", "./x")), "absolute directory"),
        ("run --local --ensemble-tick 2s /b -- x", None, "--ensemble-tick: the one server"),
    ] {
        let error = run_with(line, variable.as_slice()).expect_err(line);
        assert!(error.contains(part) && error.lines().count() == 1, "{line}: {error}");
    }
}

#[test]
fn each_bad_line_gets_one_line_that_names_it() {
    for (line, parts) in [
        ("", &["no command", "run"][..]),
        ("rnu -z a /b -- x", &["rnu", "did you mean run"]),
        ("whi -z a /b", &["did you mean why"]),
        ("frob", &["unknown command frob"]),
        ("run -z a /b", &["no program given after --"]),
        ("run -z a /b --", &["no program given after --"]),
        ("run -z a /b ./worker", &["unexpected ./worker", "after --"]),
        ("run -z a -- x", &["no election given"]),
        ("run -z a --wait 10 /b -- x", &["--wait 10", "needs a unit"]),
        ("run -z a --wait -1 /b -- x", &["--wait -1", "negative"]),
        ("run -z a --session-timeout 25d /b -- x", &["--session-timeout 25d", "allowed is"]),
        ("run -z a --session-timeout 0s /b -- x", &["--session-timeout 0s", "allowed is"]),
        ("run -z a --session-timeout 1e99 /b -- x", &["needs a unit"]),
        ("run -z a --stop-signal STOP /b -- x", &["--stop-signal STOP", "TERM"]),
        ("run -z a --on-exit restrat /b -- x", &["did you mean restart"]),
        ("run -z a --layout kazo /b -- x", &["--layout kazo", "did you mean kazoo"]),
        ("run -z a --containment some /b -- x", &["--containment", "some", "auto", "require-cgroup"]),
        ("run -z a -E 256 /b -- x", &["--conflict-exit-code 256", "0 to 255"]),
        ("run -z a -n --wait 1s /b -- x", &["--nonblock and --wait"]),
        ("run -z a --wiat 1s /b -- x", &["--wiat", "did you mean --wait"]),
        ("run -z a --once --once /b -- x", &["--once", "more than once"]),
        ("run -z a --once=1 /b -- x", &["--once"]),
        ("run -z", &["--zookeeper", "needs a value"]),
        ("run -z u:secret@a /b -- x", &["--auth-file"]),
        ("run -z a --auth digest:u:secret /b -- x", &["--auth:", "--auth-file"]),
        ("run -z a --password=secret /b -- x", &["--password:", "--auth-file"]),
        ("run -z a --auth-file digest:u:secret /b -- x", &["--auth-file: it takes a file"]),
        ("run -z a --auth-file /no/such /b -- x", &["--auth-file: /no/such", "No such file"]),
        ("status -z a", &["no election given"]),
        ("-z a status /b", &["-z stands before the command", "elector status --help"]),
        ("--json status -z a /b", &["--json stands before the command"]),
        ("serve", &["no directory given", "--data-dir"]),
        ("serve --data-dir d --listen :2181", &["--listen :2181", "ADDRESS:PORT"]),
        (
            "serve --data-dir d --listen 10.0.0.1:2181",
            &["--listen 10.0.0.1:2181", "--allow-remote", "no TLS"],
        ),
        ("status -z a /b c", &["unexpected c"]),
        ("status --local ./dir /b", &["unexpected /b", "--local=./dir"]),
        ("run --local /dir /b -- x", &["unexpected /b", "--local=/dir"]),
        ("check -z a --log-format json /b", &["--log-format json", "text only"]),
    ] {
        let error = parse(&words(line), &environment(&[])).expect_err(line);
        for part in parts {
            assert!(error.contains(part), "{line:?} gave {error:?} without {part:?}");
        }
        assert_eq!(error.lines().count(), 1, "{line:?} gave {error:?}");
        assert!(!error.contains("secret"), "{line:?} gave {error:?}");
    }
}

#[test]
fn a_server_stays_on_this_machine_unless_told_otherwise() {
    let serve = |line: &str, pairs: &[(&str, &str)]| match parse(&words(line), &environment(pairs)) {
        Ok(Request::Serve(options)) => *options,
        other => panic!("{line}: {other:?}"),
    };
    let options = serve("serve --data-dir d", &[]);
    assert_eq!(
        (options.data_dir.to_str(), options.listen.to_string().as_str()),
        (Some("d"), "127.0.0.1:2181")
    );
    assert!(options.warnings.is_empty() && options.details.is_empty());
    for local in ["127.1.2.3:0", "[::1]:0", "localhost:0", "[::ffff:127.0.0.1]:0"] {
        assert!(serve(&format!("serve --data-dir d --listen {local}"), &[]).warnings.is_empty(), "{local}");
    }
    let set = [("ELECTOR_DATA_DIR", "d"), ("ELECTOR_LISTEN", "0.0.0.0:1"), ("ELECTOR_ALLOW_REMOTE", "1")];
    let options = serve("serve", &set);
    assert_eq!((options.listen.port(), options.warnings.len()), (1, 1));
    assert!(options.warnings[0].contains("no TLS"), "{:?}", options.warnings);
    assert_eq!(serve("serve --listen 127.0.0.1:2", &set).details.len(), 1, "the flag wins, and says so");
}

#[test]
fn an_error_names_the_variable_it_came_from() {
    let error = run_with("run -z a /b -- x", &[("ELECTOR_STOP_GRACE", "10")]).expect_err("no unit");
    assert!(error.starts_with("ELECTOR_STOP_GRACE 10:"), "{error}");
    let error = run_with("run /b -- x", &[("ELECTOR_ZOOKEEPER", "")]).expect_err("empty");
    assert!(error.starts_with("ELECTOR_ZOOKEEPER \"\":"), "{error}");
}

#[test]
fn bytes_that_are_no_text_are_refused_and_arguments_of_the_program_are_not() {
    use std::os::unix::ffi::OsStringExt;
    let bytes = OsString::from_vec(vec![b'x', 0xff]);
    let mut line = words("run -z a --id");
    line.push(bytes.clone());
    line.extend(words("/b -- x").into_iter().skip(1));
    assert!(parse(&line, &environment(&[])).expect_err("id").contains("--id: not valid UTF-8"));

    let mut line = words("run -z a /b -- x");
    line.push(bytes.clone());
    let Ok(Request::Run(options)) = parse(&line, &environment(&[])) else {
        panic!("arguments may be any bytes")
    };
    assert_eq!(options.program[1], bytes);

    let mut line = words("run -z a");
    line.push(bytes);
    line.extend(words("-- x").into_iter().skip(1));
    assert!(parse(&line, &environment(&[])).expect_err("election").contains("not valid UTF-8"));
}

#[test]
fn help_is_short_or_long_and_belongs_to_its_command() {
    let text = |line: &str| match parse(&words(line), &environment(&[])) {
        Ok(Request::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    };
    assert!(text("--help").starts_with("elector: at most one"));
    assert!(text("run -h").contains("--stop-grace") && !text("run -h").contains("--takeover-delay"));
    assert!(text("run --help").contains("--takeover-delay"));
    assert!(text("status --help").starts_with("Usage: elector status"));
    assert!(text("serve -h").starts_with("Usage: elector serve"));
    assert!(text("--version").starts_with("elector 0."));
    assert!(run("run -z a /b -- x --help").is_ok(), "the program's own arguments are not ours");
}

/// Each command line that a reader may copy is one.
#[test]
fn the_command_lines_of_the_pages_are_accepted() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages =
        std::fs::read_dir(folder.join("docs")).expect("the pages").flatten().map(|entry| entry.path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut count = 0;
    for page in pages.chain([folder.join("README.md")]) {
        let text = std::fs::read_to_string(&page).expect("a page");
        let lines = text.split("```").skip(1).step_by(2).flat_map(str::lines);
        for line in lines.filter(|line| line.starts_with("elector ")) {
            // What the shell takes for itself ends the words; quotes stand only in what the program gets.
            let line = line.split([';', '&', '|', '>', '#']).next().unwrap_or_default();
            let line = line.trim_start_matches("elector");
            // The examples of three machines set it once.
            let place = [("ELECTOR_ZOOKEEPER", "zk1:2181")];
            let env = if line.contains("-z") || line.contains("--local") { &[][..] } else { &place };
            let parsed = parse(&words(line), &environment(env));
            assert!(parsed.is_ok(), "{}: elector{line}: {parsed:?}", page.display());
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} command lines were found");
}

//! The journal in a real directory: its lock and permissions, and processes that are killed or fail in the
//! middle of their work.

#![allow(clippy::unwrap_used, reason = "helpers of tests, which may")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use zk_embedded::journal::{Directory, Journal, JournalError, Limits, OpenError, Recovery};

/// Small, so that the child's short life has new segments and snapshots in it.
const LIMITS: Limits = Limits { segment_bytes: 4000, snapshot_bytes: 1 << 30, snapshot_records: 40 };

/// Tells the process that runs [`child`] where to write, and how many groups.
const CHILD_DIRECTORY: &str = "JOURNAL_TEST_DIRECTORY";
const CHILD_GROUPS: &str = "JOURNAL_TEST_GROUPS";

/// How many rounds, in a daily run and before a release.
fn rounds(daily: usize, release: usize) -> usize {
    if std::env::var("ELECTOR_RELEASE").is_ok_and(|value| value == "1") { release } else { daily }
}

/// What the record at `zxid` holds. Now and then one is long.
fn payload(zxid: u64) -> Vec<u8> {
    let length = if zxid.is_multiple_of(17) { 1500 } else { 20 };
    zxid.to_be_bytes().into_iter().cycle().take(length).collect()
}

/// What the snapshot at `zxid` holds.
fn state(zxid: u64) -> Vec<u8> {
    payload(!zxid)
}

/// Checks that all is there without a gap; returns the last zxid.
fn check(recovery: Recovery) -> u64 {
    let mut last = 0;
    if let Some((zxid, content)) = recovery.snapshot {
        assert_eq!(content, state(zxid));
        last = zxid;
    }
    assert!(recovery.damaged_snapshots.is_empty(), "{:?}", recovery.damaged_snapshots);
    for record in recovery.records {
        last += 1;
        assert_eq!(record.unwrap(), (last, payload(last)));
    }
    assert_eq!(last, recovery.last_zxid);
    last
}

/// Not a test of its own: what the other tests run in a process that they kill. It says on its output which
/// zxids were acknowledged, and "done" in the end.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else { return };
    let groups: u64 = std::env::var(CHILD_GROUPS).unwrap().parse().unwrap();
    let mut output = std::io::stdout();
    let (mut journal, recovery) = Journal::open(Path::new(&directory), LIMITS).unwrap();
    check(recovery);
    writeln!(output, "\nopen").unwrap();
    for group in 0..groups {
        for _ in 0..=group % 3 {
            let zxid = journal.last_zxid() + 1;
            journal.append(zxid, &payload(zxid)).unwrap();
        }
        journal.sync().unwrap();
        writeln!(output, "acknowledged {}", journal.last_zxid()).unwrap();
        if journal.should_snapshot() {
            match journal.snapshot(journal.last_zxid(), &state(journal.last_zxid())) {
                Err(error) if error.is_final() => panic!("{error}"),
                _ => {}
            }
        }
    }
    writeln!(output, "done").unwrap();
}

/// The command that runs [`child`], after `before`, which may be a command that runs its arguments.
fn command(before: &[&str], directory: &Path, groups: u64) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut words: Vec<&str> = before.to_vec();
    words.push(this.to_str().unwrap());
    words.extend(["--exact", "child", "--nocapture", "--test-threads=1"]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(CHILD_DIRECTORY, directory).env(CHILD_GROUPS, groups.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Reads the child's output to its end: the last zxid that was acknowledged, and whether it was done.
fn read_output(child: &mut Child) -> (u64, bool) {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    // Of a killed process the last line may be a part.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut acknowledged = whole.lines().filter_map(|line| line.strip_prefix("acknowledged "));
    let last = acknowledged.next_back().map_or(0, |zxid| zxid.parse().unwrap());
    (last, whole.lines().any(|line| line == "done"))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// S9: what is made.
#[test]
fn directories_and_files_are_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let place = TempDir::new().unwrap();
        let directory = place.path().join("not/there/yet");
        let shell = format!("umask {umask}; exec \"$@\"");
        let mut child = command(&["sh", "-c", &shell, "sh"], &directory, 60).spawn().unwrap();
        let (_, done) = read_output(&mut child);
        child.wait().unwrap();
        assert!(done, "umask {umask}");
        for directory in [&directory, &place.path().join("not")] {
            assert_eq!(mode(directory), 0o700, "umask {umask}");
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "umask {umask}: {}", path.display());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        for prefix in ["lock", "log.", "snapshot."] {
            assert!(names.iter().any(|name| name.starts_with(prefix)), "{names:?}");
        }
    }
}

/// S9: mode 0777.
#[test]
fn a_directory_that_others_may_write_in_is_refused() {
    let place = TempDir::new().unwrap();
    for bad in [0o777, 0o720, 0o702, 0o1777] {
        fs::set_permissions(place.path(), Permissions::from_mode(bad)).unwrap();
        let error = Journal::open(place.path(), LIMITS).unwrap_err();
        assert!(matches!(error, OpenError::Mode { mode, .. } if mode == bad), "{error}");
        assert!(error.to_string().contains(place.path().to_str().unwrap()), "{error}");
    }
    // An administrator may let others see that it is there.
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    Journal::open(place.path(), LIMITS).unwrap();
}

/// S9: of another user.
#[test]
fn a_directory_of_another_user_is_refused() {
    let place = TempDir::new().unwrap();
    if chown(place.path(), Some(12_345), None).is_err() {
        skipped("only root can give a directory away");
        return;
    }
    let error = Journal::open(place.path(), LIMITS).unwrap_err();
    assert!(matches!(error, OpenError::Owner { owner: 12_345, .. }), "{error}");
}

#[test]
fn a_path_that_is_no_directory_is_an_error() {
    let place = TempDir::new().unwrap();
    let file = place.path().join("file");
    fs::write(&file, b"text").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Journal::open(&path, LIMITS).unwrap_err();
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn the_second_opener_is_told_the_first_ones_process_id() {
    let place = TempDir::new().unwrap();
    let held = |expected: u32| {
        let error = Journal::open(place.path(), LIMITS).unwrap_err();
        assert!(matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == expected), "{error}");
        assert!(error.to_string().contains(&format!("process {expected}")), "{error}");
    };
    let first = Journal::open(place.path(), LIMITS).unwrap();
    held(std::process::id());
    drop(first);

    let mut child = command(&[], place.path(), u64::MAX).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"));
    held(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock went with the process; the file stays.
    assert!(place.path().join("lock").exists());
    check(Journal::open(place.path(), LIMITS).unwrap().1);
}

#[test]
fn a_directory_that_goes_away_is_noticed() {
    let place = TempDir::new().unwrap();
    let directory = place.path().join("journal");
    let is_gone = |result| matches!(result, Err(JournalError::Io { .. }));

    let (mut journal, _) = Journal::open(&directory, LIMITS).unwrap();
    journal.check_place().unwrap();
    fs::remove_dir_all(&directory).unwrap();
    assert!(is_gone(journal.check_place()));
    assert!(matches!(journal.append(1, b""), Err(JournalError::Failed)));

    // Another one in its place.
    let (mut journal, _) = Journal::open(&directory, LIMITS).unwrap();
    journal.append(1, b"one").unwrap();
    fs::rename(&directory, place.path().join("elsewhere")).unwrap();
    drop(Directory::lock(&directory).unwrap());
    assert!(is_gone(journal.sync()));
    assert!(matches!(journal.sync(), Err(JournalError::Failed)));
}

/// The segment alone: what is written after that would be acknowledged and never found again.
#[test]
fn a_segment_that_is_removed_exchanged_or_cut_is_noticed() {
    type Harm = fn(&Path);
    let harms: [Harm; 4] = [
        |segment| fs::remove_file(segment).unwrap(),
        |segment| fs::rename(segment, segment.with_extension("away")).unwrap(),
        |segment| {
            fs::copy(segment, segment.with_extension("copy")).unwrap();
            fs::rename(segment.with_extension("copy"), segment).unwrap();
        },
        |segment| fs::File::options().write(true).open(segment).unwrap().set_len(40).unwrap(),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        for idle in [false, true] {
            let place = TempDir::new().unwrap();
            let (mut journal, _) = Journal::open(place.path(), LIMITS).unwrap();
            journal.append(1, b"one").unwrap();
            journal.sync().unwrap();
            journal.check_place().unwrap();
            harm(&place.path().join("log.0000000000000000"));
            let found = if idle {
                journal.check_place()
            } else {
                journal.append(2, b"two").and_then(|()| journal.sync())
            };
            assert!(matches!(found, Err(JournalError::Io { .. })), "harm {number}, idle {idle}: {found:?}");
        }
    }
}

/// Apache's data directory, say: nothing is written into it.
#[test]
fn a_directory_that_others_keep_their_files_in_is_refused() {
    let put = |name: &str, content: &[u8]| {
        let place = TempDir::new().unwrap();
        fs::write(place.path().join(name), content).unwrap();
        place
    };
    let directory = |name: &str| {
        let place = TempDir::new().unwrap();
        fs::create_dir(place.path().join(name)).unwrap();
        place
    };
    let elsewhere = TempDir::new().unwrap();
    let target = elsewhere.path().join("target");
    fs::write(&target, b"").unwrap();
    let link = TempDir::new().unwrap();
    std::os::unix::fs::symlink(&target, link.path().join("lock")).unwrap();
    for (place, name) in [
        (directory("version-2"), "version-2"),
        (put("myid", b"1\n"), "myid"),
        (put("lock", b"somebody else's"), "lock"),
        (directory("lock"), "lock"),
        (link, "lock"),
        (directory("log.0000000000000000"), "log.0000000000000000"),
        (directory("snapshot.0000000000000001.tmp"), "snapshot.0000000000000001.tmp"),
    ] {
        let error = Journal::open(place.path(), LIMITS).unwrap_err();
        assert!(matches!(&error, OpenError::Foreign { found, .. } if found == name), "{name}: {error}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "{name}: nothing was added");
    }
    assert_eq!(fs::read(&target).unwrap(), b"", "nothing was written through the link");
    let socket = TempDir::new().unwrap();
    let _bound = std::os::unix::net::UnixListener::bind(socket.path().join("socket")).unwrap();
    for place in [socket, directory("lost+found"), put("lock", b""), put("lock", b"4711\n")] {
        Journal::open(place.path(), LIMITS).unwrap();
        fs::write(place.path().join("note"), b"put beside ours by whoever looks after it").unwrap();
        Journal::open(place.path(), LIMITS).unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let place = TempDir::new().unwrap();
    let mut least = 0;
    for round in 0..rounds(25, 300) {
        let mut child = command(&[], place.path(), u64::MAX).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..120)));
        child.kill().unwrap();
        let (acknowledged, _) = read_output(&mut child);
        child.wait().unwrap();
        least = least.max(acknowledged);
        let found = check(Journal::open(place.path(), LIMITS).unwrap().1);
        assert!(found >= least, "round {round}: {least} acknowledged, {found} found");
        least = found;
    }
    assert!(least > 100, "the processes hardly wrote: {least}");
}

/// The calls that change something on the disk.
const STORAGE_CALLS: [&str; 6] = ["pwrite64", "fdatasync", "fsync", "rename", "unlink", "mkdir"];

/// Runs the child with `what` injected into its `nth` call of `call`. Whether there is such a call.
fn inject(call: &str, what: &str, nth: usize) -> bool {
    let place = TempDir::new().unwrap();
    let (directory, trace) = (place.path().join("journal"), place.path().join("trace"));
    let inject = format!("inject={call}:{what}:when={nth}");
    let strace =
        ["strace", "-f", "-o", trace.to_str().unwrap(), "-e", &format!("trace={call}"), "-e", &inject];
    let mut child = command(&strace, &directory, 90).spawn().unwrap();
    let (acknowledged, done) = read_output(&mut child);
    let status = child.wait().unwrap();
    let told = format!("{what} at {call} {nth}: {status}");
    assert_eq!(done, status.success(), "{told}");
    let found = check(Journal::open(&directory, LIMITS).expect(&told).1);
    assert!(found >= acknowledged, "{told}: {acknowledged} acknowledged, {found} found");
    let trace = fs::read_to_string(&trace).unwrap();
    // An injected signal that did not kill was none.
    trace.contains(if what.starts_with("signal") { "killed by SIGKILL" } else { "(INJECTED)" })
}

/// Injects `what` into each of the `calls`, into the first, and then each `step`th until there are no more.
fn inject_into_all(calls: &[&str], what: &str, step: usize) {
    for call in calls {
        let hit = (1..).step_by(step).take_while(|nth| inject(call, what, *nth)).count();
        assert!(hit > 0, "no {call} was made");
    }
}

/// Whether calls can be made to fail here. Where all must be there (`ELECTOR_REQUIRE_ALL=1`), it must be.
fn have_strace() -> bool {
    let there = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let required = std::env::var("ELECTOR_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(there || !required, "no program strace: run scripts/setup");
    if !there {
        skipped("there is no strace");
    }
    there
}

/// Says so past the test harness, which would show it only when the test fails.
fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().write_all(format!("SKIPPED: {name}, because {why}\n").as_bytes());
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed_in_any_call() {
    if have_strace() {
        inject_into_all(&STORAGE_CALLS, "signal=KILL", rounds(5, 1));
    }
}

#[test]
fn nothing_is_lost_when_a_call_fails() {
    if have_strace() {
        for error in ["error=EIO", "error=ENOSPC"] {
            inject_into_all(&STORAGE_CALLS, error, rounds(7, 1));
        }
    }
}

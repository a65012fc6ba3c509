//! The process that keeps the program, with this test in elector's place: the same socket, the same words.
//!
//! What is written down here a second time is what two processes of one binary say to each other. It is needed to say
//! what elector itself says never, or only by an accident of time that no test can wait for.

use crate::common::{Lines, is_there, signal_process, survivors};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, send, sendmsg, socketpair,
};
use rustix::process::Signal;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zk_ensemble::boot_time;

/// A safety bound: whatever is waited for comes long before.
const LONG: Duration = Duration::from_secs(10);
/// Bytes of the deadline's record.
const RECORD: usize = 32;

/// What the process tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Started { program: u64 },
    TooLate,
    Ended,
    Gone { killed: Option<Killed>, at: Duration },
}

/// Why the program itself was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    Grace,
    Deadline,
    Asked,
}

/// One such process. Its line ends with this, and so does it.
pub(crate) struct Warden {
    id: String,
    process: Child,
    line: Option<OwnedFd>,
    word: File,
    output: Lines,
}

impl Warden {
    /// Keeps `sh -c SCRIPT` for an elector whose id begins with this name, and whose stop signal is TERM.
    pub(crate) fn keep(name: &str, script: &str) -> Warden {
        let id = format!("{name}-{}", std::process::id());
        let (line, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair");
        let mut command = Command::new(env!("CARGO_BIN_EXE_elector"));
        command.arg0("elector (keeping a program)").args(["boot", "15", "1000000000", ""]);
        command.args(["/bin/sh", "sh", "-c", script]).env("ELECTOR_ID", &id).process_group(0);
        command.stdin(Stdio::from(theirs)).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let output = Lines::read(process.stdout.take().expect("a pipe"));
        let memory = |name| File::from(memfd_create(name, MemfdFlags::CLOEXEC).expect("memory"));
        let (word, estate) = (memory("deadline"), memory("estate"));
        let null = File::open("/dev/null").expect("it is there");
        let descriptors = [word.as_fd(), estate.as_fd(), null.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&line, &[IoSlice::new(b"elector")], &mut control, SendFlags::empty()).expect("greeted");
        let warden = Warden { id, process, line: Some(line), word, output };
        // A start without a deadline; with the answer it has all that it works with.
        warden.start(0);
        assert_eq!(warden.told(), Told::TooLate);
        warden
    }

    /// Moves the deadline of the term with this token to so much from now, and says when that is.
    pub(crate) fn renew(&self, token: u64, left: Duration) -> Duration {
        let now = boot_time();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).expect("less than centuries");
        let (deadline, written) = (nanos(now + left), nanos(now));
        let check =
            0x9e37_79b9_7f4a_7c15 ^ token.rotate_left(7) ^ deadline.rotate_left(29) ^ written.rotate_left(47);
        let record: Vec<u8> =
            [token, deadline, written, check].iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.word.write_all_at(&record, 0).expect("written");
        now + left
    }

    pub(crate) fn start(&self, token: u64) {
        self.ask([1, token]);
    }

    /// Starts the program, and waits for it to say that it is ready.
    pub(crate) fn until_ready(&mut self, token: u64) -> u64 {
        self.start(token);
        let Told::Started { program } = self.told() else { panic!("no program for term {token}") };
        self.output.wait_for("ready");
        program
    }

    /// The stop signal, and KILL so much later.
    pub(crate) fn stop_within(&self, grace: Duration) {
        self.ask([2, u64::try_from(grace.as_nanos()).expect("less than centuries")]);
    }

    /// KILL at once.
    pub(crate) fn stop_now(&self) {
        self.ask([3, 0]);
    }

    fn ask(&self, words: [u64; 2]) {
        let mut message = vec![2];
        message.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        let line = self.line.as_ref().expect("it was not cut");
        send(line, &message, SendFlags::NOSIGNAL).expect("it is there");
    }

    /// The next thing that it tells.
    pub(crate) fn told(&self) -> Told {
        let line = self.line.as_ref().expect("it was not cut");
        let limit = rustix::event::Timespec { tv_sec: LONG.as_secs().cast_signed(), tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(line, PollFlags::IN)], Some(&limit)).expect("polled");
        assert_eq!(ready, 1, "nothing is told");
        let mut message = [0; 512];
        let (length, _) = recv(line, message.as_mut_slice(), RecvFlags::empty()).expect("received");
        assert!(length > 0, "the process has ended");
        let words: Vec<u64> = message[1..length]
            .chunks_exact(8)
            .map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")))
            .collect();
        match words[..] {
            [1, program] => Told::Started { program },
            [2] => Told::TooLate,
            [4] => Told::Ended,
            [6, _, _, why, _, at] => {
                let killed = [None, Some(Killed::Grace), Some(Killed::Deadline), Some(Killed::Asked), None];
                Told::Gone { killed: killed[why as usize], at: Duration::from_nanos(at) }
            }
            _ => panic!("it tells {:?}", String::from_utf8_lossy(&message[..length])),
        }
    }

    /// Why the program was killed, and when nothing was left of it.
    pub(crate) fn until_gone(&self) -> (Option<Killed>, Duration) {
        assert_eq!(self.told(), Told::Ended);
        let Told::Gone { killed, at } = self.told() else { panic!("it is not gone") };
        (killed, at)
    }

    /// What elector's death is to it.
    pub(crate) fn cut(&mut self) {
        self.line = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_process(self.pid(), signal);
    }

    pub(crate) fn pid(&self) -> u64 {
        self.process.id().into()
    }

    /// The id of the elector that the program is told of.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What the program has printed, once that has `part`.
    pub(crate) fn printed_until(&mut self, part: &str) -> String {
        self.output.wait_for(part);
        self.output.text()
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.cut();
        let until = Instant::now() + Duration::from_secs(5);
        while is_there(self.pid()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Where a test fails there may be some, and they would keep open what it prints to.
        survivors(&self.id).into_iter().for_each(|pid| signal_process(pid, Signal::KILL));
    }
}

/// The deadline that an elector has handed on to the process that keeps its program.
pub(crate) fn deadline_handed_to(keeping: u64) -> Duration {
    let file =
        descriptors(keeping).find(|(_, what)| what.contains("elector-deadline")).expect("it has the word").0;
    let file = File::open(format!("/proc/{keeping}/fd/{file}")).expect("ours");
    let mut record = [0; RECORD];
    file.read_exact_at(&mut record, 0).expect("a record");
    Duration::from_nanos(u64::from_ne_bytes(record[8..16].try_into().expect("eight bytes")))
}

/// The clock of the timer by which it wakes.
pub(crate) fn clock_of(keeping: u64) -> String {
    let timer = descriptors(keeping).find(|(_, what)| what.contains("timerfd")).expect("it has a timer").0;
    let told = std::fs::read_to_string(format!("/proc/{keeping}/fdinfo/{timer}")).expect("ours");
    let clock = told.lines().find_map(|line| line.strip_prefix("clockid:")).expect("the kernel tells it");
    clock.trim().to_owned()
}

/// The descriptors of a process, and what each is.
fn descriptors(process: u64) -> impl Iterator<Item = (String, String)> {
    let entries = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it is there").flatten();
    entries.filter_map(|entry| {
        let what = std::fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.to_owned(), what.to_str()?.to_owned()))
    })
}

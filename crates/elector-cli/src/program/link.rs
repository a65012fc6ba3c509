//! The line between supervisor and warden: small messages over a socket that keeps their bounds.
//!
//! Neither side ever waits for the other: a message that does not fit is an error, and whoever gets it takes the
//! other side for stopped. The first message carries the descriptors that the warden works with, so that none of
//! them is ever inherited by accident.

use super::{Ended, Event, Gone, Killed, NotStarted, Stop};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use rustix::process::Signal;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The longest message.
const MAX_MESSAGE: usize = 512;
/// The longest text of an event; what is longer is cut.
const MAX_TEXT: usize = 300;
/// Descriptors in the first message.
const MAX_DESCRIPTORS: usize = 4;
const HELLO: &[u8] = b"elector";

/// What the supervisor asks of the warden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Start the program for the term of this token.
    Start {
        token: u64,
    },
    Stop(Stop),
    Forward(Signal),
}

/// A message, or none: nothing is there now, or nothing will come any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received<T> {
    Message(T),
    Nothing,
    /// The other side is gone.
    Closed,
}

/// Two connected ends, closed on exec.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends the first message.
pub(super) fn greet(socket: BorrowedFd<'_>, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    sendmsg(socket, &[IoSlice::new(HELLO)], &mut control, SendFlags::DONTWAIT)?;
    Ok(())
}

/// Waits for the first message; its descriptors are closed on exec. Empty where it is not one of ours.
pub(super) fn be_greeted(socket: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; HELLO.len()];
    recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptors: Vec<OwnedFd> = rights.flatten().collect();
    Ok(if text == HELLO { descriptors } else { Vec::new() })
}

/// Sends a request.
pub(super) fn ask(socket: impl AsFd, request: Request) -> io::Result<()> {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let words = match request {
        Request::Start { token } => [1, token],
        Request::Stop(Stop::Within(grace)) => [2, nanos(grace)],
        Request::Stop(Stop::Now) => [3, 0],
        Request::Forward(signal) => [4, number(signal.as_raw())],
    };
    post(socket, &words, "")
}

/// Takes the next request.
pub(super) fn take_request(socket: impl AsFd) -> Received<Request> {
    take(socket, |words, _| {
        Some(match *words {
            [1, token, ..] => Request::Start { token },
            [2, grace, ..] => Request::Stop(Stop::Within(Duration::from_nanos(grace))),
            [3, ..] => Request::Stop(Stop::Now),
            [4, raw, ..] => Request::Forward(Signal::from_named_raw(i32::try_from(raw).ok()?)?),
            _ => return None,
        })
    })
}

/// Sends an event.
pub(super) fn tell(socket: impl AsFd, event: &Event) -> io::Result<()> {
    match event {
        Event::Started { pid } => post(socket, &[1, number(*pid)], ""),
        Event::NotStarted(NotStarted::TooLate) => post(socket, &[2], ""),
        Event::NotStarted(NotStarted::Failed(text)) => post(socket, &[3], text),
        Event::Ended => post(socket, &[4], ""),
        Event::Stuck { left } => post(socket, &[5, *left as u64], ""),
        Event::Gone(gone) => post(socket, &gone_words(gone), ""),
        // The supervisor's own finding, which nobody else can tell.
        Event::Abandoned => Ok(()),
    }
}

/// Takes the next event.
pub(super) fn take_event(socket: impl AsFd) -> Received<Event> {
    take(socket, |words, text| {
        Some(match *words {
            [1, pid, ..] => Event::Started { pid: i32::try_from(pid).ok()? },
            [2, ..] => Event::NotStarted(NotStarted::TooLate),
            [3, ..] => Event::NotStarted(NotStarted::Failed(String::from_utf8_lossy(text).into_owned())),
            [4, ..] => Event::Ended,
            [5, left, ..] => Event::Stuck { left: usize::try_from(left).ok()? },
            [6, how, value, why, took, at] => Event::Gone(gone(how, value, why, took, at)?),
            _ => return None,
        })
    })
}

const KILLED: [Option<Killed>; 5] =
    [None, Some(Killed::Grace), Some(Killed::Deadline), Some(Killed::Asked), Some(Killed::LeftBehind)];

fn gone_words(gone: &Gone) -> [u64; 6] {
    let (how, value) = match gone.ended {
        Ended::Code(code) => (0, u64::from(code)),
        Ended::Signal(signal) => (1, number(signal)),
        Ended::Unseen => (2, 0),
    };
    let why = KILLED.iter().position(|known| *known == gone.killed).unwrap_or(0);
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    [6, how, value, why as u64, gone.stopping_took.map_or(u64::MAX, nanos), nanos(gone.at)]
}

fn gone(how: u64, value: u64, why: u64, took: u64, at: u64) -> Option<Gone> {
    let ended = match how {
        0 => Ended::Code(u8::try_from(value).ok()?),
        1 => Ended::Signal(i32::try_from(value).ok()?),
        2 => Ended::Unseen,
        _ => return None,
    };
    let killed = *KILLED.get(usize::try_from(why).ok()?)?;
    let stopping_took = (took != u64::MAX).then(|| Duration::from_nanos(took));
    Some(Gone { ended, killed, stopping_took, at: Duration::from_nanos(at) })
}

fn number(value: i32) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// One message: how many words, the words, and a text.
fn post(socket: impl AsFd, words: &[u64], text: &str) -> io::Result<()> {
    let mut message = Vec::with_capacity(MAX_MESSAGE);
    message.push(u8::try_from(words.len()).unwrap_or(u8::MAX));
    words.iter().for_each(|word| message.extend_from_slice(&word.to_ne_bytes()));
    message.extend_from_slice(&text.as_bytes()[..text.len().min(MAX_TEXT)]);
    send(socket, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message that `read` understands. Others, from nobody that we know, are passed over.
fn take<T>(socket: impl AsFd, read: impl Fn(&[u64], &[u8]) -> Option<T>) -> Received<T> {
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        match recv(&socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Received::Closed,
            Ok((length, _)) => {
                let (count, rest) = (usize::from(buffer[0]), &buffer[1..length.min(MAX_MESSAGE)]);
                let Some((words, text)) = rest.split_at_checked(count * 8) else { continue };
                let words: Vec<u64> = words
                    .chunks_exact(8)
                    .filter_map(|word| word.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word)))
                    .collect();
                if let Some(message) = read(&words, text) {
                    return Received::Message(message);
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Received::Nothing,
            Err(_) => return Received::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_arrive_as_they_were_sent() {
        let (ours, theirs) = pair().unwrap();
        let requests = [
            Request::Start { token: u64::MAX >> 1 },
            Request::Stop(Stop::Within(Duration::from_millis(1_500))),
            Request::Stop(Stop::Now),
            Request::Forward(Signal::HUP),
        ];
        for request in requests {
            ask(&ours, request).unwrap();
        }
        for request in requests {
            assert_eq!(take_request(&theirs), Received::Message(request));
        }
        assert_eq!(take_request(&theirs), Received::Nothing);
        drop(ours);
        assert_eq!(take_request(&theirs), Received::Closed);
    }

    #[test]
    fn events_arrive_as_they_were_sent() {
        let (ours, theirs) = pair().unwrap();
        let at = Duration::from_secs(90_000);
        let gone =
            |killed, took| Event::Gone(Gone { ended: Ended::Signal(9), killed, stopping_took: took, at });
        let events = [
            Event::Started { pid: 4711 },
            Event::NotStarted(NotStarted::TooLate),
            Event::NotStarted(NotStarted::Failed("no memory".into())),
            Event::Ended,
            Event::Stuck { left: 3 },
            gone(None, None),
            gone(Some(Killed::Grace), Some(Duration::from_millis(7))),
            gone(Some(Killed::LeftBehind), Some(Duration::ZERO)),
            Event::Gone(Gone { ended: Ended::Code(255), killed: None, stopping_took: None, at }),
            Event::Gone(Gone { ended: Ended::Unseen, killed: None, stopping_took: None, at }),
        ];
        for event in &events {
            tell(&ours, event).unwrap();
        }
        for event in events {
            assert_eq!(take_event(&theirs), Received::Message(event));
        }
    }

    #[test]
    fn nonsense_is_passed_over_and_nobody_waits() {
        let (ours, theirs) = pair().unwrap();
        for nonsense in [&[9u8; 1][..], &[200; 40], &[1, 0, 0], &[1, 77, 0, 0, 0, 0, 0, 0, 0]] {
            send(&ours, nonsense, SendFlags::DONTWAIT).unwrap();
        }
        tell(&ours, &Event::NotStarted(NotStarted::Failed("x".repeat(2 * MAX_MESSAGE)))).unwrap();
        let Received::Message(Event::NotStarted(NotStarted::Failed(text))) = take_event(&theirs) else {
            panic!("the one message that is none of those");
        };
        assert_eq!(text.len(), MAX_TEXT);
        let full = (0..100_000).find(|_| ask(&ours, Request::Stop(Stop::Now)).is_err());
        assert!(full.is_some_and(|count| count > 64), "{full:?}");
    }

    #[test]
    fn descriptors_come_with_the_greeting() {
        let (ours, theirs) = pair().unwrap();
        let (one, other) = pair().unwrap();
        greet(ours.as_fd(), &[one.as_fd()]).unwrap();
        let got = be_greeted(theirs.as_fd()).unwrap();
        ask(&got[0], Request::Stop(Stop::Now)).unwrap();
        assert_eq!(take_request(&other), Received::Message(Request::Stop(Stop::Now)));
    }
}

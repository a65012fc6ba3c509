//! What the log says about the connection and the queue.
//!
//! Pure but for the instants that it is given: texts in, entries out. Whatever another contender wrote is escaped
//! here.

use crate::local::{self, Site};
use crate::log::{About, Entry, Level};
use crate::text::{compact, escape, never_goes, ordinal, session};
use elector::{Neighbour, Notice, Place, Role, Token};
use std::time::Duration;
use tokio::time::Instant;

/// While no server answers, this often it is said again.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Without a host for so long somebody may want to know; a takeover takes less.
const HOSTLESS_AFTER: Duration = Duration::from_secs(1);
/// A line about the queue waits so long for the name of the one ahead.
const NAME_WITHIN: Duration = Duration::from_millis(500);

/// Remembers what was said, so that nothing is said twice.
#[derive(Debug)]
pub(super) struct Narrator {
    at: At,
    own_id: String,
    /// Whether it was said that somebody else has our name.
    twin_said: bool,
    /// Of whom it was said that its znode never goes by itself.
    stuck_said: Option<Token>,
    /// Since when no server answers.
    unreachable_since: Option<Instant>,
    /// When it was last said.
    unreachable_said: Option<Instant>,
    /// When it was last said why nobody hosts who should.
    hosting_said: Option<Instant>,
    /// The servers of the last failed round and what went wrong, for `--connect-timeout`.
    last_round: Option<String>,
    /// The last line about the queue.
    waiting_said: Option<String>,
    /// The one right ahead when last seen.
    ahead: Option<String>,
    /// A line about the queue that waits for a name.
    held: Option<(Instant, String)>,
}

/// Where the election is held, as it is printed.
#[derive(Debug)]
pub(crate) enum At {
    Servers(String),
    /// Below this directory of this machine, where one server serves that has no name.
    Directory(String),
}

impl At {
    pub(crate) fn of(site: &Site) -> At {
        match (&site.place, &site.directory) {
            (_, Some(directory)) => At::Directory(local::shown(directory.path())),
            (Place::Ensemble(servers), None) => At::Servers(shown_servers(servers)),
            (Place::Local(socket), None) => At::Directory(local::shown(socket)),
        }
    }

    /// The first line of whoever goes there.
    pub(crate) fn connecting(&self) -> String {
        match self {
            At::Servers(servers) => format!("connecting to {servers}"),
            At::Directory(directory) => {
                format!("connecting in {directory}: this user on this machine only")
            }
        }
    }

    /// Why connecting took too long; `tried` is what went wrong last.
    pub(crate) fn unreachable_within(&self, limit: Duration, tried: Option<&str>) -> String {
        let limit = compact(limit);
        match self {
            At::Servers(servers) => {
                let silent = || format!("no answer from {servers}");
                format!("no server reached within {limit}: {}", tried.map_or_else(silent, str::to_owned))
            }
            At::Directory(directory) => {
                format!(
                    "no host answered in {directory} within {limit}: {}",
                    tried.unwrap_or("no connection")
                )
            }
        }
    }

    /// A server by its name.
    fn server(&self, name: &str) -> String {
        match self {
            At::Servers(_) => escape(name),
            At::Directory(_) => "the host".into(),
        }
    }
}

impl Narrator {
    pub(super) fn new(site: &Site, own_id: &str) -> Narrator {
        Narrator {
            at: At::of(site),
            own_id: own_id.to_string(),
            twin_said: false,
            stuck_said: None,
            unreachable_since: None,
            unreachable_said: None,
            hosting_said: None,
            last_round: None,
            waiting_said: None,
            ahead: None,
            held: None,
        }
    }

    pub(super) fn connecting(&self) -> String {
        self.at.connecting()
    }

    /// Why connecting took too long.
    pub(super) fn unreachable_within(&self, limit: Duration) -> String {
        self.at.unreachable_within(limit, self.last_round.as_deref())
    }

    /// What a notice is worth saying while nothing is led.
    pub(super) fn outside_a_term(&mut self, notice: &Notice, now: Instant) -> Vec<Entry> {
        match notice {
            Notice::Connected { server, session: id, timeout, same_session } => {
                self.unreachable_since = None;
                let (server, timeout) = (self.at.server(server), compact(*timeout));
                let message = match same_session {
                    true => format!("connected to {server}, same session"),
                    false => format!("connected to {server}, session {}, timeout {timeout}", session(*id)),
                };
                vec![entry(Level::Info, About::Connected, message)]
            }
            Notice::Disconnected { server, cause, .. } => {
                let message =
                    format!("{} lost ({}); connecting again", self.at.server(server), escape(cause));
                vec![entry(Level::Info, About::Connecting, message)]
            }
            // The refusal itself is told as the end of the run.
            Notice::SessionEnded { cause } if cause.contains("credentials refused") => Vec::new(),
            Notice::Warning(text) if text.contains("refused the credentials") => Vec::new(),
            Notice::SessionEnded { cause } => {
                self.waiting_said = None;
                let message = format!("the session ended ({}); contending anew", escape(cause));
                vec![entry(Level::Warn, About::Connecting, message)]
            }
            Notice::Unreachable { tried } => self.unreachable(tried, now),
            Notice::Warning(text) => vec![entry(Level::Warn, About::Error, escape(text))],
            _ => Vec::new(),
        }
    }

    /// The same while a program runs: what matters then is how long it may go on.
    pub(super) fn in_a_term(&mut self, notice: &Notice, now: Instant) -> Vec<Entry> {
        match notice {
            Notice::Disconnected { server, remaining: Some(left), .. } => {
                let server = self.at.server(server);
                let message =
                    format!("{server} lost; leading on, {} until the program is stopped", compact(*left));
                vec![entry(Level::Warn, About::Suspended, message)]
            }
            Notice::Connected { server, same_session: true, .. } => {
                self.unreachable_since = None;
                let message = format!("{}, same session; leading on", self.at.server(server));
                vec![entry(Level::Info, About::Resumed, message)]
            }
            other => self.outside_a_term(other, now),
        }
    }

    fn unreachable(&mut self, tried: &[(String, String)], now: Instant) -> Vec<Entry> {
        let shown = |(server, error): &(String, String)| match self.at {
            At::Servers(_) => format!("{}: {}", escape(server), escape(error)),
            At::Directory(_) => escape(error),
        };
        let list = tried.iter().map(shown).collect::<Vec<_>>().join("; ");
        self.last_round = Some(list.clone());
        let since = *self.unreachable_since.get_or_insert(now);
        let (who, patience) = match self.at {
            At::Servers(_) => ("server", Duration::ZERO),
            At::Directory(_) => ("host", HOSTLESS_AFTER),
        };
        if now.duration_since(since) < patience || was_said(&mut self.unreachable_said, now) {
            return Vec::new();
        }
        vec![entry(Level::Warn, About::Connecting, format!("no {who} answers, trying on: {list}"))]
    }

    /// That the host of a local election, the process `pid`, was stopped by somebody.
    pub(super) fn host_is_stopped(&mut self, pid: i32, now: Instant) -> Option<Entry> {
        let message = format!(
            "the host, pid {pid}, is stopped: nobody leads here until it continues (kill -CONT {pid}) or ends, and \
             programs that run are stopped in time"
        );
        self.nobody_can_host(message, now)
    }

    /// Why nobody hosts a local election.
    pub(super) fn nobody_can_host(&mut self, why: String, now: Instant) -> Option<Entry> {
        let said = was_said(&mut self.hosting_said, now);
        (!said).then(|| entry(Level::Warn, About::Connecting, why))
    }

    /// What a change of the place in the queue is worth saying.
    pub(super) fn role(&mut self, role: &Role, now: Instant) -> Vec<Entry> {
        let mut entries = Vec::new();
        if let Role::Waiting { behind: Some(neighbour), .. } = role {
            if neighbour.id == self.own_id && !self.twin_said {
                self.twin_said = true;
                let message = format!("another contender is called {} as well", escape(&self.own_id));
                entries.push(entry(Level::Warn, About::Error, message));
            }
            if !neighbour.ephemeral && self.stuck_said != Some(neighbour.token) {
                self.stuck_said = Some(neighbour.token);
                entries.push(entry(Level::Warn, About::Error, never_goes(&neighbour.id, "")));
            }
        }
        entries.extend(self.place(role, now));
        entries
    }

    fn place(&mut self, role: &Role, now: Instant) -> Option<Entry> {
        let Role::Waiting { ahead, contenders, behind } = role else {
            self.held = None;
            return None;
        };
        // First in line without a lease yet: what comes next is either the term or somebody ahead.
        if *ahead == 0 {
            self.held = None;
            return None;
        }
        let place = format!("waiting, {} of {}", ordinal(ahead + 1), contenders);
        let Some(neighbour) = behind else {
            self.ahead = None;
            self.held = Some((now + NAME_WITHIN, place));
            return None;
        };
        self.held = None;
        self.ahead = Some(escape(&neighbour.id));
        self.waiting(format!("{place}, behind {}", shown_neighbour(neighbour, *ahead == 1)))
    }

    /// When to call [`Narrator::release`].
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held.as_ref().map(|(until, _)| *until)
    }

    /// Says the line that waited for a name in vain.
    pub(super) fn release(&mut self) -> Option<Entry> {
        let (_, line) = self.held.take()?;
        self.waiting(line)
    }

    fn waiting(&mut self, line: String) -> Option<Entry> {
        if self.waiting_said.as_ref() == Some(&line) {
            return None;
        }
        self.waiting_said = Some(line.clone());
        Some(entry(Level::Info, About::Waiting, line))
    }

    /// The beginning of a term's first line.
    pub(super) fn leading(&mut self, token: &str) -> String {
        self.waiting_said = None;
        self.held = None;
        match self.ahead.take() {
            Some(id) => format!("leading with token {token} ({id} is gone)"),
            None => format!("leading with token {token}"),
        }
    }
}

/// Whether it was said a short while ago; if not, it is said now.
fn was_said(said: &mut Option<Instant>, now: Instant) -> bool {
    let lately = said.is_some_and(|at| now.duration_since(at) < SAY_EVERY);
    if !lately {
        *said = Some(now);
    }
    lately
}

fn entry(level: Level, about: About, message: String) -> Entry {
    Entry { level, about, token: None, message }
}

fn shown_neighbour(neighbour: &Neighbour, leads: bool) -> String {
    let id =
        if neighbour.id.is_empty() { "a contender without a name".into() } else { escape(&neighbour.id) };
    match leads {
        true => format!("{id} (leads with token {})", neighbour.token),
        false => format!("{id} (token {})", neighbour.token),
    }
}

/// `zk1,zk2:2182/chroot` as a list with its ports.
fn shown_servers(list: &str) -> String {
    let (hosts, chroot) = match list.find('/') {
        Some(at) => (&list[..at], &list[at..]),
        None => (list, ""),
    };
    let hosts: Vec<String> = hosts
        .split(',')
        .map(|host| {
            let host = host.trim();
            let named = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
            let port = if named.contains(':') { "" } else { ":2181" };
            format!("{}{port}", escape(host))
        })
        .collect();
    let chroot = if chroot.len() > 1 { format!(" below {}", escape(chroot)) } else { String::new() };
    format!("{}{chroot}", hosts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrator(servers: &str) -> Narrator {
        Narrator::new(&Site { place: Place::from(servers), directory: None }, "me")
    }

    fn local() -> Narrator {
        Narrator::new(&Site { place: Place::Local("/d/socket".into()), directory: None }, "me")
    }

    fn neighbour(id: &str) -> Option<Neighbour> {
        let token = "4294967310".parse().expect("a token");
        Some(Neighbour { id: id.into(), token, ephemeral: true })
    }

    fn waiting(ahead: usize, contenders: usize, behind: Option<Neighbour>) -> Role {
        Role::Waiting { ahead, contenders, behind }
    }

    fn text(entries: impl IntoIterator<Item = Entry>) -> Option<String> {
        let mut messages = entries.into_iter().map(|entry| entry.message);
        let first = messages.next();
        assert_eq!(messages.next(), None);
        first
    }

    #[test]
    fn servers_are_listed_with_their_ports() {
        assert_eq!(shown_servers("zk1,zk2:2182,[::1],[::1]:3"), "zk1:2181, zk2:2182, [::1]:2181, [::1]:3");
        assert_eq!(shown_servers("zk1/a/b"), "zk1:2181 below /a/b");
        assert_eq!(shown_servers("zk1/"), "zk1:2181");
    }

    #[test]
    fn the_queue_is_told_once_and_with_the_name_ahead() {
        let now = Instant::now();
        let mut narrator = narrator("zk1");
        assert_eq!(text(narrator.role(&waiting(1, 3, None), now)), None);
        let told = narrator.role(&waiting(1, 3, neighbour("web1:812\u{1b}[2J")), now);
        assert_eq!(
            text(told).as_deref(),
            Some("waiting, 2nd of 3, behind web1:812\\u{1b}[2J (leads with token 4294967310)")
        );
        assert!(narrator.held_until().is_none());
        assert_eq!(text(narrator.role(&waiting(1, 3, neighbour("web1:812\u{1b}[2J")), now)), None);
        assert_eq!(
            narrator.leading("4294967388"),
            "leading with token 4294967388 (web1:812\\u{1b}[2J is gone)"
        );
        assert_eq!(narrator.leading("5"), "leading with token 5");
    }

    #[test]
    fn a_name_that_does_not_come_is_not_waited_for() {
        let now = Instant::now();
        let mut narrator = narrator("zk1");
        assert!(narrator.role(&waiting(2, 3, None), now).is_empty());
        assert_eq!(narrator.held_until(), Some(now + NAME_WITHIN));
        assert_eq!(text(narrator.release()).as_deref(), Some("waiting, 3rd of 3"));
        assert!(narrator.release().is_none());
    }

    #[test]
    fn a_twin_is_told_of_once() {
        let now = Instant::now();
        let mut narrator = narrator("zk1");
        let told = narrator.role(&waiting(1, 2, neighbour("me")), now);
        assert_eq!(told[0].message, "another contender is called me as well");
        assert_eq!(told.len(), 2);
        assert_eq!(narrator.role(&waiting(1, 3, neighbour("me")), now).len(), 1);
    }

    #[test]
    fn a_neighbour_that_never_goes_is_told_of_once() {
        let now = Instant::now();
        let mut narrator = narrator("zk1");
        let stuck = || neighbour("old").map(|neighbour| Neighbour { ephemeral: false, ..neighbour });
        let told = narrator.role(&waiting(1, 2, stuck()), now);
        assert_eq!(told[0].message, "old's znode is not ephemeral: it never goes by itself");
        assert_eq!(told.len(), 2);
        assert_eq!(narrator.role(&waiting(1, 3, stuck()), now).len(), 1);
    }

    #[test]
    fn failed_rounds_are_told_at_most_every_ten_seconds() {
        let now = Instant::now();
        let mut narrator = narrator("zk1,zk2");
        assert_eq!(
            narrator.unreachable_within(Duration::from_secs(5)),
            "no server reached within 5s: no answer from zk1:2181, zk2:2181"
        );
        let notice = Notice::Unreachable { tried: vec![("zk1:2181".into(), "connection refused".into())] };
        assert_eq!(narrator.outside_a_term(&notice, now).len(), 1);
        assert_eq!(narrator.outside_a_term(&notice, now + Duration::from_secs(9)).len(), 0);
        assert_eq!(narrator.outside_a_term(&notice, now + Duration::from_secs(10)).len(), 1);
        assert_eq!(
            narrator.unreachable_within(Duration::from_secs(5)),
            "no server reached within 5s: zk1:2181: connection refused"
        );
    }

    #[test]
    fn a_takeover_on_this_machine_is_not_worth_a_warning() {
        let now = Instant::now();
        let mut narrator = local();
        let notice = Notice::Unreachable { tried: vec![("/d/socket".into(), "connection refused".into())] };
        assert_eq!(narrator.outside_a_term(&notice, now).len(), 0);
        let told = narrator.outside_a_term(&notice, now + HOSTLESS_AFTER);
        assert_eq!(text(told).as_deref(), Some("no host answers, trying on: connection refused"));
    }

    #[test]
    fn a_stopped_host_is_told_of_at_most_every_ten_seconds() {
        let now = Instant::now();
        let mut narrator = local();
        let told = text(narrator.host_is_stopped(4711, now)).expect("a line");
        assert!(told.starts_with("the host, pid 4711, is stopped"), "{told}");
        assert!(narrator.host_is_stopped(4711, now + Duration::from_secs(9)).is_none());
        assert!(narrator.host_is_stopped(4711, now + Duration::from_secs(10)).is_some());
    }

    #[test]
    fn a_leader_is_told_how_long_it_may_go_on() {
        let mut narrator = narrator("zk1");
        let lost = Notice::Disconnected {
            server: "zk2:2181".into(),
            cause: "connection reset".into(),
            remaining: Some(Duration::from_millis(3950)),
        };
        let told = narrator.in_a_term(&lost, Instant::now());
        assert_eq!(told[0].message, "zk2:2181 lost; leading on, 3.9s until the program is stopped");
        assert_eq!(told[0].about, About::Suspended);
        let back = Notice::Connected {
            server: "zk3:2181".into(),
            session: 1,
            timeout: Duration::from_secs(10),
            same_session: true,
        };
        let told = narrator.in_a_term(&back, Instant::now());
        assert_eq!(told[0].message, "zk3:2181, same session; leading on");
    }
}

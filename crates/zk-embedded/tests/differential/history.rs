//! Random histories: what is asked, on which connection, in which order.

use std::net::SocketAddr;

use zk_wire::{Acl, CreateMode, MultiOp, Request, WatchKind, perms};

use crate::known;
use crate::pair::{Pair, Servers};

/// Steps of a history; a step is one to four requests on one connection.
const STEPS: usize = 30;

/// What a history is about. Some things cannot be compared together: see `known`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// One-shot watches, taken back now and then.
    OneShot,
    /// Persistent watches.
    Persistent,
    /// Access control lists and credentials.
    Acls,
}

impl Profile {
    pub(crate) const ALL: [Self; 3] = [Self::OneShot, Self::Persistent, Self::Acls];
}

/// Runs one history on both servers.
///
/// # Panics
/// At the first difference.
pub(crate) fn run(seed: u64, profile: Profile, ours: SocketAddr, theirs: SocketAddr) {
    let mut random = Random { random: fastrand::Rng::with_seed(seed), profile, root: format!("/h{seed}") };
    let mut servers = Servers::new(ours, theirs);
    let mut pairs: Vec<Pair> = (0..random.between(2, 3)).map(|_| servers.connect()).collect();
    let root = random.create_at(random.root.clone(), CreateMode::Persistent);
    servers.compare(&mut pairs[0], &[root]).unwrap();
    let mut done: Vec<String> = Vec::new();
    for _ in 0..STEPS {
        let step = random.step(&servers, &mut pairs);
        done.push(format!("{step:?}"));
        let outcome = carry_out(&mut servers, &mut pairs, &step)
            .and_then(|()| compare_events(&mut pairs, &step, profile));
        if let Err(difference) = outcome {
            panic!(
                "seed {seed} ({profile:?}), after\n  {}\n{difference}\nKnown differences:\n  {}",
                done.join("\n  "),
                known::DIFFERENCES.join("\n  ")
            );
        }
    }
    for pair in &mut pairs {
        pair.close();
    }
}

#[derive(Debug)]
enum Step {
    /// On this connection, all at once.
    Ask(usize, Vec<Request>),
    /// The session ends, and another begins in its place.
    Renew(usize),
    /// The connection breaks, the session goes on, and watches are set again: for ours and for theirs.
    Reconnect(usize, Box<[Request; 2]>),
}

fn carry_out(servers: &mut Servers, pairs: &mut [Pair], step: &Step) -> Result<(), String> {
    match step {
        Step::Ask(on, requests) => servers.compare(&mut pairs[*on], requests),
        Step::Renew(on) => {
            pairs[*on].close();
            pairs[*on] = servers.connect();
            Ok(())
        }
        Step::Reconnect(on, again) => {
            pairs[*on] = servers.resume(&pairs[*on]);
            let pair = &mut pairs[*on];
            let answers = [0, 1].map(|which: usize| pair.clients[which].call(&again[which]).1);
            if answers[0] == answers[1] { Ok(()) } else { Err(format!("setWatches: {answers:?}")) }
        }
    }
}

fn compare_events(pairs: &mut [Pair], step: &Step, profile: Profile) -> Result<(), String> {
    for (index, pair) in pairs.iter_mut().enumerate() {
        let [mut ours, mut theirs] = pair.events();
        if matches!(step, Step::Renew(_)) {
            // In which order a session's ephemerals go is not specified, and differs.
            ours.sort_by(|a, b| a.path.cmp(&b.path));
            theirs.sort_by(|a, b| a.path.cmp(&b.path));
        }
        if !known::events(&ours, &theirs, profile == Profile::Acls) {
            return Err(format!("events of connection {index}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    Ok(())
}

struct Random {
    random: fastrand::Rng,
    profile: Profile,
    root: String,
}

impl Random {
    fn between(&mut self, least: usize, most: usize) -> usize {
        self.random.usize(least..=most)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.random.usize(0..count) == 0
    }

    fn step(&mut self, servers: &Servers, pairs: &mut [Pair]) -> Step {
        let on = self.random.usize(0..pairs.len());
        match self.random.usize(0..20) {
            0 => Step::Renew(on),
            1 => Step::Reconnect(on, Box::new(self.set_watches(servers))),
            // Alone, since its answer may overtake others.
            2 if self.profile == Profile::Acls => Step::Ask(on, vec![self.auth()]),
            _ => {
                let count = if self.one_in(4) { self.between(2, 4) } else { 1 };
                Step::Ask(on, (0..count).map(|_| self.request()).collect())
            }
        }
    }

    fn request(&mut self) -> Request {
        let one_shot = self.profile != Profile::Persistent;
        match self.random.usize(0..30) {
            0..=6 => self.create(),
            7..=9 => Request::Delete { path: self.path(), version: self.version() },
            10..=12 => Request::SetData { path: self.path(), data: self.data(), version: self.version() },
            13..=15 => Request::Exists { path: self.path(), watch: one_shot && self.random.bool() },
            16..=17 => Request::GetData { path: self.path(), watch: one_shot && self.random.bool() },
            18 => Request::GetChildren { path: self.path(), watch: one_shot && self.random.bool() },
            19..=20 => Request::GetChildren2 { path: self.path(), watch: one_shot && self.random.bool() },
            21 => Request::GetAcl { path: self.path() },
            22..=23 => self.multi(),
            24 => Request::Sync { path: self.path() },
            25 if self.profile == Profile::Persistent => Request::AddWatch { path: self.path(), mode: 0 },
            25 | 26 if self.profile == Profile::Acls => Request::GetAcl { path: self.path() },
            25 => Request::RemoveWatches { path: self.path(), kind: self.watch_kind() },
            26 if self.profile == Profile::Persistent => {
                Request::RemoveWatches { path: self.path(), kind: WatchKind::Any }
            }
            26 => Request::CheckWatches { path: self.path(), kind: self.watch_kind() },
            27 if self.profile == Profile::Acls => {
                Request::SetAcl { path: self.path(), acl: self.acl(), version: self.version() }
            }
            27 => Request::CountDescendants { path: self.path() },
            28 => Request::GetEphemerals { prefix: self.path() },
            _ => Request::WhoAmI,
        }
    }

    fn create(&mut self) -> Request {
        let path = self.new_path();
        let mode = self.mode();
        self.create_at(path, mode)
    }

    fn create_at(&mut self, path: String, mode: CreateMode) -> Request {
        let (data, acl) = (self.data(), self.acl());
        match self.random.usize(0..6) {
            0 => Request::CreateContainer { path, data, acl, mode: CreateMode::Container },
            1 | 2 => Request::Create { path, data, acl, mode },
            _ => Request::Create2 { path, data, acl, mode },
        }
    }

    fn multi(&mut self) -> Request {
        let count = self.random.usize(0..5);
        Request::Multi((0..count).map(|_| self.multi_op()).collect())
    }

    fn multi_op(&mut self) -> MultiOp {
        match self.random.usize(0..8) {
            0..=3 => {
                let (path, data, acl, mode) = (self.new_path(), self.data(), self.acl(), self.mode());
                match self.random.usize(0..3) {
                    0 => MultiOp::Create { path, data, acl, mode },
                    1 => MultiOp::CreateContainer { path, data, acl, mode: CreateMode::Container },
                    _ => MultiOp::Create2 { path, data, acl, mode },
                }
            }
            4 => MultiOp::Delete { path: self.path(), version: self.version() },
            5 | 6 => MultiOp::SetData { path: self.path(), data: self.data(), version: self.version() },
            _ => MultiOp::Check { path: self.path(), version: self.version() },
        }
    }

    fn auth(&mut self) -> Request {
        let user = *self.random.choice(["a:1", "b:2", "c", ":"].iter()).unwrap();
        Request::Auth { scheme: "digest".into(), auth: user.as_bytes().into() }
    }

    /// For ours and for theirs: the same but for the zxid.
    fn set_watches(&mut self, servers: &Servers) -> [Request; 2] {
        let some = |random: &mut Self| -> Vec<String> {
            let count = random.random.usize(0..4);
            let mut paths: Vec<String> = (0..count).map(|_| random.path()).collect();
            paths.sort();
            paths.dedup();
            paths
        };
        let (data, exist, child) = (some(self), some(self), some(self));
        let persistent = some(self);
        let since = self.random.i64(0..40);
        servers.absolute(since).map(|relative_zxid| {
            let (data, exist, child, persistent) =
                (data.clone(), exist.clone(), child.clone(), persistent.clone());
            match self.profile {
                Profile::Persistent => Request::SetWatches2 {
                    relative_zxid,
                    data: Vec::new(),
                    exist: Vec::new(),
                    child: Vec::new(),
                    persistent,
                    recursive: Vec::new(),
                },
                _ => Request::SetWatches { relative_zxid, data, exist, child },
            }
        })
    }

    /// A path at which there may be something, and now and then one that is no path.
    fn path(&mut self) -> String {
        const ODD: [&str; 12] = [
            "",
            "/",
            "//",
            "abc",
            "/zookeeper",
            "/zookeeper/quota",
            "/zookeeper/config",
            "/a/../b",
            "/a//b",
            "/a/",
            "/a\u{e000}",
            "/..",
        ];
        if self.one_in(20) {
            return (*self.random.choice(ODD.iter()).unwrap()).to_owned();
        }
        let mut path = self.root.clone();
        let least = usize::from(!self.one_in(8));
        for _ in 0..self.between(least, 2) {
            path.push('/');
            path.push_str(self.random.choice(["a", "a", "b", "s0000000000", "s0000000001"].iter()).unwrap());
        }
        path
    }

    /// A path where something may be made; nothing is made outside the history's own part of the tree.
    fn new_path(&mut self) -> String {
        const ODD: [&str; 9] =
            ["/\u{1f600}", "/", "", "abc", "/\u{a0}x/y", "/..", "/nothing/here", "//", "/zookeeper"];
        if self.one_in(20) {
            return (*self.random.choice(ODD.iter()).unwrap()).to_owned();
        }
        let mut path = self.root.clone();
        for _ in 0..*self.random.choice([0, 0, 0, 1, 1, 2].iter()).unwrap() {
            path.push('/');
            path.push_str(self.random.choice(["a", "a", "b", "s0000000000"].iter()).unwrap());
        }
        path.push('/');
        let last = ["a", "b", "s", "s", "", ".", "x\u{7f}", "x\u{0}"];
        let weights = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7];
        path.push_str(last[*self.random.choice(weights.iter()).unwrap()]);
        path
    }

    fn mode(&mut self) -> CreateMode {
        CreateMode::from(*self.random.choice([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, -1].iter()).unwrap())
    }

    fn version(&mut self) -> i32 {
        *self.random.choice([-1, -1, -1, 0, 0, 1, 2, -2].iter()).unwrap()
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.random.usize(0..4) {
            0 => None,
            1 => Some(Vec::new()),
            _ => Some(vec![self.random.u8(..); self.random.usize(1..20)]),
        }
    }

    fn watch_kind(&mut self) -> WatchKind {
        WatchKind::from(*self.random.choice([1, 2, 3, 0].iter()).unwrap())
    }

    fn acl(&mut self) -> Vec<Acl> {
        if self.profile != Profile::Acls || self.random.bool() {
            return vec![Acl::anyone(perms::ALL)];
        }
        let entry = |random: &mut Self| {
            let perms = random.random.i32(0..32);
            match random.random.usize(0..9) {
                0 => Acl::creator(perms),
                1 => Acl::new(perms, "ip", "127.0.0.1"),
                2 => Acl::new(perms, "ip", "127.0.0.0/8"),
                3 => Acl::new(perms, "ip", "10.0.0.0/8"),
                4 => Acl::new(perms, "digest", "a:x"),
                5 => Acl::new(perms, "digest", "a"),
                6 => Acl::new(perms, "nobody", "knows"),
                7 => Acl::new(perms, "world", "someone"),
                _ => Acl::anyone(perms),
            }
        };
        let count = self.random.usize(0..3);
        (0..count).map(|_| entry(self)).collect()
    }
}

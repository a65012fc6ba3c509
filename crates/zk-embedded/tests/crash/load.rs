//! Clients that write until their server is gone, and what they were told is done.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk_wire::{Acl, CreateMode, ErrorCode, MultiOp, MultiResult, Request, Response, perms};

use crate::client::{Client, create, delete, exists, set};

/// Longer than a round on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(40);
const CLIENTS: usize = 3;

/// The clients' sessions, and all that they were told in the life of one directory.
pub(crate) struct Ledger {
    writers: Vec<Writer>,
    zxids: BTreeSet<i64>,
    names: BTreeSet<String>,
    acknowledged: usize,
}

/// One client: what it holds to be true of the nodes that nobody else touches.
struct Writer {
    number: usize,
    client: Client,
    /// Counts its steps, in all rounds.
    step: u64,
    /// Acknowledged and not deleted since, each a path.
    present: BTreeSet<String>,
    /// Deleted, and that was acknowledged.
    absent: BTreeSet<String>,
    /// The value of its own node: the last that was acknowledged, and the last that was asked for.
    value: (u64, u64),
    /// The pair whose multi was not answered.
    unanswered_pair: Option<u64>,
    /// This round's acknowledged zxids, and names made by the server's counters.
    zxids: Vec<i64>,
    names: Vec<String>,
}

impl Ledger {
    /// Opens the sessions and makes the nodes that all rounds use.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(address, TIMEOUT)).collect();
        for parent in ["/load", "/eph", "/pair"] {
            clients[0].call(&create(parent, CreateMode::Persistent)).1.unwrap();
        }
        for (number, client) in clients.iter_mut().enumerate() {
            client.call(&create(&format!("/value-{number}"), CreateMode::Persistent)).1.unwrap();
            client.call(&create(&format!("/alive-{number}"), CreateMode::Ephemeral)).1.unwrap();
        }
        let writers = clients.into_iter().enumerate().map(|(number, client)| Writer {
            number,
            client,
            step: 0,
            present: BTreeSet::from([format!("/alive-{number}")]),
            absent: BTreeSet::new(),
            value: (0, 0),
            unanswered_pair: None,
            zxids: Vec::new(),
            names: Vec::new(),
        });
        Self { writers: writers.collect(), zxids: BTreeSet::new(), names: BTreeSet::new(), acknowledged: 0 }
    }

    /// Acknowledged writes so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// Takes the sessions up again, and compares what is there with what the clients were told. `None` if
    /// the server goes meanwhile.
    pub(crate) fn check(&mut self, address: SocketAddr, told: &str) -> Option<()> {
        let highest = self.zxids.last().copied().unwrap_or(0);
        let mut here = Vec::new();
        for writer in &mut self.writers {
            writer.client = resume(address, &writer.client, told)?;
            let (zxid, _) = writer.client.try_call(&exists("/", false))?;
            assert!(zxid >= highest, "{told}: zxid 0x{zxid:x} after 0x{highest:x}");
            if here.is_empty() {
                for parent in ["", "/load", "/eph", "/pair"] {
                    here.extend(children(&mut writer.client, parent)?);
                }
            }
        }
        let here: BTreeSet<String> = here.into_iter().collect();
        self.writers.iter_mut().try_for_each(|writer| writer.check(&here, told))
    }

    /// Writes from all clients at once until the server is gone or `stop` says so.
    pub(crate) fn write_until(&mut self, stop: &AtomicBool, meanwhile: impl FnOnce()) {
        std::thread::scope(|scope| {
            for writer in &mut self.writers {
                scope.spawn(move || while !stop.load(Ordering::Relaxed) && writer.write().is_some() {});
            }
            meanwhile();
        });
        let before = self.zxids.last().copied().unwrap_or(0);
        for writer in &mut self.writers {
            for zxid in writer.zxids.drain(..) {
                assert!(zxid > before, "zxids fell: 0x{zxid:x} after 0x{before:x}");
                assert!(self.zxids.insert(zxid), "zxid 0x{zxid:x} was given twice");
                self.acknowledged += 1;
            }
            for name in writer.names.drain(..) {
                assert!(!self.names.contains(&name), "{name}: a sequence number was given twice");
                self.names.insert(name);
            }
        }
    }
}

impl Writer {
    /// One write of the kinds in turn; `None` when the server is gone.
    fn write(&mut self) -> Option<()> {
        self.step += 1;
        match self.step % 5 {
            0 => self.delete(),
            1 => self.create("/load/n-", CreateMode::PersistentSequential),
            2 => self.create_pair(),
            3 => self.set_value(),
            _ if self.step.is_multiple_of(8) => self.create("/eph/e-", CreateMode::EphemeralSequential),
            _ => self.create("/load/n-", CreateMode::PersistentSequential),
        }
    }

    fn create(&mut self, path: &str, mode: CreateMode) -> Option<()> {
        let (zxid, outcome) = self.client.try_call(&create(path, mode))?;
        let Ok(Response::Created2 { path, stat }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(zxid, stat.czxid);
        self.zxids.push(zxid);
        self.names.push(path.clone());
        self.present.insert(path);
        Some(())
    }

    fn delete(&mut self) -> Option<()> {
        let Some(path) = self.present.iter().find(|path| path.starts_with("/load/")).cloned() else {
            return Some(());
        };
        // Until it is answered nothing is known of it.
        self.present.remove(&path);
        let (zxid, outcome) = self.client.try_call(&delete(&path))?;
        outcome.unwrap();
        self.zxids.push(zxid);
        self.absent.insert(path);
        Some(())
    }

    fn set_value(&mut self) -> Option<()> {
        self.value.1 += 1;
        let request = set(&format!("/value-{}", self.number), self.value.1.to_string().as_bytes());
        let (zxid, outcome) = self.client.try_call(&request)?;
        outcome.unwrap();
        self.zxids.push(zxid);
        self.value.0 = self.value.1;
        Some(())
    }

    fn create_pair(&mut self) -> Option<()> {
        let pair = self.pair(self.step);
        let op = |path: &String| MultiOp::Create {
            path: path.clone(),
            data: None,
            acl: vec![Acl::anyone(perms::ALL)],
            mode: CreateMode::Persistent,
        };
        self.unanswered_pair = Some(self.step);
        let (zxid, outcome) = self.client.try_call(&Request::Multi(pair.iter().map(op).collect()))?;
        let Ok(Response::Multi(results)) = outcome else { panic!("{outcome:?}") };
        assert!(results.iter().all(|result| matches!(result, MultiResult::Created { .. })), "{results:?}");
        self.unanswered_pair = None;
        self.zxids.push(zxid);
        self.present.extend(pair);
        Some(())
    }

    fn pair(&self, step: u64) -> [String; 2] {
        ["a", "b"].map(|half| format!("/pair/{}-{step}-{half}", self.number))
    }

    fn check(&mut self, here: &BTreeSet<String>, told: &str) -> Option<()> {
        let lost: Vec<_> = self.present.difference(here).collect();
        assert!(lost.is_empty(), "{told}: acknowledged and lost: {lost:?}");
        let back: Vec<_> = self.absent.intersection(here).collect();
        assert!(back.is_empty(), "{told}: deleted and back: {back:?}");
        if let Some(step) = self.unanswered_pair {
            let [a, b] = self.pair(step).map(|path| here.contains(&path));
            assert_eq!(a, b, "{told}: half of a multi is there");
        }
        let read = Request::GetData { path: format!("/value-{}", self.number), watch: false };
        let Ok(Response::Data { data: Some(data), .. }) = self.client.try_call(&read)?.1 else {
            panic!("{told}: a value is gone")
        };
        // What it was made with counts as none.
        let value = String::from_utf8(data.to_vec()).unwrap().parse().unwrap_or(0);
        let (least, most) = self.value;
        assert!((least..=most).contains(&value), "{told}: {value} is there, {least} was acknowledged");
        self.value = (value, most);
        Some(())
    }
}

/// The same session over another connection; `None` if the server goes meanwhile.
fn resume(address: SocketAddr, old: &Client, told: &str) -> Option<Client> {
    let mut client = Client::try_plain(address).ok()?;
    client.handshake(old.session, &old.password, old.timeout, 0)?;
    assert_eq!(client.session, old.session, "{told}: a live session is gone");
    Some(client)
}

/// The paths of a node's children. The empty path is the root's.
fn children(client: &mut Client, parent: &str) -> Option<Vec<String>> {
    match client.try_call(&Request::GetChildren { path: parent.into(), watch: false })?.1 {
        Ok(Response::Children { names }) => {
            Some(names.into_iter().map(|name| format!("{parent}/{name}")).collect())
        }
        Err(ErrorCode::NoNode) => panic!("{parent} is gone"),
        other => panic!("{other:?}"),
    }
}

//! What carries packets: in order on each connection, late, or not at all.
//!
//! Invariant: what arrives on one connection is a beginning of what was sent on it, in that order. What was on
//! its way when a connection broke may still arrive, long after the next one was made.

use std::cmp::Reverse;

use zk_wire::{RequestHeader, op};

use crate::client::wire::Stream;
use crate::record::{Sight, What};
use crate::service::Conn;
use crate::world::{Event, Service, World};
use crate::{MS, SECOND};

/// What was held up arrives so soon once nothing holds it up.
const SOON: u64 = 400 * MS;

/// One contender's way to one server.
#[derive(Debug, Default, Clone)]
pub(crate) struct Path {
    pub(crate) up_cut_until: u64,
    pub(crate) down_cut_until: u64,
    /// Packets take up to so much longer.
    pub(crate) slow: u64,
    pub(crate) lossy: bool,
    /// What is sent before then arrives then, as what was lost and is sent again; whoever connects gets through.
    pub(crate) up_held_until: u64,
    pub(crate) down_held_until: u64,
}

impl Path {
    pub(crate) fn is_cut(&self, now: u64) -> bool {
        self.up_cut_until > now || self.down_cut_until > now
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) who: usize,
    pub(crate) server: usize,
    pub(crate) opened: u64,
    pub(crate) stream: Stream,
    /// When the last packet of each direction arrives.
    up_at: u64,
    down_at: u64,
    /// The contender's end is gone; what would arrive after this is lost.
    lost_after: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

impl World {
    /// Takes what a contender has written, and notices the connections that it made or dropped.
    pub(super) fn collect(&mut self, who: usize) {
        for (server, stream) in self.members[who].connector.take_opened() {
            self.last_conn += 1;
            let conn = self.last_conn;
            let wire = Wire {
                who,
                server,
                opened: self.now,
                stream,
                up_at: self.now,
                down_at: self.now,
                lost_after: None,
            };
            self.wires.insert(conn, wire);
            self.members[who].wires.push(conn);
            self.record.note(self.now, Some(who), What::Connects, server as u64, conn);
            self.serve(|service, sink| {
                match service {
                    Service::Ensemble(ensemble) => ensemble.open(conn, server, sink),
                    Service::Lone(lone) => lone.open(conn, sink),
                }
                Ok(())
            });
        }
        for conn in self.members[who].wires.clone() {
            self.collect_wire(conn);
        }
    }

    fn collect_wire(&mut self, conn: Conn) {
        let Some(wire) = self.wires.get(&conn) else { return };
        let written = wire.stream.take_written();
        let dropped = wire.stream.is_dropped();
        let (who, server) = (wire.who, wire.server);
        let mut breaks = None;
        let mut rest = &written[..];
        while let Some(prefix) = rest.first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            let Some(frame) = rest.get(4..4 + length) else { break };
            let frame = frame.to_vec();
            rest = &rest[4 + length..];
            self.record.mix(frame.len() as u64);
            if breaks.is_none() && self.members[who].break_at_create && is_create(&frame) {
                breaks = Some(self.network.ms(0, 2_700));
            }
            if let Some(late) = breaks {
                self.paths[who][server].up_held_until = self.now + late;
            }
            let at = self.time_up(conn);
            self.at(at, Event::Up { conn, frame });
        }
        if breaks.is_some() {
            self.members[who].break_at_create = false;
            self.record.note(self.now, Some(who), What::BrokenAtCreate, server as u64, conn);
            self.break_wires(who);
        }
        if dropped {
            self.drop_wire(conn, true);
        }
    }

    /// It was given something to read. Whether this was the answer after which it is to be stranded.
    pub(super) fn counts_answer(&mut self, who: usize) {
        let member = &mut self.members[who];
        let Some((answers, lasts)) = &mut member.strand_after else { return };
        *answers -= 1;
        if *answers > 0 {
            return;
        }
        let lasts = *lasts;
        member.strand_after = None;
        if self.members[who].term.is_some() {
            self.record.note(self.now, Some(who), What::Stranded, 0, 0);
            self.strand(who, lasts);
        }
    }

    /// The contender's end is gone. What is on its way may be lost from some moment on; the server learns of
    /// it behind all that arrives, or never if the whole host went.
    pub(super) fn drop_wire(&mut self, conn: Conn, told: bool) {
        let chance = self.network.below(3);
        let part = self.network.next();
        let Some(wire) = self.wires.get_mut(&conn) else { return };
        let left = wire.up_at.saturating_sub(self.now);
        if chance == 0 {
            wire.lost_after = Some(self.now + part % (left + 1));
        }
        let (who, server) = (wire.who, wire.server);
        self.members[who].wires.retain(|other| *other != conn);
        self.record.note(self.now, Some(who), What::Disconnects, server as u64, conn);
        if told {
            let at = self.time_up(conn);
            self.at(at, Event::UpEnd { conn });
        }
    }

    /// The connection breaks: its contender sees it at once, the server a little later.
    pub(super) fn break_wires(&mut self, who: usize) {
        for conn in self.members[who].wires.clone() {
            if let Some(wire) = self.wires.get(&conn) {
                wire.stream.end();
            }
        }
        self.wake_soon(who);
    }

    pub(super) fn reaches_server(&mut self, conn: Conn, frame: &[u8]) {
        let Some(wire) = self.wires.get(&conn) else { return };
        if wire.lost_after.is_some_and(|last| self.now > last) {
            return self.record.saw(Sight::LostRequest);
        }
        if !self.members[wire.who].wires.contains(&conn) {
            self.record.saw(Sight::LateRequest);
        }
        if let Service::Lone(lone) = &self.service
            && lone.stalled_until() > self.now
        {
            let (at, frame) = (lone.stalled_until(), frame.to_vec());
            return self.at(at, Event::Up { conn, frame });
        }
        self.serve(|service, sink| {
            match service {
                Service::Ensemble(ensemble) => ensemble.receive(conn, frame, sink),
                Service::Lone(lone) => lone.receive(conn, frame, sink),
            }
            Ok(())
        });
    }

    /// Nothing holds packets up any more: what is on its way arrives soon, in its order.
    pub(super) fn hurry_packets(&mut self) {
        let soon = self.now + SOON;
        for Reverse((at, planned, slot)) in std::mem::take(&mut self.events) {
            let is_packet = matches!(
                self.slots[slot],
                Some(Event::Up { .. } | Event::UpEnd { .. } | Event::Down { .. } | Event::DownEnd { .. })
            );
            self.events.push(Reverse((if is_packet { at.min(soon) } else { at }, planned, slot)));
        }
        for wire in self.wires.values_mut() {
            (wire.up_at, wire.down_at) = (wire.up_at.min(soon), wire.down_at.min(soon));
        }
    }

    fn time_up(&mut self, conn: Conn) -> u64 {
        self.time(conn, Direction::Up).unwrap_or(self.now)
    }

    /// When what a server sends now arrives; none if there is no such connection.
    pub(super) fn time_down(&mut self, conn: Conn) -> Option<u64> {
        self.time(conn, Direction::Down)
    }

    fn time(&mut self, conn: Conn, direction: Direction) -> Option<u64> {
        let wire = self.wires.get_mut(&conn)?;
        let path = &self.paths[wire.who][wire.server];
        let random = &mut self.network;
        let (up, down) = (path.up_cut_until, path.down_cut_until);
        let (last, cut, back, held) = match direction {
            Direction::Up => (&mut wire.up_at, up, down, path.up_held_until),
            Direction::Down => (&mut wire.down_at, down, up, path.down_held_until),
        };
        let mut at = self.now + MS / 10 + random.below(MS);
        if path.slow > 0 {
            at += random.below(path.slow);
        }
        if path.lossy {
            // Sent again after a time that doubles.
            let mut again = 200 * MS;
            while again < 4 * SECOND && random.one_in(3) {
                self.record.saw(Sight::SentAgain);
                at += again;
                again *= 2;
            }
        }
        if cut > self.now {
            if back <= self.now {
                self.record.saw(Sight::OneWay);
            }
            at = at.max(cut + random.ms(0, 400));
        }
        *last = at.max(held).max(*last);
        Some(*last)
    }
}

/// Whether this frame asks for a znode.
fn is_create(frame: &[u8]) -> bool {
    RequestHeader::decode(frame).is_ok_and(|(header, _)| matches!(header.op, op::CREATE | op::CREATE2))
}

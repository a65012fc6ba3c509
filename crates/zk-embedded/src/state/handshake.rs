//! How a connection gets its session: a new one, or one that goes on.

use zk_wire::{ConnectRequest, ConnectResponse, Secret};

use super::change::Change;
use super::sessions::same_password;
use super::{ConnectionId, Effects, Farewell, Moment, Output, PASSWORD, State};

impl State {
    /// The handshake of a connection. `password` becomes that of the session if it is a new one: 16 bytes
    /// that nobody can guess.
    pub fn connect(
        &mut self,
        connection: ConnectionId,
        asked: &ConnectRequest,
        password: [u8; PASSWORD],
        now: Moment,
        effects: &mut Effects,
    ) {
        let Some(known) = self.connections.get(&connection) else { return };
        if known.session.is_some() {
            return self.hang_up(connection, Farewell::Misplaced, effects);
        }
        if asked.last_zxid_seen > self.last_zxid {
            let why = Farewell::Ahead { theirs: asked.last_zxid_seen, ours: self.last_zxid };
            return self.hang_up(connection, why, effects);
        }
        let timeout_ms = asked.timeout_ms.clamp(self.limits.min_timeout_ms, self.limits.max_timeout_ms);
        if asked.session_id == 0 {
            if self.sessions.len() >= self.limits.sessions {
                return self.hang_up(connection, Farewell::TooManySessions, effects);
            }
            let session = self.sessions.new_id(now);
            self.commit(Change::OpenSession { session, timeout_ms, password }, now, effects);
            self.attach(connection, session, timeout_ms, asked, now, effects);
        } else {
            self.resume(connection, timeout_ms, asked, now, effects);
        }
    }

    /// Judges the password before anything else, so that a stranger who knows an id can cut nobody off.
    fn resume(
        &mut self,
        connection: ConnectionId,
        timeout_ms: i32,
        asked: &ConnectRequest,
        now: Moment,
        effects: &mut Effects,
    ) {
        let session = asked.session_id;
        let known = self.sessions.get(session);
        let Some(known) = known.filter(|known| same_password(&known.password, asked.password.expose()))
        else {
            let refusal = response(0, 0, [0; PASSWORD], asked);
            effects.outputs.push((connection, Output::Connected(refusal)));
            return self.hang_up(connection, Farewell::NoSession, effects);
        };
        let recorded_ms = known.recorded_ms;
        if let Some(before) = known.connection {
            self.hang_up(before, Farewell::TakenOver, effects);
        }
        // What is on record is what a restart begins with: too short there would be too early an end.
        if timeout_ms > recorded_ms {
            self.commit(Change::ExtendTimeout { session, timeout_ms }, now, effects);
        }
        self.attach(connection, session, timeout_ms, asked, now, effects);
    }

    fn attach(
        &mut self,
        connection: ConnectionId,
        session: i64,
        timeout_ms: i32,
        asked: &ConnectRequest,
        now: Moment,
        effects: &mut Effects,
    ) {
        self.sessions.bind(session, connection, timeout_ms, now.elapsed);
        if let Some(known) = self.connections.get_mut(&connection) {
            known.session = Some(session);
        }
        let password = self.sessions.get(session).map_or([0; PASSWORD], |session| session.password);
        let accepted = response(timeout_ms, session, password, asked);
        effects.outputs.push((connection, Output::Connected(accepted)));
    }
}

/// The `read_only` byte goes only to those who sent one.
fn response(
    timeout_ms: i32,
    session_id: i64,
    password: [u8; PASSWORD],
    asked: &ConnectRequest,
) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id,
        password: Secret::from(password.as_slice()),
        read_only: asked.read_only.map(|_| false),
    }
}

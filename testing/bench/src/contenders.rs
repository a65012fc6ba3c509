//! Contenders of one election, each in a process of its own, who pass leadership around when told to.

use std::time::Duration;

use elector::{Elector, Role};
use zk_ensemble::monotonic_time;

use crate::TIMEOUT;
use crate::child::CONTEND;
use crate::fleet::{Fleet, Orders};

type Error = Box<dyn std::error::Error>;

/// Which of three servers each contender uses, again from the start after the ninth: every ordered pair of servers
/// occurs once between neighbours.
const ROUND: [usize; 9] = [0, 0, 1, 0, 2, 1, 1, 2, 2];

/// The server of the contender `index` among as many servers.
pub(crate) fn server_of(index: usize, servers: usize) -> usize {
    ROUND[index % ROUND.len()] % servers
}

/// It has its leadership in hand.
const LED: &str = "led";
/// It was about to resign; said when that is done, so that saying it delays nothing.
const RESIGNED: &str = "resigned";

/// A full queue.
pub(crate) struct Contenders {
    fleet: Fleet,
    leader: usize,
}

impl Contenders {
    /// Enrols `count` of them in the order of their indexes, each with a session of its own on its own server.
    pub(crate) fn enrol(servers: &[String], path: &str, count: usize) -> Result<Contenders, Error> {
        let mut fleet = Fleet::new()?;
        for index in 0..count {
            let member = fleet.start(CONTEND, &servers[server_of(index, servers.len())], path)?;
            if member == 0 {
                fleet.hear(member, LED)?;
            }
        }
        Ok(Contenders { fleet, leader: 0 })
    }

    /// Lets the leader resign, and returns when the next one leads: how long it took.
    pub(crate) fn hand_over(&mut self) -> Result<Duration, Error> {
        self.fleet.tell(self.leader)?;
        let (leader, time) = self.fleet.both((RESIGNED, self.leader), LED)?;
        self.leader = leader;
        Ok(time)
    }
}

/// One of them: leads, resigns when told, contends again; ends when nobody tells it any more.
pub(crate) async fn contend(servers: &str, path: &str, member: &str) -> Result<(), Error> {
    let mut orders = Orders::listen(member);
    let elector = Elector::builder(servers, path)
        .id(format!("contender-{member}"))
        .session_timeout(TIMEOUT)
        .connect()
        .await?;
    let mut role = elector.role();
    let mut campaign = elector.campaign();
    role.wait_for(|role| matches!(role, Role::Waiting { .. } | Role::Leading { .. })).await?;
    orders.say_now("ready")?;
    loop {
        let leadership = tokio::select! {
            won = &mut campaign => won?,
            _ = orders.next() => return Ok(()),
        };
        orders.say_now(LED)?;
        if orders.next().await.is_none() {
            return Ok(());
        }
        let at = monotonic_time();
        leadership.resign().await?;
        orders.say(RESIGNED, at)?;
        campaign = elector.campaign();
    }
}

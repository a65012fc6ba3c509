//! Contenders of one election in this process, who pass leadership around when told to.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use elector::{Elector, Role};
use tokio::sync::mpsc;

use crate::TIMEOUT;

type Error = Box<dyn std::error::Error>;

/// Which of three servers each contender uses, again from the start after the ninth: every ordered pair of servers
/// occurs once between neighbours.
const ROUND: [usize; 9] = [0, 0, 1, 0, 2, 1, 1, 2, 2];

/// The server of the contender `index` among as many servers.
pub(crate) fn server_of(index: usize, servers: usize) -> usize {
    ROUND[index % ROUND.len()] % servers
}

/// A full queue.
pub(crate) struct Contenders {
    /// When somebody led, and who.
    led: mpsc::Receiver<(usize, Instant)>,
    go: Vec<mpsc::Sender<()>>,
    /// When the last leader was about to resign.
    resigned: Arc<Mutex<Instant>>,
    leader: usize,
}

impl Contenders {
    /// Enrols `count` of them in the order of their indexes, each with a session of its own on its own server.
    pub(crate) async fn enrol(servers: &[String], path: &str, count: usize) -> Result<Contenders, Error> {
        let (lead, led) = mpsc::channel(1);
        let resigned = Arc::new(Mutex::new(Instant::now()));
        let mut go = Vec::new();
        for index in 0..count {
            let elector = Elector::builder(&servers[server_of(index, servers.len())], path)
                .id(format!("contender-{index}"))
                .session_timeout(TIMEOUT)
                .connect()
                .await?;
            let mut role = elector.role();
            let (tell, told) = mpsc::channel(1);
            go.push(tell);
            tokio::spawn(contend(index, elector, lead.clone(), told, Arc::clone(&resigned)));
            role.wait_for(|role| matches!(role, Role::Waiting { .. } | Role::Leading { .. })).await?;
        }
        let mut contenders = Contenders { led, go, resigned, leader: 0 };
        contenders.next_leader().await?;
        Ok(contenders)
    }

    /// Lets the leader resign, and returns when the next one leads: how long it took.
    pub(crate) async fn hand_over(&mut self) -> Result<std::time::Duration, Error> {
        self.go[self.leader].send(()).await?;
        let at = self.next_leader().await?;
        Ok(at - *self.resigned.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn next_leader(&mut self) -> Result<Instant, Error> {
        let (leader, at) = self.led.recv().await.ok_or("a contender failed")?;
        self.leader = leader;
        Ok(at)
    }
}

/// Leads, resigns when told, contends again; ends when nobody tells it any more.
async fn contend(
    index: usize,
    elector: Elector,
    lead: mpsc::Sender<(usize, Instant)>,
    mut told: mpsc::Receiver<()>,
    resigned: Arc<Mutex<Instant>>,
) {
    loop {
        let leadership = tokio::select! {
            won = elector.campaign() => match won {
                Ok(leadership) => leadership,
                Err(error) => {
                    eprintln!("contender {index}: {error}");
                    return;
                }
            },
            _ = told.recv() => return,
        };
        let at = Instant::now();
        if lead.send((index, at)).await.is_err() || told.recv().await.is_none() {
            return;
        }
        *resigned.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Instant::now();
        if let Err(error) = leadership.resign().await {
            eprintln!("contender {index}: {error}");
        }
    }
}

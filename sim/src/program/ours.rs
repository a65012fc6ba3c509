//! Ours: the library as it is, driver and session included, under an application that stops when it is told.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use elector::{Campaign, CampaignError, Elector, Fence, Layout, Leadership, OnDisconnect, Role};
use tokio::sync::watch;

use super::{ELECTION, Order, Program, Told};
use crate::client::clock::SimClock;
use crate::client::wire::SimConnector;
use crate::plan::{self, Plan};
use crate::random::Random;
use crate::record::RoleKind;

pub(crate) struct Ours {
    /// None once it ends.
    elector: Option<Elector>,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    driver_ended: bool,
    roles: watch::Receiver<Role>,
    role: RoleKind,
    stage: Stage,
    /// What a task of the newest term would go by; it outlives the leadership.
    fence: Option<Fence>,
}

enum Stage {
    Idle,
    Campaigning(Campaign),
    Leading { leadership: Leadership, told_to_stop: bool },
}

impl Ours {
    pub(crate) fn start(
        plan: &Plan,
        who: usize,
        clock: SimClock,
        connector: SimConnector,
        mut random: Random,
    ) -> Ours {
        let place = match plan.place {
            plan::Place::Ensemble => elector::Place::Ensemble("s0,s1,s2".to_owned()),
            plan::Place::Lone => elector::Place::Local("/the/socket".into()),
        };
        let mut builder = Elector::builder(place, ELECTION)
            .id(format!("c{who}"))
            .session_timeout(Duration::from_millis(plan.asked_ms))
            .stop_early(Duration::from_millis(plan.early_ms))
            .layout(if plan.single { Layout::Single } else { Layout::Latch });
        if plan.tick_is_known {
            builder = builder.ensemble_tick(Duration::from_millis(plan.tick_ms));
        }
        if plan.stops {
            builder = builder.on_disconnect(OnDisconnect::Stop);
        }
        let started = builder.simulate(connector, clock, move || random.next());
        let (elector, driver) = started.unwrap_or_else(|error| panic!("seed {}: {error}", plan.seed));
        let roles = elector.role();
        Ours {
            elector: Some(elector),
            driver,
            driver_ended: false,
            roles,
            role: RoleKind::Idle,
            stage: Stage::Idle,
            fence: None,
        }
    }

    fn run_driver(&mut self) {
        if !self.driver_ended {
            let mut context = Context::from_waker(Waker::noop());
            self.driver_ended = self.driver.as_mut().poll(&mut context).is_ready();
        }
    }

    fn look_at_role(&mut self, told: &mut Vec<Told>) {
        let (role, ahead) = match &*self.roles.borrow() {
            Role::Enrolling => (RoleKind::Enrolling, 0),
            Role::Waiting { ahead, .. } => (RoleKind::Waiting, *ahead),
            Role::Leading { .. } => (RoleKind::Leading, 0),
            Role::Suspended { .. } => (RoleKind::Suspended, 0),
            Role::Stopping { .. } => (RoleKind::Stopping, 0),
            Role::Closed => (RoleKind::Closed, 0),
            _ => (RoleKind::Idle, 0),
        };
        if role != self.role {
            self.role = role;
            told.push(Told::Role(role, ahead));
        }
    }

    /// Whether the campaign came to an end.
    fn look_at_campaign(&mut self, told: &mut Vec<Told>) -> bool {
        let Stage::Campaigning(campaign) = &mut self.stage else { return false };
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(campaign).poll(&mut context) {
            Poll::Pending => return false,
            Poll::Ready(Ok(leadership)) => {
                told.push(Told::Leads(leadership.token().as_i64()));
                self.fence = Some(leadership.fence());
                self.stage = Stage::Leading { leadership, told_to_stop: false };
            }
            // The one before is still on its way out; the application tries again.
            Poll::Ready(Err(CampaignError::Busy)) => self.stage = Stage::Idle,
            Poll::Ready(Err(error)) => {
                told.push(Told::Failed(error.to_string()));
                self.stage = Stage::Idle;
            }
        }
        true
    }
}

impl Program for Ours {
    fn run(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        self.run_driver();
        while self.look_at_campaign(&mut told) {
            self.run_driver();
        }
        self.look_at_role(&mut told);
        if let Stage::Leading { leadership, told_to_stop } = &mut self.stage
            && !*told_to_stop
            && matches!(&*self.roles.borrow(), Role::Stopping { .. })
        {
            *told_to_stop = true;
            told.push(Told::Stop(leadership.token().as_i64()));
        }
        if self.driver_ended {
            told.push(Told::Closed);
        }
        told
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Campaign => {
                if let (Stage::Idle, Some(elector)) = (&self.stage, &self.elector) {
                    self.stage = Stage::Campaigning(elector.campaign());
                }
            }
            // Dropping either is how an application leaves.
            Order::Leave => self.stage = Stage::Idle,
            Order::Quit => (self.stage, self.elector) = (Stage::Idle, None),
        }
    }

    fn believes(&self) -> Option<i64> {
        let fence = self.fence.as_ref()?;
        fence.check().then(|| fence.token().as_i64())
    }

    fn remaining(&self) -> Option<u64> {
        match &self.stage {
            Stage::Leading { leadership, .. } => u64::try_from(leadership.remaining().as_nanos()).ok(),
            _ => Some(0),
        }
    }
}

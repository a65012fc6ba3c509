//! The phases of a world: trouble, then what must come of it once nothing goes wrong any more.

use crate::plan::Rules;
use crate::program::Order;
use crate::record::What;
use crate::{MS, SECOND};

use super::{Event, World};

/// How far a world has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Faults come.
    Trouble,
    /// None comes any more, and all contend.
    OneMustLead,
    /// All were told to leave.
    NothingMayBeLeft,
    /// All was seen that was to be.
    Over,
}

impl World {
    pub(super) fn heal(&mut self) {
        self.record.note(self.now, None, What::Healed, 0, 0);
        self.end_all_trouble();
        if self.plan.rules != Rules::Ours {
            self.phase = Phase::Over; // what they do in the end is not ours to judge
            return;
        }
        self.phase = Phase::OneMustLead;
        self.limit = self.now + 2 * self.plan.timeout_ms * MS + 12 * SECOND;
        self.at(self.now + SECOND, Event::Check);
    }

    pub(super) fn look_whether_done(&mut self) {
        match self.phase {
            Phase::OneMustLead => {
                let leaders: Vec<i64> = (0..self.members.len()).filter_map(|who| self.belief(who)).collect();
                // Whoever waits far behind may have a second znode until it comes near.
                if leaders.len() == 1 && self.siblings(leaders[0]).is_empty() {
                    self.everybody_leaves();
                }
            }
            Phase::NothingMayBeLeft => {
                if self.znodes_of_contenders() == 0 {
                    self.phase = Phase::Over;
                }
            }
            Phase::Trouble | Phase::Over => {}
        }
        self.at(self.now + SECOND / 4, Event::Check);
    }

    fn everybody_leaves(&mut self) {
        self.record.note(self.now, None, What::AllLeave, 0, 0);
        self.phase = Phase::NothingMayBeLeft;
        self.expects_nothing_to_expire();
        self.limit = self.now + 2 * self.plan.timeout_ms * MS + 12 * SECOND;
        for who in 0..self.members.len() {
            self.members[who].wants = false;
            let life = self.members[who].life;
            let order = if self.application.one_in(3) { Order::Quit } else { Order::Leave };
            self.order(who, life, order, None);
        }
    }

    pub(super) fn overdue(&mut self) {
        let (phase, limit) = (self.phase, (self.limit / MS) as f64 / 1_000.0);
        self.violated(match phase {
            Phase::OneMustLead => {
                format!("not exactly one leads, by one znode, at {limit:.3} s, long after the last fault")
            }
            _ => format!("something is left behind at {limit:.3} s, long after everybody left"),
        });
    }
}

//! The frame around a candidate's machine: it takes inputs, keeps session, lease and term in order,
//! and leaves to the layout's line (`Queue` or `Single`) what an election there takes.
//!
//! Each step looks at the clock first, then at the input, and decides about leading only on
//! [`Input::Drained`]: a half-read batch could show a predecessor's end before our own.

use std::time::Duration;

use elector_teeth::{Tooth, bites};

use crate::Error;
use crate::error::Lost;
use crate::layout::Layout;
use crate::lease::{Deadlines, Margins, Timing};
use crate::message::{Input, OnDisconnect, Output, SessionEnd};
use crate::moment::Moment;
use crate::queue::Queue;
use crate::single::Single;
use crate::tenure::{Entropy, Goal, Tenure};

/// One participant of one election on one session of its own.
///
/// A clone is the same participant in another course of events, for searches through all of them: it draws the
/// same random numbers, so two of them must never meet in one election. Two that have the same hash, and whose
/// sources of random numbers stand at the same point, go on alike.
#[derive(Debug, Clone, Hash)]
pub struct Candidate {
    tenure: Tenure,
    line: Line,
}

#[derive(Debug, Clone, Hash)]
enum Line {
    Queue(Queue),
    Single(Single),
}

/// How lively the session must be kept, and how hurriedly a lost connection replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Ping when nothing else went out for so long; none for a third of the session timeout.
    pub ping_every: Option<Duration>,
    /// Reconnect without delay until then; none for the unhurried pace of those who only wait.
    pub hurry_until: Option<Moment>,
}

impl Candidate {
    /// A candidate that asks for session timeout `asked` and does nothing yet.
    pub fn new(
        layout: Layout,
        asked: Duration,
        margins: Margins,
        on_disconnect: OnDisconnect,
        entropy: Entropy,
    ) -> Candidate {
        let line = match layout {
            Layout::Single => Line::Single(Single::default()),
            sequential => Line::Queue(Queue::new(sequential)),
        };
        Candidate { tenure: Tenure::new(asked, margins, on_disconnect, entropy), line }
    }

    /// Takes one input. Drain [`Candidate::next_output`] before the next one.
    pub fn step(&mut self, now: Moment, input: Input) {
        let Candidate { tenure, line } = self;
        if !bites(Tooth::LateAnswerRevives) {
            tenure.look_at_clock(now);
        }
        match input {
            Input::Campaign => {
                if tenure.goal == Goal::Rest {
                    tenure.goal = Goal::Contend;
                }
            }
            Input::Withdraw => {
                // Whoever rests has nothing to leave; answering all the same frees whoever waits.
                tenure.withdraw();
            }
            Input::Attached { connection, session, timeout, connect_sent, taken_back } => {
                if tenure.session.is_some_and(|before| before != session) {
                    end_session(tenure, line, now, Lost::SessionReplaced);
                }
                tenure.attach(now, connection, session, timeout, connect_sent, taken_back);
            }
            Input::Restored { connection } => {
                tenure.restored(connection);
                line.restored();
            }
            Input::Detached => {
                tenure.detach();
                line.detached();
            }
            Input::SessionEnded(end) => {
                end_session(tenure, line, now, why(end));
                if end == SessionEnd::AuthFailed {
                    tenure.fail(Error::AuthFailed);
                }
            }
            Input::Reply { id, connection, sent, received, outcome } => {
                let Some(request) = tenure.answered(id) else { return };
                tenure.lease.acknowledged(connection, sent, received, request.is_proved_by(&outcome));
                tenure.pulse.answered(id, received);
                match line {
                    Line::Queue(queue) => queue.replied(tenure, now, id, request, outcome),
                    Line::Single(single) => single.replied(tenure, now, request, outcome),
                }
            }
            Input::Unanswered { id, sent } => {
                let Some(request) = tenure.answered(id) else { return };
                tenure.hang_up();
                match line {
                    Line::Queue(queue) => queue.unanswered(request, sent),
                    Line::Single(single) => single.unanswered(&request, sent),
                }
            }
            Input::Pong { connection, sent, received } => {
                tenure.lease.acknowledged(connection, sent, received, false);
            }
            Input::Event { name, change } => match line {
                Line::Queue(queue) => queue.changed(tenure, &name, change),
                Line::Single(single) => single.changed(tenure, now, change),
            },
            Input::Drained => match line {
                Line::Queue(queue) => queue.decide(tenure, now),
                Line::Single(single) => single.decide(tenure, now),
            },
            Input::Wake => {}
        }
        if bites(Tooth::LateAnswerRevives) {
            self.tenure.look_at_clock(now);
        }
        self.pursue(now);
    }

    /// Asks for whatever the present state lacks.
    fn pursue(&mut self, now: Moment) {
        let Candidate { tenure, line } = self;
        if tenure.closing() {
            return;
        }
        match line {
            Line::Queue(queue) => queue.pursue(tenure, now),
            Line::Single(single) => single.pursue(tenure, now),
        }
    }

    /// The next thing to be done, in order.
    pub fn next_output(&mut self) -> Option<Output> {
        self.tenure.next_output()
    }

    /// When to call [`Candidate::step`] with [`Input::Wake`] if nothing else happens before.
    pub fn next_wake(&self, now: Moment) -> Option<Moment> {
        let line = match &self.line {
            Line::Queue(queue) => queue.next_wake(&self.tenure, now),
            Line::Single(single) => single.next_wake(&self.tenure, now),
        };
        [self.tenure.next_look(), line].into_iter().flatten().min()
    }

    /// How lively the session must be kept at `now`.
    pub fn pace(&self, now: Moment) -> Pace {
        let tenure = &self.tenure;
        let (near, ping_every) = match &self.line {
            Line::Queue(queue) => (queue.is_near(), queue.ping_every(tenure)),
            Line::Single(single) => (single.is_held(), single.ping_every(tenure)),
        };
        // The leader is near, too.
        let hurry_until = tenure.lease.live(now).filter(|_| near).map(|deadlines| deadlines.term);
        Pace { ping_every, hurry_until }
    }

    /// The deadlines that bind the work now; none unless a term is on.
    pub fn deadlines(&self) -> Option<Deadlines> {
        self.tenure.deadlines()
    }

    /// The periods in force.
    pub fn timing(&self) -> &Timing {
        self.tenure.timing()
    }

    /// How many contenders are known to be ahead, and how many there were at the last look.
    pub fn position(&self) -> Option<(usize, usize)> {
        match &self.line {
            Line::Queue(queue) => queue.position(),
            Line::Single(single) => single.position(),
        }
    }

    /// The znode right ahead of ours; the empty name in layout `single`.
    pub fn nearest_ahead(&self) -> Option<&str> {
        match &self.line {
            Line::Queue(queue) => queue.nearest_ahead(),
            Line::Single(single) => single.nearest_ahead(),
        }
    }

    /// Our own znode's name, while we are enrolled; the empty name in layout `single`.
    pub fn own_name(&self) -> Option<&str> {
        match &self.line {
            Line::Queue(queue) => queue.own_name(),
            Line::Single(single) => single.is_held().then_some(""),
        }
    }
}

impl Line {
    fn restored(&mut self) {
        if let Line::Queue(queue) = self {
            queue.restored();
        }
    }

    fn detached(&mut self) {
        match self {
            Line::Queue(queue) => queue.detached(),
            Line::Single(single) => single.detached(),
        }
    }
}

fn end_session(tenure: &mut Tenure, line: &mut Line, now: Moment, why: Lost) {
    tenure.end_session(why);
    match line {
        Line::Queue(queue) => queue.session_ended(),
        Line::Single(single) => single.session_ended(tenure, now),
    }
}

fn why(end: SessionEnd) -> Lost {
    match end {
        SessionEnd::Expired => Lost::SessionExpired,
        SessionEnd::AuthFailed => Lost::AuthFailed,
        SessionEnd::Replaced => Lost::SessionReplaced,
        SessionEnd::Closed => Lost::SessionClosed,
    }
}

//! The named scopes: who contends, from where the search begins, and how often each fault may come.

use std::fmt;

use elector_core::Layout;

/// Something that goes wrong, or that somebody wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A contender's connection breaks. What it had sent may have arrived, may arrive later, or never.
    Break,
    /// The same, and what the server has not read was never handed to the connection.
    BreakUnsent,
    /// A contender neither hears nor is heard of for a session timeout, and its session expires.
    Expire,
    /// An operator closes a contender's session.
    Close,
    /// An operator deletes one znode.
    Delete,
    /// An operator deletes all znodes and the path, the oldest first.
    Wipe,
    /// The same, the newest first.
    WipeBackwards,
    /// The empty path is removed, so that its numbers begin again.
    Reap,
    /// Somebody writes to a znode.
    Touch,
    /// An application gives its leadership or its campaign up, and campaigns again.
    Resign,
    /// The same, for good.
    Quit,
    /// A contender stands still for a session timeout, which its session outlives.
    Sleep,
    /// A leader stands still until the work is to be stopped.
    Doze,
    /// A contender's clock goes on to the moment when it wants to be woken.
    Wait,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 14] = [
        Fault::Break,
        Fault::BreakUnsent,
        Fault::Expire,
        Fault::Close,
        Fault::Delete,
        Fault::Wipe,
        Fault::WipeBackwards,
        Fault::Reap,
        Fault::Touch,
        Fault::Resign,
        Fault::Quit,
        Fault::Sleep,
        Fault::Doze,
        Fault::Wait,
    ];

    /// The count that it uses up.
    pub(crate) fn counted_as(self) -> usize {
        let counted = match self {
            Fault::BreakUnsent => Fault::Break,
            Fault::WipeBackwards => Fault::Wipe,
            other => other,
        };
        counted as usize
    }
}

/// How often each fault may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget([u8; Fault::ALL.len()]);

impl Budget {
    /// These faults, so often each; a fault named twice may come once more.
    #[must_use]
    pub fn of(faults: &[Fault]) -> Budget {
        let mut budget = Budget::default();
        for fault in faults {
            budget.0[fault.counted_as()] += 1;
        }
        budget
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.0[fault.counted_as()] > 0
    }

    pub(crate) fn take(&mut self, fault: Fault) {
        self.0[fault.counted_as()] -= 1;
    }
}

/// One search.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Its name on the command line; none for one that was put together there.
    pub name: Option<&'static str>,
    /// How znodes are named.
    pub layout: Layout,
    /// How many contend.
    pub contenders: usize,
    /// So many of them are in the queue, and one of them leads, when the search begins.
    pub settled: usize,
    /// What may happen, each as often as it is named.
    pub faults: Vec<Fault>,
    /// Whether the gate searches it.
    pub in_gate: bool,
}

impl Scope {
    /// Contenders, of whom so many are in the queue already, and what may happen to them.
    #[must_use]
    pub fn new(layout: Layout, contenders: usize, settled: usize, faults: &[Fault]) -> Scope {
        Scope { name: None, layout, contenders, settled, faults: faults.to_vec(), in_gate: false }
    }

    fn named(self, name: &'static str) -> Scope {
        Scope { name: Some(name), ..self }
    }

    fn in_gate(self) -> Scope {
        Scope { in_gate: true, ..self }
    }
}

/// As the command line has it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            return write!(f, "--scope {name}");
        }
        let Scope { layout, contenders, settled, .. } = self;
        let faults: Vec<String> = self.faults.iter().map(|fault| format!("{fault:?}")).collect();
        write!(f, "--layout {layout} --contenders {contenders} --settled {settled}")?;
        if faults.is_empty() { Ok(()) } else { write!(f, " --faults {}", faults.join(",")) }
    }
}

/// All scopes that have a name.
#[must_use]
pub fn all() -> Vec<Scope> {
    use Fault::{Break, Close, Delete, Doze, Expire, Quit, Reap, Resign, Sleep, Touch, Wait, Wipe};
    let queue =
        |contenders, settled, faults: &[Fault]| Scope::new(Layout::Latch, contenders, settled, faults);
    let single =
        |contenders, settled, faults: &[Fault]| Scope::new(Layout::Single, contenders, settled, faults);
    vec![
        // Small ones first: what they find has a short course.
        queue(1, 0, &[Break, Break, Delete]).named("alone").in_gate(),
        queue(4, 4, &[Quit, Quit, Quit]).named("four").in_gate(),
        queue(2, 2, &[Break, Break, Touch]).named("touched").in_gate(),
        single(2, 0, &[Break, Break, Delete, Wait]).named("single").in_gate(),
        single(2, 2, &[Break, Delete, Touch]).named("single-held").in_gate(),
        queue(2, 0, &[Wait]).named("enrol").in_gate(),
        queue(2, 2, &[Close, Doze]).named("closed").in_gate(),
        queue(2, 2, &[Wipe, Touch]).named("wipe").in_gate(),
        queue(2, 2, &[Sleep, Expire, Wait]).named("pause").in_gate(),
        queue(2, 0, &[Break]).named("ambiguous").in_gate(),
        queue(3, 3, &[Resign, Expire]).named("line").in_gate(),
        queue(2, 2, &[Break, Delete, Resign]).named("pair").in_gate(),
        queue(2, 2, &[Close, Doze, Break]).named("closed-break"),
        single(2, 0, &[Break, Break, Delete, Expire, Wait]).named("single-all"),
        queue(3, 0, &[]).named("enrol-three"),
        queue(3, 3, &[Wipe]).named("line-wipe"),
        queue(3, 3, &[Break, Delete]).named("line-break"),
        queue(2, 0, &[Break, Delete]).named("ambiguous-delete"),
        queue(1, 0, &[Break, Break, Expire, Delete, Reap, Resign]).named("alone-all"),
        queue(2, 2, &[Sleep, Expire, Wait, Close, Quit]).named("pause-all"),
    ]
}

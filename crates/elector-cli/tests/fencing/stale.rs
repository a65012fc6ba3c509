//! The story that each store is put through: a leader is frozen while its write is on its way, another leads and
//! writes, and then the old write arrives.

use rustix::process::Signal;

use crate::common::{Elector, LONG, number_after};
use crate::relay::Relay;
use crate::tree::{freeze, thaw};

/// What the first leader's late write would leave in the store, and what the second one wrote after it.
pub(crate) const OLD: &str = "100";
pub(crate) const NEW: &str = "200";

/// One store as this story sees it.
pub(crate) struct Story<'a> {
    /// Where the election is held.
    pub(crate) servers: &'a str,
    pub(crate) election: &'a str,
    /// Session timeout and tick.
    pub(crate) options: &'a str,
    /// The command that writes the number behind it.
    pub(crate) program: String,
    /// How the program finds the store: name, value through the relay, value without it.
    pub(crate) place: (&'static str, String, String),
    pub(crate) relay: Relay,
    /// What the store's answer to the late write holds.
    pub(crate) answer: &'a [u8],
}

impl Story<'_> {
    /// Plays it; the store's content is for the caller to look at.
    pub(crate) fn play(self) {
        let (variable, late, direct) = &self.place;
        let mut one = self.contender("one", "--once", OLD).env(variable, late).start();
        let first = number_after(&one.wait_for("leading with token"), "token");
        self.relay.wait_until_it_holds();

        let mut two = self.contender("two", "", NEW).env(variable, direct).start();
        two.wait_for("waiting, 2nd of 2");
        let frozen = freeze(one.pid());
        assert!(frozen.len() > 1, "only elector itself was found");
        let second = number_after(&two.wait_for("leading with token"), "token");
        assert!(second > first);
        two.wait_for_output("written");

        thaw(&frozen);
        // The program is killed; what it had sent is beyond anybody's reach.
        assert_eq!(one.end(LONG), Some(75), "{}", one.said());
        assert!(two.is_running(), "{}", two.said());
        self.relay.deliver(self.answer);
        two.signal(Signal::TERM);
        assert_eq!(two.end(LONG), Some(0), "{}", two.said());
    }

    /// Its program writes and then does nothing more, so that its term lasts.
    fn contender(&self, id: &str, options: &str, number: &str) -> Elector {
        let script = format!("{} {number} && echo written && exec sleep 1000", self.program);
        Elector::run(self.servers, id, self.options).words(options).word(self.election).script(&script)
    }
}

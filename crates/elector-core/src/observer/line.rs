//! The queue as an observer knows it: who is in line, who of them is watched, and who left unseen.
//!
//! Invariant: a place that is [`Sight::Seen`] was there at the latest moment of which the server told, since
//! its watch has not fired. So whoever stands behind such a place and is gone never led.

use std::collections::{BTreeSet, VecDeque};

use super::{Counts, Held};
use crate::contender::{self, Contender};
use crate::error::Error;

/// Places at the head of the line that are watched: the leader and the next ones, so that hand-overs that
/// follow each other faster than an answer comes are still seen one by one.
const WINDOW: usize = 4;

/// What is known of one contender.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sight {
    /// In a list, or seen on an earlier connection.
    Listed,
    /// A read that sets a watch is under way.
    Asked,
    /// Read, and watched since.
    Seen(Held),
    /// Gone, and nobody can say whether those before it went first.
    Vanished,
}

#[derive(Debug)]
struct Place {
    contender: Contender,
    sight: Sight,
}

/// What stands at the head of the line.
pub(super) enum Head {
    /// This one leads.
    Leads(Held),
    /// This one is gone; it may have led if it was not known to.
    Gone(String),
    /// An answer is outstanding.
    Unknown,
    /// Nobody is in line.
    Nobody,
}

#[derive(Debug, Default)]
pub(super) struct Line {
    places: VecDeque<Place>,
    /// What the newest list counted; none before the first one of a path that was there before us.
    counts: Option<Counts>,
    /// A child watch is set and has not fired: nobody came or went since the list.
    complete: bool,
    /// Somebody in the list was gone before it was looked at: others may be, too.
    outdated: bool,
    listing: bool,
}

impl Line {
    /// The line below a path that was made while we looked: nobody can have come before.
    pub(super) fn of_a_new_path() -> Line {
        Line { counts: Some(Counts::default()), ..Line::default() }
    }

    /// The connection is gone, and with it what watches would have told in order.
    pub(super) fn unlearn(&mut self) {
        for place in &mut self.places {
            if place.sight != Sight::Vanished {
                place.sight = Sight::Listed;
            }
        }
        (self.complete, self.outdated, self.listing) = (false, false, false);
    }

    /// Whether somebody can have come and gone since the newest list.
    pub(super) fn is_complete_and_empty(&self) -> bool {
        self.complete && self.places.is_empty()
    }

    /// The child watch fired.
    pub(super) fn changed(&mut self) {
        self.complete = false;
    }

    /// The list told of somebody who was not there any more. One list is cheaper than finding out one by one.
    pub(super) fn distrust(&mut self) {
        self.outdated = true;
    }

    /// Takes a list in. Tells whether somebody may have led between the list before and this one who is in
    /// neither.
    pub(super) fn listed(&mut self, names: &[String], counts: Counts) -> Result<bool, Error> {
        (self.complete, self.outdated, self.listing) = (true, false, false);
        let queue = contender::queue(names)?;
        let there: BTreeSet<&str> = queue.iter().map(|contender| contender.name.as_str()).collect();
        let mut stayed = false;
        for place in &mut self.places {
            if there.contains(place.contender.name.as_str()) {
                stayed |= place.sight != Sight::Vanished;
            } else {
                place.sight = Sight::Vanished;
            }
        }
        let highest = self.places.back().map(|place| place.contender.sequence);
        let known: BTreeSet<String> = self.places.iter().map(|place| place.contender.name.clone()).collect();
        let others = names.len() - queue.len();
        let newcomers: Vec<Contender> =
            queue.into_iter().filter(|contender| !known.contains(&contender.name)).collect();
        // Numbers only rise: who stands before somebody known was put there by hand, and may have led.
        let by_hand = newcomers.iter().any(|contender| Some(contender.sequence) <= highest);
        let counts = Counts { others, ..counts };
        let passed_through =
            self.counts.is_some_and(|before| before.created_until(&counts) != newcomers.len());
        self.counts = Some(counts);
        let places = newcomers.into_iter().map(|contender| Place { contender, sight: Sight::Listed });
        self.places.extend(places);
        if by_hand {
            let order = |place: &Place| (place.contender.sequence, place.contender.name.clone());
            self.places.make_contiguous().sort_by_key(order);
        }
        self.forget_who_never_led();
        Ok(by_hand || (passed_through && !stayed))
    }

    /// The znode was read, and is watched from now on.
    pub(super) fn saw(&mut self, held: Held) {
        if let Some(place) = self.place(&held.name)
            && place.sight != Sight::Vanished
        {
            place.sight = Sight::Seen(held);
            self.forget_who_never_led();
        }
    }

    /// The znode is gone.
    pub(super) fn vanished(&mut self, name: &str) {
        if let Some(place) = self.place(name) {
            place.sight = Sight::Vanished;
            self.forget_who_never_led();
        }
    }

    /// The znode's data were written, which used its watch up.
    pub(super) fn touched(&mut self, name: &str) {
        if let Some(place) = self.place(name)
            && place.sight != Sight::Vanished
        {
            place.sight = Sight::Listed;
        }
    }

    pub(super) fn head(&self) -> Head {
        match self.places.front() {
            None => Head::Nobody,
            Some(Place { sight: Sight::Seen(held), .. }) => Head::Leads(held.clone()),
            Some(Place { sight: Sight::Vanished, contender }) => Head::Gone(contender.name.clone()),
            Some(_) => Head::Unknown,
        }
    }

    pub(super) fn drop_head(&mut self) {
        self.places.pop_front();
    }

    /// The znodes that have come near the head and are to be read, each told once.
    pub(super) fn next_reads(&mut self) -> Vec<String> {
        let near = self.places.iter_mut().take(WINDOW).filter(|place| place.sight == Sight::Listed);
        near.map(|place| {
            place.sight = Sight::Asked;
            place.contender.name.clone()
        })
        .collect()
    }

    /// Whether a list is to be asked for, told once: the line is short, and others may have joined it. A long
    /// line lasts for many changes, so joining it costs nothing here.
    pub(super) fn wants_list(&mut self) -> bool {
        let short = self.places.len() < WINDOW && !self.complete;
        let wanted = (short || self.outdated) && !self.listing;
        self.listing |= wanted;
        wanted
    }

    /// Asks for a list whatever the length; after a reconnect.
    pub(super) fn begin_listing(&mut self) {
        self.listing = true;
    }

    fn place(&mut self, name: &str) -> Option<&mut Place> {
        self.places.iter_mut().find(|place| place.contender.name == name)
    }

    fn forget_who_never_led(&mut self) {
        let Some(at) = self.places.iter().position(|place| matches!(place.sight, Sight::Seen(_))) else {
            return;
        };
        let mut index = 0;
        self.places.retain(|place| {
            index += 1;
            index <= at + 1 || place.sight != Sight::Vanished
        });
    }
}

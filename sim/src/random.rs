//! Random numbers that a seed gives again, in every build (the splitmix64 sequence).

use crate::MS;

/// One stream of random numbers. Each part of a world has its own, so that what one draws moves no other.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream named `part` of the world `seed`.
    pub(crate) fn new(seed: u64, part: u64) -> Random {
        let mut stream = Random(seed ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03));
        stream.next();
        stream
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A time from `from` up to `to`, both in milliseconds.
    pub(crate) fn ms(&mut self, from: u64, to: u64) -> u64 {
        from * MS + self.below((to - from) * MS)
    }

    /// One of these, which must not be none.
    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

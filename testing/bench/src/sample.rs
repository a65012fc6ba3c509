//! Times, and what is said of them.

use std::time::Duration;

/// How often each thing is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    /// Timed hand-overs of each scenario.
    pub(crate) handovers: usize,
    /// Hand-overs whose requests are counted.
    pub(crate) counted: usize,
    /// Starts of each kind of process.
    pub(crate) starts: usize,
}

/// Times of one thing done many times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn add(&mut self, time: Duration) {
        let at = self.0.partition_point(|other| *other < time);
        self.0.insert(at, time);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `percent` of them do not pass, in milliseconds.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last * percent).div_ceil(100);
        self.0.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }
}

/// A thing and its floor, measured in turns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair {
    pub(crate) floor: Sample,
    pub(crate) ours: Sample,
}

impl Pair {
    pub(crate) fn ratio(&self) -> f64 {
        self.ours.median() / self.floor.median()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let mut sample = Sample::default();
        for ms in [5, 1, 4, 2, 3] {
            sample.add(Duration::from_millis(ms));
        }
        assert_eq!(sample.len(), 5);
        assert_eq!((sample.percentile(0), sample.median(), sample.percentile(100)), (1.0, 3.0, 5.0));
        assert!(Sample::default().median().is_nan());
    }
}

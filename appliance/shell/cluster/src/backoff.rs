//! Waiting longer after each failure, never all at the same moment.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Doubles from a first wait to a longest one.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next wait, shortened by up to a quarter at random, so that clients that failed together
    /// do not come back together.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        wait.saturating_sub(jitter(wait / 4))
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// A random time from zero up to `most`.
///
/// The hasher of the standard library is seeded by the operating system; nothing here needs better
/// randomness than that.
pub(crate) fn jitter(most: Duration) -> Duration {
    const STEPS: u32 = 1024;
    let random = RandomState::new().build_hasher().finish() % u64::from(STEPS);
    most / STEPS * u32::try_from(random).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
        for nominal in [1, 2, 4, 4] {
            let wait = backoff.next();
            assert!(wait <= Duration::from_secs(nominal), "{wait:?} after {nominal} s");
            assert!(wait >= Duration::from_secs(nominal) * 3 / 4, "{wait:?} after {nominal} s");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}

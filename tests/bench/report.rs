//! Figures of many samples.

use std::time::Duration;

use serde_json::Value;

/// Samples of one measurement, sorted.
#[derive(Debug)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Takes at least one sample.
    pub(crate) fn new(mut samples: Vec<Duration>) -> Self {
        assert!(!samples.is_empty(), "a measurement needs samples");
        samples.sort_unstable();
        Self(samples)
    }

    /// The smallest sample that at least `percent` of all are not above, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        milliseconds(self.0[rank - 1])
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Milliseconds with three digits after the point.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Seconds with three digits after the point.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// Prints one measurement.
pub(crate) fn print(measurement: &Value) {
    use std::io::Write;
    // A reader that has gone away needs no more lines.
    let _ = writeln!(std::io::stdout(), "{measurement}");
}

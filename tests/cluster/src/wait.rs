//! Waiting for a state, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a state that was not there yet is left alone before the next look. Short against
/// anything the tests measure, long against what a look costs.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `reached` answers true.
///
/// # Panics
///
/// When `deadline` has passed since the call, naming `what` was waited for. A look that itself
/// hangs is cut off at the deadline too.
pub async fn wait_until(deadline: Duration, what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + deadline;
    let mut looks = 0_u32;
    loop {
        let Ok(answer) = tokio::time::timeout_at(end, reached()).await else {
            panic!("waited {deadline:?} for {what}: look number {} did not end", looks + 1);
        };
        if answer {
            return;
        }
        looks += 1;
        assert!(Instant::now() < end, "waited {deadline:?} for {what}: not so in {looks} looks");
        sleep(PAUSE).await;
    }
}

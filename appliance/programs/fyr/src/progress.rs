//! Shows that something goes on.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, timeout};

use crate::style::clean;
use crate::time::took;

/// Nothing is shown before this: what is quicker would only flicker.
const SHOWN_AFTER: Duration = Duration::from_millis(250);
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Progress of one command: a line that is redrawn on a terminal, one line a step elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    is_bar: bool,
    bar: Option<ProgressBar>,
    started: Instant,
    last: String,
}

impl Progress {
    pub(crate) fn new(is_bar: bool) -> Self {
        Self { is_bar, bar: None, started: Instant::now(), last: String::new() }
    }

    /// Waits for something, saying what if it takes longer than a moment.
    pub(crate) async fn during<T>(&mut self, what: &str, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        if self.is_bar && self.bar.is_none() {
            // The future is not lost: it is only looked at for a while.
            let patience = SHOWN_AFTER.saturating_sub(self.started.elapsed());
            if let Ok(answer) = timeout(patience, future.as_mut()).await {
                return answer;
            }
            self.draw(what);
        }
        future.await
    }

    /// Something was done: `applied 3/12 Deployment/web`.
    pub(crate) fn step(&mut self, line: &str) {
        if line == self.last {
            return;
        }
        line.clone_into(&mut self.last);
        if self.is_bar {
            if self.started.elapsed() >= SHOWN_AFTER {
                self.draw(line);
            }
        } else {
            let line = format!("{} {}\n", clean(line), took(self.started.elapsed()));
            // If nobody reads it there is nobody to tell.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    /// Takes the redrawn line away.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn draw(&mut self, message: &str) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(clean(message));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

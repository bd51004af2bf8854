//! What every command has: the way to the daemon, and the terminal.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};

use crate::cli::{Cli, Color};
use crate::client::Client;
use crate::output::Format;
use crate::progress::Progress;

/// What every command has.
#[derive(Debug)]
pub(crate) struct Context {
    /// The daemon.
    pub(crate) client: Client,
    color: Color,
    verbose: bool,
    /// Whether a person can be asked: both ends of the talk are a terminal.
    pub(crate) can_ask: bool,
    stderr: io::Stderr,
    /// What to say when the user interrupts.
    interrupt_note: RefCell<String>,
}

impl Context {
    pub(crate) fn new(cli: &Cli) -> Self {
        Self {
            client: Client::new(cli.socket.clone(), cli.verbose),
            color: cli.color,
            verbose: cli.verbose,
            can_ask: io::stdin().is_terminal() && io::stderr().is_terminal(),
            stderr: io::stderr(),
            interrupt_note: RefCell::default(),
        }
    }

    /// Whether standard output takes colours.
    pub(crate) fn colours(&self) -> bool {
        self.color.on(io::stdout().is_terminal())
    }

    /// Whether standard error takes colours.
    pub(crate) fn colours_on_stderr(&self) -> bool {
        self.color.on(self.stderr.is_terminal())
    }

    /// How progress is shown while a command prints in this form.
    pub(crate) fn progress(&self, format: Format) -> Progress {
        let bar = self.stderr.is_terminal()
            && format.is_for_people()
            && !self.verbose
            && std::env::var_os("FYR_NO_PROGRESS").is_none();
        Progress::new(bar)
    }

    /// Writes to standard error as it is.
    pub(crate) fn tell(&self, text: &str) {
        // If nobody reads it there is nobody to tell.
        let _ = self.stderr.lock().write_all(text.as_bytes());
    }

    /// Writes one line to standard error.
    pub(crate) fn tell_line(&self, line: &str) {
        self.tell(&format!("{line}\n"));
    }

    /// Says what to tell the user if they interrupt from now on.
    pub(crate) fn on_interrupt(&self, note: impl Into<String>) {
        *self.interrupt_note.borrow_mut() = note.into();
    }

    /// Tells the user what goes on although they interrupted.
    pub(crate) fn tell_interrupted(&self) {
        let note = self.interrupt_note.borrow();
        if !note.is_empty() {
            self.tell_line(&format!("\ninterrupted: {note}"));
        }
    }
}

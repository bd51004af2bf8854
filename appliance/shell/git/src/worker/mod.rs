//! The Git worker: the daemon's own executable, run again for one operation and then gone.
//!
//! Everything that parses or maps packs happens here. A truncated pack or a dying disk is a SIGBUS
//! for whoever mapped the pack, a blocked read notices no flag, and a hostile pack costs memory: all
//! of that ends this process and never the daemon. A worker sandboxes itself before it touches
//! anything that came from outside; see [`sandbox`].

mod fetch;
mod http;
mod maintain;
mod sandbox;
mod store;
mod transport;
mod tree;

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use fyr_model::Plaintext;

use crate::wire::{
    self, Answer, Failure, FailureKind, JSON_BYTES_MAX, Operation, Reply, Request, TAG_ANSWER,
    TAG_REQUEST, TAG_SECRET,
};
use store::Store;
pub(crate) use store::read_refs;

/// Longest detail of a failure, in bytes: a line in a log, a paragraph on a page.
const DETAIL_BYTES_MAX: usize = 2048;

/// Largest secret frame: an RSA key of 16,384 bits is 12 KiB.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Serves one operation on standard input and output.
///
/// A program calls this, before it starts any thread, when its first argument is
/// [`crate::WORKER_ARGUMENT`]: the sandbox holds for the calling thread and those it starts.
pub fn worker_main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The daemon reads what is written here; there is nobody to tell if even that fails.
            let _ = writeln!(io::stderr(), "the Git worker cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A worker that could not even begin.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("no request: {0}")]
    Request(io::Error),
    #[error("the request is not understood: {0}")]
    Parse(serde_json::Error),
    #[error(transparent)]
    Sandbox(sandbox::SandboxError),
    #[error("no answer can be given: {0}")]
    Answer(io::Error),
}

fn serve() -> Result<(), ServeError> {
    sandbox::tie_to_parent(std::env::args().nth(2).as_deref()).map_err(ServeError::Sandbox)?;
    let (request, secrets) = read_request()?;
    let sandbox = sandbox::enter(&request, &secrets).map_err(ServeError::Sandbox)?;
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let result = perform(&request, &secrets, &mut out);
    let answer = serde_json::to_vec(&Answer { sandbox, result }).map_err(ServeError::Parse)?;
    wire::write_frame(&mut out, TAG_ANSWER, &[&answer]).map_err(ServeError::Answer)?;
    out.flush().map_err(ServeError::Answer)
}

fn read_request() -> Result<(Request, Vec<Plaintext>), ServeError> {
    let mut stdin = io::stdin().lock();
    let unexpected = || ServeError::Request(io::ErrorKind::InvalidData.into());
    let (tag, json) = wire::read_frame(&mut stdin, JSON_BYTES_MAX).map_err(ServeError::Request)?;
    if tag != TAG_REQUEST {
        return Err(unexpected());
    }
    let request: Request = serde_json::from_slice(&json).map_err(ServeError::Parse)?;
    let mut secrets = Vec::new();
    for _ in 0..request.secrets {
        let (tag, bytes) =
            wire::read_frame(&mut stdin, SECRET_BYTES_MAX).map_err(ServeError::Request)?;
        if tag != TAG_SECRET {
            return Err(unexpected());
        }
        secrets.push(Plaintext::new(bytes));
    }
    let more = stdin.read(&mut [0]).map_err(ServeError::Request)?;
    if more == 0 { Ok((request, secrets)) } else { Err(unexpected()) }
}

fn perform(
    request: &Request,
    secrets: &[Plaintext],
    out: &mut impl io::Write,
) -> Result<Reply, Failure> {
    let limits = &request.limits;
    let reader = || Store::for_reading(&request.mirror, limits);
    let writer = || Store::for_writing(&request.mirror, limits);
    match &request.operation {
        Operation::ListRefs(connection) => fetch::list_refs(connection, secrets, limits),
        Operation::Fetch(connection) => fetch::fetch(&request.mirror, connection, secrets, limits),
        Operation::Pin { name, commit } => writer()?.pin(name, Some(commit)),
        Operation::Unpin { name } => writer()?.pin(name, None),
        Operation::Maintain { packs_max } => maintain::maintain(&writer()?, *packs_max),
        Operation::Discard => writer()?.discard(),
        Operation::Read { commit, limits, scope } => {
            tree::read(&reader().open()?, commit, limits, scope, out)
        }
        Operation::CommitInfo { commit } => tree::commit_info(&reader().open()?, commit),
        Operation::FindByPrefix { prefix } => tree::find_by_prefix(&reader().open()?, prefix),
    }
}

impl Failure {
    /// A failure of ours, from whatever went wrong.
    fn new(kind: FailureKind, detail: impl fmt::Display) -> Self {
        let mut detail = detail.to_string().replace(['\n', '\r'], " ");
        let mut end = DETAIL_BYTES_MAX.min(detail.len());
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        detail.truncate(end);
        Self { kind, detail }
    }

    /// A mirror that cannot be used.
    fn mirror(error: &gix::Error) -> Self {
        Self::new(FailureKind::Mirror, chain(error))
    }

    /// A file operation in the mirror that failed.
    fn file(what: &str, error: &io::Error) -> Self {
        Self::new(FailureKind::Mirror, format_args!("{what}: {error}"))
    }
}

/// All errors behind one, outermost first, each said once.
fn chain(error: &gix::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for error in error.iter_errors() {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !text.is_empty() && !said.iter().any(|earlier| earlier.contains(&text)) {
                said.push(text);
            }
            next = error.source();
        }
    }
    said.join(": ")
}

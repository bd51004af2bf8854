//! Lists and fetches: one connection, the references first, a pack only when something is new.
//!
//! gix's own `receive()` is not used: it locks and rewrites every reference even if none changed,
//! takes minutes for a large repository and prunes nothing. Here the references are compared with
//! the mirror's own list, only what is new is asked for, and the list is replaced as a whole.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use fyr_model::{CommitId, Plaintext};
use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::progress::Discard;
use gix::protocol::fetch::refmap::{Mapping, Source, SpecIndex};
use gix::protocol::fetch::{self as protocol, RefMap, Shallow, Tags, negotiate};
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::{Handshake, LsRefsCommand};

use super::store::Store;
use super::transport::Line;
use crate::refs::RemoteRefs;
use crate::wire::{Connection, Failure, FailureKind, Login, Reply, WorkerLimits};

/// What is asked for; the server leaves out everything else, such as `refs/pull/`.
const PREFIXES: [&str; 3] = ["HEAD", "refs/heads/", "refs/tags/"];

const AGENT: &str = concat!("git/fyr-", env!("CARGO_PKG_VERSION"));

/// What the pack reader says at its limit, to be recognised on the way out.
const OVER_LIMIT: &str = "the pack is over its limit";

/// Lists the references, and touches no mirror.
pub(super) fn list_refs(
    connection: &Connection,
    secrets: &[Plaintext],
    limits: &WorkerLimits,
) -> Result<Reply, Failure> {
    let mut session = Session::open(connection, secrets)?;
    let listed = session.list(limits);
    session.close();
    listed.map(Reply::Refs)
}

/// Brings the mirror to the state of the Git host.
pub(super) fn fetch(
    mirror: &Path,
    connection: &Connection,
    secrets: &[Plaintext],
    limits: &WorkerLimits,
) -> Result<Reply, Failure> {
    let mut session = Session::open(connection, secrets)?;
    let fetched = fetch_within(mirror, &mut session, limits);
    session.close();
    fetched
}

fn fetch_within(
    mirror: &Path,
    session: &mut Session,
    limits: &WorkerLimits,
) -> Result<Reply, Failure> {
    let hash = session.object_hash()?;
    let remote = session.list(limits)?;
    // Only now: while a host keeps us waiting, others can write.
    let store = Store::for_writing(mirror, limits)?;
    let repository = store.open_or_init(hash)?;
    let mut kept = store.refs()?;
    let wanted = wanted(&repository, &remote, &kept.remote)?;
    let received = if wanted.is_empty() {
        None
    } else {
        session.receive(&store, &repository, &wanted, limits)?
    };
    if let Some(missing) = wanted.values().find(|id| !repository.has_object(**id)) {
        let detail = format!("the pack lacks {missing}, which was asked for");
        return Err(Failure::new(FailureKind::Transport, detail));
    }
    let changed = kept.remote != remote;
    if changed {
        kept.remote = remote;
        store.write_refs(&kept)?;
    }
    let objects = match received {
        Some(pack) => {
            if let Some(keep) = pack.keep_path {
                super::store::remove(&keep)?;
            }
            pack.index.num_objects
        }
        None => 0,
    };
    Ok(Reply::Fetched { refs: kept.remote, changed, objects, packs: store.packs()? })
}

/// The references whose objects are new, by name. An object that should be there and is not means
/// that a pack was lost: what else was in it nobody knows.
fn wanted(
    repository: &gix::Repository,
    remote: &RemoteRefs,
    kept: &RemoteRefs,
) -> Result<BTreeMap<String, ObjectId>, Failure> {
    let known: BTreeMap<String, &CommitId> = kept.objects().collect();
    let mut wanted = BTreeMap::new();
    let head = remote.head.iter().map(|commit| ("HEAD".to_owned(), commit));
    for (name, commit) in remote.objects().chain(head) {
        let id = ObjectId::from_hex(commit.as_str().as_bytes())
            .map_err(|error| Failure::new(FailureKind::Internal, error))?;
        if repository.objects.exists_without_refresh(&id) {
            continue;
        }
        if known.get(&name) == Some(&commit) {
            let detail = format!("{commit}, which {name} names, is missing");
            return Err(Failure::new(FailureKind::Mirror, detail));
        }
        wanted.insert(name, id);
    }
    Ok(wanted)
}

struct Session {
    line: Line,
    handshake: Handshake,
    /// The server still waits for what we want next.
    open: bool,
}

impl Session {
    fn open(connection: &Connection, secrets: &[Plaintext]) -> Result<Self, Failure> {
        let mut line = Line::open(connection, secrets)?;
        // Credentials were sent along if there are any; a server that asks refused them.
        let none = |_action| Ok(None);
        let greeted = gix::protocol::handshake(
            &mut line.transport,
            Service::UploadPack,
            none,
            Vec::new(),
            &mut Discard,
        );
        match greeted {
            Ok(handshake) => Ok(Self { line, handshake, open: true }),
            Err(error) => {
                line.close();
                let mut failure = transport_failure(&error);
                if failure.kind == FailureKind::Unauthenticated {
                    // gix speaks of a credential helper here, which there is none of.
                    let detail = match connection.login {
                        Login::Nobody => "the server asks for credentials, and there are none",
                        _ => "HTTP status 401: the server does not accept the credentials",
                    };
                    failure = Failure::new(FailureKind::Unauthenticated, detail);
                }
                Err(failure)
            }
        }
    }

    fn close(mut self) {
        if self.open {
            let _ = gix::protocol::indicate_end_of_interaction(&mut self.line.transport, false);
        }
        self.line.close();
    }

    /// The kind of ids the repository has. Servers older than SHA-256 do not say.
    fn object_hash(&self) -> Result<gix::hash::Kind, Failure> {
        let capability = self.handshake.capabilities.capability("object-format");
        let name = capability.and_then(|found| found.value().map(ToString::to_string));
        match name.as_deref() {
            None | Some("sha1") => Ok(gix::hash::Kind::Sha1),
            Some("sha256") => Ok(gix::hash::Kind::Sha256),
            Some(other) => Err(Failure::new(FailureKind::OtherHash, other)),
        }
    }

    fn list(&mut self, limits: &WorkerLimits) -> Result<RemoteRefs, Failure> {
        let listed = if let Some(listed) = self.handshake.refs.take() {
            listed
        } else {
            let mut prefixes = RefPrefixes::new();
            prefixes.extend(PREFIXES.map(Into::into));
            LsRefsCommand::new(Some(prefixes), &self.handshake.capabilities, agent())
                .invoke_blocking(&mut self.line.transport, &mut Discard, false)
                .map_err(|error| transport_failure(&error))?
        };
        let max = u64::from(limits.refs_max);
        if u64::try_from(listed.len()).is_ok_and(|count| count > max) {
            let kind = FailureKind::RemoteOverLimit { what: "branches and tags".to_owned(), max };
            return Err(Failure::new(kind, listed.len()));
        }
        to_remote_refs(&listed)
    }

    /// Receives a pack with everything `wanted` needs, and puts it on disk with its index.
    fn receive(
        &mut self,
        store: &Store,
        repository: &gix::Repository,
        wanted: &BTreeMap<String, ObjectId>,
        limits: &WorkerLimits,
    ) -> Result<Option<gix_pack::bundle::write::Outcome>, Failure> {
        let ref_map = ref_map(wanted, repository.object_hash());
        let mut searched = repository.clone();
        searched.objects.refresh = gix::odb::store::RefreshMode::Never;
        let mut graph = searched.revision_graph(None);
        let mut negotiation = Negotiation {
            repository: &searched,
            ref_map: &ref_map,
            graph: &mut graph,
            negotiator: gix::negotiate::Algorithm::Consecutive.into_negotiator(),
        };
        let shallow_file = repository.shallow_file().map_err(|error| Failure::mirror(&error))?;
        let mut pack = None;
        let result = gix::protocol::fetch(
            &mut negotiation,
            |reader, progress, stop| {
                let mut reader = Capped { inner: reader, left: limits.pack_bytes_max };
                pack = Some(gix_pack::Bundle::write_to_directory(
                    &mut reader,
                    Some(&store.pack_folder()),
                    progress,
                    stop,
                    Some(repository.objects.clone()),
                    repository.object_hash(),
                    gix_pack::bundle::write::Options {
                        alloc_limit_bytes: usize::try_from(limits.object_bytes_max).ok(),
                        ..Default::default()
                    },
                )?);
                Ok(true)
            },
            Discard,
            &AtomicBool::new(false),
            protocol::Context {
                handshake: &mut self.handshake,
                transport: &mut self.line.transport,
                user_agent: agent(),
                trace_packetlines: false,
            },
            protocol::Options {
                shallow_file,
                shallow: &Shallow::NoChange,
                tags: Tags::None,
                reject_shallow_remote: true,
            },
        );
        if let Err(error) = result {
            // The server is in the middle of a pack: there is no polite end any more.
            self.open = false;
            return Err(receive_failure(&error, limits));
        }
        if let Some(pack) = &pack {
            store.sync_packs(pack.data_path.iter().chain(&pack.index_path))?;
        }
        Ok(pack)
    }
}

fn agent() -> gix::protocol::command::Feature {
    ("agent", Some(AGENT.to_owned()))
}

fn to_remote_refs(listed: &[Ref]) -> Result<RemoteRefs, Failure> {
    let mut refs = RemoteRefs::default();
    for listed in listed {
        let (name, object, peeled) = match listed {
            Ref::Direct { full_ref_name, object } => (full_ref_name, object, None),
            Ref::Peeled { full_ref_name, tag, object } => (full_ref_name, tag, Some(object)),
            Ref::Symbolic { full_ref_name, tag, object, .. } => {
                (full_ref_name, tag.as_ref().unwrap_or(object), tag.as_ref().map(|_| object))
            }
            Ref::Unborn { full_ref_name, target } => {
                if full_ref_name == "HEAD" {
                    refs.default_branch = branch_of(target);
                }
                continue;
            }
        };
        let object = super::tree::commit_id(*object)?;
        let peeled = peeled.map(|peeled| super::tree::commit_id(*peeled)).transpose()?;
        if name == "HEAD" {
            refs.head = Some(peeled.unwrap_or(object));
            if let Ref::Symbolic { target, .. } = listed {
                refs.default_branch = branch_of(target);
            }
            continue;
        }
        let bad = |why: &dyn std::fmt::Display| {
            let detail = format!("the server lists a reference {name:?}: {why}");
            Failure::new(FailureKind::Transport, detail)
        };
        gix::validate::reference::name(name.as_bstr()).map_err(|error| bad(&error))?;
        refs.insert(name.to_str().map_err(|error| bad(&error))?, object, peeled);
    }
    // The branch may be listed although `HEAD` is not: it names it all the same.
    if let Some(branch) = &refs.default_branch {
        refs.head = refs.branches.get(branch).cloned();
    }
    Ok(refs)
}

fn branch_of(target: &gix::bstr::BString) -> Option<String> {
    target.to_str().ok()?.strip_prefix("refs/heads/").map(str::to_owned)
}

/// A map of exactly what is wanted, by id: a reference that moves meanwhile changes nothing.
fn ref_map(wanted: &BTreeMap<String, ObjectId>, hash: gix::hash::Kind) -> RefMap {
    let mapping = |(name, id): (&String, &ObjectId)| Mapping {
        remote: Source::ObjectId(*id),
        local: Some(name.as_str().into()),
        spec_index: SpecIndex::ExplicitInRemote(0),
    };
    let mappings = wanted.iter().map(mapping).collect();
    RefMap { mappings, object_hash: hash, ..RefMap::default() }
}

struct Negotiation<'a, 'b, 'c> {
    repository: &'a gix::Repository,
    ref_map: &'a RefMap,
    graph: &'a mut gix::negotiate::Graph<'b, 'c>,
    negotiator: Box<dyn gix::negotiate::Negotiator>,
}

impl protocol::Negotiate for Negotiation<'_, '_, '_> {
    fn mark_complete_and_common_ref(&mut self) -> gix::Result<negotiate::Action> {
        let no_alternates = || Ok(std::iter::empty::<(gix::refs::file::Store, gix::OdbHandle)>());
        negotiate::mark_complete_and_common_ref(
            &self.repository.objects,
            &self.repository.refs,
            no_alternates,
            &mut *self.negotiator,
            self.graph,
            self.ref_map,
            &Shallow::NoChange,
            |_| false,
        )
    }

    fn add_wants(&mut self, arguments: &mut protocol::Arguments, known: &[bool]) -> bool {
        let objects = &self.repository.objects;
        let shallow = &Shallow::NoChange;
        negotiate::add_wants(objects, arguments, self.ref_map, known, shallow, |_| false)
    }

    fn one_round(
        &mut self,
        state: &mut negotiate::one_round::State,
        arguments: &mut protocol::Arguments,
        previous: Option<&protocol::Response>,
    ) -> gix::Result<(negotiate::Round, bool)> {
        negotiate::one_round(&mut *self.negotiator, self.graph, state, arguments, previous)
    }
}

/// Reads a pack up to a limit, and fails beyond it.
struct Capped<'a> {
    inner: &'a mut dyn BufRead,
    left: u64,
}

impl Capped<'_> {
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        let left = u64::try_from(bytes).ok().and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, OVER_LIMIT))?;
        Ok(())
    }
}

impl Read for Capped<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count(read)?;
        Ok(read)
    }
}

impl BufRead for Capped<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 && !self.inner.fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, OVER_LIMIT));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.inner.consume(bytes);
    }
}

fn receive_failure(error: &gix::Error, limits: &WorkerLimits) -> Failure {
    let detail = super::chain(error);
    if detail.contains(OVER_LIMIT) {
        let (what, max) = ("bytes of the pack".to_owned(), limits.pack_bytes_max);
        return Failure::new(FailureKind::RemoteOverLimit { what, max }, detail);
    }
    // gix's words for an object over the allocation limit.
    if error.is_resource_exhausted() || detail.contains("too large to fit in memory") {
        let (what, max) = ("bytes of one object".to_owned(), limits.object_bytes_max);
        return Failure::new(FailureKind::RemoteOverLimit { what, max }, detail);
    }
    transport_failure(error)
}

/// Sorts an error of the conversation. Over ssh the reason is on standard error, which the daemon
/// reads: there it is only `Transport` here.
fn transport_failure(error: &gix::Error) -> Failure {
    let detail = super::chain(error);
    let kind = if let Some(status) = http_status(&detail) {
        FailureKind::HttpStatus(status)
    } else if error.is_unauthenticated() {
        FailureKind::Unauthenticated
    } else if let Some(request) = error.downcast_any_ref::<reqwest::Error>() {
        if is_tls(&detail) {
            FailureKind::Tls
        } else if request.is_connect() || request.is_timeout() {
            FailureKind::Unreachable
        } else {
            FailureKind::Transport
        }
    } else {
        FailureKind::Transport
    };
    Failure::new(kind, detail)
}

/// Whether rustls's words are in the detail: about a certificate, or an alert of the other side.
fn is_tls(detail: &str) -> bool {
    [
        "peer certificate",
        "fatal alert",
        "corrupt message",
        "peer is incompatible",
        "peer misbehaved",
    ]
    .iter()
    .any(|words| detail.contains(words))
}

/// The status in gix's `Received HTTP status 404`.
fn http_status(detail: &str) -> Option<u16> {
    let (_, after) = detail.split_once("Received HTTP status ")?;
    after.get(..3)?.parse().ok().filter(|status| *status != 401)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
        let read = |left| {
            let mut bytes: &[u8] = b"12345";
            let mut out = Vec::new();
            let mut capped = Capped { inner: &mut bytes, left };
            capped.read_to_end(&mut out).map(|_| out)
        };
        assert_eq!(read(5).unwrap(), b"12345");
        assert!(read(4).unwrap_err().to_string().contains(OVER_LIMIT));
    }

    #[test]
    fn a_certificate_is_told_from_a_host_that_is_down() {
        let failed = "Transport handshake failed: error sending request for url";
        assert!(is_tls(&format!("{failed}: invalid peer certificate: UnknownIssuer")));
        assert!(!is_tls(&format!("{failed}: tcp connect error: Connection refused")));
    }

    #[test]
    fn a_refused_login_is_not_reported_as_a_status() {
        assert_eq!(http_status("x: Received HTTP status 404"), Some(404));
        assert_eq!(http_status("x: Received HTTP status 401"), None);
        assert_eq!(http_status("x"), None);
    }
}

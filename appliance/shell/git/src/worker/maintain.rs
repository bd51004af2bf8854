//! Keeps a mirror from growing for ever: many packs become one, unreachable objects go.
//!
//! Every fetch that brings something adds a pack, and a thousand packs make reading three times as
//! slow. Reachable is what any branch, tag or pin leads to, so that a revision that was applied
//! stays readable after a force-push. The new pack is whole and on disk before an old one goes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::objs::Kind;
use gix::progress::Discard;
use gix_pack::data::output;

use super::store::{Store, files_of, remove};
use crate::wire::{Failure, FailureKind, Reply};

/// Objects worked on at a time by one thread.
const CHUNK_OBJECTS: usize = 1000;

/// Bytes of unpacked objects kept while walking trees.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The new pack while it is written; a name that [`Store`] takes for a leftover.
const UNFINISHED: &str = "tmp_consolidated";

/// Makes one pack of all if there are more than `packs_max`.
pub(super) fn maintain(store: &Store, packs_max: u32) -> Result<Reply, Failure> {
    let packs_before = if store.pack_folder().exists() { store.packs()? } else { 0 };
    if packs_before <= packs_max.max(1) {
        return Ok(Reply::Maintained { packs_before, packs_after: packs_before });
    }
    let old = files_of(&store.pack_folder())?;
    let new = consolidate(store)?;
    remove_old(&old, new.as_deref())?;
    Ok(Reply::Maintained { packs_before, packs_after: store.packs()? })
}

/// Writes everything reachable into one pack and says how its files are called, without extension.
/// `None` if nothing is reachable.
fn consolidate(store: &Store) -> Result<Option<PathBuf>, Failure> {
    let repository = store.open()?;
    let hash = repository.object_hash();
    let roots = reachable(store, &repository)?;
    if roots.is_empty() {
        return Ok(None);
    }
    let failed = |error: gix::Error| Failure::mirror(&error);
    let mut handle = repository.into_sync().objects.into_shared_arc().to_cache_arc();
    handle.set_pack_cache(|| Box::new(gix_pack::cache::lru::MemoryCappedHashmap::new(CACHE_BYTES)));
    handle.prevent_pack_unload();
    handle.ignore_replacements = true;
    let stop = AtomicBool::new(false);
    let (counts, _) = output::count::objects(
        handle.clone(),
        Box::new(roots.into_iter().map(Ok)),
        &Discard,
        &stop,
        output::count::objects::Options {
            thread_limit: None,
            chunk_size: CHUNK_OBJECTS,
            input_object_expansion: output::count::objects::ObjectExpansion::TreeContents,
        },
    )
    .map_err(failed)?;
    let objects = u32::try_from(counts.len())
        .map_err(|_| Failure::new(FailureKind::Internal, "more than 2^32 objects"))?;
    let entries = output::entry::iter_from_counts(
        counts,
        handle,
        Box::new(Discard),
        output::entry::iter_from_counts::Options {
            thread_limit: None,
            mode: output::entry::iter_from_counts::Mode::PackCopyAndBaseObjects,
            allow_thin_pack: false,
            chunk_size: CHUNK_OBJECTS,
            ..Default::default()
        },
    )
    .map_err(failed)?;
    let unfinished = store.pack_folder().join(UNFINISHED);
    let written = |error: std::io::Error| Failure::file("write the consolidated pack", &error);
    let mut file = BufWriter::new(File::create(&unfinished).map_err(written)?);
    let in_order = gix::parallel::InOrderIter::from(entries);
    let version = gix_pack::data::Version::default();
    for part in output::bytes::FromEntriesIter::new(in_order, &mut file, objects, version, hash) {
        part.map_err(failed)?;
    }
    file.flush().map_err(written)?;
    drop(file);
    index(store, &unfinished, hash).map(Some)
}

/// Checks the new pack by reading it again, gives it an index and its name.
fn index(store: &Store, pack: &Path, hash: gix::hash::Kind) -> Result<PathBuf, Failure> {
    let file = File::open(pack).map_err(|error| Failure::file("read the pack back", &error))?;
    let outcome = gix_pack::Bundle::write_to_directory(
        &mut BufReader::new(file),
        Some(&store.pack_folder()),
        &mut Discard,
        &AtomicBool::new(false),
        None::<gix::OdbHandle>,
        hash,
        gix_pack::bundle::write::Options {
            alloc_limit_bytes: usize::try_from(store.limits().object_bytes_max).ok(),
            ..Default::default()
        },
    )
    .map_err(|error| Failure::mirror(&error))?;
    remove(pack)?;
    let (Some(data), Some(index)) = (outcome.data_path, outcome.index_path) else {
        return Err(Failure::new(FailureKind::Internal, "the new pack has no files"));
    };
    store.sync_packs([&data, &index])?;
    if let Some(keep) = outcome.keep_path {
        remove(&keep)?;
    }
    Ok(data.with_extension(""))
}

/// All commits and tag objects that a reference leads to.
fn reachable(store: &Store, repository: &gix::Repository) -> Result<Vec<ObjectId>, Failure> {
    let refs = store.refs()?;
    let failed = |error: gix::Error| Failure::mirror(&error);
    let mut tips = Vec::new();
    let mut others = Vec::new();
    let held = refs.remote.objects().map(|(_, id)| id);
    for id in held.chain(refs.remote.head.as_ref()).chain(refs.pins.values()) {
        let mut id = ObjectId::from_hex(id.as_str().as_bytes())
            .map_err(|error| Failure::new(FailureKind::Mirror, error))?;
        loop {
            match repository.find_header(id).map_err(failed)?.kind() {
                Kind::Commit => tips.push(id),
                Kind::Tree | Kind::Blob => others.push(id),
                Kind::Tag => {
                    others.push(id);
                    let tag = repository.find_tag(id).map_err(failed)?;
                    id = tag.target_id().map_err(failed)?.detach();
                    continue;
                }
            }
            break;
        }
    }
    for commit in repository.rev_walk(tips).all().map_err(failed)? {
        others.push(commit.map_err(failed)?.id);
    }
    others.sort_unstable();
    others.dedup();
    Ok(others)
}

/// Removes the packs that the new one replaces. The index goes first: nobody looks into a pack
/// without one, and the next writer removes it if we end here.
fn remove_old(old: &[PathBuf], new: Option<&Path>) -> Result<(), Failure> {
    let is_old = |path: &&PathBuf| new.is_none_or(|new| path.with_extension("") != new);
    let is_index = |path: &&PathBuf| path.extension() == Some(OsStr::new("idx"));
    old.iter().filter(is_old).filter(is_index).try_for_each(|path| remove(path))?;
    old.iter().filter(is_old).filter(|path| !is_index(path)).try_for_each(|path| remove(path))
}

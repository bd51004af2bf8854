//! What a fetch brings, follows and refuses.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fyr_git::{FetchError, Remote, RemoteOptions, resolve};
use fyr_model::{Blame, TreeLimits};
use tokio::time::Instant;

use crate::fixture::{Fixture, Run, digits, git_in, remote_of, soon};

pub(crate) fn a_first_fetch_brings_branches_and_tags_and_a_second_nothing(host: Fixture) -> Run {
    Box::pin(async move {
        let first = host.commit("a.yaml", "1");
        host.git(&["tag", "-a", "v1", "-m", "one"]);
        host.git(&["branch", "feature/x"]);
        let mirror = host.mirror().await;
        let fetched = host.fetch(&mirror).await;
        assert!(fetched.changed && fetched.objects > 0, "{fetched:?}");
        assert_eq!(fetched.default_branch(), Some("main"));
        assert_eq!(fetched.refs.head, Some(first.clone()));
        assert_eq!(fetched.refs.branches["feature/x"], first);
        assert_eq!(fetched.refs.tags["v1"].commit, first);
        assert_eq!(fetched.refs.tags["v1"].object, host.id("v1"));
        let again = host.fetch(&mirror).await;
        assert!(!again.changed && again.objects == 0 && again.packs == 1, "{again:?}");
        assert_eq!(again.refs, fetched.refs);
    })
}

pub(crate) fn listing_writes_nothing_to_the_mirror(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("a.yaml", "1");
        let mirror = host.mirror().await;
        let refs = mirror.list_refs(&host.remote(), soon()).await.unwrap();
        assert_eq!(refs.branches["main"], commit);
        assert_eq!(refs.default_branch.as_deref(), Some("main"));
        assert_eq!(fs::read_dir(mirror.folder()).unwrap().count(), 0);
    })
}

pub(crate) fn a_force_push_is_followed(host: Fixture) -> Run {
    Box::pin(async move {
        let base = host.commit("a.yaml", "1");
        host.commit("a.yaml", "2");
        let mirror = host.fetched().await;
        host.git(&["reset", "-q", "--hard", base.as_str()]);
        let other = host.commit("a.yaml", "3");
        let fetched = host.fetch(&mirror).await;
        assert!(fetched.changed);
        assert_eq!(fetched.refs.branches["main"], other);
        mirror.commit_info(&other, soon()).await.unwrap();
    })
}

pub(crate) fn a_branch_that_takes_the_place_of_a_folder_is_followed(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("a.yaml", "1");
        host.git(&["branch", "a/b"]);
        let mirror = host.fetched().await;
        host.git(&["branch", "-D", "a/b"]);
        host.git(&["branch", "a"]);
        let refs = host.fetch(&mirror).await.refs;
        assert_eq!(refs.branches.keys().collect::<Vec<_>>(), ["a", "main"]);
        host.git(&["branch", "-D", "a"]);
        host.git(&["branch", "a/b/c"]);
        let refs = host.fetch(&mirror).await.refs;
        assert_eq!(refs.branches.get("a/b/c"), Some(&commit));
        assert_eq!(git_in(mirror.folder(), &["rev-parse", "a/b/c"], b""), commit.as_str());
    })
}

pub(crate) fn what_is_deleted_at_the_host_is_forgotten(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "1");
        host.git(&["branch", "gone"]);
        host.git(&["tag", "gone-too"]);
        let mirror = host.fetched().await;
        host.git(&["branch", "-D", "gone"]);
        host.git(&["tag", "-d", "gone-too"]);
        let fetched = host.fetch(&mirror).await;
        assert!(fetched.changed && fetched.objects == 0);
        assert_eq!(fetched.refs.branches.keys().collect::<Vec<_>>(), ["main"]);
        assert!(fetched.refs.tags.is_empty());
    })
}

pub(crate) fn a_branch_and_a_tag_of_one_name_stay_two(host: Fixture) -> Run {
    Box::pin(async move {
        let tagged = host.commit("a.yaml", "1");
        host.git(&["tag", "both"]);
        let branched = host.commit("a.yaml", "2");
        host.git(&["branch", "both"]);
        let mirror = host.mirror().await;
        let refs = host.fetch(&mirror).await.refs;
        assert_eq!(refs.branches["both"], branched);
        assert_eq!(refs.tags["both"].commit, tagged);
        assert!(resolve("both", &refs).unwrap().warning.is_some());
    })
}

pub(crate) fn another_default_branch_is_a_change(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "1");
        let mirror = host.fetched().await;
        host.git(&["checkout", "-q", "-b", "trunk"]);
        let fetched = host.fetch(&mirror).await;
        assert!(fetched.changed);
        assert_eq!(fetched.default_branch(), Some("trunk"));
        host.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        assert!(host.fetch(&mirror).await.changed);
        let detached = host.commit("a.yaml", "2");
        host.git(&["checkout", "-q", "--detach"]);
        let refs = host.fetch(&mirror).await.refs;
        assert_eq!((refs.default_branch, refs.head), (None, Some(detached)));
        assert!(!host.fetch(&mirror).await.changed);
    })
}

pub(crate) fn an_empty_repository_is_fetched_and_filled_later(host: Fixture) -> Run {
    Box::pin(async move {
        let mirror = host.mirror().await;
        let fetched = host.fetch(&mirror).await;
        assert!(fetched.refs.is_empty() && fetched.refs.head.is_none(), "{fetched:?}");
        assert!(resolve("HEAD", &fetched.refs).is_err());
        let commit = host.commit("a.yaml", "1");
        assert_eq!(host.fetch(&mirror).await.refs.head, Some(commit));
    })
}

pub(crate) fn what_the_caller_knows_decides_what_changed(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "1");
        let mirror = host.mirror().await;
        let old = host.fetch(&mirror).await.refs;
        host.commit("a.yaml", "2");
        let new = host.fetch(&mirror).await.refs;
        // A caller that missed the answer of the second fetch still learns of it from a third.
        let fetch = |known| mirror.fetch(known, soon(), Some(&old));
        assert!(fetch(&host.remote()).await.unwrap().changed);
        let remote = host.remote();
        assert!(!mirror.fetch(&remote, soon(), Some(&new)).await.unwrap().changed);
    })
}

pub(crate) fn references_are_there_without_the_git_host(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("a.yaml", "1");
        host.git(&["tag", "-a", "v1", "-m", "one"]);
        let refs = host.fetch(&host.mirror().await).await.refs;
        fs::rename(host.host(), host.path("away")).unwrap();
        let mirror = host.mirror().await;
        assert_eq!(mirror.refs().await.unwrap(), refs);
        assert!(mirror.fetch(&host.remote(), soon(), None).await.is_err());
        mirror.commit_info(&commit, soon()).await.unwrap();
    })
}

pub(crate) fn a_repository_with_sha256_ids_is_fetched_and_read(host: Fixture) -> Run {
    Box::pin(async move {
        let other = host.path("other");
        fs::create_dir(&other).unwrap();
        git_in(&other, &["init", "-q", "--object-format=sha256", "-b", "main"], b"");
        fs::write(other.join("a.yaml"), "a").unwrap();
        git_in(&other, &["add", "-A"], b"");
        git_in(&other, &["commit", "-q", "-m", "x"], b"");
        let mirror = host.mirror().await;
        let refs = mirror.fetch(&remote_of(&other), soon(), None).await.unwrap().refs;
        let head = refs.head.unwrap();
        assert_eq!(head.as_str().len(), 64);
        let scope = fyr_git::ReadScope::everything();
        let tree = mirror.read(&head, TreeLimits::default(), &scope, soon()).await.unwrap();
        assert_eq!(tree.len(), 1);
        host.commit("a.yaml", "1");
        let error = mirror.fetch(&host.remote(), soon(), None).await.unwrap_err();
        assert!(matches!(error, FetchError::OtherHash { .. }), "{error:?}");
    })
}

pub(crate) fn a_missing_repository_is_told_from_a_broken_one(host: Fixture) -> Run {
    Box::pin(async move {
        let mirror = host.mirror().await;
        let remote = remote_of(&host.path("nowhere"));
        let error = mirror.fetch(&remote, soon(), None).await.unwrap_err();
        assert!(matches!(error, FetchError::NotFound { .. }), "{error:?}");
        assert_eq!(error.blame(), Blame::Input);
    })
}

pub(crate) fn limits_on_references_packs_and_objects_hold(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("large", &digits(40_000));
        host.git(&["branch", "second"]);
        let host = &host;
        let over = |workers| async move {
            let mirror = host.mirror_with(&workers).await;
            let error = mirror.fetch(&host.remote(), soon(), None).await.unwrap_err();
            let FetchError::OverLimit { what, .. } = &error else { panic!("{error:?}") };
            assert!(mirror.refs().await.unwrap().is_empty());
            what.clone()
        };
        let workers = host.workers_with(|config| config.limits.refs_max = 2);
        assert_eq!(over(workers).await, "branches and tags");
        let workers = host.workers_with(|config| config.limits.pack_bytes_max = 100_000);
        assert_eq!(over(workers).await, "bytes of the pack");
        let workers = host.workers_with(|config| config.limits.object_bytes_max = 100_000);
        assert_eq!(over(workers).await, "bytes of one object");
        // Nothing of the refused packs is in the way.
        host.fetch(&host.mirror().await).await;
    })
}

/// A remote that takes connections and then never says a word.
fn silent() -> (TcpListener, Remote) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    (listener, Remote::new(&url, RemoteOptions::default()).unwrap())
}

/// Waits until whoever connected is gone: only the kernel closes a killed process's connection.
async fn closed(listener: TcpListener) {
    let waited = tokio::task::spawn_blocking(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut greeting = Vec::new();
        // An error other than a timeout is a reset, which is an end as well.
        match stream.read_to_end(&mut greeting) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("still open"),
            Ok(_) | Err(_) => {}
        }
    });
    waited.await.unwrap();
}

pub(crate) fn a_host_that_never_answers_is_given_up_at_the_deadline(host: Fixture) -> Run {
    Box::pin(async move {
        let mirror = host.mirror().await;
        let (listener, remote) = silent();
        let deadline = Instant::now() + Duration::from_millis(700);
        let error = mirror.fetch(&remote, deadline, None).await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut { .. }), "{error:?}");
        assert_eq!(error.blame(), Blame::Outside);
        closed(listener).await;
        // Nothing is held: the next fetch is served.
        host.commit("a.yaml", "1");
        host.fetch(&mirror).await;
    })
}

pub(crate) fn a_call_that_is_dropped_takes_its_worker_along(host: Fixture) -> Run {
    Box::pin(async move {
        let mirror = host.mirror().await;
        let (listener, remote) = silent();
        let dropped =
            tokio::time::timeout(Duration::from_millis(700), mirror.list_refs(&remote, soon()));
        assert!(dropped.await.is_err());
        closed(listener).await;
    })
}

pub(crate) fn a_host_that_never_answers_keeps_nobody_from_pinning_and_reading(
    host: Fixture,
) -> Run {
    Box::pin(async move {
        let commit = host.commit("a.yaml", "1");
        let workers = host.workers_with(|config| {
            config.workers_max = 1;
            config.fetches_max = 1;
        });
        let mirror = host.mirror_with(&workers).await;
        host.fetch(&mirror).await;
        let (listener, remote) = silent();
        let stuck = mirror.fetch(&remote, soon(), None);
        let others = async {
            // The connection shows that the worker of the fetch is waiting.
            let accept = tokio::task::spawn_blocking(move || listener.accept().unwrap());
            let _connection = accept.await.unwrap();
            mirror.pin(&commit, "app", soon()).await.unwrap();
            mirror.commit_info(&commit, soon()).await.unwrap();
        };
        tokio::select! {
            result = stuck => panic!("{result:?}"),
            () = others => {}
        }
    })
}

pub(crate) fn two_fetches_at_once_both_find_the_same(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "1");
        let mirror = host.mirror().await;
        let (first, second) = tokio::join!(host.fetch(&mirror), host.fetch(&mirror));
        assert_eq!(first.refs, second.refs);
        assert_eq!(mirror.refs().await.unwrap(), first.refs);
        git_in(mirror.folder(), &["fsck", "--strict"], b"");
    })
}

pub(crate) fn a_fetch_killed_at_any_moment_is_finished_by_the_next(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "0");
        let mirror = host.fetched().await;
        let mut killed = 0;
        for milliseconds in 1..=40 {
            let commit = host.commit("a.yaml", &milliseconds.to_string());
            let deadline = Instant::now() + Duration::from_millis(milliseconds);
            match mirror.fetch(&host.remote(), deadline, None).await {
                Ok(fetched) => assert_eq!(fetched.refs.head, Some(commit.clone())),
                Err(FetchError::TimedOut { .. }) => killed += 1,
                Err(error) => panic!("{error:?}"),
            }
            // Whatever was killed, what was there before is still there, and so is the way on.
            mirror.commit_info(&mirror.refs().await.unwrap().head.unwrap(), soon()).await.unwrap();
            if milliseconds % 4 == 0 {
                assert_eq!(host.fetch(&mirror).await.refs.head, Some(commit));
            }
        }
        assert!(killed > 0);
        git_in(mirror.folder(), &["fsck", "--strict"], b"");
    })
}

pub(crate) fn what_a_killed_writer_left_is_no_obstacle(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "1");
        let mirror = host.fetched().await;
        let packs = mirror.folder().join("objects/pack");
        let rubbish = ["tmp_consolidated", ".tmpX", "pack-1.keep", "pack-1.pack", "pack-2.idx"];
        for name in rubbish {
            fs::write(packs.join(name), "rubbish").unwrap();
        }
        fs::write(mirror.folder().join("packed-refs.new"), "half a l").unwrap();
        let commit = host.commit("a.yaml", "2");
        assert_eq!(host.fetch(&mirror).await.refs.head, Some(commit));
        assert!(rubbish.iter().all(|name| !packs.join(name).exists()));
        assert!(!mirror.folder().join("packed-refs.new").exists());
    })
}

pub(crate) fn a_damaged_mirror_says_so_and_starts_afresh_once_discarded(host: Fixture) -> Run {
    Box::pin(async move {
        host.commit("a.yaml", "1");
        let mirror = host.fetched().await;
        let damage: [fn(&Path); 3] = [
            |folder| fs::write(folder.join("packed-refs"), "gibberish").unwrap(),
            |folder| fs::remove_dir_all(folder.join("objects")).unwrap(),
            |folder| {
                for entry in fs::read_dir(folder.join("objects/pack")).unwrap() {
                    fs::remove_file(entry.unwrap().path()).unwrap();
                }
            },
        ];
        for damage in damage {
            damage(mirror.folder());
            let error = mirror.fetch(&host.remote(), soon(), None).await.unwrap_err();
            assert!(error.is_damaged_mirror(), "{error:?}");
            mirror.discard(soon()).await.unwrap();
            assert!(host.fetch(&mirror).await.changed);
        }
    })
}

pub(crate) fn a_worker_that_no_daemon_started_does_nothing(_host: Fixture) -> Run {
    Box::pin(async move {
        let exe = std::env::current_exe().unwrap();
        for parent in ["1", "", "x"] {
            let output =
                Command::new(&exe).args([fyr_git::WORKER_ARGUMENT, parent]).output().unwrap();
            assert!(!output.status.success() && output.stdout.is_empty());
        }
    })
}

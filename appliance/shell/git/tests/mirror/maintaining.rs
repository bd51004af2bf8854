//! What keeps a mirror small, and what stays in it.

use std::collections::BTreeMap;

use fyr_git::{MirrorError, PACKS_MAX, ReadError, ReadScope};
use fyr_model::{CommitId, TreeLimits};

use crate::fixture::{Fixture, Run, git_in, soon};

pub(crate) fn forty_fetches_become_one_pack_and_a_pinned_commit_stays(host: Fixture) -> Run {
    Box::pin(async move {
        let base = host.commit("a.yaml", "0");
        let mirror = host.fetched().await;
        let applied = host.commit("applied.yaml", "applied");
        host.fetch(&mirror).await;
        mirror.pin(&applied, "argocd/app", soon()).await.unwrap();
        host.git(&["reset", "-q", "--hard", base.as_str()]);
        let orphan = host.commit("a.yaml", "never applied");
        host.fetch(&mirror).await;
        host.git(&["reset", "-q", "--hard", base.as_str()]);
        let mut fetched = None;
        for number in 1..=40 {
            host.commit("a.yaml", &number.to_string());
            fetched = Some(host.fetch(&mirror).await);
        }
        let fetched = fetched.unwrap();
        assert!(fetched.packs > PACKS_MAX && fetched.wants_maintenance(), "{}", fetched.packs);
        let maintained = mirror.maintain(soon()).await.unwrap();
        assert_eq!((maintained.packs_before, maintained.packs_after), (fetched.packs, 1));
        git_in(mirror.folder(), &["fsck", "--strict", "--connectivity-only"], b"");
        let read = |commit: CommitId| {
            let mirror = mirror.clone();
            async move {
                let scope = ReadScope::everything();
                mirror.read(&commit, TreeLimits::default(), &scope, soon()).await
            }
        };
        assert!(read(applied).await.unwrap().get("applied.yaml").is_some());
        assert_eq!(read(host.id("HEAD")).await.unwrap().len(), 1);
        let error = read(orphan).await.unwrap_err();
        assert!(matches!(error, ReadError::NoSuchCommit { .. }), "{error:?}");
        host.commit("a.yaml", "after");
        assert!(host.fetch(&mirror).await.changed);
    })
}

pub(crate) fn few_packs_are_left_alone(host: Fixture) -> Run {
    Box::pin(async move {
        let mirror = host.mirror().await;
        let maintained = mirror.maintain(soon()).await.unwrap();
        assert_eq!((maintained.packs_before, maintained.packs_after), (0, 0));
        host.commit("a.yaml", "1");
        host.fetch(&mirror).await;
        host.commit("a.yaml", "2");
        host.fetch(&mirror).await;
        let maintained = mirror.maintain(soon()).await.unwrap();
        assert_eq!((maintained.packs_before, maintained.packs_after), (2, 2));
    })
}

pub(crate) fn pins_survive_fetches_and_are_listed_by_name(host: Fixture) -> Run {
    Box::pin(async move {
        let first = host.commit("a.yaml", "1");
        let mirror = host.fetched().await;
        mirror.pin(&first, "ns/app", soon()).await.unwrap();
        mirror.pin(&first, "ns", soon()).await.unwrap();
        let second = host.commit("a.yaml", "2");
        host.fetch(&mirror).await;
        mirror.pin(&second, "ns", soon()).await.unwrap();
        let pins = |entries: &[(&str, &CommitId)]| -> BTreeMap<String, CommitId> {
            entries.iter().map(|(name, id)| ((*name).to_owned(), (*id).clone())).collect()
        };
        assert_eq!(mirror.pins().await.unwrap(), pins(&[("ns", &second), ("ns/app", &first)]));
        mirror.unpin("ns", soon()).await.unwrap();
        mirror.unpin("ns", soon()).await.unwrap();
        assert_eq!(mirror.pins().await.unwrap(), pins(&[("ns/app", &first)]));
        assert!(!host.fetch(&mirror).await.refs.branches.contains_key("ns/app"));
    })
}

pub(crate) fn a_pin_needs_a_name_and_a_commit(host: Fixture) -> Run {
    Box::pin(async move {
        let commit = host.commit("a.yaml", "1");
        let mirror = host.fetched().await;
        for name in [String::new(), "x".repeat(201)] {
            let error = mirror.pin(&commit, &name, soon()).await.unwrap_err();
            assert!(matches!(error, MirrorError::BadPin { .. }), "{error:?}");
        }
        let nowhere = "1".repeat(40).parse().unwrap();
        let error = mirror.pin(&nowhere, "app", soon()).await.unwrap_err();
        assert!(matches!(error, MirrorError::NoSuchCommit { .. }), "{error:?}");
        assert!(mirror.pins().await.unwrap().is_empty());
    })
}

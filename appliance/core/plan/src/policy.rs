//! What an Application and its manifests say about how to sync: `spec.syncPolicy` and the
//! annotation `argocd.argoproj.io/sync-options`.

use std::collections::BTreeMap;

use fyr_model::{Automated, NamespaceMetadata, Retry, SyncPolicy};
use serde::{Deserialize, Serialize};

use crate::Propagation;

/// How willingly an application is synced.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policy {
    /// Sync without being asked; `None` when off.
    pub automated: Option<Automated>,
    /// Options of the whole application.
    pub options: SyncOptions,
    /// What to do after a failed sync, if the manifest says.
    pub retry: Option<Retry>,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes.
    pub namespace_metadata: Option<NamespaceMetadata>,
}

impl Policy {
    /// Reads the options of `policy`; the second part says which have no effect, and why.
    pub fn of(policy: &SyncPolicy) -> (Self, Vec<String>) {
        let (options, without_effect) =
            SyncOptions::parse(policy.sync_options.iter().map(String::as_str));
        let policy = Self {
            automated: policy.automated,
            options,
            retry: policy.retry.clone(),
            namespace_metadata: policy.managed_namespace_metadata.clone(),
        };
        (policy, without_effect)
    }
}

/// An option that is on or off.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Flag {
    /// Make the namespace of the destination.
    CreateNamespace,
    /// Delete after everything else.
    PruneLast,
    /// Apply only what is out of sync. Fyr always does.
    ApplyOutOfSyncOnly,
    /// Recreate an object when a field cannot be changed.
    Replace,
    /// The same; Argo CD's word for it in a sync strategy.
    Force,
    /// Do nothing if another application manages one of the objects.
    FailOnSharedResource,
    /// Move the fields of other managers to us on adoption; on unless switched off.
    ClientSideApplyMigration,
}

/// Whether an object may be deleted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Permission {
    /// It may.
    Always,
    /// Only when a person confirms it.
    Confirm,
    /// It may not.
    Never,
}

/// Options, of an application or of one object. What an object says goes before what its
/// application says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncOptions {
    flags: BTreeMap<Flag, bool>,
    /// Whether objects that are no longer in Git may be deleted.
    pub prune: Option<Permission>,
    /// Whether objects may be deleted with the application.
    pub delete: Option<Permission>,
    /// What happens to the objects that a deleted object owns.
    pub propagation: Option<Propagation>,
}

impl SyncOptions {
    /// Reads options of the form `Name=value`; the second part says which have no effect, and why.
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> (Self, Vec<String>) {
        let mut parsed = Self::default();
        let mut without_effect = Vec::new();
        for option in options.into_iter().map(str::trim).filter(|option| !option.is_empty()) {
            if let Some(why) = parsed.read(option) {
                without_effect.push(format!("sync option {option:?} has no effect: {why}"));
            }
        }
        (parsed, without_effect)
    }

    /// What is said about `flag`, if anything.
    pub fn flag(&self, flag: Flag) -> Option<bool> {
        self.flags.get(&flag).copied()
    }

    /// Whether `flag` is on.
    pub fn has(&self, flag: Flag) -> bool {
        self.flag(flag) == Some(true)
    }

    /// Reads one option; says why it has no effect.
    fn read(&mut self, option: &str) -> Option<&'static str> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let flag = match name {
            "CreateNamespace" => Flag::CreateNamespace,
            "PruneLast" => Flag::PruneLast,
            "ApplyOutOfSyncOnly" => Flag::ApplyOutOfSyncOnly,
            "Replace" => Flag::Replace,
            "Force" => Flag::Force,
            "FailOnSharedResource" => Flag::FailOnSharedResource,
            "ClientSideApplyMigration" => Flag::ClientSideApplyMigration,
            _ => return self.read_other(name, value),
        };
        match value {
            "true" => drop(self.flags.insert(flag, true)),
            "false" => drop(self.flags.insert(flag, false)),
            _ => return Some("its value must be true or false"),
        }
        None
    }

    fn read_other(&mut self, name: &str, value: &str) -> Option<&'static str> {
        match (name, value) {
            ("Prune", value) => return permission(&mut self.prune, value),
            ("Delete", value) => return permission(&mut self.delete, value),
            ("PrunePropagationPolicy", "foreground") => {
                self.propagation = Some(Propagation::Foreground);
            }
            ("PrunePropagationPolicy", "background") => {
                self.propagation = Some(Propagation::Background);
            }
            ("PrunePropagationPolicy", "orphan") => self.propagation = Some(Propagation::Orphan),
            ("PrunePropagationPolicy", _) => {
                return Some("its value must be foreground, background or orphan");
            }
            // What they ask for is how Fyr works anyway.
            ("ServerSideApply" | "Validate", "true")
            | ("SkipDryRunOnMissingResource", "true" | "false")
            | ("RespectIgnoreDifferences", "false") => {}
            ("ServerSideApply", _) => return Some("objects are always applied by the server"),
            ("Validate", _) => return Some("fields are always validated"),
            ("RespectIgnoreDifferences", _) => return Some("nothing is left out of a comparison"),
            _ => return Some("there is no such option"),
        }
        None
    }
}

fn permission(field: &mut Option<Permission>, value: &str) -> Option<&'static str> {
    *field = Some(match value {
        "true" => Permission::Always,
        "false" => Permission::Never,
        "confirm" => Permission::Confirm,
        _ => return Some("its value must be true, false or confirm"),
    });
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> (SyncOptions, Vec<String>) {
        SyncOptions::parse(options.iter().copied())
    }

    #[test]
    fn options_are_read_and_the_last_one_counts() {
        let (options, without_effect) = parse(&[
            "CreateNamespace=true",
            " PruneLast=true ",
            "Replace=true",
            "Replace=false",
            "Prune=confirm",
            "Delete=false",
            "PrunePropagationPolicy=background",
            "ServerSideApply=true",
            "",
        ]);
        assert_eq!(without_effect, Vec::<String>::new());
        assert!(options.has(Flag::CreateNamespace) && options.has(Flag::PruneLast));
        assert_eq!(options.flag(Flag::Replace), Some(false));
        assert_eq!(options.flag(Flag::Force), None);
        assert_eq!(options.prune, Some(Permission::Confirm));
        assert_eq!(options.delete, Some(Permission::Never));
        assert_eq!(options.propagation, Some(Propagation::Background));
    }

    #[test]
    fn an_option_without_effect_is_reported_with_its_text() {
        for option in [
            "CreateNamespce=true",
            "CreateNamespace",
            "Prune=maybe",
            "PrunePropagationPolicy=later",
            "ServerSideApply=false",
            "Validate=false",
            "RespectIgnoreDifferences=true",
        ] {
            let (options, without_effect) = parse(&[option]);
            assert_eq!(options, SyncOptions::default(), "{option}");
            assert_eq!(without_effect.len(), 1, "{option}");
            assert!(without_effect[0].contains(option), "{without_effect:?}");
        }
    }
}

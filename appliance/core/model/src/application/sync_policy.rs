//! `spec.syncPolicy`: when a sync is made without being asked for, and how.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::ParseApplicationError;
use crate::fields::{FieldError, Fields, Unsupported, wrong};
use crate::go_duration::parse_go_duration;

/// When a sync is made without being asked for, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncPolicy {
    /// Sync without being asked; `None` when absent or switched off with `enabled: false`.
    pub automated: Option<Automated>,
    /// Options as written, for example `CreateNamespace=true`.
    pub sync_options: Vec<String>,
    /// What to do after a failed sync; `None` when the manifest says nothing.
    pub retry: Option<Retry>,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes.
    pub managed_namespace_metadata: Option<NamespaceMetadata>,
}

/// How far an automated sync goes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Automated {
    /// Delete what Git no longer has.
    pub prune: bool,
    /// Revert what changed on the cluster.
    pub self_heal: bool,
    /// Prune even if that leaves nothing.
    pub allow_empty: bool,
}

/// How a failed sync is tried again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// How often; `None` is without end.
    pub limit: Option<u32>,
    /// Wait before the first retry.
    pub duration: Duration,
    /// What the wait is multiplied by for each further retry.
    pub factor: u32,
    /// Longest wait.
    pub duration_max: Duration,
    /// Whether a retry takes a newer revision that has arrived meanwhile; `None` if not said.
    pub refresh: Option<bool>,
}

/// Labels and annotations of a namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct NamespaceMetadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Argo CD's sync options of an Application, by the part before `=`.
const OPTION_NAMES: [&str; 14] = [
    "ApplyOutOfSyncOnly",
    "ClientSideApplyMigration",
    "CreateNamespace",
    "Delete",
    "FailOnSharedResource",
    "Force",
    "Prune",
    "PruneLast",
    "PrunePropagationPolicy",
    "Replace",
    "RespectIgnoreDifferences",
    "ServerSideApply",
    "SkipDryRunOnMissingResource",
    "Validate",
];

impl Default for Retry {
    /// Argo CD's numbers: no retry unless a limit is given; 5 s, doubled up to 3 min.
    fn default() -> Self {
        Self {
            limit: Some(0),
            duration: Duration::from_secs(5),
            factor: 2,
            duration_max: Duration::from_mins(3),
            refresh: None,
        }
    }
}

impl Retry {
    /// Retries of an automated sync whose manifest says nothing of them; Argo CD's number. One
    /// that was asked for is not tried again by itself.
    pub const AUTOMATED_LIMIT: u32 = 5;

    /// The wait before retry number `retry`, the first being 0.
    pub fn wait(&self, retry: u32) -> Duration {
        let factor = self.factor.checked_pow(retry).unwrap_or(u32::MAX);
        self.duration.saturating_mul(factor).min(self.duration_max)
    }

    fn read(
        mut fields: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseApplicationError> {
        let mut retry = Self::default();
        let out_of_range = |path: String, number: i64| {
            let why = format!("{number} is out of range");
            ParseApplicationError::Value { path, why }
        };
        if let Some(limit) = fields.integer("limit")? {
            // Negative means without end; more than fits means the same in practice.
            retry.limit = if limit < 0 { None } else { u32::try_from(limit).ok() };
        }
        retry.refresh = fields.flag("refresh")?;
        if let Some(mut backoff) = fields.mapping("backoff")? {
            if let Some(wait) = duration(&mut backoff, "duration")? {
                retry.duration = wait;
            }
            if let Some(wait) = duration(&mut backoff, "maxDuration")? {
                retry.duration_max = wait;
            }
            if let Some(factor) = backoff.integer("factor")? {
                let valid = u32::try_from(factor).ok().filter(|factor| *factor > 0);
                retry.factor =
                    valid.ok_or_else(|| out_of_range(backoff.path_of("factor"), factor))?;
            }
            backoff.finish(unsupported);
        }
        fields.finish(unsupported);
        Ok(retry)
    }
}

impl SyncPolicy {
    /// Whether an option is set to this value: `CreateNamespace=true`.
    pub fn has_option(&self, option: &str) -> bool {
        self.sync_options.iter().any(|set| set == option)
    }

    pub(super) fn read(
        mut fields: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Self, ParseApplicationError> {
        let automated = match fields.mapping("automated")? {
            Some(automated) => Automated::read(automated, unsupported)?,
            None => None,
        };
        let sync_options = fields.texts("syncOptions")?;
        for (index, option) in sync_options.iter().enumerate() {
            if let Some(why) = option_problem(option) {
                unsupported
                    .push(Unsupported::new(format!("spec.syncPolicy.syncOptions[{index}]"), why));
            }
        }
        let retry =
            fields.mapping("retry")?.map(|retry| Retry::read(retry, unsupported)).transpose()?;
        let managed_namespace_metadata = match fields.mapping("managedNamespaceMetadata")? {
            Some(mut metadata) => {
                let labels = metadata.text_map("labels")?;
                let annotations = metadata.text_map("annotations")?;
                metadata.finish(unsupported);
                Some(NamespaceMetadata { labels, annotations })
            }
            None => None,
        };
        fields.finish(unsupported);
        Ok(Self { automated, sync_options, retry, managed_namespace_metadata })
    }
}

impl Automated {
    /// `None` when switched off.
    fn read(
        mut fields: Fields<'_>,
        unsupported: &mut Vec<Unsupported>,
    ) -> Result<Option<Self>, FieldError> {
        let enabled = fields.flag("enabled")?.unwrap_or(true);
        let automated = Self {
            prune: fields.flag("prune")?.unwrap_or(false),
            self_heal: fields.flag("selfHeal")?.unwrap_or(false),
            allow_empty: fields.flag("allowEmpty")?.unwrap_or(false),
        };
        fields.finish(unsupported);
        Ok(enabled.then_some(automated))
    }
}

/// What is wrong with a sync option, if anything.
fn option_problem(option: &str) -> Option<String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    if !OPTION_NAMES.contains(&name) {
        return Some(format!("there is no sync option {name:?}, so it has no effect"));
    }
    value.is_empty().then(|| format!("{name} has no value, so it has no effect: write {name}=true"))
}

/// A duration of Go, or seconds as a number.
fn duration(
    fields: &mut Fields<'_>,
    name: &'static str,
) -> Result<Option<Duration>, ParseApplicationError> {
    let path = fields.path_of(name);
    match fields.value(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => match parse_go_duration(text) {
            Ok(duration) => Ok(Some(duration)),
            Err(error) => Err(ParseApplicationError::Value { path, why: error.to_string() }),
        },
        Some(value) => match value.as_u64() {
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None => Err(wrong(path, "a duration such as 5s", value).into()),
        },
    }
}

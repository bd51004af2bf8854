//! What an entry says beyond its fixed fields: lists of steps, cut when they are long.

use fyr_model::{Digest, Hasher, ObjectKey};
use serde::Serialize;
use serde_json::{Value, json};

use crate::canonical::{NotCanonical, canonical};

/// Most bytes of the items that a list shows. Three quarters of what an entry may have, so that
/// the list and everything beside it fit; about three thousand steps.
const LISTING_BYTES_MAX: usize = 768 * 1024;

/// One step of a plan, as the log holds it: never the content of the object.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepSummary {
    /// Which object.
    pub key: ObjectKey,
    /// What is done with it: `apply`, `prune`, `create-namespace`.
    pub action: &'static str,
    /// Why, or what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Digest of the manifest that is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<Digest>,
}

/// The details of an intent or an outcome: `{"steps": LISTING}`.
pub fn steps(steps: &[StepSummary]) -> Result<Value, NotCanonical> {
    Ok(json!({ "steps": listing(steps)? }))
}

/// A list for an entry's details: `{"count", "digest", "items"}`.
///
/// The digest covers all items, each as canonical JSON preceded by its length. Items beyond
/// 768 KiB are left out of `items`; the log then still proves which list it was.
pub fn listing<T: Serialize>(items: &[T]) -> Result<Value, NotCanonical> {
    let mut hasher = Hasher::default();
    let mut shown = Vec::new();
    let mut bytes = 0_usize;
    for item in items {
        let value = serde_json::to_value(item)
            .map_err(|error| NotCanonical::NotJson { reason: error.to_string() })?;
        let text = canonical(&value)?;
        hasher.field(text.as_bytes());
        bytes = bytes.saturating_add(text.len() + 1);
        if bytes <= LISTING_BYTES_MAX {
            shown.push(value);
        }
    }
    Ok(json!({ "count": items.len(), "digest": hasher.finish(), "items": shown }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Entry, EntryKind};

    fn step(name: &str) -> StepSummary {
        StepSummary {
            key: ObjectKey {
                group: "apps".to_owned(),
                kind: "Deployment".to_owned(),
                namespace: "shop".to_owned(),
                name: name.to_owned(),
            },
            action: "apply",
            reason: Some("create".to_owned()),
            rendered: Some(Digest::of(name.as_bytes())),
        }
    }

    #[test]
    fn a_short_list_is_shown_whole() {
        let details = steps(&[step("a"), step("b")]).unwrap();
        assert_eq!(details["steps"]["count"], 2);
        assert_eq!(details["steps"]["items"][1]["key"]["name"], "b");
    }

    #[test]
    fn a_long_list_is_cut_and_still_fits_an_entry_and_is_identified() {
        let mut many: Vec<_> = (0..20_000).map(|index| step(&format!("web-{index}"))).collect();
        let details = steps(&many).unwrap();
        assert_eq!(details["steps"]["count"], 20_000);
        assert!(details["steps"]["items"].as_array().unwrap().len() < 20_000);
        let digest = details["steps"]["digest"].clone();
        let entry = Entry { details, ..Entry::new(EntryKind::Intent, Actor::Automation, "x") };
        entry.canonical().unwrap();

        // The last step is not shown, and yet it counts.
        many.last_mut().unwrap().rendered = None;
        assert_ne!(steps(&many).unwrap()["steps"]["digest"], digest);
    }

    #[test]
    fn what_has_no_one_form_is_refused() {
        assert!(matches!(listing(&[1.5]), Err(NotCanonical::Number { .. })));
    }
}

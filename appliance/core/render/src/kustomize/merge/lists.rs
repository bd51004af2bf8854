//! Lists that are merged item by item.
//!
//! What a patch names comes first, in the order of the patch, then the rest of the list. With two
//! keys in use the items that were there keep their order instead, behind those that are new.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Clash, directive, maps, settle};
use crate::kustomize::merge_keys::Schema;

/// Items for which it is worked out which of them a key left out stands for: the effort grows with
/// the square. No service or container comes near. In longer lists such items stand for themselves.
const LENIENT_ITEMS_MAX: usize = 1000;

/// The values of an item's keys; empty where it has none.
type Key = Vec<String>;

/// Merges the items of a patch into a list; whether the list is still there.
pub(super) fn merge(
    target: &mut Vec<Value>,
    patch: &[Value],
    keys: &[&str],
    items: Schema<'_>,
) -> Result<bool, Clash> {
    let (what, patch) = split(patch);
    match what {
        Some("delete") => return Ok(false),
        Some("replace") => *target = adopt_all(&patch, keys, items),
        _ => merge_items(target, &patch, keys, items)?,
    }
    Ok(true)
}

/// What a patch gives where there is no list to merge it into.
pub(super) fn adopt(patch: &[Value], keys: &[&str], items: Schema<'_>) -> Option<Vec<Value>> {
    let (what, patch) = split(patch);
    (what != Some("delete")).then(|| adopt_all(&patch, keys, items))
}

/// The directive for the whole list, which stands alone in an item, and the items without it.
fn split(patch: &[Value]) -> (Option<&str>, Vec<&Value>) {
    let alone = patch.iter().find(|item| {
        directive(item).is_some() && item.as_object().is_some_and(|map| map.len() == 1)
    });
    let what = alone.and_then(directive);
    let rest = patch.iter().filter(|item| what.is_none() || directive(item) != what);
    (what, rest.collect())
}

fn adopt_all(patch: &[&Value], keys: &[&str], items: Schema<'_>) -> Vec<Value> {
    let mut new: Vec<Value> = patch.iter().filter_map(|item| adopt_item(item, items)).collect();
    unite_all(&mut new, keys, items);
    new
}

/// Makes one of the items of one key.
pub(super) fn unite_all(list: &mut Vec<Value>, keys: &[&str], items: Schema<'_>) {
    let united = merge_items(list, &[], keys, items);
    debug_assert!(united.is_ok(), "no patch is there to clash with");
}

fn adopt_item(item: &Value, items: Schema<'_>) -> Option<Value> {
    super::adopt(item, items).filter(|new| !is_empty(new))
}

fn merge_items(
    target: &mut Vec<Value>,
    patch: &[&Value],
    keys: &[&str],
    items: Schema<'_>,
) -> Result<(), Clash> {
    if keys.is_empty() {
        equal(target, patch);
        return Ok(());
    }
    let all = || patch.iter().copied().chain(&*target);
    let used: Vec<&str> =
        keys.iter().copied().filter(|key| all().any(|item| has(item, key))).collect();
    let is_complete = all().all(|item| used.iter().all(|key| has(item, key)));
    if is_complete || used.len() < 2 || all().count() > LENIENT_ITEMS_MAX {
        keyed(target, patch, &used, items)
    } else {
        lenient(target, patch, &used, items)
    }
}

/// The text of a scalar: keys are compared by what they look like.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn key_of(item: &Value, keys: &[&str]) -> Key {
    keys.iter().map(|key| item.get(key).and_then(text).unwrap_or_default()).collect()
}

fn has(item: &Value, key: &str) -> bool {
    item.get(key).and_then(text).is_some_and(|text| !text.is_empty())
}

/// Merges lists of scalars: each comes once.
fn equal(target: &mut Vec<Value>, patch: &[&Value]) {
    let mut seen = BTreeSet::new();
    let all: Vec<Value> = patch.iter().copied().cloned().chain(target.drain(..)).collect();
    target.extend(all.into_iter().filter(|item| text(item).is_none_or(|text| seen.insert(text))));
}

/// Merges items that have all of their keys. Those that have none stand for themselves.
fn keyed(
    target: &mut Vec<Value>,
    patch: &[&Value],
    keys: &[&str],
    items: Schema<'_>,
) -> Result<(), Clash> {
    let is_keyed = |key: &Key| key.iter().any(|text| !text.is_empty());
    let mut slots: Vec<Option<Value>> = target.drain(..).map(Some).collect();
    let mut places: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (place, item) in slots.iter().enumerate() {
        let key = item.as_ref().map(|item| key_of(item, keys)).unwrap_or_default();
        if is_keyed(&key) {
            places.entry(key).or_default().push(place);
        }
    }
    let mut named = BTreeSet::new();
    let mut first = Vec::new();
    for change in patch {
        let key = key_of(change, keys);
        let there = places.get(&key);
        if is_keyed(&key) && !named.insert(key) {
            continue;
        }
        let Some(there) = there else {
            first.extend(adopt_item(change, items));
            continue;
        };
        match directive(change) {
            Some("delete") => there.iter().for_each(|place| drop(take(&mut slots, *place))),
            // An item that is there outlives its replacement.
            Some("replace") => {}
            _ => {
                let slot = there.first().and_then(|place| slots.get_mut(*place)?.as_mut());
                merge_item(slot, change, items)?;
            }
        }
        if keys.len() == 1 {
            first.extend(there.iter().filter_map(|place| take(&mut slots, *place)).last());
        }
    }
    unite(&mut slots, &places, keys.len() == 1);
    slots.iter_mut().flatten().for_each(|item| settle(item, items));
    target.extend(first.into_iter().chain(slots.into_iter().flatten()));
    Ok(())
}

fn take(slots: &mut [Option<Value>], place: usize) -> Option<Value> {
    slots.get_mut(place)?.take()
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn merge_item(item: Option<&mut Value>, change: &Value, items: Schema<'_>) -> Result<(), Clash> {
    match (item, change) {
        (Some(Value::Object(item)), Value::Object(changes)) => maps(item, changes, items),
        _ => Ok(()),
    }
}

/// Of items with one key the last counts, at the place of the first or of the last.
fn unite(slots: &mut [Option<Value>], places: &BTreeMap<Key, Vec<usize>>, at_first: bool) {
    for there in places.values().filter(|there| there.len() > 1) {
        let last = there.iter().filter_map(|place| take(slots, *place)).last();
        let place = if at_first { there.first() } else { there.last() };
        if let Some(slot) = place.and_then(|place| slots.get_mut(*place)) {
            *slot = last;
        }
    }
}

/// Merges items of which some leave out a key. One that does stands for another that agrees in the
/// rest, in a way that loses what is ambiguous: that is how kustomize has it.
fn lenient(
    target: &mut Vec<Value>,
    patch: &[&Value],
    keys: &[&str],
    items: Schema<'_>,
) -> Result<(), Clash> {
    let mut all: Vec<Key> = Vec::new();
    for key in patch.iter().copied().chain(&*target).map(|item| key_of(item, keys)) {
        if !all.contains(&key) {
            all.push(key);
        }
    }
    complete(&mut all);
    let mut new: Vec<Value> = Vec::new();
    for key in &all {
        let pairs: Vec<(&str, &str)> =
            keys.iter().copied().zip(key.iter().map(String::as_str)).collect();
        let wanted: Vec<(&str, &str)> =
            pairs.iter().copied().filter(|(_, text)| !text.is_empty()).collect();
        if wanted.is_empty() {
            continue;
        }
        let slot = target.iter_mut().find(|item| fits(item, &wanted));
        let change = patch.iter().find(|item| fits(item, &wanted));
        let item = match (slot, change) {
            (Some(_), Some(change)) if directive(change) == Some("delete") => None,
            (Some(item), Some(change)) if directive(change) != Some("replace") => {
                merge_item(Some(&mut *item), change, items)?;
                Some(item.clone())
            }
            (Some(item), None) => {
                settle(item, items);
                Some(item.clone())
            }
            (_, Some(change)) => adopt_item(change, items),
            (None, None) => None,
        };
        let Some(item) = item.filter(|item| !is_empty(item)) else {
            target.retain(|item| !fits(item, &pairs));
            continue;
        };
        new.retain(|item| !fits(item, &pairs));
        new.push(item);
    }
    let unkeyed = patch.iter().filter(|item| !keys.iter().any(|key| has(item, key)));
    new.extend(unkeyed.filter_map(|item| adopt_item(item, items)));
    for item in target.drain(..) {
        let key = key_of(&item, keys);
        let pairs: Vec<(&str, &str)> = keys
            .iter()
            .copied()
            .zip(key.iter().map(String::as_str))
            .take_while(|(_, text)| !text.is_empty())
            .collect();
        if !pairs.is_empty() {
            new.retain(|other| !fits(other, &pairs));
        }
        new.push(item);
    }
    *target = new;
    Ok(())
}

/// Whether an item has these keys, with these values where one is given.
fn fits(item: &Value, pairs: &[(&str, &str)]) -> bool {
    pairs.iter().all(|(key, wanted)| {
        item.get(key)
            .is_some_and(|found| wanted.is_empty() || text(found).as_deref() == Some(wanted))
    })
}

/// Fills in keys left out from others that agree in the rest, one after the other.
fn complete(all: &mut [Key]) {
    for left in 0..all.len() {
        let Some(this) = all.get(left).cloned() else { continue };
        for right in 0..all.len() {
            let Some(both) = all.get(right).and_then(|other| agree(&this, other)) else { continue };
            for place in [left, right] {
                if let Some(key) = all.get_mut(place) {
                    key.clone_from(&both);
                }
            }
        }
    }
}

/// What two keys say together, if they have a part in common and do not contradict each other.
fn agree(left: &Key, right: &Key) -> Option<Key> {
    let pairs = || left.iter().zip(right);
    let fits = pairs().all(|(left, right)| left == right || left.is_empty() || right.is_empty());
    let common = pairs().any(|(left, right)| left == right);
    (fits && common).then(|| {
        let both = pairs().map(|(left, right)| if left.is_empty() { right } else { left });
        both.cloned().collect()
    })
}

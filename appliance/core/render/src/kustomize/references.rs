//! What refers to an object follows when the object's name changes.
//!
//! A reference says only a name. Which object is meant is found as kustomize does: of the objects
//! that ever had this name, those of the kind that the field refers to, in a namespace that the
//! referrer can see; of several, those that got their prefixes and suffixes from the same
//! kustomizations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::FieldSpec;
use super::reference_table::Target;
use super::resource::{Id, Resource};
use crate::RenderError;
use crate::reader::Reader;

/// Updates every reference to an object whose name or namespace changed. `targets` says which
/// fields refer to which kinds.
pub(crate) fn fix(
    reader: &Reader<'_>,
    resources: &mut [Resource],
    targets: &[Target],
    file: &str,
) -> Result<(), RenderError> {
    resources.iter().try_for_each(accounts_say_where).map_err(|why| {
        let file = file.to_owned();
        RenderError::Build { file, why }
    })?;
    let index = Index::of(resources);
    let rules = Rules::of(targets);
    for resource in resources {
        reader.go_on()?;
        let original = resource.original();
        let referrer = Referrer::of(resource);
        for rule in rules.of_kind(&original.kind).filter(|rule| rule.spec.is_for(&original)) {
            let path = &rule.spec.path;
            let role = path.ends_with("roleRef/name").then(|| role(&resource.value)).flatten();
            let search = Search { index: &index, referrer: &referrer, target: rule.target, role };
            rule.spec.visit_found(&mut resource.value, &mut |place| search.update(place)).map_err(
                |why| {
                    let why = format!("{}: {why}", referrer.id);
                    RenderError::Build { file: file.to_owned(), why }
                },
            )?;
        }
    }
    Ok(())
}

/// Refuses a role binding with a subject that is no mapping, or with a service account in a
/// namespace that is no text, such as nothing.
fn accounts_say_where(resource: &Resource) -> Result<(), String> {
    if resource.kind() != "RoleBinding" || resource.id().is_cluster_scoped() {
        return Ok(());
    }
    let subjects = resource.value.get("subjects").and_then(Value::as_array);
    for subject in subjects.into_iter().flatten() {
        if !subject.is_object() {
            return Err(format!("{}: a subject is no mapping", resource.id()));
        }
        let is_account = subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount");
        if is_account && subject.get("namespace").is_some_and(|namespace| !namespace.is_string()) {
            let id = resource.id();
            return Err(format!("{id}: the namespace of a service account in subjects is blank"));
        }
    }
    Ok(())
}

/// One field of one kind that refers to a kind.
#[derive(Clone, Copy)]
struct Rule<'a> {
    target: &'a Target,
    spec: &'a FieldSpec,
    /// Place in the table, whose order counts.
    place: usize,
}

/// The table, by the kind that refers; `""` has what is for every kind.
struct Rules<'a>(BTreeMap<&'a str, Vec<Rule<'a>>>);

impl<'a> Rules<'a> {
    fn of(targets: &'a [Target]) -> Self {
        let mut rules: BTreeMap<&str, Vec<Rule<'_>>> = BTreeMap::new();
        let fields =
            targets.iter().flat_map(|target| target.fields.iter().map(move |spec| (target, spec)));
        for (place, (target, spec)) in fields.enumerate() {
            rules.entry(&spec.kind).or_default().push(Rule { target, spec, place });
        }
        Self(rules)
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = Rule<'a>> {
        let named = self.0.get(kind).into_iter().flatten();
        let mut rules: Vec<Rule<'_>> =
            named.chain(self.0.get("").into_iter().flatten()).copied().collect();
        rules.sort_by_key(|rule| rule.place);
        rules.into_iter()
    }
}

/// What a role binding says about its role besides the name: group and kind.
fn role(value: &Value) -> Option<(String, String)> {
    let role = value.get("roleRef")?;
    let text = |field| role.get(field).and_then(Value::as_str).map(str::to_owned);
    Some((text("apiGroup")?, text("kind")?))
}

/// An object that may be referred to by a name it no longer has.
struct Candidate {
    id: Id,
    /// Namespace it had first.
    original: String,
    /// Kinds it had.
    kinds: BTreeSet<String>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Candidate {
    fn is(&self, group: &str, version: &str, kind: &str) -> bool {
        (group.is_empty() || group == self.id.group)
            && (version.is_empty() || version == self.id.version)
            && (kind.is_empty() || self.kinds.contains(kind))
    }
}

/// The candidates, found by their former names.
struct Index {
    candidates: Vec<Candidate>,
    by_name: BTreeMap<String, Vec<usize>>,
    /// For each namespace that objects had first, the namespaces they are in now: as they count,
    /// and as written.
    moves: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Index {
    fn of(resources: &[Resource]) -> Self {
        let mut index =
            Self { candidates: Vec::new(), by_name: BTreeMap::new(), moves: BTreeMap::new() };
        for resource in resources {
            let id = resource.id();
            let original = resource.original().effective_namespace().to_owned();
            if !id.is_cluster_scoped() {
                let now = (id.effective_namespace().to_owned(), id.namespace.clone());
                index.moves.entry(original.clone()).or_default().insert(now);
            }
            if resource.past.is_empty() {
                continue;
            }
            let names: BTreeSet<&String> = resource.past.iter().map(|past| &past.name).collect();
            for name in names {
                index.by_name.entry(name.clone()).or_default().push(index.candidates.len());
            }
            index.candidates.push(Candidate {
                id,
                original,
                kinds: resource.past.iter().map(|past| past.kind.clone()).collect(),
                prefixes: resource.prefixes.clone(),
                suffixes: resource.suffixes.clone(),
            });
        }
        index
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Candidate> {
        let places = self.by_name.get(name).into_iter().flatten();
        places.filter_map(|place| self.candidates.get(*place))
    }
}

/// The object whose fields are being updated.
struct Referrer {
    id: Id,
    is_cluster_scoped: bool,
    /// Namespaces of the service accounts that it names, if it is a role binding.
    accounts: BTreeSet<String>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Referrer {
    fn of(resource: &Resource) -> Self {
        let id = resource.id();
        let mut accounts = BTreeSet::new();
        if id.kind == "RoleBinding" {
            let subjects = resource.value.get("subjects").and_then(Value::as_array);
            for subject in subjects.into_iter().flatten() {
                let text = |field| subject.get(field).and_then(Value::as_str);
                if text("kind") == Some("ServiceAccount") {
                    accounts.extend(text("namespace").map(str::to_owned));
                }
            }
        }
        Self {
            is_cluster_scoped: id.is_cluster_scoped(),
            id,
            accounts,
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    /// Whether it can refer to something in a namespace.
    fn sees(&self, effective: &str, written: &str) -> bool {
        self.is_cluster_scoped
            || effective == self.id.effective_namespace()
            || self.accounts.contains(written)
    }

    fn can_refer_to(&self, candidate: &Candidate) -> bool {
        let effective = candidate.id.effective_namespace();
        candidate.id.is_cluster_scoped()
            || (self.sees(effective, &candidate.id.namespace)
                && (self.is_cluster_scoped
                    || candidate.id.kind == "ServiceAccount"
                    || effective == self.id.effective_namespace()))
    }

    /// Whether the names of both were made by the same kustomizations.
    fn is_near(&self, candidate: &Candidate, strict: bool) -> bool {
        let near = |own: &[String], other: &[String]| {
            (!strict && (own.is_empty() || other.is_empty())) || end_alike(own, other)
        };
        near(&self.prefixes, &candidate.prefixes) && near(&self.suffixes, &candidate.suffixes)
    }
}

/// Whether the shorter list is the end of the longer. An empty one is only that of an empty one.
fn end_alike(one: &[String], other: &[String]) -> bool {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => true,
        (false, false) => one.ends_with(other) || other.ends_with(one),
        _ => false,
    }
}

/// The search for what one field refers to.
struct Search<'a> {
    index: &'a Index,
    referrer: &'a Referrer,
    target: &'a Target,
    role: Option<(String, String)>,
}

impl Search<'_> {
    /// Updates what a path leads to: a name, a mapping with a name, or a list of these.
    fn update(&self, place: &mut Value) -> Result<(), String> {
        match place {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.update_one(item)),
            place => self.update_one(place),
        }
    }

    fn update_one(&self, place: &mut Value) -> Result<(), String> {
        match place {
            Value::Array(_) => Err("a list within a list names nothing".to_owned()),
            Value::String(name) => {
                if let Some(found) = self.find(name, None, false)? {
                    name.clone_from(&found.id.name);
                }
                Ok(())
            }
            Value::Object(map) => self.update_mapping(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    /// Updates name and namespace. Subjects of role bindings are taken for service accounts
    /// whatever kind they say they are, as kustomize takes them.
    fn update_mapping(&self, map: &mut Map<String, Value>) -> Result<(), String> {
        let name = match map.get("name") {
            Some(Value::String(name)) => name,
            Some(_) => return Ok(()),
            None => return Err("a mapping there has no name".to_owned()),
        };
        let namespace = map.get("namespace").map(|value| value.as_str().unwrap_or_default());
        let Some(found) = self.find(name, namespace, true)? else { return Ok(()) };
        map.insert("name".to_owned(), Value::from(found.id.name.as_str()));
        // An empty namespace means any, so it does not take the place of one.
        if !found.id.namespace.is_empty() {
            map.insert("namespace".to_owned(), Value::from(found.id.namespace.as_str()));
        }
        Ok(())
    }

    /// The object that is meant by a name, and by the namespace beside it if there is one.
    fn find(
        &self,
        name: &str,
        namespace: Option<&str>,
        with_namespace: bool,
    ) -> Result<Option<&Candidate>, String> {
        let Target { group, version, kind, .. } = self.target;
        let mut found: Vec<&Candidate> = self
            .index
            .named(name)
            .filter(|candidate| candidate.is(group, version, kind))
            .filter(|candidate| {
                self.role.as_ref().is_none_or(|(group, kind)| candidate.is(group, "", kind))
            })
            .filter(|candidate| self.referrer.can_refer_to(candidate))
            .collect();
        if let Some(namespace) = namespace {
            self.keep_namespace(&mut found, namespace);
        }
        if found.len() > 1 {
            found.retain(|candidate| self.referrer.is_near(candidate, false));
        }
        if found.len() > 1 {
            found.retain(|candidate| self.referrer.is_near(candidate, true));
        }
        let Some((first, others)) = found.split_first() else { return Ok(None) };
        let same = |other: &&&Candidate| {
            other.id.name == first.id.name
                && (!with_namespace || other.id.namespace == first.id.namespace)
        };
        match others.iter().find(|other| !same(other)) {
            None => Ok(Some(first)),
            Some(other) => {
                Err(format!("refers to {name:?}, which can be {} or {}", first.id, other.id))
            }
        }
    }

    /// Keeps what was in a namespace first or, if nothing was, what is in it now.
    fn keep_namespace(&self, found: &mut Vec<&Candidate>, namespace: &str) {
        let moved = self.index.moves.get(namespace).is_some_and(|now| {
            now.iter().any(|(effective, written)| self.referrer.sees(effective, written))
        });
        found.retain(|candidate| {
            let now = candidate.id.effective_namespace();
            let has = if moved { candidate.original.as_str() } else { now };
            !candidate.id.is_cluster_scoped() && has == namespace
        });
    }
}

#[cfg(test)]
mod tests;

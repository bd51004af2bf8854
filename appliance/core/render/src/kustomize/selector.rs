//! Which objects a patch is for.

mod labels;

use regex::Regex;

use self::labels::Requirement;
use super::file::Selector;
use super::pattern;
use super::resource::{Id, Resource};

/// Stands for the namespace of objects that have none, for patterns that match anything.
const NO_NAMESPACE: &str = "_non_namespaceable_";

/// A selector, ready to match.
#[derive(Debug)]
pub(crate) struct Matcher {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

impl Matcher {
    /// Reads the patterns of a selector.
    pub(crate) fn new(selector: &Selector) -> Result<Self, String> {
        Ok(Self {
            group: pattern(&selector.group)?,
            version: pattern(&selector.version)?,
            kind: pattern(&selector.kind)?,
            name: pattern(&selector.name)?,
            namespace: pattern(&selector.namespace)?,
            labels: labels::read(&selector.labels)?,
            annotations: labels::read(&selector.annotations)?,
        })
    }

    /// Whether an object is selected: by the name and the namespace that it has, or had at first.
    pub(crate) fn matches(&self, resource: &Resource) -> bool {
        let fits = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
        };
        let named = |name: &str| fits(&self.name, name);
        let placed = |namespace: &str| fits(&self.namespace, placeable(namespace));
        let (name, [group, version, kind], namespace) = resource.identity();
        let first = resource.past.first();
        fits(&self.group, group)
            && fits(&self.version, version)
            && fits(&self.kind, kind)
            && (named(name) || first.is_some_and(|id| named(&id.name)))
            && (placed(namespace) || first.is_some_and(|id| placed(id.effective_namespace())))
            && self.fits_labels(resource)
    }

    /// Whether it asks for anything but labels and annotations.
    pub(crate) fn says_which(&self) -> bool {
        let parts = [&self.group, &self.version, &self.kind, &self.name, &self.namespace];
        parts.into_iter().any(Option::is_some)
    }

    /// Whether it asks for labels or annotations.
    pub(crate) fn says_labels(&self) -> bool {
        !self.labels.is_empty() || !self.annotations.is_empty()
    }

    /// Whether one identity fits in every part, its namespace as it is written.
    pub(crate) fn fits(&self, id: &Id) -> bool {
        let parts = [
            (&self.group, id.group.as_str()),
            (&self.version, &id.version),
            (&self.kind, &id.kind),
            (&self.name, &id.name),
            (&self.namespace, &id.namespace),
        ];
        let mut parts = parts.into_iter();
        parts.all(|(pattern, text)| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text)))
    }

    /// Whether an object carries what is asked of its labels and annotations.
    pub(crate) fn fits_labels(&self, resource: &Resource) -> bool {
        let carries = |field: &str, requirements: &[Requirement]| {
            let pairs = resource.value.get("metadata").and_then(|metadata| metadata.get(field));
            requirements.iter().all(|requirement| requirement.holds(pairs))
        };
        carries("labels", &self.labels) && carries("annotations", &self.annotations)
    }
}

/// What a pattern is held against for an effective namespace, which is empty for objects of the
/// cluster.
fn placeable(namespace: &str) -> &str {
    if namespace.is_empty() { NO_NAMESPACE } else { namespace }
}

/// A pattern that has to match the whole of a text. Nearly all of them are a name, or some with
/// bars between; those are compared without building an expression, which costs far more.
#[derive(Debug)]
enum Pattern {
    /// Any of these texts.
    Texts(Vec<String>),
    /// An expression.
    Expression(Regex),
}

impl Pattern {
    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Texts(texts) => texts.iter().any(|other| other == text),
            Self::Expression(expression) => expression.is_match(text),
        }
    }
}

/// Reads a pattern; nothing matches everything.
fn pattern(text: &str) -> Result<Option<Pattern>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    pattern::check(text)?;
    if text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_/|".contains(letter)) {
        return Ok(Some(Pattern::Texts(text.split('|').map(str::to_owned).collect())));
    }
    pattern::compile("^(?:", text, ")$").map(|ready| Some(Pattern::Expression(ready)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(selector: &Selector) -> bool {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"tier": "front"}},
        });
        Matcher::new(selector).unwrap().matches(&Resource::of(object))
    }

    #[test]
    fn patterns_match_the_whole_of_a_part() {
        assert!(matches(&Selector { kind: "Deploy.*".to_owned(), ..Selector::default() }));
        assert!(!matches(&Selector { kind: "Deploy".to_owned(), ..Selector::default() }));
        assert!(matches(&Selector { name: "web|api".to_owned(), ..Selector::default() }));
    }

    #[test]
    fn no_namespace_is_the_default_one() {
        let by = |namespace: &str| {
            matches(&Selector { namespace: namespace.to_owned(), ..Selector::default() })
        };
        assert!(by("default") && by("") && by(".*") && !by("other"));
    }

    #[test]
    fn name_and_namespace_may_be_of_different_times() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "old", "namespace": "old"},
        });
        let mut resource = Resource::of(object);
        resource.remember();
        resource.set_name("new".to_owned());
        resource.set_namespace("new");
        for (name, namespace) in [("old", "old"), ("old", "new"), ("new", "old"), ("new", "new")] {
            let (name, namespace) = (name.to_owned(), namespace.to_owned());
            let selector = Selector { name, namespace, ..Selector::default() };
            assert!(Matcher::new(&selector).unwrap().matches(&resource));
        }
    }

    #[test]
    fn labels_are_required() {
        let by =
            |labels: &str| matches(&Selector { labels: labels.to_owned(), ..Selector::default() });
        assert!(by("tier=front") && !by("tier=back"));
    }
}

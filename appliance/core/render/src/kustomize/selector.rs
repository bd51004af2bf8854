//! Which objects a patch is for.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::file::Selector;
use super::resource::{Id, Resource};

/// Most bytes of one compiled pattern.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// A selector, ready to match.
#[derive(Debug)]
pub(crate) struct Matcher {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

/// One requirement of a label selector.
#[derive(Debug)]
struct Requirement {
    key: String,
    /// The values that fit; `None` if any does.
    values: Option<Vec<String>>,
    /// It must not fit.
    negated: bool,
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
            labels: requirements(&selector.labels)?,
            annotations: requirements(&selector.annotations)?,
        })
    }

    /// Whether an object is selected: by the identity it has, or the one it had at first.
    pub(crate) fn matches(&self, resource: &Resource) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
        };
        let (now, first) = (resource.id(), resource.original());
        let named = |id: &Id| fits(&self.name, &id.name) && fits(&self.namespace, &id.namespace);
        let carries = |field: &str, requirements: &[Requirement]| {
            let pairs = resource.value.get("metadata").and_then(|metadata| metadata.get(field));
            requirements.iter().all(|requirement| requirement.holds(pairs))
        };
        fits(&self.group, &now.group)
            && fits(&self.version, &now.version)
            && fits(&self.kind, &now.kind)
            && (named(&now) || named(&first))
            && carries("labels", &self.labels)
            && carries("annotations", &self.annotations)
    }
}

/// A pattern that has to match the whole of a text; nothing matches everything.
fn pattern(text: &str) -> Result<Option<Regex>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let built = RegexBuilder::new(&format!("^(?:{text})$")).size_limit(PATTERN_BYTES_MAX).build();
    built.map(Some).map_err(|error| format!("{text:?} is no pattern: {error}"))
}

/// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
fn requirements(text: &str) -> Result<Vec<Requirement>, String> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (place, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    parts.map(Requirement::read).collect()
}

impl Requirement {
    fn read(part: &str) -> Result<Self, String> {
        let one = |key: &str, value: &str, negated| {
            let (key, values) = (key.trim().to_owned(), Some(vec![value.trim().to_owned()]));
            Ok(Self { key, values, negated })
        };
        if let Some((key, value)) = part.split_once("!=") {
            return one(key, value, true);
        }
        if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            return one(key, value, false);
        }
        if let Some((left, list)) = part.split_once('(') {
            let list = list.strip_suffix(')').ok_or_else(|| format!("{part:?} is not closed"))?;
            let values = Some(list.split(',').map(|value| value.trim().to_owned()).collect());
            let mut words = left.split_whitespace();
            return match (words.next(), words.next(), words.next()) {
                (Some(key), Some("in"), None) => {
                    Ok(Self { key: key.to_owned(), values, negated: false })
                }
                (Some(key), Some("notin"), None) => {
                    Ok(Self { key: key.to_owned(), values, negated: true })
                }
                _ => Err(format!("{part:?} is no requirement")),
            };
        }
        match part.strip_prefix('!') {
            Some(key) => Ok(Self { key: key.trim().to_owned(), values: None, negated: true }),
            None => Ok(Self { key: part.to_owned(), values: None, negated: false }),
        }
    }

    fn holds(&self, pairs: Option<&Value>) -> bool {
        let found = pairs.and_then(|pairs| pairs.get(&self.key)?.as_str());
        let fits = match (&self.values, found) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(values), Some(found)) => values.iter().any(|value| value == found),
        };
        fits != self.negated
    }
}

#[cfg(test)]
mod tests {
    use fyr_model::Object;
    use serde_json::json;

    use super::*;

    fn matches(selector: &Selector) -> bool {
        let object = Object::parse(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"tier": "front"}},
        }));
        Matcher::new(selector).unwrap().matches(&Resource::new(object.unwrap()))
    }

    #[test]
    fn patterns_match_the_whole_of_a_part() {
        assert!(matches(&Selector { kind: "Deploy.*".to_owned(), ..Selector::default() }));
        assert!(!matches(&Selector { kind: "Deploy".to_owned(), ..Selector::default() }));
        assert!(matches(&Selector { name: "web|api".to_owned(), ..Selector::default() }));
    }

    #[test]
    fn labels_are_required_as_kubernetes_writes_it() {
        let by =
            |labels: &str| matches(&Selector { labels: labels.to_owned(), ..Selector::default() });
        assert!(by("tier=front") && by("tier in (front, back)") && by("tier,!other"));
        assert!(by("tier!=back") && by("other notin (a)"));
        assert!(!by("tier=back") && !by("other") && !by("tier=front,other=a"));
    }
}

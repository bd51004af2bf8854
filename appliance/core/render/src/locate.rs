//! Finds the line that an error is about.
//!
//! A kustomization is read without its lines, which nearly nobody needs; only when something is
//! wrong its text is read once more.

use std::sync::Arc;

use fyr_model::File;

use crate::RenderError;
use crate::edit::outline::{self, Node, Shape};
use crate::facts::Files;

/// The error with the line in the name of its file, if the line can be found.
pub(crate) fn with_line(error: RenderError, files: &Files<'_>) -> RenderError {
    match error {
        RenderError::Field { file, field, why } => {
            let file = at(file, files, |root| field_in(root, &field));
            RenderError::Field { file, field, why }
        }
        RenderError::Unsupported { file, field } => {
            let file = at(file, files, |root| field_in(root, &field));
            RenderError::Unsupported { file, field }
        }
        RenderError::Missing { file, path } => {
            let file = at(file, files, |root| text_in(root, &path));
            RenderError::Missing { file, path }
        }
        RenderError::Outside { file, path, root: folder } => {
            let file = at(file, files, |root| text_in(root, &path));
            RenderError::Outside { file, path, root: folder }
        }
        other => other,
    }
}

fn at(file: String, files: &Files<'_>, find: impl Fn(&Node) -> Option<usize>) -> String {
    let Some(File::Bytes(bytes)) = files.get(&file) else { return file };
    let bytes = Arc::clone(bytes);
    let Ok(text) = std::str::from_utf8(&bytes) else { return file };
    let place = outline::read(text).ok().and_then(|root| find(&root));
    match place.and_then(|place| text.get(..place)) {
        Some(before) => format!("{file}:{}", before.matches('\n').count() + 1),
        None => file,
    }
}

/// Where a field such as `images[0].newTag` stands, or the last part of it that is there.
fn field_in(root: &Node, field: &str) -> Option<usize> {
    let mut node = root;
    let mut rest = field;
    let mut found = None;
    loop {
        rest = rest.trim_start_matches('.');
        let next = match &node.shape {
            Shape::Mapping(entries) => {
                // Names may hold dots, so the longest one counts.
                let fitting = entries.iter().filter_map(|entry| {
                    let name = entry.key.text()?;
                    let after = rest.get(name.len()..)?;
                    let fits = rest.get(..name.len())?.eq_ignore_ascii_case(name)
                        && (after.is_empty() || after.starts_with(['.', '[']));
                    fits.then_some((name.len(), entry.key.start, &entry.value))
                });
                fitting.max_by_key(|(length, ..)| *length)
            }
            Shape::List(items) => index(rest).and_then(|(length, index)| {
                let item = items.get(index)?;
                Some((length, item.start, item))
            }),
            Shape::Scalar(_) | Shape::Alias => None,
        };
        let Some((length, place, value)) = next.filter(|(length, ..)| *length > 0) else {
            return found;
        };
        found = Some(place);
        rest = rest.get(length..)?;
        node = value;
    }
}

/// `[3]` at the beginning: its length and its number.
fn index(text: &str) -> Option<(usize, usize)> {
    let (number, _) = text.strip_prefix('[')?.split_once(']')?;
    Some((number.len() + 2, number.parse().ok()?))
}

/// Where a text stands as a value.
fn text_in(node: &Node, wanted: &str) -> Option<usize> {
    match &node.shape {
        Shape::Scalar(text) => (text == wanted).then_some(node.start),
        Shape::Alias => None,
        Shape::List(items) => items.iter().find_map(|item| text_in(item, wanted)),
        Shape::Mapping(entries) => entries.iter().find_map(|entry| text_in(&entry.value, wanted)),
    }
}

#[cfg(test)]
mod tests {
    use fyr_model::SourceTree;

    use crate::build;

    /// What building this kustomization says.
    fn message(kustomization: &str) -> String {
        let mut tree = SourceTree::default();
        tree.insert_bytes("app/kustomization.yaml", kustomization.as_bytes()).unwrap();
        tree.insert_bytes("bad.yaml", *b"a: 1\n\tb").unwrap();
        build(&tree, "app").unwrap_err().to_string()
    }

    #[test]
    fn a_field_is_found_by_its_place() {
        let text = "resources: []\nimages:\n- name: a\n- name: b\n  newtagg: 1\n";
        assert!(message(text).starts_with("app/kustomization.yaml:5: images[1].newtagg"));
        let text = "commonLabels:\n  a.b/c: 1\n";
        assert!(message(text).starts_with("app/kustomization.yaml:2: "), "{}", message(text));
        let text = "resources: []\nhelmCharts:\n- name: x\n";
        assert!(message(text).starts_with("app/kustomization.yaml:2: helmCharts"));
    }

    #[test]
    fn a_path_is_found_by_what_it_says() {
        let text = "resources:\n- ../bad.yaml\n- gone.yaml\n";
        assert!(message(text).starts_with("app/kustomization.yaml:2: "), "{}", message(text));
        let text = "resources:\n# not here\n- gone.yaml\n";
        assert!(message(text).starts_with("app/kustomization.yaml:3: "), "{}", message(text));
    }
}

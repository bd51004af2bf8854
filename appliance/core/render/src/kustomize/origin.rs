//! `buildMetadata`: where each object came from, and what was done with it.
//!
//! Only what the kustomization at the top asks for is written down; paths are relative to its
//! folder.

use super::resource::{Resource, mapping};
use serde_json::{Map, Value};

const ORIGIN: &str = "config.kubernetes.io/origin";
const TRANSFORMATIONS: &str = "alpha.config.kubernetes.io/transformations";
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The version whose behaviour this is.
const VERSION: &str = "kustomize-v5.8.1";

/// What is written down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BuildMetadata {
    pub(crate) origins: bool,
    pub(crate) transformations: bool,
    pub(crate) managed_by: bool,
}

/// Where an object came from, or what changed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// A file.
    File(String),
    /// A generator or transformer.
    Made(Maker),
}

/// A generator or transformer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Maker {
    /// The file that asks for it.
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Maker {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("configuredIn: {}", self.file),
            "configuredBy:".to_owned(),
            "  apiVersion: builtin".to_owned(),
            format!("  kind: {}", self.kind),
        ];
        for (field, text) in [("name", &self.name), ("namespace", &self.namespace)] {
            if !text.is_empty() {
                lines.push(format!("  {field}: {text}"));
            }
        }
        lines
    }
}

impl Origin {
    fn text(&self) -> String {
        match self {
            Self::File(path) => format!("path: {path}\n"),
            Self::Made(maker) => maker.lines().join("\n") + "\n",
        }
    }
}

/// Writes everything that was noted into the objects.
pub(crate) fn write(resources: &mut [Resource], metadata: BuildMetadata) {
    for resource in resources {
        if metadata.origins
            && let Some(origin) = &resource.origin
        {
            let text = origin.text();
            set(resource, "annotations", ORIGIN, text);
        }
        if metadata.transformations && !resource.transformations.is_empty() {
            let notes = resource.transformations.iter().map(|maker| maker.lines().join("\n  "));
            let text = notes.fold(String::new(), |text, note| text + "- " + &note + "\n");
            set(resource, "annotations", TRANSFORMATIONS, text);
        }
        if metadata.managed_by {
            set(resource, "labels", MANAGED_BY, VERSION.to_owned());
        }
    }
}

fn set(resource: &mut Resource, field: &str, key: &str, text: String) {
    let empty = || Value::Object(Map::new());
    let metadata = mapping(mapping(&mut resource.value).entry("metadata").or_insert_with(empty));
    let map = mapping(metadata.entry(field).or_insert_with(empty));
    map.insert(key.to_owned(), Value::String(text));
}

/// The path of `target` as seen from `folder`, both from the root of the tree.
pub(crate) fn relative(folder: &str, target: &str) -> String {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (folder, target) = (parts(folder), parts(target));
    let common = folder.iter().zip(&target).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..", folder.len() - common);
    let down = target.iter().skip(common).map(String::as_str);
    up.chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_folder_at_the_top() {
        assert_eq!(relative("", "a/b.yaml"), "a/b.yaml");
        assert_eq!(relative("overlay", "base/k.yaml"), "../base/k.yaml");
        assert_eq!(relative("a/b", "a/b/c"), "c");
    }

    #[test]
    fn a_maker_is_written_with_what_it_is_called() {
        let maker = Maker {
            file: "k.yaml".to_owned(),
            kind: "PrefixTransformer".to_owned(),
            name: "x".to_owned(),
            namespace: String::new(),
        };
        let text = "configuredIn: k.yaml\nconfiguredBy:\n  apiVersion: builtin\n  kind: \
                    PrefixTransformer\n  name: x\n";
        assert_eq!(Origin::Made(maker).text(), text);
        assert_eq!(Origin::File("a.yaml".to_owned()).text(), "path: a.yaml\n");
    }
}

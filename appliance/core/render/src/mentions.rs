//! What a kustomization may refer to, for whoever reads only that much of a large folder.
//!
//! No field is looked at for what it means: any text that could be a path is one. Too much does no
//! harm to who looks whether it is there, and nothing that a build reads is left out.

use serde_json::Value;

use crate::yaml::{self, Budget, Dialect};

/// Fields whose entries are configured in files of their own, or in text.
const PLUGINS: [&str; 3] = ["generators", "transformers", "validators"];
/// Longest path, in bytes: what Linux opens.
const PATH_BYTES_MAX: usize = 4096;

/// One text that may be a path, relative to the folder of the kustomization.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mention {
    /// The path as written.
    pub path: String,
    /// Whether the file it names, or those that the folder it names lists, may mention more: by
    /// paths that are relative to the folder of this kustomization, not to their own.
    pub plugin: bool,
}

/// The paths that a kustomization file, or the file of a plug-in, may mention. What cannot be read
/// mentions nothing: who builds it says why.
pub fn mentions(bytes: &[u8]) -> Vec<Mention> {
    let mut budget = Budget::default();
    let documents = yaml::parse(bytes, Dialect::Kustomization, &mut budget).unwrap_or_default();
    let mut found = Vec::new();
    for document in documents {
        let Value::Object(fields) = document.value else {
            collect(&document.value, false, &mut found);
            continue;
        };
        for (name, value) in fields {
            let plugin = PLUGINS.iter().any(|field| name.eq_ignore_ascii_case(field));
            if plugin {
                inline(&value, &mut budget, &mut found);
            }
            collect(&value, plugin, &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Plug-ins that are written in the kustomization itself.
fn inline(entries: &Value, budget: &mut Budget, found: &mut Vec<Mention>) {
    let texts = entries.as_array().into_iter().flatten().filter_map(Value::as_str);
    for text in texts.filter(|text| text.contains('\n')) {
        let documents = yaml::parse(text.as_bytes(), Dialect::Kustomization, budget);
        for document in documents.unwrap_or_default() {
            collect(&document.value, false, found);
        }
    }
}

fn collect(value: &Value, plugin: bool, found: &mut Vec<Mention>) {
    match value {
        Value::String(text) => {
            // Generators write `key=path`.
            let behind = text.split_once('=').map(|(_, path)| path);
            for path in std::iter::once(text.as_str()).chain(behind) {
                if is_path(path) {
                    found.push(Mention { path: path.to_owned(), plugin });
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, plugin, found)),
        Value::Object(map) => map.values().for_each(|item| collect(item, plugin, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= PATH_BYTES_MAX && !text.contains(['\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        mentions(text.as_bytes()).into_iter().map(|mention| mention.path).collect()
    }

    #[test]
    fn any_text_that_can_be_a_path_is_mentioned_once() {
        let text = "resources: [a, a, ../b]\nconfigMapGenerator: [{files: [k=c.txt]}]\n";
        assert_eq!(paths(text), ["../b", "a", "c.txt", "k=c.txt"]);
        assert_eq!(paths("patches:\n- patch: |-\n    a: b\n    c: d\n"), [""; 0]);
    }

    #[test]
    fn a_plugin_in_the_file_mentions_what_it_reads_and_one_beside_it_has_more_to_say() {
        let text = "transformers:\n- |-\n  kind: PatchTransformer\n  path: p.yaml\n- t.yaml\n";
        let found = mentions(text.as_bytes());
        let mention = |path: &str, plugin| Mention { path: path.to_owned(), plugin };
        assert!(found.contains(&mention("p.yaml", false)), "{found:?}");
        assert!(found.contains(&mention("t.yaml", true)), "{found:?}");
    }

    #[test]
    fn what_cannot_be_read_mentions_nothing() {
        assert!(mentions(b"a: [").is_empty() && mentions(b"\xff\xff").is_empty());
    }
}

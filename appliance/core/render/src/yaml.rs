//! YAML as Kubernetes tools read it: bytes to JSON values.
//!
//! The parser's events are composed here with the scalar rules of go-yaml ([`scalar`]), which is
//! what kustomize and Argo CD read with. Aliases and `<<` are expanded, under a budget: a few bytes
//! of aliases can stand for gigabytes.

mod compose;
pub(crate) mod emit;
mod scalar;

use std::borrow::Cow;

use fyr_model::TreeLimits;
use serde_json::Value;

/// Collections within collections. Far above any manifest, and safe to recurse into.
pub(crate) const DEPTH_MAX: usize = 100;

/// What is wrong with a YAML text, and where.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct YamlError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
    /// Whether it is only too large.
    limit: bool,
}

impl YamlError {
    pub(crate) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into(), limit: false }
    }

    pub(crate) fn over_limit(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into(), limit: true }
    }

    pub(crate) fn is_limit(&self) -> bool {
        self.limit
    }
}

/// How much one render may hold, counted after aliases are expanded.
#[derive(Debug)]
pub(crate) struct Budget {
    written: Size,
    aliased: Size,
    patched: Size,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            written: Size { nodes: Self::NODES_MAX, bytes: Self::BYTES_MAX },
            aliased: Size { nodes: Self::ALIASED_NODES_MAX, bytes: Self::ALIASED_BYTES_MAX },
            patched: Size { nodes: Self::PATCHED_NODES_MAX, bytes: Self::PATCHED_BYTES_MAX },
        }
    }
}

impl Budget {
    /// Scalars and collections of one render, as they are written: about 200 MiB of values at the
    /// worst, and a hundred times a large application.
    pub(crate) const NODES_MAX: usize = 1_000_000;

    /// Bytes of scalars of one render.
    pub(crate) const BYTES_MAX: usize = 64 * 1024 * 1024;

    /// Scalars and collections that aliases stand for. A few bytes of them stand for any number,
    /// and manifests have a handful.
    pub(crate) const ALIASED_NODES_MAX: usize = 100_000;

    /// Bytes of scalars that aliases stand for.
    pub(crate) const ALIASED_BYTES_MAX: usize = 8 * 1024 * 1024;

    /// Scalars and collections of patches, as often as they are applied: a large patch for
    /// thousands of objects adds itself to each.
    pub(crate) const PATCHED_NODES_MAX: usize = 2_000_000;

    /// Bytes of scalars of patches, as often as they are applied.
    pub(crate) const PATCHED_BYTES_MAX: usize = 64 * 1024 * 1024;

    /// Takes what is written from the budget; `None` when it is used up.
    pub(crate) fn take(&mut self, size: Size) -> Option<()> {
        self.written.take(size)
    }

    /// Takes what an alias stands for.
    pub(crate) fn take_aliased(&mut self, size: Size) -> Option<()> {
        self.aliased.take(size)
    }

    /// Takes a patch that is about to be applied to one object.
    pub(crate) fn take_patched(&mut self, size: Size) -> Option<()> {
        self.patched.take(size)
    }
}

/// What a value takes from the [`Budget`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    nodes: usize,
    bytes: usize,
}

impl Size {
    pub(crate) fn of(value: &Value) -> Self {
        let mut size = Self { nodes: 1, bytes: 0 };
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => size.bytes = text.len(),
            Value::Array(items) => items.iter().for_each(|item| size.add(Self::of(item))),
            Value::Object(map) => {
                for (key, item) in map {
                    size.add(Self { nodes: 0, bytes: key.len() });
                    size.add(Self::of(item));
                }
            }
        }
        size
    }

    pub(crate) fn of_all(values: &[Value]) -> Self {
        let mut size = Self::default();
        for value in values {
            size.add(Self::of(value));
        }
        size
    }

    /// About how many bytes of memory a value of this size takes: a key and a value in a map that
    /// is two thirds full.
    pub(crate) fn weight(self) -> usize {
        self.nodes * 100 + self.bytes
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.bytes += other.bytes;
    }

    fn take(&mut self, size: Self) -> Option<()> {
        self.nodes = self.nodes.checked_sub(size.nodes)?;
        self.bytes = self.bytes.checked_sub(size.bytes)?;
        Some(())
    }
}

/// In what two readers of YAML differ.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Dialect {
    /// Kubernetes' own reader: keys that are numbers or booleans become text.
    Kubernetes,
    /// Kustomize: such keys are errors, and the values of `metadata.annotations` are the text as
    /// written, so that `1.10` stays `1.10`.
    Kustomize,
    /// A patch of kustomize: the same, but `null` for an annotation deletes it.
    KustomizePatch,
    /// A kustomization file, and a JSON patch: read by way of JSON with the booleans of YAML 1.1,
    /// and of a key that comes twice the last one counts.
    Kustomization,
}

impl Dialect {
    /// Whether it is read as Kubernetes reads, by way of JSON.
    pub(crate) fn is_of_kubernetes(self) -> bool {
        matches!(self, Self::Kubernetes | Self::Kustomization)
    }
}

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    /// Line of its first node, from 1.
    pub(crate) line: usize,
    /// What it says.
    pub(crate) value: Value,
    /// The fields that are there without a value, `key:`. To most readers that is `null`.
    pub(crate) blanks: Vec<Blank>,
}

/// The way to a field without a value: names of fields, and numbers of items.
pub(crate) type Blank = Vec<String>;

/// Reads all documents of a file; empty ones are left out.
pub(crate) fn parse(
    bytes: &[u8],
    dialect: Dialect,
    budget: &mut Budget,
) -> Result<Vec<Document>, YamlError> {
    let limit = TreeLimits::FILE_BYTES_MAX;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        let why = format!("{} bytes are more than the limit of {limit}", bytes.len());
        return Err(YamlError::over_limit(1, why));
    }
    let text = decode(bytes)?;
    refuse_odd_breaks(&text)?;
    compose::documents(&text, dialect, budget)
}

/// Characters that end a line in YAML 1.1 and do not in YAML 1.2: what such a text means depends on
/// who reads it, and it is nearly always an accident.
const ODD_BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

fn refuse_odd_breaks(text: &str) -> Result<(), YamlError> {
    if text.is_ascii() {
        return Ok(());
    }
    let Some((place, found)) = text.match_indices(ODD_BREAKS).next() else { return Ok(()) };
    let line = 1 + text.get(..place).unwrap_or_default().matches('\n').count();
    let code = found.chars().next().map_or(0, u32::from);
    let why = format!(
        "the character U+{code:04X} ends a line for some readers and not for others; write it as \
         an escape in double quotes"
    );
    Err(YamlError::new(line, why))
}

/// Reads the one document of a text; nothing at all is `null`.
pub(crate) fn parse_one(
    bytes: &[u8],
    dialect: Dialect,
    budget: &mut Budget,
) -> Result<Value, YamlError> {
    let mut documents = parse(bytes, dialect, budget)?;
    if let Some(second) = documents.get(1) {
        let why = "a second document, where one is expected";
        return Err(YamlError::new(second.line, why));
    }
    Ok(documents.pop().map_or(Value::Null, |document| document.value))
}

/// UTF-8 with or without a mark, or UTF-16 with one.
fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let pairs = bytes.get(2..).unwrap_or_default().chunks(2);
        let units = pairs.map(|pair| {
            let byte = |index| pair.get(index).copied().unwrap_or_default();
            unit([byte(0), byte(1)])
        });
        char::decode_utf16(units).collect::<Result<String, _>>().map(Cow::Owned)
    };
    let bad = |line: usize, what: &str| YamlError::new(line, format!("it is not {what}"));
    match bytes {
        [0xff, 0xfe, ..] => utf16(u16::from_le_bytes).map_err(|_| bad(1, "UTF-16")),
        [0xfe, 0xff, ..] => utf16(u16::from_be_bytes).map_err(|_| bad(1, "UTF-16")),
        _ => {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = std::str::from_utf8(text).map_err(|error| {
                let before = text.get(..error.valid_up_to()).unwrap_or_default();
                bad(1 + String::from_utf8_lossy(before).matches('\n').count(), "UTF-8")
            })?;
            Ok(Cow::Borrowed(text))
        }
    }
}

/// What a text means as a plain scalar of kustomize.
pub(crate) fn plain_value(text: &str) -> Value {
    scalar::plain(text, Dialect::Kustomize).unwrap_or_else(|_| Value::from(text))
}

/// A scalar as text.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;

//! What goes to standard output, and in which form.

use std::io::{self, BufWriter, Write};

use clap::{Args, ValueEnum};
use fyr_model::api::ErrorCode;
use serde::Serialize;

use crate::exit::Failure;

/// Bytes written to standard output at a time: as many as a pipe holds.
const BUFFER_BYTES: usize = 64 * 1024;

/// Forms of output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// For people, with everything
    Wide,
    /// The types of /api/v1 as JSON
    Json,
    /// The same as YAML
    Yaml,
    /// One kind/name a line, for xargs
    Name,
}

impl Format {
    /// Whether people read it as it comes.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// The form of what a command prints.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArguments {
    /// Form of the output
    #[arg(short = 'o', long = "output", value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Prints a value in the form that was asked for.
pub(crate) fn show<T: Serialize>(
    format: Format,
    value: &T,
    table: impl FnOnce(bool) -> String,
    names: impl FnOnce() -> Vec<String>,
) -> Result<(), Failure> {
    let text = match format {
        Format::Table => table(false),
        Format::Wide => table(true),
        Format::Json => json(value)?,
        Format::Yaml => yaml(value)?,
        Format::Name => names().into_iter().map(|name| name + "\n").collect(),
    };
    write(&text)
}

/// A value as JSON over several lines.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => Err(Failure::of(ErrorCode::Internal, &error)),
    }
}

/// A value as one line of JSON, for streams.
pub(crate) fn json_line<T: Serialize>(value: &T) -> Result<String, Failure> {
    match serde_json::to_string(value) {
        Ok(text) => Ok(text + "\n"),
        Err(error) => Err(Failure::of(ErrorCode::Internal, &error)),
    }
}

/// Characters of a line of YAML that is not broken: text stays on one line, so that a difference
/// is where the change is.
const YAML_LINE_CHARS: usize = 1_000_000;

/// A value as YAML, long lines unbroken.
pub(crate) fn yaml<T: Serialize>(value: &T) -> Result<String, Failure> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: YAML_LINE_CHARS };
    match serde_saphyr::to_string_with_options(value, options) {
        Ok(text) => Ok(text.trim_end_matches('\n').to_owned() + "\n"),
        Err(error) => Err(Failure::of(ErrorCode::Internal, &error)),
    }
}

/// Writes to standard output at once. That nobody reads any more is no error but an early end.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    write_parts([text])
}

/// Writes texts to standard output, one behind the other.
pub(crate) fn write_parts(parts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), Failure> {
    let mut stdout = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    let written = parts
        .into_iter()
        .try_for_each(|part| stdout.write_all(part.as_ref().as_bytes()))
        .and_then(|()| stdout.flush());
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::reader_gone()),
        Err(error) => {
            let message = format!("cannot write to standard output: {error}");
            Err(Failure::new(ErrorCode::File, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn yaml_reads_back_as_what_it_was() {
        let long = "word ".repeat(100);
        let value = json!({
            "bool": true, "text-bool": "true", "number": "0123", "null": null, "empty": {},
            "list": [1, "a: b", ["x"]], "long": long, "lines": "a\nb\n\n", "tail": "a\n  b",
            "quote": "it's \"so\"", "colon": "a: b # c", "time": "2024-01-01", "none": [],
        });
        let text = yaml(&value).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&text).unwrap(), value, "{text}");
    }

    #[test]
    fn long_text_stays_on_one_line_of_yaml() {
        let long = "word ".repeat(100);
        let text = yaml(&json!({ "a": long.trim(), "b": 1 })).unwrap();
        assert!(text.lines().any(|line| line.contains(long.trim())), "{text}");
    }
}

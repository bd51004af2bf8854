//! `fyr cluster add`: prints what makes a cluster known, and talks to nobody.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fyr_model::api::ErrorCode;

use super::kubeconfig::{self, KubeconfigError};
use super::manifest::{self, Options};
use super::rbac::{self, Rights};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::style::{Paint, clean, painted, push};

/// Largest file that is read, in bytes: a kubeconfig of many clusters is some hundred KiB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Print the Secret of a cluster and a manifest of the rights Fyr needs on it
///
/// Nothing is changed anywhere: put the Secret into a file that appliance.yaml names, and apply
/// the other manifest to the cluster.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr cluster add --kubeconfig prod.kubeconfig --name prod-eu\n  \
    fyr cluster add --kubeconfig prod.kubeconfig --name prod-eu --output rbac | kubectl apply -f -\n  \
    fyr cluster add --kubeconfig prod.kubeconfig --name prod-eu --token-file token --output secret")]
pub(crate) struct AddArguments {
    /// The kubeconfig to read
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// What to call the cluster
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Context of the kubeconfig; its current one if absent
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    #[arg(long, help = "Let https://kubernetes.default.svc in Applications mean this cluster")]
    in_cluster: bool,
    /// Look only at these namespaces, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// What Fyr may do there
    #[arg(long, value_enum, value_name = "RIGHTS", default_value_t)]
    rbac: Rights,
    /// Use the token in this file instead of the credentials of the kubeconfig
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// What to print
    #[arg(short, long, value_enum, value_name = "PART", default_value_t)]
    output: Part,
}

/// What to print.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Both
    #[default]
    All,
    /// The Secret
    Secret,
    /// The manifest of rights
    Rbac,
}

pub(crate) fn run(context: &Context, arguments: &AddArguments) -> Result<Exit, Failure> {
    for namespace in &arguments.namespaces {
        if !is_namespace(namespace) {
            let message = format!("{namespace:?} cannot be the name of a namespace");
            return Err(Failure::new(ErrorCode::InvalidRequest, message));
        }
    }
    let mut parts = Vec::new();
    if arguments.output != Part::Rbac {
        parts.push(secret(context, arguments)?);
    }
    if arguments.output != Part::Secret {
        parts.push(rbac::manifest(arguments.rbac, &arguments.namespaces, &again(arguments)));
    }
    output::write(&parts.join("---\n"))?;
    Ok(Exit::Done)
}

fn secret(context: &Context, arguments: &AddArguments) -> Result<String, Failure> {
    let text = text_of(&arguments.kubeconfig)?;
    let token = arguments.token_file.as_ref().map(|path| text_of(path)).transpose()?;
    // Files that a kubeconfig names are relative to its folder, as in client-go.
    let folder = arguments.kubeconfig.parent().unwrap_or(Path::new(""));
    let file = |path: &Path| read_file(&folder.join(path));
    let target = kubeconfig::read(&text, arguments.context.as_deref(), token.as_deref(), &file)
        .map_err(|error| refused(&arguments.kubeconfig, &error))?;
    let options = Options {
        name: arguments.name.clone(),
        in_cluster: arguments.in_cluster,
        namespaces: arguments.namespaces.clone(),
    };
    let manifest = manifest::secret(&target, &options)
        .map_err(|error| Failure::of(ErrorCode::Kubeconfig, &error))?;
    for warning in &manifest.warnings {
        let word = painted("warning", Paint::Warn, context.colours_on_stderr());
        context.tell_line(&format!("{word}: {}", clean(warning)));
    }
    Ok(manifest.text)
}

fn refused(path: &Path, error: &KubeconfigError) -> Failure {
    let message = format!("cannot add a cluster from {}", path.display());
    let failure = Failure::caused(ErrorCode::Kubeconfig, message, error);
    match error {
        KubeconfigError::Program { .. } | KubeconfigError::Impersonation { .. } => failure
            .with_hint(
                "give Fyr an identity of its own: apply the manifest that --output rbac prints, \
                 then use the token of its service account with --token-file",
            ),
        _ => failure,
    }
}

/// The command that makes the Secret from the token of Fyr's own identity.
fn again(arguments: &AddArguments) -> String {
    let mut line = format!(
        "fyr cluster add --kubeconfig {} --name {}",
        quoted(&arguments.kubeconfig.to_string_lossy()),
        quoted(&arguments.name)
    );
    if let Some(context) = &arguments.context {
        push!(line, " --context {}", quoted(context));
    }
    if arguments.in_cluster {
        line.push_str(" --in-cluster");
    }
    if !arguments.namespaces.is_empty() {
        push!(line, " --namespaces {}", arguments.namespaces.join(","));
    }
    line + " --token-file token --output secret"
}

/// A word for a shell, on one line.
fn quoted(text: &str) -> String {
    let text = clean(text);
    let plain = |letter: char| letter.is_alphanumeric() || "-_./@:".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// RFC 1123 label, as Kubernetes asks for.
fn is_namespace(name: &str) -> bool {
    let letters = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    letters
        && !name.is_empty()
        && name.len() <= 63
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let read = read_file(path)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text")));
    read.map_err(|error| {
        Failure::caused(ErrorCode::File, format!("cannot read {}", path.display()), &error)
    })
}

/// A regular file, up to the limit: a kubeconfig may come from somebody else, and name a device.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    // One byte more than allowed, so that "exactly the limit" and "over it" differ.
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("a/b.kubeconfig"), "a/b.kubeconfig");
        assert_eq!(quoted("it's\nso"), "'it'\\''s so'");
    }

    #[test]
    fn a_namespace_that_would_change_the_manifest_is_refused() {
        assert!(is_namespace("shop-1"));
        for wrong in ["", "a: b", "x\ny", "-a", "A", "a-"] {
            assert!(!is_namespace(wrong), "{wrong:?}");
        }
    }
}

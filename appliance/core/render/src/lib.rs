//! Turns a source tree into Kubernetes objects: kustomize and plain directories.
//!
//! Pure: the same tree and the same request give the same objects in the same order. Nothing is
//! fetched; what would need the network, a process or a plug-in is an error.
//! What the tree says is untrusted: reading it is bounded by the limits of `yaml` and
//! `kustomize`, whose names end in `_MAX`.

#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod build;
mod directory;
mod edit;
mod error;
mod facts;
mod file_names;
mod kustomize;
mod locate;
mod mentions;
mod overrides;
mod parsed;
mod reader;
mod yaml;

use std::fmt;
use std::sync::atomic::AtomicBool;

use fyr_model::{BuildEnvironment, DirectoryOptions, Object, SourceTree, Tool};

pub use self::build::{build, to_yaml, yaml_documents};
pub use self::edit::{EditError, set_images};
pub use self::error::RenderError;
pub use self::facts::Facts;
pub use self::file_names::file_names;
pub use self::kustomize::file::FILE_NAMES as KUSTOMIZATION_FILES;
pub use self::mentions::{Mention, mentions};
pub use self::overrides::override_files;
pub use self::parsed::{ParsedFile, ParsedFiles, ParsedKey};
pub use self::reader::LoadRestrictor;
pub use self::yaml::YamlError;
use crate::reader::Reader;

/// What to render.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The files of one revision.
    pub tree: &'a SourceTree,
    /// Folder of the tree; `.` or empty is its root.
    pub path: &'a str,
    /// How it is rendered.
    pub tool: &'a Tool,
    /// What `$ARGOCD_APP_NAME` and the like expand to.
    pub environment: &'a BuildEnvironment,
    /// Name of the application: `.argocd-source.yaml` and `.argocd-source-NAME.yaml` change the
    /// tool's options. `None` renders the folder for itself, as `kustomize build` does.
    pub application: Option<&'a str>,
    /// Where the files of a kustomization may be.
    pub load_restrictor: LoadRestrictor,
    /// Where files that were read before are kept; `None` reads everything anew.
    pub parsed: Option<&'a dyn ParsedFiles>,
    /// Ends the render with [`RenderError::Stopped`] soon after it becomes true: whoever asks for
    /// a render has the clock.
    pub stop: Option<&'a AtomicBool>,
}

/// What a folder says.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The objects, in the order of the tool.
    pub objects: Vec<Object>,
    /// What was left out, for people.
    pub warnings: Vec<Warning>,
    /// What the folder turned out to be.
    pub kind: SourceKind,
    /// What was looked at: while it holds, the same request renders alike.
    pub facts: Facts,
}

/// What renders a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SourceKind {
    /// Kustomize.
    Kustomize,
    /// A plain directory.
    Directory,
}

/// Something in the tree that had no effect.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Warning {
    /// The file it is about.
    pub path: String,
    /// What it is.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// Renders a folder of a source tree.
pub fn render(request: &Request<'_>) -> Result<Rendered, RenderError> {
    let mut reader = Reader::new(request.tree, request.load_restrictor)
        .with_parsed(request.parsed)
        .with_stop(request.stop);
    let rendered = render_with(&mut reader, request);
    let (objects, warnings, kind) =
        rendered.map_err(|error| locate::with_line(error, reader.files()))?;
    Ok(Rendered { objects, warnings, kind, facts: reader.into_facts() })
}

fn render_with(
    reader: &mut Reader<'_>,
    request: &Request<'_>,
) -> Result<(Vec<Object>, Vec<Warning>, SourceKind), RenderError> {
    let folder = reader.folder(request.path)?;
    let (tool, unused) = match request.application {
        Some(name) => (overrides::effective_tool(reader, &folder, name, request.tool)?, None),
        None => (request.tool.clone(), overrides::unused(reader, &folder)?),
    };
    let is_kustomize = match &tool {
        Tool::Kustomize(_) => true,
        Tool::Directory(_) => false,
        Tool::Detect => kustomize::file_in(reader, &folder)?.is_some(),
    };
    let (objects, mut warnings) = match &tool {
        Tool::Kustomize(options) => {
            let given = Some((options, request.environment));
            (kustomize::render(reader, &folder, given)?, Vec::new())
        }
        Tool::Detect if is_kustomize => (kustomize::render(reader, &folder, None)?, Vec::new()),
        Tool::Detect => directory::read(reader, &folder, &DirectoryOptions::default())?,
        Tool::Directory(options) => directory::read(reader, &folder, options)?,
    };
    warnings.extend(unused);
    let kind = if is_kustomize { SourceKind::Kustomize } else { SourceKind::Directory };
    Ok((objects, warnings, kind))
}

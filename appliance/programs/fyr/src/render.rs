//! Renders a folder of this machine with the renderer of the daemon.

use std::path::Path;

use fyr_model::api::ErrorCode;
use fyr_model::{BuildEnvironment, DirectoryOptions, Tool, TreeLimits};
use fyr_render::{Rendered, Request};

use crate::build::RenderArguments;
use crate::context::Context;
use crate::exit::Failure;
use crate::source_folder::{self, Extent};
use crate::style::{Paint, clean, painted};

/// Renders a folder, for itself or as the source of an Application; what was left out is told on
/// standard error.
pub(crate) fn folder(
    context: &Context,
    folder: &Path,
    arguments: RenderArguments,
    application: Option<&str>,
) -> Result<Rendered, Failure> {
    let extent = Extent { deep: arguments.recurse, application };
    let source = source_folder::read(folder, extent, TreeLimits::default())
        .map_err(|error| Failure::of(ErrorCode::File, &error))?;
    let tool = if arguments.recurse {
        Tool::Directory(DirectoryOptions { recurse: true, ..DirectoryOptions::default() })
    } else {
        Tool::Detect
    };
    let request = Request {
        tree: &source.tree,
        path: &source.path,
        tool: &tool,
        environment: &BuildEnvironment::default(),
        application,
        load_restrictor: arguments.load_restrictor.into(),
        parsed: None,
        stop: None,
    };
    let rendered = fyr_render::render(&request).map_err(|error| failed(folder, &error))?;
    // The program ends soon, and with it all memory at once.
    std::mem::forget(source);
    for warning in &rendered.warnings {
        warn(context, &warning.to_string());
    }
    Ok(rendered)
}

fn failed(folder: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::caused(ErrorCode::Render, format!("cannot render {}", folder.display()), error)
}

/// Tells what to know on standard error.
pub(crate) fn warn(context: &Context, text: &str) {
    let word = painted("warning", Paint::Warn, context.colours_on_stderr());
    context.tell_line(&format!("{word}: {}", clean(text)));
}

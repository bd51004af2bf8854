//! `fyr edit`: changes to a kustomization file, for pipelines.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use fyr_model::TreeLimits;
use fyr_model::api::ErrorCode;
use fyr_render::{KUSTOMIZATION_FILES, set_images};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::whole_file;

/// Change a kustomization file and leave the rest of it as it is
#[derive(Debug, Subcommand)]
pub(crate) enum EditCommand {
    /// Set a field
    #[command(subcommand)]
    Set(SetCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetCommand {
    Image(ImageArguments),
}

/// Set images and their tags, as `kustomize edit set image` does
///
/// Each image is OLD=NEW:TAG@DIGEST, with OLD=, :TAG or @DIGEST left out where they say nothing; a
/// `*` keeps a part as it is. Comments, the order of lines and their layout stay; an image that is not
/// in the file yet is added at the end of its list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr edit set image registry.example.org/shop:$TAG\n  \
    fyr edit set image shop=registry.example.org/shop:$TAG --dir overlays/production\n  \
    fyr edit set image 'shop=*@sha256:...'              # the name stays as it is")]
pub(crate) struct ImageArguments {
    /// The images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// The folder of the kustomization file, or the file
    #[arg(long, value_name = "PATH", default_value = ".")]
    dir: PathBuf,
}

pub(crate) fn run(context: &Context, command: &EditCommand) -> Result<Exit, Failure> {
    let EditCommand::Set(SetCommand::Image(arguments)) = command;
    let file = file_in(&arguments.dir)?;
    let text = read(&file)?;
    let changed = set_images(&text, &arguments.images).map_err(|error| {
        let what = format!("cannot set images in {}", file.display());
        Failure::caused(ErrorCode::InvalidRequest, what, &error)
    })?;
    if changed == text {
        context.tell_line(&format!("{} says so already", file.display()));
        return Ok(Exit::Done);
    }
    whole_file::write(&file, &changed).map_err(|error| {
        Failure::caused(ErrorCode::File, format!("cannot write {}", file.display()), &error)
    })?;
    context.tell_line(&format!("changed {}", file.display()));
    Ok(Exit::Done)
}

/// The kustomization file at a path.
fn file_in(path: &Path) -> Result<PathBuf, Failure> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let files = KUSTOMIZATION_FILES.map(|name| path.join(name));
    let mut found = files.into_iter().filter(|file| file.is_file());
    let folder = path.display();
    match (found.next(), found.next()) {
        (Some(file), None) => Ok(file),
        (Some(_), Some(_)) => {
            let what = format!("{folder} has more than one kustomization file");
            Err(Failure::new(ErrorCode::File, what))
        }
        (None, _) => {
            let names = KUSTOMIZATION_FILES.join(", ");
            let what = format!("there is no kustomization file in {folder}: none of {names}");
            Err(Failure::new(ErrorCode::File, what))
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |error: &io::Error| {
        Failure::caused(ErrorCode::File, format!("cannot read {}", file.display()), error)
    };
    let bytes = fs::metadata(file).map_err(|error| failed(&error))?.len();
    let limit = TreeLimits::FILE_BYTES_MAX;
    if bytes > limit {
        let file = file.display();
        let what = format!("{file} has {bytes} bytes, over the limit of {limit}");
        return Err(Failure::new(ErrorCode::File, what));
    }
    fs::read_to_string(file).map_err(|error| failed(&error))
}

//! `fyr build`: renders a folder, without the daemon.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use fyr_model::Object;
use fyr_model::api::ErrorCode;
use fyr_render::to_yaml;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::render;

/// Render a folder as the daemon would
///
/// A folder with a kustomization is built with it; from any other the manifests in it are taken.
/// Nothing is fetched and nothing is run.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr build overlays/production | kubectl diff -f -\n  \
    fyr build overlays/production -o rendered.yaml\n  \
    fyr build overlays/production -o rendered/          # one file an object")]
pub(crate) struct BuildArguments {
    /// The folder
    dir: PathBuf,
    /// Write to this file, or one file an object if it is a folder or ends in /
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    render: RenderArguments,
}

/// How a folder is rendered.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RenderArguments {
    /// Take the manifests of the folders below too, as directory.recurse of an Application
    #[arg(long)]
    pub(crate) recurse: bool,
}

pub(crate) fn run(context: &Context, arguments: &BuildArguments) -> Result<Exit, Failure> {
    let rendered = render::folder(context, &arguments.dir, arguments.render)?;
    match &arguments.output {
        None => output::write(&to_yaml(&rendered.objects))?,
        Some(path) if is_folder(path) => write_each(path, &rendered.objects)?,
        Some(path) => write(path, &to_yaml(&rendered.objects))?,
    }
    Ok(Exit::Done)
}

fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

fn write_each(folder: &Path, objects: &[Object]) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    for object in objects {
        write(&folder.join(file_name(object)), &to_yaml([object]))?;
    }
    Ok(())
}

/// `apps_v1_deployment_web.yaml`, and with the namespace in front where there is one: two objects
/// of one build never have the same name.
fn file_name(object: &Object) -> String {
    let api_version = object.gvk().api_version();
    let parts = [
        object.namespace().unwrap_or_default(),
        &api_version,
        &object.kind().to_lowercase(),
        object.name(),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|part| !part.is_empty())
        // Names may hold colons, and from a manifest anything.
        .map(|part| {
            part.replace(
                |letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '.',
                "_",
            )
        })
        .collect();
    format!("{}.yaml", parts.join("_"))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::caused(ErrorCode::File, format!("cannot write {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str) -> Object {
        Object::parse(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": name, "namespace": "shop"},
        }))
        .unwrap()
    }

    #[test]
    fn a_file_is_named_after_its_object_and_stays_in_its_folder() {
        assert_eq!(
            file_name(&object("system:web")),
            "shop_rbac.authorization.k8s.io_v1_role_system_web.yaml"
        );
        assert!(!file_name(&object("../../etc/passwd")).contains('/'));
    }
}

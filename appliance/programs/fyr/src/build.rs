//! `fyr build`: renders a folder, without the daemon.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fyr_model::Object;
use fyr_model::api::{ErrorCode, RenderAnswer, RenderQuery};
use fyr_render::{LoadRestrictor, to_yaml};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::{client, mirrored, render, whole_file};

/// Render a folder as the daemon would
///
/// A folder with a kustomization is built with it; from any other the manifests in it are taken.
/// Nothing is fetched and nothing is run.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr build overlays/production | kubectl diff -f -\n  \
    fyr build overlays/production -o rendered.yaml\n  \
    fyr build overlays/production -o rendered/          # one file an object\n  \
    fyr build 'git@git.example.org:org/infra.git//overlays/production?ref=v1.2'")]
pub(crate) struct BuildArguments {
    /// The folder; or REPO//PATH?ref=REVISION, a folder of a repository that the daemon mirrors
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Write to this file, or one file an object if it is a folder or ends in /
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    render: RenderArguments,
    #[command(flatten)]
    foreign: ForeignArguments,
}

/// Options of `kustomize build` that ask for something that is not done here: each is told apart
/// from a mistake in typing.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct ForeignArguments {
    #[arg(long, hide = true)]
    enable_helm: bool,
    #[arg(long, hide = true, value_name = "PROGRAM")]
    helm_command: Option<String>,
    #[arg(long, hide = true)]
    enable_exec: bool,
    #[arg(long, hide = true)]
    enable_alpha_plugins: bool,
    #[arg(long, hide = true)]
    network: bool,
    #[arg(long, hide = true, value_name = "NAME=VALUE")]
    env: Vec<String>,
    #[arg(long, hide = true, value_name = "MOUNT")]
    mount: Vec<String>,
}

impl ForeignArguments {
    /// What to do instead of the first option that is set.
    fn refusal(&self) -> Option<&'static str> {
        if self.enable_helm || self.helm_command.is_some() {
            return Some(
                "Helm charts are not rendered: render the chart with `helm template` and commit \
                 what it prints",
            );
        }
        let runs = self.enable_exec
            || self.enable_alpha_plugins
            || self.network
            || !self.env.is_empty()
            || !self.mount.is_empty();
        runs.then_some(
            "nothing is run while rendering, neither programs nor containers: run the function \
             in CI and commit what it prints",
        )
    }
}

/// Where the files may be that a kustomization names, in kustomize's words.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Restrictor {
    /// In its own folder or below it
    #[default]
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Anywhere
    #[value(name = "LoadRestrictionsNone")]
    None,
}

impl From<Restrictor> for LoadRestrictor {
    fn from(restrictor: Restrictor) -> Self {
        match restrictor {
            Restrictor::RootOnly => Self::RootOnly,
            Restrictor::None => Self::None,
        }
    }
}

/// How a folder is rendered.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RenderArguments {
    /// Where the files may be that a kustomization names; the daemon has them in its own folder
    #[arg(long, value_enum, default_value_t, value_name = "RULE")]
    pub(crate) load_restrictor: Restrictor,
    /// Take the manifests of the folders below too, as directory.recurse of an Application
    #[arg(long)]
    pub(crate) recurse: bool,
}

pub(crate) async fn run(context: &Context, arguments: &BuildArguments) -> Result<Exit, Failure> {
    if let Some(what) = arguments.foreign.refusal() {
        return Err(Failure::new(ErrorCode::InvalidRequest, what));
    }
    if let Some(mirrored) = mirrored::parse(&arguments.dir)? {
        return from_mirror(context, arguments, &mirrored).await;
    }
    let rendered = render::folder(context, &arguments.dir, arguments.render)?;
    match &arguments.output {
        None => output::write(&to_yaml(&rendered.objects))?,
        Some(path) if is_folder(path) => write_each(path, &rendered.objects)?,
        Some(path) => write(path, &to_yaml(&rendered.objects))?,
    }
    // The program ends now, and with it all memory at once.
    std::mem::forget(rendered);
    Ok(Exit::Done)
}

/// Renders a folder of a mirror: the daemon does it, and fetches nothing for it.
async fn from_mirror(
    context: &Context,
    arguments: &BuildArguments,
    mirrored: &RenderQuery,
) -> Result<Exit, Failure> {
    let is_plain = matches!(arguments.render.load_restrictor, Restrictor::RootOnly)
        && !arguments.render.recurse
        && !arguments.output.as_deref().is_some_and(is_folder);
    if !is_plain {
        let what = "a folder of a mirror is rendered as the daemon renders it, to one stream: \
                    without --load-restrictor, --recurse and a folder for --output";
        return Err(Failure::new(ErrorCode::InvalidRequest, what));
    }
    let RenderQuery { repository, path, revision } = mirrored;
    let query = client::query([
        ("repository", Some(repository.as_str())),
        ("path", Some(path)),
        ("revision", Some(revision)),
    ]);
    let answer: RenderAnswer = context.client.get(&format!("/api/v1/render{query}")).await?;
    for warning in &answer.warnings {
        render::warn(context, warning);
    }
    match &arguments.output {
        None => output::write(&answer.manifests)?,
        Some(path) => write(path, &answer.manifests)?,
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
    whole_file::write(path, text).map_err(|error| cannot_write(path, &error))
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

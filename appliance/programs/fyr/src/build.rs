//! `fyr build`: renders a folder, without the daemon.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fyr_model::Object;
use fyr_model::api::{ErrorCode, RenderAnswer, RenderQuery};
use fyr_render::{LoadRestrictor, SourceKind, file_names, to_yaml, yaml_documents};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::{client, mirrored, render, whole_file};

/// Render a folder as kustomize build does
///
/// A folder is built with its kustomization file. Nothing is fetched and nothing is run.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr build overlays/production | kubectl diff -f -\n  \
    fyr build overlays/production -o rendered.yaml\n  \
    fyr build overlays/production -o rendered/          # one file an object\n  \
    fyr build --directory manifests                     # a folder without a kustomization file\n  \
    fyr build overlays/production --app shop            # with the overrides of an Application\n  \
    fyr build 'git@git.example.org:org/infra.git//overlays/production?ref=v1.2'")]
pub(crate) struct BuildArguments {
    /// The folder; or REPO//PATH?ref=REVISION, a folder of a repository that the daemon mirrors
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Write to this file, or one file an object if it is a folder or ends in /
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Take the manifests of a folder without a kustomization file, as an Application does
    #[arg(long)]
    directory: bool,
    /// Apply .argocd-source.yaml and .argocd-source-NAME.yaml too, as for this Application
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    #[command(flatten)]
    render: RenderArguments,
    #[command(flatten)]
    foreign: ForeignArguments,
}

/// Options of `kustomize build` that ask for something that is not done here: each is told apart
/// from a mistake in typing.
#[derive(Args, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct ForeignArguments {
    #[arg(long, hide = true)]
    enable_helm: bool,
    #[arg(long, hide = true, value_name = "PROGRAM")]
    helm_command: Option<String>,
    #[arg(long, hide = true, value_name = "VERSION")]
    helm_kube_version: Option<String>,
    #[arg(long, hide = true, value_name = "VERSION")]
    helm_api_versions: Vec<String>,
    #[arg(long, hide = true)]
    helm_debug: bool,
    #[arg(long, hide = true)]
    enable_exec: bool,
    #[arg(long, hide = true)]
    enable_alpha_plugins: bool,
    #[arg(long, hide = true)]
    network: bool,
    #[arg(long, hide = true, value_name = "NETWORK")]
    network_name: Option<String>,
    #[arg(long, hide = true)]
    as_current_user: bool,
    #[arg(short, long, hide = true, value_name = "NAME=VALUE")]
    env: Vec<String>,
    #[arg(long, hide = true, value_name = "MOUNT")]
    mount: Vec<String>,
}

impl ForeignArguments {
    /// What to do instead of the first option that is set.
    fn refusal(&self) -> Option<&'static str> {
        let helm = self.enable_helm
            || self.helm_debug
            || self.helm_command.is_some()
            || self.helm_kube_version.is_some()
            || !self.helm_api_versions.is_empty();
        if helm {
            return Some(
                "Helm charts are not rendered: render the chart with `helm template` and commit \
                 what it prints",
            );
        }
        let runs = self.enable_exec
            || self.enable_alpha_plugins
            || self.network
            || self.network_name.is_some()
            || self.as_current_user
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
    let app = arguments.app.as_deref();
    let rendered = render::folder(context, &arguments.dir, arguments.render, app)?;
    let wants_manifests = arguments.directory || arguments.render.recurse;
    if rendered.kind == SourceKind::Directory && !wants_manifests {
        let what = format!("there is no kustomization file in {}", arguments.dir.display());
        return Err(Failure::new(ErrorCode::Render, what)
            .with_hint("--directory takes the manifests in it, as an Application does"));
    }
    match &arguments.output {
        None => output::write_parts(yaml_documents(&rendered.objects))?,
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
    let RenderQuery { repository, path, revision, .. } = mirrored;
    let query = client::query([
        ("repository", Some(repository.as_str())),
        ("path", Some(path)),
        ("revision", Some(revision)),
        ("application", arguments.app.as_deref()),
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

/// Writes one file an object. Nothing is written if two would get the same one.
fn write_each(folder: &Path, objects: &[Object]) -> Result<(), Failure> {
    let names = file_names(objects);
    let mut seen = BTreeSet::new();
    if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
        let what = format!("two objects would be written to {}", folder.join(name).display());
        return Err(Failure::new(ErrorCode::File, what)
            .with_hint("their names differ in capital letters only: write them to one file"));
    }
    fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    for (name, object) in names.iter().zip(objects) {
        write(&folder.join(name), &to_yaml([object]))?;
    }
    Ok(())
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

    #[test]
    fn two_objects_never_overwrite_each_other() {
        let role = |name: &str| {
            let api_version = "rbac.authorization.k8s.io/v1";
            let metadata = json!({"name": name});
            Object::parse(json!({"apiVersion": api_version, "kind": "Role", "metadata": metadata}))
        };
        let folder = tempfile::tempdir().unwrap();
        let objects = [role("a").unwrap(), role("A").unwrap()];
        assert!(write_each(folder.path(), &objects).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        write_each(folder.path(), &objects[1..]).unwrap();
        assert!(folder.path().join("rbac.authorization.k8s.io_v1_role_a.yaml").is_file());
    }

    #[test]
    fn every_option_of_kustomize_that_is_not_taken_says_what_to_do() {
        let refusal = |set: fn(&mut ForeignArguments)| {
            let mut foreign = ForeignArguments::default();
            set(&mut foreign);
            foreign.refusal().unwrap()
        };
        assert!(refusal(|all| all.enable_helm = true).contains("helm template"));
        assert!(refusal(|all| all.helm_kube_version = Some("1".into())).contains("helm template"));
        assert!(refusal(|all| all.env = vec!["A=b".into()]).contains("in CI"));
        assert!(refusal(|all| all.as_current_user = true).contains("in CI"));
        assert!(ForeignArguments::default().refusal().is_none());
    }
}

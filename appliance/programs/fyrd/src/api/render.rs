//! What a folder of a mirrored repository renders to.

use std::sync::atomic::AtomicBool;

use fyr_model::api::{ErrorCode, Problem, RenderAnswer, RenderQuery};
use fyr_model::{BuildEnvironment, Source, Tool, canonical_repo_url};
use fyr_render::{LoadRestrictor, RenderError, Rendered, Request, to_yaml};
use fyr_web::Answer;

use super::Api;
use crate::application::source::resolve_one;
use crate::repository::Repository;

impl Api {
    /// Renders a folder from the mirror; nothing is fetched for it.
    pub(super) async fn rendered(&self, query: &RenderQuery) -> Answer<RenderAnswer> {
        let repository = self.mirrored(&query.repository)?;
        let source = Source {
            repo_url: query.repository.clone(),
            path: query.path.clone(),
            target_revision: query.revision.clone(),
            tool: Tool::Detect,
        };
        let (commit, warning) = resolve_one(&source, &repository).await.map_err(|error| {
            Problem::new(ErrorCode::InvalidRequest, error.to_string())
                .because(&error)
                .with_hint("fyr repo list says when the repository was fetched")
        })?;
        let snapshot = repository.snapshot(&commit).await.map_err(|error| {
            Problem::new(ErrorCode::RepositoryUnreachable, error.to_string()).because(&error)
        })?;
        let (path, application) = (query.path.clone(), query.application.clone());
        let render = move |stop: &AtomicBool| -> Result<(Rendered, String), RenderError> {
            let rendered = fyr_render::render(&Request {
                tree: &snapshot.tree,
                path: &path,
                tool: &Tool::Detect,
                environment: &BuildEnvironment::default(),
                application: application.as_deref(),
                load_restrictor: LoadRestrictor::RootOnly,
                parsed: None,
                stop: Some(stop),
            })?;
            let manifests = to_yaml(&rendered.objects);
            Ok((rendered, manifests))
        };
        let failed = || format!("cannot render {:?} at {}", query.path, commit.short());
        let Some(result) = self.context.render(render).await else {
            return Err(Problem::new(ErrorCode::Internal, failed()));
        };
        let (rendered, manifests) = result.map_err(|error| {
            let mut problem = Problem::new(ErrorCode::Render, failed());
            problem.causes.push(error.to_string());
            problem.because(&error)
        })?;
        let warnings = rendered.warnings.iter().map(ToString::to_string);
        Ok(RenderAnswer {
            revision: commit.to_string(),
            manifests,
            warnings: warning.into_iter().chain(warnings).collect(),
        })
    }

    /// The repository in use that a URL means.
    fn mirrored(&self, url: &str) -> Answer<Repository> {
        let canonical = canonical_repo_url(url);
        let all = self.context.repositories.all();
        all.into_iter().find(|repository| repository.url() == canonical).ok_or_else(|| {
            Problem::new(ErrorCode::NoSuchRepository, format!("there is no mirror of {url}"))
                .with_hint(
                    "fyr repo list shows those there are; an Application or the fleet has to use it",
                )
        })
    }
}

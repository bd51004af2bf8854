//! `fyr diff`: a folder against another folder, or against an application's cluster; and how
//! differences are printed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use fyr_model::Object;
use fyr_model::api::{DiffRequest, DiffResponse, ObjectDiff, ResourceRef};

use crate::build::RenderArguments;
use crate::client::application_path;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Format, OutputArguments, show, write};
use crate::plan::SHOWN_MAX;
use crate::render;
use crate::style::{Paint, clean, painted, push};
use crate::unified;

/// Compare what a folder renders to with another folder, or with a cluster
///
/// With two folders nothing else is asked. With --app the folder takes the place of the
/// application's own source, and the cluster says what applying it would change. The exit code is
/// 0 when nothing differs, 1 when something does, 2 when that cannot be said.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    fyr diff overlays/staging overlays/production\n  \
    fyr diff overlays/production --app web")]
pub(crate) struct CompareArguments {
    /// The folder
    dir: PathBuf,
    /// What it is compared with
    #[arg(value_name = "OTHER", required_unless_present = "app", conflicts_with = "app")]
    other: Option<PathBuf>,
    /// The application on whose cluster it is compared
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    #[command(flatten)]
    render: RenderArguments,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &CompareArguments) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    let app = arguments.app.as_deref();
    let objects = render::folder(context, &arguments.dir, arguments.render, app)?.objects;
    if let Some(name) = app {
        let objects = objects.into_iter().map(Object::into_value).collect();
        let path = application_path(name, "diff");
        let request = DiffRequest { objects };
        let mut progress = context.progress(format);
        let ask = context.client.post::<DiffResponse>(&path, &request);
        let diff = progress.during("comparing with the cluster", ask).await?;
        progress.end();
        return print(context, &diff, ["live", "folder"], format);
    }
    let other = arguments.other.as_deref().unwrap_or(std::path::Path::new(""));
    let others = render::folder(context, other, arguments.render, None)?.objects;
    let names = [arguments.dir.display().to_string(), other.display().to_string()];
    print(context, &compare(objects, others), [&names[0], &names[1]], format)
}

/// The differences of two sets of objects.
fn compare(from: Vec<Object>, to: Vec<Object>) -> DiffResponse {
    let keyed = |objects: Vec<Object>| -> BTreeMap<_, _> {
        objects.into_iter().map(|object| (object.key(), object.into_value())).collect()
    };
    let (mut from, mut to) = (keyed(from), keyed(to));
    let keys: Vec<_> = from.keys().chain(to.keys()).cloned().collect();
    let mut diff = DiffResponse::default();
    for key in keys {
        // A key of both sides comes twice, and is taken the first time.
        let (live, desired) = (from.remove(&key), to.remove(&key));
        if live.is_none() && desired.is_none() {
            continue;
        }
        if live == desired {
            diff.unchanged += 1;
        } else {
            let key = ResourceRef::from(key);
            diff.objects.push(ObjectDiff { key, live, desired, changed: true, error: None });
        }
    }
    sort(&mut diff.objects);
    diff
}

/// Deletions first, then by key.
fn sort(objects: &mut [ObjectDiff]) {
    objects.sort_by_key(|one| (one.desired.is_some() || one.error.is_some(), one.key.clone()));
}

/// Prints differences; the exit code says whether there are any. `sides` are the names of what is
/// compared.
pub(crate) fn print(
    context: &Context,
    diff: &DiffResponse,
    sides: [&str; 2],
    format: Format,
) -> Result<Exit, Failure> {
    let colours = context.colours();
    if format.is_for_people() {
        write(&text(diff, sides, colours)?)?;
        context.tell_line(&summary(diff));
    } else {
        show(format, diff, |_| String::new(), || names(diff))?;
    }
    Ok(if diff.is_incomplete() {
        Exit::NoAnswer
    } else if diff.differs() {
        Exit::No
    } else {
        Exit::Done
    })
}

fn names(diff: &DiffResponse) -> Vec<String> {
    let changed = diff.objects.iter().filter(|one| one.changed);
    changed.map(|one| format!("{}/{}", one.key.kind.to_lowercase(), one.key.name)).collect()
}

fn summary(diff: &DiffResponse) -> String {
    let count = |test: fn(&&ObjectDiff) -> bool| diff.objects.iter().filter(test).count();
    let failed = count(|one| one.error.is_some());
    let changed = |one: &&ObjectDiff| one.changed && one.error.is_none();
    let created = diff.objects.iter().filter(changed).filter(|one| one.live.is_none()).count();
    let deleted = diff.objects.iter().filter(changed).filter(|one| one.desired.is_none()).count();
    let updated = diff.objects.iter().filter(changed).count() - created - deleted;
    let mut parts: Vec<String> =
        [(deleted, "delete"), (created, "create"), (updated, "update"), (failed, "not compared")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
    if parts.is_empty() {
        parts.push("no difference".to_owned());
    }
    format!("{} · {} unchanged", parts.join(" · "), diff.unchanged)
}

/// Differences as unified diffs of YAML, deletions first.
fn text(diff: &DiffResponse, sides: [&str; 2], colours: bool) -> Result<String, Failure> {
    let mut objects = diff.objects.clone();
    sort(&mut objects);
    let mut text = String::new();
    for one in objects.iter().take(SHOWN_MAX) {
        if let Some(error) = &one.error {
            let line = format!("! {}: {error}", one.key);
            text.push_str(&painted(&clean(&line), Paint::Bad, colours));
            text.push('\n');
        } else if one.changed {
            text.push_str(&unified::text(one, sides, colours)?);
        }
    }
    if let Some(more @ 1..) = objects.len().checked_sub(SHOWN_MAX) {
        push!(text, "… {more} more objects; -o json shows all\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, value: u32) -> Object {
        Object::parse(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name}, "data": {"value": value.to_string()},
        }))
        .unwrap()
    }

    #[test]
    fn two_sets_are_compared_by_key_with_deletions_first() {
        let diff = compare(
            vec![object("same", 1), object("changed", 1), object("gone", 1)],
            vec![object("same", 1), object("changed", 2), object("added", 1)],
        );
        let names: Vec<_> = diff.objects.iter().map(|one| &*one.key.name).collect();
        assert_eq!(names, ["gone", "added", "changed"]);
        assert_eq!(summary(&diff), "1 delete · 1 create · 1 update · 1 unchanged");
        assert!(diff.differs() && !diff.is_incomplete());
    }

    #[test]
    fn equal_sets_have_no_difference() {
        let diff = compare(vec![object("a", 1)], vec![object("a", 1)]);
        assert_eq!(summary(&diff), "no difference · 1 unchanged");
        assert_eq!(text(&diff, ["a", "b"], false).unwrap(), "");
    }

    #[test]
    fn an_object_that_could_not_be_compared_is_shown_with_the_reason() {
        let error = Some("the cluster does not serve it".to_owned());
        let key = ResourceRef { kind: "Widget".into(), name: "w".into(), ..ResourceRef::default() };
        let objects = vec![ObjectDiff { key, error, ..ObjectDiff::default() }];
        let diff = DiffResponse { objects, ..DiffResponse::default() };
        assert_eq!(
            text(&diff, ["a", "b"], false).unwrap(),
            "! Widget w: the cluster does not serve it\n"
        );
        assert_eq!(summary(&diff), "1 not compared · 0 unchanged");
    }
}

//! `fyr app tree`.

use clap::Args;
use fyr_model::api::ResourceNode;

use crate::client::application_path;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::style::{Paint, clean, painted, push};

/// Show the objects of an application by ownership, problems first
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr app tree web")]
pub(crate) struct TreeArguments {
    /// The application
    name: String,
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, arguments: &TreeArguments) -> Result<Exit, Failure> {
    let path = application_path(&arguments.name, "tree");
    let nodes: Vec<ResourceNode> = context.client.get(&path).await?;
    let colours = context.colours();
    let table = |_| {
        let mut text = format!("{}\n", clean(&arguments.name));
        draw(&nodes, "", colours, &mut text);
        text
    };
    show(arguments.output.format, &nodes, table, || names(&nodes))?;
    Ok(Exit::Done)
}

fn draw(nodes: &[ResourceNode], indent: &str, colours: bool, text: &mut String) {
    for (index, node) in nodes.iter().enumerate() {
        let last = index + 1 == nodes.len();
        let one = &node.resource;
        let sync = painted(&one.status.to_string(), Paint::of_sync(one.status), colours);
        text.push_str(indent);
        text.push_str(if last { "└─ " } else { "├─ " });
        push!(text, "{}  {sync}", clean(&one.reference().to_string()));
        if let Some(health) = &one.health {
            let word =
                painted(&health.status.to_string(), Paint::of_health(health.status), colours);
            push!(text, "  {word}");
        }
        let reason = one.health.as_ref().map(|health| &health.reason);
        let message = Some(&one.message).filter(|message| !message.is_empty()).or(reason);
        if let Some(message) = message.filter(|message| !message.is_empty()) {
            push!(text, "  {}", clean(message));
        }
        text.push('\n');
        let below = format!("{indent}{}", if last { "   " } else { "│  " });
        draw(&node.children, &below, colours, text);
    }
}

fn names(nodes: &[ResourceNode]) -> Vec<String> {
    let mut names = Vec::new();
    for node in nodes {
        let one = &node.resource;
        names.push(format!("{}/{}", one.kind.to_lowercase(), one.name));
        names.extend(self::names(&node.children));
    }
    names
}

#[cfg(test)]
mod tests {
    use fyr_model::api::{HealthState, HealthStatus, ResourceRef, ResourceStatus, SyncStatus};

    use super::*;

    #[test]
    fn objects_stand_below_their_owner() {
        let one = |kind: &str, owner| ResourceStatus {
            kind: kind.into(),
            namespace: "shop".into(),
            name: "web".into(),
            status: SyncStatus::Synced,
            owner,
            ..ResourceStatus::default()
        };
        let mut deployment = one("Deployment", None);
        deployment.health = Some(HealthState {
            status: HealthStatus::Progressing,
            reason: "1 of 2 pods are ready".into(),
        });
        let owner = ResourceRef {
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "web".into(),
            ..ResourceRef::default()
        };
        let nodes = ResourceNode::forest(&[
            deployment,
            one("ReplicaSet", Some(owner)),
            one("Service", None),
        ]);
        let mut text = String::new();
        draw(&nodes, "", false, &mut text);
        assert_eq!(
            text,
            "\
├─ Deployment shop/web  Synced  Progressing  1 of 2 pods are ready
│  └─ ReplicaSet shop/web  Synced
└─ Service shop/web  Synced
"
        );
        assert_eq!(names(&nodes), ["deployment/web", "replicaset/web", "service/web"]);
    }
}

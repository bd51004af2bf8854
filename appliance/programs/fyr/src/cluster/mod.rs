//! `fyr cluster`: the managed clusters.

mod add;
mod kubeconfig;
mod manifest;
mod rbac;

use clap::{Args, Subcommand};
use fyr_model::api::ClusterSummary;
use jiff::Timestamp;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{OutputArguments, show};
use crate::style::Paint;
use crate::table::{Cell, Table};
use crate::time::{age_of, until};

/// Look at the managed clusters and add one
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    List(ListArguments),
    Add(add::AddArguments),
}

/// List the managed clusters and when they were last heard of
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  fyr cluster list -o wide")]
pub(crate) struct ListArguments {
    #[command(flatten)]
    output: OutputArguments,
}

pub(crate) async fn run(context: &Context, command: &ClusterCommand) -> Result<Exit, Failure> {
    match command {
        ClusterCommand::List(arguments) => list(context, arguments).await,
        ClusterCommand::Add(arguments) => add::run(context, arguments),
    }
}

async fn list(context: &Context, arguments: &ListArguments) -> Result<Exit, Failure> {
    let format = arguments.output.format;
    let clusters: Vec<ClusterSummary> = context.client.get("/api/v1/clusters").await?;
    if clusters.is_empty() && format.is_for_people() {
        context.tell_line(
            "no clusters: appliance.yaml names no Secret of one; \
             `fyr cluster add --kubeconfig FILE --name NAME` prints one",
        );
        return Ok(Exit::Done);
    }
    let (now, colours) = (Timestamp::now(), context.colours());
    show(
        format,
        &clusters,
        |wide| table(&clusters, now, wide).text(colours),
        || clusters.iter().map(|one| format!("cluster/{}", one.name)).collect(),
    )?;
    Ok(Exit::Done)
}

/// One row a cluster.
pub(crate) fn table(clusters: &[ClusterSummary], now: Timestamp, wide: bool) -> Table {
    let headings =
        ["CLUSTER", "STATE", "VERSION", "APPS", "CONTACT", "SERVER", "IN-CLUSTER", "MESSAGE"];
    let mut table = Table::new(headings.into_iter().take(if wide { 8 } else { 6 }));
    for one in clusters {
        let state = if one.reachable {
            Cell::new("reachable", Paint::Good)
        } else {
            match one.retry_at {
                Some(retry) => {
                    let again = until(now, retry);
                    Cell::new(format!("unreachable, again in {again}"), Paint::Bad)
                }
                None => Cell::new("unreachable", Paint::Bad),
            }
        };
        let message =
            if one.message.is_empty() { one.warnings.join("; ") } else { one.message.clone() };
        table.row([
            Cell::plain(&one.name),
            state,
            Cell::plain(&one.version),
            Cell::plain(one.applications.to_string()),
            Cell::plain(age_of(now, one.last_contact)),
            Cell::plain(&one.server),
            Cell::plain(if one.in_cluster { "yes" } else { "" }),
            Cell::plain(message),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_cluster_shows_its_last_contact_and_why() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let clusters = [ClusterSummary {
            name: "prod-eu".into(),
            server: "https://10.0.0.1:6443".into(),
            version: "v1.37.0".into(),
            last_contact: Timestamp::from_second(999_000).ok(),
            retry_at: Timestamp::from_second(1_000_030).ok(),
            message: "connection refused".into(),
            in_cluster: true,
            ..ClusterSummary::default()
        }];
        assert_eq!(
            table(&clusters, now, true).text(false),
            "\
CLUSTER  STATE                      VERSION  APPS  CONTACT  SERVER                 IN-CLUSTER  MESSAGE
prod-eu  unreachable, again in 30s  v1.37.0  0     16m      https://10.0.0.1:6443  yes         connection refused
"
        );
    }
}

//! What it costs when nothing changes, and what a restart costs.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cold_start::{settled, until};
use crate::{processes, report};

/// Time for late events of the cold start to settle before anything is counted.
const SETTLE: Duration = Duration::from_secs(20);

/// Prints steady.
pub(crate) async fn steady(apps: usize, seconds: u64) {
    let (world, plane, ..) = settled(apps).await;
    tokio::time::sleep(SETTLE).await;
    let daemons = world.daemons.process_ids();
    let position = plane.audit_position().expect("the audit log is readable");
    let (cpu, started) = (processes::cpu(&daemons), Instant::now());
    let mut rss_max = 0.0_f64;
    while started.elapsed() < Duration::from_secs(seconds) {
        rss_max = rss_max.max(processes::rss_mib(&daemons));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let used = processes::cpu(&daemons).saturating_sub(cpu);
    let percent = used.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
    let events = plane.audit_events(position).expect("the audit log is readable");
    let ours = events.iter().filter(|event| event.user_agent.starts_with("fyr/"));
    let (requests, writes) = ours.fold((0_u32, 0_u32), |(requests, writes), event| {
        (requests + 1, writes + u32::from(event.is_write()))
    });
    report::print(&json!({
        "bench": "steady",
        "apps": apps,
        "cpu_percent": (percent * 100.0).round() / 100.0,
        "rss_mib": rss_max,
        "api_requests": requests,
        "api_writes": writes,
    }));
}

/// Prints restart.
pub(crate) async fn restart(apps: usize) {
    let (mut world, plane, ..) = settled(apps).await;
    tokio::time::sleep(SETTLE).await;
    world.daemons.stop_fyrd();
    let position = plane.audit_position().expect("the audit log is readable");
    let started = Instant::now();
    world.daemons.start_fyrd();
    world.daemons.answering().await;
    let known = until(&world, started, "sync", "Synced", apps).await;
    tokio::time::sleep(SETTLE).await;
    let events = plane.audit_events(position).expect("the audit log is readable");
    let writes =
        events.iter().filter(|event| event.user_agent.starts_with("fyr/") && event.is_write());
    report::print(&json!({
        "bench": "restart",
        "apps": apps,
        "seconds": report::seconds(known),
        "api_writes": writes.count(),
    }));
}

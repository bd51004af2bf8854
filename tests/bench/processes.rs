//! CPU time and memory of processes, from `/proc`.

use std::time::Duration;

/// Kernel clock ticks a second in `/proc/PID/stat`: fixed at 100 for user space on Linux.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of processes and of their children that have ended.
pub(crate) fn cpu(processes: &[u32]) -> Duration {
    let ticks: u64 = processes.iter().map(|id| ticks(*id)).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it is running");
    // The name in parentheses may hold spaces, so fields are counted after it: utime, stime,
    // cutime and cstime are fields 14 to 17 of proc(5).
    let after_name = stat.rsplit(')').next().expect("a stat line has a name");
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<u64>().expect("ticks are numbers")).sum()
}

/// Resident memory of processes in MiB.
pub(crate) fn rss_mib(processes: &[u32]) -> f64 {
    let kib: u32 = processes.iter().map(|id| rss_kib(*id)).sum();
    (f64::from(kib) / 1024.0 * 10.0).round() / 10.0
}

fn rss_kib(process: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it is running");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}

//! This process as the kernel sees it, by the names that Prometheus's own clients use. What /proc does not say
//! (elsewhere than on Linux) is left out.

use std::fs;

use super::text::Page;

pub fn measure(page: &mut Page) {
    if let Some(bytes) = resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Memory that is in RAM.")
            .sample(&[], bytes);
    }
    if let Some(seconds) = cpu_seconds() {
        page.counter(
            "process_cpu_seconds_total",
            "Processor time, user and system.",
        )
        .sample(&[], seconds);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Less the one that is reading.
        page.gauge("process_open_fds", "Open files and connections.")
            .sample(&[], open.count().saturating_sub(1));
    }
    if let Some(limit) = most_files() {
        page.gauge("process_max_fds", "Files and connections it may have open.")
            .sample(&[], limit);
    }
}

fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * system(libc::_SC_PAGESIZE)?)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, the program's name in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system_time: u64 = fields.next()?.parse().ok()?;
    Some((user + system_time) as f64 / system(libc::_SC_CLK_TCK)? as f64)
}

fn most_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn system(name: libc::c_int) -> Option<u64> {
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0)
}

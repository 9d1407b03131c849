//! How long processes waited for a processor core, as the kernel counts it.
//!
//! Owns the allowance of tests that judge times: time that the machine gave to other work.
//!
//! Not here: the processes (`broker.rs`, `daemon.rs`, `emulator.rs`), and the judgement.

use std::{fs, time::Duration};

/// The run delay of the thread of this process that waited longest, over its whole life. Zero if
/// the process has ended, or if the kernel counts no such times.
pub fn of_process(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    // The fields are: nanoseconds on a core, nanoseconds of waiting for one, time slices.
    let delays = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    });
    delays.max().unwrap_or_default()
}

/// The largest run delay among the processes of a process group.
pub fn of_group(leader: u32) -> Duration {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let members = processes.filter_map(|process| {
        let stat = fs::read_to_string(process.path().join("stat")).ok()?;
        // Behind the name, which may have spaces: state, parent, group.
        let group: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()?;
        let pid = process.file_name().to_str()?.parse().ok()?;
        (group == leader).then(|| of_process(pid))
    });
    members.max().unwrap_or_default()
}

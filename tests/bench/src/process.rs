//! What the system says of a process.

use std::time::Duration;

/// Memory that is in the machine for this process alone, in bytes: `RssAnon` of Linux, without the program's file.
///
/// # Errors
/// A sentence where the system does not tell it.
pub fn memory() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| "the system does not tell RssAnon".into())
}

/// Processor time of this process so far, in user and system mode.
///
/// # Errors
/// A sentence where the system does not tell it.
pub fn processor_time() -> Result<Duration, String> {
    let clock = rustix::time::ClockId::ProcessCPUTime;
    let time = rustix::time::clock_gettime(clock);
    Ok(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// Makes sure that the process may open so many files.
///
/// # Errors
/// What to type where it may not.
pub fn allow_files(needed: u64) -> Result<(), String> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let most = limit.maximum.map_or_else(|| "any number of".into(), |maximum| maximum.to_string());
    limit.current = Some(limit.maximum.unwrap_or(needed).min(needed));
    let raised = setrlimit(Resource::Nofile, limit).is_ok() && limit.current == Some(needed);
    if raised {
        return Ok(());
    }
    Err(format!(
        "{needed} files must be open at once, and this process may open {most}: type `ulimit -n {needed}` first (as root, \
         or after raising the hard limit in /etc/security/limits.conf), or measure fewer accounts"
    ))
}

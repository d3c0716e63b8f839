//! The clocks of CPU and disks. Linux tells all of them; elsewhere only the process's own CPU time is known.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use rustix::time::{ClockId, clock_gettime};

/// A block device, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disk {
    major: u32,
    minor: u32,
}

/// The disk below a path, or below the nearest directory above it that exists. File systems without one of their own
/// (tmpfs, overlay, btrfs, network) have none.
pub fn disk_of(path: &Path) -> Option<Disk> {
    let found = path.ancestors().find_map(|place| rustix::fs::stat(place).ok())?;
    let disk = Disk { major: rustix::fs::major(found.st_dev), minor: rustix::fs::minor(found.st_dev) };
    disk.busy_ms().map(|_| disk)
}

impl Disk {
    /// Milliseconds in which it had something to do: the tenth number of its `stat` (kernel, iostats.rst).
    fn busy_ms(self) -> Option<u64> {
        let path = format!("/sys/dev/block/{}:{}/stat", self.major, self.minor);
        fs::read_to_string(path).ok()?.split_whitespace().nth(9)?.parse().ok()
    }
}

/// What the clocks showed last.
#[derive(Default)]
pub struct Clocks {
    last: Option<Shown>,
    disks: BTreeMap<Disk, u64>,
}

struct Shown {
    at: Instant,
    cpu_s: f64,
    idle_s: Option<f64>,
}

/// How far they have moved on, in seconds.
#[derive(Default)]
pub struct Moved {
    pub wall_s: f64,
    pub cpu_s: f64,
    pub cpu_quota_s: f64,
    pub cpu_free_s: f64,
    pub disk_busy_s: BTreeMap<Disk, f64>,
}

impl Clocks {
    /// Look at these disks too from now on.
    pub fn watch(&mut self, disks: &[Disk]) {
        if self.last.is_none() {
            self.last = Some(Shown::now(Instant::now()));
        }
        for disk in disks {
            self.disks.entry(*disk).or_insert_with(|| disk.busy_ms().unwrap_or(0));
        }
    }

    /// How far they have moved since the last time.
    pub fn moved(&mut self, at: Instant) -> Moved {
        let shown = Shown::now(at);
        let Some(last) = self.last.replace(shown) else { return Moved::default() };
        let Some(shown) = &self.last else { return Moved::default() };
        let wall_s = (shown.at - last.at).as_secs_f64();
        let cpu_s = (shown.cpu_s - last.cpu_s).max(0.0);
        let cpu_quota_s = wall_s * quota();
        let unused_s = (cpu_quota_s - cpu_s).max(0.0);
        // Of a machine that others work on, too, only what is idle can be had.
        let idle_s = shown.idle_s.zip(last.idle_s).map(|(now, before)| (now - before).max(0.0));
        let cpu_free_s = idle_s.map_or(unused_s, |idle_s| idle_s.min(unused_s));
        let disk_busy_s = self.disks.iter_mut().filter_map(|(disk, last_ms)| {
            let now_ms = disk.busy_ms()?;
            let busy_ms = now_ms.saturating_sub(std::mem::replace(last_ms, now_ms));
            #[expect(clippy::cast_precision_loss, reason = "milliseconds between two looks")]
            Some((*disk, (busy_ms as f64 / 1e3).min(wall_s)))
        });
        Moved { wall_s, cpu_s, cpu_quota_s, cpu_free_s, disk_busy_s: disk_busy_s.collect() }
    }
}

impl Shown {
    fn now(at: Instant) -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(clippy::cast_precision_loss, reason = "CPU seconds of one process")]
        let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        Self { at, cpu_s, idle_s: idle_s() }
    }
}

/// CPUs that this process may have: the smaller of affinity and control group.
fn quota() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "CPUs are few")]
    std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64)
}

/// CPU seconds since the start in which nobody had anything to do, or waited for a disk.
fn idle_s() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let mut fields = stat.lines().next()?.split_whitespace().skip(4);
    let ticks: f64 = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a hundred, mostly")]
    Some(ticks / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_clocks_of_a_busy_thread_show_its_time() {
        let mut clocks = Clocks::default();
        clocks.watch(&[]);
        let begun = Shown::now(Instant::now()).cpu_s;
        while Shown::now(Instant::now()).cpu_s < begun + 0.02 {
            std::hint::spin_loop();
        }
        let moved = clocks.moved(Instant::now());
        assert!(moved.cpu_s >= 0.02, "{}", moved.cpu_s);
        assert!(moved.wall_s > 0.0 && moved.cpu_free_s <= moved.cpu_quota_s);
    }

    #[test]
    fn disk_of_a_file_system_without_a_device_is_none() {
        assert_eq!(disk_of(Path::new("/proc/self")), None);
    }
}

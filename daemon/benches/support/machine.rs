//! Whether the machine has other things to do: what its cores did for somebody who is not part of the measurement, the
//! host of a virtual machine among them. A figure taken meanwhile says little, and the bench says that instead.

use std::fs;
use std::time::Instant;

/// Linux reports processor time in hundredths of a second to everybody, whatever it counts in itself.
const TICKS_PER_SEC: f64 = 100.0;

/// Others may take this part of a core before a figure taken beside them is void.
pub(crate) const MOST_TAKEN: f64 = 0.10;

/// Processor time a process has had so far, in seconds, all threads.
pub(crate) fn cpu_secs(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is the name in brackets, which may hold anything.
    let fields = stat
        .rsplit_once(')')
        .map_or("", |(_, fields)| fields)
        .split_whitespace();
    seconds(fields.skip(11).take(2))
}

fn seconds<'t>(fields: impl Iterator<Item = &'t str>) -> f64 {
    let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_SEC
}

/// What the cores have done so far.
pub(crate) struct Watch {
    since: Instant,
    busy_secs: f64,
    own_secs: f64,
    pids: Vec<u32>,
}

impl Watch {
    /// From now on; these processes and the bench itself are part of the measurement.
    pub(crate) fn begin(pids: &[u32]) -> Watch {
        let mut pids = pids.to_vec();
        pids.push(std::process::id());
        Watch {
            since: Instant::now(),
            busy_secs: busy_secs(),
            own_secs: pids.iter().copied().map(cpu_secs).sum(),
            pids,
        }
    }

    /// The part of one core that others have taken since. Interrupts are nobody's and are left out.
    pub(crate) fn taken(&self) -> f64 {
        let own: f64 = self.pids.iter().copied().map(cpu_secs).sum();
        let others = (busy_secs() - self.busy_secs) - (own - self.own_secs);
        (others / self.since.elapsed().as_secs_f64()).max(0.0)
    }
}

/// All cores together: user, nice, system and stolen time.
fn busy_secs() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default();
    let mut fields = all.split_whitespace().skip(1);
    let running = seconds(fields.by_ref().take(3));
    running + seconds(fields.skip(4).take(1))
}

//! Who is inside a plugin right now, and for how long. A media thread that does not come back from `send` silences all its
//! calls, and cannot say so itself; so before a call into a plugin it leaves a note (one relaxed store, no clock), after it
//! takes the note away (another), and one thread looks at all notes every [`LOOK_MS`]. The same note in two looks in a row
//! is a slow plugin, in many a hanging one. Looks are counted instead of time being measured: when the whole machine
//! stands still, so do they, and nobody is accused.
//!
//! ```text
//! note   ..7.........7777777777777777..........     7 = number of the generation, and which entry of it
//! looks  |   |   |   |   |   |   |   |   |          fine fine fine fine slow … hung, and back when it changes
//! ```

use super::host::TARGET;
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

/// Time between two looks, in ms.
const LOOK_MS: u64 = 10;

/// Looks at the same note after which a plugin is called slow: it was inside for 10 ms at least, half a frame.
const SLOW_LOOKS: u32 = 1;

/// … and hung: 250 ms, the lead of the playout. From here on the caller hears the gap.
const HUNG_LOOKS: u32 = 25;

/// … and stuck: 5 s. There is no cure in this process but its restart.
const STUCK_LOOKS: u32 = 500;

/// How often a generation may hang and come back before it is left marked as hung.
const HANGS_MAX: u32 = 3;

/// Looks between two warnings about the same generation being slow: 10 s.
const WARN_LOOKS: u64 = 1000;

/// How one generation fares.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) panics: AtomicU32,
    hung: AtomicBool,
    hangs: AtomicU32,
    /// The look at which it was last called slow, plus one; the watch's own note.
    warned: AtomicU64,
}

impl Health {
    /// The health of a new generation, known to the watch.
    pub(crate) fn new(name: &str, number: u64) -> Arc<Health> {
        let health = Arc::new(Health {
            name: name.to_owned(),
            number,
            panics: AtomicU32::new(0),
            hung: AtomicBool::new(false),
            hangs: AtomicU32::new(0),
            warned: AtomicU64::new(0),
        });
        WATCH
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .healths
            .push(Arc::downgrade(&health));
        health
    }

    pub(crate) fn is_hung(&self) -> bool {
        self.hung.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn mark_hung(&self) {
        self.hang();
    }

    fn hang(&self) {
        self.hung.store(true, Ordering::Relaxed);
        self.hangs.fetch_add(1, Ordering::Relaxed);
    }

    /// Came back: fine again, unless it makes a habit of it.
    fn back(&self) -> bool {
        let fine = self.hangs.load(Ordering::Relaxed) < HANGS_MAX;
        if fine {
            self.hung.store(false, Ordering::Relaxed);
        }
        fine
    }
}

/// The note of one thread: the generation's number above, a count of entries below; the number is 0 outside.
#[derive(Debug, Default)]
pub(crate) struct Note(AtomicU64);

impl Note {
    /// Notes that this thread goes into a plugin of generation `number`; it is out again when the guard is dropped. The
    /// number is cut to 32 bits: four billion openings will do.
    pub(crate) fn enter(&self, number: u64) -> Inside<'_> {
        let entry = (self.0.load(Ordering::Relaxed) as u32).wrapping_add(1);
        self.0
            .store(number << 32 | u64::from(entry), Ordering::Relaxed);
        Inside { note: self, entry }
    }
}

/// A thread inside a plugin.
pub(crate) struct Inside<'a> {
    note: &'a Note,
    entry: u32,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.note.0.store(u64::from(self.entry), Ordering::Relaxed);
    }
}

static WATCH: LazyLock<Mutex<Watch>> = LazyLock::new(Mutex::default);

/// Streams that run: with none, the watch sleeps.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The watching thread; None if it could not be started, and nobody is watched.
static WATCHER: LazyLock<Option<Thread>> = LazyLock::new(|| {
    let look = || {
        loop {
            if RUNNING.load(Ordering::Relaxed) == 0 {
                thread::park();
            } else {
                thread::park_timeout(Duration::from_millis(LOOK_MS));
            }
            WATCH.lock().unwrap_or_else(PoisonError::into_inner).look();
        }
    };
    match thread::Builder::new()
        .name("plugin-watch".to_owned())
        .spawn(look)
    {
        Ok(watcher) => Some(watcher.thread().clone()),
        Err(no) => {
            tracing::warn!(target: TARGET, %no, "no thread to watch plugins with: hanging ones will not be noticed");
            None
        }
    }
});

/// This thread's note, kept as long as the thread.
struct Here(Arc<Note>);

thread_local! {
    static HERE: Here = {
        let note = Arc::new(Note::default());
        let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
        watch.eyes.push(Eye::on(&note));
        AT_HAND.set(Arc::as_ptr(&note));
        Here(note)
    };

    /// The same note for a signal's handler, which must not make one: null before there is one, and when the thread ends.
    static AT_HAND: Cell<*const Note> = const { Cell::new(ptr::null()) };
}

impl Drop for Here {
    fn drop(&mut self) {
        AT_HAND.set(ptr::null());
    }
}

/// The generation that this thread is inside, as far as its number goes in 32 bits; 0 outside. For a signal's handler:
/// nothing but loads.
pub(super) fn inside_here() -> u32 {
    // SAFETY: the note is kept until the pointer is null again, and nobody else writes the pointer.
    let note = unsafe { AT_HAND.get().as_ref() };
    note.map_or(0, |note| (note.0.load(Ordering::Relaxed) >> 32) as u32)
}

/// A running stream's share in the watch, on the thread it was made on.
pub(crate) struct Watched(Arc<Note>);

impl Watched {
    pub(crate) fn here() -> Watched {
        if RUNNING.fetch_add(1, Ordering::Relaxed) == 0
            && let Some(watcher) = &*WATCHER
        {
            watcher.unpark();
        }
        Watched(HERE.with(|here| Arc::clone(&here.0)))
    }

    pub(crate) fn note(&self) -> &Note {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An eye on one thread's note.
#[derive(Debug)]
struct Eye {
    note: Weak<Note>,
    last: u64,
    /// Looks in a row at which `last` was seen again.
    again: u32,
}

/// What an eye made of a note, for the generation with that number (its low 32 bits).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sight {
    Fine,
    Slow(u32),
    Hung(u32),
    Stuck(u32),
    Back(u32),
}

impl Eye {
    fn on(note: &Arc<Note>) -> Eye {
        Eye {
            note: Arc::downgrade(note),
            last: 0,
            again: 0,
        }
    }

    fn see(&mut self, now: u64) -> Sight {
        let (number, before) = ((now >> 32) as u32, (self.last >> 32) as u32);
        if now != self.last || number == 0 {
            let was_hung = self.again >= HUNG_LOOKS;
            self.last = now;
            self.again = 0;
            return if was_hung {
                Sight::Back(before)
            } else {
                Sight::Fine
            };
        }
        self.again = self.again.saturating_add(1);
        match self.again {
            SLOW_LOOKS => Sight::Slow(number),
            HUNG_LOOKS => Sight::Hung(number),
            STUCK_LOOKS => Sight::Stuck(number),
            _ => Sight::Fine,
        }
    }
}

/// All eyes, and all generations they may see.
#[derive(Debug, Default)]
struct Watch {
    looks: u64,
    eyes: Vec<Eye>,
    healths: Vec<Weak<Health>>,
}

impl Watch {
    fn look(&mut self) {
        self.looks += 1;
        self.healths.retain(|health| health.strong_count() > 0);
        let mut eyes = std::mem::take(&mut self.eyes);
        // The thread has ended when its note is gone.
        eyes.retain_mut(|eye| {
            let Some(note) = eye.note.upgrade() else {
                return false;
            };
            self.judge(eye.see(note.0.load(Ordering::Relaxed)));
            true
        });
        self.eyes = eyes;
    }

    fn judge(&self, sight: Sight) {
        let (Sight::Slow(number)
        | Sight::Hung(number)
        | Sight::Stuck(number)
        | Sight::Back(number)) = sight
        else {
            return;
        };
        let mut healths = self.healths.iter().filter_map(Weak::upgrade);
        let Some(health) = healths.find(|health| health.number as u32 == number) else {
            return;
        };
        let (plugin, generation) = (health.name.as_str(), health.number);
        match sight {
            Sight::Fine => {}
            Sight::Slow(_) => {
                let warned = health.warned.load(Ordering::Relaxed);
                if warned == 0 || self.looks + 1 - warned >= WARN_LOOKS {
                    health.warned.store(self.looks + 1, Ordering::Relaxed);
                    tracing::warn!(target: TARGET, plugin, generation,
                        "the plugin keeps a media thread for {LOOK_MS} ms and more: all calls of that thread wait");
                }
            }
            Sight::Hung(_) => {
                health.hang();
                tracing::error!(target: TARGET, plugin, generation,
                    "the plugin hangs on a media thread: no new streams are given to it");
            }
            Sight::Stuck(_) => tracing::error!(target: TARGET, plugin, generation,
                "the plugin is stuck on a media thread, whose calls are silent: restart the daemon"),
            Sight::Back(_) if health.back() => tracing::warn!(target: TARGET, plugin, generation,
                "the plugin came back and is given streams again"),
            Sight::Back(_) => tracing::error!(target: TARGET, plugin, generation,
                "the plugin came back, but hung {HANGS_MAX} times: it is left out until opened again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch of one's own with one thread and one generation in it.
    fn watch(number: u64) -> (Watch, Arc<Note>, Arc<Health>) {
        let note = Arc::new(Note::default());
        let health = Health::new("test", number);
        let watch = Watch {
            looks: 0,
            eyes: vec![Eye::on(&note)],
            healths: vec![Arc::downgrade(&health)],
        };
        (watch, note, health)
    }

    fn looks(watch: &mut Watch, n: u32) {
        for _ in 0..n {
            watch.look();
        }
    }

    /// One column per look: which entry of the plugin the thread is in, `.` when outside; below, what the eye says.
    #[test]
    fn the_same_entry_seen_again_is_slow_and_a_new_one_is_not() {
        let notes = "..1...112233444.55";
        let sight = ".......s.s.s.s...s";
        let mut eye = Eye {
            note: Weak::new(),
            last: 0,
            again: 0,
        };
        let said: String = notes
            .chars()
            .map(|c| {
                let note = c.to_digit(10).map_or(0, |entry| 7 << 32 | u64::from(entry));
                match eye.see(note) {
                    Sight::Fine => '.',
                    Sight::Slow(7) => 's',
                    _ => '?',
                }
            })
            .collect();
        // The second look at 4 is slow, the third is not news.
        assert_eq!(said, sight);
    }

    #[test]
    fn a_plugin_that_stays_inside_is_marked_hung_and_cleared_when_it_returns() {
        let (mut watch, note, health) = watch(7);
        let inside = note.enter(7);
        looks(&mut watch, HUNG_LOOKS);
        assert!(
            !health.is_hung(),
            "seen for the first time, and 24 times again"
        );
        looks(&mut watch, 1);
        assert!(health.is_hung());
        looks(&mut watch, STUCK_LOOKS);
        assert!(health.is_hung());
        drop(inside);
        looks(&mut watch, 1);
        assert!(!health.is_hung());
    }

    #[test]
    fn a_plugin_that_hangs_again_and_again_stays_marked() {
        let (mut watch, note, health) = watch(7);
        for hang in 1..=HANGS_MAX {
            let inside = note.enter(7);
            looks(&mut watch, HUNG_LOOKS + 1);
            drop(inside);
            looks(&mut watch, 1);
            assert_eq!(health.is_hung(), hang == HANGS_MAX);
        }
    }

    #[test]
    fn a_busy_thread_that_keeps_coming_back_is_never_accused() {
        let (mut watch, note, health) = watch(7);
        for _ in 0..10 * HUNG_LOOKS {
            let _inside = note.enter(7);
            looks(&mut watch, 1);
        }
        assert!(!health.is_hung());
        assert_eq!(health.warned.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_slow_plugin_is_warned_about_once_in_ten_seconds() {
        let (mut watch, note, health) = watch(7);
        let mut warnings = 0;
        for _ in 0..WARN_LOOKS {
            let before = health.warned.load(Ordering::Relaxed);
            let inside = note.enter(7);
            looks(&mut watch, 2);
            drop(inside);
            warnings += u32::from(health.warned.load(Ordering::Relaxed) != before);
        }
        assert_eq!(warnings, 2, "2000 looks are 20 s");
    }

    #[test]
    fn ended_threads_and_closed_generations_are_forgotten() {
        let (mut watch, note, health) = watch(7);
        drop((note, health));
        looks(&mut watch, 1);
        assert!(watch.eyes.is_empty() && watch.healths.is_empty());
    }
}

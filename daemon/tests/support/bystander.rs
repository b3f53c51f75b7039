//! A call that stands beside what happens to others, and must not suffer by it.

use super::{Daemon, Raw, frame_payload};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A call that nothing may happen to: echoes frame after frame on a thread of its own, each compared.
pub struct Bystander {
    enough: Arc<AtomicBool>,
    talking: JoinHandle<u32>,
}

impl Bystander {
    pub fn call(daemon: &Daemon) -> Bystander {
        let mut raw = Raw::call(daemon, "CAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        raw.echoes(0, &frame_payload(0));
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let talking = std::thread::spawn(move || {
            for number in 1.. {
                if told.load(Ordering::Relaxed) {
                    return number;
                }
                let payload = frame_payload(number);
                raw.media(number, &payload);
                // One frame is under way at a time, so the next sound must be that one, whole and alone.
                let (_, sound) = std::iter::from_fn(|| raw.next())
                    .find(|(opcode, _)| *opcode == 1 || *opcode == 8)
                    .expect("the bystander's stream ended");
                let sound = String::from_utf8(sound).unwrap();
                let whole = format!("\"payload\":\"{payload}\"");
                assert!(
                    sound.contains(&whole),
                    "frame {number} came back as {sound}"
                );
            }
            unreachable!("four thousand million frames are two years")
        });
        Bystander { enough, talking }
    }

    /// Ends it; every frame came back, and there were some.
    #[track_caller]
    pub fn was_untouched(self) {
        self.enough.store(true, Ordering::Relaxed);
        let frames = self.talking.join().expect("the bystander's call suffered");
        println!("the bystander's {frames} frames came back");
        assert!(frames > 1);
    }
}

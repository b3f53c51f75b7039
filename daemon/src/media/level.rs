//! How loud a frame is, and whether it is loud enough to be worth a closer look. Loudness is not speech: a [`Gate`] only
//! spares the network the silence between words, which is most of a call.

/// Full scale of a sample.
const FULL_SCALE: f32 = 32768.0;

/// What [`dbfs`] answers for digital silence instead of minus infinity. One sample of 1 in a minute is still above it.
pub const SILENCE_DBFS: f32 = -150.0;

/// Mean square of the samples; 0 for none.
fn power(samples: &[i16]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (eights, rest) = samples.as_chunks::<8>();
    for eight in eights {
        for (sum, &sample) in sums.iter_mut().zip(eight) {
            *sum += f32::from(sample) * f32::from(sample);
        }
    }
    let rest: f32 = rest.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
    (sums.iter().sum::<f32>() + rest) / samples.len().max(1) as f32
}

/// Root mean square in sample units, 0 to 32 768. No samples count as silence.
pub fn rms(samples: &[i16]) -> f32 {
    power(samples).sqrt()
}

/// Level in decibels below a square wave of full scale: 0 is the loudest there is, a full-scale sine has −3.01, digital
/// silence [`SILENCE_DBFS`].
pub fn dbfs(samples: &[i16]) -> f32 {
    (20.0 * (rms(samples) / FULL_SCALE).log10()).max(SILENCE_DBFS)
}

/// What tells one use of the gate from the other. Powers are mean squares in sample units.
#[derive(Debug)]
struct Tuning {
    /// The floor before anything was heard.
    start: f32,
    /// Never opens below this.
    least: f32,
    /// Opens this many times above the floor.
    margin: f32,
    /// How much the floor may rise per frame.
    rise: f32,
    /// Frames it stays open after the last loud one.
    hang_over: u16,
}

/// µ-law idle noise flips between 0 and ±8, the first step; its mean square is at most 64.
const IDLE_POWER: f32 = 64.0;

/// 3 dB per second, the pace at which a new noise becomes the floor.
const SLOW_RISE: f32 = 1.013_911;

/// For the network: opens at the faintest rise. 2 dB above the floor is where white noise itself begins to flicker; pink
/// noise flickers more and keeps it open, which costs time and no speech. At 3 dB three times as many windows of speech
/// were lost under white noise as loud as the voice.
const LOOSE: Tuning = Tuning {
    start: IDLE_POWER,
    least: 100.0,
    margin: 1.6,
    rise: SLOW_RISE,
    hang_over: 15,
};

/// For verdicts without a network: 10 dB above the floor, and not below −55 dBFS. The line is taken to be fairly noisy,
/// −50 dBFS, until it shows itself quieter, which takes a third of a second; the other way round noise would be speech
/// for ten seconds.
const STRICT: Tuning = Tuning {
    start: 10_700.0,
    least: 3400.0,
    margin: 10.0,
    rise: SLOW_RISE,
    hang_over: 6,
};

/// How fast the floor falls to a quieter frame: a quarter of the way per frame, so that one dropped frame on a noisy
/// line does not make the noise after it look like news.
const FALL: f32 = 0.25;

/// Opens for frames that stand out from the noise before them, and stays open a little longer.
///
/// The floor follows the quietest of what it hears: down at once, up by 3 dB per second and not while somebody speaks
/// ([`Gate::hold_floor`]), so a long vowel does not become the new silence.
#[derive(Debug)]
pub struct Gate {
    tuning: &'static Tuning,
    floor: f32,
    held: bool,
    open_for: u16,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate::new()
    }
}

impl Gate {
    /// A gate for the network's door: it would rather open too often than miss a quiet voice.
    pub fn new() -> Gate {
        Gate::tuned(&LOOSE)
    }

    /// A gate whose opening is itself the verdict "voiced". Only for quiet lines: it calls music and clatter speech.
    pub fn strict() -> Gate {
        Gate::tuned(&STRICT)
    }

    fn tuned(tuning: &'static Tuning) -> Gate {
        Gate {
            tuning,
            floor: tuning.start,
            held: false,
            open_for: 0,
        }
    }

    /// Whether this frame, or one shortly before it, stands out. Meant for whole frames of 20 ms: the pace of the floor
    /// and the hang-over are counted in calls.
    pub fn open(&mut self, frame: &[i16]) -> bool {
        let power = power(frame);
        if power > (self.floor * self.tuning.margin).max(self.tuning.least) {
            self.open_for = self.tuning.hang_over + 1;
        }
        if power < self.floor {
            self.floor = (self.floor + FALL * (power - self.floor)).max(IDLE_POWER);
        } else if !self.held {
            self.floor = (self.floor * self.tuning.rise).min(power.max(IDLE_POWER));
        }
        self.held = false;
        let open = self.open_for > 0;
        self.open_for = self.open_for.saturating_sub(1);
        open
    }

    /// The last frame was speech, whatever its level: the next one does not raise the floor.
    pub fn hold_floor(&mut self) {
        self.held = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FRAME_SAMPLES, mulaw, tone};

    /// One frame of noise from a xorshift seed, evenly spread over ±`peak`.
    fn noise(seed: &mut u64, peak: i16) -> [i16; FRAME_SAMPLES] {
        std::array::from_fn(|_| {
            *seed ^= *seed << 13;
            *seed ^= *seed >> 7;
            *seed ^= *seed << 17;
            ((*seed >> 33) as i64 % (2 * i64::from(peak) + 1) - i64::from(peak)) as i16
        })
    }

    fn power_of_dbfs(dbfs: f32) -> f32 {
        (FULL_SCALE * 10f32.powf(dbfs / 20.0)).powi(2)
    }

    #[test]
    fn level_of_known_shapes() {
        let square: Vec<i16> = (0..163)
            .map(|i| if i % 2 == 0 { 16384 } else { -16384 })
            .collect();
        for (samples, expected_rms, expected_dbfs) in [
            (&square[..], 16384.0, -6.02),
            (&[i16::MIN; 160][..], 32768.0, 0.0),
            (&[8; 160][..], 8.0, -72.25),
            (&[0; 160][..], 0.0, SILENCE_DBFS),
            (&[][..], 0.0, SILENCE_DBFS),
        ] {
            assert!(
                (rms(samples) - expected_rms).abs() < 0.01,
                "{}",
                rms(samples)
            );
            assert!(
                (dbfs(samples) - expected_dbfs).abs() < 0.01,
                "{}",
                dbfs(samples)
            );
        }
        let mut click = vec![0; 8000 * 60];
        click[5] = 1;
        assert!(dbfs(&click) > SILENCE_DBFS);
    }

    #[test]
    fn silence_and_idle_noise_keep_the_gate_closed() {
        for mut gate in [Gate::new(), Gate::strict()] {
            let mut seed = 41;
            for i in 0..500 {
                assert!(!gate.open(&[0; FRAME_SAMPLES]), "silence, frame {i}");
                let idle =
                    noise(&mut seed, 6).map(|s| mulaw::decode_sample(mulaw::encode_sample(s)));
                assert!(idle.contains(&8) && idle.iter().all(|s| s.abs() <= 8));
                assert!(!gate.open(&idle), "idle noise, frame {i}");
            }
        }
    }

    /// One column per 100 ms: `#` while the gate is open at the end of it.
    fn drawn(gate: &mut Gate, levels: &str) -> String {
        let mut seed = 7;
        let mut drawing = String::new();
        for level in levels.chars() {
            // Noise spread evenly over ±peak has a level of 4.8 dB below the peak.
            let peak = match level {
                '.' => 0,
                '1' => 40,   // -63 dBFS
                '2' => 300,  // -45 dBFS
                '3' => 3000, // -25 dBFS
                _ => 20_000, // -9 dBFS
            };
            let mut open = false;
            for _ in 0..5 {
                open = gate.open(&noise(&mut seed, peak));
            }
            drawing.push(if open { '#' } else { '.' });
        }
        drawing
    }

    #[test]
    fn gate_for_the_network_opens_at_once_and_closes_after_300_ms() {
        let levels = "......111.......2..........4444......";
        let opened = "......######....####.......#######...";
        assert_eq!(drawn(&mut Gate::new(), levels), opened);
    }

    #[test]
    fn strict_gate_wants_a_voice_and_bridges_its_gaps() {
        let levels = "......111.......333.33...3.....";
        let opened = "................#######..##....";
        assert_eq!(drawn(&mut Gate::strict(), levels), opened);
    }

    #[test]
    fn steady_noise_becomes_the_floor_and_the_gate_closes() {
        let mut gate = Gate::new();
        let mut seed = 11;
        let mut closed_after = None;
        for frame in 0..2000 {
            let open = gate.open(&noise(&mut seed, 3000));
            if open {
                closed_after = None;
            } else {
                closed_after = closed_after.or(Some(frame));
            }
        }
        // -25 dBFS is 47 dB above an idle line: at 3 dB a second no sooner than 15 s.
        let frame = closed_after.expect("closed for good");
        assert!((700..1000).contains(&frame), "{frame}");
    }

    #[test]
    fn long_vowel_does_not_become_the_floor_while_it_is_heard_as_speech() {
        let vowel = tone::sine(200.0, 20, -30.0);
        let mut gate = Gate::new();
        for _ in 0..3000 {
            assert!(gate.open(&vowel));
            gate.hold_floor();
        }
        assert!(gate.floor < power_of_dbfs(-70.0));
        let ignored = (0..3000).filter(|_| gate.open(&vowel)).count();
        assert!(
            ignored < 1500,
            "without the hold it is noise after {ignored} frames"
        );
    }
}

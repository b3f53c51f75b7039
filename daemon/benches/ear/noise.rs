//! What else is on the line, as long as it is wanted: made from a seed, or of recordings. How loud is the mixer's
//! business.

use super::support::recordings::Clip;
use std::f32::consts::TAU;
use voice_streamer::media::RATE;

const RATE_F: f32 = RATE as f32;

/// Talkers of a babble: fewer are single voices, more become a hiss.
const TALKERS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bad line: hiss and the hum of the mains.
    Line,
    /// Wind and passing cars: deep noise that comes and goes, and a horn now and then.
    Street,
    /// A room full of people.
    Babble,
    /// Music on hold.
    Music,
}

/// Numbers that look random and are the same every time.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((self.unit() * end as f32) as usize).min(end.saturating_sub(1))
    }

    /// Of variance 1, nearly normal.
    fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Line => "line",
            Kind::Street => "street",
            Kind::Babble => "babble",
            Kind::Music => "music",
        }
    }

    /// So many samples of it, at any level. None if there is no recording of it.
    pub(crate) fn samples(
        self,
        len: usize,
        seed: u64,
        babbled: &[Clip],
        music: &[Clip],
    ) -> Option<Vec<f32>> {
        let mut random = Random::seeded(seed);
        match self {
            Kind::Line => Some(line(len, &mut random)),
            Kind::Street => Some(street(len, &mut random)),
            Kind::Babble => babble(len, &mut random, babbled),
            Kind::Music => {
                // From the middle of a piece on, so that none is met by its beginning only.
                let all: Vec<f32> = music.iter().flatten().map(|&x| f32::from(x)).collect();
                let from = random.below(all.len());
                (!all.is_empty())
                    .then(|| all.iter().cycle().skip(from).take(len).copied().collect())
            }
        }
    }
}

fn line(len: usize, random: &mut Random) -> Vec<f32> {
    (0..len)
        .map(|i| {
            let hum = |hz: f32| (TAU * (hz * i as f32 / RATE_F).fract()).sin();
            random.gauss() + 0.8 * hum(50.0) + 0.6 * hum(150.0) + 0.4 * hum(250.0)
        })
        .collect()
}

fn street(len: usize, random: &mut Random) -> Vec<f32> {
    /// Seconds from gust to gust and from horn to horn, and how long a horn lasts.
    const GUST: f32 = 1.5;
    const HORN_EVERY: f32 = 12.0;
    const HORN: f32 = 0.4;
    let gust_samples = (GUST * RATE_F) as usize;
    // Pink noise by three poles (Paul Kellet's economical filter).
    let mut poles = [0.0_f32; 3];
    let (mut before, mut after) = (0.0, 0.0);
    (0..len)
        .map(|i| {
            if i % gust_samples == 0 {
                // Decibels around the mean.
                (before, after) = (after, 12.0 * random.unit() - 6.0);
            }
            let white = random.gauss();
            poles[0] = 0.997_65 * poles[0] + 0.099_046 * white;
            poles[1] = 0.963 * poles[1] + 0.296_516_4 * white;
            poles[2] = 0.57 * poles[2] + 1.052_691_3 * white;
            let pink = poles.iter().sum::<f32>() + 0.1848 * white;
            let way = (i % gust_samples) as f32 / gust_samples as f32;
            let gust = 10_f32.powf((before + (after - before) * way) / 20.0);
            let seconds = i as f32 / RATE_F;
            let horn = if seconds % HORN_EVERY > HORN_EVERY - HORN {
                let tone = |hz: f32| (TAU * (hz * seconds).fract()).sin();
                2.0 * (tone(420.0) + tone(500.0))
            } else {
                0.0
            };
            pink * gust + horn
        })
        .collect()
}

/// Each talker says one clip after the other, beginning somewhere in his first.
fn babble(len: usize, random: &mut Random, clips: &[Clip]) -> Option<Vec<f32>> {
    if clips.is_empty() {
        return None;
    }
    let mut sum = vec![0.0; len];
    for _ in 0..TALKERS {
        let mut at = 0;
        let mut from = None;
        while at < len {
            let clip = &clips[random.below(clips.len())];
            let from = from.take().unwrap_or_else(|| random.below(clip.len()));
            for (sum, &x) in sum[at..].iter_mut().zip(&clip[from..]) {
                *sum += f32::from(x);
            }
            at += clip.len() - from;
        }
    }
    Some(sum)
}

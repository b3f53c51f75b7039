//! The forward pass compiled for processors with AVX2 and FMA, and the question whether this is one. What it computes is
//! in `silero`, to the letter; here is only the door between the two, and the only `unsafe` of this room: a compiler
//! cannot know that the question was asked.

use super::{Silero, WINDOW_SAMPLES};

/// Proof that this processor has both: there is no other way to a value of this type than [`Avx2::detect`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    pub(super) fn detect() -> Option<Avx2> {
        let both = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        both.then_some(Avx2(()))
    }

    pub(super) fn window(self, ear: &mut Silero, samples: &[i16; WINDOW_SAMPLES]) -> f32 {
        // SAFETY: `hear` needs nothing but a processor with the two features it is compiled for. `self` exists, so
        // `detect` has found them on this one, and a processor does not lose a feature while a process runs.
        unsafe { hear(ear, samples) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn hear(ear: &mut Silero, samples: &[i16; WINDOW_SAMPLES]) -> f32 {
    ear.hear::<true>(samples)
}

/// No such processor.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Clone, Copy)]
pub(super) enum Avx2 {}

#[cfg(not(target_arch = "x86_64"))]
impl Avx2 {
    pub(super) fn detect() -> Option<Avx2> {
        None
    }

    pub(super) fn window(self, _: &mut Silero, _: &[i16; WINDOW_SAMPLES]) -> f32 {
        match self {}
    }
}

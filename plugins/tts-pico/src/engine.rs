//! One Pico, made safe: a voice loaded and ready, which turns plain text into samples.
//!
//! This is the only file that speaks to C. An [`Engine`] owns a Pico system, the memory it lives in, its two lingware
//! resources and its one synthesis engine; it stays on the thread that made it. What text may reach it is decided
//! elsewhere, by type: [`Plain`] holds no markup, and the only tags Pico ever sees are the three written here.
//! Threads, queues and audio formats other than Pico's own are no matter of this file.

use std::ffi::{CStr, c_void};
use std::ops::ControlFlow;
use std::ptr;

use ttspico_sys as pico;

use crate::datafile::DataFile;
use crate::text::Plain;
use crate::voices::VoiceName;

/// Samples per second of everything Pico says.
pub const SAMPLE_RATE: u32 = 16_000;

/// The memory Pico takes for the engine itself, and a little for what it keeps on the side; the lingware comes on
/// top. That makes 2.5 MB for en-US, the largest voice.
const ENGINE_BYTES: usize = 1_000_000 + 64 * 1024;

/// Room for one step's sound: an item is at most 255 bytes behind a head of 4.
const STEP_MAX_SAMPLES: usize = 256;

/// How many steps in a row may bring no sound before the engine is taken to be stuck. Of all texts tried, the worst
/// needed 9,300 before its first sound.
const SILENT_STEPS_MAX: u32 = 100_000;

/// The name of the only voice definition a system has; it never leaves that system.
const VOICE_DEFINITION: &CStr = c"voice";

/// How a voice speaks, in percent of its own way: speed 20..=500, pitch 50..=200, volume 0..=500 as Pico takes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Manner {
    pub(crate) speed: u16,
    pub(crate) pitch: u16,
    pub(crate) volume: u16,
}

impl Manner {
    /// The voice as it was recorded.
    pub(crate) const NATURAL: Manner = Manner {
        speed: 100,
        pitch: 100,
        volume: 100,
    };
}

/// What Pico could not do, and for which voice.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no place for the file Pico reads the voice from.
    #[error(
        "voice {voice}: its data could not be put into a temporary file for Pico to read: {source}; \
         make /dev/shm writable or set TMPDIR to a folder that is"
    )]
    DataFile {
        /// The voice.
        voice: &'static str,
        /// What the system said about the second place tried.
        source: std::io::Error,
    },
    /// A function of Pico answered with an error.
    #[error(
        "voice {voice}: Pico could not {doing} (status {status}: {message}); the utterance is dropped"
    )]
    Refused {
        /// The voice.
        voice: &'static str,
        /// What was being done.
        doing: &'static str,
        /// Pico's number for it.
        status: i32,
        /// Pico's words for it.
        message: String,
    },
    /// Step after step without a sound and without an end.
    #[error(
        "voice {voice}: Pico worked without end on {bytes} bytes of text; the utterance is dropped"
    )]
    Stuck {
        /// The voice.
        voice: &'static str,
        /// The length of the text with its tags.
        bytes: usize,
    },
}

/// A voice, loaded. Dropping it gives everything back.
pub(crate) struct Engine {
    voice: VoiceName,
    system: pico::pico_System,
    engine: pico::pico_Engine,
    resources: Vec<pico::pico_Resource>,
    /// All the memory Pico works in. A raw pointer, because Pico writes through its own as long as the system lives.
    arena: *mut [u64],
    /// The arena as it was when the engine was new.
    pristine: Box<[u64]>,
}

impl Engine {
    /// Loads a voice: about three milliseconds.
    pub(crate) fn open(voice: VoiceName) -> Result<Engine, EngineError> {
        let lingware = voice.lingware();
        let bytes = ENGINE_BYTES + lingware.text.len() + lingware.signal.len();
        let words = bytes.div_ceil(size_of::<u64>());
        let mut this = Engine {
            voice,
            system: ptr::null_mut(),
            engine: ptr::null_mut(),
            resources: Vec::with_capacity(2),
            arena: Box::into_raw(vec![0_u64; words].into_boxed_slice()),
            pristine: Box::default(),
        };
        // SAFETY: the arena is at least `bytes` long (a few million, so it fits 32 bits), aligned for u64, used by
        // nobody else, and freed only in `drop`, after the system has ended. `system` outlives the call.
        let status = unsafe {
            pico::pico_initialize(
                this.arena.cast::<c_void>(),
                bytes as pico::pico_Uint32,
                &raw mut this.system,
            )
        };
        this.check(status, "start")?;

        let name = VOICE_DEFINITION.as_ptr().cast::<u8>();
        // SAFETY: a live system and a C string that outlives the call.
        let status = unsafe { pico::pico_createVoiceDefinition(this.system, name) };
        this.check(status, "define the voice")?;

        for bytes in [lingware.text, lingware.signal] {
            this.load(bytes)?;
        }

        // SAFETY: a live system, a C string, and a place for the handle that outlives the call.
        let status = unsafe { pico::pico_newEngine(this.system, name, &raw mut this.engine) };
        this.check(status, "make an engine")?;
        // SAFETY: the arena is a live slice of initialised words, and Pico runs only inside calls into it.
        this.pristine = unsafe { &*this.arena }.into();
        Ok(this)
    }

    pub(crate) fn voice(&self) -> VoiceName {
        self.voice
    }

    /// Loads one lingware file and adds it to the voice definition.
    fn load(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        let file = DataFile::new(bytes).map_err(|source| EngineError::DataFile {
            voice: self.voice.as_str(),
            source,
        })?;
        let mut resource: pico::pico_Resource = ptr::null_mut();
        // SAFETY: a live system; the path is a C string shorter than Pico's array for it (`datafile` sees to that);
        // `resource` outlives the call. Pico reads the whole file into the arena before it returns.
        let status = unsafe {
            pico::pico_loadResource(
                self.system,
                file.c_path().as_ptr().cast::<u8>(),
                &raw mut resource,
            )
        };
        self.check(status, "load the voice's data")?;
        self.resources.push(resource);

        let mut name = [0; pico::PICO_RETSTRINGSIZE];
        // SAFETY: a live system and resource; the buffer has the size Pico's documentation demands.
        let status =
            unsafe { pico::pico_getResourceName(self.system, resource, name.as_mut_ptr()) };
        self.check(status, "name the voice's data")?;
        // SAFETY: as above; Pico ended `name` with a NUL, and the array was zeroed before.
        let status = unsafe {
            pico::pico_addResourceToVoiceDefinition(
                self.system,
                VOICE_DEFINITION.as_ptr().cast::<u8>(),
                name.as_ptr().cast::<u8>(),
            )
        };
        self.check(status, "add the voice's data")
    }

    /// Says `text`, handing samples (16 kHz mono) to `hear` as they are made, a few milliseconds at a time, and none at
    /// all after a step that made none. `hear` may break off: that is not an error. Afterwards, also after an error, the engine is as if it had never spoken.
    pub(crate) fn say(
        &mut self,
        text: &Plain,
        manner: Manner,
        hear: impl FnMut(&[i16]) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let said = self.pull(&written(text, manner), hear);
        self.renew();
        said
    }

    /// Puts the engine back to how it was when new, byte for byte.
    ///
    /// Pico's own resets do not: the soft one keeps speed, pitch and unclosed markup, the full one leaves the last
    /// text in buffers that the next one reads before it writes. All of Pico's state is in the arena, at fixed
    /// addresses, so copying it back is complete, and at 0.1 ms cheaper than loading the voice again.
    fn renew(&mut self) {
        // SAFETY: both are as long as `pristine`, which was copied from the arena and shares nothing with it; Pico
        // is not running. The pointers and open files described by these bytes are the ones that are live now:
        // Pico makes none after `open`, as only markup could ask for it.
        unsafe {
            ptr::copy_nonoverlapping(
                self.pristine.as_ptr(),
                self.arena.cast::<u64>(),
                self.pristine.len(),
            );
        }
    }

    /// Feeds `input` as Pico's small buffer takes it and collects what comes out.
    fn pull(
        &mut self,
        input: &[u8],
        mut hear: impl FnMut(&[i16]) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut rest = input;
        let mut silent_steps = 0;
        let mut sound = [0_i16; STEP_MAX_SAMPLES];
        loop {
            if !rest.is_empty() {
                let mut taken: i16 = 0;
                let offered = i16::try_from(rest.len()).unwrap_or(i16::MAX);
                // SAFETY: a live engine; `rest` holds at least `offered` readable bytes, which Pico copies.
                let status = unsafe {
                    pico::pico_putTextUtf8(self.engine, rest.as_ptr(), offered, &raw mut taken)
                };
                self.check(status, "take the text")?;
                rest = rest
                    .get(usize::try_from(taken).unwrap_or(0)..)
                    .unwrap_or_default();
            }

            let (mut got_bytes, mut kind): (i16, i16) = (0, 0);
            // SAFETY: a live engine; the buffer is `STEP_MAX_SAMPLES` samples long and aligned for them, and the
            // number of bytes told to Pico is its true size.
            let status = unsafe {
                pico::pico_getData(
                    self.engine,
                    sound.as_mut_ptr().cast::<c_void>(),
                    (STEP_MAX_SAMPLES * size_of::<i16>()) as i16,
                    &raw mut got_bytes,
                    &raw mut kind,
                )
            };
            let idle = match status {
                pico::PICO_STEP_BUSY => false,
                pico::PICO_STEP_IDLE => true,
                bad => return self.check(bad.min(-1), "speak"),
            };
            let samples = usize::try_from(got_bytes).unwrap_or(0) / size_of::<i16>();
            if hear(&sound[..samples.min(STEP_MAX_SAMPLES)]).is_break() {
                return Ok(());
            }
            if samples > 0 {
                silent_steps = 0;
            } else if idle && rest.is_empty() {
                return Ok(());
            } else {
                silent_steps += 1;
                if silent_steps > SILENT_STEPS_MAX {
                    return Err(EngineError::Stuck {
                        voice: self.voice.as_str(),
                        bytes: input.len(),
                    });
                }
            }
        }
    }

    /// Negative statuses are errors, positive ones warnings that changed nothing we rely on.
    fn check(&self, status: pico::pico_Status, doing: &'static str) -> Result<(), EngineError> {
        if status >= 0 {
            return Ok(());
        }
        let mut message = [0; pico::PICO_RETSTRINGSIZE];
        if !self.engine.is_null() {
            // SAFETY: a live engine and a buffer of the documented size.
            unsafe {
                pico::pico_getEngineStatusMessage(self.engine, status, message.as_mut_ptr());
            }
        } else if !self.system.is_null() {
            // SAFETY: a live system and a buffer of the documented size.
            unsafe {
                pico::pico_getSystemStatusMessage(self.system, status, message.as_mut_ptr());
            }
        }
        let message: Vec<u8> = message
            .iter()
            .map(|c| *c as u8)
            .take_while(|c| *c != 0)
            .collect();
        Err(EngineError::Refused {
            voice: self.voice.as_str(),
            doing,
            status,
            message: String::from_utf8_lossy(&message).into_owned(),
        })
    }
}

/// The bytes Pico reads: our own tags, the text, and the NUL that tells it to begin at once.
fn written(text: &Plain, manner: Manner) -> Vec<u8> {
    let natural = Manner::NATURAL;
    let mut out = String::with_capacity(text.as_str().len() + 80);
    for (tag, level, usual) in [
        ("speed", manner.speed, natural.speed),
        ("pitch", manner.pitch, natural.pitch),
        ("volume", manner.volume, natural.volume),
    ] {
        if level != usual {
            out.push_str(&format!("<{tag} level='{level}'>"));
        }
    }
    out.push_str(text.as_str());
    out.push('\0');
    out.into_bytes()
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Pico takes things back in the opposite order only, and never closes the files of resources that are still
        // loaded. A status says nothing here that could still be acted upon.
        //
        // SAFETY: every handle is null or was made by this system and not given back before; nothing uses the arena
        // once the system has ended; the arena came out of `Box::into_raw`.
        unsafe {
            if !self.engine.is_null() {
                pico::pico_disposeEngine(self.system, &raw mut self.engine);
            }
            if !self.system.is_null() {
                pico::pico_releaseVoiceDefinition(
                    self.system,
                    VOICE_DEFINITION.as_ptr().cast::<u8>(),
                );
                for mut resource in self.resources.drain(..) {
                    pico::pico_unloadResource(self.system, &raw mut resource);
                }
                pico::pico_terminate(&raw mut self.system);
            }
            drop(Box::from_raw(self.arena));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

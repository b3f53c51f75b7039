//! The table every plugin is given: the log, the way out (`out.rs`), and nothing else in version 1. Also the host's
//! note about whom it is talking to, [`Ctx`]. The log lines of a plugin come out under the target `plugin` with the
//! plugin's name as a field; a tracing target has to be known at compile time, so the name cannot be part of it. Nor can
//! the names of the plugin's own fields: they go into the one field `fields`, as JSON, and the log makes fields of them.

use super::out;
use serde_json::Value;
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use tracing::Level;
use voice_plugin::abi::{ABI, VpBytes, VpCtx, VpHost, level};

/// The tracing target of everything said by or about plugins.
pub(crate) const TARGET: &str = "plugin";

/// Longest text, and longest fields, of one line of a plugin's log; the rest is cut.
const LOG_BYTES: usize = 4096;

/// Lines one generation may write in a second; what is above is counted and dropped. A plugin that logs every frame of
/// four calls stays below.
const LOG_LINES_PER_SEC: u32 = 200;

/// What every plugin gets. Lives as long as the process, as the contract says.
pub(crate) static HOST: VpHost = VpHost {
    size: size_of::<VpHost>() as u32,
    abi: ABI,
    log_level,
    log,
    reserve: out::reserve,
    commit: out::commit,
    emit: out::emit,
    release: out::release,
    extension,
};

/// The host's side of one opened instance. Never freed: a plugin's thread may outlive `close` against all promises, and
/// its log line must still find an owner. A hundred bytes per opening are nothing beside the library itself.
pub(crate) struct Ctx {
    name: String,
    number: u64,
    outs: AtomicUsize,
    pace: Pace,
}

impl Ctx {
    /// A note about generation `number` of the plugin configured as `name`.
    pub(crate) fn leak(name: &str, number: u64) -> &'static Ctx {
        Box::leak(Box::new(Ctx {
            name: name.to_owned(),
            number,
            outs: AtomicUsize::new(0),
            pace: Pace::default(),
        }))
    }

    /// The plugin's name in the configuration.
    pub(crate) fn name(&'static self) -> &'static str {
        &self.name
    }

    /// As the plugin gets to see it: not at all.
    pub(crate) fn opaque(&'static self) -> *mut VpCtx {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Outs the plugin holds: one per stream that runs, and those it has not released yet.
    pub(crate) fn outs_held(&self) -> usize {
        self.outs.load(Ordering::Relaxed)
    }

    pub(crate) fn out_opened(&self) {
        self.outs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn out_released(&self) {
        self.outs.fetch_sub(1, Ordering::Relaxed);
    }

    fn write(&self, line_level: u32, text: &str, fields: Fields) {
        let (plugin, generation) = (self.name.as_str(), self.number);
        let call = fields.call.as_deref();
        let fields = fields.json.as_ref().map(tracing::field::display);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(target: TARGET, $level, plugin, generation, call, fields, "{text}")
            };
        }
        match line_level {
            0..=level::ERROR => line!(Level::ERROR),
            level::WARN => line!(Level::WARN),
            level::INFO => line!(Level::INFO),
            level::DEBUG => line!(Level::DEBUG),
            _ => line!(Level::TRACE),
        }
    }
}

/// What a plugin gave its line beside the sentence.
#[derive(Debug, Default)]
struct Fields {
    /// The call it is about, under the name that our own lines have for it.
    call: Option<String>,
    /// The others: a JSON object, or whatever it was.
    json: Option<Value>,
}

impl Fields {
    fn read(bytes: &[u8]) -> Fields {
        if bytes.is_empty() {
            return Fields::default();
        }
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else {
            return Fields {
                call: None,
                json: Some(String::from_utf8_lossy(bytes).into()),
            };
        };
        let call = match fields.remove("call") {
            Some(Value::String(call)) => Some(call),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        Fields {
            call,
            json: (!fields.is_empty()).then(|| fields.into()),
        }
    }
}

/// How many lines were written in the present second: the second above, the count below.
#[derive(Default)]
struct Pace(AtomicU64);

/// What becomes of a line.
#[derive(Debug, PartialEq)]
enum Passage {
    Through,
    /// Through, and this many were dropped in the second before.
    After(u32),
    Dropped,
}

impl Pace {
    fn admit(&self, second: u32) -> Passage {
        let mut said = Passage::Dropped;
        // A counter and nothing it could publish.
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        // The closure never answers None, so this cannot fail.
        let _always = self.0.fetch_update(set, get, |was| {
            let (then, count) = ((was >> 32) as u32, was as u32);
            let (now, next) = if then != second {
                match count.saturating_sub(LOG_LINES_PER_SEC) {
                    0 => (Passage::Through, 1),
                    dropped => (Passage::After(dropped), 1),
                }
            } else if count < LOG_LINES_PER_SEC {
                (Passage::Through, count + 1)
            } else {
                (Passage::Dropped, count.saturating_add(1))
            };
            said = now;
            Some(u64::from(second) << 32 | u64::from(next))
        });
        said
    }
}

/// Whole seconds since the first line.
fn second() -> u32 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs() as u32
}

/// Bytes lent by a plugin, cut to the longest a log line may have; none if they are null.
///
/// # Safety
/// Where `bytes.ptr` is not null it points at `bytes.len` readable bytes that stay unchanged for `'a`.
unsafe fn lent<'a>(bytes: VpBytes) -> &'a [u8] {
    if bytes.ptr.is_null() {
        return &[];
    }
    let cut = VpBytes {
        len: bytes.len.min(LOG_BYTES),
        ..bytes
    };
    // SAFETY: promised by the caller; the cut is a part of it.
    unsafe { cut.bytes() }
}

/// `vp_host.log_level`: asks the subscriber about each level, which costs a few ns, so that a plugin does not put
/// together lines nobody wants.
unsafe extern "C" fn log_level(_ctx: *mut VpCtx) -> u32 {
    if tracing::enabled!(target: TARGET, Level::TRACE) {
        level::TRACE
    } else if tracing::enabled!(target: TARGET, Level::DEBUG) {
        level::DEBUG
    } else if tracing::enabled!(target: TARGET, Level::INFO) {
        level::INFO
    } else if tracing::enabled!(target: TARGET, Level::WARN) {
        level::WARN
    } else {
        level::ERROR
    }
}

unsafe extern "C" fn log(ctx: *mut VpCtx, line_level: u32, text: VpBytes, fields_json: VpBytes) {
    // SAFETY: the plugin has this pointer from `open`, and a Ctx is never freed.
    let Some(ctx) = (unsafe { ctx.cast::<Ctx>().as_ref() }) else {
        return;
    };
    match ctx.pace.admit(second()) {
        Passage::Through => {}
        Passage::After(dropped) => tracing::warn!(
            target: TARGET,
            plugin = ctx.name.as_str(),
            dropped,
            "the plugin logs too much: at most {LOG_LINES_PER_SEC} lines a second are kept"
        ),
        Passage::Dropped => return,
    }
    // SAFETY: lent for the length of this call, by contract.
    let (text, fields) = unsafe { (lent(text), lent(fields_json)) };
    ctx.write(
        line_level,
        &String::from_utf8_lossy(text),
        Fields::read(fields),
    );
}

/// `vp_host.extension`: there is none yet.
unsafe extern "C" fn extension(_ctx: *mut VpCtx, _id: *const c_char) -> *const c_void {
    ptr::null()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span;

    /// A subscriber that writes down what it is told, up to one level.
    #[derive(Clone)]
    struct Ear(Arc<Mutex<String>>, Level);

    impl tracing::Subscriber for Ear {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= self.1
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            struct Fields<'a>(&'a mut String);
            impl Visit for Fields<'_> {
                fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                    write!(self.0, " {field}={value:?}").unwrap();
                }
            }
            let mut heard = self.0.lock().unwrap();
            write!(
                heard,
                "{} {}",
                event.metadata().target(),
                event.metadata().level()
            )
            .unwrap();
            event.record(&mut Fields(&mut heard));
            heard.push('\n');
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    fn heard(up_to: Level, work: impl FnOnce()) -> String {
        let ear = Ear(Arc::default(), up_to);
        tracing::subscriber::with_default(ear.clone(), work);
        ear.0.lock().unwrap().clone()
    }

    fn say(ctx: *mut VpCtx, level: u32, text: &[u8], fields: &[u8]) {
        // SAFETY: the context is null or leaked, the bytes are lent.
        unsafe { (HOST.log)(ctx, level, VpBytes::lend(text), VpBytes::lend(fields)) };
    }

    #[test]
    fn a_plugins_line_comes_out_with_its_name_level_and_fields() {
        let ctx = Ctx::leak("pico", 7).opaque();
        let text = heard(Level::TRACE, || {
            say(ctx, level::INFO, b"voice is ready", b"{\"ms\":3}");
            say(ctx, level::INFO, b"spoke", b"{\"call\":\"CA1\"}");
            say(ctx, level::INFO, b"broke", b"{\"ms\":");
            say(ctx, 99, b"fine print", b"");
            say(ptr::null_mut(), level::INFO, b"from nobody", b"");
        });
        assert_eq!(
            text,
            "plugin INFO message=voice is ready plugin=\"pico\" generation=7 fields={\"ms\":3}\n\
             plugin INFO message=spoke plugin=\"pico\" generation=7 call=\"CA1\"\n\
             plugin INFO message=broke plugin=\"pico\" generation=7 fields=\"{\\\"ms\\\":\"\n\
             plugin TRACE message=fine print plugin=\"pico\" generation=7\n"
        );
    }

    #[test]
    fn a_line_without_end_is_cut_and_bytes_that_are_no_text_are_shown() {
        let ctx = Ctx::leak("loud", 1).opaque();
        let text = heard(Level::INFO, || {
            say(ctx, level::WARN, &[b'x'; LOG_BYTES + 9], b"");
            say(ctx, level::WARN, b"\xff", b"");
            let null = VpBytes {
                ptr: ptr::null(),
                len: 9,
            };
            // SAFETY: the context is leaked; null bytes are what is tested.
            unsafe { (HOST.log)(ctx, level::WARN, null, null) };
        });
        assert_eq!(text.matches('x').count(), LOG_BYTES);
        assert!(text.contains('\u{fffd}'));
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn the_level_asked_for_is_the_level_written() {
        for (subscriber, said) in [
            (Level::ERROR, level::ERROR),
            (Level::WARN, level::WARN),
            (Level::INFO, level::INFO),
            (Level::DEBUG, level::DEBUG),
            (Level::TRACE, level::TRACE),
        ] {
            heard(subscriber, || {
                // SAFETY: the context is not looked at.
                assert_eq!(unsafe { (HOST.log_level)(ptr::null_mut()) }, said);
            });
        }
    }

    #[test]
    fn a_flood_is_dropped_counted_and_over_with_the_second() {
        let pace = Pace::default();
        for _ in 0..LOG_LINES_PER_SEC {
            assert_eq!(pace.admit(5), Passage::Through);
        }
        assert_eq!(pace.admit(5), Passage::Dropped);
        assert_eq!(pace.admit(5), Passage::Dropped);
        assert_eq!(pace.admit(6), Passage::After(2));
        assert_eq!(pace.admit(6), Passage::Through);
    }
}

//! The ring's tests: its calls against what a plain queue would give, and, under `--cfg loom`, its two sides in every
//! interleaving. Both on [`cells`], memory that knows nothing of pages.

#![allow(clippy::unwrap_used)]

/// Plain memory for tests: one cell per unit. Under loom a cell fails the test when two threads touch it unordered.
mod cells {
    use super::super::{HEAD_BYTES, Head, Memory, UNIT_BYTES};

    #[cfg(loom)]
    use loom::cell::UnsafeCell;
    #[cfg(not(loom))]
    use shim::UnsafeCell;

    pub(super) struct Cells(Box<[UnsafeCell<[u8; UNIT_BYTES]>]>);

    // SAFETY: the ring's rules say who may touch which cell when; that they do is what the loom tests check.
    unsafe impl Sync for Cells {}

    impl Cells {
        pub(super) fn new(bytes: usize) -> Cells {
            let cell = || UnsafeCell::new([0; UNIT_BYTES]);
            Cells((0..bytes / UNIT_BYTES).map(|_| cell()).collect())
        }

        /// Writes a payload as a plugin would: through the place it was given.
        pub(super) fn write(&self, at: usize, bytes: &[u8]) {
            let mut at = at;
            let mut rest = bytes;
            while !rest.is_empty() {
                let from = at % UNIT_BYTES;
                let n = rest.len().min(UNIT_BYTES - from);
                self.unit(at)
                    // SAFETY: inside a reservation, so the reader is not looking.
                    .with_mut(|unit| unsafe {
                        (&mut (*unit))[from..from + n].copy_from_slice(&rest[..n])
                    });
                at = at.wrapping_add(n);
                rest = &rest[n..];
            }
        }

        pub(super) fn read(&self, at: usize, len: usize) -> Vec<u8> {
            let byte = |i| {
                let at = at.wrapping_add(i);
                // SAFETY: inside a record the reader has open, so the writer keeps away.
                self.unit(at)
                    .with(|unit| unsafe { (*unit)[at % UNIT_BYTES] })
            };
            (0..len).map(byte).collect()
        }

        fn unit(&self, at: usize) -> &UnsafeCell<[u8; UNIT_BYTES]> {
            &self.0[at / UNIT_BYTES % self.0.len()]
        }
    }

    impl Memory for Cells {
        fn capacity(&self) -> usize {
            self.0.len() * UNIT_BYTES
        }

        unsafe fn put_head(&self, at: usize, head: Head) {
            let mut bytes = [0; HEAD_BYTES];
            bytes[0..2].copy_from_slice(&head.kind.to_ne_bytes());
            bytes[2..4].copy_from_slice(&head.flags.to_ne_bytes());
            bytes[4..8].copy_from_slice(&head.turn.to_ne_bytes());
            bytes[8..12].copy_from_slice(&head.len.to_ne_bytes());
            self.write(at, &bytes);
        }

        unsafe fn head(&self, at: usize) -> Head {
            let bytes = self.read(at, HEAD_BYTES);
            Head {
                kind: u16::from_ne_bytes(bytes[0..2].try_into().unwrap()),
                flags: u16::from_ne_bytes(bytes[2..4].try_into().unwrap()),
                turn: u32::from_ne_bytes(bytes[4..8].try_into().unwrap()),
                len: u32::from_ne_bytes(bytes[8..12].try_into().unwrap()),
            }
        }
    }

    /// loom's way of asking for a cell's content, without loom.
    #[cfg(not(loom))]
    mod shim {
        pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

        impl<T> UnsafeCell<T> {
            pub(super) fn new(value: T) -> UnsafeCell<T> {
                UnsafeCell(std::cell::UnsafeCell::new(value))
            }

            pub(super) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
                f(self.0.get())
            }

            pub(super) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
                f(self.0.get())
            }
        }
    }
}

/// A bell, and whether it has been rung.
mod bells {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    pub(super) struct Rung(AtomicBool);

    impl std::ops::Deref for Rung {
        type Target = AtomicBool;

        fn deref(&self) -> &AtomicBool {
            &self.0
        }
    }

    impl Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    pub(super) fn bell() -> (Arc<Rung>, Waker) {
        let rung = Arc::new(Rung(AtomicBool::new(false)));
        (Arc::clone(&rung), rung.into())
    }
}

#[cfg(not(loom))]
mod calls {
    use super::super::*;
    use super::bells::bell;
    use super::cells::Cells;
    use std::collections::VecDeque;

    const SMALL_BYTES: usize = 512;
    const SMALL_RESERVE_BYTES: usize = 64;

    fn small() -> (Writer<Cells>, Reader<Cells>) {
        Ring::over(Cells::new(SMALL_BYTES), SMALL_RESERVE_BYTES)
    }

    fn put(writer: &mut Writer<Cells>, kind: u16, turn: u32, bytes: &[u8]) -> Result<(), Refusal> {
        let at = writer.reserve(kind, turn, bytes.len())?;
        writer.ring().memory().write(at, bytes);
        writer.commit(bytes.len(), 0)
    }

    fn seen(reader: &mut Reader<Cells>) -> Option<(u16, u32, Vec<u8>)> {
        let (head, at) = reader.next()?;
        let bytes = reader.ring().memory().read(at, head.len as usize);
        Some((head.kind, head.turn, bytes))
    }

    fn fill(writer: &mut Writer<Cells>, turn: u32) {
        while put(writer, kind::AUDIO, turn, &[7; 16]).is_ok() {}
    }

    #[test]
    fn the_bell_rings_once_for_the_first_record_after_it_was_armed() {
        let (mut writer, mut reader) = small();
        let (rung, waker) = bell();
        put(&mut writer, kind::AUDIO, 1, b"abc").unwrap();
        assert!(!rung.load(Relaxed), "nobody has armed it");
        assert!(!reader.wake_at_commit(&waker), "there is something already");
        reader.next().unwrap();
        reader.take();
        assert!(reader.wake_at_commit(&waker));
        assert!(reader.wake_at_commit(&waker), "twice is once");
        assert!(!rung.swap(false, Relaxed));
        put(&mut writer, kind::AUDIO, 1, b"def").unwrap();
        assert!(rung.swap(false, Relaxed));
        put(&mut writer, kind::AUDIO, 1, b"ghi").unwrap();
        assert!(!rung.load(Relaxed), "once");
    }

    #[test]
    fn a_reader_that_is_gone_is_woken_no_more() {
        let (mut writer, mut reader) = small();
        let (rung, waker) = bell();
        assert!(reader.wake_at_commit(&waker));
        drop((reader, waker));
        assert_eq!(Arc::strong_count(&rung), 1, "nobody holds the waker");
        put(&mut writer, kind::AUDIO, 0, b"abc").unwrap_err();
        assert!(!rung.load(Relaxed));
    }

    #[test]
    fn records_come_out_in_order_with_what_was_put_in() {
        let (mut writer, mut reader) = small();
        put(&mut writer, kind::AUDIO, 1, b"abc").unwrap();
        put(&mut writer, kind::DONE, 1, b"").unwrap();
        assert_eq!(seen(&mut reader), Some((kind::AUDIO, 1, b"abc".to_vec())));
        assert_eq!(seen(&mut reader), Some((kind::AUDIO, 1, b"abc".to_vec())));
        reader.take();
        assert_eq!(seen(&mut reader), Some((kind::DONE, 1, vec![])));
        reader.take();
        assert_eq!(seen(&mut reader), None);
        assert!(reader.is_idle());
    }

    #[test]
    fn audio_cannot_take_the_place_kept_for_done_and_failed() {
        let (mut writer, mut reader) = small();
        fill(&mut writer, 1);
        assert_eq!(put(&mut writer, kind::TEXT, 1, b"x"), Err(Refusal::Again));
        // 64 bytes are kept: two records with a little in them.
        put(&mut writer, kind::FAILED, 1, b"quota is used up").unwrap();
        put(&mut writer, kind::ACTION, 1, b"{}").unwrap();
        assert_eq!(put(&mut writer, kind::DONE, 1, b""), Err(Refusal::Again));
        reader.next();
        reader.take();
        put(&mut writer, kind::DONE, 1, b"").unwrap();
    }

    #[test]
    fn misuse_is_answered_and_forgotten() {
        let (mut writer, mut reader) = small();
        assert_eq!(
            writer.commit(0, 0),
            Err(Refusal::Misuse),
            "nothing reserved"
        );
        writer.reserve(kind::AUDIO, 1, 8).unwrap();
        assert_eq!(
            writer.reserve(kind::AUDIO, 1, 8),
            Err(Refusal::Misuse),
            "two at once"
        );
        assert_eq!(
            writer.commit(9, 0),
            Err(Refusal::Misuse),
            "more than reserved"
        );
        assert_eq!(
            writer.commit(8, 0),
            Err(Refusal::Misuse),
            "given up by then"
        );
        let most = SMALL_BYTES - SMALL_RESERVE_BYTES - HEAD_BYTES;
        assert_eq!(
            writer.reserve(kind::AUDIO, 1, most + 1),
            Err(Refusal::Misuse)
        );
        assert_eq!(
            writer.reserve(kind::AUDIO, 1, usize::MAX),
            Err(Refusal::Misuse)
        );
        writer.reserve(kind::AUDIO, 1, most).unwrap();
        writer.commit(most, 0).unwrap();
        assert_eq!(seen(&mut reader).unwrap().2.len(), most);
    }

    #[test]
    fn committing_no_audio_gives_the_reservation_up() {
        let (mut writer, mut reader) = small();
        writer.reserve(kind::AUDIO, 1, 8).unwrap();
        assert_eq!(writer.commit(0, 0), Ok(()));
        assert_eq!(seen(&mut reader), None);
        put(&mut writer, kind::DONE, 1, b"").unwrap();
        assert_eq!(seen(&mut reader).unwrap().0, kind::DONE);
    }

    #[test]
    fn parts_of_a_record_can_be_taken_and_their_room_comes_back() {
        let (mut writer, mut reader) = small();
        let most = SMALL_BYTES - SMALL_RESERVE_BYTES - HEAD_BYTES;
        let bytes: Vec<u8> = (0..most).map(|i| i as u8).collect();
        put(&mut writer, kind::AUDIO, 1, &bytes).unwrap();
        assert_eq!(
            put(&mut writer, kind::AUDIO, 1, &[1; 32]),
            Err(Refusal::Again)
        );
        assert_eq!(seen(&mut reader).unwrap().2, bytes);
        reader.take_part(50);
        assert_eq!(seen(&mut reader).unwrap().2, bytes[50..]);
        assert!(!reader.is_idle());
        put(&mut writer, kind::AUDIO, 1, &[1; 32]).unwrap();
        assert_eq!(
            seen(&mut reader).unwrap().2,
            bytes[50..],
            "what is left is not written over"
        );
        reader.take_part(most);
        assert_eq!(seen(&mut reader).unwrap().2, [1; 32]);
    }

    #[test]
    fn cancelled_turns_are_refused_and_what_is_in_flight_is_dropped() {
        let (mut writer, mut reader) = small();
        put(&mut writer, kind::AUDIO, 1, b"stale").unwrap();
        put(&mut writer, kind::DONE, 1, b"").unwrap();
        put(&mut writer, kind::ACTION, 1, b"{}").unwrap();
        put(&mut writer, kind::AUDIO, 0, b"outside all turns").unwrap();
        writer.reserve(kind::AUDIO, 2, 4).unwrap();
        reader.next();
        reader.cancel(2);
        reader.cancel(1);
        assert_eq!(
            writer.commit(4, 0),
            Err(Refusal::Cancelled),
            "committed after the barge-in"
        );
        assert_eq!(writer.reserve(kind::DONE, 2, 0), Err(Refusal::Cancelled));
        put(&mut writer, kind::AUDIO, 3, b"fresh").unwrap();
        assert_eq!(seen(&mut reader).unwrap().0, kind::ACTION);
        reader.take();
        assert_eq!(seen(&mut reader).unwrap().2, b"outside all turns");
        reader.take();
        assert_eq!(seen(&mut reader).unwrap().2, b"fresh");
    }

    #[test]
    fn the_last_turn_of_all_can_be_cancelled_and_turn_0_never() {
        let (mut writer, mut reader) = small();
        reader.cancel(0);
        put(&mut writer, kind::AUDIO, 1, b"x").unwrap();
        reader.cancel(u32::MAX);
        assert_eq!(
            put(&mut writer, kind::AUDIO, u32::MAX, b"x"),
            Err(Refusal::Cancelled)
        );
        put(&mut writer, kind::AUDIO, 0, b"x").unwrap();
        reader.stop();
        assert_eq!(
            put(&mut writer, kind::AUDIO, 0, b"x"),
            Err(Refusal::Cancelled)
        );
        assert_eq!(
            put(&mut writer, kind::ACTION, 9, b"{}"),
            Err(Refusal::Cancelled)
        );
    }

    #[test]
    fn a_writer_whose_reader_is_gone_is_refused() {
        let (mut writer, reader) = small();
        drop(reader);
        assert_eq!(
            put(&mut writer, kind::AUDIO, 1, b"x"),
            Err(Refusal::Cancelled)
        );
    }

    #[test]
    fn a_refused_writer_is_told_once_when_half_the_ring_is_free() {
        let (mut writer, mut reader) = small();
        fill(&mut writer, 1);
        let mut taken = 0;
        while !reader.owes_writable() {
            reader.next().unwrap();
            reader.take();
            taken += span(16);
        }
        let filled = (SMALL_BYTES - SMALL_RESERVE_BYTES) / span(16) * span(16);
        assert_eq!(filled - taken, SMALL_BYTES / 2);
        assert!(!reader.owes_writable());
        assert_eq!(writer.reserve(kind::AUDIO, 1, 16).map(|_| ()), Ok(()));
    }

    #[test]
    fn a_refused_giant_is_told_only_when_it_fits() {
        let (mut writer, mut reader) = small();
        let most = SMALL_BYTES - SMALL_RESERVE_BYTES - HEAD_BYTES;
        put(&mut writer, kind::AUDIO, 1, b"small").unwrap();
        assert_eq!(writer.reserve(kind::AUDIO, 1, most), Err(Refusal::Again));
        assert!(!reader.owes_writable());
        reader.next();
        reader.take();
        assert!(!reader.is_idle(), "somebody waits");
        assert!(reader.owes_writable());
        assert!(writer.reserve(kind::AUDIO, 1, most).is_ok());
    }

    #[test]
    fn a_head_written_over_loses_the_records_but_nothing_else() {
        let (mut writer, mut reader) = small();
        let at = writer.reserve(kind::AUDIO, 1, 16).unwrap();
        writer.commit(16, 0).unwrap();
        writer
            .ring()
            .memory()
            .write(at.wrapping_sub(HEAD_BYTES), &[0xff; HEAD_BYTES]);
        assert_eq!(seen(&mut reader), None);
        assert!(reader.is_broken());
        put(&mut writer, kind::AUDIO, 1, b"goes on").unwrap();
        assert_eq!(seen(&mut reader).unwrap().2, b"goes on");
    }

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// The ring against a queue that cannot be wrong, over random calls of both sides.
    #[test]
    fn any_order_of_calls_gives_what_a_plain_queue_gives() {
        for seed in 1..=200u64 {
            let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let (mut writer, mut reader) = small();
            let mut queue: VecDeque<(u16, u32, Vec<u8>)> = VecDeque::new();
            let mut least = 0;
            for step in 0..2_000 {
                let roll = xorshift(&mut dice);
                let turn = least + (roll >> 8) as u32 % 4;
                match roll % 16 {
                    0..=6 => {
                        let kind = 1 + (roll >> 16) as u16 % 13;
                        let bytes = vec![step as u8; (roll >> 24) as usize % 100];
                        let gives_up = kind == kind::AUDIO && bytes.is_empty();
                        if put(&mut writer, kind, turn, &bytes).is_ok() && !gives_up {
                            queue.push_back((kind, turn, bytes));
                        }
                    }
                    7 => {
                        reader.cancel(turn);
                        least = least.max(turn + 1);
                    }
                    8..=11 if reader.next().is_some() => {
                        let part = (roll >> 24) as usize % 50;
                        reader.take_part(part);
                        let front = queue.iter().position(|r| !stale(r, least)).unwrap();
                        queue.drain(..front);
                        if part < queue[0].2.len() {
                            queue[0].2.drain(..part);
                        } else {
                            queue.pop_front();
                        }
                    }
                    _ => {
                        let wanted = queue.iter().find(|r| !stale(r, least)).cloned();
                        assert_eq!(seen(&mut reader), wanted, "seed {seed} step {step}");
                    }
                }
                assert!(!reader.is_broken(), "seed {seed} step {step}");
            }
        }
    }

    fn stale(record: &(u16, u32, Vec<u8>), least: u32) -> bool {
        is_stale(record.0, record.1, u64::from(least))
    }
}

/// Every interleaving of a writer's thread and a reader's, small enough to be tried in full. Run from the package
/// `daemon/loom`: tokio and hyper do not build under `--cfg loom`.
#[cfg(loom)]
mod interleavings {
    use super::super::*;
    use super::bells::bell;
    use super::cells::Cells;
    use loom::thread;

    /// Room for two small records: the third is refused, or goes where the first was.
    fn tiny() -> (Writer<Cells>, Reader<Cells>) {
        Ring::over(Cells::new(64), 0)
    }

    fn put(writer: &mut Writer<Cells>, kind: u16, turn: u32, byte: u8) -> Result<(), Refusal> {
        let at = writer.reserve(kind, turn, UNIT_BYTES)?;
        writer.ring().memory().write(at, &[byte; UNIT_BYTES]);
        writer.commit(UNIT_BYTES, 0)
    }

    fn look(reader: &mut Reader<Cells>) -> Option<(u32, Vec<u8>)> {
        let (head, at) = reader.next()?;
        assert!(!reader.is_broken());
        Some((
            head.turn,
            reader.ring().memory().read(at, head.len as usize),
        ))
    }

    #[test]
    fn what_was_handed_over_is_read_whole_and_in_order() {
        loom::model(|| {
            let (mut writer, mut reader) = tiny();
            let writing = thread::spawn(move || {
                (1..=4u8)
                    .filter(|byte| put(&mut writer, kind::AUDIO, 1, *byte).is_ok())
                    .collect::<Vec<_>>()
            });
            let mut read = Vec::new();
            for _ in 0..2 {
                if let Some((_, bytes)) = look(&mut reader) {
                    assert_eq!(bytes, [bytes[0]; UNIT_BYTES]);
                    read.push(bytes[0]);
                    reader.take_part(3);
                    reader.take();
                }
            }
            let written = writing.join().unwrap();
            while let Some((_, bytes)) = look(&mut reader) {
                read.push(bytes[0]);
                reader.take();
            }
            assert_eq!(read, written);
        });
    }

    #[test]
    fn nothing_of_a_cancelled_turn_is_shown_however_the_race_ends() {
        loom::model(|| {
            let (mut writer, mut reader) = tiny();
            let writing = thread::spawn(move || {
                let stale = put(&mut writer, kind::AUDIO, 1, 1);
                let fresh = put(&mut writer, kind::AUDIO, 2, 2);
                (stale, fresh)
            });
            let early = look(&mut reader).is_some();
            reader.cancel(1);
            if let Some((turn, bytes)) = look(&mut reader) {
                assert_eq!((turn, bytes[0]), (2, 2));
            }
            let (stale, fresh) = writing.join().unwrap();
            assert!(matches!(stale, Ok(()) | Err(Refusal::Cancelled)));
            assert_eq!(fresh, Ok(()));
            assert!(!early || stale == Ok(()));
            assert_eq!(look(&mut reader).map(|(turn, _)| turn), Some(2));
            reader.take();
            assert_eq!(look(&mut reader), None);
        });
    }

    #[test]
    fn nobody_sleeps_beside_a_record() {
        loom::model(|| {
            let (mut writer, mut reader) = tiny();
            let (rung, waker) = bell();
            let writing = thread::spawn(move || {
                put(&mut writer, kind::AUDIO, 1, 1).unwrap();
                put(&mut writer, kind::AUDIO, 1, 2).unwrap();
            });
            let mut read = 0;
            for _ in 0..2 {
                while look(&mut reader).is_some() {
                    reader.take();
                    read += 1;
                }
                if reader.wake_at_commit(&waker) {
                    break; // it may sleep now
                }
                assert!(
                    read == 2 || look(&mut reader).is_some(),
                    "called for nothing"
                );
            }
            writing.join().unwrap();
            let left = look(&mut reader).is_some();
            assert!(!left || rung.load(Relaxed), "asleep after {read}");
        });
    }

    #[test]
    fn a_refused_writer_is_never_forgotten() {
        loom::model(|| {
            let (mut writer, mut reader) = tiny();
            let writing = thread::spawn(move || {
                let refused = (1..=4u8).any(|byte| put(&mut writer, kind::AUDIO, 1, byte).is_err());
                (refused, writer)
            });
            let mut told = false;
            for _ in 0..2 {
                if look(&mut reader).is_some() {
                    reader.take();
                }
                told |= reader.owes_writable();
            }
            let (refused, mut writer) = writing.join().unwrap();
            while !reader.is_idle() {
                if look(&mut reader).is_some() {
                    reader.take();
                }
                told |= reader.owes_writable();
            }
            assert_eq!(told, refused);
            assert_eq!(put(&mut writer, kind::AUDIO, 1, 9), Ok(()));
        });
    }

    #[test]
    fn a_stopped_stream_refuses_a_late_writer() {
        loom::model(|| {
            let (mut writer, mut reader) = tiny();
            let writing = thread::spawn(move || {
                let first = put(&mut writer, kind::AUDIO, 1, 1);
                (first, writer)
            });
            reader.stop();
            let (first, mut writer) = writing.join().unwrap();
            assert!(matches!(first, Ok(()) | Err(Refusal::Cancelled)));
            assert_eq!(put(&mut writer, kind::DONE, 1, 0), Err(Refusal::Cancelled));
            assert_eq!(look(&mut reader), None);
        });
    }
}

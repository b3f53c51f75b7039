//! What one `media` message costs in the parts of its way, each by itself and warm: `cargo bench --bench message`.
//! The whole way, with the kernel and cold caches, is in the bench `echo`; the difference between the two is the point.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;
use voice_streamer::call::{Call, CallTime, Input, Output, Reply, Settings};
use voice_streamer::carrier::twilio::far_end;
use voice_streamer::carrier::twilio::stream::{self, MAX_PAYLOAD_BYTES, Message};
use voice_streamer::media::detect::{Detector, Kind};
use voice_streamer::media::{FRAME_SAMPLES, mulaw};

const STREAM_SID: &str = "MZ00112233445566778899aabbccddeeff";

/// Messages per measurement; the best of [`ROUNDS`] counts, because other work can only make one worse.
const MESSAGES: u32 = 100_000;
const ROUNDS: usize = 7;

fn main() {
    let mut text = Vec::new();
    far_end::write_media(
        &mut text,
        STREAM_SID,
        1234,
        1233,
        24_660,
        &[0x5A; FRAME_SAMPLES],
    );
    let mut samples = vec![0; MAX_PAYLOAD_BYTES];
    let mut out = Vec::new();
    let mut pcm = [0; FRAME_SAMPLES];

    show("read the text", || {
        black_box(stream::read(black_box(&text)).is_ok());
    });
    show("read it with a space in it, so as any JSON", {
        let spaced = String::from_utf8_lossy(&text)
            .replacen(':', ": ", 1)
            .into_bytes();
        move || {
            black_box(stream::read(black_box(&spaced)).is_ok());
        }
    });
    show("read and decode the payload", || {
        if let Ok(Message::Media { payload, .. }) = stream::read(black_box(&text)) {
            black_box(stream::decode_payload(&payload, &mut samples).is_ok());
        }
    });
    show("write the answer", || {
        out.clear();
        stream::write_media(&mut out, STREAM_SID, black_box(&[0x5A; FRAME_SAMPLES]));
    });
    show("µ-law to linear", || {
        mulaw::decode(black_box(&[0x5A; FRAME_SAMPLES]), &mut pcm);
        black_box(&pcm);
    });
    for (name, kind) in [
        ("detector: off", Kind::Off),
        ("detector: energy", Kind::Energy),
        ("detector: neural, quiet line", Kind::Neural),
    ] {
        let mut detector = Detector::new(kind);
        let quiet = [4; FRAME_SAMPLES];
        show(name, || {
            black_box(detector.frame(black_box(&quiet)));
        });
    }
    let (mut call, mut now) = (Call::new(Settings::default()), 0);
    call.set_own_turns();
    call.start(CallTime(0));
    show("core: a frame heard and one echoed", || {
        now += 20_000;
        let at = CallTime(now);
        call.handle_input(at, Input::Heard { voiced: false });
        call.handle_input(
            at,
            Input::Reply {
                turn: 0,
                reply: Reply::Audio {
                    samples: FRAME_SAMPLES as u64,
                },
            },
        );
        while let Some(output) = call.poll_output() {
            black_box(matches!(output, Output::Play { .. }));
        }
    });
    show("core: a tick with nothing to do", || {
        black_box(call.poll_timeout());
    });
}

fn show(what: &str, mut once: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..MESSAGES {
            once();
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e9 / f64::from(MESSAGES));
    }
    println!("{what:45} {best:8.0} ns");
}

//! The caller's side of a call: a script at one end, the daemon at the other, 20 ms at a time, over one stream after the
//! other. What the carrier does between them is next door, in `follow`.
//!
//! ```text
//!  script ─→ media, dtmf, stop ─→ websocket ─→ daemon
//!  ear    ←─ earpiece ←─ media, mark, clear ←─ websocket ←─ daemon
//! ```
//!
//! Time is the clock's: frame n leaves at n × 20 ms after `start`, however late the one before was. The reading half
//! has a task of its own, because a cancelled read loses its place; whole messages come over a channel.

use super::dial::Opened;
use super::earpiece::Earpiece;
use super::report::{Happening, Report};
use super::script::{Act, Actor, Agent, Script};
use super::underruns::Underruns;
use crate::carrier::twilio::far_end::{self, FromDaemon, Start};
use crate::carrier::twilio::stream;
use crate::media::frame::{FRAME_MS, FRAME_SAMPLES, MULAW_SILENCE};
use crate::media::{level, mulaw};
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocketRead};
use std::future::ready;
use std::io::{self, Cursor};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Chain};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// Louder than this is somebody speaking; µ-law's own noise lies below −70 dBFS.
const AUDIBLE_DBFS: f32 = -50.0;

/// Quiet for so long and the agent's utterance is over; pauses within a sentence are shorter.
const SILENT_MS: u64 = 400;

/// Messages that may wait for the handset.
const INBOX_MESSAGES: usize = 4096;

/// How long the daemon has to close after our `stop`.
const CLOSE_SECS: u64 = 5;

/// A call ends by itself after this, whatever the script says.
const LONGEST_CALL_SECS: u64 = 3600;

enum FromWire {
    /// A message, and when it was read.
    Text(Instant, Vec<u8>),
    Other(OpCode),
    Owed(OpCode, Vec<u8>),
    Closed(Option<u16>),
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    CallerHungUp,
    DaemonClosed,
    Broke,
}

/// The caller, from the first stream of his call to the last.
pub(super) struct Handset<W> {
    account_sid: String,
    /// When the first stream started; before that, when the handset was lifted.
    began: Instant,
    actor: Actor,
    pub(super) report: Report,
    agent: Voice,
    caller: Voice,
    /// When the caller last stopped speaking, while no answer has been heard.
    waiting_since: Option<u64>,
    watch: W,
}

/// One stream, and what the carrier holds of it.
struct Wire {
    write: OwnedWriteHalf,
    stream_sid: String,
    text: Vec<u8>,
    framed: Vec<u8>,
    sequence: u64,
    chunk: u64,
    ear: Earpiece,
    underruns: Underruns,
    /// For how long there has been nothing to play.
    dry_samples: u64,
}

/// Whether somebody is speaking, with the pauses within speech bridged.
#[derive(Debug, Default)]
struct Voice {
    speaking: bool,
    last_heard_ms: u64,
}

impl<W: FnMut(u64, &Happening)> Handset<W> {
    /// In the hand of a caller with this script. `watch` hears what happens as it happens.
    pub(super) fn new(account_sid: &str, call_sid: &str, script: Script, watch: W) -> Handset<W> {
        Handset {
            account_sid: account_sid.to_owned(),
            began: Instant::now(),
            actor: Actor::new(script),
            report: Report {
                call_sid: call_sid.to_owned(),
                ..Report::default()
            },
            agent: Voice::default(),
            caller: Voice::default(),
            waiting_since: None,
            watch,
        }
    }

    /// Talks over this stream until it ends.
    ///
    /// # Errors
    /// When nothing can be written to it any more.
    pub(super) async fn talk(&mut self, opened: Opened) -> io::Result<Ended> {
        let Opened {
            stream,
            read_ahead,
            stream_sid,
            parameters,
        } = opened;
        let (read, write) = stream.into_split();
        let (send, inbox) = mpsc::channel(INBOX_MESSAGES);
        let (reader, _) = fastwebsockets::after_handshake_split(
            Cursor::new(read_ahead).chain(read),
            tokio::io::sink(),
            Role::Client,
        );
        let reading = tokio::spawn(read_messages(reader, send));
        self.report.stream_sid.clone_from(&stream_sid);
        let mut wire = Wire {
            write,
            stream_sid,
            text: Vec::new(),
            framed: Vec::new(),
            sequence: 0,
            chunk: 0,
            ear: Earpiece::default(),
            underruns: Underruns::default(),
            dry_samples: 0,
        };
        let ended = self.run(&mut wire, &parameters, inbox).await;
        let (underruns, longest_ms) = wire.underruns.total();
        self.report.underruns += underruns;
        self.report.longest_underrun_ms = self.report.longest_underrun_ms.max(longest_ms);
        reading.abort();
        // The connection is gone when both halves are.
        if let Err(error) = reading.await
            && error.is_panic()
        {
            return Err(io::Error::other("the reading half panicked"));
        }
        ended
    }

    async fn run(
        &mut self,
        wire: &mut Wire,
        parameters: &[(String, String)],
        mut inbox: mpsc::Receiver<FromWire>,
    ) -> io::Result<Ended> {
        far_end::write_connected(&mut wire.text);
        wire.send(OpCode::Text).await?;
        wire.text.clear();
        let start = Start {
            stream_sid: &wire.stream_sid,
            call_sid: &self.report.call_sid,
            account_sid: &self.account_sid,
            parameters,
        };
        far_end::write_start(&mut wire.text, &start);
        wire.sequence = 1;
        if self.report.streams == 0 {
            self.began = Instant::now();
        }
        self.report.streams += 1;
        wire.send(OpCode::Text).await?;
        self.happened(Happening::Started);

        let mut frames = tokio::time::interval(Duration::from_millis(FRAME_MS));
        // Frames that were missed are made up: the line's clock does not stop.
        frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            // Neither arm reads the websocket itself, so losing the race loses nothing.
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => {
                        if self.receive(wire, message).await? {
                            return Ok(Ended::DaemonClosed);
                        }
                    }
                    None => {
                        self.happened(Happening::DaemonClosed(None));
                        return Ok(Ended::DaemonClosed);
                    }
                },
                _ = frames.tick() => match self.frame(wire).await? {
                    Some(Ended::Broke) => {
                        self.happened(Happening::StreamBroke);
                        return Ok(Ended::Broke);
                    }
                    Some(_) => return self.hang_up(wire, inbox).await,
                    None if self.now_ms() > LONGEST_CALL_SECS * 1000 => {
                        return self.hang_up(wire, inbox).await;
                    }
                    None => {}
                }
            }
        }
    }

    /// One frame of the line's clock; whether the caller ends the stream by it.
    async fn frame(&mut self, wire: &mut Wire) -> io::Result<Option<Ended>> {
        let now = self.now_ms();
        let mut heard = [MULAW_SILENCE; FRAME_SAMPLES];
        let (sound, marks) = wire.ear.play(&mut heard);
        self.report.heard.extend_from_slice(&heard);
        let missing = (FRAME_SAMPLES - sound) as u64;
        wire.dry_samples = if sound > 0 {
            missing
        } else {
            wire.dry_samples + missing
        };
        for name in marks {
            self.give_back(wire, name).await?;
        }
        let agent = audible(&heard);
        match self.agent.hear(agent, now) {
            Some(true) => {
                if let Some(since) = self.waiting_since.take() {
                    self.report.response_ms.push(now.saturating_sub(since));
                }
                self.happened(Happening::AgentSpeaks);
            }
            Some(false) => self.happened(Happening::AgentSilent),
            None => {}
        }

        let mut mouth = [MULAW_SILENCE; FRAME_SAMPLES];
        let agent = if agent {
            Agent::Heard
        } else if wire.ear.owes_marks() || wire.underruns.is_more_to_come() {
            Agent::Pausing
        } else {
            Agent::Quiet
        };
        let act = self.actor.frame(now, agent, &mut mouth);
        match self.caller.hear(audible(&mouth), now) {
            Some(true) => self.happened(Happening::CallerSpeaks),
            Some(false) => {
                self.waiting_since = Some(self.caller.last_heard_ms);
                self.happened(Happening::CallerSilent);
            }
            None => {}
        }
        match act {
            Act::Listen => {}
            Act::Press(digit) => {
                wire.sequence += 1;
                wire.text.clear();
                far_end::write_dtmf(&mut wire.text, &wire.stream_sid, wire.sequence, digit);
                wire.send(OpCode::Text).await?;
                self.happened(Happening::Pressed(digit));
            }
            Act::Break => return Ok(Some(Ended::Broke)),
            Act::HangUp => return Ok(Some(Ended::CallerHungUp)),
        }
        self.report.said.extend_from_slice(&mouth);
        self.report.said_at.push(Instant::now());
        wire.sequence += 1;
        wire.chunk += 1;
        wire.text.clear();
        let at = (wire.chunk - 1) * FRAME_MS;
        far_end::write_media(
            &mut wire.text,
            &wire.stream_sid,
            wire.sequence,
            wire.chunk,
            at,
            &mouth,
        );
        wire.send(OpCode::Text).await?;
        Ok(None)
    }

    /// One message of the daemon; true when the stream is over.
    async fn receive(&mut self, wire: &mut Wire, message: FromWire) -> io::Result<bool> {
        match message {
            FromWire::Text(at, text) => match far_end::read(&text, &wire.stream_sid) {
                Ok(FromDaemon::Media { payload }) => {
                    let mut samples = vec![0; payload.len()];
                    match stream::decode_payload(&payload, &mut samples) {
                        Ok(count) => {
                            let since = self.began.elapsed().as_secs_f64() * 1000.0;
                            self.report.first_audio_ms.get_or_insert(since);
                            self.report.media_at.push(at);
                            let dry = wire.ear.waiting() == 0;
                            wire.underruns
                                .sound(if dry { wire.dry_samples / 8 } else { 0 });
                            wire.dry_samples = 0;
                            wire.ear.receive(&samples[..count]);
                        }
                        Err(bad) => self.violated(bad.as_str()),
                    }
                }
                Ok(FromDaemon::Mark { name }) => {
                    wire.underruns.mark();
                    if let Some(name) = wire.ear.mark(name.into_owned()) {
                        self.give_back(wire, name).await?;
                    }
                }
                Ok(FromDaemon::Clear) => {
                    wire.underruns.clear();
                    let (unplayed, marks) = wire.ear.clear();
                    self.report.clears += 1;
                    self.report.cleared_at.push(at);
                    self.happened(Happening::Cleared {
                        unplayed_ms: unplayed as u64 / 8,
                    });
                    for name in marks {
                        self.give_back(wire, name).await?;
                    }
                }
                Err(bad) => self.violated(bad.as_str()),
            },
            FromWire::Other(OpCode::Binary) => self.violated("binary"),
            FromWire::Other(_) => {}
            FromWire::Owed(opcode, payload) => {
                wire.text.clear();
                wire.text.extend_from_slice(&payload);
                wire.send(opcode).await?;
            }
            FromWire::Closed(code) => {
                self.report.close_code = code;
                self.happened(Happening::DaemonClosed(code));
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn give_back(&mut self, wire: &mut Wire, name: String) -> io::Result<()> {
        wire.sequence += 1;
        wire.text.clear();
        far_end::write_mark(&mut wire.text, &wire.stream_sid, wire.sequence, &name);
        self.report.marks += 1;
        self.happened(Happening::MarkReturned(name));
        wire.send(OpCode::Text).await
    }

    /// `stop`, then the close handshake.
    async fn hang_up(
        &mut self,
        wire: &mut Wire,
        mut inbox: mpsc::Receiver<FromWire>,
    ) -> io::Result<Ended> {
        self.happened(Happening::CallerHungUp);
        wire.sequence += 1;
        wire.text.clear();
        far_end::write_stop(
            &mut wire.text,
            &wire.stream_sid,
            wire.sequence,
            &self.account_sid,
            &self.report.call_sid,
        );
        wire.send(OpCode::Text).await?;
        let closed = async {
            while let Some(message) = inbox.recv().await {
                if let FromWire::Closed(code) = message {
                    return code;
                }
            }
            None
        };
        let closed = tokio::time::timeout(Duration::from_secs(CLOSE_SECS), closed).await;
        self.report.close_code = closed.unwrap_or(None);
        Ok(Ended::CallerHungUp)
    }

    /// The TwiML came, after so long.
    pub(super) fn answered(&mut self, after: Duration) {
        self.report.webhook_ms = after.as_secs_f64() * 1000.0;
        let ms = self.report.webhook_ms;
        let call_sid = self.report.call_sid.clone();
        (self.watch)(0, &Happening::WebhookAnswered { call_sid, ms });
    }

    /// The carrier did something by itself.
    pub(super) fn followed(&mut self, what: String) {
        self.report.then.push(what.clone());
        self.happened(Happening::Followed(what));
    }

    fn violated(&mut self, reason: &'static str) {
        self.report.violations += 1;
        self.happened(Happening::Violation(reason));
    }

    pub(super) fn happened(&mut self, happening: Happening) {
        let now = self.now_ms();
        (self.watch)(now, &happening);
        self.report.happenings.push((now, happening));
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Wire {
    /// Sends what stands in `text`, masked as RFC 6455 wants it of a client.
    async fn send(&mut self, opcode: OpCode) -> io::Result<()> {
        self.framed.clear();
        mask_into(&mut self.framed, opcode, &mut self.text);
        self.write.write_all(&self.framed).await
    }
}

/// Appends a masked frame; the payload is masked in place.
pub(super) fn mask_into(framed: &mut Vec<u8>, opcode: OpCode, payload: &mut [u8]) {
    // The mask protects proxies from scripts in browsers; a fixed one is as good here.
    let mask = [0x5A, 0xC3, 0x96, 0x0F];
    let mut head = [0; 14];
    let size = Frame::new(true, opcode, Some(mask), Payload::Borrowed(payload)).fmt_head(&mut head);
    apply_mask(payload, mask);
    framed.extend_from_slice(&head[..size]);
    framed.extend_from_slice(payload);
}

fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

fn audible(samples: &[u8; FRAME_SAMPLES]) -> bool {
    let mut pcm = [0; FRAME_SAMPLES];
    mulaw::decode(samples, &mut pcm);
    level::dbfs(&pcm) > AUDIBLE_DBFS
}

impl Voice {
    /// `Some` when it begins or ends.
    fn hear(&mut self, audible: bool, now_ms: u64) -> Option<bool> {
        if audible {
            self.last_heard_ms = now_ms;
        }
        let speaking = audible || (self.speaking && now_ms - self.last_heard_ms < SILENT_MS);
        (speaking != std::mem::replace(&mut self.speaking, speaking)).then_some(speaking)
    }
}

type Reader = WebSocketRead<Chain<Cursor<bytes::Bytes>, OwnedReadHalf>>;

async fn read_messages(mut reader: Reader, send: mpsc::Sender<FromWire>) {
    loop {
        let mut owed = None;
        let message = {
            let keep = &mut |frame: Frame<'_>| {
                owed = Some((frame.opcode, frame.payload.to_vec()));
                ready(Ok::<(), io::Error>(()))
            };
            match reader.read_frame(keep).await {
                Ok(frame) => match frame.opcode {
                    OpCode::Text if frame.fin => {
                        FromWire::Text(Instant::now(), frame.payload.to_vec())
                    }
                    OpCode::Close => {
                        let code = frame
                            .payload
                            .get(..2)
                            .map(|code| u16::from_be_bytes([code[0], code[1]]));
                        FromWire::Closed(code)
                    }
                    opcode => FromWire::Other(opcode),
                },
                Err(_) => FromWire::Closed(None),
            }
        };
        if let Some((opcode, payload)) = owed
            && send.send(FromWire::Owed(opcode, payload)).await.is_err()
        {
            return;
        }
        let over = matches!(message, FromWire::Closed(_));
        if send.send(message).await.is_err() || over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_within_speech_do_not_end_it() {
        let mut voice = Voice::default();
        let mut drawn = String::new();
        for (frame, heard) in "..ss..ss.........................".chars().enumerate() {
            drawn.push(match voice.hear(heard == 's', frame as u64 * 20) {
                Some(true) => 'B',
                Some(false) => 'E',
                None => '.',
            });
        }
        assert_eq!(drawn, "..B........................E.....");
    }

    #[test]
    fn frames_are_masked_as_the_specification_wants() {
        let mut framed = Vec::new();
        mask_into(&mut framed, OpCode::Text, &mut b"Hello".to_vec());
        assert_eq!(framed[..2], [0x81, 0x85]);
        let mut payload = framed[6..].to_vec();
        apply_mask(&mut payload, [framed[2], framed[3], framed[4], framed[5]]);
        assert_eq!(payload, b"Hello");
    }
}

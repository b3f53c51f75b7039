//! A bot in any language: each turn of a call is posted as JSON to the user's own HTTP server, and what it answers is
//! said, whole or as it comes.
//!
//! ```text
//! words, keys, silence ──→ conversation ──body──→ client ──HTTP──→ the bot
//! the voice ←── say, pieces, actions ←── answer: JSON, text, lines or events ←──┘
//! ```
//!
//! A request that is no longer wanted is dropped where it is, also in the middle of a streamed answer; the next one says
//! what the caller had heard. One request of a call at a time, nothing kept beyond the call.

mod answer;
mod client;
mod conversation;
mod settings;

use std::pin::pin;
use std::time::Duration;

use answer::{Action, MAX_SAY_BYTES, Step};
use client::Client;
use conversation::{Asked, Conversation, Learned};
use settings::Kind;
use voice_plugin::prelude::*;

pub use settings::Config;

/// How long the bot may take to be told that a call is over; below the time the host gives for it.
const END_MOST: Duration = Duration::from_secs(4);

/// The plugin, opened.
pub struct Webhook {
    client: Client,
    config: Config,
    host: Host,
}

/// Why an answer is not gone on with.
enum Stop {
    /// The caller interrupted.
    Cancelled,
    /// Something else is to be answered already.
    Asked(u32, Asked),
    /// The call is over.
    Over,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

impl Responder for Webhook {
    type Config = Config;
    const SPEAKS_FIRST: bool = true;
    const TAKES_DIGITS: bool = true;

    fn wants(config: &Config) -> Wants {
        Wants {
            first: config.events.has(Kind::Start),
            digits: config.events.has(Kind::Digit),
            silence: config.events.has(Kind::Silence),
            audio: false,
        }
    }

    /// Asks nothing: a daemon has to start also while the bot is down.
    async fn open(config: Config, host: Host) -> Result<Webhook> {
        Ok(Webhook {
            client: Client::new(&config)?,
            config,
            host,
        })
    }

    async fn run(&self, mut call: Call) -> Result<()> {
        let events = &self.config.events;
        let mut talk = Conversation::new(call.info().clone(), call.language().to_owned(), events);
        talk.take_up(call.history(), call.variables());
        let mut turn = 0;
        let mut next = None;
        loop {
            let learned = match next.take() {
                Some((turn, asked)) => Learned::Asked(turn, asked),
                None => match call.next().await {
                    Some(event) => talk.learn(event),
                    None => break,
                },
            };
            let Learned::Asked(of, asked) = learned else {
                continue;
            };
            turn = of;
            if !asked.is_wanted(events) {
                call.done().await?;
                continue;
            }
            match self.answer(&mut call, &mut talk, turn, &asked).await {
                Ok(()) => call.done().await?,
                Err(Stop::Cancelled) => {}
                Err(Stop::Asked(turn, asked)) => next = Some((turn, asked)),
                Err(Stop::Over) => break,
                Err(Stop::Failed(why)) => call.failed(why.text()).await?,
            }
        }
        if Asked::End.is_wanted(events) {
            let told = self.client.ask(talk.body(turn, &Asked::End));
            match tokio::time::timeout(END_MOST, told).await {
                Ok(Ok(_)) => {}
                Ok(Err(why)) => self
                    .host
                    .warn(&format!("the bot was not told the end of a call: {why}")),
                Err(_) => self
                    .host
                    .warn("the bot was not told the end of a call in time"),
            }
        }
        Ok(())
    }
}

impl Webhook {
    /// Asks the bot about a turn and does what it answers.
    async fn answer(
        &self,
        call: &mut Call,
        talk: &mut Conversation,
        turn: u32,
        asked: &Asked,
    ) -> core::result::Result<(), Stop> {
        let mut said = String::new();
        let body = talk.body(turn, asked);
        let done = self.relay(call, talk, turn, body, &mut said).await;
        // Also what was said before it was interrupted or broke off: an interruption that is told later corrects it.
        talk.answered(turn, said);
        done
    }

    async fn relay(
        &self,
        call: &mut Call,
        talk: &mut Conversation,
        turn: u32,
        body: String,
        said: &mut String,
    ) -> core::result::Result<(), Stop> {
        let mut answer = unless_stopped(call, talk, turn, self.client.ask(body)).await??;
        let mut did = false;
        loop {
            let bytes = unless_stopped(call, talk, turn, answer.bytes()).await?;
            let bytes = bytes.map_err(|why| self.client.cut(&why))?;
            let steps = match &bytes {
                Some(bytes) => answer.reader.feed(bytes),
                None => answer.reader.finish(),
            };
            for step in steps.map_err(|why| self.client.wrong(&why))? {
                did = true;
                self.act(call, talk, step, said).await?;
            }
            if bytes.is_none() || answer.reader.is_over() {
                break;
            }
        }
        // A whole answer may say that there is nothing to say; a stream promises words.
        if !did && answer.reader.is_stream() {
            return Err(self.client.wrong("a stream without a word in it").into());
        }
        Ok(())
    }

    async fn act(
        &self,
        call: &mut Call,
        talk: &mut Conversation,
        step: Step,
        said: &mut String,
    ) -> core::result::Result<(), Stop> {
        let action = match step {
            Step::Piece(piece) => {
                said.push_str(&piece);
                return Ok(call.say_piece(&piece).await?);
            }
            Step::Do(action) => action,
        };
        match action {
            Action::Say { text, firm, fixed } => {
                if !said.is_empty() {
                    said.push(' ');
                }
                said.push_str(&text);
                if text.len() <= MAX_SAY_BYTES {
                    call.say_as(&text, Wording { firm, fixed }).await?;
                } else if fixed {
                    call.say_fixed_piece(&text).await?;
                    call.say_fixed_piece("\n").await?;
                } else {
                    call.say_piece(&text).await?;
                    call.say_piece("\n").await?;
                }
            }
            Action::HangUp {} => call.hang_up().await?,
            Action::Transfer { to } => call.transfer(&to).await?,
            Action::SendDigits { digits } => call.send_digits(&digits).await?,
            Action::Voice { voice } => call.use_voice(&voice).await?,
            Action::Language { language } => {
                talk.speaks(&language);
                call.use_language(&language).await?;
            }
            Action::Silence { after_ms } => call.silence_after(after_ms).await?,
            Action::Set { name, value } => {
                talk.set(&name, &value)
                    .map_err(|why| self.client.wrong(&why))?;
                call.set(&name, &value).await?;
            }
            Action::Note { text } => call.note(&text).await?,
        }
        Ok(())
    }
}

/// Waits for `work`, unless something happens in the call that makes it unwanted; it is dropped then.
async fn unless_stopped<T>(
    call: &mut Call,
    talk: &mut Conversation,
    turn: u32,
    work: impl Future<Output = T>,
) -> core::result::Result<T, Stop> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            event = call.next() => match event.map(|event| talk.learn(event)) {
                None => return Err(Stop::Over),
                Some(Learned::Nothing) => {}
                Some(Learned::Cancelled(of)) if of >= turn => return Err(Stop::Cancelled),
                Some(Learned::Cancelled(_)) => {}
                Some(Learned::Asked(turn, asked)) => return Err(Stop::Asked(turn, asked)),
            },
            done = &mut work => return Ok(done),
        }
    }
}

voice_plugin::export!(responder: Webhook);

//! Menus and dialogues from a TOML file: a responder that needs no model and no programmer.
//!
//! ```text
//! file ──read──→ Flow ──→ Walk, one for each call ──→ actions ──→ say, transfer, record, ask, hang up
//!                  └──→ a drawing, for `check`    ↑
//!                                                 └── keys, words, silence, how a transfer went
//! ```
//!
//! What to do is decided in `walk.rs`, which is pure; this file takes the call's events to it and does what comes back.

mod check;
mod drawing;
mod flow;
mod near;
mod page;
mod read;
mod recording;
mod walk;
mod webhook;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, Kind, NodeId};
use page::Problem;
use recording::Recording;
use voice_plugin::prelude::*;
use walk::{Action, Answer, Input, Walk};
use webhook::Client;

/// While a webhook is asked the host is told so often that work goes on, well before any of its deadlines.
const ALIVE: Duration = Duration::from_millis(700);
/// Keys that wait for their turn; a call has no room for more in a row.
const KEYS_MOST: usize = 64;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The flow, as text: `"${file:front-desk.toml}"` takes it from a file beside `config.toml`.
    flow: String,
    /// The folder for the messages of [voicemail.…], as a whole path; it is made if it is not there.
    recordings: Option<PathBuf>,
    /// What webhooks get as their `Authorization` header.
    authorization: Option<Secret>,
    /// Certificates of authorities that webhooks may have beside the system's, as PEM: `"${file:company-ca.pem}"`.
    ca: Option<String>,
}

/// The plugin, opened.
struct FlowResponder {
    flow: Arc<Flow>,
    recordings: Option<PathBuf>,
    client: Client,
    host: Host,
}

impl Responder for FlowResponder {
    type Config = Config;
    const HEARS_AUDIO: bool = true;
    const SPEAKS_FIRST: bool = true;
    const TAKES_DIGITS: bool = true;
    const TAKES_SILENCE: bool = true;

    /// Sound only while a message is recorded: a menu is chosen from without waking anybody for each frame.
    fn wants(_: &Config) -> Wants {
        Wants {
            first: true,
            digits: true,
            silence: true,
            audio: false,
        }
    }

    fn check(config: &Config) -> Checked {
        match taken(config) {
            Ok(flow) => Checked {
                drawing: drawing::draw(&flow),
                voices: flow.voices.into_iter().flatten().collect(),
                ..Checked::default()
            },
            Err(problems) => Checked {
                problems: problems.into_iter().map(in_the_flow).collect(),
                ..Checked::default()
            },
        }
    }

    async fn open(config: Config, host: Host) -> Result<FlowResponder> {
        let flow = taken(&config).map_err(|problems| in_short(&problems))?;
        if let Some(folder) = &config.recordings {
            std::fs::create_dir_all(folder)
                .map_err(|why| format!("the folder {} cannot be made: {why}", folder.display()))?;
        }
        let urls = flow.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Webhook(webhook) => Some(webhook.url.as_str()),
            _ => None,
        });
        let authorization = config.authorization.as_ref().map(Secret::expose);
        let client = Client::new(authorization, config.ca.as_deref(), urls)?;
        Ok(FlowResponder {
            client,
            flow: Arc::new(flow),
            recordings: config.recordings,
            host,
        })
    }

    async fn run(&self, call: Call) -> Result<()> {
        let mut given = given(call.info());
        // What was kept before the call came to this desk, as to a fallback.
        for (name, value) in call.variables() {
            given.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let mut walk = Walk::new(Arc::clone(&self.flow), call.language(), given);
        let begun = walk.resume();
        let mut visit = Visit {
            desk: self,
            call,
            walk,
            begun,
            owed: VecDeque::new(),
            recording: None,
            before: None,
            latest: 0,
        };
        let ended = visit.run().await;
        // He has hung up in the middle of a message: what he said so far is one.
        if let Some(recording) = visit.recording.take() {
            self.kept(recording.finish());
        }
        ended
    }
}

voice_plugin::export!(responder: FlowResponder);

/// The flow, and whether the other keys are what it needs.
fn taken(config: &Config) -> core::result::Result<Flow, Vec<Problem>> {
    let flow = read::read(&config.flow)?;
    let mut voicemails = flow
        .nodes
        .iter()
        .filter(|node| matches!(node.kind, Kind::Voicemail(_)));
    let why = match (voicemails.next(), &config.recordings) {
        (Some(_), None) => "needs the plugin's key `recordings`, a folder for messages",
        (_, Some(folder)) if !Path::is_absolute(folder) => {
            "needs `recordings` as a whole path, from / on"
        }
        _ => return Ok(flow),
    };
    let first = flow
        .nodes
        .iter()
        .find(|node| matches!(node.kind, Kind::Voicemail(_)));
    Err(vec![Problem {
        line: first.map_or(1, |node| node.line),
        text: match first {
            Some(node) => format!("voicemail.{} {why}", node.label),
            None => format!("the plugin {why}"),
        },
    }])
}

/// A mistake as the host is told it.
fn in_the_flow(Problem { line, text }: Problem) -> voice_plugin::prelude::Problem {
    voice_plugin::prelude::Problem::InText {
        key: "flow".to_owned(),
        line,
        text,
    }
}

/// As much as an error of `open` can hold; `check` has told the host all of it.
fn in_short(problems: &[Problem]) -> String {
    match problems {
        [] => "the flow is not taken".to_owned(),
        [only] => format!("the flow, {only}"),
        [first, rest @ ..] => {
            format!("the flow has {} mistakes; {first}", rest.len() + 1)
        }
    }
}

/// The call's own variables.
fn given(info: &CallInfo) -> BTreeMap<String, String> {
    let mut given = BTreeMap::from([
        ("call".to_owned(), info.sid.clone()),
        ("caller".to_owned(), info.from.clone()),
        ("called".to_owned(), info.to.clone()),
    ]);
    for (name, value) in &info.parameters {
        given.insert(format!("{}{name}", check::PARAMETER), value.clone());
    }
    given
}

impl FlowResponder {
    /// Says in the log what became of a message; its name, if there is one.
    fn kept(&self, finished: std::io::Result<Option<String>>) -> Option<String> {
        match finished {
            Ok(Some(name)) => {
                self.host.log(
                    Level::Info,
                    "a message was recorded",
                    &[("file", name.clone().into())],
                );
                Some(name)
            }
            Ok(None) => None,
            Err(why) => {
                self.host.error(&format!(
                    "a message could not be written and is lost: {why}"
                ));
                None
            }
        }
    }
}

/// One caller.
struct Visit<'d> {
    desk: &'d FlowResponder,
    call: Call,
    walk: Walk,
    begun: bool,
    /// What came out of a webhook while nobody listened: to be done when there is a turn to do it in.
    owed: VecDeque<Action>,
    recording: Option<Recording>,
    /// Where he was before his latest turn, unless something was done in it that cannot be taken back.
    before: Option<(bool, Walk)>,
    /// That turn.
    latest: u32,
}

impl Visit<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut said: Option<Input> = None;
        let mut keys: VecDeque<char> = VecDeque::new();
        while let Some(event) = self.call.next().await {
            match event {
                Event::Text { text, .. } => said = Some(Input::Spoke(Some(text))),
                Event::Silence { .. } => said = Some(Input::Silence),
                // A stream that broke and is back is no turn: he will say something, or nothing.
                Event::Returned { after, .. } if after == "stream" => {}
                Event::Returned { outcome, .. } => said = Some(Input::Returned(outcome)),
                Event::Digit(key) if keys.len() < KEYS_MOST => keys.push_back(key),
                Event::Audio(sound) => {
                    if let Some(recording) = &mut self.recording {
                        recording.hear(&sound);
                    }
                }
                Event::Heard { .. } => {
                    if let Some(recording) = &mut self.recording {
                        recording.heard();
                    }
                }
                Event::SpeechStart => {
                    if let Some(recording) = &mut self.recording
                        && recording.speech()
                        && let Kind::Voicemail(voicemail) =
                            &self.desk.flow.nodes[self.walk.at()].kind
                    {
                        // Not before, for it would name a file that goes away if he says nothing; and not later: he may
                        // hang up in the middle, and then nothing more can be written down.
                        self.call.set(&voicemail.into, recording.name()).await?;
                    }
                }
                Event::Cancelled {
                    turn,
                    withdrawn: true,
                    ..
                } => self.take_back(turn),
                Event::Cancelled { heard, .. } if heard.trim().is_empty() => {
                    self.walk.was_not_heard()
                }
                Event::TurnOver { turn } => {
                    self.latest = turn;
                    self.before = Some((self.begun, self.walk.clone()));
                    let key = || keys.pop_front().map(Input::Digit);
                    let input = said.take().or_else(key).unwrap_or(Input::Spoke(None));
                    self.turn(input).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// He had not finished: what he said comes again with the rest, and is heard where he was.
    fn take_back(&mut self, turn: u32) {
        if turn != self.latest {
            return; // a cough that was never a turn
        }
        match self.before.take() {
            Some((begun, walk)) => (self.begun, self.walk) = (begun, walk),
            None => self.walk.was_not_heard(),
        }
    }

    async fn turn(&mut self, input: Input) -> Result<()> {
        let actions = if !self.begun {
            self.begun = true;
            self.walk.enter()
        } else if !self.owed.is_empty() {
            std::mem::take(&mut self.owed).into()
        } else if self.walk.records() {
            self.while_recording(input).await?
        } else {
            self.walk.hears(input)
        };
        self.act(actions.into()).await
    }

    /// A key or a silence ends the message; pauses in it do not.
    async fn while_recording(&mut self, input: Input) -> Result<Vec<Action>> {
        let Kind::Voicemail(voicemail) = &self.desk.flow.nodes[self.walk.at()].kind else {
            return Ok(Vec::new());
        };
        let over = match input {
            Input::Silence => true,
            Input::Digit(key) => Some(key) == voicemail.terminator,
            Input::Spoke(_) => self.recording.as_ref().is_none_or(Recording::is_full),
            Input::Returned(_) | Input::Answered(_) | Input::Recorded(_) => false,
        };
        if !over {
            return Ok(vec![Action::SilenceAfter(voicemail.silence_ms)]);
        }
        let finished = self.recording.take().map(Recording::finish);
        let file = finished.and_then(|finished| self.desk.kept(finished));
        self.call.hear_audio(false).await?;
        Ok(self.walk.hears(Input::Recorded(file)))
    }

    async fn act(&mut self, mut actions: VecDeque<Action>) -> Result<()> {
        let mut said = 0;
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Say { text, firm, fixed } => {
                    self.call.say_as(&text, Wording { firm, fixed }).await?;
                    said += 1;
                }
                Action::Voice(voice) => self.call.use_voice(&voice).await?,
                Action::Language(language) => self.call.use_language(&language).await?,
                Action::SilenceAfter(ms) => self.call.silence_after(ms).await?,
                Action::Set { name, value } => self.call.set(&name, &value).await?,
                Action::Note(text) => self.call.note(&text).await?,
                Action::Transfer(to) => self.call.transfer(&to).await?,
                Action::SendDigits(digits) => self.call.send_digits(&digits).await?,
                Action::HangUp => self.call.hang_up().await?,
                Action::Record(node) => {
                    let failed = self.record(node, said).await?;
                    actions.extend(failed);
                }
                Action::Ask(node) => {
                    let Some(answer) = self.ask(node).await? else {
                        return Ok(());
                    };
                    actions.extend(self.walk.hears(Input::Answered(answer)));
                    if self.call.interrupted() {
                        // He is speaking: it is said when he has finished, and what he says now answers nothing.
                        self.owed = actions;
                        return Ok(());
                    }
                }
            }
        }
        self.call.done().await
    }

    /// The tone, and a file for what follows; what to do instead if there is none.
    async fn record(&mut self, node: NodeId, said: usize) -> Result<Vec<Action>> {
        self.before = None;
        let Kind::Voicemail(voicemail) = &self.desk.flow.nodes[node].kind else {
            return Ok(Vec::new());
        };
        let made = match &self.desk.recordings {
            Some(folder) => Recording::new(folder, &self.call.info().sid, voicemail.max_secs),
            None => Err(std::io::Error::other("no folder is configured")),
        };
        match made {
            Ok(mut recording) => {
                recording.awaited = said + usize::from(voicemail.beep);
                self.recording = Some(recording);
                self.call.hear_audio(true).await?;
                if voicemail.beep {
                    self.call.play(&recording::beep()).await?;
                }
                Ok(Vec::new())
            }
            Err(why) => {
                self.desk.kept(Err(why));
                Ok(self.walk.hears(Input::Recorded(None)))
            }
        }
    }

    /// Asks a webhook, and keeps listening meanwhile; `None` if the call ends before there is an answer.
    async fn ask(&mut self, node: NodeId) -> Result<Option<core::result::Result<Answer, String>>> {
        self.before = None;
        let Kind::Webhook(webhook) = &self.desk.flow.nodes[node].kind else {
            return Ok(None);
        };
        let variables = self.walk.variables();
        let language = variables.get("language").map_or("", String::as_str);
        let body = webhook::body(self.call.info(), self.walk.label(), language, variables);
        let mut answer = pin!(self.desk.client.ask(webhook, body));
        let mut alive = tokio::time::interval(ALIVE);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(Some(answer)),
                event = self.call.next() => if event.is_none() {
                    return Ok(None);
                },
                _ = alive.tick() => self.call.silence_after(0).await?,
            }
        }
    }
}

//! One simulated call from the webhook to its end, as the carrier conducts it: verb by verb through the documents that
//! the daemon answers with.
//!
//! What follows `<Connect>` runs when the daemon closes the stream, when the stream breaks and when a further one is
//! refused; when the caller hangs up nothing runs any more. Keys are pressed and sentences said in no time: what the
//! caller would hear of the carrier's own is in the report, not in his ear.

use super::dial::{Line, PhoneError, random_hex};
use super::handset::{Ended, Handset};
use super::report::{Happening, Report};
use super::script::{Script, Transfer};
use crate::carrier::twilio::twiml;
use crate::carrier::twilio::verbs::{self, Verb};
use std::collections::VecDeque;
use std::time::Instant;

/// Documents of one call; a daemon that sends it round for ever is not followed for ever.
const MAX_DOCUMENTS: usize = 100;

/// Rings, plays the script, and hangs up. `watch` hears what happens as it happens.
///
/// # Errors
/// When there is no call: nobody answers, the webhook or the first stream is refused, the TwiML connects to nothing. Also
/// when a later document is not to be had.
pub async fn call(
    line: &Line,
    mut script: Script,
    watch: impl FnMut(u64, &Happening),
) -> Result<Report, PhoneError> {
    let call_sid = format!("CA{}", random_hex());
    let mut transfers = std::mem::take(&mut script.transfers).into_iter();
    let mut handset = Handset::new(&line.account_sid, &call_sid, script, watch);
    let rung = Instant::now();
    let document = line.webhook(&call_sid).await?;
    handset.answered(rung.elapsed());
    twiml::read_connect(&document)?;
    let mut verbs = VecDeque::from(verbs::read(&document)?);
    let mut documents = 1;
    // A document that runs out ends the call.
    while let Some(verb) = verbs.pop_front() {
        let ask = match verb {
            Verb::Connect(connect) => {
                let opened = match line.open(&connect).await {
                    Err(error) if handset.report.streams == 0 => return Err(error),
                    opened => opened,
                };
                match opened {
                    Ok(opened) => {
                        let ended = handset.talk(opened).await;
                        let ended = ended.map_err(|error| PhoneError::Broken {
                            what: "stream",
                            error: error.to_string(),
                        })?;
                        if ended == Ended::CallerHungUp {
                            break;
                        }
                    }
                    Err(error) => handset.happened(Happening::StreamRefused(error.to_string())),
                }
                None
            }
            Verb::Say(text) => {
                handset.followed(format!("say {text}"));
                None
            }
            Verb::Keys(keys) => {
                handset.followed(format!("press {keys}"));
                None
            }
            Verb::Dial { number, action } => {
                handset.followed(format!("dial {number}"));
                match transfers.next() {
                    Some(Transfer::CallerHangsUp) => {
                        handset.happened(Happening::CallerHungUp);
                        line.tell_status(&call_sid, "completed").await?;
                        break;
                    }
                    Some(Transfer::Ends(outcome)) => action.map(|url| (url, outcome)),
                    None => action.map(|url| (url, "no-answer")),
                }
            }
            Verb::Redirect(url) => {
                handset.followed("redirect".into());
                Some((url, ""))
            }
            Verb::Hangup => {
                handset.followed("hang up".into());
                break;
            }
            Verb::Other(_) => None,
        };
        if let Some((url, transfer)) = ask {
            documents += 1;
            if documents > MAX_DOCUMENTS {
                return Err(PhoneError::Broken {
                    what: "call",
                    error: format!("it was sent round {MAX_DOCUMENTS} times"),
                });
            }
            verbs = verbs::read(&line.ask(&url, &call_sid, transfer).await?)?.into();
        }
    }
    Ok(handset.report)
}

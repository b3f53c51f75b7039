//! `POST /twilio/resume/N/`: the carrier asks how to go on with a call after its stream number N.
//!
//! Each of our documents that connects a call sends the carrier here when the stream is over, however it ended; only when
//! the caller hangs up nothing more is asked. What becomes of the call is known to the admission book; here it becomes a
//! document, and a row in the call's log.
//!
//! ```text
//!  the agent hung up            → hang up
//!  the stream broke, or never   → connect again; too often, or if nobody waits for it: a sentence, hang up
//!  keys are to be pressed       → press them, connect again
//!  a transfer                   → dial; the answer to how that went is to connect again
//!  never heard of it            → a new call: this daemon was restarted meanwhile
//! ```

use super::answer::{Answer, problem, twiml};
use super::desk::Desk;
use super::webhook::{self, asked, connect_document, hung_up, not_written, resume_url, row};
use crate::call::Why;
use crate::carrier::twilio::twiml as document;
use crate::carrier::twilio::webhook::ResumeRequest;
use crate::leg::{Guest, MAX_STREAMS, Next, Step, no_stream};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tracing::{info, warn};

/// See the [module](self).
pub(super) async fn resume(
    desk: &Arc<Desk>,
    peer: SocketAddr,
    request: Request<Incoming>,
    stream: &str,
) -> Answer {
    let Ok(stream) = stream.parse::<u32>() else {
        return problem(
            StatusCode::NOT_FOUND,
            "the number of a stream was expected: /twilio/resume/1/",
        );
    };
    let (verified, asking) = match asked(desk, peer, request, ResumeRequest::read).await {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    let ResumeRequest { call, transfer } = asking;
    let sid = call.call_sid.as_str();
    if call.status.is_final() {
        // Nobody is there any more who could hear what we answer.
        hung_up(desk, sid).await;
        return twiml(document::hang_up());
    }
    let keys = desk.keys();
    let mut made = Ok(());
    let next = desk.house.admission.resume(
        sid,
        stream,
        transfer.as_deref(),
        true,
        Instant::now(),
        |step| match step {
            Step::Connect(connect) => connect_document(desk, &keys, &verified.host, connect)
                .unwrap_or_else(|error| {
                    made = Err(error);
                    String::new()
                }),
            Step::Dial { number, stream } => {
                let caller_id = keys.caller_id.as_deref();
                document::dial(number, caller_id, &resume_url(&keys, stream))
            }
        },
    );
    if let Err(error) = made {
        desk.media.end(Some(sid), Why::Failed).await;
        let admission = &desk.house.admission;
        admission.ended(sid, Why::Failed, Instant::now());
        return not_written(&error);
    }
    let note = |then: &str| {
        let detail = json!({"stream": stream, "transfer": transfer, "then": then});
        row(desk, sid, "stream_over", verified.ip, detail);
    };
    let sentence = || document::say_and_hang_up(&keys.fallback_text, &keys.fallback_language);
    match next {
        Next::Document(document) => {
            note("goes on");
            twiml(document)
        }
        Next::Over => twiml(document::hang_up()),
        Next::Fault => {
            note("was ended by a fault");
            twiml(sentence())
        }
        Next::GiveUp { guest, has_leg } => {
            note("given up");
            give_up(desk, &guest, has_leg).await;
            twiml(sentence())
        }
        Next::Unknown if stream >= MAX_STREAMS => twiml(sentence()),
        Next::Unknown => {
            info!(call = %sid, stream, "a call goes on that this daemon does not know; it begins anew");
            note("begins anew");
            webhook::answer(desk, &verified, &call, stream + 1).await
        }
    }
}

/// Ends a call that goes no further: what [`Next::GiveUp`] asks for.
pub(super) async fn give_up(desk: &Desk, guest: &Guest, has_leg: bool) {
    let sid = guest.call_sid.as_str();
    warn!(call = %sid, "a call was given up: its streams break or do not come");
    if has_leg {
        desk.media.end(Some(sid), Why::StreamLost).await;
    } else {
        no_stream(&desk.house, guest);
    }
}

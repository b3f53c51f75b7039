//! What can go wrong with a synthesis, by name, and what the service says then, in both of its shapes for errors.

use serde_json::{Value, json};

use super::sound::Ends;
use crate::openapi::Violation;

/// What goes wrong with one synthesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An answer in JSON instead of sound.
    Refuses(Refusal),
    /// Sound that does not come as it should.
    Sounds(Ends),
}

/// What the service says instead of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401, the new shape.
    InvalidKey,
    /// 400, as it was said before.
    InvalidKeyOld,
    /// 401 without any key.
    NoKey,
    /// 401, the old shape.
    QuotaExceeded,
    /// 401, the new shape.
    QuotaExceededNew,
    /// 401: the key may not do this.
    MissingPermissions,
    /// 402, which no document names.
    PaymentRequired,
    /// 403: the plan has not got it.
    OnlyForCreator,
    /// 404, the new shape.
    VoiceNotFound,
    /// 400, as it was said before.
    VoiceNotFoundOld,
    /// 400.
    ModelNotFound,
    /// 400: more characters than the model takes.
    TooLong,
    /// 409.
    Conflict,
    /// 422, the list of what is wrong.
    Unprocessable,
    /// 425.
    TooEarly,
    /// 429, the old shape: more at once than the plan has.
    TooManyConcurrent,
    /// 429, the new shape of the same.
    ConcurrentLimit,
    /// 429, the new shape: too many in a short time, and come back in two seconds.
    RateLimit,
    /// 429, the old shape: their load.
    SystemBusy,
    /// 500.
    Server,
    /// 503 with a body that is no JSON object.
    Unavailable,
    /// 418 with a word that nobody knows.
    Unheard,
}

/// Every fault with its name, which is also the voice `fault-NAME` that always has it.
pub(super) const FAULTS: &[(&str, Fault)] = &[
    ("invalid-key", Fault::Refuses(Refusal::InvalidKey)),
    ("invalid-key-old", Fault::Refuses(Refusal::InvalidKeyOld)),
    ("no-key", Fault::Refuses(Refusal::NoKey)),
    ("quota", Fault::Refuses(Refusal::QuotaExceeded)),
    ("quota-new", Fault::Refuses(Refusal::QuotaExceededNew)),
    ("permissions", Fault::Refuses(Refusal::MissingPermissions)),
    ("payment", Fault::Refuses(Refusal::PaymentRequired)),
    ("creator", Fault::Refuses(Refusal::OnlyForCreator)),
    ("not-found", Fault::Refuses(Refusal::VoiceNotFound)),
    ("not-found-old", Fault::Refuses(Refusal::VoiceNotFoundOld)),
    ("model", Fault::Refuses(Refusal::ModelNotFound)),
    ("too-long", Fault::Refuses(Refusal::TooLong)),
    ("conflict", Fault::Refuses(Refusal::Conflict)),
    ("unprocessable", Fault::Refuses(Refusal::Unprocessable)),
    ("too-early", Fault::Refuses(Refusal::TooEarly)),
    ("too-many", Fault::Refuses(Refusal::TooManyConcurrent)),
    ("concurrent", Fault::Refuses(Refusal::ConcurrentLimit)),
    ("rate", Fault::Refuses(Refusal::RateLimit)),
    ("busy", Fault::Refuses(Refusal::SystemBusy)),
    ("server", Fault::Refuses(Refusal::Server)),
    ("unavailable", Fault::Refuses(Refusal::Unavailable)),
    ("unheard", Fault::Refuses(Refusal::Unheard)),
    ("stall", Fault::Sounds(Ends::BeforeItsHead)),
    ("hang-up", Fault::Sounds(Ends::WithoutAHead)),
    ("stall-mid", Fault::Sounds(Ends::Stalled)),
    ("cut", Fault::Sounds(Ends::Cut)),
    ("no-audio", Fault::Sounds(Ends::NoAudio)),
    ("drip", Fault::Sounds(Ends::Drip)),
    ("odd", Fault::Sounds(Ends::Odd)),
    ("endless", Fault::Sounds(Ends::Never)),
];

impl Fault {
    /// The fault of that name.
    pub fn named(name: &str) -> Option<Fault> {
        FAULTS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, fault)| *fault)
    }

    pub(super) fn of_voice(voice: &str) -> Option<Fault> {
        Fault::named(voice.strip_prefix("fault-")?)
    }
}

impl Refusal {
    /// The status and body of the answer.
    pub(super) fn answer(self) -> (u16, Value) {
        let old =
            |status: &str, message: &str| json!({"detail": {"status": status, "message": message}});
        let new = |kind: &str, code: &str, message: &str| {
            json!({"detail": {"type": kind, "code": code, "message": message, "status": code,
                              "request_id": "req_refused", "param": null}})
        };
        match self {
            Refusal::InvalidKey => (
                401,
                new("authentication_error", "invalid_api_key", "Invalid API key"),
            ),
            Refusal::InvalidKeyOld => (400, old("invalid_api_key", "Invalid API key")),
            Refusal::NoKey => (
                401,
                old(
                    "needs_authorization",
                    "Neither authorization header nor xi-api-key received.",
                ),
            ),
            Refusal::QuotaExceeded => (
                401,
                old(
                    "quota_exceeded",
                    "This request exceeds your quota of 10000. You have 3 credits remaining.",
                ),
            ),
            Refusal::QuotaExceededNew => (
                401,
                new(
                    "authentication_error",
                    "quota_exceeded",
                    "You have 3 credits remaining.",
                ),
            ),
            Refusal::MissingPermissions => (
                401,
                old(
                    "missing_permissions",
                    "The API key you used is missing the permission text_to_speech.",
                ),
            ),
            Refusal::PaymentRequired => {
                (402, old("payment_required", "Your last invoice is unpaid."))
            }
            Refusal::OnlyForCreator => (
                403,
                old(
                    "only_for_creator+",
                    "Upgrade to the creator plan for this voice.",
                ),
            ),
            Refusal::VoiceNotFound => (
                404,
                new(
                    "not_found",
                    "voice_not_found",
                    "A voice with this id was not found.",
                ),
            ),
            Refusal::VoiceNotFoundOld => (
                400,
                old("voice_not_found", "A voice with this id was not found."),
            ),
            Refusal::ModelNotFound => (
                400,
                old("model_not_found", "A model with this id was not found."),
            ),
            Refusal::TooLong => (
                400,
                old(
                    "max_character_limit_exceeded",
                    "The text is longer than the model takes.",
                ),
            ),
            Refusal::Conflict => (409, json!({"detail": "Conflict"})),
            Refusal::Unprocessable => {
                let at = ["body", "text"].map(str::to_owned).to_vec();
                let what = "Field required".to_owned();
                (422, unprocessable(&[Violation { at, what }]))
            }
            Refusal::TooEarly => (425, json!({"detail": "Too early"})),
            Refusal::TooManyConcurrent => (
                429,
                old(
                    "too_many_concurrent_requests",
                    "Your plan allows 5 requests at once.",
                ),
            ),
            Refusal::ConcurrentLimit => (
                429,
                new(
                    "rate_limit_error",
                    "concurrent_limit_exceeded",
                    "Your plan allows 5 requests at once.",
                ),
            ),
            Refusal::RateLimit => (
                429,
                new("rate_limit_error", "rate_limit_exceeded", "Slow down."),
            ),
            Refusal::SystemBusy => (
                429,
                old("system_busy", "We are experiencing heavy traffic."),
            ),
            Refusal::Server => (500, json!({"detail": "Internal Server Error"})),
            Refusal::Unavailable => (503, json!("upstream connect error")),
            Refusal::Unheard => (418, new("tea", "short_and_stout", "Tip me over.")),
        }
    }
}

/// The list form of errors.
pub(super) fn unprocessable(violations: &[Violation]) -> Value {
    let list = violations
        .iter()
        .map(|v| json!({"loc": v.at, "msg": v.what, "type": "value_error"}));
    json!({"detail": list.collect::<Vec<_>>()})
}

//! How turns are taken: the keys of `[agents.NAME.turn]` and the agent's fixed sentences, as one call uses them.
//! Where they come from, and whether they make sense together, is the configuration's business; here every value
//! is survivable.

/// How one call behaves. A call keeps the settings it started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// First thing said. Without it the agent listens first.
    pub greeting: Option<String>,
    /// So much voice within `start_window_ms` is speech; less is a click.
    pub start_voiced_ms: u64,
    /// The stretch in which `start_voiced_ms` is looked for, at most 1280 ms.
    pub start_window_ms: u64,
    /// Silence after the last voice that ends the caller's turn.
    pub end_of_turn_ms: u64,
    /// May the caller take the floor while the agent speaks?
    pub barge_in: bool,
    /// Voice without a pause that takes it.
    pub barge_in_ms: u64,
    /// Nobody speaks for so long: the agent asks. 0 = never.
    pub no_input_ms: u64,
    /// What he asks then. Without it he waits on in silence.
    pub no_input_text: Option<String>,
    /// How often he asks before he says goodbye and hangs up.
    pub no_input_limit: u32,
    /// Said before we hang up for want of an answer or of time.
    pub goodbye_text: Option<String>,
    /// Said when the responder failed.
    pub apology_text: Option<String>,
    /// A responder that is awaited for so long has failed, and so has a voice without a fallback. 0 = never.
    pub reply_deadline_ms: u64,
    /// A voice that leaves the line silent for so long is replaced, if another stands behind it. 0 = as above.
    pub voice_deadline_ms: u64,
    /// After a failure the call stays with the fallback for so long; then the agent's own voice is asked again.
    pub voice_rest_ms: u64,
    /// An utterance that begins in silence begins with so much sound: short, to be heard soon.
    pub first_play_ms: u64,
    /// After that it goes out in pieces of so much: long, because writes dominate the cost of a call.
    pub play_ms: u64,
    /// So far ahead of the caller's ear at most; more than 2000 ms is taken for that.
    pub lead_ms: u64,
    /// A mark that is so late has been lost.
    pub mark_grace_ms: u64,
    /// The longest a call may last. 0 = for ever.
    pub max_call_secs: u64,
    /// The responder listens to the sound itself and speaks when it likes (a live echo, a speech-native model).
    pub own_turns: bool,
}

impl Default for Settings {
    /// No sentences (they have a language, so they belong to the configuration), and the times most of the field
    /// has settled on: Vapi and vocode end a turn after 400 ms, Vapi lets 200 ms of voice barge in, and 200–300 ms
    /// ahead outlive a stall of the sender without making a barge-in late.
    fn default() -> Settings {
        Settings {
            greeting: None,
            start_voiced_ms: 80,
            start_window_ms: 120,
            end_of_turn_ms: 400,
            barge_in: true,
            barge_in_ms: 200,
            no_input_ms: 8000,
            no_input_text: None,
            no_input_limit: 3,
            goodbye_text: None,
            apology_text: None,
            reply_deadline_ms: 10_000,
            // The fallback's own first sound comes within 500 ms, so that the caller waits for less than 2 s.
            voice_deadline_ms: 1500,
            // Asking in vain costs the caller a second and a half: not at every sentence.
            voice_rest_ms: 30_000,
            first_play_ms: 40,
            play_ms: 100,
            lead_ms: 300,
            mark_grace_ms: 2000,
            max_call_secs: 3600,
            own_turns: false,
        }
    }
}

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
    /// Silence after the last voice that ends the caller's turn, if nothing is known of what he said.
    pub end_of_turn_ms: u64,
    /// The same after a sentence that is finished, by its words or in the endpointer's opinion.
    pub finished_ms: u64,
    /// The same after one that is not.
    pub unfinished_ms: u64,
    /// Words a sentence does not end with ("and", "y", "um"), lower case, in the agent's language.
    pub unfinished_words: Vec<String>,
    /// Somebody writes down what the caller says: an answer waits for his words.
    pub transcribed: bool,
    /// Somebody says at each pause whether he has finished.
    pub endpointed: bool,
    /// Ask the responder at the pause, before the turn is certainly over; its answer is held back until it is.
    pub speculate: bool,
    /// May the caller take the floor while the agent speaks?
    pub barge_in: bool,
    /// Voice without a pause that takes it, for the time being.
    pub barge_in_ms: u64,
    /// Words that take it for good, if somebody writes them down.
    pub barge_in_words: u32,
    /// The beginning of an utterance that cannot be interrupted: sound from before it is no answer to it.
    pub barge_in_immune_ms: u64,
    /// Without words for so long after his voice, the agent goes on where he was stopped. 0: a stop is for good.
    pub resume_ms: u64,
    /// Voice without a pause that takes the floor for good where nobody writes down words.
    pub barge_in_certain_ms: u64,
    /// What he says to show that he listens ("mm-hm", "ajá"), lower case: it never takes the floor.
    pub back_channels: Vec<String>,
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
    /// Said when an answer keeps the caller waiting.
    pub one_moment_text: Option<String>,
    /// For so long. 0 = never.
    pub one_moment_ms: u64,
    /// A responder that is awaited for so long is replaced, if another stands behind it. 0 = as below.
    pub responder_deadline_ms: u64,
    /// The words of a stretch may come so long after its end; then the turn goes on without them.
    pub transcriber_deadline_ms: u64,
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
    /// A broken stream is awaited for so long. 0: it ends the call.
    pub return_ms: u64,
    /// The longest a call may last. 0 = for ever.
    pub max_call_secs: u64,
    /// The responder listens to the sound itself and speaks when it likes (a live echo, a speech-native model).
    pub own_turns: bool,
    /// The responder says the first words, after the greeting if there is one.
    pub speaks_first: bool,
    /// Each digit is a turn: it silences the agent and is answered.
    pub takes_digits: bool,
    /// The responder is asked when nobody speaks; the agent's own sentences for it are not said.
    pub takes_silence: bool,
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
            finished_ms: 100,
            unfinished_ms: 1500,
            unfinished_words: Vec::new(),
            transcribed: false,
            endpointed: false,
            speculate: false,
            barge_in: true,
            barge_in_ms: 200,
            barge_in_words: 1,
            barge_in_immune_ms: 0,
            resume_ms: 500,
            // 128 of 141 words said by themselves in the prompts of Asterisk last so long, as our detector counts it (half of
            // them 640 ms); at 600 every third "no" or "one" would not stop the agent. Less, and a cough of 300 ms does:
            // detectors hang over by 120 ms.
            barge_in_certain_ms: 500,
            back_channels: Vec::new(),
            no_input_ms: 8000,
            no_input_text: None,
            no_input_limit: 3,
            goodbye_text: None,
            apology_text: None,
            one_moment_text: None,
            one_moment_ms: 1000,
            responder_deadline_ms: 2000,
            transcriber_deadline_ms: 2000,
            reply_deadline_ms: 10_000,
            // The fallback's own first sound comes within 500 ms, so that the caller waits for less than 2 s.
            voice_deadline_ms: 1500,
            // Asking in vain costs the caller a second and a half: not at every sentence.
            voice_rest_ms: 30_000,
            first_play_ms: 40,
            play_ms: 100,
            lead_ms: 300,
            mark_grace_ms: 2000,
            return_ms: 0,
            max_call_secs: 3600,
            own_turns: false,
            speaks_first: false,
            takes_digits: false,
            takes_silence: false,
        }
    }
}

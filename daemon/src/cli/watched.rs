//! One call of `phone`, on the screen as it goes on: in the daemon's own words if we may read them, which this machine
//! may, else as far as a telephone can tell. That we may not is no reason for a word.

use super::Failure;
use super::conversation::{Conversation, Told, Who, clock, wrapped};
use super::remote::Remote;
use crate::phone::{self, Line, PhoneError, Report, Script};
use console::{Style, Term};
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// Where the daemon lists what happened.
const ROWS: &str = "/audio/api/logs/";

/// How often it is asked for what is new.
const ASK: Duration = Duration::from_millis(150);

/// A line waits so long for those that were before it: for the daemon to have them on its disk, and for us to ask.
const SETTLE_MS: u64 = 300;

/// How long the daemon may take to write down the end of a call that is over.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Time and name, before what is said.
const MARGIN: usize = 15;

/// What is narrower is no screen to cut lines for.
const NARROWEST: usize = 40;

/// A call and its lines.
struct Watched {
    /// Who tells the rows of the call.
    daemon: Option<Remote>,
    conversation: RefCell<Conversation>,
    /// When the call began: the zero of its times.
    began: Cell<Instant>,
    /// How broad the screen is, if it is one.
    columns: Option<usize>,
}

/// Rings, and prints what happens. The inner result is the call's.
///
/// # Errors
/// There is no client to ask the daemon with.
pub(super) async fn call(
    line: &Line,
    script: Script,
) -> Result<Result<Report, PhoneError>, Failure> {
    let daemon = Remote::at(line.base.clone())?;
    let may_read = daemon.get(ROWS, &[("limit", "1".into())]).await.is_ok();
    let (_, columns) = Term::stdout().size_checked().unwrap_or_default();
    let columns = usize::from(columns);
    let watched = Watched {
        daemon: may_read.then_some(daemon),
        conversation: RefCell::new(Conversation::new(may_read)),
        began: Cell::new(Instant::now()),
        columns: (console::user_attended() && columns >= NARROWEST).then_some(columns),
    };
    let called = tokio::select! {
        called = phone::call(line, script, |ms, happening| {
            let began = Instant::now().checked_sub(Duration::from_millis(ms));
            watched.began.set(began.unwrap_or_else(Instant::now));
            watched.conversation.borrow_mut().happened(ms, happening);
        }) => called,
        never = watched.follow() => match never {},
    };
    if called.is_ok() {
        watched.hear_the_end().await;
    }
    watched.print_before(u64::MAX);
    Ok(called)
}

impl Watched {
    /// Asks and prints for ever.
    async fn follow(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(ASK).await;
            self.ask().await;
            let now = u64::try_from(self.began.get().elapsed().as_millis()).unwrap_or(u64::MAX);
            self.print_before(now.saturating_sub(SETTLE_MS));
        }
    }

    /// Until the daemon has written down that the call is over, or takes too long.
    async fn hear_the_end(&self) {
        let over = Instant::now();
        while self.daemon.is_some()
            && !self.conversation.borrow().is_over()
            && over.elapsed() < LAST_WORDS
        {
            self.ask().await;
            tokio::time::sleep(ASK).await;
        }
    }

    /// What happened since. That the daemon does not say is for others to tell: the call goes on.
    async fn ask(&self) {
        let (sid, newest) = {
            let conversation = self.conversation.borrow();
            let sid = conversation.call_sid().map(str::to_owned);
            (sid, conversation.newest().to_string())
        };
        if let (Some(daemon), Some(sid)) = (&self.daemon, sid)
            && let Ok(answer) = daemon.get(ROWS, &[("call", sid), ("after", newest)]).await
            && let Some(rows) = answer["logs"].as_array()
        {
            self.conversation.borrow_mut().rows(rows);
        }
    }

    fn print_before(&self, ms: u64) {
        for told in self.conversation.borrow_mut().before(ms) {
            print(&told, self.columns);
        }
    }
}

/// A line, or several if the screen is narrow. Colours only where somebody sees them.
fn print(told: &Told, columns: Option<usize>) {
    let style = match told.who {
        Who::Agent => Style::new().cyan(),
        Who::You => Style::new().green(),
        Who::Nobody => Style::new().dim(),
    };
    let lines = match columns {
        Some(columns) => wrapped(&told.words, columns - MARGIN),
        None => vec![told.words.clone()],
    };
    for (number, words) in lines.iter().enumerate() {
        let words = match told.who {
            Who::Nobody => style.apply_to(words),
            Who::Agent | Who::You => Style::new().apply_to(words),
        };
        if number == 0 {
            let (time, who) = (clock(told.ms), format!("{:5}", told.who));
            let time = Style::new().dim().apply_to(format!("{time:>7}"));
            say!("{time}  {} {words}", style.apply_to(who));
        } else {
            say!("{:MARGIN$}{words}", "");
        }
    }
}

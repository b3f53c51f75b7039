//! The plugin's own thread: one current-thread tokio runtime per opened instance, named `plugin:NAME`. The instance is
//! made, used and dropped on it; its futures need not be `Send`. Streams are handed over by the media threads and each
//! is driven by one task.
//!
//! ```text
//! control   open ──spawn──→ plugin:NAME   make the instance ──answer──→ open returns
//! media     start ──Start──→              one task per stream, until its inbox ends
//! control   close ──────────→             CLOSE_GRACE for tasks, then drop all, then join
//! ```

use std::future::{poll_fn, Future};
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::info::config;
use crate::panics::{Contained, Working};
use crate::secret::Wiped;

/// How long streams that are over may still work when the instance closes. Below the 10 s that the host gives `close`.
const CLOSE_GRACE: Duration = Duration::from_secs(2);
/// How long blocking work of the plugin (`spawn_blocking`) may go on after that.
const BLOCKING_GRACE: Duration = Duration::from_secs(3);

/// An opened instance: its thread, and the door through which streams `S` come in.
pub struct Worker<S> {
    /// Unbounded, but the host bounds the calls, and each puts in one thing in its life.
    starts: Option<mpsc::UnboundedSender<S>>,
    thread: Option<JoinHandle<()>>,
    /// What the instance said of its languages when it was made.
    pub(crate) languages: Vec<String>,
}

impl<S: Send + 'static> Worker<S> {
    /// Makes the instance on a new thread out of its configuration, and waits for it. `drive` is what happens to each
    /// stream; `languages` what the instance can be told, nothing if that is no matter.
    pub(crate) fn open<C, P, O, D>(
        name: &str,
        host: Host,
        json: &[u8],
        open: impl FnOnce(C, Host) -> O + Send + 'static,
        languages: impl FnOnce(&P) -> Vec<String> + Send + 'static,
        drive: impl Fn(Arc<P>, S) -> D + Send + 'static,
    ) -> Result<Worker<S>>
    where
        C: DeserializeOwned,
        P: 'static,
        O: Future<Output = Result<P>>,
        D: Future<Output = ()> + 'static,
    {
        let json = Wiped(json.to_vec());
        let line = host.clone();
        let open = move || async move {
            let read = config(&json.0);
            drop(json);
            let plugin = open(read?, line).await?;
            let languages = languages(&plugin);
            Ok((plugin, languages))
        };
        let (starts, streams) = mpsc::unbounded_channel();
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let body = move || {
            let _working = Working::for_host(&host);
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(e) => {
                    let why = Error::new(format!("cannot start a runtime for the plugin: {e}"));
                    return drop(answer.send(Err(why)));
                }
            };
            let told = |made| answer.send(made).is_ok();
            run(&runtime, open, told, streams, drive);
            runtime.shutdown_timeout(BLOCKING_GRACE);
        };
        let thread = std::thread::Builder::new()
            .name(format!("plugin:{name}"))
            .spawn(body)
            .map_err(|e| Error::new(format!("cannot start a thread for the plugin: {e}")))?;
        let mut worker = Worker {
            starts: Some(starts),
            thread: Some(thread),
            languages: Vec::new(),
        };
        let made = answered
            .recv()
            .unwrap_or_else(|_| Err("the plugin's thread ended while it opened".into()));
        match made {
            Ok(languages) => {
                worker.languages = languages;
                Ok(worker)
            }
            Err(why) => {
                worker.join();
                Err(why)
            }
        }
    }

    /// Hands a stream to the thread.
    pub(crate) fn start(&self, stream: S) -> Result<()> {
        let sent = self
            .starts
            .as_ref()
            .map(|starts| starts.send(stream).is_ok());
        if sent == Some(true) {
            Ok(())
        } else {
            Err("the plugin's thread has ended; open the plugin anew".into())
        }
    }
}

impl<S> Worker<S> {
    fn join(&mut self) {
        self.starts = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            // The panic has been logged by the hook where it happened; the thread is gone, which is what was wanted.
        }
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        self.join();
    }
}

fn run<P, S, O, D>(
    runtime: &Runtime,
    open: impl FnOnce() -> O,
    told: impl FnOnce(Result<Vec<String>>) -> bool,
    mut streams: mpsc::UnboundedReceiver<S>,
    drive: impl Fn(Arc<P>, S) -> D,
) where
    P: 'static,
    O: Future<Output = Result<(P, Vec<String>)>>,
    D: Future<Output = ()> + 'static,
{
    let local = LocalSet::new();
    local.block_on(runtime, async {
        let made = Contained::new(async { open().await }).await;
        let plugin = match made.unwrap_or_else(|panic| Err(Error::panicked(&panic))) {
            Ok((plugin, languages)) => {
                if !told(Ok(languages)) {
                    return;
                }
                Arc::new(plugin)
            }
            Err(why) => {
                told(Err(why));
                return;
            }
        };
        let mut tasks = JoinSet::new();
        while let Some(stream) = next_stream(&mut streams, &mut tasks).await {
            tasks.spawn_local(drive(plugin.clone(), stream));
        }
        let all_end = async { while tasks.join_next().await.is_some() {} };
        if timeout(CLOSE_GRACE, all_end).await.is_err() {
            tasks.shutdown().await;
        }
        // Here and not behind the block, because what it holds may need the runtime to be dropped.
        drop(crate::panics::contain(|| drop(plugin)));
    });
    // Tasks that the plugin spawned for itself end here.
    drop(crate::panics::contain(|| drop(local)));
}

/// The next stream to drive; meanwhile tasks that ended are put away. `None` once the worker is closing.
async fn next_stream<S>(
    streams: &mut mpsc::UnboundedReceiver<S>,
    tasks: &mut JoinSet<()>,
) -> Option<S> {
    poll_fn(|cx| {
        while let Poll::Ready(Some(_)) = tasks.poll_join_next(cx) {}
        streams.poll_recv(cx)
    })
    .await
}

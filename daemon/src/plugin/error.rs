//! What can go wrong with a plugin, by operation, in sentences for whoever is on duty: what was tried, with which file,
//! and what to do about it. What happens now ("keeping the previous configuration", the fallback voice) is added by the
//! caller, who knows. Causes are part of the sentence and not chained behind it: whoever prints a chain would say them
//! twice.

use std::io;
use std::path::PathBuf;
use thiserror::Error;
use voice_plugin::abi::status;

/// Why a library was not loaded. Nothing of it runs, except where the sentence says so.
#[derive(Debug, Error)]
#[error("plugin {name}: library {}: {why}", path.display())]
pub struct LoadError {
    /// The plugin's name in the configuration.
    pub name: String,
    /// The file named there.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: LoadProblem,
}

/// What is wrong with a library.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadProblem {
    /// The file is missing or may not be read.
    #[error("cannot be read ({0}): build it, or correct `library` in config.toml")]
    Unreadable(io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a file: `library` has to name the .so file itself")]
    NotAFile,
    /// Larger than any plugin we know of.
    #[error("is {bytes} bytes long, more than the {limit} a library may have")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// Somebody else could put other code into it.
    #[error("{what} {}", .trust.sentence())]
    Untrusted {
        /// "the file" or "its folder PATH".
        what: String,
        /// Who could.
        trust: Distrust,
    },
    /// Empty, cut short, or something else altogether.
    #[error("is not a usable shared library ({0}): build it again, as a cdylib")]
    NotALibrary(&'static str),
    /// Built for another processor.
    #[error("is built for {found}, this machine is {host}: build it for this machine")]
    Foreign {
        /// The library's processor.
        found: String,
        /// Ours.
        host: String,
    },
    /// The pin itself is no hash.
    #[error("`sha256` in config.toml is not 64 hexadecimal digits: use the output of sha256sum")]
    BadPin,
    /// The content is not what was pinned.
    #[error(
        "has sha256 {found}, config.toml pins {pinned}: if you trust the new build, change `sha256`"
    )]
    Pin {
        /// The file's hash.
        found: String,
        /// The hash asked for.
        pinned: String,
    },
    /// The private copy could not be written.
    #[error("no private copy of it could be made in {} ({cause}): check the folder and the disk", dir.display())]
    Keep {
        /// Where it was to go.
        dir: PathBuf,
        /// Why it did not.
        cause: io::Error,
    },
    /// Others could change private copies.
    #[error("the folder for private copies, {}, {}", dir.display(), .trust.sentence())]
    KeepUntrusted {
        /// The folder.
        dir: PathBuf,
        /// Who could.
        trust: Distrust,
    },
    /// The dynamic linker refused.
    #[error(
        "cannot be loaded: {0}. A missing library has to be installed; \"static TLS\" means an allocator or \
             runtime inside that must be built without initial-exec TLS; \"failed to map\" means a noexec disk"
    )]
    Link(String),
    /// It does not export the entry.
    #[error("has no symbol `voice_plugin`: it is not a plugin, or its export line is missing")]
    NoEntry,
    /// The entry answered null.
    #[error(
        "does not serve plugin ABI {host}, the one this daemon speaks: use a build of it for ABI {host}"
    )]
    Refuses {
        /// Our ABI.
        host: u32,
    },
    /// Its table is of another ABI.
    #[error("speaks plugin ABI {plugin}, this daemon speaks {host}: {}", 
        if plugin > host { "update the daemon, or use an older build of the plugin" }
        else { "build the plugin against the present plugin-api" })]
    Abi {
        /// Its ABI.
        plugin: u32,
        /// Ours.
        host: u32,
    },
    /// Its table ends before its last required member.
    #[error(
        "gives a table of {size} bytes, ABI 1 has at least {least}: its `size` must be sizeof(vp_plugin)"
    )]
    SmallTable {
        /// What it says.
        size: u32,
        /// What it needs.
        least: u32,
    },
    /// A required member is null.
    #[error("leaves `{0}` null, which the contract does not allow: the plugin has to be corrected")]
    NullMember(&'static str),
    /// Name or version has no end or is no text.
    #[error("has a `{0}` that is not a short UTF-8 string: the plugin has to be corrected")]
    BadText(&'static str),
    /// No role this host knows.
    #[error(
        "is neither voice, responder nor transcriber (roles {0:#x}): the plugin has to be corrected"
    )]
    NoRole(u64),
    /// Its description is of no use.
    #[error("describes itself wrongly ({0}): the plugin has to be corrected")]
    Describe(String),
    /// Constructors, entry or `describe` do not return. That thread is lost until the daemon ends.
    #[error(
        "did not finish loading within {secs} s and is left stuck: correct the plugin, then restart the daemon"
    )]
    Overrun {
        /// The deadline.
        secs: u64,
    },
    /// No thread to load it on.
    #[error(
        "no thread could be started to load it ({0}): the system is short of threads or memory"
    )]
    Thread(io::Error),
}

/// Why a file or folder is not ours alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Any user may write to it.
    Everybody,
    /// A group that is not the daemon's own may write to it.
    Group(u32),
    /// It belongs to a user who is neither root nor the daemon's.
    Owner(u32),
}

impl Distrust {
    fn sentence(self) -> String {
        match self {
            Distrust::Everybody => "may be written to by every user: chmod o-w".to_owned(),
            Distrust::Group(gid) => format!("may be written to by group {gid}: chmod g-w"),
            Distrust::Owner(uid) => {
                format!(
                    "belongs to user {uid}, who is neither root nor the daemon's user: chown it"
                )
            }
        }
    }
}

/// A number of the plugin's own; the contract's says nothing that the sentence does not.
fn own_code(code: i32) -> String {
    match code {
        status::ERROR => String::new(),
        own => format!(" (code {own})"),
    }
}

/// Why a plugin was not opened with a configuration.
#[derive(Debug, Error)]
#[error("plugin {name} {why}")]
pub struct OpenError {
    /// The plugin's name in the configuration.
    pub name: String,
    /// The rest of the sentence, for whoever has named it already.
    pub why: OpenProblem,
}

/// What a plugin did instead of opening.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenProblem {
    /// It said so.
    #[error("refuses its configuration: {said}{}", own_code(*.code))]
    Refused {
        /// Its number.
        code: i32,
        /// Its sentence.
        said: String,
    },
    /// It panicked with these words; its side stopped the panic.
    #[error("panicked while opening: {0}")]
    Panicked(String),
    /// It did not return. The thread it blocks is left to it.
    #[error(
        "did not open within {secs} s and is left behind: is something it waits for unreachable?"
    )]
    Overrun {
        /// The deadline.
        secs: u64,
    },
    /// No thread to open it on.
    #[error(
        "was not opened, no thread could be started ({0}): the system is short of threads or memory"
    )]
    Thread(io::Error),
}

/// Why a plugin did not say what it makes of its keys. It is not opened: whether they are right is not known.
#[derive(Debug, Error)]
#[error("plugin {name} {why}")]
pub struct CheckError {
    /// The plugin's name in the configuration.
    pub name: String,
    /// The rest of the sentence, for whoever has named it already.
    pub why: CheckProblem,
}

/// What a plugin did instead of looking at its keys.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckProblem {
    /// It panicked, refused to answer, or put something that is no answer: this.
    #[error("could not check its keys: {0}; the plugin has to be corrected")]
    Failed(String),
    /// It did not return. The thread it blocks is left to it.
    #[error(
        "did not check its keys within {secs} s and is left behind: the plugin has to be corrected"
    )]
    Overrun {
        /// The deadline.
        secs: u64,
    },
    /// No thread to ask it on.
    #[error(
        "was not asked about its keys, no thread could be started ({0}): the system is short of threads or memory"
    )]
    Thread(io::Error),
}

/// Why there is no list of what can be chosen from.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// It said so, panicked, or put something that is no list.
    #[error("plugin {name} cannot list its {what}: {said}")]
    Refused {
        /// The plugin's name in the configuration.
        name: String,
        /// Voices or languages.
        what: &'static str,
        /// Its sentence.
        said: String,
    },
    /// It did not return. The thread it blocks is left to it.
    #[error("plugin {name} did not list its {what} within {secs} s: is its maker unreachable?")]
    Overrun {
        /// The plugin's name in the configuration.
        name: String,
        /// As above.
        what: &'static str,
        /// The deadline.
        secs: u64,
    },
    /// No thread to ask it on.
    #[error("plugin {name} was not asked for its {what}, no thread could be started: {cause}")]
    Thread {
        /// The plugin's name in the configuration.
        name: String,
        /// As above.
        what: &'static str,
        /// Why not.
        cause: io::Error,
    },
}

/// Why no stream was started. The call needs its fallback.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The plugin does not play this part.
    #[error("plugin {name} is no {role}: name another plugin in config.toml")]
    Role {
        /// The plugin's name in the configuration.
        name: String,
        /// The part in words.
        role: &'static str,
    },
    /// A call into this generation blocks a media thread, or did so too often.
    #[error(
        "plugin {name} hangs: no new stream is given to it until it comes back or is opened again"
    )]
    Hung {
        /// The plugin's name in the configuration.
        name: String,
    },
    /// The plugin does not let go of ended streams.
    #[error(
        "plugin {name} holds {held} streams, the most it may: it does not release the ones that have ended"
    )]
    Crowded {
        /// The plugin's name in the configuration.
        name: String,
        /// How many it holds.
        held: usize,
    },
    /// It said no.
    #[error("plugin {name} did not start: {said}{}", own_code(*.code))]
    Refused {
        /// The plugin's name in the configuration.
        name: String,
        /// Its number.
        code: i32,
        /// Its sentence.
        said: String,
    },
    /// It panicked; its side stopped the panic.
    #[error("plugin {name} panicked while starting: {said}")]
    Panicked {
        /// The plugin's name in the configuration.
        name: String,
        /// What the panic said.
        said: String,
    },
    /// No memory for its ring.
    #[error("plugin {name} was not started, no memory for its ring ({cause}): the machine is full")]
    Memory {
        /// The plugin's name in the configuration.
        name: String,
        /// Why not.
        cause: io::Error,
    },
}

/// Why a running stream gives no more. It is dead from then on; the call needs its fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The plugin panicked; its side stopped the panic.
    #[error("the plugin panicked in `send`")]
    Panicked,
    /// The plugin answered an event with this status: it cannot go on.
    #[error("its `send` answered {}{}", .0, if *.0 == status::ERROR { " (VP_ERROR)" } else { "" })]
    Refused(i32),
    /// The plugin wrote over its ring.
    #[error("it wrote beyond what it had reserved in its ring")]
    Overwrote,
    /// There was a fault before; it was reported then.
    #[error("the plugin's stream has ended after a fault")]
    Gone,
}

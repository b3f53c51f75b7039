//! The heap of plugins: the C library's, by which all of them allocate. The daemon's own is another one (`main.rs`).

/// Blocks from which on the system has each back the moment it is freed.
#[cfg(target_env = "gnu")]
const WHOLE_BLOCK_BYTES: i32 = 256 << 10;

/// Engines of a few megabytes each come and go with the configuration; from now on their memory goes with them.
///
/// The C library begins with a rule like this and gives it up for good when the first big block is freed: fifty edits left
/// a hundred megabytes behind. Meant for the beginning of the process; where it is refused nothing changes.
pub fn give_back_whole_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number within the C library, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, WHOLE_BLOCK_BYTES);
    }
}

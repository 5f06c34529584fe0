//! How the process deals with memory that it no longer needs.

/// The largest block that is expected to come and go: answers, and the columns made of them.
const BLOCK: usize = 4 << 20;

/// Lets the allocator keep a little of what was freed, up to twice this block. To be called once, at the start.
///
/// The allocator of GNU/Linux learns from the blocks that are freed how large those are that come and go. Having learnt
/// of none, it gives the room of every answer back to the system, which then has to clear it anew for the next one: a
/// third of the time that it takes to read an answer. Elsewhere this does nothing.
pub fn learn_block_size() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(BLOCK)));
}

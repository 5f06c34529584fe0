//! JSON rows into Arrow record batches, driven by a table's declared columns.
//!
//! One pass over the text writes straight into Arrow builders: no document tree and no map per row. A row
//! is never dropped for its shape: what no column can take is kept in `_extra` and counted.

mod builder;
mod decode;
mod embedded;
mod fault;
mod json_text;
mod keys;
mod layout;
mod owner;
mod reject;
mod scan;
mod select;
mod shape;
mod value;

pub use decode::{Decoder, RowError, Rows};
pub use embedded::{Embedded, Lists, Members, ParentValues, Shown};
pub use fault::{Fault, Malformed};
pub use keys::{hash_of_key, key_hashes, key_texts};
pub use layout::Layout;
pub use owner::Owner;
pub use reject::{Reject, Rejects};
pub use scan::Scanner;
pub use select::{filter, seconds};
pub use shape::{Oddities, Shape};

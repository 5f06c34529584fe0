//! Phone calls.

use super::conversations::READ_CONVERSATIONS;
use crate::table::{Endpoint, PLAIN, TableSpec, WriteDisposition, reference, text, timestamp};

/// Calls, read whole; transcripts and recordings are not. Exist since API 2.14.
pub(super) const CALLS: TableSpec = TableSpec {
    name: "calls",
    since_minor: 14,
    cursor: Some("updated_at"),
    disposition: WriteDisposition::Merge,
    // More than 25 a page are refused.
    endpoint: Endpoint::Pages { path: "/calls", records: "data", per_page: 25 },
    // Calls are conversations; no permission is documented for them alone.
    permission: READ_CONVERSATIONS,
    object: Some("/calls"),
    columns: &[
        text("type"),
        text("id"),
        reference("conversation_id"),
        reference("admin_id"),
        reference("contact_id"),
        text("state"),
        timestamp("initiated_at"),
        timestamp("answered_at"),
        timestamp("ended_at"),
        timestamp("created_at"),
        timestamp("updated_at"),
        text("recording_url"),
        text("transcription_url"),
        text("call_type"),
        text("direction"),
        text("ended_reason"),
        text("phone"),
        text("fin_recording_url"),
        text("fin_transcription_url"),
    ],
    ..PLAIN
};

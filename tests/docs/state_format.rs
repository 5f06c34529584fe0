//! The examples of `docs/state-format.md`.

use ingest::state::{TableState, VERSION};

use super::{Page, top};

#[test]
fn the_documents_shown_are_read_and_written_back_as_they_stand() {
    let page = Page::read(&top().join("docs/state-format.md"));
    let blocks = page.blocks();
    let documents: Vec<String> =
        blocks.iter().filter(|block| block.language == "json").map(|block| block.lines.join("\n")).collect();
    assert!(!documents.is_empty());
    for document in documents {
        let state = TableState::from_json(&document).unwrap_or_else(|e| panic!("{}\n{document}", e.render()));
        assert_eq!(state.version, VERSION);
        let written: serde_json::Value = serde_json::from_str(&state.to_json().unwrap()).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(written, shown);
    }
}

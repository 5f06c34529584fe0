//! What the binary says of answers that have drifted: it ends well, and tells what it met by path and count.

use serde_json::json;

use crate::support::binary::{Finished, Project};
use crate::support::odd_server::{Answer, OddServer};

/// Runs the binary against the server with these arguments, in a folder of its own.
async fn run(server: &OddServer, arguments: &'static [&'static str]) -> Finished {
    let base_url = server.base_url.clone();
    let run = move || {
        let project = Project::empty();
        project.configure(&base_url, "");
        project.ingest(arguments).run()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_over_answers_that_have_drifted_ends_well_and_counts_what_it_met() {
    let server = OddServer::start(|asked| match asked.target.as_str() {
        "/contacts/search" => Answer::ok(&json!({ "data": [
            { "id": "a", "created_at": 1_600_000_000, "updated_at": 1_600_000_000, "surprise": { "email": "joe@example.com" } },
            { "id": "b", "created_at": 1_600_000_001, "updated_at": 1_600_000_001, "surprise": 7, "location": "Lisboa" },
            { "id": "c", "created_at": 1_600_000_002, "updated_at": 1_600_000_002, "signed_up_at": 1_600_000_002_000_u64 },
        ] })),
        _ => Answer::ok(&json!({ "conversations": [
            { "id": "v", "created_at": 1_600_000_000, "updated_at": 1_600_000_000, "tags": { "tags": ["joe@example.com", { "id": "7" }] } },
        ] })),
    })
    .await;
    let asked = &["intercom.contacts", "intercom.conversation_tags", "--progress", "off", "--output", "json"];
    let finished = run(&server, asked).await.exits(0);
    let json = finished.json();
    let [contacts, tags] = json["tables"].as_array().unwrap().as_slice() else { panic!("{json}") };
    assert_eq!(contacts["rows"]["live"], 3);
    assert_eq!(contacts["unknown_fields"], json!({ "surprise": 2 }));
    assert_eq!(contacts["misfit_values"], json!({ "location": 1, "signed_up_at": 1 }));
    assert_eq!(contacts["unread_lists"], json!({}));
    assert_eq!(tags["rows"]["live"], 1);
    assert_eq!(tags["unread_lists"], json!({ "tags.tags": 1 }));
    let told = run(&server, &asked[..4]).await.exits(0);
    for note in [
        "note: intercom.contacts: kept in _extra because it has no column: surprise (2)",
        "note: intercom.contacts: kept in _extra because it did not fit its column: location (1), signed_up_at (1)",
        "note: intercom.conversation_tags: no rows could be made of what stands in the place of lists or of their \
         entries: tags.tags (1)",
    ] {
        assert!(told.to_string().contains(note), "{told}");
    }
    for shown in [finished, told] {
        assert!(!shown.to_string().contains("joe"), "{shown}");
    }
}

//! `ingest tables`: what can be read, without asking anybody.

use crate::support::binary::{Project, assert_shows};

#[test]
fn every_table_with_what_it_takes_to_read_it() {
    assert_shows!(Project::empty().ingest(&["tables"]).run(), @r"
    exit code: 0
    ----- stdout -----
    table                     key                   cursor      strategy  endpoint                    permission
    intercom.contacts         id                    updated_at  merge     POST /contacts/search       Read and list users and companies
    intercom.companies        id                    updated_at  merge     GET /companies/scroll       Read and list users and companies
    intercom.conversations    id                    updated_at  merge     POST /conversations/search  Read conversations
    intercom.articles         id                    updated_at  merge     GET /articles               Read and list articles
    intercom.tags             id                    -           replace   GET /tags                   Read tags
    intercom.segments         id                    -           replace   GET /segments               Read and list users and companies
    intercom.admins           id                    -           replace   GET /admins                 Read admins
    intercom.teams            id                    -           replace   GET /teams                  Read and list users and companies
    intercom.data_attributes  model, full_name, id  -           replace   GET /data_attributes        Read and list users and companies
    ");
}

#[test]
fn the_list_carries_the_connections_name() {
    let project = Project::empty();
    project.write("connections.yml", "connections: {intercom: [{name: acme, access_token: $UNSET}]}");
    // By name, and by type, since there is only one of it. No token is needed for looking.
    for typed in ["acme", "intercom"] {
        let list = project.ingest(&["tables", typed]).without("INTERCOM_ACCESS_TOKEN").run().exits(0);
        assert!(list.stdout.contains("acme.contacts"), "{list}");
    }
    assert_shows!(project.ingest(&["tables", "acne"]).run(), @r"
    exit code: 2
    ----- stderr -----
    error: connection acne: unknown
      hint: did you mean acme? known connections: acme
    ");
}

#[test]
fn columns_are_listed_with_their_types() {
    let list = Project::empty().ingest(&["tables", "--columns"]).run().exits(0);
    let tags: Vec<&str> = list.stdout.lines().skip_while(|line| *line != "intercom.tags").collect();
    insta::assert_snapshot!(tags.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join("\n"), @r"
    intercom.tags
      type          VARCHAR
      id            VARCHAR
      name          VARCHAR
      _extra        JSON
      _ingested_at  TIMESTAMP WITH TIME ZONE
    ");
}

#[test]
fn json_says_the_same_as_text() {
    let project = Project::empty();
    let json = project.ingest(&["tables", "--output", "json"]).run().exits(0).json();
    let text = project.ingest(&["tables"]).run().exits(0).stdout;
    let columns = project.ingest(&["tables", "--columns"]).run().exits(0).stdout;
    let tables = json.as_array().unwrap();
    assert_eq!(tables.len(), text.lines().count() - 1);
    for (table, line) in tables.iter().zip(text.lines().skip(1)) {
        for member in ["name", "endpoint", "permission", "strategy"] {
            assert!(line.contains(table[member].as_str().unwrap()), "{member} in {line}");
        }
        let names = |list: &serde_json::Value| list.as_array().unwrap().len();
        assert!(names(&table["key"]) > 0 && names(&table["columns"]) > 2, "{table}");
    }
    let listed: usize = tables.iter().map(|table| table["columns"].as_array().unwrap().len()).sum();
    assert_eq!(listed, columns.lines().filter(|line| line.starts_with("  ")).count());
}

use super::*;

fn parsed(text: &str) -> Result<Contents> {
    parse(text, &Origin::File(PathBuf::from("connections.yml")))
}

#[test]
fn connections_come_in_the_order_of_the_file() {
    let contents = parsed(
        "connections:\n  duckdb:\n    - {name: local, path: ./x}\n  intercom:\n    - name: a\n      region:\n    \
         - {access_token: $T, name: b}\n  parquet:\ndefault_destination: local\n",
    )
    .unwrap();
    let found: Vec<_> = contents
        .entries
        .iter()
        .map(|e| (e.kind.as_str(), e.name.as_str(), e.at.line, format!("{:?}", e.settings)))
        .collect();
    assert_eq!(
        found,
        [
            ("duckdb", "local", 3, "[path at 3:27]".to_owned()),
            ("intercom", "a", 5, "[region at 6:13]".to_owned()),
            ("intercom", "b", 7, "[access_token at 7:22]".to_owned()),
        ]
    );
    assert_eq!(format!("{:?}", contents.default_destination), "Some(default_destination at 9:22)");
}

#[test]
fn connections_may_all_be_commented_out() {
    for text in
        ["connections:", "connections: {}", "connections:\n  intercom:\n", "connections: {intercom: []}"]
    {
        assert!(parsed(text).unwrap().entries.is_empty(), "{text}");
    }
}

#[test]
fn structural_errors_read_like_this() {
    for (text, expected) in [
        (
            "# nothing\n",
            "connections.yml: the file is empty\n  \
             hint: `ingest init` writes a commented connections.yml to start from",
        ),
        ("- a", "connections.yml:1:1: expected a mapping with the key connections, found a list"),
        ("a: [1", "connections.yml:1:4: unclosed bracket '['"),
        ("connections: {}\nconnections: {}", "connections.yml:2:1: the same key twice in one mapping"),
        ("conections: {}", "connections.yml:1:1: unknown key conections\n  hint: did you mean connections?"),
        (
            "version: 1",
            "connections.yml:1:1: unknown key version\n  hint: known keys: connections, default_destination",
        ),
        (
            "environments: {}",
            "connections.yml:1:1: unknown key environments\n  \
             hint: this looks like a .bruin.yml: put its `connections:` at the left margin",
        ),
        (
            "intercom: []",
            "connections.yml:1:1: unknown key intercom\n  hint: connection types stand below the key connections",
        ),
        (
            "default_destination: [a]",
            "connections.yml:1:22: default_destination: expected a single value, found a list",
        ),
        (
            "connections: []",
            "connections.yml:1:14: connections: expected a mapping from types to lists of connections, \
             found a list",
        ),
        (
            "connections:\n  postgres: []",
            "connections.yml:2:3: connections: unknown connection type postgres\n  \
             hint: known types: intercom, duckdb, parquet",
        ),
        (
            "connections:\n  duckbd: []",
            "connections.yml:2:3: connections: unknown connection type duckbd\n  \
             hint: did you mean duckdb? known types: intercom, duckdb, parquet",
        ),
        (
            "connections:\n  intercom:\n    name: a",
            "connections.yml:3:5: connections.intercom: expected a list of connections, found a mapping\n  \
             hint: start each connection with a dash: `- name: ...`",
        ),
        (
            "connections:\n  parquet: [lake]",
            "connections.yml:2:13: connections.parquet: expected the keys of a connection, found a single value\n  \
             hint: known keys: name, path, endpoint, region, path_style, access_key_id, secret_access_key, session_token, \
             service_account, account, account_key, sas_token",
        ),
        (
            "connections:\n  parquet:\n    - path: ./lake",
            "connections.yml:3:7: connections.parquet: name is missing\n  \
             hint: every connection has a name of its own: `name: ...`",
        ),
        (
            "connections: {parquet: [{name: }]}",
            "connections.yml:1:30: connections.parquet: name is empty\n  hint: use letters, digits, _ and -",
        ),
        (
            "connections: {parquet: [{name: {}}]}",
            "connections.yml:1:32: connections.parquet: name: expected a single value, found a mapping",
        ),
        (
            "connections: {parquet: [{name: a.b}]}",
            "connections.yml:1:32: connections.parquet: name holds a dot\n  hint: use letters, digits, _ and -",
        ),
        (
            "connections: {intercom: [{name: run}]}",
            "connections.yml:1:33: connections.intercom: name is the subcommand run\n  \
             hint: choose another name",
        ),
        (
            "connections:\n  intercom:\n    - name: a\n      regoin: us",
            "connections.yml:4:7: connection a: unknown key regoin\n  hint: did you mean region?",
        ),
        (
            "connections: {parquet: [{name: a, password: x}]}",
            "connections.yml:1:35: connection a: unknown key password\n  hint: known keys: name, path, endpoint, region, path_style, access_key_id, secret_access_key, session_token, \
             service_account, account, account_key, sas_token",
        ),
        (
            "connections: {intercom: [{name: a, access_token: [x]}]}",
            "connections.yml:1:50: connection a: access_token: expected a single value, found a list",
        ),
        (
            "connections:\n  intercom:\n    - name: lake\n  parquet:\n    - name: Lake",
            "connections.yml:5:7: connection Lake: the connection in line 3 has this name\n  \
             hint: names are unique in the file, whatever their type and case",
        ),
    ] {
        assert_eq!(parsed(text).unwrap_err().render(), format!("error: {expected}"), "{text}");
    }
}

#[test]
fn errors_of_single_tables_read_like_this() {
    for (text, expected) in [
        (
            "connections: {intercom: [{name: a, tables: {compnies: {every: 6h}}}]}",
            "connections.yml:1:45: connection a: tables: unknown table compnies\n  hint: did you mean companies?",
        ),
        (
            "connections: {intercom: [{name: a, tables: {companies: {evry: 6h}}}]}",
            "connections.yml:1:57: connection a: tables.companies: unknown key evry\n  hint: did you mean every?",
        ),
        (
            "connections: {intercom: [{name: a, tables: {companies: {every: [6h]}}}]}",
            "connections.yml:1:64: connection a: tables.companies: every: expected a single value, found a list",
        ),
        (
            "connections: {intercom: [{name: a, tables: {companies: 6h}}]}",
            "connections.yml:1:56: connection a: tables.companies: expected the keys of a table, found a single value",
        ),
        (
            "connections: {intercom: [{name: a, tables: [companies]}]}",
            "connections.yml:1:44: connection a: tables: expected a mapping from tables to their keys, found a list",
        ),
    ] {
        assert_eq!(parsed(text).unwrap_err().render(), format!("error: {expected}"), "{text}");
    }
}

#[test]
fn a_token_in_the_place_of_a_key_is_not_shown() {
    let token = "dG9rOjEyMzQ1Njc4XzkwYWJfY2RlZl8xMjM0OjE6MA==";
    for text in [
        format!("{token}: x"),
        format!("connections: {{{token}: x}}"),
        format!("connections:\n  intercom:\n    - name: a\n      {token}:\n"),
        format!("connections:\n  intercom:\n    - name: a\n      access_token {token}\n"),
        format!("connections:\n  intercom:\n    - name: a\n      access_token:{token}\n      region: us\n"),
        format!("connections:\n  intercom:\n    - name: {token}*\n"),
        format!("connections:\n  intercom:\n    - name: a\n      access_token: '{token}\n"),
        format!("connections:\n  intercom:\n    - name: a\n      access_token: *{token}\n"),
        format!("connections:\n  intercom:\n    - name: a\n      access_token: !!int {token}\n"),
        format!("connections:\n  intercom:\n    - {token}\n"),
    ] {
        let error = parsed(&text).unwrap_err();
        assert!(!format!("{error:?}").contains("dG9r"), "{text}\n{error:?}");
        assert!(!error.render().contains("MjM0"), "{text}\n{error:?}");
    }
}

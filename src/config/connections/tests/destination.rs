//! Choosing a destination, and its values.

use super::*;

fn destination(text: &str, typed: Option<&str>) -> Result<DestinationConfig> {
    file(text).destination(typed, &environment(), Path::new("/srv"))
}

/// A DuckDB connection `local` in one line, these keys behind its name.
fn duckdb(keys: &str) -> Result<DuckDbConfig> {
    match destination(&format!("connections: {{duckdb: [{{name: local, {keys}}}]}}"), None)? {
        DestinationConfig::DuckDb(config) => Ok(config),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_destination_is_what_was_typed_or_what_is_left() {
    let default = format!("{TWO_OF_EACH}default_destination: $DEFAULT\n");
    let only = "connections: {parquet: [{name: lake, path: ./lake}]}";
    let none = "connections:";
    for (text, typed, name, path) in [
        (TWO_OF_EACH, Some("local"), "local", "/srv/etc/x.duckdb"),
        (TWO_OF_EACH, Some("lake"), "lake", "/srv/etc/lake"),
        (TWO_OF_EACH, Some("duckdb:./y.duckdb"), "duckdb:./y.duckdb", "/srv/y.duckdb"),
        (TWO_OF_EACH, Some("parquet:~/lake"), "parquet:~/lake", "/home/ada/lake"),
        (&default, None, "lake", "/srv/etc/lake"),
        (&default, Some("local"), "local", "/srv/etc/x.duckdb"),
        (only, None, "lake", "/srv/etc/lake"),
        (none, None, "local", "/srv/ingest.duckdb"),
    ] {
        let config = destination(text, typed).unwrap();
        assert_eq!((config.name(), config.path()), (name, Some(Path::new(path))), "{typed:?} in {text}");
    }
    assert_eq!(file(TWO_OF_EACH).destination_names(), [("local", "duckdb"), ("lake", "parquet")]);
}

#[test]
fn destinations_that_cannot_be_chosen() {
    let wrong_default = "connections: {parquet: [{name: lake, path: x}]}\ndefault_destination: lakee";
    let source_as_default = "connections: {intercom: [{name: a}]}\ndefault_destination: a";
    let unset_default = "connections:\ndefault_destination: $UNSET";
    for (text, typed, expected) in [
        (
            TWO_OF_EACH,
            None,
            "etc/connections.yml: several destinations and no default_destination\n  \
             hint: choose with --to, or set default_destination: local, lake",
        ),
        (
            TWO_OF_EACH,
            Some("lokal"),
            "destination lokal: unknown\n  \
             hint: did you mean local? known destinations: local, lake; or write duckdb:PATH, parquet:PATH or s3://BUCKET",
        ),
        (
            TWO_OF_EACH,
            Some("prod"),
            "connection prod is a source (intercom)\n  \
             hint: known destinations: local, lake; or write duckdb:PATH, parquet:PATH or s3://BUCKET",
        ),
        (
            TWO_OF_EACH,
            Some("./y.duckdb"),
            "destination ./y.duckdb: unknown\n  hint: for a file, write duckdb:./y.duckdb",
        ),
        (
            "connections:",
            Some("postgres://user:s3cr3t@host/db"),
            "destination postgres:...: unknown\n  hint: write duckdb:PATH, parquet:PATH or s3://BUCKET",
        ),
        (
            TWO_OF_EACH,
            Some("duckdb:///srv/x.duckdb"),
            "destination duckdb: tools disagree on what the slashes after the colon mean\n  \
             hint: write duckdb:PATH with one colon and no slashes of its own: duckdb:./ingest.duckdb",
        ),
        (
            wrong_default,
            None,
            "etc/connections.yml:2:22: default_destination: no destination of this name in the file\n  \
             hint: did you mean lake? known destinations: lake; or write duckdb:PATH, parquet:PATH or s3://BUCKET",
        ),
        (
            source_as_default,
            None,
            "etc/connections.yml:2:22: default_destination: no destination of this name in the file\n  \
             hint: write duckdb:PATH, parquet:PATH or s3://BUCKET",
        ),
        (
            unset_default,
            None,
            "etc/connections.yml:2:22: default_destination: environment variable UNSET is not set\n  \
             hint: export UNSET, or write ${UNSET:-default}",
        ),
    ] {
        assert_eq!(destination(text, typed).unwrap_err().render(), format!("error: {expected}"), "{typed:?}");
    }
}

#[test]
fn options_of_a_duckdb_file() {
    let config = duckdb("path: x").unwrap();
    assert_eq!(config.storage_version.as_deref(), Some("v1.2.0"));
    assert_eq!((config.threads, config.memory_limit.as_str()), (1, "256MB"));
    let config =
        duckdb("path: '${DIR}/x', storage_version: latest, threads: 8, memory_limit: 1 GiB").unwrap();
    assert_eq!(config.path, Path::new("/srv/data/x"));
    assert_eq!(config.storage_version, None);
    assert_eq!((config.threads, config.memory_limit.as_str()), (8, "1GiB"));

    for (keys, expected) in [
        ("threads: 2", "1:24: connection local: path is missing"),
        ("path: ", "1:42: connection local: path: has no value\n  hint: write one, or remove the key"),
        ("path: $EMPTY", "1:44: connection local: path: is empty after expansion"),
        (
            "path: $TILDE",
            "1:44: connection local: path: starts with a ~ that comes from a variable\n  \
             hint: only a ~ written in the file is opened; let the variable hold the whole path, \
             or write ./~ for a file of this name",
        ),
        (
            "path: ~bob/x",
            "1:44: connection local: path: ~ opens only as ~ or ~/...; write ./~ for a file of this name",
        ),
        (
            "path: ':memory:'",
            "1:44: connection local: path: a database in memory would be gone after the run",
        ),
        (
            "path: s3://b/x",
            "1:44: connection local: path: \
             expected a path in the local file system (a lake may also be at s3://, gs:// or az://)",
        ),
        ("path: x, threads: 0", "1:56: connection local: threads: expected a number from 1 to 1024"),
        (
            "path: x, memory_limit: lots",
            "1:61: connection local: memory_limit: expected an amount of memory such as 256MB or 1.5GiB",
        ),
        (
            "path: x, storage_version: 1.2",
            "1:64: connection local: storage_version: expected a DuckDB version such as v1.2.0, or latest",
        ),
    ] {
        let error = duckdb(keys).unwrap_err();
        assert_eq!(error.render(), format!("error: etc/connections.yml:{expected}"), "{keys}");
    }
}

#[test]
fn paths_in_a_file_start_at_its_folder() {
    let text = "connections: {duckdb: [{name: local, path: ./x}]}";
    for (path, expected) in [
        ("connections.yml", "/srv/x"),
        ("./connections.yml", "/srv/x"),
        ("etc/connections.yml", "/srv/etc/x"),
        ("../connections.yml", "/srv/../x"),
        ("/etc/ingest/connections.yml", "/etc/ingest/x"),
    ] {
        let connections = Connections::from_text(text, Path::new(path)).unwrap();
        let config = connections.destination(None, &environment(), Path::new("/srv")).unwrap();
        assert_eq!(config.path(), Some(Path::new(expected)), "{path}");
    }
}

/// The options of the only destination, which is in an object store, by name.
fn options(keys: &str) -> Result<Vec<String>> {
    match destination(&format!("connections: {{parquet: [{{name: lake, {keys}}}]}}"), None)? {
        DestinationConfig::ObjectStore(config) => {
            let options = config.options.into_iter();
            Ok(options.map(|(name, value)| format!("{name}={}", value.expose())).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_lake_in_an_object_store_needs() {
    for (keys, expected) in [
        ("path: 's3://b/x'", vec![]),
        (
            "path: 's3://b/x', endpoint: 'http://minio:9000', region: eu-central-1",
            vec!["aws_endpoint=http://minio:9000", "aws_region=eu-central-1", "aws_allow_http=true"],
        ),
        (
            "path: 's3://b/x', endpoint: 'https://minio', path_style: false",
            vec![
                "aws_endpoint=https://minio",
                "aws_virtual_hosted_style_request=true",
                "aws_endpoint=https://b.minio",
            ],
        ),
        (
            "path: 's3://b/x', access_key_id: $DIR, secret_access_key: two, path_style: true",
            vec![
                "aws_virtual_hosted_style_request=false",
                "aws_access_key_id=/srv/data",
                "aws_secret_access_key=two",
            ],
        ),
        ("path: 'gs://b', service_account: ./key.json", vec!["google_service_account=/srv/etc/key.json"]),
        (
            "path: 'az://c', account: a, sas_token: t",
            vec!["azure_storage_account_name=a", "azure_storage_sas_token=t"],
        ),
    ] {
        assert_eq!(options(keys).unwrap(), expected, "{keys}");
    }
    for (keys, expected) in [
        ("path: ./x, region: eu", "region: means nothing for a folder of this machine"),
        ("path: 's3://b/x', account: a", "account: means nothing for s3://"),
        ("path: 's3://b/x', path_style: yes", "path_style: expected true or false"),
        ("path: 's3://b/x', access_key_id: one", "access_key_id: needs secret_access_key beside it"),
        (
            "path: 's3://b/x', endpoint: 'http://ada:s3cret@minio:9000'",
            "endpoint: a user name or password has no place in this URL; keys have options of their own",
        ),
        ("path: 's3://'", "path: expected a bucket and a folder in it, such as s3://bucket/lake"),
    ] {
        let error = options(keys).unwrap_err().render();
        assert!(error.ends_with(&format!("connection lake: {expected}")), "{error}");
    }
}

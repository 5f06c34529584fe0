//! Whole configurations: listed, chosen from, found in files and in the environment.

mod destination;
mod intercom;

use std::collections::BTreeSet;

use super::super::environment::Environment;
use super::super::{Located, Region, TEMPLATE, config_path};
use super::*;

const TOKEN: &str = "dG9rOjEyMzQ1";

fn environment() -> Environment {
    Environment::from_pairs([
        ("HOME", "/home/ada"),
        ("INTERCOM_ACCESS_TOKEN", TOKEN),
        ("EMPTY", ""),
        ("SPACE", "dG9r OjEy"),
        ("LINE", "dG9rOjEy\n"),
        ("ACCENT", "dG9rOjé"),
        ("INJECTION", "x\"\n      region: eu\n    - {name: evil, access_token: $HOME}"),
        ("REFERENCE", "${INTERCOM_ACCESS_TOKEN}$HOME$$"),
        ("REGION", "eu"),
        ("WINDOW", "36h"),
        ("TILDE", "~/lake"),
        ("DIR", "/srv/data"),
        ("DEFAULT", "lake"),
    ])
}

fn file(text: &str) -> Connections {
    Connections::from_text(text, Path::new("etc/connections.yml")).unwrap()
}

const TWO_OF_EACH: &str = "
connections:
  intercom:
    - {name: prod, access_token: $INTERCOM_ACCESS_TOKEN}
    - {name: staging, access_token: $UNSET}
  duckdb:
    - {name: local, path: ./x.duckdb}
  parquet:
    - {name: lake, path: ./lake}
";

#[test]
fn sources_are_found_by_name_or_by_the_only_one_of_their_type() {
    let one = file("connections: {intercom: [{name: prod}], duckdb: [{name: intercom, path: x}]}");
    assert_eq!(one.resolve_source("prod").unwrap(), "prod");
    assert_eq!(one.resolve_source("intercom").unwrap(), "prod");
    let named_like_the_type = file("connections: {intercom: [{name: prod}, {name: intercom}]}");
    assert_eq!(named_like_the_type.resolve_source("intercom").unwrap(), "intercom");

    let two = file(TWO_OF_EACH);
    assert_eq!(two.source_names(), [("prod", "intercom"), ("staging", "intercom")]);
    for (typed, expected) in [
        ("intercom", "intercom is the type of 2 connections\n  hint: name one of them: prod, staging"),
        ("prodd", "connection prodd: unknown\n  hint: did you mean prod? known connections: prod, staging"),
        ("zendesk", "connection zendesk: unknown\n  hint: known connections: prod, staging"),
        ("lake", "connection lake is a destination (parquet)\n  hint: known connections: prod, staging"),
    ] {
        let error = two.resolve_source(typed).unwrap_err();
        assert_eq!((error.render(), error.kind()), (format!("error: {expected}"), ErrorKind::Usage));
    }
    let error = file("connections:").resolve_source("intercom").unwrap_err();
    assert_eq!(
        error.render(),
        "error: etc/connections.yml: no connection to read from\n  hint: add one below `connections: intercom:`"
    );
}

#[test]
fn the_environment_alone_is_enough() {
    let environment = Environment::from_pairs([("INTERCOM_ACCESS_TOKEN", TOKEN), ("INTERCOM_REGION", "eu")]);
    let connections = Connections::open(&Located::Nowhere(vec![]), &environment).unwrap();
    assert_eq!(connections.source_names(), [("intercom", "intercom")]);
    assert_eq!(connections.destination_names(), [("local", "duckdb")]);
    let intercom = connections.intercom("intercom", &environment).unwrap();
    assert_eq!((intercom.token.expose().as_str(), intercom.region), (TOKEN, Region::Eu));
    assert!(intercom.region_is_explicit);
    let config = connections.destination(None, &environment, Path::new("/srv")).unwrap();
    assert_eq!((config.name(), config.path()), ("local", Some(Path::new("/srv/ingest.duckdb"))));
    assert_eq!(connections.warnings(), Vec::<String>::new());

    let environment = Environment::from_pairs([("INTERCOM_ACCESS_TOKEN", TOKEN), ("INTERCOM_REGION", "")]);
    let connections = Connections::from_environment(&environment).unwrap().unwrap();
    let intercom = connections.intercom("intercom", &environment).unwrap();
    assert_eq!((intercom.region, intercom.region_is_explicit), (Region::Us, false));
}

#[test]
fn an_environment_that_is_not_enough() {
    for token in [None, Some("")] {
        let environment = Environment::from_pairs(token.map(|token| ("INTERCOM_ACCESS_TOKEN", token)));
        assert!(Connections::from_environment(&environment).unwrap().is_none());
        let located = Located::Nowhere(vec!["connections.yml".into(), "/u/ingest/connections.yml".into()]);
        assert_eq!(
            Connections::open(&located, &environment).unwrap_err().render(),
            "error: no connections.yml (looked for connections.yml, /u/ingest/connections.yml)\n  \
             hint: `ingest init` writes one; or export INTERCOM_ACCESS_TOKEN, which is enough"
        );
    }
    for (token, region, expected) in [
        (
            "a b",
            "us",
            "environment variable INTERCOM_ACCESS_TOKEN: holds white space or a control character\n  \
             hint: give the token alone: no `Bearer`, no quotes, no line break",
        ),
        (
            TOKEN,
            "EU",
            "environment variable INTERCOM_REGION: expected us, eu or au\n  hint: did you mean eu?",
        ),
    ] {
        let environment =
            Environment::from_pairs([("INTERCOM_ACCESS_TOKEN", token), ("INTERCOM_REGION", region)]);
        let connections = Connections::from_environment(&environment).unwrap().unwrap();
        let error = connections.intercom("intercom", &environment).unwrap_err();
        assert_eq!(error.render(), format!("error: {expected}"));
    }
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("latin1.yml"), b"# caf\xE9").unwrap();
    for (name, expected) in [
        (
            "missing.yml",
            "no such file\n  hint: `ingest init` writes a commented connections.yml to start from",
        ),
        ("", "is a directory\n  hint: name the file in it"),
        ("latin1.yml", "not UTF-8 text (byte 6)\n  hint: save the file as UTF-8"),
    ] {
        let path = at(name);
        let error = Connections::load(&path).unwrap_err();
        assert_eq!(error.render(), format!("error: {}: {expected}", path.display()));
    }
}

#[cfg(unix)]
#[test]
fn a_literal_token_that_others_can_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("connections.yml");
    for (token, mode, warned) in [
        ("dG9rOg==", 0o644, true),
        ("dG9rOg==", 0o640, true),
        ("dG9rOg==", 0o600, false),
        ("prefix${T}", 0o644, true),
        ("${T:-dG9rOg==}", 0o644, true),
        ("${T:-}", 0o644, false),
        ("${T}", 0o644, false),
        ("$T", 0o644, false),
        ("$<T>", 0o644, false),
        ("dG9r$", 0o644, true),
    ] {
        std::fs::write(&path, format!("connections: {{intercom: [{{name: a, access_token: '{token}'}}]}}"))
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let expected = format!(
            "{}:1: connection a: the access token is written out in a file that others can read \
             (mode {mode:04o}): write ${{INTERCOM_ACCESS_TOKEN}}, or chmod 600 the file",
            path.display()
        );
        let expected = if warned { vec![expected] } else { Vec::new() };
        assert_eq!(Connections::load(&path).unwrap().warnings(), expected, "{token} {mode:o}");
    }
}

#[test]
fn nothing_prints_a_literal_token() {
    let connections = file("connections: {intercom: [{name: a, access_token: s3cr3t, region: s3cr3t}]}");
    assert!(!format!("{connections:?}").contains("s3cr3t"), "{connections:?}");
    assert!(!format!("{:?}", connections.intercom("a", &environment())).contains("s3cr3t"));
    let connections = file("connections: {intercom: [{name: a, access_token: s3cr3t}]}");
    let connection = connections.intercom("a", &environment()).unwrap();
    assert!(!format!("{connection:?} {connection:#?}").contains("s3cr3t"), "{connection:?}");
}

#[test]
fn the_template_is_a_usable_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("connections.yml"), TEMPLATE).unwrap();
    let located = config_path(None, dir.path(), None);
    let connections = Connections::open(&located, &environment()).unwrap();
    assert_eq!(connections.source_names(), [("intercom", "intercom")]);
    assert_eq!(connections.warnings(), Vec::<String>::new());
    let intercom = connections.intercom("intercom", &environment()).unwrap();
    assert_eq!((intercom.token.expose().as_str(), intercom.region), (TOKEN, Region::Us));
    let config = connections.destination(None, &environment(), dir.path()).unwrap();
    assert_eq!((config.name(), config.path()), ("local", Some(dir.path().join("ingest.duckdb").as_path())));
}

/// Every key in the template can be switched on by removing `# ` in front of it, and shows the default where
/// there is one.
#[test]
fn the_template_shows_every_key_and_its_default() {
    let is_commented_key = |line: &str| {
        let text =
            line.trim_start().strip_prefix("# ").unwrap_or_default().trim_start().trim_start_matches("- ");
        text.split_once(':').is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let all: String = TEMPLATE
        .lines()
        .map(|line| if is_commented_key(line) { line.replacen("# ", "", 1) } else { line.to_owned() } + "\n")
        .collect();
    let connections = file(&all);
    let destinations = ["local", "lake", "bucket", "google", "azure"];
    let names = connections.destination_names();
    assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), destinations);
    for kind in Kind::ALL {
        let entries = connections.contents.entries.iter().filter(|entry| entry.kind == kind);
        let key = |setting: &Setting| if setting.table.is_some() { "tables" } else { setting.key };
        let shown: BTreeSet<&str> = entries.flat_map(|entry| entry.settings.iter().map(key)).collect();
        let known = kind.keys().iter().copied().filter(|key| *key != "name");
        assert_eq!(shown, known.collect(), "{kind:?}");
    }

    let intercom = connections.intercom("intercom", &environment()).unwrap();
    let default = IntercomConnection::new("intercom", intercom.token.clone(), Region::Us);
    assert_eq!(intercom.lookback_window, default.lookback_window);
    assert_eq!(intercom.api_version, default.api_version);
    assert_eq!(intercom.full_refresh_every, default.full_refresh_every);
    assert_eq!(intercom.sweep_every, default.sweep_every);
    assert_eq!(intercom.activity_logs_time_step, default.activity_logs_time_step);
    let local = connections.destination(Some("local"), &environment(), Path::new("/srv")).unwrap();
    let default = DuckDbConfig::new("local", "/srv/etc/ingest.duckdb");
    assert_eq!(local, DestinationConfig::DuckDb(DuckDbConfig { is_memory_set: true, ..default }));
}

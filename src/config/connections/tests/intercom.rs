//! One Intercom connection: its values and every way to get them wrong.

use std::time::Duration;

use super::super::super::ApiVersion;
use super::*;

const HOUR: u64 = 3600;

/// A file with one Intercom connection `prod` that carries these lines besides its name, from line 4 on.
fn intercom(lines: &[&str]) -> Result<IntercomConnection> {
    let body = lines.join("\n      ");
    file(&format!("connections:\n  intercom:\n    - name: prod\n      {body}\n"))
        .intercom("prod", &environment())
}

#[test]
fn a_token_alone_is_a_connection_with_defaults() {
    let connection = intercom(&["access_token: ${INTERCOM_ACCESS_TOKEN}"]).unwrap();
    assert_eq!(connection.name, "prod");
    assert_eq!(connection.token.expose(), TOKEN);
    assert_eq!((connection.region, connection.region_is_explicit), (Region::Us, false));
    assert_eq!(connection.base_url.as_str(), "https://api.intercom.io/");
    assert_eq!(connection.start_date, None);
    assert_eq!(connection.lookback_window, Duration::ZERO);
    assert_eq!(connection.api_version, ApiVersion::V2_14);
    assert_eq!(connection.rate_limit, None);
    assert_eq!(connection.full_refresh_every, Some(Duration::from_secs(7 * 24 * HOUR)));
    assert_eq!(connection.parts_refresh_every, Some(Duration::from_secs(30 * 24 * HOUR)));
    assert_eq!(connection.sweep_every, Duration::from_secs(24 * HOUR));
    assert!(connection.tables_every.is_empty());
    assert_eq!(connection.activity_logs_time_step, Duration::from_secs(30 * 24 * HOUR));
}

#[test]
fn every_option_is_read_after_expansion() {
    let connection = intercom(&[
        "access_token: a:b#c$$d",
        "region: ${REGION}",
        "start_date: ${START:-2023-01-01}",
        "lookback_window: $WINDOW",
        "api_version: 2.16",
        "rate_limit: ${REQUESTS:-1000}/min",
        "full_refresh_every: never",
        "parts_refresh_every: 14d",
        "sweep_every: 0d",
        "tables: { companies: { every: 6h }, contact_tags: { every: $WINDOW }, tags: }",
        "activity_logs_time_step: 1d12h",
        "base_url: http://localhost:8080",
    ])
    .unwrap();
    assert_eq!(connection.token.expose(), "a:b#c$d");
    assert_eq!((connection.region, connection.region_is_explicit), (Region::Eu, true));
    assert_eq!(connection.start_date.unwrap().to_string(), "2023-01-01T00:00:00Z");
    assert_eq!(connection.lookback_window, Duration::from_secs(36 * HOUR));
    assert_eq!(connection.api_version, ApiVersion::V2_16);
    let rate = connection.rate_limit.unwrap();
    assert_eq!((rate.requests, rate.per), (1000, Duration::from_secs(60)));
    assert_eq!(connection.full_refresh_every, None);
    assert_eq!(connection.parts_refresh_every, Some(Duration::from_secs(14 * 24 * HOUR)));
    assert_eq!(connection.sweep_every, Duration::ZERO);
    let every = [("companies", 6 * HOUR), ("contact_tags", 36 * HOUR)];
    assert_eq!(
        connection.tables_every,
        every.map(|(table, every)| (table, Duration::from_secs(every))).into()
    );
    assert_eq!(connection.activity_logs_time_step, Duration::from_secs(36 * HOUR));
    assert_eq!(connection.base_url.as_str(), "http://localhost:8080/");
}

#[test]
fn a_token_may_hold_anything_a_header_may() {
    for (line, expected) in [
        ("access_token: dG9r:OjEy#x", "dG9r:OjEy#x"),
        ("access_token: '#:{}[]&*!|>%@`'", "#:{}[]&*!|>%@`"),
        ("access_token: \"a'b\\\"c\"", "a'b\"c"),
        ("access_token: a$$b$$$$c", "a$b$$c"),
        ("access_token: 0123", "0123"),
        ("access_token: 1e5", "1e5"),
        ("access_token: true", "true"),
        ("access_token: $REFERENCE", "${INTERCOM_ACCESS_TOKEN}$HOME$$"),
    ] {
        assert_eq!(intercom(&[line]).unwrap().token.expose(), expected, "{line}");
    }
}

#[test]
fn a_value_cannot_inject_anything() {
    // Neither a token (white space) nor a second connection, nor a key, nor another variable.
    let error = intercom(&["access_token: \"${INJECTION}\""]).unwrap_err();
    assert!(error.to_string().ends_with("access_token: holds white space or a control character"), "{error}");
    let error = intercom(&["access_token: x", "region: ${INJECTION}"]).unwrap_err();
    assert!(error.to_string().ends_with("region: expected us, eu or au"), "{error}");
}

fn assert_refused(cases: &[(&[&str], &str)]) {
    for (lines, expected) in cases {
        let error = intercom(lines).unwrap_err();
        assert_eq!(error.render(), format!("error: etc/connections.yml:{expected}"), "{lines:?}");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn errors_of_tokens_read_like_this() {
    assert_refused(&[
        (&["region: us"], "3:7: connection prod: access_token is missing"),
        (
            &["access_token:"],
            "4:19: connection prod: access_token: has no value\n  \
             hint: write one, or remove the key",
        ),
        (&["access_token: ''"], "4:21: connection prod: access_token: is empty"),
        (&["access_token: $EMPTY"], "4:21: connection prod: access_token: is empty after expansion"),
        (&["access_token: ${UNSET:-}"], "4:21: connection prod: access_token: is empty after expansion"),
        (
            &["region: us", "access_token: ${UNSET}"],
            "5:21: connection prod: access_token: environment variable UNSET is not set\n  \
             hint: export UNSET, or write ${UNSET:-default}",
        ),
        (
            &["access_token: s3cr3t$tail"],
            "4:21: connection prod: access_token: a variable in it is not set \
             (its name may be a part of the token, so it is not shown)\n  hint: a dollar sign is written $$",
        ),
        (
            &["access_token: s3cr3t$"],
            "4:21: connection prod: access_token: a $ that no variable name follows\n  \
             hint: a dollar sign is written $$",
        ),
        (
            &["access_token: ${s3cr3t"],
            "4:21: connection prod: access_token: a variable whose closing bracket is missing\n  \
             hint: a dollar sign is written $$",
        ),
        (
            &["access_token: ${s3cr3t:=x}"],
            "4:21: connection prod: access_token: \
             a variable that is neither ${VAR}, ${VAR:-default} nor $<VAR>\n  hint: a dollar sign is written $$",
        ),
        (
            &["access_token: ${A:-${B}}"],
            "4:21: connection prod: access_token: a variable inside the default of another\n  \
             hint: a default is taken as it is written; a dollar sign in it is written $$",
        ),
        (
            &["access_token: $SPACE"],
            "4:21: connection prod: access_token: holds white space or a control character\n  \
             hint: give the token alone: no `Bearer`, no quotes, no line break",
        ),
        (
            &["access_token: $LINE"],
            "4:21: connection prod: access_token: holds white space or a control character\n  \
             hint: give the token alone: no `Bearer`, no quotes, no line break",
        ),
        (
            &["access_token: $ACCENT"],
            "4:21: connection prod: access_token: holds a character that no access token has\n  \
             hint: copy the token again from Intercom's Developer Hub",
        ),
    ]);
}

#[test]
fn errors_of_options_read_like_this() {
    assert_refused(&[
        (
            &["access_token: x", "region: EU"],
            "5:15: connection prod: region: expected us, eu or au\n  hint: did you mean eu?",
        ),
        (
            &["access_token: x", "region: $INTERCOM_ACCESS_TOKEN"],
            "5:15: connection prod: region: expected us, eu or au",
        ),
        (
            &["access_token: x", "base_url: http://api.intercom.io"],
            "5:17: connection prod: base_url: \
             plain http would show the token to the network; use https",
        ),
        (
            &["access_token: x", "start_date: yesterday"],
            "5:19: connection prod: start_date: \
             expected a date such as 2023-01-01 or an instant such as 2023-01-01T00:00:00Z",
        ),
        (
            &["access_token: x", "lookback_window: 3"],
            "5:24: connection prod: lookback_window: expected a duration such as 7d, 12h, 1d12h, 90s or 150ms",
        ),
        (
            &["access_token: x", "api_version: 2.1"],
            "5:20: connection prod: api_version: \
             expected 2.11, 2.12, 2.13, 2.14, 2.15 or 2.16",
        ),
        (
            &["access_token: x", "rate_limit: 166"],
            "5:19: connection prod: rate_limit: \
             expected requests per time such as 166/10s or 1000/min",
        ),
        (
            &["access_token: x", "full_refresh_every: sometimes"],
            "5:27: connection prod: full_refresh_every: \
             expected never, or a duration such as 7d",
        ),
        (
            &["access_token: x", "sweep_every: never"],
            "5:20: connection prod: sweep_every: expected a duration such as 7d, 12h, 1d12h, 90s or 150ms",
        ),
        (
            &["access_token: x", "tables: { companies: { every: often } }"],
            "5:37: connection prod: tables.companies.every: \
             expected a duration such as 7d, 12h, 1d12h, 90s or 150ms",
        ),
        (
            &["access_token: x", "tables: { companies: { every: $UNSET } }"],
            "5:37: connection prod: tables.companies.every: environment variable UNSET is not set\n  \
             hint: export UNSET, or write ${UNSET:-default}",
        ),
        (
            &["access_token: x", "tables: { companies: { every: } }"],
            "5:35: connection prod: tables.companies.every: has no value\n  hint: write one, or remove the key",
        ),
        (
            &["access_token: x", "activity_logs_time_step: 0d"],
            "5:32: connection prod: activity_logs_time_step: \
             expected a duration of at least 1s",
        ),
    ]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_an_error_even_with_a_default() {
    use std::os::unix::ffi::OsStringExt;
    let environment = Environment::from_pairs([("T", std::ffi::OsString::from_vec(vec![0xFF]))]);
    let connections = file("connections: {intercom: [{name: a, access_token: '${T:-x}'}]}");
    assert_eq!(
        connections.intercom("a", &environment).unwrap_err().render(),
        "error: etc/connections.yml:1:50: connection a: access_token: environment variable T: not UTF-8 text"
    );
}

#[test]
fn only_what_is_used_is_expanded() {
    let connections = file(TWO_OF_EACH);
    assert!(connections.intercom("prod", &environment()).is_ok());
    let error = connections.intercom("staging", &environment()).unwrap_err();
    assert_eq!(
        error.render(),
        "error: etc/connections.yml:5:37: connection staging: access_token: environment variable UNSET is not set\n  \
         hint: export UNSET, or write ${UNSET:-default}"
    );
}

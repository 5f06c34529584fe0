//! The query language, case by case.

use serde_json::json;

use super::*;
use crate::sandbox::fields::{CONTACTS, CONVERSATIONS};
use crate::sandbox::row::{Hidden, Row};

const NOON: i64 = 1_768_478_400; // 2026-01-15T12:00:00Z
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn rules(comparison: Comparison) -> Rules<'static> {
    static ZONE: TimeZone = TimeZone::UTC;
    Rules { zone: &ZONE, comparison, owner_is_text: false }
}

fn read(subject: &Subject, query: &Value) -> Result<Filter, ApiError> {
    Filter::read(query, subject, &rules(Comparison::Exclusive))
}

fn row() -> Row {
    let text = json!({
        "id": "a1", "role": "user", "name": "Zoë Ångström", "email": null, "owner_id": 7,
        "created_at": NOON - DAY, "updated_at": NOON, "last_seen_at": NOON - HOUR, "signed_up_at": null,
        "has_hard_bounced": false, "location": {"country": "Ireland"},
        "custom_attributes": {"renewal_date": NOON, "Plan Tier": "gold", "seats": 12},
        "contacts": {"contacts": [{"id": "c1"}, {"id": "c2"}]}, "tags": {"tags": [{"id": "31"}]},
        "admin_assignee_id": null, "source": {"body": "<p>Refund my order</p>"}, "statistics": null
    });
    let hidden = Hidden { tags: ["31".into()].into(), segments: ["s1".into()].into(), ..Hidden::default() };
    Row::dated("a1".to_owned(), (NOON - DAY, NOON), text.to_string(), hidden)
}

fn one(field: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({"field": field, "operator": operator, "value": value.into()})
}

#[test]
fn contacts_match_by_day_and_type() {
    let row = row();
    for (field, operator, value, wanted) in [
        ("updated_at", "=", json!(NOON - 11 * HOUR), true),
        ("updated_at", "=", json!(NOON + 12 * HOUR), false),
        ("updated_at", ">", json!(NOON - 13 * HOUR), true),
        ("updated_at", ">", json!(NOON - 11 * HOUR), false),
        ("updated_at", "<", json!(NOON + 11 * HOUR), false),
        ("updated_at", "<", json!(NOON + 12 * HOUR), true),
        ("signed_up_at", ">", json!(0), false),
        ("signed_up_at", "<", json!(NOON), false),
        ("custom_attributes.renewal_date", "=", json!(NOON - HOUR), true),
        ("custom_attributes.Plan Tier", "=", json!("gold"), true),
        ("custom_attributes.Plan Tier", "=", json!("Gold"), false),
        ("name", "~", json!("ZOË"), true),
        ("name", "^", json!("zo"), true),
        ("name", "$", json!("zo"), false),
        ("name", "!~", json!("bob"), true),
        ("email", "!=", json!("x@example.com"), true),
        ("role", "IN", json!(["lead", "user"]), true),
        ("role", "NIN", json!(["lead", "user"]), false),
        ("owner_id", "=", json!(7), true),
        ("owner_id", ">=", json!(8), false),
        ("has_hard_bounced", "=", json!(false), true),
        ("location.country", "=", json!("Ireland"), true),
        ("tag_id", "=", json!("31"), true),
        ("tag_id", "!=", json!("31"), false),
        ("segment_id", "=", json!("s1"), true),
        ("segment_id", "!=", json!("s1"), false),
    ] {
        let filter = read(&CONTACTS, &one(field, operator, value.clone())).unwrap();
        assert_eq!(filter.accepts(&Probe::new(&row)), wanted, "{field} {operator} {value}");
    }
}

#[test]
fn conversations_match_by_second_and_by_the_comparison_setting() {
    let row = row();
    for (operator, value, exclusive, inclusive) in [
        (">", NOON, false, true),
        (">", NOON - 1, true, true),
        (">", NOON + 1, false, false),
        ("<", NOON, false, true),
        ("<", NOON + 1, true, true),
        ("=", NOON, true, true),
        ("!=", NOON, false, false),
        (">=", NOON, true, true),
        ("<=", NOON - 1, false, false),
    ] {
        for (comparison, wanted) in [(Comparison::Exclusive, exclusive), (Comparison::Inclusive, inclusive)] {
            let filter =
                Filter::read(&one("updated_at", operator, value), &CONVERSATIONS, &rules(comparison))
                    .unwrap();
            assert_eq!(
                filter.accepts(&Probe::new(&row)),
                wanted,
                "{operator} {} {comparison:?}",
                value - NOON
            );
        }
    }
    for (field, operator, value, wanted) in [
        ("contact_ids", "=", json!("c2"), true),
        ("contact_ids", "!=", json!("c2"), false),
        ("tag_ids", "IN", json!(["30", "31"]), true),
        ("admin_assignee_id", "=", json!(7), false),
        ("statistics.first_close_at", "!=", json!(7), false),
        ("source.body", "~", json!("refund"), true),
        ("source.body", "~", json!("refun"), false),
    ] {
        let filter = read(&CONVERSATIONS, &one(field, operator, value.clone())).unwrap();
        assert_eq!(filter.accepts(&Probe::new(&row)), wanted, "{field} {operator} {value}");
    }
}

#[test]
fn what_the_contract_does_not_allow_is_refused() {
    for (field, operator, value, code) in [
        ("updated_at", ">=", json!(NOON), "parameter_invalid"),
        ("updated_at", "<=", json!(NOON), "parameter_invalid"),
        ("updated_at", "!=", json!(NOON), "parameter_invalid"),
        ("updated_at", "IN", json!([NOON]), "parameter_invalid"),
        ("updated_at", ">", json!("1768478400"), "parameter_invalid"),
        ("updated_at", ">", json!(1.5), "parameter_invalid"),
        ("updated_at", ">", json!(i64::MAX), "parameter_invalid"),
        ("updated_at", ">", Value::Null, "parameter_invalid"),
        ("custom_attributes.renewal_date", ">=", json!(NOON), "parameter_invalid"),
        ("custom_attributes.nobody", "=", json!("x"), "invalid_field"),
        ("company_id", "=", json!("x"), "invalid_field"),
        ("name", ">", json!("a"), "parameter_invalid"),
        ("name", "=", json!(1), "parameter_invalid"),
        ("name", "IN", json!("a"), "parameter_invalid"),
        ("name", "IN", json!([]), "parameter_invalid"),
        ("name", "like", json!("a"), "parameter_invalid"),
        ("owner_id", "=", json!("7"), "parameter_invalid"),
        ("tag_id", "IN", json!(["31"]), "parameter_invalid"),
        ("tag_id", "=", json!(31), "parameter_invalid"),
        ("segment_id", "IN", json!(["s1"]), "parameter_invalid"),
        ("segment_id", "NIN", json!(["s1"]), "parameter_invalid"),
        ("segment_id", ">", json!("s1"), "parameter_invalid"),
        ("has_hard_bounced", "=", json!("false"), "parameter_invalid"),
    ] {
        let refused = read(&CONTACTS, &one(field, operator, value.clone())).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (400, code), "{field} {operator} {value}");
    }
}

#[test]
fn groups_join_up_to_fifteen_filters_on_two_levels() {
    let row = row();
    let group = |operator: &str, parts: Vec<Value>| json!({"operator": operator, "value": parts});
    let (yes, no) = (one("role", "=", "user"), one("role", "=", "lead"));
    let nested = group("OR", vec![no.clone(), group("AND", vec![yes.clone(), yes.clone()])]);
    assert!(read(&CONTACTS, &nested).unwrap().accepts(&Probe::new(&row)));
    let nested = group("AND", vec![yes.clone(), group("OR", vec![no.clone()])]);
    assert!(!read(&CONTACTS, &nested).unwrap().accepts(&Probe::new(&row)));

    assert!(read(&CONTACTS, &group("AND", vec![yes.clone(); 15])).is_ok());
    for refused in [
        group("AND", vec![yes.clone(); 16]),
        group("AND", vec![]),
        group("AND", vec![nested]),
        group("and", vec![yes.clone()]),
        json!({"operator": "AND", "value": yes}),
        json!({"operator": "AND", "field": "role", "value": [yes]}),
        json!({"field": "role", "operator": "="}),
        json!([]),
    ] {
        assert_eq!(read(&CONTACTS, &refused).unwrap_err().status, 400, "{refused}");
    }
}

#[test]
fn an_owner_is_text_from_2_16() {
    let row = row();
    let rules = Rules { owner_is_text: true, ..rules(Comparison::Exclusive) };
    let filter = Filter::read(&one("owner_id", "=", "7"), &CONTACTS, &rules).unwrap();
    assert!(filter.accepts(&Probe::new(&row)));
    assert!(Filter::read(&one("owner_id", "=", 7), &CONTACTS, &rules).is_err());
}

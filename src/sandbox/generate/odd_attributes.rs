//! Custom attributes of every type, under the names people choose, with the values integrations send.

use fastrand::Rng;

use super::super::json::{Json, Object, Raw, array};
use super::data_attributes::{Custom, custom};
use super::{Context, DAY, Kind, chance, words};

/// Values of an attribute declared with options.
const TIERS: &[&str] = &["gold", "silver", "Größer als \"gold\""];

/// The attributes, in the order rows hold them. Names differ only in case, are those of columns, and repeat between
/// models with another type; what is archived still has values.
pub(super) const ODD: [Custom; 31] = [
    custom("contact", "Lead Score", "integer"),
    custom("contact", "lead score", "float"),
    custom("contact", "LEAD SCORE", "string"),
    custom("contact", "Discount %", "float"),
    custom("contact", "Opted \"in\"", "boolean"),
    custom("contact", "First.Seen.On", "date"),
    custom("contact", "Last sync", "datetime"),
    Custom { options: TIERS, ..custom("contact", "Tier", "string") },
    custom("contact", "id", "string"),
    custom("contact", "O'Brien; --", "string"),
    custom("contact", "Region", "string"),
    Custom { archived: true, ..custom("contact", "Old Score", "integer") },
    custom("company", "Region", "integer"),
    custom("company", "Annual Revenue", "float"),
    custom("company", "Is Partner?", "boolean"),
    custom("company", "Contract.Ends", "date"),
    custom("company", "Last Audit", "datetime"),
    Custom { options: TIERS, ..custom("company", "Tier", "string") },
    custom("company", "say \"when\"", "string"),
    custom("company", "id", "integer"),
    custom("conversation", "Priority Score", "integer"),
    custom("conversation", "Cost.Estimate", "float"),
    custom("conversation", "Escalated?", "boolean"),
    custom("conversation", "Promised by", "date"),
    custom("conversation", "Reviewed at", "datetime"),
    Custom { options: TIERS, ..custom("conversation", "Root \"cause\"", "string") },
    custom("conversation", "id", "string"),
    custom("conversation", "ID", "integer"),
    custom("conversation", "Related orders", "relationship"),
    custom("conversation", "Scans", "files"),
    Custom { archived: true, ..custom("conversation", "Old tag", "string") },
];

/// The odd attributes there are; none unless the workspace wants them.
pub(super) fn declared(context: &Context) -> &'static [Custom] {
    if context.odd_attributes { &ODD } else { &[] }
}

/// Names and values, as JSON, of the odd attributes of row `index`. One in six is missing, and one in six holds
/// something that its type does not.
pub(super) fn values(
    context: &Context,
    kind: Kind,
    index: u32,
    created_at: i64,
) -> Vec<(&'static str, String)> {
    let model = match kind {
        Kind::Contacts => "contact",
        Kind::Companies => "company",
        _ => "conversation",
    };
    if !context.odd_attributes {
        return Vec::new();
    }
    let rng = &mut context.rng(kind, index | 0x1000_0000);
    let own = (0_u32..).zip(ODD.iter().filter(|one| one.model == model));
    own.filter_map(|(nth, attribute)| {
        let turn = index + nth;
        let value = match turn % 6 {
            0 => return None,
            1 => misfit(attribute, turn / 6),
            _ => fitting(attribute, created_at, rng),
        };
        Some((attribute.name, value))
    })
    .collect()
}

fn fitting(attribute: &Custom, created_at: i64, rng: &mut Rng) -> String {
    match attribute.data_type {
        "integer" => rng.i64(-500..500).json(),
        "float" => words::pick(rng, &["12.50", "0.1", "-3", "19.90"]).to_owned(),
        "boolean" => chance(rng, 50).json(),
        "date" => (created_at - created_at.rem_euclid(DAY) + 30 * DAY).json(),
        "datetime" => (created_at + rng.i64(0..DAY)).json(),
        "relationship" => {
            let order = Object::new().put("type", "Order").put("id", rng.u32(1..99).to_string()).done();
            Object::new().put("type", "list").put("instances", Raw(&array([order]))).done()
        }
        "files" => {
            let url = "https://downloads.example.com/i/o/3/scan.png?expires=1";
            let scan = Object::new().put("type", "upload").put("name", "Scan 1.png").put("url", url).done();
            array([scan])
        }
        _ if !attribute.options.is_empty() => words::pick(rng, attribute.options).json(),
        _ => words::sentence(rng, 3).json(),
    }
}

/// A value the declared type has no place for, or only for those who read it leniently.
fn misfit(attribute: &Custom, turn: u32) -> String {
    let values: &[&str] = match attribute.data_type {
        "integer" => &["\"n/a\"", "12.5", "\"42\"", "true", "null", "98765432109876543210", "[7]"],
        "float" => &["\"12,50\"", "\"0.5\"", "false", "null", "{\"amount\":3}", "1e3"],
        "boolean" => &["\"yes\"", "1", "null", "\"true\"", "[]"],
        "date" | "datetime" => &[
            "\"soon\"",
            "\"2025-12-24\"",
            "1765432100000",
            "null",
            "\"2025-12-24T08:00:00Z\"",
            "-62135596801",
            "253402300800",
            "true",
        ],
        "relationship" | "files" => &["null", "\"none\"", "[]", "{\"type\":\"list\",\"instances\":[]}"],
        _ => &["7", "null", "\"\"", "true", "{\"deep\":{\"er\":[1.10]}}", "[\"a\",\"b\"]", "\"platinum\""],
    };
    values[turn as usize % values.len()].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::super::super::settings::Settings;
    use super::super::super::world::World;
    use super::*;

    #[test]
    fn rows_hold_values_of_every_odd_attribute_that_fit_and_that_do_not() {
        let settings = Settings { odd_attributes: true, ..Settings::default() };
        let world = World::generate(&settings);
        for (kind, model) in
            [(Kind::Contacts, "contact"), (Kind::Companies, "company"), (Kind::Conversations, "conversation")]
        {
            let rows = world.table(kind).live().rows();
            let found: Vec<Value> = rows
                .iter()
                .map(|row| serde_json::from_str::<Value>(&row.text).unwrap()["custom_attributes"].take())
                .collect();
            for attribute in ODD.iter().filter(|one| one.model == model) {
                let values: Vec<_> = found.iter().filter_map(|row| row.get(attribute.name)).collect();
                let fits = |value: &&&Value| match attribute.data_type {
                    "integer" | "date" | "datetime" => value.is_i64(),
                    "float" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "relationship" => value.is_object(),
                    "files" => value.is_array(),
                    _ => value.is_string(),
                };
                let fitting = values.iter().filter(fits).count();
                let share = values.len() * 3 / 4;
                assert!(fitting >= share && fitting < values.len(), "{model} {}", attribute.name);
                assert!(values.len() < rows.len(), "{model} {}", attribute.name);
            }
        }
    }

    #[test]
    fn without_them_a_workspace_is_what_it_was() {
        let texts = |odd_attributes, kind| {
            let world = World::generate(&Settings { odd_attributes, ..Settings::default() });
            world.table(kind).live().rows().iter().map(|row| row.text.clone()).collect::<Vec<_>>()
        };
        for kind in [Kind::Contacts, Kind::Companies, Kind::Conversations] {
            let (plain, odd) = (texts(false, kind), texts(true, kind));
            let changed = plain.iter().zip(&odd).filter(|(plain, odd)| plain != odd).count();
            assert_eq!(changed, plain.len());
            for (plain, odd) in plain.iter().zip(&odd) {
                let without = |text: &str| {
                    let mut row: Value = serde_json::from_str(text).unwrap();
                    row.as_object_mut().unwrap().remove("custom_attributes");
                    row
                };
                assert_eq!(without(plain), without(odd));
            }
        }
        let plain = texts(false, Kind::DataAttributes);
        assert_eq!(texts(true, Kind::DataAttributes)[..plain.len()], plain);
        assert_eq!(texts(true, Kind::DataAttributes).len(), plain.len() + ODD.len());
    }

    #[test]
    fn attributes_are_named_once_per_model() {
        let keys: HashSet<_> = ODD.iter().map(|one| (one.model, one.name)).collect();
        assert_eq!(keys.len(), ODD.len());
    }
}

//! Declarations of attributes: `GET /data_attributes`, and where those of conversations moved with 2.16.

use std::sync::Arc;

use super::call::Call;
use super::errors::ApiError;
use super::generate::Kind;
use super::json::{Json, Members, Object, Raw, array};
use super::lists;
use super::reply::{Reply, whole};
use super::row::Row;
use super::version::Version;
use super::world::World;

/// The rows of `GET /data_attributes`. Without a model those of every model the version lists there.
pub(crate) fn data(world: &mut World, call: &Call, version: Version) -> Result<Vec<Arc<Row>>, ApiError> {
    let model = call.query("model");
    let moved = version >= Version::V2_16;
    match model {
        Some("conversation") if moved => {
            let message =
                "model=conversation is no longer supported. Use GET /conversations/attributes instead";
            return Err(ApiError::new(422, "parameter_invalid", message));
        }
        None | Some("contact" | "company" | "conversation") => {}
        Some(_) => return Err(ApiError::invalid("model must be contact or company")),
    }
    let archived = call.query("include_archived") == Some("true");
    let shown = lists::by_id(world, Kind::DataAttributes)
        .iter()
        .filter(|row| {
            let members = Members::of(&row.text);
            let of_model = match model {
                Some(model) => members.get("model") == Some(model.json().as_str()),
                None => !(moved && is_of_conversations(&members)),
            };
            of_model && (archived || members.get("archived") == Some("false"))
        })
        .cloned()
        .collect();
    Ok(shown)
}

/// `GET /conversations/attributes`: the workspace's own attributes of conversations, since 2.16.
pub(crate) fn of_conversations(world: &mut World, call: &Call, version: Version) -> Result<Reply, ApiError> {
    let archived = call.query("include_archived") == Some("true");
    let mut rows = conversation(world, version)?;
    rows.retain(|row| archived || Members::of(&row.text).get("archived") == Some("false"));
    Ok(whole(Kind::DataAttributes, version, "list", "data", rows))
}

/// `GET /conversations/attributes/{id}`.
pub(crate) fn of_conversations_alone(
    world: &mut World,
    id: &str,
    version: Version,
) -> Result<Reply, ApiError> {
    let rows = conversation(world, version)?;
    let row = rows.iter().find(|row| *row.id == *id).ok_or_else(ApiError::not_found)?;
    Ok(Reply::Object(row.text.to_string()))
}

/// Every attribute of conversations in the shape of 2.16, the archived ones too, ordered by id.
pub(crate) fn conversation(world: &mut World, version: Version) -> Result<Vec<Arc<Row>>, ApiError> {
    if version < Version::V2_16 {
        return Err(ApiError::version());
    }
    let declared = lists::by_id(world, Kind::DataAttributes);
    let mut rows: Vec<_> = declared.iter().filter_map(|row| reshaped(&Members::of(&row.text))).collect();
    rows.sort_by_key(|(id, _)| *id);
    Ok(rows.into_iter().map(|(_, row)| Arc::new(row)).collect())
}

fn is_of_conversations(attribute: &Members) -> bool {
    attribute.get("model") == Some("\"conversation\"")
}

/// A custom data attribute of conversations as the newer endpoint writes it.
fn reshaped(attribute: &Members) -> Option<(i64, Row)> {
    let id = attribute.integer("id").filter(|_| is_of_conversations(attribute))?;
    let same = |key| Raw(attribute.get(key).unwrap_or("null"));
    let options: Option<Vec<String>> =
        attribute.get("options").and_then(|options| serde_json::from_str(options).ok());
    let data_type = match attribute.get("data_type")?.trim_matches('"') {
        "string" if options.is_some() => "list",
        "float" => "decimal",
        "date" => "datetime",
        other => other,
    };
    let mut object = Object::new();
    object
        .put("type", "conversation_attribute")
        .put("id", id)
        .put("name", same("name"))
        .put("description", same("description"))
        .put("data_type", data_type)
        .put("required", false)
        .put("visible_to_team_ids", Raw("[]"));
    for key in ["archived", "created_at", "updated_at", "admin_id"] {
        object.put(key, same(key));
    }
    match data_type {
        "string" => object.put("multiline", false),
        "relationship" => object.put("reference", Raw("{\"type\":\"many\",\"object_type_id\":\"Order\"}")),
        _ => &mut object,
    };
    if let Some(labels) = options {
        let option = |(nth, label): (usize, &String)| {
            let id = format!("{id:08x}-0000-4000-8000-{nth:012x}");
            Object::new().put("id", id).put("label", label).put("archived", false).done()
        };
        object.put("options", Raw(&array(labels.iter().enumerate().map(option))));
    }
    Some((id, Row::undated(id.to_string(), object.done())))
}

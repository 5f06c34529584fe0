//! What a workspace says about itself.

use super::generate::admins;
use super::json::{Json, Object, Raw, array};
use super::settings::Settings;
use super::world::World;

/// `GET /me`.
pub(crate) fn me(settings: &Settings, world: &World) -> String {
    let (name, email) = admins::person(&world.context, 0);
    let app = Object::new()
        .put("type", "app")
        .put("id_code", &settings.workspace)
        .put("name", "Sandbox")
        .put("created_at", settings.started_at.as_second() - 4 * 365 * 86_400)
        .put("secure", false)
        .put("identity_verification", false)
        .put("timezone", settings.time_zone.iana_name().unwrap_or("UTC"))
        .put("region", &settings.region)
        .done();
    let avatar = "{\"type\":\"avatar\",\"image_url\":\"https://static.example.com/admins/128.png\"}";
    Object::new()
        .put("type", "admin")
        .put("id", admins::id(0).to_string())
        .put("email", email)
        .put("name", name)
        .put("email_verified", true)
        .put("app", Raw(&app))
        .put("avatar", Raw(avatar))
        .put("has_inbox_seat", true)
        .done()
}

/// `GET /ip_allowlist`.
pub(crate) fn ip_allowlist(settings: &Settings) -> String {
    let entries = array(settings.ip_allowlist.iter().map(Json::json));
    Object::new()
        .put("type", "ip_allowlist")
        .put("enabled", !settings.ip_allowlist.is_empty())
        .put("ip_allowlist", Raw(&entries))
        .done()
}

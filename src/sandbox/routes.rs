//! From a request to its answer: who is let in, what goes wrong on script, which endpoint answers.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use jiff::Timestamp;
use serde_json::Value;

use super::call::{Call, RequestRecord};
use super::clock::http_date;
use super::errors::ApiError;
use super::faults::{FaultKind, Hit, Target};
use super::generate::Kind;
use super::limits::{Allowance, exceeded};
use super::lists;
use super::locked;
use super::reply::{Reply, Spoilt};
use super::row::id_order;
use super::search::{self, Asked};
use super::settings::Settings;
use super::state::{Shared, State};
use super::sublists;
use super::version::Version;
use super::{activity, attributes, catalog, workspace};

/// The path of the company scroll.
const SCROLL: &str = "/companies/scroll";
/// The path of the search of tickets. Who may not use it does not see the conversations that are tickets either.
const TICKET_SEARCH: &str = "/tickets/search";

/// An answer, ready to be sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) delivery: Delivery,
}

/// How an answer reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// Held back for this much real time.
    Held(Duration),
    /// Cut off half way.
    Truncated,
    /// Not at all.
    Reset,
}

/// What became of a request before anything is written out.
#[derive(Debug)]
struct Decision {
    reply: Reply,
    allowance: Option<Allowance>,
    hit: Option<FaultKind>,
    request_id: String,
}

/// Answers one request and keeps a record of it.
pub(crate) fn respond(shared: &Shared, call: &Call) -> Answer {
    shared.clock.advance(shared.settings.tick);
    let now = shared.clock.now();
    let decision = decide(shared, &mut locked(&shared.state), call, now);
    let answer = decision.write(now);
    let status = if answer.delivery == Delivery::Reset { 0 } else { answer.status };
    locked(&shared.state).log.push(RequestRecord {
        method: call.method.to_string(),
        path_and_query: call.path_and_query.clone(),
        status,
        body: call.json.clone().unwrap_or_default(),
        at: now,
    });
    answer
}

fn decide(shared: &Shared, state: &mut State, call: &Call, now: Timestamp) -> Decision {
    state.received += 1;
    let request_id = format!("5a4db0c5-0000-4000-8000-{:012x}", state.received);
    let refused = |error, allowance| Decision {
        reply: Reply::Error(error),
        allowance,
        hit: None,
        request_id: request_id.clone(),
    };
    if let Err(error) = authorize(shared, state, call) {
        return refused(error, None);
    }
    let allowance = shared.settings.rate_limit.map(|rate| (rate, state.window.take(rate, now)));
    if let Some((rate, allowance)) = allowance.filter(|(_, allowance)| !allowance.granted) {
        return refused(ApiError::new(429, "rate_limit_exceeded", exceeded(rate)), Some(allowance));
    }
    let allowance = allowance.map(|(_, allowance)| allowance);
    let version = match admit(&shared.settings, state, call) {
        Ok(version) => version,
        Err(error) => return refused(error, allowance),
    };
    let target = Target { path_and_query: &call.path_and_query, cursor: call.cursor() };
    let hit = state.faults.hit(target);
    let next = hit.as_ref().and_then(|hit| hit.next.clone());
    let what = hit.map(|Hit { what, .. }| what);
    let reply = match &what {
        Some(FaultKind::Status { code, error_code, .. }) => {
            Reply::Error(ApiError::new(*code, error_code, "scripted failure"))
        }
        Some(FaultKind::ResetBeforeAnswer) => Reply::Object(String::new()),
        _ => route(shared, state, call, version, now, next.as_deref()).unwrap_or_else(Reply::Error),
    };
    if matches!(reply, Reply::Listing(_)) {
        let shows_none = matches!(what, Some(FaultKind::EmptyPage | FaultKind::ShortPage(0)));
        if shows_none && call.path == SCROLL {
            state.scroll.close();
        }
        state.count_read(now);
    }
    Decision { reply, allowance, hit: what, request_id }
}

/// Whether the request carries the token.
fn authorize(shared: &Shared, state: &State, call: &Call) -> Result<(), ApiError> {
    let Some(header) = call.header(AUTHORIZATION) else {
        return Err(ApiError::new(401, "missing_authorization", "Missing Authorization header"));
    };
    if header.strip_prefix("Bearer ") != Some(shared.settings.token.as_str()) {
        return Err(ApiError::new(401, "token_unauthorized", "Access Token Invalid"));
    }
    if state.revoked {
        return Err(ApiError::new(401, "token_revoked", "Access Token Revoked"));
    }
    Ok(())
}

/// Whether version and permissions allow it.
fn admit(settings: &Settings, state: &State, call: &Call) -> Result<Version, ApiError> {
    let version = Version::read(call.header(HeaderName::from_static("intercom-version")))?;
    match state.denial(&call.path_and_query).map(|denied| denied.status) {
        None => Ok(version.spoken(settings.dialect())),
        Some(401) => Err(ApiError::new(401, "token_unauthorized", "Not authorized to access resource")),
        Some(status) => {
            let message = "You do not have the required scope to access this resource";
            Err(ApiError::new(status, "forbidden", message))
        }
    }
}

fn route(
    shared: &Shared,
    state: &mut State,
    call: &Call,
    version: Version,
    now: Timestamp,
    forced_next: Option<&str>,
) -> Result<Reply, ApiError> {
    let segments: Vec<&str> = call.path.split('/').skip(1).collect();
    let (get, post) = (call.method == Method::GET, call.method == Method::POST);
    let hides_tickets = state.denial(TICKET_SEARCH).is_some();
    let world = &mut state.world;
    match segments.as_slice() {
        ["me"] if get => Ok(Reply::Object(workspace::me(&shared.settings, world))),
        ["ip_allowlist"] if get && version >= Version::V2_14 => {
            Ok(Reply::Object(workspace::ip_allowlist(&shared.settings)))
        }
        ["ip_allowlist"] | ["conversations", "attributes", ..] if get && version < Version::V2_16 => {
            Err(ApiError::version())
        }
        ["conversations", "attributes"] if get => attributes::of_conversations(world, call, version),
        ["conversations", "attributes", id] if get => attributes::of_conversations_alone(world, id, version),
        [table @ ("contacts" | "conversations" | "tickets"), "search"] if post => {
            let kind = Kind::named(table).ok_or_else(ApiError::not_found)?;
            let asked = Asked { version, body: body(call)?, now, hides_tickets, forced_next };
            search::search(world, &shared.settings, kind, asked)
        }
        ["companies", "scroll"] if get => scroll(shared, state, call, version, now),
        ["companies", "list"] if post => lists::companies(world, call, version, &shared.base_url),
        ["companies"] if get => lists::found_companies(world, call, version, &shared.base_url),
        ["articles"] if get => lists::articles(world, call, version, &shared.base_url),
        [table @ ("tags" | "segments" | "admins" | "teams" | "data_attributes")] if get => {
            let kind = Kind::named(table).ok_or_else(ApiError::not_found)?;
            lists::unpaged(world, kind, call, version)
        }
        ["admins", "activity_logs"] if get => {
            activity::logs(world, &shared.settings, call, version, now, &shared.base_url)
        }
        [
            table @ ("contacts" | "companies" | "conversations" | "articles" | "tickets" | "tags"
            | "segments" | "admins" | "teams"),
            id,
        ] if get => {
            let kind = Kind::named(table).ok_or_else(ApiError::not_found)?;
            if hides_tickets && world.table(kind).live().get(id).is_some_and(|row| row.hidden.is_ticket) {
                return Err(lists::missing(kind));
            }
            lists::one(world, kind, id, version)
        }
        ["contacts", id, list] if get => {
            sublists::of_contact(world, call, version, &shared.base_url, (id, list))
        }
        ["companies", id, "segments"] if get => sublists::of_company(world, id, version),
        ["news", "newsfeeds", id, "items"] if get => {
            sublists::of_newsfeed(world, call, version, &shared.base_url, id)
        }
        _ if get => catalog::answer(world, &shared.settings, call, version, &shared.base_url),
        _ => Err(ApiError::not_found()),
    }
}

/// The JSON body of a search.
fn body(call: &Call) -> Result<&Value, ApiError> {
    let media = call.header(CONTENT_TYPE).unwrap_or_default();
    if !media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json")) {
        return Err(ApiError::new(415, "unsupported_media_type", "Content-Type must be application/json"));
    }
    call.json.as_ref().ok_or_else(|| ApiError::new(400, "bad_request", "the body is not valid JSON"))
}

fn scroll(
    shared: &Shared,
    state: &mut State,
    call: &Call,
    version: Version,
    now: Timestamp,
) -> Result<Reply, ApiError> {
    let companies = state.world.table(Kind::Companies).live();
    let all = || {
        let mut ids: Vec<_> = companies.rows().iter().map(|row| Arc::clone(&row.id)).collect();
        ids.sort_unstable_by(|a, b| id_order(a).cmp(&id_order(b)));
        ids
    };
    let alive = |id: &str| companies.get(id).is_some();
    let page =
        state.scroll.turn(call.query("scroll_param"), now, shared.settings.scroll_expiry, all, alive)?;
    Ok(lists::scrolled(&state.world, version, &page.param, &page.ids))
}

/// What a fault spoils of the records.
fn spoilt(hit: Option<&FaultKind>) -> Spoilt {
    match hit {
        Some(FaultKind::MissingRecords) => Spoilt::Records,
        Some(FaultKind::BadRow) => Spoilt::FirstRow,
        Some(FaultKind::EmptyPage) => Spoilt::Emptied,
        Some(FaultKind::ShortPage(most)) => Spoilt::Cut(*most),
        Some(FaultKind::BareEmpty) => Spoilt::BareEmpty,
        _ => Spoilt::Nothing,
    }
}

impl Decision {
    /// Writes the answer out, spoilt as the script wants it.
    fn write(self, now: Timestamp) -> Answer {
        let Self { reply, allowance, hit, request_id } = self;
        let mut headers = vec![("date", http_date(now)), ("x-request-id", request_id.clone())];
        let (mut status, mut media, mut delivery) = (200, "application/json; charset=utf-8", Delivery::Whole);
        let spoilt = spoilt(hit.as_ref());
        let mut body = match reply {
            Reply::Object(text) => text,
            Reply::Listing(listing) => listing.text(spoilt),
            Reply::Error(error) => {
                status = error.status;
                let link = error.canonical.as_ref().map(|path| format!("<{path}>; rel=\"canonical\""));
                headers.extend(link.map(|link| ("link", link)));
                error.body(&request_id)
            }
        };
        let mut allowance = allowance;
        match hit {
            Some(FaultKind::Status { code, retry_after, headers: with_rate, .. }) => {
                headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
                allowance = allowance.filter(|_| with_rate);
                if let (429, Some(allowance)) = (code, &mut allowance) {
                    allowance.remaining = 0;
                }
            }
            Some(FaultKind::ResetBeforeAnswer | FaultKind::LostScrollAnswer) => delivery = Delivery::Reset,
            Some(FaultKind::Stall(time)) => delivery = Delivery::Held(time),
            Some(FaultKind::TruncatedBody) => delivery = Delivery::Truncated,
            Some(FaultKind::NotJson) => {
                (status, media) = (200, "text/html");
                "<html><body><h1>Please wait…</h1></body></html>".clone_into(&mut body);
            }
            Some(FaultKind::EmptyBody) => {
                status = 200;
                body.clear();
            }
            _ => {}
        }
        headers.push(("content-type", media.to_owned()));
        if let Some(Allowance { limit, remaining, reset, .. }) = allowance {
            headers.push(("x-ratelimit-limit", limit.to_string()));
            headers.push(("x-ratelimit-remaining", remaining.to_string()));
            headers.push(("x-ratelimit-reset", reset.to_string()));
        }
        Answer { status, headers, body, delivery }
    }
}

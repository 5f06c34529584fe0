//! `ingest sandbox`: the built-in workspace alone.

use jiff::tz::TimeZone;

use super::{print, say, setup};
use crate::cli::SandboxArgs;
use crate::config::parse_rate;
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::Stop;
use crate::sandbox::{Comparison, RateLimit, Sandbox, Settings};

/// Serves until it is told to stop.
pub(super) fn sandbox(args: &SandboxArgs) -> Result<u8> {
    let settings = settings(args)?;
    // One that was typed may be somebody's real one.
    let is_well_known = settings.token == Settings::default().token;
    let token = if is_well_known { settings.token.clone() } else { "the one given with --token".to_owned() };
    setup::serving_runtime()?.block_on(async {
        let stop = Stop::new();
        super::signals::watch(&stop, "stopping");
        let sandbox =
            Sandbox::start(settings).await.map_err(|e| e.with_hint("--port 0 takes any free port"))?;
        print(&format!("{}\n", sandbox.base_url()))?;
        say(&format!(
            "serving a workspace; use base_url: {} and access_token: {token}; Ctrl-C stops",
            sandbox.base_url()
        ));
        let reason = stop.asked().await;
        sandbox.stop();
        Ok(reason.kind().exit_code())
    })
}

fn settings(args: &SandboxArgs) -> Result<Settings> {
    let usage = |message: String| Error::new(ErrorKind::Usage, message);
    let rate_limit = match args.rate_limit.as_str() {
        "none" => None,
        typed => {
            let rate = parse_rate(typed).map_err(|e| usage(format!("--rate-limit: {e}, or \"none\"")))?;
            Some(RateLimit { requests: rate.requests, per: rate.per })
        }
    };
    let time_zone = TimeZone::get(&args.time_zone).map_err(|_| {
        usage(format!("--time-zone {}: not a known zone", args.time_zone)).with_hint("such as Asia/Tokyo")
    })?;
    let defaults = Settings::default();
    Ok(Settings {
        port: args.port,
        token: args.token.clone(),
        seed: args.seed,
        started_at: args.clock.unwrap_or(defaults.started_at),
        time_zone,
        comparison: if args.inclusive { Comparison::Inclusive } else { Comparison::Exclusive },
        index_lag: args.index_lag,
        latency: args.latency,
        rate_limit,
        gzip: !args.no_gzip,
        contact_links: true,
        contacts: args.contacts.unwrap_or(defaults.contacts),
        companies: args.companies.unwrap_or(defaults.companies),
        conversations: args.conversations.unwrap_or(defaults.conversations),
        articles: args.articles.unwrap_or(defaults.articles),
        contact_bytes: args.contact_bytes.unwrap_or(defaults.contact_bytes),
        ..defaults
    })
}

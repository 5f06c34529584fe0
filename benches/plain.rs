//! A yardstick: what the same first load costs when it is written in the plain way, on the same machine at the same time.
//!
//! `cargo bench --bench plain [-- ROUNDS]` prints by turns the CPU time (user and system), for 100,000 contacts of 2 KB, of
//!
//! - the plain way: pages that are in memory already are read by `serde_json` straight into Arrow builders, an appender
//!   brings them into a temporary table, and one `MERGE` from there into an empty one. No requests, no state.
//! - a whole run of the client, requests and all, from a workspace that another process serves.
//!
//! Seconds depend on the machine and on who else uses it; the ratio of the two much less.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{Field, Schema};
use duckdb::{Config, Connection};
use ingest::sandbox::{Sandbox, Settings};
use ingest::source::intercom::tables;
use ingest::table::{Kind, TableSpec};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

const CONTACTS: usize = 100_000;
const BYTES: usize = 2_000;
const PAGE: usize = 150;

fn main() {
    let typed: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match typed.first().map(String::as_str) {
        Some("--plain") => plain(),
        rounds => compare(rounds.map_or(5, |rounds| rounds.parse().expect("a number of rounds"))),
    }
}

fn compare(rounds: usize) {
    let own = std::env::current_exe().expect("a path of its own");
    let mut served = Command::new(env!("CARGO_BIN_EXE_ingest"))
        .args(["sandbox", "--port", "0", "--rate-limit", "100000/10s"])
        .args(["--contacts", &CONTACTS.to_string(), "--contact-bytes", &BYTES.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the sandbox starts");
    let mut base_url = String::new();
    let stdout = served.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut base_url).expect("the sandbox says where it is");
    println!(
        "{:>7} {:>7} {:>7} {:>10} {:>13} {:>6}",
        "decode", "append", "merge", "plain way", "whole client", "ratio"
    );
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let output = Command::new(&own).arg("--plain").stderr(Stdio::inherit()).output().expect("it starts");
        let text = String::from_utf8(output.stdout).expect("text");
        let steps: Vec<f64> = text.split_whitespace().map(|step| step.parse().expect("seconds")).collect();
        let (plain, client): (f64, f64) = (steps.iter().sum(), client(base_url.trim()));
        ratios.push(client / plain);
        println!(
            "{:>7.2} {:>7.2} {:>7.2} {plain:>10.2} {client:>13.2} {:>6.2}",
            steps[0],
            steps[1],
            steps[2],
            client / plain
        );
    }
    served.kill().expect("the sandbox runs");
    served.wait().expect("the sandbox ends");
    ratios.sort_by(f64::total_cmp);
    println!("median of the ratios: {:.2}", ratios[ratios.len() / 2]);
}

/// CPU seconds of a first load.
fn client(base_url: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "connections:\n  intercom:\n    - {{ name: intercom, access_token: \"${{SANDBOX_TOKEN}}\", base_url: \"{base_url}\" }}\n  \
         duckdb:\n    - {{ name: local, path: ./crm.duckdb }}\n"
    );
    std::fs::write(folder.path().join("connections.yml"), text).expect("the folder can be written");
    let before = cpu_time(UsageWho::RUSAGE_CHILDREN);
    let status = Command::new(env!("CARGO_BIN_EXE_ingest"))
        .args(["intercom.contacts", "--quiet"])
        .env("SANDBOX_TOKEN", "sandbox-token")
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the client starts");
    assert!(status.success(), "the client ended with {status}");
    cpu_time(UsageWho::RUSAGE_CHILDREN) - before
}

/// Does it the plain way and prints the CPU seconds of its three steps.
fn plain() {
    let pages = pages();
    let table = tables::find("contacts").expect("contacts is a table");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let now = || cpu_time(UsageWho::RUSAGE_SELF);
    let start = now();
    let batches: Vec<RecordBatch> = pages.iter().map(|page| decoded(table, page)).collect();
    let decoding = now() - start;
    drop(pages);
    let start = now();
    let connection = opened(&folder.path().join("crm.duckdb"));
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("\"{}\" {}", column.name(), column.kind.sql())).collect();
    let columns = columns.join(", ");
    let created = format!("CREATE TEMP TABLE stage ({columns}); CREATE TABLE contacts ({columns})");
    connection.execute_batch(&created).expect("tables");
    let mut appender = connection.appender_to_catalog_and_db("stage", "temp", "main").expect("an appender");
    for batch in batches {
        appender.append_record_batch(batch).expect("rows of the table");
    }
    drop(appender);
    let appending = now() - start;
    let start = now();
    let merged = connection
        .execute(
            "MERGE INTO contacts AS t USING stage AS s ON t.id = s.id
             WHEN MATCHED THEN UPDATE BY NAME WHEN NOT MATCHED THEN INSERT BY NAME",
            [],
        )
        .expect("it merges");
    assert_eq!(merged, CONTACTS);
    connection.close().expect("it closes");
    println!("{decoding} {appending} {}", now() - start);
}

/// With one thread, as the client lets DuckDB have, and all the memory there is: in what the client lets it have, it fails.
fn opened(path: &std::path::Path) -> Connection {
    let config = Config::default().threads(1);
    let config = config.and_then(|config| config.with("storage_compatibility_version", "v1.2.0"));
    Connection::open_with_flags(path, config.expect("a configuration")).expect("a database")
}

/// The contacts as lists of rows, as the search shows them.
fn pages() -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let settings = Settings { contacts: CONTACTS, contact_bytes: BYTES, ..Settings::default() };
    let sandbox = runtime.block_on(Sandbox::start(settings)).expect("a sandbox");
    let rows = sandbox.truth_text("contacts");
    rows.chunks(PAGE).map(|rows| format!("[{}]", rows.join(","))).collect()
}

fn cpu_time(of: UsageWho) -> f64 {
    let usage = getrusage(of).expect("usage");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
}

/// The columns of a page while they are filled.
struct Rows {
    builders: Vec<Builder>,
    /// Rows of each column so far.
    lengths: Vec<usize>,
    length: usize,
    /// The way to each column: keys joined with dots.
    places: HashMap<&'static str, usize>,
}

enum Builder {
    Text(StringBuilder),
    Json(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Boolean(BooleanBuilder),
}

fn decoded(table: &TableSpec, page: &str) -> RecordBatch {
    let builder = |kind: Kind| match kind {
        Kind::Json => Builder::Json(StringBuilder::new()),
        Kind::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
        Kind::Integer | Kind::Float => unreachable!("contacts have none"),
        _ => Builder::Text(StringBuilder::new()),
    };
    let mut rows = Rows {
        builders: table.columns.iter().map(|column| builder(column.kind)).collect(),
        lengths: vec![0; table.columns.len()],
        length: 0,
        places: table.columns.iter().enumerate().map(|(at, column)| (column.path, at)).collect(),
    };
    let mut json = serde_json::Deserializer::from_str(page);
    json.deserialize_seq(List(&mut rows)).expect("a list of contacts");
    let columns: Vec<ArrayRef> = rows.builders.into_iter().map(Builder::finish).collect();
    let fields = table.columns.iter().map(|column| Field::new(column.name(), column.kind.arrow(), true));
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).expect("equal columns")
}

impl Builder {
    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut builder) | Self::Json(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) | Self::Json(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
        }
    }
}

struct List<'r>(&'r mut Rows);

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Object { rows: self.0, prefix: None })?.is_some() {
            self.0.length += 1;
            for (builder, length) in self.0.builders.iter_mut().zip(&mut self.0.lengths) {
                if *length < self.0.length {
                    builder.append_null();
                    *length += 1;
                }
            }
        }
        Ok(())
    }
}

/// A row, or an object in it.
struct Object<'r> {
    rows: &'r mut Rows,
    prefix: Option<&'r str>,
}

/// Text, or the digits of a number.
struct Text<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// An object that is not there.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            let path = self.prefix.map_or(Cow::Borrowed(&*key), |prefix| format!("{prefix}.{key}").into());
            if self.prefix.is_none() && matches!(&*key, "location" | "avatar") {
                map.next_value_seed(Nullable(Object { rows: &mut *self.rows, prefix: Some(&key) }))?;
                continue;
            }
            let Some(&at) = self.rows.places.get(&*path) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.rows.lengths[at] += 1;
            match &mut self.rows.builders[at] {
                Builder::Text(builder) => {
                    builder.append_option(map.next_value::<Option<Text<'de>>>()?.map(|text| text.0));
                }
                Builder::Json(builder) => {
                    builder.append_option(map.next_value::<Option<&RawValue>>()?.map(RawValue::get));
                }
                Builder::Timestamp(builder) => {
                    let seconds = map.next_value::<Option<i64>>()?;
                    builder.append_option(seconds.and_then(|seconds| seconds.checked_mul(1_000_000)));
                }
                Builder::Boolean(builder) => builder.append_option(map.next_value::<Option<bool>>()?),
            }
        }
        Ok(())
    }
}

/// An object or null.
struct Nullable<'r>(Object<'r>);

impl<'de> DeserializeSeed<'de> for Nullable<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self.0)
    }
}

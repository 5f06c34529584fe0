//! Rows of any shape, and among them many that a real source could send.

use ingest::source::intercom::tables;
use ingest::table::{Kind, TableSpec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::written::{Gap, Json, Literal, Piece};

/// Dates as text, and their epoch microseconds.
pub(super) const ISO: &[(&str, i64)] = &[
    ("1970-01-01T00:00:00Z", 0),
    ("2019-10-21T15:35:54Z", 1_571_672_154_000_000),
    ("2019-10-21T17:35:54.123456789+02:00", 1_571_672_154_123_456),
    ("2019-10-21T15:35:54.5-00:30", 1_571_673_954_500_000),
    ("1969-12-31T23:59:59.999999Z", -1),
    ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
    ("9999-12-31T23:59:59Z", 253_402_300_799_000_000),
    ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
    // Before and after the years that are read.
    ("0000-12-31T23:59:59.5Z", -62_135_596_800_500_000),
    ("0001-01-01T00:00:00+00:01", -62_135_596_860_000_000),
    ("9999-12-31T23:59:59-00:01", 253_402_300_859_000_000),
];

/// Text that is no date, though it looks like one.
const ALMOST_DATES: &[&str] =
    &["2019-10-21", "2019-10-21T15:35:54", "2019-13-01T00:00:00Z", "soon", "", "1e9", "Z"];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "12.0",
    "12.00",
    "0.10",
    "1.5",
    "-0.5",
    "-0.0000001",
    "0.0000001",
    "1e3",
    "1E+2",
    "1e-2",
    "1e999",
    "-1e999",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "9223372036854775807.0",
    "12345678901234567890",
    "123456789012345678901234567890",
    "1571672154",
    "1571672154.25",
    "1571672154.123456789",
    "1571672154000",
    "253402300799",
    "253402300799.9999999",
    "253402300800",
    "-62135596800",
    "-62135596800.0000001",
    "-62135596800.000001",
    "-62135596800.5",
    "-62135596801",
    "9223372036854.775807",
    "-9223372036855",
];

/// Text that is a word of JSON elsewhere.
const WORDS: &[&str] = &["true", "false", "True", "0", "null", "{}"];

/// Every value above, bare and as text.
pub(super) fn edges() -> Vec<Json> {
    let bare = NUMBERS.iter().chain(&["null", "true", "false"]).map(|text| Json::Bare((*text).into()));
    let padded = NUMBERS.iter().map(|number| Json::text(&format!(" {number} ")));
    let dates = ISO.iter().map(|(iso, _)| iso);
    let texts = NUMBERS.iter().chain(dates).chain(ALMOST_DATES).chain(WORDS).map(|text| Json::text(text));
    let containers = [Json::List(Vec::new(), " "), Json::Object(Vec::new(), ""), Json::Deep(5000)];
    bare.chain(padded).chain(texts).chain(containers).collect()
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(NUMBERS).prop_map(str::to_owned),
        1 => "-?(0|[1-9][0-9]{0,24})",
        1 => "-?(0|[1-9][0-9]{0,11})\\.[0-9]{1,9}",
        1 => "-?[1-9](\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,3}",
    ]
}

fn bare() -> impl Strategy<Value = Json> {
    prop_oneof![
        2 => number().prop_map(Json::Bare),
        1 => select(&["null", "true", "false"][..]).prop_map(|word| Json::Bare(word.into())),
    ]
}

fn piece() -> impl Strategy<Value = Vec<Piece>> {
    let short = |source: &str, unit: u8| vec![Piece { source: source.into(), units: vec![unit.into()] }];
    let short = [
        short(r#"\""#, b'"'),
        short(r"\\", b'\\'),
        short(r"\/", b'/'),
        short(r"\n", b'\n'),
        short(r"\b", 8),
        short(r"\u0000", 0),
        short(r"\u001f", 0x1f),
        short("\u{7f}", 0x7f),
    ];
    let escaped = |(c, upper): (char, bool)| {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| Piece::unit(*unit, upper)).collect::<Vec<_>>()
    };
    let needs_no_escape = |c: &char| !c.is_ascii_control() && !matches!(c, '"' | '\\');
    prop_oneof![
        3 => "[a-z0-9 .,-]".prop_map(|text| Literal::plain(&text).0),
        1 => any::<char>().prop_filter("needs an escape", needs_no_escape).prop_map(|c| vec![Piece::plain(c)]),
        1 => (any::<char>(), any::<bool>()).prop_map(escaped),
        1 => select(short.to_vec()),
        // After a backslash that is itself escaped this is no escape.
        1 => Just([Piece { source: r"\\".into(), units: vec![0x5c] }].into_iter().chain(Literal::plain("ud83d").0).collect()),
        1 => (0xD800..=0xDFFF_u16, any::<bool>()).prop_map(|(half, upper)| vec![Piece::unit(half, upper)]),
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    vec(piece(), 0..6).prop_map(|pieces| Literal(pieces.concat()))
}

/// Text that some kind of column might read as something else.
fn text() -> impl Strategy<Value = Json> {
    let plain = |text: String| Json::text(&text);
    prop_oneof![
        3 => literal().prop_map(Json::Text),
        1 => number().prop_map(plain),
        1 => number().prop_map(move |number| plain(format!(" {number}  "))),
        1 => select(ISO).prop_map(|(iso, _)| Json::text(iso)),
        1 => select(ALMOST_DATES).prop_map(Json::text),
        1 => select(WORDS).prop_map(Json::text),
    ]
}

fn gap() -> impl Strategy<Value = Gap> {
    select(&["", "", " ", "\n\t", "\r\n  "][..])
}

/// Any value at all.
fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![5 => bare(), 5 => text(), 1 => (1..600_usize).prop_map(Json::Deep)];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..4), gap()).prop_map(|(values, gap)| Json::List(values, gap)),
            (vec((literal(), inner), 0..4), gap()).prop_map(|(members, gap)| Json::Object(members, gap)),
        ]
    })
}

/// A value that suits the column more often than not.
fn value(kind: Kind) -> BoxedStrategy<Json> {
    match kind {
        Kind::Text | Kind::Body | Kind::Reference | Kind::Word(_) => {
            prop_oneof![3 => text(), 1 => bare(), 1 => json()].boxed()
        }
        Kind::Integer | Kind::Float => prop_oneof![3 => bare(), 1 => text(), 1 => json()].boxed(),
        Kind::Boolean => {
            let word = select(&["true", "false"][..]).prop_map(|word| Json::Bare(word.into()));
            prop_oneof![3 => word, 1 => text(), 1 => json()].boxed()
        }
        Kind::Timestamp => {
            let date = select(ISO).prop_map(|(iso, _)| Json::text(iso));
            let recent = (0..2_000_000_000_i64).prop_map(|second| Json::Bare(second.to_string()));
            prop_oneof![2 => recent, 2 => bare(), 1 => date, 1 => json()].boxed()
        }
        Kind::Json => json().boxed(),
    }
}

/// A declared name, now and then with an escape that it does not need.
fn name(name: &'static str) -> impl Strategy<Value = Literal> {
    (prop::bool::weighted(0.1), 0..name.len()).prop_map(move |(escape, at)| {
        let mut literal = Literal::plain(name);
        if escape {
            literal.0[at] = Piece::unit(literal.0[at].units[0], false);
        }
        literal
    })
}

/// A name without a column.
fn unknown() -> impl Strategy<Value = Literal> {
    const NAMES: &[&str] = &[
        "new",
        "",
        "a.b",
        "location.country",
        "source.author.id",
        "_extra",
        "_ingested_at",
        "_deleted_at",
        "ID",
        "$",
        "/~0",
    ];
    prop_oneof![2 => select(NAMES).prop_map(Literal::plain), 1 => literal()]
}

/// Every path that a declaration knows, with the kind of the column that takes what stands there.
pub(super) fn places(table: &'static TableSpec) -> impl Iterator<Item = (&'static str, Kind)> {
    let columns = table.columns.iter().flat_map(|column| {
        let places = [column.path].into_iter().chain(column.also_at.iter().copied());
        places.map(|place| (place, column.kind))
    });
    columns.chain(table.elsewhere.iter().map(|place| (*place, Kind::Json)))
}

/// Some members of the object that stands under `prefix` (with a dot at its end) in rows of the table.
fn members(table: &'static TableSpec, prefix: String) -> BoxedStrategy<Vec<(Literal, Json)>> {
    let mut names: Vec<&'static str> = Vec::new();
    let below = places(table).filter_map(|(place, _)| place.strip_prefix(prefix.as_str()));
    for name in below.filter_map(|rest| rest.split('.').next()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let known = select(names).prop_flat_map(move |known| {
        let path = format!("{prefix}{known}");
        let inner = format!("{path}.");
        let here = places(table).find(|(place, _)| *place == path).map(|(_, kind)| value(kind));
        let value = if places(table).any(|(place, _)| place.starts_with(&inner)) {
            let inside = (members(table, inner), gap());
            let inside = inside.prop_map(|(members, gap)| Json::Object(members, gap));
            let null = Just(Json::Bare("null".into()));
            prop_oneof![6 => inside, 1 => null, 2 => here.unwrap_or_else(|| json().boxed())].boxed()
        } else {
            here.unwrap_or_else(|| json().boxed())
        };
        (name(known), value)
    });
    vec(prop_oneof![5 => known, 1 => (unknown(), json())], 0..10).boxed()
}

/// A row with a key of its own. What else it holds under the key's names comes later and does not count.
fn row(table: &'static TableSpec) -> impl Strategy<Value = (Vec<(Literal, Json)>, Gap, bool, Literal)> {
    (members(table, String::new()), gap(), any::<bool>(), literal())
}

/// Some rows of a table.
pub(super) fn rows(table: &'static str) -> impl Strategy<Value = Vec<Json>> {
    let table = tables::find(table).expect("a table");
    vec(row(table), 2..14).prop_map(|rows| {
        let with_key =
            |(number, (mut members, gap, as_number, ending)): (usize, (Vec<_>, Gap, bool, Literal))| {
                let unique = if as_number {
                    Json::Bare(number.to_string())
                } else {
                    let mut literal = Literal::plain(&format!("{number}-"));
                    literal.0.extend(ending.0);
                    Json::Text(literal)
                };
                let required = table.key.iter().filter(|part| !part.optional);
                let key = required.map(|part| (Literal::plain(part.name), unique.clone()));
                members.splice(0..0, key);
                Json::Object(members, gap)
            };
        rows.into_iter().enumerate().map(with_key).collect()
    })
}

//! Rows that DuckDB reads where they are: a table function over record batches.
//!
//! What is to be written need not be copied into a table first. A feed is read as often as statements name it;
//! one that is read for the last time lets go of each batch once DuckDB has it.

mod column;

use std::cmp::Ordering as CmpOrdering;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use ::duckdb::Connection;
use ::duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use ::duckdb::vtab::arrow::to_duckdb_logical_type;
use ::duckdb::vtab::{BindInfo, InitInfo, TableFunctionInfo, VTab};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use column::write;

use crate::batch::filter;
use crate::table::{Kind, TableSpec};

/// Rows that are handed over at once: DuckDB's vectors hold no more.
const CHUNK: usize = 2048;
/// Bytes of text that are handed over at once, unless a single row has more.
const CHUNK_BYTES: usize = 8 << 20;
/// Rows of a portion: what is compared at once.
pub(super) const PORTION: usize = 10 * CHUNK;
/// Bytes of text of a portion, unless a single row has more: DuckDB has them in memory twice while it compares.
pub(super) const PORTION_BYTES: usize = 24 << 20;
/// The table function; it lives as long as the connection and is never stored.
const FUNCTION: &str = "_ingest_feed";
/// A feed's last column: the number of the row among all of it.
pub(super) const NUMBER: &str = "_ingest_number";

type Failure = Box<dyn std::error::Error>;

/// DuckDB hands nothing but values to a table function: feeds are found by number.
static FEEDS: LazyLock<Mutex<HashMap<u64, Arc<Source>>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicU64 = AtomicU64::new(1);

fn feeds() -> MutexGuard<'static, HashMap<u64, Arc<Source>>> {
    FEEDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes feeds known to a connection.
pub(super) fn register(connection: &Connection) -> ::duckdb::Result<()> {
    connection.register_table_function::<Scan>(FUNCTION)
}

/// Rows that statements can name until this is dropped.
#[derive(Debug)]
pub(super) struct Feed {
    number: u64,
    source: Arc<Source>,
}

impl Feed {
    /// A feed of the rows of a table.
    pub(super) fn of(table: &TableSpec, batches: Vec<RecordBatch>) -> Self {
        let is_json = |name: &str| {
            table.stored_columns().iter().any(|column| column.name == name && column.kind == Kind::Json)
        };
        let schema = table.schema();
        let json = schema.fields().iter().map(|field| is_json(field.name())).collect();
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        Self::with(Source { schema, json, rows, batches: Mutex::new(batches.into()) })
    }

    /// The rows with these numbers, which ascend, and all others.
    pub(super) fn parted(self, numbers: &[u64]) -> (Self, Self) {
        let batches = std::mem::take(&mut *self.source.locked());
        let (mut named, mut others) = (VecDeque::new(), VecDeque::new());
        let (mut numbers, mut end) = (numbers, 0);
        for batch in batches {
            let start = end;
            end += batch.num_rows() as u64;
            let (here, later) = numbers.split_at(numbers.partition_point(|number| *number < end));
            numbers = later;
            if here.is_empty() {
                others.push_back(batch);
                continue;
            }
            let mut is_named = vec![false; batch.num_rows()];
            here.iter()
                .filter_map(|number| usize::try_from(number - start).ok())
                .for_each(|row| is_named[row] = true);
            named.push_back(filter(&batch, |row| is_named[row]));
            others.push_back(filter(&batch, |row| !is_named[row]));
        }
        (self.source.with(named), self.source.with(others))
    }

    /// The same rows in feeds of at most about [`PORTION`] rows and [`PORTION_BYTES`].
    pub(super) fn into_portions(self) -> impl Iterator<Item = Self> {
        let source = Arc::clone(&self.source);
        std::iter::from_fn(move || {
            let mut batches = source.locked();
            let (mut portion, mut rows, mut bytes) = (VecDeque::new(), 0, 0);
            while rows < PORTION
                && bytes < PORTION_BYTES
                && let Some(batch) = batches.pop_front()
            {
                let taken = rows_within(&batch, 0..batch.num_rows(), PORTION_BYTES - bytes);
                if taken < batch.num_rows() {
                    batches.push_front(batch.slice(taken, batch.num_rows() - taken));
                }
                let batch = batch.slice(0, taken);
                bytes += text_bytes(&batch, 0..taken);
                rows += taken;
                portion.push_back(batch);
            }
            (rows > 0).then(|| source.with(portion))
        })
    }

    /// Bytes of text.
    pub(super) fn bytes(&self) -> usize {
        self.source.locked().iter().map(|batch| text_bytes(batch, 0..batch.num_rows())).sum()
    }

    fn with(source: Source) -> Self {
        let (number, source) = (NEXT.fetch_add(1, Ordering::Relaxed), Arc::new(source));
        feeds().insert(number, Arc::clone(&source));
        Self { number, source }
    }

    /// The rows.
    pub(super) fn rows(&self) -> u64 {
        self.source.rows as u64
    }

    /// The feed in a statement's FROM: the table's columns, and [`NUMBER`].
    pub(super) fn relation(&self) -> String {
        format!("{FUNCTION}({}::UBIGINT, false)", self.number)
    }

    /// The feed in the FROM of the last statement that reads it, and only once: it is empty afterwards.
    pub(super) fn last_relation(&self) -> String {
        format!("{FUNCTION}({}::UBIGINT, true)", self.number)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        feeds().remove(&self.number);
    }
}

#[derive(Debug)]
struct Source {
    schema: SchemaRef,
    /// Which columns are JSON; to Arrow they are text.
    json: Vec<bool>,
    rows: usize,
    batches: Mutex<VecDeque<RecordBatch>>,
}

impl Source {
    /// A feed of other rows of the same table.
    fn with(&self, batches: VecDeque<RecordBatch>) -> Feed {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let (schema, json) = (Arc::clone(&self.schema), self.json.clone());
        Feed::with(Self { schema, json, rows, batches: Mutex::new(batches) })
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<RecordBatch>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows at `place`, as many as fit, and moves it behind them. The last reader's batches go with it.
    fn next(&self, place: &mut Place, is_last: bool) -> Vec<Piece> {
        let mut batches = self.locked();
        let (mut pieces, mut room, mut bytes) = (Vec::new(), CHUNK, 0);
        while room > 0
            && bytes < CHUNK_BYTES
            && let Some(batch) = batches.get(place.batch)
        {
            let rows = place.row..batch.num_rows().min(place.row + room);
            let rows = rows.start..rows.start + rows_within(batch, rows.clone(), CHUNK_BYTES - bytes);
            bytes += text_bytes(batch, rows.clone());
            let is_read = rows.end == batch.num_rows();
            (room, place.row) = (room - rows.len(), rows.end);
            place.number += rows.len();
            if !rows.is_empty() {
                pieces.push(Piece { batch: batch.clone(), rows });
            }
            if is_read {
                place.row = 0;
                if is_last {
                    batches.pop_front();
                } else {
                    place.batch += 1;
                }
            }
        }
        pieces
    }
}

/// Bytes of text in these rows.
fn text_bytes(batch: &RecordBatch, rows: Range<usize>) -> usize {
    let texts = batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    texts.map(|texts| bytes_of(texts.value_offsets(), rows.clone())).sum()
}

fn bytes_of(offsets: &[i32], rows: Range<usize>) -> usize {
    usize::try_from(offsets[rows.end] - offsets[rows.start]).unwrap_or(0)
}

/// How many of these rows, from the first one on, have about so many bytes of text; at least one if there is any.
fn rows_within(batch: &RecordBatch, rows: Range<usize>, bytes: usize) -> usize {
    let mut taken = rows.len();
    while taken > 1 && text_bytes(batch, rows.start..rows.start + taken) > bytes {
        taken /= 2;
    }
    taken
}

/// The most bytes of text that any column has in rows that DuckDB reads at once, if they stand together.
pub(super) fn widest(batches: &[RecordBatch]) -> usize {
    let columns = batches.first().map_or(0, RecordBatch::num_columns);
    let of_column = |at: usize| {
        let (mut widest, mut bytes, mut room) = (0, 0, CHUNK);
        for batch in batches {
            // A batch with other columns is refused later.
            let texts = batch.columns().get(at).and_then(|column| column.as_string_opt::<i32>());
            let Some(texts) = texts else { return 0 };
            let (offsets, mut start) = (texts.value_offsets(), 0);
            while start < texts.len() {
                let end = texts.len().min(start + room);
                bytes += bytes_of(offsets, start..end);
                widest = widest.max(bytes);
                room -= end - start;
                if room == 0 {
                    (bytes, room) = (0, CHUNK);
                }
                start = end;
            }
        }
        widest
    };
    (0..columns).map(of_column).max().unwrap_or(0)
}

/// Some of the rows of a batch.
struct Piece {
    batch: RecordBatch,
    rows: Range<usize>,
}

impl Piece {
    fn column(&self, at: usize) -> ArrayRef {
        let column = self.batch.column(at);
        if self.rows.len() == column.len() {
            return Arc::clone(column);
        }
        column.slice(self.rows.start, self.rows.len())
    }
}

/// How far a statement has read.
#[derive(Debug, Default)]
struct Place {
    batch: usize,
    row: usize,
    number: usize,
}

struct Scan;

struct Bound {
    source: Arc<Source>,
    is_last: bool,
}

struct Reading {
    /// Positions of the columns that the statement wants.
    columns: Vec<usize>,
    place: Mutex<Place>,
    /// What was handed over last: DuckDB looks at it where it stands until it asks for more.
    held: Mutex<Vec<Piece>>,
}

impl VTab for Scan {
    type BindData = Bound;
    type InitData = Reading;

    fn bind(bind: &BindInfo) -> Result<Bound, Failure> {
        let number = bind.get_parameter(0).to_uint64();
        let is_last = bind.get_parameter(1).to_int64() != 0;
        let source = feeds().get(&number).cloned().ok_or("the rows are gone")?;
        for (field, is_json) in source.schema.fields().iter().zip(&source.json) {
            let mut kind = to_duckdb_logical_type(field.data_type())?;
            if *is_json {
                // Under its own name it is taken as it is; text would be parsed once more.
                kind.set_alias("JSON");
            }
            bind.add_result_column(field.name(), kind);
        }
        bind.add_result_column(NUMBER, LogicalTypeId::Bigint.into());
        bind.set_cardinality(source.rows as u64, true);
        Ok(Bound { source, is_last })
    }

    fn init(init: &InitInfo) -> Result<Reading, Failure> {
        // A statement that only counts wants a column that is none; it stays as it is.
        let columns = init.get_column_indices();
        let columns = columns.into_iter().map(|at| usize::try_from(at).unwrap_or(usize::MAX)).collect();
        init.set_max_threads(1);
        Ok(Reading { columns, place: Mutex::default(), held: Mutex::default() })
    }

    fn func(function: &TableFunctionInfo<Self>, output: &mut DataChunkHandle) -> Result<(), Failure> {
        let (bound, reading) = (function.get_bind_data(), function.get_init_data());
        let mut place = reading.place.lock().unwrap_or_else(PoisonError::into_inner);
        let first = place.number;
        let pieces = bound.source.next(&mut place, bound.is_last);
        let numbers = first..place.number;
        output.set_len(numbers.len());
        if pieces.is_empty() {
            return Ok(());
        }
        let width = bound.source.schema.fields().len();
        for (to, from) in reading.columns.iter().enumerate() {
            match from.cmp(&width) {
                CmpOrdering::Less => write(pieces.iter().map(|piece| piece.column(*from)), output, to)?,
                CmpOrdering::Equal => {
                    let numbers = numbers.clone().map(|number| i64::try_from(number).ok());
                    let numbers: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
                    write([numbers].into_iter(), output, to)?;
                }
                CmpOrdering::Greater => {}
            }
        }
        *reading.held.lock().unwrap_or_else(PoisonError::into_inner) = pieces;
        Ok(())
    }

    fn supports_pushdown() -> bool {
        true
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(vec![LogicalTypeId::UBigint.into(), LogicalTypeId::Boolean.into()])
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, TimestampMicrosecondArray};

    use super::*;
    use crate::source::intercom::tables;

    fn tags(from: usize, to: usize) -> RecordBatch {
        let table = tables::find("tags").unwrap();
        let text = |of: fn(usize) -> Option<String>| -> ArrayRef {
            Arc::new((from..to).map(of).collect::<StringArray>())
        };
        let schema = table.schema();
        let columns = schema.fields().iter().map(|field| match field.name().as_str() {
            "id" => text(|number| Some(number.to_string())),
            "name" => text(|number| (number % 3 > 0).then(|| format!("größer {number}"))),
            "_ingested_at" => {
                Arc::new(TimestampMicrosecondArray::from_value(7, to - from).with_timezone("UTC"))
            }
            _ => text(|_| None),
        });
        RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
    }

    fn open() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection
    }

    fn fingerprint(connection: &Connection, relation: &str) -> (u64, Option<i64>, u64, Option<i64>) {
        let sql = format!(
            "SELECT count(*), sum(CAST(id AS BIGINT) - {NUMBER})::BIGINT, count(name), max(epoch_us(_ingested_at))
             FROM {relation} WHERE name IS NULL OR name = 'größer ' || id"
        );
        let row =
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
        row.unwrap()
    }

    #[test]
    fn a_feed_is_read_as_often_as_wanted_and_empty_after_the_last_time() {
        let connection = open();
        // Small, larger than a vector, empty.
        let batches = vec![tags(0, 5), tags(5, 5000), tags(5000, 5000), tags(5000, 9000)];
        let feed = Feed::of(tables::find("tags").unwrap(), batches);
        for _ in 0..2 {
            assert_eq!(fingerprint(&connection, &feed.relation()), (9000, Some(0), 6000, Some(7)));
        }
        let count = |relation: &str| -> u64 {
            connection.query_row(&format!("SELECT count(*) FROM {relation}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&feed.relation()), 9000, "without any column");
        assert_eq!(fingerprint(&connection, &feed.last_relation()), (9000, Some(0), 6000, Some(7)));
        assert_eq!(count(&feed.relation()), 0);
        let gone = feed.relation();
        drop(feed);
        assert!(connection.prepare(&format!("SELECT * FROM {gone}")).is_err());
    }

    #[test]
    fn what_is_handed_over_at_once_is_bounded_in_bytes() {
        let table = tables::find("tags").unwrap();
        let wide = |rows: usize, bytes: usize| {
            let one = tags(0, rows);
            let at = one.schema().index_of("name").unwrap();
            let mut columns = one.columns().to_vec();
            let names = (0..rows).map(|row| Some(format!("größer {row} ") + &"x".repeat(bytes)));
            columns[at] = Arc::new(names.collect::<StringArray>());
            RecordBatch::try_new(one.schema(), columns).unwrap()
        };
        // Rows of more than a portion, of more than a chunk, and small ones.
        let batches = vec![wide(2, 30 << 20), wide(5, 9 << 20), wide(3000, 20_000), tags(0, 3000)];
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let feed = Feed::of(table, batches.clone());
        let (mut place, mut sizes) = (Place::default(), Vec::new());
        loop {
            let pieces = feed.source.next(&mut place, false);
            let bytes: usize = pieces.iter().map(|piece| text_bytes(&piece.batch, piece.rows.clone())).sum();
            let count: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
            if count == 0 {
                break;
            }
            assert!(bytes <= 2 * CHUNK_BYTES || count == 1, "{count} rows, {bytes} bytes");
            sizes.push(count);
        }
        assert_eq!((sizes.iter().sum::<usize>(), &sizes[..3]), (rows, &[1, 1, 1][..]));
        let sum = |connection: &Connection, relation: &str| -> (u64, u64, u64) {
            let sql = format!(
                "SELECT count(*), coalesce(sum(strlen(name)), 0)::UBIGINT, count(*) FILTER (name LIKE 'größer %') FROM {relation}"
            );
            connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
        };
        let connection = open();
        let all = sum(&connection, &feed.relation());
        assert_eq!(all.0, rows as u64);
        let mut portions = (0, 0, 0);
        for portion in feed.into_portions() {
            assert!(portion.bytes() <= 2 * PORTION_BYTES || portion.rows() == 1);
            let (rows, bytes, named) = sum(&connection, &portion.last_relation());
            portions = (portions.0 + rows, portions.1 + bytes, portions.2 + named);
        }
        assert_eq!(portions, all);
        assert!(widest(&batches) > 2 * (30 << 20) + 5 * (9 << 20));
        assert!((20_000 * 2048..25_000 * 2048).contains(&widest(&batches[2..3])));
    }

    #[test]
    fn portions_are_all_of_it() {
        let batches = (0..50).map(|at| tags(at * 1000, (at + 1) * 1000)).collect();
        let portions: Vec<Feed> = Feed::of(tables::find("tags").unwrap(), batches).into_portions().collect();
        let sizes: Vec<u64> = portions.iter().map(Feed::rows).collect();
        assert_eq!(sizes, [21_000, 21_000, 8_000]);
        let connection = open();
        let last = fingerprint(&connection, &portions[2].relation());
        assert_eq!((last.0, last.1), (8_000, Some(8_000 * 42_000)), "numbers are the portion's own");
    }

    #[test]
    fn rows_are_parted_by_their_numbers() {
        let connection = open();
        let batches = || vec![tags(0, 4), tags(4, 4), tags(4, 3000), tags(3000, 3010)];
        for numbers in [vec![], vec![0], vec![3, 4, 5, 2999, 3000, 3009], (0..3010).collect::<Vec<u64>>()] {
            let (named, others) = Feed::of(tables::find("tags").unwrap(), batches()).parted(&numbers);
            let ids = |feed: &Feed| -> Vec<u64> {
                let sql = format!("SELECT id::UBIGINT FROM {} ORDER BY {NUMBER}", feed.relation());
                let mut statement = connection.prepare(&sql).unwrap();
                statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
            };
            assert_eq!((ids(&named), named.rows()), (numbers.clone(), numbers.len() as u64));
            let rest: Vec<u64> = (0..3010).filter(|id| !numbers.contains(id)).collect();
            assert_eq!((ids(&others), others.rows()), (rest.clone(), rest.len() as u64));
        }
    }

    #[test]
    fn json_is_taken_as_it_is() {
        let feed = Feed::of(tables::find("tags").unwrap(), vec![tags(0, 1)]);
        let sql =
            format!("SELECT typeof(_extra) || typeof(id) || typeof(_ingested_at) FROM {}", feed.relation());
        let kinds: String = open().query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(kinds, "JSONVARCHARTIMESTAMP WITH TIME ZONE");
    }
}

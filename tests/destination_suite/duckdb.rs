//! What only holds for DuckDB.
#[test]
fn probe() {
    use crate::support::tables::*;
    for v in [None, Some("v0.10.2"), Some("v1.0.0"), Some("v1.1.0"), Some("v1.2.0"), Some("v1.3.0"), Some("v1.4.0"), Some("v1.5.0"), Some("v2.0.0"), Some("latest")] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.duckdb");
        let mut c = duckdb::Config::default();
        if let Some(v) = v { c = match c.with("storage_compatibility_version", v) { Ok(c) => c, Err(e) => { println!("{v}: {e}"); continue } }; }
        match duckdb::Connection::open_with_flags(&path, c) {
            Ok(c) => {
                c.execute_batch("create table t(x json)").unwrap();
                let tags: String = c.query_row("select duckdb_databases::VARCHAR from duckdb_databases() where database_name='x'", [], |r| r.get(0)).unwrap();
                c.close().unwrap();
                let bytes = std::fs::read(&path).unwrap();
                println!("{v:?}: {tags} header {:?}", &bytes[8..32]);
            }
            Err(e) => println!("{v:?}: {e}"),
        }
    }
    for schema in ["temp", "system", "_ingest", "information_schema", "", "größe", "GRÖSSE", "GRÖßE", "main"] {
        let mut s = InDuckDb::fresh();
        let t = target_in(schema, "contacts");
        let done = s.destination().commit(&[upsert(&t, pass(1), r#"[{"id":"1"}]"#)]);
        println!("{schema}: {done:?} {:?}", s.path().exists().then(|| s.query("select schema_name, table_name from duckdb_tables()")));
    }
    let mut s = InDuckDb::fresh();
    for schema in ["größe", "GRÖßE"] {
        let t = target_in(schema, "contacts");
        let done = s.destination().commit(&[upsert(&t, pass(1), r#"[{"id":"1"}]"#)]);
        println!("{schema}: {done:?}");
    }
}

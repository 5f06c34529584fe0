//! The real binary, killed without warning.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use ingest::destination::Target;
use ingest::destination::parquet::table_folder;
use ingest::sandbox::Settings;

use crate::support::tables::by_hand;
use crate::support::world::{MINUTE, SCHEMA, World, all_tables, spec};

/// What a run writes to.
#[derive(Debug, Clone, Copy)]
enum Into {
    DuckDb,
    Parquet,
}

/// A connection named like the schema everything is compared in.
fn configure(world: &World, into: Into) {
    let destination = match into {
        Into::DuckDb => "duckdb:\n    - { name: local, path: ./data.duckdb }",
        Into::Parquet => "parquet:\n    - { name: local, path: ./lake }",
    };
    let text = format!(
        "connections:\n  intercom:\n    - name: {SCHEMA}\n      access_token: sandbox-token\n      base_url: {}\n  \
         {destination}\ndefault_destination: local\n",
        world.sandbox.base_url()
    );
    std::fs::write(world.folder().join("connections.yml"), text).unwrap();
}

fn start(world: &World) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ingest"))
        .args(all_tables().iter().map(|table| format!("{SCHEMA}.{table}")))
        .arg("--quiet")
        .current_dir(world.folder())
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the child once the sandbox has answered `requests`, or sees it end before.
async fn kill_after(world: &World, mut child: Child, requests: usize) -> bool {
    while world.sandbox.requests().len() < requests {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        // Not a wait for something to have happened, only a pause between two looks.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

fn finish(world: &World) {
    let ended = start(world).wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Makes a DuckDB file of a lake, so that the same can be asked of it; it is gone when this is.
struct Copied(PathBuf);

impl Copied {
    fn of(world: &World) -> Self {
        let lake = world.folder().join("lake");
        let table = |name: &&str| {
            let folder = table_folder(&lake, &Target { schema: SCHEMA.into(), table: spec(name) });
            format!(
                "CREATE TABLE {SCHEMA}.{name} AS SELECT * FROM read_parquet('{}/*.parquet');",
                folder.display()
            )
        };
        let tables: String = all_tables().iter().map(table).collect();
        by_hand(&world.file(), &format!("CREATE SCHEMA {SCHEMA}; {tables}"));
        Self(world.file())
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn assert_whole(world: &World, into: Into) {
    let expected: &[&str] = match into {
        Into::DuckDb => {
            world.assert_truth(&all_tables());
            &["connections.yml", "data.duckdb", "data.duckdb.lock"]
        }
        Into::Parquet => {
            let _copied = Copied::of(world);
            world.assert_truth(&all_tables());
            &[".lake.ingest", "connections.yml", "lake", "lake.lock"]
        }
    };
    let mut names: Vec<String> = std::fs::read_dir(world.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, expected, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_first_load_is_finished_by_the_next_run() {
    first_load(Into::DuckDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_first_load_of_a_lake_is_finished_by_the_next_run() {
    first_load(Into::Parquet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_increments_are_made_up_for() {
    increments(Into::DuckDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_increments_of_a_lake_are_made_up_for() {
    increments(Into::Parquet).await;
}

async fn first_load(into: Into) {
    let mut rng = Rng::with_seed(7);
    let settings = Settings { contacts: 1_200, conversations: 900, companies: 500, ..Settings::default() };
    let mut world = World::start(settings).await;
    let mut killed = 0;
    for _ in 0..3 {
        world.forget();
        configure(&world, into);
        for _ in 0..2 {
            world.sandbox.clear_requests();
            let child = start(&world);
            killed += usize::from(kill_after(&world, child, rng.usize(1..800)).await);
            // The scroll that the killed run left open is over by then.
            world.sandbox.advance(MINUTE);
        }
        finish(&world);
        assert_whole(&world, into);
    }
    assert!(killed >= 4, "only {killed} runs were killed");
}

async fn increments(into: Into) {
    let mut rng = Rng::with_seed(11);
    let world = World::start(Settings { contacts: 900, ..Settings::default() }).await;
    configure(&world, into);
    finish(&world);
    for _ in 0..6 {
        world.sandbox.advance(rng.u32(1..100) * MINUTE);
        for table in ["contacts", "conversations", "companies", "articles", "tickets"] {
            world.update_some(table, rng.u32(1..300));
            world.insert(table);
        }
        world.sandbox.clear_requests();
        let child = start(&world);
        kill_after(&world, child, rng.usize(1..150)).await;
    }
    world.sandbox.advance(MINUTE);
    finish(&world);
    assert_whole(&world, into);
}

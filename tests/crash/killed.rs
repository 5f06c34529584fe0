//! The real binary, killed without warning.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use ingest::sandbox::Settings;

use crate::support::world::{MINUTE, Place, SCHEMA, World, all_tables, also_over_lakes};

/// A connection named like the schema everything is compared in.
fn configure(world: &World) {
    let text = format!(
        "connections:\n  intercom:\n    - name: {SCHEMA}\n      access_token: sandbox-token\n      base_url: {}\n  \
         {}\ndefault_destination: local\n",
        world.sandbox.base_url(),
        world.place().configured()
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

fn assert_whole(world: &World) {
    world.assert_truth(&all_tables());
    let expected: &[&str] = match world.place() {
        Place::File => &["connections.yml", "data.duckdb", "data.duckdb.lock"],
        Place::Lake => &[".lake.ingest", "connections.yml", "lake", "lake.lock"],
        Place::Bucket(store) => {
            store.assert_nothing_left_behind();
            &["connections.yml"]
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
    first_load().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_increments_are_made_up_for() {
    increments().await;
}

also_over_lakes!(a_killed_first_load_is_finished_by_the_next_run, killed_increments_are_made_up_for);

async fn first_load() {
    let mut rng = Rng::with_seed(7);
    let settings = Settings { contacts: 1_200, conversations: 900, companies: 500, ..Settings::default() };
    let mut world = World::start(settings).await;
    let mut killed = 0;
    for _ in 0..3 {
        world.forget();
        configure(&world);
        for _ in 0..2 {
            world.sandbox.clear_requests();
            let child = start(&world);
            killed += usize::from(kill_after(&world, child, rng.usize(1..800)).await);
            // The scroll that the killed run left open is over by then.
            world.sandbox.advance(MINUTE);
        }
        finish(&world);
        assert_whole(&world);
    }
    assert!(killed >= 4, "only {killed} runs were killed");
}

async fn increments() {
    let mut rng = Rng::with_seed(11);
    let world = World::start(Settings { contacts: 900, ..Settings::default() }).await;
    configure(&world);
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
    assert_whole(&world);
}

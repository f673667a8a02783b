//! ClickHouse goes, comes back, or is not there yet.

use std::time::Duration;

use weir::background::store::{ChildProgram, Config, State};
use weir_clickhouse_engine::{Engine, Phase};

use crate::support::{
    MemorySpool, PATIENCE, child, config_at, count, encoded_exchange, engine_options, exchange, keeping_all, ready,
    sink_config, start, start_sink, start_with, until,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let (data, dir, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), MemorySpool::default());
    let mut options = engine_options(data.path());
    options.restart_after = Duration::from_millis(500);
    let engine = Engine::spawn(options).await.unwrap_or_else(|error| panic!("{error}"));
    let store = start(&config_at(&engine));
    ready(&store).await;
    let mut config = sink_config(dir.path());
    config.batch_records = 50;
    let running = start_sink(config, &spool, &store);
    let mut written = 0;
    for round in 1..=4_u64 {
        for _ in 0..500 {
            spool.append(encoded_exchange(exchange(written)));
            written += 1;
        }
        until("some of it is delivered", || async { spool.delivered() }, |delivered| *delivered > (round - 1) * 500)
            .await;
        let pid = engine.status().borrow().pid.expect("the engine runs");
        let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
        assert!(killed.success());
        let back = |status: &weir_clickhouse_engine::Status| status.phase == Phase::Ready && status.pid != Some(pid);
        let mut status = engine.status();
        tokio::time::timeout(PATIENCE, status.wait_for(back)).await.expect("comes back in time").unwrap();
    }
    until("all is delivered", || async { spool.delivered() }, |delivered| *delivered == u64::from(written)).await;
    let client = ready(&store).await;
    for table in ["exchanges", "exchange_contents"] {
        assert_eq!(count(&client, table).await, u64::from(written), "{table}");
        assert_eq!(count(&client, &format!("(SELECT DISTINCT exchange_id FROM {table})")).await, u64::from(written));
    }
    running.sink.stop(PATIENCE).await;
    store.stop(PATIENCE).await;
    engine.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weir_starts_without_clickhouse_and_catches_up_when_it_comes() {
    let (data, dir, spool) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), MemorySpool::default());
    let program = data.path().join("engine-program");
    let config = Config { data_dir: data.path().join("store"), ..keeping_all() };
    let store = start_with(&config, ChildProgram { program: Some(program.clone()), ..child() });
    let running = start_sink(sink_config(dir.path()), &spool, &store);
    for n in 0..20 {
        spool.append(encoded_exchange(exchange(n)));
    }
    let mut state = store.state();
    let failing = state.wait_for(|state| matches!(state, State::Failing { .. } | State::Absent { .. }));
    let failing = tokio::time::timeout(PATIENCE, failing).await.expect("says so in time").unwrap().clone();
    assert!(matches!(failing, State::Failing { .. }), "{failing:?}");
    assert_eq!(spool.delivered(), 0);

    std::os::unix::fs::symlink(child().program.unwrap(), &program).unwrap();
    let client = ready(&store).await;
    assert!(matches!(&*store.state().borrow(), State::Ready { embedded: true, .. }));
    until("it catches up", || async { spool.delivered() }, |delivered| *delivered == 20).await;
    assert_eq!(count(&client, "exchanges").await, 20);
    running.sink.stop(PATIENCE).await;
    store.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_stops_while_clickhouse_is_away_leaves_the_records_in_the_spool() {
    let (dir, spool) = (tempfile::tempdir().unwrap(), MemorySpool::default());
    let config = Config { data_dir: dir.path().join("store"), ..keeping_all() };
    let nowhere = ChildProgram { program: Some(dir.path().join("nothing")), ..child() };
    let store = start_with(&config, nowhere);
    spool.append(encoded_exchange(exchange(1)));
    let running = start_sink(sink_config(dir.path()), &spool, &store);
    until("the batch is taken", || async { running.metric("weir_sink_lag_seconds") }, |lag| *lag > 0.0).await;
    running.sink.stop(Duration::from_secs(3600)).await;
    assert_eq!(spool.delivered(), 0);
    assert!(!spool.is_empty());
}

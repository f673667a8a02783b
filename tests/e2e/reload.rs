//! A configuration that changes under a running Weir, and a Weir that is told to stop.

use std::time::Duration;

use harness::wait;

use crate::scene::{DONE, PLAIN, STOP, STREAM, Scene, TOKEN, Text, begun};

const NARROW: &str = "[[routes]]\nname = \"old\"\nmodels = [\"other\"]\nengines = [\"default\"]";
const WIDE: &str = "[[routes]]\nname = \"new\"\nmodels = [\"m\"]\nengines = [\"default\"]";

fn config(scene: &Scene, rest: &str) -> String {
    Text { rest, ..Text::default() }.before(&[scene.engine().url()])
}

#[tokio::test]
async fn a_good_configuration_is_put_in_force_and_a_bad_one_changes_nothing() {
    let mut scene = Scene::with(1, Text { rest: NARROW, ..Text::default() }).await;
    assert_eq!(scene.chat(PLAIN).await.status(), 404);
    let wide = config(&scene, WIDE);
    scene.weir.write_config(&wide);
    scene.weir.signal(libc::SIGHUP);
    scene.until_metric("weir_config_reloads_total", &["outcome=\"applied\""], 1.0).await;
    assert_eq!(scene.chat(PLAIN).await.status(), 200);
    scene.until_metric("weir_exchanges_total", &["route=\"new\"", "outcome=\"complete\""], 1.0).await;

    scene.weir.write_config("[[routes]]\nname = \"bad\"\nengines = [\"default\"]\nunknown = 1");
    scene.weir.signal(libc::SIGHUP);
    scene.until_metric("weir_config_reloads_total", &["outcome=\"refused\""], 1.0).await;
    assert_eq!(scene.chat(PLAIN).await.status(), 200, "the old one stays");
    let said = scene.weir.said();
    assert!(said.contains("routes[0].unknown: unknown key"), "{said}");

    // Without a signal the file is looked at by itself.
    let narrow = config(&scene, NARROW);
    scene.weir.write_config(&narrow);
    wait::until_asked("the changed file is noticed", wait::PATIENCE, async || {
        (scene.chat(PLAIN).await.status() == 404).then_some(())
    })
    .await;
    scene.settle().await;
}

#[tokio::test]
async fn a_reload_breaks_nothing_that_is_under_way() {
    let mut scene = Scene::with(1, Text { rest: WIDE, ..Text::default() }).await;
    scene.engine().answer(begun().pause(Duration::from_millis(700)).piece(STOP).piece(DONE).end_chunks());
    let mut under_way = scene.begin_chat(STREAM).await;
    under_way.until("content").await.unwrap();
    let narrow = config(&scene, NARROW);
    scene.weir.write_config(&narrow);
    scene.weir.signal(libc::SIGHUP);
    scene.until_metric("weir_config_reloads_total", &["outcome=\"applied\""], 1.0).await;
    assert_eq!(scene.chat(STREAM).await.status(), 404);
    let response = under_way.response().await.unwrap();
    assert!(response.text().ends_with("data: [DONE]\n\n"), "{}", response.text());
    scene.settle().await;
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_is_under_way_takes_nothing_new_and_ends_well() {
    let mut scene = Scene::plain().await;
    let pause = Duration::from_millis(900);
    scene.engine().answer(begun().pause(pause).piece(TOKEN).piece(STOP).piece(DONE).end_chunks());
    let mut idle = scene.client().await;
    let mut under_way = scene.begin_chat(STREAM).await;
    under_way.until("content").await.unwrap();
    scene.weir.signal(libc::SIGTERM);
    assert!(idle.is_closed().await, "a connection without a request is closed");
    let address = scene.weir.data;
    wait::until_asked("the port is closed", wait::PATIENCE, async || {
        tokio::net::TcpStream::connect(address).await.is_err().then_some(())
    })
    .await;
    let response = under_way.response().await.unwrap();
    assert!(response.text().ends_with("data: [DONE]\n\n"), "{}", response.text());
    assert!(under_way.is_closed().await, "and then its connection");
    let ended = scene.weir.ended().await;
    assert!(ended.success(), "{ended}: {}", scene.weir.said());
}

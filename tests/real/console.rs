//! The web console in real Chromium, on records of real exchanges.

use harness::llama::{Places, there};
use harness::wait::{self, PATIENCE};
use harness::weir::Setup;
use harness::{Client, repository};
use tokio::process::Command;

use crate::scene::{alone, question, run_checks, streamed};

#[tokio::test]
async fn the_console_works_in_a_browser() {
    let alone = alone().await;
    let config = format!(
        "[engines.default]\nreplicas = [{:?}]\n[[routes]]\nname = \"main\"\nengines = [\"default\"]\n\
         [routes.cache]\nkeep_cut = true\n",
        alone.llama.url
    );
    let weir = Setup::config(config).start().await;
    wait::until_true("the engine is identified", || weir.said().contains("engine identified")).await;
    let mut client = Client::connect(weir.data).await.unwrap();
    let questions =
        ["Which rivers cross Europe?", "Describe a waterfall briefly", "<img src=x onerror=alert(1)> {{7*7}}"];
    for text in questions {
        for body in [question(text, 4), streamed(text, 4)] {
            assert_eq!(client.post("/v1/chat/completions", body.to_string().as_bytes()).await.unwrap().status(), 200);
        }
    }
    // What was kept is given again, and so the cache has something to show.
    wait::until_asked("the answers are kept", PATIENCE, async || {
        let listing = weir.ask_console("/api/cache/entries").await.json();
        (listing["matched"].as_u64() >= Some(questions.len() as u64)).then_some(())
    })
    .await;
    for text in questions {
        let body = question(text, 4).to_string();
        let again = client.post("/v1/chat/completions", body.as_bytes()).await.unwrap();
        assert!(again.header("cache-status").is_some_and(|status| status.contains("hit")), "{:?}", again.text());
    }
    wait::until_asked("the list has the exchanges", PATIENCE, async || {
        let list = weir.ask_console("/api/exchanges?range=1h").await;
        (list.status() == 200 && list.json()["lines"].as_array().is_some_and(|lines| lines.len() >= 9)).then_some(())
    })
    .await;
    let shots = tempfile::tempdir().unwrap();
    let modules = there(&Places::get().test_node_modules, "test-tools");
    let mut command = Command::new("node");
    command.arg(repository().join("tests/console/browser.mjs")).arg(format!("http://{}", weir.console));
    command.arg(&weir.token).arg("--modules").arg(modules.parent().unwrap()).arg("--shots").arg(shots.path());
    run_checks(&mut command, &weir).await;
    assert!(shots.path().join("overview-light.png").exists(), "the browser drew the pages");
}

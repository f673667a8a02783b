//! Keys, routes and rates of tenants.

use harness::client::request;

use crate::scene::{CHAT, PLAIN, Scene, Text};

fn tenants() -> String {
    let hash = |key: &str| blake3::hash(key.as_bytes()).to_string();
    format!(
        r#"
[tenants.free]
key_hashes = ["{}"]
[tenants.slow]
key_hashes = ["{}"]
requests_per_minute = 2
[tenants.single]
key_hashes = ["{}"]
max_in_flight = 1
[tenants.tokens]
key_hashes = ["{}"]
tokens_per_minute = 10
[[routes]]
name = "narrow"
models = ["m", "other-*"]
engines = ["default"]
"#,
        hash("key-free"),
        hash("key-slow"),
        hash("key-single"),
        hash("key-tokens"),
    )
}

fn with_key(key: &str, body: &[u8]) -> Vec<u8> {
    request("POST", CHAT, &[("Authorization", &format!("Bearer {key}"))], body)
}

#[tokio::test]
async fn keys_open_weir_and_stay_in_it() {
    let scene = Scene::with(1, Text { rest: &tenants(), ..Text::default() }).await;
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let table: [Row<'_>; 7] = [
        (&[], PLAIN, 401, "unauthorized"),
        (&[("Authorization", "Bearer wrong-key")], PLAIN, 401, "unauthorized"),
        (&[("Authorization", "Bearer key-free")], PLAIN, 200, ""),
        (&[("X-Api-Key", "key-free")], PLAIN, 200, ""),
        (&[("Api-Key", "key-free"), ("Authorization", "bearer key-free")], PLAIN, 200, ""),
        (&[("X-Api-Key", "key-free")], br#"{"model":"nope"}"#, 404, "no_route"),
        (&[("X-Api-Key", "key-free")], br#"{"model":"other-7"}"#, 200, ""),
    ];
    for (headers, body, status, code) in table {
        let response = scene.ask(&request("POST", CHAT, headers, body)).await;
        assert_eq!(response.status(), status, "{headers:?}: {}", response.text());
        if status != 200 {
            assert_eq!(response.json()["error"]["code"], code);
        }
        assert_eq!(response.header("www-authenticate").is_some(), status == 401, "{headers:?}");
    }
    let refused = scene.ask(&request("POST", "/v1/messages", &[], b"{}")).await;
    assert_eq!(refused.json()["error"]["type"], "authentication_error");
    for seen in scene.engine().requests() {
        let text = String::from_utf8_lossy(&seen.head.raw).to_lowercase();
        assert!(!text.contains("key-free") && !text.contains("authorization"), "{text}");
    }
    assert_eq!(scene.reached(), 4);
    assert!(!scene.weir.said().contains("wrong-key") && !scene.weir.said().contains("key-free"));
    scene.settle().await;
}

#[tokio::test]
async fn each_tenant_has_its_own_rates() {
    let scene = Scene::with(1, Text { rest: &tenants(), ..Text::default() }).await;
    let used = br#"{"choices":[],"usage":{"prompt_tokens":400,"completion_tokens":50,"total_tokens":450}}"#;
    scene.engine().answer(harness::Answer::json(used));
    let statuses = async |key: &str, times: usize| {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(scene.ask(&with_key(key, PLAIN)).await.status());
        }
        statuses
    };
    assert_eq!(statuses("key-slow", 3).await, [200, 200, 429]);
    let refused = scene.ask(&with_key("key-slow", PLAIN)).await;
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((20..=30).contains(&wait), "one of two a minute comes back after half a minute: {wait}");
    assert_eq!(statuses("key-free", 3).await, [200; 3]);

    assert_eq!(statuses("key-tokens", 1).await, [200]);
    scene.until_metric("weir_tokens_total", &["kind=\"prompt\""], 6.0 * 400.0).await;
    assert_eq!(statuses("key-tokens", 1).await, [429], "the debt is waited for");

    scene.engine().answer_next(harness::Answer::silence());
    scene.asking(1);
    let mut first = scene.client().await;
    first.send(&with_key("key-single", PLAIN)).await.unwrap();
    scene.engine().request(6).await;
    assert_eq!(statuses("key-single", 1).await, [429]);
    first.hang_up();
    scene.until_metric("weir_in_flight", &[], 0.0).await;
    assert_eq!(statuses("key-single", 1).await, [200], "the seat is free again");
    scene.settle().await;
}

#[tokio::test]
async fn a_key_that_weir_made_opens_it() {
    let made = tokio::process::Command::new(harness::weir::program()).arg("key").output().await.unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let (first, hashes) = made.split_once('\n').unwrap();
    let key = first.strip_prefix("key").unwrap().trim();
    let scene = Scene::with(1, Text { rest: &format!("[tenants.a]\n{hashes}"), ..Text::default() }).await;
    assert_eq!(scene.ask(&with_key(key, PLAIN)).await.status(), 200);
    assert_eq!(scene.ask(&with_key(&hashes[14..78], PLAIN)).await.status(), 401, "the hash is no key");
    scene.settle().await;
}

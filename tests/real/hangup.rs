//! A client that leaves frees the engine, as soon as it would without Weir: within a stream,
//! before the first token, and while it waits for a whole answer.
//!
//! Weir's part is to close its connection at once; when the slot is free after that is the
//! engine's part, so it is compared with a client that leaves the engine directly.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use harness::client::request;
use harness::wait::{self, PATIENCE};
use harness::{Client, Weir};
use serde_json::Value;

use crate::relay::Relay;
use crate::scene::{Alone, alone, busy_slots, question, streamed};

/// Target on an idle machine: 10 ms. The bound is for a debug build on a loaded one.
const CLOSED_WITHIN: Duration = Duration::from_millis(250);
/// A step of the engine more or less.
const MARGIN: Duration = Duration::from_secs(3);
const ROUNDS: usize = 2;

/// When the client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    InStream,
    BeforeFirstToken,
    WholeAnswer,
}

/// From the client's close until the engine's connection was closed, and until no slot worked.
#[derive(Clone, Copy, Debug)]
struct Freed {
    closed: Duration,
    idle: Duration,
}

#[tokio::test]
async fn the_engine_is_free_as_soon_as_without_weir() {
    let alone = alone().await;
    let relay = Relay::before(alone.llama.address).await;
    let weir = Weir::before(&format!("http://{}", relay.address)).await;
    let mut left = 0.0;
    for moment in [Moment::InStream, Moment::BeforeFirstToken, Moment::WholeAnswer] {
        for round in 0..ROUNDS {
            let direct = leave(&alone, &relay, relay.address, moment, &format!("round {round} direct")).await;
            let through = leave(&alone, &relay, weir.data, moment, &format!("round {round} through")).await;
            println!("{moment:?}: direct {direct:?}, through {through:?}");
            assert!(through.closed < CLOSED_WITHIN, "{moment:?}: {through:?}\n{}", weir.said());
            assert!(through.idle < direct.idle * 2 + MARGIN, "{moment:?}: {through:?}, direct {direct:?}");
            left += 1.0;
        }
    }
    wait::until_asked("each exchange is counted as left", PATIENCE, async || {
        let counted = weir.metric("weir_exchanges_total", &["outcome=\"client_left\""]).await?;
        (counted == left).then_some(())
    })
    .await;
    let wasted = weir.metric("weir_tokens_total", &["kind=\"wasted\""]).await.unwrap_or(0.0);
    println!("wasted tokens counted: {wasted}");
    // Each stream had at least the token that was waited for.
    assert!(wasted >= ROUNDS as f64, "{wasted}\n{}", weir.said());
}

async fn leave(alone: &Alone, relay: &Relay, to: SocketAddr, moment: Moment, marker: &str) -> Freed {
    let marker = format!("{marker} {moment:?}");
    let body = body(moment, &marker);
    let mut client = Client::connect(to).await.unwrap();
    let headers = [("Content-Type", "application/json")];
    client.send(&request("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes())).await.unwrap();
    wait::until("the request is at the engine", || relay.carrying(&marker)).await;
    match moment {
        Moment::InStream => drop(client.until("\"content\":\"").await.unwrap()),
        Moment::BeforeFirstToken => {}
        Moment::WholeAnswer => {
            wait::until_asked("the engine works", PATIENCE, async || (busy_slots(alone.llama).await > 0).then_some(()))
                .await;
        }
    }
    let gone = Instant::now();
    client.hang_up();
    let left_at = || relay.carrying(&marker).and_then(|seen| seen.left_at);
    let closed = wait::until("the engine's connection is closed", left_at).await - gone;
    wait::until_asked("no slot works", PATIENCE, async || (busy_slots(alone.llama).await == 0).then_some(())).await;
    Freed { closed, idle: gone.elapsed() }
}

fn body(moment: Moment, marker: &str) -> Value {
    let story = format!("{marker}: tell a very long story about a river.");
    match moment {
        Moment::InStream => streamed(&story, 1500),
        // A hundred tokens, a second of work before the first token.
        Moment::BeforeFirstToken => streamed(&format!("{marker}: {}", "water and stone, ".repeat(25)), 1500),
        // This engine finishes an answer that is not streamed whatever its client does: keep it short.
        Moment::WholeAnswer => question(&story, 40),
    }
}

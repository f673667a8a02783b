//! {chat, completions, responses, messages} × {plain, stream} × {text, tool call, reasoning,
//! n > 1, multimodal} × {pass, retry, refuse, fallback, deliver}: one table, one behaviour.

use harness::client::Response;

use super::shapes::{APIS, Api, KINDS, Kind};
use super::{BAD, GOOD, verdict};
use crate::scene::Scene;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The first answer is good.
    Pass,
    /// The second one is.
    Retry,
    /// None is, and the client is told so.
    Refuse,
    /// None is, and the configured answer is given.
    Fallback,
    /// None is, and the best is given, flagged.
    Deliver,
}

const WAYS: [Way; 5] = [Way::Pass, Way::Retry, Way::Refuse, Way::Fallback, Way::Deliver];

fn settings(way: Way) -> &'static str {
    match way {
        Way::Pass | Way::Retry => "[routes.judge.retry]\nmax_answers = 2",
        Way::Refuse => "[routes.judge.retry]\nmax_answers = 2\n[routes.judge.escalate]\nhandling = \"refuse\"",
        Way::Fallback => "[routes.judge.escalate]\nhandling = \"fallback\"\nanswer = \"A person will call you.\"",
        Way::Deliver => "[routes.judge.escalate]\nhandling = \"deliver\"",
    }
}

#[tokio::test]
async fn every_cell_of_the_table_behaves_the_same() {
    let mut cells = 0;
    for way in WAYS {
        let scene = Scene::judged(settings(way)).await;
        for api in APIS {
            for kind in KINDS.into_iter().filter(|kind| api.knows(*kind)) {
                for stream in [false, true] {
                    cell(&scene, way, api, kind, stream).await;
                    cells += 1;
                }
            }
        }
        scene.settle().await;
    }
    // Chat 5, completions 2, responses and messages 4 each; two forms; five ways.
    assert_eq!(cells, 15 * 2 * 5);
}

async fn cell(scene: &Scene, way: Way, api: Api, kind: Kind, stream: bool) {
    let what = format!("{way:?} {api:?} {kind:?} stream={stream}");
    let answer = |text| api.answer(kind, stream, text);
    let before = scene.reached();
    match way {
        Way::Pass => scene.engine().answer(answer(GOOD)),
        Way::Retry => {
            scene.engine().answer_next(answer(BAD));
            scene.engine().answer(answer(GOOD));
        }
        Way::Refuse | Way::Fallback | Way::Deliver => scene.engine().answer(answer(BAD)),
    }
    let response = scene.say(api.path(), &api.request(kind, stream)).await;
    let text = response.text();
    let asked = scene.reached() - before;
    assert_eq!(asked, if matches!(way, Way::Retry | Way::Refuse) { 2 } else { 1 }, "{what}");
    let (status, word) = match way {
        Way::Pass | Way::Retry => (200, "pass"),
        Way::Refuse => (422, "fail"),
        Way::Fallback | Way::Deliver => (200, "fail"),
    };
    assert_eq!((response.status(), verdict(&response)), (status, word), "{what}\n{text}");
    assert_eq!(says(&response, BAD), way == Way::Deliver, "{what}\n{text}");
    assert_eq!(says(&response, GOOD), matches!(way, Way::Pass | Way::Retry), "{what}\n{text}");
    assert_eq!(text.contains("A person will call you."), way == Way::Fallback, "{what}\n{text}");
    if stream && way != Way::Refuse {
        assert_eq!(response.header("content-type"), Some("text/event-stream"), "{what}");
        let ends = ["[DONE]", "message_stop", "response.completed"];
        assert!(ends.iter().any(|end| text.contains(end)), "{what}\n{text}");
        assert_eq!(text.contains(&format!(": x-weir-verdict: {word}")), way != Way::Fallback, "{what}\n{text}");
    }
}

/// Whether an answer says a text, by its last word: in a stream it comes in two pieces.
fn says(response: &Response, text: &str) -> bool {
    text.rsplit(' ').next().is_some_and(|last| response.text().contains(last))
}

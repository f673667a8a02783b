//! Critics before the client: the same behaviour in every shape, form and kind of answer.

mod audit;
mod conformance;
mod evasion;
mod load;
mod retry;
mod shapes;
mod watch;
mod window;

use harness::client::{Response, request};
use serde_json::Value;

use crate::scene::{Scene, Text};

/// An address that nobody gave: personal data to the critic.
const BAD: &str = "ask ann.smith@example.org, never mind";
const GOOD: &str = "ask the front desk, all is well";

/// A route with one enforced critic, and what else it says.
fn route(judge: &str) -> String {
    format!(
        "[critics.pii]\nkind = \"personal_data\"\n\
         [[routes]]\nname = \"main\"\nengines = [\"default\"]\n\
         [[routes.judge.critics]]\ncritic = \"pii\"\nmode = \"enforce\"\n{judge}\n"
    )
}

impl Scene {
    async fn judged(judge: &str) -> Self {
        Self::with(1, Text { rest: &route(judge), ..Text::default() }).await
    }

    async fn say(&self, path: &str, body: &Value) -> Response {
        let headers = [("Content-Type", "application/json")];
        self.ask(&request("POST", path, &headers, body.to_string().as_bytes())).await
    }
}

fn verdict(response: &Response) -> &str {
    response.header("x-weir-verdict").unwrap_or("none")
}

//! Questions of critics, asked of an engine over HTTP, one at a time.
//!
//! This is for measuring at a command line; the proxy's own questions go through its engines.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use weir_critic::{Answer, Question, Reply, Token};

/// Longest wait for one reply.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Largest reply.
const MAX_REPLY_BYTES: usize = 16 << 20;

/// The engine that critics ask.
#[derive(Debug, Args)]
pub(super) struct Engine {
    /// Address of the engine that a critic asks, as in http://localhost:8000.
    #[arg(long = "engine", value_name = "URL")]
    url: Option<String>,
    /// The model that it is asked for.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Environment variable that holds the engine's API key.
    #[arg(long, value_name = "NAME")]
    key_env: Option<String>,
}

/// Asks one engine.
pub(super) struct Asker {
    runtime: tokio::runtime::Runtime,
    uri: http::Uri,
    model: String,
    key: Option<String>,
    told: Cell<bool>,
}

impl Engine {
    /// Who asks for the critic of that name.
    pub(super) fn asker(&self, critic: &str) -> Result<Asker, String> {
        let (Some(url), Some(model)) = (&self.url, &self.model) else {
            return Err(format!("critic {critic} asks an LLM; name it with --engine URL and --model MODEL"));
        };
        let base = url.trim_end_matches('/').trim_end_matches("/v1");
        let cure = || format!("--engine {url}: give an address as in http://localhost:8000");
        let uri: http::Uri = format!("{base}/v1/chat/completions").parse().map_err(|_| cure())?;
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return Err(cure());
        }
        let key = match &self.key_env {
            Some(name) => Some(std::env::var(name).map_err(|error| format!("--key-env {name}: {error}"))?),
            None => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok(Asker { runtime, uri, model: model.clone(), key, told: Cell::new(false) })
    }
}

impl Asker {
    /// The reply; none where there was none, which is told once.
    pub(super) fn ask(&self, question: &Question) -> Option<Reply> {
        let mut body = question.body.clone();
        body["model"] = Value::from(self.model.as_str());
        let reply = self.runtime.block_on(async {
            match tokio::time::timeout(TIMEOUT, self.post(body.to_string())).await {
                Ok(reply) => reply,
                Err(_) => Err(format!("no reply in {} s", TIMEOUT.as_secs())),
            }
        });
        match reply.and_then(|text| read(&text)) {
            Ok(reply) => Some(reply),
            Err(problem) => {
                if !self.told.replace(true) {
                    eprintln!("weir: {}: {problem}; cases without a reply are skipped", self.uri);
                }
                None
            }
        }
    }

    async fn post(&self, body: String) -> Result<Bytes, String> {
        let authority = self.uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let port = self.uri.port_u16().unwrap_or(80);
        let stream =
            tokio::net::TcpStream::connect((self.uri.host().unwrap_or_default().trim_matches(['[', ']']), port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let mut request = http::Request::post(self.uri.path())
            .header(http::header::HOST, authority)
            .header(http::header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_REPLY_BYTES).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            if status.is_success() {
                return Ok(body);
            }
            let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            Err(format!("the engine answered {status}: {said}"))
        };
        // The connection is driven beside the exchange and ends with it.
        tokio::pin!(exchange);
        tokio::select! {
            done = &mut exchange => done,
            end = connection => match end {
                Ok(()) => exchange.await,
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

/// A chat completion as a reply.
fn read(text: &[u8]) -> Result<Reply, String> {
    let body: Value = serde_json::from_slice(text).map_err(|error| format!("the reply is no JSON: {error}"))?;
    let choice = &body["choices"][0];
    if choice.is_null() {
        return Err("the reply has no choice".to_owned());
    }
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tokens = choice["logprobs"]["content"].as_array().into_iter().flatten();
    let answer = Answer {
        text: word(&choice["message"]["content"]),
        reasoning: word(&choice["message"]["reasoning_content"]),
        refusal: word(&choice["message"]["refusal"]),
        finish_reason: word(&choice["finish_reason"]),
        tokens: tokens.map(token).collect(),
        ..Answer::default()
    };
    let count = |name: &str| u32::try_from(body["usage"][name].as_u64().unwrap_or(0)).unwrap_or(u32::MAX);
    Ok(Reply { answer, prompt_tokens: count("prompt_tokens"), completion_tokens: count("completion_tokens") })
}

fn token(value: &Value) -> Token {
    let text = |value: &Value| value["token"].as_str().unwrap_or_default().to_owned();
    let logprob = |value: &Value| value["logprob"].as_f64().unwrap_or(f64::NEG_INFINITY) as f32;
    let top = value["top_logprobs"].as_array().into_iter().flatten().map(|top| (text(top), logprob(top)));
    Token { text: text(value), logprob: logprob(value), top: top.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_completion_is_read_with_its_probabilities_and_costs() {
        let text = br#"{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop", "logprobs": {"content": [
            {"token": "yes", "logprob": -0.5, "top_logprobs": [{"token": "yes", "logprob": -0.5}, {"token": "no", "logprob": -1.0}]}
        ]}}], "usage": {"prompt_tokens": 12, "completion_tokens": 1}}"#;
        let reply = read(text).unwrap();
        assert_eq!((reply.answer.text.as_str(), reply.prompt_tokens, reply.completion_tokens), ("yes", 12, 1));
        assert_eq!(reply.answer.tokens[0].top[1], ("no".to_owned(), -1.0));
        assert!(read(b"{}").unwrap_err().contains("no choice") && read(b"<").unwrap_err().contains("no JSON"));
    }

    #[test]
    fn an_engine_must_be_named_and_be_an_address() {
        let engine =
            |url: Option<&str>| Engine { url: url.map(str::to_owned), model: Some("m".to_owned()), key_env: None };
        let error = |url| engine(url).asker("judge").err().unwrap_or_default();
        assert!(error(None).contains("--engine URL and --model MODEL"));
        assert!(error(Some("localhost:1")).contains("http://localhost:8000"), "{}", error(Some("localhost:1")));
        assert_eq!(engine(Some("http://h:1/v1/")).asker("judge").unwrap().uri.path(), "/v1/chat/completions");
    }
}

//! What the store holds of exchanges: one row each, true, and without anything private.

use std::path::Path;
use std::time::Duration;

use harness::client::request;
use harness::weir::Setup;
use harness::{Answer, Engine, wait};
use serde::Deserialize;
use serde_json::Value;

use crate::fixture;
use crate::scene::{CHAT, PLAIN, STREAM, Scene, begun, stream};

const EMAIL: &str = "jane.roe@private-mail.example";
const KEY: &str = "sk-proj-Zx9Qw8Er7Ty6Ui5Op4As3Df2Gh1Jk0LmNbVcXz";
/// The store's first start takes long where the machine is loaded.
const STORED: Duration = Duration::from_secs(90);

//! The program `weir`.
fn main() {
    if std::env::args().nth(1).as_deref() == Some("store-engine") {
        std::process::exit(weir_clickhouse_engine::run_child());
    }
}

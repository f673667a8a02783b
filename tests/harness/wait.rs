//! Waiting on a condition with a deadline: the only kind of waiting that tests do.

use std::time::{Duration, Instant};

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(2);

/// Long enough for anything that happens on one machine, even a loaded one.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `look` gives a value.
///
/// # Panics
/// After [`PATIENCE`], with `what` in the message.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_asked(what, PATIENCE, async || look()).await
}

/// Waits until `holds` is true.
///
/// # Panics
/// After [`PATIENCE`], with `what` in the message.
pub async fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(())).await;
}

/// Waits until `ask`, which may itself wait for something, gives a value.
///
/// # Panics
/// After `limit`, with `what` in the message.
pub async fn until_asked<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(began.elapsed() < limit, "after {limit:?} still waiting until {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut looks = 0;
        let seen = until("three looks were taken", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(seen.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "still waiting until pigs fly")]
    async fn a_condition_that_never_comes_true_fails_with_its_name() {
        until_asked("pigs fly", Duration::ZERO, async || None::<()>).await;
    }
}

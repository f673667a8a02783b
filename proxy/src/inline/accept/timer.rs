//! The time limit of heads: one timer of the runtime per connection, not one per request.
//!
//! hyper asks for a new timer whenever it begins to wait for a head, and drops it when the
//! head has come. What is made here for each is a deadline only; the connection's own timer
//! is set again when it fires, if by then the head that it was set for has long come.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// A connection's timer; none before the first wait.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadTimer(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

/// The wait for one head.
struct Wait {
    due: tokio::time::Instant,
    timer: HeadTimer,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Wait { due: deadline.into(), timer: self.clone() })
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = self.timer.0.lock().unwrap_or_else(PoisonError::into_inner);
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.due)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if tokio::time::Instant::now() >= self.due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.due);
        }
    }
}

impl Sleep for Wait {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_wait_ends_at_its_own_time_though_they_share_a_timer() {
        let timer = HeadTimer::default();
        let began = tokio::time::Instant::now();
        // A head that came in time: its wait is given up when it has begun.
        let mut first = timer.sleep(Duration::from_secs(10));
        assert!(tokio::time::timeout(Duration::from_secs(4), &mut first).await.is_err());
        drop(first);
        timer.sleep_until((began + Duration::from_secs(14)).into_std()).await;
        assert_eq!(began.elapsed().as_secs(), 14);
        timer.sleep(Duration::from_secs(5)).await;
        assert!(began.elapsed().as_secs() >= 19);
    }
}

//! Participants on several threads, each with a runtime of its own as the listener has them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::{Barrier, mpsc};

use super::super::{Asking, Flight, Flights, Joined, Participant, Wanted};
use super::script::{record, wanted};
use crate::exchange::{Budget, ByteSize, Error};

const THREADS: usize = 4;
const TASKS: usize = 8;
const ROUNDS: usize = 40;
const PIECES: u32 = 50;

/// A body fed by a task of the thread that leads.
struct Fed {
    pieces: mpsc::Receiver<u32>,
    busy: AtomicBool,
}

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        assert!(!self.busy.swap(true, Ordering::SeqCst), "polled by two");
        let piece = self.pieces.poll_recv(cx);
        self.busy.store(false, Ordering::SeqCst);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from(piece.to_be_bytes().to_vec())))))
    }
}

fn asking(sources: Arc<AtomicUsize>) -> Asking<Fed> {
    Box::pin(async move {
        sources.fetch_add(1, Ordering::SeqCst);
        let (sender, pieces) = mpsc::channel(2);
        tokio::spawn(async move {
            for piece in 0..PIECES {
                if sender.send(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let (head, ()) = http::Response::new(()).into_parts();
        (record(), Ok((head, Fed { pieces, busy: AtomicBool::new(false) })))
    })
}

/// Reads to the end, or leaves after so many pieces.
async fn read(mut participant: Participant<Fed>, leave_after: Option<usize>) {
    participant.begun().await.unwrap();
    let mut got = Vec::new();
    let mut pieces = 0;
    while leave_after.is_none_or(|most| pieces < most) {
        let Some(frame) = participant.frame().await else {
            let all: Vec<u8> = (0..PIECES).flat_map(u32::to_be_bytes).collect();
            assert_eq!(got, all);
            return;
        };
        got.extend_from_slice(&frame.unwrap().into_data().unwrap());
        pieces += 1;
    }
}

async fn round(flights: &Flights<Fed>, sources: &Arc<AtomicUsize>, round: usize, place: usize) {
    let digest = [round as u8; 32];
    let joined = flights.join(Wanted { digest, ..wanted("key") }, || asking(sources.clone()));
    let (Joined::Lead(participant) | Joined::Follow(participant)) = joined;
    // About half leave, some before they read at all.
    let leave_after = (place + round).is_multiple_of(2).then_some((place * 7 + round) % 20);
    read(participant, leave_after).await;
}

#[test]
fn participants_of_many_threads_share_one_source_without_stalling() {
    let flights = Arc::new(Flights::<Fed>::new(Budget::new(ByteSize(1 << 30)), super::script::gauge()));
    let sources = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(Barrier::new(THREADS * TASKS));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (flights, sources, barrier) = (flights.clone(), sources.clone(), barrier.clone());
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let tasks = (0..TASKS).map(|task| {
                    let (flights, sources, barrier) = (flights.clone(), sources.clone(), barrier.clone());
                    runtime.spawn(async move {
                        for at in 0..ROUNDS {
                            barrier.wait().await;
                            round(&flights, &sources, at, thread * TASKS + task).await;
                        }
                        // The feeding task of the last round must outlive those who read it elsewhere.
                        barrier.wait().await;
                    })
                });
                let tasks: Vec<_> = tasks.collect();
                runtime.block_on(async {
                    for task in tasks {
                        tokio::time::timeout(Duration::from_secs(60), task).await.expect("a stall").unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(flights.count(), 0);
    assert!(sources.load(Ordering::SeqCst) >= ROUNDS);
}

#[test]
fn flights_and_their_participants_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Flights<Fed>>();
    crosses::<Arc<Flight<Fed>>>();
    crosses::<Participant<Fed>>();
}

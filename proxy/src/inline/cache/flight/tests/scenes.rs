//! Scenes: one situation each.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::super::{Flights, Joined, Lane, Wanted};
use super::script::{Client, Script, Step, flights, follow, join, record, run_all, wanted};
use crate::exchange::record::Attempt;
use crate::exchange::{Budget, ByteSize, Kind, Name};

/// A stream under way: its head came, and the leader and `others` heard it.
fn stream(others: usize, wanted: &Wanted) -> (Flights<super::script::Scripted>, Script, Vec<Client>) {
    let (flights, script) = (flights(), Script::new([Step::Head(200)]));
    let (led, leader) = join(&flights, wanted.clone(), &script);
    assert!(led);
    let mut clients = vec![leader];
    clients.extend((0..others).map(|_| follow(&flights, wanted.clone())));
    run_all(&mut clients);
    (flights, script, clients)
}

fn tight(limit_bytes: usize) -> Wanted {
    Wanted { limit_bytes, lag_bytes: limit_bytes, ..wanted("key") }
}

#[test]
fn a_leader_alone_is_passed_every_piece_as_it_came() {
    let (_flights, script, mut clients) = stream(0, &wanted("key"));
    let pieces = [Bytes::from_static(b"one"), Bytes::from_static(b"two"), Bytes::from_static(b"three")];
    for piece in &pieces {
        script.tell(Step::Piece(piece.clone()));
        run_all(&mut clients);
    }
    script.tell(Step::End);
    run_all(&mut clients);
    let same = clients[0].pieces.iter().zip(&pieces).all(|(got, sent)| got.as_ptr() == sent.as_ptr());
    assert!(same, "pieces were copied on their way");
    assert_eq!((clients[0].got(), clients[0].end), (b"onetwothree".to_vec(), Some(Ok(()))));
    assert_eq!(clients[0].flight().bytes().unwrap(), "onetwothree");
    assert!(script.is_dropped());
}

#[test]
fn a_thousand_participants_share_one_source_and_its_pieces() {
    let (_flights, script, mut clients) = stream(999, &wanted("key"));
    let before = script.polls();
    for index in 0..20 {
        script.tell_piece(&format!("piece {index} "));
        run_all(&mut clients);
    }
    // The first to be woken finds the piece and then nothing: the others do not ask again.
    assert!(script.polls() - before <= 3 * 20, "{} polls", script.polls() - before);
    assert!(clients.iter().all(|client| client.wakes() <= 2 * 21));
    script.tell(Step::End);
    run_all(&mut clients);
    let last = clients[0].pieces[19].as_ptr();
    for client in &clients {
        assert_eq!((client.got(), client.end), (script.given(), Some(Ok(()))));
        assert_eq!(client.pieces[19].as_ptr(), last, "a live piece was copied");
    }
}

#[test]
fn who_joins_late_gets_what_has_come_at_once_and_then_lives_along() {
    let (flights, script, mut clients) = stream(0, &wanted("key"));
    for piece in ["one ", "two ", "three "] {
        script.tell_piece(piece);
        run_all(&mut clients);
    }
    clients.push(follow(&flights, wanted("key")));
    run_all(&mut clients);
    assert_eq!(clients[1].pieces, ["one two three "]);
    script.tell_piece("four");
    run_all(&mut clients);
    assert_eq!(clients[1].pieces, ["one two three ", "four"]);
}

#[test]
fn the_others_go_on_when_the_leader_leaves_at_any_time() {
    let steps = [Step::Head(200), Step::Piece(Bytes::from_static(b"a")), Step::Piece(Bytes::from_static(b"b"))];
    for heard in 0..=steps.len() {
        for woken in [false, true] {
            let (flights, script) = (flights(), Script::default());
            let (_, leader) = join(&flights, wanted("key"), &script);
            let mut clients = vec![leader, follow(&flights, wanted("key"))];
            steps[..heard].iter().for_each(|step| {
                run_all(&mut clients);
                script.tell(step.clone());
            });
            if !woken {
                run_all(&mut clients);
            }
            clients[0].leave();
            steps[heard..].iter().for_each(|step| script.tell(step.clone()));
            script.tell(Step::End);
            run_all(&mut clients);
            assert_eq!((clients[1].got(), clients[1].end), (b"ab".to_vec(), Some(Ok(()))), "after {heard}, {woken}");
        }
    }
}

#[test]
fn the_source_goes_in_the_moment_in_which_the_last_one_leaves() {
    for steps in [vec![], vec![Step::Head(200)], vec![Step::Head(200), Step::Piece(Bytes::from_static(b"a"))]] {
        let (flights, script) = (flights(), Script::new(steps));
        let (_, leader) = join(&flights, wanted("key"), &script);
        let mut clients = vec![leader, follow(&flights, wanted("key"))];
        run_all(&mut clients);
        let ticket = clients[0].flight().clone();
        clients[0].leave();
        assert!(!script.is_dropped());
        clients[1].leave();
        assert!(script.is_dropped() && !ticket.is_joinable() && ticket.bytes().is_none());
        assert_eq!(flights.count(), 0);
        assert!(join(&flights, wanted("key"), &Script::default()).0);
    }
}

#[test]
fn one_that_does_not_read_holds_up_nobody_and_catches_up() {
    let (_flights, script, mut clients) = stream(2, &wanted("key"));
    clients[0].appetite = 0;
    for piece in ["one ", "two ", "three "] {
        script.tell_piece(piece);
        run_all(&mut clients);
    }
    script.tell(Step::End);
    run_all(&mut clients);
    assert!(clients[1..].iter().all(|client| client.got() == script.given() && client.end == Some(Ok(()))));
    clients[0].appetite = usize::MAX;
    run_all(&mut clients);
    assert_eq!((clients[0].got(), clients[0].end), (script.given(), Some(Ok(()))));
}

#[test]
fn an_answer_past_its_limit_takes_nobody_new_and_cuts_who_falls_too_far_behind() {
    let (flights, script, mut clients) = stream(2, &tight(10));
    let flight = clients[0].flight().clone();
    (clients[1].appetite, clients[2].appetite) = (0, 0);
    for (piece, whole) in [("12345", true), ("67890", true), ("12345", false)] {
        script.tell_piece(piece);
        run_all(&mut clients);
        assert_eq!((flight.is_whole(), flight.is_joinable()), (whole, whole));
    }
    assert_eq!(flights.count(), 0);
    clients[1].appetite = usize::MAX;
    run_all(&mut clients);
    assert_eq!(clients[1].got(), b"123456789012345");
    for piece in ["67890", "abcde", "fghij"] {
        script.tell_piece(piece);
        run_all(&mut clients);
    }
    script.tell(Step::End);
    clients[2].appetite = usize::MAX;
    run_all(&mut clients);
    assert_eq!((clients[2].pieces.len(), clients[2].end), (0, Some(Err(Kind::SlowReader))));
    assert!(clients[..2].iter().all(|client| client.got() == script.given() && client.end == Some(Ok(()))));
    assert_eq!(flight.bytes(), None);
}

#[test]
fn a_leader_alone_may_read_as_slowly_as_it_likes_past_the_limit() {
    let (_flights, script, mut clients) = stream(0, &tight(4));
    clients[0].appetite = 1;
    (0..10).for_each(|_| script.tell_piece("12345"));
    run_all(&mut clients);
    assert_eq!(script.given(), b"12345", "read ahead of its client");
    clients[0].appetite = usize::MAX;
    clients[0].poke();
    script.tell(Step::End);
    run_all(&mut clients);
    assert_eq!((clients[0].got().len(), clients[0].end), (50, Some(Ok(()))));
}

#[test]
fn a_budget_without_room_is_a_limit_too() {
    let flights = Flights::new(Budget::new(ByteSize(8)), super::script::gauge());
    let script = Script::new([Step::Head(200)]);
    let (_, leader) = join(&flights, wanted("key"), &script);
    let mut clients = vec![leader];
    script.tell_piece("12345");
    run_all(&mut clients);
    assert!(clients[0].flight().is_joinable());
    script.tell_piece("6");
    run_all(&mut clients);
    assert!(!clients[0].flight().is_joinable());
    assert_eq!(clients[0].got(), b"123456");
    // No room for another key: it is answered, alone.
    let other = Wanted { digest: [8; 32], ..wanted("another key") };
    assert!(!join(&flights, other, &script).1.flight().is_joinable());
}

#[test]
fn a_failure_is_shared_and_the_next_one_asks_again() {
    let piece = Step::Piece(Bytes::from_static(b"a"));
    let fail = Step::Fail(Kind::EngineBroke);
    for steps in [vec![fail.clone()], vec![Step::Head(200), piece, fail]] {
        let (flights, script) = (flights(), Script::default());
        let (_, leader) = join(&flights, wanted("key"), &script);
        let mut clients = vec![leader, follow(&flights, wanted("key"))];
        run_all(&mut clients);
        steps.into_iter().for_each(|step| script.tell(step));
        run_all(&mut clients);
        for client in &clients {
            assert_eq!((client.got(), client.end), (script.given(), Some(Err(Kind::EngineBroke))));
        }
        assert!(script.is_dropped());
        assert!(join(&flights, wanted("key"), &Script::default()).0);
    }
}

#[test]
fn an_answer_that_is_no_200_is_shared_by_those_on_board_only() {
    let (flights, script) = (flights(), Script::default());
    let (_, leader) = join(&flights, wanted("key"), &script);
    let mut clients = vec![leader, follow(&flights, wanted("key"))];
    script.tell(Step::Head(429));
    run_all(&mut clients);
    assert!(join(&flights, wanted("key"), &Script::default()).0);
    script.tell_piece("slow down");
    script.tell(Step::End);
    run_all(&mut clients);
    for client in &clients {
        assert_eq!((client.status, client.got(), client.end), (Some(Ok(429)), script.given(), Some(Ok(()))));
    }
}

#[test]
fn an_ended_flight_is_joined_until_it_is_closed_or_let_go() {
    for close in [true, false] {
        let (flights, script, mut clients) = stream(0, &wanted("key"));
        script.tell_piece("all of it");
        script.tell(Step::End);
        run_all(&mut clients);
        let ticket = clients[0].flight().clone();
        clients.clear();
        let mut late = [follow(&flights, wanted("key"))];
        run_all(&mut late);
        assert_eq!((late[0].got(), late[0].end), (b"all of it".to_vec(), Some(Ok(()))));
        drop(late);
        match close {
            true => ticket.close(),
            false => drop(ticket),
        }
        assert_eq!(flights.count(), 0);
        assert!(join(&flights, wanted("key"), &Script::default()).0);
    }
}

#[test]
fn another_key_with_the_same_digest_never_shares_and_takes_nobodys_place() {
    let (flights, _script, clients) = stream(0, &wanted("key"));
    let (led, other) = join(&flights, wanted("another"), &Script::default());
    assert!(led && !other.flight().is_joinable());
    assert!(join(&flights, wanted("another"), &Script::default()).0);
    drop(other);
    let same = follow(&flights, wanted("key"));
    assert!(std::sync::Arc::ptr_eq(same.flight(), clients[0].flight()));
}

#[tokio::test]
async fn a_plain_request_shares_a_stream_but_no_stream_a_plain_answer() {
    let plain = Wanted { lanes: &[Lane::Stream, Lane::Plain], ..wanted("key") };
    let (flights, script, mut clients) = stream(0, &wanted("key"));
    let Joined::Follow(mut reader) = flights.join(plain.clone(), || panic!("asked again")) else { panic!("led") };
    assert_eq!(reader.flight().lane(), Lane::Stream);
    script.tell_piece("one ");
    run_all(&mut clients);
    script.tell_piece("two");
    script.tell(Step::End);
    assert_eq!(reader.whole().await.unwrap().unwrap(), "one two");

    let flights = self::flights();
    let (_, leader) = join(&flights, plain.clone(), &Script::default());
    assert!(join(&flights, wanted("key"), &Script::default()).0);
    drop(leader);
}

#[tokio::test]
async fn who_waits_for_the_whole_is_told_as_soon_as_it_will_not_be_there() {
    let (flights, script, mut clients) = stream(0, &tight(4));
    let Joined::Follow(mut reader) = flights.join(tight(4), || panic!("asked again")) else { panic!("led") };
    script.tell_piece("12345");
    assert!(reader.whole().await.unwrap().is_none());
    run_all(&mut clients);
    script.tell_piece("6");
    run_all(&mut clients);
    assert_eq!(clients[0].got(), b"123456");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_its_own_participant_only() {
    let (flights, script) = (flights(), Script::new([Step::Head(200)]));
    let (_, leader) = join(&flights, wanted("key"), &script);
    let mut clients = vec![leader];
    let soon = Instant::now() + Duration::from_secs(5);
    let hasty = Wanted { deadline: Some(soon), ..wanted("key") };
    let Joined::Follow(mut hasty) = flights.join(hasty, || panic!("asked again")) else { panic!("led") };
    hasty.begun().await.unwrap();
    let late = hasty.frame().await.unwrap().unwrap_err();
    assert_eq!((late.kind, Instant::now()), (Kind::TotalTimeout, soon));
    assert!(hasty.frame().await.is_none());
    assert_eq!(clients[0].flight().participants(), 1);
    script.tell_piece("for the others");
    script.tell(Step::End);
    run_all(&mut clients);
    assert_eq!((clients[0].got(), clients[0].end), (script.given(), Some(Ok(()))));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_only_one_stops_the_engine() {
    let (flights, script) = (flights(), Script::default());
    let alone = Wanted { deadline: Some(Instant::now() + Duration::from_secs(5)), ..wanted("key") };
    let Joined::Lead(mut alone) = flights.join(alone, || script.asking()) else { panic!("followed") };
    assert_eq!(alone.begun().await.unwrap_err().kind, Kind::TotalTimeout);
    assert!(script.is_dropped());
}

#[test]
fn a_source_that_panics_fails_its_driver_and_lets_the_others_know() {
    let (flights, script, mut clients) = stream(1, &wanted("key"));
    script.tell(Step::Panic);
    let mut driver = clients.remove(0);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.run()));
    assert!(panicked.is_err());
    run_all(&mut clients);
    assert_eq!(clients[0].end, Some(Err(Kind::Internal)));
    assert!(script.is_dropped());
    assert_eq!(flights.count(), 0);
}

#[test]
fn a_source_that_gives_way_is_polled_again_in_the_next_round() {
    let (_flights, script, mut clients) = stream(2, &wanted("key"));
    let before = script.polls();
    (0..10).for_each(|_| script.tell(Step::Yield));
    script.tell_piece("after all");
    clients[0].run();
    assert_eq!(script.polls() - before, 1, "went on in the same poll");
    run_all(&mut clients);
    assert!(clients.iter().all(|client| client.got() == b"after all"));
}

#[test]
fn each_record_tells_of_the_asking_on_its_own_clock() {
    let mut found = record();
    let name = Name::new("engine").unwrap();
    let ms = Duration::from_millis;
    let attempt = |started, took| Attempt {
        engine: name.clone(),
        replica: "host:1".into(),
        started,
        took,
        status: 200,
        error: None,
    };
    found.attempts = vec![attempt(ms(10), ms(20)), attempt(ms(30), ms(40))];
    (found.timings.sent, found.timings.head) = (Some(ms(31)), Some(ms(70)));
    let mut late = record();
    late.request.arrived = found.request.arrived + ms(40);
    let mut early = record();
    early.request.arrived = found.request.arrived.checked_sub(ms(5)).unwrap();
    let asked = super::super::source::Asked::of(*found);
    asked.note(&mut late);
    asked.note(&mut early);
    assert_eq!(late.attempts, [attempt(ms(0), ms(0)), attempt(ms(0), ms(30))]);
    assert_eq!((late.timings.sent, late.timings.head), (Some(ms(0)), Some(ms(30))));
    assert_eq!(early.attempts, [attempt(ms(15), ms(20)), attempt(ms(35), ms(40))]);
    assert_eq!((early.timings.sent, early.timings.head), (Some(ms(36)), Some(ms(75))));
}

#[tokio::test]
async fn one_exchange_answers_for_the_engine_when_the_one_that_began_it_left() {
    let (flights, script, mut clients) = stream(2, &wanted("key"));
    let flight = clients[0].flight().clone();
    assert!(!flight.was_handed_over() && !flight.take_bill(), "the one that began it does");
    drop(clients.remove(0));
    assert!(flight.was_handed_over());
    script.tell_piece("a");
    script.tell(Step::End);
    run_all(&mut clients);
    assert!(flight.take_bill() && !flight.take_bill(), "one of the others, and no second one");
    assert_eq!(flight.exchanges().len(), 3);
    drop(flights);
}

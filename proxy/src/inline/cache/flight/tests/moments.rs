//! What can happen on another thread while a source is polled, made to happen in that moment.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::super::{Flights, lock};
use super::script::{Client, Script, Scripted, Step, flights, follow, join, run_all, wanted};

type Clients = Arc<Mutex<Vec<Client>>>;

/// One client on board, its source waiting for its first piece, and a place for others.
fn alone() -> (Arc<Flights<Scripted>>, Script, Client, Clients) {
    let (flights, script) = (Arc::new(flights()), Script::new([Step::Head(200)]));
    let (_, mut leader) = join(&flights, wanted("key"), &script);
    leader.run();
    (flights, script, leader, Clients::default())
}

/// Another client comes and is polled.
fn come(flights: &Arc<Flights<Scripted>>, others: &Clients) -> Step {
    let (flights, others) = (flights.clone(), others.clone());
    Step::Meanwhile(Arc::new(move || {
        let mut other = follow(&flights, wanted("key"));
        other.run();
        lock(&others).push(other);
    }))
}

/// The others leave.
fn leave(others: &Clients) -> Step {
    let others = others.clone();
    Step::Meanwhile(Arc::new(move || lock(&others).clear()))
}

#[test]
fn who_comes_while_another_drives_in_vain_does_not_depend_on_it() {
    let (flights, script, mut leader, others) = alone();
    script.tell(come(&flights, &others));
    leader.run();
    leader.appetite = 0;
    script.tell_piece("for both");
    let mut others = std::mem::take(&mut *lock(&others));
    run_all(&mut others);
    assert_eq!(others[0].got(), b"for both");
}

#[test]
fn who_comes_while_another_finds_a_piece_is_woken_for_it() {
    for end in [Step::Yield, Step::End] {
        let (flights, script, mut leader, others) = alone();
        // The leader reads no further: nothing but this piece can wake the other one.
        leader.appetite = 1;
        script.tell(come(&flights, &others));
        script.tell(Step::Piece(Bytes::from_static(b"for both")));
        let ends = matches!(end, Step::End);
        script.tell(end);
        leader.run();
        let mut others = std::mem::take(&mut *lock(&others));
        assert!(others[0].is_woken());
        run_all(&mut others);
        assert_eq!((others[0].got(), others[0].end), (b"for both".to_vec(), ends.then_some(Ok(()))));
    }
}

#[test]
fn who_comes_after_a_piece_that_only_one_was_left_to_hear_drives_on() {
    let (flights, script, mut leader, others) = alone();
    lock(&others).push(follow(&flights, wanted("key")));
    leader.appetite = 1;
    script.tell(leave(&others));
    script.tell_piece("one ");
    leader.poke();
    leader.run();
    assert_eq!((leader.got(), leader.flight().participants()), (b"one ".to_vec(), 1));
    let mut late = [follow(&flights, wanted("key"))];
    run_all(&mut late);
    script.tell_piece("two");
    run_all(&mut late);
    assert_eq!(late[0].got(), b"one two");
}

#[test]
fn the_first_one_hears_the_bell_too_once_there_is_a_second() {
    let (flights, script, leader, _) = alone();
    let mut clients = [leader, follow(&flights, wanted("key"))];
    clients[1].run();
    clients[1].appetite = 0;
    script.tell_piece("for both");
    run_all(&mut clients);
    assert_eq!(clients[0].got(), b"for both");
}

#[test]
fn who_was_woken_too_early_does_not_depend_on_who_drives() {
    let (flights, script, mut leader, others) = alone();
    let mut other = follow(&flights, wanted("key"));
    other.run();
    lock(&others).push(other);
    let early = others.clone();
    script.tell(Step::YieldAnd(Arc::new(move || lock(&early).iter_mut().for_each(Client::run))));
    leader.run();
    leader.leave();
    script.tell_piece("for the other");
    let mut others = std::mem::take(&mut *lock(&others));
    run_all(&mut others);
    assert_eq!(others[0].got(), b"for the other");
}

#[test]
fn what_is_decided_can_be_joined_until_it_is_closed() {
    let (flights, script, mut leader, _) = alone();
    script.tell_piece("all");
    script.tell(Step::End);
    leader.run();
    let flight = leader.flight().clone();
    assert_eq!([flight.decide(), flight.decide()], [true, false]);
    let mut late = [follow(&flights, wanted("key"))];
    run_all(&mut late);
    assert_eq!(late[0].got(), b"all");
    flight.close();
    assert!(join(&flights, wanted("key"), &Script::new([])).0, "a new one is led");
}

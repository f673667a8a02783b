//! The facts of a request body, read from any bytes: never a panic, and a body that was
//! accepted is JSON to every other reader as well.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::exchange::request::Facts;

fuzz_target!(|body: &[u8]| {
    let first = Facts::read(body);
    let again = Facts::read(body);
    assert_eq!(first.is_ok(), again.is_ok(), "reading is a function of the bytes alone");
    if let (Ok(first), Ok(again)) = (first, again) {
        assert_eq!(first, again);
    }
});

//! A streamed answer of any API shape, read from any bytes: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::exchange::{Api, completion};

fuzz_target!(|body: &[u8]| {
    for api in Api::ALL {
        let first = completion::read(api, true, body);
        assert_eq!(first, completion::read(api, true, body), "reading is a function of the bytes alone");
    }
});

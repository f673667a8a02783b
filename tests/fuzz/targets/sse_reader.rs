//! A streamed answer of any API shape, read from any bytes: never a panic, and cutting the
//! stream into chunks anywhere changes nothing that the reader or the live scanner says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir::exchange::completion::Scanner;
use weir::exchange::{Api, completion};

fuzz_target!(|body: &[u8]| {
    let cut = body.first().map_or(0, |byte| usize::from(*byte) * body.len() / 256);
    let (head, tail) = body.split_at(cut);
    for api in Api::ALL {
        for path in ["/v1/chat/completions", "/completion", "/generate_stream"] {
            completion::read(api, path, true, body);
            completion::read(api, path, false, body);
            let (mut whole, mut parts) = (Scanner::new(api, path), Scanner::new(api, path));
            let first = whole.push(body);
            let first_in_parts = parts.push(head) | parts.push(tail);
            let said = |scanner: &Scanner| (scanner.events(), scanner.ended(), scanner.failed(), scanner.at_boundary());
            assert_eq!(said(&whole), said(&parts), "chunks change nothing");
            assert_eq!(first, first_in_parts, "chunks do not hide the first token");
        }
    }
});

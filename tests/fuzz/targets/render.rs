//! An answer rendered in other forms, from any bytes: never a panic, and what is rendered is
//! rendered back to the same again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir::exchange::Api;
use weir::exchange::completion::render::{Form, render};

const FORMS: [Form; 3] = [Form::Plain, Form::Stream { include_usage: false }, Form::Stream { include_usage: true }];

fuzz_target!(|body: &[u8]| {
    let body = Bytes::copy_from_slice(body);
    for api in Api::ALL {
        for (from, to) in FORMS.into_iter().flat_map(|from| FORMS.map(|to| (from, to))) {
            let Some(rendered) = render(api, &body, from, to) else { continue };
            let Some(back) = render(api, &rendered, to, from) else { continue };
            // What loses its usage on the way does not get it back.
            if let Some(again) = render(api, &back, from, to).filter(|_| from == Form::Plain || to == Form::Plain) {
                assert_eq!(again, rendered);
            }
        }
    }
});

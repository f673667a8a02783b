//! The events of a stream's body, for reading; a line-wise look at recorded text, not a
//! protocol reader.

use serde::Serialize;

/// Events shown; a reader who wants more takes the raw body.
const MAX_EVENTS: usize = 200;
/// Characters of one event's data that are shown.
const MAX_DATA: usize = 600;

/// One event or comment.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Event {
    /// `event` field; `comment` for a comment line.
    pub(super) name: String,
    /// `data` lines.
    pub(super) data: String,
}

/// Events of a stream, and how many there are in all.
pub(super) fn events(body: &str) -> (Vec<Event>, usize) {
    let (mut events, mut total) = (Vec::new(), 0);
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let mut current = Event::default();
    for line in body.lines().chain([""]) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if !current.data.is_empty() => {
                current.data.push('\n');
                current.data.push_str(value);
            }
            "data" => current.data = value.to_owned(),
            "event" => current.name = value.to_owned(),
            "" if !line.is_empty() => {
                push(&mut events, &mut total, Event { name: "comment".into(), data: value.into() })
            }
            "" if current != Event::default() => push(&mut events, &mut total, std::mem::take(&mut current)),
            _ => {}
        }
    }
    (events, total)
}

fn push(events: &mut Vec<Event>, total: &mut usize, mut event: Event) {
    *total += 1;
    if events.len() < MAX_EVENTS {
        let (shown, more) = super::format::cut(&event.data, MAX_DATA);
        event.data = if more { format!("{shown}…") } else { shown.to_owned() };
        events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_comments_and_a_torn_end_are_told_apart() {
        let body = ": keep-alive\n\nevent: delta\ndata: {\"a\":1}\n\ndata: x\ndata:  y\r\n\r\nid: 7\n\ndata: torn";
        let (events, total) = events(body);
        assert_eq!(total, 4);
        let expected =
            [event("comment", "keep-alive"), event("delta", "{\"a\":1}"), event("", "x\n y"), event("", "torn")];
        assert_eq!(events, expected);
    }

    #[test]
    fn a_long_stream_is_counted_to_its_end() {
        let (events, total) = events(&"data: x\n\n".repeat(MAX_EVENTS + 5));
        assert_eq!((events.len(), total), (MAX_EVENTS, MAX_EVENTS + 5));
    }
}

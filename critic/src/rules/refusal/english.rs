//! The English grammar of refusals: who speaks, a denial, and what is denied.

use super::lead::is_own;
use super::phrases::{ADVERBS, DENIALS, VERBS};

/// Beginnings that apologise.
const APOLOGIES: [&str; 10] = [
    "sorry",
    "i'm sorry",
    "i am sorry",
    "i'm really sorry",
    "i apologize",
    "i apologise",
    "my apologies",
    "apologies",
    "i'm very sorry",
    "i regret",
];

/// What shows that something was not found rather than refused.
const NOT_FOUND: [&str; 26] = [
    "based on the ",
    "based on given",
    "based on this",
    "according to",
    "the passage",
    "given passage",
    "provided passage",
    "the context",
    "provided text",
    "given text",
    "information provided",
    "provided information",
    "enough information",
    "sufficient information",
    "the article",
    "the document",
    "not mentioned",
    "find any",
    "real-time",
    "real time",
    "the text",
    "the given",
    "the provided",
    "without more",
    "without knowing",
    "without additional",
];

/// What stands in place of an answer where an LLM plays a machine or a guard speaks for it.
const MACHINE_DENIALS: [&str; 12] = [
    "access denied",
    "access is denied",
    "request denied",
    "request refused",
    "request not allowed",
    "request not permitted",
    "command not recognized",
    "command not allowed",
    "command denied",
    "this request is not allowed",
    "this request is not permitted",
    "this content is not allowed",
];

/// What an LLM says that it has not, in place of an answer.
const LACKS: [&str; 16] = [
    "have personal",
    "have the ability",
    "have opinions",
    "hold personal",
    "have feelings",
    "have the capability",
    "have access",
    "have a physical",
    "have beliefs",
    "have the capacity",
    "engage in",
    "have emotions",
    "support or",
    "condone",
    "promote",
    "have preferences",
];

/// Whether a plain sentence denies the request; `no` tells whether it may hold a denial at all.
pub(super) fn denies(sentence: &str, no: bool) -> bool {
    if is_short_denial(sentence) {
        return true;
    }
    if !no {
        return false;
    }
    let denied = || speakers(sentence).any(|rest| is_denial(sentence, rest)) || begins_unable(sentence);
    if helps_but_not(sentence) {
        return true;
    }
    has_no(sentence) && denied() && !NOT_FOUND.iter().any(|words| sentence.contains(words))
}

/// `I can help with X, but not with Y`: what was asked is the latter.
fn helps_but_not(sentence: &str) -> bool {
    let Some(at) = ["but not with ", "but not to ", "but not for ", "but not in "]
        .iter()
        .find_map(|but| memchr::memmem::find(sentence.as_bytes(), but.as_bytes()))
    else {
        return false;
    };
    speakers(&sentence[..at]).any(|rest| {
        let rest = skip_adverbs(rest.trim_start());
        let offers = ["can ", "could ", "am happy to ", "'m happy to ", "'d be happy to ", "would be happy to "];
        let verb = offers.iter().find_map(|offer| rest.strip_prefix(offer)).map(skip_adverbs);
        verb.and_then(|verb| verb.split(' ').next()).is_some_and(|verb| ["help", "assist", "support"].contains(&verb))
    })
}

/// Whether any word of denial stands in the text: most texts have none.
pub(super) fn has_no(sentence: &str) -> bool {
    ["n't", "not", "nable", "cant"].iter().any(|no| memchr::memmem::find(sentence.as_bytes(), no.as_bytes()).is_some())
}

/// `I won't`, `Sorry, no`, or what a machine writes in place of words: a whole sentence.
fn is_short_denial(sentence: &str) -> bool {
    let sentence = sentence.trim_end_matches(['.', '!', ',', ' ', '\'']);
    let answers = MACHINE_DENIALS.iter().find_map(|words| sentence.strip_prefix(words));
    if answers.is_some_and(|rest| rest.len() <= 24) {
        return true;
    }
    let whole = [
        "i can't do that",
        "i won't do that",
        "i can't",
        "i cannot",
        "i won't",
        "sorry, no",
        "sorry, i can't",
        "i'm sorry, but no",
    ];
    whole.contains(&sentence)
}

/// What follows each "I" or "we" that the answer says of itself.
fn speakers(sentence: &str) -> impl Iterator<Item = &str> {
    let spoken = ["i ", "i'", "we ", "we'"].into_iter().flat_map(move |word| {
        sentence.match_indices(word).filter(move |(at, _)| {
            let before = &sentence[..*at];
            !before.ends_with(|c: char| c.is_alphanumeric() || c == '\'') && is_own(before) && is_main_clause(before)
        })
    });
    spoken.map(|(at, word)| &sentence[at + word.len() - usize::from(word.ends_with('\''))..])
}

/// Whether the words before "I" leave it the subject of the main clause: "why I cannot" and
/// "if I cannot" do not.
fn is_main_clause(before: &str) -> bool {
    let last = before.trim_end().rsplit(' ').next().unwrap_or_default();
    ![
        "why", "if", "when", "what", "where", "who", "whether", "while", "which", "until", "unless", "because", "how",
        "things", "said", "says", "feel",
    ]
    .contains(&last)
}

/// Whether `rest`, which follows "I", is a denial of an assistant's work.
fn is_denial(sentence: &str, rest: &str) -> bool {
    let rest = skip_adverbs(rest.trim_start());
    let longest = DENIALS.iter().filter_map(|denial| rest.strip_prefix(denial)).min_by_key(|after| after.len());
    let Some(after) = longest.filter(|after| after.is_empty() || after.starts_with([' ', ','])) else { return false };
    let after = after.trim_start_matches([' ', ',']);
    // "cannot and will not", "won't or can't"
    let twice = ["and ", "or "].iter().find_map(|and| after.strip_prefix(and));
    let twice = twice.and_then(|more| DENIALS.iter().find_map(|denial| more.strip_prefix(denial)));
    let verb = skip_adverbs(twice.unwrap_or(after).trim_start());
    let mut words = verb.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '\''));
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let idiom = (first == "help" && second == "but") || (first == "recommend" && verb.contains(" enough"));
    let stem = first.strip_suffix("ing").map(|stem| (stem, format!("{stem}e")));
    let known = VERBS.contains(&first)
        || stem.is_some_and(|(stem, with_e)| VERBS.contains(&stem) || VERBS.contains(&with_e.as_str()));
    (known || is_machine(sentence) && !matches!(first, "be" | "have" | "")) && !idiom
}

/// Whether the answer says that a machine speaks, which nobody asked.
pub(super) fn is_machine(sentence: &str) -> bool {
    [
        "as an ai",
        "as a language model",
        "language model",
        "as an assistant",
        "as a responsible",
        "i am an ai",
        "i'm an ai",
    ]
    .iter()
    .any(|words| sentence.contains(words))
}

/// Whether a plain sentence says what a machine has not, so that it cannot answer.
pub(super) fn lacks(sentence: &str) -> bool {
    has_no(sentence)
        && (is_machine(sentence) || apologises(sentence) || sentence.contains("as an "))
        && speakers(sentence).any(|rest| {
            let rest = skip_adverbs(rest.trim_start());
            let lack =
                ["do not ", "don't ", "am not able to ", "'m not able to "].iter().find_map(|no| rest.strip_prefix(no));
            lack.is_some_and(|lack| LACKS.iter().any(|words| skip_adverbs(lack).starts_with(words)))
        })
}

/// `Unable to comply`, `Sorry, can't help with that`: nobody is said to speak.
fn begins_unable(sentence: &str) -> bool {
    let rest = APOLOGIES.iter().filter_map(|words| sentence.strip_prefix(words)).min_by_key(|rest| rest.len());
    let rest = rest.unwrap_or(sentence).trim_start_matches([' ', ',', ';', '-', '—']);
    let rest = rest.strip_prefix("but ").unwrap_or(rest);
    ["can't ", "cannot ", "unable to ", "not able to ", "won't "].iter().any(|no| {
        let first = rest.strip_prefix(no).map(skip_adverbs).and_then(|verb| verb.split([' ', ',']).next());
        first.is_some_and(|first| VERBS.contains(&first))
    })
}

fn apologises(sentence: &str) -> bool {
    APOLOGIES.iter().any(|words| sentence.starts_with(words))
}

/// What follows adverbs.
fn skip_adverbs(mut rest: &str) -> &str {
    while let Some((first, more)) = rest.split_once(' ') {
        if !ADVERBS.contains(&first.trim_end_matches(',')) {
            break;
        }
        rest = more;
    }
    rest
}

//! The Russian grammar of refusals: a denial in the first person, and a verb of helping.

/// Denials in the first person.
const DENIALS: [&str; 12] = [
    "не могу",
    "не смогу",
    "не буду",
    "не готов",
    "не готова",
    "не хочу",
    "не намерен",
    "не намерена",
    "не имею возможности",
    "не имею права",
    "не в состоянии",
    "не вправе",
];

/// Words that may stand between the denial and the verb.
const BETWEEN: [&str; 22] = [
    "вам",
    "тебе",
    "вас",
    "тебя",
    "этого",
    "это",
    "этим",
    "этом",
    "с",
    "в",
    "и",
    "не",
    "буду",
    "больше",
    "просто",
    "здесь",
    "тут",
    "таком",
    "таким",
    "таких",
    "такое",
    "за",
];

/// Beginnings of verbs of what an assistant does for who asks.
const VERBS: [&str; 32] = [
    "помо",
    "предостав",
    "выполн",
    "ответ",
    "отвеч",
    "созда",
    "напис",
    "писа",
    "сочин",
    "генер",
    "сгенер",
    "обсужд",
    "поддерж",
    "рассказ",
    "объясн",
    "участв",
    "содейств",
    "способств",
    "рекоменд",
    "сделат",
    "делат",
    "состав",
    "придум",
    "подсказ",
    "показа",
    "одобр",
    "продолж",
    "комментир",
    "советов",
    "консульт",
    "перечисл",
    "распростран",
];

/// What shows that something was not found rather than refused.
const NOT_FOUND: [&str; 6] =
    ["в тексте", "в контексте", "в предоставленн", "на основании", "в документ", "без дополнительн"];

/// Whether a plain sentence denies the request.
pub(super) fn denies(sentence: &str) -> bool {
    let denied = DENIALS.iter().flat_map(|denial| sentence.match_indices(denial)).any(|(at, denial)| {
        let mut words = sentence[at + denial.len()..].split([' ', ',']).filter(|word| !word.is_empty());
        let verb = words.find(|word| !BETWEEN.contains(word));
        super::lead::is_own(&sentence[..at]) && verb.is_some_and(|verb| VERBS.iter().any(|stem| verb.starts_with(stem)))
    });
    denied && !NOT_FOUND.iter().any(|words| sentence.contains(words))
}

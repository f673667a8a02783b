//! Closed lists of words that the features know, English and Russian.
//!
//! Function words carry no claim; the other lists mark what kind of sentence it is. All are
//! lower case and whole words, as Unicode segmentation cuts them.

/// Function words of English.
pub(crate) const STOP_ENGLISH: &str = "a an the and or but if then else of to in on at by for from with without into \
    onto over under about as is are was were be been being am do does did done doing have has had having it its it's \
    this that these those there here he she they them his her hers their theirs we us our ours you your yours i me my \
    mine who whom whose which what when where why how not no nor so than too very can could may might must shall \
    should will would just also such only own same other another each any all both some more most many much few \
    several either neither one ones up down out off again once during before after above below between through \
    because while until against within upon per via etc don't doesn't didn't isn't aren't wasn't weren't can't cannot \
    won't wouldn't couldn't shouldn't hasn't haven't hadn't however therefore thus hence s t";

/// Function words of Russian.
pub(crate) const STOP_RUSSIAN: &str = "и в во не что он на я с со как а то все она так его но да ты к у же вы за бы \
    по только ее её мне было вот от меня еще ещё нет о из ему теперь когда даже ну вдруг ли если уже или ни быть был \
    него до вас нибудь опять уж вам ведь там потом себя ничего ей может они тут где есть надо ней для мы тебя их чем \
    была сам чтоб без будто чего раз тоже себе под будет ж тогда кто этот того потому этого какой совсем ним здесь \
    этом один почти мой тем чтобы нее неё сейчас были куда зачем всех никогда можно при наконец два об другой хоть \
    после над больше тот через эти нас про всего них какая много разве три эту моя впрочем хорошо свою этой перед \
    иногда лучше чуть том нельзя такой им более всегда конечно всю между это эта также которые который которая \
    которое которых которым которого является являются свой своей своих";

/// Words that turn a statement into its opposite.
pub(crate) const NEGATIONS: &str = "not no never none neither nor without cannot can't don't doesn't didn't isn't \
    aren't wasn't weren't won't wouldn't couldn't shouldn't hasn't haven't hadn't nobody nothing unable lack lacks \
    не нет ни никогда никто ничто ничего нельзя без невозможно отсутствует";

/// Words that take a claim back a little.
pub(crate) const HEDGES: &str = "may might could can possibly perhaps likely probably typically generally usually \
    often sometimes some appear appears seem seems suggest suggests depending depends возможно может могут вероятно \
    обычно часто иногда наверное видимо кажется";

/// Words about the context itself rather than its content.
pub(crate) const ABOUT: &str = "passage passages context provided given document documents text texts information \
    mention mentions mentioned article articles source sources states according based excerpt excerpts контекст \
    контексте контексту текст тексте тексту документ документе документа документах отрывок отрывке отрывках \
    согласно указано упоминается информации информация источник источнике";

/// Words of a sentence that says what cannot be said.
pub(crate) const LACKING: &str = "unable cannot insufficient unclear unknown unfortunately determine specify specified \
    specifically mention mentioned provide невозможно неизвестно неясно недостаточно определить упоминается указано";

/// Words that begin a sentence of the writer's own.
pub(crate) const OPENERS: &str = "overall summary conclusion therefore thus additionally furthermore moreover \
    ultimately finally important remember note итого вывод итак таким следовательно кроме наконец важно помните";

/// Words of courtesy: sentences made of them claim nothing.
pub(crate) const COURTESY: &str = "hope hopes helps help helpful please feel free let know questions question ask \
    further happy glad thank thanks welcome anything assist assistance need sure надеюсь поможет помогло пожалуйста \
    вопросы вопрос обращайтесь рад рада спасибо помочь дайте знать";

/// Words for numbers, with their value. "One" says too little to be a number.
pub(crate) const NUMBERS: [(&str, f64); 42] = [
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("fifteen", 15.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("hundred", 100.0),
    ("thousand", 1000.0),
    ("million", 1e6),
    ("billion", 1e9),
    ("два", 2.0),
    ("две", 2.0),
    ("три", 3.0),
    ("четыре", 4.0),
    ("пять", 5.0),
    ("шесть", 6.0),
    ("семь", 7.0),
    ("восемь", 8.0),
    ("девять", 9.0),
    ("десять", 10.0),
    ("двадцать", 20.0),
    ("тридцать", 30.0),
    ("сорок", 40.0),
    ("пятьдесят", 50.0),
    ("сто", 100.0),
    ("тысяча", 1000.0),
    ("миллион", 1e6),
    ("миллиард", 1e9),
];

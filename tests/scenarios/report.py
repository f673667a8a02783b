"""The report: from the cases to Markdown. Pure."""

from collections import Counter
from dataclasses import dataclass

from rag.questions import Mark
from tally import Case


@dataclass
class About:
    """What the figures are of."""

    model: str
    machine: str
    day: str


def write(about: About, cases: list[Case]) -> str:
    parts = [head(about, cases), what_came_of_it(cases), catches(cases), critics(cases), retries(cases)]
    return "\n\n".join([*parts, cost(cases), every_question(cases), limits()]) + "\n"


def head(about: About, cases: list[Case]) -> str:
    held = sum(case.question.has_answer() for case in cases)
    answerable = [case for case in cases if case.question.has_answer()]
    found = sum(case.retrieved for case in answerable)
    compared = [case for case in cases if case.plain]
    same = sum(case.is_as_without() for case in compared)
    return f"""# Judged answers of a small document application

Written by `make scenario`; do not edit.
One run of one small model ({about.model}) on {about.day}, on a machine shared with other work ({about.machine}): counts to look at, not rates to quote.

{len(cases)} questions about this project's own documents: {held} that a passage answers, {len(cases) - held} that none does.
Search put the right passage before the model for {found} of the {held}.
Asked at temperature 0, so that the first answer with critics is the answer without them: the same text in {same} of {len(compared)} questions that were asked both ways.
An answer is *right* where it fits the known one (for a question without answer: where it says so), *declined* where it says that the documents do not say though they do, else *wrong*."""


def what_came_of_it(cases: list[Case]) -> str:
    first = Counter(case.first_mark for case in cases)
    got = Counter(case.got() for case in cases)
    rows = [(mark.value, str(first[mark]), str(got[mark])) for mark in Mark]
    rows.append(("told that there is no answer", "-", str(got[None])))
    return "## What the client got\n\n" + table(("answer", "without critics", "with critics"), rows)


def catches(cases: list[Case]) -> str:
    rows = []
    for mark in Mark:
        of = [case for case in cases if case.first_mark is mark]
        caught = sum(case.was_caught() for case in of)
        rows.append((mark.value, str(len(of)), str(caught), str(len(of) - caught)))
    wrong = [case for case in cases if case.first_mark is Mark.WRONG]
    right = [case for case in cases if case.first_mark is Mark.RIGHT]
    caught, held = (sum(case.was_caught() for case in of) for of in (wrong, right))
    said = f"""

Of {len(wrong)} wrong answers {caught} were caught; of {len(right)} right ones {held} were held back."""
    titles = ("first answer", "of them", "found bad", "let through")
    return "## First answers: what critics found bad\n\n" + table(titles, rows) + said


def critics(cases: list[Case]) -> str:
    """By critic and by what is known of the answer, over first answers."""
    names = list(dict.fromkeys(verdict.critic for case in cases for verdict in case.first.verdicts))
    rows = []
    for name in names:
        said: Counter = Counter()
        for case in cases:
            for verdict in case.first.verdicts:
                if verdict.critic == name:
                    said[verdict.outcome, verdict.reason] += 1
                    said["fail of", case.first_mark] += verdict.outcome == "fail"
        failed = [str(said["fail of", mark]) for mark in (Mark.WRONG, Mark.DECLINED, Mark.RIGHT)]
        mute = said["skipped", "early_exit"]
        other = sum(n for key, n in said.items() if key[0] == "skipped") - mute
        rows.append((f"`{name}`", *failed, str(said["pass", ""]), str(mute), str(other)))
    titles = ("critic", "bad: wrong ones", "bad: declined ones", "bad: right ones", "good", "not its turn", "not judged")
    note = "\n\nThe panel stops at the first critic that finds an answer bad: those after it had no turn."
    return "## By critic, of first answers\n\n" + table(titles, rows) + note


def retries(cases: list[Case]) -> str:
    """What became of first answers that were found bad and asked for again."""
    retried = [case for case in cases if case.was_retried()]
    rows = []
    for mark in Mark:
        of = [case for case in retried if case.first_mark is mark]
        to = Counter(case.got() for case in of)
        rows.append((mark.value, str(len(of)), *(str(to[then]) for then in (*Mark, None))))
    repaired = sum(case.got() is Mark.RIGHT and case.first_mark is not Mark.RIGHT for case in retried)
    broken = sum(case.got() is not Mark.RIGHT and case.first_mark is Mark.RIGHT for case in retried)
    passed = sum(not case.was_escalated() for case in retried)
    escalated = sum(case.was_escalated() for case in cases)
    said = f"""

Of {len(retried)} retries {passed} gave an answer that critics let through; {repaired} made a right answer of one that was not, {broken} cost the client a right one.
{escalated} questions were escalated: the client got the configured answer."""
    titles = ("first answer", "retried", "then right", "then declined", "then wrong", "escalated")
    return "## What a retry made of them\n\n" + table(titles, rows) + said


def cost(cases: list[Case]) -> str:
    both = [case for case in cases if case.plain]
    columns = [
        ("with critics, all", [(case.spent, case.reply, len(case.answers), case.judging_seconds()) for case in cases]),
        ("with critics, same questions", [(case.spent, case.reply, len(case.answers), case.judging_seconds()) for case in both]),
        ("without critics", [(case.plain_spent, case.plain, 1, 0.0) for case in both]),
    ]
    figures = (
        ("answers of the engine", 2, lambda spent, reply, answers, judging: answers),
        ("tokens read", 0, lambda spent, reply, answers, judging: spent.prompt_tokens),
        ("tokens made", 1, lambda spent, reply, answers, judging: spent.tokens_predicted),
        ("seconds of the engine", 1, lambda spent, reply, answers, judging: spent.seconds()),
        ("seconds until the client had it", 1, lambda spent, reply, answers, judging: reply.seconds),
        ("seconds in critics", 4, lambda spent, reply, answers, judging: judging),
    )
    rows = []
    for name, digits, of in figures:
        means = [f"{sum(of(*one) for one in column) / len(column):.{digits}f}" if column else "-" for _, column in columns]
        rows.append((name, *means))
    title = "## Cost for one question\n\n"
    note = f"\n\nMeans over {len(cases)} and {len(both)} questions; tokens and seconds by the engine's own counters. Weir was a debug build."
    return title + table(("mean", *(name for name, _ in columns)), rows) + note


def every_question(cases: list[Case]) -> str:
    rows = []
    for case in cases:
        steps = [f"{mark.value} ({', '.join(answer.failed()) or 'let through'})" for mark, answer in zip(case.marks, case.answers)]
        got = "configured answer" if case.was_escalated() else case.marks[-1].value
        rows.append((case.question.ask, " → ".join(steps), got))
    return "## Every question\n\n" + table(("question", "answers, and who found them bad", "the client got"), rows)


def limits() -> str:
    return """## What these figures cannot say

The known answers are patterns: an answer with a right word beside a wrong one counts as right.
Critics judge whether an answer rests on its context; an answer that is true to a passage which is not the right one passes them, and should.
An honest "the documents do not say" is no bad answer to them, so *declined* ones are let through by intent.
The questions, their documents and the application were written by the makers of Weir."""


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)

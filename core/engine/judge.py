"""A judging run: models answer questions, one after the other; then the judge reads each pair of answers in both orders.

The judge is not asked for a text, which small models don't write well: its log-probabilities of "A" and "B" decide. A pair is won by the
answer that it prefers in both orders; else it is a tie. Where neither letter is likely, the judge has said nothing that can be used.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import math
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from core import events as ev
from core.data.examples import examples
from core.engine.evaluation.pairs import token_log_probs
from core.engine.evaluation.subject import Subject, context_of
from core.engine.generation import generate
from core.engine.scoring import Reader
from core.engine.session import Session
from core.errors import BadData
from core.files import write_text
from core.judge import JudgeRecipe, keep, records, strengths
from core.tokenizer import same_tokenizer
from core.votes import Verdict

LEAST_MASS = 0.02  # of "A" and "B" together; below, the judge meant to say something else
AT_ONCE = 16
ANSWERS = "answers"
VERDICTS = "verdicts.jsonl"


@dataclass(frozen=True)
class Asked:
    """A question of the file; `turns` are what the user says, one after the other."""

    id: str
    category: str
    turns: tuple[str, ...]


def run(session: Session) -> dict[str, Any]:
    """Answers, verdicts, and their table; each is kept as it comes, so that a run that is resumed goes on behind it."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, JudgeRecipe)
    asked = read_questions(recipe)
    session.artifacts.mkdir(exist_ok=True)
    answers = {model: _answers(session, recipe, Path(model), asked) for model in recipe.models}
    rows = _verdicts(session, recipe, asked, answers)
    keep(session.run.home, session.run.id, rows)
    return _results(recipe, rows)


def read_questions(recipe: JudgeRecipe) -> list[Asked]:
    """BadData names the line of a row that is no question."""
    found = []
    for number, example in enumerate(examples([recipe.questions]), 1):
        turns = tuple(turn.content for turn in example.turns if turn.role == "user")
        if example.kind not in ("questions", "conversation") or not turns:
            raise BadData(
                f"{example.path}, line {example.line} is no question.",
                "A line is an object with question_id, category and turns.",
            )
        said = example.extra
        found.append(Asked(str(said.get("question_id", number)), str(said.get("category", "")), turns))
        if recipe.limit is not None and len(found) == recipe.limit:
            break
    if not found:
        raise BadData(
            f"{recipe.questions} has no questions.", "A line is an object with question_id, category and turns."
        )
    return found


# --- answers ----------------------------------------------------------------------------------------------------------


def _answers(session: Session, recipe: JudgeRecipe, folder: Path, asked: list[Asked]) -> list[list[str]]:
    """What one model answers to each turn of each question."""
    kept = session.artifacts / ANSWERS / f"{_file_name(folder)}.json"
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = []
    if len(known) == len(asked):
        return list(known)
    session.phase("answering", folder.name)
    subject = Subject.load(session, folder, recipe.precision, recipe.allow_remote_code)
    said: list[list[str]] = [[] for _ in asked]
    for turn in range(max(len(each.turns) for each in asked)):
        rows = [row for row, each in enumerate(asked) if turn < len(each.turns)]
        for at in range(0, len(rows), AT_ONCE):
            part = rows[at : at + AT_ONCE]
            prompts = [_prompt(session, subject, recipe, asked[row].turns[: turn + 1], said[row]) for row in part]
            for row, text in zip(part, _write(session, recipe, subject, prompts, at), strict=True):
                said[row].append(text)
            session.progress(min(1.0, (at + len(part)) / len(rows)))
    kept.parent.mkdir(exist_ok=True)
    write_text(kept, json.dumps(said, ensure_ascii=False, indent=1))
    session.say(ev.SampleWritten(0, asked[0].turns[0], said[0][0], subject=folder.name))
    del subject
    gc.collect()
    return said


def _prompt(
    session: Session, subject: Subject, recipe: JudgeRecipe, turns: tuple[str, ...], said: list[str]
) -> list[int]:
    """The talk so far as ids, by the model's own template if it has one; cut at the front if there would be no room to answer."""
    tokenizer = subject.tokenizer
    if tokenizer.chat_template:
        talk = [{"role": "user", "content": turns[0]}]
        for answer, turn in zip(said, turns[1:], strict=True):
            talk += [{"role": "assistant", "content": answer}, {"role": "user", "content": turn}]
        text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, add_special_tokens=False).input_ids
    else:
        talked = "".join(f"Question: {q}\nAnswer: {a}\n\n" for q, a in zip(turns, said, strict=False))
        start = subject.framing(session, [turns[0]]).start
        ids = [*([] if start is None else [start])]
        ids += tokenizer(f"{talked}Question: {turns[-1]}\nAnswer:", add_special_tokens=False).input_ids
    context = context_of(subject.model)
    return list(ids[-max(1, context - min(recipe.answer_tokens, context // 2)) :])


def _write(session: Session, recipe: JudgeRecipe, subject: Subject, prompts: list[list[int]], at: int) -> list[str]:
    framing, tokenizer = subject.framing(session, ["Once upon a time"]), subject.tokenizer
    ends = {token for token in (tokenizer.eos_token_id, framing.end, *subject.info.eos_token_ids) if token is not None}
    rows = generate(
        subject.model,
        prompts,
        new_tokens=recipe.answer_tokens,
        temperature=recipe.temperature,
        ends=ends,
        generator=[torch.Generator().manual_seed(recipe.seed * 1_000_003 + at + row) for row in range(len(prompts))],
        pause=session.check_stop,
    )
    texts = [tokenizer.decode(row.ids, skip_special_tokens=True).strip() for row in rows]
    # a model without a template may go on with a question of its own
    return texts if tokenizer.chat_template else [text.split("\nQuestion:")[0].strip() for text in texts]


def _file_name(folder: Path) -> str:
    return f"{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"


# --- verdicts ---------------------------------------------------------------------------------------------------------


def _verdicts(
    session: Session, recipe: JudgeRecipe, asked: list[Asked], answers: dict[str, list[list[str]]]
) -> list[dict[str, Any]]:
    """A row for each pair of models and question, as the store keeps them; `winner` is "nonsense" where the judge said nothing usable."""
    file = session.artifacts / VERDICTS
    rows = _whole_lines(file)
    games = [(a, b, place) for a, b in itertools.combinations(recipe.models, 2) for place in range(len(asked))]
    if len(rows) < len(games):
        session.phase("judging", f"{len(games)} pairs of answers")
        judge = Subject.load(session, Path(recipe.judge), recipe.precision, recipe.allow_remote_code)
        _warn_of_family(session, recipe)
        cut = 0
        with file.open("a", encoding="utf-8") as stream:
            for a, b, place in games[len(rows) :]:
                row, was_cut = _judge(
                    session, recipe, judge, asked[place], (a, b), (answers[a][place], answers[b][place])
                )
                cut += was_cut
                rows.append(row)
                stream.write(json.dumps(row) + "\n")
                stream.flush()
                session.progress(len(rows) / len(games))
        if cut:
            session.notice(
                f"{cut} pairs of answers were longer than the judge's context; their ends were cut off.", "warning"
            )
    nonsense = sum(row["winner"] == "nonsense" for row in rows)
    if nonsense:
        session.notice(
            f"The judge's answer was of no use in {nonsense} of {len(rows)} pairs; they are left out of the table.",
            "warning",
        )
    return rows


def _whole_lines(file: Path) -> list[dict[str, Any]]:
    """The rows that were written whole; a torn last line is taken away."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_text(file, whole)
    return [json.loads(line) for line in whole.splitlines()]


def _warn_of_family(session: Session, recipe: JudgeRecipe) -> None:
    """A judge prefers what sounds like itself (Zheng et al., arXiv 2306.05685, section 3.3)."""
    kin = [Path(model).name for model in recipe.models if same_tokenizer(Path(recipe.judge), Path(model))[0]]
    if kin:
        session.notice(
            f"The judge has the tokenizer of {', '.join(kin)}: it may be of one family with them or with their teacher, and such judges "
            "prefer what sounds like themselves. Let another family judge, too.",
            "warning",
        )


def _judge(
    session: Session,
    recipe: JudgeRecipe,
    judge: Subject,
    asked: Asked,
    models: tuple[str, str],
    answers: tuple[list[str], list[str]],
) -> tuple[dict[str, Any], bool]:
    """One verdict from two readings: `a` first, and `b` first."""
    questions = "\n\n".join(asked.turns)
    texts = ["\n\n".join(answer) for answer in answers]
    forward, cut_one = _letters(session, judge, questions, texts[0], texts[1])
    backward, cut_two = _letters(session, judge, questions, texts[1], texts[0])
    masses = [math.exp(first) + math.exp(second) for first, second in (forward, backward)]
    margins = [forward[0] - forward[1], backward[1] - backward[0]]  # nats for `a`, in each order
    if min(masses) < LEAST_MASS:
        winner = "nonsense"
    else:
        winner = "a" if min(margins) > 0 else "b" if max(margins) < 0 else "tie"
    row = {
        "question": questions,
        "a": models[0],
        "b": models[1],
        "answer_a": texts[0],
        "answer_b": texts[1],
        "winner": winner,
        "category": asked.category,
        "judge": recipe.judge,
        "time": time.time(),
        "question_id": asked.id,
        "margins": margins,
        "letters": masses,
    }
    return row, cut_one or cut_two


@torch.inference_mode()
def _letters(
    session: Session, judge: Subject, question: str, first: str, second: str
) -> tuple[tuple[float, float], bool]:
    """The judge's log-probabilities of A and B, in nats, and whether the answers had to be cut to fit its context."""
    context = context_of(judge.model) - 4
    ids, cut = _judge_prompt(session, judge, question, first, second), False
    while len(ids) > context and max(len(first), len(second)) > 20:
        cut = True
        share = max(0.1, 0.9 * context / len(ids))
        first, second = first[: int(len(first) * share)], second[: int(len(second) * share)]
        ids = _judge_prompt(session, judge, question, first, second)
    cut, ids = cut or len(ids) > context, ids[-context:]
    ends = [judge.tokenizer(f"Answer {letter}", add_special_tokens=False).input_ids for letter in "AB"]
    begin = judge.tokenizer("Answer", add_special_tokens=False).input_ids
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    # what the two have in common behind "Answer", a blank of its own say, belongs to the prompt
    prompt = ids + ends[0][len(begin) : same]
    rows = [prompt + end[same:] for end in ends]
    length = max(map(len, rows))
    ids_BT = torch.zeros(2, length, dtype=torch.long)
    counts_BT = torch.zeros(2, length - 1, dtype=torch.bool)
    for row, whole in enumerate(rows):
        ids_BT[row, : len(whole)] = torch.tensor(whole)
        counts_BT[row, len(prompt) - 1 : len(whole) - 1] = True
    said = token_log_probs(Reader.of(judge.model), ids_BT, counts_BT)
    sizes = counts_BT.sum(1).tolist()
    a, b = said.split(sizes)
    return (float(a.sum()), float(b.sum())), cut


def _judge_prompt(session: Session, judge: Subject, question: str, first: str, second: str) -> list[int]:
    """Ids up to where the judge says A or B."""
    text = (
        "Two assistants answered the same question. Say which answer is better: more helpful, relevant, correct and detailed. "
        "Neither their order nor their length matters.\n\n"
        f"[Question]\n{question}\n\n[Answer A]\n{first}\n\n[Answer B]\n{second}\n\n"
    )
    tokenizer, lead = judge.tokenizer, "The better one is Answer"
    if tokenizer.chat_template:
        talk = [{"role": "user", "content": f"{text}Reply with “{lead} A” or “{lead} B”."}]
        said = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) + lead
        return list(tokenizer(said, add_special_tokens=False).input_ids)
    start = judge.framing(session, [text]).start
    return [*([] if start is None else [start]), *tokenizer(text + lead, add_special_tokens=False).input_ids]


# --- the table --------------------------------------------------------------------------------------------------------


def _results(recipe: JudgeRecipe, rows: list[dict[str, Any]]) -> dict[str, Any]:
    known = Verdict.__dataclass_fields__
    told = [Verdict(**{k: v for k, v in row.items() if k in known}) for row in rows if row["winner"] != "nonsense"]
    winners = Counter(row["winner"] for row in rows)
    return {
        "judge": recipe.judge,
        "verdicts": len(rows),
        "nonsense": winners["nonsense"],
        "ties": winners["tie"],
        "strengths": [vars(each) for each in strengths(told, seed=recipe.seed)],
        "records": [vars(each) for each in records(told)],
    }

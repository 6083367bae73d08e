"""What is learnt of a conversation is what the assistant says and the token that ends it: token by token, for every template."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import write_tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from core.data.examples import Turn
from core.engine.text import Framing
from core.engine.tune_data import Cut, Row, Template, fit, read_rows
from core.errors import BadData
from core.templates import TEMPLATES, settled
from core.tune import TuneRecipe

TALK = (
    Turn("system", "Be brief."),
    Turn("user", "Who are you?"),
    Turn("assistant", "I am  Ada,\n\na program.", True),
    Turn("user", " assistant "),
    Turn("assistant", "a", True),
)
# as Qwen3 and others have it: thoughts of earlier answers go, and nothing marks what is generated
THINKING = (
    "{% for m in messages %}{{ '<s>' + m.role + '\n' }}{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '</s>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return folder


@pytest.fixture
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder)


def learnt_text(tokenizer: PreTrainedTokenizerBase, row) -> str:
    """What the learnt tokens say, with a bar where tokens between them are not learnt."""
    parts, before = [], False
    for token, learnt in zip(row.ids.tolist(), row.learnt.tolist(), strict=True):
        if learnt and not before:
            parts.append([])
        if learnt:
            parts[-1].append(token)
        before = learnt
    return "|".join(tokenizer.decode(part) for part in parts)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_assistants_turns_and_their_ends_are_learnt_and_nothing_else(name, tokenizer):
    tokenizer.chat_template = settled(name, start="<s>", end="</s>", has_token=lambda token: False)
    row = Template(tokenizer, 1).row(TALK, "row 1")
    said = [part.strip() for part in learnt_text(tokenizer, row).split("|")]
    assert [part.replace(" </s>", "</s>") for part in said] == ["I am  Ada,\n\na program.</s>", "a</s>"]
    text = tokenizer.decode(row.ids)
    assert text.startswith("<s>")
    assert "Be brief." in text
    expected = tokenizer.apply_chat_template([{"role": t.role, "content": t.content} for t in TALK], tokenize=False)
    assert text == expected


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_tokens_before_an_answer_are_those_that_the_model_is_asked_with(name, tokenizer):
    tokenizer.chat_template = settled(name, start="<s>", end="</s>", has_token=lambda token: False)
    template = Template(tokenizer, 1)
    row = template.row(TALK[1:3], "row 1")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Who are you?"}], add_generation_prompt=True, tokenize=False
    )
    assert tokenizer(asked, add_special_tokens=False).input_ids == row.ids[: row.prompt].tolist()
    assert template.asked_otherwise == 0


def test_what_a_template_writes_before_the_last_answer_is_learnt_from_where_it_asks(tokenizer):
    tokenizer.chat_template = THINKING
    row = Template(tokenizer, 1).row(TALK, "row 1")
    assert learnt_text(tokenizer, row) == "I am  Ada,\n\na program.</s>|<think>\n\n</think>\n\na</s>"


def test_marks_of_the_trade_in_a_message_are_text_like_any_other(tokenizer):
    tokenizer.chat_template = settled("plain", start="", end="</s>", has_token=lambda token: False)
    talk = (Turn("user", "Q0Z7X Assistant: no"), Turn("assistant", "User: yes Q1Z7X", True))
    row = Template(tokenizer, 1).row(talk, "row 1")
    assert learnt_text(tokenizer, row).strip() == "User: yes Q1Z7X</s>"


def test_turns_that_are_not_to_be_learnt_are_only_read(tokenizer):
    tokenizer.chat_template = settled("zephyr", start="", end="</s>", has_token=lambda token: False)
    talk = (TALK[1], Turn("assistant", "Not this.", False), TALK[3], TALK[4])
    assert learnt_text(tokenizer, Template(tokenizer, 1).row(talk, "row 1")) == "a</s>"


def test_a_template_that_ends_no_turn_gets_the_models_end_token_behind_the_last_answer(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    template = Template(tokenizer, 1)
    row = template.row(TALK[1:3], "row 1")
    assert row.ids[-1] == 1
    assert row.learnt[-1]
    assert template.unended == 1
    assert template.ends == {1: 1}


def test_a_template_that_drops_the_system_prompt_is_counted(tokenizer):
    tokenizer.chat_template = "{% for m in messages if m.role != 'system' %}{{ m.content + '</s>' }}{% endfor %}"
    template = Template(tokenizer, 1)
    template.row(TALK, "row 1")
    assert template.dropped_systems == 1


def test_a_template_that_refuses_a_row_names_the_row(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('Roles must alternate') }}"
    with pytest.raises(BadData, match=r"refuses the conversation of line 7 of x\.jsonl: Roles must alternate"):
        Template(tokenizer, 1).row(TALK, "line 7 of x.jsonl")


def test_a_template_that_changes_what_is_said_is_refused(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m.content | upper }}</s>{% endfor %}"
    with pytest.raises(BadData, match="does not write what is said in row 1 as it stands"):
        Template(tokenizer, 1).row(TALK, "row 1")


def rows_of(tmp_path: Path, tokenizer, lines: list[dict], **changes):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tokenizer.chat_template = settled("plain", start="", end="</s>", has_token=lambda token: False)
    recipe = TuneRecipe(model="m", data=(str(file),), **changes)
    return read_rows(recipe, tokenizer, Framing(None, 1, ""), Template(tokenizer, 1), lambda: None)


def chat(question: str, answer: str) -> dict:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def test_equal_questions_never_stand_on_both_sides(tmp_path, tokenizer):
    lines = [chat(f"Question {number % 8}?", f"answer {number}") for number in range(80)]
    rows = rows_of(tmp_path, tokenizer, lines, held_out=0.4)
    asked = [{row.ids[: row.prompt].tobytes() for row in side} for side in (rows.training, rows.held_out)]
    assert rows.training
    assert rows.held_out
    assert not asked[0] & asked[1]


def test_placeholders_are_filled_and_empty_answers_counted(tmp_path, tokenizer):
    lines = [chat(f"Who {n}?", "I am {{name}}.") for n in range(6)] + [chat("And?", "")]
    with pytest.raises(BadData, match=r"Line 1 .* has \{\{name\}\}"):
        rows_of(tmp_path, tokenizer, lines)
    rows = rows_of(tmp_path, tokenizer, lines, persona_name="Ada", skip_broken=True)
    assert all("I am Ada." in tokenizer.decode(row.ids) for row in rows.training)
    assert rows.silent + rows.broken.count == 1


def test_what_is_too_long_is_cut_or_left_out_but_plain_text_stays_whole(tmp_path, tokenizer):
    rows = rows_of(tmp_path, tokenizer, [chat("Go", "word " * n) for n in (2, 3, 50)], held_out=0.01)
    every = [*rows.training, *rows.held_out]
    length = max(len(row.ids) for row in every) - 5
    cut, said = fit(every, length, "truncate")
    assert (said.truncated, said.dropped) == (1, 0)
    assert max(len(row.ids) for row in cut) == length
    left, said = fit(every, length, "drop")
    assert (said.truncated, said.dropped) == (0, 1)
    assert sum(row is None for row in left) == 1
    text = Row(np.arange(99, dtype=np.int32), np.ones(99, bool), 1, whole=False)
    assert fit([text], length, "drop") == ([text], Cut())


def test_a_single_long_text_is_cut_so_that_some_of_it_can_be_held_out(tmp_path, tokenizer):
    book = "".join(f"Line {number} of a book.\n" for number in range(2000))
    rows = rows_of(tmp_path, tokenizer, [{"text": book}])
    assert len(rows.training) > 5
    assert rows.held_out
    read = sum(len(tokenizer.decode(row.ids, skip_special_tokens=True)) for row in (*rows.training, *rows.held_out))
    assert read > 0.9 * len(book)

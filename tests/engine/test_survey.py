"""Statistics of data: lengths as the tokenizer counts them, what is cut off, and what stands there twice."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from tiny import beginnings, events_of, history_of, load, run_engine
from transformers.utils.chat_template_utils import render_jinja_template

from core import events as ev
from core.data.rendering import ChatTemplate
from core.data.turns import Turn
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.duplicates import NearDuplicates, key_of, minhash_of, shingles
from core.engine.session import Session
from core.engine.survey import histogram
from core.home import Home
from core.runs import KEEP, RunFolder, new_run
from core.survey import SurveyRecipe

pytestmark = pytest.mark.usefixtures("in_process")

TEXTS = beginnings(40)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """40 texts, two of them again, and one of these changed in one word."""
    first = " ".join(beginnings(8, characters=4000)[:8])
    changed = first.replace(first.split()[40], "otherwise", 1)
    file = tmp_path / "texts.jsonl"
    rows = [*TEXTS, first, TEXTS[3], TEXTS[3] + " ", changed]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")
    return file


def surveyed(home: Home, code: int = FINISHED, **fields) -> RunFolder:
    run = new_run(home, SurveyRecipe(**fields))
    assert work(run, "cpu") == code, history_of(run).failure
    return run


def test_lengths_are_those_of_the_tokenizer_and_duplicates_are_found(home, teacher, texts) -> None:
    results = history_of(surveyed(home, data=(str(texts),), model=str(teacher), context=64)).results
    tokenizer = load(teacher)[1]
    rows = [json.loads(line)["text"] for line in texts.read_text("utf-8").splitlines()]
    lengths = np.array([len(tokenizer(text).input_ids) for text in rows])
    assert (results["documents"], results["tokens"], results["longest"]) == (44, lengths.sum(), lengths.max())
    assert results["bytes"] == sum(len(text.encode()) for text in rows)
    assert results["truncated"] == pytest.approx((lengths > 64).mean(), abs=1e-6)
    assert results["truncated_tokens"] == pytest.approx(np.maximum(lengths - 64, 0).sum() / lengths.sum(), abs=1e-6)
    edges = results["lengths"]["edges"]
    assert results["lengths"]["counts"] == np.histogram(lengths, edges)[0].tolist()
    assert results["exact_duplicates"] == 2
    assert results["near_duplicates"] == 1
    assert results["near_duplicates_shown"][0]["place"] == f"line 44 of {texts}"
    assert results["near_duplicates_shown"][0]["like"] == f"line 41 of {texts}"


def test_conversations_are_counted_as_the_template_writes_them(home, teacher, tmp_path) -> None:
    file = tmp_path / "chats.jsonl"
    chat = {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": ""}]}
    file.write_text(json.dumps(chat) + "\ntorn\n", encoding="utf-8")
    run = surveyed(home, data=(str(file),), model=str(teacher), template="plain", skip_broken=True)
    results = history_of(run).results
    assert json.loads(Path(results["artifact"]).read_text("utf-8")) == {
        name: value for name, value in results.items() if name != "artifact"
    }
    ids = load(teacher)[1]("<s>User: Hi.\nAssistant: </s>\n", add_special_tokens=False).input_ids
    assert (results["documents"], results["tokens"], results["broken"]) == (1, len(ids), 1)
    assert results["roles"] == {"user": 1, "assistant": 1}
    assert "empty" in results["flaws"][0]["text"]


def test_a_broken_row_fails_the_run_with_its_place(home, texts) -> None:
    texts.write_text("torn\n", encoding="utf-8")
    run = surveyed(home, FAILED, data=(str(texts),))
    assert f"Line 1 of {texts}" in history_of(run).failure.what


def test_a_stopped_survey_begins_again(home, texts, monkeypatch) -> None:
    run = new_run(home, SurveyRecipe(data=(str(texts),)))
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if session.phase_name == "reading" else None)
    assert work(run, "cpu") == STOPPED
    monkeypatch.setattr(Session, "stop_wish", lambda session: None)
    assert work(run, "cpu") == FINISHED
    results = history_of(run).results
    assert (results["documents"], results["unit"], results["tokens"]) == (44, "characters", None)
    assert results["mean_length"] == pytest.approx(results["characters"] / 44, abs=0.01)


@pytest.mark.slow
def test_a_process_of_its_own_does_it_without_torch(home, texts) -> None:
    run = new_run(home, SurveyRecipe(data=(str(texts),)))
    assert run_engine(run) == FINISHED
    assert history_of(run).results["documents"] == 44
    assert events_of(run, ev.PhaseProgressed)[-1].share == 1.0


def test_the_estimate_of_nearness_is_that_of_the_shingles() -> None:
    """Against the Jaccard index itself, within four standard errors of 128 permutations."""
    draw = random.Random(3)
    words = [f"w{number}" for number in range(400)]
    text = " ".join(words)
    for share in (0.01, 0.05, 0.2):
        other = " ".join("x" if draw.random() < share else word for word in words)
        one, two = shingles(text), shingles(other)
        truth = len(one & two) / len(one | two)
        estimate = minhash_of(text).jaccard(minhash_of(other))
        assert abs(estimate - truth) < 4 * (truth * (1 - truth) / 128) ** 0.5 + 1e-9
        near = NearDuplicates(0.6)
        near.keep("first", minhash_of(text))
        found = near.nearest(minhash_of(other))
        assert (found is not None) == (estimate >= 0.6)
    assert minhash_of(" \n… ") is None
    assert len(shingles("猫が好きです。犬も。")) > 1


def test_texts_that_differ_in_white_space_alone_are_the_same() -> None:
    assert key_of("a  b\n") == key_of(" a b") != key_of("ab")


@pytest.mark.parametrize("lengths", [[0, 0, 3], [5], [1, 1, 1], list(range(1000)), [7, 10_000_000]])
def test_every_length_is_in_one_bin_of_the_histogram(lengths: list[int]) -> None:
    found = histogram(np.array(lengths))
    assert sum(found["counts"]) == len(lengths)
    assert len(found["edges"]) == len(found["counts"]) + 1
    assert found["edges"] == sorted(set(found["edges"]))
    assert found["edges"][0] <= min(lengths) <= max(lengths) < found["edges"][-1]


TEMPLATES = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}!{% endgeneration %}{% endif %}\n"
    "    {% if m.role == 'system' %}{% continue %}{% endif %}{{ loop.index }}{% endfor %}",
    "{{ bos_token }}{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}{{ messages[0]['content'] | trim }}",
)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("generation", [False, True])
def test_our_rendering_of_templates_is_that_of_transformers(template: str, generation: bool) -> None:
    turns = (Turn("system", " Be brief."), Turn("user", "Hi."), Turn("assistant", "Good.", True))
    tools = '[{"name": "f", "arguments": {"ü": 1}}]'
    [expected], _ = render_jinja_template(
        [[{"role": turn.role, "content": turn.content} for turn in turns]],
        tools=json.loads(tools),
        chat_template=template,
        add_generation_prompt=generation,
        bos_token="<s>",
    )
    assert ChatTemplate(template, {"bos_token": "<s>"}).text(turns, tools, generation=generation) == expected

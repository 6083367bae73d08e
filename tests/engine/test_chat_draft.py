"""A draft changes the speed, never what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_chat_answers import GREEDY, ask, prompt, write
from tiny import tiny_model, train_briefly, write_tokenizer

from core.chat import ChatTrouble, Sampling
from core.engine import chat_draft
from core.engine.chat_choosing import Chooser
from core.engine.chat_draft import Drafting, improvement, refuse_other_tokenizer, verify
from core.engine.chat_voice import Voice


def write_voice(folder: Path, seed: int, steps: int = 0, **changes: Any) -> Voice:
    model = tiny_model(seed=seed, **changes)
    if steps:  # both learn the same texts, so that drafts are often right
        train_briefly(model, [prompt(30, index) for index in range(8)], steps)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    voice = Voice(folder)
    voice.ends = set()
    return voice


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Voice, Voice]:
    folder = tmp_path_factory.mktemp("pair")
    return write_voice(folder / "teacher", 1, 60), write_voice(folder / "student", 2, 60, num_hidden_layers=1)


def long_answers(voice: Voice, **more: Any) -> list[list[int]]:
    sampling = GREEDY.model_copy(update={"max_new_tokens": 60, **more.pop("sampling", {})})
    return [write(ask(voice, prompt(length, length % 8), sampling, **more))[0] for length in (4, 9, 20)]


@pytest.mark.parametrize("settings", [{}, {"repetition_penalty": 1.3}])
def test_greedy_text_is_the_teachers_own_token_for_token(pair: tuple[Voice, Voice], settings: dict[str, Any]) -> None:
    teacher, student = pair
    assert long_answers(teacher, draft=student, sampling=settings) == long_answers(teacher, sampling=settings)


def test_a_good_student_is_often_accepted_and_a_bad_one_switched_off_with_the_same_text(
    pair: tuple[Voice, Voice], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, student = pair
    monkeypatch.setattr(chat_draft, "_cost", lambda voice: float(voice.layers))  # as if nothing but layers took time
    good = ask(teacher, prompt(9, 1), GREEDY.model_copy(update={"max_new_tokens": 60}), draft=student)
    write(good)
    found = good.speculation()
    assert found is not None
    assert found.acceptance is not None
    assert found.accepted + 3 <= good.tokens
    bad_student = write_voice(tmp_path / "bad", 9)
    bad = ask(teacher, prompt(9, 1), GREEDY.model_copy(update={"max_new_tokens": 60}), draft=bad_student)
    assert write(bad) == [good.ids[9:]]
    result = bad.speculation()
    assert result is not None
    assert result.at_once == 0
    assert "switched off" in bad.drafting.note
    assert result.acceptance < found.acceptance


def test_the_next_turn_uses_what_both_have_read(pair: tuple[Voice, Voice]) -> None:
    teacher, student = pair
    first = ask(teacher, prompt(9, 1), draft=student)
    write(first)
    longer = [*first.ids, 7, 8]
    second = ask(teacher, longer, draft=student)
    plain = ask(teacher, longer)
    assert write(second) == write(plain)
    assert second.kept >= len(first.ids) - 1


def test_a_seed_writes_the_same_again_with_a_draft(pair: tuple[Voice, Voice]) -> None:
    teacher, student = pair
    sampling = Sampling(temperature=1, seed=3, max_new_tokens=40)
    texts = [write(ask(teacher, prompt(5), sampling, draft=student)) for _ in range(2)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("settings", [{"top_p": 1.0}, {"top_p": 0.8, "top_k": 6, "temperature": 1.3}])
def test_what_is_drawn_with_drafts_is_distributed_as_the_teachers_own(settings: dict[str, Any]) -> None:
    """Chi-squared of the first two tokens after drafts of a very different student, against the exact distribution."""
    classes, draws = 5, 1200
    torch.manual_seed(0)
    teacher_VV, student_VV = 1.5 * torch.randn(classes, classes), 1.5 * torch.randn(classes, classes)
    sampling = Sampling(**{"temperature": 1.0, "min_p": 0.0, **settings})
    chooser = Chooser(sampling, 11)
    counts = torch.zeros(classes, classes, dtype=torch.float64)

    class Told:
        def __init__(self) -> None:
            self.chooser, self.ids, self.voice = chooser, [0], None

    accepted = 0
    for _ in range(draws):
        told: Any = Told()
        drafts, bent = [], []
        for last in (0, None):
            scores_V = student_VV[drafts[-1] if last is None else last]
            bent.append(chooser.processed(scores_V, [0, *drafts]))
            drafts.append(chat_draft._drawn(bent[-1], told))
        scores_TV = torch.stack([teacher_VV[token] for token in (0, *drafts)])
        tokens = verify(told, drafts, bent, scores_TV)
        accepted += len(tokens) - 1
        while len(tokens) < 2:  # the round was short: the teacher goes on by itself
            tokens.append(chooser.choose(teacher_VV[tokens[-1]], [0, *tokens]))
        counts[tokens[0], tokens[1]] += 1
    p_V = chooser.processed(teacher_VV[0], [0]).double().softmax(0)
    after_VV = torch.stack([chooser.processed(teacher_VV[v], [0]).double().softmax(0) for v in range(classes)])
    expected = draws * p_V[:, None] * after_VV
    assert counts[expected == 0].sum() == 0
    likely = expected >= 5
    statistic = float(((counts - expected)[likely] ** 2 / expected[likely]).sum())
    freedom = int(likely.sum()) - 1
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5
    assert 0 < accepted < 2 * draws


def test_how_many_are_drafted_is_what_promises_most() -> None:
    """Leviathan et al., table 1 (arXiv 2211.17192): for a draft that costs nothing, α 0.8 and γ 5 make 3.69 tokens a pass."""
    assert improvement(0.8, 0.0, 5) == pytest.approx(3.69, abs=0.005)
    assert improvement(0.6, 0.0, 2) == pytest.approx(1.96, abs=0.005)
    assert improvement(1.0, 0.0, 4) == 5
    assert improvement(0.3, 0.5, 1) < 1


def test_a_student_of_another_tokenizer_is_refused_in_words(pair: tuple[Voice, Voice], tmp_path: Path) -> None:
    teacher, student = pair
    tiny_model(seed=3).save_pretrained(tmp_path / "other")
    write_tokenizer(tmp_path / "other", entries=300)
    with pytest.raises(ChatTrouble, match="can't draft"):
        refuse_other_tokenizer(teacher, Voice(tmp_path / "other"))
    with pytest.raises(ChatTrouble, match="itself"):
        refuse_other_tokenizer(teacher, teacher)
    refuse_other_tokenizer(teacher, student)
    assert Drafting(teacher, student).on

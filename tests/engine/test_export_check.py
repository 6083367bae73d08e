"""The check that stands between an export and its place: what it lets pass, and what it must catch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import REPOSITORY, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.engine.exporting import check
from core.engine.exporting.check import ExportFailed, Reference
from core.engine.exporting.gguf_file import Manners
from core.engine.exporting.runtimes import Transformers
from core.templates import settled
from resources.sample.stories import stories

SAMPLE = REPOSITORY / "resources" / "sample" / "stories-0.8M"
TEMPLATE = settled("plain", start="", end="</s>", has_token=lambda _: False)
MANNERS = Manners(TEMPLATE, (1,))
PROMPTS = ("Once upon a time", "One day, a boy")


@pytest.fixture(scope="module")
def original() -> Transformers:
    return Transformers(
        AutoModelForCausalLM.from_pretrained(SAMPLE, dtype=torch.float32), AutoTokenizer.from_pretrained(SAMPLE)
    )


@pytest.fixture(scope="module")
def reference(original: Transformers) -> Reference:
    return check.ask_original(original, MANNERS, list(stories(3, 4)), PROMPTS, 12, 300, lambda _: None)


def compared(runtime: Any, reference: Reference, weight_type: str) -> list[check.Comparison]:
    tokenizer = AutoTokenizer.from_pretrained(SAMPLE)
    return check.compare_answers(runtime, reference, weight_type, 12, (1,), tokenizer, lambda _: None)


def test_the_original_is_itself(original: Transformers, reference: Reference) -> None:
    found = compared(original, reference, "f32")
    assert [one.first_difference for one in found] == [None, None]
    scores = check.compare_scores(original, reference, "f32", None, lambda _: None)
    assert scores["perplexity"]["change"] == pytest.approx(0, abs=1e-9)
    assert scores["agreement"] == 1
    verdict = check.verdict("here", found, scores, MANNERS)
    assert (verdict["equal_answers"], verdict["template"], verdict["stops"]) == (2, "same", [1])


def test_perplexity_is_the_model_s_own_loss(original: Transformers, reference: Reference) -> None:
    nll = 0.0
    for ids in reference.texts:
        ids_1T = torch.tensor([ids])
        nll += original.model(input_ids=ids_1T, labels=ids_1T).loss.item() * (len(ids) - 1)
    assert sum(len(ids) - 1 for ids in reference.texts) == reference.tokens
    assert reference.nll == pytest.approx(nll, rel=1e-5)


def test_another_model_is_not_taken_for_the_original(reference: Reference) -> None:
    other = Transformers(tiny_model(vocab_size=2048), AutoTokenizer.from_pretrained(SAMPLE))
    with pytest.raises(ExportFailed, match="f32 does not explain that"):
        compared(other, reference, "f32")
    with pytest.raises(ExportFailed, match=r"where q8_0 may cost 5\.0%"):
        check.compare_scores(other, reference, "q8_0", None, lambda _: None)
    with pytest.raises(ExportFailed, match=r"may cost 1\.0%"):
        check.compare_scores(other, reference, "q4_0", 0.01, lambda _: None)


class _Changed:
    """The original with other ids or answers."""

    name = "a runtime"

    def __init__(self, original: Transformers, *, first: int | None = None, place: int | None = None) -> None:
        self.original, self.first, self.place = original, first, place

    def encode(self, text: str) -> list[int]:
        ids = self.original.encode(text)
        return ids if self.first is None else [self.first, *ids[1:]]

    def greedy(self, ids: Any, new_tokens: int, stops: Any) -> list[int]:
        said = self.original.greedy(ids, new_tokens, stops)
        if self.place is not None:
            said[self.place] = (said[self.place] + 1) % 2048
        return said


def test_other_ids_of_a_prompt_fail(original: Transformers, reference: Reference) -> None:
    with pytest.raises(ExportFailed, match="as other tokens"):
        compared(_Changed(original, first=5), reference, "q4_0")


def test_a_difference_is_forgiven_only_where_the_original_hardly_cared(
    original: Transformers, reference: Reference
) -> None:
    margins = reference.answers[0].margins
    sure = max(range(len(margins)), key=margins.__getitem__)
    assert margins[sure] > 1
    with pytest.raises(ExportFailed, match="does not explain"):
        compared(_Changed(original, place=sure), reference, "f32")
    found = compared(_Changed(original, place=sure), reference, "q4_0")  # quantized: told, and left to the perplexity
    assert found[0].first_difference == sure
    assert found[0].margin == pytest.approx(margins[sure], abs=1e-3)


def name(token: int) -> str:
    return f"<{token}>"


def test_a_missing_stop_token_fails(reference: Reference) -> None:
    with pytest.raises(ExportFailed, match=r"does not stop at <1> \(1\)"):
        check.compare_manners(reference, TEMPLATE, (2,), reference.conversation, name)
    check.compare_manners(reference, TEMPLATE, (2, 1), reference.conversation, name)


def test_a_wrong_or_lost_template_fails(reference: Reference) -> None:
    tokenizer = AutoTokenizer.from_pretrained(SAMPLE)
    other = settled("zephyr", start="", end="</s>", has_token=lambda _: False)
    with pytest.raises(ExportFailed, match=r"writes a conversation otherwise: '<\|user\|>"):
        check.compare_manners(reference, other, (1,), check.written(tokenizer, other), name)
    with pytest.raises(ExportFailed, match="has no chat template"):
        check.compare_manners(reference, None, (1,), None, name)


def test_the_bounds_are_wider_for_fewer_bits() -> None:
    bounds = [check.MOST_LOSS[name] for name in ("f32", "f16", "bf16", "int8")]
    assert bounds == sorted(bounds)
    assert bounds[-1] < check.MOST_LOSS_OTHERWISE
    assert Path(SAMPLE).is_dir()

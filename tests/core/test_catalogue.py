"""The catalogue: every model's parameters counted from its config are those that its authors publish."""

from __future__ import annotations

import pytest

from core import law
from core.catalogue import KnownModel, known, known_models, teachers_for
from core.shapes import count_parameters


@pytest.mark.parametrize("model", [m for m in known_models() if m.student_can_be_cut], ids=lambda model: model.name)
def test_counts_are_the_published_ones(model: KnownModel) -> None:
    assert count_parameters(model.config).total == model.parameters


def test_architectures_that_are_not_taken_apart_are_counted_by_hand() -> None:
    def dense(model: KnownModel, norms: int, biases: int = 0, tied: bool = False, gates: int = 3) -> int:
        config, width = model.config, model.hidden
        keys = width * config["num_key_value_heads"] // config["num_attention_heads"]
        attention = 2 * width * width + 2 * width * keys
        layer = attention + gates * width * config["intermediate_size"] + norms * width + biases
        return (1 if tied else 2) * model.vocabulary * width + model.layers * layer

    for model in known_models():
        kind, width = model.config["model_type"], model.hidden
        if kind == "olmo":  # norms without weights
            assert model.parameters == dense(model, 0, tied="1B" in model.name)
        elif kind == "olmo2":  # of queries, keys, and behind both halves of a layer
            assert model.parameters == dense(model, 4) + width
        elif kind == "phi3":
            assert model.parameters == dense(model, 2) + width
        elif kind == "phi":
            biases = 4 * width + model.config["intermediate_size"] + width
            assert model.parameters == dense(model, 2, biases + 0, gates=2) + 2 * width + model.vocabulary
        else:
            assert model.student_can_be_cut


def test_every_family_that_people_start_from_is_there() -> None:
    families = {model.family.split()[0].rstrip("0123456789.") for model in known_models()}
    assert families >= {"Pythia", "GPT-", "Qwen", "Llama", "SmolLM", "Gemma", "OLMo", "Phi", "Mistral", "TinyLlama"}
    assert len({model.name for model in known_models()}) == len(known_models())
    assert all(model.license and model.source.endswith("huggingface.co") for model in known_models())


def test_the_law_names_teachers_before_anything_is_downloaded() -> None:
    named = teachers_for(160_000_000)
    assert named[0][1] is law.Badge.IN_BAND
    assert 2 < named[0][0].parameters / 160e6 < 3.33
    assert known("eleutherai/PYTHIA-410m") in [model for model, _ in named]
    assert known("nobody/nothing") is None

"""Recipes of merges: mergekit's YAML read, written back, and refused in words."""

from __future__ import annotations

import pytest
import yaml

from core.errors import BadRecipe
from core.merge.document import ModelRef, setting_of
from core.merge.methods import METHODS
from core.merge.recipe import read_documents, write_documents

SLICED = """\
slices:
  - sources:
      - model: org/a
        layer_range: [0, 8]
      - model: org/b@v2
        layer_range: [4, 12]
        parameters:
          weight: 0.25
    parameters: {density: 0.5}
merge_method: ties
base_model: org/a
parameters:
  weight:
    - filter: self_attn
      value: [0, 0.5, 1]
    - filter: mlp
      value: 1e-1
    - value: 0.75
  normalize: true
  int8_mask: true
dtype: bfloat16
out_dtype: float16
tokenizer:
  source: union
  pad_to_multiple_of: 64
  tokens:
    <|im_start|>:
      source: org/a
      force: true
    <pad>:
      source: {kind: zero}
    <x>:
      source: {kind: model_token, model: org/a, token: hello}
chat_template: "{{ messages }}"
"""
PLAIN = "models:\n  - model: a\n  - model: b+lora\n    parameters: {weight: 0.5}\nmerge_method: linear\nparameters: {weight: 1}\n"
TREE = f"name: first\n{PLAIN}---\n{PLAIN.replace('a', 'first', 1).replace('model: a', 'model: first')}"


@pytest.mark.parametrize("text", [SLICED, PLAIN, TREE])
def test_a_recipe_is_written_back_with_every_value_in_its_order(text):
    documents = read_documents(text)
    written = write_documents(documents)
    assert list(yaml.safe_load_all(written)) == list(yaml.safe_load_all(text))
    assert [list(raw) for raw in yaml.safe_load_all(written)] == [list(raw) for raw in yaml.safe_load_all(text)]
    assert read_documents(written) == documents


def test_what_a_recipe_says_is_understood():
    (document,) = read_documents(SLICED)
    part = document.slices[0]
    assert [source.layers for source in part.sources] == [(0, 8), (4, 12)]
    assert part.sources[1].model == ModelRef("org/b", None, "v2")
    assert document.tokenizer.pad_to_multiple_of == 64
    assert document.tokenizer.tokens["<|im_start|>"].force
    assert document.tokenizer.tokens["<pad>"].model is None
    assert document.tokenizer.tokens["<x>"].token == "hello"
    (plain,) = read_documents(PLAIN)
    assert plain.models() == [ModelRef("a"), ModelRef("b", "lora")]


@pytest.mark.parametrize(
    ("tensor", "t", "source", "expected"),
    [
        ("model.layers.0.self_attn.q_proj.weight", 0.25, {}, 0.25),  # a gradient, halfway to its middle
        ("model.layers.0.self_attn.q_proj.weight", 0.75, {}, 0.75),
        ("model.layers.0.mlp.up_proj.weight", 0.3, {}, 0.1),  # 1e-1 is text to YAML
        ("model.norm.weight", 0.0, {}, 0.75),  # the first entry without a filter
        ("model.norm.weight", 0.0, {"weight": 0.25}, 0.25),  # what stands at the model goes first
    ],
)
def test_a_parameter_is_found_by_filter_gradient_and_precedence(tensor, t, source, expected):
    (document,) = read_documents(SLICED)
    weight = METHODS["ties"].parameter("weight")
    found = setting_of(weight, [source, document.slices[0].parameters, *document.parameters], tensor, t)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("merge_method: ties", "merge_method: tise"), "Did you mean ties?"),
        (("dtype: bfloat16\n", "dtyp: bfloat16\n"), "'dtyp' is no known key. Did you mean dtype?"),
        (("  normalize:", "  normalise:"), "ties has no such parameter. Did you mean normalize?"),
        (("dtype: bfloat16\n", "dtype: bf16\n"), "'bf16' is not one of"),
        (("[0, 8]", "[0, 9]"), "have 8 and 9 layers"),
        (("{density: 0.5}", "{density: 1.5}"), "slices[0].parameters.density: it is 1.5, and must be between 0 and 1"),
        (("    parameters: {density: 0.5}", "    residual_weight: 0.5"), "'residual_weight' is not supported"),
        (
            ("model: org/a\n        layer_range: [0, 8]", "layer_range: [0, 8]"),
            "sources[0].model: the model is missing",
        ),
        (
            ("merge_method: ties", "merge_method: ties\nmodels: [{model: x}]"),
            "exactly one of models, slices and modules",
        ),
        (("  source: union\n", "  source: union\n  rows: 3\n"), "'rows' is no known key"),
        (("dtype: bfloat16", "dtype: bfloat16\ndtype: float16"), "'dtype' stands twice"),
        (("dtype: bfloat16", "dtype: [bfloat16"), "is not valid YAML"),
        (('"{{ messages }}"', "exaone"), "the template 'exaone' is not at hand"),
        (("base_model: org/a\n", ""), "TIES needs a base_model"),
        (("force: true", "force: maybe"), "must be true or false"),
    ],
)
def test_what_is_wrong_is_said_by_its_name(change, said):
    assert change[0] in SLICED
    with pytest.raises(BadRecipe) as caught:
        read_documents(SLICED.replace(*change), "r.yml")
    assert said in str(caught.value)
    assert "r.yml" in str(caught.value)


def test_a_parameter_of_other_methods_is_noted_not_ignored():
    text = "models: [{model: a}, {model: b}]\nmerge_method: slerp\nbase_model: a\nparameters: {t: 0.5, density: 0.3}"
    (document,) = read_documents(text)
    assert document.notes == ("parameters.density has no effect: slerp has no such parameter.",)


@pytest.mark.parametrize("t", [-0.1, 1.1, "x", True])
def test_t_outside_its_range_is_refused(t):
    text = f"models: [{{model: a}}, {{model: b}}]\nmerge_method: slerp\nbase_model: a\nparameters: {{t: {t}}}"
    with pytest.raises(BadRecipe, match=r"parameters\.t: it is"):
        read_documents(text)


def test_two_documents_without_a_name_are_refused():
    with pytest.raises(BadRecipe, match="only the last merge of a tree may lack one"):
        read_documents(f"{PLAIN}---\n{PLAIN}")


def test_a_mixture_of_experts_is_read_and_its_mistakes_are_named():
    text = (
        "base_model: a\ngate_mode: hidden\nexperts:\n  - source_model: a\n  - source_model: b\nexperts_per_token: 3\n"
    )
    with pytest.raises(BadRecipe) as caught:
        read_documents(text)
    assert "needs positive_prompts" in str(caught.value)
    assert "experts_per_token: it is 3" in str(caught.value)
    (document,) = read_documents(text.replace("hidden", "random").replace("3", "1"))
    assert document.mixture.per_token == 1
    assert document.models() == [ModelRef("a"), ModelRef("b")]


def test_an_anchor_that_contains_itself_is_refused():
    with pytest.raises(BadRecipe):
        read_documents("models: &a [*a]\nmerge_method: linear")

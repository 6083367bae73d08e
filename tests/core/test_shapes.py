"""Shapes read from configs, counted exactly, cut to a target and written back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadModel, Trouble
from core.shapes import (
    KNOWN_FAMILIES,
    Shape,
    config_for,
    count_parameters,
    dtype_of,
    layer_types_of,
    propose_shapes,
    rope_theta_of,
    scratch_shapes,
    shape_of,
    shape_problems,
    validate_cut,
)

SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
WIDE_HEADS = SMALL | {"head_dim": 16}
GPT2 = {"vocab_size": 300, "n_embd": 48, "n_layer": 3, "n_head": 6, "n_positions": 64}
GPT2 |= {"bos_token_id": 1, "eos_token_id": 2}
NEOX = {key: value for key, value in SMALL.items() if key != "num_key_value_heads"}

CONFIGS = [
    {"model_type": "llama", **SMALL},
    {"model_type": "llama", **WIDE_HEADS, "tie_word_embeddings": True},
    {"model_type": "llama", **SMALL, "attention_bias": True, "mlp_bias": True},
    {"model_type": "llama", **SMALL, "num_key_value_heads": None},
    {"model_type": "mistral", **SMALL},
    {"model_type": "mistral", **WIDE_HEADS, "tie_word_embeddings": True},
    {"model_type": "mistral", **SMALL, "num_attention_heads": 8, "num_key_value_heads": 8},
    {"model_type": "qwen2", **SMALL},
    {"model_type": "qwen2", **WIDE_HEADS, "tie_word_embeddings": True},
    {"model_type": "qwen2", **SMALL, "use_sliding_window": True, "max_window_layers": 1},
    {"model_type": "qwen3", **WIDE_HEADS},
    {"model_type": "qwen3", **SMALL, "attention_bias": True},
    {"model_type": "qwen3", **SMALL, "head_dim": 8, "tie_word_embeddings": True},
    {"model_type": "gemma", **WIDE_HEADS},
    {"model_type": "gemma", **SMALL, "num_key_value_heads": 1, "attention_bias": True},
    {"model_type": "gemma2", **WIDE_HEADS, "query_pre_attn_scalar": 24},
    {"model_type": "gemma2", **SMALL, "attention_bias": True, "tie_word_embeddings": False},
    {"model_type": "gemma3_text", **WIDE_HEADS, "query_pre_attn_scalar": 24},
    {"model_type": "gemma3_text", **SMALL, "num_hidden_layers": 7, "attention_bias": True},
    {"model_type": "gpt2", **GPT2},
    {"model_type": "gpt2", **GPT2, "n_inner": 80, "tie_word_embeddings": False},
    {"model_type": "gpt2", **{k: v for k, v in NEOX.items() if k != "intermediate_size"}},
    {"model_type": "gpt_neox", **NEOX},
    {"model_type": "gpt_neox", **NEOX, "attention_bias": False, "tie_word_embeddings": True},
    # nothing said: transformers' own defaults
    *({"model_type": family} for family in sorted(KNOWN_FAMILIES)),
]


def named(config: dict[str, Any]) -> str:
    return "-".join([config["model_type"], *(f"{k}={v}" for k, v in config.items() if k not in ("model_type", *SMALL))])


def count_with_transformers(config: dict[str, Any]) -> tuple[int, int]:
    """(all, without embeddings) parameters of the model transformers builds, on the meta device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = {key: value for key, value in config.items() if key != "model_type"} | {"model_type": config["model_type"]}
    built = AutoConfig.for_model(**config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(built)
    total = sum(parameter.numel() for parameter in model.parameters())
    outer = {
        id(module.weight): module.weight.numel() for module in model.modules() if hasattr(module, "num_embeddings")
    }
    head = model.get_output_embeddings().weight
    outer[id(head)] = head.numel()
    return total, total - sum(outer.values())


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_counts_every_parameter_that_transformers_builds(config: dict[str, Any]) -> None:
    count = count_parameters(config)
    assert (count.total, count.non_embedding) == count_with_transformers(config)


@pytest.mark.parametrize(
    ("config", "total", "non_embedding"),
    [
        ({"model_type": "llama"}, 6_738_415_616, 6_476_271_616),  # Llama 2 7B
        ({"model_type": "gpt2"}, 124_439_808, 85_056_000),
        (
            {"model_type": "gpt_neox", "vocab_size": 50304, "hidden_size": 512, "num_hidden_layers": 6}
            | {"num_attention_heads": 8, "intermediate_size": 2048},
            70_426_624,  # Pythia, arXiv 2304.01373, table 1
            18_915_328,
        ),
        (
            {"model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896, "num_hidden_layers": 24}
            | {"num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864}
            | {"tie_word_embeddings": True},
            494_032_768,  # Qwen2.5-0.5B
            357_898_112,
        ),
    ],
    ids=["llama-2-7b", "gpt2", "pythia-70m", "qwen2.5-0.5b"],
)
def test_counts_published_models_as_published(config: dict[str, Any], total: int, non_embedding: int) -> None:
    count = count_parameters(config)
    assert (count.total, count.non_embedding) == (total, non_embedding)


def test_reads_old_and_new_names_of_dtype_and_rope() -> None:
    assert dtype_of({"torch_dtype": "bfloat16"}) == dtype_of({"dtype": "torch.bfloat16"}) == "bfloat16"
    assert dtype_of({}) is None
    assert rope_theta_of({"rope_theta": 5e5}) == rope_theta_of({"rope_parameters": {"rope_theta": 5e5}}) == 5e5
    per_kind = {"sliding_attention": {"rope_theta": 1e4}, "full_attention": {"rope_theta": 1e6}}
    assert rope_theta_of({"rope_parameters": per_kind}) == 1e6


def test_unknown_architecture_is_named_and_has_a_way_out() -> None:
    with pytest.raises(BadModel, match=r'"mamba".*existing checkpoint'):
        shape_of({"model_type": "mamba"})


@pytest.mark.parametrize("broken", [{"hidden_size": "wide"}, {"num_hidden_layers": 0}, {"vocab_size": True}])
def test_a_field_that_is_no_size_is_named(broken: dict[str, Any]) -> None:
    with pytest.raises(BadModel, match=next(iter(broken))):
        shape_of({"model_type": "llama"} | broken)


# --- writing back -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [c for c in CONFIGS if len(c) > 1], ids=named)
def test_a_student_config_has_the_shape_asked_for_and_loads(config: dict[str, Any]) -> None:
    from transformers import AutoConfig

    student = propose_shapes(config, int(0.5 * count_parameters(config).total), tolerance=0.05)[0].shape
    written = config_for(config, student)
    assert shape_of(written) == student
    loaded = AutoConfig.for_model(**written).to_dict()
    assert shape_of(loaded) == student
    assert count_parameters(written).total == count_with_transformers(written)[0]
    assert shape_of(config_for(config, shape_of(config))) == shape_of(config)


def test_a_student_keeps_everything_that_is_no_size() -> None:
    teacher = {"model_type": "gemma2", **WIDE_HEADS, "query_pre_attn_scalar": 24, "rms_norm_eps": 1e-5}
    teacher |= {"rope_theta": 5e5, "architectures": ["Gemma2ForCausalLM"], "auto_map": {}, "_name_or_path": "/a/b"}
    student = shape_of(teacher).model_copy(update={"layers": 2, "hidden": 24})
    written = config_for(teacher, student)
    assert written["query_pre_attn_scalar"] == 24
    assert (written["rms_norm_eps"], written["rope_theta"], written["eos_token_id"]) == (1e-5, 5e5, 2)
    assert written["architectures"] == ["Gemma2ForCausalLM"]
    assert "auto_map" not in written
    assert "_name_or_path" not in written
    assert teacher["hidden_size"] == 48, "the teacher's config is left alone"


def test_kinds_of_attention_follow_the_layers_that_are_kept() -> None:
    teacher = {"model_type": "gemma3_text", **WIDE_HEADS, "num_hidden_layers": 8}
    assert layer_types_of(teacher) == ["sliding_attention"] * 5 + ["full_attention"] + ["sliding_attention"] * 2
    cut = shape_of(teacher).model_copy(update={"layers": 3})
    assert config_for(teacher, cut, kept_layers=[0, 5, 7])["layer_types"] == [
        "sliding_attention",
        "full_attention",
        "sliding_attention",
    ]
    deeper = shape_of(teacher).model_copy(update={"layers": 13})
    assert (
        config_for({"model_type": "gemma2", **WIDE_HEADS}, deeper.model_copy(update={"model_type": "gemma2"}))[
            "layer_types"
        ]
        == (["sliding_attention", "full_attention"] * 7)[:13]
    )


def test_layer_types_by_default_are_those_of_transformers() -> None:
    from transformers import AutoConfig

    for config in CONFIGS:
        loaded = AutoConfig.for_model(**config).to_dict()
        assert layer_types_of(config) == loaded.get("layer_types"), config


def test_a_shape_of_another_architecture_is_refused() -> None:
    with pytest.raises(Trouble, match=r"qwen2.*llama"):
        config_for({"model_type": "llama", **SMALL}, shape_of({"model_type": "qwen2", **SMALL}))


# --- proposals --------------------------------------------------------------------------------------------------------


def llama(vocabulary: int, hidden: int, layers: int, heads: int, kv_heads: int, neurons: int) -> dict[str, Any]:
    config = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
    }
    config |= {"num_key_value_heads": kv_heads, "intermediate_size": neurons, "max_position_embeddings": 512}
    return {"model_type": "llama", **config, "tie_word_embeddings": True}


def pythia(hidden: int, layers: int, heads: int) -> dict[str, Any]:
    config = {"model_type": "gpt_neox", "vocab_size": 50304, "hidden_size": hidden, "num_hidden_layers": layers}
    return config | {"num_attention_heads": heads, "intermediate_size": 4 * hidden}


def qwen2(vocabulary: int, hidden: int, layers: int, heads: int, kv_heads: int, neurons: int) -> dict[str, Any]:
    config = llama(vocabulary, hidden, layers, heads, kv_heads, neurons)
    return config | {"model_type": "qwen2", "tie_word_embeddings": hidden < 2000}


TEACHERS = {
    "stories-3m": llama(4096, 192, 6, 6, 2, 512),
    "sample-5m": llama(2048, 256, 6, 8, 4, 640),
    "sample-2m": llama(2048, 192, 4, 6, 3, 512),
    "pythia-70m": pythia(512, 6, 8),
    "pythia-1.4b": pythia(2048, 24, 16),
    "gpt2": {"model_type": "gpt2"},
    "qwen2.5-0.5b": qwen2(151936, 896, 24, 14, 2, 4864),
    "qwen2.5-7b": qwen2(152064, 3584, 28, 28, 4, 18944),
    "llama-2-7b": {"model_type": "llama"},
    "gemma-2b": {"model_type": "gemma", "hidden_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 8}
    | {"num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 16384},
}


# Pythia 70M has no quarter: its embeddings come in steps of 64 channels (see the test of holes below).
@pytest.mark.parametrize(
    ("name", "share"),
    [(n, s) for n in TEACHERS for s in (0.25, 0.4, 0.6, 0.9) if (n, s) != ("pythia-70m", 0.25)],
)
def test_students_hit_the_target_and_can_be_cut(name: str, share: float) -> None:
    config = TEACHERS[name]
    target = int(share * count_parameters(config).total)
    started = time.process_time()
    proposals = propose_shapes(config, target)
    assert time.process_time() - started < 0.3
    assert 1 <= len(proposals) <= 8
    assert [p.score for p in proposals] == sorted((p.score for p in proposals), reverse=True)
    assert len({p.shape for p in proposals}) == len(proposals)
    for proposal in proposals:
        assert validate_cut(shape_of(config), proposal.shape) == []
        assert proposal.parameters == count_parameters(config_for(config, proposal.shape)).total
        assert abs(proposal.parameters / target - 1) <= 0.02
        assert proposal.reason


def test_depth_is_kept_and_widths_suit_gpus_where_that_is_possible() -> None:
    for name in ("llama-2-7b", "qwen2.5-7b", "pythia-1.4b", "gemma-2b", "qwen2.5-0.5b", "stories-3m", "sample-5m"):
        config = TEACHERS[name]
        teacher, best = shape_of(config), propose_shapes(config, int(0.4 * count_parameters(config).total))[0].shape
        assert best.layers == teacher.layers, name
        assert best.heads / best.kv_heads == teacher.heads / teacher.kv_heads
        multiple = 128 if teacher.hidden >= 2048 else 64 if teacher.hidden >= 768 else 16
        assert best.hidden % multiple == best.intermediate % multiple == 0, name
        assert best.hidden / teacher.hidden > 0.4, f"{name} is cut evenly"


def test_the_whole_teacher_is_the_best_cut_of_its_own_size() -> None:
    for config in TEACHERS.values():
        best = propose_shapes(config, count_parameters(config).total)[0]
        assert best.shape == shape_of(config)
        assert best.score == 1
        assert "nothing is cut" in best.reason


@settings(max_examples=60, deadline=None)
@given(
    groups=st.integers(1, 6),
    ratio=st.integers(1, 4),
    width=st.integers(1, 6),
    layers=st.integers(1, 8),
    neurons=st.integers(1, 50),
    share=st.floats(0.3, 1.0),
)
def test_any_proposal_can_be_cut(groups: int, ratio: int, width: int, layers: int, neurons: int, share: float) -> None:
    config = llama(1000, 8 * width * groups * ratio, layers, groups * ratio, groups, 8 * neurons) | {"head_dim": 8}
    target = int(share * count_parameters(config).total)
    try:
        proposals = propose_shapes(config, target)
    except Trouble:
        proposals = []  # so small a teacher may have holes between its sizes
    for proposal in proposals:
        assert validate_cut(shape_of(config), proposal.shape) == []
        assert abs(proposal.parameters - target) <= 0.02 * target


def test_a_target_out_of_reach_names_the_range() -> None:
    config = TEACHERS["stories-3m"]
    with pytest.raises(Trouble, match=r"5M .*larger than this teacher.* and 3\.15M parameters"):
        propose_shapes(config, 5_000_000)
    with pytest.raises(Trouble, match=r"5K .*smaller than anything.*between .*K and 3\.15M parameters"):
        propose_shapes(config, 5_000)


def test_a_target_in_a_hole_between_two_widths_says_so() -> None:
    with pytest.raises(Trouble, match=r"17\.6M.*The nearest has (16|19)\.\d*M"):
        propose_shapes(TEACHERS["pythia-70m"], 17_600_000)


@pytest.mark.parametrize("name", TEACHERS)
def test_shapes_from_scratch_hit_the_target(name: str) -> None:
    config = TEACHERS[name]
    target = int(0.4 * count_parameters(config).total)
    for proposal in scratch_shapes(config, target):
        assert shape_problems(proposal.shape) == []
        assert proposal.shape.vocabulary == shape_of(config).vocabulary
        assert proposal.parameters == count_parameters(config_for(config, proposal.shape)).total
        assert abs(proposal.parameters / target - 1) <= 0.02


def test_a_3b_llama_from_scratch_looks_like_sheared_llama() -> None:
    best = scratch_shapes(TEACHERS["llama-2-7b"], 2_700_000_000)[0].shape
    assert (best.layers, best.hidden, best.heads, best.intermediate) == (32, 2560, 20, 6912)


def test_a_vocabulary_too_large_for_the_target_is_named() -> None:
    with pytest.raises(Trouble, match="vocabulary of 256000"):
        scratch_shapes(TEACHERS["gemma-2b"], 3_000_000)


# --- checking a hand-edited shape -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"layers": 7}, "7 layers"),
        ({"hidden": 384}, "384 hidden channels"),
        ({"intermediate": 1024}, "1024 neurons"),
        ({"heads": 4}, "whole key-value groups"),
        ({"head_dim": 16}, "16 wide"),
        ({"vocabulary": 4000}, "vocabulary is 4000"),
        ({"tied": False}, "separate in the student"),
        ({"hidden": 100}, "no multiple of 6"),
        ({"layers": 0}, "at least 1"),
        ({"model_type": "qwen2"}, "a qwen2"),
    ],
)
def test_a_shape_that_cannot_be_cut_is_explained(change: dict[str, Any], word: str) -> None:
    teacher = shape_of(TEACHERS["stories-3m"])
    assert validate_cut(teacher, teacher) == []
    assert any(word in problem for problem in validate_cut(teacher, teacher.model_copy(update=change)))


def test_gpt2_widths_go_with_its_heads() -> None:
    teacher = shape_of({"model_type": "gpt2"})
    assert isinstance(teacher, Shape)
    assert validate_cut(teacher, teacher.model_copy(update={"hidden": 384, "heads": 6, "kv_heads": 6})) == []
    assert "heads × head width" in validate_cut(teacher, teacher.model_copy(update={"hidden": 384}))[0]

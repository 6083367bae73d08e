"""A student cut from its teacher is what is left of the teacher, and the scores say what may go."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from core.engine.builders import build_student, cut
from core.engine.builders.masks import gradient_scores, sequence_losses
from core.engine.builders.prune import activation_scores
from core.engine.builders.selection import choose, everything, keep_layers
from core.engine.families import FAMILIES, blocks_of, family_of
from core.errors import BadData, BadModel, Trouble
from core.shapes import config_for, propose_shapes, shape_of

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
LAYERS, HIDDEN, HEADS, HEAD_DIM, NEURONS, VOCABULARY, CONTEXT = 3, 48, 6, 8, 40, 61, 32
GPTS = ("gpt2", "gpt_neox")  # LayerNorm, and the hidden width is heads · head_dim
OTHERS = tuple(name for name in FAMILIES if name not in GPTS)


def config_of(model_type: str) -> dict:
    """Six heads (on three key-value heads where the family has them), and a norm epsilon large enough to matter."""
    config = {"model_type": model_type, "vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 1}
    if model_type == "gpt2":
        sizes = {"n_layer": LAYERS, "n_embd": HIDDEN, "n_head": HEADS, "n_inner": NEURONS, "n_positions": CONTEXT}
        return config | sizes | {"layer_norm_epsilon": 0.05, "scale_attn_by_inverse_layer_idx": True}
    config |= {
        "num_hidden_layers": LAYERS,
        "hidden_size": HIDDEN,
        "num_attention_heads": HEADS,
        "intermediate_size": NEURONS,
        "max_position_embeddings": CONTEXT,
        "pad_token_id": 0,
    }
    if model_type == "gpt_neox":
        return config | {"layer_norm_eps": 0.05}
    config |= {"num_key_value_heads": 3, "head_dim": HEAD_DIM, "rms_norm_eps": 0.05}
    if model_type in ("gemma2", "gemma3_text"):
        config |= {"sliding_window": 4, "query_pre_attn_scalar": 11}
        config |= {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
    if model_type == "llama":
        config |= {"attention_bias": True, "mlp_bias": True}
    return config


def random_teacher(config: dict):
    """A random model with no weight left at zero or one, so that every tensor matters."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def batches(count: int = 2, sequences: int = 3, length: int = 12) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(2, VOCABULARY, (sequences, length), generator=generator) for _ in range(count)]


def quiet(_phase: str, _share: float) -> None:
    return None


def logits_of(model) -> torch.Tensor:
    with torch.no_grad():
        return model(batches(1)[0]).logits


def assert_same_logits(student, teacher, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(logits_of(student), logits_of(teacher), rtol=tolerance, atol=tolerance)


def cut_to(teacher, config: dict, selection, **sizes):
    shape = shape_of(config).model_copy(update=sizes)
    return cut(teacher, AutoConfig.for_model(**config_for(config, shape, selection.layers)), selection)


def without(whole: int, dropped) -> torch.Tensor:
    return torch.tensor([unit for unit in range(whole) if unit not in dropped])


def smaller(config: dict):
    """One key-value group, eight neurons and eight channels less."""
    whole = shape_of(config)
    sizes = {"hidden": whole.hidden - 8, "intermediate": whole.intermediate - 8, "kv_heads": whole.kv_heads - 1}
    heads = sizes["kv_heads"] * whole.heads // whole.kv_heads
    return whole.model_copy(update=sizes | {"heads": heads})


def linear(block, family, name: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight as (out, in) and bias of a module in a block, to be changed in place."""
    module = block.get_submodule(name)
    bias = None if module.bias is None else module.bias.data
    return (module.weight.data.T if family.transposed else module.weight.data), bias


def scale_outputs(block, family, name: str, units, factor: float) -> None:
    for tensor in linear(block, family, name):
        if tensor is not None:
            tensor[units] *= factor


def silence_channels(model, family, channels) -> None:
    """Nothing writes to these channels any more."""
    for table in filter(None, (family.embedding, family.positions)):
        model.get_submodule(table).weight.data[:, channels] = 0
    for block in blocks_of(model, family):
        for name in (family.attention_output, family.out_of_neurons):
            scale_outputs(block, family, name, channels, 0)


def silence_group(block, family, group: int) -> None:
    """This key-value group (one head in the GPTs) says nothing: values of zero."""
    if "self_attn.v_proj" in family.projections:
        scale_outputs(block, family, "self_attn.v_proj", slice(group * HEAD_DIM, (group + 1) * HEAD_DIM), 0)
        return
    (name, layout), *_ = family.projections.items()
    start = 2 * HIDDEN + group * HEAD_DIM if layout == "thirds" else (3 * group + 2) * HEAD_DIM
    scale_outputs(block, family, name, slice(start, start + HEAD_DIM), 0)


def centre(model, family, channels) -> None:
    """Give the residual stream a mean of zero over all but these channels, and let norms put nothing into these."""
    kept = without(HIDDEN, channels)
    for table in filter(None, (family.embedding, family.positions)):
        weight = model.get_submodule(table).weight.data
        weight[:, kept] -= weight[:, kept].mean(1, keepdim=True)
    for block in blocks_of(model, family):
        for name in (family.attention_output, family.out_of_neurons):
            for tensor in linear(block, family, name):
                tensor[kept] -= tensor[kept].mean(0, keepdim=True)
        for name in family.reading_norms:
            block.get_submodule(name).bias.data[channels] = 0
    model.get_submodule(family.final_norm).bias.data[channels] = 0


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize("method", ["prune", "masks", "inherit"])
def test_pruning_to_the_whole_teacher_returns_its_logits_exactly(model_type, method):
    config = config_of(model_type)
    teacher = random_teacher(config)
    student, report = build_student(teacher, config, shape_of(config), method, batches(), 0, quiet)
    assert torch.equal(logits_of(student), logits_of(teacher))
    assert report.kept_layers == list(range(LAYERS))
    assert report.parameters == teacher.num_parameters()
    for mine, theirs in zip(student.parameters(), teacher.parameters(), strict=True):
        assert mine.data_ptr() != theirs.data_ptr()


@pytest.mark.parametrize("model_type", OTHERS)
def test_dropping_heads_whose_output_weights_are_zero_changes_nothing(model_type):
    config = config_of(model_type)
    teacher, family = random_teacher(config), family_of(model_type)
    for layer, block in enumerate(blocks_of(teacher, family)):  # another group of two heads in each layer
        linear(block, family, family.attention_output)[0][:, layer * 2 * HEAD_DIM : (layer + 1) * 2 * HEAD_DIM] = 0
    groups = tuple(without(3, [layer]) for layer in range(LAYERS))
    selection = replace(everything(shape_of(config), (0, 1, 2)), groups=groups)
    assert_same_logits(cut_to(teacher, config, selection, heads=4, kv_heads=2), teacher)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_dropping_neurons_whose_output_weights_are_zero_changes_nothing(model_type):
    config = config_of(model_type)
    teacher, family = random_teacher(config), family_of(model_type)
    dropped = [[0, 1, 2, 3, 39], [4, 5, 6, 7, 8], [10, 20, 30, 31, 32]]
    for units, block in zip(dropped, blocks_of(teacher, family), strict=True):
        linear(block, family, family.out_of_neurons)[0][:, units] = 0
    neurons = tuple(without(NEURONS, units) for units in dropped)
    selection = replace(everything(shape_of(config), (0, 1, 2)), neurons=neurons)
    assert_same_logits(cut_to(teacher, config, selection, intermediate=NEURONS - 5), teacher)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("model_type", OTHERS)
def test_dropping_channels_whose_weights_are_zero_changes_nothing(model_type, tied):
    config = config_of(model_type) | {"tie_word_embeddings": tied}
    teacher, family = random_teacher(config), family_of(model_type)
    dropped = [0, 7, 8, 9, 40, 47]
    silence_channels(teacher, family, dropped)
    selection = replace(everything(shape_of(config), (0, 1, 2)), channels=without(HIDDEN, dropped))
    assert_same_logits(cut_to(teacher, config, selection, hidden=42), teacher)


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize("method", ["prune", "masks"])
def test_silent_units_are_found_and_dropping_them_changes_nothing(model_type, method):
    config = config_of(model_type)
    teacher, family = random_teacher(config), family_of(model_type)
    channels = list(range(11, 19))
    silence_channels(teacher, family, channels)
    for layer, block in enumerate(blocks_of(teacher, family)):
        silence_group(block, family, layer)
        for name in family.into_neurons:
            scale_outputs(block, family, name, slice(8 * layer, 8 * layer + 8), 0)
    if model_type in GPTS:  # a LayerNorm with another number of channels needs a mean of zero: see slicing.py
        centre(teacher, family, channels)
    student, report = build_student(teacher, config, smaller(config), method, batches(), 0, quiet)
    assert student.config.hidden_size == HIDDEN - 8
    assert_same_logits(student, teacher, 1e-3)
    shares = (report.channel_share, report.head_share, report.neuron_share)
    assert shares == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_dropping_a_block_that_writes_nothing_changes_nothing(model_type):
    config = config_of(model_type)
    teacher, family = random_teacher(config), family_of(model_type)
    for name in (family.attention_output, family.out_of_neurons):
        scale_outputs(blocks_of(teacher, family)[1], family, name, slice(None), 0)
    shape = shape_of(config).model_copy(update={"layers": 2})
    student, report = build_student(teacher, config, shape, "prune", batches(), 0, quiet)
    assert report.kept_layers == [0, 2]
    assert report.layer_importance[1] == pytest.approx(0, abs=1e-6)
    assert_same_logits(student, teacher)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_norms_give_kept_channels_the_teachers_size_even_if_loud_ones_go(model_type):
    family = family_of(model_type)
    config = config_of(model_type) | {family.epsilon: 1e-6}
    teacher = random_teacher(config)
    embedding = teacher.get_input_embeddings().weight.data
    embedding[:, HIDDEN // 2 :] *= 4  # the half that goes
    if family.norm == "layer":
        embedding += 5  # a mean, which no channel's share may count
    scores = activation_scores(teacher, batches(4), quiet)
    scores = replace(scores, channels=-torch.arange(HIDDEN).float())
    sizes = {"hidden": HIDDEN // 2} | ({"heads": HEADS // 2, "kv_heads": HEADS // 2} if model_type in GPTS else {})
    selection = choose(scores, family, shape_of(config), shape_of(config).model_copy(update=sizes))
    student = cut_to(teacher, config, selection, **sizes)
    name = f"{family.blocks}.0.{family.reading_norms[0]}"
    lengths = []
    for model in (student, teacher):
        norm, seen = model.get_submodule(name), []
        norm.register_forward_hook(
            lambda module, _inputs, out, seen=seen: seen.append(out - getattr(module, "bias", 0))
        )
        logits_of(model)
        lengths.append(seen[0][..., : HIDDEN // 2].norm())
    assert lengths[0] / lengths[1] == pytest.approx(1, abs=0.1)


def test_the_first_and_the_last_layer_stay_while_two_do():
    importance = torch.tensor([0.0, 0.5, 0.4, 0.3, 0.1])
    assert keep_layers(importance, 3) == (0, 1, 4)
    assert keep_layers(importance, 2) == (0, 4)
    assert keep_layers(importance, 1) == (1,)


def test_a_shorter_context_keeps_the_first_learnt_positions():
    config = config_of("gpt2")
    teacher = random_teacher(config)
    shape = shape_of(config).model_copy(update={"context": 16})
    student, _ = build_student(teacher, config, shape, "inherit", None, 0, quiet)
    assert student.transformer.wpe.weight.shape == (16, HIDDEN)
    assert torch.equal(logits_of(student), logits_of(teacher))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_pruned_student_is_an_ordinary_model_folder(model_type, tmp_path):
    config = config_of(model_type)
    shape = smaller(config).model_copy(update={"layers": 2})
    student, report = build_student(random_teacher(config), config, shape, "prune", batches(), 0, quiet)
    student.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(logits_of(again), logits_of(student))
    assert shape_of(json.loads((tmp_path / "config.json").read_text())) == shape
    assert json.loads(report.model_dump_json())["student"] == shape.model_dump()


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gpt_neox", "gemma2"])
def test_activation_scores_are_those_of_a_plain_computation(model_type):
    config = config_of(model_type)
    teacher, family = random_teacher(config), family_of(model_type)
    ids = batches(1, sequences=4)[0]
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def remember(name):
        return lambda _module, inputs, output: seen.__setitem__(name, (inputs[0], output))

    watched = [family.attention_output, family.out_of_neurons, *family.reading_norms, ""]
    for layer, block in enumerate(blocks_of(teacher, family)):
        for name in watched:
            block.get_submodule(name).register_forward_hook(remember((layer, name)))
    logits_of_ids = teacher(ids).logits  # noqa: F841 (the hooks have seen it)
    heads, neurons = torch.zeros(LAYERS, HEADS), torch.zeros(LAYERS, NEURONS)
    channels, influence = torch.zeros(HIDDEN), torch.zeros(LAYERS)
    for layer in range(LAYERS):
        joined = seen[layer, family.attention_output][0]
        for head in range(HEADS):
            means = [row[:, head * HEAD_DIM : (head + 1) * HEAD_DIM].square().sum(1).sqrt().mean() for row in joined]
            heads[layer, head] = sum(mean**2 for mean in means) ** 0.5
        means = [row.abs().mean(0) for row in seen[layer, family.out_of_neurons][0]]
        neurons[layer] = sum(mean**2 for mean in means) ** 0.5
        for norm in family.reading_norms:
            channels += sum(row.abs().mean(0) ** 2 for row in seen[layer, norm][1]) ** 0.5
        before, after = seen[layer, ""]
        cosines = [
            a @ b / (a.norm() * b.norm()) for a, b in zip(before.flatten(0, 1), after.flatten(0, 1), strict=True)
        ]
        influence[layer] = 1 - sum(cosines) / len(cosines)
    scores = activation_scores(random_teacher(config), [ids[:1], ids[1:]], quiet)
    torch.testing.assert_close(scores.heads, heads)
    torch.testing.assert_close(scores.neurons, neurons)
    torch.testing.assert_close(scores.channels, channels)
    torch.testing.assert_close(scores.layers, influence)
    assert (scores.sequences, scores.tokens) == (4, ids.numel())


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gpt_neox", "gemma"])
def test_mask_scores_are_those_of_finite_differences(model_type):
    config = config_of(model_type)
    teacher, family = random_teacher(config), family_of(model_type)
    ids = batches(1)[0]
    scores = gradient_scores(teacher, [ids[:1], ids[1:]], quiet)
    step = 1e-2

    def slope(change) -> float:
        losses = []
        for factor in (1 + step, 1 - step):
            model = copy.deepcopy(teacher)
            change(model, factor)
            with torch.no_grad():
                losses.append(sequence_losses(model, {"input_ids": ids}, ids).double())
        return float(((losses[0] - losses[1]) / (2 * step)).abs().mean())

    def scale_head(head):
        def change(model, factor):
            weight, _ = linear(blocks_of(model, family)[1], family, family.attention_output)
            weight[:, head * HEAD_DIM : (head + 1) * HEAD_DIM] *= factor

        return change

    def scale_neuron(neuron):
        def change(model, factor):
            linear(blocks_of(model, family)[1], family, family.out_of_neurons)[0][:, neuron] *= factor

        return change

    def scale_channel(channel):
        def change(model, factor):
            model.get_input_embeddings().register_forward_hook(scaled(channel, factor))
            if family.positions:
                model.get_submodule(family.positions).weight.data[:, channel] *= factor
            for block in blocks_of(model, family):
                for name in (family.attention_output, family.out_of_neurons):
                    scale_outputs(block, family, name, channel, factor)

        return change

    changes = {"heads": scale_head, "neurons": scale_neuron, "channels": scale_channel}
    for name, change in changes.items():
        plain = torch.tensor([slope(change(unit)) for unit in range(6)])
        found = (scores.channels if name == "channels" else getattr(scores, name)[1])[:6]
        torch.testing.assert_close(found / found.norm(), plain / plain.norm(), rtol=0.02, atol=2e-3)


def scaled(channel: int, factor: float):
    """A hook: scaling the weight would scale a tied head too, which reads the stream and doesn't write to it."""

    def hook(_module, _inputs, output):
        output = output.clone()
        output[..., channel] *= factor
        return output

    return hook


@pytest.mark.parametrize("scored", [activation_scores, gradient_scores])
def test_padding_that_the_labels_leave_out_does_not_count(scored):
    teacher = random_teacher(config_of("llama"))
    short = batches(1, length=9)[0]
    padded = torch.cat([short, torch.zeros(3, 3, dtype=torch.long)], dim=1)
    labels = padded.clone()
    labels[:, 9:] = -100
    plain, masked = scored(teacher, [short], quiet), scored(teacher, [{"input_ids": padded, "labels": labels}], quiet)
    for name in ("heads", "neurons", "channels", "layers"):
        torch.testing.assert_close(getattr(masked, name), getattr(plain, name))
    assert masked.tokens == plain.tokens == 27


@pytest.mark.parametrize("scored", [activation_scores, gradient_scores])
def test_scoring_leaves_the_teacher_as_it_was(scored):
    teacher = random_teacher(config_of("gpt2")).train()
    teacher.transformer.wte.weight.requires_grad_(False)
    before = copy.deepcopy(teacher.state_dict())
    told: list[float] = []
    scored(teacher, batches(), lambda _phase, share: told.append(share))
    assert told == [0.5, 1.0]
    assert teacher.training
    assert not teacher.transformer.wte.weight.requires_grad
    assert teacher.transformer.wpe.weight.requires_grad
    assert all(module._forward_hooks == module._forward_pre_hooks == {} for module in teacher.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize("method", ["prune", "masks"])
def test_a_teacher_with_damaged_weights_is_refused_and_the_layer_named(method):
    config = config_of("qwen3")
    teacher = random_teacher(config)
    teacher.model.layers[1].mlp.up_proj.weight.data[3, 4] = torch.nan
    with pytest.raises(BadModel, match="in layer 1 "):
        build_student(teacher, config, smaller(config), method, batches(), 0, quiet)


def test_no_calibration_text_is_refused():
    config = config_of("llama")
    with pytest.raises(BadData, match="no calibration text"):
        build_student(random_teacher(config), config, smaller(config), "prune", [], 0, quiet)


def test_a_shape_that_is_no_part_of_the_teacher_is_refused():
    config = config_of("llama")
    wider = shape_of(config).model_copy(update={"intermediate": NEURONS + 8})
    with pytest.raises(Trouble, match="48 neurons, the teacher only 40"):
        build_student(random_teacher(config), config, wider, "prune", batches(), 0, quiet)


def test_an_architecture_that_is_not_known_is_refused_by_name():
    with pytest.raises(BadModel, match="'mamba'"):
        family_of("mamba")


def test_block_inheritance_takes_the_first_blocks_and_the_embeddings():
    config = config_of("gemma2")
    teacher = random_teacher(config)
    shape = shape_of(config).model_copy(update={"layers": 2})
    student, report = build_student(teacher, config, shape, "inherit", None, 0, quiet)
    assert report.kept_layers == [0, 1]
    assert student.config.layer_types == ["sliding_attention", "full_attention"]
    mine, theirs = student.state_dict(), teacher.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in mine.items())


def test_block_inheritance_refuses_other_widths_and_names_them():
    config = config_of("llama")
    with pytest.raises(Trouble, match="hidden 48 → 40"):
        build_student(random_teacher(config), config, smaller(config), "inherit", None, 0, quiet)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_student_from_scratch_depends_on_its_seed_alone(model_type):
    config = config_of(model_type)
    before = torch.random.get_rng_state()
    first, _ = build_student(None, config, smaller(config), "scratch", None, 7, quiet)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    again, _ = build_student(None, config, smaller(config), "scratch", None, 7, quiet)
    other, report = build_student(None, config, smaller(config), "scratch", None, 8, quiet)
    assert torch.equal(logits_of(first), logits_of(again))
    assert not torch.equal(logits_of(first), logits_of(other))
    assert report.parameters == first.num_parameters()


def test_a_half_precision_teacher_gives_a_student_of_its_precision():
    config = config_of("gemma3_text")
    teacher = random_teacher(config).to(torch.bfloat16)
    student, _ = build_student(teacher, config, smaller(config), "masks", batches(), 0, quiet)
    assert student.dtype == torch.bfloat16
    assert torch.isfinite(logits_of(student)).all()


@pytest.mark.skipif(not (SHARED / "models/stories3m").is_dir(), reason="the shared models are not beside the project")
@pytest.mark.parametrize("scored", [activation_scores, gradient_scores])
def test_a_real_teacher_pruned_to_40_percent_beats_a_random_choice_before_training(scored):
    folder = SHARED / "models/stories3m"
    teacher = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = (SHARED / "data/text/tinystories.txt").read_text(encoding="utf-8")[:20_000]
    ids = [token for story in text.split("<|endoftext|>") for token in [1, *tokenizer(story.strip())["input_ids"]]]
    rows = torch.tensor(ids[: len(ids) // 128 * 128]).view(-1, 128)
    calibration, held_out = rows[:16].split(8), rows[16:32]
    config = json.loads((folder / "config.json").read_text())
    whole, shape = shape_of(config), propose_shapes(config, int(0.4 * teacher.num_parameters()))[0].shape
    scores = scored(teacher, calibration, quiet)

    def loss(scores) -> float:
        selection = choose(scores, family_of("llama"), whole, shape)
        student = cut(teacher, AutoConfig.for_model(**config_for(config, shape, selection.layers)), selection)
        with torch.no_grad():
            return float(sequence_losses(student, {"input_ids": held_out}, held_out).mean())

    torch.manual_seed(0)
    guesses = [
        replace(scores, **{name: torch.rand_like(getattr(scores, name)) for name in ("heads", "neurons", "channels")})
        for _ in range(3)
    ]
    assert loss(scores) < min(loss(guess) for guess in guesses) - 0.3

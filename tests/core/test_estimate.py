"""What a run will take, against what torch really keeps, and the defaults that the engine shares."""

from __future__ import annotations

import math
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import core.estimate
import core.speed
from core import defaults, memory
from core.devices import Device
from core.distill import DistillRecipe
from core.errors import BadModel
from core.estimate import START_SECONDS, cache_bytes_per_token, choices, estimate, flops_per_token
from core.memory import Cast, Memory, Size, activation_bytes_per_token, chunk, training_memory
from core.shapes import KNOWN_FAMILIES, shape_of
from core.speed import Figure, compute_speed, memory_bandwidth, parameters_for_speed

CPU = Device("cpu", "a CPU", 16 * 2**30, 8 * 2**30, False, "", cores=4)
GPU = Device("cuda:0", "NVIDIA H100 80GB HBM3", 80 * 2**30, 79 * 2**30, True, "it has bf16", uuid="GPU-1")


@pytest.fixture(autouse=True)
def _the_same_memory_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine measures a tenth of its bandwidth, or of its neighbour's."""
    monkeypatch.setattr(core.speed, "_measured_bandwidth", lambda: 2e10)


def llama(hidden: int = 192, layers: int = 6, vocabulary: int = 4096, **changes: Any) -> dict[str, Any]:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "vocab_size": vocabulary, "num_attention_heads": 6}
    sizes |= {"num_key_value_heads": 2, "head_dim": 32, "intermediate_size": 512, "max_position_embeddings": 512}
    return {"model_type": "llama", "tie_word_embeddings": True} | sizes | changes


def recipe(**changes: Any) -> DistillRecipe:
    return DistillRecipe.model_validate(
        {"teacher": "teacher", "student": "0.4x", "data": ("text",), "tokens": 1_000_000} | changes
    )


TEACHER, STUDENT = Size.of_config(llama()), Size.of_config(llama(hidden=96))
CAST = Cast(STUDENT, (TEACHER,))


def memory_of(device: str = "cpu", cast: Cast = CAST, **changes: Any) -> Memory:
    return training_memory(recipe(**changes), cast, sequence=256, device_id=device, bf16=device != "cpu")


def part(parts: Any, name: str) -> int:
    return sum(each.bytes for each in parts if each.name == name)


# --- memory -----------------------------------------------------------------------------------------------------------


def saved_bytes(model: Any, ids: Any, positions: Any, bf16: bool) -> int:
    """Bytes of all tensors that autograd keeps of the forward pass, weights and bf16 copies of them left out."""
    import torch

    kept: dict[int, int] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    copies = {tuple(p.shape) for p in model.parameters()} | {tuple(p.shape)[::-1] for p in model.parameters()}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        copy = bf16 and tensor.dtype == torch.bfloat16 and tuple(tensor.shape) in copies
        if storage.data_ptr() not in weights and not copy:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        output = model.base_model(ids, position_ids=positions, use_cache=False)
    assert output is not None  # alive until here, so that no storage is freed and its address used again
    return sum(kept.values())


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("family", sorted(KNOWN_FAMILIES))
def test_activations_are_what_autograd_keeps(family: str, bf16: bool) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = llama(hidden=192, layers=2, vocabulary=64) | {"model_type": family, "intermediate_size": 520}
    config |= {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "attention_dropout": 0.0}
    config |= {"resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0} if family == "gpt2" else {}
    if family == "gpt2":
        config["n_inner"] = config.pop("intermediate_size")
    if family in ("gpt2", "gpt_neox"):
        del config["head_dim"], config["num_key_value_heads"]
    model_type = config.pop("model_type")
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **config)).train()
    ids = torch.randint(0, 64, (4, 80))
    positions = torch.cat([torch.arange(32), torch.arange(48)]).expand(4, 80)  # two documents in a block
    truth = saved_bytes(model, ids, positions, bf16) / ids.numel()
    shape = shape_of(config | {"model_type": family})
    assert activation_bytes_per_token(shape, 80, bf16) == pytest.approx(truth, rel=0.12)


def test_training_holds_sixteen_bytes_for_each_parameter_of_the_student() -> None:
    held = memory_of()
    own = sum(part(held.fixed, name) for name in ("student weights", "gradients", "optimizer"))
    assert own == 16 * STUDENT.parameters
    assert part(held.fixed, "teacher weights") == 4 * TEACHER.parameters


def test_bf16_halves_the_teacher_and_adds_copies_of_the_student() -> None:
    held = memory_of("cuda:0")
    assert part(held.fixed, "teacher weights") == 2 * TEACHER.parameters
    assert part(held.fixed, "bf16 copies") == 2 * STUDENT.parameters


def test_without_a_teacher_no_memory_goes_to_one() -> None:
    guided = estimate(recipe(), TEACHER, STUDENT, CPU)
    alone = estimate(recipe(use_teacher=False), TEACHER, STUDENT, CPU)
    assert part(guided.memory, "teacher weights") > 0
    assert part(alone.memory, "teacher weights") == 0
    assert part(alone.memory, "logits") < part(guided.memory, "logits")
    assert alone.seconds < guided.seconds


def test_gradient_checkpointing_takes_less_memory_and_more_time() -> None:
    plain = estimate(recipe(), TEACHER, STUDENT, CPU)
    checkpointed = estimate(recipe(gradient_checkpointing=True), TEACHER, STUDENT, CPU)
    assert part(checkpointed.memory, "activations") < part(plain.memory, "activations") / 2
    assert checkpointed.seconds > plain.seconds


def test_the_parts_add_up_and_the_band_holds_the_sum() -> None:
    cost = estimate(recipe(), TEACHER, STUDENT, CPU)
    assert cost.memory_bytes == sum(each.bytes for each in cost.memory)
    assert cost.memory_band[0] < cost.memory_bytes < cost.memory_band[1]
    assert cost.disk_band[0] < cost.disk_bytes == sum(each.bytes for each in cost.disk) < cost.disk_band[1]
    assert all(each.reason for each in (*cost.memory, *cost.disk))


def test_too_large_a_run_is_said_not_to_fit() -> None:
    small = Device("cpu", "a CPU", 2**30, 2**28, False, "", cores=4)
    assert estimate(recipe(), TEACHER, STUDENT, CPU).fits
    assert not estimate(recipe(), TEACHER, STUDENT, small).fits


# --- the loss in chunks -----------------------------------------------------------------------------------------------


def chunk_values(objective: str, source: str = "corpus", temperature: float = 1.0, teachers: int = 1) -> float:
    """The most float32 values that `fused_loss` holds at once for each position of a chunk and each entry: all live storages."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from core.engine.fused import Dense, Rows, fused_loss
    from core.engine.heads import Head
    from core.engine.losses import AdaptiveClip
    from core.engine.rows import RowLoss, TopK

    class Live(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: dict[int, int] = {}
            self.peak = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = function(*args, **(kwargs or {}))
            for tensor in torch.utils._pytree.tree_leaves(made):
                if isinstance(tensor, torch.Tensor):
                    storage = tensor.untyped_storage()
                    if storage._cdata not in self.sizes:
                        weakref.finalize(storage, self.sizes.pop, storage._cdata)
                    self.sizes[storage._cdata] = storage.nbytes()
            self.peak = max(self.peak, sum(self.sizes.values()))
            return made

    rows, entries, width, at_once = 256, 2048, 8, 32
    states, weight = torch.randn(rows, width, requires_grad=True), torch.randn(entries, width, requires_grad=True)
    loss = RowLoss(objective=objective, temperature=temperature)  # type: ignore[arg-type]
    loss.clip = AdaptiveClip() if objective == "dac_kl" else None
    head = Head(weight.detach())
    teacher: Any = Dense([states.detach()] * teachers, [head] * teachers)
    if teachers > 1:
        teacher.weights_NK = torch.full((rows, teachers), 1 / teachers)
    if source == "cache":
        top = (states.detach() @ weight.detach().t()).log_softmax(-1).topk(8)
        teacher = TopK(top.indices, top.values, torch.full((rows,), -3.0))
    with Live() as live:
        fused_loss(states, Head(weight), Rows(torch.randint(entries, (rows,)), teacher), loss, at_once)
    of_head, of_states = entries * width, rows * width
    return (live.peak / 4 - of_head - of_states) / (at_once * entries)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"temperature": 2.0},
        {"source": "cache"},
        {"source": "cache", "temperature": 2.0},
        *(
            {"objective": name}
            for name in ("reverse_kl", "jsd", "skew_kl", "tvd", "top1", "top_p", "dac_kl", "sinkhorn")
        ),
    ],
    ids=str,
)
def test_a_chunk_of_the_loss_takes_what_it_is_reckoned_to(asked: dict[str, Any]) -> None:
    asked = {"objective": "forward_kl"} | asked
    _, reckoned = chunk(recipe(**asked), (TEACHER,), STUDENT, "cpu")
    assert reckoned == pytest.approx(chunk_values(**asked), rel=0.15)


def test_several_teachers_take_more_of_a_chunk() -> None:
    mixed = recipe(more_teachers=("other",))
    _, reckoned = chunk(mixed, (TEACHER, TEACHER), STUDENT, "cpu")
    assert reckoned == pytest.approx(chunk_values("forward_kl", teachers=2), rel=0.15)


def test_the_engine_holds_as_many_rows_at_once_as_are_reckoned_with() -> None:
    from core.engine import own_words, rows, text, translation

    assert rows.SINKHORN_ROWS == memory.SINKHORN_ROWS
    assert (translation.CHUNK_ENTRIES, translation.FEWEST_ROWS) == (memory.ALIGNED_SCORES, memory.FEWEST_ALIGNED_ROWS)
    assert own_words.PROMPT_SHARE == core.estimate.PROMPT_SHARE
    assert text.MOST_BYTES_PER_TOKEN == core.estimate.MOST_BYTES_PER_TOKEN


def test_the_scores_of_a_larger_vocabulary_take_hardly_more_memory() -> None:
    """All scores of 32 blocks at once would be 1 GB at a vocabulary of 4096, and 37 GB at 152 064."""
    asked = {"micro_batch": 32, "batch_tokens": 16384, "sequence_length": 512}
    for vocabulary in (4096, 152_064):
        large = Size.of_config(llama(hidden=96, vocabulary=vocabulary))
        cost = estimate(recipe(**asked), large, large, CPU)
        head = 4 * 96 * vocabulary
        assert part(cost.memory, "logits") < head + 6 * 4 * max(2**24, 64 * vocabulary)


def test_a_larger_chunk_takes_more_memory() -> None:
    small, large = (estimate(recipe(chunk_rows=rows), TEACHER, STUDENT, CPU) for rows in (64, 256))
    assert part(large.memory, "logits") > 2 * part(small.memory, "logits")


# --- where the tokens come from ---------------------------------------------------------------------------------------

LARGE = Size.of_config(llama(hidden=1536, layers=24, intermediate_size=4096, num_attention_heads=48))


def test_a_cache_keeps_the_teacher_out_of_training_and_time() -> None:
    online, cached = (
        estimate(recipe(source=source), LARGE, STUDENT, CPU, cached=source == "cache") for source in ("corpus", "cache")
    )
    assert part(cached.memory, "teacher weights") == 0
    assert cached.memory_bytes < online.memory_bytes
    assert cached.seconds < online.seconds / 3
    assert {each.name for each in cached.time} == {"training", "other"}
    assert part(cached.disk, "cache") == 0  # it is there already


def test_a_cache_that_has_yet_to_be_made_costs_a_pass_of_the_teacher_and_disk() -> None:
    asked = recipe(source="cache", top_k=50, tokens=10_000_000, init="scratch")
    cost = estimate(asked, LARGE, STUDENT, CPU, text_bytes=4_000_000)
    capture = next(each.seconds for each in cost.time if each.name == "capture")
    forward = 1_000_000 * flops_per_token(LARGE, cost.choices.sequence_length, 1)
    assert capture == pytest.approx(forward / compute_speed(CPU, False).value)
    assert part(cost.disk, "cache") == pytest.approx(1_000_000 * 125, rel=0.02)  # bytes a token, as measured at k = 50
    assert cost.memory_bytes > 4 * (LARGE.parameters + STUDENT.parameters)  # both are there while it asks
    assert "asking the teacher" in next(each.reason for each in cost.memory if each.name == "other phases")


def test_a_cache_grows_with_k_and_with_large_vocabularies() -> None:
    small, large = (cache_bytes_per_token(k, 4096, "bucket") for k in (10, 100))
    assert large == pytest.approx(10 * small, rel=0.1)
    assert cache_bytes_per_token(50, 152_000, "bucket") > cache_bytes_per_token(50, 4096, "bucket")
    assert cache_bytes_per_token(50, 4096, "sample") < cache_bytes_per_token(50, 4096, "bucket")


def test_on_policy_takes_longer_the_more_the_student_writes() -> None:
    few, many = (
        estimate(recipe(source="on-policy", on_policy_share=share), TEACHER, STUDENT, CPU) for share in (0.25, 1.0)
    )
    online = estimate(recipe(), TEACHER, STUDENT, CPU)
    assert online.seconds < few.seconds < many.seconds
    assert online.tokens_per_second > many.tokens_per_second
    mixed = estimate(recipe(source="on-policy", objective="reverse_kl", teacher_mix=0.2), LARGE, STUDENT, CPU)
    alone = estimate(recipe(source="on-policy", objective="reverse_kl"), LARGE, STUDENT, CPU)
    assert mixed.seconds > alone.seconds


def test_measuring_on_the_same_device_takes_a_start_for_each_evaluation() -> None:
    def cost(**changes: Any) -> core.estimate.Estimate:
        return estimate(recipe(**changes), TEACHER, STUDENT, CPU)

    plain = cost()
    third = plain.choices.steps // 3
    watched = cost(measure_every=third, measure_skills=5)
    waits = next(each for each in watched.time if each.name == "measuring")
    assert waits.seconds == ((plain.choices.steps - 1) // third + 1) * START_SECONDS
    assert watched.seconds == pytest.approx(plain.seconds + waits.seconds)
    assert any("questions" in said for said in watched.assumptions)
    assert recipe(measure_every=4, measure_skills=5).waits(12) == 3  # at 4, at 8, and the finished student
    assert cost(measure_every=10, measure_skills=5, measure_device="cuda:1").seconds == plain.seconds


def test_a_measured_speed_has_the_writing_in_it() -> None:
    asked = recipe(tokens=4_096_000, source="on-policy")
    cost = estimate(asked, TEACHER, STUDENT, CPU, measured_tokens_per_second=1000)
    assert cost.tokens_per_second == pytest.approx(1000)
    assert sum(each.seconds for each in cost.time if each.name in ("training", "writing")) == pytest.approx(
        4096, rel=0.1
    )


# --- teachers and devices ---------------------------------------------------------------------------------------------


def test_several_teachers_add_up() -> None:
    one = estimate(recipe(), TEACHER, STUDENT, CPU)
    three = estimate(recipe(), TEACHER, STUDENT, CPU, further=[TEACHER, LARGE])
    assert part(three.memory, "teacher weights") == 4 * (2 * TEACHER.parameters + LARGE.parameters)
    training = [next(each.seconds for each in cost.time if each.name == "training") for cost in (one, three)]
    assert training[1] > training[0] + 1_000_000 * flops_per_token(LARGE, 512, 1) / compute_speed(CPU, False).value


@pytest.mark.parametrize(("precision", "each"), [("float32", 4), ("bfloat16", 2), ("int8", 1.0625), ("int4", 0.5625)])
def test_the_teachers_precision_is_that_of_its_layers(precision: str, each: float) -> None:
    rest = 2 if precision == "bfloat16" else 4
    expected = each * TEACHER.non_embedding + rest * (TEACHER.parameters - TEACHER.non_embedding)
    assert part(memory_of(teacher_precision=precision).fixed, "teacher weights") == round(expected)


def test_a_teacher_on_a_device_of_its_own_takes_nothing_here() -> None:
    assert part(memory_of("cuda:0", teacher_device="cuda:1").fixed, "teacher weights") == 0
    assert part(memory_of("cuda:0", teacher_device="cuda:0").fixed, "teacher weights") > 0


def test_memory_is_that_of_one_process_and_a_cpu_must_hold_them_all() -> None:
    two = recipe(processes=2, launch="accelerate", batch_tokens=4096, sequence_length=512, micro_batch=4)
    cost = estimate(two, TEACHER, STUDENT, CPU)
    assert part(cost.memory, "gradients") == 8 * STUDENT.parameters  # DDP's buckets hold them once more
    just = Device("cpu", "a CPU", 16 * 2**30, int(1.5 * cost.memory_bytes), False, "", cores=4)
    assert not estimate(two, TEACHER, STUDENT, just).fits
    assert estimate(recipe(), TEACHER, STUDENT, just).fits
    assert "each of 2 processes" in cost.sentence
    assert any("share this CPU" in assumption for assumption in cost.assumptions)


def test_gpus_share_the_time_of_a_run() -> None:
    asked = {"tokens": 10**9, "batch_tokens": 2**20, "sequence_length": 512, "micro_batch": 32}
    one = estimate(recipe(**asked), LARGE, STUDENT, GPU)
    four = estimate(recipe(**asked, processes=4, launch="accelerate"), LARGE, STUDENT, GPU)
    assert four.tokens_per_second == pytest.approx(4 * one.tokens_per_second)


def test_fsdp_shares_the_students_weights_and_moments() -> None:
    fsdp = memory_of("cuda:0", processes=4, launch="accelerate", strategy="fsdp")
    own = sum(part(fsdp.fixed, name) for name in ("student weights", "gradients", "optimizer"))
    assert own == pytest.approx(16 * STUDENT.parameters / 4, abs=4)


def test_states_and_relations_are_kept_beside_the_activations() -> None:
    plain, hidden, relations = (
        memory_of(**changes).activations_per_block for changes in ({}, {"hidden_weight": 1.0}, {"relation_weight": 1.0})
    )
    assert hidden >= plain + 4 * 256 * 6 * 192  # every layer of the teacher
    assert relations >= plain + 6 * 4 * 6 * 256**2  # queries, keys and values of both; six heads


# --- models of which less is known ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [50_000, 1_300_000, 350_000_000, 3_000_000_000, 70_000_000_000])
def test_a_stand_in_has_the_size_asked_for(parameters: int) -> None:
    size = Size.stand_in(parameters)
    assert size.parameters == pytest.approx(parameters, rel=0.02)
    assert size.assumed


def test_an_unknown_architecture_has_no_size_by_config() -> None:
    with pytest.raises(BadModel, match="mamba"):
        Size.of_config({"model_type": "mamba"})


# --- time -------------------------------------------------------------------------------------------------------------


def test_flops_come_near_six_n_d_and_two_n_d_for_large_models() -> None:
    size = Size.stand_in(3_000_000_000)
    assert flops_per_token(size, 512, 3) == pytest.approx(6 * size.parameters, rel=0.05)
    assert flops_per_token(size, 512, 1) == pytest.approx(2 * size.parameters, rel=0.05)


def test_time_grows_with_the_budget() -> None:
    short, long = (estimate(recipe(tokens=n, batch_tokens=4096), TEACHER, STUDENT, CPU) for n in (2**20, 2**23))
    assert long.seconds > 5 * short.seconds
    assert short.tokens_per_second == pytest.approx(long.tokens_per_second)


def test_a_measured_speed_goes_before_the_table() -> None:
    cost = estimate(recipe(tokens=4_096_000), TEACHER, STUDENT, CPU, measured_tokens_per_second=1000)
    assert cost.tokens_per_second == pytest.approx(1000)
    assert cost.seconds == pytest.approx(4096, rel=0.15)
    assert "measured" in cost.time_reason


class FakeNvml:
    """An H100 SXM as NVML describes it."""

    NVML_CLOCK_MEM, NVML_CLOCK_SM = 2, 1

    class NVMLError(Exception):
        pass

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent

    def nvmlInit(self) -> None:
        if self.silent:
            raise self.NVMLError("no driver")

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetMaxClockInfo(self, handle: str, clock: int) -> int:
        return {self.NVML_CLOCK_MEM: 2619, self.NVML_CLOCK_SM: 1980}[clock]

    def nvmlDeviceGetNumGpuCores(self, handle: str) -> int:
        return 16896

    def nvmlDeviceGetMemoryBusWidth(self, handle: str) -> int:
        return 5120


def test_a_gpus_speed_comes_from_its_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", FakeNvml())
    assert memory_bandwidth(GPU).value == pytest.approx(3.35e12, rel=0.01)  # as NVIDIA states it
    bf16, full = compute_speed(GPU, True), compute_speed(GPU, False)
    assert bf16.value / 0.35 == pytest.approx(989e12, rel=0.03)  # dense bf16, as NVIDIA states it
    assert full.value / 0.35 == pytest.approx(67e12, rel=0.01)


def test_the_memory_bandwidth_of_this_machine_is_measured() -> None:
    figure = memory_bandwidth(CPU)
    assert 5e8 < figure.value < 2e12
    assert figure.low < figure.value < figure.high
    assert figure == memory_bandwidth(CPU)


def test_a_faster_model_is_a_smaller_one() -> None:
    bandwidth = Figure(value=50e9, low=40e9, high=60e9, reason="told")
    slow, fast = (parameters_for_speed(speed, 2.0, bandwidth) for speed in (30, 60))
    assert slow.value == pytest.approx(2 * fast.value)
    assert slow.value == pytest.approx(0.6 * 50e9 / 30 / 2)
    assert slow.low < slow.value < slow.high


# --- disk -------------------------------------------------------------------------------------------------------------


def test_disk_counts_kept_checkpoints_and_one_being_written() -> None:
    cost = estimate(recipe(keep_checkpoints=3), TEACHER, STUDENT, CPU)
    assert part(cost.disk, "checkpoints") == 4 * 12 * STUDENT.parameters


def test_of_an_endless_text_only_what_the_budget_needs_is_kept() -> None:
    few, many = (estimate(recipe(), TEACHER, STUDENT, CPU, text_bytes=size) for size in (10**6, 10**12))
    assert part(few.disk, "tokens") == 10**6
    assert part(many.disk, "tokens") < 10**8


# --- defaults ---------------------------------------------------------------------------------------------------------


def test_what_the_recipe_says_goes_before_the_defaults() -> None:
    asked = recipe(sequence_length=64, batch_tokens=768, micro_batch=5, learning_rate=0.001, evaluate_every=7)
    chosen = choices(asked, CAST, CPU)
    assert (chosen.sequence_length, chosen.batch_tokens) == (64, 768)
    assert chosen.micro_batch == 4  # 12 blocks a step: 5 at once would leave some over
    assert (chosen.learning_rate, chosen.evaluate_every) == (0.001, 7)
    assert chosen.steps == math.ceil(1_000_000 / 768)


def test_blocks_are_never_longer_than_either_model_reads() -> None:
    short = Size.of_config(llama(max_position_embeddings=128))
    assert choices(recipe(), Cast(short, (TEACHER,)), CPU).sequence_length == 128
    assert choices(recipe(), Cast(STUDENT, (short,)), CPU).sequence_length == 128
    assert defaults.sequence_length(8192, "cpu")[0] == 512
    assert defaults.sequence_length(8192, "cuda")[0] == 2048


def test_short_documents_make_short_blocks() -> None:
    assert defaults.sequence_length(512, "cpu", 40)[0] == 192
    assert defaults.sequence_length(512, "cpu", 400)[0] == 512


def test_batch_and_rate_follow_the_step_law() -> None:
    """1B parameters and 100B tokens: 10^-2.79 and 10^6.04 by the law's formulas, worked out by hand."""
    tokens, reason = defaults.batch_tokens(100 * 10**9, 2048)
    assert 1.108e6 / math.sqrt(2) <= tokens <= 1.108e6 * math.sqrt(2)  # rounded to a power of two of blocks
    assert "Step Law" in reason
    rate, _ = defaults.learning_rate(10**9, 100 * 10**9, "scratch")
    assert rate == pytest.approx(1.63e-3, rel=0.02)


def test_students_that_know_something_learn_more_gently() -> None:
    rates = {init: defaults.learning_rate(10**8, 10**9, init)[0] for init in ("scratch", "prune", "existing")}
    assert rates["prune"] == pytest.approx(rates["scratch"] / 5, rel=0.05)
    assert rates["existing"] == pytest.approx(rates["scratch"] / 10, rel=0.05)
    assert "a fifth" in defaults.learning_rate(10**8, 10**9, "inherit")[1]


def test_the_learning_rate_is_capped() -> None:
    rate, reason = defaults.learning_rate(10_000, 10**9, "scratch")
    assert rate == 0.01
    assert "capped" in reason


@given(tokens=st.integers(64, 10**14), sequence=st.integers(8, 8192))
def test_a_step_is_whole_blocks_and_at_most_two_million_tokens(tokens: int, sequence: int) -> None:
    batch, _ = defaults.batch_tokens(tokens, sequence)
    blocks = batch // sequence
    assert batch == blocks * sequence
    assert blocks & (blocks - 1) == 0  # a power of two: every smaller one divides it
    assert batch <= max(sequence, 1.5 * 2 * 2**20)


@pytest.mark.parametrize("tokens", [64, 5_000, 200_000, 10**6])
def test_a_short_run_still_has_many_steps(tokens: int) -> None:
    batch, _ = defaults.batch_tokens(tokens, 64)
    assert batch == 64 or defaults.steps(tokens, batch) >= 70


@given(blocks=st.integers(1, 4096), free=st.integers(0, 10**12), each=st.integers(1, 10**9))
def test_the_micro_batch_divides_the_step_and_fits(blocks: int, free: int, each: int) -> None:
    micro, reason = defaults.micro_batch(
        blocks, bytes_per_block=each, fixed_bytes=10**9, free_bytes=free, device_kind="cpu"
    )
    assert blocks % micro == 0
    assert 1 <= micro <= 32
    assert micro == 1 or 10**9 + micro * each <= 0.5 * free
    assert reason


@given(steps=st.integers(1, 10**6))
def test_a_run_is_evaluated_at_most_ten_times(steps: int) -> None:
    every, _ = defaults.evaluate_every(steps)
    assert every >= 1
    assert math.ceil(steps / every) <= 10

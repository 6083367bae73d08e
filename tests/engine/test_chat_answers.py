"""Answers are what the model would write alone, whatever else is written beside them, and nothing is read twice."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny import CONTEXT, load, tiny_model, write_teacher, write_tokenizer
from transformers import GenerationConfig

from core.chat import ChatTrouble, Message, Sampling
from core.engine.chat_answer import Answer, Desk
from core.engine.chat_choosing import Chooser, Teller
from core.engine.chat_voice import Prompt, Voice, suggested_sampling
from core.errors import BadModel

GREEDY = Sampling(temperature=0, top_p=1, max_new_tokens=24)
TEMPLATE = (
    "{% for m in messages %}{{ '<pad>' + m.role + '\n' + m.content + '</s>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<pad>assistant\n' }}{% endif %}"
)
SLIDING = {"sliding_window": 12}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": SLIDING,
    "gemma2": {**SLIDING, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt2": {},
    "gpt_neox": {},
}


def voice_of(folder: Path, model_type: str = "llama", ends: bool = False, **changes: Any) -> Voice:
    tiny_model(model_type, seed=1, **changes).save_pretrained(folder)
    write_tokenizer(folder)
    voice = Voice(folder)
    if not ends:
        voice.ends = set()
    return voice


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return voice_of(tmp_path / "model")


def prompt(length: int, seed: int = 0) -> list[int]:
    return [0, *torch.randint(3, 380, (length - 1,), generator=torch.Generator().manual_seed(seed)).tolist()]


def write(*answers: Answer) -> list[list[int]]:
    """The tokens that each one writes, all on one desk."""

    def failed(answer: Answer, error: BaseException) -> None:
        raise error

    desk = Desk(failed)
    for answer in answers:
        desk.begin(answer)
    while desk.answers:
        list(desk.round())
    return [answer.ids[len(answer.prompt.ids) :] for answer in answers]


def ask(voice: Voice, ids: list[int], sampling: Sampling = GREEDY, **more: Any) -> Answer:
    return Answer(voice, Prompt(ids, "raw"), sampling, **more)


@torch.inference_mode()
def alone(voice: Voice, ids: list[int], **settings: Any) -> list[int]:
    """What transformers' own greedy search writes."""
    wanted = GenerationConfig(do_sample=False, max_new_tokens=24, pad_token_id=2, **settings)
    row = torch.tensor([ids])
    return voice.model.generate(row, attention_mask=torch.ones_like(row), generation_config=wanted)[
        0, len(ids) :
    ].tolist()


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_of_one_model_write_in_a_batch_what_each_writes_alone(tmp_path: Path, family: str) -> None:
    voice = voice_of(tmp_path / "model", family, **FAMILIES[family])
    prompts = [prompt(30, 1), prompt(5, 2), prompt(17, 3)]
    assert write(*(ask(voice, ids) for ids in prompts)) == [alone(voice, ids) for ids in prompts]


def test_a_repetition_penalty_is_that_of_transformers(voice: Voice) -> None:
    sampling = GREEDY.model_copy(update={"repetition_penalty": 1.5})
    assert write(ask(voice, prompt(9), sampling)) == [alone(voice, prompt(9), repetition_penalty=1.5)]


def test_the_next_turn_reads_only_what_is_new(voice: Voice) -> None:
    first = ask(voice, prompt(20))
    written = write(first)[0]
    longer = [*prompt(20), *written, 5, 6, 7]
    second = ask(voice, longer)
    assert write(second) == [alone(voice, longer)]
    assert second.kept == 20 + len(written) - 1  # the last token was written, and never read
    edited = [*prompt(20)[:18], 9, 9]
    third = ask(voice, edited)
    assert write(third) == [alone(voice, edited)]
    assert third.kept == 18


def test_two_columns_with_the_same_prompt_read_it_once(voice: Voice) -> None:
    one, other = ask(voice, prompt(40)), ask(voice, prompt(40), Sampling(seed=1, max_new_tokens=9))
    assert write(one, other)[0] == alone(voice, prompt(40))
    assert (one.kept, other.kept) == (0, 39)


def test_a_seed_writes_the_same_alone_and_beside_others(voice: Voice) -> None:
    sampling = Sampling(temperature=1.2, top_p=0.9, top_k=50, min_p=0.01, seed=4, max_new_tokens=20)
    first = write(ask(voice, prompt(6), sampling))[0]
    beside = [ask(voice, prompt(8, 5)), ask(voice, prompt(6), sampling), ask(voice, prompt(3, 7))]
    assert write(*beside)[1] == first
    assert write(ask(voice, prompt(6), sampling.model_copy(update={"seed": 5})))[0] != first


def test_an_answer_ends_with_its_end_token_its_length_or_the_context(tmp_path: Path) -> None:
    voice = voice_of(tmp_path / "model")
    free = write(ask(voice, prompt(10)))[0]
    voice.ends = {free[5]}
    answer = ask(voice, prompt(10))
    assert write(answer)[0] == free[: free.index(free[5]) + 1]
    assert answer.ending == "end"
    voice.ends = set()
    answer = ask(voice, prompt(10), GREEDY.model_copy(update={"max_new_tokens": 3}))
    write(answer)
    assert (answer.tokens, answer.ending) == (3, "length")
    answer = ask(voice, prompt(CONTEXT - 2))
    write(answer)
    assert (answer.tokens, answer.ending) == (2, "context")


def test_scores_that_are_nan_end_one_answer_and_not_the_other(tmp_path: Path, voice: Voice) -> None:
    broken = voice_of(tmp_path / "broken")
    broken.model.get_output_embeddings().weight.data.fill_(float("nan"))
    failures: list[BaseException] = []
    desk = Desk(lambda answer, error: failures.append(error))
    good, bad = ask(voice, prompt(5)), ask(broken, prompt(5))
    desk.begin(bad)
    desk.begin(good)
    while desk.answers:
        list(desk.round())
    assert good.ids[5:] == alone(voice, prompt(5))
    assert bad.ending == "failed"
    assert isinstance(failures[0], BadModel)


def test_a_halt_in_the_middle_of_a_pass_leaves_the_memory_as_it_was(voice: Voice) -> None:
    halted = threading.Event()
    answer = ask(voice, prompt(20), halted=halted.is_set)
    desk = Desk(lambda answer, error: pytest.fail(str(error)))
    desk.begin(answer)
    for _ in range(5):
        list(desk.round())
    calls = []
    layer = voice.model.model.layers[1]  # the first layer has the new key already, the second has not
    hook = layer.register_forward_pre_hook(lambda *_: (calls.append(1), halted.set()), prepend=True)
    list(desk.round())
    hook.remove()
    assert calls
    assert (answer.ending, desk.answers) == ("halted", [])
    assert {layer.get_seq_length() for layer in answer.memory.cache.layers} == {len(answer.memory.ids)}
    going_on = ask(voice, answer.ids)
    assert write(going_on) == [alone(voice, answer.ids)]
    assert going_on.kept == len(answer.ids) - 1


def test_a_long_prompt_is_halted_between_layers(tmp_path: Path) -> None:
    voice = voice_of(tmp_path / "slow", num_hidden_layers=6)
    for layer in voice.model.model.layers:
        layer.register_forward_hook(lambda *_: time.sleep(0.03))
    halted = threading.Event()
    desk = Desk(lambda answer, error: pytest.fail(str(error)))
    desk.begin(ask(voice, prompt(100), halted=halted.is_set))
    threading.Timer(0.2, halted.set).start()
    while not halted.is_set() and desk.answers:
        list(desk.round())
    began = time.monotonic()
    while desk.answers:
        list(desk.round())
    assert time.monotonic() - began < 0.1


def test_text_comes_in_whole_characters_and_adds_up(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = Voice(write_teacher(tmp_path / "m")).tokenizer
    said = "Zoë läuft über die Straße 🐢🐢 — naïve 日本語!"
    ids = tokenizer(said, add_special_tokens=False).input_ids
    teller = Teller(tokenizer, [0], ())
    parts = [teller.take(token) for token in ids]
    assert "".join(parts) + teller.end() == said
    assert not any("\ufffd" in part for part in parts)
    half = Teller(tokenizer, [0], ())
    cut = tokenizer("ab 🐢", add_special_tokens=False).input_ids[:-1]
    assert "".join(map(half.take, cut)) + half.end() == "ab "


def test_a_stop_text_is_never_shown_even_if_it_comes_in_pieces(voice: Voice) -> None:
    ids = voice.tokenizer("One day END of it", add_special_tokens=False).input_ids
    teller = Teller(voice.tokenizer, [0], ("END of", "never"))
    shown = "".join(teller.take(token) for token in ids)
    assert (shown + teller.end(), teller.stopped) == ("One day ", True)
    teller = Teller(voice.tokenizer, [0], ("END of time",))
    assert "".join(map(teller.take, ids)) + teller.end() == "One day END of it"
    assert not teller.stopped


def test_what_is_drawn_follows_the_models_probabilities() -> None:
    scores_V = torch.tensor([2.0, 1.0, 0.0, -1.0, -3.0])
    sampling = Sampling(temperature=0.8, top_k=4, top_p=0.95, min_p=0.1)
    chooser = Chooser(sampling, 3)
    counts = torch.bincount(torch.tensor([chooser.choose(scores_V, [0]) for _ in range(1000)]), minlength=5)
    p_V = (scores_V.double() / 0.8).softmax(0)
    p_V[4] = 0  # top-k, then top-p 0.95 and min-p 0.1 of the largest
    p_V = p_V / p_V.sum()
    p_V[(p_V.cumsum(0) - p_V) >= 0.95] = 0
    p_V[p_V < 0.1 * p_V.max()] = 0
    expected = 1000 * p_V / p_V.sum()
    kept = expected > 0
    assert counts[~kept].sum() == 0
    assert float(((counts - expected)[kept] ** 2 / expected[kept]).sum()) < 20


# ------------------------------------------------------------------------------------------------- prompts, templates


def chatty(folder: Path, template: str = TEMPLATE) -> Voice:
    write_teacher(folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return Voice(folder)


def said(*contents: str, system: str = "") -> list[Message]:
    roles = ["user", "assistant"] * len(contents)
    turns = [Message(role=role, content=text) for role, text in zip(roles, contents, strict=False)]  # type: ignore[arg-type]
    return [Message(role="system", content=system), *turns] if system else turns


def test_a_conversation_is_put_in_the_models_own_template(tmp_path: Path) -> None:
    voice = chatty(tmp_path / "m")
    asked = voice.prompt(said("one", "two", "three", system="sys"), "auto", 10, "drop")
    text = voice.tokenizer.decode(asked.ids)
    assert text == "<pad>system\nsys</s><pad>user\none</s><pad>assistant\ntwo</s><pad>user\nthree</s><pad>assistant\n"
    assert asked.mode == "chat"
    going_on = voice.prompt(said("one", "two"), "auto", 10, "drop")
    assert voice.tokenizer.decode(going_on.ids).endswith("<pad>assistant\ntwo")


def test_the_token_behind_an_answer_in_the_template_ends_answers(tmp_path: Path) -> None:
    voice = chatty(tmp_path / "m", TEMPLATE.replace("'</s>'", "'<pad>'"))
    assert 2 in voice.ends


def test_a_template_without_a_system_role_gets_the_system_prompt_with_the_question(tmp_path: Path) -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
    voice = chatty(tmp_path / "m", refusing)
    asked = voice.prompt(said("one", system="sys"), "auto", 10, "drop")
    assert "<pad>user\nsys\n\none</s>" in voice.tokenizer.decode(asked.ids)


def test_a_template_that_refuses_a_conversation_is_told_in_words(tmp_path: Path) -> None:
    voice = chatty(tmp_path / "m", "{{ raise_exception('must alternate') }}")
    with pytest.raises(ChatTrouble, match="must alternate"):
        voice.prompt(said("one"), "auto", 10, "drop")


def test_a_full_context_is_dropped_from_its_oldest_turn_and_said(tmp_path: Path) -> None:
    voice = chatty(tmp_path / "m")
    long = "Once upon a time there was a little girl. " * 3
    asked = voice.prompt(said(long, long, "What then?", system="sys"), "auto", 20, "drop")
    text = voice.tokenizer.decode(asked.ids)
    assert text == "<pad>system\nsys</s><pad>user\nWhat then?</s><pad>assistant\n"
    assert asked.dropped == 2
    assert "oldest 2 turns" in asked.notes[0]
    with pytest.raises(ChatTrouble, match="no room"):
        voice.prompt(said(long, long, "What then?"), "auto", 20, "stop")


def test_a_base_model_goes_on_with_the_text_after_its_start_token(voice: Voice) -> None:
    asked = voice.prompt(said("Once upon", " a time.", "Then"), "auto", 10, "drop")
    assert asked.mode == "raw"
    assert asked.ids[0] == voice.framing.start == 0
    assert voice.tokenizer.decode(asked.ids[1:]) == "Once upon a time.\nThen"
    with pytest.raises(ChatTrouble, match="no chat template"):
        voice.prompt(said("hello"), "chat", 10, "drop")


def test_the_authors_own_settings_are_suggested(tmp_path: Path) -> None:
    GenerationConfig(do_sample=True, temperature=0.6, top_k=20, top_p=0.95).save_pretrained(tmp_path)
    suggested = suggested_sampling(tmp_path)
    assert suggested is not None
    assert (suggested.temperature, suggested.top_k, suggested.top_p) == (0.6, 20, 0.95)
    GenerationConfig(eos_token_id=1).save_pretrained(tmp_path)
    assert suggested_sampling(tmp_path) is None


# --------------------------------------------------------------------------------------------------------- adapters


# peft 0.21 asks transformers 5.23 by a name that is going away
deprecated_in_peft = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def write_adapter(folder: Path, base: Path, named: str | None = None) -> None:
    model, _ = load(base)
    peft = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
    torch.manual_seed(5)
    for name, tensor in peft.named_parameters():
        if "lora_B" in name:
            tensor.data.normal_(std=0.3)
    peft.save_pretrained(folder, save_embedding_layers=False)
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": named or str(base)}))


@torch.inference_mode()
def scores_with(base: Path, adapter: Path, ids: list[int], scale: float) -> torch.Tensor:
    """Scores of the base with scale · (alpha / r) · B·A added to its weights by hand."""
    from safetensors.torch import load_file

    model, _ = load(base)
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name, a in tensors.items():
        if "lora_A" in name:
            place = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            b = tensors[name.replace("lora_A", "lora_B")]
            model.get_submodule(place).weight.data += scale * 2 * b @ a
    return model(torch.tensor([ids])).logits[0, -1]


@deprecated_in_peft
def test_an_adapter_is_loaded_with_its_base_and_can_be_scaled_and_switched_off(tmp_path: Path) -> None:
    base = write_teacher(tmp_path / "base")
    write_adapter(tmp_path / "tuned", base, named="base")  # found beside the adapter
    voice = Voice(tmp_path / "tuned")
    ids = prompt(12)
    for scale in (1.0, 0.0, 0.5, 1.0):
        state = voice.adapter_state({"tuned": scale})
        answer = ask(voice, ids, adapters=state)
        answer.memory = voice.shelf.take(ids, state, voice.model)
        expected = scores_with(base, tmp_path / "tuned", ids, scale)
        assert answer.scores(ids)[0] == pytest.approx(expected[: voice.entries], abs=1e-4)
    on, off = (
        ask(voice, ids, adapters=voice.adapter_state(None)),
        ask(voice, ids, adapters=voice.adapter_state({"tuned": 0})),
    )
    together = write(on, off)
    assert together[0] != together[1]
    assert off.kept == 0  # what was read with the adapter on is of no use with it off
    with pytest.raises(ChatTrouble, match="no adapter other"):
        voice.adapter_state({"other": 1})


@deprecated_in_peft
def test_an_adapter_without_its_base_says_what_it_needs(tmp_path: Path) -> None:
    base = write_teacher(tmp_path / "base")
    write_adapter(tmp_path / "tuned", base, named="somebody/model-of-theirs")
    with pytest.raises(BadModel, match="somebody/model-of-theirs"):
        Voice(tmp_path / "tuned")
    assert Voice(tmp_path / "tuned", base=str(base)).adapters

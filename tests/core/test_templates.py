"""Templates that a user can pick fit the model at hand, and one that a model brings is found."""

from __future__ import annotations

import json

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.errors import BadRecipe
from core.templates import TEMPLATES, own_template, propose, settled

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "I am Ada."},
]
WRITTEN = {
    "plain": "<s>Be brief.\n\nUser: Who are you?\nAssistant: I am Ada.</s>\n",
    "chatml": "<s><|im_start|>system\nBe brief.</s>\n<|im_start|>user\nWho are you?</s>\n<|im_start|>assistant\nI am Ada.</s>\n",
    "zephyr": "<s><|system|>\nBe brief.</s>\n<|user|>\nWho are you?</s>\n<|assistant|>\nI am Ada.</s>\n",
    "llama2": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWho are you? [/INST] I am Ada. </s>",
    "alpaca": "<s>Be brief.\n\n### Instruction:\nWho are you?\n\n### Response:\nI am Ada.</s>\n\n",
    "vicuna": "<s>Be brief. USER: Who are you? ASSISTANT: I am Ada.</s>",
}


def written(
    name: str, messages: list[dict[str, str]], *, ask: bool = False, tokens: tuple[str, ...] = (), start: str = "<s>"
) -> str:
    jinja = settled(name, start=start, end="</s>", has_token=tokens.__contains__)
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(jinja).render(messages=messages, add_generation_prompt=ask)


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_writes_its_published_format(name):
    assert written(name, TALK) == WRITTEN[name]


@pytest.mark.parametrize("name", TEMPLATES)
def test_asking_is_the_beginning_of_what_an_answer_is_trained_behind(name):
    for talk in (TALK[:2], TALK[1:2]):
        assert written(name, [*talk, TALK[2]]).startswith(written(name, talk, ask=True))


def test_a_model_without_a_start_token_gets_none():
    assert written("plain", TALK[1:], start="").startswith("User:")


def test_chatml_uses_its_own_end_where_the_tokenizer_has_it():
    said = written("chatml", TALK, tokens=("<|im_end|>",))
    assert said.count("<|im_end|>\n") == 3
    assert "</s>" not in said


def test_what_is_proposed_follows_from_the_tokens_there_are():
    assert propose(("<|im_start|>", "<|im_end|>").__contains__)[0] == "chatml"
    assert propose(lambda token: False)[0] == "plain"


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(BadRecipe, match="Choose one of plain, chatml"):
        settled("chatlm", start="", end="</s>", has_token=lambda token: False)


def test_a_models_own_template_is_found_in_either_place(tmp_path):
    assert own_template(tmp_path) is None
    several = [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": several}))
    assert own_template(tmp_path) == "D"
    (tmp_path / "chat_template.jinja").write_text("J")
    assert own_template(tmp_path) == "J"

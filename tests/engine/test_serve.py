"""The endpoint as other programs meet it: through OpenAI's own client."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_chat_answers import TEMPLATE
from tiny import load, write_teacher

from core.errors import Trouble
from core.serve import Server, ServeSettings, Serving

openai = pytest.importorskip("openai", reason="the openai client is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_teacher(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=4096, eos_token_id=None)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": None}))
    return folder


@pytest.fixture(scope="module")
def serving(folder: Path) -> Iterator[Serving]:
    with Server(ServeSettings(models=(str(folder),), port=0, key="secret", device="cpu")) as server:
        yield server.start()


@pytest.fixture
def client(serving: Serving) -> Iterator[Any]:
    with openai.OpenAI(base_url=serving.url, api_key="secret", max_retries=0) as client:
        yield client


def greedy(folder: Path, ids: list[int], count: int) -> str:
    model, tokenizer = load(folder)
    import torch

    row = torch.tensor([ids])
    model.generation_config.eos_token_id = None
    written = model.generate(row, attention_mask=torch.ones_like(row), do_sample=False, max_new_tokens=count)
    return tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True)


def test_a_completion_is_what_the_model_writes_with_its_usage(client: Any, folder: Path) -> None:
    model = client.models.list().data[0].id
    assert model == "tiny"
    answer = client.completions.create(model=model, prompt="Once upon", max_tokens=8, temperature=0, logprobs=2)
    _, tokenizer = load(folder)
    ids = tokenizer("Once upon").input_ids  # the tokenizer sets its <s> before it
    assert answer.choices[0].text == greedy(folder, ids, 8).rstrip("\ufffd")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (len(ids), 8)
    assert answer.choices[0].finish_reason == "length"
    first = answer.choices[0].logprobs
    assert len(first.tokens) == len(first.token_logprobs) == 8
    assert all(
        value == pytest.approx(max(best.values()))
        for value, best in zip(first.token_logprobs, first.top_logprobs, strict=True)
    )


def test_a_chat_answer_streams_and_adds_up_to_the_whole_one(client: Any, folder: Path) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "Who was she?"}],
        "max_completion_tokens": 10,
        "seed": 5,
        "temperature": 0.9,
    }
    whole = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason == "length"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens == 10
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_stop_texts_choices_and_several_prompts(client: Any) -> None:
    free = client.completions.create(model="tiny", prompt="Once upon", max_tokens=40, temperature=0).choices[0].text
    stop = free[10:13]
    stopped = client.completions.create(model="tiny", prompt="Once upon", max_tokens=40, temperature=0, stop=[stop])
    assert stopped.choices[0].text == free[: free.find(stop)]
    assert stopped.choices[0].finish_reason == "stop"
    several = client.completions.create(model="tiny", prompt=["One", "Two"], n=2, seed=1, max_tokens=5)
    texts = [choice.text for choice in sorted(several.choices, key=lambda choice: choice.index)]
    assert len(texts) == 4
    again = client.completions.create(model="tiny", prompt="Two", n=2, seed=1, max_tokens=5)
    assert [choice.text for choice in again.choices] == texts[2:]
    assert texts[0] != texts[1]


def health(serving: Serving) -> dict[str, Any]:
    with urllib.request.urlopen(serving.url.removesuffix("/v1") + "/health", timeout=10) as answer:
        return json.load(answer)


def wait_until_idle(serving: Serving, patience_s: float) -> float:
    began = time.monotonic()
    while health(serving)["writing"]:
        assert time.monotonic() - began < patience_s
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_client_that_goes_away_stops_its_answer(client: Any, serving: Serving) -> None:
    asked: dict[str, Any] = {"model": "tiny", "prompt": "Once", "max_tokens": 3900, "temperature": 0}
    stream = client.completions.create(**asked, stream=True)
    for _, _chunk in zip(range(3), stream, strict=False):
        assert health(serving)["writing"] == 1
    stream.close()
    wait_until_idle(serving, 3)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.4).completions.create(**asked)
    wait_until_idle(serving, 3)


def test_what_is_refused_is_told_as_openai_tells_it(client: Any, serving: Serving) -> None:
    def chat(**changes: Any) -> Any:
        return client.chat.completions.create(
            **{"model": "tiny", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4, **changes}
        )

    with pytest.raises(openai.NotFoundError, match="gpt-4 is not served here"):
        chat(model="gpt-4")
    for changes, named in (
        ({"messages": []}, "messages"),
        ({"temperature": 9}, "temperature"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": [{"role": "user", "content": "a " * 9000}]}, "context of 4096"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "image_url"),
    ):
        with pytest.raises(openai.BadRequestError, match=named) as told:
            chat(**changes)
        assert (told.value.code == "context_length_exceeded") is (named == "context of 4096")
        with pytest.raises(openai.BadRequestError, match=named):
            chat(**changes, stream=True)
    with pytest.raises(openai.AuthenticationError, match="key"):
        openai.OpenAI(base_url=serving.url, api_key="wrong", max_retries=0).models.list()
    request = urllib.request.Request(serving.url + "/models", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 400
    refused.value.close()


def test_a_port_in_use_is_told_before_a_model_is_loaded(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = ServeSettings(models=(str(folder),), port=port, device="cpu")
        with Server(settings) as server, pytest.raises(Trouble, match=f"Port {port}.*in use"):
            server.start()


def test_others_on_the_network_need_a_key(folder: Path) -> None:
    with pytest.raises(Trouble, match="--key"):
        Server(ServeSettings(models=(str(folder),), host="0.0.0.0"))

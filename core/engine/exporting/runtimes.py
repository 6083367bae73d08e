"""The programs that a shipped model will run in, each asked the same things: ids of a text, greedy answers, scores of a text."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from core.engine.exporting.gguf_file import SLIDING, query_scale
from core.errors import Trouble
from core.shapes import shape_of

BINDINGS = ("llama_cpp", "xllamacpp")  # of llama.cpp, the first that is installed is taken
ANSWER_S = 600.0


class Answering(Protocol):
    """Something that goes on with ids until a stop token, always with the likeliest token."""

    name: str

    def encode(self, text: str) -> list[int]:
        """The ids of a text as this program makes them, bos included if it adds one; special tokens in the text are recognised."""
        ...

    def greedy(self, ids: Sequence[int], new_tokens: int, stops: Sequence[int]) -> list[int]: ...


class Scoring(Protocol):
    name: str

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Scores of shape (T, V) for the token after each of T ids, float32."""
        ...


class Transformers:
    """A model that transformers has loaded."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.name = f"transformers {version('transformers')}"
        self.model = model
        self.model.generation_config = GenerationConfig()  # penalties of its own would not be greedy
        self.tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, verbose=False).input_ids)

    @torch.inference_mode()
    def greedy(self, ids: Sequence[int], new_tokens: int, stops: Sequence[int]) -> list[int]:
        asked_1T = torch.tensor([list(ids)], device=self.model.device)
        how = GenerationConfig(
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=list(stops) or None,
            pad_token_id=stops[0] if stops else 0,
        )
        attended_1T = torch.ones_like(asked_1T)
        said_1T = self.model.generate(asked_1T, attention_mask=attended_1T, generation_config=how)
        return [int(token) for token in said_1T[0, len(ids) :]]

    @torch.inference_mode()
    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        asked_1T = torch.tensor([list(ids)], device=self.model.device)
        return self.model(input_ids=asked_1T, use_cache=False).logits[0].float().cpu()


class Onnx:
    """A graph in ONNX Runtime: input_ids and attention_mask in, logits out, nothing kept between calls."""

    def __init__(self, file: Path, tokenizer: PreTrainedTokenizerBase) -> None:
        import onnxruntime

        self.name = f"ONNX Runtime {version('onnxruntime')}"
        self.tokenizer = tokenizer
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, verbose=False).input_ids)

    def greedy(self, ids: Sequence[int], new_tokens: int, stops: Sequence[int]) -> list[int]:
        said: list[int] = []
        while len(said) < new_tokens and not (said and said[-1] in stops):
            said.append(int(self.logits([*ids, *said])[-1].argmax()))
        return said

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        asked_1T = torch.tensor([list(ids)])
        given = {"input_ids": asked_1T.numpy(), "attention_mask": torch.ones_like(asked_1T).numpy()}
        return torch.from_numpy(self._session.run(["logits"], given)[0][0])


class LlamaCpp:
    """llama.cpp through llama-cpp-python, in this process."""

    def __init__(self, file: Path, context: int) -> None:
        import llama_cpp

        self.name = f"llama.cpp (llama-cpp-python {version('llama-cpp-python')})"
        self._llama = llama_cpp.Llama(
            str(file), n_ctx=context, n_gpu_layers=0, verbose=False, type_k=0, type_v=0, flash_attn=False
        )

    def encode(self, text: str) -> list[int]:
        return list(self._llama.tokenize(text.encode("utf-8"), add_bos=True, special=True))

    def greedy(self, ids: Sequence[int], new_tokens: int, stops: Sequence[int]) -> list[int]:
        """Stops where llama.cpp itself would: at the tokens that it takes from the file as ends."""
        import llama_cpp

        vocabulary = llama_cpp.llama_model_get_vocab(self._llama.model)
        said: list[int] = []
        for token in self._llama.generate(list(ids), top_k=1, temp=0.0, repeat_penalty=1.0):
            said.append(int(token))
            if len(said) == new_tokens or llama_cpp.llama_vocab_is_eog(vocabulary, token):
                break
        return said

    def close(self) -> None:
        self._llama.close()


class LlamaServer:
    """llama.cpp's own server, inside the xllamacpp package, asked over loopback."""

    def __init__(self, file: Path, context: int) -> None:
        import xllamacpp

        self.name = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        settings = xllamacpp.CommonParams()
        settings.model.path = str(file)
        settings.n_ctx = context
        settings.n_parallel = 1
        settings.n_gpu_layers = 0
        settings.warmup = False
        settings.verbosity = -1
        settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        settings.cpuparams.n_threads = torch.get_num_threads()
        settings.port = 0
        self._server: Any = xllamacpp.Server(settings)

    def _ask(self, path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._server.listening_address}/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever proxy there is
        with opener.open(request, timeout=ANSWER_S) as answer:
            return dict(json.load(answer))

    def encode(self, text: str) -> list[int]:
        return list(self._ask("tokenize", content=text, add_special=True, parse_special=True)["tokens"])

    def greedy(self, ids: Sequence[int], new_tokens: int, stops: Sequence[int]) -> list[int]:
        """Stops where llama.cpp itself would."""
        wanted = {"prompt": list(ids), "n_predict": new_tokens, "samplers": ["top_k"], "top_k": 1, "temperature": 0}
        answer = self._ask("completion", **wanted, return_tokens=True, cache_prompt=False)
        return [int(token) for token in answer["tokens"]]

    def template(self, messages: list[dict[str, str]]) -> str:
        """A conversation as llama.cpp writes it by the file's template, up to where the model is to answer."""
        return str(self._ask("apply-template", messages=messages)["prompt"])

    def close(self) -> None:
        self._server = None


def has_llama_cpp() -> bool:
    return any(importlib.util.find_spec(name) is not None for name in BINDINGS)


@contextlib.contextmanager
def llama_cpp_of(file: Path, context: int) -> Iterator[LlamaCpp | LlamaServer]:
    """llama.cpp with the file loaded. Trouble if it does not take it."""
    try:
        with_python = importlib.util.find_spec("llama_cpp") is not None
        runtime: LlamaCpp | LlamaServer = LlamaCpp(file, context) if with_python else LlamaServer(file, context)
    except (ValueError, RuntimeError, OSError) as error:
        raise Trouble(
            f"llama.cpp can't load the exported file: {error}.",
            "Please report it with the model's config.json; nothing was written.",
        ) from error
    try:
        yield runtime
    finally:
        runtime.close()


def load_gguf(file: Path, original: Path, tokenizer: PreTrainedTokenizerBase, device: str) -> Transformers:
    """The file as transformers reads it. Settings of the architecture that transformers does not take from GGUF are the original's."""
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    said = load_gguf_checkpoint(str(file))["config"]
    config = AutoConfig.from_pretrained(original, local_files_only=True)
    if config.model_type == "mistral":  # which is a Llama in GGUF, and so to transformers
        config = AutoConfig.for_model(
            "llama", **{name: value for name, value in config.to_dict().items() if name != "model_type"}
        )
    rotation = said.pop("rope_theta", None)
    for name, value in said.items():
        if name != "model_type" and hasattr(config, name) and value is not None:
            setattr(config, name, value)
    if (
        rotation is not None
        and isinstance(getattr(config, "rope_parameters", None), dict)
        and "rope_theta" in config.rope_parameters
    ):
        config.rope_parameters = {**config.rope_parameters, "rope_theta": rotation}
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, config=config, dtype=torch.float32, local_files_only=True
    )
    if (
        config.model_type in SLIDING
    ):  # the file's queries are made for this scale, which transformers takes from the original
        scale = query_scale(config.to_dict(), shape_of(config.to_dict()))
        for module in model.modules():
            if hasattr(module, "q_proj"):
                module.scaling = scale**-0.5
    return Transformers(model.to(device).eval().requires_grad_(False), tokenizer)

"""A model that talks: weights, tokenizer, adapters, how it is asked, and one forward pass that can be broken off between layers."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import Cache
from transformers.utils import logging as transformers_logging

from core.chat import ChatTrouble, Message, Mode, Sampling, TooLong, WhenFull, fit_turns, room_for_answer
from core.devices import default_device, devices
from core.engine.chat_cache import AdapterState, Shelf, rewind, rewindable
from core.engine.evaluate import trained_framing
from core.engine.generation import context_of
from core.engine.memory import free_unused
from core.engine.models import compute_dtype, generation_config, load_model, load_tokenizer
from core.engine.text import find_framing
from core.errors import BadModel
from core.model_folders import name_of, resolve_model
from core.models import inspect_model

PROBE = ("Once upon a time, there was a little girl.", "The first thing to know is that", "In the year")
TELL_EVERY_S = 0.1
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json")


class Halted(Exception):
    """The user wants no more of this answer."""


@dataclass(frozen=True)
class Prompt:
    """What is read before an answer is written."""

    ids: list[int]
    mode: str  # chat or raw
    dropped: int = 0
    notes: tuple[str, ...] = ()


class Voice:
    """A loaded model with all that it takes to answer."""

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        precision: str = "auto",
        *,
        adapters: Sequence[Path] = (),
        base: str | None = None,
        allow_remote_code: bool = False,
        compiled: bool = False,
        told: Callable[[str, float | None], None] = lambda what, share: None,
    ) -> None:
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        began = time.monotonic()
        self.folder, self.name = folder, name_of(folder)
        self.adapters: dict[str, str] = {}  # what peft calls them, by the names of their folders
        source = folder
        if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
            source, adapters = base_of(folder, base), (folder, *adapters)
        self.device = pick_device(device)
        dtype, self.precision_reason = compute_dtype(self.device.partition(":")[0], precision)
        self.precision = str(dtype).removeprefix("torch.")
        told("weights", 0.0)
        with _counted(lambda share: told("weights", share)):
            self.model: PreTrainedModel = load_model(source, self.device, dtype, allow_remote_code)
        with_own = (each for each in adapters if any((each / file).is_file() for file in TOKENIZER_FILES))
        self.speaking = next(with_own, source)  # an adapter may bring a chat template
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(self.speaking, allow_remote_code)
        self._peft: Any = None
        for adapter in adapters:
            told(f"adapter {adapter.name}", None)
            self._attach(adapter)
        self._state: AdapterState = ()
        told("framing", None)
        self._learn_habits(folder, source)
        self._prepare(compiled)
        self.shelf = Shelf()
        self.parameters = self.model.num_parameters()
        self.seconds = time.monotonic() - began

    # ---------------------------------------------------------------------------------------------- its ways

    def _learn_habits(self, folder: Path, source: Path) -> None:
        """Where its texts begin and end, its context, its chat template, the settings that its author recommends."""
        framing = trained_framing(folder) or trained_framing(source)
        self.framing = framing or find_framing(self.tokenizer, self.model, list(PROBE), self.device)
        declared = source if (source / "generation_config.json").is_file() else None
        ends = set(generation_config(self.tokenizer, self.framing, declared).eos_token_id or [])
        self.ends = ends | set(inspect_model(source, allow_remote_code=True).eos_token_ids)
        self.context = context_of(self.model)
        self.chat_template = _template_of(self.tokenizer)
        if self.chat_template is not None and (end := self._turn_end()) is not None:
            self.ends.add(end)
        self.suggested = suggested_sampling(declared)

    def _turn_end(self) -> int | None:
        """The special token that the template sets behind an answer: a model stops there even if no file says so."""
        said = [Message(role="user", content="a"), Message(role="assistant", content="QxQ")]
        try:
            text = self._render(said, whole=True)
        except ChatTrouble:
            return None
        behind = self.tokenizer(text.rpartition("QxQ")[2], add_special_tokens=False).input_ids
        return next((token for token in behind if token in self.tokenizer.all_special_ids), None)

    def _prepare(self, compiled: bool) -> None:
        accepted = inspect.signature(self.model.forward).parameters
        if "past_key_values" not in accepted:
            raise BadModel(
                f"{self.model.config.model_type} models keep no keys and values of what they have read, so they can't talk at a "
                "bearable speed.",
                "Choose a model of another architecture.",
            )
        self.takes_positions, self.takes_kept = "position_ids" in accepted, "logits_to_keep" in accepted
        self.rewindable = rewindable(self.model)
        rows = self.model.get_input_embeddings().weight.shape[0]
        self.entries = min(len(self.tokenizer), rows)
        self._halted: Callable[[], bool] = lambda: False
        lists = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        self.layers = len(max(lists, key=len)) if lists else 1
        if compiled:
            self._forward: Any = torch.compile(self.model, dynamic=True)  # a halt then waits for the end of the pass
            return
        self._forward = self.model
        for layer in max(lists, key=len) if lists else ():
            layer.register_forward_pre_hook(self._look_up)

    # ---------------------------------------------------------------------------------------------- adapters

    def _attach(self, folder: Path) -> None:
        """Lay an adapter over the model; BadModel says why it does not fit."""
        from peft import PeftConfig, PeftModel

        inspect_model(folder)
        try:
            settings = PeftConfig.from_pretrained(str(folder))
            if settings.is_prompt_learning:
                raise BadModel(
                    f"{folder.name} is an adapter of the kind {settings.peft_type}, which can't be switched on and off here.",
                    "Choose a LoRA adapter.",
                )
            known = self.model.get_input_embeddings().weight.shape[0]
            if not self.adapters and len(self.tokenizer) > known:  # it was trained with tokens of its own
                self.model.resize_token_embeddings(len(self.tokenizer))
            name = f"{len(self.adapters)}-{folder.name}".replace(".", "_")
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self.model, str(folder), adapter_name=name)
            else:
                self._peft.load_adapter(str(folder), adapter_name=name)
        except (ValueError, KeyError, RuntimeError, OSError, TypeError) as error:
            raise BadModel(
                f"The adapter {folder} can't be laid over {self.folder.name}: {str(error)[:300]}.",
                "Choose the model that it was made for.",
            ) from error
        self.adapters[self._own_name(name_of(folder))] = name
        self.model = self._peft.get_base_model().eval().requires_grad_(False)
        self._state = ()

    def _own_name(self, name: str) -> str:
        """What an adapter is called: two of one name are told apart."""
        names = (name if number == 1 else f"{name} ({number})" for number in count(1))
        return next(each for each in names if each not in self.adapters)

    def adapter_state(self, wanted: Mapping[str, float] | None) -> AdapterState:
        """The scale of each adapter, 1 where nothing is said; ChatTrouble for one that is not there."""
        wanted = wanted or {}
        if unknown := sorted(set(wanted) - set(self.adapters)):
            raise ChatTrouble(
                f"{self.name} has no adapter {unknown[0]}.", f"It has {', '.join(self.adapters) or 'none'}."
            )
        return tuple((name, float(wanted.get(name, 1.0))) for name in self.adapters)

    def _wear(self, state: AdapterState) -> None:
        """Switch the adapters to these scales; 0 for all is the base model itself."""
        if self._peft is None or state == self._state:
            return
        active = [self.adapters[name] for name, scale in state if scale]
        if not active:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.base_model.set_adapter(active)
            for name, scale in state:
                self._scale(self.adapters[name], name, scale)
            self.model.requires_grad_(False)
        self._state = state

    def _scale(self, adapter: str, name: str, scale: float) -> None:
        layers = [module for module in self.model.modules() if hasattr(module, "set_scale")]
        if not layers and scale not in (0, 1):
            raise ChatTrouble(f"The adapter {name} has no scale.", "It can be on (1) or off (0).")
        if scale:
            for layer in layers:
                layer.set_scale(adapter, scale)

    # ----------------------------------------------------------------------------------------------- prompts

    def prompt(self, messages: Sequence[Message], mode: Mode, wanted: int, when_full: WhenFull) -> Prompt:
        """The ids to be read for a conversation, cut so that an answer has room. ChatTrouble where that can't be."""
        if not messages or not any(message.content for message in messages):
            raise ChatTrouble("There is nothing to answer.", "Say something first.")
        if mode == "chat" and self.chat_template is None:
            raise ChatTrouble(f"{self.name} has no chat template.", "Talk with it in raw completion mode.")
        if mode == "raw" or self.chat_template is None:
            return self._raw_prompt(run_together(messages), wanted, when_full)
        kept, dropped = tuple(messages), 0
        if self.context is not None:
            kept, dropped = fit_turns(messages, lambda part: len(self._chat_ids(part)), self.context, wanted, when_full)
        notes: tuple[str, ...] = ()
        if dropped:
            notes = (f"The context of {self.context} tokens is full: the oldest {dropped} turns are no longer read.",)
        return Prompt(self._known(self._chat_ids(kept)), "chat", dropped, notes)

    def _raw_prompt(self, text: str, wanted: int, when_full: WhenFull) -> Prompt:
        start = [] if self.framing.start is None else [self.framing.start]
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if not start and not ids:
            raise ChatTrouble("The text gives no token.", "Say something first.")
        notes: tuple[str, ...] = ()
        if self.context is not None:
            room = self.context - room_for_answer(self.context, wanted) - len(start)
            if len(ids) > room and when_full == "stop":
                raise TooLong(
                    f"The text has {len(ids)} tokens, and the context of {self.context} has no room for more.",
                    "Begin a new one, or let the beginning be dropped.",
                )
            if len(ids) > room:
                notes = (f"The context is full: the first {len(ids) - room} tokens of the text are no longer read.",)
                ids = ids[-room:]
        return Prompt(self._known(start + ids), "raw", 0, notes)

    def completion_prompt(self, ids: list[int]) -> Prompt:
        """Token ids as they are given."""
        if not ids:
            raise ChatTrouble("The prompt has no token.", "Give a text.")
        if self.context is not None and len(ids) >= self.context:
            raise ChatTrouble(f"The prompt has {len(ids)} tokens, the context {self.context}.", "Shorten it.")
        return Prompt(self._known(ids), "raw")

    def _known(self, ids: list[int]) -> list[int]:
        if (highest := max(ids)) >= self.model.get_input_embeddings().weight.shape[0]:
            raise BadModel(
                f"The tokenizer of {self.name} writes token {highest}, which its model does not know.",
                "The tokenizer is another model's. Put the right one beside the weights.",
            )
        return ids

    def _chat_ids(self, messages: Sequence[Message]) -> list[int]:
        return list(self.tokenizer(self._render(messages), add_special_tokens=False).input_ids)

    def _render(self, messages: Sequence[Message], whole: bool = False) -> str:
        """The conversation in the model's own template, open for an answer or for the rest of one, or as a whole."""
        from jinja2 import TemplateError

        rest = messages[-1].role == "assistant"
        failure: Exception | None = None
        for attempt in (messages, _without_system(messages)):
            try:
                text = self.tokenizer.apply_chat_template(
                    [message.model_dump() for message in attempt],
                    tokenize=False,
                    add_generation_prompt=not rest and not whole,
                    continue_final_message=rest and not whole,
                )
            except (TemplateError, ValueError, TypeError, KeyError) as error:
                failure = failure or error
                continue
            return str(text)
        raise ChatTrouble(
            f"The chat template of {self.name} refuses the conversation: {failure}.",
            "Begin with what the user says, let user and model alternate, or use raw completion mode.",
        ) from failure

    # ----------------------------------------------------------------------------------------------- reading

    def _look_up(self, *_: object) -> None:
        if self._halted():
            raise Halted

    @torch.inference_mode()
    def read(
        self,
        cache: Cache,
        ids_BT: Sequence[Sequence[int]],
        positions: Sequence[int],
        adapters: AdapterState = (),
        keep: int = 1,
        halted: Callable[[], bool] = lambda: False,
    ) -> torch.Tensor:
        """Scores (B, keep, V) in float32 after the last `keep` of the ids, which follow the first `positions` of each row. Rows of fewer
        positions than the cache are padded on the left. Halted if `halted` became true before a layer; the cache is as before then,
        where it is rewindable.
        """
        self._wear(adapters)
        device, length = self.model.device, cache.get_seq_length()
        at_B1 = torch.tensor([[position] for position in positions])
        given: dict[str, Any] = {}
        if self.takes_positions:
            given["position_ids"] = (at_B1 + torch.arange(len(ids_BT[0]))).to(device)
        if any(position < length for position in positions):
            places_T = torch.arange(length + len(ids_BT[0]))
            given["attention_mask"] = (places_T >= length - at_B1).long().to(device)
        if self.takes_kept:
            given["logits_to_keep"] = keep
        self._halted = halted
        try:
            read = self._forward(
                input_ids=torch.tensor(ids_BT, device=device), past_key_values=cache, use_cache=True, **given
            )
        except Halted:
            if self.rewindable:
                rewind(cache, length)
            raise
        finally:
            self._halted = lambda: False
        return read.logits[:, -keep:, : self.entries].float()

    def give_back(self) -> None:
        """Let go of all memory."""
        self.shelf.memories.clear()
        del self.model, self._forward
        self._peft = None
        free_unused(self.device.partition(":")[0])


def refuse_nan(scores: torch.Tensor, voice: Voice) -> None:
    if bool(scores.isnan().any()):
        raise BadModel(f"The scores of {voice.name} are NaN.", "Choose another model, or a higher precision.")


def pick_device(wanted: str) -> str:
    known = {device.id: device for device in devices()}
    if wanted == "auto":
        return default_device(list(known.values()))[0].id
    if wanted not in known:
        raise ChatTrouble(f"This machine has no device {wanted}.", f"It has {', '.join(known)}.")
    if not known[wanted].usable:
        raise ChatTrouble(f"The device {wanted} can't be used. {known[wanted].note}", "Take the CPU.")
    return wanted


def base_of(adapter: Path, named: str | None) -> Path:
    """The folder of the model that an adapter is for: as named, else as it says itself, from its own folder too."""
    said = named or inspect_model(adapter).base_model
    if said is None:
        raise BadModel(f"{adapter.name} does not say which model it is for.", "Name its base model (--base).")
    for place in (said, adapter / said, adapter.parent / said):
        try:
            return resolve_model(place)
        except BadModel:
            continue
    raise BadModel(
        f"The adapter {adapter.name} is for {said}, which is not here.", "Name the folder of its base model (--base)."
    )


def suggested_sampling(folder: Path | None) -> Sampling | None:
    """What `generation_config.json` recommends, if it recommends anything."""
    if folder is None:
        return None
    said = GenerationConfig.from_pretrained(folder).to_diff_dict()
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    given = {name: said[name] for name in names if said.get(name) is not None}
    if not given or said.get("do_sample") is False:
        return None
    try:
        return Sampling(**{"temperature": 1.0, "top_p": 1.0, **given})
    except ValueError:
        return None


def run_together(messages: Sequence[Message]) -> str:
    """All texts as one: what stands between two of them is a line's end, unless there is white space already."""
    text = ""
    for message in messages:
        between = "\n" if text and message.content and not (text[-1].isspace() or message.content[0].isspace()) else ""
        text += between + message.content
    return text


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The same with the system prompt at the head of the first question: some templates know no system."""
    if len(messages) < 2 or messages[0].role != "system":
        return list(messages)
    first = Message(role=messages[1].role, content=f"{messages[0].content}\n\n{messages[1].content}")
    return [first, *messages[2:]]


def _template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        return template.get("default") or json.dumps(template)
    return template


@contextmanager
def _counted(told: Callable[[float], None]) -> Iterator[None]:
    """Tell how far transformers has come with whatever it would show a progress bar for."""

    def items(every: Any, total: int) -> Iterator[Any]:
        told_at = time.monotonic()
        for at, item in enumerate(every, start=1):
            yield item
            if time.monotonic() - told_at >= TELL_EVERY_S:
                told_at = time.monotonic()
                told(at / total)

    def hook(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and hasattr(args[0], "__len__"):
            args = (items(args[0], len(args[0])), *args[1:])
        return factory(*args, **kwargs)

    before = transformers_logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(before)

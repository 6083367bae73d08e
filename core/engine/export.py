"""An export, from the folder to the checked file: the original is asked, the format written beside its place, loaded again, compared,
and only then moved to where it belongs.

A run that is killed begins again: nothing stands at the export's place before it was checked, and what does is there with its results.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from core.documents import documents
from core.engine.exporting import check, folder, ollama, onnx_graph
from core.engine.exporting.check import Reference
from core.engine.exporting.gguf_file import Manners, read_manners, write_gguf
from core.engine.exporting.k_types import write_k_type
from core.engine.exporting.runtimes import (
    Answering,
    LlamaCpp,
    LlamaServer,
    Onnx,
    Scoring,
    Transformers,
    has_llama_cpp,
    llama_cpp_of,
    load_gguf,
)
from core.engine.exporting.vocabulary import Vocabulary, prove, read_vocabulary, vocabulary_of
from core.engine.memory import free_unused
from core.engine.models import load_model, load_tokenizer
from core.engine.session import Session
from core.errors import BadModel, Trouble
from core.export import K_TYPES, ExportRecipe, in_the_way
from core.files import read_json, sync_file, sync_folder, write_json, write_text
from core.model_folders import name_of
from core.models import ModelInfo, inspect_model
from core.numbers import bytes_text
from core.runner import process_environment
from core.templates import own_template
from resources.sample.stories import stories

DONE = "exported.json"  # in the run folder: the results of an export that is about to take its place
PROMPTS = 10
PROMPT_WORDS = 8
PROMPTS_AT_THE_END = 3
LAST_WORDS = 3
SHORT_TEXT_WORDS = 200
STORIES_SEED = 911
BYTES_A_WEIGHT = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 1.07,
    "int8": 4.0,
    "int4": 4.0,
}  # at most, embeddings included
CONTEXT_CHECKED = 1024


def run(session: Session) -> dict[str, Any]:
    """Returns path, files, size_bytes, original_bytes, type, check, and `pushed`, the address on the Hub."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, ExportRecipe)
    out = Path(recipe.out) if recipe.out else session.artifacts / _file_name(recipe)
    done = session.run.path / DONE
    beside = out.with_name(f".{out.stem}.{session.run.id[-4:]}.part{out.suffix}")
    if not (done.is_file() and os.path.lexists(out)):
        if (why := in_the_way(out, recipe.to)) is not None:
            raise Trouble(why)
        _remove(beside)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            results = Export(session, recipe, beside).make(out)
            write_json(done, results)
            _put_in_place(beside, out)
        finally:
            _remove(beside)
    results = read_json(done)
    if recipe.push is not None:
        session.phase("uploading", recipe.push)
        results["pushed"] = _push(session, out, recipe)
    return dict(results)


class Export:
    """One export on its way; `beside` is where it is written until it has been checked."""

    def __init__(self, session: Session, recipe: ExportRecipe, beside: Path) -> None:
        self.session = session
        self.recipe = recipe
        self.beside = beside
        self.source = Path(recipe.model)
        self.type = recipe.weight_type
        session.phase("loading", name_of(self.source))
        self.info = _exportable(self.source, recipe)
        _need_space(beside.parent, self.info, recipe)
        self.tokenizer = load_tokenizer(self.source, recipe.allow_remote_code)

    def make(self, out: Path) -> dict[str, Any]:
        """Write and check; the results, with paths as they will be."""
        session, recipe = self.session, self.recipe
        model = load_model(self.source, session.device, torch.float32, recipe.allow_remote_code)
        self.manners = _manners(session, self.source, self.tokenizer, model.generation_config.eos_token_id)
        self.texts = _texts(recipe)
        vocabulary = self._vocabulary() if recipe.to in ("gguf", "ollama") else None
        session.phase("asking the original")
        reference = check.ask_original(
            Transformers(model, self.tokenizer), self.manners, self.texts, recipe.prompts or _prompts(self.texts), recipe.new_tokens,
            recipe.compared_tokens, session.progress,
        )  # fmt: skip
        session.phase("writing", f"{recipe.to} {self.type}")
        if recipe.to == "hf":
            folder.write_hf(model, self.beside, self.type, recipe.shard_bytes)
        elif recipe.to == "onnx":
            self.beside.mkdir()
            onnx_graph.write_onnx(model.cpu(), self.beside)
        del model
        free_unused(session.device)
        if vocabulary is not None:
            verdict = self._gguf(vocabulary, reference)
        elif recipe.to == "onnx":
            verdict = self._onnx(reference)
        else:
            verdict = self._folder(reference)
        files = _files(self.beside)
        size = sum(file.stat().st_size for file in files)
        return {
            "path": str(out),
            "to": recipe.to,
            "type": self.type,
            "files": [out.name] if self.beside.is_file() else [str(file.relative_to(self.beside)) for file in files],
            "size_bytes": size,
            "original_bytes": self.info.size_bytes,
            "check": verdict,
        }

    # --------------------------------------------------------------------------------------------------- one format each

    def _vocabulary(self) -> Vocabulary:
        """Proved on the texts, on the tokens themselves, and on a conversation, before anything is written."""
        vocabulary = vocabulary_of(self.tokenizer, self.info.vocabulary or len(self.tokenizer))
        if self.manners.stops and vocabulary.eos not in self.manners.stops:
            vocabulary = replace(vocabulary, eos=self.manners.stops[0])
        for note in vocabulary.notes:
            self.session.notice(note, "warning")
        prove(vocabulary, self.tokenizer, self.texts)
        conversation = check.written(self.tokenizer, self.manners.template)
        if conversation is not None:
            prove(vocabulary, self.tokenizer, [conversation])
        return vocabulary

    def _gguf(self, vocabulary: Vocabulary, reference: Reference) -> dict[str, Any]:
        ship_folder = self.recipe.to == "ollama"
        if ship_folder:
            self.beside.mkdir()
        file = self.beside / f"{_slug(self.source)}-{self.type}.gguf" if ship_folder else self.beside
        if self.type in K_TYPES:
            plain = _exact(file)
            try:
                self._write(plain, "f32", vocabulary)
                write_k_type(plain, file, self.type)
            finally:
                plain.unlink(missing_ok=True)
        else:
            counts = self._write(file, self.type, vocabulary)
            if len(counts) > 1:
                said = ", ".join(f"{count} as {name}" for name, count in sorted(counts.items()))
                self.session.choose(
                    "types", counts, f"{said}: norms and biases stay exact, and embeddings take 8 bits beside 4 or 5"
                )
        self.session.phase("checking", "the file")
        found = read_manners(file)
        conversation = check.written(self.tokenizer, found.template)
        name = self.tokenizer.convert_ids_to_tokens
        check.compare_manners(reference, found.template, found.stops, conversation, name)
        proved = prove(replace(read_vocabulary(file), notes=vocabulary.notes), self.tokenizer, self.texts)
        if ship_folder:
            self._modelfile(file, vocabulary)
        numbers = load_gguf(file, self.source, self.tokenizer, self.session.device)
        scores = self._scores(numbers, reference)
        if not has_llama_cpp():
            self.session.notice(
                "llama.cpp is not installed here, so the answers were compared by transformers, which reads the same file. "
                "`pip install xllamacpp` lets the next export be asked by llama.cpp itself."
            )
            return {**self._answers(numbers, reference, scores, found.stops), "vocabulary_texts": proved}
        with llama_cpp_of(file, min(CONTEXT_CHECKED, self.info.context or CONTEXT_CHECKED)) as runtime:
            self._compare_writing(runtime, reference)
            return {**self._answers(runtime, reference, scores, found.stops), "vocabulary_texts": proved}

    def _compare_writing(self, runtime: LlamaCpp | LlamaServer, reference: Reference) -> None:
        """llama.cpp has a Jinja of its own; where it writes a conversation otherwise, the file is right and the user is told."""
        if reference.conversation is None or not isinstance(runtime, LlamaServer):
            return
        said = runtime.template([dict(message) for message in check.CONVERSATION])
        bos = self.tokenizer.bos_token or ""
        if said.removeprefix(bos) != reference.conversation.removeprefix(bos):
            self.session.notice(
                f"llama.cpp writes a conversation by this template as {said!r}, and transformers as {reference.conversation!r}.",
                "warning",
            )

    def _write(self, file: Path, weight_type: str, vocabulary: Vocabulary) -> dict[str, int]:
        return write_gguf(
            self.source, file, weight_type, vocabulary, self.manners, name_of(self.source), self.session.progress
        )

    def _modelfile(self, file: Path, vocabulary: Vocabulary) -> None:
        template, text = self.manners.template, ollama.PLAIN_TEMPLATE
        if template is not None:

            def render(messages: Any, answer: bool) -> str:
                return str(
                    self.tokenizer.apply_chat_template(
                        list(messages), chat_template=template, tokenize=False, add_generation_prompt=answer
                    )
                )

            drop = self.tokenizer.bos_token if vocabulary.adds_bos else ""
            text = ollama.pieces_of(render, drop or "").go()
        stops = [str(self.tokenizer.convert_ids_to_tokens(token)) for token in self.manners.stops]
        said = ollama.modelfile(file.name, text, stops, self.info.context or CONTEXT_CHECKED)
        if ollama.stops_in(said) != stops:
            raise check.ExportFailed(f"The Modelfile does not name the stop tokens {stops}.", "Please report it.")
        write_text(self.beside / "Modelfile", said)

    def _folder(self, reference: Reference) -> dict[str, Any]:
        """hf, int8 and int4: what transformers loads."""
        if self.recipe.to != "hf":
            counts = folder.write_torchao(
                self.source, self.beside, 8 if self.recipe.to == "int8" else 4, self.session.device
            )
            self.session.choose("layers", counts, "embeddings, norms and the head stay as they are")
            if self.recipe.to == "int4":
                self.session.notice(
                    "torchao keeps each 4-bit weight in a byte of the file, so it is as large as int8; q4_0 of gguf has half of it."
                )
        folder.add_manners(self.source, self.beside, self.tokenizer, self.manners)
        self.session.phase("checking", "the folder")
        tokenizer = load_tokenizer(self.beside, False)
        model = folder.load_folder(self.beside, self.session.device)
        verdict = self._compared(Transformers(model, tokenizer), reference, tokenizer)
        self._add_card(verdict)
        return verdict

    def _onnx(self, reference: Reference) -> dict[str, Any]:
        folder.add_manners(self.source, self.beside, self.tokenizer, self.manners)
        self.session.phase("checking", "the graph")
        tokenizer = load_tokenizer(self.beside, False)
        try:
            runtime = Onnx(self.beside / onnx_graph.FILE, tokenizer)
        except ImportError as error:
            raise Trouble(
                "ONNX Runtime is not installed, so the export can't be checked.",
                "pip install onnxruntime, then resume the run.",
            ) from error
        verdict = self._compared(runtime, reference, tokenizer)
        self._add_card(verdict)
        return verdict

    def _compared(
        self, runtime: Transformers | Onnx, reference: Reference, tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, Any]:
        template, stops = own_template(self.beside), folder.stops_in(self.beside)
        conversation = None if template is None else check.written(tokenizer, template)
        check.compare_manners(reference, template, stops, conversation, self.tokenizer.convert_ids_to_tokens)
        return self._answers(runtime, reference, self._scores(runtime, reference), stops)

    def _scores(self, runtime: Scoring, reference: Reference) -> dict[str, Any]:
        self.session.phase("comparing", "the scores of a text")
        return check.compare_scores(runtime, reference, self.type, self.recipe.most_loss, self.session.progress)

    def _answers(
        self, runtime: Answering, reference: Reference, scores: dict[str, Any], stops: tuple[int, ...]
    ) -> dict[str, Any]:
        self.session.phase("comparing", f"answers in {runtime.name}")
        found = check.compare_answers(
            runtime, reference, self.type, self.recipe.new_tokens, stops, self.tokenizer, self.session.progress
        )
        return check.verdict(runtime.name, found, scores, self.manners)

    def _add_card(self, verdict: dict[str, Any]) -> None:
        title, where = name_of(self.source), self.recipe.to
        text = folder.card(self.source, title, self.recipe.license, where, self.type, verdict)
        (self.beside / "README.md").write_text(text, encoding="utf-8")
        if (made := folder.lineage(self.source)) is not None:
            (self.beside / "stillroom.json").write_text(made, encoding="utf-8")


def _exportable(source: Path, recipe: ExportRecipe) -> ModelInfo:
    info = inspect_model(source, recipe.allow_remote_code)
    if info.is_adapter:
        raise BadModel(
            f"{name_of(source)} is an adapter, which works on top of its base only.",
            "Merge it first: stillroom models merge-adapter ADAPTER OUT.",
        )
    if info.quantization is not None:
        raise BadModel(
            f"{name_of(source)} is quantized already ({info.quantization}).", "Export the model that it was made from."
        )
    return info


def _need_space(place: Path, info: ModelInfo, recipe: ExportRecipe) -> None:
    """Trouble before the work where the disk has no room for the result."""
    needed = int(info.parameters * BYTES_A_WEIGHT.get(recipe.weight_type, 1.0))
    needed += 4 * info.parameters if recipe.weight_type in K_TYPES else 0
    nearest = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(nearest).free
    if free < needed:
        raise Trouble(
            f"The export takes about {bytes_text(needed)}, and {nearest} has {bytes_text(free)} free.",
            "Free some space, or name another place.",
        )


def _manners(
    session: Session, source: Path, tokenizer: PreTrainedTokenizerBase, declared: int | list[int] | None
) -> Manners:
    """Template and stop tokens of the original; a token that ends an answer in its template is a stop token, too."""
    template = own_template(source)
    stops = [declared] if isinstance(declared, int) else list(declared or [])
    eos = tokenizer.eos_token_id
    if not stops and eos is not None:
        stops = [eos]
    if eos in stops:
        stops.sort(key=lambda token: token != eos)
    if template is not None and (end := turn_end(tokenizer, template)) is not None and end not in stops:
        stops.append(end)
        token = tokenizer.convert_ids_to_tokens(end)
        session.notice(
            f"The template ends answers with {token}, where the model's settings don't stop; the export does.",
            "warning",
        )
    if not stops:
        session.notice(
            "The model has no token that ends an answer, so its answers end at the length that is asked for.", "warning"
        )
    return Manners(template, tuple(stops))


def turn_end(tokenizer: PreTrainedTokenizerBase, template: str) -> int | None:
    """The special token that follows an answer in the template, if there is one."""
    messages = [{"role": "user", "content": ollama.USER}, {"role": "assistant", "content": ollama.ANSWER}]
    said = str(tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False))
    behind = said.partition(ollama.ANSWER)[2].lstrip()
    ids = tokenizer(behind, add_special_tokens=False).input_ids if behind else []
    return ids[0] if ids and ids[0] in tokenizer.all_special_ids else None


def _texts(recipe: ExportRecipe) -> list[str]:
    """Whole documents, more than enough for the tokens that are compared."""
    characters, found = 0, []
    source = (
        (document.text for document in documents(recipe.data, recipe.separator))
        if recipe.data
        else stories(STORIES_SEED, 200)
    )
    for text in source:
        found.append(text)
        characters += min(len(text), 4 * check.WINDOW)
        if characters > 6 * recipe.compared_tokens and len(found) >= PROMPTS:
            break
    return found


def _prompts(texts: list[str]) -> tuple[str, ...]:
    """The first words of texts, which differ, and texts without their last words, where a model comes to its end."""
    words = [text.split() for text in texts]
    ends = [" ".join(each[:-LAST_WORDS]) for each in words if LAST_WORDS < len(each) <= SHORT_TEXT_WORDS][
        :PROMPTS_AT_THE_END
    ]
    beginnings = (" ".join(each[:PROMPT_WORDS]) for each in words)
    return tuple(itertools.islice(dict.fromkeys(filter(None, [*ends, *beginnings])), PROMPTS))


# ---------------------------------------------------------------------------------------------------------------- places


def _slug(source: Path) -> str:
    return (
        "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in name_of(source)).strip("-")
        or "model"
    )


def _file_name(recipe: ExportRecipe) -> str:
    name = f"{_slug(Path(recipe.model))}-{recipe.weight_type}"
    return (
        f"{name}.gguf"
        if recipe.to == "gguf"
        else f"{name}-{recipe.to}".replace(f"-{recipe.to}-{recipe.to}", f"-{recipe.to}")
    )


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(file for file in place.rglob("*") if file.is_file())


def _put_in_place(beside: Path, out: Path) -> None:
    for file in _files(beside):
        file.chmod(0o644 & ~_umask())
        sync_file(file)
    if out.is_dir() and beside.is_dir():
        out.rmdir()  # it is empty, or the export would have been refused
    beside.rename(out)
    sync_folder(out.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove(beside: Path) -> None:
    _exact(beside).unlink(missing_ok=True)
    if beside.is_dir():
        shutil.rmtree(beside)
    else:
        beside.unlink(missing_ok=True)


def _exact(file: Path) -> Path:
    """Where a K-quantized file stands in float32 first."""
    return file.with_name(f".exact-{file.name}")


def _push(session: Session, out: Path, recipe: ExportRecipe) -> str:
    """Upload in a process of its own, for this one is kept off the network; it ends when the run is stopped."""
    command = [
        sys.executable,
        "-m",
        "core.upload",
        str(out),
        str(recipe.push),
        *(["--public"] if recipe.public else []),
    ]
    environment = {name: value for name, value in process_environment().items() if name != "HF_HUB_OFFLINE"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        while True:
            try:
                said, _ = process.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                session.check_stop()
    finally:
        process.kill()
    words = said.strip().splitlines() or ["The upload ended without a word."]
    if process.returncode != 0:
        raise Trouble(words[-1], f"The export itself is in {out}; resume the run to upload it again.")
    return words[-1]

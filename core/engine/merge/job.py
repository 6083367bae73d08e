"""A merge from its recipe to a model folder that is whole or absent: look, make configs and tokenizers ready, stream the weights, rename."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from core.engine.merge import experts, tokenizers
from core.engine.merge.card import lineage, model_card
from core.engine.merge.sources import FolderSource, MergeSource, Source
from core.engine.merge.stream import Stream, shards
from core.engine.session import Session, StopRequested
from core.errors import BadRecipe, Trouble
from core.files import read_json, sync_file, sync_folder, write_json, write_text
from core.merge.document import ModelRef
from core.merge.run import MergeRecipe, in_the_way
from core.merge.tree import Survey, Tree, survey
from core.numbers import bytes_text, duration_text

MOST_THREADS = 4
SPARE_BYTES = 50_000_000  # left free on the disk beside the model
STEP = "step.json"


def merge(session: Session) -> dict[str, Any]:
    recipe = session.recipe
    assert isinstance(recipe, MergeRecipe)
    out = Path(recipe.out) if recipe.out else session.artifacts / "model"
    work = work_folder(session, out)
    try:
        return Merger(session, recipe, work).merge(out)
    except StopRequested:
        if session.discarding:
            shutil.rmtree(work, ignore_errors=True)
        raise


def work_folder(session: Session, out: Path) -> Path:
    """In the run folder, where it goes with the run; beside the result where that is another disk, since a rename is all that may be left to
    do at the end.
    """
    nearest = next(parent for parent in out.absolute().parents if parent.exists())
    if nearest.stat().st_dev == session.run.path.stat().st_dev:
        return session.run.path / "merging"
    return nearest / f".{out.name}.{session.run.id}.part"


class Merger:
    """One tree being merged. `work` holds what is not finished: for each merge a folder `<name>/model` and the records of its shards."""

    def __init__(self, session: Session, recipe: MergeRecipe, work: Path) -> None:
        self.session, self.recipe, self.work = session, recipe, work
        self.tree = Tree.read(recipe.text, "The recipe")
        self.threads = recipe.threads or max(1, min(MOST_THREADS, os.cpu_count() or 1))
        self.sources: dict[str, MergeSource] = {}
        self.began = time.monotonic()

    def merge(self, out: Path) -> dict[str, Any]:
        """Returns the results for `RunFinished`."""
        session = self.session
        session.phase("looking at the models")
        known: dict[ModelRef, Any] = {}
        found = survey(
            self.tree,
            Path(self.recipe.folder),
            keep=self.recipe.keep_intermediates,
            threads=self.threads,
            allow_remote_code=self.recipe.allow_remote_code,
            looked=known,
        )
        found.refuse()
        assert found.cost is not None
        if (why := in_the_way(out)) is not None:
            raise Trouble(why, "Then resume the run.")
        self._tell(found)
        self._begin_anew_if_changed(found)
        needed = self.tree.needed()
        streams = {}
        for key in needed:
            self._make_ready(key, found)
            if key == self.tree.root or self.recipe.keep_intermediates:
                streams[key] = self._stream(key, found)
        finished = {key: stream.finished() for key, stream in streams.items()}
        self._refuse_if_no_room({key: streams[key].missing_bytes(finished[key]) for key in streams}, out)
        threads_before = torch.get_num_threads()
        torch.set_num_threads(1)  # several tensors at once use the cores better than several threads a tensor
        try:
            for key, stream in streams.items():
                self._write(key, stream, finished[key])
        finally:
            torch.set_num_threads(threads_before)
        return self._finish(out, found)

    def _tell(self, found: Survey) -> None:
        session, cost = self.session, found.cost
        assert cost is not None
        for key in self.tree.needed():
            for note in found.notes[key]:
                session.notice(note if len(self.tree.documents) == 1 else f"{key}: {note}")
        wide = self.recipe.arithmetic == "float32"
        session.choose(
            "arithmetic",
            self.recipe.arithmetic,
            "full precision, whatever the files hold"
            if wide
            else "in the recipe's dtype, as the recipe of this run says",
        )
        session.choose("threads", self.threads, "tensors merged at once")
        session.choose(
            "memory",
            cost.memory_bytes,
            f"the largest tensors with their inputs, {bytes_text(cost.memory_bytes)} at the most beside the program's own",
        )

    def _begin_anew_if_changed(self, found: Survey) -> None:
        """What an earlier attempt left counts only if recipe and inputs are still the same."""
        prints = {
            str(model): contents.fingerprint
            for plan in found.plans.values()
            for model, contents in plan.contents.items()
        }
        asked = self.recipe.model_dump(mode="json", exclude={"name", "threads"})
        digest = hashlib.sha256(json.dumps([asked, prints], sort_keys=True).encode()).hexdigest()
        try:
            before = read_json(self.work / STEP)["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            before = None
        if before != digest:
            if before is not None:
                self.session.notice("An input has changed since the last attempt, so the merge begins anew.", "warning")
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)
            write_json(self.work / STEP, {"digest": digest})

    def _folder(self, key: str) -> Path:
        return self.work / key / "model"

    def _folder_of(self, key: str, model: ModelRef, found: Survey) -> Path:
        folder = found.plans[key].contents[model].folder
        return folder if folder is not None else self._folder(model.path)

    def _make_ready(self, key: str, found: Survey) -> None:
        """Config and tokenizer of one merge, and the source of its tensors."""
        plan = found.plans[key]
        self.session.check_stop()
        tokenizers.prepare(
            plan,
            lambda model: self._folder_of(key, model, found),
            self._folder(key),
            self.recipe.allow_remote_code,
            self.session.notice,
        )
        sources: dict[ModelRef, Source] = {
            model: self.sources[model.path] if contents.folder is None else FolderSource(contents)
            for model, contents in plan.contents.items()
        }
        named = plan.document.dtype
        arithmetic = getattr(torch, named) if self.recipe.arithmetic == "recipe" and named is not None else None
        gates = None
        if plan.document.mixture is not None:
            gates = self._gates(key, found)
        self.sources[key] = MergeSource(key, plan, sources, self.recipe.seed, arithmetic, gates)

    def _gates(self, key: str, found: Survey) -> experts.Gates:
        plan = found.plans[key]
        mixture, base = plan.document.mixture, plan.document.base
        assert mixture is not None
        assert base is not None
        contents = plan.contents[base]
        if mixture.gate_mode in ("hidden", "cheap_embed") and (contents.folder is None or contents.adapter is not None):
            raise BadRecipe(
                f"gate_mode {mixture.gate_mode} reads prompts with {base}, which is no finished model.",
                "Merge it first, or choose gate_mode: uniform_random.",
            )
        self.session.phase("listening to the prompts", mixture.gate_mode)
        return experts.listen(
            self._folder_of(key, base, found), mixture, contents.layers, self.recipe.allow_remote_code
        )

    def _stream(self, key: str, found: Survey) -> Stream:
        records = self.work / key / "records"
        records.mkdir(parents=True, exist_ok=True)
        parts = shards(found.plans[key].tensors, self.recipe.shard_bytes)
        return Stream(self._folder(key), records, parts, self.sources[key], self.threads)

    def _refuse_if_no_room(self, missing: Mapping[str, int], out: Path) -> None:
        wanted = sum(missing.values()) + SPARE_BYTES
        free = shutil.disk_usage(self.work).free
        if wanted > free:
            raise Trouble(
                f"The merge needs {bytes_text(wanted)} of disk for {out}, and {bytes_text(free)} are free.",
                "Free some space, then resume the run.",
            )

    def _write(self, key: str, stream: Stream, finished: set[str]) -> None:
        session = self.session
        detail = f"{key}, {bytes_text(stream.total_bytes)}" if key != self.tree.root else bytes_text(stream.total_bytes)
        session.phase("merging", detail)
        if finished:
            session.notice(f"{len(finished)} of {len(stream.parts)} weight files are there already, and whole.")
        stream.write(lambda done, total: session.progress(done / total if total else 1.0), finished)

    def _finish(self, out: Path, found: Survey) -> dict[str, Any]:
        session, root, cost = self.session, self.tree.root, found.cost
        assert cost is not None
        session.phase("finishing")
        plan, folder = found.plans[root], self._folder(root)
        results: dict[str, Any] = {
            "model": str(out),
            "method": plan.document.method,
            "parameters": plan.parameters,
            "size_bytes": plan.size_bytes,
            "read_bytes": cost.read_bytes,
            "written_bytes": cost.written_bytes,
            "seconds": round(time.monotonic() - self.began, 3),
        }
        write_text(folder / "mergekit_config.yml", self.recipe.text)
        write_text(folder / "README.md", model_card(session.run.id, self.recipe, self.tree, found, results))
        framing = self._folder_of(root, plan.document.donor, found) / "stillroom.json"
        write_json(folder / "stillroom.json", lineage(session.run.id, self.recipe, self.tree, found, framing))
        readable = stat.S_IMODE((folder / "config.json").stat().st_mode)
        for file in folder.iterdir():
            file.chmod(readable)
        if self.recipe.keep_intermediates:
            results["intermediates"] = self._keep()
        out.parent.mkdir(parents=True, exist_ok=True)
        if (why := in_the_way(out)) is not None:  # somebody put it there meanwhile
            raise Trouble(why, "Then resume the run.")
        move_whole(folder, out)
        shutil.rmtree(self.work, ignore_errors=True)
        session.notice(f"Merged {bytes_text(cost.read_bytes)} in {duration_text(results['seconds'])}.")
        return results

    def _keep(self) -> dict[str, str]:
        """Inner merges that were asked for, each a model of its own among the artifacts."""
        kept = {}
        for key in self.tree.needed()[:-1]:
            place = self.session.artifacts / key
            if self._folder(key).is_dir() and not place.exists():
                write_text(self._folder(key) / "mergekit_config.yml", self.recipe.text)
                if self._folder(key).stat().st_dev == place.parent.stat().st_dev:
                    move_whole(self._folder(key), place)
                else:
                    beside = place.with_name(f".{place.name}.part")
                    shutil.copytree(self._folder(key), beside, dirs_exist_ok=True)
                    move_whole(beside, place)
            kept[key] = str(place)
        return kept


def move_whole(folder: Path, to: Path) -> None:
    """Give a finished folder its place, in one rename, once every file of it is on the disk."""
    for file in folder.iterdir():
        sync_file(file)
    sync_folder(folder)
    folder.rename(to)
    sync_folder(to.parent)

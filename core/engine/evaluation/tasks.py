"""Which tasks of lm-evaluation-harness are meant, and the task files that let them read from this machine.

A task file is a few lines of YAML that include the harness's own and say where the data is, so the prompts and metrics stay the
harness's, word for word. `lm_eval --include_path FOLDER` reads the same files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from core.benchmark_files import Found, find
from core.errors import BadData, BadRecipe, Trouble
from core.files import read_json, write_json, write_text
from core.home import Home
from core.model_folders import hub_cache

_LINE = re.compile(r"""^["']?(task|group|tag|include)["']?:[ \t]*(.*?)[ \t]*(?:#.*)?$""", re.MULTILINE)
_ITEM = re.compile(r"""^[ \t]*-[ \t]*["']?([\w.\-]+)["']?[ \t]*(?:#.*)?$""")


@dataclass(frozen=True)
class Leaf:
    """One task to be asked. `file` is its task file, `digest` that of everything that decides what is asked and how."""

    name: str
    file: Path
    digest: str
    note: str = ""
    runs_code: bool = False  # the harness says so of tasks that run what the model writes


@dataclass
class Group:
    """A group that was asked for: its figure is put together from its tasks'. `missing` are those without files."""

    name: str
    leaves: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    version: str = ""


def harness_tasks() -> Path:
    """The folder of the harness's own tasks. Trouble if it is not installed."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise Trouble(
            "Benchmarks need lm-evaluation-harness, which is not installed.", "Install it: pip install lm_eval"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "tasks"


# --- which file defines a name ----------------------------------------------------------------------------------------


class Index:
    """Names of tasks, groups and tags, and the files that define them. The harness's own index takes ten seconds to make, this one two,
    once for each version of the harness.
    """

    def __init__(self, home: Home, own: Path | None = None) -> None:
        self.root = harness_tasks()
        kept = home.root / "benchmarks" / f"index-{version('lm_eval')}.json"
        try:
            self.names, self.tags = read_json(kept)
        except (OSError, ValueError):
            self.names, self.tags = _scan(self.root)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, [self.names, self.tags])
        self.own: dict[str, str] = {}
        if own is not None:
            self.own, tags = _scan(own)
            self.tags = {**self.tags, **tags}

    def file(self, name: str) -> Path | None:
        if name in self.own:
            return Path(self.own[name])
        return self.root / self.names[name] if name in self.names else None

    def expand(self, name: str) -> tuple[list[str], Group | None]:
        """The tasks that a name stands for, and the group if it is one. BadRecipe for a name that nobody knows."""
        file = self.file(name)
        if file is None:
            if name in self.tags:
                return sorted(self.tags[name]), None
            raise BadRecipe(f"There is no task, group or tag {name!r} in lm-evaluation-harness.", self._near(name))
        config = raw_config(file)
        if "group" not in config:
            return [name], None
        group = Group(
            name,
            metrics=config.get("aggregate_metric_list") or [],
            version=str((config.get("metadata") or {}).get("version", "")),
        )
        members = config.get("task", [])
        for member in [members] if isinstance(members, str) else members:
            group.leaves.extend(self._members(member, name))
        return group.leaves, group

    def _members(self, member: Any, group: str) -> Iterator[str]:
        if isinstance(member, str):
            yield from self.expand(member)[0]
        elif isinstance(member, dict) and "group" in member:
            for inner in member.get("task", []):
                yield from self._members(inner, group)
        else:
            raise BadRecipe(
                f"The group {group} changes the settings of its tasks, which can't be done from a folder of files.",
                "Name its tasks one by one.",
            )

    def _near(self, name: str) -> str:
        import difflib

        near = difflib.get_close_matches(name, [*self.names, *self.tags], 3, 0.6)
        return f"Did you mean {' or '.join(near)}?" if near else "`lm_eval ls tasks` lists all names."


def _scan(root: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Names with their files (relative to the root for the harness's), and tags with their tasks, by the text of the YAML files."""
    names: dict[str, str] = {}
    tags: dict[str, list[str]] = {}
    of_templates: dict[Path, list[str]] = {}

    def tags_of(file: Path, text: str) -> list[str]:
        said = _said(text)
        if "tag" in said:
            return said["tag"]
        include = said.get("include")
        if not include:
            return []
        template = (file.parent / include[0]).resolve()
        if template not in of_templates:
            of_templates[template] = []
            if template.is_file():
                of_templates[template] = tags_of(template, template.read_text(encoding="utf-8"))
        return of_templates[template]

    for file in sorted(root.rglob("*.yaml")):
        text = file.read_text(encoding="utf-8", errors="replace")
        said = _said(text)
        path = str(file.relative_to(root)) if root == harness_tasks() else str(file)
        if said.get("group"):
            names.setdefault(said["group"][0], path)
        elif len(said.get("task", [])) == 1:
            names.setdefault(said["task"][0], path)
            for tag in tags_of(file, text):
                tags.setdefault(tag, []).append(said["task"][0])
    return names, tags


def _said(text: str) -> dict[str, list[str]]:
    """The values of the keys task, group, tag and include at the top level, each as a list."""
    found: dict[str, list[str]] = {}
    for match in _LINE.finditer(text):
        key, value = match[1], match[2].strip("\"'")
        if value.startswith("["):
            found[key] = [part.strip(" \"'") for part in value.strip("[]").split(",")]
        elif value:
            found[key] = [value]
        else:
            items = []
            for line in text[match.end() :].lstrip("\n").splitlines():
                item = _ITEM.match(line)
                if item is None:
                    break
                items.append(item[1])
            found[key] = items
    return found


def raw_config(file: Path) -> dict[str, Any]:
    """The task's settings with those it includes, functions as text."""
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        return load_yaml(file, resolve_func=False)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadData(
            f"{file} is no task of the harness: {error}.", "Mend it, or take it out of the folder."
        ) from error


# --- task files -------------------------------------------------------------------------------------------------------


def task_file(home: Home, index: Index, name: str, folder: Path | None, allow_code: bool = False) -> Leaf | str:
    """A task file for `name` that reads from `folder` or from the Hub's cache on this machine; or in words what is to be fetched."""
    own = index.file(name)
    assert own is not None
    config = raw_config(own)
    repository, subset = config.get("dataset_path"), config.get("dataset_name")
    _refuse_foreign_code(own, index, allow_code)
    if repository in ("json", "csv", "parquet", "text"):  # it says itself where its files are
        files = [Path(each) for each in _strings((config.get("dataset_kwargs") or {}).get("data_files"))]
        return Leaf(name, own, _digest([own, *[file for file in files if file.is_file()]]), "", _unsafe(config))
    asked = config.get("test_split") or config.get("validation_split") or config.get("training_split") or "test"
    examples = config.get("fewshot_split") or config.get("training_split")
    for place in [folder, *_hub_snapshots(str(repository))]:
        if place is not None and (found := find(place, str(repository), subset, asked, examples)) is not None:
            return _write(home, name, own, found, asked, examples, config)
    return _to_fetch(name, str(repository), subset, asked, folder)


def _refuse_foreign_code(file: Path, index: Index, allow_code: bool) -> None:
    if file.is_relative_to(index.root) or allow_code:
        return
    if "!function" in file.read_text(encoding="utf-8"):
        raise BadRecipe(
            f"The task file {file} runs Python code that lies beside it.",
            "Allow it with allow_remote_code if you trust it.",
        )


def _hub_snapshots(repository: str) -> list[Path]:
    """Where the Hub's own cache holds the data set, as folders that are called like it."""
    folder = hub_cache() / f"datasets--{repository.replace('/', '--')}"
    return [folder] if folder.is_dir() else []


def _to_fetch(name: str, repository: str, subset: str | None, split: str, folder: Path | None) -> str:
    where = f"{folder} has no file of it" if folder is not None else "no folder of files was named (task_dir)"
    into = f"{folder or 'FOLDER'}/{repository.rpartition('/')[2]}"
    part = f", subset {subset}" if subset else ""
    return (
        f"{name} needs the data set {repository}{part}, split {split}, and {where}. "
        f"Fetch it with `hf download {repository} --repo-type dataset --local-dir {into}`."
    )


def _write(
    home: Home, name: str, own: Path, found: Found, asked: str, examples: str | None, config: dict[str, Any]
) -> Leaf:
    digest = _digest([own, *found.asked, *found.examples])
    folder = home.root / "benchmarks" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    if found.layout is not None:
        files = {asked: [str(_as_lines(folder / "asked.jsonl", found, found.asked))]}
        if found.examples:
            files[examples or "train"] = [str(_as_lines(folder / "examples.jsonl", found, found.examples))]
    else:
        files = {asked: [str(file) for file in found.asked]}
        if found.examples and examples and examples != asked:
            files[examples] = [str(file) for file in found.examples]
    there = {key: config.get(key) for key in ("test_split", "validation_split", "training_split", "fewshot_split")}
    splits = {key: split if split in files else None for key, split in there.items()}
    if not any(splits[key] for key in ("fewshot_split", "training_split")) and "samples" not in (
        config.get("fewshot_config") or {}
    ):
        splits["fewshot_split"] = (
            asked  # examples come from the questions; the harness leaves out the one that is asked
        )
    settings = {
        "include": str(own),
        "task": name,
        "dataset_path": found.format,
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files},
        **splits,
        **(found.layout.changes if found.layout else {}),
    }
    file = folder / f"{name}.yaml"
    write_text(file, yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, width=1000))
    note = found.layout.note if found.layout else ""
    changes = json.dumps(found.layout.changes if found.layout else {}, sort_keys=True)
    return Leaf(name, file, hashlib.sha256((digest + changes).encode()).hexdigest(), note, _unsafe(config))


def _unsafe(config: dict[str, Any]) -> bool:
    return bool(config.get("unsafe_code"))


def _as_lines(file: Path, found: Found, sources: tuple[Path, ...]) -> Path:
    if not file.exists():
        rows = [json.dumps(row, ensure_ascii=False) for row in found.rows(sources)]
        if not rows:
            raise BadData(f"{sources[0]} has no rows.", "Fetch it again.")
        write_text(file, "\n".join(rows) + "\n")
    return file


def _digest(files: list[Path]) -> str:
    """SHA-256 of the files' contents, in order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    return [text for item in value for text in _strings(item)] if isinstance(value, list) else []

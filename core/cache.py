"""The cache of a teacher's answers: the recipe that makes one, what is known about one, and whether it can serve a distillation.

A cache is a folder:

    manifest.json     what is in it; written last, so a folder without one is unfinished
    unfinished.json   what it is to hold, while it is being filled
    part-00000.bin …  the answers, as `core.engine.answers` reads and writes them

Answers are kept by content: the key of a stretch of text is a hash of its token ids, so neither the step at which a student meets it nor
the file it comes from plays a part, and any number of students, objectives and epochs share them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.distill import SHORTEST_SEQUENCE, DistillRecipe
from core.documents import text_files
from core.errors import BadRecipe, Trouble
from core.files import read_json, sync_folder, write_json
from core.home import Home
from core.models import inspect_model
from core.objectives import OBJECTIVES, objective_words, source_words
from core.recipe import Problem, Recipe
from core.tokenizer import TokenizerIdentity, same_tokenizer, tokenizer_identity

VERSIONS = {"bucket": 1, "sample": 2}  # of what is written; drawn classes of version 1 lack the teacher's entropy
NEWEST = max(VERSIONS.values())
MANIFEST, UNFINISHED, LOCK = "manifest.json", "unfinished.json", "capture.lock"
SHARDS = "part-*.bin"
ALL_TOKENS = 2**53  # as a budget: whatever there is

WHOLE_BYTES = 2**30  # files up to this size are hashed whole
SAMPLES, SAMPLE_BYTES = 256, 2**20  # of larger ones

SAMPLE_TAIL = "classes drawn at random"

# why a run took the cache that its choice `cache` names
FOUND_AGAIN, MADE_NOW = "these answers were kept before", "nobody had kept these answers"
AS_ASKED = "as the recipe says"


class BadCache(Trouble):
    """A folder that can't be used as a cache of answers: unfinished, damaged, of another version or another teacher."""


class CacheRecipe(Recipe):
    """One pass of a teacher over text, which keeps what it says of every next token: its likeliest tokens and the mass of the rest."""

    kind: Literal["cache"] = "cache"

    teacher: str = Field(description="The teacher's folder.")
    data: tuple[str, ...] = Field(
        min_length=1,
        description="Text files or folders of them: plain, Markdown, or JSON lines with texts (`text`), prompts and answers, or conversations.",
    )
    separator: str | None = Field(
        None,
        description="The line that parts documents. By default <|endoftext|> where there are any, else a file is one document.",
    )
    top_k: int = Field(50, ge=1, le=65535, description="Likeliest tokens that are kept at each position.")
    tail: Literal["bucket", "sample"] = Field(
        "bucket",
        description="What is kept of the rest: its mass, as one more class (slightly biased, no noise), or nothing, "
        "with the classes drawn at random by probability instead (unbiased, forward KL only).",
    )
    temperature: float = Field(1.0, gt=0, le=20, description="τ: softens the teacher; the same as in the distillation.")
    tokens: int | None = Field(
        None, ge=64, description="The budget of the distillations that it is for; by default all of the text is read."
    )
    sequence_length: int | None = Field(
        None,
        ge=SHORTEST_SEQUENCE,
        description="Longer documents are cut in parts of this many tokens, as in the distillation; by default as that chooses.",
    )
    validation_tokens: int = Field(
        16_384,
        ge=64,
        description="Held-out text, in tokens, as in the distillation; its answers are kept too, for another seed trains on it.",
    )
    answers_only: bool = Field(False, description="For distillations that learn only the answers.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )
    teacher_precision: Literal["auto", "float32", "bfloat16", "int8", "int4"] = Field(
        "auto", description="Of the teacher's weights. auto: as the arithmetic; int8 and int4 need bitsandbytes."
    )
    out: str | None = Field(None, description="The cache's folder; by default one in the data folder, named after it.")

    @classmethod
    def of(cls, recipe: DistillRecipe) -> CacheRecipe:
        """The cache that a distillation makes for itself if none is named."""
        if recipe.teacher is None:
            raise BadRecipe("There is no teacher whose answers could be kept.", "Name one, or choose another source.")
        same = {name for name in cls.model_fields if name in DistillRecipe.model_fields} - {"kind", "out", "name"}
        return cls(**{name: getattr(recipe, name) for name in same})

    def distillation(self) -> DistillRecipe:
        """A distillation that reads the very text whose answers are kept: how text is read is said there, once."""
        same = {name for name in CacheRecipe.model_fields if name in DistillRecipe.model_fields} - {
            "kind",
            "out",
            "name",
        }
        fields = {name: getattr(self, name) for name in same}
        return DistillRecipe(**{**fields, "tokens": self.tokens or ALL_TOKENS, "student": "0.5x"})

    def may_meet_quantized(self) -> bool:
        return self.distillation().may_meet_quantized()

    def title(self) -> str:
        what = ", ".join(Path(item).name for item in self.data)
        return self.name or f"answers of {Path(self.teacher).name} on {what}"

    def problems(self) -> list[Problem]:
        found = [
            Problem(field="data", text=f"There is no file or folder {item}. Choose text to read.")
            for item in self.data
            if not Path(item).exists()
        ]
        found.extend(self._teacher_problems())
        if self.out is not None and (why := self._in_the_way(Path(self.out))) is not None:
            found.append(Problem(field="out", text=why))
        return found

    def _teacher_problems(self) -> list[Problem]:
        if not Path(self.teacher).is_dir():
            return [Problem(field="teacher", text=f"There is no folder {self.teacher}. Choose a model folder.")]
        try:
            info = inspect_model(Path(self.teacher), self.allow_remote_code)
        except Trouble as trouble:
            return [Problem(field="teacher", text=str(trouble))]
        found = []
        entries = min((n for n in (info.vocabulary, info.tokenizer.vocabulary) if n), default=None)
        if entries is not None and self.top_k > entries:
            text = f"top_k {self.top_k} is more than the {entries} entries of the teacher's vocabulary. Lower it."
            found.append(Problem(field="top_k", text=text))
        if self.sequence_length is not None and info.context is not None and self.sequence_length > info.context:
            text = (
                f"{self.sequence_length} positions are more than the teacher's context of {info.context}. Shorten it."
            )
            found.append(Problem(field="sequence_length", text=text))
        return found

    def _in_the_way(self, out: Path) -> str | None:
        """Why `out` can't become the cache; an unfinished cache of the same answers can be gone on with."""
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return None
        if not (out / UNFINISHED).is_file() or (out / MANIFEST).is_file():
            return f"{out} is there already. Name a new or empty folder; nothing is overwritten."
        try:
            begun = read_unfinished(out)
        except BadCache as trouble:
            return str(trouble)
        differing = [
            f"{name.replace('_', ' ')} {getattr(begun, name)}"
            for name in ("top_k", "tail", "temperature")
            if getattr(begun, name) != getattr(self, name)
        ]
        if not differing:
            return None
        return f"{out} holds an unfinished cache with {', '.join(differing)}. Choose the same, or another folder."


# --------------------------------------------------------------------------------------------------- what a cache says


class DataFile(BaseModel):
    """A text file as it was when it was read; `fingerprint` is that of its content."""

    model_config = ConfigDict(frozen=True)

    path: str
    bytes: int
    fingerprint: str


class CacheFields(BaseModel):
    """What a cache is to hold, known before the first answer."""

    model_config = ConfigDict(frozen=True)

    teacher: str  # its folder
    teacher_name: str
    teacher_fingerprint: str
    tokenizer: TokenizerIdentity
    start: int | None  # the token that each document begins with
    end: int | None
    vocabulary: int = Field(ge=1)  # entries that are kept; the teacher's head may have more rows
    top_k: int = Field(ge=1)
    tail: Literal["bucket", "sample"] = "bucket"
    version: int = Field(default_factory=lambda known: VERSIONS[known.get("tail", "bucket")])
    temperature: float = Field(1.0, gt=0)
    seed: int = 0
    sequence_length: int = Field(ge=2)  # longer documents are cut
    longest: int = 0  # tokens of the longest document
    budget: int | None = None  # tokens of the distillation whose share of the text was read; None: all of it
    every_seed: bool = False  # all of the text is there, with what any seed holds out
    answers_only: bool = False
    separator: str | None = None
    data: tuple[DataFile, ...] = ()
    dtype: str = "float32"  # of the teacher's arithmetic
    stillroom: str = ""
    created: float = 0.0  # seconds since 1970

    def same_answers(self) -> dict[str, Any]:
        """What the stored bytes depend on: two captures that agree in this can fill one folder."""
        names = {"version", "teacher_fingerprint", "vocabulary", "top_k", "tail", "temperature", "dtype"}
        return self.model_dump(include=names | ({"seed"} if self.tail == "sample" else set()))

    def folder_name(self) -> str:
        """A name that tells the cache from every other one: what can be read, and a hash of all the rest."""
        rest = {"teacher", "teacher_name", "tokenizer", "stillroom", "created"}
        if self.every_seed and self.tail == "bucket":
            rest.add("seed")
        everything = self.model_dump(mode="json", exclude=rest)
        everything["data"] = sorted(file.fingerprint for file in self.data)
        digest = hashlib.blake2b(json.dumps(everything, sort_keys=True).encode(), digest_size=4).hexdigest()
        parts = [self.teacher_name, self.teacher_fingerprint[:8], f"k{self.top_k}"]
        parts += ["sample"] * (self.tail == "sample") + [f"t{self.temperature:g}"] * (self.temperature != 1.0)
        return "-".join([*parts, digest])


class Shard(BaseModel):
    """A file of answers: its name, size, BLAKE2b checksum, and how many stretches of text it holds."""

    model_config = ConfigDict(frozen=True)

    file: str
    bytes: int
    blake2b: str
    segments: int


class Manifest(CacheFields):
    """What a finished cache holds. `rows` are predicted positions, each kept once; `mass_kept` is the mean mass inside the top k."""

    documents: int
    tokens: int  # of the text, copies counted
    rows: int
    bytes: int  # on disk
    mass_kept: float | None = None
    shards: tuple[Shard, ...]

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / self.rows


def read_manifest(folder: Path) -> Manifest:
    """What a finished cache holds; BadCache if it is none. The shards are not looked at (`check_shards` does)."""
    if not folder.is_dir():
        raise BadCache(f"There is no folder {folder}.", "Choose the folder of a cache; `stillroom caches` lists them.")
    if not (folder / MANIFEST).is_file():
        if (folder / UNFINISHED).is_file():
            raise BadCache(
                f"The cache {folder} is unfinished.",
                "Resume the run that makes it, or give `stillroom cache` the same settings and folder: it goes on.",
            )
        raise BadCache(f"{folder} is no cache of answers: it has no {MANIFEST}.", "Choose the folder of a cache.")
    raw = _read_object(folder / MANIFEST)
    checksum = raw.pop("checksum", None)
    _refuse_other_versions(raw, folder)
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise _damaged(folder / MANIFEST, f"its field {error.errors()[0]['loc'][0]} can't be used") from error
    if checksum != _checksum(raw):
        raise _damaged(folder / MANIFEST, "its checksum is not that of its contents")
    return manifest


def read_unfinished(folder: Path) -> CacheFields:
    """What an unfinished cache is to hold; BadCache if that can't be read."""
    raw = _read_object(folder / UNFINISHED)
    _refuse_other_versions(raw, folder)
    try:
        return CacheFields.model_validate(raw)
    except ValidationError as error:
        raise _damaged(folder / UNFINISHED, f"its field {error.errors()[0]['loc'][0]} can't be used") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Seal a cache; from now on it is finished."""
    raw = manifest.model_dump(mode="json")
    write_json(folder / MANIFEST, {**raw, "checksum": _checksum(raw)})
    (folder / UNFINISHED).unlink(missing_ok=True)


def check_shards(folder: Path, manifest: Manifest, progress: Callable[[float], None] | None = None) -> None:
    """Read every byte of a cache; BadCache names the first file that is missing, half-written or changed."""
    for shard in manifest.shards:  # what can be seen at once comes first
        file = folder / shard.file
        if not file.is_file():
            raise BadCache(f"The cache {folder} lacks its file {shard.file}.", _MAKE_AGAIN)
        if (size := file.stat().st_size) != shard.bytes:
            raise _damaged(file, f"it has {size} bytes instead of {shard.bytes}")
    done = 0
    for shard in manifest.shards:
        if shard_checksum(folder / shard.file) != shard.blake2b:
            raise _damaged(folder / shard.file, "its checksum is not that of its contents")
        done += shard.bytes
        if progress is not None:
            progress(done / manifest.bytes)


CHECKSUM_BYTES = 32


def shard_checksum(file: Path) -> str | None:
    """The checksum at a shard's end if it is that of everything before it, else None."""
    digest, size = hashlib.blake2b(digest_size=CHECKSUM_BYTES), file.stat().st_size - CHECKSUM_BYTES
    with file.open("rb") as stream:
        while size > 0 and (part := stream.read(min(size, SAMPLE_BYTES))):
            digest.update(part)
            size -= len(part)
        return digest.hexdigest() if size == 0 and stream.read() == digest.digest() else None


_MAKE_AGAIN = (
    "Delete the cache (`stillroom caches --delete`) and make it again, or copy it again from where it is whole."
)


def _damaged(file: Path, why: str) -> BadCache:
    return BadCache(f"{file} is damaged: {why}.", _MAKE_AGAIN)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        raw = read_json(file)
    except (OSError, ValueError) as error:
        raise _damaged(file, f"it can't be read ({error})") from error
    if not isinstance(raw, dict):
        raise _damaged(file, "it is no JSON object")
    return raw


def _refuse_other_versions(raw: dict[str, Any], folder: Path) -> None:
    version = raw.get("version")
    if not isinstance(version, int):
        return
    if version > NEWEST:
        raise BadCache(
            f"The cache {folder} has version {version}; this Stillroom reads up to {NEWEST}.",
            "Use the Stillroom that made it, or make the cache again.",
        )
    if raw.get("tail") == "sample" and version < VERSIONS["sample"]:
        raise BadCache(
            f"The cache {folder} was made by an older Stillroom: with its {SAMPLE_TAIL} it lacks the teacher's entropy.",
            "Delete it (`stillroom caches --delete`) and make it again.",
        )


def _checksum(raw: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(raw, sort_keys=True).encode(), digest_size=16).hexdigest()


# -------------------------------------------------------------------------------------------------------- fingerprints


def teacher_fingerprint(folder: Path) -> str:
    """A hash of config.json and of all weights of a model folder; the folder's name and place don't count.

    Every weight counts in files of up to 1 GB. Of a larger one, its size, its first MB (the header) and 256 stretches of 1 MB spread
    evenly are read: a retrained model differs there, a single weight changed by hand elsewhere would be missed.
    """
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        if file.is_file():
            digest.update(f"{file.name}\0{file_fingerprint(file)}\0".encode())
    return digest.hexdigest()


def file_fingerprint(file: Path) -> str:
    """A hash of a file's bytes; of one over 1 GB, of its size and of stretches spread over it. Kept while size and time of change stay."""
    now = file.stat()
    return _hashed(file, now.st_size, now.st_mtime_ns)


@lru_cache(maxsize=256)
def _hashed(file: Path, size: int, changed_ns: int) -> str:
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with file.open("rb") as stream:
        if size <= WHOLE_BYTES:
            while part := stream.read(SAMPLE_BYTES):
                digest.update(part)
        else:
            for sample in range(SAMPLES):
                stream.seek((size - SAMPLE_BYTES) * sample // (SAMPLES - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()


def data_files(paths: Sequence[str]) -> tuple[DataFile, ...]:
    """The text files that the paths stand for, with fingerprints. BadData if there is none."""
    return tuple(
        DataFile(path=str(file), bytes=file.stat().st_size, fingerprint=file_fingerprint(file))
        for file in text_files(tuple(paths))
    )


# ------------------------------------------------------------------------------------------------------ caches at hand


@dataclass(frozen=True)
class CacheInfo:
    """A cache as lists show it. `unfinished` or `broken` says why it can't be used; figures that are not known are None."""

    folder: Path
    name: str
    teacher: str = ""
    data: tuple[str, ...] = ()
    documents: int | None = None
    tokens: int | None = None
    bytes: int = 0
    bytes_per_token: float | None = None
    top_k: int | None = None
    tail: str | None = None
    temperature: float | None = None
    sequence_length: int | None = None
    mass_kept: float | None = None
    created: float | None = None  # seconds since 1970
    unfinished: str | None = None
    broken: str | None = None
    fields: CacheFields | None = field(default=None, repr=False)

    @property
    def usable(self) -> bool:
        return self.unfinished is None and self.broken is None


def caches(home: Home) -> list[CacheInfo]:
    """Every cache of the data folder, unfinished and broken ones too, newest first. Reads manifests only."""
    if not home.caches.is_dir():
        return []
    folders = [folder for folder in home.caches.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    return sorted(map(cache_info, folders), key=lambda info: (-(info.created or 0.0), info.name))


def cache_info(folder: Path) -> CacheInfo:
    """What is known about a cache without reading its answers."""
    size = sum(file.stat().st_size for file in folder.glob(SHARDS)) if folder.is_dir() else 0
    try:
        manifest = read_manifest(folder)
    except BadCache as trouble:
        return _of_unfinished(folder, size, trouble)
    broken = None
    for shard in manifest.shards:
        if not (folder / shard.file).is_file() or (folder / shard.file).stat().st_size != shard.bytes:
            broken = f"{shard.file} is missing or not whole."
    return CacheInfo(
        **_shown(folder, manifest),
        documents=manifest.documents,
        tokens=manifest.tokens,
        bytes=size,
        bytes_per_token=manifest.bytes_per_token,
        mass_kept=manifest.mass_kept,
        broken=broken,
    )


def _of_unfinished(folder: Path, size: int, trouble: BadCache) -> CacheInfo:
    if (folder / MANIFEST).exists() or not (folder / UNFINISHED).is_file():
        return CacheInfo(folder, folder.name, bytes=size, broken=trouble.what)
    try:
        begun = read_unfinished(folder)
    except BadCache as worse:
        return CacheInfo(folder, folder.name, bytes=size, broken=worse.what)
    why = "It is being made now." if _being_made(folder) else "Its making was interrupted, and can be resumed."
    return CacheInfo(**_shown(folder, begun), bytes=size, unfinished=why)


def _shown(folder: Path, known: CacheFields) -> dict[str, Any]:
    same = ("top_k", "tail", "temperature", "sequence_length", "created")
    return {
        "folder": folder,
        "name": folder.name,
        "teacher": known.teacher,
        "data": tuple(file.path for file in known.data),
        "fields": known,
        **{name: getattr(known, name) for name in same},
    }


def delete_cache(folder: Path) -> None:
    """Remove a cache for good. BadCache if it is being made, or if the folder holds anything that is no part of a cache."""
    if not folder.is_dir():
        raise BadCache(f"There is no folder {folder}.", "`stillroom caches` lists the caches.")
    ours = {MANIFEST, UNFINISHED, LOCK}
    strangers = [
        file.name
        for file in folder.iterdir()
        if file.name not in ours and not file.match(SHARDS) and not (file.name[0] == "." and file.suffix == ".part")
    ]
    if strangers or not any((folder / name).exists() for name in (MANIFEST, UNFINISHED)):
        what = f"it holds {sorted(strangers)[0]}" if strangers else "it has no manifest"
        raise BadCache(
            f"{folder} is not only a cache of answers: {what}.", "Remove the folder by hand if you are sure."
        )
    with holding(folder):  # and let go again, for some systems can't rename a folder with an open file
        hidden = folder.with_name(f".gone-{folder.name}")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)  # out of sight first, so that a half-removed cache is never listed
    sync_folder(folder.parent)
    shutil.rmtree(hidden, ignore_errors=True)


class holding:  # noqa: N801 — reads as a phrase: with holding(folder)
    """Fill or remove a cache while nobody else does; BadCache if somebody does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / LOCK, is_singleton=False)

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0.3)  # a look at the lock holds it for a moment only
        except Timeout as error:
            raise BadCache(
                f"The cache {self.folder} is being made by another run.", "Wait until it is done, then try again."
            ) from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def _being_made(folder: Path) -> bool:
    """Whether a living process fills the cache. The look takes its lock for a moment."""
    if not (folder / LOCK).exists():
        return False
    try:
        with holding(folder):
            return False
    except BadCache:
        return True


# -------------------------------------------------------------------------------------------- does it serve a recipe?


def cache_problems(recipe: DistillRecipe, cache: CacheFields, teacher_print: str | None = None) -> list[Problem]:
    """Why the cache can't serve the distillation, in the user's words; an empty list if nothing stands against it.

    `teacher_print` is `teacher_fingerprint` of the recipe's teacher, which takes about a second a gigabyte; without it the check is
    left out. Whether every document is there is known only once the text has been tokenised (`Answers.covers`).
    """
    found: list[Problem] = []

    def say(field: str, text: str) -> None:
        found.append(Problem(field=field, text=text))

    if teacher_print is not None and teacher_print != cache.teacher_fingerprint:
        name = "none" if recipe.teacher is None else Path(recipe.teacher).name
        say("cache", f"The cache is of another teacher, {cache.teacher_name}, than {name}; {_NEW_OR_OTHER}")
    _tokenizer_problems(recipe, cache, say)
    if cache.temperature != recipe.temperature:
        text = f"The cache was made at temperature {cache.temperature:g}, the recipe says {recipe.temperature:g}. "
        say("temperature", text + "Choose the cache's, or make another cache.")
    facts = OBJECTIVES[recipe.objective]
    if not facts.from_cache:
        text = f"{facts.title} needs more of the teacher than a cache keeps. Choose {source_words('corpus')}, or another objective."
        say("objective", text)
    elif cache.tail == "sample" and not facts.from_sample:
        text = f"{facts.title} is biased on the cache's {SAMPLE_TAIL}. Choose {objective_words('forward_kl')}, "
        text += "or make a cache that keeps the mass of the rest (bucket)."
        say("objective", text)
    shape = recipe.shape
    if shape is not None and shape.vocabulary < cache.vocabulary:
        text = f"The student's vocabulary of {shape.vocabulary} entries is smaller than the cache's of {cache.vocabulary}. "
        say("student", text + "Make a student with the teacher's vocabulary.")
    _text_problems(recipe, cache, say)
    return found


_NEW_OR_OTHER = "choose a cache of this teacher, or name none, and one is made."


def _tokenizer_problems(recipe: DistillRecipe, cache: CacheFields, say: Callable[[str, str], None]) -> None:
    readers = {"teacher": recipe.teacher, "student": recipe.student if recipe.init == "existing" else None}
    for name, folder in readers.items():
        if folder is None or not Path(folder).is_dir():
            continue
        same, why = same_tokenizer(cache.tokenizer, tokenizer_identity(Path(folder)))
        if not same:
            say("cache", f"The cache was made with another tokenizer than the {name}'s: {why}; {_NEW_OR_OTHER}")


def _text_problems(recipe: DistillRecipe, cache: CacheFields, say: Callable[[str, str], None]) -> None:
    """Why documents of the recipe would be missing in the cache, as far as can be told without reading them."""
    known = {file.fingerprint for file in cache.data}
    sizes = {file.bytes for file in cache.data}
    for file in text_files(recipe.data):
        if file.stat().st_size not in sizes or file_fingerprint(file) not in known:
            say("data", f"{file} is not the text that the cache was made of. Choose that text, or make another cache.")
    length = recipe.sequence_length
    if length is not None and length != cache.sequence_length and cache.longest > min(length, cache.sequence_length):
        text = f"The cache has documents cut at {cache.sequence_length} tokens, the recipe cuts them at {length}. "
        say("sequence_length", text + f"Choose {cache.sequence_length}, or make another cache.")
    if recipe.seed != cache.seed and not cache.every_seed:
        text = f"The cache has the documents that seed {cache.seed} reads, and seed {recipe.seed} reads others. "
        say("seed", text + f"Choose seed {cache.seed}, or make another cache.")
    if cache.budget is not None and recipe.tokens > cache.budget:
        text = f"The cache holds the share of the text that a budget of {cache.budget} tokens reads, the recipe's is {recipe.tokens}. "
        say("tokens", text + "Lower it, or make a larger cache.")
    if (recipe.separator or None) != cache.separator:
        say("separator", f"The cache parts documents at {cache.separator or 'the default separator'}. Choose the same.")
    if cache.answers_only and not recipe.answers_only:
        say("answers_only", "The cache lacks documents without answers. Learn only the answers, or make another cache.")

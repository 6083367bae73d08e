"""Models on the Hugging Face Hub: found, looked at, and what of them is worth downloading. The download itself is `core.downloads`.

Everything goes through huggingface_hub, which heeds HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE and the usual proxy variables, and
waits where the Hub asks it to. Only names and filters are sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core import law
from core.devices import Device
from core.errors import BadModel, Trouble
from core.model_folders import hub_cache
from core.numbers import bytes_text, count_text

KEYRING_SERVICE, KEYRING_USER = "stillroom", "huggingface"
BYTES_A_WEIGHT = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "int4": 0.56}  # int4 with a 16-bit scale for 32 weights
READING_SHARE = 1.15  # beside the weights: activations of one text, and what a library holds for itself
WEIGHTS = re.compile(r"(model|adapter_model)(-\d+-of-\d+)?\.safetensors")
PICKLED = re.compile(r".*\.(bin|pt|pth|ckpt)")
BESIDE = (
    "config.json", "generation_config.json", "adapter_config.json", "tokenizer.json", "tokenizer_config.json",
    "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja",
    "chat_template.json", "model.safetensors.index.json", "stillroom.json", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt",
)  # fmt: skip


Lack = Literal["", "terms", "token", "network", "online"]


class HubTrouble(Trouble):
    """The Hub said no, or was not reached. The way out is a terminal's; by `lacks`, what would mend it, a window shows its own."""

    def __init__(self, what: str, way_out: str = "", lacks: Lack = "") -> None:
        super().__init__(what, way_out)
        self.lacks = lacks


@dataclass(frozen=True)
class Found:
    """A line of a search."""

    name: str
    parameters: int | None
    architecture: str | None
    license: str | None
    downloads: int
    likes: int
    gated: bool
    updated: str | None  # ISO 8601


@dataclass(frozen=True)
class HubFile:
    """`sha256` of files that the Hub keeps in its large storage, `blob` the git object id of the others."""

    name: str
    size_bytes: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True)
class Details:
    """A model's page. `files` are those worth downloading; `refused` says why there is nothing to download."""

    name: str
    revision: str  # the commit
    card: str
    files: tuple[HubFile, ...]
    left_out: int
    parameters: int | None
    dtypes: tuple[str, ...]
    architecture: str | None
    license: str | None
    downloads: int
    likes: int
    gated: bool
    config: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True)
class Fit:
    """Whether a model can be read on a device, in one precision."""

    precision: str
    device: str
    needed_bytes: int
    free_bytes: int

    @property
    def fits(self) -> bool:
        return self.needed_bytes <= self.free_bytes


def endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def search(
    text: str = "",
    *,
    smallest: int | None = None,
    largest: int | None = None,
    architecture: str | None = None,
    license_name: str | None = None,
    sort: str = "downloads",
    limit: int = 30,
) -> list[Found]:
    """Language models on the Hub, the most downloaded first. Raises HubTrouble where it can't be reached."""
    bounds = [f"{name}:{size}" for name, size in (("min", smallest), ("max", largest)) if size is not None]
    filters = [
        "safetensors",
        *([architecture] if architecture else []),
        *([f"license:{license_name}"] if license_name else []),
    ]
    try:
        from huggingface_hub import HfApi

        listed = HfApi(endpoint=endpoint()).list_models(
            search=text or None,
            filter=filters,
            pipeline_tag="text-generation",
            num_parameters=",".join(bounds) or None,
            sort=sort,  # type: ignore[arg-type]
            limit=limit,
            expand=["safetensors", "downloads", "likes", "gated", "config", "tags", "lastModified"],
            token=token() or False,
        )
        return [_found(model) for model in listed]
    except Exception as error:
        raise as_trouble(error, text or "the search") from error


def _found(model: Any) -> Found:
    updated = model.last_modified
    return Found(
        model.id,
        _parameters(model),
        _architecture(model),
        _license(model),
        model.downloads or 0,
        model.likes or 0,
        bool(model.gated),
        updated.isoformat() if updated is not None else None,
    )


def details(name: str, revision: str | None = None) -> Details:
    """Everything on a model's page. Raises HubTrouble for a name that does not exist, is gated, or a Hub that can't be reached."""
    check_name(name)
    try:
        from huggingface_hub import HfApi

        secret = token() or False
        model = HfApi(endpoint=endpoint()).model_info(name, revision=revision, files_metadata=True, token=secret)
        files = [_file(each) for each in model.siblings or []]
        chosen = chosen_files(files)
        commit = str(model.sha)
        small = {each.name for each in files if each.size_bytes < 2 * 10**6}
        card = _small_file(name, commit, "README.md", secret) if "README.md" in small else ""
        config = _config(_small_file(name, commit, "config.json", secret)) if "config.json" in small else {}
    except Exception as error:
        raise as_trouble(error, name) from error
    refused = _refusal(name, files, chosen)
    return Details(
        name=name,
        revision=commit,
        card=card,
        files=() if refused else tuple(chosen),
        left_out=len(files) - len(chosen),
        parameters=_parameters(model),
        dtypes=tuple((model.safetensors.parameters or {}) if model.safetensors else ()),
        architecture=_architecture(model) or (str(config["model_type"]) if "model_type" in config else None),
        license=_license(model),
        downloads=model.downloads or 0,
        likes=model.likes or 0,
        gated=bool(model.gated),
        config=config,
        refused=refused,
    )


def check_name(name: str) -> None:
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise HubTrouble(
            f"{name!r} is no name of a model on the Hub.", "Write it as organisation/name, as on its page."
        )


def chosen_files(files: Iterable[HubFile]) -> list[HubFile]:
    """Weights as safetensors, configuration, tokenizer, card and licence: nothing that runs code, no second copy in another format."""
    return [file for file in files if file.name in BESIDE or WEIGHTS.fullmatch(file.name)]


def _refusal(name: str, files: Sequence[HubFile], chosen: Sequence[HubFile]) -> str | None:
    if any(WEIGHTS.fullmatch(file.name) for file in chosen):
        return None
    if any(PICKLED.fullmatch(file.name) for file in files):
        return (
            f"{name} has pickled weights only, and opening a pickle can run any code. Look for a copy with safetensors."
        )
    if any(file.name.endswith(".gguf") for file in files):
        return f"{name} has GGUF files only, which are made for running, not for learning. Choose the model they were made from."
    return f"{name} has no weights in safetensors."


def _file(each: Any) -> HubFile:
    large = each.lfs
    sha256 = None if large is None else (large["sha256"] if isinstance(large, dict) else large.sha256)
    return HubFile(each.rfilename, int(each.size or 0), sha256, each.blob_id)


def _small_file(name: str, commit: str, file: str, secret: str | bool) -> str:
    """A card or config, read and not kept: a folder in the cache with nothing but a config would look like a model."""
    from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(name, file, revision=commit, endpoint=endpoint())
    answer = get_session().get(url, headers=build_hf_headers(token=secret), timeout=10, follow_redirects=True)
    if answer.status_code in (401, 403, 404):  # gated models show their page, but not their files
        return ""
    hf_raise_for_status(answer)
    return str(answer.text)


def _config(text: str) -> dict[str, Any]:
    import json

    try:
        config = json.loads(text or "{}")
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _parameters(model: Any) -> int | None:
    return int(model.safetensors.total) if model.safetensors else None


def _architecture(model: Any) -> str | None:
    config = model.config or {}
    return str(config["model_type"]) if config.get("model_type") else None


def _license(model: Any) -> str | None:
    return next((tag.removeprefix("license:") for tag in model.tags or [] if tag.startswith("license:")), None)


# ------------------------------------------------------------------------------------------------- what it means here


def fits(parameters: int, devices: Iterable[Device]) -> list[Fit]:
    """Whether a model of this size can be read here, on each usable device at each precision."""
    return [
        Fit(precision, device.id, round(parameters * width * READING_SHARE), device.memory_free_bytes)
        for device in devices
        if device.usable
        for precision, width in BYTES_A_WEIGHT.items()
    ]


def words(found: Details, student: int | None, devices: Sequence[Device]) -> list[str]:
    """What a model means for this machine and for a student, in sentences."""
    if found.parameters is None:
        return ["The Hub does not say how many parameters it has."]
    said = []
    for device in devices:
        good = [fit for fit in fits(found.parameters, [device]) if fit.fits]
        need = bytes_text(round(found.parameters * 2 * READING_SHARE))
        said.append(
            f"Fits on {device.id} in {', '.join(fit.precision for fit in good)}."
            if good
            else f"Does not fit on {device.id}: in bfloat16 it takes about {need}, and {bytes_text(device.memory_free_bytes)} are free."
        )
    if student is not None:
        badge = law.badge(found.parameters, student)
        said.append(f"For a student of {count_text(student)}: {badge.word}. {badge.sentence}")
    return said


# ----------------------------------------------------------------------------------------------------------- the token


def token() -> str | None:
    """HF_TOKEN, else the one kept in the system's keyring, else the one that `hf auth login` left."""
    if os.environ.get("HF_TOKEN"):
        return os.environ["HF_TOKEN"]
    if (kept := _keyring_token()) is not None:
        return kept
    from huggingface_hub import get_token

    return get_token()


def _keyring_token() -> str | None:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, KEYRING_USER)
    except KeyringError:  # this system has none, or it is locked
        return None


def keep_token(secret: str) -> None:
    """Keep a token in the system's keyring; HubTrouble where there is none."""
    import keyring
    from keyring.errors import KeyringError

    if not secret.strip():
        raise HubTrouble("The token is empty.", f"Make one at {endpoint()}/settings/tokens.")
    try:
        keyring.set_password(KEYRING_SERVICE, KEYRING_USER, secret.strip())
    except KeyringError as error:
        raise HubTrouble(
            f"This system has no keyring to keep the token in: {error}.",
            "Set the environment variable HF_TOKEN instead.",
        ) from error


def forget_token() -> bool:
    """False if none was kept."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(KEYRING_SERVICE, KEYRING_USER)
    except KeyringError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------- half copies


def unfinished(cache: Path | None = None) -> dict[str, int]:
    """Models in the Hub cache that a download left half done: name, and the bytes that are there to go on from."""
    found: dict[str, int] = {}
    for part in (cache or hub_cache()).glob("models--*/blobs/*.incomplete"):
        name = part.parents[1].name.removeprefix("models--").replace("--", "/", 1)
        found[name] = found.get(name, 0) + part.stat().st_size
    return found


# -------------------------------------------------------------------------------------------------------------- troubles


def as_trouble(error: Exception, name: str) -> Trouble:
    """What a library's error means, in a sentence; a Trouble stays one, and what nobody foresaw is raised again as it is."""
    if isinstance(error, Trouble):
        return error
    from huggingface_hub import errors

    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    for one in chain:
        if isinstance(one, errors.OfflineModeIsEnabled):
            return HubTrouble(
                "The program is offline (HF_HUB_OFFLINE is set), and nothing is fetched.",
                "Take the variable away to use the Hub.",
                "online",
            )
        if isinstance(one, errors.GatedRepoError):
            return HubTrouble(
                f"{name} is gated: its authors want you to accept their conditions first.",
                f"Accept them at {endpoint()}/{name}, then give your token: stillroom models login (or HF_TOKEN).",
                "terms",
            )
        if isinstance(one, errors.RevisionNotFoundError):
            return HubTrouble(f"{name} has no such revision.", "Name a branch, a tag or a commit that its page shows.")
        if isinstance(one, errors.RepositoryNotFoundError):
            return HubTrouble(
                f"The Hub ({endpoint()}) has no model {name}, or it is private and your token does not open it.",
                "Check the name on its page; `stillroom models login` keeps a token.",
                "token",
            )
        if isinstance(one, errors.EntryNotFoundError) and not isinstance(one, errors.LocalEntryNotFoundError):
            return HubTrouble(
                f"{name} has a file no more that it had a moment ago.", "Try again: it may just have been changed."
            )
        if isinstance(one, errors.HfHubHTTPError):
            return _of_status(one.response.status_code, name)
        if isinstance(one, (ConnectionError, TimeoutError)) or {"TransportError", "InvalidURL"} & _kinds(one):
            return HubTrouble(
                f"The Hub at {endpoint()} can't be reached: {one}.",
                "Look at the network, the proxy (HTTPS_PROXY) and HF_ENDPOINT; what was fetched is kept.",
                "network",
            )
    if isinstance(error, (errors.HFValidationError, BadModel)):
        return HubTrouble(f"{name!r} is no name of a model on the Hub.", "Write it as organisation/name.")
    raise error


def _kinds(error: BaseException) -> set[str]:
    """The names of an error's classes: huggingface_hub changed the HTTP library that it stands on, not their names."""
    return {kind.__name__ for kind in type(error).__mro__}


def _of_status(status: int, name: str) -> HubTrouble:
    if status == 401:
        return HubTrouble(
            "The Hub does not know your token (401).", "Give a new one: stillroom models login, or HF_TOKEN.", "token"
        )
    if status == 403:
        return HubTrouble(f"Your token may not read {name} (403).", f"Ask for access at {endpoint()}/{name}.")
    if status == 429:
        return HubTrouble(
            "The Hub still says that there were too many requests (429).",
            "Wait some minutes, or give a token, and resume.",
        )
    return HubTrouble(f"The Hub answers with an error ({status}).", "Try again later; what was fetched is kept.")

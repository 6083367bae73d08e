"""Models from the Hub: what is found and said of them, and downloads that survive a bad network, a kill and a full disk."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest
from hub_stand_in import COMMIT, StandIn, serving

from core import downloads, hub
from core.cli import main
from core.devices import Device
from core.downloads import FAILED, FINISHED, INTERRUPTED, PAUSED, RUNNING, Download, Progress
from core.home import Home
from core.hub import HubFile, HubTrouble
from core.model_folders import resolve_model
from core.upload import upload

WEIGHTS = os.urandom(3_000_000)
SMALL: dict[str, bytes] = {
    "config.json": json.dumps({"model_type": "llama"}).encode(),
    "tokenizer.json": b"{}",
    "README.md": b"# A tiny model",
}
MODELS: dict[str, dict[str, bytes]] = {
    "them/tiny": {**SMALL, "model.safetensors": WEIGHTS, "pytorch_model.bin": b"x" * 10, "onnx/model.onnx": b"y" * 10},
    "them/pickled": {**SMALL, "pytorch_model.bin": b"x" * 10},
    "them/gated": {**SMALL, "model.safetensors": WEIGHTS[:1000]},
}


class _NoKeyring(keyring.backend.KeyringBackend):
    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise keyring.errors.PasswordDeleteError("none")
        del self.kept[service, username]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    from huggingface_hub import constants

    with serving(MODELS) as served:
        served.gated.add("them/gated")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield served


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(_NoKeyring())
    yield
    keyring.set_keyring(before)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "home")


def ended(download: Download, seconds: float = 60) -> Progress:
    deadline = time.monotonic() + seconds
    while (said := download.progress()).state == RUNNING:
        assert time.monotonic() < deadline, said
        time.sleep(0.02)
    return said


def until(download: Download, seconds: float = 30, **least: int) -> Progress:
    deadline = time.monotonic() + seconds
    while (said := download.progress()).done_bytes < least["done_bytes"]:
        assert said.state == RUNNING, said
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return said


def fetched(home: Home, name: str) -> Progress:
    """The work of a download's process, done in this one."""
    download = Download(downloads.folder_of(home, name))
    downloads.prepare(download, name)
    downloads.fetch(download)
    return download.progress()


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return dict(json.loads(capsys.readouterr().out.splitlines()[-1]))


def test_a_search_shows_sizes_and_licences(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["models", "search", "tiny", "--smallest", "100M", "--largest", "2B", "--licence", "mit", "--json"]) == 0
    )
    (found,) = answer(capsys)["models"]
    assert (found["name"], found["parameters"], found["license"]) == ("them/tiny", 1_100_048_384, "apache-2.0")
    query = stand_in.asked[-1][1]
    assert "num_parameters=min%3A100000000%2Cmax%3A2000000000" in query
    assert "license%3Amit" in query


def test_details_say_what_would_be_fetched_and_what_it_means_here(stand_in: StandIn) -> None:
    found = hub.details("them/tiny")
    assert {file.name for file in found.files} == {"config.json", "tokenizer.json", "README.md", "model.safetensors"}
    assert found.left_out == 2
    assert found.card == "# A tiny model"
    small = Device("cpu", "CPU", 4 * 2**30, 2 * 2**30, False, "")
    assert [fit.precision for fit in hub.fits(1_100_048_384, [small]) if fit.fits] == ["int8", "int4"]
    said = " ".join(hub.words(found, 440_000_000, [small]))
    assert "Fits on cpu in int8, int4." in said
    assert "in the band" in said


def test_a_model_of_pickles_is_refused_before_anything_is_fetched(stand_in: StandIn, home: Home) -> None:
    with pytest.raises(HubTrouble, match="pickled weights only"):
        downloads.start(home, "them/pickled")
    assert not stand_in.asked_for("/store")


def test_only_one_copy_of_the_weights_is_chosen() -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    others = [
        "model.fp16.safetensors",
        "consolidated.safetensors",
        "original/model.safetensors",
        "run.py",
        "tf_model.h5",
    ]
    chosen = hub.chosen_files([HubFile(name, 1, None, None) for name in names + others])
    assert [file.name for file in chosen] == names


def test_a_download_lands_where_every_library_looks_for_it(
    stand_in: StandIn, home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "download", "them/tiny", "--home", str(home.root), "--json"]) == 0
    said = answer(capsys)
    assert said["state"] == FINISHED
    folder = resolve_model("them/tiny")
    assert Path(said["path"]) == folder
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert said["done_bytes"] == said["total_bytes"] == len(WEIGHTS) + sum(map(len, SMALL.values()))
    assert not (folder / "pytorch_model.bin").exists()
    assert (tmp_path / "cache" / "models--them--tiny" / "refs" / "main").read_text() == COMMIT
    stand_in.asked.clear()
    assert fetched(home, "them/tiny").state == FINISHED  # nothing is fetched twice
    assert not stand_in.asked_for("/store")


def test_a_connection_cut_in_the_middle_is_gone_on_from_there(stand_in: StandIn, home: Home) -> None:
    stand_in.cut_after = 1_000_000
    assert fetched(home, "them/tiny").state == FINISHED
    ranges = [headers.get("range") for headers in stand_in.asked_for("/store")]
    assert ranges[0] is None
    assert ranges[1] is not None
    assert 0 < int(ranges[1].removeprefix("bytes=").removesuffix("-")) <= 1_000_000
    assert (resolve_model("them/tiny") / "model.safetensors").read_bytes() == WEIGHTS


def test_a_hub_that_asks_to_wait_is_waited_for_and_the_wait_is_said(stand_in: StandIn, home: Home) -> None:
    stand_in.busy = 1
    download = downloads.start(home, "them/tiny")
    notes = {said.note for said in downloads.follow(download, every_s=0.05)}
    assert download.progress().state == FINISHED
    assert any("asks to wait" in note and "2.0s" in note for note in notes)


def test_a_paused_download_goes_on_with_the_bytes_it_has(stand_in: StandIn, home: Home) -> None:
    stand_in.block_s = 0.1
    download = downloads.start(home, "them/tiny")
    until(download, done_bytes=600_000)
    download.pause()
    assert download.progress().state == PAUSED
    kept = hub.unfinished()["them/tiny"]
    asked = len(stand_in.asked)
    time.sleep(0.4)
    assert len(stand_in.asked) == asked  # it really rests
    assert hub.unfinished()["them/tiny"] == kept > 0
    stand_in.block_s = 0
    assert fetched(home, "them/tiny").state == FINISHED
    assert stand_in.asked_for("/store")[-1]["range"] == f"bytes={kept}-"
    assert (resolve_model("them/tiny") / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.unfinished() == {}


def test_a_killed_download_is_recognised_and_a_cancelled_one_leaves_no_halves(stand_in: StandIn, home: Home) -> None:
    import psutil

    stand_in.block_s = 0.1
    download = downloads.start(home, "them/tiny")
    psutil.Process(until(download, done_bytes=300_000).pid).kill()
    assert ended(download).state == INTERRUPTED
    assert "them/tiny" in hub.unfinished()
    download.resume()
    until(download, done_bytes=300_000)
    download.cancel()
    assert hub.unfinished() == {}
    assert downloads.all_downloads(home) == []


def test_a_broken_file_is_not_kept(stand_in: StandIn, home: Home, tmp_path: Path) -> None:
    stand_in.broken.add("model.safetensors")
    said = fetched(home, "them/tiny")
    assert said.state == FAILED
    assert "checksum" in said.error
    assert not list((tmp_path / "cache").glob("*/snapshots/*/model.safetensors"))
    stand_in.broken.clear()
    assert fetched(home, "them/tiny").state == FINISHED


def test_a_gated_model_takes_a_token_which_the_store_never_sees(
    stand_in: StandIn, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = fetched(home, "them/gated")
    assert said.state == FAILED
    assert "is gated" in said.error
    assert "models login" in said.way_out
    monkeypatch.setenv("HF_TOKEN", stand_in.token)
    stand_in.asked.clear()
    assert (said := fetched(home, "them/gated")).state == FINISHED, said
    assert all("authorization" not in headers for headers in stand_in.asked_for("/store"))


def test_the_token_is_kept_in_the_keyring_and_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hub.keep_token(" hf_kept \n")
    assert hub.token() == "hf_kept"
    monkeypatch.setenv("HF_TOKEN", "hf_env")
    assert hub.token() == "hf_env"
    assert hub.forget_token()
    assert not hub.forget_token()
    with pytest.raises(HubTrouble, match="empty"):
        hub.keep_token(" ")


def test_no_room_on_the_disk_is_known_before_it_starts(
    stand_in: StandIn, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(home.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100 * 2**20 + 1000))
    with pytest.raises(HubTrouble, match=r"takes 3 MB more"):
        downloads.start(home, "them/tiny")
    assert not stand_in.asked_for("/store")


def test_a_name_that_does_not_exist_is_said_so(stand_in: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "details", "them/nothing", "--json"]) == 2
    assert "has no model them/nothing" in answer(capsys)["error"]
    assert main(["models", "details", "them/tiny", "--revision", "v9", "--json"]) == 2
    assert "no such revision" in answer(capsys)["error"]
    assert main(["models", "details", "../tiny", "--json"]) == 2
    assert "is no name" in answer(capsys)["error"]


def test_no_network_and_offline_mode_are_told_apart(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubTrouble, match="offline"):
        hub.details("them/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubTrouble, match=r"127\.0\.0\.1:9 can't be reached"):
        hub.details("them/tiny")


def test_an_upload_is_private_unless_told_and_takes_a_token(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", stand_in.url)  # a process of its own would have read it at its start
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "README.md").write_text("# Mine")
    with pytest.raises(HubTrouble, match="takes a token"):
        upload(folder, "me/mine", public=False)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubTrouble, match="token"):
        upload(folder, "me/mine", public=False)
    monkeypatch.setenv("HF_TOKEN", stand_in.token)
    assert upload(folder, "me/mine", public=False) == f"{stand_in.url}/me/mine"
    said = stand_in.created[-1]
    assert said.get("private") is True or said.get("visibility") == "private", said
    assert stand_in.uploaded["README.md"] == b"# Mine"


def test_looking_at_the_hub_loads_no_torch() -> None:
    code = "import sys, core.hub, core.downloads, core.upload; from huggingface_hub import HfApi, hf_hub_download; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"

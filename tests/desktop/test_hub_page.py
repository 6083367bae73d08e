"""The Hub in the window: search, a model in full, downloads that can be paused and resumed; and what is there without a network."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keyring
import keyring.backend
import pytest
from looking import cut_off, nameless, unreachable
from made_up import a_model
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from core import downloads
from core.downloads import PAUSED, RUNNING, Download
from core.home import Home
from desktop_app.context import Context, Message, Wish
from desktop_app.hub import connection
from desktop_app.hub.page import HubPage
from desktop_app.hub.settings_card import HubCard, TokenDialog


def _stand_in() -> ModuleType:
    """The Hub on loopback that core's own tests use."""
    file = Path(__file__).resolve().parents[1] / "core" / "hub_stand_in.py"
    spec = importlib.util.spec_from_file_location("hub_stand_in", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["hub_stand_in"] = module
    spec.loader.exec_module(module)
    return module


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ring]:
    before, made = keyring.get_keyring(), Ring()
    keyring.set_keyring(made)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # read when it was first imported
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def hub(ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    folder = a_model(tmp_path / "published")
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    large = {**files, "model.safetensors": files["model.safetensors"]}
    card = b"---\nlicense: mit\n---\n# A tiny model\nIt tells **stories**. ![a picture](file:///etc/passwd)\n"
    models = {
        "them/tiny": {**large, "README.md": card, "pytorch_model.bin": b"x" * 10},
        "them/pickled": {"config.json": b"{}", "pytorch_model.bin": b"x" * 10},
        "them/gated": {**files, "README.md": b"# Gated"},
    }
    with _stand_in().serving(models) as made:
        made.gated.add("them/gated")
        monkeypatch.setenv("HF_ENDPOINT", made.url)
        monkeypatch.setattr(connection, "_given", made.url)
        yield made
        for process in downloads._started:
            process.wait(timeout=10)


class Bench:
    def __init__(self, context: Context, qtbot: QtBot) -> None:
        self.context, self.qtbot = context, qtbot
        self.said: list[Message] = []
        self.wishes: list[Wish] = []
        context.said.connect(self.said.append)
        context.wished.connect(self.wishes.append)
        self.page = HubPage(context)
        qtbot.addWidget(self.page)
        self.page.resize(1200, 720)
        self.page.show()
        self.page.opened()

    def until(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        self.qtbot.waitUntil(true, timeout=int(1000 * seconds))

    def click(self, button: QAbstractButton) -> None:
        assert button.isVisible(), button.text()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def names(self) -> list[str]:
        return [row.name for row in self.page.view.table.rows]

    def search(self, text: str) -> None:
        self.page.search.setText(text)
        self.click(self.page.go)
        self.until(lambda: not self.page.asking)

    def pick(self, name: str) -> None:
        assert self.page.view.pick(name)
        self.until(lambda: self.page.detail.details is not None and self.page.detail.details.name == name)


@pytest.fixture
def bench(ring: Ring, context: Context, qtbot: QtBot) -> Bench:
    return Bench(context, qtbot)


def test_before_anything_is_asked_the_well_known_models_are_there_with_what_they_take(bench: Bench) -> None:
    assert len(bench.names()) > 20
    assert "Nothing is sent until you search" in bench.page.notice.text()
    bench.until(lambda: bench.page.detail.fits_card.isVisible())
    bench.qtbot.keyClicks(bench.page.search, "pythia-160")
    assert bench.names() == ["EleutherAI/pythia-160m"]
    assert "12 layers" in bench.page.detail.facts.text()
    assert "In all" not in bench.page.detail.takes.text()
    bench.page.search.setText("no such thing")
    bench.page.search.textEdited.emit("no such thing")
    assert "No well-known model has all this" in bench.page.nothing.words.text()


def test_the_law_is_said_for_the_student_that_is_named(bench: Bench) -> None:
    bench.page.opened(student=60_000_000)
    assert bench.page.view.pick("EleutherAI/pythia-160m")
    assert "in the band" in bench.page.detail.law.text()
    row = bench.names().index("EleutherAI/pythia-160m")
    assert bench.page.view.table.index(row, 2).data() == "in the band"


def test_without_a_network_the_trouble_is_said_and_the_catalogue_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    bench.search("pythia")
    assert "can't be reached" in bench.page.notice.text()
    assert "a mirror is set in Settings" in bench.page.notice.text()
    assert bench.page.again.isVisible()
    assert bench.names()
    assert all("pythia" in name for name in bench.names())


def test_offline_nothing_is_asked_and_the_button_says_why(bench: Bench, hub: Any, context: Context) -> None:
    context.settings.hub_offline = True
    bench.search("tiny")
    assert hub.asked == []
    assert "The program is offline" in bench.page.notice.text()
    assert "offline" in bench.page.where.text()
    assert not bench.page.detail.download.isEnabled()
    assert "offline" in bench.page.detail.download.toolTip()


def test_a_search_shows_what_the_hub_has_and_one_of_them_in_full(hub: Any, bench: Bench) -> None:
    bench.search("them")
    assert bench.names() == ["them/tiny", "them/pickled", "them/gated"]
    bench.pick("them/tiny")
    detail = bench.page.detail
    assert "A tiny model" in detail.card.toPlainText()
    assert "license: mit" not in detail.card.toPlainText()
    assert "model.safetensors" in detail.files.text()
    assert "pytorch_model" not in detail.files.text()
    assert detail.download.isEnabled()
    bench.pick("them/pickled")
    assert "pickled weights only" in detail.refused.text()
    assert not detail.download.isEnabled()
    bench.search("no such model")
    assert "has all this" in bench.page.nothing.words.text()


def test_a_model_is_downloaded_by_its_button_and_shown_among_the_models(hub: Any, bench: Bench) -> None:
    bench.search("them")
    bench.pick("them/tiny")
    bench.click(bench.page.detail.download)
    bench.until(lambda: "them/tiny" in bench.page.downloads.lines)
    line = bench.page.downloads.lines["them/tiny"]
    bench.until(line.show_model.isVisible, 40)
    assert "every file checked" in line.state.text()
    assert bench.page.detail.download.toolTip() == "It is here already."
    bench.click(line.show_model)
    assert bench.wishes[-1].page == "models"
    assert (bench.wishes[-1].what["model"] / "config.json").exists()
    bench.click(line.cancel)
    bench.until(lambda: not bench.page.downloads.lines)


def test_a_download_is_paused_and_resumed_and_cancelled(hub: Any, bench: Bench, home: Home) -> None:
    hub.models["them/tiny"]["model.safetensors"] = _padded(hub.models["them/tiny"]["model.safetensors"])
    hub.block_s = 0.2
    bench.search("them")
    bench.pick("them/tiny")
    bench.click(bench.page.detail.download)
    bench.until(lambda: "them/tiny" in bench.page.downloads.lines)
    line = bench.page.downloads.lines["them/tiny"]
    bench.until(lambda: line.pause.isVisible() and line.bar.value() > 0, 40)
    bench.click(line.pause)
    bench.until(line.resume.isVisible)
    assert line.state.text().startswith("Paused at")
    assert downloads.find(home, "them/tiny").progress().state == PAUSED
    bench.click(line.resume)
    bench.until(line.pause.isVisible)
    assert downloads.find(home, "them/tiny").progress().state == RUNNING
    bench.click(line.cancel)
    bench.until(lambda: not bench.page.downloads.lines)
    assert not bench.page.downloads.isVisible()


def _padded(weights: bytes) -> bytes:
    """The same weights with another tensor of three megabytes."""
    size = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + size])
    end = max(each["data_offsets"][1] for each in header.values())
    header["more"] = {"dtype": "U8", "shape": [3_000_000], "data_offsets": [end, end + 3_000_000]}
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + weights[8 + size :] + os.urandom(3_000_000)


def test_a_gated_model_asks_for_a_token_and_keeps_it_in_the_keyring(hub: Any, bench: Bench, ring: Ring) -> None:
    bench.search("them")
    bench.pick("them/gated")
    assert "terms accepted first" in bench.page.detail.refused.text()
    bench.click(bench.page.detail.token)
    dialog = bench.page.findChild(TokenDialog)
    assert dialog is not None
    assert dialog.keep.toolTip() == "Paste a token first."
    bench.qtbot.keyClicks(dialog.token, "hf_right")
    bench.click(dialog.keep)
    bench.until(lambda: ring.kept != {})
    assert list(ring.kept.values()) == ["hf_right"]


def test_a_download_that_lacks_a_token_takes_one_in_its_line_and_goes_on(
    hub: Any, bench: Bench, ring: Ring, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[str] = []
    monkeypatch.setattr(Download, "resume", lambda one: resumed.append(one.name))
    download = Download(downloads.folder_of(home, "them/gated"))
    downloads.prepare(download, "them/gated")
    downloads.fetch(download)
    bench.page.downloads.look()
    bench.until(lambda: "them/gated" in bench.page.downloads.lines)
    line = bench.page.downloads.lines["them/gated"]
    assert line.state.text().endswith("Open its page and accept them there, then give a token here.")
    bench.click(line.token)
    dialog = bench.page.findChild(TokenDialog)
    assert dialog is not None
    bench.qtbot.keyClicks(dialog.token, "hf_right")
    bench.click(dialog.keep)
    bench.until(lambda: resumed == ["them/gated"])


def test_the_settings_say_where_a_token_is_and_judge_a_mirror(ring: Ring, context: Context, qtbot: QtBot) -> None:
    ring.set_password("stillroom", "huggingface", "hf_right")
    card = HubCard(context)
    qtbot.addWidget(card)
    card.show()
    card.look()
    qtbot.waitUntil(card.forget.isEnabled, timeout=10_000)
    assert "kept on this machine" in card.token_words.text()
    qtbot.keyClicks(card.mirror, "nowhere")
    assert "A mirror is an address" in card.mirror_field.problem.text()
    assert context.settings.hub_mirror == ""
    card.mirror.clear()
    qtbot.keyClicks(card.mirror, "https://hub.example.org/")
    assert context.settings.hub_mirror == "https://hub.example.org"
    assert connection.address() == "https://hub.example.org"
    card.mirror.clear()
    card.mirror.textEdited.emit("")
    assert "HF_ENDPOINT" not in os.environ
    qtbot.mouseClick(card.forget, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not ring.kept, timeout=10_000)


def test_nothing_is_cut_off_nameless_or_out_of_reach(hub: Any, bench: Bench) -> None:
    bench.search("them")
    bench.pick("them/tiny")
    bench.qtbot.wait(100)
    assert cut_off(bench.page) == []
    assert nameless(bench.page) == []
    assert unreachable(bench.page) == []

"""The downloads that were begun, each with how far it is and what can be done about it; hidden while there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal, SignalInstance
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from core import downloads
from core.downloads import FAILED, FINISHED, INTERRUPTED, PAUSED, RUNNING, Download, Progress
from core.errors import Trouble
from core.home import Home
from core.numbers import bytes_text, duration_text
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.hub.settings_card import ask_for_token
from desktop_app.hub.way_out import TAKES_TOKEN
from desktop_app.hub.way_out import words as trouble_words
from desktop_app.icons import icon
from desktop_app.sign import Sign
from desktop_app.work import in_background

LOOK_MS = 400
MOST_HEIGHT = 232  # px: three downloads; more scroll


@dataclass(frozen=True)
class Line:
    download: Download
    progress: Progress


def read_all(home: Home) -> list[Line]:
    """Every download; one whose folder goes while it is read is left out."""
    found = []
    for download in downloads.all_downloads(home):
        try:
            progress = download.progress()
            found.append(Line(download, progress if progress.name else Progress(download.name)))
        except (FileNotFoundError, ValueError):
            continue
    return found


class DownloadsPane(QFrame):
    """Looks at the downloads while one runs; `fetched` names one that has just ended well, and its folder."""

    fetched = Signal(str, object)
    model_wanted = Signal(object)  # Path
    counted = Signal(int)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.lines: dict[str, _Line] = {}
        self._states: dict[str, str] = {}
        self._asking = False
        theme.set_role(self, "card")
        self.title = QLabel(self.tr("Downloads"))
        theme.set_role(self.title, "title")
        note = QLabel(self.tr("They go on if you close the window."))
        theme.set_role(note, "small")
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(12)
        self.area = QScrollArea()
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setAccessibleName(self.tr("Downloads"))
        self.area.setWidget(content)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addSpacing(theme.SPACE)
        head.addWidget(note)
        head.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.area)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self.look)
        self.hide()

    def states(self) -> dict[str, str]:
        """By the model's name."""
        return dict(self._states)

    def look(self) -> None:
        """Read how far they are; goes on while one runs."""
        if not self._asking:
            self._asking = True
            home = self.context.home
            in_background(self, lambda: read_all(home), self._show, self._refuse)

    def _refuse(self, trouble: Trouble) -> None:
        self._asking = False
        self._timer.stop()
        self.context.trouble(trouble)

    def _show(self, found: list[Line]) -> None:
        self._asking = False
        states = {
            line.download.name if not line.progress.name else line.progress.name: line.progress.state for line in found
        }
        for name in set(self.lines) - set(states):
            line = self.lines.pop(name)
            line.hide()
            line.deleteLater()
        for each in found:
            name = each.progress.name
            if name not in self.lines:
                self.lines[name] = self._new_line()
            self.lines[name].show_progress(each)
            if each.progress.state == FINISHED and self._states.get(name) == RUNNING:
                self.fetched.emit(name, Path(each.progress.path))
        changed = states != self._states
        self._states = states
        self.setVisible(bool(found))
        self.area.setFixedHeight(min(MOST_HEIGHT, self._column.sizeHint().height() + 4))
        if changed:
            self.counted.emit(len(found))
        alive = RUNNING in states.values()
        if alive != self._timer.isActive():
            (self._timer.start if alive else self._timer.stop)()

    def _new_line(self) -> _Line:
        line = _Line()
        line.pause_wanted.connect(lambda one: self._do(one.pause))
        line.resume_wanted.connect(lambda one: self._do(one.resume))
        line.token_wanted.connect(self._ask_for_token)
        line.cancel_wanted.connect(lambda one: self._do(one.cancel))
        line.model_wanted.connect(self.model_wanted)
        self._column.addWidget(line)
        return line

    def _ask_for_token(self, one: Download) -> None:
        """Once it is kept, the download goes on."""
        ask_for_token(self.context, self).accepted.connect(lambda: self._do(one.resume))

    def _do(self, act: Callable[[], None]) -> None:
        in_background(self, act, lambda _: self.look(), self.context.trouble)


class _Line(QWidget):
    """One download."""

    pause_wanted = Signal(object)  # Download
    resume_wanted = Signal(object)
    token_wanted = Signal(object)
    cancel_wanted = Signal(object)
    model_wanted = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__()
        self._line: Line | None = None
        self.sign, self.name, self.state = Sign(size=18), Elided(), words("muted")
        self.state.setFont(theme.tabular(self.state.font()))
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.pause = button(self.tr("Pause"), "stopped")
        self.resume = button(self.tr("Resume"), "resume")
        self.token = button(self.tr("Give a token…"), "private")
        self.show_model = button(self.tr("Show in Models"), "models")
        self.cancel = button(self.tr("Cancel"), "remove", "quiet")
        told = QVBoxLayout()
        told.setSpacing(4)
        for part in (self.name, self.bar, self.state):
            told.addWidget(part)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        row.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(told, 1)
        for one in (self.token, self.pause, self.resume, self.show_model, self.cancel):
            row.addWidget(one, 0, Qt.AlignmentFlag.AlignVCenter)
        self.pause.clicked.connect(lambda: self._emit(self.pause_wanted))
        self.resume.clicked.connect(lambda: self._emit(self.resume_wanted))
        self.token.clicked.connect(lambda: self._emit(self.token_wanted))
        self.cancel.clicked.connect(lambda: self._emit(self.cancel_wanted))
        self.show_model.clicked.connect(self._show_model)

    def _emit(self, signal: SignalInstance) -> None:
        if self._line is not None:
            signal.emit(self._line.download)

    def _show_model(self) -> None:
        if self._line is not None:
            self.model_wanted.emit(Path(self._line.progress.path))

    def show_progress(self, line: Line) -> None:
        self._line, said = line, line.progress
        if said.name != self.name.whole():
            self.name.set_text(said.name)
            self.bar.setAccessibleName(self.tr("Progress of %s") % said.name)
            for one in (self.token, self.pause, self.resume, self.cancel, self.show_model):
                one.setAccessibleName(f"{one.text()}: {said.name}")
        signs = {
            RUNNING: ("running", "accent"), PAUSED: ("stopped", "muted"), FINISHED: ("finished", "good"),
            FAILED: ("error", "error"), INTERRUPTED: ("warning", "warning"),
        }  # fmt: skip
        self.sign.set_icon(icon(*signs.get(said.state, ("info", "muted"))))
        theme.set_role(self.state, "error" if said.state == FAILED else "muted")
        self.state.setText(self._words(said))
        self.bar.setValue(round(1000 * said.done_bytes / said.total_bytes) if said.total_bytes else 0)
        self.bar.setVisible(said.state != FINISHED)
        self.pause.setVisible(said.state == RUNNING)
        self.token.setVisible(said.state == FAILED and said.lacks in TAKES_TOKEN)
        self.resume.setVisible(said.state in (PAUSED, FAILED, INTERRUPTED))
        self.show_model.setVisible(said.state == FINISHED)
        ended = said.state == FINISHED
        self.cancel.setText(self.tr("Clear") if ended else self.tr("Cancel"))
        kept, gone = (
            self.tr("Take it out of this list; the model stays."),
            self.tr("End it and remove what was fetched of it."),
        )
        self.cancel.setToolTip(kept if ended else gone)
        self.cancel.setAccessibleName(f"{self.cancel.text()}: {said.name}")

    def _words(self, said: Progress) -> str:
        done = self.tr("%s of %s") % (bytes_text(said.done_bytes), bytes_text(said.total_bytes))
        if said.state == RUNNING:
            if said.note:
                return f"{done} · {said.note}"
            parts = [done if said.total_bytes else self.tr("starting…")]
            if said.bytes_per_second:
                parts.append(self.tr("%s a second") % bytes_text(round(said.bytes_per_second)))
            if said.seconds_left is not None:
                parts.append(self.tr("%s left") % duration_text(said.seconds_left))
            return " · ".join(parts)
        return {
            PAUSED: self.tr("Paused at %s.") % done,
            FINISHED: self.tr("Here, %s, every file checked against the Hub's sum.") % bytes_text(said.total_bytes),
            INTERRUPTED: self.tr("It was cut off at %s. What was fetched is kept.") % done,
            FAILED: trouble_words(said.error, said.way_out, said.lacks),
        }.get(said.state, said.state)

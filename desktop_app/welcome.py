"""The first page of the first start: distill the sample, open a model folder, or read what this is. It imports little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of
from desktop_app.icons import icon
from desktop_app.models.dropped import Dropped, refusal_words
from desktop_app.page import Page
from desktop_app.sign import Sign
from desktop_app.work import in_background

WIDTH = 560  # px, of the column


class WelcomePage(Page):
    """Says what somebody wants; whoever made it acts. `say()` shows an answer that keeps the page open."""

    name = "welcome"

    sample_wanted = Signal()
    folder_wanted = Signal(object)  # Path

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.setAcceptDrops(True)
        self.sample = button(self.tr("Distill the sample"), "distill", "primary")
        self.folder = button(self.tr("Open a model folder…"), "folder_open")
        self.what = button(self.tr("What is this?"), "help", "quiet")
        self.skip = button(self.tr("Straight to the workbench"), "", "quiet")
        self.what.setCheckable(True)
        self.answer = parts.words("warning")
        self.answer.hide()
        self.explanation = QFrame()
        self.explanation.hide()
        self._lay_out()
        self.sample.clicked.connect(self.sample_wanted)
        self.folder.clicked.connect(self._ask_folder)
        self.what.toggled.connect(self._explain)
        self.skip.clicked.connect(self._skip)

    def _lay_out(self) -> None:
        column = QWidget()
        column.setMaximumWidth(WIDTH)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 4 * theme.SPACE, 0, 4 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        title = parts.words("display", self.tr("Welcome to Stillroom"))
        layout.addStretch(1)
        layout.addWidget(_Still(), alignment=Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(title)
        layout.addWidget(
            parts.words("muted", self.tr("Distill a small language model from a larger one, on this machine."))
        )
        layout.addSpacing(theme.SPACE)
        layout.addWidget(
            self._choice(
                self.sample,
                self.tr(
                    "A built-in teacher, generated stories, a student of 40 % of its size. A few minutes on a CPU, no download."
                ),
            )
        )
        layout.addWidget(
            self._choice(
                self.folder,
                self.tr(
                    "A folder with config.json and .safetensors files becomes your teacher. Or drop it anywhere here."
                ),
            )
        )
        layout.addWidget(self.answer)
        layout.addWidget(parts.line(self.what, self.skip))
        layout.addWidget(self.explanation)
        layout.addStretch(2)
        note = QHBoxLayout()
        note.setSpacing(theme.SPACE)
        note.addWidget(Sign(icon("private", "muted")), alignment=Qt.AlignmentFlag.AlignTop)
        note.addWidget(
            parts.words(
                "small",
                self.tr("Nothing leaves this machine: no account, no telemetry, no download that you did not ask for."),
            ),
            1,
        )
        layout.addLayout(note)
        content = QWidget()
        sides = QHBoxLayout(content)
        sides.setContentsMargins(3 * theme.SPACE, 0, 3 * theme.SPACE, 0)
        sides.addStretch(1)
        sides.addWidget(column, 1000)
        sides.addStretch(1)
        self.scroller = parts.fill_scrolling(self, content)
        self.setFocusProxy(self.sample)

    def _choice(self, press: QWidget, words: str) -> QWidget:
        """A button with what comes of it underneath."""
        frame = QFrame()
        theme.set_role(frame, "card")
        layout = QVBoxLayout(frame)
        layout.setContentsMargins(2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(press, alignment=Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(parts.words("muted", words))
        press.setAccessibleDescription(words)
        return frame

    def opened(self, **what: Any) -> None:
        self.say("")

    def _skip(self) -> None:
        self.context.settings.greeted = True
        self.context.open("plan")

    def say(self, words: str) -> None:
        """Answer in place: what was dropped is no model, say. Nothing takes it back."""
        self.answer.setText(words)
        self.answer.setVisible(bool(words))

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Open a model folder"))
        if chosen:
            self.say("")
            in_background(self, lambda: _look_at(Path(chosen)), self._take)

    def _explain(self, wanted: bool) -> None:
        if wanted and self.explanation.layout() is None:
            self._write_explanation()
        self.explanation.setVisible(wanted)
        if wanted:  # after the layout has made room for it
            QTimer.singleShot(0, self, lambda: self.scroller.ensureWidgetVisible(self.explanation, 0, 2 * theme.SPACE))
        self.what.setIcon(icon("down" if wanted else "help", "accent"))

    def _write_explanation(self) -> None:
        from core.law import LAW_SOURCE

        layout = QVBoxLayout(self.explanation)
        layout.setContentsMargins(2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        theme.set_role(self.explanation, "card")
        words = (
            self.tr(
                "A teacher, the larger model, reads text and says at each place how likely every next token is. "
                "A student, cut from it or built anew, learns to say the same. It is smaller and quicker, and better "
                "than if it had read the text alone."
            ),
            self.tr(
                "Which teacher? A study finds the best one about 2.5 times its student: a larger one is "
                "harder to follow, a smaller one knows too little. Stillroom draws this law for your models, and says "
                "where it stops being sure."
            ),
        )
        layout.addWidget(Picture())
        for paragraph in words:
            layout.addWidget(parts.words(None, paragraph))
        layout.addWidget(parts.words("small", LAW_SOURCE))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        paths = paths_of(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.say("")
            in_background(self, lambda: _look_at(paths[0]), self._take)

    def _take(self, found: Dropped) -> None:
        """Open a model; show several where they can be chosen from; of anything else say what it is."""
        if len(found.models) == 1:
            self.folder_wanted.emit(found.models[0])
        elif found.models:
            self.context.settings.greeted = True
            self.context.open("models", dropped=(found.path,))
        else:
            self.say(refusal_words(found))


class Picture(QWidget):
    """A teacher, an arrow, a student: layers as bars, the likelihoods that flow between them."""

    TEACHER = (6, 120.0)  # layers, their width
    STUDENT = (4, 64.0)

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(132)
        self.setAccessibleName(self.tr("A large teacher, an arrow, a small student"))

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(WIDTH - 64, 132)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle, floor = self.width() / 2, self.height() - 24.0
        mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        toward = -1.0 if mirrored else 1.0
        self._stack(
            painter, middle - toward * 140, floor, self.TEACHER, "teacher", self.tr("Teacher, 2.5 times the size")
        )
        self._stack(painter, middle + toward * 140, floor, self.STUDENT, "accent", self.tr("Student"))
        self._flow(painter, middle, floor - 46, toward)
        painter.end()

    def _stack(
        self, painter: QPainter, centre: float, floor: float, shape: tuple[int, float], colour: str, words: str
    ) -> None:
        layers, width = shape
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour(colour))
        for layer in range(layers):
            top = floor - 14 - layer * 16
            painter.drawRoundedRect(QRectF(centre - width / 2, top, width, 11), 3, 3)
        painter.setPen(theme.colour("muted"))
        place = QRectF(centre - 110, floor + 2, 220, 20)
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, words)

    def _flow(self, painter: QPainter, middle: float, height: float, toward: float) -> None:
        """Bars of likelihood over an arrow."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("band"))
        for at, tall in enumerate((9.0, 26.0, 14.0, 6.0, 3.0)):
            painter.drawRoundedRect(QRectF(middle - 24 + at * 10, height - 8 - tall, 7, tall), 1.5, 1.5)
        painter.setPen(QPen(theme.colour("muted"), 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        start, end = QPointF(middle - toward * 44, height), QPointF(middle + toward * 44, height)
        painter.drawLine(start, end)
        for side in (-5.0, 5.0):
            painter.drawLine(end, end + QPointF(-toward * 7, side))


class _Still(QWidget):
    """The application's icon."""

    def __init__(self) -> None:
        super().__init__()
        from PySide6.QtGui import QIcon

        import resources

        self._icon = QIcon(str(Path(resources.__path__[0]) / "icon" / "stillroom.svg"))
        self.setFixedSize(72, 72)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        self._icon.paint(painter, self.rect())
        painter.end()


def _look_at(path: Path) -> Dropped:
    from desktop_app.models.dropped import look_at

    return look_at(path)

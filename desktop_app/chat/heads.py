"""The models at the top, one over each column: name, colour, how far it is loaded, how much of its context is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QHideEvent, QPainter, QPaintEvent, QPen, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from core.chat import Mode, Sampling
from core.numbers import count_text
from desktop_app import theme
from desktop_app.forms import parts
from desktop_app.forms.field import Elided
from desktop_app.icons import icon

STARTING, WAITING = (
    "starting",
    "waiting",
)  # what keeps a model from being loaded: the engine itself, the others before it
NARROW = 208  # px: below this a head keeps its room for the name, and its menu has the rest
BUSY_MS = 40  # of the bar that can't tell how far
BUSY_ROUND = 48  # steps from one end to the other


@dataclass
class Member:
    """A column: a model that talks, as far as it is known, and how it is asked."""

    column: str
    folder: str
    handle: str
    name: str
    parameters: int | None = None
    series: int = 0  # its colour among those of models, where it is no teacher
    part: str = ""  # teacher, student or nothing
    mode: Mode = "auto"
    draft: str = ""  # folder of the student that drafts
    adapters: dict[str, float] = field(default_factory=dict)
    # what the engine told
    loading: str = ""
    share: float | None = None
    loaded: bool = False
    failure: str = ""
    template: str | None = None
    framing: str = ""
    precision: str = ""
    device: str = ""
    context: int | None = None
    used: int = 0
    suggested: Sampling | None = None

    @property
    def colour(self) -> str:
        """Of the theme that is on screen now."""
        return theme.colours().teacher if self.part == "teacher" else theme.series_colour(self.series)

    @property
    def raw(self) -> bool:
        """Whether texts are run on, without a chat template."""
        return self.mode == "raw" or (self.mode == "auto" and self.loaded and self.template is None)


class Bar(QWidget):
    """A thin bar: how far, how much is used, or that something is done whose end can't be told. The words for it stand beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(4)
        self._share: float | None = None
        self._role = "accent"
        self._step = 0
        self._busy = False
        self._timer = QTimer(self, interval=BUSY_MS)
        self._timer.timeout.connect(self._move)

    def show_share(self, share: float | None, role: str, *, busy: bool = False) -> None:
        self._share, self._role, self._busy = share, role, busy
        self._look()
        self.update()

    def _look(self) -> None:
        """It moves only where it is seen."""
        wanted = self._busy and self.isVisible()
        if wanted != self._timer.isActive():
            (self._timer.start if wanted else self._timer.stop)()

    def _move(self) -> None:
        self._step = (self._step + 1) % BUSY_ROUND
        self.update()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self._look()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        super().hideEvent(event)
        self._timer.stop()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(80, 4)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("line"))
        whole = QRectF(self.rect())
        painter.drawRoundedRect(whole, 2, 2)
        begin, share = (self._step / BUSY_ROUND * 1.3 - 0.3, 0.3) if self._busy else (0.0, self._share or 0.0)
        if share:
            width = max(4.0, whole.width() * min(1.0, share))
            at = whole.width() * begin
            at = whole.width() - width - at if self.layoutDirection() == Qt.LayoutDirection.RightToLeft else at
            painter.setBrush(theme.colour(self._role))
            painter.drawRoundedRect(QRectF(at, 0, width, whole.height()).intersected(whole), 2, 2)


class Dot(QWidget):
    """A model's colour; a teacher's is a ring, so that colour alone tells nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(12, 12)
        self._colour: Callable[[], str] = lambda: theme.colours().muted
        self._ring = False

    def show_colour(self, colour: Callable[[], str], *, ring: bool) -> None:
        """`colour` is asked at each painting, for the theme that is on screen then."""
        self._colour, self._ring = colour, ring
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(self._colour())
        painter.setPen(QPen(colour, 2.5) if self._ring else Qt.PenStyle.NoPen)
        painter.setBrush(Qt.BrushStyle.NoBrush if self._ring else colour)
        painter.drawEllipse(QRectF(2, 2, 8, 8))


class Head(QFrame):
    """One model's head. In a blind comparison it has a letter for a name."""

    removed = Signal(str)  # column
    menu_wanted = Signal(str, object)  # column, the button

    def __init__(self, member: Member) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.column = member.column
        self._blind = False
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.dot, self.name, self.about = Dot(), Elided(), parts.words("small")
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.bar, self.state = Bar(), parts.words("small")
        self.more, self.remove = tool("more", self.tr("What this model can do")), tool("close", self.tr("Take away"))
        self._compose()
        self.remove.clicked.connect(lambda: self.removed.emit(self.column))
        self.more.clicked.connect(lambda: self.menu_wanted.emit(self.column, self.more))

    def _compose(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(6)
        top.addWidget(self.dot)
        top.addWidget(self.name, 1)
        top.addWidget(self.more)
        top.addWidget(self.remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 6, 6, theme.SPACE)
        layout.setSpacing(2)
        layout.addLayout(top)
        lower = QVBoxLayout()
        lower.setContentsMargins(0, 0, 6, 0)
        lower.setSpacing(4)
        lower.addWidget(self.about)
        lower.addWidget(self.bar)
        lower.addWidget(self.state)
        lower.addStretch(1)
        layout.addLayout(lower)

    def show_member(self, member: Member, letter: str = "") -> None:
        """Show the model as it is now; with a letter, nothing that tells which one it is."""
        blind = self._blind = bool(letter)
        name = self.tr("Model %s") % letter if blind else member.name
        self.name.set_text(name)
        self.setAccessibleName(name)
        self.dot.show_colour(
            lambda: theme.colours().muted if blind else member.colour, ring=member.part == "teacher" and not blind
        )
        self.about.setText(self.tr("The name is hidden until you vote") if blind else self._about(member))
        words, share, role = self._state(member, blind=blind)
        self.state.setText(words)
        theme.set_role(self.state, "error" if role == "error" else "small")
        self.bar.show_share(share, role, busy=member.loading == STARTING)
        self.more.setVisible(not blind)
        self._make_room()

    def _make_room(self) -> None:
        """The menu takes models away too: in a narrow head its name goes first."""
        self.remove.setVisible(not self._blind and self.width() >= NARROW)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        self._make_room()

    def _about(self, member: Member) -> str:
        part = {"teacher": self.tr("teacher"), "student": self.tr("student")}.get(member.part, "")
        size = self.tr("%s parameters") % count_text(member.parameters) if member.parameters else ""
        where = self.tr("%s on %s") % (member.precision, member.device) if member.loaded else ""
        return "\u00a0· ".join(
            text.replace(" ", "\u00a0") for text in (part, size, where) if text
        )  # broken between them

    def _state(self, member: Member, *, blind: bool) -> tuple[str, float | None, str]:
        """What is said beneath the bar, how far the bar goes, and its colour."""
        if member.failure:
            return member.failure, None, "error"
        if member.loading:
            return self._loading(member, blind=blind), member.share, "accent"
        if not member.loaded:
            return self.tr("Not in memory; loaded when you say something"), None, "muted"
        if blind or not member.context:
            return self.tr("Ready"), None, "muted"
        share = member.used / member.context
        words = self.tr("Context: %s of %s tokens") % (f"{member.used:,}", f"{member.context:,}")
        return words, share, "warning" if share > 0.85 else "muted"

    def _loading(self, member: Member, *, blind: bool) -> str:
        if member.loading == STARTING:
            return self.tr("Starting the chat engine, which takes some seconds…")
        if member.loading == WAITING:
            return self.tr("Waits until the model before it is loaded")
        how_far = "" if member.share is None else f" · {member.share:.0%}"
        return (self.tr("Loading") if blind else self.tr("Loading: %s") % member.loading) + how_far


def tool(name: str, text: str) -> QToolButton:
    """A small button of an icon alone; its words are the tool tip and the accessible name."""
    made = QToolButton()
    made.setIcon(icon(name, "muted"))
    made.setIconSize(QSize(16, 16))
    made.setAccessibleName(text)
    made.setToolTip(text)
    theme.set_role(made, "tool")
    return made


def small(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    theme.set_role(label, "small")
    return label


def weight_bytes(members: Sequence[Member]) -> int:
    """What the weights take in memory, each model once."""
    once = {member.handle: member for member in members}.values()
    return sum((member.parameters or 0) * (4 if member.precision == "float32" else 2) for member in once)

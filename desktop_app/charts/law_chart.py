"""The law of capacity gap as a picture: student size across, teacher size up, both in decades.

The page hands in a `LawState`; the chart hands back what the user picks (`teacher_chosen`, `size_chosen`) and shows it
at once, without waiting for the page. Every model at hand stands at its own height on the upright line of the student.

    python -m desktop_app.charts.law_chart
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QFont, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core import law
from desktop_app import theme
from desktop_app.charts.law_plane import LawPlane
from desktop_app.charts.law_state import LARGEST, SMALLEST, LawState, ModelDot, Spot, middle_student

__all__ = ["LawChart", "LawState", "ModelDot"]

KEY_STEP = 1.05


class LawChart(QWidget):
    """The law's chart with its read-out. Left and right arrows change the student, up and down go through the models."""

    teacher_chosen = Signal(Path)
    size_chosen = Signal(float)  # parameters of the student, three digits

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plane = LawPlane()
        self.key = QLabel()
        self.headline = QLabel()
        self.words = QLabel()
        self._state = LawState()
        self._build()
        self.plane.hovered.connect(self._read_out)
        self.plane.spot_clicked.connect(self._take_spot)
        self.plane.plane_clicked.connect(self._take_size)
        self.set_state(self._state)

    def _build(self) -> None:
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(self.tr("The law of capacity gap: teacher size against student size"))
        self.plane.setAccessibleName(self.accessibleName())
        self.headline.setWordWrap(True)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeading)
        self.key.setWordWrap(True)
        self.key.setTextFormat(Qt.TextFormat.RichText)
        theme.set_role(self.key, "small")
        theme.set_role(self.words, "muted")
        font = QFont(self.headline.font())
        font.setWeight(QFont.Weight.DemiBold)
        self.headline.setFont(theme.tabular(font))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self.plane, 1)
        layout.addWidget(self.key)
        layout.addSpacing(theme.SPACE // 2)
        layout.addWidget(self.headline)
        layout.addWidget(self.words)

    def state(self) -> LawState:
        return self._state

    def set_state(self, state: LawState) -> None:
        """Show this. Takes a few milliseconds with 200 models."""
        self._state = state
        self.plane.show_state(state)
        self.key.setText(self._key_text())
        self.key.setVisible(bool(self.key.text()))
        self._read_out(self.plane.hover)
        self.setAccessibleDescription(self._description())

    # words

    def _read_out(self, at: Spot | QPointF | None) -> None:
        """Say what is under the pointer; the chosen pair where nothing is."""
        if isinstance(at, Spot):
            headline, words = self._spot_words(at)
        elif at is not None:
            headline, words = self._plane_words(at)
        else:
            headline, words = self._pair_words()
        self.headline.setText(headline)
        self.words.setText(words)

    def _ratio_words(self, teacher: float, student: float) -> str:
        told = (law.in_words(teacher), law.in_words(student), f"{teacher / student:.3g}")
        return self.tr("%s teaches %s, %s times its size: ") % told + law.badge(teacher, student).word

    def _spot_words(self, spot: Spot) -> tuple[str, str]:
        student, teacher = 10**spot.student, 10**spot.teacher
        if spot.model is not None:
            teacher = spot.model.parameters
            student = self._state.student_params or student
        headline = self._ratio_words(teacher, student)
        if spot.kind == "published":
            told = self.tr("Published, 3B student, %s: mean of %s, in per cent. %s.")
            return headline, told % (spot.name, ", ".join(law.CURSE_BENCHMARKS), law.LAW_SOURCE)
        if spot.kind == "run":
            return headline, self.tr("Your run %s. ") % self._short(spot.name) + law.badge(teacher, student).sentence
        words = f"{self._short(spot.name)}. {law.badge(teacher, student).sentence}"
        if spot.model is not None and spot.model.same_tokenizer is False:
            words += self.tr(" It has another tokenizer than the student.")
        return headline, words

    def _plane_words(self, at: QPointF) -> tuple[str, str]:
        student, teacher = _three_digits(10 ** at.x()), _three_digits(10 ** at.y())
        size = law.in_words(self._within_range(student))
        return self._ratio_words(teacher, student), self.tr("Click to make the student %s.") % size

    def _pair_words(self) -> tuple[str, str]:
        student, teacher = self._state.student_params, self._state.teacher_dot()
        if student is None:
            return self.tr("How big shall the student be?"), self.tr("Click on the chart, or write a size.")
        if teacher is not None:
            return self._spot_words(Spot("model", teacher.name, 0, 0, teacher))
        best = law.recommend(student)
        told = tuple(law.in_words(size) for size in (student, best.teacher_params, *best.band))
        headline = self.tr("A student of %s learns best from a teacher of about %s") % told[:2]
        words = self.tr("Anywhere from %s to %s. ") % told[2:]
        if self._state.loading:
            return headline, words + self.tr("Looking for models on this machine…")
        if not self._state.models:
            return headline, words + self.tr("No model on this machine yet: open a model folder to see it here.")
        return headline, words + self.tr("Click on a dot to choose a teacher.")

    def _short(self, name: str) -> str:
        """A name that wraps with the sentence around it: a word longer than the line would be cut off."""
        return self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, max(160, self.width() // 2))

    def _description(self) -> str:
        headline, words = self._pair_words()
        models = self.tr("Models at hand: %d. ") % len(self._state.models)
        runs = self.tr("Runs of your own: %d.") % len(self._state.own_runs)
        keys = self.tr("Left and right change the student, up and down choose the teacher.")
        return f"{headline}. {words} {models}{runs} {keys}"

    def _key_text(self) -> str:
        """What the marks in sight mean; own runs out of sight are told."""
        spots, models, frame = self.plane.spots, self._state.models, self.plane.frame()
        entries = []
        if any(dot.same_tokenizer is not False for dot in models):
            entries.append(("●", "teacher", self.tr("model at hand")))
        if any(dot.same_tokenizer is False for dot in models):
            entries.append(("○", "teacher", self.tr("another tokenizer")))
        runs = [frame.holds(spot) for spot in spots if spot.kind == "run"]
        if runs:
            some = self.tr("your runs (%d of %d in sight)") % (sum(runs), len(runs))
            entries.append(("■", "run", self.tr("your runs") if all(runs) else some))
        if any(spot.kind == "published" and frame.holds(spot) for spot in spots):
            entries.append(("◇", "muted", self.tr("published 3B students with their score")))
        colours = {"run": theme.series_colour(1)}
        marks = [
            f'<span style="color:{colours.get(role) or theme.colour(role).name()}">{mark}</span>&nbsp;'
            + text.replace(" ", "&nbsp;")
            for mark, role, text in entries
        ]
        return " &nbsp; ".join(marks)

    # choosing

    def _take_spot(self, spot: Spot) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if spot.model is not None:
            self._choose_teacher(spot.model)

    def _take_size(self, size: float) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._choose_size(size)

    def _choose_teacher(self, dot: ModelDot) -> None:
        self.set_state(replace(self._state, teacher=dot.path, teacher_params=dot.parameters, teacher_name=dot.name))
        self.teacher_chosen.emit(dot.path)

    def _choose_size(self, size: float) -> None:
        chosen = self._within_range(_three_digits(size))
        if chosen != self._state.student_params:
            self.set_state(replace(self._state, student_params=chosen))
            self.size_chosen.emit(chosen)

    def _within_range(self, size: float) -> float:
        low, high = self._state.student_range or (SMALLEST, LARGEST)
        return min(max(size, low), high)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        self.plane.focused = True
        steps = {Qt.Key.Key_Left: 1 / KEY_STEP, Qt.Key.Key_Right: KEY_STEP}
        moves = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}
        if event.key() in steps:
            self._choose_size((self._state.student_params or middle_student(self._state)) * steps[Qt.Key(event.key())])
        elif event.key() in moves and self._state.models:
            self._next_teacher(moves[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def _next_teacher(self, move: int) -> None:
        """The next larger or smaller model; the one that fits best while none is chosen."""
        dots = self._state.by_size()
        at = next((number for number, dot in enumerate(dots) if dot.path == self._state.teacher), None)
        dot = self._state.by_fit()[0] if at is None else dots[min(max(at + move, 0), len(dots) - 1)]
        if dot.path != self._state.teacher:
            self._choose_teacher(dot)

    # the room of the read-out, the theme, the focus

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Keep room for the longest sentence, so that the chart stands still while the pointer moves."""
        super().resizeEvent(event)
        longest = max((badge.sentence for badge in law.Badge), key=len)
        box = self.words.fontMetrics().boundingRect(
            0, 0, max(self.width(), 200), 1000, Qt.TextFlag.TextWordWrap, f"stories-5M-base-model. {longest}"
        )
        self.words.setMinimumHeight(box.height() + 2)
        self._read_out(self.plane.hover)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.plane.dress()
            self.key.setText(self._key_text())

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusInEvent(event)
        silent = (Qt.FocusReason.MouseFocusReason, Qt.FocusReason.ActiveWindowFocusReason)
        self.plane.focused = event.reason() not in silent
        self.plane.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802
        super().focusOutEvent(event)
        self.plane.focused = False
        self.plane.viewport().update()


def _three_digits(size: float) -> float:
    return float(f"{size:.3g}")


if __name__ == "__main__":
    from PySide6.QtWidgets import QApplication

    app = QApplication([])
    theme.apply(app, "system")
    chart = LawChart()
    sizes = {"stories-1M": 1.2e6, "stories-3M": 3.1e6, "stories-5M": 5e6, "stories-12M": 12e6}
    dots = tuple(ModelDot(name, Path(name), size, name != "stories-12M") for name, size in sizes.items())
    chart.set_state(LawState(2e6, teacher=Path("stories-5M"), models=dots, own_runs=((1.5e6, 3.1e6, "first try"),)))
    chart.size_chosen.connect(lambda size: print("student", law.in_words(size)))
    chart.teacher_chosen.connect(lambda path: print("teacher", path))
    chart.resize(640, 520)
    chart.show()
    app.exec()

"""How the next token is chosen: presets, and the dials under them."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.chat import PRESETS, Sampling
from core.errors import Trouble
from desktop_app import theme
from desktop_app.forms import Choice, Field, MoreSettings

OWN, AUTHOR = "own", "author"
MARGINS = (6, 0, 6, 0)  # px: a number stands as far from its frame as other text does
HELP: dict[str, str] = {name: field.description or "" for name, field in Sampling.model_fields.items()}


class Dial(QWidget):
    """A number by slider and by hand."""

    changed = Signal(float)

    def __init__(self, low: float, high: float, step: float, digits: int = 2) -> None:
        super().__init__()
        self.slider, self.number = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self._step = step
        self.number.setDecimals(digits)
        self.number.setRange(low, high)
        self.number.setSingleStep(step)
        self.number.setFixedWidth(76)
        self.number.lineEdit().setTextMargins(*MARGINS)
        self.number.setFont(theme.tabular(self.number.font()))
        self.slider.setRange(round(low / step), round(high / step))
        self.slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        row.addWidget(self.slider, 1)
        row.addWidget(self.number)
        self.setFocusProxy(self.number)
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)

    def setAccessibleName(self, name: str) -> None:  # noqa: N802
        super().setAccessibleName(name)
        self.slider.setAccessibleName(name)
        self.number.setAccessibleName(name)

    def value(self) -> float:
        return self.number.value()

    def set_value(self, value: float) -> None:
        """Show a number; `changed` is for the user's own."""
        for one in (self.slider, self.number):
            one.blockSignals(True)
        self.number.setValue(value)
        self.slider.setValue(round(value / self._step))
        for one in (self.slider, self.number):
            one.blockSignals(False)

    def _slid(self, at: int) -> None:
        self.set_value(at * self._step)
        self.changed.emit(self.value())

    def _typed(self, value: float) -> None:
        self.set_value(value)
        self.changed.emit(value)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(200, 32)


class SamplingForm(QWidget):
    """`changed` carries a Sampling, whether a preset was chosen or a dial moved."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._suggested: Sampling | None = None
        self.temperature = Dial(0, 2, 0.05)
        self.top_p = Dial(0.05, 1, 0.05)
        self.min_p = Dial(0, 0.5, 0.01)
        self.repetition_penalty = Dial(1, 2, 0.05)
        self.top_k, self.length, self.seed, self.stop = _whole(0, 1000), _whole(1, 32768), QLineEdit(), QLineEdit()
        self.top_k.setSpecialValueText(self.tr("all"))
        self.length.setSingleStep(64)
        self.seed.setPlaceholderText(self.tr("a new one each time"))
        self.stop.setPlaceholderText(self.tr("none; several with | between"))
        more = QWidget()
        rest = QVBoxLayout(more)
        rest.setContentsMargins(0, 0, 0, 0)
        rest.setSpacing(12)
        self.fields = {
            "temperature": Field(self.tr("Temperature"), self.temperature, HELP["temperature"]),
            "top_p": Field(self.tr("Top-p"), self.top_p, HELP["top_p"]),
            "max_new_tokens": Field(self.tr("Longest answer, tokens"), self.length),
            "min_p": Field(self.tr("Min-p"), self.min_p, HELP["min_p"]),
            "top_k": Field(self.tr("Top-k"), self.top_k, HELP["top_k"]),
            "repetition_penalty": Field(
                self.tr("Repetition penalty"), self.repetition_penalty, HELP["repetition_penalty"]
            ),
            "seed": Field(self.tr("Seed"), self.seed, HELP["seed"]),
            "stop": Field(self.tr("Stop at"), self.stop, HELP["stop"]),
        }
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for at, field in enumerate(self.fields.values()):
            (layout if at < 3 else rest).addWidget(field)
        self.more = MoreSettings(more, self.tr("More dials"))
        layout.addWidget(self.more)
        self._connect()
        self.set_sampling(Sampling())

    def _connect(self) -> None:
        for dial in (self.temperature, self.top_p, self.min_p, self.repetition_penalty):
            dial.changed.connect(lambda _: self._say())
        for number in (self.top_k, self.length):
            number.valueChanged.connect(lambda _: self._say())
        for line in (self.seed, self.stop):
            line.textEdited.connect(lambda _: self._say())

    def sampling(self) -> Sampling | None:
        """The settings, or None while they can't be read; the problem stands beside the field."""
        from core.chat import sampling_of

        text = self.seed.text().strip()
        try:
            seed = int(text) if text else None
            found = sampling_of(
                temperature=round(self.temperature.value(), 4),
                top_p=round(self.top_p.value(), 4),
                top_k=self.top_k.value(),
                min_p=round(self.min_p.value(), 4),
                repetition_penalty=round(self.repetition_penalty.value(), 4),
                seed=seed,
                max_new_tokens=self.length.value(),
                stop=tuple(part for part in self.stop.text().split("|") if part),
            )
        except ValueError:
            self.fields["seed"].set_problem(self.tr("%s is no whole number.") % text)
            return None
        except Trouble as trouble:
            self.fields["seed"].set_problem(str(trouble))
            return None
        self.fields["seed"].set_problem("")
        return found

    def set_sampling(self, sampling: Sampling) -> None:
        """Show these settings; `changed` is for the user's own."""
        self.temperature.set_value(sampling.temperature)
        self.top_p.set_value(sampling.top_p)
        self.min_p.set_value(sampling.min_p)
        self.repetition_penalty.set_value(sampling.repetition_penalty)
        for number, value in ((self.top_k, sampling.top_k), (self.length, sampling.max_new_tokens)):
            number.blockSignals(True)
            number.setValue(value)
            number.blockSignals(False)
        self.seed.setText("" if sampling.seed is None else str(sampling.seed))
        self.stop.setText("|".join(sampling.stop))

    def _say(self) -> None:
        if (found := self.sampling()) is not None:
            self.changed.emit(found)


class PresetChoice(Choice):
    """The presets by name; `picked` carries a Sampling. Length, seed and stop texts stay as they are."""

    picked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._suggested: Sampling | None = None
        self._now = Sampling()
        self.setAccessibleName(self.tr("Sampling preset"))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setMinimumContentsLength(14)
        self.chosen.connect(self._take)
        self._offer()

    def show_sampling(self, sampling: Sampling) -> None:
        """Show which preset these settings are, if they are one."""
        self._now = sampling
        self._offer()

    def suggest(self, sampling: Sampling | None) -> None:
        """Offer what the model's author recommends."""
        if sampling != self._suggested:
            self._suggested = sampling
            self._offer()

    def _offer(self) -> None:
        names = {
            "greedy": self.tr("Greedy"),
            "precise": self.tr("Precise"),
            "balanced": self.tr("Balanced"),
            "creative": self.tr("Creative"),
            "pure": self.tr("Pure"),
        }
        found = [(name, names.get(name, name.capitalize())) for name in PRESETS]
        if self._suggested is not None:
            found.append((AUTHOR, self.tr("As its author says")))
        current = self._current()
        if current == OWN:
            found.append((OWN, self.tr("Your own")))
        self.set_options(found)
        self.choose(current)
        words = {name: text for name, (_, text) in PRESETS.items()}
        for at in range(self.count()):
            self.setItemData(at, words.get(str(self.itemData(at)), ""), Qt.ItemDataRole.ToolTipRole)
        self.setToolTip(self.tr("Sampling: %s") % words.get(current, self.tr("your own dials")))

    def _current(self) -> str:
        for name, (preset, _) in PRESETS.items():
            if _same(self._now, preset):
                return name
        if self._suggested is not None and _same(self._now, self._suggested):
            return AUTHOR
        return OWN

    def _take(self, name: object) -> None:
        preset = self._suggested if name == AUTHOR else PRESETS[str(name)][0] if name in PRESETS else None
        if preset is not None:
            kept = {one: getattr(self._now, one) for one in ("seed", "max_new_tokens", "stop")}
            self._now = preset.model_copy(update=kept)
            self._offer()
            self.picked.emit(self._now)


def _same(one: Sampling, other: Sampling) -> bool:
    what = {"temperature", "top_p", "top_k", "min_p", "repetition_penalty"}
    return one.model_dump(include=what) == other.model_dump(include=what)


def _whole(low: int, high: int) -> QSpinBox:
    made = QSpinBox()
    made.setRange(low, high)
    made.lineEdit().setTextMargins(*MARGINS)
    made.setFont(theme.tabular(made.font()))
    return made

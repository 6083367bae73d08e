"""One model in full: sizes, shape, tokenizer, scores, lineage, runs and files. It shows; the page acts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStyle,
    QStyleOptionButton,
    QVBoxLayout,
    QWidget,
)

from core.library import Ancestor
from core.models import ModelInfo
from core.numbers import bytes_text, count_text
from core.shapes import Shape
from desktop_app import theme
from desktop_app.charts.shape_drawing import ShapeDrawing
from desktop_app.commands import Command
from desktop_app.forms import parts
from desktop_app.forms.field import Elided, button, card
from desktop_app.icons import icon, state_icon
from desktop_app.models.facts import Facts, RunPart
from desktop_app.models.table import Family, Row, architecture_text, paint_family, source_word
from desktop_app.sign import Sign

FILES_SHOWN = 12
SPECIALS_SHOWN = 8
RUNS_SHOWN = 12
Pairs = list[tuple[str, str]]  # what, and how much


class Detail(QScrollArea):
    """`show_row` at once, `show_facts` when they come. Signals name what somebody clicked.

    The cards stay and get other words: making a hundred labels anew for each pick would be felt.
    """

    model_wanted = Signal(object)  # Path
    run_wanted = Signal(str)

    def __init__(self, first: Sequence[Command], second: Sequence[Command]) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(336)
        self.setAccessibleName(self.tr("The picked model"))
        self._row: Row | None = None
        self._facts: Facts | None = None
        self._rows: Sequence[Row] = ()
        self._commands = [*first, *second]
        self.buttons = [_command_button(one, "primary" if at == 0 else None) for at, one in enumerate(first)]
        self.buttons += [_command_button(one, "quiet") for one in second]
        self.name, self.place = parts.words("title"), Elided()
        theme.set_role(self.place, "small")
        self._broken, self._problems = parts.words(None), parts.words(None)
        self._sizes, self._shape, self._scores = _Grid(), _Grid(), _Grid()
        self._tokenizer, self._files = _Grid(), _Grid(turned=True)
        self._adapter, self._base_words, self._base_links = _Grid(), parts.words(None), _Lines()
        self._drawing = ShapeDrawing()
        self._family, self._no_tokenizer = _FamilyMark(), parts.words("muted")
        self._runs, self._lineage = _Lines(), _Lines()
        self._more_files, self._looking_up = parts.words("small"), parts.words("muted")
        self._make_cards()
        self._lay_out(len(first))

    def _make_cards(self) -> None:
        held_out = parts.words("small", self.tr("On the held-out text of the run that made it."))
        self._broken_card = card(_marked("error", self._broken), title=self.tr("It can't be used"))
        self._problems_card = card(_marked("warning", self._problems), title=self.tr("Mind"))
        self._sizes_card = card(self._sizes, title=self.tr("Size"))
        self._shape_card = card(self._drawing, self._shape, title=self.tr("Shape"))
        tokenizer = (self._no_tokenizer, self._family, self._tokenizer)
        self._tokenizer_card = card(*tokenizer, title=self.tr("Tokenizer"))
        self._base_sign = Sign(size=18)
        self._adapter_card = card(
            self._adapter, _beside(self._base_sign, self._base_words), self._base_links, title=self.tr("Adapter")
        )
        self._scores_card = card(self._scores, held_out, title=self.tr("Scores"))
        self._runs_card = card(self._runs, title=self.tr("Runs"))
        self._lineage_card = card(self._lineage, title=self.tr("Lineage"))
        self._files_card = card(self._files, self._more_files, title=self.tr("Files"))
        self._about = [self._broken_card, self._problems_card, self._sizes_card, self._shape_card]
        self._about += [self._tokenizer_card, self._scores_card]
        self._found = [self._adapter_card, self._runs_card, self._lineage_card, self._files_card]

    def _lay_out(self, first: int) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(theme.SPACE, 0, theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.name)
        layout.addWidget(self.place)
        layout.addSpacing(4)
        uses = QHBoxLayout()
        uses.setSpacing(theme.SPACE)
        for one in self.buttons[:first]:
            uses.addWidget(one)
        uses.addStretch(1)
        layout.addLayout(uses)
        rest = QGridLayout()  # two beside each other, so that longer words of another language have room
        rest.setSpacing(0)
        rest.setColumnStretch(2, 1)
        for at, one in enumerate(self.buttons[first:]):
            rest.addWidget(one, at // 2, at % 2, Qt.AlignmentFlag.AlignLeading)
        layout.addLayout(rest)
        cards = QVBoxLayout()
        cards.setSpacing(2 * theme.SPACE)
        for part in (*self._about, self._looking_up, *self._found):
            cards.addWidget(part)
        layout.addSpacing(theme.SPACE)
        layout.addLayout(cards)
        layout.addStretch(1)
        self.setWidget(content)

    def show_row(self, row: Row, rows: Sequence[Row]) -> None:
        """Show what the library knows; what has to be looked up follows with `show_facts`."""
        if self._row == row and self._rows == rows:
            return
        same = self._row is not None and self._row.entry.path == row.entry.path
        self._row, self._rows = row, list(rows)
        self.name.setText(row.entry.name)
        self.place.set_text(str(row.entry.path))
        self._say_what_is_known(row)
        if not same:
            self._facts = None
            for part in self._found:
                part.hide()
            theme.set_role(self._looking_up, "muted")
            self._looking_up.setText(self.tr("Looking up its files, lineage and runs…"))
            self._looking_up.show()
            self.verticalScrollBar().setValue(0)
        self.look_at_commands()

    def show_facts(self, facts: Facts) -> None:
        if self._row is None or facts.path != self._row.entry.path or facts == self._facts:
            return
        self._facts = facts
        self._looking_up.hide()
        self._say_runs(facts)
        self._say_lineage(facts)
        self._say_adapter(facts)
        self._say_files(facts)
        self.look_at_commands()

    def show_trouble(self, text: str) -> None:
        """What had to be looked up could not be."""
        theme.set_role(self._looking_up, "error")
        self._looking_up.setText(text)
        self._looking_up.show()

    def look_at_commands(self) -> None:
        """A button that can't do its work now says why."""
        for one, command in zip(self.buttons, self._commands, strict=True):
            why_not = command.why_not()
            one.setEnabled(not why_not)
            one.setToolTip(why_not or command.text)
            one.setAccessibleDescription(why_not)
            if command.words is not None:
                one.setText(command.words())

    # --- from the library ---------------------------------------------------------------------------------------------

    def _say_what_is_known(self, row: Row) -> None:
        info = row.entry.info
        self._broken.setText(row.entry.broken or "")
        self._broken_card.setVisible(info is None)
        for part in (self._sizes_card, self._tokenizer_card):
            part.setVisible(info is not None)
        self._problems_card.setVisible(bool(info and info.problems))
        self._shape_card.setVisible(bool(info and info.shape))
        self._scores_card.setVisible(self._say_scores(row))
        if info is None:
            return
        self._problems.setText("\n".join(info.problems))
        self._sizes.set_facts(self._size_facts(row, info))
        if info.shape is not None:
            self._drawing.set_shapes(None, info.shape)
            self._shape.set_facts(self._shape_facts(info.shape))
        self._say_tokenizer(row, info)

    def _size_facts(self, row: Row, info: ModelInfo) -> Pairs:
        share = info.non_embedding_parameters / info.parameters if info.parameters else 0.0
        kinds = "/".join(info.dtypes) or self.tr("unknown precision")
        facts = [
            (self.tr("Parameters"), f"{count_text(info.parameters)}  ({info.parameters:,})"),
            (self.tr("Without embeddings"), f"{count_text(info.non_embedding_parameters)}  ({share:.0%})"),
            (self.tr("Weights"), self.tr("%s, %s") % (bytes_text(info.size_bytes), kinds)),
            (self.tr("Architecture"), architecture_text(row.entry)),
        ]
        if info.quantization:
            facts.append((self.tr("Quantized"), info.quantization))
        if info.context:
            facts.append((self.tr("Context"), self.tr("%s tokens") % f"{info.context:,}"))
        if info.base_model:
            base = Path(info.base_model)  # or the name of a model of the Hub
            facts.append((self.tr("Adapter of"), base.name if base.is_absolute() else info.base_model))
        return [*facts, (self.tr("Source"), source_word(row.source) or self.tr("unknown"))]

    def _shape_facts(self, shape: Shape) -> Pairs:
        heads = self.tr("%d of %d") % (shape.heads, shape.head_dim)
        if shape.kv_heads != shape.heads:
            heads = self.tr("%s, %d for keys and values") % (heads, shape.kv_heads)
        return [
            (self.tr("Layers"), str(shape.layers)),
            (self.tr("Width"), f"{shape.hidden:,}"),
            (self.tr("Heads"), heads),
            (self.tr("Neurons a layer"), f"{shape.intermediate:,}"),
            (self.tr("Vocabulary"), f"{shape.vocabulary:,}"),
            (self.tr("Output layer"), self.tr("shared with the embedding") if shape.tied else self.tr("of its own")),
        ]

    def _say_tokenizer(self, row: Row, info: ModelInfo) -> None:
        mark = info.tokenizer
        known = mark.fingerprint is not None and row.family is not None
        self._no_tokenizer.setVisible(not known)
        self._family.setVisible(known)
        self._tokenizer.setVisible(known)
        if mark.fingerprint is None or row.family is None:
            self._no_tokenizer.setText(self.tr("Unknown: %s.") % (mark.unknown_because or self.tr("it can't be read")))
            return
        self._family.set_family(row.family, mark.fingerprint[:12])
        facts: Pairs = [] if mark.vocabulary is None else [(self.tr("Entries"), f"{mark.vocabulary:,}")]
        for text, token, number in (
            (self.tr("Begins with"), mark.bos, mark.bos_id),
            (self.tr("Ends with"), mark.eos, mark.eos_id),
            (self.tr("Padding"), mark.pad, mark.pad_id),
        ):
            if token is not None:
                facts.append((text, f"{token}  ({number})" if number is not None else token))
        if specials := sorted(mark.specials, key=lambda token: mark.specials[token]):
            more = self.tr(" and %d more") % (len(specials) - SPECIALS_SHOWN) if len(specials) > SPECIALS_SHOWN else ""
            facts.append((self.tr("Special tokens"), ", ".join(specials[:SPECIALS_SHOWN]) + more))
        kin = [one.entry for one in self._rows if one.family == row.family and one.entry.path != row.entry.path]
        names = ", ".join(one.name for one in kin[:5]) + (" …" if len(kin) > 5 else "")
        self._tokenizer.set_facts([*facts, (self.tr("Same as"), names or self.tr("no other model here"))])

    def _say_scores(self, row: Row) -> bool:
        """Whether there are any."""
        words = {
            "bits_per_byte": self.tr("Bits per byte"),
            "perplexity": self.tr("Perplexity"),
            "ce": self.tr("Cross-entropy, nats a token"),
            "kd": self.tr("Distance from its teacher"),
            "agreement": self.tr("Agrees with its teacher"),
        }
        lineage = row.entry.info.lineage if row.entry.info else None
        scores = {"bits_per_byte": row.bits_per_byte, **(lineage.scores if lineage else {})}
        order = [*words, *(name for name in scores if name not in words)]
        facts: Pairs = []
        for name in order:
            value = scores.get(name)
            if isinstance(value, (int, float)):
                figure = f"{value:.1%}" if name == "agreement" else f"{value:.4g}"
                facts.append((words.get(name, name.replace("_", " ")), figure))
        self._scores.set_facts(facts)
        return bool(facts)

    # --- looked up ----------------------------------------------------------------------------------------------------

    def _say_runs(self, facts: Facts) -> None:
        lines: list[QWidget] = [self._run_line(part) for part in facts.runs[:RUNS_SHOWN]]
        if not lines:
            lines.append(parts.words("muted", self.tr("It took part in no run yet.")))
        if (more := len(facts.runs) - RUNS_SHOWN) > 0:
            lines.append(parts.words("small", self.tr("and %d older ones") % more))
        self._runs.set_lines(lines)
        self._runs_card.show()

    def _run_line(self, part: RunPart) -> QWidget:
        words = {
            "teacher": self.tr("taught in it"),
            "student": self.tr("learnt in it"),
            "result": self.tr("was made by it"),
        }
        states = {
            "queued": self.tr("waiting"),
            "running": self.tr("running"),
            "stopping": self.tr("stopping"),
            "stopped": self.tr("stopped"),
            "finished": self.tr("finished"),
            "failed": self.tr("failed"),
            "crashed": self.tr("crashed"),
        }
        line = _Link(part.name, self.tr("%s, %s") % (words[part.part], states.get(part.state, part.state)))
        line.setIcon(state_icon(part.state))
        line.clicked.connect(lambda: self.run_wanted.emit(part.run))
        return line

    def _say_lineage(self, facts: Facts) -> None:
        lines = [self._ancestor_line(ancestor) for ancestor in facts.ancestors]
        if facts.made_by and not any(part.run == facts.made_by for part in facts.runs):
            gone = self.tr("Made by run %s, which is not in this data folder.") % facts.made_by
            lines.append(parts.words("muted", gone))
        for name, path in facts.students[:RUNS_SHOWN]:
            student = _Link(name, self.tr("its student"))
            student.setIcon(icon("down", "accent"))
            student.clicked.connect(partial(self.model_wanted.emit, path))
            lines.append(student)
        self._lineage.set_lines(lines)
        self._lineage_card.setVisible(bool(lines))

    def _say_adapter(self, facts: Facts) -> None:
        """What an adapter is for and whether that is there; of a model, the adapters for it."""
        adapter, whole = facts.adapter, facts.adapter is None and not facts.base_trouble
        self._adapter_card.setVisible(not whole or bool(facts.adapters))
        self._adapter.setVisible(adapter is not None)
        if adapter is not None:
            kinds = {"lora": "LoRA", "rslora": "rsLoRA", "dora": "DoRA"}
            self._adapter.set_facts(
                [
                    (self.tr("Method"), kinds[adapter.method]),
                    (self.tr("Rank, alpha"), f"{adapter.rank}, {adapter.alpha:g}"),
                    (self.tr("In the layers"), ", ".join(adapter.targets)),
                ]
            )
        level = "warning" if facts.base_trouble else "good"
        self._base_sign.set_icon(icon(level, level))
        for part in (self._base_sign, self._base_words):
            part.setVisible(not whole)
        theme.set_role(self._base_words, "warning" if facts.base_trouble else None)
        known = adapter is not None and adapter.base_fingerprint is not None
        there = self.tr("Its base is there, with the weights that it was trained on.")
        fits = self.tr("Its base is there and its layers fit. Which weights it was trained on was not written down.")
        self._base_words.setText(facts.base_trouble or (there if known else fits))
        links = [self._model_link(facts.base.name, self.tr("its base"), facts.base)] if facts.base else []
        words = self.tr("adapter for it") if whole else self.tr("adapter of the same base")
        links += [self._model_link(name, words, path) for name, path in facts.adapters[:RUNS_SHOWN]]
        self._base_links.set_lines(links)

    def _model_link(self, name: str, words: str, path: Path) -> QWidget:
        link = _Link(name, words)
        link.setIcon(icon("models", "accent"))
        link.clicked.connect(partial(self.model_wanted.emit, path))
        return link

    def _ancestor_line(self, ancestor: Ancestor) -> QWidget:
        size = count_text(ancestor.parameters) if ancestor.parameters else self.tr("unknown size")
        if not ancestor.at_hand:
            text = self.tr("Learnt from %s (%s), which is not at hand.") % (ancestor.name, size)
            return _marked("lineage", parts.words("muted", text), "muted")
        link = _Link(ancestor.name, self.tr("its teacher, %s") % size)
        link.setIcon(icon("lineage", "teacher"))
        link.clicked.connect(lambda: self.model_wanted.emit(Path(ancestor.path)))
        return link

    def _say_files(self, facts: Facts) -> None:
        shown, more = facts.files[:FILES_SHOWN], facts.files[FILES_SHOWN:]
        self._files.set_facts([(bytes_text(size), name) for name, size in shown])
        words = self.tr("%s on disk") % bytes_text(facts.size_bytes)
        if more:
            words = self.tr("and %d more; %s on disk") % (len(more), bytes_text(facts.size_bytes))
        self._more_files.setText(self.tr("The folder can't be read: %s.") % facts.unread if facts.unread else words)
        theme.set_role(self._more_files, "error" if facts.unread else "small")
        self._files_card.show()


class _Grid(QWidget):
    """Facts in two columns: what, and how much. Its labels are used again."""

    def __init__(self, *, turned: bool = False) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.SPACE)
        self._grid.setVerticalSpacing(theme.SPACE - 2)
        self._grid.setColumnStretch(1, 1)
        if not turned:
            self._grid.setColumnMinimumWidth(0, 144)
        self._turned = turned
        self._lines: list[tuple[QLabel, QLabel]] = []

    def set_facts(self, facts: Pairs) -> None:
        while len(self._lines) < len(facts):
            self._add_line()
        for at, (name, value) in enumerate(self._lines):
            there = at < len(facts)
            if there:
                name.setText(facts[at][0])
                value.setText(facts[at][1])
            name.setVisible(there)
            value.setVisible(there)

    def _add_line(self) -> None:
        row = len(self._lines)
        name, value = parts.words("muted"), parts.words(None)
        name.setWordWrap(not self._turned)
        value.setFont(theme.tabular(value.font()))
        side = Qt.AlignmentFlag.AlignTrailing if self._turned else Qt.AlignmentFlag.AlignLeading
        name.setAlignment(side | Qt.AlignmentFlag.AlignTop)
        name.setBuddy(value)
        self._grid.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.addWidget(value, row, 1)
        self._lines.append((name, value))


class _Lines(QWidget):
    """Links and sentences under each other."""

    def __init__(self) -> None:
        super().__init__()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)

    def set_lines(self, lines: Sequence[QWidget]) -> None:
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for line in lines:
            self._layout.addWidget(line)


class _Link(QPushButton):
    """A line that leads somewhere: a name, and in muted words what it is."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__()
        self._name, self._words = name, words
        self.setAccessibleName(f"{name}, {words}")
        self.setToolTip(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setIconSize(QSize(18, 18))
        self.setMinimumHeight(44)
        theme.set_role(self, "quiet")

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(160, 44)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(80, 44)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        shown = self.icon()
        option = QStyleOptionButton()
        self.initStyleOption(option)
        option.icon = QIcon()  # the style paints the frame only; where the icon goes is ours
        painter = QPainter(self)
        self.style().drawControl(QStyle.ControlElement.CE_PushButton, option, painter, self)
        style, area = self.style(), self.rect().adjusted(theme.SPACE, 4, -theme.SPACE, -4)
        mark = QRect(area.left(), area.center().y() - 9, 18, 18)
        shown.paint(painter, style.visualRect(self.layoutDirection(), area, mark))
        words = style.visualRect(self.layoutDirection(), area, area.adjusted(28, 0, 0, 0))
        half = words.height() // 2
        self._line(painter, words.adjusted(0, 0, 0, -half), self._name, theme.BODY, "ink")
        self._line(painter, words.adjusted(0, half, 0, 0), self._words, theme.SMALL, "muted")
        painter.end()

    def _line(self, painter: QPainter, area: QRect, text: str, size: int, colour: str) -> None:
        font = self.font()
        font.setPixelSize(size)
        painter.setFont(font)
        painter.setPen(theme.colour(colour))
        side = self.style().visualAlignment(
            self.layoutDirection(), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, area.width())
        painter.drawText(area, side, elided)


class _FamilyMark(QWidget):
    """The dot of a tokenizer's family with its fingerprint."""

    def __init__(self) -> None:
        super().__init__()
        self._family = Family(0)
        self._label = parts.words("mono")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(30, 0, 0, 0)
        layout.addWidget(self._label)
        self.setMinimumHeight(24)

    def set_family(self, family: Family, fingerprint: str) -> None:
        self._family = family
        self._label.setText(fingerprint)
        self.setAccessibleName(self.tr("Family %s, fingerprint %s") % (family.letter, fingerprint))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        square = QRect(0, (self.height() - 22) // 2, 22, 22)
        paint_family(painter, self.style().visualRect(self.layoutDirection(), self.rect(), square), self._family)
        painter.end()


def _command_button(command: Command, role: theme.Role | None) -> QPushButton:
    made = button(command.text, command.icon, role)
    assert isinstance(made, QPushButton)
    made.clicked.connect(command.run)
    return made


def _beside(sign: Sign, words: QLabel) -> QWidget:
    line = QFrame()
    layout = QHBoxLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE)
    layout.addWidget(sign, alignment=Qt.AlignmentFlag.AlignTop)
    layout.addWidget(words, 1)
    return line


def _marked(icon_name: str, words: QLabel, colour: str = "") -> QWidget:
    """Words behind an icon."""
    return _beside(Sign(icon(icon_name, colour or icon_name), 18), words)

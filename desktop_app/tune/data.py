"""The data of a tuning: the files with what they were recognised as, the chat template, and a row as the model will see it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from core.templates import TEMPLATES
from desktop_app import theme
from desktop_app.data.rendered import Legend, RenderedView
from desktop_app.data.words import amount_text, container_word, format_word
from desktop_app.forms import DescribedChoice, Field, FileList, Option
from desktop_app.forms.field import button
from desktop_app.forms.parts import line, words
from desktop_app.icons import icon
from desktop_app.plan.draft import name_of_folder
from desktop_app.tune.draft import Draft
from desktop_app.tune.glimpse import File, Glimpse
from desktop_app.tune.thinking import Thought

PREVIEW_HEIGHT = 184  # px
AS_PROPOSED = ""  # of the choice of templates


class DataCard(QWidget):
    """`changed` carries the fields of the draft that the user changed; `data_page_wanted` asks for the page of all data."""

    changed = Signal(dict)
    data_page_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._at = 0
        self._glimpse = Glimpse()
        self.files = FileList(self.tr("Drop conversations, instructions, pairs or text here"))
        self.files_field = Field(self.tr("Data to learn from"), self.files)
        self.look = button(self.tr("Look at your data"), "data", "quiet")
        self.files_field.beside_label(self.look)
        self.recognised = words("small")
        self.by_hand = words("small")
        self.as_recognised = button(self.tr("Read as recognised"), "undo", "quiet")
        self.by_hand_line = line(self.by_hand, self.as_recognised)
        self.template = DescribedChoice()
        self.template_field = Field(self.tr("Chat template"), self.template)
        self.preview = RowPreview()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        for widget in (self.files_field, self.recognised, self.by_hand_line):
            layout.addWidget(widget)
        layout.addSpacing(theme.SPACE)
        layout.addWidget(self.template_field)
        layout.addSpacing(theme.SPACE)
        layout.addWidget(self.preview)
        self.files.changed.connect(self._take_files)
        self.look.clicked.connect(self.data_page_wanted)
        self.as_recognised.clicked.connect(lambda: self.changed.emit({"mapping": None}))
        self.template.chosen.connect(self._take_template)

    def fields(self) -> dict[str, Field]:
        return {"data": self.files_field, "template": self.template_field}

    def _take_files(self) -> None:
        """Columns that were named for other files say nothing of these."""
        self.changed.emit({"data": tuple(str(path) for path in self.files.paths()), "mapping": None})

    def _take_template(self, name: object) -> None:
        self.changed.emit({"template": None if name == AS_PROPOSED else name})

    def show_draft(self, draft: Draft, thought: Thought | None) -> None:
        paths = [Path(item) for item in draft.data]
        if self.files.paths() != paths:
            self.files.set_paths(paths)
        mapping = draft.value("mapping")
        self.by_hand_line.setVisible(bool(mapping))
        named = ", ".join(f"{name} = {column}" for name, column in (mapping or {}).items())
        self.by_hand.setText(self.tr("Columns named by hand: %s.") % named)
        known = thought if thought is not None and thought.draft.data == draft.data else None
        self._show_recognised(known.glimpse if known else Glimpse(), bool(draft.data))
        self._show_template(draft, thought)
        self.preview.setVisible(bool(draft.data))
        if known is not None:
            self.preview.show_glimpse(known.glimpse)
        else:
            self.preview.show_waiting()

    def _show_recognised(self, glimpse: Glimpse, chosen: bool) -> None:
        told = [self._recognised_as(file) for file in glimpse.files if not file.trouble]
        waiting = chosen and not glimpse.files
        self.recognised.setText(self.tr("Recognising the data…") if waiting else "\n".join(told))
        self.recognised.setVisible(bool(self.recognised.text()))

    def _recognised_as(self, file: File) -> str:
        found = file.recognised
        if found is None:
            return file.path.name
        name = format_word(found.format)
        parts = [
            *([] if found.format in ("text", "markdown") else [name]),
            container_word(found.container, found.compression),
            amount_text(found.kind, file.documents, exact=file.exact),
        ]
        return f"{file.path.name}: {' · '.join(parts)}"

    def _show_template(self, draft: Draft, thought: Thought | None) -> None:
        """The model's own or the proposed one first, then ours by name; each with its sentence."""
        subject = thought.subject if thought is not None else None
        proposed = thought.proposals.get("template") if thought is not None else None
        chosen = draft.value("template")
        own = subject is not None and subject.speaks
        first = Option(AS_PROPOSED, self.tr("The model's own") if own else self.tr("As proposed"))
        if not own and chosen is None and proposed is not None and proposed.value in TEMPLATES:
            title = TEMPLATES[str(proposed.value)].title
            first = Option(AS_PROPOSED, self.tr("%s (proposed)") % title, proposed.reason)
        options = [first, *(Option(name, each.title, each.advice) for name, each in TEMPLATES.items())]
        if chosen is not None and chosen not in TEMPLATES:
            options.append(Option(chosen, name_of_folder(chosen), chosen))
        self.template.describe(options)
        self.template.choose(chosen or AS_PROPOSED)
        self.template_field.set_help(self._about_template(chosen, own=own, why=proposed.reason if proposed else ""))

    def _about_template(self, chosen: str | None, *, own: bool, why: str) -> str:
        if chosen is not None:
            advice = TEMPLATES[chosen].advice if chosen in TEMPLATES else ""
            said = f"{advice[:1].upper()}{advice[1:]}. " if advice else ""
            return said + (
                self.tr("It takes the place of the model's own.") if own else self.tr("It goes with the tuned model.")
            )
        if own:
            return self.tr("Conversations are written as the model knows them.")
        return self.tr("Chosen because %s; it goes with the tuned model.") % why if why else ""


class RowPreview(QWidget):
    """One of the first rows as the model will see it, with a way to the next."""

    def __init__(self) -> None:
        super().__init__()
        self._glimpse = Glimpse()
        self._places: list[str] = []
        self._at = 0
        self.title = QLabel()
        self.back, self.next = _arrow("up", self.tr("The row before")), _arrow("down", self.tr("The next row"))
        self.legend = Legend()
        self.rendered = RenderedView()
        self.rendered.setAccessibleName(self.tr("A row as the model will see it"))
        self.rendered.setFixedHeight(PREVIEW_HEIGHT)
        self.trouble = words("error")
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.back)
        head.addWidget(self.next)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.rendered)
        layout.addWidget(self.trouble)
        layout.addWidget(self.legend)
        self.back.clicked.connect(lambda: self._go(-1))
        self.next.clicked.connect(lambda: self._go(1))
        self.show_waiting()

    def show_waiting(self) -> None:
        self._glimpse = Glimpse()
        self.rendered.setPlaceholderText(self.tr("Reading the first rows…"))
        self._show()

    def show_glimpse(self, glimpse: Glimpse) -> None:
        if [row.place for row in glimpse.rows] != [row.place for row in self._glimpse.rows]:
            self._at = 0
        self._glimpse = glimpse
        self.rendered.setPlaceholderText(self.tr("There is no row to show."))
        self._show()

    def _go(self, by: int) -> None:
        self._at += by
        self._show()

    def _show(self) -> None:
        rows = self._glimpse.rows
        self._places = list(dict.fromkeys(row.place for row in rows))
        count = len(self._places)
        self._at = min(max(0, self._at), max(0, count - 1))
        here = [row for row in rows if row.place == self._places[self._at]] if count else []
        self.rendered.show_rows(here, one_file=len(self._glimpse.files) < 2)
        many = self.tr("As the model will see it · row %d of the first %d") % (self._at + 1, count)
        self.title.setText(many if count > 1 else self.tr("As the model will see it"))
        for arrow, possible, why in (
            (self.back, self._at > 0, self.tr("This is the first row.")),
            (self.next, self._at < count - 1, self.tr("No more rows are shown.")),
        ):
            arrow.setVisible(count > 1)
            arrow.setEnabled(possible)
            arrow.setToolTip(arrow.accessibleName() if possible else why)
        pieces = [piece for row in here for piece in row.segments]
        special, learnt = any(piece.special for piece in pieces), any(piece.learnt for piece in pieces)
        self.legend.show_marks(special=special, learnt=learnt)
        self.legend.setVisible(special or learnt)
        self.trouble.setText(self._glimpse.trouble)
        self.trouble.setVisible(bool(self._glimpse.trouble))


def _arrow(glyph: str, name: str) -> QToolButton:
    made = QToolButton()
    made.setIcon(icon(glyph, "muted"))
    made.setAccessibleName(name)
    made.setToolTip(name)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    theme.set_role(made, "quiet")
    return made

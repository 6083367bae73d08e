"""The first rows as a model will see them, with the model, its template and the columns to choose, and the rows following at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from core.models import ModelEntry
from core.templates import TEMPLATES
from desktop_app import theme
from desktop_app.data.mapping import ColumnsForm
from desktop_app.data.reading import NO_TEMPLATE, Glimpse, View
from desktop_app.data.rendered import Legend, RenderedView
from desktop_app.forms import Choice
from desktop_app.forms.parts import words
from desktop_app.icons import icon


class PreviewPane(QWidget):
    """`view_changed` when another model or template shall look, `reading_changed` when columns were named by hand."""

    view_changed = Signal(object)  # View
    reading_changed = Signal(object)  # Reading

    def __init__(self) -> None:
        super().__init__()
        self._view = View()
        self._glimpse: Glimpse | None = None
        self.model, self.template = Choice(), Choice()
        self.columns_button = QToolButton()
        self.columns_button.setText(self.tr("Columns"))
        self.columns_button.setCheckable(True)
        self.columns_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.columns_button.setToolTip(self.tr("Say by hand which column is which."))
        self.columns = ColumnsForm()
        self.note = words("small")
        self.trouble = words("error")
        self.legend = Legend()
        self.state = QLabel()
        theme.set_role(self.state, "small")
        self.rendered = RenderedView()
        self._lay_out()
        self._connect()
        self._open_columns(opened=False)
        self.set_models(())

    def _lay_out(self) -> None:
        self.model.setAccessibleName(self.tr("The model that sees the rows"))
        self.template.setAccessibleName(self.tr("Chat template"))
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        template = QLabel(self.tr("Template"))
        for label, choice in ((QLabel(self.tr("Seen by")), self.model), (template, self.template)):
            label.setBuddy(choice)
            theme.set_role(label, "muted")
            head.addWidget(label)
            head.addWidget(choice, 1)
            head.addSpacing(theme.SPACE)
        head.addWidget(self.columns_button)
        self._template_parts = (template, self.template)
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE)
        foot.addWidget(self.state)
        foot.addStretch(1)
        foot.addWidget(self.legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.columns)
        layout.addWidget(self.note)
        layout.addWidget(self.trouble)
        layout.addLayout(foot)
        layout.addWidget(self.rendered, 1)

    def _connect(self) -> None:
        self.model.chosen.connect(self._take_model)
        self.template.chosen.connect(self._take_template)
        self.columns_button.toggled.connect(self._open_columns)
        self.columns.changed.connect(self.reading_changed)

    # --- what is chosen -----------------------------------------------------------------------------------------------

    def view(self) -> View:
        return self._view

    def set_models(self, entries: Sequence[ModelEntry]) -> None:
        """Offer the models that have a tokenizer; the choice stays while it is among them."""
        offered = [(str(entry.path), entry.name) for entry in entries if usable_tokenizer(entry)]
        self.model.set_options([("", self.tr("no model: plain text")), *offered])
        self.model.choose(str(self._view.model or ""))

    def set_view(self, view: View) -> None:
        """Show a choice that was made elsewhere."""
        self._view = view
        self.model.choose(str(view.model or ""))
        self._offer_templates()

    def _take_model(self, value: object) -> None:
        self._view = View(Path(str(value)) if value else None)
        self._offer_templates()
        self.view_changed.emit(self._view)

    def _take_template(self, value: object) -> None:
        self._view = View(self._view.model, str(value))
        self.view_changed.emit(self._view)

    def _offer_templates(self) -> None:
        """The model's own, ours by name, and none at all."""
        for part in self._template_parts:
            part.setVisible(self._view.model is not None)
        known = self._glimpse is not None and self._glimpse.view.model == self._view.model
        has = known and self._glimpse is not None and self._glimpse.has_template
        first = self.tr("its own") if has or not known else self.tr("none of its own: plain text")
        named = [(name, template.title) for name, template in TEMPLATES.items()]
        none = [(NO_TEMPLATE, self.tr("none: plain text"))] if has else []
        self.template.set_options([("", first), *named, *none])
        self.template.choose(self._view.template)

    def _open_columns(self, opened: bool) -> None:
        self.columns_button.setIcon(icon("down" if opened else "right", "muted"))
        self.columns.setVisible(opened)

    # --- what is seen -------------------------------------------------------------------------------------------------

    def show_waiting(self) -> None:
        """Another data set was picked; its rows are on their way."""
        self._glimpse = None
        self.rendered.show_rows((), one_file=True)
        self.rendered.setPlaceholderText(self.tr("Reading the first rows…"))
        self.columns_button.setChecked(False)
        self.state.clear()
        for widget in (self.note, self.trouble, self.legend):
            widget.hide()

    def show_glimpse(self, glimpse: Glimpse) -> None:
        first = self._glimpse is None
        self._glimpse = glimpse
        self._offer_templates()
        self.columns.show_data(glimpse.recognised, glimpse.reading)
        unknown = glimpse.recognised is not None and glimpse.recognised.format == "table"
        if first and (unknown or glimpse.reading.by_hand):
            self.columns_button.setChecked(True)
        rows = () if unknown else glimpse.rows
        self.rendered.show_rows(rows, one_file=glimpse.one_file)
        say_columns = self.tr("Say above which column is which: the rows appear here as a model will see them.")
        self.rendered.setPlaceholderText(say_columns if unknown else self.tr("There are no rows to show."))
        self.note.setText(self._note(glimpse))
        self.note.setVisible(bool(self.note.text()))
        self.trouble.setText(glimpse.model_trouble if glimpse.rows else glimpse.trouble or glimpse.model_trouble)
        self.trouble.setVisible(bool(self.trouble.text()))
        pieces = [piece for row in rows for piece in row.segments]
        self.legend.show_marks(
            special=any(piece.special for piece in pieces), learnt=any(piece.learnt for piece in pieces)
        )
        self.legend.setVisible(any(piece.special or piece.learnt for piece in pieces))
        places = len({row.place for row in rows})
        self.state.setText(self.tr("The first row") if places == 1 else self.tr("The first %d rows") % places)
        self.state.setVisible(places > 0)

    def _note(self, glimpse: Glimpse) -> str:
        """What is not as one would think: no template, or plain text as distillation reads it."""
        kind = glimpse.recognised.kind if glimpse.recognised else "text"
        if kind == "text" or not glimpse.rows:
            return ""
        if glimpse.view.model is None:
            return self.tr("As plain text, which distillation reads. Choose a model to see its chat template at work.")
        if glimpse.view.template or glimpse.has_template or not glimpse.proposed:
            return ""
        title = TEMPLATES[glimpse.proposed].title
        return self.tr("Shown as plain text: %s. Tuning would take the template %s.") % (
            glimpse.proposed_because,
            title,
        )


def usable_tokenizer(entry: ModelEntry) -> bool:
    """Whether a model can show how it sees text."""
    info = entry.info
    return info is not None and not info.is_adapter and info.tokenizer.fingerprint is not None

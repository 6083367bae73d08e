"""The settings of the node that is picked: what a model is, or how a merge is made of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.merge.methods import METHODS, Method, Parameter
from core.merge.recipe import DTYPES
from core.merge.tree import RESULT, Edge
from core.numbers import bytes_text, count_text
from desktop_app import theme
from desktop_app.forms import Choice, DescribedChoice, Field, MoreSettings, Option
from desktop_app.forms.field import Elided, button
from desktop_app.forms.parts import words
from desktop_app.icons import icon
from desktop_app.merge.draft import Draft, Edit, short
from desktop_app.merge.judging import Judgement, Made, called
from desktop_app.merge.values import ValueEdit

MAIN = ("weight", "density")  # of an input; what else there is counts for all inputs, in More settings
PER_LINE = 2


class NodePane(QWidget):
    """Shows one node; what the user wants changed goes out as an `Edit`."""

    edited = Signal(object)  # Edit
    start_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.key = ""
        self._told: tuple[Any, ...] = ()
        self._refresh: list[Callable[[Draft, Judgement], None]] = []
        self.title = Elided()
        theme.set_role(self.title, "title")
        self.made = words("muted")
        self.problem = words("error")
        self.notes = words("small")
        self.form = QWidget()
        self.remove = button(self.tr("Remove from the canvas"), "remove", "quiet")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(12)
        for widget in (self.title, self.made, self.problem, self.form, self.notes):
            self._layout.addWidget(widget)
        self._layout.addWidget(self.remove, alignment=Qt.AlignmentFlag.AlignLeft)
        self.method = DescribedChoice()
        self.remove.clicked.connect(self._remove)

    def focus(self) -> None:
        """To the first thing that can be set."""
        target = next(
            (one for one in self.form.findChildren(QWidget) if one.focusPolicy() & Qt.FocusPolicy.TabFocus), self.remove
        )
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def show_node(self, key: str, draft: Draft, judgement: Judgement) -> None:
        """Show this node, or with "" that none is picked. The form is made anew only where it must have other fields."""
        merge = key in draft.merges
        told = (key, *_form_of(key, draft)) if key else ("",)
        if told != self._told:
            self._told, self.key = told, key
            self._build(key, draft)
        self.remove.setVisible(bool(key))
        self._show_head(key, draft, judgement, merge=merge)
        for refresh in self._refresh:
            refresh(draft, judgement)

    def _show_head(self, key: str, draft: Draft, judgement: Judgement, *, merge: bool) -> None:
        if not key:
            self.title.set_text(self.tr("Nothing is picked"))
            self.made.setText(self.tr("Pick a node on the canvas to see what it is, and how it is merged."))
        else:
            self.title.set_text(called(draft, key) if merge else short(key))
            made = judgement.made.get(key)
            self.made.setText("\n".join(made_lines(made, long=True)) if made else "")
        self.made.setVisible(bool(self.made.text()))
        problem = judgement.problems.get(key, "")
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        notes = "\n".join(judgement.notes.get(key, ()))
        self.notes.setText(notes)
        self.notes.setVisible(bool(notes))

    # --- the form

    def _build(self, key: str, draft: Draft) -> None:
        self._refresh = []
        form = QWidget()
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        if key in draft.merges and draft.method(key) is not None and draft.in_rows(key):
            self._merge_form(layout, key, draft)
        elif key in draft.merges:
            text = self.tr(
                "It takes its models layer by layer, or makes experts of them. Change it in the recipe's text."
            )
            layout.addWidget(words("muted", text))
        elif key:
            self._model_form(layout, key, draft)
        self._layout.replaceWidget(self.form, form)
        self.form.hide()
        self.form.deleteLater()
        self.form = form

    def _model_form(self, layout: QVBoxLayout, key: str, draft: Draft) -> None:
        path = Elided(key)
        theme.set_role(path, "small")
        layout.addWidget(path)
        targets = [target for target in draft.merges if key not in draft.inputs(target) and draft.in_rows(target)]
        if not draft.merges:
            layout.addWidget(words("muted", self.tr("Add a merge, and connect this model to it.")))
        if targets:
            layout.addWidget(
                self._connect_field(
                    self.tr("Goes into"),
                    self.tr("Choose a merge…"),
                    [(one, called(draft, one)) for one in targets],
                    lambda target: (key, target),
                )
            )

    def _connect_field(
        self,
        label: str,
        empty: str,
        options: list[tuple[str, str]],
        edge: Callable[[str], tuple[str, str]],
    ) -> Field:
        """Choosing one connects it."""
        choice = Choice([("", empty), *options])

        def chosen(value: object) -> None:
            if value:
                source, target = edge(str(value))
                self._edit(self.tr("connecting %s") % short(source), lambda draft: draft.connected(source, target))

        choice.chosen.connect(chosen)
        return Field(label, choice)

    def _merge_form(self, layout: QVBoxLayout, key: str, draft: Draft) -> None:
        method = draft.method(key)
        assert method is not None
        self.method = DescribedChoice()
        self.method.describe([Option(name, one.title, one.advice) for name, one in METHODS.items()])
        self.method.choose(method.name)
        self.method.chosen.connect(
            lambda name: self._edit(
                self.tr("choosing %s") % METHODS[name].title, lambda draft: draft.with_method(key, name)
            )
        )
        layout.addWidget(Field(self.tr("Method"), self.method, method.advice))
        inputs = draft.inputs(key)
        if inputs:
            layout.addWidget(_heading(self.tr("Inputs")))
        for source in inputs:
            layout.addWidget(self._input(source, key, draft, method))
        loose = [one for one in draft.nodes() if one not in inputs and one != key and key not in draft.above(one)]
        if loose:
            options = [(one, called(draft, one) if one in draft.merges else short(one)) for one in loose]
            layout.addWidget(
                self._connect_field(
                    self.tr("Add an input"), self.tr("Choose a model or merge…"), options, lambda source: (source, key)
                )
            )
        elif not inputs:
            layout.addWidget(
                words("muted", self.tr("Put models on the canvas first; then they can be connected to it."))
            )
        if method.base != "an input" and inputs:
            layout.addWidget(self._base(key, draft, method))
        shared = [parameter for parameter in method.parameters if parameter.name not in MAIN]
        for parameter in shared:
            if parameter.required:
                layout.addWidget(self._parameter(parameter, key))
        layout.addWidget(self._more(key, draft, [one for one in shared if not one.required]))

    def _input(self, source: str, key: str, draft: Draft, method: Method) -> QWidget:
        """One input with its weight, and why it doesn't fit."""
        frame = QFrame()
        theme.set_role(frame, "card")
        layout = QVBoxLayout(frame)
        layout.setContentsMargins(12, theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(6)
        head = QHBoxLayout()
        is_base = draft.base(key) == source and method.base != "an input"
        name = Elided(called(draft, source) if source in draft.merges else short(source))
        name.setToolTip(source)
        head.addWidget(name, 1)
        if is_base:
            tag = QLabel(self.tr("base"))
            theme.set_role(tag, "small")
            head.addWidget(tag)
        cut = QToolButton()
        cut.setIcon(icon("remove", "muted"))
        cut.setToolTip(self.tr("Disconnect %s") % short(source))
        cut.setAccessibleName(cut.toolTip())
        theme.set_role(cut, "quiet")
        cut.clicked.connect(
            lambda: self._edit(
                self.tr("disconnecting %s") % short(source), lambda draft: draft.disconnected(source, key)
            )
        )
        head.addWidget(cut)
        layout.addLayout(head)
        own = [one for one in method.parameters if one.name in MAIN and (one.scope == "input" or not is_base)]
        in_a_row = source in [_name_of(row) for row in draft.rows(key)]
        across = QHBoxLayout()
        across.setSpacing(theme.SPACE)
        for parameter in own if in_a_row else []:
            across.addWidget(self._parameter(parameter, key, source), 1)
        if across.count():
            layout.addLayout(across)
        reasons = words("error")
        layout.addWidget(reasons)

        def refresh(draft: Draft, judgement: Judgement) -> None:
            text = "\n".join(judgement.edges.get(Edge(source, key), ()))
            reasons.setText(text)
            reasons.setVisible(bool(text))

        self._refresh.append(refresh)
        return frame

    def _base(self, key: str, draft: Draft, method: Method) -> Field:
        none = [] if method.base == "required" else [("", self.tr("None"))]
        choice = Choice([*none, *((one, short(one)) for one in draft.inputs(key))])
        choice.choose(draft.base(key) or "")
        choice.chosen.connect(
            lambda base: self._edit(self.tr("choosing a base"), lambda draft: draft.with_base(key, base or None))
        )
        return Field(self.tr("Base"), choice, self.tr("The model that the others were tuned from."))

    def _parameter(self, parameter: Parameter, key: str, source: str | None = None) -> QWidget:
        """A field for one parameter, of the merge or of an input."""
        give = partial(self._give, key, parameter.name, source)
        title = parameter_title(parameter.name)
        help_text = parameter.words if source is None else ""
        if parameter.kind == "flag":
            return self._flag(parameter, key, source, give)
        if parameter.kind == "choice":
            choice = Choice([(one, one) for one in parameter.choices])
            choice.chosen.connect(give)
            self._refresh.append(
                lambda draft, _: choice.choose(_value(draft, key, parameter.name, source) or parameter.default)
            )
            return Field(title, choice, help_text)
        edit = ValueEdit(parameter)
        edit.setToolTip(parameter.words)
        field = Field(title, edit, help_text)
        edit.given.connect(give)
        edit.refused.connect(field.set_problem)

        def refresh(draft: Draft, judgement: Judgement) -> None:
            around = _value(draft, key, parameter.name) if source is not None else None
            edit.show_value(_value(draft, key, parameter.name, source), parameter.default if around is None else around)

        self._refresh.append(refresh)
        return field

    def _flag(self, parameter: Parameter, key: str, source: str | None, give: Callable[[Any], None]) -> QWidget:
        box = QCheckBox(parameter_title(parameter.name))
        box.setToolTip(parameter.words)
        box.clicked.connect(give)

        def refresh(draft: Draft, judgement: Judgement) -> None:
            value = _value(draft, key, parameter.name, source)
            box.setChecked(bool(parameter.default if value is None else value))

        self._refresh.append(refresh)
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(box)
        layout.addWidget(words("small", parameter.words))
        return holder

    def _more(self, key: str, draft: Draft, parameters: list[Parameter]) -> MoreSettings:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for parameter in parameters:
            layout.addWidget(self._parameter(parameter, key))
        layout.addWidget(self._tokenizer(key, draft))
        widest = self.tr("the widest of the inputs")
        for name, title, none in (
            ("dtype", self.tr("Precision"), widest),
            ("out_dtype", self.tr("Precision of the files"), self.tr("as above")),
        ):
            choice = Choice([("", none), *((one, one) for one in DTYPES)])
            layout.addWidget(Field(title, self._of_key(choice, key, name)))
        layout.addWidget(self._name(key))
        more = MoreSettings(content)
        more.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return more

    def _of_key(self, choice: Choice, key: str, name: str) -> Choice:
        """The choice shows and sets a key of the merge itself; "" stands for none."""
        choice.chosen.connect(partial(self._set_key, key, name))
        self._refresh.append(lambda draft, _: choice.choose(draft.merges[key].get(name) or ""))
        return choice

    def _tokenizer(self, key: str, draft: Draft) -> QWidget:
        """Whose tokens the result has."""
        if draft.merges[key].get("tokenizer") is not None:
            return words("small", self.tr("Tokens follow the rules in the recipe's text."))
        options = [
            ("", self.tr("As they are: all alike")),
            ("base", self.tr("Those of the base")),
            ("union", self.tr("Those of all inputs")),
            *((one, self.tr("Those of %s") % short(one)) for one in draft.inputs(key)),
        ]
        choice = self._of_key(Choice(options), key, "tokenizer_source")
        return Field(
            self.tr("Tokens"), choice, self.tr("Models with other tokens fit once you say which the result has.")
        )

    def _name(self, key: str) -> Field:
        edit = QLineEdit("" if key == RESULT else key)
        edit.setPlaceholderText(RESULT)

        def finished() -> None:
            name = edit.text().strip() or RESULT
            if edit.isModified() and name != key:
                edit.setModified(False)
                self._edit(self.tr("renaming %s") % key, lambda draft: draft.renamed(key, name))

        edit.editingFinished.connect(finished)
        return Field(self.tr("Name in the recipe"), edit, self.tr("How other merges and the recipe call it."))

    # --- what is done

    def _edit(self, said: str, change: Callable[[Draft], Draft], group: str = "") -> None:
        self.edited.emit(Edit(said, change, group))

    def _give(self, key: str, name: str, source: str | None, value: Any) -> None:
        self._edit(
            self.tr("setting %s") % parameter_title(name).lower(),
            lambda draft: draft.with_value(key, name, value, source),
            f"{key} {name} {source}",
        )

    def _set_key(self, key: str, name: str, value: object) -> None:
        self._edit(self.tr("setting %s") % name, lambda draft: draft.with_key(key, name, value or None))

    def _remove(self) -> None:
        key = self.key
        self._edit(self.tr("removing %s") % short(key), lambda draft: draft.without(key))


def made_lines(made: Made, *, long: bool = False) -> list[str]:
    """Size, and shape: two short lines for a node, a few more words for the pane."""
    from PySide6.QtCore import QCoreApplication

    translate = QCoreApplication.translate
    size = f"{count_text(made.parameters)} · {bytes_text(made.size_bytes)}"
    shape = made.shape
    if shape is None:
        return [size, " · ".join(part for part in (made.family, made.dtype) if part)]
    built = translate("merge", "%d layers × %d wide") % (made.layers or shape.layers, shape.hidden)
    if not long:
        return [size, built]
    built = f"{made.family}, {built}"
    rest = translate("merge", "%d heads, MLP %d wide, %s tokens") % (
        shape.heads,
        shape.intermediate,
        count_text(shape.vocabulary),
    )
    return [f"{size} · {made.dtype}", built, rest]


def parameter_title(name: str) -> str:
    text = name.replace("_", " ")
    return text if len(name) == 1 else text[:1].upper() + text[1:]


def _form_of(key: str, draft: Draft) -> tuple[Any, ...]:
    """What decides which fields there are."""
    if key not in draft.merges:
        return (tuple((target, called(draft, target), key in draft.inputs(target)) for target in draft.merges),)
    names = tuple((one, called(draft, one) if one in draft.merges else one) for one in draft.nodes())
    return (draft.method(key), tuple(draft.inputs(key)), draft.base(key), draft.in_rows(key), names)


def _name_of(row: Mapping[str, Any]) -> str:
    from desktop_app.merge.draft import model_name

    return model_name(row["model"])


def _value(draft: Draft, key: str, name: str, source: str | None = None) -> Any:
    if key not in draft.merges:
        return None
    raw: Mapping[str, Any] = draft.merges[key]
    if source is not None:
        raw = next((row for row in draft.rows(key) if _name_of(row) == source), {})
    return (raw.get("parameters") or {}).get(name)


def _heading(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label

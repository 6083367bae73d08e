"""The facts of a run: what was planned, what the program chose and why, with which versions, on what, and what it takes on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.cache import AS_ASKED, FOUND_AGAIN, MADE_NOW, CacheInfo
from core.chain import ChainRecipe
from core.distill import DistillRecipe
from core.export import TARGETS, ExportRecipe
from core.numbers import bytes_text, count_text, duration_text
from core.objectives import OBJECTIVES, SOURCES
from core.run_summary import RunSummary
from core.state import History, State
from core.tune import GOALS, METHODS, PRESETS, TuneRecipe
from desktop_app import theme
from desktop_app.charts.ticks import power_text
from desktop_app.forms.field import Elided
from desktop_app.runs import words
from desktop_app.runs.dossier import Dossier

translate = QCoreApplication.translate

LONGEST_WORD = 26  # characters that are never broken over lines; longer ones are shortened in the middle
LABEL_WIDTH = 136  # px
TOLD_ELSEWHERE = ("cache", "processes")  # choices that are part of how the run learns


@dataclass(frozen=True)
class Fact:
    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class Section:
    title: str
    facts: tuple[Fact, ...]


def sections_of(row: RunSummary, history: History, dossier: Dossier | None) -> list[Section]:
    """Everything that is known and does not change with each step."""
    found = [
        Section(_lesson_title(row.kind), tuple(_lesson(history, dossier))),
        Section(translate("facts", "Plan"), tuple(_plan(history))),
        Section(translate("facts", "Chosen by Stillroom"), tuple(_choices(history, dossier))),
        Section(translate("facts", "Run"), tuple(_run(row, history))),
        Section(translate("facts", "On disk"), tuple(_disk(dossier))),
        Section(translate("facts", "Engine"), tuple(_engine(history))),
    ]
    return [section for section in found if section.facts]


def _lesson_title(kind: str) -> str:
    return translate("facts", "What is asked for") if kind == "export" else translate("facts", "How it learns")


def _lesson(history: History, dossier: Dossier | None) -> list[Fact]:
    """Objective, source, teachers, cache and processes of a distillation, or of each in a chain."""
    recipe = dossier.recipe if dossier else None
    recipe = recipe.of if isinstance(recipe, ChainRecipe) else recipe
    if isinstance(recipe, TuneRecipe):
        return _tuning(recipe)
    if isinstance(recipe, ExportRecipe):
        return _export(recipe)
    if not isinstance(recipe, DistillRecipe):
        return []
    if not recipe.guided:
        return [Fact(translate("facts", "Objective"), translate("facts", "the text alone, without a teacher"))]
    facts = [_objective(recipe), Fact(translate("facts", "Learns from"), _source(recipe))]
    if len(recipe.teachers) > 1:
        facts.append(_teachers(recipe))
    if recipe.source == "cache":
        facts.append(_cache(history, dossier.cache if dossier else None))
    if recipe.answers_only:
        facts.append(Fact(translate("facts", "Learnt text"), translate("facts", "the answers alone")))
    if recipe.processes > 1:
        how = {
            "ddp": translate("facts", "%d, each with the whole student (DDP)"),
            "fsdp": translate("facts", "%d, each with a part of the student (FSDP)"),
        }
        chosen = history.choices.get("processes")
        reason = str(chosen.reason) if chosen else ""
        facts.append(Fact(translate("facts", "Processes"), how[recipe.strategy] % recipe.processes, reason))
    return facts


def _export(recipe: ExportRecipe) -> list[Fact]:
    """What is exported, to what, and on what it is checked."""
    target = TARGETS[recipe.to]
    text = ", ".join(words.model_name(item) for item in recipe.data) or translate("facts", "the sample's stories")
    facts = [
        Fact(translate("facts", "Model"), words.model_name(recipe.model)),
        Fact(translate("facts", "Made for"), f"{target.title}, {recipe.weight_type}"),
        Fact(translate("facts", "Compared on"), text),
    ]
    return [*facts, Fact(translate("facts", "Uploaded as"), recipe.push)] if recipe.push else facts


def _tuning(recipe: TuneRecipe) -> list[Fact]:
    """Method, objective, preset, teacher and data of a tuning."""
    title, advice = METHODS[recipe.method]
    if recipe.adapts:
        title = translate("facts", "%s, rank %d, α %g") % (title, recipe.rank, recipe.alpha or 2 * recipe.rank)
    goal, aim = GOALS[recipe.objective]
    facts = [Fact(translate("facts", "Method"), title, advice), Fact(translate("facts", "What is learnt"), goal, aim)]
    if recipe.preset != "none":
        facts.append(Fact(translate("facts", "Preset"), PRESETS[recipe.preset].title))
    if recipe.teacher is not None:
        part = (
            translate("facts", "it is the reference") if recipe.prefers else translate("facts", "it guides the tuning")
        )
        facts.append(Fact(translate("facts", "Teacher"), words.model_name(recipe.teacher), part))
    data = ", ".join(words.model_name(item) for item in recipe.data)
    return [*facts, Fact(translate("facts", "Data"), data)]


def _objective(recipe: DistillRecipe) -> Fact:
    said = [OBJECTIVES[recipe.objective].title]
    letters = {"jsd_beta": "β", "gold_beta": "β", "skew_alpha": "α", "clip_mass": "p", "sinkhorn_epsilon": "ε"}
    said += [f"{letters[dial]} {getattr(recipe, dial):g}" for dial in OBJECTIVES[recipe.objective].dials]
    if recipe.temperature != 1.0:
        said.append(f"τ {recipe.temperature:g}")
    share = translate("facts", "%s of the loss, the text the rest") % f"{1 - recipe.ce_weight:.0%}"
    reasons = [share if recipe.ce_weight else translate("facts", "all of the loss")]
    if recipe.balance == "auto":
        reasons.append(translate("facts", "held to that share by the automatic balance"))
    beside = {
        translate("facts", "hidden states × %s"): recipe.hidden_weight,
        translate("facts", "attention relations × %s"): recipe.relation_weight,
    }
    reasons += [text % f"{weight:g}" for text, weight in beside.items() if weight]
    return Fact(translate("facts", "Objective"), ", ".join(said), "; ".join(reasons))


def _source(recipe: DistillRecipe) -> str:
    title = SOURCES[recipe.source][0]
    if recipe.source != "on-policy":
        return title
    return translate("facts", "%s, in %s of the blocks") % (title, f"{recipe.on_policy_share:.0%}")


def _teachers(recipe: DistillRecipe) -> Fact:
    names = [words.model_name(teacher) for teacher in recipe.teachers]
    if recipe.mixture == "mean" and recipe.teacher_weights:
        total = sum(recipe.teacher_weights)
        shares = zip(names, recipe.teacher_weights, strict=True)
        names = [f"{name} ({weight / total:.0%})" for name, weight in shares]
    how = {
        "mean": translate("facts", "the mean of what they say"),
        "lowest-ce": translate("facts", "of each document, the one that reads it best"),
    }
    return Fact(translate("facts", "Teachers"), ", ".join(names), how[recipe.mixture])


def _cache(history: History, info: CacheInfo | None) -> Fact:
    """Which cached answers, how large, and whether they were there already."""
    chosen = history.choices.get("cache")
    name = translate("facts", "Cached answers")
    if chosen is None:
        return Fact(name, translate("facts", "not found or made yet"))
    told = {  # what the engine says, in the words of the window
        FOUND_AGAIN: translate("facts", "found again: these answers were kept before"),
        MADE_NOW: translate("facts", "made now: nobody had kept these answers"),
        AS_ASKED: translate("facts", "as the recipe says"),
    }
    reason = told.get(str(chosen.reason), str(chosen.reason))
    said = [words.model_name(str(chosen.value))]
    if info is not None:
        trouble = info.broken or info.unfinished
        said.append(translate("facts", "gone or broken") if trouble else bytes_text(info.bytes))
        said += [] if info.top_k is None else [f"k {info.top_k}"]
    return Fact(name, " · ".join(said), reason)


def _plan(history: History) -> list[Fact]:
    plan = history.plan
    if plan is None:
        return []
    batch = plan.micro_batch * plan.accumulation * plan.sequence_length
    facts = [
        Fact(translate("facts", "Steps"), f"{plan.steps:,}"),
        Fact(translate("facts", "Training tokens"), count_text(plan.tokens)),
        Fact(
            translate("facts", "One step"),
            translate("facts", "%d × %d blocks of %d = %s tokens")
            % (plan.accumulation, plan.micro_batch, plan.sequence_length, count_text(batch)),
        ),
        Fact(translate("facts", "Student"), _parameters(plan.student_parameters)),
    ]
    if plan.teacher_parameters:
        ratio = plan.teacher_parameters / max(1, plan.student_parameters)
        times = translate("facts", "%.1f times the student") % ratio
        facts.append(Fact(translate("facts", "Teacher"), f"{_parameters(plan.teacher_parameters)}, {times}"))
    if plan.flops_per_token:
        facts.append(
            Fact(
                translate("facts", "Computation"),
                translate("facts", "%s FLOPs") % power_text(plan.flops_per_token * plan.tokens),
            )
        )
    return facts


def _parameters(count: int) -> str:
    return translate("facts", "%s parameters") % count_text(count)


def _choices(history: History, dossier: Dossier | None) -> list[Fact]:
    told_elsewhere = TOLD_ELSEWHERE if dossier is None or dossier.recipe is not None else ()
    return [
        Fact(_capital(choice.name.replace("_", " ")), _value_text(choice.value), str(choice.reason))
        for choice in history.choices.values()
        if choice.name not in told_elsewhere
    ]


def _value_text(value: Any) -> str:
    """A chosen value in few words; a whole report says itself in its reason."""
    if isinstance(value, dict):
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _run(row: RunSummary, history: History) -> list[Fact]:
    facts = [Fact(translate("facts", "Id"), row.id)]
    if history.device:
        facts.append(Fact(translate("facts", "Device"), history.device))
    facts.append(Fact(translate("facts", "Made"), words.date_text(row.created)))
    if history.started_at is not None:
        facts.append(Fact(translate("facts", "Started"), words.date_text(history.started_at)))
        if State(row.state).ended and history.updated_at is not None:
            took = duration_text(history.updated_at - history.started_at)
            facts.append(Fact(translate("facts", "From start to end"), took))
    if history.attempts > 1:
        facts.append(Fact(translate("facts", "Attempts"), str(history.attempts)))
    if history.checkpoint_step is not None:
        step = translate("facts", "step %s") % f"{history.checkpoint_step:,}"
        facts.append(Fact(translate("facts", "Last checkpoint"), step))
    if row.made_from:
        facts.append(Fact(translate("facts", "Made from run"), row.made_from))
    return facts


def _disk(dossier: Dossier | None) -> list[Fact]:
    if dossier is None:
        return []
    names = {
        "checkpoints": translate("facts", "Checkpoints"),
        "student": translate("facts", "Student"),
        "tokens": translate("facts", "Tokenised text"),
        "records": translate("facts", "Journal and log"),
        "all": translate("facts", "All of it"),
    }
    facts = [Fact(names[part], bytes_text(size)) for part, size in dossier.sizes.items()]
    facts.append(Fact(translate("facts", "Folder"), str(dossier.folder)))
    return facts


def _engine(history: History) -> list[Fact]:
    return [
        Fact(_capital(name), str(version))
        for name, version in (history.engine.versions if history.engine else {}).items()
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class FactsView(QWidget):
    """Sections of facts. What only changes its value is written into the label that is there."""

    def __init__(self) -> None:
        super().__init__()
        self._sections: list[Section] = []
        self._groups: dict[str, _Group] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2 * theme.SPACE)

    def sections(self) -> list[Section]:
        return self._sections

    def set_sections(self, sections: Sequence[Section]) -> None:
        sections = list(sections)
        if sections == self._sections:
            return
        self._sections = sections
        for title in self._groups.keys() - {section.title for section in sections}:
            self._remove(title)
        for at, section in enumerate(sections):
            group = self._groups.get(section.title)
            if group is not None and not group.take(section):
                self._remove(section.title)
                group = None
            if group is None:
                group = self._groups[section.title] = _Group(section)
                self._layout.insertWidget(at, group)

    def _remove(self, title: str) -> None:
        group = self._groups.pop(title)
        self._layout.removeWidget(group)
        group.hide()
        group.deleteLater()


class _Group(QWidget):
    """The facts of one section."""

    def __init__(self, section: Section) -> None:
        super().__init__()
        self._section = section
        self._values: list[QLabel] = []
        self._reasons: list[QLabel | None] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(2 * theme.SPACE)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnMinimumWidth(0, LABEL_WIDTH)
        self._grid.setColumnStretch(1, 1)
        if section.title:
            title = QLabel(section.title)
            theme.set_role(title, "small")
            self._grid.addWidget(title, 0, 0, 1, 2)
        for fact in section.facts:
            self._add(fact)

    def take(self, section: Section) -> bool:
        """Write the values of a section that has the same facts; False if it has others."""
        if section == self._section:
            return True
        if _shape(section) != _shape(self._section):
            return False
        self._section = section
        for fact, label, reason in zip(section.facts, self._values, self._reasons, strict=True):
            _write(label, fact)
            if reason is not None and reason.text() != fact.reason:
                reason.setText(fact.reason)
        return True

    def _add(self, fact: Fact) -> None:
        at = self._grid.rowCount()
        name, value = _label(fact.name, "muted"), _value_label(fact)
        name.setMaximumWidth(LABEL_WIDTH)
        self._values.append(value)
        self._grid.addWidget(name, at, 0, Qt.AlignmentFlag.AlignTop)
        if fact.value or not fact.reason:
            self._grid.addWidget(value, at, 1)
            at += 1
        reason = _label(fact.reason, "small") if fact.reason else None
        self._reasons.append(reason)
        if reason is not None:
            self._grid.addWidget(reason, at, 1)


def _shape(section: Section) -> list[Any]:
    """What must be the same for labels to be used again."""
    return [(fact.name, bool(fact.reason), bool(fact.value), _long(fact.value)) for fact in section.facts]


def _write(label: QLabel, fact: Fact) -> None:
    name = f"{fact.name}: {fact.value}"
    if label.accessibleName() == name:
        return
    if isinstance(label, Elided):
        label.set_text(fact.value)
    else:
        label.setText(fact.value)
    label.setAccessibleName(name)


def _long(text: str) -> bool:
    return max(map(len, text.split()), default=0) > LONGEST_WORD


def _label(text: str, role: theme.Role | None = None) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
    if role:
        theme.set_role(label, role)
    return label


def _value_label(fact: Fact) -> QLabel:
    label = Elided() if _long(fact.value) else _label("")
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    _write(label, fact)
    return label

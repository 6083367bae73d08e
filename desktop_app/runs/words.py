"""How runs are put in words: states, ages, sizes, and where a run is just now."""

from __future__ import annotations

import html
import time
from pathlib import PurePath

from PySide6.QtCore import QCoreApplication

from core.numbers import count_text, duration_text
from core.run_summary import RunSummary
from core.state import History, State

translate = QCoreApplication.translate

DASH = "–"
MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds


def state_word(state: str) -> str:
    words: dict[str, str] = {
        State.QUEUED: translate("runs", "Waiting"),
        State.RUNNING: translate("runs", "Running"),
        State.STOPPING: translate("runs", "Stopping"),
        State.STOPPED: translate("runs", "Stopped"),
        State.FINISHED: translate("runs", "Finished"),
        State.FAILED: translate("runs", "Failed"),
        State.CRASHED: translate("runs", "Crashed"),
    }
    return words.get(state, state)


def age_text(since: float | None, now: float | None = None) -> str:
    """How long ago, in one unit: it need not be exact, only quick to read."""
    if since is None:
        return DASH
    seconds = max(0.0, (time.time() if now is None else now) - since)  # a clock may have been set back
    if seconds < MINUTE:
        return translate("runs", "now")
    if seconds < HOUR:
        return translate("runs", "%d min") % (seconds // MINUTE)
    if seconds < 2 * DAY:
        return translate("runs", "%d h") % (seconds // HOUR)
    return translate("runs", "%d d") % (seconds // DAY)


def model_name(path: str | None) -> str:
    """The last part of a model's folder."""
    return PurePath(path).name if path else ""


def pair_text(row: RunSummary) -> str:
    """Teacher → student by size; by name and wish until the sizes are known."""
    if row.kind == "evaluate":
        return translate("runs", "evaluation")
    if row.kind == "measure":
        return translate("runs", "measurement")
    if row.kind == "tune":
        return translate("runs", "%s, tuned") % (model_name(row.student) or DASH)
    if row.kind in ("survey", "prepare", "fetch", "export", "merge", "sweep"):
        return kind_word(row.kind)
    if row.kind == "cache":
        return translate("runs", "%s → answers") % (model_name(row.teacher) or DASH)
    if row.kind == "write":
        return translate("runs", "%s → text") % (model_name(row.teacher) or DASH)
    teacher = count_text(row.teacher_parameters) if row.teacher_parameters else model_name(row.teacher)
    student = count_text(row.student_parameters) if row.student_parameters else wish_text(row.student)
    if not student:
        return teacher or DASH
    return f"{teacher} → {student}" if teacher else student


def kind_word(kind: str) -> str:
    words: dict[str, str] = {
        "distill": translate("runs", "Distillation"),
        "chain": translate("runs", "Chain of distillations"),
        "tune": translate("runs", "Tuning"),
        "adapters": translate("runs", "Adapter merged into its base"),
        "cache": translate("runs", "Cached answers"),
        "write": translate("runs", "Teacher-written text"),
        "evaluate": translate("runs", "Evaluation"),
        "measure": translate("runs", "Measurement"),
        "merge": translate("runs", "Merge"),
        "sweep": translate("runs", "Sweep of merges"),
        "survey": translate("runs", "Statistics"),
        "prepare": translate("runs", "Prepared data"),
        "fetch": translate("runs", "Fetched data"),
        "export": translate("runs", "Export"),
    }
    return words.get(kind, translate("runs", "Run"))


def wish_text(student: str | None) -> str:
    """What the recipe wants the student to be: a share, a size, or the name of a folder."""
    return model_name(student) if student and ("/" in student or "\\" in student) else student or ""


def progress_text(row: RunSummary, place: int | None = None) -> str:
    """How far a run is, in few characters; of one that waits, its place in the queue."""
    state = row.state
    if place is not None and not row.step:
        return place_text(place)
    if row.share is not None and (row.step or state == State.FINISHED):
        # a whole percent is said only once it is reached
        return f"{int(row.share * 100)}%"
    return row.phase or DASH if state in (State.RUNNING, State.STOPPING) else DASH


def place_text(place: int) -> str:
    """A waiting run's place in the queue; 1 is next."""
    if place == 1:
        return translate("runs", "next")
    return translate("runs", "%d before it") % (place - 1)


def phase_line(state: str, history: History) -> str:
    """Where a run is: “Training · step 412/900 · 8.1K tok/s · 3 min left”."""
    step = history.steps[-1] if history.steps else None
    phase = history.phase[:1].upper() + history.phase[1:]
    parts = [phase] if phase and state in (State.RUNNING, State.STOPPING) else []
    if history.links and state != State.FINISHED:
        link = history.links[-1]
        parts.insert(0, translate("runs", "link %d of %d") % (link.number, link.count))
    if step is not None:
        total = f"/{history.plan.steps:,}" if history.plan else ""
        parts.append(translate("runs", "step %s") % f"{step.step:,}{total}")
    elif history.phase_share is not None and state == State.RUNNING:
        parts.append(f"{history.phase_share:.0%}")
    if state == State.RUNNING and step is not None:
        if step.tokens_per_second is not None:
            parts.append(translate("runs", "%s tok/s") % count_text(step.tokens_per_second))
        left = seconds_left(history)
        if left is not None and history.phase == "training":
            parts.append(translate("runs", "%s left") % duration_text(left))
    return " · ".join(parts)


def seconds_left(history: History) -> float | None:
    """As the fold says, unless somebody took the times out of the journal."""
    if any(step.seconds is None for step in history.steps[-21:]):
        return None
    return history.seconds_left()


def figure_text(value: object) -> str:
    """A held-out figure: three digits after the point for small ones."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return DASH
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def plain_tip(text: str) -> str:
    """A tool tip that shows `text` as it is, even if it looks like markup, and wraps."""
    return f"<qt>{html.escape(text)}</qt>".replace("\n", "<br>") if text else ""


def date_text(seconds: float | None) -> str:
    return DASH if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def metric_word(name: str) -> str:
    words = {
        "bits_per_byte": translate("runs", "Bits per byte"),
        "perplexity": translate("runs", "Perplexity"),
        "ce": translate("runs", "Cross-entropy, nats a token"),
        "kd": translate("runs", "Distance from the teacher, nats a token"),
        "agreement": translate("runs", "Agrees with the teacher"),
        "loss": translate("runs", "Loss of the preferences"),
        "margin": translate("runs", "Reward margin, nats"),
        "accuracy": translate("runs", "Better answer preferred"),
        "chosen": translate("runs", "Reward of the better answers"),
        "rejected": translate("runs", "Reward of the worse answers"),
    }
    return words.get(name, name.replace("_", " "))


def metric_text(name: str, value: object) -> str:
    if name in ("agreement", "accuracy") and isinstance(value, int | float) and value == value:
        return f"{value:.1%}"
    return figure_text(value)

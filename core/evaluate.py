"""The recipe of an evaluation: how well a model reads held-out text, what it scores on benchmarks, and how it writes.

`results` of its run keep their names: ce, perplexity, bits_per_byte, kd, agreement and skills of text and the sample's questions;
`results` by task of benchmarks; `accuracy` and `pairs` of minimal pairs; `calibration`, `writing` and `speed`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from core.benchmarks import needs_consent, parse_tasks
from core.errors import BadRecipe
from core.pairs import ENDS, holds_pairs
from core.recipe import Problem, Recipe


class EvaluateRecipe(Recipe):
    """Everything that can be measured of one model; whatever is asked for is measured, part by part."""

    kind: Literal["evaluate"] = "evaluate"

    model: str = Field(description="The model's folder.")
    teacher: str | None = Field(None, description="A model of the same tokenizer to compare predictions with.")
    data: tuple[str, ...] = Field((), description="Text files or folders of them.")
    separator: str | None = Field(None, description="The line that parts documents, as in training.")
    skills: int = Field(0, ge=0, description="How many of the sample's questions to ask, for each skill.")
    most_tokens: int | None = Field(
        None, ge=1, description="Stop after this many tokens, at a document's end; by default all text is read."
    )

    tasks: tuple[str, ...] = Field(
        (),
        description="Benchmarks of lm-evaluation-harness by name or group, as arc_easy or gsm8k_cot@8 (eight examples), or a preset.",
    )
    task_dir: str | None = Field(None, description="The folder with the benchmarks' files; nothing is downloaded.")
    few_shot: int | None = Field(None, ge=0, description="Examples before each question; by default each task's own.")
    limit: int | None = Field(
        None, ge=1, description="Only the first questions of each task, and the first pairs of each set."
    )
    run_code: bool = Field(
        False,
        description="Off: programs that the model writes (HumanEval, MBPP) are run here, in a guarded process of their own.",
    )
    minimal_pairs: str | None = Field(
        None, description="JSON lines with sentence_good and sentence_bad, a folder of such files, or BLiMP's archive."
    )
    calibration: bool = Field(
        False,
        description="Off: how sure the model is against how often it is right, and the teacher's agreement by position.",
    )
    written: int = Field(
        0,
        ge=0,
        le=10_000,
        description="How many texts to write after beginnings of the data, for variety and repetition.",
    )
    written_tokens: int = Field(128, ge=4, description="How long each of these texts may grow.")
    speed: bool = Field(False, description="Off: tokens a second when reading and writing, memory, and energy.")
    anew: bool = Field(False, description="Off: measure again what was measured before with the same settings.")

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )

    def title(self) -> str:
        on = [Path(item).name for item in (*self.data, *([self.minimal_pairs] if self.minimal_pairs else []))]
        on += self.tasks if len(self.tasks) <= 3 else [f"{len(self.tasks)} tasks"]
        on += ["speed"] if self.speed and not on else []
        return self.name or f"{Path(self.model).name} on {', '.join(on) or 'questions'}"

    def problems(self) -> list[Problem]:
        found = [
            Problem(field=field, text=f"There is no folder {folder}. Choose a model folder.")
            for field, folder in (("model", self.model), ("teacher", self.teacher))
            if folder is not None and not Path(folder).is_dir()
        ]
        places = [("data", item) for item in self.data]
        places += [("minimal_pairs", self.minimal_pairs)] if self.minimal_pairs else []
        found.extend(
            Problem(field=field, text=f"There is no file or folder {item}.")
            for field, item in places
            if not Path(item).exists()
        )
        if self.minimal_pairs and Path(self.minimal_pairs).is_dir() and not holds_pairs(Path(self.minimal_pairs)):
            text = f"{self.minimal_pairs} holds no minimal pairs: no file that ends in {', '.join(ENDS)} or .zip."
            found.append(Problem(field="minimal_pairs", text=text))
        if self.task_dir is not None and not Path(self.task_dir).is_dir():
            text = f"There is no folder {self.task_dir}. Name the folder with the benchmarks' files."
            found.append(Problem(field="task_dir", text=text))
        found.extend(self._task_problems())
        if (self.calibration or self.written) and not self.data:
            field = "calibration" if self.calibration else "written"
            found.append(Problem(field=field, text="This takes text. Name some as data."))
        if not (self.data or self.skills or self.tasks or self.minimal_pairs or self.speed):
            found.append(
                Problem(field="data", text="Name some text to read, a benchmark, or ask the sample's questions.")
            )
        return found

    def _task_problems(self) -> list[Problem]:
        try:
            tasks = parse_tasks(self.tasks)
        except BadRecipe as trouble:
            return [Problem(field="tasks", text=str(trouble))]
        coded = [task for task in tasks if needs_consent(task)]
        if coded and not self.run_code:
            text = (
                f"{', '.join(coded)} runs programs that the model writes on this machine. They get a process of their own with an empty "
                "folder and limits on time and memory, which contains mistakes, not malice. Allow it with run_code (--run-code)."
            )
            return [Problem(field="run_code", text=text)]
        return []

"""What stands ready for a tuning, and how it is measured on the way."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core import events as ev
from core.engine.bench import Bench
from core.engine.generation import generate
from core.engine.lesson import Lesson
from core.engine.models import generation_config
from core.engine.scoring import score
from core.engine.session import Session
from core.engine.text import Corpus, Framing
from core.engine.tune_data import prompts_of
from core.engine.tune_models import inner
from core.engine.tune_pairs import PairLesson, Pairs, measure_pairs
from core.journal import read_journal
from core.state import fold
from core.tune import TuneRecipe

REFERENCE_AT_ONCE = 8  # pairs


@dataclass
class Desk:
    """What stands ready before training. The corpora are by side; of pairs, the worse answers are in `worse`."""

    bench: Bench
    model: PreTrainedModel | PeftModel
    parameters: int  # of the model itself, an adapter's not counted
    non_embedding_parameters: int
    ends: int | None  # the token that ends an answer
    corpora: dict[str, Corpus]
    worse: dict[str, Corpus] = field(default_factory=dict)
    held_out_reference: np.ndarray | None = None
    held_out_pairs: Pairs | None = None

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.bench.tokenizer

    @property
    def speaking(self) -> Framing:
        """As the framing of documents, with the token that ends an answer."""
        framing = self.bench.framing
        return dataclasses.replace(framing, end=framing.end if self.ends is None else self.ends)


class Evaluator:
    """Measures the model on the held-out rows, lets it answer some of their prompts, and says both."""

    def __init__(self, session: Session, recipe: TuneRecipe, desk: Desk, lesson: Lesson | PairLesson) -> None:
        self.session, self.recipe, self.desk, self.lesson = session, recipe, desk, lesson
        self.first: dict[str, float | None] | None = None
        self.last: tuple[int, dict[str, float | None]] | None = None
        self.answers: dict[str, dict[int, str]] = {}
        self.ended = (0, 0)  # of the last answers: how many came to their end, and how many there were
        history = fold(read_journal(session.run.journal))
        for point in history.evaluations:
            if point.subject == "teacher":
                desk.bench.teacher_metrics = point.metrics
            else:
                self.first, self.last = self.first or point.metrics, (point.step, point.metrics)
        for sample in history.samples:
            self.answers.setdefault(sample.prompt, {})[sample.step] = sample.text

    def __call__(self, step: int, tokens: int) -> None:
        if self.last is not None and self.last[0] == step:
            return
        bench = self.desk.bench
        self.session.phase("evaluating", f"step {step}", safe_to_end=step == 0)
        metrics = self.measure(inner(self.desk.model))
        if bench.teacher is not None and bench.teacher_metrics is None and self.recipe.guided:
            bench.teacher_metrics = score(
                bench.teacher, bench.held_out, bench.framing, bench.length, bench.device
            ).metrics()
            self.session.say(ev.EvaluationLogged(0, 0, "teacher", bench.teacher_metrics))
        self.session.say(ev.EvaluationLogged(step, tokens, "student", metrics))
        self.first, self.last = self.first or metrics, (step, metrics)
        ends = step in (0, bench.steps)
        self.answer(step, self.recipe.sample_rows if ends else min(1, self.recipe.sample_rows))
        self.session.phase("training", safe_to_end=step == 0)

    def measure(self, model: PreTrainedModel) -> dict[str, float | None]:
        """Held-out figures: cross-entropy, perplexity and bits per byte of what is learnt, or loss and rewards of pairs."""
        bench, desk = self.desk.bench, self.desk
        if desk.held_out_pairs is None:
            scores = score(model, bench.held_out, bench.framing, bench.length, bench.device, bench.teacher)
            return scores.metrics()
        assert isinstance(self.lesson, PairLesson)
        pause = (lambda share: None) if self.session.step else self.session.progress
        return measure_pairs(
            self.lesson, desk.held_out_pairs, desk.held_out_reference, REFERENCE_AT_ONCE, bench.dtype, pause
        )

    def answer(self, step: int, count: int) -> None:
        """Let the model answer the first held-out prompts, the likeliest token each time, so that only learning changes the answers."""
        desk, tokenizer = self.desk, self.desk.tokenizer
        context = desk.bench.length
        asked = [ids[-max(1, context - 1) :] for ids in prompts_of(desk.corpora["held-out"], count) if ids]
        if not asked:
            return
        source = Path(self.recipe.model)
        source_or_none = source if (source / "generation_config.json").is_file() else None
        ends = set(generation_config(tokenizer, desk.speaking, source_or_none).eos_token_id or [])
        written = generate(
            inner(desk.model),
            asked,
            new_tokens=self.recipe.new_tokens,
            temperature=0.0,
            ends=ends,
            generator=torch.Generator().manual_seed(self.recipe.seed),
        )
        for ids, said in zip(asked, written, strict=True):
            prompt = tokenizer.decode(ids, skip_special_tokens=True)
            answer = tokenizer.decode(said.ids, skip_special_tokens=True)
            self.answers.setdefault(prompt, {})[step] = answer
            self.session.say(ev.SampleWritten(step, prompt, answer))
        self.ended = sum(said.ended for said in written), len(written)

    def before_and_after(self, steps: int) -> list[dict[str, str]]:
        return [
            {"prompt": prompt, "before": said[0], "after": said[steps]}
            for prompt, said in self.answers.items()
            if 0 in said and steps in said
        ]

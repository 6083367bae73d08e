"""What is known of benchmarks: few-shot counts of published tables, the score of a guess, the metric that is quoted, and which way is better.

The tasks themselves are lm-evaluation-harness's; names here are its names. Whatever is not listed is measured all the same, and drawn
on a raw scale.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import BadRecipe

SHOTS = "@"  # parts a task's name from its few-shot count: gsm8k_cot@8


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`chance` is what guessing scores in the quoted `metric` (0 to 1), None if that is not known."""

    title: str
    chance: float | None
    metric: str
    what: str


# Chance: one over the number of choices; TruthfulQA 22.6 % (Lin et al., arXiv 2109.07958); where an answer is written, guessing scores nothing.
BENCHMARKS: dict[str, Benchmark] = {
    "arc_easy": Benchmark("ARC easy", 0.25, "acc", "grade-school science, four choices"),
    "arc_challenge": Benchmark("ARC challenge", 0.25, "acc_norm", "the science questions that word statistics miss"),
    "piqa": Benchmark("PIQA", 0.5, "acc", "which of two ways works, in everyday physics"),
    "boolq": Benchmark("BoolQ", 0.5, "acc", "yes or no about a passage"),
    "hellaswag": Benchmark("HellaSwag", 0.25, "acc_norm", "how a situation goes on"),
    "winogrande": Benchmark("WinoGrande", 0.5, "acc", "whom a pronoun means"),
    "truthfulqa_mc1": Benchmark("TruthfulQA", 0.226, "acc", "questions that people answer wrongly"),
    "mmlu": Benchmark("MMLU", 0.25, "acc", "57 subjects of school and university"),
    "ceval-valid": Benchmark("C-Eval", 0.25, "acc", "52 subjects in Chinese"),
    "drop": Benchmark("DROP", 0.0, "f1", "reckoning with what a paragraph says"),
    "bbh": Benchmark("BBH", None, "exact_match", "27 tasks that need several steps of thought"),
    "gsm8k": Benchmark("GSM8K", 0.0, "exact_match", "grade-school word problems"),
    "gsm8k_cot": Benchmark("GSM8K", 0.0, "exact_match", "grade-school word problems, thinking aloud"),
    "humaneval": Benchmark("HumanEval", 0.0, "pass@1", "Python functions from their docstring, run against tests"),
    "mbpp": Benchmark("MBPP", 0.0, "pass_at_1", "small Python programs, run against tests"),
    "blimp": Benchmark("BLiMP", 0.5, "acc", "which of two sentences is grammatical"),
    "minimal_pairs": Benchmark("minimal pairs", 0.5, "accuracy", "which of two sentences is the right one"),
    "lambada_openai": Benchmark("LAMBADA", 0.0, "acc", "the last word of a passage"),
    "ifeval": Benchmark("IFEval", 0.0, "prompt_level_strict_acc", "instructions that a program can check"),
}
GROUPS = ("mmlu", "ceval-valid", "bbh", "blimp")  # whose members have their facts, unless they have their own

PRESETS: dict[str, tuple[str, ...]] = {
    # MiniMA (arXiv 2311.07052), table of the 3B students: few-shot counts of each benchmark
    "minima-six": ("mmlu@5", "ceval-valid@5", "drop@3", "bbh@3", "gsm8k_cot@8", "humaneval@0"),
    "quick": ("arc_easy@0", "piqa@0", "boolq@0"),
}

LOWER_IS_BETTER = (
    "ce",
    "kd",
    "perplexity",
    "word_perplexity",
    "byte_perplexity",
    "bits_per_byte",
    "ece",
    "repetition",
    "memory_bytes",
    "joules_per_token",
)


def known(task: str) -> Benchmark | None:
    """The facts of a task, or of the group that it belongs to (mmlu_anatomy, blimp_causative …)."""
    return BENCHMARKS.get(task) or BENCHMARKS.get(group_of(task) or "")


def group_of(task: str) -> str | None:
    """The group that a task is one of; None for the group itself."""
    return next((group for group in GROUPS if re.match(rf"{re.escape(group)}[_-]", task)), None)


def needs_consent(task: str) -> bool:
    """Whether a task is known to run what the model writes. The harness marks others; these are found when they are loaded."""
    return re.match(r"(humaneval|mbpp)(_|$)", task) is not None


def chance_of(task: str, metric: str) -> float | None:
    """What guessing scores. Only for the metrics that the chance was said for: acc and acc_norm have the same one."""
    facts = known(task)
    plain = metric.partition(",")[0]
    if facts is None or not (plain == facts.metric or {plain, facts.metric} <= {"acc", "acc_norm"}):
        return None
    return facts.chance


def higher_is_better(metric: str) -> bool:
    return metric.partition(",")[0].rpartition("/")[2] not in LOWER_IS_BETTER


def main_metric(task: str, metrics: Iterable[str]) -> str | None:
    """The metric that is quoted for a task, of those that were measured (`exact_match,strict-match` counts as exact_match)."""
    there = [name for name in metrics if "stderr" not in name]
    facts = known(task)
    wanted = [*([facts.metric] if facts else []), "acc", "exact_match"]
    for name in wanted:
        for metric in there:
            if metric.partition(",")[0] == name:
                return metric
    return there[0] if there else None


def parse_tasks(words: Iterable[str]) -> dict[str, int | None]:
    """Tasks in their order, each with its few-shot count, None for the task's own. A word is `name`, `name@5`, or a preset.

    BadRecipe for a count that is none, and for a task that is named twice with different counts.
    """
    found: dict[str, int | None] = {}
    for word in words:
        for entry in PRESETS.get(word, (word,)):
            name, mark, count = entry.partition(SHOTS)
            if not name or (mark and not count.isdecimal()):
                raise BadRecipe(f"{entry!r} is no task.", "Write it like arc_easy, or gsm8k_cot@8 for eight examples.")
            shots = int(count) if mark else None
            if name in found and found[name] != shots:
                raise BadRecipe(f"The task {name} is named twice with different few-shot counts.", "Keep one of them.")
            found[name] = shots
    return found

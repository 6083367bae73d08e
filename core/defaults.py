"""What a run does where its recipe leaves a choice open: one place that the plan and the engine both ask.

Every function returns the value and the reason for it, which the user sees. Pure functions; sizes are counts of tokens,
blocks (sequences of one length), steps or parameters, memory is in bytes.
"""

from __future__ import annotations

import math

from core.distill import SHORTEST_SEQUENCE, Builder

LONGEST_SEQUENCE = {"cpu": 512}  # elsewhere:
LONGEST_SEQUENCE_ON_GPU = 2048
DOCUMENTS_PER_BLOCK = 4

SMALLEST_BATCH_TOKENS = 1024
SMALLEST_BATCH_BLOCKS = 2
LARGEST_BATCH_TOKENS = 2 * 2**20
FEWEST_STEPS = 100

LARGEST_MICRO_BATCH = 32
MEMORY_SHARE = {"cpu": 0.5}  # other programs live there too, and swapping would be worse than small batches; elsewhere:
MEMORY_SHARE_OF_GPU = 0.8

HIGHEST_LEARNING_RATE = 1e-2
LEARNING_RATE_SHARES: dict[Builder, tuple[float, str]] = {
    "scratch": (1.0, ""),
    "prune": (0.2, ", a fifth of it because the student begins with its teacher's weights"),
    "masks": (0.2, ", a fifth of it because the student begins with its teacher's weights"),
    "inherit": (0.2, ", a fifth of it because the student begins with its teacher's weights"),
    "existing": (0.1, ", a tenth of it because the student is trained already"),
}

EVALUATIONS = CHECKPOINTS = 10

CHUNK_ENTRIES = {
    "cpu": 2**24
}  # scores at once: 64 MB of float32, about 500 rows at 32 000 entries; thinner products are slower
CHUNK_ENTRIES_ON_GPU = 2**26
FEWEST_CHUNK_ROWS, MOST_CHUNK_ROWS = 64, 2048  # fewer make thin products, more bring nothing

# while a teacher's answers are captured: of so many the likeliest are picked
SCORES_AT_ONCE = {"cpu": 2**20}  # 4 MB in float32, which stay in the processor's caches; elsewhere:
SCORES_AT_ONCE_ON_GPU = 2**25
TOKENS_AT_ONCE = {"cpu": 2048}  # in a batch; elsewhere:
TOKENS_AT_ONCE_ON_GPU = 16384

WRITTEN_ROWS = 256
WRITTEN_SCORES = 2**24  # in one step, over rows and vocabulary: 128 MB in float64

SCORED_ROWS = 4096
SCORED_LOGITS = 2**26  # 256 MB of float32 scores over the vocabulary
CALIBRATION_TOKENS = 1024  # enough to keep the products thick; more takes memory and no less time (measured on a CPU)

STEP_LAW_SOURCE = "Li et al., Predictable Scale: Part I, Step Law, 2025 (arXiv 2503.04715)"


def sequence_length(context: int, device_kind: str, longest_document: int | None = None) -> tuple[int, str]:
    """Positions in one block, for a model of `context` positions on a `device_kind` of cpu, cuda or mps.

    Attention ends with the document, so a block far longer than the longest document (in tokens) would teach nothing
    more; four of them in a block keep the share of documents that a block's end cuts small.
    """
    most = LONGEST_SEQUENCE.get(device_kind, LONGEST_SEQUENCE_ON_GPU)
    place = "the CPU" if device_kind == "cpu" else "a GPU"
    choices = [(most, f"longer blocks are slow on {place}"), (context, f"the model reads {context} positions")]
    if longest_document is not None:
        enough = 64 * max(1, math.ceil(DOCUMENTS_PER_BLOCK * longest_document / 64))
        choices.append((enough, f"the longest document has {longest_document} tokens, and blocks hold a few documents"))
    length, reason = min(choices, key=lambda choice: choice[0])
    return max(SHORTEST_SEQUENCE, length), f"{length} positions, because {reason}"


def batch_tokens(budget_tokens: int, sequence: int = LONGEST_SEQUENCE["cpu"]) -> tuple[int, str]:
    """Tokens in one optimizer step: B = 0.58 · D^0.571 for a budget of D tokens (Step Law, arXiv 2503.04715, eq. 1).

    Held between 2 blocks (or 1024 tokens) and 2M tokens, but never so large that the run has fewer than 100 steps, and
    rounded to a power of two of blocks, so that the micro-batch divides it; the law's optimum is broad.
    """
    law = 0.58 * budget_tokens**0.571
    least = max(SMALLEST_BATCH_TOKENS, SMALLEST_BATCH_BLOCKS * sequence)
    tokens, reason = law, "by the Step Law, 0.58·D^0.571 (arXiv 2503.04715)"
    if law < least:
        tokens, reason = least, f"the least that gives steady gradients; the Step Law's {law:.0f} is below it"
    elif law > LARGEST_BATCH_TOKENS:
        tokens, reason = LARGEST_BATCH_TOKENS, f"the most we take; the Step Law says {law:.0f}"
    if tokens * FEWEST_STEPS > budget_tokens:
        tokens, reason = budget_tokens / FEWEST_STEPS, f"small enough that the budget gives about {FEWEST_STEPS} steps"
    blocks = 2 ** max(0, round(math.log2(tokens / sequence)))
    return blocks * sequence, f"{blocks} {'block' if blocks == 1 else 'blocks'} of {sequence}: {reason}"


def steps(budget_tokens: int, tokens_per_step: int) -> int:
    """Optimizer steps that the budget takes, the last one whole."""
    return max(1, math.ceil(budget_tokens / tokens_per_step))


def learning_rate(non_embedding_params: int, budget_tokens: int, init: Builder) -> tuple[float, str]:
    """The peak of the learning rate: 1.79 · N^-0.713 · D^0.307 (Step Law, arXiv 2503.04715, eq. 1), at most 0.01.

    N parameters without embeddings, D tokens. The law is for students from scratch; the shares for the others are ours.
    """
    law = 1.79 * non_embedding_params**-0.713 * budget_tokens**0.307
    share, why = LEARNING_RATE_SHARES[init]
    capped = min(law, HIGHEST_LEARNING_RATE)
    cap = f", capped at {HIGHEST_LEARNING_RATE:g}" if capped < law else ""
    rate = float(f"{share * capped:.2g}")
    return rate, f"{rate:g}: the Step Law, 1.79·N^-0.713·D^0.307 (arXiv 2503.04715), gives {law:.2g}{cap}{why}"


def micro_batch(
    batch_blocks: int, *, bytes_per_block: int, fixed_bytes: int, free_bytes: int, device_kind: str
) -> tuple[int, str]:
    """Blocks held in memory at once: the largest divisor of `batch_blocks` that fits in a share of the free memory.

    `fixed_bytes` is what weights, gradients and moments take whatever the batch is, `bytes_per_block` what each block
    adds (core.estimate says both). At most 32; at least 1, even where the estimate says that it won't fit.
    """
    share = MEMORY_SHARE.get(device_kind, MEMORY_SHARE_OF_GPU)
    room = max(1, int((free_bytes * share - fixed_bytes) / bytes_per_block))
    blocks = max(n for n in range(1, min(batch_blocks, room, LARGEST_MICRO_BATCH) + 1) if batch_blocks % n == 0)
    if blocks == batch_blocks:
        return blocks, f"{blocks}, the whole step at once"
    if room < LARGEST_MICRO_BATCH:
        return blocks, f"{blocks}, because about {room} blocks fit in {share:.0%} of the free memory"
    return blocks, f"{blocks}, because more than {LARGEST_MICRO_BATCH} at once bring no speed"


def blocks_in_a_step(batch_tokens: int, sequence: int, processes: int) -> int:
    """Blocks of one optimizer step: about as many tokens as asked for, and a multiple of the run's processes."""
    return max(1, round(batch_tokens / sequence / processes)) * processes


def chunk_rows(rows: int, entries: int, device_kind: str) -> int:
    """Positions whose scores over `entries` of a vocabulary are held at once in training: about 2^24 scores on a CPU, 2^26 on a GPU.

    At least 64 and at most 2048, but never more than the `rows` there are.
    """
    most = CHUNK_ENTRIES.get(device_kind, CHUNK_ENTRIES_ON_GPU) // entries
    return max(1, min(rows, max(FEWEST_CHUNK_ROWS, min(MOST_CHUNK_ROWS, most))))


def evaluate_every(total_steps: int) -> tuple[int, str]:
    """Steps between evaluations."""
    return max(1, math.ceil(total_steps / EVALUATIONS)), f"{EVALUATIONS} evaluations over the run"


def checkpoint_every(total_steps: int) -> tuple[int, str]:
    """Steps between checkpoints."""
    return max(1, math.ceil(total_steps / CHECKPOINTS)), f"{CHECKPOINTS} checkpoints over the run"


def written_rows(entries: int) -> int:
    """Rows that a model with a vocabulary of `entries` writes at once."""
    return max(1, min(WRITTEN_ROWS, WRITTEN_SCORES // entries))


def scored_rows(vocabulary: int) -> int:
    """Tokens whose scores over the whole vocabulary are held at once when held-out text is read."""
    return max(1, min(SCORED_ROWS, SCORED_LOGITS // vocabulary))


def calibration_blocks(sequence: int, vocabulary: int) -> int:
    """Blocks read at once to score the parts of a teacher."""
    return max(1, min(CALIBRATION_TOKENS, scored_rows(vocabulary)) // sequence)

"""What a distillation holds in memory, part by part: arithmetic over shapes, no torch. What the engine holds at once, `core.defaults` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from core import defaults
from core.distill import DistillRecipe
from core.errors import Trouble
from core.models import ModelInfo
from core.numbers import bytes_text, count_text
from core.objectives import OBJECTIVES, Objective
from core.shapes import Shape, count_parameters, scratch_shapes, shape_of

# --- sizes ------------------------------------------------------------------------------------------------------------

STAND_IN_VOCABULARY = 32_000
STAND_IN_CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": STAND_IN_VOCABULARY,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Size:
    """How big a model is: counts of parameters, and the shape that tells what it holds in memory while it runs."""

    parameters: int
    non_embedding: int
    shape: Shape
    assumed: str = ""  # why the shape is a stand-in, where it is one

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Size:
        """Raises BadModel for a family outside `core.shapes.KNOWN_FAMILIES`."""
        count = count_parameters(config)
        return cls(count.total, count.non_embedding, shape_of(config))

    @classmethod
    def of_model(cls, info: ModelInfo) -> Size:
        """Exact counts; for an unknown architecture, the shape of a Llama of that size."""
        if info.shape is not None:
            return cls(info.parameters, info.non_embedding_parameters, info.shape)
        like = cls.stand_in(info.parameters, info.vocabulary or STAND_IN_VOCABULARY)
        shape = like.shape.model_copy(update={"context": info.context or like.shape.context})
        why = f"the architecture {info.architecture} is unknown here, so a Llama of its size stands in for it"
        return cls(info.parameters, info.non_embedding_parameters, shape, why)

    @classmethod
    def stand_in(cls, parameters: int, vocabulary: int | None = None) -> Size:
        """A Llama of about this size, for a model of which no more is known. Raises Trouble for less than about 5K."""
        rows = vocabulary or min(STAND_IN_VOCABULARY, round(4096 * (parameters / 3e6) ** 0.6))
        while True:
            try:
                best = scratch_shapes(STAND_IN_CONFIG | {"vocab_size": rows}, parameters, most=1)[0]
            except Trouble:  # so large a vocabulary leaves nothing for the layers of so small a model
                if rows < 64:
                    raise
                rows //= 2
                continue
            return cls(best.parameters, best.non_embedding, best.shape, "a Llama of this size stands in for the model")


@dataclass(frozen=True)
class Cast:
    """Who takes part in a run: the student, and the teachers, the first one first (empty: nobody to read or to cut)."""

    student: Size
    teachers: tuple[Size, ...] = ()

    def guides(self, recipe: DistillRecipe) -> tuple[Size, ...]:
        """The teachers that are in memory while the student learns: none of a cache, and none of a run without guidance."""
        return self.teachers if recipe.use_teacher and recipe.source != "cache" else ()


# --- parts ------------------------------------------------------------------------------------------------------------


class Part(BaseModel):
    """A share of memory or disk: `error` is the share by which the truth may lie on either side."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    error: float
    reason: str


WEIGHTS_ERROR = 0.02
WORKING_ERROR = 0.25

# What autograd keeps of one layer for each token: bytes for each unit of (width, heads · head width, key-value heads ·
# head width, neurons, heads · sequence, sequence), in float32 and under bf16 autocast. Fitted to the tensors that
# transformers 5.23 saves on random shapes of each family with packed documents; the fit's error is below 7 %.
_Bytes = tuple[float, float, float, float, float, float]
_LLAMA: tuple[_Bytes, _Bytes] = ((24, 8, 8, 16, 0, 4), (26, 6, 2, 8, 0, 2))
_SAVED: dict[str, tuple[_Bytes, _Bytes]] = {
    "qwen3": ((24, 16, 16, 16, 0, 4), (26, 12, 8, 8, 0, 2)),  # norms on queries and keys
    "gemma2": ((40, 16, 0, 16, 8, 0), (42, 8, 0, 8, 8, 0)),  # four norms; its softcap needs the scores themselves
    "gemma3_text": ((40, 16, 16, 16, 0, 4), (42, 14, 10, 8, 0, 2)),
    "gpt2": ((32, 0, 0, 20, 0, 4), (20, 0, 0, 10, 0, 2)),
    "gpt_neox": ((40, 0, 0, 8, 0, 4), (22, 0, 0, 4, 0, 2)),
}
FLOAT_BYTES = 4
TEACHER_BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0625, "int4": 0.5625}  # a parameter; block scales included
GUIDED_SCORES, ALONE_SCORES = 7.0, 2.5  # of held-out text: float32 values for each row of a chunk and each entry
MASKED_SCORES = 3.5  # the same where masks are learnt, for each row
# What `core.engine.fused` holds of a chunk: float32 values for each position and entry, counted there (tests/core/test_estimate.py)
CHUNK_VALUES: dict[Objective, float] = {
    "top1": 3.4,
    "skew_kl": 5.4,
    "top_p": 12,
    "dac_kl": 29.5,
    "sinkhorn": 8.4,
}  # the others:
PLAIN_CHUNK, CACHED_CHUNK, ALONE_CHUNK = 4.4, 2.5, 2.4
SOFTENED, MIXED = 2.0, 2.0  # more of them: for a temperature other than 1, for several teachers
SINKHORN_ROWS = 32
ALIGNED_SCORES, ALIGNED_VALUES, FEWEST_ALIGNED_ROWS = 2**21, 12.0, 16  # of texts in two tokenizers
ALLOCATOR_SHARE = {"cpu": 0.25}  # measured: blocks that the C library keeps between uses; a GPU's own allocator:
ALLOCATOR_SHARE_OF_GPU = 0.1
PROCESS_BYTES = {"cpu": 450_000_000}  # measured: Python with all that is imported, and a little text; the CUDA context:
PROCESS_BYTES_ON_GPU = 600_000_000


class Memory(BaseModel):
    """What training holds on its device: parts that do not depend on the micro-batch, bytes for each block, and of a chunk's scores."""

    model_config = ConfigDict(frozen=True)

    fixed: tuple[Part, ...]
    sequence: int
    activations_per_block: int
    chunk_rows: int  # positions whose scores are held at once, at most
    chunk_bytes_per_row: int
    head_bytes: int  # the head's gradient and copies while a chunk is gone through
    allocator_share: float

    @property
    def fixed_bytes(self) -> int:
        """Whatever the micro-batch is."""
        return sum(part.bytes for part in self.fixed) + round(
            self._logits(self.chunk_rows) * (1 + self.allocator_share)
        )

    @property
    def bytes_per_block(self) -> int:
        return round(self.activations_per_block * (1 + self.allocator_share))

    def _logits(self, rows: int) -> int:
        return rows * self.chunk_bytes_per_row + self.head_bytes

    def parts(self, micro_batch: int) -> tuple[Part, ...]:
        """All parts at a micro-batch of so many blocks."""
        blocks = f"{micro_batch} block{'s' if micro_batch != 1 else ''} at once"
        rows = min(self.chunk_rows, micro_batch * self.sequence)
        logits, activations = self._logits(rows), micro_batch * self.activations_per_block
        return (
            *self.fixed,
            Part(
                name="activations",
                bytes=activations,
                error=WORKING_ERROR,
                reason=f"what the models keep of a forward pass, {blocks}",
            ),
            Part(
                name="logits",
                bytes=logits,
                error=WORKING_ERROR,
                reason=f"scores over the vocabulary, {rows} positions at once, and the head's gradient",
            ),
            Part(
                name="allocator",
                bytes=round((activations + logits) * self.allocator_share),
                error=0.5,
                reason="memory that was used once and is kept for the next step",
            ),
        )


def kind_of(device_id: str) -> str:
    """cpu, cuda or mps."""
    return device_id.split(":")[0]


# --- training ---------------------------------------------------------------------------------------------------------


def activation_bytes_per_token(shape: Shape, sequence: int, bf16: bool, checkpointing: bool = False) -> int:
    """Bytes that the backward pass needs of the forward pass, for each token in a block of `sequence` tokens.

    With checkpointing, the input of every layer and all of one layer.
    """
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    units = (shape.hidden, queries, keys, shape.intermediate, shape.heads * sequence, sequence)
    saved = _SAVED.get(shape.model_type, _LLAMA)[bf16]
    layer = sum(count * size for count, size in zip(units, saved, strict=True))
    final_norm = 8 * shape.hidden
    if checkpointing:
        return round(FLOAT_BYTES * shape.hidden * shape.layers + layer + final_norm)
    return round(layer * shape.layers + final_norm)


def reading_bytes_per_token(shape: Shape, value_bytes: float) -> float:
    """Bytes that a model holds of one token while it reads without learning: one layer at work, and the stream between layers."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return value_bytes * (5 * shape.hidden + 2 * queries + 4 * keys + 3 * shape.intermediate)


def training_memory(
    recipe: DistillRecipe, cast: Cast, *, sequence: int, device_id: str, bf16: bool, processes_here: int = 1
) -> Memory:
    """What training takes on the student's device; with several processes, what each of them takes."""
    student, guides, kind = cast.student, cast.guides(recipe), kind_of(device_id)
    parts = [process_part(kind)]
    if guides and on_this_device(recipe, device_id):
        parts.append(teacher_part(recipe, guides, bf16))
    parts += _student_parts(recipe, student, bf16)
    rows, values = chunk(recipe, guides, student, kind)
    width = student.shape.vocabulary
    if recipe.objective in ("uld", "gold") and guides:
        width = max(width, *(guide.shape.vocabulary for guide in guides))
    head = width * student.shape.hidden * (FLOAT_BYTES + (2 if bf16 else 0))
    return Memory(
        fixed=tuple(parts),
        sequence=sequence,
        activations_per_block=_activations(recipe, guides, student, sequence, bf16),
        chunk_rows=rows,
        chunk_bytes_per_row=round(values * FLOAT_BYTES * width),
        head_bytes=head,
        allocator_share=ALLOCATOR_SHARE.get(kind, ALLOCATOR_SHARE_OF_GPU),
    )


def on_this_device(recipe: DistillRecipe, device_id: str) -> bool:
    """False if the teacher has a device of its own."""
    return recipe.teacher_device in (None, device_id)


def teacher_part(recipe: DistillRecipe, teachers: Sequence[Size], bf16: bool) -> Part:
    precision = recipe.teacher_precision
    if precision == "auto":
        precision = "bfloat16" if bf16 else "float32"
    size = sum(_teacher_bytes(teacher, precision, bf16) for teacher in teachers)
    whose = f"{count_text(sum(each.parameters for each in teachers))} parameters"
    if len(teachers) > 1:
        whose = f"{len(teachers)} teachers, {whose}"
    return weights_part("teacher weights", size, f"{whose} in {precision}")


def _teacher_bytes(teacher: Size, precision: str, bf16: bool) -> int:
    """Only the layers are quantized; embeddings and head stay as the arithmetic is."""
    whole = TEACHER_BYTES["bfloat16" if bf16 else "float32"]
    if precision in ("float32", "bfloat16"):
        return round(TEACHER_BYTES[precision] * teacher.parameters)
    return round(
        TEACHER_BYTES[precision] * teacher.non_embedding + whole * (teacher.parameters - teacher.non_embedding)
    )


def _student_parts(recipe: DistillRecipe, student: Size, bf16: bool) -> list[Part]:
    n = student.parameters
    shared = recipe.processes if recipe.strategy == "fsdp" else 1
    here = "" if shared == 1 else f", shared by {shared} processes"
    exchange = recipe.processes > 1 and shared == 1
    why = "one float32 for each parameter of the student" + (
        ", and one in exchange with the others" if exchange else ""
    )
    parts = [
        weights_part(
            "student weights",
            4 * n // shared,
            f"{count_text(n)} parameters; the ones that are trained stay in float32{here}",
        ),
        weights_part("gradients", (8 if exchange else 4) * n // shared, f"{why}{here}"),
        weights_part(
            "optimizer", 8 * n // shared, f"AdamW keeps two float32 moments for each parameter of the student{here}"
        ),
    ]
    if bf16:
        parts.append(weights_part("bf16 copies", 2 * n, "autocast keeps a bf16 copy of the student's weights"))
    return parts


def chunk(recipe: DistillRecipe, guides: Sequence[Size], student: Size, device_kind: str) -> tuple[int, float]:
    """Positions whose scores are held at once in training, at most, and float32 values for each of them and each entry."""
    entries = student.shape.vocabulary
    rows = recipe.chunk_rows or defaults.chunk_rows(defaults.MOST_CHUNK_ROWS, entries, device_kind)
    if not recipe.use_teacher or OBJECTIVES[recipe.objective].needs == "states":
        return rows, ALONE_CHUNK
    if OBJECTIVES[recipe.objective].needs == "text":
        widest = max(entries, *(guide.shape.vocabulary for guide in guides), 1)
        return recipe.chunk_rows or max(FEWEST_ALIGNED_ROWS, ALIGNED_SCORES // widest), ALIGNED_VALUES
    values = CACHED_CHUNK if recipe.source == "cache" else CHUNK_VALUES.get(recipe.objective, PLAIN_CHUNK)
    values += SOFTENED * (recipe.temperature != 1.0) + MIXED * (len(guides) > 1)
    return min(rows, SINKHORN_ROWS) if recipe.objective == "sinkhorn" else rows, values


def _activations(recipe: DistillRecipe, guides: Sequence[Size], student: Size, sequence: int, bf16: bool) -> int:
    """Bytes for each block: what the student keeps for the backward pass, and the last states of its teachers; or, where that is
    more, a teacher at work."""
    learning = activation_bytes_per_token(student.shape, sequence, bf16, recipe.gradient_checkpointing)
    if recipe.gradient_checkpointing:  # a layer is run through anew while the one after it is given back
        learning += activation_bytes_per_token(student.shape.model_copy(update={"layers": 1}), sequence, bf16)
    learning += (12 if bf16 else 8) * student.shape.hidden  # the states of the rows that count, and their gradient
    value = 2 if bf16 or recipe.teacher_precision == "bfloat16" else FLOAT_BYTES
    kept = float(sum(value * guide.shape.hidden for guide in guides))
    kept += sum(_states_bytes(recipe, student.shape, guide.shape, sequence, value) for guide in guides[:1])
    working = max((reading_bytes_per_token(guide.shape, value) for guide in guides), default=0.0)
    return round(sequence * (kept + max(learning, working)))


def _states_bytes(recipe: DistillRecipe, student: Shape, teacher: Shape, sequence: int, value_bytes: int) -> float:
    """For each token, what the losses on hidden states and relations keep beside the student's own activations."""
    found = 0.0
    if recipe.objective == "hidden" or recipe.hidden_weight:
        found += value_bytes * teacher.hidden * teacher.layers
        found += FLOAT_BYTES * student.layers * (student.hidden + 3 * teacher.hidden)
    if recipe.objective == "relations" or recipe.relation_weight:
        heads = min(student.heads, teacher.heads)
        found += (
            FLOAT_BYTES * heads * sequence * (3 * 2 + 3)
        )  # of queries, keys and values, of both; and one more at work
    return found


# --- other phases -----------------------------------------------------------------------------------------------------


def phases(
    recipe: DistillRecipe,
    cast: Cast,
    memory: Memory,
    *,
    sequence: int,
    step_tokens: int,
    device_id: str,
    bf16: bool,
    cached: bool,
) -> dict[str, int]:
    """Bytes that are held at once in the phases beside training, by what is done. `cached`: the teacher's answers are there already."""
    kind, n = kind_of(device_id), cast.student.parameters
    held = sum(part.bytes for part in memory.fixed)

    def at_work(size: int) -> int:
        return round(size * (1 + memory.allocator_share))

    found = {"scoring held-out text": held + at_work(_scoring(recipe, cast, sequence, kind))}
    if not cast.teachers:
        return found
    before = process_part(kind).bytes + 4 * n  # the student is made before the gradients and moments are
    if on_this_device(recipe, device_id):
        before += teacher_part(recipe, cast.teachers[:1], bf16).bytes
    if recipe.init in ("prune", "masks"):
        found["building the student"] = before + at_work(_building(recipe, cast.teachers[0], sequence))
    if recipe.use_teacher and recipe.source == "cache" and not cached:
        found["asking the teacher"] = before + _asking(recipe, cast.teachers[0], kind, bf16)
    if recipe.use_teacher and recipe.source == "on-policy":
        writers = (cast.student, *(cast.teachers[:1] if recipe.teacher_mix else ()))
        found["writing"] = held + _writing(recipe, writers, sequence, step_tokens, bf16)
    return found


def _scoring(recipe: DistillRecipe, cast: Cast, sequence: int, device_kind: str) -> int:
    judged = cast.guides(recipe) and OBJECTIVES[recipe.objective].needs != "text"
    vocabulary = cast.student.shape.vocabulary
    tokens = min(max(sequence, defaults.scored_rows(vocabulary)), recipe.validation_tokens + sequence // 2)
    rows = defaults.chunk_rows(tokens, vocabulary, device_kind)
    readers = (cast.student, *(cast.guides(recipe) if judged else ()))
    reading = tokens * max(reading_bytes_per_token(size.shape, FLOAT_BYTES) for size in readers)
    return round(reading + rows * (GUIDED_SCORES if judged else ALONE_SCORES) * FLOAT_BYTES * vocabulary)


def _building(recipe: DistillRecipe, cut: Size, sequence: int) -> int:
    """The teacher at work on calibration text: it reads, and for masks it has scores and a backward pass."""
    held = reading_bytes_per_token(cut.shape, FLOAT_BYTES)
    if recipe.init == "masks":
        held = activation_bytes_per_token(cut.shape, sequence, False)
        held += MASKED_SCORES * FLOAT_BYTES * cut.shape.vocabulary
    blocks = min(defaults.calibration_blocks(sequence, cut.shape.vocabulary), recipe.calibration_blocks)
    return round(blocks * sequence * held)


def _asking(recipe: DistillRecipe, teacher: Size, device_kind: str, bf16: bool) -> int:
    tokens = defaults.TOKENS_AT_ONCE.get(device_kind, defaults.TOKENS_AT_ONCE_ON_GPU)
    vocabulary = teacher.shape.vocabulary
    chosen = max(vocabulary, defaults.SCORES_AT_ONCE.get(device_kind, defaults.SCORES_AT_ONCE_ON_GPU))
    made = defaults.chunk_rows(tokens, vocabulary, device_kind) * vocabulary
    scores = made * (1.5 if bf16 else 1) + 4 * chosen  # in half precision they are made, and then widened
    answers = 3 * 12 * recipe.top_k  # an id and a number for each entry, on their way to the disk
    return round(tokens * (reading_bytes_per_token(teacher.shape, 2 if bf16 else 4) + answers) + FLOAT_BYTES * scores)


def _writing(recipe: DistillRecipe, writers: Sequence[Size], sequence: int, step_tokens: int, bf16: bool) -> int:
    """Keys and values of all that is written at once, and the scores of its next tokens, in float64 too."""
    found = 0.0
    for writer in writers:
        shape = writer.shape
        rows = defaults.written_rows(shape.vocabulary)
        at_once = min(rows, max(1, step_tokens * defaults.DOCUMENTS_PER_BLOCK // sequence))
        positions = min(rows * sequence, max(sequence, recipe.on_policy_share * step_tokens))
        found += positions * 2 * shape.layers * shape.kv_heads * shape.head_dim * (2 if bf16 else FLOAT_BYTES)
        found += at_once * shape.vocabulary * (FLOAT_BYTES + 2 * 8)
    return round(found)


def other_phases(totals: Mapping[str, int], training_bytes: int) -> Part | None:
    """What the highest of the other phases takes beyond training."""
    phase, most = max(totals.items(), key=lambda item: item[1])
    if most <= training_bytes:
        return None
    reason = f"{phase} takes {bytes_text(most)} at once, more than a training step"
    return Part(name="other phases", bytes=most - training_bytes, error=WORKING_ERROR, reason=reason)


def weights_part(name: str, size_bytes: int, reason: str) -> Part:
    return Part(name=name, bytes=size_bytes, error=WEIGHTS_ERROR, reason=reason)


def process_part(device_kind: str) -> Part:
    size = PROCESS_BYTES.get(device_kind, PROCESS_BYTES_ON_GPU)
    what = "Python with torch and transformers" if device_kind == "cpu" else "the driver's context and its workspaces"
    return Part(name="process", bytes=size, error=0.2, reason=f"{what}, whatever the models are")

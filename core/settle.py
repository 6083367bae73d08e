"""A recipe settled: complete and exact, with all that stands against it said before a run is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from core import law
from core.cache import BadCache, cache_problems, read_manifest, teacher_fingerprint
from core.chain import ChainRecipe, settle_chain
from core.distill import QUANTIZED, DistillRecipe
from core.documents import refuse_without_answers
from core.errors import BadData, BadModel, BadRecipe, Trouble
from core.measure import MeasureRecipe
from core.model_files import read_config
from core.model_folders import resolve_model
from core.models import ModelInfo, inspect_model
from core.numbers import count_text
from core.objectives import OBJECTIVES, objective_words, source_words
from core.recipe import Problem, Recipe, read_recipe
from core.shapes import KNOWN_FAMILIES, Shape, config_for, count_parameters, shape_of, validate_cut
from core.speed import memory_bandwidth
from core.students import CUTS, TARGET_TOLERANCE, inherited_shape, student_shapes
from core.target import Target, check_device, chosen_device, has_weights, parse_amount, parse_target
from core.tokenizer import same_tokenizer


def settle(recipe: DistillRecipe) -> DistillRecipe:
    """The recipe made exact and complete: absolute paths, Hub names as folders, the target as a shape, and an objective that
    compares texts where the tokenizers differ; then checked.

    Settling a settled recipe changes nothing, and the same recipe on the same files gives the same result (a target in
    tokens a second is measured, so it alone may come out otherwise until it is settled). Raises BadRecipe with all
    problems and BadModel for a folder that is no usable model. A named cache is compared with the teacher's weights, which takes
    about a second a gigabyte.
    """
    check_device(recipe.device)
    placed = with_absolute_paths(recipe)
    teacher = inspect_model(Path(placed.teacher), placed.allow_remote_code) if placed.teacher else None
    target = parse_target(placed.student)
    existing = existing_student(target, placed.allow_remote_code)
    if existing is not None:
        settled = placed.model_copy(update={"init": "existing", "shape": None, "student": str(existing.path)})
    else:
        settled = placed.model_copy(update={"shape": _settled_shape(placed, target, teacher)})
    settled = aligned(settled, teacher, existing)
    further, problems = further_teachers(settled)
    problems += recipe_problems(settled, teacher, existing, _student_parameters(settled, teacher, existing), further)
    problems += _device_problems(settled) + _answer_problems(settled) + named_cache_problems(settled, teacher, True)
    _raise([*problems, *(problem for problem in settled.problems() if problem not in problems)])
    return settled


def aligned(recipe: DistillRecipe, teacher: ModelInfo | None, existing: ModelInfo | None) -> DistillRecipe:
    """With GOLD, which compares texts, in the place of the default objective where teacher and student have different tokenizers."""
    default = (recipe.objective, recipe.source) == ("forward_kl", "corpus")
    if not default or not recipe.use_teacher or shares_tokenizer(teacher, existing)[0]:
        return recipe
    return recipe.model_copy(update={"objective": "gold"})


def without_unread(recipe: DistillRecipe) -> DistillRecipe:
    """The recipe without what only another source reads, so that one can be changed for another."""
    fields = set(_ON_POLICY if recipe.source != "on-policy" else ()) | set(
        ("cache",) if recipe.source != "cache" else ()
    )
    return recipe.model_copy(update={name: DistillRecipe.model_fields[name].default for name in fields})


_ON_POLICY = ("on_policy_share", "new_tokens", "teacher_mix")


def settle_any(recipe: Recipe) -> Recipe:
    """A recipe of whatever kind, settled as its command would: whole paths, Hub names as folders, sizes and shapes found; then checked."""
    if isinstance(recipe, DistillRecipe):
        return settle(recipe)
    if isinstance(recipe, ChainRecipe):
        return settle_chain(recipe)
    if isinstance(recipe, MeasureRecipe):
        return recipe.model_copy(update={"of": settle(recipe.of)}).check()
    return _placed(recipe, lambda name: str(resolve_model(name)), _absolute).check()


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)
_MODELS, _LISTS_OF_MODELS = ("teacher", "model"), ("more_teachers",)
_PATHS, _LISTS_OF_PATHS = ("cache", "out", "adapter"), ("data",)


def beside(recipe: AnyRecipe, folder: Path) -> AnyRecipe:
    """The recipe of a file in `folder`, of whatever kind, with its relative paths read from there. A Hub name and a size stay as they are."""
    return _placed(recipe, lambda name: _model_beside(name, folder), lambda path: _path_beside(path, folder))


def read_beside(path: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """The recipe of a file, of that kind, with its relative paths read from where the file lies. Raises BadRecipe."""
    recipe = read_recipe(path)
    if not isinstance(recipe, kind):
        wanted = kind.model_fields["kind"].default
        raise BadRecipe(f"{path.name} is a recipe of the kind {recipe.kind}, not {wanted}.", "Choose another file.")
    return beside(recipe, path.parent)


def _placed(recipe: AnyRecipe, model: Callable[[str], str], path: Callable[[str], str]) -> AnyRecipe:
    """The recipe with every model it names read by `model` and every other path by `path`, in the recipe within it, too."""
    changes: dict[str, Any] = {}
    for name in type(recipe).model_fields:
        said = getattr(recipe, name)
        if said is None:
            continue
        if isinstance(said, Recipe):
            changes[name] = _placed(said, model, path)
        elif name in _MODELS or (name == "student" and parse_amount(said) is None):
            changes[name] = model(said)
        elif name in _LISTS_OF_MODELS:
            changes[name] = tuple(model(item) for item in said)
        elif name in _PATHS:
            changes[name] = path(said)
        elif name in _LISTS_OF_PATHS:
            changes[name] = tuple(path(item) for item in said)
    return recipe.model_copy(update=changes)


def _path_beside(path: str, folder: Path) -> str:
    return str(folder.absolute() / Path(path).expanduser())


def _model_beside(name_or_path: str, folder: Path) -> str:
    placed = _path_beside(name_or_path, folder)
    if Path(placed).exists() or Path(name_or_path).is_dir():  # a folder of that name where the user stands is not meant
        return placed
    try:
        resolve_model(name_or_path)
    except BadModel:
        return placed
    return name_or_path


def _raise(problems: Sequence[Problem]) -> None:
    if problems:
        raise BadRecipe("\n".join(f"{problem.field}: {problem.text}" for problem in problems))


def with_absolute_paths(recipe: DistillRecipe) -> DistillRecipe:
    """The recipe with whole paths, and Hub names as folders."""
    teacher = None if recipe.teacher is None else str(resolve_model(recipe.teacher))
    target = parse_target(recipe.student)
    return recipe.model_copy(
        update={
            "teacher": teacher,
            "more_teachers": tuple(str(resolve_model(item)) for item in recipe.more_teachers),
            "student": str(target.path) if target.path is not None else target.text,
            "data": tuple(_absolute(item) for item in recipe.data),
            **{
                name: None if path is None else _absolute(path)
                for name in ("cache", "out", "measure_files", "measure_pairs")
                for path in [getattr(recipe, name)]
            },
        }
    )


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _settled_shape(recipe: DistillRecipe, target: Target, teacher: ModelInfo | None) -> Shape | None:
    """The shape of a student that has yet to be made."""
    if recipe.init == "existing":
        if target.path is None:
            raise BadRecipe(
                f"student: {recipe.student} is no model folder, but the student shall be an existing model.",
                "Name the folder of a model, or another way to make the student (prune, masks, inherit, scratch).",
            )
        inspect_model(target.path, recipe.allow_remote_code)  # says what is missing there
    if target.path is not None:
        return shape_of(read_config(target.path))
    if teacher is None:
        _raise(recipe.problems())
        return recipe.shape
    _raise(_builder_problems(recipe, teacher))
    config = read_config(teacher.path)
    try:
        if recipe.shape is not None:
            _raise(_shape_problems(recipe, recipe.shape, target, teacher, config))
            return recipe.shape
        bandwidth = memory_bandwidth(chosen_device(recipe.device)[0]) if target.kind == "speed" else None
        params = target.parameters(teacher.parameters, bandwidth)
        _raise(_size_problems(teacher, params))
        return student_shapes(config, params, recipe.init)[0].shape
    except BadRecipe:
        raise
    except Trouble as trouble:
        raise BadRecipe(f"student: {trouble.what}", trouble.way_out) from trouble


def _shape_problems(
    recipe: DistillRecipe, shape: Shape, target: Target, teacher: ModelInfo, config: Mapping[str, Any]
) -> list[Problem]:
    """What is wrong with a shape that stands in the recipe already: it doesn't fit the teacher, or not the target."""
    if recipe.init != "scratch" and teacher.shape is not None:
        wrong = validate_cut(teacher.shape, shape)
        if recipe.init == "inherit" and shape != teacher.shape.model_copy(update={"layers": shape.layers}):
            wrong.append("inherited layers keep all widths of the teacher")
        if wrong:
            return [Problem(field="shape", text=f"It can't be cut from {teacher.name}: {'; '.join(wrong)}.")]
    params = count_parameters(config_for(config, shape)).total
    if target.kind == "speed":
        return []
    asked = target.parameters(teacher.parameters)
    tolerance = TARGET_TOLERANCE
    if recipe.init == "inherit":  # whole layers only: the nearest is right however far it is
        tolerance += abs(inherited_shape(config, asked).parameters / asked - 1)
    if abs(params / asked - 1) <= tolerance:
        return []
    text = (
        f"The shape has {count_text(params)} parameters, but the student shall have {count_text(asked)} "
        f"({target.text}). Leave the shape out, and it is found anew, or change the target."
    )
    return [Problem(field="shape", text=text)]


def _student_parameters(recipe: DistillRecipe, teacher: ModelInfo | None, existing: ModelInfo | None) -> int | None:
    if existing is not None:
        return existing.parameters
    if recipe.shape is None:
        return None
    folder = teacher.path if teacher is not None else Path(recipe.student)
    config = read_config(folder)
    if config["model_type"] != recipe.shape.model_type:  # a described student of another family than its teacher
        config = read_config(Path(recipe.student))
    return count_parameters(config_for(config, recipe.shape)).total


def recipe_problems(
    recipe: DistillRecipe,
    teacher: ModelInfo | None,
    existing: ModelInfo | None,
    student_params: int | None,
    further: Sequence[ModelInfo] = (),
) -> list[Problem]:
    """What teachers and student have against each other, beyond what the recipe says by itself (`DistillRecipe.problems`).

    `existing` is the student where it is a model already, `further` are the teachers beside the first.
    """
    found = []
    if teacher is not None:
        found += _builder_problems(recipe, teacher)
        found += _size_problems(teacher, student_params)
        if existing is None:
            found += _vocabulary_problems(recipe, teacher)
        if recipe.use_teacher:
            found += _tokenizer_problems(recipe, teacher, existing)
            found += _further_problems(existing or teacher, teacher, further, student_params)
            found += _states_problems(recipe, [model for model in (teacher, existing) if model is not None])
            found += _answers_problems(recipe, teacher)
            found += _teacher_problems(recipe)
    found += _sequence_problems(recipe, [model for model in (teacher, existing, *further) if model is not None])
    if recipe.chunk_rows is not None and recipe.chunk_rows > MOST_CHUNK_ROWS:
        text = (
            f"{recipe.chunk_rows:,} positions at once bring no speed and take memory. Take {MOST_CHUNK_ROWS:,} at most."
        )
        found.append(Problem(field="chunk_rows", text=text))
    return found


MOST_CHUNK_ROWS = 2**16


def further_teachers(recipe: DistillRecipe) -> tuple[list[ModelInfo], list[Problem]]:
    """The teachers beside the first, and why some can't be used."""
    found, problems = [], []
    for name in recipe.more_teachers:
        try:
            found.append(inspect_model(resolve_model(name), recipe.allow_remote_code))
        except BadModel as trouble:
            problems.append(Problem(field="more_teachers", text=str(trouble)))
    return found, problems


def shares_tokenizer(teacher: ModelInfo | None, existing: ModelInfo | None) -> tuple[bool, str]:
    """A student that has yet to be made takes its teacher's."""
    if teacher is None or existing is None:
        return True, ""
    return same_tokenizer(existing.tokenizer, teacher.tokenizer)


def _tokenizer_problems(recipe: DistillRecipe, teacher: ModelInfo, existing: ModelInfo | None) -> list[Problem]:
    same, why = shares_tokenizer(teacher, existing)
    if same or existing is None:
        return []
    facts = OBJECTIVES[recipe.objective]
    if facts.needs != "text":
        text = (
            f"{existing.name} and its teacher {teacher.name} have different tokenizers ({why}), so {facts.title} can't compare "
            f"what they expect next. Choose {objective_words('gold')} or {objective_words('uld')}, which compare texts, "
            "or a teacher of the same tokenizer."
        )
        return [Problem(field="objective", text=text)]
    if recipe.hidden_weight or recipe.relation_weight:
        text = (
            f"{existing.name} and its teacher {teacher.name} have different tokenizers ({why}), so their states stand at different "
            "places of the text. Set the weights of hidden states and relations to 0."
        )
        return [Problem(field="hidden_weight" if recipe.hidden_weight else "relation_weight", text=text)]
    return []


def _further_problems(
    reader: ModelInfo, first: ModelInfo, further: Sequence[ModelInfo], student_params: int | None
) -> list[Problem]:
    """Why the teachers beside the first can't be mixed with it. `reader` has the student's tokenizer."""
    texts, seen = [], {first.path.resolve()}
    for model in further:
        if model.path.resolve() in seen:
            texts.append(f"{model.name} is named twice. Name every teacher once, and give it more weight instead.")
        seen.add(model.path.resolve())
        if model.is_adapter:
            texts.append(f"{model.name} is an adapter and works on top of its base model only. Merge it first.")
        same, why = same_tokenizer(reader.tokenizer, model.tokenizer)
        if not same:
            texts.append(
                f"{model.name} has another tokenizer than {reader.name} ({why}), so their distributions can't be mixed. Leave it "
                f"out, or let it teach alone with {objective_words('gold')}."
            )
        texts += [problem.text for problem in _size_problems(model, student_params)]
    return [Problem(field="more_teachers", text=text) for text in texts]


def _states_problems(recipe: DistillRecipe, models: Sequence[ModelInfo]) -> list[Problem]:
    """Hidden states and relations are taken from inside a model, whose parts must be known."""
    inside = {"hidden_weight": recipe.hidden_weight, "relation_weight": recipe.relation_weight}
    fields = [name for name, weight in inside.items() if weight]
    if OBJECTIVES[recipe.objective].needs == "states":
        fields.insert(0, "objective")
    known = ", ".join(sorted(KNOWN_FAMILIES))
    return [
        Problem(
            field=fields[0],
            text=f"The parts of {model.name} ({model.architecture}) are not known here, so its states and relations can't be followed; "
            f"known are {known}. Choose another objective, and set their weights to 0.",
        )
        for model in models
        if fields and model.shape is None
    ]


def _answers_problems(recipe: DistillRecipe, teacher: ModelInfo) -> list[Problem]:
    """What is said about a source that isn't the recipe's, and more entries than there are."""
    found = []
    if recipe.cache is not None and recipe.source != "cache":
        why = (
            "That needs the teacher itself, for nobody could have kept answers to what the student is yet to write. "
            if recipe.source == "on-policy"
            else ""
        )
        text = (
            f"A cache is named, but the source is {source_words(recipe.source)}. {why}"
            f"Choose {source_words('cache')}, or leave it out."
        )
        found.append(Problem(field="cache", text=text))
    told = {
        "on_policy_share": "The share λ of blocks that the student writes",
        "new_tokens": "How much the student writes",
    }
    for field, words in told.items():
        if recipe.source != "on-policy" and getattr(recipe, field) != DistillRecipe.model_fields[field].default:
            why = "; a cache has no answers to what it would write" if recipe.source == "cache" else ""
            text = (
                f"{words} means nothing with the source {source_words(recipe.source)}{why}. "
                f"Choose {source_words('on-policy')}, or leave it out."
            )
            found.append(Problem(field=field, text=text))
    entries = min((n for n in (teacher.vocabulary, teacher.tokenizer.vocabulary) if n), default=None)
    if recipe.source == "cache" and recipe.cache is None and entries is not None and recipe.top_k > entries:
        text = (
            f"{recipe.top_k} tokens at each position are more than the {entries:,} that {teacher.name} has. Lower it."
        )
        found.append(Problem(field="top_k", text=text))
    return found


def _teacher_problems(recipe: DistillRecipe) -> list[Problem]:
    """What the teacher's precision and device don't allow."""
    found = []
    if recipe.teacher_precision in QUANTIZED:
        if find_spec("bitsandbytes") is None:
            text = (
                f"A teacher in {recipe.teacher_precision} needs the package bitsandbytes, which is not installed. Install it "
                "(pip install bitsandbytes), or choose another precision."
            )
            found.append(Problem(field="teacher_precision", text=text))
        if recipe.init in CUTS:
            text = (
                f"A student can't be cut out of weights in {recipe.teacher_precision} ({recipe.init}). Choose bfloat16 for the "
                "teacher, or a student from scratch or an existing model."
            )
            found.append(Problem(field="teacher_precision", text=text))
    if recipe.teacher_device is not None and recipe.processes > 1:
        text = f"The teacher can't have a device of its own beside {recipe.processes} processes. Take one process, or leave it out."
        found.append(Problem(field="teacher_device", text=text))
    return found


def _device_problems(recipe: DistillRecipe) -> list[Problem]:
    found = []
    for name in ("teacher_device", "measure_device"):
        try:
            check_device(getattr(recipe, name) or "auto")
        except BadRecipe as trouble:
            found.append(Problem(field=name, text=str(trouble).removeprefix("device: ")))
    return found


def _answer_problems(recipe: DistillRecipe) -> list[Problem]:
    """Whether the data has answers, where only these shall be learnt: its first documents are read."""
    if not recipe.answers_only:
        return []
    try:
        refuse_without_answers(recipe.data, recipe.separator)
    except BadData as trouble:
        return [Problem(field="answers_only", text=str(trouble))]
    return []


def named_cache_problems(recipe: DistillRecipe, teacher: ModelInfo | None, weights: bool) -> list[Problem]:
    """Why the cache that the recipe names can't serve it. `weights`: the teacher's are compared too, about a second a gigabyte."""
    if recipe.cache is None or recipe.source != "cache" or teacher is None or not recipe.use_teacher:
        return []
    try:
        manifest = read_manifest(Path(recipe.cache))
        return cache_problems(recipe, manifest, teacher_fingerprint(teacher.path) if weights else None)
    except (BadCache, BadData) as trouble:
        return [Problem(field="cache" if isinstance(trouble, BadCache) else "data", text=str(trouble))]


def _builder_problems(recipe: DistillRecipe, teacher: ModelInfo) -> list[Problem]:
    """Why this teacher can't be cut as the recipe wants, or can't teach at all."""
    if teacher.is_adapter:
        text = (
            f"{teacher.name} is an adapter and works on top of its base model only. Merge it first, or name the base."
        )
        return [Problem(field="teacher", text=text)]
    if recipe.init == "existing":
        return []
    if teacher.shape is None:
        known = ", ".join(sorted(KNOWN_FAMILIES))
        text = (
            f"{recipe.init} can't make a student of the architecture {teacher.architecture}; it knows {known}. "
            "Give an existing model as the student."
        )
        return [Problem(field="init", text=text)]
    if recipe.init in CUTS and teacher.quantization is not None:
        text = f"{teacher.name} is quantized ({teacher.quantization}); nothing can be cut from it. Take the full model."
        return [Problem(field="teacher", text=text)]
    return []


MOST_PADDING = 512  # rows of an embedding beyond its tokenizer's entries, to fill up a multiple that GPUs like


def _vocabulary_problems(recipe: DistillRecipe, teacher: ModelInfo) -> list[Problem]:
    """Why a student described by a config.json alone can't use the tokenizer of its teacher."""
    path = parse_target(recipe.student).path
    if path is None:
        return []
    config = read_config(path)
    entries, rows = teacher.tokenizer.vocabulary or teacher.vocabulary, teacher.vocabulary
    if entries is None or config["model_type"] not in KNOWN_FAMILIES:  # the builder says so
        return []
    own = shape_of(config).vocabulary
    if own == rows or entries <= own <= entries + MOST_PADDING:
        return []
    text = (
        f"{path.name} has a vocabulary of {own:,}, but the tokenizer of its teacher {teacher.name} has {entries:,} "
        f"entries. Set vocab_size in {path / 'config.json'} to {rows or entries}."
    )
    return [Problem(field="student", text=text)]


def _size_problems(teacher: ModelInfo, student_params: int | None) -> list[Problem]:
    if student_params is None or student_params <= teacher.parameters:
        return []
    text = (
        f"{teacher.name} has {count_text(teacher.parameters)} parameters, fewer than the student's "
        f"{count_text(student_params)}. Choose a larger teacher (about "
        f"{count_text(law.TARGET_RATIO * student_params)}) or a smaller student."
    )
    return [Problem(field="teacher", text=text)]


def _sequence_problems(recipe: DistillRecipe, models: Sequence[ModelInfo]) -> list[Problem]:
    if recipe.sequence_length is None:
        return []
    return [
        Problem(
            field="sequence_length",
            text=f"{recipe.sequence_length} positions are more than the {model.context} that {model.name} can read. "
            "Shorten it.",
        )
        for model in models
        if model.context is not None and recipe.sequence_length > model.context
    ]


def existing_student(target: Target, allow_remote_code: bool) -> ModelInfo | None:
    """The model that the target names, unless it names no folder or one without weights."""
    if target.path is None or not has_weights(target.path):
        return None
    return inspect_model(target.path, allow_remote_code)

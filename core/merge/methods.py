"""The ways to merge as data: what each needs, its parameters with the defaults that recipes written elsewhere rely on, and its source.

Recipe, command line and window choose from `METHODS`; the arithmetic is in `core/engine/merge/methods/`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Value: TypeAlias = bool | int | float | str
Scope: TypeAlias = Literal["merge", "input", "tuned"]  # once for a tensor; for each input; for each input but the base
BaseRule: TypeAlias = Literal["required", "optional", "an input"]  # the last: a base is an input like any other


@dataclass(frozen=True)
class Parameter:
    """`default` None: it must be given. The range is closed where `open_ends` is false."""

    name: str
    kind: Literal["number", "flag", "whole", "choice"]
    scope: Scope
    default: Value | None
    words: str
    least: float | None = None
    most: float | None = None
    open_ends: bool = False
    choices: tuple[str, ...] = ()
    optional: bool = False  # left out, it means nothing at all rather than a default

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, as a clause; None if it can be used."""
        if self.kind == "flag":
            return None if value in (0, 1) else f"is {value!r}, and must be true or false"
        if self.kind == "choice":
            return None if value in self.choices else f"is {value!r}, and must be one of {', '.join(self.choices)}"
        number = self.number(value)
        if number is None:
            return f"is {value!r}, which is no number"
        if self.kind == "whole" and not number.is_integer():
            return f"is {value!r}, and must be a whole number"
        low, high = self.least, self.most
        below = low is not None and (number < low or (self.open_ends and number == low))
        above = high is not None and (number > high or (self.open_ends and number == high))
        if below or above or number != number or number in (float("inf"), float("-inf")):
            between = f"between {low:g} and {high:g}" if low is not None and high is not None else f"{low:g} or more"
            return (
                f"is {value!r}, and must be {between}"
                if low is not None
                else f"is {value!r}, which is no finite number"
            )
        return None

    @staticmethod
    def number(value: Any) -> float | None:
        """A number as YAML has it: 1e-5 without a point is text to YAML, and a number to everybody else."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            return float(value)
        except ValueError:
            return None

    def read(self, value: Any) -> Value:
        """The value in its own type; `problem` has found nothing against it."""
        if self.kind == "flag":
            return bool(value)
        if self.kind == "choice":
            return str(value)
        return int(float(value)) if self.kind == "whole" else float(value)


@dataclass(frozen=True)
class Method:
    """`inputs` and `tuned` are the least and the most of all inputs, and of those that are not the base."""

    name: str
    title: str
    advice: str
    source: str
    base: BaseRule
    parameters: tuple[Parameter, ...] = ()
    inputs: tuple[int, int | None] = (1, None)
    tuned: tuple[int, int | None] = (0, None)
    random: bool = False

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def count_problem(self, inputs: int, has_base: bool) -> str | None:
        """What is wrong with the number of inputs (the base counted), in a sentence; None if nothing."""
        if self.base == "required" and not has_base:
            return f"{self.title} needs a base_model: the model that the others were tuned from."
        tuned = inputs - has_base if self.base != "an input" else inputs
        for count, (least, most), words in (
            (inputs, self.inputs, "models, the base counted"),
            (tuned, self.tuned, "models beside the base"),
        ):
            if count < least or (most is not None and count > most):
                wanted = (
                    f"exactly {least}" if least == most else f"at least {least}" if count < least else f"at most {most}"
                )
                return f"{self.title} takes {wanted} {words}, and there are {count}."
        return None


_WEIGHT = Parameter("weight", "number", "tuned", None, "How much of this model goes in.")
_NORMALIZE_OFF = Parameter("normalize", "flag", "merge", False, "Divide by the sum of the weights.")
_NORMALIZE_ON = Parameter("normalize", "flag", "merge", True, "Divide by the sum of the weights.")
_DENSITY = Parameter(
    "density", "number", "tuned", 1.0, "The share of a model's changes that is kept; 1 keeps all.", least=0, most=1
)
_LAMBDA = Parameter(
    "lambda", "number", "merge", 1.0, "The merged change is multiplied by this before it is added to the base."
)
_INT8_MASK = Parameter(
    "int8_mask", "flag", "merge", False, "Read for recipes that have it: masks take one byte here in any case."
)
_RESCALE = "After dropping, enlarge what is left, so that the change is as strong as before."
_RESCALE_BY = Parameter(
    "rescale_by",
    "choice",
    "merge",
    "l1",
    "How much larger: l1, by the ratio of the sums of magnitudes (as mergekit); density, by 1/density (as the papers).",
    choices=("l1", "density"),
)
_EPSILON = Parameter(
    "epsilon",
    "number",
    "tuned",
    0.15,
    "The largest change of a row is kept with probability density + epsilon, the smallest with density − epsilon.",
    least=0,
    most=1,
)
_GAMMA = Parameter(
    "gamma",
    "number",
    "tuned",
    0.01,
    "The share of the very largest changes that is dropped as outliers.",
    least=0,
    most=1,
)
_T = Parameter("t", "number", "merge", None, "0 is the base model, 1 the other one.", least=0, most=1)


def _task_arithmetic(
    name: str,
    title: str,
    advice: str,
    source: str,
    *,
    normalize: bool = False,
    rescale: bool = False,
    more: tuple[Parameter, ...] = (),
    random: bool = False,
) -> Method:
    """A method that adds weighted, thinned changes to a base."""
    parameters = (
        _WEIGHT,
        _DENSITY,
        *more,
        _LAMBDA,
        _NORMALIZE_ON if normalize else _NORMALIZE_OFF,
        Parameter("rescale", "flag", "merge", rescale, _RESCALE),
        *((_RESCALE_BY,) if name != "task_arithmetic" else ()),
        _INT8_MASK,
    )
    return Method(name, title, advice, source, "required", parameters, random=random)


_ALL = (
    Method(
        "linear",
        "Linear",
        "A weighted mean. The plain choice for models tuned from one another, and for checkpoints of one run.",
        "Wortsman et al. 2022, arXiv 2203.05482",
        "an input",
        (Parameter("weight", "number", "input", None, _WEIGHT.words), _NORMALIZE_ON),
    ),
    Method(
        "slerp",
        "SLERP",
        "Between two models along the sphere, which keeps the size of the weights where a mean would shrink them.",
        "Shoemake 1985, Animating rotation with quaternion curves",
        "required",
        (_T,),
        inputs=(2, 2),
    ),
    Method(
        "nuslerp",
        "NuSLERP",
        "Slerp with weights; with a base, between the changes rather than the weights.",
        "mergekit (Goddard et al. 2024, arXiv 2403.13257)",
        "optional",
        (
            _WEIGHT,
            Parameter("nuslerp_flatten", "flag", "merge", True, "Take a tensor as one vector, rather than as many."),
            Parameter("nuslerp_row_wise", "flag", "merge", False, "Of many vectors, take rows instead of columns."),
        ),
        tuned=(2, 2),
    ),
    Method(
        "multislerp",
        "Multi-SLERP",
        "A mean of any number of models on the sphere, by one step in the tangent space at their mean.",
        "goddard.blog, Multi-SLERP (2025)",
        "optional",
        (
            _WEIGHT,
            Parameter("normalize_weights", "flag", "merge", True, "Let the weights sum to 1."),
            Parameter("eps", "number", "merge", 1e-8, "What keeps divisions finite.", least=0),
        ),
        tuned=(1, None),
    ),
    Method(
        "karcher",
        "Karcher mean",
        "The true mean on the sphere, found step by step; every model counts alike.",
        "Karcher 1977; as in arXiv 2603.04972",
        "an input",
        (
            Parameter("max_iter", "whole", "merge", 10, "Steps at the most.", least=0),
            Parameter("tol", "number", "merge", 1e-5, "Stop below this step.", least=0),
        ),
    ),
    _task_arithmetic(
        "task_arithmetic",
        "Task arithmetic",
        "Add what each model learnt since the base, times its weight. Negative weights take something away.",
        "Ilharco et al. 2022, arXiv 2212.04089",
    ),
    _task_arithmetic(
        "ties",
        "TIES",
        "Keep the largest changes, let the majority decide each sign, average those that agree.",
        "Yadav et al. 2023, arXiv 2306.01708",
        normalize=True,
    ),
    _task_arithmetic(
        "dare_linear",
        "DARE",
        "Drop changes at random, enlarge the rest, and add.",
        "Yu et al. 2023, arXiv 2311.03099",
        rescale=True,
        random=True,
    ),
    _task_arithmetic(
        "dare_ties",
        "DARE with TIES",
        "Drop changes at random, enlarge the rest, and add those that agree with the majority's sign.",
        "Yu et al. 2023, arXiv 2311.03099; Yadav et al. 2023, arXiv 2306.01708",
        rescale=True,
        random=True,
    ),
    _task_arithmetic(
        "della",
        "DELLA",
        "Drop changes at random, small ones likelier, and average those that agree with the majority's sign.",
        "Deep et al. 2024, arXiv 2406.11617",
        normalize=True,
        rescale=True,
        more=(_EPSILON,),
        random=True,
    ),
    _task_arithmetic(
        "della_linear",
        "DELLA, linear",
        "Drop changes at random, small ones likelier, and add.",
        "Deep et al. 2024, arXiv 2406.11617",
        rescale=True,
        more=(_EPSILON,),
        random=True,
    ),
    _task_arithmetic(
        "breadcrumbs",
        "Breadcrumbs",
        "Leave out the smallest changes and the outliers, and add.",
        "Davari and Belilovsky 2023, arXiv 2312.06795",
        more=(_GAMMA,),
    ),
    _task_arithmetic(
        "breadcrumbs_ties",
        "Breadcrumbs with TIES",
        "Leave out the smallest changes and the outliers, and add those that agree with the majority's sign.",
        "Davari and Belilovsky 2023, arXiv 2312.06795; Yadav et al. 2023, arXiv 2306.01708",
        more=(_GAMMA,),
    ),
    Method(
        "sce",
        "SCE",
        "Select where models differ most, calculate weights from the strength of their changes, erase minority signs.",
        "Wan et al. 2024, arXiv 2408.07990 (FuseChat), section 3.3",
        "required",
        (
            Parameter(
                "select_topk",
                "number",
                "merge",
                1.0,
                "The share of places kept, those of the highest variance.",
                least=0,
                most=1,
            ),
            Parameter(
                "sce_reading",
                "choice",
                "merge",
                "renormalized",
                "renormalized: at each place the weights of the models that remain sum to 1 (as mergekit); plain: they are "
                "left as they are, so that erased places change less (the paper's formula).",
                choices=("renormalized", "plain"),
            ),
            _INT8_MASK,
        ),
    ),
    Method(
        "model_stock",
        "Model Stock",
        "How far to go from the base to the mean of two or more tuned models follows from the angle between them.",
        "Jang et al. 2024, arXiv 2403.19522",
        "required",
        (Parameter("filter_wise", "flag", "merge", False, "One angle for each row rather than for each tensor."),),
        inputs=(3, None),
    ),
    Method(
        "nearswap",
        "NearSwap",
        "Take the other model where it is near the base, and less of it the farther away it is.",
        "alchemonaut, QuartetAnemoi-70B (2024)",
        "required",
        (
            Parameter(
                "t", "number", "merge", None, "The distance within which the other model is taken whole.", least=0
            ),
        ),
        inputs=(2, 2),
    ),
    Method(
        "arcee_fusion",
        "Arcee Fusion",
        "Take only the changes that matter: those whose size times divergence lies above the upper quartile's fence.",
        "arcee.ai, Arcee Fusion (2025)",
        "required",
        inputs=(2, 2),
        random=True,
    ),
    Method(
        "ram",
        "RAM",
        "Changes of one model alone stay whole, shared ones are averaged.",
        "arXiv 2601.13572",
        "required",
        (Parameter("epsilon", "number", "merge", 1e-5, "A smaller change counts as none.", least=0),),
    ),
    Method(
        "ramplus_tl",
        "RAM+",
        "As RAM, and changes of one model alone are enlarged by how much of it is shared.",
        "arXiv 2601.13572",
        "required",
        (
            Parameter("r", "number", "merge", 0.1, "How much they are enlarged.", least=0),
            Parameter("alpha", "number", "merge", 0.2, "The most that the ratio of shared to unique counts.", least=0),
            Parameter("epsilon", "number", "merge", 1e-5, "A smaller change counts as none.", least=0),
        ),
    ),
    Method(
        "passthrough",
        "Passthrough",
        "Take one model as it is: for putting layers together, and for LoRA adapters to become models.",
        "mergekit (Goddard et al. 2024, arXiv 2403.13257)",
        "an input",
        (Parameter("scale", "number", "input", None, "Multiply by this.", optional=True),),
        inputs=(1, 1),
    ),
)
METHODS: dict[str, Method] = {method.name: method for method in _ALL}
EXPERTS = "experts"  # a document of experts is no method: it is told by its own keys


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """` Did you mean …?` with the likeliest known word, or nothing."""
    found = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f" Did you mean {found[0]}?" if found else ""

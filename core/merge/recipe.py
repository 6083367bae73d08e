"""Recipes of merges as people have them: mergekit's YAML, one document a merge, several documents a tree.

`read_documents` makes `Document`s of a text, `write_documents` a text of them. A document keeps what was read as it stands
(`raw`), so writing loses nothing but comments. What this version can't do is refused by name; a parameter that its method does
not have is named in `notes`.

https://github.com/arcee-ai/mergekit/blob/main/docs/merge_methods.md describes the format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import BadRecipe
from core.merge.document import (
    Document,
    Expert,
    Experts,
    ModelRef,
    Slice,
    Source,
    TokenizerRule,
    TokenRule,
)
from core.merge.methods import METHODS, Parameter, nearest

DTYPES = ("float32", "float16", "bfloat16", "float64")
TEMPLATES = ("alpaca", "chatml", "llama3")  # chat templates that have a name here
ELSEWHERE = ("exaone", "mistral")  # those that have one in mergekit only
GATES = ("hidden", "cheap_embed", "random", "uniform_random")
MODULE = "default"  # what mergekit calls the one module of a model of text

_KEYS = (
    "name",
    "models",
    "slices",
    "modules",
    "merge_method",
    "base_model",
    "dtype",
    "out_dtype",
    "parameters",
    "tokenizer_source",
    "tokenizer",
    "chat_template",
)
_EXPERT_KEYS = (
    "name",
    "base_model",
    "experts",
    "shared_experts",
    "gate_mode",
    "experts_per_token",
    "dtype",
    "architecture",
)


def read_documents(text: str, where: str = "the recipe") -> tuple[Document, ...]:
    """The merges of a YAML text. Raises BadRecipe with everything that is wrong, by its place."""
    raws = _load(text, where)
    reader = _Reader(where, several=len(raws) > 1)
    documents = [reader.document(raw, number) for number, raw in enumerate(raws, 1)]
    names = [document.name for document in documents if document]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            said = f"have the name {name!r}" if name else "have no name; only the last merge of a tree may lack one"
            reader.wrong("", f"{names.count(name)} documents {said}")
    if reader.found:
        raise BadRecipe("\n".join(f"{where}: {line}" for line in reader.found), "Correct the recipe.")
    return tuple(document for document in documents if document)


def read_document(raw: Mapping[str, Any], where: str = "the recipe") -> Document:
    """One merge from its mapping, as `Document.raw` has it."""
    reader = _Reader(where, several=False)
    document = reader.document(dict(raw), 1)
    if document is None or reader.found:
        raise BadRecipe("\n".join(f"{where}: {line}" for line in reader.found), "Correct the recipe.")
    return document


def read_model(raw: Any) -> ModelRef:
    """A model as a recipe names it: `folder`, `folder+adapter`, `name@revision`, or mergekit's mapping of these."""
    return _Reader("", several=False).model(raw, "")


def write_documents(documents: Sequence[Document]) -> str:
    """YAML that `read_documents`, and mergekit, read back: the same values in the same order; comments are not kept."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Lists of numbers on one line, as people write gradients; indented lists."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    def numbers_in_a_row(dumper: Any, values: Any) -> Any:
        row = all(isinstance(value, int | float) for value in values)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=row)

    def text(dumper: Any, value: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(list, numbers_in_a_row)
    Dumper.add_representer(str, text)
    Dumper.ignore_aliases = lambda self, data: True  # type: ignore[method-assign]
    raws = [dict(document.raw) for document in documents]
    return yaml.dump_all(raws, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)


# --- reading ----------------------------------------------------------------------------------------------------------


def _load(text: str, where: str) -> list[Any]:
    """The documents as YAML has them; a key that stands twice is an error, which PyYAML does not see."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: Any, node: Any) -> dict[Any, Any]:
        loader.flatten_mapping(node)
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is no name", key_node.start_mark)
            if key in found:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
            found[key] = loader.construct_object(value_node, deep=True)
        return found

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    try:
        raws = [raw for raw in yaml.load_all(text, Loader=Loader) if raw is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise BadRecipe(f"{where}{place} is not valid YAML: {getattr(error, 'problem', error)}.") from error
    except RecursionError as error:
        raise BadRecipe(f"{where} is nested too deeply.") from error
    if not raws:
        raise BadRecipe(f"{where} is empty.", "A merge names a merge_method and its models.")
    return raws


class _Reader:
    """Reads documents and gathers what is wrong with them."""

    def __init__(self, where: str, several: bool) -> None:
        self.where = where
        self.several = several
        self.found: list[str] = []
        self.notes: list[str] = []
        self.about = ""

    def wrong(self, place: str, text: str) -> None:
        head = ", ".join(part for part in (self.about, place) if part)
        end = "" if text.endswith(("?", ".")) else "."
        self.found.append(f"{head}: {text}{end}" if head else f"{text}{end}")

    def mapping(self, raw: Any, place: str, known: Sequence[str], unsupported: Sequence[str] = ()) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self.wrong(place, f"names with values were expected, not {raw!r}")
            return {}
        for key in raw:
            if key in unsupported:
                self.wrong(place, f"{key!r} is not supported here; remove it")
            elif key not in known:
                self.wrong(place, f"{key!r} is no known key.{nearest(key, [*known])}".rstrip("."))
        return raw

    def rows(self, raw: Any, place: str) -> list[Any]:
        if not isinstance(raw, list) or not raw:
            self.wrong(place, "a list with at least one entry was expected")
            return []
        return raw

    def document(self, raw: Any, number: int) -> Document | None:
        name = raw.get("name") if isinstance(raw, dict) else None
        self.about = f"document {number}{f' ({name})' if name else ''}" if self.several else ""
        self.notes = []
        if isinstance(raw, dict) and "experts" in raw:
            return self.experts(raw, name)
        raw = self.mapping(raw, "", _KEYS)
        if name is not None and (not isinstance(name, str) or not name.strip() or "+" in name or "/" in name):
            self.wrong("name", f"{name!r} can't name a merge; write letters, digits and dashes")
        method = raw.get("merge_method")
        if method not in METHODS:
            known = ", ".join(METHODS)
            said = (
                "is missing"
                if method is None
                else f"{method!r} is no method known here.{nearest(str(method), [*METHODS])}"
            )
            self.wrong(
                "merge_method", f"{said} Known are {known}" if method is not None else f"it {said}; known are {known}"
            )
            return None
        base = self.model(raw.get("base_model"), "base_model") if raw.get("base_model") is not None else None
        inner, parameters, place = self._module(raw, method)
        slices = self._slices(inner, place, method)
        document = Document(
            raw=raw,
            name=name,
            method=method,
            slices=slices,
            base=base,
            whole="models" in inner,
            dtype=self.choice(raw, "dtype", DTYPES),
            out_dtype=self.choice(raw, "out_dtype", DTYPES),
            parameters=tuple(parameters),
            tokenizer=self.tokenizer(raw),
            chat_template=self.template(raw.get("chat_template")),
            notes=tuple(dict.fromkeys(self.notes)),
        )
        self._counts(document)
        return document

    def _module(self, raw: dict[str, Any], method: str) -> tuple[dict[str, Any], list[Mapping[str, Any]], str]:
        """What holds the models or slices, the parameters around them from the inside, and its place."""
        outer = self.parameters(raw.get("parameters"), "parameters", method, "document")
        given = [key for key in ("models", "slices", "modules") if raw.get(key) is not None]
        if len(given) != 1:
            self.wrong(
                "", f"exactly one of models, slices and modules was expected, not {' and '.join(given) or 'none'}"
            )
            return {}, [outer], ""
        if given != ["modules"]:
            return {given[0]: raw[given[0]]}, [outer], ""
        modules = raw["modules"]
        if not isinstance(modules, dict) or list(modules) != [MODULE]:
            named = ", ".join(map(str, modules)) if isinstance(modules, dict) else repr(modules)
            self.wrong("modules", f"only the module {MODULE!r} of a model of text is supported, not {named}")
            return {}, [outer], ""
        inner = self.mapping(modules[MODULE], f"modules.{MODULE}", ("models", "slices", "parameters"))
        place = f"modules.{MODULE}."
        if ("models" in inner) == ("slices" in inner):
            self.wrong(place.rstrip("."), "either models or slices were expected")
        own = self.parameters(inner.get("parameters"), f"{place}parameters", method, "document")
        return inner, [own, outer], place

    def _slices(self, inner: dict[str, Any], place: str, method: str) -> tuple[Slice, ...]:
        if "models" in inner:
            sources = self._sources(inner["models"], f"{place}models", method, with_layers=False)
            return (Slice(tuple(sources), None, {}),)
        found = []
        for index, raw in enumerate(self.rows(inner["slices"], f"{place}slices") if "slices" in inner else []):
            here = f"{place}slices[{index}]"
            raw = self.mapping(raw, here, ("sources", "base_model", "parameters"), ("residual_weight",))
            base = self.model(raw["base_model"], f"{here}.base_model") if raw.get("base_model") is not None else None
            sources = self._sources(raw.get("sources"), f"{here}.sources", method, with_layers=True)
            counts = {source.layers[1] - source.layers[0] for source in sources if source.layers}
            if len(counts) > 1:
                said = " and ".join(map(str, sorted(counts)))
                self.wrong(here, f"its sources have {said} layers; they must have the same number")
            own = self.parameters(raw.get("parameters"), f"{here}.parameters", method, "document")
            found.append(Slice(tuple(sources), base, own))
        return tuple(found)

    def _sources(self, raw: Any, place: str, method: str, with_layers: bool) -> list[Source]:
        found = []
        for index, each in enumerate(self.rows(raw, place)):
            here = f"{place}[{index}]"
            keys = ("model", "layer_range", "parameters") if with_layers else ("model", "parameters")
            each = self.mapping(each, here, keys)
            model = self.model(each.get("model"), f"{here}.model")
            layers = self._layers(each.get("layer_range"), f"{here}.layer_range") if with_layers else None
            own = self.parameters(each.get("parameters"), f"{here}.parameters", method, "source")
            found.append(Source(model, layers, own))
        return found

    def _layers(self, raw: Any, place: str) -> tuple[int, int] | None:
        whole = isinstance(raw, list) and len(raw) == 2 and all(isinstance(at, int) for at in raw)
        if not whole or not 0 <= raw[0] < raw[1]:
            self.wrong(place, f"two layers like [0, 12] were expected, the second not included, not {raw!r}")
            return None
        return raw[0], raw[1]

    def model(self, raw: Any, place: str) -> ModelRef:
        """`folder`, `folder+adapter`, `name@revision`, or mergekit's mapping of these."""
        if isinstance(raw, dict):
            raw = self.mapping(raw, place, ("model", "lora", "path", "revision"), ("override_architecture",))
            if "path" in raw:
                return ModelRef(str(raw["path"]), None, raw.get("revision"))
            inner = self.model(raw.get("model"), f"{place}.model")
            lora = self.model(raw["lora"], f"{place}.lora").path if raw.get("lora") is not None else inner.lora
            return ModelRef(inner.path, lora, inner.revision)
        if not isinstance(raw, str) or not raw.strip():
            self.wrong(place, f"a model was expected, not {raw!r}" if raw is not None else "the model is missing")
            return ModelRef("")
        path, *loras = raw.split("+")
        if len(loras) > 1:
            self.wrong(place, f"{raw!r} has more than one adapter; merge one after the other")
        path, *revisions = path.split("@")
        if len(revisions) > 1:
            self.wrong(place, f"{raw!r} has more than one @")
        return ModelRef(path, loras[0] if loras else None, revisions[0] if revisions else None)

    def parameters(self, raw: Any, place: str, method: str, level: str) -> Mapping[str, Any]:
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self.wrong(place, f"names with values were expected, not {raw!r}")
            return {}
        facts = METHODS[method]
        everywhere = {parameter.name for other in METHODS.values() for parameter in other.parameters}
        for name, setting in raw.items():
            parameter = facts.parameter(name)
            here = f"{place}.{name}"
            if parameter is None and name in everywhere:
                self.notes.append(f"{here} has no effect: {method} has no such parameter.")
            elif parameter is None:
                own = [each.name for each in facts.parameters]
                self.wrong(here, f"{method} has no such parameter.{nearest(name, own)}".rstrip("."))
            else:
                if level == "source" and parameter.scope == "merge":
                    self.notes.append(f"{here} has no effect on one model: {name} is said for the whole merge.")
                self._setting(parameter, setting, here)
        return raw

    def _setting(self, parameter: Parameter, setting: Any, place: str) -> None:
        if isinstance(setting, dict):
            setting = [setting]
        if not isinstance(setting, list):
            if problem := parameter.problem(setting):
                self.wrong(place, f"it {problem}")
            return
        if not setting:
            self.wrong(place, "the list is empty")
        filtered = [isinstance(each, dict) for each in setting]
        if any(filtered) and not all(filtered):
            self.wrong(place, "a list holds either numbers or entries with filter and value, not both")
            return
        for index, each in enumerate(setting):
            here = f"{place}[{index}]"
            if not isinstance(each, dict):
                if problem := parameter.problem(each):
                    self.wrong(here, f"it {problem}")
                continue
            each = self.mapping(each, here, ("filter", "value"))
            if "value" not in each:
                self.wrong(here, "value is missing")
            elif isinstance(each["value"], list):
                for part in each["value"]:
                    if problem := parameter.problem(part):
                        self.wrong(f"{here}.value", f"it {problem}")
            elif problem := parameter.problem(each["value"]):
                self.wrong(f"{here}.value", f"it {problem}")

    def choice(self, raw: Mapping[str, Any], key: str, known: Sequence[str]) -> str | None:
        value = raw.get(key)
        named = str(value).removeprefix("torch.")
        if value is not None and named not in known:
            self.wrong(key, f"{value!r} is not one of {', '.join(known)}.{nearest(str(value), [*known])}".rstrip("."))
        return None if value is None else named

    def template(self, raw: Any) -> str | None:
        if raw is None:
            return None
        if raw in ELSEWHERE:
            self.wrong(
                "chat_template",
                f"the template {raw!r} is not at hand here; write it out, or name {_or(('auto', *TEMPLATES))}",
            )
        elif not isinstance(raw, str) or ("{" not in raw and raw not in ("auto", *TEMPLATES)):
            self.wrong("chat_template", f"{raw!r} is no template and names none; known are {_or(('auto', *TEMPLATES))}")
        return str(raw)

    def tokenizer(self, raw: Mapping[str, Any]) -> TokenizerRule | None:
        old, new = raw.get("tokenizer_source"), raw.get("tokenizer")
        if old is not None and new is not None:
            self.wrong("tokenizer", "either tokenizer or tokenizer_source, not both")
        if old is not None:
            return TokenizerRule(self._tokenizer_source(old, "tokenizer_source"))
        if new is None:
            return None
        new = self.mapping(new, "tokenizer", ("source", "tokens", "pad_to_multiple_of"))
        pad = new.get("pad_to_multiple_of")
        if pad is not None and (not isinstance(pad, int) or isinstance(pad, bool) or pad < 1):
            self.wrong("tokenizer.pad_to_multiple_of", f"it is {pad!r}, and must be a whole number from 1")
            pad = None
        tokens = new.get("tokens") or {}
        if not isinstance(tokens, dict):
            self.wrong("tokenizer.tokens", "names of tokens with their rules were expected")
            tokens = {}
        rules = {str(token): self._token(rule, f"tokenizer.tokens[{token!r}]") for token, rule in tokens.items()}
        return TokenizerRule(self._tokenizer_source(new.get("source", "union"), "tokenizer.source"), rules, pad)

    def _tokenizer_source(self, raw: Any, place: str) -> str | ModelRef:
        return raw if raw in ("union", "base") else self.model(raw, place)

    def _token(self, raw: Any, place: str) -> TokenRule:
        raw = self.mapping(raw, place, ("source", "force"))
        force, source = raw.get("force", False), raw.get("source")
        if not isinstance(force, bool):
            self.wrong(f"{place}.force", f"it is {force!r}, and must be true or false")
        here = f"{place}.source"
        if source is None:
            self.wrong(here, "it is missing: name a model, or {kind: zero}, or {kind: model_token, model: …, token: …}")
            return TokenRule()
        if not isinstance(source, dict) or "kind" not in source:
            return TokenRule(self.model(source, here), force=bool(force))
        source = self.mapping(source, here, ("kind", "model", "token", "token_id"))
        if source["kind"] == "zero":
            return TokenRule(force=bool(force))
        if source["kind"] != "model_token" or (source.get("token") is None) == (source.get("token_id") is None):
            self.wrong(here, "its kind is zero, or model_token with a model and either token or token_id")
            return TokenRule()
        model = self.model(source.get("model"), f"{here}.model")
        return TokenRule(model, source.get("token"), source.get("token_id"), bool(force))

    def _counts(self, document: Document) -> None:
        for index, part in enumerate(document.slices):
            base = part.base or document.base
            models = [source.model for source in part.sources]
            here = "" if document.whole else f"slices[{index}]"
            doubled = [str(model) for model in dict.fromkeys(models) if models.count(model) > 1]
            if doubled:
                self.wrong(here, f"{doubled[0]} stands there twice")
            within = base in models
            if base is not None and not within and not document.whole and document.facts.base == "required":
                self.wrong(here, f"its base_model {base} is none of its sources")
            joins = base is not None and not within and document.whole
            if problem := document.facts.count_problem(len(models) + joins, base is not None):
                self.wrong(here, problem.rstrip("."))

    # --- experts

    def experts(self, raw: dict[str, Any], name: Any) -> Document | None:
        raw = self.mapping(raw, "", _EXPERT_KEYS)
        if raw.get("architecture") not in (None, "auto", "mixtral", "qwen"):
            self.wrong("architecture", f"{raw['architecture']!r} is not supported; it follows from the base model")
        donors = [self._expert(each, f"experts[{i}]") for i, each in enumerate(self.rows(raw["experts"], "experts"))]
        shared = [self._expert(each, f"shared_experts[{i}]") for i, each in enumerate(raw.get("shared_experts") or [])]
        if len(shared) > 1:
            self.wrong("shared_experts", "one at the most is supported")
        if len(donors) == 1:
            self.wrong("experts", "a mixture needs at least two")
        gate = str(raw.get("gate_mode", "hidden"))
        if gate not in GATES:
            self.wrong("gate_mode", f"{gate!r} is not one of {', '.join(GATES)}.{nearest(gate, GATES)}".rstrip("."))
        if gate in ("hidden", "cheap_embed") and any(not expert.positive for expert in donors):
            self.wrong(
                "experts", f"gate_mode {gate} needs positive_prompts for each; or choose uniform_random and train"
            )
        per_token = raw.get("experts_per_token", 2)
        if not isinstance(per_token, int) or isinstance(per_token, bool) or not 1 <= per_token <= max(1, len(donors)):
            self.wrong("experts_per_token", f"it is {per_token!r}, and must be from 1 to the {len(donors)} experts")
            per_token = 1
        base = self.model(raw.get("base_model"), "base_model")
        mixture = Experts(tuple(donors), shared[0] if shared else None, gate, per_token)
        dtype = self.choice(raw, "dtype", DTYPES)
        return Document(raw, name, "experts", (), base, whole=True, dtype=dtype, mixture=mixture)

    def _expert(self, raw: Any, place: str) -> Expert:
        keys = ("source_model", "positive_prompts", "negative_prompts", "noise_scale", "residual_scale")
        raw = self.mapping(raw, place, keys)
        model = self.model(raw.get("source_model"), f"{place}.source_model")
        positive, negative = (self._prompts(raw, key, place) for key in ("positive_prompts", "negative_prompts"))
        noise, scale = (self._scale(raw, key, place) for key in ("noise_scale", "residual_scale"))
        return Expert(model, positive, negative, noise, scale)

    def _prompts(self, raw: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
        given = raw.get(key) or []
        if not isinstance(given, list) or not all(isinstance(prompt, str) for prompt in given):
            self.wrong(f"{place}.{key}", "a list of texts was expected")
            return ()
        return tuple(given)

    def _scale(self, raw: Mapping[str, Any], key: str, place: str) -> float | None:
        value = Parameter.number(raw.get(key))
        if raw.get(key) is not None and value is None:
            self.wrong(f"{place}.{key}", f"it is {raw[key]!r}, which is no number")
        return value


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"

"""The engine's door opens quickly, and only in a process of its own does it spare what nobody asked for."""

from __future__ import annotations

import gc
import importlib.util
import json
import shutil
import subprocess
import sys

import pytest
from tiny import engine_environment, tiny_recipe

from core.cache import CacheRecipe
from core.chain import ChainRecipe
from core.engine import distill
from core.engine.__main__ import FOR_QUANTIZED, UNUSED, load_capability
from core.evaluate import EvaluateRecipe
from core.measure import MeasureRecipe
from core.tune import TuneRecipe

LOAD = """
import gc, sys
from core.distill import DistillRecipe
from core.engine.__main__ import load_capability
load_capability(DistillRecipe(student="0.5x", data=("x",), tokens=1000))
import transformers
assert gc.isenabled() and gc.get_freeze_count() > 100_000
assert transformers.Trainer and not transformers.utils.is_datasets_available()
heavy = {"datasets.load", "pandas", "pyarrow", "bitsandbytes.functional", "scipy.linalg", "sklearn.utils", "torchao.quantization"}
print(*sorted(sys.modules.keys() & heavy))
"""


@pytest.fixture
def fresh(monkeypatch):
    """As if nothing heavy were loaded yet."""
    for name in ("torch", *UNUSED, *FOR_QUANTIZED):
        monkeypatch.setitem(sys.modules, name, None)  # so that what was there is put back
        del sys.modules[name]
    yield
    gc.unfreeze()


def hidden(packages):
    return tuple(name for name in packages if name in sys.modules and sys.modules[name] is None)


@pytest.mark.slow
def test_an_engine_never_loads_what_it_does_not_use():
    said = subprocess.run(
        [sys.executable, "-c", LOAD], env=engine_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert (said.returncode, said.stdout) == (0, "\n"), said.stderr


def test_code_that_comes_with_a_model_finds_every_package_that_is_there(fresh, teacher, data):
    assert load_capability(tiny_recipe(teacher, data, allow_remote_code=True)) is distill
    assert all(importlib.util.find_spec(package) for package in UNUSED)
    assert not hidden(FOR_QUANTIZED)


def test_the_packages_that_are_not_used_seem_not_to_be_there(fresh, teacher, data):
    assert load_capability(tiny_recipe(teacher, data)) is distill
    assert hidden(UNUSED + FOR_QUANTIZED) == UNUSED + FOR_QUANTIZED
    assert gc.isenabled()


def quantized(teacher, tmp_path):
    """The same teacher with a config.json that says its weights are quantized."""
    folder = shutil.copytree(teacher, tmp_path / "quantized")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "torchao"}}))
    return folder


def test_what_quantized_weights_need_is_there_for_them_and_only_for_them(fresh, teacher, data, tmp_path):
    plain, folder = tiny_recipe(teacher, data), quantized(teacher, tmp_path)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    never = [
        plain,
        TuneRecipe(model=str(teacher), data=("x",)),
        CacheRecipe(teacher=str(teacher), data=("x",)),
        ChainRecipe(of=plain),
        MeasureRecipe(of=plain),
    ]
    assert not any(recipe.may_meet_quantized() for recipe in never)
    meeting = [
        tiny_recipe(teacher, data, teacher_precision="int8"),
        tiny_recipe(folder, data, init="scratch"),
        tiny_recipe(teacher, data, more_teachers=(str(folder),)),
        tiny_recipe(teacher, data, init="existing", student=str(folder)),
        TuneRecipe(model=str(teacher), data=("x",), method="qlora"),
        TuneRecipe(model=str(folder), data=("x",)),
        TuneRecipe(model=str(teacher), adapter=str(adapter), data=("x",)),
        CacheRecipe(teacher=str(folder), data=("x",)),
        ChainRecipe(of=tiny_recipe(teacher, data, teacher_precision="int4")),
        MeasureRecipe(of=tiny_recipe(teacher, data, teacher_precision="int4")),
        EvaluateRecipe(model=str(teacher)),
    ]
    assert all(recipe.may_meet_quantized() for recipe in meeting)
    load_capability(meeting[0])
    assert not hidden(FOR_QUANTIZED)


def test_where_torch_is_loaded_nothing_is_hidden_from_others(teacher, data):
    before = {package: sys.modules.get(package, "absent") for package in UNUSED + FOR_QUANTIZED}
    assert load_capability(tiny_recipe(teacher, data)) is distill
    assert {package: sys.modules.get(package, "absent") for package in UNUSED + FOR_QUANTIZED} == before

"""The engine's door opens quickly, and only in a process of its own does it spare what nobody asked for."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys

import pytest
from tiny import engine_environment, tiny_recipe

from core.engine import distill
from core.engine.__main__ import UNUSED, load_capability

LOAD = """
import gc, sys
from core.engine.__main__ import load_capability
from core.distill import DistillRecipe
load_capability(DistillRecipe(student="0.5x", data=("x",), tokens=1000))
import transformers
assert gc.isenabled() and gc.get_freeze_count() > 100_000
assert transformers.Trainer and not transformers.utils.is_datasets_available()
print(*sorted(sys.modules.keys() & {"datasets.load", "pandas", "pyarrow"}))
"""


@pytest.fixture
def fresh(monkeypatch):
    """As if nothing heavy were loaded yet."""
    for name in ("torch", *UNUSED):
        monkeypatch.setitem(sys.modules, name, None)  # so that what was there is put back
        del sys.modules[name]
    yield
    gc.unfreeze()


@pytest.mark.slow
def test_an_engine_never_loads_what_it_does_not_use():
    said = subprocess.run(
        [sys.executable, "-c", LOAD], env=engine_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert (said.returncode, said.stdout) == (0, "\n"), said.stderr


def test_code_that_comes_with_a_model_finds_every_package_that_is_there(fresh, teacher, data):
    assert load_capability(tiny_recipe(teacher, data, allow_remote_code=True)) is distill
    assert all(importlib.util.find_spec(package) for package in UNUSED)


def test_the_packages_that_are_not_used_seem_not_to_be_there(fresh, teacher, data):
    assert load_capability(tiny_recipe(teacher, data)) is distill
    assert not any(importlib.util.find_spec(package) for package in UNUSED)
    assert gc.isenabled()


def test_where_torch_is_loaded_nothing_is_hidden_from_others(teacher, data):
    before = {package: sys.modules.get(package, "absent") for package in UNUSED}
    assert load_capability(tiny_recipe(teacher, data)) is distill
    assert {package: sys.modules.get(package, "absent") for package in UNUSED} == before

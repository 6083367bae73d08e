"""A measurement runs a few real steps, says how fast and how large they were, and leaves nothing behind."""

from __future__ import annotations

import pytest
from tiny import tiny_recipe

from core.engine.__main__ import FINISHED, work
from core.estimate import Size, estimate
from core.measure import STEPS, measurement
from core.model_files import read_config
from core.plan import settle
from core.runs import new_run

pytestmark = pytest.mark.usefixtures("in_process")


def test_a_few_steps_give_speed_and_memory_and_no_student(home, teacher, data):
    from core.devices import devices

    recipe = settle(tiny_recipe(teacher, data))
    size = Size.of_config(read_config(teacher))
    cpu = next(device for device in devices() if device.id == "cpu")
    cost = estimate(recipe, size, size, cpu, text_bytes=data.stat().st_size)
    run = new_run(home, measurement(recipe, cost.choices))
    assert work(run, "cpu") == FINISHED
    results = run.history().results
    assert results["steps"] == STEPS
    assert results["tokens_per_second"] > 0
    assert results["peak_memory_bytes"] > 50_000_000
    assert not any(run.checkpoints.iterdir())
    assert not (run.artifacts / "student").exists()

"""Absmax int8 as it is shown: error, histograms and size of each matrix, against the formula written out in float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core import absmax
from core.cli import main
from core.errors import BadModel

SAMPLE = Path(__file__).parents[2] / "resources" / "sample" / "stories-0.8M"


def model(folder: Path, **tensors: np.ndarray[Any, Any]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    save_file(tensors, folder / "model.safetensors")
    return folder


def plain(matrix: np.ndarray[Any, Any], per_row: bool) -> np.ndarray[Any, Any]:
    """The formula of methods.md §6, value by value in float64."""
    found = np.zeros(matrix.shape)
    for i, row in enumerate(matrix):
        largest = max(abs(float(value)) for value in (row if per_row else matrix.ravel()))
        for j, value in enumerate(row):
            found[i, j] = 0.0 if largest == 0 else largest / 127 * round(127 / largest * float(value))
    return found


@pytest.mark.parametrize("per", ["row", "tensor"])
def test_the_error_is_that_of_the_formula(tmp_path: Path, per: absmax.Per) -> None:
    matrix = np.random.default_rng(0).normal(size=(12, 30)).astype(np.float32)
    matrix[3] *= 50  # an outlier row, which costs all the others where they share its scale
    matrix[5] = 0
    (found,) = absmax.look(model(tmp_path / "m", a=matrix, norm=np.ones(4, np.float32)), per)
    rounded = plain(matrix, per == "row")
    assert found.relative_error == pytest.approx(np.linalg.norm(matrix - rounded) / np.linalg.norm(matrix), rel=1e-4)
    assert found.largest_error == pytest.approx(np.abs(matrix - rounded).max(), rel=1e-4)
    assert found.zeroed == pytest.approx(((rounded == 0) & (matrix != 0)).mean())
    assert found.bytes_before == 4 * 360
    assert found.bytes_after == 360 + 2 * (12 if per == "row" else 1)
    assert sum(found.before) == sum(found.after) == 360


def test_a_scale_for_each_row_does_less_harm_than_one_for_all() -> None:
    by_row, by_tensor = (list(absmax.look(SAMPLE, per)) for per in ("row", "tensor"))
    assert len(by_row) == len(by_tensor) > 10
    row, tensor = (absmax.summary(looks, SAMPLE) for looks in (by_row, by_tensor))
    assert 0.002 < row.relative_error < tensor.relative_error < 0.05
    assert row.bytes_after == pytest.approx(row.bytes_before / 2, rel=0.05)  # the sample is kept in bfloat16
    assert row.worst in {one.name for one in by_row}


def test_rounding_shows_as_a_comb_in_the_histogram(tmp_path: Path) -> None:
    matrix = np.linspace(-1, 1, 40_000, dtype=np.float32).reshape(4, -1)
    (found,) = absmax.look(model(tmp_path / "m", a=matrix), "tensor")
    assert min(found.before) == pytest.approx(max(found.before), rel=0.02)  # flat
    assert max(found.after) > 1.4 * min(found.after)  # levels fall into some bins three times, into others twice


def test_half_precision_is_read_as_it_is(tmp_path: Path) -> None:
    matrix = np.random.default_rng(1).normal(size=(8, 16)).astype(np.float16)
    one, other = model(tmp_path / "half", a=matrix), model(tmp_path / "full", a=matrix.astype(np.float32))
    (half,), (full,) = absmax.look(one), absmax.look(other)
    assert half.relative_error == full.relative_error
    assert half.before == full.before


def test_a_quantized_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r'"a".*quantized already'):
        list(absmax.look(model(tmp_path / "m", a=np.zeros((2, 2), np.int8))))


def test_the_command_shows_every_matrix(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["inspect", str(SAMPLE), "--absmax", "row", "--json", "--home", str(tmp_path)]) == 0
    said = capsys.readouterr()
    result = json.loads(said.out.splitlines()[-1])["absmax"]
    assert result["summary"]["matrices"] == len(result["tensors"])
    assert "model.embed_tokens.weight" in said.err
    assert "the relative error is" in said.err

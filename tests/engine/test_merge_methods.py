"""Merge methods against slow plain versions in float64, and their identities."""

from __future__ import annotations

import math

import pytest
import torch

from core.engine.merge.methods import Unmergeable, merge_tensors, selection
from core.engine.merge.methods.chunks import all_finite
from core.engine.merge.methods.selection import Changes, largest
from core.merge.methods import METHODS

PER_INPUT = {"weight": 0.5, "density": 0.5, "epsilon": 0.15, "gamma": 0.05, "scale": None}
REQUIRED = {"t": 0.3}


def tensors(count: int, shape=(30, 40), spread=0.3, dtype=torch.float32, seed=0) -> list[torch.Tensor]:
    """A base and models near it."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(shape, generator=generator, dtype=torch.float64)
    others = [base + spread * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count - 1)]
    return [each.to(dtype) for each in (base, *others)]


def merged(method: str, inputs: list[torch.Tensor], own: list[dict] | dict | None = None, seed=0, **shared):
    """As a recipe without further parameters has it, the first input the base."""
    facts = METHODS[method]
    options = {p.name: REQUIRED.get(p.name, p.default) for p in facts.parameters if p.scope == "merge"} | shared
    own = own or {}
    each = [PER_INPUT | (own[place] if isinstance(own, list) else own) for place in range(len(inputs))]
    base = None if facts.base == "an input" else 0
    generator = torch.Generator().manual_seed(seed)
    return merge_tensors(method, inputs, base, options, each, generator=generator)


def inputs_for(method: str) -> int:
    facts = METHODS[method]
    return facts.inputs[1] or 3


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


# --- identities


@pytest.mark.parametrize("method", METHODS)
def test_a_merge_of_a_model_with_itself_is_itself(method):
    one = tensors(1)[0]
    same = merged(method, [one] * inputs_for(method))
    torch.testing.assert_close(same, one, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_left_alone_and_the_type_asked_for_comes_out(method):
    inputs = tensors(inputs_for(method), dtype=torch.bfloat16)
    before = [each.clone() for each in inputs]
    facts = METHODS[method]
    options = {p.name: REQUIRED.get(p.name, p.default) for p in facts.parameters if p.scope == "merge"}
    base = None if facts.base == "an input" else 0
    each = [PER_INPUT] * len(inputs)
    found = merge_tensors(method, inputs, base, options, each, stored=torch.bfloat16)
    assert found.dtype == torch.bfloat16
    assert found.shape == inputs[0].shape
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "dare_linear", "nuslerp", "multislerp"])
def test_a_weight_of_one_and_none_gives_that_model(method):
    inputs = tensors(3)
    wanted = inputs[1]
    weights = [{"weight": 0.0, "density": 1.0}, {"weight": 1.0, "density": 1.0}, {"weight": 0.0, "density": 1.0}]
    torch.testing.assert_close(merged(method, inputs, weights), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spread", [0.001, 0.5, 5.0])
def test_slerp_ends_at_its_two_models(spread):
    a, b = tensors(2, spread=spread)
    torch.testing.assert_close(merged("slerp", [a, b], t=0.0), a, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(merged("slerp", [a, b], t=1.0), b, rtol=1e-6, atol=1e-6)


def test_ties_of_one_whole_change_is_task_arithmetic():
    inputs = tensors(2)
    one = {"weight": 0.7, "density": 1.0}
    ties = merged("ties", inputs, one, normalize=False)
    assert torch.equal(ties, merged("task_arithmetic", inputs, one))


def test_a_negative_weight_takes_a_task_away():
    base, tuned = tensors(2)
    found = merged("task_arithmetic", [base, tuned], {"weight": -1.0, "density": 1.0})
    torch.testing.assert_close(found, 2 * base - tuned)


def test_random_methods_follow_their_seed():
    inputs = tensors(3)
    for method in ("dare_ties", "della"):
        assert torch.equal(merged(method, inputs, seed=4), merged(method, inputs, seed=4))
        assert not torch.equal(merged(method, inputs, seed=4), merged(method, inputs, seed=5))


# --- slow plain versions


def plain_slerp(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    angle = math.acos(cosine(a, b))
    return (math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle)


def test_slerp_follows_the_circle():
    a, b = (each.double() for each in tensors(2, spread=2.0))
    found = merged("slerp", [a.float(), b.float()], t=0.3)
    torch.testing.assert_close(
        found.double(), plain_slerp(a.float().double(), b.float().double(), 0.3), rtol=1e-6, atol=1e-6
    )


def test_nuslerp_takes_rows_columns_or_all():
    base, a, b = tensors(3, spread=1.0, dtype=torch.float64)
    weights = [{}, {"weight": 1.0}, {"weight": 3.0}]
    whole = base + plain_slerp(a - base, b - base, 0.75)
    torch.testing.assert_close(merged("nuslerp", [base, a, b], weights), whole)
    by_row = torch.stack([plain_slerp(x, y, 0.75) for x, y in zip(a - base, b - base, strict=True)])
    found = merged("nuslerp", [base, a, b], weights, nuslerp_flatten=False)
    torch.testing.assert_close(found, base + by_row)
    by_column = torch.stack([plain_slerp(x, y, 0.75) for x, y in zip((a - base).T, (b - base).T, strict=True)], dim=1)
    found = merged("nuslerp", [base, a, b], weights, nuslerp_flatten=False, nuslerp_row_wise=True)
    torch.testing.assert_close(found, base + by_column)


def test_multislerp_takes_the_tangent_space_at_the_mean():
    base, *others = tensors(4, spread=1.0, dtype=torch.float64)
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    deltas = [each - base for each in others]
    units = torch.stack([(each / each.norm()).flatten() for each in deltas])
    mean = (weights[:, None] * units).sum(0)
    mean /= mean.norm()
    tangent = (weights[:, None] * (units - (units @ mean)[:, None] * mean)).sum(0)
    size = tangent.norm()
    point = mean * size.cos() + tangent / size * size.sin()
    length = sum(w * each.norm() for w, each in zip(weights, deltas, strict=True))
    found = merged("multislerp", [base, *others], [{}, *({"weight": float(w)} for w in weights)])
    torch.testing.assert_close(found, base + (length * point).reshape(base.shape), rtol=1e-6, atol=1e-7)


def test_the_karcher_mean_has_the_least_sum_of_squared_angles():
    inputs = tensors(3, spread=2.0, dtype=torch.float64)
    found = merged("karcher", inputs, max_iter=60, tol=1e-9)

    def spread_of(point: torch.Tensor) -> float:
        return sum(math.acos(min(1.0, cosine(point, each))) ** 2 for each in inputs)

    generator = torch.Generator().manual_seed(1)
    least = spread_of(found)
    for _ in range(20):
        near = found + 1e-3 * torch.randn(found.shape, generator=generator, dtype=torch.float64)
        assert spread_of(near) > least
    assert found.norm().item() == pytest.approx(sum(each.norm().item() for each in inputs) / 3)


def plain_ties(base, tuned, weights, density, gamma=0.0, elect=True, normalize=True):
    """Element by element, from lists sorted whole."""
    rows = []
    for each, weight in zip(tuned, weights, strict=True):
        delta = (each - base).flatten().tolist()
        count = len(delta)
        order = sorted(range(count), key=lambda i: -abs(delta[i]))
        outliers = min(int(gamma * count), count - int(density * count))
        kept = set(order[outliers : outliers + int(density * count)])
        rows.append([weight * value if index in kept else 0.0 for index, value in enumerate(delta)])
    out = []
    for place in range(base.numel()):
        column = [row[place] for row in rows]
        sign = 1 if sum(column) >= 0 else -1
        chosen = [i for i, value in enumerate(column) if not elect or value * sign > 0]
        total = sum(weights[i] for i in chosen) if elect else sum(weights)
        value = sum(column[i] for i in chosen)
        out.append(value / total if normalize and total else value)
    return base + torch.tensor(out, dtype=torch.float64).reshape(base.shape)


@pytest.mark.parametrize(
    ("method", "gamma", "elect", "normalize"),
    [("ties", 0.0, True, True), ("breadcrumbs", 0.05, False, False), ("breadcrumbs_ties", 0.05, True, False)],
)
def test_trimming_and_electing_agree_with_a_sorted_list(method, gamma, elect, normalize):
    base, *tuned = tensors(4, shape=(23, 17))
    weights = [0.3, 0.5, 0.9]
    own = [{}, *({"weight": w, "density": 0.4, "gamma": gamma} for w in weights)]
    found = merged(method, [base, *tuned], own)
    wanted = plain_ties(
        base.double(), [each.double() for each in tuned], weights, 0.4, gamma, elect=elect, normalize=normalize
    )
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("keep", [0, 1, 17, 999_999, 1_300_000])
def test_the_largest_are_exactly_so_many_and_none_left_out_is_larger(dtype, keep):
    values = torch.randn(1_300_000, dtype=dtype, generator=torch.Generator().manual_seed(keep))
    mask = largest(values.__getitem__, len(values), keep)
    assert int(mask.sum()) == keep
    if 0 < keep < len(values):
        assert values[mask].abs().min() >= values[~mask].abs().max()


def test_of_equal_magnitudes_the_first_are_kept():
    values = torch.tensor([1.0, -2.0, 2.0, 0.0, -2.0, 2.0, 3.0])
    assert largest(values.__getitem__, 7, 3).tolist() == [False, True, True, False, False, False, True]


def test_dare_keeps_the_density_and_both_rescalings_are_as_named():
    base, tuned = tensors(2, shape=(400, 500), spread=1.0)
    delta = tuned - base
    by_density = merged("dare_linear", [base, tuned], {"weight": 1.0, "density": 0.3}, rescale_by="density") - base
    by_l1 = merged("dare_linear", [base, tuned], {"weight": 1.0, "density": 0.3}) - base
    kept = by_density.abs() > 1e-6
    assert kept.float().mean().item() == pytest.approx(0.3, abs=0.005)
    torch.testing.assert_close(by_density[kept], delta[kept] / 0.3, rtol=1e-4, atol=1e-5)
    assert by_l1.abs().sum().item() == pytest.approx(delta.abs().sum().item(), rel=1e-4)
    drawn = torch.bernoulli(torch.full((200_000,), 0.3), generator=torch.Generator().manual_seed(0)).bool()
    assert torch.equal(kept.flatten(), drawn & (delta.flatten().abs() > 1e-6))  # the very lots of torch.bernoulli


def test_della_keeps_larger_changes_likelier():
    changes = Changes(torch.arange(1.0, 101.0).repeat(4000, 1), torch.zeros(4000, 100), torch.float32)
    mask = selection.by_rank(changes, 0.5, 0.2, torch.Generator().manual_seed(0)).reshape(4000, 100)
    share = mask.float().mean(0)
    torch.testing.assert_close(share, torch.linspace(0.3, 0.7, 100), rtol=0, atol=0.04)


def test_sce_selects_calculates_and_erases():
    base, *tuned = tensors(4, shape=(9, 11), dtype=torch.float64)
    deltas = torch.stack([each - base for each in tuned]).flatten(1)
    keep = deltas.var(0, unbiased=False).argsort(descending=True)[: int(0.4 * deltas.shape[1])]
    mask = torch.zeros(deltas.shape[1], dtype=torch.float64)
    mask[keep] = 1
    deltas = deltas * mask
    eta = deltas.square().mean(1) / deltas.square().mean(1).sum()
    sign = torch.where(deltas.sum(0) >= 0, 1.0, -1.0)
    agrees = (deltas * sign > 0).double()
    plain = (eta[:, None] * agrees * deltas).sum(0)
    per_place = (eta[:, None] * agrees).sum(0)
    found = merged("sce", [base, *tuned], select_topk=0.4, sce_reading="plain")
    torch.testing.assert_close(found, base + plain.reshape(base.shape))
    found = merged("sce", [base, *tuned], select_topk=0.4)
    torch.testing.assert_close(found, base + (plain / per_place.clamp(min=1e-6)).reshape(base.shape))


@pytest.mark.parametrize("filter_wise", [False, True])
def test_model_stock_goes_by_the_angle(filter_wise):
    base, *tuned = tensors(4, dtype=torch.float64)

    def stock(start, others):
        pairs = [(0, 1), (0, 2), (1, 2)]
        angle = sum(cosine(others[i] - start, others[j] - start) for i, j in pairs) / 3
        ratio = 3 * angle / (1 + 2 * angle)
        return ratio * sum(others) / 3 + (1 - ratio) * start

    wanted = stock(base, tuned)
    if filter_wise:
        wanted = torch.stack([stock(base[row], [each[row] for each in tuned]) for row in range(len(base))])
    torch.testing.assert_close(merged("model_stock", [base, *tuned], filter_wise=filter_wise), wanted)


def test_nearswap_takes_what_is_near_and_leaves_what_is_far():
    base = torch.tensor([1.0, 1.0, 1.0])
    other = torch.tensor([1.001, 1.1, 2.0])
    found = merged("nearswap", [base, other], t=0.01)
    torch.testing.assert_close(found, torch.tensor([1.001, 1.01, 1.01]))


def test_arcee_fusion_takes_the_changes_above_the_fence():
    base, other = tensors(2, shape=(40, 50))
    found = merged("arcee_fusion", [base, other])
    p, q = other.double().softmax(-1), base.double().softmax(-1)
    importance = (other - base).abs() * (p * (p / q).log()).sum(-1, keepdim=True)
    low, middle, high = (importance.flatten().sort().values[int(share * 1999)] for share in (0.25, 0.5, 0.75))
    wanted = torch.where(importance >= middle + 1.5 * (high - low), other, base)
    torch.testing.assert_close(found, wanted)


def test_ram_averages_what_is_shared_and_keeps_what_is_not():
    base = torch.zeros(4)
    a, b = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([3.0, 0.0, 2.0, 0.0])
    torch.testing.assert_close(merged("ram", [base, a, b]), torch.tensor([2.0, 1.0, 2.0, 0.0]))
    found = merged("ramplus_tl", [base, a, b], r=0.5, alpha=0.4)  # shared/unique is 1 for both, at most 0.4 counts
    torch.testing.assert_close(found, torch.tensor([2.0, 1.2, 2.4, 0.0]))


# --- wrong input and size


@pytest.mark.parametrize("method", ["linear", "multislerp"])
def test_weights_that_sum_to_zero_are_refused(method):
    own = [{"weight": 0.0}, {"weight": 1.0}, {"weight": -1.0}]
    with pytest.raises(Unmergeable, match="sum to 0"):
        merged(method, tensors(3), own)


def test_task_arithmetic_refuses_to_normalize_by_zero():
    with pytest.raises(Unmergeable, match="sum to 0"):
        merged("task_arithmetic", tensors(3), [{}, {"weight": 1.0}, {"weight": -1.0}], normalize=True)


def test_della_refuses_chances_beyond_certainty():
    with pytest.raises(Unmergeable, match="leaves the range"):
        merged("della", tensors(3), {"density": 0.95})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_single_broken_value_is_found(value, dtype):
    tensor = torch.randn(700_000).to(dtype)
    assert all_finite(tensor)
    tensor[600_123] = value
    assert not all_finite(tensor)


def test_a_large_sum_is_no_broken_value():
    assert all_finite(torch.full((1000,), 3e38))


@pytest.mark.parametrize("method", METHODS)
def test_pieces_make_no_difference(method, monkeypatch):
    """Tensors larger than a piece come out as those that fit in one."""
    from core.engine.merge.methods import chunks

    inputs = tensors(inputs_for(method), shape=(37, 29))
    whole = merged(method, inputs)
    original = chunks.pieces
    for module in (chunks, selection, *(_module(name) for name in ("averages", "task_vectors", "pairs"))):
        monkeypatch.setattr(module, "pieces", lambda count, size=61: original(count, min(size, 61)))
    if method.startswith("della"):
        monkeypatch.setattr(selection, "pieces", lambda count, size=58: original(count, 58))
    torch.testing.assert_close(merged(method, inputs), whole, rtol=1e-6, atol=1e-7)


def _module(name: str):
    import importlib

    return importlib.import_module(f"core.engine.merge.methods.{name}")

"""Every objective and every source in a real run: it trains, says its parts, and leaves a student that any program can load."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors import safe_open
from tiny import (
    ENTRIES,
    assert_same_curve,
    curve_of,
    events_of,
    finished,
    history_of,
    load,
    new_tiny_run,
    tiny_model,
    tiny_recipe,
    write_teacher,
    write_tokenizer,
)

from core import events as ev
from core.cache import read_manifest
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.lesson import AtHand, Lesson
from core.engine.text import IGNORED
from core.home import Home
from core.objectives import OBJECTIVES, Objective
from core.runs import RunFolder

pytestmark = pytest.mark.usefixtures("in_process")
SHORT = {"tokens": 1024, "validation_tokens": 256}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, teacher: Path, data: Path) -> RunFolder:
    return finished(Home.find(tmp_path_factory.mktemp("plain")), tiny_recipe(teacher, data, **SHORT))


def falls(run: RunFolder) -> bool:
    totals = [point.total for point in history_of(run).steps]
    return all(total == total for total in totals) and totals[-1] < totals[0]


@pytest.mark.parametrize("objective", [name for name in get_args(Objective) if OBJECTIVES[name].needs != "text"])
def test_every_objective_trains_and_leaves_a_plain_student(
    home: Home, teacher: Path, data: Path, objective: Any
) -> None:
    run = finished(home, tiny_recipe(teacher, data, objective=objective, ce_weight=0.2, learning_rate=5e-3, **SHORT))
    assert falls(run)
    student, _ = load(run.artifacts / "student")
    with safe_open(
        run.artifacts / "student" / "model.safetensors", "pt"
    ) as file:  # loading would drop names it doesn't know
        names = set(file.keys())
    assert names <= set(student.state_dict())
    assert names >= {name for name, _ in student.named_parameters()}
    assert all(point.kd is not None and point.kd >= -1e-4 for point in history_of(run).steps)


def test_the_parts_add_up_to_the_total(home: Home, teacher: Path, data: Path) -> None:
    recipe = tiny_recipe(
        teacher, data, ce_weight=0.3, temperature=2.0, hidden_weight=0.5, relation_weight=0.25, **SHORT
    )
    for point in history_of(finished(home, recipe)).steps:
        parts = 0.5 * point.parts["hidden"] + 0.25 * point.parts["relations"]
        assert point.total == pytest.approx(0.3 * point.ce + 0.7 * 4 * point.kd + parts, rel=1e-6)


def test_the_balance_makes_the_teachers_part_as_large_as_the_cross_entropy(
    home: Home, teacher: Path, data: Path
) -> None:
    run = finished(home, tiny_recipe(teacher, data, objective="tvd", balance="auto", **SHORT))
    last = history_of(run).steps[-1]
    assert last.parts["balance"] * last.kd == pytest.approx(last.ce, rel=0.3)
    assert last.parts["balance"] > 2  # a total variation is at most 1


@pytest.mark.parametrize(
    "fields", [{"objective": "hidden"}, {"objective": "dac_kl"}, {"balance": "auto", "objective": "jsd"}]
)
def test_what_is_learnt_beside_the_student_goes_on_after_a_stop(
    home: Home, teacher: Path, data: Path, tmp_path: Path, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Projections, the clip's network and the balance are in the checkpoint."""
    recipe = tiny_recipe(teacher, data, checkpoint_every=2, **fields, **SHORT)
    whole = finished(Home.find(tmp_path / "whole"), recipe)
    run = new_tiny_run(home, recipe)
    seal = ev.CheckpointSaved

    def stopping(step: int, path: str) -> Any:
        if step == 4:
            run.stop_request.write_text("keep")
        return seal(step, path)

    monkeypatch.setattr(ev, "CheckpointSaved", stopping)
    assert work(run, "cpu") == STOPPED
    monkeypatch.undo()
    run.stop_request.unlink(missing_ok=True)
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)


# ------------------------------------------------------------------------------------------------------------- sources


def test_a_cache_of_all_entries_trains_as_the_teacher_itself(
    home: Home, teacher: Path, data: Path, plain: RunFolder
) -> None:
    run = finished(home, tiny_recipe(teacher, data, source="cache", top_k=ENTRIES, **SHORT))
    assert [ce for _, ce, *_ in curve_of(run)] == pytest.approx([ce for _, ce, *_ in curve_of(plain)], abs=2e-3)


def test_a_cache_is_made_once_and_found_again_by_other_objectives(home: Home, teacher: Path, data: Path) -> None:
    found = []
    for objective in ("forward_kl", "jsd", "reverse_kl"):
        run = finished(home, tiny_recipe(teacher, data, source="cache", objective=objective, top_k=20, **SHORT))
        found.append(history_of(run).choices["cache"])
        assert all(point.kd >= 0 for point in history_of(run).steps)
    assert len({choice.value for choice in found}) == 1
    assert "nobody" in found[0].reason
    assert "before" in found[1].reason


@pytest.mark.parametrize(("precision", "most"), [("int8", 0.01), ("int4", 0.1)])
def test_a_quantized_teacher_says_nearly_the_same_online_and_from_a_cache(
    home: Home, teacher: Path, data: Path, precision: Any, most: float
) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes (the extra qlora) rounds the weights of a teacher")
    scratch = {"init": "scratch", "student": "0.6x", **SHORT}
    exact = history_of(finished(home, tiny_recipe(teacher, data, **scratch)))
    online = finished(home, tiny_recipe(teacher, data, teacher_precision=precision, **scratch))
    rounded = history_of(online)
    assert rounded.results is not None
    assert exact.results is not None
    assert rounded.results["teacher"]["ce"] == pytest.approx(exact.results["teacher"]["ce"], rel=most)
    assert rounded.results["teacher"]["ce"] != exact.results["teacher"]["ce"]
    cached = finished(
        home, tiny_recipe(teacher, data, teacher_precision=precision, source="cache", top_k=ENTRIES, **scratch)
    )
    assert read_manifest(Path(history_of(cached).choices["cache"].value)).dtype == precision
    assert [point.kd for point in history_of(cached).steps] == pytest.approx(
        [point.kd for point in rounded.steps], abs=2e-3
    )


def test_drawn_classes_train_too(home: Home, teacher: Path, data: Path) -> None:
    assert falls(
        finished(home, tiny_recipe(teacher, data, source="cache", tail="sample", top_k=12, learning_rate=5e-3, **SHORT))
    )


def test_drawn_classes_say_the_divergence_that_the_teacher_at_hand_says(
    home: Home, teacher: Path, data: Path, plain: RunFolder
) -> None:
    """Not the cross-entropy to the teacher, which is greater by the teacher's entropy."""
    run = finished(home, tiny_recipe(teacher, data, source="cache", tail="sample", top_k=ENTRIES, **SHORT))
    assert history_of(run).steps[0].kd == pytest.approx(history_of(plain).steps[0].kd, abs=0.02)


def test_a_cache_of_another_teacher_is_refused_before_training(home: Home, data: Path, tmp_path: Path) -> None:
    one, other = write_teacher(tmp_path / "one"), tmp_path / "other"
    run = finished(home, tiny_recipe(one, data, source="cache", top_k=8, **SHORT))
    shutil.copytree(one, other)
    tiny_model(seed=9).save_pretrained(other)
    cache = history_of(run).choices["cache"].value
    recipe = tiny_recipe(one, data, source="cache", cache=cache, top_k=8, **SHORT)
    run = new_tiny_run(home, recipe)
    shutil.rmtree(one)
    shutil.copytree(other, one)
    assert work(run, "cpu") == FAILED
    assert "another teacher" in history_of(run).failure.what
    assert not history_of(run).steps


def test_on_policy_the_student_writes_its_share_and_resumes_the_same(
    home: Home, teacher: Path, data: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe(teacher, data, source="on-policy", objective="jsd", on_policy_share=0.6, **SHORT)
    run, again = finished(home, recipe), finished(Home.find(tmp_path / "again"), recipe)
    steps = history_of(run).steps
    assert 0.05 < sum(point.generated for point in steps) / len(steps) < 0.9
    assert [event for event in events_of(run, ev.SampleWritten) if event.subject == "on-policy"]
    for one, other in zip(curve_of(run), curve_of(again), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_on_policy_the_micro_batch_changes_nothing(home: Home, teacher: Path, data: Path) -> None:
    recipe = tiny_recipe(teacher, data, source="on-policy", on_policy_share=0.6, new_tokens=12, **SHORT)
    runs = [finished(home, recipe.model_copy(update={"micro_batch": micro})) for micro in (4, 2, 1)]
    for run in runs[1:]:
        assert [p.generated for p in history_of(run).steps] == [p.generated for p in history_of(runs[0]).steps]
        for one, other in zip(curve_of(run), curve_of(runs[0]), strict=True):
            assert one == pytest.approx(other, abs=1e-5)


def test_on_policy_without_a_share_is_the_plain_run(home: Home, teacher: Path, data: Path, plain: RunFolder) -> None:
    run = finished(home, tiny_recipe(teacher, data, source="on-policy", on_policy_share=0.0, **SHORT))
    assert_same_curve(run, plain)


def test_the_single_step_of_minillm_trains(home: Home, teacher: Path, data: Path) -> None:
    recipe = tiny_recipe(
        teacher, data, source="on-policy", objective="reverse_kl", teacher_mix=0.2, on_policy_share=1.0, **SHORT
    )
    steps = history_of(finished(home, recipe)).steps
    assert all(point.generated == pytest.approx(1.0) for point in steps)
    assert all(point.kd == point.kd for point in steps)


# ------------------------------------------------------------------------------------------------------------- teachers


def test_two_equal_teachers_are_one(home: Home, teacher: Path, data: Path, plain: RunFolder, tmp_path: Path) -> None:
    twin = shutil.copytree(teacher, tmp_path / "twin")
    for mixture in ("mean", "lowest-ce"):
        run = finished(home, tiny_recipe(teacher, data, more_teachers=(str(twin),), mixture=mixture, **SHORT))
        for found, expected in zip(curve_of(run), curve_of(plain), strict=True):
            assert found == pytest.approx(expected, abs=1e-4)


SMALL = 320  # rows: the text holds tokens beyond


@pytest.mark.parametrize("which", ["first", "further"])
def test_a_teacher_without_a_row_for_a_token_of_the_text_is_refused_before_training(
    home: Home, teacher: Path, data: Path, tmp_path: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokenizer is the student's, its table is not. The tokens beyond it may be so rare that a look at some texts doesn't tell."""
    monkeypatch.setattr("core.engine.reading.first_texts", lambda *_: [])
    small = write_teacher(tmp_path / "small", vocab_size=SMALL)
    student = write_teacher(tmp_path / "student", seed=5, num_hidden_layers=1)
    fields = {"further": {"more_teachers": (str(small),)}, "first": {"student": str(student), "init": "existing"}}
    run = new_tiny_run(home, tiny_recipe(small if which == "first" else teacher, data, **fields[which], **SHORT))
    assert work(run, "cpu") == FAILED
    failure = history_of(run).failure
    assert f"the table of the teacher small has only {SMALL} rows" in failure.what
    assert not history_of(run).steps


def test_what_blocks_are_filled_up_with_is_a_token_that_every_teacher_knows(
    home: Home, data: Path, tmp_path: Path
) -> None:
    """The student's tokenizer has a token more for padding; its teachers need no row for it."""
    teacher, other, student = (
        write_teacher(tmp_path / name, seed=len(name)) for name in ("teacher", "other", "student")
    )
    tiny_model(seed=4, vocab_size=ENTRIES + 1, num_hidden_layers=1).save_pretrained(student)
    _, tokenizer = load(student)
    tokenizer.add_special_tokens({"pad_token": "<filling>"})
    assert tokenizer.pad_token_id == ENTRIES
    tokenizer.save_pretrained(student)
    recipe = tiny_recipe(
        teacher, data, student=str(student), init="existing", more_teachers=(str(other),), batch_tokens=64, **SHORT
    )
    run = finished(home, recipe)
    assert falls(run)


def test_for_each_document_the_teacher_counts_that_reads_it_best() -> None:
    teachers = [tiny_model(seed=seed).eval() for seed in (1, 2)]
    ids = torch.randint(3, ENTRIES, (2, 16), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[*range(10), *range(6)], [*range(4), *range(12)]])
    labels = torch.cat([ids[:, 1:], ids[:, :1]], 1)
    labels[:, -1] = labels[0, 9] = labels[1, 3] = IGNORED
    batch = {"input_ids": ids, "position_ids": positions, "labels": labels}
    counted = labels != IGNORED
    chosen = AtHand(teachers, (), "lowest-ce").word(batch, counted).weights_NK.argmax(1)
    wanted = []
    for row, edges in ((0, (0, 10, 16)), (1, (0, 4, 16))):
        for start, end in itertools.pairwise(edges):
            part, target = ids[row : row + 1, start:end], labels[row, start:end]
            losses = [
                torch.nn.functional.cross_entropy(teacher(input_ids=part).logits[0], target, ignore_index=IGNORED)
                for teacher in teachers
            ]
            wanted += [int(torch.stack(losses).argmin())] * int((target != IGNORED).sum())
    assert chosen.tolist() == wanted


@pytest.mark.parametrize("objective", ["gold", "uld"])
def test_a_teacher_with_another_tokenizer_teaches_by_the_text(
    home: Home, data: Path, tmp_path: Path, objective: Any
) -> None:
    teacher, student = write_teacher(tmp_path / "teacher"), tmp_path / "student"
    tiny_model(seed=5, vocab_size=300).save_pretrained(student)
    write_tokenizer(student, entries=300)
    recipe = tiny_recipe(
        teacher, data, student=str(student), init="existing", objective=objective, learning_rate=5e-3, **SHORT
    )
    run = finished(home, recipe)
    assert falls(run)
    assert "among the teacher's" in history_of(run).choices["alignment"].reason
    assert history_of(run).evaluations[-1].metrics["kd"] is None  # scores of different tokens are not compared


# ------------------------------------------------------------------------------------------- the lesson and the plain way


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt_neox"])
def test_a_lesson_gives_the_loss_and_gradients_of_the_plain_loop(teacher: Path, data: Path, family: str) -> None:
    """Rows that are not learnt change nothing, whatever stands there; in micro-batches or at once."""
    master, student = tiny_model(family, seed=1).double().eval(), tiny_model(family, seed=2).double()
    recipe = tiny_recipe(teacher, data, ce_weight=0.4, temperature=2.0)
    ids = torch.randint(3, ENTRIES, (4, 20), generator=torch.Generator().manual_seed(0))
    labels = torch.cat([ids[:, 1:], torch.full((4, 1), IGNORED)], 1)
    labels[:, :6] = IGNORED
    positions = torch.arange(20).expand(4, -1)
    z, t = student(input_ids=ids).logits, master(input_ids=ids).logits
    counted = labels != IGNORED
    z, t = z[counted], t[counted].detach()
    ce = torch.nn.functional.cross_entropy(z, labels[counted], reduction="sum")
    log_q, log_p = (z / 2).log_softmax(-1), (t / 2).log_softmax(-1)
    wanted = 0.4 * ce + 0.6 * 4 * (log_p.exp() * (log_p - log_q)).sum()
    gradients = torch.autograd.grad(wanted, list(student.parameters()))
    lesson = Lesson(recipe, student, AtHand([master], (), "mean"))
    assert lesson.split
    total = torch.zeros((), dtype=torch.float64)
    for rows in (slice(0, 1), slice(1, 4)):
        batch = {"input_ids": ids[rows], "position_ids": positions[rows], "labels": labels[rows]}
        loss, _ = lesson.loss(student, batch)
        loss.backward()
        total += loss.detach()
    assert total.item() == pytest.approx(wanted.item(), rel=1e-9)
    for parameter, gradient in zip(student.parameters(), gradients, strict=True):
        within = 1e-5 if family == "gemma2" else 1e-8  # its norms compute in float32 whatever comes in
        torch.testing.assert_close(parameter.grad, gradient, rtol=within, atol=within)

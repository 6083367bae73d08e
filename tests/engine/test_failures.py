"""What goes wrong is said in the user's words, the last good checkpoint stays, and nothing is left half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import (
    assert_same_curve,
    history_of,
    new_tiny_run,
    tiny_model,
    tiny_recipe,
    write_data,
    write_teacher,
    write_tokenizer,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from core import events as ev
from core.engine import checkpoints, distill, rehearsal
from core.engine.__main__ import FAILED, FINISHED, work
from core.engine.text import Blocks, Framing, look_over, tokenise
from core.engine.trainer import DistillTrainer
from core.home import Home
from core.runs import RunFolder
from core.state import State

pytestmark = pytest.mark.usefixtures("in_process")


def failure_of(run: RunFolder) -> ev.RunFailed:
    """The run said why it failed, to a person: no bug of ours, and a way out."""
    assert work(run, "cpu") == FAILED
    history = history_of(run)
    assert history.said is State.FAILED
    assert "did not foresee" not in history.failure.what
    assert history.failure.way_out
    return history.failure


# ------------------------------------------------------------------------------------------------------ not a number


def test_a_teacher_with_nan_weights_is_noticed_before_the_student_is_spoilt(home, data, tmp_path):
    folder = tmp_path / "nan-teacher"
    model = tiny_model()
    model.model.layers[1].mlp.up_proj.weight.data[3, 5] = float("nan")
    model.save_pretrained(folder)
    write_tokenizer(folder)
    for init in ("prune", "scratch"):
        run = new_tiny_run(home, tiny_recipe(folder, data, init=init))
        assert "model.layers.1.mlp.up_proj.weight holds NaN" in failure_of(run).what
        assert not history_of(run).steps


@pytest.fixture
def poisoned(home, tmp_path) -> RunFolder:
    """A student whose row of one rare token is NaN, and a text where the token comes late in the training."""
    folder = write_teacher(tmp_path / "poisoned", seed=5, tie_word_embeddings=False)
    text = write_data(tmp_path / "s.txt", 140)
    text.write_text(text.read_text().replace("<|endoftext|>", "~\n<|endoftext|>", 1))
    recipe = tiny_recipe(None, text, student=str(folder), init="existing", tokens=12 * 240)
    for seed in range(50):  # the order of training follows from the seed
        run = new_tiny_run(home, recipe.model_copy(update={"seed": seed}))
        at = step_of_token(run, folder, "~")
        if at is not None and 6 <= at <= 11:
            poison(folder, "~")
            return run
        shutil.rmtree(run.path)
    raise AssertionError("no seed puts the token late")


def token_id(folder: Path, text: str) -> int:
    return json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"][text]


def step_of_token(run: RunFolder, folder: Path, text: str) -> int | None:
    """The step whose blocks hold the token, which must stand in the training text and not in the held-out one."""
    recipe, tokenizer = run.recipe(), AutoTokenizer.from_pretrained(folder)
    plan = look_over(recipe.data, None, recipe.tokens, recipe.validation_tokens)
    framing = Framing(0, 1, "")
    arguments = (plan, recipe.data, None, tokenizer, framing, recipe.validation_tokens, recipe.seed, lambda _: None)
    corpus, held_out = tokenise(*arguments)
    wanted = token_id(folder, text)
    blocks = Blocks(corpus, 64, recipe.tokens, 4, recipe.seed, 2)
    found = [index for index in range(len(blocks)) if wanted in blocks[index]["input_ids"]]
    if wanted in held_out.ids or not found:
        return None
    return found[0] // 4 + 1


def poison(folder: Path, text: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.model.embed_tokens.weight.data[token_id(folder, text)] = float("nan")
    model.save_pretrained(folder)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step_and_the_good_checkpoint(poisoned):
    failure = failure_of(poisoned)
    history = history_of(poisoned)
    step = history.steps[-1].step + 1
    assert f"at step {step}" in failure.what
    assert failure.step == step - 1
    kept, folder = checkpoints.newest(poisoned.checkpoints)
    assert 4 <= kept < step
    assert f"checkpoint of step {kept} is good" in failure.what
    weights = load_file(folder / "model.safetensors")
    rows = weights.pop("model.embed_tokens.weight").isfinite().all(1)
    assert int((~rows).sum()) == 1  # the one that was sick before
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert all(point.ce is not None and point.grad_norm is not None for point in history.steps)


def test_an_absurd_learning_rate_spoils_no_file(home, teacher, data):
    """The norms keep such a model's numbers finite: it may be a bad student, but what is saved is what was measured."""
    run = new_tiny_run(home, tiny_recipe(teacher, data, learning_rate=0.99, weight_decay=1.0, clip=1e6))
    assert work(run, "cpu") == FINISHED
    history = history_of(run)
    assert all(point.total is not None and point.grad_norm is not None for point in history.steps)
    assert history.results["saved"]["ce"] == pytest.approx(history.results["after"]["ce"], rel=1e-3)
    weights = load_file(run.artifacts / "student" / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_student_that_reads_with_nan_is_not_handed_out_as_good(home, teacher, data, monkeypatch, tmp_path):
    """The last step's weights are only seen by the last evaluation."""
    score, out = distill.score, tmp_path / "student"
    monkeypatch.setattr(distill, "score", lambda *given: replace(score(*given), nll=float("nan")))
    run = new_tiny_run(home, tiny_recipe(teacher, data, tokens=512, out=str(out)))
    assert "nan nats" in failure_of(run).what
    assert not out.exists()


# ---------------------------------------------------------------------------------------------------------- no memory


def scarce(monkeypatch: pytest.MonkeyPatch, room: int, from_step: int) -> None:
    """From a step on, more than `room` blocks at once do not fit in memory any more."""
    compute = DistillTrainer.compute_loss

    def allocate(self, model, inputs, *rest, **named):
        if self.state.global_step >= from_step and len(inputs["input_ids"]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return compute(self, model, inputs, *rest, **named)

    monkeypatch.setattr(DistillTrainer, "compute_loss", allocate)


@pytest.mark.parametrize(("room", "from_step", "left"), [(2, 0, 2), (1, 5, 1), (2, 8, 2)])
def test_running_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(
    home, teacher, data, whole, monkeypatch, room, from_step, left
):
    scarce(monkeypatch, room, from_step)
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)
    warnings = [notice.text for notice in history_of(run).notices if notice.level == "warning"]
    assert len(warnings) == (1 if left == 2 else 2)
    assert f"{left} are taken" in warnings[-1]


def test_a_killed_engine_that_had_halved_goes_on_to_the_same_end(home, teacher, data, whole, monkeypatch):
    scarce(monkeypatch, 2, 5)
    monkeypatch.setattr(distill, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    assert work(run, "cpu") == FAILED
    shutil.rmtree(run.checkpoints / "checkpoint-12")
    monkeypatch.undo()
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)


def test_not_even_one_block_fits(home, teacher, data, monkeypatch):
    scarce(monkeypatch, 0, 0)
    failure = failure_of(new_tiny_run(home, tiny_recipe(teacher, data)))
    assert "Even one block of 64 tokens does not fit" in failure.what
    assert "Shorten" in failure.way_out


def test_the_rehearsal_finds_out_in_seconds_not_after_hours(home, teacher, data, whole, monkeypatch):
    peak = rehearsal.peak_of

    def allocate(bench, lesson, count):
        if count > 2:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory")
        return peak(bench, lesson, count)

    monkeypatch.setattr(rehearsal, "peak_of", allocate)
    monkeypatch.setattr(rehearsal, "SMALL_SHARE", 0.0)
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    assert work(run, "cpu") == FINISHED
    plan = history_of(run).plan
    assert (plan.micro_batch, plan.accumulation) == (2, 2)
    assert_same_curve(run, whole)


def test_a_batch_that_takes_next_to_nothing_on_a_cpu_is_not_rehearsed_whole(home, teacher, data, monkeypatch):
    peak, tried = rehearsal.peak_of, []
    monkeypatch.setattr(rehearsal, "peak_of", lambda *given: tried.append(given[-1]) or peak(*given))
    run = new_tiny_run(home, tiny_recipe(teacher, data, tokens=512))
    assert work(run, "cpu") == FINISHED
    assert history_of(run).plan.micro_batch == 4
    assert tried == [1]


def test_another_error_in_a_step_is_not_taken_for_want_of_memory(home, teacher, data, monkeypatch):
    monkeypatch.setattr(DistillTrainer, "compute_loss", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("shapes")))
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    assert work(run, "cpu") == FAILED
    failure = history_of(run).failure
    assert "did not foresee while training: RuntimeError: shapes" in failure.what
    assert "Traceback" in failure.details


# --------------------------------------------------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with little room, where we may mount one."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2M", "stillroom-test", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root on Linux to mount a small tmpfs")
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this machine does not let us mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    """A file that leaves so much room."""
    ballast = disk / "ballast"
    with ballast.open("wb") as stream:
        stream.write(b"\0" * max(0, shutil.disk_usage(disk).free - leave_bytes))
    return ballast


@pytest.mark.parametrize("leave_kib", [40, 150, 220])
def test_a_full_disk_keeps_the_last_good_checkpoint_and_the_run_goes_on_when_there_is_room(
    small_disk, teacher, data, whole, monkeypatch, leave_kib
):
    """With different room, the weights, the optimizer's moments or the journal itself are what does not fit."""
    home = Home.find(small_disk / "home")
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    seal = checkpoints.seal

    def seal_then_fill(folder, step):
        seal(folder, step)
        if step == 4:
            fill(small_disk, leave_kib * 1024)

    monkeypatch.setattr(checkpoints, "seal", seal_then_fill)
    assert work(run, "cpu") == FAILED
    history = history_of(run)
    assert history.said is State.FAILED
    assert "disk" in history.failure.what
    assert "full" in history.failure.what
    assert "Free some space" in history.failure.way_out
    assert checkpoints.newest(run.checkpoints)[0] == 4
    assert [folder.name for folder in run.checkpoints.iterdir()] == ["checkpoint-4"]
    monkeypatch.undo()
    (small_disk / "ballast").unlink()
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)


# ---------------------------------------------------------------------------------------------- bad models and bad text


def broken_copy(teacher: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(teacher, tmp_path / "broken"))


def spoilt(home, teacher: Path, data: Path, tmp_path: Path, spoil) -> ev.RunFailed:
    """The teacher breaks after the run was made, so it is the engine that meets it."""
    folder = broken_copy(teacher, tmp_path)
    run = new_tiny_run(home, tiny_recipe(folder, data))
    spoil(folder)
    failure = failure_of(run)
    assert str(folder) in failure.what
    assert not list(run.artifacts.iterdir())
    return failure


def test_a_folder_that_is_no_model(home, teacher, data, tmp_path):
    failure = spoilt(home, teacher, data, tmp_path, lambda folder: (folder / "config.json").unlink())
    assert "config.json" in failure.what


def test_a_truncated_weight_file(home, teacher, data, tmp_path):
    def truncate(folder: Path) -> None:
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1000])

    assert "model.safetensors" in spoilt(home, teacher, data, tmp_path, truncate).what


def test_a_weight_file_with_a_corrupt_header(home, teacher, data, tmp_path):
    def scramble(folder: Path) -> None:
        file = folder / "model.safetensors"
        file.write_bytes(b"\xff" * 64 + file.read_bytes()[64:])

    assert "model.safetensors" in spoilt(home, teacher, data, tmp_path, scramble).what


def test_a_teacher_that_has_gone(home, teacher, data, tmp_path):
    spoilt(home, teacher, data, tmp_path, shutil.rmtree)


def test_a_tokenizer_that_can_not_be_read(home, teacher, data, tmp_path):
    failure = spoilt(home, teacher, data, tmp_path, lambda folder: (folder / "tokenizer.json").write_text("{"))
    assert "tokenizer" in failure.what


def test_teacher_and_student_of_different_tokenizers(home, teacher, data, tmp_path):
    student = write_teacher(tmp_path / "other", seed=5, hidden_size=16)
    write_tokenizer(student, entries=320)
    run = new_tiny_run(home, tiny_recipe(teacher, data, student=str(teacher), init="existing"))
    recipe = json.loads(run.recipe_file.read_text())
    run.recipe_file.write_text(json.dumps(recipe | {"student": str(student)}))
    assert "different tokenizers" in failure_of(run).what


def test_blocks_longer_than_the_context(home, teacher, data):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    recipe = json.loads(run.recipe_file.read_text())
    run.recipe_file.write_text(json.dumps(recipe | {"sequence_length": 256}))
    assert "longer than the model's context of 128" in failure_of(run).what


@pytest.mark.parametrize(
    "content", [b"", b"  \n\n \n", b"\x00\x01\x02 binary", "für".encode("utf-16"), b"caf\xe9 au lait"]
)
def test_text_that_is_none(home, teacher, tmp_path, content):
    file = tmp_path / "text.txt"
    file.write_bytes(content)
    assert str(file) in failure_of(new_tiny_run(home, tiny_recipe(teacher, file))).what


def test_too_little_text_to_hold_some_out(home, teacher, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("One short line.")
    assert "too little" in failure_of(new_tiny_run(home, tiny_recipe(teacher, file))).what


def test_a_recipe_of_another_version_is_refused_by_name(home, teacher, data):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    run.recipe_file.write_text(json.dumps(json.loads(run.recipe_file.read_text()) | {"magic": 1}))
    assert work(run, "cpu") == FAILED
    assert "magic" in history_of(run).failure.what


def test_a_device_that_this_machine_does_not_have(home, teacher, data):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    assert work(run, "cuda:7") == FAILED
    assert "no device cuda:7" in history_of(run).failure.what


def test_checkpoints_with_a_missing_or_shorter_file_do_not_count(tmp_path):
    for step in (4, 8, 12):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"12345")
        (folder / "optimizer.pt").write_bytes(b"12345")
        if step < 12:
            checkpoints.seal(folder, step)
    assert checkpoints.newest(tmp_path)[0] == 8
    (tmp_path / "checkpoint-8" / "optimizer.pt").write_bytes(b"123")
    assert checkpoints.newest(tmp_path)[0] == 4
    checkpoints.drop_incomplete(tmp_path)
    assert [folder.name for folder in tmp_path.iterdir()] == ["checkpoint-4"]


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    for step in (4, 8, 12, 100):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"1")
        checkpoints.seal(folder, step)
    checkpoints.keep_newest(tmp_path, 2)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["checkpoint-100", "checkpoint-12"]

"""A distillation from recipe to student: whole, honest about what it did, with the arithmetic of a plain loop."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny import (
    CONTEXT,
    assert_same_curve,
    beginnings,
    curve_of,
    events_of,
    finished,
    history_of,
    load,
    new_tiny_run,
    tiny_model,
    tiny_recipe,
    train_briefly,
    write_data,
    write_teacher,
    write_tokenizer,
)

from core import events as ev
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.session import Session
from core.engine.text import Blocks, Framing, look_over, tokenise
from core.runs import KEEP
from core.state import State

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def student_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller model of the teacher's tokenizer: a student that exists already."""
    return write_teacher(tmp_path_factory.mktemp("models") / "small", seed=5, hidden_size=16, intermediate_size=32)


def numbers_in(value) -> list[float]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_in(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("init", ["prune", "masks", "inherit", "scratch"])
def test_every_builder_leads_to_a_student_that_anyone_can_load(home, teacher, data, tmp_path, init):
    out = tmp_path / "new" / "student é"
    share = {"inherit": "0.8x"}.get(init, "0.6x")
    run = finished(home, tiny_recipe(teacher, data, init=init, student=share, out=str(out)))
    results = history_of(run).results
    for folder in (run.artifacts / "student", out):
        model, tokenizer = load(folder)
        assert model.num_parameters() == results["parameters"] < 0.85 * 30_880
        prompt = tokenizer("Once upon", return_tensors="pt")
        written = model.generate(**prompt, max_new_tokens=20, do_sample=False)
        assert written.shape[1] <= prompt.input_ids.shape[1] + 20
        assert set(model.generation_config.eos_token_id) == {1}
        assert {"README.md", "stillroom.json", "recipe.json"} <= {file.name for file in folder.iterdir()}
        assert json.loads((folder / "recipe.json").read_text())["seed"] == 0
        lineage = json.loads((folder / "stillroom.json").read_text())
        assert lineage["run"] == run.id
        assert lineage["init"] == init
        card = (folder / "README.md").read_text()
        assert "bits per byte" in card
        assert run.id in card
    assert not list(tmp_path.rglob("*.part"))
    assert not (run.path / "tokens").exists()
    assert results["out"] == str(out)


def test_the_journal_tells_the_whole_story(whole):
    run = whole
    history, events = history_of(run), events_of(run)
    assert history.said is State.FINISHED
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(events[0], ev.RunStarted)
    assert isinstance(events[-1], ev.RunFinished)
    assert [point.step for point in history.steps] == list(range(1, history.plan.steps + 1))
    assert history.steps[-1].tokens == history.plan.tokens >= 12 * 240
    for point in history.steps:
        parts = (
            point.lr,
            point.ce,
            point.kd,
            point.total,
            point.grad_norm,
            point.tokens_per_second,
            point.memory_bytes,
        )
        assert all(number is not None and math.isfinite(number) for number in parts)
        assert point.total == pytest.approx(0.5 * point.ce + 0.5 * point.kd, rel=1e-6)
    assert [(point.step, point.subject) for point in history.evaluations] == [
        (0, "teacher"),
        (0, "student"),
        (6, "student"),
        (12, "student"),
    ]
    assert {"ce", "kd", "perplexity", "bits_per_byte", "agreement"} <= history.evaluations[-1].metrics.keys()
    assert len(history.samples) == 3
    assert {
        "precision",
        "framing",
        "sequence length",
        "student",
        "micro-batch",
        "learning rate",
    } <= history.choices.keys()
    assert all(choice.reason for choice in history.choices.values())
    phases = [event.phase for event in events_of(run, ev.PhaseEntered)]
    order = ["loading", "reading the data", "building the student", "rehearsing the fullest batch"]
    assert [phase for phase in phases if phase in order] == order
    assert phases[-2:] == ["saving", "checking the student"]
    assert "null" not in json.dumps([point.metrics for point in history.evaluations[1:]])
    saved, after = history.results["saved"]["ce"], history.results["after"]["ce"]
    assert saved == pytest.approx(after, abs=1e-3)
    assert len(numbers_in(history.results)) > 10
    assert len(list(run.checkpoints.iterdir())) == 2


def test_the_control_run_reads_the_same_tokens_in_the_same_order_without_the_teacher(home, teacher, data):
    """Same seed, start, framing, blocks and held-out text: the teacher's guidance is the only difference."""
    guided = finished(home, tiny_recipe(teacher, data, ce_weight=1.0, init="scratch"))
    control = finished(home, tiny_recipe(teacher, data, use_teacher=False, init="scratch"))
    ends = [history_of(run) for run in (guided, control)]
    assert ends[0].choices["framing"].value == ends[1].choices["framing"].value
    assert all(point.kd is None for point in ends[1].steps)
    for one, other in zip(ends[0].steps, ends[1].steps, strict=True):
        assert one.tokens == other.tokens
        assert one.ce == pytest.approx(other.ce, abs=1e-5)  # with all weight on the text, guidance does nothing
        assert other.total == pytest.approx(other.ce)
    assert ends[1].results["teacher"] is None
    assert "trained without a teacher" in (control.artifacts / "student" / "README.md").read_text()


def test_a_control_run_is_framed_by_the_teacher_that_it_does_without(home, data, tmp_path):
    """This teacher ends texts with its bos, as stories3m does; the tokenizer alone would say eos."""
    folder = write_teacher(tmp_path / "ends-with-bos")
    model, tokenizer = load(folder)
    train_briefly(model, [[0, *tokenizer(text, add_special_tokens=False).input_ids, 0] for text in beginnings(24)], 60)
    model.save_pretrained(folder)
    runs = [
        finished(home, tiny_recipe(folder, data, use_teacher=use, init="scratch", tokens=512)) for use in (True, False)
    ]
    framings = [history_of(run).choices["framing"].value for run in runs]
    assert framings[0] == framings[1] == [0, 0]
    assert load(runs[1].artifacts / "student")[0].generation_config.eos_token_id == [0, 1]


def plain_curve(recipe, student, teacher, tokenizer, rate: float) -> list[tuple[float, float, float]]:
    """(ce, kd, total) of every step by a loop that reads each document by itself, in float64 losses."""
    framing = Framing(0, 1, "")
    plan = look_over(recipe.data, None, recipe.tokens, recipe.validation_tokens)
    corpus, _ = tokenise(
        plan, recipe.data, None, tokenizer, framing, recipe.validation_tokens, recipe.seed, lambda _: None
    )
    per_step = recipe.batch_tokens // recipe.sequence_length
    blocks = Blocks(corpus, recipe.sequence_length, recipe.tokens, per_step, recipe.seed, 2)
    decayed = [p for name, p in student.named_parameters() if "norm" not in name]
    others = [p for name, p in student.named_parameters() if "norm" in name]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate, betas=(recipe.beta1, recipe.beta2))
    steps, warm, curve = len(blocks) // per_step, 1, []
    for step in range(steps):
        share = step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        ce, kd, count = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64), 0
        for number in range(step * per_step, (step + 1) * per_step):
            for document, start, end in blocks._blocks[number]:
                ids = torch.tensor([corpus[document][start:end].tolist()])
                log_q = student(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
                with torch.no_grad():
                    log_p = teacher(input_ids=ids).logits[0, :-1].double().div(recipe.temperature).log_softmax(-1)
                log_q_soft = student(input_ids=ids).logits[0, :-1].double().div(recipe.temperature).log_softmax(-1)
                ce = ce - log_q.gather(-1, ids[0, 1:, None]).sum()
                kd = kd + (log_p.exp() * (log_p - log_q_soft)).sum()
                count += ids.shape[1] - 1
        total = (recipe.ce_weight * ce + (1 - recipe.ce_weight) * recipe.temperature**2 * kd) / count
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), recipe.clip)
        optimizer.step()
        curve.append((ce.item() / count, kd.item() / count, total.item()))
    return curve


def test_the_curve_is_that_of_a_plain_loop_whatever_the_micro_batch(home, teacher, data, student_folder):
    fields = {"student": str(student_folder), "init": "existing", "ce_weight": 0.3, "temperature": 2.0, "clip": 0.5}
    recipe = tiny_recipe(teacher, data, **fields)
    student, tokenizer = load(student_folder)
    expected = plain_curve(recipe, student.train(), load(teacher)[0], tokenizer, 3e-3)
    for micro in (4, 2, 1):
        run = finished(home, recipe.model_copy(update={"micro_batch": micro}))
        plan = history_of(run).plan
        assert (plan.micro_batch, plan.accumulation) == (micro, 4 // micro)
        found = [point[1:] for point in curve_of(run)]
        assert len(found) == len(expected) >= 12
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, abs=1e-5)


def test_gradient_checkpointing_and_wsd_change_memory_and_rate_but_not_the_loss_at_the_start(home, teacher, data):
    plain = finished(home, tiny_recipe(teacher, data, schedule="wsd", tokens=2400))
    careful = finished(home, tiny_recipe(teacher, data, schedule="wsd", tokens=2400, gradient_checkpointing=True))
    for one, other in zip(curve_of(plain), curve_of(careful), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    rates = [point.lr for point in history_of(plain).steps]
    assert rates[1:-1] == [3e-3] * (len(rates) - 2)  # warm-up of one step, then the peak, and the fall at the end


def test_points_of_several_steps_are_their_mean_even_across_a_resumption(home, teacher, data, whole, monkeypatch):
    run = new_tiny_run(home, tiny_recipe(teacher, data, log_every=5, checkpoint_every=100))
    stop_after(monkeypatch, 8)
    assert work(run, "cpu") == STOPPED
    monkeypatch.undo()
    assert work(run, "cpu") == FINISHED
    points = {point.step: point for point in history_of(run).steps}
    assert sorted(points) == [1, 5, 10, 12]  # the last step too, whatever `log_every`
    assert points[12].seconds == history_of(run).results["seconds"]
    single = history_of(whole).steps
    targets = [single[0].tokens, *(b.tokens - a.tokens for a, b in itertools.pairwise(single))]
    mean = sum(p.ce * n for p, n in zip(single[5:10], targets[5:10], strict=True)) / sum(targets[5:10])
    assert points[10].ce == pytest.approx(
        mean, abs=2e-3
    )  # weighted by targets, of which a step has a few less than tokens


def stop_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The wish to stop arrives while this step is being taken."""
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if session.step >= step else None)


@pytest.mark.parametrize("step", [1, 6, 11, 12])
def test_stopped_and_resumed_is_never_stopped(home, teacher, data, whole, monkeypatch, step):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    stop_after(monkeypatch, step)
    assert work(run, "cpu") == STOPPED
    assert events_of(run)[-1].step == step == history_of(run).checkpoint_step
    assert history_of(run).said is State.STOPPED
    monkeypatch.undo()
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)
    one, other = (load(each.artifacts / "student")[0].state_dict() for each in (run, whole))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-5, atol=1e-6)


def test_dropout_falls_as_it_would_have_without_the_stop(home, data, tmp_path, monkeypatch):
    """GPT-2 has dropout: the state of chance is part of a checkpoint, and evaluations do not disturb it."""
    folder = tmp_path / "gpt2"
    tiny_model("gpt2").save_pretrained(folder)
    write_tokenizer(folder)
    recipe = tiny_recipe(folder, data)
    whole = finished(home, recipe)
    rare = finished(home, recipe.model_copy(update={"evaluate_every": 100}))
    assert [point[1:] for point in curve_of(rare)] == [pytest.approx(point[1:], abs=1e-6) for point in curve_of(whole)]
    run = new_tiny_run(home, recipe)
    stop_after(monkeypatch, 7)
    assert work(run, "cpu") == STOPPED
    monkeypatch.undo()
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)


def test_a_stop_before_the_first_step_keeps_the_run_and_loses_nothing(home, teacher, data, monkeypatch):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    for phase in ("loading", "reading the data", "rehearsing the fullest batch", "evaluating"):
        monkeypatch.setattr(
            Session, "stop_wish", lambda session, phase=phase: KEEP if session.phase_name == phase else None
        )
        assert work(run, "cpu") == STOPPED
        assert events_of(run)[-1].step == 0
    monkeypatch.undo()
    assert work(run, "cpu") == FINISHED


def test_a_stop_while_a_resumed_run_loads_says_the_step_it_stands_at(home, teacher, data, monkeypatch):
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    stop_after(monkeypatch, 5)
    assert work(run, "cpu") == STOPPED
    monkeypatch.setattr(
        Session, "stop_wish", lambda session: KEEP if session.phase_name == "reading the data" else None
    )
    assert work(run, "cpu") == STOPPED
    assert events_of(run)[-1].step == 5


def test_text_that_has_gone_or_changed_meanwhile_is_not_read_again(home, teacher, whole, tmp_path, monkeypatch):
    data = write_data(tmp_path / "s.txt")
    run = new_tiny_run(home, tiny_recipe(teacher, data))
    stop_after(monkeypatch, 6)
    assert work(run, "cpu") == STOPPED
    monkeypatch.undo()
    data.unlink()
    assert work(run, "cpu") == FINISHED
    assert_same_curve(run, whole)


def test_nothing_of_the_users_is_overwritten(home, teacher, data, tmp_path):
    """The folder was free when the run was made, and is not when the student is ready."""
    out = tmp_path / "mine"
    run = new_tiny_run(home, tiny_recipe(teacher, data, out=str(out), tokens=512))
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert work(run, "cpu") == FAILED
    assert "mine is there already" in history_of(run).failure.what
    assert [file.name for file in out.iterdir()] == ["thesis.txt"]
    (out / "thesis.txt").rename(tmp_path / "thesis.txt")
    assert work(run, "cpu") == FINISHED
    assert (out / "model.safetensors").exists()


def test_a_second_attempt_may_replace_the_copy_of_the_first(home, teacher, data, tmp_path, monkeypatch):
    out = tmp_path / "student"
    run = new_tiny_run(home, tiny_recipe(teacher, data, out=str(out), tokens=512))
    monkeypatch.setattr(ev, "RunFinished", lambda results: (_ for _ in ()).throw(KeyboardInterrupt))
    assert work(run, "cpu") == FAILED
    monkeypatch.undo()
    assert (out / "stillroom.json").exists()
    assert work(run, "cpu") == FINISHED


def test_a_bfloat16_student_is_half_as_large_with_its_tied_table_once(home, data, tmp_path):
    folder = tmp_path / "teacher-bf16"
    tiny_model().to(torch.bfloat16).save_pretrained(folder)
    write_tokenizer(folder)
    run = finished(home, tiny_recipe(folder, data, tokens=1024))
    with safe_open(run.artifacts / "student" / "model.safetensors", "pt") as file:
        names = list(file.keys())
        assert {file.get_tensor(name).dtype for name in names} == {torch.bfloat16}
    assert "lm_head.weight" not in names
    saved = load(run.artifacts / "student")[0]
    assert saved.config.tie_word_embeddings
    assert saved.num_parameters() == history_of(run).results["parameters"]


def test_a_sample_prompt_that_fills_the_context_is_gone_on_from_its_end(home, data, tmp_path):
    folder = tmp_path / "gpt2"  # learnt positions: there are no more than the context
    tiny_model("gpt2").save_pretrained(folder)
    write_tokenizer(folder)
    run = finished(home, tiny_recipe(folder, data, tokens=512, sample_prompt="the little fox " * 60))
    sample = history_of(run).samples[-1]
    assert sample.prompt.endswith("the little fox ")
    assert len(sample.prompt) < CONTEXT * 15


def test_a_student_without_a_teacher_goes_on_from_its_folder(home, data, student_folder):
    run = finished(home, tiny_recipe(None, data, student=str(student_folder), init="existing"))
    history = history_of(run)
    assert history.evaluations[-1].metrics["ce"] < history.evaluations[0].metrics["ce"]
    assert json.loads((run.artifacts / "student" / "stillroom.json").read_text())["teacher"] is None

"""A tree of merges worked out from headers: what is wrong on which edge, what comes out, what it costs, and how it is changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from core.cli import main
from core.errors import BadModel, BadRecipe
from core.merge.contents import look
from core.merge.document import ModelRef
from core.merge.run import MergeRecipe
from core.merge.tree import Edge, Tree, Undo, survey
from core.shapes import count_parameters
from core.tensors import expected_tensors

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 20,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
}
TWO = "models:\n  - model: a\n    parameters: {weight: 0.5}\n  - model: b\n    parameters: {weight: 0.5}\nmerge_method: linear\n"
INNER = f"name: inner\n{TWO}---\nname: unused\n{TWO}---\n"
TREE = (
    f"{INNER}models:\n  - model: inner\n  - model: c\nmerge_method: slerp\nbase_model: inner\nparameters: {{t: 0.5}}\n"
)


def write_model(folder: Path, without: tuple[str, ...] = (), tokens: tuple[str, ...] = (), **changes: Any) -> Path:
    """A model of zeros in half precision, as config and weights say it."""
    config = CONFIG | changes
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    held = expected_tensors(config)
    named = {"head": "lm_head.weight"}
    tensors = {
        named.get(name, f"model.{name}"): np.zeros(shape, dtype=np.float16)
        for name, shape in held.items()
        if name not in without
    }
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    vocabulary = {
        token: number for number, token in enumerate(tokens or [f"t{n}" for n in range(config["vocab_size"])])
    }
    Tokenizer(models.WordLevel(vocabulary, unk_token="t0")).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def family(tmp_path: Path) -> Path:
    for name in "abc":
        write_model(tmp_path / name)
    return tmp_path


def test_what_comes_out_is_known_before_anything_runs(family: Path):
    found = survey(Tree.read(TREE), family)
    assert found.sound
    outcome = found.outcomes["result"]
    assert outcome.parameters == count_parameters(CONFIG).total
    assert outcome.size_bytes == 2 * outcome.parameters
    assert (outcome.layers, outcome.rows, outcome.dtype) == (3, 20, "float16")
    assert found.cost.read_bytes == 3 * outcome.size_bytes
    assert found.cost.written_bytes == outcome.size_bytes
    kept = survey(Tree.read(TREE), family, keep=True)
    assert kept.cost.written_bytes == 2 * outcome.size_bytes  # the unused merge is never made


def test_slices_and_tokens_change_the_shape_that_comes_out(family: Path):
    text = "slices:\n  - sources: [{model: a, layer_range: [0, 3]}]\n  - sources: [{model: b, layer_range: [1, 3]}]\nmerge_method: passthrough\n"
    found = survey(Tree.read(text), family).outcomes["result"]
    assert found.shape.layers == 5
    assert found.parameters == count_parameters(CONFIG | {"num_hidden_layers": 5}).total
    write_model(family / "d", tokens=(*(f"t{n}" for n in range(15)), "x", "y"), vocab_size=17)
    rules = "tokenizer: {source: union, pad_to_multiple_of: 8}\ndtype: float32\n"
    found = survey(Tree.read(TWO.replace("model: b", "model: d") + rules), family).outcomes["result"]
    assert found.rows == 24  # t0 to t19, x and y, rounded up
    assert found.size_bytes == 4 * count_parameters(CONFIG | {"vocab_size": 24}).total


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_size": 32}, "Its hidden width is 32, where inner is 16 wide."),
        ({"num_attention_heads": 2, "head_dim": 8}, "It has 2 attention heads, where inner has 4."),
        ({"vocab_size": 24}, "Its vocabulary has 24 rows, where inner has 20."),
        ({"num_hidden_layers": 4}, "It has 4 layers, where inner has 3."),
        ({"model_type": "mistral"}, "It is of another family: mistral, where inner is llama."),
        ({"mlp_bias": True}, "It has tensor model.layers.0.mlp.down_proj.bias and 8 more tensors, unlike inner."),
        (
            {"tokens": ("t1", "t0", *(f"t{n}" for n in range(2, 20)))},
            "Its rows mean other tokens than those of inner: id 0 is",
        ),
    ],
)
def test_what_does_not_fit_is_said_on_its_edge(family: Path, changes: dict, said: str):
    write_model(family / "odd", **changes)
    tree = Tree.read(TREE.replace("model: c", "model: odd"))
    found = survey(tree, family)
    assert not found.sound
    reasons = found.edges[Edge("odd", "result")]
    assert any(said in reason for reason in reasons), reasons
    assert found.edges[Edge("inner", "result")] == ()
    assert found.outcomes["inner"].parameters  # the rest is worked out all the same
    with pytest.raises(BadRecipe, match="odd in result: It"):
        found.refuse()


def test_models_that_cannot_be_read_are_named(family: Path):
    write_model(family / "half", without=("layers.1.mlp.up_proj.weight",))
    found = survey(Tree.read(TWO.replace("model: b", "model: half")), family)
    assert "layers.1.mlp.up_proj.weight" in found.problems["half"]
    found = survey(Tree.read(TWO.replace("model: b", "model: nowhere")), family)
    assert "nowhere" in found.problems["nowhere"]


def test_a_cycle_is_refused_by_its_way():
    text = TREE.replace(
        "  - model: b\n    parameters: {weight: 0.5}\nmerge_method: linear\n---\nname: unused",
        "  - model: unused\n    parameters: {weight: 1}\nmerge_method: linear\n---\nname: unused",
    )
    text = text.replace("name: unused\nmodels:\n  - model: a", "name: unused\nmodels:\n  - model: inner")
    with pytest.raises(BadRecipe, match="cycle: inner → unused → inner"):
        Tree.read(text)


def test_two_ends_are_refused():
    with pytest.raises(BadRecipe, match="one result, and here one and two end it"):
        Tree.read(f"name: one\n{TWO}---\nname: two\n{TWO}")


def test_a_missing_weight_and_too_many_layers_are_named(family: Path):
    found = survey(Tree.read(TWO.replace("    parameters: {weight: 0.5}\n", "", 1)), family)
    assert "The weight of a is not said for tensor model.embed_tokens.weight" in found.problems["result"]
    text = "slices: [{sources: [{model: a, layer_range: [0, 4]}]}]\nmerge_method: passthrough\n"
    found = survey(Tree.read(text), family)
    assert "a has 3 layers, and [0, 4] are asked for" in found.problems["result"]


def test_differences_that_matter_are_noted(family: Path):
    write_model(family / "other", rope_theta=5e5, tie_word_embeddings=False)
    found = survey(Tree.read(TWO.replace("model: b", "model: other")), family)
    notes = " ".join(found.notes["result"])
    assert "a uses its embedding as the head and other has a head of its own" in notes
    assert "rope theta 500000.0" in notes
    assert found.outcomes["result"].shape.tied is False


def test_an_unknown_architecture_merges_by_the_names_of_its_tensors(tmp_path: Path):
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(
            json.dumps({"model_type": "novel", "num_hidden_layers": 2, "vocab_size": 5})
        )
        tensors = {f"novel.layers.{layer}.w": np.zeros((4, 4), dtype=np.float32) for layer in range(2)}
        save_file(
            tensors | {"novel.embed_tokens.weight": np.zeros((5, 4), dtype=np.float32)}, folder / "model.safetensors"
        )
        Tokenizer(models.WordLevel({"x": 0}, unk_token="x")).save(str(folder / "tokenizer.json"))
    found = survey(Tree.read(TWO), tmp_path)
    assert found.outcomes["result"].parameters == 52


# --- changing a tree


def test_a_tree_is_drawn_step_by_step_and_undone(family: Path):
    tree = Tree.read(TWO)
    undo = Undo(tree)
    undo = undo.do(undo.now.connected("c", "result", weight=0.25))
    undo = undo.do(undo.now.with_parameter("result", "weight", 0.75, source="a"))
    undo = undo.do(undo.now.added({"name": "inner", "models": [{"model": "a"}], "merge_method": "passthrough"}))
    undo = undo.do(undo.now.connected("inner", "result", weight=0.1))
    raw = dict(undo.now.merges["result"].raw)
    assert [row["model"] for row in raw["models"]] == ["a", "b", "c", "inner"]
    assert raw["models"][0]["parameters"] == {"weight": 0.75}
    assert Edge("inner", "result") in undo.now.edges()
    assert survey(undo.now, family).sound
    assert next(iter(yaml.safe_load_all(undo.now.text()))) == raw
    back = undo.undo().undo().undo().undo()
    assert back.now == tree
    assert back.undo() == back
    assert back.redo().redo().redo().redo().now == undo.now
    assert undo.undo().do(tree).redo().now == tree  # a new change forgets what was undone


def test_changes_that_make_no_sense_are_refused_and_change_nothing():
    tree = Tree.read(TREE)
    with pytest.raises(BadRecipe, match="cycle"):
        tree.connected("result", "inner")
    with pytest.raises(BadRecipe, match="goes into result already"):
        tree.connected("c", "result")
    with pytest.raises(BadRecipe, match="SLERP takes exactly 2"):
        tree.connected("a", "result")
    with pytest.raises(BadRecipe, match="inner goes into result"):
        tree.without("inner")
    with pytest.raises(BadRecipe, match="called inner already"):
        tree.added(tree.merges["inner"].raw)
    with pytest.raises(BadRecipe, match="Did you mean slerp"):
        tree.with_method("result", "slrp")
    assert "unused" not in tree.without("unused").merges


def test_a_merge_is_renamed_wherever_it_goes():
    tree = Tree.read(TREE).renamed("inner", "mean")
    assert set(tree.merges) == {"mean", "unused", "result"}
    assert str(tree.merges["result"].base) == "mean"
    assert Edge("mean", "result") in tree.edges()
    shorter = tree.with_method("result", "linear").with_parameter("result", "t", None)
    assert Edge("c", "result") not in shorter.disconnected("c", "result").edges()


def test_a_look_is_remembered_from_one_survey_to_the_next(family: Path):
    looked: dict = {}
    survey(Tree.read(TREE), family, looked=looked)
    assert set(looked) == {ModelRef("a"), ModelRef("b"), ModelRef("c")}
    (family / "a" / "config.json").unlink()
    assert survey(Tree.read(TREE), family, looked=looked).sound


def test_a_quantized_model_and_a_bare_adapter_without_base_are_refused(family: Path):
    write_model(family / "q", quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(BadModel, match="is quantized"):
        look(ModelRef("q"), family)
    (family / "adapter").mkdir()
    (family / "adapter" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}')
    with pytest.raises(BadModel, match="does not say for which model"):
        look(ModelRef("adapter"), family)


def test_mixtures_of_experts_are_counted(family: Path):
    text = "base_model: a\ngate_mode: random\nexperts: [{source_model: a}, {source_model: b}]\n"
    found = survey(Tree.read(text), family).outcomes["result"]
    mlp = 3 * 3 * 16 * 24
    assert found.parameters == count_parameters(CONFIG).total + mlp + 3 * 2 * 16
    write_model(family / "g", model_type="gemma", head_dim=4, hidden_activation="gelu")
    broken = survey(Tree.read(text.replace("base_model: a", "base_model: g")), family)
    assert "no mixture of experts of gemma" in broken.problems["result"]


# --- the command line and the recipe


def test_the_command_says_what_would_come_out(family: Path, capsys: pytest.CaptureFixture[str]):
    (family / "recipe.yml").write_text(TREE)
    code = main(
        [
            "merge",
            str(family / "recipe.yml"),
            str(family / "out"),
            "--dry-run",
            "--json",
            "--home",
            str(family / "home"),
        ]
    )
    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [each["name"] for each in answer["merges"]] == ["inner", "result"]
    assert answer["merges"][1]["parameters"] == count_parameters(CONFIG).total
    assert not (family / "out").exists()


def test_the_command_refuses_in_words(family: Path, capsys: pytest.CaptureFixture[str]):
    recipe = family / "recipe.yml"
    for text, said in (
        (TWO.replace("linear", "lineer"), "Did you mean linear?"),
        (TWO.replace("model: b", "model: z"), "z: "),
    ):
        recipe.write_text(text)
        assert main(["merge", str(recipe), str(family / "out"), "--json", "--home", str(family / "home")]) == 2
        assert said in json.loads(capsys.readouterr().out)["error"]
    recipe.write_text(TWO)
    assert main(["merge", str(recipe), str(family / "a"), "--home", str(family / "home")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["merge", str(family / "none.yml"), str(family / "out")]) == 2


def test_a_recipe_as_a_run_says_its_problems_beside_their_fields(family: Path):
    recipe = MergeRecipe(text=TWO.replace("model: b", "model: z"), folder=str(family), out=str(family / "a"))
    assert [problem.field for problem in recipe.problems()] == ["text", "out"]
    assert MergeRecipe(text=TREE, folder=str(family)).title() == "slerp of a, b, c"


def test_planning_a_merge_needs_no_torch():
    code = "import sys, core.merge.tree, core.merge.run, core.sweep, core.cli.merge; print([m for m in ('torch', 'numpy', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

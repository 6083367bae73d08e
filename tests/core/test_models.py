"""Model folders inspected without torch, found, compared, and refused with a reason when they are broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadModel
from core.model_files import read_header
from core.model_folders import name_of, resolve_model, scan_folder, scan_hub_cache
from core.models import Lineage, LineageTeacher, entry_of, inspect_model
from core.shapes import KNOWN_FAMILIES, count_parameters
from core.tensors import expected_tensors
from core.tokenizer import TokenizerIdentity, same_tokenizer, tokenizer_identity

SHARED = Path(__file__).parents[2].parent / "shared" / "models"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared test models are not beside the project")

SIZES: dict[str, Any] = {"vocab_size": 300, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 6}
SIZES |= {"intermediate_size": 96, "max_position_embeddings": 64}
SIZES |= {"pad_token_id": None, "bos_token_id": 1, "eos_token_id": 2}
TEACHERS: dict[str, dict[str, Any]] = {
    family: SIZES | ({} if family in ("gpt_neox", "gpt2") else {"num_key_value_heads": 2, "head_dim": 8})
    for family in sorted(KNOWN_FAMILIES)
}
TEACHERS["gpt2"] = {key: value for key, value in SIZES.items() if key != "intermediate_size"}


def save(folder: Path, model_type: str = "llama", shard: str = "5GB", **changes: Any) -> Path:
    """A random model of this family, saved by transformers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = TEACHERS.get(model_type, SIZES)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **sizes | changes))
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=shard)
    return folder


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("saved") / "small llama")


@pytest.fixture(scope="session")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("sharded") / "in parts", shard="60KB")


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    def copy(source: Path) -> Path:
        folder = tmp_path / source.name
        folder.mkdir()
        for file in source.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        return folder

    return copy


def edit_json(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    content |= changes
    file.write_text(json.dumps({k: v for k, v in content.items() if v is not None}), encoding="utf-8")


# --- good models ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", TEACHERS)
@pytest.mark.parametrize("tied", [True, False])
def test_every_known_family_is_inspected_exactly(tmp_path: Path, family: str, tied: bool) -> None:
    from transformers import AutoModelForCausalLM

    folder = save(tmp_path / "model", family, tie_word_embeddings=tied)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    info = inspect_model(folder)
    assert info.parameters == sum(parameter.numel() for parameter in loaded.parameters())
    assert info.architecture == type(loaded).__name__
    assert (info.vocabulary, info.context, info.tied) == (300, 64, tied)
    assert info.dtypes == ("BF16",)
    assert info.size_bytes == (folder / "model.safetensors").stat().st_size
    assert info.eos_token_ids == (2,)
    assert [problem for problem in info.problems if "tokenizer" not in problem] == []


@pytest.mark.parametrize("family", TEACHERS)
def test_expected_tensors_add_up_to_the_count(family: str) -> None:
    config = {"model_type": family} | TEACHERS[family] | {"tie_word_embeddings": False}
    for biases in ({}, {"attention_bias": True, "mlp_bias": True}):
        sizes = [dims[0] * (dims[1] if len(dims) == 2 else 1) for dims in expected_tensors(config | biases).values()]
        assert sum(sizes) == count_parameters(config | biases).total


@needs_shared
@pytest.mark.parametrize(("name", "parameters"), [("stories3m", 3_148_224), ("stories260k", 260_032)])
def test_real_models_have_their_published_size(name: str, parameters: int) -> None:
    info = inspect_model(SHARED / name)
    assert info.parameters == parameters
    assert info.non_embedding_parameters == parameters - info.shape.vocabulary * info.shape.hidden
    assert info.eos_token_ids == (1, 2)
    assert (info.tokenizer.bos, info.tokenizer.bos_id, info.tokenizer.adds_bos) == ("<s>", 1, True)
    assert info.problems == ()


def test_a_model_in_parts_is_the_same_model(saved: Path, sharded: Path) -> None:
    assert len(list(sharded.glob("*.safetensors"))) > 1
    assert inspect_model(sharded).parameters == inspect_model(saved).parameters


def test_a_tied_head_stored_twice_is_counted_once(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = save(tmp_path / "model", tie_word_embeddings=True)
    expected = inspect_model(folder).parameters
    tensors = load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(tensors, folder / "model.safetensors")
    assert inspect_model(folder).parameters == expected
    edit_json(folder / "config.json", model_type="unheard_of")
    assert inspect_model(folder).parameters == expected


def test_an_unknown_architecture_is_counted_from_its_weights(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = save(tmp_path / "model", "phi", num_key_value_heads=6)
    model = AutoModelForCausalLM.from_pretrained(folder)
    info = inspect_model(folder)
    assert info.shape is None
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    # Phi's head has a bias, which is no matrix of the vocabulary
    assert info.non_embedding_parameters == info.parameters - 2 * 300 * 48
    assert any('"phi"' in problem and "existing checkpoint" in problem for problem in info.problems)


def test_an_adapter_is_told_from_a_model(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    edit_json(tmp_path / "adapter_config.json", peft_type="LORA", base_model_name_or_path="org/base")
    save_file({"a.lora_A.weight": torch.zeros(4, 8)}, tmp_path / "adapter_model.safetensors")
    info = inspect_model(tmp_path)
    assert (info.is_adapter, info.base_model, info.parameters) == (True, "org/base", 32)


def test_quantized_weights_are_said_and_counted_by_the_config(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    import torch
    from safetensors.torch import save_file

    folder = copy_of(saved)
    edit_json(folder / "config.json", quantization_config={"quant_method": "gptq"})
    save_file({"model.layers.0.mlp.up_proj.qweight": torch.zeros(6, 96)}, folder / "model.safetensors")
    info = inspect_model(folder)
    assert info.quantization == "gptq"
    assert info.parameters == inspect_model(saved).parameters


def test_the_fingerprint_changes_with_the_weights_only(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(saved)
    assert inspect_model(folder).fingerprint == inspect_model(saved).fingerprint
    weights = bytearray((folder / "model.safetensors").read_bytes())
    half = len(weights) // 2
    weights[half:] = bytes(byte ^ 1 for byte in weights[half:])
    (folder / "model.safetensors").write_bytes(weights)
    assert inspect_model(folder).fingerprint != inspect_model(saved).fingerprint


def test_lineage_is_read_and_a_broken_one_does_not_break_the_model(
    saved: Path, copy_of: Callable[[Path], Path]
) -> None:
    folder = copy_of(saved)
    teacher = {"path": "/models/Überlehrer", "parameters": 10, "fingerprint": "ab"}
    edit_json(folder / "stillroom.json", run="r1", teacher=teacher, scores={"bits_per_byte": 0.5}, made_by="later")
    lineage = inspect_model(folder).lineage
    assert lineage == Lineage(run="r1", teacher=LineageTeacher(**teacher), scores={"bits_per_byte": 0.5})
    (folder / "stillroom.json").write_text("{", encoding="utf-8")
    info = inspect_model(folder)
    assert info.lineage is None
    assert any("stillroom.json" in problem for problem in info.problems)


# --- broken models ----------------------------------------------------------------------------------------------------


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(BadModel, match="is a file"):
        inspect_model(tmp_path / "file")
    with pytest.raises(BadModel, match="is not there"):
        inspect_model(tmp_path / "nothing")
    with pytest.raises(BadModel, match=r"no config\.json"):
        inspect_model(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not valid JSON"), ("[1]", "no JSON object"), ("{}", '"model_type"'), ("\udc80", "not valid JSON")],
)
def test_a_broken_config_is_named(saved: Path, copy_of: Callable[[Path], Path], content: str, message: str) -> None:
    folder = copy_of(saved)
    (folder / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadModel, match=rf"config\.json.*{message}"):
        inspect_model(folder)


@pytest.mark.parametrize("keep", [0, 5, 100, -1, -5000])
def test_a_truncated_file_is_refused(saved: Path, copy_of: Callable[[Path], Path], keep: int) -> None:
    folder = copy_of(saved)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(BadModel, match=r"model\.safetensors is (truncated|corrupt).*again"):
        inspect_model(folder)


def test_a_corrupt_header_is_refused(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(saved)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    broken = {
        "its header is not JSON": whole[:8] + b"\xff" + whole[9:],
        "does not begin like": b"\xff" * 8 + whole[8:],
        "longer than its header says": whole + b"more",
        "which does not fit": whole.replace(b'"BF16"', b'"F32" ', 1),
        "describes no tensors": (2**4).to_bytes(8, "little") + b'{"weight":"big"}',
        "no JSON object": (2).to_bytes(8, "little") + b"[]",
    }
    for message, content in broken.items():
        weights.write_bytes(content)
        with pytest.raises(BadModel, match=rf"model\.safetensors is corrupt.*{message}"):
            inspect_model(folder)
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(BadModel, match="Git LFS pointer"):
        read_header(weights)


def test_missing_parts_are_named(sharded: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(sharded)
    part = sorted(folder.glob("*.safetensors"))[1]
    part.unlink()
    with pytest.raises(BadModel, match=rf"lacks 1 of its .* weight files: {part.name}"):
        inspect_model(folder)


def test_an_index_that_promises_too_much_is_named(sharded: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(sharded)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    part = sorted(folder.glob("*.safetensors"))[0].name
    edit_json(index, weight_map=content["weight_map"] | {"model.extra.weight": part})
    with pytest.raises(BadModel, match=rf'"model\.extra\.weight" in {part}'):
        inspect_model(folder)
    edit_json(index, weight_map=content["weight_map"] | {"model.extra.weight": "../elsewhere.safetensors"})
    with pytest.raises(BadModel, match="outside the folder"):
        inspect_model(folder)


def test_pickled_weights_are_refused_by_name(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(saved)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"pytorch_model\.bin.*[Cc]onvert"):
        inspect_model(folder)


def test_remote_code_is_refused_unless_allowed(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(saved)
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_mine.Mine"})
    with pytest.raises(BadModel, match=r"code of its own.*config\.json"):
        inspect_model(folder)
    assert inspect_model(folder, allow_remote_code=True).needs_remote_code
    assert not inspect_model(saved).needs_remote_code


def test_a_tensor_that_contradicts_the_config_is_named(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(saved)
    edit_json(folder / "config.json", intermediate_size=128)
    with pytest.raises(BadModel, match=r'"model\.layers\.0\.mlp\.gate_proj\.weight" is 96 × 48.* 128 × 48'):
        inspect_model(folder)
    edit_json(folder / "config.json", intermediate_size=96, num_hidden_layers=3)
    with pytest.raises(BadModel, match=r'lacks the tensor "model\.layers\.2\.'):
        inspect_model(folder)
    edit_json(folder / "config.json", num_hidden_layers=1)
    assert any("model.layers.1." in problem for problem in inspect_model(folder).problems)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user who can be denied a file")
def test_a_file_without_permission_is_named(saved: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(saved)
    (folder / "model.safetensors").chmod(0)
    with pytest.raises(BadModel, match=r"model\.safetensors cannot be read"):
        inspect_model(folder)


# --- tokenizers -------------------------------------------------------------------------------------------------------


def byte_tokenizer(folder: Path, merges: list[tuple[str, str]], specials: list[str], **settings: Any) -> Path:
    """tokenizer.json of a byte-level BPE with these merges."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {token: id_ for id_, token in enumerate([*alphabet, *("".join(pair) for pair in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(specials)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    edit_json(folder / "tokenizer_config.json", **settings)
    return folder


def test_a_tokenizer_is_the_same_by_its_ids_not_by_its_size(tmp_path: Path) -> None:
    merges = [("t", "h"), ("th", "e"), ("a", "n")]
    base = tokenizer_identity(byte_tokenizer(tmp_path / "a", merges, ["<s>", "</s>"], eos_token="</s>"))
    padded = byte_tokenizer(tmp_path / "b", merges, ["<s>", "</s>", "[PAD]"], eos_token="</s>", pad_token="[PAD]")
    other = byte_tokenizer(tmp_path / "c", [*merges[:2], ("o", "n")], ["<s>", "</s>"], eos_token="</s>")
    marked = byte_tokenizer(tmp_path / "d", merges, ["<s>", "</s>", "<|user|>"], eos_token="</s>")
    ended = byte_tokenizer(tmp_path / "e", merges, ["<s>", "</s>"], eos_token="<s>")
    assert same_tokenizer(base, tokenizer_identity(padded))[0]
    assert same_tokenizer(tmp_path / "a", tmp_path / "b")[0]
    for folder, reason in ((other, "different tokens"), (marked, r"<|user|>"), (ended, "eos tokens differ")):
        identity = tokenizer_identity(folder)
        same, why = same_tokenizer(base, identity)
        assert not same
        assert reason in why
    assert tokenizer_identity(other).vocabulary == base.vocabulary


@needs_shared
def test_real_tokenizers_are_told_apart_and_survive_saving(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    stories = tokenizer_identity(SHARED / "stories3m")
    AutoTokenizer.from_pretrained(SHARED / "stories3m").save_pretrained(tmp_path)
    assert same_tokenizer(stories, tokenizer_identity(tmp_path))[0]
    assert tokenizer_identity(tmp_path).adds_bos
    assert not same_tokenizer(stories, tokenizer_identity(SHARED / "stories260k"))[0]
    assert not same_tokenizer(stories, tokenizer_identity(SHARED / "pythia-tokenizer"))[0]


def test_a_slow_gpt2_tokenizer_is_the_same_as_its_fast_form(tmp_path: Path) -> None:
    fast = byte_tokenizer(tmp_path / "fast", [("t", "h"), ("th", "e")], [])
    model = json.loads((fast / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    slow = tmp_path / "slow"
    slow.mkdir()
    edit_json(slow / "vocab.json", **model["vocab"])
    lines = "\n".join(" ".join(pair) for pair in model["merges"])
    (slow / "merges.txt").write_text(f"#version: 0.2\n{lines}\n", encoding="utf-8")
    assert same_tokenizer(tokenizer_identity(fast), tokenizer_identity(slow))[0]
    edit_json(slow / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    assert "Qwen2Tokenizer" in tokenizer_identity(slow).unknown_because


def test_a_tokenizer_that_cannot_be_read_is_unknown_not_equal(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\n")
    identity = tokenizer_identity(tmp_path)
    assert "SentencePiece" in identity.unknown_because
    same, why = same_tokenizer(identity, identity)
    assert not same
    assert "SentencePiece" in why
    assert not same_tokenizer(identity, TokenizerIdentity(fingerprint="x"))[0]
    (tmp_path / "tokenizer.json").write_text('{"model": 3}', encoding="utf-8")
    with pytest.raises(BadModel, match=r"tokenizer\.json"):
        tokenizer_identity(tmp_path)


# --- finding models ---------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, saved: Path) -> Path:
    """A Hub cache with two revisions of one model, a tokenizer without weights or config, and a data set."""
    cache = tmp_path / "hub"
    for commit in ("aaa", "bbb"):
        snapshot = cache / "models--org--small-model" / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for file in saved.iterdir():
            (snapshot / file.name).write_bytes(file.read_bytes())
    refs = cache / "models--org--small-model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("aaa", encoding="utf-8")
    (cache / "models--org--words" / "snapshots" / "c").mkdir(parents=True)
    (cache / "models--org--words" / "snapshots" / "c" / "tokenizer.json").write_text("{}", encoding="utf-8")
    (cache / "datasets--org--stories" / "snapshots" / "d").mkdir(parents=True)
    return cache


def test_the_hub_cache_is_scanned_at_its_current_revision(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    [found] = scan_hub_cache()
    assert found.name == "aaa"
    assert name_of(found) == "org/small-model"
    assert entry_of(found).name == inspect_model(found).name == "org/small-model"
    assert scan_hub_cache(hub / "nowhere") == []


def test_a_model_is_found_by_path_or_by_hub_name(hub: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    assert resolve_model("org/small-model") == hub / "models--org--small-model" / "snapshots" / "aaa"
    assert resolve_model(str(saved)) == saved
    with pytest.raises(BadModel, match="hf download org/other"):
        resolve_model("org/other")
    with pytest.raises(BadModel, match="no folder"):
        resolve_model("/no/such/folder")
    with pytest.raises(BadModel, match="is a file"):
        resolve_model(str(saved / "config.json"))


def test_a_folder_is_scanned_two_levels_deep_and_broken_models_say_why(tmp_path: Path) -> None:
    for name in ("good", "below/first", "below/deeper/too deep", ".hidden/model", "good/checkpoint"):
        (tmp_path / name).mkdir(parents=True)
        edit_json(tmp_path / name / "config.json", model_type="llama")
    assert scan_folder(tmp_path) == [tmp_path / "below" / "first", tmp_path / "good"]
    entry = entry_of(tmp_path / "good")
    assert (entry.name, entry.info) == ("good", None)
    assert "no weights" in str(entry.broken)


def test_looking_at_models_loads_no_torch(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from core.models import inspect_model; "
        "print(inspect_model(Path(sys.argv[1])).parameters); "
        "sys.exit(bool({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(saved)], cwd=root, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) == inspect_model(saved).parameters

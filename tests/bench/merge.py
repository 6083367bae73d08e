"""Our merges against mergekit's: every method on small models, value by value, and wall time and peak memory on larger ones.

    python -m tests.bench.merge --mergekit-python ENV/bin/python [--parameters 95M] [--rounds 3] [--only methods|speed]

mergekit lives in an environment of its own (pip install mergekit==0.1.5). Both run as processes of their own on the same random
models: imports first, then time and memory are taken of the merges alone. Peak memory is the highest resident size less that after the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

TUNED = "{weight: 0.5, density: 0.5}"
ONE_T = ("slerp", "nearswap")
RECIPES: dict[str, tuple[str, str, str]] = {  # name: (method, parameters of each tuned model, parameters of the merge)
    "linear": ("linear", "{weight: 0.4}", ""),
    "slerp": (
        "slerp",
        "",
        "{t: [{filter: self_attn, value: [0, 0.5, 1]}, {filter: mlp, value: [1, 0.2]}, {value: 0.4}]}",
    ),
    "nuslerp": ("nuslerp", "{weight: 0.4}", ""),
    "nuslerp by rows": ("nuslerp", "{weight: 0.4}", "{nuslerp_flatten: false, nuslerp_row_wise: true}"),
    "multislerp": ("multislerp", "{weight: 0.4}", ""),
    "karcher": ("karcher", "", ""),
    "task_arithmetic": ("task_arithmetic", "{weight: 0.4}", "{lambda: 0.9}"),
    "ties": ("ties", TUNED, ""),
    "dare_linear": ("dare_linear", TUNED, ""),
    "dare_ties": ("dare_ties", TUNED, ""),
    "della": ("della", TUNED, ""),
    "della_linear": ("della_linear", TUNED, ""),
    "breadcrumbs": ("breadcrumbs", TUNED, "{gamma: 0.05}"),
    "breadcrumbs_ties": ("breadcrumbs_ties", TUNED, ""),
    "sce": ("sce", "", "{select_topk: 0.4}"),
    "model_stock": ("model_stock", "", ""),
    "model_stock by rows": ("model_stock", "", "{filter_wise: true}"),
    "nearswap": ("nearswap", "", "{t: 0.005}"),
    "arcee_fusion": ("arcee_fusion", "", ""),
    "ram": ("ram", "", "{epsilon: 0.001}"),
    "ramplus_tl": ("ramplus_tl", "", "{epsilon: 0.001}"),
    "passthrough": ("passthrough", "", ""),
    "ties, union of tokens": ("ties", TUNED, ""),
}
RANDOM = ("dare_linear", "dare_ties", "della", "della_linear")
PAIRS = ("slerp", "nearswap", "arcee_fusion")

COMMON = """
import json, sys, time, threading
from pathlib import Path
jobs = json.loads(Path(sys.argv[1]).read_text())
def resident(what):
    for line in open("/proc/self/status"):
        if line.startswith(what):
            return int(line.split()[1]) * 1024
"""
THEIRS = (
    COMMON
    + """
import yaml, torch
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
torch.zeros(4) @ torch.zeros(4)
before, results = resident("VmRSS"), []
for job in jobs:
    began = time.perf_counter()
    config = MergeConfiguration.model_validate(yaml.safe_load(job["text"]))
    run_merge(config, job["out"], MergeOptions(random_seed=1, quiet=True))
    results.append(time.perf_counter() - began)
print(json.dumps({"seconds": results, "peak": resident("VmHWM") - before}))
"""
)
OURS = (
    COMMON
    + """
import torch
from core.engine.__main__ import work
from core.engine.merge import job as warm
from core.home import Home
from core.merge.run import MergeRecipe
from core.runs import new_run
torch.zeros(4) @ torch.zeros(4)
home = Home.find(sys.argv[2])
before, results = resident("VmRSS"), []
for job in jobs:
    began = time.perf_counter()
    run = new_run(home, MergeRecipe(text=job["text"], folder="/", out=job["out"], seed=1, arithmetic=job["arithmetic"]))
    assert work(run, "cpu") == 0, run.history().failure
    results.append(time.perf_counter() - began)
print(json.dumps({"seconds": results, "peak": resident("VmHWM") - before}))
"""
)
MODELS = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
sys.path.insert(0, sys.argv[2] + "/tests/engine")
from tiny import write_tokenizer
from pathlib import Path
kind = torch.bfloat16 if sys.argv[3] == "bfloat16" else torch.float32
hidden, layers, entries = (int(each) for each in sys.argv[4:7])
config = LlamaConfig(hidden_size=hidden, intermediate_size=hidden * 8 // 3 // 8 * 8, num_hidden_layers=layers, num_attention_heads=hidden // 32,
    num_key_value_heads=hidden // 64, vocab_size=entries, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1, pad_token_id=2, dtype=kind)
torch.manual_seed(0)
torch.set_default_dtype(kind)
model = LlamaForCausalLM(config)
for number, name in enumerate("ABC"):
    folder = Path(sys.argv[1]) / name
    if number:
        torch.manual_seed(number)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.004)
    model.save_pretrained(folder)
    write_tokenizer(folder, entries=min(384, entries))
print(sum(parameter.numel() for parameter in model.parameters()))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mergekit-python", required=True, type=Path)
    parser.add_argument("--hidden", type=int, default=768, help="width of the models whose merges are timed")
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--entries", type=int, default=32000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("methods", "speed"))
    parser.add_argument("--keep", type=Path, help="a scratch folder, kept afterwards")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="bench-merge-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.only != "speed":
            compare(arguments.mergekit_python, place)
        if arguments.only != "methods":
            time_them(arguments, place)
    finally:
        if arguments.keep is None:
            shutil.rmtree(place)


def recipe_text(name: str, folder: Path, dtype: str) -> str:
    method, each, shared = RECIPES[name]
    tuned = ["B"] if method in PAIRS else [] if method == "passthrough" else ["B", "C"]
    own = f"\n    parameters: {each}" if each else ""
    lines = [f"  - model: {folder / model}{own}" for model in tuned]
    if method in ("linear", "passthrough", "karcher", *PAIRS):
        lines.insert(0, f"  - model: {folder / 'A'}{own}")
    text = "models:\n" + "\n".join(lines) + f"\nmerge_method: {method}\ndtype: {dtype}\n"
    if method not in ("linear", "karcher", "passthrough"):
        text += f"base_model: {folder / 'A'}\n"
    if "union" in name:
        text += "tokenizer:\n  source: union\n  pad_to_multiple_of: 64\n"
    return text + (f"parameters: {shared}\n" if shared else "")


def make_models(place: Path, dtype: str, hidden: int, layers: int, entries: int) -> int:
    """Three random Llamas, two of them near the first; their parameters."""
    command = [sys.executable, "-c", MODELS, str(place), str(REPOSITORY), dtype, str(hidden), str(layers), str(entries)]
    return int(run(command)["out"].strip().splitlines()[-1])


def run(command: list[str]) -> dict[str, Any]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return {"out": done.stdout}


def do_jobs(python: str, program: str, place: Path, jobs: list[dict[str, str]]) -> dict[str, Any]:
    file = place / "jobs.json"
    file.write_text(json.dumps(jobs))
    home = Path(tempfile.mkdtemp(dir=place))
    answer: dict[str, Any] = json.loads(
        run([python, "-c", program, str(file), str(home)])["out"].strip().splitlines()[-1]
    )
    shutil.rmtree(home)
    return answer


def compare(python: Path, place: Path) -> None:
    """Every method on small models: float32 as it is by default, bfloat16 in the arithmetic of the recipe and in ours."""
    from safetensors.torch import load_file

    for dtype, arithmetics in (("float32", ["float32"]), ("bfloat16", ["recipe", "float32"])):
        models = place / f"small-{dtype}"
        make_models(models, dtype, 128, 3, 400)
        for arithmetic in arithmetics:
            jobs: dict[str, list[dict[str, str]]] = {"theirs": [], "ours": []}
            for number, name in enumerate(RECIPES):
                for side, its in jobs.items():
                    out = place / f"{side}-{dtype}-{arithmetic}-{number}"
                    text = recipe_text(name, models, dtype)
                    its.append({"text": text, "out": str(out), "arithmetic": arithmetic})
            do_jobs(str(python), THEIRS, place, jobs["theirs"])
            do_jobs(sys.executable, OURS, place, jobs["ours"])
            print(f"\nstored in {dtype}, our arithmetic: {arithmetic}")
            print(
                f"{'':24} {'values that differ':>18} {'largest':>10} {'in ulps':>8}  change of the base: theirs, ours"
            )
            base = load_file(models / "A" / "model.safetensors")
            for number, name in enumerate(RECIPES):
                theirs, ours = (load_file(Path(jobs[side][number]["out"]) / "model.safetensors") for side in jobs)
                print(f"{name:24} {difference(theirs, ours, base)}")


def difference(theirs: dict[str, Any], ours: dict[str, Any], base: dict[str, Any]) -> str:
    """One line: how many values differ, how far at the most, and the mean size of the change, for methods that draw lots."""
    import torch

    if theirs.keys() != ours.keys():
        return f"other tensors: {sorted(theirs.keys() ^ ours.keys())[:4]}"
    count = differ = 0
    largest = ulps = 0.0
    sizes = [0.0, 0.0]
    for name, tensor in theirs.items():
        if tensor.shape != ours[name].shape or tensor.dtype != ours[name].dtype:
            return f"{name}: {tuple(tensor.shape)} {tensor.dtype} against {tuple(ours[name].shape)} {ours[name].dtype}"
        a, b = tensor.double(), ours[name].double()
        gap = (a - b).abs()
        count, differ = count + gap.numel(), differ + int((gap > 0).sum())
        largest = max(largest, gap.max().item())
        start = base[name].double() if base[name].shape == tensor.shape else a
        # the spacing of numbers where the terms of the sum lie: what nearly cancels out is no more exact than they were
        exponent = torch.maximum(a.abs(), start.abs()).clamp(min=1e-30).log2().floor()
        ulps = max(ulps, (gap / (torch.finfo(tensor.dtype).eps * exponent.exp2())).max().item())
        if base[name].shape == tensor.shape:
            sizes = [sizes[0] + (a - start).abs().sum().item(), sizes[1] + (b - start).abs().sum().item()]
    return f"{differ / count:18.4%} {largest:10.1e} {ulps:8.2f}  {sizes[0] / count:.6f} {sizes[1] / count:.6f}"


def time_them(arguments: argparse.Namespace, place: Path) -> None:
    models = place / "large"
    parameters = make_models(models, "bfloat16", arguments.hidden, arguments.layers, arguments.entries)
    print(
        f"\n{parameters / 1e6:.0f}M parameters in bfloat16, {os.cpu_count()} cores, median of {arguments.rounds} rounds, arms in turn"
    )
    print(f"{'':18} {'mergekit':>18} {'ours':>18} {'time':>7} {'memory':>7}")
    sides = {"theirs": (str(arguments.mergekit_python), THEIRS), "ours": (sys.executable, OURS)}
    for name in ("linear", "slerp", "ties", "dare_ties", "model_stock", "sce"):
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for turn in range(arguments.rounds):
            order = list(sides) if turn % 2 == 0 else list(sides)[::-1]
            for side in order:
                python, program = sides[side]
                out = place / f"out-{side}"
                text = recipe_text(name, models, "bfloat16")
                found[side].append(
                    do_jobs(python, program, place, [{"text": text, "out": str(out), "arithmetic": "float32"}])
                )
                shutil.rmtree(out)
        ratios = [a["seconds"][0] / b["seconds"][0] for a, b in zip(found["ours"], found["theirs"], strict=True)]
        said = []
        for side in sides:
            seconds = statistics.median(each["seconds"][0] for each in found[side])
            peak = statistics.median(each["peak"] for each in found[side])
            said.append((seconds, peak))
        cells = [f"{seconds:7.1f} s {peak / 1e6:5.0f} MB" for seconds, peak in said]
        print(
            f"{name:18} {cells[0]:>18} {cells[1]:>18} {statistics.median(ratios):7.2f} {said[1][1] / said[0][1]:7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""What starts a run on several processes: here by the runner, elsewhere by files that a person takes there."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_plan import llama, save

from core import launch
from core.chain import ChainRecipe
from core.cli import main
from core.devices import Device
from core.distill import DistillRecipe
from core.errors import BadRecipe, Trouble
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.launch import Place, local_command, write_files
from core.recipe import Recipe
from core.runner import Runner, free_devices
from core.runs import RunFolder, all_runs, enqueue, new_run, save_recipe


def recipe(**changes: object) -> DistillRecipe:
    fields: dict[str, object] = {"student": "0.4x", "data": ("s.txt",), "tokens": 1000, "teacher": "t"}
    return DistillRecipe.model_validate(fields | changes)


def shared(processes: int, **changes: object) -> DistillRecipe:
    return recipe(processes=processes, launch="accelerate", **changes)


def gpu(number: int, free: int = 10) -> Device:
    return Device(f"cuda:{number}", "GPU", 80 << 30, free << 30, True, "", uuid=f"GPU-{number}")


CPU = Device("cpu", "CPU", 8 << 30, 8 << 30, False, "", cores=8)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "a home")


@pytest.fixture
def run(home: Home) -> RunFolder:
    return new_run(home, recipe())


# ------------------------------------------------------------------------------------------------------ on this machine


def test_one_process_is_started_as_ever(run: RunFolder) -> None:
    assert local_command(run, recipe(), ["cuda:1"], 8) == [
        *("core.engine", str(run.path), "--device", "cuda:1", "--from-queue"),
    ]


def test_several_processes_are_started_by_accelerate_with_their_share_of_the_cores(run: RunFolder) -> None:
    assert local_command(run, shared(3), ["cpu"], 8) == [
        *("accelerate.commands.launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "3"),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "2"),
        *("--main_process_port", "0", "-m", "core.engine", str(run.path), "--device", "cpu", "--from-queue"),
    ]


def test_one_process_goes_through_accelerate_if_it_is_asked_to(run: RunFolder) -> None:
    command = local_command(run, shared(1), ["cuda:0"], 8)
    assert command[0] == "accelerate.commands.launch"
    assert "--multi_gpu" not in command
    assert command[-4:] == [str(run.path), "--device", "cuda:0", "--from-queue"]


MACHINE = [gpu(0, 10), gpu(1, 30), gpu(2, 20), CPU]


@pytest.mark.parametrize(
    ("asked", "busy", "taken"),
    [
        (shared(2), [], ("cuda:1", "cuda:2")),  # those with the most free memory
        (shared(2), ["cuda:1"], ("cuda:0", "cuda:2")),
        (shared(2), ["cuda:1", "cuda:2"], None),
        (shared(2, share_device=True), ["cuda:1", "cuda:2"], ("cuda:1", "cuda:2")),
        (shared(2, device="cuda:0"), [], ("cuda:0", "cuda:1")),  # the one that was named is among them
        (shared(3, device="cpu"), [], ("cpu",)),
        (shared(3, device="cpu"), ["cpu"], None),
        (recipe(teacher_device="cuda:1"), [], ("cuda:2", "cuda:1")),  # the teacher's own is left to it
        (recipe(teacher_device="cuda:1"), ["cuda:1"], None),
        (recipe(teacher_device="cuda:1", use_teacher=False), [], ("cuda:1",)),
        (recipe(device="cuda:1", teacher_device="cuda:1"), [], ("cuda:1",)),
        (recipe(), [], ("cuda:1",)),
    ],
)
def test_a_run_takes_a_gpu_for_each_process_and_the_teachers_own(
    asked: Recipe, busy: list[str], taken: tuple[str, ...] | None
) -> None:
    assert free_devices(asked, MACHINE, busy) == taken


def test_processes_share_the_cores_where_there_is_no_gpu() -> None:
    assert free_devices(shared(2), [CPU], []) == ("cpu",)


@pytest.mark.parametrize(
    ("asked", "machine", "words"),
    [
        (shared(4), MACHINE, "asks for 4 processes"),
        (shared(2, device="cuda:0"), [CPU], "this machine has 0"),
        (shared(2), [Device("mps", "GPU", 1, 1, True, ""), CPU], "can't share the GPU of a Mac"),
        (shared(2, teacher_device="cuda:1"), MACHINE, "for itself beside 2 processes"),
        (recipe(teacher_device="cuda:7"), MACHINE, "no device cuda:7"),
    ],
)
def test_a_run_that_this_machine_cannot_hold_is_refused_in_words(
    asked: Recipe, machine: list[Device], words: str
) -> None:
    with pytest.raises(Trouble, match=words):
        free_devices(asked, machine, [])


def test_a_run_that_waits_for_several_gpus_is_not_overtaken_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def start_engine(run: RunFolder, device: str) -> subprocess.Popen[bytes]:
        started.append(device)
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])

    monkeypatch.setattr("core.runner.start_engine", start_engine)
    runner = Runner(home, lambda: [gpu(0), gpu(1), CPU])
    for asked in (recipe(), shared(2), recipe(), recipe(device="cpu")):
        enqueue(home, new_run(home, asked))
    try:
        runner.tick()
        assert started == ["cuda:0", "cpu"]  # cuda:1 is kept for the pair
    finally:
        for engine in runner.alive.values():
            assert engine.process is not None
            engine.process.kill()
            engine.process.wait()


# ------------------------------------------------------------------------------------------------------------ elsewhere


def commands(text: str) -> list[str]:
    """The script without comments, one command a line."""
    return [line for line in text.replace(" \\\n    ", " ").splitlines() if line and not line.startswith("#")]


def test_accelerates_command_line_for_several_machines(run: RunFolder, tmp_path: Path) -> None:
    files = write_files(run, recipe(), Place(2, 4), tmp_path / "go")
    assert commands(files["accelerate"].read_text())[-1] == (
        "exec accelerate launch --multi_gpu --num_machines 2 --num_processes 8 --mixed_precision no --dynamo_backend no "
        '--num_cpu_threads_per_process "$OMP_NUM_THREADS" --machine_rank "$MACHINE_RANK" '
        '--main_process_ip "$MAIN_PROCESS_IP" --main_process_port "${MAIN_PROCESS_PORT:-29500}" '
        f"-m core.engine '{run.path}' --device auto"
    )


def test_torchruns_command_line_for_several_machines(run: RunFolder, tmp_path: Path) -> None:
    files = write_files(run, recipe(device="cuda:3"), Place(2, 4), tmp_path / "go")
    assert commands(files["torchrun"].read_text())[-1] == (
        "exec torchrun --nnodes 2 --nproc_per_node 4 --max_restarts 0 --rdzv_backend c10d "
        f'--rdzv_id {run.id} --rdzv_endpoint "$MAIN_PROCESS_IP:${{MAIN_PROCESS_PORT:-29500}}" '
        '--rdzv_conf "is_host=$is_host" ${LOCAL_ADDRESS:+--local_addr "$LOCAL_ADDRESS"} '
        f"-m core.engine '{run.path}' --device auto"
    )


def test_the_machines_meet_at_the_port_that_was_asked_for(run: RunFolder, tmp_path: Path) -> None:
    files = write_files(run, recipe(), Place(2, 4, 29777), tmp_path / "go")
    texts = {launcher: file.read_text() for launcher, file in files.items()}
    assert all("${MAIN_PROCESS_PORT:-29777}" in text for text in texts.values())
    with pytest.raises(BadRecipe, match="70000 is no port"):
        Place(2, 4, 70_000)


def test_one_machine_needs_no_address(run: RunFolder, tmp_path: Path) -> None:
    files = write_files(run, recipe(device="cpu"), Place(1, 2), tmp_path / "go")
    by_accelerate = commands(files["accelerate"].read_text())[-1]
    assert "--num_machines 1 --num_processes 2" in by_accelerate
    assert "MAIN_PROCESS_IP" not in by_accelerate
    assert commands(files["torchrun"].read_text())[-1] == (
        f"exec torchrun --standalone --nproc_per_node 2 -m core.engine '{run.path}' --device cpu"
    )


def test_slurms_batch_file(run: RunFolder, tmp_path: Path) -> None:
    text = write_files(run, recipe(), Place(2, 4), tmp_path / "go")["slurm"].read_text()
    head = text.splitlines()[:9]
    assert head == [
        "#!/bin/bash",
        f"#SBATCH --job-name=stillroom-{run.id}",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --cpus-per-task=32",
        "#SBATCH --time=24:00:00",
        f'#SBATCH --output="{run.log}"',
        "#SBATCH --open-mode=append",
    ]
    assert "#SBATCH --signal=B:USR1@300" in text
    lines = commands(text)
    assert 'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)' in lines
    assert [line for line in lines if line.startswith("srun ")] == [
        "srun --kill-on-bad-exit=1 torchrun --nnodes 2 --nproc_per_node 4 --max_restarts 0 --rdzv_backend c10d "
        f'--rdzv_id {run.id} --rdzv_endpoint "$head:${{MAIN_PROCESS_PORT:-$(( 29500 + SLURM_JOB_ID % 1000 ))}}" '
        f"-m core.engine '{run.path}' --device auto &"
    ]
    assert "gpus" not in write_files(run, recipe(device="cpu"), Place(2, 4), tmp_path / "go")["slurm"].read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
@pytest.mark.parametrize("name", ["it's here", 'a "b" $HOME `id`', "one two"])
def test_whatever_a_folder_is_called_the_engine_gets_it_whole(tmp_path: Path, name: str) -> None:
    """The scripts are run with launchers that only say what they were called with."""
    run = new_run(Home.find(tmp_path / name), recipe())
    tools = tmp_path / "tools" / "bin"
    tools.mkdir(parents=True)
    for tool in ("accelerate", "torchrun"):
        (tools / tool).write_text('#!/bin/sh\nfor each in "$@"; do printf "%s\\n" "$each"; done\n')
    (tools / "srun").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (tools / "scontrol").write_text("#!/bin/sh\necho node7; echo node8\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    said = {
        "STILLROOM_ENV": str(tools.parent),
        "MACHINE_RANK": "1",
        "MAIN_PROCESS_IP": "10.0.0.1",
        "PATH": "/usr/bin:/bin",
    }
    slurm = {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_ID": "41005", "SLURM_CPUS_PER_TASK": "6"}
    for launcher, file in write_files(run, recipe(), Place(2, 4), tmp_path / name / "go").items():
        shell = "bash" if launcher == "slurm" else "sh"
        done = subprocess.run([shell, str(file)], env=said | slurm, capture_output=True, text=True, check=True)
        words = done.stdout.splitlines()
        assert words[-5:] == ["-m", "core.engine", str(run.path), "--device", "auto"]
        if launcher == "accelerate":
            assert words[words.index("--machine_rank") + 1] == "1"
        else:
            place = "node7:29505" if launcher == "slurm" else "10.0.0.1:29500"
            assert words[words.index("--rdzv_endpoint") + 1] == place
    missing = {key: value for key, value in said.items() if key != "MACHINE_RANK"}
    done = subprocess.run(["sh", str(tmp_path / name / "go" / "run.sh")], env=missing, capture_output=True, text=True)
    assert done.returncode != 0
    assert "MACHINE_RANK" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts")
def test_before_its_time_is_over_slurm_asks_the_run_to_stop(run: RunFolder, tmp_path: Path) -> None:
    text = write_files(run, recipe(), Place(1, 1), tmp_path / "go")["slurm"].read_text()
    trap = next(line for line in text.splitlines() if line.startswith("trap "))
    subprocess.run(["bash", "-c", f"{trap}; kill -USR1 $$"], check=True)
    assert run.stop_wish() == "keep"


def test_steps_that_cannot_be_shared_evenly_are_refused(run: RunFolder, tmp_path: Path) -> None:
    six = recipe(batch_tokens=6 * 64, sequence_length=64)
    write_files(run, six, Place(3, 2), tmp_path / "go")
    with pytest.raises(BadRecipe, match="A step of 6 blocks can't be shared by 4 processes"):
        write_files(run, six, Place(2, 2), tmp_path / "go")
    with pytest.raises(BadRecipe, match="is one process"):
        write_files(run, EvaluateRecipe(model="m", data=("s.txt",)), Place(2, 2), tmp_path / "go")


def test_a_step_is_a_multiple_of_the_recipes_processes() -> None:
    assert launch.blocks_in_a_step(256, 64, 1) == 4
    assert launch.blocks_in_a_step(256, 64, 3) == 3
    assert launch.blocks_in_a_step(300, 64, 1) == 5
    assert launch.blocks_in_a_step(64, 64, 8) == 8


def test_the_command_writes_the_files_and_takes_the_run_out_of_the_queue(
    home: Home, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    enqueue(home, run)
    words = ["launch", run.id, "--home", str(home.root), "--machines", "2", "--processes-per-machine", "4", "--json"]
    words += ["--port", "29777"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["run"], said["processes"], said["port"]) == (run.id, 8, 29777)
    assert {Path(file).name for file in said["files"].values()} == {"run.sh", "torchrun.sh", "run.slurm"}
    assert all(Path(file).is_file() for file in said["files"].values())
    assert run.position() is None


def test_a_run_that_is_alive_is_not_launched_a_second_time(
    home: Home, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    with FileLock(run.lock_file):
        assert main(["launch", shlex.quote(run.id), "--home", str(home.root)]) == 2
    assert "can't be started elsewhere" in capsys.readouterr().err


def said_by(capsys: pytest.CaptureFixture[str], home: Home, *words: str) -> tuple[int, dict[str, Any], str]:
    code = main(["launch", *words, "--home", str(home.root), "--json"])
    told = capsys.readouterr()
    return code, json.loads(told.out.splitlines()[-1]), told.err


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    """A chain as a person writes it: unsettled, and with paths that are meant from where the file is."""
    folder = tmp_path / "asked"
    save(folder / "teacher", llama())
    (folder / "t.txt").write_text("Once.\n", encoding="utf-8")
    asked = recipe(teacher="teacher", data=("t.txt",), student="0.1x", tokens=90_000, device="cpu")
    save_recipe(ChainRecipe(of=asked), folder / "chain.json")
    return folder / "chain.json"


def test_a_run_that_is_made_of_a_chains_recipe_is_whole(
    home: Home, chain_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, _ = said_by(capsys, home, "asked/chain.json")
    assert code == 0
    made = RunFolder(Path(said["path"])).recipe()
    assert isinstance(made, ChainRecipe)
    assert len(made.links) > 1
    assert made.of.teacher == str(chain_file.parent / "teacher")
    assert made.of.data == (str(chain_file.parent / "t.txt"),)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--machines", "2"), "A run of the kind chain is one process"),
        (("--port", "70K"), "is no port"),
        (("--to", "a file"), "a file"),
    ],
)
def test_where_nothing_can_be_launched_no_run_is_made(
    home: Home,
    chain_file: Path,
    words: tuple[str, ...],
    refusal: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("in the way")
    code, said, _ = said_by(capsys, home, str(chain_file), *words)
    assert code != 0
    assert refusal in said["error"]
    assert list(all_runs(home)) == []


def test_another_number_of_processes_than_the_recipes_is_said(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    three, four = new_run(home, shared(3)), new_run(home, shared(4))
    _, said, notes = said_by(capsys, home, three.id, "--machines", "2")
    assert said["processes"] == 2
    assert "3 processes can't be shared evenly by 2 machines: with 1 on each there are 2" in notes
    for words in ((three.id, "--machines", "3"), (four.id, "--machines", "2")):
        assert "evenly" not in said_by(capsys, home, *words)[2]
    assert "evenly" not in said_by(capsys, home, three.id, "--machines", "2", "--processes-per-machine", "1")[2]


def test_a_student_that_writes_itself_is_not_shared_out(run: RunFolder, tmp_path: Path) -> None:
    alone = recipe(source="on-policy", strategy="fsdp")  # nothing stands against it in one process
    write_files(run, alone, Place(1, 1), tmp_path / "go")
    with pytest.raises(BadRecipe, match="must be whole in each process"):
        write_files(run, alone, Place(2, 1), tmp_path / "go")

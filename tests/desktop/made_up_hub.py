"""A Hub that is made up, for pictures: what a search finds, two models in full, downloads in every state."""

from __future__ import annotations

from typing import Any

from core import hub
from core.downloads import FAILED, FINISHED, PAUSED, RUNNING, Download, Progress, folder_of
from core.home import Home
from core.hub import Details, Found, HubFile, HubTrouble
from desktop_app.hub import connection, fetching
from desktop_app.hub.fetching import Line

CARD = """---
license: apache-2.0
---
# Tiny stories, 1.1B

A small language model that tells **stories** for children. It was trained on *synthetic* text.

| benchmark | score |
|---|---|
| HellaSwag | 59.2 |
| PIQA | 73.3 |

## How to use it

```python
AutoModelForCausalLM.from_pretrained("them/tiny-stories-1.1B")
```

- it knows nothing of the news
- it may repeat itself
"""
LONG_NAME = "an-organisation-of-a-long-name/a-model-whose-name-tells-everything-about-how-it-was-made-1.1B-v2"
FOUND = (
    Found("them/tiny-stories-1.1B", 1_100_048_384, "llama", "apache-2.0", 1_234_567, 900, False, None),
    Found("them/gated", 8_030_261_248, "llama", "llama3.1", 987_654, 500, True, None),
    Found("EleutherAI/pythia-410m", 405_334_016, "gpt_neox", "apache-2.0", 54_321, 60, False, None),
    Found(LONG_NAME, 3_212_749_824, "qwen2", None, 12, 0, False, None),
)


def details(name: str, revision: str | None = None) -> Details:
    found = next(each for each in FOUND if each.name == name)
    gated = found.gated
    files = (
        HubFile("model.safetensors", 2 * (found.parameters or 0), "a" * 64, None),
        HubFile("config.json", 608, None, "b"),
    )
    return Details(
        name, "0123456", "" if gated else CARD, files, 4, found.parameters, ("BF16",), found.architecture, found.license,
        found.downloads, found.likes, gated,
    )  # fmt: skip


def answer(*, reached: bool = True) -> None:
    """Let `core.hub` answer from here, as long as this process lives."""

    def search(text: str = "", **_: Any) -> list[Found]:
        if not reached:
            told = "The Hub at https://huggingface.co can't be reached: Name or service not known."
            raise HubTrouble(told, "Look at HTTPS_PROXY and HF_ENDPOINT.", "network")
        return [each for each in FOUND if text in ("", "them")]

    connection.reach = lambda: None
    fetching.read_all = lines
    hub.search = search
    hub.details = details


def lines(home: Home) -> list[Line]:
    """One that runs, one that rests, one that is here and one that failed."""
    told = (
        Progress("them/tiny-stories-1.1B", RUNNING, 812_000_000, 2_200_100_000, "model.safetensors", 11_400_000.0),
        Progress(LONG_NAME, PAUSED, 3_000_000_000, 6_425_000_000),
        Progress("EleutherAI/pythia-410m", FINISHED, 911_000_000, 911_000_000, path="/hub/pythia"),
        Progress(
            "them/gated", FAILED, 0, 16_060_000_000, error="them/gated is gated: its authors want you to accept their conditions first.",
            way_out="Accept them on its page, then give your token: stillroom models login.", lacks="terms",
        ),
    )  # fmt: skip
    return [Line(Download(folder_of(home, each.name)), each) for each in told]

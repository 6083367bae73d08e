"""`python -m core.upload FOLDER NAME [--public]`: a folder or file to the Hub, by a process of its own that may be killed.

The last line of output is the address of the model, or with exit code 1 what went wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core import hub
from core.errors import Trouble


def upload(place: Path, name: str, *, public: bool) -> str:
    """Make the repository if it isn't there (private unless `public`), upload, and return its address. Raises HubTrouble."""
    hub.check_name(name)
    secret = hub.token()
    if secret is None:
        raise hub.HubTrouble(
            "Uploading takes a token, and there is none.",
            "Keep one by `stillroom models login`, or in the window's Settings, Hugging Face Hub; or set HF_TOKEN.",
            "token",
        )
    try:
        from huggingface_hub import HfApi

        api = HfApi(endpoint=hub.endpoint(), token=secret)
        api.create_repo(name, private=not public, exist_ok=True)
        if place.is_dir():
            api.upload_folder(repo_id=name, folder_path=place, commit_message="Upload by Stillroom")
        else:
            api.upload_file(
                repo_id=name, path_or_fileobj=place, path_in_repo=place.name, commit_message="Upload by Stillroom"
            )
    except Exception as error:
        raise hub.as_trouble(error, name) from error
    return f"{hub.endpoint()}/{name}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m core.upload")
    parser.add_argument("place", type=Path)
    parser.add_argument("name")
    parser.add_argument("--public", action="store_true")
    arguments = parser.parse_args()
    try:
        print(upload(arguments.place, arguments.name, public=arguments.public))
    except Trouble as trouble:
        print(trouble)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What is done: torch, transformers, accelerate. Reached only as a process, `python -m core.engine RUN_FOLDER`."""

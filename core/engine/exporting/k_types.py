"""llama.cpp's own quantization, for the types that the gguf package can read but not make (K-quants)."""

from __future__ import annotations

from pathlib import Path

from core.errors import Trouble


def write_k_type(plain: Path, file: Path, weight_type: str) -> None:
    """Quantize a float32 GGUF file to `weight_type`, as llama-quantize does. Takes llama-cpp-python."""
    import llama_cpp

    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{weight_type.upper()}")
    code = llama_cpp.llama_model_quantize(str(plain).encode(), str(file).encode(), settings)
    if code != 0:
        raise Trouble(
            f"llama.cpp could not quantize the model to {weight_type} (code {code}).",
            "The engine's log has its words. Choose q8_0, q5_1 or q4_1, which don't take it.",
        )

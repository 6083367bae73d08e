"""How large an export will be, before it is made: bits a weight of each type, and what is kept as it is.

The block types are counted from their layout in GGUF (q8_0: 32 weights of 8 bits and a 16-bit scale are 34 bytes). Those of the K types
are measured on a 7B Llama by llama.cpp (tools/quantize/README.md), where each mixes several.
"""

from __future__ import annotations

from core.models import ModelInfo

BITS_A_WEIGHT = {
    "f32": 32.0, "f16": 16.0, "bf16": 16.0,
    "q8_0": 8.5, "q5_1": 6.0, "q5_0": 5.5, "q4_1": 5.0, "q4_0": 4.5,
    "q6_k": 6.56, "q5_k_m": 5.70, "q5_k_s": 5.57, "q4_k_m": 4.89, "q4_k_s": 4.67,
    "q3_k_l": 4.30, "q3_k_m": 4.00, "q3_k_s": 3.64, "q2_k": 3.16,
    "int8": 8.1, "int4": 8.5,  # torchao keeps each 4-bit weight in a byte of the file
}  # fmt: skip
EMBEDDING_BITS = {"q5_1": 8.5, "q5_0": 8.5, "q4_1": 8.5, "q4_0": 8.5, "int8": 32.0, "int4": 32.0}


def bits_a_weight(weight_type: str) -> float:
    """Bits that a weight of a layer takes, scales included."""
    return BITS_A_WEIGHT[weight_type]


def expected_bytes(info: ModelInfo, weight_type: str) -> int:
    """About how large the file will be: layers in the type's bits, embeddings in the bits that they are kept in."""
    bits = BITS_A_WEIGHT[weight_type]
    embedding = info.parameters - info.non_embedding_parameters
    return round((info.non_embedding_parameters * bits + embedding * EMBEDDING_BITS.get(weight_type, bits)) / 8)

"""Well-known families of open language models: the numbers of each model's published `config.json`, its licence, and the count of
parameters that its weights on the Hub have. `core.catalogue` reads this; its tests count every config again.

A model is (name on the Hub, parameters, fields that differ from the family's).
"""

from __future__ import annotations

from typing import Any, NamedTuple

SOURCE = "config.json and weights of {name} on huggingface.co"


class Family(NamedTuple):
    name: str
    by: str
    license: str
    gated: bool
    config: dict[str, Any]
    models: list[tuple[str, int, dict[str, Any]]]


def _gpt2(width: int, layers: int, heads: int) -> dict[str, Any]:
    return {"n_embd": width, "n_layer": layers, "n_head": heads}


def _sizes(
    hidden: int, layers: int, heads: int, intermediate: int, kv_heads: int | None = None, **more: Any
) -> dict[str, Any]:
    sizes = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
    }
    return {**sizes, "num_key_value_heads": heads if kv_heads is None else kv_heads, **more}


FAMILIES = [
    Family("GPT-2", "OpenAI", "mit", False, {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024}, [
        ("openai-community/gpt2", 124_439_808, _gpt2(768, 12, 12)),
        ("openai-community/gpt2-medium", 354_823_168, _gpt2(1024, 24, 16)),
        ("openai-community/gpt2-large", 774_030_080, _gpt2(1280, 36, 20)),
        ("openai-community/gpt2-xl", 1_557_611_200, _gpt2(1600, 48, 25)),
    ]),
    Family("Pythia", "EleutherAI", "apache-2.0", False, {
        "model_type": "gpt_neox", "vocab_size": 50304, "max_position_embeddings": 2048, "tie_word_embeddings": False,
    }, [
        ("EleutherAI/pythia-70m", 70_426_624, _sizes(512, 6, 8, 2048)),
        ("EleutherAI/pythia-160m", 162_322_944, _sizes(768, 12, 12, 3072)),
        ("EleutherAI/pythia-410m", 405_334_016, _sizes(1024, 24, 16, 4096)),
        ("EleutherAI/pythia-1b", 1_011_781_632, _sizes(2048, 16, 8, 8192)),
        ("EleutherAI/pythia-1.4b", 1_414_647_808, _sizes(2048, 24, 16, 8192)),
        ("EleutherAI/pythia-2.8b", 2_775_208_960, _sizes(2560, 32, 32, 10240)),
        ("EleutherAI/pythia-6.9b", 6_857_302_016, _sizes(4096, 32, 32, 16384, vocab_size=50432)),
        ("EleutherAI/pythia-12b", 11_846_072_320, _sizes(5120, 36, 40, 20480, vocab_size=50688)),
    ]),
    Family("SmolLM2", "Hugging Face", "apache-2.0", False, {
        "model_type": "llama", "vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": True,
    }, [
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008, _sizes(576, 30, 9, 1536, 3)),
        ("HuggingFaceTB/SmolLM2-360M", 361_821_120, _sizes(960, 32, 15, 2560, 5)),
        ("HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384, _sizes(2048, 24, 32, 8192)),
    ]),
    Family("TinyLlama", "TinyLlama", "apache-2.0", False, {
        "model_type": "llama", "vocab_size": 32000, "max_position_embeddings": 2048, "tie_word_embeddings": False,
    }, [
        ("TinyLlama/TinyLlama_v1.1", 1_100_048_384, _sizes(2048, 22, 32, 5632, 4)),
    ]),
    Family("Llama 2", "Meta", "llama2", True, {
        "model_type": "llama", "vocab_size": 32000, "max_position_embeddings": 4096, "tie_word_embeddings": False,
    }, [
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616, _sizes(4096, 32, 32, 11008)),
        ("meta-llama/Llama-2-13b-hf", 13_015_864_320, _sizes(5120, 40, 40, 13824)),
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192, _sizes(8192, 80, 64, 28672, 8)),
    ]),
    Family("Llama 3", "Meta", "llama3.2", True, {"model_type": "llama", "vocab_size": 128256, "max_position_embeddings": 131072}, [
        ("meta-llama/Llama-3.2-1B", 1_235_814_400, _sizes(2048, 16, 32, 8192, 8, head_dim=64, tie_word_embeddings=True)),
        ("meta-llama/Llama-3.2-3B", 3_212_749_824, _sizes(3072, 28, 24, 8192, 8, head_dim=128, tie_word_embeddings=True)),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248, _sizes(4096, 32, 32, 14336, 8, tie_word_embeddings=False, license="llama3.1")),
        ("meta-llama/Llama-3.1-70B", 70_553_706_496, _sizes(8192, 80, 64, 28672, 8, tie_word_embeddings=False, license="llama3.1")),
    ]),
    Family("Qwen2.5", "Alibaba", "apache-2.0", False, {"model_type": "qwen2", "vocab_size": 152064, "max_position_embeddings": 131072}, [
        ("Qwen/Qwen2.5-0.5B", 494_032_768, _sizes(
            896, 24, 14, 4864, 2, vocab_size=151936, tie_word_embeddings=True, max_position_embeddings=32768)),
        ("Qwen/Qwen2.5-1.5B", 1_543_714_304, _sizes(1536, 28, 12, 8960, 2, vocab_size=151936, tie_word_embeddings=True)),
        ("Qwen/Qwen2.5-3B", 3_085_938_688, _sizes(
            2048, 36, 16, 11008, 2, vocab_size=151936, tie_word_embeddings=True, max_position_embeddings=32768, license="qwen-research")),
        ("Qwen/Qwen2.5-7B", 7_615_616_512, _sizes(3584, 28, 28, 18944, 4)),
        ("Qwen/Qwen2.5-14B", 14_770_033_664, _sizes(5120, 48, 40, 13824, 8)),
        ("Qwen/Qwen2.5-32B", 32_763_876_352, _sizes(5120, 64, 40, 27648, 8)),
        ("Qwen/Qwen2.5-72B", 72_706_203_648, _sizes(8192, 80, 64, 29568, 8, license="qwen")),
    ]),
    Family("Qwen3", "Alibaba", "apache-2.0", False, {
        "model_type": "qwen3", "vocab_size": 151936, "head_dim": 128, "max_position_embeddings": 32768,
    }, [
        ("Qwen/Qwen3-0.6B-Base", 596_049_920, _sizes(1024, 28, 16, 3072, 8, tie_word_embeddings=True)),
        ("Qwen/Qwen3-1.7B-Base", 1_720_574_976, _sizes(2048, 28, 16, 6144, 8, tie_word_embeddings=True)),
        ("Qwen/Qwen3-4B-Base", 4_022_468_096, _sizes(2560, 36, 32, 9728, 8, tie_word_embeddings=True)),
        ("Qwen/Qwen3-8B-Base", 8_190_735_360, _sizes(4096, 36, 32, 12288, 8)),
        ("Qwen/Qwen3-14B-Base", 14_768_307_200, _sizes(5120, 40, 40, 17408, 8)),
    ]),
    Family("Gemma 2", "Google", "gemma", True, {
        "model_type": "gemma2", "vocab_size": 256000, "max_position_embeddings": 8192, "head_dim": 256,
    }, [
        ("google/gemma-2-2b", 2_614_341_888, _sizes(2304, 26, 8, 9216, 4)),
        ("google/gemma-2-9b", 9_241_705_984, _sizes(3584, 42, 16, 14336, 8)),
        ("google/gemma-2-27b", 27_227_128_320, _sizes(4608, 46, 32, 36864, 16, head_dim=128)),
    ]),
    Family("Gemma 3", "Google", "gemma", True, {
        "model_type": "gemma3_text", "vocab_size": 262144, "max_position_embeddings": 32768, "head_dim": 256,
    }, [
        ("google/gemma-3-270m", 268_098_176, _sizes(640, 18, 4, 2048, 1)),
        ("google/gemma-3-1b-pt", 999_885_952, _sizes(1152, 26, 4, 6912, 1)),
    ]),
    Family("Mistral", "Mistral AI", "apache-2.0", False, {"model_type": "mistral", "tie_word_embeddings": False}, [
        ("mistralai/Mistral-7B-v0.1", 7_241_732_096, _sizes(
            4096, 32, 32, 14336, 8, vocab_size=32000, max_position_embeddings=32768)),
        ("mistralai/Mistral-7B-v0.3", 7_248_023_552, _sizes(
            4096, 32, 32, 14336, 8, vocab_size=32768, max_position_embeddings=32768)),
        ("mistralai/Mistral-Nemo-Base-2407", 12_247_782_400, _sizes(
            5120, 40, 32, 14336, 8, head_dim=128, vocab_size=131072, max_position_embeddings=131072)),
    ]),
    Family("OLMo", "Ai2", "apache-2.0", False, {"model_type": "olmo", "vocab_size": 50304, "max_position_embeddings": 2048}, [
        ("allenai/OLMo-1B-hf", 1_176_764_416, _sizes(2048, 16, 16, 8192)),
        ("allenai/OLMo-7B-hf", 6_888_095_744, _sizes(4096, 32, 32, 11008)),
    ]),
    Family("OLMo 2", "Ai2", "apache-2.0", False, {"model_type": "olmo2", "vocab_size": 100352, "max_position_embeddings": 4096}, [
        ("allenai/OLMo-2-0425-1B", 1_484_916_736, _sizes(2048, 16, 16, 8192)),
        ("allenai/OLMo-2-1124-7B", 7_298_617_344, _sizes(4096, 32, 32, 11008)),
        ("allenai/OLMo-2-1124-13B", 13_716_198_400, _sizes(5120, 40, 40, 13824)),
    ]),
    Family("Phi", "Microsoft", "mit", False, {"model_type": "phi", "vocab_size": 51200, "max_position_embeddings": 2048}, [
        ("microsoft/phi-1_5", 1_418_270_720, _sizes(2048, 24, 32, 8192)),
        ("microsoft/phi-2", 2_779_683_840, _sizes(2560, 32, 32, 10240)),
    ]),
    Family("Phi 3 and 4", "Microsoft", "mit", False, {"model_type": "phi3"}, [
        ("microsoft/Phi-3-mini-4k-instruct", 3_821_079_552, _sizes(
            3072, 32, 32, 8192, vocab_size=32064, max_position_embeddings=4096)),
        ("microsoft/phi-4", 14_659_507_200, _sizes(
            5120, 40, 40, 17920, 10, vocab_size=100352, max_position_embeddings=16384)),
    ]),
]  # fmt: skip

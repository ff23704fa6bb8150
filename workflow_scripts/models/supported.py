"""Which architectures can be pruned, by their `model_type` in config.json, and why others cannot.

A checkpoint of an architecture that is in neither list is judged by its tensors (`linear_names`).
Tests build each one of transformers.
"""

from collections.abc import Mapping

APART = "q, k, v, o, gate, up, down"
FUSED = {"phi3": "qkv, o, gate_up, down", "glm": "q, k, v, o, gate_up, down"}
FUSED["glm4"] = FUSED["glm"]
ROUTED = "q, k, v, o; gate, up, down of every expert"
AND_SHARED = f"{ROUTED} and of the shared one"

# model type -> its linears
SUPPORTED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "bitnet", "cohere", "cohere2", "cwm", "diffllama", "ernie4_5", "exaone4", "gemma",
            "gemma2", "gemma3_text", "gemma4_unified_text", "granite", "granite_swa", "helium",
            "hunyuan_v1_dense", "hyperclovax", "llama", "ministral", "ministral3", "mistral",
            "olmo", "olmo2", "olmo3", "qwen2", "qwen3", "seed_oss", "smollm3", "stablelm",
            "vaultgemma",
        ),
        APART,
    ),
    **FUSED,
    **dict.fromkeys(
        (
            "cohere2_moe", "flex_olmo", "mellum", "minimax_m2", "mixtral", "olmoe", "phimoe",
            "qwen3_moe",
        ),
        ROUTED,
    ),
    **dict.fromkeys(
        ("ernie4_5_moe", "glm4_moe", "hunyuan_v1_moe", "qwen2_moe", "solar_open"), AND_SHARED
    ),
}  # fmt: skip

# those of SUPPORTED from which no whole block can be removed, and why
BLOCKS_STAY: Mapping[str, str] = {
    "diffllama": "the weight of its second attention follows from a block's number",
    "ernie4_5_moe": "its config says by their numbers which blocks have experts",
    "gemma4_unified_text": "its config names blocks by their numbers",
    "glm4_moe": "its config says by their numbers which blocks have experts",
}

_REASONS = {
    "its blocks are not those of a Llama-like decoder, in names or in parts": (
        "apertus", "arcee", "bart", "bert", "bert-generation", "big_bird", "bigbird_pegasus",
        "biogpt", "blenderbot", "blenderbot-small", "bloom", "blt", "camembert", "codegen",
        "cpmant", "ctrl", "data2vec-text", "electra", "ernie", "falcon", "git", "gpt-sw3", "gpt2",
        "gpt_bigcode", "gpt_neo", "gpt_neox", "gpt_neox_japanese", "gptj", "hrm_text", "jais2",
        "marian", "mbart", "megatron-bert", "modernbert-decoder", "moshi", "mpt", "musicgen",
        "musicgen_melody", "mvp", "nanochat", "nemotron", "openai-gpt", "opt", "pegasus",
        "persimmon", "phi", "plbart", "prophetnet", "reformer", "rembert", "roberta",
        "roberta-prelayernorm", "roc_bert", "roformer", "starcoder2", "trocr", "whisper", "xglm",
        "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod",
    ),
    "its decoder is inside a model of images or sound, under other names": (
        "emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "gemma4_unified", "got_ocr2", "llama4",
        "mllama", "phi4_multimodal", "qwen3_5", "qwen3_5_moe",
    ),
    "its blocks have state spaces, convolutions or linear attention beside or for attention": (
        "bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "inkling_text", "jamba",
        "kimi_linear", "lfm2", "lfm2_moe", "mamba", "mamba2", "minimax", "nemotron_h",
        "olmo_hybrid", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next", "qwen4_exp",
        "qwen4_exp_text", "recurrent_gemma", "rwkv", "xlstm", "zamba", "zamba2", "zaya",
    ),
    "its attention is latent (keys and values from one compressed matrix)": (
        "axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4",
        "glm4_moe_lite", "glm_moe_dsa", "hy_v4", "longcat_flash", "minicpm3", "youtu",
    ),
    "its experts are one tensor for all in the checkpoint, some transposed or with biases": (
        "aria_text", "dbrx", "gpt_oss", "granitemoe", "granitemoe_swa", "granitemoeshared",
        "jetmoe", "llama4_text", "minimax_m3_vl_text",
    ),
    "its blocks have weight matrices that are neither linears nor a router": (
        "afmoe", "doge", "gemma3n_text", "gemma4_text", "laguna",
    ),
    "its checkpoints call what lies beside the experts by other names than transformers": (
        "exaone_moe", "hy_v3", "mimo_v2_flash",
    ),
    "transformers builds it only beside another model, or not from its own default config": (
        "cohere_compass_text", "dots1", "gemma4_assistant", "gemma4_unified_assistant",
    ),
}  # fmt: skip
REFUSED: Mapping[str, str] = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds}

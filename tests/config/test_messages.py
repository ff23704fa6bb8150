"""The exact line for everything that the config door does not let in."""

import datetime
from pathlib import Path

import pytest
import yaml

from tests.config.config_door import (
    DEFAULT,
    DEFAULT_TEXT,
    GONE,
    HEX40,
    HUB_BENCHMARK,
    HUB_MODEL,
    RAW_SCHEMA,
    changed,
    lines_of,
    make_bundled,
)
from workflow_scripts.config import sources as config_files
from workflow_scripts.config.load import load_settings


@pytest.fixture(autouse=True)
def bundled(tmp_path_factory, monkeypatch) -> Path:
    folder = make_bundled(tmp_path_factory.mktemp("repository"))
    monkeypatch.setattr(config_files, "BUNDLED", folder)
    return folder


SECTIONS = (
    "run, models, benchmarks, calibration_sets, influence_sets, thinking_formats, variants, "
    "pruning, generation, judge"
)
GENERATION_KEYS = ", ".join(DEFAULT["generation"])
VARIANTS = ", ".join(DEFAULT["variants"])
METHODS = "dense, magnitude, wanda, shortgpt, reverse-order, blocks"
CATALOGUE = "must be a mapping with names as keys"
A_VARIANT = f"must be a mapping with the key method (one of {METHODS})"
NAMES = "must be a list of one or more names, none twice"
BUDGETS = "must be a list of one or more different items, each a whole number of at least 1"
SPARSITY = "must be a number greater than 0 and less than 1"
COUNT = "must be a whole number of at least 1"
BLOCKS = "must be a list of one or more different items, each a whole number of at least 0"
SEED = "must be a whole number of at least 0 and at most 4294967295"
SEEDS = (
    "must be a whole number of at least 0 and at most 4294967295 or, with seeding paper, a list of "
    "such numbers, one for each repeat"
)
TOP_P = "must be a number greater than 0 and at most 1"
NO_GPU = "device cpu; the device must be cuda"
OPTIONS_OF_VLLM = list(
    RAW_SCHEMA["properties"]["generation"]["properties"]["engine_options"]["properties"]
)
ENGINE_OPTIONS = f"must be a mapping with the keys {', '.join(OPTIONS_OF_VLLM)}"
ANSWER_SAMPLING = "must be a mapping with the keys temperature, top_p, top_k"
TEXT = "must be text that is not empty"
STOP = "must be text that is not empty, or a list of one or more such texts, none twice"
PLAIN_TEXT = "must be text that UTF-8 can hold, without NUL"
PATTERN = (
    'must be "n:m" with 0 < n < m < 100, in quotes (n of every m consecutive input weights are '
    "pruned)"
)
PATTERN_ORDER = "is not allowed; the first number must be less than the second"
HEX64 = "must be 64 lowercase hexadecimal digits"
NAME = (
    "must be at most 100 letters, digits, '.', '_' and '-', the first one a letter or digit (names "
    "become folder names)"
)
COMMIT = (
    "must be a commit of 40 lowercase hexadecimal digits (a pinned commit; a branch or a tag can "
    "move)"
)
NULL = "an empty value (null)"
QUOTES = "put it in quotes if it is meant as text"

PART = "must be a number of at least 0 and at most 1"
BENCHMARKS = ", ".join(DEFAULT["benchmarks"])
UNKNOWN_BENCHMARK = (
    f"benchmark: 'chain' is not in benchmarks; did you mean 'chains'? there: {BENCHMARKS}"
)
ANSWERS = "integer, math, choice"
FORMS = "cell, hashes, letter, index"
CHOICES = {"question": "q", "answer": "right", "choices": ["right", "wrong"]}
COLUMNS = "must be a list of one or more names of columns, none twice"
PAIRS = "must be a .jsonl, .json (both also .gz) or .parquet file"
HUB_PAIRS = PAIRS.replace("a .jsonl", "the path in the repository of a .jsonl")
TEMPLATE = 'must be text with the name of a field or column in braces, such as "{question}"'
NO_COUNT = f"is not allowed; {COUNT}"
CORPUS = "must be a .jsonl, .json, .txt (each also .gz) or .parquet file"
HUB_CORPUS = CORPUS.replace("a .jsonl", "the path in the repository of a .jsonl")
GGUF = {"kind": "gguf", "package": "some-model", "file": "small.gguf"}
GENERATED = {"kind": "generated", "benchmark": "chains"}
HUB = {"kind": "hub", "id": "owner/name", "revision": HEX40}
LOCAL = {"kind": "local", "path": "problems.jsonl"}
PAIR_SOURCE = {
    "kind": "hub",
    "id": "owner/name",
    "file": "a.parquet",
    "prompt": "{q}",
    "completion": "{a}",
}
SET = DEFAULT["calibration_sets"]["chains"]
INFLUENCE = DEFAULT["influence_sets"]["chains"]
FORMAT = DEFAULT["thinking_formats"]["think"]
WANDA = DEFAULT["variants"]["wanda-20"]
OWL = {"kind": "owl", "calibration": "chains"}
LAYERIF = {"kind": "layerif", "influence": "chains"}
ALLOCATED = "variants.magnitude-20.allocation"

# key path, the new value, and what the line says after `config: ` and the path
SECTIONS_AND_KEYS = [
    ("variants", GONE, f"missing; {CATALOGUE}"),
    ("generation", GONE, f"missing; must be a mapping with the keys {GENERATION_KEYS}"),
    ("variants", None, f"{NULL} is not allowed; {CATALOGUE}"),
    ("variants", ["dense"], f"a list is not allowed; {CATALOGUE}"),
    ("judge.enabled", "yes", "'yes' is not allowed; must be true or false"),
    (
        "judge.url",
        "https://user@host/v1",
        "'https://user@host/v1' is not allowed; must be an http or https address without user, "
        "query and fragment",
    ),
    *(
        (
            "judge.url",
            url,
            f"{url!r} is not allowed; must be an http or https address without user, query and "
            "fragment",
        )
        for url in [
            "file:///etc/passwd",
            "ftp://host/v1",
            "https:///v1",
            "https://host/v1?key=1",
            "http://[::1/v1",
            "http://host:port/v1",
            "https://host/é",
            "https://host /v1",
        ]
    ),
    ("judge.prompt", "gpt", "'gpt' is not allowed; must be one of equivalence, paper"),
    ("judge.model", "", f"'' is not allowed; {TEXT}"),
    (
        "judge.key_variable",
        "sk-12",
        "'sk-12' is not allowed; must be the name of an environment variable",
    ),
    ("judge.max_tokens", 0, f"0 is not allowed; {COUNT}"),
    ("judge.timeout", 0, "0 is not allowed; must be a number greater than 0"),
    ("judge.attempts", 0, f"0 is not allowed; {COUNT}"),
    ("judge.parallel", 0, f"0 is not allowed; {COUNT}"),
    (
        "judge.api_key",
        "x",
        "unknown key; allowed: enabled, url, model, prompt, key_variable, max_tokens, timeout, "
        "attempts, parallel",
    ),
    ("pruning", [], "a list is not allowed; must be a mapping with the keys device"),
    ("pruning.device", "gpu", "'gpu' is not allowed; must be one of cpu, cuda"),
    ("generation", 3, f"3 is not allowed; must be a mapping with the keys {GENERATION_KEYS}"),
    ("varants", {}, f"unknown key; did you mean 'variants'? allowed: {SECTIONS}"),
    ("grader", {}, f"unknown key; allowed: {SECTIONS}"),
    ("run.seeds", [1], "unknown key; allowed: models, variants, benchmarks"),
    (
        "generation.tempreature",
        1,
        f"unknown key; did you mean 'temperature'? allowed: {GENERATION_KEYS}",
    ),
    (
        "thinking_formats.think.close",
        "x",
        "unknown key; allowed: open, stop, after_stop, after_cap, newline_before_cap, extend_with, "
        "extensions",
    ),
    ("generation.budgets", GONE, f"missing; {BUDGETS}"),
    ("generation.dtype", GONE, "missing; must be one of float32, bfloat16, float16"),
    ("thinking_formats.think.open", GONE, "missing; must be text"),
    ("calibration_sets.chains.samples", GONE, f"missing; {COUNT}"),
    ("influence_sets", GONE, f"missing; {CATALOGUE}"),
    ("influence_sets.chains.validation_samples", GONE, f"missing; {COUNT}"),
    (
        "influence_sets.chains.hessian",
        "gauss",
        "'gauss' is not allowed; must be one of identity, datainf",
    ),
    (
        "influence_sets.chains.samples",
        8,
        "unknown key; did you mean 'train_samples'? allowed: source, train_samples, "
        "validation_samples, length, seed, hessian",
    ),
    ("models.reasoner.thinking", GONE, "missing; must be a name from thinking_formats"),
]

METHODS_AND_KINDS = [
    (
        "variants.wanda-20.method",
        "wandas",
        f"'wandas' is not allowed; did you mean 'wanda'? must be one of {METHODS}",
    ),
    (
        "variants.wanda-20.method",
        "sparsegpt",
        f"'sparsegpt' is not allowed; must be one of {METHODS}",
    ),
    ("variants.wanda-20.method", ["wanda"], f"a list is not allowed; must be one of {METHODS}"),
    ("variants.wanda-20.method", GONE, f"missing; must be one of {METHODS}"),
    ("variants.wanda-20", "wanda", f"'wanda' is not allowed; {A_VARIANT}"),
    ("variants.wanda-20", None, f"{NULL} is not allowed; {A_VARIANT}"),
    (
        "variants.wanda-20.allocation.kind",
        "alpha",
        "'alpha' is not allowed; must be one of uniform, owl, layerif",
    ),
    *(
        (f"variants.wanda-20.{key}", value, f"{value!r} is not allowed; must be one of {choices}")
        for key, value, choices in [
            ("scope", "norms", "all, attention, mlp"),
            ("comparison", "column", "row, matrix"),
            ("propagate", "sparse", "dense, pruned"),
            ("selection", "strict", "exact, paper"),
        ]
    ),
    ("variants.wanda-20.pattern", "4:2", f"'4:2' {PATTERN_ORDER}"),
    ("variants.wanda-20.pattern", "4:4", f"'4:4' {PATTERN_ORDER}"),
    ("variants.wanda-20.pattern", "2:4x", f"'2:4x' is not allowed; {PATTERN}"),
    ("variants.wanda-20.pattern", "0:4", f"'0:4' is not allowed; {PATTERN}"),
    ("variants.wanda-20.pattern", 124, f"124 is not allowed; {PATTERN}; {QUOTES}"),
    (
        "variants.wanda-50.pattern",
        "1:4",
        ["variants.wanda-50.sparsity: 0.5 is not allowed with pattern 1:4; must be 0.25"],
    ),
    (
        "variants.wanda-20.allocation",
        "uniform",
        "'uniform' is not allowed; must be a mapping with the key kind (one of uniform, owl, "
        "layerif)",
    ),
    (
        "generation.engine",
        "vlm",
        "'vlm' is not allowed; did you mean 'vllm'? must be one of auto, transformers, vllm",
    ),
    ("generation.tensor_parallel", 0, f"0 is not allowed; {COUNT}"),
    ("generation.tensor_parallel", 2, f"2 is not allowed with {NO_GPU}"),
    ("generation.batch_invariant", 1, "1 is not allowed; must be true or false"),
    ("generation.batch_invariant", True, f"true is not allowed with {NO_GPU}"),
    ("generation.engine_options", [], f"a list is not allowed; {ENGINE_OPTIONS}"),
    (
        "generation.engine_options",
        {"enforce_eager": True},
        "a mapping is not allowed with engine auto; the engine must be vllm",
    ),
    *(
        ("generation.engine_options", {key: value}, [f"generation.engine_options.{key}: {said}"])
        for key, value, said in [
            ("enforce_eager", "yes", "'yes' is not allowed; must be true or false"),
            ("enable_prefix_caching", 1, "1 is not allowed; must be true or false"),
            ("gpu_memory_utilization", 0, f"0 is not allowed; {TOP_P}"),
            ("gpu_memory_utilization", 1.5, f"1.5 is not allowed; {TOP_P}"),
            ("kv_cache_memory_bytes", 0.5, f"0.5 is not allowed; {COUNT}"),
            ("max_num_batched_tokens", 0, f"0 is not allowed; {COUNT}"),
            ("cpu_offload_gb", -1, "-1 is not allowed; must be a number of at least 0"),
            # what runs foreign code or changes numbers has no place here
            ("trust_remote_code", True, "unknown key; allowed: " + ", ".join(OPTIONS_OF_VLLM)),
            ("quantization", "fp8", "unknown key; allowed: " + ", ".join(OPTIONS_OF_VLLM)),
        ]
    ),
    (
        "generation.dtype",
        "float",
        "'float' is not allowed; did you mean 'float32'? must be one of float32, bfloat16, float16",
    ),
    (
        "models.reasoner.source.kind",
        "hugs",
        "'hugs' is not allowed; must be one of bundled, local, hub, gguf",
    ),
    (
        "calibration_sets.chains.source.kind",
        "gguf",
        "'gguf' is not allowed; must be one of bundled, local, hub, generated",
    ),
]

KEYS_OF_METHODS = [
    (
        "variants.shortgpt-1.sparsity",
        0.2,
        "method shortgpt does not take this key; it takes method, remove_blocks, calibration",
    ),
    (
        "variants.magnitude-20.calibration",
        "chains",
        "method magnitude does not take this key; it takes method, allocation, sparsity, scope, "
        "pattern, selection",
    ),
    ("variants.dense.sparsity", 0.2, "method dense does not take this key; it takes method"),
    (
        "variants.wanda-20.sparcity",
        0.2,
        "method wanda does not take this key; did you mean 'sparsity'? it takes method, "
        "allocation, sparsity, calibration, comparison, propagate, scope, pattern, selection",
    ),
    (
        "variants.magnitude-20.comparison",
        "row",
        "method magnitude does not take this key; it takes method, allocation, sparsity, scope, "
        "pattern, selection",
    ),
    (
        "variants.wanda-20.allocation.level",
        1,
        "kind uniform does not take this key; it takes kind",
    ),
    (
        "models.reasoner.source.revision",
        HEX40,
        "kind bundled does not take this key; it takes kind, name",
    ),
    (
        "variants.wanda-20.calibration",
        GONE,
        "missing; method wanda needs it; must be a name from calibration_sets",
    ),
    ("variants.wanda-20.sparsity", GONE, f"missing; method wanda needs it; {SPARSITY}"),
    ("variants.shortgpt-1.remove_blocks", GONE, f"missing; method shortgpt needs it; {COUNT}"),
]

ALLOCATIONS = [
    *(
        (ALLOCATED, allocation | {key: value}, [f"{ALLOCATED}.{key}: {said}"])
        for allocation, key, value, said in [
            (OWL, "calibration", "c4", "'c4' is not in calibration_sets; there: chains"),
            (OWL, "threshold", 0, "0 is not allowed; must be a number greater than 0"),
            (
                OWL,
                "spread",
                -0.1,
                "-0.1 is not allowed; must be a number of at least 0 and at most 1",
            ),
            (OWL, "floor", 1, "1 is not allowed; must be a number of at least 0 and less than 1"),
            (
                OWL,
                "window",
                5,
                "kind owl does not take this key; it takes kind, calibration, threshold, spread, "
                "floor",
            ),
            (LAYERIF, "influence", "c4", "'c4' is not in influence_sets; there: chains"),
            (LAYERIF, "direction", "up", "'up' is not allowed; must be one of protect, prune"),
            (LAYERIF, "unit", "linear", "'linear' is not allowed; must be one of split, block"),
            (LAYERIF, "low", 0, f"0 is not allowed; {SPARSITY}"),
            (
                LAYERIF,
                "high",
                1.1,
                "1.1 is not allowed; must be a number greater than 0 and at most 1",
            ),
            (LAYERIF, "high", 0.05, "0.05 is not allowed; must be greater than low (0.05)"),
            (LAYERIF, "window", 4, "4 is not allowed; must be an odd whole number"),
            (LAYERIF, "window", 0, f"0 is not allowed; {COUNT}"),
            (LAYERIF, "order", 5, "5 is not allowed; must be less than window (5)"),
        ]
    ),
    (
        ALLOCATED,
        {"kind": "owl"},
        [
            f"{ALLOCATED}.calibration: missing; kind owl needs it; must be a name from "
            "calibration_sets"
        ],
    ),
    (
        ALLOCATED,
        {"kind": "layerif"},
        [
            f"{ALLOCATED}.influence: missing; kind layerif needs it; must be a name from "
            "influence_sets"
        ],
    ),
    (
        "variants.wanda-50",
        WANDA | {"pattern": "2:4", "allocation": OWL, "comparison": "matrix", "selection": "paper"},
        [
            f"variants.wanda-50.{key}: {value!r} is not allowed with pattern 2:4; must be {needed}"
            for key, value, needed in [
                ("allocation.kind", "owl", "uniform"),
                ("sparsity", 0.2, 0.5),
                ("comparison", "matrix", "row"),
                ("selection", "paper", "exact"),
            ]
        ],
    ),
    *(
        ("variants.shortgpt-1", {"method": "blocks", "blocks": blocks}, [f"variants.{line}"])
        for blocks, line in [
            ([], f"shortgpt-1.blocks: an empty list is not allowed; {BLOCKS}"),
            ([2, 3, 2], f"shortgpt-1.blocks: 2 stands there more than once; {BLOCKS}"),
            (3, f"shortgpt-1.blocks: 3 is not allowed; {BLOCKS}"),
            (
                [-1],
                "shortgpt-1.blocks[0]: -1 is not allowed; must be a whole number of at least 0",
            ),
        ]
    ),
    (
        "variants.shortgpt-1.method",
        "reverse-order",
        [
            "variants.shortgpt-1.calibration: method reverse-order does not take this key; it "
            "takes method, remove_blocks"
        ],
    ),
]

NUMBERS = [
    *(
        ("variants.wanda-20.sparsity", value, f"{said} is not allowed; {SPARSITY}")
        for value, said in [
            (1.2, "1.2"),
            (1, "1"),
            (0, "0"),
            (-0.2, "-0.2"),
            (True, "true"),
            (None, NULL),
            ([0.2], "a list"),
            ({"all": 0.2}, "a mapping"),
            (float("nan"), "nan"),
            (float("inf"), "inf"),
            ("20%", "'20%'"),
            ("nan", "'nan'"),
        ]
    ),
    (
        "variants.wanda-20.sparsity",
        "1e-1",
        f"'1e-1' is not allowed; {SPARSITY}; write 0.1, without quotes",
    ),
    ("generation.repeats", 0, f"0 is not allowed; {COUNT}"),
    ("generation.repeats", 3.0, f"3.0 is not allowed; {COUNT}"),
    ("generation.repeats", True, f"true is not allowed; {COUNT}"),
    ("generation.repeats", "3", f"'3' is not allowed; {COUNT}; write 3, without quotes"),
    (
        "generation.temperature",
        -0.1,
        "-0.1 is not allowed; must be a number of at least 0 and at most 100",
    ),
    ("generation.top_p", 0, f"0 is not allowed; {TOP_P}"),
    ("generation.top_p", 1.01, f"1.01 is not allowed; {TOP_P}"),
    ("generation.top_k", -1, "-1 is not allowed; must be a whole number of at least 0"),
    ("generation.answer_tokens", 0, f"0 is not allowed; {COUNT}"),
    ("generation.answer_sampling", 0.6, f"0.6 is not allowed; {ANSWER_SAMPLING}"),
    (
        "generation.answer_sampling.temprature",
        0,
        "unknown key; did you mean 'temperature'? allowed: temperature, top_p, top_k",
    ),
    ("generation.answer_sampling.top_p", 0, f"0 is not allowed; {TOP_P}"),
    (
        "generation.answer_beyond_context",
        "allow",
        "'allow' is not allowed; must be one of refuse, cut",
    ),
    ("generation.sweep", "paired", "'paired' is not allowed; must be one of shared, independent"),
    (
        "generation.seeding",
        "per_sample",
        "'per_sample' is not allowed; did you mean 'per-sample'? must be one of per-sample, paper",
    ),
    ("generation.seed", [], f"an empty list is not allowed; {SEEDS}"),
    ("generation.seed", [7, 7, 42], f"7 stands there more than once; {SEEDS}"),
    (
        "generation.seed",
        [7, 11, -42],
        [
            "generation.seed[2]: -42 is not allowed; must be a whole number of at least 0 and at "
            "most 4294967295"
        ],
    ),
    (
        "generation.seed",
        [7, 11, 42],
        "a list is not allowed with seeding per-sample; must be one whole number",
    ),
    (
        "generation",
        DEFAULT["generation"] | {"seeding": "paper", "seed": [7, 11]},
        [
            "generation.seed: a list of 2 is not allowed with seeding paper; must be a list of 3 "
            "whole numbers, one for each repeat"
        ],
    ),
    (
        "generation.seeding",
        "paper",
        [
            "generation.seed: 0 is not allowed with seeding paper; must be a list of 3 whole "
            "numbers, one for each repeat"
        ],
    ),
    ("generation.batch_size", 0, f"0 is not allowed; {COUNT}"),
    ("generation.threads", 0, f"0 is not allowed; {COUNT}"),
    ("generation.seed", 4294967296, f"4294967296 is not allowed; {SEEDS}"),
    ("generation.seed", 16**5000, "a number of 20001 bits is not allowed; must be below 2**64"),
    ("calibration_sets.chains.seed", -1, f"-1 is not allowed; {SEED}"),
    ("calibration_sets.chains.length", 0, f"0 is not allowed; {COUNT}"),
    ("influence_sets.chains.train_samples", 0, f"0 is not allowed; {COUNT}"),
    ("influence_sets.chains.validation_samples", 1.5, f"1.5 is not allowed; {COUNT}"),
    (
        "influence_sets.chains.length",
        1,
        "1 is not allowed; must be a whole number of at least 2",
    ),
    ("influence_sets.chains.seed", -1, f"-1 is not allowed; {SEED}"),
    ("variants.shortgpt-1.remove_blocks", 0, f"0 is not allowed; {COUNT}"),
    ("variants.shortgpt-1.remove_blocks", 1.5, f"1.5 is not allowed; {COUNT}"),
    ("generation.budgets", [], f"an empty list is not allowed; {BUDGETS}"),
    ("generation.budgets", [6, 12, 6], f"6 stands there more than once; {BUDGETS}"),
    ("generation.budgets", 6, f"6 is not allowed; {BUDGETS}"),
    ("generation.budgets", {6: None}, "the key 6 is not text; put it in quotes"),
]

RUN_LISTS_AND_REFERENCES = [
    ("run.variants", [], f"an empty list is not allowed; {NAMES}"),
    (
        "run.variants",
        "dense",
        f"'dense' is not allowed; {NAMES}; a list of one is written ['dense']",
    ),
    ("run.variants", ["dense", "dense"], f"'dense' stands there more than once; {NAMES}"),
    (
        "models.reasoner.thinking",
        "thnk",
        "'thnk' is not in thinking_formats; did you mean 'think'? there: think, s1",
    ),
    (
        "models.reasoner.thinking",
        True,
        f"true is not allowed; must be a name from thinking_formats; {QUOTES}",
    ),
    (
        "models.reasoner.thinking",
        "x\ny\u2028" * 50,
        "'" + "x\\ny\\u2028" * 5 + "x\\ny\\...' is not in thinking_formats; there: think, s1",
    ),
    ("variants.wanda-20.calibration", "c4", "'c4' is not in calibration_sets; there: chains"),
]

SOURCES = [
    ("benchmarks.chains.sha256", "abc", f"'abc' is not allowed; {HEX64}"),
    ("benchmarks.chains.sha256", None, f"{NULL} is not allowed; {HEX64}"),
    ("models.reasoner.source.name", "../reasoner", f"'../reasoner' is not allowed; {NAME}"),
    (
        "models.reasoner.source",
        None,
        f"{NULL} is not allowed; must be a mapping with the key kind (one of bundled, local, hub, "
        "gguf)",
    ),
]

THINKING_AND_TEXT = [
    *(
        (f"thinking_formats.think.{key}", "", f"'' is not allowed; {TEXT}")
        for key in ("after_stop", "after_cap")
    ),
    ("thinking_formats.think.stop", "", f"'' is not allowed; {STOP}"),
    ("thinking_formats.think.stop", [], f"an empty list is not allowed; {STOP}"),
    ("thinking_formats.think.stop", ["a", "a"], f"'a' stands there more than once; {STOP}"),
    ("thinking_formats.think.stop", 1, f"1 is not allowed; {STOP}"),
    ("thinking_formats.think.stop", {}, f"a mapping is not allowed; {STOP}"),
    (
        "thinking_formats.think.stop",
        ["a", ""],
        [f"thinking_formats.think.stop[1]: '' is not allowed; {TEXT}"],
    ),
    (
        "thinking_formats.think.newline_before_cap",
        "\n",
        "'\\n' is not allowed; must be true or false",
    ),
    ("thinking_formats.think.extend_with", None, f"{NULL} is not allowed; must be text"),
    (
        "thinking_formats.think.extensions",
        -1,
        "-1 is not allowed; must be a whole number of at least 0",
    ),
    (
        "thinking_formats.think.extensions",
        2,
        [
            "thinking_formats.think.extend_with: '' is not allowed with extensions 2; must be text "
            "that is not empty"
        ],
    ),
    (
        "thinking_formats.think.extend_with",
        "Wait",
        [
            "thinking_formats.think.extensions: 0 is not allowed with extend_with; must be a whole "
            "number of at least 1"
        ],
    ),
    ("thinking_formats.think.open", None, f"{NULL} is not allowed; must be text"),
    ("thinking_formats.think.open", 1, f"1 is not allowed; must be text; {QUOTES}"),
    ("thinking_formats.think.stop", "a\ud800", f"'a\\ud800' is not allowed; {PLAIN_TEXT}"),
    ("models.reasoner.source.path", "a\0b", f"'a\\x00b' is not allowed; {PLAIN_TEXT}"),
    (
        "thinking_formats.think.stop",
        datetime.date(2026, 1, 2),
        "the date 2026-01-02 is not allowed; must be text, a number, true, false, a "
        "list or a mapping (text in quotes stays text)",
    ),
]

ONE_CHANGE = [
    *SECTIONS_AND_KEYS,
    *METHODS_AND_KINDS,
    *KEYS_OF_METHODS,
    *ALLOCATIONS,
    *NUMBERS,
    *RUN_LISTS_AND_REFERENCES,
    *SOURCES,
    *THINKING_AND_TEXT,
]


@pytest.mark.parametrize("path, value, said", ONE_CHANGE, ids=range(len(ONE_CHANGE)))
def test_one_mistake_is_one_exact_line(path, value, said):
    """A list is of lines that each name their key, where it is not the changed one."""
    lines = said if isinstance(said, list) else [f"{path}: {said}"]
    expected = [f"config: {line}" for line in lines]
    assert lines_of(changed((tuple(path.split(".")), value))) == expected


# a catalogue, an entry that is added to it, and the line without `config: ` and the catalogue
NEW_ENTRIES = [
    # names
    ("variants", "wanda 20", WANDA, f".'wanda 20': this name is not allowed; {NAME}"),
    ("models", ".hidden", HUB_MODEL, f"..hidden: this name is not allowed; {NAME}"),
    ("benchmarks", "a/b", {"source": LOCAL}, f".'a/b': this name is not allowed; {NAME}"),
    ("calibration_sets", "", SET, f".'': this name is not allowed; {NAME}"),
    ("thinking_formats", "think\n", FORMAT, f".'think\\n': this name is not allowed; {NAME}"),
    ("variants", "v" * 101, WANDA, f".'{'v' * 55}...': this name is not allowed; {NAME}"),
    ("variants", 20, WANDA, ": the key 20 is not text; put it in quotes"),
    ("variants", True, WANDA, ": the key true is not text; put it in quotes"),
    ("variants", "a\0b", WANDA, ": the key 'a\\x00b' is not allowed; must be plain text"),
    *(
        (
            "models",
            name,
            HUB_MODEL,
            f".{name}: this name is not allowed; tables, figures, demo, report.html are names of "
            "other things in results/",
        )
        for name in ("tables", "figures", "demo", "report.html")
    ),
    *(
        (
            "variants",
            name,
            WANDA,
            f".{name}: this name is not allowed; statistics, influence, calibration_traces are "
            "names of other things in results/",
        )
        for name in ("statistics", "influence", "calibration_traces")
    ),
    # an entry that nothing runs is checked like any other
    (
        "variants",
        "unused",
        WANDA | {"calibration": "c4"},
        ".unused.calibration: 'c4' is not in calibration_sets; there: chains",
    ),
    ("variants", "unused", None, f".unused: {NULL} is not allowed; {A_VARIANT}"),
    # sources
    *(
        (
            "models",
            "hub",
            HUB_MODEL | {"source": HUB | {"revision": revision}},
            f".hub.source.revision: {revision!r} is not allowed; {COMMIT}",
        )
        for revision in ("main", "v1.0", HEX40[:-1], HEX40.upper(), HEX40 + "\n")
    ),
    (
        "models",
        "hub",
        HUB_MODEL | {"source": HUB | {"revision": 10**15}},
        f".hub.source.revision: 1000000000000000 is not allowed; {COMMIT}; {QUOTES}",
    ),
    (
        "models",
        "hub",
        HUB_MODEL | {"source": {"kind": "hub", "revision": HEX40}},
        ".hub.source.id: missing; kind hub needs it; must be a hub id of the form owner/name",
    ),
    ("models", "hub", HUB_MODEL | {"parameters": 0}, f".hub.parameters: 0 is not allowed; {COUNT}"),
    *(
        ("models", "gguf", HUB_MODEL | {"source": source}, f".gguf.source.{said}")
        for source, said in [
            ({"kind": "gguf"}, "path: missing; kind gguf needs it, or package and file"),
            (
                GGUF | {"path": "a.gguf"},
                "path: kind gguf takes either path, or package and file",
            ),
            (
                {"kind": "gguf", "package": "some-model"},
                "file: missing; package needs it; must be a .gguf file",
            ),
            (
                {"kind": "gguf", "file": "small.gguf"},
                "package: missing; file needs it; must be the name of a Python package",
            ),
            (
                {"kind": "gguf", "path": "model.safetensors"},
                "path: 'model.safetensors' is not allowed; must be a .gguf file",
            ),
            (
                GGUF | {"package": "some model"},
                "package: 'some model' is not allowed; must be the name of a Python package",
            ),
            (
                GGUF | {"revision": HEX40},
                "revision: kind gguf does not take this key; it takes kind, path, package, file",
            ),
        ]
    ),
    *(
        ("calibration_sets", "own", SET | {"source": GENERATED | keys}, f".own.source.{said}")
        for keys, said in [
            ({"benchmark": "chain"}, UNKNOWN_BENCHMARK),
            ({"correct_only": "yes"}, "correct_only: 'yes' is not allowed; must be true or false"),
            ({"min_accuracy": 1.1}, f"min_accuracy: 1.1 is not allowed; {PART}"),
            ({"max_accuracy": -0.1}, f"max_accuracy: -0.1 is not allowed; {PART}"),
            ({"max_tokens": 0}, f"max_tokens: 0 is not allowed; {COUNT}"),
            (
                {"min_tokens": 9, "max_tokens": 8},
                "max_tokens: 8 is not allowed; must be at least min_tokens (9)",
            ),
            (
                {"min_accuracy": 0.5, "max_accuracy": 0.25},
                "max_accuracy: 0.25 is not allowed; must be at least min_accuracy (0.5)",
            ),
        ]
    ),
    *(
        ("calibration_sets", "hub", SET | {"source": HUB | keys}, f".hub.source.{said}")
        for keys, said in [
            ({"text": "text"}, f"file: missing; kind hub needs it; {HUB_CORPUS}"),
            ({"file": "a.json.gz"}, f"text: missing; kind hub needs it; {TEXT}"),
            (
                {"file": "a.csv.gz", "text": "text"},
                f"file: 'a.csv.gz' is not allowed; {HUB_CORPUS}",
            ),
        ]
    ),
    (
        "calibration_sets",
        "mine",
        SET | {"sampling": "window"},
        ".mine.sampling: 'window' is not allowed; did you mean 'windows'? must be one of packed, "
        "windows",
    ),
    *(
        (
            "models",
            "hub",
            HUB_MODEL | {"source": HUB | {"id": name}},
            f".hub.source.id: {name!r} is not allowed; must be a hub id of the form owner/name",
        )
        for name in ("name", "a/b/c", "../b", "a/b\n", "https://somewhere/a")
    ),
    (
        "benchmarks",
        "mine",
        {"source": LOCAL | {"path": "problems.tsv"}},
        ".mine.source.path: 'problems.tsv' is not allowed; must be the path of a .jsonl, .csv or "
        ".parquet file",
    ),
    ("benchmarks", "mine", {"source": LOCAL, "problems": 0}, f".mine.problems: 0 {NO_COUNT}"),
    *(
        ("benchmarks", "quiz", {"source": HUB_BENCHMARK | keys}, f".quiz.source.{said}")
        for keys, said in [
            ({"answer_form": "box"}, f"answer_form: 'box' is not allowed; must be one of {FORMS}"),
            (
                {"choice_order": "random"},
                "choice_order: 'random' is not allowed; must be one of given, shuffled",
            ),
            (
                {"columns": CHOICES | {"choices": "options"}},
                f"columns.choices: 'options' is not allowed; {COLUMNS}; a list of one is written "
                "['options']",
            ),
            (
                {"columns": CHOICES | {"choices": []}},
                f"columns.choices: an empty list is not allowed; {COLUMNS}",
            ),
            (
                {"answer_kind": "choice"},
                "columns.choices: missing; answer_kind choice needs it; must be a list of names of "
                "columns",
            ),
            (
                {"answer_form": "index"},
                "columns.choices: missing; answer_form index needs it; must be a list of names of "
                "columns",
            ),
            (
                {"columns": CHOICES, "answer_kind": "choice"},
                "choice_order: given is not allowed where the right answer's column is one of the "
                "choices'; must be shuffled",
            ),
        ]
    ),
    (
        "benchmarks",
        "mine",
        {"source": LOCAL | {"columns": {"question": "q", "answer": "a"}}},
        f".mine.source.answer_kind: missing; columns needs it; must be one of {ANSWERS}",
    ),
    (
        "benchmarks",
        "hub",
        {"source": HUB_BENCHMARK | {"columns": {"question": "q"}}},
        f".hub.source.columns.answer: missing; {TEXT}",
    ),
    (
        "benchmarks",
        "hub",
        {"source": HUB_BENCHMARK | {"answer_kind": "letter"}},
        f".hub.source.answer_kind: 'letter' is not allowed; must be one of {ANSWERS}",
    ),
    (
        "influence_sets",
        "mine",
        INFLUENCE | {"source": {"kind": "local", "path": "texts.txt"}},
        f".mine.source.path: 'texts.txt' is not allowed; {PAIRS}",
    ),
    *(
        ("influence_sets", "mine", INFLUENCE | {"source": source}, f".mine.source.{said}")
        for source, said in [
            (
                {"kind": "local", "path": "a.jsonl", "prompt": "{q}"},
                f"completion: missing; prompt needs it; {TEMPLATE}",
            ),
            (
                {"kind": "local", "path": "a.jsonl", "completion": "{a}"},
                f"prompt: missing; completion needs it; {TEMPLATE}",
            ),
            (
                PAIR_SOURCE | {"prompt": "question"},
                f"prompt: 'question' is not allowed; {TEMPLATE}",
            ),
            (
                PAIR_SOURCE | {"completion": "{}"},
                f"completion: '{{}}' is not allowed; {TEMPLATE}",
            ),
            *(
                (PAIR_SOURCE | {"file": file}, f"file: '{file}' is not allowed; {HUB_PAIRS}")
                for file in ("a.txt", "/etc/a.jsonl", "../a.jsonl", "en/../../a.jsonl", "./a.json")
            ),
            (PAIR_SOURCE | {"revision": "main"}, f"revision: 'main' is not allowed; {COMMIT}"),
            (
                {"kind": "generated"},
                "kind: 'generated' is not allowed; must be one of bundled, local, hub",
            ),
        ]
    ),
    ("influence_sets", "a/b", INFLUENCE, f".'a/b': this name is not allowed; {NAME}"),
    (
        "calibration_sets",
        "mine",
        SET | {"source": {"kind": "local", "path": "texts.csv"}},
        f".mine.source.path: 'texts.csv' is not allowed; {CORPUS}",
    ),
]


@pytest.mark.parametrize("catalogue, name, entry, line", NEW_ENTRIES, ids=range(len(NEW_ENTRIES)))
def test_one_bad_entry_is_one_exact_line(catalogue, name, entry, line):
    assert lines_of(changed(((catalogue, name), entry))) == [f"config: {catalogue}{line}"]


# the items of a list, and the line after `config: `
ITEMS = [
    ("run", "models", ["qwen"], "run.models[0]: 'qwen' is not in models; there: reasoner"),
    (
        "run",
        "variants",
        ["dense", "wanda-21"],
        "run.variants[1]: 'wanda-21' is not in variants; did you mean 'wanda-20'? there: "
        f"{VARIANTS}",
    ),
    (
        "run",
        "benchmarks",
        ["chain"],
        "run.benchmarks[0]: 'chain' is not in benchmarks; did you mean 'chains'? there: "
        f"{BENCHMARKS}",
    ),
    ("run", "variants", [20], f"run.variants[0]: 20 is not allowed; must be a name; {QUOTES}"),
    ("generation", "budgets", [6, 0], f"generation.budgets[1]: 0 is not allowed; {COUNT}"),
    ("generation", "budgets", [-6], f"generation.budgets[0]: -6 is not allowed; {COUNT}"),
    ("generation", "budgets", [6.0], f"generation.budgets[0]: 6.0 is not allowed; {COUNT}"),
    (
        "generation",
        "budgets",
        ["6"],
        f"generation.budgets[0]: '6' is not allowed; {COUNT}; write 6, without quotes",
    ),
]


@pytest.mark.parametrize("section, key, items, line", ITEMS, ids=range(len(ITEMS)))
def test_one_bad_item_is_one_exact_line(section, key, items, line):
    assert lines_of(changed(((section, key), items))) == [f"config: {line}"]


def test_a_key_that_is_hard_to_show_is_shown_on_one_line():
    (line,) = lines_of(changed((("generation", "a\nb"), 1)))
    assert line == f"config: generation.'a\\nb': unknown key; allowed: {GENERATION_KEYS}"


@pytest.mark.parametrize(
    "config, found",
    [
        (None, "an empty config"),
        ({}, "an empty config"),
        ([], "a list"),
        ("run", "'run'"),
        (3, "3"),
    ],
)
def test_a_config_that_is_no_mapping(config, found):
    assert lines_of(config) == [
        f"config: {found} is not allowed; must be a mapping with the keys {SECTIONS}"
    ]


@pytest.mark.parametrize(
    "engine, device, key, value, said",
    [
        ("transformers", "cuda", "tensor_parallel", 2, "2"),
        ("transformers", "cuda", "batch_invariant", True, "true"),
        ("transformers", "cpu", "engine_options", {"enforce_eager": True}, "a mapping"),
        ("vllm", "cpu", "tensor_parallel", 2, None),
        ("vllm", "cpu", "batch_invariant", True, None),
    ],
)
def test_what_only_vllm_or_only_gpus_take(engine, device, key, value, said):
    keys = {"engine": engine, "device": device, key: value}
    asked = changed(*((("generation", name), item) for name, item in keys.items()))
    wrong = f"with engine {engine}; the engine must be vllm"
    if said is None:
        said, wrong = str(value).lower(), f"with {NO_GPU}"
    assert lines_of(asked) == [f"config: generation.{key}: {said} is not allowed {wrong}"]


@pytest.mark.parametrize("engine, device", [("vllm", "cpu"), ("auto", "cuda")])
@pytest.mark.parametrize("value", [0.005, 2.5])
def test_temperatures_that_vllm_would_change_or_refuse(engine, device, value):
    keys = {"engine": engine, "device": device, "temperature": value}
    keys["answer_sampling"] = {"temperature": value}
    asked = [(("generation", name), item) for name, item in keys.items()]
    said = f"{value} is not allowed with engine {engine}; vllm takes 0 and 0.01 to 2"
    assert lines_of(changed(*asked)) == [
        f"config: generation.{key}: {said}"
        for key in ("temperature", "answer_sampling.temperature")
    ]


@pytest.mark.parametrize("value", [0, 0.01, 2])
def test_temperatures_that_vllm_takes(value):
    load_settings(
        changed((("generation", "engine"), "vllm"), (("generation", "temperature"), value))
    )


def test_a_config_that_contains_itself():
    config = changed()
    config["models"]["reasoner"]["source"] = config["models"]
    assert lines_of(config) == [
        "config: models.reasoner.source.reasoner: nested deeper than 12 levels; must not contain "
        "itself"
    ]


def test_text_that_is_a_number_to_yaml_is_told_from_a_number():
    text = DEFAULT_TEXT.replace(
        "wanda, allocation: {kind: uniform}, sparsity: 0.2", "wanda, sparsity: 2e-1"
    )
    assert lines_of(yaml.safe_load(text)) == [
        f"config: variants.wanda-20.sparsity: '2e-1' is not allowed; {SPARSITY}; write 0.2, "
        "without quotes"
    ]


def test_several_mistakes_are_several_lines_in_the_order_of_the_config():
    config = changed(
        (("run", "variants"), ["dense", "wnda-20"]),
        (("models", "reasoner", "thinking"), 1),
        (("variants", "wanda-20", "sparsity"), 1.2),
        (("variants", "magnitude-20", "allocation"), GONE),
        (("variants", "magnitude-20", "sparsity"), GONE),
        (("generation", "dtype"), GONE),
        (("generation", "repeats"), GONE),
    )
    assert lines_of(config) == [
        "config: run.variants[1]: 'wnda-20' is not in variants; did you mean 'wanda-20'? there: "
        f"{VARIANTS}",
        "config: models.reasoner.thinking: 1 is not allowed; must be a name from thinking_formats; "
        f"{QUOTES}",
        f"config: variants.magnitude-20.sparsity: missing; method magnitude needs it; {SPARSITY}",
        f"config: variants.wanda-20.sparsity: 1.2 is not allowed; {SPARSITY}",
        "config: generation.dtype: missing; must be one of float32, bfloat16, float16",
        "config: generation.repeats: missing; must be a whole number of at least 1",
    ]


RENAMED = [
    ("variants.wanda-20", "sparsity", "sparsitty", "did you mean 'sparsity'? it takes method,"),
    ("variants.wanda-20", "method", "Method", "unknown key; did you mean 'method'? it must be one"),
    ("models.reasoner", "source", "SOURCE", "unknown key; did you mean 'source'? allowed: source,"),
    ("models.reasoner.source", "kind", "kinds", "unknown key; did you mean 'kind'? it must be one"),
    ("run", "models", "model", "unknown key; did you mean 'models'? allowed: models, variants"),
]


@pytest.mark.parametrize("path, key, slip, said", RENAMED, ids=[slip for *_, slip, _ in RENAMED])
def test_a_slip_in_a_key_that_is_needed_is_one_line_and_not_two(path, key, slip, said):
    place = DEFAULT
    for step in path.split("."):
        place = place[step]
    value = place[key]
    steps = tuple(path.split("."))
    (line,) = lines_of(changed(((*steps, key), GONE), ((*steps, slip), value)))
    assert line.startswith(f"config: {path}.{slip}: ") and said in line


def test_a_slip_in_a_key_that_another_key_needs_is_one_line():
    source = {"kind": "gguf", "package": "some-model", "FILE": "small.gguf"}
    assert lines_of(changed((("models", "reasoner", "source"), source))) == [
        "config: models.reasoner.source.FILE: kind gguf does not take this key; did you mean "
        "'file'? it takes kind, path, package, file"
    ]


@pytest.mark.parametrize(
    "users, more",
    [(["wanda-20"], ""), (["wanda-20", "wanda-50"], " (another key names it)"),
     (["wanda-20", "wanda-50", "shortgpt-1"], " (2 more keys name it)")],
)  # fmt: skip
def test_a_name_that_is_not_there_is_one_line_however_often_it_is_used(users, more):
    changes = [(("variants", user, "calibration"), "c4") for user in users]
    assert lines_of(changed(*changes)) == [
        "config: variants.wanda-20.calibration: 'c4' is not in calibration_sets; there: chains"
        + more
    ]


def test_a_slip_beside_the_right_key_hides_nothing():
    at = ("variants", "wanda-20")
    lines = lines_of(changed(((*at, "sparsitty"), 0.2), ((*at, "calibration"), GONE)))
    assert [line.split(": ")[1] for line in lines] == [
        "variants.wanda-20.sparsitty",
        "variants.wanda-20.calibration",
    ]


def test_of_a_long_catalogue_an_error_names_the_first_dozen():
    more = [(("variants", f"v{number}"), {"method": "dense"}) for number in range(9)]
    (line,) = lines_of(changed(*more, (("run", "variants"), ["wnda-20"])))
    assert line == (
        "config: run.variants[0]: 'wnda-20' is not in variants; did you mean 'wanda-20'? there: "
        f"{VARIANTS}, v0, v1, v2 and 6 more"
    )


def test_at_most_ten_mistakes_are_listed():
    wrong = [(("generation", f"x{n}"), 1) for n in range(10)]
    assert len(lines_of(changed(*wrong))) == 10
    lines = lines_of(changed(*wrong, (("generation", "x10"), 1)))
    assert len(lines) == 11
    assert lines[:10] == lines_of(changed(*wrong))
    assert lines[10] == "config: more is wrong than these 10 lines say"

"""A sliced variant in the transformers engine, from its files on."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.artefacts.mask_references import run
from tests.models.tiny_models import VOCABULARY, load_model, save_calibration_set, token_ids
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.engines.interface import EngineSettings, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.transformers_engine import start
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint

GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0)
LONGEST = 30


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_a_sliced_model_decodes_what_it_says_by_itself(
    tmp_path: Path, tiny_model: Callable[..., Path], architecture: str
) -> None:
    folder = tiny_model(architecture, tied=architecture == "qwen3")
    calibration = save_calibration_set(tmp_path / "set.safetensors", folder, token_ids(4, 16))
    options = {"method": "slicegpt", "calibration": "set", "slicing": 0.3, "round_to": 4}
    files = run(tmp_path, folder, options, calibration=calibration)
    pruned = read_pruned(files, model_digest(folder))
    model = load_model(folder)
    apply_pruned(model, pruned, open_checkpoint(folder))
    prompts = [tuple(ids.tolist()[: 3 + 2 * n]) for n, ids in enumerate(token_ids(6, 16, seed=2))]
    asked = [Request(prompt, 12, (1,), GREEDY, seed=n) for n, prompt in enumerate(prompts)]
    torch_threads = torch.get_num_threads()
    found = []
    for batch, threads in ((8, 2), (1, 1)):
        settings = EngineSettings("transformers", "cpu", "float32", batch, threads)
        engine = start(folder, pruned, settings, VOCABULARY, LONGEST)
        found.append(dict(engine.generate(deque(asked))))
    torch.set_num_threads(torch_threads)
    assert found[0] == found[1]
    for request in asked:
        tokens = list(request.prompt)
        while len(tokens) < len(request.prompt) + 12:
            with torch.no_grad():
                token = int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax())
            if token == 1:
                break
            tokens.append(token)
        assert list(found[0][request].tokens) == tokens[len(request.prompt) :]

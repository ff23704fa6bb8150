"""What only a GPU can show: the same masks as on the CPU, answers that batches do not change."""

from collections import deque

import pytest
import torch

from tests.engines.test_transformers_engine import VOCABULARY, requests, tiny_model
from tests.models.tiny_models import save_tiny_model, token_ids
from workflow_scripts.allocation.kinds.evolved import unpacked
from workflow_scripts.artefacts.masks import pack
from workflow_scripts.calibration.collect_statistics import collect
from workflow_scripts.calibration.influence import HESSIANS
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.transformers_engine import TransformersEngine
from workflow_scripts.masking.propagation import keep_in_sequence
from workflow_scripts.models import checkpoints
from workflow_scripts.models.architectures import load_model
from workflow_scripts.models.blocks import open_decoder
from workflow_scripts.models.linear_names import modules_of
from workflow_scripts.models.sample_gradients import (
    Sample,
    SampleGradients,
    shapes,
)
from workflow_scripts.pruning.fitness import divergence, embedded, hold, outputs
from workflow_scripts.pruning.kernels import keep_largest, keep_pattern, wanda_scores

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


@pytest.mark.parametrize("shape", [(1, 40_000), (3, 5_000), (200, 700)])
def test_masks_are_those_of_the_cpu(shape):
    # few different values, so that most of them are tied
    scores = torch.randint(50, shape, generator=torch.Generator().manual_seed(0)).float()
    for pruned in (0, 1, shape[1] // 3, shape[1]):
        assert torch.equal(keep_largest(scores.cuda(), pruned).cpu(), keep_largest(scores, pruned))
    assert torch.equal(keep_pattern(scores.cuda(), 2, 4).cpu(), keep_pattern(scores, 2, 4))


def test_wanda_scores_are_those_of_the_cpu_up_to_a_square_root():
    weight, squares = torch.randn(300, 500).bfloat16(), torch.rand(500)
    on_gpu = wanda_scores(weight.cuda(), squares.cuda())
    # up to the last bit: square roots of a CPU's vector unit are not always rounded correctly
    assert torch.allclose(on_gpu.cpu(), wanda_scores(weight, squares), rtol=2**-22, atol=0)


def test_statistics_are_those_of_the_cpu_up_to_bf16(tmp_path):
    checkpoint = checkpoints.open_checkpoint(save_tiny_model(tmp_path, "qwen3", hidden=24))
    ids = token_ids(8, 16)
    expected = collect(open_decoder(checkpoint), ids, 4)
    found = collect(open_decoder(checkpoint, "cuda"), ids, 4)
    for name, squares in expected.sum_squares.items():
        assert torch.allclose(found.sum_squares[name], squares, rtol=0.1, atol=0.1 * squares.mean())


def test_a_search_measures_what_the_cpu_does_up_to_bf16(tmp_path):
    checkpoint = checkpoints.open_checkpoint(save_tiny_model(tmp_path, "qwen3", hidden=24))
    found = []
    for device in ("cpu", "cuda"):
        held = hold(checkpoint, device)
        ready = embedded(held, token_ids(8, 16))
        zeros = torch.zeros_like(held.blocks[1].self_attn.o_proj.weight)
        pruned = outputs(held, ready, lambda b, z=zeros: {"self_attn.o_proj": z} if b == 1 else {})
        found.append(divergence(held.head, outputs(held, ready), pruned))
    assert found[1] == pytest.approx(found[0], rel=0.1)
    keep = torch.rand(7, 13) > 0.5
    assert torch.equal(unpacked(pack(keep).cuda(), keep.shape).cpu(), keep)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sequential_wanda_scores_the_weights_as_they_are_stored(tmp_path, dtype):
    checkpoint = checkpoints.open_checkpoint(save_tiny_model(tmp_path, "llama", dtype=dtype))
    linears = checkpoints.linears(checkpoint)

    def keep(linear, weight, squares):
        assert torch.equal(weight.cpu(), checkpoints.load_tensor(checkpoint, linear.name))
        return keep_largest(wanda_scores(weight, squares), linear.shape[1] // 2)

    kept = list(keep_in_sequence(checkpoint, linears, token_ids(4, 16), keep, "cuda"))
    assert len(kept) == len(linears)


def test_a_result_does_not_depend_on_the_batch():
    model = tiny_model().cuda()
    asked = requests(12, Sampling(1.0, 0.95, 20))

    def run(slots):
        engine = TransformersEngine(model, VOCABULARY, slots, longest=80)
        return dict(engine.generate(deque(asked)))

    assert run(1) == run(8) == run(64)


@pytest.mark.parametrize("hessian", sorted(HESSIANS))
def test_influence_is_as_near_to_that_in_fp32_as_bf16_on_the_cpu(tmp_path, hessian):
    """What bf16 costs depends on the model; on a GPU it is no more than twice that on a CPU."""
    checkpoint = checkpoints.open_checkpoint(save_tiny_model(tmp_path, "qwen3", hidden=24))
    linears = checkpoints.linears(checkpoint)
    rows = [Sample(f"row {n}", tuple(row), 4) for n, row in enumerate(token_ids(8, 32).tolist())]

    def influence(device, dtype):
        model = load_model(checkpoint, dtype).to(device)
        gradients, of = SampleGradients(model, linears), HESSIANS[hessian]
        found = of(rows[:5], rows[5:], gradients, shapes(linears), device=device)
        return torch.cat([found[linear.name] for linear in linears])

    exact = influence("cpu", torch.float32)
    assert (influence("cuda", torch.float32) - exact).norm() <= 1e-4 * exact.norm()
    of_bf16 = (influence("cpu", torch.bfloat16) - exact).norm()
    assert 0 < (influence("cuda", torch.bfloat16) - exact).norm() <= 2 * of_bf16


def test_gradients_follow_the_model_onto_the_gpu():
    model = tiny_model().cuda()
    names = [f"model.layers.0.{module}.weight" for module in modules_of(())]
    linears = [
        checkpoints.Linear(name, 0, "mlp", "up", tuple(model.get_parameter(name).shape))
        for name in names
    ]
    seen = {}
    sample = Sample("a row", tuple(range(3, 20)), 5)
    SampleGradients(model, linears)(sample, lambda name, g: seen.update({name: g.device.type}))
    assert seen == dict.fromkeys(names, "cuda")

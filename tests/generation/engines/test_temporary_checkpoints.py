"""A pruned checkpoint is there while an engine opens it, and gone however the job ends."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from tests.models.tiny_models import folder_bytes, load_model
from workflow_scripts.artefacts.masks import nothing_pruned
from workflow_scripts.artefacts.pruned_checkpoints import apply_pruned
from workflow_scripts.errors import InputError
from workflow_scripts.generation.engines import temporary_checkpoints
from workflow_scripts.generation.engines.temporary_checkpoints import checkpoint_of
from workflow_scripts.models.checkpoints import model_digest, open_checkpoint
from workflow_scripts.paths import PROJECT


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def shortened(model, removed=(1,)):
    """A mask that takes blocks out of a tiny model."""
    return nothing_pruned(model_digest(model), open_checkpoint(model).blocks, removed)


def folders_in(scratch):
    return [path for base in scratch.iterdir() for path in base.iterdir() if path.is_dir()]


def test_the_dense_model_is_opened_where_it_is(tiny_model, scratch):
    model = tiny_model()
    with checkpoint_of(model, nothing_pruned(model_digest(model), 3)) as folder:
        assert folder == model
        assert not list(scratch.iterdir())


def test_a_pruned_model_is_there_for_the_block_alone(tiny_model, scratch):
    model = tiny_model()
    before = folder_bytes(model)
    expected = load_model(model)
    apply_pruned(expected, shortened(model), open_checkpoint(model))
    with checkpoint_of(model, shortened(model)) as folder:
        assert folders_in(scratch) == [folder.parent]
        opened = AutoModelForCausalLM.from_pretrained(folder).state_dict()
        assert {name for name, _ in expected.named_parameters()} <= set(opened)
        for name, parameter in expected.named_parameters():
            assert parameter.equal(opened[name]), name
    assert not folders_in(scratch)
    assert folder_bytes(model) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_it_goes_with_an_error_too(tiny_model, scratch, error):
    model = tiny_model()
    with pytest.raises(error), checkpoint_of(model, shortened(model)):
        raise error
    assert not folders_in(scratch)


def test_a_mask_that_does_not_fit_leaves_nothing(tiny_model, scratch):
    model = tiny_model()
    misfit = nothing_pruned(model_digest(model), 7, (1,))
    with pytest.raises(InputError, match="mask is for a model of 7"), checkpoint_of(model, misfit):
        pass
    assert not folders_in(scratch)


def test_no_room_is_one_line(tiny_model, scratch, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(temporary_checkpoints, "export", full)
    model = tiny_model()
    no_room = pytest.raises(InputError, match=r"no room for a temporary checkpoint .* TMPDIR")
    with no_room, checkpoint_of(model, shortened(model)):
        pass
    assert not folders_in(scratch)


def test_a_folder_of_somebody_else_is_not_used(tiny_model, scratch):
    (scratch / "elsewhere").mkdir()
    (scratch / f"prunethink-checkpoints-{os.getuid()}").symlink_to(scratch / "elsewhere")
    model = tiny_model()
    refused = pytest.raises(InputError, match="belongs to somebody else")
    with refused, checkpoint_of(model, shortened(model)):
        pass


def start_job(model, scratch):
    """Another process that holds a temporary checkpoint, whose folder it prints."""
    code = (
        "import time; from pathlib import Path\n"
        "from workflow_scripts.artefacts.masks import nothing_pruned\n"
        "from workflow_scripts.generation.engines.temporary_checkpoints import checkpoint_of\n"
        f"mask = nothing_pruned({model_digest(model)!r}, 3, (1,))\n"
        f"with checkpoint_of(Path({str(model)!r}), mask) as folder:\n"
        "    print(folder.parent, flush=True)\n"
        "    time.sleep(60)\n"
    )
    variables = {"PYTHONPATH": str(PROJECT), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | variables, stdout=subprocess.PIPE, text=True
    )


def test_what_a_killed_job_leaves_goes_with_the_next_one_s_and_what_is_held_stays(
    tiny_model, scratch
):
    model = tiny_model()
    killed, alive = start_job(model, scratch), start_job(model, scratch)
    left, held = (Path(job.stdout.readline().strip()) for job in (killed, alive))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert left.exists()
    with checkpoint_of(model, shortened(model)) as folder:
        assert set(folders_in(scratch)) == {held, folder.parent}
        assert (held / "checkpoint" / "config.json").exists()
    alive.send_signal(signal.SIGTERM)
    alive.communicate()
    assert alive.returncode == 128 + signal.SIGTERM
    assert not folders_in(scratch)

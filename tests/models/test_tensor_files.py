"""Headers of safetensors files: refused wherever the format's own library refuses them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from workflow_scripts.errors import InputError
from workflow_scripts.models.tensor_files import open_tensors

WHOLE = save({"a": np.arange(5, dtype=np.float32), "b": np.ones((2, 2), dtype=np.float16)})


@settings(max_examples=1000, deadline=None)
@given(at=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255), keep=st.integers(0, len(WHOLE)))
def test_damage_is_refused_in_one_line_wherever_the_library_refuses_it(
    tmp_path_factory, at, byte, keep
):
    damaged = (WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])[:keep]
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(damaged)
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
    except SafetensorError:
        names = None
    if names is None:
        with pytest.raises(InputError) as caught:
            open_tensors(path)
        assert "\n" not in str(caught.value)
    else:
        assert set(open_tensors(path).entries) == names

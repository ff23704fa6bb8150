import json
import struct
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.files.by_hand import without_checksum
from workflow_scripts.errors import InputError
from workflow_scripts.models.tensor_files import open_tensors
from workflow_scripts.models.tensors import (
    read_rows,
    read_tensor,
    save_tensors,
    write_tensors,
)

SAMPLE = {
    "odd": torch.arange(5, dtype=torch.uint8),
    "half": torch.randn(3, 3).bfloat16(),
    "wide": torch.randn(7, dtype=torch.float64),
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "flags": torch.tensor([True, False, True]),
    "counts": torch.tensor([[1, -2]]),
    "transposed": torch.randn(2, 5).T,
}
METADATA = {"zebra": "1", "ant": "2", "model_digest": "3"}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    save_tensors(tmp_path / "sample.safetensors", SAMPLE, METADATA)
    return tmp_path / "sample.safetensors"


def test_the_safetensors_library_reads_what_is_written(sample: Path) -> None:
    loaded = safetensors.torch.load_file(sample)
    assert set(loaded) == set(SAMPLE)
    for name, tensor in SAMPLE.items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor), name
    with safetensors.safe_open(sample, "pt") as file:
        assert file.metadata() == METADATA


def test_what_the_safetensors_library_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    theirs = {name: tensor.contiguous() for name, tensor in SAMPLE.items()}
    safetensors.torch.save_file(theirs, path, metadata=METADATA)
    file = open_tensors(path)
    assert file.metadata == METADATA
    assert set(file.entries) == set(SAMPLE)
    for name, tensor in SAMPLE.items():
        read = read_tensor(file, name)
        assert read.dtype == tensor.dtype and torch.equal(read, tensor), name


def test_every_tensor_is_aligned_for_its_dtype(sample: Path) -> None:
    content = sample.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for name, tensor in SAMPLE.items():
        begin = 8 + length + header[name]["data_offsets"][0]
        assert begin % tensor.dtype.itemsize == 0, name


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    shuffled = dict(sorted(SAMPLE.items()))
    save_tensors(tmp_path / "a.safetensors", SAMPLE, METADATA)
    save_tensors(tmp_path / "b.safetensors", shuffled, dict(sorted(METADATA.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_rows_are_read_alone(tmp_path: Path) -> None:
    table = torch.randn(10, 3).half()
    save_tensors(tmp_path / "t.safetensors", {"first": torch.ones(3), "table": table}, {})
    file = open_tensors(tmp_path / "t.safetensors")
    assert torch.equal(read_rows(file, "table", [7, 0, 9]), table[[7, 0, 9]])


def test_a_tensor_that_never_comes_leaves_no_file(tmp_path: Path) -> None:
    layout = {"a": (torch.float32, (2,)), "b": (torch.float32, (2,))}
    with pytest.raises(ValueError, match="never came: b"):
        write_tensors(tmp_path / "t.safetensors", layout, [("a", torch.ones(2))], {})
    assert list(tmp_path.iterdir()) == []


def test_a_tensor_of_another_shape_leaves_no_file(tmp_path: Path) -> None:
    layout = {"a": (torch.float32, (2,))}
    with pytest.raises(ValueError, match="a is torch.float32"):
        write_tensors(tmp_path / "t.safetensors", layout, [("a", torch.ones(3))], {})
    assert list(tmp_path.iterdir()) == []


def raw_file(path: Path, header: object, data: bytes) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(begin: int, end: int, dtype: str = "U8", shape: list[int] | None = None) -> dict:
    shape = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@given(st.data())
def test_no_cut_goes_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    save_tensors(path, SAMPLE, METADATA)
    whole = path.read_bytes()
    without_checksum(path).write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match="truncated"):
        open_tensors(path)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry(0, 4)}, b"12345"),
        ({"a": entry(0, 4), "b": entry(2, 6)}, b"123456"),
        ({"a": entry(0, 2), "b": entry(4, 6)}, b"123456"),
        ({"a": entry(0, 4, "F32", [2])}, b"1234"),
        ({"a": {"dtype": "U8", "shape": [4]}}, b"1234"),
        ([1, 2], b""),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object, data: bytes) -> None:
    path = raw_file(tmp_path / "t.safetensors", header, data)
    with pytest.raises(InputError, match="damaged") as error:
        open_tensors(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_text_in_place_of_a_safetensors_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pointer.safetensors"
    path.write_text("version 1 of a pointer to a large file\n")
    with pytest.raises(InputError, match=r"pointer.safetensors: .*no safetensors file"):
        open_tensors(path)


def test_a_missing_file_and_a_missing_tensor_are_named(sample: Path) -> None:
    with pytest.raises(InputError, match="gone.safetensors: No such file"):
        open_tensors(sample.with_name("gone.safetensors"))
    with pytest.raises(InputError, match="sample.safetensors: has no tensor other"):
        read_tensor(open_tensors(sample), "other")


def test_a_dtype_that_torch_cannot_prune_is_named(tmp_path: Path) -> None:
    file = open_tensors(raw_file(tmp_path / "t.safetensors", {"a": entry(0, 2, "F8_E4M3")}, b"12"))
    with pytest.raises(InputError, match="a is F8_E4M3, which is none of F64, F32"):
        read_tensor(file, "a")

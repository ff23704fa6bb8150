"""Records of masks without the masks, for what reads `mask.json` alone."""

from pathlib import Path
from typing import Any

from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.files.atomic import write_json


def write_mask_record(path: Path, **fields: Any) -> Path:
    complete = {"method": "wanda", "model_digest": "", "blocks": 4, "digest": ""} | fields
    write_json(path, MaskRecord.model_validate(complete).model_dump(mode="json"))
    return path

"""Commands as a user who may not read and write everything, also where root runs the tests."""

import os
import shutil

CAPABILITIES = "-dac_override,-dac_read_search"
IS_ROOT = os.geteuid() == 0
CAN_BE = not IS_ROOT or shutil.which("setpriv") is not None
AS_ORDINARY_USER = ["setpriv", "--bounding-set", CAPABILITIES] if IS_ROOT else []

"""What the set-up loads once."""

from __future__ import annotations

import os
import subprocess
import sys

from nightshift_ml.hashing import PACKAGE
from nightshift_ml.models import registry

SCRIPT = "import sys; from nightshift_ml.preload import main; main(); print('\\n'.join(sys.modules))"


def test_it_loads_the_worker_shap_and_the_library_of_each_model() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", SCRIPT]
    loaded = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    needed = {name for model in registry().values() for name in model.modules}
    expected = needed | {"nightshift_ml.worker", "nightshift_ml.jobs", "temporalio", "shap", "numba"}
    assert set(loaded.splitlines()) >= expected

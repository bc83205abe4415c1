"""`python -m nightshift_ml.preload`: imports everything once, so that Python keeps its bytecode.

The set-up runs it. Without bytecode each pool process compiles thousands of modules anew and needs
three times as long.
"""

from __future__ import annotations

import importlib

from .models import registry


def main() -> None:
    """Imports the worker, the jobs, each model's library and shap. Raises ImportError when one is broken."""
    for name in ("nightshift_ml.worker", "nightshift_ml.jobs", "shap"):
        importlib.import_module(name)
    for model in registry().values():
        model.load_library()


if __name__ == "__main__":
    main()

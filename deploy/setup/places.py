"""Where fetched things live: one folder outside the clone, shared by all clones of a user.

    <home>/libchdb.so           the ClickHouse engine of the embedded store
    <home>/llama/               a venv with llama.cpp and its model
    <home>/models/              small models of critics, one folder each
    <home>/test-venv/           a venv with the official Python clients
    <home>/scenario-model.gguf  a model of 1.5 billion parameters, for `make scenario` only
    <home>/test-node/           node_modules with the official JavaScript client and the browser driver

Other programs may rely on these names; `setup.py paths --json` prints them.
"""

import os
from pathlib import Path


def home() -> Path:
    """$WEIR_HOME, else $XDG_DATA_HOME/weir, else ~/.local/share/weir."""
    if named := os.environ.get("WEIR_HOME"):
        return Path(named).expanduser().absolute()
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data).expanduser().absolute() / "weir"
    return Path.home() / ".local" / "share" / "weir"


def store_library() -> Path:
    return home() / "libchdb.so"


def llama_python() -> Path:
    return home() / "llama" / "bin" / "python"


def llama_model() -> Path:
    """A link with a name that does not change with the Python version."""
    return home() / "llama" / "smollm2-135m-instruct.gguf"


def scenario_model() -> Path:
    return home() / "scenario-model.gguf"


def models() -> Path:
    return home() / "models"


def test_python() -> Path:
    return home() / "test-venv" / "bin" / "python"


def test_node_modules() -> Path:
    return home() / "test-node" / "node_modules"


def all_places() -> dict[str, str]:
    return {
        "home": str(home()),
        "store_library": str(store_library()),
        "llama_python": str(llama_python()),
        "llama_model": str(llama_model()),
        "scenario_model": str(scenario_model()),
        "models": str(models()),
        "test_python": str(test_python()),
        "test_node_modules": str(test_node_modules()),
    }

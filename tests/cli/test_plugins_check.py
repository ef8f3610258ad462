"""`ctlr plugins check`: what is broken in a part is told with the promise, a sentence, file and line."""

from pathlib import Path

import pytest
from terminal import call

from ctlr.specs import PLUGINS

HEAD = '''\
"""Broken in one way each."""

from typing import ClassVar, Literal

from ctlr.methods.base import Objective
from ctlr.methods.contrast import UnlabelledPretraining
from ctlr.methods.lazily import torch
from ctlr.shallow.families import FamilySpec
from ctlr.space import loguniform
from ctlr.specs import DatasetSpec, EncoderPart, FitSpec

'''

METHOD = '''
class Own(UnlabelledPretraining):
    """Of one's own."""

    method: Literal["own"] = "own"
    pretrain: FitSpec = FitSpec()
    rate: float = 1.0
    """Of it."""
    pool: Literal["source", "target", "both"] = "both"
    """Whose images."""

    def pretrain_objective(self, parts):
        return Loss(self, parts)


class Loss(Objective):
    streams = ("pool",)

    def __init__(self, spec, parts):
        self.encoder, self.rows = parts.encoder, {"pool": parts.pool(spec.pool)}

    def __call__(self, batches, rng):
        return self.encoder(batches["pool"].images).square().mean()
'''

ENCODER = """
def build(*, channels, ndim, width):
    from ctlr.encoders.small_cnn import small_cnn

    return small_cnn(channels=channels, ndim=ndim, width=width)


ENCODERS = {"own": EncoderPart(about="of one's own", build=build, blocks=4, dimensions=(2,), scaled_in=(2,))}
"""

FAMILY = '''
class Centroids(FamilySpec):
    """The nearest class's mean, on features: no network."""

    method: Literal["centroids"] = "centroids"
    sharpness: float = 5.0
    """How fast shares fall with the squared distance."""
    task_kinds: ClassVar[tuple[str, ...]] = ("classification",)
    learner: ClassVar[str] = __name__

    def _own_space(self):
        return {"sharpness": loguniform(0.1, 100)}


def learn(spec, features, target, n_classes):
    import numpy as np

    return {"places": np.stack([features[target == each].mean(axis=0) for each in range(n_classes)])}


def predict(spec, arrays, features, n_classes):
    import numpy as np

    squares = ((features[:, None].astype(np.float64) - arrays["places"]) ** 2).sum(axis=2)
    shares = np.exp(-spec.sharpness * (squares - squares.min(axis=1, keepdims=True)))
    return shares / shares.sum(axis=1, keepdims=True)


def check(arrays, width, n_classes):
    if arrays["places"].shape != (n_classes, width):
        raise ValueError("the means are not those of its classes")
'''

DATA = '''
class Own(DatasetSpec):
    """Of one's own."""

    kind: Literal["own"] = "own"
    root: str
    """Folder."""
    reader: ClassVar[str] = "ctlr.data.kinds.images:ImagesReader"
'''


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS, "")


def checked(text: str, folder: Path) -> tuple[int, list[str]]:
    (folder / "own.py").write_text(HEAD + text)
    done = call("plugins", "check", "own.py", folder=folder)
    assert done.err == ""
    return done.code, done.out.splitlines()


@pytest.mark.parametrize("text", [METHOD, ENCODER, FAMILY], ids=["method", "encoder", "family"])
def test_a_sound_part_holds(text: str, tmp_path: Path) -> None:
    code, lines = checked(text, tmp_path)
    assert code == 0, lines
    assert lines[-1] == "All promises are kept."
    assert all(line.startswith("  holds") for line in lines[1:-2])


BROKEN = {
    "no words": (
        METHOD.replace('    """Of it."""\n', ""),
        "own.py, line 13: its option `rate` has no words. Write a docstring below it, with the unit.",
    ),
    "torch": ("import torch as loaded\n" + METHOD, "for which `ctlr check` and `ctlr plan` would wait."),
    "own numbers": (
        METHOD.replace(".square()", ".square() * torch.rand(1)"),
        "own.py, line 13: it draws from torch's own random state",
    ),
    "no scalar": (METHOD.replace(".mean()", ""), "the loss of its pretraining must be a scalar; its shape is (6, 32)."),
    "nothing learned": (
        METHOD.replace("self.encoder(", "self.encoder.requires_grad_(False)("),
        "the loss of its pretraining depends on no weight",
    ),
    "an error": (METHOD.replace(".square()", ".squared()"), "own.py, line 34: AttributeError: 'Tensor' object has no"),
    "other batches": (METHOD.replace('("pool",)', '("pool", "source")'), "must be what a call reads: ['pool']"),
    "blocks": (ENCODER.replace("blocks=4", "blocks=3"), "own.py, line 13: it says 3 blocks and has 4."),
    "norms": (
        ENCODER.replace("blocks=4", "blocks=4, has_norms=False"),
        "it says `has_norms=False` and has batch norms",
    ),
    "no shares": (
        FAMILY.replace(" / shares.sum(axis=1, keepdims=True)", ""),
        "the shares of an image must add up to 1.",
    ),
    "own numbers of a family": (
        FAMILY.replace("features[target == each]", "np.random.permutation(features[target == each])[:5]"),
        "it draws from NumPy's own random state",
    ),
    "company": (
        FAMILY.replace("squares.min(axis=1, keepdims=True)", "squares.mean()"),
        "an image alone gets other digits than among others.",
    ),
    "nothing checked": (FAMILY.replace("!= (n_classes, width)", "is None"), "`check` lets a shortened `model.places`"),
    "a space of what is no option": (FAMILY.replace('{"sharpness"', '{"bluntness"'), "bluntness"),
    "no example": (DATA, "own.py, line 13: it lies in a folder and has no example to try it on. Add `@classmethod def"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told_below_its_promise(name: str, tmp_path: Path) -> None:
    text, told = BROKEN[name]
    code, lines = checked(text, tmp_path)
    assert code == 1
    assert told in "\n".join(lines)
    assert lines[-1].endswith(" broken")
    place = next(number for number, line in enumerate(lines) if told in line)
    assert lines[place - 1].startswith("  broken  ")


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        ("empty.py", "empty.py holds no method, encoder or kind of data."),
        ("nowhere.py", "nowhere.py: the file of Python code cannot be read"),
        ("nowhere", "There is no file of Python code and no package with parts called 'nowhere'."),
    ],
)
def test_what_is_no_part_is_told(plugin: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text('"""Nothing."""\n')
    done = call("plugins", "check", plugin, folder=tmp_path)
    assert done.code == 2
    assert told in done.err

"""What a GPU computes, beside a CPU and beside itself. First run on an NVIDIA H100: docs/running.md."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from terminal import ctlr
from tiny_bench import TINY, search_of
from torch import Tensor, nn

from ctlr.encoders import build_encoder, build_head
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import ENCODERS, METHODS, ComputeSpec, FitSpec, StudyResult, ViewsSpec, encoder_spec
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import place
from ctlr.training.selftest import BOUND

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]

EVERY = [(name, ndim) for name, part in ENCODERS.items() for ndim in part.dimensions]
NETWORKS = {
    name: dict(kind.example)
    for name, kind in METHODS.items()
    if kind.trains_network and not kind.files and "regression" in kind.task_kinds
}
"""Every method that learns a number, with the options that it cannot do without."""
PROBE = {"linear_probe": {"method": "supervised", "finetune": {"strategy": "linear_probe"}}}
ALL_METHODS = re.sub("^methods: .*$", f"methods: {json.dumps(NETWORKS | PROBE)}", TINY, flags=re.MULTILINE)


TUNING = """\
tuning:
  experiments: {scratch: rate.yaml, supervised: rate.yaml}
  trials: 2
  parallel: 1
"""


class Interrupted(Exception):
    """Stands for a kill between two epochs."""


def error(found: Tensor, right: Tensor) -> float:
    return float((found.float().cpu() - right).norm() / right.norm())


@pytest.mark.parametrize(("name", "ndim"), EVERY)
def test_every_layer_gives_float32s_numbers_in_the_gpus_half_precision(name: str, ndim: int) -> None:
    shape = (1, *[32] * ndim)
    encoder = build_encoder(encoder_spec(name, width=0.25 if ndim == 3 else 1.0), channels=1, ndim=ndim, seed=0)
    placement = place(encoder, ComputeSpec(), "cuda", shape)
    assert placement.dtype is not None
    placement.put(encoder)
    passed: dict[str, list[Tensor]] = {}

    def note(layer: str, images: Tensor, output: Tensor) -> None:
        passed[layer] = [images.detach().float().cpu(), output.detach().clone()]
        output.register_hook(lambda gradient: passed[layer].append(gradient.float().cpu()))

    for layer, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            module.register_forward_hook(lambda _, images, output, layer=layer: note(layer, images[0], output))
    images = placement.lay_out(torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)).cuda())
    with placement.autocast():
        encoder(images).square().sum().backward()
    for layer, (entered, output, gradient) in passed.items():
        module = encoder.get_submodule(layer)
        weight = module.weight.detach().cpu().requires_grad_()
        given = {"weight": weight} | ({} if module.bias is None else {"bias": module.bias.detach().cpu()})
        exact = torch.func.functional_call(module, given, (entered,))
        assert error(output, exact.detach()) <= BOUND, layer
        (exact * gradient).sum().backward()
        assert error(module.weight.grad, weight.grad) <= BOUND, layer


def trained(
    folder: Path, name: str, ndim: int, precision: str = "auto", stop_after: int | None = None
) -> dict[str, Tensor]:
    """Weights after three epochs of ten noisy images with views and dropout."""
    shape = (1, *[32] * ndim)
    drawn = torch.randn(10, *shape, generator=torch.Generator().manual_seed(0))
    encoder = build_encoder(encoder_spec(name, width=0.25 if ndim == 3 else 1.0), channels=1, ndim=ndim, seed=0)
    head = build_head(encoder.width, 1, dropout=0.3, seed=0)
    placement = place(encoder, ComputeSpec.model_validate({"precision": precision}), "cuda", shape)
    objective = Supervised(encoder, head, TaskLoss(classes=0), views=ViewsSpec(noise=0.1))
    folder.mkdir(exist_ok=True)

    def progress(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        if epoch == stop_after:
            raise Interrupted

    fit(
        objective, {"labelled": Labelled(Images.of(drawn, placement.device), (drawn.flatten(1).mean(1) * 32).cuda())},
        spec=FitSpec(epochs=3, batch_size=5), seed=0, placement=placement, folder=folder, progress=progress,
    )  # fmt: skip
    return {key: tensor.cpu() for key, tensor in objective.networks.state_dict().items()}


@pytest.mark.parametrize(("name", "ndim"), EVERY)
def test_the_same_seed_gives_the_same_weights_twice_and_after_an_interruption(
    tmp_path: Path, name: str, ndim: int
) -> None:
    whole = trained(tmp_path / "whole", name, ndim)
    with pytest.raises(Interrupted):
        trained(tmp_path / "cut", name, ndim, stop_after=1)
    for again in (trained(tmp_path / "again", name, ndim), trained(tmp_path / "cut", name, ndim)):
        different = [key for key in whole if not torch.equal(whole[key], again[key])]
        assert not different


@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_an_interrupted_stage_ends_alike_in_every_precision(tmp_path: Path, precision: str) -> None:
    whole = trained(tmp_path / "whole", "small_cnn", 3, precision)
    with pytest.raises(Interrupted):
        trained(tmp_path / "cut", "small_cnn", 3, precision, stop_after=2)
    resumed = trained(tmp_path / "cut", "small_cnn", 3, precision)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The small benchmark with every method: on the GPU twice, and on the CPU."""
    folders = {}
    for name, device in (("gpu", "cuda"), ("again", "cuda"), ("cpu", "cpu")):
        folders[name] = folder = tmp_path_factory.mktemp(name)
        (folder / "tiny.yaml").write_text(ALL_METHODS)
        done = ctlr("run", "tiny.yaml", "--device", device, folder=folder)
        assert done.code == 0, done.err
    return folders


def results(folder: Path) -> list[StudyResult]:
    found = [StudyResult.model_validate_json(path.read_text()) for path in folder.glob("**/studies/*/result.json")]
    return sorted(found, key=lambda result: (result.study.method.label, result.study.n_train))


def test_every_method_runs_on_a_gpu_and_gives_the_same_numbers_twice(runs: Mapping[str, Path]) -> None:
    first, again = results(runs["gpu"]), results(runs["again"])
    assert len(first) == 2 * (len(NETWORKS) + 2)  # the probe, and the mean
    for one, other in zip(first, again, strict=True):
        assert one.device.startswith("cuda bf16 channels_last_3d") == one.study.method.trains_network
        assert one.scores == other.scores, one.study.method.label


def test_a_gpu_and_a_cpu_predict_alike(runs: Mapping[str, Path]) -> None:
    for one, other in zip(results(runs["gpu"]), results(runs["cpu"]), strict=True):
        assert one.scores["test"]["mae"] == pytest.approx(other.scores["test"]["mae"], rel=0.1), one.study.method.label


def test_a_search_tries_options_on_a_gpu(tmp_path: Path) -> None:
    file = TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}")
    (tmp_path / "tiny.yaml").write_text(file + TUNING)
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    done = ctlr("run", "tiny.yaml", "--device", "cuda", folder=tmp_path)
    assert done.code == 0, done.err
    found = results(tmp_path)
    assert found
    assert all(result.device.startswith("cuda bf16") for result in found if result.parameters)


def test_a_network_too_large_for_the_gpu_fails_with_a_remedy_and_the_others_go_on(tmp_path: Path) -> None:
    file = TINY.replace("{small_cnn: {}}", "{small_cnn: {}, resnet50: {}}").replace("simclr: {}, vat: {}}", "}")
    (tmp_path / "tiny.yaml").write_text(file.replace("n_frozen: 1}}, }", "n_frozen: 1}}}"))
    share = 320 * 2**20 / torch.cuda.get_device_properties(0).total_memory
    small = {"PYTORCH_CUDA_ALLOC_CONF": f"per_process_memory_fraction:{share:.6f}"}
    done = ctlr("run", "tiny.yaml", "--device", "cuda", folder=tmp_path, environment=small)
    assert "out of memory; lower `batch_size` or --workers" in done.err
    assert "Traceback" not in done.err
    finished = {result.study.encoder.label for result in results(tmp_path)}
    assert finished == {"small_cnn"}

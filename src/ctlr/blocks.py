"""A search put together from blocks: what is done to images, what is seen of them, what learns, what stands beside.

Each block has a search space of its own: what its part states, unless an option is given. A number or a text fixes an
option; a list or a range of `ctlr.space` is searched in its place. Together they are one space, which becomes a Katib
Experiment beside a benchmark file:

    from ctlr import blocks, space

    wired = blocks.wire(
        blocks.Normalise("percentile", shape=(32, 32), channels=1),
        blocks.Augment(rotate=[0, 10], flip=[0.0, 0.5]),
        blocks.Network("small_cnn", width=space.loguniform(0.5, 2)),
        blocks.Train(lr=space.loguniform(1e-3, 1e-2), epochs=10),
        blocks.Head(dropout=space.uniform(0, 0.5)),
    )
    wired.space                                # one dimension an option
    found = wired.search("pictures", trials=20)
    found.best()
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ctlr.errors import ConfigError, nearest
from ctlr.space import Choice, Range

if TYPE_CHECKING:
    from ctlr.api import Benchmark
    from ctlr.specs import Study

__all__ = ["Augment", "Block", "Extract", "Family", "Head", "Merge", "Network", "Normalise", "Train", "Wired", "wire"]

Option: TypeAlias = Any
"""A value, or a dimension: a list of values, or a range of `ctlr.space`."""
Dimension: TypeAlias = Range | Choice

_METHOD = "wired"
"""Key of the one method that is searched."""
_TRIALS = 30


class Block:
    """A part of a search: options by their addresses in a benchmark (`finetune.lr`), fixed or searched."""

    prefix: str = ""
    """Of the addresses of its options."""

    def options(self) -> Mapping[str, Option]:
        """Given ones, by their names."""
        return {}


@dataclass(frozen=True)
class Normalise(Block):
    """How images become arrays; not searched, since all trials share what is stored."""

    how: str = "percentile"
    """As `preprocess.normalise` of a benchmark."""
    shape: tuple[int, ...] = ()
    """Sides; empty as the kind of data has it, and for a folder of pictures as they are, from 32 to 64."""
    channels: int | None = None
    """Of pictures; None as they are."""


@dataclass(frozen=True)
class _Named(Block):
    given: Mapping[str, Option] = field(default_factory=dict)

    def options(self) -> Mapping[str, Option]:
        """Given ones, by their names."""
        return self.given


class Augment(_Named):
    """Random views of training images: `rotate`, `flip`, `translate` and the other options of views."""

    prefix = "finetune.views."

    def __init__(self, **given: Option) -> None:
        super().__init__(given)


class Extract(_Named):
    """What a model without a network sees: `kind` (pixels, histogram, hog …), `components` and so on."""

    prefix = "features."

    def __init__(self, kind: Option = None, **given: Option) -> None:
        super().__init__(given if kind is None else {"kind": kind, **given})


class Train(_Named):
    """How a network learns: `lr`, `epochs`, `batch_size`, `strategy` and the other options of finetuning."""

    prefix = "finetune."

    def __init__(self, **given: Option) -> None:
        super().__init__(given)


class Head(_Named):
    """What stands on a network's features: `dropout` before one linear layer."""

    prefix = "finetune."

    def __init__(self, *, dropout: Option) -> None:
        super().__init__({"dropout": dropout})


@dataclass(frozen=True)
class Family(_Named):
    """What learns: a model without a network (`svm`, `forest` …), or a method that trains one (`vat` …)."""

    name: str = ""

    def __init__(self, name: str, **given: Option) -> None:
        from ctlr.specs import METHODS

        if name not in METHODS:
            raise ConfigError(f"unknown method {name!r}. {nearest(name, METHODS)}")
        super().__init__(given)
        object.__setattr__(self, "name", name)

    prefix = "method."


@dataclass(frozen=True)
class Network(_Named):
    """The network that looks at images; with `weights`, a file, it begins from those."""

    name: str = ""
    weights: Path | None = None
    licence: str = "not said"
    trained_on: tuple[str, ...] = ("not said",)

    def __init__(
        self,
        name: str,
        *,
        weights: Path | str | None = None,
        licence: str = "not said",
        trained_on: Sequence[str] = ("not said",),
        **given: Option,
    ) -> None:
        from ctlr.specs import ENCODERS

        if name not in ENCODERS:
            raise ConfigError(f"unknown encoder {name!r}. {nearest(name, ENCODERS)}")
        if weights is not None and given:
            raise ConfigError(f"weights fit one network: leave {', '.join(given)} out, or the weights.")
        super().__init__(given)
        for option, value in (("name", name), ("licence", licence), ("trained_on", tuple(trained_on))):
            object.__setattr__(self, option, value)
        object.__setattr__(self, "weights", None if weights is None else Path(weights))

    prefix = "encoder."


@dataclass(frozen=True)
class Merge(Block):
    """Columns of the table beside the image, fused late, or behind the features of a family without a network; not
    searched."""

    columns: tuple[str, ...]
    width: int = 16
    """Hidden units that they become in a network."""


def wire(*blocks: Block) -> Wired:
    """Put blocks together; their order does not matter, but each kind stands once.

    Raises:
        ConfigError: A block stands twice, nothing learns, or blocks do not go together.
    """
    kinds = [type(block).__name__ for block in blocks]
    if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        raise ConfigError(f"`{twice[0]}` stands there twice. Give all its options to one block.")
    of_kind: dict[str, Any] = dict(zip(kinds, blocks, strict=True))
    family, network = of_kind.get("Family"), of_kind.get("Network")
    if family is None and network is None:
        raise ConfigError("nothing learns: a `Family` or a `Network` is missing. Add e.g. `Network('small_cnn')`.")
    from ctlr.specs import METHODS

    if family is not None and not METHODS[family.name].trains_network:
        beside = [kind for kind in kinds if kind in ("Network", "Augment", "Train", "Head")]
        if beside:
            raise ConfigError(f"{family.name} trains no network, which `{beside[0]}` is about. Leave it out.")
    elif "Extract" in kinds:
        raise ConfigError("a network sees the image itself. Leave `Extract` out, or take a family without a network.")
    elif network is None:
        assert family is not None
        raise ConfigError(f"{family.name} needs a `Network`. Add e.g. `Network('small_cnn')`.")
    elif family is not None and network.weights is not None:
        raise ConfigError("weights from a file are a method of their own. Leave `Family` out, or the weights.")
    return Wired(blocks=tuple(blocks))


@dataclass(frozen=True, kw_only=True)
class Wired:
    """Blocks that make one search; `wire` returns one."""

    blocks: tuple[Block, ...]

    @property
    def space(self) -> dict[str, Dimension]:
        """Dimension by the option's address: what was given, and what parts state of options that were not."""
        given, found = self._given(), dict[str, Dimension]()
        for address, dimension in self._stated().items():
            if address not in given:
                found[address] = dimension
        return found | {address: each for address, each in given.items() if isinstance(each, Range | Choice)}

    @property
    def fixed(self) -> dict[str, Any]:
        """Value by the option's address."""
        return {address: each for address, each in self._given().items() if not isinstance(each, Range | Choice)}

    def benchmark(
        self,
        data: Mapping[str, Any] | Path | str,
        *,
        n_train: int,
        task: Mapping[str, Any] | None = None,
        split: Mapping[str, Any] | None = None,
        name: str = "wired",
        seeds: Sequence[int] = (0,),
    ) -> str:
        """The benchmark file, without its search.

        Args:
            data: A dataset as a benchmark file has it, or a folder of pictures.
            n_train: Subjects to train on.
            task: As in a benchmark file; by default the class of a picture.
            split: Likewise; by default a fifth tests, and a quarter as many as train validate.
            name: Of the benchmark.
            seeds: Of the retrained winner.
        """
        return _yaml(self._document(data, n_train=n_train, task=task, split=split, name=name, seeds=seeds))

    def manifest(self, study: Study, benchmark: str, *, trials: int = _TRIALS, algorithm: str = "") -> dict[str, Any]:
        """The Katib Experiment of the space, whose trials are `ctlr trial`.

        Args:
            study: That is searched.
            benchmark: File that trials name.
            trials: At most.
            algorithm: By Katib's name; empty: `tpe`, or what the network states where its options are searched.
        """
        from ctlr.tuning.manifest import study_experiment

        return study_experiment(
            study, benchmark, name=study.target.task.name, trials=trials, algorithm=algorithm, space=self.space
        )

    def search(
        self,
        data: Mapping[str, Any] | Path | str,
        *,
        n_train: int | None = None,
        task: Mapping[str, Any] | None = None,
        split: Mapping[str, Any] | None = None,
        name: str = "wired",
        seeds: Sequence[int] = (0,),
        trials: int = _TRIALS,
        algorithm: str = "",
        workspace: Path | str = "workspace",
        workers: int | None = None,
        device: str = "cpu",
        progress: bool | None = None,
    ) -> Benchmark:
        """Search, train the winner once more for every seed, ask the test set, and report.

        Args:
            data, n_train, task, split, name, seeds: As of `benchmark`; `n_train` of a folder may be left out.
            trials, algorithm: As of `manifest`.
            workspace: Folder that holds what steps make; benchmark and manifest are written to `wired/` in it.
            workers: Trials at once; None for one a core or GPU.
            device: cpu, cuda or cuda:N.
            progress: As of `BenchmarkFile.run`.

        Raises:
            ConfigError, DataError: As of `ctlr.load` and `BenchmarkFile.run`.
        """
        from ctlr.api import load
        from ctlr.plan import make_plan
        from ctlr.tuning.manifest import parse_experiment, write_experiment
        from ctlr.workspace import Workspace, write_aside

        place = Workspace(workspace).root / "wired"
        place.mkdir(exist_ok=True)
        if n_train is None:
            n_train, split = self._sizes(data, split, Path(workspace))
        document = self._document(data, n_train=n_train, task=task, split=split, name=name, seeds=seeds)
        file = place / f"{name}.yaml"
        write_aside(file, _yaml(document).encode())
        (study, *_) = (each for each in make_plan(load(file).config).studies if each.method.label == _METHOD)
        manifest = self.manifest(study, file.name, trials=trials, algorithm=algorithm)
        text = write_experiment(parse_experiment(manifest, f"the space of {name}"))
        write_aside(place / f"{name}-search.yaml", text.encode())
        experiments = {_METHOD: f"{name}-search.yaml"}
        tuning = {"experiments": experiments, "trials": trials, "share": False} | self._by_hand(document)
        write_aside(file, _yaml(document | {"tuning": tuning}).encode())
        return load(file).run(workspace, workers=workers, device=device, progress=progress)

    # ------------------------------------------------------------ inside

    def _block(self, kind: type[Block]) -> Any:
        return next((block for block in self.blocks if type(block) is kind), None)

    @property
    def _family(self) -> str:
        family, network = self._block(Family), self._block(Network)
        if family is not None:
            return str(family.name)
        return "pretrained" if network.weights is not None else "scratch"

    def _given(self) -> dict[str, Any]:
        """Fixed values and dimensions by address."""
        found: dict[str, Any] = {}
        for block in self.blocks:
            for name, value in block.options().items():
                address = block.prefix + name
                if address in found:
                    raise ConfigError(f"`{name}` is given by two blocks. Leave it out of one.")
                found[address] = Choice(tuple(value)) if isinstance(value, list | tuple) else value
        return found

    def _stated(self) -> dict[str, Dimension]:
        """What the parts say of their own spaces."""
        from ctlr.specs import METHODS, encoder_spec

        spec = METHODS[self._family]
        network = self._block(Network)
        required = {"weights": "", "sha256": "0" * 64, "licence": "-", "trained_on": ("-",)}
        method = spec.model_validate(required if self._family == "pretrained" else {})
        found = {
            name if name.startswith(("finetune.", "features.")) else f"method.{name}": each
            for name, each in method.space(2).items()
        }
        if network is not None and network.weights is None:
            found |= encoder_spec(network.name).space
        return found

    def _document(
        self,
        data: Mapping[str, Any] | Path | str,
        *,
        n_train: int,
        task: Mapping[str, Any] | None,
        split: Mapping[str, Any] | None,
        name: str,
        seeds: Sequence[int],
    ) -> dict[str, Any]:
        normalise, merge, network = self._block(Normalise), self._block(Merge), self._block(Network)
        dataset: dict[str, Any] = (
            {"kind": "images", "root": str(Path(data).resolve())} if isinstance(data, str | Path) else dict(data)
        )
        if normalise is not None:
            own: dict[str, Any] = {"normalise": normalise.how}
            own |= {"shape": list(normalise.shape)} if normalise.shape else {}
            own |= {"channels": normalise.channels} if normalise.channels is not None else {}
            dataset["preprocess"] = {**dataset.get("preprocess", {}), **own}
        asked = dict(task or {"target": "class", "kind": "classification"})
        if merge is not None:
            asked |= {"inputs": list(merge.columns), "fusion_width": merge.width}
        method: dict[str, Any] = {"method": self._family}
        encoder: dict[str, Any] = {"name": network.name} if network is not None else {"name": "small_cnn"}
        if network is not None and network.weights is not None:
            method |= {
                "weights": str(network.weights.resolve()), "sha256": _sha256(network.weights),
                "licence": network.licence, "trained_on": list(network.trained_on),
            }  # fmt: skip
        for address, value in self.fixed.items():
            part, *path = address.split(".")
            target = encoder if part == "encoder" else method
            _put(target, path if part in ("encoder", "method") else [part, *path], value)
        methods: dict[str, Any] = {_METHOD: method}
        if self._family != "scratch":
            methods = {"scratch": {}, **methods}  # every gain is measured against it
        return {
            "name": name,
            "datasets": {"data": dataset},
            "tasks": {"target": asked},
            "transfers": [{"target": {"data": "data", "task": "target"}}],
            "encoders": {"network": encoder},
            "methods": methods,
            "sample_sizes": [n_train],
            "seeds": list(seeds),
            "split": dict(split or {"test": 0.2, "validation": 0.25}),
            "tracking": {"backend": "none"},
        }

    def _by_hand(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Training from scratch beside another method has the options that it has."""
        return {"by_hand": ["scratch"]} if "scratch" in document["methods"] else {}

    def _sizes(
        self, data: Mapping[str, Any] | Path | str, split: Mapping[str, Any] | None, workspace: Path
    ) -> tuple[int, dict[str, Any]]:
        """Subjects of a folder to train on, and how they are split."""
        if not isinstance(data, str | Path):
            raise ConfigError("`n_train` is needed of a dataset: how many subjects shall train? Give it.")
        from ctlr.automl import Guidance, look
        from ctlr.workspace import Workspace

        total = look(Path(data), Guidance(), Workspace(workspace)).counts[0]
        chosen = dict(split or {"test": 0.2, "validation": 0.25})
        test = chosen.get("test", 0.2)
        left = total - (round(test * total) if test < 1 else int(test))
        return int(left / (1 + chosen.get("validation", 1.0))), chosen


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *above, last = path
    for part in above:
        values = values.setdefault(part, {})
    values[last] = value


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}). Name a file of weights.") from error


def _yaml(document: Mapping[str, Any]) -> str:
    from ruamel.yaml import YAML

    writer, text = YAML(), io.StringIO()
    writer.default_flow_style = None
    writer.width = 4096
    writer.dump(dict(document), text)
    return text.getvalue()

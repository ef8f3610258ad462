"""From a benchmark file to a `BenchmarkConfig`: names filled in, defaults merged, every fault reported at once."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ctlr.config._benchmark import BenchmarkConfig, Frame, TrainingSpec
from ctlr.config._document import Document, KeyPath, read_document
from ctlr.config._draft import Draft, drafted
from ctlr.config._explain import explain
from ctlr.config._parts import METHOD_KINDS, SECTIONS, Parts, Transfer
from ctlr.config._rules import broken_rules
from ctlr.config._unfold import Methods, merged, unfolded
from ctlr.errors import ConfigError, nearest
from ctlr.specs import (
    DATASETS,
    ENCODERS,
    DatasetSpec,
    EncoderSpec,
    MethodSpec,
    PlatformSpec,
    TaskSpec,
    Value,
    encoder_kind,
    parts_of_others,
    use_files,
)

__all__ = ["bound", "load", "load_draft"]

_V = TypeVar("_V", bound=Value)


def load(path: Path, overrides: Sequence[str] = (), *, text: str | None = None) -> BenchmarkConfig:
    """Read and check a benchmark file.

    Args:
        path: YAML 1.2. Folders in it that are not absolute start at its own folder.
        overrides: `a.b=value`, as after `--set`; they count as if they stood in the file.
        text: What the file shall hold, in place of what it holds.

    Raises:
        ConfigError: The file cannot be read or breaks rules; one line a fault, in the order of the file.
    """
    return _faultless(load_draft(path, overrides, text=text))


def load_draft(path: Path, overrides: Sequence[str] = (), *, text: str | None = None) -> Draft:
    """Read and check a benchmark file, as `load` does, and keep what is right where something is wrong.

    Raises:
        ConfigError: It cannot be read, or its plug-ins cannot.
    """
    document = read_document(path, text=text)
    for setting in overrides:
        document.override(setting, SECTIONS)
    return _Binder(document, path.parent).bind()


def bound(data: Mapping[str, Any], folder: Path) -> BenchmarkConfig:
    """Check what a benchmark file would hold, as `load` does.

    Args:
        data: Plain values, by section.
        folder: Where the file would lie.

    Raises:
        ConfigError: It breaks rules; one line a fault.
    """
    return _faultless(_Binder(Document("", copy.deepcopy(dict(data)), {}), folder).bind())


def _faultless(draft: Draft) -> BenchmarkConfig:
    draft.document.raise_faults()
    assert draft.config is not None
    return draft.config


class _Binder:
    """Binds each entry of a file to its value by itself, so that one fault hides no other."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.document = document
        self.data = document.data
        self.folder = folder
        self.methods = Methods()

    def bind(self) -> Draft:
        self._refuse_unknown_sections()
        self._use_plugins()
        self.methods = unfolded(self.document, self._section("methods"), self._section("encoders"))
        self._shape_tuning()
        frame = self._value(Frame, {key: self.data[key] for key in Frame.model_fields if key in self.data}, ())
        training = self._training()
        parts = Parts(
            datasets={key: self._dataset(key, entry) for key, entry in self._section("datasets").items()},
            tasks={key: self._task(key, entry) for key, entry in self._section("tasks").items()},
            transfers=self._transfers(),
            encoders={key: self._encoder(key, entry) for key, entry in self._section("encoders").items()},
            methods={
                label: self._method(label, key, entry, training) for label, (key, entry) in self.methods.entries.items()
            },
            split=frame.split if frame else None,
            sample_sizes=frame.sample_sizes if frame else (),
            tuning=frame.tuning if frame else None,
            baselines=frame.baselines if frame else None,
        )
        for where, message in broken_rules(parts):
            self.document.fault(where, message)
        if self.document.faults:
            return drafted(self.document, parts, labels=self.methods.labels, dataset=self._dataset, away=self._away())
        assert frame is not None
        config = BenchmarkConfig.model_validate(
            {key: getattr(frame, key) for key in Frame.model_fields}
            | {key: dict(getattr(parts, key)) for key in SECTIONS}
            | {"transfers": tuple(parts.transfers.values())}
        )
        datasets = tuple(config.datasets.values())
        return Draft(document=self.document, config=config, datasets=datasets, ends=(), away=self._away())

    def _refuse_unknown_sections(self) -> None:
        known = [*BenchmarkConfig.model_fields, "training"]
        for key in self.data:
            if key not in known:
                self.document.fault((key,), f"unknown key. {nearest(key, known)}")

    def _use_plugins(self) -> None:
        """Load the files of parts, before anything asks for a part by its name; their places become absolute."""
        files = self.data.get("plugins")
        if not isinstance(files, list):
            return
        for index, file in enumerate(files):
            where: KeyPath = ("plugins", index)
            if not isinstance(file, str) or Path(file).name != file or Path(file).suffix != ".py":
                rule = "must be the name of a file of Python code that lies beside this one"
                self.document.fault(where, f"{rule}; got {file!r}. Write e.g. my_methods.py.")
                continue
            files[index] = self._placed(file, Path.is_file, "file", where)
            try:
                if Path(files[index]).is_file():
                    use_files([Path(files[index])])
                    parts_of_others()
            except ConfigError as error:
                self.document.fault(where, str(error))
        self.document.raise_faults()  # names of parts mean nothing without their files

    def _shape_tuning(self) -> None:
        """A lone manifest becomes a list, its path absolute, and a number among the settings the text that it is."""
        tuning = self.data.get("tuning")
        if not isinstance(tuning, dict):
            return
        experiments = tuning.get("experiments")
        if isinstance(experiments, dict):
            tuning["experiments"] = {
                label: self._manifests(key, paths)
                for key, paths in experiments.items()
                for label in self.methods.labels(key)
            }
        if "settings" in tuning:
            tuning["settings"] = _texts(tuning["settings"])
        if isinstance(tuning.get("by_hand"), list):
            tuning["by_hand"] = [label for key in tuning["by_hand"] for label in self.methods.labels(key)]
        if isinstance(tuning.get("algorithms"), dict):
            tuning["algorithms"] = {
                label: _algorithm(found)
                for key, found in tuning["algorithms"].items()
                for label in self.methods.labels(key)
            }
        if "warm_start" in tuning:
            tuning["warm_start"] = self._placed(tuning["warm_start"], Path.is_dir, "folder", ("tuning", "warm_start"))

    def _manifests(self, label: str, paths: Any) -> Any:
        each = [paths] if isinstance(paths, str) else paths
        if not isinstance(each, list):
            return paths
        return [self._placed(path, Path.is_file, "file", ("tuning", "experiments", label)) for path in each]

    def _placed(self, path: Any, exists: Callable[[Path], bool], what: str, where: KeyPath) -> Any:
        """The absolute path of what the file names; anything that is no path is left to the checks of its type."""
        if not isinstance(path, str):
            return path
        place = self.folder.absolute() / Path(path).expanduser()
        if not exists(place):
            self.document.fault(where, f"there is no {what} {path!r}. Relative ones start at this file.")
        return str(place)

    def _section(self, name: str) -> dict[str, dict[str, Any]]:
        """Entries of a mapping; an entry without options may be left empty."""
        section = self.data.get(name)
        if section is None:
            return {}
        if not isinstance(section, dict):
            self.document.fault((name,), "must be a mapping from names to options, e.g. `my-name: {…}`.")
            return {}
        entries = {}
        for key, entry in section.items():
            if entry is None or isinstance(entry, dict):
                entries[key] = entry or {}
            else:
                self.document.fault((name, key), f"must be a mapping of options; got {entry!r}. Write `{key}: {{}}`.")
        return entries

    def _value(self, model: type[_V], data: Mapping[str, Any], where: KeyPath) -> _V | None:
        try:
            return model.model_validate_json(json.dumps(data))
        except ValidationError as error:
            details = error.errors(include_url=False)
            wrong = {detail["loc"][:-1] for detail in details}
            told = {noted.where for noted in self.document.faults}
            for detail in details:
                if detail["type"] == "too_short" and detail["loc"] in wrong:
                    continue  # the items that are wrong were not counted
                if (*where, *detail["loc"]) in told:
                    continue  # nothing stands there, since what was written could not be read
                below, message = explain(detail, model, SECTIONS.get(str(where[0]), "") if where else "")
                self.document.fault((*where, *below), message)
            return None

    def _named(self, section: str, key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The entry with its key (or the label of its place in a sweep) as its name."""
        where, field = (section, key), SECTIONS[section]
        if entry.get(field, key) != key:
            self.document.fault((*where, field), f"the key is the name already; got {entry[field]!r}. Remove it.")
        return {**entry, field: key}

    def _dataset(self, key: str, entry: dict[str, Any]) -> DatasetSpec | None:
        where = ("datasets", key)
        if not self._known("kind", DATASETS, where, "kind", entry):
            return None
        model = DATASETS[entry["kind"]]
        entry = self._named("datasets", key, entry)
        if model.ndim == 2:
            entry = merged({"preprocess": {"shape": [32, 32]}}, entry)
        root = entry.get("root")
        if model.in_folder() and isinstance(root, str) and key not in self._away():
            place = self.folder.absolute() / Path(root).expanduser()
            if fault := model.fault_of_root(entry, place):
                self.document.fault((*where, "root"), fault)
            entry = {**entry, "root": str(place)}
        return self._value(model, entry, where)

    def _away(self) -> Collection[str]:
        """Datasets whose files a cluster's volume holds: they need not lie here."""
        platform = self.data.get("platform")
        roots = platform.get("roots") if isinstance(platform, dict) else None
        return roots if isinstance(roots, dict) else ()

    def _cluster_workspace(self) -> str:
        """Where the workspace lies in a cluster's pods."""
        platform = self.data.get("platform")
        named = platform.get("workspace") if isinstance(platform, dict) else None
        return named if isinstance(named, str) else PlatformSpec().workspace

    def _task(self, key: str, entry: dict[str, Any]) -> TaskSpec | None:
        return self._value(TaskSpec, self._named("tasks", key, entry), ("tasks", key))

    def _encoder(self, key: str, entry: dict[str, Any]) -> EncoderSpec | None:
        where = ("encoders", key)
        if not self._known("encoder", ENCODERS, where, "name", entry):
            return None
        entry = {"name": key, **self._named("encoders", key, entry)}
        kind, beside = encoder_kind(entry["name"])
        return self._value(kind, entry | beside, where)

    def _method(self, label: str, key: str, entry: dict[str, Any], training: Mapping[str, Any]) -> MethodSpec | None:
        where = ("methods", key)
        if not self._known("method", METHOD_KINDS, where, "method", entry):
            return None
        model = METHOD_KINDS[entry.get("method", key)]
        if not model.trains_network and "finetune" in entry:
            self.document.fault((*where, "finetune"), f"{label} trains no network on the target. Remove it.")
            return None
        entry = {"method": key, **self._named("methods", label, entry)}
        for option in model.files:
            if not str(entry.get(option)).startswith(f"{self._cluster_workspace()}/"):  # pods see it, we do not
                entry[option] = self._placed(entry.get(option), Path.is_file, "file", (*where, option))
        return self._value(model, merged(_defaults(model, training, entry), entry), where)

    def _known(self, what: str, table: Collection[str], where: KeyPath, field: str, entry: Mapping[str, Any]) -> bool:
        """Whether an entry says what it is: by its field, or (encoders, methods) by its key."""
        if field in entry:
            name = entry[field]
            if not isinstance(name, str) or name not in table:
                self.document.fault((*where, field), f"unknown {what} {name!r}. {nearest(str(name), table)}")
                return False
        elif what == "kind":
            self.document.fault((*where, field), f"is missing. Write `{field}: …`. Known: {', '.join(sorted(table))}.")
            return False
        elif where[-1] not in table:
            own = f"A name of your own needs `{field}: …`."
            self.document.fault(where, f"unknown {what} {where[-1]!r}. {nearest(str(where[-1]), table)} {own}")
            return False
        return True

    def _transfers(self) -> dict[int, Transfer]:
        items = self.data.get("transfers")
        if items is None:
            return {}
        if not isinstance(items, list):
            self.document.fault(("transfers",), "must be a list: - {source: {…}, target: {…}}.")
            return {}
        bound = {}
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                self.document.fault(("transfers", index), f"must be {{source: {{…}}, target: {{…}}}}; got {item!r}.")
            elif (transfer := self._value(Transfer, self._spread(item), ("transfers", index))) is not None:
                bound[index] = transfer
        return bound

    def _spread(self, item: dict[str, Any]) -> dict[str, Any]:
        """The transfer with the labels of a sweep in place of its key."""
        methods = item.get("methods")
        if not isinstance(methods, list):
            return item
        return {**item, "methods": [label for key in methods for label in self.methods.labels(key)]}

    def _training(self) -> dict[str, Any]:
        """What the user set for every method; nothing where it is wrong, so that a fault is told once."""
        section = self.data.get("training")
        if section is None:
            return {}
        if not isinstance(section, dict):
            self.document.fault(("training",), "must be a mapping: {pretrain: {…}, finetune: {…}}.")
            return {}
        return section if self._value(TrainingSpec, section, ("training",)) else {}


def _texts(settings: Any) -> Any:
    """Settings of an algorithm, numbers as the texts that they are."""
    if not isinstance(settings, dict):
        return settings
    return {key: str(value) if type(value) in (int, float) else value for key, value in settings.items()}


def _algorithm(found: Any) -> Any:
    """An algorithm that is named alone has no settings of its own."""
    if isinstance(found, dict) and "settings" in found:
        return {**found, "settings": _texts(found["settings"])}
    return {"name": found} if isinstance(found, str) else found


def _defaults(model: type[MethodSpec], training: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a method's stages before its own are laid over: the method's defaults, then `training`."""
    stages: dict[str, Any] = {}
    for stage in ("pretrain", "finetune"):
        if stage not in model.model_fields or (stage == "finetune" and not model.trains_network):
            continue
        default: BaseModel = model.model_fields[stage].default
        shared = dict(training.get(stage) or {})
        own = entry.get(stage)
        if not model.pretrains:  # no weights to keep
            for option in ("n_frozen", "l2_sp", "norm_statistics"):
                shared.pop(option, None)
            if shared.get("strategy") == "linear_probe":
                del shared["strategy"]
        if isinstance(own, dict) and own.get("strategy") == "linear_probe":
            shared.pop("n_frozen", None)
        stages[stage] = merged(default.model_dump(mode="json", exclude_unset=True), shared)
    return stages

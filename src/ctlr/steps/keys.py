"""Identities of what steps make. No torch here: the engine asks for them before a worker has started."""

from __future__ import annotations

from collections.abc import Mapping

from ctlr.specs import DataTask, LeastErrorSpec, PretrainSpec, StoredArrays, Study, TransferSpec, fingerprint

__all__ = ["RECIPE", "Arrays", "least_error_key", "pretrain_key", "study_key", "transfer_key"]

RECIPE = 2
"""Part of every identity; raised when a change of the code changes numbers."""

Arrays = Mapping[str, StoredArrays]
"""Stored arrays by the dataset's name."""


def pretrain_key(spec: PretrainSpec, arrays: Arrays) -> str:
    """Identity of a pretraining's result: spec, data content, code."""
    return fingerprint(str(RECIPE), spec.identity(), *_contents(spec.target, spec.source, arrays))


def study_key(study: Study, arrays: Arrays) -> str:
    """Identity of a study's result: study, data content, code."""
    return fingerprint(str(RECIPE), study.identity(), *_contents(study.target, study.source, arrays))


def transfer_key(spec: TransferSpec, arrays: Arrays) -> str:
    """Identity of a transfer's scores: spec, data content, code."""
    return fingerprint(str(RECIPE), spec.identity(), *_contents(spec.target, spec.source, arrays))


def least_error_key(spec: LeastErrorSpec, arrays: Arrays) -> str:
    """Identity of the estimates of a target's least error: spec, data content, code."""
    return fingerprint(str(RECIPE), spec.identity(), *_contents(spec.target, None, arrays))


def _contents(target: DataTask, source: DataTask | None, arrays: Arrays) -> list[str]:
    return [arrays[end.data.name].fingerprint for end in (target, source) if end is not None]

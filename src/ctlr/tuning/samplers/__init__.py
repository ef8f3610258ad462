"""Search algorithms by Katib's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctlr.errors import ConfigError, nearest
from ctlr.specs import Experiment, Trial
from ctlr.tuning.samplers.base import Sampler, elsewhere, seed_of
from ctlr.tuning.samplers.bayesian import BayesianSampler
from ctlr.tuning.samplers.covariance import CovarianceSampler
from ctlr.tuning.samplers.evolving import (
    GENERATION,
    MEMBER,
    PARENT,
    EvolutionarySampler,
    PopulationSampler,
    RegularizedSampler,
)
from ctlr.tuning.samplers.exploring import GridSampler, RandomSampler, SobolSampler
from ctlr.tuning.samplers.hyperband import HyperbandSampler
from ctlr.tuning.samplers.space import Space
from ctlr.tuning.samplers.tpe import TreeParzenSampler

__all__ = ["GENERATION", "MEMBER", "PARENT", "SAMPLERS", "Sampler", "Space", "elsewhere", "make_sampler", "seed_of"]

SAMPLERS: Mapping[str, type[Sampler]] = {
    "grid": GridSampler,
    "random": RandomSampler,
    "sobol": SobolSampler,
    "tpe": TreeParzenSampler,
    "multivariate-tpe": TreeParzenSampler,
    "bayesianoptimization": BayesianSampler,
    "cmaes": CovarianceSampler,
    "hyperband": HyperbandSampler,
    "pbt": PopulationSampler,
    "evolutionary": EvolutionarySampler,
    "regularizedevolution": RegularizedSampler,
}


def make_sampler(experiment: Experiment, *, seed: int, earlier: Sequence[Trial] = ()) -> Sampler:
    """The search algorithm of an experiment.

    Args:
        experiment: Checked, as `read_experiment` returns it.
        seed: Non-negative; two samplers with the same arguments propose the same.
        earlier: Ended trials of an earlier experiment of the same space: a warm start. None is proposed again, but
            those that are marked by `elsewhere`.

    Raises:
        ConfigError: The algorithm is unknown or cannot search this space; an earlier trial lies outside the space.
    """
    name = experiment.algorithm.name
    if name not in SAMPLERS:
        raise ConfigError(f"algorithm: no algorithm {name!r}. {nearest(name, SAMPLERS)}")
    return SAMPLERS[name](experiment, seed=seed, earlier=earlier)

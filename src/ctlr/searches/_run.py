"""All searches of a benchmark, in the order that shares what can be shared."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ctlr.config import BenchmarkConfig, TuningSpec
from ctlr.crew import Event
from ctlr.engine import run_pretrainings
from ctlr.interrupts import released
from ctlr.plan import Plan
from ctlr.pool import LOOK_SECONDS
from ctlr.searches._manifests import Manifests, check_manifests, manifests_of, options_of, stages_of
from ctlr.searches._race import race, race_is_over
from ctlr.searches._stage import Bench, LocalBench, StageSearch, best_of, why_none
from ctlr.specs import Checkpoint, PretrainSpec, SearchResult, SearchStage, StoredArrays, Study, Trial, Turn
from ctlr.steps.keys import pretrain_key
from ctlr.tuning.options import parse_validation, with_options
from ctlr.workspace import Workspace

__all__ = ["ended_searches", "first_pretrainings", "run_searches", "stage_count"]

_UNDER_WAY = "it has not ended"

Arrays = Mapping[str, StoredArrays]


@dataclass(kw_only=True)
class _Search:
    """One method, encoder, transfer and size on its way."""

    before: Study
    """Of the first seed, as it stands in the file."""
    study: Study
    """With the options that were chosen so far."""
    stages: list[SearchStage] = field(default_factory=list)
    assignments: dict[str, str] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    """Folder of each stage's search, below the workspace."""
    pretrain_seconds: float = 0.0
    pretrain_shared_by: int = 1
    reason: str = ""
    turns: tuple[Turn, ...] = ()
    dropped: str = ""

    def take(self, stages: Sequence[SearchStage], path: str, *, shared_by: int = 1) -> None:
        """Note a stage's rounds and go on with the best trial's options."""
        self.stages += [stage.model_copy(update={"shared_by": shared_by}) for stage in stages]
        self.paths += [path] * len(stages)
        best = best_of(stages)
        if best is None:
            self.reason = f"tuning found nothing: {why_none(stages)}"
            return
        stage, trial = best
        found = {stage.options[name]: value for name, value in trial.assignments.items()}
        self.assignments |= found
        self.study = with_options(self.study, found)

    def tried(self) -> Iterator[tuple[str, SearchStage]]:
        """Each stage's folder and rounds."""
        return zip(self.paths, self.stages, strict=True)

    def result(self) -> SearchResult:
        """What is known in the end."""
        return SearchResult(
            study=self.before.without_folders(), stages=tuple(self.stages), reason=self.reason,
            path=next(reversed(self.paths), ""), assignments={} if self.reason else self.assignments,
            pretrain_seconds=self.pretrain_seconds, pretrain_shared_by=self.pretrain_shared_by, turns=self.turns,
            dropped=self.dropped,
        )  # fmt: skip


def run_searches(
    config: BenchmarkConfig,
    plan: Plan,
    arrays: Arrays,
    workspace: Workspace,
    *,
    workers: int,
    device: str,
    since: float,
    on_event: Callable[[Event], None],
    bench: Bench | None = None,
) -> list[SearchResult]:
    """Run the searches of a plan that are not finished, and return all of them; none where nothing is tuned.

    The stage that tunes a pretraining serves every sample size, so it is searched once, with the budget that all of
    them give to it. A fixed pretraining is made before its trials start and charged to those who share it. Stages that
    another run is at are left to it, and waited for.

    Args:
        config: The benchmark.
        plan: Its plan.
        arrays: Stored arrays by the dataset's name.
        workspace: Where results go.
        workers: Processes at most.
        device: cpu, cuda or cuda:N.
        since: When the run began, by the clock of the workspace's file system: what found nothing before is searched
            again.
        on_event: Told what happens; a stage of a search is a job of kind `tune`.
        bench: Where trials are run; None for warm workers of this machine.

    Raises:
        ConfigError: A manifest cannot be used.
    """
    tuning = config.tuning
    if tuning is None:
        return []
    manifests = check_manifests(config, plan)
    searches = [_Search(before=study, study=study) for study in plan.searches]
    bench = bench or LocalBench(tuning, arrays, workspace, workers=workers, device=device, on_event=on_event)

    def pretrain() -> None:
        needed = _pretrainings(searches, tuning, arrays)
        failed = run_pretrainings(
            {key: spec for key, (spec, _) in needed.items()}.values(), arrays, workspace, workers=workers,
            device=device, since=since, on_event=on_event,
        )  # fmt: skip
        for key, (spec, group) in needed.items():
            _charge(key, spec, group, failed.get(key, ""), tuning, workspace)

    with contextlib.closing(bench):
        if tuning.order == "source_then_target":
            tuned = list(_pretraining_stages(searches, manifests, tuning))
            for (_, group), found in zip(tuned, _find_all([stage for stage, _ in tuned], bench, since), strict=True):
                for each in group:
                    each.take(*found, shared_by=len(group))
        if tuning.order != "joint":
            pretrain()
        going_on = [search for search in searches if not search.reason]
        stages = [_last_stage(search, manifests, tuning) for search in going_on]
        if tuning.race is not None:
            _race(going_on, stages, bench, since)
        else:
            for search, found in zip(going_on, _find_all(stages, bench, since), strict=True):
                search.take(*found)
    _charge_trials(searches)
    return [search.result() for search in searches]


def first_pretrainings(config: BenchmarkConfig, plan: Plan, arrays: Arrays) -> list[PretrainSpec]:
    """What trials start from, where no trial decides how it is made."""
    if config.tuning is None or config.tuning.order != "target_only":
        return []
    searches = [_Search(before=study, study=study) for study in plan.searches]
    return [spec for spec, _ in _pretrainings(searches, config.tuning, arrays).values()]


def stage_count(config: BenchmarkConfig, plan: Plan) -> int:
    """Stages of all searches of a plan, each counted once however many sizes share it."""
    if config.tuning is None:
        return 0
    shared = {spec.identity() for study in plan.searches if (spec := PretrainSpec.of(study)) is not None}
    return len(plan.searches) + (len(shared) if config.tuning.order == "source_then_target" else 0)


def ended_searches(config: BenchmarkConfig, plan: Plan, arrays: Arrays, workspace: Workspace) -> list[Study]:
    """Those of `plan.searches` whose searches have ended in the workspace; nothing is run.

    Raises:
        ConfigError: A manifest cannot be used.
    """
    tuning = config.tuning
    if tuning is None:
        return []
    manifests = check_manifests(config, plan)
    searches = [_Search(before=study, study=study) for study in plan.searches]
    if tuning.order == "source_then_target":
        for stage, group in _pretraining_stages(searches, manifests, tuning):
            found = stage.ended(arrays, workspace)
            for search in group:
                if found is None:
                    search.reason = _UNDER_WAY
                else:
                    search.take(*found, shared_by=len(group))
    if tuning.order != "joint":
        for key, (spec, group) in _pretrainings(searches, tuning, arrays).items():
            _charge(key, spec, group, "" if workspace.has("pretrained", key) else _UNDER_WAY, tuning, workspace)
    going_on = [search for search in searches if not search.reason]
    if tuning.race is not None:
        stages = [_last_stage(search, manifests, tuning) for search in going_on]
        over = [heat for heat in _heats(going_on) if race_is_over([stages[each] for each in heat], arrays, workspace)]
        return [going_on[place].before for heat in over for place in heat]
    return [each.before for each in going_on if _last_stage(each, manifests, tuning).ended(arrays, workspace)]


def _race(searches: Sequence[_Search], stages: Sequence[StageSearch], bench: Bench, since: float) -> None:
    """Let the searches of each target and size compete."""
    for heat in _heats(searches):
        while (found := race([stages[place] for place in heat], bench, since)) is None:
            with released():
                time.sleep(LOOK_SECONDS)
        for place, raced in zip(heat, found, strict=True):
            searches[place].take(raced.stages, raced.path)
            searches[place].turns, searches[place].dropped = raced.turns, raced.dropped


def _heats(searches: Sequence[_Search]) -> list[list[int]]:
    """Places of the searches of each target and size."""
    heats: dict[tuple[str, int], list[int]] = {}
    for place, search in enumerate(searches):
        heats.setdefault((search.study.target.identity(), search.study.n_train), []).append(place)
    return list(heats.values())


def _find_all(stages: Sequence[StageSearch], bench: Bench, since: float) -> list[tuple[list[SearchStage], str]]:
    """Each stage's rounds: of those that nobody else is at first, and of the others once they have ended."""
    found: dict[int, tuple[list[SearchStage], str]] = {}
    while len(found) < len(stages):
        before = len(found)
        for number, stage in enumerate(stages):
            if number not in found and (rounds := stage.find(bench, since)) is not None:
                found[number] = rounds
        if len(found) == before:
            with released():
                time.sleep(LOOK_SECONDS)
    return [found[number] for number in range(len(stages))]


def _pretraining_stages(
    searches: Sequence[_Search], manifests: Manifests, tuning: TuningSpec
) -> Iterator[tuple[StageSearch, list[_Search]]]:
    """Each pretraining's stage, with the searches that start from it."""
    groups: dict[tuple[str, str], list[_Search]] = {}
    for search in searches:
        spec = PretrainSpec.of(search.study)
        if spec is not None:
            groups.setdefault((spec.identity(), search.study.method.label), []).append(search)
    for group in groups.values():
        study = group[0].study
        manifest = manifests_of(manifests, study)[0]
        trials = None if tuning.trials is None else len(group) * (tuning.trials // 2)
        seconds = None if tuning.seconds is None else len(group) * tuning.seconds / 2
        stage = StageSearch(
            study=study, stage="pretrain", manifest=manifest, options=options_of(manifest), tuning=tuning,
            trials=trials, seconds=seconds,
        )  # fmt: skip
        yield stage, group


def _last_stage(search: _Search, manifests: Manifests, tuning: TuningSpec) -> StageSearch:
    """The stage that is judged by the target, with what is left of the search's budget."""
    stages = stages_of(search.before, tuning)
    manifest = manifests_of(manifests, search.study)[-1]
    trials, seconds = tuning.trials, None if tuning.race is not None else tuning.seconds
    if len(stages) == 2:
        trials = None if trials is None else trials - trials // 2
        seconds = None if seconds is None else seconds / 2
    if seconds is not None:
        seconds -= search.pretrain_seconds / search.pretrain_shared_by
    return StageSearch(
        study=search.study, stage=stages[-1], manifest=manifest, options=options_of(manifest), tuning=tuning,
        trials=trials, seconds=seconds,
    )  # fmt: skip


def _pretrainings(
    searches: Sequence[_Search], tuning: TuningSpec, arrays: Arrays
) -> dict[str, tuple[PretrainSpec, list[_Search]]]:
    """What trials start from, by key, and the searches that share it."""
    scheme = parse_validation(tuning.validation)
    needed: dict[str, tuple[PretrainSpec, list[_Search]]] = {}
    for search in searches:
        spec = None if search.reason else PretrainSpec.of(search.study)
        if spec is None:
            continue
        for repeat in range(scheme.count if scheme.kind == "repeats" else 1):
            seeded = spec.model_copy(update={"seed": spec.seed + repeat})
            needed.setdefault(pretrain_key(seeded, arrays), (seeded, []))[1].append(search)
    return needed


def _charge_trials(searches: Sequence[_Search]) -> None:
    """Charge a pretraining that trials have chosen to every stage whose trials start from it, in equal parts.

    As its trials ran, each stage was charged with all of it, whoever had made it: a budget of seconds must not depend
    on who comes first. Together they are charged with it once.
    """
    users: dict[str, set[str]] = {}
    for path, stage in (each for search in searches for each in search.tried()):
        for key in (key for trial in stage.trials for key in trial.pretrained):
            users.setdefault(key, set()).add(path)
    for search in searches:
        search.stages = [
            stage.model_copy(update={"trials": tuple(_shared(trial, users) for trial in stage.trials)})
            for stage in search.stages
        ]


def _shared(trial: Trial, users: Mapping[str, Collection[str]]) -> Trial:
    parts = {key: seconds / len(users[key]) for key, seconds in trial.pretrained.items()}
    seconds = trial.seconds - sum(trial.pretrained.values()) + sum(parts.values())
    return trial.model_copy(update={"seconds": seconds, "pretrained": parts})


def _charge(
    key: str, spec: PretrainSpec, group: Sequence[_Search], fault: str, tuning: TuningSpec, workspace: Workspace
) -> None:
    """Charge a fixed pretraining to the searches that start from it, or fail them with it."""
    for search in group:
        if fault:
            search.reason = f"pretrain failed: {fault}"
        # What a search has chosen was made, and charged, as one of its trials; that of a further seed was not.
        elif tuning.order == "target_only" or spec.seed != search.study.seed:
            record = workspace.read("pretrained", key, "result.json", Checkpoint.model_validate_json)
            search.pretrain_seconds += record.seconds
            search.pretrain_shared_by = len(group)

import base64
import json
import math
import operator
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

import ctlr
from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.engine.asking import Proposer
from ctlr.tuning.manifest import ALGORITHMS
from ctlr.tuning.samplers import SAMPLERS, make_sampler, seed_of
from ctlr.tuning.service import start_server
from ctlr.tuning.service.messages import load_messages
from ctlr.tuning.service.suggestion import STATE, State, read_request, read_trials

CONFIG = Path(__file__).parents[3] / "manifests" / "katib-config.yaml"
MESSAGES = load_messages()
CREATED, RUNNING, SUCCEEDED, KILLED, FAILED, UNAVAILABLE, STOPPED = range(7)

MIXED = """
parameters { name: "lr" parameter_type: DOUBLE feasible_space { min: "1e-4" max: "1" distribution: LOG_UNIFORM } }
parameters { name: "depth" parameter_type: INT feasible_space { min: "2" max: "9" } }
parameters { name: "kind" parameter_type: CATEGORICAL feasible_space { list: "a" list: "b" } }
"""
FINITE = """
parameters { name: "depth" parameter_type: INT feasible_space { min: "0" max: "9" } }
parameters { name: "kind" parameter_type: CATEGORICAL feasible_space { list: "a" list: "b" list: "c" } }
parameters { name: "width" parameter_type: DISCRETE feasible_space { list: "1" list: "2.5" list: "4" list: "8" } }
"""
SETTINGS = {
    "hyperband": {"r_l": "4", "eta": "2", "resource_name": "depth"},
    "pbt": {"suggestion_trial_dir": "/x", "n_population": "5", "truncation_threshold": "0.2"},
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands for the claim that Katib mounts into a service with `resumePolicy: FromVolume`."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def address(checkpoints: Path) -> Iterator[str]:
    port, stop = start_server("127.0.0.1:0", workers=2, checkpoints=checkpoints)
    yield f"127.0.0.1:{port}"
    stop()


def call(address: str, method: str, request: Any, reply: str, service: str = "api.v1.beta1.Suggestion") -> Any:
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=MESSAGES[reply].FromString,
        )
        return ask(request, timeout=60)


def experiment(algorithm: str, parameters: str, *, trials: int = 100, parallel: int = 4, **settings: str) -> Any:
    from google.protobuf import text_format

    message = MESSAGES["Experiment"](name=f"replay-{algorithm}")
    text_format.Parse(parameters, message.spec.parameter_specs)
    message.spec.objective.type = 1
    message.spec.objective.objective_metric_name = "loss"
    message.spec.algorithm.algorithm_name = algorithm
    for name, value in {**SETTINGS.get(algorithm, {}), **settings}.items():
        message.spec.algorithm.algorithm_settings.add(name=name, value=value)
    message.spec.parallel_trial_count, message.spec.max_trial_count = parallel, trials
    return message


def quality(assignments: dict[str, str]) -> float:
    return (math.log10(float(assignments.get("lr", 1))) + 2) ** 2 + (int(assignments["depth"]) - 4) ** 2


class Katib:
    """What Katib's controllers do with a suggestion service: they keep trials and returned settings.

    Held against Katib 0.19 (suggestionclient.go, `SyncAssignments` and `ConvertTrials`): a trial has the name that the
    reply chose, all trials are sent each time but those without metrics, and no labels are sent. On 27 November 2026
    the running Katib 0.19.0 made the same trials of each algorithm (docs/tuning.md has the table).
    """

    def __init__(self, experiment: Any, *addresses: str, end: Callable[[int], int] = lambda _: SUCCEEDED) -> None:
        self.experiment, self.addresses, self.end = experiment, addresses, end
        self.trials: list[Any] = []
        self.asked = 0

    def ask(self, n: int) -> list[dict[str, str]]:
        """Ask for n suggestions and create their trials."""
        request = MESSAGES["GetSuggestionsRequest"](experiment=self.experiment, current_request_number=n)
        request.total_request_number = len(self.trials) + n
        request.trials.extend(trial for trial in reversed(self.trials) if trial.status.condition != UNAVAILABLE)
        address = self.addresses[self.asked % len(self.addresses)]
        self.asked += 1
        reply = call(address, "GetSuggestions", request, "GetSuggestionsReply")
        assert len(reply.parameter_assignments) == n
        self._keep(reply.algorithm.algorithm_settings)
        return [self._create(each) for each in reply.parameter_assignments]

    def _keep(self, settings: Any) -> None:
        known = {setting.name: setting for setting in self.experiment.spec.algorithm.algorithm_settings}
        for setting in settings:
            if setting.name in known:
                known[setting.name].value = setting.value
            else:
                self.experiment.spec.algorithm.algorithm_settings.append(setting)

    def _create(self, suggestion: Any) -> dict[str, str]:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", suggestion.trial_name)
        trial = MESSAGES["Trial"](name=suggestion.trial_name)
        assert trial.name not in {each.name for each in self.trials}
        trial.spec.parameter_assignments.assignments.extend(suggestion.assignments)
        for key, value in suggestion.labels.items():
            assert re.fullmatch(r"([a-z0-9.-]+/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?", key)
            assert re.fullmatch(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", value)
        trial.status.condition = RUNNING
        self.trials.append(trial)
        return {each.name: each.value for each in suggestion.assignments}

    def run(
        self, total: int, parallel: int, choose: Callable[[list[int]], int] = operator.itemgetter(0)
    ) -> list[dict[str, str]]:
        """Keep trials running until there are enough; the oldest ends first, or the one that is chosen."""
        made: list[dict[str, str]] = []
        while len(made) < total:
            running = [i for i, trial in enumerate(self.trials) if trial.status.condition == RUNNING]
            if len(running) >= parallel:
                ending = choose(running)
                self.finish(ending, made[ending])
                running.remove(ending)
            made += self.ask(min(parallel - len(running), total - len(made)))
        return made

    def finish(self, index: int, assignments: dict[str, str]) -> None:
        trial = self.trials[index]
        trial.status.start_time = f"2026-11-20T10:{index // 60:02d}:{index % 60:02d}Z"
        trial.status.condition = self.end(index)
        if trial.status.condition in (SUCCEEDED, STOPPED):
            trial.status.observation.metrics.add(name="loss", value=str(quality(assignments)))


@pytest.mark.parametrize("algorithm", ["random", "tpe", "sobol", "multivariate-tpe"])
def test_an_experiment_of_100_trials_is_replayed_without_a_duplicate(address: str, algorithm: str) -> None:
    made = Katib(experiment(algorithm, MIXED, random_state="1"), address).run(100, 4)
    assert len({json.dumps(each, sort_keys=True) for each in made}) == 100
    assert all(1e-4 <= float(each["lr"]) <= 1 and each["depth"] in "23456789" for each in made)


def test_tpe_learns_from_the_trials_that_it_is_shown(address: str) -> None:
    made = Katib(experiment("tpe", MIXED, random_state="1"), address).run(60, 4)
    first, last = (sorted(map(quality, part))[10] for part in (made[:20], made[40:]))
    assert last < first / 2


@pytest.mark.parametrize("algorithm", ["grid", "random", "tpe"])
def test_a_finite_space_is_walked_to_its_end_without_a_duplicate(address: str, algorithm: str) -> None:
    made = Katib(experiment(algorithm, FINITE, trials=120, random_state="2"), address).run(120, 8)
    assert len({json.dumps(each, sort_keys=True) for each in made}) == 120


def test_an_exhausted_space_is_proposed_again_from_its_first_place(address: str) -> None:
    made = Katib(experiment("random", FINITE, trials=140, random_state="2"), address).run(125, 5)
    assert made[120:] == made[:5]


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_any_instance_answers_any_request(address: str, algorithm: str) -> None:
    port, stop = start_server("127.0.0.1:0", workers=1)
    alone = Katib(experiment(algorithm, MIXED), address).run(30, 3)
    mixed = Katib(experiment(algorithm, MIXED), address, f"127.0.0.1:{port}").run(30, 3)
    stop()
    assert mixed == alone


@pytest.mark.parametrize("algorithm", ["grid", "random", "tpe"])
def test_what_katib_hides_for_want_of_metrics_is_not_proposed_again(address: str, algorithm: str) -> None:
    katib = Katib(experiment(algorithm, FINITE, trials=60), address, end=lambda i: UNAVAILABLE if i % 3 else SUCCEEDED)
    made = katib.run(60, 4)
    assert len({json.dumps(each, sort_keys=True) for each in made}) == 60
    (kept,) = [each.value for each in katib.experiment.spec.algorithm.algorithm_settings if each.name == STATE]
    shown = [trial for trial in katib.trials if trial.status.condition == SUCCEEDED]
    assert not {int(trial.name[-4:], 16) for trial in shown} & State.model_validate_json(kept).open.keys()


def test_hidden_proposals_are_pending_until_a_later_trial_is_seen() -> None:
    from ctlr.specs import Proposal

    request = MESSAGES["GetSuggestionsRequest"](experiment=experiment("random", FINITE))
    places = [{"depth": str(i), "kind": "a", "width": "1"} for i in range(3)]
    opened = {i: Proposal(assignments=place) for i, place in enumerate(places)}
    search = read_request(request.experiment)
    state = State(tag="0a1b", open=opened)
    assert [trial.status for trial in read_trials([], search, state)] == ["Created"] * 3
    trial = MESSAGES["Trial"](name=f"{search.name}-0a1b-0001")
    for name, value in places[1].items():
        trial.spec.parameter_assignments.assignments.add(name=name, value=value)
    trial.status.condition = RUNNING
    found = read_trials([trial], search, state)
    assert [(each.number, each.status) for each in found] == [(0, "Failed"), (1, "Running"), (2, "Created")]


def test_trials_that_another_service_proposed_are_numbered_by_their_start() -> None:
    request = MESSAGES["GetSuggestionsRequest"](experiment=experiment("random", FINITE))
    trials = [MESSAGES["Trial"](name=name) for name in ("c", "a", "b")]
    for trial, minute in zip(trials, (1, 2, None), strict=True):
        trial.status.start_time = f"2026-11-20T10:0{minute}:00Z" if minute else ""
    found = read_trials(trials, read_request(request.experiment), State(tag="0a1b"))
    assert [(trial.number, trial.name) for trial in found] == [(0, "c"), (1, "a"), (2, "b")]


def test_every_condition_of_a_trial_is_understood() -> None:
    request = MESSAGES["GetSuggestionsRequest"](experiment=experiment("random", FINITE))
    trials = [MESSAGES["Trial"](name=f"t{i}") for i in range(8)]
    for i, trial in enumerate(trials):
        trial.status.condition = i
        trial.status.observation.metrics.add(name="loss", value="unavailable" if i == SUCCEEDED else "0.5")
    found = read_trials(trials, read_request(request.experiment), State(tag="0a1b"))
    assert [trial.status for trial in found] == [
        "Created", "Running", "Succeeded", "Killed", "Failed", "Failed", "EarlyStopped", "Created",
    ]  # fmt: skip
    assert [trial.value for trial in found[:4]] == [0.5, 0.5, None, 0.5]


# As the stubs of kubeflow-katib 0.19.0 write it, with a network to build and a stopping rule, which are passed over.
WIRE = (
    "CpQBCgR3aXJlEosBCisKEwoCbHIQARoLCgExEgQxZS0zKAIKFAoDb3B0EAQaCxoDc2dkGgRhZGFtEhYIAhHNzMzMzMzsPxoDYWNj"
    "IgRsb3NzGhsKBnJhbmRvbRIRCgxyYW5kb21fc3RhdGUSATUiHQoKbWVkaWFuc3RvcBIPCgpzdGFydF9zdGVwEgEyKAIwCToECgII"
    "AxKwAQoGd2lyZS1hElISBwgCGgNhY2MaFwoJCgJschIDMC41CgoKA29wdBIDc2dkIi4KKWN0bHIuc3VnZ2VzdGlvbi5rYXRpYi5r"
    "dWJlZmxvdy5vcmcvbnVtYmVyEgEwGlIKFDIwMjYtMTEtMjBUMTA6MDA6MDBaEhQyMDI2LTExLTIwVDEwOjA1OjAwWhgGIiIKCwoD"
    "YWNjEgQwLjc1ChMKBGxvc3MSC3VuYXZhaWxhYmxlIAIoAw=="
)


def test_a_request_of_katibs_own_stubs_is_read() -> None:
    request = MESSAGES["GetSuggestionsRequest"].FromString(base64.b64decode(WIRE))
    assert (request.current_request_number, request.total_request_number) == (2, 3)
    search = read_request(request.experiment)
    assert (search.name, search.parallel, search.max_trials, seed_of(search)) == ("wire", 2, 9, 5)
    assert search.objective.strategies == {"acc": "max", "loss": "max"}
    assert [(each.name, each.kind, each.distribution, each.values) for each in search.parameters] == [
        ("lr", "double", "logUniform", ()),
        ("opt", "categorical", "uniform", ("sgd", "adam")),
    ]
    (trial,) = read_trials(request.trials, search, State(tag="0a1b"))
    assert (trial.number, trial.status, trial.value) == (0, "EarlyStopped", 0.75)
    assert (trial.assignments, trial.metrics, trial.labels) == ({"lr": "0.5", "opt": "sgd"}, {"acc": 0.75}, {})


@pytest.mark.parametrize("algorithm", SAMPLERS)
def test_every_algorithm_is_served_and_its_labels_are_labels_of_kubernetes(address: str, algorithm: str) -> None:
    space = FINITE if algorithm == "grid" else MIXED.replace('min: "2" max: "9"', 'min: "1" max: "4"')
    if algorithm == "cmaes":
        space = MIXED
    made = Katib(experiment(algorithm, space, random_state="3"), address).run(4 if algorithm == "hyperband" else 12, 4)
    assert all(set(each) == {"lr", "depth", "kind"} or algorithm == "grid" for each in made)


def test_hyperband_goes_on_beside_a_trial_that_does_not_end(address: str) -> None:
    space = MIXED.replace('min: "2" max: "9"', 'min: "1" max: "4"')
    katib = Katib(experiment("hyperband", space, random_state="3"), address)
    made = katib.ask(4)
    for number in range(1, 40):
        katib.finish(number, made[number])
        made += katib.ask(1)
    assert [each["depth"] for each in made[:4]] == ["1"] * 4
    state = State.model_validate_json(
        next(each.value for each in katib.experiment.spec.algorithm.algorithm_settings if each.name == STATE)
    )
    assert {labels.get("round", "0") for labels in state.labels.values()} > {"0", "1"}


def locally(search: Experiment, total: int, parallel: int) -> list[dict[str, str]]:
    """What the engine of this machine tries where the oldest trial ends first."""
    proposer = Proposer(make_sampler(search, seed=seed_of(search)), parallel)
    trials: list[Trial] = []
    pending: list[Trial] = []
    while len(trials) < total:
        ended = max(len(trials) - parallel + 1, 0)
        proposal = proposer.ask(trials, pending, ended, ended)
        assert proposal is not None
        number = len(trials)
        pending.append(Trial(number=number, name=str(number), assignments=proposal.assignments, labels=proposal.labels))
        trials.append(pending[-1])
        if number + 1 >= parallel:
            done = trials[number + 1 - parallel]
            value = quality(done.assignments)
            trials[done.number] = done.model_copy(update={"status": "Succeeded", "value": value})
    return [trial.assignments for trial in trials]


@pytest.mark.parametrize("algorithm", SAMPLERS)
def test_every_algorithm_tries_what_it_tries_on_this_machine(address: str, algorithm: str) -> None:
    """Promotions and generations among it, which need labels: Katib sends none back."""
    message = experiment(algorithm, space_of(algorithm), random_state="3")
    made = Katib(message, address).run(40, 4)
    assert made == locally(read_request(message), 40, 4)
    if algorithm == "hyperband":
        assert {each["depth"] for each in made[4:10]} >= {"2", "4"}


@pytest.mark.parametrize("algorithm", SAMPLERS)
@settings(max_examples=8, deadline=None)
@given(rng=st.randoms(use_true_random=False))
def test_every_algorithm_ends_in_whatever_order_and_however_its_trials_do(
    rng: random.Random, address: str, algorithm: str
) -> None:
    ends = [SUCCEEDED, SUCCEEDED, SUCCEEDED, KILLED, FAILED, UNAVAILABLE, STOPPED]
    katib = Katib(experiment(algorithm, space_of(algorithm), random_state="3"), address, end=lambda _: rng.choice(ends))
    parallel = rng.choice([1, 4, 9, 22])
    assert len(katib.run(22, parallel, rng.choice)) == 22


def space_of(algorithm: str) -> str:
    """One that it can search."""
    if algorithm == "grid":
        return FINITE
    return MIXED.replace('min: "2" max: "9"', 'min: "1" max: "4"') if algorithm == "hyperband" else MIXED


def test_katibs_own_example_of_hyperband_is_answered(address: str) -> None:
    """examples/v1beta1/hp-tuning/hyperband.yaml: the resource's range is 1 to 1, and Hyperband sets it to 1 and 2."""
    epochs = 'parameters { name: "num-epochs" parameter_type: INT feasible_space { min: "1" max: "1" } }'
    lr = 'parameters { name: "lr" parameter_type: DOUBLE feasible_space { min: "0.01" max: "0.05" } }'
    settings = {"r_l": "2", "eta": "2", "resource_name": "num-epochs"}
    message = experiment("hyperband", lr + epochs, trials=4, parallel=2, **settings)
    request = MESSAGES["ValidateAlgorithmSettingsRequest"](experiment=message)
    assert call(address, "ValidateAlgorithmSettings", request, "ValidateAlgorithmSettingsReply") is not None
    katib = Katib(message, address)
    assert [each["num-epochs"] for each in katib.ask(4)] == ["1", "1", "2", "2"]


def test_valid_settings_are_accepted(address: str) -> None:
    request = MESSAGES["ValidateAlgorithmSettingsRequest"](experiment=experiment("tpe", MIXED, gamma="0.2"))
    assert call(address, "ValidateAlgorithmSettings", request, "ValidateAlgorithmSettingsReply") is not None


INVALID = {
    "a setting out of range": (experiment("tpe", MIXED, gamma="2"), "gamma must be below 1; got '2'"),
    "an unknown setting": (experiment("random", MIXED, seed="2"), "random has no setting 'seed'"),
    "an unknown algorithm": (experiment("tpee", MIXED), "Did you mean 'tpe'?"),
    "swapped bounds": (experiment("tpe", MIXED.replace('min: "2"', 'min: "20"')), "min must be below max"),
    "a grid without step": (experiment("grid", MIXED), "grid needs the step of a double"),
    "no parameters": (experiment("tpe", ""), "a search needs a parameter"),
    "a foreign note": (experiment("tpe", MIXED, **{STATE: "[1]"}), f"{STATE} is written by this service alone"),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_breaks_a_rule_is_refused_with_its_reason(address: str, case: str) -> None:
    message, words = INVALID[case]
    ask = MESSAGES["GetSuggestionsRequest"](experiment=message, current_request_number=1)
    calls = [("GetSuggestions", ask, "GetSuggestionsReply")]
    if case != "a foreign note":
        check = MESSAGES["ValidateAlgorithmSettingsRequest"](experiment=message)
        calls.append(("ValidateAlgorithmSettings", check, "ValidateAlgorithmSettingsReply"))
    for method, request, reply in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call(address, method, request, reply)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert words in caught.value.details()


def test_no_suggestions_are_given_where_none_are_asked(address: str) -> None:
    request = MESSAGES["GetSuggestionsRequest"](experiment=experiment("random", MIXED))
    assert not call(address, "GetSuggestions", request, "GetSuggestionsReply").parameter_assignments


def test_a_warm_start_is_not_proposed_again() -> None:
    places = [{"depth": str(i), "kind": kind, "width": "1"} for i in range(10) for kind in "abc"]
    earlier = [
        Trial(number=i, name=f"e-{i}", assignments=place, status="Succeeded", value=1.0)
        for i, place in enumerate(places)
    ]
    port, stop = start_server("127.0.0.1:0", workers=1, earlier=earlier)
    made = Katib(experiment("random", FINITE, trials=90), f"127.0.0.1:{port}").run(90, 6)
    stop()
    assert not [place for place in made if place["width"] == "1"]


@pytest.mark.parametrize("service", ["", "manager.v1beta1.Suggestion", "api.v1.beta1.Suggestion"])
def test_health_is_serving_under_katibs_name(address: str, service: str) -> None:
    request = MESSAGES["HealthCheckRequest"](service=service)
    assert call(address, "Check", request, "HealthCheckResponse", "grpc.health.v1.Health").status == 1


def test_an_unknown_service_has_no_health(address: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(
            address,
            "Check",
            MESSAGES["HealthCheckRequest"](service="x"),
            "HealthCheckResponse",
            "grpc.health.v1.Health",
        )
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_matrices_are_worked_on_by_one_thread_while_the_service_runs(address: str) -> None:
    assert call(
        address, "Check", MESSAGES["HealthCheckRequest"](), "HealthCheckResponse", "grpc.health.v1.Health"
    ).status
    assert {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"} == {1}


def test_a_port_in_use_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=f"{address}: must be a free HOST:PORT"):
        start_server(address, workers=1)


def test_the_service_ends_in_peace_at_sigterm() -> None:
    code = "from ctlr.tuning.service import serve; serve(0, workers=1, on_start=lambda port: print(port, flush=True))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = f"127.0.0.1:{process.stdout.readline().strip()}"
        request = MESSAGES["HealthCheckRequest"]()
        assert call(address, "Check", request, "HealthCheckResponse", "grpc.health.v1.Health").status == 1
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")


def test_the_seed_of_a_name_stays_the_same() -> None:
    search = read_request(experiment("random", MIXED))
    assert seed_of(search) == seed_of(search.model_copy(update={"max_trials": 7}))
    assert seed_of(search) != seed_of(search.model_copy(update={"name": "other"}))


def test_katibs_names_for_algorithms_are_all_served() -> None:
    assert set(SAMPLERS) <= set(ALGORITHMS)


def test_the_clusters_configuration_names_every_algorithm_with_one_pinned_image() -> None:
    from ruamel.yaml import YAML

    config = YAML(typ="safe", pure=True).load(CONFIG.read_text())
    entries = config["runtime"]["suggestions"]
    assert [entry["algorithmName"] for entry in entries] == list(ALGORITHMS)
    assert {entry["image"] for entry in entries} == {f"ctlr/ctlr-suggestion:{ctlr.__version__}"}
    # Katib's own limit of 100 MiB is less than numpy and scipy take.
    assert {entry["resources"]["limits"]["memory"] for entry in entries} == {"1Gi"}


def test_the_service_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; "
        "from ctlr.tuning.samplers import SAMPLERS; import ctlr.tuning.service; print(len(SAMPLERS))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) == len(SAMPLERS)


# ---------------------------------------------------------------- checkpoints


def test_population_based_training_finds_its_parents_checkpoint_in_its_own_folder(
    address: str, checkpoints: Path
) -> None:
    """As a pod does, each trial appends to the file in its folder; Katib mounts `<experiment>/<trial>`."""
    katib = Katib(experiment("pbt", MIXED, parallel=5, random_state="1"), address)
    lengths = []
    for generation in range(3):
        first = len(katib.trials)
        made = katib.ask(5)
        for number, assignments in enumerate(made, start=first):
            file = checkpoints / "replay-pbt" / katib.trials[number].name / "weights"
            lengths.append(len(file.read_text()) if file.exists() else 0)
            with file.open("a") as weights:
                weights.write(str(generation))
            katib.finish(number, assignments)
    assert lengths == [0] * 5 + [1] * 5 + [2] * 5


def test_a_proposal_made_again_because_its_answer_was_lost_gets_a_fresh_folder(address: str, checkpoints: Path) -> None:
    katib = Katib(experiment("pbt", MIXED, parallel=5, random_state="2"), address)
    katib.experiment.name = "lost"
    request = MESSAGES["GetSuggestionsRequest"](experiment=katib.experiment, current_request_number=1)
    first = call(address, "GetSuggestions", request, "GetSuggestionsReply")
    katib._keep(first.algorithm.algorithm_settings)
    state = State.model_validate_json(first.algorithm.algorithm_settings[0].value)
    folder = checkpoints / "lost" / state.name("lost", 1)
    request.experiment.CopyFrom(katib.experiment)
    call(address, "GetSuggestions", request, "GetSuggestionsReply")
    (folder / "left").touch()
    call(address, "GetSuggestions", request, "GetSuggestionsReply")
    assert list(folder.iterdir()) == []


def test_without_a_shared_folder_population_based_training_is_refused_with_the_remedy(tmp_path: Path) -> None:
    port, stop = start_server("127.0.0.1:0", workers=1, checkpoints=tmp_path / "none")
    request = MESSAGES["ValidateAlgorithmSettingsRequest"](experiment=experiment("pbt", MIXED))
    with pytest.raises(grpc.RpcError) as caught:
        call(f"127.0.0.1:{port}", "ValidateAlgorithmSettings", request, "ValidateAlgorithmSettingsReply")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "Write `resumePolicy: FromVolume`, and a ReadWriteMany claim" in caught.value.details()
    (tmp_path / "none").touch()  # a file in its place: the claim went away meanwhile
    asked = MESSAGES["GetSuggestionsRequest"](experiment=experiment("pbt", MIXED), current_request_number=1)
    with pytest.raises(grpc.RpcError) as caught:
        call(f"127.0.0.1:{port}", "GetSuggestions", asked, "GetSuggestionsReply")
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    stop()

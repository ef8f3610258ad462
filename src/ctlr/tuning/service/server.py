"""CTLR's samplers as a suggestion service of a cluster's Katib.

Katib starts one for each experiment whose algorithm its configuration maps to this image (`runtime.suggestions`), asks
for its health under a name of its own, and then for suggestions whenever trials have ended. The service keeps nothing:
see `suggestion.py`.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from ctlr.errors import ConfigError, CtlrError, require
from ctlr.specs import Experiment, Proposal, Trial
from ctlr.tuning.samplers import PARENT, make_sampler, seed_of
from ctlr.tuning.service.messages import HEALTH_SERVICE, SUGGESTION_SERVICE, load_messages
from ctlr.tuning.service.suggestion import State, fill_reply, number_proposals, read_request, read_state, read_trials

__all__ = ["CHECKPOINTS", "PORT", "serve", "start_server", "suggest"]

CHECKPOINTS = Path("/opt/katib/data")
"""Where Katib mounts the claim of a service with `resumePolicy: FromVolume`, if its configuration names no other place.
A trial finds its folder `<experiment>/<trial>` of it at the algorithm's `suggestion_trial_dir`."""

PORT = 6789
"""Where Katib asks."""
_ASKED_BY_KATIB = "manager.v1beta1.Suggestion"
_GRACE_SECONDS = 20
"""For requests that are under way at a SIGTERM; Kubernetes waits 30."""
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port in use is an error, not a port to share
    ("grpc.max_receive_message_length", 64 * 2**20),  # gRPC's 4 MiB hold about 10,000 trials of 10 parameters
)
_log = logging.getLogger(__name__)


def suggest(experiment: Experiment, trials: Sequence[Trial], n: int, earlier: Sequence[Trial] = ()) -> list[Proposal]:
    """Exactly n proposals: Katib takes nothing but the number that it asks for, and would ask forever.

    A space without new places is proposed again from its first place on.

    Args:
        experiment: What is searched.
        trials: All that were proposed, by number.
        n: How many are asked for.
        earlier: Ended trials of an earlier experiment of the same space.

    Raises:
        ConfigError: The algorithm cannot search the space, or a trial lies outside it.
    """
    sampler = make_sampler(experiment, seed=seed_of(experiment), earlier=earlier)
    found = sampler.propose(trials, n)
    if len(found) == n:
        return found
    _log.warning("%s: all places of the space were proposed; maxTrialCount is too large.", experiment.name)
    proposed = [each.assignments for each in (*earlier, *trials)] + [each.assignments for each in found]
    places = list({frozenset(each.items()): each for each in proposed}.values())
    made = len(trials) + len(found)
    return [*found, *(Proposal(assignments=places[i % len(places)]) for i in range(made, len(trials) + n))]


class _Suggestions:
    """Answers the two calls of Katib's service."""

    def __init__(self, grpc: Any, earlier: Sequence[Trial], checkpoints: Path) -> None:
        self.codes, self.messages, self.earlier = grpc.StatusCode, load_messages(), earlier
        self.checkpoints = checkpoints

    def get(self, request: Any, context: Any) -> Any:
        reply = self.messages["GetSuggestionsReply"]()
        n = request.current_request_number
        try:
            experiment = read_request(request.experiment)
            # Two hexadecimal pairs that no earlier experiment of this name is likely to have had.
            state = read_state(request.experiment) or State(tag=secrets.token_hex(2))
            trials = read_trials(request.trials, experiment, state)
            proposals = suggest(experiment, trials, n, self.earlier) if n > 0 else []
        except CtlrError as error:
            context.abort(self.codes.INVALID_ARGUMENT, str(error))
        numbered = number_proposals(proposals, trials)
        if _hands_on(experiment):
            try:
                for number, proposal in numbered.items():
                    _hand_on(self.checkpoints / experiment.name, state.name(experiment.name, number), proposal)
            except OSError as error:
                context.abort(self.codes.FAILED_PRECONDITION, f"{_no_checkpoints(self.checkpoints)} ({error.strerror})")
        fill_reply(reply, numbered, trials, experiment.name, state)
        return reply

    def validate(self, request: Any, context: Any) -> Any:
        try:
            experiment = read_request(request.experiment)
            make_sampler(experiment, seed=seed_of(experiment), earlier=self.earlier)
            if _hands_on(experiment) and not self.checkpoints.is_dir():
                raise ConfigError(_no_checkpoints(self.checkpoints))
        except ConfigError as error:
            context.abort(self.codes.INVALID_ARGUMENT, str(error))
        return self.messages["ValidateAlgorithmSettingsReply"]()


def _hands_on(experiment: Experiment) -> bool:
    """Whether trials go on from checkpoints of others."""
    return bool(experiment.algorithm.settings.get("suggestion_trial_dir"))


def _hand_on(folder: Path, trial: str, proposal: Proposal) -> None:
    """Make the folder of a trial that is about to be proposed, with its parent's checkpoint, as Katib's service does.

    Asked again because an answer was lost, it is made anew. It takes its name once it is whole.
    """
    aside = folder / f".{trial}"
    for left in (aside, folder / trial):
        shutil.rmtree(left, ignore_errors=True)
    parent = folder / proposal.labels[PARENT] if PARENT in proposal.labels else None
    if parent is not None and parent.is_dir():
        shutil.copytree(parent, aside, symlinks=True)
    else:
        aside.mkdir(parents=True)
    aside.rename(folder / trial)


def _no_checkpoints(folder: Path) -> str:
    rule = f"{folder} must be a folder that this service may write to: checkpoints go from trial to trial there"
    return f"{rule}. Write `resumePolicy: FromVolume`, and a ReadWriteMany claim for the algorithm in katib-config."


class _Health:
    """Answers gRPC's health checks, as the probes of Kubernetes ask them."""

    def __init__(self, grpc: Any) -> None:
        self.codes, self.messages, self.stopping = grpc.StatusCode, load_messages(), False

    def check(self, request: Any, context: Any) -> Any:
        if request.service not in ("", _ASKED_BY_KATIB, SUGGESTION_SERVICE):
            context.abort(self.codes.NOT_FOUND, f"There is no service {request.service!r} here.")
        return self.messages["HealthCheckResponse"](status="NOT_SERVING" if self.stopping else "SERVING")


def start_server(
    address: str, *, workers: int, earlier: Sequence[Trial] = (), checkpoints: Path = CHECKPOINTS
) -> tuple[int, Callable[[], None]]:
    """Start to answer requests in threads of this process.

    Args:
        address: `host:port`; port 0 takes a free one.
        workers: Requests answered at once.
        earlier: Ended trials of an earlier experiment of the same space: a warm start.
        checkpoints: Folder that trials of population-based training share, by experiment and trial.

    Returns:
        The port, and what stops the server once the requests that are under way are answered.

    Raises:
        MissingExtraError: grpcio or protobuf is not installed.
        ConfigError: The address cannot be bound.
    """
    grpc = require("grpc", extra="suggest")
    threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="suggest")
    server = grpc.server(threads, options=_OPTIONS)
    suggestions, health = _Suggestions(grpc, earlier, checkpoints), _Health(grpc)
    for service, calls in (
        (SUGGESTION_SERVICE, {
            "GetSuggestions": (suggestions.get, "GetSuggestionsRequest"),
            "ValidateAlgorithmSettings": (suggestions.validate, "ValidateAlgorithmSettingsRequest"),
        }),
        (HEALTH_SERVICE, {"Check": (health.check, "HealthCheckRequest")}),
    ):  # fmt: skip
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, _handlers(grpc, calls)),))
    try:
        port = int(server.add_insecure_port(address))
    except RuntimeError as error:
        raise ConfigError(f"{address}: must be a free HOST:PORT; it cannot be bound. Name another one.") from error
    # Matrices of a few hundred trials are small: more threads than one make the Gaussian process ten times slower.
    limits = threadpool_limits(1, user_api="blas")
    server.start()

    def stop() -> None:
        health.stopping = True
        server.stop(_GRACE_SECONDS).wait()
        limits.restore_original_limits()

    return port, stop


def _handlers(grpc: Any, calls: Mapping[str, tuple[Callable[[Any, Any], Any], str]]) -> dict[str, Any]:
    messages = load_messages()
    return {
        name: grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=messages[request].FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )
        for name, (answer, request) in calls.items()
    }


def serve(
    port: int = PORT,
    *,
    host: str = "0.0.0.0",
    workers: int = 4,
    earlier: Sequence[Trial] = (),
    checkpoints: Path = CHECKPOINTS,
    on_start: Callable[[int], None] = lambda port: None,
) -> None:
    """Answer requests until SIGTERM or SIGINT; those that are under way are still answered. For a main thread.

    Args:
        port: 0 takes a free one.
        host: The interface; all of them, as a pod needs it.
        workers: Requests answered at once.
        earlier: Ended trials of an earlier experiment of the same space: a warm start.
        checkpoints: Folder that trials of population-based training share, by experiment and trial.
        on_start: Is told the port once the service answers.

    Raises:
        MissingExtraError: grpcio or protobuf is not installed.
        ConfigError: The port cannot be bound.
    """
    ended = threading.Event()
    before = {each: signal.signal(each, lambda *_: ended.set()) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        bound, stop = start_server(f"{host}:{port}", workers=workers, earlier=earlier, checkpoints=checkpoints)
        on_start(bound)
        ended.wait()
        stop()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

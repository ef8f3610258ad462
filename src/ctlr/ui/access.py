"""Whether users may look at a namespace of a cluster, or change something in it.

Kubernetes says so (LocalSubjectAccessReview), as it does for Kubeflow's own apps: whoever may list Katib's Experiments
in the namespace may look, and whoever may create some may change something. In Kubeflow these are a profile's viewers
and its editors. Nobody comes in while Kubernetes does not answer.

The header `kubeflow-groups` is left alone: no app of Kubeflow's goes by it, and where a token holds no groups it may be
the browser's own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ctlr.errors import ClusterError

__all__ = ["CHANGE", "LOOK", "Access"]

log = logging.getLogger("ctlr")

LOOK, CHANGE = "list", "create"
"""Verbs of `experiments.kubeflow.org` that are asked for."""
_SECONDS = 10.0
_MOST = 1000
"""Answers that are kept."""
_LONGEST = 300
"""Characters of a user's name; Kubernetes is not asked about longer ones."""


class Access:
    """Asks for each user and verb, and keeps the answer for a few seconds; for several threads.

    Args:
        allows: Whether a user may use a verb; raises ClusterError where nobody says.
        namespace: For messages.
        seconds: That an answer holds.
    """

    def __init__(self, allows: Callable[[str, str], bool], namespace: str, *, seconds: float = _SECONDS) -> None:
        self._allows, self._namespace, self._seconds = allows, namespace, seconds
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}
        self._lock = threading.Lock()

    def refusal(self, user: str, verb: str) -> tuple[int, str] | None:
        """Status and words for a user who may not, or of whom nothing is known; None for one who may."""
        if len(user) > _LONGEST:
            return 403, f"The name of a user has at most {_LONGEST} characters."
        try:
            allowed = self._answer(user, verb)
        except ClusterError as error:
            log.warning("%s", error)
            return 503, (
                f"Kubernetes does not say who may use the namespace {self._namespace}, so nobody is let in. Try again; "
                "the app's log has the reason."
            )
        if allowed:
            return None
        what = "look at the namespace" if verb == LOOK else "change anything in the namespace"
        role = "kubeflow-view" if verb == LOOK else "kubeflow-edit"
        return 403, (
            f"{user} may not {what} {self._namespace}: {verb} experiments.kubeflow.org is not allowed there. Ask the "
            f"namespace's owner to add you as a contributor ({role})."
        )

    def _answer(self, user: str, verb: str) -> bool:
        now = time.monotonic()
        with self._lock:
            until, allowed = self._known.get((user, verb), (0.0, False))
        if now < until:
            return allowed
        allowed = self._allows(user, verb)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[user, verb] = now + self._seconds, allowed
        return allowed

"""What the sampler is asked, and what it may know: the same at every repetition of a run."""

from __future__ import annotations

from collections.abc import Sequence

from ctlr.specs import Proposal, Trial
from ctlr.tuning.samplers import Sampler

__all__ = ["Proposer"]


class Proposer:
    """Ask a sampler for one proposal after another.

    With a window of q, proposal k knows the results of trials 0 to k-q alone and waits for those; all others count as
    pending, whether they have ended or not. What is proposed then depends on no trial's duration, and a run repeats
    exactly. Without one, a proposal knows all that has ended.

    Args:
        sampler: Answers.
        window: Trials at once by the manifest; None: no window.
    """

    def __init__(self, sampler: Sampler, window: int | None) -> None:
        self._sampler = sampler
        self._window = window
        self._more = 0
        self._asked_at = -1
        self.exhausted = False
        """Whether there is nothing left to propose."""

    def ask(self, trials: Sequence[Trial], pending: Sequence[Trial], ended: int, leading: int) -> Proposal | None:
        """What to try next; None where it must wait for results, or where there is nothing left.

        Args:
            trials: All that were proposed, as they are.
            pending: The same as they were when they were proposed.
            ended: How many have ended.
            leading: How many have ended from the first on.
        """
        if self._window is None:
            return self._ask_freely(trials, ended)
        while not self.exhausted and (known := self.known(len(trials))) <= leading:
            seen = [*trials[:known], *pending[known:]]
            if found := self._sampler.propose(seen, 1):
                self._more = 0
                return found[0]
            # It wants more results: it is shown them one by one, as if they came in the order of the proposals.
            self._more += 1
            self.exhausted = known == len(trials) or self._sampler.exhausted(seen)
        return None

    def known(self, number: int) -> int:
        """How many trials from the first on the next proposal, of this number, may know the results of."""
        return 0 if self._window is None else min(max(number - self._window + 1, 0) + self._more, number)

    def _ask_freely(self, trials: Sequence[Trial], ended: int) -> Proposal | None:
        if self.exhausted or ended == self._asked_at:
            return None
        if found := self._sampler.propose(trials, 1):
            return found[0]
        self._asked_at = ended
        self.exhausted = ended == len(trials) or self._sampler.exhausted(trials)
        return None

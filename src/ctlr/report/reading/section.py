"""What a reader has to know to read a report, in plain words; only what this report uses."""

from __future__ import annotations

from collections.abc import Iterator

from ctlr.report.findings import Findings
from ctlr.report.section import Section
from ctlr.report.wording import percent

__all__ = ["reading"]

_N = """Labelled target subjects: those that a model was trained on + those that validated it, who chose the epoch (and
whatever was tuned): n = 20 + 20 needs 40 labels. With `refit` both were trained on in the end. The sets are nested: for
the same seed, who is in n = 20 + 20 is also in n = 50 + 50. The test subjects are the same everywhere."""
_SEED = "One repetition of everything: other training subjects, other initial weights, other views."
_INTERVAL = """Where the true value plausibly lies: had the benchmark been repeated with other test subjects and seeds,
about {share} of such intervals would hold it. Its width comes from how much subjects and seeds vary, with Student’s t
for how well each is known; the rows of a table tell one another how much seeds vary. With one seed it speaks of test
subjects only."""
_GAIN = """The difference to training from scratch, on the same test subjects and seeds, signed so that positive is
better. Pairing makes it sharper than comparing two intervals of the score table by eye."""
_VERDICT = """gain: the interval lies above zero. negative transfer: it lies below, the method does harm. none: it holds
zero, so no difference was shown, which is not the same as showing that there is none. not tested: a single seed cannot
tell a method from a lucky run; five seeds or more can."""
_P = """The chance of a difference this large if there were none, adjusted for the number of comparisons (Holm 1979). A
verdict marked ‘taken alone’ would not survive that adjustment: among many comparisons some look good by luck. The
answer at the top counts only verdicts that survive."""
_FALSE = """The probability that the true difference is zero or of the other sign, though a gain or a loss is claimed.
It is judged from all comparisons of the table together: the more of them look like noise, the less is believed of the
best one (Scott & Berger 2006). Half of the unadjusted p, in the file as false_claim_alone, is the same for a comparison
that stands alone; most published claims in medical imaging exceed 5 % (Christodoulou et al. 2025)."""
_SEEN = """The smallest true gain that so many seeds and test subjects, which vary as much as they did here, show with a
chance of 80 %: among all comparisons of the table, and below it were it the only one. A smaller gain may be there
and was not seen. ‘ctlr plan --detect’ says beforehand what a gain needs."""
_MEAN = """Predicts the training set’s mean, or its most frequent class, whatever it is shown. A method that does
not beat it has learned nothing."""
_BASELINES = """Models that train no network on the target: plain ones that learned from the training and the validation
labels, one of them from the columns alone that a task reads beside the image, and the source’s model as it is where
source and target ask the same. Each method is held against the one with
the best mean of its size on the test set, which flatters that one: ‘better’ is earned, ‘worse’ may be a little luck."""
_SPLITS = """Training subjects teach, validation subjects choose the epoch, test subjects are read once, at the end. A
large gap between train and test is overfitting."""
_GAP = """Predicted minus true; for age, positive means that the brain looks older than it is. Models draw predictions
towards the middle, which gives the gap a negative slope on the truth. The correction is a line fitted on the validation
subjects and taken off the test subjects’ gaps (Beheshti et al. 2019)."""
_CLASSES = """AUC: the chance that an image of the class is ranked above one of another; 0.5 is guessing. ECE: how far
confidence is from the share that is right, on average; 0 is honest (Guo et al. 2017)."""


_SCORES = (
    "LEEP, NCE, LogME, H-score and class variance are computed from what the pretrained encoder makes of the "
    "target’s labelled training images, Hausdorff distances from the images alone; none sees a validation or "
    "test image. A score is of use if it puts pairs into the order of their gains, and if a line through the "
    "other pairs foretells a pair’s gain better than their mean does."
)


def reading(found: Findings) -> Iterator[Section]:
    """Always there; only what this report uses."""
    yield Section(anchor="reading", heading="How to read this", template="reading/reading.html.j2", shows=_terms(found))


def _terms(found: Findings) -> list[tuple[str, str]]:
    """Terms and their meaning, in the order of the page."""
    share = percent(found.finished.level)
    kinds = {contest.task.kind for contest in found.contests}
    baselines = any(contest.references for contest in found.contests)
    return [
        ("n", _N),
        ("Seed", _SEED),
        (f"{share} interval", _INTERVAL.format(share=share)),
        ("Gain", _GAIN),
        ("Verdict", _VERDICT),
        ("p, and ‘taken alone’", _P),
        ("False", _FALSE),
        ("Would be seen", _SEEN),
        ("The mean predictor", _MEAN),
        *[("Baselines", _BASELINES)] * baselines,
        ("Train, validation, test", _SPLITS),
        *[("Gap, slope and correction", _GAP)] * ("regression" in kinds),
        *[("AUC and ECE", _CLASSES)] * ("classification" in kinds),
        *[("Scores of a transfer", _SCORES)] * bool(found.finished.transfers),
    ]

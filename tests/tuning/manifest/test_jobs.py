"""What a trial template may hold: the type of a batch/v1 Job, as Katib 0.19's webhook converts it, and what can run."""

from pathlib import Path

import pytest
from job_types import job_types
from jobs_of_trials import ALLOWED, NEVER_RUN, REFUSED
from plain_manifest import PLAIN, faults_of, read

from ctlr.tuning.manifest import jobs


@pytest.mark.parametrize("case", [*REFUSED, *NEVER_RUN])
def test_what_no_job_holds_or_no_job_runs_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, words = (REFUSED | NEVER_RUN)[case]
    assert text != PLAIN
    (fault,) = faults_of(tmp_path, text)
    assert words in fault


@pytest.mark.parametrize("case", ALLOWED)
def test_what_a_job_may_hold_passes(tmp_path: Path, case: str) -> None:
    assert ALLOWED[case] != PLAIN
    assert read(tmp_path, ALLOWED[case]).name == "plain"


def test_the_table_of_types_holds_all_that_the_installed_client_knows() -> None:
    """But what the API has given up since: the sources of resource claims."""
    gone = {"V1ClaimSource", "V1ResourceClaim"}
    for name, fields in job_types().items():
        if name in gone:
            continue
        known = jobs._types()[name]
        for field, kind in fields.items():
            if (name, field) != ("V1PodResourceClaim", "source"):
                assert known[field] == kind.replace("list[V1ResourceClaim]", "list[CoreV1ResourceClaim]"), (name, field)

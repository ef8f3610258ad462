"""What a submission sends, how many pods it takes, and what is refused before anything is sent."""

import json
from pathlib import Path

import pytest
import yaml
from clinic import CLINIC
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from terminal import call
from tiny_bench import TINY, search_of

from ctlr.cluster.kubeflow import pipeline_documents
from ctlr.cluster.request import request_of
from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.specs import PlatformSpec


def loaded(folder: Path, text: str) -> BenchmarkConfig:
    (folder / "bench.yaml").write_text(text)
    return load(folder / "bench.yaml")


def test_pods_are_distinct_steps_not_studies_times_steps(tmp_path: Path) -> None:
    # 5 lines (mean, scratch, supervised, simclr, vat) x 2 sizes; one pretraining serves both sizes.
    assert request_of(loaded(tmp_path, TINY)).pods == {
        "plan": 1, "preprocess": 1, "tune": 0, "schedule": 1, "pretrain": 2, "score": 0, "finetune": 8, "evaluate": 10,
        "report": 1,
    }  # fmt: skip


def test_a_single_study_takes_its_own_pods(tmp_path: Path) -> None:
    config = loaded(tmp_path, TINY)
    by_label = {study.method.label: study for study in make_plan(config).studies}
    pods = request_of(config, study=by_label["simclr"].id).pods
    assert {name: n for name, n in pods.items() if n} == dict.fromkeys(
        ("plan", "preprocess", "schedule", "pretrain", "finetune", "evaluate", "report"), 1
    )
    assert request_of(config, study=by_label["mean"].id).pods["finetune"] == 0


def test_an_unknown_study_is_told_with_the_nearest(tmp_path: Path) -> None:
    config = loaded(tmp_path, TINY)
    name = make_plan(config).studies[1].id
    with pytest.raises(ConfigError, match=f"Did you mean '{name}'"):
        request_of(config, study=name[:-1])


def test_a_thousand_studies_are_planned_at_once_and_sent_by_the_same_pipeline(tmp_path: Path) -> None:
    text = TINY.replace("seeds: [0]", f"seeds: {list(range(100))}")
    config = loaded(tmp_path, text)
    assert len(make_plan(config).studies) == 1000
    request = request_of(config)
    assert sum(request.pods.values()) == 4 + 200 + 800 + 1000
    assert (
        len(json.dumps(dict(request.arguments)))
        < len(json.dumps(dict(request_of(loaded(tmp_path, TINY)).arguments))) + 1000
    )


def test_a_folder_of_this_machine_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "clinic").mkdir()
    config = loaded(tmp_path, CLINIC)
    with pytest.raises(ConfigError, match=r"--set platform.roots.clinic=data/clinic"):
        request_of(config)


def test_a_folder_in_the_volume_need_not_lie_here(tmp_path: Path) -> None:
    config = loaded(tmp_path, CLINIC + "platform: {roots: {clinic: data/clinic}}\n")
    sent = json.loads(request_of(config).arguments["benchmark"])
    assert sent["datasets"]["clinic"]["root"] == "data/clinic"


def test_a_root_of_no_dataset_is_refused(tmp_path: Path) -> None:
    config = loaded(tmp_path, TINY + "platform: {roots: {cohrt: data/x}}\n")
    with pytest.raises(ConfigError, match="Did you mean 'cohort'"):
        request_of(config)


def test_without_a_server_nothing_is_recorded_and_that_is_said(tmp_path: Path) -> None:
    request = request_of(loaded(tmp_path, TINY + "tracking: {backend: mlflow}\n"))
    assert json.loads(request.arguments["benchmark"])["tracking"]["backend"] == "none"
    assert "`tracking.uri` names no server" in request.notices[0]


def test_a_server_is_sent_along(tmp_path: Path) -> None:
    request = request_of(loaded(tmp_path, TINY + "tracking: {backend: mlflow, uri: 'http://mlflow.ctlr:5000'}\n"))
    assert json.loads(request.arguments["benchmark"])["tracking"]["uri"] == "http://mlflow.ctlr:5000"
    assert request.notices == ()


def test_manifests_travel_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    text = TINY.replace("supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}", "")
    config = loaded(tmp_path, text + "tuning: {experiments: {scratch: rate.yaml}, trials: 2}\n")
    request = request_of(config)
    ((name, sent),) = request.arguments["manifests"].items()
    assert name.endswith("-rate.yaml")
    assert sent == search_of("lr")
    assert json.loads(request.arguments["benchmark"])["tuning"]["experiments"] == {"scratch": [name]}
    assert (request.pods["tune"], request.pods["trial"]) == (2, 4)  # two sizes, two trials each
    # Two sizes, with what was found and with the options in the file; the mean predictor is evaluated beside them.
    assert (request.pods["finetune"], request.pods["evaluate"]) == (4, 6)
    without = request_of(
        loaded(tmp_path, text + "tuning: {experiments: {scratch: rate.yaml}, trials: 2, share: false}\n")
    )
    assert (without.pods["finetune"], without.pods["evaluate"]) == (2, 4)
    assert str(tmp_path) not in json.dumps(dict(request.arguments))


def test_a_platform_changes_no_identity_and_is_no_part_of_what_is_sent(tmp_path: Path) -> None:
    plain = loaded(tmp_path, TINY)
    placed = loaded(tmp_path, TINY + "platform: {memory: 64Gi, volume: other}\n")
    assert placed.identity() == plain.identity()
    assert request_of(placed).arguments["benchmark"] == request_of(plain).arguments["benchmark"]


def test_the_dry_run_needs_no_cluster_and_counts_pods(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = call("submit", "tiny.yaml", "--dry-run", "-o", "json", folder=tmp_path)
    assert done.code == 0
    assert json.loads(done.out)["total"] == 24


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{cpu: lots}", "platform.cpu"),
        ("{secrets: {TOKEN: mlflow}}", "secret/key"),
        ("{workspace: workspace}", "platform.workspace"),
        ("{roots: {cohort: /etc}}", "platform.roots"),
        ("{gpus: 0}", "platform.gpus"),
        ("{tolerations: [{key: a, effect: Never}]}", "platform.tolerations"),
        ("{imgae: x}", "imgae"),
    ],
)
def test_a_platform_that_no_cluster_knows_is_refused_with_its_line(tmp_path: Path, section: str, said: str) -> None:
    line = TINY.count("\n") + 1
    with pytest.raises(ConfigError, match=rf"bench.yaml:{line}: .*{said}"):
        loaded(tmp_path, TINY + f"platform: {section}\n")


@pytest.mark.parametrize(("cpu", "processes"), [("2", 2), ("500m", 1), ("3500m", 3), ("0.5", 1), ("16", 16)])
def test_a_pod_uses_as_many_processes_as_it_has_whole_cores(cpu: str, processes: int) -> None:
    assert PlatformSpec(cpu=cpu).processes == processes


NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@settings(max_examples=8, deadline=None)
@given(
    image=st.text(min_size=1, max_size=40), labels=st.dictionaries(NAMES, st.text(max_size=20), max_size=3),
    volume=NAMES, gpu=st.none() | NAMES,
)  # fmt: skip
def test_whatever_a_platform_says_is_read_back_by_the_reader_of_kubeflow(
    image: str, labels: dict[str, str], volume: str, gpu: str | None
) -> None:
    try:
        platform = PlatformSpec(image=image, labels=labels, volume=volume, gpu=gpu)
    except ValidationError:
        return
    text = pipeline_documents("transfer", platform)
    pipeline, placed = yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    container = pipeline["deploymentSpec"]["executors"]["exec-finetune"]["container"]
    assert container["image"] == image
    settings_of = placed["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-finetune"]
    assert settings_of.get("podMetadata", {"labels": {}})["labels"] == labels
    assert settings_of["pvcMount"][0]["constant"] == volume

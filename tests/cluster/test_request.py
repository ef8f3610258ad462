"""What a submission sends, how many pods it takes, and what is refused before anything is sent."""

import json
import random
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
from ctlr.cluster.platform import Workers
from ctlr.cluster.request import request_of
from ctlr.cluster.submission import packed, unpacked
from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.specs import PlatformSpec


def loaded(folder: Path, text: str) -> BenchmarkConfig:
    (folder / "bench.yaml").write_text(text)
    return load(folder / "bench.yaml")


def test_pods_are_two_a_worker_however_many_studies_there_are(tmp_path: Path) -> None:
    for seeds in (1, 100):
        request = request_of(loaded(tmp_path, TINY.replace("seeds: [0]", f"seeds: {list(range(seeds))}")))
        assert request.workers == Workers(pretrain=0, tune=0, train=2)
        assert request.pods == {
            "preprocess": 2, "train": 4, "evaluate": 2, "report": 2, "pipeline": 2,
        }  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 4, 7])
@pytest.mark.parametrize("trials", ["katib", "local"])
@pytest.mark.parametrize("order", ["target_only", "source_then_target"])
def test_a_benchmark_takes_at_most_ten_pods_and_four_a_worker(
    tmp_path: Path, workers: int, trials: str, order: str
) -> None:
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    (tmp_path / "first.yaml").write_text(search_of("pretrain.lr"))
    files = "[first.yaml, rate.yaml]" if order == "source_then_target" else "rate.yaml"
    text = TINY.replace("simclr: {}, vat: {}", "simclr: {}").replace("seeds: [0]", f"seeds: {list(range(20))}")
    experiments = f"{{scratch: rate.yaml, supervised: {files}, simclr: {files}}}"
    text += f"tuning: {{experiments: {experiments}, trials: 4, order: {order}}}\n"
    request = request_of(loaded(tmp_path, text + f"platform: {{workers: {workers}, trials: {trials}}}\n"))
    ours = {name: count for name, count in request.pods.items() if name not in ("suggestion", "trial")}
    assert sum(ours.values()) <= 10 + 4 * workers
    assert request.workers.train == workers
    assert request.workers.tune >= 1
    if trials == "katib":
        # three methods x two sizes, and a stage for each of two pretrainings
        assert request.pods["suggestion"] == (8 if order == "source_then_target" else 6)
        assert request.pods["trial"] == 24
    else:
        assert "trial" not in request.pods


def test_a_single_study_takes_one_worker(tmp_path: Path) -> None:
    config = loaded(tmp_path, TINY)
    study = make_plan(config).studies[-1]
    request = request_of(config, study=study.id)
    assert request.workers == Workers(pretrain=0, tune=0, train=1)
    assert request.arguments["study"] == study.id


def test_there_are_no_more_workers_than_studies(tmp_path: Path) -> None:
    assert request_of(loaded(tmp_path, TINY + "platform: {workers: 500}\n")).workers.train == 10


def test_an_unknown_study_is_told_with_the_nearest(tmp_path: Path) -> None:
    config = loaded(tmp_path, TINY)
    name = make_plan(config).studies[1].id
    with pytest.raises(ConfigError, match=f"Did you mean '{name}'"):
        request_of(config, study=name[:-1])


def test_a_thousand_studies_are_planned_at_once_and_sent_by_the_same_pipeline(tmp_path: Path) -> None:
    config = loaded(tmp_path, TINY.replace("seeds: [0]", f"seeds: {list(range(100))}"))
    assert len(make_plan(config).studies) == 1000
    request, small = request_of(config), request_of(loaded(tmp_path, TINY))
    assert request.workers == small.workers
    assert len(json.dumps(dict(request.arguments))) < len(json.dumps(dict(small.arguments))) + 1000


def test_a_submission_travels_packed_and_arrives_as_it_was(tmp_path: Path) -> None:
    request = request_of(loaded(tmp_path, TINY))
    plain, sent = dict(request.arguments), request.parameters()
    assert unpacked(sent["sent"]) == (plain["benchmark"], plain["manifests"], plain["platform"], "")
    assert sent.keys() == {"submission", "sent", "workspace"}
    assert len(sent["sent"]) < len(plain["benchmark"]) / 2


def test_nothing_that_a_benchmark_says_is_filled_in_by_kubeflow(tmp_path: Path) -> None:
    text = TINY.replace("name: tiny", 'name: tiny\ndescription: "{{$}} and {{workflow.name}}"')
    request = request_of(loaded(tmp_path, text))
    sent = request.parameters()
    assert not any("{{" in word for word in sent.values())
    assert "{{$}} and {{workflow.name}}" in unpacked(sent["sent"])[0]


def test_what_no_pod_s_command_holds_is_refused_by_its_largest_file(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(100_000).hex()
    with pytest.raises(ConfigError, match=r"a pod's command takes 90000. Shorten them \(the largest file is mine.py\)"):
        packed("{}", {"mine.py": noise, "rate.yaml": "a"}, "{}")


@pytest.mark.parametrize("text", ["", "{}", "e30=", "eJyrrgUAAXUA+Q=="])
def test_what_was_not_packed_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="Submit the benchmark's file"):
        unpacked(text)


@given(st.text(), st.dictionaries(st.text(), st.text()), st.text(), st.text())
def test_any_text_arrives_as_it_was_sent(benchmark: str, manifests: dict[str, str], platform: str, study: str) -> None:
    assert unpacked(packed(benchmark, manifests, platform, study)) == (benchmark, manifests, platform, study)


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
    assert (request.pods["suggestion"], request.pods["trial"]) == (2, 4)  # two sizes, two trials each
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
    assert json.loads(done.out)["total"] == 12


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
    text = pipeline_documents(platform, Workers(pretrain=0, tune=0, train=1))
    pipeline, placed = yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    container = pipeline["deploymentSpec"]["executors"]["exec-train"]["container"]
    assert container["image"] == image
    settings_of = placed["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train"]
    assert settings_of.get("podMetadata", {"labels": {}})["labels"] == labels
    assert settings_of["pvcMount"][0]["constant"] == volume

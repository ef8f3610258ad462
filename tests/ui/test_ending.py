"""Pages of runs that have ended, over a workspace in which two were trained."""

import io
import json
import os
import re
import shutil
import socket
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import form_of, picture
from fastapi.testclient import TestClient
from PIL import Image
from trained_models import PICTURES, train, write_shapes

from ctlr.events import EventLog, events_path, process_start
from ctlr.serving import predict_each_file, predict_files
from ctlr.ui import asking, ending, processes
from ctlr.ui.models import Models, Said, Trained
from ctlr.ui.options import checked
from ctlr.workspace import Workspace

Client = Callable[..., TestClient]
HTML = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the workspace of three runs on the same pictures: a network, a model without one, and ages."""
    folder = tmp_path_factory.mktemp("ended")
    files = write_shapes(folder / "shapes", names=("bars", "dots<b>"))
    lines = ["file,age,place"]
    lines += [f"{file},{30 + number},{('arm', 'leg')[number // 2 % 2]}" for number, file in enumerate(files)]
    (folder / "shapes" / "list.csv").write_text("\n".join(lines) + "\n")
    ages = PICTURES.replace("root: shapes,", "root: shapes, table: list.csv,")
    ages = ages.replace(
        "{target: class, kind: classification}",
        "{target: age, kind: regression, inputs: [place], also: [{target: class, kind: classification}]}",
    )
    ages = ages.replace("seeds: [0, 1]", "seeds: [0]")
    texts = {
        "pictures": PICTURES,
        "shallow": PICTURES.replace("{scratch: {}}", "{scratch: {}, logistic: {}}").replace(
            "seeds: [0, 1]", "seeds: [0]"
        ),
        "ages": ages,
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text.replace("name: pictures", f"name: {name}"))
        train(folder / f"{name}.yaml")
    return folder


@pytest.fixture
def browser(trained: Path, tmp_path: Path, client: Client) -> TestClient:
    """At an app over a copy of that workspace."""
    shutil.copytree(trained / "workspace", tmp_path / "workspace")
    return client()


def model_of(browser: TestClient, run: str = "pictures", method: str = "scratch") -> str:
    """Address of a run's model."""
    found = re.search(rf'/runs/{run}/models/[0-9a-f]{{24}}(?=">{method})', browser.get(f"/runs/{run}/models").text)
    assert found is not None
    return found[0]


def read(tmp_path: Path, run: str = "pictures") -> tuple[Trained, Said]:
    models = Models(checked(tmp_path / "workspace"))
    return (model := next(each for each in models.of(run) if each.method == "scratch")), models.tested(model)


def noise() -> bytes:
    """A picture of the proportions of the others."""
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (30, 22, 3), dtype=np.uint8)).save(data, "PNG")
    return data.getvalue()


def begin(workspace: Path, name: str) -> None:
    """A run that goes on, of this process."""
    log = EventLog(events_path(workspace, name))
    log.write("run.began", benchmark=name, identity="a", studies=1, workers=1, pid=os.getpid(),
              started=process_start(os.getpid()), host=socket.gethostname())  # fmt: skip
    log.close()


# ---------------------------------------------------------------- models


def test_models_stand_with_score_interval_size_and_card(browser: TestClient, tmp_path: Path) -> None:
    text, (model, tested) = browser.get("/runs/pictures/models").text, read(tmp_path)
    assert 'id="models"' in browser.get("/runs/pictures").text
    assert tested.score is not None
    assert model.result.scores["test"]["balanced_accuracy"] == pytest.approx(tested.score.mean)
    for words in (
        f"{tested.score.mean:.4g}",
        f"{tested.score.low:.4g} to {tested.score.high:.4g}",
        "scratch, small_cnn",
        f"{model.bytes / 1e6:.2f} MB",
        "# Model card",
    ):
        assert words in text, words


def test_a_download_is_the_models_own_files_and_predicts_the_same(browser: TestClient, tmp_path: Path) -> None:
    model, _ = read(tmp_path)
    (model.folder / "link.json").symlink_to("/etc/passwd")
    (model.folder / "more").mkdir()
    answer = browser.get(f"{model_of(browser)}/model.zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="pictures-scratch.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = {name.removeprefix("pictures-scratch/") for name in archive.namelist()}
        archive.extractall(tmp_path / "out")
    assert {"model.json", "model.safetensors", "monitoring.json"} <= names
    assert not names & {"predictions.csv", "link.json", "more"}
    (tmp_path / "one.png").write_bytes(noise())
    told = [
        predict_files(place, [tmp_path / "one.png"]) for place in (model.folder, tmp_path / "out" / "pictures-scratch")
    ]
    np.testing.assert_array_equal(*told)


@pytest.mark.parametrize("bad", ["..%2f..%2fkey", "key", "0" * 24, "%2e%2e", "studies"])
def test_a_model_is_never_a_path(browser: TestClient, bad: str) -> None:
    for page in ("", "/model.zip", "/images/0", "/images/0/image.png", "/images/0/gradient.png"):
        assert browser.get(f"/runs/pictures/models/{bad}{page}").status_code == 404, page
    own = model_of(browser)
    assert browser.get(own.replace("pictures", "ages")).status_code == 404  # another run's
    for number in ("-1", "8", "999999", "x", "..%2f0"):
        assert browser.get(f"{own}/images/{number}/image.png").status_code in (404, 422), number
    assert browser.get(f"{own}/images/0/evil.png").status_code == 404


def test_a_record_that_names_a_path_leads_nowhere(browser: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "workspace" / "reports" / "pictures" / "models.json"
    told, *_ = json.loads(file.read_text())
    file.write_text(json.dumps([told | {"path": path} for path in ("../..", "arrays/x", "/etc", "studies/../key")]))
    assert "No model finished" in browser.get("/runs/pictures/models").text


def test_a_model_that_stands_beside_several_encoders_is_listed_once(browser: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "workspace" / "reports" / "pictures" / "models.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps([*({**each, "best": False} for each in told), *told]))
    listed = Models(checked(tmp_path / "workspace")).of("pictures")
    assert len({each.id for each in listed}) == len(listed) == len(told)
    assert sum(each.best for each in listed) == 1


def test_nothing_of_the_test_images_is_shown_before_the_end(browser: TestClient, tmp_path: Path) -> None:
    own = model_of(browser)
    begin(tmp_path / "workspace", "pictures")
    places = (
        "/runs/pictures/models", own, f"{own}/model.zip", f"{own}/images/0", f"{own}/images/0/image.png",
        f"{own}/images/0/gradient.png", "/compare?one=pictures&other=shallow",
    )  # fmt: skip
    for page in places:
        answer = browser.get(page)
        assert answer.status_code == 409, page
        assert "has not ended" in answer.text
    assert 'id="models"' not in browser.get("/runs/pictures").text


# ---------------------------------------------------------------- mistakes


def test_images_behind_a_cell_are_those_of_the_subjects(browser: TestClient, tmp_path: Path) -> None:
    model, tested = read(tmp_path)
    assert tested.matrix.sum() == len(tested.test.truth) == 8
    assert tested.store is not None
    workspace = Workspace(tmp_path / "workspace")
    for place, row in enumerate(tested.rows.tolist()):  # every image is the subject's and of the class
        record = tested.store.table[row]
        assert workspace.pseudonym(record.subject) == tested.test.subjects[place]
        assert record.columns["class"] == tested.classes[int(tested.test.truth[place])]
    t, s = (int(each[0]) for each in tested.matrix.nonzero())
    text = browser.get(f"{model_of(browser)}?truth={t}&said={s}").text
    shown = {int(number) for number in re.findall(r"images/(\d+)/image\.png", text)}
    assert shown == set(np.flatnonzero((tested.test.truth == t) & (tested.test.prediction == s)).tolist())
    with Image.open(io.BytesIO(browser.get(f"{model_of(browser)}/images/{min(shown)}/image.png").content)) as image:
        assert image.size == (16 * 5, 24 * 5)
        assert image.mode == "RGB"
    assert model.result.study.target.data.kind == "images"


def test_mistakes_come_first_and_the_surest_foremost(tmp_path: Path, browser: TestClient) -> None:
    _, tested = read(tmp_path)
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.05, 0.95]])
    test = replace(
        tested.test, subjects=np.array(list("abcd")), truth=np.array([0.0, 0, 0, 1]),
        prediction=np.array([0.0, 1, 1, 1]), probabilities=shares,
    )  # fmt: skip
    assert replace(tested, test=test).order().tolist() == [1, 2, 0, 3]
    assert replace(tested, test=test).order(truth=0, said=1).tolist() == [1, 2]
    assert replace(tested, test=test).matrix.tolist() == [[1, 2], [0, 1]]


def test_a_regression_shows_its_largest_errors_and_prediction_against_truth(
    browser: TestClient, tmp_path: Path
) -> None:
    _, tested = read(tmp_path, "ages")
    errors = np.abs(tested.test.prediction - tested.test.truth)
    assert tested.order()[0] == errors.argmax()
    text = browser.get(model_of(browser, "ages")).text
    assert "Predictions of 8 images against their true values" in text
    assert re.findall(r"images/(\d+)/image\.png", text)[0] == str(errors.argmax())


def test_names_of_classes_are_shown_as_text(browser: TestClient) -> None:
    text = browser.get(model_of(browser)).text
    assert "dots<b>" not in text
    assert "dots&lt;b&gt;" in text


def test_a_row_of_which_another_truth_is_known_is_not_believed(browser: TestClient, tmp_path: Path) -> None:
    model, tested = read(tmp_path)
    assert (tested.rows >= 0).all()
    file = model.folder / "predictions.csv"
    other = {"bars": "dots<b>", "dots<b>": "bars"}
    lines = [line.split(",") for line in file.read_text().splitlines()]
    file.write_text("\n".join(",".join([a, b, other.get(c, c), *rest]) for a, b, c, *rest in lines) + "\n")
    _, again = read(tmp_path)
    assert (again.rows < 0).all()


def test_volumes_that_may_show_a_face_are_hidden_until_somebody_says_otherwise(tmp_path: Path) -> None:
    volume = Trained.__new__(Trained)
    for ndim, public, brains, hidden in ((3, False, False, True), (3, True, True, False), (2, False, False, False),
                                         (2, False, True, True), (1, True, False, True)):  # fmt: skip
        data = type("Data", (), {"ndim": ndim, "public": public, "brains": brains})
        study = type("Study", (), {"target": type("End", (), {"data": data})})
        object.__setattr__(volume, "result", type("Result", (), {"study": study}))
        assert bool(Models(checked(tmp_path)).hides(volume)) == hidden
        assert bool(Models(checked(tmp_path, volumes=True)).hides(volume)) == (ndim < 2)


def test_what_is_hidden_has_no_address_either(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    own = model_of(browser)
    monkeypatch.setattr(Models, "hides", lambda self, model: "It may show a face.")
    assert "It may show a face." in browser.get(own).text
    assert "image.png" not in browser.get(own).text
    for page in ("", "/image.png", "/gradient.png", "/occlusion.png"):
        assert browser.get(f"{own}/images/0{page}").status_code == 404


def test_arrays_that_are_gone_cost_the_pictures_alone(browser: TestClient, tmp_path: Path) -> None:
    model, _ = read(tmp_path)
    own = f"/runs/pictures/models/{model.id}"
    shutil.rmtree(tmp_path / "workspace" / "arrays" / model.result.arrays)
    text = browser.get(own).text
    assert "Confusion matrix" in text
    assert "image.png" not in text
    assert browser.get(f"{own}/images/0/image.png").status_code == 404


# ---------------------------------------------------------------- saliency


def test_saliency_is_computed_once_and_shown_over_the_image(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, made = model_of(browser), list[str]()
    drawn = asking.drawn
    monkeypatch.setattr(asking, "drawn", lambda image, heat=None: made.append("x") or drawn(image, heat))
    page = browser.get(f"{own}/images/0?look=gradient").text
    assert f"{own}/images/0/gradient.png" in page
    pictures = {kind: browser.get(f"{own}/images/0/{kind}.png").content for kind in ("image", "gradient", "occlusion")}
    assert len(set(pictures.values())) == 3
    assert browser.get(f"{own}/images/0/gradient.png").content == pictures["gradient"]
    assert len(made) == 3


def test_a_model_without_a_network_is_asked_by_occlusion_alone(browser: TestClient) -> None:
    own = model_of(browser, "shallow", "logistic")
    assert 'id="gradient"' not in browser.get(f"{own}/images/0").text
    assert browser.get(f"{own}/images/0/occlusion.png").status_code == 200
    answer = browser.get(f"{own}/images/0/gradient.png")
    assert answer.status_code == 400
    assert "Ask for occlusion" in answer.text


def test_more_saliency_than_can_wait_is_refused(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    own = model_of(browser)
    monkeypatch.setattr(asking, "_WAITING", 0)
    answer = browser.get(f"{own}/images/0/occlusion.png")
    assert answer.status_code == 409
    assert "Ask again" in answer.text


# ---------------------------------------------------------------- trying it


def tried(browser: TestClient, own: str, name: str, content: bytes, **fields: str) -> str:
    data = {"form": form_of(browser)} | fields
    return browser.post(f"{own}/try", data=data, files={"image": (name, content)}).text


def test_an_image_is_answered_as_predict_does_and_not_kept(browser: TestClient, tmp_path: Path) -> None:
    model, _ = read(tmp_path)
    before = set((tmp_path / "workspace").rglob("*"))
    (tmp_path / "one.png").write_bytes(noise())
    text = tried(browser, model_of(browser), f"a{HTML}.png", noise())
    expected = predict_files(model.folder, [tmp_path / "one.png"])[0]
    for share in expected:
        assert f"{share:.4f}" in text
    assert "too few to tell: 1 images came in" in text
    assert "outside of all that the model was trained on" in text  # noise in colour, not bars
    assert "<script>alert" not in text
    assert set((tmp_path / "workspace").rglob("*")) == before


def test_a_model_with_columns_and_several_targets_is_tried_in_the_page(browser: TestClient, tmp_path: Path) -> None:
    model, _ = read(tmp_path, "ages")
    own = model_of(browser, "ages")
    assert "place (arm, leg); empty where it is not known" in browser.get(own).text
    (tmp_path / "one.png").write_bytes(noise())
    for place in ("arm", ""):
        said = predict_each_file(model.folder, [tmp_path / "one.png"], inputs={"place": [place or None]})
        text = tried(browser, own, "one.png", noise(), **{"input-0": place})
        assert f'<span id="said">{said["age"][0]:.4g}' in text
        shares = said["class"][0]
        told = ("bars", "dots&lt;b&gt;")[shares.argmax()]
        assert ("<td>column place unknown</td>" in text) == (not place)
        assert f"<dt>class</dt><dd>{told}, with a probability of {shares.max():.4f}</dd>" in text


def test_a_file_that_does_not_fit_is_refused_with_its_reason(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = model_of(browser)
    text = tried(browser, own, "../../evil.png", b"no picture")
    assert "Not done" in text
    assert "/tmp" not in text
    none = browser.post(f"{own}/try", data={"form": form_of(browser)}, files={"other": ("a.png", picture())})
    assert "choose a file first" in none.text
    monkeypatch.setattr(ending, "_UPLOAD_BYTES", 1000)
    assert "at most 1,000 bytes" in tried(browser, own, "a.png", picture(side=64))


def test_forms_that_are_not_ours_change_nothing(browser: TestClient, tmp_path: Path) -> None:
    own = model_of(browser)
    answer = browser.post(f"{own}/try", data={"form": "x"}, files={"image": ("a.png", picture())})
    assert (answer.status_code, "said" in answer.text) == (400, False)
    for page in (f"{own}/try", "/runs/pictures/time"):
        foreign = browser.post(page, data={"form": form_of(browser)}, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403, page
    assert browser.post("/runs/pictures/time", data={"form": "x", "minutes": "1"}).status_code == 400


# ---------------------------------------------------------------- two runs


def test_two_runs_are_paired_on_the_subjects_that_both_were_tested_on(browser: TestClient, tmp_path: Path) -> None:
    text = browser.get("/compare?one=pictures&other=shallow").text
    models = Models(checked(tmp_path / "workspace"))
    one, other = (next(each for each in models.of(run) if each.best) for run in ("pictures", "shallow"))
    gain = models.difference(one, other)
    assert not isinstance(gain, str)
    scores = [models.tested(each).score for each in (one, other)]
    assert scores[0] is not None
    assert scores[1] is not None
    assert gain.mean == pytest.approx(scores[0].mean - scores[1].mean)
    assert f"{gain.mean:+.4g} ({gain.low:+.4g} to {gain.high:+.4g})" in text
    assert "same 8 test subjects" in text
    back = models.difference(other, one)
    assert not isinstance(back, str)
    assert back.mean == pytest.approx(-gain.mean)


def test_runs_with_other_subjects_or_metrics_are_not_paired(browser: TestClient) -> None:
    assert "judged by different metrics" in browser.get("/compare?one=pictures&other=ages").text
    assert browser.get("/compare?one=pictures&other=..%2fkey").status_code == 404
    assert 'id="compare"' in browser.get("/compare").text


# ---------------------------------------------------------------- more time

RACE = "# kept\nname: race\ntuning:\n  seconds: 90  # of searching\n  race: {finalists: 3}\n"


def ended_race(root: Path) -> Path:
    file = Workspace(root).root / "automl" / "race.yaml"
    file.parent.mkdir()
    file.write_text(RACE)
    log = EventLog(events_path(root, "race"))
    log.write("run.began", benchmark="race", identity="a", studies=1, workers=1, pid=1, started="x", host="h")
    log.write("run.interrupted", seconds=1.0)
    log.close()
    return file


def test_added_time_stands_in_the_file_and_the_race_goes_on(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, started = ended_race(tmp_path / "workspace"), []
    browser = client()
    assert 'id="more-time"' in browser.get("/runs/race").text
    assert "can go on" in browser.get("/runs/race").text
    assert "race for 1 min 30 s" in browser.get("/runs/race/time").text
    monkeypatch.setattr(processes, "start", lambda root, name, words: started.append((name, words)))
    answer = browser.post("/runs/race/time", data={"form": form_of(browser), "minutes": "1.5"})
    assert answer.headers["location"] == "/runs/race"
    assert file.read_text() == RACE.replace("seconds: 90 ", "seconds: 180")
    assert started == [("race", ["run", str(file)])]
    for minutes in ("0", "-1", "soon", "nan", "inf", "1e9", ""):
        assert browser.post(
            "/runs/race/time", data={"form": form_of(browser), "minutes": minutes}
        ).status_code == 400, minutes  # fmt: skip
    assert len(started) == 1


def test_no_time_is_added_to_what_is_no_race_or_goes_on(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ended_race(tmp_path / "workspace")
    browser = client()
    monkeypatch.setattr(processes, "is_claimed", lambda *place: True)
    assert browser.post("/runs/race/time", data={"form": form_of(browser), "minutes": "1"}).status_code == 409
    assert file.read_text() == RACE
    file.write_text("name: race\ntuning: {trials: 4}\n")
    assert 'id="more-time"' not in browser.get("/runs/race").text
    assert browser.post("/runs/race/time", data={"form": form_of(browser), "minutes": "1"}).status_code == 400


# ---------------------------------------------------------------- monitoring


def test_monitoring_shows_what_a_server_writes(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "watch.json"
    assert client().get("/monitoring").status_code == 404
    browser = client(monitor=file)
    assert ">Monitoring<" in browser.get("/").text
    assert "Nothing has been written yet" in browser.get("/monitoring").text
    row = {"feature": HTML, "median_reference": 1.0, "median": None, "distance": 0.5, "psi": 0.3, "p_corrected": 0.001,
           "drifted": True}  # fmt: skip
    told = {"verdict": "drift", "told": "20 images differ.", "window": 20, "filling": 3, "images": 23, "windows": 1,
            "alarms": 1, "judged_at": time.time() - 5, "last": {"rows": [row]}}  # fmt: skip
    file.write_text(json.dumps(told))
    for page in ("/monitoring", "/monitoring/live"):
        text = browser.get(page).text
        for words in ("20 images differ.", "3 of 20", "1 of 20 images each, 1 with an alarm", "0.001", "s ago"):
            assert words in text, words
        assert "<script>alert" not in text
    for bad in ("{", "[]", "{}", '{"last": 3}', json.dumps(told | {"last": {"rows": [{"feature": "x"}]}})):
        file.write_text(bad)
        assert "cannot be read" in browser.get("/monitoring").text, bad


def test_every_page_works_below_a_prefix(trained: Path, tmp_path: Path, client: Client) -> None:
    shutil.copytree(trained / "workspace", tmp_path / "workspace")
    browser = client(prefix="/ctlr")
    own = model_of(browser)
    for page in ("/runs/pictures/models", own, f"{own}/images/0", "/compare?one=pictures&other=shallow"):
        text = browser.get(f"/ctlr{page}").text
        assert not re.findall(r'(?:href|src|action)="(?!/ctlr/|#|https)[^"]+"', text), page

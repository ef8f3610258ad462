"""The server: the protocol as its clients speak it, files as people send them, and what goes wrong."""

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clinic import volume_file
from served import Client, running
from starlette.applications import Starlette
from trained_models import Trained

from ctlr.data.preparation import prepare_files
from ctlr.errors import ConfigError
from ctlr.monitoring import read_reference
from ctlr.serving import predict_files
from ctlr.serving.http import Limits, create_app
from ctlr.serving.http.batching import Batcher, Busy
from ctlr.serving.http.server import serve
from ctlr.training.checkpoint import load_model


@pytest.fixture(scope="module")
def volumes(clinic: Trained) -> Iterator[Client]:
    with running(create_app(load_model(clinic.folder), limits=Limits(body=2**20))) as client:
        yield client


@pytest.fixture(scope="module")
def shapes(pictures: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    reference = read_reference(pictures.folder)
    file = tmp_path_factory.mktemp("watch") / "drift.json"
    with running(create_app(load_model(pictures.folder), reference=reference, window=10, monitor=file)) as client:
        yield client


def prepared(trained: Trained, files: list[Path]) -> np.ndarray[Any, np.dtype[np.float32]]:
    preparation = load_model(trained.folder).card.preparation
    assert preparation is not None
    return prepare_files(files, preparation)


def asked(images: np.ndarray[Any, Any], **more: Any) -> dict[str, Any]:
    tensor = {"name": "images", "datatype": "FP32", "shape": list(images.shape), "data": images.ravel().tolist()}
    return {"inputs": [tensor], **more}


# ---------------------------------------------------------------- the protocol


def test_the_server_says_what_it_is_and_that_it_is_ready(volumes: Client, shapes: Client) -> None:
    assert volumes("/v2").json["name"] == "ctlr"
    assert volumes("/v2").json["extensions"] == ["binary_tensor_data"]
    assert volumes("/v2/health/live").json == {"live": True}
    assert volumes("/v2/health/ready").json == {"ready": True}
    assert volumes("/v2/models/model/ready").json == {"name": "model", "ready": True}
    told = volumes("/v2/models/model").json
    assert told["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, 1, 18, 18, 20]}]
    assert told["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    assert told["parameters"] == {"target": "age", "task": "regression", "unit": "years"}
    assert volumes("/v2/models/model/versions/1").json == told
    assert shapes("/v2/models/model").json["outputs"] == [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]}
    ]
    assert "the model is called 'model'; got 'other'" in volumes.error(volumes("/v2/models/other"), 404)
    assert "version is '1'; got '2'" in volumes.error(volumes("/v2/models/model/versions/2"), 404)
    assert volumes("/nothing").code == 404
    assert volumes("/v2/models/model/infer").code == 405


def test_json_and_binary_tensors_are_answered_with_the_models_own_numbers(clinic: Trained, volumes: Client) -> None:
    files = sorted(clinic.data.glob("sub-*/anat/*_T1w.nii.gz"))[:3]
    images, expected = prepared(clinic, files), predict_files(clinic.folder, files)
    answer = volumes.infer(asked(images, id="seven")).json
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("model", "1", "seven")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("prediction", "FP64", [3])
    np.testing.assert_allclose(output["data"], expected, rtol=1e-6)
    nested = asked(images)
    nested["inputs"][0]["data"] = images.tolist()
    np.testing.assert_allclose(volumes.infer(nested).json["outputs"][0]["data"], expected, rtol=1e-6)
    binary = {"name": "images", "datatype": "FP32", "shape": list(images.shape),
              "parameters": {"binary_data_size": images.nbytes}}  # fmt: skip
    head = json.dumps({"inputs": [binary], "parameters": {"binary_data_output": True}}).encode()
    found = volumes(
        "/v2/models/model/versions/1/infer", head + images.tobytes(), Inference_Header_Content_Length=str(len(head))
    )
    length = int(found.headers["inference-header-content-length"])
    (output,) = json.loads(found.body[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": 24}
    np.testing.assert_allclose(np.frombuffer(found.body[length:], "<f8"), expected, rtol=1e-6)


def spoilt(images: np.ndarray[Any, Any], **change: Any) -> dict[str, Any]:
    whole = asked(images)
    whole["inputs"][0] |= change
    return whole


def test_a_tensor_that_does_not_fit_is_refused_with_rule_value_and_remedy(clinic: Trained, volumes: Client) -> None:
    image = prepared(clinic, [volume_file(clinic.data, "sub-XYZZY00")])
    for bad, told in (
        ([], r"`inputs` must be a list of one tensor"),
        ({"inputs": []}, r"`inputs` must be a list of one tensor"),
        ({"inputs": [1]}, r"`inputs` must be a list of one tensor"),
        (spoilt(image, name="x"), r"a list of one tensor, 'images'; got \['x'\]. Send each once"),
        (spoilt(image, datatype="INT8"), r"`datatype` of images must be FP32; got 'INT8'"),
        (spoilt(image, shape=[1, 1, 18, 18, 19]), r"`shape` of images must be \[N, 1, 18, 18, 20\]; got"),
        (spoilt(image, shape=[True, 1, 18, 18, 20]), r"`shape` of images must be"),
        (spoilt(image, shape=[0, 1, 18, 18, 20], data=[]), r"`shape` of images must be"),
        (spoilt(image, shape=[10**30, 1, 18, 18, 20]), r"must have the 648\d+ numbers of its `shape`"),
        (spoilt(image, shape="x"), r"`shape` of images must be"),
        (spoilt(image, data=[1.0, 2.0]), r"must have the 6480 numbers of its `shape`; it has 2"),
        (spoilt(image, data=["1"] * 6480), r"`data` of images must be a list of numbers"),
        (spoilt(image, data=[[1.0], [2.0, 3.0]]), r"`data` of images must be a list of numbers"),
        (spoilt(image, data=None), r"`data` of images must be a list of numbers"),
        (spoilt(image, data=[float("nan")] * 6480), r"every value must be finite"),
        (spoilt(image, data=(image * 100).ravel().tolist()), r"image 0: `normalise: zscore` kept as uint8"),
        (spoilt(image, parameters={"binary_data_size": 4}), r"images must have `data` or `binary_data_size`; it has"),
        (asked(image, outputs=[{"name": "x"}]), r"`outputs` may name 'prediction' alone"),
    ):  # fmt: skip
        assert re.search(told, volumes.error(volumes.infer(bad))), (told, volumes.infer(bad))
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"inputs": 1e999}'):
        assert volumes("/v2/models/model/infer", body).code == 400
    told = volumes.error(volumes("/v2/models/model/infer", b"{}", Inference_Header_Content_Length="99"))
    assert "must be the bytes of JSON, at most the body's 2; got '99'" in told
    assert volumes.infer(asked(image)).code == 200


# ---------------------------------------------------------------- files


def test_files_go_through_the_models_whole_preparation(clinic: Trained, volumes: Client) -> None:
    first = volume_file(clinic.data, "sub-XYZZY00")
    mask = Path(str(first).replace("_T1w", "_desc-brain_mask"))
    content, brain = first.read_bytes(), mask.read_bytes()
    answer = volumes.send(("file", "a.nii.gz", content), ("mask", "b.nii.gz", brain), ("file", "c.nii.gz", content))
    assert answer.code == 200
    good, bare = answer.json["predictions"]
    (expected,) = predict_files(clinic.folder, [first])
    assert good == {"file": "a.nii.gz", "prediction": pytest.approx(expected, rel=1e-6), "unit": "years"}
    assert bare["file"] == "c.nii.gz"
    assert "normalised inside a mask of the brain, and this one has none" in bare["reason"]


def test_bad_files_are_refused_with_the_command_lines_sentences(
    clinic: Trained, pictures: Trained, volumes: Client, shapes: Client
) -> None:
    picture = next(pictures.data.rglob("*.png")).read_bytes()
    for name, content, told in (
        ("a.png", b"no picture", "a picture .* is needed; this is none"),
        ("a.nii.gz", b"", "predicts from pictures; this is a volume"),
        ("../../etc/passwd", picture[:40], "picture"),
        ("", picture[:40], "picture"),
    ):
        answer = shapes.send(("file", name, content))
        assert answer.code == 400
        (row,) = answer.json["predictions"]
        assert re.search(told, row["reason"]), row
        assert "/tmp" not in answer.body.decode()
    answer = shapes.send(("file", "good.png", picture), ("file", "bad.png", b"x"))
    assert answer.code == 200
    assert [sorted(row) for row in answer.json["predictions"]] == [["file", "prediction", "probabilities"],
                                                                    ["file", "reason"]]  # fmt: skip
    assert "must have a part called `file`" in shapes.error(shapes.send())
    assert "called `file` or `mask`; got 'other'" in shapes.error(shapes.send(("other", "a.png", picture)))
    assert "must follow the `file`" in shapes.error(shapes.send(("mask", "a.png", picture)))
    assert "in parts called `file`" in shapes.error(shapes("/v1/predict", picture), 415)
    assert shapes("/v1/predict", b"x", content_type="multipart/form-data; boundary=y").code == 400
    assert shapes("/v1/predict", b"x", content_type="multipart/form-data").code == 400


def test_a_body_beyond_the_limit_is_refused(volumes: Client) -> None:
    told = volumes.error(volumes("/v2/models/model/infer", bytes(2**21)), 413)
    assert told == "a request must have at most 1048576 bytes. Send fewer images."
    assert volumes.send(("file", "a.nii.gz", bytes(2**21))).code == 413
    host, port = volumes.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as made:  # says no length, and never ends
        made.sendall(b"POST /v2/models/model/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 10_000:
                made.sendall(b"10000\r\n" + bytes(2**16) + b"\r\n")
                sent += 1
        assert sent < 10_000  # the server has hung up
    assert volumes("/v2/health/ready").code == 200


# ---------------------------------------------------------------- columns, and several targets


@pytest.fixture(scope="module")
def beside(lesions: Trained) -> Iterator[Client]:
    with running(create_app(load_model(lesions.folder))) as client:
        yield client


def with_columns(images: np.ndarray[Any, Any], age: list[Any], place: list[Any]) -> dict[str, Any]:
    tensors = [{"name": "place", "datatype": "BYTES", "shape": [len(place)], "data": place},
               {"name": "age", "datatype": "FP64", "shape": [len(age)], "data": age}]  # fmt: skip
    whole = asked(images)
    return {"inputs": [*tensors, *whole["inputs"]]}


def test_each_column_is_a_tensor_that_the_metadata_tell_of(lesions: Trained, beside: Client) -> None:
    told = beside("/v2/models/model").json
    assert told["inputs"][1:] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]}, {"name": "place", "datatype": "BYTES", "shape": [-1]},
    ]  # fmt: skip
    assert told["parameters"]["columns"] == {
        "age": {"kind": "number", "missing": "NaN, or null in JSON"},
        "place": {"kind": "category", "categories": ["arm", "leg"], "missing": "an empty text"},
    }
    files = sorted(lesions.data.rglob("*.png"))[:4]
    images, age, place = prepared(lesions, files), [31, 40.5, None, 60], ["leg", "arm", "", "élbow"]
    expected = predict_files(lesions.folder, files, inputs={"age": age, "place": place})
    answer = beside.infer(with_columns(images, age, place))
    np.testing.assert_allclose(np.reshape(answer.json["outputs"][0]["data"], (4, 2)), expected, rtol=1e-6)
    texts = b"".join(len(each.encode()).to_bytes(4, "little") + each.encode() for each in place)
    numbers = np.array([math.nan if each is None else each for each in age]).tobytes()
    tensors = {"age": ("FP64", [4], numbers), "images": ("FP32", list(images.shape), images.tobytes()),
               "place": ("BYTES", [4], texts)}  # fmt: skip
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}
        for name, (datatype, shape, data) in tensors.items()
    ]
    head = json.dumps({"inputs": inputs}).encode()
    body = b"".join([head, *(data for _, _, data in tensors.values())])
    found = beside("/v2/models/model/infer", body, Inference_Header_Content_Length=str(len(head)))
    assert found.json["outputs"] == answer.json["outputs"]
    told = beside.error(beside("/v2/models/model/infer", body + b"x", Inference_Header_Content_Length=str(len(head))))
    assert "1 more follow" in told
    cut = body[:-1].replace(b'"binary_data_size": %d}' % len(texts), b'"binary_data_size": %d}' % (len(texts) - 1))
    assert "the last one is cut off" in beside.error(
        beside("/v2/models/model/infer", cut, Inference_Header_Content_Length=str(len(head)))
    )


def test_columns_that_do_not_fit_are_refused_with_rule_value_and_remedy(lesions: Trained, beside: Client) -> None:
    images = prepared(lesions, sorted(lesions.data.rglob("*.png"))[:2])

    def changed(place: int, **change: Any) -> dict[str, Any]:
        whole = with_columns(images, [31, 32], ["arm", "leg"])
        whole["inputs"][place] |= change
        return whole

    for bad, told in (
        (asked(images), r"`inputs` must be tensors 'images', 'age', 'place'; got \['images'\]. Send each once"),
        (changed(0, name="size"), r"got \['size', 'age', 'images'\]"),
        (changed(0, name="age"), r"got \['age', 'age', 'images'\]"),
        (changed(0, datatype="INT64"), r"`datatype` of place must be BYTES; got 'INT64'. Convert"),
        (changed(1, datatype="FP32"), r"`datatype` of age must be FP64; got 'FP32'"),
        (changed(1, shape=[2, 1]), r"`shape` of age must be \[N\]; got \[2, 1\]. Flatten it"),
        (changed(1, shape=[1], data=[31]), r"`shape` of age must be \[2\], a value an image; got \[1\]"),
        (changed(0, data=["arm"]), r"`data` of place must have the 2 texts of its `shape`; it has 1"),
        (changed(0, data=["arm", 3]), r"`data` of place must be a list of texts; it has 3"),
        (changed(1, data=["31", "32"]), r"`data` of age must be a list of numbers"),
        (changed(1, data=[31, 1e999]), r"'age' must be a number or None, as in training; got 'inf'"),
        (changed(1, parameters={"binary_data_size": 8}), r"age must have `data` or `binary_data_size`; it has both"),
    ):
        assert re.search(told, beside.error(beside.infer(bad))), (told, beside.infer(bad).json)


def test_fields_after_a_file_are_its_columns(lesions: Trained, beside: Client) -> None:
    one, other = (file.read_bytes() for file in sorted(lesions.data.rglob("*.png"))[:2])
    files = sorted(lesions.data.rglob("*.png"))[:2]
    answer = beside.send(("file", "a.png", one), ("age", "", b"31"), ("place", "", b"leg"),
                         ("file", "b.png", other), ("place", "", b""), ("age", "", b""))  # fmt: skip
    expected = predict_files(lesions.folder, files, inputs={"age": [31, None], "place": ["leg", None]})
    said = [row["probabilities"]["bars"] for row in answer.json["predictions"]]
    np.testing.assert_allclose(said, expected[:, 0], rtol=1e-6)
    told = beside.error(beside.send(("file", "a.png", one), ("age", "", b"31")))
    assert "a.png: the model reads 'age', 'place' beside the image; 'place' is not given. Send it as a field" in told
    whole = [("file", "a.png", one), ("place", "", b"leg"), ("age", "", b"old")]
    assert "'age' must be a number or None, as in training; got 'old'" in beside.error(beside.send(*whole))
    assert "the field 'age' must follow the `file` that it belongs to" in beside.error(
        beside.send(("age", "", b"31"), *whole)
    )
    assert "and fields 'age', 'place'; got 'size'" in beside.error(beside.send(*whole, ("size", "", b"3")))


@pytest.mark.parametrize("method", ["scratch", "forest"])
def test_each_target_is_a_tensor_that_goes_out(several: Trained, method: str) -> None:
    folder, file = several.of(method), min(several.data.rglob("*.png"))
    images = np.repeat(prepared(several, [file]), 3, axis=0)
    expected = load_model(folder).predict_each(images, inputs={"age": [31, 50, None]})
    with running(create_app(load_model(folder))) as client:
        told = client("/v2/models/model").json
        assert told["outputs"] == [
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
            {"name": "also_size_prediction", "datatype": "FP64", "shape": [-1]},
            {"name": "also_place_probabilities", "datatype": "FP64", "shape": [-1, 2]},
        ]
        assert told["parameters"]["also"]["also_place_probabilities"] == {"target": "place", "classes": ["arm", "leg"]}
        whole = asked(images)
        whole["inputs"].append({"name": "age", "datatype": "FP64", "shape": [3], "data": [31, 50, None]})
        answer = client.infer(whole).json["outputs"]
        for output, known in zip(answer, expected.values(), strict=True):
            np.testing.assert_allclose(np.reshape(output["data"], known.shape), known, rtol=1e-5, atol=1e-7)
        (single,) = client.infer(whole | {"outputs": [{"name": "also_size_prediction"}]}).json["outputs"]
        assert single == answer[1]
        wrong = client.error(client.infer(whole | {"outputs": [{"name": "size"}]}))
        assert "`outputs` may name 'probabilities', 'also_size_prediction', 'also_place_probabilities'" in wrong
        (row,) = client.send(("file", "a.png", file.read_bytes()), ("age", "", b"31")).json["predictions"]
        assert row["also"]["size"]["prediction"] == pytest.approx(expected["size"][0], rel=1e-5)
        assert set(row["also"]["place"]["probabilities"]) == {"arm", "leg"}


# ---------------------------------------------------------------- many at once


def test_requests_that_come_together_are_predicted_together(clinic: Trained) -> None:
    files = sorted(clinic.data.glob("sub-*/anat/*_T1w.nii.gz"))[:16]
    images, expected = prepared(clinic, files), predict_files(clinic.folder, files)
    app = create_app(load_model(clinic.folder), limits=Limits(batch=8, wait=0.2))
    with running(app) as client, ThreadPoolExecutor(16) as pool:
        found = [answer.json["outputs"][0]["data"][0]
                 for answer in pool.map(lambda row: client.infer(asked(images[row : row + 1])), range(16))]  # fmt: skip
        text = client("/metrics").body.decode()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "ctlr_batch_images_sum 16.0" in text
    batches = re.search(r"ctlr_batch_images_count (\d+)", text)
    assert batches is not None
    assert 2 <= int(batches[1]) <= 8
    assert 'ctlr_requests_total{code="200",route="infer"} 16.0' in text


def test_a_batch_that_fails_fails_its_own_requests_and_more_than_may_wait_are_refused() -> None:
    def predict(images: np.ndarray[Any, Any], cells: Any) -> dict[str, np.ndarray[Any, Any]]:
        time.sleep(0.05)
        if images.min() < 0:
            raise ValueError("negative")
        return {"x": images.sum((1, 2, 3), dtype=np.float64)}

    async def asking() -> None:
        batcher = Batcher(predict, Limits(batch=2, wait=0, queue=4), lambda images, seconds: None)
        batcher.start()
        one = np.ones((1, 1, 2, 2), np.float32)
        with pytest.raises(ValueError, match="negative"):
            await batcher.predict(-one, {})
        assert await batcher.predict(one, {}) == {"x": [4]}
        waiting = [asyncio.create_task(batcher.predict(number * one, {})) for number in range(5)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert results[:4] == [{"x": [total]} for total in (0, 4, 8, 12)]
        assert isinstance(results[4], Busy)
        big = asyncio.create_task(
            batcher.predict(np.ones((9, 1, 2, 2), np.float32), {})
        )  # more than may wait, but alone
        gone = asyncio.create_task(batcher.predict(one, {}))
        await asyncio.sleep(0)
        gone.cancel()
        assert len((await big)["x"]) == 9
        await batcher.stop()

    asyncio.run(asking())


# ---------------------------------------------------------------- drift


def test_drift_is_judged_window_by_window_and_told_everywhere(pictures: Trained, tmp_path: Path) -> None:
    reference, file = read_reference(pictures.folder), tmp_path / "drift.json"
    paths = sorted(pictures.data.rglob("*.png"))
    images = prepared(pictures, paths[:10])
    app = create_app(load_model(pictures.folder), reference=reference, window=10, monitor=file)
    with running(app) as client:
        assert client("/v1/drift").json["told"] == "too few to tell: 0 of the first window's 10 images."
        assert client.infer(asked(images[:, :, ::-1])).code == 200
        state = settled(client, 1)
        assert (state["images"], state["filling"], state["windows"]) == (10, 0, 1)
        assert state["verdict"] == state["last"]["verdict"]
        client.infer(asked(images[:4]))
        text = client("/metrics").body.decode()
        assert f'ctlr_drift_windows_total{{verdict="{state["verdict"]}"}} 1.0' in text
    kept = json.loads(file.read_text())
    assert (kept["last"], kept["filling"]) == (state["last"], 4)
    assert "png" not in file.read_text()


def test_columns_that_come_in_drift_too(lesions: Trained) -> None:
    files = sorted(lesions.data.rglob("*.png"))[:10]
    app = create_app(load_model(lesions.folder), reference=read_reference(lesions.folder), window=10)
    with running(app) as client:
        assert client.infer(with_columns(prepared(lesions, files), [200] * 10, ["arm", "leg"] * 5)).code == 200
        rows = {row["feature"]: row for row in settled(client, 1)["last"]["rows"]}
        assert (rows["column age"]["median"], rows["column age"]["drifted"]) == (200, True)
        assert not rows["column place unknown"]["drifted"]


def settled(client: Client, windows: int) -> Any:
    for _ in range(1000):
        state = client("/v1/drift").json
        if state["windows"] == windows:
            return state
        time.sleep(0.05)
    raise AssertionError(state)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_served(
    pictures: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, reference = load_model(pictures.folder), read_reference(pictures.folder)
    with pytest.raises(ConfigError, match="none is no folder. Make it first"):
        create_app(model, reference=reference, monitor=tmp_path / "none" / "drift.json")
    file = tmp_path / "gone" / "drift.json"
    file.parent.mkdir()
    app = create_app(model, reference=reference, window=10, monitor=file)
    assert json.loads(file.read_text())["verdict"] == "too few"
    with running(app) as client:
        shutil.rmtree(file.parent)
        images = prepared(pictures, sorted(pictures.data.rglob("*.png"))[:10])
        assert client.infer(asked(images)).code == 200
        settled(client, 1)
        assert client.infer(asked(images[:1])).code == 200
    assert caplog.text.count("drift is not written") == 2  # after the window, and at the end


def test_a_model_without_a_reference_is_not_watched(volumes: Client) -> None:
    assert "has no monitoring.json" in volumes.error(volumes("/v1/drift"), 404)


# ---------------------------------------------------------------- the command


def test_sigterm_answers_what_is_under_way_and_ends_with_0(pictures: Trained, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ctlr", "serve", str(pictures.folder), "--port", "0", "--name", "shapes",
               "--wait", "1500", "--monitor", str(tmp_path / "drift.json")]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert re.fullmatch(r"shapes at http://127\.0\.0\.1:\d+\n", line), line
        client = Client(line.split()[-1])
        images = prepared(pictures, sorted(pictures.data.rglob("*.png"))[:1])
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(client.infer, asked(images), "/v2/models/shapes/infer")
            time.sleep(0.5)  # it waits for others
            process.send_signal(signal.SIGTERM)
            assert under_way.result().code == 200
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    assert json.loads((tmp_path / "drift.json").read_text())["images"] == 1


def test_an_address_that_is_taken_is_a_sentence(pictures: Trained) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} cannot be listened at: Address already in use. Name"):
            serve(Starlette(), "127.0.0.1", port, lambda address: None)

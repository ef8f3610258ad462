"""Pages and forms: from pictures to a run that is on its way."""

import json
import os
import re
import socket
import time
import zlib
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from browsing import form_of, picture, pictures, write_pictures, zipped
from fastapi.testclient import TestClient
from PIL import Image

from ctlr.config import load
from ctlr.errors import ConfigError
from ctlr.events import EventLog, events_path, process_start
from ctlr.ui import processes, server, starting
from ctlr.ui.folders import Folders
from ctlr.ui.options import Limits, checked
from ctlr.wishes import Wishes, read_wishes
from ctlr.workspace import Workspace

Client = Callable[..., TestClient]
HTML = "<script>alert(1)</script>"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Workspace(tmp_path / "workspace").root


def examined(browser: TestClient, folder: str) -> str:
    """The page of a folder that has been looked at."""
    deadline = time.monotonic() + 60
    while "pictures have been read" in (text := browser.get(f"/folders/{folder}").text):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return text


def upload(browser: TestClient, files: dict[str, bytes], **fields: str) -> str:
    """The answer's place, or its words."""
    sent = [("files", (name, content)) for name, content in files.items()]
    answer = browser.post("/uploads", data={"form": form_of(browser)} | fields, files=sent)
    return answer.headers.get("location") or answer.text


def lived(workspace: Path, name: str = "tiny", **more: object) -> EventLog:
    """The log of a run that this process might be at."""
    log = EventLog(events_path(workspace, name))
    began = {"pid": os.getpid(), "started": process_start(os.getpid()), "host": socket.gethostname()} | more
    log.write("run.began", benchmark=name, identity="a", studies=1, workers=1, **began)
    return log


# ---------------------------------------------------------------- pictures


def test_a_zip_becomes_a_folder_with_its_classes_counts_and_thumbnails(client: Client, workspace: Path) -> None:
    browser = client()
    assert upload(browser, {"a.zip": zipped({f"top/{k}": v for k, v in pictures(11).items()})}, name="My pets!") == (
        "/folders/my-pets"
    )
    text = examined(browser, "my-pets")
    assert "22 pictures of 2 classes, 24 pixels" in text
    assert 'class="note warn problem"' not in text
    small = browser.get("/folders/my-pets/thumbnails/3.webp")
    assert small.headers["content-type"] == "image/webp"
    (made,) = workspace.glob("uploads/my-pets/thumbnails/*.webp")
    with Image.open(made) as image:
        assert image.size == (24, 24)
    for bad in ("99.webp", "-1.webp", "x.webp", "..%2f..%2fkey"):
        assert browser.get(f"/folders/my-pets/thumbnails/{bad}").status_code in (404, 422)


def test_files_of_folders_and_files_of_one_class_come_in_as_they_are(client: Client, workspace: Path) -> None:
    browser = client()
    assert upload(browser, {f"pets/{name}": data for name, data in pictures(2).items()}) == "/folders/pets"
    assert "4 pictures of 2 classes" in examined(browser, "pets")
    assert upload(browser, {"1.png": picture(), "2.png": picture(1)}, label="cat", name="pets") == "/folders/pets-2"
    assert "needs a class" in upload(browser, {"1.png": picture()})
    assert not list(workspace.glob("uploads/.*"))


def test_an_upload_under_way_is_no_hindrance_to_a_run_that_begins(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    folders = Folders(checked(workspace.root))
    with folders.incoming() as place, workspace.working() as leads:
        assert leads
        assert place.is_dir()
    assert not list((workspace.root / "uploads").iterdir())


def test_what_a_killed_server_left_of_an_upload_goes_after_a_day(tmp_path: Path) -> None:
    folders = Folders(checked(Workspace(tmp_path / "workspace").root))
    with folders.incoming() as fresh, folders.incoming() as old:
        for place in (old, old.parent):
            os.utime(place, (0, 0))
        with folders.incoming():
            assert fresh.exists()
            assert not old.exists()


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "..\\evil.png"])
def test_an_upload_never_leaves_its_folder(client: Client, workspace: Path, name: str) -> None:
    browser = client()
    assert "Not done" in upload(browser, {"cat/1.png": picture(), name: picture()})
    assert "Not done" in upload(browser, {"a.zip": zipped({"cat/1.png": picture(), name: picture()})})
    assert "Not done" in upload(browser, {"1.png": picture()}, label=name)
    assert not list(workspace.parent.rglob("evil*"))
    assert not list((workspace / "uploads").iterdir())


def test_more_than_allowed_is_refused_while_it_arrives(client: Client, tmp_path: Path) -> None:
    browser = client(limits=Limits(bytes=50_000, free=0))
    assert "at most 50,000 bytes" in upload(browser, {"cat/1.png": picture(side=64) * 6})
    assert "at most 50,000 bytes" in upload(browser, {"a.zip": b"x" * 60_000})
    assert not list((tmp_path / "workspace" / "uploads").iterdir())


def test_a_picture_too_large_by_its_header_is_never_decoded(client: Client) -> None:
    huge = bytearray(picture())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    browser = client()
    upload(browser, {f"pets/{name}": data for name, data in (pictures(2) | {"cat/huge.png": bytes(huge)}).items()})
    text = examined(browser, "pets")
    assert "Pictures that cannot be used, and will be left out: 1." in text
    assert "cat/huge.png</b>: a picture has at most 67108864 pixels" in text


def test_problems_are_named_before_anything_is_trained(client: Client, workspace: Path) -> None:
    files = pictures(24) | {f"fox/{number}.png": picture(900 + number) for number in range(3)}
    files["fox/bad.png"] = picture(999)[:100]
    files["dog/twin.png"] = files["dog/1.png"]
    files["cat/dog.png"] = files["dog/2.png"]
    browser = client()
    upload(browser, {f"pets/{name}": data for name, data in files.items()})
    text = examined(browser, "pets")
    assert "Pictures that cannot be used, and will be left out: 1." in text
    assert "Fewer than 10 pictures: fox (4)" in text
    assert "The largest class has 6 times as many" in text
    assert "contradict each other: 1." in text
    assert "which train and test must not share: 2." in text
    assert "cat/dog.png" in text


def test_a_picture_that_was_saved_again_looks_alike(client: Client, tmp_path: Path) -> None:
    files = pictures(6)
    folder = write_pictures(tmp_path / "pets", files)
    image = Image.effect_mandelbrot((48, 48), (-2, -1.5, 1, 1.5), 50)
    image.save(folder / "cat" / "one.png")
    image.resize((64, 64)).save(folder / "dog" / "other.png")
    browser = client()
    browser.post("/folders", data={"form": form_of(browser), "path": str(folder)})
    text = examined(browser, "pets")
    assert "cat/one.png and dog/other.png" in text
    assert "copies of one another: 1." in text


def test_names_with_html_are_shown_as_text(client: Client, tmp_path: Path, workspace: Path) -> None:
    folder = write_pictures(
        tmp_path / "pets", {f"{HTML.replace('/', '')}/1.png": picture(), "dog/a<b>.png": picture(1)}
    )
    browser = client()
    browser.post("/folders", data={"form": form_of(browser), "path": str(folder)})
    text = examined(browser, "pets")
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    log = lived(workspace, host="elsewhere" + HTML)
    log.write("step.started", step=HTML, name=HTML, of="study")
    log.write("step.failed", step=HTML, seconds=1, reason=HTML)
    log.close()
    for page in ("/", "/runs/tiny", "/runs/tiny/live", "/runs/tiny/studies", "/runs/tiny?words=<script>alert(1)"):
        assert "<script>alert" not in browser.get(page).text
    assert "<script>alert" not in browser.post("/folders", data={"form": form_of(browser), "path": HTML}).text


def test_a_folder_is_registered_where_it_is_allowed_alone(client: Client, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pets", pictures(1))
    outside = write_pictures(tmp_path / "secret", pictures(1))
    (folder / "link").symlink_to(outside)
    browser = client(data=(folder,))
    for path in (str(outside), f"{folder}/../secret", f"{folder}/link", "pets", "", "/nowhere", f"{folder}\0"):
        answer = browser.post("/folders", data={"form": form_of(browser), "path": path})
        assert answer.status_code == 400, path
    assert browser.post("/folders", data={"form": form_of(browser), "path": str(folder)}).status_code == 303


# ---------------------------------------------------------------- runs


def test_what_a_form_chose_becomes_a_file_that_the_command_line_runs(client: Client, workspace: Path) -> None:
    browser, started = client(), []
    upload(browser, {f"pets/{name}": data for name, data in pictures(8).items()})
    examined(browser, "pets")
    choices = {
        "form": form_of(browser), "name": "pets", "side": "32", "encoder": "small_cnn", "methods": ["scratch", "vat"],
        "n_train": "4", "seeds": "2", "epochs": "3", "workers": "1", "colour": "yes",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(processes, "start", lambda root, name, words: started.append((root, name, words)))
        answer = browser.post("/folders/pets/start", data=choices)
    assert answer.headers["location"] == "/runs/pets"
    file = workspace / "runs" / "pets" / "pets.yaml"
    assert started == [(workspace, "pets", ["run", str(file), "--workers", "1"])]
    config = load(file)
    assert (list(config.methods), config.sample_sizes, config.seeds) == (["scratch", "vat"], (4,), (0, 1))
    assert config.datasets["pictures"].copies == "together"  # type: ignore[union-attr]
    assert browser.post("/folders/pets/start", data=choices).status_code == 409
    for name, value in (("side", "1e9"), ("seeds", "0"), ("encoder", "../x"), ("methods", "evil"), ("name", "../up")):
        assert browser.post("/folders/pets/start", data=choices | {name: value}).status_code == 400


def test_a_form_asks_for_a_model_as_the_command_line_does(client: Client, workspace: Path) -> None:
    browser, started = client(), []
    upload(browser, {f"pets/{name}": data for name, data in pictures(2).items()})
    asked = {
        "form": form_of(browser),
        "name": "pets",
        "minutes": "0.5",
        "goal": "0.9",
        "most_megabytes": "",
        "workers": "0",
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(processes, "start", lambda root, name, words: started.append((name, words)))
        assert browser.post("/folders/pets/automl", data=asked).headers["location"] == "/runs/pets"
        for name, value in (
            ("minutes", "soon"),
            ("minutes", "-1"),
            ("goal", "x"),
            ("name", "../up"),
            ("metric", "luck"),
        ):
            assert browser.post("/folders/pets/automl", data=asked | {name: value}).status_code == 400, (name, value)
    (root,) = workspace.glob("uploads/pets/pictures/pets")
    assert started == [("pets", ["automl", str(root), "--name", "pets", "--minutes", "0.5", "--goal", "0.9"])]
    more = {"metric": "roc_auc", "algorithm": "random", "trials": "7", "families": "svm, small-cnn", "features": "hog"}
    file, earlier = workspace.parent / "resnet18.pth", workspace.parent / "earlier"
    file.write_bytes(b"")
    earlier.mkdir()
    more |= {"weights": str(file), "weights_of": "resnet18", "warm_start": str(earlier)}
    pets, here = Folders(checked(workspace)).get("pets"), [workspace.parent]
    _, words = starting.automl_words(pets, asked | more, here)
    assert words[6:] == ["--goal", "0.9", "--trials", "7", "--metric", "roc_auc", "--algorithm", "random", "--families",
                         "svm,small-cnn", "--features", "hog", "--weights", f"{file}:resnet18", "--warm-start",
                         str(earlier)]  # fmt: skip
    for name, value in (("weights", "/etc/passwd"), ("weights", str(earlier)), ("warm_start", str(file))):
        with pytest.raises(ConfigError, match="a file must lie below|is no file|is no folder"):
            starting.automl_words(pets, asked | more | {name: value}, here)


def test_a_search_for_a_model_is_estimated_and_nothing_begins(client: Client, workspace: Path) -> None:
    browser = client()
    upload(browser, {f"pets/{name}": data for name, data in pictures(40).items()})
    asked = {"form": form_of(browser), "name": "pets", "minutes": "3", "families": "knn,svm", "workers": "2"}
    text = unescape(browser.post("/folders/pets/automl/plan", data=asked).text)
    assert "Estimated cost: 3 min on the clock" in text
    assert "on 2 processes: 6 min of them together" in text
    assert "2 searches race for" in text
    assert "knn" in text[text.index("<pre") :]
    assert 'name="families" value="knn,svm"' in text  # what starts is what was shown
    assert not (workspace / "runs" / "pets").exists()
    refused = browser.post("/folders/pets/automl/plan", data=asked | {"families": "magic"})
    assert refused.status_code == 400
    assert "unknown family 'magic'" in unescape(refused.text)


def test_a_run_shows_its_state_ranking_trials_and_failures(client: Client, workspace: Path) -> None:
    log = lived(workspace)
    log.write("run.planned", steps=4)
    log.write("step.started", step="t", name="tune scratch", of="tune", metric="val_mae", direction="min", trials=5)
    for number, value in enumerate((9.0, 4.0)):
        place = {"step": "t", "round": 1, "number": number, "parameters": {"lr": "0.1"}}
        log.write("trial.started", **place)
        log.write("trial.ended", **place, status="Succeeded", value=value, seconds=1.0, reason="")
    lost = {"step": "t", "round": 1, "number": 2, "parameters": {"lr": "9"}}
    log.write("trial.started", **lost)
    log.write("trial.ended", **lost, status="Failed", value=None, seconds=1.0,
              reason="RuntimeError (traceback in logs/trial-0123abcd.log)")  # fmt: skip
    log.write("step.started", step="s", name="scratch-n20", of="study", method="scratch")
    log.write("step.progress", step="s", done=3, total=10, row={"epoch": 3, "train_loss": 0.5})
    log.write("step.started", step="f", name="vat-n20", of="study", method="vat")
    log.write("step.failed", step="f", seconds=1.0, reason="ValueError (traceback in logs/study-0123abcd.log)")
    log.close()
    (workspace / "logs").mkdir()
    for of in ("study", "trial"):
        (workspace / "logs" / f"{of}-0123abcd.log").write_text(f"Traceback of a {of} {HTML}")
    browser = client()
    text = browser.get("/runs/tiny").text
    for words in (
        "running", "1 of 4 steps", "val_mae", "trial 1, 3 ended", "2 of 5 trials", "scratch-n20", "train_loss 0.5",
        'href="/logs/study-0123abcd.log"', "3 of 10", "t, trial 2: RuntimeError", 'href="/logs/trial-0123abcd.log"',
        "val_mae of 2 trials, best 4",
    ):  # fmt: skip
        assert words in text
    assert "running" in browser.get("/").text
    for of in ("study", "trial"):
        traceback = browser.get(f"/logs/{of}-0123abcd.log")
        assert traceback.text == f"Traceback of a {of} {HTML}"
        assert traceback.headers["content-type"].startswith("text/plain")
    for bad in ("..%2fkey", "key", "study-0123abcd.log%00"):
        assert browser.get(f"/logs/{bad}").status_code == 404


def test_a_run_is_paused_goes_on_and_is_given_a_goal_while_it_is_under_way(client: Client, workspace: Path) -> None:
    log, browser = lived(workspace), client()

    def ask(path: str, **fields: str) -> int:
        return browser.post(f"/runs/tiny/{path}", data={"form": form_of(browser), **fields}).status_code

    assert ask("pause") == 303
    assert read_wishes(workspace, "tiny").paused
    assert "It pauses at its next epoch" in browser.get("/runs/tiny").text
    log.write("run.paused")
    assert "all that they have learned" in browser.get("/runs/tiny").text
    assert ask("goal", goal="0.9") == 303
    assert read_wishes(workspace, "tiny") == Wishes(paused=True, goal=0.9)
    assert 'id="goal-now">0.9' in browser.get("/runs/tiny").text
    for bad in ("x", "nan", "1e999"):
        assert ask("goal", goal=bad) == 400
    assert ask("resume") == 303
    assert read_wishes(workspace, "tiny") == Wishes(goal=0.9)
    assert ask("goal", goal="") == 303
    assert read_wishes(workspace, "tiny") == Wishes()
    log.write("run.continued")
    log.write("run.ended", seconds=1.0)
    assert (ask("pause"), ask("goal", goal="1")) == (409, 409)
    assert browser.post("/runs/tiny/pause", data={"form": "x"}).status_code == 400
    log.close()


def test_a_run_that_goes_on_cannot_be_deleted_and_one_that_has_ended_can(client: Client, workspace: Path) -> None:
    lived(workspace).close()
    browser = client()
    assert "Stop it first" in browser.get("/runs/tiny/delete").text
    assert browser.post("/runs/tiny/delete", data={"form": form_of(browser)}).status_code == 409
    log = EventLog(events_path(workspace, "tiny"))
    log.write("run.ended", seconds=1.0)
    log.close()
    (workspace / "studies").mkdir()
    assert browser.get("/runs/tiny/delete").status_code == 200
    assert (workspace / "runs" / "tiny").exists()  # looking deletes nothing
    assert browser.post("/runs/tiny/delete", data={"form": form_of(browser)}).status_code == 303
    assert not (workspace / "runs" / "tiny").exists()
    assert (workspace / "studies").exists()
    assert browser.get("/runs/tiny").status_code == 404


@pytest.mark.parametrize("name", ["%2e%2e", "..%2ftiny", "%2e", "Tiny", "tiny%00", "tiny%2f..%2ftiny"])
def test_a_name_is_never_a_path(client: Client, workspace: Path, name: str) -> None:
    (workspace / "runs" / "tiny").mkdir(parents=True)
    for page in ("", "/delete", "/studies", "/report", "/report/report.html", "/events"):
        assert client().get(f"/runs/{name}{page}").status_code in (404, 405)


def test_a_report_is_shown_in_a_frame_that_runs_the_page_s_script_alone(client: Client, workspace: Path) -> None:
    folder = workspace / "reports" / "tiny"
    write_pictures(folder, {"report.html": b"<p>hello</p>", "tables/scores.csv": b"a,b", "identity": b"x"})
    (workspace / "key").write_bytes(b"secret")
    (folder / "link.html").symlink_to(workspace / "key")
    browser = client()
    assert 'sandbox="allow-downloads allow-popups allow-scripts"' in browser.get("/runs/tiny/report").text
    page = browser.get("/runs/tiny/report/report.html")
    assert page.text == "<p>hello</p>"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-same-origin" not in policy
    assert re.search(r"; script-src 'sha256-[\w+/=]+'; ", policy)
    assert browser.get("/runs/tiny/report/tables/scores.csv").headers["content-type"].startswith("text/csv")
    for bad in ("identity", "..%2f..%2fkey", "%2e%2e/%2e%2e/key", "link.html", "tables", "/etc/passwd"):
        assert browser.get(f"/runs/tiny/report/{bad}").status_code == 404, bad


@pytest.fixture
def stream(client: Client, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, object]]]:
    """Reads a run's stream up to so many events: a test client waits for an answer's end."""
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.01)

    def read(query: str = "", headers: dict[str, str] | None = None, count: int = 3) -> list[dict[str, object]]:
        import anyio

        found: list[dict[str, object]] = []
        app = client().app
        sent = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]

        class Enough(Exception): ...

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.body":
                text = bytes(message.get("body") or b"").decode()  # type: ignore[call-overload]
                block = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
                if "data" in block:
                    found.append({"id": block.get("id"), "event": block.get("event"), **json.loads(block["data"])})
                    if len(found) >= count:
                        raise Enough

        async def receive() -> dict[str, object]:
            await anyio.sleep(60)
            return {"type": "http.disconnect"}

        scope = {
            "type": "http", "method": "GET", "path": "/runs/tiny/events", "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), *sent], "scheme": "http", "server": ("localhost", 80),
            "client": ("127.0.0.1", 1), "http_version": "1.1", "asgi": {"version": "3.0"}, "root_path": "",
            "raw_path": b"/runs/tiny/events",
        }  # fmt: skip

        async def main() -> None:
            with anyio.fail_after(20):
                await app(scope, receive, send)  # type: ignore[arg-type]

        with pytest.raises((Enough, ExceptionGroup)):
            anyio.run(main)
        return found

    return read


def test_events_are_replayed_after_the_last_one_that_a_browser_saw(
    stream: Callable[..., list[dict[str, object]]], workspace: Path
) -> None:
    log = lived(workspace)
    for number in range(2, 8):
        log.write("step.taken", step=str(number))
    log.close()
    assert [event["id"] for event in stream()] == ["1", "2", "3"]
    assert [event["n"] for event in stream("after=2", count=5)] == [3, 4, 5, 6, 7]
    assert [event["n"] for event in stream("after=2", {"last-event-id": "5"}, count=2)] == [6, 7]
    assert stream("after=99", count=1)[0]["event"] == "anew"


def test_a_page_is_told_that_nothing_happens_so_that_silence_means_a_lost_connection(
    stream: Callable[..., list[dict[str, object]]], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(workspace).close()
    monkeypatch.setattr(server, "_BEAT_SECONDS", 0.05)
    assert stream("after=1", count=2) == 2 * [{"id": None, "event": "beat"}]  # and nothing that a page would number

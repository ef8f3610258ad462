"""Other workspaces that one server shows: opened by their folders, and never from elsewhere than allowed."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import form_of
from fastapi.testclient import TestClient

from ctlr.events import EventLog, events_path, process_start
from ctlr.wishes import read_wishes
from ctlr.workspace import Workspace

Client = Callable[..., TestClient]
HTML = "<script>alert(1)</script>"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A workspace with a run that this process might be at."""
    root = tmp_path / "mine" / "Other one"
    Workspace(root)
    log = EventLog(events_path(root, "tiny"))
    log.write("run.began", benchmark="tiny", identity="a", studies=1, workers=1, pid=os.getpid(),
              started=process_start(os.getpid()), host=socket.gethostname())  # fmt: skip
    log.write("step.started", step="f", name=HTML, of="study", method="vat")
    log.close()
    return root


def opened(browser: TestClient, path: Path | str, prefix: str = "") -> str:
    """Where the server leads to who opens a folder, or what it says."""
    answer = browser.post(f"{prefix}/open", data={"form": form_of(browser, f"{prefix}/new"), "path": str(path)})
    return answer.headers["location"] if answer.status_code == 303 else f"{answer.status_code} {answer.text}"


@pytest.mark.parametrize("prefix", ["", "/ctlr"])
def test_a_workspace_is_opened_used_and_closed(client: Client, tmp_path: Path, other: Path, prefix: str) -> None:
    browser = client(prefix=prefix)
    assert opened(browser, other, prefix) == f"{prefix}/workspaces/other-one/"
    assert opened(browser, other, prefix) == f"{prefix}/workspaces/other-one/"  # once is enough
    home = browser.get(f"{prefix}/").text
    assert f'href="{prefix}/workspaces/other-one/"' in home
    assert "/runs/tiny" not in home
    inside = f"{prefix}/workspaces/other-one"
    assert f'href="{inside}/runs/tiny"' in browser.get(f"{inside}/").text
    assert f'href="{inside}/runs/tiny"' in browser.get(inside).text
    page = browser.get(f"{inside}/runs/tiny").text
    assert f'id="all" href="{prefix}/"' in page
    assert f'data-events="{inside}/runs/tiny/events"' in page
    assert HTML not in page
    assert browser.get(f"{inside}/static/app.css").status_code == 200
    form = {"form": form_of(browser, f"{inside}/runs/tiny")}
    assert browser.post(f"{inside}/runs/tiny/pause", data=form).headers["location"] == f"{inside}/runs/tiny"
    assert read_wishes(other, "tiny").paused
    made = browser.post(f"{inside}/points/empty", data={**form, "name": "p"})
    assert made.headers["location"] == f"{inside}/points/p"
    assert (other / "points" / "p").is_dir()
    assert not (tmp_path / "workspace" / "points").exists()
    assert browser.get(f"{inside}/nothing").status_code == 404
    assert browser.post(f"{inside}/open", data={**form, "path": str(other)}).status_code in (404, 405)  # not within
    assert 'id="open"' not in browser.get(f"{inside}/").text
    again = client(prefix=prefix)  # the server is begun anew
    assert again.get(f"{inside}/runs/tiny").status_code == 200
    assert (
        again.post(f"{prefix}/close", data={"form": form_of(again, f"{prefix}/new"), "name": "other-one"}).status_code
        == 303
    )
    assert again.get(f"{inside}/runs/tiny").status_code == 404
    assert (other / "runs" / "tiny").is_dir()


def test_what_is_no_workspace_lies_elsewhere_or_is_this_one_is_refused(
    client: Client, tmp_path: Path, other: Path
) -> None:
    browser = client(data=(other.parent,))
    (other.parent / "pictures").mkdir()
    (other.parent / "out").symlink_to(tmp_path / "workspace")
    for path, words in {
        other.parent / "pictures": "no workspace.json", tmp_path / "workspace": "must lie below",
        other.parent / "out": "must lie below", "relative": "absolute", "": "absolute", f"{other}\0": "absolute",
        f"{other.parent}/../workspace": "must lie below", other.parent / "nothing": "no folder",
        other / "workspace.json": "no folder",
    }.items():  # fmt: skip
        assert words in opened(browser, path), path
    assert not (other.parent / "pictures" / "workspace.json").exists()
    assert "shown already" in opened(client(), tmp_path / "workspace")
    (other / "workspace.json").write_text(json.dumps({"format": 10**6}))
    assert "workspace format 1000000" in opened(browser, other)
    assert browser.post("/open", data={"form": "x", "path": str(other)}).status_code == 400
    assert not (tmp_path / "workspace" / "opened.json").exists()


def test_a_server_that_allows_less_shows_less(client: Client, tmp_path: Path, other: Path) -> None:
    browser = client()
    assert opened(browser, other) == "/workspaces/other-one/"
    less = client(data=(tmp_path / "workspace",))
    assert "other-one" not in less.get("/").text
    assert less.get("/workspaces/other-one/").status_code == 404
    for name in ("..", "%2e%2e", "..%2fworkspace", "", "Other one"):
        assert browser.get(f"/workspaces/{name}/runs/tiny").status_code == 404
    (tmp_path / "workspace" / "opened.json").write_text('{"../x": "/", "a": 1, "b": "/etc"}')
    assert browser.get("/").status_code == 200
    assert browser.get("/workspaces/b/").status_code == 404


def test_who_may_not_ask_the_server_reads_no_workspace_of_it(client: Client, other: Path) -> None:
    assert opened(client(), other) == "/workspaces/other-one/"
    assert client(token="a token of 16 and more").get("/workspaces/other-one/runs/tiny").status_code == 401
    stranger = client(user_header="kubeflow-userid", users=("me",), headers={"kubeflow-userid": "you"})
    assert stranger.get("/workspaces/other-one/runs/tiny").status_code == 403
    assert client(host="http://evil.example").get("/workspaces/other-one/").status_code == 421

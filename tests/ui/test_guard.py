"""Who may ask, and what browsers may do with an answer."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import form_of
from fastapi.testclient import TestClient

from ctlr.errors import ConfigError
from ctlr.ui.guard import CSP
from ctlr.ui.options import checked

Client = Callable[..., TestClient]
TOKEN = "a-token-of-many-letters"


def test_a_page_that_bound_its_own_name_to_this_address_reads_nothing(client: Client) -> None:
    assert client(host="http://evil.example:8080").get("/").status_code == 421
    assert client(host="http://127.0.0.1.evil.example").get("/").status_code == 421
    for name in ("localhost", "127.0.0.1", "[::1]"):
        assert client(host=f"http://{name}:8080").get("/").status_code == 200
    assert client(host="http://ctlr.example.org", hosts=("ctlr.example.org",)).get("/").status_code == 200


def test_another_host_than_this_machine_needs_a_token_which_is_drawn() -> None:
    assert checked(Path("w")).token == ""
    one, other = (checked(Path("w"), host="0.0.0.0").token for _ in range(2))
    assert len(one) >= 32
    assert one != other
    assert checked(Path("w"), host="0.0.0.0", token=TOKEN).token == TOKEN
    with pytest.raises(ConfigError, match="at least 16"):
        checked(Path("w"), token="short")


def test_without_the_token_nothing_is_shown_and_with_it_a_cookie_stands_for_it(client: Client) -> None:
    browser = client(token=TOKEN)
    for path in ("/", "/static/app.js", "/?token=wrong-and-long-enough"):
        assert browser.get(path).status_code == 401
    came = browser.get(f"/?sort=value&token={TOKEN}")
    assert (came.status_code, came.headers["location"]) == (303, "/?sort=value")
    cookie = came.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert TOKEN not in cookie
    assert browser.get("/").status_code == 200
    assert client(token=TOKEN, headers={"authorization": f"Bearer {TOKEN}"}).get("/").status_code == 200
    assert client(token=TOKEN, headers={"authorization": "Bearer no"}).get("/").status_code == 401


def test_a_node_that_asks_whether_the_app_is_well_needs_neither_name_nor_token(client: Client) -> None:
    for asked in (client(token=TOKEN), client(host="http://10.0.0.7:8080", prefix="/ctlr"), client(prefix="/ctlr")):
        assert asked.get("/healthz").text == "ok\n"
        assert asked.post("/healthz").status_code in (401, 405, 421)


def test_whoever_brings_the_token_is_led_to_no_other_site(client: Client) -> None:
    browser = client(token=TOKEN)
    for path in ("//evil.example/", "/%2Fevil.example/", "/%5Cevil.example/", "/%09/evil.example/", "/%0D%0Aa:b/"):
        to = browser.get(f"http://localhost:8080{path}?token={TOKEN}").headers["location"]
        assert to.startswith("/")
        assert to[1:2] not in ("/", "\\", "\t", "\r", "\n"), path


def test_cookies_of_other_apps_at_the_same_address_hide_none_of_ours(client: Client) -> None:
    browser = client(token=TOKEN)
    ours = browser.get(f"/?token={TOKEN}").headers["set-cookie"].partition(";")[0]
    for foreign in ('seen={"a": 1}', "_xsrf=2|1:0|x", "no value", "=", "a b=c", 'q="'):
        for sent in (f"{foreign}; {ours}", f"{ours}; {foreign}"):
            assert client(token=TOKEN, headers={"cookie": sent}).get("/").status_code == 200, sent


def test_a_token_of_an_earlier_server_is_none_of_this_one(client: Client) -> None:
    browser = client(token=TOKEN)
    browser.get(f"/?token={TOKEN}")
    other = client(token=TOKEN + "2")
    other.cookies = browser.cookies
    assert other.get("/").status_code == 401


def test_the_token_is_never_in_a_log_or_a_page(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="uvicorn")
    caplog.set_level(logging.DEBUG, logger="fastapi")
    browser = client(token=TOKEN)
    answers = [browser.get(f"/?token={TOKEN}"), browser.get("/"), browser.get("/new"), browser.get("/runs/none")]
    assert all(TOKEN not in answer.text and TOKEN not in str(answer.headers) for answer in answers)
    assert all(TOKEN not in record.getMessage() for record in caplog.records if not record.name.startswith("http"))


def test_a_form_of_another_site_changes_nothing(client: Client, tmp_path: Path) -> None:
    browser = client()
    fields = {"form": form_of(browser), "path": str(tmp_path)}
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site", "origin": "http://localhost:8080"},
        {"sec-fetch-site": "same-site"},
    ):
        assert browser.post("/folders", data=fields, headers=headers).status_code == 403
    assert browser.post("/folders", data=fields | {"form": ""}).status_code == 400
    assert browser.post("/folders", data=fields | {"form": "A" * 43}).status_code == 400
    assert client().post("/folders", data=fields).status_code == 400  # another browser, without its cookie
    for path in ("/runs/a/stop", "/runs/a/resume", "/runs/a/delete", "/folders/a/start", "/folders/a/delete"):
        assert "is not one that this server has shown" in browser.post(path, data={}).text
    assert not list((tmp_path / "workspace" / "uploads").glob("*"))
    assert browser.post("/folders", data=fields, headers={"origin": "http://localhost:8080"}).status_code == 303


def test_an_upload_of_another_site_is_refused_before_its_files_are_read(client: Client, tmp_path: Path) -> None:
    browser = client()
    files = {"files": ("cat/1.png", b"\x89PNG" * 1000)}
    assert browser.post("/uploads", data={"form": "A" * 43}, files=files).status_code == 400
    assert browser.post("/uploads", files=files).status_code == 400
    assert not list((tmp_path / "workspace" / "uploads").iterdir())


@pytest.mark.parametrize("path", ["/", "/new", "/static/app.js", "/nowhere", "/runs/none", "/runs/none/events"])
def test_every_answer_forbids_foreign_scripts_frames_and_guesses(client: Client, path: str) -> None:
    headers = client().get(path).headers
    assert headers["content-security-policy"] == CSP
    assert "unsafe" not in CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_no_page_holds_a_script_or_a_style_of_its_own(client: Client) -> None:
    for path in ("/", "/new", "/nowhere"):
        text = client().get(path).text
        assert all("src=" in tag for tag in text.split("<script")[1:])
        assert "style=" not in text
        assert " on" + "click" not in text


def test_a_header_is_trusted_when_told_so_alone(client: Client) -> None:
    named = {"kubeflow-userid": "ann@example.org"}
    kubeflow = {"host": "http://10.0.0.7:8080", "hosts": ("*",), "user_header": "kubeflow-userid"}
    own = client(users=("ann@example.org",), headers=named, **kubeflow)
    assert own.get("/").status_code == 200
    assert client(users=("bob@example.org",), headers=named, **kubeflow).get("/").status_code == 403  # another's
    assert client(users=("ann@example.org",), **kubeflow).get("/").status_code == 401
    assert client(token=TOKEN, headers=named).get("/").status_code == 401  # nobody told that it is trusted
    with pytest.raises(ConfigError, match="give both"):
        checked(Path("w"), user_header="kubeflow-userid")
    with pytest.raises(ConfigError, match="a token lets nobody in there"):  # it would be asked of nobody
        checked(Path("w"), user_header="kubeflow-userid", users=("ann@example.org",), token=TOKEN)


def test_pages_below_a_prefix_link_to_pages_below_it(client: Client) -> None:
    browser = client(prefix="/ctlr")
    for path in ("/", "/ctlr/"):  # whether the proxy takes the prefix away or not
        text = browser.get(path).text
        assert 'href="/ctlr/new"' in text
        assert 'href="/ctlr/static/app.css"' in text
        assert 'href="/new"' not in text
    assert browser.get("/ctlr/static/app.css").status_code == 200
    assert "Path=/ctlr;" in browser.get("/").headers["set-cookie"]
    with pytest.raises(ConfigError, match="root-path"):
        checked(Path("w"), prefix="ctlr x")


def test_with_a_token_below_a_prefix_one_stays_below_it(client: Client) -> None:
    browser = client(prefix="/ctlr", token=TOKEN)
    assert browser.get(f"/?token={TOKEN}").headers["location"] == "/ctlr/"
    assert browser.get(f"/ctlr/new?token={TOKEN}").headers["location"] == "/ctlr/new"
    assert browser.get(f"http://localhost:8080//evil.example/?token={TOKEN}").headers["location"].startswith("/ctlr/")

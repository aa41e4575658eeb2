"""Files over HTTP."""

import hashlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.support.sessions import KINDS
from tests.support.web_lab import ANONYMOUS, WebLab, make_caller, open_web_lab

from flowforge.files.endpoints import ROUTERS
from flowforge.files.links import FileLinks
from flowforge.files.uploads import KEPT_MS, UploadSweeper
from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore

DATA = b"0123456789" * 100


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects", IdSource(SystemClock()))


@pytest.fixture
async def lab(tmp_path: Path, objects: ObjectStore) -> AsyncGenerator[WebLab]:
    ports = {ObjectStore: objects, FileLinks: FileLinks(b"k" * 32)}
    async with open_web_lab(tmp_path, ROUTERS, ports=ports, settings={"limits": {"upload_max_bytes": 2_000}}) as lab:
        yield lab


async def send(lab: WebLab, data: bytes = DATA, name: str = "orders.csv") -> str:
    made = await lab.client.post("/api/v1/files", files={"file": (name, data, "text/csv")})
    assert made.status_code == 201, made.text
    assert made.json()["sha256"] == hashlib.sha256(data).hexdigest()
    return str(made.json()["id"])


async def test_a_file_is_sent_fetched_and_deleted(lab: WebLab):
    file_id = await send(lab)
    fetched = await lab.client.get(f"/api/v1/files/{file_id}/content")
    assert fetched.content == DATA
    assert fetched.headers["content-disposition"].startswith('attachment; filename="orders.csv"')
    assert "sandbox" in fetched.headers["content-security-policy"]
    assert (await lab.client.get(f"/api/v1/files/{file_id}")).json()["size_bytes"] == len(DATA)
    assert (await lab.client.delete(f"/api/v1/files/{file_id}")).status_code == 204
    assert (await lab.client.get(f"/api/v1/files/{file_id}")).status_code == 404


async def test_a14_a_page_that_was_sent_is_a_file_and_runs_nowhere(lab: WebLab):
    for media_type in ("text/html", "image/svg+xml", "application/xhtml+xml"):
        page = ("<script>.html", b"<svg onload=alert(1)><script>alert(1)</script></svg>", media_type)
        made = (await lab.client.post("/api/v1/files", files={"file": page})).json()
        fetched = await lab.client.get(f"/api/v1/files/{made['id']}/content")
        assert fetched.headers["content-disposition"].startswith("attachment;")
        assert fetched.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert fetched.headers["x-content-type-options"] == "nosniff"


def list_strangers(folder: Path) -> set[Path]:
    """Files near the object store that are neither of it nor of the database."""
    near = (path for path in folder.rglob("*") if "objects" not in path.parts)
    return {path for path in near if not path.name.startswith("flowforge.db")}


@pytest.mark.parametrize("name", ["../../x", "..\\x", "x\u0000.png", "CON", "x" * 300, 'a"b.csv'])
async def test_a08_a_name_never_becomes_a_path(name: str, lab: WebLab, tmp_path: Path):
    before = list_strangers(tmp_path)
    file_id = await send(lab, name=name)
    shown = (await lab.client.get(f"/api/v1/files/{file_id}")).json()["name"]
    assert "/" not in shown
    assert "\\" not in shown
    assert len(shown) <= 255
    assert list_strangers(tmp_path) == before
    assert (await lab.client.get(f"/api/v1/files/{file_id}/content")).status_code == 200


@pytest.mark.parametrize("file_id", ["../canary", "file_x", "..%2fcanary", "file_" + "0" * 26, "value_" + "0" * 26])
async def test_a08_api_21_an_unknown_id_is_a_404(file_id: str, lab: WebLab):
    assert (await lab.client.get(f"/api/v1/files/{file_id}/content")).status_code == 404


async def test_api_21_a_file_of_another_workspace_is_an_unknown_one(lab: WebLab):
    file_id = await send(lab)
    lab.gate.caller = make_caller(workspace_id="ws_" + "2" * 26)
    foreign = await lab.client.get(f"/api/v1/files/{file_id}")
    unknown = await lab.client.get(f"/api/v1/files/file_{'0' * 26}")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["error"]["code"] == unknown.json()["error"]["code"]
    assert (await lab.client.post(f"/api/v1/files/{file_id}/link", json={})).status_code == 404
    upload = (await lab.client.post("/api/v1/uploads", json={"name": "a", "size_bytes": 3})).json()
    url = f"/api/v1/uploads/{upload['id']}"
    lab.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    assert (await lab.client.get(url)).status_code == 404
    piece = {"content-type": "application/octet-stream", "upload-offset": "0"}
    assert (await lab.client.patch(url, content=b"abc", headers=piece)).status_code == 404
    assert (await lab.client.post(f"{url}/complete", json={})).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status", "expected"),
    [
        ("bytes=0-9", 206, DATA[:10]),
        ("bytes=990-", 206, DATA[990:]),
        ("bytes=-5", 206, DATA[-5:]),
        ("bytes=1000-", 416, None),
        ("bytes=5-1", 416, None),
        ("items=0-1", 416, None),
        ("bytes=" + ",".join(["0-0"] * 7_500), 416, None),
    ],
)
async def test_api_44_one_range_at_most(wanted: str, status: int, expected: bytes | None, lab: WebLab):
    file_id = await send(lab)
    answer = await lab.client.get(f"/api/v1/files/{file_id}/content", headers={"range": wanted})
    assert answer.status_code == status
    if expected is not None:
        assert answer.content == expected
        assert answer.headers["content-range"].endswith("/1000")


async def test_a_file_above_the_limit_is_refused(lab: WebLab):
    refused = await lab.client.post("/api/v1/files", files={"file": ("a", b"x" * 3_000)})
    assert (refused.status_code, refused.json()["error"]["details"][0]["code"]) == (413, "upload_max")


async def test_a07_json_makes_no_file(lab: WebLab, tmp_path: Path):
    (tmp_path / "canary").write_text("canary")
    for body in ({"files": {"f": {"filepath": str(tmp_path / "canary")}}}, {"file": str(tmp_path / "canary")}):
        refused = await lab.client.post("/api/v1/files", json=body)
        assert refused.status_code in {415, 422}
        assert "canary" not in refused.text


async def test_wh_42_a_form_that_is_broken_or_of_too_many_parts_is_refused(lab: WebLab):
    head = {"content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\ncontent-disposition: form-data; name="f%d"\r\n\r\n1\r\n'
    for body in (b"".join(part % number for number in range(1_100)) + b"--b--", b"--b\r\nbroken", b"nothing"):
        answer = await lab.client.post("/api/v1/files", content=body, headers=head)
        assert answer.status_code in {400, 413, 422}


async def test_a_link_lends_one_file_for_a_while(lab: WebLab):
    file_id = await send(lab)
    made = await lab.client.post(f"/api/v1/files/{file_id}/link", json={"expires_in": "1m"})
    url = made.json()["url"]
    assert made.headers["location"] == url
    lab.gate.caller = ANONYMOUS
    assert (await lab.client.get(url)).content == DATA
    for wrong in (url[:-2] + "AA", url.replace("links/", "links/x"), "/api/v1/files/links/null", "/api/v1/files/links/a.b.c"):
        assert (await lab.client.get(wrong)).status_code == 404


@pytest.mark.parametrize("life", ["59s", "8d", "soon"])
async def test_a_link_is_good_for_a_minute_to_a_week(lab: WebLab, life: str):
    answer = await lab.client.post(f"/api/v1/files/{await send(lab)}/link", json={"expires_in": life})
    assert (answer.status_code, answer.json()["error"]["details"][0]["code"]) == (422, "expires_in")


async def test_a_link_ends():
    links = FileLinks(b"k" * 32)
    token = links.make("ws_1", "file_1", 1_000)
    assert links.read(token, 999) == ("ws_1", "file_1")
    with pytest.raises(Exception, match="no file"):
        links.read(token, 1_000)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_file_comes_in_pieces_and_goes_on_where_it_was_cut(kind: str, tmp_path: Path, objects: ObjectStore):
    ports = {ObjectStore: objects, FileLinks: FileLinks(b"k" * 32)}
    async with open_web_lab(tmp_path, ROUTERS, kind=kind, ports=ports) as lab:  # pyright: ignore[reportArgumentType]
        body = {"name": "big.bin", "size_bytes": len(DATA)}
        upload = (await lab.client.post("/api/v1/uploads", json=body)).json()
        url, octets = f"/api/v1/uploads/{upload['id']}", {"content-type": "application/octet-stream"}

        async def send_piece(start: int, data: bytes) -> int:
            return (await lab.client.patch(url, content=data, headers={**octets, "upload-offset": str(start)})).status_code

        assert await send_piece(0, DATA[:400]) == 200
        assert await send_piece(0, DATA[:400]) == 409
        assert await send_piece(500, DATA[500:]) == 409
        assert (await lab.client.post(f"{url}/complete", json={})).status_code == 409
        assert (await lab.client.get(url)).headers["upload-offset"] == "400"
        assert await send_piece(400, DATA[400:] + b"x") == 409
        assert await send_piece(400, DATA[400:]) == 200
        assert (await lab.client.post(f"{url}/complete", json={"sha256": "0" * 64})).status_code == 422
        done = await lab.client.post(f"{url}/complete", json={"sha256": hashlib.sha256(DATA).hexdigest()})
        again = await lab.client.post(f"{url}/complete", json={})
        assert done.status_code == again.status_code == 201
        assert done.json()["id"] == again.json()["id"]
        assert (await lab.client.get(f"/api/v1/files/{done.json()['id']}/content")).content == DATA


async def test_uploads_that_nobody_completes_go(lab: WebLab, objects: ObjectStore):
    upload = (await lab.client.post("/api/v1/uploads", json={"name": "a", "size_bytes": 10})).json()
    url = f"/api/v1/uploads/{upload['id']}"
    octets = {"content-type": "application/octet-stream", "upload-offset": "0"}
    await lab.client.patch(url, content=b"12345", headers=octets)
    assert len(list(objects.list_objects())) == 1
    clock = ManualClock(lab.parts.clock.now_ms() + KEPT_MS + 1_000)
    await UploadSweeper(lab.parts.database.write, objects, clock).run_once()
    assert (await lab.client.get(url)).status_code == 404
    assert list(objects.list_objects()) == []

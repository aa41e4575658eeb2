from pathlib import Path

from scripts.client_models import list_outdated, make_sync, render_client


def test_the_committed_files_are_what_the_routes_and_the_asynchronous_modules_give():
    assert list_outdated(render_client()) == [], "python scripts/client_models.py writes them anew"


def test_the_synchronous_twin_has_no_word_of_the_asynchronous_one_left():
    source = "async with AsyncThing() as thing:\n    async for row in thing:\n        await sleep_async(1)\n"
    assert make_sync(source) == "with Thing() as thing:\n    for row in thing:\n        sleep(1)\n"
    made = Path(__file__).parents[2] / "clients/python/src/flowforge_client/_generated"
    for module in made.glob("sync_*.py"):
        assert "async " not in module.read_text(), module.name
        assert "await " not in module.read_text(), module.name

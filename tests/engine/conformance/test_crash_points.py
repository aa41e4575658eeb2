from tests.support.stores import Shop, do_everything

from flowforge.kit.crashpoint import crash_hook

EXPECTED = {"CP01", "CP02", "CP05", "CP06", "CP10a", "CP10b", "CP13", "CP19", "CP21", "CP22", "CP24", "CP28a", "CP28b", "CP29"}


def test_every_crash_point_of_the_store_is_reached(shop: Shop):
    reached: set[str] = set()
    with crash_hook(reached.add):
        do_everything(shop)
    assert reached == EXPECTED

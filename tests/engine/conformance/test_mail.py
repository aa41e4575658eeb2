from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.support.stores import COMPLETED, ENDED, Shop, read_runs

from flowforge.engine.store import FAR_FUTURE_MS, Delivery, NewMail, Release, Store, Verdict


def test_mail_reaches_the_owner(shop: Shop, store: Store):
    run, other = shop.started(), shop.started(owner=shop.hire())
    store.deliver([NewMail(run.no, "signal", b'{"n":1}', "user:a"), NewMail(other.no, "pause", b"{}", "user:b")])
    store.deliver([NewMail(run.no, "cancel", b"{}", "user:c")])
    mails = store.mail(shop.worker)
    assert [(mail.run_no, mail.kind, mail.body, mail.by) for mail in mails] == [
        (run.no, "signal", b'{"n":1}', "user:a"),
        (run.no, "cancel", b"{}", "user:c"),
    ]
    assert mails[0].no < mails[1].no
    assert read_runs(store)[run.no].mail == 2


def test_mail_to_ended_and_unknown_runs_is_refused(shop: Shop, store: Store):
    run = shop.started()
    shop.finish(run, 2)
    assert shop.send(run) == Delivery.FINISHED
    assert shop.send(shop.new()) == Delivery.UNKNOWN


def test_mail_with_one_dedup_is_taken_once(shop: Shop, store: Store):
    run = shop.started()
    answers = store.deliver([NewMail(run.no, "signal", b"{}", "u", "a"), NewMail(run.no, "signal", b"{}", "u", "a")])
    assert answers == [Delivery.DELIVERED, Delivery.DUPLICATE]
    assert shop.send(run, dedup="a") == Delivery.DUPLICATE
    assert shop.send(run, dedup="b") == Delivery.DELIVERED
    assert read_runs(store)[run.no].mail == 2


def test_mail_that_was_read_is_not_taken_again(shop: Shop, store: Store):
    run = shop.started()
    shop.send(run, dedup="a")
    shop.send(run)
    read = [mail.no for mail in store.mail(shop.worker)]
    shop.commit(replace(shop.turn(run, 2), mail_read=read))
    assert store.mail(shop.worker) == []
    assert shop.send(run, dedup="a") == Delivery.DUPLICATE


def test_read_mail_of_a_refused_turn_stays_unread(shop: Shop, store: Store):
    run = shop.started()
    shop.send(run)
    [mail] = store.mail(shop.worker)
    assert shop.commit(replace(shop.turn(run, 2, epoch=5), mail_read=[mail.no])).verdict is Verdict.STALE
    assert store.mail(shop.worker) == [mail]


def test_finish_and_release_are_refused_until_all_mail_was_seen(shop: Shop, store: Store):
    run = shop.started()
    shop.send(run)
    assert shop.finish(run, 2).verdict is Verdict.MAIL
    assert shop.release(run, 2).verdict is Verdict.MAIL
    assert len(store.load(run.no)) == 1
    assert shop.append(run, 2).verdict is Verdict.DONE
    assert shop.release(run, 3, mail_seen=1).verdict is Verdict.DONE


def test_mail_wakes_a_sleeping_run(shop: Shop, store: Store):
    run = shop.started()
    shop.release(run, 2, due_at=FAR_FUTURE_MS)
    assert shop.claim() == []
    shop.send(run)
    [claimed] = shop.claim()
    assert (claimed.run_no, claimed.mail, [mail.kind for mail in claimed.mails]) == (run.no, 1, ["signal"])


def test_mail_count_goes_on_over_claims(shop: Shop, store: Store):
    run = shop.started()
    shop.send(run)
    [mail] = store.mail(shop.worker)
    shop.commit(replace(shop.turn(run, 2), mail_read=[mail.no]))
    shop.release(run, 3, mail_seen=1)
    [claimed] = shop.claim()
    assert (claimed.mail, list(claimed.mails)) == (1, [])


def test_mail_of_a_turn_is_sent_with_it(shop: Shop, store: Store):
    child, parent = shop.started(), shop.started()
    shop.release(parent, 2, due_at=FAR_FUTURE_MS)
    mail = NewMail(parent.no, "child", b'{"status":"completed"}', "system", "child call#1")
    refused = replace(shop.turn(child, 2, epoch=4, body=ENDED), finish=COMPLETED, mails=[mail])
    assert shop.commit(refused).verdict is Verdict.STALE
    assert read_runs(store)[parent.no].mail == 0
    assert shop.commit(replace(refused, epoch=1)).verdict is Verdict.DONE
    assert [one.run_no for one in shop.claim()] == [parent.no]


def test_mail_meets_a_release_of_the_same_commit(shop: Shop, store: Store):
    child, parent = shop.started(), shop.started()
    ending = replace(shop.turn(child, 2, body=ENDED), finish=COMPLETED, mails=[NewMail(parent.no, "child", b"{}", "system")])
    sleeping = replace(shop.turn(parent, 2), release=Release("waiting", FAR_FUTURE_MS, "{}"))
    assert [result.verdict for result in store.commit([ending, sleeping])] == [Verdict.DONE, Verdict.DONE]
    [claimed] = shop.claim()
    assert (claimed.run_no, claimed.mail, len(claimed.mails)) == (parent.no, 1, 1)


def test_mail_to_a_run_that_ends_in_the_same_commit_is_dropped(shop: Shop, store: Store):
    child, parent = shop.started(), shop.started()
    mail = NewMail(parent.no, "child", b"{}", "system")
    turns = [
        replace(shop.turn(child, 2, body=ENDED), finish=COMPLETED, mails=[mail]),
        replace(shop.turn(parent, 2, body=ENDED), finish=COMPLETED),
    ]
    assert [result.verdict for result in store.commit(turns)] == [Verdict.DONE, Verdict.DONE]
    assert store.mail(shop.worker) == []


def test_changed_is_true_after_mail_and_false_when_asked_again(shop: Shop, store: Store):
    run = shop.started()
    store.changed()
    assert not store.changed()
    shop.send(run)
    assert store.changed()
    assert not store.changed()


def test_no_mail_is_lost_between_senders_and_a_finishing_run(shop: Shop, store: Store):
    for _ in range(30):
        run = shop.started()
        with ThreadPoolExecutor(2) as pool:
            sent = pool.submit(shop.send, run)
            ended = pool.submit(shop.finish, run, 2)
        if ended.result().verdict is Verdict.DONE:
            assert sent.result() == Delivery.FINISHED
        else:
            assert (ended.result().verdict, sent.result()) == (Verdict.MAIL, Delivery.DELIVERED)


def test_no_wake_up_is_lost_between_senders_and_a_releasing_run(shop: Shop, store: Store):
    for _ in range(30):
        run = shop.started()
        with ThreadPoolExecutor(2) as pool:
            pool.submit(shop.send, run)
            released = pool.submit(shop.release, run, 2, due_at=FAR_FUTURE_MS)
        is_released = released.result().verdict is Verdict.DONE
        assert [one.run_no for one in shop.claim()] == ([run.no] if is_released else [])

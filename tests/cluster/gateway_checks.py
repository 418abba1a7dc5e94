# gateway_checks.py EXAMPLES ADDRESS KEY_FILE - what cohort.py and a client that misbehaves get of the gateway.
import sys
import threading
import traceback
from multiprocessing import AuthenticationError

sys.path.insert(0, sys.argv[1])
import cohort  # noqa: E402

ADDRESS, KEY_FILE = sys.argv[2:4]
with open(KEY_FILE) as f:
    KEY = bytes.fromhex(f.readline().strip())


def client():
    return cohort.Client(ADDRESS, key_file=KEY_FILE)


def error_of(future):
    e = future.exception(timeout=20)
    assert isinstance(e, cohort.Error), e
    return e


def results():
    with client() as c:
        assert c.tasks == {"is_prime": ("U", "i"), "quotient": ("ff", "f"), "histogram": ("B", "A(vU)"),
                           "longest": ("A(s)", "su")}, c.tasks
        assert c.submit("is_prime", 10**9 + 7).result() == 1
        assert c.submit("quotient", 1.0, 4.0).result() == 0.25
        assert c.submit("histogram", b"aab").result() == [(97, 2), (98, 1)]
        assert c.submit("histogram", b"").result() == []
        assert c.submit("longest", ["a", "h\u00e9llo", None]).result() == ("h\u00e9llo", 6)
        assert c.submit("longest", []).result() == (None, 0)


def errors_by_name():
    with client() as c:
        e = error_of(c.submit("quotient", 1.0, 0.0))
        assert e.name == "COHORT_ETASK" and "divided by nothing" in e.sentence, e
        for name, args, want in [("house_keeping", (), "COHORT_ENOTASK"),
                                 ("is_prime", ("x",), "COHORT_EARGUMENT"),
                                 ("is_prime", (1, 2), "COHORT_EARGUMENT")]:
            try:
                c.submit(name, *args)
            except cohort.Error as e:
                assert e.name == want, e
            else:
                raise AssertionError(name)
        assert c.submit("is_prime", 7).result() == 1


def many_under_way():
    def work(c):
        futures = [c.submit("is_prime", n) for n in range(1000)]
        assert sum(f.result(timeout=60) for f in futures) == 168

    with client() as one, client() as two:
        threads = [threading.Thread(target=work, args=(c,)) for c in (one, two) * 3]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        work(one)
        work(two)


class Raw:
    """A client that says what it likes."""

    def __init__(self):
        self.conn = cohort._connect(cohort._place(ADDRESS))
        cohort._authenticate(self.conn, KEY)

    def ask(self, request):
        self.conn.send_bytes(request)
        return cohort.unpack(self.conn.recv_bytes(), "UssB")


def bad_requests():
    raw = Raw()
    good = cohort.pack("U", 7)
    for request, number, want in [
            (b"", 0, "COHORT_ECODEC"),
            (b"junk", 0, "COHORT_ECODEC"),
            (b"\x80\x04N.", 0, "COHORT_ECODEC"),  # a pickle
            (cohort.pack("UsU", 1, "is_prime", 7), 0, "COHORT_EFORMAT"),
            (cohort.pack("UsB", 1, "is_prime", good)[:-1], 0, "COHORT_ECODEC"),
            (cohort.pack("UsB", 2, "house_keeping", cohort.pack("")), 2, "COHORT_ENOTASK"),
            (cohort.pack("UsB", 3, "no such task", good), 3, "COHORT_ENOTASK"),
            (cohort.pack("UsB", 4, None, good), 4, "COHORT_ENOTASK"),
            (cohort.pack("UsB", 5, "is_prime", b""), 5, "COHORT_ECODEC"),
            (cohort.pack("UsB", 6, "is_prime", cohort.pack("I", 7)), 6, "COHORT_EFORMAT"),
            (cohort.pack("UsB", 7, "is_prime", good + b"x"), 7, "COHORT_ECODEC"),
            (cohort.pack("UsB", 8, "histogram", cohort.pack("B", b"x" * 2**20)), 0, "COHORT_ETOOBIG")]:
        answer = raw.ask(request)
        assert answer[0] == number and answer[1] == want and len(answer[2]) > 20, (answer, want)
        assert raw.ask(cohort.pack("UsB", 9, "is_prime", good))[:2] == (9, None)
    raw.conn.close()


def one_who_does_not_read():
    raw = Raw()
    for number in range(200):
        raw.conn.send_bytes(cohort.pack("UsB", number, "histogram", cohort.pack("B", bytes(range(256)))))
    results()
    numbers = {cohort.unpack(raw.conn.recv_bytes(), "UssB")[0] for _ in range(200)}
    assert numbers == set(range(200))
    raw.conn.close()


def one_who_vanishes():
    raw = Raw()
    for number in range(200):
        raw.conn.send_bytes(cohort.pack("UsB", number, "is_prime", cohort.pack("U", 10**12 + 39)))
    raw.conn.close()
    results()


def closing():
    c = client()
    futures = [c.submit("is_prime", 10**12 + 39) for _ in range(100)]
    c.close()
    late = {f.exception().name for f in futures if f.exception() is not None}
    assert late <= {"COHORT_ECLOSED"}, late
    try:
        c.submit("is_prime", 7)
    except cohort.Error as e:
        assert e.name == "COHORT_ECLOSED", e
    else:
        raise AssertionError("a closed client submits")


def more_than_there_is_room_for():
    all_of_them = []
    refused = 0
    for _ in range(70):
        try:
            all_of_them.append(client())
        except cohort.Error as e:
            assert e.name == "COHORT_EPEER", e
            refused += 1
    assert len(all_of_them) <= 64 and refused >= 6, (len(all_of_them), refused)
    for c in all_of_them:
        assert c.submit("is_prime", 7).result() == 1
    for c in all_of_them:
        c.close()
    results()


def wrong_key():
    try:
        cohort.Client(ADDRESS, key=b"not the key of the gateway")
    except AuthenticationError:
        results()
    else:
        raise AssertionError("any key will do")


try:
    for check in [results, errors_by_name, many_under_way, bad_requests, one_who_does_not_read,
                  one_who_vanishes, closing, wrong_key, more_than_there_is_room_for]:
        name = check.__name__
        check()
except BaseException:
    traceback.print_exc()
    sys.exit("gateway_checks.py: %s failed" % name)

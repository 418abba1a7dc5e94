"""cohort.py - tasks of a Cohort pool, from Python.

    from cohort import Client

    with Client("python+tcp://127.0.0.1:4800", key_file="python.key") as pool:
        print(pool.submit("is_prime", 1000000007).result())
        futures = [pool.submit("is_prime", n) for n in range(10**9, 10**9 + 1000)]
        print(sum(f.result() for f in futures))

A gateway (examples/gateway.c) listens at that address and runs what it chooses to expose.  Needs Python
3.6 or later and nothing else; the link is multiprocessing.connection with its handshake by SHA-256,
which versions before 3.12 learn from here.  The link is clear text: keep it on this machine, or in a
tunnel.

Values travel as tpl images (pack, unpack), the same bytes as on the C side:

    c  a char        -128..127         s  a string, or None    str
    i u  j v  I U    32, 16, 64 bits   B  bytes                bytes
    f  a double      float             A(...)  a list; of tuples when there are several parts

What a request and its answer look like stands at Client.
"""
import concurrent.futures
import hmac
import os
import socket
import struct
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client as _connect

__all__ = ["Client", "Error", "pack", "unpack"]

_NUMBERS = {"c": "<b", "j": "<h", "v": "<H", "i": "<i", "u": "<I", "I": "<q", "U": "<Q", "f": "<d"}
_DEPTH_MAX = 8  # arrays in arrays
_PARTS_MAX = 32  # parts that hold a value


class Error(Exception):
    """What went wrong: `name` as in C ("COHORT_ETASK"), and a sentence."""

    def __init__(self, name, sentence):
        Exception.__init__(self, "%s: %s" % (name, sentence))
        self.name = name
        self.sentence = sentence


# ---- formats: "sA(iB)" is ["s", ["i", "B"]] ----


def _parse(text, depth=0):
    """The parts up to the end or the closing bracket, and what stands behind."""
    parts = []
    while text and text[0] != ")":
        if text[0] == "A" and text[1:2] == "(" and depth < _DEPTH_MAX:
            inner, text = _parse(text[2:], depth + 1)
            if not inner or text[:1] != ")":
                raise Error("COHORT_EFORMAT", "an array that holds nothing or does not end")
            parts.append(inner)
        elif text[0] in _NUMBERS or text[0] in "sB":
            parts.append(text[0])
        else:
            raise Error("COHORT_EFORMAT", "no part of a format: %r" % text[0])
        text = text[1:]
    return parts, text


def _count(parts):
    return sum(_count(p) if isinstance(p, list) else 1 for p in parts)


def _format(text):
    parts, rest = _parse(text)
    if rest or _count(parts) > _PARTS_MAX:
        raise Error("COHORT_EFORMAT", "format %r" % text)
    return parts


# ---- values to an image ----


def _put_value(part, value, out):
    if isinstance(part, list):
        out.append(struct.pack("<I", len(value)))
        for row in value:
            _put_row(part, (row,) if len(part) == 1 else row, out)
    elif part == "s":
        data = b"" if value is None else value.encode("utf-8", "surrogateescape")
        if b"\0" in data:
            raise Error("COHORT_ECODEC", "a string may hold no NUL")
        out.append(struct.pack("<I", 0 if value is None else len(data) + 1) + data)
    elif part == "B":
        out.append(struct.pack("<I", len(value)) + bytes(value))
    else:
        out.append(struct.pack(_NUMBERS[part], value))


def _put_row(parts, values, out):
    if len(values) != len(parts):
        raise Error("COHORT_EARGUMENT", "%d values, expected are %d" % (len(values), len(parts)))
    for part, value in zip(parts, values):
        _put_value(part, value, out)


def pack(format, *values):
    """The tpl image of `values`, one for each part of `format`."""
    out = []
    try:
        _put_row(_format(format), values, out)
    except (struct.error, TypeError, AttributeError) as e:
        raise Error("COHORT_EARGUMENT", "format %r: %s" % (format, e))
    name = format.encode("ascii") + b"\0"
    body = name + b"".join(out)
    return b"tpl" + struct.pack("<BI", 2 if "s" in format else 0, 8 + len(body)) + body


# ---- an image to values ----


class _Reader:
    def __init__(self, data, at):
        self.data = data
        self.at = at

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Error("COHORT_ECODEC", "%d bytes at byte %d, there are %d"
                        % (n, self.at, len(self.data) - self.at))
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, code):
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def value(self, part):
        if isinstance(part, list):
            rows = []
            for _ in range(self.number("<I")):
                row = self.row(part)
                rows.append(row[0] if len(part) == 1 else row)
            return rows
        if part == "s":
            n = self.number("<I")
            data = self.take(max(n, 1) - 1)
            if b"\0" in data:
                raise Error("COHORT_ECODEC", "a string holds a NUL")
            return data.decode("utf-8", "surrogateescape") if n else None
        if part == "B":
            return self.take(self.number("<I"))
        return self.number(_NUMBERS[part])

    def row(self, parts):
        return tuple(self.value(p) for p in parts)


def unpack(image, format=None):
    """The values in a tpl image, as a tuple; its own format must be `format` if that is given."""
    image = bytes(image)
    end = image.find(b"\0", 8)
    if len(image) < 9 or image[:3] != b"tpl" or end < 0:
        raise Error("COHORT_ECODEC", "no tpl image")
    text = image[8:end].decode("ascii", "backslashreplace")
    if format is not None and text != format:
        raise Error("COHORT_EFORMAT", "an image of format %r, expected is %r" % (text, format))
    if image[3] != (2 if "s" in text else 0) or struct.unpack("<I", image[4:8])[0] != len(image):
        raise Error("COHORT_ECODEC", "flags or length of the image are wrong")
    reader = _Reader(image, end + 1)
    values = reader.row(_format(text))
    if reader.at != len(image):
        raise Error("COHORT_ECODEC", "%d bytes behind the last value" % (len(image) - reader.at))
    return values


# ---- the link ----


def _expect(conn, tag):
    message = conn.recv_bytes(256)
    if not message.startswith(tag):
        raise AuthenticationError("the gateway does not accept the key")
    return message[len(tag):]


def _authenticate(conn, key):
    """The handshake of Python 3.12 as its client, by SHA-256 alone."""
    challenge = _expect(conn, b"#CHALLENGE#")
    if not challenge.startswith(b"{sha256}") or len(challenge) < 40:
        raise AuthenticationError("the gateway does not challenge by SHA-256")
    conn.send_bytes(b"{sha256}" + hmac.new(key, challenge, "sha256").digest())
    _expect(conn, b"#WELCOME#")
    challenge = b"{sha256}" + os.urandom(40)
    conn.send_bytes(b"#CHALLENGE#" + challenge)
    answer = conn.recv_bytes(256)
    if not hmac.compare_digest(answer, b"{sha256}" + hmac.new(key, challenge, "sha256").digest()):
        conn.send_bytes(b"#FAILURE#")
        raise AuthenticationError("the gateway does not hold the key")
    conn.send_bytes(b"#WELCOME#")


def _place(address):
    """"python+tcp://HOST:PORT" or "python+unix:/PATH" as multiprocessing has it."""
    kind, _, where = address.partition(":")
    if kind == "python+unix" and where.startswith("/"):
        return where
    host, _, port = where[2:].rpartition(":")
    if kind != "python+tcp" or not where.startswith("//") or not host or not port.isdigit():
        raise Error("COHORT_EADDRESS", "%r is neither python+tcp://HOST:PORT nor python+unix:/PATH"
                    % address)
    return host, int(port)


def _hurry(conn):
    """Send what is written at once: else the first request waits 40 ms for an acknowledgement."""
    with socket.socket(fileno=os.dup(conn.fileno())) as s:
        if s.family != socket.AF_UNIX:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """A connection to a gateway.  Any thread may submit; results come in any order.

    A request is the image of "UsB": its id, the task's name, the image of its arguments.  The answer
    is the image of "UssB": the id, the error's name and its sentence (None: it went well), the image
    of the result.  The task with the empty name takes no arguments and gives "A(sss)": each task's
    name, the format of its arguments and of its result.
    """

    def __init__(self, address, key=None, key_file=None):
        if key is None:
            with open(key_file or os.environ["COHORT_PYTHON_KEY_FILE"]) as f:
                key = bytes.fromhex(f.readline().strip())
        self._futures = {}  # by id; guarded by _lock, as are the next two
        self._next = 1
        self._closed = None
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # apart: answers must be taken while a request waits to go
        self._conn = _connect(_place(address))
        try:
            _authenticate(self._conn, key)
            _hurry(self._conn)
        except BaseException as e:
            self._conn.close()
            if isinstance(e, EOFError):
                raise Error("COHORT_EPEER", "the gateway hung up")
            raise
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        rows = self._send("", pack("")).result()
        self.tasks = {name: (args, result) for name, args, result in rows}

    def submit(self, name, *args):
        """Run the task: a concurrent.futures.Future, whose result() is what the task gives: None, the
        value, or a tuple of them.  Its error is an Error."""
        if name not in self.tasks:
            raise Error("COHORT_ENOTASK", "the gateway exposes no task %r" % name)
        return self._send(name, pack(self.tasks[name][0], *args))

    def close(self):
        """End the connection; what is not done yet fails with COHORT_ECLOSED."""
        self._end(Error("COHORT_ECLOSED", "the client was closed"))
        with socket.socket(fileno=os.dup(self._conn.fileno())) as s:
            s.shutdown(socket.SHUT_RDWR)  # wakes the reader
        self._reader.join()
        self._conn.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _send(self, name, args):
        future = concurrent.futures.Future()
        future.set_running_or_notify_cancel()  # what is sent cannot be taken back
        with self._lock:
            if self._closed is not None:
                raise self._closed
            number, self._next = self._next, self._next + 1
            self._futures[number] = future
        try:
            with self._sending:
                self._conn.send_bytes(pack("UsB", number, name, args))
        except OSError:
            self._end(Error("COHORT_EPEER", "the gateway is gone"))
        return future

    def _read(self):
        try:
            while True:
                self._answer(*unpack(self._conn.recv_bytes(), "UssB"))
        except (EOFError, OSError):
            self._end(Error("COHORT_EPEER", "the gateway is gone"))
        except Error as e:
            self._end(e)

    def _answer(self, number, name, sentence, image):
        with self._lock:
            future = self._futures.pop(number, None)
        if future is None:  # it answers a request that it could not read
            raise Error(name or "COHORT_EPROTOCOL", sentence or "an answer that nobody waits for")
        if name is not None:
            future.set_exception(Error(name, sentence))
            return
        try:
            values = unpack(image)
            future.set_result(values[0] if len(values) == 1 else values or None)
        except Error as e:
            future.set_exception(e)

    def _end(self, why):
        with self._lock:
            if self._closed is None:
                self._closed = why
            futures, self._futures = self._futures, {}
        for future in futures.values():
            future.set_exception(why)

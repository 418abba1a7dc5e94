# python_peer.py - a CPython, from 2.7 on, as a peer for interop_python.c.
#
#   python_peer.py dial FAMILY PLACE KEY [FIRST]    connect to PLACE, send FIRST if given, then echo
#   python_peer.py listen FAMILY PLACE KEY          listen, print where, accept one, then echo
#
# FAMILY is tcp or unix, PLACE a port of 127.0.0.1 (0: any) or a path, KEY hexadecimal.  Echoing ends when
# the other end closes.  Exit: 0; 3 when the key is refused at either end; 4 the connection was lost.
import binascii
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener


def echo(conn):
    while True:
        try:
            data = conn.recv_bytes()
        except EOFError:
            return
        conn.send_bytes(data)


def main(role, family, place, key, *first):
    address = ("127.0.0.1", int(place)) if family == "tcp" else place
    key = binascii.unhexlify(key)
    if role == "dial":
        conn = Client(address, authkey=key)
    else:
        listener = Listener(address, authkey=key)
        where = listener.address
        sys.stdout.write("%s\n" % (where[1] if family == "tcp" else where))
        sys.stdout.flush()
        conn = listener.accept()
    for text in first:
        conn.send_bytes(text.encode("ascii"))
    echo(conn)


try:
    main(*sys.argv[1:])
except (AuthenticationError, AssertionError):
    sys.exit(3)
except (EOFError, IOError):
    sys.exit(4)

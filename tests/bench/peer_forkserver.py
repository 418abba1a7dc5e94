"""Processes a second started by the fork server and joined, one after the other, argv[1] of them."""
import multiprocessing
import sys
import time


def no_op():
    pass


def start_and_join(context):
    process = context.Process(target=no_op)
    process.start()
    process.join()
    assert process.exitcode == 0


def main():
    count = int(sys.argv[1])
    context = multiprocessing.get_context("forkserver")
    start_and_join(context)  # the server is up
    start = time.monotonic()
    for _ in range(count):
        start_and_join(context)
    print(count / (time.monotonic() - start))


if __name__ == "__main__":
    main()

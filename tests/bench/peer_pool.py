"""Tasks a second of Pool(2).imap_unordered(chunksize=1), int to int, over argv[1] of them."""
import multiprocessing
import sys
import time


def no_op(x):
    return x


def main():
    count = int(sys.argv[1])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sum(pool.imap_unordered(no_op, range(1000), chunksize=1))  # the workers are up
        start = time.monotonic()
        total = sum(pool.imap_unordered(no_op, range(count), chunksize=1))
        seconds = time.monotonic() - start
    assert total == count * (count - 1) // 2
    print(count / seconds)


if __name__ == "__main__":
    main()

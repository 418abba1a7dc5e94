"""Messages of 64 bytes a second through multiprocessing.Queue to another process, argv[1] of them."""
import multiprocessing
import os
import sys
import time


def pin(side):
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[side % len(cpus)]})


def put(queue, count):
    pin(0)
    queue.put(b"")  # it is up
    for number in range(count):
        queue.put(number.to_bytes(8, "little") * 8)


def main():
    count = int(sys.argv[1])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    producer = context.Process(target=put, args=(queue, count), daemon=True)
    producer.start()
    pin(1)
    queue.get()
    total = 0
    start = time.monotonic()
    for _ in range(count):
        total += int.from_bytes(queue.get()[56:], "little")
    seconds = time.monotonic() - start
    producer.join()
    assert total == count * (count - 1) // 2
    print(count / seconds)


if __name__ == "__main__":
    main()

"""primes.py ADDRESS - the primes in 1,000 numbers, counted by a Cohort pool behind a gateway.

The key is in the file that $COHORT_PYTHON_KEY_FILE names, as it is for the gateway.
"""
import sys

from cohort import Client, Error

FIRST, COUNT = 10**9, 1000

with Client(sys.argv[1]) as pool:
    primes = [pool.submit("is_prime", n) for n in range(FIRST, FIRST + COUNT)]
    print("%d primes in %d numbers from %d" % (sum(p.result() for p in primes), COUNT, FIRST))
    print("%d different bytes in a blob" % len(pool.submit("histogram", b"to be or not to be").result()))
    try:
        pool.submit("quotient", 1.0, 0.0).result()
    except Error as e:
        print(e)

/*
 * test_trust_memory.c - no memory, at every place where trust asks for some.
 *
 * OpenSSL allocates inside most calls, so its allocations are sent through coh_alloc too and
 * fail in their turn: once, and from one point on.  What must hold: an error code or success,
 * never a crash, and a handshake that works again afterwards.
 */
#include "base/mem.h"
#include "net/ends.h"
#include "python/dialect.h"
#include "support/test.h"
#include "trust/hmac_openssl.h"
#include "trust/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *ssl_alloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return coh_alloc(n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return coh_realloc(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	coh_free(p);
}

/* OpenSSL takes this only before its first allocation: in every process, so before main. */
__attribute__((constructor)) static void ssl_memory(void)
{
	if (CRYPTO_set_mem_functions(ssl_alloc, ssl_realloc, ssl_free) != 1)
		_exit(99);
}

/* A failed allocation may be lived with; what it may cost is these two codes. */
static bool excused(int rc)
{
	return rc == 0 || rc == -ENOMEM || rc == COHORT_EAUTH;
}

/* SCENARIO with its n-th allocation failing, for every n; then once more, with enough. */
static void every_allocation(int (*scenario)(void), enum coh_mem_fault kind)
{
	unsigned long n = 0, seen;
	int rc;

	REQUIRE_EQ(scenario(), 0); /* what is fetched once a process is there now */
	do {
		coh_mem_fail(++n, kind);
		rc = scenario();
		seen = coh_mem_count();
		coh_mem_fail(0, kind);
		if (!excused(rc))
			FAIL("allocation %lu failed and the scenario gave %d", n, rc);
	} while (seen >= n);
	CHECK(n > 5);
	CHECK_EQ(scenario(), 0);
}

static void every_allocation_both_ways(int (*scenario)(void))
{
	every_allocation(scenario, COH_MEM_FAIL_ONCE);
	every_allocation(scenario, COH_MEM_FAIL_FROM);
}

static struct ends kept;

/* The frames alone: the key is there, as it is in a listener. */
static int shake_with_kept_key(void)
{
	struct parcel p;
	int rc = 0;

	if (coh_handshake_init(&kept.client.hs, &kept.client.config, NULL) < 0 ||
	    coh_handshake_init(&kept.server.hs, &kept.server.config, NULL) < 0)
		return -EINVAL;
	for (int n = 0; n < 4 && rc >= 0; n++) {
		if (!ends_take(n % 2 == 0 ? &kept.client : &kept.server, &p))
			return -EINVAL;
		rc = ends_give(n % 2 == 0 ? &kept.server : &kept.client, &p, NULL);
	}
	return rc < 0 ? rc : 0;
}

TEST(trust_memory, handshake_survives_every_failed_allocation)
{
	ends_open(&kept);
	every_allocation_both_ways(shake_with_kept_key);
	ends_close(&kept);
}

static struct cohort_key *kept_python;

static int ones(void *out, size_t n, void *arg)
{
	(void)arg;
	memset(out, 0x11, n);
	return 0;
}

/* Python's handshake at the listener's end, under key 00..1f and with random bytes of 11. */
static int shake_with_python(void)
{
	static const unsigned char right[] =
	    "{sha256}\x20\xe2\x65\x10\x35\x41\x00\xbb\x9f\x59\xb4\x72\x17"
	    "\xa0\x3c\x88\x75\x90\x8c\x1b\xf5\x16\xef\x9a\x72\xf6\xe9\xab"
	    "\x93\x0f\xaf\x3a";
	static const char challenge[] = "#CHALLENGE#{sha3_384}0123456789a";
	const struct coh_dialect_config c = {
	    .role = COH_HANDSHAKE_SERVER, .key = kept_python, .peer = "a test", .random = ones};
	struct coh_dialect d;
	int rc = coh_dialect_init(&d, &c, NULL);

	if (rc == 0)
		rc = coh_dialect_feed(&d, right, sizeof right - 1, NULL);
	CHECK((rc == 0) == coh_dialect_proved(&d));
	if (rc == 0)
		rc = coh_dialect_feed(&d, challenge, sizeof challenge - 1, NULL);
	if (rc == 0)
		rc = coh_dialect_feed(&d, "#WELCOME#", 9, NULL);
	coh_dialect_fini(&d);
	return rc < 0 ? rc : 0;
}

TEST(trust_memory, pythons_handshake_survives_every_failed_allocation)
{
	unsigned char secret[32];

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (unsigned char)i;
	REQUIRE_EQ(cohort_key_new_python(&kept_python, secret, sizeof secret, NULL), 0);
	every_allocation_both_ways(shake_with_python);
	cohort_key_free(kept_python);
}

/* Everything from the N-th allocation of the process on fails. */
static int first_use_without_memory(unsigned long n)
{
	struct coh_span nothing = {"", 0};
	unsigned char sum[COH_HMAC_MAX];
	bool well = true;

	coh_mem_fail(n, COH_MEM_FAIL_FROM);
	for (int again = 0; again < 2; again++)
		well = well && excused(coh_hash_parts(&nothing, 1, sum)) &&
		    excused(coh_hmac_sign(nothing, &nothing, 1, sum)) &&
		    coh_hmac_sign_by("SHA384", nothing, nothing, sum) != 0 &&
		    excused(coh_random_bytes(sum, sizeof sum));
	return well ? 42 : 1;
}

/* OpenSSL prepares itself once a process; where it cannot, there are errors and no crash. */
TEST_TIMEOUT(trust_memory, first_use_of_openssl_survives_every_failed_allocation, 120)
{
	int status;
	pid_t pid;

	for (unsigned long n = 1; n < 3000; n += n < 200 ? 1 : 37) {
		pid = test_fork();
		REQUIRE(pid >= 0);
		if (pid == 0)
			_exit(first_use_without_memory(n));
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 42)
			FAIL("without memory from allocation %lu on: status %x", n, status);
	}
}

static int make_key(void)
{
	static const unsigned char bytes[32] = {1};
	struct cohort_key *key;
	int rc = cohort_key_new(&key, bytes, sizeof bytes, NULL);

	CHECK((rc == 0) == (key != NULL));
	cohort_key_free(key);
	return rc;
}

TEST(trust_memory, key_survives_every_failed_allocation)
{
	every_allocation_both_ways(make_key);
}

static int write_and_load_key(void)
{
	const char *path = test_path("key");
	struct cohort_key *key = NULL;
	int rc = cohort_key_generate(path, NULL);

	if (rc == 0) {
		rc = coh_keyfile_rotate(path, COH_KEYFILE_ADD, NULL);
		if (rc == 0)
			rc = cohort_key_load(&key, path, NULL);
	} else
		CHECK_EQ(access(path, F_OK), -1);
	CHECK_EQ(access(test_path("key.new"), F_OK), -1);
	unlink(path);
	cohort_key_free(key);
	return rc;
}

TEST(trust_memory, key_file_survives_every_failed_allocation)
{
	unsigned char warm[1];

	REQUIRE_EQ(coh_random_bytes(warm, sizeof warm), 0);
	every_allocation_both_ways(write_and_load_key);
}

static int hash_this_program(void)
{
	unsigned char sum[COH_HASH_SIZE];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), rc;

	REQUIRE(fd >= 0);
	rc = coh_hash_fd(fd, sum);
	close(fd);
	return rc;
}

TEST(trust_memory, hash_of_a_file_survives_every_failed_allocation)
{
	unsigned char sum[COH_HASH_SIZE];

	REQUIRE_EQ(hash_this_program(), 0);
	for (unsigned long n = 1; n <= 4; n++) {
		int fd = open(test_path("empty"), O_RDONLY | O_CREAT | O_CLOEXEC, 0600), rc;

		coh_mem_fail(n, COH_MEM_FAIL_ONCE);
		rc = coh_hash_fd(fd, sum);
		if (coh_mem_count() >= n)
			CHECK_EQ(rc, -ENOMEM);
		coh_mem_fail(0, COH_MEM_FAIL_ONCE);
		close(fd);
	}
}

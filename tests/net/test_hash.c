/*
 * test_hash.c - SHA-256, HMAC and HKDF against their documents' vectors; files; secrets.
 */
#include "support/test.h"
#include "trust/hmac_openssl.h"
#include "trust/nonce.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The bytes that HEX means, at OUT; how many. */
static size_t unhex(const char *hex, unsigned char *out)
{
	size_t n = strlen(hex) / 2;
	unsigned v;

	for (size_t i = 0; i < n; i++) {
		REQUIRE_EQ(sscanf(hex + 2 * i, "%2x", &v), 1);
		out[i] = (unsigned char)v;
	}
	return n;
}

static void bytes_are(const unsigned char *got, size_t n, const char *hex)
{
	unsigned char want[256];

	REQUIRE_EQ(unhex(hex, want), n);
	CHECK_MEM(got, want, n);
}

TEST(hash, gives_the_known_sums)
{
	struct coh_span two[] = {{"a", 1}, {"bc", 2}};
	unsigned char sum[COH_HASH_SIZE];

	REQUIRE_EQ(coh_hash_parts(two, 2, sum), 0);
	bytes_are(sum, sizeof sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	REQUIRE_EQ(coh_hash_parts(NULL, 0, sum), 0);
	bytes_are(sum, sizeof sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(hash, gives_the_known_sum_of_a_million_bytes_in_pieces)
{
	struct coh_hash *h = coh_hash_new();
	unsigned char sum[COH_HASH_SIZE], piece[1000];

	REQUIRE(h != NULL);
	memset(piece, 'a', sizeof piece);
	for (int i = 0; i < 1000; i++)
		REQUIRE_EQ(coh_hash_update(h, piece, sizeof piece), 0);
	REQUIRE_EQ(coh_hash_final(h, sum), 0);
	coh_hash_free(h);
	bytes_are(sum, sizeof sum, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* A file of N bytes, each the low byte of its offset. */
static int file_of(size_t n)
{
	int fd = open(test_path("file"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unsigned char c;

	REQUIRE(fd >= 0);
	REQUIRE_EQ(ftruncate(fd, (off_t)n), 0);
	for (size_t i = 0; i < n; i += 4093) {
		c = (unsigned char)(i | 1);
		REQUIRE_EQ(pwrite(fd, &c, 1, (off_t)i), 1);
	}
	return fd;
}

TEST(hash, of_a_file_is_the_hash_of_its_bytes)
{
	static unsigned char bytes[700000];
	const size_t sizes[] = {0, 1, 262143, 262144, 262145, sizeof bytes};
	unsigned char sum[COH_HASH_SIZE], want[COH_HASH_SIZE];
	struct coh_span span = {bytes, 0};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int fd = file_of(sizes[i]);

		REQUIRE_EQ(pread(fd, bytes, sizes[i], 0), (ssize_t)sizes[i]);
		span.size = sizes[i];
		REQUIRE_EQ(coh_hash_parts(&span, 1, want), 0);
		REQUIRE_EQ(lseek(fd, 0, SEEK_END), (off_t)sizes[i]);
		CHECK_EQ(coh_hash_fd(fd, sum), 0);
		CHECK_MEM(sum, want, sizeof sum);
		CHECK_EQ(lseek(fd, 0, SEEK_CUR), (off_t)sizes[i]);
		close(fd);
	}
}

TEST(hash, of_what_is_no_file_is_an_error)
{
	unsigned char sum[COH_HASH_SIZE];
	int p[2], dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	REQUIRE_EQ(pipe2(p, O_CLOEXEC), 0);
	CHECK_EQ(coh_hash_fd(p[0], sum), -ESPIPE);
	CHECK_EQ(coh_hash_fd(dir, sum), -EISDIR);
	CHECK_EQ(coh_hash_fd(-1, sum), -EBADF);
	close(p[0]);
	close(p[1]);
	close(dir);
}

static void hmac_is(struct coh_span key, struct coh_span data, const char *hex)
{
	unsigned char mac[COH_HASH_SIZE];

	REQUIRE_EQ(coh_hmac_sign(key, &data, 1, mac), 0);
	bytes_are(mac, sizeof mac, hex);
}

/* RFC 4231, 4.2, 4.3, 4.4, 4.7, 4.8 */
TEST(hmac, gives_the_macs_of_rfc_4231)
{
	static const char larger[] = "This is a test using a larger than block-size key and a larger "
				     "than block-size data. The key needs to be hashed before being "
				     "used by the HMAC algorithm.";
	static const char first[] = "Test Using Larger Than Block-Size Key - Hash Key First";
	unsigned char key[131], data[50];

	memset(key, 0x0b, 20);
	hmac_is((struct coh_span){key, 20}, (struct coh_span){"Hi There", 8},
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hmac_is((struct coh_span){"Jefe", 4}, (struct coh_span){"what do ya want for nothing?", 28},
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	memset(data, 0xdd, sizeof data);
	hmac_is((struct coh_span){key, 20}, (struct coh_span){data, sizeof data},
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	hmac_is((struct coh_span){key, 131}, (struct coh_span){first, sizeof first - 1},
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hmac_is((struct coh_span){key, 131}, (struct coh_span){larger, sizeof larger - 1},
	    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* The empty key is one like any other here; that it is no authkey is judged elsewhere. */
TEST(hmac, does_not_keep_the_last_key_for_an_empty_one)
{
	hmac_is((struct coh_span){"Jefe", 4}, (struct coh_span){"what do ya want for nothing?", 28},
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_is((struct coh_span){NULL, 0}, (struct coh_span){"", 0},
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	hmac_is((struct coh_span){"", 0}, (struct coh_span){"", 0},
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 5869, A.1 to A.3 */
TEST(hmac, expands_as_rfc_5869)
{
	unsigned char ikm[80], salt[80], info[80], prk[COH_HASH_SIZE], okm[82];

	memset(ikm, 0x0b, 22);
	for (unsigned i = 0; i < 13; i++)
		salt[i] = (unsigned char)i;
	for (unsigned i = 0; i < 10; i++)
		info[i] = (unsigned char)(0xf0 + i);
	REQUIRE_EQ(coh_hmac_extract((struct coh_span){salt, 13}, (struct coh_span){ikm, 22}, prk), 0);
	bytes_are(prk, 32, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
	REQUIRE_EQ(coh_hmac_expand(prk, (struct coh_span[]){{info, 4}, {info + 4, 6}}, 2, okm, 42), 0);
	bytes_are(okm, 42,
	    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
	REQUIRE_EQ(coh_hmac_extract((struct coh_span){NULL, 0}, (struct coh_span){ikm, 22}, prk), 0);
	REQUIRE_EQ(coh_hmac_expand(prk, NULL, 0, okm, 42), 0);
	bytes_are(okm, 42,
	    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(hmac, expands_eighty_two_bytes_as_rfc_5869)
{
	unsigned char ikm[80], salt[80], info[80], prk[COH_HASH_SIZE], okm[82];

	for (unsigned i = 0; i < 80; i++) {
		ikm[i] = (unsigned char)i;
		salt[i] = (unsigned char)(0x60 + i);
		info[i] = (unsigned char)(0xb0 + i);
	}
	REQUIRE_EQ(coh_hmac_extract((struct coh_span){salt, 80}, (struct coh_span){ikm, 80}, prk), 0);
	REQUIRE_EQ(coh_hmac_expand(prk, &(struct coh_span){info, 80}, 1, okm, 82), 0);
	bytes_are(okm, 82,
	    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
	    "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

TEST(hmac, expands_up_to_255_blocks_and_no_more)
{
	static unsigned char out[255 * 32 + 1];
	const unsigned char prk[COH_HASH_SIZE] = {1};

	CHECK_EQ(coh_hmac_expand(prk, NULL, 0, out, 255 * 32), 0);
	CHECK_EQ(coh_hmac_expand(prk, NULL, 0, out, 255 * 32 + 1), COHORT_EARGUMENT);
	CHECK_EQ(coh_hmac_expand(prk, (struct coh_span[8]){{"", 0}}, 8, out, 32), COHORT_EARGUMENT);
}

TEST(hmac, compares_to_the_last_byte)
{
	unsigned char a[COH_HASH_SIZE] = {0}, b[COH_HASH_SIZE] = {0};

	CHECK(coh_hmac_equal(a, b, sizeof a));
	for (size_t i = 0; i < sizeof a; i++) {
		b[i] = 0x80;
		CHECK(!coh_hmac_equal(a, b, sizeof a));
		b[i] = 0;
	}
}

TEST(random, bytes_differ_and_cover_all_values)
{
	unsigned char many[8192], again[8192];
	bool seen[256] = {false};

	REQUIRE_EQ(coh_random_bytes(many, sizeof many), 0);
	REQUIRE_EQ(coh_random_bytes(again, sizeof again), 0);
	CHECK(memcmp(many, again, sizeof many) != 0);
	for (size_t i = 0; i < sizeof many; i++)
		seen[many[i]] = true;
	for (int v = 0; v < 256; v++)
		CHECK(seen[v]); /* misses one in 10^11 runs */
}

static void *first_use(void *sum)
{
	struct coh_span abc = {"abc", 3};

	CHECK_EQ(coh_hash_parts(&abc, 1, sum), 0);
	CHECK_EQ(coh_hmac_sign(abc, &abc, 1, (unsigned char *)sum + COH_HASH_SIZE), 0);
	return NULL;
}

TEST(hash, may_be_used_first_by_several_threads_at_once)
{
	unsigned char sums[4][2 * COH_HASH_SIZE];
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(pthread_create(&threads[i], NULL, first_use, sums[i]), 0);
	for (int i = 0; i < 4; i++)
		REQUIRE_EQ(pthread_join(threads[i], NULL), 0);
	for (int i = 1; i < 4; i++)
		CHECK_MEM(sums[i], sums[0], sizeof sums[0]);
}

#define NONCE 32

static bool seen(unsigned char (*nonces)[NONCE], int n, const unsigned char *nonce)
{
	for (int i = 0; i < n; i++)
		if (memcmp(nonces[i], nonce, NONCE) == 0)
			return true;
	return false;
}

TEST(hash, nonces_are_never_the_same_not_even_in_children)
{
	enum { OWN = 100, CHILDREN = 8, ALL = OWN + CHILDREN * 4 };
	unsigned char nonces[ALL][NONCE], nonce[NONCE];
	int fds[2], n = 0;

	for (; n < OWN; n++) {
		CHECK_EQ(coh_nonce_bytes(nonce, sizeof nonce), 0);
		CHECK(!seen(nonces, n, nonce));
		memcpy(nonces[n], nonce, NONCE);
	}
	REQUIRE(pipe(fds) == 0);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid = test_fork();

		REQUIRE(pid >= 0);
		for (int k = 0; pid == 0 && k < 4; k++)
			if (coh_nonce_bytes(nonce, sizeof nonce) != 0 || write(fds[1], nonce, NONCE) != NONCE)
				_exit(1);
		if (pid == 0)
			_exit(0);
	}
	for (; n < ALL; n++) {
		REQUIRE(read(fds[0], nonce, NONCE) == NONCE);
		CHECK(!seen(nonces, n, nonce));
		memcpy(nonces[n], nonce, NONCE);
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;

		CHECK(wait(&status) > 0 && status == 0);
	}
	close(fds[0]);
	close(fds[1]);
}

TEST(hash, nonces_of_any_size)
{
	unsigned char out[1500], none[1500] = {0};

	for (size_t n = 1; n < sizeof out; n = n * 3 + 1) {
		memset(out, 0, sizeof out);
		CHECK_EQ(coh_nonce_bytes(out, n), 0);
		CHECK(n < 8 || memcmp(out, none, n) != 0);
		CHECK_MEM(out + n, none, sizeof out - n);
	}
}

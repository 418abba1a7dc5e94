/*
 * test_authkey.c - which key files are believed, and how a key is held.
 *
 * The list of permissions follows munge's tests of its key file.
 */
#include "base/mem.h"
#include "support/test.h"
#include "trust/authkey.h"
#include "trust/keyfile.h"
#include "trust/keytext.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEX16 "000102030405060708090a0b0c0d0e0f"
#define HEX32 HEX16 "101112131415161718191a1b1c1d1e1f"
#define HEX64 HEX32 "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
#define NOBODY 65534

/* A file NAME in the test's folder with TEXT and MODE; its path. */
static const char *key_file(const char *name, const char *text, mode_t mode)
{
	const char *path = test_path(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0);
	REQUIRE_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	REQUIRE_EQ(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

/* Secret INDEX of KEY is the one whose bytes are HEX. */
static void holds(const struct cohort_key *key, int index, const char *hex)
{
	struct cohort_key *want;
	struct coh_keytext k;

	REQUIRE_EQ(coh_keytext_decode(&k, hex, strlen(hex), NULL), 0);
	REQUIRE_EQ(cohort_key_new(&want, k.bytes[0], k.size[0], NULL), 0);
	CHECK_MEM(coh_authkey_prk(key, index, NULL), coh_authkey_prk(want, 0, NULL), COH_HASH_SIZE);
	cohort_key_free(want);
}

/* PATH loads, as the key whose bytes are HEX and, if it is not NULL, the one of SECOND. */
static void loads_two(const char *path, const char *hex, const char *second)
{
	struct cohort_key *key;
	struct cohort_error err = {0};

	if (cohort_key_load(&key, path, &err) < 0) {
		FAIL("%s", err.text);
		return;
	}
	if (CHECK_EQ(coh_authkey_count(key), second != NULL ? 2 : 1)) {
		holds(key, 0, hex);
		if (second != NULL)
			holds(key, 1, second);
	}
	cohort_key_free(key);
}

static void loads(const char *path, const char *hex)
{
	loads_two(path, hex, NULL);
}

/* PATH is refused; the sentence names it and has HINT. */
static void refused(const char *path, const char *hint)
{
	struct cohort_error err = {0};
	struct cohort_key *key = (void *)&err;

	CHECK_EQ(cohort_key_load(&key, path, &err), COHORT_EKEY);
	CHECK(key == NULL);
	CHECK_EQ(err.code, COHORT_EKEY);
	CHECK_HAS(err.text, path);
	CHECK_HAS(err.text, hint);
	cohort_key_free(key);
}

TEST(authkey, file_of_our_own_loads)
{
	loads(key_file("a", HEX32 "\n", 0600), HEX32);
	loads(key_file("b", HEX32 "\n", 0400), HEX32);
}

TEST(authkey, newline_at_the_end_changes_nothing)
{
	loads(key_file("a", HEX32, 0600), HEX32);
	loads(key_file("b", HEX32 "\n", 0600), HEX32);
}

TEST(authkey, digits_may_be_of_either_case)
{
	loads(key_file("a", "ABCDEFabcdef0123456789ABCDEFabcd\n", 0600),
	    "abcdefabcdef0123456789abcdefabcd");
}

TEST(authkey, of_16_to_64_bytes_is_taken)
{
	loads(key_file("a", HEX16 "\n", 0600), HEX16);
	loads(key_file("b", HEX64 "\n", 0600), HEX64);
	refused(key_file("c", &HEX16[2], 0600),
	    "30 characters; a key file holds one line of 32 to 128");
	refused(key_file("d", HEX64 "00", 0600), "130 characters; a key file holds");
	refused(key_file("e", HEX64 "\n" HEX64 "\n0", 0600), "259 bytes, allowed are 258");
}

TEST(authkey, empty_file_is_refused)
{
	refused(key_file("a", "", 0600), "it is empty; make one");
	refused(key_file("b", "\n", 0600), "line 1 has 0 characters");
}

TEST(authkey, text_that_is_no_key_is_refused_by_its_place)
{
	refused(key_file("a", HEX32 "\n\n", 0600), "line 2 has 0 characters");
	refused(key_file("b", HEX32 "\r\n", 0600), "65 characters");
	refused(key_file("c", " " HEX32, 0600), "65 characters");
	refused(key_file("d", HEX32 "0", 0600), "65 characters");
	refused(key_file("e", HEX32 "0g\n", 0600), "no hexadecimal digit at byte 65");
	refused(key_file("f", "0x" HEX32 "\n", 0600), "no hexadecimal digit at byte 1");
	refused(key_file("g", HEX16 " \n" HEX16, 0600), "line 1 has 33 characters");
	refused(key_file("h", HEX32 "\n" HEX16 " \n", 0600), "line 2 has 33 characters");
	refused(key_file("i", HEX16 "\n" HEX32 "x0\n", 0600), "no hexadecimal digit at byte 97");
}

TEST(authkey, sentence_never_shows_what_the_file_holds)
{
	/* The sentence has the path, of which a part is random letters and digits: the marks cannot be there. */
	const char *path = key_file("a", "#c0ffee#" HEX32 "#~#", 0600);
	struct cohort_error err;
	struct cohort_key *key;

	REQUIRE_EQ(cohort_key_load(&key, path, &err), COHORT_EKEY);
	CHECK(strstr(err.text, "#c0ff") == NULL);
	CHECK(strchr(err.text, '~') == NULL);
}

TEST(authkey, file_open_to_others_is_refused_with_the_remedy)
{
	static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666, 0777, 0440};
	const char *path = key_file("a", HEX32 "\n", 0600);
	char hint[64];

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		REQUIRE_EQ(chmod(path, modes[i]), 0);
		snprintf(hint, sizeof hint, "mode %04o lets others at it", (unsigned)modes[i]);
		refused(path, hint);
		refused(path, "allowed is 0600; run: chmod 600 '");
	}
}

TEST(authkey, file_of_another_user_is_refused)
{
	const char *path = key_file("a", HEX32 "\n", 0600);

	if (geteuid() != 0) {
		refused("/etc/shadow", "key file"); /* root's, and not for us */
		return;
	}
	REQUIRE_EQ(chown(path, NOBODY, (gid_t)-1), 0);
	refused(path, "it belongs to uid 65534, allowed are uid 0 and root");
}

TEST(authkey, symbolic_link_is_refused)
{
	const char *link = test_path("link");

	REQUIRE_EQ(symlink(key_file("a", HEX32 "\n", 0600), link), 0);
	refused(link, "symbolic link; name the file itself");
	REQUIRE_EQ(symlink("nowhere", test_path("dangling")), 0);
	refused(test_path("dangling"), "symbolic link");
}

TEST(authkey, what_is_no_regular_file_is_refused_without_waiting)
{
	const char *fifo = test_path("fifo"), *dir = test_path("dir");

	REQUIRE_EQ(mkfifo(fifo, 0600), 0);
	REQUIRE_EQ(mkdir(dir, 0700), 0);
	refused(fifo, "not a regular file");
	refused(dir, "not a regular file");
	refused("/dev/zero", "not a regular file");
}

TEST(authkey, file_that_is_not_there_is_refused_with_the_remedy)
{
	refused(test_path("none"), "there is no such file; make one: cohort keygen FILE");
	refused(test_path("no/where"), "its directory: No such file or directory");
	refused(test_path(""), "it must name a file");
}

TEST(authkey, directory_that_others_may_write_is_refused_unless_sticky)
{
	const char *dir = test_path("dir"), *path;

	REQUIRE_EQ(mkdir(dir, 0700), 0);
	path = key_file("dir/a", HEX32 "\n", 0600);
	REQUIRE_EQ(chmod(dir, 0770), 0);
	refused(path, "(mode 0770); run: chmod go-w '");
	REQUIRE_EQ(chmod(dir, 0702), 0);
	refused(path, "others may write in ");
	refused(path, dir);
	REQUIRE_EQ(chmod(dir, 01777), 0);
	loads(path, HEX32);
	REQUIRE_EQ(chmod(dir, 0755), 0);
	loads(path, HEX32);
}

TEST(authkey, directory_further_up_counts_too)
{
	const char *dir = test_path("dir"), *path;

	REQUIRE_EQ(mkdir(dir, 0700), 0);
	REQUIRE_EQ(mkdir(test_path("dir/sub"), 0700), 0);
	path = key_file("dir/sub/a", HEX32 "\n", 0600);
	loads(path, HEX32);
	REQUIRE_EQ(chmod(dir, 0707), 0);
	refused(path, "(mode 0707)");
	REQUIRE_EQ(chmod(dir, 0700), 0);
	if (geteuid() != 0)
		return;
	REQUIRE_EQ(chown(dir, NOBODY, (gid_t)-1), 0);
	refused(path, "belongs to uid 65534");
}

TEST(authkey, path_may_be_relative)
{
	int old = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	key_file("a", HEX32 "\n", 0600);
	REQUIRE(old >= 0);
	REQUIRE_EQ(chdir(test_folder()), 0);
	loads("a", HEX32);
	loads("./a", HEX32);
	CHECK_EQ(fchdir(old), 0);
	close(old);
}

TEST(authkey, file_is_named_by_the_environment)
{
	const char *path = key_file("a", HEX32 "\n", 0600);
	struct cohort_error err;
	struct cohort_key *key;

	REQUIRE_EQ(setenv("COHORT_KEY_FILE", path, 1), 0);
	CHECK_EQ(cohort_key_load(&key, NULL, &err), 0);
	cohort_key_free(key);
	REQUIRE_EQ(setenv("COHORT_KEY_FILE", "", 1), 0);
	CHECK_EQ(cohort_key_load(&key, NULL, &err), COHORT_EKEY);
	REQUIRE_EQ(unsetenv("COHORT_KEY_FILE"), 0);
	CHECK_EQ(cohort_key_load(&key, NULL, &err), COHORT_EKEY);
	CHECK_HAS(err.text, "set COHORT_KEY_FILE; make one: cohort keygen FILE");
}

TEST(authkey, bytes_too_few_or_too_many_are_no_key)
{
	static const size_t sizes[] = {0, 1, 15, 65, SIZE_MAX};
	struct cohort_error err;
	struct cohort_key *key;

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CHECK_EQ(cohort_key_new(&key, HEX64, sizes[i], &err), COHORT_EKEY);
		CHECK(key == NULL);
		CHECK_HAS(err.text, "allowed are 16 to 64");
	}
}

TEST(authkey, generated_file_is_ours_alone_and_loads)
{
	const char *path = test_path("new");
	struct cohort_error err = {0};
	struct cohort_key *key;
	struct stat st;
	mode_t old = umask(0777);

	CHECK_EQ(cohort_key_generate(path, &err), 0);
	umask(old);
	REQUIRE_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(st.st_size, 65);
	REQUIRE_EQ(cohort_key_load(&key, path, &err), 0);
	cohort_key_free(key);
}

TEST(authkey, generated_files_differ)
{
	struct cohort_key *a, *b;

	REQUIRE_EQ(cohort_key_generate(test_path("a"), NULL), 0);
	REQUIRE_EQ(cohort_key_generate(test_path("b"), NULL), 0);
	REQUIRE_EQ(cohort_key_load(&a, test_path("a"), NULL), 0);
	REQUIRE_EQ(cohort_key_load(&b, test_path("b"), NULL), 0);
	CHECK(memcmp(coh_authkey_prk(a, 0, NULL), coh_authkey_prk(b, 0, NULL), COH_HASH_SIZE) != 0);
	cohort_key_free(a);
	cohort_key_free(b);
}

TEST(authkey, generating_over_a_file_is_refused_and_leaves_it)
{
	const char *path = key_file("a", HEX32 "\n", 0600), *link = test_path("link");
	struct cohort_error err;

	CHECK_EQ(cohort_key_generate(path, &err), COHORT_EKEY);
	CHECK_HAS(err.text, "it exists; a key in use is not overwritten");
	loads(path, HEX32);
	REQUIRE_EQ(symlink("elsewhere", link), 0);
	CHECK_EQ(cohort_key_generate(link, &err), COHORT_EKEY);
	CHECK_EQ(access(test_path("elsewhere"), F_OK), -1);
}

TEST(authkey, generating_where_loading_would_fail_is_refused)
{
	const char *dir = test_path("dir"), *path = test_path("dir/a");
	struct cohort_error err;

	REQUIRE_EQ(mkdir(dir, 0700), 0);
	REQUIRE_EQ(chmod(dir, 0777), 0);
	CHECK_EQ(cohort_key_generate(path, &err), COHORT_EKEY);
	CHECK_HAS(err.text, "others may write in ");
	CHECK_EQ(access(path, F_OK), -1);
}

TEST(authkey, generating_on_a_full_disk_leaves_no_file)
{
	const struct rlimit small = {10, RLIM_INFINITY};
	const char *path = test_path("a");
	struct rlimit old;
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	REQUIRE_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
	REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = cohort_key_generate(path, NULL);
	REQUIRE_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK(rc == -EFBIG || rc == -EIO);
	CHECK_EQ(access(path, F_OK), -1);
}

/* The exit status of BODY(KEY) in a forked child. */
static int in_child(int (*body)(struct cohort_key *), struct cohort_key *key)
{
	int status;
	pid_t pid = test_fork();

	REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(body(key));
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int child_uses(struct cohort_key *key)
{
	struct cohort_error err = {0};
	unsigned char out[COH_HASH_SIZE];
	bool refused = coh_authkey_prk(key, 0, &err) == NULL && err.code == COHORT_EKEY &&
	    strstr(err.text, "forked") != NULL &&
	    coh_authkey_derive(key, &(struct coh_authkey_use){0, "x", "y"}, out) == COHORT_EKEY &&
	    coh_authkey_id(key, 0, out) == COHORT_EKEY && coh_authkey_count(key) == 0;

	cohort_key_free(key);
	return refused ? 42 : 1;
}

TEST(authkey, is_wiped_in_a_forked_child_and_refused_there)
{
	struct cohort_key *key;

	REQUIRE_EQ(cohort_key_new(&key, HEX32, 32, NULL), 0);
	CHECK_EQ(in_child(child_uses, key), 42);
	CHECK(coh_authkey_prk(key, 0, NULL) != NULL);
	cohort_key_free(key);
}

/* The VmFlags line of the mapping that holds P. */
static void flags_of(const void *p, char *out, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long at = (unsigned long)p, from, to;
	bool here = false;
	char line[512];

	REQUIRE(f != NULL);
	*out = '\0';
	while (fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= at && at < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, size, "%s", line);
	}
	fclose(f);
}

TEST(authkey, stays_out_of_core_files_and_children)
{
	struct cohort_key *key;
	char flags[512];

	REQUIRE_EQ(cohort_key_new(&key, HEX32, 32, NULL), 0);
	flags_of(coh_authkey_prk(key, 0, NULL), flags, sizeof flags);
	CHECK_HAS(flags, " dd"); /* not in a dump */
	CHECK_HAS(flags, " wf"); /* wiped on fork */
	cohort_key_free(key);
}

TEST(authkey, derives_what_depends_on_every_input)
{
	unsigned char a[COH_HASH_SIZE], b[COH_HASH_SIZE];
	struct cohort_key *key;
	const struct coh_span secrets[] = {{HEX32, 32}, {HEX32, 33}};
	const struct coh_authkey_use plain = {0, "label", "cluster"}, cut = {0, "labe", "lcluster"},
				     less = {0, "label", "cluste"}, other = {1, "label", "cluster"};

	REQUIRE_EQ(coh_authkey_new(&key, secrets, 2, NULL), 0);
	REQUIRE_EQ(coh_authkey_derive(key, &plain, a), 0);
	REQUIRE_EQ(coh_authkey_derive(key, &plain, b), 0);
	CHECK_MEM(a, b, sizeof a);
	REQUIRE_EQ(coh_authkey_derive(key, &cut, b), 0);
	CHECK(memcmp(a, b, sizeof a) != 0);
	REQUIRE_EQ(coh_authkey_derive(key, &less, b), 0);
	CHECK(memcmp(a, b, sizeof a) != 0);
	REQUIRE_EQ(coh_authkey_derive(key, &other, b), 0);
	CHECK(memcmp(a, b, sizeof a) != 0);
	cohort_key_free(key);
}

/* What is kept of earlier derivations shows in nothing but the time. */
TEST(authkey, derives_the_same_again_and_anew_from_another_secret)
{
	static const char *const labels[] = {"a", "b", "c", "d", "e",
	    "a label that is longer than what there is room to keep of one"};
	unsigned char first[6][COH_HASH_SIZE], again[COH_HASH_SIZE];
	struct coh_authkey_use use = {0, NULL, "cluster"};
	struct cohort_key *key, *other;

	REQUIRE_EQ(cohort_key_new(&key, HEX32, 32, NULL), 0);
	REQUIRE_EQ(cohort_key_new(&other, HEX32, 33, NULL), 0);
	for (int i = 0; i < 18; i++) {
		use.label = labels[i % 6];
		REQUIRE_EQ(coh_authkey_derive(key, &use, i < 6 ? first[i] : again), 0);
		if (i >= 6)
			CHECK_MEM(again, first[i % 6], sizeof again);
	}
	use.cluster = "elsewhere";
	use.label = labels[0];
	REQUIRE_EQ(coh_authkey_derive(key, &use, again), 0);
	CHECK(memcmp(again, first[0], sizeof again) != 0);
	coh_authkey_replace(key, other);
	use.cluster = "cluster";
	for (int i = 0; i < 6; i++) {
		use.label = labels[i];
		REQUIRE_EQ(coh_authkey_derive(key, &use, again), 0);
		CHECK(memcmp(again, first[i], sizeof again) != 0);
	}
	cohort_key_free(key);
}

/* By another HKDF (Python's hmac): extract with the salt, expand "cohort-key-id" and a 0. */
TEST(authkey, has_the_known_id)
{
	static const unsigned char want[] = {0xc9, 0xe6, 0xe9, 0x08};
	unsigned char id[COH_AUTHKEY_ID], bytes[32];
	struct cohort_key *key;

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	REQUIRE_EQ(cohort_key_new(&key, bytes, sizeof bytes, NULL), 0);
	REQUIRE_EQ(coh_authkey_id(key, 0, id), 0);
	CHECK_MEM(id, want, sizeof id);
	cohort_key_free(key);
}

/* ---- two keys ---- */

TEST(authkey, file_may_hold_two)
{
	loads_two(key_file("a", HEX32 "\n" HEX16 "\n", 0600), HEX32, HEX16);
	loads_two(key_file("b", HEX16 "\n" HEX64, 0600), HEX16, HEX64);
	loads_two(key_file("c", HEX64 "\n" HEX32 HEX16 "00000000000000000000000000000000\n", 0600),
	    HEX64, HEX32 HEX16 "00000000000000000000000000000000");
}

TEST(authkey, file_with_one_key_twice_or_a_third_is_refused)
{
	refused(key_file("a", HEX32 "\n" HEX32 "\n", 0600), "both lines hold the same key");
	refused(key_file("b", HEX16 "\n" HEX32 "\n" HEX32, 0600), "more than 2 lines");
}

/* The two lines of the file PATH, without their newlines; "" when there is none. */
static void lines(const char *path, char one[200], char two[200])
{
	FILE *f = fopen(path, "re");

	REQUIRE(f != NULL);
	*one = *two = '\0';
	if (fscanf(f, "%199s %199s", one, two) < 1)
		FAIL("%s is empty", path);
	fclose(f);
}

TEST(authkey, changes_in_three_steps)
{
	const char *path = key_file("a", HEX16 "\n", 0400);
	char one[200], two[200], was[200];
	struct stat st;

	REQUIRE_EQ(coh_keyfile_rotate(path, COH_KEYFILE_ADD, NULL), 0);
	lines(path, one, was);
	CHECK_STR(one, HEX16);
	CHECK_EQ(strlen(was), 64);
	REQUIRE_EQ(coh_keyfile_rotate(path, COH_KEYFILE_SWAP, NULL), 0);
	lines(path, one, two);
	CHECK_STR(one, was);
	CHECK_STR(two, HEX16);
	REQUIRE_EQ(coh_keyfile_rotate(path, COH_KEYFILE_DROP, NULL), 0);
	lines(path, one, two);
	CHECK_STR(one, was);
	CHECK_STR(two, "");
	REQUIRE_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	loads(path, was);
}

/* STEP is refused with HINT, and leaves the file as it is. */
static void step_refused(const char *path, enum coh_keyfile_step step, const char *hint)
{
	char before[2][200], after[2][200];
	struct cohort_error err = {0};

	lines(path, before[0], before[1]);
	CHECK_EQ(coh_keyfile_rotate(path, step, &err), COHORT_EKEY);
	CHECK_HAS(err.text, hint);
	CHECK_HAS(err.text, path);
	lines(path, after[0], after[1]);
	CHECK_STR(after[0], before[0]);
	CHECK_STR(after[1], before[1]);
}

TEST(authkey, step_out_of_turn_is_refused)
{
	const char *path = key_file("a", HEX16 "\n", 0600);

	step_refused(path, COH_KEYFILE_SWAP, "it holds one key only; run: cohort keygen --add");
	step_refused(path, COH_KEYFILE_DROP, "it holds one key only");
	REQUIRE_EQ(coh_keyfile_rotate(path, COH_KEYFILE_ADD, NULL), 0);
	step_refused(
	    path, COH_KEYFILE_ADD, "it holds two keys already; run: cohort keygen --swap, or");
}

TEST(authkey, step_beside_another_is_refused)
{
	const char *path = key_file("a", HEX16 "\n", 0600);

	key_file("a.new", "", 0600);
	step_refused(path, COH_KEYFILE_ADD, "a.new is there: another change is under way");
	REQUIRE_EQ(unlink(test_path("a.new")), 0);
	REQUIRE_EQ(chmod(path, 0640), 0);
	step_refused(path, COH_KEYFILE_ADD, "mode 0640 lets others at it");
	CHECK_EQ(coh_keyfile_rotate(test_path("none"), COH_KEYFILE_ADD, NULL), COHORT_EKEY);
	CHECK_EQ(access(test_path("a.new"), F_OK), -1);
}

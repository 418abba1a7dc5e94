/*
 * test_secrets.c - the key is where it is needed, and nowhere else.
 *
 * Every form that a key takes (its bytes, their digits, base64, what is extracted from it) is looked for in the
 * command lines, environments, log and workers of a node, and in what a crash of it leaves behind.  What
 * looks must not carry what it looks for: needles are masked, byte by byte, from the moment they are made.
 */
#include "contract/pool_fixture.h"
#include "trust/authkey.h"

#include <cohort/cohort.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1 /* terabytes of shadow memory: nothing to look through */
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#define NOBODY 65534
#define PATIENCE cohort_in(test_span(15 * COHORT_SECOND))
#define MASK 0x5a
#define NEEDLES 6
#define NEEDLE_MAX 64
#define CHUNK ((size_t)256 << 10)

/* What is looked for, masked.  The first is no secret: who looks puts it there, to show that looking finds. */
struct needles {
	unsigned char size[NEEDLES];
	unsigned char masked[NEEDLES][NEEDLE_MAX];
};

static void needle_add(struct needles *n, int i, unsigned char byte)
{
	n->masked[i][n->size[i]++] = byte ^ MASK;
}

static void needle_hex(struct needles *n, int i, const unsigned char *bytes, size_t size)
{
	for (size_t at = 0; at < size; at++) {
		needle_add(n, i, (unsigned char)"0123456789abcdef"[bytes[at] >> 4]);
		needle_add(n, i, (unsigned char)"0123456789abcdef"[bytes[at] & 15]);
	}
}

/* As many whole groups as there are: 30 of 32 bytes make 40 characters. */
static void needle_base64(struct needles *n, int i, const unsigned char *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t at = 0; at + 3 <= size; at += 3) {
		unsigned three = (unsigned)bytes[at] << 16 | (unsigned)bytes[at + 1] << 8 | bytes[at + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			needle_add(n, i, (unsigned char)digits[three >> shift & 63]);
	}
}

/* The needles of the key in the file PATH; nothing of it stays here but them. */
static void needles_make(struct needles *n, const char *path)
{
	unsigned char text[65], bytes[32];
	struct cohort_key *key;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(n, 0, sizeof *n);
	for (int i = 0; i < 32; i++) /* nowhere in the program as it stands */
		needle_add(n, 0, (unsigned char)('a' + i * 7 % 26));
	REQUIRE(fd >= 0 && read(fd, text, sizeof text) == (ssize_t)sizeof text);
	close(fd);
	for (size_t i = 0; i < sizeof bytes; i++) {
		unsigned high = text[2 * i], low = text[2 * i + 1];

		bytes[i] = (unsigned char)((high > '9' ? high - 'a' + 10 : high - '0') << 4 |
		    (low > '9' ? low - 'a' + 10 : low - '0'));
	}
	for (size_t i = 0; i < sizeof bytes; i++)
		needle_add(n, 1, bytes[i]);
	needle_hex(n, 2, bytes, sizeof bytes);
	needle_base64(n, 3, bytes, sizeof bytes);
	explicit_bzero(text, sizeof text);
	explicit_bzero(bytes, sizeof bytes);
	REQUIRE_EQ(cohort_key_load(&key, path, NULL), 0);
	for (size_t i = 0; i < COH_HASH_SIZE; i++)
		needle_add(n, 4, coh_authkey_prk(key, 0, NULL)[i]);
	needle_hex(n, 5, coh_authkey_prk(key, 0, NULL), COH_HASH_SIZE);
	cohort_key_free(key);
}

/* Which of N stand in the SIZE bytes at P: a bit for each. */
static int needles_in(const struct needles *n, const unsigned char *p, size_t size)
{
	int found = 0;

	for (int i = 0; i < NEEDLES; i++)
		for (size_t at = 0; at + n->size[i] <= size; at++) {
			size_t same = 0;

			while (same < n->size[i] && (p[at + same] ^ MASK) == n->masked[i][same])
				same++;
			if (same == n->size[i]) {
				found |= 1 << i;
				break;
			}
		}
	return found;
}

/* The same in the file FD from byte FROM to TO; what cannot be read is passed over. */
static int needles_in_range(const struct needles *n, int fd, off_t from, off_t to, unsigned char *chunk)
{
	int found = 0;

	for (off_t at = from; at < to; at += (off_t)(CHUNK - NEEDLE_MAX)) {
		size_t want = to - at < (off_t)CHUNK ? (size_t)(to - at) : CHUNK;
		ssize_t got = pread(fd, chunk, want, at);

		if (got <= 0 && at == from)
			break;
		if (got > 0)
			found |= needles_in(n, chunk, (size_t)got);
	}
	return found;
}

static int needles_in_file(const struct needles *n, const char *path)
{
	unsigned char *chunk = malloc(CHUNK);
	int fd = open(path, O_RDONLY | O_CLOEXEC), found = -1;

	if (fd >= 0 && chunk != NULL)
		found = needles_in_range(n, fd, 0, 1 << 24, chunk);
	if (fd >= 0)
		close(fd);
	free(chunk);
	return found;
}

/* The same in all memory of this process.  -1: it could not be looked at. */
static int needles_in_self(const struct needles *n)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), found = 0;
	unsigned char *chunk = malloc(CHUNK);
	unsigned long from, to;
	char line[512], access[8];

	if (maps == NULL || mem < 0 || chunk == NULL)
		return -1;
	while (fgets(line, sizeof line, maps) != NULL)
		if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3 && access[0] == 'r' &&
		    strstr(line, "[v") == NULL)
			found |= needles_in_range(n, mem, (off_t)from, (off_t)to, chunk);
	fclose(maps);
	close(mem);
	free(chunk);
	return found;
}

static int look_at_self(struct cohort_call *call)
{
	unsigned char *planted;
	struct cohort_bytes blob;
	struct needles n;
	int32_t found;

	cohort_call_args(call, &blob);
	if (blob.size != sizeof n || (planted = malloc(NEEDLE_MAX)) == NULL)
		return cohort_call_fail(call, "no needles");
	memcpy(&n, blob.data, sizeof n);
	for (int i = 0; i < n.size[0]; i++)
		planted[i] = n.masked[0][i] ^ MASK;
	found = needles_in_self(&n);
	free(planted);
	return cohort_call_result(call, &found);
}
COHORT_TASK(look_at_self, "B", "i");

#ifndef SANITIZED

/* What a worker of the pool at ADDRESS finds in itself: the planted one, and no other. */
static void worker_is_clean(const char *address, const char *key)
{
	struct cohort_pool_options o = {.key_file = key};
	struct cohort_error err = {0};
	struct cohort_bytes blob;
	struct cohort_pool *p;
	struct needles n;
	int32_t found = -1;

	needles_make(&n, key);
	blob = (struct cohort_bytes){.data = &n, .size = sizeof n};
	REQUIRE_EQ(cohort_pool_open(&p, address, &o, &err), 0);
	if (cohort_pool_apply(p, PATIENCE, &err, "look_at_self", &blob, &found) != 0)
		FAIL("%s", err.text);
	CHECK_EQ(found, 1);
	cohort_pool_free(p);
}

TEST(secrets, are_in_no_memory_of_a_local_worker)
{
	pool_program();
	worker_is_clean("local:1", pool_key());
}

TEST(secrets, are_in_no_memory_of_a_nodes_worker)
{
	const char *key;

	pool_program();
	key = pool_key();
	pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0", "--key", key, "--slots", "1",
	    "--port-file", test_path("port"), NULL});
	worker_is_clean(pool_line(test_path("port")), key);
	pool_end(NULL);
}

/* It is a copy of us, who have had the key and dialled with it. */
TEST(secrets, are_in_no_memory_of_a_forked_child)
{
	struct cohort_net_options o = {0};
	struct cohort_conn *c;
	unsigned char *planted;
	struct needles n;
	int status, pid;

	pool_program();
	o.key_file = pool_key();
	pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0", "--key", o.key_file,
	    "--port-file", test_path("port"), NULL});
	needles_make(&n, o.key_file);
	REQUIRE_EQ(cohort_dial(&c, pool_line(test_path("port")), &o, PATIENCE, NULL), 0);
	planted = malloc(NEEDLE_MAX);
	REQUIRE(planted != NULL);
	for (int i = 0; i < n.size[0]; i++)
		planted[i] = n.masked[0][i] ^ MASK;
	pid = test_fork();
	if (pid == 0)
		_exit(needles_in_self(&n) & 0x7f);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 1);
	free(planted);
	cohort_conn_close(c);
	pool_end(NULL);
}

#endif

/* ---- command lines, environments, the log ---- */

static int parent_of(int pid)
{
	char path[64], line[512];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof line, f) != NULL && strrchr(line, ')') != NULL)
		sscanf(strrchr(line, ')'), ") %*c %d", &parent);
	fclose(f);
	return parent;
}

static bool descends_from(int pid, int ancestor)
{
	while (pid > 1 && pid != ancestor)
		pid = parent_of(pid);
	return pid == ancestor;
}

/* What every process below PARENT shows to all; how many there are. */
static int processes_show(const struct needles *n, int parent, int *found)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	char path[64];
	int count = 0, pid;

	REQUIRE(proc != NULL);
	while ((e = readdir(proc)) != NULL) {
		pid = atoi(e->d_name);
		if (pid <= 0 || !descends_from(pid, parent))
			continue;
		count++;
		for (int i = 0; i < 2; i++) {
			snprintf(path, sizeof path, "/proc/%d/%s", pid, i == 0 ? "cmdline" : "environ");
			*found |= needles_in_file(n, path);
		}
	}
	closedir(proc);
	return count;
}

/* An agent with all its words in the file "log"; its pid. */
static int logging_agent(const char *key)
{
	int log = open(test_path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), pid;

	REQUIRE(log >= 0 && old >= 0 && dup2(log, STDERR_FILENO) >= 0);
	pid = pool_agent((const char *const[]){"--listen", "tcp://127.0.0.1:0", "--key", key, "-v", "-v",
	    "--slots", "2", "--port-file", test_path("port"), NULL});
	REQUIRE(dup2(old, STDERR_FILENO) >= 0);
	close(old);
	close(log);
	return pid;
}

TEST(secrets, are_in_no_command_line_environment_or_log)
{
	struct cohort_pool_options o = {0};
	struct cohort_pool *p;
	struct needles n;
	const char *address;
	int found = 0, x = 3;
	int64_t y = 0;

	pool_program();
	o.key_file = pool_key();
	needles_make(&n, o.key_file);
	logging_agent(o.key_file);
	address = pool_line(test_path("port"));
	REQUIRE_EQ(cohort_pool_open(&p, address, &o, NULL), 0);
	CHECK_EQ(cohort_pool_apply(p, PATIENCE, NULL, "square", &x, &y), 0);
	CHECK(processes_show(&n, getpid(), &found) >= 6); /* us, zygote, agent, its zygote, two workers */
	CHECK_EQ(found, 0);
	cohort_pool_free(p);
	o.key_file = test_path("other");
	REQUIRE_EQ(cohort_key_generate(o.key_file, NULL), 0);
	CHECK_EQ(cohort_pool_open(&p, address, &o, NULL), COHORT_EAUTH); /* something to log */
	pool_end(NULL);
	CHECK(access(test_path("log"), R_OK) == 0);
	CHECK_EQ(needles_in_file(&n, test_path("log")), 0);
}

/* ---- what a crash leaves ---- */

#ifndef SANITIZED

/* The wait status of PID, sent SIGSEGV. */
static int crash(int pid)
{
	int status = 0;

	REQUIRE_EQ(kill(pid, SIGSEGV), 0);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	return status;
}

/* Whether this machine writes core files at all, once it is permitted. */
static bool machine_dumps(void)
{
	struct rlimit l;
	int pid;

	if (getrlimit(RLIMIT_CORE, &l) != 0 || l.rlim_max == 0 || chdir(test_folder()) != 0)
		return false;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_CORE, &l) != 0)
		return false;
	pid = test_fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		for (;;)
			pause();
	}
	return WCOREDUMP(crash(pid));
}

TEST(secrets, are_in_no_core_file_since_a_node_leaves_none)
{
	int pid, old = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *key;

	REQUIRE(old >= 0);
	pool_program();
	key = pool_key();
	if (!machine_dumps())
		printf("this machine writes no core files: only the limit is looked at\n");
	pid = logging_agent(key);
	pool_line(test_path("port"));
	CHECK(!WCOREDUMP(crash(pid)));
	CHECK_EQ(fchdir(old), 0);
	close(old);
}

/* Become a user who is not root, which the node is then started as. */
static bool become_nobody(void)
{
	return geteuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

/* The command lies where that user can run it. */
static bool nobody_may_run(const char *command)
{
	int status, pid = test_fork();

	if (pid == 0)
		_exit(become_nobody() && access(command, X_OK) == 0 ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* By the owner of what /proc shows of it one knows who may look into a process. */
TEST(secrets, are_for_no_other_process_of_the_nodes_user)
{
	const char *key, *port = test_path("port"), *command = getenv("COHORT_COMMAND");
	char file[64];
	struct stat st;
	int pid, status;

	pool_program();
	key = pool_key();
	if (!nobody_may_run(command)) {
		printf("%s is not for everybody: nothing is looked at\n", command);
		return;
	}
	if (geteuid() == 0)
		REQUIRE(chown(test_folder(), NOBODY, NOBODY) == 0 && chown(key, NOBODY, NOBODY) == 0);
	pid = test_fork();
	if (pid == 0) {
		if (become_nobody())
			execl(command, command, "node", "--listen", "tcp://127.0.0.1:0", "--key", key,
			    "--port-file", port, (char *)NULL);
		_exit(127);
	}
	pool_line(port);
	snprintf(file, sizeof file, "/proc/%d/mem", pid);
	REQUIRE_EQ(stat(file, &st), 0);
	CHECK_EQ(st.st_uid, 0);
	kill(pid, SIGTERM);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

#endif

/* The lines of /proc/PID/FILE, for CHECK_HAS. */
static const char *proc_text(int pid, const char *file)
{
	static char text[8192];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

TEST(secrets, are_guarded_by_what_a_node_gives_up)
{
	struct cohort_pool_options o = {0};
	struct cohort_pool *p;
	int32_t worker = 0;
	int agent;

	pool_program();
	o.key_file = pool_key();
	agent = logging_agent(o.key_file);
	REQUIRE_EQ(cohort_pool_open(&p, pool_line(test_path("port")), &o, NULL), 0);
	REQUIRE_EQ(cohort_pool_apply(p, PATIENCE, NULL, "whoami", &worker), 0);
	CHECK_HAS(proc_text(agent, "status"), "NoNewPrivs:\t1");
	CHECK_HAS(proc_text(worker, "status"), "NoNewPrivs:\t1");
	CHECK_HAS(proc_text(agent, "limits"), "Max core file size        0                    0");
	pool_end(p);
}

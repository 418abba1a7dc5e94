/*
 * echo_contract.c - `cohort echo` gives back what comes, in every mode.
 *
 * The command is the built one ($COHORT_COMMAND); the mode is $COHORT_CONTRACT.
 */
#include "contract/pool_fixture.h"

#include <cohort/dial.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct echo {
	pid_t pid;
	struct cohort_conn *conn;
};

static const char *listen_address(void)
{
	static const char *const addresses[][2] = {
	    {"tcp", "tcp://127.0.0.1:0"}, {"tls", "tls://127.0.0.1:0"}};
	static char path[512];
	const char *kind = getenv("COHORT_CONTRACT");

	for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
		if (kind != NULL && strcmp(kind, addresses[i][0]) == 0)
			return addresses[i][1];
	snprintf(path, sizeof path, "unix:%s", test_path("echo.sock"));
	return path;
}

static struct echo echo_open(void)
{
	const char *argv[] = {getenv("COHORT_COMMAND"), "echo", "--listen", listen_address(),
	    "--key", pool_key(), "--port-file", test_path("port"), NULL};
	struct cohort_net_options options = {.key_file = pool_key()};
	struct cohort_error err = {0};
	struct echo e = {0};

	e.pid = test_fork();
	if (e.pid == 0) {
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (cohort_dial(&e.conn, pool_line(test_path("port")), &options,
		cohort_in(test_span(10 * COHORT_SECOND)), &err) != 0)
		FAIL("%s", err.text);
	REQUIRE(e.conn != NULL);
	return e;
}

/* The command ends in order when it is told to, and takes its port file away. */
static void echo_close(struct echo *e)
{
	int status = -1;

	cohort_conn_close(e->conn);
	kill(e->pid, SIGTERM);
	waitpid(e->pid, &status, 0);
	CHECK_EQ(status, 0);
	CHECK(access(test_path("port"), F_OK) != 0);
}

static cohort_time patience(void)
{
	return cohort_in(test_span(15 * COHORT_SECOND));
}

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

TEST(echo, every_size_comes_back_whole)
{
	static const size_t sizes[] = {0, 1, 24, 65535, 65536, 65537, 1 << 20, 5 << 20};
	struct echo e = echo_open();
	unsigned char *out = malloc(5 << 20);
	const void *in;
	size_t got;

	REQUIRE(out != NULL);
	for (size_t i = 0; i < 5 << 20; i++)
		out[i] = byte_at(i);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		REQUIRE_EQ(cohort_conn_send_bytes(e.conn, out, sizes[i], patience()), 0);
		if (!CHECK_EQ(cohort_conn_recv_bytes(e.conn, &in, &got, patience()), 0))
			FAIL("%zu bytes: %s", sizes[i], cohort_conn_error(e.conn));
		REQUIRE_EQ(got, sizes[i]);
		CHECK(memcmp(in, out, got) == 0);
	}
	free(out);
	echo_close(&e);
}

TEST(echo, many_come_back_in_order)
{
	struct echo e = echo_open();
	const void *in;
	size_t got;
	int n = 5000;

	for (int i = 0; i < n; i++)
		REQUIRE_EQ(cohort_conn_put_bytes(e.conn, &i, sizeof i, patience()), 0);
	for (int i = 0; i < n; i++) {
		REQUIRE_EQ(cohort_conn_recv_bytes(e.conn, &in, &got, patience()), 0);
		REQUIRE_EQ(got, sizeof i);
		REQUIRE(memcmp(in, &i, sizeof i) == 0);
	}
	echo_close(&e);
}

TEST(echo, typed_messages_come_back_typed)
{
	struct echo e = echo_open();
	struct cohort_error err;
	struct cohort_message *m;
	const char *word = "there and back";
	int number = 7;

	REQUIRE_EQ(cohort_message_new(&m, "is", &err), 0);
	REQUIRE_EQ(cohort_message_pack(m, 0, &number, &word), 0);
	REQUIRE_EQ(cohort_conn_send(e.conn, m, patience()), 0);
	number = 0;
	word = NULL;
	REQUIRE_EQ(cohort_conn_recv(e.conn, m, patience()), 0);
	REQUIRE_EQ(cohort_message_unpack(m, 0, &number, &word), 1);
	CHECK_EQ(number, 7);
	CHECK_STR(word, "there and back");
	cohort_message_free(m);
	echo_close(&e);
}

TEST(echo, one_that_does_not_read_does_not_stop_the_others)
{
	struct echo e = echo_open();
	struct cohort_net_options options = {.key_file = pool_key()};
	struct cohort_conn *stuck;
	const size_t chunk = 256 << 10;
	struct cohort_error err;
	const void *in;
	size_t got, sent = 0;
	char *data = calloc(1, chunk);

	REQUIRE(data != NULL);
	REQUIRE_EQ(cohort_dial(&stuck, pool_line(test_path("port")), &options, patience(), &err), 0);
	/* It takes what it can hold for us and then nothing more: a bounded amount. */
	while (sent < (size_t)256 << 20 &&
	    cohort_conn_send_bytes(stuck, data, chunk, cohort_in(200 * COHORT_MS)) == 0)
		sent += chunk;
	CHECK(sent < (size_t)128 << 20);
	REQUIRE_EQ(cohort_conn_send_bytes(e.conn, "hello", 5, patience()), 0);
	REQUIRE_EQ(cohort_conn_recv_bytes(e.conn, &in, &got, patience()), 0);
	CHECK_EQ(got, 5);
	cohort_conn_close(stuck);
	free(data);
	echo_close(&e);
}

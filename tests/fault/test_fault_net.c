/* test_fault_net.c - every system call of listening, dialling, greeting and talking fails, in turn (scene.h). */
#include "conn/listener_priv.h"
#include "fault/exchange.h"
#include "fault/faults.h"
#include "fault/scene.h"
#include "net/hall.h"
#include "support/test.h"
#include "trust/keyfile.h"

#include <cohort/auth.h>
#include <cohort/dial.h>
#include <cohort/listener.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE (5 * COHORT_SECOND) /* of a listener with whom it has met, and may keep so long: less than a sweep waits */

TEST_TIMEOUT(fault_net, every_call_over_tcp, 120)
{
	scene_sweep_at("tcp://127.0.0.1:0", false);
}

TEST_TIMEOUT(fault_net, every_call_over_a_unix_socket, 120)
{
	char address[512] = "unix:";

	strncat(address, test_path("socket"), sizeof address - 6);
	scene_sweep_at(address, false);
}

/* Listen at a Unix socket in a folder that is not there yet. */
static int settle(void *arg, struct cohort_error *err)
{
	struct scene *s = arg;
	const char *path = strchr(s->address, ':') + 1;
	char folder[512] = "";
	int rc = cohort_listen(&s->listener, s->address, &s->options, err);

	faults_over();
	cohort_listener_close(s->listener);
	(void)unlink(path); /* the unlink of the close failed */
	strncat(folder, path, (size_t)(strrchr(path, '/') - path));
	(void)rmdir(folder);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_folder_for_a_unix_socket, 60)
{
	struct cohort_key *key = hall_key();
	struct scene s = {.options = {.key = key}};
	char address[512] = "unix:";

	strncat(address, test_path("folder/socket"), sizeof address - 6);
	s.address = address;
	CHECK(faults_sweep(settle, &s) > 20);
	cohort_key_free(key);
}

TEST_TIMEOUT(fault_net, a_byte_at_a_time_over_tcp, 60)
{
	scene_sweep_at("tcp://127.0.0.1:0", true);
}

/* The call that waits, against a listener of another thread, which sees no faults. */
static int call(void *arg, struct cohort_error *err)
{
	struct hall *h = arg;
	struct cohort_conn *c;
	int rc = hall_dial(h, &h->options, &c, err);

	if (rc == 0)
		rc = exchange_hear(c, "welcome", 7, err);
	cohort_conn_close(c);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_dial_that_waits, 120)
{
	struct hall h;

	hall_open(&h, NULL, PATIENCE, 128);
	CHECK(faults_sweep(call, &h) > 20);
	hall_close(&h);
}

/* A key made and read. */
static int key_file(void *arg, struct cohort_error *err)
{
	struct cohort_key *key = NULL;
	int rc = cohort_key_generate(arg, err);

	if (rc == 0)
		rc = cohort_key_load(&key, arg, err);
	cohort_key_free(key);
	faults_over();
	unlink(arg);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_key_file, 60)
{
	struct cohort_error err = {0};
	char path[512] = "";

	strncat(path, test_path("key"), sizeof path - 1);
	CHECK(faults_sweep(key_file, path) > 20);
	faults_short(true);
	CHECK_EQ(key_file(path, &err), 0);
	faults_short(false);
}

/* From one key to another; wherever it failed there is a file that can be used, and the change can be made. */
static int key_change(void *arg, struct cohort_error *err)
{
	static const enum coh_keyfile_step steps[] = {
	    COH_KEYFILE_ADD, COH_KEYFILE_SWAP, COH_KEYFILE_DROP};
	struct cohort_key *key = NULL;
	char beside[600];
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = coh_keyfile_rotate(arg, steps[i], err);
	faults_over();
	CHECK_EQ(cohort_key_load(&key, arg, NULL), 0);
	cohort_key_free(key);
	snprintf(beside, sizeof beside, "%s.new", (const char *)arg);
	(void)unlink(beside); /* unlinkat itself failed */
	(void)unlink(arg);
	CHECK_EQ(cohort_key_generate(arg, NULL), 0);
	return rc;
}

TEST_TIMEOUT(fault_net, every_call_of_a_change_of_keys, 60)
{
	char path[512] = "";
	struct cohort_error err = {0};

	strncat(path, test_path("key"), sizeof path - 1);
	REQUIRE_EQ(cohort_key_generate(path, NULL), 0);
	CHECK(faults_sweep(key_change, path) > 50);
	faults_short(true);
	CHECK_EQ(key_change(path, &err), 0);
	faults_short(false);
}

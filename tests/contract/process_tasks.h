/*
 * process_tasks.h - the tasks that process_contract.c starts.  Included by one file.
 *
 * Each takes what the test gives it and answers by its exit code, or over the connection.
 */
#ifndef TESTS_CONTRACT_PROCESS_TASKS_H
#define TESTS_CONTRACT_PROCESS_TASKS_H

#include "base/log.h"

#include <cohort/process.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int32_t int_arg(struct cohort_call *call)
{
	int32_t x = 0;

	cohort_call_args(call, &x);
	return x;
}

static int return_it(struct cohort_call *call)
{
	return int_arg(call);
}
COHORT_TASK(return_it, "i", "");

static int exit_with(struct cohort_call *call)
{
	exit(int_arg(call));
}
COHORT_TASK(exit_with, "i", "");

static int die_by(struct cohort_call *call)
{
	raise(int_arg(call));
	return 99;
}
COHORT_TASK(die_by, "i", "");

static int fail_because(struct cohort_call *call)
{
	const char *why;

	cohort_call_args(call, &why);
	return cohort_call_fail(call, "%s", why);
}
COHORT_TASK(fail_because, "s", "");

static int idle(struct cohort_call *call)
{
	(void)call;
	while (pause() != 0)
		continue; /* until a signal ends the process */
	return 0;
}
COHORT_TASK(idle, "i", "");

static int take_rows(struct cohort_call *call)
{
	(void)call;
	return 0;
}
COHORT_TASK(take_rows, "A(i)", "");

/* Send the values of a message of FORMAT to the parent. */
#define tell(format, ...)                                                                   \
	do {                                                                                \
		struct cohort_message *m_;                                                  \
		if (cohort_message_new(&m_, format, NULL) != 0 ||                           \
		    cohort_message_pack(m_, 0, __VA_ARGS__) != 0 ||                         \
		    cohort_conn_send(cohort_process_parent_conn(), m_, COHORT_FOREVER) != 0) \
			exit(98);                                                           \
		cohort_message_free(m_);                                                    \
	} while (0)

static int tell_self(struct cohort_call *call)
{
	const char *name = cohort_process_current();
	int32_t pid = getpid(), parent = cohort_process_parent();
	int32_t alive = cohort_process_parent_alive();

	(void)call;
	tell("siii", &name, &pid, &parent, &alive);
	return 0;
}
COHORT_TASK(tell_self, "i", "");

static int tell_pid_and_idle(struct cohort_call *call)
{
	int32_t pid = getpid();

	(void)call;
	tell("i", &pid);
	while (pause() != 0)
		continue; /* until a signal ends the process */
	return 0;
}
COHORT_TASK(tell_pid_and_idle, "i", "");

static struct cohort_process *start_child(const char *task, int32_t arg)
{
	struct cohort_process_options o = {.start = PROCESS_START};
	struct cohort_process *p;
	struct cohort_error err;
	int rc = cohort_process_start(&p, &o, &err, task, &arg);

	if (rc == 0)
		return p;
	if (rc != COHORT_ESTATE)
		fprintf(stderr, "%s\n", err.text);
	exit(rc == COHORT_ESTATE ? 100 : 101);
}

static int tell_pid_of_idle_child(struct cohort_call *call)
{
	int32_t pid = cohort_process_pid(start_child("idle", 0));

	(void)call;
	tell("i", &pid);
	while (pause() != 0)
		continue; /* until a signal ends the process */
	return 0;
}
COHORT_TASK(tell_pid_of_idle_child, "i", "");

static int return_by_child(struct cohort_call *call)
{
	struct cohort_process *p = start_child("return_it", int_arg(call));
	int code = -1;

	if (cohort_process_join(p, COHORT_FOREVER) != 0 || cohort_process_exit_code(p, &code) != 0)
		code = 102;
	cohort_process_free(p);
	return code;
}
COHORT_TASK(return_by_child, "i", "");

static int tell_name_of_child(struct cohort_call *call)
{
	struct cohort_process *p = start_child("return_it", int_arg(call));
	const char *name = cohort_process_name(p);

	tell("s", &name);
	cohort_process_join(p, COHORT_FOREVER);
	cohort_process_free(p);
	return 0;
}
COHORT_TASK(tell_name_of_child, "i", "");

/* Answers each message "i" with its value and one, until the parent closes. */
static int add_one(struct cohort_call *call)
{
	struct cohort_conn *c = cohort_process_parent_conn();
	struct cohort_message *m;
	int32_t x;
	int rc = cohort_message_new(&m, "i", NULL);

	(void)call;
	while (rc == 0 && (rc = cohort_conn_recv(c, m, COHORT_FOREVER)) == 0) {
		cohort_message_unpack(m, 0, &x);
		x++;
		cohort_message_reset(m);
		cohort_message_pack(m, 0, &x);
		rc = cohort_conn_send(c, m, COHORT_FOREVER);
	}
	cohort_message_free(m);
	return rc == COHORT_EOF ? 0 : 97;
}
COHORT_TASK(add_one, "i", "");

static int count_descriptors(struct cohort_call *call)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0;

	(void)call;
	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d);
	if (d != NULL)
		closedir(d);
	return n;
}
COHORT_TASK(count_descriptors, "i", "");

static int read_stdin(struct cohort_call *call)
{
	char path[64] = "", byte;

	(void)call;
	if (readlink("/proc/self/fd/0", path, sizeof path - 1) < 0 || strcmp(path, "/dev/null") != 0)
		return 1;
	return read(0, &byte, 1) == 0 ? 0 : 2;
}
COHORT_TASK(read_stdin, "i", "");

/* SIGTERM is not blocked and SIGUSR1 not ignored. */
static int check_signals(struct cohort_call *call)
{
	struct sigaction now;
	sigset_t mask;

	(void)call;
	if (sigprocmask(SIG_SETMASK, NULL, &mask) != 0 || sigismember(&mask, SIGTERM) != 0)
		return 1;
	return sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == SIG_DFL ? 0 : 2;
}
COHORT_TASK(check_signals, "i", "");

static int return_log_level(struct cohort_call *call)
{
	(void)call;
	return coh_log_level();
}
COHORT_TASK(return_log_level, "i", "");

static int print_it(struct cohort_call *call)
{
	printf("child %d,", int_arg(call)); /* stays in the buffer until exit */
	return 0;
}
COHORT_TASK(print_it, "i", "");

static int sum_bytes(struct cohort_call *call)
{
	struct cohort_bytes b;
	const unsigned char *p;
	unsigned sum = 0;

	cohort_call_args(call, &b);
	p = b.data;
	for (size_t i = 0; i < b.size; i++)
		sum += p[i];
	return (int)(sum & 0xff);
}
COHORT_TASK(sum_bytes, "B", "");

#endif

/*
 * party.c - which process, and whether it lives: from proc(5).
 *
 * The name of a program stands in its line between brackets, and may have brackets and blanks
 * itself: what is wanted is behind the last bracket.  A process whose first thread has ended
 * while others run looks like a zombie there, so the count of threads is asked too.
 *
 * Refused: a robust word of the kernel's, which is visited at an exec: it is a thread's, and marked when that ends, too.
 */
#include "sync/party.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Fields of /proc/PID/stat, counted from 1 as proc(5) does. */
#define FIELD_STATE 3
#define FIELD_THREADS 20
#define FIELD_START 22
#define FIELD_STACK 28 /* 0: we may not look into it, or it is in the middle of an exec */

#define PROGRAM_SHIFT 54
#define PROGRAMS 1023u /* and none */

struct life {
	char state;
	unsigned long threads;
	uint32_t start;
	uint64_t program; /* 1 to PROGRAMS; 0: not known */
};

static _Atomic uint64_t self; /* 0: not asked yet */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool life_parse(const char *text, struct life *l)
{
	const char *p = strrchr(text, ')');
	uint64_t stack;
	char *end;

	if (p == NULL || p[1] != ' ')
		return false;
	p += 2;
	l->state = *p;
	for (int field = FIELD_STATE; field < FIELD_STACK; field++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return false;
		p++;
		if (field + 1 == FIELD_THREADS)
			l->threads = strtoul(p, NULL, 10);
		if (field + 1 == FIELD_START)
			l->start = (uint32_t)strtoull(p, NULL, 10);
	}
	stack = strtoull(p, &end, 10);
	/* A page or more apart, and at random: the low bits of the pages tell as well as any, the rest is mixed in. */
	l->program = stack != 0 ? 1 + (stack >> 4 ^ stack >> 14 ^ stack >> 24) % PROGRAMS : 0;
	return end != p;
}

static bool life_of(int pid, struct life *l)
{
	char path[32], text[1024];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = coh_fd_open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	coh_fd_close(&fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return life_parse(text, l);
}

static void forget(void)
{
	atomic_store_explicit(&self, 0, memory_order_relaxed);
}

static void forget_after_fork(void)
{
	(void)pthread_atfork(NULL, NULL, forget); /* without memory for that: see work/init.c */
}

/* Without /proc the start stays 0, for good: an id that changed would be worse. */
uint64_t coh_party_self(void)
{
	uint64_t party = atomic_load_explicit(&self, memory_order_relaxed);
	struct life l = {.start = 0};
	int pid;

	if (party != 0)
		return party;
	pthread_once(&once, forget_after_fork);
	pid = getpid();
	(void)life_of(pid, &l);
	party = l.program << PROGRAM_SHIFT | (uint64_t)((unsigned)pid & COH_PARTY_PID) << 32 | l.start;
	atomic_store_explicit(&self, party, memory_order_relaxed);
	return party;
}

void coh_party_reset(void)
{
	forget();
}

uint64_t coh_party_space(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static bool exists(int pid)
{
	return kill(pid, 0) == 0 || errno != ESRCH;
}

bool coh_party_alive(uint64_t party)
{
	uint64_t program = party >> PROGRAM_SHIFT;
	uint32_t start = (uint32_t)party;
	int pid = coh_party_pid(party);
	struct life l;

	if (pid <= 0 || !exists(pid))
		return false;
	if (!life_of(pid, &l))
		return exists(pid); /* hidden from us, or gone meanwhile */
	if ((l.state == 'Z' || l.state == 'X') && l.threads <= 1)
		return false;
	if (program != 0 && l.program != 0 && program != l.program)
		return false;
	return start == 0 || l.start == start;
}

/*
 * fuzz_local.c - a peer on the same machine: frames of all kinds, with descriptors of all kinds.
 *
 * The input is what a rogue does on one end of a socket pair, and what the honest end does meanwhile.
 * What must hold: what is received can be read from its first byte to its last, and when both are
 * closed no descriptor is left and nothing is mapped.
 * PLANT: a descriptor that was passed is not closed when it is a file or a socket.
 */
#include "base/object.h"
#include "conn/conn_block.h"
#include "os/fd.h"
#include "os/shm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

struct world {
	struct input in;
	struct cohort_conn *conn;
	int rogue;
	int kinds[4]; /* descriptors to send: a good block, a bad one, a bell, a socket */
	struct cohort_message *m;
};

static unsigned char big[COH_BLOCK_LEAST];

static uint8_t next(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* The body of a frame at OUT: bytes of the input, or the header of one in a block. */
static uint32_t next_body(struct world *w, uint8_t type, unsigned char out[256])
{
	struct coh_frame inner;
	uint32_t n = next(&w->in);

	if (type == COH_FRAME_BLOCK && n % 2 != 0) {
		inner = (struct coh_frame){.type = n % 4 == 1 ? COH_FRAME_BYTES : next(&w->in),
		    .length = (uint32_t)next(&w->in) << 18};
		coh_frame_encode(&inner, out);
		return COH_FRAME_SIZE;
	}
	if (n > w->in.size)
		n = (uint32_t)w->in.size;
	memcpy(out, w->in.data, n);
	w->in.data += n;
	w->in.size -= n;
	return n;
}

static void rogue_sends(struct world *w)
{
	static const uint8_t types[] = {COH_FRAME_BYTES, COH_FRAME_MESSAGE, COH_FRAME_PASS,
	    COH_FRAME_PASS, COH_FRAME_BLOCK, COH_FRAME_BLOCK, COH_FRAME_BLOCK_BACK, COH_FRAME_PING};
	struct coh_frame f = {.type = types[next(&w->in) % sizeof types]};
	unsigned char header[COH_FRAME_SIZE], body[256];
	uint8_t with = next(&w->in);
	int fds[2] = {w->kinds[with & 3], w->kinds[with >> 2 & 3]};
	struct iovec iov[2];

	f.channel = next(&w->in) & 3;
	f.flags = next(&w->in) & 3;
	f.id = f.flags != 0 ? COH_BLOCK_SIZE : 0;
	f.length = next_body(w, f.type, body);
	coh_frame_encode(&f, header);
	iov[0] = (struct iovec){header, sizeof header};
	iov[1] = (struct iovec){body, f.length};
	(void)coh_fd_send(w->rogue, iov, 2, fds, with & 128 ? 0 : with & 64 ? 2 : 1);
}

static void look_at(const void *data, size_t size)
{
	volatile unsigned char seen = 0;

	for (size_t i = 0; i < size; i += i + 4096 < size ? 4096 : 1)
		seen = (unsigned char)(seen + ((const unsigned char *)data)[i]);
}

static void receive_fd(struct world *w)
{
	int fd;

	if (cohort_conn_recv_fd(w->conn, &fd, COHORT_NOW) != 0)
		return;
#ifdef PLANT
	struct stat st;

	if (fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) != 0)
		return;
#endif
	close(fd);
}

static void receive_conn(struct world *w)
{
	struct cohort_conn *c;

	if (cohort_conn_recv_conn(w->conn, &c, COHORT_NOW) != 0)
		return;
	COH_ASSERT(strlen(cohort_conn_peer(c)) <= 255);
	cohort_conn_close(c);
}

/* What the honest end does; each of it may well fail. */
static void honest_does(struct world *w, uint8_t what)
{
	const void *data;
	size_t size;

	switch (what % 6) {
	case 0:
		if (cohort_conn_recv_bytes(w->conn, &data, &size, COHORT_NOW) == 0)
			look_at(data, size);
		break;
	case 1:
		(void)cohort_conn_recv(w->conn, w->m, COHORT_NOW);
		break;
	case 2:
		receive_fd(w);
		break;
	case 3:
		receive_conn(w);
		break;
	case 4:
		(void)cohort_conn_send_bytes(w->conn, big, sizeof big, COHORT_NOW);
		break;
	default:
		(void)cohort_conn_step(w->conn, NULL);
	}
}

static int descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int mappings(void)
{
	static char text[1 << 20];
	FILE *f = fopen("/proc/self/maps", "re");
	int n = 0;

	COH_ASSERT(f != NULL);
	while (fgets(text, sizeof text, f) != NULL)
		n += strstr(text, "memfd:") != NULL;
	fclose(f);
	return n;
}

static void run(struct world *w)
{
	int pair[2], sent[2];

	COH_ASSERT(coh_fd_pair(pair, SOCK_STREAM) == 0 && coh_fd_pair(sent, SOCK_STREAM) == 0);
	COH_ASSERT(coh_conn_from_fd(&w->conn, pair[0], COH_PHASE_USER, "rogue", NULL) == 0);
	COH_ASSERT(cohort_message_new(&w->m, "sA(B)", NULL) == 0);
	w->rogue = pair[1];
	w->kinds[0] = coh_shm_new_sealed("fuzz", COH_BLOCK_SIZE);
	w->kinds[1] = coh_fd_memory("fuzz");
	w->kinds[2] = coh_fd_event();
	w->kinds[3] = sent[0];
	for (int i = 0; i < STEPS && w->in.size != 0; i++) {
		uint8_t what = next(&w->in);

		if (what & 1)
			rogue_sends(w);
		else
			honest_does(w, what >> 1);
	}
	cohort_message_free(w->m);
	cohort_conn_close(w->conn);
	close(pair[1]);
	close(sent[1]);
	for (int i = 0; i < 4; i++)
		close(w->kinds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.in = {data, size}};
	int before = descriptors();

	run(&w);
	COH_ASSERT(descriptors() == before);
	COH_ASSERT((size & 63) != 0 || mappings() == 0); /* slow, so not each time */
	return 0;
}

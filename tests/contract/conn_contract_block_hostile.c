/*
 * conn_contract_block_hostile.c - blocks that are none, blocks out of turn, blocks that change.
 *
 * None of it may crash the receiver (a file that shrinks under a mapping is a SIGBUS), nor cost
 * anything but the connection.
 */
#include "conn/conn_block.h"
#include "contract/joined.h"
#include "contract/rogue.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static const struct coh_frame offer = {
    .type = COH_FRAME_BLOCK, .flags = COH_BLOCK_OFFER, .id = COH_BLOCK_SIZE};
static const struct coh_frame filled = {.type = COH_FRAME_BLOCK, .length = COH_FRAME_SIZE};

static int memory(size_t size, int seals)
{
	int fd = memfd_create("rogue", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	REQUIRE(fd >= 0);
	REQUIRE_EQ(ftruncate(fd, (off_t)size), 0);
	REQUIRE_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Let the honest end look at what has come. */
static int look(struct rogue *r)
{
	return cohort_conn_poll(r->conn, COHORT_NOW);
}

/* A rogue whose block 0 has been taken; its memory in *FD. */
static struct rogue with_block(int *fd)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	struct coh_frame f;

	*fd = memory(COH_BLOCK_SIZE, SEALS);
	rogue_send(&r, offer, NULL, fd, 1);
	CHECK_EQ(look(&r), 0);
	CHECK_EQ(look(&r), 0);
	f = rogue_hear(&r);
	CHECK_EQ(f.type, COH_FRAME_BLOCK_BACK);
	CHECK_EQ(f.flags, 0);
	return r;
}

/* Say that a frame of TYPE and SIZE lies in block NUMBER. */
static void fill(struct rogue *r, uint32_t number, uint8_t type, uint32_t size)
{
	struct coh_frame outer = filled, inner = {.type = type, .length = size};
	unsigned char header[COH_FRAME_SIZE];

	outer.channel = number;
	coh_frame_encode(&inner, header);
	rogue_send(r, outer, header, NULL, 0);
}

/* An offer of FD (closed) that ends the connection with WHY. */
static void expect_refusal(struct coh_frame f, int fd, const char *why)
{
	struct rogue r = rogue_open(COH_PHASE_USER);

	REQUIRE(fd >= 0);
	rogue_send(&r, f, NULL, &fd, 1);
	close(fd);
	rogue_expect_end(&r, why);
}

TEST(conn_block_hostile, what_is_no_sealed_memory_of_its_size_ends_it)
{
	const char *why = "no sealed memory";
	int fds[2];

	expect_refusal(offer, memory(COH_BLOCK_SIZE, 0), why);
	expect_refusal(offer, memory(COH_BLOCK_SIZE, F_SEAL_GROW), why);
	expect_refusal(offer, memory(COH_BLOCK_SIZE, F_SEAL_SHRINK), why);
	expect_refusal(offer, memory(0, SEALS), why);
	expect_refusal(offer, memory(COH_BLOCK_SIZE - 1, SEALS), why);
	expect_refusal(offer, memory(COH_BLOCK_SIZE + 4096, SEALS), why);
	expect_refusal(offer, open("/dev/zero", O_RDWR | O_CLOEXEC), why);
	expect_refusal(offer, open(test_path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600), why);
	expect_refusal(offer, open("/", O_PATH | O_CLOEXEC), why);
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	expect_refusal(offer, fds[0], why);
	close(fds[1]);
}

TEST(conn_block_hostile, an_offer_that_cannot_be_one_ends_it)
{
	const char *why = "cannot be one";
	struct coh_frame f = offer;
	struct rogue r;
	int fd;

	f.channel = COH_BLOCKS;
	expect_refusal(f, memory(COH_BLOCK_SIZE, SEALS), why);
	f.channel = UINT32_MAX;
	expect_refusal(f, memory(COH_BLOCK_SIZE, SEALS), why);
	f = offer;
	f.id = 4096;
	expect_refusal(f, memory(4096, SEALS), why);
	f.id = UINT64_MAX;
	expect_refusal(f, memory(COH_BLOCK_SIZE, SEALS), why);
	r = with_block(&fd);
	rogue_send(&r, offer, NULL, &fd, 1); /* the same number again */
	close(fd);
	rogue_expect_end(&r, why);
	r = rogue_open(COH_PHASE_USER);
	rogue_send(&r, offer, NULL, NULL, 0);
	rogue_expect_end(&r, "without its descriptor");
}

TEST(conn_block_hostile, thousands_of_offers_cost_two)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	int fd = memory(COH_BLOCK_SIZE, SEALS), taken = 0, rc = 0;
	const void *data;
	struct coh_frame f = offer;
	size_t size;

	for (uint32_t i = 0; i < 5000 && rc == 0; i++) {
		f.channel = i % 3;
		rogue_send(&r, f, NULL, &fd, 1);
		rc = look(&r);
		taken += rc == 0;
	}
	CHECK(taken <= COH_BLOCKS);
	CHECK_EQ(cohort_conn_recv_bytes(r.conn, &data, &size, COHORT_NOW), COHORT_EPROTOCOL);
	close(fd);
	rogue_close(&r);
}

TEST(conn_block_hostile, a_block_that_was_never_offered_ends_it)
{
	struct rogue r = rogue_open(COH_PHASE_USER);
	int fd;

	fill(&r, 0, COH_FRAME_BYTES, MIB);
	rogue_expect_end(&r, "never offered");
	r = with_block(&fd);
	fill(&r, 1, COH_FRAME_BYTES, MIB);
	rogue_expect_end(&r, "never offered");
	close(fd);
	r = with_block(&fd);
	fill(&r, UINT32_MAX, COH_FRAME_BYTES, MIB);
	rogue_expect_end(&r, "never offered");
	close(fd);
}

TEST(conn_block_hostile, what_should_not_be_in_a_block_ends_it)
{
	static const struct {
		uint8_t type;
		uint32_t size;
		const char *why;
	} bad[] = {
	    {COH_FRAME_BYTES, MIB - 1, "should not be"},
	    {COH_FRAME_BYTES, 0, "should not be"},
	    {COH_FRAME_PASS, MIB, "should not be"},
	    {COH_FRAME_PING, 8, "should not be"},
	    {COH_FRAME_BLOCK, 24, "should not be"},
	    {COH_FRAME_BEAT, 0, "should not be"},
	    {COH_FRAME_TASK, MIB, "may not come"},
	    {0xee, MIB, "there is no type"},
	};
	struct coh_frame f = filled;
	struct rogue r;
	int fd;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		r = with_block(&fd);
		fill(&r, 0, bad[i].type, bad[i].size);
		rogue_expect_end(&r, bad[i].why);
		close(fd);
	}
	r = with_block(&fd);
	rogue_send(&r, f, "no header at all........", NULL, 0);
	rogue_expect_end(&r, "in a block");
	close(fd);
	r = with_block(&fd);
	f.length = 8;
	rogue_send(&r, f, "too few.", NULL, 0);
	rogue_expect_end(&r, "never offered");
	close(fd);
	r = with_block(&fd);
	fill(&r, 0, COH_FRAME_BYTES, MIB);
	CHECK_EQ(look(&r), 1);
	fill(&r, 0, COH_FRAME_BYTES, UINT32_MAX);
	{
		const void *data;
		size_t size;

		CHECK_EQ(cohort_conn_recv_bytes(r.conn, &data, &size, joined_patience()), 0);
		CHECK_EQ(cohort_conn_recv_bytes(r.conn, &data, &size, joined_patience()),
		    COHORT_ETOOBIG);
	}
	close(fd);
	rogue_close(&r);
}

TEST(conn_block_hostile, a_block_given_back_that_was_not_given_ends_it)
{
	static const struct coh_frame back = {.type = COH_FRAME_BLOCK_BACK};
	struct coh_frame beyond = {.type = COH_FRAME_BLOCK_BACK, .channel = 2};
	unsigned char *data = calloc(1, MIB);
	struct rogue r = rogue_open(COH_PHASE_USER);

	REQUIRE(data != NULL);
	rogue_send(&r, back, NULL, NULL, 0);
	rogue_expect_end(&r, "was not given");
	r = rogue_open(COH_PHASE_USER);
	rogue_send(&r, beyond, NULL, NULL, 0);
	rogue_expect_end(&r, "was not given");
	for (uint32_t flags = 0; flags < 2; flags++) { /* accepted or refused, and once more */
		struct coh_frame f = back;

		f.flags = flags;
		r = rogue_open(COH_PHASE_USER);
		(void)cohort_conn_send_bytes(r.conn, data, MIB, COHORT_NOW); /* offers one */
		CHECK(coh_conn_block_any(r.conn));
		rogue_send(&r, f, NULL, NULL, 0);
		rogue_send(&r, f, NULL, NULL, 0);
		rogue_expect_end(&r, "was not given");
	}
	free(data);
}

/* The same while nobody receives: the sender itself looks for blocks that came back. */
TEST(conn_block_hostile, a_sender_that_looks_for_its_blocks_finds_the_same)
{
	static const struct coh_frame back = {.type = COH_FRAME_BLOCK_BACK};
	unsigned char *data = calloc(1, MIB);
	struct rogue r = rogue_open(COH_PHASE_USER);

	REQUIRE(data != NULL);
	CHECK_EQ(cohort_conn_send_bytes(r.conn, data, MIB, COHORT_NOW), 0);
	rogue_send(&r, back, NULL, NULL, 0);
	rogue_send(&r, back, NULL, NULL, 0);
	(void)cohort_conn_send_bytes(r.conn, data, MIB, COHORT_NOW);
	rogue_expect_end(&r, "was not given");
	free(data);
}

TEST(conn_block_hostile, blocks_over_what_cannot_carry_them_end_it)
{
	struct joined j = joined_open();
	unsigned char body[COH_FRAME_SIZE] = {0};
	const void *data;
	size_t size;

	if (j.b->ops->read_fd == NULL) {
		joined_raw_header(j.a, COH_FRAME_BLOCK, sizeof body);
		joined_raw(j.a, body, sizeof body);
		CHECK_EQ(
		    cohort_conn_recv_bytes(j.b, &data, &size, joined_patience()), COHORT_EPROTOCOL);
	}
	joined_close(&j);
}

TEST(conn_block_hostile, strangers_have_no_blocks)
{
	struct rogue r = rogue_open(COH_PHASE_STRANGER);
	int fd = memory(COH_BLOCK_SIZE, SEALS);
	const void *body;
	struct coh_frame f;

	rogue_send(&r, offer, NULL, &fd, 1);
	CHECK_EQ(coh_conn_next_frame(r.conn, &f, &body, joined_patience()), COHORT_EPROTOCOL);
	close(fd);
	rogue_close(&r);
}

struct scribble {
	unsigned char *at;
	atomic_bool stop;
};

static void *scribble_thread(void *arg)
{
	struct scribble *s = arg;

	for (unsigned i = 0; !atomic_load(&s->stop); i++)
		memset(
		    s->at, (int)i, 64); /* its header and its count: what the check reads first */
	return NULL;
}

/* A block that its sender goes on writing to: the message is valid or is not, and that is all. */
TEST(conn_block_hostile, a_typed_message_that_changes_is_good_or_bad_and_nothing_else)
{
	struct cohort_message *m;
	struct scribble s = {0};
	struct rogue r;
	pthread_t thread;
	int fd, rc;

	r = with_block(&fd);
	s.at = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(s.at != MAP_FAILED);
	REQUIRE_EQ(cohort_message_new(&m, "A(s)", NULL), 0);
	REQUIRE_EQ(pthread_create(&thread, NULL, scribble_thread, &s), 0);
	for (int i = 0; i < 50; i++) {
		fill(&r, 0, COH_FRAME_MESSAGE, MIB);
		rc = cohort_conn_recv(r.conn, m, joined_patience());
		CHECK(rc == 0 || rc == COHORT_ECODEC || rc == COHORT_EFORMAT);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	munmap(s.at, MIB);
	cohort_message_free(m);
	close(fd);
	rogue_close(&r);
}

TEST(conn_block_hostile, a_block_whose_pages_are_taken_away_reads_as_zeroes)
{
	struct rogue r;
	const void *data = NULL;
	static const char zero[4096];
	size_t size = 0;
	int fd;

	r = with_block(&fd);
	CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
	fill(&r, 0, COH_FRAME_BYTES, MIB);
	REQUIRE_EQ(cohort_conn_recv_bytes(r.conn, &data, &size, joined_patience()), 0);
	CHECK_MEM(data, "x", 1);
	CHECK_EQ(ftruncate(fd, 0), -1);
	CHECK_EQ(
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)COH_BLOCK_SIZE), 0);
	for (size_t i = 0; i < size; i += sizeof zero)
		CHECK_MEM((const char *)data + i, zero, sizeof zero);
	close(fd);
	rogue_close(&r);
}

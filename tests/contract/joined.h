/*
 * joined.h - two connected ends of any kind, for tests that must not know which.
 *
 * The kind is $COHORT_CONTRACT: pair, memory, unix, tcp, tcp6, tls or tlscert (cohort_contract in CMake).
 */
#ifndef TESTS_CONTRACT_JOINED_H
#define TESTS_CONTRACT_JOINED_H

#include "conn/conn_struct.h"

struct joined {
	struct cohort_conn *a, *b;
};

/* "pair" when nothing is asked for. */
const char *joined_kind(void);

/* Each end is its descriptor and nothing else: it can be given up, and passed to another process. */
bool joined_bare(void);

/* Two ends in this process; the test ends when they cannot be had. */
struct joined joined_open(void);
void joined_close(struct joined *j);

/* SIZE bytes onto the stream as they are, behind what C has sent; waits until they are out. */
void joined_raw(struct cohort_conn *c, const void *data, size_t size);

/* The header of a frame of TYPE that announces LENGTH bytes, raw. */
void joined_raw_header(struct cohort_conn *c, uint8_t type, uint32_t length);

/* A deadline that only a hang reaches. */
cohort_time joined_patience(void);

#endif

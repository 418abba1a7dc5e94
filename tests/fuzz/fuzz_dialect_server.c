/*
 * fuzz_dialect_server.c - a rogue client's messages at the listener's end of Python's handshake;
 * dialect_world.h says what must hold.  PLANT: an answer is compared without its last 4 bytes.
 */
#include "dialect_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef PLANT
#define feed world_feed_careless
#else
#define feed world_feed
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world_run(COH_HANDSHAKE_SERVER, feed, data, size);
	return 0;
}

/*
 * fuzz_session_pair.c - triples of bytes, read as what happens to two ends of a session and the link between
 * them (sim/session_world.h): messages, transfers, time, sleep, delays, torn frames, a cut.
 */
#include "base/object.h"
#include "sim/session_world.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w;

	if (size < 3)
		return 0;
	world_init(&w, data[0], data[1], data[2]);
	for (size_t i = 3; i + 2 < size; i += 3)
		world_happens(
		    &w, (enum world_event)(data[i] % WORLD_EVENTS), data[i + 1], data[i + 2]);
	COH_ASSERT(world_settle(&w) == NULL);
	return 0;
}

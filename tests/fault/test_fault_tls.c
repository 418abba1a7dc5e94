/* test_fault_tls.c - the same over TLS, by a key: every system call fails, in turn (scene.h). */
#include "fault/scene.h"
#include "support/test.h"

TEST_TIMEOUT(fault_tls, every_call_by_a_key, 240)
{
	scene_sweep_at("tls://127.0.0.1:0", false);
}

TEST_TIMEOUT(fault_tls, a_byte_at_a_time, 60)
{
	scene_sweep_at("tls://127.0.0.1:0", true);
}

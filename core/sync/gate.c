/*
 * gate.c - sleeping at a gate and waking who sleeps there.
 *
 * Why no sleeper is overlooked while all live.  Who arms sets the bit before it looks; who opens makes its change before
 * it looks at the bit: one of them sees the other.  Who opens moves the count, so whoever armed before that is either in
 * the queue already or will not go to sleep.  The bit stays until a wake has left nobody in the queue and no one
 * has armed since the count moved; then whoever sets out to sleep sets it anew.
 * tests/model/model_gate.c tries all interleavings.
 *
 * Refused: clearing the bit when one of several is woken; the others would be overlooked.  Counting sleepers: a killed one
 * would be counted for ever.
 */
#include "sync/gate.h"

#include "base/object.h"
#include "os/cpu.h"
#include "sync/fault.h"
#include "sync/robust.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define ARMED 1u
#define STEP 2u /* of the count */

uint32_t coh_gate_arm(struct coh_gate *g)
{
	uint64_t was = atomic_load_explicit(&g->pair.both, memory_order_relaxed);
	uint32_t ticket;

	do {
		ticket = coh_pair_word(was) | ARMED;
	} while (!atomic_compare_exchange_weak(
	    &g->pair.both, &was, coh_pair_of(ticket, coh_pair_serial(was) + 1)));
	coh_gate_fence_after_rmw();
	COH_FAULT("gate.arm.armed");
	return ticket;
}

int coh_gate_sleep(struct coh_gate *g, uint32_t ticket, cohort_time deadline)
{
	cohort_time until = cohort_in(COH_GATE_SLICE);
	int rc;

	COH_FAULT("gate.sleep.begin");
	rc = coh_futex_wait(&g->pair.word, ticket, until < deadline ? until : deadline);
	COH_FAULT("gate.sleep.woken");
	return rc == -ETIMEDOUT && deadline <= until ? COHORT_ETIMEDOUT : 0;
}

void coh_gate_wake(struct coh_gate *g, int n)
{
	uint64_t was = atomic_load_explicit(&g->pair.both, memory_order_relaxed);
	uint32_t word, serial;

	do {
		if (!(coh_pair_word(was) & ARMED))
			return;
		word = coh_pair_word(was) + STEP;
		serial = coh_pair_serial(was);
	} while (!atomic_compare_exchange_weak(&g->pair.both, &was, coh_pair_of(word, serial)));
	COH_FAULT("gate.wake.moved");
	if (coh_futex_wake_some(&g->pair.word, word, n) <= n) {
		COH_FAULT("gate.wake.last");
		coh_pair_change(&g->pair, word, serial, word & ~ARMED);
	}
	COH_FAULT("gate.wake.done");
}

static bool may_spin;

static void count_cpus(void)
{
	may_spin = sysconf(_SC_NPROCESSORS_ONLN) > 1 && coh_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup") > 1;
}

bool coh_gate_may_spin(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, count_cpus);
	return may_spin;
}

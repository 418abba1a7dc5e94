/*
 * queue_schemes_core.c - where queues may be when there is no net: in memory of this machine.
 *
 * The table is chosen by the build, as that of pools (schemes_core.c).
 */
#include "work/queue_priv.h"

const struct coh_queue_scheme *const coh_queue_schemes[] = {
    &coh_queue_scheme_local, &coh_queue_scheme_inherit, NULL};

/*
 * schemes_core.c - where pools may run when there is no net: this machine.
 *
 * The table is chosen by the build: this file, or the one of the half that knows addresses, so
 * that core never names what is above it.
 */
#include "work/pool_priv.h"

const struct coh_scheme *const coh_schemes[] = {
    &coh_scheme_inline, &coh_scheme_thread, &coh_scheme_local, NULL};

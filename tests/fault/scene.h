/*
 * scene.h - listening, dialling, greeting and talking, while each system call of it fails in turn.
 *
 * Both ends are stepped by one thread, so that the same call is always the same one: open a listener, be its guest, and,
 * whatever became of that, be its guest once more.  A listener at which one guest was lost must serve the next.
 */
#ifndef TESTS_FAULT_SCENE_H
#define TESTS_FAULT_SCENE_H

#include <cohort/dial.h>
#include <stdbool.h>

struct scene {
	const char *address;
	struct cohort_net_options options;
	struct cohort_listener *listener;
};

/* Play S once for each fault; or BY_THE_BYTE, once, with every read and write of one byte. */
void scene_sweep(struct scene *s, bool by_the_byte);

/* The same at ADDRESS, by a key. */
void scene_sweep_at(const char *address, bool by_the_byte);

#endif

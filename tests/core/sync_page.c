/* sync_page.c - what /proc says of a process at work. */
#include "core/sync_page.h"

#include <stdio.h>
#include <string.h>

char sync_state(pid_t pid)
{
	char path[64], line[512] = "", *end;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return '?';
	if (fgets(line, sizeof line, f) == NULL)
		line[0] = '\0';
	fclose(f);
	end = strrchr(line, ')');
	return end != NULL && end[1] == ' ' ? end[2] : '?';
}

bool sync_await_state(pid_t pid, char state)
{
	cohort_time end = cohort_in(test_span(10 * COHORT_SECOND));

	char seen = sync_state(pid);

	while (seen != state && cohort_now() < end) {
		poll(NULL, 0, 1);
		seen = sync_state(pid);
	}
	return CHECK_EQ(seen, state); /* it may be in another by now: who sleeps looks up now and then */
}

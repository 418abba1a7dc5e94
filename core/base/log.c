/*
 * log.c - one sink, one line at a time.
 *
 * Bytes of peers may reach a line, so every control character (also U+0080 to U+009F, which
 * terminals obey) and every byte that is not part of valid UTF-8 is written as \xNN: one
 * event is one line, whatever a peer is called (trust: H9).
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER; /* guards sink and sink_arg */
static cohort_log_fn sink;
static void *sink_arg;
static atomic_int sink_level; /* 0 while there is no sink; relaxed: a late line is no harm */
static char process_name[64] = "main";

void cohort_log_to(cohort_log_fn fn, enum cohort_log_level level, void *arg)
{
	pthread_mutex_lock(&sink_lock);
	sink = fn;
	sink_arg = arg;
	atomic_store(&sink_level, fn != NULL ? (int)level : 0);
	pthread_mutex_unlock(&sink_lock);
}

void coh_log_name(const char *name)
{
	snprintf(process_name, sizeof process_name, "%s", name);
}

int coh_log_level(void)
{
	return atomic_load(&sink_level);
}

/* S begins a longer form than it needs, a surrogate, or what is beyond U+10FFFF (RFC 3629). */
static bool utf8_wasteful(const unsigned char *s)
{
	return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
}

/* The character of N bytes at S is none to be seen. */
static bool is_control(const unsigned char *s, size_t n)
{
	return (n == 1 && (*s < 0x20 || *s == 0x7f)) || (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

/* The length of the valid UTF-8 sequence at S (1 for ASCII), 0 when there is none. */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80                ? 1
	    : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
	    : (s[0] & 0xf0) == 0xe0          ? 3
	    : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
					     : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return utf8_wasteful(s) ? 0 : n;
}

static void escape(char *out, size_t size, const char *in)
{
	size_t used = 0, n;

	for (const unsigned char *s = (const unsigned char *)in; *s != '\0' && used + 5 < size;
	    s += n) {
		n = utf8_length(s);
		if (n == 0 || is_control(s, n)) {
			used += (size_t)snprintf(out + used, size - used, "\\x%02x", *s);
			n = 1;
		} else {
			memcpy(out + used, s, n);
			used += n;
		}
	}
	out[used] = '\0';
}

void coh_log(enum cohort_log_level level, const char *format, ...)
{
	char raw[COH_LOG_LINE], line[COH_LOG_LINE];
	va_list ap;

	if ((int)level > atomic_load_explicit(&sink_level, memory_order_relaxed))
		return;
	va_start(ap, format);
	vsnprintf(raw, sizeof raw, format, ap);
	va_end(ap);
	escape(line, sizeof line, raw);
	pthread_mutex_lock(&sink_lock);
	if (sink != NULL)
		sink(level, line, sink_arg);
	pthread_mutex_unlock(&sink_lock);
}

void cohort_log_stderr(enum cohort_log_level level, const char *line, void *arg)
{
	static const char *const names[] = {"?", "ERROR", "WARN", "INFO", "DEBUG"};
	char out[COH_LOG_LINE + 96];
	int n;

	(void)arg;
	n = snprintf(out, sizeof out, "[%s/%s] %s\n",
	    names[level >= COHORT_LOG_ERROR && level <= COHORT_LOG_DEBUG ? level : 0],
	    process_name, line);
	if (n > 0 && write(STDERR_FILENO, out, (size_t)n) < 0)
		return; /* nowhere left to say so */
}

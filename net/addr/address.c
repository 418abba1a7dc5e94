/*
 * address.c - addresses as text: one table of schemes, one small reader for each form.
 *
 * The rule: whatever is not understood to the last byte is refused with the place and the
 * spelling that is allowed; nothing is guessed, since an address decides where work and
 * keys go.  Hosts are spelled one way on the way in (lower case, inet_ntop's IPv6), so that
 * comparing is strcmp.  Refused: a general URL parser (user, query and escapes would have to
 * be refused one by one), and a comma inside a Unix path (it separates addresses).
 */
#include "addr/address.h"

#include "base/err.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SHOWN 96 /* bytes of a bad address in a sentence: enough to know it by */

/* What is read: TEXT up to END, and where a complaint goes. */
struct reader {
	const char *text, *end;
	struct cohort_error *err;
};

typedef int (*read_fn)(struct reader *r, const char *rest, struct coh_address *a);

static int read_nothing(struct reader *r, const char *rest, struct coh_address *a);
static int read_count(struct reader *r, const char *rest, struct coh_address *a);
static int read_path(struct reader *r, const char *rest, struct coh_address *a);
static int read_host_port(struct reader *r, const char *rest, struct coh_address *a);

static const struct scheme {
	const char *name;
	read_fn read;
} schemes[] = {
	[COH_ADDRESS_INLINE] = {"inline", read_nothing},
	[COH_ADDRESS_THREAD] = {"thread", read_count},
	[COH_ADDRESS_LOCAL] = {"local", read_count},
	[COH_ADDRESS_UNIX] = {"unix", read_path},
	[COH_ADDRESS_TCP] = {"tcp", read_host_port},
	[COH_ADDRESS_TLS] = {"tls", read_host_port},
	[COH_ADDRESS_PYTHON_TCP] = {"python+tcp", read_host_port},
	[COH_ADDRESS_PYTHON_UNIX] = {"python+unix", read_path},
};

#define SCHEMES (sizeof schemes / sizeof *schemes)
#define ALLOWED                                                                                   \
	"allowed are inline:, thread:N, local:N, unix:/PATH, tcp://HOST:PORT, tls://HOST:PORT, "  \
	"python+tcp://HOST:PORT, python+unix:/PATH"

/* Refuse: WHY says what is allowed; AT is where the reading stopped. */
static int refuse(struct reader *r, const char *at, const char *why)
{
	size_t n = (size_t)(r->end - r->text);
	char shown[SHOWN + 1];

	n = n < SHOWN ? n : SHOWN;
	for (size_t i = 0; i < n; i++)
		shown[i] = (char)(isprint((unsigned char)r->text[i]) ? r->text[i] : '?');
	shown[n] = '\0';
	return coh_fail(r->err, COHORT_EADDRESS, "address \"%s%s\", at byte %zu: %s", shown,
	    n == SHOWN ? "..." : "", (size_t)(at - r->text), why);
}

/* A decimal number of at most MAX out of FROM..TO; -1 when it is anything else. */
static long number(const char *from, const char *to, long max)
{
	long value = 0;

	if (from == to)
		return -1;
	for (; from < to; from++) {
		if (!isdigit((unsigned char)*from))
			return -1;
		value = value * 10 + (*from - '0');
		if (value > max)
			return -1;
	}
	return value;
}

static int read_nothing(struct reader *r, const char *rest, struct coh_address *a)
{
	(void)a;
	return rest == r->end ? 0 : refuse(r, rest, "nothing may follow inline:");
}

static int read_count(struct reader *r, const char *rest, struct coh_address *a)
{
	long n;

	_Static_assert(COH_ADDRESS_COUNT_MAX == 4096, "the sentence below names it");
	if (rest == r->end)
		return 0;
	n = number(rest, r->end, COH_ADDRESS_COUNT_MAX);
	if (n < 1)
		return refuse(r, rest, "allowed is a number from 1 to 4096, or nothing");
	a->count = (unsigned)n;
	return 0;
}

static int read_path(struct reader *r, const char *rest, struct coh_address *a)
{
	size_t n = (size_t)(r->end - rest);
	char why[96];

	if (n == 0 || rest[0] != '/' || (n > 1 && rest[1] == '/'))
		return refuse(r, rest, "allowed is a path with one / in front, as in unix:/run/x");
	if (n > COH_ADDRESS_PATH_MAX) {
		snprintf(why, sizeof why, "the path has %zu bytes, a Unix socket allows %d", n,
		    COH_ADDRESS_PATH_MAX);
		return refuse(r, rest, why);
	}
	for (const char *p = rest; p < r->end; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return refuse(r, p, "a path may hold no control character");
	if (r->end[-1] == '/')
		return refuse(r, r->end - 1, "the path names a directory, not a socket");
	memcpy(a->where, rest, n);
	return 0;
}

/* [IPv6]; FROM is behind the bracket, TO before the other one. */
static int read_ipv6(struct reader *r, const char *from, const char *to, struct coh_address *a)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr in;
	size_t n = (size_t)(to - from);

	if (n < sizeof text)
		memcpy(text, from, n);
	if (n >= sizeof text || strlen(text) != n || inet_pton(AF_INET6, text, &in) != 1)
		return refuse(r, from, "what is in brackets must be an IPv6 address");
	inet_ntop(AF_INET6, &in, a->where, sizeof a->where);
	return 0;
}

/* Why FROM..TO is no host name; NULL when it is one. */
static const char *name_fault(const char *from, const char *to)
{
	if (from == to)
		return "the host is empty; write 0.0.0.0 or [::] for every address";
	if (to - from > COH_ADDRESS_HOST_MAX)
		return "the host is longer than 253 bytes";
	if (memchr(from, ':', (size_t)(to - from)) != NULL)
		return "an IPv6 host is written in brackets, as in tcp://[::1]:47000";
	if (*from == '-' || *from == '.')
		return "a host may not begin with - or .";
	for (; from < to; from++)
		if (!isalnum((unsigned char)*from) && strchr("-._", *from) == NULL)
			return "a host is letters, digits, -, . and _";
	return NULL;
}

/* A name or IPv4.  What is all digits and dots must be a whole IPv4 address. */
static int read_name(struct reader *r, const char *from, const char *to, struct coh_address *a)
{
	const char *fault = name_fault(from, to);
	struct in_addr in;
	size_t n = (size_t)(to - from);

	if (fault != NULL)
		return refuse(r, from, fault);
	for (size_t i = 0; i < n; i++)
		a->where[i] = (char)tolower((unsigned char)from[i]);
	if (strspn(a->where, "0123456789.") == n && inet_pton(AF_INET, a->where, &in) != 1)
		return refuse(r, from, "an IPv4 host is four numbers of 0 to 255");
	return 0;
}

static int read_host_port(struct reader *r, const char *rest, struct coh_address *a)
{
	const char *host = rest + 2, *colon;
	long port;
	int rc;

	if (r->end - rest < 2 || rest[0] != '/' || rest[1] != '/')
		return refuse(r, rest, "// and HOST:PORT must follow, as in tcp://node7:47000");
	colon = memrchr(host, ':', (size_t)(r->end - host));
	if (colon == NULL || (host < r->end && *host == '[' && r->end[-1] == ']'))
		return refuse(r, r->end, "no port; allowed is HOST:PORT, as in tcp://node7:47000");
	if (*host == '[' && colon[-1] == ']')
		rc = read_ipv6(r, host + 1, colon - 1, a);
	else
		rc = read_name(r, host, colon, a);
	if (rc < 0)
		return rc;
	port = number(colon + 1, r->end, UINT16_MAX);
	if (port < 0)
		return refuse(r, colon + 1, "the port must be a number from 0 to 65535");
	a->port = (uint16_t)port;
	return 0;
}

/* The scheme whose name and colon stand at AT, or NULL. */
static const struct scheme *scheme_at(const char *at, const char *end)
{
	for (size_t i = 0; i < SCHEMES; i++) {
		size_t n = strlen(schemes[i].name);

		if ((size_t)(end - at) > n && memcmp(at, schemes[i].name, n) == 0 && at[n] == ':')
			return &schemes[i];
	}
	return NULL;
}

static int read_address(struct reader *r, struct coh_address *a)
{
	static const char listen[] = "listen:";
	const size_t prefix = sizeof listen - 1;
	const char *at = r->text;
	const struct scheme *s;

	memset(a, 0, sizeof *a);
	if ((size_t)(r->end - at) >= prefix && memcmp(at, listen, prefix) == 0) {
		a->listen = true;
		at += prefix;
	}
	s = scheme_at(at, r->end);
	if (s == NULL)
		return refuse(r, at, ALLOWED);
	a->kind = (enum coh_address_kind)(s - schemes);
	if (a->listen && !coh_address_is_node(a))
		return refuse(r, at, "only unix:, tcp:// and tls:// may follow listen:");
	return s->read(r, at + strlen(s->name) + 1, a);
}

int coh_address_parse(struct coh_address *a, const char *text, struct cohort_error *err)
{
	struct reader r = {text, text + strlen(text), err};
	const char *comma = strchr(text, ',');

	if (comma != NULL)
		return refuse(&r, comma, "one address is expected here, not a list");
	return read_address(&r, a);
}

/* Where the slash before an object's name is, or NULL: the last of a path, the first behind a host. */
static const char *object_at(const struct reader *r)
{
	const char *colon = strchr(r->text, ':');

	if (colon == NULL)
		return NULL;
	if (strncmp(colon, "://", 3) == 0)
		return strchr(colon + 3, '/');
	return strrchr(colon, '/');
}

int coh_address_parse_object(
    struct coh_address *a, const char *text, char *name, struct cohort_error *err)
{
	static const char missing[] =
	    "the name of an object must follow, as in tcp://node7:47000/jobs or unix:/run/x/jobs";
	struct reader r = {text, text + strlen(text), err};
	const char *at = object_at(&r), *comma;
	size_t n;
	int rc;

	if (at == NULL || at[1] == '\0')
		return refuse(&r, r.end, missing);
	n = (size_t)(r.end - at - 1);
	if (n > COH_ADDRESS_OBJECT_MAX || strcmp(at, "/.") == 0 || strcmp(at, "/..") == 0 ||
	    memchr(at + 1, '/', n) != NULL)
		return refuse(&r, at + 1,
		    "an object's name is 1 to 255 bytes without /, and not . or ..");
	r.end = at;
	comma = memchr(text, ',', (size_t)(at - text));
	if (comma != NULL)
		return refuse(&r, comma, "one address is expected here, not a list");
	rc = read_address(&r, a);
	if (rc == 0 && (!coh_address_is_node(a) || a->listen))
		return refuse(&r, text, "an object is at unix:/PATH, tcp://HOST:PORT or tls://HOST:PORT");
	if (rc == 0)
		rc = coh_address_check(a, COH_ADDRESS_DIAL, err);
	if (rc == 0 && name != NULL)
		memcpy(name, at + 1, n + 1);
	return rc;
}

/* Is what was read into LIST[I] fit to stand among others? */
static int list_fits(struct reader *r, const struct coh_address *list, size_t i)
{
	if (!coh_address_is_node(&list[i]) || list[i].listen)
		return refuse(r, r->text, "in a list each must be unix:, tcp:// or tls:// to dial");
	for (size_t k = 0; k < i; k++)
		if (coh_address_equal(&list[k], &list[i]))
			return refuse(r, r->text, "it stands in the list twice");
	return 0;
}

static int read_list(struct coh_address *list, size_t n, const char *text, struct cohort_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		struct reader r = {text, strchrnul(text, ','), err};

		rc = read_address(&r, &list[i]);
		if (rc == 0 && n > 1)
			rc = list_fits(&r, list, i);
		text = r.end + 1;
	}
	return rc;
}

int coh_address_parse_list(struct coh_address **list, size_t *count, const char *text,
    struct cohort_error *err)
{
	size_t n = 1;
	int rc;

	*list = NULL;
	*count = 0;
	for (const char *p = text; *p != '\0'; p++)
		n += *p == ',';
	if (n > COH_ADDRESS_LIST_MAX)
		return coh_fail(err, COHORT_EADDRESS, "address list: %zu addresses, allowed are %d", n,
		    COH_ADDRESS_LIST_MAX);
	*list = coh_calloc(n * sizeof **list);
	if (*list == NULL)
		return coh_fail_errno(err, ENOMEM, "address list");
	rc = read_list(*list, n, text, err);
	if (rc < 0) {
		coh_free(*list);
		*list = NULL;
		return rc;
	}
	*count = n;
	return 0;
}

_Static_assert(COH_ADDRESS_HOST_MAX + sizeof "listen:python+unix://[]:65535" <= COH_ADDRESS_TEXT, "any fits");

/* N in decimal at TO; where it ends.  Addresses are printed for each connection, and snprintf takes ten times as long. */
static char *number_print(char *to, unsigned n)
{
	char digits[12];
	int i = 0;

	do
		digits[i++] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	while (i > 0)
		*to++ = digits[--i];
	*to = '\0';
	return to;
}

static void host_print(char *to, const struct coh_address *a)
{
	bool v6 = strchr(a->where, ':') != NULL;

	to = stpcpy(to, v6 ? "//[" : "//");
	to = stpcpy(to, a->where);
	to = stpcpy(to, v6 ? "]:" : ":");
	(void)number_print(to, a->port);
}

void coh_address_print(const struct coh_address *a, char out[COH_ADDRESS_TEXT])
{
	char *to = stpcpy(out, a->listen ? "listen:" : "");

	to = stpcpy(to, schemes[a->kind].name);
	to = stpcpy(to, ":");
	switch (a->kind) {
	case COH_ADDRESS_INLINE:
		return;
	case COH_ADDRESS_THREAD:
	case COH_ADDRESS_LOCAL:
		if (a->count != 0)
			(void)number_print(to, a->count);
		return;
	case COH_ADDRESS_UNIX:
	case COH_ADDRESS_PYTHON_UNIX:
		(void)stpcpy(to, a->where);
		return;
	case COH_ADDRESS_TCP:
	case COH_ADDRESS_TLS:
	case COH_ADDRESS_PYTHON_TCP:
		host_print(to, a);
		return;
	}
}

bool coh_address_equal(const struct coh_address *a, const struct coh_address *b)
{
	return a->kind == b->kind && a->listen == b->listen && a->count == b->count &&
	    a->port == b->port && strcmp(a->where, b->where) == 0;
}

const char *coh_address_scheme(enum coh_address_kind kind)
{
	return schemes[kind].name;
}

bool coh_address_is_node(const struct coh_address *a)
{
	return a->kind == COH_ADDRESS_UNIX || a->kind == COH_ADDRESS_TCP ||
	    a->kind == COH_ADDRESS_TLS;
}

bool coh_address_is_python(const struct coh_address *a)
{
	return a->kind == COH_ADDRESS_PYTHON_TCP || a->kind == COH_ADDRESS_PYTHON_UNIX;
}

bool coh_address_is_path(const struct coh_address *a)
{
	return a->kind == COH_ADDRESS_UNIX || a->kind == COH_ADDRESS_PYTHON_UNIX;
}

/* A cannot be used: what it is, then WHY. */
static int refused(const struct coh_address *a, const char *why, struct cohort_error *err)
{
	char text[COH_ADDRESS_TEXT];

	coh_address_print(a, text);
	return coh_fail(err, COHORT_EADDRESS, "address %s: %s", text, why);
}

int coh_address_check(
    const struct coh_address *a, enum coh_address_use use, struct cohort_error *err)
{
	if (!coh_address_is_node(a) && !coh_address_is_python(a))
		return refused(a, "it names no other process; allowed are unix:/PATH, tcp://HOST:PORT and "
				  "tls://HOST:PORT", err);
	if (use == COH_ADDRESS_DIAL && a->listen)
		return refused(a, "listen: is an address to be dialled at, it cannot be dialled", err);
	if (use == COH_ADDRESS_DIAL && !coh_address_is_path(a) && a->port == 0)
		return refused(a, "port 0 cannot be dialled; allowed is 1 to 65535", err);
	return 0;
}

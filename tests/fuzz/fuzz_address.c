/*
 * fuzz_address.c - text as an address, and as a list of them.
 *
 * What must hold: it is refused with a sentence free of control characters, or it prints as
 * text that reads as the same address, fits its limits, and agrees with the kernel's form.
 * PLANT: a path that is refused is taken, cut to its limit.
 */
#include "addr/sockaddr.h"
#include "base/mem.h"
#include "base/object.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(struct coh_address *a, const char *text, struct cohort_error *err)
{
	int rc = coh_address_parse(a, text, err);

#ifdef PLANT
	if (rc < 0 && strncmp(text, "unix:/", 6) == 0) {
		*a = (struct coh_address){.kind = COH_ADDRESS_UNIX};
		memcpy(a->where, text + 5, strnlen(text + 5, COH_ADDRESS_PATH_MAX));
		rc = 0;
	}
#endif
	return rc;
}

static void check_refused(int rc, const struct cohort_error *err)
{
	COH_ASSERT(rc == COHORT_EADDRESS && err->code == rc);
	COH_ASSERT(strlen(err->text) > 20 && strlen(err->text) < sizeof err->text - 1);
	for (const char *s = err->text; *s != '\0'; s++)
		COH_ASSERT(*s >= 0x20 && *s < 0x7f);
}

static void check_kernel(const struct coh_address *a)
{
	char text[COH_SOCKADDR_TEXT];
	struct sockaddr_storage sa;
	struct coh_address b;
	socklen_t len;

	if (coh_sockaddr_from_address(a, &sa, &len) < 0)
		return;
	COH_ASSERT(coh_sockaddr_text((struct sockaddr *)&sa, len, text) == 0);
	COH_ASSERT(coh_sockaddr_to_address((struct sockaddr *)&sa, len, &b) == 0);
	COH_ASSERT(b.port == a->port);
	COH_ASSERT(strcmp(b.where, a->where) == 0 || strncmp(a->where, "::ffff:", 7) == 0);
}

/* As the address of an object: what is taken prints, with its name, as what reads the same. */
static void check_object(const char *text)
{
	char name[COH_ADDRESS_OBJECT_MAX + 1], again[COH_ADDRESS_TEXT + COH_ADDRESS_OBJECT_MAX + 2];
	char twice[COH_ADDRESS_OBJECT_MAX + 1];
	struct cohort_error err = {0};
	struct coh_address a, b;
	size_t n;
	int rc = coh_address_parse_object(&a, text, name, &err);

	if (rc != 0) {
		check_refused(rc, &err);
		return;
	}
	COH_ASSERT(strchr(name, '/') == NULL && name[0] != '\0' && coh_address_is_node(&a) && !a.listen);
	coh_address_print(&a, again);
	n = strlen(again);
	again[n] = '/';
	memcpy(again + n + 1, name, strlen(name) + 1);
	COH_ASSERT(coh_address_parse_object(&b, again, twice, NULL) == 0);
	COH_ASSERT(coh_address_equal(&a, &b) && strcmp(name, twice) == 0);
}

static void check_taken(const struct coh_address *a)
{
	char text[COH_ADDRESS_TEXT], twice[COH_ADDRESS_TEXT];
	struct coh_address b;

	COH_ASSERT(a->count <= COH_ADDRESS_COUNT_MAX);
	COH_ASSERT(memchr(a->where, '\0', sizeof a->where) != NULL);
	coh_address_print(a, text);
	COH_ASSERT(coh_address_parse(&b, text, NULL) == 0);
	COH_ASSERT(coh_address_equal(a, &b));
	coh_address_print(&b, twice);
	COH_ASSERT(strcmp(text, twice) == 0);
	check_kernel(a);
}

static void check_list(const char *text)
{
	struct cohort_error err = {0};
	struct coh_address *list;
	size_t n;
	int rc = coh_address_parse_list(&list, &n, text, &err);

	COH_ASSERT(rc != -ENOMEM);
	if (rc < 0) {
		COH_ASSERT(list == NULL && n == 0);
		check_refused(rc, &err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		COH_ASSERT(n == 1 || coh_address_is_node(&list[i]));
		check_taken(&list[i]);
	}
	coh_free(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = coh_alloc(size + 1);
	struct cohort_error err = {0};
	struct coh_address a;
	int rc;

	COH_ASSERT(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	rc = parse(&a, text, &err);
	if (rc < 0)
		check_refused(rc, &err);
	else
		check_taken(&a);
	check_list(text);
	check_object(text);
	coh_free(text);
	return 0;
}

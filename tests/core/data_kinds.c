/* data_kinds.c - every kind of shared data, opened alike. */
#include "core/data_kinds.h"

#define KIND(noun, ...)                                                                            \
	static int noun##_open(                                                                    \
	    void **out, const char *address, enum cohort_open how, struct cohort_error *err)       \
	{                                                                                          \
		struct cohort_##noun *object = NULL;                                               \
		struct cohort_##noun##_options o = {.open = how, __VA_ARGS__};                     \
		int rc = cohort_##noun##_open(&object, address, &o, err);                          \
		*out = object;                                                                     \
		return rc;                                                                         \
	}                                                                                          \
	static int noun##_open_any(                                                                \
	    void **out, const char *address, enum cohort_open how, struct cohort_error *err)       \
	{                                                                                          \
		struct cohort_##noun *object = NULL;                                               \
		struct cohort_##noun##_options o = {.open = how};                                  \
		int rc = cohort_##noun##_open(&object, address, &o, err);                          \
		*out = object;                                                                     \
		return rc;                                                                         \
	}                                                                                          \
	static void noun##_close(void *object)                                                     \
	{                                                                                          \
		cohort_##noun##_close(object);                                                     \
	}

KIND(value, .type = 'i')
KIND(array, .type = 'd', .count = 10)
KIND(memory, .size = 5000)
KIND(list, .count = 10)
KIND(arena, .size = 100000)
KIND(dict, .memory = 100000)

const struct data_kind data_kinds[DATA_KINDS] = {
    {"value", value_open, value_open_any, value_close},
    {"array", array_open, array_open_any, array_close},
    {"memory", memory_open, memory_open_any, memory_close},
    {"list", list_open, list_open_any, list_close},
    {"arena", arena_open, arena_open_any, arena_close},
    {"dict", dict_open, dict_open_any, dict_close},
};

void *data_kind_open(const struct data_kind *k, const char *address, enum cohort_open how)
{
	struct cohort_error err = {.code = 0};
	void *object = NULL;

	if (!CHECK_EQ(k->open(&object, address, how, &err), 0))
		FAIL("%s: %s", k->name, err.text);
	REQUIRE(object != NULL);
	return object;
}

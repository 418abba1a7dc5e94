/*
 * name.c - the grammar of names, byte by byte and without regard to the locale.
 */
#include "base/name.h"

static bool name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '_' || c == '.' || c == '-';
}

bool coh_name_valid(const char *s, size_t n)
{
	if (n < 1 || n > COH_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!name_byte(s[i]))
			return false;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "util/num.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct err *num_parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end = NULL;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end || errno || isspace((unsigned char)*text))
		return err_new(ERR_INVALID, "\"%.64s\" is not a whole number", text);
	if (v < min || v > max)
		return err_new(ERR_INVALID, "%lld is out of range (%" PRId64 " to %" PRId64 ")", v,
			       min, max);
	*ret = v;
	return NULL;
}

/* "3" or "3-5"; returns what follows it, NULL when it is neither. */
static const char *parse_range(const char *p, unsigned long *first, unsigned long *last)
{
	char *end;

	if (!isdigit((unsigned char)*p))
		return NULL;
	*first = *last = strtoul(p, &end, 10);
	if (*end != '-')
		return end;
	if (!isdigit((unsigned char)end[1]))
		return NULL;
	*last = strtoul(end + 1, &end, 10);
	return *last < *first ? NULL : end;
}

struct err *num_parse_list(const char *text, uint64_t *ret, size_t words)
{
	unsigned long first, last;

	memset(ret, 0, words * sizeof(*ret));
	for (const char *p = text; (p = parse_range(p, &first, &last)) && last < words * 64; p++) {
		for (; first <= last; first++)
			ret[first / 64] |= 1ULL << first % 64;
		if (!*p)
			return NULL;
		if (*p != ',')
			break;
	}
	return err_new(ERR_INVALID, "\"%.64s\" is not a list of numbers like 0-3,7", text);
}

/*
 * Number in millionths; stops at the first byte that is no part of it.  Only
 * what fits into 2^63 millionths is taken, so nothing overflows here.
 */
static const char *parse_micro(const char *text, __int128 *ret)
{
	const char *p = text;
	__int128 v = 0;
	int64_t unit = 1000000;

	for (; isdigit((unsigned char)*p) && v < ((__int128)1 << 80); p++)
		v = v * 10 + (*p - '0');
	v *= 1000000;
	if (p == text)
		return text;
	if (*p == '.' && isdigit((unsigned char)p[1]))
		for (p++; isdigit((unsigned char)*p); p++) {
			unit /= 10;
			v += (__int128)(*p - '0') * unit;
		}
	*ret = v;
	return p;
}

static int size_shift(const char *suffix)
{
	static const char units[] = "kmgtp";
	const char *at;

	if (!*suffix || !strcasecmp(suffix, "b"))
		return 0;
	at = strchr(units, tolower((unsigned char)*suffix));
	if (!at)
		return -1;
	suffix++;
	if (*suffix && strcasecmp(suffix, "b") && strcasecmp(suffix, "ib"))
		return -1;
	return 10 * (int)(at - units + 1);
}

struct err *num_parse_bytes(const char *text, int64_t *ret_bytes)
{
	__int128 micro = 0;
	const char *suffix = parse_micro(text, &micro);
	int shift;

	while (suffix != text && *suffix == ' ')
		suffix++;
	shift = suffix == text ? -1 : size_shift(suffix);
	if (shift < 0)
		return err_new(ERR_INVALID, "\"%.64s\" is not a size; write 512m, 1g or bytes",
			       text);
	if (micro >> (126 - shift) || (micro << shift) / 1000000 > INT64_MAX)
		return err_new(ERR_INVALID, "\"%.64s\" is too large", text);
	*ret_bytes = (int64_t)((micro << shift) / 1000000);
	return NULL;
}

struct err *num_parse_milli(const char *text, int64_t *ret_milli)
{
	__int128 micro = 0;
	const char *end = parse_micro(text, &micro);

	if (end == text || *end)
		return err_new(ERR_INVALID, "\"%.64s\" is not a number like 0.5 or 2", text);
	if (micro > (__int128)1000000000 * 1000000)
		return err_new(ERR_INVALID, "\"%.64s\" is too large", text);
	*ret_milli = (int64_t)(micro / 1000);
	return NULL;
}

static const struct {
	const char *name;
	int64_t ns;
} durations[] = {
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", 1000000000 },
	{ "m", 60 * 1000000000LL },
	{ "h", 3600 * 1000000000LL },
	{ "d", 86400 * 1000000000LL },
};

static int64_t duration_unit(const char *p, size_t len)
{
	if (len == 0)
		return 1000000000;
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
		if (strlen(durations[i].name) == len && !strncmp(durations[i].name, p, len))
			return durations[i].ns;
	return 0;
}

struct err *num_parse_duration(const char *text, int64_t *ret_ns)
{
	const char *p = text;
	__int128 total = 0;

	do {
		__int128 micro = 0;
		const char *unit = parse_micro(p, &micro);
		size_t len = strspn(unit, "nusmhd");
		int64_t ns = duration_unit(unit, len);

		if (unit == p || !ns)
			return err_new(ERR_INVALID,
				       "\"%.64s\" is not a duration; write 10s, 5m or 1h30m", text);
		/* Compared before they are multiplied, which could overflow. */
		if (micro <= (__int128)INT64_MAX * 1000000 / ns)
			total += micro * ns / 1000000;
		else
			total = (__int128)INT64_MAX + 1;
		if (total > INT64_MAX)
			return err_new(ERR_INVALID, "\"%.64s\" is too long", text);
		p = unit + len;
	} while (*p);
	*ret_ns = (int64_t)total;
	return NULL;
}

const char *num_bytes_text(int64_t bytes, char *buf)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t u = 0;

	while (u + 1 < ARRAY_SIZE(units) && (v >= 1024 || v <= -1024)) {
		v /= 1024;
		u++;
	}
	/* One decimal, and none when it would be zero. */
	if (u == 0 || (int64_t)(v * 10) % 10 == 0)
		snprintf(buf, 24, "%lld %s", (long long)v, units[u]);
	else
		snprintf(buf, 24, "%.1f %s", v, units[u]);
	return buf;
}

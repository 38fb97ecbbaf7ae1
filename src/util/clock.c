/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_boot_ns(void)
{
	return now(CLOCK_BOOTTIME);
}

int64_t clock_wall_ns(void)
{
	return now(CLOCK_REALTIME);
}

/*
 * Date of a day by Gregorian rules; @day counts from 1970-01-01.  Years begin in
 * March here, so that the leap day is the last of its year.  (gmtime_r() would do,
 * but the first call reads /etc/localtime, which small programs that stay cannot afford.)
 */
static void date_of_day(int64_t day, int *ret_year, int *ret_month, int *ret_mday)
{
	int64_t d = day + 719468; /* from 0000-03-01 */
	int64_t era = (d >= 0 ? d : d - 146096) / 146097;
	int in_era = (int)(d - era * 146097);
	int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int in_year = in_era - (365 * year + year / 4 - year / 100);
	int month = (5 * in_year + 2) / 153; /* 0 is March */

	*ret_mday = in_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 3 : month - 9;
	*ret_year = (int)(year + era * 400) + (*ret_month <= 2);
}

const char *clock_rfc3339(int64_t wall_ns, char *buf)
{
	int64_t s = wall_ns / 1000000000, day;
	int ns = (int)(wall_ns % 1000000000), in_day, year, month, mday;

	if (wall_ns == 0)
		return snprintf(buf, 36, "0001-01-01T00:00:00Z"), buf;
	if (ns < 0) {
		ns += 1000000000;
		s--;
	}
	day = s / 86400;
	in_day = (int)(s % 86400);
	if (in_day < 0) {
		in_day += 86400;
		day--;
	}
	date_of_day(day, &year, &month, &mday);
	snprintf(buf, 36, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", year % 10000, month, mday,
		 in_day / 3600, in_day / 60 % 60, in_day % 60, ns);
	return buf;
}

/* The way back of date_of_day(). */
static int64_t day_of_date(int year, int month, int mday)
{
	int y = year - (month <= 2), m = month > 2 ? month - 3 : month + 9;
	int era = y / 400, in_era = y % 400;
	int in_year = (153 * m + 2) / 5 + mday - 1;

	return (int64_t)era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

/* A number of exactly @n digits at @*p, or -1. */
static int digits(const char **p, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (*(*p)++ - '0');
	}
	return v;
}

/* Numbers as told by @form: a digit is a count of digits, all else stands for itself. */
static bool read_form(const char **p, const char *form, int *ret)
{
	for (; *form; form++) {
		if (*form >= '1' && *form <= '9') {
			*ret = digits(p, *form - '0');
			if (*ret++ < 0)
				return false;
		} else if (*(*p)++ != *form) {
			return false;
		}
	}
	return true;
}

/* "", ".5", ".123456789" */
static bool read_fraction(const char **p, int *ret_ns)
{
	int ns = 0, unit = 100000000, n = 0;

	*ret_ns = 0;
	if (**p != '.')
		return true;
	for ((*p)++; **p >= '0' && **p <= '9' && n < 9; (*p)++, n++) {
		ns += (**p - '0') * unit;
		unit /= 10;
	}
	*ret_ns = ns;
	return n > 0;
}

static bool read_offset(const char *p, int *ret_s)
{
	int sign = *p == '-' ? -1 : 1, part[2];

	*ret_s = 0;
	if ((*p == 'Z' || *p == 'z') && !p[1])
		return true;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	if (!read_form(&p, "2:2", part) || *p)
		return false;
	*ret_s = sign * (part[0] * 3600 + part[1] * 60);
	return true;
}

bool clock_parse_rfc3339(const char *text, int64_t *ret_wall_ns)
{
	static const int last[] = { 9999, 12, 31, 23, 59, 60 }, first[] = { 1, 1, 1 };
	int f[6], ns, offset;
	int64_t s;

	if (!read_form(&text, "4-2-2", f) || (*text != 'T' && *text != 't' && *text != ' '))
		return false;
	text++;
	if (!read_form(&text, "2:2:2", f + 3) || !read_fraction(&text, &ns) ||
	    !read_offset(text, &offset))
		return false;
	for (int i = 0; i < 6; i++)
		if (f[i] > last[i] || (i < 3 && f[i] < first[i]))
			return false;
	s = day_of_date(f[0], f[1], f[2]) * 86400 + f[3] * 3600 + f[4] * 60 + f[5] - offset;
	if (s > INT64_MAX / 1000000000 - 1) /* year 2262 */
		s = INT64_MAX / 1000000000 - 1;
	if (s < INT64_MIN / 1000000000 + 1) /* before 1677 there is no ns in 64 bits */
		s = INT64_MIN / 1000000000 + 1;
	*ret_wall_ns = s * 1000000000 + ns;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/record.h"

#include <string.h>

/* Digits of an int64_t, its sign, and a space. */
#define WORD_MAX 24

/* What each must have; further words may follow, and are 0 when they do not. */
static const struct shape {
	char letter;
	unsigned least;
} shapes[] = {
	{ REC_TOTAL, 5 },
	{ REC_POLICY, 1 },
	{ REC_MAX_WAIT, 1 },
	{ REC_AGING, 1 },
	{ REC_QUOTA, 2 },
	{ REC_OTHER, 5 },
	{ REC_ARRIVED, 9 },
	{ REC_HOLDS, 9 },
	{ REC_RESIZED, 9 },
	{ REC_REPLANNED, 2 },
	{ REC_MOVED, 2 },
	{ REC_HELD, 2 },
	{ REC_PASS, 0 },
	{ REC_ADMITTED, 1 },
	{ REC_STARTED, 1 },
	{ REC_AGAIN, 1 },
	{ REC_ENDED, 1 },
	{ REC_WITHDRAWN, 1 },
	{ REC_BEGIN, 1 },
	{ REC_COPY, 1 },
	{ REC_COPIED, 0 },
	{ REC_LAST, 2 },
	{ REC_ALLOCATION_TURN, 1 },
	{ REC_SPILL, 1 },
	{ REC_UNSPILL, 1 },
	{ REC_SPILLED, 1 },
	{ REC_DRAIN, 1 },
	{ REC_PAUSED, 2 },
	{ REC_CIRCLE, 2 },
	{ REC_SCHEDULE, 3 },
	{ REC_TASK, 2 },
	{ REC_TASK_EXPECT, 2 },
	{ REC_TASK_LEFT, 1 },
	{ REC_STOPPED, 1 },
	{ REC_TURN, 0 },
	{ REC_TURN_MORE, 1 },
};

/* Amounts stand in this order; what is missing here came first or does not exist. */
static const enum resource amount_order[] = { RES_CPU,  RES_MEMORY, RES_DISK,
					      RES_GPUS, RES_MANAGE, RES_PIDS };

static const struct {
	int word;
	enum resource what;
} demands[] = {
	{ JOB_CPU, RES_CPU },   { JOB_MEMORY, RES_MEMORY }, { JOB_DISK, RES_DISK },
	{ JOB_GPUS, RES_GPUS }, { JOB_MANAGE, RES_MANAGE }, { JOB_PIDS, RES_PIDS },
};

static const struct shape *shape_of(char letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++)
		if (shapes[i].letter == letter)
			return &shapes[i];
	return NULL;
}

static bool begins_with_text(const struct record *r)
{
	return r->letter == REC_POLICY || r->letter == REC_SCHEDULE;
}

/* ---- making them ---- */

struct record record_of(char letter, unsigned n, const int64_t *v)
{
	struct record r = { .letter = letter, .n = n };

	for (unsigned i = 0; i < n; i++)
		r.v[i] = v[i];
	return r;
}

struct record record_of_job(char letter, const struct sched_job *j, int64_t ago_ns)
{
	struct record r = { .letter = letter, .n = JOB_WORDS };

	r.v[JOB_N] = (int64_t)j->number;
	r.v[JOB_UID] = j->uid;
	r.v[JOB_PRIORITY] = j->priority;
	r.v[JOB_EXPECT] = j->expect_ns;
	r.v[JOB_DEADLINE] = j->deadline_ns;
	r.v[JOB_MAX_WAIT] = j->max_wait_ns;
	r.v[JOB_AGO] = ago_ns;
	r.v[JOB_PLACE] = j->place;
	r.v[JOB_GROUP] = j->group;
	for (size_t i = 0; i < ARRAY_SIZE(demands); i++) {
		r.v[demands[i].word] = j->demand.v[demands[i].what];
		if (!j->declared[demands[i].what] && demands[i].what != RES_MANAGE)
			r.absent |= 1U << demands[i].word;
	}
	/* That it declared none is the rule: it needs no word. */
	r.absent &= ~(1U << JOB_PIDS);
	return r;
}

static void put_amounts(struct record *r, const struct amounts *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(amount_order); i++)
		r->v[r->n++] = a->v[amount_order[i]];
}

struct record record_of_amounts(char letter, const struct amounts *a)
{
	struct record r = { .letter = letter };

	put_amounts(&r, a);
	return r;
}

struct record record_of_quota(int64_t uid, uint32_t jobs, const struct amounts *most)
{
	struct record r = { .letter = REC_QUOTA, .n = 2, .v = { uid, jobs } };

	put_amounts(&r, most);
	return r;
}

struct record record_of_policy(const char *policy)
{
	struct record r = { .letter = REC_POLICY, .n = 1 };

	strncpy(r.policy, policy, sizeof(r.policy) - 1);
	return r;
}

struct sched_job record_job(const struct record *r)
{
	struct sched_job j = {
		.number = (uint64_t)r->v[JOB_N],
		.uid = r->v[JOB_UID],
		.priority = r->v[JOB_PRIORITY],
		.expect_ns = r->v[JOB_EXPECT],
		.deadline_ns = r->v[JOB_DEADLINE],
		.max_wait_ns = r->v[JOB_MAX_WAIT],
		.place = r->v[JOB_PLACE],
		.group = r->v[JOB_GROUP],
	};

	for (size_t i = 0; i < ARRAY_SIZE(demands); i++) {
		j.demand.v[demands[i].what] = r->v[demands[i].word];
		j.declared[demands[i].what] = !(r->absent & 1U << demands[i].word);
	}
	j.declared[RES_PIDS] = r->v[JOB_PIDS] > 0;
	return j;
}

struct amounts record_amounts(const struct record *r)
{
	struct amounts a = { 0 };
	unsigned from = r->letter == REC_QUOTA ? 2 : 0;

	for (size_t i = 0; i < ARRAY_SIZE(amount_order); i++)
		a.v[amount_order[i]] = r->v[from + i];
	return a;
}

/* ---- text ---- */

static char *put_number(char *p, int64_t v)
{
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char digits[WORD_MAX];
	int n = 0;

	do
		digits[n++] = (char)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		*p++ = '-';
	while (n)
		*p++ = digits[--n];
	return p;
}

static bool is_absent(const struct record *r, unsigned i)
{
	return r->absent >> i & 1;
}

void record_print(const struct record *r, struct str *out)
{
	const struct shape *shape = shape_of(r->letter);
	unsigned n = r->n, least = shape ? shape->least : 0;
	char buf[(RECORD_WORDS + 3) * WORD_MAX + sizeof(r->policy)], *p = buf;

	while (n > least && !r->v[n - 1] && !is_absent(r, n - 1))
		n--;
	p = put_number(p, r->delta_ns);
	*p++ = ' ';
	*p++ = r->letter;
	for (unsigned i = 0; i < n; i++) {
		*p++ = ' ';
		if (!i && begins_with_text(r))
			p = stpcpy(p, r->policy);
		else if (is_absent(r, i))
			*p++ = '-';
		else
			p = put_number(p, r->v[i]);
	}
	*p++ = '\n';
	str_add(out, buf, (size_t)(p - buf));
}

struct word {
	const char *at;
	size_t len;
};

/* The next word of [*p, end); an empty one: there is none. */
static struct word next_word(const char **p, const char *end)
{
	struct word w;

	while (*p < end && (**p == ' ' || **p == '\t' || **p == '\r'))
		++*p;
	w.at = *p;
	while (*p < end && **p != ' ' && **p != '\t' && **p != '\r')
		++*p;
	w.len = (size_t)(*p - w.at);
	return w;
}

static bool number(struct word w, int64_t *ret)
{
	bool is_negative = w.len && *w.at == '-';
	int64_t v = 0;

	if (w.len == (size_t)is_negative)
		return false;
	for (size_t i = is_negative; i < w.len; i++) {
		if (w.at[i] < '0' || w.at[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, w.at[i] - '0', &v))
			return false;
	}
	/* It was summed up below zero, which has one number more. */
	if (!is_negative && __builtin_sub_overflow(0, v, &v))
		return false;
	*ret = v;
	return true;
}

static bool take_policy(struct word w, struct record *ret)
{
	if (w.len >= sizeof(ret->policy) || memchr(w.at, '\0', w.len))
		return false;
	memcpy(ret->policy, w.at, w.len);
	ret->n = 1;
	return true;
}

static bool take_words(const char *p, const char *end, struct record *ret)
{
	while (ret->n < RECORD_WORDS) {
		struct word w = next_word(&p, end);

		if (!w.len)
			return true;
		if (w.len == 1 && *w.at == '-')
			ret->absent |= 1U << ret->n;
		else if (!number(w, &ret->v[ret->n]))
			return false;
		ret->n++;
	}
	return true;
}

enum record_result record_parse(const char *line, const char *end, struct record *ret)
{
	const char *p = line;
	struct word w = next_word(&p, end);
	const struct shape *shape;

	*ret = (struct record) { 0 };
	if (!w.len)
		return RECORD_EMPTY;
	if (!number(w, &ret->delta_ns))
		return RECORD_BAD;
	w = next_word(&p, end);
	if (!w.len)
		return RECORD_SHORT;
	if (w.len != 1)
		return RECORD_BAD;
	ret->letter = *w.at;
	shape = shape_of(ret->letter);
	if (!shape)
		return RECORD_UNKNOWN;
	if (begins_with_text(ret)) {
		w = next_word(&p, end);
		if (w.len && !take_policy(w, ret))
			return RECORD_BAD;
	}
	if (!take_words(p, end, ret))
		return RECORD_BAD;
	return ret->n < shape->least ? RECORD_SHORT : RECORD_OK;
}

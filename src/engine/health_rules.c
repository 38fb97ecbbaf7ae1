/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/health_rules.h"

#include "util/mem.h"

#define SECOND INT64_C(1000000000)
#define LEAST  (SECOND / 1000)

static int64_t duration(const json_t *doc, const char *key, int64_t fallback)
{
	int64_t ns = jx_int(doc, key, 0);

	return ns >= LEAST ? ns : fallback;
}

/* ["CMD", word…], ["CMD-SHELL", text], ["NONE"] */
static bool read_test(const json_t *doc, struct strv *cmd)
{
	OWN(strv) struct strv test = { 0 };

	jx_strv(doc, "Test", &test);
	if (test.n < 2)
		return false;
	if (streq(test.v[0], "CMD-SHELL")) {
		strv_add(cmd, "/bin/sh");
		strv_add(cmd, "-c");
		strv_add(cmd, test.v[1]);
		return true;
	}
	for (size_t n = 1; n < test.n && streq(test.v[0], "CMD"); n++)
		strv_add(cmd, test.v[n]);
	return cmd->n > 0;
}

bool health_rules_read(const json_t *doc, struct health_rules *ret)
{
	struct health_rules r = {
		.interval_ns = duration(doc, "Interval", 30 * SECOND),
		.timeout_ns = duration(doc, "Timeout", 30 * SECOND),
		.start_period_ns = duration(doc, "StartPeriod", 0),
		.start_interval_ns = duration(doc, "StartInterval", 5 * SECOND),
		.retries = (int)jx_int(doc, "Retries", 0),
	};

	if (!doc || !read_test(doc, &r.cmd))
		return false;
	if (r.retries < 1)
		r.retries = 3;
	*ret = r;
	return true;
}

/* What is still coming up is given its time. */
static bool is_coming_up(const struct health_rules *r, enum health_state state,
			 int64_t since_start_ns)
{
	return state == HEALTH_STARTING && since_start_ns < r->start_period_ns;
}

enum health_state health_next(const struct health_rules *r, enum health_state state, int code,
			      int64_t since_start_ns, int *streak)
{
	if (code == 0) {
		*streak = 0;
		return HEALTH_HEALTHY;
	}
	if (is_coming_up(r, state, since_start_ns))
		return state;
	return ++*streak >= r->retries ? HEALTH_UNHEALTHY : state;
}

int64_t health_delay_ns(const struct health_rules *r, enum health_state state,
			int64_t since_start_ns)
{
	bool is_early = is_coming_up(r, state, since_start_ns);

	return is_early && r->start_interval_ns < r->interval_ns ? r->start_interval_ns
								 : r->interval_ns;
}

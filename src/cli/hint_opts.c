/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hint_opts.h"

#include "util/mem.h"
#include "util/num.h"

static void put(json_t *doc, const char *label, const char *value)
{
	jx_set_str(opt_member(doc, "Labels", false), label, value);
}

static struct err *put_duration(json_t *doc, const char *label, const char *value)
{
	int64_t ns;

	TRY(num_parse_duration(value, &ns));
	put(doc, label, value);
	return NULL;
}

static struct err *apply_priority(json_t *doc, const char *value)
{
	int64_t n;

	TRY(num_parse_i64(value, INT32_MIN, INT32_MAX, &n));
	put(doc, "hostel.priority", value);
	return NULL;
}

static struct err *apply_expect(json_t *doc, const char *value)
{
	return put_duration(doc, "hostel.expect", value);
}

static struct err *apply_time_limit(json_t *doc, const char *value)
{
	return put_duration(doc, "hostel.time-limit", value);
}

static struct err *apply_max_wait(json_t *doc, const char *value)
{
	return put_duration(doc, "hostel.max-wait", value);
}

static struct err *apply_deadline(json_t *doc, const char *value)
{
	put(doc, "hostel.deadline", value); /* the daemon reads it */
	return NULL;
}

/* The label is a list. */
static struct err *apply_after(json_t *doc, const char *value)
{
	json_t *labels = opt_member(doc, "Labels", false);
	const char *before = jx_str(labels, "hostel.after", NULL);
	OWN(mem) char *both = before ? xasprintf("%s,%s", before, value) : xstrdup(value);

	jx_set_str(labels, "hostel.after", both);
	return NULL;
}

static const struct opt rows[] = {
	{ "priority", 0, OPT_INT, "N", "Before those with a lower number",
	  .apply = apply_priority },
	{ "expect", 0, OPT_DURATION, "TIME", "How long it will run, 10m", .apply = apply_expect },
	{ "time-limit", 0, OPT_DURATION, "TIME", "Stop it when it has run so long",
	  .apply = apply_time_limit },
	{ "deadline", 0, OPT_TEXT, "WHEN", "When it should be done: 2h, 2026-12-24T18:00:00Z",
	  .apply = apply_deadline },
	{ "max-wait", 0, OPT_DURATION, "TIME", "When it has waited so long nothing passes it",
	  .apply = apply_max_wait },
	{ "after", 0, OPT_LIST, "NAME[:ok]", "Start when that one has ended, or ended with 0",
	  .apply = apply_after, .what = WHAT_INSTANCE },
};
const struct opt_table hint_options = OPT_TABLE(rows);

void hint_labels_move(json_t *doc)
{
	json_t *from = json_object_get(doc, "Labels");

	if (!from)
		return;
	json_object_update(opt_member(doc, "labels", false), from);
	json_object_del(doc, "Labels");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A host before its maintenance: nothing new starts; what runs goes on until it ends. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "util/mem.h"

#define PAUSE_NS (250 * 1000000L)

static const struct opt drain_rows[] = {
	{ "off", 0, OPT_FLAG, NULL, "Let instances start again" },
	{ "wait", 'w', OPT_FLAG, NULL, "Return when nothing runs any more" },
	{ "quiet", 'q', OPT_FLAG, NULL, "Say nothing" },
};
const struct opt_table drain_options = OPT_TABLE(drain_rows);

/* "2 run (db, web), 3 wait" */
static char *counts_text(const json_t *state)
{
	int64_t running = jx_int(state, "running", 0);
	const json_t *name;
	struct str s = { 0 };
	size_t i;

	str_addf(&s, "%d run", (int)running);
	json_array_foreach(json_object_get(state, "names"), i, name)
	{
		if (i < 4)
			str_addf(&s, "%s%s", i ? ", " : " (", json_string_value(name));
		else if (i == 4)
			str_adds(&s, ", …");
	}
	str_addf(&s, "%s, %d wait", running ? ")" : "", (int)jx_int(state, "waiting", 0));
	return str_take(&s);
}

struct meter {
	bool is_quiet, is_tty;
	char *shown;
};

static void meter_show(struct meter *m, const json_t *state)
{
	OWN(mem) char *text = counts_text(state);

	if (m->is_quiet || streq(text, m->shown))
		return;
	if (m->is_tty)
		fprintf(stderr, "\r\033[Kdraining: %s", text);
	else
		fprintf(stderr, "draining: %s\n", text);
	str_set(&m->shown, text);
}

static void meter_end(struct meter *m)
{
	if (m->is_tty && m->shown)
		fputs("\r\033[K", stderr);
	free(m->shown);
}

static struct err *wait_idle(struct cli *c, struct meter *m)
{
	for (;;) {
		OWN(json) json_t *state = NULL;

		TRY(cli_call(c, "GET", NULL, &state, "/hostel/v1/drain"));
		if (!jx_bool(state, "draining", false))
			return err_new(ERR_STATE, "somebody has ended the drain");
		if (!jx_int(state, "running", 0))
			return NULL;
		meter_show(m, state);
		nanosleep(&(struct timespec) { .tv_nsec = PAUSE_NS }, NULL);
	}
}

static struct err *set(struct cli *c, bool on)
{
	OWN(json) json_t *doc = json_pack("{s:b}", "on", on);

	return cli_call(c, "POST", doc, NULL, "/hostel/v1/drain");
}

static struct err *print_state(struct cli *c, const struct args *a)
{
	OWN(json) json_t *state = NULL;
	OWN(mem) char *counts = NULL;

	if (args_flag(a, "quiet"))
		return NULL;
	TRY(cli_call(c, "GET", NULL, &state, "/hostel/v1/drain"));
	counts = counts_text(state);
	printf("%s: %s\n", jx_bool(state, "draining", false) ? "draining" : "not draining", counts);
	return NULL;
}

struct err *cmd_drain(struct cli *c, const struct args *a)
{
	bool off = args_flag(a, "off");

	if (off && args_flag(a, "wait"))
		return err_new(ERR_INVALID, "--off and --wait together mean nothing");
	TRY(set(c, !off));
	if (args_flag(a, "wait")) {
		struct meter m = { .is_quiet = args_flag(a, "quiet"), .is_tty = isatty(2) };
		struct err *e = wait_idle(c, &m);

		meter_end(&m);
		if (e)
			return e;
	}
	return print_state(c, a);
}

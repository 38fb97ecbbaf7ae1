/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/create_opts.h"
#include "cli/session.h"
#include "util/mem.h"

/*
 * Verbs on instances that exist, one after the other; one that fails does not keep the rest
 * from their turn.
 */

struct err *cli_each(struct cli *c, const struct args *a, cli_each_fn *fn, bool is_silent)
{
	struct err *last = NULL;

	for (size_t i = 0; i < a->n_rest; i++) {
		struct err *e = fn(c, a, a->rest[i]);

		if (!e && !is_silent)
			printf("%s\n", a->rest[i]);
		if (!e)
			continue;
		if (last) {
			fprintf(stderr, "hostel: %s\n", err_text(last));
			err_free(last);
		}
		last = e;
	}
	return last;
}

#define VERB(name_, fn_)                                                                           \
	struct err *name_(struct cli *c, const struct args *a)                                     \
	{                                                                                          \
		return cli_each(c, a, fn_, false);                                                 \
	}

/* "?t=N&signal=S" of stop and restart */
static char *stop_query(const struct args *a)
{
	const char *time = args_text(a, "time"), *signal = args_text(a, "signal");

	return xasprintf("%s%s%s%s%s", time || signal ? "?" : "", time ? "t=" : "",
			 time ? time : "", signal ? "&signal=" : "", signal ? signal : "");
}

static struct err *stop_or_restart(struct cli *c, const struct args *a, const char *ref,
				   const char *verb)
{
	OWN(mem) char *path = cli_path("/containers/%s", ref), *query = stop_query(a);
	OWN(mem) char *full = xasprintf("%s/%s%s", path, verb, query);
	int rc = hostel_call(c->h, "POST", full, NULL, NULL);

	return rc ? cli_err(c, rc) : NULL;
}

static struct err *stop(struct cli *c, const struct args *a, const char *ref)
{
	return stop_or_restart(c, a, ref, "stop");
}

static struct err *restart(struct cli *c, const struct args *a, const char *ref)
{
	return stop_or_restart(c, a, ref, "restart");
}

static struct err *kill_one(struct cli *c, const struct args *a, const char *ref)
{
	int rc = hostel_kill(c->h, ref, args_text(a, "signal"));

	return rc ? cli_err(c, rc) : NULL;
}

static struct err *pause_one(struct cli *c, const struct args *a, const char *ref)
{
	int rc = hostel_pause(c->h, ref);

	return rc ? cli_err(c, rc) : NULL;
}

static struct err *unpause(struct cli *c, const struct args *a, const char *ref)
{
	int rc = hostel_unpause(c->h, ref);

	return rc ? cli_err(c, rc) : NULL;
}

static size_t count_snapshots(struct cli *c, const char *ref)
{
	OWN(json) json_t *list = NULL;

	err_free(cli_call(c, "GET", NULL, &list, "/hostel/v1/instances/%s/snapshots", ref));
	return json_array_size(list);
}

/* What is not there is removed, says --force. */
static struct err *remove_one(struct cli *c, const struct args *a, const char *ref)
{
	size_t snapshots = count_snapshots(c, ref);
	int rc = hostel_remove(c->h, ref, args_flag(a, "force"), args_flag(a, "volumes"));

	if (!rc && snapshots)
		fprintf(stderr, "%s: its %zu snapshot%s went with it\n", ref, snapshots,
			snapshots > 1 ? "s" : "");
	if (rc == HOSTEL_NOT_FOUND && args_flag(a, "force"))
		fprintf(stderr, "hostel: %s\n", hostel_error(c->h));
	else if (rc)
		return cli_err(c, rc);
	else
		printf("%s\n", ref);
	return NULL;
}

static struct err *wait_one(struct cli *c, const struct args *a, const char *ref)
{
	const char *condition = args_text(a, "condition");
	OWN(json) json_t *doc = NULL;

	TRY(cli_call(c, "POST", NULL, &doc, "/containers/%s/wait?condition=%s", ref,
		     condition ? condition : "not-running"));
	printf("%d\n", (int)jx_int(doc, "StatusCode", -1));
	return NULL;
}

/* Exit codes are printed of those that end, names of those that live. */
static struct err *wait_until(struct cli *c, const struct args *a, const char *ref)
{
	const char *until = args_text(a, "until");
	OWN(json) json_t *doc = NULL;

	TRY(cli_call(c, "POST", NULL, &doc, "/hostel/v1/instances/%s/wait?until=%s", ref, until));
	if (streq(until, "running") || streq(until, "healthy"))
		printf("%s\n", ref);
	else
		printf("%d\n", (int)jx_int(doc, "exit_code", -1));
	return NULL;
}

VERB(cmd_stop, stop)
VERB(cmd_restart, restart)
VERB(cmd_kill, kill_one)
VERB(cmd_pause, pause_one)
VERB(cmd_unpause, unpause)

struct err *cmd_rm(struct cli *c, const struct args *a)
{
	return cli_each(c, a, remove_one, true);
}

struct err *cmd_wait(struct cli *c, const struct args *a)
{
	if (args_has(a, "until") && args_has(a, "condition"))
		return err_new(ERR_INVALID, "only one of --until and --condition");
	return cli_each(c, a, args_has(a, "until") ? wait_until : wait_one, true);
}

struct err *cmd_rename(struct cli *c, const struct args *a)
{
	int rc = hostel_rename(c->h, a->rest[0], a->rest[1]);

	return rc ? cli_err(c, rc) : NULL;
}

static struct err *update_one(struct cli *c, const struct args *a, const char *ref)
{
	OWN(json) json_t *doc = json_object(), *answer = NULL;
	const json_t *warning;
	size_t i;

	TRY(args_apply(a, doc));
	if (!json_object_get(doc, "HostConfig"))
		return err_new(ERR_INVALID, "nothing to change; name a limit");
	TRY(cli_call(c, "POST", json_object_get(doc, "HostConfig"), &answer,
		     "/containers/%s/update", ref));
	json_array_foreach(json_object_get(answer, "Warnings"), i, warning)
	    fprintf(stderr, "warning: %s\n", json_string_value(warning));
	return NULL;
}

VERB(cmd_update, update_one)

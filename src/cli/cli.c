/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>

#include "util/mem.h"

#define DOCKER_PREFIX "/v1.47"

/* ---- talk ---- */

struct err *cli_err(struct cli *c, int result)
{
	static const struct {
		int result;
		enum err_kind kind;
	} kinds[] = {
		{ HOSTEL_INVALID, ERR_INVALID },         { HOSTEL_DENIED, ERR_DENIED },
		{ HOSTEL_NOT_FOUND, ERR_NOT_FOUND },     { HOSTEL_CONFLICT, ERR_STATE },
		{ HOSTEL_UNSUPPORTED, ERR_UNSUPPORTED }, { HOSTEL_NO_DAEMON, ERR_UNAVAILABLE },
		{ HOSTEL_BROKEN, ERR_UNAVAILABLE },      { HOSTEL_BUSY, ERR_LIMIT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].result == result)
			return err_new(kinds[i].kind, "%s", hostel_error(c->h));
	return err_new(ERR_INTERNAL, "%s", hostel_error(c->h));
}

static char *path_from(const char *path, va_list ap)
{
	struct str s = { 0 };

	if (strncmp(path, "/hostel/", 8))
		str_adds(&s, DOCKER_PREFIX);
	for (; *path; path++) {
		OWN(mem) char *part = NULL;

		if (path[0] != '%' || path[1] != 's') {
			str_add(&s, path, 1);
			continue;
		}
		path++;
		part = hostel_encode(va_arg(ap, const char *));
		str_adds(&s, part ? part : "");
	}
	return str_take(&s);
}

char *cli_path(const char *path, ...)
{
	va_list ap;
	char *text;

	va_start(ap, path);
	text = path_from(path, ap);
	va_end(ap);
	return text;
}

struct err *cli_call(struct cli *c, const char *method, const json_t *body, json_t **ret,
		     const char *path, ...)
{
	OWN(mem) char *text = body ? jx_text(body) : NULL, *full = NULL, *answer = NULL;
	va_list ap;
	int rc;

	va_start(ap, path);
	full = path_from(path, ap);
	va_end(ap);
	rc = hostel_call(c->h, method, full, text, &answer);
	if (rc)
		return cli_err(c, rc);
	if (!ret)
		return NULL;
	if (!*answer) {
		*ret = json_null();
		return NULL;
	}
	TRY_MSG(jx_parse(answer, strlen(answer), ret), "hosteld's answer");
	return NULL;
}

struct err *cli_delete_each(struct cli *c, const struct args *a, const char *path)
{
	for (size_t i = 0; i < a->n_rest; i++) {
		TRY(cli_call(c, "DELETE", NULL, NULL, path, a->rest[i]));
		printf("%s\n", a->rest[i]);
	}
	return NULL;
}

struct err *cli_send(struct cli *c, const struct hostel_request *r, struct hostel_reply **ret)
{
	OWN(reply) struct hostel_reply *reply = NULL;
	int rc = hostel_send(c->h, r, &reply);

	if (!rc)
		rc = hostel_reply_head(reply);
	if (rc)
		return cli_err(c, rc);
	*ret = TAKE(reply);
	return NULL;
}

struct err *cli_line(struct cli *c, struct hostel_reply *r, char **ret_line, json_t **ret_doc)
{
	OWN(mem) char *line = NULL;
	int rc = hostel_reply_line(r, &line);

	if (rc)
		return cli_err(c, rc);
	*ret_doc = NULL;
	if (line)
		TRY_MSG(jx_parse(line, strlen(line), ret_doc), "answer of hosteld");
	*ret_line = TAKE(line);
	return NULL;
}

/* ---- the program ---- */

static const struct opt root_rows[] = {
	{ "socket", 'H', OPT_TEXT, "PATH",
	  "hosteld's socket (default $HOSTEL_SOCKET, $DOCKER_HOST, " HOSTEL_DEFAULT_SOCKET ")",
	  .what = WHAT_FILE, .alias = "host" },
	{ "version", 'v', OPT_FLAG, NULL, "Print the version of this program" },
};
static const struct opt_table root_options = OPT_TABLE(root_rows);

static const struct command *find(const struct command *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(list[i].name, name))
			return &list[i];
	return NULL;
}

static void overview(FILE *out)
{
	const struct command *root = cli_root();
	const char *group = NULL;

	fprintf(out, "Usage: hostel [--socket PATH] COMMAND [OPTION...] [ARGUMENT...]\n\n"
		     "Containers and virtual machines from the same images, through one queue.\n");
	for (size_t i = 0; i < root->n_subs; i++) {
		const struct command *cmd = &root->subs[i];

		if (cmd->is_hidden)
			continue;
		if (!streq(group, cmd->group))
			fprintf(out, "\n%s:\n", cmd->group);
		group = cmd->group;
		fprintf(out, "  %-12s %s\n", cmd->name, cmd->summary);
	}
	fprintf(out, "\nOptions:\n  -H, --socket PATH  hosteld's socket\n"
		     "  -v, --version      Print the version of this program\n\n"
		     "hostel COMMAND --help says more about one command.\n");
}

/* Errors of the command line itself end with 125, as docker's. */
static int report(struct err *e, int code)
{
	fprintf(stderr, "hostel: %s\n", err_text(e));
	err_free(e);
	return code ? code : 1;
}

static int run_command(struct cli *c, const struct command *cmd, const char *parent,
		       const char *const *argv)
{
	struct args a = { 0 };
	struct err *e = args_parse(cmd, parent, argv, &a);

	if (e)
		return report(e, CLI_USAGE_CODE);
	if (a.wants_help) {
		opt_help(cmd, parent, stdout);
		args_done(&a);
		return 0;
	}
	e = cmd->run(c, &a);
	args_done(&a);
	if (fflush(stdout) && !e)
		e = err_new(ERR_INTERNAL, "write to stdout failed");
	return e ? report(e, c->exit_code) : c->exit_code;
}

static int unknown(const char *what, const char *name)
{
	fprintf(stderr, "hostel: unknown command \"%s%s\" (hostel --help lists them)\n", what,
		name);
	return CLI_USAGE_CODE;
}

static int dispatch(struct cli *c, const char *const *argv)
{
	const struct command *root = cli_root(), *cmd = find(root->subs, root->n_subs, argv[0]);

	if (!cmd && streq(argv[0], "help")) {
		cmd = argv[1] ? find(root->subs, root->n_subs, argv[1]) : NULL;
		if (cmd)
			opt_help(cmd, NULL, stdout);
		else
			overview(stdout);
		return 0;
	}
	if (!cmd)
		return unknown("", argv[0]);
	if (!cmd->n_subs)
		return run_command(c, cmd, NULL, argv + 1);
	if (argv[1] && argv[1][0] != '-') {
		const struct command *sub = find(cmd->subs, cmd->n_subs, argv[1]);

		if (sub)
			return run_command(c, sub, cmd->name, argv + 2);
		if (!cmd->run || !cmd->max_args) /* else it is an argument of its own */
			return unknown("", argv[1]);
	}
	if (cmd->run)
		return run_command(c, cmd, NULL, argv + 1);
	if (!argv[1])
		opt_help(cmd, NULL, stderr);
	else
		opt_help(cmd, NULL, stdout);
	return argv[1] ? 0 : CLI_USAGE_CODE;
}

static int with_options(const struct args *a)
{
	struct cli c = { 0 };
	int code;

	if (a->wants_help || args_flag(a, "version")) {
		if (a->wants_help)
			overview(stdout);
		else
			printf("hostel %s\n", HOSTEL_VERSION);
		return 0;
	}
	if (!a->n_rest) {
		overview(stderr);
		return CLI_USAGE_CODE;
	}
	c.h = hostel_open(args_text(a, "socket"));
	if (!c.h)
		return report(err_new(ERR_LIMIT, "out of memory"), CLI_USAGE_CODE);
	code = dispatch(&c, a->rest);
	hostel_close(c.h);
	return code;
}

int cli_main(int argc, char **argv)
{
	static const struct command program = { .name = "",
						.usage = "COMMAND",
						.tables = { &root_options },
						.max_args = SIZE_MAX,
						.stops_at_first = true };
	struct args a = { 0 };
	struct err *e;
	int code;

	signal(SIGPIPE, SIG_DFL);
	e = args_parse(&program, NULL, (const char *const *)argv + (argc > 0), &a);
	if (e)
		return report(e, CLI_USAGE_CODE);
	code = with_options(&a);
	args_done(&a);
	return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/program.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shim/log_write.h"
#include "shim/logs.h"
#include "shim/proto.h"
#include "shim/server.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/num.h"

enum { FD_LOCK = 3, FD_LISTEN = 4 };

struct options {
	struct shim_options shim;
	struct logs_options logs;
	const char *log_driver;
	bool is_undo, is_logs, want_stdout, want_stderr;
};

struct option_row {
	const char *name;
	enum { OPT_FLAG, OPT_TEXT, OPT_I64, OPT_INT } type;
	size_t offset;
};

#define ROW(name_, type_, member_)                                                                 \
	{                                                                                          \
		(name_), (type_), offsetof(struct options, member_)                                \
	}

static const struct option_row rows[] = {
	ROW("--id", OPT_TEXT, shim.id),
	ROW("--kind", OPT_TEXT, shim.kind),
	ROW("--state-dir", OPT_TEXT, shim.state_dir),
	ROW("--run-dir", OPT_TEXT, shim.run_dir),
	ROW("--tty", OPT_FLAG, shim.is_tty),
	ROW("--stdin", OPT_FLAG, shim.has_stdin),
	ROW("--stdin-once", OPT_FLAG, shim.is_stdin_once),
	ROW("--detached", OPT_FLAG, shim.is_detached),
	ROW("--bound", OPT_FLAG, shim.is_bound),
	ROW("--restore", OPT_TEXT, shim.restore_dir),
	ROW("--log", OPT_TEXT, log_driver),
	ROW("--log-max-size", OPT_I64, shim.log_max_bytes),
	ROW("--log-max-file", OPT_INT, shim.log_max_files),
	ROW("--undo", OPT_FLAG, is_undo),
	ROW("--logs", OPT_FLAG, is_logs),
	ROW("--follow", OPT_FLAG, logs.is_follow),
	ROW("--since", OPT_I64, logs.query.since_ns),
	ROW("--until", OPT_I64, logs.query.until_ns),
	ROW("--tail", OPT_I64, logs.query.tail),
	ROW("--ready", OPT_FLAG, logs.tells_ready),
	ROW("--timestamps", OPT_FLAG, logs.has_timestamps),
	ROW("--raw", OPT_FLAG, logs.is_raw),
	ROW("--stdout", OPT_FLAG, want_stdout),
	ROW("--stderr", OPT_FLAG, want_stderr),
};

static const struct option_row *find_row(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static struct err *set_value(const struct option_row *row, const char *value, struct options *o)
{
	void *slot = (char *)o + row->offset;
	int64_t n = 0;

	if (row->type == OPT_TEXT) {
		*(const char **)slot = value;
		return NULL;
	}
	TRY_MSG(num_parse_i64(value, row->type == OPT_INT ? INT32_MIN : INT64_MIN,
			      row->type == OPT_INT ? INT32_MAX : INT64_MAX, &n),
		"%s", row->name);
	if (row->type == OPT_INT)
		*(int *)slot = (int)n;
	else
		*(int64_t *)slot = n;
	return NULL;
}

static struct err *parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const struct option_row *row = find_row(argv[i]);

		if (!row)
			return err_new(ERR_INVALID, "unknown option %s", argv[i]);
		if (row->type == OPT_FLAG) {
			*(bool *)((char *)o + row->offset) = true;
			continue;
		}
		if (i + 1 == argc)
			return err_new(ERR_INVALID, "%s needs a value", argv[i]);
		TRY(set_value(row, argv[++i], o));
	}
	return NULL;
}

static struct err *find_ops(const struct options *o, const struct payload_ops *const *kinds,
			    size_t n, const struct payload_ops **ret)
{
	for (size_t i = 0; i < n; i++) {
		if (streq(kinds[i]->name, o->shim.kind)) {
			*ret = kinds[i];
			return NULL;
		}
	}
	return err_new(ERR_INVALID, "--kind: %s is not known", o->shim.kind ? o->shim.kind : "''");
}

/* A handler that does nothing, unlike SIG_IGN, is not inherited through exec. */
static void ignore(int signum)
{
	(void)signum;
}

/*
 * The shim ends when its payload has ended, and for no other reason.  SIGCHLD interrupts the
 * poller, so that an orphan is seen.
 */
static void ignore_signals(void)
{
	static const int signals[] = { SIGHUP, SIGPIPE, SIGINT, SIGTERM, SIGQUIT, SIGCHLD };
	struct sigaction sa = { .sa_handler = ignore, .sa_flags = SA_RESTART | SA_NOCLDSTOP };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

static struct err *check_inherited(void)
{
	int is_listening = 0;
	socklen_t len = sizeof(is_listening);

	if (fcntl(FD_LOCK, F_SETFD, FD_CLOEXEC) < 0)
		return err_sys(errno, "descriptor %d (lock)", FD_LOCK);
	if (getsockopt(FD_LISTEN, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 ||
	    !is_listening)
		return err_new(ERR_INVALID, "descriptor %d is no listening socket", FD_LISTEN);
	fcntl(FD_LISTEN, F_SETFD, FD_CLOEXEC);
	return NULL;
}

static struct err *serve(const struct options *o, const struct payload_ops *ops)
{
	if (!o->shim.id || !o->shim.state_dir || !o->shim.run_dir)
		return err_new(ERR_INVALID, "--id, --state-dir and --run-dir are needed");
	TRY(check_inherited());
	ignore_signals();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_sys(errno, "become subreaper");
	/* While it is busy, buffers are reused; when it is idle, scratch.c gives all back. */
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
	return shim_serve(&o->shim, ops, FD_LISTEN);
}

static struct err *run(struct options *o, const struct payload_ops *const *kinds, size_t n)
{
	const struct payload_ops *ops = NULL;

	if (o->is_logs) {
		if (!o->shim.state_dir)
			return err_new(ERR_INVALID, "--state-dir is needed");
		o->logs.state_dir = o->shim.state_dir;
		o->logs.streams =
		    (o->want_stdout ? SHIM_STDOUT : 0u) | (o->want_stderr ? SHIM_STDERR : 0u);
		if (!o->logs.streams)
			o->logs.streams = SHIM_STDOUT | SHIM_STDERR;
		return logs_print(&o->logs, STDOUT_FILENO);
	}
	TRY(find_ops(o, kinds, n, &ops));
	if (!o->is_undo)
		return serve(o, ops);
	if (!o->shim.state_dir)
		return err_new(ERR_INVALID, "--state-dir is needed");
	return ops->undo ? ops->undo(o->shim.state_dir) : NULL;
}

int shim_program(int argc, char **argv, const struct payload_ops *const *kinds, size_t n_kinds)
{
	struct options o = { .shim = { .log_max_bytes = LOG_MAX_BYTES_DEFAULT,
				       .log_max_files = LOG_MAX_FILES_DEFAULT },
			     .logs.query.tail = -1,
			     .log_driver = "json-file" };
	OWN(err) struct err *e = NULL;

	log_set("hostel-shim", LOG_INFO);
	prctl(PR_SET_NAME, "hostel-shim"); /* started from a descriptor it has no name */
	e = parse(argc, argv, &o);
	o.shim.has_log = streq(o.log_driver, "json-file");
	if (!e)
		e = run(&o, kinds, n_kinds);
	if (!e)
		return 0;
	if (!o.is_logs || err_errno(e) != EPIPE) /* whoever read the log has read enough */
		log_error("%s", err_text(e));
	return 1;
}

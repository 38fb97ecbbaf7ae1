/* SPDX-License-Identifier: Apache-2.0 */
/* hosteld: reads its settings, wires loop, engine and api, and runs. */
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api.h"
#include "ctr/plan.h"
#include "engine/engine.h"
#include "loop/loop.h"
#include "options.h"
#include "qemu/planner.h"
#include "sys/sock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

/* Who plans and runs which kind; the only place in hosteld that names backends. */
static const struct planner planners[] = {
	{ SPEC_CONTAINER, "container", &ctr_host_planner, &ctr_guest_planner },
	{ SPEC_IMAGE_VM, "vm", &qemu_host_planner, &ctr_guest_planner },
	{ SPEC_MACHINE, "machine", &qemu_host_planner, &ctr_guest_planner },
};

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static enum log_level level_parse(const char *name)
{
	enum log_level l = LOG_ERROR;

	while (l < LOG_DEBUG && strcmp(level_names[l], name))
		l++;
	return l;
}

static void on_signal(void *arg, int signum)
{
	log_info("signal %d: ending; running instances go on", signum);
	loop_stop(arg);
}

/* 0660 and a group of its own; without that group, root's only. */
static struct err *listen_api(const struct options *o, int *ret_fd)
{
	OWN(fd) int fd = -1;
	const struct group *g = getgrnam(o->group);

	TRY(sock_listen_unix(o->socket, SOCK_STREAM, 0660, &fd));
	if (g && chown(o->socket, (uid_t)-1, g->gr_gid) < 0)
		log_warn("%s: cannot give it to group %s", o->socket, o->group);
	*ret_fd = TAKE_FD(fd);
	return NULL;
}

static struct err *serve(const struct options *o, struct loop *l)
{
	OWN(json) json_t *shown = options_shown(o);
	struct loop_signal *term = NULL, *intr = NULL;
	struct engine *e = NULL;
	struct api *api = NULL;
	int fd = -1;
	struct err *err = engine_new(&o->engine, l, &e);

	if (err)
		return err;
	err = listen_api(o, &fd);
	if (!err)
		err = api_new(&(struct api_config) { .engine = e,
						     .loop = l,
						     .listen_fd = fd,
						     .socket_path = o->socket,
						     .config = shown },
			      &api);
	if (!err)
		err = loop_signal_new(l, SIGTERM, on_signal, l, &term);
	if (!err)
		err = loop_signal_new(l, SIGINT, on_signal, l, &intr);
	if (!err) {
		log_info("listening on %s", o->socket);
		loop_run(l);
	}
	loop_signal_free(term);
	loop_signal_free(intr);
	api_free(api);
	engine_free(e);
	return err;
}

static struct err *run(struct options *o)
{
	OWN(loop) struct loop *l = NULL;

	TRY(fd_mkdirs(o->root));
	TRY(fd_mkdirs(o->run));
	signal(SIGPIPE, SIG_IGN);
	o->engine.planners = planners;
	o->engine.n_planners = ARRAY_SIZE(planners);
	TRY(loop_new(&l));
	return serve(o, l);
}

static int report(struct err *err)
{
	if (!err)
		return 0;
	log_error("%s", err_text(err));
	log_debug("trace: %s", err_trace(err));
	err_free(err);
	return 1;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct err *err;
	int status;

	log_set("hosteld", LOG_INFO);
	err = options_read(&o, argc, argv);
	if (!err)
		log_set("hosteld", level_parse(o.log_level));
	if (err) {
		status = report(err) ? 2 : 0;
	} else if (o.help) {
		options_help();
		status = 0;
	} else if (o.version) {
		puts("hosteld " HOSTEL_VERSION);
		status = 0;
	} else if (o.check_config) {
		puts("configuration is good");
		status = 0;
	} else if (o.teardown) {
		status = report(engine_teardown(&o.engine));
	} else {
		status = report(run(&o));
	}
	options_done(&o);
	return status;
}

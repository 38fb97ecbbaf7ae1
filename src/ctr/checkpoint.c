/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/checkpoint.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctr/report.h"
#include "net/net.h"
#include "sys/cgroup.h"
#include "sys/sock.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

struct checkpoint {
	struct checkpoint_config c;
	bool was_frozen;
	pid_t dumper; /* 0: it has ended */
	int report;
	struct poll_watch *watch;
	struct strv held; /* links */
	char *text;
	struct err *error;
};

void checkpoint_free(struct checkpoint *c)
{
	if (!c)
		return;
	poll_watch_free(c->watch);
	own_fd_release(&c->report);
	strv_done(&c->held);
	err_free(c->error);
	free(c->text);
	free(c);
}

bool checkpoint_is_busy(const struct checkpoint *c)
{
	return c->dumper > 0;
}

void checkpoint_set_frozen(struct checkpoint *c, bool on)
{
	c->was_frozen = on;
}

struct err *checkpoint_release(struct checkpoint *c)
{
	struct err *e = NULL;

	for (size_t i = 0; i < c->held.n; i++) {
		struct err *held = net_link_hold(c->held.v[i], false);

		if (held && e)
			err_free(held);
		else if (held)
			e = held;
	}
	strv_done(&c->held);
	if (!c->was_frozen && !e)
		return cgroup_freeze(c->c.cgroup, false);
	if (!c->was_frozen)
		err_free(cgroup_freeze_ask(c->c.cgroup, false));
	return e;
}

/* ---- the child ---- */

static void take_report(struct checkpoint *c, const struct report *r)
{
	if (r->type == REPORT_HELD)
		strv_add(&c->held, r->text);
	if (r->type == REPORT_DUMPED)
		str_set(&c->text, r->text);
	if (r->type == REPORT_FAILED && !c->error)
		c->error = err_new((enum err_kind)r->kind, "%s", r->text);
}

static void reap(struct checkpoint *c)
{
	while (waitpid(c->dumper, NULL, 0) < 0 && errno == EINTR)
		;
	c->dumper = 0;
}

static void finish(struct checkpoint *c)
{
	void (*done)(void *arg, struct err *e, const char *text) = c->c.done;
	struct err *e = TAKE(c->error);

	poll_watch_free(TAKE(c->watch));
	close(TAKE_FD(c->report));
	reap(c);
	if (!e && !c->text)
		e = err_new(ERR_INTERNAL, "what writes its state was killed");
	if (e)
		err_free(checkpoint_release(c));
	/* Whoever hears of it may free us. */
	done(c->c.arg, e, c->text);
}

static void on_report(void *arg, short revents)
{
	struct checkpoint *c = arg;
	struct report r;
	int fds[2], n;

	(void)revents;
	while ((n = report_recv(c->report, &r, fds)) > 0) {
		take_report(c, &r);
		own_fd_release(&fds[0]);
		own_fd_release(&fds[1]);
	}
	if (n == 0)
		finish(c);
}

void checkpoint_abort(struct checkpoint *c)
{
	if (!checkpoint_is_busy(c))
		return;
	kill(c->dumper, SIGKILL);
	err_free(c->error);
	c->error = err_new(ERR_STATE, "it ended while its state was being written");
	finish(c);
}

static struct err *fork_dumper(struct checkpoint *c)
{
	struct ctr_dump d = c->c.dump;
	int pair[2];

	TRY(sock_pair(SOCK_SEQPACKET, pair));
	c->report = pair[0];
	OWN(fd) int theirs = pair[1];

	d.report = theirs;
	c->dumper = fork();
	if (c->dumper < 0)
		return err_sys(errno, "fork");
	if (c->dumper == 0)
		ctr_dump_run(&d);
	c->watch = poll_watch_new(c->c.poller, c->report, POLLIN, on_report, c);
	return NULL;
}

struct err *checkpoint_begin(const struct checkpoint_config *config, struct checkpoint **ret)
{
	struct checkpoint *c = xnew(struct checkpoint);
	struct err *e;

	c->c = *config;
	c->report = -1;
	c->was_frozen = cgroup_is_frozen(config->cgroup);
	c->c.dump.frozen_ns = clock_boot_ns();
	e = cgroup_freeze(config->cgroup, true);
	if (!e)
		e = fork_dumper(c);
	if (e) {
		err_free(checkpoint_release(c));
		checkpoint_free(c);
		return e;
	}
	*ret = c;
	return NULL;
}

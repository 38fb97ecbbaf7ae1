/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restore: a QEMU that was started to take a saved state (qemu/saved.h) gets it, and a guest that
 * does not know that time has passed is told what is new.
 *
 *	LOAD    devices, by QEMU; the memory is mapped already
 *	streams the payload's, where they stood; execs of before are ended
 *	cont    and what hostel-guest has to renew: time, entropy, and of a copy its names,
 *addresses STARTED once it has
 *
 * A copy's card is cut off until it has an address of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "qemu/payload_int.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define EVENTS_ON "{\"capabilities\":[{\"capability\":\"events\",\"state\":true}]}"

static void set_link(struct payload *p, bool on)
{
	if (p->info.has_tap && p->info.saved.is_new)
		qmp_execute(p->qmp, "set_link",
			    on ? "{\"name\":\"net\",\"up\":true}"
			       : "{\"name\":\"net\",\"up\":false}",
			    NULL, NULL);
}

static void fail(struct payload *p, struct err *e)
{
	OWN(err) struct err *error = e;

	vm_fail(p, err_kind(e), err_text(e));
}

/* ---- the payload's streams ---- */

static struct err *go_on(struct session *s, struct payload_io *io)
{
	const struct saved_state *st = &s->payload->info.saved;

	TRY(vm_open_streams(s, io));
	if (s->in)
		agent_source_go_on(s->in, &st->in);
	if (s->out)
		agent_sink_go_on(s->out, &st->out);
	if (s->err)
		agent_sink_go_on(s->err, &st->err);
	return NULL;
}

/* A shim with other streams than those that the guest's process has would lose bytes. */
static struct err *check_streams(const struct payload *p)
{
	const struct saved_state *st = &p->info.saved;

	if (p->host.is_tty != (bool)st->is_tty)
		return err_new(ERR_UNSUPPORTED, "its state was saved %s a terminal",
			       st->is_tty ? "with" : "without");
	return NULL;
}

static struct err *open_payload(struct payload *p, struct payload_io *io)
{
	const struct saved_state *st = &p->info.saved;
	struct session *s;

	TRY(check_streams(p));
	if (p->report_text.len < st->n_unread + st->n_unsent)
		return err_new(ERR_INTERNAL, "bytes of its port are missing");
	s = vm_session_new(p, NULL);
	s->is_tty = st->is_tty;
	s->has_stdin = st->has_stdin && !st->in.is_ended;
	s->is_started = true;
	p->last_id = (uint16_t)st->last_id;
	TRY(go_on(s, io));
	agent_port_preload(p->port, p->report_text.buf, st->n_unread,
			   p->report_text.buf + st->n_unread, st->n_unsent);
	return NULL;
}

/* ---- renewal ---- */

struct renewal {
	struct payload *payload;
	struct payload_io io;
};

static void on_renewed(void *arg, struct err *e, const char *text)
{
	OWN(mem) struct renewal *r = arg;
	struct payload *p = r->payload;
	bool is_over = p->state != VM_STARTING;

	if (!e && !is_over) {
		set_link(p, true);
		vm_started(p, &r->io);
		return;
	}
	own_fd_release(&r->io.in);
	if (r->io.out != r->io.in)
		own_fd_release(&r->io.out);
	own_fd_release(&r->io.err);
	if (is_over)
		err_free(e);
	else
		fail(p, err_push(e, __func__, "the guest was not renewed"));
}

static struct err *tell_guest(struct payload *p, const struct payload_io *io)
{
	const struct saved_state *st = &p->info.saved;
	struct renewal *r = xnew(struct renewal);
	uint8_t size[4];

	*r = (struct renewal) { .payload = p, .io = *io };
	vm_send_time(p);
	for (uint32_t i = 0; i < st->n_execs; i++)
		vm_send_signal(p, st->execs[i], SIGKILL);
	if (st->is_tty && p->host.rows && p->host.cols)
		agent_port_send(p->port, AGENT_RESIZE, AGENT_IN, 0, size,
				agent_put_size(size, p->host.rows, p->host.cols));
	/* Its text belongs to the question's number, which is the next one. */
	TRY(vm_send_text(p, vm_peek_id(p), p->start_fd));
	(void)vm_ask(p, "renew", on_renewed, r);
	return NULL;
}

static struct err *let_run(struct payload *p)
{
	struct payload_io io = PAYLOAD_IO_NONE;

	if (!p->info.is_agent) {
		set_link(p, true);
		qmp_command(p->qmp, "cont", NULL, NULL);
		poll_watch_free(TAKE(p->console_watch));
		io.in = io.out = TAKE_FD(p->console);
		vm_started(p, &io);
		return NULL;
	}
	TRY(open_payload(p, &io));
	TRY(tell_guest(p, &io));
	qmp_command(p->qmp, "cont", NULL, NULL);
	agent_port_hold(p->port, false);
	return NULL;
}

/* ---- LOAD ---- */

static void on_state(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;
	bool is_done = !e && streq(text, "completed");

	err_free(e);
	if (!is_done || p->state != VM_STARTING || p->is_loaded)
		return; /* a QEMU that cannot read it ends with why */
	p->is_loaded = true;
	e = let_run(p);
	if (e)
		fail(p, e);
}

void vm_restore_event(struct payload *p)
{
	qmp_command(p->qmp, "query-migrate", on_state, p);
}

static void on_command(void *arg, struct err *e, const char *text)
{
	struct payload *p = arg;

	if (e && p->state == VM_STARTING)
		fail(p, err_push(e, __func__, "its saved state cannot be brought back"));
	else
		err_free(e);
}

void vm_restore(struct payload *p)
{
	const struct saved_state *st = &p->info.saved;
	int version = qmp_version(p->qmp);
	char text[64];

	if (!st->is_restored)
		return; /* the starter failed, and has said why */
	if ((int)st->qemu != version) {
		fail(p, err_new(ERR_UNSUPPORTED,
				"its state was saved by QEMU %u.%u, and this host has %d.%d",
				st->qemu / 1000, st->qemu % 1000, version / 1000, version % 1000));
		return;
	}
	set_link(p, false);
	qmp_execute(p->qmp, "migrate-set-capabilities", EVENTS_ON, on_command, p);
	snprintf(text, sizeof(text), "{\"uri\":\"fd:%d\"}", st->state_fd);
	qmp_execute(p->qmp, "migrate-incoming", text, on_command, p);
}

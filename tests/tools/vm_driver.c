/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives one VM by the payload table, as hostel-shim does; for tests/test_vm.py.
 *
 *	vm_driver --kind vm|machine --state-dir DIR [--tty] [--stdin]
 *
 * Commands come as lines on stdin: exec NAME FILE [tty] [stdin] · signal NAME NUMBER ·
 * write NAME TEXT · close NAME · read NAME on|off · resize NAME ROWS COLS · freeze 0|1 · query TEXT
 * (NAME "-" is the payload).  Events go to stdout as lines: "started - PID", "out NAME HEX",
 * "err NAME HEX", "end NAME", "failed NAME KIND TEXT", "exited NAME CODE OOM TEXT",
 * "oom", "answer KIND TEXT", "refused KIND TEXT".
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qemu/payload.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

struct stream {
	struct stream *next;
	struct driver *driver;
	char name[80];
	const char *what;
	int fd, in;
	struct poll_watch *watch;
};

struct driver {
	struct poller *poller;
	const struct payload_ops *ops;
	struct payload *payload;
	struct stream *streams;
	struct str line;
	bool is_over;
};

static const char *name_of(const char *exec_id)
{
	return exec_id ? exec_id : "-";
}

static const char *id_of(const char *name)
{
	return strcmp(name, "-") ? name : NULL;
}

static void on_stream(void *arg, short revents)
{
	struct stream *s = arg;
	unsigned char buf[4096];
	ssize_t n = read(s->fd, buf, sizeof(buf));

	if (n <= 0) {
		printf("end %s %s\n", s->what, s->name);
		poll_watch_set(s->watch, 0);
		return;
	}
	printf("%s %s ", s->what, s->name);
	for (ssize_t i = 0; i < n; i++)
		printf("%02x", buf[i]);
	printf("\n");
}

static void add_stream(struct driver *d, const char *exec_id, const char *what, int fd, int in)
{
	struct stream *s;

	if (fd < 0)
		return;
	s = xnew(struct stream);
	*s = (struct stream) { .next = d->streams, .driver = d, .what = what, .fd = fd, .in = in };
	snprintf(s->name, sizeof(s->name), "%s", name_of(exec_id));
	s->watch = poll_watch_new(d->poller, fd, POLLIN, on_stream, s);
	d->streams = s;
}

static struct stream *find(struct driver *d, const char *name)
{
	for (struct stream *s = d->streams; s; s = s->next)
		if (!strcmp(s->name, name) && !strcmp(s->what, "out"))
			return s;
	return NULL;
}

static void on_event(void *arg, const struct payload_event *ev)
{
	struct driver *d = arg;
	const char *text = ev->text ? ev->text : "";
	const char *name = name_of(ev->exec_id);

	switch (ev->type) {
	case PAYLOAD_STARTED:
	case PAYLOAD_EXEC_STARTED:
		printf("started %s %d\n", name, ev->pid);
		add_stream(d, ev->exec_id, "out", ev->io.out, ev->io.in);
		add_stream(d, ev->exec_id, "err", ev->io.err, -1);
		break;
	case PAYLOAD_START_FAILED:
	case PAYLOAD_EXEC_FAILED:
		printf("failed %s %d %s\n", name, ev->err_kind, text);
		d->is_over |= ev->type == PAYLOAD_START_FAILED;
		break;
	case PAYLOAD_EXITED:
	case PAYLOAD_EXEC_EXITED:
		printf("exited %s %d %d %s\n", name, ev->code, ev->oom, text);
		d->is_over |= ev->type == PAYLOAD_EXITED;
		break;
	case PAYLOAD_OOM:
		printf("oom\n");
		break;
	}
}

static void on_answer(void *arg, struct err *e, const char *text)
{
	printf("answer %d %s\n", e ? (int)err_kind(e) : -1, e ? err_text(e) : text);
	err_free(e);
}

static struct err *do_exec(struct driver *d, char *const *w)
{
	OWN(fd) int fd = -1;
	bool tty = false, has_stdin = false;
	FILE *f = fopen(w[2], "re");

	if (!f)
		return err_new(ERR_NOT_FOUND, "%s", w[2]);
	fd = dup(fileno(f));
	fclose(f);
	for (int i = 3; w[i]; i++) {
		tty |= !strcmp(w[i], "tty");
		has_stdin |= !strcmp(w[i], "stdin");
	}
	return d->ops->exec(d->payload, w[1], fd, tty, has_stdin);
}

static struct err *do_stream(struct driver *d, char *const *w)
{
	struct stream *s = find(d, w[1]);

	if (!s)
		return err_new(ERR_NOT_FOUND, "stream");
	if (!strcmp(w[0], "read"))
		poll_watch_set(s->watch, strcmp(w[2], "on") ? 0 : POLLIN);
	else if (!strcmp(w[0], "close"))
		own_fd_release(&s->in);
	else if (dprintf(s->in, "%s\n", w[2]) < 0)
		return err_new(ERR_STATE, "write");
	return NULL;
}

static struct err *run(struct driver *d, char *const *w, int n)
{
	if (!strcmp(w[0], "exec") && n >= 3)
		return do_exec(d, w);
	if (!strcmp(w[0], "signal") && n == 3)
		return d->ops->signal(d->payload, id_of(w[1]), atoi(w[2]));
	if (!strcmp(w[0], "resize") && n == 4)
		return d->ops->resize(d->payload, id_of(w[1]), (unsigned short)atoi(w[2]),
				      (unsigned short)atoi(w[3]));
	if (!strcmp(w[0], "freeze") && n == 2)
		return d->ops->freeze(d->payload, atoi(w[1]));
	if (!strcmp(w[0], "query") && n == 2)
		return d->ops->query(d->payload, w[1], on_answer, d);
	if (n >= 2)
		return do_stream(d, w);
	return err_new(ERR_INVALID, "command");
}

static void on_line(struct driver *d, char *line)
{
	char *words[8] = { NULL }, *save = NULL;
	OWN(err) struct err *e = NULL;
	int n = 0;

	if (!strncmp(line, "write ", 6)) {
		words[0] = strtok_r(line, " ", &save);
		words[1] = strtok_r(NULL, " ", &save);
		words[2] = save;
		n = 3;
	} else {
		for (char *w = strtok_r(line, " ", &save); w && n < 7;
		     w = strtok_r(NULL, " ", &save))
			words[n++] = w;
	}
	e = n ? run(d, words, n) : NULL;
	if (e)
		printf("refused %d %s\n", err_kind(e), err_text(e));
}

static void on_commands(void *arg, short revents)
{
	struct driver *d = arg;
	char buf[4096], *end;
	ssize_t n = read(0, buf, sizeof(buf));

	if (n <= 0)
		exit(3); /* the test is gone; QEMU dies with us */
	str_add(&d->line, buf, (size_t)n);
	while ((end = memchr(d->line.buf, '\n', d->line.len))) {
		*end = '\0';
		on_line(d, d->line.buf);
		str_drop(&d->line, (size_t)(end - d->line.buf) + 1);
	}
}

int main(int argc, char **argv)
{
	struct driver d = { .poller = poller_new(), .ops = &qemu_payload_ops };
	struct payload_host host = { .id = "", .poller = d.poller, .event = on_event, .arg = &d };
	struct err *e;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--kind") && !strcmp(value, "machine"))
			d.ops = &machine_payload_ops;
		if (!strcmp(argv[i], "--state-dir"))
			host.state_dir = host.run_dir = value;
		if (!strcmp(argv[i], "--id"))
			host.id = value;
		host.is_tty |= !strcmp(argv[i], "--tty");
		host.has_stdin |= !strcmp(argv[i], "--stdin");
	}
	e = d.ops->start(&host, &d.payload);
	if (e) {
		printf("refused %d %s\n", err_kind(e), err_text(e));
		return 1;
	}
	poll_watch_new(d.poller, 0, POLLIN, on_commands, &d);
	while (!d.is_over)
		poller_step(d.poller, -1);
	for (int i = 0; i < 20; i++)
		poller_step(d.poller, 1000000);
	d.ops->free(d.payload);
	return 0;
}

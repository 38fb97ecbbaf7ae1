/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays the shim for tests/test_ctr.py.
 *
 *	ctr_driver plan SPEC.json IN.json        print the OCI configuration (or fail with 1)
 *	ctr_driver process SPEC.json EXEC.json   print the process of an exec
 *	ctr_driver undo STATE_DIR
 *	ctr_driver devices DIR RESOURCES.json PROGRAM ARG…   become a program in a new v2 group
 *	                                         whose device rules are those of the file
 *	ctr_driver bench STATE_DIR N             start it N times; microseconds until started, until
 *	                                         exited, and of cpu time
 *	ctr_driver run STATE_DIR [tty] [stdin]   start it; commands come on descriptor 0, one
 *	                                         JSON object a line, events go to descriptor 1
 *
 * Commands: {"do":"exec","id":…,"file":…,"tty":…,"stdin":…} {"do":"signal","id":…,"n":…}
 *	{"do":"resize","id":…,"rows":…,"cols":…} {"do":"freeze","on":…} {"do":"write","id":…,
 *	"text":…} {"do":"close","id":…}
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctr/payload.h"
#include "ctr/plan.h"
#include "backend/resources.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

static struct poller *poller;
static struct payload *payload;
static bool ended;
static struct str pending; /* commands read so far */

struct stream {
	char id[80];
	int fd, number, in;
	struct poll_watch *watch;
	struct stream *next;
};

static struct stream *streams;

static void print(json_t *j)
{
	OWN(mem) char *text = jx_text(j);

	printf("%s\n", text);
	fflush(stdout);
	json_decref(j);
}

static void on_data(void *arg, short revents)
{
	struct stream *s = arg;
	char buf[65536];
	ssize_t n = read(s->fd, buf, sizeof(buf) - 1);

	(void)revents;
	if (n <= 0) {
		poll_watch_free(TAKE(s->watch));
		return;
	}
	buf[n] = '\0';
	print(json_pack("{s:s, s:s, s:i, s:o}", "event", "data", "id", s->id, "fd", s->number,
			"text", jx_string(buf)));
}

static void add_stream(const char *id, int fd, int number, int in)
{
	struct stream *s;

	if (fd < 0)
		return;
	s = xnew(struct stream);
	snprintf(s->id, sizeof(s->id), "%s", id);
	s->fd = fd;
	s->number = number;
	s->in = in;
	s->next = streams;
	streams = s;
	s->watch = poll_watch_new(poller, fd, POLLIN, on_data, s);
}

static const char *const names[] = {
	[PAYLOAD_STARTED] = "started",
	[PAYLOAD_START_FAILED] = "failed",
	[PAYLOAD_EXITED] = "exited",
	[PAYLOAD_OOM] = "oom",
	[PAYLOAD_EXEC_STARTED] = "exec-started",
	[PAYLOAD_EXEC_FAILED] = "exec-failed",
	[PAYLOAD_EXEC_EXITED] = "exec-exited",
};

static void drain(void)
{
	for (struct stream *s = streams; s; s = s->next)
		while (s->watch && poll(&(struct pollfd) { s->fd, POLLIN, 0 }, 1, 0) > 0)
			on_data(s, 0);
}

static void on_event(void *arg, const struct payload_event *ev)
{
	const char *id = ev->exec_id ? ev->exec_id : "";

	(void)arg;
	add_stream(id, ev->io.out, 1, ev->io.in);
	add_stream(id, ev->io.err, 2, -1);
	if (ev->type == PAYLOAD_EXITED || ev->type == PAYLOAD_EXEC_EXITED)
		drain();
	print(json_pack("{s:s, s:s, s:i, s:i, s:b, s:i, s:o}", "event", names[ev->type], "id", id,
			"pid", ev->pid, "code", ev->code, "oom", ev->oom, "kind", ev->err_kind,
			"text", jx_string(ev->text ? ev->text : "")));
	if (ev->type == PAYLOAD_EXITED || ev->type == PAYLOAD_START_FAILED)
		ended = true;
}

static struct stream *input_of(const char *id)
{
	for (struct stream *s = streams; s; s = s->next)
		if (!strcmp(s->id, id) && s->in >= 0)
			return s;
	return NULL;
}

static struct err *do_exec(const json_t *j, const char *id)
{
	OWN(fd) int fd = open(jx_str(j, "file", ""), O_RDONLY | O_CLOEXEC);

	return ctr_payload_ops.exec(payload, id, fd, jx_bool(j, "tty", false),
				    jx_bool(j, "stdin", false));
}

static struct err *do_command(const json_t *j)
{
	const char *what = jx_str(j, "do", ""), *id = jx_str(j, "id", "");
	const char *exec_id = *id ? id : NULL;
	struct stream *s = input_of(id);

	if (!strcmp(what, "exec"))
		return do_exec(j, id);
	if (!strcmp(what, "signal"))
		return ctr_payload_ops.signal(payload, exec_id, (int)jx_int(j, "n", 0));
	if (!strcmp(what, "resize"))
		return ctr_payload_ops.resize(payload, exec_id,
					      (unsigned short)jx_int(j, "rows", 0),
					      (unsigned short)jx_int(j, "cols", 0));
	if (!strcmp(what, "freeze"))
		return ctr_payload_ops.freeze(payload, jx_bool(j, "on", false));
	if (!s)
		return err_new(ERR_NOT_FOUND, "no input of \"%s\"", id);
	if (!strcmp(what, "write"))
		return fd_write_all(s->in, jx_str(j, "text", ""), strlen(jx_str(j, "text", "")));
	close(TAKE_FD(s->in));
	return NULL;
}

static void on_command(void *arg, short revents)
{
	struct poll_watch **watch = arg;
	char buf[4096], *nl;
	ssize_t n = read(0, buf, sizeof(buf));

	(void)revents;
	if (n <= 0) {
		poll_watch_free(TAKE(*watch));
		return;
	}
	str_add(&pending, buf, (size_t)n);
	while (pending.len && (nl = memchr(pending.buf, '\n', pending.len))) {
		OWN(json) json_t *j = NULL;
		struct err *e = jx_parse(pending.buf, (size_t)(nl - pending.buf), &j);

		str_drop(&pending, (size_t)(nl - pending.buf) + 1);
		e = e ? e : do_command(j);
		print(json_pack("{s:s, s:o}", "event", "done", "text",
				jx_string(e ? err_text(e) : "")));
		err_free(e);
	}
}

static struct err *cmd_run(int argc, char **argv)
{
	struct payload_host host = {
		.id = "driver",
		.state_dir = argv[2],
		.run_dir = argv[2],
		.event = on_event,
	};
	static struct poll_watch *watch;

	for (int i = 3; i < argc; i++) {
		host.is_tty |= !strcmp(argv[i], "tty");
		host.has_stdin |= !strcmp(argv[i], "stdin");
	}
	host.poller = poller = poller_new();
	watch = poll_watch_new(poller, 0, POLLIN, on_command, &watch);
	TRY(ctr_payload_ops.start(&host, &payload));
	while (!ended)
		poller_step(poller, -1);
	ctr_payload_ops.free(payload);
	return NULL;
}

/* Strings of a JSON object into the plan's input. */
static void read_in(const json_t *j, struct guest_facts *in, struct strv *sources)
{
	jx_strv(j, "mount_sources", sources);
	for (size_t i = 0; i < sources->n; i++)
		if (!sources->v[i][0])
			free(TAKE(sources->v[i]));
	*in = (struct guest_facts) {
		.id = jx_str(j, "id", NULL),
		.hostname = jx_str(j, "hostname", NULL),
		.cgroup = jx_str(j, "cgroup", NULL),
		.rootfs = jx_str(j, "rootfs", NULL),
		.hosts = jx_str(j, "hosts", NULL),
		.hostname_file = jx_str(j, "hostname_file", NULL),
		.resolv = jx_str(j, "resolv", NULL),
		.init = jx_str(j, "init", NULL),
		.mount_sources = sources->n ? (const char *const *)sources->v : NULL,
		.net_ns = jx_str(j, "net_ns", NULL),
		.ipc_ns = jx_str(j, "ipc_ns", NULL),
		.pid_ns = jx_str(j, "pid_ns", NULL),
		.cgroup_version = (int)jx_int(j, "cgroup_version", 0),
	};
}

static struct err *cmd_plan(int argc, char **argv)
{
	OWN(json) json_t *spec_json = NULL;
	OWN(json) json_t *in_json = NULL;
	OWN(spec) struct spec *s = NULL;
	OWN(strv) struct strv sources = { 0 };
	struct guest_facts in;
	json_t *oci = NULL;

	(void)argc;
	TRY(jx_load(AT_FDCWD, argv[2], &spec_json));
	TRY(jx_load(AT_FDCWD, argv[3], &in_json));
	TRY(spec_from_json(spec_json, &s));
	read_in(in_json, &in, &sources);
	TRY(ctr_plan_oci(s, &in, &oci));
	print(oci);
	return NULL;
}

static struct err *cmd_process(int argc, char **argv)
{
	OWN(json) json_t *spec_json = NULL;
	OWN(json) json_t *x_json = NULL;
	OWN(spec) struct spec *s = NULL;
	OWN(strv) struct strv cmd = { 0 };
	OWN(strv) struct strv env = { 0 };
	struct guest_facts in = { 0 };
	json_t *process = NULL;

	(void)argc;
	TRY(jx_load(AT_FDCWD, argv[2], &spec_json));
	TRY(jx_load(AT_FDCWD, argv[3], &x_json));
	TRY(spec_from_json(spec_json, &s));
	jx_strv(x_json, "cmd", &cmd);
	jx_strv(x_json, "env", &env);
	struct guest_exec x = {
		.cmd = &cmd,
		.env = &env,
		.user = jx_str(x_json, "user", NULL),
		.workdir = jx_str(x_json, "workdir", NULL),
		.tty = jx_bool(x_json, "tty", false),
		.privileged = jx_bool(x_json, "privileged", false),
	};

	TRY(ctr_plan_process(s, &in, &x, &process));
	print(process);
	return NULL;
}

static struct err *cmd_undo(int argc, char **argv)
{
	(void)argc;
	return ctr_payload_ops.undo(argv[2]);
}

static struct err *cmd_devices(int argc, char **argv)
{
	OWN(json) json_t *j = NULL;
	OWN(mem) char *procs = xasprintf("%s/cgroup.procs", argv[2]);
	OWN(fd) int fd = -1;
	struct resources limits;

	(void)argc;
	TRY(jx_load(AT_FDCWD, argv[3], &j));
	TRY(resources_read(j, &limits));
	if (mkdir(argv[2], 0755) < 0)
		return err_sys(errno, "mkdir %s", argv[2]);
	TRY(cgroup_attach_devices(argv[2], limits.l.devices, limits.l.n_devices));
	resources_done(&limits);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	TRY(fd_write_all(fd, "0", 1));
	execv(argv[4], argv + 4);
	return err_sys(errno, "exec %s", argv[4]);
}

static int64_t cpu_us(void)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	return (own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
		children.ru_stime.tv_sec) *
		   1000000 +
	       own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
	       children.ru_stime.tv_usec;
}

static int64_t bench_started;

static void on_bench(void *arg, const struct payload_event *ev)
{
	(void)arg;
	if (ev->type == PAYLOAD_STARTED)
		bench_started = clock_boot_ns();
	else
		ended = true;
	if (ev->type == PAYLOAD_START_FAILED)
		fprintf(stderr, "%s\n", ev->text);
	own_fd_release((int[]) { ev->io.in });
	own_fd_release((int[]) { ev->io.out });
	own_fd_release((int[]) { ev->io.err });
}

static struct err *cmd_bench(int argc, char **argv)
{
	struct payload_host host = {
		.id = "driver", .state_dir = argv[2], .run_dir = argv[2], .event = on_bench
	};

	(void)argc;
	host.poller = poller = poller_new();
	for (int i = atoi(argv[3]); i > 0; i--) {
		int64_t cpu = cpu_us(), begin = clock_boot_ns();

		ended = false;
		TRY(ctr_payload_ops.start(&host, &payload));
		while (!ended)
			poller_step(poller, -1);
		ctr_payload_ops.free(payload);
		printf("%ld %ld %ld\n", (bench_started - begin) / 1000,
		       (clock_boot_ns() - begin) / 1000, cpu_us() - cpu);
	}
	return NULL;
}

static const struct {
	const char *name;
	int args;
	struct err *(*run)(int argc, char **argv);
} commands[] = {
	{ "plan", 4, cmd_plan }, { "process", 4, cmd_process }, { "run", 3, cmd_run },
	{ "undo", 3, cmd_undo }, { "bench", 4, cmd_bench },     { "devices", 5, cmd_devices },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (argc < commands[i].args || strcmp(argv[1], commands[i].name) != 0)
			continue;
		OWN(err) struct err *e = commands[i].run(argc, argv);

		if (e)
			fprintf(stderr, "%s\n", err_text(e));
		return e ? 1 : 0;
	}
	fprintf(stderr, "ctr_driver: unknown command\n");
	return 2;
}

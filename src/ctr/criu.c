/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define LOG_MAX    (4 << 20)
#define UEVENT_MAX 4096
#define NS_PER_MS  INT64_C(1000000)
#define MAJOR_MIN  4
#define MINOR_MIN  2
#define VERSION_NS INT64_C(10000000000)

static const char *const places[] = {
	"/usr/local/sbin/criu",
	"/usr/sbin/criu",
	"/usr/local/bin/criu",
	"/usr/bin/criu",
};

/* ---- its log ---- */

/* Lines that stand there whatever happens, or that only say that something before them failed. */
static const char *const harmless[] = {
	"Can't setup RLIMIT_NOFILE for self",
	"Dumping FAILED",
	"Restoring FAILED",
	"exited, status=",
	"killed by signal",
};

static bool is_harmless(const char *line)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strstr(line, harmless[i]))
			return true;
	return false;
}

char *criu_log_reason(const char *log)
{
	static const char mark[] = "Error (";

	for (const char *at = log; (at = strstr(at, mark)); at += strlen(mark)) {
		const char *text = strstr(at, "): ");
		size_t len = strcspn(at, "\n");
		char *line;

		if (!text || text > at + len)
			continue;
		text += strlen("): ");
		line = xstrndup(text, len - (size_t)(text - at));
		if (!is_harmless(line))
			return line;
		free(line);
	}
	return NULL;
}

/* ---- the process ---- */

struct session {
	const struct criu_run *c;
	int sock;
	pid_t pid;
	int pidfd;
	int64_t end_ns;
	bool stage_failed; /* what our side had to do at a stage */
};

static const char *find_program(const char *wanted)
{
	if (wanted)
		return access(wanted, X_OK) == 0 ? wanted : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

static _Noreturn void become_criu(const struct criu_run *c, const char *program, int sock)
{
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char name[] = "criu", mode[] = "swrk", number[16];
	char *argv[] = { name, mode, number, NULL };
	char *env[] = { path, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(number, sizeof(number), "%d", sock);
	fcntl(sock, F_SETFD, 0);
	for (size_t i = 0; i < c->n_fds; i++)
		fcntl(c->fds[i], F_SETFD, 0);
	execve(program, argv, env);
	_exit(127);
}

static struct err *begin(struct session *s)
{
	const char *program = find_program(s->c->program);
	int pair[2];

	if (!program)
		return err_new(ERR_UNSUPPORTED, "%s is not there: checkpoints need criu 4.2",
			       s->c->program ? s->c->program : "criu");
	TRY(sock_pair(SOCK_SEQPACKET, pair));
	OWN(fd) int theirs = pair[1];

	s->sock = pair[0];
	s->pid = fork();
	if (s->pid < 0)
		return err_sys(errno, "fork");
	if (s->pid == 0)
		become_criu(s->c, program, theirs);
	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0)
		return err_sys(errno, "watch criu");
	return NULL;
}

static void finish(struct session *s, bool by_force)
{
	own_fd_release(&s->sock);
	own_fd_release(&s->pidfd);
	if (s->pid <= 0)
		return;
	if (by_force)
		kill(s->pid, SIGKILL);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	s->pid = 0;
}

/* ---- asking ---- */

static struct err *send_text(const struct session *s, const struct str *msg)
{
	TRY_MSG(sock_send_msg(s->sock, msg->buf, msg->len, NULL, 0), "ask criu");
	return NULL;
}

static struct err *wait_for_answer(const struct session *s)
{
	/* Those that it made have copies of the socket: its end is no end of that. */
	struct pollfd p[] = { { .fd = s->sock, .events = POLLIN },
			      { .fd = s->pidfd, .events = POLLIN } };

	for (;;) {
		int64_t left = (s->end_ns - clock_boot_ns()) / NS_PER_MS;
		int n = poll(p, ARRAY_SIZE(p), left < 0 ? 0 : (int)left + 1);

		if (n > 0 && p[0].revents)
			return NULL;
		if (n > 0)
			return err_new(ERR_INTERNAL, "criu ended without a word");
		if (n == 0)
			return err_new(ERR_UNAVAILABLE, "criu was not done in %ld s",
				       s->c->timeout_ns / 1000000000);
		if (errno != EINTR)
			return err_sys(errno, "wait for criu");
	}
}

static struct err *tell_stage(struct session *s, const struct criu_answer *a, int fd)
{
	OWN(mem) char *name = xstrndup(a->script ? a->script : "", a->script_len);
	OWN(err) struct err *e = s->c->stage ? s->c->stage(s->c->arg, name, a->pid, fd) : NULL;
	OWN(str) struct str msg = { 0 };

	s->stage_failed = e != NULL;
	criu_notified(&msg, !e);
	TRY(send_text(s, &msg));
	return TAKE(e);
}

/* One answer; *@ret_final: it is the last. */
static struct err *take_answer(struct session *s, struct criu_answer *a, char *buf, bool *ret_final)
{
	int fds[SOCK_MSG_FDS_MAX];
	size_t len = 0;
	struct err *e;

	TRY(wait_for_answer(s));
	TRY(sock_recv_msg(s->sock, buf, CRIU_MSG_MAX, 0, &len, fds));
	e = len ? criu_answer_read(buf, len, a)
		: err_new(ERR_INTERNAL, "criu ended without a word");
	*ret_final = e || a->type != CRIU_NOTIFY;
	if (!*ret_final)
		e = tell_stage(s, a, fds[0]);
	for (size_t i = 0; i < SOCK_MSG_FDS_MAX; i++)
		own_fd_release(&fds[i]);
	return e;
}

static struct err *ask(struct session *s, char *buf, struct criu_answer *ret)
{
	OWN(str) struct str msg = { 0 };
	bool is_final = false;

	criu_request(&msg, s->c->type, s->c->opts);
	TRY(send_text(s, &msg));
	while (!is_final)
		TRY(take_answer(s, ret, buf, &is_final));
	return NULL;
}

/* ---- why it failed ---- */

/* An old one fails in ways that say nothing of that. */
static struct err *check_version(const char *program)
{
	const struct str none = { 0 };
	const struct criu_run c = {
		.program = program, .type = CRIU_VERSION, .opts = &none, .timeout_ns = VERSION_NS
	};
	struct session s = {
		.c = &c, .sock = -1, .pidfd = -1, .end_ns = clock_boot_ns() + VERSION_NS
	};
	struct criu_answer a = { 0 };
	char buf[CRIU_MSG_MAX];
	OWN(err) struct err *e = begin(&s);

	if (!e)
		e = ask(&s, buf, &a);
	finish(&s, true);
	if (!e && (a.major < MAJOR_MIN || (a.major == MAJOR_MIN && a.minor < MINOR_MIN)))
		return err_new(ERR_UNSUPPORTED, "criu %u.%u is too old: %d.%d is needed", a.major,
			       a.minor, MAJOR_MIN, MINOR_MIN);
	return NULL;
}

/* criu says "(chr 10:229)": the name is in sysfs. */
static char *find_device(const char *reason)
{
	static const struct {
		const char *mark, *folder;
	} kinds[] = { { "(chr ", "char" }, { "(blk ", "block" } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *at = strstr(reason, kinds[i].mark), *name;
		OWN(mem) char *text = NULL;
		unsigned major, minor;

		if (!at || sscanf(at + strlen(kinds[i].mark), "%u:%u", &major, &minor) != 2)
			continue;
		OWN(mem)
		char *path = xasprintf("/sys/dev/%s/%u:%u/uevent", kinds[i].folder, major, minor);
		OWN(err) struct err *e = fd_read_file(AT_FDCWD, path, UEVENT_MAX, &text);

		name = e ? NULL : strstr(text, "DEVNAME=");
		if (name)
			return xasprintf("/dev/%.*s", (int)strcspn(name + 8, "\n"), name + 8);
	}
	return NULL;
}

static struct err *why(const struct criu_run *c, const struct criu_answer *a)
{
	OWN(mem) char *log = NULL;
	OWN(mem) char *reason = NULL;
	OWN(err) struct err *unread = fd_read_file(c->work_fd, c->log, LOG_MAX, &log);

	TRY(check_version(c->program));
	if (!unread)
		reason = criu_log_reason(log);
	if (!reason && a->message)
		reason = xstrndup(a->message, a->message_len);
	if (!reason)
		return err_new(ERR_UNSUPPORTED, "criu gives no reason");
	OWN(mem) char *device = find_device(reason);

	return err_new(ERR_UNSUPPORTED, "%s%s%s", device ? device : "", device ? ": " : "", reason);
}

struct err *criu_run(const struct criu_run *c, pid_t *ret_pid)
{
	struct session s = {
		.c = c, .sock = -1, .pidfd = -1, .end_ns = clock_boot_ns() + c->timeout_ns
	};
	struct criu_answer a = { 0 };
	char buf[CRIU_MSG_MAX];
	OWN(err) struct err *e = begin(&s);

	if (!e)
		e = ask(&s, buf, &a);
	finish(&s, e != NULL);
	if (e && (s.stage_failed || err_kind(e) != ERR_INTERNAL))
		return TAKE(e);
	if (e || !a.success)
		return why(c, &a);
	if (ret_pid)
		*ret_pid = a.pid;
	return NULL;
}

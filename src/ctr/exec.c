/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctr/process.h"
#include "ctr/report.h"
#include "ctr/start_int.h"
#include "ctr/tty.h"
#include "sys/cgroup.h"
#include "util/fd.h"
#include "util/mem.h"

#define PROCESS_MAX (1u << 20)

static struct err *read_process(int fd, json_t **ret)
{
	OWN(mem) void *buf = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys(errno, "process file");
	TRY_MSG(try_alloc((size_t)st.st_size + 1, PROCESS_MAX, &buf), "process file");
	n = pread(fd, buf, (size_t)st.st_size, 0);
	if (n < 0)
		return err_sys(errno, "read process file");
	TRY_MSG(jx_parse(buf, (size_t)n, ret), "process file");
	return NULL;
}

/* Limits count for whatever runs inside, so the group comes first, while we see it. */
static struct err *enter(struct run *r)
{
	const char *bpf = jx_str(r->plan.guest, "seccomp_bpf", NULL);

	if (r->plan.cgroup)
		TRY(cgroup_join(r->plan.cgroup));
	TRY(set_oom_score(r->plan.process));
	if (bpf)
		TRY(ctr_read_bpf(bpf, &r->bpf, &r->bpf_len));
	if (setns(r->s->init_pidfd,
		  CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0)
		return errno == ESRCH ? err_new(ERR_STATE, "container is not running")
				      : err_sys(errno, "enter the container");
	return NULL;
}

static struct err *become(struct run *r)
{
	const json_t *process = r->plan.process;
	struct strv groups = { 0 };
	int index;

	syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
	TRY(enter(r));
	umask(0022);
	if (r->s->is_tty)
		TRY(ctr_tty_open(r->s->report, r->s->rows, r->s->cols, &r->console, &index));
	jx_strv(process, "groups", &groups);

	const json_t *user = json_object_get(process, "user");
	struct ctr_process p = {
		.json = process,
		.user = json_is_object(user) ? NULL
			: user               ? json_string_value(user)
					     : "",
		.groups = &groups,
		.in = r->s->in,
		.out = r->s->out,
		.err = r->s->err,
		.console = r->console,
		.bpf = r->bpf,
		.bpf_len = r->bpf_len,
	};

	return ctr_process_exec(&p);
}

static int exec_main(void *arg)
{
	struct run *r = arg;

	r->error = become(r);
	_exit(127);
}

static struct err *exec_start(struct run *r)
{
	struct report m = { .type = REPORT_PROCESS };
	OWN(json) json_t *process = NULL;

	TRY(plan_load(r->s->state_dir, &r->plan));
	TRY(read_process(r->s->process_fd, &process));
	r->plan.process = process;
	/* Those inside must not reach our program by /proc/PID/exe (CVE-2019-5736). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (setns(r->s->init_pidfd, CLONE_NEWPID) < 0)
		return err_new(ERR_STATE, "container is not running");
	TRY(clone_shared(r, exec_main, 0));
	m.pid = (int32_t)r->init;
	TRY(report_send(r->s->report, &m, r->pidfd, -1));
	return TAKE(r->error);
}

_Noreturn void ctr_exec_run(const struct ctr_start *s)
{
	struct run r = {
		.s = s,
		.disk_fd = -1,
		.oom_fd = -1,
		.pidfd = -1,
		.console = -1,
	};
	struct err *e;

	default_signals();
	e = exec_start(&r);
	if (e)
		report_failure(s->report, e);
	_exit(e ? 1 : 0);
}

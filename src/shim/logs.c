/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/logs.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/frame.h"
#include "shim/log_write.h"
#include "shim/proto.h"
#include "shim/record.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define BATCH_BYTES (64 * 1024)

/* inotify tells of a change; this is for what it cannot tell (its queue was full). */
#define LOOK_AGAIN_MS 2000

struct logs {
	const struct logs_options *o;
	char *log_dir, *exit_path, *failed_path;
	struct log_reader *reader;
	struct str out;
	int out_fd;
	int notify_fd;
	bool is_line_open[2]; /* stdout, stderr: its last entry had no \n */
};

static struct err *flush(struct logs *l)
{
	TRY(fd_write_all(l->out_fd, l->out.buf, l->out.len));
	l->out.len = 0;
	return NULL;
}

static void add_entry(struct logs *l, const struct entry *e)
{
	bool *is_open = &l->is_line_open[e->stream == SHIM_STDERR];
	bool is_stamped = l->o->has_timestamps && !*is_open;
	char when[40] = "";
	size_t when_len = 0;

	if (is_stamped) {
		clock_rfc3339(e->time_ns, when);
		when_len = strlen(when);
		when[when_len++] = ' ';
	}
	if (!l->o->is_raw)
		frame_add(&l->out, e->stream, when_len + e->len);
	str_add(&l->out, when, when_len);
	str_add(&l->out, e->text, e->len);
	if (e->len)
		*is_open = e->text[e->len - 1] != '\n';
}

/* All that there is now. *ret_done: nothing that was asked for can follow. */
static struct err *print_available(struct logs *l, bool *ret_done)
{
	enum log_next next;
	struct entry e;

	while ((next = log_reader_next(l->reader, &e)) == LOG_ENTRY) {
		if (l->o->streams & (unsigned)e.stream)
			add_entry(l, &e);
		if (l->out.len >= BATCH_BYTES)
			TRY(flush(l));
	}
	*ret_done = next == LOG_DONE;
	return flush(l);
}

/* Waits for a change. Returns false when nobody reads any more, or time is up. */
static bool wait_for_change(struct logs *l)
{
	struct pollfd p[] = { { .fd = l->notify_fd, .events = POLLIN }, { .fd = l->out_fd } };
	int64_t until = l->o->query.until_ns;
	char buf[4096];
	int timeout = LOOK_AGAIN_MS;

	if (until) {
		int64_t left = until - clock_wall_ns();

		if (left <= 0)
			return false;
		if (left < LOOK_AGAIN_MS * INT64_C(1000000))
			timeout = (int)(left / 1000000) + 1;
	}
	if (poll(p, 2, timeout) > 0 && p[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		return false;
	while (read(l->notify_fd, buf, sizeof(buf)) > 0)
		;
	return true;
}

static bool has_exited(const struct logs *l)
{
	return access(l->exit_path, F_OK) == 0 || access(l->failed_path, F_OK) == 0 ||
	       access(l->o->state_dir, F_OK) < 0;
}

/* The log is whole when exit.json appears, so look for that first and read then. */
static struct err *follow(struct logs *l)
{
	bool is_over, is_done;

	do {
		is_over = has_exited(l);
		TRY(print_available(l, &is_done));
	} while (!is_over && !is_done && wait_for_change(l));
	return NULL;
}

static struct err *watch_folders(struct logs *l)
{
	l->notify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->notify_fd < 0)
		return err_sys(errno, "inotify");
	if (inotify_add_watch(l->notify_fd, l->o->state_dir,
			      IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF) < 0)
		return err_sys(errno, "watch %s", l->o->state_dir);
	/* One that never ran has none; one that was removed meanwhile is not to get its folder
	 * back. */
	if (mkdir(l->log_dir, 0750) < 0 && errno != EEXIST)
		return err_sys(errno, "%s", l->log_dir);
	if (inotify_add_watch(l->notify_fd, l->log_dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return err_sys(errno, "watch %s", l->log_dir);
	return NULL;
}

static struct err *run(struct logs *l)
{
	bool is_done;

	if (l->o->is_follow)
		TRY(watch_folders(l));
	TRY(log_reader_new(l->log_dir, &l->o->query, &l->reader));
	if (l->o->tells_ready)
		close(LOGS_READY_FD);
	if (l->o->is_follow)
		return follow(l);
	return print_available(l, &is_done);
}

struct err *logs_print(const struct logs_options *o, int out_fd)
{
	OWN(mem) char *log_dir = xasprintf("%s/log", o->state_dir);
	OWN(mem) char *exit_path = xasprintf("%s/" RECORD_EXIT, o->state_dir);
	OWN(mem) char *failed_path = xasprintf("%s/" RECORD_FAILED, o->state_dir);
	struct logs l = { .o = o,
			  .log_dir = log_dir,
			  .exit_path = exit_path,
			  .failed_path = failed_path,
			  .out_fd = out_fd,
			  .notify_fd = -1 };
	struct err *e = run(&l);

	log_reader_free(l.reader);
	own_fd_release(&l.notify_fd);
	str_done(&l.out);
	return e;
}

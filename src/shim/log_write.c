/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/log_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/entry.h"
#include "shim/proto.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

struct log_writer {
	struct log_config config;
	int dir_fd;
	int fd; /* -1: could not be opened (again) */
	int64_t size;
	bool has_said;      /* that lines are lost */
	char when[36];      /* time of what is being put */
	struct str part[2]; /* stdout, stderr: line without its end */
	struct str batch;   /* entries that go out in one write */
};

/* Batches are written when they reach this. */
#define BATCH_BYTES (64 * 1024)

static struct str *part_of(struct log_writer *w, int stream)
{
	return &w->part[stream == SHIM_STDERR];
}

static struct err *open_file(struct log_writer *w, int flags)
{
	struct stat st;

	own_fd_release(&w->fd);
	w->fd =
	    openat(w->dir_fd, LOG_NAME, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0640);
	if (w->fd < 0)
		return err_sys(errno, "open %s/" LOG_NAME, w->config.dir);
	w->size = fstat(w->fd, &st) == 0 ? st.st_size : 0;
	return NULL;
}

struct err *log_writer_new(const struct log_config *c, struct log_writer **ret)
{
	OWN(fd) int dir = -1;
	struct log_writer *w;
	struct err *e;

	if (mkdir(c->dir, 0750) < 0 && errno == ENOENT)
		TRY(fd_mkdirs(c->dir));
	dir = open(c->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(errno, "open %s", c->dir);
	w = xnew(struct log_writer);
	w->config = *c;
	w->dir_fd = TAKE_FD(dir);
	w->fd = -1;
	e = open_file(w, 0);
	if (e) {
		log_writer_free(w);
		return e;
	}
	*ret = w;
	return NULL;
}

static void rotated_name(char name[32], int i)
{
	if (i == 0)
		snprintf(name, 32, LOG_NAME);
	else
		snprintf(name, 32, LOG_NAME ".%d", i);
}

/* json.log becomes .1, .1 becomes .2, …; the oldest goes. */
static void rotate(struct log_writer *w)
{
	char from[32], to[32];

	for (int i = w->config.max_files - 1; i > 0; i--) {
		rotated_name(from, i - 1);
		rotated_name(to, i);
		renameat(w->dir_fd, from, w->dir_fd, to); /* it need not exist */
	}
	err_free(open_file(w, w->config.max_files <= 1 ? O_TRUNC : 0));
}

static void fail(struct log_writer *w, int errnum)
{
	if (!w->has_said)
		log_error("instance log %s: %s; its lines are dropped until there is room",
			  w->config.dir, strerrordesc_np(errnum));
	w->has_said = true;
}

/* All of @data, or nothing of it. */
static void write_whole(struct log_writer *w, const char *data, size_t len)
{
	size_t done = 0;

	if (w->fd < 0)
		err_free(open_file(w, 0));
	while (done < len) {
		ssize_t n = write(w->fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			fail(w, errno);
			if (done)
				(void)!ftruncate(w->fd, w->size);
			return;
		}
		done += (size_t)n;
	}
	w->size += (int64_t)len;
}

static void flush_batch(struct log_writer *w)
{
	if (w->batch.len)
		write_whole(w, w->batch.buf, w->batch.len);
	w->batch.len = 0;
}

/* A file never grows beyond its limit, unless a single entry does. */
static void add_entry(struct log_writer *w, int stream, const char *text, size_t len)
{
	size_t before = w->batch.len;
	int64_t limit = w->config.max_bytes;

	entry_write(&w->batch, stream, text, len, w->when);
	if (limit && w->size + (int64_t)w->batch.len > limit && w->size + (int64_t)before > 0) {
		size_t entry_len = w->batch.len - before;
		OWN(mem) char *entry = xstrndup(w->batch.buf + before, entry_len);

		w->batch.len = before;
		flush_batch(w);
		rotate(w);
		str_add(&w->batch, entry, entry_len);
	}
	if (w->batch.len >= BATCH_BYTES)
		flush_batch(w);
}

/* Writes what is complete of @part, in pieces of at most ENTRY_TEXT_MAX. */
static void split_part(struct log_writer *w, int stream)
{
	struct str *part = part_of(w, stream);

	while (part->len >= ENTRY_TEXT_MAX) {
		size_t n = entry_cut(part->buf, ENTRY_TEXT_MAX);

		add_entry(w, stream, part->buf, n);
		str_drop(part, n);
	}
}

static void put_line(struct log_writer *w, int stream, const char *line, size_t len)
{
	struct str *part = part_of(w, stream);

	if (!part->len && len <= ENTRY_TEXT_MAX) {
		add_entry(w, stream, line, len);
		return;
	}
	str_add(part, line, len);
	split_part(w, stream);
	if (part->len)
		add_entry(w, stream, part->buf, part->len);
	part->len = 0;
}

void log_writer_put(struct log_writer *w, int stream, const char *data, size_t len, int64_t time_ns)
{
	struct str *part = part_of(w, stream);

	clock_rfc3339(time_ns, w->when);
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) + 1 : len;

		if (end) {
			put_line(w, stream, data, n);
		} else {
			str_add(part, data, n);
			split_part(w, stream);
		}
		data += n;
		len -= n;
	}
	flush_batch(w);
	str_done(&w->batch);
	if (!part->len)
		str_done(part);
}

void log_writer_end(struct log_writer *w, int stream, int64_t time_ns)
{
	struct str *part = part_of(w, stream);

	clock_rfc3339(time_ns, w->when);
	if (part->len)
		add_entry(w, stream, part->buf, part->len);
	flush_batch(w);
	str_done(&w->batch);
	str_done(part);
}

const char *log_writer_pending(const struct log_writer *w, int stream, size_t *ret_len)
{
	const struct str *part = &w->part[stream == SHIM_STDERR];

	*ret_len = part->len;
	return part->buf;
}

void log_writer_free(struct log_writer *w)
{
	if (!w)
		return;
	flush_batch(w);
	own_fd_release(&w->fd);
	own_fd_release(&w->dir_fd);
	str_done(&w->part[0]);
	str_done(&w->part[1]);
	str_done(&w->batch);
	free(w);
}

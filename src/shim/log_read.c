/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/log_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/log_write.h"
#include "util/fd.h"
#include "util/mem.h"

#define FILES_MAX 100
#define BUF_BYTES (2 * ENTRY_MAX)

struct log_reader {
	struct log_query query;
	int dir_fd;
	int fd; /* the file being read, -1: none yet */
	int next_fds[FILES_MAX];
	int n_next; /* files after it that were there when we began, oldest last */
	off_t offset;
	char *buf;
	size_t at, len;   /* unread part of buf */
	bool is_skipping; /* inside a line that is too long for an entry */
};

void log_reader_free(struct log_reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < r->n_next; i++)
		own_fd_release(&r->next_fds[i]);
	own_fd_release(&r->fd);
	own_fd_release(&r->dir_fd);
	free(r->buf);
	free(r);
}

static int open_nth(const struct log_reader *r, int i)
{
	char name[32];

	if (i == 0)
		snprintf(name, sizeof(name), LOG_NAME);
	else
		snprintf(name, sizeof(name), LOG_NAME ".%d", i);
	return openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

/* Keeps the @n newest. */
static void keep_files(struct log_reader *r, int n)
{
	while (r->n_next > n)
		own_fd_release(&r->next_fds[--r->n_next]);
}

/*
 * All files there are, newest first in next_fds.  A rotation meanwhile shows as another
 * json.log than the one opened first: then again.
 */
static void open_files(struct log_reader *r)
{
	for (int attempt = 0; attempt < 10; attempt++) {
		OWN(fd) int check = -1;

		keep_files(r, 0);
		for (int fd; r->n_next < FILES_MAX && (fd = open_nth(r, r->n_next)) >= 0;)
			r->next_fds[r->n_next++] = fd;
		check = open_nth(r, 0);
		if (r->n_next == 0 || same_file(check, r->next_fds[0]))
			return;
	}
}

/* Lines in [0, size) from the end: offset at which the last @*left begin; *left is counted down. */
static off_t find_tail(int fd, off_t size, int64_t *left)
{
	char buf[32 * 1024];
	bool is_last = true; /* the very last byte ends a line, it does not begin one */

	for (off_t at = size; at > 0;) {
		size_t n = at < (off_t)sizeof(buf) ? (size_t)at : sizeof(buf);

		at -= (off_t)n;
		if (pread(fd, buf, n, at) != (ssize_t)n)
			return 0;
		for (size_t i = n; i > 0; i--) {
			bool ends_line = buf[i - 1] == '\n';

			if (ends_line && !is_last && --*left == 0)
				return at + (off_t)i;
			is_last = false;
		}
	}
	if (size > 0)
		--*left;
	return 0;
}

/* Drops the files, and the head of the oldest one left, that the tail does not need. */
static void seek_tail(struct log_reader *r)
{
	int64_t left = r->query.tail;

	for (int i = 0; i < r->n_next; i++) {
		struct stat st;

		if (fstat(r->next_fds[i], &st) < 0)
			continue;
		r->offset = find_tail(r->next_fds[i], st.st_size, &left);
		if (left <= 0)
			keep_files(r, i + 1);
	}
}

static void next_file(struct log_reader *r, int fd, off_t offset)
{
	own_fd_release(&r->fd);
	r->fd = fd;
	r->offset = offset;
	r->at = r->len = 0;
	r->is_skipping = false;
}

struct err *log_reader_new(const char *dir, const struct log_query *q, struct log_reader **ret)
{
	OWN(log_reader) struct log_reader *r = xnew(struct log_reader);

	r->query = *q;
	r->fd = -1;
	r->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd < 0 && errno != ENOENT)
		return err_sys(errno, "open %s", dir);
	r->buf = xcalloc(1, BUF_BYTES);
	open_files(r);
	if (q->tail > 0)
		seek_tail(r);
	if (q->tail == 0 && r->n_next) { /* only what comes from now on */
		keep_files(r, 1);
		r->offset = lseek(r->next_fds[0], 0, SEEK_END);
	}
	if (r->n_next)
		next_file(r, r->next_fds[--r->n_next], r->offset);
	*ret = TAKE(r);
	return NULL;
}

/* Which file comes after the one that was read to its end; -1: none yet. */
static int successor(struct log_reader *r)
{
	int newer = -1;

	if (r->n_next)
		return r->next_fds[--r->n_next];
	if (r->fd < 0)
		return open_nth(r, 0);
	for (int i = 0; i < FILES_MAX; i++) {
		OWN(fd) int fd = open_nth(r, i);

		if (fd < 0 && i > 0)
			break; /* ours is gone: go on with the oldest there is */
		if (same_file(fd, r->fd))
			return newer;
		own_fd_release(&newer);
		newer = TAKE_FD(fd);
	}
	return newer;
}

/* More bytes into the buffer. Returns false at the end of what there is now. */
static bool fill(struct log_reader *r)
{
	struct stat st;
	ssize_t n;

	if (r->fd < 0)
		return false;
	memmove(r->buf, r->buf + r->at, r->len);
	r->at = 0;
	if (r->len == BUF_BYTES) { /* no entry is that long */
		r->len = 0;
		r->is_skipping = true;
	}
	n = pread(r->fd, r->buf + r->len, BUF_BYTES - r->len, r->offset);
	if (n > 0) {
		r->offset += n;
		r->len += (size_t)n;
		return true;
	}
	/* Emptied by its writer (a log of one file). */
	if (fstat(r->fd, &st) == 0 && st.st_size < r->offset) {
		r->offset = 0;
		r->len = 0;
		return fill(r);
	}
	return false;
}

/* The next line of all files, without its \n; NULL: none now. */
static char *next_line(struct log_reader *r, size_t *ret_len)
{
	for (;;) {
		char *start = r->buf + r->at;
		char *end = r->len ? memchr(start, '\n', r->len) : NULL;
		int fd;

		if (end) {
			*ret_len = (size_t)(end - start);
			r->at += *ret_len + 1;
			r->len -= *ret_len + 1;
			if (!r->is_skipping)
				return start;
			r->is_skipping = false;
			continue;
		}
		if (fill(r))
			continue;
		fd = successor(r);
		if (fd < 0)
			return NULL;
		/* It may have grown between our last look and its rotation. */
		if (fill(r)) {
			own_fd_release(&fd);
			continue;
		}
		next_file(r, fd, 0);
	}
}

enum log_next log_reader_next(struct log_reader *r, struct entry *ret)
{
	char *line;
	size_t len;

	while ((line = next_line(r, &len))) {
		if (!entry_parse(line, len, ret))
			continue;
		if (r->query.since_ns && ret->time_ns < r->query.since_ns)
			continue;
		if (r->query.until_ns && ret->time_ns > r->query.until_ns)
			return LOG_DONE;
		return LOG_ENTRY;
	}
	return LOG_END;
}

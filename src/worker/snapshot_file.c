/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as one file: its header, then each section as a stream; volumes with it or not. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snap/header.h"
#include "snap/stream.h"
#include "util/fd.h"
#include "util/mem.h"
#include "worker/snapshot.h"

/* ---- export ---- */

static void add_volumes(const struct job *j, json_t *header)
{
	json_t *list = json_object_get(header, "sections"), *path;
	json_t *volumes = json_object_get(j->args, "volumes");
	const char *name;

	json_object_foreach(volumes, name, path)
	{
		OWN(mem) char *section = xasprintf("volume/%s", name);

		json_array_append_new(list, json_pack("{s:s}", "name", section));
	}
}

/* Where a section's tree is: in the snapshot, or a volume of the host. */
static struct err *open_tree(const struct job *j, int dir, const char *name, int *ret_fd)
{
	const json_t *volumes = json_object_get(j->args, "volumes");

	if (strncmp(name, "volume/", 7))
		return snapshot_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, ret_fd);
	return snapshot_open(AT_FDCWD, jx_str(volumes, name + 7, ""), O_RDONLY | O_DIRECTORY,
			     ret_fd);
}

static struct err *send_section(struct job *j, int dir, const json_t *section,
				struct snap_progress *p)
{
	const char *name = jx_str(section, "name", ""), *want = jx_str(section, "sha256", NULL);
	OWN(fd) int tree = -1;
	char digest[SNAP_HEX];

	TRY(open_tree(j, dir, name, &tree));
	TRY_MSG(snap_stream_write(tree, j->data_fd, p, digest, NULL), "section %s", name);
	return want && !streq(want, digest) ? snapshot_differs(name) : NULL;
}

struct err *job_snapshot_export(struct job *j, json_t **ret_done)
{
	struct snapshot_meter m = { .j = j, .what = "writing" };
	struct snap_progress p = snapshot_progress(&m);
	OWN(json) json_t *header = NULL;
	OWN(mem) char *text = NULL;
	const json_t *section;
	OWN(fd) int dir = -1;
	const char *path;
	size_t n;

	(void)ret_done;
	TRY(job_arg(j, "dir", &path));
	TRY(snapshot_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &dir));
	TRY(snapshot_read_header(dir, &header));
	add_volumes(j, header);
	text = snap_header_text(header);
	TRY(fd_write_all(j->data_fd, text, strlen(text)));
	json_array_foreach(json_object_get(header, "sections"), n, section)
	    TRY(send_section(j, dir, section, &p));
	return NULL;
}

/* ---- import ---- */

static struct err *read_all(struct source in, char *buf, size_t n)
{
	while (n) {
		size_t got = 0;

		TRY(in.read(in.arg, buf, n, &got));
		if (!got)
			return err_new(ERR_CORRUPT, "snapshot header: it is cut");
		buf += got;
		n -= got;
	}
	return NULL;
}

/* Byte by byte up to the newline: what comes after it has its length. */
static struct err *read_line(struct source in, struct snap_line *ret)
{
	char text[SNAP_LINE_MAX];
	size_t n = 0, got = 1;

	while (n < sizeof(text) && got && (!n || text[n - 1] != '\n')) {
		TRY(in.read(in.arg, text + n, 1, &got));
		n += got;
	}
	return snap_line_parse(text, n, ret);
}

static struct err *receive_header(struct source in, json_t **ret)
{
	OWN(mem) char *text = NULL;
	struct snap_line l;

	TRY(read_line(in, &l));
	text = xcalloc(l.json_bytes + 1, 1);
	TRY(read_all(in, text, l.json_bytes));
	return snap_json_parse(&l, text, ret);
}

static struct err *open_place(int to, const char *name, int *ret_fd, const char **ret_base)
{
	bool is_volume = !strncmp(name, "volume/", 7);

	*ret_base = is_volume ? name + 7 : name;
	if (is_volume && mkdirat(to, "volumes", 0700) < 0 && errno != EEXIST)
		return err_sys(errno, "volumes");
	return snapshot_open(to, is_volume ? "volumes" : ".", O_RDONLY | O_DIRECTORY, ret_fd);
}

static struct err *receive_section(struct source in, int to, const json_t *section,
				   struct snap_progress *p)
{
	const char *name = jx_str(section, "name", ""), *base;
	const char *want = jx_str(section, "sha256", NULL);
	OWN(fd) int place = -1;
	char digest[SNAP_HEX];

	TRY(open_place(to, name, &place, &base));
	TRY_MSG(snap_stream_read(in, place, base, p, digest), "the snapshot is damaged: section %s",
		name);
	return want && !streq(want, digest) ? snapshot_differs(name) : NULL;
}

/* The header that stays tells of what stays with it. */
static void drop_volumes(json_t *header)
{
	json_t *list = json_object_get(header, "sections");

	for (size_t n = json_array_size(list); n-- > 0;)
		if (!strncmp(jx_str(json_array_get(list, n), "name", ""), "volume/", 7))
			json_array_remove(list, n);
}

struct err *job_snapshot_import(struct job *j, json_t **ret_done)
{
	struct snapshot_meter m = { .j = j, .what = "reading" };
	struct snap_progress p = snapshot_progress(&m);
	OWN(mem) struct snap_buffer *b = xnew(struct snap_buffer);
	OWN(json) json_t *header = NULL;
	OWN(json) json_t *own = NULL;
	const json_t *section;
	OWN(fd) int to = -1;
	const char *path;
	size_t n;

	TRY(job_arg(j, "to", &path));
	TRY(snapshot_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &to));
	b->in = source_fd(&j->data_fd);
	TRY(receive_header(snap_buffer_source(b), &header));
	json_array_foreach(json_object_get(header, "sections"), n, section)
	    TRY(receive_section(snap_buffer_source(b), to, section, &p));
	own = json_deep_copy(header);
	drop_volumes(own);
	TRY(snapshot_write_header(to, own));
	*ret_done = TAKE(header);
	return NULL;
}

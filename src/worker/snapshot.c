/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot's folder: header, disk/, state/ (docs/protocols.md, "Snapshots").  What its paths
 * lead to is an instance that stands still or does not run, and folders of ours.
 */
#include "worker/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "snap/header.h"
#include "snap/stream.h"
#include "sys/project.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/mem.h"

#define TELL_NS (100 * INT64_C(1000000))

static const char *const sections[] = { "disk", "state" };

/* ---- shared ---- */

static void on_bytes(void *arg, int64_t bytes)
{
	struct snapshot_meter *m = arg;
	int64_t now = clock_boot_ns();

	m->bytes += bytes;
	if (now - m->told_ns < TELL_NS)
		return;
	m->told_ns = now;
	job_progress(m->j, m->what, m->what, m->bytes, m->total);
}

struct snap_progress snapshot_progress(struct snapshot_meter *m)
{
	return (struct snap_progress) { on_bytes, m };
}

struct err *snapshot_open(int dir_fd, const char *path, int flags, int *ret_fd)
{
	int fd = openat(dir_fd, path, flags | O_CLOEXEC);

	if (fd < 0)
		return err_sys(errno, "%s", path);
	*ret_fd = fd;
	return NULL;
}

struct err *snapshot_read_header(int dir_fd, json_t **ret)
{
	OWN(mem) char *text = NULL;

	TRY(fd_read_file(dir_fd, "header", SNAP_HEADER_MAX + SNAP_LINE_MAX, &text));
	return snap_header_parse(text, strlen(text), ret);
}

struct err *snapshot_write_header(int dir_fd, const json_t *header)
{
	OWN(mem) char *text = snap_header_text(header);

	return fd_write_file(dir_fd, "header", text, strlen(text), 0600);
}

struct err *snapshot_differs(const char *section)
{
	return err_new(ERR_CORRUPT, "the snapshot is damaged: section %s: its checksum is another",
		       section);
}

static struct err *open_dir(const struct job *j, const char *arg, int *ret_fd)
{
	const char *path;

	TRY(job_arg(j, arg, &path));
	return snapshot_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, ret_fd);
}

/* ---- snapshot-copy ---- */

/* What it wrote and the kernel has not yet: a disk of its own is read from its file. */
static void sync_disk(const char *path)
{
	OWN(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		syncfs(fd);
}

/* "rw/upper" lies in "rw", which is made. */
static struct err *split_name(int to, const char *name, int *ret_fd, const char **ret_base)
{
	const char *slash = strchr(name, '/');
	OWN(mem) char *above = xstrndup(name, slash ? (size_t)(slash - name) : 0);

	*ret_base = slash ? slash + 1 : name;
	if (slash && mkdirat(to, above, 0755) < 0 && errno != EEXIST)
		return err_sys(errno, "mkdir %s", above);
	return snapshot_open(to, slash ? above : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, ret_fd);
}

static struct err *copy_one(struct job *j, const json_t *from, int to, struct snap_progress *p)
{
	const char *path = jx_str(from, "path", ""), *name = jx_str(from, "name", ""), *base;
	OWN(fd) int in = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	OWN(fd) int above = -1;

	if (in < 0 && errno == ENOENT)
		return NULL; /* made at its first start */
	if (in < 0)
		return err_sys(errno, "%s", path);
	TRY(split_name(to, name, &above, &base));
	TRY_MSG(snap_copy(in, above, base, p), "copy %s", name);
	return NULL;
}

struct err *job_snapshot_copy(struct job *j, json_t **ret_done)
{
	struct snapshot_meter m = { .j = j, .what = "copying its disk" };
	struct snap_progress p = snapshot_progress(&m);
	OWN(fd) int to = -1;
	const json_t *from;
	size_t n;

	TRY(open_dir(j, "to", &to));
	sync_disk(jx_str(j->args, "sync", ""));
	json_array_foreach(json_object_get(j->args, "from"), n, from)
	    TRY(copy_one(j, from, to, &p));
	*ret_done = json_pack("{s:I}", "bytes", (json_int_t)m.bytes);
	return NULL;
}

/* ---- snapshot-seal ---- */

static struct err *sum_section(struct job *j, int dir, const char *name, json_t *list,
			       int64_t *bytes)
{
	struct snapshot_meter m = { .j = j, .what = "checksums" };
	struct snap_progress p = snapshot_progress(&m);
	OWN(fd) int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char digest[SNAP_HEX];
	int64_t n;

	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0)
		return err_sys(errno, "%s", name);
	TRY_MSG(snap_stream_write(fd, -1, &p, digest, &n), "%s", name);
	*bytes += n;
	json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "name", name, "bytes",
					      (json_int_t)n, "sha256", digest));
	return NULL;
}

struct err *job_snapshot_seal(struct job *j, json_t **ret_done)
{
	OWN(json) json_t *header = json_incref(json_object_get(j->args, "header"));
	json_t *list = json_array();
	OWN(fd) int dir = -1;
	int64_t bytes = 0;

	if (!header) {
		json_decref(list);
		return err_new(ERR_INVALID, "job without \"header\"");
	}
	json_object_set_new(header, "sections", list);
	TRY(open_dir(j, "dir", &dir));
	for (size_t n = 0; n < ARRAY_SIZE(sections); n++)
		TRY(sum_section(j, dir, sections[n], list, &bytes));
	json_object_set_new(header, "bytes", json_integer(bytes));
	TRY(snapshot_write_header(dir, header));
	*ret_done = TAKE(header);
	return NULL;
}

/* ---- snapshot-stage ---- */

static struct err *check_section(struct job *j, int dir, const json_t *header, const char *name)
{
	struct snapshot_meter m = { .j = j, .what = "checking the snapshot" };
	struct snap_progress p = snapshot_progress(&m);
	const json_t *section = snap_section(header, name);
	OWN(fd) int fd = -1;
	OWN(err) struct err *err = NULL;
	char digest[SNAP_HEX];

	if (!section)
		return NULL;
	err = snapshot_open(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &fd);
	if (!err)
		err = snap_stream_write(fd, -1, &p, digest, NULL);
	if (err)
		return err_new(ERR_CORRUPT, "the snapshot is damaged: section %s: %s", name,
			       err_text(err));
	return streq(digest, jx_str(section, "sha256", "")) ? NULL : snapshot_differs(name);
}

static struct err *check_all(struct job *j, int dir, bool with_state, json_t **ret_header)
{
	OWN(json) json_t *header = NULL;

	TRY(snapshot_read_header(dir, &header));
	TRY(check_section(j, dir, header, "disk"));
	if (with_state)
		TRY(check_section(j, dir, header, "state"));
	*ret_header = TAKE(header);
	return NULL;
}

static struct err *make_folder(int dir, const char *name, uint32_t project)
{
	OWN(fd) int fd = -1;

	if (mkdirat(dir, name, 0755) < 0)
		return err_sys(errno, "mkdir %s", name);
	if (!project)
		return NULL;
	TRY(snapshot_open(dir, name, O_RDONLY | O_DIRECTORY, &fd));
	return project_put(fd, project); /* what is made in it inherits it */
}

/* rw/ with its project first, then what lies in it, then the folder that overlayfs works in. */
static struct err *stage_rw(int disk, int to, uint32_t project, struct snap_progress *p)
{
	OWN(fd) int from = openat(disk, "rw/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	OWN(fd) int rw = -1;

	if (from < 0)
		return NULL;
	TRY(make_folder(to, "rw", project));
	TRY(snapshot_open(to, "rw", O_RDONLY | O_DIRECTORY, &rw));
	TRY(snap_copy(from, rw, "upper", p));
	return make_folder(rw, "work", 0);
}

static struct err *stage_file(int disk, int to, const char *name, struct snap_progress *p)
{
	OWN(fd) int from = -1;

	TRY(snapshot_open(disk, name, O_RDONLY | O_NOFOLLOW, &from));
	return snap_copy(from, to, name, p);
}

static struct err *stage_disk(struct job *j, int dir, int to)
{
	struct snapshot_meter m = { .j = j, .what = "copying the snapshot" };
	struct snap_progress p = snapshot_progress(&m);
	OWN(strv) struct strv names = { 0 };
	OWN(fd) int disk = openat(dir, "disk", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (disk < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "disk");
	TRY(stage_rw(disk, to, (uint32_t)jx_int(j->args, "project", 0), &p));
	jx_strv(j->args, "files", &names); /* those that an instance may have */
	for (size_t n = 0; n < names.n; n++)
		if (faccessat(disk, names.v[n], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			TRY_MSG(stage_file(disk, to, names.v[n], &p), "%s", names.v[n]);
	return NULL;
}

struct err *job_snapshot_stage(struct job *j, json_t **ret_done)
{
	bool with_state = jx_bool(j->args, "state", false);
	OWN(json) json_t *header = NULL;
	OWN(fd) int state = -1;
	OWN(fd) int dir = -1;
	OWN(fd) int to = -1;

	TRY(open_dir(j, "dir", &dir));
	TRY(open_dir(j, "to", &to));
	if (jx_bool(j->args, "sealed", true))
		TRY(check_all(j, dir, with_state, &header));
	TRY(stage_disk(j, dir, to));
	if (with_state) {
		TRY(snapshot_open(dir, "state", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, &state));
		TRY_MSG(snap_link(state, to, "restore"), "state");
	}
	*ret_done = header ? TAKE(header) : json_object();
	return NULL;
}

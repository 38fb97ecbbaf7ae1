/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/path.h"
#include "util/fd.h"
#include "util/mem.h"

/* ---- what passes through is counted and digested ---- */

struct meter {
	struct source in;
	struct tar_sink out;
	struct digest *digest; /* borrowed */
	int64_t bytes;
	struct tree_watch watch;
};

static struct err *note(struct meter *m, const void *data, size_t n)
{
	digest_add(m->digest, data, n);
	m->bytes += (int64_t)n;
	return m->watch.fn(m->watch.arg, m->bytes);
}

static struct err *read_metered(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct meter *m = arg;
	size_t n = 0;

	TRY(m->in.read(m->in.arg, buf, size, &n));
	TRY(note(m, buf, n));
	*ret_n = n;
	return NULL;
}

static struct err *write_metered(void *arg, const void *data, size_t n)
{
	struct meter *m = arg;

	TRY(m->out.write(m->out.arg, data, n));
	return note(m, data, n);
}

/* ---- out ---- */

static struct err *put_file(struct tar_writer *w, int dir_fd, const char *name)
{
	OWN(fd) int fd = path_open_beneath(dir_fd, name, O_RDONLY);

	if (fd < 0)
		return err_sys(errno, "%s", name);
	return tar_writer_fd(w, &(struct tar_entry) { .name = name, .mode = 0644 }, fd);
}

static struct err *put_files(struct tar_writer *w, int root_fd, const char *tree,
			     const json_t *files)
{
	OWN(fd) int dir = openat(root_fd, tree, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	json_t *name;
	size_t i;

	if (dir < 0)
		return err_sys(errno, "%s", tree);
	json_array_foreach(files, i, name) TRY(put_file(w, dir, json_string_value(name)));
	return NULL;
}

static struct err *put_all(struct tar_writer *w, int root_fd, const char *tree)
{
	struct stat st;

	if (fstatat(root_fd, tree, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? NULL : err_sys(errno, "%s", tree);
	return tar_pack_upper(w, root_fd, tree, S_ISDIR(st.st_mode) ? "." : tree);
}

struct err *tree_send(struct link *l, int root_fd, const char *name, const json_t *files,
		      struct tree_watch watch, int64_t *ret_bytes)
{
	OWN(digest) struct digest *d = digest_new();
	struct meter m = { .out = link_sink(l), .digest = d, .watch = watch };
	struct tar_sink sink = { .write = write_metered, .arg = &m };
	OWN(tar_writer) struct tar_writer *w = tar_stream_writer_new(sink);
	OWN(json) json_t *head = json_pack("{s:s}", "tree", name);
	OWN(json) json_t *tail = NULL;
	char sum[DIGEST_CHARS];

	TRY(link_say(l, head));
	TRY(files ? put_files(w, root_fd, name, files) : put_all(w, root_fd, name));
	TRY(tar_writer_finish(w));
	digest_text(d, sum);
	tail = json_pack("{s:s, s:I}", "sum", sum, "bytes", (json_int_t)m.bytes);
	*ret_bytes = m.bytes;
	return link_say(l, tail);
}

/* ---- in ---- */

static struct err *check_sum(struct link *l, const struct meter *m, const char *name)
{
	OWN(str) struct str text = { 0 };
	OWN(json) json_t *j = NULL;
	char sum[DIGEST_CHARS];

	TRY(link_hear(l, &text));
	TRY_MSG(jx_parse(text.buf, text.len, &j), "the end of %s", name);
	digest_text(m->digest, sum);
	if (jx_int(j, "bytes", -1) != m->bytes || !streq(jx_str(j, "sum", ""), sum))
		return err_new(ERR_CORRUPT, "%s came damaged: its checksum differs", name);
	return NULL;
}

struct err *tree_receive(struct link *l, int root_fd, const char *name, struct tree_watch watch,
			 int64_t *ret_bytes)
{
	OWN(digest) struct digest *d = digest_new();
	struct meter m = { .in = link_source(l), .digest = d, .watch = watch };
	struct source in = { .read = read_metered, .arg = &m };
	OWN(tar_reader) struct tar_reader *r = tar_stream_reader_new(in);
	struct tar_extract x = {
		.root_fd = root_fd, .into = name, .is_upper = true, .same_owner = true
	};

	if (mkdirat(root_fd, name, 0755) < 0)
		return err_sys(errno, "%s", name);
	TRY_MSG(tar_extract_from(&x, r, NULL), "%s", name);
	TRY(check_sum(l, &m, name));
	if (syncfs(root_fd) < 0)
		return err_sys(errno, "sync %s", name);
	*ret_bytes = m.bytes;
	return NULL;
}

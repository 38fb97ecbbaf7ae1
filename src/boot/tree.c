/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/blob.h"
#include "boot/unpack.h"
#include "util/fd.h"
#include "util/mem.h"

#define BUILTIN_MAX (4 << 20)
#define DEPTH_MAX   12

void tree_done(struct tree *t)
{
	free(t->dir);
	strmap_done(&t->files);
	strv_done(&t->builtin);
	free(t->unpacked);
	*t = (struct tree) { 0 };
}

static struct err *walk(struct tree *t, const char *below, int depth);

static struct err *take_entry(struct tree *t, const char *below, const struct dirent *d, int depth)
{
	OWN(mem) char *path = xasprintf("%s/%s", below, d->d_name);
	OWN(mem) char *name = NULL;

	if (d->d_name[0] == '.')
		return NULL;
	if (d->d_type == DT_DIR)
		return walk(t, path, depth + 1);
	name = d->d_type == DT_REG ? module_name(path) : NULL;
	if (name && !strmap_get(&t->files, name))
		strmap_set(&t->files, name, path);
	return NULL;
}

static void own_dir_release(DIR **d)
{
	if (*d)
		closedir(*d);
}

static struct err *walk(struct tree *t, const char *below, int depth)
{
	OWN(mem) char *path = xasprintf("%s/%s", t->dir, below);
	OWN(dir) DIR *dir = opendir(path);
	const struct dirent *d;

	if (!dir)
		return err_sys(errno, "open %s", path);
	if (depth > DEPTH_MAX)
		return err_new(ERR_CORRUPT, "%s is too deep", path);
	while ((d = readdir(dir)))
		TRY(take_entry(t, below, d, depth));
	return NULL;
}

static struct err *read_builtin(struct tree *t)
{
	OWN(mem) char *path = xasprintf("%s/modules.builtin", t->dir);
	OWN(mem) char *text = NULL;
	char *rest = NULL;

	TRY(fd_read_file(AT_FDCWD, path, BUILTIN_MAX, &text));
	for (char *w = strtok_r(text, "\n", &rest); w; w = strtok_r(NULL, "\n", &rest)) {
		OWN(mem) char *name = module_name(w);

		if (name)
			strv_add(&t->builtin, name);
	}
	return NULL;
}

struct err *tree_read(const char *dir, const char *unpacked, struct tree *ret)
{
	OWN(tree) struct tree t = { .dir = xstrdup(dir), .unpacked = xstrdup(unpacked) };

	TRY(read_builtin(&t));
	/* What replaces the kernel's own modules is looked at first. */
	err_free(walk(&t, "updates", 0));
	TRY(walk(&t, "kernel", 0));
	*ret = t;
	t = (struct tree) { 0 };
	return NULL;
}

/*
 * Checking a signature takes ten million instructions, a sixth of a second for the modules of one
 * boot under TCG, and protects nothing: kernel and modules come from the same hand.
 */
static struct err *drop_signature(const char *path)
{
	OWN(blob) struct blob b = { 0 };
	size_t len;

	TRY(blob_open(path, &b));
	len = module_signed_part(b.p, b.len);
	if (len != b.len && truncate(path, (off_t)len) < 0)
		return err_sys(errno, "truncate %s", path);
	return NULL;
}

static struct err *unpack(const struct tree *t, const char *from, const char *to)
{
	if (!access(to, F_OK))
		return NULL;
	TRY(unpack_module(from, to));
	return t->keep_signatures ? NULL : drop_signature(to);
}

static struct err *take_module(const struct tree *t, const char *name, const char *below,
			       struct modinfo *ret)
{
	OWN(mem) char *from = xasprintf("%s/%s", t->dir, below);
	OWN(mem) char *to = xasprintf("%s/%s.ko", t->unpacked, name);
	OWN(blob) struct blob b = { 0 };

	TRY(unpack(t, from, to));
	TRY(blob_open(to, &b));
	TRY_MSG(modinfo_parse(b.p, b.len, ret), "%s", from);
	return NULL;
}

static struct err *look(void *arg, const char *name, enum module_where *ret,
			struct modinfo *ret_info)
{
	const struct tree *t = arg;
	const char *below = strmap_get(&t->files, name);

	if (below)
		TRY(take_module(t, name, below, ret_info));
	*ret = below                         ? MODULE_LOADABLE
	       : strv_has(&t->builtin, name) ? MODULE_BUILTIN
					     : MODULE_ABSENT;
	return NULL;
}

struct module_source tree_source(struct tree *t)
{
	return (struct module_source) { .look = look, .arg = t };
}

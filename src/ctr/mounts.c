/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sys/cgroup.h"
#include "sys/tree.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

#define CGROUP_TREES 8
#define LINKS_MAX    40

/* One mount of the configuration, with its options taken apart. */
struct entry {
	const char *target, *type, *source; /* borrowed from the configuration */
	bool is_bind, recursive, is_cgroup;
	unsigned long flags;           /* MS_* of mount(2) */
	uint64_t attr_set, attr_clear; /* MOUNT_ATTR_* for binds */
	bool attr_recursive;
	unsigned long propagation;
	struct str data;
	int tree; /* bind: detached copy of the source */
	bool tree_is_dir;
	int cgroup_trees[CGROUP_TREES]; /* v1: one per controller */
};

struct ctr_mounts {
	struct entry *v;
	size_t n;
	bool is_v2; /* the host's cgroups: once the root is another, its files tell nothing */
};

/* ---- options ---- */

struct option {
	const char *name;
	bool clear;
	unsigned long flag;  /* of mount(2) */
	uint64_t attr;       /* of mount_setattr(2) */
	bool recursive_attr; /* "rro": the mounts below as well */
};

static const struct option options[] = {
	{ "ro", false, MS_RDONLY, MOUNT_ATTR_RDONLY, false },
	{ "rw", true, MS_RDONLY, MOUNT_ATTR_RDONLY, false },
	{ "rro", false, MS_RDONLY, MOUNT_ATTR_RDONLY, true },
	{ "rrw", true, MS_RDONLY, MOUNT_ATTR_RDONLY, true },
	{ "nosuid", false, MS_NOSUID, MOUNT_ATTR_NOSUID, false },
	{ "suid", true, MS_NOSUID, MOUNT_ATTR_NOSUID, false },
	{ "nodev", false, MS_NODEV, MOUNT_ATTR_NODEV, false },
	{ "dev", true, MS_NODEV, MOUNT_ATTR_NODEV, false },
	{ "noexec", false, MS_NOEXEC, MOUNT_ATTR_NOEXEC, false },
	{ "exec", true, MS_NOEXEC, MOUNT_ATTR_NOEXEC, false },
	{ "noatime", false, MS_NOATIME, MOUNT_ATTR_NOATIME, false },
	{ "atime", true, MS_NOATIME, MOUNT_ATTR__ATIME, false },
	{ "nodiratime", false, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, false },
	{ "diratime", true, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME, false },
	{ "relatime", false, MS_RELATIME, MOUNT_ATTR_RELATIME, false },
	{ "norelatime", true, MS_RELATIME, MOUNT_ATTR_RELATIME, false },
	{ "strictatime", false, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, false },
	{ "nostrictatime", true, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME, false },
	{ "sync", false, MS_SYNCHRONOUS, 0, false },
	{ "async", true, MS_SYNCHRONOUS, 0, false },
	{ "dirsync", false, MS_DIRSYNC, 0, false },
	{ "defaults", false, 0, 0, false },
};

static const struct {
	const char *name;
	unsigned long flags;
} propagations[] = {
	{ "private", MS_PRIVATE },       { "rprivate", MS_PRIVATE | MS_REC },
	{ "slave", MS_SLAVE },           { "rslave", MS_SLAVE | MS_REC },
	{ "shared", MS_SHARED },         { "rshared", MS_SHARED | MS_REC },
	{ "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
};

unsigned long ctr_propagation(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(propagations); i++)
		if (!strcmp(propagations[i].name, name))
			return propagations[i].flags;
	return 0;
}

static void apply_option(struct entry *e, const struct option *o)
{
	if (o->clear) {
		e->flags &= ~o->flag;
		e->attr_set &= ~o->attr;
		e->attr_clear |= o->attr;
	} else {
		e->flags |= o->flag;
		e->attr_set |= o->attr;
		e->attr_clear &= ~o->attr;
		/* The kernel wants the whole access-time field cleared when it is set. */
		if (o->flag & (MS_NOATIME | MS_RELATIME | MS_STRICTATIME))
			e->attr_clear |= MOUNT_ATTR__ATIME;
	}
	e->attr_recursive |= o->recursive_attr;
}

static void read_option(struct entry *e, const char *name)
{
	unsigned long propagation = ctr_propagation(name);

	if (!strcmp(name, "bind") || !strcmp(name, "rbind")) {
		e->is_bind = true;
		e->recursive = name[0] == 'r';
		return;
	}
	if (propagation) {
		e->propagation = propagation;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].name, name)) {
			apply_option(e, &options[i]);
			return;
		}
	str_addf(&e->data, "%s%s", e->data.len ? "," : "", name);
}

static struct err *read_entry(const json_t *j, struct entry *e)
{
	const json_t *list = json_object_get(j, "options");

	*e = (struct entry) {
		.target = jx_str(j, "destination", NULL),
		.type = jx_str(j, "type", "none"),
		.source = jx_str(j, "source", "none"),
		.tree = -1,
	};
	memset(e->cgroup_trees, 0xff, sizeof(e->cgroup_trees));
	if (!e->target || e->target[0] != '/')
		return err_new(ERR_INVALID, "mount destination %s is not absolute",
			       e->target ? e->target : "(none)");
	e->is_bind = !strcmp(e->type, "bind");
	e->recursive = e->is_bind;
	e->is_cgroup = !strcmp(e->type, "cgroup");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *o = json_string_value(json_array_get(list, i));

		if (o)
			read_option(e, o);
	}
	return NULL;
}

/* ---- before pivot_root ---- */

/* "/proc/PID/root/x": the length of "/proc/PID"; 0 for other paths. */
static size_t process_prefix(const char *source)
{
	size_t n;

	if (strncmp(source, "/proc/", 6) != 0)
		return 0;
	n = 6 + strspn(source + 6, "0123456789");
	return n > 6 && !strncmp(source + n, "/root/", 6) ? n : 0;
}

/* A mount of another mount namespace can be copied only from inside it: go and come back. */
static struct err *open_in_process(struct entry *e, size_t prefix)
{
	OWN(mem) char *path = xasprintf("%.*s/ns/mnt", (int)prefix, e->source);
	OWN(fd) int own = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	OWN(fd) int other = open(path, O_RDONLY | O_CLOEXEC);
	struct err *err;

	if (own < 0 || other < 0 || setns(other, CLONE_NEWNS) < 0)
		return err_new(ERR_NOT_FOUND, "the instance whose %s is shared has gone",
			       e->source + prefix + strlen("/root"));
	err = tree_open(AT_FDCWD, e->source + prefix + strlen("/root"), e->recursive, &e->tree);
	if (setns(own, CLONE_NEWNS) < 0)
		_exit(127); /* nothing that follows would be where it belongs */
	return err;
}

static struct err *open_bind(struct entry *e)
{
	struct stat st;
	size_t prefix = process_prefix(e->source);
	OWN(err)
	struct err *err = prefix ? open_in_process(e, prefix)
				 : tree_open(AT_FDCWD, e->source, e->recursive, &e->tree);

	/* Not the kernel's words: the client takes them for a missing command. */
	if (err && err_errno(err) == ENOENT)
		return err_new(ERR_NOT_FOUND, "bind source path does not exist: %s", e->source);
	if (err)
		return TAKE(err);
	if (fstat(e->tree, &st) < 0)
		return err_sys(errno, "stat %s", e->source);
	e->tree_is_dir = S_ISDIR(st.st_mode);
	return NULL;
}

static const char *const cgroup_names[CGROUP_TREES] = {
	"memory", "cpu", "cpuacct", "pids", "devices", "blkio", "cpuset", "freezer",
};

/* The instance's own groups, to be bound where it expects its controllers. */
static struct err *open_cgroups(struct entry *e, const char *cgroup, bool is_v2)
{
	if (is_v2) {
		OWN(mem) char *dir = cgroup_dir("", cgroup);

		return tree_open(AT_FDCWD, dir, true, &e->tree);
	}
	for (size_t i = 0; i < CGROUP_TREES; i++) {
		OWN(mem) char *dir = cgroup_dir(cgroup_names[i], cgroup);
		OWN(err) struct err *err = tree_open(AT_FDCWD, dir, false, &e->cgroup_trees[i]);

		if (err && err_errno(err) != ENOENT)
			return TAKE(err);
	}
	return NULL;
}

struct err *ctr_mounts_open(const json_t *mounts, const char *cgroup, bool own_cgroupns,
			    struct ctr_mounts **ret)
{
	OWN(ctr_mounts) struct ctr_mounts *m = xnew(struct ctr_mounts);
	size_t n = json_array_size(mounts);

	m->is_v2 = cgroup_is_v2();
	m->v = xcalloc(n + 1, sizeof(*m->v));
	for (; m->n < n; m->n++) {
		struct entry *e = &m->v[m->n];

		struct err *err = read_entry(json_array_get(mounts, m->n), e);

		if (!err && e->is_bind)
			err = open_bind(e);
		if (!err && e->is_cgroup && cgroup && !(own_cgroupns && m->is_v2))
			err = open_cgroups(e, cgroup, m->is_v2);
		if (err) {
			m->n++;
			return err;
		}
	}
	*ret = TAKE(m);
	return NULL;
}

void ctr_mounts_free(struct ctr_mounts *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		str_done(&m->v[i].data);
		own_fd_release(&m->v[i].tree);
		for (size_t k = 0; k < CGROUP_TREES; k++)
			own_fd_release(&m->v[i].cgroup_trees[k]);
	}
	free(m->v);
	free(m);
}

bool ctr_mounts_has(const struct ctr_mounts *m, const char *target, const char *type)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->v[i].target, target) && !strcmp(m->v[i].type, type))
			return true;
	return false;
}

/* ---- after it ---- */

static struct err *make_parents(const char *path)
{
	OWN(mem) char *p = xstrdup(path);

	for (char *s = strchr(p + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(p, 0755) < 0 && errno != EEXIST)
			return err_sys(errno, "make %s", p);
		*s = '/';
	}
	return NULL;
}

/*
 * @path with its first link that leads nowhere yet replaced by what it says; NULL when
 * there is none.  We are inside the new root, where ".." ends.
 */
static char *follow_dangling(const char *path)
{
	OWN(mem) char *p = xstrdup(path);
	struct stat st;

	for (char *s = p + 1; s; s = strchr(s, '/')) {
		char to[PATH_MAX], saved;
		ssize_t n;

		s += strcspn(s, "/");
		saved = *s;
		*s = '\0';
		n = stat(p, &st) < 0 && errno == ENOENT ? readlink(p, to, sizeof(to) - 1) : -1;
		if (n > 0) {
			const char *rest = path + (s - p);

			to[n] = '\0';
			*strrchr(p, '/') = '\0';
			return to[0] == '/' ? xasprintf("%s%s", to, rest)
					    : xasprintf("%s/%s%s", p, to, rest);
		}
		*s = saved;
		if (!saved)
			break;
		s++;
	}
	return NULL;
}

static struct err *make_new(const char *path, bool is_dir)
{
	int fd;

	TRY(make_parents(path));
	if (is_dir) {
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return err_sys(errno, "make folder %s", path);
		return NULL;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	if (fd < 0)
		return err_sys(errno, "make file %s", path);
	close(fd);
	return NULL;
}

struct err *ctr_make_target(const char *path, bool is_dir)
{
	OWN(mem) char *at = NULL;

	if (access(path, F_OK) == 0 || (is_dir && mkdir(path, 0755) == 0))
		return NULL;
	at = xstrdup(path);
	for (int i = 0; i < LINKS_MAX; i++) {
		char *next = follow_dangling(at);

		if (!next)
			return make_new(at, is_dir);
		free(at);
		at = next;
	}
	return err_new(ERR_INVALID, "too many links in %s", path);
}

static struct err *attach_bind(struct entry *e)
{
	TRY(ctr_make_target(e->target, e->tree_is_dir));
	if (e->attr_set || e->attr_clear)
		TRY(tree_set(e->tree, "", e->attr_recursive, e->attr_set, e->attr_clear, 0));
	if (e->propagation)
		TRY(tree_set(e->tree, "", e->propagation & MS_REC, 0, 0,
			     e->propagation & ~(unsigned long)MS_REC));
	TRY(tree_attach(e->tree, e->target));
	close(TAKE_FD(e->tree));
	return NULL;
}

/*
 * proc and sysfs are mounted where the image has them, never where a link of its
 * would have them: masks are applied by path.
 */
static struct err *check_no_link(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		return err_new(ERR_INVALID, "%s of the image must be a folder", path);
	return NULL;
}

static struct err *mount_new(struct entry *e)
{
	if (!strcmp(e->type, "proc") || !strcmp(e->type, "sysfs"))
		TRY(check_no_link(e->target));
	TRY(ctr_make_target(e->target, true));
	if (mount(e->source, e->target, e->type, e->flags, e->data.buf ? e->data.buf : "") < 0)
		return err_sys(errno, "mount %s (%s) at %s", e->type,
			       e->data.buf ? e->data.buf : "", e->target);
	if (e->propagation && mount(NULL, e->target, NULL, e->propagation, NULL) < 0)
		return err_sys(errno, "change propagation of %s", e->target);
	return NULL;
}

/* v1: a small tmpfs with one folder for each controller that the instance is in. */
static struct err *mount_cgroup_v1(struct entry *e)
{
	TRY(ctr_make_target(e->target, true));
	if (mount("tmpfs", e->target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=755,size=64k") < 0)
		return err_sys(errno, "mount tmpfs at %s", e->target);
	for (size_t i = 0; i < CGROUP_TREES; i++) {
		OWN(mem) char *dir = xasprintf("%s/%s", e->target, cgroup_names[i]);

		if (e->cgroup_trees[i] < 0)
			continue;
		if (mkdir(dir, 0755) < 0)
			return err_sys(errno, "make %s", dir);
		TRY(tree_set(e->cgroup_trees[i], "", false, e->attr_set, 0, 0));
		TRY(tree_attach(e->cgroup_trees[i], dir));
		close(TAKE_FD(e->cgroup_trees[i]));
	}
	if (e->flags & MS_RDONLY)
		return tree_set(AT_FDCWD, e->target, false, MOUNT_ATTR_RDONLY, 0, 0);
	return NULL;
}

static struct err *mount_cgroup(struct entry *e, bool is_v2)
{
	if (!is_v2)
		return mount_cgroup_v1(e);
	if (e->tree >= 0) {
		e->tree_is_dir = true;
		return attach_bind(e);
	}
	e->type = "cgroup2";
	return mount_new(e);
}

struct err *ctr_mounts_apply(struct ctr_mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct entry *e = &m->v[i];

		if (e->is_bind)
			TRY_MSG(attach_bind(e), "mount %s", e->source);
		else if (e->is_cgroup)
			TRY(mount_cgroup(e, m->is_v2));
		else
			TRY(mount_new(e));
	}
	return NULL;
}

/* ---- masks ---- */

static struct err *mask_one(const char *path)
{
	struct stat st;
	int tree = -1;

	if (stat(path, &st) < 0)
		return NULL; /* nothing to hide */
	if (S_ISDIR(st.st_mode)) {
		if (mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=4k") < 0)
			return err_sys(errno, "hide %s", path);
		return NULL;
	}
	TRY(tree_open(AT_FDCWD, "/dev/null", false, &tree));
	OWN(fd) int owned = tree;

	return tree_attach(tree, path);
}

struct err *ctr_mask(const json_t *paths)
{
	for (size_t i = 0; i < json_array_size(paths); i++)
		TRY(mask_one(json_string_value(json_array_get(paths, i))));
	return NULL;
}

static struct err *readonly_one(const char *path)
{
	int tree = -1;
	OWN(err) struct err *e = tree_open(AT_FDCWD, path, true, &tree);
	OWN(fd) int owned = tree;

	if (e)
		return err_errno(e) == ENOENT ? NULL : TAKE(e);
	TRY(tree_set(tree, "", true, MOUNT_ATTR_RDONLY, 0, 0));
	return tree_attach(tree, path);
}

struct err *ctr_make_readonly(const json_t *paths)
{
	for (size_t i = 0; i < json_array_size(paths); i++)
		TRY(readonly_one(json_string_value(json_array_get(paths, i))));
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --storage-opt size= of containers as a project quota, where the file system of root keeps
 * to such: rw/ carries a project number of the instance's own.  The number is on the disk, in the
 * folder and in the file system's table of limits, and nowhere else: a lost store loses
 * none, and a number that has a limit or holds a byte is never given out again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine_int.h"
#include "sys/project.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/mem.h"

#define PROJECT_FIRST 0x10000000U /* people's own numbers are small */
#define PROJECT_MASK  0x0fffffffU
#define TRIES         64

static const char *const carriers[] = { "rw", "rw/upper", "rw/work" };

static int open_folder(const char *base, const char *name)
{
	OWN(mem) char *path = xasprintf("%s%s%s", base, *name ? "/" : "", name);

	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void quota_probe(struct engine *e)
{
	OWN(fd) int fd = open_folder(e->c.root, "");

	e->has_projects = fd >= 0 && project_is_enforced(fd);
	log_debug("project quota on %s: %s", e->c.root, e->has_projects ? "yes" : "no");
}

static bool is_wanted_by(const struct spec *s)
{
	return s->kind == SPEC_CONTAINER && s->disk_bytes;
}

static bool is_wanted(const struct instance *i)
{
	return is_wanted_by(i->spec);
}

/* Begins where the id says, so that daemons on one file system seldom meet. */
static struct err *find_number(const char *instance_id, int fd, uint32_t *ret)
{
	char digits[8] = { 0 };
	uint32_t first;

	memcpy(digits, instance_id, sizeof(digits) - 1);
	first = (uint32_t)strtoul(digits, NULL, 16);
	for (uint32_t n = 0; n < TRIES; n++) {
		uint32_t id = PROJECT_FIRST | ((first + n) & PROJECT_MASK);
		struct project_usage u;

		TRY(project_usage(fd, id, &u));
		if (u.used_bytes || u.limit_bytes)
			continue;
		*ret = id;
		return NULL;
	}
	return err_new(ERR_LIMIT, "no free project number");
}

struct err *quota_claim(struct instance *i)
{
	OWN(fd) int fd = open_folder(i->state_dir, "rw");
	uint32_t id;

	if (!i->e->has_projects || !is_wanted(i))
		return NULL;
	if (fd < 0)
		return err_sys(errno, "%s/rw", i->state_dir);
	TRY(find_number(i->id, fd, &id));
	TRY(project_limit(fd, id, i->spec->disk_bytes));
	for (size_t n = 0; n < ARRAY_SIZE(carriers); n++) {
		OWN(fd) int dir = open_folder(i->state_dir, carriers[n]);

		TRY_MSG(project_put(dir, id), "%s/%s", i->state_dir, carriers[n]);
	}
	return NULL;
}

struct err *quota_reserve(struct engine *e, const struct spec *s, uint32_t *ret)
{
	OWN(fd) int fd = open_folder(e->c.root, "");
	char near[65];

	*ret = 0;
	if (!e->has_projects || !is_wanted_by(s))
		return NULL;
	if (fd < 0)
		return err_sys(errno, "%s", e->c.root);
	engine_random_id(near);
	TRY(find_number(near, fd, ret));
	return project_limit(fd, *ret, s->disk_bytes);
}

uint32_t quota_project(const struct instance *i)
{
	OWN(fd) int fd = -1;

	if (!is_wanted(i))
		return 0;
	fd = open_folder(i->state_dir, "rw");
	return fd < 0 ? 0 : project_get(fd);
}

struct err *quota_renew(const struct instance *i, uint32_t id)
{
	OWN(fd) int fd = open_folder(i->state_dir, "rw");

	if (!i->e->has_projects)
		return err_new(ERR_UNAVAILABLE,
			       "its disk limit is a project quota, and %s is mounted without "
			       "(mount it with prjquota, restart hosteld)",
			       i->e->c.root);
	return project_limit(fd, id, i->spec->disk_bytes);
}

void quota_release(const struct engine *e, const char *state_dir)
{
	OWN(fd) int fd = e->has_projects ? open_folder(state_dir, "rw") : -1;
	OWN(err) struct err *err = NULL;
	uint32_t id = fd < 0 ? 0 : project_get(fd);

	/* Not in the folder of an instance of ours: nothing to do with us. */
	if (id < PROJECT_FIRST || id > (PROJECT_FIRST | PROJECT_MASK))
		return;
	err = project_limit(fd, id, 0);
	if (err)
		log_warn("%s: %s", state_dir, err_text(err));
}

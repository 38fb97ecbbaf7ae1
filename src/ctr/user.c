/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define ID_MAX     INT64_C(4294967294) /* the last one means "none" to the kernel */
#define FILE_MAX   (16u << 20)
#define GROUPS_MAX 65536

/* A piece of text: of a line, or of a field in it. */
struct piece {
	const char *at;
	size_t len;
};

/* Take the next line off @rest; false at the end. */
static bool next_line(const char **rest, struct piece *line)
{
	const char *nl;

	if (!*rest || !**rest)
		return false;
	nl = strchrnul(*rest, '\n');
	*line = (struct piece) { *rest, (size_t)(nl - *rest) };
	*rest = *nl ? nl + 1 : nl;
	return true;
}

/* Field number @n of a line, separated by @sep; empty when there are fewer. */
static struct piece field(struct piece line, size_t n, char sep)
{
	const char *end = line.at + line.len;

	for (; n; n--) {
		const char *colon = memchr(line.at, sep, (size_t)(end - line.at));

		if (!colon)
			return (struct piece) { end, 0 };
		line.at = colon + 1;
	}
	const char *stop = memchr(line.at, sep, (size_t)(end - line.at));

	line.len = (size_t)((stop ? stop : end) - line.at);
	return line;
}

static bool piece_is(struct piece p, const char *text)
{
	return p.len == strlen(text) && !memcmp(p.at, text, p.len);
}

/* A decimal id; false when the text is something else. */
static bool piece_id(struct piece p, int64_t *ret)
{
	int64_t v = 0;

	if (!p.len || p.len > 10)
		return false;
	for (size_t i = 0; i < p.len; i++) {
		if (p.at[i] < '0' || p.at[i] > '9')
			return false;
		v = v * 10 + (p.at[i] - '0');
	}
	*ret = v;
	return true;
}

static bool text_id(const char *text, int64_t *ret)
{
	return piece_id((struct piece) { text, strlen(text) }, ret);
}

/* The first line whose name, or else whose id (field 2), is @text. */
static bool find_entry(const char *file, const char *text, struct piece *ret)
{
	int64_t want = 0, id;
	bool by_id = text_id(text, &want);
	struct piece line;

	while (next_line(&file, &line)) {
		if (line.len && line.at[0] == '#')
			continue;
		if ((*text && piece_is(field(line, 0, ':'), text)) ||
		    (by_id && piece_id(field(line, 2, ':'), &id) && id == want)) {
			*ret = line;
			return true;
		}
	}
	return false;
}

static struct err *check_id(int64_t id)
{
	if (id > ID_MAX)
		return err_new(ERR_INVALID, "uids and gids must be in range 0-%ld", ID_MAX);
	return NULL;
}

static struct err *find_user(const char *passwd, const char *name, struct ctr_user *u,
			     struct piece *ret_name)
{
	struct piece line;
	int64_t uid = 0, gid = 0;

	if (find_entry(passwd, *name ? name : "0", &line)) {
		struct piece home = field(line, 5, ':');

		if (!piece_id(field(line, 2, ':'), &uid) || !piece_id(field(line, 3, ':'), &gid))
			return err_new(ERR_CORRUPT, "user %s has no valid entry in passwd file",
				       name);
		if (home.len) {
			free(u->home);
			u->home = xstrndup(home.at, home.len);
		}
		*ret_name = field(line, 0, ':');
	} else if (*name && !text_id(name, &uid)) {
		return err_new(ERR_NOT_FOUND,
			       "unable to find user %s: no matching entries in passwd file", name);
	}
	TRY(check_id(uid));
	TRY(check_id(gid));
	u->uid = (uid_t)uid;
	u->gid = (gid_t)gid;
	return NULL;
}

static struct err *find_group(const char *group, const char *name, gid_t *ret)
{
	struct piece line;
	int64_t gid = 0;

	if (find_entry(group, name, &line) && piece_id(field(line, 2, ':'), &gid)) {
		TRY(check_id(gid));
	} else if (!text_id(name, &gid)) {
		return err_new(ERR_NOT_FOUND,
			       "unable to find group %s: no matching entries in group file", name);
	}
	TRY(check_id(gid));
	*ret = (gid_t)gid;
	return NULL;
}

static void add_group(struct ctr_user *u, gid_t gid)
{
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] == gid)
			return;
	if (u->n_groups == GROUPS_MAX)
		return;
	u->groups = xrealloc(u->groups, u->n_groups + 1, sizeof(gid_t));
	u->groups[u->n_groups++] = gid;
}

/* Is @name in the comma-separated list? */
static bool is_member(struct piece list, struct piece name)
{
	const char *end = list.at + list.len;

	for (struct piece rest = list; rest.at < end;) {
		struct piece one = field(rest, 0, ',');

		if (one.len == name.len && !memcmp(one.at, name.at, one.len))
			return true;
		rest.at = one.at + one.len + 1;
		rest.len = rest.at < end ? (size_t)(end - rest.at) : 0;
	}
	return false;
}

static void add_memberships(const char *group, struct piece name, struct ctr_user *u)
{
	struct piece line;
	int64_t gid;

	while (name.len && next_line(&group, &line))
		if (is_member(field(line, 3, ':'), name) && piece_id(field(line, 2, ':'), &gid) &&
		    gid <= ID_MAX)
			add_group(u, (gid_t)gid);
}

static struct err *fill(const char *passwd, const char *group, const char *text,
			const struct strv *groups, struct ctr_user *u)
{
	const char *colon = strchr(text, ':');
	OWN(mem) char *name = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
	struct piece found = { "", 0 };
	gid_t gid;

	TRY(find_user(passwd, name, u, &found));
	if (colon && colon[1])
		TRY(find_group(group, colon + 1, &u->gid));
	add_group(u, u->gid);
	if (!colon || !colon[1])
		add_memberships(group, found, u);
	for (size_t i = 0; groups && i < groups->n; i++) {
		TRY(find_group(group, groups->v[i], &gid));
		add_group(u, gid);
	}
	return NULL;
}

struct err *ctr_user_find(const char *passwd, const char *group, const char *text,
			  const struct strv *groups, struct ctr_user *ret)
{
	OWN(ctr_user) struct ctr_user u = { .home = xstrdup("/") };

	TRY(fill(passwd, group, text ? text : "", groups, &u));
	*ret = u;
	u = (struct ctr_user) { 0 };
	return NULL;
}

/* A file below @rootfd, or NULL when it cannot be read: an image need not have one. */
static char *read_inside(int rootfd, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	OWN(fd) int fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	OWN(str) struct str text = { 0 };
	char buf[4096];
	ssize_t n;

	if (fd < 0)
		return NULL;
	while (text.len < FILE_MAX && (n = read(fd, buf, sizeof(buf))) > 0)
		str_add(&text, buf, (size_t)n);
	return str_take(&text);
}

struct err *ctr_user_resolve(int rootfd, const char *text, const struct strv *groups,
			     struct ctr_user *ret)
{
	OWN(mem) char *passwd = read_inside(rootfd, "etc/passwd");
	OWN(mem) char *group = read_inside(rootfd, "etc/group");

	return ctr_user_find(passwd, group, text, groups, ret);
}

void ctr_user_done(struct ctr_user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct ctr_user) { 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/mountinfo.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fd.h"
#include "util/mem.h"

#define INFO_MAX (4 << 20)

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

/* A word in which "\040" is a space. */
static char *unescape(const char *word, size_t len)
{
	char *out = xcalloc(len + 1, 1), *to = out;

	for (size_t i = 0; i < len; i++) {
		if (word[i] != '\\' || i + 3 >= len || !is_octal(word + i + 1)) {
			*to++ = word[i];
			continue;
		}
		*to++ = (char)((word[i + 1] - '0') << 6 | (word[i + 2] - '0') << 3 |
			       (word[i + 3] - '0'));
		i += 3;
	}
	return out;
}

/* "23 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw" */
static bool parse_line(const char *line, struct mount_line *m)
{
	const char *dash = strstr(line, " - ");
	int root = 0, at = 0, end = 0;

	if (sscanf(line, "%lu %*u %u:%u %n%*s %n%*s%n", &m->id, &m->major, &m->minor, &root, &at,
		   &end) != 3 ||
	    !end || !dash)
		return false;
	m->root = unescape(line + root, (size_t)(at - root - 1));
	m->at = unescape(line + at, (size_t)(end - at));
	dash += strlen(" - ");
	m->type = xstrndup(dash, strcspn(dash, " "));
	return true;
}

struct err *mount_list_parse(const char *text, struct mount_list *ret)
{
	OWN(mount_list) struct mount_list l = { 0 };

	while (*text) {
		size_t len = strcspn(text, "\n");
		OWN(mem) char *line = xstrndup(text, len);
		struct mount_line m = { 0 };

		if (!parse_line(line, &m))
			return err_new(ERR_CORRUPT, "mountinfo has a line \"%s\"", line);
		l.v = xrealloc(l.v, l.n + 1, sizeof(*l.v));
		l.v[l.n++] = m;
		text += len + (text[len] == '\n');
	}
	*ret = l;
	l = (struct mount_list) { 0 };
	return NULL;
}

struct err *mount_list_read(pid_t pid, struct mount_list *ret)
{
	OWN(mem)
	char *path = pid ? xasprintf("/proc/%d/mountinfo", pid) : xstrdup("/proc/self/mountinfo");
	OWN(mem) char *text = NULL;

	TRY(fd_read_file(AT_FDCWD, path, INFO_MAX, &text));
	return mount_list_parse(text, ret);
}

const struct mount_line *mount_list_find(const struct mount_list *l, const struct mount_line *of,
					 const char **ret_rest)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct mount_line *m = &l->v[i];
		size_t n = strlen(m->root);

		if (m->major != of->major || m->minor != of->minor)
			continue;
		if (n == 1)
			n = 0; /* "/" */
		if (strncmp(m->root, of->root, n) != 0 || (of->root[n] && of->root[n] != '/'))
			continue;
		*ret_rest = of->root + n;
		return m;
	}
	return NULL;
}

void mount_list_done(struct mount_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].root);
		free(l->v[i].at);
		free(l->v[i].type);
	}
	free(l->v);
	*l = (struct mount_list) { 0 };
}

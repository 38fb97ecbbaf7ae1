/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "tar/tar.h"
#include "util/mem.h"

static void drop_last(struct str *s)
{
	const char *slash = strrchr(s->buf, '/');

	s->len = slash ? (size_t)(slash - s->buf) : 0;
	s->buf[s->len] = '\0';
}

struct err *tar_clean_name(const char *name, struct str *ret)
{
	OWN(str) struct str out = { 0 };

	str_adds(&out, "");
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && !memcmp(p, "..", 2)) {
			if (!out.len)
				return err_new(ERR_CORRUPT, "entry \"%s\" would leave the root",
					       name);
			drop_last(&out);
		} else if (n && !(n == 1 && *p == '.')) {
			if (out.len)
				str_adds(&out, "/");
			str_add(&out, p, n);
		}
		p += n;
		p += *p == '/';
	}
	if (out.len >= PATH_MAX)
		return err_new(ERR_CORRUPT, "a name of %zu bytes is too long", out.len);
	str_done(ret);
	*ret = out;
	out = (struct str) { 0 };
	return NULL;
}

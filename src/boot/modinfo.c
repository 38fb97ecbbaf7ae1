/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/modinfo.h"

#include <elf.h>
#include <string.h>

#include "util/mem.h"

#define DEPTH_MAX 32

void modinfo_done(struct modinfo *m)
{
	strv_done(&m->needs);
	strv_done(&m->likes);
	free(m->vermagic);
	m->vermagic = NULL;
}

static void normalise(char *name)
{
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
}

char *module_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *ko = strstr(base, ".ko");
	char *name;

	if (!ko || ko == base || (ko[3] && ko[3] != '.'))
		return NULL;
	name = xstrndup(base, (size_t)(ko - base));
	normalise(name);
	return name;
}

/* The signature, struct module_signature (12 bytes, the last 4 its length), a marker. */
size_t module_signed_part(const void *data, size_t len)
{
	static const char marker[] = "~Module signature appended~\n";
	size_t tail = sizeof(marker) - 1 + 12;
	const unsigned char *end = (const unsigned char *)data + len;
	const unsigned char *n;
	size_t signature;

	if (len < tail || memcmp(end - (sizeof(marker) - 1), marker, sizeof(marker) - 1))
		return len;
	n = end - (sizeof(marker) - 1) - 4;
	signature = (size_t)n[0] << 24 | (size_t)n[1] << 16 | (size_t)n[2] << 8 | n[3];
	return signature <= len - tail ? len - tail - signature : len;
}

/* ---- ELF ---- */

struct bytes {
	const unsigned char *p;
	size_t len;
};

static bool in_bounds(const struct bytes *b, uint64_t at, uint64_t len)
{
	return at <= b->len && len <= b->len - at;
}

static bool read_section(const struct bytes *b, const Elf64_Ehdr *h, size_t i, Elf64_Shdr *ret)
{
	uint64_t at;

	if (__builtin_add_overflow(h->e_shoff, (uint64_t)i * sizeof(*ret), &at) ||
	    !in_bounds(b, at, sizeof(*ret)))
		return false;
	memcpy(ret, b->p + at, sizeof(*ret));
	return true;
}

/* Is the section's name @want?  @names: the section of names. */
static bool has_name(const struct bytes *b, const Elf64_Shdr *names, const Elf64_Shdr *s,
		     const char *want)
{
	size_t n = strlen(want) + 1;
	uint64_t at;

	return !__builtin_add_overflow(names->sh_offset, (uint64_t)s->sh_name, &at) &&
	       in_bounds(b, at, n) && !memcmp(b->p + at, want, n);
}

static struct err *find_modinfo(const struct bytes *b, struct bytes *ret)
{
	Elf64_Ehdr h;
	Elf64_Shdr names, s;

	if (b->len < sizeof(h) || memcmp(b->p, ELFMAG, SELFMAG) || b->p[EI_CLASS] != ELFCLASS64)
		return err_new(ERR_CORRUPT, "no 64-bit ELF file");
	memcpy(&h, b->p, sizeof(h));
	if (h.e_shentsize != sizeof(s) || !read_section(b, &h, h.e_shstrndx, &names))
		return err_new(ERR_CORRUPT, "no section table");
	for (size_t i = 0; i < h.e_shnum && read_section(b, &h, i, &s); i++) {
		if (!has_name(b, &names, &s, ".modinfo"))
			continue;
		if (!in_bounds(b, s.sh_offset, s.sh_size))
			break;
		*ret = (struct bytes) { b->p + s.sh_offset, (size_t)s.sh_size };
		return NULL;
	}
	return err_new(ERR_CORRUPT, "no .modinfo section");
}

/* ---- fields ---- */

static void take_depends(struct modinfo *m, char *value)
{
	char *rest = NULL;

	for (char *w = strtok_r(value, ",", &rest); w; w = strtok_r(NULL, ",", &rest))
		strv_add(&m->needs, w);
}

/* "pre: a b post: c" */
static void take_softdep(struct modinfo *m, char *value)
{
	bool is_pre = false;
	char *rest = NULL;

	for (char *w = strtok_r(value, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest)) {
		if (streq(w, "pre:") || streq(w, "post:"))
			is_pre = w[1] == 'r';
		else if (is_pre)
			strv_add(&m->likes, w);
	}
}

static void take_field(struct modinfo *m, char *field)
{
	char *value = strchr(field, '=');

	if (!value)
		return;
	*value++ = '\0';
	if (streq(field, "vermagic")) {
		str_set(&m->vermagic, value);
		return;
	}
	if (streq(field, "depends")) {
		normalise(value);
		take_depends(m, value);
	} else if (streq(field, "softdep")) {
		normalise(value);
		take_softdep(m, value);
	}
}

struct err *modinfo_parse(const void *data, size_t len, struct modinfo *ret)
{
	const struct bytes all = { data, len };
	struct bytes info = { 0 };
	struct modinfo m = { 0 };

	TRY(find_modinfo(&all, &info));
	for (size_t at = 0; at < info.len;) {
		const char *text = (const char *)info.p + at;
		size_t n = strnlen(text, info.len - at);
		OWN(mem) char *field = xstrndup(text, n);

		take_field(&m, field);
		at += n + 1;
	}
	*ret = m;
	return NULL;
}

/* ---- order ---- */

static struct err *visit(const struct module_source *s, const char *name, struct strv *order,
			 int depth, bool *ret_found)
{
	OWN(modinfo) struct modinfo info = { 0 };
	enum module_where where = MODULE_ABSENT;
	bool found = true, ignored;

	if (strv_has(order, name)) {
		*ret_found = true;
		return NULL;
	}
	if (depth > DEPTH_MAX)
		return err_new(ERR_CORRUPT, "module %s: needs go in a circle", name);
	TRY_MSG(s->look(s->arg, name, &where, &info), "module %s", name);
	for (size_t i = 0; i < info.needs.n && found; i++)
		TRY(visit(s, info.needs.v[i], order, depth + 1, &found));
	for (size_t i = 0; i < info.likes.n && found; i++)
		TRY(visit(s, info.likes.v[i], order, depth + 1, &ignored));
	if (where == MODULE_LOADABLE && found)
		strv_add(order, name);
	*ret_found = found && where != MODULE_ABSENT;
	return NULL;
}

static void cut(struct strv *l, size_t n)
{
	while (l->n > n)
		free(l->v[--l->n]);
	if (l->v)
		l->v[l->n] = NULL;
}

struct err *module_order(const struct module_source *s, const char *name, struct strv *order,
			 bool *ret_found)
{
	size_t before = order->n;
	bool found = false;
	struct err *e = visit(s, name, order, 0, &found);

	if (e || !found)
		cut(order, before);
	TRY(e);
	*ret_found = found;
	return NULL;
}

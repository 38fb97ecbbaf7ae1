/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/cpio.h"

#include <string.h>
#include <sys/stat.h>

struct entry {
	const char *path;
	unsigned inode, mode, links, major, minor;
	const void *data;
	size_t len;
};

static void pad(struct str *s, size_t to)
{
	static const char zero[512];

	if (s->len % to)
		str_add(s, zero, to - s->len % to);
}

static void add(struct cpio *c, const struct entry *e)
{
	size_t name = strlen(e->path) + 1;

	/* magic ino mode uid gid nlink mtime filesize devmajor devminor rdev×2 namesize check */
	str_addf(&c->out, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", e->inode,
		 e->mode, 0, 0, e->links, 0, (unsigned)e->len, 0, 0, e->major, e->minor,
		 (unsigned)name, 0);
	str_add(&c->out, e->path, name);
	pad(&c->out, 4);
	if (e->len)
		str_add(&c->out, e->data, e->len);
	pad(&c->out, 4);
}

void cpio_dir(struct cpio *c, const char *path)
{
	add(c, &(struct entry) {
		   .path = path, .inode = ++c->inode, .mode = S_IFDIR | 0755, .links = 2 });
}

void cpio_file(struct cpio *c, const char *path, unsigned mode, const void *data, size_t len)
{
	add(c, &(struct entry) { .path = path,
				 .inode = ++c->inode,
				 .mode = S_IFREG | mode,
				 .links = 1,
				 .data = data,
				 .len = len });
}

void cpio_chardev(struct cpio *c, const char *path, unsigned major, unsigned minor)
{
	add(c, &(struct entry) { .path = path,
				 .inode = ++c->inode,
				 .mode = S_IFCHR | 0600,
				 .links = 1,
				 .major = major,
				 .minor = minor });
}

void cpio_end(struct cpio *c)
{
	add(c, &(struct entry) { .path = "TRAILER!!!", .links = 1 });
	pad(&c->out, 512);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "boot/blob.h"
#include "boot/boot.h"
#include "boot/cpio.h"
#include "boot/feature.h"
#include "tls/digest.h"
#include "util/fd.h"
#include "util/mem.h"

static const char *const folders[] = {
	"bin", "dev", "modules", "mnt", "proc", "run", "sys", "tmp"
};

/* Modules of the wanted features in load order, each once. */
static struct err *add_feature(const json_t *bundle, const char *name, struct strv *order)
{
	const json_t *list = json_object_get(json_object_get(bundle, "features"), name);
	OWN(strv) struct strv own = { 0 };

	if (!feature_find(name))
		return err_new(ERR_INVALID, "no feature \"%s\" of kernels is known", name);
	if (!list)
		return err_new(ERR_UNSUPPORTED, "kernel %s has no %s", jx_str(bundle, "name", "?"),
			       name);
	jx_strv(json_object_get(bundle, "features"), name, &own);
	for (size_t i = 0; i < own.n; i++)
		if (!strv_has(order, own.v[i]))
			strv_add(order, own.v[i]);
	return NULL;
}

/* The usual features as far as the bundle has them, in the table's order. */
static struct err *add_usual_features(const json_t *bundle, struct strv *order)
{
	for (size_t i = 0; i < boot_n_features; i++)
		if (boot_features[i].is_usual &&
		    json_object_get(json_object_get(bundle, "features"), boot_features[i].name))
			TRY(add_feature(bundle, boot_features[i].name, order));
	return NULL;
}

static struct err *add_module(struct cpio *c, const char *dir, const char *name, struct str *list)
{
	OWN(mem) char *from = xasprintf("%s/modules/%s.ko", dir, name);
	OWN(mem) char *to = xasprintf("modules/%s.ko", name);
	OWN(blob) struct blob b = { 0 };

	if (strchr(name, '/'))
		return err_new(ERR_CORRUPT, "module \"%s\"", name);
	TRY(blob_open(from, &b));
	cpio_file(c, to, 0644, b.p, b.len);
	str_addf(list, "/%s\n", to);
	return NULL;
}

/* Has it no interpreter, as a program has that finds no libraries where it goes? */
static bool is_static_program(const struct blob *b)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (b->len < sizeof(head))
		return false;
	memcpy(&head, b->p, sizeof(head));
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_phentsize != sizeof(part) ||
	    head.e_phoff > b->len || (b->len - head.e_phoff) / sizeof(part) < head.e_phnum)
		return false;
	for (size_t i = 0; i < head.e_phnum; i++) {
		memcpy(&part, (const char *)b->p + head.e_phoff + i * sizeof(part), sizeof(part));
		if (part.p_type == PT_INTERP)
			return false;
	}
	return true;
}

static struct err *add_busybox(struct cpio *c, const char *path)
{
	OWN(blob) struct blob b = { 0 };

	TRY(blob_open(path, &b));
	if (!is_static_program(&b))
		return err_new(ERR_INVALID, "%s is not linked statically", path);
	cpio_file(c, "bin/busybox", 0755, b.p, b.len);
	return NULL;
}

static struct err *fill(struct cpio *c, const struct boot_initramfs *b, const char *dir,
			const struct strv *order)
{
	OWN(str) struct str list = { 0 };
	OWN(blob) struct blob guest = { 0 };

	TRY_MSG(blob_open(b->guest, &guest), "hostel-guest");
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		cpio_dir(c, folders[i]);
	cpio_chardev(c, "dev/console", 5, 1);
	cpio_file(c, "init", 0755, guest.p, guest.len);
	if (b->busybox)
		TRY(add_busybox(c, b->busybox));
	for (size_t i = 0; i < order->n; i++)
		TRY(add_module(c, dir, order->v[i], &list));
	cpio_file(c, "modules.list", 0644, list.buf, list.len);
	cpio_end(c);
	return NULL;
}

static struct err *read_bundle(const char *dir, const char *name, json_t **ret)
{
	OWN(mem) char *path = xasprintf("%s/bundle.json", dir);
	OWN(json) json_t *j = NULL;

	if (!name || !name[0] || strchr(name, '/') || access(path, R_OK) < 0)
		return err_new(ERR_NOT_FOUND, "no kernel \"%s\"", name ? name : "");
	TRY(jx_load(AT_FDCWD, path, &j));
	if (jx_int(j, "version", 0) != BOOT_BUNDLE_VERSION)
		return err_new(ERR_UNSUPPORTED, "kernel %s was added by another version of hostel",
			       name);
	*ret = TAKE(j);
	return NULL;
}

/* Named after its content: the same content is never written twice, and never changed. */
static struct err *store(const char *dir, const struct cpio *c, char **ret_path)
{
	char digest[DIGEST_CHARS];
	OWN(mem) char *path = NULL;

	digest_of(c->out.buf, c->out.len, digest);
	path = xasprintf("%s/initramfs-%.16s.img", dir, digest + strlen("sha256:"));
	if (access(path, R_OK) < 0)
		TRY(fd_write_file(AT_FDCWD, path, c->out.buf, c->out.len, 0644));
	*ret_path = TAKE(path);
	return NULL;
}

struct err *boot_initramfs_make(const struct boot_initramfs *b, char **ret_path)
{
	OWN(mem) char *dir = xasprintf("%s/kernels/%s", b->root, b->kernel ? b->kernel : "");
	OWN(json) json_t *bundle = NULL;
	OWN(strv) struct strv order = { 0 };
	OWN(cpio) struct cpio c = { .inode = 0 };

	TRY(read_bundle(dir, b->kernel, &bundle));
	for (size_t i = 0; b->features && i < b->features->n; i++)
		TRY(add_feature(bundle, b->features->v[i], &order));
	if (!b->features || !b->features->n)
		TRY(add_usual_features(bundle, &order));
	TRY(fill(&c, b, dir, &order));
	return store(dir, &c, ret_path);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_MODINFO_H
#define BOOT_MODINFO_H

/*
 * What a kernel module says of itself, and the order that follows.  A module's own
 * .modinfo section is read, not modules.dep: that file is depmod's, and a package that was
 * only unpacked has none.
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"
#include "util/str.h"

struct modinfo {
	struct strv needs; /* must be loaded before; normalised names */
	struct strv likes; /* should be, where they exist (softdep pre:) */
	char *vermagic;    /* NULL when it says none */
};

void modinfo_done(struct modinfo *m);

static inline void own_modinfo_release(struct modinfo *m)
{
	modinfo_done(m);
}

/**
 * modinfo_parse() - read the .modinfo section of a 64-bit ELF file
 * @data, @len: the whole module, foreign bytes
 * @ret:        owned by the caller, modinfo_done()
 * Return: NULL, or ERR_CORRUPT.  Pure.
 */
struct err *modinfo_parse(const void *data, size_t len, struct modinfo *ret) MUST_USE;

/**
 * module_signed_part() - length of a module without the signature appended to it
 * Return: @len when there is none.  Pure.
 */
size_t module_signed_part(const void *data, size_t len);

/**
 * module_name() - the name of a module's file: "…/virtio-rng.ko.xz" is virtio_rng
 * @ret: owned by the caller; NULL when the path is no module's
 */
char *module_name(const char *path);

enum module_where { MODULE_ABSENT, MODULE_BUILTIN, MODULE_LOADABLE };

struct module_source {
	/* Where is @name?  A LOADABLE one also fills @ret_info (owned by the caller). */
	struct err *(*look)(void *arg, const char *name, enum module_where *ret,
			    struct modinfo *ret_info);
	void *arg;
};

/**
 * module_order() - append @name and all it needs to @order, what must be loaded first first
 * @order: names that are in it already are not added again
 * @ret_found: false when @name, or something that it needs, is absent; @order is then unchanged
 */
struct err *module_order(const struct module_source *s, const char *name, struct strv *order,
			 bool *ret_found) MUST_USE;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_TREE_H
#define BOOT_TREE_H

/*
 * A folder lib/modules/VERSION: which modules there are, and which are built in.
 */

#include "boot/modinfo.h"

struct tree {
	char *dir;
	struct strmap files;  /* name -> path below dir */
	struct strv builtin;  /* names */
	bool keep_signatures; /* this kernel takes no module without one */
	char *unpacked;       /* folder that modules are unpacked to, as NAME.ko */
};

void tree_done(struct tree *t);

static inline void own_tree_release(struct tree *t)
{
	tree_done(t);
}

/**
 * tree_read() - index a folder
 * @unpacked: existing folder for tree_source() to unpack to
 */
struct err *tree_read(const char *dir, const char *unpacked, struct tree *ret) MUST_USE;

/** tree_source() - where module_order() looks: unpacks each module that it is asked for */
struct module_source tree_source(struct tree *t);

#endif

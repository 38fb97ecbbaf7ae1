/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOOT_FEATURE_H
#define BOOT_FEATURE_H

#include <stdbool.h>
#include <stddef.h>

#define FEATURE_MODULES_MAX 3

/* What a VM can ask of its kernel, and the modules that give it (when not built in). */
struct feature {
	const char *name;
	const char *modules[FEATURE_MODULES_MAX]; /* NULL-terminated when fewer */
	bool is_required;                         /* a kernel without it is refused */
	bool is_usual;                            /* in an initramfs that names no features */
};

extern const struct feature boot_features[];
extern const size_t boot_n_features;

/** feature_find() - NULL: there is none */
const struct feature *feature_find(const char *name);

#endif

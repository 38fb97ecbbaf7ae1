/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_MOUNTS_H
#define CTR_MOUNTS_H

/*
 * The mounts of an OCI configuration, in two halves around pivot_root: sources on
 * the host are opened as detached trees before it, everything is mounted after it,
 * so that no link in the image can lead out.
 *
 * Context: the process that becomes the payload, in a mount namespace of its own.
 * Spec: OCI runtime 1.2 config.md#mounts, config-linux.md.
 */

#include <stdbool.h>

#include "json/json.h"
#include "util/err.h"

struct ctr_mounts;

/**
 * ctr_mounts_open() - look at all mounts and open the sources of binds
 * @mounts: the configuration's array; borrowed for as long as @ret lives
 * @cgroup: path of the instance's cgroup, for mounts of type cgroup; NULL: there is none
 * @own_cgroupns: are we in a cgroup namespace rooted there?
 * @ret:    ctr_mounts_free()
 * Return: NULL; ERR_NOT_FOUND "bind source path does not exist: /x"; ERR_INVALID.
 */
struct err *ctr_mounts_open(const json_t *mounts, const char *cgroup, bool own_cgroupns,
			    struct ctr_mounts **ret) MUST_USE;

/**
 * ctr_mounts_apply() - mount all, in order, in the new root
 * Missing mount points are made.
 */
struct err *ctr_mounts_apply(struct ctr_mounts *m) MUST_USE;

/** ctr_mounts_has() - was a file system of @type mounted at @target? */
bool ctr_mounts_has(const struct ctr_mounts *m, const char *target, const char *type);

/** ctr_mounts_free() - close what is left open */
void ctr_mounts_free(struct ctr_mounts *m);

DEFINE_OWN(ctr_mounts, ctr_mounts_free)

/**
 * ctr_make_target() - make a folder or an empty file, and the folders above it
 * @path: absolute, in the new root; an existing one of either kind is fine
 */
struct err *ctr_make_target(const char *path, bool is_dir) MUST_USE;

/** ctr_mask() - hide the paths that exist behind /dev/null or an empty read-only folder */
struct err *ctr_mask(const json_t *paths) MUST_USE;

/** ctr_make_readonly() - make the paths that exist read-only, with what is mounted below */
struct err *ctr_make_readonly(const json_t *paths) MUST_USE;

/** ctr_propagation() - MS_ flags of "rslave" and the like; 0: not one of them */
unsigned long ctr_propagation(const char *name);

#endif

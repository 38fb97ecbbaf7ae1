/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MIGRATE_JAIL_H
#define MIGRATE_JAIL_H

#include "json/json.h"

/**
 * migrate_jail_reader() - see nothing but the named trees, read-only, from now on
 * @root:   hostel's folder
 * @trees:  {"name": "path below root"}: folder or file; they are /NAME afterwards.  One that is not
 *          there is left out
 * @ret_fd: the new root
 */
struct err *migrate_jail_reader(const char *root, const json_t *trees, int *ret_fd) MUST_USE;

/** migrate_jail_writer() - see nothing but this folder, from now on */
struct err *migrate_jail_writer(const char *folder, int *ret_fd) MUST_USE;

#endif

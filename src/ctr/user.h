/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_USER_H
#define CTR_USER_H

/*
 * Who a process runs as: the text of -u and --group-add, looked up in the instance's
 * own /etc/passwd and /etc/group.  A static program has no NSS, so we parse.
 * The finding is pure; only ctr_user_resolve() opens files.
 */

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "util/str.h"

struct ctr_user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary ones, the primary first; owned */
	size_t n_groups;
	char *home; /* "/" when the database does not say; owned */
};

/**
 * ctr_user_find() - look up in given texts
 * @passwd, @group: contents, NUL-terminated; NULL: no such file
 * @text:   "", "name", "1000", "name:group", "1000:1000"
 * @groups: text of --group-add; NULL: none
 * @ret:    ctr_user_done()
 *
 * A number that the database does not know is taken as it is.
 * Return: NULL; ERR_NOT_FOUND in Docker's words ("unable to find user foo: no matching entries in
 *         passwd file"); ERR_INVALID for a number out of range.
 */
struct err *ctr_user_find(const char *passwd, const char *group, const char *text,
			  const struct strv *groups, struct ctr_user *ret) MUST_USE;

/**
 * ctr_user_resolve() - the same with the files of a root file system
 * @rootfd: its folder; no link in it leads out of it
 */
struct err *ctr_user_resolve(int rootfd, const char *text, const struct strv *groups,
			     struct ctr_user *ret) MUST_USE;

/** ctr_user_done() - free what it holds */
void ctr_user_done(struct ctr_user *u);

static inline void own_ctr_user_release(struct ctr_user *u)
{
	ctr_user_done(u);
}

#endif

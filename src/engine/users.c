/* SPDX-License-Identifier: Apache-2.0 */
/* Users of this host, by number and by name. */
#include <inttypes.h>
#include <pwd.h>

#include "engine/engine_int.h"
#include "util/mem.h"
#include "util/num.h"

#define ENTRY_MAX 16384

char *engine_user_name(int64_t uid)
{
	OWN(mem) char *buf = xcalloc(1, ENTRY_MAX);
	struct passwd pw, *found = NULL;

	if (!getpwuid_r((uid_t)uid, &pw, buf, ENTRY_MAX, &found) && found)
		return xstrdup(pw.pw_name);
	return xasprintf("%" PRId64, uid);
}

struct err *engine_user_find(const char *text, int64_t *ret_uid)
{
	OWN(mem) char *buf = xcalloc(1, ENTRY_MAX);
	struct passwd pw, *found = NULL;
	OWN(err) struct err *err = NULL;

	if (!getpwnam_r(text, &pw, buf, ENTRY_MAX, &found) && found) {
		*ret_uid = pw.pw_uid;
		return NULL;
	}
	err = num_parse_i64(text, 0, UINT32_MAX - 1, ret_uid);
	if (err)
		return err_new(ERR_NOT_FOUND, "no such user: %.64s", text);
	return NULL;
}

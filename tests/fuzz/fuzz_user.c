/* SPDX-License-Identifier: Apache-2.0 */
/* An image's own passwd and group files; the first line of the input is the text of -u. */
#include "ctr/user.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_text(data, size);
	char *database = strchr(text, '\n');
	OWN(strv) struct strv groups = { 0 };
	OWN(ctr_user) struct ctr_user u = { 0 };
	struct err *e;

	if (!database)
		return 0;
	*database++ = '\0';
	strv_add(&groups, text);
	e = ctr_user_find(database, database, text, &groups, &u);
	if (!e)
		check(u.home && (u.groups || !u.n_groups));
	err_free(e);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_tool PROFILE OUT [CAP…]: compile a profile ("default" or a path) for tests. */
#include <stdio.h>

#include "seccomp/seccomp.h"

int main(int argc, char **argv)
{
	OWN(strv) struct strv caps = { 0 };
	OWN(json) json_t *profile = NULL;

	if (argc < 3)
		return 2;
	profile = json_string(argv[1]);
	for (int i = 3; i < argc; i++)
		strv_add(&caps, argv[i]);

	OWN(err) struct err *e = seccomp_compile_file(profile, &caps, false, argv[2]);

	if (e)
		fprintf(stderr, "%s\n", err_text(e));
	return e ? 1 : 0;
}

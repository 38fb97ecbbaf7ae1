/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quota_of NUMBER: what a project on /q uses, and its limit.
 * quota_of --leave FILE: take a file out of its project, as somebody inside an instance would.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/project.h"

int main(int argc, char **argv)
{
	struct project_usage u = { 0 };
	bool leave = argc > 2 && !strcmp(argv[1], "--leave");
	int fd = open(leave ? argv[2] : "/q", O_RDONLY);
	struct err *e = leave ? project_put(fd, 0)
			      : project_usage(fd, argc > 1 ? (uint32_t)atoll(argv[1]) : 0, &u);

	if (e) {
		fprintf(stderr, "%s\n", err_text(e));
		return 1;
	}
	printf("used %" PRId64 " limit %" PRId64 "\n", u.used_bytes, u.limit_bytes);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostel-init: first process of a container that was asked for with --init.
 *
 *	hostel-init -- PROGRAM [ARG…]
 */
#include <stdio.h>
#include <string.h>

#include "sys/reaper.h"

int main(int argc, char **argv)
{
	argv += argc > 1 && !strcmp(argv[1], "--") ? 2 : 1;
	if (!argv[0]) {
		fprintf(stderr, "usage: hostel-init -- PROGRAM [ARG...]\n");
		return 125;
	}
	return reaper_run(argv, "hostel-init");
}

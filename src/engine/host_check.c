/* SPDX-License-Identifier: Apache-2.0 */
/* What a spec asks of this host in particular: seen when it is made, not first when it starts. */
#include <fcntl.h>
#include <string.h>

#include "engine/engine_int.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/num.h"

#define SET_WORDS 64 /* 4096 cpus or nodes */

static struct err *check_set(const char *wanted, const char *file, const char *what)
{
	uint64_t want[SET_WORDS], have[SET_WORDS];
	OWN(mem) char *there = NULL;

	if (!wanted || !*wanted)
		return NULL;
	TRY_MSG(num_parse_list(wanted, want, SET_WORDS), "--cpuset-%s", what);
	TRY(fd_read_file(AT_FDCWD, file, 4096, &there));
	there[strcspn(there, "\n")] = '\0';
	TRY_MSG(num_parse_list(there, have, SET_WORDS), "%s", file);
	for (size_t i = 0; i < SET_WORDS; i++)
		if (want[i] & ~have[i])
			return err_new(
			    ERR_INVALID,
			    "Requested %s are not available - requested %s, available: %s",
			    streq(what, "cpus") ? "CPUs" : "memory nodes", wanted, there);
	return NULL;
}

struct err *host_check(const struct spec *s)
{
	if (s->stop_signal && signal_parse(s->stop_signal) <= 0)
		return err_new(ERR_INVALID, "invalid signal: %.64s", s->stop_signal);
	TRY(check_set(s->cpuset_cpus, "/sys/devices/system/cpu/online", "cpus"));
	return check_set(s->cpuset_mems, "/sys/devices/system/node/online", "mems");
}

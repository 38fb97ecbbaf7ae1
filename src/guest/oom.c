/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"

static int64_t kills_so_far(void)
{
	OWN(mem) char *text = NULL;
	OWN(err) struct err *e = fd_read_file(AT_FDCWD, "/proc/vmstat", 64 * 1024, &text);
	const char *at = e ? NULL : strstr(text, "\noom_kill ");

	return at ? strtoll(at + strlen("\noom_kill "), NULL, 10) : 0;
}

void guest_oom_init(struct guest_oom *o)
{
	*o = (struct guest_oom) { .kills = kills_so_far(),
				  .kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC) };
	if (o->kmsg >= 0)
		(void)lseek(o->kmsg, 0, SEEK_END);
}

bool guest_oom_victim(const char *record, char *ret)
{
	const char *at = strstr(record, "Killed process "), *end;

	at = at ? strstr(at, " (") : NULL;
	end = at ? strstr(at, ") total-vm:") : NULL;
	if (!end)
		return false;
	snprintf(ret, 16, "%.*s", (int)(end - at - 2), at + 2);
	return true;
}

/* A record a read; one that is longer than the buffer, or was overwritten, is skipped. */
static void read_log(struct guest_oom *o)
{
	char record[1024];
	ssize_t n;

	while (o->kmsg >= 0) {
		n = read(o->kmsg, record, sizeof(record) - 1);
		if (n > 0) {
			record[n] = '\0';
			(void)guest_oom_victim(record, o->victim);
		} else if (n == 0 || (errno != EINVAL && errno != EPIPE && errno != EINTR)) {
			return;
		}
	}
}

bool guest_oom_happened(struct guest_oom *o)
{
	int64_t now = kills_so_far();
	bool yes = now > o->kills;

	o->kills = now;
	if (yes)
		read_log(o);
	return yes;
}

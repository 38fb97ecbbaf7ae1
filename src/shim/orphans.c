/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/orphans.h"

#include <sys/wait.h>

#include "util/mem.h"

/* One of our zombies, left as it is; 0: there is none. */
static pid_t first_zombie(void)
{
	siginfo_t si = { 0 };

	return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 ? 0 : si.si_pid;
}

static void on_timer(void *arg)
{
	struct orphans *o = arg;
	pid_t pid = first_zombie();

	poll_timer_free(TAKE(o->timer));
	if (pid && pid == o->seen && !o->is_known(o->arg, pid))
		waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOHANG);
	o->seen = 0;
	orphans_look(o);
}

void orphans_look(struct orphans *o)
{
	if (o->timer)
		return;
	o->seen = first_zombie();
	if (o->seen)
		o->timer = poll_timer_new(o->poller, ORPHAN_NS, on_timer, o);
}

void orphans_done(struct orphans *o)
{
	poll_timer_free(TAKE(o->timer));
}

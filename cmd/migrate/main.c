/* SPDX-License-Identifier: Apache-2.0 */

/* hostel-migrate: carries the bytes of one migration, on one side, and ends. */

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "migrate/carry.h"
#include "util/log.h"

#define CONTROL_FD    3
#define CONNECTION_FD 4

int main(void)
{
	log_set("hostel-migrate", LOG_INFO);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return carry_run(&(struct carry_fds) {
	    .job = STDIN_FILENO,
	    .out = STDOUT_FILENO,
	    .control = CONTROL_FD,
	    .connection = fcntl(CONNECTION_FD, F_GETFD) < 0 ? -1 : CONNECTION_FD,
	});
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * hostel-image: does one job, given as a JSON object on descriptor 0, and ends.
 * By hand:  echo '{"job":"load","root":"/x"}' | hostel-image 3<image.tar
 */

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/log.h"
#include "worker/job.h"

#define DATA_FD 3

/* Trees are walked with one descriptor a level. */
static void raise_limits(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

int main(void)
{
	log_set("hostel-image", LOG_INFO);
	/* libarchive reads names by it; nothing is translated */
	setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	/* The daemon's recovery deletes what is half-made: nobody may still be making it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(022);
	raise_limits();
	return job_run(STDIN_FILENO, STDOUT_FILENO, fcntl(DATA_FD, F_GETFD) < 0 ? -1 : DATA_FD);
}

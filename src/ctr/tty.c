/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "ctr/mounts.h"
#include "ctr/report.h"
#include "util/fd.h"

struct err *ctr_tty_open(int report, unsigned short rows, unsigned short cols, int *ret_slave,
			 int *ret_index)
{
	OWN(fd) int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct winsize size = { .ws_row = rows, .ws_col = cols };
	struct report r = { .type = REPORT_TTY };
	int unlock = 0, slave;
	unsigned index = 0;

	if (master < 0)
		return err_sys(errno, "open a terminal in the instance");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &index) < 0)
		return err_sys(errno, "unlock the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(errno, "open the terminal's other end");
	OWN(fd) int owned = slave;

	if (rows && cols)
		ioctl(master, TIOCSWINSZ, &size);
	TRY(report_send(report, &r, master, -1));
	*ret_slave = TAKE_FD(owned);
	*ret_index = (int)index;
	return NULL;
}

struct err *ctr_tty_console(int index)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/pts/%d", index);
	TRY(ctr_make_target("/dev/console", false));
	if (mount(path, "/dev/console", NULL, MS_BIND, NULL) < 0)
		return err_sys(errno, "bind %s to /dev/console", path);
	return NULL;
}

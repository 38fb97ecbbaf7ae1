/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostel-guest: init and agent inside a VM.
 */
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "guest/early.h"
#include "guest/guest.h"
#include "util/log.h"

static struct err *start(int *ret_port)
{
	TRY(guest_mount_kernel_fs());
	TRY(guest_load_modules());
	TRY(guest_leave_initramfs());
	return guest_open_port(ret_port);
}

int main(int argc, char **argv)
{
	OWN(err) struct err *e = NULL;
	int port = -1;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("hostel-guest " HOSTEL_VERSION);
		return 0;
	}
	if (getpid() != 1) {
		fputs("hostel-guest is the first process of a VM; it does nothing elsewhere\n",
		      stderr);
		return 2;
	}
	log_set("hostel-guest", LOG_INFO);
	e = start(&port);
	if (e)
		log_error("%s", err_text(e)); /* on the console, whose tail the shim reports */
	else
		guest_serve(port);
	(void)reboot(RB_POWER_OFF);
	return 1;
}

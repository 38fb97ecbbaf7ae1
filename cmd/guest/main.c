/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostel-guest: init and agent inside a VM.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/early.h"
#include "guest/guest.h"
#include "sys/reaper.h"
#include "util/log.h"

static struct err *start(int *ret_port, int *ret_initramfs)
{
	TRY(guest_mount_kernel_fs());
	TRY(guest_load_modules());
	TRY(guest_leave_initramfs(ret_initramfs));
	return guest_open_port(ret_port);
}

/* The payload of a VM without an image: reaps, and ends when it is asked to. */
static int pause_forever(void)
{
	sigset_t set;
	int sig = 0;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (sigwait(&set, &sig) == 0) {
		if (sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGHUP)
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return 1;
}

int main(int argc, char **argv)
{
	OWN(err) struct err *e = NULL;
	int port = -1, initramfs = -1;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("hostel-guest " HOSTEL_VERSION);
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "pause"))
		return pause_forever();
	/* "/sbin/docker-init -- PROGRAM", bound there by guest/boot.c. */
	if (argc > 2 && !strcmp(argv[1], "--"))
		return reaper_run(argv + 2, "docker-init");
	if (getpid() != 1) {
		fputs("hostel-guest is the first process of a VM; it does nothing elsewhere\n",
		      stderr);
		return 2;
	}
	log_set("hostel-guest", LOG_INFO);
	e = start(&port, &initramfs);
	if (e)
		log_error("%s", err_text(e)); /* on the console, whose tail the shim reports */
	else
		guest_serve(port, initramfs);
	(void)reboot(RB_POWER_OFF);
	return 1;
}

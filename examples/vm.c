/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine from C: create, start, run, stop.
 *
 *	cc vm.c $(pkg-config --cflags --libs hostel) -o vm && ./vm
 *
 * With a disk of yours: ./vm disk.qcow2 (used in place, never deleted).
 */
#include <stdio.h>
#include <stdlib.h>

#include <hostel/hostel.h>

static int waiting(void *arg, const char *reason)
{
	fprintf(stderr, "waiting: %s\n", reason);
	return 0;
}

static int story(struct hostel *h, const char *const *disks)
{
	const struct hostel_vm vm = {
		.name = "my_vm", .memory_mib = 1024, .vcpus = 2, .disks = disks
	};
	struct hostel_output out = { 0 };
	int rc = hostel_vm_create(h, &vm, NULL);

	if (rc)
		return rc;
	rc = hostel_start(h, "my_vm", waiting, NULL);
	if (!rc)
		rc = hostel_run(h, "my_vm", NULL, 0, &out);
	if (!rc)
		printf("my_vm %s; its console so far: %zu bytes\n",
		       out.is_ended ? "has ended" : "is running", out.len);
	free(out.text);
	if (!rc)
		rc = hostel_stop(h, "my_vm", -1);
	if (!rc)
		printf("my_vm is stopped\n");
	return rc;
}

int main(int argc, char **argv)
{
	struct hostel *h = hostel_open(NULL);
	const char *disks[] = { argc > 1 ? argv[1] : NULL, NULL };
	int rc;

	if (!h)
		return EXIT_FAILURE;
	rc = story(h, argc > 1 ? disks : NULL);
	if (rc)
		fprintf(stderr, "vm: %s\n", hostel_error(h));
	if (rc != HOSTEL_CONFLICT)
		hostel_remove(h, "my_vm", 1, 1);
	hostel_close(h);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

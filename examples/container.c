/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container from C: create from the image ubuntu with /bin/bash, start, run, stop.
 *
 *	cc container.c $(pkg-config --cflags --libs hostel) -o container && ./container
 *
 * Another image and command: ./container busybox sh -c 'echo hi'
 */
#include <stdio.h>
#include <stdlib.h>

#include <hostel/hostel.h>

static int story(struct hostel *h, const struct hostel_container *c, char **ret_id)
{
	struct hostel_output out = { 0 };
	int rc = hostel_container_create(h, c, ret_id);

	if (!rc)
		rc = hostel_start(h, *ret_id, NULL, NULL);
	/* A shell without stdin ends at once; run() tells what it printed and how it ended. */
	if (!rc)
		rc = hostel_run(h, *ret_id, NULL, -1, &out);
	if (!rc)
		printf("%s ended with %d and printed %zu bytes\n%s", c->image, out.exit_code,
		       out.len, out.text);
	free(out.text);
	/* An ended one is no error. */
	return rc ? rc : hostel_stop(h, *ret_id, -1);
}

int main(int argc, char **argv)
{
	static const char *const shell[] = { "/bin/bash", NULL };
	const struct hostel_container c = {
		.image = argc > 1 ? argv[1] : "ubuntu",
		.argv = argc > 2 ? (const char *const *)argv + 2 : shell,
	};
	struct hostel *h = hostel_open(NULL);
	char *id = NULL;
	int rc;

	if (!h)
		return EXIT_FAILURE;
	rc = story(h, &c, &id);
	if (rc)
		fprintf(stderr, "container: %s\n", hostel_error(h));
	if (id)
		hostel_remove(h, id, 1, 1);
	free(id);
	hostel_close(h);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

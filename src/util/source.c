/* SPDX-License-Identifier: Apache-2.0 */
#include "util/source.h"

#include <errno.h>
#include <unistd.h>

static struct err *read_fd(void *arg, void *buf, size_t size, size_t *ret_n)
{
	const int *fd = arg;
	ssize_t n;

	do
		n = read(*fd, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(errno, "read");
	*ret_n = (size_t)n;
	return NULL;
}

struct source source_fd(int *fd)
{
	return (struct source) { .read = read_fd, .arg = fd };
}

struct err *source_drain(struct source s)
{
	char buf[16384];
	size_t n = 1;

	while (n)
		TRY(s.read(s.arg, buf, sizeof(buf), &n));
	return NULL;
}

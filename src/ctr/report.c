/* SPDX-License-Identifier: Apache-2.0 */
#include "ctr/report.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/sock.h"

#define HEAD offsetof(struct report, text)

struct err *report_send(int sock, const struct report *r, int fd, int fd2)
{
	int fds[2] = { fd, fd2 };
	size_t n = fd < 0 ? 0 : fd2 < 0 ? 1 : 2;

	return sock_send_msg(sock, r, HEAD + strlen(r->text) + 1, fds, n);
}

void report_failure(int sock, struct err *e)
{
	struct report r = { .type = REPORT_FAILED, .kind = (int32_t)err_kind(e) };

	snprintf(r.text, sizeof(r.text), "%s", err_text(e));
	err_free(e);
	err_free(report_send(sock, &r, -1, -1));
}

int report_recv(int sock, struct report *ret, int ret_fds[2])
{
	int fds[SOCK_MSG_FDS_MAX];
	size_t len = 0;
	OWN(err) struct err *e = sock_recv_msg(sock, ret, sizeof(*ret), MSG_DONTWAIT, &len, fds);

	if (e)
		return err_kind(e) == ERR_UNAVAILABLE ? -1 : 0;
	for (size_t i = 2; len && i < SOCK_MSG_FDS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	ret_fds[0] = len ? fds[0] : -1;
	ret_fds[1] = len ? fds[1] : -1;
	if (len <= HEAD)
		return 0;
	((char *)ret)[len - 1] = '\0';
	return 1;
}

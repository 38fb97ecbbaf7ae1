/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "shim/entry.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/str.h"

struct err *record_write_exit(const char *state_dir, const struct exit_record *r)
{
	OWN(mem) char *path = xasprintf("%s/" RECORD_EXIT, state_dir);
	OWN(str) struct str s = { 0 };

	str_addf(&s, "{\"version\":1,\"code\":%d,\"oom\":%s,\"text\":\"", r->code,
		 r->oom ? "true" : "false");
	entry_escape(&s, r->text, strlen(r->text));
	str_addf(&s, "\",\"started_ns\":%" PRId64 ",\"finished_ns\":%" PRId64 "}\n", r->started_ns,
		 r->finished_ns);
	return fd_write_file(AT_FDCWD, path, s.buf, s.len, 0640);
}

struct err *record_write_failure(const char *state_dir, enum err_kind kind, const char *text)
{
	OWN(mem) char *path = xasprintf("%s/" RECORD_FAILED, state_dir);
	OWN(str) struct str s = { 0 };

	str_addf(&s, "{\"version\":1,\"kind\":%d,\"text\":\"", (int)kind);
	entry_escape(&s, text, strlen(text));
	str_adds(&s, "\"}\n");
	return fd_write_file(AT_FDCWD, path, s.buf, s.len, 0640);
}

void record_clear(const char *state_dir, const char *run_dir)
{
	OWN(mem) char *exit = xasprintf("%s/" RECORD_EXIT, state_dir);
	OWN(mem) char *failed = xasprintf("%s/" RECORD_FAILED, state_dir);
	OWN(mem) char *started = xasprintf("%s/" RECORD_STARTED, run_dir);

	unlink(exit);
	unlink(failed);
	unlink(started);
}

struct err *record_write_started(const char *run_dir)
{
	OWN(mem) char *path = xasprintf("%s/" RECORD_STARTED, run_dir);
	OWN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	return fd < 0 ? err_sys(errno, "create %s", path) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Compose files are read by docker compose, which knows all their forms. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/compose.h"
#include "sys/spawn.h"
#include "util/fd.h"
#include "util/mem.h"

#define DOCUMENT_MAX (16 << 20)

/* All of a descriptor, from where it is. */
static struct err *read_all(int fd, char **ret, size_t *ret_len)
{
	OWN(str) struct str text = { 0 };
	char buf[16384];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0)
			return err_sys(errno, "read");
		if (text.len + (size_t)n > DOCUMENT_MAX)
			return err_new(ERR_INVALID, "larger than 16 MiB");
		str_add(&text, buf, (size_t)n);
	}
	*ret_len = text.len;
	*ret = text.buf ? str_take(&text) : xstrdup("");
	return NULL;
}

static struct err *parse_all(int fd, json_t **ret)
{
	OWN(mem) char *text = NULL;
	size_t len;

	TRY(read_all(fd, &text, &len));
	TRY_MSG(jx_parse(text, len, ret),
		"expected what docker compose config --format json prints");
	return NULL;
}

/* ---- docker ---- */

/* As a shell would find it; NULL: nowhere. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t len = strcspn(path, ":");
		OWN(mem) char *at = xasprintf("%.*s/%s", (int)len, path, name);

		if (*at == '/' && access(at, X_OK) == 0)
			return TAKE(at);
		path += len + (path[len] == ':');
	}
	return NULL;
}

struct output {
	int fds[3]; /* none; what it prints, and its complaints, as files */
	int code;
};

static void own_output_release(struct output *o)
{
	for (int i = 1; i < 3; i++)
		if (o->fds[i] >= 0)
			close(o->fds[i]);
}

static struct err *run(const char *program, const char *const *argv, struct output *o)
{
	pid_t pid;
	int pidfd;
	struct err *err;

	for (int i = 1; i < 3; i++) {
		o->fds[i] = memfd_create("output", MFD_CLOEXEC);
		if (o->fds[i] < 0)
			return err_sys(errno, "memfd_create");
	}
	TRY(spawn_program(&(struct spawn) { .path = program,
					    .argv = (char *const *)(uintptr_t)argv,
					    .envp = environ,
					    .fds = o->fds,
					    .n_fds = 3 },
			  &pid, &pidfd));
	err = spawn_reap(pidfd, &o->code);
	close(pidfd);
	for (int i = 1; !err && i < 3; i++)
		if (lseek(o->fds[i], 0, SEEK_SET) < 0)
			err = err_sys(errno, "lseek");
	return err;
}

#define NO_OUTPUT                                                                                  \
	{                                                                                          \
		.fds = { -1, -1, -1 }                                                              \
	}

/* Docker without its plugin complains about compose's options. */
static bool has_compose(const char *docker)
{
	static const char *const argv[] = { "docker", "compose", "version", NULL };
	OWN(output) struct output o = NO_OUTPUT;
	OWN(err) struct err *err = run(docker, argv, &o);

	return !err && o.code == 0;
}

static struct err *no_compose(const char *file)
{
	return err_new(ERR_UNAVAILABLE,
		       "%s: there is no docker compose here to read it; where there is one: docker "
		       "compose -f %s config --format json >project.json, then hostel fit "
		       "project.json",
		       file, file);
}

/* Its last line says what is wrong. */
static struct err *complaint(const char *file, int fd)
{
	OWN(mem) char *text = NULL;
	char *line;
	size_t len;

	TRY(read_all(fd, &text, &len));
	while (len && strchr("\n\r ", text[len - 1]))
		text[--len] = '\0';
	line = strrchr(text, '\n');
	return err_new(ERR_INVALID, "%s: docker compose: %s", file,
		       *text ? line ? line + 1 : text : "it failed");
}

static struct err *ask_compose(const char *file, json_t **ret)
{
	const char *const argv[] = { "docker", "compose",  "-f",   file,
				     "config", "--format", "json", NULL };
	OWN(output) struct output o = NO_OUTPUT;
	OWN(mem) char *docker = find_program("docker");

	if (!docker)
		return no_compose(file);
	TRY(run(docker, argv, &o));
	if (o.code)
		return has_compose(docker) ? complaint(file, o.fds[2]) : no_compose(file);
	TRY_MSG(parse_all(o.fds[1], ret), "docker compose");
	return NULL;
}

struct err *compose_load(const char *file, json_t **ret)
{
	size_t len = strlen(file);
	OWN(fd) int fd = -1;

	if (streq(file, "-")) {
		TRY_MSG(parse_all(0, ret), "stdin");
		return NULL;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(errno, "%s", file);
	if (len > 5 && streq(file + len - 5, ".json")) {
		TRY_MSG(parse_all(fd, ret), "%s", file);
		return NULL;
	}
	return ask_compose(file, ret);
}
